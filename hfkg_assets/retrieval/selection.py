"""Selections: the documents that may be an answer.

Belongs here: how they are told to indexes. Does not: what decides it (`filters`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SMALL_SHARE = 0.2
"""Up to this share, rows are picked out one by one rather than read in passing."""


@dataclass(frozen=True)
class Selection:
    """Some documents within a range of rows.

    Attributes:
        start, end: the range.
        mask: bool [end - start], which of it; None for all.
    """

    start: int
    end: int
    mask: np.ndarray | None = None

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return self.end - self.start if self.mask is None else int(np.count_nonzero(self.mask))

    @cached_property
    def rows(self) -> np.ndarray:
        """Their numbers, int64, ascending."""
        if self.mask is None:
            return np.arange(self.start, self.end)
        return self.start + np.flatnonzero(self.mask)

    @property
    def is_small(self) -> bool:
        """Whether they are a small part of their range."""
        return self.mask is not None and self.count <= SMALL_SHARE * (self.end - self.start)

    def without_others(self, scores: np.ndarray) -> np.ndarray:
        """Scores of all documents, those that are not selected set to 0."""
        kept = np.zeros_like(scores)
        part = slice(self.start, self.end)
        kept[part] = scores[part] if self.mask is None else np.where(self.mask, scores[part], 0)
        return kept
