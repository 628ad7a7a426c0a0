"""The approximate index: the nearest of very many vectors without looking at each.

Lists of vectors that lie together (an inverted file, J. Sivic and A. Zisserman, ICCV 2003), of
which those nearest to a question are read, each vector in 8 bits; what is found is compared again
with whole vectors. By faiss (arXiv 2401.08281), where it is installed: `pip install hfkg[search]`.
Belongs here: building, keeping and asking it. Does not: when it is asked (`vector_index`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hfkg_assets.retrieval.selection import Selection

log = logging.getLogger(__name__)

FILE = "lists.faiss"

FROM_DOCUMENTS = 1_000_000
"""From so many documents on an approximate index is made: see `benchmarks/README.md`."""

FROM_SELECTED = 300_000
"""Of a smaller selection all vectors are looked at: that takes no longer, and misses nothing."""

PROBES = 256
"""Lists that are read."""

MORE = 2
"""How many times as many as are wanted are compared with whole vectors."""

TRAINED_ON = 100_000


@dataclass(frozen=True)
class ApproximateIndex:
    """An inverted file.

    Attributes:
        index: faiss's.
    """

    index: Any

    @staticmethod
    def build(vectors: np.ndarray) -> ApproximateIndex | None:
        """Indexes vectors; None where faiss is not installed.

        Args:
            vectors: float32 [n, d]; those that are 0 are left out.
        """
        try:
            import faiss
        except ImportError:
            log.warning(
                "%d documents are searched one by one, which takes a while; "
                "pip install 'hfkg[search]' for an approximate index", len(vectors),
            )  # fmt: skip
            return None
        rows = np.flatnonzero(vectors.any(axis=1))
        lists = max(1, round(2 * len(rows) ** 0.5))
        description = f"IVF{lists},SQ8"
        index = faiss.index_factory(vectors.shape[1], description, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.max_points_per_centroid = 10, 64
        sample = np.random.default_rng(7).permutation(rows)[:TRAINED_ON]
        index.train(vectors[np.sort(sample)])
        for start in range(0, len(rows), TRAINED_ON):
            part = rows[start : start + TRAINED_ON]
            index.add_with_ids(np.ascontiguousarray(vectors[part]), part)
        return ApproximateIndex(index)

    def save(self, folder: Path) -> None:
        """Writes the index into a folder."""
        import faiss

        faiss.write_index(self.index, str(folder / FILE))

    @staticmethod
    def load(folder: Path) -> ApproximateIndex | None:
        """Opens the index of a folder; None where there is none, or faiss is not installed."""
        if not (folder / FILE).is_file():
            return None
        try:
            import faiss
        except ImportError:
            return None
        return ApproximateIndex(faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP))

    def candidates(self, query: np.ndarray, k: int, selection: Selection) -> np.ndarray:
        """Rows of a selection that are probably among its k nearest, and some more, ascending.

        Args:
            query: float32 [d], of length 1.
            k: how many are wanted.
            selection: documents that may be found.
        """
        import faiss

        if selection.mask is None:
            selector = faiss.IDSelectorRange(selection.start, selection.end)
        else:
            bits = np.zeros(selection.end, bool)
            bits[selection.start :] = selection.mask
            selector = faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
        asked = faiss.SearchParametersIVF(nprobe=PROBES, sel=selector)
        _, found = self.index.search(query[None], MORE * k, params=asked)
        return np.sort(found[0][found[0] >= 0])
