"""The manifest: what is wanted, what it adds up to, and whether it fits."""

import polars as pl
import pytest

from hfkg_assets.torrent.changes import torrent_changes
from hfkg_assets.torrent.manifest import (
    LISTED,
    Room,
    described,
    known_before,
    missing_objects,
    room_for,
    totals,
)
from hfkg_assets.torrent.objects import ObjectStore
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

FILES = [
    # id, sha, path, bytes, git_oid, sha256
    ("a/one", "1" * 40, "README.md", 10, "a" * 40, None),
    ("a/one", "1" * 40, "model.safetensors", 900, "b" * 40, "c" * 64),
    ("a/one", "1" * 40, "tokenizer.json", 50, "d" * 40, None),
    ("b/two", "2" * 40, "tokenizer.json", 50, "d" * 40, None),
    ("b/two", "2" * 40, "sub/model.safetensors", 900, "b" * 40, "c" * 64),
    ("b/two", "2" * 40, "config.json", 5, "e" * 40, None),
]


def listed(files=FILES):
    return pl.LazyFrame(files, schema=schema_of(LISTED), orient="row")


def manifest(files=FILES, *, weights=False, patterns=("*",)):
    return described(
        listed(files), weights=weights, patterns=patterns, carried=pl.lit(False)
    ).collect()


def wanted(frame):
    return set(frame.filter("is_wanted").select("id", "path").iter_rows())


def test_everything_but_weights_is_wanted_unless_weights_are_too():
    assert {path for _, path in wanted(manifest())} == {
        "README.md", "tokenizer.json", "config.json",
    }  # fmt: skip
    assert len(wanted(manifest(weights=True))) == len(FILES)


def test_patterns_choose_files_by_name():
    assert wanted(manifest(patterns=["*.md", "sub/*"], weights=True)) == {
        ("a/one", "README.md"), ("b/two", "sub/model.safetensors"),
    }  # fmt: skip


def test_a_large_files_content_id_is_its_digest_and_a_small_ones_that_of_git():
    keys = dict(manifest().select("path", "key").iter_rows())
    assert keys["model.safetensors"] == "sha256:" + "c" * 64
    assert keys["config.json"] == "git:" + "e" * 40


def test_totals_count_equal_files_once_where_they_are_stored():
    by_kind = {row["kind"]: row for row in totals(manifest()).iter_rows(named=True)}
    weights, tokenizer = by_kind["weights"], by_kind["tokenizer"]
    assert (weights["files"], weights["bytes"], weights["distinct_bytes"]) == (2, 1_800, 900)
    assert weights["wanted_bytes"] == 0
    assert (tokenizer["bytes"], tokenizer["wanted_bytes"]) == (100, 50)
    assert by_kind["code"]["files"] == 0


def test_missing_contents_are_named_once_with_every_file_that_has_them(tmp_path):
    store = ObjectStore(tmp_path)
    missing = missing_objects(manifest().lazy(), store)
    assert missing["bytes"].sum() == 10 + 50 + 5
    (tokenizer,) = missing.filter(pl.col("key") == "git:" + "d" * 40).to_dicts()
    assert tokenizer["id"] == ["a/one", "b/two"]
    place = store.path("git:" + "d" * 40)
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(50))
    assert missing_objects(manifest().lazy(), store)["bytes"].sum() == 15


@pytest.mark.parametrize(
    ("missing", "free", "budget", "fits"),
    [
        (10, 10, None, True), (11, 10, None, False), (10, 10, 9, False), (9, 10, 9, True),
        (0, 0, 0, True), (11, 10, 100, False),
    ],
)  # fmt: skip
def test_what_is_missing_must_fit_the_disk_and_the_budget(missing, free, budget, fits):
    room = Room(missing, free, budget)
    assert room.is_enough is fits
    assert ("HFKG_TORRENT_BUDGET" in str(room)) is not fits


def test_room_is_what_the_disk_has_less_a_reserve(tmp_path):
    room = room_for(pl.DataFrame({"bytes": [2**60]}), tmp_path, None)
    assert room.missing == 2**60 and not room.is_enough
    assert room_for(pl.DataFrame({"bytes": [1]}), tmp_path, None).is_enough


def test_a_repository_whose_commit_is_known_is_not_asked_for_again(tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    chosen = pl.LazyFrame({"id": ["a/one", "b/two", "c/new"], "sha": ["1" * 40, "9" * 40, None]})
    assert known_before(warehouse, "2026-11-24", chosen).collect().is_empty()
    warehouse.write("torrent/manifest", "2026-11-23", manifest())
    warehouse.write("torrent/manifest", "2026-11-25", manifest([]))
    known = known_before(warehouse, "2026-11-24", chosen).collect()
    assert set(known["id"]) == {"a/one"}
    assert known.height == 3


def test_changes_tell_models_and_files_that_came_went_and_are_others():
    now = [
        *FILES[:3],
        ("c/new", "3" * 40, "config.json", 7, "f" * 40, None),
        ("b/two", "4" * 40, "config.json", 6, "0" * 40, None),
        ("b/two", "4" * 40, "merges.txt", 8, "7" * 40, None),
    ]
    before = [*FILES, ("d/gone", "5" * 40, "config.json", 9, "6" * 40, None)]
    rows = torrent_changes(manifest(now).lazy(), manifest(before).lazy())
    told = {row["id"]: row for row in rows.iter_rows(named=True)}
    assert {id: row["change"] for id, row in told.items()} == {
        "a/one": "unchanged", "b/two": "changed", "c/new": "added", "d/gone": "removed",
    }  # fmt: skip
    two = told["b/two"]
    assert (two["files"], two["new_files"], two["changed_files"], two["gone_files"]) == (2, 1, 1, 1)
    assert (two["new_bytes"], two["bytes"]) == (14, 14)
    assert (two["sha_before"], two["sha"]) == ("2" * 40, "4" * 40)
    assert (told["d/gone"]["sha"], told["d/gone"]["gone_files"]) == (None, 1)
    assert told["a/one"]["new_bytes"] == 0
