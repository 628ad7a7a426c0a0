"""A crawl killed, out of disk or stopped from the UI loses nothing and makes nothing twice.

The short form of `benchmarks/crawl_interruptions.py`: few kills at fixed seeds, a small sample Hub.
"""

import logging
import re
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from benchmarks.crawl_interruptions import (
    LARGE_DISK,
    REPOSITORY,
    Interruptions,
    Moment,
    NoSmallDisk,
    differences,
    small_disk,
    stage_of,
    tables,
    torn_files,
    used,
)
from hfkg_resources.crawl_journal import StageJournal, Step, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.sample_hub.faults import Faults, slow
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse
from tests.dagster_dev import DagsterDev

MOST_TWICE = 0.02
"""Share of requests that one interruption may cost."""

REPOSITORIES, WORKERS = 400, 2
"""Few threads: all that is under way may be lost, in each of the tables crawled side by side."""

PROMPT_S = 60.0

ALL_TESTS = timedelta(minutes=8)
"""More than the tests of this module take together."""

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def faults():
    faults = Faults()
    faults.add("", slow(0.005))  # a round trip: requests are under way at any moment
    return faults


@pytest.fixture(scope="module")
def one_day():
    """The live Hub can be observed for today only: just before midnight, today is awaited."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if midnight - now < ALL_TESTS:
        time.sleep((midnight - now).total_seconds() + 1)


@pytest.fixture(scope="module")
def crawls(one_day, faults, tmp_path_factory):
    app = create_app(World(repositories=REPOSITORIES), faults=faults)
    with serve(app) as server:
        yield Interruptions(server, tmp_path_factory.mktemp("stores"), WORKERS)


@pytest.fixture(scope="module")
def alone(crawls):
    """The crawl without interruption that all others must equal."""
    alone = crawls.undisturbed()
    assert len(alone.tables) > 12
    assert not {stage for stage in alone.stages if stage.startswith("/")}, "stages without a name"
    return alone


def assert_as_if_nothing_had_been(outcome):
    log.info("%s: %d requests twice, %.2f %%", outcome.struck, outcome.twice, 100 * outcome.share)
    assert outcome.differences == {}
    assert outcome.torn == []
    assert outcome.share < MOST_TWICE, f"{outcome.twice} requests twice, struck: {outcome.struck}"


# -- the comparison itself


def test_the_comparison_counts_rows_lost_doubled_and_changed_but_not_their_order():
    table = pl.DataFrame({"id": ["a", "b", "c"], "items": [[{"n": 1}], [], None]})
    assert differences({"t": table}, {"t": table.reverse()}) == {}
    assert differences({"t": table}, {"t": table.head(2)}) == {"t": 1}
    assert differences({"t": table}, {"t": pl.concat([table, table.head(1)])}) == {"t": 1}
    changed = table.with_columns(items=pl.lit([{"n": 2}]))
    assert differences({"t": table}, {"t": changed}) == {"t": 6}


def test_the_comparison_notices_tables_that_are_not_there_and_other_types():
    table = pl.DataFrame({"n": [1, 2]})
    assert differences({"t": table}, {}) == {"t": 2}
    assert differences({"t": table.clear()}, {}) == {"t": 1}
    assert differences({"t": table}, {"t": table.cast(pl.Int32)}) == {"t": 4}


def test_a_torn_file_is_found(tmp_path):
    table = pl.DataFrame({"n": range(1_000)})
    (tmp_path / ".crawl").mkdir()
    table.write_parquet(tmp_path / ".crawl" / "whole.parquet")
    assert torn_files(tmp_path) == []
    whole = (tmp_path / ".crawl" / "whole.parquet").read_bytes()
    (tmp_path / ".crawl" / "torn.parquet").write_bytes(whole[: len(whole) // 2])
    (torn,) = torn_files(tmp_path)
    assert torn.startswith(".crawl/torn.parquet")


# -- SIGKILL


def test_a_walk_killed_after_its_last_page_and_before_its_end_has_that_page(tmp_path):
    table = RecordTable((Column("id", pl.String(), "id", required=True),))
    StageJournal(tmp_path, table).take(Step(units=("/api/models",), rows=[{"id": "a"}]))
    journal = StageJournal(tmp_path, table)
    with HubClient("http://127.0.0.1:9") as client:  # nobody is to be asked
        crawl_walk(journal, client, "/api/models", {}, PageReader(table, dict), log=log)
    assert journal.scan().collect()["id"].to_list() == ["a"]
    assert journal.finished


@pytest.mark.slow
def test_a_crawl_killed_while_the_listings_come_in_ends_as_if_it_had_not_been(crawls, alone):
    assert_as_if_nothing_had_been(crawls.killed_once("listings", Moment(6), alone))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_a_crawl_killed_at_a_random_moment_ends_as_if_it_had_not_been(crawls, alone, number):
    moment = alone.moments(kills=2, seed=7)[number]
    assert_as_if_nothing_had_been(crawls.killed_once(f"kill-{number}", moment, alone))


@pytest.mark.slow
def test_a_crawl_killed_between_its_last_answer_and_its_last_table_asks_nothing_anew(crawls, alone):
    moment = alone.at((alone.times[-1] + alone.duration) / 2)
    assert_as_if_nothing_had_been(crawls.killed_once("last-tables", moment, alone))


@pytest.mark.slow
def test_a_crawl_killed_again_and_again_ends_as_if_it_had_not_been(crawls, alone):
    assert_as_if_nothing_had_been(crawls.killed("chain", alone.chain(5), alone))


# -- a full disk


@pytest.fixture
def disk(tmp_path):
    """A small disk's folder, and what changes its size in bytes."""
    folder = tmp_path / "disk"
    try:
        with small_disk(folder, 1 << 16) as resize:
            yield folder, resize
    except NoSmallDisk as reason:
        pytest.skip(f"no small disk can be mounted here: {reason}")


