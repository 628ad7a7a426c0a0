"""The `dump` source: the raw tables of a HuggingKG dump, in place of a crawl.

A dump holds what a crawl was made into: entities with display labels, and verified edges. Here they
are put back where the Hub has them, edges into tags, lists and columns, so that all that reads the
raw tables finds in them exactly the dump's relations and labels.

Belongs here: what each of the 38 files means. Does not: reading JSON
(`hfkg_resources.huggingkg_dump`), or judging edges (`knowledge_graph.verification`).
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from hfkg_assets import vocabulary as v
from hfkg_assets.hub import observations
from hfkg_assets.hub.coverage import SET_ASIDE, journals
from hfkg_assets.hub.crawling import CrawledTable, in_order
from hfkg_assets.knowledge_graph.entities import NOT_FREE_TAGS
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.crawl import COMPLETE, LEDGER, LEDGER_FILE, REPORT, SET_ASIDE_FILE, StageReport
from hfkg_resources.disk_sort import sort_on_disk
from hfkg_resources.huggingkg_dump import RECORD, Dump, DumpFile, keys_of_first, read_file, size_of
from hfkg_resources.sample_hub.tags import tasks as tasks_of_the_hub
from hfkg_resources.table_schema import INSTANT, STRINGS, Column, schema_of
from hfkg_resources.warehouse import Warehouse

R = TypeVar("R", bound=v.Rule)

STAGING = ".dump"
"""The folder of the store that files are read into before any table is replaced."""

# --- the files ---------------------------------------------------------------------------------


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, pl.String(), f"HuggingKG's {name}", required)


def _integer(name: str) -> Column:
    return Column(name, pl.Int64(), f"HuggingKG's {name}")


def _list(name: str) -> Column:
    return Column(name, STRINGS, f"HuggingKG's {name}")


def _date(name: str) -> Column:
    return Column(name, INSTANT, f"HuggingKG's {name}")


_REPOSITORY = (_text("name"), _date("createdAt"), _date("lastModified"), _integer("likes"))
_ACCOUNT = (_text("fullname"),)

ATTRIBUTES: Mapping[str, tuple[Column, ...]] = {
    "task": (_text("label", required=True),),
    "model": (
        *_REPOSITORY, _integer("downloads"), _text("region"), _list("other"), _list("libraries"),
        _text("license"), _list("languages"), _list("pipeline_tag"), _text("description"),
    ),
    "dataset": (
        *_REPOSITORY, _integer("downloads"), _list("libraries"), _text("license"),
        _list("languages"), _list("other"), _list("sub-tasks"), _list("tasks"), _text("size"),
        _list("formats"), _list("modalities"), _list("tags"), _text("description"),
    ),
    "space": (*_REPOSITORY, _list("tags")),
    "paper": (
        _list("authors"), _date("publishedAt"), _text("title"), _text("summary"),
        _integer("upvotes"),
    ),
    "collection": (_text("title"), _integer("upvotes"), _text("description")),
    "user": _ACCOUNT,
    "organization": _ACCOUNT,
}  # fmt: skip
"""Entity type → what its records hold beside the id."""

FILES: Mapping[str, tuple[Column, ...]] = {
    **{
        entity.file: (_text(entity.key, required=True), *ATTRIBUTES[entity.name])
        for entity in v.ENTITIES.values()
    },
    **{
        relation.name: tuple(_text(key, required=True) for key in relation.keys)
        for relation in v.RELATIONS.values()
    },
}
"""The 38 files by stem, with the keys of their records."""

CARDS = {"models": ("description",), "datasets": ("description",)}
"""The files whose records hold a README, and its key."""

SOCIAL = tuple(
    relation.name
    for relation in v.RELATIONS.values()
    if isinstance(relation.rule, v.Likers | v.Followers)
)
"""The files that are left out where likes and follows are not wanted."""


def table_of(stem: str) -> str:
    """The raw table, by short name, that a file's records go into."""
    if stem in v.RELATIONS:
        return v.RELATIONS[stem].sources[0].removeprefix("hub/")
    return "accounts" if stem in ("users", "orgs") else stem


def carrier(relation: v.RelationType) -> str | None:
    """The end whose row of a raw table an edge is written into; None where it is a row itself."""
    match relation.rule:
        case v.Tag(base_is_subject=True) | v.Publisher() | v.Owner() | v.Authors():
            return "object"
        case v.Tag() | v.PipelineTag() | v.ListColumn() | v.Items():
            return "subject"
    return None


