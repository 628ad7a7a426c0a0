"""The rules against leakage: what may be seen while a split is predicted. A stage is that split.

They hold for every learner and baseline alike:

- The labels of the split itself are unknown, and those of later splits.
- In the time protocol, each kind's own boundaries hold: until the end of the period of the split
  that is predicted, an edge is there only if it held by then between nodes that both were there,
  and a text only if it was last changed by then. What has no date is used at no stage, but for
  texts at the last one: they are the snapshot's.
- The other protocols show all edges and all texts.
"""

from datetime import date

import numpy as np
import polars as pl

from hfkg_assets.classification.graph import DOCUMENT_KINDS
from hfkg_assets.classification.splits import SPLITS, period_end
from hfkg_resources.table_schema import INSTANT


def split_masks(
    documents: pl.DataFrame, split: pl.DataFrame, protocol: str
) -> dict[str, np.ndarray]:
    """Which documents are in each split of a protocol: split name → bool [documents].

    Args:
        documents: `kind`, `id`.
        split: `classification/split`.
        protocol: how nodes are split.
    """
    own = split.filter(pl.col("protocol") == protocol)
    joined = documents.select("kind", "id").join(
        own, on=["kind", "id"], how="left", maintain_order="left"
    )
    return {name: (joined["split"] == name).fill_null(False).to_numpy() for name in SPLITS}


def expect_documents(nodes: pl.DataFrame, table: pl.DataFrame, name: str) -> None:
    """Makes sure that a table's rows are the documents, in the order of their node numbers.

    Args:
        nodes: `classification/node`.
        table: `kind`, `id`.
        name: the table's.

    Raises:
        ValueError: they are others, or in another order.
    """
    keys = ["kind", "id"]
    documents = nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS))
    if not table.select(keys).equals(documents.select(keys)):
        raise ValueError(
            f"{name} and classification/node are of different documents: "
            "materialize them again together"
        )


def known_labels(masks: dict[str, np.ndarray], stage: str) -> np.ndarray:
    """Whose labels may be read while a split is predicted: those of the splits before it.

    Training nodes' are known in training too: a learner hides from each node its own.
    """
    return masks["train"] | masks["validation"] if stage == "test" else masks["train"].copy()


def visible_texts(documents: pl.DataFrame, protocol: str, day: date) -> dict[str, np.ndarray]:
    """Whose text may be read while each split is predicted: split name → bool [documents].

    Args:
        documents: `kind`, `text_at`.
        protocol: how nodes are split.
        day: the snapshot date.
    """
    everywhere = np.ones(documents.height, dtype=bool)
    if protocol != "time":
        return {stage: everywhere.copy() for stage in SPLITS}
    seen = {
        stage: (documents["text_at"] < _ends(documents["kind"], day, stage)).fill_null(False)
        for stage in SPLITS
    }
    return {stage: mask.to_numpy() for stage, mask in seen.items()} | {"test": everywhere}


def usable_edges(
    nodes: pl.DataFrame, edges: pl.DataFrame, protocol: str, day: date, stage: str
) -> pl.Series:
    """Which edges may carry messages while a split is predicted.

    In the time protocol an edge counts once it holds, by the earlier of its ends' boundaries:
    nothing that a training node is told was created after training ends, for either kind of node.

    Args:
        nodes: `classification/node`.
        edges: `classification/graph`.
        protocol: how nodes are split.
        day: the snapshot date.
        stage: the split that is predicted.
    """
    if protocol != "time":
        return pl.repeat(True, edges.height, eager=True)
    ends = _ends(nodes["kind"], day, stage)
    limit = pl.min_horizontal(
        pl.lit(ends).gather(pl.col("source")), pl.lit(ends).gather(pl.col("target"))
    )
    return edges.select((pl.col("valid_from") < limit).fill_null(False)).to_series()


def _ends(kinds: pl.Series, day: date, stage: str) -> pl.Series:
    """The end of a stage's period by node; a context node has the latest of the documents'."""
    ends = {kind: period_end(day, kind, stage) for kind in DOCUMENT_KINDS}
    return kinds.replace_strict(ends, default=max(ends.values()), return_dtype=INSTANT)
