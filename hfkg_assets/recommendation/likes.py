"""`recommendation/likes`: who likes what, numbered and split two ways.

- `random`: as HuggingBench splits, 10 % of the likes for validation and 20 % for the test; every
  user keeps one for training. Exactly the split of `export/sslrec` with its default options.
- `time`: by the date of the like, relative to the snapshot date D. The test is the month up to D,
  validation the month before. Likes without a date, which is what lists of likers give, are in
  none; where a split would be empty, the protocol is left out.

Users and items have one number each in all protocols, in the order of `node_id`. Belongs here:
which likes there are, their numbers and splits. Does not: any recommender.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.exports.random_split import random_split
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import RELATIONS, REPOSITORY_TYPES, Likers
from hfkg_resources.table_schema import INSTANT, Column

LIKE_RELATIONS = {name: r for name, r in RELATIONS.items() if isinstance(r.rule, Likers)}
PROTOCOLS = ("random", "time")
SPLITS = ("train", "valid", "test")
VALID_SHARE, TEST_SHARE, SEED = 0.1, 0.2, 0
"""Of the random protocol."""
MONTHS = {"train": 2, "valid": 1}
"""Split → months before D at which the period of the time protocol ends."""

LIKES = (
    Column("protocol", pl.String(), f"one of {', '.join(PROTOCOLS)}", required=True),
    Column("split", pl.String(), f"one of {', '.join(SPLITS)}", required=True),
    Column("user", pl.Int64(), "number of the user, dense from 0", required=True),
    Column("item", pl.Int64(), "number of what is liked, dense from 0", required=True),
    Column("user_id", pl.String(), "name of the user", required=True),
    Column("kind", pl.String(), "model, dataset or space", required=True),
    Column("id", pl.String(), "id of what is liked", required=True),
    Column("liked_at", INSTANT, "when, where known"),
    Column("cold", pl.String(), "`user` or `item`: which has no like in training; else null"),
)


def likes_of(edges: pl.LazyFrame, kinds: Sequence[str] = REPOSITORY_TYPES) -> pl.DataFrame:
    """Who likes what, as `source`, `target` of `graph/edge` and `liked_at`, sorted by both ends.

    Raises:
        ValueError: a type that nobody can like.
    """
    if unknown := set(kinds) - {relation.object for relation in LIKE_RELATIONS.values()}:
        raise ValueError(f"nobody likes {', '.join(sorted(unknown))}: no such relation")
    chosen = [name for name, relation in LIKE_RELATIONS.items() if relation.object in kinds]
    likes = edges.filter(pl.col("relation").is_in(chosen))
    return likes.select("source", "target", "liked_at").sort("source", "target").collect()


def numbered(nodes: pl.LazyFrame, occurring: pl.Series, name: str) -> pl.DataFrame:
    """The nodes that occur, numbered densely in the order of `node_id`, with type and id.

    Returns:
        `<name>`, `node_id`, `type`, `id`.
    """
    wanted = occurring.unique().alias("node_id").to_frame().lazy()
    return (
        nodes.join(wanted, on="node_id", how="semi")
        .select("node_id", "type", "id")
        .sort("node_id")
        .with_row_index(name)
        .collect()
    )


def split_at_random(
    likes: pl.DataFrame,
    valid: float = VALID_SHARE,
    test: float = TEST_SHARE,
    seed: int = SEED,
) -> pl.DataFrame:
    """The likes with `split`; every `source` keeps one in training."""
    return random_split(likes, {"valid": valid, "test": test}, seen=[["source"]], seed=seed)


def split_by_time(likes: pl.DataFrame, day: date) -> pl.DataFrame:
    """The likes of known date with `split`, up to the end of the day; none where one is empty."""
    ends = {
        **{name: _months_before(day, months) for name, months in MONTHS.items()},
        "test": datetime.combine(day + timedelta(days=1), time()),
    }
    period = pl.coalesce(
        pl.when(pl.col("liked_at").dt.replace_time_zone(None) < end).then(pl.lit(name))
        for name, end in ends.items()
    )
    dated = likes.with_columns(split=period).drop_nulls("split")
    return dated if dated["split"].n_unique() == len(SPLITS) else dated.clear()


def _months_before(day: date, months: int) -> datetime:
    return datetime.combine(pl.Series([day]).dt.offset_by(f"-{months}mo").item(), time())


def marked_cold(split: pl.DataFrame) -> pl.DataFrame:
    """The likes with `cold`: whether user or item has no like in training."""
    train = split.filter(split="train")
    new = {
        end: ~pl.col(column).is_in(train[column].unique().implode())
        for end, column in (("user", "source"), ("item", "target"))
    }
    return split.with_columns(
        cold=pl.coalesce(pl.when(is_new).then(pl.lit(end)) for end, is_new in new.items())
    )


def likes_table(nodes: pl.LazyFrame, edges: pl.LazyFrame, day: date) -> pl.DataFrame:
    """All protocols, as `LIKES`, sorted by protocol, user and item.

    Args:
        nodes: `graph/node`.
        edges: `graph/edge`.
        day: the snapshot date.
    """
    likes = likes_of(edges)
    users = numbered(nodes, likes["source"], "user").select("user", source="node_id", user_id="id")
    items = numbered(nodes, likes["target"], "item").select(
        "item", "id", target="node_id", kind="type"
    )
    splits = {"random": split_at_random(likes), "time": split_by_time(likes, day)}
    return (
        pl.concat(
            marked_cold(split).with_columns(protocol=pl.lit(protocol))
            for protocol, split in splits.items()
        )
        .join(users, on="source")
        .join(items, on="target")
        .sort("protocol", "user", "item")
        .select(pl.col(column.name).cast(column.dtype) for column in LIKES)
    )


@snapshot_asset(
    "recommendation/likes",
    description=(
        "Who likes which models, datasets and Spaces, numbered and split into training, "
        "validation and test."
    ),
    columns=LIKES,
    ins={"nodes": "graph/node", "edges": "graph/edge"},
    code_version=code_version(likes_table),
)
def likes(
    context: dg.AssetExecutionContext, nodes: pl.LazyFrame, edges: pl.LazyFrame
) -> pl.DataFrame:
    table = likes_table(nodes, edges, date.fromisoformat(context.partition_key))
    counts = table.group_by("protocol", "split").agg(
        likes=pl.len(),
        users=pl.col("user").n_unique(),
        items=pl.col("item").n_unique(),
        cold=pl.col("cold").count(),
    )
    context.add_output_metadata(
        {
            "hfkg/users": table["user"].n_unique(),
            "hfkg/items": table["item"].n_unique(),
            "hfkg/likes": table.select("user", "item").unique().height,
            "hfkg/splits": dg.MetadataValue.json(counts.sort("protocol", "split").to_dicts()),
        }
    )
    if "time" not in table["protocol"]:
        context.log.info("time is left out: too few likes have a date")
    return table
