"""`graph/changes`: nodes and edges added, removed and renamed since the snapshot before.

The snapshot before is the newest earlier one that the store holds: it is read from there, since
Dagster refuses an input that goes through another date of what is above. A node is recognized by
the Hub's stable id, which outlives a renaming, and where none is known by its name. Edges are
compared as pairs of nodes, so an edge whose ends were only renamed has not changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import COLLECTION_SLUG, ENTITIES, RELATIONS, EntityType
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

CHANGES = (
    Column("what", pl.String(), "node or edge", required=True),
    Column("change", pl.String(), "added, removed or renamed", required=True),
    Column("type", pl.String(), "entity type of a node, relation of an edge", required=True),
    Column("id", pl.String(), "a node's id: today's, or the last one of a removed node"),
    Column("previous_id", pl.String(), "the id then of a renamed node"),
    Column("subject_id", pl.String(), "an edge's subject: today's id, of a removed edge that then"),
    Column("object_id", pl.String(), "an edge's object, likewise"),
    Column("since", pl.Date(), "date of the snapshot compared with", required=True),
)

TABLES = ("graph/node", "graph/edge", *(f"entity/{name}" for name in ENTITIES))
"""What of a snapshot is compared."""

_RELATION = pl.Enum(list(RELATIONS))
_GONE = -1


@dataclass(frozen=True)
class GraphOfDay:
    """The stored graph of one date.

    Attributes:
        warehouse: the store.
        day: the snapshot date.
    """

    warehouse: Warehouse
    day: str

    def nodes(self) -> pl.DataFrame:
        """`type` and `id` of all nodes; a node's row is its `node_id`."""
        node = self.warehouse.scan("graph/node", self.day).select("type", "id")
        return node.collect(engine="streaming")

    def edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relation's place in the vocabulary, source and target, of all edges."""
        edge = self.warehouse.scan("graph/edge", self.day)
        place = pl.col("relation").cast(_RELATION).to_physical().cast(pl.Int64)
        columns = edge.select(place, "source", "target").collect(engine="streaming")
        relation, source, target = (column.to_numpy() for column in columns)
        return relation, source, target

    def stable_ids(self, entity: EntityType) -> pl.DataFrame:
        """`id` and `stable` (null where not known) of one entity type."""
        table = self.warehouse.scan(f"entity/{entity.name}", self.day)
        return table.select("id", stable=_stable_id(entity)).collect(engine="streaming")


def previous_date(warehouse: Warehouse, day: str) -> str | None:
    """The newest date before `day` of which the store has all that is compared."""
    dates = set.intersection(*(set(warehouse.dates(table)) for table in TABLES))
    return max((found for found in dates if found < day), default=None)


def changes(before: GraphOfDay, now: GraphOfDay) -> pl.LazyFrame:
    """What changed between two snapshots.

    Args:
        before: the earlier graph.
        now: the later graph.

    Returns:
        `graph/changes`: nodes, then edges, each in the vocabulary's order.
    """
    then, today = before.nodes(), now.nodes()
    number_now = np.full(then.height, _GONE, dtype=np.int64)
    parts: list[pl.LazyFrame] = []
    for entity in ENTITIES.values():
        both = _match(_numbered(then, before, entity), _numbered(today, now, entity))
        number_now[both.same["number"].to_numpy()] = both.same["number_now"].to_numpy()
        parts += both.changed(entity.name)
    parts += _changed_edges(before, now, then["id"], today["id"], number_now)
    return (
        pl.concat(parts, how="diagonal")
        .with_columns(since=pl.lit(date.fromisoformat(before.day)))
        .select(pl.col(column.name).cast(column.dtype) for column in CHANGES)
    )


