"""Names that people may have meant: the nearest ids to one that is not there.

Belongs here: comparing names. Does not: what any name stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import polars as pl

from hfkg_assets.retrieval.answers import UnknownId

COMPARED = 50
"""So many ids, those that share most runs of three signs, are compared sign by sign."""

SHOWN = 5
LONGEST = 200
"""Of a longer name the rest is not compared: no id of the Hub is as long."""


def near_names(ids: pl.Series, name: str, count: int = SHOWN) -> list[str]:
    """The ids that look most like a name: first those that hold it, then those spelt alike.

    Args:
        ids: all that there are.
        name: what somebody wrote; case does not count.
        count: how many at most.
    """
    wanted = name.strip().lower()[:LONGEST]
    if not wanted:
        return []
    lower = ids.str.to_lowercase()
    found = _shortest(ids.filter(lower.str.contains(wanted, literal=True)), count)
    trigrams = sorted({wanted[i : i + 3] for i in range(len(wanted) - 2)})
    if len(found) == count or not trigrams:
        return found
    shared = lower.str.extract_many(trigrams, overlapping=True).list.n_unique()
    likeness = shared / (len(trigrams) + lower.str.len_chars() - 2 - shared).clip(1)
    alike = (
        pl.DataFrame({"id": ids, "lower": lower, "likeness": likeness})
        .filter(pl.col("likeness") > 0, ~pl.col("id").is_in(found))
        .sort("likeness", "id", descending=[True, False])
        .head(COMPARED)
    )
    by_name = dict(zip(alike["lower"], alike["id"], strict=True))
    close = get_close_matches(wanted, by_name, n=count - len(found), cutoff=0.5)
    return found + [by_name[match] for match in close]


def _shortest(ids: pl.Series, count: int) -> list[str]:
    """The ids in which what they hold makes up the most."""
    frame = ids.alias("id").to_frame()
    return frame.sort(pl.col("id").str.len_chars(), "id").head(count)["id"].to_list()


def unknown(kind: str, name: str, ids: pl.Series, snapshot: str) -> UnknownId:
    """The error that tells that nothing is called that, and what is called nearly so."""
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    near = near_names(ids, name)
    hint = f"; did you mean {_either(near)}?" if near else ""
    return UnknownId(f"the snapshot of {snapshot} holds no {kind} {shown!r}{hint}")


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
