"""Files of the sample Hub's repositories: listing trees, `/resolve/`, `/api/resolve-cache/`, LFS.

Belongs here: how a commit and its files are found, listed and sent. Does not: which files there are
(`file_names`), what they hold (`contents`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from hfkg_resources.sample_hub import contents
from hfkg_resources.sample_hub.answers import HubError
from hfkg_resources.sample_hub.contents import Blob, Facts, git_oid
from hfkg_resources.sample_hub.day_index import DayIndex
from hfkg_resources.sample_hub.records import instant
from hfkg_resources.sample_hub.world import commit_ids

RESOLVE = re.compile(r"(?:(datasets|spaces)/)?(.+?)/resolve/([^/]+)/(.+)")
RESOLVE_CACHE = re.compile(r"(models|datasets|spaces)/(.+?)/([0-9a-f]{40})/(.+)")
LARGE_FILE = re.compile(r"(models|datasets|spaces)/(.+?)/([0-9a-f]{64})/(.+)")

Record = dict[str, Any]


# -- Commits --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Commit:
    """A commit of a repository and what its files are written from."""

    kind: str
    repo_id: str
    sha: str
    facts: Facts = field(repr=False)

    def blobs(self) -> dict[str, Blob]:
        """All files by path."""
        return {path: contents.blob(self.kind, self.facts, path) for path in self.facts["siblings"]}

    def siblings(self) -> list[Record]:
        """All files as a repository's record shows them if asked for blobs."""
        return [_sibling(path, blob) for path, blob in self.blobs().items()]

    def last_commit(self, path: str) -> Record:
        """The commit that last changed a file, or anything in a folder."""
        below = (file for file in self.facts["siblings"] if f"{file}/".startswith(f"{path}/"))
        revision = max(contents.changed_at(self.facts, file) for file in below)
        return {
            "id": commit_ids(self.facts["key"], revision)[-1],
            "title": contents.commit_title(revision),
            "date": instant(contents.committed_at(self.facts, revision)),
        }

    def tree(self, folder: str, recursive: bool) -> list[Record]:
        """Folders and files in a folder, folders first.

        Raises:
            HubError: 404, there is no such folder.
        """
        blobs = self.blobs()
        folders = folder_oids({path: blob.oid for path, blob in blobs.items()})
        if folder not in folders:
            raise HubError(404, f"{folder} does not exist", "EntryNotFound")
        del folders[""]
        entries = [
            *({"type": "directory", "oid": folders[path], "size": 0, "path": path}
              for path in sorted(folders)),
            *(tree_entry(path, blob) for path, blob in blobs.items()),
        ]  # fmt: skip
        start = f"{folder}/" if folder else ""
        return [
            entry
            for entry in entries
            if entry["path"].startswith(start)
            and (recursive or "/" not in entry["path"].removeprefix(start))
        ]


def find_commit(index: DayIndex, repository: Record, kind: str, revision: str) -> Commit:
    """The commit that `main` or an id names; earlier ones stay as long as their repository.

    Raises:
        HubError: 404, there is none.
    """
    repo_id = repository["id"]
    sha = repository["sha"] if revision == "main" else revision
    facts = index.world.file_facts(kind, repo_id, None if sha == repository["sha"] else sha)
    if facts is None:
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return Commit(kind, repo_id, sha, facts)


