"""What a learner is trained and judged on, in memory: features, labels, what each split may see.

What may be seen is decided by the rules of `stages`; features are scaled as the training nodes'
texts ask, as far as those could be seen in training.

Imports torch at module level: import this module only where something is really trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import torch

from hfkg_assets.classification.graph import DOCUMENT_KINDS, EDGE_RELATIONS, NODE_KINDS
from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.splits import PROTOCOLS, SPLITS
from hfkg_assets.classification.stages import (
    expect_documents,
    known_labels,
    split_masks,
    usable_edges,
    visible_texts,
)

ROWS_AT_A_TIME = 65_536

LEAST_DEVIATION = 1e-6
"""Less is rounding of what is constant."""

SCORE_DEVIATION = 2.0
"""Of word scores, where one feature of a text has 1: each of them tells more than one of those."""


@dataclass(frozen=True)
class Stage:
    """What may be seen while one split is predicted.

    Attributes:
        edge_index: int64 [2, E], both directions of every usable edge.
        edge_type: int64 [E]; type t in one direction is t + relations in the other.
        visible: bool [documents]: whose text may be read.
        known: bool [documents]: whose labels may be read.
    """

    edge_index: torch.Tensor
    edge_type: torch.Tensor
    visible: torch.Tensor
    known: torch.Tensor


@dataclass(frozen=True)
class TrainingData:
    """One protocol's data. Nodes are numbered documents first, then context nodes.

    Attributes:
        x: features, float32 [documents, features], scaled; a row of zeros where there is no text.
            Word scores are columns of them too, the last ones, where they are asked for.
        y: labels, float32 [documents, tasks]; zero for nodes in no split.
        masks: split name → bool [documents].
        node_kind: int64 [nodes], position in `graph.NODE_KINDS`.
        stages: split name → what may be seen while it is predicted.
        relations: number of relations; edge types are twice as many.
        mean, scale: float32 [features], with which features were scaled.
        words: whether the last columns of the features are word scores, one for each task.
    """

    x: torch.Tensor
    y: torch.Tensor
    masks: dict[str, torch.Tensor]
    node_kind: torch.Tensor
    stages: dict[str, Stage]
    relations: int
    mean: torch.Tensor
    scale: torch.Tensor
    words: bool = False


def prepare(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    features: pl.DataFrame,
    labels: pl.DataFrame,
    split: pl.DataFrame,
    *,
    tasks: int,
    protocol: str,
    variant: str,
    day: date,
    term_scores: pl.DataFrame | None = None,
) -> TrainingData:
    """The training data of one protocol and text variant.

    Args:
        nodes: `classification/node`.
        edges: `classification/graph`.
        features: `feature/node_features`, of several variants.
        labels: `classification/labels`.
        split: `classification/split`.
        tasks: number of tasks.
        protocol: how nodes are split.
        variant: whose features are taken.
        day: the snapshot date.
        term_scores: `classification/term_scores`, of several variants and protocols: columns after
            the features; None leaves them out.

    Raises:
        ValueError: the protocol or variant is not there, the features or scores are not those of
            the nodes, or there is no training node.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    documents = nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS))
    masks = split_masks(documents, split, protocol)
    if not masks["train"].any():
        raise ValueError(f"the {protocol} protocol has no training node")
    visible = visible_texts(documents, protocol, day)
    seen = masks["train"] & visible["train"]
    x, mean, scale = scaled(_rows_of(features, nodes, variant), seen)
    if term_scores is not None:
        words = scaled_alike(_scores_of(term_scores, nodes, variant, protocol, tasks), seen)
        both = zip((x, mean, scale), words, strict=True)
        x, mean, scale = (np.concatenate(parts, axis=-1) for parts in both)
    every = _both_ways(edges)
    stages = {
        name: Stage(
            *_shown(every, usable_edges(nodes, edges, protocol, day, name)),
            visible=torch.from_numpy(visible[name]),
            known=torch.from_numpy(known_labels(masks, name)),
        )
        for name in SPLITS
    }
    joined = documents.join(labels, on=["kind", "id"], how="left", maintain_order="left")
    in_a_split = np.any(list(masks.values()), axis=0)
    number = {kind: position for position, kind in enumerate(NODE_KINDS)}
    return TrainingData(
        x=torch.from_numpy(x),
        y=torch.from_numpy(multi_hot(joined["labels"], tasks) * in_a_split[:, None]),
        masks={name: torch.from_numpy(mask) for name, mask in masks.items()},
        node_kind=_tensor(nodes["kind"].replace_strict(number, return_dtype=pl.Int64)),
        stages=stages,
        relations=len(EDGE_RELATIONS),
        mean=torch.from_numpy(mean),
        scale=torch.from_numpy(scale),
        words=term_scores is not None,
    )


