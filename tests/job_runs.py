"""Jobs of the platform, run in a test: on an ephemeral instance, with settings of its own."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from hfkg_assets.definitions import build_defs

REPOSITORIES = 300
DAYS = ("2026-10-24", "2026-11-24")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_job(job: str, day: str, environment: Mapping[str, str]) -> dg.ExecuteInProcessResult:
    """Runs a job for a date."""
    definition = build_defs(environment).resolve_job_def(job)
    with dg.DagsterInstance.ephemeral() as instance:
        return definition.execute_in_process(
            instance=instance, partition_key=day, raise_on_error=False, run_config=QUIET
        )


def make_snapshots(root: Path) -> None:
    """Graphs of a small sample world on two days."""
    environment = {
        "HFKG_SOURCE": "world",
        "HFKG_SAMPLE_REPOSITORIES": str(REPOSITORIES),
        "HFKG_ROOT": str(root),
    }
    for day in DAYS:
        assert run_job("snapshot", day, environment).success
