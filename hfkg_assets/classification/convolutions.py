"""Graph convolutions, as PyTorch Geometric defines them, arranged so that little is done per epoch.

Each convolution prepares once what depends on edges alone (`prepare`), and then maps the rows of
one layer to those of the next. The rows that a layer gives are the first of those that it takes,
so a row's own state is a slice. Its input is a tuple of column blocks, for what changes between
epochs (known labels) is few columns beside many that do not (features).

Imports torch at module level: import this module only where a network is really used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hfkg_assets.classification.dropout import dropout
from hfkg_assets.classification.sparse_products import (
    AttentionGraph,
    Hop,
    SparseMatrix,
    additive_scores,
    with_loops,
)

Blocks = tuple[Tensor, ...]


def project(blocks: Blocks, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The linear map of column blocks that stand side by side, without joining them.

    Args:
        blocks: float32 [rows, width] each.
        weight: float32 [outputs, sum of widths].
        bias: float32 [outputs].
    """
    first, *others = weight.split([block.shape[1] for block in blocks], dim=1)
    result = nn.functional.linear(blocks[0], first, bias)
    for block, part in zip(blocks[1:], others, strict=True):
        result = torch.addmm(result, block, part.t())
    return result


def leading(blocks: Blocks, rows: int) -> Blocks:
    """The first rows of each block."""
    return tuple(block[:rows] for block in blocks)


