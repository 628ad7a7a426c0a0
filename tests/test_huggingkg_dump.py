"""Records are cut out of a dump's files as a JSON parser would, wherever a read ends."""

import io
import json
import random
import tracemalloc
from datetime import date

import numpy as np
import orjson
import polars as pl
import pytest

from hfkg_resources import huggingkg_dump
from hfkg_resources.huggingkg_dump import (
    DumpError,
    DumpFile,
    cut,
    day_of_name,
    keys_of_first,
    read_file,
    record_ends,
)
from hfkg_resources.table_schema import STRINGS, Column

PIECES = ['"', "\\", '\\"', "{", "}", "[", "]", ",", ":", "\n", "é", "模", "\U0001f917", "a", "'"]


def records(seed, count=40):
    """Records whose texts are made of what could be taken for structure."""
    draw = random.Random(seed)

    def text():
        return "".join(draw.choices(PIECES, k=draw.randrange(12)))

    return [
        {text(): text(), "id": text(), "list": [text() for _ in range(draw.randrange(3))],
         "deep": {"a": [{"b": text()}]}}
        for _ in range(count)
    ]  # fmt: skip


def as_text(rows, form):
    if form == "lines":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return json.dumps(rows, indent=form, ensure_ascii=False)


def file_of(text, name="x.json"):
    content = text.encode() if isinstance(text, str) else text
    return DumpFile(name, lambda: io.BytesIO(content))


@pytest.mark.parametrize("form", ["lines", None, 0, 4])
@pytest.mark.parametrize("chunk", [1, 13, 100, 1_000_000])
def test_all_records_come_in_order_wherever_a_read_ends(form, chunk):
    for seed in range(5):
        rows = records(seed)
        content = as_text(rows, form).encode()
        pieces = list(cut(file_of(content), chunk))
        assert [row for piece in pieces for row in orjson.loads(piece.text)] == rows
        found = [record for piece in pieces for record in piece.records()]
        assert [number for number, *_ in found] == list(range(1, len(rows) + 1))
        for (_, byte, _, text), row in zip(found, rows, strict=True):
            assert content[byte : byte + len(text)] == text
            assert orjson.loads(text) == row


@pytest.mark.parametrize("form", [None, 4])
@pytest.mark.parametrize("chunk", [5, 1_000_000])
def test_an_array_that_is_cut_off_anywhere_is_found_out(form, chunk):
    content = as_text(records(1, 4), form).encode()
    for end in range(len(content)):
        with pytest.raises(DumpError, match=r"x\.json"):
            list(cut(file_of(content[:end]), chunk))


def test_a_mark_of_byte_order_and_white_space_around_are_passed_over():
    for text in ("\ufeff [ {} ,\r\n\t{} ] \n", "\ufeff{}\r\n\r\n{}\r\n"):
        for chunk in (3, 100):
            pieces = list(cut(file_of(text), chunk))
            assert sum(piece.ends.size for piece in pieces) == 2
    assert list(cut(file_of(" [ ] "))) == []


def test_quotes_count_unless_a_backslash_escapes_them():
    text = rb'{"a": "\\"},{"b": "\\\"}{"},{"c": "\"\\\\"}]'
    ends, closing = record_ends(text)
    assert [text[:end].count(b"}") for end in ends] == [1, 3, 4]
    assert closing == len(text) - 1
    assert record_ends(b"")[0].size == 0


def test_a_record_longer_than_any_may_be_is_refused(monkeypatch):
    monkeypatch.setattr(huggingkg_dump, "LONGEST", 1_000)
    text = json.dumps([{"id": "a"}, {"id": "b" * 5_000}])
    with pytest.raises(DumpError, match=r"record 2 at byte 14: it does not end within 1,000"):
        list(cut(file_of(text), 100))


COLUMNS = (
    Column("id", pl.String(), "", required=True),
    Column("likes", pl.Int64(), ""),
    Column("tags", STRINGS, ""),
    Column("text", pl.String(), ""),
)


@pytest.mark.parametrize("chunk", [50, 1_000_000])
def test_a_file_becomes_a_table_with_numbers_and_lengths(tmp_path, chunk):
    rows = [{"id": f"é{n}", "likes": n, "tags": ["x"] * n, "text": "ü" * n or None, "more": 1}
            for n in range(20)]  # fmt: skip
    frame = read_file(
        file_of(json.dumps(rows)), COLUMNS, tmp_path / "x", sized=("text",), chunk=chunk
    ).collect()
    assert frame.columns == ["record", "id", "likes", "tags", "text", "text_bytes"]
    assert frame["record"].to_list() == list(range(1, 21))
    assert frame.select("id", "likes", "tags", "text").to_dicts() == [
        {key: value for key, value in row.items() if key != "more"} for row in rows
    ]
    assert frame["text_bytes"].to_list() == [2 * n or None for n in range(20)]
    assert keys_of_first(file_of(json.dumps(rows))) == ["id", "likes", "tags", "text", "more"]


def test_a_fault_behind_many_pieces_has_its_number_and_place(tmp_path):
    rows = [{"id": str(n), "likes": n} for n in range(1_000)]
    rows[777]["likes"] = "many"
    content = json.dumps(rows, indent=4)
    byte = content.index("many") - len('{\n        "id": "777",\n        "likes": "')
    with pytest.raises(DumpError, match=rf"record 778 at byte {byte:,}: likes: expected Int64"):
        read_file(file_of(content), COLUMNS, tmp_path / "x", chunk=500)


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path):
    row = json.dumps({"id": "a", "text": "x" * 100_000})
    path = tmp_path / "x.json"
    with path.open("w") as file:
        file.write("[" + ",".join([row] * 400) + "]")
    tracemalloc.start()
    read_file(DumpFile("x.json", lambda: path.open("rb")), COLUMNS, tmp_path / "x", chunk=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 40_000_000
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("HuggingKG_V20241215103000", date(2024, 12, 15)),
        ("HuggingKG_V20250916155543", date(2025, 9, 16)),
        ("snapshot_date=2025-01-02", date(2025, 1, 2)),
        ("HuggingKG_V20241315103000", None),
        ("HuggingKG", None),
    ],
)
def test_a_name_tells_the_date(name, day):
    assert day_of_name(name) == day


def test_ends_are_found_in_a_text_without_any_string_or_bracket():
    ends, closing = record_ends(b"  1, 2")
    assert np.array_equal(ends, [])
    assert closing is None
