"""HuggingKG dumps on disk: which files one has, and their records, a few megabytes at a time.

Belongs here: folders and zips, JSON arrays and JSON Lines, places of faults. Does not: what any
file means (`hfkg_assets.hub.dump`).

A dump has gigabytes of JSON. DuckDB's reader was tried and gives way here: it takes an array cut
off behind a comma for a whole one, drops the zone of a date, and its places count from the last
block that it read. So whole records are cut out of the bytes with NumPy, and each piece is checked
and read as strictly as an answer of the Hub.
"""

import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import polars as pl

from hfkg_resources.record_table import RecordTable
from hfkg_resources.table_schema import INSTANT, Column, schema_of

SUFFIXES = (".json", ".jsonl")

CHUNK = 16 * 1024 * 1024
"""Bytes that are read at once."""

LONGEST = 256 * 1024 * 1024
"""Bytes of a record at most: a card of 100 MB, escaped."""

RECORD = Column("record", pl.Int64(), "the record's number in its file, from 1")

_NAME = re.compile(r"HuggingKG_V(\d{4})(\d\d)(\d\d)\d*|snapshot_date=(\d{4})-(\d\d)-(\d\d)")
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class DumpError(Exception):
    """A dump cannot be read; the message names the file, and the record where there is one."""


@dataclass(frozen=True)
class DumpFile:
    """A file of a dump.

    Attributes:
        name: its name, without folders.
        open: opens it for reading bytes.
    """

    name: str
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Dump:
    """A HuggingKG dump: a folder, or a zip of one.

    Attributes:
        path: where it lies.
    """

    path: Path

    @property
    def name(self) -> str:
        """The name it goes by, without the folders that it lies in."""
        path = self.path.resolve()
        return path.stem if path.suffix.lower() == ".zip" else path.name

    @property
    def day(self) -> date | None:
        """The date in its name; None where there is none."""
        return day_of_name(self.name)

    def files(self, stems: Collection[str]) -> dict[str, DumpFile]:
        """Those of the wanted files that it has, by stem, wherever in it they lie.

        Raises:
            DumpError: it has none of them, or two of one name, or is neither folder nor zip.
        """
        found: dict[str, list[tuple[str, DumpFile]]] = {}
        for place, file in self._all():
            stem, dot, suffix = file.name.rpartition(".")
            if dot + suffix.lower() in SUFFIXES and stem in stems:
                found.setdefault(stem, []).append((place, file))
        if not found:
            raise DumpError(
                f"{self.path} holds none of a dump's {len(stems)} files, such as "
                f"{sorted(stems)[0]}.json"
            )
        for places in found.values():
            if len(places) > 1:
                raise DumpError(
                    f"{self.name} has {places[0][1].name} more than once: "
                    f"{', '.join(sorted(place for place, _ in places))}. Name one folder"
                )
        return {stem: places[0][1] for stem, places in found.items()}

    def _all(self) -> Iterator[tuple[str, DumpFile]]:
        if self.path.is_dir():
            for file in sorted([*self.path.glob("*"), *self.path.glob("*/*")]):
                if file.is_file():
                    place = str(file.relative_to(self.path))
                    yield place, DumpFile(file.name, _opener(file))
            return
        with _named_faults(self.path.name), zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    name = member.filename.rpartition("/")[2]
                    yield member.filename, DumpFile(name, _member_opener(self.path, member))


