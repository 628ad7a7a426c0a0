"""Why an edge is in the graph: which snapshots have it, what was observed, what was asked for that.

Belongs here: following one edge back to the Hub's answer, through the stored tables. Does not:
making any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatch
from pathlib import Path
from typing import Any

import polars as pl

from hfkg_assets import vocabulary as v
from hfkg_resources.warehouse import Warehouse

VERIFIED, REJECTED, UNKNOWN = "verified", "rejected", "not observed"


class UnknownRelation(Exception):
    """There is no relation of that name; the message names those between such types."""


class NoSnapshot(Exception):
    """There is no snapshot to look in; the message says how to make one."""


@dataclass(frozen=True)
class Observation:
    """What the Hub said.

    Attributes:
        table: the raw table that holds the answer.
        record: the row's id there.
        said: what in it states the edge.
        request: the request whose answer it was.
        observed_at: when the answer was received.
        is_carried: whether that was for an earlier snapshot, and nothing had changed since.
    """

    table: str
    record: str
    said: str
    request: str
    observed_at: datetime | None
    is_carried: bool


@dataclass(frozen=True)
class Provenance:
    """Where an edge comes from.

    Attributes:
        snapshot: the date that was looked in.
        subject, relation, object: the edge.
        state: verified, rejected or not observed, on that date.
        reason: why it was rejected.
        attributes: what else the graph holds of it.
        written: the ends as the Hub wrote them, where those are other ids than the edge's.
        observation: what the Hub said; None where the raw tables do not have it.
        first_seen, last_seen: the first and last snapshot in which it is verified.
        snapshots: how many snapshots have it verified.
        changes: date → what became of it then, where that is not what it was before.
    """

    snapshot: str
    subject: str
    relation: str
    object: str
    state: str
    reason: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    written: tuple[str, str] | None = None
    observation: Observation | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    snapshots: int = 0
    changes: Mapping[str, str] = field(default_factory=dict)


def why(
    warehouse: Warehouse, subject: str, relation: str, object: str, day: str | None = None
) -> Provenance:
    """Follows an edge back to what the Hub said.

    Args:
        warehouse: the store.
        subject, object: ids of its ends.
        relation: name of the relation, such as `model_finetune_model`.
        day: snapshot date; by default the newest.

    Raises:
        UnknownRelation: no relation is called that.
        NoSnapshot: there is none, or none of that date.
    """
    declared = _declared(relation)
    days = warehouse.dates(f"verified/{relation}")
    if not days or (day is not None and day not in days):
        when = f" --date {day}" if day else ""
        raise NoSnapshot(f"there is no snapshot{f' of {day}' if day else ''} yet: hfkg run{when}")
    day = day or days[-1]
    history = _history(warehouse, declared, days, subject, object)
    found = _on(warehouse, declared, day, subject, object)
    names = [column.name for column in declared.attributes]
    seen = [date for date, row in history.items() if row is not None]
    return Provenance(
        snapshot=day,
        subject=subject,
        relation=relation,
        object=object,
        state=found["state"],
        reason=found.get("reason"),
        attributes={name: found[name] for name in names if found.get(name) is not None},
        written=_written(found, subject, object),
        observation=_observation(warehouse, declared, day, found),
        first_seen=seen[0] if seen else None,
        last_seen=seen[-1] if seen else None,
        snapshots=len(seen),
        changes=_changes(history, names),
    )


def _declared(relation: str) -> v.RelationType:
    if relation in v.RELATIONS:
        return v.RELATIONS[relation]
    near = [
        name
        for name in v.RELATIONS
        if set(relation.lower().split("_")) & set(name.lower().split("_"))
    ]
    raise UnknownRelation(
        f"{relation[:60]!r} is no relation; there are {', '.join(near or v.RELATIONS)}"
    )


def _is_edge(subject: str, object: str, prefix: str = "") -> pl.Expr:
    return (pl.col(f"{prefix}subject_id") == subject) & (pl.col(f"{prefix}object_id") == object)


def _history(
    warehouse: Warehouse, relation: v.RelationType, days: list[str], subject: str, object: str
) -> dict[str, dict[str, Any] | None]:
    """Date → the edge's row in the verified table, or None, by date."""
    files = [str(warehouse.path(f"verified/{relation.name}", day)) for day in days]
    rows = (
        pl.scan_parquet(files, hive_partitioning=False, include_file_paths="file")
        .filter(_is_edge(subject, object))
        .collect()
    )
    by_day = {
        Path(row.pop("file")).parent.name.removeprefix("snapshot_date="): row
        for row in rows.iter_rows(named=True)
    }
    return {day: by_day.get(day) for day in days}


