"""What a recommender is given: likes as sparse matrices, texts and knowledge of the items.

Belongs here: from tables to arrays. Does not: any recommender.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Likes:
    """The likes of one protocol, users × items, float32 ones.

    Attributes:
        train: what may be learnt from.
        judged: split → likes that are judged: those of users with a like in training.
        order: int64 [items]; of items with equal scores the lower comes first: what more users like
            in training, then the lower number.
    """

    train: csr_matrix
    judged: Mapping[str, csr_matrix]
    order: np.ndarray

    @property
    def users(self) -> int:
        return int(self.train.shape[0])

    @property
    def items(self) -> int:
        return int(self.train.shape[1])

    def popularity(self) -> np.ndarray:
        """Likes of each item in training: float32 [items]."""
        return np.bincount(self.train.indices, minlength=self.items).astype(np.float32)

    def all_known(self) -> Likes:
        """The same with all likes to be learnt from and none judged."""
        together = self.train + sum(self.judged.values())
        together.data[:] = 1
        return _likes(together.tocsr(), {})


def likes_of_protocol(table: pl.DataFrame, protocol: str) -> Likes:
    """The likes of one protocol.

    Args:
        table: `recommendation/likes`.
        protocol: which.
    """
    shape = table.select(pl.col("user", "item").max().fill_null(-1) + 1).row(0)
    chosen = table.filter(protocol=protocol)
    judged = chosen.filter((pl.col("split") != "train") & pl.col("cold").ne_missing("user"))
    return _likes(
        matrix_of(chosen.filter(split="train"), shape),
        {split: matrix_of(judged.filter(split=split), shape) for split in ("valid", "test")},
    )


def _likes(train: csr_matrix, judged: Mapping[str, csr_matrix]) -> Likes:
    counts = np.bincount(train.indices, minlength=train.shape[1])
    order = np.empty(len(counts), dtype=np.int64)
    order[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return Likes(train, judged, order)


def matrix_of(pairs: pl.DataFrame, shape: tuple[int, ...]) -> csr_matrix:
    """`user` and `item` as a matrix with sorted indices."""
    from scipy.sparse import csr_matrix

    ones = np.ones(pairs.height, dtype=np.float32)
    matrix = csr_matrix((ones, (pairs["user"].to_numpy(), pairs["item"].to_numpy())), shape=shape)
    matrix.sort_indices()
    return matrix
