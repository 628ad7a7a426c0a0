"""Where a snapshot's observations come from: a sample Hub, the live one, or files about it.

Belongs here: the choice of a source and its settings. Does not: how a crawl goes on (`crawl`), what
any endpoint answers, or what the answers mean.
"""

import logging
import os
import re
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import field_validator, model_validator

from hfkg_resources.bulk_files import BULK, BulkFiles
from hfkg_resources.crawl import Before, Crawl, CrawlSession
from hfkg_resources.hub_client import HubClient
from hfkg_resources.huggingkg_dump import Dump
from hfkg_resources.scope import Scope
from hfkg_resources.settings import SettingError, one_of

PUBLIC_ENDPOINT = "https://huggingface.co"

_DATED = re.compile(r"/\d{4}-\d\d-\d\d$")
"""How an address ends behind which a Hub has a past, as the sample Hub's does."""

log = logging.getLogger(__name__)


class NoPast(Exception):
    """The live Hub was asked what it was on another day than today."""


class OtherDay(Exception):
    """A dump was asked what the Hub was on another day than its own."""


class HubSource(dg.ConfigurableResource):
    """The source of observations.

    Attributes:
        source: `sample`, the embedded Hub with a past; `hub`, the live one; `bulk`, the tables
            that others publish on it every day, and the Hub for the rest; `dump`, a HuggingKG
            dump; `world`, the sample Hub's tables without a crawl and without card texts.
        scope: see `Scope.parse`.
        social: `on`, or `off` to leave likes and follows out.
        endpoint: the live Hub's address. With `bulk` one that ends in a date belongs to a Hub
            with a past: the date is replaced by the snapshot's.
        sample_repositories: size of the sample Hub.
        sample_seed: its seed.
        workers: threads of a stage.
        dump: with the source `dump`, its folder or zip.
        dump_date: the dump's date where its name does not tell it.
        refresh_days: in so many days everything is asked for again though nothing says that it
            changed; 0 asks for everything in every snapshot.
    """

    source: str = "sample"
    dump: str = ""
    dump_date: str = ""
    scope: str = "all"
    social: str = "on"
    endpoint: str = PUBLIC_ENDPOINT
    sample_repositories: int = 1_500
    sample_seed: int = 7
    workers: int = 48
    refresh_days: int = 30

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        return one_of("HFKG_SOURCE", value, ("sample", "hub", "bulk", "dump", "world"))

    @model_validator(mode="after")
    def _whole_and_known(self) -> Self:
        if self.source in ("dump", "world") and self.scope != "all":
            raise SettingError(
                f"HFKG_SCOPE={self.scope!r} is not allowed with HFKG_SOURCE={self.source}, which "
                "is taken in whole: use all"
            )
        if self.source != "dump":
            return self
        path = Path(self.dump)
        if not self.dump or not (path.is_dir() or path.is_file()):
            raise SettingError(
                f"HFKG_DUMP={self.dump!r} is not there: HFKG_SOURCE=dump needs the folder or zip "
                "of a HuggingKG dump"
            )
        try:
            given = date.fromisoformat(self.dump_date) if self.dump_date else None
        except ValueError:
            raise SettingError(
                f"HFKG_DUMP_DATE={self.dump_date!r} is not allowed. Use YYYY-MM-DD"
            ) from None
        if given is None and self.opened_dump.day is None:
            raise SettingError(
                f"HFKG_DUMP_DATE is needed: the name {self.opened_dump.name!r} has no date, as "
                "HuggingKG_V<YYYYMMDDhhmmss> has"
            )
        return self

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
        if self.source == "bulk":
            return HubClient(_DATED.sub(f"/{day}", self.endpoint), tokens(os.environ))
        today = datetime.now(UTC).date()
        if date.fromisoformat(day) != today:
            raise NoPast(
                f"The live Hub has no past: it can be observed for today ({today}), not for {day}. "
                "HFKG_SOURCE=sample has a past, and so has HFKG_SOURCE=bulk."
            )
        return HubClient(self.endpoint, tokens(os.environ))

    def client_to_go_on(self, day: str) -> HubClient:
        """A client to go on with an interrupted crawl: the live Hub is asked as it is by now."""
        return self.client(str(datetime.now(UTC).date()) if self.source == "hub" else day)

    def files_client(self, day: str) -> HubClient:
        """A client for files at commits, which are what they are on any day.

        A commit of the past can be asked for while the Hub keeps the repository; the sample Hub
        only has those that were the newest on the day.
        """
        if self.source in ("sample", "world"):
            return HubClient(f"{sample_hub_url(self.sample_repositories, self.sample_seed)}/{day}")
        if self.source == "bulk":
            return self.client(day)
        return HubClient(self.endpoint, tokens(os.environ))

    @property
    def token(self) -> str | None:
        """The token of those that are used one at a time; the sample Hub is asked as nobody."""
        if self.source in ("sample", "world"):
            return None
        return next(iter(tokens(os.environ)), None)

    @property
    def opened_dump(self) -> Dump:
        """The dump that the settings name."""
        return Dump(Path(self.dump))

    def expect_day(self, day: str) -> None:
        """Checks that a dump is of a day.

        Raises:
            OtherDay: it is of another.
        """
        own = self.dump_date or str(self.opened_dump.day)
        if own != day:
            raise OtherDay(
                f"The dump {self.opened_dump.name} is of {own}: it cannot be taken for {day}. "
                f"Ask for the snapshot of {own}, or say by HFKG_DUMP_DATE that its date is another."
            )

    @property
    def origin(self) -> str:
        """Which Hub it is: only what comes from the same one is carried over."""
        if self.source == "sample":
            return f"sample Hub, seed {self.sample_seed}, {self.sample_repositories} repositories"
        if self.source == "dump":
            return f"dump {self.opened_dump.name}"
        if self.source == "world":
            return f"sample world, seed {self.sample_seed}, {self.sample_repositories} repositories"
        return _DATED.sub("", self.endpoint)

    def no_past(self, day: str, pins: BulkFiles, *, has_begun: bool) -> str:
        """Why the Hub cannot be asked what it was on a day; empty if it can."""
        if _DATED.search(self.endpoint):
            return ""
        is_today = day == str(datetime.now(UTC).date())
        if pins.is_of_today(is_today, has_begun=has_begun):
            return ""
        return f"the Hub at {self.endpoint} has no past, and no bulk file tells of this"

    def session(
        self, client: HubClient, journals: Path, day: str, before: Before | None
    ) -> CrawlSession:
        """The crawls of a snapshot's tables, with this source's settings."""
        bulk, no_past = None, ""
        if self.source == "bulk":
            token = next(iter(tokens(os.environ)), None)
            bulk = BulkFiles(client, token, day, journals / BULK)
            no_past = self.no_past(day, bulk, has_begun=CrawlSession.has_begun(journals))

        def make(directory: Path, stop: threading.Event) -> Crawl:
            return Crawl(
                client=client,
                scope=Scope.parse(self.scope),
                social=self.social == "on",
                day=day,
                directory=directory,
                workers=self.workers,
                before=before,
                refresh_days=self.refresh_days,
                origin=self.origin,
                bulk=bulk,
                no_past=no_past,
                stop=stop,
            )

        return CrawlSession(journals, make)


def tokens(environment: Mapping[str, str]) -> list[str]:
    """The tokens to use: those of `HF_TOKENS`, separated by commas, or that of `HF_TOKEN`."""
    several = environment.get("HF_TOKENS", "") or environment.get("HF_TOKEN", "")
    return [token.strip() for token in several.split(",") if token.strip()]


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
