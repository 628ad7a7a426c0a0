"""The work of one stage of a crawl: what is done, what it gave, and how to go on after a kill.

Belongs here: steps and shards on disk, the two ways to crawl (many small units, one long walk).
Does not: what is asked of the Hub, how a request is sent, or what a row must be (`record_table`).
"""

import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

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
from hfkg_resources.record_table import EXCERPT, UNREADABLE, PageReader, RecordTable, SetAside

if TYPE_CHECKING:
    from hfkg_resources.hub_client import HubClient

WITHHELD = (NotFound, Gated, Disabled, TooLarge)
"""The Hub's last word on a unit: it is done, and gives nothing."""

FAILED = (GaveUp, MalformedAnswer, BadRequest, RedirectLoop)

SHARD_UNITS = 2_000
SHARD_PAGES = 20
SHARD_BYTES = 32 * 1024 * 1024
"""Raw rows held in memory before a shard is written, whatever the number of units or pages."""

PROGRESS_S = 10.0
_TICK_S = 0.5


class CrawlStopped(Exception):
    """The crawl was asked to stop; what was finished by then is kept."""


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

    @classmethod
    def of(cls, unit: str, error: Exception) -> "Unfetched":
        """The record of the error that a unit ended in."""
        if isinstance(error, WITHHELD):
            return cls(unit, error.status, error.reason)
        status = error.status if isinstance(error, HubError) else None
        return cls(unit, status, f"{type(error).__name__}: {error}"[:EXCERPT])


@dataclass(frozen=True)
class Step:
    """What one unit of work, or one page of a walk, gave.

    Attributes:
        units: units that are finished with it.
        rows: raw rows, as they were read.
        frame: rows that are in the table's form already.
        missing: units that the Hub withholds.
        failures: units to be tried again.
        set_aside: records that could not be made into rows.
        cursor: where a walk goes on; None if it is over.
        requests: what it took.
    """

    units: Sequence[str] = ()
    rows: Sequence[Any] = ()
    frame: pl.DataFrame | None = None
    missing: Sequence[Unfetched] = ()
    failures: Sequence[Unfetched] = ()
    set_aside: Sequence[SetAside] = ()
    cursor: str | None = None
    requests: int = 0

    @classmethod
    def of_error(cls, unit: str, error: Exception, requests: int) -> "Step":
        """The step of a unit that gave no rows."""
        one = (Unfetched.of(unit, error),)
        if isinstance(error, WITHHELD):
            return cls(missing=one, requests=requests)
        return cls(failures=one, requests=requests)

    @classmethod
    def read(cls, line: bytes) -> "Step":
        """A step as `written` wrote it.

        Raises:
            ValueError: the line is torn.
        """
        step = orjson.loads(line)
        return cls(
            units=step["units"],
            rows=step["rows"],
            missing=[Unfetched(**one) for one in step["missing"]],
            failures=[Unfetched(**one) for one in step["failures"]],
            set_aside=[SetAside(**one) for one in step["set_aside"]],
            cursor=step["cursor"],
            requests=step["requests"],
        )

    def written(self) -> bytes:
        """The step as one line; rows in the table's form are written as raw ones."""
        line = {name: getattr(self, name) for name in _LOGGED}
        if self.frame is not None:
            line["rows"] = orjson.Fragment(self.frame.write_json())
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    @property
    def records(self) -> int:
        """Records read, those set aside included."""
        in_frame = 0 if self.frame is None else self.frame.height
        return len(self.rows) + in_frame + len(self.set_aside)


_LOGGED = ("units", "rows", "missing", "failures", "set_aside", "cursor", "requests")


