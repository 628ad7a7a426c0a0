"""How an export is declared: an asset that fills a folder with files, whole or not at all.

Belongs here: what all exports have in common. Does not: any format.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version as digest
from hfkg_assets.snapshots import ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_resources.atomic_write import write_folder
from hfkg_resources.warehouse import Warehouse


@dataclass(frozen=True)
class Snapshot:
    """The stored tables of one date.

    Attributes:
        warehouse: the store.
        day: the snapshot date.
    """

    warehouse: Warehouse
    day: str

    def scan(self, table: str) -> pl.LazyFrame:
        """A table by name, such as `graph/edge`.

        Raises:
            MissingTable: it has not been materialized.
        """
        return self.warehouse.scan(table, self.day)

    def file(self, table: str) -> Path:
        """The Parquet file of a table.

        Raises:
            MissingTable: it has not been materialized.
        """
        self.scan(table)
        return self.warehouse.path(table, self.day)

    def has(self, table: str) -> bool:
        """Whether the table has been materialized: an export takes some only where they are."""
        return self.warehouse.path(table, self.day).is_file()


Fill = Callable[..., Mapping[str, Any]]
"""Takes a snapshot, a folder and, where there are some, options; writes an export's files into the
folder; returns what its materialization tells besides them."""


def export_asset(
    name: str,
    *,
    description: str,
    tables: Sequence[str],
    kinds: Sequence[str],
    options: type[dg.Config] | None = None,
    code_version: str | None = None,
) -> Callable[[Fill], dg.AssetsDefinition]:
    """Declares an export: the folder `<root>/export/<name>/snapshot_date=YYYY-MM-DD/`.

    Args:
        name: the format's name.
        description: what the folder holds, and who reads it.
        tables: the tables that it is made of.
        kinds: Dagster kinds, for the icons in the UI.
        options: what can be chosen in the launchpad; given to the function as third argument.
        code_version: by default the digest of the function and its options.
    """

    def declare(fill: Fill) -> dg.AssetsDefinition:
        @dg.asset(
            key=["export", name],
            description=description,
            deps=[key_of(table) for table in tables],
            group_name="export",
            partitions_def=SNAPSHOTS,
            backfill_policy=ONE_RUN_PER_DATE,
            kinds=set(kinds),
            owners=OWNERS,
            tags={"layer": "export"},
            config_schema=options.to_fields_dict() if options else None,
            code_version=code_version or digest(fill, *([options] if options else [])),
        )
        def export(
            context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
        ) -> dg.MaterializeResult:
            day = context.partition_key
            folder = warehouse.directory(f"export/{name}", day)
            chosen = [options(**context.op_execution_context.op_config)] if options else []
            told: Mapping[str, Any] = {}

            def write(place: Path) -> None:
                nonlocal told
                told = fill(Snapshot(warehouse, day), place, *chosen)

            write_folder(folder, write)
            return dg.MaterializeResult(
                metadata={"dagster/uri": str(folder), **files_metadata(folder), **told}
            )

        return export

    return declare


def exported_dates(warehouse: Warehouse, name: str) -> list[str]:
    """Snapshot dates of which an export exists, ascending."""
    found = Path(warehouse.root, "export", name).glob("snapshot_date=*")
    return sorted(folder.name.removeprefix("snapshot_date=") for folder in found)


def files_metadata(folder: Path) -> dict[str, Any]:
    """The files of an export with their sizes, for its materialization."""
    sizes = {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    lines = ["| file | bytes |", "| --- | ---: |", *(f"| {n} | {s:,} |" for n, s in sizes.items())]
    return {
        "hfkg/files": dg.MetadataValue.md("\n".join(lines)),
        "hfkg/bytes": sum(sizes.values()),
    }
