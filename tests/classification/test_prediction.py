"""Predicted tasks: whose, which, how probable, and that the checks can fail."""

import shutil
from dataclasses import replace
from datetime import date

import numpy as np
import orjson
import polars as pl
import pytest

from hfkg_assets.classification.bundles import bundle_path, load_bundle
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.prediction import (
    GRAPH,
    LEAST_PROBABILITY,
    MOST_TASKS,
    NOTHING_TRAINED,
    PREDICTED_TASKS,
    TABLE,
    TEXT,
    VARIANT,
    Snapshot,
    check_calibrated,
    check_undeclared,
    make_predictor,
    predict_undeclared,
    seed_scores,
    trained_protocol,
)
from hfkg_assets.classification.predictors import (
    FILE,
    LEVELS,
    Rows,
    choose_learner,
    load_predictors,
    trust_of,
)
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.trained_store import DATASETS_ONLY, DAY, SILENT, TRAINED, materialize


@pytest.fixture
def table(trained_store):
    return trained_store.warehouse.scan(TABLE, DAY).collect()


@pytest.fixture
def copied(trained_store, tmp_path):
    """The store as one's own, to be changed."""
    root = tmp_path / "store"
    shutil.copytree(trained_store.warehouse.root, root)
    return Warehouse(root=str(root))


def snapshot_of(warehouse, learners=TRAINED):
    def read(name):
        return warehouse.scan(name, DAY).collect()

    return Snapshot(
        date.fromisoformat(DAY),
        warehouse,
        read("classification/node"),
        read("classification/graph"),
        read("feature/node_features"),
        read("classification/term_scores"),
        read("classification/labels"),
        read("classification/split"),
        read("classification/task_index")["task_id"].to_list(),
        {name: read(f"classification/{name}") for name in learners},
    )


def nothing_known(warehouse):
    """The nodes with neither text nor any edge."""
    nodes = warehouse.scan("classification/node", DAY).collect()
    edges = warehouse.scan("classification/graph", DAY).collect()
    features = warehouse.scan("feature/node_features", DAY).collect()
    silent = pl.Series(~features["features"].to_numpy().any(axis=1))
    joined = pl.concat([edges["source"], edges["target"]]).implode()
    return nodes.filter(silent, ~pl.col("node").is_in(joined))


def metadata(result):
    (event,) = (
        e
        for e in result.get_asset_materialization_events()
        if e.asset_key.path[-1] == "predicted_tasks"
    )
    return {name: value.value for name, value in event.materialization.metadata.items()}


# --- whose tasks are predicted -------------------------------------------------------------------


def test_every_repository_that_declares_nothing_is_predicted_and_no_other(trained_store, table):
    labels = trained_store.warehouse.scan("classification/labels", DAY).collect()
    undeclared = (
        trained_store.warehouse.scan("classification/node", DAY)
        .collect()
        .join(labels, on=["kind", "id"], how="anti")
    )
    expected = undeclared.join(nothing_known(trained_store.warehouse), on="node", how="anti")
    assert set(table.select("kind", "id").iter_rows()) == set(
        expected.select("kind", "id").iter_rows()
    )
    told = metadata(trained_store.result)
    assert told["hfkg/undeclared"] == undeclared.height
    assert told["hfkg/predicted"] == expected.height


def test_of_a_repository_without_text_and_edge_nothing_is_told_and_it_is_counted(
    trained_store, table
):
    nodes = nothing_known(trained_store.warehouse)
    assert set(SILENT) <= set(nodes["id"])
    assert table.join(nodes, on=["kind", "id"], how="semi").is_empty()
    labels = trained_store.warehouse.scan("classification/labels", DAY).collect()
    expected = nodes.join(labels, on=["kind", "id"], how="anti").height
    assert metadata(trained_store.result)["hfkg/nothing_known"] == expected


