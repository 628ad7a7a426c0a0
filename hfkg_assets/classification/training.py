"""How a network is trained: losses, label reuse, early stopping, batches, seeds.

Belongs here: everything from prepared data to scores. Does not: the networks, the preparation of
the data, and what is stored. Imports torch at module level: import this module only where
something is really trained.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional

from hfkg_assets.classification.allocator import keep_freed_memory
from hfkg_assets.classification.correct_and_smooth import correct_and_smooth
from hfkg_assets.classification.graph import NODE_KINDS
from hfkg_assets.classification.networks import Inputs, Network, build_network
from hfkg_assets.classification.sampling import ALL, NeighbourSampler
from hfkg_assets.classification.training_data import SPLITS, TrainingData

JUDGED = SPLITS[1:]
ALL_ROWS = slice(None)
PROGRESS_SECONDS = 10.0
HINTED_SHARE = 0.5

FOCAL_GAMMA, FOCAL_ALPHA = 2.0, 0.25
"""As Lin et al. set them, arXiv 1708.02002."""

LEAST_SHARE = 1e-3
"""Share of the documents that a task is taken to have at the start, if it has less."""

SMALL = 4_000_000
"""Feature values up to which one thread is quicker than handing work to several."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class TrainingOptions:
    """What a training run is told.

    Attributes:
        hidden: width of the hidden layers.
        layers: propagation steps, or hidden layers where there is no graph.
        dropout: share of hidden values dropped.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        epochs: at most this many.
        patience: epochs without a better validation score before it stops.
        loss: `bce`, or `focal` (Lin et al., arXiv 1708.02002).
        monitor: validation score that chooses the epoch, a key of `MONITORS`.
        label_reuse: whether known labels of other documents are input too, as in UniMP
            (arXiv 2009.03509): half of the training labels are, drawn anew each epoch, while the
            loss is that of the other half.
        correct_and_smooth: whether scores are also post-processed, arXiv 2010.13993.
        batch_nodes: documents of a training batch; null for all at once, where memory allows.
        fanout: most edges into a node that a batch takes at each step.
        memory_gib: what training on all documents at once may need, by `full_batch_gib`; over
            it, batches of `DEFAULT_BATCH` are drawn.
    """

    hidden: int = 128
    layers: int = 2
    dropout: float = 0.5
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    epochs: int = 100
    patience: int = 20
    loss: str = "bce"
    monitor: str = "average_precision"
    label_reuse: bool = True
    correct_and_smooth: bool = False
    batch_nodes: int | None = None
    fanout: int = 10
    memory_gib: float = 16.0

    def __post_init__(self) -> None:
        for name, known in (("loss", LOSSES), ("monitor", MONITORS)):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")


@dataclass
class Fit:
    """What came of a training run.

    Attributes:
        best_epoch: the epoch whose weights the network now has, from 0.
        losses: training loss per epoch.
        scores: validation score per epoch, greater is better.
    """

    best_epoch: int = -1
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


OUTPUT_BIASES = ("bias", "itself.bias", "neighbours.bias", "linear.bias")
"""Where a convolution's bias may stand; the first that is there is added to its result."""


def start_at_prior(network: Network, share: torch.Tensor) -> None:
    """Sets the output bias so that training begins with each task about as likely as it is.

    As for focal loss (Lin et al., arXiv 1708.02002), but with each task's own share: otherwise the
    first epochs are spent on learning that most documents are not of most tasks.

    Args:
        network: changed in place.
        share: of the training documents that have each task, float32 [tasks].
    """
    parameters = dict(network.convolutions[-1].named_parameters())
    bias = next(parameters[name] for name in OUTPUT_BIASES if name in parameters)
    with torch.no_grad():
        bias.copy_(torch.logit(share, eps=LEAST_SHARE))


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network's outcome.

    Attributes:
        state: weights of the best epoch.
        history: losses and scores per epoch.
        scores: judged split → probabilities, float32 [rows of the split, tasks].
        smoothed: the same after Correct and Smooth; empty unless asked for.
    """

    state: dict[str, torch.Tensor]
    history: Fit
    scores: dict[str, np.ndarray]
    smoothed: dict[str, np.ndarray]


# --- losses and validation scores ----------------------------------------------------------------


def focal_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary focal loss, averaged over documents and tasks (Lin et al., arXiv 1708.02002)."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    missed = 1 - torch.exp(-cross_entropy)  # 1 - the probability given to what is true
    balance = torch.where(truth > 0.5, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    return (balance * missed**FOCAL_GAMMA * cross_entropy).mean()


def best_micro_f1(logits: torch.Tensor, truth: torch.Tensor) -> float:
    """Micro-averaged F1 at the one threshold for all tasks at which it is greatest."""
    hits, values = _by_falling_logit(logits, truth)
    predicted = torch.arange(1, len(hits) + 1)
    f1 = 2 * hits / (predicted + hits[-1])
    # A threshold lies between two different logits only.
    possible = torch.ones(len(values), dtype=torch.bool)
    possible[:-1] = values[:-1] != values[1:]
    return f1[possible].max().item()


def average_precision(logits: torch.Tensor, truth: torch.Tensor) -> float:
    """Micro-averaged average precision: all pairs of document and task in one ranking."""
    hits, _ = _by_falling_logit(logits, truth)
    precision = hits / torch.arange(1, len(hits) + 1)
    is_hit = torch.diff(hits, prepend=hits.new_zeros(1)) > 0
    return (precision[is_hit].sum() / hits[-1].clamp(min=1)).item()


def _by_falling_logit(
    logits: torch.Tensor, truth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels found among the first n, for each n, and the logits in that order."""
    values, order = torch.sort(logits.flatten(), descending=True, stable=True)
    return (truth.flatten()[order] > 0.5).cumsum(0), values


