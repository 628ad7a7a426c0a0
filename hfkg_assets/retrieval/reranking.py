"""Reranking: what the graph says of candidates that their texts have brought together.

Popularity is a prior. Candidates that the same people like, or that the same Spaces, collections
and models use, speak for one another. What derives from a better candidate stands beneath it.
Belongs here: how much each counts. Does not: where candidates come from, what is told of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from hfkg_assets.retrieval.links import FOLLOWED, SHARED, Links
from hfkg_assets.retrieval.ranking import DECIMALS, Ranking
from hfkg_assets.vocabulary import LINEAGE

COPY = "model_quantized_model"
"""The relation to a derived model that is for the same as its base."""

BENEATH = 0.999
"""Of a base's score, for copies that would stand above it."""


@dataclass(frozen=True)
class Weights:
    """How much each part counts.

    Attributes:
        meaning, words, name, feedback: of the rankings in the fusion.
        popularity: by how much the most popular repository's score is raised.
        likes, use: by how much the score of the candidate with the most in common is raised.
        derived: what is left of the score of a model whose base is a better candidate.
    """

    meaning: float = 1.0
    words: float = 1.0
    name: float = 4.0
    feedback: float = 1.5
    popularity: float = 0.3
    likes: float = 0.05
    use: float = 0.05
    derived: float = 0.9


WEIGHTS = Weights()
"""Those that search uses; how they were chosen is told in `benchmarks/README.md`."""


@dataclass(frozen=True)
class Partner:
    """What a candidate has in common with another.

    Attributes:
        row: the other.
        hub: node that both are linked with.
        shared: how many such nodes there are.
    """

    row: int
    hub: int
    shared: int


@dataclass(frozen=True)
class Reranked:
    """Candidates in their new order, and why.

    Attributes:
        ranking: the new order.
        gains: part → what it added to each score, in the same order.
        partners: `likes` or `use` → row → whom it has most in common with.
        bases: row → row of the better candidate that it derives from, and the relation.
    """

    ranking: Ranking
    gains: dict[str, np.ndarray]
    partners: dict[str, dict[int, Partner]] = field(default_factory=dict)
    bases: dict[int, tuple[int, str]] = field(default_factory=dict)


def popularity(facts: pl.DataFrame) -> np.ndarray:
    """The mean of the logarithms of likes and downloads, each as a share of the greatest.

    Args:
        facts: `retrieval/facts`, n rows.

    Returns:
        float32 [n] in [0, 1].
    """
    logs = facts.select(pl.col("likes", "downloads").clip(0).log1p()).to_numpy().astype(np.float32)
    greatest = logs.max(axis=0, initial=0)
    return (logs / np.where(greatest > 0, greatest, 1)).mean(axis=1)


def rerank(
    candidates: Ranking,
    nodes: np.ndarray,
    prior: np.ndarray,
    links: Links,
    weights: Weights,
    named: np.ndarray | None = None,
) -> Reranked:
    """Orders candidates anew.

    Args:
        candidates: m rows by fused score.
        nodes: int64 [n], node of each row; -1 where it has none.
        prior: float32 [n], popularity.
        links: of nodes.
        weights: how much each part counts.
        named: rows that were asked for by name: they stand beneath no base that was not.
    """
    if not len(candidates.rows):
        return Reranked(candidates, {})
    start = candidates.scores / candidates.scores.max()
    own = nodes[candidates.rows]
    gains = {"popularity": weights.popularity * prior[candidates.rows] * start}
    partners = {}
    for name, relations in SHARED.items():
        support, found = _support(own, start, links, relations)
        gains[name] = getattr(weights, name) * support * start
        partners[name] = {
            int(candidates.rows[i]): Partner(int(candidates.rows[j]), hub, shared)
            for i, (j, hub, shared) in found.items()
        }
    raised = start + sum(gains.values())
    asked_for = np.isin(candidates.rows, [] if named is None else named)
    total, bases = _beneath_bases(raised, own, links, weights.derived, asked_for)
    order = np.lexsort((candidates.rows, -np.round(total, DECIMALS)))
    return Reranked(
        Ranking(candidates.rows[order], total[order].astype(np.float32)),
        {**{name: gain[order] for name, gain in gains.items()}, "lineage": (total - raised)[order]},
        partners,
        {
            int(candidates.rows[i]): (int(candidates.rows[j]), relation)
            for i, (j, relation) in bases.items()
        },
    )


