"""Reading columns of somebody else's Parquet files as columns of ours, whatever types they have.

Belongs here: what a value of one type is in another without losing anything, and what becomes of
columns and rows for which there is none. Does not: which file has which columns.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from hfkg_resources.record_table import EXCERPT
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

GOT = 60
"""Characters of a value that are shown of it."""

ASIDE = pl.Schema(
    {
        "index": pl.Int64(),
        "column": pl.String(),
        "expected": pl.String(),
        "got": pl.String(),
        "excerpt": pl.String(),
        "unit": pl.String(),
    }
)
"""As `SetAside`: a record, or a whole column if `excerpt` is empty."""

log = logging.getLogger(__name__)


class MissingColumn(Exception):
    """A file lacks a column without which its rows mean nothing."""


@dataclass(frozen=True)
class FileRows:
    """What a file gave.

    Attributes:
        rows: in the declared columns.
        aside: what could not be read, in the columns of `ASIDE`: rows, and before them columns.
        aside_records: rows among them.
    """

    rows: pl.LazyFrame
    aside: pl.DataFrame
    aside_records: int


def read_columns(
    file: pl.LazyFrame,
    columns: Sequence[Column],
    source: str,
    *,
    needs: Sequence[str] = ("id",),
    instead: Mapping[str, str] | None = None,
    broken: Mapping[str, pl.Expr] | None = None,
) -> FileRows:
    """The declared columns of a file.

    A column that is missing, or has a type from which there is no way, is null and reported. A row
    with a value that does not become one of ours, or lacks one that it must have, is set aside.

    Args:
        file: as published.
        columns: what is wanted.
        source: what the file is called in messages.
        needs: columns without which nothing is read.
        instead: column → the one that stands in for it where it is missing.
        broken: column → rows in which it was found to be unreadable before.

    Raises:
        MissingColumn: one of `needs` is missing or unreadable.
    """
    schema = file.collect_schema()
    values: dict[str, pl.Expr] = {}
    faults: list[_Fault] = []
    lost: list[tuple[str, str, str]] = []
    for column in columns:
        name, have = column.name, schema.get(column.name)
        value = None if have is None else _reading(pl.col(name), have, column)
        if value is not None:
            values[name] = value
            faults.append(_Fault.of(column, schema, value, (broken or {}).get(name)))
            continue
        got = "no such column" if have is None else str(have)
        if name in needs:
            raise MissingColumn(
                f"{source}: column {name!r} is needed as {column.dtype}, there is {got}; "
                f"the file has {', '.join(schema.names())}"
            )
        values[name] = pl.lit(None, column.dtype)
        lost.append((name, str(column.dtype), got))
        log.warning("%s: column %s cannot be had: %s", source, name, got)
    for name, other in (instead or {}).items():
        if any(name == one for one, _, _ in lost):
            values[name] = values[other]
    aside = _rows_aside(file, faults, schema)
    sound = file.filter(~pl.any_horizontal(fault.is_met for fault in faults))
    return FileRows(
        sound.select(**{column.name: values[column.name] for column in columns}),
        pl.concat([_columns_aside(lost), aside]).with_columns(unit=pl.lit(source)),
        aside.height,
    )


# -- faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fault:
    """A row's value of one column that is none of ours."""

    column: Column
    is_met: pl.Expr
    got: pl.Expr

    @classmethod
    def of(
        cls, column: Column, schema: pl.Schema, value: pl.Expr, broken: pl.Expr | None
    ) -> "_Fault":
        dtype = schema[column.name]
        there = _given(pl.col(column.name), dtype)
        is_met = value.is_null() if column.required else there.is_not_null() & value.is_null()
        if broken is not None:
            is_met |= broken
        text = there.cast(pl.String) if not dtype.is_nested() else pl.lit(str(dtype))
        return cls(column, is_met, text.fill_null("nothing").str.head(GOT))


def _rows_aside(file: pl.LazyFrame, faults: Sequence[_Fault], schema: pl.Schema) -> pl.DataFrame:
    shown = [name for name in ("_id", "id", "modelId", "datasetId") if name in schema]
    first = {
        name: pl.coalesce(pl.when(fault.is_met).then(what(fault)) for fault in faults)
        for name, what in (
            ("column", lambda fault: pl.lit(fault.column.name)),
            ("expected", lambda fault: pl.lit(str(fault.column.dtype))),
            ("got", lambda fault: fault.got),
        )
    }
    return (
        file.with_row_index("index")
        .filter(pl.any_horizontal(fault.is_met for fault in faults))
        .select(
            pl.col("index").cast(pl.Int64), **first,
            excerpt=pl.struct(shown).struct.json_encode().str.head(EXCERPT),
            unit=pl.lit(None, pl.String),
        )
        .collect(engine="streaming")
    )  # fmt: skip


