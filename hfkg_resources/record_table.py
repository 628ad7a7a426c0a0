"""Reading raw records into a table of declared columns, strictly.

Belongs here: what a JSON value must be to become a value of a column, and what becomes of a record
that is none. Does not: where records come from (`crawl_journal`), or what a table means.
"""

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import polars as pl
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from hfkg_resources.table_schema import Column, schema_of

EXCERPT = 300

UNREADABLE = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What code that reads an answer raises when the answer has another shape than documented."""

# 2024-12-15T10:00:00.000Z: without a zone a date would be read as local time.
_ISO_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True)
class SetAside:
    """A record that cannot be a row of its table.

    Attributes:
        index: its place among the records given.
        column: the column at fault, with the place inside it; empty if it is the whole record.
        expected: what should have been there.
        got: what was.
        excerpt: the beginning of the record, as JSON where possible.
        unit: the unit of work it came with.
    """

    index: int
    column: str
    expected: str
    got: str
    excerpt: str
    unit: str | None = None

    @classmethod
    def unparsed(cls, index: int, record: object, error: Exception) -> "SetAside":
        """A record that its parser does not understand."""
        return cls(index, "", "a record as documented", repr(error)[:EXCERPT], excerpt(record))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's cycle collector off: of a page's thousands of new values none is in a cycle.

    Looking at them again and again takes it longer than checking them takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class RecordTable:
    """Reads raw records into a table of declared columns, strictly.

    Polars turns `1` into `"1"`, `1.5` into `1` and a string where a list belongs into null, even
    when told to be strict; so records pass a pydantic validator first.

    Args:
        columns: the declaration.
        or_false: text columns in which the Hub writes false for none; it becomes `false`.
    """

    def __init__(self, columns: Sequence[Column], or_false: Collection[str] = ()) -> None:
        self.columns = tuple(columns)
        self.schema = schema_of(self.columns)
        fields = {}
        for column in self.columns:
            value = _json_schema(column.dtype)
            if column.name in or_false:
                false = core_schema.literal_schema([False])
                value = core_schema.union_schema(
                    [value, core_schema.chain_schema([core_schema.bool_schema(strict=True), false])]
                )
            fields[column.name] = core_schema.typed_dict_field(
                value if column.required else core_schema.nullable_schema(value),
                required=column.required,
            )
        record = core_schema.typed_dict_schema(fields, extra_behavior="ignore", strict=True)
        self._validator = SchemaValidator(core_schema.list_schema(record, strict=True))

    def validate(self, rows: Sequence[Mapping[str, Any]]) -> tuple[pl.DataFrame, list[SetAside]]:
        """Rows as a frame, in their order; those that do not fit are set aside.

        Keys that no column has are left out, and missing ones are null.
        """
        rows = list(rows)
        try:
            return self._frame(self._validator.validate_python(rows)), []
        except ValidationError as error:
            aside = self._set_aside(rows, error)
        sound = [row for index, row in enumerate(rows) if index not in aside]
        return self._frame(self._validator.validate_python(sound)), list(aside.values())

    def read(self, text: bytes) -> pl.DataFrame | None:
        """A JSON array of records as a frame, or None where one of them does not fit.

        Four times as quick as `validate`: Polars reads the text, once it is known to be sound.
        """
        try:
            with _without_collector():
                self._validator.validate_json(text)
        except ValidationError:
            return None
        return pl.read_json(text, schema=self.schema)

    def _frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        # JSON is read several times faster than Python objects, lists above all.
        return pl.read_json(orjson.dumps(rows), schema=self.schema)

    def _set_aside(self, rows: list[Any], error: ValidationError) -> dict[int, SetAside]:
        """By row, its first fault."""
        aside: dict[int, SetAside] = {}
        for fault in error.errors(include_url=False, include_context=False):
            index, *where = fault["loc"]
            assert isinstance(index, int)
            if index in aside:
                continue
            missing = fault["type"] == "missing"
            column = str(where[0]) if where else ""
            aside[index] = SetAside(
                index=index,
                column=".".join(map(str, where)),
                expected=str(self.schema[column]) if column else "an object",
                got="nothing" if missing else _described(fault["input"]),
                excerpt=excerpt(rows[index]),
            )
        return aside


@dataclass(frozen=True)
class PageRows:
    """What a page of a listing gave: its rows, and the records that are none."""

    frame: pl.DataFrame
    aside: Sequence[SetAside]

    def __len__(self) -> int:
        return self.frame.height + len(self.aside)

    def head(self, records: int) -> "PageRows":
        """What the first so many records gave."""
        aside = [one for one in self.aside if one.index < records]
        return PageRows(self.frame.head(records - len(aside)), aside)


class PageReader:
    """Reads the pages of a listing into a table.

    A page whose records are all as they should be is read by Polars at once, without a Python
    object per value; any other record by record.

    Args:
        table: what it becomes.
        parse: makes a raw row of a record as served.
        served: the fields as they are served; None reads every page record by record.
        derive: makes the table's rows of a frame of `served`.
    """

    def __init__(
        self,
        table: RecordTable,
        parse: Callable[[dict[str, Any]], dict[str, Any]],
        served: RecordTable | None = None,
        derive: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    ) -> None:
        self.table = table
        self._parse = parse
        self._served = served
        self._derive = derive

    def read(self, text: bytes) -> PageRows:
        """The rows of a page.

        Raises:
            ValueError: it is no JSON array.
        """
        frame = None if self._served is None else self._served.read(text)
        if frame is not None:
            names = self.table.schema.names()
            return PageRows(self._derive(frame).select(names).cast(self.table.schema), ())
        records = orjson.loads(text)
        if not isinstance(records, list):
            raise ValueError("not a list")
        rows: list[Any] = []
        places: list[int] = []
        aside: list[SetAside] = []
        for index, record in enumerate(records):
            try:
                rows.append(self._parse(record))
                places.append(index)
            except UNREADABLE as error:
                aside.append(SetAside.unparsed(index, record, error))
        frame, unfit = self.table.validate(rows)
        aside += [replace(one, index=places[one.index]) for one in unfit]
        return PageRows(frame, sorted(aside, key=lambda one: one.index))


def _json_schema(dtype: Any) -> CoreSchema:
    """What a JSON value must be to become a value of a Polars type.

    Raises:
        TypeError: records cannot hold that type.
    """
    match dtype() if isinstance(dtype, type) else dtype:  # inner types may come as classes
        case pl.String():
            return core_schema.str_schema(strict=True)
        case pl.Boolean():
            return core_schema.bool_schema(strict=True)
        case pl.Float64() | pl.Float32():
            return core_schema.float_schema(strict=True)
        case pl.Datetime():
            return core_schema.chain_schema(
                [
                    core_schema.str_schema(strict=True, pattern=_ISO_INSTANT),
                    core_schema.datetime_schema(strict=False),
                ]
            )
        case pl.List():
            return core_schema.list_schema(
                core_schema.nullable_schema(_json_schema(dtype.inner)), strict=True
            )
        case pl.Struct():
            return core_schema.typed_dict_schema(
                {
                    inner.name: core_schema.typed_dict_field(
                        core_schema.nullable_schema(_json_schema(inner.dtype)), required=False
                    )
                    for inner in dtype.fields
                },
                extra_behavior="ignore",
                strict=True,
            )
        case _ if dtype.is_integer():
            return core_schema.int_schema(strict=True, ge=_limit(dtype, "min"), le=_limit(dtype))
    raise TypeError(f"no record can hold {dtype}")


def _limit(dtype: Any, side: str = "max") -> int:
    bound = dtype.min() if side == "min" else dtype.max()
    return int(pl.select(bound).item())


def _described(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"


def excerpt(record: object) -> str:
    """The beginning of a record, for people."""
    try:
        text = orjson.dumps(record, default=str).decode()
    except TypeError:
        text = repr(record)
    return text[:EXCERPT]
