"""Calibration: equal to scikit-learn's, robust for rare labels, honestly measured."""

import numpy as np
import pytest

from hfkg_assets.classification.calibration import (
    FEWEST_POSITIVES,
    cross_fitted,
    fit_calibrator,
    logit,
    most_probable,
    platt,
    reliability,
)


def overconfident(rows, tasks, seed=0, factor=3.0, frequency=0.2):
    """Truth, true probabilities and scores whose logits are `factor` times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(frequency / (1 - frequency)), 1.5, (rows, tasks))
    true = 1 / (1 + np.exp(-logits))
    truth = (rng.random((rows, tasks)) < true).astype(np.float32)
    scores = 1 / (1 + np.exp(-factor * logits))
    return truth, true, scores.astype(np.float32)


def test_the_scaling_of_each_label_is_that_of_scikit_learn():
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Given(ClassifierMixin, BaseEstimator):
        """A classifier whose decision function is its only feature."""

        def fit(self, x, y):
            self.classes_ = np.array([0, 1])
            return self

        def decision_function(self, x):
            return x[:, 0]

        def predict(self, x):
            return (x[:, 0] > 0).astype(int)

    truth, _, scores = overconfident(400, 4)
    ours = fit_calibrator(truth, scores)
    for task in range(4):
        x, y = logit(scores[:, [task]]), truth[:, task].astype(int)
        theirs = CalibratedClassifierCV(FrozenEstimator(Given().fit(x, y)), method="sigmoid")
        expected = theirs.fit(x, y).predict_proba(x)[:, 1]
        np.testing.assert_allclose(ours(scores)[:, task], expected, atol=1e-4)


def test_labels_that_a_cut_parts_cleanly_and_saturated_scores_stay_finite():
    truth = np.repeat([[1.0], [0.0]], 40, axis=0)
    calibrator = fit_calibrator(truth, truth)
    probabilities = calibrator(np.array([[1.0], [0.0], [0.5]]))
    assert np.isfinite([calibrator.slope, calibrator.bias]).all()
    assert probabilities[:2, 0] == pytest.approx([41 / 42, 1 / 42], abs=1e-4)


def test_newtons_method_ends_at_an_optimum_also_from_far_away():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (300, 3)) * [0.01, 1, 30] + [5, 0, -200]
    positive = rng.random((300, 3)) < 0.3
    slope, bias = platt(positive, logits)
    count = positive.sum(axis=0)
    target = np.where(positive, (count + 1) / (count + 2), 1 / (300 - count + 2))
    error = 1 / (1 + np.exp(-(slope * logits + bias))) - target
    assert np.abs(error.sum(axis=0)).max() < 1e-4
    assert np.abs((error * logits).sum(axis=0)).max() < 1e-2


def test_overconfident_scores_are_calibrated_and_rows_keep_their_order():
    truth, _, scores = overconfident(4_000, 6)
    unseen, unseen_true, unseen_scores = overconfident(4_000, 6, seed=1)
    calibrated = fit_calibrator(truth, scores)(unseen_scores)
    assert np.abs(calibrated - unseen_true).mean() < 0.02
    before = reliability(unseen.ravel(), unseen_scores.ravel())
    after = reliability(unseen.ravel(), calibrated.ravel())
    assert after.error < before.error / 4
    assert after.brier < before.brier
    for task in range(6):
        order = np.argsort(unseen_scores[:, task], kind="stable")
        assert (np.diff(calibrated[order, task]) >= 0).all()


def test_a_label_with_few_positives_is_scaled_as_all_labels_together():
    truth, _, scores = overconfident(2_000, 5)
    truth[:, 4] = 0
    truth[: FEWEST_POSITIVES - 1, 4] = 1
    rare = fit_calibrator(truth, scores)
    (slope,), (bias,) = platt(truth.reshape(-1, 1) > 0.5, logit(scores).reshape(-1, 1))
    assert (rare.slope[4], rare.bias[4]) == (slope, bias)
    truth[FEWEST_POSITIVES - 1, 4] = 1
    assert fit_calibrator(truth, scores).slope[4] != slope


def test_scores_that_run_against_the_truth_never_turn_the_order_around():
    truth, _, scores = overconfident(2_000, 3)
    scores[:, 1] = 1 - scores[:, 1]
    one = fit_calibrator(truth, scores)
    assert (one.slope > 0).all()
    scores[:, 1] = 1 - scores[:, 1]
    against = fit_calibrator(truth, 1 - scores)
    assert against.slope.tolist() == [0, 0, 0]
    assert against(scores)[0] == pytest.approx(truth.mean())


def test_rows_are_measured_with_calibrators_that_did_not_see_them():
    truth, _, scores = overconfident(200, 3)
    first = cross_fitted(truth, scores)
    changed = truth.copy()
    changed[0] = 1 - changed[0]
    again = cross_fitted(changed, scores)
    np.testing.assert_array_equal(first[0], again[0])
    assert (first != again).any()
    np.testing.assert_array_equal(first, cross_fitted(truth, scores))


def test_the_error_and_the_brier_score_are_those_of_the_definition():
    outcome = np.array([1.0, 0.0, 1.0, 1.0])
    probability = np.array([0.62, 0.64, 0.98, 1.0])
    found = reliability(outcome, probability)
    assert found.error == pytest.approx((abs(1.26 - 1) + abs(1.98 - 2)) / 4)
    assert found.brier == pytest.approx(((outcome - probability) ** 2).mean())
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert found.observed[[6, 9]].tolist() == [0.5, 1.0]
    assert np.isnan(found.predicted[0])


def test_probabilities_that_hold_show_no_more_error_than_chance_and_wrong_ones_do():
    rng = np.random.default_rng(0)
    probability = rng.random((300, 200))
    errors = [reliability((rng.random(200) < p).astype(float), p) for p in probability]
    assert np.mean([r.error for r in errors]) == pytest.approx(
        np.mean([r.chance for r in errors]), rel=0.05
    )
    off = reliability((rng.random(200) < probability[0] ** 3).astype(float), probability[0])
    assert off.excess > 0.1


def test_the_most_probable_label_of_a_row_is_right_if_the_row_has_it():
    truth = np.array([[0, 1], [1, 0], [0, 0]])
    probability = np.array([[0.2, 0.7], [0.3, 0.4], [0.9, 0.1]])
    right, given = most_probable(truth, probability)
    assert right.tolist() == [1, 0, 0]
    assert given.tolist() == [0.7, 0.4, 0.9]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda none: fit_calibrator(none, none), "no rows to calibrate"),
        (lambda none: reliability(none[:, 0], none[:, 0]), "no predictions"),
        (lambda none: cross_fitted(np.ones((1, 2)), np.ones((1, 2))), "two rows"),
    ],
)
def test_nothing_to_calibrate_on_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(np.zeros((0, 2)))
