"""Requests and pages per second where no quota is in the way: hfkg, requests, huggingface_hub.

    .venv/bin/python benchmarks/crawl_throughput.py [--threads 48] [--seconds 3] [--rounds 3]

All ask the same server, a process of its own that plays recorded answers of the sample Hub, after
a delay where there is to be one: it costs little beside what is measured. Small requests are
overviews of users; a page holds 1,000 models with the fields that hfkg asks for. hfkg's crawl reads
all of it into its journal: validated, stored, resumable. The ways take turns, and the best round of
each counts: what else runs on the machine can only slow them down. Beside it stands the processor
time that one request or page takes on this side, all threads together.
"""

import argparse
import asyncio
import itertools
import json
import logging
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

# Read when huggingface_hub is imported.
os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")

import requests
import urllib3
import uvicorn
from huggingface_hub import HfApi

from hfkg_assets.hub import observations
from hfkg_assets.hub.accounts import fetch_overview
from hfkg_assets.hub.listings import EXPAND, PAGE, repository_reader
from hfkg_resources.crawl import CARRIED
from hfkg_resources.crawl_journal import StageJournal, crawl_units, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import RecordTable
from hfkg_resources.sample_hub.quotas import UNLIMITED
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.table_schema import Column

ROUND_TRIP_S = 0.05
SWEEP = (8, 16, 24, 32, 48, 64)
"""Numbers of threads that hfkg's client is tried with."""

REPOSITORIES = 2_500
"""Enough for a full page of models."""

USERS = 200
LISTING = {"limit": PAGE, "sort": "createdAt", "expand": list(EXPAND["models"])}

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


# -- the server ---------------------------------------------------------------------------------


class Recorded:
    """Plays answers: `/{seconds}/{path}` gives that of the path after so many seconds.

    The listing of models has no end: the same page comes again and again.
    """

    def __init__(self, answers: dict[str, tuple[Headers, bytes]]) -> None:
        self._answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        _, seconds, path = scope["path"].split("/", 2)
        headers, body = self._answers.get(path, ([], b""))
        if path == "api/models":
            page = scope["query_string"].partition(b"cursor=")[2] or b"0"
            host = dict(scope["headers"])[b"host"].decode()
            after = f"http://{host}/{seconds}/{path}?cursor={int(page) + 1}"
            headers = [*headers, (b"link", f'<{after}>; rel="next"'.encode())]
        await asyncio.sleep(float(seconds))
        status = 200 if body else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def record() -> tuple[list[str], dict[str, tuple[Headers, bytes]]]:
    """Names of users, and the sample Hub's answers by path."""
    with serve(create_app(World(repositories=REPOSITORIES), quotas=UNLIMITED)) as server:
        http = urllib3.PoolManager(headers={"Accept-Encoding": "gzip"})

        def ask(path: str, **query: Any) -> urllib3.BaseHTTPResponse:
            url = f"{server.url}/{path}?{urlencode(query, doseq=True)}"
            return http.request("GET", url, preload_content=False)

        def answer(path: str, **query: Any) -> tuple[Headers, bytes]:
            response = ask(path, **query)
            body = response.read(decode_content=False)
            left_out = ("link", "date", "ratelimit")
            headers = [
                (name.lower().encode(), value.encode())
                for name, value in response.headers.items()
                if name.lower() not in left_out
            ]
            return [*headers, (b"ratelimit", b'"api";r=999999999;t=300')], body

        most_liked = ask("api/models", sort="likes", limit=1).json()[0]["id"]
        names = [one["user"] for one in ask(f"api/models/{most_liked}/likers").json()][:USERS]
        paths = [f"api/users/{name}/overview" for name in names]
        return names, {
            "api/models": answer("api/models", **LISTING),
            **{path: answer(path) for path in paths},
        }


def play(pipe: Connection) -> None:
    """Serves in this process; tells the address and the users' names."""
    names, answers = record()
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    pipe.send((f"http://127.0.0.1:{listener.getsockname()[1]}", names))
    config = uvicorn.Config(Recorded(answers), log_level="critical", lifespan="off")
    uvicorn.Server(config).run([listener])


@contextmanager
def server() -> Iterator[tuple[str, list[str]]]:
    """The server's address and the names of users it knows."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=play, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


# -- small requests -----------------------------------------------------------------------------


def repeat(fetch: Callable[[str], Any], names: list[str], threads: int, seconds: float) -> int:
    """Asks in threads for so many seconds; returns the number of answers."""
    end, turn = time.perf_counter() + seconds, itertools.cycle(names)

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            fetch(next(turn))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


def crawl_overviews(url: str, names: list[str], threads: int, seconds: float) -> int:
    """A stage of a crawl with its journal, of about so many seconds; returns the rows stored."""
    units = [f"{number}/{names[number % len(names)]}" for number in range(int(seconds * 500))]
    with stage(observations.ACCOUNTS) as journal, HubClient(url) as client:

        def fetch(unit: str) -> list[dict[str, Any]]:
            return [fetch_overview(client, unit.partition("/")[2], ["user"])]

        crawl_units(journal, units, fetch, workers=threads, log=log, client=client)
        assert journal.rows == len(units), f"{journal.rows} rows of {len(units)} units"
        return journal.rows


def plain(url: str) -> Callable[[str], Any]:
    """`requests` and `json`, with one session per thread, as its documentation asks for."""
    own = threading.local()

    def fetch(name: str) -> Any:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(f"{url}/api/users/{name}/overview", timeout=30)
        answer.raise_for_status()
        return answer.json()

    return fetch


# -- pages --------------------------------------------------------------------------------------


def crawl_pages(url: str, pages: int) -> int:
    """A walk as a crawl makes it; returns the records stored."""
    with stage(observations.MODELS) as journal, HubClient(url) as client:
        crawl_walk(
            journal, client, "/api/models", LISTING, repository_reader(observations.MODELS),
            max_records=pages * PAGE, log=log,
        )  # fmt: skip
        return journal.rows


def plain_pages(url: str, pages: int) -> int:
    """`requests` and `json`; returns the records read."""
    records = 0
    with requests.Session() as session:
        answer = session.get(f"{url}/api/models", params=LISTING, timeout=30)
        for number in range(pages):
            records += len(answer.json())
            if number + 1 < pages:
                answer = session.get(answer.links["next"]["url"], timeout=30)
    return records


def hfapi_pages(url: str, pages: int) -> int:
    """`HfApi.list_models`; returns the models read."""
    models = HfApi(endpoint=url).list_models(sort="created_at", expand=LISTING["expand"])
    return sum(1 for _ in itertools.islice(models, pages * PAGE))


@contextmanager
def stage(columns: Sequence[Column]) -> Iterator[StageJournal]:
    """The journal of a new stage, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        fetched = [column for column in columns if column is not CARRIED]
        yield StageJournal(Path(folder), RecordTable(fetched))


