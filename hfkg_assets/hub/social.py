"""`hub/likers`, `hub/followers`, `hub/members`: lists of users around repositories and accounts.

Each list is asked for only where a counter says that there is something in it.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import crawl_asset, now
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sources import Crawl

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


def liked(repositories: dict[str, pl.LazyFrame]) -> list[str]:
    """Units `kind:id` of the repositories that have likes."""
    units = pl.concat(
        frame.filter(pl.col("likes") > 0).select(pl.format("{}:{}", pl.lit(kind), "id"))
        for kind, frame in repositories.items()
    )
    return units.collect().to_series().sort().to_list()


def likers_of(client: HubClient) -> Callable[[str], list[dict[str, Any]]]:
    """Fetches the likers of one unit `kind:id`."""

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, repo_id = unit.partition(":")
        about = {"repo_kind": kind, "repo_id": repo_id, "liked_at": None}
        return list_users(client, f"/api/{kind}s/{quote(repo_id)}/likers", about)

    return fetch


def followed(accounts: pl.LazyFrame) -> list[str]:
    """Units `kind:name` of the accounts that have followers."""
    wanted = accounts.filter(pl.col("numFollowers") > 0)
    units = wanted.select(pl.format("{}:{}", "kind", "name")).collect().to_series()
    return units.sort().to_list()


def followers_of(client: HubClient) -> Callable[[str], list[dict[str, Any]]]:
    """Fetches the followers of one unit `kind:name`."""

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, name = unit.partition(":")
        area = "organizations" if kind == "org" else "users"
        about = {"kind": kind, "name": name}
        return list_users(client, f"/api/{area}/{quote(name, safe='')}/followers", about)

    return fetch


def peopled(accounts: pl.LazyFrame) -> list[str]:
    """Names of the organizations that have members."""
    wanted = accounts.filter(pl.col("kind") == "org", pl.col("numUsers").fill_null(1) > 0)
    return wanted.select("name").collect().to_series().sort().to_list()


def members_of(client: HubClient) -> Callable[[str], list[dict[str, Any]]]:
    """Fetches the members of one organization."""

    def fetch(name: str) -> list[dict[str, Any]]:
        path = f"/api/organizations/{quote(name, safe='')}/members"
        return list_users(client, path, {"org": name}, {"limit": MEMBERS_PAGE})

    return fetch


@crawl_asset(
    "hub/likers",
    description="Who likes what: `GET /api/{kind}/{id}/likers` of repositories with likes.",
    columns=observations.LIKERS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
)
def hub_likers(
    crawl: Crawl,
    models: pl.LazyFrame,
    datasets: pl.LazyFrame,
    spaces: pl.LazyFrame,
) -> pl.LazyFrame:
    repositories = {"model": models, "dataset": datasets, "space": spaces}
    units = liked(repositories) if crawl.social else []
    rows = crawl.units("likers", observations.LIKERS, units, likers_of(crawl.client))
    return rows.sort("repo_kind", "repo_id", "user")


@crawl_asset(
    "hub/followers",
    description="Who follows whom: `GET /api/{users,organizations}/{name}/followers`.",
    columns=observations.FOLLOWERS,
    ins={"accounts": "hub/accounts"},
)
def hub_followers(crawl: Crawl, accounts: pl.LazyFrame) -> pl.LazyFrame:
    units = followed(accounts) if crawl.social else []
    rows = crawl.units("followers", observations.FOLLOWERS, units, followers_of(crawl.client))
    return rows.sort("kind", "name", "user")


@crawl_asset(
    "hub/members",
    description="Members of organizations: `GET /api/organizations/{name}/members`.",
    columns=observations.MEMBERS,
    ins={"accounts": "hub/accounts"},
)
def hub_members(crawl: Crawl, accounts: pl.LazyFrame) -> pl.LazyFrame:
    units = peopled(accounts)
    rows = crawl.units("members", observations.MEMBERS, units, members_of(crawl.client))
    return rows.sort("org", "user")
