"""Calibration: scores become probabilities that hold, and how well they hold is measured.

A probability holds if of the tasks that are given 0.8, eight in ten are right. Belongs here:
arithmetic on arrays. Does not: which rows it is fitted on, tables, figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_POSITIVES = 20
"""A label with fewer positive rows is scaled as all labels together are."""

FOLDS = 5
BINS = 10
_LEAST_SCORE = 1e-7
"""Scores are kept this far from 0 and 1, where a float32 has no room left for a logit."""

_STEPS, _HALVINGS = 100, 30
_TOLERANCE = 1e-12
"""Of the loss: what a further step could gain, or rounding take away, is of no account."""

_RIDGE = 1e-10


@dataclass(frozen=True)
class Calibrator:
    """Platt scaling: the probability is sigmoid(slope * logit(score) + bias).

    Slopes are never negative: of two rows, the one with the higher score of a label has no lower
    probability of it.

    Attributes:
        slope, bias: float64 [tasks].
    """

    slope: np.ndarray
    bias: np.ndarray

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores in [0, 1], float64 [n, tasks]."""
        return _sigmoid(self.slope * logit(scores) + self.bias)


def fit_calibrator(truth: np.ndarray, scores: np.ndarray) -> Calibrator:
    """Fits a slope and a bias per label.

    A label with fewer than `FEWEST_POSITIVES` positive rows, or on which scores and truth run
    against each other, takes the slope and bias that fit the rows of all labels together.

    Args:
        truth: zeros and ones [n, tasks].
        scores: [n, tasks], in [0, 1].

    Raises:
        ValueError: there is no row.
    """
    if len(truth) == 0:
        raise ValueError("no rows to calibrate on")
    positive, logits = truth > 0.5, logit(scores)
    slope, bias = platt(positive, logits)
    (shared_slope,), (shared_bias,) = platt(positive.reshape(-1, 1), logits.reshape(-1, 1))
    if shared_slope <= 0:  # the scores say nothing: what is left is how often a label occurs
        shared_slope, shared_bias = 0.0, float(logit(positive.mean()))
    own = (positive.sum(axis=0) >= FEWEST_POSITIVES) & (slope > 0)
    return Calibrator(np.where(own, slope, shared_slope), np.where(own, bias, shared_bias))


def platt(positive: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and bias of each column by regularised maximum likelihood.

    The targets are Platt's (1999): (n₊ + 1) / (n₊ + 2) for a positive row, 1 / (n₋ + 2) for
    another, so that columns which a cut parts cleanly have an optimum too. Found by Newton's
    method with backtracking (Lin, Lin and Weng 2007), for all columns at once.

    Args:
        positive: bool [n, columns].
        logits: float64 [n, columns].
    """
    count = positive.sum(axis=0)
    high, low = (count + 1) / (count + 2), 1 / (len(positive) - count + 2)
    target = np.where(positive, high, low)
    # Standardised, and from a flat start, no column is so saturated that its curvature is lost.
    mean, spread = logits.mean(axis=0), logits.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    x = (logits - mean) / spread

    def loss(slope: np.ndarray, bias: np.ndarray) -> np.ndarray:
        z = slope * x + bias
        return (np.logaddexp(0, z) - target * z).sum(axis=0)

    slope, bias = np.zeros(len(count)), logit(target.mean(axis=0))
    now = loss(slope, bias)
    for _ in range(_STEPS):
        p = _sigmoid(slope * x + bias)
        error, weight = p - target, p * (1 - p)
        weighted = weight * x
        along_slope, along_bias = (error * x).sum(axis=0), error.sum(axis=0)
        h11, h12 = (weighted * x).sum(axis=0) + _RIDGE, weighted.sum(axis=0)
        h22 = weight.sum(axis=0) + _RIDGE
        determinant = h11 * h22 - h12**2
        slope_step = (h22 * along_slope - h12 * along_bias) / determinant
        bias_step = (h11 * along_bias - h12 * along_slope) / determinant
        gain = (along_slope * slope_step + along_bias * bias_step) / 2
        if (gain <= _TOLERANCE * now).all():
            break
        length = np.ones(len(count))
        for _ in range(_HALVINGS):
            tried = loss(slope - length * slope_step, bias - length * bias_step)
            worse = tried > now * (1 + _TOLERANCE)  # by more than rounding
            if not worse.any():
                break
            length[worse] /= 2
        slope, bias, now = slope - length * slope_step, bias - length * bias_step, tried
    return slope / spread, bias - slope * mean / spread


def cross_fitted(truth: np.ndarray, scores: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probabilities of rows by calibrators that were fitted without them, float64 [n, tasks].

    What is measured on the rows that a calibrator was fitted on flatters it.

    Raises:
        ValueError: there are fewer than two rows.
    """
    if len(truth) < 2:
        raise ValueError("calibration needs two rows at least to be measured")
    fold = np.random.default_rng(seed).permutation(len(truth)) % min(FOLDS, len(truth))
    probabilities = np.empty(scores.shape)
    for number in range(fold.max() + 1):
        held_out = fold == number
        fitted = fit_calibrator(truth[~held_out], scores[~held_out])
        probabilities[held_out] = fitted(scores[held_out])
    return probabilities


@dataclass(frozen=True)
class Reliability:
    """How well probabilities hold, by bins of equal width.

    Attributes:
        counts: predictions per bin, int64 [bins].
        predicted: their mean probability, float64 [bins]; not a number where there are none.
        observed: the share of them that is right, float64 [bins].
        error: expected calibration error: the mean distance of the two, weighted by the counts.
        chance: the error to be expected of so few predictions although each probability holds.
        brier: mean squared distance of probability and outcome.
    """

    counts: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    error: float
    chance: float
    brier: float

    @property
    def excess(self) -> float:
        """The error beyond what chance explains, at least 0."""
        return max(0.0, self.error - self.chance)


def reliability(outcome: np.ndarray, probability: np.ndarray) -> Reliability:
    """Compares probabilities with outcomes (Naeini et al. 2015; Guo et al., arXiv 1706.04599).

    Args:
        outcome: zeros and ones [n].
        probability: [n], in [0, 1].

    Raises:
        ValueError: there is no prediction.
    """
    if len(outcome) == 0:
        raise ValueError("no predictions to compare with outcomes")
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)

    def per_bin(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, minlength=BINS)

    counts = np.bincount(place, minlength=BINS)
    hits, mass = per_bin(outcome), per_bin(probability)
    # The hits of a bin are about normal with this variance: the mean of |x| is √(2/π) σ.
    by_chance = np.sqrt(2 / np.pi * per_bin(probability * (1 - probability)))
    with np.errstate(invalid="ignore"):
        predicted, observed = mass / counts, hits / counts
    return Reliability(
        counts,
        predicted,
        observed,
        error=float(np.abs(mass - hits).sum() / len(outcome)),
        chance=float(by_chance.sum() / len(outcome)),
        brier=float(((probability - outcome) ** 2).mean()),
    )


def most_probable(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the most probable label: whether the row has it, and its probability, [n] each.

    What a reader sees first. Among all labels of all rows most are as good as impossible, and any
    scores are well calibrated there.
    """
    best = probability.argmax(axis=1)[:, None]
    right, given = (np.take_along_axis(m, best, axis=1)[:, 0] for m in (truth, probability))
    return right, given


def logit(probability: np.ndarray) -> np.ndarray:
    """Log-odds, finite."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _LEAST_SCORE, 1 - _LEAST_SCORE)
    return np.log(p) - np.log1p(-p)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))
