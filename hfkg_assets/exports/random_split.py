"""How exports split edges at random: reproducibly, and so that nothing is tested unseen."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

TRAIN = "train"


def random_split(
    edges: pl.DataFrame, shares: Mapping[str, float], seen: Sequence[Sequence[str]], seed: int
) -> pl.DataFrame:
    """Takes shares of the edges out of train.

    In a random order, the first edge of everything that must be seen in train stays there; of the
    others the first make up the first split, the next the second. Where too few others are left,
    every split gets its part of them.

    Args:
        edges: one row each, in an order that does not change from run to run.
        shares: split → share of all edges.
        seen: groups of columns; each value in the columns of a group occurs in train.
        seed: of the order.

    Returns:
        The edges with `split`, in the order given.
    """
    n = edges.height
    row = pl.int_range(n, dtype=pl.UInt32).alias("row")
    order = pl.Series("order", np.random.default_rng(seed).permutation(n))
    shuffled = edges.with_columns(row, order).sort("order")
    kept = [
        pl.concat(shuffled.select("row", "order", value=column) for column in columns)
        .sort("order")
        .unique("value", keep="first")
        .select("row")
        for columns in seen
    ]
    free = shuffled.select("row").join(pl.concat(kept), on="row", how="anti", maintain_order="left")
    wanted = {name: round(share * n) for name, share in shares.items()}
    scale = min(1.0, free.height / max(sum(wanted.values()), 1))
    taken = pl.concat(
        pl.repeat(name, int(size * scale), dtype=pl.String, eager=True)
        for name, size in wanted.items()
    )
    held = free.head(taken.len()).with_columns(split=taken)
    return (
        edges.with_columns(row)
        .join(held, on="row", how="left", maintain_order="left")
        .with_columns(pl.col("split").fill_null(TRAIN))
        .drop("row")
    )
