"""Everything that ever is in the sample world, with its dates: built once, column by column.

Belongs here: who and what comes into being, when, and what it refers to. Does not: how the world
looks on a given day (`world`), what a card says (`cards`), cases written by hand (`cast`).

Dates are int64 milliseconds since 1970 (UTC); what never happens happens at `NEVER`. In every table
the rows of the cast come first, then the crowd by date of creation. Nothing here loops over rows:
numpy draws, Polars joins and writes the texts.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, words

KINDS = ("model", "dataset", "space")
ITEM_KINDS = (*KINDS, "paper")
SHARES = {"model": 0.68, "dataset": 0.15, "space": 0.17}
"""Share of each kind in all repositories."""

SECOND, DAY = 1_000, 86_400_000
NEVER = 2**62


def instant(text: str | date) -> int:
    """Milliseconds since 1970 of an ISO date or time in UTC."""
    moment = datetime.fromisoformat(text) if isinstance(text, str) else datetime(*_ymd(text))
    return int(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def _ymd(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


FIRST_DAY, NOMINAL_DAY, LAST_DAY = date(2022, 3, 2), date(2026, 11, 24), date(2027, 12, 31)
"""On the nominal day as many repositories are alive as the world is asked for."""
OLDEST, NOMINAL, END = instant(cast.OLDEST), instant(NOMINAL_DAY) + DAY, instant(LAST_DAY) + DAY

GROWTH = 0.06 / (30.44 * DAY)
"""The world grows by 6 % a month, as the Hub did from December 2024 to July 2026."""

# Per repository of the nominal day; HuggingKG's counts of December 2024 per 1,772,184 repositories.
USERS, ORGS, MIN_ORGS = 0.41, 0.01, 12
PAPERS, MIN_PAPERS = 0.01, 40
COLLECTIONS = 0.045
USER_FOLLOWS, ORG_FOLLOWS, MEMBERS = 0.173, 0.096, 0.032
LIKES = {"model": 0.95, "dataset": 0.9, "space": 1.9}
"""Likes per repository of a kind."""
ORG_SHARE = {"model": 0.107, "dataset": 0.25, "space": 0.042}
"""Share of repositories that an organization publishes."""
LABELLED = {"model": 0.62, "dataset": 0.46}
"""Share of repositories that name their task: more than the Hub's 44 % and 15 %, so that small
worlds have enough to learn from."""

RELATIONS = {"adapter": 0.474, "finetune": 0.326, "merge": 0.061, "quantized": 0.139}
DERIVED = 0.285
"""Share of models with a base; some of them say no relation."""

_NAMES = len(words.ADJECTIVES) * len(words.NOUNS)


@dataclass(frozen=True)
class Population:
    """All there ever is.

    Attributes:
        accounts: `name first_name renamed_at kind created deleted fullname is_pro details
            avatar_url members_hidden plan _id`.
        repositories: by kind, `_id key created deleted first_id second_id third_id renamed_at
            renamed_again_at gated gated_from disabled_from edit_every edits popularity
            unlisted_likes tags siblings` and what a card tells; models also `base_relation`,
            `base_ids`, Spaces `sdk title emoji models datasets`, and so on.
        papers: `id title summary published indexed popularity`.
        authors: `paper position name user status linked_at _id`, sorted by the first two.
        likes: by kind, `repo user at`, sorted by `at`; `repo` and `user` are row numbers.
        follows: `follower followed at`, row numbers of accounts.
        members: `org user at`, row numbers of accounts.
        collections: `_id owner title description theme created popularity`.
        items: `collection type target id note added _id`; `target` is the row number among all
            models, then datasets, Spaces and papers, or -1 where the text is all there is.
    """

    accounts: pl.DataFrame
    repositories: Mapping[str, pl.DataFrame]
    papers: pl.DataFrame
    authors: pl.DataFrame
    likes: Mapping[str, pl.DataFrame]
    follows: pl.DataFrame
    members: pl.DataFrame
    collections: pl.DataFrame
    items: pl.DataFrame


def populate(seed: int, repositories: int) -> Population:
    """Builds the world.

    Args:
        seed: what everything is drawn from.
        repositories: models, datasets and Spaces alive on the nominal day, within a few per cent.
    """
    accounts = _accounts(seed, repositories)
    crowd = Crowd.of(accounts)
    papers = _papers(seed, repositories)
    datasets = _datasets(seed, repositories, crowd, papers)
    models = _models(seed, repositories, crowd, papers, datasets)
    spaces = _spaces(seed, repositories, crowd, models, datasets)
    tables = {"model": models, "dataset": datasets, "space": spaces}
    collections = _collections(seed, repositories, crowd)
    return Population(
        accounts=accounts,
        repositories=tables,
        papers=papers,
        authors=_authors(seed, papers, crowd),
        likes={kind: _likes(seed, kind, tables[kind], crowd, repositories) for kind in KINDS},
        follows=_follows(seed, repositories, crowd),
        members=_members(seed, repositories, crowd),
        collections=collections,
        items=_items(seed, collections, tables, papers),
    )


# -- Drawing --------------------------------------------------------------------------------------


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers for one purpose: drawing more for one changes none of another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def draw(
    rng: np.random.Generator, values: Sequence[str] | Mapping[str, float], size: int
) -> pl.Series:
    """`size` values, equally likely or by their weights."""
    if isinstance(values, Mapping):
        shares = np.cumsum([*values.values()])
        rows = np.searchsorted(shares, rng.random(size) * shares[-1], side="right")
        return pl.Series([*values], dtype=pl.String).gather(rows)
    return pl.Series(values, dtype=pl.String).gather(rng.integers(len(values), size=size))


def creation_times(rng: np.random.Generator, nominal: float) -> np.ndarray:
    """Sorted creation dates, `nominal` of them up to the nominal day.

    They follow the growth curve evenly, not by chance: small worlds have enough in every month.
    What the curve puts before the Hub began to keep dates gets the oldest date.
    """
    total = max(2, round(nominal * np.exp(GROWTH * (END - NOMINAL))))
    share = (np.arange(total) + rng.random(total)) / total
    times = np.maximum(END + np.log(share) / GROWTH, OLDEST).astype(np.int64)
    times[0] = OLDEST
    return times // SECOND * SECOND


def earlier(
    rng: np.random.Generator, times: np.ndarray, moments: np.ndarray, power: float
) -> np.ndarray:
    """For each moment a row of `times` (sorted) not after it; the higher `power`, the older."""
    count = np.maximum(np.searchsorted(times, moments, side="right"), 1)
    return (count * rng.random(len(moments)) ** power).astype(np.int64)


def later(rng: np.random.Generator, moments: np.ndarray, mean_days: float) -> np.ndarray:
    """A moment after each, on average by `mean_days`, most of them much sooner."""
    return moments + (rng.exponential(mean_days * DAY, len(moments))).astype(np.int64)


def object_ids(rng: np.random.Generator, created: np.ndarray) -> pl.Series:
    """24 hex digits, the first eight of them the date of creation in seconds."""
    raw = rng.integers(256, size=(len(created), 12), dtype=np.uint8)
    raw[:, :4] = (created // SECOND).astype(">u4").view(np.uint8).reshape(-1, 4)
    return hex_digits(raw)


def hex_digits(raw: np.ndarray) -> pl.Series:
    """Each row of bytes as a text of hex digits."""
    if not len(raw):
        return pl.Series(dtype=pl.String)
    digits = np.frombuffer(raw.tobytes().hex().encode(), dtype=f"S{2 * raw.shape[1]}")
    return pl.Series(digits.astype(str))


def evenly(size: int, share: float) -> np.ndarray:
    """True for `share` of the rows, spread evenly (by the golden ratio), so also over time."""
    return (np.arange(size) * 0.6180339887498949 + 0.5) % 1 < share


def _unique_names(names: pl.Series, within: pl.Series) -> pl.Series:
    """Numbers whatever is there twice, letter case aside: the Hub's names are unique so."""
    frame = pl.DataFrame({"name": names, "within": within})
    number = pl.int_range(pl.len()).over("within", pl.col("name").str.to_lowercase())
    renamed = frame.with_columns(number=number).select(
        pl.when(pl.col("number") > 0)
        .then(pl.format("{}-n{}", "name", pl.col("number") + 1))
        .otherwise("name")
    )
    return renamed.to_series().alias("name")