def negative_loss(logits: torch.Tensor, truth: torch.Tensor) -> float:
    """Binary cross-entropy with its sign turned: greater is better."""
    return -functional.binary_cross_entropy_with_logits(logits, truth).item()


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce": functional.binary_cross_entropy_with_logits,
    "focal": focal_loss,
}
MONITORS: dict[str, Callable[[torch.Tensor, torch.Tensor], float]] = {
    "micro_f1": best_micro_f1,
    "average_precision": average_precision,
    "loss": negative_loss,
}


# --- batches -------------------------------------------------------------------------------------

DEFAULT_BATCH = 4_096


def full_batch_gib(data: TrainingData, options: TrainingOptions) -> float:
    """GiB that training on all documents at once needs, about.

    Each stage may hold the features twice, as they are and propagated; each layer some values for
    each node and hidden unit, forwards and backwards.
    """
    features = 2 * len(SPLITS) * data.x.numel()
    hidden = 12 * options.layers * len(data.node_kind) * options.hidden
    return 4 * (features + hidden) / 2**30


@dataclass(frozen=True)
class Batch:
    """What one forward pass sees, and what is wanted of it.

    Attributes:
        inputs: of the network.
        rows: the documents that the inputs were made of; all, as a slice, in a full batch.
        places: which of the logits are wanted.
        documents: int64, whose logits these are.
    """

    inputs: Inputs
    rows: torch.Tensor | slice
    places: torch.Tensor | slice
    documents: torch.Tensor


class FullBatch:
    """Everything in one pass; what does not depend on weights is computed once for each split."""

    def __init__(self, network: Network, data: TrainingData) -> None:
        self.network, self.data = network, data
        self.inputs: dict[str, Inputs] = {}
        self.train = data.masks["train"].nonzero().squeeze(1)

    def training(self, documents: torch.Tensor, generator: torch.Generator) -> Iterator[Batch]:
        """One batch of some training documents."""
        places = torch.searchsorted(self.train, documents)
        yield Batch(self._inputs("train", self.train), ALL_ROWS, places, documents)

    def judging(self, split: str, documents: torch.Tensor) -> Iterator[Batch]:
        """One batch of some documents at the stage of a split: for a split always the same."""
        yield Batch(self._inputs(split, documents), ALL_ROWS, ALL_ROWS, documents)

    def _inputs(self, split: str, documents: torch.Tensor) -> Inputs:
        if split not in self.inputs:
            data = self.data
            wanted = torch.zeros(len(data.x), dtype=torch.bool)
            wanted[documents] = True
            self.inputs[split] = self.network.inputs(
                data.x, data.stages[split], data.node_kind, wanted
            )
        return self.inputs[split]


