"""`classification/split`: labelled nodes divided into training, validation and test, three ways.

- `time`: by creation, relative to the snapshot date D. Models: test from D - 2 months on,
  validation the month before; datasets: test from D - 4 months on, validation the 4 months
  before. Boundaries are midnights (UTC), the earlier one inclusive, and the test ends with the
  day D. At D = 2024-12-15 these are HuggingKG's own dates.
- `random`: 70, 15 and 15 % of the nodes, seed 42.
- `family`: whole families to one side; a family is a connected component of the lineage relations.

No node is in two splits of one protocol. Unlabelled nodes are in none, and so is, under `time`,
a node whose creation is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.labels import NODE_ID
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.table_schema import Column

PROTOCOLS = ("time", "random", "family")
SEED = 42
SHARES = (0.70, 0.15, 0.15)
LARGE_FAMILY = 0.05
"""A family above this share of the nodes goes to training, or one side would be all of it."""

SPLIT = (
    *NODE_ID,
    Column("protocol", pl.String(), f"one of {', '.join(PROTOCOLS)}", required=True),
    Column("split", pl.String(), "train, validation or test", required=True),
)


@dataclass(frozen=True)
class Boundaries:
    """Moments at which validation and test begin, for one kind of node."""

    validation: datetime
    test: datetime


MONTHS = {"model": (3, 2), "dataset": (8, 4)}
"""Node kind → months before the snapshot at which validation and test begin."""


def boundaries(day: date, kind: str) -> Boundaries:
    """The time split's boundaries of one kind of node, at midnight UTC."""
    begins = [pl.Series([day]).dt.offset_by(f"-{months}mo").item() for months in MONTHS[kind]]
    validation, test = (datetime.combine(begin, time(), UTC) for begin in begins)
    return Boundaries(validation, test)


def by_time(nodes: pl.DataFrame, day: date) -> pl.Series:
    """Split names by creation; null where it is unknown or after the day.

    Args:
        nodes: `kind`, `created_at`.
        day: the snapshot date.
    """
    created, split = pl.col("created_at"), pl.lit(None, dtype=pl.String)
    end = datetime.combine(day, time(), UTC)
    for kind in MONTHS:
        begins = boundaries(day, kind)
        of_kind = (
            pl.when(created < begins.validation)
            .then(pl.lit("train"))
            .when(created < begins.test)
            .then(pl.lit("validation"))
            .when(created < pl.lit(end).dt.offset_by("1d"))
            .then(pl.lit("test"))
        )
        split = pl.when(pl.col("kind") == kind).then(of_kind).otherwise(split)
    return nodes.select(split.alias("split")).to_series()


def by_group(groups: np.ndarray, seed: int = SEED) -> pl.Series:
    """Split names by a random order of whole groups, filled up to the shares.

    Args:
        groups: group number of each node, int [n].
        seed: seed of the order.
    """
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    # Large groups first: they all fall to training.
    order = order[np.argsort(sizes[order] <= LARGE_FAMILY * len(groups), kind="stable")]
    filled = np.cumsum(sizes[order]) / max(1, len(groups))
    large = sizes[order] > LARGE_FAMILY * len(groups)
    side = np.where(large, 0, np.searchsorted(np.cumsum(SHARES)[:2], filled, side="left"))
    of_group = np.empty(len(sizes), dtype=np.int64)
    of_group[order] = side
    return pl.Series(np.array(["train", "validation", "test"])[of_group[groups]])


def families(ids: Sequence[str], lineage: pl.DataFrame) -> np.ndarray:
    """Number of the connected component of each model, int [len(ids)].

    Args:
        ids: model ids.
        lineage: edges between models (`subject_id`, `object_id`); ends outside `ids` connect too.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    everyone = pl.concat(
        [pl.Series("id", ids, dtype=pl.String), lineage["subject_id"], lineage["object_id"]]
    ).unique(maintain_order=True)
    number = everyone.to_frame("id").with_row_index("n")
    source, target = (
        lineage.select(id=end).join(number, on="id", how="left", maintain_order="left")["n"]
        for end in ("subject_id", "object_id")
    )
    size = len(everyone)
    graph = coo_matrix((np.ones(len(source)), (source, target)), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    rows = pl.DataFrame({"id": ids}, schema={"id": pl.String})
    return component[rows.join(number, on="id", how="left", maintain_order="left")["n"].to_numpy()]


def split_nodes(nodes: pl.DataFrame, lineage: pl.DataFrame, day: date) -> pl.DataFrame:
    """All protocols' splits of the labelled nodes.

    Args:
        nodes: `kind`, `id`, `created_at` of the labelled nodes.
        lineage: edges between models.
        day: the snapshot date.
    """
    nodes = nodes.sort("kind", "id")
    is_model = (nodes["kind"] == "model").to_numpy()
    family = np.empty(len(nodes), dtype=np.int64)
    family[is_model] = families(nodes.filter(is_model)["id"].to_list(), lineage)
    others = np.count_nonzero(~is_model)
    family[~is_model] = np.arange(others) + (family[is_model].max() + 1 if is_model.any() else 0)
    # Component numbers also count models without label: make them dense again.
    family = np.unique(family, return_inverse=True)[1]
    sides = {
        "time": by_time(nodes, day),
        "random": by_group(np.arange(len(nodes))),
        "family": by_group(family),
    }
    return pl.concat(
        nodes.select("kind", "id", pl.lit(protocol).alias("protocol")).with_columns(split=side)
        for protocol, side in sides.items()
    ).drop_nulls("split")


def counts(split: pl.DataFrame) -> Mapping[str, int]:
    """Nodes per protocol and split."""
    sizes = split.group_by("protocol", "split").len().sort("protocol", "split")
    return {f"hfkg/{p}_{s}": n for p, s, n in sizes.iter_rows()}


@snapshot_asset(
    "classification/split",
    description="Labelled nodes in training, validation and test: by time, at random, by family.",
    columns=SPLIT,
    ins={
        "labels": "classification/labels",
        "documents": "feature/document",
        **{name: f"verified/{name}" for name in LINEAGE},
    },
)
def split(
    context: dg.AssetExecutionContext,
    labels: pl.LazyFrame,
    documents: pl.LazyFrame,
    **lineage: pl.LazyFrame,
) -> pl.DataFrame:
    nodes = documents.select("kind", "id", "created_at").join(labels, on=["kind", "id"], how="semi")
    edges = pl.concat(frame.select("subject_id", "object_id") for frame in lineage.values())
    table = split_nodes(nodes.collect(), edges.collect(), date.fromisoformat(context.partition_key))
    context.add_output_metadata(counts(table))
    return table
