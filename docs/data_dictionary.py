"""Writes docs/data_dictionary.md: every table with its columns, from the declarations.

.venv/bin/python docs/data_dictionary.py
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from hfkg_assets.definitions import defs
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.warehouse import SCHEMA_KEY

TARGET = Path(__file__).with_suffix(".md")

INTRODUCTION = """# Data dictionary

Every table with its columns, written from the declarations by `docs/data_dictionary.py`. A table
`layer/name` is `data/<layer>/<name>/snapshot_date=YYYY-MM-DD/part-0.parquet`, and the view
`layer.name` with the column `snapshot_date` in `data/hfkg.duckdb`. Moments are UTC.
"""

LAYERS = (
    "hub", "entity", "relation", "verified", "rejected", "graph", "feature", "classification",
    "tracing", "recommendation", "retrieval", "torrent", "export", "catalog",
)  # fmt: skip
"""In the order in which data flows."""

ALIKE = {
    "relation": "The assertions as observed, one table per relation of the vocabulary.",
    "verified": "The assertions that hold, with the ids of today, one table per relation.",
    "rejected": "The assertions that do not, one table per relation.",
}
"""Layers with a table per relation: told once, by the columns that all of them have."""


def dictionary() -> str:
    """The whole page."""
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    by_layer: dict[str, list[dg.AssetSpec]] = {}
    for key in sorted(specs, key=lambda key: key.path):
        by_layer.setdefault(key.path[0], []).append(specs[key])
    known = [layer for layer in LAYERS if layer in by_layer]
    unknown = sorted(set(by_layer) - set(known))
    parts = [INTRODUCTION, "## The vocabulary", *_vocabulary()]
    for layer in [*known, *unknown]:
        parts.append(f"## {layer}")
        if layer in ALIKE:
            parts += [f"{ALIKE[layer]} Beside its attributes each has", _common(by_layer[layer])]
        else:
            parts += [text for spec in by_layer[layer] for text in _table(spec)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _vocabulary() -> Iterator[str]:
    entities = [
        ("entity", "what it is"),
        *((f"`{e.name}`", e.description) for e in ENTITIES.values()),
    ]
    yield _lines(entities)
    relations = [
        ("relation", "from", "to", "what it says", "attributes"),
        *(
            (
                f"`{r.name}`", r.subject, r.object, r.description,
                "; ".join(f"`{c.name}`: {c.description}" for c in r.attributes),
            )
            for r in RELATIONS.values()
        ),
    ]  # fmt: skip
    yield _lines(relations)


def _table(spec: dg.AssetSpec) -> Iterator[str]:
    yield f"### {spec.key.to_user_string()}"
    yield spec.description or ""
    if columns := _columns(spec):
        yield _lines([HEAD, *columns.values()])


HEAD = ("column", "type", "there", "what it holds")


def _columns(spec: dg.AssetSpec) -> dict[str, tuple[str, ...]]:
    """Column → its row."""
    schema = spec.metadata.get(SCHEMA_KEY)
    return {
        column.name: (
            f"`{column.name}`",
            f"`{column.type}`",
            "" if column.constraints.nullable else "always",
            column.description or "",
        )
        for column in (schema.columns if schema else ())
    }


def _common(specs: list[dg.AssetSpec]) -> str:
    """The columns that all tables have."""
    first, *others = map(_columns, specs)
    rows = [row for name, row in first.items() if all(name in other for other in others)]
    # Whose id it is differs from relation to relation.
    ends = {"`subject_id`": "the subject's id", "`object_id`": "the object's id"}
    return _lines([HEAD, *((*row[:3], ends.get(row[0], row[3])) for row in rows)])


def _lines(rows: list[tuple[str, ...]]) -> str:
    head, *body = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])


if __name__ == "__main__":
    TARGET.write_text(dictionary(), encoding="utf-8")
