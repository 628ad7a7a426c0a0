"""`classification/report`: the leaderboard and what stands behind it, as one HTML page.

Belongs here: what the page says, from the stored tables. Does not: how a page is made
(`static_page.py`), how anything is scored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.comparison import chosen_learners, in_words
from hfkg_assets.classification.leaderboard import HEAD, figure, main_text, stored_runs
from hfkg_assets.classification.metrics import PRIMARY_METRIC
from hfkg_assets.classification.plots import draw_bars, draw_confusion, draw_learning_curves
from hfkg_assets.classification.published import NOTES
from hfkg_assets.classification.runs import Run
from hfkg_assets.classification.scoring import (
    GRAPH_LEARNER,
    PREDICTION_TABLES,
    judged_nodes,
    predicted_tasks,
)
from hfkg_assets.code_versions import code_version
from hfkg_assets.figures import as_data_uri
from hfkg_assets.snapshots import ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_assets.static_page import Html, details, heading, image, items, page, paragraph, table
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.warehouse import Warehouse, sha256_of

REPORT = "classification/report"
FILE = "report.html"

COMMONEST = 10
"""Labels shown in the confusion."""

PROTOCOLS = {
    "time": "Split by time: trained on what was there first, tested on what came last.",
    "random": "Split at random: test nodes have near relatives among the training nodes.",
    "family": "Split by family: no test node has a relative among the training nodes.",
}


@dataclass(frozen=True)
class Results:
    """The stored results of one snapshot date.

    Attributes:
        day: the snapshot date.
        board: `classification/leaderboard`.
        label_scores: `classification/label_scores`.
        comparison: `classification/comparison`.
        runs: learner → its training runs.
        confusions: protocol → the confusion of the learner that is best on validation.
    """

    day: str
    board: pl.DataFrame
    label_scores: pl.DataFrame
    comparison: pl.DataFrame
    runs: Mapping[str, Sequence[Run]]
    confusions: Mapping[str, pl.DataFrame]

    @property
    def own(self) -> pl.DataFrame:
        """The leaderboard's rows of this snapshot, on test nodes."""
        return self.board.filter(source="hfkg", split="test")

    @property
    def protocols(self) -> list[str]:
        """The protocols that were judged, time first."""
        found = set(self.own["protocol"])
        return [name for name in PROTOCOLS if name in found]

    @property
    def text(self) -> str:
        """The variant that figures per label are of: clean, where there is one."""
        return main_text(self.board)

    def chosen(self, protocol: str) -> str | None:
        """The graph learner that is best on a protocol's validation nodes."""
        return chosen_learners(self.board).get((protocol, self.text))


def confusion_of(
    truth: np.ndarray, predicted: Sequence[np.ndarray], task_ids: Sequence[str]
) -> pl.DataFrame:
    """What is predicted on the nodes of the commonest labels, averaged over runs.

    A node may have several labels, and so may a prediction. Row i is over the nodes that have label
    i. The column of the same label holds the share on which it is predicted: its recall. The column
    of another label j holds the share on which j is predicted although the node does not have it:
    a second label rightly found is no confusion. `another` is the share with a wrong label outside
    the columns, `nothing` the share on which nothing is predicted. Rows need not add up to one.

    Args:
        truth: zeros and ones [nodes, tasks].
        predicted: predictions of each run, bool [nodes, tasks].
        task_ids: tasks in the order of the columns.

    Returns:
        `label`, then a column per label, `another`, `nothing`; labels by falling support.
    """
    actual = truth > 0.5
    support = actual.sum(axis=0)
    order = np.argsort(-support, kind="stable")[:COMMONEST]
    shown = order[support[order] > 0]
    others = np.setdiff1d(np.arange(truth.shape[1]), shown)
    rows = actual[:, shown].T.astype(np.float64) / support[shown, None]
    shares = np.zeros((len(shown), len(shown) + 2))
    for run in predicted:
        wrong = run & ~actual
        right_or_wrong = rows @ wrong[:, shown]
        np.fill_diagonal(right_or_wrong, np.diag(rows @ run[:, shown]))
        shares[:, :-2] += right_or_wrong
        shares[:, -2] += rows @ wrong[:, others].any(axis=1)
        shares[:, -1] += rows @ ~run.any(axis=1)
    shares /= max(1, len(predicted))
    names = [task_ids[column] for column in shown]
    return pl.DataFrame(
        {"label": names, **dict(zip([*names, "another", "nothing"], shares.T, strict=True))},
        schema={"label": pl.String, **dict.fromkeys([*names, "another", "nothing"], pl.Float64)},
    )


Figure = tuple[Any, str]
"""A drawing and its caption."""


