"""One day of the sample world, indexed for look-ups: by id, by namespace, by sort key.

Belongs here: finding rows. Does not: how a row looks as JSON (`records`), nor HTTP. Every index is
made when first needed, in Polars; only the dictionaries from a name to a row number are Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

KINDS = ("model", "dataset", "space")

SORT_COLUMNS = {
    "createdAt": "created_at",
    "lastModified": "last_modified",
    "likes": "likes",
    "likes30d": "likes30d",
    "trendingScore": "trending_score",
    "id": "id",
}
"""Sort keys that all kinds of repository know, with the column each reads."""

_FURTHER_SORT_COLUMNS = {
    "model": {"downloads": "downloads"},
    "dataset": {"downloads": "downloads", "mainSize": "main_size"},
    "space": {},
}

ARXIV_TAG = r"^arxiv:(.+?)(?:v\d+)?$"


@dataclass(frozen=True)
class Groups:
    """Rows of a frame gathered by a key: `frame` is sorted by it, `spans` are offset and length."""

    frame: pl.DataFrame
    spans: dict[Any, tuple[int, int]]

    @classmethod
    def of(cls, frame: pl.DataFrame, key: str, then: str, *, descending: bool = False) -> Groups:
        """Groups `frame` by `key`; inside a group rows are in the order of `then`."""
        ordered = frame.sort(key, then, descending=[False, descending])
        sizes = ordered.group_by(key, maintain_order=True).agg(pl.len().alias("size"))
        starts = sizes["size"].cum_sum() - sizes["size"]
        spans = zip(sizes[key], zip(starts, sizes["size"], strict=True), strict=True)
        return cls(ordered, dict(spans))

    def size(self, key: Any) -> int:
        """Number of rows of `key`."""
        return self.spans.get(key, (0, 0))[1]

    def rows(self, key: Any, offset: int = 0, limit: int | None = None) -> pl.DataFrame:
        """Rows of `key`, or a slice of them."""
        start, size = self.spans.get(key, (0, 0))
        length = max(size - offset, 0)
        return self.frame.slice(start + offset, length if limit is None else min(limit, length))


@dataclass(frozen=True)
class Names:
    """Names to row numbers; also by their lower case, as the Hub finds names in any case."""

    rows: dict[str, int]
    by_lower_case: dict[str, str]

    @classmethod
    def of(cls, names: pl.Series) -> Names:
        """Indexes the names of a frame's rows."""
        listed = names.to_list()
        lowered = names.str.to_lowercase().to_list()
        return cls(
            dict(zip(listed, range(len(listed)), strict=True)),
            dict(zip(lowered, listed, strict=True)),
        )

    def canonical(self, name: str) -> str | None:
        """The name as it is spelled, or None where there is none in any case."""
        return name if name in self.rows else self.by_lower_case.get(name.lower())


