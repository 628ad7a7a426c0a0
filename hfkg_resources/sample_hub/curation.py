"""Collections of the sample world and what they hold.

Belongs here: collections and their items. Does not: the things collected.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, words
from hfkg_resources.sample_hub.drawing import (
    SECOND,
    creation_times,
    draw,
    earlier,
    generator,
    instant,
    later,
    object_ids,
)
from hfkg_resources.sample_hub.people import Crowd
from hfkg_resources.sample_hub.repositories import KINDS, cast_size, written

COLLECTIONS = 0.045
"""Collections per repository of the nominal day."""
ITEM_KINDS = (*KINDS, "paper")


def make_collections(seed: int, repositories: int, crowd: Crowd) -> pl.DataFrame:
    """All collections; a few belong to organizations."""
    rng = generator(seed, "collections")
    created = creation_times(rng, COLLECTIONS * repositories)
    size = len(created)
    drawn = pl.DataFrame(
        {
            "title": draw(rng, words.COLLECTION_TITLES, size),
            "owner": np.where(
                rng.random(size) < 0.07, crowd.org_at(rng, created, 1.5),
                crowd.user_at(rng, created, 1.3),
            ),
            "description": draw(
                rng, ("Things worth a second look", "Updated when I find time 📌", ""), size
            ).set(pl.Series(rng.random(size) < 0.5), None),
            "created": created,
        }
    )  # fmt: skip
    by_hand = pl.DataFrame(
        {
            "title": [row["title"] for row in cast.COLLECTIONS],
            "owner": crowd.row_of([row["owner"] for row in cast.COLLECTIONS]),
            "description": [row["description"] for row in cast.COLLECTIONS],
            "created": np.full(len(cast.COLLECTIONS), instant(cast.COLLECTED_AT)),
        }
    )
    table = pl.concat([by_hand, drawn])
    return table.with_columns(
        object_ids(rng, table["created"].to_numpy()).alias("_id"),
        theme=draw(rng, words.THEMES, table.height),
        popularity=(rng.pareto(1.1, table.height) * 2).clip(0, 3_000),
        deleted=crowd.accounts["deleted"].gather(table["owner"]),
    )


def make_items(
    seed: int,
    collections: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    papers: pl.DataFrame,
) -> pl.DataFrame:
    """What collections hold; a collection grows over the months after its creation."""
    rng = generator(seed, "items")
    first = len(cast.COLLECTIONS)
    created = collections["created"].to_numpy()[first:]
    counts = np.minimum(rng.geometric(0.28, len(created)), 60)
    collection = np.repeat(np.arange(len(created)), counts)
    at = np.where(
        rng.random(len(collection)) < 0.6, created[collection] + 3_600 * SECOND,
        later(rng, created[collection], 60),
    )  # fmt: skip
    kinds = draw(
        rng, {"model": 0.495, "dataset": 0.15, "space": 0.198, "paper": 0.157}, len(at)
    ).to_numpy()
    parts = [_by_hand(collections)]
    offset = 0
    for kind in ITEM_KINDS:
        chosen = np.flatnonzero(kinds == kind)
        if kind == "paper":
            skip, dates = len(cast.PAPERS), papers["indexed"].cum_max().to_numpy()
            rows = skip + earlier(rng, dates[skip:], at[chosen], 1.5)
            ids = papers["id"].gather(rows)
        else:
            skip, table = cast_size(kind), tables[kind]
            rows = skip + earlier(rng, table["created"].to_numpy()[skip:], at[chosen], 1.5)
            ids = written(table, rows, at[chosen])
        parts.append(
            pl.DataFrame(
                {
                    "collection": first + collection[chosen],
                    "type": [kind] * len(chosen),
                    "target": offset + rows,
                    "id": ids,
                    "added": at[chosen],
                },
                schema_overrides={"type": pl.String},
            )
        )
        offset += papers.height if kind == "paper" else tables[kind].height
    items = pl.concat(parts, how="diagonal_relaxed").sort(
        "collection", "added", maintain_order=True
    )
    unsaid = pl.Series(rng.random(items.height) < 0.9)
    notes = draw(rng, words.NOTES, items.height).set(unsaid, None)
    return items.with_columns(
        object_ids(rng, items["added"].to_numpy()).alias("_id"),
        note=pl.when(pl.col("collection") < first).then("note").otherwise(notes),
    )


def _by_hand(collections: pl.DataFrame) -> pl.DataFrame:
    """The cast's items, in the order written; a `collection` item is found by its title."""
    planted = collections.head(len(cast.COLLECTIONS))
    ids = dict(zip(planted["title"], planted["_id"], strict=True))
    rows = [
        {
            "collection": number,
            "type": kind,
            "target": -1,
            "id": ids[text] if kind == "collection" else text,
            "note": note,
            "added": instant(cast.COLLECTED_AT) + position * SECOND,
        }
        for number, row in enumerate(cast.COLLECTIONS)
        for position, (kind, text, note) in enumerate(row["items"])
    ]
    return pl.DataFrame(rows)
