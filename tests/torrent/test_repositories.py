"""Where files stand, and what is told of those that are not there."""

import hashlib

import polars as pl
import pytest

from hfkg_assets.torrent.download import Content, Outcome
from hfkg_assets.torrent.objects import ObjectStore
from hfkg_assets.torrent.repositories import broken_files, file_table, link_files, place_of

FILES = {
    ("ada/tarn", "config.json"): b"{}",
    ("ada/tarn", "sub/文 1.txt"): b"one",
    ("gpt-tiny", "config.json"): b"{}",
    ("ada/tarn", "../../evil"): b"evil",
    ("ada/tarn", "gone.txt"): b"gone",
}


def key_of(content):
    return f"git:{hashlib.sha1(b'blob %d' % len(content) + bytes(1) + content).hexdigest()}"


@pytest.fixture
def stored(tmp_path):
    """A store with all contents but one, and the table of the files."""
    store = ObjectStore(tmp_path / "objects")
    for number, content in enumerate(FILES.values()):
        if content != b"gone":
            arrived = tmp_path / str(number)
            arrived.write_bytes(content)
            store.take(arrived, key_of(content), len(content))
    manifest = pl.DataFrame(
        [
            (id, "a" * 40, path, len(content), key_of(content), "other")
            for (id, path), content in FILES.items()
        ],
        schema=["id", "sha", "path", "bytes", "key", "kind"],
        orient="row",
    )
    gone = Outcome(Content(key_of(b"gone"), 4, []), "withheld", "gated")
    has = store.has(manifest["key"], manifest["bytes"])
    return store, file_table(manifest, [gone], has)


@pytest.mark.parametrize(
    ("model", "path", "place"),
    [
        ("ada/tarn", "a/b.txt", "repos/ada/tarn/a/b.txt"),
        ("gpt-tiny", "a.txt", "repos/_/gpt-tiny/a.txt"),
        ("ada/tarn", "模型 #1%.txt", "repos/ada/tarn/模型 #1%.txt"),
        ("ada/tarn", "../x", None),
        ("ada/tarn", "/etc/passwd", None),
        ("ada/tarn", "a//b", None),
        ("ada/tarn", "a\0b", None),
        ("ada/tarn", "a\\b", None),
        ("ada/tarn", "", None),
        ("../tarn", "a", None),
        ("a/b/c", "a", None),
        ("..", "a", None),
        ("ada/tarn", "x" * 256, None),
        ("ada/tarn", "文" * 86, None),
    ],
)
def test_a_file_has_a_place_in_its_own_folder_or_none(model, path, place):
    assert place_of(model, path) == (None if place is None else type(place_of("a/b", "c"))(place))


def test_every_wanted_file_has_a_status_and_those_not_there_a_reason(stored):
    _, files = stored
    told = {(row["id"], row["path"]): row for row in files.iter_rows(named=True)}
    assert told["ada/tarn", "config.json"]["status"] == "ok"
    gone, evil = told["ada/tarn", "gone.txt"], told["ada/tarn", "../../evil"]
    assert (gone["status"], gone["reason"], gone["place"]) == ("withheld", "gated", None)
    assert (evil["status"], evil["place"]) == ("failed", None)
    assert "safe path" in evil["reason"]


def test_files_stand_where_ptmtorrent_puts_them_and_equal_ones_are_one(stored, tmp_path):
    store, files = stored
    folder = tmp_path / "date" / "repos"
    link_files(files, store, folder)
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert there == {"ada/tarn/config.json", "ada/tarn/sub/文 1.txt", "_/gpt-tiny/config.json"}
    one, other = folder / "ada/tarn/config.json", folder / "_/gpt-tiny/config.json"
    assert one.stat().st_ino == other.stat().st_ino
    assert broken_files(files, folder.parent) == {}


def test_a_file_that_was_changed_or_removed_is_found(stored, tmp_path):
    store, files = stored
    folder = tmp_path / "date" / "repos"
    link_files(files, store, folder)
    changed, gone = folder / "ada/tarn/sub/文 1.txt", folder / "_/gpt-tiny/config.json"
    changed.unlink()
    changed.write_bytes(b"two")
    gone.unlink()
    faults = broken_files(files, folder.parent)
    assert set(faults) == {"repos/ada/tarn/sub/文 1.txt", "repos/_/gpt-tiny/config.json"}
    assert broken_files(files, folder.parent, read=False).keys() == {"repos/_/gpt-tiny/config.json"}
