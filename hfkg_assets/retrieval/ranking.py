"""Rankings: the best of some scores, and several rankings made one.

Belongs here: what holds for any scores. Does not: where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RRF_K = 60
"""Reciprocal rank fusion's constant (Cormack, Clarke and Buettcher, SIGIR 2009)."""


DECIMALS = 6
"""To which scores are compared."""


@dataclass(frozen=True)
class Ranking:
    """Documents, best first.

    Attributes:
        rows: int64 [m], documents.
        scores: float [m], falling.
    """

    rows: np.ndarray
    scores: np.ndarray


def best(scores: np.ndarray, k: int, rows: np.ndarray | None = None) -> Ranking:
    """The k highest scores above 0; of equal ones the earlier rows.

    Scores are compared as rounded: those of equal texts differ in the last bits, by where their
    rows lie.

    Args:
        scores: float [m].
        k: how many at most.
        rows: int64 [m], whose scores they are, ascending; by default 0 to m - 1.
    """
    places = np.flatnonzero(scores > 0)
    if len(places) > k:
        found = scores[places]
        least = np.partition(found, len(found) - k)[len(found) - k]
        places = places[found >= least - 10.0**-DECIMALS]
    rounded = np.round(scores[places], DECIMALS)
    order = np.argsort(-rounded, kind="stable")[:k]
    places = places[order]
    return Ranking(places if rows is None else rows[places], rounded[order])


def fuse(rankings: Mapping[str, Ranking], weights: Mapping[str, float], k: int) -> Ranking:
    """Reciprocal rank fusion: a document's score is the sum of weight / (60 + rank).

    Args:
        rankings: by name.
        weights: by the same names.
        k: how many at most.
    """
    rows = np.concatenate([ranking.rows for ranking in rankings.values()] or [np.zeros(0, int)])
    gains = [
        weights[name] / (RRF_K + np.arange(1, len(ranking.rows) + 1))
        for name, ranking in rankings.items()
    ]
    unique, place = np.unique(rows, return_inverse=True)
    scores = np.zeros(len(unique))
    np.add.at(scores, place, np.concatenate(gains or [np.zeros(0)]))
    return best(scores, k, unique)
