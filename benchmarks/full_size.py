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

    from hfkg_assets.knowledge_graph import changes, statistics
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
        rows = statistics.statistics(scan("graph/node"), scan("graph/edge"), rejected)
        warehouse.write("graph/statistics", day, rows)
    del changes  # TODO
    return {
        "steps": watch.steps,
        "graph_peak_gib": graph_peak,
        "peak_gib": peak_gib(),
        "nodes": scan("graph/node").select(pl.len()).collect().item(),
        "edges": scan("graph/edge").select(pl.len()).collect().item(),
    }
