"""The catalog: views over all snapshots, and the queries that have a name."""

import re
import time
from itertools import pairwise
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.knowledge_graph.catalog import CATALOG, build_catalog
from hfkg_assets.knowledge_graph.catalog_queries import queries
from hfkg_assets.knowledge_graph.licences import LICENCES, RULES
from hfkg_assets.vocabulary import ENTITIES, LINEAGE, RELATIONS
from hfkg_resources.sample_hub.words import LICENSES
from hfkg_resources.warehouse import Warehouse
from tests.knowledge_graph.graph_tables import store_graph, store_verified

DAY, NEXT_DAY = "2026-11-20", "2026-11-21"
FINETUNE, QUANTIZED = "model_finetune_model", "model_quantized_model"
DOCUMENT = Path(__file__).parents[2] / "docs" / "catalog.md"
TABLES = (
    "graph/node",
    "graph/edge",
    *(f"entity/{name}" for name in ENTITIES),
    *(f"verified/{name}" for name in RELATIONS),
)


@pytest.fixture
def catalog(tmp_path):
    """Stores models and lineage, and returns a connection to their catalog.

    Models are given as id → attributes; triples name others implicitly.
    """
    connections = []

    def build(triples, models=(), day=DAY, things=None, graph=False):
        warehouse = Warehouse(root=str(tmp_path))
        named = {id: {} for s, _, o in triples for id in (s, o)} | dict(models)
        if graph:
            store_graph(warehouse, day, things or {"model": named}, triples)
        else:
            ids = [{"id": id, **facts} for id, facts in named.items()]
            schema = {"id": pl.String, "author": pl.String, "license": pl.String}
            warehouse.write("entity/model", day, pl.DataFrame(ids, schema))
        store_verified(warehouse, day, triples, only=None if graph else LINEAGE)
        build_catalog(tmp_path, TABLES)
        connections.append(duckdb.connect(str(tmp_path / CATALOG), read_only=True))
        return connections[-1]

    yield build
    for connection in connections:
        connection.close()


def chain(length, relation=FINETUNE, name="c"):
    return [(f"{name}{i}", relation, f"{name}{i + 1}") for i in range(length)]


def ancestors(connection, model, day=DAY):
    return connection.execute("FROM ancestors(?, ?)", [model, day]).fetchall()


def descendants(connection, model, day=DAY):
    return connection.execute("FROM descendants(?, ?)", [model, day]).fetchall()


# --- views ---------------------------------------------------------------------------------------


