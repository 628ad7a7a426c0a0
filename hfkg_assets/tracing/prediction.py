"""`tracing/predicted_base`: what models without a verified base probably derive from.

The combination that reads cards ranks, with the weights and the scale of the time protocol: there
too the asked model is new to the graph, and only what existed before it may be its base. Everything
known of the snapshot is counted. Embeddings of the graph have no say, for of a model without a base
they know nothing, or only what derives from it.

`probability` is the share of the softmax over all candidates, of which the scale was fitted on
validation triples. It is meant given that the model has a base, and one that is a candidate: most
models of which none is verified may well have none. A check compares it with what is right on test
triples.

The kind of the relation is predicted first, from name and configuration of the model alone.

On a large Hub not all pairs are scored. Candidates of a block of models are the models that most
often are bases or are named most in cards, `most_candidates` of them, and for the block's own
models those that their cards name, and those whose name theirs begins with. Where there are no more
models than that, all are candidates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import orjson
import polars as pl
from pydantic import Field

from hfkg_assets.check_results import none_found
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.tracing.combination import Combination, Ranker
from hfkg_assets.tracing.pair_features import FEATURES, Models, PairFeatures, columns_of
from hfkg_assets.tracing.questions import Questions, Run, runs_of
from hfkg_assets.tracing.rankers import COMBINED_WITH_CARD
from hfkg_assets.tracing.scores import COMBINATIONS, read_models
from hfkg_assets.tracing.triples import SPLITS
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

TABLE = "tracing/predicted_base"

MOST_CANDIDATES = 20_000
TOP = 5
BLOCK = 2_048
"""Models whose candidates are looked up together."""

KINDS = ("card", "name", "text", "config", "graph", "popularity")
KIND_OF = {**FEATURES, "card_text": "text"}
"""Feature → kind of evidence it counts as: what two cards say is text, whoever they name."""
LEAST_WEIGHT = 0.05
"""Evidence that weighs less is not told."""

MOST_EXCESS = 0.1
"""Difference of probability and share that is right, beyond chance, that is put up with."""

PREDICTED_BASE = (
    Column("id", pl.String(), "a model without a verified base", required=True),
    Column("rank", pl.Int32(), "1 for the most probable base", required=True),
    Column("base_id", pl.String(), "the model that may be its base", required=True),
    Column("relation", pl.String(), "lineage relation that it would have to it", required=True),
    Column("score", pl.Float64(), "the combination's; compares within one model", required=True),
    Column(
        "probability",
        pl.Float64(),
        "that this is the base, given that it has one among the candidates",
        required=True,
    ),
    Column(
        "evidence",
        pl.List(pl.Struct({"kind": pl.String, "weight": pl.Float64, "detail": pl.String})),
        f"what speaks for it, weightiest first; kind is one of {', '.join(KINDS)}",
        required=True,
    ),
)


class PredictionConfig(dg.Config):
    """How far candidates are looked for."""

    most_candidates: int = Field(
        default=MOST_CANDIDATES, ge=1, description="models that every model may derive from"
    )


def predicted_bases_of(warehouse: Warehouse, day: date | str, model_id: str) -> pl.DataFrame:
    """The predicted bases of one model, most probable first; none where it has a verified one.

    Args:
        warehouse: where the table lies.
        day: the snapshot date.
        model_id: the model, as the snapshot writes its id.

    Returns:
        `PREDICTED_BASE`. Of the file only row groups that may hold the model are read.

    Raises:
        MissingTable: nothing has been predicted for that date.
    """
    return warehouse.scan(TABLE, day).filter(pl.col("id") == model_id).sort("rank").collect()


# --- what is applied -----------------------------------------------------------------------------


def read_combination(directory: Path) -> Combination | None:
    """The combination that predicts, without embeddings; None where none was fitted.

    Args:
        directory: of `tracing/scores`.
    """
    runs = orjson.loads((directory / COMBINATIONS).read_bytes())
    by_preference = sorted(runs, key=lambda run: not run.startswith("time"))
    fitted = [runs[run][COMBINED_WITH_CARD] for run in by_preference]
    chosen = next((record for record in fitted if record["questions"]), None)
    if chosen is None:
        return None
    weights = [[chosen["weights"][r][feature] for feature in FEATURES] for r in LINEAGE]
    return Combination(Ranker(np.array(weights)), chosen["scale"], {}, chosen["questions"])


def predict_relations(facts: pl.DataFrame, triples: pl.DataFrame, asked: np.ndarray) -> np.ndarray:
    """The lineage relation that each model most probably has, by name and configuration, int [q].

    Args:
        facts: `tracing/evidence`.
        triples: `relation`, `derived_id`: what is learnt from.
        asked: rows of the models, int [q].
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    number = {name: place for place, name in enumerate(LINEAGE)}
    text = facts.select(
        "id", text=pl.col("name").str.to_lowercase() + " " + pl.col("config").list.join(" ")
    )
    # A model with several relations is one example of each.
    known = (
        triples.select("relation", id="derived_id")
        .unique()
        .sort("id", "relation")
        .join(text, on="id", maintain_order="left")
    )
    targets = known["relation"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    if len(np.unique(targets)) < 2:
        return np.full(len(asked), targets[0] if len(targets) else 0)
    words = TfidfVectorizer(token_pattern=r"[^\s_\-./]+", sublinear_tf=True, min_df=2)
    classifier = make_pipeline(words, LogisticRegression(C=10.0, max_iter=200))
    classifier.fit(known["text"].to_list(), targets)
    return classifier.predict(text["text"].gather(asked).to_list()) if len(asked) else targets[:0]


def popular_models(facts: pl.DataFrame, known: Questions, most: int) -> np.ndarray:
    """The models that most often are bases, and then those named most in cards, int64, ascending.

    Args:
        facts: `tracing/evidence`.
        known: the verified triples.
        most: how many.
    """
    n = facts.height
    named = (
        facts.select(id=pl.col("named").list.explode(empty_as_null=False))
        .join(facts.select("id").with_row_index("row"), on="id")["row"]
        .to_numpy()
    )
    counts = np.bincount(known.base, minlength=n), np.bincount(named, minlength=n)
    return np.sort(np.lexsort((np.arange(n), -counts[1], -counts[0]))[:most])


_LONGEST_PREFIX = 8


def linked_models(facts: pl.DataFrame) -> pl.DataFrame:
    """Models that a model's card names, or whose whole name its own begins with: `row`, `other`.

    Args:
        facts: `tracing/evidence`.
    """
    part = r"[^-_.]+"
    prefixes = [
        pl.col("name").str.to_lowercase().str.extract(rf"^({part}(?:[-_.]{part}){{{more}}})[-_.]")
        for more in range(_LONGEST_PREFIX)
    ]
    numbered = facts.with_row_index("row").cast({"row": pl.Int64})
    names = numbered.select(other="row", prefix=pl.col("name").str.to_lowercase())
    by_name = (
        numbered.select("row", prefix=pl.concat_list(prefixes))
        .explode("prefix")
        .drop_nulls("prefix")
        .join(names, on="prefix")
        .select("row", "other")
    )
    ids = numbered.select("id", other="row")
    by_card = (
        numbered.select("row", id=pl.col("declared").list.set_union("named"))
        .explode("id")
        .join(ids, on="id")
        .select("row", "other")
    )
    return pl.concat([by_name, by_card]).unique().sort("row", "other")


# --- predicting ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The best candidates of some models.

    Attributes:
        base: their numbers, int64 [q, t]; -1 where there are no more.
        score, probability: float64 [q, t].
        features: float32 [q, t, features].
        weight: by how much each feature raised the score above the candidates' mean, [q, t,
            features].
    """

    base: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    features: np.ndarray
    weight: np.ndarray


def best_candidates(
    asked: Questions, pairs: PairFeatures, combination: Combination, top: int = TOP
) -> Found:
    """Ranks candidates of some models, and keeps the best.

    Args:
        asked: the models with their relations; bases are not read.
        pairs: features of the candidates.
        combination: ranks; without embeddings.
        top: how many are kept.
    """
    parts = []
    for rows, block in pairs.blocks(asked):
        part = asked.take(rows)
        logits = combination.scores(block, part.relation, {})
        logits[~possible_bases(pairs, part.derived)] = -np.inf
        few = min(top, logits.shape[1])
        best = np.argpartition(-logits, few - 1, axis=1)[:, :few]
        order = np.argsort(-np.take_along_axis(logits, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        score = np.take_along_axis(logits, best, axis=1)
        highest = np.where(np.isfinite(score[:, :1]), score[:, :1], 0)
        total = np.exp(logits - highest).sum(axis=1, keepdims=True)
        features = np.take_along_axis(block, best[:, :, None], axis=1)
        weights = combination.ranker.weights[part.relation]
        raised = (features - block.mean(axis=1)[:, None, :]) * weights[:, None, :]
        base = np.where(np.isfinite(score), pairs.candidates[best], -1)
        share = np.exp(score - highest) / np.maximum(total, 1e-300)
        parts.append((base, score, share, features, raised))
    if not parts:
        return Found(*(np.zeros((0, 0)),) * 3, *(np.zeros((0, 0, len(FEATURES))),) * 2)
    return Found(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def possible_bases(pairs: PairFeatures, derived: np.ndarray) -> np.ndarray:
    """Which candidates may be bases, bool [q, c]: others, not younger, not derived from it.

    Args:
        pairs: of the candidates.
        derived: the models asked about, int64 [q].
    """
    created, chosen = pairs.models.created, pairs.candidates
    possible = ~(created[chosen][None, :] > created[derived][:, None])
    possible &= chosen[None, :] != derived[:, None]
    possible &= ~pairs.children_of(derived)
    return possible


def predict(
    facts: pl.DataFrame,
    models: Models,
    triples: pl.DataFrame,
    known: Questions,
    combination: Combination,
    most_candidates: int = MOST_CANDIDATES,
    log: Callable[[str], None] = lambda message: None,
) -> Iterator[pl.DataFrame]:
    """Predicted bases of the models without a verified one: rows of `PREDICTED_BASE`, in blocks.

    Args:
        facts: `tracing/evidence`, sorted by id.
        models: the same as matrices.
        triples: the verified triples: `relation`, `base_id`, `derived_id`.
        known: the same as numbers.
        combination: what ranks.
        most_candidates: see the module.
        log: told of progress.
    """
    has_base = np.zeros(facts.height, dtype=bool)
    has_base[known.derived] = True
    derived = np.flatnonzero(~has_base)
    relation = predict_relations(facts, triples, derived)
    everyone = facts.height <= most_candidates
    popular = np.arange(facts.height) if everyone else popular_models(facts, known, most_candidates)
    linked = None if everyone else linked_models(facts)
    pairs = PairFeatures(models, known, popular) if everyone else None
    for start in range(0, len(derived), BLOCK):
        rows = slice(start, start + BLOCK)
        asked = Questions(relation[rows], np.zeros(len(derived[rows]), np.int64), derived[rows])
        if linked is not None:
            own = linked.filter(pl.col("row").is_in(derived[rows]))["other"].to_numpy()
            pairs = PairFeatures(models, known, np.union1d(popular, own))
        assert pairs is not None
        yield as_rows(facts, asked, best_candidates(asked, pairs, combination))
        if start and start % (50 * BLOCK) == 0:
            log(f"bases of {start:,} of {len(derived):,} models predicted")


# --- the table -----------------------------------------------------------------------------------


def as_rows(facts: pl.DataFrame, asked: Questions, found: Found) -> pl.DataFrame:
    """Rows of `PREDICTED_BASE`, by id and rank.

    Args:
        facts: `tracing/evidence`.
        asked: q models with their relations.
        found: their best candidates.
    """
    q, top = found.base.shape
    there = (found.base >= 0).ravel()
    if not there.any():
        return pl.DataFrame(schema=schema_of(PREDICTED_BASE))
    values = found.features.reshape(q * top, -1)[there]
    raised = found.weight.reshape(q * top, -1)[there]
    frame = pl.DataFrame(
        {
            "row": np.repeat(asked.derived, top)[there],
            "base": found.base.ravel()[there],
            "rank": np.tile(np.arange(1, top + 1, dtype=np.int32), q)[there],
            "relation": pl.Series(LINEAGE, dtype=pl.String).gather(
                np.repeat(asked.relation, top)[there]
            ),
            "score": found.score.ravel()[there],
            "probability": found.probability.ravel()[there].clip(0, 1),
            **{f"x_{name}": values[:, column] for column, name in enumerate(FEATURES)},
            **{
                f"w_{kind}": raised[:, columns_of([f for f, k in KIND_OF.items() if k == kind])]
                .sum(axis=1)
                .astype(np.float64)
                for kind in KINDS
            },
        }
    )
    said = facts.select("id", "name", "config").with_row_index("row").cast({"row": pl.Int64})
    joined = frame.join(said, on="row", maintain_order="left").join(
        said.rename({name: f"base_{name}" for name in said.columns if name != "row"}),
        left_on="base",
        right_on="row",
        maintain_order="left",
    )
    return joined.with_columns(evidence=_evidence()).select(
        pl.col(column.name).cast(column.dtype) for column in PREDICTED_BASE
    )


def _evidence() -> pl.Expr:
    """What speaks for a candidate, as a list of structs, weightiest first."""
    details = _details()
    told = pl.concat_list(
        pl.struct(
            pl.lit(kind).alias("kind"),
            pl.col(f"w_{kind}").alias("weight"),
            details[kind].fill_null("").alias("detail"),
        )
        for kind in KINDS
    )
    weight = pl.element().struct.field("weight")
    return told.list.eval(
        pl.element()
        .filter(weight > LEAST_WEIGHT)
        .sort_by(weight.filter(weight > LEAST_WEIGHT), descending=True)
    )


def _details() -> dict[str, pl.Expr]:
    def parts(name: str) -> pl.Expr:
        return (
            pl.col(name)
            .str.to_lowercase()
            .str.extract_all(r"[^\s_\-./]+")
            .list.unique(maintain_order=True)
        )

    def shared(one: pl.Expr, other: pl.Expr, otherwise: str) -> pl.Expr:
        found = one.list.set_intersection(other)
        return (
            pl.when(found.list.len() > 0)
            .then(pl.format("both have {}", found.list.sort().list.join(", ")))
            .otherwise(pl.lit(otherwise))
        )

    def count(feature: str) -> pl.Expr:
        return pl.col(f"x_{feature}").exp().sub(1).round().cast(pl.Int64)

    habit = count("owner_habit")
    relatives = (pl.col("x_name_relatives") * 100).round().cast(pl.Int64)
    return {
        "name": shared(parts("name"), parts("base_name"), "letters in the same order"),
        "config": shared(pl.col("config"), pl.col("base_config"), "little else differs"),
        "text": pl.format("cosine of the cards' texts {}", pl.col("x_card_text").round(2)),
        "card": pl.when(pl.col("x_declared") > 0)
        .then(pl.lit("its front matter declares it"))
        .when(pl.col("x_named") > 0)
        .then(pl.lit("its README names it"))
        .otherwise(pl.lit("its card names no other")),
        "popularity": pl.when(count("popularity") > 0)
        .then(
            pl.format(
                "base of {} models, {} by this relation",
                count("popularity"),
                count("relation_popularity"),
            )
        )
        .otherwise(pl.lit("it was there in time")),
        "graph": pl.concat_str(
            pl.when(habit > 0).then(
                pl.format("{} other models of its owner derive from it", habit)
            ),
            pl.when(pl.col("x_same_owner") > 0).then(pl.lit("it is of the same owner")),
            pl.when(relatives > 0).then(
                pl.format("{} % of the models of most similar names derive from it", relatives)
            ),
            pl.when(pl.col("x_is_derived") == 0).then(pl.lit("it derives from no other")),
            separator="; ",
            ignore_nulls=True,
        ),
    }


@dataclass(frozen=True)
class Calibration:
    """How far probabilities hold on test triples.

    Attributes:
        said: mean probability of the most probable base.
        right: share of questions in which it is the true one.
        questions: how many.
    """

    said: float
    right: float
    questions: int

    @property
    def excess(self) -> float:
        """By how much they differ beyond two standard errors."""
        error = np.sqrt(max(self.said * (1 - self.said), 0) / max(self.questions, 1))
        return float(max(abs(self.said - self.right) - 2 * error, 0))


def measure(run: Run, pairs: PairFeatures, combination: Combination) -> Calibration | None:
    """Compares probabilities with what is right on a run's test triples; None without any.

    Args:
        run: of the time protocol.
        pairs: features of its known triples.
        combination: without embeddings.
    """
    questions = run.parts["test"]
    said, right = [], []
    for rows, block in pairs.blocks(questions):
        asked = questions.take(rows)
        logits = run.hide(combination.scores(block, asked.relation, {}), asked)
        logits[np.isnan(logits)] = -np.inf
        best = logits.argmax(axis=1)
        highest = logits.max(axis=1)
        said.append(1 / np.exp(logits - highest[:, None]).sum(axis=1))
        right.append(best == asked.base)
    if not said:
        return None
    return Calibration(
        float(np.concatenate(said).mean()), float(np.concatenate(right).mean()), len(questions)
    )


def all_known(runs: list[Run]) -> Questions:
    """All triples of a run of the random protocol, which leaves none out."""
    run = next(run for run in runs if run.protocol == "random")
    return Questions(
        *(
            np.concatenate([getattr(run.parts[split], name) for split in SPLITS])
            for name in ("relation", "base", "derived")
        )
    )


@snapshot_asset(
    TABLE,
    description="The most probable bases of every model without a verified one, with what speaks "
    "for each.",
    columns=PREDICTED_BASE,
    ins={
        "triples": "tracing/triples",
        "evidence": "tracing/evidence",
        "embedding": "feature/embedding",
    },
    deps=["tracing/scores"],
    kinds=("scikitlearn", "parquet"),
    code_version="1",
)
def predicted_base(
    context: dg.AssetExecutionContext,
    config: PredictionConfig,
    warehouse: dg.ResourceParam[Warehouse],
    triples: pl.LazyFrame,
    evidence: pl.LazyFrame,
    embedding: pl.LazyFrame,
) -> pl.DataFrame:
    facts, split = evidence.collect(), triples.collect()
    directory = warehouse.directory("tracing/scores", context.partition_key)
    combination = read_combination(directory)
    if combination is None:
        context.log.warning("no combination was fitted on validation triples: nothing is predicted")
        return pl.DataFrame(schema=schema_of(PREDICTED_BASE))
    texts = embedding.filter(kind="model", variant="clean").select("id", "embedding").collect()
    models = read_models(facts, texts)
    runs = list(runs_of(split, facts))
    verified = split.select("relation", "base_id", "derived_id").unique()
    blocks = predict(
        facts, models, verified, all_known(runs), combination, config.most_candidates,
        context.log.info,
    )  # fmt: skip
    table = pl.concat([pl.DataFrame(schema=schema_of(PREDICTED_BASE)), *blocks]).sort("id", "rank")
    measured = next((run for run in runs if run.protocol == "time"), None)
    calibration = (
        None
        if measured is None
        else measure(measured, PairFeatures(models, measured.known), combination)
    )
    context.add_output_metadata(_metadata(table, calibration))
    return table


def _metadata(table: pl.DataFrame, calibration: Calibration | None) -> dict[str, Any]:
    first = table.filter(rank=1)
    return {
        "hfkg/models": first.height,
        "hfkg/above_half": first.filter(pl.col("probability") > 0.5).height,
        **(
            {}
            if calibration is None
            else {
                "hfkg/said": round(calibration.said, 4),
                "hfkg/right": round(calibration.right, 4),
                "hfkg/test_questions": calibration.questions,
                "hfkg/excess": round(calibration.excess, 4),
            }
        ),
    }


# --- checks --------------------------------------------------------------------------------------


def unsound(predicted: pl.LazyFrame, evidence: pl.LazyFrame, triples: pl.LazyFrame) -> pl.DataFrame:
    """Predictions that cannot be meant: `id`, `rank`, `base_id`, `fault`.

    Args:
        predicted: `tracing/predicted_base`.
        evidence: `tracing/evidence`.
        triples: `tracing/triples`.
    """
    created = evidence.select("id", "created_at")
    place = pl.int_range(1, pl.len() + 1).over("id", order_by="rank")
    judged = (
        predicted.with_columns(place=place)
        .join(created, on="id", how="left")
        .join(
            created.rename({"id": "base_id", "created_at": "base_created_at"}),
            on="base_id",
            how="left",
        )
        .join(triples.select(id="derived_id", verified=pl.lit(True)).unique(), on="id", how="left")
    )
    faults = {
        "ranks are not dense": pl.col("rank") != pl.col("place"),
        "no probability": ~pl.col("probability").is_between(0, 1) | pl.col("probability").is_nan(),
        "its own base": pl.col("id") == pl.col("base_id"),
        "the base is younger": pl.col("base_created_at") > pl.col("created_at"),
        "it has a verified base": pl.col("verified"),
    }
    fault = pl.coalesce(pl.when(test).then(pl.lit(name)) for name, test in faults.items())
    return (
        judged.select("id", "rank", "base_id", fault.alias("fault")).drop_nulls("fault").collect()
    )


SOUND, CALIBRATED = "predictions_are_sound", "probabilities_hold"

_CHECKS = [
    dg.AssetCheckSpec(
        SOUND,
        asset=key_of(TABLE),
        description="Ranks are dense, probabilities are such, no base is the model itself or "
        "younger, and no model has a verified base.",
        partitions_def=SNAPSHOTS,
        additional_deps=[key_of("tracing/evidence"), key_of("tracing/triples")],
    ),
    dg.AssetCheckSpec(
        CALIBRATED,
        asset=key_of(TABLE),
        description=f"On test triples the most probable base is right as often as is said, within "
        f"chance and {MOST_EXCESS}.",
        partitions_def=SNAPSHOTS,
    ),
]


@dg.multi_asset_check(name="check_predicted_base", specs=_CHECKS, can_subset=True)
def prediction_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Whether predictions can be meant, and whether probabilities hold, which warns."""
    day = context.partition_key
    wanted = {key.name for key in context.selected_asset_check_keys}
    if SOUND in wanted:
        faults = unsound(
            *(warehouse.scan(name, day) for name in (TABLE, "tracing/evidence", "tracing/triples"))
        )
        yield none_found(key_of(TABLE), SOUND, faults)
    if CALIBRATED in wanted:
        excess = _recorded_excess(context, day)
        yield dg.AssetCheckResult(
            asset_key=key_of(TABLE),
            check_name=CALIBRATED,
            passed=excess is None or excess <= MOST_EXCESS,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"hfkg/excess": -1.0 if excess is None else excess},
        )


def _recorded_excess(context: dg.AssetCheckExecutionContext, day: str) -> float | None:
    """What the table's materialization says of its probabilities; None where it could not tell."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key_of(TABLE), asset_partitions=[day]), limit=1
    ).records
    event = records[0].asset_materialization if records else None
    value = event.metadata.get("hfkg/excess") if event else None
    return None if value is None else float(value.value)
