"""TransE, RotatE, ComplEx and DistMult on the triples of one run, with PyG's models.

The models and their parameters are `torch_geometric.nn.kge`'s. What differs is how many candidates
are scored: PyG scores triple by triple, here a batch of questions meets all candidates in one
matrix product or one matrix of distances (`replaced_heads`). So training can compare each triple
with many wrong ones at once by a softmax over them (best in Ruffinelli et al., ICLR 2020), and a
whole test set is ranked in a moment. Tests hold the scores against PyG's own.

Belongs here: training and scoring by numbers of entities. Does not: models of the Hub, files.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn.kge import ComplEx, DistMult, KGEModel, RotatE, TransE

from hfkg_assets.tracing.ranking import ranking_metrics, realistic_ranks

MODELS: dict[str, type[KGEModel]] = {
    "transe": TransE,
    "rotate": RotatE,
    "complex": ComplEx,
    "distmult": DistMult,
}

LEARNING_RATES = {"transe": 0.05, "rotate": 0.005, "complex": 0.05, "distmult": 0.05}
"""Adam's, where none is given: chosen on validation triples of the sample Hub."""

SMALL = 50_000
"""Triples up to which one thread is quicker than several."""

STEEPNESS = 10.0
"""Factor of distances in the softmax at the start of training; it is learnt with them."""

PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class EmbeddingOptions:
    """How embeddings are trained.

    Attributes:
        dimension: width of an entity's vector, of each of its two parts where it is complex.
        epochs: at most.
        batch: triples at once; 0 for a 16th of all, between 128 and 4,096.
        negatives: entities that a batch is compared with, drawn anew for each; all where there are
            fewer.
        learning_rate: Adam's; null for that of `LEARNING_RATES`.
        check_every: epochs between looks at the validation triples.
        patience: looks without a better MRR before training ends.
    """

    dimension: int = 64
    epochs: int = 100
    batch: int = 0
    negatives: int = 1_024
    learning_rate: float | None = None
    check_every: int = 3
    patience: int = 5


@dataclass(frozen=True)
class Asked:
    """Questions for the head of a triple, as entity numbers, int64 [q] each.

    Attributes:
        relation, tail: what is asked.
        head: the answer.
        other: rows of the questions and heads that are right as well, int64 [2, m].
    """

    relation: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    other: np.ndarray


@dataclass(frozen=True)
class Trained:
    """An embedding with the weights of its best look at validation.

    Attributes:
        model: PyG's.
        best_epoch: after which its weights were taken, from 1; 0 where none was trained.
        losses: mean loss of each epoch.
        scores: filtered MRR at each look.
    """

    model: KGEModel
    best_epoch: int
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


# --- scores of all candidates --------------------------------------------------------------------


