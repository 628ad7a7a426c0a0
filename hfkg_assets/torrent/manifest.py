"""`torrent/manifest`: every file of every selected model, pinned to a commit, before a download.

The Hub tells a repository's files at a commit a thousand a request, with size and content id. What
a commit holds never changes: a repository whose commit an earlier manifest has is not asked for.

Belongs here: listing files and adding them up. Does not: fetching them (`repositories`).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import polars as pl
from huggingface_hub.utils import filter_repo_objects

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_assets.torrent.file_kinds import KINDS, WEIGHTS, kind_of
from hfkg_assets.torrent.objects import ObjectStore
from hfkg_assets.torrent.settings import TorrentSettings
from hfkg_resources.crawl_journal import StageJournal, crawl_units
from hfkg_resources.errors import MalformedAnswer
from hfkg_resources.hub_client import HubClient
from hfkg_resources.record_table import RecordTable
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

MANIFEST = "torrent/manifest"

LISTED = (
    Column("id", pl.String(), "the model's id", required=True),
    Column("sha", pl.String(), "the commit", required=True),
    Column("path", pl.String(), "the file's path in the repository", required=True),
    Column("bytes", pl.Int64(), "its size", required=True),
    Column("git_oid", pl.String(), "git's id of the file, or of the pointer that stands for it"),
    Column("sha256", pl.String(), "digest of the content, where it is kept outside git"),
)
"""What the Hub tells of a file."""

MANIFEST_COLUMNS = (
    *LISTED,
    Column("key", pl.String(), "content id: equal files have equal ones", required=True),
    Column("kind", pl.String(), "weights, code, config, tokenizer, card or other", required=True),
    Column("is_wanted", pl.Boolean(), "whether the settings want it downloaded", required=True),
    Column("carried", pl.Boolean(), "known from an earlier manifest, not asked for", required=True),
)

RESERVE = 1_000_000_000
"""Bytes of the disk that a plan leaves free, or a twentieth of a small one: the store and Dagster
need room as well."""


def list_files(client: HubClient, model: str, sha: str | None) -> list[dict[str, Any]]:
    """All files of a model at a commit, as the Hub's tree tells them.

    Args:
        client: asks.
        model: its id.
        sha: the commit; None for the one that the Hub has now.

    Raises:
        HubError: the Hub does not tell.
    """
    path = f"/api/models/{quote(model)}"
    sha = sha or client.get_json(path).get("sha")
    if not sha:
        raise MalformedAnswer("the model has no commit", url=path)
    rows = []
    for page in client.pages(f"{path}/tree/{sha}", {"recursive": "true", "expand": "false"}):
        for entry in page.records:
            if entry.get("type") == "file":
                large = entry.get("lfs") or {}
                rows.append(
                    {
                        "id": model, "sha": sha, "path": entry.get("path"),
                        "bytes": large.get("size", entry.get("size")),
                        "git_oid": entry.get("oid"), "sha256": large.get("oid"),
                    }
                )  # fmt: skip
    return rows


def described(
    files: pl.LazyFrame, *, weights: bool, patterns: Sequence[str], carried: pl.Expr
) -> pl.LazyFrame:
    """Listed files with content id, kind, and whether they are wanted.

    Args:
        files: in the columns of `LISTED`.
        weights: whether weights are wanted.
        patterns: names that are wanted, in the manner of a shell.
        carried: whether a file is known from before.

    Returns:
        `torrent/manifest`, by id and path.
    """
    names = files.select("path").unique().collect()["path"]
    fitting = pl.Series(filter_repo_objects(names, allow_patterns=list(patterns)), dtype=pl.String)
    kind = kind_of(pl.col("path"))
    return (
        files.with_columns(
            key=pl.coalesce(
                pl.format("sha256:{}", "sha256"), pl.format("git:{}", "git_oid")
            ),
            kind=kind,
            is_wanted=pl.col("path").is_in(fitting.implode()) & (weights | (kind != WEIGHTS)),
            carried=carried,
        )
        .select(column.name for column in MANIFEST_COLUMNS)
        .sort("id", "path")
    )  # fmt: skip


def known_before(warehouse: Warehouse, day: str, wanted: pl.LazyFrame) -> pl.LazyFrame:
    """The files of those repositories whose commit the newest other manifest up to a date has.

    Args:
        warehouse: where manifests lie.
        day: the snapshot date; its own manifest counts too, should it be made again.
        wanted: `id` and `sha`.
    """
    days = [one for one in warehouse.dates(MANIFEST) if one <= day]
    if not days:
        return pl.LazyFrame(schema={column.name: column.dtype for column in LISTED})
    known = warehouse.scan(MANIFEST, days[-1]).select(column.name for column in LISTED)
    return known.join(wanted.select("id", "sha"), on=["id", "sha"], how="semi")


def totals(manifest: pl.DataFrame) -> pl.DataFrame:
    """Files and bytes by kind.

    Returns:
        `kind`, `files`, `bytes`, `distinct_bytes` (equal files counted once), `wanted_bytes`
        (of those wanted, counted once).
    """
    once = pl.col("key").is_first_distinct()
    wanted_once = pl.col("is_wanted") & once.over("is_wanted")
    by_kind = (
        manifest.with_columns(once=once, wanted_once=wanted_once)
        .group_by("kind")
        .agg(
            pl.len().alias("files"),
            pl.col("bytes").sum(),
            pl.col("bytes").filter("once").sum().alias("distinct_bytes"),
            pl.col("bytes").filter("wanted_once").sum().alias("wanted_bytes"),
        )
    )
    order = pl.DataFrame({"kind": KINDS})
    return order.join(by_kind, on="kind", how="left", maintain_order="left").fill_null(0)


def missing_objects(manifest: pl.LazyFrame, store: ObjectStore) -> pl.DataFrame:
    """The wanted contents that the store does not have, each once.

    Returns:
        `key`, `bytes`, and for each content the `id`, `sha` and `path` of every file that has it,
        as lists.
    """
    contents = (
        manifest.filter("is_wanted")
        .group_by("key", maintain_order=True)
        .agg(pl.col("bytes").first(), pl.col("id", "sha", "path"))
        .collect()
    )
    return contents.filter(~store.has(contents["key"], contents["bytes"]))


@snapshot_asset(
    MANIFEST,
    description="Every file of every selected model, pinned to its commit, with size and digest.",
    columns=MANIFEST_COLUMNS,
    ins={"selection": "torrent/selection"},
    kinds=("huggingface", "parquet"),
    code_version=code_version(described, known_before, list_files),
)
def manifest(
    context: dg.AssetExecutionContext,
    hub: HubSource,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
    selection: pl.LazyFrame,
) -> pl.DataFrame:
    day = context.partition_key
    known = known_before(warehouse, day, selection).collect()
    wanted = selection.join(known.lazy(), on=["id", "sha"], how="anti").collect()
    commits = dict(wanted.select("id", "sha").iter_rows())
    journal = _journal(warehouse, day)
    with hub.files_client(day) as client:
        crawl_units(
            journal,
            [f"{model}@{sha or 'main'}" for model, sha in commits.items()],
            lambda unit: list_files(client, *_model_and_sha(unit)),
            workers=hub.workers,
            log=context.log,
            describe="file lists",
            client=client,
        )
    # The journal may hold files of models that were selected by an earlier run.
    listed = (
        journal.scan()
        .select(column.name for column in LISTED)
        .join(wanted.lazy().select("id", asked="sha"), on="id")
        .filter(pl.col("asked").is_null() | (pl.col("asked") == pl.col("sha")))
        .drop("asked")
    )
    rows = described(
        pl.concat([listed.with_columns(new=True), known.lazy().with_columns(new=False)]),
        weights=torrent.weights == "yes",
        patterns=torrent.files,
        carried=~pl.col("new"),
    ).collect()
    unlisted = pl.concat([journal.missing(), journal.failures()]).sort("unit")
    if unlisted.height:
        context.log.warning("%d models do not tell their files", unlisted.height)
    context.add_output_metadata(_figures(rows, unlisted, journal.requests, warehouse))
    return rows


def _journal(warehouse: Warehouse, day: str) -> StageJournal:
    """What was listed for a date by a run that was interrupted, or for which some models failed."""
    folder = Path(warehouse.root, ".torrent", day)
    journal = StageJournal(folder, RecordTable(LISTED))
    if journal.finished and warehouse.path(MANIFEST, day).is_file():
        # Its rows are stored; what failed is asked for again.
        shutil.rmtree(folder)
        journal = StageJournal(folder, RecordTable(LISTED))
    return journal


def _model_and_sha(unit: str) -> tuple[str, str | None]:
    model, _, sha = unit.rpartition("@")
    return model, None if sha == "main" else sha


def _figures(
    rows: pl.DataFrame, unlisted: pl.DataFrame, requests: int, warehouse: Warehouse
) -> Mapping[str, Any]:
    missing = missing_objects(rows.lazy(), ObjectStore.of(warehouse))
    return {
        "hfkg/repositories": rows["id"].n_unique(),
        "hfkg/carried": rows.filter("carried")["id"].n_unique(),
        "hfkg/requests": requests,
        "hfkg/unlisted": unlisted.height,
        "hfkg/totals": dg.MetadataValue.md(markdown_table(totals(rows))),
        "hfkg/wanted_bytes": int(rows.filter("is_wanted")["bytes"].sum()),
        "hfkg/missing_bytes": int(missing["bytes"].sum()),
    }


FITS = "plan_fits"


@dataclass(frozen=True)
class Room:
    """Whether what is to be downloaded has room.

    Attributes:
        missing: bytes that the store does not have.
        free: bytes of the disk that may be used.
        budget: bytes that may be downloaded; None for no limit.
    """

    missing: int
    free: int
    budget: int | None

    @property
    def is_enough(self) -> bool:
        """Whether it fits both."""
        return self.missing <= min(self.free, self.free if self.budget is None else self.budget)

    def __str__(self) -> str:
        limits = f"{self.free:,} bytes of the disk may be used"
        if self.budget is not None:
            limits += f" and the budget is {self.budget:,}"
        advice = (
            ""
            if self.is_enough
            else ": select fewer models or files (HFKG_TORRENT_SELECT, HFKG_TORRENT_FILES, "
            "HFKG_TORRENT_WEIGHTS), raise HFKG_TORRENT_BUDGET, or point HFKG_ROOT to a larger disk"
        )
        return f"{self.missing:,} bytes are to be downloaded; {limits}{advice}"


def room_for(missing: pl.DataFrame, root: Path, budget: int | None) -> Room:
    """Room for contents on the disk that a folder is on.

    Args:
        missing: of `missing_objects`.
        root: the folder.
        budget: bytes that may be downloaded; None for no limit.
    """
    disk = shutil.disk_usage(root)
    reserve = min(RESERVE, disk.total // 20)
    return Room(int(missing["bytes"].sum()), max(disk.free - reserve, 0), budget)


@dg.asset_check(
    asset=key_of(MANIFEST),
    name=FITS,
    blocking=True,
    description="What is to be downloaded fits on the disk and into the budget; else nothing is.",
    partitions_def=SNAPSHOTS,
)
def plan_check(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
) -> dg.AssetCheckResult:
    missing = missing_objects(
        warehouse.scan(MANIFEST, context.partition_key), ObjectStore.of(warehouse)
    )
    room = room_for(missing, Path(warehouse.root), torrent.budget_bytes)
    return dg.AssetCheckResult(
        passed=room.is_enough,
        description=str(room),
        metadata={"hfkg/missing_bytes": room.missing, "hfkg/free_bytes": room.free},
    )
