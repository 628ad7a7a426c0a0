"""`export/huggingkg`: the snapshot as HuggingKG's 38 JSON files and `triples.txt`.

Belongs here: HuggingKG's keys, and how its values are made of the entity and verified tables.
Does not: how JSON text is written (`json_array`).

Everything that stands in the files is sorted, and follows from the tables' content alone, so that
equal snapshots give equal bytes. No table is ever held whole: rows pass in batches, card texts in
batches of a bounded number of bytes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast, get_args

import dagster as dg
import polars as pl
from pydantic import Field

from hfkg_assets.code_versions import code_version
from hfkg_assets.exports import json_array
from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, EntityType, RelationType
from hfkg_resources.settings import one_of

Compat = Literal["default", "strict"]
"""`default`: true values wherever HuggingKG has a key for them; `strict`: null where its own
files have null."""

TRIPLES = "triples.txt"
ROWS = 50_000
"""Rows that are held at once."""

TEXT_BYTES = 16 * 1024 * 1024
"""Bytes of card texts that are held at once, but for a single larger one."""

CARDS = {"model": "hub/model_cards", "dataset": "hub/dataset_cards"}
"""Entity types that have a description, and the table that holds it."""

TABLES = (
    *(f"entity/{name}" for name in ENTITIES),
    *(f"verified/{name}" for name in RELATIONS),
    "hub/tags",
    *CARDS.values(),
)

Record = Mapping[str, pl.Expr]
"""Key → JSON text, made of the columns of an entity table, without the id's."""


# --- values --------------------------------------------------------------------------------------


class Labels:
    """Display labels of tags and tasks.

    Args:
        tags: `hub/tags`.
        tasks: `entity/task`.
    """

    def __init__(self, tags: pl.LazyFrame, tasks: pl.LazyFrame) -> None:
        self._tags = tags.select("kind", "type", "id", "label").unique().collect()
        self._tasks = tasks.select("id", "label").collect()

    def of_tags(self, value: pl.Expr, kind: str, tag_type: str, prefix: str = "") -> pl.Expr:
        """Ids of one kind of tag by their labels; an id without one stays as it is.

        Args:
            value: ids without prefix.
            kind: `model` or `dataset`.
            tag_type: the tag's group.
            prefix: what the Hub writes before these ids.
        """
        found = self._of(kind, tag_type).select(pl.col("id").str.strip_prefix(prefix), "label")
        return _relabelled(value, found)

    def of_tasks(self, value: pl.Expr) -> pl.Expr:
        """Task ids by the labels that `tasks.json` gives them."""
        return _relabelled(value, self._tasks)

    def known(self, value: pl.Expr, kind: str, tag_type: str) -> pl.Expr:
        """Whether the ids are tags of that group."""
        return value.is_in(self._of(kind, tag_type)["id"].implode())

    def _of(self, kind: str, tag_type: str) -> pl.DataFrame:
        return self._tags.filter(kind=kind, type=tag_type).sort("id", "label")


def _relabelled(value: pl.Expr, labels: pl.DataFrame) -> pl.Expr:
    told = labels.drop_nulls().unique("id", keep="first", maintain_order=True)
    told = told.filter(pl.col("id") != pl.col("label"))
    return value.replace(told["id"], told["label"]) if told.height else value


def isoformat(moment: pl.Expr) -> pl.Expr:
    """Moments as Python's `datetime.isoformat` writes them: microseconds where there are some."""
    whole = moment.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    exact = moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
    return json_array.plain_string(
        pl.when(moment.dt.millisecond() == 0).then(whole).otherwise(exact)
    )


def hub_format(moment: pl.Expr) -> pl.Expr:
    """Moments as the Hub writes them: HuggingKG copies those of papers as they are."""
    return json_array.plain_string(moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))


# --- records -------------------------------------------------------------------------------------


def _text(column: str) -> pl.Expr:
    return json_array.string(pl.col(column))


def _texts(column: str, item: Callable[[pl.Expr], pl.Expr] | None = None) -> pl.Expr:
    values = pl.col(column)
    return json_array.strings(values.list.eval(item(pl.element())) if item else values)


def _integer(column: str) -> pl.Expr:
    return json_array.integer(pl.col(column))


def _count(column: str) -> pl.Expr:
    """A number that HuggingKG writes as 0 where the Hub does not tell it."""
    return json_array.integer(pl.col(column).fill_null(0))


def _dates() -> Record:
    return {
        "createdAt": isoformat(pl.col("created_at")),
        "lastModified": isoformat(pl.col("last_modified_at")),
    }


def task_record(labels: Labels, compat: Compat) -> Record:
    return {"label": _text("label")}


