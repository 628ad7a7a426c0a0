"""Whole torrents against a real server: complete, killed, corrupt, without room, day after day."""

import base64
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import orjson
import polars as pl
import pytest

from benchmarks.crawl_interruptions import LARGE_DISK, NoSmallDisk, small_disk, used
from hfkg_assets.torrent.download import Content, Downloads, contents_of
from hfkg_assets.torrent.manifest import missing_objects
from hfkg_assets.torrent.objects import ObjectStore, verify
from hfkg_assets.torrent.ptm_schema import PTM_SCHEMA
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.faults import (
    corrupt_content,
    cut_connection,
    error,
    short_content,
    slow,
)
from hfkg_resources.sample_hub.quotas import GENEROUS
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from tests.job_runs import DAYS, REPOSITORIES
from tests.torrent.conftest import Torrent

REPOSITORY = Path(__file__).parents[2]
FILES = r"/resolve|/lfs/"
FREE = 3_000_000
"""Bytes that a small disk has left: less than the weights take."""


@pytest.fixture(scope="module")
def undisturbed(snapshots, hub, tmp_path_factory):
    """A torrent with weights that nothing disturbs."""
    torrent = Torrent(snapshots, hub, tmp_path_factory.mktemp("undisturbed") / "store")
    torrent.result = torrent.run(weights="yes")
    assert torrent.result.success
    return torrent


def test_every_file_that_the_hub_gives_is_there_and_whole(undisturbed):
    files, manifest = undisturbed.table("repositories"), undisturbed.table("manifest")
    assert files.height == manifest.height > 100
    assert set(files["status"]) == {"ok", "withheld"}
    withheld = files.filter(status="withheld")
    gated = undisturbed.table("selection").filter(pl.col("gated") != "false")["id"]
    assert set(withheld["id"]) <= set(gated) and set(withheld["reason"]) == {"gated"}
    assert undisturbed.result.checks == {
        "every_named_model_exists": True, "plan_fits": True, "every_file_is_whole": True,
        "nothing_failed": True, "ids_are_unique": True,
    }  # fmt: skip


def test_files_stand_as_ptmtorrent_has_them_whatever_their_names(undisturbed):
    there = {path for path in undisturbed.tree() if path.startswith("repos/")}
    files = undisturbed.table("repositories").filter(status="ok")
    assert there == set(files["place"])
    assert any(not path.isascii() for path in there)
    config = files.filter(path="config.json").row(0, named=True)
    place = undisturbed.root / "torrent/repositories" / f"snapshot_date={DAYS[0]}"
    assert isinstance(orjson.loads((place / config["place"]).read_bytes()), dict)


def test_equal_files_are_fetched_and_stored_once(undisturbed):
    metadata = undisturbed.result.metadata["torrent/repositories"]
    assert metadata["hfkg/fetched_bytes"] == metadata["hfkg/distinct_bytes"]
    assert metadata["hfkg/distinct_bytes"] < metadata["hfkg/wanted_bytes"]
    assert metadata["hfkg/wanted_bytes"] <= metadata["hfkg/all_bytes"]
    stored = sum(
        f.stat().st_size for f in (undisturbed.root / "torrent/.objects").glob("[sg]*/*/*")
    )
    assert stored == metadata["hfkg/distinct_bytes"]


def test_the_description_of_every_selected_model_is_valid_and_filled_in(undisturbed):
    folder = undisturbed.root / "torrent/ptm_schema" / f"snapshot_date={DAYS[0]}"
    records = orjson.loads((folder / "json/huggingface.json").read_bytes())
    validator = jsonschema.Draft202012Validator(PTM_SCHEMA)
    for record in records:
        validator.validate(record)
    manifest = undisturbed.table("manifest")
    assert {record["LatestGitCommitSHA"] for record in records} >= set(manifest["sha"])
    for field in ("ModelTask", "ModelArchitecture", "ModelPaperDOIs", "Datasets"):
        assert any(field in record for record in records), field
    metadata = orjson.loads((folder / records[0]["ModelHub"]["MetadataFilePath"]).read_bytes())
    numbers = {told["MetadataObjectID"]: told["id"] for told in metadata}
    for record in records:
        owner = "" if record["ModelOwner"] == "huggingface" else f"{record['ModelOwner']}/"
        assert numbers[record["ModelHub"]["MetadataObjectID"]] == owner + record["ModelName"]


def test_a_second_run_asks_for_nothing_that_is_there(undisturbed):
    before = undisturbed.tree()
    again = undisturbed.run(weights="yes")
    assert again.success
    listing = again.metadata["torrent/manifest"]
    assert listing["hfkg/requests"] == listing["hfkg/unlisted"]  # what was withheld may be given
    fetched = again.metadata["torrent/repositories"]
    assert (fetched["hfkg/fetched_bytes"], fetched["hfkg/files"]) == (
        0, undisturbed.result.metadata["torrent/repositories"]["hfkg/files"],
    )  # fmt: skip
    assert undisturbed.tree() == before


