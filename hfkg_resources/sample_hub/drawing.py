"""Dates and dice of the sample world: growth, random draws, ids.

Belongs here: how a column of values is drawn. Does not: of what (`words`), nor for what.

Dates are int64 milliseconds since 1970 (UTC); what never happens happens at `NEVER`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast
from hfkg_resources.table_schema import STRINGS

SECOND, DAY = 1_000, 86_400_000
NEVER = 2**62


def instant(text: str | date) -> int:
    """Milliseconds since 1970 of an ISO date or time in UTC."""
    moment = datetime.fromisoformat(text) if isinstance(text, str) else datetime(*_ymd(text))
    return int(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def _ymd(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


FIRST_DAY, NOMINAL_DAY, LAST_DAY = date(2022, 3, 2), date(2026, 11, 24), date(2027, 12, 31)
"""On the nominal day as many repositories are alive as the world is asked for."""
OLDEST, NOMINAL, END = instant(cast.OLDEST), instant(NOMINAL_DAY) + DAY, instant(LAST_DAY) + DAY
GROWTH = 0.06 / (30.44 * DAY)
"""The world grows by 6 % a month, as the Hub did from December 2024 to July 2026."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers for one purpose: drawing more for one changes none of another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def draw(
    rng: np.random.Generator, values: Sequence[str] | Mapping[str, float], size: int
) -> pl.Series:
    """`size` values, equally likely or by their weights."""
    if isinstance(values, Mapping):
        return _weighted(values, rng.random(size))
    return pl.Series(values, dtype=pl.String).gather(rng.integers(len(values), size=size))


def draw_evenly(rng: np.random.Generator, weights: Mapping[str, float], size: int) -> pl.Series:
    """`size` values by their weights, each spread evenly over the rows: rare ones come, too."""
    return _weighted(weights, (np.arange(size) * (2**0.5 - 1) + rng.random()) % 1)


def _weighted(weights: Mapping[str, float], chance: np.ndarray) -> pl.Series:
    shares = np.cumsum([*weights.values()])
    rows = np.searchsorted(shares, chance * shares[-1], side="right")
    return pl.Series([*weights], dtype=pl.String).gather(rows)


def creation_times(rng: np.random.Generator, nominal: float) -> np.ndarray:
    """Sorted creation dates, `nominal` of them up to the nominal day.

    They follow the growth curve evenly, not by chance: small worlds have enough in every month.
    What the curve puts before the Hub began to keep dates gets the oldest date.
    """
    total = max(2, round(nominal * np.exp(GROWTH * (END - NOMINAL))))
    share = (np.arange(total) + rng.random(total)) / total
    times = np.maximum(END + np.log(share) / GROWTH, OLDEST).astype(np.int64)
    times[0] = OLDEST
    return times // SECOND * SECOND


def earlier(
    rng: np.random.Generator, times: np.ndarray, moments: np.ndarray, power: float
) -> np.ndarray:
    """For each moment a row of `times` (sorted) not after it; the higher `power`, the older."""
    count = np.maximum(np.searchsorted(times, moments, side="right"), 1)
    return (count * rng.random(len(moments)) ** power).astype(np.int64)


def later(rng: np.random.Generator, moments: np.ndarray, mean_days: float) -> np.ndarray:
    """A moment after each, on average by `mean_days`, most of them much sooner."""
    return moments + (rng.exponential(mean_days * DAY, len(moments))).astype(np.int64)


def evenly(size: int, share: float) -> np.ndarray:
    """True for `share` of the rows, spread evenly (by the golden ratio), so also over time."""
    return (np.arange(size) * 0.6180339887498949 + 0.5) % 1 < share


def object_ids(rng: np.random.Generator, created: np.ndarray) -> pl.Series:
    """24 hex digits, the first eight of them the date of creation in seconds."""
    raw = rng.integers(256, size=(len(created), 12), dtype=np.uint8)
    raw[:, :4] = (created // SECOND).astype(">u4").view(np.uint8).reshape(-1, 4)
    return hex_digits(raw)


def hex_digits(raw: np.ndarray) -> pl.Series:
    """Each row of bytes as a text of hex digits."""
    if not len(raw):
        return pl.Series(dtype=pl.String)
    digits = np.frombuffer(raw.tobytes().hex().encode(), dtype=f"S{2 * raw.shape[1]}")
    return pl.Series(digits.astype(str))


def gathered(rows: np.ndarray, values: pl.Series, size: int) -> pl.Series:
    """Values as one list per row number, each value once, in order; an empty list for none."""
    lists = (
        pl.DataFrame({"row": rows, "value": values})
        .unique(maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg("value")
    )
    every = pl.DataFrame({"row": np.arange(size)}).join(lists, on="row", how="left")
    empty = pl.lit([], dtype=STRINGS)
    return every.sort("row").select(pl.col("value").fill_null(empty)).to_series()


def written_by_hand(rows: Sequence[dict[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of the cast as a table; what they leave out is null."""
    return pl.DataFrame(
        [{name: row.get(name) for name in schema} for row in rows], schema=dict(schema)
    )
