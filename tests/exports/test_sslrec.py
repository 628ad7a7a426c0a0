"""`export/sslrec`, read as SSLRec's three data handlers read it."""

import pickle
import pickletools
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from scipy.sparse import coo_matrix, load_npz

from hfkg_assets.exports.sslrec import KNOWLEDGE, LIKES, core_of, portable_pickle
from hfkg_assets.vocabulary import RELATIONS
from hfkg_resources.warehouse import MissingTable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(exports):
    return exports.make("sslrec")


def matrix(path):
    """As the handlers of general and social recommendation load one."""
    with path.open("rb") as file:
        found = (pickle.load(file) != 0).astype(np.float32)
    return found if type(found) is coo_matrix else coo_matrix(found)


def interactions(path):
    """As the handler of knowledge graphs reads likes: a user, then items."""
    pairs = []
    for line in path.open():
        user, *items = [int(number) for number in line.strip().split(" ")]
        assert items
        pairs += [(user, item) for item in set(items)]
    return np.array(pairs)


def pairs(found):
    return set(zip(found.row.tolist(), found.col.tolist(), strict=True))


def table(path):
    return pl.read_csv(path, separator="\t", schema_overrides={"id": pl.String})


@pytest.fixture(scope="module")
def general(folder):
    names = ("train_mat", "valid_mat", "test_mat")
    return [matrix(folder / "general_cf" / f"{name}.pkl") for name in names]


def test_the_three_matrices_are_the_likes_of_the_graph_each_once(general, folder, snapshot):
    users, items = (table(folder / f"{name}.tsv") for name in ("users", "items"))
    assert {m.shape for m in general} == {(users.height, items.height)}
    assert users["user"].to_list() == list(range(users.height))
    assert items["item"].to_list() == list(range(items.height))
    user, item = users["node_id"].to_list(), items["node_id"].to_list()
    named = [(user[r], item[c]) for m in general for r, c in pairs(m)]
    edge = snapshot.scan("graph/edge").filter(pl.col("relation").is_in(list(LIKES)))
    assert sorted(named) == sorted(edge.select("source", "target").collect().iter_rows())
    node = snapshot.scan("graph/node").select("node_id", "type", "id").collect()
    both = pl.concat([users.select("node_id", "type", "id"), items.select("node_id", "type", "id")])
    assert both.join(node, on=["node_id", "type", "id"], how="anti").is_empty()
    assert set(items["type"]) == {relation.object for relation in LIKES.values()}


def test_shares_are_as_asked_and_every_user_has_a_like_in_train(general):
    train, valid, test = general
    n = sum(m.nnz for m in general)
    assert (valid.nnz, test.nnz) == (round(0.1 * n), round(0.2 * n))
    assert (train.getnnz(axis=1) > 0).all()


def test_pickles_name_nothing_that_old_versions_lack(folder):
    for path in folder.rglob("*.pkl"):
        named = {arg for op, arg, _ in pickletools.genops(path.read_bytes()) if op.name == "GLOBAL"}
        assert named == {"scipy.sparse coo_matrix", "numpy frombuffer"}


def test_npz_files_hold_the_same_and_run_no_code(folder):
    paths = list(folder.rglob("*.pkl"))
    assert len(paths) == 8
    for path in paths:
        assert pairs(load_npz(path.with_suffix(".npz"))) == pairs(matrix(path))


def test_a_pickled_matrix_comes_back_whole():
    made = coo_matrix((np.float32([1, 1]), ([0, 2], [4, 1])), shape=(3, 5))
    back = pickle.loads(portable_pickle(made))
    assert back.shape == made.shape
    assert np.array_equal(back.toarray(), made.toarray())


def test_social_has_who_follows_whom_and_categories_of_all_items(general, folder, snapshot):
    social = folder / "social"
    same = [matrix(social / f"{name}.pkl") for name in ("trn_mat", "val_mat", "tst_mat")]
    assert [pairs(m) for m in same] == [pairs(m) for m in general]
    users = table(folder / "users.tsv")
    trust = matrix(social / "trust_mat.pkl")
    assert trust.shape == (users.height, users.height)
    node = users["node_id"].to_list()
    named = {(node[r], node[c]) for r, c in pairs(trust)}
    follows = snapshot.scan("graph/edge").filter(relation="user_follow_user").collect()
    known = set(node)
    assert named == {
        (s, t) for s, t in follows.select("source", "target").iter_rows() if {s, t} <= known
    }
    assert named
    items, names = table(folder / "items.tsv"), table(social / "categories.tsv")["name"].to_list()
    category = matrix(social / "category.pkl")
    assert category.shape == (items.height, len(names))
    held = defaultdict(set)
    for r, c in pairs(category):
        held[r].add(names[c])
    for number, kind in items.select("item", "type").iter_rows():
        assert kind in held[number]
    assert any(name.startswith("task:") for name in names)


def kg(folder):
    """As `DataHandlerKG` reads it: likes, then triples, then the lists."""
    likes = [interactions(folder / "kg" / f"{s}.txt") for s in ("train", "valid", "test")]
    triples = np.unique(np.loadtxt(folder / "kg/kg_final.txt", dtype=np.int32, ndmin=2), axis=0)
    lists = {
        name: np.genfromtxt(
            folder / f"kg/{name}_list.txt", dtype=None, names=True, encoding="utf-8"
        )
        for name in ("user", "item", "entity", "relation")
    }
    return likes, triples, lists


