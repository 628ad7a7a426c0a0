"""Recall and NDCG: hand-made cases, and equal to a plain loop."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from hfkg_assets.recommendation import metrics
from hfkg_assets.recommendation.metrics import CUTOFFS, METRICS, best, best_of, judge, metrics_of


def matrix(*rows, items=6):
    dense = np.zeros((len(rows), items), dtype=np.float32)
    for row, liked in enumerate(rows):
        dense[row, list(liked)] = 1
    return csr_matrix(dense)


def test_a_like_at_the_second_place_is_worth_the_logarithm_of_three():
    second = 1 / np.log2(3)
    found = metrics_of(np.array([[3, 1, 0, 2, 4]]), np.array([0]), matrix([1]), [1, 2, 5])
    assert found == {
        "recall_1": 0, "recall_2": 1, "recall_5": 1,
        "ndcg_1": 0, "ndcg_2": pytest.approx(second), "ndcg_5": pytest.approx(second),
    }  # fmt: skip


def test_recall_divides_by_all_likes_and_ndcg_by_the_best_that_k_places_can_hold():
    found = metrics_of(np.array([[0, 1]]), np.array([0]), matrix([0, 1, 2, 3]), [2])
    assert found == {"recall_2": 0.5, "ndcg_2": 1.0}


def test_metrics_are_means_over_users_with_a_judged_like():
    liked = matrix([0], [], [1])
    scores = np.array([[2, 1, 0, 0, 0, 0]] * 3, dtype=np.float32)
    found = judge(lambda users: scores[users], matrix([], [], []), liked, np.arange(6))
    assert found["recall_5"] == 1
    assert found["ndcg_5"] == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert tuple(found) == METRICS


def test_without_anybody_to_judge_metrics_are_zero():
    nobody = matrix([], [])
    found = judge(lambda users: np.zeros((len(users), 6)), nobody, nobody, np.arange(6))
    assert set(found.values()) == {0.0}


def test_what_was_liked_in_training_is_not_ranked():
    scores = np.array([[9, 8, 7, 6, 5, 4]], dtype=np.float32)
    items, values = best_of(lambda users: scores, np.array([0]), matrix([0, 2]), 3, np.arange(6))
    assert items.tolist() == [[1, 3, 4]]
    assert values.tolist() == [[8, 6, 5]]


def test_of_equal_scores_the_one_first_in_order_wins_at_every_place():
    scores = np.array([[1, 5, 1, 1, 5, 1]], dtype=np.float32)
    order = np.array([5, 4, 3, 2, 1, 0])
    assert best(scores, 3, order).tolist() == [[4, 1, 5]]
    assert best(scores, 6, order).tolist() == [[4, 1, 5, 3, 2, 0]]
    assert best(scores, 40, np.arange(6)).tolist() == [[1, 4, 0, 2, 3, 5]]


def plain(scores, seen, liked, order):
    """As SSLRec's evaluator goes about it: user by user, place by place."""
    sums, users = dict.fromkeys(METRICS, 0.0), 0
    for user in range(len(scores)):
        likes = set(np.flatnonzero(liked[user]))
        if not likes:
            continue
        users += 1
        open_to = [item for item in range(scores.shape[1]) if not seen[user, item]]
        ranking = sorted(open_to, key=lambda item: (-scores[user, item], order[item]))
        for k in CUTOFFS:
            hits = [place for place, item in enumerate(ranking[:k]) if item in likes]
            gained = sum(1 / np.log2(place + 2) for place in hits)
            ideal = sum(1 / np.log2(place + 2) for place in range(min(k, len(likes))))
            sums[f"recall_{k}"] += len(hits) / len(likes)
            sums[f"ndcg_{k}"] += gained / ideal
    return {name: total / users for name, total in sums.items()}


@pytest.mark.parametrize("levels", [2, 12])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_and_ties_change_nothing_against_a_plain_loop(seed, levels, monkeypatch):
    rng = np.random.default_rng(seed)
    users, items = 37, 700  # with two levels far more are tied than are asked for
    scores = rng.integers(levels, size=(users, items)).astype(np.float32)  # many ties
    draw = rng.random((users, items))
    seen, liked = draw < 0.1, draw > 0.93
    order = rng.permutation(items)
    monkeypatch.setattr(metrics, "BLOCK_SCORES", 5 * items)
    found = judge(lambda chosen: scores[chosen], csr_matrix(seen), csr_matrix(liked), order)
    assert found == pytest.approx(plain(scores, seen, liked, order))
