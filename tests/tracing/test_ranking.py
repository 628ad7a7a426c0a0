"""Ranks of the true base: filtered, fair where scores tie."""

import math

import numpy as np
import pytest

from hfkg_assets.tracing.ranking import mrr_interval, ranking_metrics, realistic_ranks


def plain_rank(scores: list[float], target: int) -> float:
    """The same, one candidate after the other: the mean of the best and the worst place."""
    own = scores[target]
    others = [s for place, s in enumerate(scores) if place != target and not math.isnan(s)]
    best = 1 + sum(s > own for s in others)
    worst = best + sum(s == own for s in others)
    return (best + worst) / 2


def test_ranks_are_those_of_counting_one_by_one():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, size=(200, 15)).astype(float)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    targets = rng.integers(0, 15, size=200)
    scores[np.arange(200), targets] = rng.integers(0, 6, size=200)
    expected = [plain_rank(list(row), t) for row, t in zip(scores, targets, strict=True)]
    assert realistic_ranks(scores, targets).tolist() == expected


def test_saying_the_same_of_all_candidates_gains_nothing():
    ranks = realistic_ranks(np.zeros((3, 9)), np.array([0, 4, 8]))
    assert ranks.tolist() == [5, 5, 5]
    assert ranking_metrics(ranks)["hits_at_3"] == 0


def test_what_takes_no_place_changes_no_rank():
    scores = np.array([[3.0, 2.0, 1.0, 2.0]])
    assert realistic_ranks(scores, np.array([2])) == 4
    scores[0, [0, 3]] = np.nan
    assert realistic_ranks(scores, np.array([2])) == 2


def test_metrics_are_means_over_ranks():
    figures = ranking_metrics(np.array([1, 2, 4, 20]))
    assert figures["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 20) / 4)
    assert [figures[f"hits_at_{k}"] for k in (1, 3, 5, 10)] == [0.25, 0.5, 0.75, 0.75]
    assert math.isnan(ranking_metrics(np.zeros(0))["mrr"])


def test_the_interval_of_few_ranks_is_wide_and_that_of_many_narrow():
    ranks = np.tile([1.0, 2.0, 10.0], 5)
    few, many = mrr_interval(ranks), mrr_interval(np.tile(ranks, 50))
    mean = float(np.mean(1 / ranks))
    assert few[0] < many[0] < mean < many[1] < few[1]
    assert mrr_interval(np.ones(7)) == (1, 1)