def shared_nodes(
    own: np.ndarray, links: Links, relations: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Whom nodes are linked with.

    Args:
        own: int64 [m], nodes; -1 is linked with nobody.
        relations: by which relations.

    Returns:
        place in `own`, and the other node, of each link once.
    """
    place, at = _links_of(own, links, relations)
    pairs = np.unique(np.stack([place, links.other[at]]), axis=1)
    return pairs[0], pairs[1]


def _links_of(
    own: np.ndarray, links: Links, relations: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The links of nodes: place in `own`, and place in `links`, of each."""
    known = np.maximum(own, 0)
    counts = np.where(own < 0, 0, links.degree(known))
    place = np.repeat(np.arange(len(own)), counts)
    offset = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = links.starts[known][place] + offset
    kept = np.isin(links.relation[at], [FOLLOWED.index(name) for name in relations])
    return place[kept], at[kept]


def rarity(links: Links, nodes: np.ndarray) -> np.ndarray:
    """What a node in common is worth: less the more it is linked with (Adamic and Adar, 2003)."""
    return 1 / np.log(2 + links.degree(nodes))


def _support(
    own: np.ndarray, scores: np.ndarray, links: Links, relations: tuple[str, ...]
) -> tuple[np.ndarray, dict[int, tuple[int, int, int]]]:
    """How much candidates have in common with others that score well.

    Returns:
        float64 [m] in [0, 1]; and place → place of the one it has most in common with, a node that
        both are linked with, and how many there are.
    """
    from scipy.sparse import csr_array

    place, hub = shared_nodes(own, links, relations)
    nothing = np.zeros(len(own))
    if not len(place):
        return nothing, {}
    hubs, column = np.unique(hub, return_inverse=True)
    worth = rarity(links, hubs)
    shape = (len(own), len(hubs))
    linked = csr_array((np.sqrt(worth[column]), (place, column)), shape=shape)
    common = (linked @ linked.T).toarray()
    norm = np.sqrt(np.maximum(common.diagonal(), 1e-12))
    common = common / norm[:, None] / norm[None, :]
    np.fill_diagonal(common, 0)
    support = common @ scores
    if support.max() <= 0:
        return nothing, {}
    nearest = (common * scores).argmax(axis=1)
    lists = np.split(
        column[np.argsort(place, kind="stable")],
        np.cumsum(np.bincount(place, minlength=len(own)))[:-1],
    )
    found = {}
    for i in np.flatnonzero(support > 0).tolist():
        j = int(nearest[i])
        both = np.intersect1d(lists[i], lists[j])
        found[i] = j, int(hubs[both[worth[both].argmax()]]), len(both)
    return support / support.max(), found


def _beneath_bases(
    scores: np.ndarray, own: np.ndarray, links: Links, derived: float, named: np.ndarray
) -> tuple[np.ndarray, dict[int, tuple[int, str]]]:
    """Lowers what derives from a better candidate, and copies that stand above their base."""
    candidate = {node: i for i, node in enumerate(own.tolist()) if node >= 0}
    lowered = scores.copy()
    bases: dict[int, tuple[int, str]] = {}
    place, at = _links_of(own, links, LINEAGE)
    derives = ~links.is_subject[at]
    for i, link in zip(place[derives].tolist(), at[derives].tolist(), strict=True):
        j = candidate.get(int(links.other[link]), i)
        if j == i or (named[i] and not named[j]):
            continue
        relation = FOLLOWED[links.relation[link]]
        is_better = (scores[j], -j) > (scores[i], -i)
        if relation == COPY:
            lowered[i] = min(lowered[i], scores[j] * BENEATH)
        elif is_better:
            lowered[i] = min(lowered[i], scores[i] * derived)
        if is_better or relation == COPY:
            bases.setdefault(i, (j, relation))
    return lowered, bases
