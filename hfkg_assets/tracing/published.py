"""Figures of HuggingBench's model tracing, as published, and how far they compare.

From the README of HuggingBench (nju-websoft/HuggingBench, arXiv 2505.17507): trained with LibKGE on
the lineage of December 2024, about 2,800 triples each in validation and test; ranks of the base
among all models of that lineage graph.
"""

from __future__ import annotations

import polars as pl

from hfkg_assets.tracing.ranking import METRICS

HUGGINGBENCH = "HuggingBench, arXiv 2505.17507"
NOTE = (
    "no: lineage of December 2024, about 335,000 triples of training and 2,800 of test; no text, "
    "name or popularity was read"
)

_ROWS = (
    # model, MRR, Hits@1, @3, @5, @10
    ("TransE", 0.5589, 0.4496, 0.6321, 0.6973, 0.7562),
    ("RotatE", 0.5317, 0.4195, 0.6029, 0.6803, 0.7392),
    ("ConvE", 0.4739, 0.3766, 0.5119, 0.5903, 0.6735),
    ("KG-ICL, zero-shot", 0.4008, 0.3354, 0.3792, 0.4854, 0.5938),
    ("HittER", 0.3678, 0.2900, 0.4078, 0.4657, 0.5314),
    ("ULTRA, zero-shot", 0.3373, 0.1440, 0.4803, 0.5309, 0.6672),
    ("RESCAL", 0.2694, 0.2380, 0.2667, 0.2929, 0.3470),
    ("DistMult", 0.2050, 0.1421, 0.2321, 0.2735, 0.3324),
    ("ComplEx", 0.1807, 0.1109, 0.2122, 0.2599, 0.3066),
)


def published_figures() -> pl.DataFrame:
    """The published rows in the leaderboard's columns, best first."""
    return pl.DataFrame(_ROWS, schema=["model", *METRICS], orient="row").with_columns(
        protocol=pl.lit("random"),
        split=pl.lit("test"),
        role=pl.lit("published"),
        source=pl.lit(HUGGINGBENCH),
        reads_the_answer=pl.lit("no"),
        comparable=pl.lit(NOTE),
    )
