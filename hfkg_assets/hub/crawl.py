"""The crawl: all raw tables as assets of one step, so that they share the Hub's quotas.

Belongs here: which tables there are, and how Dagster runs them. Any of them can be materialized
alone; what it reads is then taken from the store.
"""

import shutil
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.hub import (
    accounts,
    aliases,
    bulk,
    cards,
    collections,
    listings,
    papers,
    plan,
    social,
)
from hfkg_assets.hub.coverage import SUMMARIES, Summary, journals
from hfkg_assets.hub.crawling import CrawledTable, crawl_tables
from hfkg_assets.hub.dump import DumpImport
from hfkg_assets.hub.world import write_world
from hfkg_assets.snapshots import IO_MANAGER, ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_resources.bulk_files import BULK
from hfkg_resources.crawl import Before, Crawl, CrawlSession
from hfkg_resources.sample_hub.world import World
from hfkg_resources.sources import HubSource
from hfkg_resources.warehouse import (
    ROW_GROUP_KEY,
    ROW_GROUP_ROWS,
    SCHEMA_KEY,
    Warehouse,
    column_schema,
)

TABLES: dict[str, CrawledTable] = {
    table.short_name: table
    for module in (listings, collections, papers, social, accounts, cards, aliases, plan)
    for table in module.TABLES
}
"""All raw tables by short name."""

BULK_TABLES = {**TABLES, **{table.short_name: table for table in bulk.TABLES}}
"""The same where published files tell of most."""


def _out(
    name: str, table: CrawledTable | Summary, bucket: str, row_group_rows: int = ROW_GROUP_ROWS
) -> dg.AssetOut:
    return dg.AssetOut(
        key=key_of(f"hub/{name}"),
        description=table.description,
        is_required=False,
        io_manager_key=IO_MANAGER,
        group_name="hub",
        kinds={"huggingface", "parquet"},
        owners=OWNERS,
        tags={"layer": "hub", "bucket": bucket},
        metadata={SCHEMA_KEY: column_schema(table.columns), ROW_GROUP_KEY: row_group_rows},
        code_version="2",
    )


@dg.multi_asset(
    name="crawl_hub",
    outs={
        **{
            name: _out(name, table, table.bucket, table.row_group_rows)
            for name, table in TABLES.items()
        },
        **{name: _out(name, summary, "none") for name, summary in SUMMARIES.items()},
    },
    internal_asset_deps={
        **{name: {key_of(read) for read in table.ins.values()} for name, table in TABLES.items()},
        **{name: {key_of(table.name) for table in TABLES.values()} for name in SUMMARIES},
    },
    can_subset=True,
    partitions_def=SNAPSHOTS,
    backfill_policy=ONE_RUN_PER_DATE,
)
def hub_crawl(
    context: dg.AssetExecutionContext, hub: HubSource, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.Output[Any]]:
    """Crawls the selected tables; goes on with what an interrupted run has fetched.

    With the source `dump` they are read from a dump instead, with `world` taken from the sample
    world itself.
    """
    day, chosen = context.partition_key, context.op_execution_context.selected_output_names
    all_tables = BULK_TABLES if hub.source == "bulk" else TABLES
    tables = [all_tables[name] for name in all_tables if name in chosen]
    if hub.source == "dump":
        hub.expect_day(day)
        if tables:
            made = DumpImport(
                hub.opened_dump, hub.origin, hub.social == "on", warehouse, day, context.log
            )
            for table, rows, metadata in made.tables(tables):
                yield dg.Output(rows, output_name=table.short_name, metadata=metadata)
        yield from _summaries(warehouse, day, chosen)
        return
    if hub.source == "world":
        if tables:
            world = World(hub.sample_seed, hub.sample_repositories)
            for table, rows in write_world(world, tables, hub.origin, warehouse, day):
                is_wanted = hub.social == "on" or table.short_name not in ("likers", "followers")
                yield dg.Output(rows if is_wanted else rows.head(0), table.short_name)
        yield from _summaries(warehouse, day, chosen)
        return
    folder = journals(warehouse, day)
    has_begun = CrawlSession.has_begun(folder)
    before = Before.find(warehouse, day, hub.origin, list(TABLES), has_begun=has_begun)
    context.log.info(
        "carried over from %s where nothing changed" if before else "nothing to carry over from%s",
        before.day if before else "",
    )
    if tables:
        with hub.client_to_go_on(day) if has_begun else hub.client(day) as client:
            session = hub.session(client, folder, day, before)
            load = partial(warehouse.scan, day=day)
            for table, rows in crawl_tables(tables, session, load):
                crawl = session.crawls[table.short_name]
                metadata = {**described(hub, crawl), **table.figures(rows)}
                yield dg.Output(rows, output_name=table.short_name, metadata=metadata)
    yield from _summaries(warehouse, day, chosen)
    if tables:
        session.close()
        # What the whole snapshot was made of is not needed any more; a plan's files still are.
        if "ledger" in chosen and not CrawlSession.has_begun(folder):
            shutil.rmtree(folder / BULK, ignore_errors=True)


def _summaries(
    warehouse: Warehouse, day: str, chosen: Collection[str]
) -> Iterator[dg.Output[pl.LazyFrame]]:
    """The chosen tables about the crawl itself, once the others are stored."""
    for name, summary in SUMMARIES.items():
        if name in chosen:
            yield dg.Output(summary.rows(warehouse, day), output_name=name)


def described(hub: HubSource, crawl: Crawl) -> dict[str, Any]:
    """A table's figures for its materialization."""
    reports = crawl.reports
    return {
        "hfkg/source": hub.source,
        "hfkg/scope": hub.scope,
        "hfkg/carried_from": str(crawl.before.day) if crawl.before else "nothing",
        **{
            f"hfkg/{name}": sum(getattr(report, name) for report in reports)
            for name in (
                "requests",
                "fetched",
                "unchanged",
                "deferred",
                "missing",
                "failed",
                "set_aside",
            )
        },
    }
