"""How a raw asset is declared: a function of a crawl and upstream tables.

Belongs here: what all crawled assets share. What each asks of the Hub stands in the modules
beside this one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse


def crawl_asset(
    name: str,
    *,
    description: str,
    columns: Sequence[Column],
    ins: Mapping[str, str] | None = None,
    bucket: str = "api",
) -> Callable[[Callable[..., pl.LazyFrame]], dg.AssetsDefinition]:
    """Declares an asset whose table is crawled.

    The decorated function takes a `Crawl` and the upstream tables by argument name, and returns
    the rows; requests and gaps of its stages become the asset's metadata.

    Args:
        name: the asset key with slashes.
        description: what one row is, and which calls it comes from.
        columns: declared columns.
        ins: function argument → upstream table.
        bucket: the quota that its requests are counted in.
    """

    def declare(function: Callable[..., pl.LazyFrame]) -> dg.AssetsDefinition:
        @snapshot_asset(
            name,
            description=description,
            columns=columns,
            ins=ins,
            kinds=("huggingface", "parquet"),
            tags={"bucket": bucket},
        )
        def crawled(
            context: dg.AssetExecutionContext,
            hub: HubSource,
            warehouse: dg.ResourceParam[Warehouse],
            **tables: pl.LazyFrame,
        ) -> pl.LazyFrame:
            with hub.crawl(context, warehouse) as crawl:
                return function(crawl, **tables)

        return crawled

    return declare


def now() -> str:
    """The present moment as the Hub writes dates."""
    return as_hub_date(datetime.now(UTC))


def as_hub_date(moment: datetime) -> str:
    """A moment as the Hub writes dates: ISO 8601, milliseconds, Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def observed_now() -> pl.Expr:
    """The present moment as the column `observed_at`."""
    return pl.lit(datetime.now(UTC)).dt.cast_time_unit("ms").alias("observed_at")
