"""The retriever: one object that answers every question asked of a snapshot.

```python
from hfkg_assets.retrieval.retriever import Retriever

retriever = Retriever.from_environment()
for hit in retriever.search("transcribes birdsong", kind="model", k=5).hits:
    print(hit.rank, hit.id, hit.reasons[0].text)
```

Belongs here: the questions, and opening what each needs on first use. Does not: how any is
answered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from hfkg_assets.retrieval import recommended, trace
from hfkg_assets.retrieval.answers import Choices, Filters, Hits, Lineage, RetrievalError, Trace
from hfkg_assets.retrieval.filters import COLUMNS
from hfkg_assets.retrieval.lineage import BREADTH, DEPTH, LineageGraph
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

if TYPE_CHECKING:
    from hfkg_assets.retrieval.search import DocumentSearch

MOST = 1_000
"""Answers to one question."""

CHOICES = 300
"""Values of a filter that are told, the most frequent ones."""


class Retriever:
    """Search, similar repositories, recommendations, traced bases and lineage of a snapshot.

    What a question needs is opened when the first of its kind is asked. Threads may share one
    retriever: they are answered one after the other, which takes milliseconds each.

    Attributes:
        day: snapshot date; None for the newest that can answer each question.
    """

    def __init__(self, warehouse: Warehouse, encoder: TextEncoder, day: str | None = None) -> None:
        """
        Args:
            warehouse: where snapshots lie.
            encoder: the one that the snapshot's documents were embedded with.
            day: snapshot date; by default the newest.
        """
        self.day = day
        self._warehouse, self._encoder = warehouse, encoder
        self._one_at_a_time = RLock()

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, day: str | None = None
    ) -> Retriever:
        """A retriever over the store and with the encoder that the settings name.

        Raises:
            SettingError: a setting has a value that is not allowed.
        """
        from hfkg_assets.definitions import resources

        parts = resources(environment)
        return cls(parts["warehouse"], parts["encoder"], day)

    @cached_property
    def documents(self) -> DocumentSearch:
        """The index of texts, opened.

        Raises:
            NotMade: the index is not there, or was made with another encoder.
        """
        from hfkg_assets.retrieval.search import DocumentSearch

        return DocumentSearch.open(self._warehouse, self._encoder, self.day)

    @cached_property
    def lineages(self) -> LineageGraph:
        """The lineage edges, opened.

        Raises:
            NotMade: there is no snapshot.
        """
        return LineageGraph(self._warehouse, self.day)

    def open(self) -> None:
        """Opens everything, so that the first question is not the one that waits.

        Raises:
            NotMade: there is no snapshot, or no index.
        """
        with self._one_at_a_time:
            self.documents.search("warm", None, 1)
            self.lineages  # noqa: B018 (opened by being asked for)

    def choices(self) -> Choices:
        """What filters may say, and how much can be found.

        Raises:
            NotMade: there is no index.
        """
        with self._one_at_a_time:
            documents = self.documents
            values = {
                name: tuple(documents.filter_values(name)["value"].head(CHOICES))
                for name in COLUMNS
            }
            return Choices(documents.snapshot, len(documents.facts), values)

    def search(
        self,
        text: str,
        kind: str | None = "model",
        k: int = 10,
        filters: Filters = Filters(),  # noqa: B008 (frozen)
        *,
        rerank: bool = True,
    ) -> Hits:
        """The repositories that fit a need best, and why.

        Args:
            text: the need, in words.
            kind: `model`, `dataset` or None for both.
            k: how many at most.
            filters: what they must be like.
            rerank: whether lineage, likes and common use have a say.

        Raises:
            NotMade: there is no index; the message says how to make it.
            BadFilter: a filter has a value that nothing in the snapshot has.
            RetrievalError: `k` is out of range.
        """
        with self._one_at_a_time:
            return self.documents.search(text, kind, _checked(k), filters, rerank=rerank)

    def similar(self, id: str, k: int = 10, kind: str | None = None) -> Hits:
        """The repositories most like one, by text and by their place in the graph.

        Args:
            id: of a model or dataset.
            k: how many at most.
            kind: what the id names, where a model and a dataset share it.

        Raises:
            NotMade: there is no index; the message says how to make it.
            UnknownId: the snapshot holds no such repository.
            RetrievalError: `k` is out of range.
        """
        with self._one_at_a_time:
            return self.documents.similar(id, _checked(k), kind)

    def recommend(self, user: str, k: int = 10) -> Hits:
        """What a user would probably like, and which likes of theirs say so.

        Args:
            user: the user's name.
            k: how many at most.

        Raises:
            NotMade: nothing is recommended yet; the message says how to do that.
            UnknownId: the snapshot holds no such user.
            RetrievalError: `k` is out of range.
        """
        with self._one_at_a_time:
            return recommended.recommend(self._warehouse, user, _checked(k), self.day)

    def trace(self, id: str) -> Trace:
        """The bases of a model, known and predicted, with what speaks for each.

        Raises:
            NotMade: there is no snapshot.
            UnknownId: the snapshot holds no such model.
        """
        with self._one_at_a_time:
            return trace.trace(self._warehouse, self.lineages, id)

    def lineage(self, id: str, *, depth: int = DEPTH, breadth: int = BREADTH) -> Lineage:
        """The tree of a model's bases and that of what derives from it.

        Args:
            id: of the model.
            depth: steps up and down.
            breadth: relatives of one model, the most liked ones.

        Raises:
            NotMade: there is no snapshot.
            UnknownId: the snapshot holds no such model.
        """
        with self._one_at_a_time:
            return self.lineages.tree(id, depth=depth, breadth=breadth)


def _checked(k: int) -> int:
    if not 1 <= k <= MOST:
        raise RetrievalError(f"{k} answers are not possible; ask for 1 to {MOST:,}")
    return k
