"""Tracing one model: the bases that the graph knows, and those that are predicted for it.

Belongs here: looking up and wording. Does not: how bases are predicted (`hfkg_assets.tracing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkg_assets.retrieval.answers import Base, Reason, Trace
from hfkg_assets.retrieval.lineage import LineageGraph, Step
from hfkg_assets.tracing.prediction import TABLE, predicted_bases_of
from hfkg_assets.vocabulary import RELATIONS
from hfkg_resources.warehouse import Warehouse

HOW = {
    "adapter": "is an adapter of", "finetune": "is fine-tuned from", "merge": "is merged from",
    "quantized": "is quantized from",
}  # fmt: skip
"""What a derived model is to its base, by the relation's predicate."""


def how(relation: str | None) -> str:
    """What a derived model is to its base."""
    return HOW[RELATIONS[relation].predicate] if relation else "derives from"


def trace(warehouse: Warehouse, lineages: LineageGraph, model: str) -> Trace:
    """The bases of a model.

    Args:
        warehouse: where predictions lie.
        lineages: the snapshot's lineage edges.
        model: its id.

    Raises:
        UnknownId: the snapshot holds no such model.
    """
    day = lineages.snapshot
    known = [_known(step) for step in lineages.ancestors(model)]
    predicted, notes = [], []
    if not known:
        if warehouse.path(TABLE, day).is_file():
            rows = predicted_bases_of(warehouse, day, model)
            predicted = [_predicted(**row) for row in rows.iter_rows(named=True)]
            notes.append("no base is declared; these are predicted, should there be one")
        else:
            notes.append(
                "no base is declared, and none is predicted yet; do that with: "
                f"hfkg run --job train --date {day}"
            )
    return Trace(day, model, tuple(known + predicted), tuple(notes))


def _known(step: Step) -> Base:
    derived = step.path[-3]
    said = Reason("lineage", f"{derived} {how(step.relation)} {step.id}", step.path)
    return Base(step.id, step.depth, True, step.relation, evidence=(said,))


def _predicted(
    base_id: str,
    relation: str,
    probability: float,
    evidence: Sequence[Mapping[str, Any]],
    **_: Any,
) -> Base:
    reasons = (Reason(e["kind"], e["detail"], weight=e["weight"]) for e in evidence)
    return Base(base_id, 1, False, relation, probability, tuple(reasons))