def test_a_learner_that_sees_no_edge_knows_nothing_of_a_repository_without_text(trained_store):
    snapshot = snapshot_of(trained_store.warehouse, ["logistic_regression"])
    made = make_predictor(snapshot, GRAPH)
    predicted = predict_undeclared(snapshot, made.predictor)
    features = snapshot.features.select(
        "kind", "id", empty=pl.Series(~snapshot.features["features"].to_numpy().any(axis=1))
    )
    without = features.filter("empty").join(snapshot.labels, on=["kind", "id"], how="anti")
    assert predicted.nothing_known == without.height > len(SILENT)
    assert predicted.table.join(without, on=["kind", "id"], how="semi").is_empty()


# --- which tasks, how probable -------------------------------------------------------------------


def test_tasks_are_ranked_by_probability_and_few(table):
    assert table.schema == schema_of(PREDICTED_TASKS)
    assert table.equals(table.sort("kind", "id", "rank"))
    assert table["probability"].is_between(LEAST_PROBABILITY, 1).all()
    for _, rows in table.group_by("kind", "id"):
        assert rows["rank"].to_list() == list(range(1, rows.height + 1))
        assert rows["probability"].is_sorted(descending=True)
        assert rows.height <= MOST_TASKS


def test_a_kind_gets_no_task_that_no_training_row_of_it_has(table):
    of_models = table.filter(kind="model")["task_id"].unique()
    assert DATASETS_ONLY not in of_models
    assert DATASETS_ONLY in table.filter(kind="dataset")["task_id"]


def test_a_task_is_chosen_where_its_probability_is_above_its_tuned_threshold(trained_store, table):
    predictor = load_predictors(trained_store.warehouse.directory(TABLE, DAY))[GRAPH]
    threshold = pl.col("task_id").replace_strict(
        dict(zip(predictor.task_ids, predictor.thresholds, strict=True))
    )
    assert table.filter(pl.col("chosen") != (pl.col("probability") > threshold)).is_empty()
    assert 0 < table["chosen"].sum() < table.height


def test_what_is_predicted_is_true_as_often_as_it_is_said(trained_store, table):
    """The truth of these repositories is known here, though nobody declared it."""
    judged = table.join(trained_store.truth, on=["kind", "id"], suffix="_true").with_columns(
        right=pl.col("task_id") == pl.col("task_id_true")
    )
    first = judged.filter(rank=1)
    assert first["right"].mean() > 0.85
    assert first["right"].mean() == pytest.approx(first["probability"].mean(), abs=0.1)
    unlikely = judged.filter(pl.col("probability") < 0.2)
    assert unlikely["right"].mean() < 0.1


def test_declared_tasks_of_relatives_are_known_to_the_predictor(trained_store):
    snapshot = snapshot_of(trained_store.warehouse)
    data = snapshot.data(snapshot.bundle("sage", "random"))
    assert int(data.stages["test"].known.sum()) == snapshot.labels.height
    before = int((data.masks["train"] | data.masks["validation"]).sum())
    assert before < snapshot.labels.height


def test_the_weights_of_a_bundle_give_the_scores_that_were_stored(trained_store):
    from hfkg_assets.classification.training_data import prepare

    snapshot = snapshot_of(trained_store.warehouse)
    data = prepare(
        snapshot.nodes, snapshot.edges, snapshot.features, snapshot.labels, snapshot.split,
        tasks=len(snapshot.task_ids), protocol="random", variant=VARIANT, day=snapshot.day,
        term_scores=snapshot.term_scores,
    )  # fmt: skip
    documents = data.masks["test"].nonzero()[:, 0].numpy()
    ids = snapshot.nodes[documents].select("kind", "id")
    for name in TRAINED:
        found = list(seed_scores(snapshot.bundle(name, "random"), data, documents))
        for seed, scores in enumerate(found):
            stored = ids.join(
                snapshot.predictions[name].filter(protocol="random", split="test", seed=seed),
                on=["kind", "id"],
                maintain_order="left",
            )
            np.testing.assert_allclose(
                scores, stored["scores"].list.to_array(len(snapshot.task_ids)).to_numpy(), atol=1e-5
            )


# --- who is asked --------------------------------------------------------------------------------


