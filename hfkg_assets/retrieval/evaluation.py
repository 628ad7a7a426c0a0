"""How good a ranking is: questions with known answers, every method asked, the usual metrics.

Belongs here: what holds for any questions. Does not: which questions are asked (`leaderboard`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_assets.retrieval.ranking import Ranking, best
from hfkg_assets.retrieval.search import DEPTH, METHODS, DocumentSearch
from hfkg_assets.retrieval.selection import Selection

CUTS = (1, 5, 10, 20, 100)
"""Ranks at which recall is told."""

DEEPEST = max(CUTS)

NOTHING = Ranking(np.zeros(0, np.int64), np.zeros(0))

RANDOM, POPULARITY, WORDS, MEANING, FEEDBACK, TWO, FUSED, RERANKED = RANKERS = (
    "random", "popularity", "words", "meaning", "feedback", "words + meaning", "fused", "reranked",
)  # fmt: skip
"""The methods that are compared; `words` is BM25, `meaning` the encoder's vectors, `feedback` what
is near to both the question and the best by words, `fused` all three."""

PARTS = (RANDOM, POPULARITY, WORDS, MEANING, FEEDBACK)
"""What the fusion must be better than."""


@dataclass(frozen=True)
class Question:
    """A question whose answers are known.

    Attributes:
        protocol: by which rule they are.
        name: of the question, such as a task id.
        text: what is asked.
        kind: model or dataset.
        relevant: rows of the answers, int64.
    """

    protocol: str
    name: str
    text: str
    kind: str
    relevant: np.ndarray


def metrics_of(rows: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    """Recall at each cut, reciprocal rank and nDCG@10 of one ranking.

    Recall is the share of all answers among the first k; where there are more than k it stays below
    1. The reciprocal rank is 0 where no answer is among the first 100.

    Args:
        rows: the ranking, best first.
        relevant: rows of the answers, at least one.
    """
    hit = np.isin(rows[:DEEPEST], relevant)
    found = {f"recall_at_{k}": float(hit[:k].sum() / len(relevant)) for k in CUTS}
    first = np.flatnonzero(hit)
    discount = 1 / np.log2(np.arange(2, 12))
    gain = float((hit[:10] * discount[: len(hit[:10])]).sum())
    return {
        **found,
        "mrr": float(1 / (1 + first[0])) if len(first) else 0.0,
        "ndcg_at_10": gain / float(discount[: len(relevant)].sum()),
    }


METRICS = tuple(metrics_of(np.arange(1), np.arange(1)))


def rankings_of(search: DocumentSearch, question: Question) -> Iterator[tuple[str, Ranking]]:
    """What each method answers: the method, and its first 100."""
    selection = search.select(question.kind)
    yield RANDOM, _random(selection, question)
    yield POPULARITY, search.popular(selection, DEEPEST)
    found = search.rankings(question.text, selection, DEPTH)
    for method in (WORDS, MEANING, FEEDBACK):
        yield method, found.get(method, NOTHING)
    yield TWO, search.fused({name: found[name] for name in METHODS}, DEEPEST)
    fused = search.fused(found, DEEPEST)
    yield FUSED, fused
    yield RERANKED, search.reranked(fused, found.get("name")).ranking


def _random(selection: Selection, question: Question) -> Ranking:
    seed = zlib.crc32(f"{question.protocol} {question.name} {question.kind}".encode())
    scores = np.random.default_rng(seed).random(selection.count)
    return best(scores, DEEPEST, selection.rows)


def evaluate(search: DocumentSearch, questions: Sequence[Question]) -> pl.DataFrame:
    """Every method's metrics for every question.

    Returns:
        `protocol`, `name`, `kind`, `relevant` (how many), `method`, and a column for each metric.
    """
    rows = [
        {
            "protocol": question.protocol,
            "name": question.name,
            "kind": question.kind,
            "relevant": len(question.relevant),
            "method": method,
            **metrics_of(ranking.rows, question.relevant),
        }
        for question in questions
        for method, ranking in rankings_of(search, question)
    ]
    schema = {
        "protocol": pl.String(), "name": pl.String(), "kind": pl.String(), "relevant": pl.Int64(),
        "method": pl.String(), **dict.fromkeys(METRICS, pl.Float64()),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def means_of(scores: pl.DataFrame) -> pl.DataFrame:
    """The means over questions, by protocol, kind and method: kinds apart and together (`all`).

    Args:
        scores: of `evaluate`.

    Returns:
        `protocol`, `kind`, `method`, `questions`, and the metrics; methods in the order of
        `RANKERS`.
    """
    order = pl.col("method").cast(pl.Enum(RANKERS))
    return (
        pl.concat([scores.with_columns(kind=pl.lit("all")), scores])
        .group_by("protocol", "kind", "method")
        .agg(pl.len().cast(pl.Int64).alias("questions"), pl.col(METRICS).mean())
        .sort("protocol", "kind", order)
    )
