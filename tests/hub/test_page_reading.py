"""Pages of a listing: read at once where all records are sound, else record by record, alike."""

import orjson
import polars as pl
import pytest

from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.listings import EXPAND, parse_repository, repository_reader
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import PageReader, RecordTable

COLUMNS = {"models": raw.MODELS, "datasets": raw.DATASETS, "spaces": raw.SPACES}

SOUND = {
    "_id": "6426d3f3a7723d62b53c259b", "id": "ada/engine", "author": "ada", "likes": 3,
    "createdAt": "2024-12-15T10:00:00.123Z", "lastModified": "2024-12-15T10:00:00.000Z",
    "sha": "0" * 40, "tags": ["a", "b"], "private": False, "disabled": False, "gated": "auto",
    "downloads": 5, "siblings": [{"rfilename": "README.md"}, {"rfilename": "x/README.md"}],
}  # fmt: skip


def at_once(columns, records):
    return repository_reader(columns).read(orjson.dumps(records))


def one_by_one(columns, records):
    return PageReader(RecordTable(columns), parse_repository).read(orjson.dumps(records))


def without_time(page):
    return page.frame.drop("observed_at")


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_real_page_gives_the_same_rows_both_ways(server, kind):
    with HubClient(f"{server.url}/2026-11-24") as client:
        query = {"limit": 1_000, "expand": list(EXPAND[kind])}
        records = client.get_json(f"/api/{kind}", query)
    quick, slow = at_once(COLUMNS[kind], records), one_by_one(COLUMNS[kind], records)
    assert len(quick) == len(records) > 0
    assert without_time(quick).equals(without_time(slow))
    assert quick.frame.schema == slow.frame.schema


@pytest.mark.parametrize(
    "change",
    [
        {"gated": False}, {"gated": "manual"}, {"gated": None}, {"tags": None}, {"tags": []},
        {"siblings": None}, {"siblings": []}, {"siblings": [{"rfilename": "readme.md"}]},
        {"siblings": [{"rfilename": "README.md", "size": 3}]}, {"author": None}, {"unknown": [1]},
        {"createdAt": None}, {"createdAt": "2024-12-15T12:00:00+02:00"}, {"pipeline_tag": "x\ny"},
        {"id": "ada/é🎈\u0000", "downloads": 2**62},
    ],
    ids=str,
)  # fmt: skip
def test_an_odd_record_gives_the_same_row_both_ways(change):
    records = [SOUND, {**SOUND, **change}, {k: SOUND[k] for k in ("_id", "id", "likes")}]
    quick, slow = at_once(raw.MODELS, records), one_by_one(raw.MODELS, records)
    assert quick.frame.height == 3
    assert without_time(quick).equals(without_time(slow))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"gated": True}, "gated"), ({"gated": 0}, "gated"), ({"likes": "3"}, "likes"),
        ({"likes": 1.5}, "likes"), ({"id": 7}, "id"), ({"tags": "x"}, "tags"),
        ({"tags": [1]}, "tags.0"), ({"createdAt": "yesterday"}, "createdAt"),
        ({"siblings": "x"}, ""), ({"_id": None}, "_id"),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_that_does_not_fit_is_set_aside_and_the_others_of_its_page_are_kept(
    change, column
):
    page = at_once(raw.MODELS, [SOUND, {**SOUND, **change}, SOUND])
    (aside,) = page.aside
    assert (aside.index, aside.column) == (1, column)
    assert page.frame["id"].to_list() == ["ada/engine"] * 2


def test_what_is_no_record_is_set_aside_in_its_place():
    page = at_once(raw.MODELS, ["text", SOUND, None, {"id": "x"}])
    assert [one.index for one in page.aside] == [0, 2, 3]
    assert len(page) == 4
    assert (page.head(2).frame.height, len(page.head(2).aside)) == (1, 1)
    assert (page.head(3).frame.height, len(page.head(3).aside)) == (1, 2)


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b'[{"id": "a"', b"null", b'"x"', b"\xff"])
def test_what_is_no_list_is_broken(text):
    with pytest.raises(ValueError):
        repository_reader(raw.MODELS).read(text)


def test_an_empty_page_has_the_tables_form():
    page = at_once(raw.MODELS, [])
    assert len(page) == 0
    assert page.frame.schema == pl.Schema({c.name: c.dtype for c in raw.MODELS})