def _sibling(path: str, blob: Blob) -> Record:
    record: Record = {"rfilename": path, "size": blob.size, "blobId": blob.oid}
    if blob.sha256:
        large = {"sha256": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
        record["lfs"] = large
    return record


def tree_entry(path: str, blob: Blob) -> Record:
    """A file as trees list it."""
    entry: Record = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
    if blob.sha256:
        large = {"oid": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
        entry["lfs"] = large
    return entry


def folder_oids(blobs: Mapping[str, str]) -> dict[str, str]:
    """The ids in git of all folders, the root's under the empty path.

    Args:
        blobs: ids of the files by path.
    """
    oids: dict[str, str] = {}
    inside: dict[str, dict[str, tuple[str, str]]] = {"": {}}
    for path, oid in blobs.items():
        for folder in _above(path):
            inside.setdefault(folder, {})
        folder, _, name = path.rpartition("/")
        inside[folder][name] = ("100644", oid)
    for folder in sorted(inside, key=lambda path: -len(path)):
        # Git sorts folders as if their names ended in a slash.
        names = sorted(inside[folder], key=lambda name: _sorted_as(name, *inside[folder][name]))
        listing = b"".join(
            f"{mode} {name}\0".encode() + bytes.fromhex(oid)
            for name in names
            for mode, oid in [inside[folder][name]]
        )
        oids[folder] = git_oid(listing, "tree")
        if folder:
            above, _, name = folder.rpartition("/")
            inside[above][name] = ("40000", oids[folder])
    return oids


def _above(path: str) -> Iterator[str]:
    """The folders that a file lies in, the root left out."""
    while path := path.rpartition("/")[0]:
        yield path


def _sorted_as(name: str, mode: str, oid: str) -> bytes:
    return (f"{name}/" if mode == "40000" else name).encode()


# -- Files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A file of a repository at a commit."""

    kind: str
    repo_id: str
    sha: str
    path: str
    content: bytes = field(repr=False)

    @property
    def blob(self) -> Blob:
        """Its ids."""
        return Blob.of(self.content, contents.is_large(self.path))


def find_file(
    index: DayIndex, repository: Record, kind: str, revision: str, path: str, token: bool
) -> File:
    """The file, if the caller may read it.

    Raises:
        HubError: 401 or 403 gated, 403 disabled, 404 unknown revision or file.
    """
    refuse_unreadable(repository, kind, token)
    commit = find_commit(index, repository, kind, revision)
    if path not in commit.facts["siblings"]:
        raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.sha})
    content = contents.content(kind, commit.facts, path)
    return File(kind, commit.repo_id, commit.sha, path, content)


def refuse_disabled(repository: Record) -> None:
    """Lets nobody see the files of a disabled repository.

    Raises:
        HubError: 403, it is one.
    """
    if repository["disabled"]:
        raise HubError(403, "Access to this resource is disabled.")


def refuse_unreadable(repository: Record, kind: str, token: bool) -> None:
    """Lets nobody read the files of a repository that is disabled or gated.

    Raises:
        HubError: 403 disabled, 401 or 403 gated.
    """
    refuse_disabled(repository)
    if repository.get("gated", "false") != "false":
        raise _gated(kind, repository["id"], token)


def _gated(kind: str, repo_id: str, token: bool) -> HubError:
    text = f"Access to {kind} {repo_id} is restricted"
    if token:
        text += " and you are not in the authorized list. Visit the repository to ask for access."
        return HubError(403, text, "GatedRepo")
    text += ". You must have access to it and be authenticated to access it. Please log in."
    return HubError(401, text, "GatedRepo")


def redirect_to_content(file: File, request: Request) -> Response:
    """First hop: 307 to the pinned address, or 302 to the store of large files."""
    blob, root = file.blob, request.scope["root_path"]
    headers = {"X-Repo-Commit": file.sha, "Accept-Ranges": "bytes", "Vary": "Origin, Accept"}
    place = f"{file.kind}s/{quote(file.repo_id)}"
    if blob.sha256:
        base = f"{request.url.scheme}://{request.url.netloc}{root}"
        stored = f"{base}/lfs/{place}/{blob.sha256}/{quote(file.path)}"
        headers |= {
            # The Hub's store is another host; to this one huggingface_hub follows the redirect and
            # asks the last answer for the commit.
            "Location": f"{stored}?commit={file.sha}",
            "X-Linked-Size": str(blob.size),
            "X-Linked-ETag": f'"{blob.sha256}"',
        }
        return Response(status_code=302, headers=headers)
    original = quote(request.scope["path"].removeprefix(root), safe="")
    pinned = f"{root}/api/resolve-cache/{place}/{file.sha}/{quote(file.path)}"
    headers["Location"] = f"{pinned}?{original}=&etag=%22{blob.oid}%22"
    return Response(status_code=307, headers=headers)


def send_content(
    content: bytes, sha: str, etag: str, request: Request, *, is_large: bool = False
) -> Response:
    """The bytes, or what `Range` and `If-None-Match` ask for."""
    headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", "X-Repo-Commit": sha}
    known = request.headers.get("if-none-match", "")
    if f'"{etag}"' in known or known == "*":
        return Response(status_code=304, headers=headers)
    kind = "application/octet-stream" if is_large else "text/plain; charset=utf-8"
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