@dataclass
class DayIndex:
    """Look-ups in one `WorldDay`.

    Attributes:
        world: the day.
    """

    world: Any
    _orders: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)

    def repositories(self, kind: str) -> pl.DataFrame:
        """Models, datasets or Spaces."""
        return getattr(self.world, f"{kind}s")

    @cached_property
    def repository_names(self) -> dict[str, Names]:
        """Repository ids by kind."""
        return {kind: Names.of(self.repositories(kind)["id"]) for kind in KINDS}

    @cached_property
    def account_names(self) -> Names:
        """Account names."""
        return Names.of(self.world.accounts["name"])

    @cached_property
    def account_ids(self) -> dict[str, str]:
        """Account names by `_id`."""
        accounts = self.world.accounts
        return dict(zip(accounts["_id"], accounts["name"], strict=True))

    @cached_property
    def moved(self) -> dict[tuple[str, str], str]:
        """New ids by kind and old id in lower case."""
        redirects = self.world.redirects
        olds = redirects["old_id"].str.to_lowercase()
        return dict(
            zip(zip(redirects["kind"], olds, strict=True), redirects["new_id"], strict=True)
        )

    def account(self, name: str) -> dict[str, Any] | None:
        """The account of exactly this name."""
        row = self.account_names.rows.get(name)
        return None if row is None else self.world.accounts.row(row, named=True)

    def repository(self, kind: str, repo_id: str) -> pl.DataFrame | None:
        """The repository of exactly this id, as a frame of one row."""
        row = self.repository_names[kind].rows.get(repo_id)
        return None if row is None else self.repositories(kind).slice(row, 1)

    def renamed_repository(self, kind: str, repo_id: str) -> str | None:
        """The id that an id in another case, an old or a short one leads to."""
        canonical = self.repository_names[kind].canonical(repo_id)
        if canonical is not None:
            return canonical
        if (target := self.moved.get((kind, repo_id.lower()))) is not None:
            return target
        namespace, slash, name = repo_id.partition("/")
        target = self.moved.get(("user", namespace.lower()))
        return f"{target}/{name}" if slash and target else None

    def renamed_account(self, name: str) -> str | None:
        """The name that a name in another case, or an old one, leads to."""
        return self.account_names.canonical(name) or self.moved.get(("user", name.lower()))

    # -- Listings ---------------------------------------------------------------------------------

    def sort_column(self, kind: str, sort: str) -> str | None:
        """The column of a sort key, or None where the kind cannot be sorted by it."""
        return SORT_COLUMNS.get(sort) or _FURTHER_SORT_COLUMNS[kind].get(sort)

    def ordered(self, kind: str, column: str) -> pl.DataFrame:
        """Repositories by `column` descending, nulls last, then by `_id`."""
        if (kind, column) not in self._orders:
            frame = self.repositories(kind)
            if column == "likes30d":
                frame = frame.join(self._recent_likes(kind), on="id", how="left").with_columns(
                    pl.col(column).fill_null(0)
                )
            self._orders[kind, column] = frame.sort(
                column, "_id", descending=[True, False], nulls_last=True
            )
        return self._orders[kind, column]

    def _recent_likes(self, kind: str) -> pl.DataFrame:
        end = datetime.combine(self.world.day, datetime.min.time(), UTC) + timedelta(days=1)
        return (
            self.world.likes.filter(
                pl.col("repo_kind") == kind, pl.col("liked_at") >= end - timedelta(days=30)
            )
            .group_by(pl.col("repo_id").alias("id"))
            .agg(pl.len().cast(pl.Int64).alias("likes30d"))
        )

    @cached_property
    def collections_by(self) -> dict[str, pl.DataFrame]:
        """Collections by sort key; `trending` favours upvotes, then what changed last."""
        frame = self.world.collections
        order = {
            "lastModified": ["last_updated"],
            "upvotes": ["upvotes"],
            "trending": ["upvotes", "last_updated"],
        }
        return {
            sort: frame.sort(*columns, "_id", descending=[True] * len(columns) + [False])
            for sort, columns in order.items()
        }

    @cached_property
    def collection_rows(self) -> dict[str, int]:
        """Row numbers of collections by `_id`, and by the slug without `_id`."""
        frame = self.world.collections
        rows = dict(zip(frame["_id"], range(frame.height), strict=True))
        rows.update(zip(frame["slug"].str.head(-25), range(frame.height), strict=True))
        return rows

    @cached_property
    def papers(self) -> pl.DataFrame:
        """Papers, newest first."""
        return self.world.papers.sort("published_at", "id", descending=[True, False])

    @cached_property
    def paper_rows(self) -> dict[str, int]:
        """Row numbers in `papers` by arXiv id."""
        return dict(zip(self.papers["id"], range(self.papers.height), strict=True))

    # -- Edges ------------------------------------------------------------------------------------

    @cached_property
    def likers(self) -> dict[str, Groups]:
        """Likes by repository, newest first, per kind."""
        kinds = self.world.likes.partition_by("repo_kind", as_dict=True)
        nothing = self.world.likes.clear()
        return {
            kind: Groups.of(kinds.get((kind,), nothing), "repo_id", "liked_at", descending=True)
            for kind in KINDS
        }

    @cached_property
    def likes_of(self) -> Groups:
        """Likes by user, newest first."""
        return Groups.of(self.world.likes, "user", "liked_at", descending=True)

    @cached_property
    def followers(self) -> Groups:
        """Follows by the followed account."""
        return Groups.of(self.world.follows, "followed", "follower")

    @cached_property
    def following(self) -> Groups:
        """Follows by the follower."""
        return Groups.of(self.world.follows, "follower", "followed")

    @cached_property
    def members(self) -> Groups:
        """Memberships by organization."""
        return Groups.of(self.world.members, "org", "user")

    @cached_property
    def memberships(self) -> Groups:
        """Memberships by user."""
        return Groups.of(self.world.members, "user", "org")

    @cached_property
    def published(self) -> dict[str, dict[str, int]]:
        """Number of repositories by namespace, per kind."""
        counts = {kind: self.repositories(kind)["author"].value_counts() for kind in KINDS}
        return {kind: dict(frame.iter_rows()) for kind, frame in counts.items()}

    @cached_property
    def papers_of(self) -> dict[str, int]:
        """Number of papers by linked user."""
        linked = (
            self.world.papers.select("id", "authors")
            .explode("authors", empty_as_null=False)
            .select("id", pl.col("authors").struct.field("user"))
            .drop_nulls()
            .unique()
        )
        return dict(linked["user"].value_counts().iter_rows())

    @cached_property
    def spaces_using(self) -> dict[str, Groups]:
        """Spaces by the model or dataset that they name."""
        return {kind: self._spaces_using(f"{kind}s") for kind in ("model", "dataset")}

    def _spaces_using(self, column: str) -> Groups:
        uses = self.world.spaces.select(pl.col("id").alias("space"), pl.col(column).alias("id"))
        return Groups.of(uses.explode("id").drop_nulls(), "id", "space")

    @cached_property
    def children(self) -> dict[str, dict[str, int]]:
        """Number of models by base and relation."""
        counts = (
            self.world.models.select(pl.col("base_ids").alias("id"), "base_relation")
            .explode("id")
            .drop_nulls()
            .group_by("id", "base_relation")
            .len()
        )
        children: dict[str, dict[str, int]] = {}
        for base, relation, number in counts.iter_rows():
            children.setdefault(base, {})[relation] = number
        return children

    @cached_property
    def citing(self) -> dict[str, Groups]:
        """Repositories by the arXiv id that their tags name, without its version, per kind."""
        return {kind: self._citing(kind) for kind in KINDS}

    def _citing(self, kind: str) -> Groups:
        cited = (
            self.repositories(kind)
            .select("id", pl.col("tags").alias("paper"))
            .explode("paper")
            .with_columns(pl.col("paper").str.extract(ARXIV_TAG, 1))
            .drop_nulls()
            .unique()
        )
        return Groups.of(cited, "paper", "id")
