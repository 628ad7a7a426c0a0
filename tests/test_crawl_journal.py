"""Stages of a crawl: strict rows, committed shards, and going on after any interruption."""

import contextlib
import logging
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import polars as pl
import pytest

from hfkg_resources import errors
from hfkg_resources.crawl_journal import (
    CrawlStopped,
    StageJournal,
    Step,
    Unfetched,
    crawl_units,
    crawl_walk,
)
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

ROOT = Path(__file__).parents[1]
log = logging.getLogger(__name__)

ITEM = pl.Struct({"id": pl.String(), "position": pl.Int64()})
TABLE = RecordTable(
    (
        Column("id", pl.String(), "id", required=True),
        Column("likes", pl.Int64(), "likes"),
        Column("score", pl.Float64(), "score"),
        Column("private", pl.Boolean(), "private"),
        Column("createdAt", INSTANT, "creation"),
        Column("tags", STRINGS, "tags"),
        Column("items", pl.List(ITEM), "items"),
    )
)


# -- records


def test_records_become_typed_rows_in_their_order():
    rows = [
        {
            "id": "b", "likes": 3, "score": 1, "private": False, "tags": ["x", None],
            "createdAt": "2024-12-15T10:00:00.123Z", "unknown": {"a": 1},
            "items": [{"id": "m", "position": 0, "note": "dropped"}, {"id": "n"}],
        },
        {"id": "a", "likes": None, "createdAt": "2024-12-15T12:00:00+02:00"},
    ]  # fmt: skip
    frame, aside = TABLE.validate(rows)
    assert aside == []
    assert frame.schema == TABLE.schema
    assert frame.rows(named=True) == [
        {
            "id": "b", "likes": 3, "score": 1.0, "private": False, "tags": ["x", None],
            "createdAt": datetime(2024, 12, 15, 10, 0, 0, 123_000, UTC),
            "items": [{"id": "m", "position": 0}, {"id": "n", "position": None}],
        },
        {
            "id": "a", "likes": None, "score": None, "private": None, "tags": None, "items": None,
            "createdAt": datetime(2024, 12, 15, 10, tzinfo=UTC),
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "column", "got"),
    [
        ({"id": 1}, "id", "int '1'"),
        ({"id": None}, "id", "null"),
        ({"id": True}, "id", "bool 'True'"),
        ({"likes": "3"}, "likes", "str '3'"),
        ({"likes": 3.0}, "likes", "float '3.0'"),
        ({"likes": True}, "likes", "bool 'True'"),
        ({"likes": 2**63}, "likes", f"int '{2**63}'"),
        ({"private": 1}, "private", "int '1'"),
        ({"private": "true"}, "private", "str 'true'"),
        ({"score": "1"}, "score", "str '1'"),
        ({"tags": "x"}, "tags", "str 'x'"),
        ({"tags": ["x", 1]}, "tags.1", "int '1'"),
        ({"items": [{"id": 5}]}, "items.0.id", "int '5'"),
        ({"items": ["x"]}, "items.0", "str 'x'"),
        ({"createdAt": "2024-13-01T00:00:00.000Z"}, "createdAt", "str '2024-13-01T00:00:00.000Z'"),
        ({"createdAt": "2024-12-01T00:00:00"}, "createdAt", "str '2024-12-01T00:00:00'"),
        ({"createdAt": "yesterday"}, "createdAt", "str 'yesterday'"),
        ({"createdAt": 1_700_000_000}, "createdAt", "int '1700000000'"),
    ],
)
def test_a_value_of_another_type_sets_its_record_aside_and_no_other(change, column, got):
    frame, (aside,) = TABLE.validate([{"id": "a"}, {"id": "bad", **change}, {"id": "c"}])
    assert frame["id"].to_list() == ["a", "c"]
    assert (aside.index, aside.column, aside.got) == (1, column, got)
    assert aside.expected == str(TABLE.schema[column.partition(".")[0]])


def test_a_record_without_a_required_column_is_set_aside_with_an_excerpt():
    frame, (aside,) = TABLE.validate([{"likes": 1, "text": "é" * 1000}])
    assert frame.is_empty()
    assert frame.schema == TABLE.schema
    assert (aside.column, aside.got) == ("id", "nothing")
    assert aside.excerpt.startswith('{"likes":1,"text":"é')
    assert len(aside.excerpt) == 300


def test_what_is_no_record_at_all_is_set_aside():
    frame, aside = TABLE.validate([{"id": "a"}, "text", None])
    assert frame.height == 1
    assert [(one.index, one.expected) for one in aside] == [(1, "an object"), (2, "an object")]


