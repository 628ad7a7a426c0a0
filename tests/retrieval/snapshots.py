"""A made-up snapshot with indexes, small enough to know every answer by heart."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.features.documents import DOCUMENT
from hfkg_assets.retrieval import facts, indexes, leaderboard, similar
from hfkg_assets.retrieval.leaderboard import fusion_beats_its_parts
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_assets.vocabulary import ENTITIES, LINEAGE
from hfkg_resources.table_schema import schema_of
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-24"

SPEECH, PICTURES, CHAT = "automatic-speech-recognition", "image-classification", "text-generation"
TASKS = {
    SPEECH: "Automatic Speech Recognition",
    PICTURES: "Image Classification",
    CHAT: "Text Generation",
}

# kind, id, task, licence, language, library, likes, day of 2026 it was made, text
ROWS = [
    ("model", "acme/ear-7B", SPEECH, "mit", "de", "transformers", 90, "01-10",
     "A model that writes down spoken German. It listens to a microphone.\nTrained on radio."),
    ("model", "acme/ear-7B-GGUF", None, "mit", "de", "llama.cpp", 5, "02-10",
     "Spoken German written down: a quantization of ear. It listens to a microphone, spoken."),
    ("model", "bird/ear-legal", SPEECH, "apache-2.0", "de", "transformers", 1, "03-10",
     "Fine-tuned for spoken German in courtrooms. Judges and lawyers."),
    ("model", "bird/eye-350M", PICTURES, "apache-2.0", "en", "timm", 40, "04-10",
     "Tells animals in photographs apart. Cats, dogs and birds."),
    ("model", "cat/talker-8x7B", CHAT, "other", "en", "transformers", 7, "05-10",
     "Chats with people and writes stories."),
    ("model", "cat/hanzi", CHAT, "mit", "zh", "transformers", 2, "06-10",
     "语音识别模型。中文文本生成。"),
    ("model", "cat/nameless-whistle", None, None, None, None, 0, "07-10", ""),
    ("dataset", "acme/radio", SPEECH, "mit", "de", None, 12, "01-05",
     "Hours of German radio, spoken by many people, written down by hand."),
    ("dataset", "acme/ear-7B", None, "mit", "en", None, 1, "01-06", "Numbers in tables."),
    ("dataset", "bird/photos", PICTURES, "cc-by-4.0", "en", None, 3, "01-07",
     "Photographs of animals with their names."),
]  # fmt: skip

PEOPLE = ("ann", "ben")
SPACE = "acme/demo"

EDGES = [
    ("model_quantized_model", "acme/ear-7B", "acme/ear-7B-GGUF"),
    ("model_finetune_model", "acme/ear-7B", "bird/ear-legal"),
    ("user_like_model", "ann", "acme/ear-7B"),
    ("user_like_model", "ann", "cat/hanzi"),
    ("user_like_model", "ben", "acme/ear-7B"),
    ("user_like_model", "ben", "cat/hanzi"),
    ("space_use_model", SPACE, "bird/eye-350M"),
    ("space_use_model", SPACE, "cat/talker-8x7B"),
    ("model_trainedOrFineTunedOn_dataset", "acme/ear-7B", "acme/radio"),
    ("user_follow_user", "ann", "ben"),
]

INPUTS = (
    "entity/model", "entity/dataset", "entity/task", "feature/document", "feature/embedding",
    "graph/node", "graph/edge",
)  # fmt: skip

INDEX_ASSETS = (facts.facts, indexes.link, indexes.word_index, indexes.vector_index)
ASSETS = (*INDEX_ASSETS, similar.similar, leaderboard.leaderboard)


def encoder() -> TextEncoder:
    """The packaged model, as it is."""
    return TextEncoder()


def store_inputs(warehouse: Warehouse) -> None:
    """Writes what the indexes are made of."""
    rows = sorted(ROWS, key=lambda row: row[:2])
    frames = {kind: [row for row in rows if row[0] == kind] for kind in ("model", "dataset")}
    for kind, own in frames.items():
        warehouse.write(f"entity/{kind}", DAY, _filled(ENTITIES[kind].columns, map(_entity, own)))
    warehouse.write("entity/task", DAY, pl.DataFrame({"id": [*TASKS], "label": [*TASKS.values()]}))
    documents = [
        {"kind": row[0], "id": row[1], "clean": row[-1], "has_text": bool(row[-1])} for row in rows
    ]
    warehouse.write("feature/document", DAY, _filled(DOCUMENT, documents))
    texts = [row[-1] for row in rows]
    vectors = np.zeros((len(texts), encoder().dimension), np.float32)
    filled = [i for i, text in enumerate(texts) if text]
    vectors[filled] = encoder().encode([texts[i] for i in filled])
    keys = pl.DataFrame(
        {
            "variant": ["clean"] * len(rows),
            "kind": [row[0] for row in rows],
            "id": [row[1] for row in rows],
            "has_text": [bool(row[-1]) for row in rows],
        }
    )
    embedded = pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    warehouse.write("feature/embedding", DAY, keys.with_columns(embedded))
    nodes = [(row[0], row[1]) for row in rows]
    nodes += [("user", name) for name in PEOPLE] + [("space", SPACE)]
    number = {node: place for place, node in enumerate(nodes)}
    warehouse.write(
        "graph/node",
        DAY,
        pl.DataFrame(
            [(place, kind, id) for (kind, id), place in number.items()],
            schema={"node_id": pl.Int64, "type": pl.String, "id": pl.String}, orient="row",
        ),
    )  # fmt: skip
    ends = []
    for relation, subject, target in EDGES:
        subject_kind, _, target_kind = relation.split("_")
        ends.append((number[subject_kind, subject], number[target_kind, target], relation))
    warehouse.write(
        "graph/edge",
        DAY,
        pl.DataFrame(
            ends, schema={"source": pl.Int64, "target": pl.Int64, "relation": pl.String},
            orient="row",
        ),
    )  # fmt: skip
    for relation in LINEAGE:
        pairs = [(subject, target) for name, subject, target in EDGES if name == relation]
        schema = {"subject_id": pl.String, "object_id": pl.String}
        frame = pl.DataFrame(pairs, schema=schema, orient="row")
        warehouse.write(f"verified/{relation}", DAY, frame)


def _entity(row: tuple) -> dict:
    _, id, task, licence, language, library, likes, made, _ = row
    return {
        "id": id, "name": id.split("/")[-1], "tasks": [task] if task else [], "license": licence,
        "languages": [language] if language else [], "library_name": library, "libraries": [],
        "likes": likes, "downloads": 10 * likes, "size": "1K<n<10K",
        "created_at": datetime.fromisoformat(f"2026-{made}").replace(tzinfo=UTC),
    }  # fmt: skip


def _filled(columns, rows) -> pl.DataFrame:
    """Rows with all declared columns, those that are not told null."""
    schema = schema_of(tuple(columns))
    told = list(rows)
    return pl.DataFrame(
        {name: [row.get(name) for row in told] for name in schema.names()}, schema=schema
    )


def materialize(warehouse: Warehouse, *assets, text_encoder=None) -> dg.ExecuteInProcessResult:
    """Makes some retrieval assets of the snapshot."""
    made = {key for asset in assets for key in asset.keys}
    others = [asset for asset in ASSETS if not asset.keys & made]
    inputs = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in INPUTS
    ]
    return dg.materialize(
        [*assets, *others, fusion_beats_its_parts, *inputs],
        selection=dg.AssetSelection.assets(*assets),
        partition_key=DAY,
        resources={"warehouse": warehouse, "encoder": text_encoder or encoder()},
        run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
    )


def make_indexed(root: Path) -> Warehouse:
    """A store that can be searched."""
    warehouse = Warehouse(root=str(root))
    store_inputs(warehouse)
    assert materialize(warehouse, *INDEX_ASSETS).success
    return warehouse
