"""One small snapshot, and its exports made through Dagster."""

import shutil
import uuid
from pathlib import Path

import dagster as dg
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.exports.folder import Snapshot
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-20"


class Exports:
    """A stored snapshot, and the way to export it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"HFKG_ROOT": str(root), "HFKG_SAMPLE_REPOSITORIES": "300"}
        self.instance = dg.DagsterInstance.ephemeral()
        self.warehouse = Warehouse(root=str(root))
        self.snapshot = Snapshot(self.warehouse, DAY)

    def run(self, job, selection=None, run_config=None):
        return (
            build_defs(self.environment)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                partition_key=DAY,
                asset_selection=selection and [dg.AssetKey(key.split("/")) for key in selection],
                run_config=run_config,
            )
        )

    def make(self, name, **options) -> Path:
        """Materializes one export; returns a copy of it and keeps what the run told."""
        config = {"ops": {f"export__{name}": {"config": options}}} if options else None
        result = self.run("export", [f"export/{name}"], config)
        (event,) = result.asset_materializations_for_node(f"export__{name}")
        self.told = event.metadata
        made = self.warehouse.directory(f"export/{name}", DAY)
        return shutil.copytree(made, self.root / "copies" / uuid.uuid4().hex)


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    exports = Exports(tmp_path_factory.mktemp("exports"))
    assert exports.run("snapshot").success
    return exports


@pytest.fixture(scope="session")
def snapshot(exports):
    return exports.snapshot