def test_a_table_that_does_not_fit_on_the_disk_says_so_whichever_part_of_it_does_not(disk):
    folder, resize = disk
    columns = {f"column_{number}": pl.int_range(2_000).hash(number) for number in range(30)}
    table, store = pl.select(**columns), Warehouse(root=str(folder / "data"))
    resize(LARGE_DISK)
    needed = store.write("hub/t", "2026-01-01", table).stat().st_size
    shutil.rmtree(store.root)
    for size in range(4_096, needed, max(4_096, needed // 50)):
        resize(size)
        with pytest.raises(OSError, match="No space left on device"):
            store.write("hub/t", "2026-01-01", table)
        assert used(folder) == 0


@pytest.mark.slow
def test_a_full_disk_fails_the_run_in_one_line_and_with_room_it_goes_on(
    crawls, alone, disk, tmp_path
):
    folder, resize = disk
    root, since = folder / "data", len(crawls.lines)
    resize(used(crawls.folder / "undisturbed") // 2)
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)

    def run():
        arguments = ["run", "--job", "crawl", "--date", crawls.day]
        return subprocess.run(
            [sys.executable, "-m", "hfkg_assets.cli", *arguments],
            env=crawls.environment(root) | {"DAGSTER_HOME": str(tmp_path)},
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    failed = run()
    assert failed.returncode == 1
    line = failed.stderr.rstrip().splitlines()[-1]
    assert re.fullmatch(r"hfkg: \w+: .*No space left on device.*", line), line
    assert tables(root, crawls.day).keys() < alone.tables.keys()
    crawls.settle()
    torn = torn_files(root)
    resize(LARGE_DISK)
    again = run()
    assert again.returncode == 0, again.stderr[-2_000:]
    assert_as_if_nothing_had_been(crawls.outcome(root, since, alone, [{"full disk"}], torn))


@pytest.mark.slow
def test_a_file_over_the_limit_fails_the_crawl_and_without_the_limit_it_goes_on(crawls, alone):
    """A disk that takes no more, where none can be mounted."""
    root, since = crawls.folder / "limited", len(crawls.lines)
    files = (crawls.folder / "undisturbed" / "hub").rglob("*.parquet")
    limit = max(path.stat().st_size for path in files) // 2
    with pytest.raises(RuntimeError, match=r"File too large|No space left on device"):
        crawls.finish(root, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert tables(root, crawls.day).keys() < alone.tables.keys()
    crawls.settle()
    torn = torn_files(root)
    crawls.finish(root)
    assert_as_if_nothing_had_been(crawls.outcome(root, since, alone, [{"file limit"}], torn))


# -- a stop from the UI

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}
"""

# What the button "Terminate" of a run sends.
TERMINATE = """
mutation Terminate($runIds: [String!]!, $terminatePolicy: TerminateRunPolicy) {
  terminateRuns(runIds: $runIds, terminatePolicy: $terminatePolicy) {
    ... on TerminateRunsResult {
      terminateRunResults { __typename ... on TerminateRunFailure { message } }
    }
    ... on PythonError { message }
  }
}
"""

STATUS = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def launch(dev, assets, day):
    """Launches a run of assets for a day; returns its id."""
    launched = dev.query(
        LAUNCH,
        params={
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "hfkg",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": path} for path in assets],
                "assetCheckSelection": [],
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
        },
    )["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["id"]


def end_of(dev, run_id, seconds):
    """The status in which a run ends."""

    def ended():
        status = dev.query(STATUS, id=run_id)["runOrError"]["status"]
        return status if status in ENDED else None

    return dev.wait_for("end of the run", seconds, ended)


@pytest.fixture
def dev(crawls, tmp_path):
    dev = DagsterDev(tmp_path / "home", crawls.environment(tmp_path / "data"))
    try:
        yield dev
    finally:
        dev.stop()


@pytest.mark.slow
@pytest.mark.ui
def test_a_crawl_stopped_from_the_ui_is_canceled_soon_and_launched_again_it_goes_on(
    crawls, alone, dev, tmp_path
):
    nodes = dev.wait_for(
        "asset graph", 240,
        lambda: dev.query("{ assetNodes { assetKey { path } groupName } }")["assetNodes"],
    )  # fmt: skip
    hub = [node["assetKey"]["path"] for node in nodes if node["groupName"] == "hub"]
    root, since = tmp_path / "data", len(crawls.lines)
    stopped = launch(dev, hub, crawls.day)
    half = since + len(alone.stages) // 2
    dev.wait_for("half of the crawl", 120, lambda: len(crawls.lines) >= half)
    during = {stage_of(crawls.lines[-1])}
    result = dev.query(TERMINATE, runIds=[stopped], terminatePolicy="SAFE_TERMINATE")
    (one,) = result["terminateRuns"]["terminateRunResults"]
    assert one["__typename"] == "TerminateRunSuccess", one
    assert end_of(dev, stopped, PROMPT_S) == "CANCELED"
    crawls.settle()
    assert len(crawls.lines) - since < len(alone.stages), "it was not stopped"
    torn = torn_files(root)
    assert end_of(dev, launch(dev, hub, crawls.day), 240) == "SUCCESS"
    assert_as_if_nothing_had_been(crawls.outcome(root, since, alone, [during], torn))
