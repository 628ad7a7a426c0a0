"""`export/pyg`: the graph for PyTorch Geometric, one file of tensors.

`graph.pt` holds a plain dictionary in the form of `HeteroData.to_dict()`: PyTorch opens it with
`weights_only=True`, which refuses PyG's own classes, and `HeteroData.from_dict` makes the graph.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.knowledge_graph.verification import STATUS_RANK
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, RelationType
from hfkg_resources.table_schema import Column

if TYPE_CHECKING:
    import torch

GRAPH = "graph.pt"
SCHEMA = "schema.json"
UNKNOWN = -1
"""What numbers, times and codes are where the Hub does not tell."""

CODES: Mapping[str, Mapping[str, int]] = {"status": STATUS_RANK}
"""Text attributes that are exported, each value as its number."""

FEATURES = "feature/node_features"
FEATURE_ROWS = 50_000
"""Feature rows held at once."""


class PygOptions(dg.Config):
    """What `graph.pt` holds besides the graph."""

    features: bool = Field(
        default=True, description="node features x of models and datasets, where they were made"
    )


@export_asset(
    "pyg",
    description=(
        "The graph for PyTorch Geometric: graph.pt, tensors only, for HeteroData.from_dict; the "
        "ids of its nodes as Parquet."
    ),
    tables=["graph/node", "graph/edge", FEATURES],
    kinds=["pytorch"],
    options=PygOptions,
)
def pyg_export(snapshot: Snapshot, folder: Path, options: PygOptions) -> dict[str, Any]:
    import torch

    graph: dict[Any, dict[str, Any]] = {**node_stores(snapshot), **edge_stores(snapshot)}
    if options.features and snapshot.has(FEATURES):
        for kind, tensors in feature_tensors(snapshot).items():
            graph[kind] |= tensors
    torch.save(graph, folder / GRAPH)
    (folder / SCHEMA).write_text(json.dumps(schema_of_graph(), indent=2) + "\n")
    write_ids(snapshot, folder / "ids")
    return {
        "hfkg/nodes": sum(graph[name]["num_nodes"] for name in ENTITIES),
        "hfkg/edges": sum(graph[edge_type(r)]["edge_index"].shape[1] for r in RELATIONS.values()),
        "hfkg/features": [name for name in ENTITIES if "x" in graph[name]],
    }


def edge_type(relation: RelationType) -> tuple[str, str, str]:
    """A relation's key in `HeteroData`."""
    return relation.subject, relation.name, relation.object


def first_nodes(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """Per entity type its first `node_id` and its number of nodes: ids are dense by type.

    Raises:
        ValueError: they are not.
    """
    rows = (
        snapshot.scan("graph/node")
        .group_by("type")
        .agg(pl.col("node_id").min(), last=pl.col("node_id").max(), n=pl.len())
        .collect()
    )
    found = {name: (first, n) for name, first, _, n in rows.iter_rows()}
    if not (rows["last"] - rows["node_id"] + 1 == rows["n"]).all():
        raise ValueError(f"graph/node of {snapshot.day} is not numbered type by type")
    return {name: found.get(name, (0, 0)) for name in ENTITIES}


def node_stores(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Per entity type: `num_nodes`, `node_id` of `graph/node`, times in epoch milliseconds."""
    return {
        name: {
            "num_nodes": n,
            **_tensors(
                snapshot.scan("graph/node").filter(type=name).sort("node_id"),
                (
                    Column("node_id", pl.Int64(), ""),
                    Column("created_at", pl.Datetime("ms", "UTC"), ""),
                    Column("last_modified_at", pl.Datetime("ms", "UTC"), ""),
                ),
            ),
        }
        for name, (_, n) in first_nodes(snapshot).items()
    }


def edge_stores(snapshot: Snapshot) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Per relation: `edge_index` [2, E] of numbers within the types, and its attributes [E]."""
    import torch

    first = {name: start for name, (start, _) in first_nodes(snapshot).items()}
    stores = {}
    for relation in RELATIONS.values():
        edges = snapshot.scan("graph/edge").filter(relation=relation.name)
        ends = edges.select(
            pl.col("source") - first[relation.subject], pl.col("target") - first[relation.object]
        ).collect()
        stores[edge_type(relation)] = {
            "edge_index": torch.stack([ends["source"].to_torch(), ends["target"].to_torch()]),
            **_tensors(edges, relation.attributes),
        }
    return stores


def feature_tensors(snapshot: Snapshot) -> dict[str, dict[str, "torch.Tensor"]]:
    """Per type of document: `x` float32 [num_nodes, width] and `has_x` bool [num_nodes].

    A node without a document has a row of zeros.
    """
    import torch

    features = snapshot.scan(FEATURES)
    width = features.head(1).select(pl.col("features").arr.len()).collect().item()
    nodes = first_nodes(snapshot)
    made = {}
    for kind in features.select(pl.col("kind").unique()).collect()["kind"].sort():
        first, n = nodes[kind]
        x, has_x = torch.zeros(n, width), torch.zeros(n, dtype=torch.bool)
        ids = snapshot.scan("graph/node").filter(type=kind).select(pl.col("node_id") - first, "id")
        rows = features.filter(kind=kind).join(ids, on="id").select("node_id", "features")
        for part in rows.collect_batches(chunk_size=FEATURE_ROWS):
            place = part["node_id"].to_numpy()
            x.numpy()[place] = part["features"].to_numpy()
            has_x.numpy()[place] = True
        made[kind] = {"x": x, "has_x": has_x}
    return made


def write_ids(snapshot: Snapshot, folder: Path) -> None:
    """`ids/<type>.parquet`: row i tells the Hub's id of node i of that type."""
    folder.mkdir()
    for name in ENTITIES:
        nodes = snapshot.scan("graph/node").filter(type=name).sort("node_id")
        nodes.select("id", "node_id").sink_parquet(folder / f"{name}.parquet", compression="zstd")


def schema_of_graph() -> dict[str, Any]:
    """What the stores and their codes mean, for people and other languages than Python."""
    return {
        "nodes": {name: entity.description for name, entity in ENTITIES.items()},
        "edges": {
            relation.name: {
                "subject": relation.subject,
                "object": relation.object,
                "meaning": relation.description,
                "attributes": {c.name: c.description for c in _exported(relation.attributes)},
            }
            for relation in RELATIONS.values()
        },
        "codes": CODES,
        "unknown": UNKNOWN,
        "times": "milliseconds since 1970-01-01T00:00:00Z",
    }


def _exported(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that a tensor can hold: free text cannot be one."""
    return tuple(c for c in columns if c.dtype != pl.String() or c.name in CODES)


def _tensors(frame: pl.LazyFrame, columns: tuple[Column, ...]) -> dict[str, "torch.Tensor"]:
    exported = _exported(columns)
    table = frame.select(_as_number(column) for column in exported).collect()
    return {column.name: table[column.name].to_torch() for column in exported}


def _as_number(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    if column.dtype == pl.Boolean():
        return value.fill_null(False)
    if column.name in CODES:
        return value.replace_strict(CODES[column.name], default=UNKNOWN, return_dtype=pl.Int64)
    return value.cast(pl.Int64).fill_null(UNKNOWN)
