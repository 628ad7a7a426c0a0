"""All of tracing through Dagster on a made-up snapshot: tables, files, checks, predictions."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from hfkg_assets.tracing.embeddings import load_embeddings
from hfkg_assets.tracing.leaderboard import not_ahead, unranked
from hfkg_assets.tracing.pair_features import FEATURES
from hfkg_assets.tracing.prediction import (
    KINDS,
    PREDICTED_BASE,
    Calibration,
    Found,
    as_rows,
    linked_models,
    popular_models,
    predicted_bases_of,
    read_combination,
    unsound,
)
from hfkg_assets.tracing.questions import Questions, runs_of
from hfkg_assets.tracing.rankers import EMBEDDINGS, READS_CARD, ROLES
from hfkg_assets.tracing.ranking import METRICS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import MissingTable, Warehouse
from tests.tracing.made_up import DAY, FAMILIES, families, materialize

ORPHAN, SILENT = "nobody/Amber-7b-orphan-ft", "nobody/silent"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return materialize(tmp_path_factory.mktemp("tracing"))


@pytest.fixture(scope="module")
def warehouse(store) -> Warehouse:
    return store[0]


def table(warehouse: Warehouse, name: str) -> pl.DataFrame:
    return warehouse.scan(f"tracing/{name}", DAY).collect()


def test_everything_is_made_and_the_checks_that_fail_a_run_pass(store):
    _, result = store
    assert result.success
    passed = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert passed["every_question_is_ranked"]
    assert passed["predictions_are_sound"]
    assert set(passed) == {
        "every_question_is_ranked", "predictions_are_sound", "combination_beats_its_parts",
        "probabilities_hold",
    }  # fmt: skip


def test_the_leaderboard_has_every_ranker_in_both_protocols_and_published_figures_beside(warehouse):
    board = table(warehouse, "leaderboard")
    own = board.filter(source="hfkg", split="test")
    for protocol in ("random", "time"):
        assert set(own.filter(protocol=protocol)["model"]) == set(ROLES)
    assert not own.select(METRICS).null_count().pipe(lambda f: f.sum_horizontal())[0]
    published = board.filter(role="published")
    transe = published.filter(model="TransE").row(0, named=True)
    assert [transe[name] for name in METRICS] == [0.5589, 0.4496, 0.6321, 0.6973, 0.7562]
    assert published["comparable"].str.starts_with("no").all()


def test_rows_that_read_cards_are_marked_and_do_not_compare(warehouse):
    own = table(warehouse, "leaderboard").filter(source="hfkg")
    marked = own.filter(reads_the_answer="card")
    assert set(marked["model"]) == set(READS_CARD)
    assert (marked["comparable"] != "yes").all()
    assert (own.filter(reads_the_answer="no")["comparable"] == "yes").all()


def test_embeddings_know_nothing_of_new_models_and_their_rows_say_so(warehouse):
    ranks = table(warehouse, "scores").filter(pl.col("model").is_in(list(EMBEDDINGS)))
    new = ranks.filter(protocol="time", split="test")
    assert (new["rank"] == (new["candidates"] + 1) / 2).all()
    seen = ranks.filter(protocol="random", split="test", model="transe")
    assert (seen["rank"] != (seen["candidates"] + 1) / 2).any()


def test_weights_are_read_back_as_they_were_trained(warehouse):
    facts = table(warehouse, "evidence")
    run = next(runs_of(table(warehouse, "triples"), facts))
    loaded = load_embeddings(warehouse, str(DAY), run, facts["id"])
    assert set(loaded) == set(EMBEDDINGS)
    stored = table(warehouse, "rotate").filter(protocol=run.protocol, seed=run.seed, split="test")
    asked = run.parts["test"]
    scores = run.hide(loaded["rotate"].scores(asked), asked)
    own = scores[np.arange(len(asked)), asked.base]
    assert ((scores > own[:, None]).sum(axis=1) + 1 == stored["rank"].to_numpy()).all()


def test_embeddings_of_a_run_that_was_not_trained_are_left_out(warehouse):
    facts = table(warehouse, "evidence")
    run = next(r for r in runs_of(table(warehouse, "triples"), facts) if r.protocol == "time")
    assert load_embeddings(warehouse, str(DAY), run, facts["id"]) == {}


def test_every_model_without_a_verified_base_has_its_likely_bases(warehouse):
    predicted = table(warehouse, "predicted_base")
    assert predicted.schema == schema_of(PREDICTED_BASE)
    bases = {f"{family}-lab/{family.title()}-7b" for family in FAMILIES}
    assert set(predicted["id"]) == bases | {ORPHAN, SILENT}
    assert predicted.equals(predicted.sort("id", "rank"))


def test_a_model_named_after_another_is_traced_to_it_and_told_why(warehouse):
    found = predicted_bases_of(warehouse, DAY, ORPHAN)
    assert found["rank"].to_list() == [1, 2, 3, 4, 5]
    first = found.row(0, named=True)
    assert first["base_id"] == "amber-lab/Amber-7b"
    assert first["relation"] == "model_finetune_model"
    assert first["probability"] > 0.5
    assert found["probability"].sum() <= 1 + 1e-9
    evidence = first["evidence"]
    assert {reason["kind"] for reason in evidence} <= set(KINDS)
    weights = [reason["weight"] for reason in evidence]
    assert weights == sorted(weights, reverse=True)
    graph = next(reason for reason in evidence if reason["kind"] == "graph")
    assert "of the models of most similar names derive from it" in graph["detail"]


def test_each_kind_of_evidence_says_what_it_saw():
    facts = pl.DataFrame(
        {
            "id": ["lab/Amber_7b", "me/amber-7B-ft"],
            "name": ["Amber_7b", "amber-7B-ft"],
            "config": [["task:x", "tag:y"], ["tag:y"]],
        }
    )
    seen = {
        "popularity": np.log1p(4), "relation_popularity": np.log1p(3), "declared": 1.0,
        "owner_habit": np.log1p(2), "same_owner": 1.0, "name_relatives": 0.25, "card_text": 0.5,
        "is_derived": 1.0,
    }  # fmt: skip
    features = np.array([[[seen.get(name, 0.0) for name in FEATURES]]], dtype=np.float32)
    weights = np.arange(len(FEATURES), 0, -1, dtype=float)[None, None, :]
    found = Found(np.array([[0]]), np.array([[2.0]]), np.array([[0.9]]), features, weights)
    asked = Questions(np.array([1]), np.array([0]), np.array([1]))
    row = as_rows(facts, asked, found).row(0, named=True)
    assert (row["id"], row["base_id"], row["rank"]) == ("me/amber-7B-ft", "lab/Amber_7b", 1)
    assert {reason["kind"]: reason["detail"] for reason in row["evidence"]} == {
        "name": "both have 7b, amber",
        "config": "both have tag:y",
        "text": "cosine of the cards' texts 0.5",
        "card": "its front matter declares it",
        "popularity": "base of 4 models, 3 by this relation",
        "graph": "2 other models of its owner derive from it; it is of the same owner; "
        "25 % of the models of most similar names derive from it",
    }


def test_a_model_with_a_verified_base_and_an_unknown_one_have_no_predictions(warehouse):
    derived = families()[1]["derived_id"][0]
    assert predicted_bases_of(warehouse, DAY, derived).is_empty()
    assert predicted_bases_of(warehouse, DAY, "no/body").is_empty()
    with pytest.raises(MissingTable, match="tracing/predicted_base"):
        predicted_bases_of(warehouse, "2020-01-01", ORPHAN)


def test_the_first_models_of_the_hub_are_not_traced_to_younger_ones(warehouse):
    predicted = table(warehouse, "predicted_base")
    base = predicted.filter(id="birch-lab/Birch-7b")
    assert set(base["base_id"]) <= {
        *(f"{family}-lab/{family.title()}-7b" for family in FAMILIES), SILENT,
    }  # fmt: skip


def test_what_predicts_was_fitted_for_new_models_and_reads_cards(warehouse):
    combination = read_combination(warehouse.directory("tracing/scores", DAY))
    assert combination is not None
    assert combination.trust == {}
    assert combination.questions > 0


# --- candidates on a large Hub -------------------------------------------------------------------


def test_candidates_of_a_large_hub_are_popular_ones_and_those_of_name_and_card(warehouse):
    facts = table(warehouse, "evidence")
    ids = facts["id"]
    known = Questions(*(np.array(x) for x in ([0, 0], [7, 7], [1, 2])))
    assert popular_models(facts, known, 1).tolist() == [7]
    assert len(popular_models(facts, known, 10_000)) == len(ids)
    links = linked_models(facts)
    place = ids.to_list().index
    of_orphan = links.filter(row=place(ORPHAN))["other"].to_list()
    assert place("amber-lab/Amber-7b") in of_orphan


def test_few_candidates_find_the_base_all_the_same(store, tmp_path):
    from hfkg_assets.tracing.prediction import all_known, predict
    from hfkg_assets.tracing.scores import read_models

    warehouse, _ = store
    facts, split = table(warehouse, "evidence"), table(warehouse, "triples")
    texts = pl.read_parquet(warehouse.path("feature/embedding", DAY)).select("id", "embedding")
    combination = read_combination(warehouse.directory("tracing/scores", DAY))
    blocks = predict(
        facts,
        read_models(facts, texts),
        split.select("relation", "base_id", "derived_id").unique(),
        all_known(list(runs_of(split, facts))),
        combination,
        most_candidates=3,
    )
    found = pl.concat(blocks).filter(pl.col("id") == ORPHAN, pl.col("rank") == 1)
    assert found["base_id"].to_list() == ["amber-lab/Amber-7b"]


# --- checks --------------------------------------------------------------------------------------


def test_a_part_that_is_ahead_of_the_combination_is_found(warehouse):
    board = table(warehouse, "leaderboard")
    better = board.with_columns(
        mrr=pl.when((pl.col("model") == "config") & (pl.col("protocol") == "time"))
        .then(2.0)
        .otherwise("mrr")
    )
    found = not_ahead(better)
    assert ("time", "config") in found.select("protocol", "model").rows()


def test_a_question_that_is_missing_doubled_or_not_asked_is_found(warehouse):
    ranks, triples = (warehouse.scan(f"tracing/{name}", DAY) for name in ("scores", "triples"))
    assert unranked(ranks, triples).is_empty()
    one = ranks.filter(pl.col("model") == "name").collect()
    broken = pl.concat(
        [one.slice(1), one.slice(5, 1), one.head(1).with_columns(base_id=pl.lit("x"))]
    )
    others = ranks.filter(pl.col("model") != "name")
    found = unranked(pl.concat([others, broken.lazy()]), triples)
    assert found["model"].unique().to_list() == ["name"]
    assert found.select(pl.col("missing", "unasked", "repeated").sum()).row(0) == (1, 1, 1)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("rank", 7, "ranks are not dense"),
        ("probability", 1.5, "no probability"),
        ("probability", float("nan"), "no probability"),
        ("base_id", ORPHAN, "its own base"),
        ("base_id", "younger", "the base is younger"),
    ],
)
def test_predictions_that_cannot_be_meant_are_found(warehouse, column, value, fault):
    predicted, evidence, triples = (
        warehouse.scan(f"tracing/{name}", DAY).collect()
        for name in ("predicted_base", "evidence", "triples")
    )
    late = evidence.head(1).with_columns(
        id=pl.lit("younger"),
        created_at=pl.lit(datetime(2030, 1, 1, tzinfo=UTC)).cast(pl.Datetime("ms", "UTC")),
    )
    here = (pl.col("id") == ORPHAN) & (pl.col("rank") == 2)
    dtype = predicted.schema[column]
    broken = predicted.with_columns(
        pl.when(here).then(pl.lit(value, dtype=dtype)).otherwise(column).alias(column)
    )
    found = unsound(broken.lazy(), pl.concat([evidence, late]).lazy(), triples.lazy())
    assert fault in found["fault"].to_list()


def test_a_prediction_for_a_model_with_a_verified_base_is_found(warehouse):
    predicted = table(warehouse, "predicted_base").filter(id=ORPHAN)
    derived = families()[1]["derived_id"][0]
    wrong = predicted.with_columns(id=pl.lit(derived))
    found = unsound(
        wrong.lazy(), *(warehouse.scan(f"tracing/{name}", DAY) for name in ("evidence", "triples"))
    )
    assert "it has a verified base" in found["fault"].to_list()


def test_what_is_said_and_what_is_right_may_differ_by_chance_only():
    assert Calibration(0.9, 0.85, 30).excess == 0
    assert Calibration(0.9, 0.4, 200).excess > 0.4
