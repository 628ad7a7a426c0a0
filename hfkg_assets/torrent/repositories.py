"""`torrent/repositories`: the wanted files of the selected models, on disk as they are on the Hub.

`<root>/torrent/repositories/snapshot_date=YYYY-MM-DD/repos/AUTHOR/MODEL/…`, PTMTorrent's layout;
a model without an author stands under `_`. Every file is a link to its content in the shared store,
so what many models or dates have takes room once, and is fetched once.

Belongs here: which contents are fetched, and where they stand. Does not: how (`download`).
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_assets.torrent.download import FAILED, OK, Downloads, Outcome, contents_of
from hfkg_assets.torrent.manifest import MANIFEST, missing_objects
from hfkg_assets.torrent.objects import Corrupt, NotAKey, ObjectStore, verify
from hfkg_assets.torrent.settings import TorrentSettings
from hfkg_resources.atomic_write import link_or_copy, write_folder
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

REPOSITORIES = "torrent/repositories"
FOLDER = "repos"
NO_AUTHOR = "_"

READ_AGAIN = 10 * 1024**3
"""Bytes up to which the check reads everything once more; beyond, sizes must do: every content was
verified when it came."""

REPOSITORY_FILES = (
    Column("id", pl.String(), "the model's id", required=True),
    Column("sha", pl.String(), "the commit", required=True),
    Column("path", pl.String(), "the file's path in the repository", required=True),
    Column("bytes", pl.Int64(), "its size", required=True),
    Column("key", pl.String(), "content id", required=True),
    Column("kind", pl.String(), "weights, code, config, tokenizer, card or other", required=True),
    Column("status", pl.String(), "ok, failed (tried again next time) or withheld", required=True),
    Column("reason", pl.String(), "why it is not there"),
    Column("place", pl.String(), "where it stands, below this date's folder"),
)


def place_of(model: str, path: str) -> PurePosixPath | None:
    """Where a file of a model stands below the folder of a date.

    Ids and paths come from outside: one that would lead out of its own folder has no place.

    Args:
        model: its id.
        path: in the repository.

    Returns:
        `repos/AUTHOR/MODEL/path`, or None.
    """
    author, _, name = model.rpartition("/")
    parts = [author or NO_AUTHOR, name, *path.split("/")]
    is_safe = all(
        part not in ("", ".", "..")
        and len(os.fsencode(part.encode(errors="replace").decode())) <= 255
        and not any(sign in part for sign in "\0\\")
        for part in parts
    )
    return PurePosixPath(FOLDER, *parts) if is_safe and "/" not in author else None


def file_table(
    manifest: pl.DataFrame, outcomes: list[Outcome], in_store: pl.Series
) -> pl.DataFrame:
    """What became of every wanted file.

    Args:
        manifest: the wanted rows of `torrent/manifest`.
        outcomes: of contents that were not in the store.
        in_store: per row whether its content is there now.

    Returns:
        `torrent/repositories`, in the manifest's order.
    """
    schema = {"key": pl.String, "told": pl.String, "reason": pl.String}
    told = pl.DataFrame(
        [(one.content.key, one.status, one.reason) for one in outcomes], schema=schema, orient="row"
    )
    places = [place_of(*row) for row in manifest.select("id", "path").iter_rows()]
    return (
        manifest.with_columns(
            place=pl.Series([str(place) if place else None for place in places], dtype=pl.String),
            has=in_store,
        )
        .join(told, on="key", how="left", maintain_order="left")
        .with_columns(
            status=pl.when(pl.col("place").is_null()).then(pl.lit(FAILED))
            .when("has").then(pl.lit(OK))
            .otherwise(pl.col("told").fill_null(FAILED)),
            reason=pl.when(pl.col("place").is_null()).then(pl.lit("a name that is no safe path"))
            .when(~pl.col("has")).then(pl.col("reason")),
        )
        .with_columns(place=pl.when(pl.col("status") == OK).then("place"))
        .select(column.name for column in REPOSITORY_FILES)
    )  # fmt: skip


def link_files(files: pl.DataFrame, store: ObjectStore, folder: Path) -> None:
    """Puts every file that is there in its place, as a link to its content.

    Args:
        files: `torrent/repositories`.
        store: where contents are.
        folder: written to; places are below its parent.
    """
    there = files.filter(status=OK).select("key", "place")
    for key, place in there.iter_rows():
        link_or_copy(store.path(key), folder.joinpath(*PurePosixPath(place).parts[1:]))


@snapshot_asset(
    REPOSITORIES,
    description="The wanted files of the selected models, downloaded, verified, each stored once.",
    columns=REPOSITORY_FILES,
    ins={"manifest": MANIFEST},
    kinds=("huggingface", "parquet"),
    code_version=code_version(file_table, link_files, place_of),
)
def repositories(
    context: dg.AssetExecutionContext,
    hub: HubSource,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
    manifest: pl.LazyFrame,
) -> pl.DataFrame:
    day, store = context.partition_key, ObjectStore.of(warehouse)
    wanted = manifest.filter("is_wanted").collect()
    missing = missing_objects(wanted.lazy(), store)
    with hub.files_client(day) as client:
        downloads = Downloads(
            client, hub.token, store, workers=torrent.workers, log=context.log
        )  # fmt: skip
        outcomes = downloads.run(contents_of(missing))
        requests = dict(client.requests)
    files = file_table(wanted, outcomes, store.has(wanted["key"], wanted["bytes"]))
    folder = warehouse.directory(REPOSITORIES, day) / FOLDER
    write_folder(folder, lambda place: link_files(files, store, place))
    context.add_output_metadata(
        {
            "hfkg/folder": str(folder),
            "hfkg/requests_for_small_files": sum(requests.values()),
            **{
                f"hfkg/{name}": value for name, value in savings(manifest, files, downloads).items()
            },
            "hfkg/failures": failures_text(files),
        }
    )
    return files


def savings(manifest: pl.LazyFrame, files: pl.DataFrame, downloads: Downloads) -> dict[str, int]:
    """Bytes that were fetched, beside those that other ways would have taken.

    Returns:
        `files`, `failed_files`; `all_bytes`, what cloning everything takes at least; `wanted_bytes`
        of the files that are there; `distinct_bytes`, each content once; `fetched_bytes` in this
        run; `reused_bytes`, distinct ones that were there before.
    """
    there = files.filter(status=OK)
    distinct = int(there.unique("key")["bytes"].sum())
    return {
        "files": there.height,
        "failed_files": files.height - there.height,
        "all_bytes": int(manifest.select(pl.col("bytes").sum()).collect().item() or 0),
        "wanted_bytes": int(there["bytes"].sum()),
        "distinct_bytes": distinct,
        "fetched_bytes": downloads.fetched_bytes,
        "reused_bytes": distinct - downloads.fetched_bytes,
    }


def failures_text(files: pl.DataFrame) -> dg.MetadataValue:
    """Files that are not there, by reason."""
    missing = files.filter(pl.col("status") != OK)
    counted = missing.group_by("status", "reason").agg(
        pl.len().alias("files"), pl.col("id").first().alias("such as")
    )
    return dg.MetadataValue.md(markdown_table(counted.sort("files", descending=True).head(20)))


WHOLE, COMPLETE = "every_file_is_whole", "nothing_failed"


@dg.multi_asset_check(
    name="check_repositories",
    specs=[
        dg.AssetCheckSpec(
            WHOLE,
            asset=key_of(REPOSITORIES),
            description="Every file that is there is what the manifest says, by size and digest.",
            partitions_def=SNAPSHOTS,
        ),
        dg.AssetCheckSpec(
            COMPLETE,
            asset=key_of(REPOSITORIES),
            description="No file failed that the Hub would give; the next run tries those again.",
            partitions_def=SNAPSHOTS,
        ),
    ],
    can_subset=True,
)
def repository_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Any:
    day = context.partition_key
    files = warehouse.scan(REPOSITORIES, day).collect()
    wanted = {key.name for key in context.selected_asset_check_keys}
    if WHOLE in wanted:
        read = int(files.filter(status=OK).unique("key")["bytes"].sum()) <= READ_AGAIN
        faults = broken_files(files, warehouse.directory(REPOSITORIES, day), read=read)
        yield dg.AssetCheckResult(
            asset_key=key_of(REPOSITORIES),
            check_name=WHOLE,
            passed=not faults,
            metadata={
                "hfkg/broken": len(faults),
                "hfkg/digests_compared": read,
                "hfkg/sample": dg.MetadataValue.json(dict(list(faults.items())[:20])),
            },
        )
    if COMPLETE in wanted:
        failed = files.filter(status=FAILED)
        yield dg.AssetCheckResult(
            asset_key=key_of(REPOSITORIES),
            check_name=COMPLETE,
            passed=failed.is_empty(),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"hfkg/failed": failed.height, "hfkg/failures": failures_text(files)},
        )


def broken_files(files: pl.DataFrame, folder: Path, *, read: bool = True) -> Mapping[str, str]:
    """Files that are not what the manifest says: place → what is wrong with it.

    Args:
        files: `torrent/repositories`.
        folder: of the date.
        read: whether digests are compared too; each content is read once, whatever its links.
    """
    faults, verified = dict[str, str](), set[tuple[int, str]]()
    for key, size, place in files.filter(status=OK).select("key", "bytes", "place").iter_rows():
        try:
            found = os.stat(folder / place)
            if found.st_size != size:
                raise Corrupt(f"{found.st_size:,} bytes in place of {size:,}")
            if read and (found.st_ino, key) not in verified:
                verify(folder / place, key, size)
                verified.add((found.st_ino, key))
        except (Corrupt, NotAKey, OSError) as error:
            faults[place] = str(error)
    return faults
