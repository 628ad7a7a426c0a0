"""`hub/likers`, `hub/followers`, `hub/members`: lists of users around repositories and accounts.

Each list is asked for only where a counter says that there is something in it, and again only when
the counter moved or its turn in the rolling refresh has come.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.carrying import renamed_rows, without_closed_accounts
from hfkg_assets.hub.crawling import Table, crawled_table, now
from hfkg_resources.crawl import Crawl
from hfkg_resources.hub_client import HubClient

MEMBERS_PAGE = 10_000


def list_users(
    client: HubClient, path: str, about: dict[str, Any], params: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """All user rows of a list; the name key is `user` in some places and `name` in others."""
    return [
        {**row, **about, "user": row.get("user") or row.get("name"), "observed_at": now()}
        for page in client.pages(path, params)
        for row in page.records
    ]


def each_once(rows: pl.LazyFrame, *key: str) -> pl.LazyFrame:
    """The rows sorted by their key, each once: a list that grows while it is read repeats some."""
    return rows.unique(key, keep="last", maintain_order=True).sort(key)


def liked(repositories: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """The repositories that have likes.

    Args:
        repositories: the listings by kind (`model`, `dataset`, `space`).

    Returns:
        `unit` (the stable id), `basis` (the counter), `kind`, `id`; sorted by kind and id.
    """
    return (
        pl.concat(
            frame.filter(pl.col("likes") > 0).select(
                pl.col("_id").alias("unit"),
                pl.col("likes").cast(pl.String).alias("basis"),
                pl.lit(kind).alias("kind"),
                "id",
            )
            for kind, frame in repositories.items()
        )
        .sort("kind", "id")
        .collect()
    )


def crawl_likers(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Who likes what, of repositories with likes."""
    units = liked(repositories)
    asked = {unit: (kind, repo_id) for unit, _, kind, repo_id in units.iter_rows()}

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, repo_id = asked[unit]
        about = {"repo_kind": kind, "repo_id": repo_id, "liked_at": None}
        return list_users(crawl.client, f"/api/{kind}s/{quote(repo_id)}/likers", about)

    rows = crawl.units(
        "likers", observations.LIKERS, units.select("unit", "basis"), fetch,
        carry=_likers_before(crawl, repositories),
    )  # fmt: skip
    return each_once(rows, "repo_kind", "repo_id", "user")


def _likers_before(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame | None:
    if crawl.before is None:
        return None
    likers = without_closed_accounts(crawl, crawl.before.table("likers"))
    return pl.concat(
        renamed_rows(crawl, likers.filter(pl.col("repo_kind") == kind), "repo_id", kind, frame)
        for kind, frame in repositories.items()
    )


def followed(accounts: pl.LazyFrame) -> pl.DataFrame:
    """The accounts that have followers, or may have: rows that name a user do not count them.

    Who only likes has few: such accounts, four in ten on the Hub, have their turn in the slices of
    the refresh.

    Returns:
        `unit` (`kind:name`), `basis` (the counter), `can_wait`; sorted by unit.
    """
    wanted = accounts.filter(pl.col("numFollowers").fill_null(1) > 0)
    return (
        wanted.select(
            pl.format("{}:{}", "kind", "name").alias("unit"),
            pl.col("numFollowers").cast(pl.String).fill_null("?").alias("basis"),
            (pl.col("only_likes") & pl.col("numFollowers").is_null()).alias("can_wait"),
        )
        .sort("unit")
        .collect()
    )


def crawl_followers(crawl: Crawl, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Who follows whom."""

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, name = unit.partition(":")
        area = "organizations" if kind == "org" else "users"
        about = {"kind": kind, "name": name}
        return list_users(crawl.client, f"/api/{area}/{quote(name, safe='')}/followers", about)

    carry = None
    if crawl.before is not None:
        before = without_closed_accounts(crawl, crawl.before.table("followers"))
        carry = before.with_columns(pl.format("{}:{}", "kind", "name").alias("unit"))
    rows = crawl.units("followers", observations.FOLLOWERS, followed(accounts), fetch, carry=carry)
    return each_once(rows, "kind", "name", "user")


def peopled(accounts: pl.LazyFrame) -> pl.DataFrame:
    """The organizations that have members.

    Returns:
        `unit` (the name), `basis` (the counter); sorted by unit.
    """
    wanted = accounts.filter(pl.col("kind") == "org", pl.col("numUsers").fill_null(1) > 0)
    return (
        wanted.select(
            pl.col("name").alias("unit"), pl.col("numUsers").cast(pl.String).alias("basis")
        )
        .sort("unit")
        .collect()
    )


def crawl_members(crawl: Crawl, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Who belongs to which organization."""

    def fetch(name: str) -> list[dict[str, Any]]:
        path = f"/api/organizations/{quote(name, safe='')}/members"
        return list_users(crawl.client, path, {"org": name}, {"limit": MEMBERS_PAGE})

    carry = None
    if crawl.before is not None:
        before = without_closed_accounts(crawl, crawl.before.table("members"))
        carry = before.with_columns(pl.col("org").alias("unit"))
    rows = crawl.units("members", observations.MEMBERS, peopled(accounts), fetch, carry=carry)
    return each_once(rows, "org", "user")


@crawled_table(
    "hub/likers",
    description="Who likes what: `GET /api/{kind}/{id}/likers` of repositories with likes.",
    columns=observations.LIKERS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def likers_table(
    crawl: Crawl,
    models: Table,
    datasets: Table,
    spaces: Table,
) -> pl.LazyFrame:
    repositories = {"model": models(), "dataset": datasets(), "space": spaces()}
    if not crawl.social:
        repositories = {kind: frame.head(0) for kind, frame in repositories.items()}
    return crawl_likers(crawl, repositories)


@crawled_table(
    "hub/followers",
    description="Who follows whom: `GET /api/{users,organizations}/{name}/followers`.",
    columns=observations.FOLLOWERS,
    ins={"accounts": "hub/accounts"},
)
def followers_table(crawl: Crawl, accounts: Table) -> pl.LazyFrame:
    return crawl_followers(crawl, accounts() if crawl.social else accounts().head(0))


@crawled_table(
    "hub/members",
    description="Members of organizations: `GET /api/organizations/{name}/members`.",
    columns=observations.MEMBERS,
    ins={"accounts": "hub/accounts"},
)
def members_table(crawl: Crawl, accounts: Table) -> pl.LazyFrame:
    return crawl_members(crawl, accounts())


TABLES = [likers_table, followers_table, members_table]
