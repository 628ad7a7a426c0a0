"""`classification/<learner>`: the trained learners and what they predict.

Each learner's table holds its scores of the validation and test rows of every run: one for each
text variant, protocol and seed. Beside the table lie `runs.json`, how each run went (`runs.py`),
and `weights/<variant>-<protocol>.pt`, what is needed to apply it (`bundles.py`). Belongs here:
which runs there are, and what is stored of them. Does not: how a network is trained.
"""

import logging
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from hfkg_assets.classification.bundles import Bundle, bundle_path, save_bundle
from hfkg_assets.classification.graph import EDGE_RELATIONS
from hfkg_assets.classification.labels import NODE_ID
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.plots import learning_curves
from hfkg_assets.classification.runs import Run, measured, write_runs
from hfkg_assets.classification.splits import PROTOCOLS, SPLITS
from hfkg_assets.classification.term_classifier import (
    TERM_SCORES,
    TERMS,
    classifier_path,
    load_classifier,
)
from hfkg_assets.snapshots import key_of, snapshot_asset
from hfkg_resources.table_schema import Column
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

if TYPE_CHECKING:
    import torch

    from hfkg_assets.classification.training import TrainingOptions
    from hfkg_assets.classification.training_data import TrainingData

log = logging.getLogger(__name__)

SMOOTHED = "+c&s"
"""Follows a learner's name where its scores were post-processed by Correct and Smooth."""

