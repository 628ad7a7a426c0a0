"""What speaks for a model being the base of another, as numbers for every pair.

All of it is computed for a block of questions and all candidates at once, by products of sparse or
dense matrices. Nothing here was trained.

- names: TF-IDF of n-grams of characters; their cosine, how much of the base's name is in the
  derived one's (`name_covered`), and whether the base's owner is named in it (`owner_named`);
- configuration: cosine of TF-IDF of its tokens;
- text: cosine of the embeddings of the clean texts, less the mean of all texts. Of a derived model
  whose prose has the name of a known base it is not read: an embedding of `Quantized from NAME`
  is not much else than NAME. `card_text` reads it all the same;
- popularity: how often a model is a base, by this relation too, and how long before it was made;
- graph: what the same owner derived from, who owns the candidate, and what the models derived from
  whose names are most alike (`name_relatives`);
- card: bases that the front matter declares, models that the README names. With `card_text` these
  read the answer where the card states it.

What is counted are known triples alone (`Run.known`), and of these never the asked model's own: a
model of which the base is known is seen as one of which it is not. Likes and downloads are not
read, for they are those of the snapshot's day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from hfkg_assets.tracing.questions import Questions, days_of
from hfkg_assets.vocabulary import LINEAGE

FEATURES = {
    "popularity": "popularity",
    "relation_popularity": "popularity",
    "recency": "popularity",
    "older": "popularity",
    "name": "name",
    "name_covered": "name",
    "owner_named": "name",
    "config": "config",
    "text": "text",
    "same_owner": "graph",
    "owner_habit": "graph",
    "name_relatives": "graph",
    "is_derived": "graph",
    "declared": "card",
    "named": "card",
    "card_text": "card",
}
"""Feature → kind of evidence. Those of kind `card` read the answer where the card states it."""

WITHOUT_CARD = [name for name, kind in FEATURES.items() if kind != "card"]

NGRAMS = (2, 4)
RELATIVES = 20
"""Models of the most similar names that `name_relatives` asks."""

PAIRS_AT_ONCE = 1_000_000
"""Pairs of a block: its features take 64 MB."""


@dataclass(frozen=True)
class Models:
    """Models as matrices, in the order of `tracing/evidence`.

    Attributes:
        created: days, float64 [n], NaN where unknown.
        owner: owner number, int64 [n]; -1 where the id has none.
        names: TF-IDF of the name's n-grams, rows of length 1, sparse [n, grams].
        grams: which n-grams a name has, sparse [n, grams] of ones.
        owners: TF-IDF of the owner's n-grams, rows of sum 1, sparse [n, grams].
        config: TF-IDF of configuration tokens, rows of length 1, sparse [n, tokens].
        text: embeddings less their mean, rows of length 1 or 0, float32 [n, d].
        readable: whether a text may be read of what is derived, bool [n].
        declared, named: which models a card declares or names, sparse [n, n] of ones.
    """

    created: np.ndarray
    owner: np.ndarray
    names: Any
    grams: Any
    owners: Any
    config: Any
    text: np.ndarray
    readable: np.ndarray
    declared: Any
    named: Any

    def __len__(self) -> int:
        return len(self.created)

    @cached_property
    def covered(self) -> Any:
        """TF-IDF of names, rows of sum 1: how much each n-gram is of the name."""
        return _of_sum_one(self.names)


def model_matrices(facts: pl.DataFrame, embeddings: np.ndarray) -> Models:
    """Matrices of models.

    Args:
        facts: `tracing/evidence`, n rows.
        embeddings: of the clean texts, float32 [n, d]; zero where there is none.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    names, owners = (_spelled(facts[column]) for column in ("name", "owner"))
    by_name = TfidfVectorizer(
        analyzer="char", ngram_range=NGRAMS, sublinear_tf=True, dtype=np.float32
    )
    named = by_name.fit_transform(names) if len(names) else None
    config = TfidfVectorizer(analyzer=_as_it_is, dtype=np.float32, token_pattern=None)
    tokens = facts["config"].to_list()
    filled = any(tokens)
    has_text = embeddings.any(axis=1)
    centred = np.zeros_like(embeddings)
    if has_text.any():
        centred[has_text] = embeddings[has_text] - embeddings[has_text].mean(axis=0)
        normalize(centred, copy=False)
    return Models(
        created=days_of(facts["created_at"]),
        owner=_owner_numbers(facts["owner"]),
        names=named,
        grams=_ones(named),
        owners=_of_sum_one(by_name.transform(owners)),
        config=config.fit_transform(tokens) if filled else _nothing(len(facts)),
        text=centred,
        readable=has_text & ~facts["names_a_base"].to_numpy(),
        declared=_links(facts, "declared"),
        named=_links(facts, "named"),
    )


