"""`hub/collections`: every collection with all its items.

The listing shows at most four items of each; only a collection that shows four is asked for in
detail. A scope other than `all` keeps the collections that show something of the scope.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import Table, crawled_table, now
from hfkg_assets.hub.listings import PAGE
from hfkg_resources.crawl import Crawl, fetched_table
from hfkg_resources.record_table import PageReader

SHOWN = 4
"""Items that a listing row shows at most."""


def parse_collection(record: dict[str, Any], *, is_complete: bool) -> dict[str, Any]:
    """A collection as a row of the raw table; an item's id is its slug where it has one."""
    owner = record["owner"]
    authors = [item["authorData"] for item in record["items"] if item.get("authorData")]
    items = [
        {
            "_id": item["_id"],
            "type": item["type"],
            "id": item.get("slug") or item["id"],
            "position": item.get("position"),
            "note": (item.get("note") or {}).get("text"),
        }
        for item in record["items"]
    ]
    return {
        **record,
        "owner_name": owner["name"],
        "owner_type": owner["type"],
        "accounts": [owner, *authors],
        "items": items,
        "is_complete": is_complete,
        "observed_at": now(),
    }


def crawl_collections(
    crawl: Crawl, repositories: Callable[[], Mapping[str, pl.LazyFrame]]
) -> pl.LazyFrame:
    """All collections, items complete.

    Args:
        crawl: the crawl.
        repositories: gives the listings by kind; called once the collections' has been read.
    """
    listed = crawl.walk(
        "collections",
        observations.COLLECTIONS,
        "/api/collections",
        {"limit": PAGE, "sort": "lastModified"},
        PageReader(
            fetched_table(observations.COLLECTIONS),
            lambda record: parse_collection(record, is_complete=len(record["items"]) < SHOWN),
        ),
    ).unique("slug", keep="last", maintain_order=True)
    shown = listed.select("slug", "items").explode("items").unnest("items")
    if crawl.scope.kind != "all":
        in_scope = pl.concat(
            frame.select(pl.lit(kind).alias("type"), "id") for kind, frame in repositories().items()
        )
        wanted = shown.join(in_scope, on=["type", "id"], how="semi").select("slug").unique()
        listed = listed.join(wanted, on="slug", how="semi")

    def fetch(unit: str) -> list[dict[str, Any]]:
        record = crawl.client.get_json(f"/api/collections/{quote(slugs[unit])}")
        return [parse_collection(record, is_complete=True)]

    long = listed.filter(~pl.col("is_complete")).with_columns(unit=_STABLE)
    units = long.select("unit", _BASIS.alias("basis"), "slug").sort("slug").collect()
    slugs = dict(units.select("unit", "slug").iter_rows())
    units, carry = units.select("unit", "basis"), None
    if crawl.before is not None:
        before = crawl.before.table("collections").with_columns(unit=_STABLE)
        stale = _stale(crawl, before, listed, repositories())
        moved = pl.when(~pl.col("unit").is_in(stale.implode())).then("basis").alias("basis")
        units = units.with_columns(moved)
        # A row tells all of a collection but its items, and those are what is carried over.
        carry = long.drop("items", "is_complete", "observed_at").join(
            before.select("unit", "items", "is_complete", "observed_at"), on="unit"
        )
    detailed = crawl.units(
        "collection_details", observations.COLLECTIONS, units, fetch, carry=carry
    )
    # Of the accounts only what the listing tells is kept: it is of today for every collection.
    # A title that changes between listing and detail changes the slug, but not its end.
    listed = listed.with_columns(unit=_STABLE)
    detailed = detailed.with_columns(unit=_STABLE).drop("accounts")
    detailed = detailed.join(listed.select("unit", "accounts"), on="unit")
    return (
        pl.concat([detailed.select(listed.collect_schema().names()), listed])
        .unique("unit", keep="first", maintain_order=True)
        .drop("unit")
        .sort("slug")
    )


_STABLE = pl.col("slug").str.tail(24)
"""The end of a slug is the collection's id; what stands before changes with title and owner."""

_BASIS = pl.format(
    "{}|{}",
    pl.col("lastUpdated").dt.epoch("ms"),
    pl.col("items").list.eval(pl.element().struct.field("id")).list.join(","),
)
"""What a listing row tells of a collection's items: when they last changed, and the first four."""


def _stale(
    crawl: Crawl,
    before: pl.LazyFrame,
    listed: pl.LazyFrame,
    repositories: Mapping[str, pl.LazyFrame],
) -> pl.Series:
    """Collections that held something which is gone or has another id by now, as stable ids.

    The Hub changes such a collection without a word: `lastUpdated` tells only of edits.
    """
    assert crawl.before is not None
    items = before.select("unit", "items").explode("items").unnest("items")
    slugs = {"collection": (crawl.before.table("collections"), listed)}
    kinds = {kind: (crawl.before.table(f"{kind}s"), frame) for kind, frame in repositories.items()}
    gone = [
        then.select(id="slug" if kind == "collection" else "id")
        .join(now.select(id="slug" if kind == "collection" else "id"), on="id", how="anti")
        .with_columns(type=pl.lit(kind))
        for kind, (then, now) in {**kinds, **slugs}.items()
    ]
    stale = items.join(pl.concat(gone), on=["type", "id"], how="semi")
    return stale.select("unit").unique().collect()["unit"]


@crawled_table(
    "hub/collections",
    description=(
        "All collections with their items: `GET /api/collections`, and "
        "`GET /api/collections/{slug}` where the listing shows four."
    ),
    columns=observations.COLLECTIONS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def collections_table(crawl: Crawl, models: Table, datasets: Table, spaces: Table) -> pl.LazyFrame:
    return crawl_collections(
        crawl, lambda: {"model": models(), "dataset": datasets(), "space": spaces()}
    )


TABLES = [collections_table]
