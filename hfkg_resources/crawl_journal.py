"""The work of one stage of a crawl: what is done, what it gave, and how to go on after a kill.

Belongs here: reading records into declared tables, shards on disk, the two ways to crawl (many
small units, one long walk). Does not: what is asked of the Hub, nor how a request is sent.
"""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from hfkg_resources.atomic_write import SUFFIX, write_atomically
from hfkg_resources.errors import (
    BadRequest,
    Disabled,
    Gated,
    GaveUp,
    HubError,
    MalformedAnswer,
    NotFound,
    RedirectLoop,
    TooLarge,
)
from hfkg_resources.rate_limits import BucketState
from hfkg_resources.table_schema import Column, schema_of

if TYPE_CHECKING:
    from hfkg_resources.hub_client import HubClient

WITHHELD = (NotFound, Gated, Disabled, TooLarge)
"""The Hub's last word on a unit: it is done, and gives nothing."""

FAILED = (GaveUp, MalformedAnswer, BadRequest, RedirectLoop)
UNREADABLE = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What code that reads an answer raises when the answer has another shape than documented."""

SHARD_CHARACTERS = 64 * 1024 * 1024
"""Text held in memory before a shard is written, whatever the number of units."""

EXCERPT = 300
PROGRESS_S = 10.0
_TICK_S = 0.5

# 2024-12-15T10:00:00.000Z: without a zone a date would be read as local time.
_ISO_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$"


# -- records ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetAside:
    """A record that cannot be a row of its table.

    Attributes:
        index: its place among the records given.
        column: the column at fault, with the place inside it; empty if it is the whole record.
        expected: what should have been there.
        got: what was.
        excerpt: the beginning of the record, as JSON where possible.
        unit: the unit of work it came with.
    """

    index: int
    column: str
    expected: str
    got: str
    excerpt: str
    unit: str | None = None

    @classmethod
    def unparsed(cls, index: int, record: object, error: Exception) -> "SetAside":
        """A record that its parser does not understand."""
        return cls(index, "", "a record as documented", repr(error)[:EXCERPT], excerpt(record))


class RecordTable:
    """Reads raw records into a table of declared columns, strictly.

    Polars turns `1` into `"1"`, `1.5` into `1` and a string where a list belongs into null, even
    when told to be strict; so records pass a pydantic validator first.

    Args:
        columns: the declaration.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.schema = schema_of(self.columns)
        fields = {
            column.name: core_schema.typed_dict_field(
                _json_schema(column.dtype)
                if column.required
                else core_schema.nullable_schema(_json_schema(column.dtype)),
                required=column.required,
            )
            for column in self.columns
        }
        record = core_schema.typed_dict_schema(fields, extra_behavior="ignore", strict=True)
        self._validator = SchemaValidator(core_schema.list_schema(record, strict=True))

    def validate(self, rows: Sequence[Mapping[str, Any]]) -> tuple[pl.DataFrame, list[SetAside]]:
        """Rows as a frame, in their order; those that do not fit are set aside.

        Keys that no column has are left out, and missing ones are null.
        """
        rows = list(rows)
        try:
            return self._frame(self._validator.validate_python(rows)), []
        except ValidationError as error:
            aside = self._set_aside(rows, error)
        sound = [row for index, row in enumerate(rows) if index not in aside]
        return self._frame(self._validator.validate_python(sound)), list(aside.values())

    def _frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                column.name: pl.Series(
                    column.name, [row.get(column.name) for row in rows], column.dtype
                )
                for column in self.columns
            },
            schema=self.schema,
        )

    def _set_aside(self, rows: list[Any], error: ValidationError) -> dict[int, SetAside]:
        """By row, its first fault."""
        aside: dict[int, SetAside] = {}
        for fault in error.errors(include_url=False, include_context=False):
            index, *where = fault["loc"]
            assert isinstance(index, int)
            if index in aside:
                continue
            missing = fault["type"] == "missing"
            column = str(where[0]) if where else ""
            aside[index] = SetAside(
                index=index,
                column=".".join(map(str, where)),
                expected=str(self.schema[column]) if column else "an object",
                got="nothing" if missing else _described(fault["input"]),
                excerpt=excerpt(rows[index]),
            )
        return aside


