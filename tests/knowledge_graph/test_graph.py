"""The graph: nodes and edges with dense ids."""

import polars as pl
import pytest

from hfkg_assets.knowledge_graph.graph import EDGE, NODE, StaleVerification, edges, nodes
from hfkg_assets.knowledge_graph.verification import OBSERVED
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of


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


def test_an_edge_to_what_is_no_node_any_more_says_that_verification_is_older(entities, verified):
    gone = verified["user_like_model"].with_columns(object_id=pl.lit("deleted/since"))
    with pytest.raises(StaleVerification, match="verified/user_like_model has 1 edges"):
        edges(nodes(entities), {**verified, "user_like_model": gone})
