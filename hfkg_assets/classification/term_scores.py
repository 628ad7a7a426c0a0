"""`classification/term_scores`: what the words of each text say of its tasks, without leakage.

One row for each document, text variant and protocol. Training rows are scored by classifiers that
saw neither them, nor a copy of their text, nor (in the `family` protocol) any of their family; all
other rows by the classifier of all training rows. What may be seen is decided by the rules of
`stages`: in the `time` protocol nothing of a text or label from after the cut-off is learnt.

Beside the table lie the classifiers, `terms/<variant>-<protocol>.pt`, to score other texts with.
Belongs here: which rows are learnt from, and the table. Does not: the classifier itself
(`term_classifier`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from hfkg_assets.classification.graph import DOCUMENT_KINDS
from hfkg_assets.classification.labels import NODE_ID, multi_hot
from hfkg_assets.classification.models import trainable
from hfkg_assets.classification.splits import (
    PROTOCOLS,
    TEXT_COLUMNS,
    families,
    family_links,
)
from hfkg_assets.classification.stages import expect_documents, split_masks, visible_texts
from hfkg_assets.classification.term_classifier import (
    ABSENT,
    FOLDS,
    MOST_TERMS,
    REGULARISATION,
    TERM_SCORES,
    Corpus,
    Log,
    Stacked,
    classifier_path,
    read_corpus,
    save_classifier,
    stacked_scores,
)
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

TABLE_COLUMNS = (
    Column("variant", pl.String(), "which text of the document", required=True),
    Column("protocol", pl.String(), "how the nodes are split", required=True),
    *NODE_ID,
    Column("scores", pl.List(pl.Float32()), "a score per task, in task_index's order", True),
)


class TermConfig(dg.Config):
    """The word classifiers as the launchpad shows them."""

    regularisation: float = Field(
        default=REGULARISATION, gt=0, description="liblinear's C: greater is closer to training"
    )
    most_terms: int = Field(default=MOST_TERMS, gt=0, description="words and word pairs at most")
    folds: int = Field(default=FOLDS, ge=2, description="parts of the training rows")


# --- what is learnt from -------------------------------------------------------------------------


def fold_groups(
    documents: pl.DataFrame, edges: pl.DataFrame, texts: pl.DataFrame, protocol: str
) -> np.ndarray:
    """Which documents must stand in one fold, as group numbers, int [documents].

    Copies of a text always do, by the rule of the `family` protocol; in that protocol itself whole
    families, as these are what it keeps apart.

    Args:
        documents: `node`, `kind`, `id`.
        edges: `classification/graph`.
        texts: `kind`, `id` and the `TEXT_COLUMNS` of `feature/document`.
        protocol: how the nodes are split.
    """
    lineage = edges if protocol == "family" else edges.clear()
    return families(documents.height, family_links(documents, lineage, texts))


def validation_figures(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Micro-F1 at the best one threshold, and average precision, as learners' epochs have them.

    Args:
        truth: zeros and ones [n, tasks].
        scores: float32 [n, tasks].
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    return float(f1.max()), float(average_precision_score(truth.ravel(), scores.ravel()))


@dataclass(frozen=True)
class Protocol:
    """What one protocol lets the words be learnt from.

    Attributes:
        name: its name.
        train: bool [documents]: training rows whose text may be read in training.
        validation: bool [documents].
        groups: int [documents], see `fold_groups`.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    groups: np.ndarray


def protocol_of(
    name: str,
    documents: pl.DataFrame,
    edges: pl.DataFrame,
    texts: pl.DataFrame,
    split: pl.DataFrame,
    day: date,
) -> Protocol:
    """The rows of a protocol.

    Args:
        name: its name.
        documents: `classification/node` of the documents.
        edges: `classification/graph`.
        texts: `feature/document`.
        split: `classification/split`.
        day: the snapshot date.
    """
    masks = split_masks(documents, split, name)
    visible = visible_texts(documents, name, day)
    return Protocol(
        name,
        masks["train"] & visible["train"],
        masks["validation"],
        fold_groups(documents, edges, texts, name),
    )


# --- the table -----------------------------------------------------------------------------------


def score_table(
    documents: pl.DataFrame, variant: str, protocol: str, scores: np.ndarray
) -> pl.DataFrame:
    """Rows of the table, in the order of the documents.

    Args:
        documents: `kind`, `id`.
        variant, protocol: of all rows.
        scores: float32 [documents, tasks].
    """
    return documents.select(
        pl.lit(variant).alias("variant"),
        pl.lit(protocol).alias("protocol"),
        "kind",
        "id",
        pl.Series("scores", scores).arr.to_list(),
    )


