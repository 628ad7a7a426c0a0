"""Search as an asker finds it: what is found, why, and what happens with odd questions."""

import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import pytest

from hfkg_assets.retrieval.answers import (
    BadFilter,
    Filters,
    NotMade,
    RetrievalError,
    UnknownId,
)
from hfkg_assets.retrieval.search import LONGEST_QUESTION, DocumentSearch
from hfkg_resources.warehouse import Warehouse
from tests.retrieval.snapshots import CHAT, DAY, ROWS, SPACE, SPEECH, encoder, make_indexed

MODELS = {row[1] for row in ROWS if row[0] == "model"}


def ids(hits):
    return [hit.id for hit in hits.hits]


def reasons(hit):
    return {reason.kind: reason for reason in hit.reasons}


# --- what is found -------------------------------------------------------------------------------


def test_a_need_in_plain_words_finds_the_model_whose_text_fits(search):
    found = search.search("tell cats and dogs apart in photographs")
    assert found.hits[0].id == "bird/eye-350M"
    assert (found.snapshot, found.notes) == (DAY, ())


def test_a_hit_tells_its_facts_and_ranks_count_from_one_with_falling_scores(search):
    found = search.search("spoken German", k=4)
    assert [hit.rank for hit in found.hits] == [1, 2, 3, 4]
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    facts = {hit.id: hit.facts for hit in found.hits}["acme/ear-7B"]
    assert facts["tasks"] == [SPEECH]
    assert (facts["licence"], facts["likes"], facts["size"]) == ("mit", 90, "1B-10B")
    assert facts["libraries"] == ["transformers"]
    assert str(facts["created_at"].date()) == "2026-01-10"


def test_words_that_mean_the_same_are_found_without_a_word_in_common(search):
    found = search.search("transcription of audio", methods=("meaning",))
    assert "ear" in found.hits[0].id
    assert found.hits[0].matched == ()


def test_a_repository_without_a_text_is_found_by_its_name(search):
    found = search.search("nameless whistle")
    assert found.hits[0].id == "cat/nameless-whistle"
    assert found.hits[0].excerpt == ""


def test_who_writes_a_name_finds_what_is_called_so_first(search):
    for name in ("ear-7B", "acme/ear-7B", "EAR-7b-gguf", "hanzi"):
        found = search.search(name).hits[0]
        assert name.lower() in (found.id.lower(), found.id.lower().split("/")[1])
        assert "name" in reasons(found)


def test_parts_of_a_name_are_words_of_it(search):
    assert search.search("talker", methods=("words",)).hits[0].id == "cat/talker-8x7B"


def test_a_question_in_another_script_is_answered(search):
    found = search.search("中文", methods=("words",))
    assert ids(found) == ["cat/hanzi"]
    assert set("".join(found.hits[0].matched)) == set("中文")


def test_either_kind_or_both_can_be_looked_for(search):
    assert {hit.kind for hit in search.search("spoken German", kind="model").hits} == {"model"}
    assert search.search("spoken German", kind="dataset").hits[0].id == "acme/radio"
    assert {hit.kind for hit in search.search("spoken German", kind=None).hits} == {
        "model", "dataset",
    }  # fmt: skip


def test_one_method_alone_gives_reasons_of_its_own_only(search):
    found = search.search("spoken German", methods=("words",), rerank=False)
    assert {reason.kind for hit in found.hits for reason in hit.reasons} == {"words"}
    found = search.search("spoken German", methods=("meaning",), rerank=False)
    assert {reason.kind for hit in found.hits for reason in hit.reasons} == {"meaning"}


def test_more_hits_than_there_are_documents_are_all_that_fit(search):
    found = search.search("spoken German", k=10_000)
    assert set(ids(found)) <= MODELS
    assert len(set(ids(found))) == len(found.hits)


def test_the_same_question_has_the_same_answer_twice(search):
    for question in ("spoken German", "", "zzqqy"):
        assert search.search(question) == search.search(question)


# --- reasons -------------------------------------------------------------------------------------


def test_a_hit_tells_by_which_words_and_how_near_in_meaning_it_was_found(search):
    hit = search.search("microphone").hits[0]
    told = reasons(hit)
    assert "microphone" in told["words"].text
    assert "in meaning" in told["meaning"].text
    weights = [abs(reason.weight) for reason in hit.reasons]
    assert weights == sorted(weights, reverse=True)


def test_the_excerpt_is_the_part_that_fits_and_the_matched_words_stand_in_it(search):
    hit = next(h for h in search.search("lawyers").hits if h.id == "bird/ear-legal")
    assert "lawyers" in hit.excerpt
    assert hit.matched == ("lawyers",)
    for hit in search.search("a judge with a microphone, spoken").hits:
        assert len(hit.excerpt) <= 300
        assert all(word in hit.excerpt for word in hit.matched)


