"""Features of pairs: what is counted, what is not, and that no answer leaks into them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hfkg_assets.tracing.pair_features import (
    FEATURES,
    WITHOUT_CARD,
    Models,
    PairFeatures,
    columns_of,
    model_matrices,
)
from hfkg_assets.tracing.questions import Questions, Run, runs_of
from hfkg_assets.tracing.triples import split_triples
from tests.tracing.made_up import DAY, facts_of, families, vectors_of

MODELS, LINEAGE = families()
FACTS = facts_of(MODELS, LINEAGE)


@pytest.fixture(scope="module")
def models() -> Models:
    return model_matrices(FACTS, vectors_of(MODELS))


@pytest.fixture(scope="module")
def run() -> Run:
    triples = split_triples(LINEAGE, MODELS, DAY, seeds=[0])
    return next(r for r in runs_of(triples, FACTS) if r.protocol == "time")


def values(pairs: PairFeatures, asked: Questions, name: str) -> np.ndarray:
    return pairs.of(asked)[:, :, columns_of([name])[0]]


def number(name: str) -> int:
    return FACTS["id"].to_list().index(name)


def test_a_training_question_is_seen_as_if_its_own_triples_were_not_known(models, run):
    known = run.known
    for place in range(0, len(known), 7):
        others = known.take(np.flatnonzero(known.derived != known.derived[place]))
        asked = known.take(slice(place, place + 1))
        with_own = PairFeatures(models, known).of(asked)
        without = PairFeatures(models, others).of(asked)
        # Whether the candidate that is the asked model itself is derived takes no place anyway.
        same = np.delete(with_own, asked.derived[0], axis=1)
        assert np.allclose(same, np.delete(without, asked.derived[0], axis=1), atol=1e-6)


def test_triples_of_validation_and_test_are_never_counted(models, run):
    asked = run.parts["test"]
    emptied = replace(run, parts={**run.parts, "test": asked.take(slice(0, 0))})
    known = PairFeatures(models, emptied.known).of(asked)
    assert np.array_equal(known, PairFeatures(models, run.known).of(asked))


def test_the_answer_itself_is_not_read(models, run):
    asked = run.parts["test"]
    turned = replace(asked, base=asked.base[::-1].copy())
    pairs = PairFeatures(models, run.known)
    assert np.array_equal(pairs.of(asked), pairs.of(turned))


def test_without_the_card_no_feature_depends_on_what_cards_say_of_bases(models, run):
    silent = FACTS.with_columns(
        declared=pl.lit([], dtype=pl.List(pl.String)), named=pl.lit([], dtype=pl.List(pl.String))
    )
    asked, columns = run.parts["test"], columns_of(WITHOUT_CARD)
    told = PairFeatures(models, run.known).of(asked)
    untold = PairFeatures(model_matrices(silent, vectors_of(MODELS)), run.known).of(asked)
    assert np.array_equal(told[:, :, columns], untold[:, :, columns])
    assert not np.array_equal(told, untold)


def test_a_text_with_the_name_of_a_base_is_read_by_card_text_alone(run):
    named = model_matrices(FACTS.with_columns(names_a_base=pl.lit(True)), vectors_of(MODELS))
    pairs = PairFeatures(named, run.known)
    assert not values(pairs, run.parts["test"], "text").any()
    assert values(pairs, run.parts["test"], "card_text").any()


def test_popularity_counts_known_triples_by_all_and_by_this_relation(models):
    base, own = number("amber-lab/Amber-7b"), number("nobody/Amber-7b-orphan-ft")
    known = Questions(np.array([0, 0, 1]), np.full(3, base), np.array([1, 2, 3]))
    pairs = PairFeatures(models, known)
    asked = Questions(np.array([0]), np.array([0]), np.array([own]))
    assert np.expm1(values(pairs, asked, "popularity"))[0, base] == pytest.approx(3)
    assert np.expm1(values(pairs, asked, "relation_popularity"))[0, base] == pytest.approx(2)


def test_a_base_whose_whole_name_stands_in_the_derived_one_is_covered(models, run):
    asked = Questions(np.array([0]), np.array([0]), np.array([number("nobody/Amber-7b-orphan-ft")]))
    pairs = PairFeatures(models, run.known)
    covered = values(pairs, asked, "name_covered")[0]
    assert covered[number("amber-lab/Amber-7b")] > 0.9
    assert covered[number("lotus-lab/Lotus-7b")] < 0.5
    assert values(pairs, asked, "name_relatives")[0].argmax() == number("amber-lab/Amber-7b")


def test_some_candidates_have_the_features_that_they_have_among_all(models, run):
    chosen = np.array([3, 8, 40, 77])
    asked = run.parts["test"]
    everyone = PairFeatures(models, run.known).of(asked)
    assert np.allclose(
        PairFeatures(models, run.known, chosen).of(asked), everyone[:, chosen], atol=1e-6
    )


def test_blocks_come_to_the_same_as_all_at_once(models, run, monkeypatch):
    asked = run.parts["test"]
    pairs = PairFeatures(models, run.known)
    whole = pairs.of(asked)
    monkeypatch.setattr("hfkg_assets.tracing.pair_features.PAIRS_AT_ONCE", 3 * len(models))
    parts = list(pairs.blocks(asked))
    assert len(parts) > 1
    assert np.allclose(np.concatenate([block for _, block in parts]), whole, atol=1e-6)


def test_every_feature_is_of_a_kind_and_finite_also_for_models_without_text_date_or_owner(models):
    nothing = Questions(*(np.zeros(0, np.int64),) * 3)
    silent = Questions(np.array([2]), np.array([0]), np.array([number("nobody/silent")]))
    block = PairFeatures(models, nothing).of(silent)
    assert block.shape == (1, len(models), len(FEATURES))
    assert np.isfinite(block).all()
