"""Dagster's SQLite storage with connections that stay open: the same files, sooner written."""

import os
import threading

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from hfkg_resources.dagster_storage import MOST_OPEN, SqliteEventLog
from tests.dagster_dev import REPOSITORY


@dg.asset
def number(context: dg.AssetExecutionContext) -> int:
    context.log.info("one")
    return 1


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """An instance as `dagster.yaml` declares it."""
    monkeypatch.chdir(tmp_path)  # its paths are relative
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def shards(instance):
    return instance.event_log_storage._engines


def test_the_instance_of_the_project_uses_it(instance):
    assert isinstance(instance.event_log_storage, SqliteEventLog)


def test_what_it_writes_dagsters_own_storage_reads(instance, tmp_path):
    result = dg.materialize([number], instance=instance)
    config = yaml.safe_load((tmp_path / "dagster.yaml").read_text())
    folder = tmp_path / config["storage"]["custom"]["config"]["base_dir"] / "history" / "runs"
    theirs = SqliteEventLogStorage(str(folder))
    ours = instance.event_log_storage
    logs = theirs.get_logs_for_run(result.run_id)
    assert [event.user_message for event in logs if event.user_message == "one"]
    assert len(logs) == len(ours.get_logs_for_run(result.run_id))
    assert theirs.get_latest_materialization_events([number.key])[number.key] is not None


def test_events_are_brought_to_disk_by_the_log_and_not_one_by_one(instance):
    dg.materialize([number], instance=instance)
    with instance.event_log_storage.index_connection() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


def test_databases_of_few_runs_are_open_at_once(instance):
    runs = [dg.materialize([number], instance=instance).run_id for _ in range(MOST_OPEN + 3)]
    assert len(shards(instance)) <= MOST_OPEN
    assert all(instance.event_log_storage.get_logs_for_run(run) for run in runs)


def test_who_watches_a_run_is_told_of_every_event(instance):
    seen, done = [], threading.Event()

    def tell(event, _):
        seen.append(event)
        if len(seen) > len(logs):
            done.set()

    run = dg.materialize([number], instance=instance).run_id
    logs = instance.event_log_storage.get_logs_for_run(run)
    instance.event_log_storage.watch(run, None, tell)
    instance.event_log_storage.store_event(logs[0])
    assert done.wait(20)
    instance.event_log_storage.end_watch(run, tell)


def test_several_threads_may_write_at_once(instance):
    run = dg.materialize([number], instance=instance).run_id
    event = instance.event_log_storage.get_logs_for_run(run)[0]
    before = len(instance.event_log_storage.get_logs_for_run(run))

    def store():
        for _ in range(10):
            instance.event_log_storage.store_event(event)

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(instance.event_log_storage.get_logs_for_run(run)) == before + 40


def test_wiped_runs_are_gone_and_the_storage_goes_on(instance):
    run = dg.materialize([number], instance=instance).run_id
    path = instance.event_log_storage.path_for_shard(run)
    instance.event_log_storage.wipe()
    assert not os.path.exists(path)
    again = dg.materialize([number], instance=instance)
    assert instance.event_log_storage.get_logs_for_run(again.run_id)