def test_text_files_say_the_same_likes(general, folder):
    likes, _, lists = kg(folder)
    assert [set(map(tuple, found)) for found in likes] == [pairs(m) for m in general]
    everyone = np.concatenate(likes)
    shape = (everyone[:, 0].max() + 1, everyone[:, 1].max() + 1)
    assert shape == general[0].shape == (len(lists["user"]), len(lists["item"]))


def edges_by_name(folder):
    _, triples, lists = kg(folder)
    entities = pl.read_csv(folder / "kg/entities.tsv", separator="\t")["node_id"].to_list()
    names = lists["relation"]["org_id"]
    assert lists["relation"]["remap_id"].tolist() == list(range(len(names)))
    assert lists["entity"]["remap_id"].tolist() == list(range(len(entities)))
    return {(entities[h], str(names[r]), entities[t]) for h, r, t in triples}


def graph_edges(snapshot, relations=tuple(KNOWLEDGE)):
    edge = snapshot.scan("graph/edge").filter(pl.col("relation").is_in(list(relations)))
    return set(edge.select("source", "relation", "target").collect().iter_rows())


def test_the_knowledge_graph_has_every_edge_of_the_items_and_no_like(folder, snapshot):
    items = set(table(folder / "items.tsv")["node_id"])
    found = edges_by_name(folder)
    assert found == {(s, r, t) for s, r, t in graph_edges(snapshot) if s in items or t in items}
    assert not {r for _, r, _ in found} & set(LIKES)


def test_items_are_the_first_entities(folder):
    items = table(folder / "items.tsv")["node_id"].to_list()
    entities = pl.read_csv(folder / "kg/entities.tsv", separator="\t")["node_id"].to_list()
    assert entities[: len(items)] == items
    assert len(entities) == len(set(entities))


@pytest.mark.parametrize("variant", ["2hop", "homo", "publish"])
def test_other_knowledge_can_be_chosen(exports, snapshot, variant):
    folder = exports.make("sslrec", knowledge=variant)
    items = set(table(folder / "items.tsv")["node_id"])
    every = graph_edges(snapshot)
    near = {end for s, _, t in every if s in items or t in items for end in (s, t)}
    expected = {
        "2hop": {(s, r, t) for s, r, t in every if s in near or t in near},
        "homo": {(s, r, t) for s, r, t in every if s in items and t in items},
        "publish": {
            (s, r, t)
            for s, r, t in graph_edges(
                snapshot, [n for n, r in RELATIONS.items() if r.predicate == "publish"]
            )
            if t in items
        },
    }[variant]
    assert expected
    assert edges_by_name(folder) == expected


def test_one_type_of_item_and_a_core_can_be_chosen(exports):
    folder = exports.make("sslrec", items=["model"], core=2)
    assert set(table(folder / "items.tsv")["type"]) == {"model"}
    whole = sum(matrix(folder / f"general_cf/{n}_mat.pkl") for n in ("train", "valid", "test"))
    assert whole.nnz > 0
    assert whole.sum(axis=0).min() >= 2
    assert whole.sum(axis=1).min() >= 2


def test_what_nobody_can_like_is_refused(exports):
    with pytest.raises(ValueError, match="nobody likes paper"):
        exports.make("sslrec", items=["model", "paper"])


def test_a_core_is_what_is_left_when_nothing_more_falls_off():
    """A complete 3 × 3 with a tail: the tail goes, one link after the other."""
    block = [(u, 10 + i) for u in range(3) for i in range(3)]
    tail = [(2, 20), (3, 20), (3, 21), (4, 21)]
    likes = pl.DataFrame(block + tail, schema=["source", "target"], orient="row")
    assert sorted(core_of(likes, 1).iter_rows()) == sorted([*block, *tail])
    assert sorted(core_of(likes, 2).iter_rows()) == sorted(block)
    assert sorted(core_of(likes, 3).iter_rows()) == sorted(block)
    assert core_of(likes, 4).is_empty()


def test_where_no_like_is_left_the_files_are_empty_and_there_is_no_error(exports):
    folder = exports.make("sslrec", core=10_000)
    assert matrix(folder / "general_cf/train_mat.pkl").shape == (0, 0)
    assert (folder / "kg/train.txt").read_text() == ""


def test_the_split_of_recommendation_is_handed_out_where_it_is_there(exports, snapshot, folder):
    with pytest.raises(MissingTable, match="recommendation/likes"):
        exports.make("sslrec", split="random")
    assert exports.run("train", ["recommendation/likes"]).success
    likes = snapshot.scan("recommendation/likes").filter(protocol="random").collect()
    try:
        for options in ({}, {"split": "random"}):
            found = exports.make("sslrec", **options)
            users, items = (table(found / f"{name}.tsv") for name in ("users", "items"))
            named = likes.select("user", id="user_id").unique().sort("user")
            assert users.select("user", "id").equals(named)
            named = likes.select("item", "id", type="kind").unique().sort("item")
            assert items.select("item", "id", "type").equals(named)
            for name in ("train", "valid", "test"):
                pair = set(likes.filter(split=name).select("user", "item").iter_rows())
                assert pairs(matrix(found / f"general_cf/{name}_mat.pkl")) == pair
            kept = [path.relative_to(found) for path in found.rglob("*") if path.is_file()]
            for path in kept:  # what is made here without recommendation is the same
                assert (found / path).read_bytes() == (folder / path).read_bytes(), path
        with pytest.raises(ValueError, match="no protocol time"):
            exports.make("sslrec", split="time")
        with pytest.raises(ValueError, match="choose `own`, or leave them"):
            exports.make("sslrec", split="random", seed=3)
        assert exports.make("sslrec", seed=3)  # another split is made here
    finally:
        snapshot.warehouse.path("recommendation/likes", snapshot.day).unlink()
