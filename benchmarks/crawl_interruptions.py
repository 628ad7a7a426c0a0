"""A crawl that is killed and started again, against one left alone, on the same sample Hub.

    .venv/bin/python benchmarks/crawl_interruptions.py [--kills 30] [--chain 10]

A crawl in a process of its own gets SIGKILL at a moment drawn at random: one moment in every stage
as far as the kills go, the others spread over the whole duration. Then it is started again in the
same way and left to finish. One crawl is killed again and again before it may finish. Others run
into a full disk, a small one in memory, and go on when it has grown (only where it may be mounted).

Tables are compared row for row; requests are counted by the server, and those made twice are the
ones beyond what a crawl without interruption makes for the same address.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from hfkg_resources.atomic_write import SUFFIX
from hfkg_resources.sample_hub.faults import Faults, slow
from hfkg_resources.sample_hub.gate import RequestLine
from hfkg_resources.sample_hub.server import RunningServer, create_app, serve
from hfkg_resources.sample_hub.world import World

REPOSITORY = Path(__file__).resolve().parents[1]
GIVE_UP_S = 300.0
MOST_ATTEMPTS = 5
LARGE_DISK = 1 << 30
POLL_S = 0.002
SETTLE_S = 0.2
"""After so long without a request the server has counted what a killed crawl had under way."""

OF_THE_CRAWL_ITSELF = {"observed_at", "carried"}
"""Columns that tell when and how a row was fetched, and so differ from crawl to crawl."""

CRAWL = """
import sys
import dagster as dg
from hfkg_assets.definitions import build_defs