def _columns_aside(lost: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    schema = dict.fromkeys(("column", "expected", "got"), pl.String)
    return pl.DataFrame(lost, schema, orient="row").select(
        pl.lit(-1, pl.Int64).alias("index"), "column", "expected", "got",
        pl.lit("").alias("excerpt"), pl.lit(None, pl.String).alias("unit"),
    )  # fmt: skip


# -- readings -------------------------------------------------------------------------------------


def _given(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The column, null where nothing is given: tables with gaps often hold NaN."""
    return column.fill_nan(None) if dtype.is_float() else column


def _reading(column: pl.Expr, dtype: pl.DataType, want: Column) -> pl.Expr | None:
    """A column as the type that is wanted, null where a value is none; None if there is no way."""
    column = _given(column, dtype)
    if dtype == pl.Null:
        return column.cast(want.dtype)
    if want.name == "gated":
        return _gated(column, dtype)
    if dtype == want.dtype:
        return column
    if want.dtype == INSTANT:
        return _moment(column, dtype)
    if want.dtype == STRINGS:
        return _texts(column, dtype)
    if want.dtype == pl.Boolean:
        return _truth(column, dtype)
    if want.dtype == pl.String:
        return _text(column, dtype, want)
    if want.dtype == pl.Int64:
        return _whole(column, dtype)
    return None


def _is_text(dtype: Any) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Binary)


def _as_text(column: pl.Expr) -> pl.Expr:
    return column.cast(pl.String, strict=False)


def _text(column: pl.Expr, dtype: pl.DataType, want: Column) -> pl.Expr | None:
    if want.name == "cardData" and isinstance(dtype, pl.Struct):
        return column.struct.json_encode()
    return _as_text(column) if _is_text(dtype) or dtype.is_integer() else None


def _gated(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """`false`, `auto`, `manual`; `true` where a truth value says no more."""
    if dtype == pl.Boolean:
        return pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false"))
    return _as_text(column).str.strip_chars('" ').str.to_lowercase() if _is_text(dtype) else None


def _truth(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if dtype == pl.Boolean:
        return column
    if dtype.is_numeric():
        return pl.when(column == 1).then(True).when(column == 0).then(False)
    if _is_text(dtype):
        words = {"true": True, "false": False, "1": True, "0": False}
        lower = _as_text(column).str.to_lowercase()
        return lower.replace_strict(words, default=None, return_dtype=pl.Boolean)
    return None


def _whole(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if dtype.is_numeric():
        number = column.cast(pl.Int64, strict=False)
        return pl.when(number.cast(pl.Float64) == column.cast(pl.Float64)).then(number)
    if _is_text(dtype):
        return _as_text(column).str.strip_chars().cast(pl.Int64, strict=False)
    return None


def _moment(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """A moment; one without a zone is taken as UTC."""
    if isinstance(dtype, pl.Datetime):
        utc = column.dt.convert_time_zone if dtype.time_zone else column.dt.replace_time_zone
        return utc("UTC").cast(INSTANT)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    if not _is_text(dtype):
        return None
    text = _as_text(column).str.strip_chars().str.replace(" ", "T", literal=True)
    naive = [
        text.str.strptime(pl.Datetime("ms"), form, strict=False).dt.replace_time_zone("UTC")
        for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    ]
    day = text.str.strptime(pl.Date, "%Y-%m-%d", strict=False, exact=True)
    return pl.coalesce(
        text.str.strptime(INSTANT, "%Y-%m-%dT%H:%M:%S%.f%#z", strict=False),
        *naive,
        day.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
    )


_JSON_TEXTS = r'^\[(?:(?:"(?:[^"\\]|\\.)*"|null)(?:,(?:"(?:[^"\\]|\\.)*"|null))*)?\]$'
"""A JSON array of texts, without white space between them."""


def _texts(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """A list of texts, also from a text that is a JSON array of such."""
    if isinstance(dtype, pl.Array):
        column, dtype = column.arr.to_list(), pl.List(dtype.inner)
    if isinstance(dtype, pl.List):
        return column.cast(STRINGS) if _is_text(dtype.inner) else None
    if not _is_text(dtype):
        return None
    # Polars gives up a whole column for one text that is no such array: those are put out first.
    array = _as_text(column).str.json_path_match("$")
    return pl.when(array.str.contains(_JSON_TEXTS)).then(array).str.json_decode(STRINGS)