def model_record(labels: Labels, compat: Compat) -> Record:
    def tag(column: str, tag_type: str) -> pl.Expr:
        return _texts(column, lambda tags: labels.of_tags(tags, "model", tag_type))

    def single(column: str) -> pl.Expr:
        return json_array.string(labels.of_tags(pl.col(column), "model", column, f"{column}:"))

    return {
        "name": _text("name"),
        **_dates(),
        "downloads": _integer("downloads"),
        "likes": _integer("likes"),
        "region": single("region"),
        "other": tag("other_tags", "other"),
        "libraries": tag("libraries", "library"),
        "license": single("license"),
        "languages": tag("languages", "language"),
        "pipeline_tag": _texts("tasks", labels.of_tasks),
        "description": _text("description"),
    }


def dataset_record(labels: Labels, compat: Compat) -> Record:
    def tag(column: str, tag_type: str) -> pl.Expr:
        return _texts(
            column, lambda tags: labels.of_tags(tags, "dataset", tag_type, f"{tag_type}:")
        )

    def single(column: str, tag_type: str) -> pl.Expr:
        return json_array.string(
            labels.of_tags(pl.col(column), "dataset", tag_type, f"{tag_type}:")
        )

    free = pl.col("other_tags")
    listed = labels.known(pl.element(), "dataset", "other")
    other = free.list.filter(listed).list.eval(labels.of_tags(pl.element(), "dataset", "other"))
    return {
        "name": _text("name"),
        **_dates(),
        "downloads": _integer("downloads"),
        "likes": _integer("likes"),
        "libraries": tag("libraries", "library"),
        "license": single("license", "license"),
        "languages": tag("languages", "language"),
        "other": json_array.strings(other),
        "sub-tasks": tag("sub_tasks", "task_ids"),
        "tasks": _texts("tasks"),  # readers of HuggingKG take these for ids, which they are there
        "size": single("size", "size_categories"),
        "formats": tag("formats", "format"),
        "modalities": tag("modalities", "modality"),
        "tags": json_array.strings(free.list.filter(~listed)),
        "description": _text("description"),
    }


def space_record(labels: Labels, compat: Compat) -> Record:
    # HuggingKG looks for the dates under names that the Hub does not use.
    dates = dict.fromkeys(_dates(), pl.lit(json_array.NULL)) if compat == "strict" else _dates()
    return {
        "name": _text("name"),
        **dates,
        "likes": _count("likes"),
        "tags": _texts("tags"),
    }


def paper_record(labels: Labels, compat: Compat) -> Record:
    return {
        "authors": _texts("authors"),
        "publishedAt": hub_format(pl.col("published_at")),
        "title": _text("title"),
        "summary": _text("summary"),
        "upvotes": _count("upvotes"),
    }


def collection_record(labels: Labels, compat: Compat) -> Record:
    return {
        "title": _text("title"),
        "upvotes": _count("upvotes"),
        "description": _text("description"),
    }


def account_record(labels: Labels, compat: Compat) -> Record:
    return {"fullname": _text("fullname")}


RECORDS: Mapping[str, Callable[[Labels, Compat], Record]] = {
    "task": task_record,
    "model": model_record,
    "dataset": dataset_record,
    "space": space_record,
    "paper": paper_record,
    "collection": collection_record,
    "user": account_record,
    "organization": account_record,
}
"""Entity type → what its records hold besides the id, in HuggingKG's order."""


# --- files ---------------------------------------------------------------------------------------


class UnsortedTable(ValueError):
    """A table that is stored sorted is not: what is written would not be canonical."""


def batches(snapshot: Snapshot, table: str, *order: str) -> Iterator[pl.DataFrame]:
    """A table in batches of rows.

    Raises:
        UnsortedTable: its rows are not sorted by the columns of `order`.
    """
    last: pl.DataFrame | None = None
    for batch in snapshot.scan(table).collect_batches(chunk_size=ROWS):
        keys = batch.select(order) if last is None else pl.concat([last, batch.select(order)])
        if not keys.select(_is_sorted(order)).item():
            raise UnsortedTable(f"{table} of snapshot {snapshot.day} is not sorted by {order}")
        last = keys.tail(1)
        yield batch


def _is_sorted(order: tuple[str, ...]) -> pl.Expr:
    """Whether no row stands after a greater one."""
    descends = pl.lit(False)
    for name in reversed(order):
        before = pl.col(name).shift()
        descends = (pl.col(name) < before) | ((pl.col(name) == before) & descends)
    return ~descends.any()


