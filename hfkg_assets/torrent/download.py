"""Downloading contents: in parallel, verified, gone on with after a cut, each failure told.

Small files come through the project's own client, one request each and within its quotas; large
ones through huggingface_hub, from where a cut or a kill left off.

Belongs here: from a content that is missing to one in the store. Does not: which are wanted
(`manifest`), where a repository's files are put (`repositories`).
"""

import errno
import logging
import queue
import random
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars

from hfkg_assets.torrent.objects import Corrupt, NotAKey, ObjectStore
from hfkg_resources.errors import (
    BadToken,
    Disabled,
    Gated,
    HubError,
    HubUnreachable,
    NotFound,
    TooLarge,
)
from hfkg_resources.hub_client import HubClient
from hfkg_resources.pinned_files import PinnedFiles

SMALL = 8 * 1024 * 1024
"""Bytes up to which a file that git keeps is read in one go."""

ATTEMPTS = 4
"""How often a content is tried where it fails in a way that may pass."""

BACKOFF_S = 0.5
PROGRESS_S = 10.0
_TICK_S = 0.2

FOR_GOOD: dict[type[Exception], str] = {
    DisabledRepoError: "disabled",
    GatedRepoError: "gated",
    RemoteEntryNotFoundError: "not_found",
    RevisionNotFoundError: "not_found",
    RepositoryNotFoundError: "not_found",
}
"""What huggingface_hub raises where trying again changes nothing."""

OK, FAILED, WITHHELD = "ok", "failed", "withheld"


@dataclass(frozen=True)
class Content:
    """Bytes that are wanted, and the files that have them.

    Attributes:
        key: their id.
        bytes: how many.
        files: model, commit and path of each file.
    """

    key: str
    bytes: int
    files: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Outcome:
    """What became of a content.

    Attributes:
        content: it.
        status: `ok`, `failed` (may do better another day) or `withheld` (the Hub's last word).
        reason: why it is not there.
    """

    content: Content
    status: str
    reason: str | None = None


