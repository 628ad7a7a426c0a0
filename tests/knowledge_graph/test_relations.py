"""How each rule reads assertions out of raw tables, traps included."""

import polars as pl
import pytest

from hfkg_assets.hub import observations as raw
from hfkg_assets.knowledge_graph.relations import observe
from hfkg_assets.vocabulary import RELATIONS
from hfkg_resources.table_schema import schema_of


def table(columns, rows):
    return pl.LazyFrame(rows, schema=schema_of(columns))


def models(*rows):
    return table(raw.MODELS, [{"likes": 0, **row} for row in rows])


def pairs(name, **tables):
    frame = observe(
        RELATIONS[name], {f"hub/{key}": value for key, value in tables.items()}
    ).collect()
    return [tuple(row) for row in frame.select("subject_id", "object_id").iter_rows()]


TAGS = table(
    raw.TAGS,
    [
        {"kind": "model", "type": "pipeline_tag", "id": "text-generation"},
        {"kind": "model", "type": "pipeline_tag", "id": "translation"},
        {"kind": "dataset", "type": "task_categories", "id": "task_categories:summarization"},
    ],
)


def test_lineage_points_from_base_to_derived_and_two_part_tags_say_no_relation():
    listing = models(
        {"id": "a/tuned", "tags": ["base_model:a/base", "base_model:finetune:a/base"]},
        {"id": "a/half", "tags": ["base_model:a/base"]},
        {"id": "a/mix", "tags": ["base_model:merge:a/x", "base_model:merge:a/y"]},
    )
    assert pairs("model_finetune_model", models=listing) == [("a/base", "a/tuned")]
    assert pairs("model_merge_model", models=listing) == [("a/x", "a/mix"), ("a/y", "a/mix")]
    assert pairs("model_adapter_model", models=listing) == []


def test_a_bare_canonical_id_is_a_reference_like_any_other():
    listing = models({"id": "gpt-tiny", "tags": ["dataset:squad-ish"]})
    assert pairs("model_trainedOrFineTunedOn_dataset", models=listing) == [
        ("gpt-tiny", "squad-ish")
    ]


def test_arxiv_tags_are_observed_with_their_version_and_boilerplate_is_flagged():
    listing = models({"id": "a/m", "tags": ["arxiv:2401.00001v2", "arxiv:1910.09700"]})
    frame = observe(RELATIONS["model_cite_paper"], {"hub/models": listing}).collect()
    assert frame.rows() == [("a/m", "2401.00001v2", False), ("a/m", "1910.09700", True)]


def test_a_model_is_defined_for_its_pipeline_tag_and_for_every_tag_that_is_a_task_once():
    listing = models(
        {
            "id": "a/m",
            "pipeline_tag": "text-generation",
            "tags": ["text-generation", "translation", "summarization", "en"],
        },
        {"id": "a/none", "tags": ["en"]},
    )
    assert pairs("model_definedFor_task", models=listing, tags=TAGS) == [
        ("a/m", "text-generation"),
        ("a/m", "translation"),
    ]


def test_a_space_without_models_or_with_an_empty_list_uses_none():
    spaces = table(
        raw.SPACES,
        [
            {"id": "a/s", "likes": 0, "models": ["gpt2", "a/m"]},
            {"id": "a/t", "likes": 0, "models": None},
            {"id": "a/u", "likes": 0, "models": []},
        ],
    )
    assert pairs("space_use_model", spaces=spaces) == [("a/s", "gpt2"), ("a/s", "a/m")]


ACCOUNTS = table(raw.ACCOUNTS, [{"name": "ada", "kind": "user"}, {"name": "acme", "kind": "org"}])


def test_the_publisher_is_the_namespace_even_where_the_author_is_null():
    listing = models(
        {"id": "ada/m", "author": "ada"},
        {"id": "acme/m", "author": None},
        {"id": "gpt-tiny", "author": None},
        {"id": "ghost/m", "author": "ghost"},
    )
    assert pairs("user_publish_model", models=listing, accounts=ACCOUNTS) == [("ada", "ada/m")]
    assert pairs("org_publish_model", models=listing, accounts=ACCOUNTS) == [("acme", "acme/m")]


def test_authors_without_a_linked_user_are_no_assertion_and_the_status_is_kept():
    papers = table(
        raw.PAPERS,
        [
            {
                "id": "2401.00001",
                "authors": [
                    {"name": "Ada", "user": "ada", "status": "claimed_verified"},
                    {"name": "Bob", "user": None, "status": None},
                    {"name": "Eve", "user": "eve", "status": "extracted_pending"},
                ],
            },
            {"id": "2401.00002", "authors": []},
        ],
    )
    frame = observe(RELATIONS["user_publish_paper"], {"hub/papers": papers}).collect()
    assert frame.rows() == [
        ("ada", "2401.00001", "claimed_verified"),
        ("eve", "2401.00001", "extracted_pending"),
    ]


def test_collection_items_keep_position_and_note_and_other_types_are_left_out():
    item = {"_id": "0" * 24, "type": "model", "id": "a/m", "position": 3, "note": "good"}
    collections = table(
        raw.COLLECTIONS,
        [
            {
                "slug": "ada/list-1",
                "owner_name": "ada",
                "owner_type": "user",
                "is_complete": True,
                "items": [item, {**item, "type": "bucket", "id": "a/b"}],
            }
        ],
    )
    tables = {"hub/collections": collections}
    frame = observe(RELATIONS["collection_contain_model"], tables).collect()
    assert frame.rows() == [("ada/list-1", "a/m", 3, "good")]
    assert pairs("collection_contain_space", collections=collections) == []
    assert pairs("user_own_collection", collections=collections) == [("ada", "ada/list-1")]
    assert pairs("org_own_collection", collections=collections) == []


@pytest.mark.parametrize("name", ["user_like_model", "user_like_dataset", "user_like_space"])
def test_likes_are_told_apart_by_the_kind_of_repository(name):
    likers = table(
        raw.LIKERS,
        [
            {"repo_kind": kind, "repo_id": "a/same-name", "user": f"fan-of-{kind}"}
            for kind in ("model", "dataset", "space")
        ],
    )
    assert pairs(name, likers=likers) == [(f"fan-of-{name.split('_')[-1]}", "a/same-name")]


def test_followers_are_told_apart_by_the_kind_of_the_followed():
    followers = table(
        raw.FOLLOWERS,
        [
            {"name": "ada", "kind": "user", "user": "bob"},
            {"name": "acme", "kind": "org", "user": "bob"},
        ],
    )
    assert pairs("user_follow_user", followers=followers) == [("bob", "ada")]
    assert pairs("user_follow_org", followers=followers) == [("bob", "acme")]


def test_a_dataset_task_is_read_without_its_prefix():
    datasets = table(
        raw.DATASETS, [{"id": "a/d", "likes": 0, "tags": ["task_categories:summarization"]}]
    )
    assert pairs("dataset_definedFor_task", datasets=datasets) == [("a/d", "summarization")]


def test_repeated_rows_are_observed_as_often_as_they_occur():
    listing = models({"id": "a/m", "tags": ["dataset:a/d", "dataset:a/d"]})
    assert len(pairs("model_trainedOrFineTunedOn_dataset", models=listing)) == 2