build_defs().resolve_job_def("crawl").execute_in_process(
    instance=dg.DagsterInstance.ephemeral(),
    partition_key=sys.argv[1],
    run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
)
"""

STAGES = {
    r"/api/tasks$": "tasks",
    r"/api/\w+-tags-by-type$": "tags",
    r"/api/(models|datasets|spaces|collections)$": r"\1",
    r"/api/(?:papers|daily_papers)$": "papers",
    r"/api/(collection|paper)s/.+": r"\1 by id",
    r"/api/.*/(likers|members|followers)$": r"\1",
    r"/api/.*/overview$": "overviews",
    r"/api/(?:models|datasets|spaces)/.+": "aliases",
    r".*/resolve/.+|/api/resolve-cache/.+": "cards",
}
"""Stages of a crawl by the path that is asked for; the first match counts."""


def stage_of(line: RequestLine) -> str:
    """The stage that makes such a request; a path that is not known stands for itself."""
    path = urlsplit(line.path).path
    found = (match.expand(name) for way, name in STAGES.items() if (match := re.match(way, path)))
    return next(found, path)


# -- what a crawl leaves ------------------------------------------------------------------------


def tables(root: Path, day: str) -> dict[str, pl.DataFrame]:
    """The crawled tables of a day by name, without what must differ from crawl to crawl."""
    found = {}
    for path in sorted((root / "hub").glob(f"*/snapshot_date={day}/*.parquet")):
        name = path.parts[-3]
        own = OF_THE_CRAWL_ITSELF | ({"requests"} if name == "coverage" else set())
        found[name] = pl.read_parquet(path, hive_partitioning=False).drop(own, strict=False)
    return found


def differences(
    expected: Mapping[str, pl.DataFrame], got: Mapping[str, pl.DataFrame]
) -> dict[str, int]:
    """Rows that only one side has, by table; their order does not count.

    A table whose schema differs, or that only one side has, differs in all its rows, and in one
    at least.
    """
    found = {}
    for name in expected.keys() | got.keys():
        one, other = expected.get(name), got.get(name)
        if one is None or other is None or one.schema != other.schema:
            found[name] = max(1, sum(len(side) for side in (one, other) if side is not None))
            continue
        left, right = _rows(one), _rows(other)
        if count := ((left - right) + (right - left)).total():
            found[name] = count
    return found


def _rows(table: pl.DataFrame) -> Counter[str]:
    return Counter(table.select(pl.struct(pl.all()).struct.json_encode()).to_series())


def torn_files(root: Path) -> list[str]:
    """Files named as Parquet that cannot be read, journals included."""
    torn = []
    for path in root.rglob("*.parquet"):
        try:
            pl.read_parquet(path, hive_partitioning=False)
        except Exception as error:
            torn.append(f"{path.relative_to(root)}: {error}")
    return torn


# -- a small disk -------------------------------------------------------------------------------


class NoSmallDisk(Exception):
    """No file system may be mounted here."""


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[int], None]]:
    """A file system in memory, mounted at a folder.

    Args:
        folder: where; made here.
        size: in bytes.

    Yields:
        Sets the size anew.

    Raises:
        NoSmallDisk: it cannot be mounted; the message says why.
    """

    def mount(*options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    folder.mkdir()
    try:
        mount(f"size={size}")
    except FileNotFoundError as error:
        raise NoSmallDisk("there is no mount command") from error
    except subprocess.CalledProcessError as error:
        raise NoSmallDisk(error.stderr.strip()) from error
    try:
        yield lambda size: mount("remount", f"size={size}")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def used(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# -- when to strike -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """A moment of a crawl: after so many answers, and so many seconds more.

    Counted like this it hits the same work on a machine of another speed.
    """

    answers: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Undisturbed:
    """What a crawl without interruption got, asked for, and when.

    Attributes:
        tables: see `tables`.
        asked: requests by method and address.
        stages: the stage of each request, in the order they were answered.
        times: when each was, in seconds from the start of the process.
        duration: seconds until the last table was stored.
    """

    tables: Mapping[str, pl.DataFrame] = field(repr=False)
    asked: Counter[tuple[str, str]] = field(repr=False)
    stages: Sequence[str] = field(repr=False)
    times: Sequence[float] = field(repr=False)
    duration: float

    def at(self, seconds: float) -> Moment:
        """The moment so many seconds after the start; not before the first answer."""
        answers = max(1, bisect_right(self.times, seconds))
        return Moment(answers, max(0.0, seconds - self.times[answers - 1]))

    def moments(self, kills: int, seed: int) -> list[Moment]:
        """Random moments: up to two thirds one in a stage each, the others by time.

        Those by time lie one in each of equal slices from the first answer to the last table.
        """
        draw = random.Random(seed)
        stages = sorted(set(self.stages))
        chosen = draw.sample(stages, min(len(stages), 2 * kills // 3))
        seconds = []
        for stage in chosen:
            number = draw.choice([i for i, one in enumerate(self.stages) if one == stage])
            seconds.append(draw.uniform(self.times[max(number - 1, 0)], self.times[number]))
        left, first = kills - len(chosen), self.times[0]
        for number in range(left):
            slice_s = (self.duration - first) / left
            seconds.append(first + (number + draw.random()) * slice_s)
        return [self.at(moment) for moment in sorted(seconds)]

    def chain(self, kills: int) -> list[Moment]:
        """Moments for one crawl that is killed again and again, evenly over its requests."""
        requests = len(self.stages)
        return [Moment(requests * number // (kills + 1)) for number in range(1, kills + 1)]

    def made_twice(self, asked: Counter[tuple[str, str]]) -> int:
        """Requests beyond those of this crawl, address by address."""
        return (asked - self.asked).total()


class TooLate(Exception):
    """The crawl was over before its moment came."""


@dataclass(frozen=True)
class Outcome:
    """What an interrupted crawl came to.

    Attributes:
        struck: by strike, the stages that had requests under way; where none had, `after` and
            the last before.
        torn: files that could not be read after a strike or at the end.
        left: temporary files that are still there at the end.
        differences: rows by table, against the crawl without interruption.
        twice: requests made twice.
        share: their part of the requests of a crawl, per strike.
    """

    struck: Sequence[set[str]]
    torn: Sequence[str]
    left: Sequence[str]
    differences: Mapping[str, int]
    twice: int
    share: float

    @property
    def stages(self) -> set[str]:
        """All that was struck."""
        return set().union(*self.struck)


# -- crawling and striking ----------------------------------------------------------------------


class Interruptions:
    """Crawls in processes of their own against one server, whose log tells what they ask.

    Args:
        server: the sample Hub; nothing else may ask it meanwhile.
        folder: for stores and logs.
        workers: threads of a crawl: as many requests can be lost at a kill.
    """

    def __init__(self, server: RunningServer, folder: Path, workers: int = 16) -> None:
        self.day = str(datetime.now(UTC).date())
        self.lines = server.log_requests()
        self.folder = folder
        self.workers = workers
        self.url = server.url

    def environment(self, root: Path) -> dict[str, str]:
        """The environment of a crawl into a store, free of settings of the shell."""
        inherited = {k: v for k, v in os.environ.items() if not re.match("HF_|HFKG_|DAGSTER_", k)}
        return inherited | {
            "HFKG_SOURCE": "hub",
            "HF_ENDPOINT": self.url,
            "HFKG_ROOT": str(root),
            "HFKG_WORKERS": str(self.workers),
            "PYTHONPATH": str(REPOSITORY),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def start(self, root: Path, limit: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
        """Starts a crawl of the day into a store; what it says is added to a log.

        Args:
            root: the store.
            limit: called in the process before all else.
        """
        with self.log(root).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", CRAWL, self.day],
                env=self.environment(root),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=limit,
            )

    def finish(self, root: Path, limit: Callable[[], None] | None = None) -> None:
        """Crawls to the end.

        Args:
            root: the store.
            limit: called in the process before all else.

        Raises:
            RuntimeError: the crawl failed.
        """
        if code := self.start(root, limit).wait(GIVE_UP_S):
            said = self.log(root).read_text(encoding="utf-8").rstrip().splitlines()
            raise RuntimeError(f"the crawl ended with {code}: {said[-1]}")

    def log(self, root: Path) -> Path:
        """Where crawls into a store say what they have to say."""
        return self.folder / f"{root.name}.log"

    def undisturbed(self) -> Undisturbed:
        """A crawl left alone.

        Raises:
            RuntimeError: the crawl failed.
        """
        root, before = self.folder / "undisturbed", len(self.lines)
        started = time.time()
        times: list[float] = []
        process = self.start(root)
        while process.poll() is None:
            new = len(self.lines) - before - len(times)
            times += [time.time() - started] * new
            time.sleep(POLL_S)
        if process.returncode:
            raise RuntimeError(self.log(root).read_text(encoding="utf-8"))
        stored = max(path.stat().st_mtime for path in (root / "hub").rglob("*.parquet"))
        return Undisturbed(
            tables=tables(root, self.day),
            asked=self.asked_since(before),
            stages=[stage_of(line) for line in self.lines[before:]],
            times=times,
            duration=stored - started,
        )

    def asked_since(self, number: int) -> Counter[tuple[str, str]]:
        """Requests from a line of the log on, by method and address."""
        return Counter((line.method, line.path) for line in self.lines[number:])

    def kill(self, root: Path, moment: Moment, since: int) -> set[str]:
        """Starts a crawl and kills it at a moment.

        Args:
            root: the store.
            moment: counts answers from `since` on.
            since: a line of the log.

        Returns:
            What was under way, see `under_way`.

        Raises:
            TooLate: it was over before.
        """
        process = self.start(root)
        while process.poll() is None and len(self.lines) - since < moment.answers:
            time.sleep(POLL_S)
        time.sleep(moment.seconds)
        answered = len(self.lines)
        if process.poll() is not None:
            raise TooLate(f"{moment} of {root.name}: exit code {process.returncode}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.settle()
        return self.under_way(answered)

    def settle(self) -> None:
        """Waits until the server has counted all that was under way."""
        count = -1
        while count != len(self.lines):
            count = len(self.lines)
            time.sleep(SETTLE_S)

    def under_way(self, answered: int) -> set[str]:
        """The stages of the requests answered after the first so many; else what was before."""
        stages = {stage_of(line) for line in self.lines[answered:]}
        return stages or {f"after {stage_of(self.lines[answered - 1])}"}

    def killed(self, name: str, moments: Sequence[Moment], alone: Undisturbed) -> Outcome:
        """A crawl that is killed at every moment in turn and then left to finish.

        Raises:
            TooLate: it was over before a moment came.
            RuntimeError: the crawl left alone failed.
        """
        root, since = self.folder / name, len(self.lines)
        struck, torn = [], []
        for moment in moments:
            struck.append(self.kill(root, moment, since))
            torn += torn_files(root)
        self.finish(root)
        return self.outcome(root, since, alone, struck, torn)

    def killed_once(self, name: str, moment: Moment, alone: Undisturbed) -> Outcome:
        """As `killed`, for one moment; a crawl that was over too soon is made anew.

        A machine with less to do may have left the last answer behind in no time: the wait after
        it is halved then.

        Raises:
            TooLate: it was over at the very answer.
        """
        for attempt in range(MOST_ATTEMPTS):
            try:
                return self.killed(f"{name}-{attempt}", [moment], alone)
            except TooLate:
                if not moment.seconds:
                    raise
                moment = replace(moment, seconds=moment.seconds / 2)
        raise TooLate(f"{name}: {moment}")

    def filled(self, name: str, size: int, alone: Undisturbed) -> Outcome:
        """A crawl onto a disk of so many bytes that goes on when there is room.

        Raises:
            RuntimeError: it failed for another reason, or where there was room.
            NoSmallDisk: see `small_disk`.
        """
        disk, since = self.folder / name, len(self.lines)
        with small_disk(disk, size) as resize:
            root = disk / f"{name}-store"
            try:
                self.finish(root)
            except RuntimeError as error:
                if "No space left" not in str(error):
                    raise
                answered = len(self.lines)
            else:
                raise RuntimeError(f"{size:,} bytes are enough for a crawl")
            self.settle()
            struck, torn = self.under_way(answered), torn_files(root)
            resize(LARGE_DISK)
            self.finish(root)
            return self.outcome(root, since, alone, [struck], torn)

    def outcome(
        self,
        root: Path,
        since: int,
        alone: Undisturbed,
        struck: Sequence[set[str]],
        torn: Sequence[str] = (),
    ) -> Outcome:
        """Compares a finished store and the requests since a line of the log."""
        twice = alone.made_twice(self.asked_since(since))
        return Outcome(
            struck=struck,
            torn=[*torn, *torn_files(root)],
            left=[str(path.relative_to(root)) for path in root.rglob(f"*{SUFFIX}")],
            differences=differences(alone.tables, tables(root, self.day)),
            twice=twice,
            share=twice / alone.asked.total() / len(struck),
        )


# -- the campaign -------------------------------------------------------------------------------


def main() -> None:
    """Runs the campaign and prints what every kill came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--chain", type=int, default=10, help="kills of one crawl in a row")
    parser.add_argument("--disks", type=int, default=5, help="sizes of a disk that is too small")
    parser.add_argument("--repositories", type=int, default=1_500)
    # All that is under way at a kill may be lost, in each of the tables crawled side by side; that
    # is to be little beside so few requests.
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    faults = Faults()
    faults.add("", slow(0.01))  # a round trip, so that a kill finds requests under way
    app = create_app(World(repositories=options.repositories), faults=faults)
    with tempfile.TemporaryDirectory() as folder, serve(app) as server:
        crawls = Interruptions(server, Path(folder), options.workers)
        alone = crawls.undisturbed()
        requests = alone.asked.total()
        print(f"Without interruption: {requests:,} requests, {alone.duration:.1f} s\n")
        print("| kill | after answers, s | under way | twice | share | differences | torn, left |")
        print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
        outcomes = []
        for number, moment in enumerate(alone.moments(options.kills, options.seed), 1):
            outcomes.append(crawls.killed_once(f"kill-{number}", moment, alone))
            when = f"{moment.answers:,} + {moment.seconds:.2f}"
            print(_line(str(number), when, outcomes[-1]), flush=True)
        print(f"\nOne crawl killed {options.chain} times:\n")
        chain = crawls.killed("chain", alone.chain(options.chain), alone)
        print(_line(str(options.chain), "evenly", chain))
        disks = _fill_disks(crawls, alone, options.disks)
        every = [*outcomes, chain, *disks]
        figures = {
            "requests": requests,
            "kills": len(outcomes),
            "stages_met": len({stage for one in outcomes for stage in one.stages}),
            "largest_share": max(one.share for one in outcomes),
            "mean_share": sum(one.share for one in outcomes) / len(outcomes),
            "chain_kills": len(chain.struck),
            "chain_share_per_kill": chain.share,
            "full_disks": len(disks),
            "full_disk_largest_share": max((one.share for one in disks), default=None),
            "differences": sum(sum(one.differences.values()) for one in every),
            "torn": sum(len(one.torn) for one in every),
            "left": sum(len(one.left) for one in every),
        }
        print(f"\n{json.dumps(figures)}")


def _fill_disks(crawls: Interruptions, alone: Undisturbed, disks: int) -> list[Outcome]:
    """Crawls onto disks for the same parts of what a crawl needs, and prints what they come to."""
    print("\nA full disk, by the part of a crawl's bytes that it takes:\n")
    needed, outcomes = used(crawls.folder / "undisturbed"), []
    for number in range(1, disks + 1):
        part = number / (disks + 1)
        try:
            outcomes.append(crawls.filled(f"disk-{number}", int(part * needed), alone))
        except NoSmallDisk as reason:
            print(f"not here: {reason}")
            break
        print(_line(f"{number}", f"{part:.0%}", outcomes[-1]), flush=True)
    return outcomes


def _line(name: str, when: str, outcome: Outcome) -> str:
    differing = ", ".join(f"{table} {rows}" for table, rows in outcome.differences.items())
    return (
        f"| {name} | {when} | {', '.join(sorted(outcome.stages))} | {outcome.twice:,} "
        f"| {outcome.share:.2%} | {differing or 0} | {len(outcome.torn)}, {len(outcome.left)} |"
    )


if __name__ == "__main__":
    main()
