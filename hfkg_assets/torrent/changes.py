"""`torrent/changes`: what a date's selection has that the one before had not, model by model.

Belongs here: comparing two manifests. Does not: what is downloaded, which follows from what the
store has.
"""

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_assets.torrent.manifest import MANIFEST, MANIFEST_COLUMNS
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

ADDED, REMOVED, CHANGED, UNCHANGED = "added", "removed", "changed", "unchanged"

CHANGES = (
    Column("id", pl.String(), "the model's id", required=True),
    Column("change", pl.String(), "added, removed, changed or unchanged", required=True),
    Column("sha", pl.String(), "its commit on this date; null where it was removed"),
    Column("sha_before", pl.String(), "its commit on the date before; null where it was added"),
    Column("files", pl.Int64(), "wanted files on this date", required=True),
    Column("new_files", pl.Int64(), "those whose path it did not have before", required=True),
    Column("changed_files", pl.Int64(), "those whose content was another", required=True),
    Column("gone_files", pl.Int64(), "paths that it had before and has no more", required=True),
    Column("new_bytes", pl.Int64(), "bytes of new and changed files", required=True),
    Column("bytes", pl.Int64(), "bytes of all its wanted files", required=True),
)


def torrent_changes(now: pl.LazyFrame, before: pl.LazyFrame) -> pl.DataFrame:
    """What changed from one manifest to the next, among the wanted files.

    Args:
        now, before: `torrent/manifest` of two dates.

    Returns:
        `torrent/changes`, by id.
    """
    file = ["id", "path"]
    both = (
        now.filter("is_wanted")
        .select(*file, "key", "bytes", "sha")
        .join(
            before.filter("is_wanted").select(*file, key_before="key", sha_before="sha"),
            on=file,
            how="full",
            coalesce=True,
        )
        .with_columns(
            is_new=pl.col("key_before").is_null(),
            is_gone=pl.col("key").is_null(),
            is_changed=pl.col("key") != pl.col("key_before"),
        )
    )
    fresh = pl.col("is_new") | pl.col("is_changed").fill_null(False)
    by_model = both.group_by("id").agg(
        pl.col("sha", "sha_before").drop_nulls().first(),
        files=(~pl.col("is_gone")).sum(),
        new_files=pl.col("is_new").sum(),
        changed_files=pl.col("is_changed").sum(),
        gone_files=pl.col("is_gone").sum(),
        new_bytes=pl.col("bytes").filter(fresh).sum(),
        bytes=pl.col("bytes").sum(),
    )
    change = (
        pl.when(pl.col("sha_before").is_null()).then(pl.lit(ADDED))
        .when(pl.col("sha").is_null()).then(pl.lit(REMOVED))
        .when(pl.col("sha") != pl.col("sha_before")).then(pl.lit(CHANGED))
        .otherwise(pl.lit(UNCHANGED))
    )  # fmt: skip
    return (
        by_model.with_columns(change=change)
        .select(pl.col(column.name).cast(column.dtype) for column in CHANGES)
        .sort("id")
        .collect()
    )


@snapshot_asset(
    "torrent/changes",
    description="Per selected model what changed since the newest earlier selection.",
    columns=CHANGES,
    ins={"manifest": MANIFEST},
    code_version=code_version(torrent_changes),
)
def changes(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    manifest: pl.LazyFrame,
) -> pl.DataFrame:
    earlier = [day for day in warehouse.dates(MANIFEST) if day < context.partition_key]
    before = (
        warehouse.scan(MANIFEST, earlier[-1])
        if earlier
        else pl.LazyFrame(schema=schema_of(MANIFEST_COLUMNS))
    )
    rows = torrent_changes(manifest, before)
    counts = rows.group_by("change").agg(
        pl.len().alias("models"), pl.col("files", "new_files", "changed_files", "new_bytes").sum()
    )
    context.add_output_metadata(
        {
            "hfkg/before": earlier[-1] if earlier else "nothing",
            "hfkg/changes": dg.MetadataValue.md(markdown_table(counts.sort("change"))),
        }
    )
    return rows
