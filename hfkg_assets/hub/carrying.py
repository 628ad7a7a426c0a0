"""What the snapshot before knew, told in today's names.

Rows that are carried over name repositories as they were called then. A repository's `_id` outlives
every renaming: by it the rows of a renamed one are found, and its likers and card need not be asked
for again.
"""

from collections.abc import Mapping

import polars as pl

from hfkg_resources.crawl import Crawl


def renamed_rows(
    crawl: Crawl, rows: pl.LazyFrame, column: str, kind: str, today: pl.LazyFrame
) -> pl.LazyFrame:
    """Rows of the snapshot before about repositories that are still listed.

    Args:
        crawl: the crawl; it must have a snapshot before.
        rows: rows of that snapshot about repositories of one kind.
        column: where they name the repository.
        kind: `model`, `dataset` or `space`.
        today: the kind's listing of today.

    Returns:
        The rows with today's name in `column`, and the repository's stable id as `unit`.
    """
    assert crawl.before is not None
    then = crawl.before.table(f"{kind}s").select(pl.col("id").alias(column), unit="_id")
    now = today.select(pl.col("id").alias("_today"), unit="_id")
    return (
        rows.join(then, on=column)
        .join(now, on="unit")
        .with_columns(pl.col("_today").alias(column))
        .drop("_today")
    )


def renamings(crawl: Crawl, listed: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Repositories that are listed under another id than in the snapshot before.

    Returns:
        `kind`, `id` (then), `canonical_id` (today).
    """
    empty = pl.DataFrame(schema=dict.fromkeys(("kind", "id", "canonical_id"), pl.String))
    if crawl.before is None:
        return empty
    found = []
    for kind, today in listed.items():
        then = crawl.before.table(f"{kind}s").select("_id", "id")
        both = then.join(today.select("_id", canonical_id="id"), on="_id")
        found.append(
            both.filter(pl.col("id") != pl.col("canonical_id")).select(
                pl.lit(kind).alias("kind"), "id", "canonical_id"
            )
        )
    return pl.concat([empty.lazy(), *found]).collect()


def without_closed_accounts(crawl: Crawl, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows about users less those whose account the Hub said to be gone in the snapshot before."""
    assert crawl.before is not None
    gone = crawl.before.ledger("accounts").filter(pl.col("status") == "not_found")
    return rows.join(gone, left_on="user", right_on="unit", how="anti")
