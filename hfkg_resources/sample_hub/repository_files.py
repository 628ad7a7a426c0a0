"""Files of the sample Hub's repositories: `/resolve/`, `/api/resolve-cache/` and large files.

Belongs here: how a file is found and sent. Does not: what a README says (`cards`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from hfkg_resources.sample_hub.answers import HubError, Moved
from hfkg_resources.sample_hub.day_index import DayIndex

RESOLVE = re.compile(r"(?:(datasets|spaces)/)?(.+?)/resolve/([^/]+)/(.+)")
RESOLVE_CACHE = re.compile(r"(models|datasets|spaces)/(.+?)/([0-9a-f]{40})/(.+)")
LARGE = (".safetensors", ".bin", ".gguf", ".onnx", ".pt", ".pth", ".h5", ".parquet", ".zip", ".tar")
"""Endings of files that the Hub keeps in LFS."""


@dataclass(frozen=True)
class File:
    """A file of a repository at its present commit."""

    kind: str
    repo_id: str
    sha: str
    path: str

    def content(self, index: DayIndex) -> bytes:
        """The bytes: the README as of the day; of other files a line that names them."""
        if self.path == "README.md":
            return index.world.readme(self.kind, self.repo_id)
        return f"{self.repo_id} {self.path}\n".encode()

    @property
    def is_large(self) -> bool:
        """Whether the Hub would keep it in LFS."""
        return self.path.endswith(LARGE)


def git_oid(content: bytes) -> str:
    """The id of a blob in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def find_file(
    index: DayIndex, repository: dict[str, Any], kind: str, revision: str, path: str, token: bool
) -> File:
    """The file, if the caller may read it.

    Raises:
        HubError: 401 or 403 gated, 403 disabled, 404 unknown revision or file.
    """
    repo_id, sha = repository["id"], repository["sha"]
    if repository["disabled"]:
        raise HubError(403, "Access to this resource is disabled.")
    if repository.get("gated", "false") != "false":
        raise _gated(kind, repo_id, token)
    if revision not in ("main", sha):
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    if path not in repository["siblings"]:
        raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": sha})
    return File(kind, repo_id, sha, path)


def _gated(kind: str, repo_id: str, token: bool) -> HubError:
    text = f"Access to {kind} {repo_id} is restricted"
    if token:
        text += " and you are not in the authorized list. Visit the repository to ask for access."
        return HubError(403, text, "GatedRepo")
    text += ". You must have access to it and be authenticated to access it. Please log in."
    return HubError(401, text, "GatedRepo")


def redirect_to_content(index: DayIndex, file: File, request: Request) -> Response:
    """First hop: 307 to the pinned address, or 302 to the store of large files."""
    content = file.content(index)
    headers = {"X-Repo-Commit": file.sha, "Accept-Ranges": "bytes", "Vary": "Origin, Accept"}
    if file.is_large:
        oid = hashlib.sha256(content).hexdigest()
        base = f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}"
        headers |= {
            "Location": f"{base}/lfs/{file.kind}s/{quote(file.repo_id)}/{oid}/{quote(file.path)}",
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{oid}"',
        }
        return Response(status_code=302, headers=headers)
    original = quote(request.url.path.removeprefix(request.scope["root_path"]), safe="")
    pinned = f"/api/resolve-cache/{file.kind}s/{quote(file.repo_id)}/{file.sha}/{quote(file.path)}"
    headers["Location"] = (
        f"{request.scope['root_path']}{pinned}?{original}=&etag=%22{git_oid(content)}%22"
    )
    return Response(status_code=307, headers=headers)


def send_content(content: bytes, sha: str | None, etag: str, request: Request) -> Response:
    """The bytes, or what `Range` and `If-None-Match` ask for."""
    headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
    if sha:
        headers["X-Repo-Commit"] = sha
    known = request.headers.get("if-none-match", "")
    if f'"{etag}"' in known or known == "*":
        return Response(status_code=304, headers=headers)
    kind = "text/plain; charset=utf-8" if sha else "application/octet-stream"
    asked = request.headers.get("range")
    if asked is None:
        return Response(content, 200, headers, media_type=kind)
    span = parse_range(asked, len(content))
    if span is None:
        headers["Content-Range"] = f"bytes */{len(content)}"
        raise HubError(416, "Range Not Satisfiable", headers=headers)
    start, stop = span
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return Response(content[start:stop], 206, headers, media_type=kind)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Start and end of a single `Range` within `size` bytes, or None where there is none."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else None


def moved_file(kind: str, repo_id: str, rest: str, cached: bool) -> Moved:
    """The redirect to a renamed repository's file; `rest` follows the id in the path."""
    area = f"/api/resolve-cache/{kind}s" if cached else {"model": ""}.get(kind, f"/{kind}s")
    return Moved(f"{area}/{repo_id}/{rest}")
