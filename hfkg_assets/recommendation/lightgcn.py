"""LightGCN (He et al., SIGIR 2020, arXiv 2002.02126) trained by Bayesian personalised ranking.

Embeddings of users and items are averaged over neighbours again and again; what is used is the mean
over all steps, as in `torch_geometric.nn.models.LightGCN`. The graph may have further nodes joined
to the items: what is known of them besides likes. Belongs here: the propagation and its training.
Does not: what is done with the scores. Imports torch at module level: import this module only where
something is really trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hfkg_assets.classification.sparse_products import SparseMatrix
from hfkg_assets.recommendation.data import Likes
from hfkg_assets.recommendation.metrics import ENOUGH, Score, judge

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MONITOR = "ndcg_20"
"""Metric on validation likes by which the epoch is chosen."""
PROGRESS_SECONDS = 10.0
SMALL = 200_000
"""Edges up to which one thread is quicker than handing work to several."""


@dataclass(frozen=True)
class LightGcnOptions:
    """What a training run is told.

    Attributes:
        width: of an embedding.
        layers: propagation steps.
        learning_rate: Adam's.
        regularisation: weight of the squared length of the embeddings of a batch.
        epochs: at most this many; each goes through the likes once.
        patience: judgements without a better one before it stops.
        judge_every: epochs between two judgements on validation likes.
        batch: likes of a step; None for 4,096, or a sixteenth of all where that is more.
    """

    width: int = 32
    layers: int = 2
    learning_rate: float = 0.02
    regularisation: float = 0.03
    epochs: int = 60
    patience: int = 4
    judge_every: int = 3
    batch: int | None = None


@dataclass
class Trained:
    """A trained model.

    Attributes:
        users, items: float32 [n, width], the final embeddings of the best epoch.
        best_epoch: which that was, from 1.
        losses: per epoch.
        scores: `MONITOR` per judgement.
    """

    users: np.ndarray
    items: np.ndarray
    best_epoch: int
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def score(self) -> Score:
        return dot_products(self.users, self.items)


def dot_products(users: np.ndarray, items: np.ndarray) -> Score:
    """The recommender of embeddings: their products."""
    return lambda chosen: users[chosen] @ items.T


def adjacency(train: csr_matrix, evidence: Sequence[csr_matrix] = ()) -> csr_matrix:
    """The graph of users, items and what these are joined with, symmetrically normalised.

    Args:
        train: users × items.
        evidence: items × further nodes each.

    Returns:
        Square, float32; D^-1/2 A D^-1/2.
    """
    from scipy.sparse import block_array, diags, hstack

    known = hstack(evidence, format="csr") if evidence else None
    if known is not None:
        known.data[:] = 1
        rows = [[None, train, None], [train.T, None, known], [None, known.T, None]]
    else:
        rows = [[None, train], [train.T, None]]
    graph = block_array(rows, format="csr")
    scale = diags(1 / np.sqrt(np.maximum(np.diff(graph.indptr), 1)))
    matrix = (scale @ graph @ scale).tocsr().astype(np.float32)
    matrix.sort_indices()
    return matrix


def as_tensor(matrix: csr_matrix) -> SparseMatrix:
    """A SciPy matrix for products with gradients."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    row, column = (torch.from_numpy(end.astype(np.int64)) for end in (rows, matrix.indices))
    return SparseMatrix(row, column, torch.from_numpy(matrix.data), matrix.shape)


def propagated(embedding: Tensor, graph: SparseMatrix, layers: int) -> Tensor:
    """The mean of the embeddings over no, one, … `layers` steps."""
    total = step = embedding
    for _ in range(layers):
        step = graph @ step
        total = total + step
    return total / (layers + 1)


