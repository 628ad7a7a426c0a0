"""`git clone` of the sample Hub's repositories."""

import http.client
import os
import shutil
import subprocess

import polars as pl
import pytest

from hfkg_resources.sample_hub.file_names import EMPTY, README, SIGNS_NAME, WEIGHTS, WIDE_NAME

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def git(tmp_path):
    """Runs git in a folder of its own, without the user's settings and without prompts."""

    def run(*arguments, folder=tmp_path):
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


@pytest.fixture(scope="module")
def edited(day):
    """A model that anyone may read, with weights, a README and some commits."""
    is_open = (pl.col("gated") == "false") & ~pl.col("disabled")
    facts = day.facts["model"].filter(
        pl.col("id").is_in(day.models.filter(is_open)["id"].implode()),
        pl.col("revision") > 3,
        pl.col("siblings").list.contains(WEIGHTS),
        pl.col("siblings").list.contains(README),
    )
    return facts.row(0, named=True)


def test_a_clone_holds_all_files_with_pointers_in_place_of_large_ones(
    api, ask, day, edited, git, tmp_path
):
    cloned = git("clone", f"{ask.base}/{edited['id']}", "here")
    assert cloned.returncode == 0, cloned.stderr
    here = tmp_path / "here"
    files = {str(file.relative_to(here)) for file in here.rglob("*") if file.is_file()}
    assert {path for path in files if not path.startswith(".git/")} == set(edited["siblings"])
    assert (here / README).read_bytes() == day.readme("model", edited["id"])
    tree = {file.path: file for file in api.list_repo_tree(edited["id"])}
    pointer = (here / WEIGHTS).read_text()
    assert f"oid sha256:{tree[WEIGHTS].lfs.sha256}\nsize {tree[WEIGHTS].size}\n" in pointer
    assert git("fsck", "--strict", folder=here).returncode == 0


def test_a_clone_has_a_commit_per_revision(ask, edited, git, tmp_path):
    assert git("clone", f"{ask.base}/{edited['id']}.git", "here").returncode == 0
    log = git("log", "--format=%ct", folder=tmp_path / "here").stdout.split()
    assert len(log) == edited["revision"] + 1
    moment = (edited["created"] + edited["revision"] * edited["edit_every"]) // 1_000
    assert int(log[0]) == moment


@pytest.mark.parametrize("path", [EMPTY, WIDE_NAME, SIGNS_NAME])
def test_trees_of_the_api_tell_the_ids_that_git_gives(ask, day, git, tmp_path, path):
    is_open = (pl.col("gated") == "false") & ~pl.col("disabled")
    holds = pl.col("siblings").list.contains(path)
    repo_id = day.models.filter(is_open, holds)["id"][0]
    assert git("clone", f"{ask.base}/{repo_id}", "here").returncode == 0
    listed = git("ls-tree", "-rtz", "HEAD", folder=tmp_path / "here").stdout.split("\0")[:-1]
    oids = {path: line.split()[2] for line in listed for line, path in [line.split("\t")]}
    tree = ask(f"/api/models/{repo_id}/tree/main", recursive=True).json()
    assert {entry["path"]: entry["oid"] for entry in tree} == oids


def test_a_dataset_is_cloned_by_its_old_name_too(ask, day, git, tmp_path):
    readable = day.datasets.filter(pl.col("gated") == "false", ~pl.col("disabled"))["id"].implode()
    moved = day.redirects.filter(pl.col("kind") == "dataset", pl.col("new_id").is_in(readable))
    old = moved["old_id"][0]
    cloned = git("clone", f"{ask.base}/datasets/{old}", "here")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "here" / ".gitattributes").exists()


def test_what_may_not_be_read_may_not_be_cloned(ask, day, gated_model, git):
    disabled = day.models.filter(disabled=True)["id"][0]
    for repo_id in (gated_model["id"], disabled, "no/such"):
        assert git("clone", f"{ask.base}/{repo_id}", "here").returncode != 0


def test_no_path_leads_out_of_a_repository(server, edited):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    statuses = []
    for path in ("HEAD", "objects/../HEAD", "objects/../../../../../../etc/passwd"):
        connection.request("GET", f"/{edited['id']}/{path}")  # sends the path as it is
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    assert statuses == [200, 404, 404]