# -- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """What a way achieves.

    Attributes:
        per_s: requests or pages per second.
        cpu_ms: processor time of one, in milliseconds.
    """

    per_s: float
    cpu_ms: float

    @classmethod
    def of(cls, way: Callable[[], int]) -> "Figure":
        """Measures a way, which returns how much it did."""
        started, cpu = time.perf_counter(), time.process_time()
        count = way()
        return cls(
            count / (time.perf_counter() - started), 1e3 * (time.process_time() - cpu) / count
        )


Ways = dict[str, Callable[[], int]]


def best(ways: Ways, rounds: int) -> dict[str, Figure]:
    """Of each way the best of several rounds, in which they take turns."""
    figures = [{name: Figure.of(way) for name, way in ways.items()} for _ in range(rounds)]
    return {
        name: Figure(
            max(figure[name].per_s for figure in figures),
            min(figure[name].cpu_ms for figure in figures),
        )
        for name in ways
    }


def request_ways(url: str, names: list[str], threads: int, seconds: float) -> Ways:
    """The ways to ask for small answers."""
    client, hfapi = HubClient(url), HfApi(endpoint=url)
    size = (names, threads, seconds)
    return {
        "crawl_": partial(crawl_overviews, url, *size),
        "": partial(repeat, partial(fetch_overview, client, kinds=["user"]), *size),
        "plain_": partial(repeat, plain(url), *size),
        "hfapi_": partial(repeat, hfapi.get_user_overview, *size),
    }


def page_ways(url: str, pages: int) -> Ways:
    """The ways to walk a listing."""
    walks = {"crawl_": crawl_pages, "plain_": plain_pages, "hfapi_": hfapi_pages}

    def whole(walk: Callable[[str, int], int]) -> int:
        records = walk(url, pages)
        assert records == pages * PAGE, f"{records} records on {pages} pages"
        return pages

    return {name: partial(whole, walk) for name, walk in walks.items()}


TITLES = {
    "crawl_": "hfkg, crawl with its journal",
    "": "hfkg, client alone",
    "plain_": "requests and json",
    "hfapi_": "HfApi",
}


def print_table(what: str, figures: dict[str, dict[str, Figure]]) -> None:
    """One line per way; per column of figures the rate and the processor time."""
    print(f"| {what} | " + " | ".join(f"{name} | ms of CPU" for name in figures) + " |")
    print("| --- |" + " ---: | ---: |" * len(figures))
    for way in next(iter(figures.values())):
        cells = [
            f"{by_way[way].per_s:,.1f}/s | {by_way[way].cpu_ms:.2f}" for by_way in figures.values()
        ]
        print(f"| {TITLES[way]} | " + " | ".join(cells) + " |")
    print()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=3.0, help="per way and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, default=40, help="per way and round")
    args = parser.parse_args()
    with server() as (address, names):
        near, far = f"{address}/0", f"{address}/{ROUND_TRIP_S}"
        far_requests, near_requests = (
            best(request_ways(url, names, args.threads, args.seconds), args.rounds)
            for url in (far, near)
        )
        pages = best(page_ways(near, args.pages), args.rounds)
        sweep = best(
            {
                str(threads): request_ways(far, names, threads, args.seconds)[""]
                for threads in SWEEP
            },
            args.rounds,
        )
    rates = {threads: round(figure.per_s) for threads, figure in sweep.items()}
    distance = f"{1e3 * ROUND_TRIP_S:.0f} ms away"
    print_table(
        f"requests, {args.threads} threads", {distance: far_requests, "no delay": near_requests}
    )
    print_table("pages of 1,000 models, one walk", {"no delay": pages})
    print(f"| threads | {' | '.join(rates)} |\n| --- |{' ---: |' * len(rates)}")
    print(f"| requests/s of the client, {distance} | {' | '.join(map(str, rates.values()))} |\n")

    def named(what: str, figures: dict[str, Figure]) -> dict[str, float]:
        return {f"{way}{what}": round(figure.per_s, 1) for way, figure in figures.items()}

    result = {
        **named("requests_per_s", far_requests),
        **named("requests_per_s_without_delay", near_requests),
        **named("pages_per_s", pages),
        "requests_per_s_by_threads": rates,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
