"""What the words of a text say of its tasks: a linear classifier over TF-IDF, and its scores.

The scores are input of the learners, beside the features (stacked generalisation, Wolpert 1992).
What a classifier says of a text that it was fitted on is hardly more than that text's own label, so
a training row is scored by classifiers that saw neither it nor a copy of it (`out_of_fold`).
Belongs here: counting words, fitting, scoring, the file. Does not: which rows may be seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hfkg_assets.classification.bundles import stored_fields
from hfkg_resources.atomic_write import write_atomically

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TERM_SCORES = "classification/term_scores"
"""The table of the scores, beside which the classifiers lie."""

TERMS = "terms"
"""What the scores are called among the parts of a learner's features."""

MOST_TERMS = 50_000
FOLDS = 5
REGULARISATION = 1.0

FEWEST_TEXTS = 2
"""A term in fewer training texts tells nothing of other texts."""

MOST_CHARACTERS = 50_000
"""Of a longer text the rest is not read."""

ABSENT = -1.0
"""The score of a task without an example: what the hinge loss asks of a negative one."""

TOLERANCE = 1e-3
PROGRESS_SECONDS = 10.0
CHUNK = 4_096
"""Texts whose words are counted at a time."""

Log = Callable[[str], None]

# --- words ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """Terms counted in texts: words of two signs and more, and pairs of neighbouring ones.

    Attributes:
        terms: V terms, ascending.
        counts: how often each stands in each text, float64 [n, V].
        filled: bool [n]: whether there is a text.
    """

    terms: pl.Series
    counts: csr_array
    filled: np.ndarray


def read_corpus(texts: pl.Series, terms: pl.Series | None = None) -> Corpus:
    """Counts the terms of texts.

    Args:
        texts: n texts; null or blank where there is none.
        terms: which are counted, ascending; those in at least `FEWEST_TEXTS` texts by default.
    """
    from scipy.sparse import csr_array

    if terms is None:
        terms = _repeated_terms(texts)
    column = terms.alias("term").to_frame().with_row_index("column")
    found = [counted.join(column, on="term").drop("term") for counted in _counted(texts)]
    frame = pl.concat(found) if found else pl.DataFrame(schema=dict.fromkeys(FOUND, pl.UInt32))
    frame = frame.sort("text", "column").cast({"text": pl.Int32, "column": pl.Int32})
    counts = csr_array(
        (
            frame["count"].cast(pl.Float64).to_numpy(),
            (frame["text"].to_numpy(), frame["column"].to_numpy()),  # liblinear wants 32 bits
        ),
        shape=(len(texts), len(terms)),
    )
    return Corpus(terms, counts, (texts.str.strip_chars().fill_null("") != "").to_numpy())


FOUND = ("text", "count", "column")


def _repeated_terms(texts: pl.Series) -> pl.Series:
    parts = [counted.group_by("term").len("texts") for counted in _counted(texts)]
    if not parts:
        return pl.Series("term", [], pl.String)
    containing = pl.concat(parts).group_by("term").agg(pl.col("texts").sum())
    return containing.filter(pl.col("texts") >= FEWEST_TEXTS)["term"].sort()


def _counted(texts: pl.Series) -> Iterator[pl.DataFrame]:
    """`text`, `term`, `count` of some texts at a time; the order of rows is not defined."""
    for start in range(0, len(texts), CHUNK):
        words = (
            texts.slice(start, CHUNK)
            .str.slice(0, MOST_CHARACTERS)
            .str.to_lowercase()
            .str.extract_all(r"\w{2,}")
            .alias("term")
            .to_frame()
            .with_row_index("text", offset=start)
            .explode("term")
            .drop_nulls("term")
        )
        pair = pl.concat_str("term", pl.col("term").shift(-1), separator=" ")
        same_text = pl.col("text") == pl.col("text").shift(-1)
        pairs = words.with_columns(term=pl.when(same_text).then(pair))
        yield pl.concat([words, pairs.drop_nulls("term")]).group_by("text", "term").len("count")


def choose_terms(counts: csr_array, most: int) -> np.ndarray:
    """Columns of the terms in at least `FEWEST_TEXTS` rows, ascending, int64.

    Of more than `most` those in the most rows are taken, of equal ones the first.
    """
    containing = np.bincount(counts.indices, minlength=counts.shape[1])
    enough = np.flatnonzero(containing >= FEWEST_TEXTS)
    by_rows = enough[np.argsort(-containing[enough], kind="stable")]
    return np.sort(by_rows[:most])


def idf_of(counts: csr_array) -> np.ndarray:
    """Inverse document frequency as scikit-learn smooths it, float64 [V]."""
    containing = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log((1 + counts.shape[0]) / (1 + containing)) + 1


def tf_idf(counts: csr_array, idf: np.ndarray) -> csr_array:
    """Rows of length 1 (zero without any term): (1 + log count) · idf, float64 [n, V].

    A term that stands a hundred times in a text says little more than one that stands ten times.
    """
    from scipy.sparse import csr_array

    values = (1 + np.log(counts.data)) * idf[counts.indices]
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(row, values**2, minlength=counts.shape[0]))
    return csr_array((values / length[row], counts.indices, counts.indptr), shape=counts.shape)


# --- the classifier ------------------------------------------------------------------------------


@dataclass(frozen=True)
class TermClassifier:
    """A linear classifier of each task over the words of a text.

    Attributes:
        terms: V words and word pairs, ascending.
        idf: their inverse document frequency in the training texts, float64 [V].
        weights: float32 [V, tasks].
        bias: float32 [tasks].
    """

    terms: list[str]
    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def scores(self, texts: pl.Series) -> np.ndarray:
        """Decision values: above zero where the words speak for a task.

        Of a text without a known word the bias is said; where there is no text at all, nothing: a
        row of zeros, which `training_data.scaled` keeps as no text.

        Args:
            texts: n texts; null or blank where there is none.

        Returns:
            float32 [n, tasks].
        """
        corpus = read_corpus(texts, pl.Series(self.terms, dtype=pl.String))
        return self.decide(tf_idf(corpus.counts, self.idf), corpus.filled)

    def decide(self, x: csr_array, filled: np.ndarray) -> np.ndarray:
        """The same of rows [n, V] by `tf_idf`; `filled`, bool [n], tells where there is a text."""
        return (x.astype(np.float32) @ self.weights + self.bias) * filled[:, None]

    @cached_property
    def digest(self) -> str:
        """What tells this classifier from any other."""
        hashed = sha256("\n".join(self.terms).encode())
        for array in (self.idf, self.weights, self.bias):
            hashed.update(np.ascontiguousarray(array).tobytes())
        return hashed.hexdigest()


def fit_terms(
    texts: pl.Series,
    y: np.ndarray,
    *,
    most_terms: int = MOST_TERMS,
    regularisation: float = REGULARISATION,
    seed: int = 0,
) -> TermClassifier:
    """Fits a classifier of each task on the words of texts.

    Args:
        texts: n texts; what is null or blank is left out.
        y: zeros and ones [n, tasks].
        most_terms: how many terms at most.
        regularisation: liblinear's C: the greater, the closer to the training texts.
        seed: of the order in which liblinear takes rows.
    """
    corpus = read_corpus(texts)
    vectors = _vectors(corpus, corpus.filled, most_terms)
    weights, bias = _fit(vectors.x[corpus.filled], y[corpus.filled], regularisation, seed)
    return TermClassifier(vectors.terms, vectors.idf, weights, bias)


def out_of_fold(
    texts: pl.Series,
    y: np.ndarray,
    groups: np.ndarray | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    *,
    most_terms: int = MOST_TERMS,
    regularisation: float = REGULARISATION,
) -> np.ndarray:
    """Scores of texts by classifiers that saw neither them nor any other of their group.

    The words themselves, and their idf, are those of all texts: no label is in them.

    Args:
        texts: n texts; null or blank ones are in no fit, and their score is zero.
        y: zeros and ones [n, tasks].
        groups: group number of each text, int [n]; each is its own by default.
        folds: how many parts there are; fewer where there are fewer groups.
        seed: of the folds, and of liblinear.
        most_terms, regularisation: as in `fit_terms`.

    Returns:
        float32 [n, tasks].
    """
    corpus = read_corpus(texts)
    vectors = _vectors(corpus, corpus.filled, most_terms)
    groups = np.arange(len(texts)) if groups is None else groups
    rows = np.flatnonzero(corpus.filled)
    return _out_of_fold(vectors, rows, y, groups, folds, regularisation, seed)


@dataclass(frozen=True)
class Stacked:
    """Scores of all rows, and the classifier of those that are in no training fold.

    Attributes:
        scores: float32 [n, tasks].
        classifier: fitted on all training rows.
    """

    scores: np.ndarray
    classifier: TermClassifier


def stacked_scores(
    corpus: Corpus,
    y: np.ndarray,
    train: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    most_terms: int = MOST_TERMS,
    regularisation: float = REGULARISATION,
    seed: int = 0,
    log: Log = lambda message: None,
) -> Stacked:
    """Training rows' scores out of fold, and all others' by a classifier of all training rows.

    Args:
        corpus: n texts, each read once for however many protocols.
        y: zeros and ones [n, tasks]; only those of training rows are read.
        train: bool [n]: the rows that may be learnt from.
        groups: group number of each row, int [n]; no group is in two folds.
        folds, most_terms, regularisation, seed: as in `out_of_fold`.
        log: told of progress every ten seconds.
    """
    train = train & corpus.filled
    rows = np.flatnonzero(train)
    vectors = _vectors(corpus, train, most_terms)
    weights, bias = _fit(vectors.x[rows], y[rows], regularisation, seed)
    classifier = TermClassifier(vectors.terms, vectors.idf, weights, bias)
    scores = classifier.decide(vectors.x, corpus.filled)
    own = _out_of_fold(vectors, rows, y, groups, folds, regularisation, seed, log)
    scores[rows] = own[rows]
    return Stacked(scores, classifier)


@dataclass(frozen=True)
class _Vectors:
    """Texts by the terms of some of them: what a classifier is fitted on and applied to."""

    terms: list[str]
    idf: np.ndarray
    x: csr_array


def _vectors(corpus: Corpus, seen: np.ndarray, most_terms: int) -> _Vectors:
    """All texts, by the terms and their idf of those that are seen, bool [n]."""
    columns = choose_terms(corpus.counts[seen], most_terms)
    counts = corpus.counts[:, columns]
    idf = idf_of(counts[seen])
    return _Vectors(corpus.terms.gather(columns).to_list(), idf, tf_idf(counts, idf))


def _out_of_fold(
    vectors: _Vectors,
    rows: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    folds: int,
    regularisation: float,
    seed: int,
    log: Log = lambda message: None,
) -> np.ndarray:
    """Scores of some rows by classifiers of the others of them; zero for all else."""
    scores = np.zeros(y.shape, dtype=np.float32)
    last = time.perf_counter()
    for number, (learnt, asked) in enumerate(_folds(groups[rows], folds, seed)):
        if time.perf_counter() - last >= PROGRESS_SECONDS:
            last = time.perf_counter()
            log(f"{number} of {folds} folds of {len(rows):,} texts are scored")
        weights, bias = _fit(vectors.x[rows[learnt]], y[rows[learnt]], regularisation, seed)
        scores[rows[asked]] = vectors.x[rows[asked]].astype(np.float32) @ weights + bias
    return scores


def _folds(groups: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions that are learnt from and positions that are asked; no group is in both."""
    from sklearn.model_selection import GroupKFold

    names, number = np.unique(groups, return_inverse=True)
    folds = min(folds, len(names))
    if folds < 2:  # nobody is left to learn from
        yield np.arange(0), np.arange(len(groups))
        return
    # Groups of equal size go to folds by their number: without this, by the order of ids.
    shuffled = np.random.default_rng(seed).permutation(len(names))[number]
    yield from GroupKFold(folds).split(groups, groups=shuffled)


