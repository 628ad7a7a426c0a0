"""F1, average precision and thresholds, against scikit-learn and against trying every cut."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from hfkg_assets.classification.metrics import (
    FEWEST_POSITIVES,
    average_precision,
    count,
    multilabel_metrics,
    tuned_thresholds,
)


def random_data(seed, rows=300, tasks=9, levels=None):
    """Labels of falling frequency, scores that know something of them; few levels make ties."""
    random = np.random.default_rng(seed)
    truth = (random.random((rows, tasks)) < np.linspace(0.5, 0.01, tasks)).astype(np.float32)
    scores = np.clip(0.3 * truth + 0.7 * random.random((rows, tasks)), 0, 1)
    if levels:
        scores = np.round(scores * levels) / levels
    return truth, scores.astype(np.float32)


@pytest.mark.parametrize("levels", [None, 7, 1], ids=["no ties", "many ties", "zeros and ones"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_scikit_learns(seed, levels, kind):
    truth, scores = random_data(seed, levels=levels)
    scores = scores.astype(kind)
    thresholds = np.linspace(0.2, 0.8, truth.shape[1])
    found = multilabel_metrics(truth, scores, thresholds)
    predicted = scores > thresholds
    assert found["micro_f1"] == pytest.approx(
        f1_score(truth, predicted, average="micro"), rel=1e-12
    )
    present = truth.any(axis=0)
    assert found["macro_f1"] == pytest.approx(
        f1_score(truth[:, present], predicted[:, present], average="macro", zero_division=0),
        rel=1e-12,
    )
    assert found["pr_auc"] == pytest.approx(
        average_precision_score(truth[:, present], scores[:, present], average="macro"), rel=1e-12
    )
    np.testing.assert_allclose(
        average_precision(truth, scores)[present],
        average_precision_score(truth[:, present], scores[:, present], average=None),
        rtol=1e-12,
    )


def test_a_label_that_does_not_occur_counts_in_no_macro_figure_and_has_no_average_precision():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.1, 0.9], [0.1, 0.6, 0.0], [0.1, 0.2, 0.0]])
    found = multilabel_metrics(truth, scores)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["pr_auc"] == pytest.approx(1.0)
    assert np.isnan(average_precision(truth, scores)[2])


def test_no_rows_have_no_score():
    with pytest.raises(ValueError, match="no rows"):
        multilabel_metrics(np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.mark.parametrize("score", [np.nan, -0.1])
def test_what_is_no_score_is_refused_and_not_ranked(score):
    with pytest.raises(ValueError, match="scores must be"):
        multilabel_metrics(np.ones((1, 1)), np.array([[score]]))


def best_f1_of_any_cut(truth, scores):
    """By trying: every threshold between two scores, and one above all."""
    cuts = np.append(np.unique(scores), np.inf)
    cuts = cuts[cuts > scores.min()]  # predicting all rows is no cut
    tried = [(scores >= cut) for cut in cuts]
    return max(2 * cut[truth > 0].sum() / (cut.sum() + truth.sum()) for cut in tried)


@pytest.mark.parametrize("levels", [None, 7], ids=["no ties", "many ties"])
@pytest.mark.parametrize("seed", range(3))
def test_a_tuned_threshold_reaches_the_best_f1_that_any_cut_reaches(seed, levels):
    truth, scores = random_data(seed, levels=levels)
    f1 = count(truth, scores, tuned_thresholds(truth, scores)).f1()
    often = np.flatnonzero(truth.sum(axis=0) >= FEWEST_POSITIVES)
    assert len(often) > 5
    for label in often:
        assert f1[label] == pytest.approx(best_f1_of_any_cut(truth[:, label], scores[:, label]))


def test_labels_with_few_positives_share_the_threshold_that_is_best_for_all_together():
    truth, scores = random_data(0)
    thresholds = tuned_thresholds(truth, scores)
    rare = truth.sum(axis=0) < FEWEST_POSITIVES
    assert rare.any()
    (shared,) = np.unique(thresholds[rare])

    def micro_f1(predicted):
        return 2 * predicted[truth > 0].sum() / (predicted.sum() + truth.sum())

    best = max(micro_f1(scores >= cut) for cut in np.unique(scores))
    assert micro_f1(scores > shared) == pytest.approx(best)


def labelled(*scores_of_positives, negatives):
    """Often enough to be tuned by itself: each score as many times as that takes."""
    scores = np.repeat([*scores_of_positives, *negatives], FEWEST_POSITIVES)[:, None]
    truth = np.repeat([1] * len(scores_of_positives) + [0] * len(negatives), FEWEST_POSITIVES)
    return truth[:, None], scores


def test_a_cut_that_a_half_makes_is_made_by_a_half():
    assert tuned_thresholds(*labelled(0.9, 0.6, negatives=[0.4, 0.1])) == [0.5]


def test_another_cut_is_made_in_the_middle_between_the_scores():
    assert tuned_thresholds(*labelled(0.3, negatives=[0.2, 0.1])) == [pytest.approx(0.25)]


def test_of_cuts_of_equal_f1_that_nearest_to_a_half_is_taken():
    # Above 0.75 one of two, F1 2/3; above 0.06 both with two mistakes, F1 2/3 too.
    cuts = labelled(0.8, 0.1, negatives=[0.7, 0.6, 0.02])
    assert tuned_thresholds(*cuts) == [pytest.approx(0.75)]
    mirrored = labelled(0.95, 0.3, negatives=[0.9, 0.8, 0.2])
    assert tuned_thresholds(*mirrored) == [pytest.approx(0.25)]


def test_scores_that_say_nothing_leave_the_threshold_at_a_half():
    """Predicting everything would be the best F1 of such a label, and ruin all labels together."""
    truth, _ = random_data(0)
    for constant in (0.0, 1.0):
        scores = np.full(truth.shape, constant, dtype=np.float32)
        assert (tuned_thresholds(truth, scores) == 0.5).all()


def test_without_rows_or_positives_a_threshold_is_a_half():
    assert tuned_thresholds(np.zeros((0, 3)), np.zeros((0, 3))).tolist() == [0.5] * 3
    truth, scores = random_data(1)
    assert (tuned_thresholds(np.zeros_like(truth), scores) == 0.5).all()


def test_what_is_given_is_not_changed():
    truth, scores = random_data(2)
    before = truth.copy(), scores.copy()
    tuned_thresholds(truth, scores)
    multilabel_metrics(truth, scores)
    np.testing.assert_array_equal(truth, before[0])
    np.testing.assert_array_equal(scores, before[1])
