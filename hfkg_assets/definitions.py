"""Everything put together, nothing else: assets, checks, jobs, resources."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import dagster as dg

from hfkg_assets.automation import JOBS
from hfkg_assets.exports.huggingkg import huggingkg_asset
from hfkg_assets.knowledge_graph.catalog import catalog_asset
from hfkg_assets.run_pruning import prune
from hfkg_assets.schedules import daily_snapshot, following
from hfkg_assets.sensors import dump_inbox, failed_runs
from hfkg_assets.snapshots import IO_MANAGER
from hfkg_assets.torrent.settings import torrent_settings
from hfkg_resources.settings import SettingError, one_of
from hfkg_resources.sources import PUBLIC_ENDPOINT, HubSource
from hfkg_resources.text_encoder import BACKENDS, TextEncoder
from hfkg_resources.warehouse import Warehouse

PACKAGED_ENCODER = "all-MiniLM-L6-v2"
LIVE_ENCODER = "BAAI/bge-base-en-v1.5"

MODULES = {
    "hub": "crawl coverage",
    "knowledge_graph": "entities relations verification graph balance statistics changes",
    "features": "documents embeddings bm25 node_features",
    "classification": "labels splits graph term_scores models baselines scoring leaderboard "
    "comparison report prediction",
    "tracing": "triples evidence embeddings scores leaderboard prediction",
    "recommendation": "likes leaderboard recommended",
    "retrieval": "facts indexes similar leaderboard",
    "torrent": "selection manifest repositories histories ptm_schema changes",
    "exports": "pyg libkge sslrec neo4j hub_dataset",
}
"""Package → its modules with assets and checks."""


def resources(environment: Mapping[str, str]) -> dict[str, Any]:
    """The platform's resources, set from environment variables.

    Raises:
        SettingError: a setting has a value that is not allowed.
    """

    def number(name: str, default: int, least: int = 1) -> int:
        text = environment.get(name, str(default))
        if not text.isdecimal() or int(text) < least:
            raise SettingError(f"{name}={text!r} is not allowed. Use a whole number from {least}")
        return int(text)

    source = environment.get("HFKG_SOURCE", "sample")
    root = environment.get("HFKG_ROOT") or "data"
    return {
        "hub": HubSource(
            source=source,
            dump=environment.get("HFKG_DUMP", ""),
            dump_date=environment.get("HFKG_DUMP_DATE", ""),
            scope=environment.get("HFKG_SCOPE", "all"),
            social=environment.get("HFKG_SOCIAL", "on"),
            endpoint=environment.get("HF_ENDPOINT") or PUBLIC_ENDPOINT,
            sample_repositories=number("HFKG_SAMPLE_REPOSITORIES", 1_500),
            sample_seed=number("HFKG_SAMPLE_SEED", 7),
            workers=number("HFKG_WORKERS", 48),
            refresh_days=number("HFKG_REFRESH_DAYS", 30, least=0),
        ),
        "warehouse": Warehouse(root=root),
        "torrent": torrent_settings(environment),
        "encoder": TextEncoder(
            model=environment.get("HFKG_ENCODER")
            or (LIVE_ENCODER if source in ("hub", "bulk") else PACKAGED_ENCODER),
            variants=environment.get("HFKG_TEXT_VARIANTS", "clean").split(","),
            backend=environment.get("HFKG_ENCODER_BACKEND", BACKENDS[0]),
            converted=f"{root}/.encoders",
        ),
    }


def executor(environment: Mapping[str, str]) -> dg.ExecutorDefinition:
    """The executor: in process, where a step costs a tenth of a second, unless asked otherwise.

    Raises:
        SettingError: unknown name.
    """
    known = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}
    name = environment.get("HFKG_EXECUTOR", "in_process")
    return known[one_of("HFKG_EXECUTOR", name, tuple(known))]


def build_defs(
    environment: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The platform's definitions.

    Args:
        environment: where settings are read.
        overrides: resources to use in place of those made from the settings.

    Raises:
        SettingError: a setting has a value that is not allowed.
    """
    modules = [
        import_module(f"hfkg_assets.{package}.{name}")
        for package, names in MODULES.items()
        for name in names.split()
    ]
    assets = [
        *dg.load_assets_from_modules(modules),
        huggingkg_asset(environment.get("HFKG_EXPORT_COMPAT", "default")),
    ]
    tables = [
        "/".join(key.path)
        for asset in assets
        if isinstance(asset, dg.AssetsDefinition)
        for key in asset.keys
        if asset.get_io_manager_key_for_asset_key(key) == IO_MANAGER  # others are files, no tables
    ]
    return dg.Definitions(
        assets=following([*assets, catalog_asset(tables)]),
        asset_checks=dg.load_asset_checks_from_modules(modules),
        jobs=[*JOBS, prune],
        schedules=[daily_snapshot],
        sensors=[dump_inbox, failed_runs],
        resources={**resources(environment), **(overrides or {})},
        executor=executor(environment),
    )


defs = build_defs()
