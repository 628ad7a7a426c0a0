"""`hub/accounts`: every name met so far, with its kind: user or organization.

Names come from repositories, collections, papers and likers. Likers, owners of collections and
authors shown in them are told by their rows, which only accounts that exist have; of every other
name the overview decides: a name is a user's or an organization's, never both. Organizations are
asked for in every snapshot, since their overview alone counts members; users again when their turn
has come.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import Table, as_hub_date, crawled_table, now, observed_now
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_resources.crawl import Crawl
from hfkg_resources.errors import NotFound
from hfkg_resources.hub_client import HubClient
from hfkg_resources.table_schema import INSTANT

KINDS = ("user", "org")


def seen_names(
    repositories: Sequence[pl.LazyFrame],
    collections: pl.LazyFrame,
    papers: pl.LazyFrame,
    likers: pl.LazyFrame,
) -> pl.DataFrame:
    """Every name once, with what the rows that name it say; rows of today before carried ones.

    Returns:
        `name`, `kind` (null where no row says it, or where rows contradict), `exists` (whether a
        row proves that the account does), `_id`, `fullname`, `isPro`, `numFollowers`, `carried`,
        `only_likes`; sorted by name.
    """
    authors = papers.select("authors").explode("authors").unnest("authors")
    exists = pl.lit(True).alias("exists")
    sources = [
        *(frame.select(name=namespace()) for frame in repositories),
        collections.select("accounts").explode("accounts").unnest("accounts").select(
            exists, "name", "_id", "fullname", "isPro",
            kind="type", numFollowers="followerCount",
        ),
        likers.sort("carried").select(
            exists, pl.lit("user").alias("kind"),
            name="user", _id="_id", fullname="fullname", isPro="isPro", carried="carried",
            only_likes=pl.lit(True),
        ),
        authors.filter(pl.col("user").is_not_null()).select(
            pl.lit("user").alias("kind"), name="user", _id="user_id", fullname="fullname"
        ),
    ]  # fmt: skip
    kinds = pl.col("kind").drop_nulls().unique()
    return (
        pl.concat(sources, how="diagonal_relaxed")
        .drop_nulls("name")
        .with_columns(pl.col("carried", "only_likes").fill_null(False))
        .group_by("name", maintain_order=True)
        .agg(
            pl.when(kinds.len() == 1).then(kinds.first()).alias("kind"),
            pl.col("exists").any(),
            pl.col("_id", "fullname", "isPro", "numFollowers").drop_nulls().first(),
            pl.col("carried", "only_likes").all(),
        )
        .sort("name")
        .collect()
    )


def fetch_overview(client: HubClient, name: str, kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """An account's overview as a row of the raw table.

    Args:
        client: the Hub's client.
        name: the account's name.
        kinds: what it may be, the likelier first: the Hub knows a name as one of them only.

    Raises:
        NotFound: there is no such account.
    """
    kind, *others = kinds
    try:
        return _overview(client, name, kind)
    except NotFound:
        if not others:
            raise
        return fetch_overview(client, name, others)


def _overview(client: HubClient, name: str, kind: str) -> dict[str, Any]:
    area = "organizations" if kind == "org" else "users"
    row = client.get_json(f"/api/{area}/{quote(name, safe='')}/overview")
    return {
        **row,
        "name": row["name"] if kind == "org" else row["user"],
        "kind": kind,
        "createdAt": row.get("createdAt") or created_at(row["_id"]),
        "observed_at": now(),
    }


def created_at(object_id: str) -> str:
    """Creation moment that the first four bytes of a Mongo ObjectId hold, as the Hub writes it."""
    return as_hub_date(datetime.fromtimestamp(int(object_id[:8], 16), UTC))


def crawl_accounts(crawl: Crawl, seen: pl.DataFrame) -> pl.LazyFrame:
    """Accounts of the names seen: those that rows tell of, and overviews of the others."""
    known = _known_before(crawl)
    seen = seen.join(known, on="name", how="left")
    told = pl.col("exists") & (pl.col("kind") == "user") & pl.col("_id").is_not_null()
    asked = seen.filter(~told.fill_null(False))
    if not crawl.social:  # counters are not needed then, only the kind
        asked = asked.filter(pl.col("kind").is_null())
    kinds: Mapping[str, Sequence[str]] = {
        name: (kind,) if kind else KINDS[::-1] if before == "org" else KINDS
        for name, kind, before in asked.select("name", "kind", "kind_before").iter_rows()
    }

    def fetch(name: str) -> list[dict[str, Any]]:
        return [fetch_overview(crawl.client, name, kinds[name])]

    is_org = (pl.col("kind") == "org") | (pl.col("kind_before") == "org")
    basis = pl.when(~is_org.fill_null(False)).then(pl.col("fullname").fill_null(""))
    carry = None
    if crawl.before is not None:
        carry = crawl.before.table("accounts").with_columns(pl.col("name").alias("unit"))
    overviews = crawl.units(
        "accounts", observations.ACCOUNTS,
        asked.select(pl.col("name").alias("unit"), basis.alias("basis")), fetch, carry=carry,
    )  # fmt: skip
    by_rows = seen.join(asked, on="name", how="anti").select(
        "name", "kind", "_id", "fullname", "isPro", "numFollowers",
        created_by_id().alias("createdAt"), observed_now(), "carried", "only_likes",
    )  # fmt: skip
    # Of an account that was renamed, a carried row may still tell the old name.
    has_id = pl.col("_id").is_not_null()
    rows = pl.concat([overviews, by_rows.lazy()], how="diagonal_relaxed").sort("carried")
    return (
        pl.concat(
            [
                rows.filter(has_id).unique("_id", keep="first", maintain_order=True),
                rows.filter(~has_id),
            ]
        )
        .unique("name", keep="first", maintain_order=True)
        .sort("name")
    )


def _known_before(crawl: Crawl) -> pl.DataFrame:
    if crawl.before is None:
        return pl.DataFrame(schema={"name": pl.String, "kind_before": pl.String})
    return crawl.before.table("accounts").select("name", kind_before="kind").collect()


def created_by_id() -> pl.Expr:
    """`created_at` of the column `_id`."""
    seconds = pl.col("_id").str.head(8).str.to_integer(base=16, dtype=pl.Int64, strict=False)
    return (seconds * 1_000).cast(INSTANT)


@crawled_table(
    "hub/accounts",
    description=(
        "Every account with its kind: rows of likers and collections, else "
        "`GET /api/users/{name}/overview` and `GET /api/organizations/{name}/overview`."
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
def accounts_table(
    crawl: Crawl,
    models: Table,
    datasets: Table,
    spaces: Table,
    collections: Table,
    papers: Table,
    likers: Table,
) -> pl.LazyFrame:
    seen = seen_names([models(), datasets(), spaces()], collections(), papers(), likers())
    return crawl_accounts(crawl, seen)


TABLES = [accounts_table]
