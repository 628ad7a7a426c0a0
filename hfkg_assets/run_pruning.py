"""Old runs, which Dagster keeps for ever: those that nothing rests on are deleted.

A run may be deleted once it has ended long ago and everything that it materialized has been
materialized again since. So the newest materialization of every asset and date stays, with its
metadata, data version and checks: what is out of date is found as before. Runs that failed or made
nothing go by age alone. Files of the store are never touched.

Belongs here: which runs, and deleting them. Does not: when (`automation`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter

KEPT_DAYS = 90

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
PAGE = 100


@dataclass(frozen=True)
class Pruned:
    """What became of the runs that ended long ago.

    Attributes:
        deleted: ids of runs that nothing rests on.
        kept: how many others there are: something's newest materialization is theirs.
    """

    deleted: list[str]
    kept: int


def prune_runs(instance: DagsterInstance, before: datetime, *, dry_run: bool = False) -> Pruned:
    """Deletes runs that ended before a moment and that nothing rests on.

    Args:
        instance: Dagster's.
        before: the moment.
        dry_run: only tells which these are.
    """
    newest = _Newest(instance)
    deleted, kept = [], 0
    for run_id in list(_ended(instance, before)):
        if any(newest.is_of(record) for record in _materializations(instance, run_id)):
            kept += 1
            continue
        deleted.append(run_id)
        if not dry_run:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.delete_run(run_id)
    return Pruned(deleted, kept)


class _Newest:
    """The newest materialization of each asset and date, asked for once an asset."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._storage = instance.event_log_storage
        self._by_asset: dict[dg.AssetKey, dict[str, int]] = {}

    def is_of(self, record: dg.EventLogRecord) -> bool:
        """Whether a materialization is the newest of its asset and date."""
        key = record.asset_key
        assert key is not None
        if key not in self._by_asset:
            found = self._storage.get_latest_storage_id_by_partition(
                key, DagsterEventType.ASSET_MATERIALIZATION
            )
            self._by_asset[key] = dict(found)
        partition = record.partition_key
        if partition is None:
            return True  # of no date: there are none of ours, so it is not for us to judge
        return self._by_asset[key].get(partition) == record.storage_id


def _ended(instance: DagsterInstance, before: datetime) -> Iterator[str]:
    """Ids of runs that ended before a moment, the oldest first."""
    wanted = RunsFilter(statuses=ENDED, updated_before=before)
    cursor = None
    while True:
        records = instance.get_run_records(wanted, limit=PAGE, cursor=cursor, ascending=True)
        yield from (record.dagster_run.run_id for record in records)
        if len(records) < PAGE:
            return
        cursor = records[-1].dagster_run.run_id


def _materializations(instance: DagsterInstance, run_id: str) -> Iterator[dg.EventLogRecord]:
    cursor = None
    while True:
        page = instance.get_records_for_run(
            run_id, cursor, of_type=DagsterEventType.ASSET_MATERIALIZATION, limit=1_000
        )
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor


class PruneOptions(dg.Config):
    """How old runs must be."""

    days: int = KEPT_DAYS


@dg.op(description="Deletes runs that ended long ago and that nothing rests on.")
def prune_old_runs(context: dg.OpExecutionContext, config: PruneOptions) -> None:
    before = datetime.now(UTC) - timedelta(days=config.days)
    pruned = prune_runs(context.instance, before)
    context.log.info(
        "deleted %d runs that ended more than %d days ago; kept %d that something rests on",
        len(pruned.deleted), config.days, pruned.kept,
    )  # fmt: skip


@dg.job(description="Delete runs of long ago that nothing rests on; see docs/automation.md.")
def prune() -> None:
    prune_old_runs()
