"""Files of dataset repositories that describe the Hub: which revision a day has, and its files.

Belongs here: choosing a commit by date, downloading its files so that a cut download goes on, and
what an interrupted crawl goes on with. Does not: what the files hold (`hfkg_assets.hub.bulk`).
"""

import hashlib
import itertools
import logging
import random
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.crawl_journal import PROGRESS_S
from hfkg_resources.errors import GaveUp, HubError, MalformedAnswer, NotFound, refusal
from hfkg_resources.hub_client import TRANSIENT, HubClient
from hfkg_resources.record_table import UNREADABLE

BULK = ".bulk"
"""Folder of a snapshot's bulk files, beside the journals of its crawl."""

PINS = "pins.json"
_OF_TODAY = "begun on its own day"

COMMITS_PAGE = 1_000
ATTEMPTS = 6

OLD_DAYS = 2
"""A revision that is older than the snapshot by more than this is worth a warning."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


class NoRevision(Exception):
    """A repository has no commit up to the wanted day."""


@dataclass(frozen=True)
class Revision:
    """A commit of a dataset repository.

    Attributes:
        repo_id: the repository.
        sha: the commit.
        committed_at: its moment (UTC).
    """

    repo_id: str
    sha: str
    committed_at: datetime

    def __str__(self) -> str:
        return f"datasets/{self.repo_id}@{self.sha}"


@dataclass(frozen=True)
class RemoteFile:
    """A large file of a revision.

    Attributes:
        revision: the commit.
        path: its path in the repository.
        size: bytes.
        sha256: of its bytes.
    """

    revision: Revision
    path: str
    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.revision}/{self.path}"


class BulkFiles:
    """The files that a snapshot is made of. May be shared by threads.

    Revisions are chosen once per snapshot and written down, so that an interrupted crawl goes on
    with the same ones though newer have come meanwhile. Files lie under their digest.

    Args:
        client: the Hub's client.
        token: sent to the Hub for the files; None is anonymous.
        day: the snapshot date.
        folder: where files and choices are kept.
        backoff_s: the first wait between attempts of a download is drawn from [0, this].
    """

    def __init__(
        self,
        client: HubClient,
        token: str | None,
        day: str,
        folder: Path,
        *,
        backoff_s: float = 1.0,
    ) -> None:
        self._client = client
        self._token = token
        self._day = date.fromisoformat(day)
        self._folder = folder
        self._backoff_s = backoff_s
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._choosing = threading.Lock()
        self._trees: dict[Revision, list[RemoteFile]] = {}

    def revision(self, repo_id: str) -> Revision:
        """The newest commit of a repository up to the end of the day (UTC).

        Raises:
            NoRevision: there is none.
            HubError: the Hub does not tell.
        """
        with self._choosing:
            pin = self._pins().get(repo_id)
            if pin is None:
                found = self._newest(repo_id)
                pin = {"sha": found.sha, "committed_at": found.committed_at.isoformat()}
                self._pin(repo_id, pin)
                log.info("%s of %s", found, found.committed_at)
        chosen = Revision(repo_id, pin["sha"], datetime.fromisoformat(pin["committed_at"]))
        lag = self._day - chosen.committed_at.date()
        if lag > timedelta(days=OLD_DAYS):
            log.warning("%s is %d days older than the snapshot", chosen, lag.days)
        return chosen

    def files(self, repo_id: str, pattern: str) -> list[RemoteFile]:
        """The large files of the day's revision whose whole path matches, sorted by path.

        Raises:
            NotFound: none does.
            NoRevision, HubError: as for `revision`.
        """
        revision = self.revision(repo_id)
        with self._choosing:
            if revision not in self._trees:
                self._trees[revision] = self._tree(revision)
            tree = self._trees[revision]
        found = [file for file in tree if re.fullmatch(pattern, file.path)]
        if not found:
            raise NotFound(f"no file like {pattern}", url=f"{self._client.endpoint}/{revision}")
        return found

    def fetch(self, file: RemoteFile) -> tuple[Path, int]:
        """The file on disk, downloaded unless it is there, and the requests that this took.

        Raises:
            HubError: it cannot be had; what was downloaded of it is kept, and gone on with.
            OSError: the disk is full.
        """
        place = self._folder / f"{file.sha256}{Path(file.path).suffix}"
        with self._choosing:
            lock = self._locks[file.sha256]
        with lock:
            if place.is_file():
                return place, 0
            self._folder.mkdir(parents=True, exist_ok=True)
            return place, self._download(file, place)

    def is_of_today(self, is_today: bool, *, has_begun: bool) -> bool:
        """Whether the snapshot was begun on its own day; one that was is so gone on with.

        Args:
            is_today: whether this is the day.
            has_begun: whether an interrupted crawl is gone on with.
        """
        with self._choosing:
            known = self._pins().get(_OF_TODAY) if has_begun else None
            if known is None:
                self._pin(_OF_TODAY, known := is_today)
        return bool(known)

    # -- the Hub's answers ------------------------------------------------------------------------

    def _pins(self) -> dict[str, Any]:
        path = self._folder / PINS
        return orjson.loads(path.read_bytes()) if path.is_file() else {}

    def _pin(self, name: str, value: Any) -> None:
        text = orjson.dumps({**self._pins(), name: value})
        write_atomically(self._folder / PINS, lambda file: file.write_bytes(text))

    def _newest(self, repo_id: str) -> Revision:
        """Commits come newest first: the first that is not after the day."""
        end = datetime.combine(self._day + timedelta(days=1), datetime.min.time(), UTC)
        url = f"/api/datasets/{quote(repo_id)}/commits/main"
        oldest = None
        try:
            for page in self._client.pages(url, {"limit": COMMITS_PAGE}):
                for commit in page.records:
                    oldest = _moment(commit["date"])
                    if oldest < end:
                        if not _COMMIT.fullmatch(commit["id"]):
                            raise MalformedAnswer("a commit id that is none", url=url)
                        return Revision(repo_id, commit["id"], oldest)
        except UNREADABLE as error:
            raise MalformedAnswer(f"no commit as documented: {error!r}", url=url) from error
        except NotFound as error:
            raise NoRevision(f"datasets/{repo_id} is not there: {error}") from error
        since = f"its first commit is of {oldest:%Y-%m-%d}" if oldest else "it has no commits"
        raise NoRevision(f"datasets/{repo_id} has no commit up to {self._day}: {since}")

    def _tree(self, revision: Revision) -> list[RemoteFile]:
        url = f"/api/datasets/{quote(revision.repo_id)}/tree/{revision.sha}"
        files = []
        try:
            for page in self._client.pages(url, {"recursive": True}):
                for entry in page.records:
                    if (large := entry.get("lfs")) is None:
                        continue
                    if not _SHA256.fullmatch(large["oid"]):
                        raise MalformedAnswer("a digest that is none", url=url)
                    size = int(large["size"])
                    files.append(RemoteFile(revision, str(entry["path"]), size, large["oid"]))
        except UNREADABLE as error:
            raise MalformedAnswer(f"no tree as documented: {error!r}", url=url) from error
        return sorted(files, key=lambda file: file.path)

    # -- downloads --------------------------------------------------------------------------------

    def _download(self, file: RemoteFile, place: Path) -> int:
        """Fetches the rest of a file, checks it, and puts it in its place; returns the attempts."""
        part = place.with_suffix(".part")
        started, had = time.monotonic(), part.stat().st_size if part.is_file() else 0
        log.info("downloading %s: %s, %s of it there", file, _mib(file.size), _mib(had))
        attempts = self._persist(file, part)
        if not _is_sound(file, part) and had:  # what was there may have been torn
            part.unlink()
            attempts += self._persist(file, part)
        if not _is_sound(file, part):
            part.unlink()
            raise GaveUp("not the bytes that the tree announces", url=str(file))
        part.replace(place)
        log.info("downloaded %s in %.1f s", file, time.monotonic() - started)
        return attempts

    def _persist(self, file: RemoteFile, part: Path) -> int:
        """Downloads until nothing is missing; returns the attempts."""
        for attempt in itertools.count(1):
            try:
                self._get(file, part)
                return attempt
            except _Transient as trouble:
                if attempt == ATTEMPTS:
                    raise trouble.final from trouble.__cause__
                seconds = random.uniform(0, self._backoff_s * 2 ** (attempt - 1))
                log.info("%s: again in %.1f s: %s", file, seconds, trouble.final.message)
                time.sleep(seconds)
        raise AssertionError("unreachable")

    def _get(self, file: RemoteFile, part: Path) -> None:
        """Appends what is missing of a file."""
        import httpx2
        from huggingface_hub import hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        # Not `hf_hub_download`: what it has when it is killed it throws away.
        url = hf_hub_url(
            file.revision.repo_id, file.path, repo_type="dataset", revision=file.revision.sha,
            endpoint=self._client.endpoint,
        )  # fmt: skip
        headers = build_hf_headers(token=self._token or False, library_name="hfkg")
        headers["Accept-Encoding"] = "identity"
        with part.open("ab") as content:
            had = content.tell()
            if had > file.size:
                content.truncate(had := 0)
            try:
                http_get(
                    url, content, resume_size=had, headers=headers, expected_size=file.size,
                    displayed_filename=file.path, tqdm_class=_Progress,
                )  # fmt: skip
            except HfHubHTTPError as error:
                raise self._refused(error, url) from error
            except httpx2.HTTPError as error:
                final = GaveUp(f"the download breaks: {type(error).__name__}", url=url)
                raise _Transient(final) from error
            except OSError as error:
                if error.errno is not None:  # the disk's
                    raise
                raise _Transient(GaveUp("the download is too short", url=url)) from error

    def _refused(self, error: Any, url: str) -> Exception:
        status, headers = error.response.status_code, error.response.headers
        if status in TRANSIENT:
            return _Transient(GaveUp("the Hub keeps failing", url=url, status=status))
        return refusal(status, headers, url=url, sent_token=self._token is not None)


def _is_sound(file: RemoteFile, part: Path) -> bool:
    with part.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


class _Transient(Exception):
    """Trouble that may pass; `final` is raised if it does not."""

    def __init__(self, final: HubError) -> None:
        super().__init__(final.message)
        self.final = final


class _Progress:
    """Stands in for huggingface_hub's bar: tells in the log how far a download is.

    Args:
        desc: what is downloaded.
        total: its bytes.
        initial: bytes that are there already.
    """

    def __init__(self, *, desc: str, total: int, initial: int, **_: Any) -> None:
        self._desc = desc
        self._total = total
        self._done = self._initial = initial
        self._started = self._told = time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, size: int) -> None:
        """Counts bytes."""
        self._done += size
        now = time.monotonic()
        if now - self._told >= PROGRESS_S:
            self._told = now
            rate = (self._done - self._initial) / (now - self._started)
            log.info(
                "%s: %s of %s, %s/s, %.0f s to go", self._desc, _mib(self._done),
                _mib(self._total), _mib(rate), (self._total - self._done) / rate,
            )  # fmt: skip


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"
