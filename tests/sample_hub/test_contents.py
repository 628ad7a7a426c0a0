"""What the sample Hub's files must be: readable, the same for the same facts, shared where real
repositories share them."""

import hashlib
import json
from datetime import date, timedelta

import polars as pl
import pytest

from hfkg_resources.sample_hub import contents
from hfkg_resources.sample_hub.file_names import ADAPTER_CONFIG, CONFIG, FILES, SHARDS, WEIGHTS
from hfkg_resources.sample_hub.repository_files import folder_oids
from hfkg_resources.sample_hub.world import World, commit_ids

NOMINAL = date(2026, 11, 24)
KINDS = ("model", "dataset", "space")


@pytest.fixture(scope="module")
def day():
    return World(repositories=1_500).at(NOMINAL)


def facts_of(day, kind, *paths):
    """Facts of the repositories that hold some files."""
    has_all = [pl.col("siblings").list.contains(path) for path in paths]
    return list(day.facts[kind].filter(pl.lit(True), *has_all).iter_rows(named=True))


def family(facts):
    """Facts by the model where its line begins."""
    lines = {}
    for row in facts:
        lines.setdefault(row["family_key"], []).append(row)
    return lines


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_can_be_written_and_its_blob_agrees(day, kind):
    held = set()
    for facts in day.facts[kind].head(250).iter_rows(named=True):
        held.update(facts["siblings"])
        for path in facts["siblings"]:
            content, blob = contents.content(kind, facts, path), contents.blob(kind, facts, path)
            assert blob == contents.Blob.of(content, contents.is_large(path))
    every = set(day.facts[kind]["siblings"].explode().unique())
    assert every == set(FILES[kind].categories)
    assert held >= every - {"weights/best.pt", "notes #1 (100%).txt"}


def test_repositories_hold_a_handful_of_files_in_the_order_of_their_names(day):
    for kind in KINDS:
        for files in day.facts[kind]["siblings"].to_list():
            assert files == sorted(files) and len(files) == len(set(files)) <= 15
    assert 5 < day.models["siblings"].list.len().mean() < 9


def test_files_are_the_same_in_another_world_of_the_same_seed(day):
    again = World(repositories=1_500).at(NOMINAL)
    for kind in KINDS:
        for one, other in zip(
            day.facts[kind].head(40).iter_rows(named=True),
            again.facts[kind].head(40).iter_rows(named=True),
            strict=True,
        ):
            assert one["siblings"] == other["siblings"]
            for path in one["siblings"]:
                assert contents.content(kind, one, path) == contents.content(kind, other, path)


def test_a_line_of_models_has_one_tokenizer_and_another_line_another(day):
    lines = family(facts_of(day, "model", "tokenizer.json")[:250])
    shared = [rows for rows in lines.values() if len(rows) > 2]
    assert shared
    for path in ("tokenizer.json", "tokenizer_config.json"):
        for rows in shared:
            assert len({contents.content("model", row, path) for row in rows}) == 1
    texts = {contents.content("model", rows[0], "tokenizer.json") for rows in lines.values()}
    assert len(texts) == len(lines)
    assert all(18_000 < len(text) < 80_000 for text in texts)


def test_a_licence_has_one_text(day):
    texts = {}
    for kind in KINDS:
        for row in facts_of(day, kind, "LICENSE"):
            texts.setdefault(row["license"], set()).add(contents.content(kind, row, "LICENSE"))
    assert len(texts) > 5 and all(len(copies) == 1 for copies in texts.values())
    assert len(set.union(*texts.values())) == len(texts)


def test_a_repackaged_model_has_the_weights_of_its_base_and_a_quantized_one_its_own(day):
    by_key = {row["key"]: row for row in day.facts["model"].iter_rows(named=True)}
    copies = [
        (row, by_key[row["weights_key"]])
        for row in facts_of(day, "model", WEIGHTS)
        if row["weights_key"] != row["key"] and row["weights_key"] in by_key
    ]
    same = [
        contents.content("model", copy, WEIGHTS)
        == contents.content("model", base | {"revision": 0}, WEIGHTS)
        for copy, base in copies
        if WEIGHTS in base["siblings"]
    ]
    assert same and all(same)
    quantized = facts_of(day, "model", "model-Q4_K_M.gguf")
    oids = {contents.blob("model", row, "model-Q4_K_M.gguf").sha256 for row in quantized}
    assert len(oids) == len(quantized) and all(WEIGHTS not in row["siblings"] for row in quantized)