def replaced_heads(model: KGEModel, heads: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
    """Scores of each head in each triple, float32 [b, k]: PyG's `model(head, relation, tail)`.

    Args:
        model: one of `MODELS`.
        heads: int64 [k].
        relation, tail: int64 [b].
    """
    match model:
        case TransE():  # |h + r - t| = |h - (t - r)|
            query = _unit(model, tail) - model.rel_emb(relation)
            return -_distances(query, _unit(model, heads), model.p_norm)
        case RotatE():  # a rotation keeps lengths: |h r - t| = |h - t / r|
            angle = -model.rel_emb(relation)
            return model.margin - _distances(_turned(model, tail, angle), _both(model, heads))
        case ComplEx():
            relation_re, relation_im = model.rel_emb(relation), model.rel_emb_im(relation)
            re, im = model.node_emb(tail), model.node_emb_im(tail)
            query = torch.cat(
                [relation_re * re + relation_im * im, relation_re * im - relation_im * re], dim=1
            )
            return query @ _both(model, heads).T
        case DistMult():
            return (model.rel_emb(relation) * model.node_emb(tail)) @ model.node_emb(heads).T
    raise TypeError(f"{type(model).__name__} is none of {', '.join(MODELS)}")


def replaced_tails(model: KGEModel, tails: Tensor, relation: Tensor, head: Tensor) -> Tensor:
    """Scores of each tail in each triple, float32 [b, k]: PyG's `model(head, relation, tail)`.

    Args:
        model: one of `MODELS`.
        tails: int64 [k].
        relation, head: int64 [b].
    """
    match model:
        case TransE():
            query = _unit(model, head) + model.rel_emb(relation)
            return -_distances(query, _unit(model, tails), model.p_norm)
        case RotatE():
            angle = model.rel_emb(relation)
            return model.margin - _distances(_turned(model, head, angle), _both(model, tails))
        case ComplEx():
            relation_re, relation_im = model.rel_emb(relation), model.rel_emb_im(relation)
            re, im = model.node_emb(head), model.node_emb_im(head)
            query = torch.cat(
                [relation_re * re - relation_im * im, relation_re * im + relation_im * re], dim=1
            )
            return query @ _both(model, tails).T
        case DistMult():
            return (model.rel_emb(relation) * model.node_emb(head)) @ model.node_emb(tails).T
    raise TypeError(f"{type(model).__name__} is none of {', '.join(MODELS)}")


def _unit(model: TransE, entities: Tensor) -> Tensor:
    return F.normalize(model.node_emb(entities), p=model.p_norm, dim=-1)


def _both(model: RotatE | ComplEx, entities: Tensor) -> Tensor:
    """Real and imaginary parts side by side."""
    return torch.cat([model.node_emb(entities), model.node_emb_im(entities)], dim=1)


def _turned(model: RotatE, entities: Tensor, angle: Tensor) -> Tensor:
    re, im = model.node_emb(entities), model.node_emb_im(entities)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.cat([cos * re - sin * im, cos * im + sin * re], dim=1)


def _distances(query: Tensor, entities: Tensor, p: float = 2.0) -> Tensor:
    if p == 2.0 and torch.is_grad_enabled():
        # Over a matrix product: many times as quick, but inexact where two are near each other.
        squares = query.square().sum(1, keepdim=True) + entities.square().sum(1)
        return (squares - 2 * query @ entities.T).clamp(min=1e-12).sqrt()
    return torch.cdist(query, entities, p=p, compute_mode="donot_use_mm_for_euclid_dist")


def empty_model(name: str, entities: int, relations: int, dimension: int) -> KGEModel:
    """A model that has learnt nothing. TransE measures plain distances, which is quicker.

    Args:
        name: one of `MODELS`.
        entities, relations: how many there are.
        dimension: width of a vector.
    """
    options = {"p_norm": 2.0} if name == "transe" else {}
    return MODELS[name](entities, relations, dimension, **options)


# --- training ------------------------------------------------------------------------------------


def train(
    name: str,
    triples: np.ndarray,
    validation: Asked,
    entities: int,
    relations: int,
    options: EmbeddingOptions,
    seed: int,
    log: Callable[[str], None] = lambda message: None,
) -> Trained:
    """Trains one model until its MRR on validation questions no longer grows.

    Args:
        name: one of `MODELS`.
        triples: heads, relations, tails of training, int64 [3, n].
        validation: questions that decide which epoch is best; without any, the last one is.
        entities, relations: how many there are.
        options: how.
        seed: of first values and draws. Training leaves torch's own generator as it was.
        log: told of progress every ten seconds.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = empty_model(name, entities, relations, options.dimension)
        rate = options.learning_rate or LEARNING_RATES[name]
        with _threads(1 if triples.shape[1] <= SMALL else torch.get_num_threads()):
            return _train(model, torch.tensor(triples), validation, options, rate, log)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    model: KGEModel,
    triples: Tensor,
    validation: Asked,
    options: EmbeddingOptions,
    rate: float,
    log: Callable[[str], None],
) -> Trained:
    steepness = torch.nn.Parameter(torch.tensor(math.log(STEEPNESS)))
    steep = steepness if isinstance(model, TransE | RotatE) else None
    parameters = [*model.parameters(), *([] if steep is None else [steep])]
    optimizer = torch.optim.Adam(parameters, lr=rate)
    n = triples.shape[1]
    size = options.batch or min(4_096, max(128, n // 16))
    losses: list[float] = []
    scores: list[float] = []
    best, best_epoch, kept = -1.0, 0, copy.deepcopy(model.state_dict())
    said = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for rows in torch.randperm(n).split(size):
            optimizer.zero_grad()
            loss = _loss(model, triples[:, rows], options.negatives, steep)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / max(n, 1))
        if epoch % options.check_every == 0 or epoch == options.epochs:
            scores.append(validation_mrr(model, validation))
            if scores[-1] > best or not len(validation.head):
                best, best_epoch, kept = scores[-1], epoch, copy.deepcopy(model.state_dict())
            checks = math.ceil((epoch - best_epoch) / options.check_every)
            if checks >= options.patience:
                break
        if time.perf_counter() - said > PROGRESS_SECONDS:
            said = time.perf_counter()
            log(f"epoch {epoch} of {options.epochs}, loss {losses[-1]:.4f}, best MRR {best:.4f}")
    model.load_state_dict(kept)
    return Trained(model.eval(), best_epoch, losses, scores)


def _loss(model: KGEModel, batch: Tensor, negatives: int, steepness: Tensor | None) -> Tensor:
    """Cross entropy of the right head, and of the right tail, among many entities."""
    head, relation, tail = batch
    entities = model.num_nodes
    if negatives < entities:
        drawn = torch.randint(entities, (negatives,))
        pool, place = torch.cat([torch.stack([head, tail]).flatten(), drawn]).unique(
            return_inverse=True
        )
        right_head, right_tail = place[: len(head)], place[len(head) : 2 * len(head)]
    else:
        pool, right_head, right_tail = torch.arange(entities), head, tail
    by_head = replaced_heads(model, pool, relation, tail)
    by_tail = replaced_tails(model, pool, relation, head)
    if steepness is not None:
        by_head, by_tail = by_head * steepness.exp(), by_tail * steepness.exp()
    return F.cross_entropy(by_head, right_head) + F.cross_entropy(by_tail, right_tail)


# --- judging -------------------------------------------------------------------------------------


@torch.no_grad()
def head_scores(model: KGEModel, relation: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Scores of every entity as head, float32 [q, entities].

    Args:
        model: one of `MODELS`.
        relation, tail: int64 [q].
    """
    everyone = torch.arange(model.num_nodes)
    return replaced_heads(model, everyone, torch.tensor(relation), torch.tensor(tail)).numpy()


def validation_mrr(model: KGEModel, asked: Asked) -> float:
    """Filtered MRR of some questions among all entities; 0 without any."""
    if not len(asked.head):
        return 0.0
    step = max(1, 4_000_000 // model.num_nodes)
    ranks = []
    for start in range(0, len(asked.head), step):
        rows = slice(start, start + step)
        scores = head_scores(model, asked.relation[rows], asked.tail[rows])
        other = asked.other[:, (asked.other[0] >= start) & (asked.other[0] < start + step)]
        targets = asked.head[rows]
        own = scores[np.arange(len(targets)), targets].copy()
        scores[other[0] - start, other[1]] = np.nan
        scores[np.arange(len(targets)), targets] = own
        ranks.append(realistic_ranks(scores, targets))
    return ranking_metrics(np.concatenate(ranks))["mrr"]
