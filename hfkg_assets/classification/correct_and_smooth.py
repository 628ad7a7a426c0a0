"""Correct and Smooth: known labels of neighbours improve finished predictions.

Huang et al., arXiv 2010.13993, by PyG's own implementation. The errors on nodes whose labels are
known are spread over the graph and added; then the predictions are smoothed over it. Imports torch
at module level: import this module only where something is really trained.
"""

from __future__ import annotations

import torch
from torch_geometric.nn.models import CorrectAndSmooth

from hfkg_assets.classification.training_data import Stage

LAYERS, CORRECTION_ALPHA, SMOOTHING_ALPHA = 50, 0.8, 0.8


def correct_and_smooth(scores: torch.Tensor, labels: torch.Tensor, stage: Stage) -> torch.Tensor:
    """Processed scores of all documents at one stage.

    Only edges between documents carry anything. Each node takes the mean of its neighbours, where
    the paper weighs by both degrees: that would damp the scores of every node beside a hub, which
    changes no ranking of tasks, but carries them below the threshold.

    Args:
        scores: probabilities, float32 [documents, tasks].
        labels: float32 [documents, tasks]; read only where the stage knows them.
        stage: usable edges and known labels.

    Returns:
        float32 [documents, tasks], from 0 to 1. A document without neighbours keeps its scores.
    """
    if not stage.known.any():
        return scores
    edge_index, weight = _mean_of_neighbours(stage, len(scores))
    process = CorrectAndSmooth(LAYERS, CORRECTION_ALPHA, LAYERS, SMOOTHING_ALPHA, autoscale=True)
    known = labels[stage.known]
    corrected = process.correct(scores, known, stage.known, edge_index, weight)
    return process.smooth(corrected.clamp_(0, 1), known, stage.known, edge_index, weight)


def _mean_of_neighbours(stage: Stage, documents: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges between documents with the reciprocal in-degree of their target as weight."""
    edges = stage.edge_index[:, (stage.edge_index < documents).all(0)]
    degree = torch.bincount(edges[1], minlength=documents)
    alone = (degree == 0).nonzero().squeeze(1)  # its own neighbour, or its scores would shrink
    edges = torch.cat([edges, alone.expand(2, -1)], dim=1)
    return edges, degree.clamp(min=1).float().reciprocal()[edges[1]]