# --- the records -------------------------------------------------------------------------------

_FAULT = {"record": pl.Int64, "column": pl.String, "expected": pl.String, "got": pl.String}


@dataclass(frozen=True)
class Records:
    """The records of a dump's files.

    Attributes:
        files: by stem, the files that are there: `record` and the columns of `FILES`.
    """

    files: Mapping[str, pl.LazyFrame]

    def _staged(self, stem: str) -> pl.LazyFrame:
        columns = (RECORD, *FILES[stem], *map(size_of, CARDS.get(stem, ())))
        return self.files.get(stem, pl.LazyFrame(schema=schema_of(columns)))

    def _entities(self, entity: v.EntityType) -> pl.LazyFrame:
        return self._staged(entity.file).rename({entity.key: "id"})

    def _edges(self, relation: v.RelationType) -> pl.LazyFrame:
        subject, object_ = relation.keys
        return self._staged(relation.name).rename({subject: "subject_id", object_: "object_id"})

    @cached_property
    def aside(self) -> Mapping[str, pl.DataFrame]:
        """By stem, the records that no row can be made of: `record`, `column`, `expected`, `got`.

        An entity's second record; an edge whose row is missing; a second publisher or owner.
        """
        repeated = {
            entity.file: self._faults(
                self._entities(entity).filter(~pl.col("id").is_first_distinct()),
                "id", entity.key, "an id that no earlier record has",
            )
            for entity in v.ENTITIES.values()
            if entity.file in self.files
        }  # fmt: skip
        lost = {
            relation.name: pl.concat([self._lost(relation), self._second(relation)])
            for relation in v.RELATIONS.values()
            if relation.name in self.files and not self.is_unplaced(relation)
        }
        return repeated | lost

    def is_unplaced(self, relation: v.RelationType) -> bool:
        """Whether a relation's edges have no rows to be written into: the dump lacks the file."""
        end = carrier(relation)
        return end is not None and v.ENTITIES[getattr(relation, end)].file not in self.files

    def _lost(self, relation: v.RelationType) -> pl.DataFrame:
        """The edges whose row the entity's file has not."""
        end = carrier(relation)
        if end is None:
            return pl.DataFrame(schema=_FAULT)
        entity, column = v.ENTITIES[getattr(relation, end)], f"{end}_id"
        ids = self._entities(entity).select(pl.col("id").alias(column))
        return self._faults(
            self._edges(relation).join(ids, on=column, how="anti"),
            column, relation.keys[column == "object_id"], f"an id of {entity.file}.json",
        )  # fmt: skip

    def _second(self, relation: v.RelationType) -> pl.DataFrame:
        """The edges that give a second publisher or owner."""
        if not isinstance(relation.rule, v.Publisher | v.Owner):
            return pl.DataFrame(schema=_FAULT)
        once = self._of_same_object(relation)
        second = once.filter(~pl.col("object_id").is_first_distinct(), relation=relation.name)
        return self._faults(second, "object_id", relation.keys[1], "no second one of its kind")

    def _of_same_object(self, relation: v.RelationType) -> pl.LazyFrame:
        """The edges of this relation and of those that say the same of another kind of account."""
        return pl.concat(
            self._edges(other).with_columns(relation=pl.lit(other.name))
            for other in v.RELATIONS.values()
            if (type(other.rule), other.object) == (type(relation.rule), relation.object)
        )

    @staticmethod
    def _faults(rows: pl.LazyFrame, column: str, key: str, expected: str) -> pl.DataFrame:
        return rows.select(
            "record", pl.lit(key).alias("column"), pl.lit(expected).alias("expected"),
            pl.col(column).alias("got"),
        ).collect()  # fmt: skip

    def entities(self, name: str) -> pl.LazyFrame:
        """An entity type's records, each id once: `id` and its attributes."""
        entity = v.ENTITIES[name]
        return self._sound(self._entities(entity), entity.file)

    def edges(self, relation: v.RelationType) -> pl.LazyFrame:
        """A relation's edges that have a row: `subject_id`, `object_id`."""
        return self._sound(self._edges(relation), relation.name)

    def _sound(self, frame: pl.LazyFrame, stem: str) -> pl.LazyFrame:
        aside = self.aside.get(stem)
        if aside is not None and aside.height:
            frame = frame.filter(~pl.col("record").is_in(aside["record"].implode()))
        return frame.drop("record")

    def by_rule(self, kind: type[R], table: str) -> Iterator[tuple[str, R, pl.LazyFrame]]:
        """The relations of a kind of rule that are read from a raw table: name, rule, edges."""
        for relation in v.RELATIONS.values():
            if isinstance(relation.rule, kind) and relation.sources[0] == table:
                yield relation.name, relation.rule, self.edges(relation)

    # -- tasks ----------------------------------------------------------------------------------

    @cached_property
    def tasks(self) -> pl.DataFrame:
        """The dump's tasks: `id`, `label`.

        Without `tasks.json` those that models and datasets name, with the labels that the Hub has
        for them.
        """
        if v.ENTITIES["task"].file in self.files:
            return self.entities("task").select("id", "label").collect()
        known = pl.LazyFrame(tasks_of_the_hub()).select("id", "label")
        values = pl.concat(
            [
                self.entities("model").select(value=pl.col("pipeline_tag").explode()),
                self.entities("dataset").select(value=pl.col("tasks").explode()),
            ]
        ).drop_nulls()
        by_label = known.join(values, left_on="label", right_on="value", how="semi")
        by_id = known.join(values, left_on="id", right_on="value", how="semi")
        asserted = pl.concat(
            self.edges(relation).select(id="object_id")
            for relation in v.RELATIONS.values()
            if relation.object == "task"
        )
        asserted = asserted.join(known, on="id", how="left").with_columns(
            pl.coalesce("label", "id").alias("label")
        )
        return pl.concat([asserted, by_label, by_id]).unique("id").sort("id").collect()

    @cached_property
    def model_tasks(self) -> pl.DataFrame:
        """Per model its tasks in the order of its labels: `id`, `pipeline_tag`, `task_tags`.

        Where there is a file of edges it decides, and labels give the order only. A task that
        the dump does not know must stand in `pipeline_tag`: as a tag it would not be told from
        any other.
        """
        relation = v.RELATIONS["model_definedFor_task"]
        tasks = self.tasks.lazy().select(task="id", label="label")
        labels = _numbered(self.entities("model"), "pipeline_tag").rename({"value": "label"})
        if relation.name in self.files:
            asserted = (
                self.edges(relation).select(id="subject_id", task="object_id").unique()
                .join(tasks, on="task", how="left")
                .join(labels.unique(["id", "label"]), on=["id", "label"], how="left")
            )  # fmt: skip
            unknown = labels.join(tasks, on="label", how="anti").with_columns(task="label")
            rows = pl.concat([asserted, unknown.select("id", "task", "label", "position")])
        else:
            rows = labels.join(tasks.unique("label"), on="label", how="left").with_columns(
                pl.coalesce("task", "label").alias("task")
            )
        return (
            rows.with_columns(is_known=pl.col("task").is_in(self.tasks["id"].implode()))
            .sort("id", "is_known", "position", "task", nulls_last=True)
            .unique(["id", "task"], keep="first", maintain_order=True)
            .group_by("id", maintain_order=True)
            .agg(
                pipeline_tag=pl.col("task").first(),
                task_tags=pl.col("task").filter("is_known"),
            )
            .collect()
        )

    @cached_property
    def dataset_tasks(self) -> pl.DataFrame:
        """Per dataset its tasks in the order of its record: `id`, `task_ids`.

        The records hold ids, or labels; where there is a file of edges it decides.
        """
        relation = v.RELATIONS["dataset_definedFor_task"]
        tasks = self.tasks.lazy()
        named = tasks.unique("label").select(named="id", value="label")
        listed = (
            _numbered(self.entities("dataset"), "tasks")
            .join(tasks.select(value="id", known="id"), on="value", how="left")
            .join(named, on="value", how="left")
            .with_columns(task=pl.coalesce("known", "named", "value"))
            .with_columns(is_known=pl.coalesce("known", "named").is_not_null())
            .select("id", "task", "position", "is_known")
        )
        if relation.name in self.files:
            edges = self.edges(relation).select(id="subject_id", task="object_id").unique()
            asserted = listed.filter("is_known").join(edges, on=["id", "task"], how="semi")
            unlisted = edges.join(listed, on=["id", "task"], how="anti")
            listed = pl.concat(
                [listed.filter(~pl.col("is_known")), asserted, unlisted], how="diagonal"
            )
        return (
            listed.sort("id", "position", "task", nulls_last=True)
            .group_by("id", maintain_order=True)
            .agg(task_ids="task")
            .collect()
        )

    # -- tables ---------------------------------------------------------------------------------

    def models(self) -> pl.LazyFrame:
        """`hub/models`."""
        ids = self.model_tag_ids
        tags = [
            _renamed("libraries", ids.filter(type="library")),
            pl.col("task_tags"),
            _renamed("languages", ids.filter(type="language")),
            _free("other", self._model_task_ids),
            pl.col("edge_tags"),
            *(_prefixed(column, group) for column, group in PREFIXED["model"].items()),
        ]
        return (
            self._repositories("model")
            .drop("pipeline_tag")
            .join(self.model_tasks.lazy(), on="id", how="left")
            .with_columns(tags=_joined(tags))
            .sort("id")
        )

    def datasets(self) -> pl.LazyFrame:
        """`hub/datasets`; `description` is the Hub's own and not the card's, which a dump holds."""
        tags = [
            pl.col("task_ids").list.eval(pl.format("task_categories:{}", pl.element())),
            *(_prefixed(column, group) for column, group in PREFIXED["dataset"].items()),
            _renamed("other", self.dataset_tag_ids),
            _free("tags", []),
            pl.col("edge_tags"),
        ]
        return (
            self._repositories("dataset")
            .join(self.dataset_tasks.lazy(), on="id", how="left")
            .with_columns(tags=_joined(tags))
            .drop("description")
            .sort("id")
        )

    def spaces(self) -> pl.LazyFrame:
        """`hub/spaces`."""
        spaces = self._repositories("space").with_columns(_joined([pl.col("tags")]).alias("tags"))
        for _, rule, edges in self.by_rule(v.ListColumn, "hub/spaces"):
            used = edges.group_by(id="subject_id").agg(
                pl.col("object_id").sort().alias(rule.column)
            )
            spaces = spaces.join(used, on="id", how="left")
        return spaces.sort("id")

    def _repositories(self, kind: str) -> pl.LazyFrame:
        """A kind of repository with what its edges say: `author`, `edge_tags`, `has_readme`."""
        table = f"hub/{kind}s"
        publishers = [
            edges.select(id="object_id", author="subject_id")
            for _, _, edges in self.by_rule(v.Publisher, table)
        ]
        tags = [
            _as_tags(rule, edges)
            for name, rule, edges in self.by_rule(v.Tag, table)
            if v.RELATIONS[name].object != "task"
        ]
        frame = (
            self.entities(kind)
            .join(pl.concat(publishers), on="id", how="left")
            .with_columns(pl.col("id").alias("_id"))
        )
        if not tags:
            return frame
        grouped = pl.concat(tags).group_by("id").agg(pl.col("tag").sort().alias("edge_tags"))
        return frame.join(grouped, on="id", how="left").with_columns(
            has_readme=pl.col("description_bytes").is_not_null()
        )

    @cached_property
    def _model_task_ids(self) -> list[str]:
        """The tasks that models are defined for."""
        return self.model_tasks["task_tags"].explode().drop_nulls().unique().sort().to_list()

    @cached_property
    def model_tag_ids(self) -> pl.DataFrame:
        """Ids for the labels of libraries and languages: `type`, `label`, `id`.

        A dump tells labels only. The label is taken for the id where no other tag is called so.
        """
        models = self.entities("model")
        labels = _labels(models, {"libraries": "library", "languages": "language"})
        return _with_ids(labels, {*_values(models, "other"), *self._model_task_ids})

    @cached_property
    def dataset_tag_ids(self) -> pl.DataFrame:
        """Ids for the labels of datasets' other tags: `type`, `label`, `id`."""
        datasets = self.entities("dataset")
        return _with_ids(_labels(datasets, {"other": "other"}), _values(datasets, "tags"))

    def tags(self) -> pl.LazyFrame:
        """`hub/tags`: every label of the dump with the tag that stands for it here."""
        tasks = self.tasks.lazy()
        by_model = tasks.filter(pl.col("id").is_in(self._model_task_ids))
        of_datasets = self.dataset_tasks.lazy().select(id=pl.col("task_ids").explode())
        by_dataset = tasks.join(of_datasets, on="id", how="semi")
        prefixed = [
            _labels(self.entities(kind), columns).lazy().select(
                pl.lit(kind).alias("kind"), "type", pl.format("{}:{}", "type", "label").alias("id"),
                "label",
            )
            for kind, columns in PREFIXED.items()
        ]  # fmt: skip
        rows = [
            by_model.select(
                kind=pl.lit("model"), type=pl.lit("pipeline_tag"), id="id", label="label"
            ),
            by_dataset.select(
                kind=pl.lit("dataset"), type=pl.lit("task_categories"),
                id=pl.format("task_categories:{}", "id"), label="label",
            ),
            self.model_tag_ids.lazy().select(pl.lit("model").alias("kind"), "type", "id", "label"),
            self.dataset_tag_ids.lazy().select(
                pl.lit("dataset").alias("kind"), "type", "id", "label"
            ),
            *prefixed,
        ]  # fmt: skip
        return pl.concat(rows).sort("kind", "type", "id")

    def collections(self) -> pl.LazyFrame:
        """`hub/collections`: without places and notes, which a dump has not."""
        items = [
            edges.select(
                slug="subject_id",
                item=_struct(
                    observations.ITEM, id="object_id", type=pl.lit(rule.item_type)
                ),
            )
            for _, rule, edges in self.by_rule(v.Items, "hub/collections")
        ]  # fmt: skip
        owners, unsettled = [], []
        for name, rule, edges in self.by_rule(v.Owner, "hub/collections"):
            owners.append(
                edges.select(
                    slug="object_id", owner_name="subject_id", owner_type=pl.lit(rule.kind)
                )
            )  # fmt: skip
            if name not in self.files:
                unsettled.append(rule.kind)
        grouped = pl.concat(items).group_by("slug").agg(pl.col("item").sort().alias("items"))
        accounts = self.accounts().filter(pl.col("kind").is_in(unsettled))
        in_slug = accounts.unique("name").select(namespace="name", account="kind")
        return (
            self.entities("collection").rename({"id": "slug"})
            .with_columns(namespace=pl.col("slug").str.extract(r"^([^/]*)"))
            .join(pl.concat(owners), on="slug", how="left")
            .join(in_slug, on="namespace", how="left")
            .join(grouped, on="slug", how="left")
            .with_columns(
                pl.coalesce("owner_name", "namespace").alias("owner_name"),
                pl.coalesce("owner_type", "account", pl.lit("unknown")).alias("owner_type"),
                pl.col("items").fill_null([]),
                is_complete=pl.lit(True),
            )
            .sort("slug")
        )  # fmt: skip

    def papers(self) -> pl.LazyFrame:
        """`hub/papers`: names, then accounts, since nothing tells which account is whose."""
        papers = self.entities("paper")
        named = pl.col("authors").list.eval(_struct(observations.AUTHOR, name=pl.element()))
        for _, _, edges in self.by_rule(v.Authors, "hub/papers"):
            linked = edges.select(
                id="object_id", link=_struct(observations.AUTHOR, user="subject_id")
            )
            linked = linked.group_by("id").agg(pl.col("link").sort().alias("linked"))
            papers = papers.join(linked, on="id", how="left").with_columns(
                authors=pl.when(pl.col("linked").is_null())
                .then(named)
                .otherwise(pl.concat_list(named.fill_null([]), pl.col("linked").fill_null([])))
            )
        return papers.sort("id")

    def accounts(self) -> pl.LazyFrame:
        """`hub/accounts`: of users and organizations without a file, those that edges name."""
        parts = []
        for name, kind in (("user", "user"), ("organization", "org")):
            if v.ENTITIES[name].file in self.files:
                accounts = self.entities(name).select("fullname", name="id")
            else:
                named = [
                    self.edges(relation).select(name=f"{end}_id")
                    for relation in v.RELATIONS.values()
                    for end in ("subject", "object")
                    if getattr(relation, end) == name
                ]
                accounts = pl.concat(named).unique().with_columns(fullname=pl.lit(None, pl.String))
            parts.append(accounts.select("name", "fullname", kind=pl.lit(kind)))
        return pl.concat(parts).with_columns(only_likes=pl.lit(False)).sort("name", "kind")

    def likers(self) -> pl.LazyFrame:
        """`hub/likers`."""
        return pl.concat(
            edges.select(repo_kind=pl.lit(rule.repo_kind), repo_id="object_id", user="subject_id")
            for _, rule, edges in self.by_rule(v.Likers, "hub/likers")
        ).sort("repo_kind", "repo_id", "user")

    def followers(self) -> pl.LazyFrame:
        """`hub/followers`."""
        return pl.concat(
            edges.select(kind=pl.lit(rule.kind), name="object_id", user="subject_id")
            for _, rule, edges in self.by_rule(v.Followers, "hub/followers")
        ).sort("kind", "name", "user")

    def members(self) -> pl.LazyFrame:
        """`hub/members`."""
        return pl.concat(
            edges.select(org="object_id", user="subject_id")
            for _, _, edges in self.by_rule(v.Members, "hub/members")
        ).sort("org", "user")

    def cards(self, kind: str) -> pl.LazyFrame:
        """`hub/model_cards` or `hub/dataset_cards`, not sorted."""
        return (
            self.entities(kind)
            .filter(pl.col("description_bytes").is_not_null())
            .select(
                "id", pl.col("id").alias("_id"), pl.lit("ok").alias("status"),
                pl.col("description_bytes").alias("bytes"), pl.col("description").alias("text"),
            )
        )  # fmt: skip


