"""`classification/predicted_tasks`: what repositories that declare no task are probably for.

The learner that does best on validation rows predicts, with all edges, all texts of the snapshot
and all declared tasks before it, from clean texts only; the mean of its seeds is calibrated to
probabilities. Its weights are those of the `random` protocol: repositories that declare nothing are
of all ages, and stand among their relatives that do, as that protocol's validation rows do. The
`family` protocol would judge them as if no relative had ever been seen, `time` as if all were new.

For a text that is of no repository the opposite holds: nothing is known of its relatives. Another
predictor is made for it, from weights of the `family` protocol, chosen and calibrated on scores
without any edge. Both lie in `predictors.json` beside the table.

Belongs here: which rows are predicted, running trained weights on them, the table and its checks.
Does not: arithmetic of probabilities (`calibration`, `predictors`), texts from outside
(`single_text`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification.bundles import Bundle, bundle_path, load_bundle
from hfkg_assets.classification.graph import DOCUMENT_KINDS, NODE_KINDS
from hfkg_assets.classification.labels import NODE_ID, TASK_RELATIONS
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.plots import draw_reliability
from hfkg_assets.classification.predictors import (
    Measured,
    Predictor,
    Rows,
    choose_learner,
    fit_predictor,
    load_predictors,
    measure,
    measurements,
    save_predictors,
)
from hfkg_assets.classification.scoring import Judged, judged_nodes
from hfkg_assets.classification.splits import SPLITS
from hfkg_assets.classification.term_classifier import TERM_SCORES
from hfkg_assets.figures import as_markdown
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

if TYPE_CHECKING:
    from hfkg_assets.classification.networks import Network
    from hfkg_assets.classification.training_data import TrainingData

TABLE = "classification/predicted_tasks"
VARIANT = "clean"
GRAPH, TEXT = "graph", "text"
"""What predictors are used for: repositories of the snapshot, and a text by itself."""

PROTOCOLS_OF_USE = {GRAPH: ("random", "family", "time"), TEXT: ("family", "random", "time")}
"""Use → the protocols whose weights suit it, best first; the first that was trained is taken."""

MOST_TASKS = 5
LEAST_PROBABILITY = 0.01
MOST_EXCESS = 0.05
"""Calibration error of the most probable task, beyond chance, that is put up with."""

NOTHING_TRAINED = (
    "no learner was trained on clean texts: nothing is predicted; put clean into HFKG_TEXT_VARIANTS"
)
UNDECLARED, CALIBRATED = "only_undeclared", "calibrated"

PREDICTED_TASKS = (
    *NODE_ID,
    Column("rank", pl.Int32(), "1 for the most probable task", required=True),
    Column("task_id", pl.String(), "the task", required=True),
    Column("probability", pl.Float32(), "calibrated probability", required=True),
    Column("chosen", pl.Boolean(), "whether it is above the task's tuned threshold", required=True),
    Column("learner", pl.String(), "what predicted", required=True),
)


# --- labelled rows, on which a predictor is chosen and calibrated --------------------------------


def trained_protocol(predictions: Mapping[str, pl.DataFrame], use: str) -> str | None:
    """The protocol that suits a use best among those that any learner was trained with."""
    there = {p for frame in predictions.values() for p in frame["protocol"].unique()}
    return next((p for p in PROTOCOLS_OF_USE[use] if p in there), None)


def stored_rows(predictions: pl.DataFrame, judged: Judged) -> Rows:
    """A learner's scores of one split as they were stored in training.

    Args:
        predictions: rows of `PREDICTIONS` of one variant, protocol and split.
        judged: the split's nodes.
    """
    runs = predictions.sort("seed").group_by("seed", maintain_order=True)
    scores = np.stack([judged.scores(run) for _, run in runs])
    return Rows(judged.nodes["kind"].to_numpy(), judged.truth, scores)


def possible_tasks(train: Judged) -> Mapping[str, np.ndarray]:
    """Node kind → which tasks some training node of that kind has, bool [tasks]."""
    kind = train.nodes["kind"].to_numpy()
    return {name: (train.truth[kind == name] > 0).any(axis=0) for name in DOCUMENT_KINDS}


# --- running trained weights ---------------------------------------------------------------------


def seed_scores(
    bundle: Bundle, data: "TrainingData", documents: np.ndarray
) -> Iterator[np.ndarray]:
    """Scores of some documents by the weights of each seed, float32 [documents, tasks].

    Args:
        bundle: trained weights.
        data: features as the bundle scales them; what may be seen is that of its test stage.
        documents: int64, ascending.

    Raises:
        ValueError: the bundle's weights are of a network of another shape.
    """
    import torch

    from hfkg_assets.classification.training import TrainingOptions, batches_of, logits_of

    options = TrainingOptions(**bundle.options)
    for seed in sorted(bundle.states):
        network = network_of(bundle)
        try:
            network.load_state_dict(dict(bundle.states[seed]))
        except RuntimeError as error:
            raise ValueError(
                f"the weights of {bundle.name} do not fit its network; train it again: {error}"
            ) from None
        batches = batches_of(network, data, options)
        logits = logits_of(network, batches, data, "test", torch.tensor(documents))
        yield torch.sigmoid(logits).numpy()


def network_of(bundle: Bundle) -> "Network":
    """A network into which the bundle's weights fit, without them."""
    from hfkg_assets.classification.networks import build_network

    options = bundle.options
    return build_network(
        bundle.name,
        features=len(bundle.mean),
        tasks=len(bundle.task_ids),
        relations=len(bundle.relations),
        node_kinds=len(NODE_KINDS),
        hidden=options["hidden"],
        dropout=options["dropout"],
        layers=options["layers"],
        hints=options["label_reuse"],
        words=bundle.terms is not None,
    )