def test_weights_change_with_some_edits_and_texts_other_than_the_readme_with_none(day):
    changes = 0
    for row in facts_of(day, "model", WEIGHTS)[:60]:
        oids = [contents.blob("model", row | {"revision": n}, WEIGHTS) for n in range(7)]
        assert len({blob.size for blob in oids}) == 1
        versions = [blob.sha256 for blob in oids]
        assert versions[0] == versions[1] == versions[2]
        assert len(set(versions)) in (1, 3)
        changes += len(set(versions)) == 3
        if CONFIG in row["siblings"]:
            configs = {contents.content("model", row | {"revision": n}, CONFIG) for n in (0, 5)}
            assert len(configs) == 1
    assert 10 < changes < 50


def test_a_commit_gives_the_same_files_on_every_later_day():
    world = World(repositories=300)
    then, now = world.at(NOMINAL), world.at(NOMINAL + timedelta(days=120))
    compared = 0
    for kind in KINDS:
        later = {row["key"]: row for row in now.facts[kind].iter_rows(named=True)}
        for row in then.facts[kind].iter_rows(named=True):
            since = later.get(row["key"])
            if since is None:
                continue
            sha = commit_ids(row["key"], row["revision"])[-1]
            facts = now.file_facts(kind, since["id"], sha)
            for path in ("README.md", ".gitattributes", WEIGHTS):
                if path in row["siblings"]:
                    assert contents.blob(kind, row, path) == contents.blob(kind, facts, path)
                    compared += since["id"] != row["id"]
    assert compared > 2  # renamed ones among them


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_depends_on_the_id_that_its_repository_has_now(day, kind):
    """Renaming is no commit: the bytes of a commit must stay what they are."""
    for row in day.facts[kind].head(300).iter_rows(named=True):
        for path in row["siblings"]:
            if not contents.is_large(path) and row["flaw"] != "huge":
                renamed = row | {"id": "another/name"}
                assert contents.content(kind, row, path) == contents.content(kind, renamed, path)


def test_configurations_name_architectures_that_fit_the_task(day):
    for row in facts_of(day, "model", CONFIG)[:200]:
        config = json.loads(contents.content("model", row, CONFIG))
        assert config["architectures"] and config["model_type"]
        if row["topic"] == "text-generation":
            assert config["architectures"][0].endswith("ForCausalLM")
        told = contents.listed_config(row)
        assert told == {name: config[name] for name in told}
    for row in facts_of(day, "model", ADAPTER_CONFIG):
        adapter = json.loads(contents.content("model", row, ADAPTER_CONFIG))
        assert adapter["base_model_name_or_path"] in row["base_ids"]


def test_tokenizers_can_be_loaded_and_weights_read(day, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    safetensors = pytest.importorskip("safetensors")
    row = facts_of(day, "model", "tokenizer.json", *SHARDS)[0]
    text = contents.content("model", row, "tokenizer.json").decode()
    words = [word for word in json.loads(text)["model"]["vocab"] if word.isalpha()][:3]
    encoded = tokenizers.Tokenizer.from_str(text).encode(" ".join(words))
    assert encoded.tokens == words
    for shard in SHARDS:
        (tmp_path / shard).write_bytes(contents.content("model", row, shard))
        with safetensors.safe_open(tmp_path / shard, "numpy") as weights:
            assert len(list(weights.keys())) == 1


def test_the_ids_of_folders_are_those_that_git_gives():
    """A folder sorts as if its name ended in a slash; ids as `git ls-tree -rt` tells them."""
    empty = hashlib.sha1(b"blob 0\0").hexdigest()
    oids = folder_oids({"a.txt": empty, "a/b": empty, "a/c/d": empty})
    assert oids == {
        "": "1ecaccbc80549fa16c1fdb69138fdec37946ac13",
        "a": "4e1c7948a42be1a9914dab8f99b2da9e1124bcee",
        "a/c": "2a26db49a6962700da5bd4084ae0e5a22d6583ee",
    }
