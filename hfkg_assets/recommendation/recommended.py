"""`recommendation/recommended`: what each user who likes anything would like next.

The recommender that is best on validation likes is fitted again on all likes, with what was chosen
then. Belongs here: the table, its checks, and reading it for one user. Does not: recommenders.
"""

import json
from collections.abc import Callable, Iterator

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.check_results import none_found
from hfkg_assets.code_versions import code_version
from hfkg_assets.recommendation.data import Likes, likes_of_protocol
from hfkg_assets.recommendation.knowledge import items_of
from hfkg_assets.recommendation.leaderboard import (
    NetworkConfig,
    behind_popularity,
    best_recommender,
    knowledge_of,
)
from hfkg_assets.recommendation.metrics import best_of
from hfkg_assets.recommendation.models import Fitting, Knowledge
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

TABLE = "recommendation/recommended"
MOST = 20
REASONS = 3
PAIRS_AT_ONCE = 1_000_000
CHOSEN_ON = "random"
"""The protocol whose validation likes choose: it is always there."""

NAMED = pl.Struct({"kind": pl.String(), "id": pl.String()})
RECOMMENDED = (
    Column("user_id", pl.String(), "name of the user", required=True),
    Column("rank", pl.Int64(), "from 1", required=True),
    Column("kind", pl.String(), "model, dataset or space", required=True),
    Column("id", pl.String(), "what the user would like", required=True),
    Column("score", pl.Float64(), "only one user's scores compare", required=True),
    Column("because", pl.List(NAMED), f"the user's likes that speak most for it, up to {REASONS}"),
)


def recommend(
    table: pl.DataFrame,
    board: pl.DataFrame,
    scores: pl.DataFrame,
    knowledge: Knowledge,
    config: NetworkConfig,
    log: Callable[[str], None] = lambda message: None,
) -> tuple[pl.DataFrame, str]:
    """Fits the best recommender on all likes and lets it recommend.

    Args:
        table: `recommendation/likes`.
        board: `recommendation/leaderboard`.
        scores: `recommendation/run_scores`, which tells what was chosen.
        knowledge: of the items.
        config: how networks are trained.
        log: told of progress.

    Returns:
        Rows of `RECOMMENDED`, and the recommender's name. Without any learned recommender it is
        popularity.
    """
    name = best_recommender(board, CHOSEN_ON) or "popularity"
    told = scores.filter(model=name, protocol=CHOSEN_ON).sort("seed")["settings"].first()
    likes = likes_of_protocol(table, CHOSEN_ON).all_known()
    fitting = Fitting(
        likes, knowledge, config.options(),
        joined=tuple(config.joined), settings=json.loads(str(told or "{}")), log=log,
    )  # fmt: skip
    users = np.arange(likes.users)
    items, values = best_of(fitting.score(name), users, likes.train, MOST, likes.order)
    found = pl.DataFrame(
        {
            "user": np.repeat(users, items.shape[1]),
            "item": items.ravel(),
            "rank": np.tile(np.arange(1, items.shape[1] + 1), len(users)),
            "score": values.ravel().astype(np.float64),
        }
    ).filter(pl.col("score").is_finite())
    because = reasons(found, likes, fitting.closeness(name))
    named = items_of(table)
    who = table.select("user", "user_id").unique("user")
    pair = named.select(liked="item", named=pl.struct("kind", "id"))
    told_why = (
        because.join(pair, on="liked")
        .sort("user", "rank", "place")
        .group_by("user", "rank", maintain_order=True)
        .agg(because="named")
    )
    rows = (
        found.join(told_why, on=["user", "rank"], how="left")
        .join(named, on="item")
        .join(who, on="user")
        .with_columns(pl.col("because").fill_null(pl.lit([], dtype=pl.List(NAMED))))
        .sort("user_id", "rank")
    )
    return rows.select(pl.col(column.name).cast(column.dtype) for column in RECOMMENDED), name


