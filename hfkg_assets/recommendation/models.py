"""The recommenders by name: how each is fitted, and fitted again on all likes.

Belongs here: which recommenders there are, what each is made of, what is chosen on validation
likes. Does not: how any of them works (`blends`, `lightgcn`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hfkg_assets.recommendation.blends import (
    ASYMMETRIES,
    POPULARITY,
    SHRINKAGES,
    Blend,
    Similarity,
    chosen_weights,
    item_knn,
    item_similarity,
    popular,
    random_scores,
)
from hfkg_assets.recommendation.data import Likes
from hfkg_assets.recommendation.metrics import BLOCK_SCORES, ENOUGH, Score, best, judge, metrics_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from hfkg_assets.recommendation.lightgcn import LightGcnOptions, Trained

BASELINE, LEARNED, TRAINED_ELSEWHERE = "baseline", "learned", "sslrec"
RECOMMENDERS: Mapping[str, tuple[str, str]] = {
    "random": (BASELINE, "a random order of the items, another for each user"),
    POPULARITY: (BASELINE, "what most users like in training, the same for everybody"),
    "item_knn": (LEARNED, "what is liked by those who like the same: item-based neighbours"),
    "lightgcn": (LEARNED, "LightGCN on the graph of likes"),
    "lightgcn_text": (LEARNED, "LightGCN, with how near text and name are to what a user likes"),
    "lightgcn_graph": (LEARNED, "LightGCN on the graph of likes joined with edges of the items"),
    "combination": (LEARNED, "neighbours, LightGCN with edges, text and name together"),
}
"""Name → role and what it is."""

NOTHING_DRAWN = ("popularity", "item_knn")
"""Recommenders that are the same for every seed."""

CHOSEN_AT = 20
CHOSEN_BY = f"ndcg_{CHOSEN_AT}"
"""The metric on validation likes by which everything is chosen."""
NEAR_TEXT = (0.0, 0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Knowledge:
    """What is known of the items besides likes.

    Attributes:
        vectors: of their texts, float32 [items, width].
        words: of their names, items × words.
        evidence: kind of evidence → items × further nodes.
    """

    vectors: np.ndarray
    words: csr_matrix
    evidence: Mapping[str, csr_matrix]


Settings = dict[str, Any]
"""What was chosen on validation likes, so that it can be fitted again: plain values only."""


@dataclass
class Fitting:
    """The recommenders of one protocol and seed, each made when it is first asked for.

    Args:
        likes: what is learnt from, and the likes of validation.
        knowledge: of the items.
        options: of LightGCN.
        seed: of everything that is drawn.
        joined: kinds of evidence that `lightgcn_graph` has in its graph.
        settings: name → what was chosen before; where given, nothing is chosen here.
        log: told of progress.
    """

    likes: Likes
    knowledge: Knowledge
    options: LightGcnOptions
    seed: int = 0
    joined: tuple[str, ...] = ("task",)
    settings: Mapping[str, Settings] | None = None
    log: Callable[[str], None] = lambda message: None
    chosen: dict[str, Settings] = field(default_factory=dict)
    _networks: dict[str, Trained] = field(default_factory=dict)
    _neighbours: csr_matrix | None = None

    def score(self, name: str) -> Score:
        """The recommender of this name.

        Raises:
            KeyError: there is none.
        """
        match name:
            case "random":
                return random_scores(self.likes, self.seed)
            case "popularity":
                return popular(self.likes)
            case "item_knn":
                return item_knn(self.likes, self.neighbours())
            case "lightgcn" | "lightgcn_graph":
                return self.network(name).score
            case "lightgcn_text" | "combination":
                return self.blend(name).weighted(self.weights(name))
        raise KeyError(f"no recommender {name}; there are {', '.join(RECOMMENDERS)}")

    def value(self, score: Score) -> float:
        """How good a recommender is on validation likes."""
        likes = self.likes
        valid = likes.judged["valid"]
        return judge(score, likes.train, valid, likes.order, most=ENOUGH)[CHOSEN_BY]

    def neighbours(self) -> csr_matrix:
        """The similarities of ItemKNN."""
        if self._neighbours is None:
            if self.settings is not None:
                told = self.settings["item_knn"]
                found = item_similarity(self.likes, told["shrinkage"], told["asymmetry"])
            else:
                found, told = self._best_neighbours()
            self._neighbours, self.chosen["item_knn"] = found, told
        return self._neighbours

    def _best_neighbours(self) -> tuple[csr_matrix, Settings]:
        best_value, result = -1.0, None
        for shrinkage, asymmetry in product(SHRINKAGES, ASYMMETRIES):
            similarity = item_similarity(self.likes, shrinkage, asymmetry)
            value = self.value(item_knn(self.likes, similarity))
            if result is None or value > best_value:
                best_value = value
                result = similarity, {"shrinkage": shrinkage, "asymmetry": asymmetry}
        assert result is not None
        return result

    def network(self, name: str) -> Trained:
        """The network of `lightgcn` or `lightgcn_graph`."""
        from hfkg_assets.recommendation.lightgcn import train_lightgcn

        if name not in self._networks:
            known = [self.knowledge.evidence[kind] for kind in self.joined]
            trained = train_lightgcn(
                self.likes,
                self.options,
                self.seed,
                known if name == "lightgcn_graph" else (),
                epochs=self.settings[name]["epochs"] if self.settings is not None else None,
                log=lambda message: self.log(f"{name}, seed {self.seed}: {message}"),
            )
            self._networks[name] = trained
            self.chosen[name] = {"epochs": trained.best_epoch}
        return self._networks[name]

    def blend(self, name: str) -> Blend:
        """The terms of `lightgcn_text` or `combination`."""
        parts: dict[str, Similarity | Score] = {
            "text": Similarity.of_features(self.knowledge.vectors),
            "words": Similarity.of_features(self.knowledge.words),
        }
        if name == "lightgcn_text":
            return Blend(self.likes, {"lightgcn": self.network("lightgcn").score, **parts})
        network = self.network("lightgcn_graph").score
        knn = Similarity(None, self.neighbours())
        return Blend(self.likes, {"lightgcn_graph": network, "item_knn": knn, **parts})

    def weights(self, name: str) -> dict[str, float]:
        """The weights of the terms of a blend."""
        if self.settings is not None:
            return dict(self.settings[name]["weights"])
        if name not in self.chosen:
            blend = self.blend(name)
            base, *others = blend.parts
            value = self._value_of_weights(blend)
            weights = chosen_weights([*others, POPULARITY], value, {base: 1.0}, NEAR_TEXT)
            self.chosen[name] = {"weights": weights}
        return dict(self.chosen[name]["weights"])

    def _value_of_weights(self, blend: Blend) -> Callable[[Mapping[str, float]], float]:
        """How good weights are on validation likes: terms are computed once, for some users."""
        likes = self.likes
        liked, names = likes.judged["valid"], [*blend.parts, POPULARITY]
        users = np.flatnonzero(np.diff(liked.indptr))
        most = max(1, BLOCK_SCORES // (likes.items * len(names)))
        users = users[:: max(1, -(-len(users) // most))]
        terms = {name: blend.part(name, users) for name in names}
        seen = np.where(likes.train[users].toarray() > 0, np.float32(-np.inf), np.float32(0))

        def value(weights: Mapping[str, float]) -> float:
            total = seen.copy()
            for name, weight in weights.items():
                if weight:
                    total += np.float32(weight) * terms[name]
            ranked = best(total, CHOSEN_AT, likes.order)
            return metrics_of(ranked, users, liked, [CHOSEN_AT])[CHOSEN_BY]

        return value

    def needed(self, name: str) -> list[str]:
        """The recommenders whose settings are needed to fit this one again, itself included."""
        return {
            "lightgcn_text": ["lightgcn", name],
            "combination": ["lightgcn_graph", "item_knn", name],
        }.get(name, [name] if RECOMMENDERS[name][0] == LEARNED else [])

    # --- why ---------------------------------------------------------------------------------

    def closeness(self, name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """How far liking one item speaks for another, in this recommender's own terms.

        Returns:
            Takes numbers of items that are liked and of items that are recommended, int64 [n]
            each; gives float32 [n].
        """
        match name:
            case "item_knn":
                return Pairs(None, self.neighbours())
            case "lightgcn" | "lightgcn_graph":
                return Pairs.of_features(self.network(name).items)
            case "lightgcn_text" | "combination":
                blend, weights = self.blend(name), self.weights(name)
                base = next(iter(blend.parts))
                terms: list[tuple[float, Pairs]] = [
                    (1 / blend.scales[base], Pairs.of_features(self.network(base).items))
                ]
                terms += [
                    (weights[part] / blend.scales[part], Pairs(similarity.left, similarity.right))
                    for part, similarity in blend.parts.items()
                    if isinstance(similarity, Similarity) and weights.get(part)
                ]
                return lambda liked, other: sum(  # type: ignore[return-value]
                    weight * pairs(liked, other) for weight, pairs in terms
                )
        return lambda liked, other: np.zeros(len(liked), dtype=np.float32)


@dataclass(frozen=True)
class Pairs:
    """Similarities of single pairs of items; see `blends.Similarity`."""

    left: Any
    right: Any

    @classmethod
    def of_features(cls, features: np.ndarray) -> Pairs:
        return cls(features, features.T)

    def __call__(self, liked: np.ndarray, other: np.ndarray) -> np.ndarray:
        if self.left is None:
            return np.asarray(self.right[liked, other], dtype=np.float32).ravel()
        ends = self.left[liked], self.right.T[other]
        if isinstance(self.left, np.ndarray):
            return np.einsum("nd,nd->n", *ends)
        return np.asarray(ends[0].multiply(ends[1]).sum(axis=1), dtype=np.float32).ravel()
