"""`hub/crawl_plan` and `hub/coverage`: what a crawl costs, and what it got.

The plan counts requests from the listings alone, before likers, accounts and cards are fetched.
Coverage sets what every stage expected beside what it got; a gap is always counted and named.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from hfkg_assets.hub.cards import CARD_ASSETS
from hfkg_assets.hub.listings import PAGE
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_resources.sources import JOURNALS, REPORT, HubSource
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

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

MAX_FAILED = 0.01
"""Above this share of failed units of any stage the coverage check fails."""

MAX_SET_ASIDE = 0.01
"""Above this share of unusable records of any stage the coverage check fails."""

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

COVERAGE = (
    Column("stage", pl.String(), "stage of the crawl", required=True),
    Column("expected", pl.Int64(), "units of work, or rows of a listing", required=True),
    Column("fetched", pl.Int64(), "got", required=True),
    Column("missing", pl.Int64(), "the Hub says: gone, gated, disabled, too large", required=True),
    Column("failed", pl.Int64(), "given up after retries; tried again next time", required=True),
    Column("set_aside", pl.Int64(), "records that lack what they must have", required=True),
    Column("rows", pl.Int64(), "rows stored", required=True),
    Column("requests", pl.Int64(), "requests made, retries and redirects included", required=True),
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


def coverage(reports: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Stage reports as a table, sorted by stage."""
    return pl.DataFrame(
        list(reports), schema={column.name: column.dtype for column in COVERAGE}
    ).sort("stage")


@snapshot_asset(
    "hub/crawl_plan",
    description="Requests per stage and the least time per kind of account, from listings alone.",
    columns=PLAN,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def hub_crawl_plan(
    context: dg.AssetExecutionContext,
    hub: HubSource,
    models: pl.LazyFrame,
    datasets: pl.LazyFrame,
    spaces: pl.LazyFrame,
) -> pl.DataFrame:
    listings = {"models": models, "datasets": datasets, "spaces": spaces}
    plan = crawl_plan(listings, social=hub.social == "on")
    for tier, quotas in TIERS.items():
        least = max(
            least_seconds(int(plan.filter(pl.col("bucket") == bucket)["requests"].sum()), quota)
            for bucket, quota in quotas.items()
        )
        context.add_output_metadata({f"hfkg/least_seconds_{tier}": least})
    return plan


@snapshot_asset(
    "hub/coverage",
    description="Per stage of the crawl: expected, fetched, missing, failed, set aside, requests.",
    columns=COVERAGE,
    deps=[
        *(f"hub/{name}" for name in (
            "tasks", "tags", "models", "datasets", "spaces", "collections", "papers", "accounts",
            "likers", "followers", "members", "aliases",
        )),
        *("/".join(asset.key.path) for asset in CARD_ASSETS),
    ],
)  # fmt: skip
def hub_coverage(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> pl.DataFrame:
    reports = Path(warehouse.root, JOURNALS, context.partition_key).glob(f"*/*{REPORT}")
    return coverage([json.loads(path.read_bytes()) for path in reports])


@dg.asset_check(
    asset=key_of("hub/coverage"),
    name="nothing_lost",
    description=(
        f"No stage has more than {MAX_FAILED:.0%} failed units or {MAX_SET_ASIDE:.0%} records "
        "set aside."
    ),
    partitions_def=SNAPSHOTS,
)
def coverage_check(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    return judge_coverage(warehouse.scan("hub/coverage", context.partition_key).collect())


def judge_coverage(table: pl.DataFrame) -> dg.AssetCheckResult:
    """Fails where too much failed or was set aside, and names the stages."""
    units = pl.max_horizontal("expected", "rows", pl.lit(1))
    bad = table.filter(
        (pl.col("failed") / units > MAX_FAILED) | (pl.col("set_aside") / units > MAX_SET_ASIDE)
    )
    return dg.AssetCheckResult(
        passed=bad.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "stages": ", ".join(bad["stage"]) or "none",
            "failed": int(table["failed"].sum()),
            "set_aside": int(table["set_aside"].sum()),
        },
    )
