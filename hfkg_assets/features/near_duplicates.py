"""Which texts are nearly the same: MinHash over phrases of three words, then Jaccard.

Two texts are near-duplicates if of all phrases in either at least `SIMILARITY` stand in both.
Groups are what such pairs connect. Pairs are not all compared: a text is compared with those that
agree with it in one of `BANDS` bands of its MinHash signature (Broder 1997; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3), and of a band that many share only with the first
and the one before it. The work grows with the number of words, whatever the texts are.

All hashes are computed here from UTF-8 bytes, so that a text has the same ones on every machine.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

PHRASE = 3
"""Words of a phrase; a text of fewer has no phrase and equals nothing but itself."""

SIMILARITY = 0.8
BANDS, ROWS = 16, 8
"""A pair at `SIMILARITY` is found with probability 1 - (1 - 0.8 ** 8) ** 16 = 0.95, one at 0.9 with
0.9999; a pair at 0.5 is compared in 6 of 100 cases."""

CHUNK_BYTES = 1 << 22
CHUNK_PAIRS = 1 << 13

_U64 = np.uint64
_BASE = _U64(0x9E3779B97F4A7C15)
# Letters and digits; bytes beyond ASCII belong to words too.
_IS_WORD = np.array([byte >= 128 or chr(byte).isalnum() for byte in range(256)])
_FIRST_OF_IDEOGRAPH = 0xE3
"""Signs from U+3000 on, whose scripts set no spaces, are a word each."""


def group_texts(texts: pl.Series) -> np.ndarray:
    """Parts texts into groups of near-duplicates.

    Args:
        texts: n texts, all different.

    Returns:
        int64 [n]: the position of the first text of each text's group.
    """
    signatures = np.zeros((len(texts), BANDS * ROWS), np.uint32)
    has_phrases = np.zeros(len(texts), bool)
    for start, lengths, phrases in _phrases(texts):
        rows = start + np.flatnonzero(lengths)
        signatures[rows] = _signatures(lengths[lengths > 0], phrases)
        has_phrases[rows] = True
    candidates = _candidates(signatures, np.flatnonzero(has_phrases))
    left, right = _similar(texts, candidates[_agreement(signatures, candidates)]).T
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(texts), len(texts)))
    _, group = connected_components(links, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group]


# --- phrases as numbers --------------------------------------------------------------------------


def _phrases(texts: pl.Series) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Hashes of all phrases, in chunks of about `CHUNK_BYTES`.

    Yields:
        Position of the chunk's first text; number of phrases of each text in it; uint64 phrases
        of one text after the other.
    """
    ends = (texts.str.len_bytes() + 1).cum_sum().to_numpy()
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK_BYTES, side="right")))
        yield start, *_phrases_of_chunk(texts.slice(start, stop - start))
        start = stop


