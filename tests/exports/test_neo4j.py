"""`export/neo4j`, read as neo4j-admin reads it."""

import csv
import os
import shlex
import subprocess
from datetime import UTC, datetime

import polars as pl
import pytest

from hfkg_assets.exports import neo4j
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(exports):
    return exports.make("neo4j")


def read(header, data):
    """Rows by field name."""
    (fields,) = csv.reader(header.open(newline="", encoding="utf-8"))
    with data.open(newline="", encoding="utf-8") as file:
        return [dict(zip(fields, row, strict=True)) for row in csv.reader(file)]


@pytest.fixture(scope="module")
def command(folder, tmp_path_factory):
    """The arguments that import.sh gives to neo4j-admin, from a directory that is not its own."""
    tool = tmp_path_factory.mktemp("bin") / "neo4j-admin"
    tool.write_text('#!/bin/sh\npwd\nfor argument in "$@"; do echo "$argument"; done\n')
    tool.chmod(0o755)
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    printed = subprocess.run(
        ["sh", str(folder / "import.sh"), "graph"],
        capture_output=True, text=True, check=True, env={"PATH": path}, cwd=tool.parent,
    )  # fmt: skip
    return printed.stdout.splitlines()


def test_the_command_imports_every_file_that_is_there(command, folder):
    assert command[:5] == [str(folder.resolve()), "database", "import", "full", "graph"]
    assert {"--multiline-fields=true", "--array-delimiter=;"} <= set(command)
    named = [
        path
        for argument in command
        if argument.startswith(("--nodes=", "--relationships="))
        for path in argument.rpartition("=")[2].split(",")
    ]
    there = {str(p.relative_to(folder)) for p in folder.rglob("*.csv")}
    assert len(named) == 2 * (len(ENTITIES) + len(RELATIONS))
    assert set(named) == there
    for table, kind in [(n, "nodes") for n in ENTITIES] + [(n, "relationships") for n in RELATIONS]:
        assert f"{kind}/{table}-header.csv,{kind}/{table}.csv" in " ".join(command)


def test_labels_and_types_are_in_neo4js_manner(command):
    text = shlex.join(command)
    assert "--nodes=Model=nodes/model-header.csv" in text
    assert "--relationships=DEFINED_FOR=relationships/model_definedFor_task-header.csv" in text
    assert "--relationships=TRAINED_OR_FINE_TUNED_ON=" in text
    assert "--relationships=AFFILIATED_WITH=" in text


def test_every_relationship_starts_and_ends_at_a_node_and_all_rows_are_there(folder, snapshot):
    ids = {}
    for name in ENTITIES:
        rows = read(folder / f"nodes/{name}-header.csv", folder / f"nodes/{name}.csv")
        ids[name] = {row[f"id:ID({name})"] for row in rows}
        stored = snapshot.scan(f"entity/{name}").select("id").collect()["id"]
        assert len(rows) == stored.len()
        assert ids[name] == set(stored)
    for name, relation in RELATIONS.items():
        paths = [folder / f"relationships/{name}{end}.csv" for end in ("-header", "")]
        rows = read(*paths)
        stored = snapshot.scan(f"verified/{name}").select("subject_id", "object_id").collect()
        pairs = [
            (row[f":START_ID({relation.subject})"], row[f":END_ID({relation.object})"])
            for row in rows
        ]
        assert sorted(pairs) == sorted(stored.iter_rows())
        assert {s for s, _ in pairs} <= ids[relation.subject]
        assert {o for _, o in pairs} <= ids[relation.object]


def test_values_come_back_as_they_were_stored(folder, snapshot):
    rows = read(folder / "nodes/model-header.csv", folder / "nodes/model.csv")
    stored = snapshot.scan("entity/model").collect()
    for row, model in zip(rows, stored.iter_rows(named=True), strict=True):
        created = datetime.fromisoformat(row["createdAt:datetime"])
        assert created == model["created_at"]
        assert int(row["likes:long"]) == model["likes"]
        assert row["hasCard:boolean"] == str(model["has_card"]).lower()
        tags = row["otherTags:string[]"]
        assert (tags.split(";") if tags else []) == (model["other_tags"] or [])


def test_odd_characters_pass_unharmed_and_unknown_is_not_empty(tmp_path):
    columns = (
        Column("id", pl.String(), ""),
        Column("seen_at", INSTANT, ""),
        Column("tags", STRINGS, ""),
    )
    odd = ['a,"b"', "line\nbreak", "crlf\r\nx", " blank ", "日本語🤗", "", "a;b", "'", "\\", "#x"]
    table = pl.DataFrame(
        {
            "id": [*odd, None],
            "seen_at": [datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)] * 10 + [None],
            "tags": [["a;b", 'c"d', "e\nf"], [], [""], *[None] * 8],
        },
        schema={c.name: c.dtype for c in columns},
    )
    path = tmp_path / "rows.csv"
    neo4j.write_rows(table.lazy(), columns, path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == [*odd, ""]
    assert rows[0][1] == "2026-01-02T03:04:05.678Z"
    assert rows[0][2] == 'a；b;c"d;e\nf'
    assert [row[2] for row in rows[1:]] == [""] * 10
    text = path.read_bytes().decode()
    assert '\n"",2026' in text  # an empty string is quoted …
    assert text.endswith("\n,,\n")  # … what is not known is not


def test_each_type_of_column_has_a_type_in_neo4j():
    columns = [c for e in ENTITIES.values() for c in e.columns]
    columns += [c for r in RELATIONS.values() for c in r.columns]
    assert {c.dtype for c in columns} <= set(neo4j.TYPES)