def test_without_weights_only_the_rest_is_fetched(torrent, undisturbed):
    result = torrent.run()
    kinds = set(torrent.table("repositories")["kind"])
    assert "weights" not in kinds and {"config", "tokenizer", "card"} <= kinds
    metadata = result.metadata["torrent/repositories"]
    assert metadata["hfkg/fetched_bytes"] < metadata["hfkg/all_bytes"] / 2
    assert (
        metadata["hfkg/all_bytes"]
        == (undisturbed.result.metadata["torrent/repositories"]["hfkg/all_bytes"])
    )


def test_on_the_next_date_only_new_and_changed_files_are_fetched(torrent):
    assert torrent.run(weights="yes").success
    result = torrent.run(DAYS[1], weights="yes")
    assert result.success
    changes = torrent.table("changes", DAYS[1])
    assert set(changes["change"]) >= {"added", "changed", "unchanged"}
    metadata = result.metadata["torrent/repositories"]
    assert 0 < metadata["hfkg/fetched_bytes"] <= int(changes["new_bytes"].sum())
    assert metadata["hfkg/reused_bytes"] > 0
    manifest = torrent.table("manifest", DAYS[1])
    unchanged = changes.filter(change="unchanged")["id"]
    assert set(manifest.filter("carried")["id"]) >= set(unchanged)
    first = torrent.table("changes", DAYS[0])
    assert set(first["change"]) == {"added"}


@pytest.mark.slow
def test_a_torrent_killed_ten_times_ends_as_one_that_was_not(torrent, faults, undisturbed):
    faults.add(FILES, slow(0.02))
    rng, kills = random.Random(0), 0
    environment = {
        **os.environ, **torrent.environment(weights="yes"), "PYTHONPATH": str(REPOSITORY),
        "DAGSTER_HOME": str(torrent.root),
    }  # fmt: skip
    (torrent.root / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    command = [
        sys.executable, "-m", "hfkg_assets.cli", "run", "--job", "torrent", "--date", DAYS[0],
    ]  # fmt: skip
    step = undisturbed.objects() // 12
    while kills < 10:
        enough = torrent.objects() + rng.randrange(step)
        process = subprocess.Popen(
            command, env=environment, cwd=torrent.root,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and torrent.objects() <= enough:
            time.sleep(0.01)
        assert process.poll() is None, "it was done before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        assert torrent.objects() < undisturbed.objects()
    faults.clear()
    result = torrent.run(weights="yes")
    assert result.success and all(result.checks.values())
    metadata = result.metadata["torrent/repositories"]
    assert metadata["hfkg/reused_bytes"] > 0  # what was there when it was killed was not lost
    assert torrent.tree() == undisturbed.tree()
    assert torrent.table("repositories").equals(undisturbed.table("repositories"))


def large_content(undisturbed):
    """A content that the Hub keeps outside git, the largest of one file alone."""
    files = undisturbed.table("repositories").filter(status="ok")
    alone = files.filter(pl.len().over("key") == 1, pl.col("key").str.starts_with("sha256:"))
    row = alone.sort("bytes", "key").row(-1, named=True)
    return Content(row["key"], row["bytes"], [(row["id"], row["sha"], row["path"])])


@pytest.fixture
def downloads(torrent):
    """Downloads into an empty store."""
    with HubClient(f"{torrent.hub.url}/{DAYS[0]}") as client:
        store = ObjectStore.of(torrent.warehouse)
        yield Downloads(client, None, store, workers=2, log=logging.getLogger(__name__)), store


@pytest.mark.parametrize("beginning", ["half of it", "all of it", "more than it", "another one"])
def test_a_large_file_goes_on_where_a_kill_left_off(torrent, downloads, undisturbed, beginning):
    content = large_content(undisturbed)
    whole = ObjectStore.of(undisturbed.warehouse).path(content.key).read_bytes()
    run, store = downloads
    left = store.partial(content.key)
    left.mkdir(parents=True)
    half = content.bytes // 2
    (left / "content").write_bytes(
        {
            "half of it": whole[:half],
            "all of it": whole,
            "more than it": whole + b"x",
            "another one": bytes(half),
        }[beginning]
    )
    lines = torrent.hub.log_requests()
    (outcome,) = run.run([content])
    assert outcome.status == "ok"
    assert store.path(content.key).read_bytes() == whole
    assert not left.exists()
    answered = [line.status for line in lines if "/lfs/" in line.path]
    assert (
        answered
        == {
            "half of it": [206],
            "all of it": [],
            "more than it": [200],
            "another one": [206, 200],  # its digest is another's: all of it is fetched
        }[beginning]
    )


def test_a_file_too_large_for_plain_http_comes_by_the_hubs_own_client(
    downloads, undisturbed, monkeypatch
):
    content = large_content(undisturbed)
    whole = ObjectStore.of(undisturbed.warehouse).path(content.key)
    asked = []

    def by_xet(model, path, *, local_dir, **_):
        """Stands for the transfer that the sample Hub does not offer."""
        asked.append((model, path))
        return shutil.copyfile(whole, local_dir / "whole")

    module = "hfkg_assets.torrent.download"
    monkeypatch.setattr(f"{module}.constants.MAX_HTTP_DOWNLOAD_SIZE", content.bytes - 1)
    monkeypatch.setattr(f"{module}.hf_hub_download", by_xet)
    run, store = downloads
    (outcome,) = run.run([content])
    assert outcome.status == "ok" and len(asked) == 1
    assert store.path(content.key).read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        (corrupt_content, "/lfs/"), (corrupt_content, "/resolve-cache/"),
        (short_content, "/lfs/"), (short_content, "/resolve-cache/"),
        (cut_connection, FILES), (lambda: error(503), FILES),
    ],
    ids=["corrupt large", "corrupt small", "short large", "short small", "cut", "503"],
)  # fmt: skip
def test_answers_that_go_wrong_are_asked_for_again(torrent, faults, undisturbed, fault, pattern):
    faults.add(pattern, fault(), times=12, probability=0.3)
    result = torrent.run(weights="yes")
    assert faults.met >= 12
    assert result.success and all(result.checks.values())
    assert torrent.tree() == undisturbed.tree()


