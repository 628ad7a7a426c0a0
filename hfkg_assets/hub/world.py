"""The sample Hub's world written straight as raw tables: what a crawl of it would give.

For graphs at the size of the real Hub, whose crawl over HTTP would take hours: with the source
`world` everything right of `hub/*` works on the same rows. Card texts are left out. Belongs here:
how the world's frames become the raw tables. Does not: the world itself (`sample_hub.world`).
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.accounts import seen_names
from hfkg_assets.hub.aliases import listed_ids, references, split_by_case, unlisted
from hfkg_assets.hub.coverage import SET_ASIDE, journals
from hfkg_assets.hub.crawling import CrawledTable, in_order
from hfkg_assets.hub.plan import PLAN
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.crawl import (
    CARRIED,
    COMPLETE,
    LEDGER,
    LEDGER_FILE,
    REPORT,
    SET_ASIDE_FILE,
    StageReport,
)
from hfkg_resources.sample_hub.day_index import DayIndex
from hfkg_resources.sample_hub.tags import dataset_tags, model_tags, task_pages
from hfkg_resources.sample_hub.world import World, WorldDay
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

MOST_RENAMINGS = 4
"""An id is followed through so many renamings of the repository and of its owner."""


def world_tables(world: World, day: date) -> dict[str, pl.LazyFrame]:
    """All raw tables of a day of the world, by short name."""
    at = world.at(day)
    tables = {
        "tasks": _rows(list(task_pages().values())),
        "tags": _tags(at),
        "models": _repositories(at.models),
        "datasets": _repositories(at.datasets),
        "spaces": _repositories(at.spaces),
        "collections": _collections(at),
        "papers": _papers(at),
        "likers": _with_account(at, at.likes.lazy()),
    }
    repositories = {kind: tables[f"{kind}s"] for kind in ("model", "dataset", "space")}
    tables["accounts"] = _accounts(
        at, [*repositories.values()], tables["collections"], tables["papers"], tables["likers"]
    )
    tables["followers"] = _followers(at, tables["accounts"])
    tables["members"] = _members(at, tables["accounts"])
    tables["aliases"] = _aliases(at, tables, repositories)
    return {
        name: _as_declared(tables[name], columns, day)
        if name in tables
        else pl.LazyFrame(schema=schema_of(columns))
        for name, columns in RAW.items()
    }


RAW: Mapping[str, tuple[Column, ...]] = {
    "tasks": observations.TASKS,
    "tags": observations.TAGS,
    "models": observations.MODELS,
    "datasets": observations.DATASETS,
    "spaces": observations.SPACES,
    "collections": observations.COLLECTIONS,
    "papers": observations.PAPERS,
    "accounts": observations.ACCOUNTS,
    "likers": observations.LIKERS,
    "followers": observations.FOLLOWERS,
    "members": observations.MEMBERS,
    "model_cards": observations.CARDS,
    "dataset_cards": observations.CARDS,
    "aliases": observations.ALIASES,
    "crawl_plan": PLAN,
}
"""Columns of every raw table by short name."""


def _as_declared(rows: pl.LazyFrame, columns: tuple[Column, ...], day: date) -> pl.LazyFrame:
    there = set(rows.collect_schema())
    made = {
        "observed_at": pl.lit(datetime(day.year, day.month, day.day, tzinfo=UTC)),
        CARRIED.name: pl.lit(False),
    }
    return rows.select(
        made.get(column.name, pl.col(column.name) if column.name in there else pl.lit(None))
        .cast(column.dtype)
        .alias(column.name)
        for column in columns
    )


def write_world(
    world: World, tables: Sequence[CrawledTable], origin: str, warehouse: Warehouse, day: str
) -> Iterator[tuple[CrawledTable, pl.LazyFrame]]:
    """The wanted raw tables of a day, with what coverage and ledger are made of.

    Args:
        world: the world.
        tables: those wanted.
        origin: how the ledger names the world.
        warehouse: where they will be stored.
        day: the snapshot date.

    Yields:
        Each table with its rows, after those that it reads.
    """
    of_day = date.fromisoformat(day)
    rows = world_tables(world, of_day)
    for table in in_order(tables):
        name = table.short_name
        count = int(rows[name].select(pl.len()).collect().item())
        report = StageReport(
            stage=name, expected=count, fetched=count, unchanged=0, deferred=0, missing=0,
            failed=0, set_aside=0, rows=count, requests=0,
        )  # fmt: skip
        unit = {
            "stage": name, "unit": name, "status": "ok", "observed_on": of_day, "origin": origin,
        }  # fmt: skip
        ledger = pl.DataFrame([unit], schema=schema_of(LEDGER))
        none_aside = pl.DataFrame(schema=schema_of(SET_ASIDE)).drop("stage")
        folder = journals(warehouse, day) / name
        shutil.rmtree(folder, ignore_errors=True)
        write_atomically(folder / f"{name}{LEDGER_FILE}", ledger.write_parquet)
        write_atomically(folder / f"{name}{SET_ASIDE_FILE}", none_aside.write_parquet)
        text = json.dumps(asdict(report)).encode()
        write_atomically(folder / f"{name}{REPORT}", partial(Path.write_bytes, data=text))
        write_atomically(folder / COMPLETE, Path.touch)
        yield table, rows[name]


def _rows(records: list[dict[str, Any]]) -> pl.LazyFrame:
    return pl.LazyFrame([{"id": record["id"], "label": record["label"]} for record in records])


def _tags(at: WorldDay) -> pl.LazyFrame:
    index = DayIndex(at)
    vocabularies: Mapping[str, Callable[[DayIndex], Mapping[str, list[dict[str, Any]]]]] = {
        "model": model_tags,
        "dataset": dataset_tags,
    }
    frames = [
        pl.DataFrame(
            {
                "kind": [kind] * len(tags),
                "type": [group] * len(tags),
                "id": [tag["id"] for tag in tags],
                "label": [tag["label"] for tag in tags],
            },
            schema=dict.fromkeys(("kind", "type", "id", "label"), pl.String),
        )
        for kind, vocabulary in vocabularies.items()
        for group, tags in vocabulary(index).items()
    ]
    return pl.concat(frames).lazy().sort("kind", "type", "id")


def _repositories(frame: pl.DataFrame) -> pl.LazyFrame:
    return (
        frame.lazy()
        .with_columns(
            createdAt="created_at",
            lastModified="last_modified",
            private=pl.lit(False),
            files=pl.col("siblings").list.len(),
            has_readme=pl.col("siblings").list.contains("README.md"),
        )
        .rename({"downloads_all_time": "downloadsAllTime"}, strict=False)
        .sort("id")
    )


def _accounts_of(at: WorldDay) -> pl.LazyFrame:
    return at.accounts.lazy().select("_id", "name", "fullname", "kind", isPro="is_pro")


def _with_account(at: WorldDay, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows that name a `user`, with what lists of users tell of it."""
    accounts = _accounts_of(at).select("_id", "fullname", "isPro", user="name")
    return rows.join(accounts, on="user", maintain_order="left")


