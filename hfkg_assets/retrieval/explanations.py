"""Explanations: why a hit is where it is, in sentences, and by which path in the graph.

Belongs here: from the parts of a score to reasons. Does not: the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_assets.retrieval.answers import Reason
from hfkg_assets.retrieval.links import SHARED, Links
from hfkg_assets.retrieval.ranking import RRF_K, Ranking
from hfkg_assets.retrieval.reranking import WEIGHTS, Reranked, Weights

SHOWN = 6
"""Words that are named."""


@dataclass(frozen=True)
class Explained:
    """A ranking with all that it was made of.

    Attributes:
        ranking: the final order.
        rankings: by method.
        reranked: what the graph had to say; None where it was not asked.
        names: ids by node.
        fused: the order before the graph was asked; None where it is by popularity alone.
        weights: how much each part counted.
    """

    ranking: Ranking
    rankings: Mapping[str, Ranking]
    reranked: Reranked | None
    names: pl.Series
    fused: Ranking | None = None
    weights: Weights = WEIGHTS


def reasons_of(
    rank: int,
    explained: Explained,
    facts: pl.DataFrame,
    links: Links,
    nodes: np.ndarray,
    held: Mapping[str, float],
) -> tuple[Reason, ...]:
    """The reasons of one hit, the weightiest first.

    Args:
        rank: of the hit, from 1.
        explained: what it is a hit of.
        facts: of all documents.
        links: of nodes.
        nodes: node of each document.
        held: the question's words that it holds.
    """
    row = int(explained.ranking.rows[rank - 1])
    popular = _popularity(facts, row)
    if explained.fused is None:
        return (Reason("popularity", popular, weight=float(explained.ranking.scores[rank - 1])),)
    scale = float(explained.fused.scores.max()) if explained.reranked else 1.0
    reasons = []
    for name, ranking in explained.rankings.items():
        place = np.flatnonzero(ranking.rows == row)
        if len(place):
            nth = int(place[0]) + 1
            weight = getattr(explained.weights, name) / (RRF_K + nth) / scale
            cosine = float(ranking.scores[place[0]])
            texts = {
                "meaning": _meaning(nth, cosine, "the question"),
                "feedback": _meaning(nth, cosine, "the question and the best by words"),
                "words": _words(nth, held),
                "name": "its name holds all words of the question",
            }
            kind = "meaning" if name == "feedback" else name
            reasons.append(Reason(kind, texts[name], weight=round(weight, 6)))
    reranked = explained.reranked
    if reranked is not None:
        gains = {name: float(gain[rank - 1]) for name, gain in reranked.gains.items()}
        if gains["popularity"] > 0:
            reasons.append(Reason("popularity", popular, weight=round(gains["popularity"], 6)))
        for name in SHARED:
            partner = reranked.partners[name].get(row)
            if partner is not None and gains[name] > 0:
                ends = int(nodes[row]), int(nodes[partner.row])
                text = _in_common(name, partner.shared, facts["id"][partner.row])
                path = _over(links, explained.names, ends, partner.hub, SHARED[name])
                reasons.append(Reason(name, text, path, round(gains[name], 6)))
        if row in reranked.bases:
            base, relation = reranked.bases[row]
            path = (str(facts["id"][base]), relation, str(facts["id"][row]))
            text = f"{_derived(relation)} {path[0]}, which fits better"
            reasons.append(Reason("lineage", text, path, round(gains["lineage"], 6)))
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.weight or 0)))


def similar_reasons(
    row: int,
    rankings: Mapping[str, Ranking],
    weights: Mapping[str, float],
    paths: Mapping[str, tuple[tuple[str, ...], int]],
    asked: str,
) -> tuple[Reason, ...]:
    """Why a document is like another, the weightiest reason first.

    Args:
        row: of the document.
        rankings: by reason.
        weights: of the rankings in the fusion.
        paths: reason → a path between the two, and how many there are.
        asked: id of the other.
    """
    reasons = []
    for name, ranking in rankings.items():
        place = np.flatnonzero(ranking.rows == row)
        if not len(place):
            continue
        nth = int(place[0]) + 1
        path, count = paths.get(name, ((), 0))
        if name == "meaning":
            text = _meaning(nth, ranking.scores[place[0]], f"that of {asked}")
        elif name == "words":
            text = f"its name or text holds words of the name {asked}"
        elif name == "lineage":
            text = _kinship(path, asked)
        elif len(path) == 3:  # a link between the two
            text = f"{path[0]} is trained or fine-tuned on {path[2]}"
        else:
            text = _in_common(name, count, asked)
        reasons.append(Reason(name, text, path, round(weights[name] / (RRF_K + nth), 6)))
    return tuple(sorted(reasons, key=lambda reason: -(reason.weight or 0)))


def path_through(
    links: Links, names: pl.Series, node: int, other: int, relations: tuple[str, ...]
) -> tuple[tuple[str, ...], int] | None:
    """A path of one or two edges between two nodes, the rarest in between; and how many there are.

    Returns:
        None where there is none.
    """
    if node < 0 or other < 0:
        return None
    mine, theirs = links.of(node, relations), links.of(other, relations)
    direct = mine[links.other[mine] == other]
    if len(direct):
        return links.path(int(direct[0]), node, names), 1
    hubs = np.intersect1d(links.other[mine], links.other[theirs])
    if not len(hubs):
        return None
    hub = int(hubs[links.degree(hubs).argmin()])
    return _over(links, names, (node, other), hub, relations), len(hubs)


def _over(
    links: Links, names: pl.Series, ends: tuple[int, int], hub: int, relations: tuple[str, ...]
) -> tuple[str, ...]:
    """The path from one node over another to a third, whatever way its edges point."""
    relation = []
    for node in ends:
        places = links.of(node, relations)
        at = int(places[links.other[places] == hub][0])
        relation.append(links.path(at, node, names)[1])
    return str(names[ends[0]]), relation[0], str(names[hub]), relation[1], str(names[ends[1]])


def _meaning(nth: int, cosine: float, of: str) -> str:
    place = "nearest" if nth == 1 else f"{ordinal(nth)} nearest"
    return f"its text is the {place} to {of} in meaning (cosine {cosine:.2f})"


def _words(nth: int, held: Mapping[str, float]) -> str:
    first = sorted(held, key=lambda word: (-held[word], word))
    more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    place = "best" if nth == 1 else f"{ordinal(nth)} best"
    return f"its name or text holds {', '.join(first[:SHOWN])}{more} ({place} by words)"


def _popularity(facts: pl.DataFrame, row: int) -> str:
    likes, downloads = facts["likes"][row], facts["downloads"][row]
    return f"{_times(likes, 'like')}, {_times(downloads, 'download')} in 30 days"


def _in_common(name: str, count: int, other: str) -> str:
    one, several = {
        "likes": ("user likes", "users like"),
        "use": ("Space, collection or model uses", "Spaces, collections or models use"),
    }[name]
    return f"{count:,} {one if count == 1 else several} both it and {other}"


def _derived(relation: str) -> str:
    return {
        "model_adapter_model": "an adapter for",
        "model_finetune_model": "fine-tuned from",
        "model_merge_model": "merged from",
        "model_quantized_model": "a quantization of",
    }.get(relation, "derived from")


def _kinship(path: tuple[str, ...], asked: str) -> str:
    if len(path) != 3:
        return f"shares kin with {asked}: {path[2]}" if path else f"is of the family of {asked}"
    base, relation, derived = path
    if derived == asked:
        return f"{asked} is {_derived(relation)} it"
    return f"{_derived(relation)} {base}"


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    ending = (
        "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number:,}{ending}"
