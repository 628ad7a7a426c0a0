"""What giving a snapshot to other tools costs, and taking it in again.

    .venv/bin/python benchmarks/full_size.py --scale 0.1 --root DIR
    .venv/bin/python benchmarks/exchange.py --root DIR

On the graph that `full_size.py` left in a folder: every export, the import of the HuggingKG export
as a dump, and the largest relation's file against `json.dump(records, file, indent=4)`. Each runs
through Dagster in a process of its own; peak memory is the largest resident set that the system
noted for it. The sample world has no card texts here.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from full_size import DAYS, last_line, peak_gib

DAY = str(DAYS[1])
FORMATS = ("huggingkg", "pyg", "libkge", "sslrec", "neo4j", "hub_dataset")
LARGEST = "user_like_model"


def materialize(root: Path, name: str, job: str, settings: dict[str, str]) -> dict[str, Any]:
    """Runs a job, or one asset of it, on a store."""
    import dagster as dg

    from hfkg_assets.definitions import build_defs

    defs = build_defs({"HFKG_ROOT": str(root), **settings})
    chosen = [dg.AssetKey(["export", name])] if job == "export" else None
    with dg.DagsterInstance.ephemeral() as instance:
        started = time.monotonic()
        defs.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=DAY, asset_selection=chosen
        )
        seconds = time.monotonic() - started
    return {"seconds": seconds, "peak_gib": peak_gib()}


def write_relation(root: Path, _: str) -> dict[str, Any]:
    """One relation's file, by hfkg and by Python's `json`."""
    from hfkg_assets.exports.folder import Snapshot
    from hfkg_assets.exports.huggingkg import edge_records
    from hfkg_assets.exports.json_array import write_array
    from hfkg_assets.vocabulary import RELATIONS
    from hfkg_resources.warehouse import Warehouse

    ours, theirs = root / "ours.json", root / "theirs.json"
    snapshot = Snapshot(Warehouse(root=str(root)), DAY)
    started = time.monotonic()
    with Path(os.devnull).open("wb") as triples:
        records = write_array(ours, edge_records(snapshot, RELATIONS[LARGEST], triples))
    seconds = time.monotonic() - started
    loaded = json.loads(ours.read_bytes())
    started = time.monotonic()
    with theirs.open("w", encoding="utf-8") as file:
        json.dump(loaded, file, indent=4)
    plain = time.monotonic() - started
    assert ours.read_bytes() == theirs.read_bytes()
    ours.unlink()
    theirs.unlink()
    return {
        "records": records,
        "records_per_s": round(records / seconds),
        "plain_records_per_s": round(records / plain),
        "speedup": round(plain / seconds, 1),
    }


def take_in(root: Path, _: str) -> dict[str, Any]:
    """The HuggingKG export as a dump: all raw tables of a new store."""
    dump = root / "export" / "huggingkg" / f"snapshot_date={DAY}"
    store = root.parent / "taken_in"
    shutil.rmtree(store, ignore_errors=True)
    settings = {"HFKG_SOURCE": "dump", "HFKG_DUMP": str(dump), "HFKG_DUMP_DATE": DAY}
    return materialize(store, "", "crawl", settings)


def main() -> None:
    """Measures, prints a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a folder that full_size.py kept")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    store = options.root.resolve() / "hfkg"
    if options.task:
        tasks = {"dump": take_in, "json": write_relation}
        task = tasks.get(options.task, lambda root, name: materialize(root, name, "export", {}))
        print(json.dumps(task(store, options.task)))
        return
    figures: dict[str, Any] = {}
    for task in (*FORMATS, "dump", "json"):
        print(f"… {task}", file=sys.stderr, flush=True)
        figures[task] = last_line(
            [sys.executable, Path(__file__), "--root", options.root, "--task", task]
        )
        folder = store / "export" / task
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if size:
            figures[task]["mib"] = round(size / 2**20)
    print("| | seconds | peak GiB | MiB |\n| --- | ---: | ---: | ---: |")
    for task, found in figures.items():
        if "seconds" in found:
            row = (f"{found['seconds']:.1f}", f"{found['peak_gib']:.2f}", found.get("mib", ""))
            print(f"| {task} | {' | '.join(map(str, row))} |")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
