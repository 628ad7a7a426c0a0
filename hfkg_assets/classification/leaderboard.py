"""`classification/leaderboard`: every model and baseline scored alike, beside published figures."""

from collections.abc import Iterator, Mapping

import dagster as dg
import polars as pl

from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.metrics import PRIMARY_METRIC, multilabel_metrics
from hfkg_assets.classification.models import NETWORKS
from hfkg_assets.classification.plots import bars
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column

METRICS = ("micro_f1", "macro_f1", "pr_auc")

LEADERBOARD = (
    Column("model", pl.String(), "what predicted", required=True),
    Column("variant", pl.String(), "text variant: clean, as_published, or none", required=True),
    Column("protocol", pl.String(), "time, random or family", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    *(Column(metric, pl.Float64(), f"mean {metric} over seeds") for metric in METRICS),
    *(Column(f"{metric}_sd", pl.Float64(), "standard deviation over seeds") for metric in METRICS),
    Column("seeds", pl.Int64(), "runs"),
    Column("nodes", pl.Int64(), "nodes judged"),
    Column("labels", pl.Int64(), "labels of these nodes"),
    Column("source", pl.String(), "hfkg, or where a figure was published", required=True),
    Column("comparable", pl.String(), "yes, or why not", required=True),
)

OTHER_GRAPH = "no: other crawl, labels in the input text"
READS_THE_LABEL = "no: reads the label, the ceiling of a leak"

PUBLISHED = (
    ("RevGCN, BGE fine-tuned", "HuggingBench, arXiv 2505.17507", 0.8770, None, None),
    ("GraphSAGE, BGE", "HuggingBench, arXiv 2505.17507", 0.8199, None, None),
    ("RevGCN, BERT fine-tuned", "HuggingBench, arXiv 2505.17507", 0.8851, None, None),
    ("Transformer, BGE and BM25, focal", "HuggingfaceKG-retriever", 0.7174, 0.2608, 0.6791),
    ("GraphSAGE, BGE and BM25, BCE", "HuggingfaceKG-retriever", 0.5834, 0.2026, 0.5499),
    ("GCN, BGE and BM25, BCE", "HuggingfaceKG-retriever", 0.4832, 0.1665, 0.3954),
)
"""Published test figures: model, source, micro-F1, macro-F1, PR-AUC."""


def leaderboard_of(predictions: pl.DataFrame, labels: pl.DataFrame, tasks: int) -> pl.DataFrame:
    """Scores every run from its stored predictions, and averages over seeds.

    Args:
        predictions: rows of `PREDICTIONS` of all models.
        labels: `classification/labels`.
        tasks: number of tasks.

    Returns:
        Own rows by protocol, split and falling micro-F1; published ones after them.
    """
    runs = pl.DataFrame(list(_score_runs(predictions, labels, tasks)))
    group = ["model", "variant", "protocol", "split"]
    own = (
        runs.group_by(group, maintain_order=True)
        .agg(
            *(pl.col(metric).mean() for metric in METRICS),
            *(pl.col(metric).std().alias(f"{metric}_sd") for metric in METRICS),
            pl.len().alias("seeds"),
            pl.col("nodes", "labels").first(),
        )
        .with_columns(
            source=pl.lit("hfkg"),
            comparable=pl.when(model="front_matter_regex")
            .then(pl.lit(READS_THE_LABEL))
            .otherwise(pl.lit("yes")),
        )
        .sort("protocol", "split", PRIMARY_METRIC, descending=[True, False, True])
    )
    published = pl.DataFrame(
        PUBLISHED, schema=["model", "source", *METRICS], orient="row"
    ).with_columns(
        variant=pl.lit("as_published"),
        protocol=pl.lit("time"),
        split=pl.lit("test"),
        comparable=pl.lit(OTHER_GRAPH),
    )
    board = pl.concat([own, published], how="diagonal_relaxed")
    return board.select(pl.col(column.name).cast(column.dtype) for column in LEADERBOARD)


def _score_runs(
    predictions: pl.DataFrame, labels: pl.DataFrame, tasks: int
) -> Iterator[Mapping[str, object]]:
    joined = predictions.join(labels, on=["kind", "id"], how="left", maintain_order="left")
    keys = ["model", "variant", "protocol", "split", "seed"]
    for values, run in joined.group_by(keys, maintain_order=True):
        truth = multi_hot(run["labels"], tasks)
        scores = run["scores"].list.to_array(tasks).to_numpy()
        yield {
            **dict(zip(keys, values, strict=True)),
            **multilabel_metrics(truth, scores),
            "nodes": run.height,
            "labels": int(truth.sum()),
        }


def as_markdown(board: pl.DataFrame) -> str:
    """The leaderboard as a Markdown table."""
    lines = [
        "| model | text | protocol | split | micro-F1 | macro-F1 | PR-AUC | nodes | comparable |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in board.iter_rows(named=True):
        figures = " | ".join(_figure(row[m], row[f"{m}_sd"]) for m in METRICS)
        lines.append(
            f"| {row['model']} | {row['variant']} | {row['protocol']} | {row['split']} | {figures} "
            f"| {row['nodes'] or ''} | {row['comparable']} |"
        )
    return "\n".join(lines)


def _figure(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.4f}" + (f" ± {deviation:.4f}" if deviation is not None else "")


@snapshot_asset(
    "classification/leaderboard",
    description="All models and baselines scored alike, beside published figures.",
    columns=LEADERBOARD,
    ins={
        "labels": "classification/labels",
        "task_index": "classification/task_index",
        "baselines": "classification/baselines",
        **{name: f"classification/{name}" for name in NETWORKS},
    },
)
def leaderboard(
    context: dg.AssetExecutionContext,
    labels: pl.LazyFrame,
    task_index: pl.LazyFrame,
    **predictions: pl.LazyFrame,
) -> pl.DataFrame:
    board = leaderboard_of(
        pl.concat(predictions.values()).collect(),
        labels.collect(),
        task_index.select(pl.len()).collect().item(),
    )
    tested = board.filter(
        pl.col("split") == "test", pl.col("protocol") == "time", pl.col("source") == "hfkg"
    )
    context.add_output_metadata(
        {
            "hfkg/leaderboard": dg.MetadataValue.md(as_markdown(board)),
            "hfkg/test_micro_f1": dg.MetadataValue.md(
                bars(
                    "test micro-F1, time split", dict(tested.select("model", PRIMARY_METRIC).rows())
                )
            ),
        }
    )
    return board
