"""Likes, follows and memberships of the sample world.

Belongs here: edges from accounts to repositories and accounts, each with its date. Does not: who
publishes what (`people.Crowd.owners`), who wrote a paper (`papers`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast
from hfkg_resources.sample_hub.drawing import (
    DAY,
    END,
    creation_times,
    earlier,
    generator,
    instant,
    later,
)
from hfkg_resources.sample_hub.people import Crowd
from hfkg_resources.sample_hub.repositories import KINDS, SHARES, cast_rows, cast_size
from hfkg_resources.sample_hub.tastes import Tastes

USER_FOLLOWS, ORG_FOLLOWS, MEMBERS = 0.173, 0.096, 0.032
"""Edges per repository of the nominal day, as in HuggingKG's counts of December 2024."""
LIKES = {"model": 0.95, "dataset": 0.9, "space": 1.9}
"""Likes per repository of a kind."""
MOST_LIKED = 0.015
"""No repository gets more than this share of the likes of its kind."""


def make_likes(
    seed: int, tables: Mapping[str, pl.DataFrame], crowd: Crowd, repositories: int
) -> dict[str, pl.DataFrame]:
    """By kind: few repositories get most likes, four of five none at all; users have tastes."""
    given = {kind: _given(seed, kind, tables[kind], crowd, repositories) for kind in KINDS}
    liked = {kind: drawn["repo"].to_numpy() for kind, drawn in given.items()}
    tastes = Tastes.of(seed, tables, liked, crowd)
    return {kind: _by_taste(seed, kind, given[kind], tastes, crowd) for kind in KINDS}


def _given(
    seed: int, kind: str, table: pl.DataFrame, crowd: Crowd, repositories: int
) -> pl.DataFrame:
    """Likes of a kind, with how many users there were then: `repo existing at`."""
    rng = generator(seed, f"likes of {kind}")
    first, dates = cast_size(kind), table["created"].to_numpy()
    weight = np.where(rng.random(len(dates)) < 0.3, 1 + rng.pareto(1.0, len(dates)), 0)
    weight[:first] = 0
    for _ in range(20):  # the sum shrinks with the greatest
        weight = np.minimum(weight, MOST_LIKED * weight.sum())
    shares = np.cumsum(weight)
    # Likes come after both ends exist; the factor makes up for those that the nominal day has not
    # seen yet, and for pairs drawn twice.
    total = int(LIKES[kind] * SHARES[kind] * repositories * 4.5)
    repo = np.searchsorted(shares, rng.random(total) * shares[-1], side="right")
    repo = np.minimum(repo, len(dates) - 1)
    at = later(rng, dates[repo], 200)
    existing = np.searchsorted(crowd.users, at, side="right")
    return pl.DataFrame({"repo": repo, "existing": existing, "at": at})


def _by_taste(
    seed: int, kind: str, given: pl.DataFrame, tastes: Tastes, crowd: Crowd
) -> pl.DataFrame:
    """The likes with their givers, most of whom care for such; and those of the cast."""
    rng = generator(seed, f"likers of {kind}")
    user = tastes.likers(rng, kind, given["repo"].to_numpy(), given["existing"].to_numpy())
    planted = cast.LIKES[kind]
    rows = cast_rows(kind)
    by_hand = pl.DataFrame(
        {
            "repo": [rows[name] for name, _ in planted],
            "user": crowd.row_of([name for _, name in planted]),
            "at": np.full(len(planted), instant(cast.LIKED_AT)),
        }
    )
    drawn = given.select("repo", pl.lit(pl.Series(crowd.first_user + user)).alias("user"), "at")
    return _once(pl.concat([by_hand, drawn]), "repo", "user")


def make_follows(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
    """Users follow users and organizations; the older an account, the more followers."""
    rng = generator(seed, "follows")
    pairs = []
    for count, first, dates in (
        (USER_FOLLOWS, crowd.first_user, crowd.users),
        (ORG_FOLLOWS, crowd.first_org, crowd.orgs),
    ):
        at = creation_times(rng, max(6.0, 1.15 * count * repositories)) + DAY
        followed = first + earlier(rng, dates, at, 2.5)
        pairs.append(
            pl.DataFrame({"follower": crowd.user_at(rng, at, 1.2), "followed": followed, "at": at})
        )
    by_hand = pl.DataFrame(
        {
            "follower": crowd.row_of([follower for follower, _ in cast.FOLLOWS]),
            "followed": crowd.row_of([followed for _, followed in cast.FOLLOWS]),
            "at": np.full(len(cast.FOLLOWS), instant(cast.LIKED_AT)),
        }
    )
    edges = pl.concat([by_hand, *pairs]).filter(pl.col("follower") != pl.col("followed"))
    return _once(edges, "follower", "followed")


def make_members(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
    """Every organization has a member from its first day; many have more."""
    rng = generator(seed, "members")
    founded = crowd.orgs
    at = creation_times(rng, max(12.0, MEMBERS * repositories))
    joined = np.concatenate([founded, at])
    org = np.concatenate([np.arange(len(founded)), earlier(rng, crowd.orgs, at, 1.8)])
    drawn = pl.DataFrame(
        {"org": crowd.first_org + org, "user": crowd.user_at(rng, joined, 1.5), "at": joined}
    )
    by_hand = pl.DataFrame(
        {
            "org": crowd.row_of([org for org, _ in cast.MEMBERS]),
            "user": crowd.row_of([user for _, user in cast.MEMBERS]),
            "at": np.full(len(cast.MEMBERS), instant(cast.LIKED_AT)),
        }
    )
    return _once(pl.concat([by_hand, drawn]), "org", "user")


def _once(edges: pl.DataFrame, *ends: str) -> pl.DataFrame:
    """Each pair once, at its first date; what comes after the world's end is left out."""
    return (
        edges.filter(pl.col("at") < END)
        .sort("at", *ends)
        .unique(ends, keep="first", maintain_order=True)
    )
