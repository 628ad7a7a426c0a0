"""Filters: which repositories may be an answer at all.

Belongs here: from a filter to the rows that pass it, and what is said of a value that no
repository has. Does not: ranking.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import polars as pl

from hfkg_assets.retrieval.answers import BadFilter, Filters

COLUMNS = {
    "task": "tasks",
    "licence": "licence",
    "language": "languages",
    "library": "libraries",
    "size": "size",
}
"""Filter → column of `retrieval/facts`, a text or a list of texts."""

SHOWN = 8
"""Values that are named where one is unknown."""


class FilterTable:
    """The facts that filters look at.

    Args:
        facts: `retrieval/facts`, n rows.
        labels: task id → label.
    """

    def __init__(self, facts: pl.DataFrame, labels: Mapping[str, str]) -> None:
        self.facts = facts
        self._labels = labels

    def rows(self, filters: Filters) -> np.ndarray | None:
        """Which rows pass, bool [n]; None where all do.

        Raises:
            BadFilter: no repository has the value; or the dates are the wrong way round.
        """
        conditions = [
            self._has(column, self._meant(name, value))
            for name, column in COLUMNS.items()
            if (value := getattr(filters, name)) is not None
        ]
        if filters.since and filters.until and filters.since > filters.until:
            raise BadFilter(f"since={filters.since} is after until={filters.until}")
        day = pl.col("created_at").dt.date()
        conditions += [day >= filters.since] if filters.since else []
        conditions += [day <= filters.until] if filters.until else []
        if not conditions:
            return None
        return (
            self.facts.select(pl.all_horizontal(conditions).fill_null(False)).to_series().to_numpy()
        )

    def values(self, name: str) -> pl.DataFrame:
        """The values that a filter may have: `value`, `count`, the most frequent first."""
        return self._values[name]

    @cached_property
    def _values(self) -> dict[str, pl.DataFrame]:
        return {name: self._counted(column) for name, column in COLUMNS.items()}

    def _counted(self, column: str) -> pl.DataFrame:
        values = self.facts[column]
        if values.dtype == pl.List(pl.String):
            values = values.explode()
        counts = values.drop_nulls().alias("value").value_counts()
        return counts.sort("count", "value", descending=[True, False])

    def _meant(self, name: str, wanted: str) -> list[str]:
        """The values that are the wanted one but for case; for a task its label counts too."""
        told = " ".join(str(wanted).split()).casefold()
        known = self._values[name]["value"].to_list()
        labels = self._labels if name == "task" else {}
        meant = [v for v in known if told in (v.casefold(), labels.get(v, v).casefold())]
        if meant:
            return meant
        by_fold = {value.casefold(): value for value in known}
        near = difflib.get_close_matches(told, by_fold, SHOWN, cutoff=0.6)
        shown = [by_fold[value] for value in near] or known[:SHOWN]
        hint = "near ones are" if near else "frequent ones are"
        told_of = f"{hint} {', '.join(shown)}" if shown else "none has any"
        raise BadFilter(f"no repository has {name}={str(wanted)[:80]!r}; {told_of}")

    def _has(self, column: str, values: list[str]) -> pl.Expr:
        if self.facts.schema[column] == pl.String():
            return pl.col(column).is_in(values)
        return pl.any_horizontal([pl.col(column).list.contains(value) for value in values])
