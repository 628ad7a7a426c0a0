"""`graph/node` and `graph/edge`: the whole verified graph with dense integer ids."""

from collections.abc import Mapping
from functools import partial

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.id_rows import rows_of_ids
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, edge_attributes
from hfkg_resources.table_schema import INSTANT, Column
from hfkg_resources.warehouse import Warehouse

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

    Raises:
        StaleVerification: an end of a verified edge is no node.
    """
    own = {name: [c.name for c in RELATIONS[name].attributes] for name in RELATIONS}
    rows = {
        name: verified[name].select("subject_id", "object_id", *own[name]).collect()
        for name in RELATIONS
    }
    for entity in ENTITIES:
        _number(rows, entity, node.filter(pl.col("type") == entity).select("id", "node_id"))
    parts = []
    for name, edge in rows.items():
        if unknown := edge.filter(pl.any_horizontal(pl.col("source", "target").is_null())).height:
            raise StaleVerification(
                f"verified/{name} has {unknown} edges between what is no node: it was made before "
                "the entities were. Materialize it again, and then graph/edge"
            )
        ordered = edge if edge["source"].is_sorted() else edge.sort("source", "target")
        parts.append(
            ordered.lazy().select(
                "source",
                "target",
                pl.lit(name).alias("relation"),
                *(
                    (pl.col(c.name) if c.name in own[name] else pl.lit(None))
                    .cast(c.dtype)
                    .alias(c.name)
                    for c in edge_attributes()
                ),
            )
        )
    return pl.concat(parts)


def _number(rows: dict[str, pl.DataFrame], entity: str, nodes: pl.LazyFrame) -> None:
    """Puts node ids in place of the ids of one entity type, in all relations at once.

    Args:
        rows: edges by relation; `subject_id` becomes `source`, `object_id` `target`.
        entity: the type.
        nodes: its nodes: `id`, `node_id`.
    """
    ends = [
        (relation.name, column, number)
        for relation in RELATIONS.values()
        for type_name, column, number in (
            (relation.subject, "subject_id", "source"),
            (relation.object, "object_id", "target"),
        )
        if type_name == entity
    ]
    known = nodes.collect()
    ids = pl.concat([rows[name][column] for name, column, _ in ends])
    numbers, start = known["node_id"].gather(rows_of_ids(ids, known["id"])), 0
    for name, column, number in ends:
        size = rows[name].height
        rows[name] = rows[name].with_columns(numbers.slice(start, size).alias(number)).drop(column)
        start += size


class StaleVerification(Exception):
    """A verified edge leads to what is no node of the snapshot."""


@snapshot_asset(
    "graph/node",
    description="Every entity of the snapshot as a node with a dense integer id.",
    columns=NODE,
    ins={name: f"entity/{name}" for name in ENTITIES},
    code_version=code_version(nodes, [(e.name, e.columns) for e in ENTITIES.values()]),
)
def graph_node(**entities: pl.LazyFrame) -> pl.LazyFrame:
    return nodes(entities)


@snapshot_asset(
    "graph/edge",
    description="Every verified assertion of the snapshot as an edge between nodes.",
    columns=EDGE,
    deps=["graph/node", *(f"verified/{name}" for name in RELATIONS)],
    code_version=code_version(
        edges, [(r.name, r.subject, r.object, r.attributes) for r in RELATIONS.values()]
    ),
)
def graph_edge(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> pl.LazyFrame:
    scan = partial(warehouse.scan, day=context.partition_key)
    return edges(scan("graph/node"), {name: scan(f"verified/{name}") for name in RELATIONS})
