"""Neighbour sampling: the part of a graph that the logits of some documents depend on.

As in GraphSAGE (Hamilton et al., arXiv 1706.02216): from the seeds outwards, at most `fanout`
edges into each node, drawn uniformly without replacement. Needs neither pyg-lib nor torch-sparse.

Belongs here: subgraphs. Does not: what is computed on them. Imports torch at module level: import
this module only where something is really trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hfkg_assets.classification.training_data import Stage, TrainingData

ALL = -1
"""The fanout that takes every edge."""


@dataclass(frozen=True)
class Subgraph:
    """A part of a graph with its own node numbers, documents first.

    Attributes:
        nodes: int64 [nodes of the part]: which nodes they are, ascending.
        rows: int64 [documents of the part]: the documents among them.
        stage: the part's edges, and what may be seen of its documents.
        node_kind: int64 [nodes of the part].
        seeds: int64 [seeds]: the seeds' positions in `rows`, in the order they were given.
    """

    nodes: torch.Tensor
    rows: torch.Tensor
    stage: Stage
    node_kind: torch.Tensor
    seeds: torch.Tensor


class NeighbourSampler:
    """Draws subgraphs from the edges of one stage.

    Args:
        data: whose documents and context nodes are drawn.
        stage: which of its edges there are.
    """

    def __init__(self, data: TrainingData, stage: Stage) -> None:
        source, target = stage.edge_index
        order = torch.argsort(target, stable=True)
        self.source, self.edge_type = source[order], stage.edge_type[order]
        degree = torch.bincount(target, minlength=len(data.node_kind))
        self.offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        self.stage, self.node_kind, self.documents = stage, data.node_kind, len(data.x)

    def sample(
        self, seeds: torch.Tensor, fanouts: Sequence[int], generator: torch.Generator | None = None
    ) -> Subgraph:
        """The seeds with what reaches them in as many steps as there are fanouts.

        A node's edges are drawn once, when it is first reached.

        Args:
            seeds: int64 [seeds], documents, each once.
            fanouts: edges into each node, step by step from the seeds; `ALL` for every one.
            generator: where the draws come from; not needed where all fanouts are `ALL`.
        """
        reached = torch.zeros(len(self.node_kind), dtype=torch.bool)
        reached[seeds] = True
        frontier, drawn, targets = seeds, [], []
        for fanout in fanouts:
            edges, counts = self._edges_into(frontier, fanout, generator)
            drawn.append(edges)
            targets.append(torch.repeat_interleave(frontier, counts))
            sources = self.source[edges].unique()
            frontier = sources[~reached[sources]]
            reached[frontier] = True
        edges = torch.cat(drawn) if drawn else seeds.new_zeros(0)
        target = torch.cat(targets) if targets else seeds.new_zeros(0)
        nodes = reached.nonzero().squeeze(1)  # ascending: documents first
        rows = nodes[: torch.searchsorted(nodes, self.documents)]
        stage = Stage(
            torch.searchsorted(nodes, torch.stack([self.source[edges], target])),
            self.edge_type[edges],
            self.stage.visible[rows],
            self.stage.known[rows],
        )
        return Subgraph(nodes, rows, stage, self.node_kind[nodes], torch.searchsorted(nodes, seeds))

    def _edges_into(
        self, nodes: torch.Tensor, fanout: int, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers of the edges drawn, node by node, and how many there are of each node."""
        start, degree = self.offsets[nodes], self.offsets[nodes + 1] - self.offsets[nodes]
        if fanout == ALL:
            return torch.repeat_interleave(start, degree) + _within(degree), degree
        counts = degree.clamp(max=fanout)
        edges = torch.repeat_interleave(start, counts) + _within(counts)
        crowded = degree > fanout
        chosen = start[crowded, None] + draw(degree[crowded], fanout, generator)
        edges[torch.repeat_interleave(crowded, counts)] = chosen.reshape(-1)
        return edges, counts


def _within(counts: torch.Tensor) -> torch.Tensor:
    """0, 1, … count - 1 for each count, one after another."""
    ends = counts.cumsum(0)
    return torch.arange(int(counts.sum())) - torch.repeat_interleave(ends - counts, counts)


def draw(sizes: torch.Tensor, k: int, generator: torch.Generator | None) -> torch.Tensor:
    """For each size n > k, k different numbers of 0 … n - 1, every set equally likely.

    Floyd's algorithm (Bentley and Floyd 1987), on all rows at once: the cost does not depend on
    the sizes, so a hub with thirty thousand edges costs as much as any node.

    Args:
        sizes: int64 [rows].
        k: how many.
        generator: where the draws come from.

    Returns:
        int64 [rows, k].
    """
    chosen = torch.empty((len(sizes), k), dtype=torch.int64)
    uniform = torch.rand((len(sizes), k), generator=generator, dtype=torch.float64)
    for i in range(k):
        last = sizes - k + i
        number = (uniform[:, i] * (last + 1)).long().clamp(max=last)
        taken = (chosen[:, :i] == number[:, None]).any(1)
        chosen[:, i] = torch.where(taken, last, number)
    return chosen
