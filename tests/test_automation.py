"""What Dagster does by itself: nothing until switched on, then once, and only what follows."""

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.run_pruning import prune_runs
from hfkg_assets.schedules import FOLLOWING, daily_snapshot
from hfkg_assets.sensors import SETTLED_S, dropped_dumps, dump_inbox, failed_runs
from hfkg_assets.snapshots import SNAPSHOTS

DAY = "2026-11-20"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="module")
def repository():
    return build_defs({}).get_repository_def()


# --- nothing by itself ---------------------------------------------------------------------------


def test_everything_stands_still_until_a_person_switches_it_on(repository):
    for schedule in repository.schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    for sensor in repository.sensor_defs:
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert {schedule.name for schedule in repository.schedule_defs} == {"daily_snapshot"}
    assert {sensor.name for sensor in repository.sensor_defs} >= {"dump_inbox", "failed_runs"}


# --- the daily snapshot --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tick", "day"),
    [
        (datetime(2026, 11, 20, 3, 15, tzinfo=UTC), "2026-11-20"),
        (datetime.fromisoformat("2026-11-20T01:15:00+05:00"), "2026-11-19"),
    ],
)
def test_the_daily_snapshot_is_of_the_day_of_its_tick_in_utc(instance, tick, day):
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=tick)
    request = daily_snapshot(context)
    assert (request.partition_key, request.run_key) == (day, day)


def test_the_daily_snapshot_asks_for_a_date_that_there_is(instance):
    now = datetime.now(UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=now)
    assert daily_snapshot(context).partition_key in SNAPSHOTS.get_partition_keys()


# --- what follows --------------------------------------------------------------------------------


def test_all_that_is_learned_follows_and_nothing_that_is_crawled(repository):
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        condition = graph.get(key).automation_condition
        assert (condition is not None) == (key.path[0] in FOLLOWING), key


def test_what_is_below_a_new_snapshot_is_asked_for_and_an_old_date_is_not(instance):
    top = dg.AssetSpec("graph_edge", partitions_def=SNAPSHOTS)

    @dg.asset(
        deps=[top], partitions_def=SNAPSHOTS, automation_condition=dg.AutomationCondition.eager()
    )
    def feature() -> None: ...

    defs = dg.Definitions([top, feature])
    newest = SNAPSHOTS.get_partition_keys()[-1]
    first = dg.evaluate_automation_conditions(defs, instance)
    assert first.total_requested == 0
    for day in (DAY, newest):
        instance.report_runless_asset_event(dg.AssetMaterialization("graph_edge", partition=day))
    then = dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)
    asked = then.get_requested_partitions(dg.AssetKey("feature"))
    assert asked == {newest}


# --- dropped dumps -------------------------------------------------------------------------------


@pytest.fixture
def inbox(tmp_path, monkeypatch):
    monkeypatch.setenv("HFKG_DUMP_INBOX", str(tmp_path))
    return tmp_path


def drop(inbox, name, age=SETTLED_S + 5):
    """A dump that was last written to so many seconds ago."""
    path = inbox / name
    if path.suffix == ".zip":
        path.write_bytes(b"PK")
        files = [path]
    else:
        path.mkdir()
        (path / "models.json").write_text("[]")
        files = [path / "models.json", path]
    moment = datetime.now(UTC).timestamp() - age
    for file in files:
        os.utime(file, (moment, moment))
    return path


def requests_of(instance):
    context = dg.build_sensor_context(instance=instance)
    return [each for each in dump_inbox(context) if isinstance(each, dg.RunRequest)]


def test_a_dump_becomes_the_snapshot_of_the_date_in_its_name(inbox, instance):
    path = drop(inbox, "HuggingKG_V20241215174821.zip")
    (request,) = requests_of(instance)
    assert request.partition_key == "2024-12-15"
    hub = request.run_config["resources"]["hub"]["config"]
    assert hub == {"source": "dump", "dump": str(path), "dump_date": "2024-12-15"}


def test_the_run_that_is_asked_for_reads_the_dump(inbox, instance, tmp_path):
    drop(inbox, "HuggingKG_V20250101000000")
    (request,) = requests_of(instance)
    job = build_defs({"HFKG_ROOT": str(tmp_path / "store")}).resolve_job_def("plan")
    result = job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        run_config={
            **request.run_config,
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=False,
    )
    # An empty list of models is no snapshot, but it was the dump that was read, and not a Hub.
    text = " ".join(str(event) for event in result.all_events)
    assert "HuggingKG_V20250101000000" in text


def test_a_dump_is_taken_in_once_and_again_when_it_has_changed(inbox, instance):
    path = drop(inbox, "HuggingKG_V20250101000000")
    (first,) = requests_of(instance)
    (again,) = requests_of(instance)
    assert first.run_key == again.run_key
    moment = datetime.now(UTC).timestamp() - SETTLED_S - 1
    os.utime(path / "models.json", (moment, moment))
    (changed,) = requests_of(instance)
    assert changed.run_key != first.run_key


