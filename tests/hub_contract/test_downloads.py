"""Trees, sizes and hashes of files, and downloads with huggingface_hub's own client (line 11)."""

import hashlib
import json
import os
from pathlib import Path

import polars as pl
import pytest
from huggingface_hub import RepoFile, RepoFolder, constants
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

from hfkg_resources.sample_hub import faults as kinds
from hfkg_resources.sample_hub.file_names import EMPTY, README, SHARDS, SIGNS_NAME, WIDE_NAME
from hfkg_resources.sample_hub.world import commit_ids

KINDS = ("model", "dataset", "space")
OPEN = (pl.col("gated") == "false") & ~pl.col("disabled")


def holding(day, kind, *paths):
    """A repository that anyone may read, with these files."""
    frame = getattr(day, f"{kind}s").filter(~pl.col("disabled"))
    if kind != "space":
        frame = frame.filter(pl.col("gated") == "false")
    has_all = [pl.col("siblings").list.contains(path) for path in paths]
    return frame.filter(has_all).row(0, named=True)


def is_right(file, content):
    """Whether bytes are those that a tree tells of."""
    if file.lfs is not None:
        assert file.lfs.size == file.size
        return (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.lfs.sha256)
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return (len(content), oid) == (file.size, file.blob_id)


@pytest.fixture(scope="module")
def sharded(day):
    return holding(day, "model", "tokenizer.json", *SHARDS)


@pytest.fixture(scope="module")
def large(api, sharded):
    """A large file of a model, as its tree lists it."""
    tree = api.list_repo_tree(sharded["id"], revision=sharded["sha"])
    return next(entry for entry in tree if entry.path == SHARDS[0])


def download(api, repository, path, folder, **options):
    place = api.hf_hub_download(
        repository["id"], path, revision=repository["sha"], local_dir=folder, **options
    )
    return Path(place).read_bytes()


# -- Trees ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_recursive_tree_names_the_files_of_the_listing_and_their_folders(api, day, kind):
    repository = holding(day, kind, EMPTY)
    tree = list(api.list_repo_tree(repository["id"], repo_type=kind, recursive=True))
    files = [entry.path for entry in tree if isinstance(entry, RepoFile)]
    folders = [entry.path for entry in tree if isinstance(entry, RepoFolder)]
    assert files == repository["siblings"]
    assert set(folders) == {path.rpartition("/")[0] for path in files} - {""}


