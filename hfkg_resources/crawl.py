"""A snapshot's crawl: stages of work that resume, carry over what did not change, and are counted.

Belongs here: what a stage fetches and what it takes over from the snapshot before, the ledger of
every unit of work, the session that an interrupted run goes on with. Does not: what any endpoint
answers, or how steps lie on disk (`crawl_journal`).
"""

import hashlib
import json
import logging
import math
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from hfkg_resources.atomic_write import link_or_copy, write_atomically
from hfkg_resources.bulk_files import BulkFiles
from hfkg_resources.crawl_journal import StageJournal, crawl_units, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.scope import Scope
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

JOURNALS = ".crawl"
REPORT = ".report.json"
LEDGER_FILE = ".ledger.parquet"
SET_ASIDE_FILE = ".set_aside.parquet"

COMPLETE = "complete"
"""Marks a table whose session got everything."""

NO_PAST = "no_past"
"""Status of a unit that only a Hub with a past could tell of, and this one has none."""

NOT_TOLD = ("failed", "deferred", NO_PAST)
"""Statuses of units that the Hub has not answered."""

UNKNOWN_NUMBER = ("collection_details", "followers", "members")
"""Stages whose units other answers of the Hub tell, so that without those none is known."""

_AGAIN = ".again"
"""Where the tables of a date stay while the date is crawled again."""

CARRIED = Column(
    "carried",
    pl.Boolean(),
    "taken over from the snapshot before, since nothing says that it changed",
    required=True,
)

LEDGER = (
    Column("stage", pl.String(), "stage of the crawl", required=True),
    Column("unit", pl.String(), "what was asked for", required=True),
    Column("basis", pl.String(), "what the listings said of it; while it stays, nothing is asked"),
    Column(
        "status", pl.String(), "ok, failed, deferred, or why the Hub withholds it", required=True
    ),
    Column("http_status", pl.Int64(), "HTTP status, where it gave nothing"),
    Column("reason", pl.String(), "the reason, where it gave nothing"),
    Column("observed_on", pl.Date(), "snapshot it was last asked for in; null where never yet"),
    Column("origin", pl.String(), "the Hub that was asked", required=True),
)
"""Every unit of work of a snapshot's crawl and what became of it."""

_NO_UNITS = pl.DataFrame(schema={"unit": pl.String, "basis": pl.String})
_OF_UNIT = ("unit", "basis", "status", "http_status", "reason", "observed_on")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Before:
    """The newest earlier snapshot of the same Hub.

    Attributes:
        day: its date.
        warehouse: where it is stored.
    """

    day: date
    warehouse: Warehouse

    @classmethod
    def find(
        cls,
        warehouse: Warehouse,
        day: str,
        origin: str,
        tables: Sequence[str],
        *,
        has_begun: bool = False,
    ) -> "Before | None":
        """The newest snapshot up to a date that has all tables and the same origin.

        A snapshot that is made again comes before itself: it is set aside, as links, and what has
        not changed since is carried over from there.

        Args:
            warehouse: the store.
            day: the snapshot date.
            origin: the Hub that is asked.
            tables: short names of the raw tables.
            has_begun: whether a session of that date is gone on with; see `CrawlSession`.
        """
        names = [*tables, "ledger"]
        again = Warehouse(root=str(Path(warehouse.root, JOURNALS, day, _AGAIN)))
        if has_begun:
            # The date's own tables are of this session, but for those it had set aside.
            candidates = [(again, day)]
        else:
            shutil.rmtree(again.root, ignore_errors=True)
            candidates = [(warehouse, day)]
        earlier = [one for one in warehouse.dates("hub/ledger") if one < day]
        candidates += [(warehouse, one) for one in reversed(earlier)]
        for store, date_of in candidates:
            files = [store.path(f"hub/{name}", date_of) for name in names]
            if not all(file.is_file() for file in files):
                continue
            first = store.scan("hub/ledger", date_of).select("origin").head(1).collect()
            if first["origin"].to_list() != [origin]:
                continue
            if date_of == day and store is warehouse:
                for name, file in zip(names, files, strict=True):
                    link_or_copy(file, again.path(f"hub/{name}", day))
                store = again
            return cls(date.fromisoformat(date_of), store)
        return None

    def table(self, name: str) -> pl.LazyFrame:
        """One of its raw tables, such as `likers`."""
        return self.warehouse.scan(f"hub/{name}", self.day)

    def ledger(self, stage: str) -> pl.LazyFrame:
        """What became of the units of a stage."""
        ledger = self.warehouse.scan("hub/ledger", self.day)
        return ledger.filter(pl.col("stage") == stage).select(_OF_UNIT)


