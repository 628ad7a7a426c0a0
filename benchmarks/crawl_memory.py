"""Memory of a whole crawl of a large sample Hub, from an empty store.

    .venv/bin/python benchmarks/crawl_memory.py [--repositories 200000]

The Hub and the crawl run in a process each. The peak is the largest resident set that the system
noted for the crawling process; the figures by stage are samples, each given to the stage that the
crawl's log named last.
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
from multiprocessing.process import BaseProcess
from pathlib import Path

from crawl_requests import FIRST_DAY, SampleHub, crawl

GIB = 2**30
LIMIT_GIB = 1.5
SAMPLES_PER_S = 5


def _crawl(url: str, root: str, log: Path) -> None:
    logging.basicConfig(filename=log, format="%(message)s")
    logging.getLogger("hfkg_resources").setLevel(logging.INFO)
    crawl(url, FIRST_DAY, root)


def peaks(process: BaseProcess, log: Path) -> dict[str, float]:
    """Largest sampled resident set in GiB by stage; returns when the process has ended."""
    status = Path(f"/proc/{process.pid}/status")
    found: dict[str, float] = {}
    while process.is_alive():
        if match := re.search(r"VmRSS:\s+(\d+) kB", status.read_text()):
            stage = newest_stage(log)
            if stage not in found:
                print(f"  {time.strftime('%X')} {stage}", file=sys.stderr)
            found[stage] = max(found.get(stage, 0.0), int(match[1]) * 1024 / GIB)
        process.join(1 / SAMPLES_PER_S)
    return found


def newest_stage(log: Path) -> str:
    """What the last line of a crawl's log speaks of."""
    lines = log.read_text().splitlines() if log.exists() else []
    stages = (line.partition(": ")[0] for line in reversed(lines) if ": " in line)
    return next(stages, "start")


def main() -> None:
    """Makes the crawl and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=200_000)
    repositories = parser.parse_args().repositories
    with SampleHub(repositories) as hub, tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "crawl.log")
        spawn = multiprocessing.get_context("spawn")
        crawler = spawn.Process(target=_crawl, args=(hub.url, f"{folder}/data", log))
        started = time.monotonic()
        crawler.start()
        by_stage = peaks(crawler, log)
        seconds = time.monotonic() - started
        if crawler.exitcode:
            raise SystemExit("the crawl failed")
        requests = hub.new_requests().total()
        # Of children that have ended, and the server goes on: this is the crawl alone.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GIB
    print("| repositories | requests | seconds | peak, GiB |\n| ---: | ---: | ---: | ---: |")
    print(f"| {repositories:,} | {requests:,} | {seconds:,.0f} | {peak:.2f} |\n")
    print("| newest stage in the log | peak, GiB |\n| --- | ---: |")
    for stage, gib in by_stage.items():
        print(f"| {stage} | {gib:.2f} |")
    print(f"\nat most {LIMIT_GIB} GiB: {'yes' if peak <= LIMIT_GIB else 'NO'}\n")
    print(
        json.dumps(
            {
                "repositories": repositories,
                "requests": requests,
                "seconds": round(seconds),
                "peak_gib": round(peak, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
