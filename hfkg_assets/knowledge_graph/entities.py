"""`entity/<name>`: one row per thing of the snapshot, eight tables.

Belongs here: how raw rows become an entity's attributes. Does not: edges of any kind.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.relations import namespace
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import ENTITIES, REPOSITORY_TYPES, EntityType

NOT_FREE_TAGS = (
    "license:", "region:", "base_model:", "dataset:", "arxiv:", "doi:", "task_categories:",
    "task_ids:", "language:", "size_categories:", "format:", "modality:", "library:",
)  # fmt: skip
"""Prefixes of tags that say something of a known kind."""

_PREFIXED = f"^({'|'.join(NOT_FREE_TAGS)})"


def tasks(hub_tasks: pl.LazyFrame, hub_tags: pl.LazyFrame) -> pl.LazyFrame:
    """Union of the Hub's task pages and the task ids of its model and dataset tag lists."""
    listed = hub_tags.filter(pl.col("type").is_in(["pipeline_tag", "task_categories"])).select(
        pl.col("id").str.strip_prefix("task_categories:"), "label"
    )
    return pl.concat([hub_tasks.select("id", "label"), listed]).unique(
        "id", keep="first", maintain_order=True
    )


def models(hub_models: pl.LazyFrame, hub_tags: pl.LazyFrame) -> pl.LazyFrame:
    """Models with their tags sorted by kind."""
    typed = _typed_tags(hub_tags, "model")
    shown = pl.concat_list("pipeline_tag")
    return _repositories(hub_models).with_columns(
        tasks=pl.concat_list(shown, _tags_among(typed["pipeline_tag"]))
        .list.drop_nulls()
        .list.unique(maintain_order=True),
        libraries=_tags_among(typed["library"]),
        languages=_tags_among(typed["language"]),
        other_tags=_free_tags(typed),
        license=_tag_value("license:"),
        region=_tag_value("region:"),
    )


def datasets(hub_datasets: pl.LazyFrame, hub_tags: pl.LazyFrame) -> pl.LazyFrame:
    """Datasets with their tags sorted by kind."""
    return _repositories(hub_datasets).with_columns(
        tasks=_tag_values("task_categories:"),
        sub_tasks=_tag_values("task_ids:"),
        libraries=_tag_values("library:"),
        license=_tag_value("license:"),
        languages=_tag_values("language:"),
        size=_tag_value("size_categories:"),
        formats=_tag_values("format:"),
        modalities=_tag_values("modality:"),
        other_tags=_free_tags(_typed_tags(hub_tags, "dataset")),
    )


def spaces(hub_spaces: pl.LazyFrame) -> pl.LazyFrame:
    """Spaces, with their dates."""
    return _repositories(hub_spaces)


def papers(hub_papers: pl.LazyFrame) -> pl.LazyFrame:
    """Indexed papers."""
    names = pl.col("authors").list.eval(pl.element().struct.field("name")).list.drop_nulls()
    return hub_papers.with_columns(authors=names).rename({"publishedAt": "published_at"})


def collections(hub_collections: pl.LazyFrame) -> pl.LazyFrame:
    """Collections without their items."""
    return hub_collections.rename(
        {"slug": "id", "owner_name": "owner", "lastUpdated": "last_modified_at"}
    )


def users(
    hub_accounts: pl.LazyFrame, hub_followers: pl.LazyFrame, hub_members: pl.LazyFrame
) -> pl.LazyFrame:
    """Accounts of kind user, and users seen only as followers or members.

    A name that is an organization's is never a user, wherever a row says so.
    """
    accounts = hub_accounts.select(
        "kind",
        id="name",
        hub_id="_id",
        fullname="fullname",
        is_pro="isPro",
        created_at="createdAt",
        followers="numFollowers",
    )
    rows = pl.concat([hub_followers, hub_members], how="diagonal_relaxed").select(
        id="user", hub_id="_id", fullname="fullname", is_pro="isPro"
    )
    unseen = (
        # In the order of the rows: which of several is first must not be by chance.
        rows.join(accounts, on="id", how="anti", maintain_order="left")
        # A carried row may tell an old name of an account that is known by its new one.
        .join(accounts.drop_nulls("hub_id"), on="hub_id", how="anti", maintain_order="left")
        .group_by("id", maintain_order=True)
        .agg(pl.all().drop_nulls().first())
    )
    counted = hub_followers.group_by(id="name").agg(pl.len().cast(pl.Int64).alias("listed"))
    return (
        pl.concat([accounts.filter(pl.col("kind") == "user"), unseen], how="diagonal_relaxed")
        .join(counted, on="id", how="left")
        .with_columns(pl.coalesce("followers", "listed"))
    )