def _json_schema(dtype: Any) -> CoreSchema:
    """What a JSON value must be to become a value of a Polars type.

    Raises:
        TypeError: records cannot hold that type.
    """
    match dtype() if isinstance(dtype, type) else dtype:  # inner types may come as classes
        case pl.String():
            return core_schema.str_schema(strict=True)
        case pl.Boolean():
            return core_schema.bool_schema(strict=True)
        case pl.Float64() | pl.Float32():
            return core_schema.float_schema(strict=True)
        case pl.Datetime():
            return core_schema.chain_schema(
                [
                    core_schema.str_schema(strict=True, pattern=_ISO_INSTANT),
                    core_schema.datetime_schema(strict=False),
                ]
            )
        case pl.List():
            return core_schema.list_schema(
                core_schema.nullable_schema(_json_schema(dtype.inner)), strict=True
            )
        case pl.Struct():
            return core_schema.typed_dict_schema(
                {
                    inner.name: core_schema.typed_dict_field(
                        core_schema.nullable_schema(_json_schema(inner.dtype)), required=False
                    )
                    for inner in dtype.fields
                },
                extra_behavior="ignore",
                strict=True,
            )
        case _ if dtype.is_integer():
            return core_schema.int_schema(strict=True, ge=_limit(dtype, "min"), le=_limit(dtype))
    raise TypeError(f"no record can hold {dtype}")


def _limit(dtype: Any, side: str = "max") -> int:
    bound = dtype.min() if side == "min" else dtype.max()
    return int(pl.select(bound).item())


