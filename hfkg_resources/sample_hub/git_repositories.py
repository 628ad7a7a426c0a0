"""The sample Hub's repositories for `git clone`: over the protocol that needs a file server only.

Belongs here: making a bare repository with the `git` command, one commit per revision, and finding
its files. Does not: what the commits hold (`contents`), who may read them (`repository_files`).

Large files are there as their LFS pointers. Commits have the ids that git gives them, not those
that the API tells: these are drawn, and no content has a given id.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from hfkg_resources.sample_hub import contents
from hfkg_resources.sample_hub.answers import HubError
from hfkg_resources.sample_hub.contents import Facts
from hfkg_resources.sample_hub.repository_files import Commit

CLONED = re.compile(r"(?:(datasets|spaces)/)?(.+?)(?:\.git)?/(HEAD|info/refs|objects/[\w./-]+)")
"""Paths that git asks for when it clones: kind, id, and the file in the bare repository."""
_COMMITTER = b"Sample User <sample-user@users.noreply.huggingface.co>"


class GitRepositories:
    """Bare repositories in a temporary folder, each made when it is first cloned.

    The folder goes when the object does. Takes calls from any thread.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sample-hub-git-")
        self._lock = threading.Lock()

    def file(self, commit: Commit, path: str) -> bytes:
        """A file of the bare repository whose branch `main` ends with a commit.

        Raises:
            HubError: 404, there is no such file; 501, there is no git.
        """
        facts = commit.facts
        place = Path(self._folder.name, f"{commit.kind}-{facts['key']}-{facts['revision']}")
        with self._lock:
            if not place.exists():
                _make(place, commit.kind, facts)
        file = place / path
        if ".." in path or not file.is_file():
            raise HubError(404, "Entry not found", "EntryNotFound")
        return file.read_bytes()


def _make(place: Path, kind: str, facts: Facts) -> None:
    git = shutil.which("git")
    if git is None:
        raise HubError(501, "The sample Hub has no git to make repositories for cloning with")
    half_made = place.with_suffix(".new")
    shutil.rmtree(half_made, ignore_errors=True)

    def run(*arguments: str, stdin: bytes = b"") -> None:
        # Neither the user's settings nor a repository around this one may have a say.
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": os.devnull}
        subprocess.run(
            [git, *arguments], input=stdin, env=environment, check=True, capture_output=True
        )

    run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(half_made))
    inside = ("--git-dir", str(half_made))
    history = b"".join(_history(kind, facts))
    run(*inside, "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", stdin=history)
    run(*inside, "update-server-info")
    half_made.rename(place)


def _history(kind: str, facts: Facts) -> Iterator[bytes]:
    """All revisions up to the present one, in the language of `git fast-import`."""
    before: dict[str, contents.Blob] = {}
    for revision in range(facts["revision"] + 1):
        then = {**facts, "revision": revision}
        moment = int(contents.committed_at(facts, revision).timestamp())
        title = contents.commit_title(revision).encode()
        yield b"commit refs/heads/main\ncommitter %s %d +0000\n" % (_COMMITTER, moment)
        yield b"data %d\n%s\n" % (len(title), title)
        for path in facts["siblings"]:
            blob = contents.blob(kind, then, path)
            if before.get(path) != blob:
                text = contents.content(kind, then, path)
                stored = contents.pointer(text) if blob.sha256 else text
                yield b"M 100644 inline %s\ndata %d\n" % (path.encode(), len(stored))
                yield stored + b"\n"
            before[path] = blob
