"""Tasks in their order, and which of them each node has."""

import numpy as np
import polars as pl

from hfkg_assets.classification.labels import index_tasks, labels_of, multi_hot

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
