"""`hub/crawl_plan`: what the crawl costs, told before it is made.

Requests are counted from the listings, which are a thousandth of the whole, before likers, accounts
and cards are asked for.
"""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.aliases import listed_ids, lookups, references, split_by_case, unlisted
from hfkg_assets.hub.cards import carded
from hfkg_assets.hub.crawling import Refusals, Table, crawled_table
from hfkg_assets.hub.listings import PAGE
from hfkg_assets.hub.papers import PAPERS_PAGE, cited_ids
from hfkg_assets.hub.social import liked
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_resources.crawl import Crawl
from hfkg_resources.table_schema import Column, schema_of

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
    Column("basis", pl.String(), "counted, or estimated", required=True),
    *(
        Column(f"seconds_{tier}", pl.Int64(), f"least time at the quota of {tier}", required=True)
        for tier in TIERS
    ),
)

COLLECTIONS_PER_REPOSITORY = 79_543 / 1_772_184
PAPERS_PER_REPOSITORY = 15_857 / 1_772_184
"""HuggingKG's counts of December 2024, for a Hub that was never crawled."""

LONG_COLLECTIONS = 0.3
"""Share of collections that show four items and are asked for in detail; a guess until one was."""

USERS_PAGE = 1_000
"""Likers that one answer gives at most."""