def test_what_is_still_being_copied_or_is_no_dump_is_left_alone(inbox, instance):
    drop(inbox, "HuggingKG_V20250102000000", age=5)
    drop(inbox, "HuggingKG_V20240101000000")  # before the first snapshot
    drop(inbox, ".HuggingKG_V20250103000000.zip")
    drop(inbox, "notes.zip")
    (inbox / "HuggingKG_V20250104000000.txt").write_text("")
    assert requests_of(instance) == []


def test_dumps_come_by_date(inbox):
    for name in ("b_HuggingKG_V20250301000000", "HuggingKG_V20250201000000.zip"):
        drop(inbox, name)
    found = dropped_dumps(inbox, datetime.now(UTC).timestamp())
    assert [str(dump.day) for dump in found] == sorted(str(dump.day) for dump in found)


@pytest.mark.parametrize("folder", ["", "none"])
def test_without_a_folder_or_a_dump_the_sensor_says_so(monkeypatch, instance, tmp_path, folder):
    monkeypatch.setenv("HFKG_DUMP_INBOX", folder and str(tmp_path / folder))
    (skip,) = dump_inbox(dg.build_sensor_context(instance=instance))
    words = f"no whole dump in {tmp_path}" if folder else "HFKG_DUMP_INBOX"
    assert words in skip.skip_message


# --- failed runs ---------------------------------------------------------------------------------


@pytest.fixture
def webhook(monkeypatch):
    """An address that takes what is posted; the list of it."""
    posted = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_): ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HFKG_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hook")
    yield posted
    server.shutdown()
    server.server_close()


def failed_context(instance):
    @dg.op
    def crawl():
        raise ValueError("HF_TOKEN is refused\nand more")

    @dg.job
    def snapshot():
        crawl()

    result = snapshot.execute_in_process(
        instance=instance, raise_on_error=False, tags={"dagster/partition": DAY}
    )
    return dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()


def test_a_failed_run_is_posted_with_its_cause(instance, webhook):
    failed_runs(failed_context(instance))
    (told,) = webhook
    assert (told["job"], told["partition"]) == ("snapshot", DAY)
    assert told["steps"][0]["step"] == "crawl"
    assert told["error"] == "ValueError: HF_TOKEN is refused"
    assert DAY in told["text"]


def test_without_a_webhook_a_failed_run_is_only_logged(instance, monkeypatch):
    monkeypatch.delenv("HFKG_ALERT_WEBHOOK", raising=False)
    failed_runs(failed_context(instance))


def test_a_webhook_that_refuses_fails_the_tick(instance, monkeypatch, webhook):
    monkeypatch.setenv("HFKG_ALERT_WEBHOOK", "http://127.0.0.1:9/hook")
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        failed_runs(failed_context(instance))


# --- old runs ------------------------------------------------------------------------------------


@dg.asset(partitions_def=SNAPSHOTS)
def table() -> None: ...


def make(instance, day, *, fails=False):
    @dg.asset(name="table", partitions_def=SNAPSHOTS)
    def broken() -> None:
        raise ValueError

    result = dg.materialize(
        [broken if fails else table], partition_key=day, instance=instance, raise_on_error=False
    )
    return result.run_id


def runs(instance):
    return {run.run_id for run in instance.get_runs()}


def test_runs_that_nothing_rests_on_are_deleted_and_the_newest_stay(instance):
    old = make(instance, DAY)
    failed = make(instance, DAY, fails=True)
    other_day = make(instance, "2026-11-19")
    new = make(instance, DAY)
    later = datetime.now(UTC) + timedelta(minutes=1)
    pruned = prune_runs(instance, later)
    assert set(pruned.deleted) == {old, failed}
    assert pruned.kept == 2
    assert runs(instance) == {other_day, new}
    key = dg.AssetKey("table")
    assert instance.get_materialized_partitions(key) == {DAY, "2026-11-19"}
    assert instance.get_latest_materialization_event(key) is not None


def test_young_runs_stay_whatever_rests_on_them(instance):
    make(instance, DAY)
    make(instance, DAY)
    before = runs(instance)
    assert prune_runs(instance, datetime.now(UTC) - timedelta(hours=1)).deleted == []
    assert runs(instance) == before


def test_a_dry_run_tells_and_deletes_nothing(instance):
    old = make(instance, DAY)
    make(instance, DAY)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert prune_runs(instance, later, dry_run=True).deleted == [old]
    assert old in runs(instance)


def test_many_runs_are_looked_through_page_by_page(instance, monkeypatch):
    monkeypatch.setattr("hfkg_assets.run_pruning.PAGE", 2)
    made = [make(instance, DAY) for _ in range(6)]
    pruned = prune_runs(instance, datetime.now(UTC) + timedelta(minutes=1))
    assert set(pruned.deleted) == set(made[:-1])


def test_the_job_prunes_by_age(instance):
    job = build_defs({}).resolve_job_def("prune")
    made = make(instance, DAY)
    config = {"ops": {"prune_old_runs": {"config": {"days": 30}}}}
    assert job.execute_in_process(instance=instance, run_config=config).success
    assert made in runs(instance)
