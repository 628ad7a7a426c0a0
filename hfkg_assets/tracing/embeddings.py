"""`tracing/<embedding>`: TransE, RotatE, ComplEx and DistMult, trained on the lineage triples.

Each table holds the ranks of the validation and test bases of every run; beside it lie the weights,
`weights/<protocol>-<seed>.pt`. An embedding knows the models of its training triples and no other:
those that it does not know are all behind them, in the random protocol they are no candidates at
all. What is asked in the time protocol is new, so of that embeddings know nothing: every candidate
ties, nothing is trained, and the rows say so.

Belongs here: which runs there are, files, scores for the combination. Does not: the training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from hfkg_assets.classification.plots import learning_curves
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.tracing.questions import Questions, Run, runs_of
from hfkg_assets.tracing.rankers import EMBEDDINGS, RANKS, rank_rows
from hfkg_assets.tracing.ranking import ranking_metrics, realistic_ranks
from hfkg_assets.tracing.triples import HELD, SPLITS
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

if TYPE_CHECKING:
    from hfkg_assets.tracing.graph_embeddings import Asked, EmbeddingOptions, Trained

ROWS_AT_ONCE = 4_000_000
"""Scores of a block of questions."""


class EmbeddingConfig(dg.Config):
    """Training as the launchpad shows it; see `graph_embeddings.EmbeddingOptions`."""

    dimension: int = Field(default=64, ge=1, description="width of a vector")
    epochs: int = Field(default=100, ge=1, description="at most this many")
    batch: int = Field(default=0, ge=0, description="triples at once; 0: by their number")
    negatives: int = Field(default=1_024, ge=1, description="entities a batch is compared with")
    learning_rate: float | None = Field(default=None, description="Adam's; null for its default")
    check_every: int = Field(default=3, ge=1, description="epochs between looks at validation")
    patience: int = Field(default=5, ge=1, description="looks without a better MRR")

    def options(self) -> "EmbeddingOptions":
        """What is passed on to the training."""
        from hfkg_assets.tracing.graph_embeddings import EmbeddingOptions

        return EmbeddingOptions(**self.model_dump())


class Embedding:
    """A trained embedding that answers questions about models by their numbers.

    Args:
        trained: PyG's model.
        entities: numbers of the models that it knows, int64 [e], in the order of its rows.
        models: how many models there are.
    """

    def __init__(self, trained: Any, entities: np.ndarray, models: int) -> None:
        self.trained, self.entities, self.models = trained, entities, models
        self.place = np.full(models, -1)
        self.place[entities] = np.arange(len(entities))

    def scores(self, asked: Questions) -> np.ndarray:
        """Each model's score in standard deviations above the mean, float64 [q, models].

        What the embedding does not know has the lowest score of the question, or, where it does not
        know what is asked about, as all others, 0.

        Args:
            asked: q questions.
        """
        from hfkg_assets.tracing.graph_embeddings import head_scores

        found = np.zeros((len(asked), self.models))
        tail = self.place[asked.derived]
        known = tail >= 0
        if known.any():
            own = head_scores(self.trained, asked.relation[known], tail[known]).astype(np.float64)
            own -= own.mean(axis=1, keepdims=True)
            own /= np.maximum(own.std(axis=1, keepdims=True), 1e-9)
            rows = np.broadcast_to(own.min(axis=1, keepdims=True), (len(own), self.models)).copy()
            rows[:, self.entities] = own
            found[known] = rows
        return found


def train_embedding(
    name: str,
    run: Run,
    options: "EmbeddingOptions",
    log: Callable[[str], None] = lambda message: None,
) -> tuple[Embedding, "Trained"] | None:
    """Trains an embedding on a run's known triples; None where it could answer no question.

    Args:
        name: one of `EMBEDDINGS`.
        run: the run.
        options: how.
        log: told of progress.
    """
    from hfkg_assets.tracing.graph_embeddings import train

    entities = np.flatnonzero(run.seen)
    asked = np.concatenate([run.parts[split].derived for split in HELD])
    if not len(run.known) or not run.seen[asked].any():
        return None
    place = np.full(len(run.created), -1)
    place[entities] = np.arange(len(entities))
    known = run.known
    triples = np.stack([place[known.base], known.relation, place[known.derived]])
    trained = train(
        name,
        triples,
        _asked(run, run.parts["validation"], place),
        len(entities),
        len(LINEAGE),
        options,
        run.seed,
        log,
    )
    return Embedding(trained.model, entities, len(run.created)), trained


def _asked(run: Run, questions: Questions, place: np.ndarray) -> "Asked":
    from hfkg_assets.tracing.graph_embeddings import Asked

    known = (place[questions.derived] >= 0) & (place[questions.base] >= 0)
    questions = questions.take(np.flatnonzero(known))
    rows, others = run.other_bases(questions, among=SPLITS[:2])
    there = place[others] >= 0
    return Asked(
        questions.relation,
        place[questions.derived],
        place[questions.base],
        np.stack([rows[there], place[others[there]]]).astype(np.int64),
    )


def embedding_ranks(
    name: str, run: Run, embedding: Embedding | None, ids: pl.Series
) -> pl.DataFrame:
    """Rows of `RANKS` of an embedding in a run.

    Args:
        name: the embedding's.
        run: the run.
        embedding: None where nothing could be learnt: then all candidates tie.
        ids: of the models.
    """
    frames = [pl.DataFrame(schema=schema_of(RANKS))]
    step = max(1, ROWS_AT_ONCE // max(len(ids), 1))
    for split in HELD:
        questions = run.parts[split]
        ranks, candidates = [np.zeros(0)], [np.zeros(0, np.int64)]
        for start in range(0, len(questions), step):
            asked = questions.take(slice(start, start + step))
            scores = (
                np.zeros((len(asked), len(ids))) if embedding is None else embedding.scores(asked)
            )
            places = run.places(asked)
            ranks.append(realistic_ranks(places.hide(scores), asked.base))
            candidates.append((~places.hidden).sum(axis=1))
        frames.append(
            rank_rows(name, run, split, ids, np.concatenate(ranks), np.concatenate(candidates))
        )
    return pl.concat(frames)


# --- files ---------------------------------------------------------------------------------------


def weights_path(directory: Path, run: Run) -> Path:
    """Where the weights of a run lie beside an embedding's table."""
    return directory / "weights" / f"{run.protocol}-{run.seed}.pt"


