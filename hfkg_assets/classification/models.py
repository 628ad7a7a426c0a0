"""`classification/gcn`, `gat`, `sage`, `transformer`: the trained networks and what they predict.

Each asset's table holds the scores of validation and test nodes; the weights lie beside it in
`weights.pt`, one state dict per protocol and seed, loadable with `weights_only=True`.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from hfkg_assets.classification.graph import MESSAGE_RELATIONS
from hfkg_assets.classification.labels import NODE_ID, multi_hot
from hfkg_assets.classification.plots import learning_curves
from hfkg_assets.classification.splits import PROTOCOLS, boundaries
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

log = logging.getLogger(__name__)

NETWORKS = {
    "gcn": "Graph convolutional network (Kipf and Welling, arXiv 1609.02907)",
    "gat": "Graph attention network (Veličković et al., arXiv 1710.10903)",
    "sage": "GraphSAGE, mean aggregation (Hamilton et al., arXiv 1706.02216)",
    "transformer": "Graph Transformer with edge types (Shi et al., arXiv 2009.03509)",
}

PREDICTIONS = (
    Column("model", pl.String(), "what predicted", required=True),
    Column("variant", pl.String(), "text variant of the features", required=True),
    Column("protocol", pl.String(), "how the nodes were split", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    Column("seed", pl.Int64(), "seed of the run", required=True),
    *NODE_ID,
    Column("scores", pl.List(pl.Float32()), "a score per task, in task_index's order"),
)

WEIGHTS = "weights.pt"


class TrainingConfig(dg.Config):
    """Training as the launchpad shows it; see `training.TrainingOptions`."""

    protocols: list[str] = Field(default=["time"])
    seeds: list[int] = Field(default=[0, 1, 2])
    hidden: int = 256
    dropout: float = 0.5
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    epochs: int = 150
    patience: int = 20


def usable_edges(edges: pl.DataFrame, kinds: pl.Series, day: date, stage: str) -> pl.DataFrame:
    """The edges that may carry messages when a split of the time protocol is predicted.

    An edge counts only once both its ends exist, by the earlier of its ends' boundaries: nothing
    that a training node is told was created after training ends, for either kind of node.

    Args:
        edges: `classification/graph`.
        kinds: node kinds by node number.
        day: the snapshot date.
        stage: `train`, `validation` or `test`.
    """
    if stage == "test":
        return edges
    ends = {kind: boundaries(day, kind) for kind in ("model", "dataset")}
    until: dict[str, datetime] = {
        kind: begins.validation if stage == "train" else begins.test
        for kind, begins in ends.items()
    }
    limit = kinds.replace_strict(until, return_dtype=pl.Datetime("ms", "UTC"))
    return edges.filter(
        pl.col("valid_from")
        < pl.min_horizontal(
            pl.lit(limit).gather(pl.col("source")), pl.lit(limit).gather(pl.col("target"))
        )
    )


def prepare(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    split: pl.DataFrame,
    edges: pl.DataFrame,
    *,
    tasks: int,
    protocol: str,
    day: date,
) -> Any:
    """The training data of one protocol as `training.GraphData`.

    Args:
        features: `kind`, `id`, `features`, sorted by kind and id: the order of node numbers.
        labels: `classification/labels`.
        split: `classification/split`.
        edges: `classification/graph`.
        tasks: number of tasks.
        protocol: which splits.
        day: the snapshot date.

    Raises:
        ValueError: features are not in the order of node numbers.
    """
    import torch

    from hfkg_assets.classification.training import GraphData, Messages, standardize

    nodes = features.select("kind", "id")
    if not nodes.equals(nodes.sort("kind", "id")):
        raise ValueError("features are not sorted by kind and id")
    joined = nodes.join(labels, on=["kind", "id"], how="left", maintain_order="left").join(
        split.filter(pl.col("protocol") == protocol),
        on=["kind", "id"],
        how="left",
        maintain_order="left",
    )
    masks = {
        name: (joined["split"] == name).fill_null(False).to_numpy()
        for name in ("train", "validation", "test")
    }

    def messages(stage: str) -> Messages:
        used = usable_edges(edges, nodes["kind"], day, stage) if protocol == "time" else edges
        forward = torch.from_numpy(used.select("source", "target").to_numpy().T.copy())
        number = {name: index for index, name in enumerate(MESSAGE_RELATIONS)}
        kind = torch.from_numpy(
            used["relation"].replace_strict(number, return_dtype=pl.Int64).to_numpy().copy()
        )
        return Messages(
            torch.cat([forward, forward.flip(0)], dim=1),
            torch.cat([kind, kind + len(MESSAGE_RELATIONS)]),
        )

    return GraphData(
        x=torch.from_numpy(standardize(features["features"].to_numpy(), masks["train"])),
        y=torch.from_numpy(multi_hot(joined["labels"], tasks)),
        masks={name: torch.from_numpy(mask) for name, mask in masks.items()},
        messages={stage: messages(stage) for stage in masks},
        edge_types=2 * len(MESSAGE_RELATIONS),
    )


def predictions(
    nodes: pl.DataFrame, masks: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]
) -> Iterator[pl.DataFrame]:
    """Rows `split`, `kind`, `id`, `scores` of each judged split."""
    for split, values in scores.items():
        yield nodes.filter(masks[split]).select(
            pl.lit(split).alias("split"),
            "kind",
            "id",
            pl.Series("scores", values.astype(np.float32)).arr.to_list(),
        )


def save_weights(path: Path, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Stores state dicts by run, beside the place and renamed into it."""
    import torch

    write_atomically(path, lambda file: torch.save(dict(states), file))


