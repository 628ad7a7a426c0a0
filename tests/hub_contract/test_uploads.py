"""Uploads to the sample Hub: who may write, what is checked, what stays the world's."""

import hashlib

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

TOKEN = "hf_valid"
"""A token that the server of these tests takes."""

WRITES = [
    ("POST", "/api/repos/create"),
    ("POST", "/api/datasets/acme/graph/preupload/main"),
    ("POST", "/datasets/acme/graph.git/info/lfs/objects/batch"),
    ("POST", "/api/datasets/acme/graph/commit/main"),
    ("POST", "/api/datasets/acme/graph/tag/main"),
    ("DELETE", "/api/datasets/acme/graph/tag/v1"),
]


@pytest.fixture(autouse=True)
def no_xet(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def writer(server):
    return HfApi(endpoint=server.url, token=TOKEN)


@pytest.fixture
def repository(writer, request):
    name = hashlib.sha1(request.node.name.encode()).hexdigest()[:12]
    return writer.create_repo(f"acme/{name}", repo_type="dataset").repo_id


def commit(writer, repository, *operations, **options):
    return writer.create_commit(
        repository, operations, commit_message="x", repo_type="dataset", **options
    )


def read(ask, server, repository, path, revision="main"):
    answer = ask(
        f"{server.url}/datasets/{repository}/resolve/{revision}/{path}", token=TOKEN, follow=True
    )
    return answer.content if answer.status_code == 200 else answer.headers.get("X-Error-Code")


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_only_a_valid_token_may_write(ask, server, method, path, token):
    assert ask(server.url + path, method=method, token=token).status_code == 401


@pytest.mark.parametrize(("method", "path"), WRITES[1:])
def test_writing_to_what_was_not_created_is_a_404(ask, server, method, path):
    assert ask(server.url + path, method=method, token=TOKEN).status_code == 404


def test_the_worlds_repositories_cannot_be_written_to(writer, ask, server, open_model):
    with pytest.raises(RepositoryNotFoundError):
        writer.upload_file(
            path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=open_model["id"], token=TOKEN
        )
    info = ask(f"/api/models/{open_model['id']}").json()
    assert info["sha"] == open_model["sha"]


def test_small_files_go_into_the_commit_and_large_ones_to_their_own_address(
    writer, repository, ask, server
):
    content = {"a.txt": b"small", "d/b.parquet": b"PAR1" * 1_000}
    lines = server.log_requests()
    commit(writer, repository, *(CommitOperationAdd(p, c) for p, c in content.items()))
    assert [line.status for line in lines if line.method == "PUT"] == [200]
    assert {p: read(ask, server, repository, p) for p in content} == content
    found = {f.path: f for f in writer.list_repo_tree(repository, repo_type="dataset")}
    assert found["d/b.parquet"].lfs.sha256 == hashlib.sha256(content["d/b.parquet"]).hexdigest()
    assert found["a.txt"].size == 5


def test_bytes_that_are_not_those_announced_are_refused(writer, repository, ask, server):
    oid = hashlib.sha256(b"right").hexdigest()
    batch = f"{server.url}/datasets/{repository}.git/info/lfs/objects/batch"
    post = ask._session.post
    offer = post(
        batch,
        json={"objects": [{"oid": oid, "size": 5}]},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    ).json()["objects"][0]
    address = offer["actions"]["upload"]["href"]
    assert ask._session.put(address, data=b"wrong", timeout=20).status_code == 400
    line = (
        b'{"key":"lfsFile","value":{"path":"a.parquet","algo":"sha256","oid":"%s"}}' % oid.encode()
    )
    refused = post(
        f"{server.url}/api/datasets/{repository}/commit/main",
        data=b'{"key":"header","value":{"summary":"x"}}\n' + line,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    )
    assert refused.status_code == 400
    assert ask._session.put(address, data=b"right", timeout=20).status_code == 200
    assert ask._session.put(address, data=b"right", timeout=20).status_code == 403  # used up


def test_a_deleted_file_is_gone_from_main_and_still_there_under_its_tag(
    writer, repository, ask, server
):
    commit(writer, repository, CommitOperationAdd("d/a.txt", b"1"), CommitOperationAdd("b", b"2"))
    writer.create_tag(repository, tag="v1", repo_type="dataset")
    commit(writer, repository, CommitOperationDelete("d/"), CommitOperationDelete("b"))
    assert read(ask, server, repository, "d/a.txt") == "EntryNotFound"
    assert read(ask, server, repository, "b") == "EntryNotFound"
    assert read(ask, server, repository, "d/a.txt", "v1") == b"1"
    assert read(ask, server, repository, "b", "v2") == "RevisionNotFound"


def test_a_commit_on_a_parent_that_is_no_longer_the_head_is_refused(writer, repository):
    first = commit(writer, repository, CommitOperationAdd("a", b"1"))
    commit(writer, repository, CommitOperationAdd("a", b"2"), parent_commit=first.oid)
    with pytest.raises(HfHubHTTPError) as error:
        commit(writer, repository, CommitOperationAdd("a", b"3"), parent_commit=first.oid)
    assert error.value.response.status_code == 412


def test_a_name_that_is_taken_is_a_409_for_repositories_and_tags(writer, repository):
    with pytest.raises(HfHubHTTPError) as error:
        writer.create_repo(repository, repo_type="dataset")
    assert error.value.response.status_code == 409
    assert writer.create_repo(repository, repo_type="dataset", exist_ok=True).repo_id == repository
    writer.create_tag(repository, tag="v1", repo_type="dataset")
    with pytest.raises(HfHubHTTPError) as error:
        writer.create_tag(repository, tag="v1", repo_type="dataset")
    assert error.value.response.status_code == 409
    writer.delete_tag(repository, tag="v1", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        writer.delete_tag(repository, tag="v1", repo_type="dataset")


def test_a_bare_name_is_in_the_tokens_own_account(writer):
    made = writer.create_repo("graph", repo_type="dataset")
    assert made.repo_id == f"{writer.whoami()['name']}/graph"


def test_a_card_whose_front_matter_cannot_be_read_is_refused_before_anything_is_sent(
    writer, repository, server
):
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        commit(writer, repository, CommitOperationAdd("README.md", b"---\na: [\n---\n"))
    assert writer.list_repo_files(repository, repo_type="dataset") == []


def test_the_world_answers_as_before_where_nothing_was_uploaded(ask, open_model, server):
    path = f"/api/models/{open_model['id']}"
    assert ask(path).json()["id"] == open_model["id"]
    assert ask(f"{server.url}/api/datasets/acme/no-such").status_code == 401


def test_uploads_are_seen_under_every_date(writer, repository, ask):
    commit(writer, repository, CommitOperationAdd("a", b"1"))
    assert ask(f"/datasets/{repository}/resolve/main/a").content == b"1"
