"""Reading raw records into a table of declared columns, strictly.

Belongs here: what a JSON value must be to become a value of a column, and what becomes of a record
that is none. Does not: where records come from (`crawl_journal`), or what a table means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from hfkg_resources.table_schema import Column, schema_of

EXCERPT = 300

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


class RecordTable:
    """Reads raw records into a table of declared columns, strictly.

    Polars turns `1` into `"1"`, `1.5` into `1` and a string where a list belongs into null, even
    when told to be strict; so records pass a pydantic validator first.

    Args:
        columns: the declaration.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.schema = schema_of(self.columns)
        fields = {
            column.name: core_schema.typed_dict_field(
                _json_schema(column.dtype)
                if column.required
                else core_schema.nullable_schema(_json_schema(column.dtype)),
                required=column.required,
            )
            for column in self.columns
        }
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

    def _frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                column.name: pl.Series(
                    column.name, [row.get(column.name) for row in rows], column.dtype
                )
                for column in self.columns
            },
            schema=self.schema,
        )

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
