"""`hub/accounts`: every name met so far, with its kind: user or organization.

Names come from repositories, collections, papers and likers. Many rows already say the kind; where
none does, or where two contradict, the overviews decide: a name is a user's or an organization's,
never both. Overviews also count followers and members, which tells what `social` asks for next.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import as_hub_date, crawl_asset, now, observed_now
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_resources.errors import NotFound
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sources import Crawl
from hfkg_resources.table_schema import schema_of


def seen_names(
    repositories: list[pl.LazyFrame],
    collections: pl.LazyFrame,
    papers: pl.LazyFrame,
    likers: pl.LazyFrame,
) -> pl.DataFrame:
    """Every name once, with what the rows that name it say.

    Returns:
        `name`, `kind` (null where no row says it, or where rows contradict), `_id`, `fullname`,
        `isPro`; sorted by name.
    """
    authors = papers.select("authors").explode("authors").unnest("authors")
    sources = [
        *(frame.select(name=namespace()) for frame in repositories),
        collections.select(
            name="owner_name", kind="owner_type", _id="owner_id", fullname="owner_fullname"
        ),
        authors.filter(pl.col("user").is_not_null()).select(
            pl.lit("user").alias("kind"), name="user", _id="user_id", fullname="fullname"
        ),
        likers.select(
            pl.lit("user").alias("kind"),
            name="user", _id="_id", fullname="fullname", isPro="isPro",
        ),
    ]  # fmt: skip
    kinds = pl.col("kind").drop_nulls().unique()
    return (
        pl.concat(sources, how="diagonal_relaxed")
        .drop_nulls("name")
        .group_by("name")
        .agg(
            pl.when(kinds.len() == 1).then(kinds.first()).alias("kind"),
            pl.col("_id", "fullname", "isPro").drop_nulls().first(),
        )
        .sort("name")
        .collect()
    )


def fetch_overview(client: HubClient, kind: str | None, name: str) -> dict[str, Any]:
    """An account's overview as a row of the raw table; an unknown kind is tried as user first.

    Raises:
        NotFound: there is no such account.
    """
    if kind != "org":
        try:
            row = client.get_json(f"/api/users/{quote(name, safe='')}/overview")
            return {**row, "name": row["user"], "kind": "user", "observed_at": now()}
        except NotFound:
            if kind == "user":
                raise
    row = client.get_json(f"/api/organizations/{quote(name, safe='')}/overview")
    created = row.get("createdAt") or created_at(row["_id"])
    return {**row, "kind": "org", "createdAt": created, "observed_at": now()}


def created_at(object_id: str) -> str:
    """Creation moment that the first four bytes of a Mongo ObjectId hold, as the Hub writes it."""
    return as_hub_date(datetime.fromtimestamp(int(object_id[:8], 16), UTC))


def crawl_accounts(crawl: Crawl, seen: pl.DataFrame) -> pl.LazyFrame:
    """Overviews of the names seen; without the social part only where the kind is unknown."""
    asked = seen if crawl.social else seen.filter(pl.col("kind").is_null())
    units = asked.select(pl.format("{}:{}", pl.col("kind").fill_null("?"), "name"))

    def fetch(unit: str) -> list[dict[str, Any]]:
        kind, _, name = unit.partition(":")
        return [fetch_overview(crawl.client, None if kind == "?" else kind, name)]

    overviews = crawl.units("accounts", observations.ACCOUNTS, units.to_series().to_list(), fetch)
    told = seen.join(asked, on="name", how="anti").with_columns(observed_now())
    empty = pl.LazyFrame(schema=schema_of(observations.ACCOUNTS))
    return (
        pl.concat([empty, overviews, told.lazy()], how="diagonal_relaxed")
        .unique("name", keep="first", maintain_order=True)
        .sort("name")
    )


@crawl_asset(
    "hub/accounts",
    description=(
        "Every account with its kind and counters: `GET /api/users/{name}/overview` and "
        "`GET /api/organizations/{name}/overview`."
    ),
    columns=observations.ACCOUNTS,
    ins={
        "models": "hub/models",
        "datasets": "hub/datasets",
        "spaces": "hub/spaces",
        "collections": "hub/collections",
        "papers": "hub/papers",
        "likers": "hub/likers",
    },
)
def hub_accounts(
    crawl: Crawl,
    models: pl.LazyFrame,
    datasets: pl.LazyFrame,
    spaces: pl.LazyFrame,
    collections: pl.LazyFrame,
    papers: pl.LazyFrame,
    likers: pl.LazyFrame,
) -> pl.LazyFrame:
    seen = seen_names([models, datasets, spaces], collections, papers, likers)
    return crawl_accounts(crawl, seen)
