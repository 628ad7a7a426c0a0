"""`benchmarks/real_tracing.py` on a small folder of the same form.

No test here reads the real records: the whole of them takes minutes.
"""

import gzip
import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.real_cards import DataMissing
from benchmarks.real_tracing import (
    card_table,
    free_tags,
    measure,
    model_table,
    read_lineage,
    read_models_told,
    report,
)
from hfkg_assets.features.embeddings import EmbeddingStore
from hfkg_assets.tracing.graph_embeddings import EmbeddingOptions
from hfkg_assets.tracing.rankers import ROLES
from hfkg_assets.tracing.ranking import METRICS
from tests.hashing_encoder import Hashing

DAY = date(2026, 8, 22)
FAMILIES = ("amber", "birch", "cedar", "drift", "ember", "fjord")


def write_lines(path: Path, records: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)


def write_folder(folder: Path) -> None:
    """Six families: a base and ten models derived from it, some of them from the next one too."""
    rng = np.random.default_rng(1)
    edges, told, cards = [], [], []
    for place, family in enumerate(FAMILIES):
        base = f"{family}-lab/{family.title()}-7b"
        told.append({"id": base, "created_at": "2024-01-01T00:00:00.000Z", "tags": [family]})
        for number in range(10):
            kind = ("finetune", "adapter", "merge", "quantized")[rng.integers(4)]
            own = f"user{rng.integers(9)}/{family.title()}-7b-{number}-{kind}"
            created = f"2026-0{rng.integers(1, 9)}-{rng.integers(10, 21)}T10:00:00.000Z"
            tags = [family, f"base_model:{base}", f"base_model:{kind}:{base}", "license:mit"]
            told.append({"id": own, "created_at": created, "tags": tags, "license": "mit"})
            edges.append(("model", own, kind, "model", base, "hub2026", "tag", created[:10]))
            if number % 2:
                other = FAMILIES[(place + 1) % len(FAMILIES)]
                second = f"{other}-lab/{other.title()}-7b"
                edges.append(("model", own, "merge", "model", second, "hub2026", "tag", "2026-08"))
            card = f"---\nbase_model: {base}\n---\nA model about {family}, number {number}."
            cards.append({"kind": "model", "id": own, "date": "2026-08-01", "card": card})
    edges.append(("model", "a/b", "finetune", "model", "a/b", "page", "page", "2025-01-01"))
    edges.append(("model", "a/b", "defined_for", "task", "x", "page", "page", "2025-01-01"))
    names = [
        "subject_type",
        "subject",
        "relation",
        "object_type",
        "object",
        "origin",
        "evidence",
        "date",
    ]
    lines = ["\t".join(row) for row in [names, *edges]]
    (folder / "edges.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    write_lines(folder / "cards.jsonl.gz", [card | {"labels": ["x"]} for card in cards])
    write_lines(folder / "hub2026_models.jsonl.gz", told)
    page = {"created_at": "2023-05-05 01:02:03+00:00", "tags": ["moe"], "library_name": "peft"}
    trees = [{"id": "tree/one", "metadata": page}, {"id": "tree/two", "metadata": None}]
    write_lines(folder / "trees2025_models.jsonl.gz", trees)
    config = {"architectures": ["BertModel"], "model_type": "bert"}
    old = [{"modelId": "old", "tags": ["pytorch", "license:mit"], "config": config}]
    write_lines(folder / "hub2022_models.jsonl.gz", old)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("records")
    write_folder(path)
    return path


def test_lineage_is_of_two_different_models_with_the_base_as_subject(folder):
    lineage = read_lineage(folder)
    assert lineage.height == 90
    assert set(lineage["base_id"]) == {f"{f}-lab/{f.title()}-7b" for f in FAMILIES}
    assert lineage["relation"].str.starts_with("model_").all()


def test_what_the_files_say_of_models_is_told_alike_and_no_tag_names_a_base(folder):
    told = read_models_told(folder)
    rows = {row["id"]: row for row in told.iter_rows(named=True)}
    assert rows["tree/one"]["library_name"] == "peft"
    assert rows["tree/one"]["created_at"].startswith("2023-05-05")
    assert rows["old"]["other_tags"] == ["pytorch", "BertModel", "bert"]
    assert rows["old"]["license"] == "mit"
    assert rows["tree/two"]["other_tags"] == []
    assert not told["other_tags"].explode().drop_nulls().str.contains("base_model").any()
    assert free_tags(["en", "base_model:a/b", "moe"], ["en"]) == ["moe"]


def test_a_derived_model_without_a_date_is_as_old_as_its_edge_and_a_base_has_none(folder):
    lineage, told = read_lineage(folder), read_models_told(folder)
    models = model_table(lineage, told.filter(id="old"), pl.Series(["with/card"]))
    dated = dict(models.select("id", "created_at").iter_rows())
    assert dated["amber-lab/Amber-7b"] is None
    assert dated["with/card"] is None
    derived = lineage.row(0, named=True)
    assert str(dated[derived["derived_id"]])[:7] == derived["date"][:7]
    assert models["id"].is_sorted()


def test_only_cards_of_models_with_lineage_are_read(folder):
    cards = pl.DataFrame(
        {
            "id": ["amber-lab/Amber-7b", "no/lineage"],
            "card": ["# A\ntext", "b"],
            "labels": [[], []],
        },
        schema_overrides={"labels": pl.List(pl.String)},
    )
    table = card_table(cards, read_lineage(folder))
    assert table["id"].to_list() == ["amber-lab/Amber-7b"]
    assert table["clean"].to_list() == ["A\ntext"]


def test_every_ranker_is_judged_both_ways_and_the_figures_are_those_of_the_goal(folder, tmp_path):
    quick = EmbeddingOptions(dimension=8, epochs=6)
    store = EmbeddingStore(tmp_path, Hashing.dimension)
    board = measure(folder, Hashing(), store, DAY, options=quick)
    figures = report(board)
    assert set(figures) == {"random", "time"}
    for methods in figures.values():
        assert set(methods) == set(ROLES)
        for row in methods.values():
            assert set(row) == {*METRICS, "questions"}
            assert 0 < row["mrr"] <= 1
    assert figures["time"]["name"]["mrr"] > figures["time"]["random"]["mrr"]
    one = report(measure(folder, Hashing(), store, DAY, ["time"], quick))
    assert one == {"time": figures["time"]}


def test_a_folder_without_the_records_is_told(tmp_path):
    with pytest.raises(DataMissing, match=r"edges\.tsv\.gz"):
        measure(tmp_path, Hashing(), EmbeddingStore(tmp_path, 16), DAY)
