"""`hub/aliases`: ids that something refers to and that no listing holds, with what they stand for.

Renamed and moved repositories, short ids of old ones and ids in the wrong case are all written in
tags, Spaces and collections. A difference of case is settled from the listing, a renaming since the
snapshot before by the stable id; for the rest the Hub is asked once per id, and its redirects tell.
What an id stands for is kept across snapshots.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.carrying import renamings
from hfkg_assets.hub.crawling import Table, crawled_table, now, observed_now
from hfkg_assets.vocabulary import (
    RELATIONS,
    REPOSITORY_ID,
    REPOSITORY_TYPES,
    Items,
    ListColumn,
    Tag,
)
from hfkg_resources.crawl import Crawl
from hfkg_resources.table_schema import schema_of


def references(tables: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Every repository id that a relation's rule reads out of the raw tables.

    Args:
        tables: raw tables by asset key.

    Returns:
        `kind`, `id`, each pair once.
    """
    found = []
    for relation in RELATIONS.values():
        table = tables.get(relation.sources[0])
        other = relation.object
        match relation.rule:
            case Tag(prefix=prefix) if table is not None and other in REPOSITORY_TYPES:
                tags = pl.col("tags").list.filter(pl.element().str.starts_with(prefix))
                ids = table.select(id=tags).explode("id")
                ids = ids.with_columns(pl.col("id").str.strip_prefix(prefix))
            case ListColumn(column=column) if table is not None:
                ids = table.select(id=column).explode("id")
            case Items(item_type=item) if table is not None and item in REPOSITORY_TYPES:
                items = table.select("items").explode("items").unnest("items")
                ids = items.filter(pl.col("type") == item).select("id")
            case _:
                continue
        found.append(ids.drop_nulls().select(pl.lit(other).alias("kind"), "id"))
    return pl.concat(found).unique()