def rows(scores, truth=((1, 0), (0, 1), (1, 0), (0, 1))):
    truth = np.array(truth, dtype=np.float32)
    return Rows(np.array(["model"] * len(truth)), truth, np.array(scores, dtype=np.float32))


GOOD = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.2], [0.1, 0.9]]
BAD = [[0.9, 0.8], [0.9, 0.8], [0.1, 0.2], [0.1, 0.9]]


def test_the_learner_with_the_best_mean_validation_score_is_chosen_not_the_luckiest_seed():
    steady, lucky = rows([GOOD, GOOD]), rows([GOOD, BAD])
    assert steady.tuned_score() > lucky.tuned_score()
    assert choose_learner({"a_lucky": lucky, "steady": steady}) == "steady"


def test_of_equal_learners_the_first_by_name_is_chosen():
    assert choose_learner({"sage": rows([GOOD]), "gcn": rows([GOOD])}) == "gcn"
    with pytest.raises(ValueError, match="no trained learner"):
        choose_learner({})


def test_repositories_are_predicted_by_random_weights_and_lone_texts_by_family_weights():
    def trained(*protocols):
        return {"gcn": pl.DataFrame({"protocol": protocols}, schema={"protocol": pl.String})}

    everything = trained("time", "random", "family")
    assert (trained_protocol(everything, GRAPH), trained_protocol(everything, TEXT)) == (
        "random", "family",
    )  # fmt: skip
    assert trained_protocol(trained("time"), GRAPH) == "time"
    assert trained_protocol(trained(), TEXT) is None


def test_the_predictor_of_lone_texts_is_chosen_on_scores_without_any_edge(trained_store):
    snapshot = snapshot_of(trained_store.warehouse)
    made = make_predictor(snapshot, TEXT)
    assert made.predictor.protocol == "family"
    read = snapshot.features.filter(pl.Series(snapshot.features["features"].to_numpy().any(axis=1)))
    validation = snapshot.split.filter(protocol="family", split="validation")
    assert len(made.validation.truth) == read.join(validation, on=["kind", "id"]).height
    scores = {
        name: make_predictor(snapshot_of(trained_store.warehouse, [name]), TEXT).predictor.score
        for name in TRAINED
    }
    assert made.predictor.score == max(scores.values())


def test_nothing_of_the_published_texts_is_used(copied, table):
    """A learner that copies the answer from published texts is there, and is not asked."""
    name = "mlp"
    labels = copied.scan("classification/labels", DAY)
    tasks = copied.scan("classification/task_index", DAY).select(pl.len()).collect().item()
    perfect = [pl.col("labels").list.contains(task).cast(pl.Float32) for task in range(tasks)]
    leaked = (
        copied.scan("classification/sage", DAY)
        .join(labels, on=["kind", "id"])
        .with_columns(
            model=pl.lit(name), variant=pl.lit("as_published"), scores=pl.concat_list(perfect)
        )
        .drop("labels")
        .collect()
    )
    copied.write(f"classification/{name}", DAY, leaked)
    result = materialize(copied)
    assert result.success
    assert copied.scan(TABLE, DAY).collect().equals(table)


def test_where_no_learner_read_clean_texts_the_table_is_empty_and_a_check_says_why(copied):
    for name in LEARNERS:
        stored = copied.scan(f"classification/{name}", DAY)
        copied.write(
            f"classification/{name}",
            DAY,
            stored.with_columns(variant=pl.lit("as_published")).collect(),
        )
    result = materialize(copied)
    assert result.success
    assert copied.scan(TABLE, DAY).collect().is_empty()
    failed = {e.check_name: e for e in result.get_asset_check_evaluations() if not e.passed}
    assert set(failed) == {"calibrated"}
    assert failed["calibrated"].metadata["hfkg/reason"].value == NOTHING_TRAINED


def test_features_that_were_made_after_training_are_refused(copied):
    features = copied.scan("feature/node_features", DAY).collect()
    moved = pl.Series(
        "features", features["features"].to_numpy() * 2 + 1, dtype=features["features"].dtype
    )
    copied.write("feature/node_features", DAY, features.with_columns(moved))
    snapshot = snapshot_of(copied)
    predictor = load_predictors(copied.directory(TABLE, DAY))[GRAPH]
    with pytest.raises(ValueError, match="materialize it again"):
        predict_undeclared(snapshot, predictor)