def test_the_catalog_shows_every_snapshot_of_every_table_that_exists(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    for day, n in (("2026-01-01", 1), ("2026-01-02", 2)):
        warehouse.write("graph/edge", day, pl.DataFrame({"relation": ["x"] * n}))
    views = build_catalog(tmp_path, ["graph/edge", "graph/node"])
    assert list(views) == ["graph.edge"]
    with duckdb.connect(str(tmp_path / CATALOG), read_only=True) as connection:
        query = "select snapshot_date, count(*) from graph.edge group by all order by all"
        found = [(str(day), n) for day, n in connection.execute(query).fetchall()]
    assert found == [("2026-01-01", 1), ("2026-01-02", 2)]


def test_the_catalog_is_rebuilt_and_tables_rewritten_while_a_reader_holds_it_open(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    warehouse.write("graph/edge", "2026-01-01", pl.DataFrame({"relation": ["x"]}))
    build_catalog(tmp_path, ["graph/edge"])
    with duckdb.connect(str(tmp_path / CATALOG), read_only=True) as reader:
        count = "select count(*) from graph.edge"
        assert reader.execute(count).fetchall() == [(1,)]
        warehouse.write("graph/edge", "2026-01-01", pl.DataFrame({"relation": ["x", "y"]}))
        build_catalog(tmp_path, ["graph/edge"])
        assert reader.execute(count).fetchall() == [(2,)]
    assert not list(tmp_path.glob(f".{CATALOG}.*"))


def test_a_root_with_a_quote_in_its_name_is_no_trouble(tmp_path):
    root = tmp_path / 'it\'s "data"'
    Warehouse(root=str(root)).write("a/b", "2026-01-01", pl.DataFrame({"x": [1]}))
    build_catalog(root, ["a/b"])
    with duckdb.connect(str(root / CATALOG), read_only=True) as connection:
        assert connection.execute("select x from a.b").fetchall() == [(1,)]


def test_a_date_filter_reads_the_files_of_that_date_alone(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    for month in range(1, 13):
        warehouse.write("graph/edge", f"2026-{month:02}-01", pl.DataFrame({"relation": ["x"]}))
    build_catalog(tmp_path, ["graph/edge"])
    with duckdb.connect(str(tmp_path / CATALOG), read_only=True) as connection:
        for date in ("'2026-03-01'", "DATE '2026-03-01'"):
            query = f"EXPLAIN SELECT * FROM graph.edge WHERE snapshot_date = {date}"
            assert "Scanning Files: 1/12" in connection.execute(query).fetchone()[1]


def test_named_queries_read_the_files_of_their_date_alone(catalog):
    for month in range(1, 5):
        connection = catalog(chain(2), day=f"2026-{month:02}-01", graph=True)
    for query in (
        "ancestors('c2', '2026-03-01')",
        "descendants('c0', '2026-03-01')",
        "licence_conflicts('2026-03-01')",
        "neighbours('model', 'c1', '2026-03-01')",
    ):
        plan = connection.execute(f"EXPLAIN FROM {query}").fetchone()[1]
        scanned = re.findall(r"Scanning Files: (\d+/\d+)", plan)
        assert scanned, query
        assert set(scanned) == {"1/4"}, query


def test_a_column_that_later_snapshots_have_is_null_in_earlier_ones(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    warehouse.write("a/b", "2026-01-01", pl.DataFrame({"x": [1]}))
    warehouse.write("a/b", "2026-01-02", pl.DataFrame({"y": ["new"], "x": [2]}))
    build_catalog(tmp_path, ["a/b"])
    with duckdb.connect(str(tmp_path / CATALOG), read_only=True) as connection:
        rows = connection.execute("SELECT x, y FROM a.b ORDER BY x").fetchall()
    assert rows == [(1, None), (2, "new")]


def test_without_tables_there_is_a_catalog_with_the_licences_and_nothing_else(tmp_path):
    assert build_catalog(tmp_path, TABLES) == {}
    with duckdb.connect(str(tmp_path / CATALOG), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM licence").fetchall() == [(len(LICENCES),)]
        with pytest.raises(duckdb.CatalogException):
            connection.execute("FROM ancestors('a', '2026-01-01')")


def test_a_query_is_there_as_soon_as_its_tables_are(tmp_path):
    def names():
        existing = {table for table in TABLES if Warehouse(root=str(tmp_path)).dates(table)}
        return {query.name.split("(")[0] for query in queries(existing)}

    warehouse = Warehouse(root=str(tmp_path))
    assert names() == {"licence"}
    store_verified(warehouse, DAY, [], only=LINEAGE)
    assert names() == {"licence", "lineage", "ancestors", "descendants"}
    store_graph(warehouse, DAY, {}, [])
    assert names() == {
        "licence", "lineage", "ancestors", "descendants", "neighbours", "licence_conflicts",
    }  # fmt: skip
    build_catalog(tmp_path, TABLES)


# --- ancestors and descendants -------------------------------------------------------------------


def test_ancestors_come_with_depth_relation_and_the_path_to_them(catalog):
    connection = catalog([("base", FINETUNE, "tuned"), ("tuned", QUANTIZED, "small")])
    assert ancestors(connection, "small") == [
        ("tuned", 1, QUANTIZED, ["small", "tuned"]),
        ("base", 2, FINETUNE, ["small", "tuned", "base"]),
    ]
    assert descendants(connection, "base") == [
        ("tuned", 1, FINETUNE, ["base", "tuned"]),
        ("small", 2, QUANTIZED, ["base", "tuned", "small"]),
    ]
    assert ancestors(connection, "base") == descendants(connection, "small") == []
    assert ancestors(connection, "no/such-model") == []


def test_only_the_lineage_of_the_date_is_walked(catalog):
    catalog([("a", FINETUNE, "b")], day=DAY)
    connection = catalog([("x", FINETUNE, "b")], day=NEXT_DAY)
    assert [row[0] for row in ancestors(connection, "b", DAY)] == ["a"]
    assert [row[0] for row in ancestors(connection, "b", NEXT_DAY)] == ["x"]
    assert ancestors(connection, "b", "2020-01-01") == []


def test_a_merge_has_all_its_bases_and_the_shortest_path_to_a_common_one(catalog):
    connection = catalog(
        [("root", FINETUNE, "left"), ("root", FINETUNE, "right"), ("root", QUANTIZED, "merged"),
         ("left", "model_merge_model", "merged"), ("right", "model_merge_model", "merged")]
    )  # fmt: skip
    assert ancestors(connection, "merged") == [
        ("left", 1, "model_merge_model", ["merged", "left"]),
        ("right", 1, "model_merge_model", ["merged", "right"]),
        ("root", 1, QUANTIZED, ["merged", "root"]),
    ]


def test_a_pair_that_two_relations_link_comes_once(catalog):
    connection = catalog([("a", FINETUNE, "b"), ("a", QUANTIZED, "b"), ("b", FINETUNE, "c")])
    assert [row[:3] for row in ancestors(connection, "c")] == [
        ("b", 1, FINETUNE), ("a", 2, FINETUNE),
    ]  # fmt: skip


def test_cycles_end_the_walk_and_a_model_is_not_its_own_ancestor(catalog):
    ring = [("a", FINETUNE, "b"), ("b", FINETUNE, "c"), ("c", FINETUNE, "a")]
    connection = catalog([*ring, ("a", QUANTIZED, "q"), ("x", FINETUNE, "y"), ("y", FINETUNE, "x")])
    assert [row[:2] for row in ancestors(connection, "q")] == [("a", 1), ("c", 2), ("b", 3)]
    assert [row[:2] for row in ancestors(connection, "a")] == [("c", 1), ("b", 2)]
    assert [row[:2] for row in descendants(connection, "a")] == [("b", 1), ("q", 1), ("c", 2)]
    assert [row[0] for row in ancestors(connection, "x")] == ["y"]


def ladder(rungs):
    """Diamonds one below the other: 2 ** rungs paths from top to bottom."""
    return [(f"{a}{i}", FINETUNE, f"{b}{i + 1}") for i in range(rungs) for a in "xy" for b in "xy"]


def test_diamonds_with_more_paths_than_could_ever_be_walked_take_no_time(catalog):
    connection = catalog([*ladder(64), ("x64", FINETUNE, "x0")])
    started = time.perf_counter()
    found = ancestors(connection, "x64")
    assert len(found) == 128
    assert max(row[1] for row in found) == 64
    assert next(row for row in found if row[0] == "y0")[3] == [
        "x64", *(f"x{i}" for i in range(63, 0, -1)), "y0",
    ]  # fmt: skip
    assert len(descendants(connection, "x0")) == 128
    assert time.perf_counter() - started < 10


def test_a_chain_of_two_hundred_models_is_walked_to_its_end(catalog):
    connection = catalog(chain(200))
    found = ancestors(connection, "c200")
    assert [row[1] for row in found] == list(range(1, 201))
    assert found[-1][3] == [f"c{i}" for i in range(200, -1, -1)]
    assert descendants(connection, "c0")[-1][:2] == ("c200", 200)


def test_ids_are_data_whatever_they_hold(catalog):
    odd = "it's; DROP VIEW lineage --"
    connection = catalog([(odd, FINETUNE, 'b"c')])
    assert [row[0] for row in ancestors(connection, 'b"c')] == [odd]
    assert [row[0] for row in descendants(connection, odd)] == ['b"c']


# --- neighbours ----------------------------------------------------------------------------------


def test_neighbours_are_the_edges_of_one_node_in_both_directions(catalog):
    things = {
        "model": {"a/x": {}, "a/y": {}},
        "space": {"a/x": {}},
        "user": {"ada": {}},
        "task": {"translation": {}},
    }
    triples = [
        ("a/x", FINETUNE, "a/y"), ("ada", "user_like_model", "a/x"),
        ("ada", "user_like_space", "a/x"), ("a/x", "space_use_model", "a/x"),
        ("a/x", "model_definedFor_task", "translation"),
    ]  # fmt: skip
    connection = catalog(triples, things=things, graph=True)

    def neighbours(*node):
        return connection.execute("FROM neighbours(?, ?, ?)", [*node, DAY]).fetchall()

    assert neighbours("model", "a/x") == [
        ("in", "space_use_model", "space", "a/x"),
        ("in", "user_like_model", "user", "ada"),
        ("out", "model_definedFor_task", "task", "translation"),
        ("out", "model_finetune_model", "model", "a/y"),
    ]
    assert neighbours("space", "a/x") == [
        ("in", "user_like_space", "user", "ada"),
        ("out", "space_use_model", "model", "a/x"),
    ]
    assert neighbours("model", "ada") == []


# --- licences ------------------------------------------------------------------------------------


def conflicts(connection, day=DAY):
    return connection.execute("FROM licence_conflicts(?)", [day]).fetchall()


def licensed(**licences):
    return {id: {"license": licence} for id, licence in licences.items()}


@pytest.mark.parametrize(
    ("base", "derived", "reason"),
    [
        ("apache-2.0", "cc-by-nc-4.0", None),
        ("mit", "gpl-3.0", None),
        ("cc-by-nc-4.0", "cc-by-nc-4.0", None),
        ("cc-by-nc-4.0", "mit", "non_commercial"),
        ("cc-by-nc-4.0", "llama3", "non_commercial"),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", None),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", "copyleft_dropped"),
        ("cc-by-nc-sa-4.0", "cc-by-sa-4.0", "non_commercial"),
        ("cc-by-nd-4.0", "cc-by-nd-4.0", "no_derivatives"),
        ("cc-by-nc-nd-4.0", "mit", "no_derivatives"),
        ("cc-by-nd-4.0", None, "no_derivatives"),
        ("cc-by-nd-4.0", "other", "no_derivatives"),
        ("llama3.1", "apache-2.0", "use_restrictions_dropped"),
        ("gemma", "gemma", None),
        ("llama2", "openrail", None),
        ("creativeml-openrail-m", "cc-by-nc-4.0", "use_restrictions_dropped"),
        ("intel-research", "cc-by-nc-4.0", "use_restrictions_dropped"),
        ("gpl-3.0", "mit", "copyleft_dropped"),
        ("gpl-3.0", "lgpl-3.0", "copyleft_dropped"),
        ("agpl-3.0", "gpl-3.0", None),
        ("mpl-2.0", "bsd-3-clause", "copyleft_dropped"),
        ("lgpl-3.0", "gpl-3.0", None),
        ("cc-by-sa-4.0", "cc-by-nc-sa-4.0", "copyleft_restricted"),
        ("cc-by-sa-4.0", "llama3", "copyleft_dropped"),
        ("cc-by-nc-4.0", None, None),
        ("gpl-3.0", "other", None),
        ("other", "mit", None),
        ("unknown", "cc-by-nc-4.0", None),
        (None, "mit", None),
        ("a-licence-of-tomorrow", "mit", None),
    ],
)
def test_licences_of_a_base_and_a_derived_model_contradict_by_the_rules(
    catalog, base, derived, reason
):
    connection = catalog([("b", FINETUNE, "d")], licensed(b=base, d=derived))
    expected = [("b", base, "d", derived, reason, True, ["b", "d"])] if reason else []
    assert conflicts(connection) == expected


def test_a_licence_that_says_nothing_lifts_no_condition(catalog):
    triples = [("b", FINETUNE, "none"), ("none", FINETUNE, "other"), ("other", QUANTIZED, "d")]
    models = licensed(b="cc-by-nc-4.0", none=None, other="other", d="apache-2.0")
    assert conflicts(catalog(triples, models)) == [
        ("b", "cc-by-nc-4.0", "d", "apache-2.0", "non_commercial", True,
         ["b", "none", "other", "d"]),
    ]  # fmt: skip


def test_a_contradiction_is_told_where_it_comes_in_and_not_again_below(catalog):
    models = licensed(c0="llama2", c1="mit", c2="mit", c3="mit")
    assert [row[6] for row in conflicts(catalog(chain(3), models))] == [["c0", "c1"]]


def test_each_base_of_a_merge_is_judged_by_itself(catalog):
    triples = [(base, "model_merge_model", "m") for base in ("free", "nc", "gpl")]
    models = licensed(free="mit", nc="cc-by-nc-4.0", gpl="gpl-3.0", m="apache-2.0")
    assert [(row[0], row[4]) for row in conflicts(catalog(triples, models))] == [
        ("gpl", "copyleft_dropped"), ("nc", "non_commercial"),
    ]  # fmt: skip


def test_of_licences_above_an_unlicensed_base_the_nearest_of_each_kind_is_told(catalog):
    triples = [
        ("nc1", FINETUNE, "top"), ("nc2", FINETUNE, "top"), ("gpl", FINETUNE, "top"),
        ("top", FINETUNE, "low"), ("nc9", FINETUNE, "low"), ("low", FINETUNE, "d"),
    ]  # fmt: skip
    models = licensed(
        nc1="cc-by-nc-4.0", nc2="cc-by-nc-3.0", nc9="cc-by-nc-2.0", gpl="gpl-3.0", d="mit"
    )
    assert [(row[0], row[6]) for row in conflicts(catalog(triples, models))] == [
        ("gpl", ["gpl", "top", "low", "d"]),
        ("nc9", ["nc9", "low", "d"]),
    ]


def test_models_of_one_author_are_marked(catalog):
    models = {
        "a/b": {"license": "gemma", "author": "a"},
        "a/d": {"license": "mit", "author": "a"},
        "x/d": {"license": "mit", "author": "x"},
    }
    connection = catalog([("a/b", FINETUNE, "a/d"), ("a/b", FINETUNE, "x/d")], models)
    assert [(row[2], row[5]) for row in conflicts(connection)] == [("a/d", True), ("x/d", False)]


def test_licence_conflicts_end_on_cycles_and_diamonds_without_licences(catalog):
    ring = [("r0", FINETUNE, "r1"), ("r1", FINETUNE, "r2"), ("r2", FINETUNE, "r0")]
    models = licensed(x0="cc-by-nc-4.0", x40="mit", r0="gpl-3.0", r2="mit")
    started = time.perf_counter()
    found = conflicts(catalog([*ladder(40), *ring], models))
    assert [(row[0], row[2], len(row[6])) for row in found] == [("r0", "r2", 3), ("x0", "x40", 41)]
    assert time.perf_counter() - started < 10


def test_every_reason_can_occur_and_is_told_in_the_documentation():
    text = DOCUMENT.read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| `{rule.reason}` |" in text
        assert rule.description[4:].rstrip(".") in text


def test_every_licence_id_is_declared_once_with_the_kind_of_its_hardest_condition():
    kinds = {name: LICENCES[name].kind for name in (
        "mit", "lgpl-3.0", "agpl-3.0", "llama3", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "other",
    )}  # fmt: skip
    assert list(kinds.values()) == [
        "permissive", "weak_copyleft", "strong_copyleft", "use_restricted", "non_commercial",
        "no_derivatives", "unknown",
    ]  # fmt: skip
    assert set(LICENSES) <= set(LICENCES)


# --- a whole snapshot ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """A connection to the catalog of two small snapshots of the sample Hub."""
    root = tmp_path_factory.mktemp("snapshots")
    environment = {"HFKG_ROOT": str(root), "HFKG_SAMPLE_REPOSITORIES": "300"}
    job = build_defs(environment).resolve_job_def("snapshot")
    for day in ("2026-09-01", DAY):
        job.execute_in_process(partition_key=day, instance=dg.DagsterInstance.ephemeral())
    with duckdb.connect(str(root / CATALOG), read_only=True) as connection:
        yield connection


BLOCKS = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_every_query_of_the_documentation_runs_and_finds_something(snapshots):
    assert len(BLOCKS) > 10
    for block in BLOCKS:
        found = snapshots.execute(block).fetchall()
        assert found or block.startswith("SET VARIABLE"), block


@pytest.mark.slow
def test_every_stored_table_of_a_snapshot_is_a_view_of_its_layer(snapshots):
    found = snapshots.execute(
        "SELECT table_schema, table_name FROM information_schema.tables"
    ).fetchall()
    views = {f"{schema}/{name}" for schema, name in found}
    keys = build_defs({}).resolve_asset_graph().get_all_asset_keys()
    layers = ("hub", "entity", "relation", "verified", "rejected", "graph")
    assert {"/".join(key.path) for key in keys if key.path[0] in layers} <= views


@pytest.mark.slow
def test_ancestors_and_descendants_of_a_snapshot_are_each_others_inverse(snapshots):
    def pairs(query):
        models = snapshots.execute(
            "SELECT base FROM lineage WHERE snapshot_date = ? UNION "
            "SELECT derived FROM lineage WHERE snapshot_date = ?", [DAY, DAY],
        ).fetchall()  # fmt: skip
        return {
            (model, id, depth)
            for (model,) in sorted(models)[::20]
            for id, depth, *_ in snapshots.execute(f"FROM {query}(?, ?)", [model, DAY]).fetchall()
        }

    for model, id, depth in pairs("ancestors"):
        found = snapshots.execute("FROM descendants(?, ?)", [id, DAY]).fetchall()
        assert (model, depth) in {row[:2] for row in found}


@pytest.mark.slow
def test_every_path_of_a_licence_conflict_is_made_of_lineage_edges(snapshots):
    edges = set(snapshots.execute(
        "SELECT base, derived FROM lineage WHERE snapshot_date = ?", [DAY]
    ).fetchall())  # fmt: skip
    found = conflicts(snapshots)
    assert found
    for base, _, derived, *_, path in found:
        assert (path[0], path[-1]) == (base, derived)
        assert set(pairwise(path)) <= edges
