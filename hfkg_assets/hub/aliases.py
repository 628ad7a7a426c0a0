"""`hub/aliases`: ids that something refers to and that no listing holds, with what they stand for.

Renamed and moved repositories, short ids of old ones and ids in the wrong case are all written in
tags, Spaces and collections. A difference of case is settled from the listing; for the rest the
Hub is asked once per id, and its redirects tell.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import crawl_asset, now, observed_now
from hfkg_assets.vocabulary import (
    RELATIONS,
    REPOSITORY_ID,
    REPOSITORY_TYPES,
    Items,
    ListColumn,
    Tag,
)
from hfkg_resources.sources import Crawl
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


def crawl_aliases(
    crawl: Crawl, referred: pl.LazyFrame, listed: Mapping[str, pl.LazyFrame]
) -> pl.LazyFrame:
    """Looks up every referred id that no listing holds.

    Args:
        crawl: the crawl.
        referred: `kind`, `id` (see `references`).
        listed: the listings by kind.
    """
    known = pl.concat(
        frame.select(pl.lit(kind).alias("kind"), "id") for kind, frame in listed.items()
    ).collect()
    # An id is a path of the API here: only what can be one is asked for, and `..` never.
    sound = pl.col("id").str.contains(REPOSITORY_ID) & ~pl.col("id").str.contains(
        r"(^|/)\.{1,2}(/|$)"
    )
    unknown = referred.collect().filter(sound).join(known, on=["kind", "id"], how="anti")
    settled, left = split_by_case(unknown, known)

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, repo_id = unit.partition(":")
        found = crawl.client.get_json(f"/api/{kind}s/{quote(repo_id)}", {"expand": ["createdAt"]})
        canonical = found["id"]
        return [
            {
                "kind": kind,
                "id": repo_id,
                "canonical_id": canonical,
                "via": "same" if canonical == repo_id else "redirect",
                "observed_at": now(),
            }
        ]

    units = left.select(pl.format("{}:{}", "kind", "id")).to_series().sort().to_list()
    looked_up = crawl.units("aliases", observations.ALIASES, units, fetch)
    unit = pl.col("unit").str.splitn(":", 2).struct
    missing = crawl.missing("aliases").select(
        unit.field("field_0").alias("kind"),
        unit.field("field_1").alias("id"),
        pl.lit("missing").alias("via"),
        observed_now(),
    )
    by_case = settled.with_columns(pl.lit("case").alias("via"), observed_now())
    empty = pl.LazyFrame(schema=schema_of(observations.ALIASES))
    return pl.concat(
        [empty, looked_up, by_case.lazy(), missing.lazy()], how="diagonal_relaxed"
    ).sort("kind", "id")


@crawl_asset(
    "hub/aliases",
    description="What referred ids that no listing holds stand for: redirects and letter case.",
    columns=observations.ALIASES,
    ins={
        "models": "hub/models",
        "datasets": "hub/datasets",
        "spaces": "hub/spaces",
        "collections": "hub/collections",
    },
)
def hub_aliases(
    crawl: Crawl,
    models: pl.LazyFrame,
    datasets: pl.LazyFrame,
    spaces: pl.LazyFrame,
    collections: pl.LazyFrame,
) -> pl.LazyFrame:
    listed = {"model": models, "dataset": datasets, "space": spaces}
    tables = {f"hub/{kind}s": frame for kind, frame in listed.items()}
    referred = references({**tables, "hub/collections": collections})
    return crawl_aliases(crawl, referred, listed)
