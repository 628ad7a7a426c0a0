"""`benchmarks/real_retrieval.py` on a small folder of the same form as the real one."""

import gzip
import json

import numpy as np
import pytest

from benchmarks import real_retrieval
from benchmarks.real_cards import DataMissing
from hfkg_assets.retrieval.evaluation import evaluate, means_of
from hfkg_resources.text_encoder import TextEncoder

CARDS = [
    ("model", "old-speech", "2020-01-01", "Turns spoken words into text.", ["asr"]),
    ("model", "lab/speech", "2022-01-01", "---\npipeline_tag: asr\n---\nHears speech.", ["asr"]),
    ("model", "lab/speech", "2020-01-01", "An older text of it.", ["asr"]),
    ("model", "lab/cats", "2022-01-01", "Tells cats from dogs in pictures.", ["vision"]),
    ("dataset", "lab/photos", "2022-01-01", "Pictures of cats.", ["vision"]),
    ("space", "lab/demo", "2022-01-01", "A demo.", []),
]
EDGES = [
    ("task", "asr", "example", "model", "new/old-speech"),
    ("task", "vision", "example", "dataset", "lab/photos"),
    ("task", "vision", "example", "dataset", "lab/gone"),
    ("model", "lab/cats", "finetune", "model", "old-speech"),
    ("model", "lab/cats", "trained_or_finetuned_on", "dataset", "lab/photos"),
    ("space", "lab/demo", "use", "model", "lab/cats"),
    ("user", "ann", "follow", "user", "ben"),
]
TASKS = {
    "pipelines": {"asr": {"name": "Speech"}, "vision": {"name": "Vision"}},
    "tasks": {
        "asr": {"id": "asr", "label": "Spoken words", "summary": "Turn speech into text."},
        "vision": {"id": "vision", "label": "Pictures"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    fields = ("kind", "id", "date", "card", "labels")
    with gzip.open(path / "cards.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(dict(zip(fields, c, strict=True))) + "\n" for c in CARDS)
    head = ["subject_type", "subject", "relation", "object_type", "object"]
    with gzip.open(path / "edges.tsv.gz", "wt") as file:
        file.writelines("\t".join(row) + "\n" for row in (head, *EDGES))
    (path / "tasks.json").write_text(json.dumps(TASKS))
    listed = {"modelId": "lab/cats", "likes": 9, "downloads": 100}
    with gzip.open(path / "hub2022_models.jsonl.gz", "wt") as file:
        file.write(json.dumps(listed) + "\n")
    return path


@pytest.fixture(scope="module")
def corpus(folder):
    return real_retrieval.read_corpus(folder)


def test_the_corpus_is_the_newest_card_of_each_model_and_dataset_without_its_front_matter(corpus):
    assert corpus["id"].to_list() == ["lab/photos", "lab/cats", "lab/speech", "old-speech"]
    assert corpus.filter(id="lab/speech")["clean"].item() == "Hears speech."


def test_a_task_is_asked_by_label_and_summary_for_each_kind_with_known_answers(folder, corpus):
    asked = real_retrieval.questions_of(folder, corpus)
    told = {(q.protocol, q.name, q.kind): (q.text, q.relevant.tolist()) for q in asked}
    assert told == {
        # An example that had no owner when its card was read is the one of that name.
        ("examples, label", "asr", "model"): ("Spoken words", [3]),
        ("examples, summary", "asr", "model"): ("Turn speech into text.", [3]),
        ("examples, label", "vision", "dataset"): ("Pictures", [0]),
        ("declared, label", "asr", "model"): ("Spoken words", [2, 3]),
        ("declared, summary", "asr", "model"): ("Turn speech into text.", [2, 3]),
        ("declared, label", "vision", "dataset"): ("Pictures", [0]),
        ("declared, label", "vision", "model"): ("Pictures", [1]),
    }


def test_the_graph_points_from_base_to_derived_and_leaves_out_what_says_nothing(folder):
    node, edge = real_retrieval.graph_of(real_retrieval.read_edges(folder))
    names = dict(node.select("node_id", "id").iter_rows())
    assert {(names[s], r, names[t]) for s, t, r in edge.iter_rows()} == {
        ("old-speech", "model_finetune_model", "lab/cats"),
        ("lab/cats", "model_trainedOrFineTunedOn_dataset", "lab/photos"),
        ("lab/demo", "space_use_model", "lab/cats"),
    }


def test_every_question_is_answered_by_every_method_and_the_halves_share_no_task(folder, corpus):
    encoder = TextEncoder()
    vectors = encoder.encode(corpus["clean"].to_list())
    search = real_retrieval.open_search(folder, corpus, vectors, encoder)
    assert search.facts.filter(id="lab/cats")["likes"].item() == 9
    asked = real_retrieval.questions_of(folder, corpus)
    parts = real_retrieval.halves(asked)
    tasks = [{question.name for question in part} for part in parts.values()]
    assert not tasks[0] & tasks[1]
    assert sum(map(len, parts.values())) == len(asked)
    means = means_of(evaluate(search, asked))
    table = real_retrieval.as_markdown(means)
    assert len(table.splitlines()) == 2 + means.height
    best = means.filter(kind="all", protocol="declared, label", method="reranked")
    assert np.isclose(best["recall_at_5"].item(), 1.0)


def test_a_folder_without_cards_is_told(tmp_path):
    with pytest.raises(DataMissing, match=r"cards\.jsonl\.gz"):
        real_retrieval.read_corpus(tmp_path)
