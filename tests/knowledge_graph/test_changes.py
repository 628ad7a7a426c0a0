"""What changed from one snapshot to the next."""

import random

import dagster as dg
import polars as pl
import pytest

from hfkg_assets.knowledge_graph.changes import (
    CHANGES,
    GraphOfDay,
    changes,
    graph_changes,
    previous_date,
)
from hfkg_assets.vocabulary import ENTITIES
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.knowledge_graph.graph_tables import store_graph

THEN, NOW = "2026-01-01", "2026-01-05"
FINETUNE, LIKE = "model_finetune_model", "user_like_model"


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(root=str(tmp_path))


@pytest.fixture
def compare(warehouse):
    """Stores two graphs, each (things, triples), and returns what changed as tuples."""

    def run(then, now):
        store_graph(warehouse, THEN, *then)
        store_graph(warehouse, NOW, *now)
        table = changes(GraphOfDay(warehouse, THEN), GraphOfDay(warehouse, NOW)).collect()
        assert table.schema == schema_of(CHANGES)
        assert table["since"].cast(pl.String).unique().to_list() in ([THEN], [])
        return told(table)

    return run


def told(table):
    node = ("what", "change", "type", "id", "previous_id")
    edge = ("what", "change", "type", "subject_id", "object_id")
    return {
        tuple(row[column] for column in (node if row["what"] == "node" else edge))
        for row in table.iter_rows(named=True)
    }


def test_equal_snapshots_have_no_changes(compare):
    graph = {"model": {"a/x": "1", "a/y": "2"}}, [("a/x", FINETUNE, "a/y")]
    assert compare(graph, graph) == set()


def test_what_came_and_went_is_told_by_type_and_name(compare):
    then = (
        {"model": {"a/x": "1", "a/y": "2"}, "user": {"ada": None}},
        [
            ("a/x", FINETUNE, "a/y"),
            ("ada", LIKE, "a/x"),
        ],
    )
    now = (
        {"model": {"a/x": "1", "a/z": "3"}, "user": {"ada": None}},
        [
            ("a/x", FINETUNE, "a/z"),
            ("ada", LIKE, "a/x"),
        ],
    )
    assert compare(then, now) == {
        ("node", "removed", "model", "a/y", None),
        ("node", "added", "model", "a/z", None),
        ("edge", "removed", FINETUNE, "a/x", "a/y"),
        ("edge", "added", FINETUNE, "a/x", "a/z"),
    }


def test_an_edge_whose_ends_were_only_renamed_has_not_changed(compare):
    then = {"model": {"a/x": "1", "a/y": "2"}}, [("a/x", FINETUNE, "a/y")]
    now = {"model": {"b/x": "1", "b/y": "2"}}, [("b/x", FINETUNE, "b/y")]
    assert compare(then, now) == {
        ("node", "renamed", "model", "b/x", "a/x"),
        ("node", "renamed", "model", "b/y", "a/y"),
    }


def test_two_models_that_swapped_names_are_two_renamings_and_their_edges_stay_with_them(compare):
    things = {"model": {"a": "1", "b": "2"}, "user": {"ada": None}}
    swapped = {"model": {"b": "1", "a": "2"}, "user": {"ada": None}}
    assert compare((things, [("ada", LIKE, "a")]), (swapped, [("ada", LIKE, "b")])) == {
        ("node", "renamed", "model", "b", "a"),
        ("node", "renamed", "model", "a", "b"),
    }
    assert compare((things, [("ada", LIKE, "a")]), (swapped, [("ada", LIKE, "a")])) == {
        ("node", "renamed", "model", "b", "a"),
        ("node", "renamed", "model", "a", "b"),
        ("edge", "removed", LIKE, "ada", "a"),
        ("edge", "added", LIKE, "ada", "a"),
    }


