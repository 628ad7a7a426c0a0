"""`relation/<name>`: every assertion of a relation as it was observed, one asset each.

Belongs here: how a rule of the vocabulary becomes a query over raw tables. Ids stay as observed;
whether they name anything is decided in `verification`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch

import dagster as dg
import polars as pl

from hfkg_assets import vocabulary as v
from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import (
    IO_MANAGER,
    ONE_RUN_PER_DATE,
    OWNERS,
    SNAPSHOTS,
    key_of,
    snapshot_asset,
)
from hfkg_resources.warehouse import SCHEMA_KEY, column_schema

BOILERPLATE_CITATIONS = ("1910.09700",)
"""Papers that the Hub's model card template cites in every card made from it (carbon emissions)."""

Tables = Mapping[str, pl.LazyFrame]


def observe(relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    """All assertions of a relation.

    Args:
        relation: the relation's declaration.
        tables: the relation's source tables by asset key.

    Returns:
        The relation's columns: `subject_id`, `object_id` and its attributes, as observed and in
        the order of the source.
    """
    pairs = _pairs(relation.rule, relation, tables)
    if any(column.name == "is_boilerplate" for column in relation.attributes):
        cited = without_version(pl.col("object_id"))
        pairs = pairs.with_columns(is_boilerplate=cited.is_in(BOILERPLATE_CITATIONS))
    return pairs.select(pl.col(column.name).cast(column.dtype) for column in relation.columns)


def without_version(arxiv_id: pl.Expr) -> pl.Expr:
    """The arXiv id without a version suffix such as `v2`."""
    return arxiv_id.str.replace(r"v\d+$", "")


def namespace() -> pl.Expr:
    """The account a repository stands under; null for a bare canonical id."""
    in_id = pl.when(pl.col("id").str.contains("/")).then(pl.col("id").str.extract(r"^([^/]+)/"))
    return pl.coalesce("author", in_id)


@singledispatch
def _pairs(rule: v.Rule, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    raise TypeError(f"no query for rule {rule!r}")


def _source(relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return tables[relation.sources[0]]


@_pairs.register
def _(rule: v.Tag, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    repository, other = (
        ("object_id", "subject_id") if rule.base_is_subject else ("subject_id", "object_id")
    )
    # Filtering by prefix before exploding keeps the long tail of other tags out of memory.
    tagged = pl.col("tags").list.filter(pl.element().str.starts_with(rule.prefix))
    return (
        _source(relation, tables)
        .select(pl.col("id").alias(repository), tagged.alias(other))
        .filter(pl.col(other).list.len() > 0)
        .explode(other)
        .with_columns(pl.col(other).str.strip_prefix(rule.prefix))
    )


@_pairs.register
def _(rule: v.PipelineTag, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    is_task = (pl.col("kind") == "model") & (pl.col("type") == "pipeline_tag")
    tasks = tables["hub/tags"].filter(is_task).select(pl.col("id").unique()).collect()["id"]
    shown = tables["hub/models"].select(subject_id="id", object_id="pipeline_tag").drop_nulls()
    # The Hub repeats `pipeline_tag` among the tags: one assertion, not two.
    further = (
        tables["hub/models"]
        .select(
            "pipeline_tag",
            subject_id="id",
            object_id=pl.col("tags").list.filter(pl.element().is_in(tasks.to_list())),
        )
        .filter(pl.col("object_id").list.len() > 0)
        .explode("object_id")
        .filter(pl.col("object_id").ne_missing(pl.col("pipeline_tag")))
        .select("subject_id", "object_id")
        .unique(maintain_order=True)
    )
    return pl.concat([shown, further])


@_pairs.register
def _(rule: v.ListColumn, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .select(subject_id="id", object_id=rule.column)
        .filter(pl.col("object_id").list.len() > 0)
        .explode("object_id")
    )


@_pairs.register
def _(rule: v.Items, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .select(pl.col("slug").alias("subject_id"), pl.col("items"))
        .filter(pl.col("items").list.len() > 0)
        .explode("items")
        .unnest("items")
        .filter(pl.col("type") == rule.item_type)
        .rename({"id": "object_id"})
    )


@_pairs.register
def _(rule: v.Publisher, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    accounts = tables["hub/accounts"].filter(pl.col("kind") == rule.kind)
    return (
        _source(relation, tables)
        .select(namespace().alias("subject_id"), pl.col("id").alias("object_id"))
        .drop_nulls()
        .join(
            accounts.select(subject_id="name"), on="subject_id", how="semi", maintain_order="left"
        )
    )


@_pairs.register
def _(rule: v.Authors, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .select(pl.col("id").alias("object_id"), pl.col("authors"))
        .filter(pl.col("authors").list.len() > 0)
        .explode("authors")
        .unnest("authors")
        .filter(pl.col("user").is_not_null())
        .rename({"user": "subject_id"})
    )


@_pairs.register
def _(rule: v.Owner, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .filter(pl.col("owner_type") == rule.kind)
        .select(subject_id="owner_name", object_id="slug")
    )


@_pairs.register
def _(rule: v.Likers, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .filter(pl.col("repo_kind") == rule.repo_kind)
        .select("liked_at", subject_id="user", object_id="repo_id")
    )


@_pairs.register
def _(rule: v.Followers, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return (
        _source(relation, tables)
        .filter(pl.col("kind") == rule.kind)
        .select(subject_id="user", object_id="name")
    )


@_pairs.register
def _(rule: v.Members, relation: v.RelationType, tables: Tables) -> pl.LazyFrame:
    return _source(relation, tables).select(subject_id="user", object_id="org")


def _description(relation: v.RelationType) -> str:
    return f"{relation.description} As observed, before verification."


def _tags(relation: v.RelationType) -> dict[str, str]:
    return {"subject": relation.subject, "object": relation.object}


def _metadata(relation: v.RelationType) -> dict[str, str]:
    return {
        "hfkg/triple": f"{relation.subject} {relation.predicate} {relation.object}",
        "hfkg/huggingkg_keys": ", ".join(relation.keys),
    }


def _code_version(relation: v.RelationType) -> str:
    return code_version(observe, _pairs.dispatch(type(relation.rule)), relation)


def relation_asset(relation: v.RelationType) -> dg.AssetsDefinition:
    """The asset of one relation's observed assertions."""
    arguments = {table.replace("/", "_"): table for table in relation.sources}

    @snapshot_asset(
        f"relation/{relation.name}",
        description=_description(relation),
        columns=relation.columns,
        ins=arguments,
        tags=_tags(relation),
        metadata=_metadata(relation),
        code_version=_code_version(relation),
    )
    def build(**frames: pl.LazyFrame) -> pl.LazyFrame:
        return observe(relation, {arguments[name]: frame for name, frame in frames.items()})

    return build


TAG_COLUMNS = ("id", "tags", "pipeline_tag")
"""What the rules about tags read of a listing."""


def observe_in_tags(
    listing: str, relations: Sequence[v.RelationType], tables: Tables
) -> Iterator[tuple[v.RelationType, pl.LazyFrame]]:
    """Relations that stand in the tags of a listing, in one reading of it.

    Reading the tags of a million models takes longer than finding those of a relation among them.

    Yields:
        Each relation with its assertions, as `observe` gives them.
    """
    there = tables[listing].collect_schema()
    read = tables[listing].select(name for name in TAG_COLUMNS if name in there).collect()
    for relation in relations:
        yield relation, observe(relation, {**tables, listing: read.lazy()})


def in_tags() -> dict[str, list[v.RelationType]]:
    """Listing → the relations that stand in its tags."""
    found: dict[str, list[v.RelationType]] = {}
    for relation in v.RELATIONS.values():
        if isinstance(relation.rule, v.Tag | v.PipelineTag):
            found.setdefault(relation.sources[0], []).append(relation)
    return found


def tag_relations(listing: str, relations: Sequence[v.RelationType]) -> dg.AssetsDefinition:
    """The assets of all relations that stand in the tags of a listing: one step, one reading."""
    tables = sorted({table for relation in relations for table in relation.sources})
    arguments = {table.replace("/", "_"): table for table in tables}

    @dg.multi_asset(
        name=f"relations_in_tags_of_{listing.removeprefix('hub/')}",
        ins={argument: dg.AssetIn(key_of(table)) for argument, table in arguments.items()},
        outs={
            relation.name: dg.AssetOut(
                key=["relation", relation.name],
                description=_description(relation),
                is_required=False,
                io_manager_key=IO_MANAGER,
                group_name="relation",
                kinds={"polars", "parquet"},
                owners=OWNERS,
                tags={"layer": "relation", **_tags(relation)},
                metadata={SCHEMA_KEY: column_schema(relation.columns), **_metadata(relation)},
                code_version=_code_version(relation),
            )
            for relation in relations
        },
        internal_asset_deps={
            relation.name: set(map(key_of, relation.sources)) for relation in relations
        },
        can_subset=True,
        partitions_def=SNAPSHOTS,
        backfill_policy=ONE_RUN_PER_DATE,
    )
    def build(
        context: dg.AssetExecutionContext, **frames: pl.LazyFrame
    ) -> Iterator[dg.Output[pl.LazyFrame]]:
        sources = {arguments[name]: frame for name, frame in frames.items()}
        chosen = context.op_execution_context.selected_output_names
        wanted = [relation for relation in relations if relation.name in chosen]
        for relation, rows in observe_in_tags(listing, wanted, sources):
            yield dg.Output(rows, output_name=relation.name)

    return build


IN_TAGS = in_tags()

RELATION_ASSETS = [
    *(tag_relations(listing, relations) for listing, relations in IN_TAGS.items()),
    *(
        relation_asset(relation)
        for relation in v.RELATIONS.values()
        if not any(relation in relations for relations in IN_TAGS.values())
    ),
]