def figures_of(results: Results) -> dict[str, Figure]:
    """The page's figures by name. Names begin with the protocol."""
    drawn: dict[str, Figure] = {}
    for protocol in results.protocols:
        tested = results.own.filter(protocol=protocol)
        drawn[f"{protocol}_micro_f1"] = (
            draw_bars(
                "micro-F1 on test nodes",
                dict(zip(_with_text(tested), tested[PRIMARY_METRIC], strict=True)),
                deviations=tested[f"{PRIMARY_METRIC}_sd"].to_list(),
                pale=tested["has_label_in_text"].to_list(),
            ),
            "Micro-F1 on test nodes with the standard deviation over seeds. Pale bars read the"
            " label.",
        )
        drawn.update(_training_figures(results, protocol))
        if (learner := results.chosen(protocol)) is not None:
            drawn.update(_label_figures(results, protocol, learner))
    return drawn


def _training_figures(results: Results, protocol: str) -> Iterator[tuple[str, Figure]]:
    for variant in results.own.filter(role=GRAPH_LEARNER)["variant"].unique().sort():
        histories = {
            name: [
                (run.losses, run.scores)
                for run in runs
                if (run.protocol, run.variant) == (protocol, variant)
            ]
            for name, runs in results.runs.items()
        }
        if any(histories.values()):
            yield (
                f"{protocol}_{variant}_curves",
                (
                    draw_learning_curves({name: runs for name, runs in histories.items() if runs}),
                    "Training loss, and the score on validation nodes that chooses the epoch;"
                    f" text: {variant}; a line per seed.",
                ),
            )


def _label_figures(results: Results, protocol: str, learner: str) -> Iterator[tuple[str, Figure]]:
    labels = _labels(results, protocol, learner)
    pair = results.comparison.filter(protocol=protocol, variant=results.text, learner=learner)
    baseline = str(pair["baseline"][0]) if len(pair) else "no baseline"
    of_baseline = dict(
        results.label_scores.filter(
            pl.col("variant").is_in([results.text, "none"]),
            protocol=protocol,
            split="test",
            model=baseline,
        )
        .select("task_id", "f1")
        .iter_rows()
    )
    names = labels["task_id"] + " (" + labels["test_support"].cast(pl.String) + ")"
    yield (
        f"{protocol}_labels",
        (
            draw_bars(
                f"F1 per label (test nodes), {learner}",
                dict(zip(names, labels["f1"], strict=True)),
                deviations=labels["f1_sd"].to_list(),
                marks=[of_baseline.get(task) for task in labels["task_id"]],
                mark=baseline,
            ),
            f"F1 per label of {learner}, with the label's number of test nodes in brackets; ticks:"
            f" {baseline}.",
        ),
    )
    if protocol in results.confusions:
        yield (
            f"{protocol}_confusion",
            (
                draw_confusion(results.confusions[protocol]),
                f"What {learner} predicts on the test nodes of the commonest labels.",
            ),
        )


def _labels(results: Results, protocol: str, model: str) -> pl.DataFrame:
    return results.label_scores.filter(
        pl.col("test_support") > 0,
        protocol=protocol,
        split="test",
        model=model,
        variant=results.text,
    ).sort("test_support", descending=True, maintain_order=True)


def _with_text(board: pl.DataFrame) -> pl.Series:
    return board["model"] + ", " + board["variant"]


def leak_worth(board: pl.DataFrame) -> pl.DataFrame:
    """What reading the label gives each model: micro-F1 on test nodes without and with it."""
    tested = board.filter(source="hfkg", split="test")
    clean, leaky = (
        tested.filter(variant=variant).select(
            "protocol", "model", pl.col(PRIMARY_METRIC).alias(variant)
        )
        for variant in ("clean", "as_published")
    )
    return clean.join(leaky, on=["protocol", "model"], maintain_order="left").select(
        "protocol",
        "model",
        "clean",
        "as_published",
        (pl.col("as_published") - pl.col("clean")).alias("difference"),
    )


def report_page(results: Results, figures: Mapping[str, Html]) -> str:
    """The page.

    Args:
        results: what was stored.
        figures: from `figures_of`, as HTML.
    """
    sections: dict[str, list[Html]] = {}
    for protocol in results.protocols:
        sections[f"The {protocol} split"] = list(_protocol(results, protocol, figures))
    sections["What the leak is worth"] = list(_leak(results))
    sections["What training costs"] = list(_costs(results))
    sections["Published figures"] = list(_published(results))
    sections["How to read this page"] = list(_how_to_read())
    introduction = [
        paragraph(
            "Which tasks a model or dataset is for, predicted from its text and its place in the"
            " graph. Every model and baseline is scored alike, from stored predictions."
        ),
        *_verdicts(results),
    ]
    return page(f"Task classification, snapshot {results.day}", introduction, sections)


