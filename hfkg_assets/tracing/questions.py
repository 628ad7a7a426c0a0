"""Questions of tracing, as numbers: which base has this derived model by this relation?

A run is one division of the triples. Belongs here: what is known in a run, what is asked, and which
candidates an answer may rank. Does not: how they are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from hfkg_assets.tracing.triples import SPLITS
from hfkg_assets.vocabulary import LINEAGE


@dataclass(frozen=True)
class Questions:
    """Triples as numbers, int64 [q] each: the question is (relation, derived), the answer base.

    Attributes:
        relation: place in `LINEAGE`.
        base, derived: rows of the table of models.
    """

    relation: np.ndarray
    base: np.ndarray
    derived: np.ndarray

    def __len__(self) -> int:
        return len(self.base)

    def take(self, rows: np.ndarray | slice) -> Questions:
        """Some of them."""
        return Questions(self.relation[rows], self.base[rows], self.derived[rows])


@dataclass(frozen=True)
class Places:
    """Which candidates take a place in the answers to some questions.

    Attributes:
        hidden: those that take none, bool [q, models]; never the true base.
        base: the true base of each question, int [q].
        last: whether that is one that cannot be ranked before any other, bool [q].
    """

    hidden: np.ndarray
    base: np.ndarray
    last: np.ndarray

    def hide(self, scores: np.ndarray) -> np.ndarray:
        """The scores with NaN where a candidate takes no place.

        Args:
            scores: float [q, models], changed in place.
        """
        np.copyto(scores, np.nan, where=self.hidden)
        scores[self.last, self.base[self.last]] = -np.inf
        return scores


@dataclass(frozen=True)
class Run:
    """One division of the triples.

    Attributes:
        protocol, seed: which it is.
        parts: split → its triples.
        created: creation of each model in days, float64 [models]; NaN where it is unknown.
    """

    protocol: str
    seed: int
    parts: Mapping[str, Questions]
    created: np.ndarray

    @property
    def known(self) -> Questions:
        """The triples that may be learnt from: training, at every stage."""
        return self.parts["train"]

    @cached_property
    def seen(self) -> np.ndarray:
        """Which models any known triple has, bool [models]."""
        return self._occurrences > 0

    @cached_property
    def _occurrences(self) -> np.ndarray:
        ends = np.concatenate([self.known.base, self.known.derived])
        return np.bincount(ends, minlength=len(self.created))

    def lessons(self) -> Questions:
        """The training questions that are like those of validation and test.

        The random protocol asks for no base that training does not have in another triple, so of
        its training triples only those teach what to expect. In the time protocol a base that is
        younger than its model, as a wrong date can make it, teaches nothing: it would be the one
        candidate of its kind.
        """
        if self.protocol == "time":
            return self.answerable(self.known)
        return self.known.take(np.flatnonzero(self._occurrences[self.known.base] > 1))

    def answerable(self, asked: Questions) -> Questions:
        """The questions of which the true base can take a place.

        Args:
            asked: q questions.
        """
        if self.protocol != "time":
            return asked
        late = self.created[asked.base] > self.created[asked.derived]
        return asked.take(np.flatnonzero(~late))

    def places(self, asked: Questions, among: Sequence[str] = SPLITS) -> Places:
        """Which candidates take a place in the answers to some questions.

        Hidden are the derived model itself, and the other bases that it truly has by that relation.
        In the random protocol, which promises that all it asks for is seen in training, also what
        is not. In the time protocol also what did not exist when the model was created: a true base
        that is younger, as a wrong date can make it, comes last; an undated model is taken to have
        been there always.

        Args:
            asked: q questions.
            among: the splits whose triples tell other true bases: all, where ranks are judged;
                those that may be learnt from, where something is fitted.
        """
        rows = np.arange(len(asked))
        last = np.zeros(len(asked), dtype=bool)
        if self.protocol == "time":
            hidden = self.created[None, :] > self.created[asked.derived][:, None]
            last = hidden[rows, asked.base].copy()
        else:
            hidden = np.broadcast_to(~self.seen, (len(asked), len(self.created))).copy()
        hidden[rows, asked.derived] = True
        hidden[self.other_bases(asked, among)] = True
        hidden[rows, asked.base] = False
        return Places(hidden, asked.base, last)

    def hide(
        self, scores: np.ndarray, asked: Questions, among: Sequence[str] = SPLITS
    ) -> np.ndarray:
        """The scores as `Places.hide` leaves them.

        Args:
            scores: float [q, models], changed in place.
            asked, among: see `places`.
        """
        return self.places(asked, among).hide(scores)

    def other_bases(
        self, asked: Questions, among: Sequence[str] = SPLITS
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of questions and numbers of models, of all true answers."""
        true = pl.concat(_frame(self.parts[split]) for split in among)
        found = (
            _frame(asked)
            .select("relation", "derived")
            .with_row_index("row")
            .join(true, on=["relation", "derived"])
        )
        return found["row"].to_numpy(), found["base"].to_numpy()


def _frame(questions: Questions) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "relation": questions.relation,
            "derived": questions.derived,
            "base": questions.base,
        }
    )


def runs_of(triples: pl.DataFrame, models: pl.DataFrame) -> Iterator[Run]:
    """The runs, in the order in which the triples have them.

    Args:
        triples: `tracing/triples`.
        models: `id`, `created_at`; rows are numbered.

    Raises:
        ValueError: a triple's model is not among the models.
    """
    number = models.select("id").with_row_index("row").cast({"row": pl.Int64})
    relation = {name: place for place, name in enumerate(LINEAGE)}
    numbered = triples.with_columns(
        relation=pl.col("relation").replace_strict(relation, return_dtype=pl.Int64)
    )
    for end in ("base", "derived"):
        numbered = numbered.join(
            number.rename({"row": end}),
            left_on=f"{end}_id",
            right_on="id",
            how="left",
            maintain_order="left",
        )
    if any(numbered[end].null_count() for end in ("base", "derived")):
        raise ValueError(
            "tracing/triples names models that tracing/evidence lacks: "
            "materialize both again together"
        )
    created = days_of(models["created_at"])
    for (protocol, seed), part in numbered.group_by("protocol", "seed", maintain_order=True):
        parts = {name: _questions(part.filter(split=name)) for name in SPLITS}
        yield Run(str(protocol), int(seed), parts, created)


def days_of(created_at: pl.Series) -> np.ndarray:
    """Moments as days since 1970, float64; NaN where they are unknown."""
    return created_at.dt.epoch("ms").cast(pl.Float64).to_numpy() / 86_400_000


def _questions(triples: pl.DataFrame) -> Questions:
    return Questions(*(triples[name].to_numpy() for name in ("relation", "base", "derived")))
