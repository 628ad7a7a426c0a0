"""Finding ids in a table of ids: by 64-bit hashes, exactly.

Belongs here: the look-up that verification, its checks and the graph share. Does not: what is done
with the rows found.
"""

import polars as pl


def rows_of_ids(values: pl.Series, ids: pl.Series) -> pl.Series:
    """Where each value stands among the ids.

    Joining integers is several times as quick as joining strings. Hashes may collide, so what they
    find is compared with the ids themselves; where one differs, the strings are joined.

    Args:
        values: what to find; nulls are found nowhere.
        ids: each once, without nulls.

    Returns:
        Row numbers (UInt32), null for a value that is no id.
    """
    hashes = pl.select(pl.when(values.is_not_null()).then(values.hash())).to_series()
    found = _joined(hashes, ids.hash())
    if found is not None and not (ids.gather(found) != values).any():
        return found
    found = _joined(values, ids)
    assert found is not None, "an id stands twice"
    return found


def _joined(values: pl.Series, ids: pl.Series) -> pl.Series | None:
    """Row numbers by equality; None where an id stands twice."""
    wanted = values.to_frame("key")
    known = ids.to_frame("key").with_row_index("row")
    if len(values) < len(ids):  # a table of the few is made sooner than one of all
        known = known.join(wanted, on="key", how="semi", maintain_order="left")
    found = wanted.join(known, on="key", how="left", maintain_order="left")
    return found["row"] if found.height == len(values) else None


def pair_hashes(frame: pl.DataFrame, first: str, second: str) -> pl.Series:
    """A 64-bit hash of two columns of ids, row by row; it holds within one process only."""
    mixed = pl.col(first).hash(seed=1) * pl.lit(0x9E3779B97F4A7C15, pl.UInt64)
    return frame.select((mixed + pl.col(second).hash(seed=2)).alias("hash")).to_series()
