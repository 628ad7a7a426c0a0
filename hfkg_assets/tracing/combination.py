"""The learned ranker: a conditional logit over everything that speaks for a candidate.

A question's candidates compete: the probability of one is the softmax of a weighted sum of its
features over all of them (McFadden's conditional logit, which is ListNet's top-one loss with one
right answer). Weights have a normal prior; those of a relation deviate a little from what all have
in common. Three steps:

1. Weights of the features are fitted on training questions. Each sees the graph without its own
   triples, as if nothing were known of its base.
2. Where cards are read, weights of what they say are fitted beside that sum, again on training
   questions: the rest keeps its say for models whose card is silent.
3. Embeddings of the graph have learnt the training triples by heart, so how far they are to be
   trusted is fitted on validation questions, with the scale of the sum: that is also what makes
   its probabilities hold. Held-out questions are not quite like those of training (the random
   protocol asks mostly for second bases of merges), so some features are weighed anew with them.

Test questions are read in none. Belongs here: fitting and scoring. Does not: the features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hfkg_assets.tracing.pair_features import FEATURES, PairFeatures, columns_of
from hfkg_assets.tracing.questions import Questions, Run
from hfkg_assets.tracing.triples import SPLITS
from hfkg_assets.vocabulary import LINEAGE

PRIOR = 3.0
"""Standard deviation of a weight in the prior, for a feature of standard deviation 1."""
RELATION_PRIOR = 0.5
"""The same of a relation's deviation from it."""
TRUST_PRIOR = 0.5
"""The same of step 3, around a scale of 1 for the sum and 0 for everything else."""

NUDGED = ("popularity", "name_covered", "name_relatives")
"""Features that step 3 weighs anew."""

MOST_QUESTIONS = 2_000
HARD, EASY = 100, 100
"""Candidates of a training question at most: such as look right, and drawn ones for the others."""


@dataclass(frozen=True)
class Choices:
    """Questions with candidates that compete for each.

    Attributes:
        features: float32 [q, k, f].
        offsets: what is added to each sum, float64 [q, k]: -inf where there is no candidate; the
            logarithm of how many others a drawn candidate stands for.
        right: place of the true base, int [q].
        group: of which deviations a question's weights are, int [q].
    """

    features: np.ndarray
    offsets: np.ndarray
    right: np.ndarray
    group: np.ndarray


