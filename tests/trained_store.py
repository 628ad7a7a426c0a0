"""A made-up snapshot, small but whole, on which every learner is really trained.

Each repository is about one task: its text has words of the task, its bases and datasets are mostly
of the same one. A third declares nothing, and what these are for is known here all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.graph import MESSAGE_GRAPH, MESSAGE_RELATIONS, NODE
from hfkg_assets.classification.labels import LABELS, TASK_INDEX, TASK_RELATIONS
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.models import LEARNER_ASSETS, PREDICTIONS
from hfkg_assets.classification.prediction import predicted_tasks, prediction_checks
from hfkg_assets.classification.splits import split_nodes
from hfkg_assets.classification.term_scores import term_scores
from hfkg_assets.features.bm25 import bm25_scores
from hfkg_assets.features.node_features import node_features
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_assets.vocabulary import RELATIONS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-24"
WORDS = {
    "automatic-speech-recognition": "spoken audio microphone waveform transcripts voice phonemes",
    "image-classification": "pictures photographs pixels vision camera objects convolutional",
    "table-question-answering": "tables rows columns cells spreadsheet queries answers",
    "text-generation": "language tokens chat prompts completion instructions assistant",
    "translation": "bilingual sentences german french english parallel corpus",
}
COMMON = "this repository was trained evaluated results with settings batch rate version release"
DATASETS_ONLY = "table-question-answering"
TRAINED = ("logistic_regression", "rgcn", "sage")
"""Learners that are trained; the other tables are empty, as if made for other texts."""

MODELS, DATASETS = 320, 140
SILENT = ("model/silent", "dataset/silent")
"""Repositories with neither text nor edge."""

INPUTS = (
    "classification/node", "classification/graph", "classification/labels",
    "classification/split", "classification/task_index", "classification/term_scores",
    "feature/document", "feature/node_features",
    "verified/model_definedFor_task", "verified/dataset_definedFor_task",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedStore:
    """The store of a trained snapshot.

    Attributes:
        warehouse: where everything lies.
        truth: `kind`, `id`, `task_id` of every repository, declared or not.
        result: of the run that trained and predicted.
    """

    warehouse: Warehouse
    truth: pl.DataFrame
    result: dg.ExecuteInProcessResult


def text_of(task: str, rng: np.random.Generator) -> str:
    """A card's prose: words of the task among common ones."""
    own = rng.choice(WORDS[task].split(), 4)
    others = rng.choice(" ".join(WORDS.values()).split(), 3)
    common = rng.choice(COMMON.split(), 9)
    return " ".join(rng.permutation([*own, *others, *common]))


def train_store(root: Path) -> TrainedStore:
    """Makes the snapshot, trains every learner on it and predicts."""
    rng = np.random.default_rng(11)
    warehouse = Warehouse(root=str(root))
    repositories = _repositories(rng)
    _store_inputs(warehouse, repositories, rng)
    return TrainedStore(
        warehouse,
        repositories.select("kind", "id", "task_id"),
        train_and_predict(warehouse),
    )


def train_and_predict(warehouse: Warehouse) -> dg.ExecuteInProcessResult:
    """Materializes word scores, the learners and what is predicted with them."""
    for name in set(LEARNERS) - set(TRAINED):
        warehouse.write(f"classification/{name}", DAY, pl.DataFrame(schema=schema_of(PREDICTIONS)))
    trained = [asset for asset in LEARNER_ASSETS if asset.key.path[-1] in TRAINED]
    quick = {"protocols": ["random", "family"], "seeds": [0, 1], "hidden": 32, "epochs": 30}
    return materialize(
        warehouse,
        term_scores,
        *trained,
        ops={asset.op.name: {"config": quick} for asset in trained},
    )


