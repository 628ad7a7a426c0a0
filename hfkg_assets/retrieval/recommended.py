"""What one user is recommended, worded.

Belongs here: looking up and wording. Does not: how items are recommended
(`hfkg_assets.recommendation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from hfkg_assets.recommendation.recommended import TABLE, recommendations_for
from hfkg_assets.retrieval.answers import Hit, Hits, NotMade, Reason
from hfkg_assets.retrieval.names import unknown
from hfkg_assets.vocabulary import REPOSITORY_TYPES
from hfkg_resources.warehouse import Warehouse

FACTS = ("tasks", "licence", "library", "sdk", "likes", "downloads", "created_at")
"""What is told of an item, where its kind has it."""


def recommend(warehouse: Warehouse, user: str, k: int, day: str | None = None) -> Hits:
    """The items that a user would probably like.

    A user whose likes are not known is told what is liked most.

    Args:
        warehouse: where recommendations lie.
        user: the user's name.
        k: how many at most.
        day: snapshot date; the newest by default.

    Raises:
        NotMade: nothing is recommended yet.
        UnknownId: the snapshot holds no such user.
    """
    days = warehouse.dates(TABLE)
    day = day or (days[-1] if days else None)
    if day is None or day not in days:
        when = f" --date {day}" if day else ""
        raise NotMade(f"nothing is recommended yet; do that with: hfkg run --job train{when}")
    found = recommendations_for(warehouse, day, user, k)
    if found.height:
        hits = _hits(warehouse, day, found.to_dicts())
        return Hits(user, day, hits, _notes(k, found.height))
    users = warehouse.scan("entity/user", day).select("id").collect()["id"]
    if not users.is_in([user]).any():
        raise unknown("user", user, users, day)
    popular = _most_liked(warehouse, day, k)
    note = f"no like of {user} is known; this is what is liked most"
    return Hits(user, day, _hits(warehouse, day, popular), (note,))


def _notes(asked: int, found: int) -> tuple[str, ...]:
    return (f"the {found} best are kept for each user",) if asked > found else ()


def _most_liked(warehouse: Warehouse, day: str, k: int) -> list[dict[str, Any]]:
    """The repositories with most likes, as rows of `recommendation/recommended`."""
    tables = [
        warehouse.scan(f"entity/{kind}", day).select(pl.lit(kind).alias("kind"), "id", "likes")
        for kind in REPOSITORY_TYPES
    ]
    likes = pl.col("likes").fill_null(0)
    top = pl.concat(tables).sort(-likes, "kind", "id").head(k).collect()
    rows = enumerate(top.iter_rows(named=True), start=1)
    return [{**row, "rank": rank, "score": float(row["likes"] or 0)} for rank, row in rows]


def _hits(warehouse: Warehouse, day: str, rows: list[dict[str, Any]]) -> tuple[Hit, ...]:
    facts = {
        kind: _facts(warehouse, day, kind, [row["id"] for row in rows if row["kind"] == kind])
        for kind in {row["kind"] for row in rows}
    }
    return tuple(
        Hit(
            row["rank"],
            row["kind"],
            row["id"],
            row["score"],
            facts=facts[row["kind"]].get(row["id"], {}),
            reasons=_reasons(row),
        )
        for row in rows
    )


def _reasons(row: Mapping[str, Any]) -> tuple[Reason, ...]:
    liked = row.get("because")
    if liked is None:
        return (Reason("popularity", f"{int(row['score']):,} likes"),)
    return tuple(
        Reason("likes", f"like {item['kind']} {item['id']}, which {row['user_id']} likes")
        for item in liked
    )


def _facts(warehouse: Warehouse, day: str, kind: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """What is known of some repositories of a kind, by id."""
    table = warehouse.scan(f"entity/{kind}", day).filter(pl.col("id").is_in(ids))
    names = {"license": "licence", "library_name": "library"}
    found = table.rename(names, strict=False).collect()
    known = found.select("id", *(name for name in FACTS if name in found.columns))
    return {row.pop("id"): row for row in known.to_dicts()}
