"""`retrieval/facts`: what is known of each model and dataset, for filters, ranking and display.

The row of a repository here is its number in every index. Belongs here: the table. Does not: its
text (`feature/document`, in the same order), its edges (`links`).
"""

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

KINDS = ("dataset", "model")
"""Kinds that can be found, in the order of rows."""

FACTS = (
    Column("kind", pl.String(), "model or dataset", required=True),
    Column("id", pl.String(), "repository id", required=True),
    Column("node_id", pl.Int64(), "its node in `graph/node`; null where it has none"),
    Column("tasks", STRINGS, "ids of its tasks", required=True),
    Column("licence", pl.String(), "license tag, without prefix"),
    Column("languages", STRINGS, "language tags", required=True),
    Column("libraries", STRINGS, "the library the Hub shows, and library tags", required=True),
    Column("size", pl.String(), "a dataset's size category, a model's class of parameters"),
    Column("created_at", INSTANT, "creation"),
    Column("likes", pl.Int64(), "the Hub's like counter", required=True),
    Column("downloads", pl.Int64(), "downloads of the last 30 days", required=True),
    Column("duplicate_of", pl.String(), "the oldest of its kind with nearly the same text"),
)

MODEL_SIZES = (
    (1e8, "<100M"),
    (1e9, "100M-1B"),
    (1e10, "1B-10B"),
    (1e11, "10B-100B"),
    (float("inf"), ">100B"),
)
"""Classes of models by their parameters: each with the number that it stays below."""

_PARAMETERS = r"(?i)(?:^|[^a-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)(b|m)(?:$|[^a-z0-9])"


def model_size(name: pl.Expr) -> pl.Expr:
    """A model's class of parameters as its name tells it; null where it does not.

    The listings that are crawled have no count of parameters. `0.5B`, `350m` and `8x7B` are read
    (of experts the product, which counts shared weights more than once); of several the last.
    """
    found = name.str.extract_all(_PARAMETERS).list.last()
    experts, number, unit = (found.str.extract(_PARAMETERS, group) for group in (1, 2, 3))
    each = number.cast(pl.Float64) * pl.when(unit.str.to_lowercase() == "b").then(1e9).otherwise(
        1e6
    )
    parameters = each * experts.cast(pl.Float64).fill_null(1)
    size = pl.lit(None, dtype=pl.String)
    for below, label in reversed(MODEL_SIZES):
        size = pl.when(parameters < below).then(pl.lit(label)).otherwise(size)
    return size


def facts_of(
    model: pl.LazyFrame, dataset: pl.LazyFrame, document: pl.LazyFrame, node: pl.LazyFrame
) -> pl.DataFrame:
    """The facts of every document, in the documents' order.

    Args:
        model, dataset: the entities.
        document: `feature/document`.
        node: `graph/node`.
    """
    shared = (
        "id",
        "tasks",
        pl.col("license").alias("licence"),
        "languages",
        "created_at",
        pl.col("likes", "downloads").fill_null(0),
    )
    library = pl.concat_list(pl.col("library_name"), pl.col("libraries").fill_null([]))
    known = pl.concat(
        [
            dataset.select(pl.lit("dataset").alias("kind"), *shared, "libraries", "size"),
            model.select(
                pl.lit("model").alias("kind"),
                *shared,
                library.list.drop_nulls().list.unique(maintain_order=True).alias("libraries"),
                model_size(pl.col("name")).alias("size"),
            ),
        ]
    ).with_columns(pl.col("tasks", "languages", "libraries").fill_null([]))
    return (
        document.select("kind", "id", "duplicate_of")
        .join(known, on=["kind", "id"], how="left", maintain_order="left")
        .join(
            node.select("node_id", "id", kind="type"),
            on=["kind", "id"], how="left", maintain_order="left",
        )
        .select(column.name for column in FACTS)
        .collect()
    )  # fmt: skip


@snapshot_asset(
    "retrieval/facts",
    description="What is known of each model and dataset: the rows that every index numbers.",
    columns=FACTS,
    ins={
        "model": "entity/model",
        "dataset": "entity/dataset",
        "document": "feature/document",
        "node": "graph/node",
    },
    code_version=code_version(facts_of),
)
def facts(
    context: dg.AssetExecutionContext,
    model: pl.LazyFrame,
    dataset: pl.LazyFrame,
    document: pl.LazyFrame,
    node: pl.LazyFrame,
) -> pl.DataFrame:
    frame = facts_of(model, dataset, document, node)
    sized = frame.filter(kind="model")["size"]
    context.add_output_metadata(
        {"hfkg/model_sizes_told_by_name": f"{len(sized.drop_nulls()):,} of {len(sized):,}"}
    )
    return frame