def fetched_table(columns: Sequence[Column]) -> RecordTable:
    """The part of a table that answers tell: all but whether a row was carried over."""
    return RecordTable([column for column in columns if column is not CARRIED])


@dataclass
class StageReport:
    """What one stage of a crawl asked for and what became of it.

    Always `expected == fetched + unchanged + deferred + missing + failed`: units of work, or the
    records of a walk.
    """

    stage: str
    expected: int
    fetched: int
    unchanged: int
    deferred: int
    missing: int
    failed: int
    set_aside: int
    rows: int
    requests: int


@dataclass
class Crawl:
    """The work of one `hub/*` table for one snapshot: a client and resumable stages.

    Attributes:
        client: the Hub's client.
        scope: how much is wanted.
        social: whether likes and follows are wanted.
        day: the snapshot date.
        directory: where the journals and reports of this table and snapshot lie.
        workers: threads.
        before: the snapshot to carry over from, if there is one.
        refresh_days: in so many days every unit is asked for again, changed or not; 0 asks for
            everything at once.
        origin: the Hub that is asked, for the ledger.
        bulk: files that tell of the Hub on that day, where the source has some.
        no_past: why the Hub cannot tell what it was on that day; empty if it can.
        stop: ends the stage that runs when set.
        reports: one per stage run.
    """

    client: HubClient
    scope: Scope
    social: bool
    day: str
    directory: Path
    workers: int
    before: Before | None = None
    refresh_days: int = 30
    origin: str = ""
    bulk: BulkFiles | None = None
    no_past: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    reports: list[StageReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._missing: dict[str, pl.DataFrame] = {}

    def walk(
        self,
        stage: str,
        columns: Sequence[Column],
        path: str,
        params: dict[str, Any],
        reader: PageReader,
        *,
        max_records: int | None = None,
    ) -> pl.LazyFrame:
        """Rows of a listing, page by page; goes on at the stored cursor after an interruption."""
        journal = self._journal(stage, columns, f"{path} {params} {max_records}")
        if self.no_past:
            return self._finish(
                stage, columns, journal, _NO_UNITS, self._unasked(pl.DataFrame({"unit": [path]})),
                None, 0,
            )  # fmt: skip
        crawl_walk(
            journal, self.client, path, params, reader,
            max_records=max_records, log=log, stop=self.stop,
        )  # fmt: skip
        work = pl.DataFrame(
            {"unit": [path], "basis": [None]}, schema_overrides={"basis": pl.String}
        )
        failed = journal.failures().height
        expected = journal.records + failed
        return self._finish(stage, columns, journal, work, self._nothing(), None, expected)

    def units(
        self,
        stage: str,
        columns: Sequence[Column],
        units: pl.DataFrame | Sequence[str],
        fetch: Callable[[str], list[dict[str, Any]]],
        *,
        carry: pl.LazyFrame | None = None,
        refresh: bool = True,
    ) -> pl.LazyFrame:
        """Rows of many small requests, one unit each.

        A unit is taken over from the snapshot before while its basis is what it was then. Since a
        counter may hide a change, those asked for longest ago are asked for again: a slice per
        day, so that within `refresh_days` each was. Units that can wait are first asked for in
        such slices, too.

        Args:
            stage: the stage's name.
            columns: the table's columns; `carried` is filled in.
            units: `unit`, and where there are any `basis`, `can_wait` and `is_timeless`; without a
                basis a unit is always fetched, and a timeless one is the same on any day.
            fetch: gives a unit's raw rows; called in threads.
            carry: the rows of the snapshot before, as today would name things, with their `unit`.
            refresh: false where the basis tells of every change.
        """
        if not isinstance(units, pl.DataFrame):
            units = pl.DataFrame({"unit": units}, schema={"unit": pl.String})
        missing = {
            "basis": pl.lit(None, pl.String),
            "can_wait": pl.lit(False),
            "is_timeless": pl.lit(False),
        }
        units = units.with_columns(
            **{name: value for name, value in missing.items() if name not in units.columns}
        )
        kept = self.kept(stage, units, refresh=refresh) if carry is not None else self._nothing()
        deferred = self.deferred(stage, units)
        settled = pl.concat([kept, deferred])
        wanted = units.join(settled, on="unit", how="anti")
        if self.no_past:
            settled = pl.concat([settled, self._unasked(self._untold(stage, wanted))])
            wanted = wanted.filter("is_timeless")
        wanted = wanted.drop("is_timeless")
        journal = self._journal(stage, columns, wanted.write_csv())
        crawl_units(
            journal, wanted["unit"], fetch,
            workers=self.workers, log=log, describe=stage, client=self.client, stop=self.stop,
        )  # fmt: skip
        return self._finish(stage, columns, journal, wanted, settled, carry, wanted.height)

    def from_file(
        self,
        stage: str,
        source: str,
        *,
        rows: int,
        aside: pl.DataFrame,
        aside_records: int,
        requests: int,
        units: pl.DataFrame | None = None,
        of_stage: str | None = None,
    ) -> None:
        """Accounts for a stage whose rows a file gave, in place of the Hub's answers.

        Args:
            stage: the stage's name.
            source: the file, for people.
            rows: rows that it gave.
            aside: what could not be read, in the columns of `SetAside`; also whole columns.
            aside_records: records among them.
            requests: requests that the file took.
            units: `unit` and `basis` that the file has answered; else the file is the one unit.
            of_stage: the stage that would have asked for these units.
        """
        if units is None:
            units = pl.DataFrame({"unit": [source], "basis": [None]})
        ledger = units.select(
            "unit", pl.col("basis").cast(pl.String), pl.lit("ok").alias("status"),
            pl.lit(None, pl.Int64).alias("http_status"), pl.lit(None, pl.String).alias("reason"),
            pl.lit(date.fromisoformat(self.day)).alias("observed_on"),
        )  # fmt: skip
        records = rows + aside_records
        report = StageReport(
            stage, expected=records, fetched=records, unchanged=0, deferred=0, missing=0,
            failed=0, set_aside=aside_records, rows=rows, requests=requests,
        )  # fmt: skip
        self.reports.append(report)
        self._write(stage, ledger, aside, report, of_stage)
        log.info(
            "%s: %d rows of %s; %d records set aside; %d requests",
            stage, rows, source, aside_records, requests,
        )  # fmt: skip

    def _untold(self, stage: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """The units that cannot be asked for; one stands for all where no number is known."""
        is_wanted = self.social or stage != "followers"
        if wanted.is_empty() and is_wanted and stage in UNKNOWN_NUMBER:
            return pl.DataFrame({"unit": ["all of them"]})
        return wanted.filter(~pl.col("is_timeless"))

    def _unasked(self, units: pl.DataFrame) -> pl.DataFrame:
        """Units that a Hub without a past cannot tell of, as the ledger has them.

        They have no basis there, so that the next snapshot asks for them.
        """
        return units.select(
            "unit",
            pl.lit(None, pl.String).alias("basis"),
            pl.lit(NO_PAST).alias("status"),
            pl.lit(None, pl.Int64).alias("http_status"),
            pl.lit(self.no_past).alias("reason"),
            pl.lit(None, pl.Date).alias("observed_on"),
        )

    def kept(self, stage: str, units: pl.DataFrame, *, refresh: bool = True) -> pl.DataFrame:
        """Units that need not be asked for, as the ledger before has them.

        Args:
            stage: the stage's name.
            units: `unit` and `basis`.
            refresh: false where the basis tells of every change.
        """
        known = self._asked_before(stage)
        same = units.join(known, on=["unit", "basis"]).select(_OF_UNIT)
        if self.no_past:  # who cannot ask again keeps what is known
            return same
        if self.refresh_days == 0:
            return same.clear()
        if not refresh:
            return same
        return same.sort("observed_on", "unit").slice(self.slice_of(same.height))

    def deferred(self, stage: str, units: pl.DataFrame) -> pl.DataFrame:
        """Units that can wait and whose turn has not come, as the ledger will have them.

        Args:
            stage: the stage's name.
            units: `unit`, `basis`, `can_wait`.
        """
        can_wait = units.filter("can_wait")
        # As in most stages: the ledger need not be read for it.
        if can_wait.is_empty() or self.no_past:
            return self._nothing()
        never = can_wait.join(self._asked_before(stage), on="unit", how="anti").sort("unit")
        return never.slice(self.slice_of(can_wait.height)).select(
            "unit", "basis",
            pl.lit("deferred").alias("status"),
            pl.lit(None, pl.Int64).alias("http_status"),
            pl.lit("its turn comes").alias("reason"),
            pl.lit(None, pl.Date).alias("observed_on"),
        )  # fmt: skip

    def _asked_before(self, stage: str) -> pl.DataFrame:
        if self.before is None:
            return self._nothing()
        ledger = self.before.ledger(stage)
        return ledger.filter(~pl.col("status").is_in(NOT_TOLD)).collect()

    def _nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema=schema_of(LEDGER)).select(_OF_UNIT)

    def slice_of(self, units: int) -> int:
        """How many of so many units have their turn: those of the days since the last snapshot."""
        if self.refresh_days == 0:
            return units
        day = date.fromisoformat(self.day)
        passed = 1 if self.before is None else (day - self.before.day).days
        return min(units, math.ceil(units * passed / self.refresh_days))

    def missing(self, stage: str) -> pl.DataFrame:
        """Units of a finished stage that the Hub does not give: `unit`, `status`, `reason`."""
        return self._missing[stage]

    def _journal(self, stage: str, columns: Sequence[Column], identity: str) -> StageJournal:
        """The stage's journal, found again only for exactly the same work."""
        work = hashlib.sha256(identity.encode()).hexdigest()[:16]
        folder = self.directory / stage
        for other in folder.glob("*"):
            if other.name != work:
                shutil.rmtree(other)
        return StageJournal(folder / work, fetched_table(columns))

    def _finish(
        self,
        stage: str,
        columns: Sequence[Column],
        journal: StageJournal,
        wanted: pl.DataFrame,
        settled: pl.DataFrame,
        carry: pl.LazyFrame | None,
        expected: int,
    ) -> pl.LazyFrame:
        """The stage's rows; writes its ledger and report."""
        rows, count = journal.scan(), journal.rows
        ok = settled.filter(pl.col("status") == "ok")
        if CARRIED in columns:
            rows = rows.with_columns(pl.lit(False).alias(CARRIED.name))
        if carry is not None:
            taken = carry.join(ok.lazy().select("unit"), on="unit", how="semi").with_columns(
                pl.lit(True).alias(CARRIED.name)
            )
            rows = pl.concat([rows, taken.select(column.name for column in columns)])
            count += int(taken.select(pl.len()).collect().item())
        ledger = pl.concat([self._settled(journal, wanted), settled])
        gone = ledger.filter(~pl.col("status").is_in(["ok", *NOT_TOLD]))
        self._missing[stage] = gone.select("unit", pl.col("http_status").alias("status"), "reason")
        failed = journal.failures().height
        report = StageReport(
            stage=stage,
            expected=expected + settled.height,
            fetched=expected - journal.missing().height - failed,
            unchanged=ok.height,
            deferred=int((settled["status"] == "deferred").sum()),
            missing=gone.height + int((settled["status"] == NO_PAST).sum()),
            failed=failed,
            set_aside=journal.set_aside().height,
            rows=count,
            requests=journal.requests,
        )
        self.reports.append(report)
        self._write(stage, ledger, journal.set_aside(), report)
        log.info(
            "%s: %d rows; of %d: %d fetched, %d unchanged, %d deferred, %d missing, %d failed; "
            "%d set aside; %d requests",
            stage, count, report.expected, report.fetched, report.unchanged, report.deferred,
            report.missing, failed, report.set_aside, report.requests,
        )  # fmt: skip
        return rows

    def _settled(self, journal: StageJournal, wanted: pl.DataFrame) -> pl.DataFrame:
        """What became of the units wanted, in the ledger's columns."""
        missing = journal.missing().with_columns(pl.col("reason").alias("outcome"))
        failed = journal.failures().with_columns(pl.lit("failed").alias("outcome"))
        gave_nothing = pl.concat([missing, failed]).rename({"status": "http_status"})
        # Without a basis it is asked for again next time: a record that was set aside may be sound.
        aside = pl.col("unit").is_in(journal.set_aside()["unit"].drop_nulls().implode())
        basis = pl.when(~aside).then("basis").alias("basis")
        return wanted.join(gave_nothing, on="unit", how="left").select(
            "unit", basis, pl.col("outcome").fill_null("ok").alias("status"), "http_status",
            "reason", pl.lit(date.fromisoformat(self.day)).alias("observed_on"),
        )  # fmt: skip

    def _write(
        self,
        stage: str,
        ledger: pl.DataFrame,
        aside: pl.DataFrame,
        report: StageReport,
        of_stage: str | None = None,
    ) -> None:
        named = ledger.select(
            pl.lit(of_stage or stage).alias("stage"), *_OF_UNIT, pl.lit(self.origin).alias("origin")
        )
        text = json.dumps(asdict(report)).encode()
        for suffix, write in (
            (LEDGER_FILE, lambda file: named.write_parquet(file)),
            (SET_ASIDE_FILE, lambda file: aside.write_parquet(file)),
            (REPORT, lambda file: file.write_bytes(text)),
        ):
            write_atomically(self.directory / f"{stage}{suffix}", write)


class CrawlSession:
    """The crawls of a snapshot's tables: they share a client and a way to stop.

    An interrupted session, or one with failed units, is gone on with by the next: what was fetched
    stays. A session that got everything is over; the next one begins anew, and carries over from
    it what has not changed.

    Args:
        root: where the journals of the snapshot lie.
        make: makes a table's crawl, given its folder and the event that stops it.

    Attributes:
        crawls: by table, those begun.
        stop: ends all of them when set.
    """

    def __init__(self, root: Path, make: Callable[[Path, threading.Event], Crawl]) -> None:
        self._root = root
        self._make = make
        self.crawls: dict[str, Crawl] = {}
        self.stop = threading.Event()

    @staticmethod
    def has_begun(root: Path) -> bool:
        """Whether a session was interrupted there, or could not get everything."""
        tables = [table for table in root.glob("*") if not table.name.startswith(".")]
        return any(not (table / COMPLETE).is_file() for table in tables)

    def begin(self, name: str) -> Crawl:
        """A table's crawl; what a finished session left of it is removed."""
        folder = self._root / name
        if (folder / COMPLETE).is_file():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.*"):  # of stages that another scope had
            old.unlink()
        self.crawls[name] = self._make(folder, self.stop)
        return self.crawls[name]

    def close(self) -> None:
        """Ends the session once all its tables are stored: if nothing failed, for good."""
        if any(report.failed for crawl in self.crawls.values() for report in crawl.reports):
            return
        for crawl in self.crawls.values():
            for stage in crawl.directory.iterdir():
                if stage.is_dir():  # the journals: their rows are stored
                    shutil.rmtree(stage)
            write_atomically(crawl.directory / COMPLETE, lambda file: file.write_bytes(b""))
        shutil.rmtree(self._root / _AGAIN, ignore_errors=True)
