"""Rerunning a snapshot: what of it is out of date, and in which order it is made again.

An asset is out of date if it was never materialized for the date, if its code version or an
upstream's data version has changed since, or if a check that blocks has not passed. Dagster tells
the first three by the resolver that its UI uses too ("Materialize unsynced"). Data versions are
digests of stored bytes: where an asset comes out as it was, nothing below it is out of date.

Tables of the crawl are an exception: that one was crawled anew is no reason to ask the Hub again
for those that follow from it. They are out of date by their own code alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.data_version import (
    CachingStaleStatusResolver,
    StaleCause,
    StaleCauseCategory,
    StaleStatus,
)
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.loader import LoadingContext
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
    resolver = CachingStaleStatusResolver(instance, graph, _Loading(instance))
    resolver.instance_queryer.prefetch_asset_records(keys)
    unproven = _without_passed_check(graph, keys, instance, day)
    causes: dict[dg.AssetKey, str] = {}
    for key in keys:
        if resolver.get_status(key, day) == StaleStatus.MISSING:
            causes[key] = "was never materialized for this date"
        elif stale := [cause for cause in resolver.get_stale_causes(key, day) if _counts(cause)]:
            causes[key] = _told(stale)
        elif key in unproven:
            causes[key] = f"has not passed its check {unproven[key]}"
    return causes


def _counts(cause: StaleCause) -> bool:
    return cause.asset_key.path[0] != CRAWLED or cause.category == StaleCauseCategory.CODE


def _told(causes: Sequence[StaleCause]) -> str:
    # New code explains all; of many changed upstreams the first will do.
    first = min(causes, key=lambda cause: cause.category)
    if first.category != StaleCauseCategory.DATA or first.dependency_asset_key is None:
        return first.reason
    others = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return f"follows {first.dependency_asset_key.to_user_string()}{others}"


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


class _Loading(LoadingContext):
    """What the resolver batches its queries by."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._loaders: dict[type, Any] = {}

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._instance

    @property
    def loaders(self) -> dict[type, Any]:
        return self._loaders