def test_other_tasks_than_those_trained_on_are_refused(trained_store):
    snapshot = replace(snapshot_of(trained_store.warehouse), task_ids=["other"])
    with pytest.raises(ValueError, match="other tasks"):
        snapshot.bundle("sage", "random")


# --- how far it can be trusted -------------------------------------------------------------------


def test_the_metadata_tell_calibration_coverage_and_precision(trained_store):
    told = metadata(trained_store.result)
    for line in ("validation, as scored", "calibrated without the rows judged", "test, calibrated"):
        assert line in told["hfkg/calibration"]
    assert all(f"| {level} |" in told["hfkg/trust"] for level in LEVELS)
    assert "| graph |" in told["hfkg/predictors"]
    assert "| text |" in told["hfkg/predictors"]
    assert "translation" in told["hfkg/most_predicted"]
    assert told["hfkg/reliability"].startswith("![](data:image/png;base64,")
    assert len(told["hfkg/reliability"]) < 100_000


def test_trust_counts_the_rows_whose_most_probable_task_reaches_a_level():
    trust = trust_of(np.array([1, 0, 1, 1]), np.array([0.95, 0.85, 0.6, 0.3]))
    assert [(t.level, t.rows, t.right, t.of) for t in trust] == [
        (0.5, 3, 2, 4), (0.8, 2, 1, 4), (0.9, 1, 1, 4),
    ]  # fmt: skip


def test_both_checks_pass_on_what_was_predicted(trained_store):
    evaluations = trained_store.result.get_asset_check_evaluations()
    assert {(e.check_name, e.passed) for e in evaluations} == {
        ("only_undeclared", True), ("calibrated", True),
    }  # fmt: skip


def test_a_repository_that_declares_a_task_in_the_table_fails_a_check_and_is_named(copied, table):
    declared = copied.scan("verified/model_definedFor_task", DAY).collect()["subject_id"][0]
    planted = table.head(1).with_columns(kind=pl.lit("model"), id=pl.lit(declared))
    copied.write(TABLE, DAY, pl.concat([table, planted]))
    passed, told = check_undeclared(copied, DAY)
    assert not passed
    assert told == {"hfkg/declared": 1, "hfkg/examples": [declared]}


def test_probabilities_that_do_not_hold_on_test_rows_fail_a_check(copied):
    assert check_calibrated(copied, DAY)[0]
    path = copied.directory(TABLE, DAY) / FILE
    stored = orjson.loads(path.read_bytes())
    stored[GRAPH]["bias"] = [bias - 3 for bias in stored[GRAPH]["bias"]]
    path.write_bytes(orjson.dumps(stored))
    passed, told = check_calibrated(copied, DAY)
    assert not passed
    assert told["hfkg/calibration_error"] > told["hfkg/by_chance"] + 0.05


def test_predictors_of_another_version_are_refused(copied):
    path = copied.directory(TABLE, DAY) / FILE
    path.write_bytes(b'{"graph": {"learner": "gcn", "trust": []}}')
    with pytest.raises(ValueError, match="another version"):
        load_predictors(path.parent)


def test_the_same_tables_give_the_same_predictions_to_the_last_byte(copied):
    before = (
        copied.path(TABLE, DAY).read_bytes(),
        (copied.directory(TABLE, DAY) / FILE).read_bytes(),
    )
    assert materialize(copied).success
    after = copied.path(TABLE, DAY).read_bytes(), (copied.directory(TABLE, DAY) / FILE).read_bytes()
    assert before == after


def test_bundles_are_of_the_seeds_that_were_trained(trained_store):
    directory = trained_store.warehouse.directory("classification/sage", DAY)
    bundle = load_bundle(bundle_path(directory, VARIANT, "random"))
    assert sorted(bundle.states) == [0, 1]