def _verdicts(results: Results) -> Iterator[Html]:
    chosen = results.comparison.filter(pl.col("is_chosen"), variant=results.text)
    lines = []
    for row in chosen.iter_rows(named=True):
        verdict = (
            "is ahead of" if row["low"] > 0
            else "is behind" if row["high"] < 0
            else "cannot be told apart from"
        )  # fmt: skip
        lines.append(
            f"{row['protocol']}: {row['learner']} ({row['learner_micro_f1']:.4f}) {verdict}"
            f" {row['baseline']} ({row['baseline_micro_f1']:.4f}), the best baseline: difference"
            f" {row['difference']:+.4f}, 95 % interval {row['low']:+.4f} to {row['high']:+.4f},"
            f" {row['nodes']:,} test nodes."
        )
    if lines:
        yield paragraph("The best graph learner (chosen on validation nodes) against baselines:")
        yield items(lines)


def _protocol(results: Results, protocol: str, figures: Mapping[str, Html]) -> Iterator[Html]:
    tested = results.own.filter(protocol=protocol)
    nodes, labels = tested.select(pl.col("nodes", "labels").max()).row(0)
    yield paragraph(f"{PROTOCOLS[protocol]} {nodes:,} test nodes with {labels:,} labels.")
    yield table(_scores(tested), f"Test nodes of the {protocol} split, thresholds fitted")
    yield table(_scores_at_half(tested), f"The same at a threshold of 0.5, {protocol} split")
    yield figures[f"{protocol}_micro_f1"]
    compared = results.comparison.filter(protocol=protocol)
    if not compared.is_empty():
        yield heading(f"Graph learners against the best baseline, {protocol} split")
        yield table(
            in_words(compared).drop("protocol").select("learner", pl.exclude("learner")),
            f"Difference of micro-F1, paired bootstrap over test nodes, {protocol} split",
        )
    learner = results.chosen(protocol)
    if learner is not None:
        yield heading(f"Per label, {protocol} split")
        yield figures[f"{protocol}_labels"]
        columns = [name for name in results.label_scores.columns if name not in _GIVEN]
        yield details(
            "All labels as a table",
            table(
                _labels(results, protocol, learner).select(columns),
                f"Labels of {learner}, {protocol} split",
            ),
        )
    if protocol in results.confusions:
        yield heading(f"Confusion of the commonest labels, {protocol} split")
        yield paragraph(
            "A row is over the test nodes that have its label. On the diagonal: the share on which"
            " the label is predicted. Beside it: the share on which another label is predicted that"
            " the node does not have. Rows need not add up to one."
        )
        yield figures[f"{protocol}_confusion"]
        yield details(
            "The shares as a table",
            table(results.confusions[protocol], f"Confusion, {protocol} split"),
        )
    curves = [
        drawn for name, drawn in figures.items()
        if name.startswith(f"{protocol}_") and name.endswith("_curves")
    ]  # fmt: skip
    if curves:
        yield heading(f"Learning curves, {protocol} split")
        yield from curves


_GIVEN = ("model", "variant", "protocol", "split")


def _scores(board: pl.DataFrame) -> pl.DataFrame:
    return board.select(
        "model",
        pl.col("variant").alias("text"),
        figure("micro_f1").alias("micro-F1"),
        figure("macro_f1").alias("macro-F1"),
        figure("pr_auc").alias("PR-AUC"),
        figure("head_f1").alias("head F1"),
        figure("tail_f1").alias("tail F1"),
        "seeds",
        "comparable",
    )


def _scores_at_half(board: pl.DataFrame) -> pl.DataFrame:
    return board.select(
        "model",
        pl.col("variant").alias("text"),
        *(
            figure(f"{metric}_f1_at_half").alias(f"{metric}{separator}F1")
            for metric, separator in (("micro", "-"), ("macro", "-"), ("head", " "), ("tail", " "))
        ),
    )


def _leak(results: Results) -> Iterator[Html]:
    worth = leak_worth(results.board)
    yield paragraph(
        "A README on the Hub opens with front matter that names the repository's task: who reads it"
        " reads the answer. The text clean is without it, the text as_published is the raw README,"
        " as earlier systems read it. front_matter_regex copies the task from there and is the"
        " ceiling of what a leak is worth."
    )
    if worth.is_empty():
        yield paragraph("No model was trained on both texts.")
    else:
        yield table(
            worth.select("model", pl.exclude("model")), "Micro-F1 on test nodes, by text read"
        )


