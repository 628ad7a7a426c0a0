"""`classification/run_scores`, `classification/label_scores`: every run's predictions, scored.

Belongs here: from stored predictions to counts per run and label. Does not: what the leaderboard
makes of them (`leaderboard.py`), the arithmetic (`metrics.py`).

Thresholds are fitted on a run's own validation rows and applied to all its rows. Everything that is
told of F1 and average precision is derived from `run_scores`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.learner_names import BASELINES, LEARNERS
from hfkg_assets.classification.metrics import (
    THRESHOLD,
    average_precision,
    count,
    tuned_thresholds,
)
from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column

JUDGED = ("validation", "test")

PREDICTION_TABLES = ("baselines", *LEARNERS)
"""The assets of the group `classification` that hold predictions."""

GRAPH_LEARNER, BASELINE = "graph learner", "baseline"

LEAK_CEILING = "front_matter_regex"
"""The baseline that copies the label from the text: what a leak is worth, nothing to beat."""

GROUP = ("model", "variant", "protocol", "split")
RUN = (*GROUP, "seed")

_GROUP_COLUMNS = (
    Column("model", pl.String(), "what predicted", required=True),
    Column("variant", pl.String(), "text variant: clean, as_published, or none", required=True),
    Column("protocol", pl.String(), "time, random or family", required=True),
    Column("split", pl.String(), "validation or test", required=True),
)

RUN_SCORES = (
    *_GROUP_COLUMNS,
    Column("seed", pl.Int64(), "seed of the run", required=True),
    Column("role", pl.String(), f"{GRAPH_LEARNER} or {BASELINE}", required=True),
    Column("asset", pl.String(), "the asset that holds its predictions", required=True),
    Column("task_id", pl.String(), "the task", required=True),
    Column("nodes", pl.Int64(), "nodes judged", required=True),
    Column("train_support", pl.Int64(), "training nodes with this label", required=True),
    Column("support", pl.Int64(), "judged nodes with this label", required=True),
    Column("threshold", pl.Float64(), "fitted on the run's validation nodes", required=True),
    Column("predicted", pl.Int64(), "nodes scored above the threshold", required=True),
    Column("hits", pl.Int64(), "those of them that have the label", required=True),
    Column("predicted_at_half", pl.Int64(), "nodes scored above 0.5", required=True),
    Column("hits_at_half", pl.Int64(), "those of them that have the label", required=True),
    Column("average_precision", pl.Float64(), "null where no judged node has the label"),
)

_PER_LABEL = (
    "task_id", "train_support", "support", "threshold", "predicted", "hits", "predicted_at_half",
    "hits_at_half", "average_precision",
)  # fmt: skip

LABEL_SCORES = (
    *_GROUP_COLUMNS,
    Column("task_id", pl.String(), "the task", required=True),
    Column("train_support", pl.Int64(), "training nodes with this label", required=True),
    Column("validation_support", pl.Int64(), "validation nodes with this label"),
    Column("test_support", pl.Int64(), "test nodes with this label"),
    Column("seeds", pl.Int64(), "runs", required=True),
    Column("threshold", pl.Float64(), "mean over seeds", required=True),
    Column("precision", pl.Float64(), "mean over seeds, at the fitted threshold", required=True),
    Column("recall", pl.Float64(), "mean over seeds; null where no node has the label"),
    Column("f1", pl.Float64(), "mean over seeds", required=True),
    Column("f1_sd", pl.Float64(), "standard deviation over seeds"),
    Column("average_precision", pl.Float64(), "mean over seeds"),
)


@dataclass(frozen=True)
class Judged:
    """The nodes of one split of one protocol, and what is true of them.

    Attributes:
        nodes: `kind`, `id`.
        truth: zeros and ones, float32 [nodes, tasks].
    """

    nodes: pl.DataFrame
    truth: np.ndarray

    def scores(self, run: pl.DataFrame) -> np.ndarray:
        """A run's scores in the order of these nodes, float32 [nodes, tasks].

        A node that the run has no row for counts as one for which it predicts nothing.

        Raises:
            polars.exceptions.ComputeError: the run has two rows for a node.
        """
        rows = self.nodes.join(
            run.select("kind", "id", "scores"),
            on=["kind", "id"],
            how="left",
            validate="1:1",
            maintain_order="left",
        )["scores"]
        scores = np.zeros(self.truth.shape, dtype=np.float32)
        told = rows.drop_nulls().list.to_array(self.truth.shape[1])
        scores[rows.is_not_null().to_numpy()] = told.to_numpy()
        return scores


def judged_nodes(
    split: pl.DataFrame, labels: pl.DataFrame, tasks: int
) -> dict[tuple[str, str], Judged]:
    """Protocol and split → its nodes with their labels; training nodes too.

    Args:
        split: `classification/split`.
        labels: `classification/labels`.
        tasks: number of tasks.
    """
    nodes = split.join(labels, on=["kind", "id"], how="left", maintain_order="left")
    return {
        (str(protocol), str(name)): Judged(
            part.select("kind", "id"), multi_hot(part["labels"], tasks)
        )
        for (protocol, name), part in nodes.group_by("protocol", "split", maintain_order=True)
    }


def score_runs(
    predictions: Mapping[str, pl.LazyFrame],
    judged: Mapping[tuple[str, str], Judged],
    task_ids: Sequence[str],
) -> pl.DataFrame:
    """Counts per run and label, from stored scores: rows of `RUN_SCORES`.

    Only the runs of one model on one protocol and text are in memory at a time.

    Args:
        predictions: tables of `PREDICTIONS` by name, of those in `PREDICTION_TABLES`.
        judged: from `judged_nodes`.
        task_ids: tasks in the order of their columns.
    """
    rows = [
        row
        for name, frame in predictions.items()
        for runs in _same_setting(frame)
        for row in _score_setting(runs, name, judged, task_ids)
    ]
    # A row of lists per run until here: making thousands of small tables takes longer than scoring.
    schema = {
        column.name: pl.List(column.dtype) if column.name in _PER_LABEL else column.dtype
        for column in RUN_SCORES
    }
    table = pl.DataFrame(rows, schema=schema).explode(_PER_LABEL)
    return table.with_columns(pl.col("average_precision").fill_nan(None)).sort(
        RUN, maintain_order=True
    )


def role_of(model: str, asset: str) -> str:
    """Whether a model of a prediction table learns from the graph or is what that must beat.

    A learner's table may hold models that add the graph to it: by another name, they count as such.
    """
    return GRAPH_LEARNER if asset in LEARNERS and model not in BASELINES else BASELINE


def _same_setting(predictions: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    setting = ("model", "variant", "protocol")
    for values in predictions.select(setting).unique().sort(setting).collect().iter_rows():
        wanted = pl.all_horizontal(
            pl.col(name) == value for name, value in zip(setting, values, strict=True)
        )
        yield predictions.filter(wanted).collect()


def _score_setting(
    runs: pl.DataFrame,
    asset: str,
    judged: Mapping[tuple[str, str], Judged],
    task_ids: Sequence[str],
) -> Iterator[dict[str, object]]:
    model, variant, protocol = (runs[name][0] for name in ("model", "variant", "protocol"))
    train = judged.get((protocol, "train"))
    train_support = train.truth.sum(axis=0) if train else np.zeros(len(task_ids))
    parts = {name: judged[protocol, name] for name in JUDGED if (protocol, name) in judged}
    for (seed,), run in runs.group_by("seed", maintain_order=True):
        rows = run.partition_by("split", as_dict=True)
        scores = {name: part.scores(rows.get((name,), run.clear())) for name, part in parts.items()}
        thresholds = np.full(len(task_ids), THRESHOLD)
        if "validation" in parts:
            thresholds = tuned_thresholds(parts["validation"].truth, scores["validation"])
        for name, part in parts.items():
            tuned = count(part.truth, scores[name], thresholds)
            half = count(part.truth, scores[name], THRESHOLD)
            yield {
                "model": model,
                "variant": variant,
                "protocol": protocol,
                "split": name,
                "seed": seed,
                "role": role_of(model, asset),
                "asset": f"classification/{asset}",
                "task_id": list(task_ids),
                "nodes": part.nodes.height,
                "train_support": train_support.astype(np.int64).tolist(),
                "support": tuned.support.tolist(),
                "threshold": thresholds.tolist(),
                "predicted": tuned.predicted.tolist(),
                "hits": tuned.hits.tolist(),
                "predicted_at_half": half.predicted.tolist(),
                "hits_at_half": half.hits.tolist(),
                "average_precision": average_precision(part.truth, scores[name]).tolist(),
            }


def f1(suffix: str = "") -> pl.Expr:
    """F1 of a row of `RUN_SCORES`, at the fitted thresholds or with `_at_half`."""
    return ratio(2 * pl.col(f"hits{suffix}"), pl.col(f"predicted{suffix}") + pl.col("support"))


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """The quotient, 0 where the divisor is."""
    return pl.when(whole > 0).then(part / whole).otherwise(0.0)


def average_over_seeds(run_scores: pl.DataFrame) -> pl.DataFrame:
    """Figures per label, averaged over seeds: rows of `LABEL_SCORES`."""
    supports = {
        name: pl.col("support").filter(pl.col("split") == name).first().over("protocol", "task_id")
        for name in JUDGED
    }
    hits, support = pl.col("hits"), pl.col("support")
    return (
        run_scores.with_columns(
            supports["validation"].alias("validation_support"),
            supports["test"].alias("test_support"),
            ratio(hits, pl.col("predicted")).alias("precision"),
            pl.when(support > 0).then(hits / support).alias("recall"),
            f1().alias("f1"),
        )
        .group_by(*GROUP, "task_id", maintain_order=True)
        .agg(
            pl.col("train_support", "validation_support", "test_support").first(),
            pl.len().cast(pl.Int64).alias("seeds"),
            pl.col("threshold", "precision", "recall").mean(),
            pl.col("f1").mean(),
            pl.col("f1").std().alias("f1_sd"),
            pl.col("average_precision").mean(),
        )
        .select(column.name for column in LABEL_SCORES)
    )


def predicted_tasks(
    scan: Callable[[str], pl.LazyFrame],
    run_scores: pl.DataFrame,
    judged: Mapping[tuple[str, str], Judged],
    *,
    model: str,
    variant: str,
    protocol: str,
    split: str = "test",
) -> list[np.ndarray]:
    """What each run of a model predicts at its own thresholds: bool [nodes, tasks] per seed.

    Args:
        scan: gives a table of predictions by name, such as `classification/gcn`.
        run_scores: `classification/run_scores`.
        judged: from `judged_nodes`; the order of nodes.
        model, variant, protocol, split: which runs.
    """
    wanted = (
        (pl.col("model") == model)
        & (pl.col("variant") == variant)
        & (pl.col("protocol") == protocol)
        & (pl.col("split") == split)
    )
    scored = run_scores.filter(wanted)
    predictions = scan(scored["asset"][0]).filter(wanted).collect()
    return [
        judged[protocol, split].scores(predictions.filter(pl.col("seed") == seed))
        > run["threshold"].to_numpy()
        for (seed,), run in scored.group_by("seed", maintain_order=True)
    ]


@snapshot_asset(
    "classification/run_scores",
    description="Every run scored per label: thresholds fitted on validation, hits, precision.",
    columns=RUN_SCORES,
    ins={
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
        **{name: f"classification/{name}" for name in PREDICTION_TABLES},
    },
    code_version=code_version(score_runs, judged_nodes),
)
def run_scores(
    labels: pl.LazyFrame,
    split: pl.LazyFrame,
    task_index: pl.LazyFrame,
    **predictions: pl.LazyFrame,
) -> pl.DataFrame:
    task_ids = task_index.sort("index").collect()["task_id"].to_list()
    judged = judged_nodes(split.collect(), labels.collect(), len(task_ids))
    return score_runs(predictions, judged, task_ids)


@snapshot_asset(
    "classification/label_scores",
    description="Precision, recall, F1 and average precision per label, with its support.",
    columns=LABEL_SCORES,
    ins={"run_scores": "classification/run_scores"},
    code_version=code_version(average_over_seeds),
)
def label_scores(run_scores: pl.LazyFrame) -> pl.DataFrame:
    return average_over_seeds(run_scores.collect())
