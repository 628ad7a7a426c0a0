"""`retrieval/leaderboard`: how well each method finds what declares a task when asked for the task.

The question is the task's label; the answers are the repositories that declare it. Neither the
word index nor the vectors have seen the declaration: task names that stand as tags are masked in
the text, and declared tasks are not indexed. Belongs here: the questions, the table and its check.
Does not: metrics (`evaluation`).
"""

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets import figures
from hfkg_assets.classification.plots import draw_bars
from hfkg_assets.code_versions import code_version
from hfkg_assets.retrieval.evaluation import (
    FUSED,
    METRICS,
    PARTS,
    Question,
    evaluate,
    means_of,
    metrics_of,
    rankings_of,
)
from hfkg_assets.retrieval.indexes import VECTOR_INDEX, WORD_INDEX
from hfkg_assets.retrieval.search import DocumentSearch
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_resources.table_schema import Column
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

DECLARED = "declared"
"""Protocol: the answers are what declares the task that is asked for."""

PRIMARY = "ndcg_at_10"

LEADERBOARD = (
    Column("protocol", pl.String(), "by which rule answers are known", required=True),
    Column("kind", pl.String(), "what is looked for: model, dataset, or all questions", True),
    Column("method", pl.String(), "what ranked", required=True),
    Column("questions", pl.Int64(), "how many were asked", required=True),
    *(
        Column(name, pl.Float64(), f"mean {name.replace('_', ' ')} over the questions", True)
        for name in METRICS
    ),
)


def questions_of(facts: pl.DataFrame, task: pl.DataFrame) -> list[Question]:
    """A question for each task and kind that declares it.

    Args:
        facts: `retrieval/facts`.
        task: `entity/task`.
    """
    declared = (
        facts.with_row_index("row")
        .select("kind", "row", pl.col("tasks").alias("task"))
        .explode("task")
        .join(task.select(task="id", label="label"), on="task")
        .group_by("task", "label", "kind")
        .agg(pl.col("row").unique().sort())
        .sort("task", "kind")
    )
    return [
        Question(DECLARED, id, label or id.replace("-", " "), kind, np.array(rows, np.int64))
        for id, label, kind, rows in declared.iter_rows()
    ]


@snapshot_asset(
    "retrieval/leaderboard",
    description="Recall, MRR and nDCG of each method, asked for tasks by their labels.",
    columns=LEADERBOARD,
    ins={"facts": "retrieval/facts", "task": "entity/task"},
    deps=["retrieval/link", WORD_INDEX, VECTOR_INDEX, "graph/node"],
    code_version=code_version(questions_of, metrics_of, means_of, rankings_of, DocumentSearch),
)
def leaderboard(
    context: dg.AssetExecutionContext,
    encoder: TextEncoder,
    warehouse: dg.ResourceParam[Warehouse],
    facts: pl.LazyFrame,
    task: pl.LazyFrame,
) -> pl.DataFrame:
    search = DocumentSearch.open(warehouse, encoder, context.partition_key)
    board = means_of(evaluate(search, questions_of(facts.collect(), task.collect())))
    told = board.with_columns(pl.col(METRICS).map_elements("{:.4f}".format, pl.String))
    drawn = draw_bars(
        "nDCG@10, tasks asked for by label",
        dict(board.filter(kind="all").select("method", PRIMARY).iter_rows()),
        pale=[method in PARTS for method in board.filter(kind="all")["method"]],
    )
    context.add_output_metadata(
        {
            "hfkg/leaderboard": dg.MetadataValue.md(markdown_table(told)),
            "hfkg/ndcg_at_10": dg.MetadataValue.md(figures.as_markdown(drawn)),
        }
    )
    return board.select(pl.col(column.name).cast(column.dtype) for column in LEADERBOARD)


def not_beaten(board: pl.DataFrame) -> pl.DataFrame:
    """The parts that the fusion is not better than, over the questions of all kinds.

    Args:
        board: `retrieval/leaderboard`.

    Returns:
        `protocol`, `method`, its nDCG@10 and that of the fusion as `fused`.
    """
    rows = board.filter(kind="all").select("protocol", "method", PRIMARY)
    fused = rows.filter(method=FUSED).select("protocol", fused=PRIMARY)
    parts = rows.filter(pl.col("method").is_in(PARTS)).join(fused, on="protocol")
    return parts.filter(pl.col(PRIMARY) >= pl.col("fused"))


@dg.asset_check(
    asset=key_of("retrieval/leaderboard"),
    name="fusion_beats_its_parts",
    description="By nDCG@10 the fused ranking is better than each ranking that it is made of.",
    partitions_def=SNAPSHOTS,
)
def fusion_beats_its_parts(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    board = warehouse.scan("retrieval/leaderboard", context.partition_key).collect()
    found = not_beaten(board)
    return dg.AssetCheckResult(
        passed=found.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"hfkg/not_beaten": dg.MetadataValue.md(markdown_table(found))},
    )
