"""Recommenders that need no gradients: popularity, ItemKNN, and blends of similarities.

A blend says how much likelier than by chance a user likes an item: the logarithm of its popularity,
and for each kind of similarity to what the user has liked the logarithm of how far it is above the
mean, each with a weight. Weights are chosen on the validation likes, one after the other. Belongs
here: these recommenders. Does not: networks (`lightgcn`), the matrices (`knowledge`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hfkg_assets.recommendation.data import Likes
from hfkg_assets.recommendation.metrics import Score

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SHRINKAGES, ASYMMETRIES = (5.0, 20.0), (0.5, 0.75, 1.0)
NEIGHBOURS = 200
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0)
ROWS_AT_ONCE = 4_096
SAMPLE = 500
"""So many users tell how large a term is."""
LEAST = 1e-9
POPULARITY = "popularity"


def random_scores(likes: Likes, seed: int) -> Score:
    """The floor: a number for each user and item that is the same in whatever block it is asked."""

    def score(users: np.ndarray) -> np.ndarray:
        rows = [np.random.default_rng([seed, user]).random(likes.items) for user in users]
        return np.array(rows, dtype=np.float32)

    return score


def popular(likes: Likes) -> Score:
    """The same for everybody: how many users like an item in training."""
    counts = likes.popularity()
    return lambda users: np.broadcast_to(counts, (len(users), likes.items))


# --- ItemKNN -------------------------------------------------------------------------------------


def item_similarity(
    likes: Likes, shrinkage: float, asymmetry: float, neighbours: int = NEIGHBOURS
) -> csr_matrix:
    """How far who likes one item also likes another: items × items, sparse, zero on the diagonal.

    Users of both over (users of the one ^ asymmetry × users of the other ^ (1 - asymmetry) +
    shrinkage): the cosine at 0.5, a conditional probability at 1 (Aiolli, RecSys 2013), shrunk as
    by Bell and Koren (2007).

    Args:
        likes: from which it is learnt.
        shrinkage: added to the divisor.
        asymmetry: in [0, 1].
        neighbours: as many are kept of each item, made block by block.
    """
    from scipy.sparse import vstack

    train = likes.train
    counts = np.maximum(likes.popularity(), 1)
    other = counts ** (1 - asymmetry)
    transposed = train.T.tocsr()
    parts = []
    for begin in range(0, likes.items, ROWS_AT_ONCE):
        both = (transposed[begin : begin + ROWS_AT_ONCE] @ train).tocsr()
        row = begin + np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        both.data /= counts[row] ** asymmetry * other[both.indices] + shrinkage
        both.data[row == both.indices] = 0
        both.eliminate_zeros()
        parts.append(strongest(both, neighbours))
    return vstack(parts, format="csr")


def strongest(matrix: csr_matrix, most: int) -> csr_matrix:
    """Each row's greatest values, at most so many; of equal ones those of lower columns."""
    from scipy.sparse import csr_matrix

    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    place = np.arange(len(order)) - matrix.indptr[row]  # rows keep their places in the order
    kept = order[place < most]
    return csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def item_knn(likes: Likes, similarity: csr_matrix) -> Score:
    """The sum of the similarities of what a user likes."""

    def score(users: np.ndarray) -> np.ndarray:
        return (likes.train[users] @ similarity).toarray()

    return score


# --- blends --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Similarity:
    """A similarity of items: of one's row of `left` to another's column of `right`.

    Attributes:
        left: items × features, sparse or dense; None for the identity.
        right: features × items.
    """

    left: Any
    right: Any

    @classmethod
    def of_features(cls, features: Any) -> Similarity:
        """The product of rows."""
        return cls(features, features.T)

    def to_profiles(self, profiles: csr_matrix) -> np.ndarray:
        """Mean similarity of what users like to all items: float32 [users, items], none negative.

        Args:
            profiles: users × items, each row's sum 1.
        """
        held = profiles if self.left is None else profiles @ self.left
        found = held @ self.right
        dense = found if isinstance(found, np.ndarray) else found.toarray()
        return np.maximum(dense, 0, dtype=np.float32)


class Blend:
    """A weighted sum of logarithms; see the module.

    Args:
        likes: what users like, and how popular items are.
        parts: name → similarity, or a ready score of another recommender.
    """

    def __init__(self, likes: Likes, parts: Mapping[str, Similarity | Score]) -> None:
        from scipy.sparse import diags

        counts = np.diff(likes.train.indptr)
        self.profiles = (diags(1 / np.maximum(counts, 1)) @ likes.train).tocsr().astype(np.float32)
        self.popularity = np.log1p(likes.popularity())
        self.parts = dict(parts)
        known = np.flatnonzero(counts)
        some = known[:: max(1, len(known) // SAMPLE)]
        self.scales = {name: self._scale(part, some) for name, part in self.parts.items()}

    def _scale(self, part: Similarity | Score, users: np.ndarray) -> float:
        """The mean of a similarity, the deviation of scores, over some users and all items."""
        if isinstance(part, Similarity):
            return max(float(part.to_profiles(self.profiles[users]).mean()), LEAST)
        return max(float(np.asarray(part(users)).std()), LEAST)

    def part(self, name: str, users: np.ndarray) -> np.ndarray:
        """One term before it is weighted: float32 [users, items]."""
        if name == POPULARITY:
            return np.broadcast_to(self.popularity, (len(users), len(self.popularity)))
        part = self.parts[name]
        if isinstance(part, Similarity):
            return np.log1p(part.to_profiles(self.profiles[users]) / self.scales[name])
        return part(users) / np.float32(self.scales[name])

    def weighted(self, weights: Mapping[str, float]) -> Score:
        """The recommender of these weights."""
        used = {name: weight for name, weight in weights.items() if weight}

        def score(users: np.ndarray) -> np.ndarray:
            total = np.zeros((len(users), len(self.popularity)), dtype=np.float32)
            for name, weight in used.items():
                total += np.float32(weight) * self.part(name, users)
            return total

        return score


def chosen_weights(
    names: Sequence[str],
    value: Callable[[Mapping[str, float]], float],
    start: Mapping[str, float],
    weights: Sequence[float] = WEIGHTS,
    rounds: int = 2,
) -> dict[str, float]:
    """Weights found one after the other, each the best with the others as they are.

    Args:
        names: terms whose weights are sought, in this order.
        value: of some weights, the greater the better.
        start: weights to begin with; terms that are not sought keep theirs.
        weights: what is tried; of equally good ones the first is taken.
        rounds: how often all are gone through.
    """
    best, found = dict(start), value(start)
    for _ in range(rounds):
        before = found
        for name in names:
            for weight in weights:
                tried = {**best, name: weight}
                if tried != best and (worth := value(tried)) > found:
                    best, found = tried, worth
        if found == before:
            break
    return best
