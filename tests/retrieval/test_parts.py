"""The parts of search by themselves: words, word index, rankings, excerpts, sizes, metrics."""

import math
import sys

import numpy as np
import polars as pl
import pytest
from rank_bm25 import BM25Okapi

from hfkg_assets.retrieval import approximate_index, vector_index, word_index
from hfkg_assets.retrieval.evaluation import metrics_of
from hfkg_assets.retrieval.excerpts import LONGEST, excerpt_of
from hfkg_assets.retrieval.facts import model_size
from hfkg_assets.retrieval.ranking import Ranking, best, fuse
from hfkg_assets.retrieval.selection import Selection
from hfkg_assets.retrieval.similar import nearest_of
from hfkg_assets.retrieval.texts import Texts
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.retrieval.word_index import WordIndex
from hfkg_assets.retrieval.words import name_words, question_words

# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cats, the boxes and queries", ["cat", "boxe", "query"]),
        ("class bus this gas", ["class", "bus", "gas"]),
        ("llama 3.1 of 0.5B", ["llama", "3.1", "0.5b"]),
        ("snake_case kebab-case", ["snake", "case", "kebab"]),
        ("你好 world", ["你", "好", "world"]),
        ("Straße ÉTÉ", ["straße", "été"]),
        ("हिन्दी पाठ", ["हिन्दी", "पाठ"]),
        ("x" * 65, []),
        ("", []),
    ],
)
def test_words_are_lower_case_without_plurals_and_stop_words(text, words):
    assert question_words(text) == words


def test_a_name_has_its_words_and_the_parts_of_those_that_are_put_together():
    words = name_words(pl.Series(["acme/TinyBert-v2"]))["word"].to_list()
    assert words == ["acme", "tinybert", "v2", "tiny", "bert", "v", "2"]


# --- the word index ------------------------------------------------------------------------------

TEXTS = pl.Series(["red apple red", "green apple", "blue sky over green grass", None, ""])


def test_scores_are_bm25_as_rank_bm25_counts_it_but_for_an_idf_that_is_never_negative(monkeypatch):
    monkeypatch.setattr(word_index, "NAME_WEIGHT", 0.0)
    texts = TEXTS.head(3)
    index = WordIndex.build(texts, pl.Series(["", "", ""]))
    other = BM25Okapi([question_words_of(text) for text in texts], k1=word_index.K1, b=word_index.B)
    for word, df in (("red", 1), ("apple", 2), ("green", 2), ("grass", 1)):
        other.idf[word] = math.log1p((3 - df + 0.5) / (df + 0.5))
        np.testing.assert_allclose(
            index.scores(index.find([word])), other.get_scores([word]), rtol=1e-5
        )


def question_words_of(text):
    return [word for word in text.split() if word != "over"] + ["over"] * text.count("over")


def test_words_of_a_name_count_more_than_words_of_a_text():
    index = WordIndex.build(pl.Series(["apple pie", "berry pie"]), pl.Series(["a/x", "b/apple"]))
    scores = index.scores(index.find(["apple"]))
    assert scores[1] > scores[0] > 0


def test_an_index_comes_back_from_its_folder_as_it_was(tmp_path):
    index = WordIndex.build(TEXTS, pl.Series(["a", "b", "c", "d", "e"]))
    index.save(tmp_path)
    loaded = WordIndex.load(tmp_path)
    words = index.find(["apple", "green", "unheard"])
    np.testing.assert_array_equal(loaded.find(["apple", "green", "unheard"]), words)
    np.testing.assert_array_equal(loaded.scores(words), index.scores(words))
    assert loaded.documents == 5
    assert [loaded.frequency(word) for word in words] == [2, 2]


def test_an_index_is_the_same_however_its_documents_are_counted_in_chunks(monkeypatch):
    ids = pl.Series(["one/a", "two/b", "three/c", "four/d", "five/e"])
    whole = WordIndex.build(TEXTS, ids)
    monkeypatch.setattr(word_index, "CHUNK", 2)
    parts = WordIndex.build(TEXTS, ids)
    assert parts.words.equals(whole.words)
    np.testing.assert_array_equal(parts.rows, whole.rows)
    np.testing.assert_allclose(parts.weights, whole.weights)


