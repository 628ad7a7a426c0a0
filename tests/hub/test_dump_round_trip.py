"""A snapshot's `export/huggingkg`, taken in as a dump, gives the same export again."""

import json

import dagster as dg
import pytest

from hfkg_assets import vocabulary as v
from hfkg_assets.definitions import build_defs
from hfkg_resources.warehouse import Warehouse
from tests.hub.huggingkg_dumps import (
    NAME,
    Imported,
    Tables,
    differing_files,
    whole_dump,
    write_dump,
    zipped,
)

DAY = "2026-11-20"

HUB = dg.AssetSelection.groups("hub")
TO_EXPORT = dg.AssetSelection.groups(
    "hub", "entity", "relation", "verified", "rejected"
) | dg.AssetSelection.assets(["export", "huggingkg"])


def materialize(selection, **settings):
    """Materializes a selection for the day; returns the store."""
    defs = build_defs(settings)
    job = dg.define_asset_job("selected", selection=selection)
    definition = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    assert definition.resolve_job_def("selected").execute_in_process(partition_key=DAY).success
    return Warehouse(root=settings["HFKG_ROOT"])


def expect_all_39_files(folder):
    stems = [*(entity.file for entity in v.ENTITIES.values()), *v.RELATIONS]
    names = sorted(file.name for file in folder.iterdir())
    assert names == sorted([*(f"{stem}.json" for stem in stems), "triples.txt"])
    assert all(file.stat().st_size > len("[]") for file in folder.iterdir())


def test_the_export_of_a_dump_made_by_hand_is_that_dump(tmp_path):
    dump = write_dump(tmp_path / NAME, whole_dump())
    exported = Imported(dump, tmp_path / "store").export(tmp_path / "export")
    assert differing_files(dump, exported) == ["triples.txt"]
    expect_all_39_files(exported)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The export of a small sample world."""
    root = tmp_path_factory.mktemp("sample")
    materialize(HUB, HFKG_ROOT=str(root / "store"), HFKG_SAMPLE_REPOSITORIES="300")
    return Tables(root / "store", DAY).export(root / f"snapshot_date={DAY}")


def test_all_39_files_of_a_small_world_come_back_byte_for_byte(small, tmp_path):
    exported = Imported(small, tmp_path / "store", DAY).export(tmp_path / "export")
    assert differing_files(small, exported) == []
    expect_all_39_files(exported)


def test_as_json_lines_in_a_zip_and_in_any_order_they_come_back_as_the_same_files(small, tmp_path):
    records = {file.stem: json.loads(file.read_bytes())[::-1] for file in small.glob("*.json")}
    path = zipped(write_dump(tmp_path / NAME, records, lines=True), tmp_path / "dump.zip")
    exported = Imported(path, tmp_path / "store", DAY).export(tmp_path / "export")
    assert differing_files(small, exported) == []


@pytest.mark.slow
def test_all_39_files_of_a_world_of_3000_repositories_come_back_through_the_assets(tmp_path):
    sample = materialize(
        TO_EXPORT, HFKG_ROOT=str(tmp_path / "sample"), HFKG_SAMPLE_REPOSITORIES="3000"
    )
    first = sample.directory("export/huggingkg", DAY)
    dump = materialize(
        TO_EXPORT, HFKG_ROOT=str(tmp_path / "dump"), HFKG_SOURCE="dump", HFKG_DUMP=str(first)
    )
    assert differing_files(first, dump.directory("export/huggingkg", DAY)) == []
    expect_all_39_files(first)
