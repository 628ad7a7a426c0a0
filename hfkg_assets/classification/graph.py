"""`classification/graph`: the edges over which models and datasets exchange messages.

Nodes are the rows of `feature/document`, numbered in the order of kind and id. Edges are the four
lineage relations and training on a dataset; never an edge to a task, which would be the answer.
`valid_from` is the moment from which both ends exist.
"""

import polars as pl

from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import LINEAGE, RELATIONS
from hfkg_resources.table_schema import INSTANT, Column

MESSAGE_RELATIONS = (*LINEAGE, "model_trainedOrFineTunedOn_dataset")
"""The relations that carry messages, in the order of their edge types."""

MESSAGE_GRAPH = (
    Column("source", pl.Int64(), "node number of the subject", required=True),
    Column("target", pl.Int64(), "node number of the object", required=True),
    Column("relation", pl.String(), "relation type", required=True),
    Column("valid_from", INSTANT, "the later of both ends' creation; null where unknown"),
)


def number_nodes(documents: pl.LazyFrame) -> pl.LazyFrame:
    """The nodes in their order: `node`, `kind`, `id`, `created_at`."""
    return (
        documents.select("kind", "id", "created_at")
        .sort("kind", "id")
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )


def message_edges(documents: pl.LazyFrame, verified: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Edges between numbered nodes, in one direction, sorted.

    Args:
        documents: `feature/document`.
        verified: verified relations by name, those of `MESSAGE_RELATIONS`.
    """
    nodes = number_nodes(documents)
    return pl.concat(_edges(name, nodes, verified[name]) for name in MESSAGE_RELATIONS).sort(
        "relation", "source", "target"
    )


def _edges(name: str, nodes: pl.LazyFrame, verified: pl.LazyFrame) -> pl.LazyFrame:
    relation = RELATIONS[name]

    def end(kind: str, number: str, column: str) -> pl.LazyFrame:
        return nodes.filter(pl.col("kind") == kind).select(
            pl.col("node").alias(number),
            pl.col("id").alias(column),
            pl.col("created_at").alias(f"{number}_created"),
        )

    known = pl.col("source_created").is_not_null() & pl.col("target_created").is_not_null()
    return (
        verified.join(end(relation.subject, "source", "subject_id"), on="subject_id")
        .join(end(relation.object, "target", "object_id"), on="object_id")
        .select(
            "source",
            "target",
            pl.lit(name).alias("relation"),
            pl.when(known)
            .then(pl.max_horizontal("source_created", "target_created"))
            .alias("valid_from"),
        )
    )


@snapshot_asset(
    "classification/graph",
    description="Typed edges between models and datasets for message passing; no task edges.",
    columns=MESSAGE_GRAPH,
    ins={
        "documents": "feature/document",
        **{name: f"verified/{name}" for name in MESSAGE_RELATIONS},
    },
)
def graph(documents: pl.LazyFrame, **verified: pl.LazyFrame) -> pl.LazyFrame:
    return message_edges(documents, verified)
