"""`classification/baselines`: what can be had without training.

- `most_frequent`: always the most frequent task of the training nodes.
- `bm25_argmax`: the task whose name has the best BM25 score with the text, for each text variant.
- `neighbour_vote`: the mean of the known labels of a node's neighbours among models and datasets.
- `owner_vote`: the mean of the known labels of what else stands in its namespace.
- `front_matter_regex`: the task that the raw card's front matter names. It reads the answer where
  the answer was copied from, so it is no competitor but the ceiling of what a leak is worth.

All but the last see what learners may see, by the rules of `stages`, and no label that is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import numpy as np
import polars as pl
from scipy.sparse import csr_array

from hfkg_assets.classification.graph import DOCUMENT_KINDS, MESSAGE_RELATIONS
from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.models import PREDICTIONS
from hfkg_assets.classification.splits import PROTOCOLS
from hfkg_assets.classification.stages import (
    expect_documents,
    known_labels,
    split_masks,
    usable_edges,
)
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import schema_of

JUDGED = ("validation", "test")
NO_TEXT = "none"
"""The variant of what reads no text."""

# --- scores --------------------------------------------------------------------------------------


def most_frequent(labels: np.ndarray) -> np.ndarray:
    """Scores [tasks]: one for the most frequent task of the training labels [n, tasks], else 0."""
    scores = np.zeros(labels.shape[1], dtype=np.float32)
    scores[labels.sum(axis=0).argmax()] = 1.0
    return scores


def argmax_scores(scores: np.ndarray) -> np.ndarray:
    """Scores of which only each row's greatest is above one half, and only if it is positive.

    A row's scores are divided by their sum, so that a text that names one task only counts as
    surer than one that names many. Half of that share, and one half more for the greatest (of
    equal ones the first), keeps the order in the row.

    Args:
        scores: float [n, tasks]; negative ones count as zero.

    Returns:
        float32 [n, tasks], from 0 to 1.
    """
    positive = np.maximum(scores, 0).astype(np.float64)
    total = positive.sum(axis=1)
    shares = np.divide(positive, total[:, None], out=positive, where=total[:, None] > 0) / 2
    named = np.flatnonzero(total)
    shares[named, shares[named].argmax(axis=1)] += 0.5
    return shares.astype(np.float32)


def vote(path: Sequence[csr_array], labels: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the labels at the end of all ways of some steps.

    Args:
        path: weights of each step [from, to], the first from the rows that are predicted. The
            steps are taken from the last on: many ways lead over one hub, and are never counted.
        labels: labels of the known nodes, and in a last column one for each of them; zero for
            others [nodes, tasks + 1].

    Returns:
        float32 [rows, tasks], zero where no known node is reached; and where one is, bool [rows].
    """
    for step in reversed(path):
        labels = step @ labels
    total = labels.toarray()
    reached = total[:, -1] > 0
    means = total[:, :-1] / np.where(reached, total[:, -1], 1)[:, None]
    return means.astype(np.float32), reached


def front_matter_tasks(cards: pl.Series) -> pl.Series:
    """Words that stand where a raw card's front matter names its tasks: lists of strings."""
    front = pl.col("card").str.extract(FRONT_MATTER)
    named = pl.concat_list(
        pl.concat_list(front.str.extract(PIPELINE_TAG)).list.drop_nulls(),
        front.str.extract(TASK_CATEGORIES).str.extract_all(r"[a-z0-9][a-z0-9-]*").fill_null([]),
    )
    return cards.alias("card").to_frame().select(named.alias("tasks")).to_series()


FRONT_MATTER = r"(?s)\A\x{FEFF}?---[ \t]*\r?\n(.*?)\r?\n---"
PIPELINE_TAG = r"(?m)^pipeline_tag:[ \t]*['\"]?([\w-]+)"
TASK_CATEGORIES = r"(?m)^task_categories:((?:[ \t]*\r?\n[ \t]*-[^\r\n]*)+|[ \t]*\[[^\]]*\])"

# --- what they are computed from -----------------------------------------------------------------


def neighbours(edges: pl.DataFrame, size: int) -> csr_array:
    """How often two documents are joined, in either direction [size, size].

    Args:
        edges: `source`, `target`; both documents.
        size: number of documents.
    """
    ends = edges["source"].to_numpy(), edges["target"].to_numpy()
    forward = csr_array((np.ones(edges.height), ends), shape=(size, size))
    return forward + forward.T


def namespaces(ids: pl.Series) -> csr_array:
    """Which documents stand in which namespace [documents, namespaces]; a bare id is in none."""
    own = pl.DataFrame({"name": ids.str.extract("^([^/]+)/")}).with_row_index("row").drop_nulls()
    number = (own["name"].rank("dense") - 1).cast(pl.Int64)
    shape = (len(ids), own["name"].n_unique())
    return csr_array((np.ones(own.height), (own["row"].to_numpy(), number.to_numpy())), shape=shape)


# --- predictions ---------------------------------------------------------------------------------