def _described(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"


def excerpt(record: object) -> str:
    """The beginning of a record, for people."""
    try:
        text = orjson.dumps(record, default=str).decode()
    except TypeError:
        text = repr(record)
    return text[:EXCERPT]


# -- the journal --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unfetched:
    """A unit that gave no rows, and why.

    Attributes:
        unit: the unit.
        status: HTTP status, where there was one.
        reason: a word for what the Hub withholds (see `errors`), a sentence for a failure.
    """

    unit: str
    status: int | None
    reason: str


_UNFETCHED = pl.Schema({"unit": pl.String(), "status": pl.Int64(), "reason": pl.String()})
_SET_ASIDE = pl.Schema(
    {
        "index": pl.Int64(),
        "column": pl.String(),
        "expected": pl.String(),
        "got": pl.String(),
        "excerpt": pl.String(),
        "unit": pl.String(),
    }
)


class StageJournal:
    """The finished part of one stage, on disk.

    A shard is `shard-000001.parquet` with its rows and `shard-000001.json`, its manifest. The
    manifest is written last: it is the commit. What an interrupted writer left behind is removed
    when the journal is opened, so only one process may have it open.

    Args:
        directory: the journal's own folder; made if it is not there.
        table: the rows' declaration.

    Attributes:
        done: units that need not be fetched again: those with rows and those withheld.
        cursor: where a walk goes on; None before the first page and after the last.
        requests: requests that the committed shards took.
        rows: rows committed.
        shards: number of committed shards.
    """

    def __init__(self, directory: Path, table: RecordTable) -> None:
        self.directory = directory
        self.table = table
        self.done: set[str] = set()
        self.cursor: str | None = None
        self.requests = self.rows = self.shards = 0
        self._failures: dict[str, Unfetched] = {}
        self._missing: list[Unfetched] = []
        self._set_aside: list[SetAside] = []
        self._files: list[Path] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._number = self._clean()
        for manifest in sorted(directory.glob("shard-*.json")):
            self._take_in(orjson.loads(manifest.read_bytes()), manifest.with_suffix(".parquet"))

    @property
    def finished(self) -> bool:
        """Whether the stage came to its end; units may have failed all the same."""
        return self._end.is_file()

    @property
    def finished_at(self) -> float:
        """When it did, in seconds since the epoch; 0 if it did not."""
        return self._end.stat().st_mtime if self.finished else 0.0

    def append(
        self,
        frame: pl.DataFrame,
        *,
        units: Sequence[str],
        failures: Sequence[Unfetched] = (),
        missing: Sequence[Unfetched] = (),
        set_aside: Sequence[SetAside] = (),
        cursor: str | None = None,
        requests: int = 0,
    ) -> None:
        """Commits a shard.

        Args:
            frame: rows, in the table's schema.
            units: units that are finished with it.
            failures: units to be tried again.
            missing: units that the Hub withholds.
            set_aside: records that are not among the rows.
            cursor: where a walk goes on; None if it is over.
            requests: what the shard took.
        """
        self._number += 1
        path = self.directory / f"shard-{self._number:06d}.parquet"
        manifest = {
            "rows": frame.height,
            "units": list(units),
            "failures": [asdict(one) for one in failures],
            "missing": [asdict(one) for one in missing],
            "set_aside": [asdict(one) for one in set_aside],
            "cursor": cursor,
            "requests": requests,
        }
        if frame.height:
            write_atomically(path, lambda file: frame.write_parquet(file, compression="zstd"))
        text = orjson.dumps(manifest)
        write_atomically(path.with_suffix(".json"), lambda file: file.write_bytes(text))
        self._take_in(manifest, path)

    def finish(self) -> None:
        """Marks the end of the stage."""
        write_atomically(self._end, lambda file: file.write_bytes(b"{}"))

    def scan(self) -> pl.LazyFrame:
        """All rows, in the order they were committed."""
        if not self._files:
            return pl.LazyFrame(schema=self.table.schema)
        return pl.scan_parquet(self._files, hive_partitioning=False)

    def failures(self) -> pl.DataFrame:
        """Units that failed and have not succeeded since: `unit`, `status`, `reason`."""
        return _table(list(self._failures.values()), _UNFETCHED)

    def missing(self) -> pl.DataFrame:
        """Units that the Hub withholds: `unit`, `status`, `reason`."""
        return _table(self._missing, _UNFETCHED)

    def set_aside(self) -> pl.DataFrame:
        """Records that are no rows, with the reason; see `SetAside`."""
        return _table(self._set_aside, _SET_ASIDE)

    @property
    def set_aside_count(self) -> int:
        """Number of records that are no rows."""
        return len(self._set_aside)

    @property
    def _end(self) -> Path:
        return self.directory / "finished.json"

    def _clean(self) -> int:
        """Removes what was not committed; returns the highest shard number ever used."""
        numbers = [0]
        for path in self.directory.iterdir():
            if path.suffix == SUFFIX:
                path.unlink()
            elif path.name.startswith("shard-"):
                numbers.append(int(path.stem.removeprefix("shard-")))
                if path.suffix == ".parquet" and not path.with_suffix(".json").is_file():
                    path.unlink()
        return max(numbers)

    def _take_in(self, manifest: dict[str, Any], rows: Path) -> None:
        self.shards += 1
        self.rows += manifest["rows"]
        self.requests += manifest["requests"]
        self.cursor = manifest["cursor"]
        if manifest["rows"]:
            self._files.append(rows)
        missing = [Unfetched(**one) for one in manifest["missing"]]
        self._missing += missing
        self._set_aside += [SetAside(**one) for one in manifest["set_aside"]]
        settled = [*manifest["units"], *(one.unit for one in missing)]
        self.done.update(settled)
        self._failures.update({one["unit"]: Unfetched(**one) for one in manifest["failures"]})
        for unit in settled:
            self._failures.pop(unit, None)


def _table(records: Sequence[Any], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([asdict(record) for record in records], schema=schema)


# -- many small units ---------------------------------------------------------------------------


def crawl_units(
    journal: StageJournal,
    units: Sequence[str],
    fetch: Callable[[str], list[dict[str, Any]]],
    *,
    workers: int = 16,
    shard_units: int = 1_000,
    shard_seconds: float = 30.0,
    log: logging.Logger,
    describe: str = "units",
    limits_snapshot: Callable[[], Mapping[str, BucketState]] | None = None,
) -> None:
    """Fetches every unit that is not done, in threads, and commits what they give in shards.

    A unit that the Hub withholds is recorded as missing and is done; one that fails is recorded
    as failed and tried again the next time. Trouble that concerns all units ends the crawl. What
    was finished by then, or by an interrupt, is committed.

    Args:
        journal: what is done already, and where the rest goes.
        units: all units of the stage.
        fetch: gives a unit's raw rows; called in threads.
        workers: threads.
        shard_units: units per shard.
        shard_seconds: a shard is written after this time though it be smaller.
        log: for progress.
        describe: what the units are, for progress.
        limits_snapshot: the state of the quotas, for progress and the count of requests.

    Raises:
        BadToken, HubUnreachable: nothing will work.
        Exception: whatever else `fetch` raises that does not concern one unit alone.
    """
    pending = [unit for unit in dict.fromkeys(units) if unit not in journal.done]
    if not pending:
        if not journal.finished:
            journal.finish()
        return
    progress = _Progress(log, describe, len(pending), limits_snapshot)
    shard = _Shard(journal, progress)
    crew = _Crew(pending, fetch, workers)
    try:
        for outcome in crew.outcomes():
            if outcome is not None:
                shard.add(outcome)
                progress.count(1)
            if shard.is_due(shard_units, shard_seconds):
                shard.flush()
            progress.tell()
    finally:
        for outcome in crew.dismiss():
            shard.add(outcome)
        shard.flush()
    journal.finish()


@dataclass(frozen=True)
class _Outcome:
    """What became of one unit: rows, or the error."""

    unit: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def characters(self) -> int:
        """Length of the rows' texts: what bounds the memory of a shard of long ones."""
        values = itertools.chain.from_iterable(
            row.values() for row in self.rows if isinstance(row, dict)
        )
        return sum(len(value) for value in values if isinstance(value, str))

    @property
    def has_failed(self) -> bool:
        return self.error is not None and not isinstance(self.error, WITHHELD)

    @property
    def unfetched(self) -> Unfetched:
        """The record of a unit that gave no rows."""
        if isinstance(self.error, WITHHELD):
            return Unfetched(self.unit, self.error.status, self.error.reason)
        status = self.error.status if isinstance(self.error, HubError) else None
        reason = f"{type(self.error).__name__}: {self.error}"[:EXCERPT]
        return Unfetched(self.unit, status, reason)


class _Crew:
    """Threads that take units one by one, each with a permit that comes back with its result.

    The permits bound what waits in memory. The main thread touches only `SimpleQueue`s, which an
    interrupt cannot leave locked: `queue.Queue` and `Event` hold locks of Python's own, and an
    interrupt between taking one and noting it would make the next call wait for ever.
    """

    def __init__(
        self, units: Sequence[str], fetch: Callable[[str], list[dict[str, Any]]], workers: int
    ) -> None:
        self._units = iter(units)
        self._fetch = fetch
        self._taking = threading.Lock()
        self._is_dismissed = False
        self._results: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()
        self._permits: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(2 * workers):
            self._permits.put(None)
        self._active = workers
        # Daemons: an interrupted crawl need not wait for answers that are still under way.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def outcomes(self) -> Iterator[_Outcome | None]:
        """Results as they come, and None where for a moment none did.

        Raises:
            Exception: of a unit, where it concerns the whole crawl.
        """
        for thread in self._threads:
            thread.start()
        while self._active:
            try:
                outcome = self._results.get(timeout=_TICK_S)
            except queue.Empty:
                yield None
                continue
            if outcome is None:
                self._active -= 1
            elif _concerns_all(outcome.error):
                assert outcome.error is not None
                raise outcome.error
            else:
                yield outcome
                self._permits.put(None)

    def dismiss(self) -> Iterator[_Outcome]:
        """Stops the threads; gives the results that are already there."""
        self._is_dismissed = True
        for _ in self._threads:  # those that wait for a permit are to see it too
            self._permits.put(None)
        while True:
            try:
                outcome = self._results.get_nowait()
            except queue.Empty:
                return
            if outcome is not None and not _concerns_all(outcome.error):
                yield outcome

    def _work(self) -> None:
        while True:
            self._permits.get()
            if self._is_dismissed:
                break
            with self._taking:
                unit = next(self._units, None)
            if unit is None:
                break
            try:
                outcome = _Outcome(unit, self._fetch(unit))
            except Exception as error:
                outcome = _Outcome(unit, error=error)
            self._results.put(outcome)
        self._results.put(None)


def _concerns_all(error: Exception | None) -> bool:
    return error is not None and not isinstance(error, (*WITHHELD, *FAILED, *UNREADABLE))


class _Shard:
    """Results on their way to the journal.

    An interrupt may come between any two statements here. A result is taken in by one of them, so
    that no unit is ever marked as done without its rows; at worst it is fetched again.
    """

    def __init__(self, journal: StageJournal, progress: "_Progress") -> None:
        self._journal = journal
        self._progress = progress
        self._outcomes: list[_Outcome] = []
        self._characters = 0
        self._since = time.monotonic()

    def add(self, outcome: _Outcome) -> None:
        self._outcomes.append(outcome)
        self._characters += outcome.characters

    def is_due(self, units: int, seconds: float) -> bool:
        return len(self._outcomes) >= units or (
            bool(self._outcomes)
            and (self._characters >= SHARD_CHARACTERS or time.monotonic() - self._since >= seconds)
        )

    def flush(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._characters, self._since = 0, time.monotonic()
        if not outcomes:
            return
        done = [outcome for outcome in outcomes if outcome.error is None]
        unit_of_row = [outcome.unit for outcome in done for _ in outcome.rows]
        frame, aside = self._journal.table.validate(
            [row for outcome in done for row in outcome.rows]
        )
        self._journal.append(
            frame,
            units=[outcome.unit for outcome in done],
            failures=[one.unfetched for one in outcomes if one.has_failed],
            missing=[one.unfetched for one in outcomes if isinstance(one.error, WITHHELD)],
            set_aside=[replace(one, unit=unit_of_row[one.index]) for one in aside],
            requests=self._progress.new_requests(),
        )


class _Progress:
    """Tells at a steady rhythm how far a stage is."""

    def __init__(
        self,
        log: logging.Logger,
        describe: str,
        total: int | None,
        limits_snapshot: Callable[[], Mapping[str, BucketState]] | None,
    ) -> None:
        self._log = log
        self._describe = describe
        self._total = total
        self._snapshot = limits_snapshot or (lambda: {})
        self._done = 0
        self._started = self._told = time.monotonic()
        self._sent = self._sent_so_far()

    def count(self, done: int) -> None:
        self._done += done

    def new_requests(self) -> int:
        """Requests since this was last asked."""
        before, self._sent = self._sent, self._sent_so_far()
        return self._sent - before

    def tell(self) -> None:
        now = time.monotonic()
        if now - self._told < PROGRESS_S:
            return
        self._told = now
        rate = self._done / (now - self._started)
        of, to_go = "", ""
        if self._total is not None:
            of = f" of {self._total:,}"
            to_go = f", {(self._total - self._done) / rate:,.0f} s to go" if rate else ""
        quota = "; ".join(f"{name} {state}" for name, state in self._snapshot().items())
        self._log.info(
            "%s: %s%s, %.1f/s%s%s",
            self._describe, f"{self._done:,}", of, rate, to_go, f" ({quota})" if quota else "",
        )  # fmt: skip

    def _sent_so_far(self) -> int:
        return sum(state.sent for state in self._snapshot().values())


# -- one long walk ------------------------------------------------------------------------------


def crawl_walk(
    journal: StageJournal,
    client: "HubClient",
    path: str,
    params: Mapping[str, Any],
    parse: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    stop: Callable[[dict[str, Any]], bool] | None = None,
    max_records: int | None = None,
    shard_pages: int = 20,
    log: logging.Logger,
) -> None:
    """Walks a list page by page; goes on at the journal's cursor after an interruption.

    Args:
        journal: what is done already, and where the rest goes.
        client: asks for the pages.
        path: the list.
        params: its query.
        parse: turns a record as served into a raw row; what it cannot read is set aside.
        stop: ends the walk before the first record it is true of.
        max_records: ends the walk after so many records, those set aside included.
        shard_pages: pages per shard.
        log: for progress.

    Raises:
        HubError: a page cannot be had; the pages before it are committed.
    """
    if journal.finished:
        return
    if journal.shards and journal.cursor is None:  # killed between the last page and the mark
        journal.finish()
        return
    started_at = journal.cursor
    pages = client.pages(started_at or path, None if started_at else params)
    walk = _Walk(journal, client, parse, stop, max_records)
    progress = _Progress(log, path, None, client.limits.snapshot)
    try:
        for page in pages:
            walk.take(page.records, page.next_url)
            progress.count(len(page.records))
            if walk.is_over:
                break
            if walk.pages >= shard_pages:
                walk.flush()
            progress.tell()
    finally:
        walk.flush()
    journal.finish()


@dataclass(frozen=True)
class _ParsedPage:
    """A page's rows, what of it is none, and where the walk goes on behind it."""

    rows: list[dict[str, Any]]
    aside: list[SetAside]
    cursor: str | None


class _Walk:
    """Pages on their way to the journal."""

    def __init__(
        self,
        journal: StageJournal,
        client: "HubClient",
        parse: Callable[[dict[str, Any]], dict[str, Any]],
        stop: Callable[[dict[str, Any]], bool] | None,
        max_records: int | None,
    ) -> None:
        self._journal = journal
        self._client = client
        self._parse = parse
        self._stop = stop
        self._max_records = max_records
        self._pages: list[_ParsedPage] = []
        self._sent = client.requests.total()

    @property
    def pages(self) -> int:
        """Pages taken and not committed."""
        return len(self._pages)

    @property
    def is_over(self) -> bool:
        return bool(self._pages) and self._pages[-1].cursor is None

    def take(self, records: Sequence[dict[str, Any]], next_url: str | None) -> None:
        """Parses a page; the cursor behind it is None where the walk ends."""
        rows: list[dict[str, Any]] = []
        aside: list[SetAside] = []
        over = next_url is None
        taken = sum(len(page.rows) + len(page.aside) for page in self._pages)
        for index, record in enumerate(records):
            if self._is_full(taken + len(rows) + len(aside)):
                break
            try:
                if self._stop is not None and self._stop(record):
                    over = True
                    break
                rows.append(self._parse(record))
            except UNREADABLE as error:
                aside.append(SetAside.unparsed(index, record, error))
        over = over or self._is_full(taken + len(rows) + len(aside))
        cursor = None if over or next_url is None else self._client.path_of(next_url)
        # One statement takes in the page with its cursor: an interrupt finds no half page.
        self._pages.append(_ParsedPage(rows, aside, cursor))

    def _is_full(self, taken: int) -> bool:
        # Rows that turn out unfit when they are committed move from the first count to the second.
        before = self._journal.rows + self._journal.set_aside_count
        return self._max_records is not None and before + taken >= self._max_records

    def flush(self) -> None:
        """Commits the pages taken since the last time, with the cursor after them."""
        pages, self._pages = self._pages, []
        if not pages:
            return
        frame, unfit = self._journal.table.validate([row for page in pages for row in page.rows])
        sent, self._sent = self._sent, self._client.requests.total()
        self._journal.append(
            frame,
            units=(),
            set_aside=[*(one for page in pages for one in page.aside), *unfit],
            cursor=pages[-1].cursor,
            requests=self._sent - sent,
        )
