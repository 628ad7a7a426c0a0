"""Where a snapshot's observations come from: the sample Hub or the live one, and how much of it.

Belongs here: the choice of a source, its scope, and a `Crawl`: a client together with the
journals of one asset's work. Does not: what any endpoint answers, or what the answers mean.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import polars as pl
from pydantic import field_validator

from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.crawl_journal import RecordTable, StageJournal, crawl_units, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.settings import SettingError, one_of
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

PUBLIC_ENDPOINT = "https://huggingface.co"
JOURNALS = ".crawl"
REPORT = ".report.json"

log = logging.getLogger(__name__)


class NoPast(Exception):
    """The live Hub was asked what it was on another day than today."""


@dataclass(frozen=True)
class Scope:
    """How much of the Hub a snapshot takes in.

    Attributes:
        kind: `all`, `top`, `limit`, `author` or `task`.
        share: with `top`, the share of models by downloads, in (0, 1].
        limit: with `limit`, the number of models, of datasets and of Spaces.
        names: with `author` or `task`, the names.
    """

    kind: Literal["all", "top", "limit", "author", "task"]
    share: float = 1.0
    limit: int = 0
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Reads `all`, `top:0.1`, `limit:1000`, `author:NAME,…` or `task:ID,…`.

        Raises:
            SettingError: anything else, or a share outside (0, 1].
        """
        kind, _, value = text.partition(":")
        try:
            match kind:
                case "all" if not value:
                    return cls("all")
                case "top" if 0 < float(value) <= 1:
                    return cls("top", share=float(value))
                case "limit" if int(value) > 0:
                    return cls("limit", limit=int(value))
                case "author" | "task" if names := tuple(filter(None, value.split(","))):
                    return cls("author" if kind == "author" else "task", names=names)
        except ValueError:
            pass
        raise SettingError(
            f"HFKG_SCOPE={text!r} is not allowed. Use all, top:SHARE with a share in (0, 1], "
            "limit:N with N > 0, author:NAME,… or task:ID,…"
        )


@dataclass
class StageReport:
    """What one stage of a crawl asked for and what became of it."""

    stage: str
    expected: int
    fetched: int
    missing: int
    failed: int
    set_aside: int
    rows: int
    requests: int


@dataclass
class Crawl:
    """The work of one `hub/*` asset for one snapshot: a client and resumable stages.

    Attributes:
        client: the Hub's client.
        scope: how much is wanted.
        social: whether likes and follows are wanted.
        day: the snapshot date.
        directory: where the journals and reports of this asset and snapshot lie.
        output: the asset's file; a finished journal older than it is not used again.
        workers: threads.
        reports: one per stage run.
    """

    client: HubClient
    scope: Scope
    social: bool
    day: str
    directory: Path
    output: Path
    workers: int
    reports: list[StageReport] = field(default_factory=list)

    def walk(
        self,
        stage: str,
        columns: Sequence[Column],
        path: str,
        params: dict[str, Any],
        parse: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        max_records: int | None = None,
    ) -> pl.LazyFrame:
        """Rows of a listing, page by page; goes on at the stored cursor after an interruption."""
        journal = self._journal(stage, columns, path, params, max_records)
        if not journal.finished:
            crawl_walk(journal, self.client, path, params, parse, max_records=max_records, log=log)
        return self._finish(stage, journal, expected=None)

    def units(
        self,
        stage: str,
        columns: Sequence[Column],
        units: Sequence[str],
        fetch: Callable[[str], list[dict[str, Any]]],
    ) -> pl.LazyFrame:
        """Rows of many small requests, one unit each; finished units are never fetched again."""
        journal = self._journal(stage, columns, *units)
        crawl_units(
            journal,
            units,
            fetch,
            workers=self.workers,
            log=log,
            describe=stage,
            limits_snapshot=self.client.limits.snapshot,
        )
        return self._finish(stage, journal, expected=len(units))

    def missing(self, stage: str) -> pl.DataFrame:
        """Units of a finished stage that the Hub does not give, with `status` and `reason`."""
        return self._journals[stage].missing()

    def __post_init__(self) -> None:
        self._journals: dict[str, StageJournal] = {}

    def _journal(self, stage: str, columns: Sequence[Column], *identity: object) -> StageJournal:
        """The stage's journal, found again only for exactly the same work.

        A finished journal whose result is already stored is history: asking again means to fetch
        again. One with failed units is kept, and only those are tried.
        """
        work = hashlib.sha256(json.dumps([*map(str, identity)]).encode()).hexdigest()[:16]
        folder = self.directory / stage
        for other in folder.glob("*"):
            if other.name != work:
                shutil.rmtree(other)
        journal = StageJournal(folder / work, RecordTable(tuple(columns)))
        stored = self.output.stat().st_mtime if self.output.is_file() else 0.0
        if journal.finished and journal.failures().is_empty() and stored > journal.finished_at:
            shutil.rmtree(folder / work)
            journal = StageJournal(folder / work, RecordTable(tuple(columns)))
        self._journals[stage] = journal
        return journal

    def _finish(self, stage: str, journal: StageJournal, expected: int | None) -> pl.LazyFrame:
        missing, failed = journal.missing().height, journal.failures().height
        rows = journal.scan()
        count = int(rows.select(pl.len()).collect().item())
        fetched = count if expected is None else expected - missing - failed
        report = StageReport(
            stage=stage,
            expected=fetched if expected is None else expected,
            fetched=fetched,
            missing=missing,
            failed=failed,
            set_aside=journal.set_aside().height,
            rows=count,
            requests=journal.requests,
        )
        self.reports.append(report)
        text = json.dumps(asdict(report)).encode()
        write_atomically(self.directory / f"{stage}{REPORT}", lambda file: file.write_bytes(text))
        log.info(
            "%s: %d rows, %d of %d fetched, %d missing, %d failed, %d set aside, %d requests",
            stage, count, fetched, report.expected, missing, failed, report.set_aside,
            report.requests,
        )  # fmt: skip
        return rows