def split_by_case(unknown: pl.DataFrame, listed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Settles ids that differ from exactly one listed id in case only.

    Args:
        unknown: `kind`, `id` that no listing holds.
        listed: `kind`, `id` of all listed repositories.

    Returns:
        Settled rows (`kind`, `id`, `canonical_id`), and those left (`kind`, `id`).
    """
    by_case = (
        listed.with_columns(folded=pl.col("id").str.to_lowercase())
        .group_by("kind", "folded")
        .agg(pl.col("id").first().alias("canonical_id"), pl.len().alias("spellings"))
        .filter(pl.col("spellings") == 1)
    )
    folded = unknown.with_columns(folded=pl.col("id").str.to_lowercase())
    settled = folded.join(by_case, on=["kind", "folded"]).select("kind", "id", "canonical_id")
    return settled, unknown.join(settled, on=["kind", "id"], how="anti")


def listed_ids(listed: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """`kind`, `id` of everything listed."""
    return pl.concat(
        frame.select(pl.lit(kind).alias("kind"), "id") for kind, frame in listed.items()
    ).collect()


def unlisted(referred: pl.LazyFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Referred ids (`kind`, `id`) that are not listed and could be a repository's.

    An id is a path of the API here: only what can be one is asked for, and `..` never.
    """
    sound = pl.col("id").str.contains(REPOSITORY_ID) & ~pl.col("id").str.contains(
        r"(^|/)\.{1,2}(/|$)"
    )
    return referred.collect().filter(sound).join(known, on=["kind", "id"], how="anti")


def crawl_aliases(
    crawl: Crawl, referred: pl.LazyFrame, listed: Mapping[str, pl.LazyFrame]
) -> pl.LazyFrame:
    """What every referred id stands for that no listing holds.

    Args:
        crawl: the crawl.
        referred: `kind`, `id` (see `references`).
        listed: the listings by kind.
    """
    known = listed_ids(listed)
    by_case, left = split_by_case(unlisted(referred, known), known)
    renamed = renamings(crawl, listed)
    by_id = left.join(renamed, on=["kind", "id"])
    left = left.join(by_id, on=["kind", "id"], how="anti")

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, repo_id = unit.partition(":")
        found = crawl.client.get_json(f"/api/{kind}s/{quote(repo_id)}", {"expand": ["createdAt"]})
        canonical = found["id"]
        return [
            {
                "kind": kind,
                "id": repo_id,
                "canonical_id": canonical,
                "via": "same" if canonical == repo_id else "renamed",
                "observed_at": now(),
            }
        ]

    units = lookups(left)
    carry = None
    if crawl.before is not None:
        carry = _aliases_before(crawl, renamed)
        # Where an alias leads to has gone: the Hub is asked again what it stands for.
        lost = carry.filter(via="renamed").join(
            known.lazy(), left_on=["kind", "canonical_id"], right_on=["kind", "id"], how="anti"
        )
        lost_units = lost.select("unit").collect()["unit"].implode()
        units = units.with_columns(pl.when(~pl.col("unit").is_in(lost_units)).then("basis"))
    looked_up = crawl.units("aliases", observations.ALIASES, units, fetch, carry=carry)
    unit = pl.col("unit").str.splitn(":", 2).struct
    missing = crawl.missing("aliases").select(
        unit.field("field_0").alias("kind"),
        unit.field("field_1").alias("id"),
        pl.lit("missing").alias("via"),
        observed_now(),
    )
    settled = pl.concat(
        [
            by_case.with_columns(pl.lit("case").alias("via")),
            by_id.with_columns(pl.lit("renamed").alias("via")),
        ]
    ).with_columns(observed_now())
    return (
        pl.concat(
            [
                looked_up,
                settled.lazy(),
                missing.lazy(),
            ],
            how="diagonal_relaxed",
        )
        .with_columns(pl.col("carried").fill_null(False))
        .sort("kind", "id")
    )


_UNIT = pl.format("{}:{}", "kind", "id")


def lookups(left: pl.DataFrame) -> pl.DataFrame:
    """Ids (`kind`, `id`) that the Hub has to be asked for, as units of the stage."""
    return left.select(unit=_UNIT).sort("unit").with_columns(basis=pl.lit("referred"))


def _follow(aliases: pl.LazyFrame, renamed: pl.LazyFrame) -> pl.LazyFrame:
    """Aliases to what has been renamed since (`kind`, `id`, `canonical_id`) lead to its new id."""
    follow = renamed.select("kind", canonical_id="id", followed="canonical_id")
    return (
        aliases.join(follow, on=["kind", "canonical_id"], how="left")
        .with_columns(pl.coalesce("followed", "canonical_id").alias("canonical_id"))
        .drop("followed")
    )


def _aliases_before(crawl: Crawl, renamed: pl.DataFrame) -> pl.LazyFrame:
    """The aliases of the snapshot before; where they led to a renamed repository they follow it."""
    assert crawl.before is not None
    return _follow(crawl.before.table("aliases"), renamed.lazy()).with_columns(unit=_UNIT)


def renamed_accounts(crawl: Crawl, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Names of the snapshot before whose account has another name today, as alias rows.

    Rows that are carried over may name them so; a crawl from nothing meets no such name.
    """
    schema = schema_of(observations.ALIASES)
    if crawl.before is None:
        return pl.LazyFrame(schema=schema)
    entity = pl.col("kind").replace_strict({"user": "user", "org": "organization"})
    today = accounts.drop_nulls("_id").select("kind", "_id", canonical_id="name")
    then = crawl.before.table("accounts").select("kind", "_id", id="name")
    moved = then.join(today, on=["kind", "_id"]).filter(pl.col("id") != pl.col("canonical_id"))
    moved = moved.select(
        entity.alias("kind"), "id", "canonical_id", pl.lit("renamed").alias("via"),
        observed_now(), carried=pl.lit(False),
    )  # fmt: skip
    # Older ones are kept, and follow to the newest name.
    older = crawl.before.table("aliases").filter(pl.col("kind").is_in(["user", "organization"]))
    older = _follow(older, moved).with_columns(carried=pl.lit(True))
    names = schema.names()
    return pl.concat([moved.select(names), older.select(names)]).unique(
        ["kind", "id"], keep="first", maintain_order=True
    ).join(accounts.select(id="name"), on="id", how="anti")  # fmt: skip


@crawled_table(
    "hub/aliases",
    description="What referred ids that no listing holds stand for: renamings and letter case.",
    columns=observations.ALIASES,
    ins={
        "models": "hub/models",
        "datasets": "hub/datasets",
        "spaces": "hub/spaces",
        "collections": "hub/collections",
        "accounts": "hub/accounts",
    },
)
def aliases_table(
    crawl: Crawl,
    models: Table,
    datasets: Table,
    spaces: Table,
    collections: Table,
    accounts: Table,
) -> pl.LazyFrame:
    listed = {"model": models(), "dataset": datasets(), "space": spaces()}
    tables = {f"hub/{kind}s": frame for kind, frame in listed.items()}
    referred = references({**tables, "hub/collections": collections()})
    aliases = crawl_aliases(crawl, referred, listed)
    return pl.concat([aliases, renamed_accounts(crawl, accounts())]).sort("kind", "id")


TABLES = [aliases_table]
