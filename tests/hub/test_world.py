"""The sample world written straight as raw tables: the same rows as a crawl of it gives."""

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from hfkg_assets.definitions import build_defs
from hfkg_assets.hub.crawl import TABLES
from hfkg_assets.hub.world import RAW, world_tables
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.hub.conftest import DAY
from tests.hub.snapshots import crawl_snapshot, observed

MORE_THAN_ANSWERS_TELL = {
    "accounts": ("createdAt", "numFollowers", "only_likes"),
    "collections": ("accounts", "is_complete"),
    "likers": ("liked_at",),
    "papers": ("authors",),
}
"""Columns that the world fills where an answer says nothing; or, with `accounts`, says it twice."""

NOT_WRITTEN = ("model_cards", "dataset_cards", "crawl_plan")


@pytest.fixture(scope="module")
def crawled(world, server, tmp_path_factory):
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("crawled")))
    crawl_snapshot(warehouse, server.url, str(DAY), refresh_days=0)
    return warehouse


@pytest.fixture(scope="module")
def tables(world):
    return world_tables(world, DAY)


def test_every_raw_table_is_there_with_its_declared_columns(tables):
    assert list(tables) == list(RAW)
    assert set(RAW) == set(TABLES)
    for name, table in TABLES.items():
        assert tables[name].collect_schema() == schema_of(tuple(table.columns)), name


@pytest.mark.parametrize("name", [name for name in RAW if name not in NOT_WRITTEN])
def test_a_table_has_the_rows_that_a_crawl_gives(name, tables, crawled):
    there = observed(crawled, name, str(DAY))
    ours = tables[name].select(there.columns).collect()
    left_out = MORE_THAN_ANSWERS_TELL.get(name, ())
    assert there.height
    keys = [c for c in there.columns if there.schema[c] == pl.String]
    assert_frame_equal(
        ours.drop(left_out).sort(keys), there.drop(left_out).sort(keys), check_row_order=True
    )


def test_authors_of_papers_are_those_of_a_crawl(tables, crawled):
    def authors(frame):
        rows = frame.select("id", "authors").explode("authors").unnest("authors")
        return rows.select("id", "name", "user", "status")

    there = authors(observed(crawled, "papers", str(DAY)))
    assert_frame_equal(authors(tables["papers"]).collect(), there)


@pytest.mark.parametrize("name", NOT_WRITTEN)
def test_card_texts_and_a_plan_are_left_out(name, tables):
    assert tables[name].collect().is_empty()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    settings = {
        "HFKG_SOURCE": "world", "HFKG_SAMPLE_REPOSITORIES": "300", "HFKG_ROOT": str(root)
    }  # fmt: skip
    result = (
        build_defs(settings)
        .resolve_job_def("snapshot")
        .execute_in_process(partition_key=str(DAY), instance=dg.DagsterInstance.ephemeral())
    )
    return result, Warehouse(root=str(root))


def test_with_the_source_world_the_snapshot_job_needs_no_crawl(snapshot):
    result, warehouse = snapshot
    assert result.success
    assert warehouse.scan("graph/edge", DAY).select(pl.len()).collect().item() > 1_000
    coverage = warehouse.scan("hub/coverage", DAY).collect()
    assert coverage["requests"].sum() == 0
    assert coverage["rows"].sum() == coverage["expected"].sum() > 0


def test_what_the_checks_of_a_crawl_say_holds_for_the_world_too(snapshot):
    result, _ = snapshot
    failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
    assert failed <= {"lists_agree_with_counters", "rejected_share"}


def test_the_world_is_taken_in_whole():
    with pytest.raises(ValidationError, match="HFKG_SCOPE='limit:5' is not allowed"):
        build_defs({"HFKG_SOURCE": "world", "HFKG_SCOPE": "limit:5"})