def reasons(
    found: pl.DataFrame,
    likes: Likes,
    closeness: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> pl.DataFrame:
    """The likes of a user that speak most for each recommendation.

    Args:
        found: `user`, `item`, `rank`.
        likes: what users like.
        closeness: of pairs of items, liked and recommended.

    Returns:
        `user`, `rank`, `liked`, `place` from 1; only likes that speak for it at all.
    """
    owner = np.repeat(np.arange(likes.users), np.diff(likes.train.indptr))
    own = pl.DataFrame({"user": owner, "liked": likes.train.indices.astype(np.int64)})
    most = max(1, int(np.diff(likes.train.indptr).max(initial=1)))
    kept = []
    for part in found.select("user", "item", "rank").iter_slices(max(1, PAIRS_AT_ONCE // most)):
        pairs = part.join(own, on="user", maintain_order="left_right")
        values = closeness(pairs["liked"].to_numpy(), pairs["item"].to_numpy())
        kept.append(
            pairs.with_columns(value=pl.Series(values, dtype=pl.Float64))
            .filter(pl.col("value") > 0)
            .sort("user", "rank", "value", "liked", descending=[False, False, True, False])
            .with_columns(place=1 + pl.int_range(pl.len()).over("user", "rank"))
            .filter(pl.col("place") <= REASONS)
            .select("user", "rank", "liked", "place")
        )
    return pl.concat(kept)


@snapshot_asset(
    TABLE,
    description="For every user who likes anything, what else the user would like, and why.",
    columns=RECOMMENDED,
    ins={
        "likes": "recommendation/likes",
        "board": "recommendation/leaderboard",
        "scores": "recommendation/run_scores",
        "nodes": "graph/node",
        "edges": "graph/edge",
        "embeddings": "feature/embedding",
    },
    kinds=("torch", "parquet"),
    code_version=code_version(recommend, knowledge_of),
)
def recommended(
    context: dg.AssetExecutionContext,
    config: NetworkConfig,
    likes: pl.LazyFrame,
    board: pl.LazyFrame,
    scores: pl.LazyFrame,
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
    embeddings: pl.LazyFrame,
) -> pl.DataFrame:
    table = likes.collect()
    rows, name = recommend(
        table,
        board.collect(),
        scores.collect(),
        knowledge_of(table, nodes, edges, embeddings),
        config,
        context.log.info,
    )
    context.add_output_metadata(
        {
            "hfkg/recommender": name,
            "hfkg/users": rows["user_id"].n_unique(),
            "hfkg/with_reasons": rows.select((pl.col("because").list.len() > 0).mean()).item(),
        }
    )
    return rows


# --- for one user --------------------------------------------------------------------------------


def recommendations_for(warehouse: Warehouse, day: str, user_id: str, k: int) -> pl.DataFrame:
    """The first recommendations of a user, as `RECOMMENDED`; none for who likes nothing.

    Only the rows of the user are read.

    Args:
        warehouse: the store.
        day: the snapshot date.
        user_id: name of the user, as the graph writes it.
        k: how many, at most as many as are stored.

    Raises:
        MissingTable: the table has not been materialized.
    """
    mine = (pl.col("user_id") == user_id) & (pl.col("rank") <= k)
    return warehouse.scan(TABLE, day).filter(mine).sort("rank").collect()


# --- checks --------------------------------------------------------------------------------------


def already_liked(rows: pl.LazyFrame, likes: pl.LazyFrame) -> pl.DataFrame:
    """Recommendations of what the user likes already."""
    keys = ["user_id", "kind", "id"]
    return rows.select(*keys, "rank").join(likes.select(keys), on=keys, how="semi").collect()


def gaps_in_ranks(rows: pl.LazyFrame) -> pl.DataFrame:
    """Users whose ranks are not 1, 2, 3, … each once, with falling scores."""
    ordered = rows.sort("user_id", "rank").group_by("user_id", maintain_order=True)
    wrong = (pl.col("rank") != 1 + pl.int_range(pl.len())).any() | (
        pl.col("score").diff() > 0
    ).any()
    return ordered.agg(wrong=wrong).filter("wrong").select("user_id").collect()


def unknown_ids(rows: pl.LazyFrame, nodes: pl.LazyFrame) -> pl.DataFrame:
    """Users, recommendations and reasons that the graph does not hold."""
    told = pl.concat(
        [
            rows.select(pl.lit("user").alias("kind"), id="user_id"),
            rows.select("kind", "id"),
            rows.select(pl.col("because").explode(empty_as_null=True)).unnest("because"),
        ]
    )
    named = told.drop_nulls().unique()
    return named.join(nodes.select(kind="type", id="id"), on=["kind", "id"], how="anti").collect()


BOARD = "recommendation/leaderboard"
BEAT = "learned_recommenders_beat_popularity"
NEW, RANKS, KNOWN = "nothing_is_liked_already", "ranks_are_dense", "ids_exist"
_ABOUT = {
    BEAT: (BOARD, "On test likes every learned recommender's NDCG@20 is above popularity's."),
    NEW: (TABLE, "Nothing is recommended that the user likes already."),
    RANKS: (TABLE, "Each user's ranks are 1, 2, 3, … with scores that do not rise."),
    KNOWN: (TABLE, "Users, recommendations and reasons are in the graph."),
}


def _specs() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name,
            asset=key_of(table),
            description=text,
            partitions_def=SNAPSHOTS,
            additional_deps=[key_of(BOARD), key_of("graph/node")] if table == TABLE else None,
        )
        for name, (table, text) in _ABOUT.items()
    ]


@dg.multi_asset_check(name="check_recommendations", specs=_specs(), can_subset=True)
def recommendation_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Whether learning is worth its while, which warns, and whether recommendations are sound."""
    day = context.partition_key

    def scan(name: str) -> pl.LazyFrame:
        return warehouse.scan(name, day)

    faults: dict[str, Callable[[], pl.DataFrame]] = {
        BEAT: lambda: behind_popularity(scan(BOARD).collect()),
        NEW: lambda: already_liked(scan(TABLE), scan("recommendation/likes")),
        RANKS: lambda: gaps_in_ranks(scan(TABLE)),
        KNOWN: lambda: unknown_ids(scan(TABLE), scan("graph/node")),
    }
    for key in context.selected_asset_check_keys:
        found = faults[key.name]()
        severity = dg.AssetCheckSeverity
        yield none_found(
            key.asset_key, key.name, found, severity.WARN if key.name == BEAT else severity.ERROR
        )
