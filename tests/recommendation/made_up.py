"""A made-up snapshot in which users like what one of four topics is about."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from hfkg_assets.recommendation.likes import likes_table
from hfkg_resources.table_schema import INSTANT

DAY = "2026-11-20"
TOPICS, USERS, ITEMS = 4, 120, 60
WORDS = ("chess", "poems", "maps", "radio")
KINDS = ("model", "dataset", "space")


def snapshot(seed=0, dated=False):
    """`graph/node`, `graph/edge`, `feature/embedding` of the snapshot."""
    rng = np.random.default_rng(seed)
    kinds = [KINDS[item % 3] for item in range(ITEMS)]
    topic = np.arange(ITEMS) // 3 % TOPICS
    ids = [f"owner/{WORDS[t]}-{kinds[i]}-{i}" for i, t in enumerate(topic)]
    names = [
        *(("task", word) for word in WORDS),
        *zip(kinds, ids, strict=True),
        *(("user", f"user-{number:03}") for number in range(USERS)),
        ("user", "nobody"),
    ]
    nodes = pl.DataFrame(names, schema=["type", "id"], orient="row").with_row_index("node_id")
    nodes = nodes.with_columns(pl.col("node_id").cast(pl.Int64))
    popularity = rng.pareto(1.5, ITEMS) + 0.3
    rows = []
    for user in range(USERS):
        weight = popularity * np.where(topic == user % TOPICS, 12, 1)
        for item in rng.choice(ITEMS, rng.integers(4, 9), replace=False, p=weight / weight.sum()):
            rows.append((TOPICS + ITEMS + user, TOPICS + item, f"user_like_{kinds[item]}"))
    for item in range(ITEMS):
        if kinds[item] != "space":
            rows.append((TOPICS + item, topic[item], f"{kinds[item]}_definedFor_task"))
        elif item >= 2:
            rows.append((TOPICS + item, TOPICS + item - 2, "space_use_model"))
    edges = pl.DataFrame(rows, schema=["source", "target", "relation"], orient="row")
    days = rng.integers(0, 150, edges.height)
    end = datetime(2026, 11, 20, 12, tzinfo=UTC)
    moments = [end - timedelta(days=int(day)) for day in days]
    liked_at = pl.Series("liked_at", moments if dated else [None] * edges.height, INSTANT)
    likes = pl.col("relation").str.contains("like")
    edges = edges.with_columns(liked_at).with_columns(
        liked_at=pl.when(likes).then("liked_at"), source=pl.col("source").cast(pl.Int64),
        target=pl.col("target").cast(pl.Int64),
    )  # fmt: skip
    vectors = rng.normal(size=(ITEMS, 8)).astype(np.float32)
    vectors[np.arange(ITEMS), topic] += 4
    has_text = np.array([kind != "space" for kind in kinds])
    embeddings = pl.DataFrame(
        {
            "variant": ["clean"] * ITEMS, "kind": kinds, "id": ids, "has_text": has_text,
            "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, 8)),
        }
    )  # fmt: skip
    return nodes, edges, embeddings


def tables(seed=0, dated=False):
    """`recommendation/likes` and the lazy frames that it and the knowledge are made of."""
    nodes, edges, embeddings = (frame.lazy() for frame in snapshot(seed, dated))
    day = datetime.fromisoformat(DAY).date()
    return likes_table(nodes, edges, day), nodes, edges, embeddings