def crawl_plan(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Requests per stage and the least time they take, from the listings alone.

    What listings count is counted: cards, lists of likers, ids that nothing lists. Of accounts,
    collections and papers the number is known once they have been asked for: it is estimated from
    the snapshot before, or else from the number of publishers. What would be carried over costs
    nothing, what has its turn in the refresh is counted.

    Args:
        crawl: the crawl; it says what is wanted and what is known.
        repositories: the listings by kind (`model`, `dataset`, `space`).
    """
    return priced(
        [
            ("tasks and tags", "api", 3, "counted"),
            *_listings(crawl, repositories),
            *beyond_listings(crawl, repositories),
            *(card_row(crawl, kind, carded(repositories[kind])) for kind in ("model", "dataset")),
            *_papers(crawl, repositories),
        ]
    )


def priced(rows: "Rows") -> pl.DataFrame:
    """Rows of the plan with the least time that each takes by kind of account."""
    return pl.DataFrame(
        [
            (*row, *(least_seconds(row[2], quotas[row[1]]) for quotas in TIERS.values()))
            for row in rows
        ],
        schema=schema_of(PLAN),
        orient="row",
    )


def beyond_listings(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> "Rows":
    """What only the Hub's API tells, whatever the listings come from."""
    return [
        *_likers(crawl, repositories),
        *_aliases(crawl, repositories),
        *_collections(crawl, repositories),
        *_accounts(crawl, repositories),
    ]


Rows = list[tuple[str, str, int, str]]


def _listings(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    # A share of the most downloaded is taken from the whole listing.
    of_all = 1 / crawl.scope.share
    return [
        (f"{kind} listing", "api", max(1, math.ceil(_height(frame) * of_all / PAGE)), "counted")
        for kind, frame in repositories.items()
    ]


def _likers(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    if not crawl.social:
        return []
    units = liked(repositories)
    asked = units.join(crawl.kept("likers", units), on="unit", how="anti")
    pages = (asked["basis"].cast(pl.Int64) / USERS_PAGE).ceil().sum()
    return [("likers", "api", int(pages or 0), "counted")]


def card_row(crawl: Crawl, kind: str, units: pl.DataFrame) -> tuple[str, str, int, str]:
    """The row of one kind's cards, those of `units` (see `carded`)."""
    kept = crawl.kept(f"{kind}_cards", units, refresh=False)
    asked = units.join(kept, on="unit", how="anti")
    closed = int((asked["gated"].fill_null("false") != "false").sum())
    refused = max(0, closed - Refusals.ENOUGH) if crawl.client.is_anonymous else 0
    return f"{kind} cards", "resolvers", asked.height - refused, "counted"


def _aliases(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    referred = references({f"hub/{kind}s": frame for kind, frame in repositories.items()})
    known = listed_ids(repositories)
    _, left = split_by_case(unlisted(referred, known), known)
    units = lookups(left)
    asked = units.height - crawl.kept("aliases", units).height
    return [("aliases", "api", asked, "counted")]


def _collections(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    if crawl.before is not None:
        count = _height(crawl.before.table("collections"))
        details = _turn(crawl, "collection_details")
    else:
        count = math.ceil(COLLECTIONS_PER_REPOSITORY * sum(map(_height, repositories.values())))
        details = math.ceil(LONG_COLLECTIONS * count)
    pages = max(1, math.ceil(count / PAGE))
    return [
        ("collection listing", "api", pages, "estimated"),
        ("collection details", "api", details, "estimated"),
    ]


def _papers(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    empty = pl.LazyFrame(schema=schema_of(observations.COLLECTIONS))
    cited = _height(cited_ids(repositories["model"], repositories["dataset"], empty))
    if crawl.scope.kind != "all":
        return [("papers", "api", cited, "counted")]
    if crawl.before is not None:
        count = _height(crawl.before.table("papers"))
        details = _turn(crawl, "paper_details")
    else:
        count = math.ceil(PAPERS_PER_REPOSITORY * sum(map(_height, repositories.values())))
        details = min(cited, Refusals.ENOUGH)
    pages = max(1, math.ceil(count / PAPERS_PAGE))
    return [
        ("paper listing", "api", pages, "estimated"),
        ("paper details", "api", details, "estimated"),
    ]


def _accounts(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> Rows:
    """Overviews, followers and members.

    A user costs one request: the list of followers where a row tells of the account, else its
    overview. The few organizations cost four, the users of whom a collection tells that nobody
    follows them none.
    """
    names = pl.concat(frame.select(name=namespace()) for frame in repositories.values())
    publishers = names.drop_nulls().unique()
    if crawl.before is None:
        return [("accounts", "api", _height(publishers), "estimated")]
    accounts = crawl.before.table("accounts")
    new = _height(publishers.join(accounts, on="name", how="anti"))
    organizations = _height(accounts.filter(pl.col("kind") == "org"))
    turns = sum(_turn(crawl, stage) for stage in ("accounts", "followers", "members"))
    return [("accounts", "api", organizations + turns + new, "estimated")]


def _turn(crawl: Crawl, stage: str) -> int:
    """Units of a stage that have their turn in the refresh, if none but they are asked for."""
    assert crawl.before is not None
    return crawl.slice_of(_height(crawl.before.ledger(stage)))


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def least_seconds(requests: int, quota: int) -> int:
    """Time that requests take at a quota per window: the last window need not be waited out."""
    return max(0, math.ceil(requests / quota) - 1) * WINDOW_S


def least_times(plan: pl.DataFrame) -> dict[str, int]:
    """Least seconds of the whole crawl by kind of account: the buckets are spent side by side."""
    by_bucket = dict(plan.group_by("bucket").agg(pl.col("requests").sum()).iter_rows())
    return {
        tier: max(least_seconds(by_bucket.get(bucket, 0), quota) for bucket, quota in of.items())
        for tier, of in TIERS.items()
    }


def figures(rows: pl.LazyFrame) -> dict[str, Any]:
    """The plan's sums for its materialization."""
    plan = rows.collect()
    return {
        "hfkg/planned_requests": int(plan["requests"].sum()),
        **{f"hfkg/least_seconds_{tier}": seconds for tier, seconds in least_times(plan).items()},
    }


@crawled_table(
    "hub/crawl_plan",
    description="Requests per stage and the least time per kind of account, from listings alone.",
    columns=PLAN,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
    figures=figures,
)
def crawl_plan_table(crawl: Crawl, models: Table, datasets: Table, spaces: Table) -> pl.LazyFrame:
    return crawl_plan(crawl, {"model": models(), "dataset": datasets(), "space": spaces()}).lazy()


TABLES = [crawl_plan_table]