class Sampled:
    """Batches of documents with a sample of what they depend on.

    Judging takes every edge, so that scores are exact and equal in every call. It takes a step
    more than the network propagates, for a GCN weighs a message by its sender's degree.
    """

    def __init__(self, network: Network, data: TrainingData, options: TrainingOptions) -> None:
        self.network, self.data = network, data
        self.steps = options.layers if network.relations else 0
        self.fanout, self.size = options.fanout, options.batch_nodes or DEFAULT_BATCH
        self.samplers: dict[str, NeighbourSampler] = {}

    def training(self, documents: torch.Tensor, generator: torch.Generator) -> Iterator[Batch]:
        """Batches of some training documents, in random order."""
        shuffled = documents[torch.randperm(len(documents), generator=generator)]
        yield from self._batches("train", shuffled, [self.fanout] * self.steps, generator)

    def judging(self, split: str, documents: torch.Tensor) -> Iterator[Batch]:
        """Batches of some documents at the stage of a split, in their order."""
        yield from self._batches(split, documents, [ALL] * (self.steps + 1), None)

    def _batches(
        self,
        split: str,
        documents: torch.Tensor,
        fanouts: list[int],
        generator: torch.Generator | None,
    ) -> Iterator[Batch]:
        for seeds in documents.split(self.size):
            seeds = seeds.sort().values  # logits come in the order of documents
            part = self._sampler(split).sample(seeds, fanouts, generator)
            wanted = torch.zeros(len(part.rows), dtype=torch.bool)
            wanted[part.seeds] = True
            inputs = self.network.inputs(self.data.x[part.rows], part.stage, part.node_kind, wanted)
            yield Batch(inputs, part.rows, ALL_ROWS, seeds)

    def _sampler(self, split: str) -> NeighbourSampler:
        """Draws from those edges of a stage that the network uses."""
        if split not in self.samplers:
            stage = self.data.stages[split]
            used = stage.edge_type % self.data.relations < self.network.relations
            stage = replace(
                stage, edge_index=stage.edge_index[:, used], edge_type=stage.edge_type[used]
            )
            self.samplers[split] = NeighbourSampler(self.data, stage)
        return self.samplers[split]


def batches_of(
    network: Network, data: TrainingData, options: TrainingOptions
) -> FullBatch | Sampled:
    """How the documents are gone through: at once where that is allowed and memory suffices."""
    if options.batch_nodes is None and full_batch_gib(data, options) <= options.memory_gib:
        return FullBatch(network, data)
    return Sampled(network, data, options)


# --- label reuse ---------------------------------------------------------------------------------


def hints_of(labels: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Labels where they are known, else zeros, and a column that tells which they are.

    Args:
        labels: float32 [documents, tasks].
        known: bool [documents].

    Returns:
        float32 [documents, tasks + 1].
    """
    column = known.unsqueeze(1).to(labels.dtype)
    return torch.cat([labels * column, column], dim=1)


def hide_half(train: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Training documents that give their labels, as a mask, and the others as numbers.

    Args:
        train: bool [documents].
        generator: where the draw comes from.
    """
    hinted = train & (torch.rand(len(train), generator=generator) < HINTED_SHARE)
    asked = (train & ~hinted).nonzero().squeeze(1)
    if len(asked) == 0:  # of a handful of documents all may have been drawn
        return torch.zeros_like(train), train.nonzero().squeeze(1)
    return hinted, asked


# --- training ------------------------------------------------------------------------------------


def fit(
    network: Network,
    data: TrainingData,
    options: TrainingOptions,
    seed: int = 0,
    *,
    monitor: Callable[[torch.Tensor, torch.Tensor], float] | None = None,
    log: Log = lambda message: None,
) -> Fit:
    """Trains a network and leaves it with the weights of its best validation epoch.

    Args:
        network: changed in place.
        data: features, labels, and what each split may see.
        options: how.
        seed: of the draws of hints and batches.
        monitor: validation score of logits and labels; by default that of the options.
        log: told of progress every ten seconds.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = batches_of(network, data, options)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        fused=True,
    )
    monitor = monitor or MONITORS[options.monitor]
    train = data.masks["train"]
    validation = data.masks["validation"].nonzero().squeeze(1)
    truth = data.y[validation]
    result, progress = Fit(), Progress(options.epochs, log)
    weights = network.state_dict()  # refers to the weights, which change in place
    best: dict[str, torch.Tensor] = {}
    for epoch in range(options.epochs):
        loss = train_epoch(network, batches, data, train, options, optimizer, generator)
        score = monitor(logits_of(network, batches, data, "validation", validation), truth)
        result.losses.append(loss)
        result.scores.append(score)
        if not best or score > result.scores[result.best_epoch]:
            result.best_epoch = epoch
            best = {name: value.detach().clone() for name, value in weights.items()}
        elif epoch - result.best_epoch >= options.patience:
            break
        progress.tell(epoch, f"loss {loss:.4f}, validation {options.monitor} {score:.4f}")
    network.load_state_dict(best)
    network.eval()
    return result


def train_epoch(
    network: Network,
    batches: FullBatch | Sampled,
    data: TrainingData,
    train: torch.Tensor,
    options: TrainingOptions,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> float:
    """One pass over the training documents; the mean loss over its batches' documents."""
    criterion = LOSSES[options.loss]
    hints, documents = None, train.nonzero().squeeze(1)
    if network.hints:
        hinted, documents = hide_half(train, generator)
        hints = hints_of(data.y, hinted)
    network.train()
    total = 0.0
    for batch in batches.training(documents, generator):
        logits = network(batch.inputs, None if hints is None else hints[batch.rows])
        loss = criterion(logits[batch.places], data.y[batch.documents])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch.documents)
    return total / len(documents)


