"""How predictions are scored: multi-label F1, average precision, thresholds.

Belongs here: arithmetic on arrays of labels and scores. Does not: which runs there are, tables.

Scores are zero or more, one per row and label. A label is predicted where its score is above its
threshold. Figures equal scikit-learn's; one sort of all labels at once serves both the average
precision and every cut that a threshold can make.
"""

from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5
"""A task is predicted where its score is above this, unless its own threshold was fitted."""

PRIMARY_METRIC = "micro_f1"

FEWEST_POSITIVES = 10
"""A label with fewer positive rows gets the threshold that is best for all labels together."""


@dataclass(frozen=True)
class LabelCounts:
    """What F1 figures are made of: rows per label, int64 [tasks].

    Attributes:
        support: that have the label.
        predicted: for which it is predicted.
        hits: for which both hold.
    """

    support: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray

    def f1(self) -> np.ndarray:
        """F1 per label, float64 [tasks]; 0 where there is nothing to find and nothing found."""
        return _ratio(2 * self.hits, self.predicted + self.support)

    def micro_f1(self) -> float:
        """F1 of all labels' rows taken together."""
        return float(_ratio(2 * self.hits.sum(), self.predicted.sum() + self.support.sum()))

    def macro_f1(self) -> float:
        """Mean F1 of the labels that occur; 0 where none does."""
        occurring = self.f1()[self.support > 0]
        return float(occurring.mean()) if len(occurring) else 0.0


def count(truth: np.ndarray, scores: np.ndarray, thresholds: np.ndarray | float) -> LabelCounts:
    """Counts per label.

    Args:
        truth: zeros and ones [n, tasks].
        scores: scores [n, tasks].
        thresholds: one for all labels, or one each [tasks].
    """
    actual, predicted = truth > 0.5, scores > thresholds
    return LabelCounts(*(hit.sum(axis=0) for hit in (actual, predicted, actual & predicted)))


def multilabel_metrics(
    truth: np.ndarray, scores: np.ndarray, thresholds: np.ndarray | float = THRESHOLD
) -> dict[str, float]:
    """Scores of multi-label predictions.

    Args:
        truth: zeros and ones [n, tasks].
        scores: scores, zero or more [n, tasks].
        thresholds: one for all labels, or one each [tasks].

    Returns:
        `micro_f1` and `macro_f1` at the thresholds; `pr_auc`: mean average precision, which knows
        no threshold. Macro figures are taken over the labels that occur in `truth`, and are 0
        where none does.

    Raises:
        ValueError: there is no row, or a score is negative or not a number.
    """
    if len(truth) == 0:
        raise ValueError("no rows to score")
    counts, precision = count(truth, scores, thresholds), average_precision(truth, scores)
    present = counts.support > 0
    return {
        "micro_f1": counts.micro_f1(),
        "macro_f1": counts.macro_f1(),
        "pr_auc": float(precision[present].mean()) if present.any() else 0.0,
    }


