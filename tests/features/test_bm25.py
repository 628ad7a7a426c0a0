"""BM25 of documents against task names, compared with rank_bm25 itself."""

import re

import numpy as np
import polars as pl
import pytest
from rank_bm25 import BM25Okapi

from hfkg_assets.features.bm25 import CHUNK, bm25_scores

TASKS = [
    "text-classification", "token-classification", "text-generation", "image-to-text",
    "text-to-image", "text-to-speech", "automatic-speech-recognition", "translation",
    "image-text-to-text", "any-to-any", "zero-shot-classification", "other",
]  # fmt: skip

# Three of four names hold `text` and `to`: their idf is negative and gets the floor.
NEGATIVE = ["text-to-image", "text-to-video", "text-to-to-text", "robotics"]

DOCUMENTS = [
    "Text classification of texts: text, TEXT and text again.",
    "A model for image to text, which is to say image-to-text.",
    "",
    "nothing that matches at all",
    "Ünïcode: tëxt, text² text\u0301 \u24e3text text\u203ftext text_text text\u200dto İmage IMAGE",
    "日本語の文章 text です。 音声 speech 認識 ½text any½ 😀text😀to-any",
    "to to to to to to to to to to",
    "shot\nzero\ttoken\r\nautomatic\u00a0recognition\u2003speech other",
    "text" * 50,
    "to\u212aen masK Mas\u212a \u212a to\u212a any\u0130 \u0130any",
    "éany any—to—any: any日any, (to) to’s",
    "- text-to-image\n- text-to-video\n- robotics robotics",
]


def rank_bm25_scores(texts: list[str], task_ids: list[str]) -> np.ndarray:
    index = BM25Okapi([task_id.lower().split("-") for task_id in task_ids])
    return np.stack([index.get_scores(re.findall(r"\w+", text.lower())) for text in texts])


@pytest.mark.parametrize("task_ids", [TASKS, NEGATIVE], ids=["tasks", "negative_idf"])
@pytest.mark.parametrize("row", range(len(DOCUMENTS)))
def test_each_row_equals_rank_bm25(row: int, task_ids: list[str]) -> None:
    scores = bm25_scores(pl.Series(DOCUMENTS), task_ids)
    expected = rank_bm25_scores(DOCUMENTS, task_ids)
    np.testing.assert_allclose(scores[row], expected[row], rtol=1e-6, atol=1e-6)


def test_the_made_up_corpus_really_has_a_negative_idf() -> None:
    words = [task_id.split("-") for task_id in NEGATIVE]
    raw = {w: np.log(len(words) - n + 0.5) - np.log(n + 0.5)
           for w in ("text", "to") for n in [sum(w in name for name in words)]}  # fmt: skip
    assert all(idf < 0 for idf in raw.values())
    assert bm25_scores(pl.Series(["text"]), NEGATIVE).max() > 0


def test_rows_beyond_one_chunk_are_scored_like_the_first() -> None:
    texts = pl.Series(DOCUMENTS * (CHUNK // len(DOCUMENTS) + 2))
    scores = bm25_scores(texts, TASKS)
    assert scores.shape == (len(texts), len(TASKS))
    np.testing.assert_array_equal(scores[CHUNK], scores[CHUNK % len(DOCUMENTS)])


def test_a_missing_text_scores_nothing_and_no_texts_give_no_rows() -> None:
    scores = bm25_scores(pl.Series([None, "speech"], dtype=pl.String), TASKS)
    assert scores.dtype == np.float32
    assert not scores[0].any()
    assert scores[1].any()
    assert bm25_scores(pl.Series([], dtype=pl.String), TASKS).shape == (0, len(TASKS))
    assert bm25_scores(pl.Series(["text"]), []).shape == (1, 0)


def test_every_sign_of_unicode_parts_words_or_not_as_in_python() -> None:
    signs = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert [sign for sign in signs if not sign.isascii() and not sign.lower().isascii()
            and any(map(str.isascii, sign.lower()))] == ["\u0130"]  # fmt: skip
    assert [sign for sign in signs if not sign.isascii() and sign.lower().isascii()] == ["\u212a"]
    texts = [f"{sign}text image{sign} to{sign}speech any" for sign in signs[::97]]
    np.testing.assert_allclose(
        bm25_scores(pl.Series(texts), TASKS), rank_bm25_scores(texts, TASKS), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("task_ids", [["übersetzen", "text-klären"], ["c++", "-"], ["c++-text"]])
def test_task_names_of_any_letters_are_scored_like_rank_bm25(task_ids: list[str]) -> None:
    texts = ["ÜBERSETZEN von Text", "Text klären, u\u0308bersetzen", "c++ text", "übersetzens"]
    np.testing.assert_allclose(
        bm25_scores(pl.Series(texts), task_ids), rank_bm25_scores(texts, task_ids), atol=1e-6
    )