class HubSource(dg.ConfigurableResource):
    """The source of observations.

    Attributes:
        source: `sample`, the embedded Hub with a past, or `hub`, the live one.
        scope: see `Scope.parse`.
        social: `on`, or `off` to leave likes and follows out.
        endpoint: the live Hub's address.
        sample_repositories: size of the sample Hub.
        sample_seed: its seed.
        workers: threads of a crawl.
    """

    source: str = "sample"
    scope: str = "all"
    social: str = "on"
    endpoint: str = PUBLIC_ENDPOINT
    sample_repositories: int = 1_500
    sample_seed: int = 7
    workers: int = 16

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        return one_of("HFKG_SOURCE", value, ("sample", "hub"))

    @field_validator("social")
    @classmethod
    def _known_social(cls, value: str) -> str:
        return one_of("HFKG_SOCIAL", value, ("on", "off"))

    @field_validator("scope")
    @classmethod
    def _known_scope(cls, value: str) -> str:
        Scope.parse(value)
        return value

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise SettingError(f"HF_ENDPOINT={value!r} is not an http(s) address")
        return value.rstrip("/")

    def client(self, day: str) -> HubClient:
        """A client that sees the Hub as it was on a day.

        Raises:
            NoPast: the live Hub is asked for another day than today (UTC).
        """
        if self.source == "sample":
            return HubClient(f"{sample_hub_url(self.sample_repositories, self.sample_seed)}/{day}")
        today = datetime.now(UTC).date()
        if date.fromisoformat(day) != today:
            raise NoPast(
                f"The live Hub has no past: it can be observed for today ({today}), not for {day}. "
                "HFKG_SOURCE=sample has a past."
            )
        return HubClient(self.endpoint, os.environ.get("HF_TOKEN") or None)

    @contextmanager
    def crawl(self, context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Crawl]:
        """A crawl for the asset being materialized; its figures become the asset's metadata."""
        day, key = context.partition_key, context.asset_key.path
        directory = Path(warehouse.root, JOURNALS, day, key[-1])
        directory.mkdir(parents=True, exist_ok=True)
        for report in directory.glob(f"*{REPORT}"):
            report.unlink()
        with self.client(day) as client:
            crawl = Crawl(
                client=client,
                scope=Scope.parse(self.scope),
                social=self.social == "on",
                day=day,
                directory=directory,
                output=warehouse.path(key, day),
                workers=self.workers,
            )
            yield crawl
            context.add_output_metadata(
                {
                    "hfkg/source": self.source,
                    "hfkg/scope": self.scope,
                    "hfkg/requests": sum(report.requests for report in crawl.reports),
                    "hfkg/requests_by_bucket": dict(client.requests),
                    "hfkg/missing": sum(report.missing for report in crawl.reports),
                    "hfkg/failed": sum(report.failed for report in crawl.reports),
                    "hfkg/set_aside": sum(report.set_aside for report in crawl.reports),
                }
            )


@lru_cache(maxsize=2)
def sample_hub_url(repositories: int, seed: int) -> str:
    """Address of this process's sample Hub, started when first asked for."""
    from hfkg_resources.sample_hub.server import create_app, serve
    from hfkg_resources.sample_hub.world import World

    server = serve(create_app(World(seed=seed, repositories=repositories)))
    _running.append(server)
    log.info("sample Hub with %d repositories at %s", repositories, server.url)
    return server.url


_running: list[Any] = []
"""Keeps the sample Hub's server alive as long as the process."""