def average_precision(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision per label, float64 [tasks]; not a number where no row has the label.

    The sum over falling scores of precision times the gain in recall, equal scores taken at once.

    Raises:
        ValueError: a score is negative or not a number.
    """
    cuts = _cuts(truth, scores)
    gained = np.diff(cuts.hits, prepend=0)
    # A label's first cut starts from nothing, not from where the label before it ended.
    first = np.flatnonzero(np.diff(cuts.label, prepend=-1))
    gained[first] = cuts.hits[first]
    area = np.bincount(
        cuts.label, gained * cuts.hits / cuts.predicted, minlength=len(cuts.positives)
    )
    with np.errstate(invalid="ignore"):
        return area / cuts.positives


def tuned_thresholds(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The threshold of each label at which its F1 is greatest on these rows, float64 [tasks].

    Fit it on validation rows, apply it to others. Of the thresholds that make one cut 0.5 is
    taken if it is among them, or else the middle between the neighbouring scores; of cuts of equal
    F1 that whose threshold is nearest to 0.5. Predicting a label on every row is no cut: it needs
    no score, and is the best that F1 sees in a label on which the scores say nothing. A label with
    fewer than `FEWEST_POSITIVES` positive rows gets the threshold that is best for the micro-F1
    of all labels under one threshold.

    Args:
        truth: zeros and ones [n, tasks].
        scores: scores, zero or more [n, tasks].

    Raises:
        ValueError: a score is negative or not a number.
    """
    tasks = truth.shape[1]
    if len(truth) == 0:
        return np.full(tasks, THRESHOLD)
    of_label = _best_thresholds(truth, scores)
    of_all = _best_thresholds(truth.reshape(-1, 1), scores.reshape(-1, 1))[0]
    return np.where((truth > 0.5).sum(axis=0) < FEWEST_POSITIVES, of_all, of_label)


def _best_thresholds(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    rows, tasks = truth.shape
    cuts = _cuts(truth, scores)
    f1 = 2 * cuts.hits / (cuts.predicted + cuts.positives[cuts.label])
    f1[cuts.predicted == rows] = 0
    greatest = np.zeros(tasks)
    np.maximum.at(greatest, cuts.label, f1)
    best = np.flatnonzero((f1 == greatest[cuts.label]) & (f1 > 0))
    below, score = cuts.below[best], cuts.score[best]
    holds_half = (below <= THRESHOLD) & (score > THRESHOLD)
    threshold = np.where(holds_half, THRESHOLD, (below + score) / 2)
    farthest_first = np.argsort(-np.abs(threshold - THRESHOLD), kind="stable")
    chosen = np.full(tasks, THRESHOLD)
    chosen[cuts.label[best][farthest_first]] = threshold[farthest_first]
    return chosen


@dataclass(frozen=True)
class _Cuts:
    """The ways to cut a label's rows by a threshold that matter, by label and falling score.

    Those whose last predicted rows, of equal score, have the label among them: any other adds
    mistakes to one of these, so it is not the best, and average precision does not see it.

    Attributes:
        label: the label, int64 [cuts].
        score: the least score that is predicted, float64 [cuts].
        below: the greatest that is not, 0 where there is none, float64 [cuts].
        predicted: rows predicted, int64 [cuts].
        hits: those of them that have the label, int64 [cuts].
        positives: rows that have the label, int64 [tasks].
    """

    label: np.ndarray
    score: np.ndarray
    below: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    positives: np.ndarray


def _cuts(truth: np.ndarray, scores: np.ndarray) -> _Cuts:
    if not (scores >= 0).all():
        raise ValueError("scores must be zero or more, and numbers")
    rows, tasks = scores.shape
    # Numbers from zero up sort as their bits do, and the sign's bit, shifted out, leaves room for
    # the label: sorting such keys is several times faster than sorting places by score. Inverted,
    # the greatest score comes first, and a label's row has an even key.
    values = np.ascontiguousarray(scores.T, dtype=np.float32 if _fits(scores) else np.float64)
    keys = ~((values.view(f"u{values.itemsize}") << 1) | (truth.T > 0.5))
    keys.sort(axis=1)
    ends = np.ones(keys.shape, dtype=bool)  # the last row of equal scores
    np.not_equal(keys[:, 1:] >> 1, keys[:, :-1] >> 1, out=ends[:, :-1])
    end_places = np.flatnonzero(ends)
    hit_places = np.flatnonzero(~keys & 1)
    end_of_hit = end_places[np.searchsorted(end_places, hit_places)]
    last = np.flatnonzero(np.diff(end_of_hit, append=-1))  # the last hit of equal score
    label, place = np.divmod(end_of_hit[last], rows)
    positives = np.bincount(hit_places // rows, minlength=tasks)
    before = positives.cumsum() - positives

    def score_at(place: np.ndarray) -> np.ndarray:
        return (~keys[label, place] >> 1).view(values.dtype).astype(np.float64)

    following = np.minimum(place + 1, rows - 1)
    return _Cuts(
        label=label,
        score=score_at(place),
        below=np.where(following > place, score_at(following), 0.0),
        predicted=place + 1,
        hits=last + 1 - before[label],
        positives=positives,
    )


def _fits(scores: np.ndarray) -> bool:
    return scores.dtype.itemsize <= 4 and scores.dtype.kind == "f"


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The quotient, 0 where the divisor is."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)
