"""The Hub of the two snapshots, which still serves its files, and stores to download into."""

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.warehouse import Warehouse
from tests.job_runs import DAYS, REPOSITORIES, run_job

TABLES = ("hub/models", "entity", "verified", "graph/node", "graph/edge")


@pytest.fixture(scope="session")
def faults():
    return Faults()


@pytest.fixture(scope="session")
def hub(faults):
    """The Hub of these days."""
    with serve(create_app(World(repositories=REPOSITORIES), faults=faults)) as server:
        yield server


@pytest.fixture
def quiet_hub(hub, faults):
    """The Hub, with no fault left on."""
    yield hub
    faults.clear()


@pytest.fixture
def torrent(snapshots, quiet_hub, tmp_path):
    """Runs the torrent of a day in a store of its own."""
    return Torrent(snapshots, quiet_hub, tmp_path / "store")


class Torrent:
    """A store with the snapshots, into which torrents are run.

    Attributes:
        root: of the store.
    """

    def __init__(self, snapshots, hub, root):
        self.root, self.hub = Path(root), hub
        for table in TABLES:
            shutil.copytree(snapshots / table, self.root / table, copy_function=_link)

    @property
    def warehouse(self):
        return Warehouse(root=str(self.root))

    def environment(self, day=DAYS[0], **settings):
        """Settings of a run, such as `weights="yes"`."""
        named = {f"HFKG_TORRENT_{name.upper()}": value for name, value in settings.items()}
        return {
            "HFKG_SOURCE": "hub", "HF_ENDPOINT": f"{self.hub.url}/{day}",
            "HFKG_ROOT": str(self.root), "HFKG_TORRENT_SELECT": "top:0.3", **named,
        }  # fmt: skip

    def run(self, day=DAYS[0], **settings):
        """Runs the torrent of a day; returns success, metadata by asset, checks and failures."""
        result = run_job("torrent", day, self.environment(day, **settings))
        events = result.get_asset_materialization_events()
        metadata = {
            event.asset_key.to_user_string(): {
                name: value.value for name, value in event.materialization.metadata.items()
            }
            for event in events
        }
        checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
        return SimpleNamespace(success=result.success, metadata=metadata, checks=checks)

    def table(self, name, day=DAYS[0]):
        return self.warehouse.scan(f"torrent/{name}", day).collect()

    def tree(self, day=DAYS[0]):
        """Every file that was downloaded or written for a day: path → digest."""
        found = {}
        for table in ("repositories", "ptm_schema"):
            folder = self.root / "torrent" / table / f"snapshot_date={day}"
            for file in folder.rglob("*"):
                if file.is_file() and file.suffix != ".parquet":
                    digest = hashlib.sha256(file.read_bytes()).hexdigest()
                    found[str(file.relative_to(folder))] = digest
        return found

    def objects(self):
        """How many contents the store has."""
        return sum(1 for file in (self.root / "torrent/.objects").glob("[sg]*/*/*"))


def _link(source, target):
    try:
        Path(target).hardlink_to(source)
    except OSError:  # another disk
        shutil.copyfile(source, target)
