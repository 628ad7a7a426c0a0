"""The networks that tell tasks: convolutions, normalised, rectified and dropped out between.

What does not depend on weights is computed once, by `Network.inputs`: the visible features, the
rows that matter to the wanted documents, the average of the features over neighbours.

Imports torch at module level: import this module only where a network is really used.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from hfkg_assets.classification.convolutions import (
    RGCN,
    Blocks,
    Dense,
    GATv2,
    LinearConvolution,
    RelationalHop,
    Transformer,
    by_relation,
    project,
)
from hfkg_assets.classification.dropout import rectify_and_drop
from hfkg_assets.classification.graph import DOCUMENT_RELATIONS
from hfkg_assets.classification.learner_names import BASELINES, LEARNERS
from hfkg_assets.classification.sparse_products import degrees, hop_into
from hfkg_assets.classification.training_data import Stage

HEADS = 8
"""Attention heads of hidden layers, as in GAT's experiments."""
BASES = 8
"""Maps that the edge types of R-GCN's layers are mixtures of."""


@dataclass(frozen=True)
class Inputs:
    """What a network needs of one stage, computed once: nothing in it depends on weights.

    Attributes:
        blocks: the features of the first layer's documents, float32, as one block of columns; no
            block where `fixed` says all that is used of them.
        documents: int64, which documents stand in the first layer, in its order.
        places: int64, where in the first layer they stand.
        kinds: int64 [rows], node kinds of the first layer's rows.
        hops: what each convolution prepared.
        fixed: what the features contribute, where the first convolution is linear.
        words: word scores of the wanted documents, float32 [wanted, tasks], where there are any.
        neighbours: the last convolution's hop by relation, where known labels are input.
    """

    blocks: Blocks
    documents: Tensor
    places: Tensor
    kinds: Tensor
    hops: tuple[Any, ...]
    fixed: Tensor | None
    words: Tensor | None
    neighbours: RelationalHop | None


