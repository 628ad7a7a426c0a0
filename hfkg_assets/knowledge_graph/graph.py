"""`graph/node` and `graph/edge`: the whole verified graph with dense integer ids."""

from collections.abc import Mapping

import polars as pl

from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, edge_attributes
from hfkg_resources.table_schema import INSTANT, Column

NODE = (
    Column("node_id", pl.Int64(), "dense from 0, by type and id", required=True),
    Column("type", pl.String(), "entity type", required=True),
    Column("id", pl.String(), "the entity's id", required=True),
    Column("created_at", INSTANT, "creation, or publication of a paper, where known"),
    Column("last_modified_at", INSTANT, "last change, where known"),
)

EDGE = (
    Column("source", pl.Int64(), "node_id of the subject", required=True),
    Column("target", pl.Int64(), "node_id of the object", required=True),
    Column("relation", pl.String(), "relation type", required=True),
    *edge_attributes(),
)


def nodes(entities: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """All entities of a snapshot as nodes.

    Args:
        entities: entity tables by type, each sorted by id.

    Returns:
        `graph/node`: types in the vocabulary's order, ids ascending within a type.
    """
    return (
        pl.concat(_as_nodes(name, entities[name]) for name in ENTITIES)
        .with_row_index("node_id")
        .with_columns(pl.col("node_id").cast(pl.Int64))
    )


def _as_nodes(name: str, entity: pl.LazyFrame) -> pl.LazyFrame:
    columns = {column.name for column in ENTITIES[name].columns}
    created = next((c for c in ("created_at", "published_at") if c in columns), None)
    modified = "last_modified_at" if "last_modified_at" in columns else None
    return entity.select(
        pl.lit(name).alias("type"),
        pl.col("id"),
        _instant(created).alias("created_at"),
        _instant(modified).alias("last_modified_at"),
    )


def _instant(column: str | None) -> pl.Expr:
    return (pl.col(column) if column else pl.lit(None)).cast(INSTANT)


def edges(node: pl.LazyFrame, verified: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """All verified relations of a snapshot as edges.

    Args:
        node: `graph/node`.
        verified: verified tables by relation.

    Returns:
        `graph/edge`: relations in the vocabulary's order, each sorted by source and target.
    """
    return pl.concat((_as_edges(name, node, verified[name]) for name in RELATIONS), how="vertical")


def _as_edges(name: str, node: pl.LazyFrame, verified: pl.LazyFrame) -> pl.LazyFrame:
    relation = RELATIONS[name]
    own = {column.name for column in relation.attributes}
    attributes = [
        (pl.col(c.name) if c.name in own else pl.lit(None)).cast(c.dtype).alias(c.name)
        for c in edge_attributes()
    ]
    return (
        verified.join(_ids(node, relation.subject, "source", "subject_id"), on="subject_id")
        .join(_ids(node, relation.object, "target", "object_id"), on="object_id")
        .select("source", "target", pl.lit(name).alias("relation"), *attributes)
        .sort("source", "target")
    )


def _ids(node: pl.LazyFrame, entity: str, number: str, end: str) -> pl.LazyFrame:
    return node.filter(pl.col("type") == entity).select(
        pl.col("node_id").alias(number), pl.col("id").alias(end)
    )


@snapshot_asset(
    "graph/node",
    description="Every entity of the snapshot as a node with a dense integer id.",
    columns=NODE,
    ins={name: f"entity/{name}" for name in ENTITIES},
)
def graph_node(**entities: pl.LazyFrame) -> pl.LazyFrame:
    return nodes(entities)


@snapshot_asset(
    "graph/edge",
    description="Every verified assertion of the snapshot as an edge between nodes.",
    columns=EDGE,
    ins={"node": "graph/node", **{name: f"verified/{name}" for name in RELATIONS}},
)
def graph_edge(node: pl.LazyFrame, **verified: pl.LazyFrame) -> pl.LazyFrame:
    return edges(node, verified)
