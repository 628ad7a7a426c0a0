"""The retrieval assets as Dagster makes them."""

import os

import polars as pl
import pytest

from hfkg_assets.retrieval.evaluation import FUSED, MEANING, METRICS, RANKERS, WORDS
from hfkg_assets.retrieval.leaderboard import not_beaten
from hfkg_assets.retrieval.search import DocumentSearch
from tests.retrieval.snapshots import ASSETS, DAY, encoder, make_indexed, materialize


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with all retrieval assets, and the run that made them."""
    store = make_indexed(tmp_path_factory.mktemp("made"))
    return store, materialize(store, *ASSETS)


def test_facts_are_in_the_order_of_the_documents_and_know_their_nodes(made):
    store, _ = made
    documents = store.scan("feature/document", DAY).select("kind", "id").collect()
    facts = store.scan("retrieval/facts", DAY).collect()
    assert facts.select("kind", "id").equals(documents)
    nodes = store.scan("graph/node", DAY).collect()
    told = facts.join(nodes, on="node_id", suffix="_node")
    assert (told["id"] == told["id_node"]).all()
    assert told.height == facts.height


def test_links_are_those_that_bring_repositories_near_from_either_end(made):
    store, _ = made
    links = store.scan("retrieval/link", DAY).collect()
    edges = store.scan("graph/edge", DAY).collect()
    near = edges.filter(pl.col("relation") != "user_follow_user")
    assert links.height == 2 * near.height
    assert links["node"].is_sorted()
    assert links.filter("is_subject").height == near.height


def test_every_repository_with_a_text_has_its_most_similar_ones_of_its_kind(made):
    store, _ = made
    similar = store.scan("retrieval/similar", DAY).collect()
    assert (similar["id"] != similar["other_id"]).all()
    first = similar.filter(kind="model", id="acme/ear-7B", rank=1)
    assert first["other_id"].item() == "acme/ear-7B-GGUF"
    assert "cat/nameless-whistle" not in similar["id"]
    ranked = similar.sort("kind", "id", "rank")
    falls = ranked.select((pl.col("similarity").diff() <= 0).over("kind", "id").fill_null(True))
    assert falls.to_series().all()


def test_the_leaderboard_has_every_method_for_each_kind_and_for_all(made):
    store, result = made
    board = store.scan("retrieval/leaderboard", DAY).collect()
    for kind, questions in (("model", 3), ("dataset", 2), ("all", 5)):
        rows = board.filter(kind=kind)
        assert rows["method"].to_list() == list(RANKERS)
        assert rows["questions"].unique().to_list() == [questions]
    assert board.select(pl.col(METRICS).is_between(0, 1).all()).row(0) == (True,) * len(METRICS)
    metadata = result.asset_materializations_for_node("retrieval__leaderboard")[0].metadata
    assert "| declared | all | reranked | 5 |" in metadata["hfkg/leaderboard"].value
    assert metadata["hfkg/ndcg_at_10"].value.startswith("![](data:image/png")


def test_a_part_that_is_as_good_as_the_fusion_is_named():
    rows = {"protocol": "declared", "kind": "all", "questions": 2}
    board = pl.DataFrame(
        [
            {**rows, "method": WORDS, "ndcg_at_10": 0.3},
            {**rows, "method": MEANING, "ndcg_at_10": 0.2},
            {**rows, "method": FUSED, "ndcg_at_10": 0.3},
        ]
    )
    assert not_beaten(board)["method"].to_list() == [WORDS]
    better = pl.when(method=FUSED).then(0.4).otherwise("ndcg_at_10")
    assert not_beaten(board.with_columns(ndcg_at_10=better)).is_empty()


def test_an_index_that_is_made_again_replaces_the_old_one_whole(made):
    store, _ = made
    folders = [store.directory(f"retrieval/{n}_index", DAY) for n in ("word", "vector")]
    before = [sorted(os.listdir(folder)) for folder in folders]
    open_before = DocumentSearch.open(store, encoder())
    assert materialize(store, *ASSETS[2:4]).success
    assert [sorted(os.listdir(folder)) for folder in folders] == before
    assert not [name for f in folders for name in os.listdir(f.parent) if name.endswith(".tmp")]
    # Who has opened the old one goes on with it.
    assert (
        open_before.search("German").hits
        == DocumentSearch.open(store, encoder()).search("German").hits
    )


def test_vectors_of_no_known_text_are_an_error_that_says_what_to_do(tmp_path):
    store = make_indexed(tmp_path)
    empty = store.scan("feature/embedding", DAY).collect().clear()
    store.write("feature/embedding", DAY, empty)
    with pytest.raises(Exception, match="no vectors of clean texts: materialize it again"):
        materialize(store, ASSETS[3])