# --- matrices ------------------------------------------------------------------------------------


def scaled(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zero mean and unit variance per column, fitted on some rows only.

    Without it a GCN on normalized embeddings learns nothing (all scores stay near the prior). A row
    of zeros has no text: it counts in no mean and stays zero, which after scaling is an average
    document. A constant column is only shifted.

    Args:
        x: float32 [n, features]; changed in place.
        rows: bool [n]: where it is fitted.

    Returns:
        x scaled; mean and scale, float32 [features].
    """
    from sklearn.preprocessing import StandardScaler

    filled = x.any(axis=1)
    scaler = StandardScaler()
    for part in _parts(np.flatnonzero(rows & filled)):
        scaler.partial_fit(x[part])
    if not (rows & filled).any():
        return x, np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32)
    mean, scale = scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)
    x -= mean
    x /= scale
    x[~filled] = 0.0
    return x, mean, scale


def scaled_alike(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zero mean per column and one scale for all, fitted on some rows only.

    Scores of all tasks are in one unit already, distance from a margin. Scores of a rare task are
    nearly constant where they were fitted: divided by their own deviation, another row's would be
    of a size that a network never saw. Rows of zeros are as in `scaled`.

    Args:
        x: float32 [n, tasks].
        rows: bool [n]: where it is fitted.

    Returns:
        x scaled, its mean variance over columns `SCORE_DEVIATION` squared; mean and scale,
        float32 [tasks].
    """
    filled = x.any(axis=1)
    fitted = x[rows & filled]
    mean, scale = np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32)
    if len(fitted):
        mean = fitted.mean(axis=0, dtype=np.float64).astype(np.float32)
        deviation = float(np.sqrt(fitted.var(axis=0, dtype=np.float64).mean()))
        if deviation > LEAST_DEVIATION:
            scale *= deviation / SCORE_DEVIATION
    x = (x - mean) / scale
    x[~filled] = 0.0
    return x, mean, scale


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + ROWS_AT_A_TIME] for start in range(0, len(rows), ROWS_AT_A_TIME)]


def _rows_of(features: pl.DataFrame, nodes: pl.DataFrame, variant: str) -> np.ndarray:
    """One variant's features as a matrix of their own [documents, features]."""
    own = features.filter(pl.col("variant") == variant)
    if own.is_empty():
        there = features["variant"].unique().sort().to_list()
        raise ValueError(f"feature/node_features has no variant {variant!r}, only {there}")
    expect_documents(nodes, own, "feature/node_features")
    return np.array(own["features"].to_numpy(), dtype=np.float32, order="C")


def _scores_of(
    term_scores: pl.DataFrame, nodes: pl.DataFrame, variant: str, protocol: str, tasks: int
) -> np.ndarray:
    """One variant's and protocol's word scores as a matrix [documents, tasks]."""
    own = term_scores.filter(pl.col("variant") == variant, pl.col("protocol") == protocol)
    if own.is_empty():
        raise ValueError(
            f"classification/term_scores has nothing of {variant} texts in the {protocol} "
            "protocol: materialize it again"
        )
    expect_documents(nodes, own, "classification/term_scores")
    if not (own["scores"].list.len() == tasks).all():
        raise ValueError("classification/term_scores is of other tasks: materialize it again")
    return own["scores"].list.to_array(tasks).to_numpy()


def _both_ways(edges: pl.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges and their types in both directions."""
    number = {name: position for position, name in enumerate(EDGE_RELATIONS)}
    kind = _tensor(edges["relation"].replace_strict(number, return_dtype=pl.Int64))
    forward = torch.stack([_tensor(edges["source"]), _tensor(edges["target"])])
    return (
        torch.cat([forward, forward.flip(0)], dim=1),
        torch.cat([kind, kind + len(EDGE_RELATIONS)]),
    )


def _shown(
    every: tuple[torch.Tensor, torch.Tensor], usable: pl.Series
) -> tuple[torch.Tensor, torch.Tensor]:
    """The usable ones of all edges; themselves, not a copy, where all are."""
    if usable.all():
        return every
    both = torch.from_numpy(usable.to_numpy(writable=True)).repeat(2)
    return every[0][:, both], every[1][both]


def _tensor(column: pl.Series) -> torch.Tensor:
    return torch.from_numpy(column.to_numpy(writable=True))
