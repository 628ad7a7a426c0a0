"""`benchmarks/real_cards.py` on a small folder of the same form, and on a slice of the real one.

The real records stand beside the checkout, in `shared/data`, or where `HFKG_TEST_DATA` says.
"""

import gzip
import itertools
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import real_cards
from benchmarks.real_cards import (
    FIGURES,
    LINES,
    Cards,
    DataMissing,
    Features,
    best,
    load,
    measure,
    read_cards,
    report,
    split_by_owner,
    summary,
    with_most_probable,
)
from hfkg_assets.features.embeddings import EmbeddingStore
from tests.hashing_encoder import Hashing

DATA = Path(
    os.environ.get("HFKG_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data"
)

WORDS = {
    "text-classification": "sentiment polarity of reviews and tweets",
    "translation": "parallel sentences from one language to another",
    "summarization": "long articles and their short abstracts",
}
KINDS = {"model": "pipeline_tag", "dataset": "task_categories"}


def card(kind: str, repo_id: str, label: str, words: str, **more: object) -> dict[str, object]:
    text = f"---\n{KINDS[kind]}: {label}\n---\n# About\nThis is made for {words}, by us.\n"
    fields = {"kind": kind, "id": repo_id, "date": "2023-01-01", "labels": [label]}
    return {**fields, "card": text, **more}


def made_up(owners: range) -> Iterator[dict[str, object]]:
    """Cards of owners who have a model and a dataset of each task, and one base model."""
    drawn = random.Random(7)
    for owner, (label, words) in itertools.product(owners, WORDS.items()):
        for kind in KINDS:
            said = f"{words} {drawn.choice(['of news', 'of books', 'of speech'])} {owner}"
            yield card(kind, f"owner{owner}/{kind}-{label}", label, said)
    yield card("model", "base", "summarization", "anything that is written anywhere")
    yield {"kind": "space", "id": "a/b", "date": "2023-01-01", "labels": [], "card": "a Space"}


def write(folder: Path, cards: Iterator[dict[str, object]]) -> Path:
    folder.mkdir()
    rows = list(cards)
    with gzip.open(folder / "cards.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    models = [str(row["id"]) for row in rows if "/model-" in str(row["id"])]
    edges = ["subject_type\tsubject\trelation\tobject_type\tobject\torigin\tevidence\tdate"]
    for name in models:
        label = name.split("/model-")[1]
        edges.append(f"model\t{name}\tfinetune\tmodel\tlineage/{label}\to\ttag\t")
        edges.append(f"model\t{name}\tdefined_for\ttask\t{label}\to\tapi\t")
    edges.append("model\tbase\ttrained_or_finetuned_on\tdataset\tnowhere/known\to\ttag\t")
    edges.append("model\tfar/away\tfinetune\tmodel\tfar/base\to\ttag\t")
    with gzip.open(folder / "edges.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(edges) + "\n")
    return folder


@pytest.fixture(autouse=True)
def few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_cards, "FEWEST_RECORDS", {"model": 10, "dataset": 10})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "data", made_up(range(30)))


@pytest.fixture
def cards(folder: Path) -> Cards:
    return load(folder)


def features(cards: Cards, variant: str, tmp_path: Path) -> Features:
    store = EmbeddingStore(tmp_path / "store", Hashing.dimension)
    return Features(cards, variant, Hashing(), store, lambda message: None)


def splits_of_owners(cards: Cards, split: np.ndarray) -> pl.Series:
    frame = cards.documents.select("owner", split=pl.Series(split)).filter(pl.col("split") != "")
    return frame.group_by("owner").agg(pl.col("split").unique())["split"]


@pytest.mark.parametrize("seed", range(3))
def test_every_record_is_in_one_split_and_no_owner_in_two(cards: Cards, seed: int) -> None:
    split = split_by_owner(cards, seed)
    assert cards.records.sum() == 181
    np.testing.assert_array_equal(split != "", cards.records)
    assert {"train", "validation", "test"} == set(split[cards.records])
    assert (splits_of_owners(cards, split).list.len() == 1).all()


def test_records_of_another_folder_are_tested_on_if_their_owner_is_new(
    folder: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", made_up(range(25, 40)))
    cards = load(folder, other)
    split = split_by_owner(cards, 0)
    tested = cards.documents.filter(pl.Series(split == "test"))
    assert set(tested["owner"]) == {f"owner{number}" for number in range(30, 40)}
    assert tested.height == 60
    assert (splits_of_owners(cards, split).list.len() == 1).all()


def test_front_matter_is_in_no_text_but_the_published_one(cards: Cards) -> None:
    records = cards.documents.filter(cards.records)
    for variant, expected in (("body", False), ("clean", False), ("as_published", True)):
        assert (records[variant].str.contains("pipeline_tag|task_categories|---") == expected).all()
        assert records[variant].str.contains("This is made for").all()


def test_the_newest_card_counts_and_an_answer_that_there_is_none_is_no_card(tmp_path: Path) -> None:
    rows = [
        card("model", "a/b", "translation", "x", date="2024-01-01", card="newest"),
        card("model", "a/b", "translation", "x", date="2022-01-01", card="oldest"),
        card("model", "a/c", "translation", "x", card=f"{real_cards.NO_CARD} in the given tree"),
        card("model", "a/d", "translation", "x", card="  \n"),
    ]
    read = read_cards(write(tmp_path / "data", iter([*rows, *made_up(range(1))])))
    assert read.filter(pl.col("id").str.starts_with("a/"))["card"].to_list() == ["newest"]


def test_repositories_at_the_end_of_an_edge_are_nodes_without_text_or_label(cards: Cards) -> None:
    around = cards.documents.filter(~cards.records)
    assert set(around["id"]) == {*(f"lineage/{label}" for label in WORDS), "nowhere/known"}
    assert around["clean"].null_count() == around.height
    assert not cards.y[~cards.records].any()
    assert cards.edges.height == 91  # none to a task, none between strangers


def test_labels_of_test_records_are_in_no_feature(cards: Cards, tmp_path: Path) -> None:
    split = split_by_owner(cards, 0)
    tested = split == "test"
    labels = [
        [(own[0] + 1) % 3] if hidden else own
        for own, hidden in zip(cards.documents["labels"].to_list(), tested, strict=True)
    ]
    other = replace(cards, documents=cards.documents.with_columns(labels=pl.Series(labels)))
    assert (cards.y != other.y).any()
    np.testing.assert_array_equal(
        features(cards, "clean", tmp_path).terms(split, 0),
        features(other, "clean", tmp_path).terms(split, 0),
    )


def test_a_dataset_is_told_its_most_probable_label_and_all_above_the_threshold() -> None:
    scores = np.array([[0.1, 0.3, 0.2], [0.9, 0.8, 0.1]])
    np.testing.assert_array_equal(with_most_probable(scores, 0.5), [[0, 1, 0], [1, 1, 0]])


def test_lines_are_measured_and_the_best_by_validation_is_told(
    cards: Cards, tmp_path: Path
) -> None:
    names = (
        "floor, clean text",
        "words",
        "text",
        "text + sage",
        "text + graph",
        "leak: words",
    )
    store = EmbeddingStore(tmp_path / "store", Hashing.dimension)
    lines = {name: LINES[name] for name in names}
    measured = measure(cards, lines, Hashing(), store, 2, 1, lambda message: None)
    assert measured.height == 2 * (2 * len(names) - 1)  # a floor is judged on test alone
    summarised = summary(measured)
    chosen = best(summarised, leak=False)
    assert chosen is not None and chosen["line"] in names[1:5]
    told = report(cards, measured)
    for name in FIGURES:
        assert told[name] == pytest.approx(chosen[name], abs=1e-4)
        assert told[name] > 0.9, "the words say it all"
        assert f"leak_{name}" in told
    json.dumps(told)


@pytest.mark.parametrize("name", ["cards.jsonl.gz", "edges.tsv.gz"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataMissing, match=f"there is no .*{name}"):
        load(folder)


def test_too_few_records_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_cards, "FEWEST_RECORDS", {"model": 1_000, "dataset": 10})
    with pytest.raises(DataMissing, match="no label stands in 1000 model cards"):
        load(folder)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no records in {DATA} (HFKG_TEST_DATA)")
def test_words_of_real_cards_tell_more_than_the_most_frequent_class(tmp_path: Path) -> None:
    folder = tmp_path / "slice"
    folder.mkdir()
    drawn = random.Random(7)
    with gzip.open(DATA / "cards.jsonl.gz", "rt", encoding="utf-8") as lines:
        kept = [line for line in lines if drawn.random() < 0.05]
    with gzip.open(folder / "cards.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(kept)
    (folder / "edges.tsv.gz").write_bytes((DATA / "edges.tsv.gz").read_bytes())
    cards = load(folder)
    store = EmbeddingStore(tmp_path / "store", Hashing.dimension)
    lines = {"words": LINES["words"]}
    measured = measure(cards, lines, Hashing(), store, 2, 1, lambda message: None)
    rows = cards.y[np.ix_(cards.rows("model") & cards.records, cards.classes["model"])]
    assert measured["model_accuracy"].mean() > rows.mean(axis=0).max() + 0.1
