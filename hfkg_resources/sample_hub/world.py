"""The sample world and how it looks at the end of any day of its life.

Belongs here: cutting a day out of all that ever is. Does not: what there is (`population`), what
cards and other files say (`cards`, `contents`), HTTP (`server`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cards, contents
from hfkg_resources.sample_hub.drawing import DAY, FIRST_DAY, LAST_DAY, hex_digits, instant
from hfkg_resources.sample_hub.population import Population, populate
from hfkg_resources.sample_hub.repositories import KINDS, id_at
from hfkg_resources.table_schema import INSTANT

_EDITED_TAG = "model_hub_mixin"
_CACHED_DAYS = 4

_REPOSITORY = ("_id", "id", "author", "sha", "created_at", "last_modified")
_COUNTED = ("downloads", "downloads_all_time")
COLUMNS = {
    "model": (
        *_REPOSITORY, "gated", "disabled", *_COUNTED, "likes", "trending_score", "pipeline_tag",
        "library_name", "tags", "siblings", "base_relation", "base_ids",
    ),
    "dataset": (
        *_REPOSITORY, "gated", "disabled", *_COUNTED, "likes", "trending_score", "tags",
        "siblings", "description", "citation", "main_size",
    ),
    "space": (
        *_REPOSITORY, "disabled", "likes", "trending_score", "tags", "siblings", "sdk", "title",
        "emoji", "models", "datasets",
    ),
}  # fmt: skip
"""Columns of a day's repositories by kind."""


@dataclass(frozen=True)
class WorldDay:
    """The Hub at the end of a day: what is alive and public then.

    Attributes:
        day: the day.
        models: one row each, as are `datasets` and `spaces`; columns in `COLUMNS`.
        likes: `repo_kind repo_id user liked_at`.
        accounts: `_id name kind fullname is_pro avatar_url created_at details members_hidden plan`.
        members: `org user`.
        follows: `follower followed followed_kind`.
        collections: `_id slug title description owner owner_kind theme upvotes last_updated
            position items`.
        papers: `id title summary published_at upvotes authors`.
        redirects: `kind old_id new_id`, one hop each.
        facts: by kind, what cards and other files tell, row by row as the repositories.
    """

    day: date
    models: pl.DataFrame
    datasets: pl.DataFrame
    spaces: pl.DataFrame
    likes: pl.DataFrame
    accounts: pl.DataFrame
    members: pl.DataFrame
    follows: pl.DataFrame
    collections: pl.DataFrame
    papers: pl.DataFrame
    redirects: pl.DataFrame
    facts: Mapping[str, pl.DataFrame] = field(repr=False)

    def readme(self, kind: str, repo_id: str) -> bytes | None:
        """The README as of this day; None where there is none."""
        row = self._rows[kind].get(repo_id)
        if row is None:
            return None
        facts = self.facts[kind].row(row, named=True)
        return None if facts["layout"] is None else cards.card(kind, facts)

    def file_facts(self, kind: str, repo_id: str, sha: str | None = None) -> contents.Facts | None:
        """What the files of a repository are written from.

        Args:
            kind: `model`, `dataset` or `space`.
            repo_id: a repository of this day.
            sha: a commit; by default the present one. None is the answer where there is no such.
        """
        facts = self.facts[kind].row(self._rows[kind][repo_id], named=True)
        if sha is None:
            return facts
        commits = commit_ids(facts["key"], facts["revision"])
        return facts | {"revision": commits.index(sha)} if sha in commits else None

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        ids = {kind: facts["id"].to_list() for kind, facts in self.facts.items()}
        return {kind: {name: row for row, name in enumerate(names)} for kind, names in ids.items()}


class World:
    """A deterministic Hub with a life of some years.

    Args:
        seed: another seed, another world; the cast (`cast`) is in all of them.
        repositories: models, datasets and Spaces alive on 24 November 2026, within 10 %. The world
            grows before and after by 6 % a month.
    """

    first_day = FIRST_DAY
    last_day = LAST_DAY

    def __init__(self, seed: int = 7, repositories: int = 1_500) -> None:
        if repositories < 1:
            raise ValueError(f"repositories must be at least 1, not {repositories}")
        self.seed = seed
        self.repositories = repositories
        self._population = populate(seed, repositories)
        self._at = lru_cache(maxsize=_CACHED_DAYS)(lambda day: _cut(self._population, day))

    def at(self, day: date) -> WorldDay:
        """The Hub at the end of a day (UTC); a day outside its life is the nearest end's."""
        return self._at(min(max(day, self.first_day), self.last_day))