def _collections(at: WorldDay) -> pl.LazyFrame:
    item = pl.element().struct
    owners = _accounts_of(at).select(
        "fullname", "isPro", owner="name", owner_id="_id", type="kind"
    ).join(_follower_counts(at).rename({"name": "owner"}), on="owner", how="left")  # fmt: skip
    account = pl.struct(
        pl.col("owner").alias("name"), "type", pl.col("owner_id").alias("_id"), "fullname",
        "isPro", pl.col("numFollowers").fill_null(0).alias("followerCount"),
    )  # fmt: skip
    return (
        at.collections.lazy()
        .join(owners, on="owner", how="left", maintain_order="left")
        .with_columns(
            lastUpdated="last_updated",
            owner_name="owner",
            owner_type="owner_kind",
            accounts=pl.concat_list(account),
            items=pl.col("items").list.eval(
                pl.struct(
                    item.field("_id"),
                    item.field("type"),
                    pl.coalesce(item.field("slug"), item.field("id")).alias("id"),
                    item.field("position"),
                    item.field("note"),
                )
            ),
            is_complete=pl.lit(True),
        )
        .sort("slug")
    )


def _papers(at: WorldDay) -> pl.LazyFrame:
    authors = (
        at.papers.lazy()
        .select("id", "authors")
        .explode("authors")
        .unnest("authors")
        .select("id", "name", "user", "status")
        .join(
            _accounts_of(at).select("fullname", user="name", user_id="_id"),
            on="user",
            how="left",
            maintain_order="left",
        )
        .group_by("id", maintain_order=True)
        .agg(pl.struct("name", "user", "user_id", "fullname", "status").alias("authors"))
    )
    papers = at.papers.lazy().drop("authors").rename({"published_at": "publishedAt"})
    return papers.join(authors, on="id", how="left", maintain_order="left").sort("id")


