"""A small snapshot, written by hand: some models with a lineage, a user, and what is predicted.

```
old/base ──finetune──► old/tuned ──quantized──► fast/tuned-GGUF
    │                      ▲
    └──merge──► odd/merged ┘ (finetune: a cycle)   odd/merged ◄──merge── new/base
lone/model has no relative.
```
"""

from datetime import UTC, datetime

import polars as pl

from hfkg_assets.vocabulary import ENTITIES, LINEAGE
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-24"
MADE = datetime(2026, 1, 2, tzinfo=UTC)

ODD = 'odd/<b>"merged"</b>'
"""An id as no Hub would give it: what is shown of it must stay text."""

EDGES = (
    ("model_finetune_model", "old/base", "old/tuned"),
    ("model_quantized_model", "old/tuned", "fast/tuned-GGUF"),
    ("model_merge_model", "old/base", ODD),
    ("model_merge_model", "new/base", ODD),
    ("model_finetune_model", ODD, "old/tuned"),
    ("model_adapter_model", "old/tuned", ODD),
    # The same two models, linked twice.
    ("model_quantized_model", "old/base", "old/tuned"),
)
LIKES = {
    "old/base": 90, "old/tuned": 40, "fast/tuned-GGUF": 7, ODD: 3, "new/base": 12, "lone/model": 0,
}  # fmt: skip


def entities(kind: str, rows: list[dict]) -> pl.DataFrame:
    """Rows of an entity table; what they leave out is null."""
    schema = schema_of(ENTITIES[kind].columns)
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def write_store(root, keep=()) -> Warehouse:
    """Writes the snapshot; to the tables that are to be kept its rows are added."""
    warehouse = Warehouse(root=str(root))
    models = [
        {
            "id": id, "likes": likes, "license": "mit", "tasks": ["text-generation"],
            "created_at": MADE, "downloads": 10 * likes,
        }
        for id, likes in LIKES.items()
    ]  # fmt: skip
    datasets = [{"id": "some/data", "likes": 5, "license": "cc-by-4.0", "created_at": MADE}]
    spaces = [{"id": "some/space", "likes": 60, "sdk": "gradio", "created_at": MADE}]
    users = [{"id": "ada"}, {"id": "noor"}]
    for kind, rows in {
        "model": models, "dataset": datasets, "space": spaces, "user": users
    }.items():  # fmt: skip
        table, frame = f"entity/{kind}", entities(kind, rows)
        if table in keep:
            kept = warehouse.scan(table, DAY).collect()
            frame = pl.concat([kept, frame]).sort("id")
        warehouse.write(table, DAY, frame)
    for relation in LINEAGE:
        pairs = [(base, derived) for name, base, derived in EDGES if name == relation]
        schema = {"subject_id": pl.String, "object_id": pl.String}
        warehouse.write(
            f"verified/{relation}", DAY, pl.DataFrame(pairs, schema=schema, orient="row")
        )
    return warehouse


def write_predicted_bases(warehouse: Warehouse) -> None:
    """What is predicted for the two models without a base."""
    name, text = (
        {"kind": "name", "weight": 2.0, "detail": "both names hold model"},
        {"kind": "text", "weight": 1.0, "detail": "the cards are alike"},
    )
    rows = [
        ("lone/model", 1, "old/base", "model_finetune_model", 3.0, 0.75, [name, text]),
        ("lone/model", 2, "old/tuned", "model_adapter_model", 1.0, 0.125, [text]),
        ("new/base", 1, "old/base", "model_finetune_model", 1.0, 0.5, [text]),
    ]
    names = ["id", "rank", "base_id", "relation", "score", "probability", "evidence"]
    warehouse.write("tracing/predicted_base", DAY, pl.DataFrame(rows, schema=names, orient="row"))


def write_recommended(warehouse: Warehouse) -> None:
    """What is recommended to the one user with a like."""
    liked = [{"kind": "dataset", "id": "some/data"}]
    rows = [
        ("ada", 1, "model", "old/base", 0.9, liked),
        ("ada", 2, "space", "some/space", 0.4, liked),
    ]
    names = ["user_id", "rank", "kind", "id", "score", "because"]
    warehouse.write(
        "recommendation/recommended", DAY, pl.DataFrame(rows, schema=names, orient="row")
    )
