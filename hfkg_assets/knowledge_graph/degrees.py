"""How many edges nodes have: degree distributions by entity type and by relation.

Belongs here: counting over the whole edge list. Does not: what is told about the counts.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from hfkg_assets.vocabulary import ENTITIES, RELATIONS


@dataclass
class Degrees:
    """Degree distributions; each is the number of nodes by degree, from 0.

    Attributes:
        outgoing: name of an entity type or relation → distribution of out-degrees. A type's nodes
            are counted over all relations, a relation's subjects over that relation.
        incoming: the same of in-degrees.
        isolated: entity type → number of nodes without any edge.
    """

    outgoing: dict[str, np.ndarray] = field(default_factory=dict)
    incoming: dict[str, np.ndarray] = field(default_factory=dict)
    isolated: dict[str, int] = field(default_factory=dict)


def degrees(node: pl.LazyFrame, edge: pl.LazyFrame) -> Degrees:
    """Degree distributions of a graph.

    A type's nodes have consecutive numbers, so degrees are counted into arrays: no grouping by
    node, which would hold a hash table of all ends.

    Args:
        node: `graph/node`.
        edge: `graph/edge`.
    """
    sizes = dict(node.group_by("type").len().collect().iter_rows())
    names = pl.col("relation").cast(pl.Enum(list(RELATIONS))).to_physical()
    ends = edge.select(names, "source", "target").collect(engine="streaming")
    relation, source, target = (column.to_numpy() for column in ends)
    first = 0
    starts = {}
    for name in ENTITIES:
        starts[name] = first
        first += sizes.get(name, 0)
    totals = {
        (direction, name): np.zeros(sizes.get(name, 0), dtype=np.int64)
        for direction in ("out", "in")
        for name in ENTITIES
    }
    found = Degrees()
    for place, (name, declared) in enumerate(RELATIONS.items()):
        own = relation == place
        for direction, entity, end, into in (
            ("out", declared.subject, source, found.outgoing),
            ("in", declared.object, target, found.incoming),
        ):
            counts = np.bincount(end[own] - starts[entity], minlength=sizes.get(entity, 0))
            totals[direction, entity] += counts
            into[name] = np.bincount(counts, minlength=1)
    for name in ENTITIES:
        outgoing, incoming = totals["out", name], totals["in", name]
        found.outgoing[name] = np.bincount(outgoing, minlength=1)
        found.incoming[name] = np.bincount(incoming, minlength=1)
        found.isolated[name] = int(np.count_nonzero(outgoing + incoming == 0))
    return found
