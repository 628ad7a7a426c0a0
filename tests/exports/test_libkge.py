"""`export/libkge`, read as LibKGE's `Dataset` reads it."""

import numpy as np
import polars as pl
import pytest
import yaml

from hfkg_assets.exports.libkge import entity_name
from hfkg_assets.vocabulary import LINEAGE, RELATIONS

pytestmark = pytest.mark.slow


class Dataset:
    """What LibKGE makes of a folder: `dataset.yaml` names files, maps are `number TAB name`."""

    def __init__(self, folder):
        self.config = yaml.safe_load((folder / "dataset.yaml").read_text())["dataset"]
        self.folder = folder

    def triples(self, key):
        assert self.config[f"files.{key}.type"] == "triples"
        path = self.folder / self.config[f"files.{key}.filename"]
        found = np.loadtxt(path, usecols=range(3), dtype=int, ndmin=2)
        assert len(found) == self.config[f"files.{key}.size"]
        return found

    def names(self, key):
        assert self.config[f"files.{key}.type"] == "map"
        lines = (self.folder / self.config[f"files.{key}.filename"]).open(encoding="utf-8")
        pairs = [line.rstrip("\n").split("\t", maxsplit=1) for line in lines]
        assert [int(number) for number, _ in pairs] == list(range(len(pairs)))
        return [name for _, name in pairs]


@pytest.fixture(scope="module")
def lineage(exports):
    return Dataset(exports.make("libkge", held_out=0.05))


@pytest.fixture(scope="module")
def everything(exports, tmp_path_factory):
    return Dataset(
        exports.make("libkge", relations="all").rename(tmp_path_factory.mktemp("a") / "x")
    )


def edges(snapshot, relations):
    node = snapshot.scan("graph/node").select("node_id", name=entity_name())
    return set(
        snapshot.scan("graph/edge")
        .filter(pl.col("relation").is_in(relations))
        .join(node.rename({"name": "s"}), left_on="source", right_on="node_id")
        .join(node.rename({"name": "o"}), left_on="target", right_on="node_id")
        .select("s", "relation", "o")
        .collect()
        .iter_rows()
    )


@pytest.mark.parametrize(("which", "relations"), [("lineage", LINEAGE), ("everything", RELATIONS)])
def test_the_splits_together_are_the_edges_of_the_graph(request, snapshot, which, relations):
    dataset = request.getfixturevalue(which)
    entities, predicates = dataset.names("entity_ids"), dataset.names("relation_ids")
    assert len(entities) == len(set(entities)) == dataset.config["num_entities"]
    assert predicates == list(relations)
    assert dataset.config["num_relations"] == len(relations)
    triples = np.concatenate([dataset.triples(name) for name in ("train", "valid", "test")])
    named = [(entities[s], predicates[p], entities[o]) for s, p, o in triples]
    assert len(named) == len(set(named))
    assert set(named) == edges(snapshot, relations)
    assert set(triples[:, [0, 2]].flat) == set(range(len(entities)))


@pytest.mark.parametrize("which", ["lineage", "everything"])
def test_everything_in_valid_and_test_is_seen_in_train(request, which):
    dataset = request.getfixturevalue(which)
    train = dataset.triples("train")
    for name in ("valid", "test"):
        held = dataset.triples(name)
        assert len(held) > 0
        assert set(held[:, [0, 2]].flat) <= set(train[:, [0, 2]].flat)
        assert set(held[:, 1]) <= set(train[:, 1])
        assert np.array_equal(held, dataset.triples(f"{name}_without_unseen"))


def test_the_sample_of_train_is_of_train_and_as_large_as_valid(everything):
    sample = everything.triples("train_sample")
    assert len(sample) == len(everything.triples("valid"))
    assert set(map(tuple, sample)) <= set(map(tuple, everything.triples("train")))


def test_raw_triples_say_the_same_by_name(lineage):
    entities, predicates = lineage.names("entity_ids"), lineage.names("relation_ids")
    for split in ("train", "valid", "test"):
        lines = (lineage.folder / f"{split}.txt").read_text().splitlines()
        named = ["\t".join((entities[s], predicates[p], entities[o]))
                 for s, p, o in lineage.triples(split)]  # fmt: skip
        assert lines == named


def test_names_tell_the_type_and_never_break_a_line():
    names = pl.DataFrame(
        {"type": ["model", "space", "collection"], "id": ["a/b", "a/b", 'c/"x"\ty\nz\\']}
    ).select(entity_name())
    assert names.to_series().to_list() == ["model:a/b", "space:a/b", 'collection:c/"x"\\ty\\nz\\\\']


def test_the_same_seed_makes_the_same_files_and_another_makes_others(exports):
    def held(seed):
        folder = exports.make("libkge", relations="all", held_out=0.1, seed=seed)
        return (folder / "test.del").read_bytes()

    assert held(1) == held(1) != held(2)


def test_an_option_that_is_not_allowed_is_refused_and_told(exports):
    with pytest.raises(Exception, match=r"lineage.*all"):
        exports.make("libkge", relations="some")
    with pytest.raises(Exception, match="held_out"):
        exports.make("libkge", held_out=0.7)
