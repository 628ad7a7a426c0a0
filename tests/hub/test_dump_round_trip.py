"""A snapshot's `export/huggingkg`, taken in as a dump, gives the same export again."""

import json
import shutil
import zipfile

import dagster as dg
import pytest

from hfkg_assets import vocabulary as v
from hfkg_assets.definitions import build_defs
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-20"

TO_EXPORT = dg.AssetSelection.groups(
    "hub", "entity", "relation", "verified", "rejected"
) | dg.AssetSelection.assets(["export", "huggingkg"])


def export(settings):
    """Builds a snapshot and its export; returns the export's folder."""
    defs = build_defs(settings)
    job = dg.define_asset_job("export_job", selection=TO_EXPORT)
    definition = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = definition.resolve_job_def("export_job").execute_in_process(
            partition_key=DAY, instance=instance
        )
    assert result.success
    return Warehouse(root=settings["HFKG_ROOT"]).directory("export/huggingkg", DAY)


def round_trip(root, repositories):
    """The export of a sample snapshot, and that of the snapshot made of it."""
    first = export(
        {"HFKG_ROOT": str(root / "sample"), "HFKG_SAMPLE_REPOSITORIES": str(repositories)}
    )
    second = export(
        {"HFKG_ROOT": str(root / "dump"), "HFKG_SOURCE": "dump", "HFKG_DUMP": str(first)}
    )
    return first, second


def expect_equal(first, second):
    names = sorted(file.name for file in first.iterdir())
    stems = [*(entity.file for entity in v.ENTITIES.values()), *v.RELATIONS]
    assert names == sorted([*(f"{stem}.json" for stem in stems), "triples.txt"])
    assert names == sorted(file.name for file in second.iterdir())
    differing = [n for n in names if (first / n).read_bytes() != (second / n).read_bytes()]
    assert differing == []
    assert all((first / name).stat().st_size > 2 for name in names)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("round_trip")
    return root, *round_trip(root, 300)


@pytest.mark.slow
def test_all_39_files_of_a_small_world_come_back_byte_for_byte(small):
    _, first, second = small
    expect_equal(first, second)


@pytest.mark.slow
def test_a_zip_of_json_lines_comes_back_as_the_same_files(small, tmp_path):
    _, first, _ = small
    zipped = tmp_path / "HuggingKG_V20261120000000.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in first.glob("*.json"):
            lines = [json.dumps(record) for record in json.loads(file.read_bytes())]
            archive.writestr(f"HuggingKG_V20261120000000/{file.name}l", "\n".join(lines))
    second = export(
        {"HFKG_ROOT": str(tmp_path / "s"), "HFKG_SOURCE": "dump", "HFKG_DUMP": str(zipped)}
    )
    expect_equal(first, second)


@pytest.mark.slow
def test_all_39_files_of_a_world_of_3000_repositories_come_back_byte_for_byte(tmp_path):
    first, second = round_trip(tmp_path, 3_000)
    expect_equal(first, second)
    shutil.rmtree(tmp_path)
