"""Every call of the crawl × every fault of the sample Hub: what becomes of the tables.

    .venv/bin/python -m benchmarks.crawl_faults [--repositories 300] [--jobs 2]
        [--endpoint likers] [--fault slow] [--strength lasting]

Each cell crawls the sample Hub from an empty store while one call meets one fault, passing (twice
per address struck, then the right answer) or lasting, and is set beside an undisturbed crawl (see
`crawl_gaps`). Then the fault is taken away and the crawl repeated, which must close every gap. The
short form of the same matrix is `tests/hub/test_fault_matrix.py`.
"""

import argparse
import contextlib
import functools
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

from benchmarks.crawl_gaps import KEYS, Crawled, differences, objections
from hfkg_assets.definitions import build_defs
from hfkg_assets.hub import collections, listings, papers
from hfkg_resources import sources
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub import faults as hub_faults
from hfkg_resources.sample_hub.faults import Fault, Faults
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World

REPOSITORIES = 300
DAY = date(2026, 11, 24)
PAGE = 5
READ_TIMEOUT_S = 1.0
ATTEMPTS = 4
STRIKES = 2
"""How often a passing fault strikes an address: a crawl that tries again gets over it."""

MAX_STRUCK = 16
"""Addresses struck at most: what is slow is slow for all of them at once."""

CELL_LIMIT_S = 90.0

STRENGTHS = ("passing", "lasting")


# -- the rows of the matrix ---------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """A call of the crawl.

    Attributes:
        name: for the table.
        pattern: regular expression of its addresses, as the server logs them.
        shape: `pages` of a listing, a `list` asked for one thing, an `object`, or a `file`.
        wrong: a field that its answers must have, with a value of another type.
        about: what may be withheld: `repository` or `other`; None where nothing can be.
        table: the table of a listing.
        setup: the crawl in which it is asked (see `Rig.SETUPS`).
    """

    name: str
    pattern: str
    shape: str
    wrong: tuple[str, Any] | None = None
    about: str | None = None
    table: str = ""
    setup: str = "all"


def _listing(kind: str, wrong: tuple[str, Any]) -> tuple[Endpoint, Endpoint]:
    path = rf"^/api/{kind}\?"
    return (
        Endpoint(f"{kind}, first page", rf"{path}(?!.*cursor=)", "pages", wrong, table=kind),
        Endpoint(f"{kind}, later pages", rf"{path}.*cursor=", "pages", wrong, table=kind),
    )


_KINDS = "(models|datasets|spaces)"

ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint("tasks", "^/api/tasks$", "object", ("text-classification", 7)),
        Endpoint("model tags", "^/api/models-tags-by-type", "object", ("library", 7)),
        Endpoint("dataset tags", "^/api/datasets-tags-by-type", "object", ("license", 7)),
        *_listing("models", ("likes", "many")),
        *_listing("datasets", ("likes", "many")),
        *_listing("spaces", ("likes", "many")),
        *_listing("collections", ("owner", 7)),
        Endpoint("collection", "^/api/collections/", "object", ("items", 7), "other"),
        *_listing("papers", ("authors", 7)),
        Endpoint("paper", "^/api/papers/", "object", ("authors", 7), "other", setup="limit"),
        Endpoint("likers", f"^/api/{_KINDS}/.*/likers", "list", ("user", 7), "repository"),
        Endpoint("user", "^/api/users/.*/overview", "object", ("user", 7), "other"),
        Endpoint("organization", "^/api/organizations/.*/overview", "object", ("name", 7), "other"),
        Endpoint("followers of users", "^/api/users/.*/followers", "list", ("user", 7), "other"),
        Endpoint(
            "followers of organizations", "^/api/organizations/.*/followers", "list", ("user", 7),
            "other",
        ),
        Endpoint("members", "^/api/organizations/.*/members", "list", ("user", 7), "other"),
        Endpoint(
            "repository", rf"^/api/{_KINDS}/[^?]*(?<!/likers)(\?|$)", "object", ("id", 7),
            "repository",
        ),
        Endpoint("pinned README", "^/api/resolve-cache/", "file", None, "repository"),
        Endpoint(
            "README redirect", "/resolve/", "file", None, "repository", setup="unpinned"
        ),
        Endpoint(
            "redirected README", "^/api/resolve-cache/.*etag", "file", None, "repository",
            setup="unpinned",
        ),
    )
}  # fmt: skip


# -- the columns --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        make: the fault at an endpoint, or None where it makes no sense there.
        heals: whether a crawl must have everything where the fault passes.
        is_harmless: whether it must have everything even where the fault lasts.
        strikes_all: whether every address of the endpoint is struck, by one fault with a memory.
    """

    make: Callable[[Endpoint], Fault | None]
    heals: bool = True
    is_harmless: bool = False
    strikes_all: bool = False


