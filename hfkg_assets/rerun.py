"""Rerunning a snapshot: what of it is out of date, and in which order it is made again.

An asset is out of date if it was never materialized for the date, if its code version, its inputs
or an input's data version have changed since, or if a check that blocks has not passed. Data
versions are digests of stored bytes: where an asset comes out as it was, nothing below it is out of
date. But for the checks it is what Dagster's UI calls unsynced; its resolver asks the event log for
every edge of the graph, here it is asked for every asset.

Tables of the crawl are an exception: that one was crawled anew is no reason to ask the Hub again
for those that follow from it. They are out of date by their own code alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph, AssetNode
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

CRAWLED = "hub"

Wave = dict[dg.AssetKey, str]
"""Assets to make together in one run, in the order of the graph → why each is out of date."""


def waves(
    graph: AssetGraph, keys: Iterable[dg.AssetKey], instance: dg.DagsterInstance, day: str
) -> Iterator[Wave]:
    """What to materialize, run by run; who takes a wave materializes it before asking for the next.

    A wave is all that is out of date and has nothing above it that may yet become so: whether an
    asset below a recomputed one must follow is known when that one's new bytes are.

    Args:
        graph: all assets.
        keys: those to bring up to date; what lies above them is taken as it is.
        instance: where materializations are recorded.
        day: the snapshot date.
    """
    unsettled = set(keys)
    while wave := _next_wave(graph, unsettled, instance, day):
        yield wave
        below = {key for made in wave for key in _below(graph, made)}
        unsettled = (unsettled & below) - wave.keys()


def _next_wave(
    graph: AssetGraph, unsettled: Set[dg.AssetKey], instance: dg.DagsterInstance, day: str
) -> Wave:
    ordered = [key for key in graph.toposorted_asset_keys if key in unsettled]
    causes = out_of_date(graph, ordered, instance, day)
    wave: Wave = {}
    waiting: set[dg.AssetKey] = set()
    for key in ordered:
        above = graph.get(key).parent_keys
        if above & waiting or (key not in causes and above & wave.keys()):
            waiting.add(key)
        elif key in causes:
            wave[key] = causes[key]
    # Outputs of one step that can only be made together: the others come along.
    for key in list(wave):
        for other in graph.get(key).execution_set_asset_keys - wave.keys():
            wave[other] = f"is made together with {key.to_user_string()}"
    return wave


def _below(graph: AssetGraph, key: dg.AssetKey) -> Set[dg.AssetKey]:
    return dg.AssetSelection.assets(key).downstream().resolve(graph)


def out_of_date(
    graph: AssetGraph, keys: Sequence[dg.AssetKey], instance: dg.DagsterInstance, day: str
) -> dict[dg.AssetKey, str]:
    """Asset key → why it is out of date, for those of `keys` that are."""
    events = _Materializations(instance, day)
    unproven = _without_passed_check(graph, keys, instance, day)
    causes: dict[dg.AssetKey, str] = {}
    for key in keys:
        if cause := _cause(graph.get(key), events):
            causes[key] = cause
        elif key in unproven:
            causes[key] = f"has not passed its check {unproven[key]}"
    return causes


def _cause(asset: AssetNode, events: "_Materializations") -> str | None:
    """Why the newest materialization of an asset no longer holds, if so."""
    newest = events.newest(asset.key)
    if newest is None:
        return "was never materialized for this date"
    made_of = dg.DataProvenance.from_tags(_tags(newest))
    if made_of and asset.code_version not in (None, made_of.code_version):
        return "has a new code version"
    if asset.key.path[0] == CRAWLED:
        return None
    # One that was reported and not made here tells no inputs: it knew what there was.
    read: Mapping[dg.AssetKey, int | None] = (
        dict.fromkeys(asset.parent_keys, newest.storage_id)
        if made_of is None
        else made_of.input_storage_ids
    )
    if read.keys() != asset.parent_keys:
        return "has other inputs"
    changed = [key for key in sorted(read) if events.has_changed_since(key, read[key])]
    if not changed:
        return None
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"follows {changed[0].to_user_string()}{others}"


class _Materializations:
    """The materializations of one date."""

    def __init__(self, instance: dg.DagsterInstance, day: str) -> None:
        self._instance = instance
        self._day = day
        self._newest: dict[dg.AssetKey, dg.EventLogRecord | None] = {}

    def newest(self, key: dg.AssetKey) -> dg.EventLogRecord | None:
        """The newest one of an asset, asked for once."""
        if key not in self._newest:
            self._newest[key] = self._before(key, None)
        return self._newest[key]

    def has_changed_since(self, key: dg.AssetKey, event: int | None) -> bool:
        """Whether an asset's data version is another one than at an event of the log.

        Args:
            key: the asset.
            event: storage id of the newest materialization then, of whatever date; null for none.
        """
        newest = self.newest(key)
        if newest is None or (event is not None and newest.storage_id <= event):
            return False
        before = None if event is None else self._before(key, event + 1)
        return before is None or _data_version(before) != _data_version(newest)

    def _before(self, key: dg.AssetKey, event: int | None) -> dg.EventLogRecord | None:
        chosen = dg.AssetRecordsFilter(key, asset_partitions=[self._day], before_storage_id=event)
        return next(iter(self._instance.fetch_materializations(chosen, limit=1).records), None)


def _tags(record: dg.EventLogRecord) -> Mapping[str, str]:
    materialization = record.asset_materialization
    return (materialization.tags if materialization else None) or {}


def _data_version(record: dg.EventLogRecord) -> str | None:
    return _tags(record).get(DATA_VERSION_TAG)


def _without_passed_check(
    graph: AssetGraph, keys: Iterable[dg.AssetKey], instance: dg.DagsterInstance, day: str
) -> Mapping[dg.AssetKey, str]:
    """Assets with a blocking check that failed or was never made: what is below must not follow."""
    checks = [
        check for key in keys for check in graph.get(key).check_keys if graph.get(check).blocking
    ]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        checks, PartitionKeyFilter(key=day)
    )
    return {
        check.asset_key: check.name
        for check in checks
        if check not in latest or latest[check].status != AssetCheckExecutionRecordStatus.SUCCEEDED
    }
