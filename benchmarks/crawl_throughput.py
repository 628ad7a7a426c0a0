"""Requests and pages per second where no quota is in the way: hfkg, requests, huggingface_hub.

    .venv/bin/python benchmarks/crawl_throughput.py [--threads 32] [--seconds 3] [--rounds 3]

All ask the same server, a process of its own that plays recorded answers of the sample Hub, after
a delay where there is to be one: it costs little beside what is measured. Small requests are
overviews of users; a page holds 1,000 models with the fields that hfkg asks for. hfkg's crawl reads
all of it into its journal: validated, stored, resumable. The ways take turns, and the best round of
each counts: what else runs on the machine can only slow them down.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from hfkg_assets.hub.listings import EXPAND, PAGE, parse_repository
from hfkg_resources.crawl_journal import StageJournal, crawl_units, crawl_walk
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import RecordTable
from hfkg_resources.sample_hub.quotas import UNLIMITED
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World

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


def requests_per_s(fetch: Callable[[str], Any], names: list[str], threads: int, s: float) -> float:
    """How often threads get an answer within so many seconds."""
    end, turn = time.perf_counter() + s, itertools.cycle(names)

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            fetch(next(turn))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        return sum(pool.map(work, range(threads))) / (time.perf_counter() - started)


def crawled_units_per_s(url: str, names: list[str], threads: int, s: float) -> float:
    """The same as a stage of a crawl, with its journal; as many units as take about so long."""
    units = [f"{number}/{names[number % len(names)]}" for number in range(int(s * 600))]
    with tempfile.TemporaryDirectory() as folder, HubClient(url) as client:
        journal = StageJournal(Path(folder), RecordTable(observations.ACCOUNTS))
        started = time.perf_counter()
        crawl_units(
            journal, units, lambda unit: [fetch_overview(client, unit.split("/")[1], ["user"])],
            workers=threads, log=log, client=client,
        )  # fmt: skip
        return journal.rows / (time.perf_counter() - started)


def plain(url: str) -> Callable[[str], Any]:
    """`requests` with one session per thread, as its documentation asks for."""
    own = threading.local()

    def fetch(name: str) -> Any:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(f"{url}/api/users/{name}/overview", timeout=30)
        answer.raise_for_status()
        return answer.json()

    return fetch


# -- pages --------------------------------------------------------------------------------------


def hfkg_pages(url: str, pages: int) -> int:
    """A walk as a crawl makes it; returns the records stored."""
    with tempfile.TemporaryDirectory() as folder, HubClient(url) as client:
        journal = StageJournal(Path(folder), RecordTable(observations.MODELS))
        crawl_walk(
            journal, client, "/api/models", LISTING, parse_repository,
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


def pages_per_s(walk: Callable[[str, int], int], url: str, pages: int) -> float:
    """How many pages are read in a second."""
    started = time.perf_counter()
    records = walk(url, pages)
    assert records == pages * PAGE, f"{records} records on {pages} pages"
    return pages / (time.perf_counter() - started)


# -- the table ----------------------------------------------------------------------------------


def best(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Of each way the best of several rounds, in which they take turns."""
    figures = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    return {name: round(max(figure[name] for figure in figures), 1) for name in ways}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0, help="per way and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, default=40)
    args = parser.parse_args()
    with server() as (address, names):
        near, far = f"{address}/0", f"{address}/{ROUND_TRIP_S}"

        def asking(url: str) -> dict[str, Callable[[], float]]:
            client, hfapi = HubClient(url), HfApi(endpoint=url)
            ways = {
                "requests": lambda name: fetch_overview(client, name, ["user"]),
                "plain_requests": plain(url),
                "hfapi_requests": hfapi.get_user_overview,
            }
            return {
                "crawl_requests": lambda: crawled_units_per_s(
                    url, names, args.threads, args.seconds
                ),
                **{
                    way: lambda fetch=fetch: requests_per_s(
                        fetch, names, args.threads, args.seconds
                    )
                    for way, fetch in ways.items()
                },
            }

        at_distance = best(asking(far), args.rounds)
        at_once = best(asking(near), args.rounds)
        walks = {"pages": hfkg_pages, "plain_pages": plain_pages, "hfapi_pages": hfapi_pages}
        pages = best(
            {
                name: lambda walk=walk: pages_per_s(walk, near, args.pages)
                for name, walk in walks.items()
            },
            args.rounds,
        )
        client = HubClient(far)
        sweep = best(
            {
                str(threads): lambda threads=threads: requests_per_s(
                    lambda name: fetch_overview(client, name, ["user"]),
                    names, threads, args.seconds,
                )
                for threads in SWEEP
            },
            args.rounds,
        )  # fmt: skip
    named = {
        "crawl_requests": "hfkg, a stage of a crawl with its journal",
        "requests": "hfkg, client alone",
        "plain_requests": "requests, a session per thread",
        "hfapi_requests": "HfApi.get_user_overview",
    }
    print(f"| {args.threads} threads | {1e3 * ROUND_TRIP_S:.0f} ms | no delay |")
    print("| --- | ---: | ---: |")
    for way, name in named.items():
        print(f"| {name} | {at_distance[way]:,.0f}/s | {at_once[way]:,.0f}/s |")
    print("\n| pages of 1,000 models, one walk | pages/s |\n| --- | ---: |")
    print(f"| hfkg, validated and stored | {pages['pages']:.1f} |")
    print(f"| requests and json | {pages['plain_pages']:.1f} |")
    print(f"| HfApi.list_models | {pages['hfapi_pages']:.1f} |")
    print(f"\n| threads | {' | '.join(sweep)} |\n| --- |{' ---: |' * len(sweep)}")
    print(
        f"| requests/s at {1e3 * ROUND_TRIP_S:.0f} ms | {' | '.join(map(str, sweep.values()))} |\n"
    )
    per_s = {f"{way}_per_s": figure for way, figure in {**at_distance, **pages}.items()}
    at_once = {f"{way}_per_s_without_delay": figure for way, figure in at_once.items()}
    print(json.dumps({**per_s, **at_once, "requests_per_s_by_threads": sweep}))


if __name__ == "__main__":
    main()
