"""The graph, its statistics and the catalog."""

import duckdb
import polars as pl
import pytest

from hfkg_assets.knowledge_graph.catalog import CATALOG, build_catalog
from hfkg_assets.knowledge_graph.graph import EDGE, NODE, edges, nodes
from hfkg_assets.knowledge_graph.statistics import as_markdown, statistics
from hfkg_assets.knowledge_graph.verification import OBSERVED, REASON
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse


@pytest.fixture
def entities():
    """Two things of each type, ids chosen so that the same id occurs in several types."""
    return {
        name: pl.LazyFrame({"id": ["a", "b"]}, schema={"id": pl.String}).with_columns(
            pl.lit(None, dtype=column.dtype).alias(column.name)
            for column in entity.columns
            if column.name != "id"
        )
        for name, entity in ENTITIES.items()
    }


@pytest.fixture
def verified():
    """One edge per relation, from the first subject to the second object."""
    return {
        name: pl.LazyFrame(
            [{"subject_id": "a", "object_id": "b"}],
            schema=schema_of((*relation.columns, *OBSERVED)),
        )
        for name, relation in RELATIONS.items()
    }


def test_node_ids_are_dense_from_zero_by_type_and_id(entities):
    node = nodes(entities).collect()
    assert node.schema == schema_of(NODE)
    assert node["node_id"].to_list() == list(range(16))
    assert node["type"].unique(maintain_order=True).to_list() == list(ENTITIES)
    assert node.filter(type="user")["id"].to_list() == ["a", "b"]


def test_every_verified_relation_becomes_edges_between_nodes_of_its_types(entities, verified):
    node = nodes(entities)
    edge = edges(node, verified).collect()
    assert edge.schema == schema_of(EDGE)
    assert edge["relation"].to_list() == list(RELATIONS)
    ends = node.collect().select("node_id", "type", "id")
    joined = edge.join(ends, left_on="source", right_on="node_id").join(
        ends, left_on="target", right_on="node_id", suffix="_object"
    )
    for row in joined.iter_rows(named=True):
        relation = RELATIONS[row["relation"]]
        assert (row["type"], row["id"]) == (relation.subject, "a")
        assert (row["type_object"], row["id_object"]) == (relation.object, "b")


def test_statistics_count_nodes_edges_and_rejects_and_set_them_beside_2024(entities, verified):
    rejected = {
        name: pl.LazyFrame(schema=schema_of((*relation.columns, *OBSERVED, REASON)))
        for name, relation in RELATIONS.items()
    }
    name = "model_merge_model"
    rejected[name] = pl.LazyFrame({"reason": ["duplicate", "duplicate", "self_loop"]})
    node = nodes(entities)
    table = statistics(node, edges(node, verified), rejected)
    assert table.height == 38
    merge = table.row(by_predicate=pl.col("name") == name, named=True)
    assert (merge["count"], merge["observed"]) == (1, 4)
    assert (merge["duplicate"], merge["self_loop"], merge["subject_missing"]) == (2, 1, 0)
    assert merge["huggingkg_2024"] == 20_003
    assert "| **all** | 16 | 2,614,270 |" in as_markdown(table, "entity")
    assert "| **all** | 30 | 6,246,353 |" in as_markdown(table, "relation")


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
