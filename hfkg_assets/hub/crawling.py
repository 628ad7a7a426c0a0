"""How a raw table is declared, and how a snapshot's tables are crawled side by side.

Belongs here: what all crawled tables share. What each asks of the Hub stands in the modules beside
this one; `crawl` puts them together.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from graphlib import TopologicalSorter
from typing import Any, TypeVar

import polars as pl

from hfkg_resources.crawl import CrawlSession
from hfkg_resources.crawl_journal import CrawlStopped
from hfkg_resources.errors import HubError
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import ROW_GROUP_ROWS

GRACE_S = 10.0
"""How long tables that were told to stop are waited for."""

_TICK_S = 0.5

Answered = TypeVar("Answered")


Table = Callable[[], pl.LazyFrame]
"""A raw table that may not be there yet: calling it waits, so it is called when it is needed."""


@dataclass(frozen=True)
class CrawledTable:
    """A raw table.

    Attributes:
        name: the asset key with slashes.
        description: what one row is, and which calls it comes from.
        columns: declared columns.
        ins: argument of `rows` → raw table that it reads.
        rows: takes the table's `Crawl` and what it reads, each as a `Table`; returns the rows.
        bucket: the quota that its requests are counted in.
        figures: what its materialization tells besides the crawl's own figures.
        row_group_rows: rows that are held at once when it is stored.
    """

    name: str
    description: str
    columns: Sequence[Column]
    ins: Mapping[str, str]
    rows: Callable[..., pl.LazyFrame]
    bucket: str
    figures: Callable[[pl.LazyFrame], Mapping[str, Any]]
    row_group_rows: int

    @property
    def short_name(self) -> str:
        """The name without its group."""
        return self.name.removeprefix("hub/")


def crawled_table(
    name: str,
    *,
    description: str,
    columns: Sequence[Column],
    ins: Mapping[str, str] | None = None,
    bucket: str = "api",
    figures: Callable[[pl.LazyFrame], Mapping[str, Any]] = lambda rows: {},
    row_group_rows: int = ROW_GROUP_ROWS,
) -> Callable[[Callable[..., pl.LazyFrame]], CrawledTable]:
    """Declares a raw table by the function that crawls it; see `CrawledTable`."""
    return lambda rows: CrawledTable(
        name, description, columns, ins or {}, rows, bucket, figures, row_group_rows
    )


def crawl_tables(
    tables: Sequence[CrawledTable], session: CrawlSession, load: Callable[[str], pl.LazyFrame]
) -> Iterator[tuple[CrawledTable, pl.LazyFrame]]:
    """Crawls tables side by side, so that no quota lies idle while another is used up.

    All begin at once; where one reads another it waits until that has been taken from this
    iterator. Trouble with one stops all: what they have fetched is kept, and gone on with by the
    next session.

    Args:
        tables: what to crawl.
        session: where each table's crawl comes from.
        load: gives a stored table by name.

    Yields:
        Each table with its rows, as they are done, but after those that it reads.

    Raises:
        Exception: the first trouble of a table.
    """
    stored = {table.name: threading.Event() for table in tables}
    results: queue.SimpleQueue[tuple[CrawledTable, Any]] = queue.SimpleQueue()

    def upstream(name: str) -> pl.LazyFrame:
        while name in stored and not stored[name].wait(_TICK_S):
            if session.stop.is_set():
                raise CrawlStopped
        return load(name)

    def crawl(table: CrawledTable) -> None:
        try:
            inputs = {argument: partial(upstream, name) for argument, name in table.ins.items()}
            results.put((table, table.rows(session.begin(table.short_name), **inputs)))
        except BaseException as error:
            results.put((table, error))

    # Daemons: one that waits for an answer does not keep a stopped process alive.
    for table in tables:
        threading.Thread(target=crawl, args=(table,), name=table.name, daemon=True).start()
    running, done = len(tables), dict[str, tuple[CrawledTable, pl.LazyFrame]]()
    try:
        while running:
            try:
                table, result = results.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            running -= 1
            if isinstance(result, BaseException):
                raise result
            done[table.name] = table, result
            # Dagster takes a table only after those that it is declared to read.
            while ready := [
                name
                for name, (table, _) in done.items()
                if all(stored[up].is_set() for up in table.ins.values() if up in stored)
            ]:
                yield done.pop(ready[0])
                stored[ready[0]].set()
    finally:
        session.stop.set()
        deadline = time.monotonic() + GRACE_S
        while running and time.monotonic() < deadline:
            try:
                results.get(timeout=_TICK_S)
                running -= 1
            except queue.Empty:
                continue


def in_order(tables: Sequence[CrawledTable]) -> list[CrawledTable]:
    """The tables, each after those that it reads."""
    by_name = {table.name: table for table in tables}
    reads = {name: [up for up in t.ins.values() if up in by_name] for name, t in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(reads).static_order()]


def now() -> str:
    """The present moment as the Hub writes dates."""
    return as_hub_date(datetime.now(UTC))


def as_hub_date(moment: datetime) -> str:
    """A moment as the Hub writes dates: ISO 8601, milliseconds, Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def observed_now() -> pl.Expr:
    """The present moment as the column `observed_at`."""
    return pl.lit(datetime.now(UTC)).dt.cast_time_unit("ms").alias("observed_at")


class Refusals:
    """What the Hub has never given yet though it was asked for many times, and need not be asked.

    Args:
        kind: the error that such requests end in.
    """

    ENOUGH = 20
    """So many refusals without a single gift settle it for the rest."""

    def __init__(self, kind: type[HubError]) -> None:
        self._kind = kind
        self._refused = 0
        self._is_given = False

    def ask(self, request: Callable[[], Answered]) -> Answered:
        """The answer to a request, or the refusal that it would be.

        Raises:
            HubError: of the kind, or whatever else the request ends in.
        """
        if not self._is_given and self._refused >= self.ENOUGH:
            raise self._kind(f"none of {self._refused} was given")
        try:
            answer = request()
        except self._kind:
            self._refused += 1
            raise
        self._is_given = True
        return answer
