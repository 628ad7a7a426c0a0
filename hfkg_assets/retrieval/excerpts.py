"""Excerpts: the part of a text that fits a question best.

Belongs here: cutting a text into sentences and choosing some. Does not: which words count
(`words`), or how much (`word_index`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from hfkg_assets.retrieval.words import WORD, stem

LONGEST = 300
"""Characters of an excerpt."""

READ = 20_000
"""Of a longer text the rest is not looked at."""

_SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s)|[。！？]|(?=\n)|\Z)")


def excerpt_of(text: str, weights: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
    """The run of sentences with the most weight of a question's words, each counted once.

    Args:
        text: of a document.
        weights: a question's words, as `words.words_of` gives them, with what each counts.

    Returns:
        at most 300 characters, the text's beginning where it holds none of the words; and the
        question's words in it, as they stand there.
    """
    sentences = [s for part in _SENTENCE.findall(text[:READ]) if (s := " ".join(part.split()))]
    if not sentences:
        return "", ()
    found = _words_by_sentence(sentences, weights) if weights else {}
    length = [len(sentence) for sentence in sentences]
    top, window = -1.0, (0, 1)
    # A window opens where a word stands, and takes what follows as far as there is room.
    for start in sorted(found) or [0]:
        end, room, held = start, LONGEST, dict[str, float]()
        while end < len(sentences) and (end == start or length[end] + 1 <= room):
            held |= {word: weights[word] for word, _ in found.get(end, ())}
            room -= length[end] + 1
            end += 1
        if sum(held.values()) > top:
            top, window = sum(held.values()), (start, end)
    excerpt = _cut(sentences, *window, found)
    matched: dict[str, str] = {}
    for sentence in range(*window):
        for word, surface in found.get(sentence, ()):
            if surface in excerpt:
                matched.setdefault(word, surface)
    return excerpt, tuple(matched.values())


def _words_by_sentence(
    sentences: list[str], weights: Mapping[str, float]
) -> dict[int, list[tuple[str, str]]]:
    """Sentence → the question's words in it: as they are looked up, and as they stand there."""
    words = (
        pl.DataFrame({"surface": sentences})
        .with_row_index("row")
        .select("row", pl.col("surface").str.extract_all(WORD))
        .explode("surface")
        .with_columns(word=stem(pl.col("surface").str.to_lowercase()))
        .filter(pl.col("word").is_in(list(weights)))
    )
    found: dict[int, list[tuple[str, str]]] = {}
    for row, word, surface in words.select("row", "word", "surface").iter_rows():
        found.setdefault(row, []).append((word, surface))
    return found


def _cut(
    sentences: list[str], start: int, end: int, found: Mapping[int, list[tuple[str, str]]]
) -> str:
    """The sentences as one text; of a single one that is too long, what is about its first word."""
    chosen = " ".join(sentences[start:end])
    if len(chosen) <= LONGEST:
        return chosen
    first = min((chosen.find(surface) for _, surface in found.get(start, ())), default=0)
    begin = max(0, min(first - LONGEST // 3, len(chosen) - LONGEST + 2))
    cut = chosen[begin : begin + LONGEST - 2]
    return ("…" if begin else "") + cut + ("…" if begin + LONGEST - 2 < len(chosen) else "")
