"""What a call on repositories asks for: fields, filters, and where a walk goes on.

Belongs here: reading these parameters into fields and Polars expressions. Does not: the calls.
"""

from __future__ import annotations

import polars as pl
from starlette.requests import Request

from hfkg_resources.sample_hub import records
from hfkg_resources.sample_hub.answers import HubError, decode_cursor, flag, repeated


def asked_fields(request: Request, allowed: frozenset[str]) -> set[str]:
    """Fields that `expand` names.

    Raises:
        HubError: 400, if it names one that is not allowed.
    """
    expand = set(repeated(request, "expand"))
    if expand - allowed:
        raise HubError(400, f'"expand" must be one of [{", ".join(sorted(allowed))}]')
    return expand


def listed_fields(request: Request, kind: str) -> set[str]:
    """Fields of a listing's rows: those of `expand`, or the default ones and what else is asked.

    Raises:
        HubError: 400, if the parameters exclude each other.
    """
    expand = asked_fields(request, records.EXPAND[kind])
    full, with_card = flag(request, "full"), flag(request, "cardData")
    if expand:
        if full or with_card or flag(request, "config"):
            raise HubError(400, '"expand" cannot be used with "full", "config" or "cardData"')
        return expand
    fields = set(records.ROW[kind])
    if full:
        fields |= records.FULL
    if with_card:
        fields.add("cardData")
    if kind == "model" and flag(request, "config"):
        fields.add("config")
    return fields


def after_cursor(request: Request, ordered: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rows after the one that the cursor names, whether or not it is still there.

    Args:
        request: of a page of a walk.
        ordered: all rows in the order of the walk.
        column: the column that the walk is sorted by.

    Raises:
        HubError: 400, if the cursor is none of such a walk.
    """
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return ordered
    match decode_cursor(cursor):
        case [None | int() | float() | str() as value, str(last_id)]:
            pass
        case _:
            raise HubError(400, "Invalid cursor")
    if value is not None and isinstance(value, str) != (ordered.schema[column] == pl.String):
        raise HubError(400, "Invalid cursor")
    key, at_most_last = pl.col(column).to_physical(), pl.col("_id") <= last_id
    if value is None:
        passed = key.is_not_null() | at_most_last
    else:
        passed = (key > value) | ((key == value) & at_most_last)
    # The rows passed are a head of the frame: counting them copies nothing.
    return ordered.slice(ordered.select(passed.sum()).item())


def filters(request: Request, kind: str) -> list[pl.Expr]:
    """What rows of a listing must all fulfil."""
    query = request.query_params
    conditions = [pl.col("tags").list.contains(tag) for tag in repeated(request, "filter")]
    if author := query.get("author"):
        conditions.append(pl.col("author") == author)
    if text := query.get("search"):
        conditions.append(contains("id", text))
    if kind == "model" and (task := query.get("pipeline_tag")):
        conditions.append(pl.col("pipeline_tag") == task)
    if kind != "space" and (gated := query.get("gated")):
        is_open = pl.col("gated") == "false"
        conditions.append(is_open if gated == "false" else ~is_open)
    if kind == "space":
        for area in ("models", "datasets"):
            conditions += [pl.col(area).list.contains(used) for used in repeated(request, area)]
        if flag(request, "linked"):
            conditions.append(
                (pl.col("models").list.len() > 0) | (pl.col("datasets").list.len() > 0)
            )
    return conditions


def contains(column: str, text: str) -> pl.Expr:
    """Whether a column holds a text, in any case."""
    return pl.col(column).str.to_lowercase().str.contains(text.lower(), literal=True)
