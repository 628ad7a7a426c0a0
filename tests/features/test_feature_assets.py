"""The feature assets through Dagster: from cards in a warehouse to one vector for each node."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from hfkg_assets.features import bm25, documents, embeddings, node_features
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

FIRST, SECOND = "2024-12-15", "2024-12-16"
FEATURES = [documents.document, embeddings.embedding, bm25.bm25, node_features.features]
INPUTS = (
    "entity/model", "entity/dataset", "entity/task", "hub/model_cards", "hub/dataset_cards",
    "classification/task_index",
)  # fmt: skip
BOTH = ["clean", "as_published"]
CARD = "---\npipeline_tag: translation\n---\n# A model for speech\n"


def write_inputs(warehouse: Warehouse, day: str, models: dict[str, str | None]) -> None:
    created = pl.lit(datetime(2024, 1, 1, tzinfo=UTC)).dt.cast_time_unit("ms").alias("created_at")
    cards = pl.DataFrame(
        {"id": list(models), "text": list(models.values())},
        schema={"id": pl.String, "text": pl.String},
    )
    tasks = pl.DataFrame(
        {
            "id": ["speech-recognition", "text-generation", "translation"],
            "label": ["Speech Recognition", "Text Generation", "Translation"],
        }
    )
    for key, frame in {
        "entity/model": cards.select("id", created, created.alias("last_modified_at")),
        "entity/dataset": cards.head(0).select("id", created, created.alias("last_modified_at")),
        "entity/task": tasks,
        "hub/model_cards": cards,
        "hub/dataset_cards": cards.head(0),
        "classification/task_index": tasks.select(
            task_id="id", index=pl.int_range(3, dtype=pl.Int32), label="label"
        ),
    }.items():
        warehouse.write(key, day, frame)


def materialize(warehouse: Warehouse, encoder: TextEncoder, day: str) -> dict[str, dict[str, Any]]:
    """Materializes all feature assets; gives the metadata of each by its key."""
    inputs = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in INPUTS
    ]
    result = dg.materialize(
        [*FEATURES, *inputs],
        selection=FEATURES,
        partition_key=day,
        resources={"warehouse": warehouse, "encoder": encoder},
    )
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def test_cards_become_features_and_the_next_date_embeds_only_its_new_texts(tmp_path: Path) -> None:
    warehouse, encoder = Warehouse(root=str(tmp_path)), TextEncoder(variants=BOTH)
    write_inputs(warehouse, FIRST, {"a/one": CARD, "a/none": None})
    write_inputs(warehouse, SECOND, {"a/one": CARD, "a/two": "Another text."})
    first = materialize(warehouse, encoder, FIRST)
    second = materialize(warehouse, encoder, SECOND)

    # Both variants of `a/one` differ; those of `a/two`, a text without front matter, are equal.
    counts = [
        (run["feature/embedding"]["hfkg/encoded"], run["feature/embedding"]["hfkg/reused"])
        for run in (first, second)
    ]
    assert counts == [(2, 0), (1, 2)]
    assert first["feature/node_features"]["hfkg/columns"] == {
        "embedding": "0..384",
        "bm25": "384..387",
    }

    table = warehouse.scan("feature/node_features", FIRST).collect()
    assert table.select("variant", "kind", "id").rows() == [
        (variant, "model", id)
        for variant in ("as_published", "clean")
        for id in ("a/none", "a/one")
    ]
    without_text, with_text = table.filter(variant="clean")["features"].to_numpy()
    assert not without_text.any()
    speech, generation, translation = with_text[384:]
    assert speech > 0
    assert generation == translation == 0


def test_the_text_as_published_shows_the_leak_that_the_clean_one_does_not(tmp_path: Path) -> None:
    warehouse = Warehouse(root=str(tmp_path))
    write_inputs(warehouse, FIRST, {"a/one": CARD})
    materialize(warehouse, TextEncoder(variants=BOTH), FIRST)
    table = warehouse.scan("feature/node_features", FIRST).collect()
    assert table["variant"].to_list() == ["as_published", "clean"]
    published, clean = table["features"].to_numpy()[:, 386]
    assert published > clean == 0


def test_clean_text_alone_is_read_unless_more_is_asked_for(tmp_path: Path) -> None:
    warehouse = Warehouse(root=str(tmp_path))
    write_inputs(warehouse, FIRST, {"a/one": CARD})
    materialize(warehouse, TextEncoder(), FIRST)
    for table in ("feature/embedding", "feature/bm25", "feature/node_features"):
        assert warehouse.scan(table, FIRST).collect()["variant"].to_list() == ["clean"]
