"""One text classified: from a README that is in no snapshot to probabilities of tasks.

The text goes the way of every card: front matter cut off, Markdown reduced to prose, task names
that stand as tags removed, embedded, matched against task names. The predictor for texts by
themselves, which a snapshot's training has left in `predictors.json`, tells the rest. Belongs here:
what `hfkg classify` does, but for printing. Does not: choosing or calibrating a learner.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from hfkg_assets.classification.bundles import Bundle, bundle_path, load_bundle
from hfkg_assets.classification.prediction import TABLE, TEXT, seed_scores, texts_alone
from hfkg_assets.classification.predictors import FILE, Predictor, Trust, load_predictors
from hfkg_assets.classification.term_classifier import (
    TERM_SCORES,
    TERMS,
    TermClassifier,
    classifier_path,
    load_classifier,
)
from hfkg_assets.classification.term_scores import words_of
from hfkg_assets.features.bm25 import bm25_scores
from hfkg_assets.features.readme import TaskNames, parse_card
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

STANDARD_INPUT = "-"
MOST_BYTES = 5_000_000
"""Of a longer file the rest is not read: no README is as long."""

FEW_WORDS = 20

Log = Callable[[str], None]


class CannotClassify(Exception):
    """There is no text, or no trained predictor for it; the message says what to do."""


class NothingToClassify(CannotClassify):
    """The text says nothing once front matter, code and tags are taken out of it."""


@dataclass(frozen=True)
class Source:
    """A text as it was read.

    Attributes:
        text: decoded; what is not UTF-8 is replaced.
        warnings: what about it may spoil the prediction.
    """

    text: str
    warnings: list[str]


@dataclass(frozen=True)
class TextPrediction:
    """What one text is probably about.

    Attributes:
        snapshot: date of the snapshot whose predictor was used.
        kind: model or dataset, as which it was taken.
        predictor: what was asked.
        words: words of the text that was read.
        front_matter: ok, none or broken.
        tasks: `rank`, `task_id`, `label`, `probability`, `chosen`, by rank.
        warnings: what may have spoilt the prediction.
    """

    snapshot: str
    kind: str
    predictor: Predictor
    words: int
    front_matter: str
    tasks: pl.DataFrame
    warnings: list[str]

    def trust(self) -> Trust:
        """What is known of predictions as probable as the most probable task."""
        reached = [t for t in self.predictor.trust if self.tasks["probability"][0] >= t.level]
        return (reached or self.predictor.trust)[-1 if reached else 0]


def read_source(name: str, standard_input: IO[bytes] | None = None) -> Source:
    """Reads a file, or standard input for `-`.

    Raises:
        CannotClassify: there is no such file, or it cannot be read.
    """
    try:
        if name == STANDARD_INPUT:
            content = (standard_input or sys.stdin.buffer).read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CannotClassify(f"cannot read {name}: {error.strerror}") from None
    warnings = []
    if len(content) > MOST_BYTES:
        content = content[:MOST_BYTES]
        warnings.append(f"the text is longer than {MOST_BYTES:,} bytes; the rest is not read")
    text = content.decode(errors="replace")
    # A cut may part the last character; that is no fault of the text.
    if "\ufffd" in text[:-1] and "\ufffd".encode() not in content:
        warnings.append("the text is not UTF-8; what could not be read is replaced")
    return Source(text, warnings)


def trained_day(warehouse: Warehouse, day: str | None) -> str:
    """The date whose predictor is used: the one asked for, or the newest that has one.

    Raises:
        CannotClassify: there is none.
    """
    days = [day] if day else reversed(warehouse.dates(TABLE))
    for candidate in days:
        if (warehouse.directory(TABLE, candidate) / FILE).is_file():
            return candidate
    raise CannotClassify(
        f"snapshot {day} is not trained; train it with: hfkg run --job train --date {day}"
        if day
        else "no snapshot is trained yet; make and train one with: hfkg run"
    )


def classify_text(
    source: Source,
    kind: str,
    warehouse: Warehouse,
    encoder: TextEncoder,
    *,
    day: str | None = None,
    top: int = 5,
    log: Log = lambda message: None,
) -> TextPrediction:
    """Predicts the tasks of one text.

    Args:
        source: the text.
        kind: model or dataset.
        warehouse: where trained snapshots lie.
        encoder: must be the one that the snapshot was trained with.
        day: snapshot date; the newest trained one by default.
        top: how many tasks at most.
        log: told of what takes time.

    Raises:
        CannotClassify: no snapshot is trained, or it was with another encoder.
        NothingToClassify: the text says nothing.
        EncoderNotFound: the encoder cannot be loaded.
    """
    day = trained_day(warehouse, day)
    predictor = load_predictors(warehouse.directory(TABLE, day)).get(TEXT)
    if predictor is None:
        raise CannotClassify(
            f"snapshot {day} has no learner that was trained on clean texts; put clean into "
            f"HFKG_TEXT_VARIANTS and train it with: hfkg run --job train --date {day}"
        )
    task_index = warehouse.scan("classification/task_index", day).sort("index").collect()
    names = pl.concat([task_index["task_id"], task_index["label"].drop_nulls()]).unique().sort()
    card = parse_card(source.text, TaskNames(names.to_list()))
    words = len(re.findall(r"\w+", card["clean"]))
    if not words:
        raise NothingToClassify(
            "the text says nothing but front matter, code, tags or links: there is nothing to read"
        )
    warnings = list(source.warnings)
    if card["truncated"]:
        warnings.append("the text is very long; only its beginning is read")
    if words < FEW_WORDS:
        warnings.append(f"the text has only {words} words: probabilities rest on very little")

    log(f"{predictor.learner}, trained on the snapshot of {day}; loading its text encoder")
    bundle = _bundle(warehouse, day, predictor)
    features = text_features(card, bundle, encoder, _words(warehouse, day, bundle))
    data = texts_alone(bundle, features, np.array([kind]))
    scores = np.mean(list(seed_scores(bundle, data, np.arange(1))), axis=0)
    probabilities = predictor.probabilities(scores, np.array([kind]))
    return TextPrediction(
        day,
        kind,
        predictor,
        words,
        card["front_matter_status"],
        _ranked(probabilities, predictor, task_index, top),
        warnings,
    )


def text_features(
    card: Mapping[str, Any], bundle: Bundle, encoder: TextEncoder, words: TermClassifier | None
) -> np.ndarray:
    """One text's features as the bundle's learner has them, float32 [1, features].

    Args:
        card: the text, by `parse_card`.
        bundle: trained weights.
        encoder: makes the text's vector.
        words: scores the text's words, where the learner was trained with such scores.

    Raises:
        CannotClassify: the encoder is not the one whose vectors the bundle was trained on, or the
            bundle knows parts of features that this version does not.
    """
    if encoder.identity != bundle.encoder:
        raise CannotClassify(
            f"the snapshot was trained with the text encoder {bundle.encoder}, and now it is "
            f"{encoder.identity}; set HFKG_ENCODER to the one it was trained with, or train again"
        )
    read = pl.DataFrame({name: [card[name]] for name in ("clean", "code")})
    parts: dict[str, Callable[[], np.ndarray]] = {
        "embedding": lambda: encoder.encode([card["clean"]]),
        "bm25": lambda: bm25_scores(read["clean"], bundle.task_ids),
    }
    if words is not None:
        parts[TERMS] = lambda: words.scores(read.select(words_of(bundle.variant)).to_series())
    if set(bundle.feature_columns) != set(parts):
        raise CannotClassify(
            f"the snapshot's features are {', '.join(bundle.feature_columns)}, and this version "
            f"knows {', '.join(parts)}: train again"
        )
    features = np.zeros((1, len(bundle.mean)), dtype=np.float32)
    for name, (start, stop) in bundle.feature_columns.items():
        features[:, start:stop] = parts[name]()
    return features


def _bundle(warehouse: Warehouse, day: str, predictor: Predictor) -> Bundle:
    directory = warehouse.directory(f"classification/{predictor.learner}", day)
    try:
        return load_bundle(bundle_path(directory, predictor.variant, predictor.protocol))
    except FileNotFoundError as error:
        raise CannotClassify(
            f"the weights of {predictor.learner} are gone ({error.filename}); train again with: "
            f"hfkg run --job train --date {day}"
        ) from None


def _words(warehouse: Warehouse, day: str, bundle: Bundle) -> TermClassifier | None:
    """The classifier whose word scores the learner was trained with; None where with none."""
    if bundle.terms is None:
        return None
    directory = warehouse.directory(TERM_SCORES, day)
    again = f"train again with: hfkg run --job train --date {day}"
    try:
        words = load_classifier(classifier_path(directory, bundle.variant, bundle.protocol))
    except FileNotFoundError as error:
        raise CannotClassify(
            f"the word classifier of the snapshot is gone ({error.filename}); {again}"
        ) from None
    if words.digest != bundle.terms:
        raise CannotClassify(
            f"the word classifier was made anew after {bundle.name} was trained; {again}"
        )
    return words


def _ranked(
    probabilities: np.ndarray, predictor: Predictor, task_index: pl.DataFrame, top: int
) -> pl.DataFrame:
    """The most probable tasks of one text, those that are impossible for its kind left out."""
    labels = task_index.select("task_id", pl.coalesce("label", "task_id").alias("label"))
    return (
        pl.DataFrame(
            {
                "task_id": predictor.task_ids,
                "probability": probabilities[0],
                "chosen": predictor.chosen(probabilities)[0],
            }
        )
        .filter(pl.col("probability") > 0)
        .sort("probability", "task_id", descending=[True, False])
        .head(top)
        .join(labels, on="task_id", how="left", maintain_order="left")
        .with_row_index("rank", offset=1)
        .select("rank", "task_id", "label", "probability", "chosen")
    )