def baseline_predictions(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    cards: pl.Series,
    bm25: Mapping[str, np.ndarray],
    labels: pl.DataFrame,
    split: pl.DataFrame,
    task_index: pl.DataFrame,
    day: date,
) -> pl.DataFrame:
    """The baselines' scores on the validation and test nodes of every protocol.

    Args:
        nodes: `classification/node`.
        edges: `classification/graph`.
        cards: the documents' READMEs as published.
        bm25: text variant → the documents' scores [documents, tasks].
        labels: `classification/labels`.
        split: `classification/split`.
        task_index: `classification/task_index`.
        day: the snapshot date.

    Returns:
        Rows of `PREDICTIONS`; none of a protocol without training nodes.
    """
    documents = nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS)).select("kind", "id")
    own = documents.join(labels, on=["kind", "id"], how="left", maintain_order="left")
    truth = multi_hot(own["labels"], task_index.height)
    between = edges.filter(pl.col("relation").is_in(MESSAGE_RELATIONS))
    owners = namespaces(documents["id"])
    rows = [pl.DataFrame(schema=schema_of(PREDICTIONS))]
    for protocol in PROTOCOLS:
        masks = split_masks(documents, split, protocol)
        train = truth[masks["train"]]
        for stage in JUDGED if len(train) else ():
            judged = np.flatnonzero(masks[stage])
            known = known_labels(masks, stage)[:, None]
            ballots = csr_array(np.hstack([truth, np.ones_like(known)]) * known)
            usable = between.filter(usable_edges(nodes, between, protocol, day, stage))
            joined = neighbours(usable, documents.height)
            by_neighbours = [joined[judged]], [joined[judged], joined]
            scores = {
                ("most_frequent", NO_TEXT): np.tile(most_frequent(train), (len(judged), 1)),
                ("neighbour_vote", NO_TEXT): _elected(by_neighbours, ballots, train),
                ("owner_vote", NO_TEXT): _elected([[owners[judged], owners.T]], ballots, train),
                ("front_matter_regex", "as_published"): _named(cards.gather(judged), task_index),
            } | {
                ("bm25_argmax", variant): argmax_scores(values[judged])
                for variant, values in bm25.items()
            }
            rows += _rows(documents[judged], protocol, stage, scores)
    return pl.concat(rows)


def _elected(
    paths: Sequence[Sequence[csr_array]], ballots: csr_array, train: np.ndarray
) -> np.ndarray:
    """Scores by the first path that reaches a known node; the training labels' mean where none."""
    scores = np.tile(train.mean(axis=0), (paths[0][0].shape[0], 1))
    for path in reversed(paths):
        means, reached = vote(path, ballots)
        scores[reached] = means[reached]
    return scores


def _named(cards: pl.Series, task_index: pl.DataFrame) -> np.ndarray:
    """One for the tasks that the cards' front matter names [cards, tasks]."""
    column = dict(task_index.select("task_id", "index").iter_rows())
    named = front_matter_tasks(cards).list.eval(
        pl.element().replace_strict(column, default=None, return_dtype=pl.Int32).drop_nulls()
    )
    return multi_hot(named, len(column))


def _rows(
    judged: pl.DataFrame,
    protocol: str,
    stage: str,
    scores: Mapping[tuple[str, str], np.ndarray],
) -> Iterator[pl.DataFrame]:
    """Rows of `PREDICTIONS` for scores by model and variant."""
    for (model, variant), values in scores.items():
        constants = {"model": model, "variant": variant, "protocol": protocol, "split": stage}
        yield judged.select(
            *(pl.lit(value).alias(name) for name, value in constants.items()),
            pl.lit(0, dtype=pl.Int64).alias("seed"),
            "kind",
            "id",
            pl.Series("scores", values, dtype=pl.Array(pl.Float32, values.shape[1])).arr.to_list(),
        )


@snapshot_asset(
    "classification/baselines",
    description="Predictions without training: frequency, BM25, votes, the front matter's own.",
    columns=PREDICTIONS,
    ins={
        "nodes": "classification/node",
        "edges": "classification/graph",
        "documents": "feature/document",
        "bm25": "feature/bm25",
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
    },
    code_version="2",
)
def baselines(
    context: dg.AssetExecutionContext,
    documents: pl.LazyFrame,
    bm25: pl.LazyFrame,
    **tables: pl.LazyFrame,
) -> pl.DataFrame:
    collected = {name: table.collect() for name, table in tables.items()}
    keys = ["kind", "id"]
    cards = documents.select(*keys, "as_published").sort(keys).collect()
    scores = {
        str(variant): frame.sort(keys)
        for (variant,), frame in bm25.collect().group_by("variant", maintain_order=True)
    }
    expect_documents(collected["nodes"], cards, "feature/document")
    for frame in scores.values():
        expect_documents(collected["nodes"], frame, "feature/bm25")
    table = baseline_predictions(
        cards=cards["as_published"],
        bm25={variant: frame["bm25"].to_numpy() for variant, frame in scores.items()},
        day=date.fromisoformat(context.partition_key),
        **collected,
    )
    missing = [protocol for protocol in PROTOCOLS if protocol not in set(table["protocol"])]
    if missing:
        context.log.warning("no training node in %s: no baseline there", ", ".join(missing))
    context.add_output_metadata({"hfkg/variants": list(scores), "hfkg/without_training": missing})
    return table
