"""The message graph: documents first, no task in it, every edge with the moment it holds from."""

import polars as pl
import pytest

from hfkg_assets.classification import graph as G
from hfkg_assets.knowledge_graph.graph import EDGE, NODE
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of
from tests.classification.random_graphs import moment, random_graph

SEEDS = range(5)
EARLY, LATE, CHANGED, LIKED = map(moment, ("2023-01-01", "2024-02-01", "2024-06-01", "2024-07-01"))


def test_no_relation_of_the_graph_has_a_task_for_an_end_and_every_other_relation_is_in_it():
    for name in G.EDGE_RELATIONS:
        assert "task" not in (RELATIONS[name].subject, RELATIONS[name].object)
    assert len(set(G.EDGE_RELATIONS)) == len(G.EDGE_RELATIONS)
    left = set(RELATIONS) - set(G.EDGE_RELATIONS)
    assert left == {"model_definedFor_task", "dataset_definedFor_task"}


def test_types_of_edges_between_documents_come_first():
    for position, name in enumerate(G.EDGE_RELATIONS):
        between = {RELATIONS[name].subject, RELATIONS[name].object} <= set(G.DOCUMENT_KINDS)
        assert between == (position < G.DOCUMENT_RELATIONS)


def test_every_kind_of_entity_but_tasks_is_a_kind_of_node_and_documents_come_first():
    assert set(G.NODE_KINDS) == set(ENTITIES) - {"task"}
    assert G.NODE_KINDS[:2] == ("dataset", "model")


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_are_the_documents_by_kind_and_id_and_then_their_context(seed):
    drawn = random_graph(seed)
    nodes = drawn.nodes
    assert nodes.schema == schema_of(G.NODE)
    assert nodes["node"].to_list() == list(range(nodes.height))
    documents = nodes.head(drawn.documents.height)
    assert documents.equals(drawn.documents)
    for part in (documents, nodes.slice(documents.height)):
        assert part.equals(part.sort("kind", "id"))
    expected = drawn.graph_nodes.filter(pl.col("type") != "task")
    assert set(nodes.select("kind", "id").iter_rows()) == set(
        expected.select("type", "id").iter_rows()
    )
    assert nodes.filter(~pl.col("kind").is_in(G.DOCUMENT_KINDS))["text_at"].null_count() == (
        nodes.height - documents.height
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_edges_join_the_same_entities_as_in_the_whole_graph_in_order(seed):
    drawn = random_graph(seed)
    assert drawn.edges.schema == schema_of(G.MESSAGE_GRAPH)
    ids = drawn.nodes.select(pl.concat_str("kind", "id", separator=" ")).to_series()
    whole = drawn.graph_nodes.select(pl.concat_str("type", "id", separator=" ")).to_series()

    def named(edges, names):
        return [
            (relation, names[source], names[target])
            for source, target, relation in edges.select("source", "target", "relation").rows()
        ]

    kept = drawn.graph_edges.filter(pl.col("relation").is_in(G.EDGE_RELATIONS))
    assert sorted(named(drawn.edges, ids)) == sorted(named(kept, whole))
    position = pl.col("relation").replace_strict(
        {name: i for i, name in enumerate(G.EDGE_RELATIONS)}
    )
    assert drawn.edges.equals(drawn.edges.sort(position, "source", "target"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_edge_holds_before_the_documents_it_joins_exist(seed):
    drawn = random_graph(seed)
    created = dict(drawn.documents.select("node", "created_at").iter_rows())
    dated = drawn.edges.drop_nulls("valid_from")
    assert dated.height > 100
    for source, target, _, valid_from in dated.iter_rows():
        for end in {source, target} & set(created):
            assert created[end] is not None
            assert valid_from >= created[end]


def edge_between(relation, subject, object_, liked_at=None):
    """When one edge holds from; each end is (creation, last change)."""
    relation = RELATIONS[relation]
    ends = [(relation.subject, "a/subject", *subject), (relation.object, "b/object", *object_)]
    order = sorted(ends, key=lambda end: list(ENTITIES).index(end[0]))
    rows = [(number, *end) for number, end in enumerate(order)]
    number = {row[2]: row[0] for row in rows}
    edge = {
        "source": number["a/subject"],
        "target": number["b/object"],
        "relation": relation.name,
        "liked_at": liked_at,
    }
    edges = G.message_edges(
        pl.DataFrame(rows, schema_of(NODE), orient="row"), pl.DataFrame([edge], schema_of(EDGE))
    )
    return edges["valid_from"].item()


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("model_finetune_model", LATE),
        ("model_trainedOrFineTunedOn_dataset", LATE),
        ("dataset_cite_paper", LATE),
        ("user_publish_model", LATE),
        ("org_publish_space", LATE),
        ("user_own_collection", CHANGED),
        ("collection_contain_model", CHANGED),
        ("space_use_dataset", CHANGED),
        ("user_like_model", LIKED),
        ("user_follow_user", None),
        ("user_follow_org", None),
        ("user_affiliatedWith_org", None),
    ],
)
def test_an_edge_holds_from_the_last_moment_at_which_it_can_have_come_about(relation, expected):
    assert edge_between(relation, (EARLY, CHANGED), (LATE, CHANGED), LIKED) == expected


@pytest.mark.parametrize(
    ("relation", "subject", "object_"),
    [
        ("model_finetune_model", (None, CHANGED), (LATE, CHANGED)),
        ("model_finetune_model", (EARLY, CHANGED), (None, CHANGED)),
        ("user_publish_model", (EARLY, None), (None, CHANGED)),
        ("collection_contain_model", (None, None), (LATE, CHANGED)),
        ("user_like_model", (EARLY, None), (LATE, CHANGED)),
    ],
)
def test_an_edge_has_no_date_where_what_dates_it_is_unknown(relation, subject, object_):
    assert edge_between(relation, subject, object_) is None


def test_an_account_of_unknown_age_was_there_when_it_published():
    assert edge_between("user_publish_model", (None, None), (LATE, CHANGED)) == LATE


def test_an_empty_graph_gives_empty_tables():
    nodes, edges = pl.DataFrame(schema=schema_of(NODE)), pl.DataFrame(schema=schema_of(EDGE))
    assert G.node_table(nodes).schema == schema_of(G.NODE)
    assert G.message_edges(nodes, edges).schema == schema_of(G.MESSAGE_GRAPH)
