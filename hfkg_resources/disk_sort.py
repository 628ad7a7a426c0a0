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

HAND_BYTES = 128 * 1024 * 1024
"""What is dealt out to the ranges at once."""


def sort_on_disk(
    frame: pl.LazyFrame,
    by: str,
    size: pl.Expr,
    folder: Path,
    *,
    shuffled: bool = False,
    range_rows: int = RANGE_ROWS,
    group_rows: int = GROUP_ROWS,
) -> pl.LazyFrame:
    """A frame sorted by a column without nulls, by way of files with one range of it each.

    Polars sorts in memory. Here only the keys are, and then one range after the other. It is quick
    where the frame's files are themselves about sorted: then each range is in few of them. Rows in
    no order are first dealt out to the ranges, which writes them once more.

    Args:
        frame: what to sort; it is scanned once for the keys and once per range, or if shuffled
            once for all.
        by: the column.
        size: bytes of a row, about.
        folder: where the ranges are written; it must live as long as the result.
        shuffled: whether the rows are in no order.
        range_rows: rows that are sorted at once.
        group_rows: rows that are read at once when the ranges are joined.
    """
    row = pl.int_range(pl.len())
    before = pl.col("size").fill_null(0).cum_sum() - pl.col("size").fill_null(0)
    number = pl.max_horizontal(row // range_rows, before // RANGE_BYTES)
    keys = frame.select(pl.col(by).alias("key"), size.alias("size")).collect().sort("key")
    lows = keys.filter(number != number.shift(1, fill_value=-1))["key"].unique(maintain_order=True)
    if lows.len() <= 1:
        return frame.sort(by)
    folder.mkdir(parents=True, exist_ok=True)
    ranges = _dealt(frame, by, lows, folder) if shuffled else _filtered(frame, by, lows)
    parts = []
    for part, rows in enumerate(ranges):
        parts.append(folder / f"range-{part:05d}.parquet")
        write = partial(rows.sort(by).sink_parquet, compression="lz4", row_group_size=group_rows)
        write_atomically(parts[-1], write)
    return pl.scan_parquet(parts, hive_partitioning=False)


def _filtered(frame: pl.LazyFrame, by: str, lows: pl.Series) -> list[pl.LazyFrame]:
    """The rows of each range, as a filter of the frame."""
    return [
        frame.filter(pl.col(by) >= low, pl.lit(True) if high is None else pl.col(by) < high)
        for low, high in pairwise([*lows, None])
    ]


def _dealt(frame: pl.LazyFrame, by: str, lows: pl.Series, folder: Path) -> list[pl.LazyFrame]:
    """The rows of each range, in files of their own."""
    files: list[list[Path]] = [[] for _ in lows]
    hand: list[pl.DataFrame] = []

    def deal() -> None:
        if not hand:
            return
        rows = pl.concat(hand)
        hand.clear()
        place = lows.search_sorted(rows[by], side="right") - 1
        rows = rows.with_columns(place.alias("_range"))
        dealt_out = rows.partition_by("_range", as_dict=True, include_key=False)
        for (number,), dealt in dealt_out.items():
            file = folder / f"dealt-{number:05d}-{len(files[number]):05d}.parquet"
            dealt.write_parquet(file, compression="lz4")
            files[number].append(file)

    for batch in frame.collect_batches(chunk_size=GROUP_ROWS):
        hand.append(batch)
        if sum(part.estimated_size() for part in hand) > HAND_BYTES:
            deal()
    deal()
    return [pl.scan_parquet(own, hive_partitioning=False) for own in files]