PREFIXED: Mapping[str, Mapping[str, str]] = {
    "model": {"license": "license", "region": "region"},
    "dataset": {
        "libraries": "library",
        "license": "license",
        "languages": "language",
        "sub-tasks": "task_ids",
        "size": "size_categories",
        "formats": "format",
        "modalities": "modality",
    },
}
"""Keys of records → the type of tag that they hold, where the type is also the tag's prefix."""

_EDGE_PREFIXES = tuple(prefix for prefix in NOT_FREE_TAGS if prefix != "doi:")
"""What a free tag must not start with, or it would say something that the dump does not say."""


def _is_told_by_prefix(tag: pl.Expr) -> pl.Expr:
    return pl.any_horizontal(tag.str.starts_with(prefix) for prefix in _EDGE_PREFIXES)


def _free(column: str, tasks: Sequence[str]) -> pl.Expr:
    """Free tags without those that a rule would read for something else."""
    tag = pl.element()
    return pl.col(column).list.filter(~_is_told_by_prefix(tag) & ~tag.is_in(list(tasks)))


def _renamed(column: str, ids: pl.DataFrame) -> pl.Expr:
    """A list of labels as the ids that stand for them."""
    other = ids.filter(pl.col("id") != pl.col("label"))
    if other.is_empty():
        return pl.col(column)
    return pl.col(column).list.eval(pl.element().replace(other["label"], other["id"]))