@torch.no_grad()
def logits_of(
    network: Network,
    batches: FullBatch | Sampled,
    data: TrainingData,
    split: str,
    documents: torch.Tensor,
) -> torch.Tensor:
    """Logits [documents, tasks] of some documents, by what may be seen when a split is predicted.

    Args:
        network: put into evaluation mode.
        batches: of the network and the data.
        data: whose labels are hints where the stage knows them.
        split: the stage.
        documents: int64, ascending.
    """
    network.eval()
    hints = hints_of(data.y, data.stages[split].known) if network.hints else None
    return torch.cat(
        [
            network(batch.inputs, None if hints is None else hints[batch.rows])[batch.places]
            for batch in batches.judging(split, documents)
        ]
    )


class Progress:
    """Tells of a long training every ten seconds.

    Args:
        epochs: how many there are at most.
        log: what is told.
    """

    def __init__(self, epochs: int, log: Log) -> None:
        self.epochs, self.log = epochs, log
        self.started = self.last = time.perf_counter()

    def tell(self, epoch: int, message: str) -> None:
        """Tells of an epoch that has ended, if it is time."""
        now = time.perf_counter()
        if now - self.last < PROGRESS_SECONDS:
            return
        self.last = now
        left = (now - self.started) / (epoch + 1) * (self.epochs - epoch - 1)
        self.log(f"epoch {epoch + 1} of {self.epochs}: {message}, at most {left:.0f} s to go")


def train_network(
    name: str,
    data: TrainingData,
    options: TrainingOptions,
    seed: int,
    log: Log = lambda message: None,
) -> TrainedNetwork:
    """Builds, trains and applies one network.

    The same seed gives the same scores to the last bit, on the same machine with the same number
    of threads.

    Args:
        name: a key of `learner_names.LEARNERS`.
        data: prepared by `training_data.prepare`.
        options: how it is trained.
        seed: of weights, dropout, hints and batches.
        log: told of progress every ten seconds.

    Raises:
        ValueError: unknown name, or a split without documents.
    """
    for split, mask in data.masks.items():
        if not mask.any():
            raise ValueError(f"the {split} split has no node: choose a later snapshot or protocol")
    small = data.x.numel() <= SMALL
    if not small:
        keep_freed_memory()
    with reproducible(seed, threads=1 if small else None):
        network = build_network(
            name,
            features=data.x.shape[1],
            tasks=data.y.shape[1],
            relations=data.relations,
            node_kinds=len(NODE_KINDS),
            hidden=options.hidden,
            dropout=options.dropout,
            layers=options.layers,
            hints=options.label_reuse,
            words=data.words,
        )
        start_at_prior(network, data.y[data.masks["train"]].mean(0))
        history = fit(network, data, options, seed, log=log)
        scores, smoothed = judge(network, data, options)
    return TrainedNetwork(network.state_dict(), history, scores, smoothed)


def judge(
    network: Network, data: TrainingData, options: TrainingOptions
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Probabilities of each judged split's documents; the same after Correct and Smooth."""
    batches = batches_of(network, data, options)
    scores, smoothed = {}, {}
    for split in JUDGED:
        mask = data.masks[split]
        # What is smoothed over the graph must be known of every document.
        rows = torch.arange(len(mask)) if options.correct_and_smooth else mask.nonzero().squeeze(1)
        values = torch.sigmoid(logits_of(network, batches, data, split, rows))
        if options.correct_and_smooth:
            after = correct_and_smooth(values, data.y, data.stages[split])
            smoothed[split] = after[mask].numpy()
            values = values[mask]
        scores[split] = values.numpy()
    return scores, smoothed


@contextmanager
def reproducible(seed: int, threads: int | None = None) -> Iterator[None]:
    """Seeds Python, numpy and torch, and asks torch for algorithms that always add up alike.

    Args:
        seed: for all of them.
        threads: for torch within the block; null leaves their number as it is.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if threads is not None:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)  # some have none on a GPU
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
