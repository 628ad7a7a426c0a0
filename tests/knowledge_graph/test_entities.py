"""Entity tables: one row per id, attributes sorted by kind of tag, dates kept."""

from datetime import UTC, datetime

import polars as pl

from hfkg_assets.hub import observations as raw
from hfkg_assets.knowledge_graph.entities import build_entity
from hfkg_assets.vocabulary import ENTITIES
from hfkg_resources.table_schema import schema_of

MOMENT = datetime(2025, 3, 25, 10, tzinfo=UTC)
TAG_ROWS = [
    ("model", "pipeline_tag", "text-generation", "Text Generation"),
    ("model", "pipeline_tag", "translation", "Translation"),
    ("model", "library", "transformers", "Transformers"),
    ("model", "library", "en", "A library with a language's name"),
    ("model", "language", "en", "English"),
    ("dataset", "task_categories", "task_categories:table-to-text", "Table to Text"),
]
TAGS = pl.LazyFrame(
    [dict(zip(("kind", "type", "id", "label"), row, strict=True)) for row in TAG_ROWS],
    schema=schema_of(raw.TAGS),
)


def table(columns, rows):
    return pl.LazyFrame(rows, schema=schema_of(columns))


def rows(name, *tables):
    return build_entity(ENTITIES[name], *tables).collect().rows(named=True)


def test_tasks_are_the_union_of_task_pages_and_tag_lists_without_prefix():
    pages = table(raw.TASKS, [{"id": "translation", "label": "Translation"}])
    found = rows("task", pages, TAGS)
    assert [row["id"] for row in found] == ["table-to-text", "text-generation", "translation"]


def test_a_models_tags_are_sorted_by_kind_and_one_tag_can_be_of_two():
    listing = table(
        raw.MODELS,
        [
            {
                "_id": "6" * 24,
                "id": "acme/m",
                "author": "acme",
                "likes": 1,
                "createdAt": MOMENT,
                "pipeline_tag": "text-generation",
                "tags": [
                    "transformers", "text-generation", "translation", "en", "license:mit",
                    "region:us", "dataset:a/d", "arxiv:2401.00001", "base_model:a/b", "my, 'tag'",
                ],
            }
        ],
    )  # fmt: skip
    (row,) = rows("model", listing, TAGS)
    assert row["tasks"] == ["text-generation", "translation"]
    assert row["libraries"] == ["transformers", "en"]
    assert row["languages"] == ["en"]
    assert (row["license"], row["region"]) == ("mit", "us")
    assert row["other_tags"] == ["my, 'tag'"]
    assert row["created_at"] == MOMENT


def test_a_bare_id_has_no_author_and_an_author_of_none_is_read_off_the_id():
    listing = table(
        raw.MODELS,
        [
            {"_id": "1" * 24, "id": "gpt-tiny", "author": None, "likes": 0, "tags": []},
            {"_id": "2" * 24, "id": "acme/m", "author": None, "likes": 0, "tags": []},
        ],
    )
    found = {row["id"]: row for row in rows("model", listing, TAGS)}
    assert (found["gpt-tiny"]["author"], found["gpt-tiny"]["name"]) == (None, "gpt-tiny")
    assert (found["acme/m"]["author"], found["acme/m"]["name"]) == ("acme", "m")


def test_space_dates_are_kept():
    listing = table(
        raw.SPACES,
        [{"_id": "1" * 24, "id": "a/s", "likes": 0, "createdAt": MOMENT, "lastModified": MOMENT}],
    )
    (row,) = rows("space", listing)
    assert (row["created_at"], row["last_modified_at"]) == (MOMENT, MOMENT)


def test_rows_of_one_id_become_one_row():
    row = {"_id": "1" * 24, "id": "a/s", "likes": 0}
    assert len(rows("space", table(raw.SPACES, [row, row]))) == 1


def test_users_are_accounts_and_people_seen_as_followers_or_members_but_never_organizations():
    accounts = table(
        raw.ACCOUNTS,
        [{"name": "ada", "kind": "user", "isPro": True}, {"name": "acme", "kind": "org"}],
    )
    followers = table(
        raw.FOLLOWERS,
        [
            {"name": "ada", "kind": "user", "user": "bob", "fullname": "Bob"},
            {"name": "ada", "kind": "user", "user": "acme"},
        ],
    )
    members = table(raw.MEMBERS, [{"org": "acme", "user": name} for name in ("ada", "bob")])
    found = rows("user", accounts, followers, members)
    assert [(row["id"], row["fullname"]) for row in found] == [("ada", None), ("bob", "Bob")]
    assert [row["id"] for row in rows("organization", accounts)] == ["acme"]


def test_papers_keep_author_names_in_order_and_papers_without_authors_stay():
    papers = table(
        raw.PAPERS,
        [
            {"id": "2401.00001", "authors": [{"name": "B", "user": "b"}, {"name": "A"}]},
            {"id": "2401.00002", "authors": []},
        ],
    )
    assert [row["authors"] for row in rows("paper", papers)] == [["B", "A"], []]
