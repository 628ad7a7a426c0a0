"""Bytes and requests of a torrent, against cloning everything and against `snapshot_download`.

The sample Hub is downloaded from on two dates: as PTMTorrent would (every file of every selected
repository, again on each date), with huggingface_hub's own `snapshot_download` one repository after
another, and as `torrent/repositories` does. What a clone with large files takes is at least the
bytes of all files; git keeps every large one twice, once for its history.

    python -m benchmarks.torrent [--repositories 1500] [--select top:0.3] [--json FILE]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import disable_progress_bars

from hfkg_assets.definitions import build_defs
from hfkg_assets.text_table import text_table
from hfkg_assets.torrent.manifest import MANIFEST
from hfkg_resources.sample_hub.server import RunningServer, create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.warehouse import Warehouse

DAYS = ("2026-10-24", "2026-11-24")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=1_500)
    parser.add_argument("--select", default="top:0.3")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(create_app(World(repositories=options.repositories))) as server,
    ):
        figures = measure(Path(folder), server, options.repositories, options.select)
    print(text_table("Downloads of a torrent", pl.DataFrame(figures["rows"])))
    text = json.dumps(figures)
    if options.json:
        options.json.write_text(text)
    print(text)


def measure(root: Path, server: RunningServer, repositories: int, select: str) -> dict[str, Any]:
    """All ways, with and without weights."""
    rows = []
    for weights in ("no", "yes"):
        store = root / weights
        environment = {
            "HFKG_SAMPLE_REPOSITORIES": str(repositories), "HFKG_ROOT": str(store),
            "HFKG_TORRENT_SELECT": select, "HFKG_TORRENT_WEIGHTS": weights,
        }  # fmt: skip
        for day in DAYS:
            run("snapshot", day, {**environment, "HFKG_SOURCE": "world"})
            endpoint = f"{server.url}/{day}"
            before = server.requests.total()
            started = time.perf_counter()
            metadata = run(
                "torrent", day, {**environment, "HFKG_SOURCE": "hub", "HF_ENDPOINT": endpoint}
            )
            seconds = time.perf_counter() - started
            told = metadata["torrent/repositories"]
            rows.append(
                {
                    "weights": weights, "date": day, "way": "hfkg",
                    "bytes": told["hfkg/fetched_bytes"],
                    "stored": told["hfkg/distinct_bytes"],
                    "requests": server.requests.total() - before,
                    "seconds": round(seconds, 2),
                }
            )  # fmt: skip
            manifest = Warehouse(root=str(store)).scan(MANIFEST, day).collect()
            rows += plain(root / f"plain-{weights}-{day}", server, endpoint, day, weights, manifest)
            rows.append(
                {
                    "weights": weights, "date": day, "way": "clone everything, at least",
                    "bytes": told["hfkg/all_bytes"], "stored": told["hfkg/all_bytes"],
                    "requests": None, "seconds": None,
                }
            )  # fmt: skip
    return {"select": select, "repositories": repositories, "rows": rows}


def plain(
    folder: Path, server: RunningServer, endpoint: str, day: str, weights: str,
    manifest: pl.DataFrame,
) -> list[dict[str, Any]]:  # fmt: skip
    """The same files by huggingface_hub's `snapshot_download`, a repository at a time."""
    disable_progress_bars()
    before, started = server.requests.total(), time.perf_counter()
    wanted = manifest.filter("is_wanted")
    for (model, sha), files in wanted.group_by("id", "sha", maintain_order=True):
        try:
            snapshot_download(
                model, revision=sha, endpoint=endpoint, local_dir=folder / model, token=False,
                allow_patterns=files["path"].to_list(),
            )  # fmt: skip
        except HfHubHTTPError:
            continue  # gated or disabled
    seconds = time.perf_counter() - started
    size = sum(
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and ".cache" not in file.parts
    )
    return [
        {
            "weights": weights, "date": day, "way": "snapshot_download", "bytes": size,
            "stored": size, "requests": server.requests.total() - before,
            "seconds": round(seconds, 2),
        }
    ]  # fmt: skip


def run(job: str, day: str, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Runs a job; returns the metadata of its materializations by asset."""
    definition = build_defs(environment).resolve_job_def(job)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definition.execute_in_process(
            instance=instance, partition_key=day, run_config=QUIET
        )
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


if __name__ == "__main__":
    main()
