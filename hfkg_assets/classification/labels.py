"""`classification/task_index`, `classification/labels`: which tasks each node is labelled with.

A label is a verified assertion that a model or dataset is defined for a task. Nodes are models and
datasets; tasks are the columns, in the order of their ids.
"""

import numpy as np
import polars as pl

from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column

TASK_RELATIONS = {"model": "model_definedFor_task", "dataset": "dataset_definedFor_task"}
"""Node kind → the relation that holds its labels."""

TASK_INDEX = (
    Column("task_id", pl.String(), "the task", required=True),
    Column("index", pl.Int32(), "its column, dense from 0", required=True),
    Column("label", pl.String(), "display label"),
)

NODE_ID = (
    Column("kind", pl.String(), "model or dataset", required=True),
    Column("id", pl.String(), "repository id", required=True),
)

LABELS = (*NODE_ID, Column("labels", pl.List(pl.Int32()), "task columns, ascending", required=True))


def index_tasks(tasks: pl.LazyFrame) -> pl.LazyFrame:
    """All tasks of the snapshot with a dense column number, sorted by id.

    The order depends on the set of tasks only, so that columns agree between assets and dates
    as long as the Hub's tasks do.
    """
    return (
        tasks.sort("id")
        .with_row_index("index")
        .select(pl.col("id").alias("task_id"), pl.col("index").cast(pl.Int32), "label")
    )


def labels_of(assertions: dict[str, pl.LazyFrame], task_index: pl.LazyFrame) -> pl.LazyFrame:
    """The labelled nodes with their task columns.

    Args:
        assertions: verified task relations by node kind (`subject_id`, `object_id`).
        task_index: `classification/task_index`.
    """
    pairs = pl.concat(
        frame.select(pl.lit(kind).alias("kind"), id="subject_id", task_id="object_id")
        for kind, frame in assertions.items()
    )
    return (
        pairs.join(task_index, on="task_id")
        .group_by("kind", "id")
        .agg(pl.col("index").unique().sort().alias("labels"))
        .sort("kind", "id")
    )


def multi_hot(labels: pl.Series, width: int) -> np.ndarray:
    """Lists of columns as a float32 matrix [len(labels), width] of zeros and ones.

    A null list is a row of zeros.
    """
    counts = labels.list.len().fill_null(0).to_numpy()
    matrix = np.zeros((len(labels), width), dtype=np.float32)
    columns = labels.drop_nulls().explode().drop_nulls().to_numpy().astype(np.int64)
    matrix[np.repeat(np.arange(len(labels)), counts), columns] = 1.0
    return matrix


@snapshot_asset(
    "classification/task_index",
    description="The tasks of the snapshot as columns, in the order of their ids.",
    columns=TASK_INDEX,
    ins={"tasks": "entity/task"},
)
def task_index(tasks: pl.LazyFrame) -> pl.LazyFrame:
    return index_tasks(tasks)


@snapshot_asset(
    "classification/labels",
    description="Models and datasets with the tasks they are verified to be defined for.",
    columns=LABELS,
    ins={
        "task_index": "classification/task_index",
        **{kind: f"verified/{relation}" for kind, relation in TASK_RELATIONS.items()},
    },
)
def labels(task_index: pl.LazyFrame, **assertions: pl.LazyFrame) -> pl.LazyFrame:
    return labels_of(assertions, task_index)