PREDICTIONS = (
    Column("model", pl.String(), "what predicted", required=True),
    Column("variant", pl.String(), "text variant of the features", required=True),
    Column("protocol", pl.String(), "how the nodes were split", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    Column("seed", pl.Int64(), "seed of the run", required=True),
    *NODE_ID,
    Column("scores", pl.List(pl.Float32()), "a score per task, in task_index's order"),
)


class TrainingConfig(dg.Config):
    """Training as the launchpad shows it; see `training.TrainingOptions`."""

    protocols: list[str] = Field(default=list(PROTOCOLS), description="how nodes are split")
    variants: list[str] | None = Field(
        default=None, description="text variants; all that the features hold, where it is null"
    )
    seeds: list[int] = Field(default=[0, 1, 2, 3, 4], description="one run each")
    term_scores: bool = Field(
        default=True, description="scores of a linear classifier over words are input too"
    )
    hidden: int = Field(default=128, description="width of the hidden layers")
    layers: int = Field(default=2, description="propagation steps")
    dropout: float = Field(default=0.5, description="share of hidden values dropped")
    learning_rate: float = Field(default=0.003, description="AdamW's")
    weight_decay: float = Field(default=0.01, description="AdamW's")
    epochs: int = Field(default=100, description="at most this many")
    patience: int = Field(default=20, description="epochs without a better validation score")
    loss: str = Field(default="bce", description="bce or focal")
    monitor: str = Field(
        default="average_precision",
        description="validation score that chooses the epoch: average_precision, micro_f1, loss",
    )
    label_reuse: bool = Field(default=True, description="known labels of others are input too")
    correct_and_smooth: bool = Field(
        default=False, description="add rows with scores post-processed by Correct and Smooth"
    )
    batch_nodes: int | None = Field(
        default=None, description="documents of a batch; null for all at once where memory allows"
    )
    fanout: int = Field(default=10, description="most edges into a node that a batch takes a step")
    memory_gib: float = Field(default=16.0, description="what a batch of all documents may need")

    def options(self) -> "TrainingOptions":
        """What is passed on to the training."""
        from hfkg_assets.classification.training import TrainingOptions

        own = {"protocols", "variants", "seeds", "term_scores"}
        return TrainingOptions(**{k: v for k, v in self.model_dump().items() if k not in own})


def learner_asset(name: str, description: str) -> dg.AssetsDefinition:
    """The asset of one learner."""

    @snapshot_asset(
        f"classification/{name}",
        description=f"{description}: trained, with its scores on validation and test rows.",
        columns=PREDICTIONS,
        ins={
            "features": "feature/node_features",
            "term_scores": TERM_SCORES,
            "nodes": "classification/node",
            "edges": "classification/graph",
            "labels": "classification/labels",
            "split": "classification/split",
            "task_index": "classification/task_index",
        },
        kinds=("torch", "parquet"),
        code_version="3",
    )
    def learner(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        encoder: TextEncoder,
        features: pl.LazyFrame,
        term_scores: pl.LazyFrame,
        nodes: pl.LazyFrame,
        edges: pl.LazyFrame,
        labels: pl.LazyFrame,
        split: pl.LazyFrame,
        task_index: pl.LazyFrame,
    ) -> pl.DataFrame:
        task_ids = task_index.sort("index").collect()["task_id"].to_list()
        tables = {
            "nodes": nodes.collect(),
            "edges": edges.collect(),
            "features": features.collect(),
            "labels": labels.collect(),
            "split": split.collect(),
            **({"term_scores": term_scores.collect()} if config.term_scores else {}),
        }
        day = date.fromisoformat(context.partition_key)
        directory = warehouse.directory(f"classification/{name}", day)
        words = warehouse.directory(TERM_SCORES, day) if config.term_scores else None
        runs, rows = [], []
        for trained in train_all(name, config, tables, len(task_ids), day, context.log.info):
            width = len(trained.mean) - (len(task_ids) if words else 0)
            described = describe_features(context, encoder, width, len(task_ids))
            columns, terms = dict(described.columns), None
            if words:
                columns[TERMS] = [width, len(trained.mean)]
                path = classifier_path(words, trained.variant, trained.protocol)
                terms = load_classifier(path).digest
            bundle = Bundle(
                name=name,
                variant=trained.variant,
                protocol=trained.protocol,
                options=asdict(config.options()),
                task_ids=task_ids,
                encoder=described.encoder,
                feature_columns=columns,
                terms=terms,
                relations=list(EDGE_RELATIONS),
                mean=trained.mean,
                scale=trained.scale,
                states=trained.states,
            )
            save_bundle(bundle_path(directory, trained.variant, trained.protocol), bundle)
            runs += trained.runs
            rows.append(trained.predictions)
        write_runs(directory, runs)
        context.add_output_metadata(metadata_of(config, runs))
        return pl.concat(rows)

    return learner


# --- training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """The runs of one text variant and protocol, one for each seed.

    Attributes:
        variant, protocol: which they are.
        runs: how they went.
        predictions: rows of `PREDICTIONS`.
        states: seed → weights.
        mean, scale: float32 [features], with which features were scaled.
    """

    variant: str
    protocol: str
    runs: list[Run]
    predictions: pl.DataFrame
    states: Mapping[int, Mapping[str, "torch.Tensor"]]
    mean: "torch.Tensor"
    scale: "torch.Tensor"


def train_all(
    name: str,
    config: TrainingConfig,
    tables: Mapping[str, pl.DataFrame],
    tasks: int,
    day: date,
    tell: Callable[[str], None] = log.info,
) -> Iterator[Trained]:
    """Trains a learner for every variant, protocol and seed of a configuration.

    A protocol that leaves a split empty, as the first weeks of a small Hub do, is passed over.

    Args:
        name: the learner.
        config: which runs, and how.
        tables: the arguments of `training_data.prepare` that are tables.
        tasks: number of tasks.
        day: the snapshot date.
        tell: told of progress, and of what is passed over.

    Raises:
        ValueError: an unknown protocol, variant or option, or no protocol can be trained.
    """
    from hfkg_assets.classification.training_data import prepare

    there = tables["features"]["variant"].unique().sort().to_list()
    variants = config.variants or there
    for named, known in ((config.protocols, PROTOCOLS), (variants, there)):
        if unknown := sorted(set(named) - set(known)):
            raise ValueError(f"unknown {', '.join(unknown)}; known: {', '.join(known)}")
    protocols = trainable(tables["split"], config.protocols)
    if not protocols:
        raise ValueError(
            f"{', '.join(config.protocols)}: a split has no node: choose a later snapshot"
        )
    for protocol in (p for p in config.protocols if p not in protocols):
        tell(f"{name}: {protocol} is passed over, for one of its splits has no node")
    for variant, protocol in product(variants, protocols):
        data = prepare(**tables, tasks=tasks, protocol=protocol, variant=variant, day=day)
        yield train_seeds(name, config, data, tables["nodes"], variant, protocol, tell)


def trainable(split: pl.DataFrame, protocols: Sequence[str]) -> list[str]:
    """The protocols with nodes in every split, in their order.

    Args:
        split: `classification/split`.
        protocols: which are asked about.
    """
    sizes = split.group_by("protocol").agg(pl.col("split").n_unique())
    full = set(sizes.filter(pl.col("split") == len(SPLITS))["protocol"])
    return [protocol for protocol in protocols if protocol in full]


def train_seeds(
    name: str,
    config: TrainingConfig,
    data: "TrainingData",
    nodes: pl.DataFrame,
    variant: str,
    protocol: str,
    tell: Callable[[str], None],
) -> Trained:
    """Trains a learner on prepared data, once for each seed."""
    from hfkg_assets.classification.training import train_network

    options = config.options()
    documents = nodes.head(len(data.x)).select("kind", "id")
    judged = {split: documents.filter(mask.numpy()) for split, mask in data.masks.items()}
    runs, frames, states = [], [], {}
    for seed in config.seeds:
        run = f"{name} {variant} {protocol}, seed {seed}"
        with measured() as cost:
            trained = train_network(name, data, options, seed, log=partial(_tell_of, run, tell))
        history = trained.history
        runs.append(
            Run(
                variant, protocol, seed, history.best_epoch, history.losses, history.scores,
                round(cost.seconds, 4), cost.peak_mib, asdict(options),
            )
        )  # fmt: skip
        states[seed] = trained.state
        for model, scores in ((name, trained.scores), (name + SMOOTHED, trained.smoothed)):
            frames += [
                score_rows(judged[split], values).select(
                    pl.lit(model).alias("model"),
                    pl.lit(variant).alias("variant"),
                    pl.lit(protocol).alias("protocol"),
                    pl.lit(split).alias("split"),
                    pl.lit(seed, dtype=pl.Int64).alias("seed"),
                    *("kind", "id", "scores"),
                )
                for split, values in scores.items()
            ]
    return Trained(variant, protocol, runs, pl.concat(frames), states, data.mean, data.scale)


def _tell_of(run: str, tell: Callable[[str], None], message: str) -> None:
    tell(f"{run}: {message}")


def score_rows(documents: pl.DataFrame, scores: np.ndarray) -> pl.DataFrame:
    """Documents with their scores.

    Args:
        documents: `kind`, `id`.
        scores: float32 [documents, tasks].
    """
    return documents.with_columns(pl.Series("scores", scores).arr.to_list())


# --- what is told of it --------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureDescription:
    """What the features hold.

    Attributes:
        encoder: identity of the text encoder.
        columns: part → [first column, column after its last].
    """

    encoder: str
    columns: dict[str, list[int]]


def describe_features(
    context: dg.AssetExecutionContext, encoder: TextEncoder, width: int, tasks: int
) -> FeatureDescription:
    """What `feature/node_features` of the run's date hold: as their assets recorded it.

    Where no record is, as in a store that was copied from elsewhere, the encoder that is set now
    is taken for theirs.

    Raises:
        ValueError: it cannot be theirs, for its vectors have another width.
    """
    identity = recorded(context, "feature/embedding", "hfkg/encoder")
    columns = recorded(context, "feature/node_features", "hfkg/columns")
    if identity and columns:
        bounds = {part: list(map(int, text.split(".."))) for part, text in columns.items()}
        return FeatureDescription(identity, bounds)
    if encoder.dimension + tasks != width:
        raise ValueError(
            f"the features have {width} columns, {encoder.model} and BM25 would make "
            f"{encoder.dimension} + {tasks}: materialize feature/node_features again"
        )
    bounds = {"embedding": [0, encoder.dimension], "bm25": [encoder.dimension, width]}
    return FeatureDescription(encoder.identity, bounds)


def recorded(context: dg.AssetExecutionContext, table: str, name: str) -> Any:
    """A value of the metadata that a table was last materialized with, for the run's date."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key_of(table), asset_partitions=[context.partition_key]),
        limit=1,
    ).records
    event = records[0].asset_materialization if records else None
    value = event.metadata.get(name) if event else None
    return value.value if value else None


