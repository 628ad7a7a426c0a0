"""Snapshots: the date partitions that every asset shares, and how a table asset is declared.

Belongs here: what all assets have in common. Does not: any particular asset.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import SCHEMA_KEY, column_schema

# Backfill policies and partitioned checks are marked beta and preview in this Dagster version;
# one warning per asset would bury every log.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

FIRST_SNAPSHOT = "2024-12-15"

SNAPSHOTS = dg.DailyPartitionsDefinition(start_date=FIRST_SNAPSHOT, end_offset=1, timezone="UTC")
"""One partition per UTC day, today included."""

ONE_RUN_PER_DATE = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
"""A crawl takes minutes to days: each date succeeds, fails and is retried by itself."""

OWNERS = ["team:hfkg"]

IO_MANAGER = "warehouse"


def key_of(name: str) -> dg.AssetKey:
    """The asset key of a table name such as `hub/models`."""
    return dg.AssetKey(name.split("/"))


def snapshot_asset(
    name: str,
    *,
    description: str,
    columns: Sequence[Column] | None = None,
    ins: Mapping[str, str] | None = None,
    deps: Sequence[str] = (),
    kinds: Sequence[str] = ("polars", "parquet"),
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] | None = None,
    code_version: str = "1",
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declares a table asset, partitioned by snapshot date, stored by the warehouse.

    The decorated function gets its inputs as LazyFrames and returns a frame with the declared
    columns. The group is the key's first part.

    Args:
        name: the asset key with slashes, such as `hub/models`.
        description: what one row is, and where it comes from.
        columns: declared columns; enforced when the frame is stored.
        ins: function argument → upstream table.
        deps: upstream tables that the function reads by itself.
    """
    key = key_of(name)
    schema = {SCHEMA_KEY: column_schema(columns)} if columns else {}
    return dg.asset(
        key=key,
        description=description,
        ins={argument: dg.AssetIn(key_of(table)) for argument, table in (ins or {}).items()},
        deps=[key_of(table) for table in deps],
        group_name=key.path[0],
        partitions_def=SNAPSHOTS,
        backfill_policy=ONE_RUN_PER_DATE,
        io_manager_key=IO_MANAGER,
        kinds=set(kinds),
        owners=OWNERS,
        tags={"layer": key.path[0], **(tags or {})},
        metadata={**schema, **(metadata or {})},
        check_specs=check_specs,
        code_version=code_version,
    )