class Dense(nn.Module):
    """A linear layer: the convolution of those who see no edges."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def prepare(self, hop: Hop) -> None:
        return None

    def forward(self, blocks: Blocks, prepared: None) -> Tensor:
        return project(blocks, self.linear.weight, self.linear.bias)


class LinearConvolution(nn.Module):
    """A fixed average over neighbours, a linear map of it, and a linear map of the row itself.

    With the symmetric average this is PyG's `GCNConv` (with a residual map where `skip`), with the
    mean its `SAGEConv`. What constant columns contribute is computed once, by `fix`.

    Args:
        inputs, outputs: widths.
        symmetric: weights 1 / sqrt(degree of both ends), self-loops counted once; else the mean.
        skip: whether the row itself is mapped and added.
    """

    def __init__(self, inputs: int, outputs: int, *, symmetric: bool, skip: bool) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.neighbours = nn.Linear(inputs, outputs)
        self.itself = nn.Linear(inputs, outputs, bias=False) if skip else None

    def prepare(self, hop: Hop) -> SparseMatrix:
        if self.symmetric:
            hop = with_loops(hop)
            scale = (hop.degree + 1).rsqrt()
            values = scale[hop.source] * scale[hop.target]
        else:
            counts = torch.bincount(hop.target, minlength=hop.targets)
            values = counts.clamp(min=1).float().reciprocal()[hop.target]
        return SparseMatrix(hop.target, hop.source, values, (hop.targets, hop.sources))

    def fix(self, x: Tensor, average: SparseMatrix) -> Tensor:
        """What a constant block of columns contributes, but for the weights.

        Returns:
            Tensor: float32 [targets, columns]: its average, and where rows count, beside it they.
        """
        averaged = average @ x
        if self.itself is None:
            return averaged
        return torch.cat([averaged, x[: average.shape[0]]], dim=1)

    def forward(self, blocks: Blocks, average: SparseMatrix, fixed: Tensor | None = None) -> Tensor:
        """The rows of the next layer.

        Args:
            blocks: the rows of this layer, without the columns that were fixed.
            average: what `prepare` gave.
            fixed: what `fix` gave for the first columns.
        """
        weights = [linear.weight for linear in (self.neighbours, self.itself) if linear is not None]
        if fixed is None:
            return self._moving(blocks, average, weights) + self.neighbours.bias
        columns = fixed.shape[1] // len(weights)
        constant = torch.cat([weight[:, :columns] for weight in weights], dim=1)
        result = nn.functional.linear(fixed, constant, self.neighbours.bias)
        if blocks:
            moving = [weight[:, columns:] for weight in weights]
            result = result + self._moving(blocks, average, moving)
        return result

    def _moving(self, blocks: Blocks, average: SparseMatrix, weights: list[Tensor]) -> Tensor:
        """Columns that change: averaged before or after the map, where there are fewer."""
        outputs, inputs = weights[0].shape
        if outputs < inputs:
            result = average @ project(blocks, weights[0])
        else:
            result = project(tuple(average @ block for block in blocks), weights[0])
        if self.itself is not None:
            result = result + project(leading(blocks, average.shape[0]), weights[1])
        return result


class GATv2(nn.Module):
    """PyG's `GATv2Conv`: attention by a small network over both ends, one self-loop at each row.

    Args:
        inputs, outputs: widths; outputs are those of all heads side by side.
        heads: number of heads; where outputs cannot be divided among them there is one.
        skip: whether the row itself is mapped and added.
        dropout: share of attention weights dropped in training.
    """

    SLOPE = 0.2

    def __init__(
        self, inputs: int, outputs: int, *, heads: int, skip: bool, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.source = nn.Linear(inputs, outputs)
        self.target = nn.Linear(inputs, outputs)
        self.attention = nn.Parameter(torch.empty(heads, outputs // heads))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.itself = nn.Linear(inputs, outputs, bias=False) if skip else None
        nn.init.xavier_uniform_(self.attention)

    def prepare(self, hop: Hop) -> AttentionGraph:
        return AttentionGraph(with_loops(hop), self.heads)

    def forward(self, blocks: Blocks, graph: AttentionGraph) -> Tensor:
        own = leading(blocks, graph.hop.targets)
        source = project(blocks, self.source.weight, self.source.bias)
        target = project(own, self.target.weight, self.target.bias)
        scores = additive_scores(source, target, self.attention, graph.hop, self.SLOPE)
        weights = graph.softmax(graph.of_edges(scores))
        weights = dropout(weights, self.dropout, self.training)
        width = self.attention.shape[1]
        result = graph.weighted(weights, source.view(-1, width)).view_as(target) + self.bias
        if self.itself is not None:
            result = result + project(own, self.itself.weight)
        return result


class Transformer(nn.Module):
    """PyG's `TransformerConv` with one-hot edge types as edge attributes.

    Args:
        inputs, outputs: widths; outputs are those of all heads side by side.
        edge_types: number of edge types.
        heads: number of heads.
        dropout: share of attention weights dropped in training.
    """

    def __init__(
        self, inputs: int, outputs: int, *, edge_types: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(inputs, outputs)
        self.key = nn.Linear(inputs, outputs)
        self.value = nn.Linear(inputs, outputs)
        self.edge = nn.Parameter(torch.empty(edge_types, outputs))
        self.itself = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.edge)

    def prepare(self, hop: Hop) -> AttentionGraph:
        return AttentionGraph(hop, self.heads)

    def forward(self, blocks: Blocks, graph: AttentionGraph) -> Tensor:
        hop, heads = graph.hop, self.heads
        own = leading(blocks, hop.targets)
        query = project(own, self.query.weight, self.query.bias)
        key = project(blocks, self.key.weight, self.key.bias)
        value = project(blocks, self.value.weight, self.value.bias)
        types, width = self.edge.shape[0], self.edge.shape[1] // heads
        # Each head's edge types as a block: one product serves all heads.
        edge = torch.block_diag(*self.edge.view(types, heads, width).unbind(1))
        # Where each edge's head stands in an array [targets, heads, types].
        typed = graph.row * types + graph.of_edges(hop.edge_type[:, None].expand(-1, heads))

        # q · (k + e) = q · k + q · e, and the latter are few per target.
        of_types = (query @ edge.t()).flatten()
        scores = graph.sampled(query.view(-1, width), key.view(-1, width))
        scores = (scores + of_types.index_select(0, typed)) / math.sqrt(width)
        weights = graph.softmax(scores)
        weights = dropout(weights, self.dropout, self.training)
        # Σ a (v + e) = Σ a v + Σ over types (Σ a of the type) e.
        result = graph.weighted(weights, value.view(-1, width)).view_as(query)
        shares = torch.zeros_like(of_types).index_add(0, typed, weights)
        result = torch.addmm(result, shares.view(hop.targets, -1), edge)
        return result + project(own, self.itself.weight, self.itself.bias)


@dataclass(frozen=True)
class RelationalHop:
    """A hop relation by relation: a row for each edge type and each target that it reaches.

    Attributes:
        mean: of the neighbours, SparseMatrix [rows, sources], by edge type.
        rows: int64 [rows], their targets.
        types, sizes: int64, the edge types that there are, and how many rows each has.
        targets: number of targets.
    """

    mean: SparseMatrix
    rows: Tensor
    types: Tensor
    sizes: Tensor
    targets: int


def by_relation(hop: Hop) -> RelationalHop:
    """A hop with its edges sorted by type, then target."""
    place, order = torch.sort(hop.edge_type * hop.targets + hop.target, stable=True)
    kept, row, counts = place.unique_consecutive(return_inverse=True, return_counts=True)
    types, sizes = (kept // max(hop.targets, 1)).unique_consecutive(return_counts=True)
    values = counts.float().reciprocal()[row]
    mean = SparseMatrix(row, hop.source[order], values, (len(kept), hop.sources))
    rows = kept % max(hop.targets, 1)
    return RelationalHop(mean, rows, types, sizes, hop.targets)


class RGCN(nn.Module):
    """PyG's `RGCNConv` with the mean: a linear map per edge type, and one of the row itself.

    Args:
        inputs, outputs: widths.
        edge_types: number of edge types.
        bases: the maps are mixtures of this many; None for a free map per type.
    """

    def __init__(self, inputs: int, outputs: int, *, edge_types: int, bases: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(bases or edge_types, inputs, outputs))
        self.mixture = nn.Parameter(torch.empty(edge_types, bases)) if bases else None
        self.itself = nn.Linear(inputs, outputs)
        for matrix in self.weight.data:
            nn.init.xavier_uniform_(matrix)
        if self.mixture is not None:
            nn.init.xavier_uniform_(self.mixture)

    def prepare(self, hop: Hop) -> RelationalHop:
        return by_relation(hop)

    def forward(self, blocks: Blocks, hop: RelationalHop) -> Tensor:
        states = torch.cat(blocks, dim=1)
        weight: Tensor = self.weight
        if self.mixture is not None:
            weight = torch.einsum("tb,bio->tio", self.mixture, weight)
        result = self.itself(states[: hop.targets])
        if len(hop.types) == 0:
            return result
        means = (hop.mean @ states).split(hop.sizes.tolist())
        maps = weight.unbind()  # indexing would give each map's gradient as that of all maps
        messages = [mean @ maps[t] for mean, t in zip(means, hop.types.tolist(), strict=True)]
        return result.index_add(0, hop.rows, torch.cat(messages))