# --- nodes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Matched:
    """Nodes of one type in two snapshots.

    Attributes:
        same: one row per node that is in both: `number`, `id`, `number_now`, `id_now`.
        gone: nodes of the earlier one alone.
        new: nodes of the later one alone.
    """

    same: pl.DataFrame
    gone: pl.DataFrame
    new: pl.DataFrame

    def changed(self, entity: str) -> Iterator[pl.LazyFrame]:
        """The rows of `graph/changes` about them."""
        renamed = self.same.filter(pl.col("id") != pl.col("id_now"))
        for change, rows in (
            ("added", self.new.select("id")),
            ("removed", self.gone.select("id")),
            ("renamed", renamed.select(id="id_now", previous_id="id").sort("id")),
        ):
            yield rows.lazy().select(
                pl.lit("node").alias("what"),
                pl.lit(change).alias("change"),
                pl.lit(entity).alias("type"),
                pl.all(),
            )


def _numbered(nodes: pl.DataFrame, graph: GraphOfDay, entity: EntityType) -> pl.DataFrame:
    """`number`, `id`, `stable` of a type's nodes."""
    rows = nodes.with_row_index("number").filter(pl.col("type") == entity.name)
    return _join_on_id(
        rows.select(pl.col("number").cast(pl.Int64), "id"), graph.stable_ids(entity), how="left"
    )


def _match(then: pl.DataFrame, now: pl.DataFrame) -> _Matched:
    """Finds each node of then in today's: by both ids, by the stable one alone, by name alone."""
    now = now.select(pl.all().name.suffix("_now"), id="id")
    stable, stable_now = pl.col("stable"), pl.col("stable_now")
    unchanged = _join_on_id(then, now, how="inner").filter(stable.eq_missing(stable_now))
    gone, new = _without(then, now, unchanged)
    # A stable id that stands twice on a side says nothing: the crawl saw a renaming happen.
    renamed = (
        gone.drop_nulls("stable")
        .unique("stable", keep="none")
        .join(
            new.drop_nulls("stable_now").unique("stable_now", keep="none").drop("id"),
            left_on="stable",
            right_on="stable_now",
        )
    )
    gone, new = _without(gone, new, renamed)
    # Of a name that had another thing behind it then, the old one is gone and the new one new.
    unsure = _join_on_id(gone, new, how="inner").filter(stable.is_null() | stable_now.is_null())
    gone, new = _without(gone, new, unsure)
    columns = ("number", "id", "number_now", "id_now")
    same = pl.concat(rows.select(columns) for rows in (unchanged, renamed, unsure))
    return _Matched(same, gone, new)


def _join_on_id(
    left: pl.DataFrame, right: pl.DataFrame, how: Literal["inner", "left"]
) -> pl.DataFrame:
    """A merge of two tables that are sorted by id, not a hash table of a million names."""
    left, right = (rows if rows["id"].is_sorted() else rows.sort("id") for rows in (left, right))
    merged = left.lazy().set_sorted("id").join(right.lazy().set_sorted("id"), on="id", how=how)
    return merged.collect(engine="streaming")