def with_descriptions(cards: pl.LazyFrame, batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A batch in parts, each with the texts of its cards, of a bounded number of bytes."""
    sizes = _between(cards, batch).select("id", "bytes").collect()
    part = pl.col("bytes").fill_null(0).cum_sum() // TEXT_BYTES
    sized = batch.join(_once(sizes), on="id", how="left", maintain_order="left")
    for rows in sized.with_columns(part=part).partition_by("part", maintain_order=True):
        texts = _between(cards, rows).select("id", description="text").collect()
        yield rows.join(_once(texts), on="id", how="left", maintain_order="left")


def _once(cards: pl.DataFrame) -> pl.DataFrame:
    return cards.unique("id", keep="first", maintain_order=True)


def _between(cards: pl.LazyFrame, batch: pl.DataFrame) -> pl.LazyFrame:
    """The cards from a batch's first id to its last: row groups without any are not read."""
    first, last = pl.lit(batch["id"][0]), pl.lit(batch["id"][-1])
    return cards.filter(pl.col("id").is_between(first, last))


def entity_records(
    snapshot: Snapshot, entity: EntityType, labels: Labels, compat: Compat
) -> Iterator[pl.DataFrame]:
    """The records of an entity type, sorted by id."""
    values = {entity.key: _text("id"), **RECORDS[entity.name](labels, compat)}
    cards = snapshot.scan(CARDS[entity.name]) if entity.name in CARDS else None
    for batch in batches(snapshot, f"entity/{entity.name}", "id"):
        for rows in [batch] if cards is None else with_descriptions(cards, batch):
            yield rows.select(json_array.record(values))


def edge_records(
    snapshot: Snapshot, relation: RelationType, triples: BinaryIO
) -> Iterator[pl.DataFrame]:
    """The records of a relation, sorted by subject and object; its triples are written aside."""
    ends = ("subject_id", "object_id")
    values = {key: _text(end) for key, end in zip(relation.keys, ends, strict=True)}
    head, tail = (_in_one_line(pl.col(end)) for end in ends)
    for batch in batches(snapshot, f"verified/{relation.name}", *ends):
        json_array.write_lines(
            triples, batch.select(head, pl.lit(relation.name).alias("relation"), tail)
        )
        yield batch.select(json_array.record(values))


def _in_one_line(text: pl.Expr) -> pl.Expr:
    """Only a collection's slug may hold what would break a line of `triples.txt`."""
    return text.str.replace_many(["\t", "\n", "\r"], [r"\t", r"\n", r"\r"])


def write_huggingkg(snapshot: Snapshot, folder: Path, compat: Compat) -> dict[str, int]:
    """Writes the 38 files and `triples.txt`.

    Args:
        snapshot: the tables.
        folder: where to.
        compat: a `Compat`.

    Returns:
        The number of records by file.

    Raises:
        MissingTable: a table has not been materialized.
        UnsortedTable: a table is not sorted.
    """
    labels = Labels(snapshot.scan("hub/tags"), snapshot.scan("entity/task"))
    records: dict[str, int] = {}
    for entity in ENTITIES.values():
        file = f"{entity.file}.json"
        chunks = entity_records(snapshot, entity, labels, compat)
        records[file] = json_array.write_array(folder / file, chunks)
    with (folder / TRIPLES).open("wb") as triples:
        for relation in RELATIONS.values():
            file = f"{relation.name}.json"
            chunks = edge_records(snapshot, relation, triples)
            records[file] = json_array.write_array(folder / file, chunks)
    records[TRIPLES] = sum(records[f"{name}.json"] for name in RELATIONS)
    return records


def huggingkg_asset(compat: str = "default") -> dg.AssetsDefinition:
    """The asset.

    Args:
        compat: what it does unless told otherwise in the launchpad.

    Raises:
        SettingError: it is no `Compat`.
    """
    usual = cast(Compat, one_of("HFKG_EXPORT_COMPAT", compat, get_args(Compat)))

    class Options(dg.Config):
        compat: Compat = Field(
            default=usual,
            description="default: true values; strict: null where HuggingKG's own files have null",
        )

    @export_asset(
        "huggingkg",
        description="HuggingKG's 38 JSON files and triples.txt, for what reads its dumps.",
        tables=TABLES,
        kinds=("polars", "json"),
        options=Options,
        code_version=code_version(
            write_huggingkg,
            *RECORDS.values(),
            [(entity.name, entity.file, entity.key) for entity in ENTITIES.values()],
            [(relation.name, relation.keys) for relation in RELATIONS.values()],
        ),
    )
    def export_huggingkg(snapshot: Snapshot, folder: Path, options: Options) -> Mapping[str, Any]:
        started = time.perf_counter()
        records = write_huggingkg(snapshot, folder, options.compat)
        return {
            "hfkg/compat": options.compat,
            "hfkg/records": dg.MetadataValue.json(records),
            "hfkg/seconds": round(time.perf_counter() - started, 3),
        }

    return export_huggingkg
