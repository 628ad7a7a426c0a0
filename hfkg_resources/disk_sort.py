"""Sorting more than memory holds.

Belongs here: one way to sort a table whose rows are large. Does not: what is sorted, or where it is
stored.
"""

from functools import partial
from itertools import pairwise
from pathlib import Path

import polars as pl

from hfkg_resources.atomic_write import write_atomically

RANGE_ROWS = 20_000
RANGE_BYTES = 64 * 1024 * 1024
"""What is sorted at once: so many rows at most, or so many bytes."""

GROUP_ROWS = 1_000
"""What is read at once when the ranges are joined."""


def sort_on_disk(frame: pl.LazyFrame, by: str, size: pl.Expr, folder: Path) -> pl.LazyFrame:
    """A frame sorted by a column without nulls, by way of files with one range of it each.

    Polars sorts in memory. Here only the keys are, and then one range after the other. It is quick
    where the frame's files are themselves about sorted: then each range is in few of them.

    Args:
        frame: what to sort; it is scanned once for the keys and once per range.
        by: the column.
        size: bytes of a row, about.
        folder: where the ranges are written; it must live as long as the result.
    """
    row = pl.int_range(pl.len())
    before = pl.col("size").fill_null(0).cum_sum() - pl.col("size").fill_null(0)
    number = pl.max_horizontal(row // RANGE_ROWS, before // RANGE_BYTES)
    keys = frame.select(pl.col(by).alias("key"), size.alias("size")).collect().sort("key")
    lows = keys.filter(number != number.shift(1, fill_value=-1))["key"].unique(maintain_order=True)
    if lows.len() <= 1:
        return frame.sort(by)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for part, (low, high) in enumerate(pairwise([*lows, None])):
        below = pl.lit(True) if high is None else pl.col(by) < high
        rows = frame.filter(pl.col(by) >= low, below).sort(by)
        parts.append(folder / f"range-{part:05d}.parquet")
        write_atomically(parts[-1], partial(rows.sink_parquet, row_group_size=GROUP_ROWS))
    return pl.scan_parquet(parts, hive_partitioning=False)
