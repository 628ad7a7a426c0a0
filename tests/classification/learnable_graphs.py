"""Prepared data from which something can be learnt, in the features or only from neighbours."""

from dataclasses import replace

import torch

from hfkg_assets.classification.training_data import SPLITS, Stage, TrainingData

RELATIONS, TASKS, FEATURES = 9, 4, 8
DOCUMENT_RELATIONS = 5
"""Relations between documents come first, as in the real graph."""


def learnable_graph(
    documents: int = 150, context: int = 30, *, seed: int = 0, from_features: bool = True
) -> TrainingData:
    """A graph whose documents come in groups of six that are of one task and joined in a ring.

    There are edges to random documents and context nodes too. Groups lie across splits.

    Args:
        documents, context: number of nodes of either kind; documents a multiple of six.
        seed: of everything.
        from_features: whether features tell the task, too; otherwise they are all zero.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = documents // 6
    task = torch.randint(TASKS, (groups,), generator=generator).repeat_interleave(6)
    x = torch.randn(documents, FEATURES, generator=generator)
    x[torch.arange(documents), task] += 4
    x *= from_features
    number = torch.arange(documents)
    ring = torch.stack([number, number - number % 6 + (number + 1) % 6])
    noise = torch.randint(documents, (2, documents // 6), generator=generator)
    into_context = torch.stack(
        [
            torch.randint(documents, (2 * context,), generator=generator),
            documents + torch.randint(context, (2 * context,), generator=generator),
        ]
    )
    edges = torch.cat([ring, noise, into_context], dim=1)

    def draw_kinds(first: int, end: int, count: int) -> torch.Tensor:
        return torch.randint(first, end, (count,), generator=generator)

    kind = torch.cat(
        [
            draw_kinds(0, 1, ring.shape[1]),
            draw_kinds(1, DOCUMENT_RELATIONS, noise.shape[1]),
            draw_kinds(DOCUMENT_RELATIONS, RELATIONS, into_context.shape[1]),
        ]
    )
    part = torch.randperm(documents, generator=generator) % 6
    masks = dict(zip(SPLITS, (part > 1, part == 0, part == 1), strict=True))
    known = {**masks, "validation": masks["train"], "test": masks["train"] | masks["validation"]}
    stage = Stage(
        torch.cat([edges, edges.flip(0)], dim=1),
        torch.cat([kind, kind + RELATIONS]),
        torch.ones(documents, dtype=torch.bool),
        known["train"],
    )
    return TrainingData(
        x=x,
        y=torch.nn.functional.one_hot(task, TASKS).float(),
        masks=masks,
        node_kind=torch.cat([number % 2, 2 + torch.arange(context) % 3]),
        stages={split: replace(stage, known=known[split]) for split in SPLITS},
        relations=RELATIONS,
        mean=torch.zeros(FEATURES),
        scale=torch.ones(FEATURES),
    )