def _anywhere(make: Callable[..., Fault], *args: Any) -> Kind:
    return Kind(lambda _: make(*args))


def _where(
    is_apt: Callable[[Endpoint], Any], make: Callable[[Endpoint], Fault], **traits: bool
) -> Kind:
    return Kind(lambda endpoint: make(endpoint) if is_apt(endpoint) else None, **traits)


def _removed(endpoint: Endpoint) -> Fault:
    if endpoint.about == "repository":
        return hub_faults.removed_repository()
    return hub_faults.removed()


def _is_json(endpoint: Endpoint) -> bool:
    return endpoint.shape != "file"


def _has_rows(endpoint: Endpoint) -> bool:
    return endpoint.shape in ("pages", "list")


def _is_repository(endpoint: Endpoint) -> bool:
    return endpoint.about == "repository"


FAULTS = {
    "429": _anywhere(hub_faults.too_many_requests),
    "429 bare": _anywhere(hub_faults.too_many_requests_without_headers),
    "429 Retry-After": _anywhere(hub_faults.too_many_requests_with_retry_after, 0),
    **{str(status): _anywhere(hub_faults.error, status) for status in (500, 502, 503, 504)},
    "slow": _anywhere(hub_faults.slow, 10 * READ_TIMEOUT_S),
    "cut": _anywhere(hub_faults.cut_connection),
    "half JSON": _where(_is_json, lambda _: hub_faults.truncated_json()),
    "wrong field": _where(
        lambda endpoint: endpoint.wrong,
        lambda endpoint: hub_faults.wrong_type(*(endpoint.wrong or ("", None))),
        heals=False,
    ),
    "wrong answer": _where(_is_json, lambda _: hub_faults.wrong_answer(), heals=False),
    "rows twice": _where(_has_rows, lambda _: hub_faults.rows_twice(), is_harmless=True),
    "row on two pages": _where(
        lambda endpoint: endpoint.shape == "pages",
        lambda _: hub_faults.duplicate_row(),
        is_harmless=True, strikes_all=True,
    ),
    "empty page": _where(_has_rows, lambda _: hub_faults.empty_page_with_link()),
    "redirect loop": _where(lambda _: True, lambda _: hub_faults.redirect_loop(), heals=False),
    "gated": _where(_is_repository, lambda _: hub_faults.gated(), heals=False),
    "disabled": _where(_is_repository, lambda _: hub_faults.disabled(), heals=False),
    "removed": _where(lambda endpoint: endpoint.about, _removed, heals=False),
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One field of the matrix."""

    endpoint: str
    fault: str
    strength: str

    def __str__(self) -> str:
        return f"{self.endpoint} × {self.fault}, {self.strength}"


def all_cells() -> list[Cell]:
    """Every cell that makes sense."""
    return [
        Cell(endpoint.name, fault, strength)
        for endpoint in ENDPOINTS.values()
        for fault, kind in FAULTS.items()
        if kind.make(endpoint) is not None
        for strength in STRENGTHS
    ]


# -- one cell -----------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of a cell.

    Attributes:
        cell: which.
        verdict: `complete`, `gap`, `killed`, `hung` or `wrong`.
        lost: units failed and missing and records set aside, beyond those of the truth.
        differences: rows by table that differ from the truth.
        objections: what is wrong.
        seconds: duration of the disturbed crawl.
    """

    cell: Cell
    verdict: str
    lost: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    objections: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether the crawl did what it has to."""
        return self.verdict in ("complete", "gap")

    def __str__(self) -> str:
        lost = ", ".join(f"{count} {kind}" for kind, count in self.lost.items())
        rows = ", ".join(f"{count} of {table}" for table, count in self.differences.items())
        lines = [f"{self.verdict} ({self.seconds:.1f} s); lost: {lost}; rows differ: {rows}"]
        return "\n  ".join([*lines, *self.objections[:8]])


class Hung(Exception):
    """A crawl did not end in time."""


class Rig:
    """A sample Hub, the crawl of it, and the truth: an undisturbed crawl.

    A context manager. What it needs patched is patched by `small_crawls`.

    Args:
        setup: a key of `SETUPS`.
        repositories: size of the sample Hub.
    """

    SETUPS: Mapping[str, tuple[str, bool]] = {
        "all": ("all", True),
        "limit": ("limit:100", True),
        "unpinned": ("all", False),
    }
    """Scope, and whether the Hub answers the pinned address of a README."""

    def __init__(self, setup: str, repositories: int = REPOSITORIES) -> None:
        self._setup = setup
        self._repositories = repositories
        self._open()

    def _open(self) -> None:
        self._stack = contextlib.ExitStack()
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._faults = Faults()
        scope, pinned = self.SETUPS[self._setup]
        app = create_app(
            World(repositories=self._repositories),
            today=DAY,
            window_s=0.1,
            faults=self._faults,
            pinned_readme=pinned,
        )
        self._server = self._stack.enter_context(serve(app))
        self._ask_all, self._carry_over = (self._define_job(scope, days) for days in (0, 30))
        log = self._server.log_requests()
        self.truth = self._crawl(self._ask_all)
        self._addresses = list(dict.fromkeys(line.path for line in log))

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def try_cell(self, cell: Cell) -> Outcome:
        """Crawls while the cell's call meets its fault, then once more without."""
        endpoint, kind = ENDPOINTS[cell.endpoint], FAULTS[cell.fault]
        struck = self._struck(endpoint)
        unread = self._unread(endpoint, struck)
        self._empty_store()
        self._switch_on(endpoint, kind, struck, cell.strength)
        outcome = self._disturbed(cell, kind, unread)
        self._faults.clear()
        if outcome.verdict == "hung":  # its threads may go on: nothing here is to be trusted
            self._stack.close()
            self._open()
        elif outcome.verdict != "complete":
            outcome.objections += self._repeat()
        if outcome.is_sound and outcome.objections:
            outcome.verdict = "wrong"
        return outcome

    def _repeat(self) -> list[str]:
        """Crawls again over what the disturbed crawl left; says what is wrong then.

        What the Hub withheld may stay a gap as long as the listings say nothing new of it, but one
        that is counted; asking for everything closes it.
        """
        try:
            crawled = self._crawl(self._carry_over)
            wrong = objections(self.truth, crawled, {})
            if not wrong and differences(self.truth, crawled):
                crawled = self._crawl(self._ask_all)
        except Exception as error:
            return [f"repeated: {_told(error)}"]
        left, lost = differences(self.truth, crawled), crawled.lost() - self.truth.lost()
        if left:
            wrong.append(f"rows differ: {dict(left)}, lost: {dict(lost)}")
        return [f"repeated: {one}" for one in wrong]

    def _disturbed(self, cell: Cell, kind: Kind, unread: Mapping[str, set[str]]) -> Outcome:
        started, met_before = time.monotonic(), self._faults.met
        try:
            crawled = self._crawl(self._ask_all)
        except Hung as error:
            return Outcome(cell, "hung", objections=[str(error)])
        except Exception as error:
            return Outcome(cell, "killed", objections=[_told(error)])
        outcome = Outcome(
            cell,
            "gap",
            lost=crawled.lost() - self.truth.lost(),
            differences=differences(self.truth, crawled),
            objections=objections(self.truth, crawled, unread),
            seconds=time.monotonic() - started,
        )
        if not outcome.differences:
            outcome.verdict = "complete"
        if self._faults.met == met_before:
            outcome.objections.append("no request met the fault")
        outcome.objections += _not_as_expected(kind, cell.strength, outcome.verdict)
        if outcome.objections:
            outcome.verdict = "wrong"
        return outcome

    # -- faults ---------------------------------------------------------------------------------

    def _struck(self, endpoint: Endpoint) -> list[str]:
        """Every other address that the undisturbed crawl asked the endpoint for."""
        asked = [path for path in self._addresses if re.search(endpoint.pattern, path)]
        if not asked:
            raise LookupError(f"no crawl asks for {endpoint.name}")
        return (asked if endpoint.shape == "pages" else sorted(asked))[::2][:MAX_STRUCK]

    def _switch_on(
        self, endpoint: Endpoint, kind: Kind, struck: Sequence[str], strength: str
    ) -> None:
        fault = kind.make(endpoint)
        assert fault is not None
        patterns = [f"^{re.escape(path)}$" for path in struck]
        if kind.strikes_all:
            patterns = [rf"^/api/{endpoint.table}\?"]
        for pattern in patterns:
            self._faults.add(pattern, fault, times=STRIKES if strength == "passing" else None)

    def _unread(self, endpoint: Endpoint, struck: Sequence[str]) -> Mapping[str, set[str]]:
        """By table, the keys on the first page of a listing that is struck, and on those after."""
        if endpoint.shape != "pages":
            return {}
        whole = [path for path in self._addresses if path.startswith(f"/api/{endpoint.table}?")]
        key = KEYS[endpoint.table][0]
        with HubClient(self._server.url) as client:
            pages = [client.get_json(path) for path in whole]
        rest = pages[whole.index(struck[0]) :]
        return {endpoint.table: {row[key] for page in rest for row in page}}

    # -- crawls ---------------------------------------------------------------------------------

    def _define_job(self, scope: str, refresh_days: int) -> dg.JobDefinition:
        settings = {
            "HFKG_SOURCE": "hub",
            "HFKG_SCOPE": scope,
            "HFKG_REFRESH_DAYS": str(refresh_days),
            "HF_ENDPOINT": self._server.url,
            "HFKG_ROOT": str(self._root),
        }
        return build_defs(settings).resolve_job_def("crawl")

    def _empty_store(self) -> None:
        for folder in self._root.iterdir():
            shutil.rmtree(folder)

    def _crawl(self, job: dg.JobDefinition) -> Crawled:
        """Crawls in a thread of its own, which can be left behind if it never ends.

        Raises:
            Hung: it did not end in time.
            Exception: the run failed.
        """
        ended: list[Crawled | BaseException] = []

        def run() -> None:
            try:
                ended.append(self._run_job(job))
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(CELL_LIMIT_S)
        if not ended:
            raise Hung(_where_threads_are())
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]

    def _run_job(self, job: dg.JobDefinition) -> Crawled:
        day = str(datetime.now(UTC).date())
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                instance=instance,
                partition_key=day,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            checks = result.get_asset_check_evaluations()
        passed = {check.check_name: check.passed for check in checks}
        return Crawled.read(self._root, day, check_passed=passed["nothing_lost"])