def _without(
    then: pl.DataFrame, now: pl.DataFrame, same: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return (
        then.join(same, on="number", how="anti", maintain_order="left"),
        now.join(same, on="number_now", how="anti", maintain_order="left"),
    )


def _stable_id(entity: EntityType) -> pl.Expr:
    if any(column.name == "hub_id" for column in entity.columns):
        return pl.col("hub_id")
    if entity.id_pattern == COLLECTION_SLUG:  # its title part changes with the title
        return pl.col("id").str.extract(r"-([0-9a-f]{24})$")
    return pl.lit(None, pl.String)


# --- edges ---------------------------------------------------------------------------------------


def _changed_edges(
    before: GraphOfDay,
    now: GraphOfDay,
    ids_then: pl.Series,
    ids_now: pl.Series,
    number_now: np.ndarray,
) -> Iterator[pl.LazyFrame]:
    """Edges of one side alone, compared in today's numbers.

    An edge becomes one integer of relation, source and target, the side its lowest bit: sorted,
    an edge of both snapshots stands beside itself.
    """
    gone = np.flatnonzero(number_now == _GONE)
    number_now[gone] = len(ids_now) + np.arange(len(gone))
    size = len(ids_now) + len(gone)  # 30 · size² · 2 stays below 2⁶³ up to 390 million nodes
    number_then = np.full(size, _GONE, dtype=np.int64)
    number_then[number_now] = np.arange(len(number_now))

    relation, source, target = before.edges()
    sides = np.concatenate(
        [
            _key(relation, number_now[source], number_now[target], size) << 1,
            _key(*now.edges(), size) << 1 | 1,
        ]
    )
    sides.sort()
    twice = np.diff(sides >> 1) == 0
    alone = np.ones(len(sides), dtype=bool)
    alone[1:] &= ~twice
    alone[:-1] &= ~twice
    changed = sides[alone]
    relation, source, target = _parts(changed[changed & 1 == 1] >> 1, size)
    yield _edges("added", relation, source, target, ids_now)
    relation, source, target = _parts(changed[changed & 1 == 0] >> 1, size)
    yield _edges("removed", relation, number_then[source], number_then[target], ids_then)


def _key(relation: np.ndarray, source: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    return (relation * size + source) * size + target


def _parts(key: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pair, target = np.divmod(key, size)
    return (*np.divmod(pair, size), target)


def _edges(
    change: str, relation: np.ndarray, source: np.ndarray, target: np.ndarray, ids: pl.Series
) -> pl.LazyFrame:
    # Lazy, since columns that repeat a word would take several times the memory of the ids.
    return pl.LazyFrame(
        {
            "relation": relation.astype(np.uint8),
            "subject_id": ids.gather(source),
            "object_id": ids.gather(target),
        }
    ).select(
        pl.lit("edge").alias("what"),
        pl.lit(change).alias("change"),
        pl.col("relation")
        .replace_strict(dict(enumerate(RELATIONS)), return_dtype=pl.String)
        .alias("type"),
        "subject_id",
        "object_id",
    )


# --- asset ---------------------------------------------------------------------------------------


def as_markdown(counts: pl.DataFrame) -> str:
    """Changes by type as a Markdown table, in the vocabulary's order.

    Args:
        counts: `what`, `type`, `change`, `len`.
    """
    kinds = ("added", "removed", "renamed")
    found = {(type, change): n for type, change, n in counts["type", "change", "len"].iter_rows()}
    lines = [f"| type | {' | '.join(kinds)} |", "| --- | ---: | ---: | ---: |"]
    for name in (*ENTITIES, *RELATIONS):
        numbers = [found.get((name, kind), 0) for kind in kinds]
        if any(numbers):
            lines.append(f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} |")
    return "\n".join(lines)


def totals(counts: pl.DataFrame) -> dict[str, int]:
    """Number of changes by what and change, such as `nodes_added`."""
    sums = counts.group_by("what", "change").agg(pl.col("len").sum()).sort("what", "change")
    return {f"{what}s_{change}": number for what, change, number in sums.iter_rows()}


@snapshot_asset(
    "graph/changes",
    description=(
        "Nodes and edges added, removed and renamed since the newest earlier snapshot in the "
        "store. The first snapshot has none to compare with: its table is empty."
    ),
    columns=CHANGES,
    deps=TABLES,
    code_version=code_version(
        changes,
        previous_date,
        [(e.name, e.id_pattern, e.columns) for e in ENTITIES.values()],
        list(RELATIONS),
    ),
)
def graph_changes(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> pl.LazyFrame:
    day = context.partition_key
    previous = previous_date(warehouse, day)
    if previous is None:
        context.add_output_metadata({"hfkg/compared_with": "nothing: no earlier snapshot is there"})
        return pl.LazyFrame(schema=schema_of(CHANGES))
    table = changes(GraphOfDay(warehouse, previous), GraphOfDay(warehouse, day))
    counts = table.group_by("what", "type", "change").len().collect(engine="streaming")
    context.add_output_metadata(
        {
            "hfkg/compared_with": previous,
            "hfkg/changes": dg.MetadataValue.md(as_markdown(counts)),
            **{f"hfkg/{name}": count for name, count in totals(counts).items()},
        }
    )
    return table
