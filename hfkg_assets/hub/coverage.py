"""`hub/ledger`, `hub/set_aside`, `hub/coverage`: what the crawl got, and what it did not.

The ledger has every unit of work, the records set aside stand beside it with their reason, and
coverage sums both up: a gap is always counted and named.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.snapshots import SNAPSHOTS, key_of
from hfkg_resources.crawl import JOURNALS, LEDGER, LEDGER_FILE, REPORT, SET_ASIDE_FILE
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

MAX_FAILED = 0.01
"""Above this share of failed units of any stage the coverage check fails."""

MAX_SET_ASIDE = 0.01
"""Above this share of unusable records of any stage the coverage check fails."""

MIN_LISTED = 0.8
"""Below this share of what the counters promise the counter check warns."""

PLAN_TOLERANCE = 0.05
PLAN_SLACK = 50
"""How far off the plan may be before its check warns: a share, or some requests if that is more."""

WALKS = ("models", "datasets", "spaces", "space_uses", "collections", "papers")
"""Stages whose failure leaves a gap of unknown size."""

COVERAGE = (
    Column("stage", pl.String(), "stage of the crawl", required=True),
    Column("expected", pl.Int64(), "units of work, or records of a listing", required=True),
    Column("fetched", pl.Int64(), "asked for and got", required=True),
    Column("unchanged", pl.Int64(), "taken over from the snapshot before", required=True),
    Column("deferred", pl.Int64(), "not asked for yet: their turn comes", required=True),
    Column(
        "missing",
        pl.Int64(),
        "the Hub says: gone, gated, disabled, too large; or has no past",
        required=True,
    ),
    Column("failed", pl.Int64(), "given up after retries; tried again next time", required=True),
    Column("set_aside", pl.Int64(), "records that lack what they must have", required=True),
    Column("rows", pl.Int64(), "rows stored", required=True),
    Column("counted", pl.Int64(), "rows that the Hub's own counters promise, where there are any"),
    Column("requests", pl.Int64(), "requests made, retries and redirects included", required=True),
)

SET_ASIDE = (
    Column("stage", pl.String(), "stage of the crawl", required=True),
    Column("unit", pl.String(), "what was asked for; null in a listing"),
    Column("index", pl.Int64(), "its place in its shard", required=True),
    Column("column", pl.String(), "the column at fault; empty if it is the record", required=True),
    Column("expected", pl.String(), "what should have been there", required=True),
    Column("got", pl.String(), "what was", required=True),
    Column("excerpt", pl.String(), "the beginning of the record", required=True),
)


def coverage(
    reports: Sequence[Mapping[str, object]], counted: Mapping[str, int] | None = None
) -> pl.DataFrame:
    """Stage reports as a table, sorted by stage.

    Args:
        reports: see `StageReport`; one may bring its own `counted`.
        counted: rows that counters promise, by stage.
    """
    rows = [{"counted": (counted or {}).get(str(report["stage"])), **report} for report in reports]
    return pl.DataFrame(rows, schema=schema_of(COVERAGE)).sort("stage")


def promised(warehouse: Warehouse, day: str) -> dict[str, int]:
    """Rows that the Hub's counters promise, by stage: likes, followers, members."""
    likes = pl.concat(
        warehouse.scan(f"hub/{kind}", day).select("likes")
        for kind in ("models", "datasets", "spaces")
    )
    accounts = warehouse.scan("hub/accounts", day)
    # Of accounts without a counter the list itself is all there is.
    uncounted = accounts.filter(pl.col("numFollowers").is_null())
    listed = warehouse.scan("hub/followers", day).join(uncounted, on=["kind", "name"], how="semi")
    return {
        "likers": _total(likes, "likes"),
        "followers": _total(accounts, "numFollowers") + _total(listed.select(pl.len()), "len"),
        "members": _total(accounts, "numUsers"),
    }


def _total(frame: pl.LazyFrame, column: str) -> int:
    return int(frame.select(pl.col(column).sum()).collect().item() or 0)


def ledger(folder: Path) -> pl.LazyFrame:
    """The ledgers of all stages whose journals lie in a folder, sorted by stage and unit."""
    empty = pl.LazyFrame(schema=schema_of(LEDGER))
    return pl.concat([empty, *map(pl.scan_parquet, _files(folder, LEDGER_FILE))]).sort(
        "stage", "unit"
    )