def _cut(population: Population, day: date) -> WorldDay:
    end = instant(day) + DAY
    accounts = _Names.of_accounts(population.accounts, end)
    repositories = {
        kind: _Names.of_repositories(population.repositories[kind], end) for kind in KINDS
    }
    frames, facts = {}, {}
    for kind in KINDS:
        table = population.repositories[kind].filter(pl.Series(repositories[kind].alive))
        likes = _counted(population.likes[kind], end, len(repositories[kind].alive))
        full = _repositories(
            table.with_columns(repositories[kind].names.filter(repositories[kind].mask)),
            [column.filter(repositories[kind].mask) for column in likes],
            kind, end,
        )  # fmt: skip
        full = full.sort("_id")
        frames[kind] = full.select(COLUMNS[kind])
        facts[kind] = full.select(contents.FACTS[kind])
    return WorldDay(
        day=day,
        models=frames["model"],
        datasets=frames["dataset"],
        spaces=frames["space"],
        likes=_likes(population, repositories, accounts, end),
        accounts=_accounts(population.accounts, accounts, end),
        members=_members(population.members, accounts, end),
        follows=_follows(population, accounts, end),
        collections=_collections(population, repositories, accounts, end),
        papers=_papers(population, accounts, end),
        redirects=_redirects(population, end),
        facts=facts,
    )


@dataclass(frozen=True)
class _Names:
    """The names that rows of a table have on a day, and which rows are alive then."""

    names: pl.Series
    alive: np.ndarray

    @property
    def mask(self) -> pl.Series:
        return pl.Series(self.alive)

    @classmethod
    def of_accounts(cls, table: pl.DataFrame, end: int) -> _Names:
        name = pl.when(pl.col("renamed_at") < end).then("name").otherwise("first_name")
        return cls(table.select(name.alias("name")).to_series(), _alive(table, end))

    @classmethod
    def of_repositories(cls, table: pl.DataFrame, end: int) -> _Names:
        return cls(table.select(id_at(pl.lit(end - 1))).to_series(), _alive(table, end))

    def at(self, rows: pl.Series) -> pl.Series:
        """The names of rows; null for those not alive, and for null."""
        names = pl.select(pl.when(self.mask).then(self.names)).to_series()
        return names.gather(rows)


def _alive(table: pl.DataFrame, end: int) -> np.ndarray:
    return ((table["created"] < end) & (table["deleted"] >= end)).to_numpy()


def _moment(column: str) -> pl.Expr:
    return pl.col(column).cast(INSTANT)


# -- Repositories ---------------------------------------------------------------------------------


def _counted(likes: pl.DataFrame, end: int, size: int) -> list[pl.Series]:
    """Per repository the likes up to the day, removed likers' too, and those of the last week."""
    times, repos = likes["at"].to_numpy(), likes["repo"].to_numpy()
    until, week = np.searchsorted(times, [end, end - 7 * DAY])
    return [
        pl.Series(name, np.bincount(repos[since:until], minlength=size))
        for name, since in (("likes", 0), ("trending_score", week))
    ]


