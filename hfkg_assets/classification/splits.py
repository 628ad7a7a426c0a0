"""`classification/split`: labelled nodes divided into training, validation and test, three ways.

- `time`: by creation, relative to the snapshot date D. Models: test from D - 2 months on,
  validation the month before; datasets: test from D - 4 months on, validation the 4 months
  before. Boundaries are midnights (UTC), the earlier one inclusive, and the test ends with the
  day D. At D = 2024-12-15 these are HuggingKG's own dates. A node that was changed after the end
  of its own split's period is in none: its text and its label may be from later.
- `random`: 70, 15 and 15 % of the nodes of each kind, seed 42.
- `family`: the same shares, but whole families to one side. Models are of one family if lineage
  joins them, in any number of steps, and documents of one kind if their texts nearly repeat each
  other (see `copied_text`). Having been trained on the same dataset joins no families: half the
  Hub would be one.

No node is in two splits of one protocol. Unlabelled nodes are in none, and so is, under `time`,
a node of which the creation or the last change is unknown.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.graph import DOCUMENT_KINDS
from hfkg_assets.classification.labels import NODE_ID
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.table_schema import INSTANT, Column

PROTOCOLS = ("time", "random", "family")
SPLITS = ("train", "validation", "test")
SEED = 42
SHARES = (0.70, 0.15, 0.15)
LARGE_FAMILY = 0.05
"""A family above this share of the nodes goes to training, or one side would be all of it."""

SPLIT = (
    *NODE_ID,
    Column("protocol", pl.String(), f"one of {', '.join(PROTOCOLS)}", required=True),
    Column("split", pl.String(), f"one of {', '.join(SPLITS)}", required=True),
)

# --- by time -------------------------------------------------------------------------------------

MONTHS = {"model": (3, 2), "dataset": (8, 4)}
"""Node kind → months before the snapshot at which validation and test begin."""


def period_end(day: date, kind: str, split: str) -> datetime:
    """The end (exclusive) of a split's period in the time protocol: a midnight, UTC.

    A period begins where the one before it ends; that of training has no beginning.

    Args:
        day: the snapshot date.
        kind: model or dataset.
        split: train, validation or test.
    """
    if split == "test":
        last = day + timedelta(days=1)
    else:
        months = MONTHS[kind][SPLITS.index(split)]
        last = pl.Series([day]).dt.offset_by(f"-{months}mo").item()
    return datetime.combine(last, time(), UTC)


def by_time(nodes: pl.DataFrame, day: date) -> pl.Series:
    """Split names by creation; null where it is unknown or after the day.

    Args:
        nodes: `kind`, `created_at`.
        day: the snapshot date.
    """
    cases = [
        pl.when(pl.col("kind") == kind, pl.col("created_at") < period_end(day, kind, split)).then(
            pl.lit(split)
        )
        for kind in MONTHS
        for split in SPLITS
    ]
    return nodes.select(pl.coalesce(cases).alias("split")).to_series()


def unchanged_since(nodes: pl.DataFrame, split: pl.Series, day: date) -> pl.Series:
    """Whether each node was last changed within its own split's period; null where unknown.

    Args:
        nodes: `kind`, `text_at`.
        split: split names by time.
        day: the snapshot date.
    """
    ends = pl.DataFrame(
        [(kind, name, period_end(day, kind, name)) for kind in MONTHS for name in SPLITS],
        schema={"kind": pl.String, "split": pl.String, "end": INSTANT},
        orient="row",
    )
    dated = nodes.select("kind", "text_at", split.alias("split"))
    joined = dated.join(ends, on=["kind", "split"], how="left", maintain_order="left")
    return joined.select(pl.col("text_at") < pl.col("end")).to_series()


# --- by groups -----------------------------------------------------------------------------------


def by_group(groups: np.ndarray, seed: int = SEED) -> pl.Series:
    """Split names of nodes, whole groups together, so that the splits have their shares.

    Very large groups go to training. The other groups fall to the splits in a random order, in
    proportion to the shares; last come groups of one node, which make up what is then lacking.

    Args:
        groups: group number of each node, int [n], dense from 0.
        seed: seed of the order.
    """
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    large, alone = sizes > LARGE_FAMILY * len(groups), sizes == 1
    side = np.zeros(len(sizes), dtype=np.int64)
    filled = np.array([sizes[large & ~alone].sum(), 0, 0])
    for batch in (order[~large[order] & ~alone[order]], order[alone[order]]):
        lacking = np.maximum(np.multiply(SHARES, len(groups)) - filled, 0)
        ends = np.cumsum(lacking / max(lacking.sum(), 1) * sizes[batch].sum())
        middles = np.cumsum(sizes[batch]) - sizes[batch] / 2
        side[batch] = np.searchsorted(ends[:2], middles, side="right")
        filled += np.bincount(side[batch], sizes[batch], minlength=3).astype(np.int64)
    return pl.Series(np.array(SPLITS)[side[groups]], dtype=pl.String)


def families(size: int, links: np.ndarray) -> np.ndarray:
    """Number of the connected component of each node, int [size].

    Args:
        size: number of nodes.
        links: node numbers of what belongs together, int [2, m].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined = coo_array((np.ones(links.shape[1], dtype=bool), tuple(links)), shape=(size, size))
    return connected_components(joined, directed=False)[1]


