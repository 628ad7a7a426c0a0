"""Which jobs export."""

import re

import pytest

from hfkg_assets.definitions import defs


def selected(job):
    return defs.resolve_job_def(job).asset_layer.selected_asset_keys


def test_the_export_job_makes_every_export_and_nothing_else():
    keys = {
        key for key in defs.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "export"
    }
    assert selected("export") == keys


@pytest.mark.parametrize("job", ["snapshot", "train", "everything"])
def test_other_jobs_make_none(job):
    assert not {key for key in selected(job) if key.path[0] == "export"}


def test_each_export_has_a_code_version_of_its_own():
    graph = defs.resolve_asset_graph()
    versions = [graph.get(key).code_version for key in selected("export")]
    assert all(re.fullmatch(r"[0-9a-f]{16}", version) for version in versions)
    assert len(set(versions)) == len(versions)
