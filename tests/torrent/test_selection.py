"""Which models are downloaded: PTMTorrent's shrinkage, names, or a condition in SQL."""

from pathlib import Path

import polars as pl
import pytest

from hfkg_assets.torrent.selection import BadCondition, fulfilling_models, select_models
from hfkg_assets.torrent.settings import Selection
from hfkg_assets.vocabulary import ENTITIES
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

DAY, OTHER_DAY = "2026-11-24", "2026-11-25"
DOWNLOADS = {"b/two": 5, "a/one": 5, "c/three": 90, "d/four": None, "e/five": 0}


def models(downloads=DOWNLOADS):
    schema = schema_of(ENTITIES["model"].columns)
    rows = [
        {**dict.fromkeys(schema), "id": id, "downloads": count, "license": "mit", "gated": "false"}
        for id, count in downloads.items()
    ]
    return pl.LazyFrame(rows, schema=schema)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    warehouse = Warehouse(root=str(root))
    warehouse.write("entity/model", DAY, models())
    warehouse.write("entity/model", OTHER_DAY, models({"only/later": 1_000}))
    citations = pl.DataFrame({"subject_id": ["a/one"], "object_id": ["2301.00001"]})
    warehouse.write("verified/model_cite_paper", DAY, citations)
    warehouse.write("hub/models", DAY, pl.DataFrame({"id": ["a/one"]}))
    return Path(root)


@pytest.mark.parametrize(("share", "count"), [(1.0, 5), (0.6, 3), (0.59, 2), (0.2, 1), (0.1, 0)])
def test_a_share_is_the_first_int_n_times_s_by_downloads(share, count):
    chosen = select_models(models(), Selection("top", share=share))
    assert chosen["id"].to_list() == ["c/three", "a/one", "b/two", "d/four", "e/five"][:count]
    assert chosen["rank"].to_list() == list(range(1, count + 1))


def test_named_models_come_by_downloads_and_unknown_names_are_left_out():
    chosen = select_models(models(), Selection("ids", ids=("a/one", "no/body", "c/three")))
    assert chosen["id"].to_list() == ["c/three", "a/one"]


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("downloads >= 5", {"a/one", "b/two", "c/three"}),
        ("model.license = 'mit' and id like '%o%'", {"b/two", "a/one", "d/four"}),
        ("id in (select subject_id from verified.model_cite_paper)", {"a/one"}),
        ("false", set()),
        ("true -- a remark", set(DOWNLOADS)),
        ("true or snapshot_date > '2000-01-01'", set(DOWNLOADS)),
    ],
)
def test_a_condition_chooses_among_the_models_of_the_date(root, condition, ids):
    found = fulfilling_models(root, condition, DAY)
    assert set(found) == ids
    chosen = select_models(models(), Selection("sql", condition=condition), found)
    assert set(chosen["id"]) == ids


@pytest.mark.parametrize(
    "condition",
    [
        "downloads >",
        "stars > 5",
        "true; drop view entity.model",
        "id in (select content from read_text('/etc/hostname'))",
        "id in (select id from hub.models)",
        "true) or (true",
    ],
)
def test_what_is_no_condition_or_asks_for_anything_else_is_refused(root, condition):
    with pytest.raises(BadCondition) as refused:
        fulfilling_models(root, condition, DAY)
    assert len(str(refused.value).splitlines()) == 1


def test_a_condition_writes_nothing(root, tmp_path):
    target = tmp_path / "stolen.csv"
    with pytest.raises(BadCondition):
        fulfilling_models(root, f"true; copy (select 1) to '{target}'", DAY)
    assert not target.exists()
