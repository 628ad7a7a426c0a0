"""What all tests share: no telemetry, a Hub and a store of their own, quiet Dagster logs."""

import logging
import os
from datetime import date

import pytest

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
# Settings of the developer's shell must not reach the tests, but for where recorded data lies.
for name in ("HF_TOKEN", "HF_TOKENS", "HF_ENDPOINT", "DAGSTER_HOME"):
    os.environ.pop(name, None)
for name in [name for name in os.environ if name.startswith("HFKG_") and name != "HFKG_TEST_DATA"]:
    os.environ.pop(name)


@pytest.fixture(autouse=True)
def quiet_dagster():
    """Dagster logs every event; a test report needs none of them."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def world():
    """A small sample world."""
    from hfkg_resources.sample_hub.world import World

    return World(repositories=300)


@pytest.fixture(scope="session")
def day(world):
    """The world as of a day: what a crawl of that day should find."""
    return world.at(date(2026, 11, 24))


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory):
    """A made-up snapshot with trained learners and predictions; read only."""
    from tests.trained_store import train_store

    return train_store(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory):
    """A store with the graphs of two days; read only."""
    from tests.job_runs import make_snapshots

    root = tmp_path_factory.mktemp("snapshots")
    make_snapshots(root)
    return root