def set_aside(folder: Path) -> pl.LazyFrame:
    """The records that all stages set aside, sorted by stage."""
    schema = schema_of(SET_ASIDE)
    parts = [
        pl.scan_parquet(file)
        .with_columns(stage=pl.lit(file.name.removesuffix(SET_ASIDE_FILE)))
        .select(schema.names())
        for file in _files(folder, SET_ASIDE_FILE)
    ]
    return pl.concat([pl.LazyFrame(schema=schema), *parts]).sort("stage", "unit", "index")


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*/*{suffix}"))


def coverage_of(warehouse: Warehouse, day: str) -> pl.LazyFrame:
    """Coverage of a stored snapshot, from its reports and the tables' counters."""
    files = _files(journals(warehouse, day), REPORT)
    return coverage(
        [json.loads(path.read_bytes()) for path in files], promised(warehouse, day)
    ).lazy()


def journals(warehouse: Warehouse, day: str) -> Path:
    """The folder that the journals of a snapshot's crawl lie in."""
    return Path(warehouse.root, JOURNALS, day)


@dataclass(frozen=True)
class Summary:
    """A table about the crawl itself, made when all raw tables are stored.

    Attributes:
        description: what one row is.
        columns: declared columns.
        rows: makes it of the stored snapshot of a date.
    """

    description: str
    columns: Sequence[Column]
    rows: Callable[[Warehouse, str], pl.LazyFrame]


SUMMARIES: Mapping[str, Summary] = {
    "set_aside": Summary(
        "Every record that could not be made into a row, with the reason.",
        SET_ASIDE,
        lambda warehouse, day: set_aside(journals(warehouse, day)),
    ),
    "coverage": Summary(
        "Per stage: expected, fetched, unchanged, deferred, missing, failed, set aside, requests.",
        COVERAGE,
        coverage_of,
    ),
    "ledger": Summary(
        "Every unit of work of the crawl, what became of it, and when it was asked for.",
        LEDGER,
        lambda warehouse, day: ledger(journals(warehouse, day)),
    ),
}
"""By short name, in the order in which they are stored: the ledger makes the snapshot whole."""


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            name=name,
            asset=key_of("hub/coverage"),
            description=description,
            partitions_def=SNAPSHOTS,
        )
        for name, description in (
            (
                "nothing_lost",
                "Every unit is accounted for; no listing ended early; no stage has more than "
                f"{MAX_FAILED:.0%} failed units or {MAX_SET_ASIDE:.0%} records set aside.",
            ),
            (
                "plan_held",
                f"The crawl took what the plan said, within {PLAN_TOLERANCE:.0%} or {PLAN_SLACK} "
                "requests.",
            ),
            (
                "lists_agree_with_counters",
                f"Likers, followers and members listed are at least {MIN_LISTED:.0%} of what the "
                "Hub counts; removed accounts and hidden lists are counted but not listed.",
            ),
        )
    ]
)
def coverage_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Any:
    table = warehouse.scan("hub/coverage", context.partition_key).collect()
    plan = warehouse.scan("hub/crawl_plan", context.partition_key).collect()
    yield judge_coverage(table)
    yield judge_plan(int(plan["requests"].sum()), int(table["requests"].sum()))
    yield judge_counters(table)


def judge_coverage(table: pl.DataFrame) -> dg.AssetCheckResult:
    """Fails where too much failed or was set aside, or a unit is unaccounted for; names stages."""
    units = pl.max_horizontal("expected", "rows", pl.lit(1))
    accounted = pl.sum_horizontal("fetched", "unchanged", "deferred", "missing", "failed")
    walk = pl.col("stage").str.replace(r"-\d+$", "").is_in(WALKS)
    bad = table.filter(
        (pl.col("failed") / units > MAX_FAILED)
        | (pl.col("set_aside") / units > MAX_SET_ASIDE)
        | (pl.col("expected") != accounted)
        | (walk & (pl.col("failed") > 0))
    )
    return dg.AssetCheckResult(
        asset_key=key_of("hub/coverage"),
        check_name="nothing_lost",
        passed=bad.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "stages": ", ".join(bad["stage"]) or "none",
            "failed": int(table["failed"].sum()),
            "set_aside": int(table["set_aside"].sum()),
        },
    )


def judge_plan(planned: int, made: int) -> dg.AssetCheckResult:
    """Warns where the crawl took much more or less than planned: retries, or a wrong estimate."""
    return dg.AssetCheckResult(
        asset_key=key_of("hub/coverage"),
        check_name="plan_held",
        passed=abs(planned - made) <= max(PLAN_SLACK, PLAN_TOLERANCE * made),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"planned": planned, "made": made},
    )


def judge_counters(table: pl.DataFrame) -> dg.AssetCheckResult:
    """Warns where lists hold much less than the Hub's counters promise."""
    shares = table.filter(pl.col("counted") > 0).select(
        "stage", share=pl.col("rows") / pl.col("counted")
    )
    few = shares.filter(pl.col("share") < MIN_LISTED)
    return dg.AssetCheckResult(
        asset_key=key_of("hub/coverage"),
        check_name="lists_agree_with_counters",
        passed=few.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={stage: round(share, 4) for stage, share in shares.iter_rows()},
    )
