"""A small store with splits, labels and predictions, as the learners leave it."""

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.classification import comparison, leaderboard, report, scoring
from hfkg_assets.classification.labels import LABELS, TASK_INDEX
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.classification.runs import Run, write_runs
from hfkg_assets.classification.splits import SPLIT
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-24"
TASKS = ("fill-mask", "text-generation", "<b>task</b> & 'more'")
SEEDS = range(5)
SIZES = {"train": 60, "validation": 40, "test": 80}

GRAPH_LEARNERS = ("gcn", "gat", "sage", "transformer", "rgcn")
SKILL = {
    "most_frequent": 0.0, "logistic_regression": 0.5, "mlp": 0.55, "gcn": 0.8, "gat": 0.82,
    "sage": 0.85, "transformer": 0.86, "rgcn": 0.9,
}  # fmt: skip
"""Model → how much of the truth its scores know."""


class JudgedRuns:
    """Everything that the leaderboard is made of, in memory and in a store.

    Args:
        root: the store's folder.
        skill: model → how much of the truth its scores know.
        protocols: how nodes are split.
    """

    def __init__(self, root, skill=SKILL, protocols=("time", "family")):
        self.warehouse = Warehouse(root=str(root))
        random = np.random.default_rng(0)
        names = [name for name, size in SIZES.items() for _ in range(size)]
        ids = [f"owner/{number:03}-<i>&" for number in range(len(names))]
        truth = (random.random((len(ids), len(TASKS))) < [0.6, 0.3, 0.2]).astype(np.float32)
        self.truth = dict(zip(ids, truth, strict=True))
        nodes = pl.DataFrame({"kind": "model", "id": ids})
        self.labels = nodes.with_columns(
            labels=pl.Series([np.flatnonzero(row).tolist() for row in truth])
        ).cast(schema_of(LABELS))
        self.split = pl.concat(
            nodes.with_columns(protocol=pl.lit(protocol), split=pl.Series(names))
            for protocol in protocols
        ).cast(schema_of(SPLIT))
        self.task_index = pl.DataFrame(
            {"task_id": TASKS, "index": range(len(TASKS)), "label": TASKS},
            schema=schema_of(TASK_INDEX),
        )
        self.skill, self.protocols = skill, protocols
        self.predictions = {name: self._table([name]) for name in LEARNERS}
        self.predictions["baselines"] = self._table(["most_frequent", "front_matter_regex"])

    def _table(self, models):
        return pl.concat(
            self.run(model, variant, protocol, seed)
            for model in models
            for variant in self.variants(model)
            for protocol in self.protocols
            for seed in (SEEDS if model in LEARNERS else [0])
        )

    def variants(self, model):
        return {"most_frequent": ["none"], "front_matter_regex": ["as_published"]}.get(
            model, ["clean", "as_published"]
        )

    def run(self, model, variant, protocol, seed):
        nodes = self.split.filter(pl.col("split") != "train", protocol=protocol)
        truth = np.stack([self.truth[id] for id in nodes["id"]])
        random = np.random.default_rng([seed, len(model), sum(map(ord, model))])
        if model == "front_matter_regex":
            scores = truth
        elif model == "most_frequent":
            scores = np.tile(np.eye(len(TASKS))[0], (len(truth), 1))
        else:
            skill = self.skill[model] if variant == "clean" else 0.95
            scores = skill * truth * 0.4 + 0.4 * random.random(truth.shape)
        return nodes.select(
            pl.lit(model).alias("model"),
            pl.lit(variant).alias("variant"),
            "protocol",
            "split",
            pl.lit(seed, dtype=pl.Int64).alias("seed"),
            "kind",
            "id",
            pl.Series("scores", scores.astype(np.float32)).arr.to_list(),
        )

    def store(self):
        """Writes tables and runs to the store."""
        tables = {
            "labels": self.labels, "split": self.split, "task_index": self.task_index,
            **self.predictions,
        }  # fmt: skip
        for name, table in tables.items():
            self.warehouse.write(f"classification/{name}", DAY, table)
        for name in LEARNERS:
            runs = [
                Run(
                    variant=variant,
                    protocol=protocol,
                    seed=seed,
                    best_epoch=8,
                    losses=[0.7 / (epoch + 1) for epoch in range(10)],
                    scores=[0.1 * epoch for epoch in range(10)],
                    seconds=2.0 + seed,
                    peak_mib=100.0 + seed,
                    options={"hidden": 8},
                )
                for variant in self.variants(name)
                for protocol in self.protocols
                for seed in SEEDS
            ]
            write_runs(self.warehouse.directory(f"classification/{name}", DAY), runs)
        return self


BOARD = (scoring.run_scores, leaderboard.leaderboard)
EVERYTHING = (*BOARD, scoring.label_scores, comparison.comparison, report.report)


def materialize(runs, assets=EVERYTHING):
    """Materializes what follows from stored runs, with its checks."""
    made = {key for asset in assets for key in asset.keys}
    above = {key for asset in assets for key in asset.dependency_keys} - made
    given = [
        dg.AssetSpec(key, partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER) for key in above
    ]
    return dg.materialize(
        [*assets, leaderboard.leaderboard_checks, *given],
        partition_key=DAY,
        resources={"warehouse": runs.warehouse},
        selection=dg.AssetSelection.assets(*made) | dg.AssetSelection.checks_for_assets(*made),
        raise_on_error=True,
    )
