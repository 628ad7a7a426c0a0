"""Likes, follows and memberships of the sample world.

Belongs here: edges from accounts to repositories and accounts, each with its date. Does not: who
publishes what (`people.Crowd.owners`), who wrote a paper (`papers`).
"""

from __future__ import annotations

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
from hfkg_resources.sample_hub.repositories import SHARES, cast_rows, cast_size

USER_FOLLOWS, ORG_FOLLOWS, MEMBERS = 0.173, 0.096, 0.032
"""Edges per repository of the nominal day, as in HuggingKG's counts of December 2024."""
LIKES = {"model": 0.95, "dataset": 0.9, "space": 1.9}
"""Likes per repository of a kind."""


def make_likes(
    seed: int, kind: str, table: pl.DataFrame, crowd: Crowd, repositories: int
) -> pl.DataFrame:
    """Few repositories get most likes, four of five none at all."""
    rng = generator(seed, f"likes of {kind}")
    first, dates = cast_size(kind), table["created"].to_numpy()
    weight = np.where(rng.random(len(dates)) < 0.3, 1 + rng.pareto(1.0, len(dates)), 0)
    weight[:first] = 0
    shares = np.cumsum(weight)
    # Likes come after both ends exist; the factor makes up for those that the nominal day has not
    # seen yet, and for pairs drawn twice.
    total = int(LIKES[kind] * SHARES[kind] * repositories * 4.2)
    repo = np.searchsorted(shares, rng.random(total) * shares[-1], side="right")
    repo = np.minimum(repo, len(dates) - 1)
    at = later(rng, dates[repo], 200)
    user = crowd.user_at(rng, at, 1.3)
    planted = cast.LIKES[kind]
    rows = cast_rows(kind)
    drawn = pl.DataFrame({"repo": repo, "user": user, "at": at})
    by_hand = pl.DataFrame(
        {
            "repo": [rows[name] for name, _ in planted],
            "user": crowd.row_of([name for _, name in planted]),
            "at": np.full(len(planted), instant(cast.LIKED_AT)),
        }
    )
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
