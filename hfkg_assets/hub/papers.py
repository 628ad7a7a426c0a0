"""`hub/papers`: the papers that the Hub has indexed.

The listing gives a hundred papers a request; asked for one by one are only cited ids that it does
not hold, and of those only a few where none is ever found. With a scope other than `all` only the
cited papers are asked for.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import Refusals, Table, crawled_table, now
from hfkg_assets.knowledge_graph.relations import without_version
from hfkg_assets.vocabulary import ARXIV_ID
from hfkg_resources.crawl import Crawl, fetched_table
from hfkg_resources.errors import NotFound
from hfkg_resources.record_table import PageReader
from hfkg_resources.table_schema import schema_of

PAPERS_PAGE = 100


def parse_paper(record: dict[str, Any]) -> dict[str, Any]:
    """A paper as a row of the raw table; an author need not be linked to a user."""
    return {
        **record,
        "authors": [_author(author) for author in record["authors"]],
        "observed_at": now(),
    }


def _author(author: dict[str, Any]) -> dict[str, Any]:
    user = author.get("user") or {}
    return {
        "name": author.get("name"),
        "user": user.get("user") or user.get("name"),
        "user_id": user.get("_id") or user.get("id"),  # under `id` in answers of 2024
        "fullname": user.get("fullname"),
        "status": author.get("status"),
    }


def cited_ids(
    models: pl.LazyFrame, datasets: pl.LazyFrame, collections: pl.LazyFrame
) -> pl.LazyFrame:
    """Well-formed arXiv ids that tags or collections name, without version (`id`)."""
    tagged = [
        frame.select(id=pl.col("tags").list.filter(pl.element().str.starts_with("arxiv:"))).explode(
            "id"
        )
        for frame in (models, datasets)
    ]
    listed = collections.select("items").explode("items").unnest("items")
    return (
        pl.concat([*tagged, listed.filter(pl.col("type") == "paper").select("id")])
        .drop_nulls()
        .select(without_version(pl.col("id").str.strip_prefix("arxiv:")))
        .filter(pl.col("id").str.contains(ARXIV_ID))
        .unique()
    )


def list_papers(crawl: Crawl) -> pl.LazyFrame:
    """The listing, where the scope is `all`."""
    if crawl.scope.kind != "all":
        return pl.LazyFrame(schema=schema_of(observations.PAPERS))
    reader = PageReader(fetched_table(observations.PAPERS), parse_paper)
    return crawl.walk("papers", observations.PAPERS, "/api/papers", {"limit": PAPERS_PAGE}, reader)


def crawl_papers(
    crawl: Crawl,
    cited: Callable[[], pl.LazyFrame],
    listing: Callable[[Crawl], pl.LazyFrame] = list_papers,
) -> pl.LazyFrame:
    """The listing where the scope is `all`, and every cited paper that it does not hold.

    Args:
        crawl: the crawl.
        cited: gives the cited ids (`id`); called once the listing has been read.
        listing: gives the papers that need not be asked for one by one.
    """
    known = listing(crawl)

    # The listing is said to hold every indexed paper: a few of the others show whether that is so.
    unlisted = Refusals(NotFound)

    def fetch(arxiv_id: str) -> list[dict[str, Any]]:
        path = f"/api/papers/{quote(arxiv_id)}"
        if crawl.scope.kind != "all":
            return [parse_paper(crawl.client.get_json(path))]
        return [parse_paper(unlisted.ask(lambda: crawl.client.get_json(path)))]

    wanted = cited()
    if crawl.scope.kind != "all":
        known = known.join(wanted, on="id", how="semi")
    unseen = wanted.join(known, on="id", how="anti").sort("id").collect()
    units = unseen.select(pl.col("id").alias("unit"), pl.lit("cited").alias("basis"))
    carry = None
    if crawl.before is not None:
        carry = crawl.before.table("papers").with_columns(pl.col("id").alias("unit"))
    looked_up = crawl.units("paper_details", observations.PAPERS, units, fetch, carry=carry)
    return pl.concat([known, looked_up]).unique("id", keep="last", maintain_order=True).sort("id")


@crawled_table(
    "hub/papers",
    description=(
        "Indexed papers with their authors: `GET /api/papers`, and `GET /api/papers/{id}` for "
        "cited ids that the listing lacks."
    ),
    columns=observations.PAPERS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "collections": "hub/collections"},
)
def papers_table(crawl: Crawl, models: Table, datasets: Table, collections: Table) -> pl.LazyFrame:
    return crawl_papers(crawl, lambda: cited_ids(models(), datasets(), collections()))


TABLES = [papers_table]
