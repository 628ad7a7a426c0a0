"""READMEs and other files: two hops, ranges, conditional requests, compression (line 11)."""

import hashlib

import pytest

from hfkg_resources.sample_hub.repository_files import parse_range
from hfkg_resources.sample_hub.server import create_app, serve


@pytest.fixture(scope="module")
def readme(day, open_model):
    return day.readme("model", open_model["id"])


@pytest.fixture(scope="module")
def pinned(open_model):
    return f"/api/resolve-cache/models/{open_model['id']}/{open_model['sha']}/README.md"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_readme_is_two_hops_away_and_names_commit_and_git_id(
    ask, server, open_model, readme, method
):
    first = ask(f"/{open_model['id']}/resolve/main/README.md", method=method)
    assert first.status_code == 307
    assert first.headers["X-Repo-Commit"] == open_model["sha"]
    location = first.headers["Location"]
    assert location.startswith("/") and f"/{open_model['sha']}/README.md?%2F" in location
    oid = hashlib.sha1(b"blob %d\0" % len(readme) + readme).hexdigest()
    assert location.endswith(f"&etag=%22{oid}%22")
    second = ask(server.url + location, method=method)
    assert second.status_code == 200
    assert second.headers["ETag"] == f'"{oid}"'
    assert second.headers["X-Repo-Commit"] == open_model["sha"]
    assert second.headers["Accept-Ranges"] == "bytes"
    assert second.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert second.content == (readme if method == "GET" else b"")


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_readmes_of_datasets_and_spaces_are_served(ask, day, kind):
    frame = getattr(day, f"{kind}s")
    row = next(
        row
        for row in frame.iter_rows(named=True)
        if "README.md" in row["siblings"]
        and not row["disabled"]
        and row.get("gated", "false") == "false"
    )
    answer = ask(f"/{kind}s/{row['id']}/resolve/main/README.md", follow=True)
    assert answer.content == day.readme(kind, row["id"])


def test_the_pinned_address_without_etag_gives_the_file_in_one_request(ask, pinned, readme):
    answer = ask(pinned)
    assert (answer.status_code, answer.content) == (200, readme)


def test_the_pinned_address_can_be_made_to_need_its_etag(world, day, ask, open_model, pinned):
    app = create_app(world, today=day.day, pinned_readme=False)
    with serve(app) as strict:
        assert ask(strict.url + pinned).status_code == 400
        long_way = f"{strict.url}/{open_model['id']}/resolve/main/README.md"
        assert ask(long_way, follow=True).status_code == 200


def test_an_old_commit_is_an_unknown_revision(ask, open_model):
    answer = ask(f"/api/resolve-cache/models/{open_model['id']}/{'0' * 40}/README.md")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")


def test_a_range_gives_206_and_one_beyond_the_end_416(ask, pinned, readme):
    answer = ask(pinned, headers={"Range": "bytes=2-5", "Accept-Encoding": "identity"})
    assert (answer.status_code, answer.content) == (206, readme[2:6])
    assert answer.headers["Content-Range"] == f"bytes 2-5/{len(readme)}"
    answer = ask(pinned, headers={"Range": f"bytes={len(readme)}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(readme)}"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-65535", (0, 10)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=10-", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("lines=1-2", None),
    ],
)
def test_ranges_are_read_as_http_defines_them(text, span):
    assert parse_range(text, 10) == span


def test_an_unchanged_file_is_a_304(ask, pinned):
    etag = ask(pinned).headers["ETag"]
    answer = ask(pinned, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert ask(pinned, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["pinned", "listing"])
def test_only_an_identity_answer_has_a_content_length(ask, pinned, readme, path):
    path = pinned if path == "pinned" else "/api/models"
    plain = ask(path, headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["Content-Length"]) == len(plain.content)
    assert "Content-Encoding" not in plain.headers
    packed = ask(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in packed.headers
    assert packed.content == plain.content


def test_a_missing_readme_is_an_entry_that_is_not_found(ask, day):
    row = next(
        row
        for row in day.models.iter_rows(named=True)
        if "README.md" not in row["siblings"] and row["gated"] == "false" and not row["disabled"]
    )
    answer = ask(f"/api/resolve-cache/models/{row['id']}/{row['sha']}/README.md")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert answer.headers["X-Repo-Commit"] == row["sha"]


def test_a_large_file_is_a_302_to_an_absolute_url_with_its_size(ask, day):
    repo_id, path = next(
        (row["id"], name)
        for row in day.models.iter_rows(named=True)
        for name in row["siblings"]
        if name.endswith((".safetensors", ".bin", ".gguf"))
        and not row["disabled"]
        and row["gated"] == "false"
    )
    answer = ask(f"/{repo_id}/resolve/main/{path}")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("http://")
    content = ask(answer.headers["Location"]).content
    assert len(content) == int(answer.headers["X-Linked-Size"]) > 0
    assert answer.headers["X-Linked-ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