def test_a_tree_shows_one_folder_after_the_other(ask, day):
    repository = holding(day, "model", EMPTY)
    path = f"/api/models/{repository['id']}/tree/main"
    top = ask(path).json()
    assert all("/" not in entry["path"] for entry in top)
    folder = next(entry for entry in top if entry["path"] == "samples")
    assert (folder["type"], folder["size"]) == ("directory", 0)
    inside = ask(f"{path}/samples").json()
    assert [entry["path"] for entry in inside if entry["size"] == 0] == [EMPTY]
    missing = ask(f"{path}/nothing")
    assert (missing.status_code, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")


def test_a_tree_comes_in_pages(ask, sharded):
    path = f"/api/models/{sharded['id']}/tree/{sharded['sha']}"
    pages = list(ask.pages(path, recursive=True, limit=3))
    assert {len(page) for page in pages[:-1]} == {3}
    assert [entry for page in pages for entry in page] == ask(path, recursive=True).json()


def test_only_large_files_are_in_lfs_and_their_id_in_git_is_their_pointers(api, large, sharded):
    text = (
        f"version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{large.lfs.sha256}\nsize {large.size}\n"
    ).encode()
    assert large.blob_id == hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    assert large.lfs.pointer_size == len(text)
    tree = api.list_repo_tree(sharded["id"], recursive=True)
    small = [entry for entry in tree if isinstance(entry, RepoFile) and entry.lfs is None]
    assert {README, "tokenizer.json"} & {entry.path for entry in small}


def test_an_expanded_tree_tells_the_last_commit_of_each_file(api, sharded):
    commits = {}
    for entry in api.list_repo_tree(sharded["id"], expand=True):
        commits[entry.path] = entry.last_commit
    assert all(len(commit.oid) == 40 and commit.title for commit in commits.values())
    if README in commits:
        assert commits[README].oid == sharded["sha"]
        assert commits[README].date == sharded["last_modified"]


def test_a_record_with_blobs_agrees_with_the_tree(api, sharded):
    info = api.model_info(sharded["id"], files_metadata=True)
    tree = api.list_repo_tree(sharded["id"], recursive=True)
    listed = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    assert [file.rfilename for file in info.siblings] == list(listed)
    for file in info.siblings:
        entry = listed[file.rfilename]
        assert (file.size, file.blob_id) == (entry.size, entry.blob_id)
        assert (file.lfs and file.lfs.sha256) == (entry.lfs and entry.lfs.sha256)
    assert all(file.size is None for file in api.model_info(sharded["id"]).siblings)


def test_a_renamed_models_tree_moves_with_it(ask, day):
    renamed = day.redirects.filter(pl.col("kind") == "model").row(0, named=True)
    path = f"/api/models/{{}}/tree/main/{SIGNS_NAME.replace('#', '%23').replace('%)', '%25)')}"
    answer = ask(path.format(renamed["old_id"]), recursive=True)
    assert answer.status_code == 307
    moved = answer.headers["Location"]
    assert f"/api/models/{renamed['new_id']}/tree/main/notes%20%231" in moved
    assert moved.endswith("?recursive=True")


def test_a_tree_is_refused_as_other_calls_are(ask, day, sharded):
    nowhere = ask("/api/models/no/such/tree/main")
    assert nowhere.status_code == 401
    unknown = ask(f"/api/models/{sharded['id']}/tree/{'0' * 40}")
    assert (unknown.status_code, unknown.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    disabled = day.models.filter(disabled=True)["id"][0]
    assert ask(f"/api/models/{disabled}/tree/main").status_code == 403


def test_of_a_gated_repository_the_tree_is_public_and_no_file_is(ask, api, gated_model):
    path = f"/api/models/{gated_model['id']}/tree/main"
    tree = ask(path, recursive=True).json()
    assert [entry["path"] for entry in tree if entry["type"] == "file"] == gated_model["siblings"]
    for entry in tree:
        if entry["type"] == "file":
            refused = ask(f"/{gated_model['id']}/resolve/main/{entry['path']}")
            assert (refused.status_code, refused.headers["X-Error-Code"]) == (401, "GatedRepo")
        if "lfs" in entry:
            stored = f"/lfs/models/{gated_model['id']}/{entry['lfs']['oid']}/{entry['path']}"
            assert ask(stored).status_code == 401


# -- Commits --------------------------------------------------------------------------------------


def test_an_earlier_commit_can_still_be_listed_and_read(ask, api, day, world):
    """One whose weights were trained anew in between: same size, other bytes."""
    facts = day.facts["model"].filter(
        pl.col("id").is_in(day.models.filter(OPEN)["id"].implode()),
        pl.col("siblings").list.contains("model.safetensors"),
        pl.col("revision") >= 3,
        pl.col("key") == pl.col("weights_key"),
        pl.col("key") // 7 % 2 == 0,
    )
    now = facts.row(0, named=True)
    first = commit_ids(now["key"], now["revision"])[0]
    assert api.model_info(now["id"], revision=first).sha == first

    def weights(revision):
        tree = api.list_repo_tree(now["id"], revision=revision)
        file = next(entry for entry in tree if entry.path == "model.safetensors")
        content = ask(f"/{now['id']}/resolve/{revision}/{file.path}", follow=True).content
        assert is_right(file, content)
        return content

    then, since = weights(first), weights("main")
    assert len(then) == len(since) and then != since
    reading = ask(f"/{now['id']}/resolve/{first}/config.json", method="HEAD", follow=True)
    assert reading.headers["X-Repo-Commit"] == first


# -- Downloads ------------------------------------------------------------------------------------


def test_a_large_file_is_downloaded_at_its_commit(api, sharded, large, tmp_path):
    assert is_right(large, download(api, sharded, large.path, tmp_path))


@pytest.mark.parametrize("path", [EMPTY, WIDE_NAME, SIGNS_NAME])
def test_files_of_any_name_are_downloaded(api, day, tmp_path, path):
    repository = holding(day, "model", path)
    tree = api.list_repo_tree(repository["id"], recursive=True)
    file = next(entry for entry in tree if entry.path == path)
    content = download(api, repository, path, tmp_path)
    assert is_right(file, content) and bool(content) == (path != EMPTY)
    assert (tmp_path / path).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_repository_is_downloaded_and_every_file_is_right(api, day, tmp_path, kind):
    repository = holding(day, kind, EMPTY, README)
    revision = repository["sha"]
    api.snapshot_download(repository["id"], repo_type=kind, revision=revision, local_dir=tmp_path)
    tree = api.list_repo_tree(repository["id"], repo_type=kind, revision=revision, recursive=True)
    files = [entry for entry in tree if isinstance(entry, RepoFile)]
    assert all(is_right(file, (tmp_path / file.path).read_bytes()) for file in files)
    readme = (tmp_path / README).read_bytes()
    assert readme == day.readme(kind, repository["id"])


def test_shards_are_those_that_their_index_names(api, sharded, tmp_path):
    index = json.loads(download(api, sharded, "model.safetensors.index.json", tmp_path))
    shards = sorted(set(index["weight_map"].values()))
    assert shards == list(SHARDS)
    sizes = [len(download(api, sharded, shard, tmp_path)) for shard in shards]
    assert index["metadata"]["total_size"] == sum(sizes)


def test_a_cache_keeps_a_file_by_its_hash(api, sharded, large, tmp_path):
    place = api.hf_hub_download(
        sharded["id"], large.path, revision=sharded["sha"], cache_dir=tmp_path
    )
    assert os.path.basename(os.path.realpath(place)) == large.lfs.sha256


def test_a_large_file_is_sent_from_any_byte_on_and_never_compressed(ask, sharded, large):
    first = ask(f"/{sharded['id']}/resolve/{sharded['sha']}/{large.path}")
    stored = first.headers["Location"]
    whole = ask(stored)
    assert int(whole.headers["Content-Length"]) == large.size == len(whole.content)
    assert "Content-Encoding" not in whole.headers
    assert whole.headers["X-Repo-Commit"] == sharded["sha"]
    rest = ask(stored, headers={"Range": f"bytes={large.size - 10}-"})
    assert (rest.status_code, rest.content) == (206, whole.content[-10:])
    beyond = ask(stored, headers={"Range": f"bytes={large.size}-"})
    assert beyond.status_code == 416
    other = stored.replace(large.lfs.sha256, "0" * 64)
    assert ask(other).status_code == 404


# -- Faults ---------------------------------------------------------------------------------------


def test_a_download_that_is_cut_goes_on_where_it_broke_off(
    api, server, faults, sharded, large, tmp_path, monkeypatch
):
    # The client forgets what it has of the chunk in which the connection breaks.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000)
    faults.add("/lfs/", kinds.cut_connection(), times=1, method="GET")
    lines = server.log_requests()
    assert is_right(large, download(api, sharded, large.path, tmp_path))
    gets = [line.status for line in lines if "/lfs/" in line.path and line.method == "GET"]
    assert gets == [200, 206]


def test_a_corrupt_file_has_the_right_length_and_another_hash(
    api, faults, sharded, large, tmp_path
):
    faults.add("/lfs/", kinds.corrupt_content(), times=1, method="GET")
    spoilt = download(api, sharded, large.path, tmp_path)
    assert len(spoilt) == large.size and not is_right(large, spoilt)
    right = download(api, sharded, large.path, tmp_path, force_download=True)
    assert is_right(large, right)


def test_a_part_of_a_file_can_be_corrupt_too(ask, faults, sharded, large):
    path = f"/{sharded['id']}/resolve/main/{large.path}"
    part = {"Range": "bytes=100-299"}
    right = ask(path, headers=part, follow=True)
    faults.add("/lfs/", kinds.corrupt_content())
    spoilt = ask(path, headers=part, follow=True)
    assert (spoilt.status_code, len(spoilt.content)) == (206, 200)
    assert spoilt.content != right.content


def test_a_short_file_is_a_complete_answer_that_the_client_refuses(
    api, faults, sharded, large, tmp_path
):
    faults.add("/lfs/", kinds.short_content(), times=1, method="GET")
    with pytest.raises(OSError, match="Consistency check failed"):
        download(api, sharded, large.path, tmp_path)
    assert is_right(large, download(api, sharded, large.path, tmp_path))


@pytest.mark.parametrize("path", ["/lfs/", "/resolve/"])
def test_a_wrong_size_in_the_headers_makes_the_client_refuse_the_file(
    ask, api, faults, sharded, large, tmp_path, path
):
    faults.add(path, kinds.wrong_size(7), method="HEAD")
    if path == "/resolve/":  # the client asks the last answer: this header is for others
        head = ask(f"/{sharded['id']}/resolve/main/{large.path}", method="HEAD")
        assert int(head.headers["X-Linked-Size"]) == large.size + 7
        assert is_right(large, download(api, sharded, large.path, tmp_path))
    else:
        with pytest.raises(OSError, match="Consistency check failed"):
            download(api, sharded, large.path, tmp_path)
    assert faults.met > 0


def test_a_fault_can_be_kept_to_one_method(ask, faults):
    faults.add("/api/tasks", kinds.error(500), method="HEAD", times=1)
    assert ask("/api/tasks").status_code == 200
    assert ask("/api/tasks", method="HEAD").status_code == 500
    assert ask("/api/tasks", method="HEAD").status_code == 200


def test_a_missing_file_and_a_refused_one_fail_as_the_client_expects(
    api, sharded, gated_model, tmp_path
):
    with pytest.raises(RemoteEntryNotFoundError):
        download(api, sharded, "nothing.bin", tmp_path)
    with pytest.raises(HfHubHTTPError, match="restricted"):
        download(api, gated_model, ".gitattributes", tmp_path)


# -- Beside the world -----------------------------------------------------------------------------


def test_the_bulk_repositories_keep_trees_of_their_own(api):
    tree = list(api.list_repo_tree("cfahlgren1/hub-stats", repo_type="dataset"))
    assert "models.parquet" in {entry.path for entry in tree}


def test_a_models_record_tells_the_configuration_that_its_file_holds(ask, day, api):
    told = [
        row for row in ask.walk("/api/models", expand=["config", "siblings"]) if "config" in row
    ]
    by_class = {name: row for row in told for name in row["config"]}
    assert {"architectures", "peft", "diffusers"} <= by_class.keys()
    row = holding(day, "model", "config.json")
    record = ask(f"/api/models/{row['id']}").json()
    file = ask(f"/{row['id']}/resolve/main/config.json", follow=True).json()
    assert record["config"] == {name: file[name] for name in ("architectures", "model_type")}
    assert all(
        ("config.json" in {file["rfilename"] for file in row["siblings"]})
        == ("model_type" in row["config"])
        for row in told
    )
