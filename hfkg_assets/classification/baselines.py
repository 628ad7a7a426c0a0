"""`classification/baselines`: what can be had without learning.

- `most_frequent`: always the most frequent task of the training nodes.
- `front_matter_regex`: the task that the raw card's front matter names. It reads the answer where
  the answer was copied from, so it is no competitor but the ceiling of what a leak is worth.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.models import PREDICTIONS
from hfkg_assets.snapshots import snapshot_asset

FRONT_MATTER = r"(?s)\A\x{FEFF}?---[ \t]*\r?\n(.*?)\r?\n---"
PIPELINE_TAG = r"(?m)^pipeline_tag:[ \t]*['\"]?([\w-]+)"
TASK_CATEGORIES = r"(?m)^task_categories:((?:[ \t]*\r?\n[ \t]*-[^\r\n]*)+|[ \t]*\[[^\]]*\])"


def most_frequent(labels: np.ndarray) -> np.ndarray:
    """Scores [tasks]: one for the most frequent task of the training labels [n, tasks], else 0."""
    scores = np.zeros(labels.shape[1], dtype=np.float32)
    scores[labels.sum(axis=0).argmax()] = 1.0
    return scores


def front_matter_tasks(cards: pl.Series) -> pl.Series:
    """Words that stand where a raw card's front matter names its tasks: lists of strings."""
    front = pl.col("card").str.extract(FRONT_MATTER)
    named = pl.concat_list(
        pl.concat_list(front.str.extract(PIPELINE_TAG)).list.drop_nulls(),
        front.str.extract(TASK_CATEGORIES).str.extract_all(r"[a-z0-9][a-z0-9-]*").fill_null([]),
    )
    return cards.alias("card").to_frame().select(named.alias("tasks")).to_series()


def baseline_predictions(
    documents: pl.DataFrame, labels: pl.DataFrame, split: pl.DataFrame, task_index: pl.DataFrame
) -> pl.DataFrame:
    """Both baselines' scores on the validation and test nodes of every protocol."""
    width = task_index.height
    nodes = split.join(labels, on=["kind", "id"], maintain_order="left").join(
        documents.select("kind", "id", "as_published"), on=["kind", "id"], maintain_order="left"
    )
    return pl.concat(_predict(nodes, task_index, width)).select(c.name for c in PREDICTIONS)


def _predict(nodes: pl.DataFrame, task_index: pl.DataFrame, width: int) -> Iterator[pl.DataFrame]:
    column = dict(task_index.select("task_id", "index").iter_rows())
    for (_,), group in nodes.group_by("protocol", maintain_order=True):
        train = group.filter(pl.col("split") == "train")
        judged = group.filter(pl.col("split") != "train")
        frequent = most_frequent(multi_hot(train["labels"], width))
        named = front_matter_tasks(judged["as_published"]).list.eval(
            pl.element().replace_strict(column, default=None, return_dtype=pl.Int32).drop_nulls()
        )
        for model, scores, variant in (
            ("most_frequent", np.tile(frequent, (judged.height, 1)), "none"),
            ("front_matter_regex", multi_hot(named, width), "as_published"),
        ):
            yield judged.select(
                "protocol",
                "split",
                "kind",
                "id",
                pl.lit(model).alias("model"),
                pl.lit(variant).alias("variant"),
                pl.lit(0, dtype=pl.Int64).alias("seed"),
                pl.Series("scores", scores).arr.to_list(),
            )


@snapshot_asset(
    "classification/baselines",
    description="Predictions without learning: most frequent task, and the front matter's own.",
    columns=PREDICTIONS,
    ins={
        "documents": "feature/document",
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
    },
)
def baselines(
    documents: pl.LazyFrame, labels: pl.LazyFrame, split: pl.LazyFrame, task_index: pl.LazyFrame
) -> pl.DataFrame:
    return baseline_predictions(
        documents.collect(), labels.collect(), split.collect(), task_index.collect()
    )
