"""`hub/model_cards`, `hub/dataset_cards`: README.md of each repository that has one.

A card is read at the commit that the listing names, straight from the resolver's cache: one
request in place of the two that a redirect costs. Where a Hub does not answer that address, the
stage falls back to the redirecting one. Repositories without a README are not asked.
"""

import threading
from typing import Any
from urllib.parse import quote

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import CrawledTable, Refusals, Table, crawled_table, now, observed_now
from hfkg_resources.crawl import Crawl
from hfkg_resources.disk_sort import sort_on_disk
from hfkg_resources.errors import BadRequest, Gated, NotFound
from hfkg_resources.hub_client import Answer, HubClient

CAP = 100 * 1024 * 1024
"""Bytes of a README that are read at most."""


class CardReader:
    """Fetches the README of repositories of one kind, by the cheapest address that works.

    Args:
        client: the Hub's client.
        kind: `models` or `datasets`.
    """

    def __init__(self, client: HubClient, kind: str) -> None:
        self._client = client
        self._kind = kind
        self._prefix = "" if kind == "models" else f"/{kind}"
        self._pinned_works: bool | None = None
        self._probe = threading.Lock()

    def read(self, repo_id: str, sha: str | None) -> Answer:
        """The README's bytes.

        Raises:
            HubError: it is missing, gated, disabled or too large.
        """
        resolve = f"{self._prefix}/{quote(repo_id)}/resolve/{sha or 'main'}/README.md"
        pinned = f"/api/resolve-cache/{self._kind}/{quote(repo_id)}/{sha}/README.md"
        if sha is None:
            return self._client.get_bytes(resolve, cap=CAP)
        if self._pinned_works is None:
            with self._probe:  # who waited here finds the question answered
                if self._pinned_works is None:
                    return self._first(pinned, resolve)
        return self._client.get_bytes(pinned if self._pinned_works else resolve, cap=CAP)

    def _first(self, pinned: str, resolve: str) -> Answer:
        try:
            answer = self._client.get_bytes(pinned, cap=CAP)
        except (BadRequest, NotFound):
            # Either this one README is gone or the Hub does not know the address: the other tells.
            answer = self._client.get_bytes(resolve, cap=CAP)
            self._pinned_works = False
        else:
            self._pinned_works = True
        return answer


def parse_card(repo_id: str, sha: str | None, content: bytes) -> dict[str, Any]:
    """A README as a row of the raw table; bytes that are no UTF-8 are replaced and flagged."""
    try:
        text, status = content.decode("utf-8"), "ok"
    except UnicodeDecodeError:
        text, status = content.decode("utf-8", errors="replace"), "not_utf8"
    return {
        "id": repo_id,
        "sha": sha,
        "status": status,
        "bytes": len(content),
        "text": text,
        "observed_at": now(),
    }


def carded(repositories: pl.LazyFrame) -> pl.DataFrame:
    """The repositories that have a README, or may have one.

    Returns:
        `unit` (the stable id), `basis` (commit and access: what decides the answer), `id`,
        `sha`, `gated`.
    """
    gated = pl.col("gated") if "gated" in repositories.collect_schema() else pl.lit(None, pl.String)
    return (
        repositories.filter(pl.col("has_readme").fill_null(True))
        .select(
            pl.col("_id").alias("unit"),
            pl.format(
                "{}|{}|{}", "sha", gated.fill_null(""), pl.col("disabled").fill_null(False)
            ).alias("basis"),
            "id",
            "sha",
            gated.alias("gated"),
        )
        .sort("id")
        .collect()
    )


def crawl_cards(crawl: Crawl, kind: str, repositories: pl.LazyFrame) -> pl.LazyFrame:
    """The READMEs of the repositories that have one, and a row for each that is not given."""
    return sorted_cards(crawl, ask_for_cards(crawl, kind, carded(repositories)))


def sorted_cards(crawl: Crawl, rows: pl.LazyFrame, *, shuffled: bool = False) -> pl.LazyFrame:
    """The rows sorted by id; their texts are too many to be held in memory.

    Args:
        crawl: the crawl.
        rows: of the raw table.
        shuffled: whether they are in no order.
    """
    folder = crawl.directory / "sorted"
    return sort_on_disk(rows, "id", pl.col("bytes"), folder, shuffled=shuffled)


def ask_for_cards(crawl: Crawl, kind: str, wanted: pl.DataFrame) -> pl.LazyFrame:
    """The READMEs of some repositories, and a row for each that is not given.

    Args:
        crawl: the crawl.
        kind: `models` or `datasets`.
        wanted: see `carded`.
    """
    stage = f"{kind.removesuffix('s')}_cards"
    asked = {unit: tuple(row) for unit, *row in wanted.drop("basis").iter_rows()}
    reader = CardReader(crawl.client, kind)

    # To one who is not known every gated card is closed: a few show whether this Hub holds to it.
    closed = Refusals(Gated)

    def fetch(unit: str) -> list[dict[str, Any]]:
        repo_id, sha, gated = asked[unit]
        if crawl.client.is_anonymous and gated not in (None, "false"):
            answer = closed.ask(lambda: reader.read(repo_id, sha))
        else:
            answer = reader.read(repo_id, sha)
        return [{**parse_card(repo_id, sha, answer.content), "_id": unit}]

    # A file at a commit is what it is, whenever it is asked for.
    units = wanted.select("unit", "basis", is_timeless=pl.col("sha").is_not_null())
    cards = crawl.units(
        stage, observations.CARDS, units, fetch,
        carry=_cards_before(crawl, stage, wanted), refresh=False,
    )  # fmt: skip
    withheld = (
        crawl.missing(stage)
        .join(wanted, on="unit")
        .select(
            "id", pl.col("unit").alias("_id"), pl.col("reason").alias("status"),
            observed_now(), carried=pl.lit(False),
        )
    )  # fmt: skip
    return pl.concat([cards, withheld.lazy()], how="diagonal_relaxed")


def _cards_before(crawl: Crawl, stage: str, wanted: pl.DataFrame) -> pl.LazyFrame | None:
    """The cards of the snapshot before, with the ids of today.

    Only renamed ones pass through a join: the texts are too many to be held in memory.
    """
    if crawl.before is None:
        return None
    cards = crawl.before.table(stage).with_columns(unit="_id")
    ids = cards.select("unit", "id").collect()
    today = wanted.select("unit", _today="id")
    renamed = ids.join(today, on="unit").filter(pl.col("id") != pl.col("_today"))
    moved = renamed["unit"].implode()
    followed = (
        cards.filter(pl.col("unit").is_in(moved))
        .join(renamed.lazy().select("unit", "_today"), on="unit")
        .with_columns(id="_today")
        .drop("_today")
        .collect()
    )
    return pl.concat([cards.filter(~pl.col("unit").is_in(moved)), followed.lazy()])


def card_table(kind: str) -> CrawledTable:
    """The table of one kind's READMEs (`models` or `datasets`)."""

    @crawled_table(
        f"hub/{kind.removesuffix('s')}_cards",
        description=f"README.md of the {kind} that have one, at the listing's commit.",
        columns=observations.CARDS,
        ins={"repositories": f"hub/{kind}"},
        bucket="resolvers",
        row_group_rows=1_000,  # a text may have megabytes
    )
    def cards_table(crawl: Crawl, repositories: Table) -> pl.LazyFrame:
        return crawl_cards(crawl, kind, repositories())

    return cards_table


TABLES = [card_table(kind) for kind in ("models", "datasets")]