def _repositories(
    table: pl.DataFrame, counters: list[pl.Series], kind: str, end: int
) -> pl.DataFrame:
    """Living repositories with everything that depends on the day."""
    last = end - 1
    revision = ((last - pl.col("created")) // pl.col("edit_every")).clip(upper_bound="edits")
    age_in_days = (end - pl.col("created")) / DAY
    # A month's downloads swell and sink with the seasons; those of all time only grow.
    season = 1 + 0.2 * (age_in_days / 45 + pl.col("key") % 7).sin()
    table = table.with_columns(*counters, revision=revision.cast(pl.Int64)).with_columns(
        _sha(table["key"], table.select(revision).to_series()),
        pl.col("likes") + pl.col("unlisted_likes"),
        author=pl.when(pl.col("id").str.contains("/", literal=True)).then(
            pl.col("id").str.split("/").list.first()
        ),
        created_at=_moment("created"),
        last_modified=(pl.col("created") + pl.col("revision") * pl.col("edit_every")).cast(INSTANT),
        disabled=pl.col("disabled_from") < end,
        gated=pl.when(pl.col("gated_from") < end).then("gated").otherwise(pl.lit("false")),
        downloads=(pl.col("popularity") * (1 - (-age_in_days / 20).exp()) * season).cast(pl.Int64),
        downloads_all_time=(pl.col("popularity") * age_in_days / 24).cast(pl.Int64),
    )
    if kind == "model":
        # An edit may show in the tags: some models gain one with their first.
        gains = (pl.col("revision") > 0) & (pl.col("key") % 16 == 0)
        table = table.with_columns(
            pl.when(gains).then(pl.concat_list("tags", pl.lit(_EDITED_TAG))).otherwise("tags"),
            pl.col("library").alias("library_name"),
        )
    return table


def _sha(key: pl.Series, revision: pl.Series) -> pl.Series:
    """A commit id per repository and revision: 20 bytes of a mixed counter."""
    state = key.to_numpy().astype(np.uint64)[:, None] + revision.to_numpy().astype(np.uint64)[
        :, None
    ] * np.uint64(0x9E3779B97F4A7C15)
    state = state + np.arange(1, 4, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
    return hex_digits(_mixed(state).view(np.uint8).reshape(-1, 24)[:, :20]).alias("sha")


def commit_ids(key: int, revision: int) -> list[str]:
    """The ids of a repository's commits up to a revision, the first one first."""
    revisions = pl.Series(range(revision + 1))
    return _sha(pl.Series([key]).new_from_index(0, revision + 1), revisions).to_list()


def _mixed(state: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _redirects(population: Population, end: int) -> pl.DataFrame:
    """Old ids of what is alive, each to the one that replaced it."""
    accounts = population.accounts.filter(
        pl.Series(_alive(population.accounts, end)), pl.col("renamed_at") < end
    )
    hops = [
        accounts.select(
            pl.lit("user").alias("kind"),
            pl.col("first_name").alias("old_id"),
            pl.col("name").alias("new_id"),
        )
    ]
    for kind in KINDS:
        table = population.repositories[kind]
        table = table.filter(pl.Series(_alive(table, end)))
        for at, old, new in (
            ("renamed_at", "first_id", "second_id"),
            ("renamed_again_at", "second_id", "third_id"),
        ):
            moved = table.filter(pl.col(at) < end)
            hops.append(
                moved.select(
                    pl.lit(kind).alias("kind"),
                    pl.col(old).alias("old_id"),
                    pl.col(new).alias("new_id"),
                )
            )
    return pl.concat(hops).sort("kind", "old_id")


# -- Accounts and what joins them -----------------------------------------------------------------


def _accounts(table: pl.DataFrame, names: _Names, end: int) -> pl.DataFrame:
    return (
        table.with_columns(names.names)
        .filter(names.mask)
        .select(
            "_id", "name", "kind", "fullname", "is_pro", "avatar_url",
            _moment("created").alias("created_at"), "details", "members_hidden", "plan",
        )
        .sort("_id")
    )  # fmt: skip


def _until(edges: pl.DataFrame, end: int) -> pl.DataFrame:
    """The edges of the days up to now: they are sorted by date."""
    return edges.head(int(np.searchsorted(edges["at"].to_numpy(), end)))


def _likes(
    population: Population, repositories: Mapping[str, _Names], accounts: _Names, end: int
) -> pl.DataFrame:
    parts = []
    for kind in KINDS:
        edges = _until(population.likes[kind], end)
        parts.append(
            edges.select(
                repo_kind=pl.lit(kind),
                repo_id=repositories[kind].at(edges["repo"]),
                user=accounts.at(edges["user"]),
                liked_at=_moment("at"),
            ).drop_nulls()
        )
    return pl.concat(parts).sort("repo_kind", "repo_id", "user")


def _members(edges: pl.DataFrame, accounts: _Names, end: int) -> pl.DataFrame:
    edges = _until(edges, end)
    named = edges.select(org=accounts.at(edges["org"]), user=accounts.at(edges["user"]))
    return named.drop_nulls().sort("org", "user")


def _follows(population: Population, accounts: _Names, end: int) -> pl.DataFrame:
    edges = _until(population.follows, end)
    named = edges.select(
        follower=accounts.at(edges["follower"]),
        followed=accounts.at(edges["followed"]),
        followed_kind=population.accounts["kind"].gather(edges["followed"]),
    )
    return named.drop_nulls().sort("follower", "followed")


# -- Collections and papers -----------------------------------------------------------------------


def _collections(
    population: Population, repositories: Mapping[str, _Names], accounts: _Names, end: int
) -> pl.DataFrame:
    table = population.collections.with_row_index("collection").with_columns(
        pl.col("collection").cast(pl.Int64),
        accounts.at(population.collections["owner"]).alias("owner"),
        population.accounts["kind"].gather(population.collections["owner"]).alias("owner_kind"),
    )
    table = table.filter(pl.Series(_alive(table, end)), pl.col("owner").is_not_null())
    title = (
        pl.col("title").str.to_lowercase().str.replace_all(r"[^a-z0-9]+", "-").str.strip_chars("-")
    )
    table = table.with_columns(
        slug=pl.format("{}/{}-{}", "owner", title, "_id"),
        upvotes=_grown("popularity", "created", end, 120),
        position=(pl.int_range(pl.len()).over("owner")).cast(pl.Int64),
    )
    items = _items(population, repositories, table, end)
    no_items = pl.lit([], dtype=items.schema["items"])
    return (
        table.join(items, on="collection", how="left")
        .select(
            "_id", "slug", "title", "description", "owner", "owner_kind", "theme", "upvotes",
            pl.max_horizontal("created", "last_added").cast(INSTANT).alias("last_updated"),
            "position", pl.col("items").fill_null(no_items),
        )
        .sort("_id")
    )  # fmt: skip


def _items(
    population: Population, repositories: Mapping[str, _Names], collections: pl.DataFrame, end: int
) -> pl.DataFrame:
    """Items by collection, in the order added; what is gone has left every collection."""
    papers = (population.papers["indexed"] < end).to_numpy()
    # Where there is no target the last entry is looked up: texts written by hand always show.
    alive = np.concatenate([*(repositories[kind].alive for kind in KINDS), papers, [True]])
    shown = pl.Series(alive).gather(population.items["target"].to_numpy() % len(alive))
    slugs = collections.select(pl.col("_id").alias("id"), type=pl.lit("collection"), slug="slug")
    item = pl.struct("_id", "type", "id", "position", "note", "slug")
    return (
        population.items.filter(shown, pl.col("added") < end)
        .with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64).over("collection"))
        .join(slugs, on=["id", "type"], how="left", maintain_order="left")
        .group_by("collection", maintain_order=True)
        .agg(item.alias("items"), pl.col("added").max().alias("last_added"))
    )


def _grown(popularity: str, since: str, end: int, days: int) -> pl.Expr:
    """A counter that rises to its popularity within some days and never falls."""
    return (
        pl.col(popularity) * (1 - (-(end - pl.col(since)) / (days * DAY)).exp())
    ).cast(pl.Int64)  # fmt: skip


def _papers(population: Population, accounts: _Names, end: int) -> pl.DataFrame:
    papers = population.papers.with_row_index("paper").with_columns(pl.col("paper").cast(pl.Int64))
    papers = papers.filter(pl.col("indexed") < end)
    linked = (pl.col("linked_at") < end) & pl.col("status").is_not_null()
    # A link outlives the account it leads to: the paper goes on naming it.
    user = pl.coalesce(accounts.names.gather(population.authors["row"]), "account")
    people = (
        population.authors.with_columns(
            user=pl.when(linked).then(user),
            status=pl.when(linked).then("status"),
            status_changed_at=pl.when(linked).then(_moment("linked_at")),
        )
        .group_by("paper", maintain_order=True)
        .agg(
            pl.struct("_id", "name", "hidden", "user", "status", "status_changed_at").alias(
                "authors"
            )
        )
    )
    return (
        papers.join(people, on="paper", how="left")
        .select(
            "id", "title", "summary", _moment("published").alias("published_at"),
            _grown("popularity", "indexed", end, 30).alias("upvotes"), "authors",
        )
        .sort("id")
    )  # fmt: skip