def test_a_name_that_was_deleted_and_taken_anew_is_another_thing_with_edges_of_its_own(compare):
    then = {"model": {"a": "1"}, "user": {"ada": None}}, [("ada", LIKE, "a")]
    now = {"model": {"a": "9"}, "user": {"ada": None}}, [("ada", LIKE, "a")]
    assert compare(then, now) == {
        ("node", "removed", "model", "a", None),
        ("node", "added", "model", "a", None),
        ("edge", "removed", LIKE, "ada", "a"),
        ("edge", "added", LIKE, "ada", "a"),
    }


def test_a_renamed_account_is_found_though_its_old_name_has_a_new_owner(compare):
    then = {"user": {"ada": "1", "bob": "2"}}, [("bob", "user_follow_user", "ada")]
    now = {"user": {"ada": "3", "ada-l": "1", "bob": "2"}}, [("bob", "user_follow_user", "ada-l")]
    assert compare(then, now) == {
        ("node", "renamed", "user", "ada-l", "ada"),
        ("node", "added", "user", "ada", None),
    }


def test_an_account_whose_stable_id_was_learnt_or_is_not_told_today_is_the_same(compare):
    then = {"user": {"ada": None, "bob": "2"}}, [("bob", "user_follow_user", "ada")]
    now = {"user": {"ada": "1", "bob": None}}, [("bob", "user_follow_user", "ada")]
    assert compare(then, now) == set()


def test_a_stable_id_goes_before_a_name_seen_without_one(compare):
    then = {"user": {"ada": None, "eve": "2"}}, []
    now = {"user": {"ada": "2"}}, []
    assert compare(then, now) == {
        ("node", "renamed", "user", "ada", "eve"),
        ("node", "removed", "user", "ada", None),
    }


def test_a_stable_id_listed_twice_while_a_renaming_ran_makes_no_pairs_of_its_own(compare):
    then = {"model": {"a": "1"}}, []
    now = {"model": {"a": "1", "b": "1"}}, []
    assert compare(then, now) == {("node", "added", "model", "b", None)}
    assert compare(now, then) == {("node", "removed", "model", "b", None)}
    assert compare(now, ({"model": {"c": "1"}}, [])) == {
        ("node", "removed", "model", "a", None),
        ("node", "removed", "model", "b", None),
        ("node", "added", "model", "c", None),
    }


def test_the_same_stable_id_in_two_types_are_two_things(compare):
    then = {"model": {"a": "1"}, "dataset": {"a": "1"}}, []
    now = {"model": {"b": "1"}, "dataset": {"a": "1"}}, []
    assert compare(then, now) == {("node", "renamed", "model", "b", "a")}


def test_a_collection_with_a_new_title_is_renamed_its_slug_ends_in_what_stays(compare):
    tail = "64f9a55bb3115b4f513ec026"
    then = (
        {"collection": {f"ada/old-{tail}": {}}, "user": {"ada": None}},
        [("ada", "user_own_collection", f"ada/old-{tail}")],
    )
    now = (
        {"collection": {f"ada/new-title-{tail}": {}}, "user": {"ada": None}},
        [("ada", "user_own_collection", f"ada/new-title-{tail}")],
    )
    assert compare(then, now) == {
        ("node", "renamed", "collection", f"ada/new-title-{tail}", f"ada/old-{tail}")
    }


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_change_as_sets_of_things_say(compare, seed):
    """The reference follows every thing by its number, which no table holds."""
    rng = random.Random(seed)

    def name_of(numbers):
        return {
            number: f"n{place}"
            for number, place in zip(numbers, rng.sample(range(60), 30), strict=True)
        }

    names = [name_of(rng.sample(range(45), 30)) for _ in range(2)]
    edges = []
    for side in names:
        pairs = [rng.sample(sorted(side), 2) for _ in range(120)]
        edges.append({(a, b) for a, b in pairs if (a + b) % 7})
    shared = {pair for pair in edges[0] if set(pair) <= set(names[1]) and rng.random() < 0.7}
    edges[1] |= shared
    graphs = [
        (
            {"model": {name: f"{number:04}" for number, name in side.items()}},
            [(side[a], FINETUNE, side[b]) for a, b in pairs],
        )
        for side, pairs in zip(names, edges, strict=True)
    ]
    then, now = names
    expected = {
        *(("node", "removed", "model", then[n], None) for n in then.keys() - now.keys()),
        *(("node", "added", "model", now[n], None) for n in now.keys() - then.keys()),
        *(
            ("node", "renamed", "model", now[n], then[n])
            for n in now.keys() & then.keys()
            if now[n] != then[n]
        ),
        *(("edge", "removed", FINETUNE, then[a], then[b]) for a, b in edges[0] - edges[1]),
        *(("edge", "added", FINETUNE, now[a], now[b]) for a, b in edges[1] - edges[0]),
    }
    assert compare(*graphs) == expected