def fit_weights(
    choices: Choices, mean: np.ndarray, deviation: np.ndarray, between: float, groups: int
) -> np.ndarray:
    """Weights of greatest posterior probability for each group, float64 [groups, f].

    Args:
        choices: the questions.
        mean, deviation: of the normal prior of what all groups have in common, float64 [f].
        between: standard deviation of a group's weights from that.
        groups: how many there are.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    features = choices.features.astype(np.float64)
    q, _, f = features.shape
    rows = np.arange(q)
    right = features[rows, choices.right]
    # In units of the priors the function is about as steep in all directions.
    spread = np.vstack([deviation, np.full((groups, f), between)])

    def weights_at(flat: np.ndarray) -> np.ndarray:
        steps = flat.reshape(groups + 1, f) * spread
        return mean + steps[0] + steps[1:]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        own = weights_at(flat)[choices.group]
        logits = np.matmul(features, own[:, :, None])[:, :, 0] + choices.offsets
        top = logits.max(axis=1, keepdims=True)
        likely = np.exp(logits - top)
        total = likely.sum(axis=1, keepdims=True)
        loss = float((np.log(total) + top).sum() - logits[rows, choices.right].sum())
        slope = np.matmul((likely / total)[:, None, :], features)[:, 0] - right
        gradient = np.zeros_like(spread)
        gradient[0] = slope.sum(axis=0)
        np.add.at(gradient[1:], choices.group, slope)
        return loss + 0.5 * float(flat @ flat), (gradient * spread).ravel() + flat

    start = np.zeros(spread.size)
    with threadpool_limits(1):  # many small products: threads would only wait for each other
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return weights_at(found.x)


# --- steps 1 and 2: features ---------------------------------------------------------------------


def training_choices(run: Run, pairs: PairFeatures, most: int = MOST_QUESTIONS) -> Choices:
    """Training questions with their true base, the candidates that look right and some others.

    Args:
        run: whose `lessons` are asked; where there are too many, some are drawn.
        pairs: features of all models as candidates, of the run's known triples.
        most: questions at most.
    """
    generator = np.random.default_rng(run.seed)
    lessons = run.lessons()
    if len(lessons) > most:
        lessons = lessons.take(np.sort(generator.choice(len(lessons), most, replace=False)))
    features = [np.zeros((0, 1, len(FEATURES)), np.float32)]
    offsets = [np.zeros((0, 1))]
    for rows, block in pairs.blocks(lessons):
        asked = lessons.take(rows)
        chosen, offset = _candidates(run, block, asked, generator)
        features.append(np.take_along_axis(block, chosen[:, :, None], axis=1))
        offsets.append(offset)
    first = 1 if len(features) > 1 else 0
    return Choices(
        np.concatenate(features[first:]),
        np.concatenate(offsets[first:]),
        np.zeros(len(lessons), np.int64),
        lessons.relation,
    )


def _candidates(
    run: Run, block: np.ndarray, asked: Questions, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of each question, the true base first, and their offsets, both [b, k]."""
    rough = run.hide(block.sum(axis=2, dtype=np.float64), asked, among=SPLITS[:1])
    b, n = rough.shape
    rows = np.arange(b)
    rough[np.isnan(rough)] = -np.inf
    there = np.isfinite(rough)
    there[rows, asked.base] = False
    rough[rows, asked.base] = np.inf
    hard = min(HARD, n)
    order = np.argpartition(-rough, hard - 1, axis=1)[:, :hard]
    order = np.take_along_axis(order, np.argsort(-np.take_along_axis(rough, order, 1), axis=1), 1)
    offsets = np.where(np.take_along_axis(there, order, axis=1), 0.0, -np.inf)
    offsets[:, 0] = 0.0
    there[rows[:, None], order] = False
    left = there.sum(axis=1)
    easy = min(EASY, n - hard)
    if not easy:
        return order, offsets
    # The greatest of random numbers are a sample without replacement.
    draw = np.where(there, generator.random((b, n), dtype=np.float32), -1.0)
    others = np.argpartition(-draw, easy - 1, axis=1)[:, :easy]
    drawn = np.minimum(left, easy)
    weight = np.log(np.maximum(left, 1) / np.maximum(drawn, 1))
    stands = np.where(np.take_along_axis(there, others, axis=1), weight[:, None], -np.inf)
    return np.hstack([order, others]), np.hstack([offsets, stands])


@dataclass(frozen=True)
class Ranker:
    """Weighted sums of features.

    Attributes:
        weights: float64 [relations, features], in the orders of `LINEAGE` and `FEATURES`.
    """

    weights: np.ndarray

    def scores(self, features: np.ndarray, relation: np.ndarray) -> np.ndarray:
        """Sums, float32 [b, c].

        Args:
            features: float32 [b, c, features].
            relation: of each question, int [b].
        """
        weights = self.weights[relation].astype(np.float32)
        total = np.zeros(features.shape[:2], np.float32)
        for column in np.flatnonzero(weights.any(axis=0)):
            total += features[:, :, column] * weights[:, column, None]
        return total