def family_links(nodes: pl.DataFrame, edges: pl.DataFrame, texts: pl.DataFrame) -> np.ndarray:
    """Pairs of documents that are of one family, as node numbers, int64 [2, m].

    Args:
        nodes: `node`, `kind`, `id` of the documents.
        edges: `classification/graph`.
        texts: `kind`, `id` and the `TEXT_COLUMNS` of `feature/document`.
    """
    copied = (
        nodes.join(texts.select("kind", "id", copied_text().alias("text")), on=["kind", "id"])
        .drop_nulls("text")
        .select("node", pl.col("node").min().over("kind", "text").alias("first"))
        .filter(pl.col("node") != pl.col("first"))
    )
    lineage = edges.filter(pl.col("relation").is_in(LINEAGE)).select("source", "target")
    return np.concatenate([lineage.to_numpy(), copied.to_numpy()]).T


TEXT_COLUMNS = ("duplicate_of", "boilerplate", "only_boilerplate", "clean_sha256")


def copied_text() -> pl.Expr:
    """What two documents of a kind share if one's text was copied from the other's.

    Texts made from a template are nearly alike though nobody copied: those must be equal, and hold
    something that is not the template's. Otherwise the Hub's template would make one family of all
    that left it unfilled.
    """
    return (
        pl.when(pl.col("boilerplate").is_null())
        .then(pl.coalesce("duplicate_of", "id"))
        .when(~pl.col("only_boilerplate"))
        .then("clean_sha256")
    )


# --- the table -----------------------------------------------------------------------------------


def split_nodes(
    documents: pl.DataFrame, labels: pl.DataFrame, links: np.ndarray, day: date
) -> pl.DataFrame:
    """All protocols' splits of the labelled documents: `SPLIT`.

    Args:
        documents: `kind`, `id`, `created_at`, `text_at`, in the order of node numbers.
        labels: `kind`, `id` of the labelled ones.
        links: pairs of documents that are of one family, int [2, m].
        day: the snapshot date.
    """
    labelled = documents.with_columns(family=families(documents.height, links)).join(
        labels.select("kind", "id"), on=["kind", "id"], how="semi", maintain_order="left"
    )
    return pl.concat(
        nodes.select("kind", "id", pl.lit(protocol).alias("protocol"), side.alias("split"))
        for protocol in PROTOCOLS
        for nodes in (labelled.filter(pl.col("kind") == kind) for kind in DOCUMENT_KINDS)
        for side in (_sides(nodes, protocol, day),)
    ).drop_nulls("split")


def _sides(nodes: pl.DataFrame, protocol: str, day: date) -> pl.Series:
    """Split names of the labelled nodes of one kind."""
    if protocol == "time":
        side = by_time(nodes, day)
        kept = unchanged_since(nodes, side, day)
        return pl.select(pl.when(kept).then(side)).to_series()
    if protocol == "random":
        return by_group(np.arange(nodes.height))
    # Family numbers also count what has no label: make them dense again.
    return by_group(np.unique(nodes["family"].to_numpy(), return_inverse=True)[1])


def counts(split: pl.DataFrame) -> Mapping[str, int]:
    """Nodes per protocol and split."""
    sizes = split.group_by("protocol", "split").len().sort("protocol", "split")
    return {f"hfkg/{p}_{s}": n for p, s, n in sizes.iter_rows()}


def empty_splits(split: pl.DataFrame) -> list[str]:
    """Which splits have no node of a kind, as `protocol/split/kind`."""
    there = set(split.select("protocol", "split", "kind").unique().iter_rows())
    every = ((p, s, kind) for p in PROTOCOLS for s in SPLITS for kind in DOCUMENT_KINDS)
    return ["/".join(one) for one in every if one not in there]


def left_out(documents: pl.DataFrame, labels: pl.DataFrame, day: date) -> Mapping[str, int]:
    """Why labelled documents are in no split of `time`: how many there are of each reason."""
    labelled = documents.join(labels, on=["kind", "id"], how="semi", maintain_order="left")
    side = by_time(labelled, day)
    kept = unchanged_since(labelled, side, day)
    undated = side.is_null() | kept.is_null()
    return {
        "hfkg/changed_later": int((~kept).fill_null(False).sum()),
        "hfkg/undated": int(undated.sum()),
    }


@snapshot_asset(
    "classification/split",
    description="Labelled nodes in training, validation and test: by time, at random, by family.",
    columns=SPLIT,
    ins={
        "labels": "classification/labels",
        "nodes": "classification/node",
        "edges": "classification/graph",
        "documents": "feature/document",
    },
    code_version="2",
)
def split(
    context: dg.AssetExecutionContext,
    labels: pl.LazyFrame,
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
    documents: pl.LazyFrame,
) -> pl.DataFrame:
    day = date.fromisoformat(context.partition_key)
    labelled = labels.collect()
    own = nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS)).collect()
    texts = documents.select("kind", "id", *TEXT_COLUMNS).collect()
    links = family_links(own, edges.collect(), texts)
    table = split_nodes(own, labelled, links, day)
    without = empty_splits(table)
    if without:
        context.log.warning("no node in %s", ", ".join(without))
    context.add_output_metadata(
        {**counts(table), **left_out(own, labelled, day), "hfkg/without_nodes": without}
    )
    return table