def organizations(hub_accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Accounts of kind organization."""
    return hub_accounts.filter(pl.col("kind") == "org").select(
        id="name",
        hub_id="_id",
        fullname="fullname",
        created_at="createdAt",
        followers="numFollowers",
        members="numUsers",
    )


BUILDERS: Mapping[str, tuple[Callable[..., pl.LazyFrame], tuple[str, ...]]] = {
    "task": (tasks, ("hub/tasks", "hub/tags")),
    "model": (models, ("hub/models", "hub/tags")),
    "dataset": (datasets, ("hub/datasets", "hub/tags")),
    "space": (spaces, ("hub/spaces",)),
    "paper": (papers, ("hub/papers",)),
    "collection": (collections, ("hub/collections",)),
    "user": (users, ("hub/accounts", "hub/followers", "hub/members")),
    "organization": (organizations, ("hub/accounts",)),
}
"""Entity type → the function that builds it and the raw tables it takes, in order."""


def build_entity(entity: EntityType, *tables: pl.LazyFrame) -> pl.LazyFrame:
    """The entity's table: declared columns, one row per id, sorted by id."""
    builder, _ = BUILDERS[entity.name]
    rows = builder(*tables).select(pl.col(c.name).cast(c.dtype) for c in entity.columns)
    # Listings are sorted already and repositories keep their rows: they stream through, none is
    # held. What joins make may be in another order each time it is made.
    if entity.name in REPOSITORY_TYPES:
        ids = rows.select("id").collect()["id"]
        if ids.is_sorted() and not (ids == ids.shift(1)).any():
            return rows
    return rows.unique("id", keep="first", maintain_order=True).sort("id")


def _repositories(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw.rename(
        {
            "_id": "hub_id",
            "createdAt": "created_at",
            "lastModified": "last_modified_at",
            "has_readme": "has_card",
            "downloadsAllTime": "downloads_all_time",
        },
        strict=False,
    ).with_columns(
        name=pl.col("id").str.extract(r"([^/]+)$"),
        author=namespace(),
        # A source without stable ids has the id itself in their place.
        hub_id=pl.when(pl.col("hub_id").str.contains(r"^[0-9a-f]{24}$")).then("hub_id"),
    )


def _typed_tags(hub_tags: pl.LazyFrame, kind: str) -> Mapping[str, list[str]]:
    """The bare tags of every type: those with a prefix are known by it."""
    bare = hub_tags.filter(pl.col("kind") == kind, ~pl.col("id").str.contains(_PREFIXED))
    by_type = bare.group_by("type").agg(pl.col("id").unique()).collect()
    return defaultdict(list, by_type.sort("type").iter_rows())


def _tags_among(known: list[str]) -> pl.Expr:
    """The repository's tags that are among these: a tag of two types counts for both."""
    return pl.col("tags").list.filter(pl.element().is_in(known))


def _free_tags(typed: Mapping[str, list[str]]) -> pl.Expr:
    """The repository's tags of no known type."""
    known = [tag for tag_type, tags in typed.items() if tag_type != "other" for tag in tags]
    free = ~pl.element().str.contains(_PREFIXED) & ~pl.element().is_in(known)
    return pl.col("tags").list.filter(free)


def _tag_values(prefix: str) -> pl.Expr:
    matching = pl.col("tags").list.filter(pl.element().str.starts_with(prefix))
    return matching.list.eval(pl.element().str.strip_prefix(prefix))


def _tag_value(prefix: str) -> pl.Expr:
    return _tag_values(prefix).list.first()


def entity_asset(entity: EntityType) -> dg.AssetsDefinition:
    """The asset of one entity table."""
    builder, sources = BUILDERS[entity.name]
    arguments = {table.replace("/", "_"): table for table in sources}

    @snapshot_asset(
        f"entity/{entity.name}",
        description=f"{entity.description} One row per id.",
        columns=entity.columns,
        ins=arguments,
        code_version=code_version(build_entity, builder, entity),
    )
    def build(**frames: pl.LazyFrame) -> pl.LazyFrame:
        return build_entity(entity, *(frames[name] for name in arguments))

    return build


ENTITY_ASSETS = [entity_asset(entity) for entity in ENTITIES.values()]
