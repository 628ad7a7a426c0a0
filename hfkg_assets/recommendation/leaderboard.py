"""`recommendation/run_scores` and `recommendation/leaderboard`: every recommender judged alike.

Belongs here: which recommenders are run, what is stored of a run, and all beside popularity and
published figures. Does not: how a recommender works (`models`), how it is judged (`metrics`).
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from hfkg_assets import figures
from hfkg_assets.classification.leaderboard import figure
from hfkg_assets.classification.plots import draw_bars
from hfkg_assets.code_versions import code_version
from hfkg_assets.recommendation.data import Likes, likes_of_protocol
from hfkg_assets.recommendation.knowledge import evidence_of, items_of, vectors_of, words_of
from hfkg_assets.recommendation.metrics import METRICS, Score, judge
from hfkg_assets.recommendation.models import (
    BASELINE,
    CHOSEN_BY,
    LEARNED,
    NOTHING_DRAWN,
    RECOMMENDERS,
    TRAINED_ELSEWHERE,
    Fitting,
    Knowledge,
)
from hfkg_assets.recommendation.published import published_figures
from hfkg_assets.recommendation.sslrec_results import sslrec_score
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_resources.table_schema import Column

if TYPE_CHECKING:
    from hfkg_assets.recommendation.lightgcn import LightGcnOptions

RUN_SCORES = (
    Column("model", pl.String(), "what recommends", required=True),
    Column("role", pl.String(), f"{BASELINE}, {LEARNED} or {TRAINED_ELSEWHERE}", required=True),
    Column("protocol", pl.String(), "random or time", required=True),
    Column("split", pl.String(), "valid or test", required=True),
    Column("seed", pl.Int64(), "seed of the run", required=True),
    *(Column(name, pl.Float64(), "mean over users", required=True) for name in METRICS),
    Column("users", pl.Int64(), "users with a judged like", required=True),
    Column("likes", pl.Int64(), "likes judged", required=True),
    Column("seconds", pl.Float64(), "wall-clock time of fitting, less what others had fitted"),
    Column("settings", pl.String(), "what was chosen on validation likes, as JSON"),
)
LEADERBOARD = (
    Column("model", pl.String(), "what recommends", required=True),
    Column("protocol", pl.String(), "random or time", required=True),
    Column("split", pl.String(), "valid or test", required=True),
    Column("role", pl.String(), "as in run_scores, or published", required=True),
    *(Column(name, pl.Float64(), "mean over seeds") for name in METRICS),
    *(Column(f"{name}_sd", pl.Float64(), "standard deviation over seeds") for name in METRICS),
    Column("seeds", pl.Int64(), "runs"),
    Column("users", pl.Int64(), "users with a judged like"),
    Column("likes", pl.Int64(), "likes judged"),
    Column("seconds", pl.Float64(), "of a run, mean over seeds"),
    Column("source", pl.String(), "hfkg, or where a figure was published", required=True),
    Column("comparable", pl.String(), "yes, or why not", required=True),
)


class SslrecResult(dg.Config):
    """A model that SSLRec has trained on the same split; see `sslrec_results`."""

    name: str = Field(description="row of the leaderboard, such as SimGCL")
    path: str = Field(description="folder with users.npy and items.npy, or a checkpoint")
    layers: int = Field(default=0, ge=0, description="propagation steps still to be made")
    protocol: str = Field(default="random", description="the split it was trained on")


class NetworkConfig(dg.Config):
    """LightGCN as the launchpad shows it; see `lightgcn.LightGcnOptions`."""

    width: int = Field(default=32, ge=1, description="of an embedding")
    layers: int = Field(default=2, ge=1, description="propagation steps")
    learning_rate: float = Field(default=0.02, gt=0, description="Adam's")
    regularisation: float = Field(default=0.03, ge=0, description="weight of squared lengths")
    epochs: int = Field(default=60, ge=1, description="at most this many")
    patience: int = Field(default=4, ge=1, description="judgements without a better one")
    judge_every: int = Field(default=3, ge=1, description="epochs between two judgements")
    batch: int | None = Field(
        default=None, ge=1, description="likes of a step; null for 4,096 or a sixteenth of all"
    )
    joined: list[str] = Field(
        default=["task"],
        description=(
            "edges in the graph of lightgcn_graph: task, lineage, owner, use, collection, paper"
        ),
    )

    def options(self) -> "LightGcnOptions":
        """What is passed on to the training."""
        from hfkg_assets.recommendation.lightgcn import LightGcnOptions

        return LightGcnOptions(**self.model_dump(include={*LightGcnOptions.__annotations__}))


class RunConfig(NetworkConfig):
    """Which recommenders are run, and how often."""

    models: list[str] = Field(default=list(RECOMMENDERS), description="recommenders")
    seeds: list[int] = Field(default=[0, 1], description="one run each of what draws")
    sslrec: list[SslrecResult] = Field(default=[], description="models trained by SSLRec")


def knowledge_of(
    likes: pl.DataFrame, nodes: pl.LazyFrame, edges: pl.LazyFrame, embeddings: pl.LazyFrame
) -> Knowledge:
    """What is known of the liked items.

    Args:
        likes: `recommendation/likes`.
        nodes, edges: `graph/node`, `graph/edge`.
        embeddings: `feature/embedding`.
    """
    items = items_of(likes)
    evidence = evidence_of(items, nodes, edges)
    return Knowledge(vectors_of(items, embeddings), words_of(items), evidence)


def run_all(
    table: pl.DataFrame,
    knowledge: Knowledge,
    config: RunConfig,
    log: Callable[[str], None] = lambda message: None,
) -> pl.DataFrame:
    """Fits and judges every recommender, for each protocol and seed.

    Args:
        table: `recommendation/likes`.
        knowledge: of the items.
        config: which, and how.
        log: told of progress.

    Returns:
        Rows of `RUN_SCORES`.

    Raises:
        ValueError: an unknown recommender or kind of edges, or no seed.
        UnusableResult: a model of SSLRec cannot be scored.
    """
    protocols = set(table["protocol"])
    asked = [result.protocol for result in config.sslrec]
    for told, known in (
        (config.models, RECOMMENDERS), (config.joined, knowledge.evidence), (asked, protocols),
    ):  # fmt: skip
        if unknown := sorted(set(told) - set(known)):
            raise ValueError(f"unknown {', '.join(unknown)}; known: {', '.join(known)}")
    if not config.seeds:
        raise ValueError("seeds is empty: name at least one")
    rows = [
        row
        for protocol in table["protocol"].unique(maintain_order=True)
        for row in _run_protocol(
            protocol, likes_of_protocol(table, protocol), knowledge, config, log
        )
    ]
    return pl.DataFrame(rows, schema={column.name: column.dtype for column in RUN_SCORES})


def _run_protocol(
    protocol: str,
    likes: Likes,
    knowledge: Knowledge,
    config: RunConfig,
    log: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    sizes = {
        split: {"users": int((matrix.getnnz(axis=1) > 0).sum()), "likes": int(matrix.nnz)}
        for split, matrix in likes.judged.items()
    }

    def judged(score: Score, **told: Any) -> Iterator[dict[str, Any]]:
        for split, matrix in likes.judged.items():
            found = judge(score, likes.train, matrix, likes.order)
            yield {"protocol": protocol, "split": split, **told, **sizes[split], **found}

    for number, seed in enumerate(config.seeds):
        fitting = Fitting(likes, knowledge, config.options(), seed, tuple(config.joined), log=log)
        for name in config.models:
            if number and name in NOTHING_DRAWN:
                continue
            started = time.perf_counter()
            score = fitting.score(name)
            seconds = time.perf_counter() - started
            told = {part: fitting.chosen[part] for part in fitting.needed(name)}
            yield from judged(
                score, model=name, role=RECOMMENDERS[name][0], seed=seed,
                seconds=round(seconds, 4), settings=json.dumps(told, sort_keys=True),
            )  # fmt: skip
            log(f"{protocol}: {name}, seed {seed}: {seconds:.1f} s")
    for result in config.sslrec:
        if result.protocol == protocol:
            score = sslrec_score(result.path, likes, result.layers)
            yield from judged(score, model=result.name, role=TRAINED_ELSEWHERE, seed=0)


@snapshot_asset(
    "recommendation/run_scores",
    description="Recall and NDCG of every run of every recommender, over all items.",
    columns=RUN_SCORES,
    ins={
        "likes": "recommendation/likes",
        "nodes": "graph/node",
        "edges": "graph/edge",
        "embeddings": "feature/embedding",
    },
    kinds=("torch", "parquet"),
    code_version=code_version(run_all, knowledge_of),
)
def run_scores(
    context: dg.AssetExecutionContext,
    config: RunConfig,
    likes: pl.LazyFrame,
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
    embeddings: pl.LazyFrame,
) -> pl.DataFrame:
    table = likes.collect()
    scores = run_all(table, knowledge_of(table, nodes, edges, embeddings), config, context.log.info)
    context.add_output_metadata(
        {
            "hfkg/config": dg.MetadataValue.json(config.model_dump()),
            "hfkg/fitting_seconds": round(scores.filter(split="test")["seconds"].sum(), 2),
        }
    )
    return scores


# --- leaderboard ---------------------------------------------------------------------------------


def leaderboard_of(scores: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds, by protocol and split, the best first; published rows after them.

    Args:
        scores: `recommendation/run_scores`.
    """
    own = (
        scores.group_by("protocol", "split", "model", maintain_order=True)
        .agg(
            pl.col("role").first(),
            pl.col(*METRICS).mean(),
            *(pl.col(name).std().alias(f"{name}_sd") for name in METRICS),
            pl.len().alias("seeds"),
            pl.col("users", "likes").first(),
            pl.col("seconds").mean(),
        )
        .with_columns(source=pl.lit("hfkg"), comparable=pl.lit("yes"))
        .sort("protocol", "split", CHOSEN_BY, descending=[False, False, True], maintain_order=True)
    )
    board = pl.concat([own, published_figures()], how="diagonal_relaxed")
    return board.select(pl.col(column.name).cast(column.dtype) for column in LEADERBOARD)


