"""`retrieval/similar`: the texts that are nearest to each text in meaning, for use in bulk.

Belongs here: the table, by exact products, block by block. Does not: `DocumentSearch.similar`,
which asks the graph too.
"""

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.retrieval.facts import KINDS
from hfkg_assets.retrieval.indexes import VECTOR_INDEX
from hfkg_assets.retrieval.ranking import best
from hfkg_assets.retrieval.reranking import popularity
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

NEIGHBOURS = 10

MOST = 20_000
"""Repositories of a kind that are asked about; of more the most popular. A product of all with all
grows with the square: a million texts would take hours."""

BLOCK = 256

SIMILAR = (
    Column("kind", pl.String(), "model or dataset", required=True),
    Column("id", pl.String(), "repository id", required=True),
    Column("rank", pl.Int32(), "from 1", required=True),
    Column("other_id", pl.String(), "one of the same kind with a similar text", required=True),
    Column("similarity", pl.Float32(), "cosine of the two texts' vectors", required=True),
)


def nearest_of(vectors: np.ndarray, asked: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """The k nearest rows to some rows, themselves left out.

    Args:
        vectors: float32 [n, d], each of length 1, or zero where there is no text.
        asked: int64 [m], rows.
        k: how many at most.

    Returns:
        the row asked for, the rank from 1, the other row and their cosine, of each pair.
    """
    parts: list[tuple[np.ndarray, ...]] = [(np.zeros(0, np.int64),) * 3 + (np.zeros(0),)]
    for start in range(0, len(asked), BLOCK):
        block = asked[start : start + BLOCK]
        for row, cosines in zip(block, vectors[block] @ vectors.T, strict=True):
            cosines[row] = 0
            found = best(cosines, k)
            size = len(found.rows)
            parts.append((np.full(size, row), np.arange(1, size + 1), found.rows, found.scores))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


@snapshot_asset(
    "retrieval/similar",
    description=f"The {NEIGHBOURS} most similar texts of each model and dataset, of its kind.",
    columns=SIMILAR,
    ins={"facts": "retrieval/facts"},
    deps=[VECTOR_INDEX],
    code_version=code_version(nearest_of, popularity),
)
def similar(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    facts: pl.LazyFrame,
) -> pl.DataFrame:
    known = facts.collect()
    vectors = VectorIndex.load(warehouse.directory(VECTOR_INDEX, context.partition_key)).vectors
    prior = popularity(known)
    parts = [pl.DataFrame(schema={c.name: c.dtype for c in SIMILAR})]
    for kind in KINDS:
        rows = np.flatnonzero((known["kind"] == kind).to_numpy())
        own = np.ascontiguousarray(vectors[rows])
        filled = np.flatnonzero(own.any(axis=1))
        asked = np.sort(filled[np.argsort(-prior[rows][filled], kind="stable")[:MOST]])
        row, rank, other, cosine = nearest_of(own, asked, NEIGHBOURS)
        ids = known["id"].gather(rows)
        parts.append(
            pl.DataFrame(
                {
                    "kind": pl.Series([kind] * len(row), dtype=pl.String),
                    "id": ids.gather(row),
                    "rank": pl.Series(rank, dtype=pl.Int32),
                    "other_id": ids.gather(other),
                    "similarity": pl.Series(cosine, dtype=pl.Float32),
                }
            )
        )
        context.log.info("%ss: %d of %d asked about", kind, len(asked), len(rows))
    return pl.concat(parts)
