"""The word index: which documents hold a word, and how much it counts there, by BM25.

Every weight is counted when the index is made; a question is then a sum over the lists of its
words (X. H. Lù, BM25S, 2024, arXiv 2407.03618). The words of a name count several times, before
BM25 saturates (Robertson, Zaragoza and Taylor, Simple BM25 extension to multiple weighted fields,
CIKM 2004). Belongs here: the index and its files. Does not: what a word is (`words`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import coo_array

from hfkg_assets.retrieval.words import name_words, words_of

K1, B = 0.9, 0.4
"""Those of Anserini's baselines (Lin and others, ECIR 2016)."""
NAME_WEIGHT = 2.0
"""How often a word of the name counts as against one of the text."""

CHUNK = 65_536
"""Documents whose words are counted at a time."""


@dataclass(frozen=True)
class WordIndex:
    """Lists of documents by word, memory-mapped where they come from files.

    Attributes:
        documents: how many there are.
        words: V words, sorted.
        starts: int64 [V + 1]; the list of word w stands from `starts[w]` to `starts[w + 1]`.
        rows: int32 [postings], the documents, ascending in each list.
        weights: float32 [postings], what the word adds to the score of the document.
    """

    documents: int
    words: pl.Series
    starts: np.ndarray
    rows: np.ndarray
    weights: np.ndarray

    @staticmethod
    def build(texts: pl.Series, ids: pl.Series) -> WordIndex:
        """Indexes documents.

        Args:
            texts: n texts; null or empty where there is none.
            ids: n names.
        """
        counts, words = _counted(texts, ids)
        lengths = np.bincount(counts.row, counts.data, minlength=len(texts))
        present = max(lengths.sum() / max(np.count_nonzero(lengths), 1), 1.0)
        lists = counts.tocsc()
        lists.sort_indices()
        frequency = np.diff(lists.indptr)
        idf = np.log1p((len(texts) - frequency + 0.5) / (frequency + 0.5))
        norm = (K1 * (1 - B + B * lengths / present)).astype(np.float32)
        weights = lists.data * np.float32(K1 + 1) / (lists.data + norm[lists.indices])
        weights *= np.repeat(idf.astype(np.float32), frequency)
        return WordIndex(
            len(texts),
            words,
            lists.indptr.astype(np.int64),
            lists.indices.astype(np.int32),
            weights.astype(np.float32),
        )

    def save(self, folder: Path) -> None:
        """Writes the index into a folder."""
        for name in ("starts", "rows", "weights"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        self.words.to_frame("word").write_ipc(folder / "words.arrow")
        np.save(folder / "documents.npy", np.int64(self.documents))

    @staticmethod
    def load(folder: Path) -> WordIndex:
        """Opens an index; its lists stay on disk until they are asked for."""
        arrays = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("starts", "rows", "weights")
        )
        words = pl.read_ipc(folder / "words.arrow")["word"]
        return WordIndex(int(np.load(folder / "documents.npy")), words, *arrays)

    def find(self, words: list[str]) -> np.ndarray:
        """The numbers of those of some words that the index knows, int64."""
        if not words or not len(self.words):
            return np.zeros(0, np.int64)
        places = self.words.search_sorted(pl.Series(words, dtype=pl.String)).to_numpy()
        places = np.minimum(places, len(self.words) - 1).astype(np.int64)
        return places[(self.words.gather(places) == pl.Series(words)).to_numpy()]

    def frequency(self, word: int) -> int:
        """How many documents hold a word."""
        return int(self.starts[word + 1] - self.starts[word])

    def scores(self, words: np.ndarray) -> np.ndarray:
        """BM25 of every document for some words, float32 [documents]."""
        scores = np.zeros(self.documents, np.float32)
        for word in words.tolist():
            place = slice(self.starts[word], self.starts[word + 1])
            scores[self.rows[place]] += self.weights[place]  # a document is in a list once
        return scores

    def weight(self, word: int, row: int) -> float:
        """What a word adds to the score of a document; 0 where it does not hold it."""
        start, end = int(self.starts[word]), int(self.starts[word + 1])
        place = start + int(np.searchsorted(self.rows[start:end], row))
        return float(self.weights[place]) if place < end and self.rows[place] == row else 0.0


def _counted(texts: pl.Series, ids: pl.Series) -> tuple[coo_array, pl.Series]:
    """How often each word stands in each document, those of its name weighed; and the words."""
    known = pl.DataFrame(schema={"word": pl.String(), "number": pl.UInt32()})
    parts = []
    for start, counts in _counted_chunks(texts, ids):
        fresh = counts.select(pl.col("word").unique()).join(known, on="word", how="anti")
        known = pl.concat([known, fresh.with_row_index("number", known.height)], how="diagonal")
        numbered = counts.join(known, on="word")
        parts.append(
            (
                numbered["row"].to_numpy().astype(np.int32) + start,
                numbered["number"].to_numpy(),
                numbered["count"].to_numpy(),
            )
        )
    words = known["word"].sort()
    place = np.empty(len(words), np.int32)
    place[known.sort("word")["number"].to_numpy()] = np.arange(len(words))
    rows, numbers, values = map(np.concatenate, zip(*parts, strict=True)) if parts else ([],) * 3
    position = (np.asarray(rows, np.int32), place[np.asarray(numbers, np.int64)])
    shape = (len(texts), len(words))
    return coo_array((np.asarray(values, np.float32), position), shape=shape), words


def _counted_chunks(texts: pl.Series, ids: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    for start in range(0, len(texts), CHUNK):
        yield (
            start,
            (
                pl.concat(
                    [
                        words_of(texts.slice(start, CHUNK)).with_columns(
                            weight=pl.lit(1.0, pl.Float32)
                        ),
                        name_words(ids.slice(start, CHUNK)).with_columns(
                            weight=pl.lit(NAME_WEIGHT, pl.Float32)
                        ),
                    ]
                )
                .group_by("row", "word")
                .agg(count=pl.col("weight").sum())
            ),
        )