def behind_popularity(board: pl.DataFrame) -> pl.DataFrame:
    """Learned recommenders that are not better than popularity on test likes.

    Args:
        board: `recommendation/leaderboard`.

    Returns:
        `protocol`, `model`, the metric, and `popularity`, its value of popularity.
    """
    tested = board.filter(split="test", source="hfkg")
    popular = tested.filter(model="popularity").select("protocol", popularity=CHOSEN_BY)
    return (
        tested.filter(pl.col("role") != BASELINE)
        .join(popular, on="protocol", maintain_order="left")
        .filter(pl.col(CHOSEN_BY) <= pl.col("popularity"))
        .select("protocol", "model", CHOSEN_BY, "popularity")
    )


def best_recommender(board: pl.DataFrame, protocol: str = "random") -> str | None:
    """The learned recommender that is best on validation likes; None where there is none."""
    judged = board.filter(protocol=protocol, split="valid", role=LEARNED, source="hfkg")
    return judged.sort(CHOSEN_BY, descending=True, maintain_order=True)["model"].first()  # type: ignore[return-value]


def in_words(board: pl.DataFrame) -> pl.DataFrame:
    """The board's test rows to read: figures as text, and whether they compare."""
    note = pl.when(pl.col("source") == "hfkg").then("comparable").otherwise(pl.lit("no: published"))
    columns = {f"{name}_{k}": f"{name}@{k}" for name in ("recall", "ndcg") for k in (5, 10, 20, 40)}
    return board.filter(split="test").select(
        "protocol",
        "model",
        *(
            figure(name, deviation=name in ("recall_20", "ndcg_20")).alias(title)
            for name, title in columns.items()
        ),
        pl.col("seeds").cast(pl.String).fill_null(""),
        note.alias("comparable"),
    )


@snapshot_asset(
    "recommendation/leaderboard",
    description="All recommenders beside popularity, with published figures.",
    columns=LEADERBOARD,
    ins={"scores": "recommendation/run_scores"},
    code_version=code_version(leaderboard_of),
)
def leaderboard(context: dg.AssetExecutionContext, scores: pl.LazyFrame) -> pl.DataFrame:
    board = leaderboard_of(scores.collect())
    tested = board.filter(split="test", source="hfkg", protocol="random")
    drawn = draw_bars(
        "NDCG@20 on test likes, all items ranked",
        dict(zip(tested["model"], tested[CHOSEN_BY], strict=True)),
        deviations=tested[f"{CHOSEN_BY}_sd"].to_list(),
        pale=(tested["role"] == BASELINE).to_list(),
    )
    context.add_output_metadata(
        {
            "hfkg/leaderboard": dg.MetadataValue.md(markdown_table(in_words(board))),
            "hfkg/test_ndcg_20": dg.MetadataValue.md(figures.as_markdown(drawn)),
            "hfkg/best": best_recommender(board) or "none",
        }
    )
    return board
