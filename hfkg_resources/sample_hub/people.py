"""Users and organizations of the sample world.

Belongs here: accounts, and picking one who existed at a moment. Does not: whom and what they like,
follow and belong to (`social`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, words
from hfkg_resources.sample_hub.drawing import (
    NEVER,
    creation_times,
    draw,
    earlier,
    generator,
    instant,
    later,
    object_ids,
    written_by_hand,
)

# Per repository of the nominal day; HuggingKG's counts of December 2024 per 1,772,184 repositories.
USERS, ORGS, MIN_ORGS = 0.41, 0.01, 12
_NAMES = len(words.ADJECTIVES) * len(words.NOUNS)
_ACCOUNT = {
    "name": pl.String, "first_name": pl.String, "renamed_at": pl.Int64, "kind": pl.String,
    "created": pl.Int64, "deleted": pl.Int64, "fullname": pl.String, "is_pro": pl.Boolean,
    "details": pl.String, "members_hidden": pl.Boolean, "plan": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Crowd:
    """Who acts at random: the accounts that are not of the cast.

    Attributes:
        accounts: the table of all accounts.
        users: creation dates of the users, whose rows start at `first_user`.
        orgs: creation dates of the organizations, whose rows start at `first_org`.
    """

    accounts: pl.DataFrame
    users: np.ndarray
    orgs: np.ndarray
    first_user: int
    first_org: int

    @classmethod
    def of(cls, accounts: pl.DataFrame) -> Crowd:
        """The accounts after the cast: first users, then organizations."""
        created, kinds = accounts["created"].to_numpy(), accounts["kind"].to_numpy()
        first_user = len(cast.ACCOUNTS)
        users = int((kinds[first_user:] == "user").sum())
        first_org = first_user + users
        return cls(accounts, created[first_user:first_org], created[first_org:], first_user,
                   first_org)  # fmt: skip

    def user_at(self, rng: np.random.Generator, moments: np.ndarray, power: float) -> np.ndarray:
        """Rows of users who existed at these moments."""
        return self.first_user + earlier(rng, self.users, moments, power)

    def org_at(self, rng: np.random.Generator, moments: np.ndarray, power: float) -> np.ndarray:
        """Rows of organizations that existed at these moments."""
        return self.first_org + earlier(rng, self.orgs, moments, power)

    def owners(self, rng: np.random.Generator, moments: np.ndarray, org_share: float) -> np.ndarray:
        """Rows of accounts that publish: a few a lot, most of them once or twice."""
        size = len(moments)
        busy = self.user_at(rng, moments, 3.0)
        occasional = self.user_at(rng, moments, 1.0)
        users = np.where(rng.random(size) < 0.45, busy, occasional)
        return np.where(rng.random(size) < org_share, self.org_at(rng, moments, 1.6), users)

    def row_of(self, names: Sequence[str]) -> np.ndarray:
        """Rows of accounts of the cast by name."""
        rows = {account["name"]: row for row, account in enumerate(cast.ACCOUNTS)}
        return np.array([rows[name] for name in names], dtype=np.int64)


def make_accounts(seed: int, repositories: int) -> pl.DataFrame:
    """All accounts: the cast, then users, then organizations, each by date of creation."""
    users = _users(generator(seed, "users"), USERS * repositories)
    orgs = _orgs(generator(seed, "orgs"), max(MIN_ORGS, ORGS * repositories))
    planted = written_by_hand(
        [
            row | {name: instant(row[name]) for name in ("created", "renamed_at") if name in row}
            for row in cast.ACCOUNTS
        ],
        _ACCOUNT,
    )
    everyone = pl.concat([planted, users, orgs], how="diagonal_relaxed").with_columns(
        pl.col("kind").fill_null("user"),
        pl.col("is_pro", "members_hidden").fill_null(False),
        pl.col("deleted", "renamed_at").fill_null(NEVER),
        pl.col("first_name").fill_null(pl.col("name")),
    )
    rng = generator(seed, "account ids")
    ids = object_ids(rng, everyone["created"].to_numpy())
    return everyone.with_columns(
        ids.alias("_id"), avatar_url=pl.format("/avatars/{}.svg", ids.str.reverse())
    )


def _users(rng: np.random.Generator, nominal: float) -> pl.DataFrame:
    created = creation_times(rng, nominal)
    size = len(created)
    given, family = draw(rng, words.GIVEN_NAMES, size), draw(rng, words.FAMILY_NAMES, size)
    names = _account_names(rng, size)
    renamed = rng.random(size) < 0.012
    first_names = pl.select(pl.format("{}-{}", names, pl.lit("old"))).to_series()
    details = draw(rng, words.DETAILS, size)
    return pl.DataFrame(
        {
            "name": names,
            "first_name": first_names.set(pl.Series(~renamed), None),
            "renamed_at": np.where(renamed, later(rng, created, 300), NEVER),
            "created": created,
            "deleted": np.where(rng.random(size) < 0.02, later(rng, created, 250), NEVER),
            "fullname": pl.select(pl.format("{} {}", given, family)).to_series(),
            "is_pro": rng.random(size) < 0.08,
            "details": details.set(pl.Series(rng.random(size) < 0.7), None),
        },
        schema_overrides={"kind": pl.String},
    ).with_columns(kind=pl.lit("user"))


def _account_names(rng: np.random.Generator, size: int) -> pl.Series:
    """Unique names of two words; from the second round on with a number."""
    place = (np.arange(size) * 4_409 + rng.integers(_NAMES)) % _NAMES
    rounds = pl.Series(np.arange(size) // _NAMES).cast(pl.String).replace("0", "")
    first = pl.Series(words.ADJECTIVES).gather(place // len(words.NOUNS))
    second = pl.Series(words.NOUNS).gather(place % len(words.NOUNS))
    style = pl.Series(rng.integers(4, size=size))
    return pl.select(
        pl.when(style == 0).then(pl.format("{}{}{}", first, second, rounds))
        .when(style == 1).then(pl.format("{}-{}{}", first, second, rounds))
        .when(style == 2).then(
            pl.format("{}{}{}", first.str.to_titlecase(), second.str.to_titlecase(), rounds)
        )
        .otherwise(pl.format("{}_{}{}", first, second, rounds))
    ).to_series()  # fmt: skip


def _orgs(rng: np.random.Generator, nominal: float) -> pl.DataFrame:
    created = creation_times(rng, nominal)
    size = len(created)
    place = (np.arange(size) * 37 + rng.integers(100)) % 100
    rounds = pl.Series(np.arange(size) // 500).cast(pl.String).replace("0", "")
    noun = pl.Series(words.NOUNS).gather(place)
    sort = pl.Series(words.ORG_KINDS[:5]).gather(np.arange(size) // 100 % 5)
    plans = draw(rng, {"team": 0.5, "enterprise": 0.4, "academia": 0.1}, size)
    return pl.DataFrame(
        {
            "name": pl.select(pl.format("{}-{}{}", noun, sort, rounds)).to_series(),
            "created": created,
            "fullname": pl.select(
                pl.format("{} {}", noun.str.to_titlecase(), sort.str.to_titlecase())
            ).to_series(),
            "members_hidden": rng.random(size) < 0.08,
            "plan": plans.set(pl.Series(rng.random(size) < 0.8), None),
        }
    ).with_columns(kind=pl.lit("org"))
