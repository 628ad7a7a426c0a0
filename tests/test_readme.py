"""What the README says is true: the groups, the settings, the jobs, the picture."""

import re
from collections import Counter
from pathlib import Path

from hfkg_assets.automation import JOBS
from hfkg_assets.definitions import defs

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_table_of_groups_counts_the_assets():
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", README, re.MULTILINE))
    assert {group: int(count) for group, count in told.items()} == Counter(
        key.path[0] for key in keys
    )


def test_every_setting_that_the_code_reads_is_in_the_table_and_no_other():
    read = set()
    for package in ("hfkg_assets", "hfkg_resources"):
        for path in (REPOSITORY / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            read |= set(re.findall(r"environ(?:ment)?\.get\(\"(HF\w+)\"", text))
            read |= set(re.findall(r"\bnumber\(\"(HF\w+)\"", text))
    told = set(re.findall(r"^\| `(H\w+)` \|", README, re.MULTILINE))
    assert told == read


def test_every_job_is_told():
    for job in JOBS:
        assert f"| `{job.name}` |" in README


def test_files_that_the_readme_points_to_are_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (REPOSITORY / target).is_file(), target


def test_the_readme_opens_with_what_it_is_the_two_commands_and_the_picture():
    opening = README.split("## ")[0]
    assert "make run" in opening
    assert "make test" in opening
    assert "![" in opening