def _written_by_hand(rows: Sequence[dict[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of the cast as a table: dates read, what is left out null."""
    frame = pl.DataFrame(
        [{name: row.get(name) for name in schema} for row in rows], schema=dict(schema)
    )
    return frame


# -- Accounts -------------------------------------------------------------------------------------

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


def _accounts(seed: int, repositories: int) -> pl.DataFrame:
    users = _users(generator(seed, "users"), USERS * repositories)
    orgs = _orgs(generator(seed, "orgs"), max(MIN_ORGS, ORGS * repositories))
    planted = _written_by_hand(
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


# -- Papers ---------------------------------------------------------------------------------------


def _papers(seed: int, repositories: int) -> pl.DataFrame:
    rng = generator(seed, "papers")
    published = creation_times(rng, max(MIN_PAPERS, PAPERS * repositories))
    size = len(published)
    month = pl.Series(published).cast(pl.Datetime("ms")).dt.strftime("%y%m")
    method, other = draw(rng, words.METHODS, size), draw(rng, words.METHODS, size)
    subject = draw(rng, words.SUBJECTS, size)
    crowd = (
        pl.DataFrame({"published": published, "month": month, "method": method, "other": other,
                      "subject": subject})
        .with_columns(
            # Five digits are left for the papers of a month: spread, so that ids look drawn.
            number=1_000 + pl.int_range(pl.len()).over("month") * (98_000 // pl.len().over("month"))
        )
        .select(
            pl.format("{}.{}", "month", pl.col("number").cast(pl.String).str.zfill(5)).alias("id"),
            pl.format("{} and {} Methods for {}", "method", "other", "subject").alias("title"),
            pl.format(
                "We study {} from the side of {} learning.\nA simple recipe with\n{} objectives is "
                "compared on nine benchmarks,\nand what it costs is reported.",
                "subject", "method", pl.col("other").str.to_lowercase(),
            ).alias("summary"),
            "published",
        )
    )  # fmt: skip
    planted = _written_by_hand(
        [row | {"published": instant(row["published"])} for row in cast.PAPERS],
        {"id": pl.String, "title": pl.String, "summary": pl.String, "published": pl.Int64},
    ).with_columns(pl.col("summary").fill_null("A short paper.\nIts summary has two lines."))
    papers = pl.concat([planted, crowd.filter(~pl.col("id").is_in(planted["id"].implode()))])
    dates = papers["published"].to_numpy()
    indexed = np.where(np.arange(len(dates)) < len(planted), dates, later(rng, dates, 4))
    return papers.with_columns(
        indexed=indexed, popularity=(rng.pareto(1.2, len(dates)) * 4).clip(0, 900)
    )


def _authors(seed: int, papers: pl.DataFrame, crowd: Crowd) -> pl.DataFrame:
    rng = generator(seed, "authors")
    planted = pl.DataFrame(
        [
            (number, position, *author)
            for number, paper in enumerate(cast.PAPERS)
            for position, author in enumerate(paper["authors"])
        ],
        schema={"paper": pl.Int64, "position": pl.Int64, "name": pl.String, "account": pl.String,
                "status": pl.String},
        orient="row",
    )  # fmt: skip
    planted = planted.with_columns(
        linked_at=papers["published"].gather(planted["paper"]).clip(OLDEST) + DAY
    )
    first = len(cast.PAPERS)
    counts = np.minimum(1 + rng.poisson(3.5, len(papers) - first), 12)
    paper = first + np.repeat(np.arange(len(counts)), counts)
    size = len(paper)
    indexed = papers["indexed"].to_numpy()[paper]
    linked_at = later(rng, indexed, 40)
    account = crowd.user_at(rng, linked_at, 1.5)
    linked = rng.random(size) < 0.36
    given, family = draw(rng, words.GIVEN_NAMES, size), draw(rng, words.FAMILY_NAMES, size)
    status = draw(
        rng, {"claimed_verified": 0.55, "extracted_pending": 0.3, "admin_assigned": 0.15}, size
    )
    drawn = pl.DataFrame(
        {
            "paper": paper,
            "position": np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts),
            "name": pl.select(pl.format("{} {}", given, family)).to_series(),
            "row": pl.Series(account).set(pl.Series(~linked), None),
            "status": status.set(pl.Series(~linked), None),
            "linked_at": np.where(linked, linked_at, NEVER),
        }
    )
    rows = {account["name"]: row for row, account in enumerate(cast.ACCOUNTS)}
    planted = planted.with_columns(
        pl.col("account").replace_strict(rows, default=None, return_dtype=pl.Int64).alias("row")
    )
    authors = pl.concat([planted, drawn], how="diagonal_relaxed").sort("paper", "position")
    dates = papers["indexed"].to_numpy()[authors["paper"].to_numpy()]
    return authors.with_columns(object_ids(rng, dates).alias("_id"))


# -- Repositories ---------------------------------------------------------------------------------

_PLANTED = {
    "created": pl.Int64, "topic": pl.String, "library": pl.String, "license": pl.String,
    "language": pl.String, "popularity": pl.Float64, "extra_tasks": pl.List(pl.String),
    "relation": pl.String, "bases": pl.List(pl.String), "datasets": pl.List(pl.String),
    "papers": pl.List(pl.String), "free_tags": pl.List(pl.String), "layout": pl.String,
    "flaw": pl.String, "gated": pl.String, "disabled_from": pl.Int64, "unlisted_likes": pl.Int64,
    "description": pl.String, "first_id": pl.String, "second_id": pl.String, "third_id": pl.String,
    "renamed_at": pl.Int64, "renamed_again_at": pl.Int64, "sdk": pl.String, "title": pl.String,
    "emoji": pl.String, "models": pl.List(pl.String),
}  # fmt: skip


def _planted(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Repositories of the cast; what they leave out is null."""
    told = []
    for row in rows:
        names = [*row["names"], None, None]
        renamed = [*map(instant, row.get("renamed", ())), NEVER, NEVER]
        dates = {name: instant(row[name]) for name in ("created", "disabled_from") if name in row}
        told.append(
            {"layout": "prose"}
            | row
            | dates
            | {"first_id": names[0], "second_id": names[1], "third_id": names[2]}
            | {"renamed_at": renamed[0], "renamed_again_at": renamed[1]}
        )
    return _written_by_hand(told, _PLANTED).with_columns(
        pl.col("popularity").fill_null(300.0),
        pl.col("flaw").fill_null("none"),
        pl.col("disabled_from", "renamed_at", "renamed_again_at").fill_null(NEVER),
        pl.col("extra_tasks", "free_tags", "papers").fill_null([]),
        pl.col("unlisted_likes").fill_null(0),
        deleted=pl.lit(NEVER),
        gated_from=pl.when(pl.col("gated").is_null()).then(NEVER).otherwise("created"),
        planted=pl.lit(True),
    )


def _life(rng: np.random.Generator, created: np.ndarray, owner: np.ndarray, crowd: Crowd
          ) -> pl.DataFrame:  # fmt: skip
    """Dates of deletion and of what befalls access, and how often each is looked for."""
    size = len(created)
    deleted = np.where(rng.random(size) < 0.08, later(rng, created, 220), NEVER)
    gate = rng.random(size)
    return pl.DataFrame(
        {
            "created": created,
            "owner": owner,
            "deleted": np.minimum(deleted, crowd.accounts["deleted"].to_numpy()[owner]),
            "gated": np.where(gate < 0.015, "auto", "manual"),
            "gated_from": np.where(gate < 0.02, later(rng, created, 90), NEVER),
            "disabled_from": np.where(rng.random(size) < 0.004, later(rng, created, 200), NEVER),
            "popularity": (rng.pareto(0.9, size) * 12 + 1).clip(0, 5e6),
            "unlisted_likes": np.zeros(size, dtype=np.int64),
            "planted": np.zeros(size, dtype=bool),
        }
    )


def _identities(
    rng: np.random.Generator, life: pl.DataFrame, names: pl.Series, crowd: Crowd
) -> pl.DataFrame:
    """Up to three ids of each repository and the dates at which one replaces another.

    A repository is renamed with its owner, or by its owner, also by moving it to an organization.
    """
    size = life.height
    owner, created = life["owner"].to_numpy(), life["created"].to_numpy()
    name = _unique_names(names, life["owner"])
    accounts = crowd.accounts
    now_owner = accounts["name"].gather(owner)
    then_owner = accounts["first_name"].gather(owner)
    moves_at = accounts["renamed_at"].to_numpy()[owner]
    own_rename = later(rng, created, 150)
    new_owner = accounts["name"].gather(crowd.org_at(rng, own_rename, 1.6))
    chance = rng.random(size)
    frame = pl.DataFrame(
        {
            "name": name, "now": now_owner, "then": then_owner, "moves_at": moves_at,
            "created": created, "own_rename": own_rename, "again": later(rng, own_rename, 100),
            "new_owner": new_owner, "chance": chance,
            "suffix": draw(rng, ("-preview", "-dev", "_test", ".wip"), size),
        }
    )  # fmt: skip
    with_owner = (pl.col("moves_at") < NEVER) & (pl.col("created") < pl.col("moves_at"))
    settled = (pl.col("moves_at") == NEVER) & (pl.col("chance") < 0.04)
    to_org = settled & (pl.col("chance") < 0.008)
    twice = settled & (pl.col("chance") > 0.037)
    here = pl.format("{}/{}", "now", "name")
    before = pl.format("{}/{}{}", "now", "name", "suffix")
    return frame.select(
        pl.when(with_owner).then(pl.format("{}/{}", "then", "name"))
        .when(settled & ~to_org).then(before).otherwise(here).alias("first_id"),
        pl.when(with_owner).then(here)
        .when(to_org).then(pl.format("{}/{}-by-{}", "new_owner", "name", "now"))
        .when(settled).then(here).alias("second_id"),
        pl.when(twice).then(pl.format("{}/{}-final", "now", "name")).alias("third_id"),
        pl.when(with_owner).then("moves_at").when(settled).then("own_rename").otherwise(NEVER)
        .alias("renamed_at"),
        pl.when(twice).then("again").otherwise(NEVER).alias("renamed_again_at"),
        "name",
    )  # fmt: skip


def written(table: pl.DataFrame, rows: np.ndarray, moments: np.ndarray) -> pl.Series:
    """The ids that repositories had at these moments, as somebody then wrote them down."""
    moment = pl.Series("moment", moments)
    return (
        table.select("first_id", "second_id", "third_id", "renamed_at", "renamed_again_at")[rows]
        .with_columns(moment)
        .select(id_at(pl.col("moment")))
        .to_series()
    )


def id_at(moment: pl.Expr) -> pl.Expr:
    """The id in force at a moment."""
    return (
        pl.when(pl.col("renamed_again_at") <= moment).then("third_id")
        .when(pl.col("renamed_at") <= moment).then("second_id")
        .otherwise("first_id").alias("id")
    )  # fmt: skip


def _misspelt(rng: np.random.Generator, ids: pl.Series, wrong_case: float, dangling: float
              ) -> pl.Series:  # fmt: skip
    """A few references in the wrong case, a few to what has never been."""
    chance = pl.Series(rng.random(len(ids)))
    ghost = pl.select(
        pl.format("vanished-lab/{}-{}", draw(rng, words.NOUNS, len(ids)),
                  draw(rng, words.SIZES, len(ids)))
    ).to_series()  # fmt: skip
    return pl.select(
        pl.when(chance < dangling).then(ghost)
        .when(chance < dangling + wrong_case).then(ids.str.to_uppercase())
        .otherwise(ids)
    ).to_series()  # fmt: skip


def _gathered(rows: np.ndarray, values: pl.Series, size: int) -> pl.Series:
    """Values as one list per row number, each value once, in order; an empty list for none."""
    lists = (
        pl.DataFrame({"row": rows, "value": values})
        .unique(maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg("value")
    )
    every = pl.DataFrame({"row": np.arange(size)}).join(lists, on="row", how="left")
    empty = pl.lit([], dtype=pl.List(pl.String))
    return every.sort("row").select(pl.col("value").fill_null(empty)).to_series()


def _cited(rng: np.random.Generator, created: np.ndarray, papers: pl.DataFrame, share: float
           ) -> pl.Series:  # fmt: skip
    """arXiv ids as tags name them: some with a version, some the Hub has no paper for."""
    size = len(created)
    counts = np.where(rng.random(size) < share, 1 + (rng.random(size) < 0.2), 0)
    rows = np.repeat(np.arange(size), counts)
    first = len(cast.PAPERS)
    known = earlier(rng, papers["published"].to_numpy()[first:], created[rows], 1.5)
    ids = papers["id"].gather(first + known)
    chance = rng.random(len(rows))
    version = pl.select(pl.format("{}v{}", ids, pl.Series(rng.integers(1, 4, len(rows)))))
    unknown = pl.select(
        pl.format("{}.{}", pl.Series(rng.integers(2001, 2013, len(rows))),
                  pl.Series(rng.integers(10_000, 20_000, len(rows))))
    )  # fmt: skip
    named = pl.select(
        pl.when(pl.Series(chance < 0.25)).then(pl.lit(cast.BOILERPLATE_PAPER))
        .when(pl.Series(chance < 0.33)).then(version.to_series())
        .when(pl.Series(chance < 0.42)).then(unknown.to_series())
        .otherwise(ids)
    ).to_series()  # fmt: skip
    return _gathered(rows, named, size)


def _free_tags(rng: np.random.Generator, size: int) -> pl.Series:
    counts = np.array([0, 0, 0, 1, 1, 2])[rng.integers(6, size=size)]
    rows = np.repeat(np.arange(size), counts)
    odd = pl.Series(rng.random(len(rows)) < 0.03)
    tags = pl.select(
        pl.when(odd).then(draw(rng, words.ODD_TAGS, len(rows)))
        .otherwise(draw(rng, words.FREE_TAGS, len(rows)))
    ).to_series()  # fmt: skip
    return _gathered(rows, tags, size)


def _finished(rng: np.random.Generator, planted: pl.DataFrame, crowd: pl.DataFrame) -> pl.DataFrame:
    """Cast and crowd in one table, with what every repository has."""
    table = pl.concat([planted, crowd], how="diagonal_relaxed")
    size = table.height
    created = table["created"].to_numpy()
    every = (rng.lognormal(4.0, 1.2, size).clip(0.2, 900) * DAY).astype(np.int64)
    name = pl.coalesce("third_id", "second_id", "first_id").str.split("/").list.last()
    return table.with_columns(
        object_ids(rng, created).alias("_id"),
        key=rng.integers(2**63, size=size, dtype=np.int64),
        edit_every=every,
        edits=rng.geometric(0.2, size) - 1,
        name=name,
        domain=draw(rng, words.DOMAINS, size),
    )


_LAYOUTS = {
    "model": {"prose": 0.63, "trainer": 0.12, "template": 0.06, "empty": 0.015, "head_only": 0.025,
              "": 0.15},
    "dataset": {"prose": 0.72, "template": 0.05, "empty": 0.01, "head_only": 0.07, "": 0.15},
    "space": {"head_only": 0.95, "": 0.05},
}  # fmt: skip
"""How the README is laid out; none at all for the empty name."""

_FLAWS = {"none": 0.95, "no_head": 0.02, "crlf": 0.02, "bom": 0.005, "broken_head": 0.005}


def _appearance(rng: np.random.Generator, kind: str, size: int) -> dict[str, pl.Series]:
    return {
        "layout": draw(rng, _LAYOUTS[kind], size).replace("", None),
        "flaw": draw(rng, _FLAWS, size),
        "language": draw(rng, words.LANGUAGES, size),
        "license": draw(rng, words.LICENSES, size).set(pl.Series(rng.random(size) < 0.3), None),
        "free_tags": _free_tags(rng, size),
    }


def _tag(prefix: str, column: str) -> pl.Expr:
    return pl.lit(prefix) + pl.col(column)


def _tags(prefix: str, column: str) -> pl.Expr:
    return pl.col(column).list.eval(pl.lit(prefix) + pl.element())


def _tag_list(*parts: pl.Expr) -> pl.Expr:
    return pl.concat_list(*parts).list.drop_nulls().list.unique(maintain_order=True).alias("tags")


# -- Datasets -------------------------------------------------------------------------------------


def _datasets(seed: int, repositories: int, crowd: Crowd, papers: pl.DataFrame) -> pl.DataFrame:
    rng = generator(seed, "datasets")
    planted = _planted(cast.DATASETS).with_columns(pipeline_tag="topic")
    life = _born(rng, "dataset", repositories, crowd)
    size = life.height
    topic = draw(rng, words.DATASET_TASKS, size)
    labelled = pl.Series(evenly(size, LABELLED["dataset"]))
    name = pl.select(
        pl.format(
            "{}-{}-{}", draw(rng, words.DOMAINS, size), draw(rng, words.NOUNS, size),
            draw(rng, ("corpus", "set", "bench", "10k", "v2", "mini_v1.0"), size),
        )
    ).to_series()  # fmt: skip
    drawn = life.with_columns(
        _identities(rng, life, name, crowd).drop("name"),
        topic=topic,
        pipeline_tag=topic.set(~labelled, None),
        extra_tasks=_extra_tasks(rng, words.DATASET_TASKS, labelled, 0.12),
        papers=_cited(rng, life["created"].to_numpy(), papers, 0.07),
        **_appearance(rng, "dataset", size),
    )
    table = _finished(rng, planted, drawn)
    size = table.height
    rows = rng.lognormal(8, 2.5, size)
    described = pl.Series(rng.random(size) < 0.7)
    return table.with_columns(
        size_category=draw(rng, words.SIZE_CATEGORIES, size),
        format=draw(rng, words.FORMATS, size),
        modality=draw(rng, {"text": 0.7, "image": 0.15, "audio": 0.1, "tabular": 0.05}, size),
        main_size=pl.Series((rows * 700).astype(np.int64)).set(
            pl.Series(rng.random(size) < 0.15), None
        ),
        description=pl.when(pl.col("description").is_null() & described)
        .then(pl.format("{} examples about {}. See the full description on the dataset page.",
                        pl.col("name").str.to_titlecase(), "domain"))
        .otherwise("description"),
        citation=pl.when(pl.Series(rng.random(size) < 0.1))
        .then(pl.format("@misc{{{{{}, title={{{{{}}}}}}}}}", "name", "name")),
        language=pl.col("language").fill_null("en"),
    ).with_columns(
        _tag_list(
            _tag("task_categories:", "pipeline_tag"), _tags("task_categories:", "extra_tasks"),
            _tag("language:", "language"), _tag("license:", "license"),
            _tag("size_categories:", "size_category"), _tag("format:", "format"),
            _tag("modality:", "modality"), pl.lit("library:datasets"),
            pl.lit("library:mlcroissant"), _tags("arxiv:", "papers"), pl.lit("region:us"),
            pl.col("free_tags"),
        ),
        siblings=_files(pl.lit("data/train-00000-of-00001.parquet")),
    )  # fmt: skip


def _born(rng: np.random.Generator, kind: str, repositories: int, crowd: Crowd) -> pl.DataFrame:
    planted = {"model": cast.MODELS, "dataset": cast.DATASETS, "space": cast.SPACES}[kind]
    # Some 7 % of what was ever created up to the nominal day is gone by then.
    nominal = max(4.0, SHARES[kind] * repositories / 0.93 - len(planted))
    created = creation_times(rng, nominal)
    return _life(rng, created, crowd.owners(rng, created, ORG_SHARE[kind]), crowd)


def _extra_tasks(
    rng: np.random.Generator, tasks: Mapping[str, float], labelled: pl.Series, share: float
) -> pl.Series:
    rows = np.flatnonzero(labelled.to_numpy() & (rng.random(len(labelled)) < share))
    return _gathered(rows, draw(rng, tasks, len(rows)), len(labelled))


def _files(content: pl.Expr) -> pl.Expr:
    """File names: the README where there is a card."""
    readme = pl.when(pl.col("layout").is_not_null()).then(pl.lit("README.md"))
    return pl.concat_list(pl.lit(".gitattributes"), readme, content).list.drop_nulls()


# -- Models ---------------------------------------------------------------------------------------


def _models(
    seed: int, repositories: int, crowd: Crowd, papers: pl.DataFrame, datasets: pl.DataFrame
) -> pl.DataFrame:
    rng = generator(seed, "models")
    planted = _planted(cast.MODELS).with_columns(
        pipeline_tag="topic", bases=pl.col("bases").fill_null([]),
        datasets=pl.col("datasets").fill_null([]),
    )  # fmt: skip
    life = _born(rng, "model", repositories, crowd)
    created, size, first = life["created"].to_numpy(), life.height, planted.height
    lineage = _lineage(rng, created, first)
    topic = _topics(rng, lineage, planted["topic"], size)
    labelled = pl.Series(evenly(size, LABELLED["model"]))
    identities = _identities(rng, life, _model_names(rng, lineage, planted, topic), crowd)
    drawn = life.with_columns(
        identities.drop("name"),
        topic=topic,
        pipeline_tag=topic.set(~labelled, None),
        extra_tasks=_extra_tasks(rng, words.MODEL_TASKS, labelled, 0.05),
        papers=_cited(rng, created, papers, 0.2),
        datasets=_trained_on(rng, created, topic, datasets),
        library=_libraries(rng, topic, lineage.relation),
        relation=lineage.relation.set(pl.Series(rng.random(size) < 0.03), None),
        **_appearance(rng, "model", size),
    ).with_columns(layout=_copied_layouts(rng, lineage.relation))
    table = _finished(rng, planted, drawn).with_columns(
        pl.col("layout").replace("", None), pl.col("language").fill_null("en")
    )
    bases = written(table, lineage.base, created[lineage.derived])
    bare = {row["names"][0] for row in cast.MODELS if "/" not in row["names"][0]}
    short = table["first_id"].gather(lineage.base)
    bases = pl.select(
        pl.when(short.is_in([*bare])).then(short).otherwise(_misspelt(rng, bases, 0.005, 0.02))
    ).to_series()
    drawn_bases = _gathered(lineage.derived, bases, size)
    parent = np.concatenate([_parents_of_cast(), lineage.parent])
    base = np.maximum(parent, 0)
    is_typed = pl.col("relation").is_not_null()
    return table.with_columns(
        base_ids=pl.concat([planted["bases"], drawn_bases]),
        base_relation="relation",
        base_key=table["key"].gather(base),
        base_topic=table["topic"].gather(base),
        base_name=table["name"].gather(base),
        has_base=parent >= 0,
    ).with_columns(
        _tag_list(
            pl.col("library"),
            pl.when(pl.col("library").is_in(["transformers", "peft", "timm"])).then(
                pl.lit("safetensors")
            ),
            pl.when(pl.col("base_relation") == "quantized").then(pl.lit("gguf")),
            pl.col("pipeline_tag"), pl.col("extra_tasks"), pl.col("free_tags"),
            _tags("dataset:", "datasets"),
            pl.when(pl.col("language").is_not_null()).then(pl.col("language")),
            _tags("arxiv:", "papers"), _tags("base_model:", "base_ids"),
            pl.when(is_typed).then(
                pl.concat_list(
                    _tags("base_model:adapter:", "base_ids").list.head(_if("adapter")),
                    _tags("base_model:finetune:", "base_ids").list.head(_if("finetune")),
                    _tags("base_model:merge:", "base_ids").list.head(_if("merge")),
                    _tags("base_model:quantized:", "base_ids").list.head(_if("quantized")),
                )
            ).otherwise(pl.lit([], dtype=pl.List(pl.String))),
            _tag("license:", "license"),
            pl.when(pl.col("library") == "transformers").then(pl.lit("endpoints_compatible")),
            pl.lit("region:us"),
        ),
        siblings=_files(
            pl.when(pl.col("base_relation") == "quantized").then(pl.lit("model-Q4_K_M.gguf"))
            .when(pl.col("library") == "peft").then(pl.lit("adapter_model.safetensors"))
            .otherwise(pl.lit("model.safetensors"))
        ),
    )  # fmt: skip


def _if(relation: str) -> pl.Expr:
    return pl.when(pl.col("base_relation") == relation).then(100).otherwise(0)


@dataclass(frozen=True)
class Lineage:
    """Who derives from whom among the models of the crowd.

    Attributes:
        relation: per model, null for those without a base.
        parent: per model the row of its first base in the whole table, or -1.
        derived: per pair of model and base the number of the model in the crowd.
        base: per pair the row of the base in the whole table.
        first: rows before the crowd.
    """

    relation: pl.Series
    parent: np.ndarray
    derived: np.ndarray
    base: np.ndarray
    first: int

    def roots(self, follow: np.ndarray) -> np.ndarray:
        """Per model the row where its line begins, going up only where `follow` is true.

        Pointers are doubled, so that even long lines take a few steps only.
        """
        own = self.first + np.arange(len(self.parent))
        up = np.where(follow & (self.parent >= 0), self.parent, own)
        up = np.concatenate([np.arange(self.first), up])
        while not np.array_equal(further := up[up], up):
            up = further
        return up[self.first :]


def _lineage(rng: np.random.Generator, created: np.ndarray, first: int) -> Lineage:
    """Bases are earlier models: mostly a few foundation models, sometimes any."""
    size = len(created)
    is_derived = rng.random(size) < DERIVED
    foundation = np.flatnonzero(~is_derived & (rng.random(size) < 0.15))
    if not len(foundation):
        foundation = np.array([0])
    is_derived[: foundation[0] + 1] = False
    relation = draw(rng, RELATIONS, size).set(pl.Series(~is_derived), None)
    merges = (relation == "merge").fill_null(False).to_numpy()
    counts = np.where(is_derived, 1, 0) + np.where(merges, rng.integers(1, 4, size), 0)
    derived = np.repeat(np.arange(size), counts)
    known = foundation[earlier(rng, created[foundation], created[derived], 2.2)]
    known = np.where(known < derived, known, foundation[0])
    anything = (derived * rng.random(len(derived))).astype(np.int64)
    base = first + np.where(rng.random(len(derived)) < 0.72, known, anything)
    # The two short ids that everybody still writes.
    base = np.where(rng.random(len(derived)) < 0.05, rng.integers(0, 2, len(derived)), base)
    parent = np.full(size, -1)
    parent[derived[::-1]] = base[::-1]
    return Lineage(relation, parent, derived, base, first)


def _parents_of_cast() -> np.ndarray:
    """Rows of the first bases of the cast's models, under whatever name they are written."""
    rows = {name.lower(): row for row, model in enumerate(cast.MODELS) for name in model["names"]}
    firsts = [model.get("bases", [""])[0].lower() for model in cast.MODELS]
    return np.array([rows.get(name, -1) for name in firsts], dtype=np.int64)


def _topics(rng: np.random.Generator, lineage: Lineage, planted: pl.Series, size: int) -> pl.Series:
    """What each model is for: mostly what its base is for."""
    own = pl.concat([planted, draw(rng, words.MODEL_TASKS, size)])
    return own.gather(lineage.roots(rng.random(size) < 0.9)).alias("topic")


def _libraries(rng: np.random.Generator, topic: pl.Series, relation: pl.Series) -> pl.Series:
    usual = topic.replace_strict(words.TASK_LIBRARIES, default="transformers")
    unknown = pl.Series(rng.random(len(topic)) < 0.2)
    return pl.select(
        pl.when(relation == "adapter").then(pl.lit("peft"))
        .when(unknown).then(None)
        .otherwise(usual)
    ).to_series()  # fmt: skip


def _copied_layouts(rng: np.random.Generator, relation: pl.Series) -> pl.Expr:
    """Most quantizations and some other derived models copy their base's card."""
    copies = pl.Series(rng.random(len(relation)))
    share = pl.when(relation == "quantized").then(0.7).when(relation.is_not_null()).then(0.2)
    return pl.when(copies < share).then(pl.lit("copy")).otherwise("layout")


def _model_names(
    rng: np.random.Generator, lineage: Lineage, planted: pl.DataFrame, topic: pl.Series
) -> pl.Series:
    """Names that tell family, size, sometimes the task, and how a derived model was made."""
    size = len(topic)
    family, number = draw(rng, words.FAMILIES, size), draw(rng, words.SIZES, size)
    domain, noun = draw(rng, words.DOMAINS, size), draw(rng, words.NOUNS, size)
    hints = {task: rng.permutation(hints)[0] for task, hints in words.TASK_HINTS.items()}
    hint = topic.replace_strict(hints, default=None, return_dtype=pl.String)
    style = pl.Series(rng.integers(4, size=size))
    own = pl.select(
        pl.when(hint.is_null() | (style == 0)).then(pl.format("{}-{}-{}", family, noun, number))
        .when(style == 1).then(pl.format("{}_{}-{}", family, hint, domain))
        .when(style == 2).then(pl.format("{}-{}-{}", noun, hint, number))
        .otherwise(pl.format("{}.{}-{}", family, noun, domain))
    ).to_series()  # fmt: skip
    short = pl.Series([row["names"][-1].rpartition("/")[2] for row in cast.MODELS])
    root = pl.concat([short, own]).gather(lineage.roots(np.ones(size, dtype=bool)))
    kind = lineage.relation
    return pl.select(
        pl.when(kind == "adapter").then(pl.format("{}-lora-{}", root, domain))
        .when(kind == "finetune").then(pl.format("{}-{}-ft", root, domain))
        .when(kind == "merge").then(pl.format("{}-x-{}-merge", root, noun))
        .when(kind == "quantized").then(pl.format("{}-{}", root, draw(
            rng, ("GGUF", "AWQ", "4bit", "GPTQ-Int4"), size)))
        .otherwise(own)
    ).to_series().alias("name")  # fmt: skip


def _trained_on(
    rng: np.random.Generator, created: np.ndarray, topic: pl.Series, datasets: pl.DataFrame
) -> pl.Series:
    """Datasets that models name: mostly such as are made for the same task and already exist."""
    size = len(created)
    counts = np.where(rng.random(size) < 0.085, 1 + (rng.random(size) < 0.25), 0)
    rows = np.repeat(np.arange(size), counts)
    first = len(cast.DATASETS)
    known = datasets.slice(first)
    tasks = {task: number for number, task in enumerate(sorted(set(words.DATASET_TASKS)))}
    task = known["topic"].replace_strict(tasks, return_dtype=pl.Int64).to_numpy()
    order = np.lexsort((known["created"].to_numpy(), task))
    # One sorted key of task and date: how many of a task existed then is a difference of ranks.
    key = task[order] * NEVER_APART + known["created"].to_numpy()[order]
    wanted = topic.replace_strict(tasks, default=-1, return_dtype=pl.Int64).to_numpy()[rows]
    start = np.searchsorted(key, wanted * NEVER_APART)
    count = np.searchsorted(key, wanted * NEVER_APART + created[rows], side="right") - start
    same = order[np.minimum(start + (count * rng.random(len(rows)) ** 2).astype(int), len(key) - 1)]
    anything = earlier(rng, known["created"].to_numpy(), created[rows], 2.0)
    fits = (wanted >= 0) & (count > 0) & (rng.random(len(rows)) < 0.8)
    chosen = first + np.where(fits, same, anything)
    ids = _misspelt(rng, written(datasets, chosen, created[rows]), 0.01, 0.03)
    short = pl.Series(rng.random(len(rows)) < 0.06)
    return _gathered(rows, ids.set(short, "tiny-squad"), size)


NEVER_APART = 2**43
"""More than any date: keeps the dates of different tasks apart in one sorted key."""


# -- Spaces ---------------------------------------------------------------------------------------


def _spaces(
    seed: int, repositories: int, crowd: Crowd, models: pl.DataFrame, datasets: pl.DataFrame
) -> pl.DataFrame:
    rng = generator(seed, "spaces")
    life = _born(rng, "space", repositories, crowd)
    size, created = life.height, life["created"].to_numpy()
    noun, title = draw(rng, words.NOUNS, size), draw(rng, words.SPACE_TITLES, size)
    name = pl.select(pl.format("{}-{}", noun, title.str.to_lowercase())).to_series()
    used = {
        "models": _used(rng, created, models, len(cast.MODELS), 0.5),
        "datasets": _used(rng, created, datasets, len(cast.DATASETS), 0.1),
    }
    drawn = life.with_columns(
        _identities(rng, life, name, crowd).drop("name"),
        sdk=draw(rng, words.SDKS, size),
        title=pl.select(pl.format("{} {}", noun.str.to_titlecase(), title)).to_series(),
        emoji=draw(rng, words.EMOJI, size),
        **used,
        **_appearance(rng, "space", size),
    )
    table = _finished(rng, _planted(cast.SPACES).with_columns(layout=pl.lit("head_only")), drawn)
    return table.with_columns(
        _tag_list(pl.col("sdk"), pl.lit("region:us"), pl.col("free_tags")),
        siblings=_files(
            pl.when(pl.col("sdk") == "static").then(pl.lit("index.html"))
            .when(pl.col("sdk") == "docker").then(pl.lit("Dockerfile"))
            .otherwise(pl.lit("app.py"))
        ),
    )  # fmt: skip


def _used(
    rng: np.random.Generator, created: np.ndarray, table: pl.DataFrame, first: int, share: float
) -> pl.Series:
    """What Spaces say they use: a list, an empty one, or nothing at all."""
    size = len(created)
    counts = np.where(rng.random(size) < share, rng.geometric(0.5, size), 0)
    rows = np.repeat(np.arange(size), counts)
    chosen = first + earlier(rng, table["created"].to_numpy()[first:], created[rows], 2.0)
    ids = _misspelt(rng, written(table, chosen, created[rows]), 0.005, 0.02)
    absent = pl.Series((counts == 0) & (rng.random(size) < 0.8))
    lists = _gathered(rows, ids, size)
    return pl.select(pl.when(~absent).then(lists)).to_series()


# -- Edges between people and things --------------------------------------------------------------


def _likes(
    seed: int, kind: str, table: pl.DataFrame, crowd: Crowd, repositories: int
) -> pl.DataFrame:
    """Few repositories get most likes, four of five none at all."""
    rng = generator(seed, f"likes of {kind}")
    first, dates = _cast_size(kind), table["created"].to_numpy()
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
    rows = {row: n for n, row in enumerate(_last_names(kind))}
    drawn = pl.DataFrame({"repo": repo, "user": user, "at": at})
    by_hand = pl.DataFrame(
        {
            "repo": [rows[name] for name, _ in planted],
            "user": crowd.row_of([name for _, name in planted]),
            "at": np.full(len(planted), instant(cast.LIKED_AT)),
        }
    )
    return _once(pl.concat([by_hand, drawn]), "repo", "user")


def _cast_size(kind: str) -> int:
    return len(_last_names(kind))


def _last_names(kind: str) -> list[str]:
    rows = {"model": cast.MODELS, "dataset": cast.DATASETS, "space": cast.SPACES}[kind]
    return [row["names"][-1] for row in rows]


def _once(edges: pl.DataFrame, *ends: str) -> pl.DataFrame:
    """Each pair once, at its first date; what comes after the world's end is left out."""
    return (
        edges.filter(pl.col("at") < END)
        .sort("at", *ends)
        .unique(ends, keep="first", maintain_order=True)
    )


def _follows(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
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


def _members(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
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


# -- Collections ----------------------------------------------------------------------------------


def _collections(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
    rng = generator(seed, "collections")
    created = creation_times(rng, COLLECTIONS * repositories)
    size = len(created)
    drawn = pl.DataFrame(
        {
            "title": draw(rng, words.COLLECTION_TITLES, size),
            "owner": np.where(
                rng.random(size) < 0.07, crowd.org_at(rng, created, 1.5),
                crowd.user_at(rng, created, 1.3),
            ),
            "description": draw(
                rng, ("Things worth a second look", "Updated when I find time 📌", ""), size
            ).set(pl.Series(rng.random(size) < 0.5), None),
            "created": created,
        }
    )  # fmt: skip
    by_hand = pl.DataFrame(
        {
            "title": [row["title"] for row in cast.COLLECTIONS],
            "owner": crowd.row_of([row["owner"] for row in cast.COLLECTIONS]),
            "description": [row["description"] for row in cast.COLLECTIONS],
            "created": np.full(len(cast.COLLECTIONS), instant(cast.COLLECTED_AT)),
        }
    )
    table = pl.concat([by_hand, drawn])
    return table.with_columns(
        object_ids(rng, table["created"].to_numpy()).alias("_id"),
        theme=draw(rng, words.THEMES, table.height),
        popularity=(rng.pareto(1.1, table.height) * 2).clip(0, 3_000),
        deleted=crowd.accounts["deleted"].gather(table["owner"]),
    )


def _items(
    seed: int,
    collections: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    papers: pl.DataFrame,
) -> pl.DataFrame:
    """What collections hold; a collection grows over the months after its creation."""
    rng = generator(seed, "items")
    first = len(cast.COLLECTIONS)
    created = collections["created"].to_numpy()[first:]
    counts = np.minimum(rng.geometric(0.28, len(created)), 60)
    collection = np.repeat(np.arange(len(created)), counts)
    at = np.where(
        rng.random(len(collection)) < 0.6, created[collection] + 3_600 * SECOND,
        later(rng, created[collection], 60),
    )  # fmt: skip
    kinds = draw(
        rng, {"model": 0.495, "dataset": 0.15, "space": 0.198, "paper": 0.157}, len(at)
    ).to_numpy()
    parts = [_by_hand(collections)]
    offset = 0
    for kind in ITEM_KINDS:
        chosen = np.flatnonzero(kinds == kind)
        if kind == "paper":
            skip, dates = len(cast.PAPERS), papers["indexed"].cum_max().to_numpy()
            rows = skip + earlier(rng, dates[skip:], at[chosen], 1.5)
            ids = papers["id"].gather(rows)
        else:
            skip, table = _cast_size(kind), tables[kind]
            rows = skip + earlier(rng, table["created"].to_numpy()[skip:], at[chosen], 1.5)
            ids = written(table, rows, at[chosen])
        parts.append(
            pl.DataFrame(
                {
                    "collection": first + collection[chosen],
                    "type": [kind] * len(chosen),
                    "target": offset + rows,
                    "id": ids,
                    "added": at[chosen],
                },
                schema_overrides={"type": pl.String},
            )
        )
        offset += papers.height if kind == "paper" else tables[kind].height
    items = pl.concat(parts, how="diagonal_relaxed").sort(
        "collection", "added", maintain_order=True
    )
    unsaid = pl.Series(rng.random(items.height) < 0.9)
    notes = draw(rng, words.NOTES, items.height).set(unsaid, None)
    return items.with_columns(
        object_ids(rng, items["added"].to_numpy()).alias("_id"),
        note=pl.when(pl.col("collection") < first).then("note").otherwise(notes),
    )


def _by_hand(collections: pl.DataFrame) -> pl.DataFrame:
    """The cast's items, in the order written; a `collection` item is found by its title."""
    planted = collections.head(len(cast.COLLECTIONS))
    ids = dict(zip(planted["title"], planted["_id"], strict=True))
    rows = [
        {
            "collection": number,
            "type": kind,
            "target": -1,
            "id": ids[text] if kind == "collection" else text,
            "note": note,
            "added": instant(cast.COLLECTED_AT) + position * SECOND,
        }
        for number, row in enumerate(cast.COLLECTIONS)
        for position, (kind, text, note) in enumerate(row["items"])
    ]
    return pl.DataFrame(rows)
