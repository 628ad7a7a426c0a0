"""Texts to the words that are looked up: of a card, of a repository's name, of a question.

All three go the same way, or nothing would be found. Belongs here: what a word is. Does not: how
words are weighed (`word_index`).
"""

from __future__ import annotations

import polars as pl

STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)
"""Lucene's English stop words: they stand in nearly every text and tell nothing of it."""

# Chinese and Japanese have no spaces: each sign is a word.
_SIGNS = r"\p{Han}\p{Hiragana}\p{Katakana}"
WORD = rf"[{_SIGNS}]|\p{{N}}+(?:\.\p{{N}}+)+\p{{L}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_SIGNS}]]+"
"""A word as it stands in a text, as a pattern of Rust's; `0.5B` and `3.1` are one."""

_NAME_PART = r"\p{Lu}?[\p{Ll}\p{Lo}]+|\p{Lu}+|\p{N}+"
LONGEST = 64
"""Characters of a word; longer ones are data, such as digests, and nobody asks for them."""


def words_of(texts: pl.Series) -> pl.DataFrame:
    """The words of texts: in lower case, plural endings off, no stop words.

    Args:
        texts: n texts; null counts as empty.

    Returns:
        `row` (of the text) and `word`, in the order of the texts.
    """
    return _stemmed(_found(texts, WORD))


def name_words(ids: pl.Series) -> pl.DataFrame:
    """The words of repository names, and the parts of those that are put together.

    `acme/TinyBert-v2` has `acme`, `tinybert`, `v2`, `tiny`, `bert`, `v` and `2`.

    Args:
        ids: n ids.

    Returns:
        `row` and `word`, each word once a row.
    """
    parts = _found(ids, _NAME_PART)
    return pl.concat([words_of(ids), _stemmed(parts)]).unique(maintain_order=True)


def question_words(text: str) -> list[str]:
    """The words of one text, each once, in its order."""
    return words_of(pl.Series([text]))["word"].unique(maintain_order=True).to_list()


def _found(texts: pl.Series, pattern: str) -> pl.DataFrame:
    return (
        texts.fill_null("")
        .str.extract_all(pattern)
        .alias("word")
        .to_frame()
        .with_row_index("row")
        .explode("word")
        .drop_nulls("word")
    )


def _stemmed(words: pl.DataFrame) -> pl.DataFrame:
    lower = words.with_columns(pl.col("word").str.to_lowercase())
    kept = lower.filter(
        ~pl.col("word").is_in(STOP_WORDS.split()), pl.col("word").str.len_chars() <= LONGEST
    )
    return kept.with_columns(stem(pl.col("word")))


def stem(word: pl.Expr) -> pl.Expr:
    """A word without the ending of an English plural: Harman's S stemmer.

    Source: D. Harman, How effective is suffixing?, JASIS 42 (1991).
    """
    is_long = word.str.len_bytes() > 3
    return (
        pl.when(~is_long | ~word.str.ends_with("s"))
        .then(word)
        .when(word.str.contains("[^ae]ies$"))
        .then(word.str.replace("ies$", "y"))
        .when(word.str.contains("[^aeo]es$"))
        .then(word.str.strip_suffix("s"))
        .when(word.str.contains("[^us]s$"))
        .then(word.str.strip_suffix("s"))
        .otherwise(word)
    )
