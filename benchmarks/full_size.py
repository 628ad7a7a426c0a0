"""The graph at HuggingKG's size: raw tables → nodes and edges, by hfkg and in HuggingKG's way.

    .venv/bin/python benchmarks/full_size.py [--scale 0.01] [--root DIR] [--without-plain]

The sample world is written straight as raw tables, of two days, so that there are changes. Each
contender runs in a process of its own and begins with what lies on disk: hfkg by its functions
alone, then all assets but those of the crawl through Dagster, then plain Python over the same
records as JSON lines (`huggingkg_way.py`). Peak memory is the largest resident set that the system
noted for the process. Dagster's overhead is what its run takes longer than the same functions,
stores and checks called one after the other.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

DAYS = (date(2026, 11, 23), date(2026, 11, 24))
REPOSITORIES = 1_772_000
"""Models, datasets and Spaces of HuggingKG's snapshot."""

HERE = Path(__file__).resolve().parent
GIB = 2**20  # of the kibibytes that the system notes


class Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.steps[step] = self.steps.get(step, 0.0) + time.monotonic() - started


def peak_gib() -> float:
    """Largest resident set of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


# --- what runs in processes of its own ----------------------------------------------------------


def write_world(root: Path, repositories: int) -> dict[str, Any]:
    """Writes the raw tables of both days, and the records of the second as JSON lines."""
    from hfkg_assets.hub.world import world_tables
    from hfkg_resources.sample_hub.world import World
    from hfkg_resources.warehouse import Warehouse

    started, warehouse = time.monotonic(), Warehouse(root=str(root / "hfkg"))
    world = World(repositories=repositories)
    for day in DAYS:
        for name, rows in world_tables(world, day).items():
            warehouse.write(f"hub/{name}", day, rows)
    raw = root / "raw"
    raw.mkdir(exist_ok=True)
    for name in (
        "tasks", "tags", "models", "datasets", "spaces", "collections", "papers", "accounts",
        "likers", "followers", "members",
    ):  # fmt: skip
        warehouse.scan(f"hub/{name}", DAYS[1]).sink_ndjson(raw / f"{name}.jsonl")
    return {"seconds": time.monotonic() - started, "peak_gib": peak_gib()}


def run_functions(root: Path, day: str) -> dict[str, Any]:
    """hfkg's own functions and store, step by step."""
    import polars as pl

    from hfkg_assets.knowledge_graph import statistics
    from hfkg_assets.knowledge_graph.changes import GraphOfDay, changes, previous_date
    from hfkg_assets.knowledge_graph.degrees import degrees
    from hfkg_assets.knowledge_graph.entities import BUILDERS, build_entity
    from hfkg_assets.knowledge_graph.graph import edges, nodes
    from hfkg_assets.knowledge_graph.relations import IN_TAGS, observe, observe_in_tags
    from hfkg_assets.knowledge_graph.verification import check_relation, verify
    from hfkg_assets.vocabulary import ENTITIES, RELATIONS
    from hfkg_resources.warehouse import Warehouse

    warehouse, watch = Warehouse(root=str(root / "hfkg")), Stopwatch()

    def scan(table: str) -> pl.LazyFrame:
        return warehouse.scan(table, day)

    with watch("entities"):
        for entity in ENTITIES.values():
            rows = build_entity(entity, *map(scan, BUILDERS[entity.name][1]))
            warehouse.write(f"entity/{entity.name}", day, rows)
    with watch("relations"):
        for listing, relations in IN_TAGS.items():
            sources = {table: scan(table) for one in relations for table in one.sources}
            for relation, rows in observe_in_tags(listing, relations, sources):
                warehouse.write(f"relation/{relation.name}", day, rows)
        tagged = {relation.name for relations in IN_TAGS.values() for relation in relations}
        for relation in RELATIONS.values():
            if relation.name not in tagged:
                rows = observe(relation, {table: scan(table) for table in relation.sources})
                warehouse.write(f"relation/{relation.name}", day, rows)
    with watch("verification"):
        for relation in RELATIONS.values():
            verdict = verify(
                relation,
                scan(f"relation/{relation.name}"),
                scan(f"entity/{relation.subject}"),
                scan(f"entity/{relation.object}"),
                scan("hub/aliases"),
            )
            warehouse.write(f"verified/{relation.name}", day, verdict.verified)
            warehouse.write(f"rejected/{relation.name}", day, verdict.rejected)
    with watch("nodes"):
        entities = {name: scan(f"entity/{name}") for name in ENTITIES}
        warehouse.write("graph/node", day, nodes(entities))
    with watch("edges"):
        verified = {name: scan(f"verified/{name}") for name in RELATIONS}
        warehouse.write("graph/edge", day, edges(scan("graph/node"), verified))
    graph_peak = peak_gib()
    with watch("checks"):
        for name, relation in RELATIONS.items():
            tables = {
                "observed": scan(f"relation/{name}"),
                "verified": scan(f"verified/{name}"),
                "rejected": scan(f"rejected/{name}"),
                "subjects": scan(f"entity/{relation.subject}").select("id"),
                "objects": scan(f"entity/{relation.object}").select("id"),
            }
            assert all(passed for _, passed, _ in check_relation(relation, tables)), name
    with watch("statistics"):
        rejected = {name: scan(f"rejected/{name}") for name in RELATIONS}
        degree = degrees(scan("graph/node"), scan("graph/edge"))
        rows = statistics.statistics(scan("graph/node"), scan("graph/edge"), rejected, degree)
        warehouse.write("graph/statistics", day, rows)
    with watch("figures"):
        others = statistics.counts_of_other_dates(warehouse, day)
        statistics.figures(rows, degree, others, day)
    if previous := previous_date(warehouse, day):
        with watch("changes"):
            rows = changes(GraphOfDay(warehouse, previous), GraphOfDay(warehouse, day))
            warehouse.write("graph/changes", day, rows)
    return {
        "steps": watch.steps,
        "graph_peak_gib": graph_peak,
        "peak_gib": peak_gib(),
        "nodes": scan("graph/node").select(pl.len()).collect().item(),
        "edges": scan("graph/edge").select(pl.len()).collect().item(),
    }


