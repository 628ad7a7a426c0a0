"""The store: one Parquet file per asset and snapshot date, read and written as Polars LazyFrames.

Layout: `<root>/<asset key>/snapshot_date=YYYY-MM-DD/part-0.parquet`. Belongs here: where a table
lies, how it is written so that no reader ever sees half a file, and what a materialization tells
about it. Does not: what any table means.
"""

import hashlib
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from hfkg_resources.atomic_write import SUFFIX, write_atomically
from hfkg_resources.table_schema import Column

PART = "part-0.parquet"
COMPRESSION_LEVEL = 1
"""Of zstd: a third less time than its default of 3, and files that are 3 % larger."""

ROW_GROUP_ROWS = 50_000
ROW_GROUP_KEY = "hfkg/row_group_rows"
"""Rows held at once when a table is copied; this metadata says fewer, where rows are large."""

PREVIEW_ROWS = 5
PREVIEW_CELL = 60

SCHEMA_KEY = "dagster/column_schema"


class MissingTable(Exception):
    """A table of a snapshot date is asked for that has not been materialized."""


class SchemaMismatch(Exception):
    """What an asset produced is not what its declaration says."""


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """Dagster's table schema of declared columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.dtype),
                column.description,
                dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in columns
        ]
    )


class Warehouse(dg.ConfigurableIOManager):
    """IO manager for Polars LazyFrames, and the way to read any table by key and date.

    Attributes:
        root: folder that everything is stored under.
    """

    root: str

    # -- places ---------------------------------------------------------------------------------

    def directory(self, key: Sequence[str] | str, day: date | str) -> Path:
        """Folder of one table of one snapshot date."""
        parts = key.split("/") if isinstance(key, str) else key
        return Path(self.root, *parts, f"snapshot_date={day}")

    def path(self, key: Sequence[str] | str, day: date | str) -> Path:
        """The table's Parquet file; it need not exist."""
        return self.directory(key, day) / PART

    def dates(self, key: Sequence[str] | str) -> list[str]:
        """Snapshot dates of which the table exists, ascending."""
        parts = key.split("/") if isinstance(key, str) else key
        found = Path(self.root, *parts).glob(f"snapshot_date=*/{PART}")
        return sorted(path.parent.name.removeprefix("snapshot_date=") for path in found)

    # -- reading and writing --------------------------------------------------------------------

    def scan(self, key: Sequence[str] | str, day: date | str) -> pl.LazyFrame:
        """The table of one snapshot date.

        Raises:
            MissingTable: it has not been materialized; the message says how to do that.
        """
        path = self.path(key, day)
        if not path.is_file():
            name = key if isinstance(key, str) else "/".join(key)
            raise MissingTable(
                f"{name} of snapshot {day} is not there ({path}). Make it with: "
                f"dagster asset materialize -m hfkg_assets.definitions "
                f"--select 'key:{name}' --partition {day}"
            )
        return pl.scan_parquet(path, hive_partitioning=False)

    def write(
        self,
        key: Sequence[str] | str,
        day: date | str,
        frame: pl.LazyFrame | pl.DataFrame,
        row_group_rows: int = ROW_GROUP_ROWS,
    ) -> Path:
        """Stores a table: written beside its place, then renamed into it."""
        path = self.path(key, day)
        for torn in path.parent.glob(f".{PART}.*{SUFFIX}"):  # of a run that was killed here
            torn.unlink(missing_ok=True)
        write_atomically(
            path,
            lambda file: frame.lazy().sink_parquet(
                file,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                row_group_size=row_group_rows,
            ),
        )
        return path

    # -- Dagster --------------------------------------------------------------------------------

    def handle_output(
        self, context: dg.OutputContext, obj: pl.LazyFrame | pl.DataFrame | None
    ) -> None:
        """Stores an asset's frame and describes it in the materialization's metadata.

        Raises:
            SchemaMismatch: columns or types differ from the asset's declaration.
        """
        if obj is None:  # the asset wrote its files itself
            return
        started = time.perf_counter()
        key, day = context.asset_key.path, context.partition_key
        frame = obj.lazy()
        declared = context.definition_metadata.get(SCHEMA_KEY)
        schema = frame.collect_schema()
        if declared is not None:
            expect_schema(key, schema, declared)
        rows_at_once = context.definition_metadata.get(ROW_GROUP_KEY, ROW_GROUP_ROWS)
        path = self.write(key, day, frame, rows_at_once)
        digest = sha256_of(path)
        # The content's digest as data version: what is below is stale only if the content changed.
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(digest))
        rows = rows_of([path])
        context.add_output_metadata(
            {
                "dagster/partition_row_count": rows,
                "dagster/row_count": rows_of([self.path(key, d) for d in self.dates(key)]),
                "dagster/uri": str(path),
                "hfkg/bytes": path.stat().st_size,
                "hfkg/sha256": digest,
                "hfkg/seconds": round(time.perf_counter() - started, 3),
                "hfkg/preview": dg.MetadataValue.md(preview(pl.scan_parquet(path))),
                **({} if declared else {SCHEMA_KEY: schema_as_metadata(schema)}),
            }
        )

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """Scans the upstream table of the run's snapshot date."""
        return self.scan(context.asset_key.path, context.asset_partition_key)


def expect_schema(key: Sequence[str], schema: pl.Schema, declared: dg.TableSchema) -> None:
    """Compares a frame's schema with the declared one, order included.

    Raises:
        SchemaMismatch: they differ; the message lists both sides of each difference.
    """
    expected = {column.name: column.type for column in declared.columns}
    found = {name: str(dtype) for name, dtype in schema.items()}
    if list(expected.items()) == list(found.items()):
        return
    differences = [
        f"{name}: declared {expected.get(name, 'nothing')}, got {found.get(name, 'nothing')}"
        for name in {**expected, **found}
        if expected.get(name) != found.get(name)
    ] or [f"order: declared {list(expected)}, got {list(found)}"]
    raise SchemaMismatch(f"{'/'.join(key)}: " + "; ".join(differences))


def schema_as_metadata(schema: pl.Schema) -> dg.TableSchema:
    """Dagster's table schema of an undeclared frame."""
    return dg.TableSchema(columns=[dg.TableColumn(n, str(t)) for n, t in schema.items()])


def rows_of(paths: Sequence[Path]) -> int:
    """Number of rows in Parquet files, read from their footers."""
    return int(sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths))


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def preview(frame: pl.LazyFrame) -> str:
    """The first rows as a Markdown table, long cells cut."""
    head = frame.head(PREVIEW_ROWS).collect()
    lines = [head.columns, ["---"] * head.width, *[map(_cell, row) for row in head.iter_rows()]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = " ".join(str(value).replace("|", "\\|").replace("`", "'").split())
    return text if len(text) <= PREVIEW_CELL else text[: PREVIEW_CELL - 1] + "…"
