"""`classification/comparison`: each graph learner against the best baseline on the same test nodes.

Test sets are small: the spread over seeds tells how much training varies, not what another draw of
test nodes would have given. The paired bootstrap (Efron) does: test nodes are drawn with
replacement, and both models are scored on the same draw.
"""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.leaderboard import beside_best_baseline
from hfkg_assets.classification.metrics import PRIMARY_METRIC
from hfkg_assets.classification.scoring import (
    GRAPH_LEARNER,
    PREDICTION_TABLES,
    Judged,
    judged_nodes,
    predicted_tasks,
)
from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

RESAMPLES = 2_000
INTERVAL = (2.5, 97.5)
SEED = 0

_AT_ONCE = 100
"""Draws held in memory."""

COMPARISON = (
    Column("protocol", pl.String(), "time, random or family", required=True),
    Column("variant", pl.String(), "text variant of the learner", required=True),
    Column("learner", pl.String(), "the graph learner", required=True),
    Column("baseline", pl.String(), "the baseline that is best on these test nodes", required=True),
    Column("nodes", pl.Int64(), "test nodes", required=True),
    Column("learner_micro_f1", pl.Float64(), "mean over seeds, fitted thresholds", required=True),
    Column("baseline_micro_f1", pl.Float64(), "mean over seeds, fitted thresholds", required=True),
    Column("difference", pl.Float64(), "learner less baseline", required=True),
    Column("low", pl.Float64(), "lower end of its 95 % interval", required=True),
    Column("high", pl.Float64(), "upper end of its 95 % interval", required=True),
    Column("is_chosen", pl.Boolean(), "the learner that is best on validation", required=True),
)


def paired_bootstrap(
    truth: np.ndarray,
    learner: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """95 % interval of the difference of two models' micro-F1, averaged over seeds.

    Args:
        truth: zeros and ones [nodes, tasks].
        learner: predictions of each seed, bool [nodes, tasks].
        baseline: the same of the other model; it may have another number of seeds.
        resamples: draws of as many nodes as there are.
        seed: of the draws.
    """
    actual = truth > 0.5
    runs = [*learner, *baseline]
    counts = np.column_stack(
        [actual.sum(axis=1)]
        + [(run & actual).sum(axis=1) for run in runs]
        + [run.sum(axis=1) for run in runs]
    )
    # Nodes with equal counts cannot be told apart: how often each kind is drawn is multinomial.
    kinds, members = np.unique(counts, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    differences = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        drawn = generator.multinomial(len(truth), members / len(truth), size=size)
        sums = (drawn @ kinds).astype(np.float64)
        hits, predicted = sums[:, 1 : len(runs) + 1], sums[:, len(runs) + 1 :]
        both = sums[:, :1] + predicted
        f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        differences.append(f1[:, : len(learner)].mean(axis=1) - f1[:, len(learner) :].mean(axis=1))
    low, high = np.percentile(np.concatenate(differences), INTERVAL)
    return float(low), float(high)


def compare(
    scan: Callable[[str], pl.LazyFrame],
    run_scores: pl.DataFrame,
    board: pl.DataFrame,
    judged: Mapping[tuple[str, str], Judged],
) -> pl.DataFrame:
    """Each graph learner against the best baseline of its protocol and text.

    The baseline is the one that is best on the very nodes that are compared, the learner that is
    chosen the one that is best on validation: choosing by test nodes can only help the baseline.

    Args:
        scan: gives a table of predictions by name, such as `classification/gcn`.
        run_scores: `classification/run_scores`.
        board: `classification/leaderboard`.
        judged: from `judged_nodes`.
    """

    def predicted(model: str, variant: str, protocol: str) -> list[np.ndarray]:
        return predicted_tasks(
            scan, run_scores, judged,
            model=model, variant=variant, protocol=protocol,
        )  # fmt: skip

    chosen = chosen_learners(board)
    rows = []
    for pair in beside_best_baseline(board).iter_rows(named=True):
        protocol, truth = pair["protocol"], judged[pair["protocol"], "test"].truth
        low, high = paired_bootstrap(
            truth,
            predicted(pair["model"], pair["variant"], protocol),
            predicted(pair["baseline"], pair["baseline_variant"], protocol),
        )
        rows.append(
            {
                **{name: pair[name] for name in ("protocol", "variant", "baseline")},
                "learner": pair["model"],
                "nodes": len(truth),
                "learner_micro_f1": pair[PRIMARY_METRIC],
                "baseline_micro_f1": pair["baseline_micro_f1"],
                "difference": pair[PRIMARY_METRIC] - pair["baseline_micro_f1"],
                "low": low,
                "high": high,
                "is_chosen": chosen.get((protocol, pair["variant"])) == pair["model"],
            }
        )
    return pl.DataFrame(rows, schema={column.name: column.dtype for column in COMPARISON})


def chosen_learners(board: pl.DataFrame) -> dict[tuple[str, str], str]:
    """Protocol and text → the graph learner whose micro-F1 on validation nodes is best."""
    judged = board.filter(split="validation", role=GRAPH_LEARNER).sort(PRIMARY_METRIC)
    return {
        (protocol, variant): model
        for protocol, variant, model in judged.select("protocol", "variant", "model").iter_rows()
    }


def in_words(comparison: pl.DataFrame) -> pl.DataFrame:
    """The comparison to read: protocol, text, learner, baseline, difference with interval."""
    signed = "{:+.4f}".format
    return comparison.select(
        "protocol",
        pl.col("variant").alias("text"),
        pl.when("is_chosen")
        .then(pl.format("{} (best on validation)", "learner"))
        .otherwise("learner")
        .alias("learner"),
        "baseline",
        pl.col("learner_micro_f1").round(4).alias("learner's micro-F1"),
        pl.col("baseline_micro_f1").round(4).alias("baseline's"),
        pl.col("difference").map_elements(signed, return_dtype=pl.String),
        pl.format(
            "{} to {}",
            *(pl.col(end).map_elements(signed, return_dtype=pl.String) for end in ("low", "high")),
        ).alias("95 % interval"),
        "nodes",
    )


@snapshot_asset(
    "classification/comparison",
    description="Each graph learner against the best baseline: paired bootstrap over test nodes.",
    columns=COMPARISON,
    ins={
        "run_scores": "classification/run_scores",
        "leaderboard": "classification/leaderboard",
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
    },
    deps=[f"classification/{name}" for name in PREDICTION_TABLES],
    code_version=code_version(compare, judged_nodes),
)
def comparison(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    run_scores: pl.LazyFrame,
    leaderboard: pl.LazyFrame,
    labels: pl.LazyFrame,
    split: pl.LazyFrame,
    task_index: pl.LazyFrame,
) -> pl.DataFrame:
    tasks = task_index.select(pl.len()).collect().item()
    table = compare(
        lambda name: warehouse.scan(name, context.partition_key),
        run_scores.collect(),
        leaderboard.collect(),
        judged_nodes(split.collect(), labels.collect(), tasks),
    )
    context.add_output_metadata(
        {"hfkg/comparison": dg.MetadataValue.md(markdown_table(in_words(table)))}
    )
    return table