def with_all_labels(data: "TrainingData") -> "TrainingData":
    """The same data with every declared task known at the last stage."""
    stage = data.stages["test"]
    known = data.masks["train"] | data.masks["validation"] | data.masks["test"]
    return replace(data, stages={**data.stages, "test": replace(stage, known=known)})


def texts_alone(bundle: Bundle, features: np.ndarray, kind: np.ndarray) -> "TrainingData":
    """Documents of which nothing but the text is known: no edge, no other document's label.

    Args:
        bundle: whose scaling is applied.
        features: as the bundle's learner has them, float32 [n, features]: those of
            `feature/node_features`, and word scores after them where it was trained with these.
        kind: node kinds, strings [n].
    """
    import torch

    from hfkg_assets.classification.training_data import Stage, TrainingData

    count, nothing = len(features), torch.zeros(len(features), dtype=torch.bool)
    x = torch.from_numpy(np.array(features, dtype=np.float32))
    filled = x.any(dim=1, keepdim=True)
    number = {name: position for position, name in enumerate(NODE_KINDS)}
    stage = Stage(
        edge_index=torch.zeros((2, 0), dtype=torch.int64),
        edge_type=torch.zeros(0, dtype=torch.int64),
        visible=~nothing,
        known=nothing,
    )
    return TrainingData(
        x=torch.where(filled, (x - bundle.mean) / bundle.scale, 0.0),
        y=torch.zeros((count, len(bundle.task_ids))),
        masks=dict.fromkeys(SPLITS, nothing),
        node_kind=torch.tensor([number[name] for name in kind], dtype=torch.int64),
        stages={"test": stage},
        relations=len(bundle.relations),
        mean=bundle.mean,
        scale=bundle.scale,
    )


def rows_alone(
    bundle: Bundle, features: pl.DataFrame, term_scores: pl.DataFrame, judged: Judged
) -> Rows:
    """A learner's scores of one split's nodes that have a text, by nothing but that text.

    Args:
        bundle: trained weights.
        features: `feature/node_features` of the variant.
        term_scores: `classification/term_scores` of the variant and the bundle's protocol.
        judged: a split's nodes, other than training: of these the word scores are such as any
            other text would get.
    """
    keys = ["kind", "id"]
    vectors = judged.nodes.join(features, on=keys, maintain_order="left")["features"].to_numpy()
    if bundle.terms is not None:
        own = judged.nodes.join(term_scores, on=keys, maintain_order="left")["scores"]
        vectors = np.hstack([vectors, own.list.to_array(len(bundle.task_ids)).to_numpy()])
    read = vectors.any(axis=1)
    kind = judged.nodes["kind"].to_numpy()[read]
    data = texts_alone(bundle, vectors[read], kind)
    scores = np.stack(list(seed_scores(bundle, data, np.arange(len(kind)))))
    return Rows(kind, judged.truth[read], scores)


