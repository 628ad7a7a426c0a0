"""Search: which models and datasets fit a need, and which are like one that is known.

A question is looked up by meaning and by words, both among the repositories that pass the filters;
the two rankings are fused, the best are reranked by the graph, and each hit is told with its
reasons. Belongs here: the way from a question to an answer. Does not: the indexes, the parts of a
ranking, lineage trees, recommendation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl

from hfkg_assets.retrieval.answers import (
    Filters,
    Hit,
    Hits,
    NotMade,
    Reason,
    RetrievalError,
    UnknownId,
)
from hfkg_assets.retrieval.excerpts import excerpt_of
from hfkg_assets.retrieval.explanations import Explained, path_through, reasons_of, similar_reasons
from hfkg_assets.retrieval.facts import KINDS
from hfkg_assets.retrieval.filters import FilterTable
from hfkg_assets.retrieval.indexes import VECTOR_INDEX, WORD_INDEX
from hfkg_assets.retrieval.links import SHARED, Links
from hfkg_assets.retrieval.names import unknown
from hfkg_assets.retrieval.ranking import Ranking, best, fuse
from hfkg_assets.retrieval.reranking import (
    WEIGHTS,
    Reranked,
    Weights,
    popularity,
    rarity,
    rerank,
    shared_nodes,
)
from hfkg_assets.retrieval.selection import Selection
from hfkg_assets.retrieval.texts import Texts
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.retrieval.word_index import WordIndex
from hfkg_assets.retrieval.words import name_words, question_words
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.warehouse import Warehouse

METHODS = ("meaning", "words")
"""How a question is looked up."""

LONGEST_QUESTION = 2_000
"""Characters; the encoder reads a few hundred words at most."""

MOST_WORDS = 64
"""Of a question with more words the rarest are looked up."""

DEPTH = 200
"""How far each ranking goes into the fusion."""

FEEDBACK = 5
"""How many of the best by words are taken for relevant."""

POOL = 100
"""How many of the fused ranking are reranked."""

ALL = Filters()
"""Lets all pass."""

LINEAGE_WEIGHT, SHARED_WEIGHT = 1.0, 0.5
"""Of rankings by lineage and by what is shared, beside that by text, in what is similar."""


class Encoder(Protocol):
    """What search needs of a text encoder."""

    @property
    def identity(self) -> str: ...

    def encode(self, texts: Sequence[str], *, kind: str = ...) -> np.ndarray: ...


@dataclass(frozen=True)
class _Question:
    """A question as it is looked up.

    Attributes:
        text: without signs that no text holds, cut.
        words: numbers of its words in the index.
        rankings: by method.
        has_words: whether it has any word at all.
    """

    text: str
    words: np.ndarray
    has_words: bool
    notes: tuple[str, ...]


class DocumentSearch:
    """Finds models and datasets of one snapshot.

    Args:
        snapshot: its date.
        facts: `retrieval/facts`, n rows.
        labels: task id → label.
        words: the word index, of n documents.
        vectors: the dense index, of n documents.
        texts: n clean texts.
        links: of the graph's nodes.
        names: id of each node.
        encoder: makes the vector of a question.
        weights: how much each part of a ranking counts.
    """

    def __init__(
        self,
        snapshot: str,
        *,
        facts: pl.DataFrame,
        labels: Mapping[str, str],
        words: WordIndex,
        vectors: VectorIndex,
        texts: Texts,
        links: Links,
        names: pl.Series,
        encoder: Encoder,
        weights: Weights = WEIGHTS,
    ) -> None:
        self.snapshot = snapshot
        self.facts = facts
        self.weights = weights
        self._filters = FilterTable(facts, labels)
        self._words = words
        self._vectors = vectors
        self._texts = texts
        self._links = links
        self._names = names
        self._encoder = encoder
        self._prior = popularity(facts)
        self._nodes = facts["node_id"].fill_null(-1).to_numpy()
        kind = facts["kind"]
        self._ranges = {
            name: (kind.search_sorted(name, "left"), kind.search_sorted(name, "right"))
            for name in KINDS
        }

    # -- opening --------------------------------------------------------------------------------

    @staticmethod
    def open(warehouse: Warehouse, encoder: Encoder, day: str | None = None) -> DocumentSearch:
        """Opens the indexes of a snapshot.

        Args:
            warehouse: where snapshots lie.
            encoder: must be the one that the snapshot was embedded with.
            day: snapshot date; by default the newest that has the indexes.

        Raises:
            NotMade: there are no indexes, or they were made with another encoder.
        """
        day = _indexed_day(warehouse, day)
        vectors = VectorIndex.load(warehouse.directory(VECTOR_INDEX, day))
        if vectors.encoder != encoder.identity:
            raise NotMade(
                f"the index of {day} was made with the text encoder {vectors.encoder}, and now it "
                f"is {encoder.identity}; set HFKG_ENCODER to the one it was made with, or make it "
                f"again with: hfkg run --job train --date {day}"
            )
        words = WordIndex.load(warehouse.directory(WORD_INDEX, day))
        facts = warehouse.scan("retrieval/facts", day).collect()
        if not len(facts) == words.documents == len(vectors.vectors):
            raise NotMade(
                f"the indexes of {day} are of different documents; make them again with: "
                f"hfkg run --job train --date {day}"
            )
        names = warehouse.scan("graph/node", day).select("id").collect()["id"]
        task = warehouse.scan("entity/task", day).select("id", "label").collect()
        return DocumentSearch(
            day,
            facts=facts,
            labels=dict(task.drop_nulls().iter_rows()),
            words=words,
            vectors=vectors,
            texts=Texts.load(warehouse.directory(WORD_INDEX, day)),
            links=Links.load(warehouse.scan("retrieval/link", day), len(names)),
            names=names,
            encoder=encoder,
        )

    def filter_values(self, name: str) -> pl.DataFrame:
        """The values that a filter may have: `value`, `count`, the most frequent first.

        Args:
            name: `task`, `licence`, `language`, `library` or `size`.
        """
        return self._filters.values(name)

    # -- searching ------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        kind: str | None = "model",
        k: int = 10,
        filters: Filters = ALL,
        *,
        rerank: bool = True,
        methods: Sequence[str] = METHODS,
    ) -> Hits:
        """The repositories that fit a need best.

        Without a word to look for, the most popular that pass the filters are the answer, and a
        note says so.

        Args:
            text: what is needed, in any words; a long one is cut, and a note says so.
            kind: `model`, `dataset`, or None for both.
            k: how many at most.
            filters: what hits must be like.
            rerank: whether the graph has a say.
            methods: by which of `meaning` and `words` it is looked up.

        Raises:
            BadFilter: no repository has what a filter wants.
            RetrievalError: `k`, `kind` or `methods` is not allowed.
        """
        _expect(k, kind, methods)
        selection = self.select(kind, filters)
        question = self._read(text)
        notes = list(question.notes)
        if not selection.count:
            notes.append("no repository passes all filters")
            return Hits(text, self.snapshot, (), tuple(notes))
        if not question.has_words:
            notes.append("there is no word to look for: these are the most popular")
            return Hits(text, self.snapshot, self._popular_hits(selection, k), tuple(notes))
        if "words" in methods and not len(question.words):
            notes.append(
                "no document holds any of these words"
                + ("; hits are by meaning alone" if "meaning" in methods else "")
            )
        rankings = self.rankings(question.text, selection, max(DEPTH, k), methods)
        explained = self._explained(rankings, max(POOL, k), rerank)
        hits = tuple(
            self._hit(rank, explained, question.words)
            for rank in range(1, min(k, len(explained.ranking.rows)) + 1)
        )
        return Hits(text, self.snapshot, hits, tuple(notes))

    def select(self, kind: str | None, filters: Filters = ALL) -> Selection:
        """The documents of a kind that pass the filters.

        Raises:
            BadFilter: no repository has what a filter wants.
        """
        start, end = self._ranges[kind] if kind else (0, len(self.facts))
        mask = self._filters.rows(filters)
        return Selection(start, end, None if mask is None else mask[start:end])

    def rankings(
        self, text: str, selection: Selection, depth: int, methods: Sequence[str] = METHODS
    ) -> dict[str, Ranking]:
        """A question's ranking by each method.

        Where a name holds all words there is `name`. With both methods there is `feedback`: what
        is near to the question's vector once that is moved half way to the best by words. A
        question of two words has a vague vector, and texts have not (J. J. Rocchio, Relevance
        feedback in information retrieval, 1971; here with answers that are taken for relevant).

        Args:
            text: the question.
            selection: documents that may be found.
            depth: how many at most.
            methods: by which of `meaning` and `words`.
        """
        found = {}
        if "words" in methods:
            scores = self._words.scores(self._read(text).words)
            found["words"] = best(selection.without_others(scores), depth)
            named = self._named(found["words"], text)
            found |= {"name": named} if len(named.rows) else {}
        if "meaning" in methods:
            vector = self._encoder.encode([text], kind="query")[0]
            found["meaning"] = self._vectors.search(vector, depth, selection)
            if "words" in found and len(found["words"].rows):
                moved = self._vectors.moved(vector, found["words"].rows[:FEEDBACK])
                found["feedback"] = self._vectors.search(moved, depth, selection)
        return found

    def _named(self, ranking: Ranking, text: str) -> Ranking:
        """Those of a ranking whose name holds all words of a text, the very name first.

        Who writes a name wants what is called so.
        """
        words = question_words(text)
        ids = self.facts["id"].gather(ranking.rows)
        held = name_words(ids).filter(pl.col("word").is_in(words)).group_by("row").len()
        whole = held.filter(pl.col("len") == len(words))["row"].sort()
        told = text.strip().lower()
        names = ids.gather(whole).str.to_lowercase()
        is_other = (names != told) & (names.str.split("/").list.last() != told)
        order = whole.to_numpy()[np.argsort(is_other.to_numpy(), kind="stable")]
        return Ranking(ranking.rows[order], ranking.scores[order])

    def fused(self, rankings: Mapping[str, Ranking], k: int) -> Ranking:
        """The rankings of some methods made one."""
        return fuse(rankings, {name: getattr(self.weights, name) for name in rankings}, k)

    def reranked(self, candidates: Ranking, named: Ranking | None = None) -> Reranked:
        """Candidates in the order that the graph gives them.

        Args:
            candidates: the fused ranking.
            named: those that were asked for by name.
        """
        rows = None if named is None else named.rows
        return rerank(candidates, self._nodes, self._prior, self._links, self.weights, rows)

    def _read(self, text: str) -> _Question:
        """Reads a question, whatever stands in it."""
        notes = []
        # Half a surrogate, as command lines pass on bytes that are no UTF-8, is no text.
        read = text.encode("utf-8", "replace").decode().replace("\0", " ")
        if len(read) > LONGEST_QUESTION:
            read = read[:LONGEST_QUESTION]
            notes.append(f"only the first {LONGEST_QUESTION:,} characters were read")
        words = question_words(read)
        known = self._words.find(words)
        if len(known) > MOST_WORDS:
            rarest = np.argsort([self._words.frequency(word) for word in known], kind="stable")
            known = known[rarest[:MOST_WORDS]]
        return _Question(read, known, bool(words), tuple(notes))

    def popular(self, selection: Selection, k: int) -> Ranking:
        """The most popular documents of a selection."""
        rows = selection.rows
        order = np.lexsort((rows, -self._prior[rows]))[:k]
        return Ranking(rows[order], self._prior[rows[order]])

    def _popular_hits(self, selection: Selection, k: int) -> tuple[Hit, ...]:
        ranking = self.popular(selection, k)
        explained = Explained(ranking, {}, None, self._names)
        return tuple(
            self._hit(rank, explained, np.zeros(0, np.int64))
            for rank in range(1, len(ranking.rows) + 1)
        )

    def _explained(self, rankings: Mapping[str, Ranking], pool: int, rerank: bool) -> Explained:
        fused = self.fused(rankings, pool)
        if not rerank:
            return Explained(fused, rankings, None, self._names, fused, self.weights)
        reranked = self.reranked(fused, rankings.get("name"))
        return Explained(reranked.ranking, rankings, reranked, self._names, fused, self.weights)

    # -- similar --------------------------------------------------------------------------------

    def similar(
        self, id: str, k: int = 10, kind: str | None = None, into: str | None = None
    ) -> Hits:
        """What is like a repository: by its text, its lineage, and who likes or uses it.

        Args:
            id: of the repository.
            k: how many at most.
            kind: of the repository; by default whichever has the id, a model before a dataset.
            into: kind of the hits; by default that of the repository.

        Raises:
            UnknownId: there is no such repository; the message names near ones.
            RetrievalError: `k`, `kind` or `into` is not allowed.
        """
        _expect(k, kind)
        _expect(k, into)
        row, notes = self.find(id, kind)
        own = str(self.facts["kind"][row])
        selection = self.select(into or own)
        rankings = self._likenesses(row, selection, max(DEPTH, k + 1))
        if not any(len(ranking.rows) for ranking in rankings.values()):
            notes += ("nothing is known of it that another shares",)
        weights = {"meaning": 1.0, "words": 1.0, "lineage": LINEAGE_WEIGHT}
        weights |= dict.fromkeys(SHARED, SHARED_WEIGHT)
        fused = fuse(rankings, weights, k)
        hits = []
        for rank, (found, score) in enumerate(zip(fused.rows, fused.scores, strict=True), 1):
            reasons = similar_reasons(
                int(found), rankings, weights, self._path(row, int(found)), self.facts["id"][row]
            )
            hits.append(self._plain_hit(rank, int(found), float(score), reasons))
        return Hits(id, self.snapshot, tuple(hits), notes)

    def find(self, id: str, kind: str | None = None) -> tuple[int, tuple[str, ...]]:
        """The row of a repository, and what should be known about the choice.

        Raises:
            UnknownId: there is no such repository; the message names near ones.
        """
        wanted = [kind] if kind else list(reversed(KINDS))
        exact = self.facts.with_row_index("row").filter(pl.col("id") == id)
        found = dict(exact.select("kind", "row").iter_rows())
        if not found:  # the Hub takes ids in any case
            folded = pl.col("id").str.to_lowercase() == id.lower()
            found = dict(
                self.facts.with_row_index("row").filter(folded).select("kind", "row").iter_rows()
            )
        present = [name for name in wanted if name in found]
        if present:
            several = len(present) > 1
            note = f"there is a dataset of that name too; this is of the {present[0]}"
            return int(found[present[0]]), (note,) if several else ()
        other = [name for name in found if name not in wanted]
        if other:
            raise UnknownId(f"{id!r} is a {other[0]}, not a {kind}")
        start, end = self._ranges[kind] if kind else (0, len(self.facts))
        ids = self.facts["id"].slice(start, end - start)
        raise unknown(kind or "model or dataset", id, ids, self.snapshot)

    def _likenesses(self, row: int, selection: Selection, depth: int) -> dict[str, Ranking]:
        """Rankings of what is like a document, itself left out."""
        vector = np.asarray(self._vectors.vectors[row])
        rankings = {}
        if vector.any():
            rankings["meaning"] = self._vectors.search(vector, depth, selection)
        else:  # without a text there is its name
            words = self._words.find(question_words(self.facts["id"][row].split("/")[-1]))
            scores = self._words.scores(words)
            rankings["words"] = best(selection.without_others(scores), depth)
        for name, relations in (("lineage", LINEAGE), *SHARED.items()):
            rankings[name] = best(selection.without_others(self._nearness(row, relations)), depth)
        return {name: _without(ranking, row) for name, ranking in rankings.items()}

    def _nearness(self, row: int, relations: tuple[str, ...]) -> np.ndarray:
        """How much each document has in common with one, float32 [n]; most where they are linked.

        Args:
            row: of the one.
            relations: by which relations.
        """
        scores = np.zeros(len(self.facts), np.float32)
        node = np.array([self._nodes[row]])
        _, hubs = shared_nodes(node, self._links, relations)
        place, near = shared_nodes(hubs, self._links, relations)
        rows = self._rows_of(near)
        known = rows >= 0
        np.add.at(scores, rows[known], rarity(self._links, hubs)[place[known]])
        linked = self._rows_of(hubs)
        scores[linked[linked >= 0]] += 1 + scores.max()
        return scores

    @cached_property
    def _row_by_node(self) -> np.ndarray:
        rows = np.full(len(self._names), -1, np.int64)
        known = self._nodes >= 0
        rows[self._nodes[known]] = np.flatnonzero(known)
        return rows

    def _rows_of(self, nodes: np.ndarray) -> np.ndarray:
        """Rows of nodes, -1 where a node is no document."""
        return self._row_by_node[nodes]

    def _path(self, row: int, other: int) -> dict[str, tuple[tuple[str, ...], int]]:
        """Reason → a path between two documents, and how many there are."""
        nodes = int(self._nodes[row]), int(self._nodes[other])
        found = {}
        for name, relations in (("lineage", LINEAGE), *SHARED.items()):
            path = path_through(self._links, self._names, *nodes, relations)
            if path:
                found[name] = path
        return found

    # -- hits -----------------------------------------------------------------------------------

    def _hit(self, rank: int, explained: Explained, words: np.ndarray) -> Hit:
        row = int(explained.ranking.rows[rank - 1])
        held = {
            self._words.words[word]: weight
            for word in words.tolist()
            if (weight := self._words.weight(word, row)) > 0
        }
        excerpt, matched = excerpt_of(self._texts[row], held)
        facts = self._facts(row)
        reasons = reasons_of(rank, explained, self.facts, self._links, self._nodes, held)
        score = float(explained.ranking.scores[rank - 1])
        return Hit(
            rank, str(self.facts["kind"][row]), str(self.facts["id"][row]), round(score, 6),
            excerpt, matched, facts, reasons,
        )  # fmt: skip

    def _plain_hit(self, rank: int, row: int, score: float, reasons: tuple[Reason, ...]) -> Hit:
        excerpt, _ = excerpt_of(self._texts[row], {})
        return Hit(
            rank, str(self.facts["kind"][row]), str(self.facts["id"][row]), round(score, 6),
            excerpt, (), self._facts(row), reasons,
        )  # fmt: skip

    def _facts(self, row: int) -> dict[str, Any]:
        found = self.facts.row(row, named=True)
        return {n: v for n, v in found.items() if n not in ("kind", "id", "node_id")}


def _expect(k: int, kind: str | None, methods: Sequence[str] = METHODS) -> None:
    """Refuses what no question can be asked with.

    Raises:
        RetrievalError: naming what is allowed.
    """
    if k < 1:
        raise RetrievalError(f"k={k} is not allowed: ask for 1 hit or more")
    if kind is not None and kind not in KINDS:
        raise RetrievalError(f"kind={kind!r} is not allowed. Use model, dataset, or none for both")
    if not methods or not set(methods) <= set(METHODS):
        raise RetrievalError(
            f"methods={tuple(methods)} is not allowed. Use of: {', '.join(METHODS)}"
        )


def _indexed_day(warehouse: Warehouse, day: str | None) -> str:
    """The date asked for, or the newest that has all indexes.

    Raises:
        NotMade: there is none.
    """
    for candidate in [day] if day else reversed(warehouse.dates("retrieval/facts")):
        folders = [warehouse.directory(name, candidate) for name in (WORD_INDEX, VECTOR_INDEX)]
        tables = [warehouse.path(f"retrieval/{name}", candidate) for name in ("facts", "link")]
        if all(p.is_dir() for p in folders) and all(p.is_file() for p in tables):
            return candidate
    raise NotMade(
        f"snapshot {day} has no indexes to search in; make them with: "
        f"hfkg run --job train --date {day}"
        if day
        else "no snapshot has indexes to search in; make one with: hfkg run"
    )


def _without(ranking: Ranking, row: int) -> Ranking:
    kept = ranking.rows != row
    return replace(ranking, rows=ranking.rows[kept], scores=ranking.scores[kept])