class PairFeatures:
    """Features of pairs of asked models and candidates.

    Args:
        models: all models.
        known: the triples that may be counted.
        candidates: rows of the candidates, int64 [c]; all models, where it is left out.
    """

    def __init__(
        self, models: Models, known: Questions, candidates: np.ndarray | None = None
    ) -> None:
        n = len(models)
        self.models, self.known = models, known
        self.candidates = np.arange(n) if candidates is None else candidates
        by_relation = [
            _counts(known.derived[known.relation == r], known.base[known.relation == r], (n, n))
            for r in range(len(LINEAGE))
        ]
        self._all = sum(by_relation[1:], start=by_relation[0])
        chosen = self.candidates
        self._by_relation = [matrix[:, chosen] for matrix in by_relation]
        self._edges = self._all[:, chosen]
        self._popularity = np.asarray(self._edges.sum(axis=0)).ravel()
        self._popularity_of = np.stack(
            [np.asarray(matrix.sum(axis=0)).ravel() for matrix in self._by_relation]
        )
        owners = int(models.owner.max(initial=-1)) + 1
        owned = models.owner[known.derived] >= 0
        place = np.full(n, -1)
        place[chosen] = np.arange(len(chosen))
        owned &= place[known.base] >= 0
        self._habits = _counts(
            models.owner[known.derived[owned]], place[known.base[owned]], (owners, len(chosen))
        )
        self._derived = np.unique(known.derived)
        self._is_derived = np.isin(chosen, self._derived)
        self._columns = {
            "name": models.names[chosen].T.tocsr(),
            "name_covered": models.covered[chosen].T.tocsr(),
            "owner_named": models.owners[chosen].T.tocsr(),
            "config": models.config[chosen].T.tocsr(),
        }
        self._relatives = models.names[self._derived].T.tocsr()
        self._text = models.text[chosen].T
        self._created = models.created[chosen]

    def blocks(self, asked: Questions) -> Iterator[tuple[slice, np.ndarray]]:
        """Questions block by block: rows of the questions, and their features.

        Args:
            asked: q questions.

        Returns:
            Pairs of a slice of the questions and float32 [b, c, features].
        """
        step = max(1, PAIRS_AT_ONCE // max(len(self.candidates), 1))
        for start in range(0, len(asked), step):
            rows = slice(start, min(start + step, len(asked)))
            yield rows, self.of(asked.take(rows))

    def of(self, asked: Questions) -> np.ndarray:
        """Features of some questions and every candidate, float32 [b, c, features].

        Args:
            asked: b questions; their bases are not read.
        """
        models, derived = self.models, asked.derived
        owner = models.owner[derived]
        own = _dense(self._edges[derived])
        own_by_relation = np.zeros_like(own)
        popularity_of = np.zeros_like(own)
        for relation in np.unique(asked.relation):
            rows = asked.relation == relation
            own_by_relation[rows] = _dense(self._by_relation[relation][derived[rows]])
            popularity_of[rows] = self._popularity_of[relation]
        texts = models.text[derived] @ self._text
        habit = np.zeros_like(own)
        has_owner = owner >= 0
        habit[has_owner] = _dense(self._habits[owner[has_owner]])
        age = models.created[derived][:, None] - self._created[None, :]
        values = {
            "popularity": np.log1p(np.maximum(self._popularity - own, 0)),
            "relation_popularity": np.log1p(np.maximum(popularity_of - own_by_relation, 0)),
            # A year, where either's date is unknown.
            "recency": -np.log1p(np.maximum(np.nan_to_num(age, nan=365.0), 0) / 30),
            "older": ~(age < 0),
            "name": _dense(models.names[derived] @ self._columns["name"]),
            "name_covered": _dense(models.grams[derived] @ self._columns["name_covered"]),
            "owner_named": _dense(models.grams[derived] @ self._columns["owner_named"]),
            "config": _dense(models.config[derived] @ self._columns["config"]),
            "text": np.where(models.readable[derived][:, None], texts, 0),
            "same_owner": (owner[:, None] == models.owner[self.candidates]) & has_owner[:, None],
            "owner_habit": np.log1p(np.maximum(habit - own, 0)),
            "name_relatives": self._votes(derived),
            "is_derived": np.broadcast_to(self._is_derived, own.shape),
            "declared": _dense(models.declared[derived][:, self.candidates]),
            "named": _dense(models.named[derived][:, self.candidates]),
            "card_text": texts,
        }
        # Each feature lies by itself in memory: they are written and weighed one after the other.
        planes = np.empty((len(FEATURES), *own.shape), np.float32)
        for plane, name in zip(planes, FEATURES, strict=True):
            plane[:] = values[name]
        return np.moveaxis(planes, 0, 2)

    def children_of(self, models: np.ndarray) -> np.ndarray:
        """Which candidates are known to derive from some models, bool [b, c].

        Args:
            models: int64 [b].
        """
        return _dense(self._all.T.tocsr()[models][:, self.candidates]) > 0

    def _votes(self, derived: np.ndarray) -> np.ndarray:
        """Share of the most similar names' models that derive from each candidate, [b, c]."""
        alike = _dense(self.models.names[derived] @ self._relatives)
        alike[derived[:, None] == self._derived[None, :]] = 0
        few = min(RELATIVES, alike.shape[1])
        if not few:
            return np.zeros((len(derived), len(self.candidates)), np.float32)
        nearest = np.argpartition(-alike, few - 1, axis=1)[:, :few]
        weights = np.take_along_axis(alike, nearest, axis=1) ** 2
        votes = _weighted(nearest, weights, alike.shape) @ self._edges[self._derived]
        return _dense(votes) / (weights.sum(axis=1, keepdims=True) + 0.1)


def columns_of(names: Sequence[str]) -> list[int]:
    """Places of features by name."""
    order = list(FEATURES)
    return [order.index(name) for name in names]


# --- sparse matrices -----------------------------------------------------------------------------


def _spelled(names: pl.Series) -> pl.Series:
    """Names in lower case, their parts between dashes, whichever signs divide them."""
    parts = names.fill_null("").str.to_lowercase().str.replace_all(r"[\s_./\-]+", "-")
    return pl.select(pl.format("-{}-", parts)).to_series()


def _as_it_is(tokens: list[str]) -> list[str]:
    return tokens


def _ones(matrix: Any) -> Any:
    ones = matrix.copy()
    ones.data[:] = 1
    return ones


def _of_sum_one(matrix: Any) -> Any:
    from sklearn.preprocessing import normalize

    return normalize(matrix, norm="l1")


def _nothing(rows: int) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((rows, 1), dtype=np.float32)


def _counts(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import coo_matrix

    return coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape).tocsr()


def _weighted(columns: np.ndarray, weights: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_matrix

    ends = np.arange(len(columns) + 1) * columns.shape[1]
    return csr_matrix((weights.ravel(), columns.ravel(), ends), shape=shape)


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray()


def _owner_numbers(owner: pl.Series) -> np.ndarray:
    # Owners are people's names on the Hub: their case does not tell two apart.
    return owner.str.to_lowercase().rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1


def _links(facts: pl.DataFrame, column: str) -> Any:
    numbers = facts.select(other="id").with_row_index("column")
    pairs = (
        facts.select(other=column)
        .with_row_index("row")
        .explode("other")
        .join(numbers, on="other")
        .select("row", "column")
    )
    return _counts(
        pairs["row"].to_numpy(), pairs["column"].to_numpy(), (facts.height, facts.height)
    )