def test_the_snapshot_before_is_the_newest_earlier_one_that_is_whole(warehouse):
    assert previous_date(warehouse, NOW) is None
    for day in ("2026-01-01", "2026-01-03", "2026-01-05", "2026-01-08"):
        store_graph(warehouse, day, {}, [])
    assert previous_date(warehouse, NOW) == "2026-01-03"
    warehouse.path("entity/user", "2026-01-03").unlink()
    assert previous_date(warehouse, NOW) == "2026-01-01"
    assert previous_date(warehouse, "2026-01-01") is None


def materialize(warehouse, day):
    sources = [dg.AssetSpec(key) for key in graph_changes.dependency_keys]
    result = dg.materialize(
        [graph_changes, *sources],
        selection=[graph_changes],
        partition_key=day,
        resources={"warehouse": warehouse},
        instance=dg.DagsterInstance.ephemeral(),
    )
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    return warehouse.scan("graph/changes", day).collect(), {k: v.value for k, v in metadata.items()}


def test_the_first_snapshot_has_an_empty_table_that_says_why(warehouse):
    store_graph(warehouse, THEN, {"model": {"a": "1"}}, [])
    table, metadata = materialize(warehouse, THEN)
    assert table.is_empty()
    assert metadata["hfkg/compared_with"] == "nothing: no earlier snapshot is there"


def test_the_materialization_names_the_snapshot_before_and_counts_the_changes(warehouse):
    store_graph(warehouse, THEN, {"model": {"a": "1", "b": "2"}}, [("a", FINETUNE, "b")])
    store_graph(warehouse, NOW, {"model": {"c": "1", "d": "4"}}, [("c", FINETUNE, "d")])
    table, metadata = materialize(warehouse, NOW)
    assert table.height == 5
    assert metadata["hfkg/compared_with"] == THEN
    assert metadata["hfkg/nodes_renamed"] == 1
    assert metadata["hfkg/edges_added"] == metadata["hfkg/edges_removed"] == 1
    assert f"| {FINETUNE} | 1 | 1 | 0 |" in metadata["hfkg/changes"]
    assert "| model | 1 | 1 | 1 |" in metadata["hfkg/changes"]


def test_tables_that_are_not_sorted_are_compared_all_the_same(warehouse):
    for day, hub_ids in ((THEN, "12"), (NOW, "13")):
        things = {"model": {"a": hub_ids[0], "b": hub_ids[1]}}
        store_graph(warehouse, day, things, [("a", FINETUNE, "b")])
    reversed_rows = warehouse.scan("entity/model", NOW).collect().reverse()
    warehouse.write("entity/model", NOW, reversed_rows)
    table = changes(GraphOfDay(warehouse, THEN), GraphOfDay(warehouse, NOW)).collect()
    assert told(table) == {
        ("node", "removed", "model", "b", None),
        ("node", "added", "model", "b", None),
        ("edge", "removed", FINETUNE, "a", "b"),
        ("edge", "added", FINETUNE, "a", "b"),
    }
    assert set(table["type"]) <= {*ENTITIES, FINETUNE}