@dataclass(frozen=True)
class Figures:
    """What a user is told of one variant and protocol."""

    variant: str
    protocol: str
    terms: int
    rows: int
    seconds: float
    micro_f1: float
    average_precision: float


def as_markdown(figures: Sequence[Figures]) -> str:
    """A table of the figures."""
    lines = [
        "| text | protocol | terms | training rows | seconds | validation micro-F1 "
        "| validation average precision |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for f in figures:
        lines.append(
            f"| {f.variant} | {f.protocol} | {f.terms:,} | {f.rows:,} | {f.seconds:.1f} "
            f"| {f.micro_f1:.4f} | {f.average_precision:.4f} |"
        )
    return "\n".join(lines)


@snapshot_asset(
    TERM_SCORES,
    description="Scores of a linear classifier over the words of each text, for each task: those "
    "of training rows by classifiers that did not see them.",
    columns=TABLE_COLUMNS,
    ins={
        "document": "feature/document",
        "nodes": "classification/node",
        "edges": "classification/graph",
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
    },
    kinds=("scikitlearn", "parquet"),
)
def term_scores(
    context: dg.AssetExecutionContext,
    config: TermConfig,
    warehouse: dg.ResourceParam[Warehouse],
    encoder: TextEncoder,
    document: pl.LazyFrame,
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
    labels: pl.LazyFrame,
    split: pl.LazyFrame,
    task_index: pl.LazyFrame,
) -> pl.DataFrame:
    day = date.fromisoformat(context.partition_key)
    directory = warehouse.directory(TERM_SCORES, day)
    documents = nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS)).collect()
    columns = dict.fromkeys([*TEXT_COLUMNS, *encoder.variants, "clean", "code"])
    texts = document.select("kind", "id", *columns).collect()
    expect_documents(documents, texts, "feature/document")
    messages, splits = edges.collect(), split.collect()
    tasks = task_index.select(pl.len()).collect().item()
    labelled = documents.join(
        labels.collect(), on=["kind", "id"], how="left", maintain_order="left"
    )
    y = multi_hot(labelled["labels"], tasks)
    protocols = [
        protocol_of(name, documents, messages, texts, splits, day)
        for name in trainable(splits, PROTOCOLS)
    ]
    frames, figures = [pl.DataFrame(schema=schema_of(TABLE_COLUMNS))], []
    for variant in sorted(encoder.variants):
        corpus = read_corpus(texts.select(words_of(variant)).to_series())
        for protocol in protocols:
            started = time.perf_counter()
            tell = partial(context.log.info, "words of %s texts, %s: %s", variant, protocol.name)
            stacked = scored(corpus, y, protocol, config, tell)
            save_classifier(classifier_path(directory, variant, protocol.name), stacked.classifier)
            frames.append(score_table(documents, variant, protocol.name, stacked.scores))
            judged = protocol.validation
            # Of a row without text words tell nothing, which is no half-way speaking for a task.
            alone = np.where(corpus.filled[:, None], stacked.scores, ABSENT)
            figures.append(
                Figures(
                    variant,
                    protocol.name,
                    len(stacked.classifier.terms),
                    int((protocol.train & corpus.filled).sum()),
                    time.perf_counter() - started,
                    *validation_figures(y[judged], alone[judged]),
                )
            )
            tell(told(figures[-1]))
    context.add_output_metadata(
        {
            "hfkg/words_alone": dg.MetadataValue.md(as_markdown(figures)),
            "hfkg/config": dg.MetadataValue.json(config.model_dump()),
        }
    )
    return pl.concat(frames)


def words_of(variant: str) -> pl.Expr:
    """The text whose words are read: a README's code is no sentence for an encoder, but says much
    to who counts words, such as which class of a library is loaded."""
    return pl.concat_str("clean", "code", separator="\n") if variant == "clean" else pl.col(variant)


def scored(
    corpus: Corpus,
    y: np.ndarray,
    protocol: Protocol,
    config: TermConfig,
    log: Log = lambda message: None,
) -> Stacked:
    """Scores of all documents of one variant in one protocol."""
    return stacked_scores(
        corpus,
        y,
        protocol.train,
        protocol.groups,
        folds=config.folds,
        most_terms=config.most_terms,
        regularisation=config.regularisation,
        log=log,
    )


def told(f: Figures) -> str:
    """One line of a log."""
    return (
        f"{f.rows:,} training texts, {f.terms:,} terms, {f.seconds:.1f} s; "
        f"validation micro-F1 {f.micro_f1:.4f}, average precision {f.average_precision:.4f}"
    )
