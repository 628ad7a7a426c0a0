"""Lineage of one model: trees of its bases and of what derives from it, and the paths there.

The edges of a snapshot, some hundred thousand at the Hub's size, are held as two sparse matrices;
a tree is cut to what a person can look at, and counts tell what was cut.

Belongs here: walking the four lineage relations. Does not: bases that are only predicted (`trace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hfkg_assets.retrieval.answers import Lineage, NotMade, Relative
from hfkg_assets.retrieval.names import unknown
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.warehouse import Warehouse

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DEPTH, BREADTH = 3, 12
"""Steps up and down, and relatives of one model, that a tree shows unless asked otherwise."""

FACTS = (
    pl.col("tasks"), pl.col("license").alias("licence"), pl.col("likes"), pl.col("downloads"),
    pl.col("created_at"),
)  # fmt: skip
"""What a tree tells of a model, from `entity/model`."""


@dataclass(frozen=True)
class Step:
    """A model on the way up from another.

    Attributes:
        id: of the model.
        path: ids and relations by turns, from the model asked for to this one.
    """

    id: str
    path: tuple[str, ...]

    @property
    def depth(self) -> int:
        """Edges from the model asked for."""
        return len(self.path) // 2

    @property
    def relation(self) -> str:
        """Of the last edge."""
        return self.path[-2]


class LineageGraph:
    """The lineage edges of a snapshot, to be walked from model to model.

    Attributes:
        snapshot: date of the snapshot.
    """

    def __init__(self, warehouse: Warehouse, day: str | None = None) -> None:
        """Reads the edges.

        Args:
            warehouse: where the snapshot lies.
            day: its date; the newest by default.

        Raises:
            NotMade: there is no verified lineage, of this date or at all.
        """
        self._warehouse = warehouse
        self.snapshot = _snapshot(warehouse, day)
        observed = pl.concat(
            warehouse.scan(f"verified/{name}", self.snapshot).select(
                "subject_id", "object_id", relation=pl.lit(code, pl.Int8)
            )
            for code, name in enumerate(LINEAGE, start=1)  # a sparse matrix holds no 0
        )
        # Two relations between the same two models are one step.
        edges = observed.group_by("subject_id", "object_id").agg(pl.col("relation").min()).collect()
        ends = pl.concat([edges["subject_id"], edges["object_id"]]).unique().sort()
        models = warehouse.scan("entity/model", self.snapshot).select("id", *FACTS)
        self._models = (
            pl.LazyFrame({"id": ends})
            .join(models, on="id", how="left", maintain_order="left")
            .collect()
        )
        rows = self._models.select("id").with_row_index("row")
        numbered = (
            edges.lazy()
            .join(rows.lazy().select(subject_id="id", base="row"), on="subject_id")
            .join(rows.lazy().select(object_id="id", derived="row"), on="object_id")
            .select("base", "derived", "relation")
            .collect()
        )
        self._derived = _matrix(numbered, "base", "derived", len(ends))
        self._bases = _matrix(numbered, "derived", "base", len(ends))
        # Where a tree is cut, what is liked most stays.
        order = self._models.select(rank=pl.struct(-pl.col("likes").fill_null(0), "id").rank())
        self._rank = order["rank"].to_numpy()

    def tree(self, model: str, *, depth: int = DEPTH, breadth: int = BREADTH) -> Lineage:
        """Where a model comes from and what came of it.

        A model that several ways lead to has its relatives where the shortest way ends, and is
        marked as repeated elsewhere; so cycles end.

        Args:
            model: its id.
            depth: steps up and down.
            breadth: relatives of one model, the most liked ones.

        Raises:
            UnknownId: the snapshot holds no such model.
        """
        row = self._row(model)
        if row is None:
            alone = Relative(model, facts=self._facts_of_unlinked(model))
            return Lineage(self.snapshot, model, alone, alone, 0, 0)
        return Lineage(
            self.snapshot,
            model,
            self._tree(self._bases, row, depth, breadth),
            self._tree(self._derived, row, depth, breadth),
            _reached(self._bases, row),
            _reached(self._derived, row),
        )

    def ancestors(self, model: str) -> list[Step]:
        """All models that a model derives from, near ones first, each by a shortest path.

        Raises:
            UnknownId: the snapshot holds no such model.
        """
        from scipy.sparse.csgraph import breadth_first_order

        row = self._row(model)
        if row is None:
            self._facts_of_unlinked(model)
            return []
        order, before = breadth_first_order(self._bases, row)
        paths: dict[int, tuple[str, ...]] = {row: (model,)}
        for reached in order[1:].tolist():
            here = int(before[reached])
            relation = list(LINEAGE)[int(self._bases[here, reached]) - 1]
            paths[reached] = (*paths[here], relation, self._models["id"][reached])
        return [Step(path[-1], path) for path in list(paths.values())[1:]]

    def _row(self, model: str) -> int | None:
        place = int(self._models["id"].search_sorted(model))
        found = place < self._models.height and self._models["id"][place] == model
        return place if found else None

    def _facts_of_unlinked(self, model: str) -> Mapping[str, Any]:
        models = self._warehouse.scan("entity/model", self.snapshot)
        found = models.filter(pl.col("id") == model).select(*FACTS).collect()
        if found.is_empty():
            ids = models.select("id").collect()["id"]
            raise unknown("model", model, ids, self.snapshot)
        return _known(found.row(0, named=True))

    def _tree(self, step: csr_matrix, root: int, depth: int, breadth: int) -> Relative:
        """The tree from a row along a matrix; each row has its relatives where it is nearest."""
        links: dict[int, list[_Link]] = {}
        seen, level = {root}, [root]
        for _ in range(depth):
            below = []
            for row in level:
                links[row] = []
                for near, relation in self._nearest(step, row, breadth):
                    links[row].append(_Link(near, relation, near in seen))
                    if near not in seen:
                        seen.add(near)
                        below.append(near)
            level = below
        return self._relative(_Link(root, None, False), step, links)

    def _nearest(self, step: csr_matrix, row: int, breadth: int) -> list[tuple[int, str]]:
        names = list(LINEAGE)
        own = slice(step.indptr[row], step.indptr[row + 1])
        near, codes = step.indices[own], step.data[own]
        first = np.argsort(self._rank[near])[:breadth]
        return [(int(near[i]), names[int(codes[i]) - 1]) for i in first]

    def _relative(
        self, link: _Link, step: csr_matrix, links: Mapping[int, list[_Link]]
    ) -> Relative:
        facts = dict(self._models.row(link.row, named=True))
        below = [] if link.repeated else links.get(link.row, [])
        relatives = int(step.indptr[link.row + 1] - step.indptr[link.row])
        return Relative(
            facts.pop("id"),
            link.relation,
            _known(facts),
            tuple(self._relative(near, step, links) for near in below),
            more=0 if link.repeated else relatives - len(below),
            repeated=link.repeated,
        )


@dataclass(frozen=True)
class _Link:
    """A row that a tree shows: the relation that leads to it, and whether it is shown before."""

    row: int
    relation: str | None
    repeated: bool


def _snapshot(warehouse: Warehouse, day: str | None) -> str:
    """The date asked for, or the newest that has a verified graph."""
    days = warehouse.dates(f"verified/{LINEAGE[-1]}")
    if day is None and not days:
        raise NotMade("there is no snapshot yet; make one with: hfkg run")
    if day is not None and day not in days:
        raise NotMade(f"there is no snapshot of {day}; make it with: hfkg run --date {day}")
    return day or days[-1]


def _matrix(edges: pl.DataFrame, row: str, column: str, size: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    ends = edges[row].to_numpy(), edges[column].to_numpy()
    return csr_matrix((edges["relation"].to_numpy(), ends), shape=(size, size))


def _reached(step: csr_matrix, row: int) -> int:
    from scipy.sparse.csgraph import breadth_first_order

    return len(breadth_first_order(step, row, return_predecessors=False)) - 1


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, [])}
