"""Judges a disturbed crawl by an undisturbed one: every difference must be a gap that it tells of.

Belongs here: reading what a crawl left behind, and comparing two of them. Does not: disturbing one
(`crawl_faults`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

KEYS: Mapping[str, tuple[str, ...]] = {
    "tasks": ("id",),
    "tags": ("kind", "type", "id"),
    "models": ("id",),
    "datasets": ("id",),
    "spaces": ("id",),
    "collections": ("slug",),
    "papers": ("id",),
    "likers": ("repo_kind", "repo_id", "user"),
    "accounts": ("name",),
    "followers": ("kind", "name", "user"),
    "members": ("org", "user"),
    "aliases": ("kind", "id"),
    "model_cards": ("id",),
    "dataset_cards": ("id",),
}
"""The raw tables, and what tells their rows apart."""

WALKS = ("models", "datasets", "spaces", "collections", "papers")
"""Tables, and stages of the same name, that come from a listing."""

DETAILS = {"collection_details": "collections", "paper_details": "papers"}
"""Stages that do not bear the name of their table."""

LOSS = 0.01
"""Share of lost units or records from which `nothing_lost` has to fail."""

_DIFFER_BY_NATURE = ("observed_at", "carried")

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Gap:
    """Something that a crawl says it did not get.

    Attributes:
        stage: where.
        kind: `failed`, `missing`, `deferred` or `set_aside`.
        unit: the unit of work; None for a record of a listing.
        status: what the ledger says of the unit.
        excerpt: the beginning of a record set aside.
    """

    stage: str
    kind: str
    unit: str | None
    status: str = ""
    excerpt: str = ""

    @property
    def table(self) -> str:
        """The table that the stage fills."""
        return DETAILS.get(self.stage, self.stage)


@dataclass(frozen=True)
class Crawled:
    """What a crawl left behind.

    Attributes:
        tables: rows of each raw table by key, as often as they are there.
        coverage: `hub/coverage` by stage.
        gaps: what `hub/ledger` and `hub/set_aside` say is lacking.
        check_passed: whether `nothing_lost` passed.
    """

    tables: Mapping[str, Mapping[Key, list[Row]]]
    coverage: Mapping[str, Row]
    gaps: list[Gap]
    check_passed: bool

    @classmethod
    def read(cls, root: Path, day: str, *, check_passed: bool) -> "Crawled":
        """Reads the store below `root`."""
        coverage = _read(root, "coverage", day).to_dicts()
        return cls(
            tables={table: _by_key(_read(root, table, day), key) for table, key in KEYS.items()},
            coverage={row["stage"]: row for row in coverage},
            gaps=list(_read_gaps(root, day)),
            check_passed=check_passed,
        )

    def lost(self) -> Counter[str]:
        """How much `hub/coverage` counts as failed, missing and set aside."""
        kinds = ("failed", "missing", "set_aside")
        return Counter({kind: sum(row[kind] for row in self.coverage.values()) for kind in kinds})

    def ids(self, table: str) -> set[Any]:
        """The first key column of a table."""
        return {key[0] for key in self.tables[table]}


def _read(root: Path, table: str, day: str) -> pl.DataFrame:
    path = root / "hub" / table / f"snapshot_date={day}" / "part-0.parquet"
    return pl.read_parquet(path).drop(_DIFFER_BY_NATURE, strict=False)


def _by_key(frame: pl.DataFrame, key: tuple[str, ...]) -> dict[Key, list[Row]]:
    rows: dict[Key, list[Row]] = {}
    for row in frame.iter_rows(named=True):
        rows.setdefault(tuple(row[column] for column in key), []).append(row)
    return rows


def _read_gaps(root: Path, day: str) -> Iterator[Gap]:
    for row in _read(root, "ledger", day).iter_rows(named=True):
        if row["status"] != "ok":
            kind = row["status"] if row["status"] in ("failed", "deferred") else "missing"
            yield Gap(row["stage"], kind, row["unit"], row["status"])
    for row in _read(root, "set_aside", day).iter_rows(named=True):
        yield Gap(row["stage"], "set_aside", row["unit"], excerpt=row["excerpt"])


def differences(truth: Crawled, crawled: Crawled) -> Counter[str]:
    """Number of rows by table that are absent, changed, double or too many."""
    found: Counter[str] = Counter()
    for table, true in truth.tables.items():
        rows = crawled.tables[table]
        found[table] = sum(true.get(key) != rows.get(key) for key in true.keys() | rows.keys())
    return +found


def objections(truth: Crawled, crawled: Crawled, unread: Mapping[str, Set[str]]) -> list[str]:
    """What is wrong with a crawl: differences that no gap explains, gaps that are not counted.

    Args:
        truth: the undisturbed crawl.
        crawled: the disturbed one.
        unread: by table, keys of the rows on pages of a listing that could not be read.
    """
    judge = _Judge(truth, crawled, unread)
    return [*judge.table_objections(), *judge.count_objections()]


class _Judge:
    def __init__(self, truth: Crawled, crawled: Crawled, unread: Mapping[str, Set[str]]) -> None:
        self._truth, self._crawled, self._unread = truth, crawled, unread
        self._unfetched = {
            (gap.table, gap.unit): gap.status for gap in crawled.gaps if gap.kind != "set_aside"
        }
        self._set_aside = Counter(
            (gap.table, gap.unit) for gap in crawled.gaps if gap.kind == "set_aside"
        )
        self._mentioned = set(_mentioned(crawled))
        self._names = set(_names(crawled))
        self._stable = {
            (table[:-1], row["id"]): row["_id"]
            for table in ("models", "datasets", "spaces")
            for row in _rows(truth, table)
        }

    def _unit(self, table: str, row: Row) -> str | None:
        """The unit of work that gives a row."""
        match table:
            case "tasks":
                return "/api/tasks"
            case "tags":
                return str(row["kind"])
            case "likers":
                return self._stable[row["repo_kind"], row["repo_id"]]
            case "model_cards" | "dataset_cards":
                return self._stable[table.removesuffix("_cards"), row["id"]]
            case "collections":
                return str(row["slug"][-24:])
            case "accounts":
                return str(row["name"])
            case "followers":
                return f"{row['kind']}:{row['name']}"
            case "members":
                return str(row["org"])
            case "aliases":
                return f"{row['kind']}:{row['id']}"
            case "papers":
                return str(row["id"])
        return None

    # -- rows -----------------------------------------------------------------------------------

    def table_objections(self) -> Iterator[str]:
        for table, true in self._truth.tables.items():
            rows = self._crawled.tables[table]
            for key in true.keys() | rows.keys():
                objection = self._objection(table, true.get(key, []), rows.get(key, []))
                if objection:
                    yield f"{table} {'/'.join(map(str, key))}: {objection}"
        yield from self._too_many_absent()

    def _objection(self, table: str, true: list[Row], found: list[Row]) -> str | None:
        if true == found:
            return None
        if len(found) > max(1, len(true)):
            return "double"
        if not found:
            return None if self._is_absent_for_a_reason(table, true[0]) else "absent without a gap"
        if not true:
            return None if table == "aliases" and self._is_sound_alias(found[0]) else "invented"
        return None if self._is_changed_for_a_reason(table, true[0], found[0]) else "wrong"

    def _is_absent_for_a_reason(self, table: str, row: Row) -> bool:
        unit = self._unit(table, row)
        if table != "collections" and (table, unit) in self._unfetched:
            return True
        if self._set_aside[table, unit]:
            return True
        if table in WALKS:
            key = row[KEYS[table][0]]
            is_listed = table != "papers" or "papers" in self._crawled.coverage
            return (
                any(f'"{key}"' in gap.excerpt for gap in self._crawled.gaps if gap.table == table)
                or (self._has_failed(table) and key in self._unread.get(table, ()))
                or not (is_listed or ("paper", key) in self._mentioned)
            )
        return not self._is_asked_for(table, row)

    def _is_asked_for(self, table: str, row: Row) -> bool:
        """Whether what the crawl did get would lead it to that row."""
        match table:
            case "likers":
                return row["repo_id"] in self._crawled.ids(f"{row['repo_kind']}s")
            case "followers":
                return row["name"] in self._crawled.ids("accounts")
            case "members":
                return row["org"] in self._crawled.ids("accounts")
            case "model_cards" | "dataset_cards":
                return row["id"] in self._crawled.ids(table.replace("_cards", "s"))
            case "accounts":
                return row["name"] in self._names
            case "aliases":
                return (row["kind"], row["id"]) in self._mentioned
        return True

    def _is_sound_alias(self, row: Row) -> bool:
        """An id is asked for when its own listing row is the gap; the answer must be right."""
        listed = f"{row['kind']}s"
        name = row["canonical_id"]
        return name in self._truth.ids(listed) and name not in self._crawled.ids(listed)

    def _is_changed_for_a_reason(self, table: str, true: Row, found: Row) -> bool:
        unit = self._unit(table, true)
        status = self._unfetched.get((table, unit))
        match table:
            case "model_cards" | "dataset_cards":
                return found["text"] is None and found["status"] == status
            case "accounts":
                # Told by an overview, where the rows that told of it before are a gap, or reverse.
                same = ("name", "kind", "_id", "fullname")
                return self._lacks_mention(true["name"]) and all(
                    true[name] == found[name] for name in same
                )
            case "aliases":
                is_gone = found["via"] == "missing" and found["canonical_id"] is None
                is_same = found["canonical_id"] == true["canonical_id"]
                return (is_gone and status is not None) or (is_same and self._is_sound_alias(found))
            case "collections":
                has_gap = status is not None or self._set_aside[table, unit] > 0
                shown = {item["_id"] for item in found["items"]}
                own = ("items", "is_complete")
                return (
                    has_gap
                    and not found["is_complete"]
                    and shown <= {item["_id"] for item in true["items"]}
                    and all(true[name] == found[name] for name in true.keys() - set(own))
                )
        return False

    def _lacks_mention(self, name: str) -> bool:
        """Whether rows that name an account are absent."""
        return any(
            name in (row.get("user"), row.get("owner_name"), *_names_in(row))
            for table in ("likers", "collections", "papers")
            for key, rows in self._truth.tables[table].items()
            for row in rows
            if key not in self._crawled.tables[table]
        )

    def _too_many_absent(self) -> Iterator[str]:
        """A record set aside stands for one row, not for all rows of its unit."""
        absent: Counter[tuple[str, str | None]] = Counter()
        for table in KEYS.keys() - set(WALKS):
            for key, rows in self._truth.tables[table].items():
                if key not in self._crawled.tables[table]:
                    absent[table, self._unit(table, rows[0])] += 1
        for unit, aside in self._set_aside.items():
            if unit not in self._unfetched and absent[unit] > aside:
                name = "/".join(map(str, unit))
                yield f"{name}: {absent[unit]} rows absent, {aside} records set aside"

    # -- counts ---------------------------------------------------------------------------------

    def count_objections(self) -> Iterator[str]:
        recorded = Counter((gap.stage, gap.kind) for gap in self._crawled.gaps)
        for stage, row in self._crawled.coverage.items():
            for kind in ("failed", "missing", "deferred", "set_aside"):
                if row[kind] != recorded[stage, kind]:
                    yield f"{stage}: {row[kind]} {kind} counted, {recorded[stage, kind]} recorded"
        if self._crawled.check_passed and any(map(self._is_lossy, self._crawled.coverage)):
            yield "nothing_lost passes although much is lost"

    def _is_lossy(self, stage: str) -> bool:
        row = self._crawled.coverage[stage]
        whole = max(row["expected"], row["rows"], 1)
        return (
            row["failed"] / whole > LOSS
            or row["set_aside"] / whole > LOSS
            or (stage in WALKS and row["failed"] > 0)
        )

    def _has_failed(self, stage: str) -> bool:
        return stage in self._crawled.coverage and self._crawled.coverage[stage]["failed"] > 0


def _rows(crawled: Crawled, *tables: str) -> Iterator[Row]:
    for table in tables:
        for rows in crawled.tables[table].values():
            yield from rows


_REFERENCES = {
    "model": r"base_model:\w+:(.+)",
    "dataset": r"dataset:(.+)",
    "paper": r"arxiv:(.+?)(?:v\d+)?$",
}
"""Tags that refer to something, by its kind."""


def _mentioned(crawled: Crawled) -> Iterator[tuple[str, str]]:
    """Kind and id of all that a row which was got refers to."""
    for row in _rows(crawled, "models", "datasets", "spaces"):
        for tag in row["tags"]:
            for kind, pattern in _REFERENCES.items():
                if match := re.match(pattern, tag):
                    yield kind, match[1]
        for kind in ("model", "dataset"):
            yield from ((kind, name) for name in row.get(f"{kind}s") or ())
    for row in _rows(crawled, "collections"):
        yield from ((item["type"], item["id"]) for item in row["items"])


def _names(crawled: Crawled) -> Iterator[str]:
    """Every account that a row which was got names."""
    for row in _rows(crawled, "models", "datasets", "spaces"):
        yield row["author"] or row["id"].partition("/")[0]
    for row in _rows(crawled, "collections"):
        yield row["owner_name"]
        yield from _names_in(row)
    for row in _rows(crawled, "papers"):
        yield from _names_in(row)
    for row in _rows(crawled, "likers"):
        yield row["user"]


def _names_in(row: Row) -> Iterator[str]:
    """The accounts that a collection's listing row shows, or that wrote a paper."""
    yield from (account["name"] for account in row.get("accounts") or ())
    yield from (author["user"] for author in row.get("authors") or ())
