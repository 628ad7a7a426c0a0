"""Products over the edges of a graph, with gradients, that never hold a row of values per edge.

A constant average over neighbours is one sparse product (`SparseMatrix`). Attention is a sparse
matrix whose values are computed (`AttentionGraph`): scores are a dense product sampled at the
edges, the weighted sum is a sparse product again. Heads are rows of their own: node i's head h is
row i × heads + h of a graph that has each edge once per head, so one product serves all heads.

Imports torch at module level: import this module only where a network is really used.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BLOCK_VALUES = 2**18
"""Values computed at a time where edges must be gone through: as many as stay in the cache."""


@dataclass(frozen=True)
class Hop:
    """The edges between the rows of one layer and those of the next, sorted by target.

    Attributes:
        source, target: int64 [E], positions in the rows taken and given.
        edge_type: int64 [E].
        degree: float32 [sources], edges into each row in the whole graph, its own loops left out.
        sources, targets: number of rows taken and given; the first of one are the other's.
    """

    source: Tensor
    target: Tensor
    edge_type: Tensor
    degree: Tensor
    sources: int
    targets: int


def degrees(edge_index: Tensor, nodes: int) -> Tensor:
    """How many edges lead into each node, its own loops left out: float32 [nodes]."""
    proper = edge_index[0] != edge_index[1]
    return torch.bincount(edge_index[1, proper], minlength=nodes).float()


def hop_into(
    rows: Tensor, edge_index: Tensor, edge_type: Tensor, degree: Tensor
) -> tuple[Hop, Tensor]:
    """The edges into some rows, and the rows that they come from: those rows, then others.

    Args:
        rows: int64, node numbers.
        edge_index, edge_type: int64 [2, E] and [E], of the whole graph.
        degree: of all nodes, by `degrees`.
    """
    nodes = len(degree)
    wanted = torch.zeros(nodes, dtype=torch.bool)
    wanted[rows] = True
    into = wanted[edge_index[1]]
    source, target = edge_index[:, into]
    others = torch.zeros_like(wanted)
    others[source] = True
    others &= ~wanted
    before = torch.cat([rows, others.nonzero()[:, 0]])
    position = torch.empty(nodes, dtype=torch.int64)
    position[before] = torch.arange(len(before))
    source, target, kind = position[source], position[target], edge_type[into]
    order = target.argsort(stable=True)
    hop = Hop(source[order], target[order], kind[order], degree[before], len(before), len(rows))
    return hop, before


def with_loops(hop: Hop) -> Hop:
    """The hop with exactly one self-loop at each target (of edge type -1), still sorted."""
    proper = hop.source != hop.target
    itself = torch.arange(hop.targets)
    source = torch.cat([hop.source[proper], itself])
    target = torch.cat([hop.target[proper], itself])
    edge_type = torch.cat([hop.edge_type[proper], itself.new_full((hop.targets,), -1)])
    order = target.argsort(stable=True)
    return Hop(source[order], target[order], edge_type[order], hop.degree, hop.sources, hop.targets)


def offsets(index: Tensor, groups: int) -> Tensor:
    """Where each group begins in a sorted index: int64 [groups + 1]."""
    return torch.cat([index.new_zeros(1), torch.bincount(index, minlength=groups).cumsum(0)])


def compressed(begins: Tensor, column: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor, taken as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(begins, column, values, shape, check_invariants=False)


def multiply(matrix: Tensor, dense: Tensor) -> Tensor:
    """A CSR tensor times a dense matrix; torch's own kernel, on CPUs faster than MKL's."""
    if dense.is_cpu:
        return torch.sparse.mm(matrix, dense, "sum")
    return matrix @ dense


class SparseMatrix:
    """A constant sparse matrix and its transpose.

    Args:
        row, column: int64 [E], sorted by row.
        values: float32 [E].
        shape: rows, columns.
    """

    def __init__(self, row: Tensor, column: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.rows = compressed(offsets(row, shape[0]), column, values, shape)
        order = column.argsort(stable=True)
        self.columns = compressed(offsets(column, shape[1]), row[order], values[order], shape[::-1])

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product with a dense matrix [columns, width], differentiable by it."""
        return _Product.apply(self, dense)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: SparseMatrix, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return multiply(matrix.rows, dense)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, multiply(ctx.matrix.columns, gradient.contiguous())