# -- the journal --------------------------------------------------------------------------------

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

    Every step is appended to `shard-000001.log` at once, so that a kill loses only what was under
    way. From time to time the steps are committed as a shard: `shard-000001.parquet` with their
    rows, and `shard-000001.json`, its manifest. The manifest is written last: it is the commit.
    What an interrupted writer left behind is put in order when the journal is opened, so only one
    process may have it open.

    Args:
        directory: the journal's own folder; made if it is not there.
        table: the rows' declaration.

    Attributes:
        done: units that need not be fetched again: those with rows and those withheld.
        cursor: where a walk goes on; None before the first page and after the last.
        requests: what the steps took.
        records: records read, those set aside included.
    """

    def __init__(self, directory: Path, table: RecordTable) -> None:
        self.directory = directory
        self.table = table
        self.done: set[str] = set()
        self.cursor: str | None = None
        self.requests = self.records = 0
        self._failures: dict[str, Unfetched] = {}
        self._missing: list[Unfetched] = []
        self._set_aside: list[SetAside] = []
        self._shards: dict[Path, int] = {}
        self._open: list[Step] = []
        self._open_bytes = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._number = self._clean()
        for manifest in sorted(directory.glob("shard-*.json")):
            shard = orjson.loads(manifest.read_bytes())
            step = Step.read(orjson.dumps({**shard, "rows": []}))
            self._note(step)
            self._set_aside += step.set_aside
            self.records += shard["rows"] + len(step.set_aside)
            self._shards[manifest.with_suffix(".parquet")] = shard["rows"]
        self._log = _StepLog(self._path.with_suffix(".log"))
        for step in self._log.steps():
            self._keep(step)

    @property
    def finished(self) -> bool:
        """Whether the stage came to its end; units may have failed all the same."""
        return self._end.is_file()

    @property
    def rows(self) -> int:
        """Rows in shards."""
        return sum(self._shards.values())

    def take(self, step: Step) -> None:
        """Takes in a step; from now on no kill loses it.

        Raises:
            OSError: it cannot be written; the journal is as it was.
        """
        names = self.table.schema
        step = replace(
            step,
            rows=[
                {name: row[name] for name in names if name in row} if isinstance(row, dict) else row
                for row in step.rows
            ],
        )
        self._open_bytes += self._log.append(step)
        self._keep(step)

    def is_due(self, steps: int) -> bool:
        """Whether the steps taken in are to be committed: so many, or many bytes."""
        return len(self._open) >= steps or self._open_bytes >= SHARD_BYTES

    def flush(self) -> None:
        """Commits the steps taken in since the last time as a shard."""
        if not self._open:
            return
        path, manifest = self._path, self._path.with_suffix(".json")
        rows = [(row, step) for step in self._open for row in step.rows]
        frame, unfit = self.table.validate([row for row, _ in rows])
        unfit = [replace(one, unit=next(iter(rows[one.index][1].units), None)) for one in unfit]
        # Raw rows come before the others: only steps found in the log have both in one shard.
        frame = pl.concat([frame, *(one.frame for one in self._open if one.frame is not None)])
        if frame.height:
            write_atomically(path, lambda file: frame.write_parquet(file, compression="zstd"))
        shard = _joined(self._open)
        aside = [*shard.set_aside, *unfit]
        text = orjson.dumps({**asdict(replace(shard, set_aside=aside)), "rows": frame.height})
        write_atomically(manifest, lambda file: file.write_bytes(text))
        # Keyed by path: an interrupt between these lines does no harm, they can be run again.
        self._shards[path] = frame.height
        self._set_aside += aside
        self._open, self._open_bytes = [], 0
        self._log.remove()
        self._number += 1
        self._log = _StepLog(self._path.with_suffix(".log"))

    def finish(self) -> None:
        """Marks the end of the stage."""
        write_atomically(self._end, lambda file: file.write_bytes(b"{}"))

    def scan(self) -> pl.LazyFrame:
        """All committed rows, in the order they came."""
        files = [path for path, rows in self._shards.items() if rows]
        if not files:
            return pl.LazyFrame(schema=self.table.schema)
        return pl.scan_parquet(files, hive_partitioning=False)

    def failures(self) -> pl.DataFrame:
        """Units that failed and have not succeeded since: `unit`, `status`, `reason`."""
        return _table(list(self._failures.values()), _UNFETCHED)

    def missing(self) -> pl.DataFrame:
        """Units that the Hub withholds: `unit`, `status`, `reason`."""
        return _table(self._missing, _UNFETCHED)

    def set_aside(self) -> pl.DataFrame:
        """Records of committed steps that are no rows, with the reason; see `SetAside`."""
        return _table(self._set_aside, _SET_ASIDE)

    @property
    def _path(self) -> Path:
        return self.directory / f"shard-{self._number:06d}.parquet"

    @property
    def _end(self) -> Path:
        return self.directory / "finished.json"

    def _clean(self) -> int:
        """Removes what was not committed; returns the number of the shard that is open."""
        numbers, logs = [0], []
        for path in self.directory.iterdir():
            if path.suffix == SUFFIX:
                path.unlink()
            elif path.name.startswith("shard-"):
                number = int(path.stem.removeprefix("shard-"))
                numbers.append(number)
                committed = path.with_suffix(".json").is_file()
                if path.suffix == ".log" and not committed:
                    logs.append(number)
                elif path.suffix == ".log" or not committed:
                    path.unlink()
        return max(logs, default=max(numbers) + 1)

    def _keep(self, step: Step) -> None:
        self._open.append(step)
        self.records += step.records
        self._note(step)

    def _note(self, step: Step) -> None:
        self.requests += step.requests
        self.cursor = step.cursor
        self._missing += step.missing
        settled = [*step.units, *(one.unit for one in step.missing)]
        self.done.update(settled)
        self._failures.update({one.unit: one for one in step.failures})
        for unit in settled:
            self._failures.pop(unit, None)


class _StepLog:
    """Steps on disk that are not in a shard yet, one a line; only the last can be torn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def steps(self) -> list[Step]:
        """The whole steps; what is torn is cut off."""
        if not self._path.is_file():
            return []
        steps, end = [], 0
        with self._path.open("rb") as file:
            for line in file:
                try:
                    steps.append(Step.read(line))
                except (ValueError, KeyError, TypeError):
                    break
                end += len(line)
        os.truncate(self._path, end)
        return steps

    def append(self, step: Step) -> int:
        """Adds a step, wholly or not at all; returns its bytes.

        Raises:
            OSError: the disk is full, or cannot be written.
        """
        if self._file is None:
            # Unbuffered: what was written is the kernel's, and outlives this process.
            self._file = self._path.open("ab", buffering=0)
        line, end = step.written(), self._path.stat().st_size
        try:
            rest = memoryview(line)
            while rest:  # a short write comes before the error that says why
                rest = rest[self._file.write(rest) :]
        except BaseException:
            os.truncate(self._path, end)
            raise
        return len(line)

    def remove(self) -> None:
        """Ends the log: its steps are in a shard."""
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)