def run_dagster(root: Path, day: str) -> dict[str, Any]:
    """All assets of the snapshot job but the crawl's, on an instance with its SQLite files."""
    import dagster as dg

    from hfkg_assets.definitions import build_defs

    home = root / "dagster"
    home.mkdir(exist_ok=True)
    shutil.copy(HERE.parent / "dagster.yaml", home)
    os.chdir(home)  # its paths are relative
    defs = build_defs({"HFKG_ROOT": str(root / "hfkg")})
    job = defs.resolve_job_def("snapshot")
    keys = [key for key in job.asset_layer.selected_asset_keys if key.path[0] != "hub"]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        started = time.monotonic()
        result = job.execute_in_process(instance=instance, partition_key=day, asset_selection=keys)
        seconds = time.monotonic() - started
    return {
        "seconds": seconds,
        "peak_gib": peak_gib(),
        "assets": len(result.get_asset_materialization_events()),
        "checks": len(result.get_asset_check_evaluations()),
    }


# --- the parent ---------------------------------------------------------------------------------

TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "world": write_world,
    "functions": run_functions,
    "dagster": run_dagster,
}
GRAPH_STEPS = ("entities", "relations", "verification", "nodes", "edges")


def in_process(task: str, *arguments: object) -> dict[str, Any]:
    """Runs a task in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    print(f"… {task} {' '.join(map(str, arguments[1:]))}", file=sys.stderr, flush=True)
    return last_line([sys.executable, str(HERE / "full_size.py"), "--task", task, *arguments])


def last_line(command: list[object]) -> dict[str, Any]:
    """The JSON object that a process prints last, with its peak memory."""
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command}: failed")
    return {"peak_gib": usage.ru_maxrss / GIB, **json.loads(lines[-1])}


def measure(root: Path, scale: float, *, with_plain: bool) -> dict[str, Any]:
    """All contenders on one world."""
    repositories = max(300, round(REPOSITORIES * scale))
    if not (root / "raw" / "members.jsonl").exists():
        in_process("world", root, repositories)
    in_process("functions", root, DAYS[0])
    ours = in_process("functions", root, DAYS[1])
    dagster = in_process("dagster", root, DAYS[1])
    steps = ours["steps"]
    seconds = sum(steps[step] for step in GRAPH_STEPS)
    figures = {
        "nodes": ours["nodes"],
        "edges": ours["edges"],
        "seconds": round(seconds, 1),
        "peak_gib": round(ours["graph_peak_gib"], 2),
        "steps": {step: round(took, 1) for step, took in steps.items()},
        "dagster_seconds": round(dagster["seconds"], 1),
        "dagster_peak_gib": round(dagster["peak_gib"], 2),
        "dagster_overhead": round(1 - sum(steps.values()) / dagster["seconds"], 3),
        "dagster_assets": dagster["assets"],
        "dagster_checks": dagster["checks"],
    }
    if with_plain:
        print("… HuggingKG's way", file=sys.stderr, flush=True)
        script = HERE / "huggingkg_way.py"
        plain = last_line([sys.executable, script, root / "raw", root / "plain"])
        figures |= {
            "plain_seconds": round(plain["seconds"], 1),
            "plain_peak_gib": round(plain["peak_gib"], 2),
            "speedup": round(plain["seconds"] / seconds, 1),
            "plain_edges": sum(plain["relations"].values()),
            "plain_nodes": plain["nodes"],
        }
    return figures


def main() -> None:
    """Measures, prints a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--root", type=Path, help="keeps the world for another run")
    parser.add_argument("--without-plain", action="store_true")
    parser.add_argument("--task", nargs=3, metavar=("NAME", "ROOT", "WHAT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        name, root, what = options.task
        argument = int(what) if name == "world" else what
        print(json.dumps(TASKS[name](Path(root), argument)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = options.root or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        figures = measure(root, options.scale, with_plain=not options.without_plain)
    print(f"{figures['nodes']:,} nodes, {figures['edges']:,} edges")
    print("| step | seconds |\n| --- | ---: |")
    for step, seconds in figures["steps"].items():
        print(f"| {step} | {seconds} |")
    print(f"| **raw to nodes and edges** | **{figures['seconds']}** |")
    print(f"| through Dagster, with checks, statistics, changes | {figures['dagster_seconds']} |")
    if "plain_seconds" in figures:
        print(f"| HuggingKG's way | {figures['plain_seconds']} |")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
