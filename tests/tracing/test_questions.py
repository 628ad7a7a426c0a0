"""What is known in a run, and which candidates take a place."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from hfkg_assets.tracing.questions import Run, runs_of

RELATION = "model_merge_model"


def run_of(protocol: str, triples: list[tuple[str, str, str]], years: dict[str, int | None]) -> Run:
    """A run of triples (split, base, derived) among models with a year of creation."""
    models = pl.DataFrame(
        {
            "id": sorted(years),
            "created_at": [
                None if years[name] is None else datetime(years[name], 1, 1, tzinfo=UTC)
                for name in sorted(years)
            ],
        },
        schema={"id": pl.String, "created_at": pl.Datetime("ms", "UTC")},
    )
    table = pl.DataFrame(
        [(protocol, 0, split, RELATION, base, derived) for split, base, derived in triples],
        schema=["protocol", "seed", "split", "relation", "base_id", "derived_id"],
        orient="row",
    )
    return next(runs_of(table, models))


def left(run: Run, split: str) -> list[str]:
    """The candidates of the first question of a split that take a place; ids are letters."""
    asked = run.parts[split].take(slice(0, 1))
    scores = run.hide(np.zeros((1, len(run.created))), asked)
    return [chr(ord("a") + place) for place in np.flatnonzero(~np.isnan(scores[0]))]


TRIPLES = [("train", "a", "d"), ("test", "b", "d"), ("validation", "c", "d"), ("train", "b", "e")]
YEARS: dict[str, int | None] = {"a": 2020, "b": 2020, "c": 2020, "d": 2024, "e": 2025, "f": 2023}


def test_other_true_bases_of_any_split_and_the_model_itself_take_no_place():
    assert left(run_of("time", TRIPLES, YEARS), "test") == ["b", "f"]


def test_at_random_only_what_training_has_is_a_candidate():
    assert left(run_of("random", TRIPLES, YEARS), "test") == ["b", "e"]


def test_by_time_nothing_younger_than_the_model_is_a_candidate_and_the_undated_are():
    triples = [("train", "a", "e"), ("test", "b", "d")]
    years = {**YEARS, "c": None}
    assert left(run_of("time", triples, years), "test") == ["a", "b", "c", "f"]


def test_a_true_base_that_is_younger_than_its_model_comes_last():
    run = run_of("time", [("test", "e", "d")], YEARS)
    scores = run.hide(np.ones((1, 6)), run.parts["test"])
    assert scores[0, 4] == -np.inf
    assert np.nansum(scores[0, :3]) == 3


def test_lessons_of_the_random_protocol_are_triples_whose_base_training_has_twice():
    triples = [("train", "a", "d"), ("train", "b", "d"), ("train", "b", "e")]
    lessons = run_of("random", triples, YEARS).lessons()
    assert lessons.base.tolist() == [1, 1]
    assert len(run_of("time", triples, YEARS).lessons()) == 3


def test_a_base_that_is_younger_than_its_model_teaches_nothing():
    run = run_of("time", [("train", "a", "d"), ("train", "e", "d")], YEARS)
    assert run.lessons().base.tolist() == [0]


def test_a_triple_of_an_unknown_model_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="materialize both again"):
        run_of("time", [("train", "a", "nobody")], YEARS)
