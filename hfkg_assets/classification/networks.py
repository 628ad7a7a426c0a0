"""The graph neural networks of the earlier systems: two convolutions with dropout between.

Imports torch at module level: import this module only where a network is really used.
"""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.nn import GATConv, GCNConv, SAGEConv, TransformerConv

HEADS = 8


class TwoLayerGNN(nn.Module):
    """Two graph convolutions, an activation and dropout between them.

    Args:
        first, second: convolutions from features to hidden and from hidden to task logits.
        activation: applied after the first.
        dropout: share of hidden values dropped in training.
        uses_edge_types: whether the convolutions take one-hot edge types.

    Shapes:
        x [nodes, features], edge_index [2, edges], edge_type [edges] → logits [nodes, tasks].
    """

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        activation: nn.Module,
        dropout: float,
        edge_types: int = 0,
    ) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.activation, self.dropout = activation, nn.Dropout(dropout)
        self.edge_types = edge_types

    def forward(
        self, x: torch.Tensor, edge_index: torch.Tensor, edge_type: torch.Tensor
    ) -> torch.Tensor:
        extra = {}
        if self.edge_types:
            one_hot = nn.functional.one_hot(edge_type, self.edge_types)
            extra = {"edge_attr": one_hot.to(x.dtype)}
        hidden = self.dropout(self.activation(self.first(x, edge_index, **extra)))
        return self.second(hidden, edge_index, **extra)


def build_network(
    name: str, features: int, tasks: int, edge_types: int, *, hidden: int, dropout: float
) -> TwoLayerGNN:
    """A network by name.

    - `gcn`: Kipf and Welling, arXiv 1609.02907.
    - `gat`: Veličković et al., arXiv 1710.10903; 8 heads, dropout inside attention, ELU.
    - `sage`: Hamilton et al., arXiv 1706.02216; mean aggregation.
    - `transformer`: Shi et al., arXiv 2009.03509; edge types enter as one-hot edge attributes.

    Raises:
        ValueError: unknown name.
    """
    match name:
        case "gcn":
            first, second = GCNConv(features, hidden), GCNConv(hidden, tasks)
        case "sage":
            first, second = SAGEConv(features, hidden), SAGEConv(hidden, tasks)
        case "gat":
            first = GATConv(features, hidden // HEADS, heads=HEADS, dropout=dropout)
            second = GATConv(hidden, tasks, heads=1, concat=False, dropout=dropout)
            return TwoLayerGNN(first, second, nn.ELU(), dropout)
        case "transformer":
            first = TransformerConv(features, hidden, edge_dim=edge_types)
            second = TransformerConv(hidden, tasks, edge_dim=edge_types)
            return TwoLayerGNN(first, second, nn.ReLU(), dropout, edge_types)
        case _:
            raise ValueError(f"unknown network {name!r}; known: gcn, gat, sage, transformer")
    return TwoLayerGNN(first, second, nn.ReLU(), dropout)
