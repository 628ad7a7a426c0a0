"""Predictors: which learner is asked, and what its scores are worth as probabilities.

A predictor is chosen, calibrated and measured on labelled rows, and kept in a file beside the
table of predictions, so that whoever asks later gets the same answer. Belongs here: arithmetic on
scores of labelled rows, and the file. Does not: running a learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson

from hfkg_assets.classification.calibration import (
    Calibrator,
    Reliability,
    cross_fitted,
    fit_calibrator,
    most_probable,
    reliability,
)
from hfkg_assets.classification.metrics import (
    PRIMARY_METRIC,
    multilabel_metrics,
    tuned_thresholds,
)
from hfkg_resources.atomic_write import write_atomically

FILE = "predictors.json"

LEVELS = (0.5, 0.8, 0.9)
"""Probabilities at which it is told how often predictions are right."""


@dataclass(frozen=True)
class Rows:
    """Scores of labelled rows of one split by every seed of a learner.

    Attributes:
        kind: node kind of each row, strings [n].
        truth: zeros and ones, float32 [n, tasks].
        scores: in [0, 1], float32 [seeds, n, tasks].
    """

    kind: np.ndarray
    truth: np.ndarray
    scores: np.ndarray

    @cached_property
    def mean(self) -> np.ndarray:
        """The seeds' mean score, float32 [n, tasks]: what is calibrated and used."""
        return self.scores.mean(axis=0)

    def tuned_score(self) -> float:
        """Mean over seeds of the micro-F1 at thresholds that are tuned on these same rows."""
        return float(
            np.mean(
                [
                    multilabel_metrics(self.truth, s, tuned_thresholds(self.truth, s))[
                        PRIMARY_METRIC
                    ]
                    for s in self.scores
                ]
            )
        )


@dataclass(frozen=True)
class Trust:
    """How often the most probable task is right on test rows, where its probability is high.

    Attributes:
        level: the least probability.
        rows: test rows whose most probable task has it.
        right: those of them for which that task is right.
        of: all test rows.
    """

    level: float
    rows: int
    right: int
    of: int


@dataclass(frozen=True)
class Predictor:
    """A learner with what makes probabilities of its seeds' mean score.

    Attributes:
        learner, variant, protocol: which trained weights; the name of their bundle.
        score: tuned micro-F1 on validation rows, mean over seeds: by which it was chosen.
        task_ids: the tasks, in the order of scores.
        slope, bias: Platt scaling of each task.
        thresholds: probability above which a task is chosen.
        possible: node kind → for each task, whether a training row of that kind has it.
        trust: of labelled test rows, how often the most probable task is right, by level.
    """

    learner: str
    variant: str
    protocol: str
    score: float
    task_ids: list[str]
    slope: list[float]
    bias: list[float]
    thresholds: list[float]
    possible: dict[str, list[bool]]
    trust: list[Trust]

    def probabilities(self, scores: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, zero for what is not possible for a row's kind.

        Args:
            scores: the seeds' mean score, [n, tasks].
            kind: node kind of each row, strings [n].

        Returns:
            float64 [n, tasks].
        """
        calibrated = Calibrator(np.array(self.slope), np.array(self.bias))(scores)
        return calibrated * allowed(self.possible, kind, len(self.task_ids))

    def chosen(self, probabilities: np.ndarray) -> np.ndarray:
        """Which tasks' probabilities are above their thresholds, bool [n, tasks]."""
        return probabilities > np.array(self.thresholds)


@dataclass(frozen=True)
class Measured:
    """How well probabilities hold on some rows, as scored and as calibrated.

    Attributes:
        top: of each row's most probable task.
        every: of every task of every row.
    """

    top: Reliability
    every: Reliability


def choose_learner(validation: Mapping[str, Rows]) -> str:
    """The learner with the best mean validation score; of equal ones the first by name.

    Raises:
        ValueError: there is none.
    """
    if not validation:
        raise ValueError("no trained learner to choose from")
    scores = {name: validation[name].tuned_score() for name in sorted(validation)}
    return max(scores, key=lambda name: scores[name])


def fit_predictor(
    learner: str,
    validation: Rows,
    test: Rows,
    *,
    variant: str,
    protocol: str,
    task_ids: list[str],
    possible: Mapping[str, np.ndarray],
) -> Predictor:
    """Calibrates a learner on validation rows and tells what that is worth on test rows."""
    calibrator = fit_calibrator(validation.truth, validation.mean)
    mask = allowed(possible, validation.kind, len(task_ids))
    thresholds = tuned_thresholds(validation.truth, calibrator(validation.mean) * mask)
    predictor = Predictor(
        learner,
        variant,
        protocol,
        validation.tuned_score(),
        task_ids,
        calibrator.slope.tolist(),
        calibrator.bias.tolist(),
        thresholds.tolist(),
        {kind: mask.tolist() for kind, mask in possible.items()},
        trust=[],
    )
    right, given = most_probable(test.truth, predictor.probabilities(test.mean, test.kind))
    return replace(predictor, trust=trust_of(right, given))


def trust_of(right: np.ndarray, given: np.ndarray) -> list[Trust]:
    """How often most probable tasks are right, at each of `LEVELS`.

    Args:
        right: zeros and ones [n].
        given: their probabilities [n].
    """
    return [
        Trust(level, int(reached.sum()), int(right[reached].sum()), len(given))
        for level in LEVELS
        for reached in (given >= level,)
    ]


def measure(truth: np.ndarray, probability: np.ndarray) -> Measured:
    """Compares probabilities [n, tasks] with labels [n, tasks]."""
    return Measured(
        top=reliability(*most_probable(truth, probability)),
        every=reliability(truth.ravel(), probability.ravel()),
    )


def measurements(predictor: Predictor, validation: Rows, test: Rows) -> dict[str, Measured]:
    """Before and after calibration; on validation rows by calibrators that did not see them."""
    mask = allowed(predictor.possible, validation.kind, len(predictor.task_ids))
    return {
        "validation, as scored": measure(validation.truth, validation.mean),
        "validation, calibrated without the rows judged": measure(
            validation.truth, cross_fitted(validation.truth, validation.mean) * mask
        ),
        "test, as scored": measure(test.truth, test.mean),
        "test, calibrated": measure(test.truth, predictor.probabilities(test.mean, test.kind)),
    }


def allowed(
    possible: Mapping[str, np.ndarray] | Mapping[str, list[bool]], kind: np.ndarray, tasks: int
) -> np.ndarray:
    """Which tasks each row can have by its kind, bool [n, tasks]."""
    mask = np.zeros((len(kind), tasks), dtype=bool)
    for name, tasks_of_kind in possible.items():
        mask[kind == name] = tasks_of_kind
    return mask


def save_predictors(directory: Path, predictors: Mapping[str, Predictor]) -> Path:
    """Stores predictors by use; the file is there whole or not at all."""
    path = directory / FILE
    content = orjson.dumps(
        {use: asdict(predictor) for use, predictor in predictors.items()},
        option=orjson.OPT_INDENT_2,
    )
    write_atomically(path, lambda file: file.write_bytes(content))
    return path


def load_predictors(directory: Path) -> dict[str, Predictor]:
    """Predictors by use.

    Raises:
        FileNotFoundError: none were made there.
        ValueError: the file is of another version of this project.
    """
    path = directory / FILE
    stored = orjson.loads(path.read_bytes())
    try:
        return {
            use: Predictor(**{**fields, "trust": [Trust(**level) for level in fields["trust"]]})
            for use, fields in stored.items()
        }
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} is of another version of this project: {error}") from None