def _follower_counts(at: WorldDay) -> pl.LazyFrame:
    return at.follows.lazy().group_by(name="followed").agg(numFollowers=pl.len())


def _accounts(
    at: WorldDay,
    repositories: list[pl.LazyFrame],
    collections: pl.LazyFrame,
    papers: pl.LazyFrame,
    likers: pl.LazyFrame,
) -> pl.LazyFrame:
    """The accounts that a crawl meets: those that something names."""
    named = likers.with_columns(pl.lit(False).alias(CARRIED.name))
    seen = seen_names(repositories, collections, papers, named).select("name", "only_likes")
    counts = at.members.lazy().group_by(name="org").agg(numUsers=pl.len())
    known = at.accounts.lazy().select(
        "name", "kind", "_id", "fullname", isPro="is_pro", createdAt="created_at"
    )
    is_org = pl.col("kind") == "org"
    return (
        known.join(seen.lazy(), on="name")
        .join(_follower_counts(at), on="name", how="left")
        .join(counts, on="name", how="left")
        .with_columns(
            pl.col("numFollowers").fill_null(0),
            pl.when(is_org).then(pl.col("numUsers").fill_null(0)),
            pl.when(~is_org).then("isPro"),
        )
        .sort("name")
    )


def _followers(at: WorldDay, accounts: pl.LazyFrame) -> pl.LazyFrame:
    follows = at.follows.lazy().select(name="followed", kind="followed_kind", user="follower")
    met = follows.join(accounts.select("name"), on="name", how="semi")
    return _with_account(at, met).sort("kind", "name", "user")


def _members(at: WorldDay, accounts: pl.LazyFrame) -> pl.LazyFrame:
    shown = at.accounts.lazy().filter(~pl.col("members_hidden").fill_null(False))
    met = at.members.lazy().join(accounts.select(org="name"), on="org", how="semi")
    met = met.join(shown.select(org="name"), on="org", how="semi")
    return _with_account(at, met).sort("org", "user")


def _aliases(
    at: WorldDay, tables: Mapping[str, pl.LazyFrame], repositories: Mapping[str, pl.LazyFrame]
) -> pl.LazyFrame:
    known = listed_ids(repositories)
    referred = references({f"hub/{name}": frame for name, frame in tables.items()})
    by_case, left = split_by_case(unlisted(referred, known), known)
    found = _redirected(at, left, known)
    return pl.concat(
        [
            by_case.with_columns(pl.lit("case").alias("via")),
            found.drop_nulls("canonical_id").with_columns(pl.lit("renamed").alias("via")),
            found.filter(pl.col("canonical_id").is_null()).with_columns(
                pl.lit("missing").alias("via")
            ),
        ]
    ).lazy().sort("kind", "id")  # fmt: skip


def _redirected(at: WorldDay, left: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Ids (`kind`, `id`) with the listed id that redirects lead to, null where they lead nowhere.

    Like the Hub, redirects hold for any spelling of the old id and of its owner.
    """
    folded = pl.col("old_id").str.to_lowercase().alias("folded")
    hops = at.redirects.select("kind", folded, "new_id").unique(["kind", "folded"])
    owners = hops.filter(pl.col("kind") == "user").select(owner="folded", new_owner="new_id")
    spelled = known.select("kind", pl.col("id").alias("spelled")).with_columns(
        pl.col("spelled").str.to_lowercase().alias("folded")
    ).unique(["kind", "folded"])  # fmt: skip
    found = left.with_columns(pl.col("id").alias("now"))
    for _ in range(MOST_RENAMINGS):
        parts = pl.col("folded").str.splitn("/", 2).struct
        found = (
            found.with_columns(pl.col("now").str.to_lowercase().alias("folded"))
            .join(spelled, on=["kind", "folded"], how="left")
            .join(hops, on=["kind", "folded"], how="left")
            .with_columns(owner=parts.field("field_0"), rest=parts.field("field_1"))
            .join(owners, on="owner", how="left")
            .with_columns(
                pl.coalesce(
                    "spelled", "new_id", pl.format("{}/{}", "new_owner", "rest"), "now"
                ).alias("now")
            )
            .select("kind", "id", "now")
        )
    listed = known.with_columns(pl.col("id").alias("canonical_id"))
    return found.join(listed, left_on=["kind", "now"], right_on=["kind", "id"], how="left").select(
        "kind", "id", "canonical_id"
    )
