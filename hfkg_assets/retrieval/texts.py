"""The texts of documents, one after the other in a file: those of a few hits are read at once.

Belongs here: the file. Does not: what a text is (`feature/document`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Texts:
    """Texts by row, memory-mapped where they come from files.

    Attributes:
        content: uint8, all texts in UTF-8.
        starts: int64 [n + 1]; text i stands from `starts[i]` to `starts[i + 1]`.
    """

    content: np.ndarray
    starts: np.ndarray

    @staticmethod
    def build(texts: pl.Series) -> Texts:
        """Takes n texts; null is as good as empty."""
        filled = texts.fill_null("")
        starts = np.concatenate([[0], np.cumsum(filled.str.len_bytes().to_numpy(), dtype=np.int64)])
        content = b"".join(text.encode() for text in filled)
        return Texts(np.frombuffer(content, np.uint8), starts)

    def save(self, folder: Path) -> None:
        """Writes the texts into a folder."""
        np.save(folder / "texts.npy", self.content)
        np.save(folder / "text_starts.npy", self.starts)

    @staticmethod
    def load(folder: Path) -> Texts:
        """Opens texts; they stay on disk until they are asked for."""
        content, starts = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("texts", "text_starts")
        )
        return Texts(content, starts)

    def __getitem__(self, row: int) -> str:
        """The text of a row; may be empty."""
        return bytes(self.content[self.starts[row] : self.starts[row + 1]]).decode()
