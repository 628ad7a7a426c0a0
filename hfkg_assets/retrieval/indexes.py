"""Assets of the indexes: `retrieval/link`, `retrieval/word_index`, `retrieval/vector_index`.

An index is a folder of arrays that are opened as they lie on disk; it is there whole or not at
all. Belongs here: the assets. Does not: what an index is (`word_index`, `vector_index`, `links`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.exports.folder import files_metadata, write_folder
from hfkg_assets.retrieval.approximate_index import ApproximateIndex
from hfkg_assets.retrieval.links import LINK, links_of
from hfkg_assets.retrieval.texts import Texts
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.retrieval.word_index import WordIndex
from hfkg_assets.snapshots import ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of, snapshot_asset
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

WORD_INDEX, VECTOR_INDEX = "retrieval/word_index", "retrieval/vector_index"


@snapshot_asset(
    "retrieval/link",
    description="Likes, use and lineage of the graph from either end: what is near a repository.",
    columns=LINK,
    ins={"edge": "graph/edge"},
    code_version=code_version(links_of),
)
def link(edge: pl.LazyFrame) -> pl.LazyFrame:
    return links_of(edge)


def _index(
    name: str, description: str, table: str, version: str
) -> Callable[..., dg.AssetsDefinition]:
    return dg.asset(
        key=key_of(name),
        description=description,
        deps=[key_of(table)],
        group_name="retrieval",
        partitions_def=SNAPSHOTS,
        backfill_policy=ONE_RUN_PER_DATE,
        kinds={"numpy"},
        owners=OWNERS,
        tags={"layer": "retrieval"},
        code_version=version,
    )


def stored(
    folder: Path, write: Callable[[Path], object], metadata: Mapping[str, Any]
) -> dg.MaterializeResult:
    """Writes an index into its folder, and tells what it weighs."""
    write_folder(folder, write)
    return dg.MaterializeResult(
        metadata={"dagster/uri": str(folder), **files_metadata(folder), **metadata}
    )


@_index(
    WORD_INDEX,
    "Which documents hold a word of their text or name, with BM25's weights.",
    "feature/document",
    code_version(WordIndex, Texts),
)
def word_index(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    day = context.partition_key
    frame = warehouse.scan("feature/document", day).select("id", "clean").collect()
    index = WordIndex.build(frame["clean"], frame["id"])

    def write(folder: Path) -> None:
        index.save(folder)
        Texts.build(frame["clean"]).save(folder)

    return stored(
        warehouse.directory(WORD_INDEX, day),
        write,
        {"hfkg/words": len(index.words), "hfkg/postings": len(index.rows)},
    )


@_index(
    VECTOR_INDEX,
    "The vectors of all documents as one matrix, and whose they are.",
    "feature/embedding",
    code_version(VectorIndex, ApproximateIndex),
)
def vector_index(
    context: dg.AssetExecutionContext,
    encoder: TextEncoder,
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    day = context.partition_key
    variant = "clean" if "clean" in encoder.variants else encoder.variants[0]
    frame = warehouse.scan("feature/embedding", day).filter(pl.col("variant") == variant)
    vectors = frame.select("embedding").collect()["embedding"].to_numpy()
    if not len(vectors):
        raise dg.Failure(
            f"feature/embedding of {day} has no vectors of {variant} texts: materialize it again"
        )
    index = VectorIndex.build(vectors, encoder.identity, variant)
    return stored(
        warehouse.directory(VECTOR_INDEX, day),
        index.save,
        {
            "hfkg/encoder": encoder.identity,
            "hfkg/variant": variant,
            "hfkg/approximate": index.approximate is not None,
        },
    )