def metadata_of(config: TrainingConfig, runs: Sequence[Run]) -> dict[str, Any]:
    """What a materialization tells of its runs."""
    import torch
    import torch_geometric

    peaks = [run.peak_mib for run in runs if run.peak_mib is not None]
    return {
        "hfkg/runs": dg.MetadataValue.md(runs_as_markdown(runs, config.monitor)),
        **{
            f"hfkg/learning_curves_{variant}_{protocol}": dg.MetadataValue.md(
                learning_curves({f"seed {run.seed}": (run.losses, run.scores) for run in group})
            )
            for (variant, protocol), group in by_group(runs)
        },
        "hfkg/config": dg.MetadataValue.json(config.model_dump()),
        "hfkg/training_seconds": round(sum(run.seconds for run in runs), 2),
        "hfkg/peak_mib": round(max(peaks), 1) if peaks else "not measured on this system",
        "hfkg/threads": torch.get_num_threads(),
        "hfkg/trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hfkg/libraries": f"torch {torch.__version__}, PyG {torch_geometric.__version__}",
    }


def runs_as_markdown(runs: Sequence[Run], monitor: str) -> str:
    """A table of the runs: mean and standard deviation over seeds."""
    lines = [
        f"| text | protocol | seeds | validation {monitor} | best epoch | epochs | seconds | MiB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (variant, protocol), group in by_group(runs):
        best = [max(run.scores) for run in group]
        peaks = [run.peak_mib for run in group if run.peak_mib is not None]
        figures = (
            len(group),
            f"{statistics.mean(best):.4f} ± {statistics.stdev(best) if best[1:] else 0:.4f}",
            f"{statistics.mean(run.best_epoch for run in group):.0f}",
            f"{statistics.mean(len(run.losses) for run in group):.0f}",
            f"{sum(run.seconds for run in group):.1f}",
            f"{max(peaks):.0f}" if peaks else "",
        )
        lines.append("| " + " | ".join(map(str, (variant, protocol, *figures))) + " |")
    return "\n".join(lines)


def by_group(runs: Iterable[Run]) -> list[tuple[tuple[str, str], list[Run]]]:
    """Runs by text variant and protocol, in the order in which these first come."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.variant, run.protocol), []).append(run)
    return list(groups.items())


LEARNER_ASSETS = [learner_asset(name, description) for name, description in LEARNERS.items()]