def train_lightgcn(
    likes: Likes,
    options: LightGcnOptions,
    seed: int,
    evidence: Sequence[csr_matrix] = (),
    epochs: int | None = None,
    log: Callable[[str], None] = lambda message: None,
) -> Trained:
    """Trains on all likes of training, against items that the user has not liked.

    Args:
        likes: what is learnt from, and the validation likes that choose the epoch.
        options: how.
        seed: of the first embeddings, the order and what likes are compared with.
        evidence: items × further nodes, joined to the graph.
        epochs: trains exactly so many and judges none, as for the whole data.
        log: told of progress every ten seconds.
    """
    threads = torch.get_num_threads()
    if likes.train.nnz < SMALL:
        torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _train(likes, options, seed, evidence, epochs, log)
    finally:
        torch.set_num_threads(threads)


def _train(
    likes: Likes,
    options: LightGcnOptions,
    seed: int,
    evidence: Sequence[csr_matrix],
    fixed: int | None,
    log: Callable[[str], None],
) -> Trained:
    rng = np.random.default_rng(seed)
    matrix = adjacency(likes.train, evidence)
    graph = as_tensor(matrix)
    embedding = torch.nn.Parameter(torch.empty(matrix.shape[0], options.width))
    torch.nn.init.xavier_uniform_(embedding)
    adam = torch.optim.Adam([embedding], lr=options.learning_rate)
    user = np.repeat(np.arange(likes.users), np.diff(likes.train.indptr))
    item = likes.train.indices.astype(np.int64)
    liked = user * likes.items + item  # ascending
    best: Trained | None = None
    batch = options.batch or max(4_096, -(-len(user) // 16))
    losses, scores, told = [], [], time.perf_counter()
    for epoch in range(1, (fixed or options.epochs) + 1):
        order = rng.permutation(len(user))
        losses.append(0.0)
        for begin in range(0, len(order), batch):
            rows = order[begin : begin + batch]
            other = unliked(rng, user[rows], liked, likes.items)
            ends = [
                torch.from_numpy(numbers)
                for numbers in (user[rows], likes.users + item[rows], likes.users + other)
            ]
            final = propagated(embedding, graph, options.layers)
            of_user, of_liked, of_other = (final[numbers] for numbers in ends)
            margin = (of_user * (of_liked - of_other)).sum(dim=1)
            length = embedding[torch.cat(ends)].square().sum() / len(rows)
            loss = functional.softplus(-margin).mean() + options.regularisation * length
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses[-1] += float(loss.detach()) * len(rows) / len(order)
        if time.perf_counter() - told > PROGRESS_SECONDS:
            told = time.perf_counter()
            log(f"epoch {epoch}: loss {losses[-1]:.4f}")
        if fixed or epoch % options.judge_every:
            continue
        now = _final(embedding, graph, options, likes, epoch)
        found = judge(now.score, likes.train, likes.judged["valid"], likes.order, most=ENOUGH)
        scores.append(found[MONITOR])
        if best is None or scores[-1] > max(scores[:-1]):
            best = now
        elif epoch - best.best_epoch >= options.patience * options.judge_every:
            break
    result = best or _final(embedding, graph, options, likes, fixed or options.epochs)
    result.losses, result.scores = losses, scores
    return result


def _final(
    embedding: Tensor, graph: SparseMatrix, options: LightGcnOptions, likes: Likes, epoch: int
) -> Trained:
    with torch.no_grad():
        final = propagated(embedding, graph, options.layers).numpy()
    users, end = likes.users, likes.users + likes.items
    return Trained(final[:users].copy(), final[users:end].copy(), epoch)


def unliked(
    rng: np.random.Generator, users: np.ndarray, liked: np.ndarray, items: int
) -> np.ndarray:
    """For each user an item that the user does not like, at random; after ten draws any.

    Args:
        rng: where chance comes from.
        users: int64 [n].
        liked: `user * items + item` of all likes, ascending.
        items: number of items.
    """
    other = rng.integers(items, size=len(users))
    for _ in range(10):
        key = users * items + other
        place = np.minimum(np.searchsorted(liked, key), len(liked) - 1)
        wrong = np.flatnonzero(liked[place] == key)
        if not len(wrong):
            break
        other[wrong] = rng.integers(items, size=len(wrong))
    return other
