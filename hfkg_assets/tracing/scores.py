"""`tracing/scores`: the rank that every ranker gives the true base of every held-out question.

Rankers of a single evidence, the embeddings' own rows, chance, and the combinations, which are
fitted here: weights beside the table in `combinations.json`. One ranking for each, over all
candidates that `Run.hide` leaves: every model of the snapshot, in the time protocol every one that
existed when the derived model was created, in the random one every one that training has.

Belongs here: the table. Does not: features, weights, arithmetic of ranks.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import orjson
import polars as pl
from pydantic import Field

from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.tracing.combination import (
    MOST_QUESTIONS,
    Combination,
    combine,
    fit_ranker,
    training_choices,
)
from hfkg_assets.tracing.embeddings import Loaded, load_embeddings
from hfkg_assets.tracing.pair_features import (
    FEATURES,
    WITHOUT_CARD,
    Models,
    PairFeatures,
    model_matrices,
)
from hfkg_assets.tracing.questions import Questions, Run, runs_of
from hfkg_assets.tracing.rankers import (
    COMBINED,
    COMBINED_WITH_CARD,
    EMBEDDINGS,
    RANDOM,
    RANKS,
    rank_rows,
    single_scores,
)
from hfkg_assets.tracing.ranking import ranking_metrics, realistic_ranks
from hfkg_assets.tracing.triples import HELD
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

CARD = [name for name, kind in FEATURES.items() if kind == "card"]
COMBINATIONS = "combinations.json"


class ScoresConfig(dg.Config):
    """How the combinations are fitted."""

    most_questions: int = Field(
        default=MOST_QUESTIONS, ge=1, description="training questions that weights are fitted on"
    )


@dataclass(frozen=True)
class Fitted:
    """The combinations of a run.

    Attributes:
        without_card: reads no card.
        with_card: reads cards as they are too.
        seconds: that fitting took.
    """

    without_card: Combination
    with_card: Combination
    seconds: float


def fit_combinations(
    run: Run, pairs: PairFeatures, embeddings: Loaded, most: int = MOST_QUESTIONS
) -> Fitted:
    """Fits a run's combinations.

    Args:
        run: the run.
        pairs: features of its known triples.
        embeddings: its embeddings.
        most: training questions at most.
    """
    started = time.perf_counter()

    def others(asked: Questions) -> Mapping[str, np.ndarray]:
        return {name: embedding.scores(asked) for name, embedding in embeddings.items()}

    choices = training_choices(run, pairs, most)
    plain = fit_ranker(choices, WITHOUT_CARD)
    reading = fit_ranker(choices, CARD, beside=plain)
    return Fitted(
        combine(run, pairs, plain, others),
        combine(run, pairs, reading, others),
        time.perf_counter() - started,
    )


def rank_all(
    run: Run, pairs: PairFeatures, fitted: Fitted, embeddings: Loaded, ids: pl.Series
) -> pl.DataFrame:
    """Rows of `RANKS` of every ranker but the embeddings, of validation and test.

    Args:
        run: the run.
        pairs: features of its known triples, all models as candidates.
        fitted: its combinations.
        embeddings: its embeddings, by name.
        ids: of the models.
    """
    generator = np.random.default_rng(run.seed)
    frames = [pl.DataFrame(schema=schema_of(RANKS))]
    for split in HELD:
        questions = run.parts[split]
        ranks: dict[str, list[np.ndarray]] = {}
        candidates = [np.zeros(0, np.int64)]
        for rows, block in pairs.blocks(questions):
            asked = questions.take(rows)
            others = {name: embedding.scores(asked) for name, embedding in embeddings.items()}
            scores = {
                RANDOM: generator.random(block.shape[:2]),
                **single_scores(block),
                COMBINED: fitted.without_card.scores(block, asked.relation, others),
                COMBINED_WITH_CARD: fitted.with_card.scores(block, asked.relation, others),
            }
            places = run.places(asked)
            for name, values in scores.items():
                ranks.setdefault(name, []).append(realistic_ranks(places.hide(values), asked.base))
            candidates.append((~places.hidden).sum(axis=1))
        frames += [
            rank_rows(name, run, split, ids, np.concatenate(found), np.concatenate(candidates))
            for name, found in ranks.items()
        ]
    return pl.concat(frames)


# --- what was fitted -----------------------------------------------------------------------------


def as_record(combination: Combination) -> dict[str, Any]:
    """A combination as JSON: relation → feature → weight, scale, trust."""
    return {
        "weights": {
            relation: dict(zip(FEATURES, map(float, row), strict=True))
            for relation, row in zip(LINEAGE, combination.ranker.weights, strict=True)
        },
        "scale": combination.scale,
        "trust": dict(combination.trust),
        "questions": combination.questions,
    }


def write_combinations(directory: Path, fitted: Mapping[str, Fitted]) -> Path:
    """Stores the combinations beside the table: run, as `protocol-seed`, → name → combination."""
    path = directory / COMBINATIONS
    content = {
        run: {
            COMBINED: as_record(found.without_card),
            COMBINED_WITH_CARD: as_record(found.with_card),
        }
        for run, found in fitted.items()
    }
    data = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    write_atomically(path, lambda file: file.write_bytes(data))
    return path


def as_markdown(fitted: Mapping[str, Fitted]) -> str:
    """The weights of each run's combinations, mean over relations, and the trust in embeddings."""
    names = [*FEATURES, *EMBEDDINGS, "scale"]
    runs = [
        (f"{run}, {name}", combination)
        for run, found in fitted.items()
        for name, combination in (
            (COMBINED, found.without_card),
            (COMBINED_WITH_CARD, found.with_card),
        )
    ]
    lines = [
        "| | " + " | ".join(name for name, _ in runs) + " |",
        "| --- " + "| ---: " * len(runs) + "|",
    ]
    for name in names:
        cells = [
            f"{weight:.2f}" if weight else "" for weight in (_weight(c, name) for _, c in runs)
        ]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _weight(combination: Combination, name: str) -> float:
    if name == "scale":
        return combination.scale
    if name in FEATURES:
        return float(combination.ranker.weights[:, list(FEATURES).index(name)].mean())
    return combination.trust.get(name, 0.0)


