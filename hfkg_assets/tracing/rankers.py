"""The rankers by name: what ranks candidates, and whether it reads the answer.

Belongs here: names, and the rank table that all share. Does not: how any of them ranks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from hfkg_assets.tracing.pair_features import FEATURES
from hfkg_assets.tracing.questions import Questions, Run
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.table_schema import Column

TRIVIAL, EVIDENCE, EMBEDDING, COMBINATION = "trivial", "evidence", "embedding", "combination"

RANDOM = "random"

SINGLE: Mapping[str, Mapping[str, float]] = {
    "popularity": {"popularity": 1.0},
    "popularity_by_relation": {"relation_popularity": 1.0, "popularity": 0.001},
    "text": {"text": 1.0},
    "name": {"name": 1.0, "name_covered": 1.0},
    "config": {"config": 1.0},
    "owner": {"owner_habit": 1.0, "same_owner": 0.5},
    "name_relatives": {"name_relatives": 1.0},
    "card": {"declared": 2.0, "named": 1.0},
    "card_text": {"card_text": 1.0},
}
"""Rankers of a single evidence: feature → weight; nothing of them is learnt."""

EMBEDDINGS = {
    "transe": "TransE (Bordes et al., NeurIPS 2013)",
    "rotate": "RotatE (Sun et al., arXiv 1902.10197)",
    "complex": "ComplEx (Trouillon et al., arXiv 1606.06357)",
    "distmult": "DistMult (Yang et al., arXiv 1412.6575)",
}

COMBINED, COMBINED_WITH_CARD = "combination", "combination_with_card"

ROLES = {
    RANDOM: TRIVIAL,
    **{name: TRIVIAL if name.startswith("popularity") else EVIDENCE for name in SINGLE},
    **dict.fromkeys(EMBEDDINGS, EMBEDDING),
    COMBINED: COMBINATION,
    COMBINED_WITH_CARD: COMBINATION,
}

READS_CARD = ("card", "card_text", COMBINED_WITH_CARD)
"""These read cards as they are, in which the answer may stand."""

RANKS = (
    Column("model", pl.String(), "what ranked", required=True),
    Column("protocol", pl.String(), "random or time", required=True),
    Column("seed", pl.Int64(), "of the run", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    Column("relation", pl.String(), "lineage relation that was asked", required=True),
    Column("base_id", pl.String(), "the true base", required=True),
    Column("derived_id", pl.String(), "the derived model that was asked", required=True),
    Column("rank", pl.Float64(), "of the true base, filtered; halves where scores tie", True),
    Column("candidates", pl.Int64(), "models that took a place", required=True),
)


def single_scores(features: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of the rankers of a single evidence: name → float32 [b, c].

    Args:
        features: float32 [b, c, features], in the order of `FEATURES`.
    """
    order = list(FEATURES)
    return {
        name: sum(
            (
                np.float32(weight) * features[:, :, order.index(feature)]
                for feature, weight in parts.items()
            ),
            start=np.zeros(features.shape[:2], np.float32),
        )
        for name, parts in SINGLE.items()
    }


def rank_rows(
    model: str,
    run: Run,
    split: str,
    ids: pl.Series,
    ranks: np.ndarray,
    candidates: np.ndarray,
) -> pl.DataFrame:
    """Rows of `RANKS` for all questions of a split.

    Args:
        model: what ranked.
        run: the run.
        split: validation or test.
        ids: of the models, by their numbers.
        ranks: float64 [q].
        candidates: how many took a place, int [q].
    """
    asked: Questions = run.parts[split]
    return pl.DataFrame(
        {
            "model": pl.repeat(model, len(asked), dtype=pl.String, eager=True),
            "protocol": pl.repeat(run.protocol, len(asked), dtype=pl.String, eager=True),
            "seed": pl.repeat(run.seed, len(asked), dtype=pl.Int64, eager=True),
            "split": pl.repeat(split, len(asked), dtype=pl.String, eager=True),
            "relation": pl.Series(LINEAGE, dtype=pl.String).gather(asked.relation),
            "base_id": ids.gather(asked.base),
            "derived_id": ids.gather(asked.derived),
            "rank": ranks,
            "candidates": candidates,
        },
        schema={column.name: column.dtype for column in RANKS},
    )
