"""Sorting more than memory holds.

Belongs here: one way to sort a table whose rows are large. Does not: what is sorted, or where it is
stored.
"""

from itertools import pairwise
from pathlib import Path

import polars as pl

from hfkg_resources.atomic_write import write_atomically

RANGE_ROWS = 20_000
"""Rows sorted at once: with texts of some KB a hundred MB."""


def sort_on_disk(frame: pl.LazyFrame, by: str, folder: Path) -> pl.LazyFrame:
    """A frame sorted by a column without nulls, by way of files with one range of it each.

    Polars sorts in memory. Here only the keys are, and then one range after the other. It is quick
    where the frame's files are themselves about sorted: then each range is in few of them.

    Args:
        frame: what to sort; it is scanned once for the keys and once per range.
        by: the column.
        folder: where the ranges are written; it must live as long as the result.
    """
    keys = frame.select(by).collect().to_series().sort()
    if keys.len() <= RANGE_ROWS:
        return frame.sort(by)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, (low, high) in enumerate(pairwise([*keys.gather_every(RANGE_ROWS), None])):
        below = pl.lit(True) if high is None else pl.col(by) < high
        rows = frame.filter(pl.col(by) >= low, below).sort(by)
        parts.append(folder / f"range-{number:05d}.parquet")
        write_atomically(parts[-1], rows.sink_parquet)
    return pl.scan_parquet(parts, hive_partitioning=False)