def _prefixed(column: str, group: str) -> pl.Expr:
    """A label, or a list of labels, as tags of a type."""
    if column in ("license", "region", "size"):
        return pl.concat_list(pl.format(f"{group}:{{}}", column)).list.drop_nulls()
    return pl.col(column).list.eval(pl.format(f"{group}:{{}}", pl.element()))


def _joined(lists: Sequence[pl.Expr]) -> pl.Expr:
    return pl.concat_list(values.fill_null([]) for values in lists).list.drop_nulls()


def _labels(records: pl.LazyFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """All labels in some columns: `type`, `label`, each pair once."""
    schema = records.collect_schema()
    return (
        pl.concat(
            records.select(
                pl.lit(group).alias("type"),
                (pl.col(column).explode() if schema[column] == STRINGS else pl.col(column)).alias(
                    "label"
                ),
            )
            for column, group in columns.items()
        )
        .drop_nulls()
        .unique()
        .sort("type", "label")
        .collect()
    )


def _values(records: pl.LazyFrame, column: str) -> set[str]:
    """All values in the lists of a column."""
    values = records.select(pl.col(column).explode().drop_nulls().unique())
    return set(values.collect()[column])


def _with_ids(labels: pl.DataFrame, taken: set[str]) -> pl.DataFrame:
    """An id for each label, its own where nothing else is called so."""
    ids: list[str] = []
    for tag_type, label in labels.iter_rows():  # a few thousand at most
        tag = label
        while tag in taken or tag.startswith(_EDGE_PREFIXES):
            tag = f"{tag_type} {tag}"
        taken.add(tag)
        ids.append(tag)
    return labels.with_columns(id=pl.Series(ids, dtype=pl.String))


def _numbered(records: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """The values of a list: `id`, `value`, `position`."""
    return (
        records.select("id", value=column, position=pl.int_ranges(pl.col(column).list.len()))
        .explode("value", "position")
        .drop_nulls("value")
    )


def _as_tags(rule: v.Tag, edges: pl.LazyFrame) -> pl.LazyFrame:
    """A relation's edges as tags of the repositories that carry them: `id`, `tag`."""
    carrying, other = (
        ("object_id", "subject_id") if rule.base_is_subject else ("subject_id", "object_id")
    )
    return edges.select(
        pl.col(carrying).alias("id"), pl.format(f"{rule.prefix}{{}}", other).alias("tag")
    )


def _struct(dtype: pl.Struct, **values: str | pl.Expr) -> pl.Expr:
    """A struct of which only some fields are known."""
    known = {name: pl.col(x) if isinstance(x, str) else x for name, x in values.items()}
    return pl.struct(
        known.get(field.name, pl.lit(None)).cast(field.dtype).alias(field.name)
        for field in dtype.fields
    )


# --- the import --------------------------------------------------------------------------------


@dataclass(frozen=True)
class DumpImport:
    """What an import is of and where it goes.

    Attributes:
        dump: the dump.
        origin: how the ledger names it.
        social: whether likes and follows are wanted.
        warehouse: the store.
        day: the snapshot date.
        log: where progress is told.
    """

    dump: Dump
    origin: str
    social: bool
    warehouse: Warehouse
    day: str
    log: logging.Logger

    @property
    def observed_at(self) -> datetime:
        """The beginning of the dump's day: nearer than that a dump does not say."""
        return datetime.fromisoformat(self.day).replace(tzinfo=UTC)

    def tables(
        self, wanted: Sequence[CrawledTable]
    ) -> Iterator[tuple[CrawledTable, pl.LazyFrame, dict[str, Any]]]:
        """Reads the whole dump, then makes the wanted tables of it.

        Yields:
            Each table with its rows and what its materialization tells, after those it reads.

        Raises:
            DumpError: a file cannot be read. No table has been yielded then.
        """
        staging = Path(self.warehouse.root, STAGING, self.day)
        shutil.rmtree(staging, ignore_errors=True)  # of an import that was killed
        try:
            stems = [stem for stem in FILES if self.social or stem not in SOCIAL]
            files = self.dump.files(stems)
            records = Records(self._read(files, staging))
            reports = self._reports(records, files, stems)
            for table in in_order(wanted):
                self._record(table, records, files, reports)
                rows = self._rows(table, records, staging)
                yield table, rows, self._described(table, reports)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _read(self, files: Mapping[str, DumpFile], staging: Path) -> dict[str, pl.LazyFrame]:
        read = {}
        for stem, file in files.items():
            read[stem] = read_file(file, FILES[stem], staging / stem, CARDS.get(stem, ()))
            known, found = {column.name for column in FILES[stem]}, set(keys_of_first(file))
            if found and found != known:
                self.log.warning(
                    "%s: keys that are not read: %s; keys that are missing: %s",
                    file.name, ", ".join(sorted(found - known)) or "none",
                    ", ".join(sorted(known - found)) or "none",
                )  # fmt: skip
            self.log.info("%s: read", file.name)
        return read

    def _reports(
        self, records: Records, files: Mapping[str, DumpFile], stems: Sequence[str]
    ) -> dict[str, StageReport]:
        """A report per file: records read, set aside, or missing for want of their entity's file.

        A file that the dump lacks is one unit that is missing.
        """
        reports = {}
        for stem in stems:
            count = 1 if stem not in files else _height(records.files[stem])
            relation = v.RELATIONS.get(stem)
            unplaced = relation is not None and records.is_unplaced(relation)
            missing = count if stem not in files or unplaced else 0
            aside = records.aside[stem].height if stem in records.aside else 0
            reports[stem] = StageReport(
                stage=stem, expected=count, fetched=count - missing, unchanged=0, deferred=0,
                missing=missing, failed=0, set_aside=aside, rows=count - missing - aside,
                requests=0,
            )  # fmt: skip
        return reports

    def _record(
        self,
        table: CrawledTable,
        records: Records,
        files: Mapping[str, DumpFile],
        reports: Mapping[str, StageReport],
    ) -> None:
        """Writes what coverage, ledger and set_aside are made of, in place of a crawl's."""
        folder = journals(self.warehouse, self.day) / table.short_name
        shutil.rmtree(folder, ignore_errors=True)
        for stem, report in reports.items():
            if table_of(stem) != table.short_name:
                continue
            text = json.dumps({**asdict(report), "counted": _counted(records, stem)}).encode()
            for suffix, frame in (
                (LEDGER_FILE, self._ledger(stem, files, report)),
                (SET_ASIDE_FILE, _set_aside(stem, records)),
            ):
                write_atomically(folder / f"{stem}{suffix}", frame.write_parquet)
            write_atomically(folder / f"{stem}{REPORT}", partial(Path.write_bytes, data=text))
        write_atomically(folder / COMPLETE, lambda file: file.write_bytes(b""))

    def _ledger(
        self, stem: str, files: Mapping[str, DumpFile], report: StageReport
    ) -> pl.DataFrame:
        if stem not in files:
            status, reason = "absent", "the dump has no such file"
        elif report.missing:
            status, reason = "ok", "not read: the dump has no file of what its edges belong to"
        else:
            status, reason = "ok", None
        row = {
            "stage": stem, "unit": files[stem].name if stem in files else f"{stem}.json",
            "status": status, "reason": reason, "observed_on": self.observed_at.date(),
            "origin": self.origin,
        }  # fmt: skip
        return pl.DataFrame([row], schema=schema_of(LEDGER))

    def _rows(self, table: CrawledTable, records: Records, staging: Path) -> pl.LazyFrame:
        name = table.short_name
        match name:
            case "tasks":
                rows = records.tasks.lazy().sort("id")
            case "model_cards" | "dataset_cards":
                rows = sorted_by_id(records.cards(name.removesuffix("_cards")), staging / name)
            case "aliases" | "crawl_plan":  # ids are canonical, and nothing is asked for
                rows = pl.LazyFrame(schema=schema_of(tuple(table.columns)))
            case _:
                rows = getattr(records, name)()
        there = rows.collect_schema()
        made = {"observed_at": pl.lit(self.observed_at), "carried": pl.lit(False)}
        return rows.select(
            made.get(c.name, pl.col(c.name) if c.name in there else pl.lit(None))
            .cast(c.dtype)
            .alias(c.name)
            for c in table.columns
        )

    def _described(self, table: CrawledTable, reports: Mapping[str, StageReport]) -> dict[str, Any]:
        own = [report for stem, report in reports.items() if table_of(stem) == table.short_name]
        return {
            "hfkg/source": "dump",
            "hfkg/dump": self.dump.name,
            **{
                f"hfkg/{name}": sum(getattr(report, name) for report in own)
                for name in ("fetched", "missing", "set_aside")
            },
        }


def sorted_by_id(cards: pl.LazyFrame, folder: Path) -> pl.LazyFrame:
    """Cards sorted by id: dumps are in any order, exports of ours in this one."""
    if cards.select("id").collect()["id"].is_sorted():
        return cards
    return sort_on_disk(cards, "id", pl.col("bytes"), folder, shuffled=True)


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _counted(records: Records, stem: str) -> int | None:
    """How many likes the counters promise, for a file of likes that is there."""
    relation = v.RELATIONS.get(stem)
    if relation is None or not isinstance(relation.rule, v.Likers) or stem not in records.files:
        return None
    likes = records.entities(relation.object).select(pl.col("likes").sum())
    return int(likes.collect().item() or 0)


def _set_aside(stem: str, records: Records) -> pl.DataFrame:
    """The records of a file that no row is made of, as `hub/set_aside` has them."""
    faults = records.aside.get(stem, pl.DataFrame(schema=_FAULT))
    columns = [column.name for column in SET_ASIDE]
    return faults.select(
        pl.lit(stem).alias("stage"), pl.lit(None, pl.String).alias("unit"),
        pl.col("record").alias("index"), "column", "expected", "got",
        pl.format('{}: {}', "column", "got").alias("excerpt"),
    ).select(columns)  # fmt: skip
