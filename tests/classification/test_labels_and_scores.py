"""Labels, baselines, metrics and the leaderboard."""

import numpy as np
import polars as pl
import pytest

from hfkg_assets.classification.baselines import (
    baseline_predictions,
    front_matter_tasks,
    most_frequent,
)
from hfkg_assets.classification.labels import index_tasks, labels_of, multi_hot
from hfkg_assets.classification.leaderboard import LEADERBOARD, as_markdown, leaderboard_of
from hfkg_assets.classification.metrics import multilabel_metrics
from hfkg_assets.classification.models import PREDICTIONS
from hfkg_resources.table_schema import schema_of

TASKS = pl.LazyFrame({"id": ["translation", "fill-mask"], "label": ["Translation", "Fill-Mask"]})
INDEX = index_tasks(TASKS)


def test_tasks_are_numbered_in_the_order_of_their_ids():
    assert INDEX.collect().rows() == [
        ("fill-mask", 0, "Fill-Mask"),
        ("translation", 1, "Translation"),
    ]


def test_labels_are_the_verified_tasks_each_once_and_ascending():
    assertions = {
        "model": pl.LazyFrame(
            {
                "subject_id": ["a/m", "a/m", "a/m"],
                "object_id": ["translation", "fill-mask", "translation"],
            }
        ),
        "dataset": pl.LazyFrame({"subject_id": ["a/m"], "object_id": ["translation"]}),
    }
    rows = labels_of(assertions, INDEX).collect().rows()
    assert rows == [("dataset", "a/m", [1]), ("model", "a/m", [0, 1])]


def test_multi_hot_puts_a_one_per_label_and_a_null_is_all_zero():
    labels = pl.Series([[0, 2], None, [1], []], dtype=pl.List(pl.Int32))
    np.testing.assert_array_equal(
        multi_hot(labels, 3), [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    )


def test_most_frequent_scores_the_most_frequent_training_label_and_no_other():
    labels = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0]])
    assert most_frequent(labels).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("card", "tasks"),
    [
        ("---\npipeline_tag: text-generation\n---\ntext", ["text-generation"]),
        ("\ufeff---\r\npipeline_tag: 'fill-mask'\r\n---\r\n", ["fill-mask"]),
        (
            "---\ntask_categories:\n- translation\n- fill-mask\nlicense: mit\n---\n",
            ["translation", "fill-mask"],
        ),
        ("---\ntask_categories:\n  - translation\n---\n", ["translation"]),
        ("---\ntask_categories: [translation, 'fill-mask']\n---\n", ["translation", "fill-mask"]),
        ("pipeline_tag: text-generation", []),
        ("# Title\n---\npipeline_tag: fill-mask\n---\n", []),
        ("---\nlicense: mit\n---\npipeline_tag: fill-mask", []),
        (None, []),
    ],
)  # fmt: skip
def test_the_regex_baseline_finds_what_front_matter_names_and_only_that(card, tasks):
    assert front_matter_tasks(pl.Series([card], dtype=pl.String)).to_list() == [tasks]


def nodes(*rows):
    return pl.DataFrame(rows, schema=["id", "split", "labels", "card"], orient="row").with_columns(
        kind=pl.lit("model"), protocol=pl.lit("time")
    )


NODES = nodes(
    ("a", "train", [1], ""),
    ("b", "train", [1], ""),
    ("c", "train", [0], ""),
    ("d", "validation", [1], "---\npipeline_tag: fill-mask\n---"),
    ("e", "test", [0], "---\npipeline_tag: fill-mask\n---"),
    ("f", "test", [1], ""),
).with_columns(pl.col("labels").cast(pl.List(pl.Int32)))
LABELS = NODES.select("kind", "id", "labels")


def predictions():
    return baseline_predictions(
        NODES.select("kind", "id", as_published="card"),
        LABELS,
        NODES.select("kind", "id", "protocol", "split"),
        INDEX.collect(),
    )


def test_baselines_predict_validation_and_test_nodes_only():
    table = predictions()
    assert table.schema == schema_of(PREDICTIONS)
    assert set(table["id"]) == {"d", "e", "f"}
    scores = {(row["model"], row["id"]): row["scores"] for row in table.iter_rows(named=True)}
    assert scores["most_frequent", "e"] == [0, 1]
    assert scores["front_matter_regex", "e"] == [1, 0]
    assert scores["front_matter_regex", "f"] == [0, 0]


def test_metrics_are_those_of_the_definition():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.1, 0.9], [0.1, 0.6, 0.0], [0.1, 0.2, 0.0]])
    found = multilabel_metrics(truth, scores)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["pr_auc"] == pytest.approx(1.0)


def test_no_rows_have_no_score():
    with pytest.raises(ValueError, match="no rows"):
        multilabel_metrics(np.zeros((0, 2)), np.zeros((0, 2)))


def test_the_leaderboard_is_computed_from_stored_scores_and_averages_over_seeds():
    good = predictions().filter(model="most_frequent", split="test")
    scores = pl.Series([[1.0, 0.0], [0.0, 1.0]], dtype=pl.List(pl.Float32))
    runs = pl.concat(
        [
            good.with_columns(model=pl.lit("gcn"), seed=pl.lit(0, dtype=pl.Int64), scores=scores),
            good.with_columns(model=pl.lit("gcn"), seed=pl.lit(1, dtype=pl.Int64)),
        ]
    )
    board = leaderboard_of(pl.concat([predictions(), runs]), LABELS, tasks=2)
    assert board.schema == schema_of(LEADERBOARD)
    row = board.row(by_predicate=(pl.col("model") == "gcn"), named=True)
    assert row["micro_f1"] == pytest.approx((1.0 + 0.5) / 2)
    assert row["micro_f1_sd"] == pytest.approx(np.std([1.0, 0.5], ddof=1))
    assert (row["seeds"], row["nodes"], row["labels"]) == (2, 2, 2)
    frequent = board.filter(model="most_frequent", split="test")
    assert frequent["micro_f1"].to_list() == [pytest.approx(0.5)]


def test_published_figures_stand_beside_and_say_why_they_do_not_compare():
    board = leaderboard_of(predictions(), LABELS, tasks=2)
    published = board.filter(pl.col("source") != "hfkg")
    assert published["micro_f1"].max() == 0.8851
    assert published["comparable"].str.starts_with("no").all()
    assert "0.7174" in as_markdown(board)
