"""Near-duplicates: found as comparing all with all finds them, in a time that grows evenly."""

import re
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hfkg_assets.features import near_duplicates
from hfkg_assets.features.near_duplicates import (
    BANDS,
    PHRASE,
    ROWS,
    SIMILARITY,
    _candidates,
    _phrases,
    group_texts,
)

RNG = np.random.default_rng(5)
WORDS = [f"word{number}" for number in range(2_000)]


def text_of(words: int) -> list[str]:
    return [WORDS[i] for i in RNG.integers(0, len(WORDS), words)]


def changed(words: list[str], changes: int) -> list[str]:
    copy = words.copy()
    for place in RNG.choice(len(words), changes, replace=False):
        copy[place] = WORDS[RNG.integers(0, len(WORDS))]
    return copy


def phrases_of(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + PHRASE]) for i in range(len(words) - PHRASE + 1)}


def jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)


@pytest.fixture(scope="module")
def corpus() -> pl.Series:
    """60 originals of 20 to 400 words, most with copies of up to a tenth of their words changed."""
    texts = []
    for number in range(60):
        original = text_of(int(RNG.integers(20, 400)))
        texts.append(original)
        texts += [changed(original, 1 + len(original) * i // 50) for i in range(number % 6)]
    return pl.Series([" ".join(words) for words in texts]).shuffle(seed=1)


def test_groups_are_what_similar_pairs_connect(corpus: pl.Series) -> None:
    group = group_texts(corpus).tolist()
    phrases = [phrases_of(text) for text in corpus]
    similar = {
        pair: similarity
        for pair in combinations(range(len(corpus)), 2)
        if (similarity := jaccard(phrases[pair[0]], phrases[pair[1]])) >= SIMILARITY
    }
    surely_found = [pair for pair, similarity in similar.items() if similarity >= 0.87]
    assert len(surely_found) > 20
    assert all(group[one] == group[other] for one, other in surely_found)
    connected, parts = connected_components(
        coo_array((np.ones(len(similar)), tuple(zip(*similar, strict=True))), (len(corpus),) * 2)
    )
    assert len(set(group)) >= connected
    together = set(zip(group, parts.tolist(), strict=True))
    assert len(together) == len(set(group))  # no group holds what no chain of pairs connects


def test_a_text_alone_is_its_own_group_and_a_group_is_named_by_its_first_text() -> None:
    original = text_of(200)
    texts = [text_of(200), original, text_of(30), changed(original, 2), ["one"], ["two", "words"]]
    group = group_texts(pl.Series([" ".join(words) for words in texts]))
    assert group.tolist() == [0, 1, 2, 1, 4, 5]


@pytest.mark.parametrize(("changes", "same"), [(2, True), (6, False)])
def test_a_pair_is_similar_from_the_stated_share_of_phrases_on(changes: int, same: bool) -> None:
    words = WORDS[:100]
    copy = [f"new{i}" if i % 10 == 5 and i < 10 * changes else w for i, w in enumerate(words)]
    one, other = " ".join(words), " ".join(copy)
    assert (jaccard(phrases_of(one), phrases_of(other)) >= SIMILARITY) is same
    assert (group_texts(pl.Series([one, other])) == 0).all() == same


def test_case_spaces_and_punctuation_do_not_matter() -> None:
    text = "The quick brown fox jumps over the lazy dog near the river bank"
    shouted = text.upper().replace(" ", " -\n ")
    assert group_texts(pl.Series([text, f"({shouted}!)"])).tolist() == [0, 0]


def test_texts_without_spaces_are_compared_too() -> None:
    text = "这个模型是用读者写给报纸编辑的信件训练出来的适合短文本也适合很长的文章而且速度很快"
    similar, other = (
        f"{text}好",
        "数据集包含从网络上收集的图片和说明文字可以用于研究目的但不得用于商业",
    )
    assert group_texts(pl.Series([text, similar, other])).tolist() == [0, 0, 2]


def test_the_size_of_chunks_changes_nothing(
    corpus: pl.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = group_texts(corpus)
    monkeypatch.setattr(near_duplicates, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(near_duplicates, "CHUNK_PAIRS", 3)
    np.testing.assert_array_equal(group_texts(corpus), expected)


def test_a_phrase_has_the_same_number_in_every_text_and_on_every_machine() -> None:
    texts = pl.Series(["alpha beta gamma", "x", "and alpha, beta GAMMA!", "日本語"])
    ((start, lengths, phrases),) = _phrases(texts)
    assert (start, lengths.tolist()) == (0, [1, 0, 2, 1])
    assert phrases[0] == phrases[2] == np.uint64(14543138973173801095)
    assert len(set(phrases.tolist())) == 3


def test_pairs_to_compare_grow_with_the_texts_even_if_all_are_alike() -> None:
    signatures = np.zeros((5_000, BANDS * ROWS), np.uint32)
    signatures[::2, 0] = 1
    assert len(_candidates(signatures, np.arange(5_000))) <= 2 * BANDS * 5_000


def test_no_texts_have_no_groups() -> None:
    assert group_texts(pl.Series([], dtype=pl.String)).tolist() == []
    assert group_texts(pl.Series(["a", "b c"])).tolist() == [0, 1]
