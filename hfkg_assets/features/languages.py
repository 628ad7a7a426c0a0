"""The language in which a text is written.

py3langid, a naive Bayes classifier over byte sequences, is asked for the languages that have a
two-letter code. Of the others it knows (Bikol, Nigerian Pidgin, Wu …) it found none on real cards
but in English and Chinese ones.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

READ_CHARACTERS = 500
"""Of a longer text the beginning is read: the rest changes the answer in 1 of 250."""

MIN_LETTERS = 20
MIN_CONFIDENCE = 0.4
"""Below these a text is a name or a table, of which the classifier makes any language: on real
cards no answer below was right but English, and few above were wrong."""

LANGUAGE = {"detected_language": pl.String(), "language_confidence": pl.Float32()}


def detect_languages(texts: pl.Series) -> pl.DataFrame:
    """The language of texts, and how sure it is.

    Args:
        texts: n texts.

    Returns:
        `detected_language`, a two-letter code, and `language_confidence`, from 0 to 1; both null
        where the text is too short to tell.
    """
    heads = texts.str.head(READ_CHARACTERS)
    tellable = heads.str.count_matches(r"\p{L}") >= MIN_LETTERS
    found = map(_language, heads.filter(tellable))
    rows = [next(found) if tells else (None, None) for tells in tellable]
    return pl.DataFrame(rows, schema=LANGUAGE, orient="row")


def _language(text: str) -> tuple[str, float] | tuple[None, None]:
    code, confidence = _identifier().classify(text)
    return (code, confidence) if confidence >= MIN_CONFIDENCE else (None, None)


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in identifier.labels if len(code) == 2])
    return identifier
