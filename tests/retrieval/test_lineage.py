"""Lineage of one model: trees, counts, paths; cycles, double edges and odd names included."""

import pytest

from hfkg_assets.retrieval.answers import NotMade, UnknownId
from hfkg_assets.retrieval.lineage import LineageGraph
from hfkg_resources.warehouse import Warehouse
from tests.retrieval.small_store import DAY, LIKES, ODD, write_store


@pytest.fixture(scope="module")
def lineages(tmp_path_factory):
    return LineageGraph(write_store(tmp_path_factory.mktemp("store")))


def outline(relative):
    """A tree as nested tuples of id and relation."""
    return (relative.id, relative.relation, [outline(below) for below in relative.relatives])


def test_descendants_are_a_tree_with_the_most_liked_first(lineages):
    tree = lineages.tree("old/base", depth=1).descendants
    assert outline(tree) == (
        "old/base",
        None,
        [("old/tuned", "model_finetune_model", []), (ODD, "model_merge_model", [])],
    )
    assert tree.relatives[0].facts["likes"] == LIKES["old/tuned"]


def test_ancestors_are_a_tree_and_both_bases_of_a_merge_are_in_it(lineages):
    tree = lineages.tree("fast/tuned-GGUF", depth=3).ancestors
    (tuned,) = tree.relatives
    assert tuned.relation == "model_quantized_model"
    assert {base.id for base in tuned.relatives} == {"old/base", ODD}
    (odd,) = [base for base in tuned.relatives if base.id == ODD]
    assert {base.id: base.repeated for base in odd.relatives} == {
        "old/base": True, "old/tuned": True, "new/base": False,
    }  # fmt: skip


def test_a_cycle_ends_where_it_closes(lineages):
    tree = lineages.tree("old/tuned", depth=10).descendants
    (odd,) = [below for below in tree.relatives if below.id == ODD]
    (again,) = odd.relatives
    assert (again.id, again.repeated, again.relatives) == ("old/tuned", True, ())


def test_counts_tell_all_relatives_however_small_the_tree(lineages):
    found = lineages.tree("old/base", depth=1, breadth=1)
    assert (found.ancestor_count, found.descendant_count) == (0, 3)
    assert [below.id for below in found.descendants.relatives] == ["old/tuned"]
    assert found.descendants.more == 1
    # What lies beyond the last step is counted where it is cut.
    assert found.descendants.relatives[0].more == 2


def test_a_model_without_relatives_stands_alone(lineages):
    found = lineages.tree("lone/model")
    assert found.ancestors.relatives == found.descendants.relatives == ()
    assert found.ancestors.facts["licence"] == "mit"
    assert lineages.ancestors("lone/model") == []


def test_ancestors_come_from_near_to_far_each_by_a_shortest_path(lineages):
    steps = lineages.ancestors("fast/tuned-GGUF")
    assert [step.depth for step in steps] == sorted(step.depth for step in steps)
    assert {step.id: step.depth for step in steps} == {
        "old/tuned": 1, "old/base": 2, ODD: 2, "new/base": 3,
    }  # fmt: skip
    (far,) = [step for step in steps if step.id == "new/base"]
    assert far.path == (
        "fast/tuned-GGUF", "model_quantized_model", "old/tuned", "model_finetune_model", ODD,
        "model_merge_model", "new/base",
    )  # fmt: skip
    assert far.relation == "model_merge_model"


@pytest.mark.parametrize("ask", ["tree", "ancestors"])
def test_an_unknown_model_is_an_error_that_names_near_ones(lineages, ask):
    with pytest.raises(UnknownId, match=r"holds no model 'old/bsae'; did you mean old/base"):
        getattr(lineages, ask)("old/bsae")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "x" * 10_000, "a\0b", "'; drop table--"])
def test_any_text_may_be_asked_for(lineages, name):
    with pytest.raises(UnknownId) as raised:
        lineages.tree(name)
    assert len(str(raised.value)) < 500


def test_without_a_snapshot_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(NotMade, match="hfkg run"):
        LineageGraph(Warehouse(root=str(tmp_path)))


def test_a_date_without_a_snapshot_is_an_error_that_names_it(tmp_path):
    warehouse = write_store(tmp_path)
    assert LineageGraph(warehouse, DAY).snapshot == DAY
    with pytest.raises(NotMade, match="2025-01-01"):
        LineageGraph(warehouse, "2025-01-01")