def _phrases_of_chunk(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    lowered = texts.str.to_lowercase()
    joined = np.frombuffer((lowered.str.join("\n").item() + "\n").encode(), np.uint8)
    is_word = _IS_WORD[joined]
    starts = is_word & ~np.concatenate([[False], is_word[:-1]]) | (joined >= _FIRST_OF_IDEOGRAPH)
    first = np.flatnonzero(starts)
    words = _word_hashes(joined * is_word, first)
    ends = (lowered.str.len_bytes() + 1).cum_sum().to_numpy()
    text = np.searchsorted(ends, first, side="right")  # the text that each word is of
    last = max(len(words) - PHRASE + 1, 0)
    phrases = np.zeros(last, np.uint64)
    for offset in range(PHRASE):
        phrases = phrases * _BASE + words[offset : offset + last]
    inside = text[:last] == text[PHRASE - 1 :]
    return np.bincount(text[:last][inside], minlength=len(texts)), _mixed(phrases[inside])


def _word_hashes(joined: np.ndarray, first: np.ndarray) -> np.ndarray:
    """A hash of each word, wherever it stands: a polynomial in its bytes, modulo 2 ** 64.

    Args:
        joined: uint8, zero between words.
        first: where words begin.
    """
    powers = _powers(_BASE, len(joined))
    sums = np.add.reduceat(powers * joined, first) if len(first) else np.zeros(0, np.uint64)
    inverse = _U64(pow(int(_BASE), -1, 1 << 64))
    return _mixed(sums * _powers(inverse, len(joined))[first])


def _powers(base: np.uint64, count: int) -> np.ndarray:
    return np.cumprod(np.full(count, base, np.uint64))


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Spreads all bits over all bits: the finalizer of SplitMix64 (Steele et al. 2014)."""
    hashes = (hashes ^ (hashes >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> _U64(27))) * _U64(0x94D049BB133111EB)
    return hashes ^ (hashes >> _U64(31))


# --- MinHash -------------------------------------------------------------------------------------


def _signatures(lengths: np.ndarray, phrases: np.ndarray) -> np.ndarray:
    """The least of each text's phrases under each of `BANDS * ROWS` hash functions.

    Args:
        lengths: phrases of each of n texts, at least one.
        phrases: uint64, of one text after the other.

    Returns:
        uint32 [n, BANDS * ROWS].
    """
    offsets = np.cumsum(lengths) - lengths
    factors = _mixed(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)) | _U64(1)
    least = [
        np.minimum.reduceat(((phrases * factor) >> _U64(32)).astype(np.uint32), offsets)
        for factor in factors
    ]
    return np.stack(least, axis=1)


def _candidates(signatures: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pairs that agree in a band: each text with the first that does, and with the one before."""
    pairs = []
    for band in range(BANDS):
        part = signatures[rows, band * ROWS : (band + 1) * ROWS].astype(np.uint64)
        value = np.zeros(len(rows), np.uint64)
        for column in part.T:
            value = _mixed(value * _BASE + column)
        order = np.argsort(value, kind="stable")
        value, ordered = value[order], rows[order]
        is_first = np.concatenate([[True], value[1:] != value[:-1]])[: len(rows)]
        first = ordered[is_first][np.cumsum(is_first) - 1]
        before = np.concatenate([ordered[:1], ordered[:-1]])
        again = ~is_first
        pairs += [
            np.stack([first[again], ordered[again]], axis=1),
            np.stack([before[again], ordered[again]], axis=1),
        ]
    return np.unique(np.concatenate(pairs), axis=0)


def _agreement(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which pairs may be similar: a signature estimates Jaccard to 0.035, one deviation."""
    agreeing = [
        (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1) for part in _parts(pairs)
    ]
    return np.concatenate([np.zeros(0), *agreeing]) >= SIMILARITY - 0.14


# --- Jaccard -------------------------------------------------------------------------------------


def _similar(texts: pl.Series, pairs: np.ndarray) -> np.ndarray:
    """Those of some pairs whose Jaccard similarity is at least `SIMILARITY`."""
    alike = [_are_similar(texts, part) for part in _parts(pairs)]
    return pairs[np.concatenate([np.zeros(0, bool), *alike])]


def _are_similar(texts: pl.Series, pairs: np.ndarray) -> np.ndarray:
    rows, index = np.unique(pairs, return_inverse=True)
    left, right = index.reshape(pairs.shape).T
    sets = _phrase_sets(texts.gather(rows))
    sizes = np.diff(sets.indptr)
    both = sets[left].multiply(sets[right]).sum(axis=1)
    return both >= SIMILARITY * (sizes[left] + sizes[right] - both)


def _phrase_sets(texts: pl.Series) -> csr_array:
    """A row for each text with ones at its phrases."""
    chunks = [(lengths, phrases) for _, lengths, phrases in _phrases(texts)]
    lengths = np.concatenate([np.zeros(0, np.int64), *(chunk[0] for chunk in chunks)])
    phrases = np.concatenate([np.zeros(0, np.uint64), *(chunk[1] for chunk in chunks)])
    known, column = np.unique(phrases, return_inverse=True)
    text = np.repeat(np.arange(len(texts)), lengths)
    shape = (len(texts), len(known))
    sets = coo_array((np.ones(len(phrases), np.float32), (text, column)), shape=shape).tocsr()
    sets.data[:] = 1
    return sets


def _parts(pairs: np.ndarray) -> list[np.ndarray]:
    return [pairs[start : start + CHUNK_PAIRS] for start in range(0, len(pairs), CHUNK_PAIRS)]