def network_asset(name: str, description: str) -> dg.AssetsDefinition:
    """The asset of one network."""

    @snapshot_asset(
        f"classification/{name}",
        description=f"{description}: trained, with its scores on validation and test nodes.",
        columns=PREDICTIONS,
        ins={
            "features": "feature/node_features",
            "labels": "classification/labels",
            "split": "classification/split",
            "edges": "classification/graph",
            "task_index": "classification/task_index",
        },
        kinds=("torch", "parquet"),
    )
    def network(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        features: pl.LazyFrame,
        labels: pl.LazyFrame,
        split: pl.LazyFrame,
        edges: pl.LazyFrame,
        task_index: pl.LazyFrame,
    ) -> pl.DataFrame:
        return train_and_predict(
            context,
            name,
            config,
            warehouse,
            features=features.collect(),
            labels=labels.collect(),
            split=split.collect(),
            edges=edges.collect(),
            tasks=task_index.select(pl.len()).collect().item(),
        )

    return network


def train_and_predict(
    context: dg.AssetExecutionContext,
    name: str,
    config: TrainingConfig,
    warehouse: Warehouse,
    *,
    features: pl.DataFrame,
    tasks: int,
    **tables: pl.DataFrame,
) -> pl.DataFrame:
    """Trains a network for every protocol and seed; describes the runs in the metadata.

    Raises:
        ValueError: a protocol is unknown, or one of its splits has no node.
    """
    import torch
    import torch_geometric

    from hfkg_assets.classification.training import TrainingOptions, train_network

    unknown = set(config.protocols) - set(PROTOCOLS)
    if unknown:
        raise ValueError(f"unknown protocols {sorted(unknown)}; known: {', '.join(PROTOCOLS)}")
    day = date.fromisoformat(context.partition_key)
    own = ("protocols", "seeds")
    options = TrainingOptions(**{k: v for k, v in config.model_dump().items() if k not in own})
    nodes, variant = features.select("kind", "id"), features["variant"].first()
    rows, states, histories, best = [], {}, {}, {}
    started = time.perf_counter()
    for protocol in config.protocols:
        data = prepare(features, tasks=tasks, protocol=protocol, day=day, **tables)
        masks = {split: mask.numpy() for split, mask in data.masks.items()}
        for seed in config.seeds:
            trained = train_network(name, data, options, seed)
            run = f"{protocol}/seed {seed}"
            states[run] = trained.state
            histories[run] = (trained.history.losses, trained.history.scores)
            best[run] = {
                "best_epoch": trained.history.best_epoch,
                "epochs": len(trained.history.losses),
                "validation_micro_f1": max(trained.history.scores),
            }
            log.info("%s %s: %s", name, run, best[run])
            rows += [
                frame.with_columns(protocol=pl.lit(protocol), seed=pl.lit(seed, dtype=pl.Int64))
                for frame in predictions(nodes, masks, trained.scores)
            ]
    path = warehouse.directory(f"classification/{name}", day) / WEIGHTS
    save_weights(path, states)
    context.add_output_metadata(
        {
            "hfkg/runs": dg.MetadataValue.json(best),
            "hfkg/learning_curves": dg.MetadataValue.md(learning_curves(histories)),
            "hfkg/config": dg.MetadataValue.json(config.model_dump()),
            "hfkg/variant": variant,
            "hfkg/weights": str(path),
            "hfkg/training_seconds": round(time.perf_counter() - started, 2),
            "hfkg/trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "hfkg/libraries": f"torch {torch.__version__}, PyG {torch_geometric.__version__}",
        }
    )
    return (
        pl.concat(rows)
        .with_columns(model=pl.lit(name), variant=pl.lit(variant))
        .select(column.name for column in PREDICTIONS)
    )


NETWORK_ASSETS = [network_asset(name, description) for name, description in NETWORKS.items()]
