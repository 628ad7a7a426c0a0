"""How a network is trained: full batch, early stopping, the best epoch's weights kept.

Imports torch at module level: import this module only where something is really trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from hfkg_assets.classification.metrics import THRESHOLD
from hfkg_assets.classification.networks import build_network


@dataclass(frozen=True)
class TrainingOptions:
    """What a training run is told.

    Attributes:
        hidden: width of the hidden layer.
        dropout: share of hidden values dropped.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        epochs: at most this many.
        patience: epochs without a better validation score before it stops.
    """

    hidden: int = 256
    dropout: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    epochs: int = 200
    patience: int = 30


@dataclass(frozen=True)
class Messages:
    """Edges usable at one stage: edge_index int64 [2, E] and edge_type int64 [E], both ways."""

    edge_index: torch.Tensor
    edge_type: torch.Tensor


@dataclass(frozen=True)
class GraphData:
    """Everything a network is trained and judged on.

    Attributes:
        x: features, float32 [nodes, features], scaled.
        y: labels, float32 [nodes, tasks].
        masks: split name → bool [nodes].
        messages: split name → the edges usable when that split is predicted.
        edge_types: number of edge types, directions counted apart.
    """

    x: torch.Tensor
    y: torch.Tensor
    masks: dict[str, torch.Tensor]
    messages: dict[str, Messages]
    edge_types: int


@dataclass
class Fit:
    """What came of a training run.

    Attributes:
        best_epoch: the epoch whose weights the network now has, from 0.
        losses: training loss per epoch.
        scores: validation score per epoch.
    """

    best_epoch: int = -1
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def standardize(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance per column, fitted on the given rows only.

    Without it a GCN on normalized embeddings learns nothing (all scores stay near the prior).
    """
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(x[rows]).transform(x).astype(np.float32)


def micro_f1(logits: torch.Tensor, truth: torch.Tensor) -> float:
    """Micro-averaged F1 of logits [n, tasks] against zeros and ones [n, tasks]."""
    predicted, truth = torch.sigmoid(logits) > THRESHOLD, truth > 0.5
    hits = (predicted & truth).sum().item()
    asked = predicted.sum().item() + truth.sum().item()
    return 2 * hits / asked if asked else 0.0


def fit(
    network: nn.Module,
    data: GraphData,
    options: TrainingOptions,
    score: Callable[[torch.Tensor, torch.Tensor], float] = micro_f1,
) -> Fit:
    """Trains a network and leaves it with the weights of its best validation epoch.

    The best weights are copied when they are seen: a state dict only refers to parameters that
    the next step changes in place.

    Args:
        network: takes (x, edge_index, edge_type), gives logits; changed in place.
        data: the graph.
        options: epochs, patience, learning rate.
        score: validation score of logits and labels, greater is better.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    result = Fit()
    best: dict[str, torch.Tensor] = {}
    best_key = (-1.0, 0.0)
    criterion = nn.BCEWithLogitsLoss()
    train, validation = data.masks["train"], data.masks["validation"]
    for epoch in range(options.epochs):
        network.train()
        optimizer.zero_grad()
        logits = predict_logits(network, data, "train")
        loss = criterion(logits[train], data.y[train])
        loss.backward()
        optimizer.step()

        network.eval()
        with torch.no_grad():
            logits = predict_logits(network, data, "validation")
        judged, truth = logits[validation], data.y[validation]
        result.losses.append(loss.item())
        result.scores.append(score(judged, truth))
        # While nothing passes the threshold every score is 0: the loss tells what still improves.
        key = (result.scores[-1], -criterion(judged, truth).item())
        if key > best_key:
            result.best_epoch, best_key = epoch, key
            best = {name: value.detach().clone() for name, value in network.state_dict().items()}
        elif epoch - result.best_epoch >= options.patience:
            break
    network.load_state_dict(best)
    network.eval()
    return result


def predict_logits(network: nn.Module, data: GraphData, stage: str) -> torch.Tensor:
    """Logits [nodes, tasks] with the edges usable at a stage."""
    messages = data.messages[stage]
    return network(data.x, messages.edge_index, messages.edge_type)


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network's outcome: weights, history, scores [nodes, tasks] per judged split."""

    state: dict[str, torch.Tensor]
    history: Fit
    scores: dict[str, np.ndarray]


def train_network(
    name: str, data: GraphData, options: TrainingOptions, seed: int
) -> TrainedNetwork:
    """Builds, trains and applies one network.

    Raises:
        ValueError: unknown name, or a split without nodes.
    """
    for split, mask in data.masks.items():
        if not mask.any():
            raise ValueError(f"the {split} split has no node: choose a later snapshot or protocol")
    seed_everything(seed)
    network = build_network(
        name,
        data.x.shape[1],
        data.y.shape[1],
        data.edge_types,
        hidden=options.hidden,
        dropout=options.dropout,
    )
    history = fit(network, data, options)
    with torch.no_grad():
        scores = {
            split: torch.sigmoid(predict_logits(network, data, split)[data.masks[split]]).numpy()
            for split in ("validation", "test")
        }
    return TrainedNetwork(network.state_dict(), history, scores)
