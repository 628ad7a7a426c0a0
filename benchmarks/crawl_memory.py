"""Memory of the crawls of a large sample Hub: the first from an empty store, then the next day's.

    .venv/bin/python benchmarks/crawl_memory.py [--repositories 200000]

The Hub and each crawl run in processes of their own. The peak is the largest resident set that the
system noted for the crawling process. The figures by stage are samples, each given to the stage
that the crawl's log named last: stages run side by side, so they tell when, not who.
"""

import argparse
import json
import logging
import multiprocessing
import re
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from crawl_requests import FIRST_DAY, NEXT_DAY, SampleHub, crawl

GIB = 2**30
LIMIT_GIB = 1.5
SAMPLES_PER_S = 5


@dataclass(frozen=True)
class Measured:
    """What a crawl took.

    Attributes:
        requests: counted by the server.
        seconds: from the start of its process to its end.
        peak_gib: largest resident set.
        stages_gib: largest sampled resident set by stage.
    """

    requests: int
    seconds: float
    peak_gib: float
    stages_gib: dict[str, float]


def measure(hub: SampleHub, day: date, root: str) -> Measured:
    """Crawls a day in a process of its own.

    Raises:
        SystemExit: the crawl failed.
    """
    log = Path(root, f"{day}.log")
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_crawl, args=(theirs, hub.url, day, root, log))
    started = time.monotonic()
    process.start()
    stages = _sampled(process, log)
    seconds = time.monotonic() - started
    if process.exitcode:
        raise SystemExit(f"the crawl of {day} failed")
    return Measured(hub.new_requests().total(), seconds, ours.recv(), stages)


def _crawl(pipe: Connection, url: str, day: date, root: str, log: Path) -> None:
    logging.basicConfig(filename=log, format="%(message)s")
    logging.getLogger("hfkg_resources").setLevel(logging.INFO)
    crawl(url, day, root)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB)


def _sampled(process: BaseProcess, log: Path) -> dict[str, float]:
    """Largest sampled resident set in GiB by stage; returns when the process has ended."""
    status = Path(f"/proc/{process.pid}/status")
    found: dict[str, float] = {}
    while process.is_alive():
        if match := re.search(r"VmRSS:\s+(\d+) kB", status.read_text()):
            stage = _newest_stage(log)
            if stage not in found:
                print(f"  {time.strftime('%X')} {stage}", file=sys.stderr)
            found[stage] = max(found.get(stage, 0.0), int(match[1]) * 1024 / GIB)
        process.join(1 / SAMPLES_PER_S)
    return found


def _newest_stage(log: Path) -> str:
    lines = log.read_text().splitlines() if log.exists() else []
    stages = (match[1] for line in reversed(lines) if (match := re.match(r"([\w/]+): ", line)))
    return next(stages, "start")


def main() -> None:
    """Makes both crawls and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=200_000)
    repositories = parser.parse_args().repositories
    multiprocessing.set_start_method("spawn")
    with SampleHub(repositories) as hub, tempfile.TemporaryDirectory() as root:
        first, following = (measure(hub, day, root) for day in (FIRST_DAY, NEXT_DAY))
    print(f"| {repositories:,} repositories | requests | seconds | peak, GiB |")
    print("| --- | ---: | ---: | ---: |")
    for name, crawled in {"first crawl": first, "next day": following}.items():
        print(
            f"| {name} | {crawled.requests:,} | {crawled.seconds:,.0f} | {crawled.peak_gib:.2f} |"
        )
    print("\n| newest stage in the log | first crawl, GiB | next day, GiB |")
    print("| --- | ---: | ---: |")
    for stage in first.stages_gib | following.stages_gib:
        sampled = (crawled.stages_gib.get(stage) for crawled in (first, following))
        print(f"| {stage} | {' | '.join('' if gib is None else f'{gib:.2f}' for gib in sampled)} |")
    peak = max(first.peak_gib, following.peak_gib)
    print(f"\nat most {LIMIT_GIB} GiB: {'yes' if peak <= LIMIT_GIB else 'NO'}\n")
    print(
        json.dumps(
            {
                "repositories": repositories,
                "requests": first.requests,
                "seconds": round(first.seconds),
                "peak_gib": round(first.peak_gib, 3),
                "next_day_requests": following.requests,
                "next_day_seconds": round(following.seconds),
                "next_day_peak_gib": round(following.peak_gib, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
