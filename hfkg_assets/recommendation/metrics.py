"""Recall and NDCG of a full ranking, as SSLRec's evaluator computes them.

Every item is ranked but those that the user liked in training; nothing is sampled. Likes of other
splits stay in the ranking: what is judged on the test ranks the likes of validation too, as SSLRec
does (`trainer/metrics.py`, HKUDS/SSLRec). Belongs here: the best of scores, and what they are
worth. Does not: any recommender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CUTOFFS = (5, 10, 20, 40)
METRICS = tuple(f"{name}_{k}" for name in ("recall", "ndcg") for k in CUTOFFS)
MANY = 8
"""So many times the items asked for may be as good as the last of them, and are simply sorted."""
ENOUGH = 4_000
"""Users by whom settings are chosen, where there are more."""
BLOCK_SCORES = 2**24
"""Scores held at once: a block of users × all items, 64 MiB."""

Score = Callable[[np.ndarray], np.ndarray]
"""Takes numbers of users, int64 [n]; returns scores, float32 [n, items]. The higher the better."""


def best(scores: np.ndarray, k: int, order: np.ndarray) -> np.ndarray:
    """Each row's `k` items of highest score, best first.

    Args:
        scores: float [n, items]; -inf for what must not be named.
        k: how many, at most the number of items.
        order: int [items], distinct: of equal scores that of lower `order` comes first.

    Returns:
        int64 [n, k] numbers of items.
    """
    k = min(k, scores.shape[1])
    bound = np.partition(scores, -k, axis=1)[:, -k][:, None]
    candidates = scores >= bound
    result = np.empty((len(scores), k), dtype=np.int64)
    tied = candidates.sum(axis=1) > MANY * k
    for rows, chosen in (
        (np.flatnonzero(~tied), candidates[~tied]),
        (np.flatnonzero(tied), _first_of_tied(scores[tied], bound[tied], k, order)),
    ):
        row, item = np.nonzero(chosen)
        ranked = np.lexsort((order[item], -scores[rows[row], item], row))
        begins = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))[:-1]]).astype(np.int64)
        if len(rows):
            result[rows] = item[ranked[begins[:, None] + np.arange(k)]]
    return result


def _first_of_tied(scores: np.ndarray, bound: np.ndarray, k: int, order: np.ndarray) -> np.ndarray:
    """The best k of rows in which very many items have the k-th score: bool [n, items]."""
    place = np.argsort(order)
    ranked = scores[:, place]
    above, at_bound = ranked > bound, ranked == bound
    lacking = k - above.sum(axis=1, keepdims=True)
    chosen = np.empty_like(above)
    chosen[:, place] = above | (at_bound & (np.cumsum(at_bound, axis=1) <= lacking))
    return chosen


def blocks(users: np.ndarray, items: int) -> Iterator[np.ndarray]:
    """The users in blocks of which the scores may be held at once."""
    size = max(1, BLOCK_SCORES // max(items, 1))
    for begin in range(0, len(users), size):
        yield users[begin : begin + size]


def best_of(
    score: Score, users: np.ndarray, seen: csr_matrix, k: int, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best items of users, block by block, without what they have seen.

    Args:
        score: the recommender.
        users: int64 [n].
        seen: users × items; what is set is not named.
        k: how many.
        order: see `best`.

    Returns:
        int64 [n, k] items, best first, and their scores float32; -inf where fewer are left.
    """
    width = min(k, seen.shape[1])
    items = np.empty((len(users), width), dtype=np.int64)
    values = np.empty((len(users), width), dtype=np.float32)
    done = 0
    for block in blocks(users, seen.shape[1]):
        scores = np.array(score(block), dtype=np.float32)
        known = seen[block]
        scores[np.repeat(np.arange(len(block)), np.diff(known.indptr)), known.indices] = -np.inf
        rows = slice(done, done + len(block))
        items[rows] = best(scores, k, order)
        values[rows] = np.take_along_axis(scores, items[rows], axis=1)
        done += len(block)
    return items, values


def metrics_of(
    ranked: np.ndarray, users: np.ndarray, liked: csr_matrix, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, float]:
    """Means over users of recall and NDCG at each cutoff.

    Recall at k: of the user's likes, the share among the first k, also where there are more than k.
    NDCG at k: the sum of 1 / log2(place + 1) over the likes among the first k, over that of a
    ranking which has all of the user's likes first (at most k).

    Args:
        ranked: int64 [n, at least max(cutoffs) or all items], best first.
        users: int64 [n], each with at least one like.
        liked: users × items, the likes that are judged.
        cutoffs: ks.

    Returns:
        `recall_<k>` and `ndcg_<k>`; zeros where there is no user.
    """
    if not len(users):
        return {f"{name}_{k}": 0.0 for name in ("recall", "ndcg") for k in cutoffs}
    truth = liked[users]
    counts = np.diff(truth.indptr)
    rows = np.repeat(np.arange(len(users)), counts)
    keys = np.sort(rows * liked.shape[1] + truth.indices)
    asked = np.arange(len(users))[:, None] * liked.shape[1] + ranked
    found = keys[np.minimum(np.searchsorted(keys, asked), len(keys) - 1)] == asked
    gains = 1 / np.log2(np.arange(2, max(cutoffs) + 2))
    ideal = np.concatenate([[0], np.cumsum(gains)])
    result = {}
    for k in cutoffs:
        hits = found[:, :k]
        result[f"recall_{k}"] = float((hits.sum(axis=1) / counts).mean())
        gained = (hits * gains[: hits.shape[1]]).sum(axis=1)
        result[f"ndcg_{k}"] = float((gained / ideal[np.minimum(counts, k)]).mean())
    return {name: result[name] for name in sorted(result, key=lambda name: name[0] != "r")}


def judge(
    score: Score,
    seen: csr_matrix,
    liked: csr_matrix,
    order: np.ndarray,
    most: int | None = None,
) -> dict[str, float]:
    """Ranks all items for every user with a judged like, and measures the ranking.

    Args:
        score: the recommender.
        seen: users × items, the likes of training.
        liked: users × items, the likes that are judged.
        order: see `best`.
        most: judges about so many users at most, evenly taken: enough to choose by.
    """
    users = np.flatnonzero(np.diff(liked.indptr))
    if most is not None:
        users = users[:: max(1, -(-len(users) // most))]
    ranked, _ = best_of(score, users, seen, max(CUTOFFS), order)
    return metrics_of(ranked, users, liked)
