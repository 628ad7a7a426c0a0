"""Ranks of the true base among all candidates, and what they come to: MRR and Hits@k.

Ranks are filtered: other true bases of the same derived model and relation, whichever split they
are in, take no place. They are realistic where scores are equal: the mean of the best and the worst
place that the tie allows (Berrendorf et al., arXiv 2002.06914), so a method that says the same of
all candidates gains nothing.

Belongs here: arithmetic on scores. Does not: what gives the scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HITS = (1, 3, 5, 10)
METRICS = ("mrr", *(f"hits_at_{k}" for k in HITS))

RESAMPLES = 2_000
INTERVAL = (2.5, 97.5)


def realistic_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rank of one candidate per row, float64 [q], from 1; halves where ties are even.

    Args:
        scores: float [q, c], greater is better; NaN where a candidate takes no place.
        targets: column of the true base in each row, int [q]; its score is no NaN.
    """
    own = scores[np.arange(len(targets)), targets][:, None]
    greater = (scores > own).sum(axis=1)
    equal = (scores == own).sum(axis=1) - 1
    return 1 + greater + equal / 2


def ranking_metrics(ranks: np.ndarray) -> dict[str, float]:
    """`mrr` and `hits_at_1`, `_3`, `_5`, `_10` of some ranks; NaN where there are none."""
    if not len(ranks):
        return dict.fromkeys(METRICS, float("nan"))
    return {
        "mrr": float(np.mean(1 / ranks)),
        **{f"hits_at_{k}": float(np.mean(ranks <= k)) for k in HITS},
    }


def mrr_interval(ranks: Sequence[float] | np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the MRR over other draws of as many test triples (bootstrap, Efron).

    Args:
        ranks: of at least one triple.
        seed: of the draws.
    """
    reciprocal = 1 / np.asarray(ranks)
    # Equal ranks cannot be told apart: how often each is drawn is multinomial.
    values, counts = np.unique(reciprocal, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(reciprocal), counts / len(reciprocal), size=RESAMPLES
    )
    low, high = np.percentile(drawn @ values / len(reciprocal), INTERVAL)
    return float(low), float(high)
