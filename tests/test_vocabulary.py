"""The vocabulary is HuggingKG's: 8 entity types, 30 relation types, published counts."""

import re

import pytest

from hfkg_assets import vocabulary as v


def test_there_are_eight_entities_and_thirty_relations():
    assert len(v.ENTITIES) == 8
    assert len(v.RELATIONS) == 30


def test_published_counts_sum_to_huggingkgs_totals():
    assert sum(entity.published for entity in v.ENTITIES.values()) == 2_614_270
    assert sum(relation.published for relation in v.RELATIONS.values()) == 6_246_353


@pytest.mark.parametrize("relation", v.RELATIONS.values(), ids=lambda r: r.name)
def test_a_relations_ends_are_entities_and_its_name_says_the_triple(relation):
    assert relation.subject in v.ENTITIES
    assert relation.object in v.ENTITIES
    short = {"organization": "org"}
    subject, predicate, object_ = relation.name.split("_")
    assert subject == short.get(relation.subject, relation.subject)
    assert predicate == relation.predicate
    assert object_ == short.get(relation.object, relation.object)


def test_lineage_is_the_four_relations_between_models():
    assert v.LINEAGE == (
        "model_adapter_model",
        "model_finetune_model",
        "model_merge_model",
        "model_quantized_model",
    )
    for name in v.LINEAGE:
        assert v.RELATIONS[name].keys == ("base_model_id", "model_id")


@pytest.mark.parametrize(
    ("entity", "good", "bad"),
    [
        ("paper", ["2401.00001", "cs/0112017", "math.GT/0309136"], ["2401.00001v2", "", "10.1/x"]),
        ("model", ["gpt2", "a/b", "a-b/c.d_e"], ["a/b/c", "", "a b/c", "a:b"]),
        ("collection", ["owner/title-64f9a55bb3115b4f513ec026"], ["owner", ""]),
        ("user", ["TheBloke", "nlogn-27"], ["a/b", "", "a b"]),
        ("task", ["text-classification"], ["Text Classification", ""]),
    ],
)
def test_id_patterns_take_well_formed_ids_and_nothing_else(entity, good, bad):
    pattern = re.compile(v.ENTITIES[entity].id_pattern)
    assert all(pattern.search(text) for text in good)
    assert not any(pattern.search(text) for text in bad)