def test_a_file_that_always_comes_corrupt_is_told_and_fetched_by_the_next_run(
    torrent, faults, undisturbed
):
    victim = (
        undisturbed.table("repositories")
        .filter(pl.col("kind") == "weights", pl.col("status") == "ok")
        .filter(pl.len().over("key") == 1)
        .row(0, named=True)
    )
    faults.add(f"/lfs/.*{victim['key'].removeprefix('sha256:')}", corrupt_content())
    result = torrent.run(weights="yes")
    assert result.success and not result.checks["nothing_failed"]
    failed = torrent.table("repositories").filter(status="failed")
    assert failed.select("id", "path").rows() == [(victim["id"], victim["path"])]
    assert "corrupt" in failed["reason"][0]
    assert victim["place"] not in torrent.tree()
    faults.clear()
    mended = torrent.run(weights="yes")
    assert mended.checks["nothing_failed"]
    assert mended.metadata["torrent/repositories"]["hfkg/fetched_bytes"] == victim["bytes"]
    assert torrent.tree() == undisturbed.tree()


def test_a_model_whose_files_are_not_told_is_counted_and_the_others_go_on(torrent, faults):
    victim = torrent_ids(torrent)[0]
    faults.add(f"/api/models/{victim}/tree", error(404))
    result = torrent.run()
    assert result.success
    assert result.metadata["torrent/manifest"]["hfkg/unlisted"] >= 1
    assert victim not in set(torrent.table("manifest")["id"])
    assert victim in set(torrent.table("selection")["id"])


def torrent_ids(torrent):
    """Open models, the most downloaded first."""
    models = torrent.warehouse.scan("entity/model", DAYS[0]).collect()
    open_ones = models.filter(pl.col("gated") == "false", ~pl.col("disabled"))
    return open_ones.sort("downloads", "id", descending=[True, False])["id"].to_list()


def test_named_models_are_downloaded_and_an_unknown_name_is_told(torrent):
    wanted = torrent_ids(torrent)[3]
    result = torrent.run(select=f"ids:{wanted},no/body")
    assert result.success and not result.checks["every_named_model_exists"]
    assert set(torrent.table("repositories")["id"]) == {wanted}
    assert result.metadata["torrent/selection"]["hfkg/unknown"] == ["no/body"]


def test_a_condition_in_sql_selects_and_a_wrong_one_fails_with_what_is_wrong(torrent):
    condition = "likes > 0 and id in (select subject_id from verified.model_definedFor_task)"
    assert torrent.run(select=f"sql:{condition}").success
    models = torrent.warehouse.scan("entity/model", DAYS[0]).collect()
    chosen = set(torrent.table("selection")["id"])
    assert chosen and chosen <= set(models.filter(pl.col("likes") > 0)["id"])
    assert not torrent.run(select="sql:stars > 3").success


def test_a_plan_above_the_budget_is_refused_before_anything_is_downloaded(torrent):
    result = torrent.run(weights="yes", budget="100KB")
    assert not result.success and not result.checks["plan_fits"]
    assert torrent.table("manifest").height > 100  # what it would take is told
    assert torrent.objects() == 0
    assert not (torrent.root / "torrent/repositories").exists()
    assert torrent.run(weights="yes", budget="1GB").success