def test_a_quantization_stands_beneath_its_base_and_tells_the_path(search):
    question = "quantization of ear spoken German microphone"
    plain = ids(search.search(question, rerank=False))
    assert plain[0] == "acme/ear-7B-GGUF"
    found = search.search(question)
    order = ids(found)
    assert order.index("acme/ear-7B") < order.index("acme/ear-7B-GGUF")
    copy = next(hit for hit in found.hits if hit.id == "acme/ear-7B-GGUF")
    assert reasons(copy)["lineage"].path == (
        "acme/ear-7B", "model_quantized_model", "acme/ear-7B-GGUF",
    )  # fmt: skip


def test_a_fine_tune_that_fits_better_than_its_base_stays_above_it(search):
    order = ids(search.search("courtrooms judges lawyers"))
    assert order.index("bird/ear-legal") < order.index("acme/ear-7B")


def test_what_the_same_people_like_and_the_same_space_uses_is_told_with_its_path(search):
    hits = {hit.id: hit for hit in search.search("model").hits}
    liked = reasons(hits["cat/hanzi"])["likes"]
    assert liked.text == "2 users like both it and acme/ear-7B"
    assert liked.path[0] == "cat/hanzi"
    assert liked.path[1::2] == ("user_like_model", "user_like_model")
    assert liked.path[4] == "acme/ear-7B"
    used = reasons(hits["bird/eye-350M"])["use"]
    assert used.path == (
        "bird/eye-350M", "space_use_model", SPACE, "space_use_model", "cat/talker-8x7B",
    )  # fmt: skip


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        (Filters(task="automatic speech recognition"), {"acme/ear-7B", "bird/ear-legal"}),
        (Filters(task=SPEECH, licence="MIT"), {"acme/ear-7B"}),
        (Filters(language="ZH"), {"cat/hanzi"}),
        (Filters(library="timm"), {"bird/eye-350M"}),
        (Filters(size="100m-1b"), {"bird/eye-350M"}),
        (Filters(size="10B-100B"), {"cat/talker-8x7B"}),
        (Filters(since=date(2026, 6, 10)), {"cat/hanzi", "cat/nameless-whistle"}),
        (Filters(until=date(2026, 1, 10)), {"acme/ear-7B"}),
        (Filters(since=date(2026, 1, 10), until=date(2026, 1, 10)), {"acme/ear-7B"}),
    ],
)
def test_hits_are_the_best_of_those_that_pass_the_filters(search, filters, passing):
    for question in ("", "spoken German photographs stories nameless", "whistle"):
        assert set(ids(search.search(question, filters=filters))) <= passing
    assert set(ids(search.search("", filters=filters))) == passing


def test_a_filter_leaves_the_best_of_the_rest_and_not_the_rest_of_the_best(search):
    found = search.search("spoken German microphone", k=1, filters=Filters(task=CHAT))
    assert len(found.hits) == 1
    assert found.hits[0].facts["tasks"] == [CHAT]


def test_filters_that_nothing_passes_together_give_no_hit_and_a_note(search):
    found = search.search("anything", filters=Filters(task=SPEECH, library="timm"))
    assert (found.hits, found.notes) == ((), ("no repository passes all filters",))


@pytest.mark.parametrize(
    ("filters", "near"),
    [
        (Filters(task="speach recognition automatic"), "task"),
        (Filters(licence="apache-2"), "apache-2.0"),
        (Filters(language="xx-unheard"), "frequent ones are"),
        (Filters(size="7B"), "size"),
    ],
)
def test_a_value_that_no_repository_has_is_refused_with_those_there_are(search, filters, near):
    with pytest.raises(BadFilter, match=near):
        search.search("anything", filters=filters)


def test_dates_the_wrong_way_round_are_refused(search):
    with pytest.raises(BadFilter, match="since=2026-02-01 is after until=2026-01-01"):
        search.search("x", filters=Filters(since=date(2026, 2, 1), until=date(2026, 1, 1)))


def test_the_values_a_filter_may_have_are_told_the_most_frequent_first(search):
    assert search.filter_values("language")["value"][0] in ("de", "en")
    assert "transformers" in search.filter_values("library")["value"]


# --- odd questions -------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", "   \n", "the of and", "?!… ---", "🙂", "\0\0"])
def test_a_question_without_a_word_is_answered_with_the_most_popular_and_a_note(search, question):
    found = search.search(question, k=2)
    assert ids(found) == ["acme/ear-7B", "bird/eye-350M"]
    assert found.notes == ("there is no word to look for: these are the most popular",)
    assert found.hits[0].reasons[0].text == "90 likes, 900 downloads in 30 days"


def test_words_that_no_document_holds_are_answered_by_meaning_and_said(search):
    found = search.search("qwxzvy blorptang")
    assert found.hits
    assert found.notes == ("no document holds any of these words; hits are by meaning alone",)
    assert search.search("qwxzvy", methods=("words",)).hits == ()


@pytest.mark.parametrize(
    "question",
    [
        "German 🙂 speech",
        "German\0speech",
        "'; DROP TABLE model; -- German",
        "German \"speech' `x` $HOME",
        "(German[ *+?{2} \\d ^$ |",
        "صوت German كلام",
        "German \ud83d speech",
        "İstanbul German ß ﬁ",
    ],
)
def test_odd_signs_are_no_obstacle_to_the_words_among_them(search, question):
    assert "ear" in search.search(question, kind="model").hits[0].id


