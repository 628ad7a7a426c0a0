"""`classification/node`, `classification/graph`: the typed graph over which messages pass.

Models and datasets, which are classified, are numbered first; after them come the accounts,
collections, papers and Spaces around them, their context. Tasks are no nodes and no edge leads to
one: that would be the answer.

An edge tells from when on it is known to hold, so that nothing from after a cut-off need be used.
What a repository was made from, made with or refers to holds once both ends exist; a publication
as soon as the repository does. What can come about later than both ends holds from the last moment
at which it can have come about: an entry of a collection or a Space from the last change of the
collection or the Space, a like from the like itself. Where that moment is not on record, as with
followers and members, the edge has none.
"""

import polars as pl

from hfkg_assets.classification.labels import TASK_RELATIONS
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import (
    ENTITIES,
    LINEAGE,
    RELATIONS,
    Followers,
    Items,
    Likers,
    ListColumn,
    Members,
    Owner,
    Publisher,
    RelationType,
)
from hfkg_resources.table_schema import INSTANT, Column

DOCUMENT_KINDS = tuple(sorted(TASK_RELATIONS))
"""The kinds of node that are classified, in the order of `feature/document`."""

NODE_KINDS = (*DOCUMENT_KINDS, *sorted(set(ENTITIES) - {*DOCUMENT_KINDS, "task"}))
"""All kinds of node, documents first; a kind's number is its position."""

MESSAGE_RELATIONS = (*LINEAGE, "model_trainedOrFineTunedOn_dataset")
"""The relations between documents; their edge types come first."""

DOCUMENT_RELATIONS = len(MESSAGE_RELATIONS)
"""How many they are."""

CONTEXT_RELATIONS = tuple(
    name
    for name, relation in RELATIONS.items()
    if name not in MESSAGE_RELATIONS and "task" not in (relation.subject, relation.object)
)
"""The relations that lead to context nodes or join them."""

EDGE_RELATIONS = (*MESSAGE_RELATIONS, *CONTEXT_RELATIONS)
"""All relations of the graph; an edge type is a position in it."""

NODE = (
    Column("node", pl.Int64(), "node number, dense from 0: documents, then context", required=True),
    Column("kind", pl.String(), "entity type", required=True),
    Column("id", pl.String(), "the entity's id", required=True),
    Column("created_at", INSTANT, "creation, or publication of a paper; null where unknown"),
    Column("text_at", INSTANT, "last change of a document's text; null for context"),
)

MESSAGE_GRAPH = (
    Column("source", pl.Int64(), "node number of the subject", required=True),
    Column("target", pl.Int64(), "node number of the object", required=True),
    Column("relation", pl.String(), "relation type", required=True),
    Column("valid_from", INSTANT, "from when on it is known to hold; null where unknown"),
)


def number_nodes(nodes: pl.DataFrame) -> pl.DataFrame:
    """Numbers the entities that are nodes of this graph.

    Args:
        nodes: `graph/node`: ids ascending within a type.

    Returns:
        The same columns and `node`, in the order of `node`: documents by kind and id, then
        context nodes by kind and id.
    """
    return (
        pl.concat(nodes.filter(pl.col("type") == kind) for kind in NODE_KINDS)
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )


def node_table(nodes: pl.DataFrame) -> pl.DataFrame:
    """`classification/node` of `graph/node`."""
    is_document = pl.col("type").is_in(DOCUMENT_KINDS)
    return number_nodes(nodes).select(
        "node",
        pl.col("type").alias("kind"),
        "id",
        "created_at",
        pl.when(is_document).then("last_modified_at").alias("text_at"),
    )


def message_edges(nodes: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """`classification/graph`: edges in one direction, by relation, source and target.

    Args:
        nodes: `graph/node`; `node_id` is the row number.
        edges: `graph/edge`; within a relation by source and target.
    """
    ends = nodes.select("node_id", "created_at", "last_modified_at").join(
        number_nodes(nodes).select("node_id", "node"),
        on="node_id",
        how="left",
        maintain_order="left",
    )
    # New numbers ascend with the old ones within a kind: the order of edges stays.
    return pl.concat(
        _dated(RELATIONS[name], edges.filter(pl.col("relation") == name), ends)
        for name in EDGE_RELATIONS
    )


def _dated(relation: RelationType, edges: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """One relation's edges with new numbers and the moment from which each holds."""
    gathered = {
        f"{end}_{column}": ends[column].gather(edges[end])
        for end in ("source", "target")
        for column in ("node", "created_at", "last_modified_at")
    }
    return edges.with_columns(**gathered).select(
        pl.col("source_node").alias("source"),
        pl.col("target_node").alias("target"),
        "relation",
        _valid_from(relation).cast(INSTANT).alias("valid_from"),
    )


def _valid_from(relation: RelationType) -> pl.Expr:
    match relation.rule:
        case Publisher():
            return pl.col("target_created_at")
        case Owner():  # a collection's creation is not on record
            return pl.col("target_last_modified_at")
        case ListColumn() | Items():
            return _later("source_last_modified_at", "target_created_at")
        case Likers():
            return _later("liked_at", "target_created_at")
        case Followers() | Members():
            return pl.lit(None)
        case _:
            return _later("source_created_at", "target_created_at")


def _later(*columns: str) -> pl.Expr:
    """The latest of some moments; null where one is unknown."""
    known = pl.all_horizontal(pl.col(*columns).is_not_null())
    return pl.when(known).then(pl.max_horizontal(*columns))


@snapshot_asset(
    "classification/node",
    description="The message graph's nodes: models and datasets first, then what is around them.",
    columns=NODE,
    ins={"nodes": "graph/node"},
)
def message_node(nodes: pl.LazyFrame) -> pl.DataFrame:
    return node_table(nodes.collect())


@snapshot_asset(
    "classification/graph",
    description="Typed, dated edges for message passing, never to a task.",
    columns=MESSAGE_GRAPH,
    ins={"nodes": "graph/node", "edges": "graph/edge"},
    code_version="2",
)
def graph(nodes: pl.LazyFrame, edges: pl.LazyFrame) -> pl.DataFrame:
    return message_edges(nodes.collect(), edges.collect())