def _changes(
    history: Mapping[str, Mapping[str, Any] | None], attributes: list[str]
) -> dict[str, str]:
    """Date → what became of the edge, where it is not what it was on the date before."""
    changes, before = dict[str, str](), None
    for number, (day, row) in enumerate(history.items()):
        if before is None and row is not None:
            changes[day] = "there in the first snapshot" if number == 0 else "appeared"
        elif before is not None and row is None:
            changes[day] = "gone"
        elif before is not None and row is not None:
            told = [
                f"{name}: {before[name]} → {row[name]}"
                for name in attributes
                if before[name] != row[name]
            ]
            if told:
                changes[day] = "; ".join(told)
        before = row
    return changes


def _on(
    warehouse: Warehouse, relation: v.RelationType, day: str, subject: str, object: str
) -> dict[str, Any]:
    """The edge's row on a date, with what became of it there; ids as in the graph or as written."""
    for layer in (VERIFIED, REJECTED):
        table = f"{layer}/{relation.name}"
        if not warehouse.path(table, day).is_file():
            continue
        is_it = _is_edge(subject, object) | _is_edge(subject, object, "observed_")
        rows = warehouse.scan(table, day).filter(is_it).head(1).collect()
        if rows.height:
            return {"state": layer, **rows.row(0, named=True)}
    return {"state": UNKNOWN}


def _written(found: Mapping[str, Any], subject: str, object: str) -> tuple[str, str] | None:
    ends = tuple(found.get(f"observed_{end}_id") for end in ("subject", "object"))
    return None if None in ends or ends == (subject, object) else ends  # type: ignore[return-value]


# --- what the Hub said ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """Where a rule finds an edge.

    Attributes:
        end: the end whose record it stands in.
        column: of the raw table, which that end's id is in.
        said: what in the record states it.
        request: that gives the record.
        other: column of the other end, where each edge is a record of its own.
    """

    end: str
    column: str
    said: str
    request: str
    other: str | None = None


def _observation(
    warehouse: Warehouse, relation: v.RelationType, day: str, found: Mapping[str, Any]
) -> Observation | None:
    """The raw record that states an edge."""
    table = relation.sources[0]
    if found["state"] == UNKNOWN or not warehouse.path(table, day).is_file():
        return None
    ends = {
        end: found.get(f"observed_{end}_id") or found[f"{end}_id"] for end in ("subject", "object")
    }
    source = _source(relation.rule, relation, ends)
    condition = pl.col(source.column) == ends[source.end]
    if source.other:
        other = "subject" if source.end == "object" else "object"
        condition &= pl.col(source.other) == ends[other]
    rows = warehouse.scan(table, day).filter(condition).head(1).collect()
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return Observation(
        table=table,
        record=ends[source.end],
        said=source.said,
        request=source.request,
        observed_at=row.get("observed_at"),
        is_carried=bool(row.get("carried")),
    )


def _listing(table: str) -> str:
    return f"GET /api/{table.removeprefix('hub/')} (a page of the listing)"


@singledispatch
def _source(rule: v.Rule, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    raise TypeError(f"no source for rule {rule!r}")


@_source.register
def _(rule: v.Tag, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    end, other = ("object", "subject") if rule.base_is_subject else ("subject", "object")
    tag = f"the tag {rule.prefix}{ends[other]}"
    return _Source(end, "id", tag, _listing(relation.sources[0]))


@_source.register
def _(rule: v.PipelineTag, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    said = f"pipeline_tag, or a tag, {ends['object']}"
    return _Source("subject", "id", said, _listing(relation.sources[0]))


@_source.register
def _(rule: v.ListColumn, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    said = f"{rule.column} names {ends['object']}"
    return _Source("subject", "id", said, _listing(relation.sources[0]))


@_source.register
def _(rule: v.Items, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    said = f"an item of type {rule.item_type} is {ends['object']}"
    request = f"GET /api/collections/{ends['subject']}, or a page of /api/collections"
    return _Source("subject", "slug", said, request)


@_source.register
def _(rule: v.Publisher, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    said = f"it stands under {ends['subject']}, which is a {rule.kind}"
    return _Source("object", "id", said, _listing(relation.sources[0]))


@_source.register
def _(rule: v.Authors, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    request = f"GET /api/papers/{ends['object']}, or a page of /api/papers"
    return _Source("object", "id", f"an author is linked to {ends['subject']}", request)


@_source.register
def _(rule: v.Owner, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    said = f"its owner is {ends['subject']}, a {rule.kind}"
    return _Source("object", "slug", said, "GET /api/collections (a page of the listing)")


@_source.register
def _(rule: v.Likers, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    request = f"GET /api/{rule.repo_kind}s/{ends['object']}/likers"
    return _Source("object", "repo_id", f"{ends['subject']} is among the likers", request, "user")


@_source.register
def _(rule: v.Followers, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    area = "users" if rule.kind == "user" else "organizations"
    request = f"GET /api/{area}/{ends['object']}/followers"
    return _Source("object", "name", f"{ends['subject']} is among the followers", request, "user")


@_source.register
def _(rule: v.Members, relation: v.RelationType, ends: Mapping[str, str]) -> _Source:
    request = f"GET /api/organizations/{ends['object']}/members"
    return _Source("object", "org", f"{ends['subject']} is among the members", request, "user")