def _costs(results: Results) -> Iterator[Html]:
    costs = results.own.filter(pl.col("seconds").is_not_null()).select(
        "model",
        pl.col("variant").alias("text"),
        "protocol",
        "seeds",
        pl.col("seconds").round(2).alias("seconds a run"),
        pl.col("peak_mib").round(0).cast(pl.Int64).alias("peak MiB"),
    )
    yield table(costs, "Wall-clock time (mean over seeds) and memory (greatest) of a training run")


def _published(results: Results) -> Iterator[Html]:
    yield paragraph(
        "What earlier systems published on the same task. None of it compares with the figures"
        " above, for these reasons:"
    )
    yield items(f"{source}: {note}." for source, note in NOTES.items())
    rows = results.board.filter(pl.col("source") != "hfkg").select(
        "model",
        "source",
        figure("micro_f1_at_half").alias("micro-F1"),
        figure("macro_f1_at_half").alias("macro-F1"),
        figure("pr_auc").alias("PR-AUC"),
        figure("head_f1_at_half").alias("head F1"),
        figure("tail_f1_at_half").alias("tail F1"),
    )
    yield table(rows, "Published figures, test nodes, threshold 0.5")


def _how_to_read() -> Iterator[Html]:
    yield items(
        (
            "micro-F1 counts all labels of all nodes together, so frequent labels weigh most;"
            f" macro-F1 is the mean over the labels that occur; head and tail are the {HEAD} labels"
            " most frequent in training and the others; PR-AUC is the mean average precision and"
            " knows no threshold.",
            "A label is predicted where its score is above its threshold. Thresholds are fitted on"
            " the validation nodes of the same run and never see a test node.",
            "± is the standard deviation over seeds: how much training varies. The interval of the"
            " bootstrap is another thing: how much the choice of test nodes does.",
            "A learner is chosen on validation nodes, the baseline beside it is the best on the"
            " test nodes: the choice can only help the baseline.",
            "A row that reads the label shows what a leak is worth, not how good a model is.",
        )
    )


def read_results(warehouse: Warehouse, day: str) -> Results:
    """Reads the stored results of a date and works out the confusions.

    Raises:
        MissingTable: a table has not been materialized.
        FileNotFoundError: a learner's runs have not been stored.
    """

    def scan(table: str) -> pl.LazyFrame:
        return warehouse.scan(table, day)

    def read(name: str) -> pl.DataFrame:
        return scan(f"classification/{name}").collect()

    task_ids = read("task_index").sort("index")["task_id"].to_list()
    judged = judged_nodes(read("split"), read("labels"), len(task_ids))
    board, run_scores = read("leaderboard"), read("run_scores")
    text = main_text(board)
    confusions = {
        protocol: confusion_of(
            judged[protocol, "test"].truth,
            predicted_tasks(
                scan, run_scores, judged,
                model=learner, variant=variant, protocol=protocol,
            ),
            task_ids,
        )
        for (protocol, variant), learner in chosen_learners(board).items()
        if variant == text
    }  # fmt: skip
    return Results(
        day=day,
        board=board,
        label_scores=read("label_scores"),
        comparison=read("comparison"),
        runs=stored_runs(warehouse, day),
        confusions=confusions,
    )


@dg.asset(
    key=key_of(REPORT),
    description="The leaderboard and what stands behind it as one HTML page: report.html.",
    deps=[
        key_of(f"classification/{name}")
        for name in (
            "task_index", "labels", "split", *PREDICTION_TABLES,
            "run_scores", "label_scores", "leaderboard", "comparison",
        )
    ],
    group_name="classification",
    partitions_def=SNAPSHOTS,
    backfill_policy=ONE_RUN_PER_DATE,
    kinds={"html"},
    owners=OWNERS,
    tags={"layer": "classification"},
    code_version=code_version(report_page, read_results, figures_of),
)  # fmt: skip
def report(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    day = context.partition_key
    path = warehouse.directory(REPORT, day) / FILE
    results = read_results(warehouse, day)
    figures = {
        name: (as_data_uri(drawing), caption)
        for name, (drawing, caption) in figures_of(results).items()
    }
    text = report_page(results, {name: image(*drawn) for name, drawn in figures.items()})
    write_atomically(path, lambda file: file.write_text(text, encoding="utf-8"))
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": str(path),
            "hfkg/bytes": path.stat().st_size,
            **{
                f"hfkg/{name}": dg.MetadataValue.md(f"![]({uri})\n\n{caption}")
                for name, (uri, caption) in figures.items()
            },
        },
        data_version=dg.DataVersion(sha256_of(path)),
    )