def test_no_records_give_an_empty_table():
    assert TABLE.validate([])[0].schema == TABLE.schema


# -- the journal


def step(*ids, units=(), **more):
    return Step(units=units, rows=[{"id": one} for one in ids], **more)


def shards(directory):
    return len(list(directory.glob("*.parquet")))


def ids(journal):
    return journal.scan().collect()["id"].to_list()


def test_what_was_taken_in_is_found_again(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    assert (ids(journal), journal.finished) == ([], False)
    journal.take(step("a", "b", units=["u1"], cursor="/api/x?cursor=1", requests=3))
    journal.flush()
    journal.take(
        Step(
            units=["u3"],
            missing=[Unfetched("u4", 404, "not_found")],
            failures=[Unfetched("u5", 503, "GaveUp")],
            set_aside=TABLE.validate([{}])[1],
            cursor="/api/x?cursor=2",
            requests=4,
        )
    )
    journal.flush()
    journal.finish()
    again = StageJournal(tmp_path, TABLE)
    assert ids(again) == ["a", "b"]
    assert again.done == {"u1", "u3", "u4"}
    assert (again.cursor, again.requests, again.rows, again.records) == ("/api/x?cursor=2", 7, 2, 3)
    assert again.missing().rows() == [("u4", 404, "not_found")]
    assert again.failures().rows() == [("u5", 503, "GaveUp")]
    assert again.set_aside().height == 1
    assert again.finished


def test_a_step_is_safe_before_any_shard_is_written(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    journal.take(step("a", units=["u"], cursor="/next"))
    journal.take(step(units=["v"], failures=[Unfetched("w", 503, "x")], cursor="/later"))
    again = StageJournal(tmp_path, TABLE)
    assert (again.done, again.cursor, again.records) == ({"u", "v"}, "/later", 1)
    assert again.failures()["unit"].to_list() == ["w"]
    again.take(step("b", units=["w"]))
    again.flush()
    assert ids(again) == ["a", "b"]
    assert ids(StageJournal(tmp_path, TABLE)) == ["a", "b"]


@pytest.mark.parametrize(
    "torn", [b'{"units":["v"],"rows":[{"id"', b"\0\0\0\n", b'{"units":["v"]}\n']
)
def test_of_a_torn_log_the_whole_steps_are_kept_and_it_can_be_gone_on_with(tmp_path, torn):
    StageJournal(tmp_path, TABLE).take(step("a", units=["u"]))
    (log_file,) = tmp_path.glob("*.log")
    with log_file.open("ab") as file:
        file.write(torn)
    again = StageJournal(tmp_path, TABLE)
    assert again.done == {"u"}
    again.take(step("b", units=["v"]))
    assert StageJournal(tmp_path, TABLE).done == {"u", "v"}


def test_a_later_success_supersedes_a_failure(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    journal.take(Step(failures=[Unfetched("u", 503, "x"), Unfetched("v", 503, "x")]))
    journal.flush()
    journal.take(step("a", units=["u"], failures=[Unfetched("v", 500, "y")]))
    assert journal.failures().rows() == [("v", 500, "y")]
    assert StageJournal(tmp_path, TABLE).failures().rows() == [("v", 500, "y")]


def test_what_was_not_committed_is_put_in_order_when_the_journal_is_opened(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    journal.take(step("a", units=["u"]))
    steps = (tmp_path / "shard-000001.log").read_bytes()
    journal.flush()
    (tmp_path / "shard-000001.log").write_bytes(steps)  # killed before the log was removed
    (tmp_path / "shard-000002.parquet").write_bytes(b"torn")
    (tmp_path / "shard-000002.json.tmp").write_bytes(b"{")
    journal = StageJournal(tmp_path, TABLE)
    assert ids(journal) == ["a"]
    journal.take(step("b", units=["v"]))
    journal.flush()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "shard-000001.json", "shard-000001.parquet", "shard-000003.json", "shard-000003.parquet",
    ]  # fmt: skip


def test_a_shard_that_cannot_be_written_leaves_its_steps_where_they_were(tmp_path, monkeypatch):
    journal = StageJournal(tmp_path, TABLE)
    journal.take(step("a", units=["u"]))
    journal.flush()
    journal.take(step("b", units=["v"]))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.replace", full)
        with pytest.raises(OSError, match="No space"):
            journal.flush()
    assert ids(journal) == ["a"]
    journal.flush()
    assert ids(journal) == ids(StageJournal(tmp_path, TABLE)) == ["a", "b"]


def test_a_step_that_cannot_be_written_whole_is_not_written_at_all(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    journal.take(step("a", units=["u"]))
    (log_file,) = tmp_path.glob("*.log")
    size = log_file.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(OSError):
            journal.take(step("b", units=["v"]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert log_file.stat().st_size == size
    assert journal.done == {"u"}
    journal.take(step("c", units=["w"]))
    assert StageJournal(tmp_path, TABLE).done == {"u", "w"}


# -- units


def test_every_unit_is_fetched_once_and_its_rows_are_kept(tmp_path):
    fetched = Counter()

    def fetch(unit):
        fetched[unit] += 1
        return [{"id": unit, "likes": 1}, {"id": unit, "likes": 2}]

    journal = StageJournal(tmp_path, TABLE)
    units = [f"u{number}" for number in range(250)]
    crawl_units(journal, [*units, "u0"], fetch, workers=8, shard_units=100, log=log)
    assert fetched == Counter(units)
    assert sorted(ids(journal)) == sorted([*units, *units])
    assert shards(tmp_path) == 3
    assert journal.finished
    crawl_units(StageJournal(tmp_path, TABLE), units, fetch, log=log)
    assert fetched == Counter(units)


def test_withheld_units_are_missing_and_done_and_failed_ones_are_tried_again(tmp_path):
    trouble = {
        "gone": errors.NotFound("x", status=404),
        "gated": errors.Gated("x", status=403),
        "disabled": errors.Disabled("x", status=403),
        "huge": errors.TooLarge("x"),
        "down": errors.GaveUp("x", status=503),
        "odd": KeyError("user"),
    }

    def fetch(unit):
        if unit in trouble:
            raise trouble[unit]
        return [{"id": unit}]

    journal = StageJournal(tmp_path, TABLE)
    crawl_units(journal, [*trouble, "fine"], fetch, workers=3, log=log)
    assert ids(journal) == ["fine"]
    assert sorted(journal.missing().rows(), key=str) == [
        ("disabled", 403, "disabled"), ("gated", 403, "gated"), ("gone", 404, "not_found"),
        ("huge", None, "too_large"),
    ]  # fmt: skip
    assert {row[:2] for row in journal.failures().rows()} == {("down", 503), ("odd", None)}
    fetched = []
    again = StageJournal(tmp_path, TABLE)
    crawl_units(again, [*trouble, "fine"], lambda u: fetched.append(u) or [{"id": u}], log=log)
    assert sorted(fetched) == ["down", "odd"]
    assert again.failures().is_empty()
    assert sorted(ids(again)) == ["down", "fine", "odd"]


def test_a_record_set_aside_names_its_unit(tmp_path):
    journal = StageJournal(tmp_path, TABLE)
    answers = {"u": [{"id": "a"}], "v": [{"id": "b"}, {"id": 3}]}
    crawl_units(journal, list(answers), answers.__getitem__, workers=2, log=log)
    assert sorted(ids(journal)) == ["a", "b"]
    assert journal.set_aside().select("unit", "column").rows() == [("v", "id")]
    assert journal.done == {"u", "v"}


@pytest.mark.parametrize(
    "error", [errors.BadToken("x"), errors.HubUnreachable("x"), RuntimeError("x")]
)
def test_trouble_of_the_whole_crawl_ends_it_and_keeps_what_is_finished(tmp_path, error):
    def fetch(unit):
        if unit == "u20":
            raise error
        return [{"id": unit}]

    journal = StageJournal(tmp_path, TABLE)
    with pytest.raises(type(error)):
        crawl_units(journal, [f"u{n}" for n in range(1000)], fetch, workers=1, log=log)
    assert ids(StageJournal(tmp_path, TABLE))[:20] == [f"u{n}" for n in range(20)]
    assert not journal.finished


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    def fetch(unit):
        if unit == "u5":
            time.sleep(0.3)  # until the first five have been taken in
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.3)
        return [{"id": unit}]

    journal = StageJournal(tmp_path, TABLE)
    with pytest.raises(KeyboardInterrupt):
        crawl_units(journal, [f"u{n}" for n in range(10_000)], fetch, workers=1, log=log)
    again = StageJournal(tmp_path, TABLE)
    assert ids(again)[:5] == [f"u{n}" for n in range(5)]
    assert set(ids(again)) == again.done


def test_a_crawl_that_is_told_to_stop_does_so_and_keeps_what_is_finished(tmp_path):
    stop = threading.Event()

    def fetch(unit):
        if unit == "u9":
            stop.set()
        return [{"id": unit}]

    journal = StageJournal(tmp_path, TABLE)
    with pytest.raises(CrawlStopped):
        crawl_units(
            journal, [f"u{n}" for n in range(100_000)], fetch, workers=1, log=log, stop=stop
        )
    again = StageJournal(tmp_path, TABLE)
    assert {f"u{n}" for n in range(9)} <= again.done == set(ids(again))
    assert not again.finished


@pytest.mark.slow
def test_an_interrupt_at_any_moment_marks_no_unit_as_done_without_its_rows(tmp_path):
    units = [f"u{number}" for number in range(3_000)]
    for moment in range(12):
        directory = tmp_path / str(moment)
        timer = threading.Timer(0.002 + 0.004 * moment, signal.raise_signal, (signal.SIGINT,))
        # Inside a library's own code an interrupt may come out as another error.
        with contextlib.suppress(KeyboardInterrupt, Exception):
            timer.start()
            crawl_units(
                StageJournal(directory, TABLE), units, lambda unit: [{"id": unit}],
                workers=2, shard_units=50, log=log,
            )  # fmt: skip
            time.sleep(1)
        again = StageJournal(directory, TABLE)
        assert sorted(ids(again)) == sorted(again.done)


def test_a_shard_is_written_early_where_its_rows_are_large(tmp_path, monkeypatch):
    monkeypatch.setattr("hfkg_resources.crawl_journal.SHARD_BYTES", 1_000)
    journal = StageJournal(tmp_path, TABLE)
    crawl_units(journal, ["u", "v", "w"], lambda u: [{"id": u * 1_000}], workers=1, log=log)
    assert shards(tmp_path) == 3


def test_units_are_taken_no_faster_than_they_are_stored(tmp_path):
    """A million finished units never wait in memory: the queue is bounded."""
    journal, fetched, ahead = StageJournal(tmp_path, TABLE), [], []
    flush = journal.flush

    def slow_flush():
        time.sleep(0.05)
        ahead.append(len(fetched) - journal.rows)
        flush()

    journal.flush = slow_flush
    units = [str(number) for number in range(200)]
    crawl_units(
        journal, units, lambda u: fetched.append(u) or [{"id": u}],
        workers=4, shard_units=10, log=log,
    )  # fmt: skip
    assert len(ids(journal)) == 200
    assert max(ahead) <= 10 + 2 * 4 + 4


# -- walks and kills, against a server

PAGES, PAGE_ROWS, UNITS = 40, 5, 400


class ListingHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, delay_s=0.0):
        super().__init__(("127.0.0.1", 0), ListingHandler)
        self.delay_s = delay_s
        self.asked = []
        self.broken_page = None
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request, client_address):
        """A killed crawler leaves broken connections: that is the point."""

    def stop(self):
        self.shutdown()
        self.server_close()


class ListingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        time.sleep(self.server.delay_s)
        parts = urlsplit(self.path)
        if parts.path.startswith("/api/unit/"):
            self.answer(200, {"id": parts.path.rpartition("/")[2]})
            return
        number = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        if number == self.server.broken_page:
            self.answer(500, {})
            return
        records = [{"id": f"{number:03d}-{row}", "n": 1} for row in range(PAGE_ROWS)]
        following = f"{self.server.url}/api/models?cursor={number + 1}"
        self.answer(200, records, None if number == PAGES - 1 else following)

    def answer(self, status, body, following=None):
        content = orjson.dumps(body)
        self.send_response(status)
        if following:
            self.send_header("Link", f'<{following}>; rel="next"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def listing():
    server = ListingHub()
    yield server
    server.stop()


EVERYTHING = [f"{page:03d}-{row}" for page in range(PAGES) for row in range(PAGE_ROWS)]


def walk(journal, hub, parse=lambda record: record, **settings):
    with HubClient(hub.url, backoff_s=0.001, attempts=2) as client:
        reader, query = PageReader(TABLE, parse), {"limit": PAGE_ROWS}
        crawl_walk(journal, client, "/api/models", query, reader, log=log, **settings)


def test_a_walk_takes_every_page_once(tmp_path, listing):
    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing, shard_pages=10)
    assert ids(journal) == EVERYTHING
    assert (journal.requests, shards(tmp_path), journal.finished) == (PAGES, 4, True)
    walk(StageJournal(tmp_path, TABLE), listing)
    assert len(listing.asked) == PAGES


def test_a_walk_goes_on_behind_the_last_page_it_has_also_at_another_address(tmp_path, listing):
    listing.broken_page = 7
    broken = StageJournal(tmp_path, TABLE)
    walk(broken, listing)
    assert not broken.finished
    assert broken.failures().select("unit", "status").rows() == [("/api/models", 500)]
    assert broken.rows == 7 * PAGE_ROWS
    moved = ListingHub()
    journal = StageJournal(tmp_path, TABLE)
    assert journal.cursor == "/api/models?cursor=7"
    walk(journal, moved)
    moved.stop()
    assert ids(journal) == EVERYTHING
    assert len(moved.asked) == PAGES - 7
    assert journal.finished
    assert journal.failures().is_empty()


def test_a_walk_killed_between_its_last_page_and_its_end_is_over(tmp_path, listing):
    walk(StageJournal(tmp_path, TABLE), listing)
    (tmp_path / "finished.json").unlink()
    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing)
    assert journal.finished
    assert len(listing.asked) == PAGES


def test_records_that_cannot_be_parsed_are_set_aside(tmp_path, listing):
    def parse(record):
        if record["id"] == "001-2":
            return {"id": record["owner"]["name"]}
        return {"id": 5} if record["id"] == "002-0" else record

    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing, parse)
    assert ids(journal) == [one for one in EVERYTHING if one not in ("001-2", "002-0")]
    assert journal.set_aside()["got"].to_list() == ["KeyError('owner')", "int '5'"]


def test_a_walk_ends_after_so_many_rows_and_resumed_it_counts_those_it_has(tmp_path, listing):
    listing.broken_page = 1
    walk(StageJournal(tmp_path, TABLE), listing, max_records=13)
    listing.broken_page = None
    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing, max_records=13)
    assert ids(journal) == EVERYTHING[:13]
    assert journal.finished
    assert listing.asked[-1] == "/api/models?cursor=2"