@pytest.fixture
def small(snapshots, quiet_hub, tmp_path):
    """A store on a disk that hardly holds its snapshots, and how to make the disk larger."""
    size = sum(file.stat().st_size for file in snapshots.rglob("*.parquet"))
    try:
        with small_disk(tmp_path / "disk", 2 * size) as resize:
            torrent = Torrent(snapshots, quiet_hub, tmp_path / "disk" / "store")
            resize(used(tmp_path / "disk") * 21 // 20 + FREE)
            yield torrent, resize
    except NoSmallDisk as reason:
        pytest.skip(f"no small disk can be made here: {reason}")


def test_a_plan_larger_than_the_disk_is_refused_before_anything_is_downloaded(small, undisturbed):
    torrent, resize = small
    result = torrent.run(weights="yes")
    assert not result.success and not result.checks["plan_fits"]
    assert torrent.objects() == 0
    resize(LARGE_DISK)
    assert torrent.run(weights="yes").success
    assert torrent.tree() == undisturbed.tree()


def test_a_disk_that_fills_up_ends_the_run_and_nothing_torn_is_kept(small, undisturbed):
    torrent, resize = small
    store = ObjectStore.of(torrent.warehouse)
    missing = missing_objects(undisturbed.table("manifest").lazy(), store)
    # The plan is not asked: another program took the room meanwhile.
    with HubClient(f"{torrent.hub.url}/{DAYS[0]}") as client:
        downloads = Downloads(client, None, store, workers=4, log=logging.getLogger(__name__))
        with pytest.raises(OSError, match="No space left"):
            downloads.run(contents_of(missing))
    kept = store.listing()
    for key, size in kept.iter_rows():
        verify(store.path(key), key, size)
    resize(LARGE_DISK)
    result = torrent.run(weights="yes")
    assert result.success
    assert result.metadata["torrent/repositories"]["hfkg/reused_bytes"] >= kept["bytes"].sum()
    assert torrent.tree() == undisturbed.tree()


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@needs_git
def test_histories_are_mirrored_once_and_then_fetched_into(torrent):
    wanted = torrent_ids(torrent)[:3]
    settings = {"select": f"ids:{','.join(wanted)}", "git": "yes"}
    assert torrent.run(**settings).success
    history = torrent.table("history")
    assert set(history["id"]) == set(wanted)
    assert set(history["status"]) == {"ok"}
    mirrors = {row["id"]: torrent.root / "torrent" / row["place"] for row in history.to_dicts()}
    for mirror in mirrors.values():
        assert (mirror / "HEAD").is_file()
        names = subprocess.run(
            ["git", "--git-dir", mirror, "ls-tree", "-r", "--name-only", "HEAD"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        assert "README.md" in names or ".gitattributes" in names
    assert torrent.run(DAYS[1], **settings).success
    later = torrent.table("history", DAYS[1])
    assert set(later["place"]) == set(history["place"])
    assert (later.sort("id")["commits"] >= history.sort("id")["commits"]).all()


@needs_git
def test_a_model_that_cannot_be_cloned_is_told_and_the_others_go_on(torrent):
    models = torrent.warehouse.scan("entity/model", DAYS[0]).collect()
    gated = models.filter(pl.col("gated") != "false")["id"][0]
    assert torrent.run(select=f"ids:{torrent_ids(torrent)[0]},{gated}", git="yes").success
    history = dict(torrent.table("history").select("id", "status").iter_rows())
    assert history == {torrent_ids(torrent)[0]: "ok", gated: "failed"}


def test_unless_they_are_asked_for_there_are_no_histories(undisturbed):
    assert undisturbed.table("history").is_empty()
    assert not (undisturbed.root / "torrent/.histories").exists()


@needs_git
def test_a_token_is_sent_and_stands_in_no_file_and_no_metadata(snapshots, tmp_path, monkeypatch):
    token = "hf_" + "MarkedTokenOfThisTest"
    secrets = [token, base64.b64encode(f"user:{token}".encode()).decode()]
    monkeypatch.setenv("HF_TOKEN", token)
    app = create_app(World(repositories=REPOSITORIES), tokens={token: GENEROUS})
    with serve(app) as server:
        torrent = Torrent(snapshots, server, tmp_path / "store")
        wanted = torrent_ids(torrent)[:2]
        result = torrent.run(select=f"ids:{','.join(wanted)}", weights="yes", git="yes")
    assert result.success
    assert set(torrent.table("history")["status"]) == {"ok"}
    for file in torrent.root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], file
    assert not [secret for secret in secrets if secret in repr(result.metadata)]
