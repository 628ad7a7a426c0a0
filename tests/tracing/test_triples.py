"""How lineage is divided: as HuggingBench does, and by time, without giving answers away."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from hfkg_assets.exports.libkge import HELD_OUT
from hfkg_assets.tracing.triples import (
    FEWEST,
    MOST_SHARE,
    held_out_share,
    split_at_random,
    split_by_time,
    split_triples,
)
from tests.tracing.made_up import DAY, families

MODELS, LINEAGE = families()


def test_a_large_graph_is_divided_as_huggingbench_does_and_a_small_one_has_more_to_judge():
    assert held_out_share(339_000) == HELD_OUT
    assert held_out_share(5_000) == FEWEST / 5_000
    assert held_out_share(300) == MOST_SHARE
    assert held_out_share(0) == MOST_SHARE


@pytest.mark.parametrize("seed", [0, 1])
def test_every_model_and_relation_that_is_asked_for_at_random_is_seen_in_training(seed):
    split = split_at_random(LINEAGE, 0.1, seed)
    train = split.filter(split="train")
    held = split.filter(pl.col("split") != "train")
    assert held["split"].unique().sort().to_list() == ["test", "validation"]
    seen = set(train["base_id"]) | set(train["derived_id"])
    assert set(held["base_id"]) | set(held["derived_id"]) <= seen
    assert set(held["relation"]) <= set(train["relation"])
    assert split.drop("split").equals(LINEAGE)


def test_another_seed_draws_others_and_the_same_the_same():
    one, again, other = (split_at_random(LINEAGE, 0.1, seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


def test_two_relations_of_the_same_two_models_are_never_in_different_splits():
    doubled = pl.concat(
        [LINEAGE, LINEAGE.with_columns(relation=pl.lit("model_quantized_model"))]
    ).unique()
    split = split_at_random(doubled.sort(pl.all()), 0.1, 0)
    sides = split.group_by("base_id", "derived_id").agg(pl.col("split").n_unique(), pl.len())
    assert (sides["len"] > 1).any()
    assert sides["split"].max() == 1


def test_by_time_a_model_is_where_its_creation_falls_with_all_its_triples():
    day = date(2026, 11, 28)
    created = {
        "old": datetime(2026, 8, 27, 23, 59, tzinfo=UTC),
        "first": datetime(2026, 8, 28, tzinfo=UTC),
        "second": datetime(2026, 9, 28, tzinfo=UTC),
        "last": datetime(2026, 11, 28, 23, 59, tzinfo=UTC),
        "later": datetime(2026, 11, 29, tzinfo=UTC),
        "undated": None,
    }
    models = pl.DataFrame({"id": list(created), "created_at": list(created.values())})
    triples = pl.DataFrame(
        [(r, b, d) for d in created for r, b in (("merge", "one"), ("merge", "two"))],
        schema=["relation", "base_id", "derived_id"],
        orient="row",
    )
    split = split_by_time(triples, models, day)
    assert dict(split.select("derived_id", "split").iter_rows()) == {
        "old": "train", "first": "validation", "second": "test", "last": "test",
    }  # fmt: skip
    assert split.height == 8


def test_what_is_tested_by_time_has_no_triple_as_derived_model_in_training():
    split = split_triples(LINEAGE, MODELS, DAY).filter(protocol="time")
    sides = {name: set(split.filter(split=name)["derived_id"]) for name in ("train", "test")}
    assert sides["test"]
    assert not sides["train"] & sides["test"]


def test_nothing_is_in_two_splits_of_a_run():
    split = split_triples(LINEAGE, MODELS, DAY, seeds=[4, 5])
    runs = split.group_by("protocol", "seed").agg(pl.len()).sort("protocol", "seed")
    assert runs.select("protocol", "seed").rows() == [("random", 4), ("random", 5), ("time", 0)]
    assert not split.select(pl.exclude("split")).is_duplicated().any()


def test_without_any_lineage_there_is_nothing_to_divide():
    assert split_triples(LINEAGE.clear(), MODELS, DAY).is_empty()