class Network(nn.Module):
    """Convolutions with normalisation, rectifier and dropout between them.

    The convolutions have skip connections of their own (Luo et al., arXiv 2406.08993, find that
    with these, normalisation and dropout classic networks are strong).

    Args:
        convolutions: as in `convolutions`; the last gives logits.
        widths: of the hidden layers.
        dropout: share of hidden values dropped in training.
        relations: how many relations of the graph carry messages, counted from the first.
        all_relations: how many there are; type t in one direction is t + all_relations back.
        entry: for a network with context nodes: what all rows' first states come from.
        hints: whether known labels of other nodes stand beside the features.
        normalize: whether hidden layers are normalised.
    """

    def __init__(
        self,
        convolutions: list[nn.Module],
        widths: list[int],
        *,
        dropout: float,
        relations: int,
        all_relations: int,
        entry: Entry | None = None,
        evidence: Evidence | None = None,
        hints: bool = False,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) if normalize else nn.Identity() for width in widths
        )
        self.dropout = dropout
        self.relations, self.all_relations = relations, all_relations
        self.entry, self.evidence, self.hints = entry, evidence, hints

    def inputs(
        self, x: Tensor, stage: Stage, node_kind: Tensor, wanted: Tensor | None = None
    ) -> Inputs:
        """What the forward pass needs of a graph, or of a part of one.

        Args:
            x: features, float32 [documents, features].
            stage: edges and what is visible.
            node_kind: int64 [nodes], documents first.
            wanted: bool [documents], whose logits are asked for; all where None. What cannot
                reach them is left out, so that few wanted documents cost little.
        """
        documents = x.shape[0]
        nodes = node_kind.shape[0] if self.entry is not None else documents
        edge_index, edge_type = self._usable(stage)
        degree = degrees(edge_index, nodes)
        rows = torch.arange(documents) if wanted is None else wanted.nonzero()[:, 0]
        asked = len(rows)
        hops: list[Any] = []
        neighbours = None
        for convolution in reversed(self.convolutions):
            hop, rows = hop_into(rows, edge_index, edge_type, degree)
            if not hops and self.evidence is not None and self.evidence.votes is not None:
                neighbours = by_relation(hop)
            hops.insert(0, convolution.prepare(hop))  # type: ignore[operator]
        places = (rows < documents).nonzero()[:, 0]
        chosen = rows[places]
        x = x[chosen] * stage.visible[chosen, None]
        first = self.convolutions[0]
        words = None
        if self.evidence is not None and self.evidence.words is not None:
            words = x[:asked, -self.evidence.tasks :]
        blocks: Blocks = (x,)
        fixed = None
        if isinstance(first, LinearConvolution):
            blocks, fixed = (), first.fix(x, hops[0])
        return Inputs(
            blocks, chosen, places, node_kind[rows], tuple(hops), fixed, words, neighbours
        )

    def forward(self, inputs: Inputs, hints: Tensor | None = None) -> Tensor:
        """Logits [wanted documents, tasks].

        Args:
            inputs: of a stage.
            hints: known labels and an indicator, float32 [documents, tasks + 1], of all documents
                that `inputs` was asked about; zero rows where nothing is known. Ignored by a
                network that was built without.
        """
        blocks = inputs.blocks
        if self.hints:
            if hints is None:
                raise ValueError("this network was built with hints and got none")
            blocks = (*blocks, hints[inputs.documents])
        if self.entry is not None:
            blocks = (self.entry(blocks, inputs.places, inputs.kinds),)
        for index, (convolution, hop) in enumerate(
            zip(self.convolutions, inputs.hops, strict=True)
        ):
            extra = {} if index or inputs.fixed is None else {"fixed": inputs.fixed}
            result = convolution(blocks, hop, **extra)
            if index < len(self.norms):
                result = self.norms[index](result)
                blocks = (rectify_and_drop(result, self.dropout, self.training),)
        if self.evidence is not None:
            result = result + self.evidence(inputs, hints)
        return result

    def _usable(self, stage: Stage) -> tuple[Tensor, Tensor]:
        """The stage's edges that this network uses."""
        if self.relations >= self.all_relations:
            return stage.edge_index, stage.edge_type
        usable = stage.edge_type % self.all_relations < self.relations
        edge_type = stage.edge_type[usable]
        back = edge_type >= self.all_relations
        # The two directions stand side by side again: types without a gap.
        edge_type = edge_type - back.long() * (self.all_relations - self.relations)
        return stage.edge_index[:, usable], edge_type


class Evidence(nn.Module):
    """What speaks for a task by itself: its word score, and its label at neighbours.

    Free maps have to learn of every task anew that its own score and its own label are signs of it,
    and of most tasks there are too few examples. Here tasks share the weights: one for word scores;
    for each edge type one for the share of the known neighbours that have the task, and one against
    it for there being known neighbours at all. The networks learn what is left.

    Args:
        tasks: number of tasks.
        words: whether the last columns of the features are word scores.
        edge_types: number of edge types; 0 where no labels are input.
    """

    STEP = 10.0
    """A weight is so many times its parameter: it must move further than others in equal time."""

    def __init__(self, tasks: int, *, words: bool, edge_types: int) -> None:
        super().__init__()
        self.tasks = tasks
        self.words = nn.Parameter(torch.tensor(1.0 / self.STEP)) if words else None
        self.votes = nn.Parameter(torch.ones(edge_types, 2) / self.STEP) if edge_types else None

    def forward(self, inputs: Inputs, hints: Tensor | None) -> Tensor | float:
        """What is added to the logits, float32 [wanted, tasks]."""
        result: Tensor | float = 0.0
        if self.words is not None and inputs.words is not None:
            result = self.STEP * self.words * inputs.words
        if self.votes is None or inputs.neighbours is None or hints is None:
            return result
        hop = inputs.neighbours
        known = hints.new_zeros(len(inputs.kinds), hints.shape[1])
        known.index_copy_(0, inputs.places, hints[inputs.documents])
        mean = hop.mean @ known[: hop.mean.shape[1]]
        told = mean[:, -1:]
        share = mean[:, :-1] / told.clamp(min=torch.finfo(mean.dtype).tiny)
        weights = self.STEP * self.votes[torch.repeat_interleave(hop.types, hop.sizes)]
        votes = (weights[:, :1] * share - weights[:, 1:]) * (told > 0)
        start = result if isinstance(result, Tensor) else votes.new_zeros(hop.targets, self.tasks)
        return start.index_add(0, hop.rows, votes)