def test_a_question_of_ten_thousand_characters_is_cut_and_that_is_said(search):
    question = ("spoken German " * 1_000)[:10_000]
    found = search.search(question)
    assert found.question == question
    assert found.notes == (f"only the first {LONGEST_QUESTION:,} characters were read",)
    assert ids(found) == ids(search.search(question[:LONGEST_QUESTION]))


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_hit_cannot_be_asked_for(search, k):
    with pytest.raises(RetrievalError, match=f"k={k} is not allowed"):
        search.search("x", k=k)
    with pytest.raises(RetrievalError, match=f"k={k} is not allowed"):
        search.similar("acme/ear-7B", k=k)


def test_an_unknown_kind_or_method_is_refused_and_the_known_ones_told(search):
    with pytest.raises(RetrievalError, match=r"kind='space'.*model, dataset"):
        search.search("x", kind="space")
    with pytest.raises(RetrievalError, match=r"methods.*meaning, words"):
        search.search("x", methods=("magic",))


# --- similar -------------------------------------------------------------------------------------


def test_what_is_similar_is_not_the_repository_itself(search):
    for id in sorted(MODELS):
        assert id not in ids(search.similar(id, k=50))


def test_similar_by_text_and_lineage_comes_first_with_the_path(search):
    found = search.similar("acme/ear-7B", k=2, kind="model")
    assert set(ids(found)) == {"acme/ear-7B-GGUF", "bird/ear-legal"}
    told = reasons(next(hit for hit in found.hits if hit.id == "bird/ear-legal"))
    assert told["lineage"].path == ("acme/ear-7B", "model_finetune_model", "bird/ear-legal")
    assert told["lineage"].text == "fine-tuned from acme/ear-7B"
    assert "in meaning" in told["meaning"].text


def test_models_of_one_base_are_kin_of_each_other(search):
    told = reasons(
        next(h for h in search.similar("bird/ear-legal").hits if h.id == "acme/ear-7B-GGUF")
    )
    assert told["lineage"].path == (
        "bird/ear-legal", "model_finetune_model", "acme/ear-7B", "model_quantized_model",
        "acme/ear-7B-GGUF",
    )  # fmt: skip


def test_the_datasets_that_are_like_a_model_are_those_it_uses_or_reads_like(search):
    found = search.similar("acme/ear-7B", kind="model", into="dataset")
    assert {hit.kind for hit in found.hits} == {"dataset"}
    assert found.hits[0].id == "acme/radio"
    assert reasons(found.hits[0])["use"].path == (
        "acme/ear-7B", "model_trainedOrFineTunedOn_dataset", "acme/radio",
    )  # fmt: skip


def test_a_name_that_a_model_and_a_dataset_share_means_the_model_and_that_is_said(search):
    found = search.similar("acme/ear-7B")
    assert found.notes == ("there is a dataset of that name too; this is of the model",)
    assert {hit.kind for hit in found.hits} == {"model"}
    assert search.similar("acme/ear-7B", kind="dataset").notes == ()


def test_ids_are_found_in_any_case_as_on_the_hub(search):
    assert ids(search.similar("BIRD/Eye-350m")) == ids(search.similar("bird/eye-350M"))


def test_an_unknown_id_is_told_with_near_ones(search):
    with pytest.raises(UnknownId, match=r"no model 'acme/ear-7'.*acme/ear-7B"):
        search.similar("acme/ear-7", kind="model")
    with pytest.raises(UnknownId, match="no model or dataset"):
        search.similar("\0" * 10_000)
    with pytest.raises(UnknownId, match="is a model, not a dataset"):
        search.similar("cat/hanzi", kind="dataset")


# --- opening -------------------------------------------------------------------------------------


def test_a_store_without_indexes_is_told_with_the_command_that_makes_them(tmp_path, indexed):
    with pytest.raises(NotMade, match="hfkg run"):
        DocumentSearch.open(Warehouse(root=str(tmp_path)), encoder())
    with pytest.raises(NotMade, match="hfkg run --job train --date 2026-01-01"):
        DocumentSearch.open(indexed, encoder(), "2026-01-01")


def test_an_index_of_another_encoder_is_refused_and_both_are_named(indexed):
    other = SimpleNamespace(identity="other@1/512", encode=None)
    with pytest.raises(NotMade, match=r"all-MiniLM-L6-v2.*other@1/512.*HFKG_ENCODER"):
        DocumentSearch.open(indexed, other)


def test_indexes_of_different_documents_are_refused(tmp_path):
    store = make_indexed(tmp_path)
    facts = store.scan("retrieval/facts", DAY).collect()
    store.write("retrieval/facts", DAY, facts.head(3))
    with pytest.raises(NotMade, match="different documents"):
        DocumentSearch.open(store, encoder())


def test_importing_search_imports_no_heavy_library():
    code = (
        "import sys, hfkg_assets.retrieval.search; "
        "print([m for m in ('torch', 'sentence_transformers', 'sklearn', 'duckdb') "
        "if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