class AttentionGraph:
    """The edges of a hop, once per head, by target and by source.

    Its values, one per edge and head, are float32 [E × heads], sorted by target, then head.

    Args:
        hop: the edges.
        heads: number of heads.
    """

    def __init__(self, hop: Hop, heads: int) -> None:
        self.hop, self.heads = hop, heads
        self.shape = (hop.targets * heads, hop.sources * heads)
        key = hop.target.repeat_interleave(heads) * heads
        head = torch.arange(heads).repeat(len(hop.target))
        self.order = (key + head).argsort(stable=True)
        """Where each value stands in an array [E, heads]."""
        head = head[self.order]
        self.row = key[self.order] + head
        self.column = hop.source.repeat_interleave(heads)[self.order] * heads + head
        self.begins = offsets(self.row, self.shape[0])
        self.back_order = self.column.argsort(stable=True)
        self.back_begins = offsets(self.column, self.shape[1])
        self.back_row = self.row[self.back_order]
        self.zeros = compressed(self.begins, self.column, torch.zeros(len(self.column)), self.shape)

    def sampled(self, left: Tensor, right: Tensor) -> Tensor:
        """Products of the ends' rows [targets × heads, width] and [sources × heads, width]."""
        return _Sampled.apply(self, left, right)

    def weighted(self, weights: Tensor, right: Tensor) -> Tensor:
        """Weighted sums [targets × heads, width] of the sources' rows."""
        return _Weighted.apply(self, weights, right)

    def softmax(self, scores: Tensor) -> Tensor:
        """Softmax over the edges of each target and head."""
        return _Softmax.apply(self, scores)

    def of_edges(self, values: Tensor) -> Tensor:
        """Values [E, heads] in this graph's order."""
        return values.flatten() if self.heads == 1 else values.flatten().index_select(0, self.order)

    def matrix(self, values: Tensor) -> Tensor:
        """CSR tensor [targets × heads, sources × heads]."""
        return compressed(self.begins, self.column, values, self.shape)

    def transposed(self, values: Tensor) -> Tensor:
        """CSR tensor [sources × heads, targets × heads]."""
        values = values.index_select(0, self.back_order)
        return compressed(self.back_begins, self.back_row, values, self.shape[::-1])

    def sample(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.sparse.sampled_addmm(self.zeros, left, right.t(), beta=0.0).values()

    def sums(self, values: Tensor) -> Tensor:
        """Sums [targets × heads] over the edges of each."""
        return torch.segment_reduce(values, "sum", offsets=self.begins, unsafe=True)


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: AttentionGraph, left: Tensor, right: Tensor) -> Tensor:
        ctx.graph = graph
        ctx.save_for_backward(left, right)
        return graph.sample(left, right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        left, right = ctx.saved_tensors
        gradient = gradient.contiguous()
        return (
            None,
            multiply(ctx.graph.matrix(gradient), right),
            multiply(ctx.graph.transposed(gradient), left),
        )


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: AttentionGraph, weights: Tensor, right: Tensor) -> Tensor:
        ctx.graph = graph
        ctx.save_for_backward(weights, right)
        return multiply(graph.matrix(weights), right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        weights, right = ctx.saved_tensors
        gradient = gradient.contiguous()
        return (
            None,
            ctx.graph.sample(gradient, right),
            multiply(ctx.graph.transposed(weights), gradient),
        )


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: AttentionGraph, scores: Tensor) -> Tensor:
        highest = torch.segment_reduce(scores, "max", offsets=graph.begins, unsafe=True)
        powers = (scores - highest.index_select(0, graph.row)).exp_()
        result = powers.div_(graph.sums(powers).index_select(0, graph.row))
        ctx.graph = graph
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (result,) = ctx.saved_tensors
        gradient = gradient * result
        total = ctx.graph.sums(gradient).index_select(0, ctx.graph.row)
        return None, gradient.sub_(total.mul_(result))


def additive_scores(
    source: Tensor, target: Tensor, attention: Tensor, hop: Hop, slope: float
) -> Tensor:
    """GATv2's scores: attention · leaky(source + target) per edge and head.

    Args:
        source, target: float32 [sources, heads × width] and [targets, heads × width].
        attention: float32 [heads, width].
        hop: the edges.
        slope: of the leaky rectifier below zero.

    Returns:
        Tensor: float32 [E, heads].
    """
    return _AdditiveScores.apply(source, target, torch.block_diag(*attention).t(), hop, slope)


class _AdditiveScores(torch.autograd.Function):
    """Both passes go through the edges block by block; the backward pass mixes the ends again."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, target: Tensor, attention: Tensor, hop: Hop, slope: float
    ) -> Tensor:
        ctx.hop, ctx.slope = hop, slope
        ctx.save_for_backward(source, target, attention)
        scores = source.new_empty(len(hop.source), attention.shape[1])
        for block in _blocks(hop, source.shape[1]):
            mixed = _mixed(source, target, hop, block)
            torch.mm(torch.nn.functional.leaky_relu_(mixed, slope), attention, out=scores[block])
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        source, target, attention = ctx.saved_tensors
        hop, slope = ctx.hop, ctx.slope
        of_source, of_target = torch.zeros_like(source), torch.zeros_like(target)
        of_attention = torch.zeros_like(attention)
        for block in _blocks(hop, source.shape[1]):
            mixed = _mixed(source, target, hop, block)
            leaky = torch.nn.functional.leaky_relu(mixed, slope)
            of_attention.addmm_(leaky.t(), gradient[block])
            of_mixed = torch.ops.aten.leaky_relu_backward(
                gradient[block] @ attention.t(), mixed, slope, False
            )
            of_source.index_add_(0, hop.source[block], of_mixed)
            of_target.index_add_(0, hop.target[block], of_mixed)
        return of_source, of_target, of_attention, None, None


def _blocks(hop: Hop, width: int) -> list[slice]:
    size = max(1, BLOCK_VALUES // width)
    return [slice(begin, begin + size) for begin in range(0, len(hop.source), size)]


def _mixed(source: Tensor, target: Tensor, hop: Hop, block: slice) -> Tensor:
    rows = source.index_select(0, hop.source[block])
    return rows.add_(target.index_select(0, hop.target[block]))