def day_of_name(name: str) -> date | None:
    """The date in a dump's name: `HuggingKG_V<YYYYMMDDhhmmss>`, or an export's folder."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups() if part is not None))
    except ValueError:
        return None


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _member_opener(path: Path, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        with zipfile.ZipFile(path) as archive:  # the member keeps the file open
            return archive.open(member)

    return open_member


@contextmanager
def _named_faults(name: str) -> Iterator[None]:
    """Turns what goes wrong when a file is opened or unpacked into an error that names it."""
    try:
        yield
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DumpError(f"{name}: {error}") from error


# --- cutting ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """Whole records that stand one after the other in a file.

    Attributes:
        text: a JSON array of them.
        number: the number of the first in the file, from 1.
        start: the byte of the file where the text inside the brackets begins.
        ends: for each record, the place in that text behind it.
    """

    text: bytes
    number: int
    start: int
    ends: np.ndarray

    def records(self) -> Iterator[tuple[int, int, bytes, bytes]]:
        """Each record with its number, the byte it begins at, and what stands before it."""
        begin = 0
        for index, end in enumerate(self.ends.tolist()):
            raw = self.text[1 + begin : 1 + end]
            record = raw.lstrip(_SPACE + b",")
            before = raw[: len(raw) - len(record)]
            yield self.number + index, self.start + begin + len(before), before, record
            begin = end


def cut(file: DumpFile, chunk: int = CHUNK) -> Iterator[Piece]:
    """A file's records in pieces, be it one JSON array, indented or not, or JSON Lines.

    Args:
        file: the file.
        chunk: bytes that are read at once; a piece holds the whole records among them.

    Raises:
        DumpError: it ends in the middle, or there is something else than records in it.
    """
    with _named_faults(file.name), file.open() as stream:
        yield from _Cutter(file.name, stream, chunk).pieces()


class _Cutter:
    """The state of `cut`: what of the file has been read and not yet given away.

    Args:
        name: the file's name.
        stream: its bytes.
        chunk: how many are read at once.
    """

    def __init__(self, name: str, stream: IO[bytes], chunk: int) -> None:
        self._name = name
        self._stream = stream
        self._chunk = chunk
        self._rest = b""
        self._start = 0
        self._number = 1

    def pieces(self) -> Iterator[Piece]:
        in_array = self._opening()
        while True:
            ends, closing = record_ends(self._rest)
            if ends.size:
                last = int(ends[-1])
                piece = self._piece(self._rest[:last], ends, in_array)
                closing = None if closing is None else closing - last
                self._skip(last)
                self._number += ends.size
                yield piece
            if closing is not None:
                return self._closing(closing, in_array)
            if len(self._rest) > LONGEST:
                raise self._fault(f"it does not end within {LONGEST:,} bytes")
            # A record that is longer than a chunk is looked at again: ever less often.
            more = self._stream.read(max(self._chunk, len(self._rest)))
            if not more:
                return self._ending(in_array)
            self._rest += more

    def _skip(self, length: int) -> None:
        self._rest = self._rest[length:]
        self._start += length

    def _opening(self) -> bool:
        """Whether the file is an array; what stands before the first record is skipped."""
        self._rest = self._stream.read(max(self._chunk, len(_BOM)))
        if self._rest.startswith(_BOM):
            self._skip(len(_BOM))
        while not self._rest.strip(_SPACE) and (read := self._stream.read(self._chunk)):
            self._skip(len(self._rest))
            self._rest = read
        head = self._rest.lstrip(_SPACE)
        self._skip(len(self._rest) - len(head))
        if not head:
            raise DumpError(f"{self._name} is empty: an array without records is written []")
        if head[:1] not in (b"[", b"{"):
            raise self._fault("neither a JSON array nor JSON Lines")
        if head[:1] == b"[":
            self._skip(1)
        return head[:1] == b"["

    def _piece(self, body: bytes, ends: np.ndarray, in_array: bool) -> Piece:
        start = self._start
        if in_array and self._number > 1:  # the comma behind the record before
            comma = len(body) - len(body.lstrip(_SPACE))
            if body[comma : comma + 1] != b",":
                raise self._fault("a comma is missing before it")
            body, ends, start = body[comma + 1 :], ends - comma - 1, start + comma + 1
        elif not in_array:
            codes = np.frombuffer(body, np.uint8).copy()
            behind = ends[:-1]
            glued = np.flatnonzero(~np.isin(codes[behind], np.frombuffer(_SPACE, np.uint8)))
            if glued.size:
                first = int(glued[0])
                place = start + int(behind[first])
                raise _fault(self._name, self._number + first, place, "no line ends behind it")
            codes[behind] = ord(",")
            body = codes.tobytes()
        return Piece(b"[" + body + b"]", self._number, start, ends)

    def _closing(self, closing: int, in_array: bool) -> None:
        """Checks that the file is over where the array is."""
        if not in_array or self._rest[closing : closing + 1] != b"]":
            raise self._fault("a bracket is closed that was never opened")
        if self._rest[:closing].strip(_SPACE):
            raise self._fault("not a record")
        self._skip(closing + 1)
        while self._rest:
            if self._rest.strip(_SPACE):
                raise DumpError(
                    f"{self._name}: something stands behind the array, from byte {self._start:,}"
                )
            self._skip(len(self._rest))
            self._rest = self._stream.read(self._chunk)

    def _ending(self, in_array: bool) -> None:
        """Checks that the file may be over."""
        if in_array or self._rest.strip(_SPACE):
            raise self._fault("the file ends in the middle: it was cut off")

    def _fault(self, what: str) -> DumpError:
        """An error at the record that comes next."""
        begin = self._rest.lstrip(_SPACE + (b"," if self._number > 1 else b""))
        byte = self._start + len(self._rest) - len(begin)
        return _fault(self._name, self._number, byte, what)


def _fault(name: str, number: int, byte: int, what: str) -> DumpError:
    return DumpError(f"{name}, record {number:,} at byte {byte:,}: {what}")


_STEP = np.zeros(256, np.int8)
_STEP[[ord("{"), ord("[")]] = 1
_STEP[[ord("}"), ord("]")]] = -1
_BRACKET_BITS, _BRACKET = 0xD9, 0x59
"""All four brackets, and few other characters, have these bits: one comparison finds them."""


def record_ends(text: bytes) -> tuple[np.ndarray, int | None]:
    """Where the top-level values in a text end that begins between two of them.

    Args:
        text: JSON, possibly cut off anywhere.

    Returns:
        The places behind each object or array that is whole; and the place of the bracket that
        closes what the text stands in, if it is there.
    """
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    slashes = np.flatnonzero(codes == ord("\\"))
    if slashes.size:
        # A quote is escaped by a run of backslashes of odd length before it.
        begins = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
        lengths = np.diff(begins, append=slashes.size)
        behind = slashes[begins] + lengths
        quotes = np.setdiff1d(quotes, behind[lengths % 2 == 1], assume_unique=True)
    brackets = np.flatnonzero((codes & _BRACKET_BITS) == _BRACKET)
    brackets = brackets[np.searchsorted(quotes, brackets) % 2 == 0]  # those outside of strings
    brackets = brackets[_STEP[codes[brackets]] != 0]
    depth = np.cumsum(_STEP[codes[brackets]], dtype=np.int64)
    closings = np.flatnonzero(depth < 0)
    closing = int(brackets[closings[0]]) if closings.size else None
    if closing is not None:
        brackets, depth = brackets[: closings[0]], depth[: closings[0]]
    return brackets[depth == 0] + 1, closing


# --- reading ---------------------------------------------------------------------------------


def size_of(name: str) -> Column:
    """The column that holds the length of a text."""
    return Column(f"{name}_bytes", pl.Int64(), f"bytes of {name}")


def read_file(
    file: DumpFile,
    columns: Sequence[Column],
    folder: Path,
    sized: Collection[str] = (),
    chunk: int = CHUNK,
) -> pl.LazyFrame:
    """A file's records as Parquet, with their numbers.

    Args:
        file: the file.
        columns: the keys that are read; a date may be without zone, then it is UTC.
        folder: a new folder for the Parquet files.
        sized: texts that may be large; their length is given beside them, see `size_of`.
        chunk: see `cut`.

    Returns:
        `record`, the columns, and the lengths, in the file's order.

    Raises:
        DumpError: it cannot be read to its end, or a record has not what the columns say.
    """
    folder.mkdir(parents=True)
    as_text = [
        Column(c.name, pl.String(), c.description, c.required) if c.dtype == INSTANT else c
        for c in columns
    ]
    table, moments = RecordTable(as_text), [c.name for c in columns if c.dtype == INSTANT]
    parts: list[Path] = []
    for piece in cut(file, chunk):
        frame = _read(piece, table, file.name).with_row_index(RECORD.name, piece.number)
        frame = frame.cast({RECORD.name: RECORD.dtype}).with_columns(
            *(_moments(frame, name, file.name) for name in moments),
            *(pl.col(n).str.len_bytes().cast(pl.Int64).alias(size_of(n).name) for n in sized),
        )
        parts.append(folder / f"part-{len(parts):05d}.parquet")
        frame.write_parquet(parts[-1], compression="lz4")
    if not parts:
        return pl.LazyFrame(schema=schema_of((RECORD, *columns, *map(size_of, sized))))
    return pl.scan_parquet(parts, hive_partitioning=False, glob=False)


def _read(piece: Piece, table: RecordTable, name: str) -> pl.DataFrame:
    try:
        frame = table.read(piece.text)
    except pl.exceptions.PolarsError:
        frame = None
    if frame is not None and frame.height == piece.ends.size:
        return frame
    raise _first_fault(piece, table, name)


def _first_fault(piece: Piece, table: RecordTable, name: str) -> DumpError:
    """What is wrong with a piece that cannot be read."""
    for number, byte, before, text in piece.records():
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return _fault(name, number, byte, f"no JSON, {error}")
        _, aside = table.validate([record])
        for fault in aside:
            where = f"{fault.column}: " if fault.column else ""
            return _fault(name, number, byte, f"{where}expected {fault.expected}, got {fault.got}")
        if before.strip(_SPACE) != (b"" if number == piece.number else b","):
            return _fault(name, number, byte, "no comma, or more than one, stands before it")
    return _fault(name, piece.number, piece.start, "it or one of the next is no JSON")


_MOMENT = (
    r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?[ ]?(Z|UTC|[+-]\d\d(?::?\d\d)?)?$"
)


def _moments(frame: pl.DataFrame, name: str, file: str) -> pl.Series:
    """Dates as text made moments: ISO 8601 with or without time and zone; without it is UTC.

    Raises:
        DumpError: one is no date.
    """
    part = pl.col(name).str.extract_groups(_MOMENT).struct.field
    text = pl.format(
        "{}T{}{}{}",
        part("1"),
        part("2").fill_null("00:00"),
        part("3").fill_null(":00"),
        part("4").fill_null("Z").replace(["Z", "UTC"], "+00:00"),
    )
    read = text.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="ms", time_zone="UTC", strict=False
    )
    moments = frame.select(read.alias(name))[name]
    wrong = frame.filter(pl.col(name).is_not_null() & moments.is_null())
    for number, got in wrong.select(RECORD.name, name).head(1).iter_rows():
        raise DumpError(f"{file}, record {number:,}: {name}: expected a date, got {got[:60]!r}")
    return moments


def keys_of_first(file: DumpFile) -> list[str]:
    """The keys of a file's first record; none where it has none."""
    for piece in cut(file, 64 * 1024):
        for *_, text in piece.records():
            first: Mapping[str, Any] = orjson.loads(text)
            return list(first)
    return []
