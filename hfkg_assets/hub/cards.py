"""`hub/model_cards`, `hub/dataset_cards`: README.md of each repository that has one.

A card is read at the commit that the listing names. Repositories without a README are not asked.
"""

from typing import Any

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import CrawledTable, Refusals, Table, crawled_table, now, observed_now
from hfkg_resources.crawl import Crawl
from hfkg_resources.disk_sort import sort_on_disk
from hfkg_resources.errors import Gated
from hfkg_resources.pinned_files import PinnedFiles

README = "README.md"
CAP = 100 * 1024 * 1024
"""Bytes of a README that are read at most."""


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
    files = PinnedFiles(crawl.client, kind)

    # To one who is not known every gated card is closed: a few show whether this Hub holds to it.
    closed = Refusals(Gated)

    def fetch(unit: str) -> list[dict[str, Any]]:
        repo_id, sha, gated = asked[unit]
        if crawl.client.is_anonymous and gated not in (None, "false"):
            answer = closed.ask(lambda: files.read(repo_id, sha, README, cap=CAP))
        else:
            answer = files.read(repo_id, sha, README, cap=CAP)
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
