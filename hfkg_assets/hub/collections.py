"""`hub/collections`: every collection with all its items.

The listing shows at most four items of each; only a collection that shows four is asked for in
detail. A scope other than `all` keeps the collections that show something of the scope.
"""

from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import crawl_asset, now
from hfkg_assets.hub.listings import PAGE
from hfkg_resources.sources import Crawl

SHOWN = 4
"""Items that a listing row shows at most."""


def parse_collection(record: dict[str, Any], *, is_complete: bool) -> dict[str, Any]:
    """A collection as a row of the raw table; an item's id is its slug where it has one."""
    owner = record["owner"]
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
        "owner_id": owner.get("_id"),
        "owner_fullname": owner.get("fullname"),
        "items": items,
        "is_complete": is_complete,
        "observed_at": now(),
    }


def crawl_collections(crawl: Crawl, in_scope: pl.LazyFrame | None) -> pl.LazyFrame:
    """All collections, items complete.

    Args:
        crawl: the crawl.
        in_scope: `type` and `id` of the repositories of the scope; None takes everything.
    """
    listed = crawl.walk(
        "collections",
        observations.COLLECTIONS,
        "/api/collections",
        {"limit": PAGE, "sort": "lastModified"},
        lambda record: parse_collection(record, is_complete=len(record["items"]) < SHOWN),
    ).unique("slug", keep="last", maintain_order=True)
    if in_scope is not None:
        shown = listed.select("slug", "items").explode("items").unnest("items")
        wanted = shown.join(in_scope, on=["type", "id"], how="semi").select("slug").unique()
        listed = listed.join(wanted, on="slug", how="semi")

    def fetch(slug: str) -> list[dict[str, Any]]:
        record = crawl.client.get_json(f"/api/collections/{quote(slug)}")
        return [parse_collection(record, is_complete=True)]

    long = listed.filter(~pl.col("is_complete")).select("slug").collect()["slug"].sort().to_list()
    detailed = crawl.units("collection_details", observations.COLLECTIONS, long, fetch)
    return (
        pl.concat([detailed, listed]).unique("slug", keep="first", maintain_order=True).sort("slug")
    )


@crawl_asset(
    "hub/collections",
    description=(
        "All collections with their items: `GET /api/collections`, and "
        "`GET /api/collections/{slug}` where the listing shows four."
    ),
    columns=observations.COLLECTIONS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def hub_collections(
    crawl: Crawl,
    models: pl.LazyFrame,
    datasets: pl.LazyFrame,
    spaces: pl.LazyFrame,
) -> pl.LazyFrame:
    kinds = {"model": models, "dataset": datasets, "space": spaces}
    in_scope = pl.concat(
        frame.select(pl.lit(kind).alias("type"), "id") for kind, frame in kinds.items()
    )
    return crawl_collections(crawl, None if crawl.scope.kind == "all" else in_scope)