def _fit(
    x: csr_array, y: np.ndarray, regularisation: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights, float32 [V, tasks], and bias, float32 [tasks], of an L2 SVM for each task.

    One after another: liblinear's dual solver draws from one generator for the whole process, so
    that threads would make of equal seeds unequal weights. It is far quicker than the primal one.
    """
    from sklearn.svm import LinearSVC

    weights = np.zeros((x.shape[1], y.shape[1]), dtype=np.float32)
    bias = np.full(y.shape[1], ABSENT, dtype=np.float32)
    having = (y > 0).sum(axis=0)
    bias[(having == len(y)) & (having > 0)] = -ABSENT
    if not x.shape[1]:
        return weights, bias
    for task in np.flatnonzero((having > 0) & (having < len(y))):
        svm = LinearSVC(C=regularisation, dual=True, tol=TOLERANCE, random_state=seed)
        svm.fit(x, y[:, task] > 0)
        weights[:, task], bias[task] = svm.coef_[0], svm.intercept_[0]
    return weights, bias


# --- the file ------------------------------------------------------------------------------------


def classifier_path(directory: Path, variant: str, protocol: str) -> Path:
    """Where a classifier lies in the partition directory of `classification/term_scores`."""
    return directory / "terms" / f"{variant}-{protocol}.pt"


def save_classifier(path: Path, classifier: TermClassifier) -> None:
    """Stores a classifier as tensors and strings; the file is there whole or not at all."""
    import torch

    arrays = {name: getattr(classifier, name) for name in ("idf", "weights", "bias")}
    content = {name: torch.from_numpy(array) for name, array in arrays.items()}
    write_atomically(path, lambda file: torch.save(content | {"terms": classifier.terms}, file))


def load_classifier(path: Path) -> TermClassifier:
    """Reads a classifier; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is none.
        pickle.UnpicklingError: the file holds something else than tensors and plain values.
        ValueError: it is no classifier, or one of another version of this project.
    """
    again = "materialize classification/term_scores again"
    content = stored_fields(path, TermClassifier, "word classifier", again)
    arrays = (content[name].numpy() for name in ("idf", "weights", "bias"))
    return TermClassifier(content["terms"], *arrays)
