"""The dense index: which documents mean about the same as a text.

Belongs here: the index, its files and how it is searched. Does not: where vectors come from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfkg_assets.retrieval.approximate_index import (
    FROM_DOCUMENTS,
    FROM_SELECTED,
    ApproximateIndex,
)
from hfkg_assets.retrieval.ranking import Ranking, best
from hfkg_assets.retrieval.selection import Selection


@dataclass(frozen=True)
class VectorIndex:
    """Vectors of documents, memory-mapped where they come from a file.

    Attributes:
        vectors: float32 [n, d], each of length 1, or zero where there is no text.
        encoder: identity of the encoder that made them.
        variant: the text that they are of.
        approximate: finds candidates among very many; None where all are looked at.
    """

    vectors: np.ndarray
    encoder: str
    variant: str = "clean"
    approximate: ApproximateIndex | None = None

    @staticmethod
    def build(vectors: np.ndarray, encoder: str, variant: str) -> VectorIndex:
        """Indexes vectors, approximately too where there are very many."""
        whole = np.ascontiguousarray(vectors, np.float32)
        is_large = len(whole) >= FROM_DOCUMENTS
        approximate = ApproximateIndex.build(whole) if is_large else None
        return VectorIndex(whole, encoder, variant, approximate)

    def save(self, folder: Path) -> None:
        """Writes the index into a folder."""
        np.save(folder / "vectors.npy", self.vectors)
        if self.approximate is not None:
            self.approximate.save(folder)
        about = {"encoder": self.encoder, "variant": self.variant}
        (folder / "index.json").write_text(json.dumps(about), encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> VectorIndex:
        """Opens an index; the vectors stay on disk until they are asked for."""
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        return VectorIndex(vectors, **about, approximate=ApproximateIndex.load(folder))

    def search(self, query: np.ndarray, k: int, selection: Selection) -> Ranking:
        """The k documents of a selection nearest to a vector, those without text left out.

        Args:
            query: float32 [d], of length 1.
            k: how many at most.
            selection: documents that may be found.
        """
        if self.approximate is not None and selection.count > FROM_SELECTED:
            rows = self.approximate.candidates(query, k, selection)
            if len(rows) >= k:  # or what was selected lies far from the question: look at all
                return best(self.vectors[rows] @ query, k, rows)
        if selection.is_small:
            rows = selection.rows
            return best(self.vectors[rows] @ query, k, rows)
        scores = self.vectors[selection.start : selection.end] @ query
        if selection.mask is not None:
            scores[~selection.mask] = 0
        found = best(scores, k)
        return Ranking(found.rows + selection.start, found.scores)

    def moved(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """A vector half way between another and the middle of some documents, of length 1.

        Args:
            query: float32 [d], of length 1.
            rows: of the documents; those without text have no say.
        """
        middle = self.vectors[rows].sum(axis=0)
        moved = query + middle / max(float(np.linalg.norm(middle)), 1e-9)
        return moved / np.linalg.norm(moved)
