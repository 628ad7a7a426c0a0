"""`catalog/duckdb`: the DuckDB file with one view per table over all snapshots.

A table `layer/name` is the view `layer.name`; the schema `main` holds the queries of
`catalog_queries`. Parquet is the truth: `<root>/hfkg.duckdb` holds no rows. It is written beside
its place and renamed into it, so readers are never locked out and a run that writes never waits for
them.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.catalog_queries import queries
from hfkg_assets.snapshots import ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.warehouse import PART, Warehouse

if TYPE_CHECKING:
    import duckdb

CATALOG = "hfkg.duckdb"

log = logging.getLogger(__name__)


def build_catalog(root: Path, tables: Iterable[str]) -> dict[str, str]:
    """Writes the catalog of the tables that exist.

    Args:
        root: the warehouse's root.
        tables: asset keys with slashes; the first part becomes the schema.

    Returns:
        View name → glob of the Parquet files behind it.
    """
    views = files_of(root, tables)
    write_atomically(root / CATALOG, lambda file: _write_views(file, views))
    return {table.replace("/", "."): str(pattern) for table, pattern in views.items()}


def files_of(root: Path, tables: Iterable[str]) -> dict[str, Path]:
    """Table → glob of its Parquet files of all dates, of those tables that exist."""
    root = root.resolve()
    return {
        table: root / table / "snapshot_date=*" / PART
        for table in sorted(tables)
        if any((root / table).glob(f"snapshot_date=*/{PART}"))
    }


def _write_views(file: Path, views: Mapping[str, Path]) -> None:
    import duckdb

    with duckdb.connect(str(file)) as connection:
        connection.begin()
        create_views(connection, views)
        connection.commit()


def create_views(connection: "duckdb.DuckDBPyConnection", views: Mapping[str, Path]) -> None:
    """Makes the catalog's views and queries in a database.

    Args:
        connection: to the database.
        views: of `files_of`.
    """
    for table, pattern in views.items():
        schema, name = map(_quoted, table.split("/"))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(
            f"CREATE VIEW {schema}.{name} AS SELECT * FROM read_parquet("
            f"{_literal(str(pattern))}, hive_partitioning = true, union_by_name = true)"
        )
    for query in queries(views.keys()):
        connection.execute(query.statement)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def catalog_asset(tables: Iterable[str]) -> dg.AssetsDefinition:
    """The asset that rebuilds the catalog after the tables it shows.

    Args:
        tables: asset keys of all tables, with slashes.
    """
    tables = sorted(tables)
    offered = list(queries(set(tables)))

    @dg.asset(
        key=["catalog", "duckdb"],
        description=(
            "The DuckDB file with one view per table over all snapshots. Rebuilt beside its place "
            "and renamed into it: it can be read while a run writes. Its table macros: "
            f"{', '.join(query.name for query in offered if query.is_macro)}."
        ),
        deps=[key_of(table) for table in tables],
        group_name="catalog",
        partitions_def=SNAPSHOTS,
        backfill_policy=ONE_RUN_PER_DATE,
        kinds={"duckdb"},
        owners=OWNERS,
        tags={"layer": "catalog"},
        code_version=code_version(build_catalog, [query.statement for query in offered]),
    )
    def catalog(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        views = build_catalog(Path(warehouse.root), tables)
        log.info("catalog with %d views", len(views))
        path = Path(warehouse.root) / CATALOG
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": str(path),
                "hfkg/views": len(views),
                "hfkg/bytes": path.stat().st_size,
            }
        )

    return catalog
