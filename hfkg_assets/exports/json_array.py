"""JSON text, made a column at a time: the bytes of `json.dump(records, file, indent=4)`.

Belongs here: how values, lists and records are written as that function writes them. Does not:
which records, or what they mean.

A value of an expression here is a piece of JSON text, one per row.
"""

from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import BinaryIO

import polars as pl

NULL = "null"
INDENT = "    "
NEEDS_ESCAPE = r"[^ !#-\[\]-~]"
"""What JSON text in ASCII cannot hold as it is; DEL counts, as it does for Python."""


def quoted(texts: pl.Series) -> pl.Series:
    """Texts as JSON strings; a null stays null.

    Most ids and labels only want quotes, which they are given as a column. The few texts with
    quotes, control characters or other scripts go one by one through Python's own encoder.
    """
    odd = texts.str.contains(NEEDS_ESCAPE).fill_null(False)
    if not odd.any():
        return '"' + texts + '"'
    rows = odd.arg_true()
    escaped = [encode_basestring_ascii(text) for text in texts.gather(rows)]
    return ('"' + texts.set(odd, None) + '"').scatter(rows, escaped)


def string(text: pl.Expr) -> pl.Expr:
    """A string, or null."""
    return _encoded(text).fill_null(NULL)


def plain_string(text: pl.Expr) -> pl.Expr:
    """A string, or null, of a text that is known to need no escape, such as a date."""
    return pl.concat_str(pl.lit('"'), text, pl.lit('"')).fill_null(NULL)


def integer(number: pl.Expr) -> pl.Expr:
    """A whole number, or null."""
    return number.cast(pl.String).fill_null(NULL)


def strings(texts: pl.Expr) -> pl.Expr:
    """A list of strings as a record's value; null is the empty list, nulls in it do not count."""
    texts = texts.list.drop_nulls()
    separator = ",\n" + 3 * INDENT
    items = texts.list.eval(_encoded(pl.element())).list.join(separator)
    full = pl.concat_str(
        pl.lit("[\n" + 3 * INDENT), items, pl.lit("\n" + 2 * INDENT + "]"), ignore_nulls=True
    )
    return pl.when(texts.list.len() > 0).then(full).otherwise(pl.lit("[]"))


def record(values: Mapping[str, pl.Expr]) -> pl.Expr:
    """An object in an array: keys in the order given."""
    parts: list[pl.Expr] = []
    opening = INDENT + "{\n"
    for key, value in values.items():
        parts += [pl.lit(f"{opening}{2 * INDENT}{encode_basestring_ascii(key)}: "), value]
        opening = ",\n"
    return pl.concat_str(*parts, pl.lit("\n" + INDENT + "}"))


def write_array(path: Path, chunks: Iterable[pl.DataFrame]) -> int:
    """Writes an array of records, chunk by chunk.

    Args:
        path: the file.
        chunks: frames of one column, a record each.

    Returns:
        The number of records.
    """
    count = 0
    with path.open("wb") as file:
        file.write(b"[")
        for chunk in chunks:
            if chunk.is_empty():
                continue
            file.write(b",\n" if count else b"\n")
            write_lines(file, chunk, between=",\n")
            count += chunk.height
        file.write(b"\n]" if count else b"]")
    return count


def write_lines(
    file: BinaryIO, rows: pl.DataFrame, *, separator: str = "\t", between: str | None = None
) -> None:
    """Writes the columns of a frame as they are, a row a line.

    Args:
        file: where to.
        rows: strings without nulls.
        separator: stands between the columns.
        between: stands between the rows, and not after the last; without it each ends a line.
    """
    rows.write_csv(
        file,
        include_header=False,
        quote_style="never",
        separator=separator,
        line_terminator=between or "\n",
    )
    if between:
        file.seek(-len(between), 2)
        file.truncate()


def _encoded(text: pl.Expr) -> pl.Expr:
    return text.map_batches(quoted, return_dtype=pl.String, is_elementwise=True)
