"""The sample world written straight as raw tables: the same rows as a crawl of it gives."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

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
