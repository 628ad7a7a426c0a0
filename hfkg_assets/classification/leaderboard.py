"""`classification/leaderboard`: every model and baseline scored alike, beside published figures.

Figures at thresholds that were fitted on validation nodes come first; those at 0.5, at which
earlier systems are measured, stand beside with `_at_half`.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from hfkg_assets import figures
from hfkg_assets.check_results import none_found
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.metrics import PRIMARY_METRIC
from hfkg_assets.classification.plots import draw_bars
from hfkg_assets.classification.published import published_figures
from hfkg_assets.classification.runs import Run, read_runs
from hfkg_assets.classification.scoring import (
    BASELINE,
    GRAPH_LEARNER,
    GROUP,
    LEAK_CEILING,
    PREDICTION_TABLES,
    RUN,
    f1,
    ratio,
)
from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

BOARD = "classification/leaderboard"
HEAD = 10
"""So many labels, the most frequent ones of training, are the head; the others are the tail."""

_F1 = {
    "micro_f1": "F1 of all labels together",
    "macro_f1": "mean F1 of the labels that occur",
    "head_f1": f"mean F1 of the {HEAD} labels most frequent in training",
    "tail_f1": "mean F1 of the other labels",
}
METRICS = {
    **{name: f"{text}, at fitted thresholds" for name, text in _F1.items()},
    "pr_auc": "mean average precision of the labels that occur; knows no threshold",
    **{f"{name}_at_half": f"{text}, at a threshold of 0.5" for name, text in _F1.items()},
}
"""Metric → what it is. Each is a mean over seeds, with `_sd` for the deviation."""

LEADERBOARD = (
    Column("model", pl.String(), "what predicted", required=True),
    Column("variant", pl.String(), "text variant: clean, as_published, or none", required=True),
    Column("protocol", pl.String(), "time, random or family", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    Column("role", pl.String(), f"{GRAPH_LEARNER}, {BASELINE} or published", required=True),
    *(Column(name, pl.Float64(), f"mean over seeds: {text}") for name, text in METRICS.items()),
    *(Column(f"{name}_sd", pl.Float64(), "standard deviation over seeds") for name in METRICS),
    Column("seeds", pl.Int64(), "runs"),
    Column("nodes", pl.Int64(), "nodes judged"),
    Column("labels", pl.Int64(), "labels of these nodes"),
    Column("seconds", pl.Float64(), "wall-clock time of a run's training, mean over seeds"),
    Column("peak_mib", pl.Float64(), "memory that a run took at its peak, greatest over seeds"),
    Column("source", pl.String(), "hfkg, or where a figure was published", required=True),
    Column("has_label_in_text", pl.Boolean(), "what it reads holds the label", required=True),
    Column("comparable", pl.String(), "yes, or why not", required=True),
)

READS_THE_LABEL = "no: reads the label"


def leaderboard_of(run_scores: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """Averages every run's scores over seeds, and adds what is published.

    Args:
        run_scores: `classification/run_scores`.
        costs: from `costs_of`.

    Returns:
        Own rows by protocol (time first), split (test first), without and with the label in the
        text, and falling micro-F1; published ones after them.
    """
    own = (
        _score_each_run(run_scores)
        .group_by(*GROUP, maintain_order=True)
        .agg(
            pl.col("role").first(),
            pl.col(*METRICS).mean(),
            *(pl.col(name).std().alias(f"{name}_sd") for name in METRICS),
            pl.len().alias("seeds"),
            pl.col("nodes", "labels").first(),
        )
        .join(costs, on=["model", "variant", "protocol"], how="left", maintain_order="left")
        .with_columns(
            source=pl.lit("hfkg"),
            has_label_in_text=(pl.col("variant") == "as_published")
            | (pl.col("model") == LEAK_CEILING),
        )
        .with_columns(
            comparable=pl.when("has_label_in_text")
            .then(pl.lit(READS_THE_LABEL))
            .otherwise(pl.lit("yes"))
        )
        .sort(
            "protocol", "split", "has_label_in_text", PRIMARY_METRIC,
            descending=[True, False, False, True], maintain_order=True,
        )
    )  # fmt: skip
    board = pl.concat([own, published_figures()], how="diagonal_relaxed")
    return board.select(pl.col(column.name).cast(column.dtype) for column in LEADERBOARD)


def _score_each_run(run_scores: pl.DataFrame) -> pl.DataFrame:
    """One row per run: its metrics over all labels."""
    present = pl.col("support") > 0
    rank = pl.col("train_support").rank("ordinal", descending=True).over(RUN)
    metrics = {"pr_auc": pl.col("average_precision").mean()}  # null where a label does not occur
    for suffix in ("", "_at_half"):
        hits, predicted = (pl.col(f"{name}{suffix}").sum() for name in ("hits", "predicted"))
        metrics[f"micro_f1{suffix}"] = ratio(2 * hits, predicted + pl.col("support").sum())
        metrics[f"macro_f1{suffix}"] = f1(suffix).filter(present).mean()
        metrics[f"head_f1{suffix}"] = f1(suffix).filter(present & (pl.col("rank") <= HEAD)).mean()
        metrics[f"tail_f1{suffix}"] = f1(suffix).filter(present & (pl.col("rank") > HEAD)).mean()
    return (
        run_scores.with_columns(rank.alias("rank"))
        .group_by(RUN, maintain_order=True)
        .agg(
            pl.col("role", "nodes").first(),
            pl.col("support").sum().alias("labels"),
            **metrics,
        )
    )


def costs_of(runs: Mapping[str, Sequence[Run]]) -> pl.DataFrame:
    """What training cost per model, text and protocol: mean seconds and greatest MiB of a run.

    Args:
        runs: learner → its runs.
    """
    schema = {
        "model": pl.String(), "variant": pl.String(), "protocol": pl.String(),
        "seconds": pl.Float64(), "peak_mib": pl.Float64(),
    }  # fmt: skip
    rows = [
        (name, run.variant, run.protocol, run.seconds, run.peak_mib)
        for name, of_model in runs.items()
        for run in of_model
    ]
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .group_by("model", "variant", "protocol", maintain_order=True)
        .agg(pl.col("seconds").mean(), pl.col("peak_mib").max())
    )


def stored_runs(warehouse: Warehouse, day: str) -> dict[str, list[Run]]:
    """Learner → its runs on a snapshot date."""
    return {
        name: read_runs(warehouse.directory(f"classification/{name}", day)) for name in LEARNERS
    }


def main_text(board: pl.DataFrame) -> str:
    """The text variant that stands for the snapshot: clean, or else the first that was read."""
    variants = board.filter(role=GRAPH_LEARNER)["variant"].unique(maintain_order=True).to_list()
    return "clean" if "clean" in variants or not variants else str(variants[0])


def main_rows(board: pl.DataFrame) -> pl.DataFrame:
    """The leaderboard to read at a glance: test nodes, one text, the ceiling of the leak.

    Of what each source published there is the best.
    """
    tested, is_own = board.filter(split="test"), pl.col("source") == "hfkg"
    is_main = pl.col("variant").is_in([main_text(board), "none"]) | (
        pl.col("model") == LEAK_CEILING
    )
    published = tested.filter(~is_own).group_by("source", maintain_order=True).head(1)
    return in_words(pl.concat([tested.filter(is_own & is_main), published.select(tested.columns)]))


def in_words(board: pl.DataFrame) -> pl.DataFrame:
    """Rows of the leaderboard to read: figures as text, and whether they compare.

    Returns:
        `protocol`, `model`, `text`, `micro-F1` with its deviation, `at 0.5`, `macro-F1`, `PR-AUC`,
        `seeds`, `nodes`, `comparable`.
    """
    is_own = pl.col("source") == "hfkg"
    note = pl.when(is_own).then("comparable").otherwise(pl.format("no: {}", "source"))
    return board.select(
        "protocol",
        "model",
        pl.col("variant").alias("text"),
        figure(PRIMARY_METRIC).alias("micro-F1"),
        figure("micro_f1_at_half", deviation=False).alias("at 0.5"),
        figure("macro_f1", deviation=False).alias("macro-F1"),
        figure("pr_auc", deviation=False).alias("PR-AUC"),
        *(pl.col(name).cast(pl.String).fill_null("") for name in ("seeds", "nodes")),
        note.alias("comparable"),
    )


def figure(metric: str, *, deviation: bool = True) -> pl.Expr:
    """A metric as text, such as `0.4312 ± 0.0042`; empty where there is none."""
    mean, spread = (
        pl.col(name).map_elements("{:.4f}".format, return_dtype=pl.String)
        for name in (metric, f"{metric}_sd")
    )
    text = mean + (pl.lit(" ± ") + spread).fill_null("") if deviation else mean
    return text.fill_null("")


@snapshot_asset(
    BOARD,
    description="All models and baselines scored alike, beside published figures.",
    columns=LEADERBOARD,
    ins={"run_scores": "classification/run_scores"},
    deps=[f"classification/{name}" for name in LEARNERS],
    code_version=code_version(leaderboard_of, costs_of),
)
def leaderboard(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    run_scores: pl.LazyFrame,
) -> pl.DataFrame:
    runs = stored_runs(warehouse, context.partition_key)
    board = leaderboard_of(run_scores.collect(), costs_of(runs))
    everything = in_words(board.filter(split="test"))
    tested = board.filter(split="test", protocol="time", source="hfkg")
    drawn = draw_bars(
        "micro-F1 on test nodes, time split",
        dict(zip(tested["model"] + ", " + tested["variant"], tested[PRIMARY_METRIC], strict=True)),
        deviations=tested[f"{PRIMARY_METRIC}_sd"].to_list(),
        pale=tested["has_label_in_text"].to_list(),
    )
    context.add_output_metadata(
        {
            "hfkg/leaderboard": dg.MetadataValue.md(markdown_table(everything)),
            "hfkg/test_micro_f1": dg.MetadataValue.md(figures.as_markdown(drawn)),
        }
    )
    return board


def beside_best_baseline(board: pl.DataFrame) -> pl.DataFrame:
    """Each graph learner beside the best baseline that read the same text, or none; test nodes.

    Args:
        board: `classification/leaderboard`.

    Returns:
        `protocol`, `variant`, `model`, `micro_f1` of the learner, and `baseline`,
        `baseline_variant`, `baseline_micro_f1`, in the leaderboard's order.
    """
    tested = board.filter(split="test")
    baselines = tested.filter(role=BASELINE).filter(pl.col("model") != LEAK_CEILING)
    return (
        tested.filter(role=GRAPH_LEARNER)
        .select("protocol", "variant", "model", PRIMARY_METRIC)
        .join(
            baselines.select(
                "protocol",
                pl.col("model").alias("baseline"),
                pl.col("variant").alias("baseline_variant"),
                pl.col(PRIMARY_METRIC).alias("baseline_micro_f1"),
            ).sort("baseline_micro_f1", descending=True),
            on="protocol",
            maintain_order="left_right",
        )
        .filter(
            pl.col("baseline_variant").is_in(["none"])
            | (pl.col("baseline_variant") == pl.col("variant"))
        )
        .unique(["protocol", "variant", "model"], keep="first", maintain_order=True)
    )


def behind_best_baseline(board: pl.DataFrame) -> pl.DataFrame:
    """The rows of `beside_best_baseline` without a leak in which the learner is not ahead."""
    return beside_best_baseline(board).filter(
        pl.col("variant") != "as_published",
        pl.col(PRIMARY_METRIC) <= pl.col("baseline_micro_f1"),
    )


def unpredicted(predictions: pl.LazyFrame, split: pl.LazyFrame) -> pl.DataFrame:
    """Runs that do not have exactly one row for every node they are judged on.

    Args:
        predictions: a table of `PREDICTIONS`.
        split: `classification/split`.

    Returns:
        `model`, `variant`, `protocol`, `split`, `seed` with `missing`, `unasked`, `repeated` rows.
    """
    run = ["model", "variant", "protocol", "seed"]
    node = ["protocol", "split", "kind", "id"]
    told = predictions.select(*run, "split", "kind", "id")
    asked = (
        told.select(run)
        .unique()
        .join(split.filter(pl.col("split") != "train"), on="protocol")
        .with_columns(asked=pl.lit(1))
    )
    found = told.group_by(*run, *node[1:]).len("found")
    return (
        asked.join(found, on=[*run, *node[1:]], how="full", coalesce=True)
        .group_by(*run, "split")
        .agg(
            missing=pl.col("found").is_null().sum(),
            unasked=pl.col("asked").is_null().sum(),
            repeated=(pl.col("found") > 1).sum(),
        )
        .filter(pl.sum_horizontal("missing", "unasked", "repeated") > 0)
        .sort(*run, "split")
        .collect()
    )


BEAT, COMPLETE = "graph_learners_beat_baselines", "every_judged_node_is_predicted"

_CHECKS = [
    dg.AssetCheckSpec(
        BEAT,
        asset=key_of(BOARD),
        description=(
            "On test nodes, on text without the label, every graph learner's mean micro-F1 is above"
            " that of the best baseline."
        ),
        partitions_def=SNAPSHOTS,
    ),
    dg.AssetCheckSpec(
        COMPLETE,
        asset=key_of(BOARD),
        description="Every run has one prediction for every validation and test node.",
        partitions_def=SNAPSHOTS,
        additional_deps=[
            key_of(f"classification/{name}") for name in ("split", *PREDICTION_TABLES)
        ],
    ),
]


@dg.multi_asset_check(name="check_leaderboard", specs=_CHECKS, can_subset=True)
def leaderboard_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Whether the graph is worth its while, which warns, and whether all were asked the same."""
    day = context.partition_key
    wanted = {key.name for key in context.selected_asset_check_keys}
    if BEAT in wanted:
        behind = behind_best_baseline(warehouse.scan(BOARD, day).collect())
        yield none_found(key_of(BOARD), BEAT, behind, dg.AssetCheckSeverity.WARN)
    if COMPLETE in wanted:
        split = warehouse.scan("classification/split", day)
        faults = pl.concat(
            unpredicted(warehouse.scan(f"classification/{name}", day), split)
            for name in PREDICTION_TABLES
        )
        yield none_found(key_of(BOARD), COMPLETE, faults)
