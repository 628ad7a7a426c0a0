"""`runs.json`: how each training run of a learner went, and what it cost.

Belongs here: one run's record, its file, and how its memory is measured. Does not: predictions,
which are the learner's table, and weights, which are in bundles. Needs no torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from hfkg_resources.atomic_write import write_atomically

RUNS = "runs.json"


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        variant, protocol, seed: which run it is.
        best_epoch: the epoch whose weights are kept, from 0.
        losses: training loss per epoch.
        scores: validation score per epoch; greater is better.
        seconds: wall-clock time of training and prediction.
        peak_mib: by how much the process grew at its peak; null where that cannot be measured.
        options: what the run was told.
    """

    variant: str
    protocol: str
    seed: int
    best_epoch: int
    losses: list[float]
    scores: list[float]
    seconds: float
    peak_mib: float | None
    options: dict[str, Any]


def write_runs(directory: Path, runs: Iterable[Run]) -> Path:
    """Stores the runs beside a learner's table; the file is there whole or not at all."""
    path = directory / RUNS
    content = orjson.dumps([asdict(run) for run in runs], option=orjson.OPT_INDENT_2)
    write_atomically(path, lambda file: file.write_bytes(content))
    return path


def read_runs(directory: Path) -> list[Run]:
    """The runs beside a learner's table.

    Raises:
        FileNotFoundError: the learner has not been trained there.
    """
    return [Run(**run) for run in orjson.loads((directory / RUNS).read_bytes())]


@dataclass
class Cost:
    """What a block took: wall-clock seconds, and MiB of growth at its peak."""

    seconds: float = 0.0
    peak_mib: float | None = field(default=None)


@contextmanager
def measured() -> Iterator[Cost]:
    """Measures a block; the result is filled when the block ends.

    Memory is the peak of resident memory within the block less what was resident at its start.
    Pages that the allocator kept from an earlier block do not count again. Linux only.
    """
    cost = Cost()
    before = _reset_peak()
    started = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        if before is not None:
            cost.peak_mib = max(0.0, _resident_kib("VmHWM") - before) / 1024


def _reset_peak() -> int | None:
    """Sets the kernel's record of this process's peak back to now; KiB resident, if it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _resident_kib("VmRSS")
    except OSError:  # another system, or not allowed
        return None


def _resident_kib(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0])
