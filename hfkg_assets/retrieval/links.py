"""`retrieval/link`: the edges by which repositories are near one another, from either end.

Belongs here: which edges these are, the table, and going along them. Does not: what nearness is
worth (`reranking`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_assets.vocabulary import LINEAGE, RELATIONS
from hfkg_resources.table_schema import Column

LINK = (
    Column("node", pl.Int32(), "the end that the edge is looked up from", required=True),
    Column("other", pl.Int32(), "the other end", required=True),
    Column("relation", pl.String(), "the relation", required=True),
    Column("is_subject", pl.Boolean(), "whether `node` is the edge's subject", required=True),
)


def _between(*predicates: str) -> tuple[str, ...]:
    return tuple(
        relation.name
        for relation in RELATIONS.values()
        if relation.predicate in predicates and relation.object in ("model", "dataset")
    )


LIKES = _between("like")
USE = _between("use", "contain", "trainedOrFineTunedOn")
"""Relations that tell of use: a Space runs both, a collection lists both, a model is trained on."""

SHARED = {"likes": LIKES, "use": USE}
"""Reason → the relations through which two repositories have something in common."""

FOLLOWED = (*LIKES, *USE, *LINEAGE)


def links_of(edge: pl.LazyFrame) -> pl.LazyFrame:
    """Each edge from both ends, by node.

    Args:
        edge: `graph/edge`.
    """
    kept = edge.filter(pl.col("relation").is_in(FOLLOWED))
    ends = pl.col("source", "target").cast(pl.Int32)
    kept = kept.select(ends, "relation")
    both = [
        kept.select(node=node, other=other, relation="relation", is_subject=pl.lit(subject))
        for node, other, subject in (("source", "target", True), ("target", "source", False))
    ]
    return pl.concat(both).unique().sort("node", "relation", "other", "is_subject")


@dataclass(frozen=True)
class Links:
    """The edges of each node.

    Attributes:
        starts: int64 [nodes + 1]; those of node i stand from `starts[i]` to `starts[i + 1]`.
        other: int32 [links].
        relation: uint8 [links], a place in `FOLLOWED`.
        is_subject: bool [links], whether the node is the subject.
    """

    starts: np.ndarray
    other: np.ndarray
    relation: np.ndarray
    is_subject: np.ndarray

    @staticmethod
    def load(table: pl.LazyFrame, nodes: int) -> Links:
        """Reads the table.

        Args:
            table: `retrieval/link`.
            nodes: how many nodes the graph has.
        """
        frame = table.with_columns(pl.col("relation").cast(pl.Enum(FOLLOWED))).collect()
        starts = np.searchsorted(frame["node"].to_numpy(), np.arange(nodes + 1))
        return Links(
            starts,
            frame["other"].to_numpy(),
            frame["relation"].to_physical().cast(pl.UInt8).to_numpy(),
            frame["is_subject"].to_numpy(),
        )

    def of(self, node: int, relations: tuple[str, ...]) -> np.ndarray:
        """Places of a node's links by some relations, int64."""
        start, end = int(self.starts[node]), int(self.starts[node + 1])
        wanted = [FOLLOWED.index(name) for name in relations]
        return start + np.flatnonzero(np.isin(self.relation[start:end], wanted))

    def degree(self, nodes: np.ndarray) -> np.ndarray:
        """How many links nodes have."""
        return self.starts[nodes + 1] - self.starts[nodes]

    def path(self, place: int, node: int, names: pl.Series) -> tuple[str, str, str]:
        """A link as subject, relation, object.

        Args:
            place: of the link.
            node: whose link it is.
            names: ids by node.
        """
        ends = names[node], names[int(self.other[place])]
        subject, target = ends if self.is_subject[place] else ends[::-1]
        return subject, FOLLOWED[self.relation[place]], target