@pytest.mark.parametrize("shard_pages", [1, 2, 20])
def test_where_a_walk_ends_does_not_depend_on_shards_though_records_are_set_aside(
    tmp_path, listing, shard_pages
):
    def parse(record):
        return {"id": 5} if record["id"].endswith("-0") else record

    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing, parse, max_records=13, shard_pages=shard_pages)
    assert ids(journal) == [one for one in EVERYTHING[:13] if not one.endswith("-0")]


def test_a_walk_that_is_told_to_stop_goes_on_there_later(tmp_path, listing):
    stop = threading.Event()
    stop.set()
    with pytest.raises(CrawlStopped):
        walk(StageJournal(tmp_path, TABLE), listing, stop=stop)
    journal = StageJournal(tmp_path, TABLE)
    walk(journal, listing)
    assert ids(journal) == EVERYTHING
    assert len(listing.asked) == PAGES


CRAWLER = """
import logging, sys
from pathlib import Path
import polars as pl
from hfkg_resources.crawl_journal import StageJournal, crawl_units, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.table_schema import Column

way, url, directory, units = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
log = logging.getLogger("crawler")
journal = StageJournal(directory, RecordTable((Column("id", pl.String(), "id", required=True),)))
with HubClient(url) as client:
    if way == "walk":
        reader = PageReader(journal.table, dict)
        crawl_walk(journal, client, "/api/models", {}, reader, shard_pages=3, log=log)
    else:
        fetch = lambda unit: [client.get_json(f"/api/unit/{unit}")]
        names = [f"{number:04d}" for number in range(units)]
        crawl_units(journal, names, fetch, workers=4, shard_units=15, log=log)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("way", "moments"), [("units", (2, 40, 61, 77)), ("walk", (1, 8, 11, 7))])
def test_a_crawl_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path, way, moments):
    hub = ListingHub(delay_s=0.01)
    command = [sys.executable, "-c", CRAWLER, way, hub.url, str(tmp_path), str(UNITS)]
    table = RecordTable((Column("id", pl.String(), "id", required=True),))
    for requests in moments:
        hub.asked.clear()
        process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 30
        while len(hub.asked) < requests and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        time.sleep(0.05)  # until the server has counted what was under way
        journal = StageJournal(tmp_path, table)
        committed, cursor = {*journal.done}, journal.cursor
    hub.asked.clear()
    assert committed or cursor
    subprocess.run(command, cwd=ROOT, check=True)
    asked, journal = list(hub.asked), StageJournal(tmp_path, table)
    hub.stop()
    assert journal.finished
    if way == "walk":
        assert ids(journal) == EVERYTHING
        assert asked[0] == cursor
    else:
        assert sorted(ids(journal)) == [f"{number:04d}" for number in range(UNITS)]
        assert {path.rpartition("/")[2] for path in asked}.isdisjoint(committed)
        assert len(asked) == UNITS - len(committed)
