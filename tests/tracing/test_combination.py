"""The learned ranker: it finds weights that are there, and never reads test triples."""

from dataclasses import replace

import numpy as np
import pytest

from hfkg_assets.tracing.combination import (
    Choices,
    Ranker,
    combine,
    fit_ranker,
    fit_weights,
    training_choices,
)
from hfkg_assets.tracing.pair_features import FEATURES, WITHOUT_CARD, PairFeatures, model_matrices
from hfkg_assets.tracing.questions import Run, runs_of
from hfkg_assets.tracing.rankers import single_scores
from hfkg_assets.tracing.ranking import ranking_metrics, realistic_ranks
from hfkg_assets.tracing.scores import fit_combinations
from hfkg_assets.tracing.triples import split_triples
from tests.tracing.made_up import DAY, facts_of, families, vectors_of

MODELS, LINEAGE = families()
FACTS = facts_of(MODELS, LINEAGE)
MATRICES = model_matrices(FACTS, vectors_of(MODELS))
RUNS = {run.protocol: run for run in runs_of(split_triples(LINEAGE, MODELS, DAY, seeds=[0]), FACTS)}


def drawn(weights: np.ndarray, group: np.ndarray, seed: int = 0) -> Choices:
    """Questions answered at random, with the probabilities of a conditional logit."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(len(group), 12, weights.shape[1])).astype(np.float32)
    logits = np.einsum("qkf,qf->qk", features, weights[group])
    right = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return Choices(features, np.zeros(logits.shape), right, group)


def test_weights_that_made_the_choices_are_found_again():
    true = np.array([[1.5, -1.0, 0.0]])
    found = fit_weights(drawn(true, np.zeros(3_000, int)), np.zeros(3), np.full(3, 3.0), 0.0, 1)
    assert found == pytest.approx(true, abs=0.1)


def test_a_group_deviates_where_it_has_much_to_tell_and_else_follows_the_others():
    true = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 1.0]])
    group = np.repeat([0, 2], 2_000)
    found = fit_weights(drawn(true, group), np.zeros(2), np.full(2, 3.0), 0.5, 3)
    assert found[[0, 2]] == pytest.approx(true[[0, 2]], abs=0.15)
    assert found[0, 1] < found[1, 1] < found[2, 1]  # of the second nothing was asked


def test_candidates_that_are_none_change_nothing():
    true, group = np.array([[1.0, 0.5]]), np.zeros(500, int)
    choices = drawn(true, group)
    none = np.full((500, 3), -np.inf)
    more = replace(
        choices,
        features=np.concatenate([choices.features, np.full((500, 3, 2), 9, np.float32)], axis=1),
        offsets=np.concatenate([choices.offsets, none], axis=1),
    )
    one, other = (fit_weights(c, np.zeros(2), np.ones(2), 0.0, 1) for c in (choices, more))
    assert one == pytest.approx(other, abs=1e-4)


def test_drawn_candidates_stand_for_all_that_were_left_out(monkeypatch):
    monkeypatch.setattr("hfkg_assets.tracing.combination.HARD", 20)
    monkeypatch.setattr("hfkg_assets.tracing.combination.EASY", 30)
    run = RUNS["time"]
    choices = training_choices(run, PairFeatures(MATRICES, run.known))
    assert choices.features.shape == (len(run.known), 50, len(FEATURES))
    there = (~run.places(run.known, among=["train"]).hidden).sum(axis=1)
    assert np.exp(choices.offsets).sum(axis=1) == pytest.approx(there)
    assert (choices.right == 0).all()
    assert (choices.offsets[:, 0] == 0).all()


def test_the_combination_is_ahead_of_each_of_its_parts():
    run = RUNS["time"]
    pairs = PairFeatures(MATRICES, run.known)
    fitted = fit_combinations(run, pairs, {})
    asked = run.parts["test"]
    block = pairs.of(asked)

    def mrr(scores: np.ndarray) -> float:
        return ranking_metrics(realistic_ranks(run.hide(scores, asked), asked.base))["mrr"]

    parts = {name: mrr(scores) for name, scores in single_scores(block).items()}
    card = {name: parts.pop(name) for name in ("card", "card_text")}
    plain = mrr(fitted.without_card.scores(block, asked.relation, {}))
    assert plain >= max(parts.values())
    assert mrr(fitted.with_card.scores(block, asked.relation, {})) >= max(plain, *card.values())


@pytest.mark.parametrize("protocol", ["random", "time"])
def test_test_triples_are_not_read_when_weights_are_fitted(protocol):
    run = RUNS[protocol]
    nothing = run.known.take(slice(0, 0))
    untold = replace(run, parts={**run.parts, "test": nothing})
    pairs = PairFeatures(MATRICES, run.known)
    one, other = (fit_combinations(r, pairs, {}) for r in (run, untold))
    for name in ("without_card", "with_card"):
        found, expected = getattr(one, name), getattr(other, name)
        assert np.array_equal(found.ranker.weights, expected.ranker.weights)
        assert found.scale == expected.scale
        assert found.questions == len(run.parts["validation"]) > 0


def test_a_score_that_knows_the_answers_of_validation_is_trusted_and_noise_is_not():
    run = RUNS["time"]
    pairs = PairFeatures(MATRICES, run.known)
    rng = np.random.default_rng(0)

    def others(asked):
        right = np.zeros((len(asked), len(FACTS)))
        right[np.arange(len(asked)), asked.base] = 5
        return {"knows": right, "noise": rng.normal(size=right.shape)}

    nothing = Ranker(np.zeros((4, len(FEATURES))))
    combination = combine(run, pairs, nothing, others)
    assert combination.trust["knows"] > 0.1
    assert abs(combination.trust["noise"]) < combination.trust["knows"] / 2


def test_without_validation_triples_the_ranker_alone_is_trusted():
    run: Run = RUNS["time"]
    empty = replace(run, parts={**run.parts, "validation": run.known.take(slice(0, 0))})
    pairs = PairFeatures(MATRICES, run.known)
    ranker = fit_ranker(training_choices(run, pairs), WITHOUT_CARD)
    combination = combine(empty, pairs, ranker, lambda asked: {"other": np.zeros((0, 0))})
    assert (combination.scale, combination.trust, combination.questions) == (1.0, {"other": 0.0}, 0)


def test_weights_of_what_is_not_among_the_features_are_zero():
    run = RUNS["time"]
    ranker = fit_ranker(training_choices(run, PairFeatures(MATRICES, run.known)), WITHOUT_CARD)
    unread = [place for place, name in enumerate(FEATURES) if name not in WITHOUT_CARD]
    assert not ranker.weights[:, unread].any()
    assert ranker.weights.any()
