"""A made-up lineage, small but whole: families of models whose names, owners and texts tell bases.

Every family has a base and models derived from it; some models derive from two families. Most cards
name the base, some names do not.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_assets.tracing import embeddings, evidence, leaderboard, prediction, scores, triples
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.warehouse import Warehouse

DAY = date(2026, 11, 24)
FAMILIES = (
    "amber", "birch", "cedar", "drift", "ember", "fjord", "grove", "heron", "ivory", "jade", "kelp",
    "lotus",
)  # fmt: skip
SUFFIX = {
    "model_adapter_model": "lora",
    "model_finetune_model": "ft",
    "model_merge_model": "merge",
    "model_quantized_model": "GGUF",
}
WIDTH = 16
INPUTS = (
    "entity/model", "feature/document", "feature/embedding", "hub/aliases",
    *(f"verified/{name}" for name in LINEAGE),
)  # fmt: skip


def families(derived: int = 14, seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Models and the triples between them.

    Args:
        derived: models of each family.
        seed: of what is drawn.

    Returns:
        `id`, `family`, `base` (null for bases), `created_at`, `library_name`, `clean`, `card`; and
        `relation`, `base_id`, `derived_id`.
    """
    rng = np.random.default_rng(seed)
    first = datetime(2025, 1, 1, tzinfo=UTC)
    models, edges = [], []
    for family in FAMILIES:
        base = f"{family}-lab/{family.title()}-7b"
        models.append((base, family, None, first, "transformers", f"{family} from scratch", ""))
        for number in range(derived):
            relation = LINEAGE[rng.integers(4)]
            hidden = rng.random() < 0.15  # its name does not tell
            stem = "run" if hidden else f"{family.title()}-7b"
            own = f"user{rng.integers(30)}/{stem}-{number}-{family[:2]}-{SUFFIX[relation]}"
            created = first + timedelta(days=int(rng.integers(30, 690)), seconds=1)
            library = "peft" if relation == "model_adapter_model" else "transformers"
            told = rng.random() < 0.7
            card = f"Made from [{base}](https://huggingface.co/{base})." if told else "A model."
            models.append((own, family, base, created, library, f"about {family}", card))
            edges.append((relation, base, own))
            if relation == "model_merge_model":
                other = FAMILIES[(FAMILIES.index(family) + 1) % len(FAMILIES)]
                edges.append((relation, f"{other}-lab/{other.title()}-7b", own))
    alone = ("nobody/Amber-7b-orphan-ft", "amber", None, first + timedelta(days=650))
    models.append((*alone, "transformers", "about amber", "A model."))
    models.append(("nobody/silent", "", None, None, None, "", ""))
    schema = ["id", "family", "base", "created_at", "library_name", "clean", "card"]
    frame = pl.DataFrame(models, schema=schema, orient="row").unique("id", keep="first").sort("id")
    triples_ = pl.DataFrame(edges, schema=["relation", "base_id", "derived_id"], orient="row")
    return (
        frame.with_columns(pl.col("created_at").cast(pl.Datetime("ms", "UTC"))),
        triples_.unique().sort("relation", "base_id", "derived_id"),
    )


def facts_of(models: pl.DataFrame, lineage: pl.DataFrame) -> pl.DataFrame:
    """`tracing/evidence` of the made-up models."""
    nothing = pl.DataFrame(schema={"id": pl.String, "canonical_id": pl.String})
    return evidence.model_facts(
        entities(models), documents(models).drop("kind"), nothing, lineage["base_id"]
    )


def vectors_of(models: pl.DataFrame) -> np.ndarray:
    """An embedding for each model's text, float32 [n, WIDTH]; zero where there is none."""
    rng = np.random.default_rng(0)
    of_family = {name: rng.normal(size=WIDTH) for name in ["", *FAMILIES]}
    vectors = np.stack([of_family[f] + rng.normal(size=WIDTH) for f in models["family"]])
    vectors[(models["clean"] == "").to_numpy()] = 0
    return vectors.astype(np.float32)


def entities(models: pl.DataFrame) -> pl.DataFrame:
    """The columns of `entity/model` that are read."""
    return models.select(
        "id",
        "created_at",
        "library_name",
        tasks=pl.lit(["text-generation"]),
        languages=pl.lit(["en"]),
        license=pl.lit("mit"),
        other_tags=pl.concat_list("library_name").list.drop_nulls(),
    )


def documents(models: pl.DataFrame) -> pl.DataFrame:
    """The columns of `feature/document` that are read."""
    says = pl.col("card").str.starts_with("Made from")
    return models.select(
        pl.lit("model").alias("kind"),
        "id",
        "clean",
        as_published="card",
        base_model=pl.when(says).then(pl.concat_list("base").list.drop_nulls()).otherwise([]),
    )


def materialize(root: Path) -> tuple[Warehouse, dg.ExecuteInProcessResult]:
    """Stores the made-up snapshot and materializes all of tracing on it."""
    warehouse = Warehouse(root=str(root))
    models, lineage = families()
    vectors = models.select(
        pl.lit("clean").alias("variant"),
        pl.lit("model").alias("kind"),
        "id",
        pl.Series("embedding", vectors_of(models), dtype=pl.Array(pl.Float32, WIDTH)),
    )
    aliases = pl.DataFrame(schema={"kind": pl.String, "id": pl.String, "canonical_id": pl.String})
    verified = {
        f"verified/{name}": lineage.filter(relation=name).select(
            subject_id="base_id", object_id="derived_id"
        )
        for name in LINEAGE
    }
    tables = {
        "entity/model": entities(models),
        "feature/document": documents(models),
        "feature/embedding": vectors,
        "hub/aliases": aliases,
        **verified,
    }
    for name in INPUTS:
        warehouse.write(name, DAY, tables[name])
    inputs = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in INPUTS
    ]
    made = [
        triples.triples,
        evidence.evidence,
        *embeddings.EMBEDDING_ASSETS,
        scores.scores,
        leaderboard.leaderboard,
        prediction.predicted_base,
    ]
    quick = {"epochs": 12, "dimension": 16}
    result = dg.materialize(
        [*made, leaderboard.leaderboard_checks, prediction.prediction_checks, *inputs],
        selection=dg.AssetSelection.assets(*made),
        partition_key=str(DAY),
        resources={"warehouse": warehouse},
        run_config={
            "ops": {a.op.name: {"config": quick} for a in embeddings.EMBEDDING_ASSETS},
            "loggers": {"console": {"config": {"log_level": "ERROR"}}},
        },
        raise_on_error=False,
    )
    return warehouse, result
