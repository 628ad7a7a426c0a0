"""Tables crawled side by side, the session they share, and when the Hub is not asked any more."""

import threading
import time

import polars as pl
import pytest

from hfkg_assets.hub.crawl import TABLES
from hfkg_assets.hub.crawling import CrawledTable, Refusals, crawl_tables, crawled_table
from hfkg_resources.crawl import CrawlSession
from hfkg_resources.crawl_journal import CrawlStopped
from hfkg_resources.errors import GaveUp, NotFound
from hfkg_resources.sample_hub.faults import Faults, error
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse
from tests.hub.snapshots import crawl_snapshot, observed, requests

DAY = "2026-11-24"
COLUMNS = (Column("id", pl.String(), "id", required=True),)


class Session:
    """A session of tables that need no crawl."""

    def __init__(self):
        self.stop = threading.Event()

    def begin(self, name):
        return name


def table(name, rows=lambda crawl, **tables: pl.LazyFrame(), **ins):
    declare = crawled_table(f"hub/{name}", description=name, columns=COLUMNS, ins=ins)
    return declare(rows)


def names(tables):
    store = {}

    def load(name):
        return store[name]

    found = []
    for one, rows in crawl_tables(tables, Session(), load):
        store[one.name] = rows
        found.append(one.short_name)
    return found


def test_tables_that_do_not_read_each_other_are_crawled_at_the_same_time():
    meeting = threading.Barrier(3)

    def rows(crawl):
        meeting.wait(10)
        return pl.LazyFrame()

    assert sorted(names([table(name, rows) for name in "abc"])) == ["a", "b", "c"]


def test_a_table_begins_before_what_it_reads_is_there_and_gets_it_when_it_asks():
    began = threading.Event()

    def upstream(crawl):
        assert began.wait(10)
        return pl.LazyFrame({"id": ["x"]})

    def downstream(crawl, up):
        began.set()
        assert up().collect()["id"].to_list() == ["x"]
        return pl.LazyFrame()

    assert names([table("down", downstream, up="hub/up"), table("up", upstream)]) == ["up", "down"]


def test_a_table_that_never_asks_still_comes_after_what_it_is_declared_to_read():
    def slow(crawl):
        time.sleep(0.2)
        return pl.LazyFrame()

    quick = table("quick", lambda crawl, up: pl.LazyFrame(), up="hub/slow")
    assert names([quick, table("slow", slow)]) == ["slow", "quick"]


def test_trouble_with_one_table_stops_the_others_and_is_raised():
    session, stopped = Session(), threading.Event()

    def bad(crawl):
        raise OSError(28, "No space left on device")

    def long(crawl):
        if session.stop.wait(10):
            stopped.set()
            raise CrawlStopped

    tables = [table("bad", bad), table("long", long), table("waits", up="hub/bad")]
    with pytest.raises(OSError, match="No space"):
        list(crawl_tables(tables, session, lambda name: pl.LazyFrame()))
    assert stopped.is_set()


def test_every_table_reads_only_tables_that_there_are():
    for one in TABLES.values():
        assert isinstance(one, CrawledTable)
        assert {name.removeprefix("hub/") for name in one.ins.values()} <= TABLES.keys()


def test_both_quotas_are_spent_side_by_side(world, tmp_path):
    with serve(create_app(world)) as hub:
        lines = hub.log_requests()
        crawl_snapshot(Warehouse(root=str(tmp_path)), hub.url, DAY)
        buckets = ["cards" if "resolve-cache" in str(line) else "api" for line in lines]
    first, last = buckets.index("cards"), len(buckets) - buckets[::-1].index("cards")
    between = buckets[first:last]
    assert between.count("api") > 20


def test_an_interrupted_session_is_gone_on_with_and_a_finished_one_is_over(world, tmp_path):
    faults, warehouse = Faults(seed=1), Warehouse(root=str(tmp_path))
    journals = tmp_path / ".crawl" / DAY
    with serve(create_app(world, faults=faults)) as hub:
        assert not CrawlSession.has_begun(journals)
        faults.add(r"/followers\b", error(503), times=3 * 5)
        first = crawl_snapshot(warehouse, hub.url, DAY)
        (report,) = first.crawls["followers"].reports
        assert 0 < report.failed < report.expected
        assert CrawlSession.has_begun(journals)
        before = hub.buckets.total()
        again = crawl_snapshot(warehouse, hub.url, DAY)
        assert hub.buckets.total() - before == report.failed
        assert again.crawls["followers"].reports[0].failed == 0
        assert not CrawlSession.has_begun(journals)
        before = hub.buckets.total()
        anew = crawl_snapshot(warehouse, hub.url, DAY)
        assert hub.buckets.total() - before == requests(anew) > 0
        assert anew.crawls["models"].reports[0].requests > 0
        whole = Warehouse(root=str(tmp_path / "whole"))
        crawl_snapshot(whole, hub.url, DAY)
    for name in set(TABLES) - {"crawl_plan"}:
        assert observed(warehouse, name, DAY).equals(observed(whole, name, DAY)), name


def refuse():
    raise NotFound("not there", status=404)


def test_what_was_refused_many_times_and_never_given_is_not_asked_for_any_more():
    refusals, asked = Refusals(NotFound), []
    for _ in range(50):
        with pytest.raises(NotFound):
            refusals.ask(lambda: asked.append(1) or refuse())
    assert len(asked) == Refusals.ENOUGH


def test_what_was_given_once_is_asked_for_every_time():
    refusals, asked = Refusals(NotFound), []
    assert refusals.ask(lambda: "given") == "given"
    for _ in range(50):
        with pytest.raises(NotFound):
            refusals.ask(lambda: asked.append(1) or refuse())
    assert len(asked) == 50


def test_a_failure_is_no_refusal():
    refusals = Refusals(NotFound)

    def fail():
        raise GaveUp("down")

    for _ in range(50):
        with pytest.raises(GaveUp):
            refusals.ask(fail)