# --- the predictors of a snapshot ----------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """What predictors are made from and applied to.

    Attributes:
        day: the snapshot date.
        warehouse: where the bundles lie.
        nodes, edges: `classification/node` and `classification/graph`.
        features: `feature/node_features` of the variant.
        term_scores: `classification/term_scores` of the variant.
        labels: `classification/labels`.
        split: `classification/split`.
        task_ids: the tasks in their order.
        predictions: learner → its stored rows of the variant.
    """

    day: date
    warehouse: Warehouse
    nodes: pl.DataFrame
    edges: pl.DataFrame
    features: pl.DataFrame
    term_scores: pl.DataFrame
    labels: pl.DataFrame
    split: pl.DataFrame
    task_ids: list[str]
    predictions: Mapping[str, pl.DataFrame]

    @cached_property
    def judged(self) -> Mapping[tuple[str, str], Judged]:
        """Protocol and split → its labelled nodes."""
        return judged_nodes(self.split, self.labels, len(self.task_ids))

    def bundle(self, learner: str, protocol: str) -> Bundle:
        """A learner's trained weights.

        Raises:
            ValueError: they were trained on other tasks than those of today's tables.
        """
        directory = self.warehouse.directory(f"classification/{learner}", self.day)
        bundle = load_bundle(bundle_path(directory, VARIANT, protocol))
        if bundle.task_ids != self.task_ids:
            raise ValueError(f"{learner} was trained on other tasks: materialize it again")
        return bundle

    def data(self, bundle: Bundle) -> "TrainingData":
        """The graph as a learner sees it when repositories that declare nothing are predicted."""
        from hfkg_assets.classification.training_data import prepare

        data = prepare(
            self.nodes,
            self.edges,
            self.features,
            self.labels,
            self.split,
            tasks=len(self.task_ids),
            protocol=bundle.protocol,
            variant=VARIANT,
            day=self.day,
            term_scores=None if bundle.terms is None else self.term_scores,
        )
        return with_all_labels(data)


@dataclass(frozen=True)
class Made:
    """A predictor with the labelled rows that it was made from."""

    predictor: Predictor
    validation: Rows
    test: Rows


def make_predictor(snapshot: Snapshot, use: str) -> Made | None:
    """Chooses and calibrates the learner for a use; None where none was trained on clean texts."""
    protocol = trained_protocol(snapshot.predictions, use)
    if protocol is None:
        return None
    rows = dict(_labelled_rows(snapshot, use, protocol))
    learner = choose_learner({name: validation for name, (validation, _) in rows.items()})
    validation, test = rows[learner]
    predictor = fit_predictor(
        learner,
        validation,
        test,
        variant=VARIANT,
        protocol=protocol,
        task_ids=snapshot.task_ids,
        possible=possible_tasks(snapshot.judged[protocol, "train"]),
    )
    return Made(predictor, validation, test)


def _labelled_rows(
    snapshot: Snapshot, use: str, protocol: str
) -> Iterator[tuple[str, tuple[Rows, Rows]]]:
    """The learners that were trained with a protocol, with their validation and test rows.

    For repositories these are the stored ones, for texts those scored by their texts alone.
    """
    judged = {split: snapshot.judged[protocol, split] for split in ("validation", "test")}
    for name, predictions in snapshot.predictions.items():
        own = predictions.filter(pl.col("protocol") == protocol)
        if own.is_empty():
            continue
        if use == GRAPH:
            rows = [
                stored_rows(own.filter(pl.col("split") == split), nodes)
                for split, nodes in judged.items()
            ]
        else:
            bundle = snapshot.bundle(name, protocol)
            words = snapshot.term_scores.filter(pl.col("protocol") == protocol)
            rows = [
                rows_alone(bundle, snapshot.features, words, nodes) for nodes in judged.values()
            ]
        yield name, (rows[0], rows[1])


# --- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predicted:
    """What came of predicting.

    Attributes:
        table: `classification/predicted_tasks`.
        undeclared: repositories that declare no task.
        nothing_known: those of them with neither text nor any edge that the learner sees.
        most_probable: of the others, the probability of the most probable task.
    """

    table: pl.DataFrame
    undeclared: int
    nothing_known: int
    most_probable: np.ndarray


def predict_undeclared(snapshot: Snapshot, predictor: Predictor) -> Predicted:
    """Predicts the tasks of all repositories that declare none.

    Raises:
        ValueError: the features are not those that the learner was trained on.
    """
    bundle = snapshot.bundle(predictor.learner, predictor.protocol)
    data = snapshot.data(bundle)
    if data.mean.shape != bundle.mean.shape or not np.allclose(data.mean, bundle.mean, atol=1e-4):
        raise ValueError(f"features are newer than {bundle.name}: materialize it again")
    documents = snapshot.nodes.head(len(data.x)).select("node", "kind", "id")
    undeclared = documents.join(snapshot.labels, on=["kind", "id"], how="anti").sort("node")
    known = data.x.any(dim=1).numpy() | _has_edge(bundle, data)
    asked = undeclared.filter(pl.Series(known[undeclared["node"].to_numpy()]))
    scores = _mean(seed_scores(bundle, data, asked["node"].to_numpy()))
    probabilities = predictor.probabilities(scores, asked["kind"].to_numpy())
    return Predicted(
        task_rows(asked.select("kind", "id"), probabilities, predictor),
        undeclared.height,
        undeclared.height - asked.height,
        probabilities.max(axis=1, initial=0.0),
    )


def _mean(parts: Iterator[np.ndarray]) -> np.ndarray:
    total, count = next(parts).astype(np.float64), 1
    for part in parts:
        total += part
        count += 1
    return total / count


def _has_edge(bundle: Bundle, data: "TrainingData") -> np.ndarray:
    """Which documents have an edge that the learner uses, bool [documents]."""
    stage = data.stages["test"]
    used = stage.edge_type % data.relations < network_of(bundle).relations
    joined = np.zeros(len(data.node_kind), dtype=bool)
    joined[stage.edge_index[:, used].numpy()] = True
    return joined[: len(data.x)]


def task_rows(
    repositories: pl.DataFrame, probabilities: np.ndarray, predictor: Predictor
) -> pl.DataFrame:
    """The most probable tasks of some repositories, as rows of `PREDICTED_TASKS`.

    Args:
        repositories: `kind`, `id`, n rows.
        probabilities: [n, tasks].
        predictor: whose thresholds choose.
    """
    most = min(MOST_TASKS, probabilities.shape[1])
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :most]

    def of_ranked(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, ranked, axis=1).ravel()

    position = np.repeat(np.arange(len(probabilities)), most)
    rows = repositories[position].with_columns(
        rank=pl.Series(np.tile(np.arange(1, most + 1), len(probabilities)), dtype=pl.Int32),
        task_id=pl.Series(predictor.task_ids, dtype=pl.String).gather(ranked.ravel()),
        probability=pl.Series(of_ranked(probabilities), dtype=pl.Float32),
        chosen=pl.Series(of_ranked(predictor.chosen(probabilities)), dtype=pl.Boolean),
        learner=pl.lit(predictor.learner),
    )
    return (
        rows.filter(pl.col("probability") >= LEAST_PROBABILITY)
        .sort("kind", "id", "rank")
        .select(column.name for column in PREDICTED_TASKS)
    )


# --- what is told of it --------------------------------------------------------------------------


def metadata_of(made: Mapping[str, Made], predicted: Predicted) -> dict[str, Any]:
    """Figures of the predictors and of the table."""
    graph = made[GRAPH]
    found = measurements(graph.predictor, graph.validation, graph.test)
    first = predicted.table.filter(pl.col("rank") == 1)
    commonest = (
        first["task_id"].value_counts(sort=True).sort("count", "task_id", descending=[True, False])
    )
    chosen = predicted.table.filter(pl.col("chosen")).select("kind", "id").n_unique()
    return {
        "hfkg/undeclared": predicted.undeclared,
        "hfkg/nothing_known": predicted.nothing_known,
        "hfkg/predicted": first.height,
        "hfkg/with_chosen_task": chosen,
        "hfkg/predictors": dg.MetadataValue.md(_predictors_markdown(made)),
        "hfkg/calibration": dg.MetadataValue.md(_calibration_markdown(found)),
        "hfkg/trust": dg.MetadataValue.md(_trust_markdown(graph.predictor, predicted)),
        "hfkg/most_predicted": dg.MetadataValue.md(
            "\n".join(
                ["| task | repositories |", "| --- | ---: |"]
                + [f"| {task} | {count} |" for task, count in commonest.head(10).iter_rows()]
            )
        ),
        "hfkg/reliability": dg.MetadataValue.md(
            as_markdown(draw_reliability({name: m.top for name, m in found.items()}))
        ),
        "hfkg/top_calibration_error": found["test, calibrated"].top.error,
        "hfkg/brier": found["test, calibrated"].every.brier,
    }


def _predictors_markdown(made: Mapping[str, Made]) -> str:
    lines = [
        "| used for | learner | protocol | validation micro-F1 | validation rows | test rows |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for use, m in made.items():
        lines.append(
            f"| {use} | {m.predictor.learner} | {m.predictor.protocol} | {m.predictor.score:.4f} "
            f"| {len(m.validation.truth)} | {len(m.test.truth)} |"
        )
    return "\n".join(lines)


def _calibration_markdown(found: Mapping[str, Measured]) -> str:
    lines = [
        "| rows | calibration error of the most probable task | of which by chance "
        "| calibration error of all tasks | Brier score |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, m in found.items():
        lines.append(
            f"| {name} | {m.top.error:.4f} | {m.top.chance:.4f} "
            f"| {m.every.error:.4f} | {m.every.brier:.5f} |"
        )
    return "\n".join(lines)


def _trust_markdown(predictor: Predictor, predicted: Predicted) -> str:
    lines = [
        "| most probable task with at least | of test rows | right | of predicted repositories |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for trust in predictor.trust:
        reached = int((predicted.most_probable >= trust.level).sum())
        right = f"{trust.right / trust.rows:.1%}" if trust.rows else ""
        lines.append(
            f"| {trust.level} | {trust.rows} of {trust.of} | {right} "
            f"| {reached} of {len(predicted.most_probable)} |"
        )
    return "\n".join(lines)


# --- the asset and its checks --------------------------------------------------------------------


@snapshot_asset(
    TABLE,
    description="Tasks of models and datasets that declare none, with calibrated probabilities.",
    columns=PREDICTED_TASKS,
    ins={
        "nodes": "classification/node",
        "edges": "classification/graph",
        "features": "feature/node_features",
        "term_scores": TERM_SCORES,
        "labels": "classification/labels",
        "split": "classification/split",
        "task_index": "classification/task_index",
        **{name: f"classification/{name}" for name in LEARNERS},
    },
    kinds=("torch", "parquet"),
    code_version="2",
)
def predicted_tasks(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
    features: pl.LazyFrame,
    term_scores: pl.LazyFrame,
    labels: pl.LazyFrame,
    split: pl.LazyFrame,
    task_index: pl.LazyFrame,
    **predictions: pl.LazyFrame,
) -> pl.DataFrame:
    snapshot = Snapshot(
        date.fromisoformat(context.partition_key),
        warehouse,
        nodes.collect(),
        edges.collect(),
        features.filter(pl.col("variant") == VARIANT).collect(),
        term_scores.filter(pl.col("variant") == VARIANT).collect(),
        labels.collect(),
        split.collect(),
        task_index.sort("index").collect()["task_id"].to_list(),
        {
            name: frame.filter(pl.col("variant") == VARIANT, pl.col("model") == name).collect()
            for name, frame in predictions.items()
        },
    )
    made = {use: m for use in (GRAPH, TEXT) if (m := make_predictor(snapshot, use)) is not None}
    directory = warehouse.directory(TABLE, snapshot.day)
    path = save_predictors(directory, {use: m.predictor for use, m in made.items()})
    if GRAPH not in made:
        context.log.warning(NOTHING_TRAINED)
        return pl.DataFrame(schema=schema_of(PREDICTED_TASKS))
    predicted = predict_undeclared(snapshot, made[GRAPH].predictor)
    context.add_output_metadata(metadata_of(made, predicted) | {"hfkg/predictors_file": str(path)})
    return predicted.table


def _check_specs() -> list[dg.AssetCheckSpec]:
    declarations = [f"verified/{relation}" for relation in TASK_RELATIONS.values()]
    learners = [f"classification/{name}" for name in LEARNERS]
    return [
        dg.AssetCheckSpec(
            name,
            asset=key_of(TABLE),
            description=description,
            partitions_def=SNAPSHOTS,
            additional_deps=[key_of(table) for table in read],
        )
        for name, description, read in (
            (UNDECLARED, "No repository that declares a task is in the table.", declarations),
            (
                CALIBRATED,
                "The most probable task of test rows is right as often as its probability says: "
                f"calibration error beyond chance at most {MOST_EXCESS}.",
                ["classification/labels", "classification/split", *learners],
            ),
        )
    ]


@dg.multi_asset_check(name="check_predicted_tasks", specs=_check_specs(), can_subset=True)
def prediction_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Both checks, from what is stored."""
    day = context.partition_key
    checks = {
        UNDECLARED: (check_undeclared, dg.AssetCheckSeverity.ERROR),
        CALIBRATED: (check_calibrated, dg.AssetCheckSeverity.WARN),
    }
    for key in context.selected_asset_check_keys:
        check, severity = checks[key.name]
        passed, metadata = check(warehouse, day)
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=passed,
            severity=severity,
            metadata=metadata,
        )


