"""What retrieval answers: hits with reasons, lineage as a tree, ancestors with evidence.

Belongs here: the records that the Python API returns, and that the command line and the page show.
Does not: how any is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


class RetrievalError(Exception):
    """A question that cannot be answered; the message says what to do."""


class NotMade(RetrievalError):
    """What the answer is looked up in has not been materialized for any date, or not for this."""


class UnknownId(RetrievalError):
    """The snapshot holds nothing of that name; the message names near ones where there are any."""


class BadFilter(RetrievalError):
    """A filter that no repository could pass, such as an unknown task; the message lists some."""


@dataclass(frozen=True)
class Filters:
    """What hits must be like; None lets all pass. Texts are compared without regard to case.

    Attributes:
        task: id or label of a task that is declared.
        licence: as in the licence tag, such as `apache-2.0`.
        language: a language tag, such as `en`.
        library: a library tag, such as `transformers`.
        size: a dataset's size category, such as `1K<n<10K`; a model's class of parameters, such as
            `1B-10B`.
        since, until: bounds of the date of creation, both included.
    """

    task: str | None = None
    licence: str | None = None
    language: str | None = None
    library: str | None = None
    size: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Choices:
    """What filters may say, and how much can be found.

    Attributes:
        snapshot: date of the snapshot.
        documents: models and datasets that are indexed.
        values: name of a filter → its most frequent values, the most frequent first.
    """

    snapshot: str
    documents: int
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Reason:
    """One reason why something is an answer.

    Attributes:
        kind: `words`, `meaning`, `lineage`, `likes`, `use`, `name`, `card`, `config`, `popularity`,
            `graph`.
        text: a sentence for people.
        path: where the reason is a path in the graph: ids and relations by turns, as in
            `("a/b", "model_finetune_model", "c/d")`; each id in the way its kind writes it.
        weight: how much it counts; only weights of one answer compare.
    """

    kind: str
    text: str
    path: tuple[str, ...] = ()
    weight: float | None = None


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes:
        rank: from 1.
        kind: `model`, `dataset` or `space`.
        id: of the repository.
        score: falls with the rank; only scores of one answer compare.
        excerpt: the part of its text that fits the question, or its beginning; may be empty.
        matched: words of the question that the text holds, as they stand in the excerpt.
        facts: what is known of it, such as `tasks`, `licence`, `library`, `likes`, `created_at`.
        reasons: why it is here, the weightiest first.
    """

    rank: int
    kind: str
    id: str
    score: float
    excerpt: str = ""
    matched: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Hits:
    """The answer to a question.

    Attributes:
        question: what was asked.
        snapshot: date of the snapshot that answered.
        hits: best first; may be empty.
        notes: what the asker should know, such as that a long question was cut.
    """

    question: str
    snapshot: str
    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relative:
    """A model in a lineage tree.

    Attributes:
        id: of the model.
        relation: of the edge to the model above it in this tree; None at the root.
        facts: what is known of it.
        relatives: its bases in a tree of ancestors, what derives from it in one of descendants.
        more: relatives that were left out.
        repeated: whether it stands elsewhere in the tree with its relatives.
    """

    id: str
    relation: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    relatives: tuple[Relative, ...] = ()
    more: int = 0
    repeated: bool = False


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from and what came of it.

    Attributes:
        snapshot: date of the snapshot.
        id: of the model.
        ancestors: the tree of its bases, the model at its root.
        descendants: the tree of what derives from it, the model at its root.
        ancestor_count, descendant_count: how many there are, those left out of the trees included.
    """

    snapshot: str
    id: str
    ancestors: Relative
    descendants: Relative
    ancestor_count: int
    descendant_count: int


@dataclass(frozen=True)
class Base:
    """A model that another derives from, known or predicted.

    Attributes:
        id: of the base.
        depth: steps up from the model asked for; 1 for what is predicted.
        is_known: whether the graph holds the edges.
        relation: of the last step.
        probability: of a predicted base, in [0, 1]; None for a known one.
        evidence: what speaks for it.
    """

    id: str
    depth: int
    is_known: bool
    relation: str | None = None
    probability: float | None = None
    evidence: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Trace:
    """The bases of a model.

    Attributes:
        snapshot: date of the snapshot.
        id: of the model.
        bases: known ones from near to far, then predicted ones from likely to unlikely.
        notes: what the asker should know.
    """

    snapshot: str
    id: str
    bases: tuple[Base, ...] = ()
    notes: tuple[str, ...] = ()