def _joined(steps: Sequence[Step]) -> Step:
    """All steps as one, without their rows."""
    chain = itertools.chain.from_iterable
    return Step(
        units=[*chain(step.units for step in steps)],
        missing=[*chain(step.missing for step in steps)],
        failures=[*chain(step.failures for step in steps)],
        set_aside=[*chain(step.set_aside for step in steps)],
        cursor=steps[-1].cursor,
        requests=sum(step.requests for step in steps),
    )


def _table(records: Sequence[Any], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([asdict(record) for record in records], schema=schema)


# -- many small units ---------------------------------------------------------------------------


def crawl_units(
    journal: StageJournal,
    units: Iterable[str],
    fetch: Callable[[str], list[dict[str, Any]]],
    *,
    workers: int = 16,
    shard_units: int = SHARD_UNITS,
    log: logging.Logger,
    describe: str = "units",
    client: "HubClient | None" = None,
    stop: threading.Event | None = None,
) -> None:
    """Fetches every unit that is not done, in threads, and keeps what each gives.

    A unit that the Hub withholds is recorded as missing and is done; one that fails is recorded
    as failed and tried again the next time. Trouble that concerns all units ends the crawl. What
    was finished by then, or by an interrupt, is kept.

    Args:
        journal: what is done already, and where the rest goes.
        units: all units of the stage.
        fetch: gives a unit's raw rows; called in threads.
        workers: threads.
        shard_units: units per shard.
        log: for progress.
        describe: what the units are, for progress.
        client: counts the requests and knows the quotas.
        stop: ends the crawl when set.

    Raises:
        BadToken, HubUnreachable: nothing will work.
        CrawlStopped: `stop` was set.
        Exception: whatever else `fetch` raises that does not concern one unit alone.
    """
    pending = [unit for unit in dict.fromkeys(units) if unit not in journal.done]
    progress = _Progress(log, describe, len(pending), client)
    crew = _Crew(pending, fetch, min(workers, len(pending)), client)
    try:
        for step in crew.steps(stop):
            if step is not None:
                journal.take(step)
                progress.count(1)
                if journal.is_due(shard_units):
                    journal.flush()
            progress.tell()
    finally:
        for step in crew.dismiss():
            journal.take(step)
        journal.flush()
    journal.finish()


class _Crew:
    """Threads that take units one by one, each with a permit that comes back with its step.

    The permits bound what waits in memory. The main thread touches only `SimpleQueue`s, which an
    interrupt cannot leave locked: `queue.Queue` and `Event` hold locks of Python's own, and an
    interrupt between taking one and noting it would make the next call wait for ever.
    """

    def __init__(
        self,
        units: Sequence[str],
        fetch: Callable[[str], list[dict[str, Any]]],
        workers: int,
        client: "HubClient | None",
    ) -> None:
        self._units = iter(units)
        self._fetch = fetch
        self._sent = _counter(client)
        self._taking = threading.Lock()
        self._is_dismissed = False
        self._results: queue.SimpleQueue[Step | Exception | None] = queue.SimpleQueue()
        self._permits: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(2 * workers):
            self._permits.put(None)
        self._active = workers
        # Daemons: an interrupted crawl need not wait for answers that are still under way.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def steps(self, stop: threading.Event | None) -> Iterator[Step | None]:
        """Steps as they come, and None where for a moment none did.

        Raises:
            CrawlStopped: `stop` was set.
            Exception: of a unit, where it concerns the whole crawl.
        """
        for thread in self._threads:
            thread.start()
        while self._active:
            if stop is not None and stop.is_set():
                raise CrawlStopped
            try:
                result = self._results.get(timeout=_TICK_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(result, Exception):
                raise result
            if result is None:
                self._active -= 1
            else:
                yield result
                self._permits.put(None)

    def dismiss(self) -> Iterator[Step]:
        """Stops the threads; gives the steps that are already there."""
        self._is_dismissed = True
        for _ in self._threads:  # those that wait for a permit are to see it too
            self._permits.put(None)
        while True:
            try:
                result = self._results.get_nowait()
            except queue.Empty:
                return
            if isinstance(result, Step):
                yield result

    def _work(self) -> None:
        while True:
            self._permits.get()
            if self._is_dismissed:
                break
            with self._taking:
                unit = next(self._units, None)
            if unit is None:
                break
            self._results.put(self._step(unit))
        self._results.put(None)

    def _step(self, unit: str) -> Step | Exception:
        before = self._sent()
        try:
            rows = self._fetch(unit)
        except (*WITHHELD, *FAILED, *UNREADABLE) as error:
            return Step.of_error(unit, error, self._sent() - before)
        except Exception as error:
            return error
        return Step(units=(unit,), rows=rows, requests=self._sent() - before)


def _counter(client: "HubClient | None") -> Callable[[], int]:
    """Requests that the calling thread has sent: stages side by side share a client."""
    return (lambda: client.requests_of_thread) if client is not None else (lambda: 0)


class _Progress:
    """Tells at a steady rhythm how far a stage is."""

    def __init__(
        self, log: logging.Logger, describe: str, total: int | None, client: "HubClient | None"
    ) -> None:
        self._log = log
        self._describe = describe
        self._total = total
        self._client = client
        self._done = 0
        self._started = self._told = time.monotonic()

    def count(self, done: int) -> None:
        self._done += done

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
        quota = "; ".join(f"{name} {state}" for name, state in self._quotas().items())
        self._log.info(
            "%s: %s%s, %.1f/s%s%s",
            self._describe, f"{self._done:,}", of, rate, to_go, f" ({quota})" if quota else "",
        )  # fmt: skip

    def _quotas(self) -> Mapping[str, BucketState]:
        return {} if self._client is None else self._client.limits.snapshot()


# -- one long walk ------------------------------------------------------------------------------


def crawl_walk(
    journal: StageJournal,
    client: "HubClient",
    path: str,
    params: Mapping[str, Any],
    reader: PageReader,
    *,
    max_records: int | None = None,
    shard_pages: int = SHARD_PAGES,
    log: logging.Logger,
    stop: threading.Event | None = None,
) -> None:
    """Walks a list page by page; goes on at the journal's cursor after an interruption.

    A page that cannot be had ends the walk, since it alone knows the next: the walk is recorded
    as failed, with what was read before, and goes on there the next time.

    Args:
        journal: what is done already, and where the rest goes.
        client: asks for the pages.
        path: the list.
        params: its query.
        reader: turns a page into rows; records that it cannot read are set aside.
        max_records: ends the walk after so many records, those set aside included.
        shard_pages: pages per shard.
        log: for progress.
        stop: ends the crawl when set.

    Raises:
        BadToken, HubUnreachable: nothing will work.
        CrawlStopped: `stop` was set.
    """
    if not journal.finished and path not in journal.done:
        _walk(journal, client, path, params, reader, max_records, shard_pages, log, stop)
    if path in journal.done:
        journal.flush()  # a kill may have left the last page in the log
        journal.finish()


def _walk(
    journal: StageJournal,
    client: "HubClient",
    path: str,
    params: Mapping[str, Any],
    reader: PageReader,
    max_records: int | None,
    shard_pages: int,
    log: logging.Logger,
    stop: threading.Event | None,
) -> None:
    started_at, sent = journal.cursor, _counter(client)
    progress = _Progress(log, path, None, client)
    before = sent()
    try:
        query = None if started_at else params
        for page in client.pages(started_at or path, query, read=reader.read):
            rows, over = page.records, page.next_url is None
            if max_records is not None and len(rows) >= max_records - journal.records:
                rows, over = rows.head(max_records - journal.records), True
            journal.take(
                Step(
                    units=(path,) if over else (),
                    frame=rows.frame,
                    set_aside=rows.aside,
                    cursor=None if over else client.path_of(page.next_url or ""),
                    requests=sent() - before,
                )
            )
            before = sent()
            progress.count(len(page.records))
            if over:
                break
            if stop is not None and stop.is_set():
                raise CrawlStopped
            if journal.is_due(shard_pages):
                journal.flush()
            progress.tell()
    except (*WITHHELD, *FAILED) as error:
        log.warning("%s: the walk ends early: %s", path, error)
        failed = Unfetched.of(path, error)
        journal.take(Step(failures=(failed,), cursor=journal.cursor, requests=sent() - before))
    finally:
        journal.flush()