def check_undeclared(warehouse: Warehouse, day: str) -> tuple[bool, dict[str, Any]]:
    """Compares the table with the verified assertions, not with the labels made of them."""
    declared = pl.concat(
        warehouse.scan(f"verified/{relation}", day).select(
            pl.lit(kind).alias("kind"), pl.col("subject_id").alias("id")
        )
        for kind, relation in TASK_RELATIONS.items()
    )
    wrong = (
        warehouse.scan(TABLE, day)
        .select("kind", "id")
        .unique()
        .join(declared, on=["kind", "id"], how="semi")
        .sort("kind", "id")
        .collect()
    )
    examples = wrong["id"].head(5).to_list()
    return wrong.is_empty(), {"hfkg/declared": wrong.height, "hfkg/examples": examples}


def check_calibrated(warehouse: Warehouse, day: str) -> tuple[bool, dict[str, Any]]:
    """Judges the stored predictor by the stored scores of test rows."""
    predictor = load_predictors(warehouse.directory(TABLE, day)).get(GRAPH)
    if predictor is None:
        return False, {"hfkg/reason": NOTHING_TRAINED}
    stored = warehouse.scan(f"classification/{predictor.learner}", day).filter(
        pl.col("variant") == predictor.variant,
        pl.col("protocol") == predictor.protocol,
        pl.col("model") == predictor.learner,
        pl.col("split") == "test",
    )
    labels, split = (
        warehouse.scan(f"classification/{name}", day).collect() for name in ("labels", "split")
    )
    judged = judged_nodes(split, labels, len(predictor.task_ids))
    test = stored_rows(stored.collect(), judged[predictor.protocol, "test"])
    top = measure(test.truth, predictor.probabilities(test.mean, test.kind)).top
    return top.excess <= MOST_EXCESS, {
        "hfkg/calibration_error": top.error,
        "hfkg/by_chance": top.chance,
        "hfkg/test_rows": len(test.truth),
    }
