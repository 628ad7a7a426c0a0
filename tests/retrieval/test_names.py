"""Near names: what somebody probably meant."""

import polars as pl
import pytest

from hfkg_assets.retrieval.names import near_names, unknown

IDS = pl.Series(
    ["Tarn-labs/Wisp-7B", "tarn-labs/Wisp-7B-GGUF", "ada/birdsong", "noor/bird.song", "中/模型"]
)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("wisp-7b", "Tarn-labs/Wisp-7B"),  # case, and no owner
        ("tarn-labs/Wsip-7B", "Tarn-labs/Wisp-7B"),
        ("ada/birdsnog", "ada/birdsong"),
        ("模型", "中/模型"),
        ("a.*", None),  # a pattern is a text
    ],
)
def test_what_holds_or_resembles_the_name_comes_first(name, first):
    assert (near_names(IDS, name) or [None])[0] == first


@pytest.mark.parametrize("name", ["", " ", "\0", "zzzzqqqq", "🤗" * 50])
def test_what_resembles_nothing_has_no_near_names(name):
    assert near_names(IDS, name) == []


def test_no_more_are_named_than_asked_for():
    ids = pl.Series([f"ada/bird-{number}" for number in range(1_000)])
    assert len(near_names(ids, "bird", 3)) == 3


def test_the_error_cuts_a_long_name():
    error = unknown("model", "x" * 5_000, IDS, "2026-11-24")
    assert len(str(error)) < 300