# --- the asset -----------------------------------------------------------------------------------


def read_models(evidence: pl.DataFrame, embedding: pl.DataFrame) -> Models:
    """Models as matrices, with their clean texts' embeddings.

    Args:
        evidence: `tracing/evidence`.
        embedding: `id`, `embedding` of the models' clean texts; may be empty, where no clean texts
            are embedded.
    """
    dtype = embedding.schema["embedding"]
    width = dtype.shape[0] if isinstance(dtype, pl.Array) and embedding.height else 1
    vectors = np.zeros((evidence.height, width), np.float32)
    joined = (
        evidence.select("id")
        .with_row_index("row")
        .join(embedding.select("id", "embedding"), on="id", maintain_order="left")
    )
    if joined.height:
        vectors[joined["row"].to_numpy()] = joined["embedding"].to_numpy()
    return model_matrices(evidence, vectors)


def score_runs(
    triples: pl.DataFrame,
    evidence: pl.DataFrame,
    models: Models,
    embeddings: Callable[[Run], Loaded],
    most: int = MOST_QUESTIONS,
    log: Callable[[str], None] = lambda message: None,
) -> tuple[pl.DataFrame, dict[str, Fitted]]:
    """Ranks of all runs, and what was fitted for each.

    Args:
        triples: `tracing/triples`.
        evidence: `tracing/evidence`.
        models: the same as matrices.
        embeddings: gives the embeddings of a run.
        most: training questions at most.
        log: told of each run.
    """
    frames, fitted = [pl.DataFrame(schema=schema_of(RANKS))], {}
    for run in runs_of(triples, evidence):
        known = embeddings(run)
        pairs = PairFeatures(models, run.known)
        found = fit_combinations(run, pairs, known, most)
        frames.append(rank_all(run, pairs, found, known, evidence["id"]))
        fitted[f"{run.protocol}-{run.seed}"] = found
        test = frames[-1].filter(split="test", model=COMBINED)["rank"].to_numpy()
        log(
            f"{run.protocol}, seed {run.seed}: fitted in {found.seconds:.1f} s, "
            f"{len(test):,} test questions, MRR {ranking_metrics(test)['mrr']:.4f}"
        )
    return pl.concat(frames), fitted


@snapshot_asset(
    "tracing/scores",
    description="The rank that every ranker gives the true base of each held-out triple.",
    columns=RANKS,
    ins={
        "triples": "tracing/triples",
        "evidence": "tracing/evidence",
        "embedding": "feature/embedding",
        **{name: f"tracing/{name}" for name in EMBEDDINGS},
    },
    kinds=("scikitlearn", "parquet"),
    code_version="1",
)
def scores(
    context: dg.AssetExecutionContext,
    config: ScoresConfig,
    warehouse: dg.ResourceParam[Warehouse],
    triples: pl.LazyFrame,
    evidence: pl.LazyFrame,
    embedding: pl.LazyFrame,
    **embeddings: pl.LazyFrame,
) -> pl.DataFrame:
    day = context.partition_key
    facts = evidence.collect()
    texts = embedding.filter(kind="model", variant="clean").select("id", "embedding").collect()
    rows, fitted = score_runs(
        triples.collect(),
        facts,
        read_models(facts, texts),
        lambda run: load_embeddings(warehouse, day, run, facts["id"]),
        config.most_questions,
        context.log.info,
    )
    write_combinations(warehouse.directory("tracing/scores", day), fitted)
    context.add_output_metadata(
        {
            "hfkg/weights": dg.MetadataValue.md(as_markdown(fitted)),
            "hfkg/config": dg.MetadataValue.json(config.model_dump()),
        }
    )
    return pl.concat([rows, *(embeddings[name].collect() for name in EMBEDDINGS)])
