"""Crawling whole snapshots of a sample Hub into a store, without Dagster."""

from pathlib import Path

import polars as pl

from hfkg_assets.hub.coverage import ledger
from hfkg_assets.hub.crawl import TABLES
from hfkg_assets.hub.crawling import crawl_tables
from hfkg_resources.crawl import JOURNALS, Before, Crawl, CrawlSession
from hfkg_resources.hub_client import HubClient
from hfkg_resources.scope import Scope
from hfkg_resources.warehouse import Warehouse

BY_NATURE = ("observed_at", "carried")
"""Columns that tell of the crawl and not of the Hub."""


def crawl_snapshot(
    warehouse: Warehouse, url: str, day: str, *, refresh_days: int = 30, origin: str = "a Hub"
) -> CrawlSession:
    """Crawls all tables of a day and stores them with their ledger."""
    folder = Path(warehouse.root, JOURNALS, day)
    has_begun = CrawlSession.has_begun(folder)
    before = Before.find(warehouse, day, origin, list(TABLES), has_begun=has_begun)
    with HubClient(f"{url}/{day}", attempts=3, backoff_s=0.01) as client:

        def make(directory, stop):
            return Crawl(
                client, Scope("all"), True, day, directory, 4, before, refresh_days, origin, stop
            )

        session = CrawlSession(folder, make)
        tables = list(TABLES.values())
        for table, rows in crawl_tables(tables, session, lambda name: warehouse.scan(name, day)):
            warehouse.write(table.name, day, rows)
        warehouse.write("hub/ledger", day, ledger(folder))
        session.close()
    return session


def observed(warehouse: Warehouse, table: str, day: str) -> pl.DataFrame:
    """A raw table without what tells of the crawl."""
    return warehouse.scan(f"hub/{table}", day).drop(BY_NATURE, strict=False).collect()


def requests(session: CrawlSession) -> int:
    """Requests that a crawl made."""
    return sum(report.requests for crawl in session.crawls.values() for report in crawl.reports)
