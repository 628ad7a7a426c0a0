"""Sorting by way of files gives what sorting in memory gives."""

import polars as pl
import pytest

from hfkg_resources import disk_sort
from hfkg_resources.disk_sort import sort_on_disk


@pytest.fixture
def shards(tmp_path):
    """Files whose ids overlap and repeat."""
    frame = pl.DataFrame({"id": [f"{n * 7919 % 1_000:04d}" for n in range(1_050)]}).with_row_index()
    for number in range(7):
        frame.slice(number * 150, 150).write_parquet(tmp_path / f"{number}.parquet")
    return pl.scan_parquet(tmp_path / "*.parquet")


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("rows", [1, 100, 999, 1_000, 1_050, 5_000])
def test_rows_come_sorted_and_none_is_lost_or_doubled(
    shards, tmp_path, monkeypatch, rows, shuffled
):
    monkeypatch.setattr(disk_sort, "RANGE_ROWS", rows)
    monkeypatch.setattr(disk_sort, "GROUP_ROWS", 200)
    monkeypatch.setattr(disk_sort, "HAND_BYTES", 5_000)
    found = sort_on_disk(shards, "id", pl.lit(1), tmp_path / "sorted", shuffled=shuffled).collect()
    assert found["id"].is_sorted()
    assert found.sort("id", "index").equals(shards.sort("id", "index").collect())


def test_one_range_is_sorted_in_memory_and_an_empty_frame_stays_empty(shards, tmp_path):
    size = pl.col("id").str.len_bytes()
    assert sort_on_disk(shards, "id", size, tmp_path / "sorted").collect()["id"].is_sorted()
    assert not (tmp_path / "sorted").exists()
    empty = pl.LazyFrame(schema={"id": pl.String})
    assert sort_on_disk(empty, "id", size, tmp_path / "sorted").collect().is_empty()


@pytest.mark.parametrize("size", [pl.col("index") % 50, pl.when(pl.col("index") > 500).then(9)])
def test_a_range_holds_no_more_bytes_than_it_may_but_for_its_last_row(
    shards, tmp_path, monkeypatch, size
):
    monkeypatch.setattr(disk_sort, "RANGE_BYTES", 1_000)
    found = sort_on_disk(shards, "id", size, tmp_path / "sorted").collect()
    assert found.sort("id", "index").equals(shards.sort("id", "index").collect())
    parts = sorted((tmp_path / "sorted").iterdir())
    held = [pl.scan_parquet(part).select(size.sum()).collect().item() for part in parts]
    assert len(parts) > 1
    assert max(held) < 1_000 + 2 * 50
