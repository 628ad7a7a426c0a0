"""The platform through its running UI: the asset graph is there, and backfills work from it."""

import os
import shutil

import polars as pl
import pytest

from hfkg_assets import vocabulary as v
from hfkg_resources.warehouse import Warehouse
from tests.dagster_dev import REPOSITORY, DagsterDev

DATES = ["2025-03-01", "2025-03-08", "2026-01-15"]

pytestmark = [pytest.mark.slow, pytest.mark.ui]


class RunningUI(DagsterDev):
    """`dagster dev` over a small sample Hub and a store of its own."""

    def __init__(self, home):
        self.warehouse = Warehouse(root=str(home / "data"))
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "HFKG_ROOT": str(home / "data"),
            "HFKG_SAMPLE_REPOSITORIES": "300",
        }
        super().__init__(home, environment)


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    ui = RunningUI(tmp_path_factory.mktemp("home"))
    try:
        ui.wait_for(
            "asset graph", 240,
            lambda: len(ui.query("{ assetNodes { id } }")["assetNodes"]) > 100,
        )  # fmt: skip
        yield ui
    finally:
        ui.stop()


def test_the_ui_knows_every_asset_with_its_group_kinds_and_partitions(ui):
    nodes = ui.query("{ assetNodes { assetKey { path } groupName kinds isPartitioned } }")
    keys = {"/".join(node["assetKey"]["path"]): node for node in nodes["assetNodes"]}
    assert {f"verified/{name}" for name in v.RELATIONS} <= set(keys)
    for key, node in keys.items():
        assert node["groupName"] == key.split("/")[0]
        assert node["kinds"]
        assert node["isPartitioned"]


def test_a_browser_shows_the_groups_of_the_asset_graph(ui):
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver on this machine")
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1600,1000",
    ):  # fmt: skip
        options.add_argument(flag)
    service = selenium.ChromeService(shutil.which("chromedriver"))
    with selenium.Chrome(options, service) as browser:
        browser.get(f"{ui.url}/asset-groups")

        def all_groups():
            text = browser.find_element("tag name", "body").text
            return all(group in text for group in ("hub", "verified", "rejected", "classification"))

        ui.wait_for("groups on the page", 60, all_groups)


BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


def test_a_backfill_of_three_dates_gives_three_different_snapshots(ui):
    launched = ui.query(
        BACKFILL,
        params={
            "selector": {
                "partitionSetName": "snapshot_partition_set",
                "repositorySelector": {
                    "repositoryName": "__repository__",
                    "repositoryLocationName": "hfkg",
                },
            },
            "partitionNames": DATES,
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def finished():
        status = ui.query(
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id) {"
            " ... on PartitionBackfill { status } } }",
            id=launched["backfillId"],
        )["partitionBackfillOrError"]["status"]
        assert not status.startswith("FAIL"), status
        return status.startswith("COMPLETED") and status

    assert ui.wait_for("end of the backfill", 420, finished) == "COMPLETED_SUCCESS"
    assert ui.warehouse.dates("graph/edge") == DATES
    counts = [
        ui.warehouse.scan("graph/edge", day).select(pl.len()).collect().item() for day in DATES
    ]
    nodes = [ui.warehouse.scan("graph/node", day).collect() for day in DATES]
    assert len({frame.hash_rows().sum() for frame in nodes}) == 3
    assert counts[0] < counts[2]
