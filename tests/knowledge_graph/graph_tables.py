"""Small stored graphs, written as the platform stores them."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import polars as pl

from hfkg_assets.knowledge_graph.graph import EDGE, nodes
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

Things = Mapping[str, Mapping[str, Mapping[str, object] | str | None]]
"""Entity type → id → its attributes; a string alone is the `hub_id`."""

Triple = tuple[str, str, str]
"""Subject's id, relation, object's id."""


def store_graph(warehouse: Warehouse, day: str, things: Things, triples: Iterable[Triple]) -> None:
    """Stores `entity/*`, `graph/node` and `graph/edge` of a day.

    Args:
        things: all nodes.
        triples: all edges.
    """
    entities = {}
    for name, entity in ENTITIES.items():
        rows = [
            {"id": id, **(facts if isinstance(facts, Mapping) else {"hub_id": facts})}
            for id, facts in things.get(name, {}).items()
        ]
        table = pl.DataFrame(rows, schema_of(entity.columns)).sort("id")
        entities[name] = table.lazy()
        warehouse.write(f"entity/{name}", day, table)
    node = nodes(entities).collect()
    number = {(row["type"], row["id"]): row["node_id"] for row in node.iter_rows(named=True)}
    rows = [
        {"source": source, "target": target, "relation": name}
        for name, found in _by_relation(triples)
        for source, target in sorted(
            (number[RELATIONS[name].subject, s], number[RELATIONS[name].object, o])
            for s, o in found
        )
    ]
    warehouse.write("graph/node", day, node)
    warehouse.write("graph/edge", day, pl.DataFrame(rows, schema_of(EDGE)))


def store_verified(
    warehouse: Warehouse, day: str, triples: Iterable[Triple], only: Collection[str] | None = None
) -> None:
    """Stores `verified/*` of a day, of all relations or of some."""
    for name, found in _by_relation(triples):
        if only is not None and name not in only:
            continue
        rows = [{"subject_id": s, "object_id": o} for s, o in found]
        table = pl.DataFrame(rows, schema_of(RELATIONS[name].columns))
        warehouse.write(f"verified/{name}", day, table)


def _by_relation(triples: Iterable[Triple]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    triples = list(triples)
    for name in RELATIONS:
        yield name, sorted((s, o) for s, relation, o in triples if relation == name)
