"""`export/neo4j`: CSV files and the command that makes a Neo4j database of them."""

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, EntityType, RelationType
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

LIST_SEPARATOR, IN_LIST = ";", "；"
"""Neo4j cannot quote within a list: a semicolon in an element is written as its wide form."""

TYPES = {
    pl.String(): "string",
    pl.Int64(): "long",
    pl.Boolean(): "boolean",
    INSTANT: "datetime",
    STRINGS: "string[]",
}
"""Column type → Neo4j's property type."""

README = """\
CSV files of snapshot {day} of the Hugging Face knowledge graph for Neo4j 5 or later.

import.sh makes a new database of them (the name is its argument, `neo4j` by default):

    sh import.sh

It runs `neo4j-admin database import full`, which must be on the PATH, and needs the database not
to exist and the server not to run it. Then, in cypher-shell:

    MATCH (base:Model)-[how:FINETUNE|QUANTIZED|ADAPTER|MERGE]->(derived:Model)
    RETURN base.id, type(how), derived.id LIMIT 10;

Ids are unique within a label, not across them: a model and a Space may have the same. Files are
UTF-8, comma-separated, quoted where need be ("" is a quote); an empty field is an unknown value.
Lists are separated by semicolons; a semicolon within an element is written as {wide}.
"""


@export_asset(
    "neo4j",
    description=(
        "CSV files with typed headers for neo4j-admin database import, a pair per entity and "
        "relation type, and the command in import.sh."
    ),
    tables=[
        *(f"entity/{name}" for name in ENTITIES),
        *(f"verified/{name}" for name in RELATIONS),
    ],
    kinds=["polars"],
)
def neo4j_export(snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    (folder / "nodes").mkdir()
    (folder / "relationships").mkdir()
    for entity in ENTITIES.values():
        write_header(node_header(entity), folder / header_path("nodes", entity.name))
        table = snapshot.scan(f"entity/{entity.name}")
        write_rows(table, entity.columns, folder / data_path("nodes", entity.name))
    for relation in RELATIONS.values():
        write_header(edge_header(relation), folder / header_path("relationships", relation.name))
        table = snapshot.scan(f"verified/{relation.name}")
        write_rows(table, relation.columns, folder / data_path("relationships", relation.name))
    script = folder / "import.sh"
    script.write_text(import_script())
    script.chmod(0o755)
    (folder / "README.txt").write_text(README.format(day=snapshot.day, wide=IN_LIST))
    return {"hfkg/labels": [label(e) for e in ENTITIES.values()]}


def label(entity: EntityType) -> str:
    """The label of an entity type's nodes: `Model`."""
    return entity.name.capitalize()


def relationship_type(relation: RelationType) -> str:
    """The type of a relation's relationships in Neo4j's manner: `definedFor` → `DEFINED_FOR`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", relation.predicate).upper()


def node_header(entity: EntityType) -> list[str]:
    """The header fields of an entity type's file; ids are unique within their type."""
    identity, *rest = entity.columns
    return [f"{identity.name}:ID({entity.name})", *map(_property, rest)]


def edge_header(relation: RelationType) -> list[str]:
    """The header fields of a relation's file."""
    ends = [f":START_ID({relation.subject})", f":END_ID({relation.object})"]
    return [*ends, *map(_property, relation.attributes)]


def header_path(kind: str, name: str) -> str:
    """Where a header lies in the export; `kind` is `nodes` or `relationships`."""
    return f"{kind}/{name}-header.csv"


def data_path(kind: str, name: str) -> str:
    """Where rows lie in the export."""
    return f"{kind}/{name}.csv"


def write_header(fields: Sequence[str], path: Path) -> None:
    """Writes a header file."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(fields)


def write_rows(table: pl.LazyFrame, columns: Sequence[Column], path: Path) -> None:
    """Streams a table's declared columns into a CSV file without header."""
    table.select(_as_text(column) for column in columns).sink_csv(
        path, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ"
    )


def import_script() -> str:
    """A shell script that imports the files that lie beside it."""
    sources = [
        *(("nodes", e.name, label(e)) for e in ENTITIES.values()),
        *(("relationships", r.name, relationship_type(r)) for r in RELATIONS.values()),
    ]
    files = [
        f"--{kind}={name}={header_path(kind, table)},{data_path(kind, table)}"
        for kind, table, name in sources
    ]
    arguments = [
        '"${1:-neo4j}"',
        "--multiline-fields=true",
        f"--array-delimiter={shlex.quote(LIST_SEPARATOR)}",
        *files,
    ]
    command = " \\\n    ".join(["exec neo4j-admin database import full", *arguments])
    return f'#!/bin/sh\n# Usage: sh import.sh [database]\nset -e\ncd "$(dirname "$0")"\n{command}\n'


def _property(column: Column) -> str:
    name = re.sub(r"_(\w)", lambda match: match[1].upper(), column.name)
    return f"{name}:{TYPES[column.dtype]}"


def _as_text(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    if column.dtype != STRINGS:
        return value
    elements = pl.element().str.replace_all(LIST_SEPARATOR, IN_LIST, literal=True)
    joined = value.list.eval(elements).list.join(LIST_SEPARATOR, ignore_nulls=True)
    return pl.when(joined != "").then(joined)  # "" would be a list of one empty string