def save_embedding(path: Path, name: str, embedding: Embedding, ids: pl.Series) -> None:
    """Writes an embedding; the file is there whole or not at all.

    Args:
        path: where.
        name: one of `EMBEDDINGS`.
        embedding: what is written.
        ids: of the models.
    """
    import torch

    content = {
        "name": name,
        "entities": ids.gather(embedding.entities).to_list(),
        "dimension": embedding.trained.hidden_channels,
        "state": embedding.trained.state_dict(),
    }
    write_atomically(path, lambda file: torch.save(content, file))


def load_embedding(path: Path, ids: pl.Series) -> Embedding | None:
    """An embedding as it was written; None where none could be trained for the run.

    Args:
        path: from `weights_path`.
        ids: of the models.

    Raises:
        ValueError: it knows a model that is not among them.
    """
    import torch

    from hfkg_assets.tracing.graph_embeddings import empty_model

    if not path.is_file():
        return None
    content = torch.load(path, weights_only=True)
    number = pl.DataFrame({"id": ids}).with_row_index("row")
    rows = pl.DataFrame({"id": content["entities"]}, schema={"id": pl.String}).join(
        number, on="id", how="left", maintain_order="left"
    )["row"]
    if rows.null_count():
        raise ValueError(f"{path} was trained on other models: materialize it again")
    model = empty_model(content["name"], len(rows), len(LINEAGE), content["dimension"])
    model.load_state_dict(content["state"])
    return Embedding(model.eval(), rows.to_numpy().astype(np.int64), len(ids))


# --- assets --------------------------------------------------------------------------------------


def embedding_asset(name: str, description: str) -> dg.AssetsDefinition:
    """The asset of one embedding."""

    @snapshot_asset(
        f"tracing/{name}",
        description=f"{description}: trained on lineage, with the ranks of held-out bases.",
        columns=RANKS,
        ins={"triples": "tracing/triples", "evidence": "tracing/evidence"},
        kinds=("torch", "parquet"),
        code_version="1",
    )
    def embedding(
        context: dg.AssetExecutionContext,
        config: EmbeddingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        triples: pl.LazyFrame,
        evidence: pl.LazyFrame,
    ) -> pl.DataFrame:
        options = config.options()
        directory = warehouse.directory(f"tracing/{name}", context.partition_key)
        models = evidence.select("id", "created_at").collect()
        frames, curves, figures = [pl.DataFrame(schema=schema_of(RANKS))], {}, []
        for run in runs_of(triples.collect(), models):
            path = weights_path(directory, run)
            path.unlink(missing_ok=True)
            made = train_embedding(name, run, options, context.log.info)
            if made is None:
                context.log.info(f"{name}: {run.protocol} asks about new models only: all tie")
            else:
                save_embedding(path, name, made[0], models["id"])
                curves[f"{run.protocol}, seed {run.seed}"] = (made[1].losses, made[1].scores)
            rows = embedding_ranks(name, run, made and made[0], models["id"])
            frames.append(rows)
            figures.append((run, made and made[1], rows))
        context.add_output_metadata(
            {
                "hfkg/runs": dg.MetadataValue.md(_as_markdown(figures)),
                "hfkg/learning_curves": dg.MetadataValue.md(learning_curves(curves)),
                "hfkg/config": dg.MetadataValue.json(asdict(options)),
            }
        )
        return pl.concat(frames)

    return embedding


def _as_markdown(
    figures: Sequence[tuple[Run, "Trained | None", pl.DataFrame]],
) -> str:
    lines = [
        "| protocol | seed | best epoch | epochs | validation MRR | test MRR |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for run, trained, rows in figures:
        mrr = [
            f"{ranking_metrics(rows.filter(split=split)['rank'].to_numpy())['mrr']:.4f}"
            for split in HELD
        ]
        epochs = ("", "") if trained is None else (trained.best_epoch, len(trained.losses))
        cells = (run.protocol, run.seed, *epochs, *mrr)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


EMBEDDING_ASSETS = [embedding_asset(name, text) for name, text in EMBEDDINGS.items()]

Loaded = Mapping[str, Embedding]
"""Name → embedding of one run, those that could be trained."""


def load_embeddings(warehouse: Warehouse, day: str, run: Run, ids: pl.Series) -> Loaded:
    """The embeddings of a run.

    Args:
        warehouse: where they lie.
        day: the snapshot date.
        run: the run.
        ids: of the models.
    """
    found = {
        name: load_embedding(weights_path(warehouse.directory(f"tracing/{name}", day), run), ids)
        for name in EMBEDDINGS
    }
    return {name: embedding for name, embedding in found.items() if embedding is not None}
