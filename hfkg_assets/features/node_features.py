"""`feature/node_features`: everything known of a document in one row of numbers."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.snapshots import snapshot_asset

KEY = ["variant", "kind", "id"]


def node_features(parts: Mapping[str, pl.LazyFrame]) -> tuple[pl.DataFrame, dict[str, range]]:
    """Joins vectors of the same texts to one vector.

    Args:
        parts: tables by the name of their vector column, each with `variant`, `kind`, `id`.

    Returns:
        `variant`, `kind`, `id`, `features`, sorted by the first three; and which columns of the
        features each part fills.

    Raises:
        ValueError: the parts are of different documents, or of different text variants.
    """
    frames = {name: frame.sort(KEY).collect() for name, frame in parts.items()}
    keys = [frame.select(KEY) for frame in frames.values()]
    if not all(key.equals(keys[0]) for key in keys):
        raise ValueError(
            f"{' and '.join(parts)} are of different documents or text variants: "
            "materialize them again together"
        )
    matrices = {name: frame[name].to_numpy() for name, frame in frames.items()}
    ends = np.cumsum([matrix.shape[1] for matrix in matrices.values()]).tolist()
    columns = dict(zip(matrices, map(range, [0, *ends], ends), strict=False))
    features = np.concatenate(list(matrices.values()), axis=1)
    dtype = pl.Array(pl.Float32, features.shape[1])
    return keys[0].with_columns(pl.Series("features", features, dtype=dtype)), columns


@snapshot_asset(
    "feature/node_features",
    description="Embedding and BM25 scores of each text variant of each document as one vector.",
    ins={"embedding": "feature/embedding", "bm25": "feature/bm25"},
)
def features(
    context: dg.AssetExecutionContext, embedding: pl.LazyFrame, bm25: pl.LazyFrame
) -> pl.DataFrame:
    frame, columns = node_features({"embedding": embedding, "bm25": bm25})
    context.add_output_metadata(
        {"hfkg/columns": {name: f"{c.start}..{c.stop}" for name, c in columns.items()}}
    )
    return frame