class _Trouble(Exception):
    """A content did not come.

    Attributes:
        status: what that makes of it.
        again: whether trying again at once may help.
    """

    def __init__(self, reason: str, status: str = FAILED, *, again: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.again = again


class Downloads:
    """Fetches contents into a store.

    Args:
        client: the Hub's client, for small files.
        token: for large ones; None asks as nobody.
        store: where contents go.
        workers: downloads at once.
        log: for progress.

    Attributes:
        fetched_bytes: of contents that came.
    """

    def __init__(
        self,
        client: HubClient,
        token: str | None,
        store: ObjectStore,
        *,
        workers: int,
        log: logging.Logger,
    ) -> None:
        self.fetched_bytes = 0
        self._client, self._token = client, token
        self._small = PinnedFiles(client, "models")
        self._store = store
        self._workers = workers
        self._log = log
        self._stop = threading.Event()
        self._under_way: dict[str, Path] = {}

    def run(self, contents: Sequence[Content]) -> list[Outcome]:
        """Fetches contents; whatever becomes of one, the others go on.

        What is in the store is never lost: a killed run leaves whole contents, and of large ones
        the part that came.

        Args:
            contents: those that the store does not have.

        Returns:
            One outcome each, in no order.

        Raises:
            BadToken, HubUnreachable: nothing will work.
            OSError: the disk is full, or cannot be written.
        """
        disable_progress_bars()
        waiting, results = iter(contents), queue.SimpleQueue[Outcome | BaseException]()
        taking = threading.Lock()

        def work() -> None:
            while not self._stop.is_set():
                with taking:
                    content = next(waiting, None)
                if content is None:
                    return
                try:
                    results.put(self._outcome(content))
                except BaseException as error:  # of all: told by the main thread
                    results.put(error)
                    return

        # Daemons: one that waits for an answer does not keep a stopped process alive.
        for number in range(min(self._workers, len(contents))):
            threading.Thread(target=work, name=f"download-{number}", daemon=True).start()
        try:
            return [*self._collected(contents, results)]
        finally:
            self._stop.set()

    def _collected(
        self, contents: Sequence[Content], results: "queue.SimpleQueue[Outcome | BaseException]"
    ) -> Iterator[Outcome]:
        total = sum(content.bytes for content in contents)
        started = told = time.monotonic()
        done = failed = 0
        for _ in contents:
            while True:
                if time.monotonic() - told >= PROGRESS_S:
                    told = time.monotonic()
                    self._tell(done, failed, len(contents), total, told - started)
                try:
                    result = results.get(timeout=_TICK_S)
                except queue.Empty:
                    continue
                break
            if isinstance(result, BaseException):
                raise result
            done += 1
            failed += result.status != OK
            self.fetched_bytes += result.content.bytes if result.status == OK else 0
            yield result
        if contents:
            self._tell(done, failed, len(contents), total, time.monotonic() - started)

    def _tell(self, done: int, failed: int, contents: int, total: int, seconds: float) -> None:
        here = self.fetched_bytes + sum(map(_bytes_so_far, list(self._under_way.values())))
        rate = here / max(seconds, 1e-3)
        self._log.info(
            "downloads: %s of %s bytes, %d of %d contents, %d failed; %s bytes/s, %.0f s to go",
            f"{here:,}", f"{total:,}", done, contents, failed, f"{rate:,.0f}",
            (total - here) / max(rate, 1),
        )  # fmt: skip

    # -- one content ----------------------------------------------------------------------------

    def _outcome(self, content: Content) -> Outcome:
        """Fetches a content from the first file that gives it."""
        try:
            partial = self._store.partial(content.key)
        except NotAKey as error:
            return Outcome(content, FAILED, str(error))
        self._under_way[content.key] = partial
        last = _Trouble("no file has it")
        try:
            for model, sha, path in content.files:
                for attempt in range(ATTEMPTS):
                    if self._stop.is_set():
                        return Outcome(content, FAILED, "stopped")
                    try:
                        self._fetch(content, partial, model, sha, path)
                        return Outcome(content, OK)
                    except _Trouble as trouble:
                        last = trouble
                        if not trouble.again:
                            break
                        self._stop.wait(random.uniform(0, BACKOFF_S * 2**attempt))
        finally:
            self._under_way.pop(content.key, None)
        return Outcome(content, last.status, str(last))

    def _fetch(self, content: Content, partial: Path, model: str, sha: str, path: str) -> None:
        is_small = content.key.startswith("git:") and content.bytes <= SMALL
        try:
            fetch = self._fetch_small if is_small else self._fetch_large
            file = fetch(content, partial, model, sha, path)
            self._store.take(file, content.key, content.bytes)
        except Corrupt as error:
            shutil.rmtree(partial, ignore_errors=True)  # nothing of it can be gone on with
            raise _Trouble(f"corrupt: {error}", again=True) from None
        shutil.rmtree(partial, ignore_errors=True)

    def _fetch_small(
        self, content: Content, partial: Path, model: str, sha: str, path: str
    ) -> Path:
        try:
            answer = self._small.read(model, sha, path, cap=content.bytes + 1)
        except (BadToken, HubUnreachable):
            raise
        except TooLarge:
            raise Corrupt("longer than the manifest says") from None
        except (NotFound, Gated, Disabled) as error:
            raise _Trouble(error.reason, WITHHELD) from None
        except HubError as error:  # the client has tried again already
            raise _Trouble(f"{error.reason}: {error.message}") from None
        partial.mkdir(parents=True, exist_ok=True)
        file = partial / "content"
        file.write_bytes(answer.content)
        return file

    def _fetch_large(
        self, content: Content, partial: Path, model: str, sha: str, path: str
    ) -> Path:
        partial.mkdir(parents=True, exist_ok=True)
        file = partial / "content"
        if file.is_file() and file.stat().st_size > content.bytes:
            file.unlink()  # it cannot be the beginning of it
        token, endpoint = self._token or False, self._client.endpoint
        try:
            if content.bytes > constants.MAX_HTTP_DOWNLOAD_SIZE:  # comes by Xet alone
                return Path(
                    hf_hub_download(
                        model, path, revision=sha, endpoint=endpoint, token=token,
                        local_dir=partial,
                    )
                )  # fmt: skip
            # `hf_hub_download` forgets what came before a kill; this call beneath it goes on there.
            with file.open("ab") as target:
                http_get(
                    hf_hub_url(model, path, revision=sha, endpoint=endpoint),
                    target,
                    resume_size=target.tell(),
                    expected_size=content.bytes,
                    headers={**build_hf_headers(token=token), "Accept-Encoding": "identity"},
                )
            return file
        except tuple(FOR_GOOD) as error:
            reason = next(word for kind, word in FOR_GOOD.items() if isinstance(error, kind))
            raise _Trouble(reason, WITHHELD) from None
        except HfHubHTTPError as error:
            status = error.response.status_code
            again = status >= 500 or status in (408, 429)
            raise _Trouble(f"HTTP {status}", again=again) from None
        except HTTPError as error:
            raise _Trouble(f"{type(error).__name__}: {_first_line(error)}", again=True) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            raise _Trouble(_first_line(error), again=True) from None


def contents_of(missing: pl.DataFrame) -> list[Content]:
    """The contents of `manifest.missing_objects`, large ones first: they take longest."""
    ordered = missing.sort("bytes", "key", descending=[True, False])
    return [
        Content(key, size, list(zip(ids, shas, paths, strict=True)))
        for key, size, ids, shas, paths in ordered.select(
            "key", "bytes", "id", "sha", "path"
        ).iter_rows()
    ]


def _bytes_so_far(partial: Path) -> int:
    """Bytes of a content that is under way."""
    try:
        return (partial / "content").stat().st_size
    except OSError:  # it has come meanwhile
        return 0


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
