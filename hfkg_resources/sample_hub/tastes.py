"""Tastes of the sample world's users: what they like agrees, whatever kind of repository it is.

Belongs here: which fields a user cares for, and who cares for a repository. Does not: how many
likes a repository gets, and when (`social`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import words
from hfkg_resources.sample_hub.drawing import generator
from hfkg_resources.sample_hub.people import Crowd
from hfkg_resources.sample_hub.repositories import KINDS

FACETS = {"topic": 0.9, "family": 0.05, "subject": 0.02, "owner": 0.02}
"""Facet → share of the likes that come of caring for it; where a repository has none, the next
takes its place. The rest comes from anybody. The topic is the task; a family is all models of one
name, whoever made them; a subject is what the data are about."""
MOST_INTERESTS = 2
ACTIVITY, MOST_ACTIVE = 0.5, 40
"""How active users are is Pareto distributed: its exponent, and the most where the least is 1."""
FOLLOWERS_WHO_LIKE = 0.3
"""No repository gets more likes from those who care for its field than this share of them, each
counted as often as active."""
SENIORITY = 1.3
"""The higher, the more of the likes come from the oldest accounts."""


@dataclass(frozen=True)
class Tastes:
    """Who cares for what.

    Attributes:
        fields: facet → kind → per repository the number of its field, -1 for none.
        first: facet → where the users of each field begin in `followers`.
        followers: facet → the users of each field in ascending order, the more active the more
            often; `users`, who is nobody, at the end.
        everybody: all users in ascending order, the more active the more often.
        users: number of users.
    """

    fields: Mapping[str, Mapping[str, np.ndarray]]
    first: Mapping[str, np.ndarray]
    followers: Mapping[str, np.ndarray]
    everybody: np.ndarray
    users: int

    @classmethod
    def of(
        cls,
        seed: int,
        tables: Mapping[str, pl.DataFrame],
        liked: Mapping[str, np.ndarray],
        crowd: Crowd,
    ) -> Tastes:
        """Each user cares for the fields of a few liked repositories, a popular field for many.

        Args:
            seed: what everything is drawn from.
            tables: repositories by kind.
            liked: by kind, the row of each repository once for each like that it gets.
            crowd: the users.
        """
        rng = generator(seed, "tastes")
        users = len(crowd.users)
        interests = np.minimum(rng.geometric(0.5, users), MOST_INTERESTS)
        activity = np.minimum(rng.pareto(ACTIVITY, users) + 1, MOST_ACTIVE).astype(np.int64)
        user = np.repeat(np.arange(users), interests)
        sizes = [len(liked[kind]) for kind in KINDS]
        example = rng.integers(sum(sizes), size=len(user))
        fields = fields_of(tables)
        first, followers = {}, {}
        for facet, of_kind in fields.items():
            field = np.concatenate([of_kind[kind][liked[kind]] for kind in KINDS])[example]
            known = field >= 0
            field, who = field[known], user[known]
            order = np.sort(field * (users + 1) + who)
            order = np.append(order % (users + 1), users)
            followers[facet] = np.repeat(order, np.append(activity, 1)[order])
            size = 1 + max(int(numbers.max(initial=-1)) for numbers in of_kind.values())
            counts = np.bincount(field, activity[who], minlength=size).astype(np.int64)
            first[facet] = np.concatenate([[0], np.cumsum(counts)])
        everybody = np.repeat(np.arange(users), activity)
        return cls(fields, first, followers, everybody, users)

    def likers(
        self, rng: np.random.Generator, kind: str, repo: np.ndarray, existing: np.ndarray
    ) -> np.ndarray:
        """For each like a user: mostly one whom it suits.

        Args:
            rng: where chance comes from.
            kind: of the repositories.
            repo: their rows.
            existing: how many users there were at each moment.
        """
        facet = np.searchsorted(np.cumsum([*FACETS.values()]), rng.random(len(repo)), side="right")
        place = rng.random(len(repo)) ** SENIORITY
        # Where more like a repository than could care for its field, the rest are anybody.
        wanted = np.bincount(repo)[repo] * rng.random(len(repo))
        result = self._existing(self.everybody, 0, len(self.everybody), place, existing)
        for number, name in enumerate(FACETS):
            mine = np.flatnonzero(facet == number)
            field = self.fields[name][kind][repo[mine]]
            facet[mine[field < 0]] = number + 1
            mine, field = mine[field >= 0], field[field >= 0]
            followers, first = self.followers[name], self.first[name]
            size = first[field + 1] - first[field]
            user = self._existing(followers, first[field], size, place[mine], existing[mine])
            room = FOLLOWERS_WHO_LIKE * size * (existing[mine] / self.users)
            suits = (user < existing[mine]) & (wanted[mine] < room)
            result[mine[suits]] = user[suits]
        return np.minimum(result, np.maximum(existing - 1, 0))

    def _existing(
        self,
        users: np.ndarray,
        first: np.ndarray | int,
        size: np.ndarray | int,
        place: np.ndarray,
        existing: np.ndarray,
    ) -> np.ndarray:
        """Of some users that are sorted by age, one who probably existed then.

        The first part of them did, about as large a part as of all users.
        """
        count = size * (existing / self.users)
        return users[first + (count * place).astype(np.int64)]


def fields_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, np.ndarray]]:
    """Facet → kind → the field of each repository, -1 for none.

    A Space is about what the first model that it shows is about, or else about what its title says.
    """
    models, datasets, spaces = (tables[kind] for kind in KINDS)
    first_word = pl.col("name").str.extract(r"^(\w+?)(?:[-_.]|$)")
    subject = pl.col("name").str.extract(rf"\b({'|'.join(words.DOMAINS)})\b")
    described = models.select(
        family=_number(first_word, words.FAMILIES),
        subject=_number(subject, words.DOMAINS),
        topic=_number(pl.col("topic"), _TOPICS),
    )
    shown = _shown(spaces, models)
    title = spaces.select(_number(pl.col("title").str.extract(r"(\w+)$"), words.SPACE_TITLES))
    titled = title.to_series().to_numpy()
    of_title = {"subject": np.where(titled >= 0, titled + len(words.DOMAINS), -1)}
    nothing, nowhere = np.full(datasets.height, -1), np.full(spaces.height, -1)
    of_datasets = datasets.select(
        subject=_number(subject, words.DOMAINS),
        topic=_number(pl.col("topic"), _TOPICS),
    )
    fields = {
        facet: {
            "model": described[facet].to_numpy(),
            "dataset": of_datasets[facet].to_numpy() if facet in of_datasets.columns else nothing,
            "space": np.where(
                shown >= 0, described[facet].to_numpy()[shown], of_title.get(facet, nowhere)
            ),
        }
        for facet in ("family", "subject", "topic")
    }
    owners = {kind: tables[kind]["owner"].fill_null(-1).to_numpy() for kind in KINDS}
    return {**fields, "owner": owners}


_TOPICS = sorted({*words.MODEL_TASKS, *words.DATASET_TASKS})


def _number(value: pl.Expr, known: list[str] | tuple[str, ...]) -> pl.Expr:
    """The place of each value in a list, -1 for what is not there."""
    return value.replace_strict(
        list(known), range(len(known)), default=-1, return_dtype=pl.Int64
    ).fill_null(-1)


def _shown(spaces: pl.DataFrame, models: pl.DataFrame) -> np.ndarray:
    """Per Space the row of the first model that it names, -1 for none that exists."""
    numbered = models.with_row_index("model")
    names = pl.concat(
        numbered.select("model", name=column).drop_nulls()
        for column in ("first_id", "second_id", "third_id")
    ).unique("name", keep="first", maintain_order=True)
    return (
        spaces.select(name=pl.col("models").list.first())
        .join(names, on="name", how="left", maintain_order="left")["model"]
        .cast(pl.Int64)
        .fill_null(-1)
        .to_numpy()
    )