class Entry(nn.Module):
    """The first states of a typed graph: documents by their features, context nodes by kind."""

    def __init__(self, inputs: int, outputs: int, kinds: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs)
        self.kinds = nn.Embedding(kinds, outputs)

    def forward(self, blocks: Blocks, places: Tensor, kinds: Tensor) -> Tensor:
        """States [rows, outputs] of documents, which stand at `places`, and of context nodes."""
        documents = project(blocks, self.linear.weight, self.linear.bias)
        documents = rectify_and_drop(self.norm(documents), self.dropout, self.training)
        if len(documents) == len(kinds):
            return documents
        return self.kinds(kinds).index_copy(0, places, documents)


def build_network(
    name: str,
    *,
    features: int,
    tasks: int,
    relations: int,
    node_kinds: int,
    hidden: int,
    dropout: float,
    layers: int = 2,
    hints: bool = False,
    words: bool = False,
    heads: int = HEADS,
    skip: bool = True,
    normalize: bool = True,
) -> Network:
    """A network by name, one of `learner_names.LEARNERS`.

    Args:
        name: of the learner.
        features, tasks: widths of inputs and logits.
        relations: relations of the whole graph; those between documents come first.
        node_kinds: number of node kinds.
        hidden: width of hidden layers; for `gat` and `transformer` a multiple of `heads`.
        dropout: share of hidden values dropped in training.
        layers: convolutions (of `rgcn`: after the first map of each node by itself).
        hints: whether known labels of other nodes are used; `BASELINES`, which see no graph, have
            no other nodes and never use them.
        words: whether the last columns of the features are word scores, one for each task.
        heads: attention heads of hidden layers; the last convolution has one.
        skip: residual maps where a convolution has none by its definition (GCN and GATv2).
        normalize: layer normalisation of hidden layers.

    Raises:
        ValueError: unknown name, or a width that heads cannot share.
    """
    if name in ("gat", "transformer") and hidden % heads:
        raise ValueError(f"{hidden} hidden units cannot be shared among {heads} heads")
    if name not in LEARNERS:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(LEARNERS)}")
    hints = hints and name not in BASELINES
    used = relations if name == "rgcn" else min(relations, DOCUMENT_RELATIONS)
    if name == "logistic_regression":
        layers = 1
    inputs = features + (tasks + 1 if hints else 0)
    entry = Entry(inputs, hidden, node_kinds, dropout) if name == "rgcn" else None
    evidence = None
    if words or hints:
        evidence = Evidence(tasks, words=words, edge_types=2 * used if hints else 0)
    widths = [inputs if entry is None else hidden, *[hidden] * (layers - 1), tasks]

    def convolution(taken: int, given: int, heads: int) -> nn.Module:
        match name:
            case "gcn":
                return LinearConvolution(taken, given, symmetric=True, skip=skip)
            case "sage":
                return LinearConvolution(taken, given, symmetric=False, skip=True)
            case "gat":
                return GATv2(taken, given, heads=heads, skip=skip, dropout=dropout)
            case "transformer":
                return Transformer(taken, given, edge_types=2 * used, heads=heads, dropout=dropout)
            case "rgcn":
                return RGCN(taken, given, edge_types=2 * used, bases=BASES)
            case _:
                return Dense(taken, given)

    return Network(
        [
            convolution(*pair, heads if index < layers - 1 else 1)
            for index, pair in enumerate(pairwise(widths))
        ],
        widths[1:-1],
        dropout=dropout,
        relations=0 if name in BASELINES else used,
        all_relations=relations,
        entry=entry,
        evidence=evidence,
        hints=hints,
        normalize=normalize,
    )