def test_an_index_of_nothing_finds_nothing():
    index = WordIndex.build(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String))
    assert len(index.find(["apple"])) == 0
    assert len(index.scores(index.find(["apple"]))) == 0


def test_the_weight_of_a_word_in_a_document_is_its_part_of_the_score():
    index = WordIndex.build(TEXTS, pl.Series(["a", "b", "c", "d", "e"]))
    (word,) = index.find(["apple"]).tolist()
    scores = index.scores(np.array([word]))
    assert [index.weight(word, row) for row in range(5)] == pytest.approx(scores.tolist())


# --- rankings ------------------------------------------------------------------------------------


def test_of_equal_scores_the_earlier_row_is_the_better_one():
    scores = np.array([0.5, 0.9, 0.5, 0.9, 0.0, -1.0, 0.5 + 1e-9])
    assert best(scores, 3).rows.tolist() == [1, 3, 0]
    assert best(scores, 100).rows.tolist() == [1, 3, 0, 2, 6]
    assert best(scores, 2, np.arange(10, 17)).rows.tolist() == [11, 13]


def test_fusion_adds_the_reciprocal_ranks():
    first = Ranking(np.array([7, 3]), np.array([9.0, 8.0]))
    second = Ranking(np.array([3, 5]), np.array([0.2, 0.1]))
    fused = fuse({"a": first, "b": second}, {"a": 1.0, "b": 0.5}, 10)
    expected = {3: 1 / 62 + 0.5 / 61, 7: 1 / 61, 5: 0.5 / 62}
    assert dict(zip(fused.rows.tolist(), fused.scores, strict=True)) == pytest.approx(
        expected, abs=1e-6
    )
    assert fused.rows.tolist() == [3, 7, 5]
    assert len(fuse({}, {}, 10).rows) == 0