def _not_as_expected(kind: Kind, strength: str, verdict: str) -> Iterator[str]:
    if kind.is_harmless or (kind.heals and strength == "passing"):
        if verdict != "complete":
            yield "what passes must leave no gap"
    elif kind.heals and verdict == "complete":
        yield "what lasts must leave a gap"


def _where_threads_are() -> str:
    """The innermost own frames of all threads, with the number of threads at each."""
    places = Counter(
        " < ".join(f"{frame.name}:{frame.lineno}" for frame in own[:-4:-1])
        for stack in map(traceback.extract_stack, sys._current_frames().values())
        if (own := [frame for frame in stack if "/hfkg_" in frame.filename])
    )
    return "; ".join(f"{count} at {place}" for place, count in places.items())


def _told(error: BaseException) -> str:
    """The first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error)[:200]}"


@contextlib.contextmanager
def small_crawls() -> Iterator[None]:
    """Short pages, short timeouts, few attempts."""
    client = functools.partial(
        HubClient,
        read_timeout=READ_TIMEOUT_S,
        attempts=ATTEMPTS,
        backoff_s=0.01,
        backoff_cap_s=0.05,
    )
    with (
        mock.patch.object(sources, "HubClient", client),
        mock.patch.object(listings, "PAGE", PAGE),
        mock.patch.object(collections, "PAGE", PAGE),
        mock.patch.object(papers, "PAPERS_PAGE", PAGE),
    ):
        yield


# -- the whole matrix ---------------------------------------------------------------------------


def table_of(outcomes: Sequence[Outcome]) -> str:
    """Endpoint × fault as Markdown; each field shows the passing fault, then the lasting one."""
    signs = {(o.cell.endpoint, o.cell.fault, o.cell.strength): _sign(o) for o in outcomes}
    names = [name for name in FAULTS if any(o.cell.fault == name for o in outcomes)]
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for endpoint in dict.fromkeys(o.cell.endpoint for o in outcomes):
        fields = [
            " ".join(signs.get((endpoint, fault, strength), "") for strength in STRENGTHS).strip()
            for fault in names
        ]
        lines.append(f"| {endpoint} | {' | '.join(fields)} |")
    return "\n".join(lines)


def _sign(outcome: Outcome) -> str:
    if outcome.verdict == "complete":
        return "="
    if outcome.verdict == "gap":
        return "".join(f"{count}{kind[0]}" for kind, count in sorted(outcome.lost.items()))
    return outcome.verdict.upper()


_rigs: dict[str, Rig] = {}
"""Of this process, by setup."""

_to_the_end = contextlib.ExitStack()
"""What a worker process keeps as long as it lives."""


def _start_worker() -> None:
    quiet()
    _to_the_end.enter_context(small_crawls())


def _work(repositories: int, cell: Cell) -> Outcome:
    setup = ENDPOINTS[cell.endpoint].setup
    if setup not in _rigs:
        _rigs[setup] = Rig(setup, repositories)
    return _rigs[setup].try_cell(cell)


def quiet() -> None:
    """No telemetry, and no log: a crawl that meets faults has much to tell."""
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    logging.disable(logging.CRITICAL)


def main() -> None:
    """Tries the cells and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=REPOSITORIES, help="of the sample Hub")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--endpoint", help="only endpoints whose name holds this")
    parser.add_argument("--fault", help="only faults whose name holds this")
    parser.add_argument("--strength", choices=STRENGTHS)
    options = parser.parse_args()
    cells = [
        cell
        for cell in all_cells()
        if (options.endpoint or "") in cell.endpoint
        and (options.fault or "") in cell.fault
        and options.strength in (None, cell.strength)
    ]
    outcomes = []
    # Spawned: a forked process would share the server's locks in whatever state they are.
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), _start_worker) as pool:
        for outcome in pool.map(functools.partial(_work, options.repositories), cells):
            outcomes.append(outcome)
            print(f"{outcome.cell}: {outcome}", file=sys.stderr, flush=True)
    print(table_of(outcomes), end="\n\n")
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    counts = {name: verdicts[name] for name in ("complete", "gap", "killed", "hung", "wrong")}
    figures = {"repositories": options.repositories, "cells": len(outcomes), **counts}
    print(json.dumps(figures))
    if not all(outcome.is_sound for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
