"""`hub/crawl_plan`: what the crawl costs, told before it is made.

Requests are counted from the listings, which are a thousandth of the whole, before likers, accounts
and cards are asked for.
"""

import math
from collections.abc import Mapping

import polars as pl

from hfkg_assets.hub.crawling import Table, crawled_table
from hfkg_assets.hub.listings import PAGE
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_resources.crawl import Crawl
from hfkg_resources.table_schema import Column

WINDOW_S = 300

TIERS: Mapping[str, Mapping[str, int]] = {
    "anonymous": {"api": 500, "resolvers": 3_000},
    "free": {"api": 1_000, "resolvers": 5_000},
    "pro": {"api": 2_500, "resolvers": 12_000},
    "team": {"api": 3_000, "resolvers": 20_000},
    "enterprise": {"api": 6_000, "resolvers": 50_000},
    "enterprise_plus": {"api": 10_000, "resolvers": 100_000},
}
"""Requests per five minutes by kind of account (the Hub's documentation on rate limits, 2026)."""

PLAN = (
    Column("stage", pl.String(), "what is fetched", required=True),
    Column("bucket", pl.String(), "the quota it is counted in", required=True),
    Column("requests", pl.Int64(), "requests needed", required=True),
    Column("basis", pl.String(), "exact, or at least: what the listings alone tell", required=True),
    *(
        Column(f"seconds_{tier}", pl.Int64(), f"least time at the quota of {tier}", required=True)
        for tier in TIERS
    ),
)


def crawl_plan(repositories: Mapping[str, pl.LazyFrame], *, social: bool = True) -> pl.DataFrame:
    """Requests per stage and the least time they take, from the listings alone.

    Args:
        repositories: the listings by kind (`models`, `datasets`, `spaces`).
        social: whether likes and follows are wanted.
    """
    rows = []
    for kind, frame in repositories.items():
        listed, liked, with_card = (
            frame.select(
                pl.len(), (pl.col("likes") > 0).sum().alias("liked"),
                pl.col("has_readme").fill_null(True).sum().alias("cards"),
            ).collect().row(0)
        )  # fmt: skip
        rows.append((f"list {kind}", "api", max(1, math.ceil(listed / PAGE)), "exact"))
        if social:
            rows.append((f"likers of {kind}", "api", liked, "at least"))
        if kind != "spaces":
            rows.append((f"cards of {kind}", "resolvers", with_card, "exact"))
    publishers = pl.concat(frame.select(name=namespace()) for frame in repositories.values())
    names = publishers.drop_nulls().unique().select(pl.len()).collect().item()
    rows.append(("overviews of publishers", "api", names, "at least"))
    return pl.DataFrame(
        [
            (*row, *(least_seconds(row[2], quotas[row[1]]) for quotas in TIERS.values()))
            for row in rows
        ],
        schema={column.name: column.dtype for column in PLAN},
        orient="row",
    )


def least_seconds(requests: int, quota: int) -> int:
    """Time that requests take at a quota per window: the last window need not be waited out."""
    return max(0, math.ceil(requests / quota) - 1) * WINDOW_S


@crawled_table(
    "hub/crawl_plan",
    description="Requests per stage and the least time per kind of account, from listings alone.",
    columns=PLAN,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def crawl_plan_table(crawl: Crawl, models: Table, datasets: Table, spaces: Table) -> pl.LazyFrame:
    listings = {"models": models(), "datasets": datasets(), "spaces": spaces()}
    return crawl_plan(listings, social=crawl.social).lazy()


TABLES = [crawl_plan_table]
