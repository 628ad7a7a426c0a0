"""The content-addressed store: keys, places, and that nothing wrong ever gets in."""

import hashlib
import stat

import polars as pl
import pytest

from hfkg_assets.torrent.objects import Corrupt, NotAKey, ObjectStore, verify

CONTENT = b"weights \0\xff"


def keys_of(content):
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}", f"git:{blob.hexdigest()}"


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "objects")


@pytest.fixture
def arrived(tmp_path):
    file = tmp_path / "arrived"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("number", [0, 1], ids=["sha256", "git"])
def test_a_verified_file_becomes_a_content_that_nobody_is_to_write_to(store, arrived, number):
    key = keys_of(CONTENT)[number]
    place = store.take(arrived, key, len(CONTENT))
    assert place == store.path(key)
    assert place.read_bytes() == CONTENT
    assert not arrived.exists()
    assert not place.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"W" + CONTENT[1:]])
@pytest.mark.parametrize("number", [0, 1], ids=["sha256", "git"])
def test_short_long_and_other_bytes_do_not_get_in(store, arrived, number, content):
    arrived.write_bytes(content)
    key = keys_of(CONTENT)[number]
    with pytest.raises(Corrupt):
        store.take(arrived, key, len(CONTENT))
    assert not arrived.exists()
    assert not store.path(key).exists()


@pytest.mark.parametrize(
    "key",
    [
        "", "sha256:", "sha256:../../etc", "git:" + "0" * 64, "sha256:" + "G" * 64,
        "md5:" + "0" * 32, "git:" + "0" * 40 + "\n",
    ],
)  # fmt: skip
def test_a_key_that_the_hub_could_not_have_given_names_no_place(store, arrived, key):
    for use in (store.path, store.partial, lambda key: verify(arrived, key, len(CONTENT))):
        with pytest.raises(NotAKey):
            use(key)


def test_the_store_has_a_content_only_in_its_whole_size(store, arrived):
    sha, git = keys_of(CONTENT)
    store.take(arrived, sha, len(CONTENT))
    found = store.has(pl.Series([sha, sha, git]), pl.Series([len(CONTENT), 3, len(CONTENT)]))
    assert found.to_list() == [True, False, False]


def test_an_empty_store_has_nothing(store):
    assert store.listing().is_empty()
    assert store.has(pl.Series(["git:" + "0" * 40]), pl.Series([1])).to_list() == [False]
