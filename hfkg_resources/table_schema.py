"""How a table is declared: its columns with types and descriptions.

Belongs here: the declaration. Does not: reading records into a table (`crawl_journal`), storing
one (`warehouse`), or what any particular table holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

INSTANT = pl.Datetime("ms", "UTC")
"""A moment, as the Hub's API gives it: UTC, milliseconds."""

STRINGS = pl.List(pl.String)
"""A list of strings."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: the column's name.
        dtype: the Polars type; for raw observations the JSON value must have this type.
        description: one line for the data catalogue.
        required: whether a null or a missing value makes a record unusable.
    """

    name: str
    dtype: pl.DataType
    description: str
    required: bool = False


def schema_of(columns: tuple[Column, ...]) -> pl.Schema:
    """The Polars schema of declared columns, in their order."""
    return pl.Schema({column.name: column.dtype for column in columns})