def materialize(
    warehouse: Warehouse, *assets: dg.AssetsDefinition, ops: Mapping[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Materializes some assets, the predictions and their checks."""
    made = [*assets, predicted_tasks]
    known = {key for asset in made for key in asset.keys}
    names = {*INPUTS, *(f"classification/{name}" for name in LEARNERS)}
    inputs = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in sorted(names)
        if key_of(name) not in known
    ]
    return dg.materialize(
        [*made, prediction_checks, *inputs],
        selection=dg.AssetSelection.assets(*made),
        partition_key=DAY,
        resources={"warehouse": warehouse, "encoder": TextEncoder(variants=["clean"])},
        run_config={"ops": ops or {}, "loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        raise_on_error=False,
    )


def _repositories(rng: np.random.Generator) -> pl.DataFrame:
    """`kind`, `id`, `task_id`, `text`, `declared`, `created_at`, by kind and id."""
    rows = []
    for kind, count in (("dataset", DATASETS), ("model", MODELS)):
        for number in range(count):
            task = rng.choice([t for t in WORDS if kind == "dataset" or t != DATASETS_ONLY])
            text = text_of(task, rng) if rng.random() < 0.9 else ""
            name = f"{kind}/{number:03d}"
            rows.append((kind, name, task, text, rng.random() < 0.7))
        rows.append((kind, f"{kind}/silent", "translation", "", False))
    frame = pl.DataFrame(
        rows, schema=["kind", "id", "task_id", "text", "declared"], orient="row"
    ).sort("kind", "id")
    days = rng.integers(0, 700, frame.height).tolist()
    first = datetime(2024, 12, 15, tzinfo=UTC)
    moments = [first + timedelta(days=days) for days in days]
    return frame.with_columns(created_at=pl.Series(moments, dtype=pl.Datetime("ms", "UTC")))


def _edges(repositories: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Edges that mostly join what is about the same task; none at the silent ones."""
    numbered = repositories.with_row_index("node").filter(~pl.col("id").is_in(SILENT))
    rows = []
    for node, task in numbered.filter(kind="model").select("node", "task_id").iter_rows():
        for relation in (MESSAGE_RELATIONS[1], "model_trainedOrFineTunedOn_dataset"):
            if rng.random() < 0.5:
                near = numbered.filter(kind=RELATIONS[relation].object)
                alike = near.filter(task_id=task) if rng.random() < 0.9 else near
                rows.append((node, int(rng.choice(alike["node"])), relation, None))
    return pl.DataFrame(rows, schema=schema_of(MESSAGE_GRAPH), orient="row").filter(
        pl.col("source") != pl.col("target")
    )


def _store_inputs(
    warehouse: Warehouse, repositories: pl.DataFrame, rng: np.random.Generator
) -> None:
    tasks = sorted(WORDS)
    index = pl.DataFrame(
        {"task_id": tasks, "index": range(len(tasks)), "label": [t.title() for t in tasks]},
        schema=schema_of(TASK_INDEX),
    )
    edges = _edges(repositories, rng)
    declared = repositories.filter("declared")
    labels = (
        declared.join(index, on="task_id")
        .select("kind", "id", pl.concat_list("index").alias("labels"))
        .sort("kind", "id")
    )
    lineage = edges.filter(pl.col("relation") == MESSAGE_RELATIONS[1])
    links = lineage.select("source", "target").to_numpy().T
    nodes = repositories.with_row_index("node").select(
        pl.col("node").cast(pl.Int64), "kind", "id", "created_at", text_at="created_at"
    )
    for name, frame in {
        "classification/node": nodes.match_to_schema(schema_of(NODE)),
        "classification/graph": edges,
        "classification/labels": labels.match_to_schema(schema_of(LABELS)),
        "classification/split": split_nodes(nodes, labels, links, date.fromisoformat(DAY)),
        "classification/task_index": index,
        "feature/document": _documents(repositories),
        "feature/node_features": _features(repositories, tasks),
        **{
            f"verified/{relation}": declared.filter(kind=kind).select(
                subject_id="id", object_id="task_id"
            )
            for kind, relation in TASK_RELATIONS.items()
        },
    }.items():
        warehouse.write(name, DAY, frame)


def _documents(repositories: pl.DataFrame) -> pl.DataFrame:
    """What is read of `feature/document`: no text is a copy, none is made from a template."""
    return repositories.select(
        "kind",
        "id",
        clean="text",
        code=pl.when(pl.col("text") == "").then(pl.lit("")).otherwise(pl.lit("generate(inputs)")),
        duplicate_of=pl.lit(None, dtype=pl.String),
        boilerplate=pl.lit(None, dtype=pl.String),
        only_boilerplate=pl.lit(False),
        clean_sha256=pl.lit(None, dtype=pl.String),
    )


def _features(repositories: pl.DataFrame, tasks: list[str]) -> pl.DataFrame:
    encoder, texts = TextEncoder(), repositories["text"]
    filled = (texts != "").to_numpy()
    vectors = np.zeros((len(texts), encoder.dimension), np.float32)
    vectors[filled] = encoder.encode(texts.filter(filled).to_list())
    keys = repositories.select(pl.lit("clean").alias("variant"), "kind", "id").lazy()
    parts = {"embedding": vectors, "bm25": bm25_scores(texts, tasks)}
    return node_features(
        {
            name: keys.with_columns(
                pl.Series(name, matrix, dtype=pl.Array(pl.Float32, matrix.shape[1]))
            )
            for name, matrix in parts.items()
        }
    )[0]