# --- the dense index -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors():
    """Random directions; every tenth document has no text."""
    drawn = np.random.default_rng(3).standard_normal((500, 16)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    drawn[::10] = 0
    return drawn


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_the_nearest_of_a_selection_are_found_however_small_it_is(vectors, share):
    index = VectorIndex(vectors, "")
    mask = None if share == 1.0 else np.random.default_rng(4).random(400) < share
    selection = Selection(50, 450, mask)
    queries = vectors[[1, 2]]
    allowed = selection.rows[vectors[selection.rows].any(axis=1)]
    for query in queries:
        found = index.search(query, 10, selection)
        cosines = vectors[allowed] @ query
        expected = allowed[np.argsort(-cosines, kind="stable")][:10]
        positive = min(10, int((cosines > 0).sum()))
        assert found.rows.tolist() == expected[:positive].tolist()


def test_a_dense_index_comes_back_from_its_folder(vectors, tmp_path):
    VectorIndex(vectors, "encoder@1/256", "clean").save(tmp_path)
    loaded = VectorIndex.load(tmp_path)
    np.testing.assert_array_equal(loaded.vectors, vectors)
    assert (loaded.encoder, loaded.variant) == ("encoder@1/256", "clean")


@pytest.fixture
def approximate(vectors, monkeypatch):
    """An approximate index of the same vectors, asked though they are few."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_index, "FROM_DOCUMENTS", 100)
    monkeypatch.setattr(vector_index, "FROM_SELECTED", 10)
    index = VectorIndex.build(vectors, "", "clean")
    assert index.approximate is not None
    return index


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_approximate_search_finds_what_exact_search_finds_among_those_selected(
    vectors, approximate, tmp_path, share
):
    approximate.save(tmp_path)
    loaded = VectorIndex.load(tmp_path)
    assert loaded.approximate is not None
    mask = None if share == 1.0 else np.random.default_rng(4).random(400) < share
    selection = Selection(50, 450, mask)
    exact = VectorIndex(vectors, "")
    for query in vectors[[1, 2, 3]]:
        wanted = exact.search(query, 5, selection)
        for index in (approximate, loaded):
            found = index.search(query, 5, selection)
            assert set(found.rows.tolist()) <= set(selection.rows.tolist())
            assert found.rows.tolist() == wanted.rows.tolist()


def test_where_too_few_of_a_selection_are_near_all_of_it_is_looked_at(
    vectors, approximate, monkeypatch
):
    monkeypatch.setattr(approximate_index, "PROBES", 1)
    selection = Selection(0, 500)
    found = approximate.search(vectors[1], 200, selection)
    assert (
        found.rows.tolist()
        == VectorIndex(vectors, "").search(vectors[1], 200, selection).rows.tolist()
    )


def test_without_faiss_many_documents_are_searched_one_by_one(vectors, monkeypatch, caplog):
    monkeypatch.setattr(vector_index, "FROM_DOCUMENTS", 100)
    monkeypatch.setitem(sys.modules, "faiss", None)
    index = VectorIndex.build(vectors, "", "clean")
    assert index.approximate is None
    assert "hfkg[search]" in caplog.text


def test_the_nearest_in_bulk_are_those_of_a_plain_product_without_the_document_itself(vectors):
    row, rank, other, cosine = nearest_of(vectors, np.array([0, 1, 7]), 4)
    assert set(row.tolist()) == {1, 7}  # the first has no text
    assert rank.tolist() == [1, 2, 3, 4] * 2
    product = vectors[1] @ vectors.T
    product[1] = -1
    assert other[:4].tolist() == np.argsort(-product)[:4].tolist()
    assert cosine[:4] == pytest.approx(np.sort(product)[::-1][:4], abs=1e-5)


# --- texts and excerpts --------------------------------------------------------------------------


def test_texts_come_back_by_row(tmp_path):
    texts = pl.Series(["plain", None, "", "äöü 你好 🙂", "last"])
    Texts.build(texts).save(tmp_path)
    loaded = Texts.load(tmp_path)
    assert [loaded[row] for row in range(5)] == ["plain", "", "", "äöü 你好 🙂", "last"]


def test_an_excerpt_is_the_run_of_sentences_with_most_of_the_words():
    filler = "Nothing of note stands here. " * 30
    text = f"{filler}\nA cat sat.\nDogs bark at cats.\n{filler}"
    excerpt, matched = excerpt_of(text, {"cat": 1.0, "dog": 2.0})
    assert excerpt.startswith("A cat sat. Dogs bark at cats.")
    assert len(excerpt) <= LONGEST
    assert matched == ("cat", "Dogs")


def test_a_text_without_the_words_is_shown_from_its_beginning():
    assert excerpt_of("First. Second.", {"cat": 1.0}) == ("First. Second.", ())
    assert excerpt_of("", {"cat": 1.0}) == ("", ())


def test_of_a_sentence_without_an_end_what_is_about_the_word_is_shown():
    text = "word " * 500 + "needle " + "word " * 500
    excerpt, matched = excerpt_of(text, {"needle": 1.0})
    assert matched == ("needle",)
    assert len(excerpt) <= LONGEST
    assert excerpt.startswith("…")
    assert excerpt.endswith("…")


# --- facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("llama-7B", "1B-10B"),
        ("Qwen2.5-0.5B-Instruct", "100M-1B"),
        ("mixtral-8x7b-gguf", "10B-100B"),
        ("bert-22M", "<100M"),
        ("giant-405B", ">100B"),
        ("base-1000m", "1B-10B"),
        ("bert-base", None),
        ("web-4bit", None),
        ("v2b7", None),
    ],
)
def test_a_models_class_of_parameters_is_read_off_its_name(name, size):
    assert pl.DataFrame({"name": [name]}).select(model_size(pl.col("name"))).item() == size


# --- metrics -------------------------------------------------------------------------------------


def test_metrics_are_as_their_definitions_count_them():
    found = metrics_of(np.array([9, 1, 8, 2]), np.array([1, 2, 3]))
    assert found["recall_at_1"] == 0
    assert found["recall_at_5"] == pytest.approx(2 / 3)
    assert found["mrr"] == 0.5
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg_at_10"] == pytest.approx(gain / ideal)


def test_a_ranking_without_an_answer_scores_nothing():
    assert set(metrics_of(np.array([9, 8]), np.array([1])).values()) == {0.0}
    assert set(metrics_of(np.zeros(0, int), np.array([1])).values()) == {0.0}
