"""The store: where tables lie, that no reader sees half a file, what materializations tell."""

import dagster as dg
import polars as pl
import pytest

from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import MissingTable, Warehouse, preview

DAY = "2026-01-31"
COLUMNS = (Column("id", pl.String(), "name"), Column("n", pl.Int64(), "count"))


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(root=str(tmp_path))


def materialize(warehouse, frame):
    @snapshot_asset("layer/table", description="a table", columns=COLUMNS)
    def table():
        return frame

    return dg.materialize(
        [table],
        partition_key=DAY,
        resources={"warehouse": warehouse},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def test_a_table_is_read_back_as_it_was_written(warehouse):
    frame = pl.DataFrame({"id": ["a", "ü:,'\"\n../x"], "n": [1, 2]})
    path = warehouse.write("entity/model", DAY, frame)
    assert path.parts[-4:] == ("entity", "model", f"snapshot_date={DAY}", "part-0.parquet")
    assert warehouse.scan("entity/model", DAY).collect().equals(frame)


def test_a_missing_table_is_an_error_that_names_asset_date_and_command(warehouse):
    with pytest.raises(MissingTable) as error:
        warehouse.scan("hub/models", DAY)
    for part in ("hub/models", DAY, "dagster asset materialize", "--select 'key:hub/models'"):
        assert part in str(error.value)


def test_a_write_that_fails_leaves_the_old_table_and_no_other_file(warehouse):
    warehouse.write("a/b", DAY, pl.DataFrame({"x": [1]}))
    broken = pl.LazyFrame({"x": ["no number"]}).select(pl.col("x").cast(pl.Int64, strict=True))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        warehouse.write("a/b", DAY, broken)
    assert warehouse.scan("a/b", DAY).collect()["x"].to_list() == [1]
    assert [p.name for p in warehouse.directory("a/b", DAY).iterdir()] == ["part-0.parquet"]


def test_dates_lists_the_snapshots_of_a_table_in_order(warehouse):
    for day in ("2026-02-01", "2025-12-31"):
        warehouse.write("a/b", day, pl.DataFrame({"x": [1]}))
    assert warehouse.dates("a/b") == ["2025-12-31", "2026-02-01"]
    assert warehouse.dates("a/c") == []


def test_a_materialization_tells_rows_columns_bytes_and_shows_rows(warehouse):
    result = materialize(warehouse, pl.DataFrame({"id": ["a", "b"], "n": [1, 2]}))
    assert result.success
    event = result.asset_materializations_for_node("layer__table")[0]
    metadata = {key: value.value for key, value in event.metadata.items()}
    assert metadata["dagster/partition_row_count"] == 2
    assert metadata["dagster/row_count"] == 2
    assert metadata["hfkg/bytes"] == warehouse.path("layer/table", DAY).stat().st_size
    assert "| a | 1 |" in metadata["hfkg/preview"]
    assert event.tags["dagster/data_version"] == metadata["hfkg/sha256"]


def test_equal_content_gives_an_equal_data_version_and_other_content_another(warehouse):
    def version(n):
        result = materialize(warehouse, pl.DataFrame({"id": ["a"], "n": [n]}))
        event = result.asset_materializations_for_node("layer__table")[0]
        return event.tags["dagster/data_version"]

    assert version(1) == version(1)
    assert version(1) != version(2)


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"id": ["a"]}),
        pl.DataFrame({"id": ["a"], "n": ["1"]}),
        pl.DataFrame({"n": [1], "id": ["a"]}),
        pl.DataFrame({"id": ["a"], "n": [1], "more": [1]}),
    ],
    ids=["column missing", "other type", "other order", "column too many"],
)
def test_a_frame_that_is_not_as_declared_fails_and_is_not_stored(warehouse, frame):
    result = materialize(warehouse, frame)
    assert not result.success
    assert not warehouse.path("layer/table", DAY).exists()


def test_a_preview_cuts_long_cells_and_keeps_the_table_whole():
    text = preview(pl.LazyFrame({"t": ["x" * 500 + "|\n`y`"]}))
    assert len(text.splitlines()) == 3
    assert len(text) < 200
