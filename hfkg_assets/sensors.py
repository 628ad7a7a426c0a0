"""What Dagster watches for once a person has switched it on: dropped dumps, failed runs.

Belongs here: noticing, and what is done then. Does not: reading a dump (`hub.dump`), or when things
are made (`schedules`).
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import orjson

from hfkg_assets.automation import snapshot
from hfkg_assets.snapshots import SNAPSHOTS
from hfkg_resources.huggingkg_dump import day_of_name

ZIP = ".zip"
SETTLED_S = 60.0
"""A dump nothing of which has changed for so long has been copied whole."""

POST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class DroppedDump:
    """A dump in the folder.

    Attributes:
        path: it.
        day: the date in its name.
        changed_at: when anything of it last changed, seconds since 1970.
    """

    path: Path
    day: date
    changed_at: float

    @property
    def key(self) -> str:
        """Tells this state of the dump from any other: it is taken in once."""
        return f"{self.path.name}@{self.changed_at:.6f}"


def dropped_dumps(folder: Path, now: float) -> list[DroppedDump]:
    """Dumps that have been copied whole into a folder, the oldest date first.

    Args:
        folder: looked through, not below its first level.
        now: seconds since 1970.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        day = day_of_name(path.name.removesuffix(ZIP))
        if day is None or path.name.startswith(".") or not (path.is_dir() or path.suffix == ZIP):
            continue
        files = [path, *(path.rglob("*") if path.is_dir() else ())]
        changed = max(file.stat().st_mtime for file in files)
        if now - changed >= SETTLED_S:
            found.append(DroppedDump(path, day, changed))
    return sorted(found, key=lambda dump: (dump.day, dump.path.name))


@dg.sensor(
    job=snapshot,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=(
        "HuggingKG dumps that are dropped into the folder HFKG_DUMP_INBOX become snapshots of the "
        "date in their name."
    ),
)
def dump_inbox(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    folder = os.environ.get("HFKG_DUMP_INBOX", "")
    if not folder:
        yield dg.SkipReason("set HFKG_DUMP_INBOX to the folder that dumps are dropped into")
        return
    days = SNAPSHOTS.get_partition_keys()
    dumps = dropped_dumps(Path(folder), time.time())
    for dump in dumps:
        if str(dump.day) in days:
            yield dg.RunRequest(
                run_key=dump.key, partition_key=str(dump.day), run_config=config_of(dump)
            )
        else:
            context.log.warning(
                f"{dump.path.name} is of {dump.day}, and snapshots are of {days[0]} to {days[-1]}"
            )
    if not dumps:
        yield dg.SkipReason(f"no whole dump in {folder}")


def config_of(dump: DroppedDump) -> dict[str, Any]:
    """The run configuration that reads a dump in place of the Hub."""
    source = {"source": "dump", "dump": str(dump.path), "dump_date": str(dump.day)}
    return {"resources": {"hub": {"config": source}}}


@dg.run_failure_sensor(
    name="failed_runs",
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Logs each failed run, and posts it to HFKG_ALERT_WEBHOOK where that is set.",
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    told = failure_of(context)
    context.log.error("run %s of %s failed: %s", told["run_id"], told["job"], told["error"])
    if webhook := os.environ.get("HFKG_ALERT_WEBHOOK", ""):
        post(webhook, told)


def failure_of(context: dg.RunFailureSensorContext) -> dict[str, Any]:
    """A failed run in a few words: its steps and what they raised, the first ones."""
    run = context.dagster_run
    steps = [
        {"step": event.step_key, "error": _first_line(event.step_failure_data.error)}
        for event in context.get_step_failure_events()[:5]
    ]
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": run.tags.get("dagster/partition"),
        "error": steps[0]["error"] if steps else context.failure_event.message,
        "steps": steps,
        # The word that chat services show.
        "text": f"hfkg: {run.job_name} of {run.tags.get('dagster/partition', 'no date')} failed",
    }


def post(url: str, told: Mapping[str, Any]) -> None:
    """Sends JSON to an address.

    Raises:
        urllib3.exceptions.HTTPError: nobody answers.
        RuntimeError: the answer is an error. Dagster then tries again at the sensor's next tick.
    """
    import urllib3

    answer = urllib3.request(
        "POST", url, body=orjson.dumps(told), headers={"Content-Type": "application/json"},
        timeout=POST_TIMEOUT_S, retries=2,
    )  # fmt: skip
    if answer.status >= 300:
        raise RuntimeError(f"HFKG_ALERT_WEBHOOK answered {answer.status}")


def _first_line(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0][:300] if error is not None else "failed"