def fit_ranker(choices: Choices, names: Sequence[str], *, beside: Ranker | None = None) -> Ranker:
    """Weights of features, from training questions alone.

    Args:
        choices: training questions, from `training_choices`.
        names: the features.
        beside: a ranker whose sum is kept; the features are weighed in addition to it.
    """
    columns = columns_of(names)
    used = choices.features[:, :, columns]
    size = used.reshape(-1, len(names)).std(axis=0) if used.size else np.zeros(len(names))
    size = np.where(size > 0, size, 1).astype(np.float32)
    used = used / size
    mean, deviation = np.zeros(len(names)), np.full(len(names), PRIOR)
    if beside is not None:
        told = beside.scores(choices.features, choices.group)
        used = np.concatenate([told[:, :, None], used], axis=2)
        mean, deviation = np.append(1.0, mean), np.append(TRUST_PRIOR, deviation)
    found = fit_weights(
        Choices(used, choices.offsets, choices.right, choices.group),
        mean,
        deviation,
        RELATION_PRIOR,
        len(LINEAGE),
    )
    weights = np.zeros((len(LINEAGE), len(FEATURES)))
    weights[:, columns] = found[:, -len(names) :] / size
    if beside is not None:
        weights += np.maximum(found[:, :1], 0) * beside.weights
    return Ranker(weights)


# --- step 3: trust -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Combination:
    """A ranker as far as it is trusted, and how far others are.

    Attributes:
        ranker: of steps 1 and 2, scaled and nudged by step 3.
        scale: by which its sum was multiplied.
        trust: name of another score → its weight.
        questions: validation questions that step 3 was fitted on.
    """

    ranker: Ranker
    scale: float
    trust: Mapping[str, float]
    questions: int

    def scores(
        self, features: np.ndarray, relation: np.ndarray, others: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Logits of candidates, float64 [b, c]: their softmax is the probability of each.

        Args:
            features: float32 [b, c, features].
            relation: of each question, int [b].
            others: name → float [b, c], each score that has a trust.
        """
        logits = self.ranker.scores(features, relation).astype(np.float64)
        for name, weight in self.trust.items():
            logits += weight * others[name]
        return logits


Others = Callable[[Questions], Mapping[str, np.ndarray]]
"""Gives the other scores of some questions and all candidates: name → float [q, c]."""


def nothing_else(asked: Questions) -> Mapping[str, np.ndarray]:
    """No other scores."""
    return {}


def combine(
    run: Run, pairs: PairFeatures, ranker: Ranker, others: Others = nothing_else
) -> Combination:
    """Step 3: how far a ranker and other scores are trusted, from validation questions.

    Args:
        run: whose validation triples are learnt from; without any, the ranker alone is trusted.
        pairs: features of the run's known triples.
        ranker: of steps 1 and 2.
        others: scores such as those of embeddings of the graph.
    """
    asked = run.answerable(run.parts["validation"])
    names = sorted(others(asked.take(slice(0, 0))))
    nudged = columns_of(NUDGED)
    columns, offsets = [], []
    for rows, block in pairs.blocks(asked):
        part = asked.take(rows)
        extra = others(part)
        told = [
            ranker.scores(block, part.relation),
            *(block[:, :, column] for column in nudged),
            *(extra[name] for name in names),
        ]
        shown = run.hide(np.zeros(block.shape[:2]), part, among=SPLITS[:2])
        columns.append(np.stack(told, axis=2).astype(np.float32))
        offsets.append(np.where(np.isnan(shown), -np.inf, 0.0))
    if not columns:
        return Combination(ranker, 1.0, dict.fromkeys(names, 0.0), 0)
    choices = Choices(
        np.concatenate(columns),
        np.concatenate(offsets),
        asked.base,
        np.zeros(len(asked), np.int64),
    )
    spread = np.full(choices.features.shape[2], TRUST_PRIOR)
    spread[1 : 1 + len(nudged)] /= [
        max(float(choices.features[:, :, place].std()), 1e-3) for place in range(1, 1 + len(nudged))
    ]
    prior = np.zeros(len(spread))
    prior[0] = 1
    found = fit_weights(choices, prior, spread, 0.0, 1)[0]
    # A negative scale would turn the order of all candidates round: not on so few questions.
    scale = max(float(found[0]), 0.05)
    weights = scale * ranker.weights
    weights[:, nudged] += found[1 : 1 + len(nudged)]
    trust = dict(zip(names, map(float, found[1 + len(nudged) :]), strict=True))
    return Combination(Ranker(weights), scale, trust, len(asked))
