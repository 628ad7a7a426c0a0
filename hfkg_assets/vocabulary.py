"""The vocabulary of the graph: 8 entity types and 30 relation types, declared once.

Assets, checks, the catalog, statistics, documentation and tests are derived from `ENTITIES` and
`RELATIONS` by loops; no other module lists entities or relations. This module knows names,
columns and rules, and imports neither Dagster nor an engine's session: how a rule is turned into
a query is told in `knowledge_graph.entities` and `knowledge_graph.relations`.

Names and record keys of relations are HuggingKG's (arXiv 2505.17507), since other people's code
reads them. The published counts are those of HuggingKG's snapshot of 15 December 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from hfkg_resources.table_schema import INSTANT, STRINGS, Column

ARXIV_ID = r"^(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})$"
REPOSITORY_ID = r"^[\w.-]+(/[\w.-]+)?$"
ACCOUNT_NAME = r"^[\w.-]+$"
COLLECTION_SLUG = r"^[\w.-]+/.+$"
TASK_ID = r"^[a-z0-9][a-z0-9-]*$"


@dataclass(frozen=True)
class EntityType:
    """One kind of node.

    Attributes:
        name: the type's name, also its table: `entity/<name>`.
        file: stem of HuggingKG's JSON file.
        key: name of the id in HuggingKG's records.
        id_pattern: regular expression that a well-formed id matches (RE2 syntax).
        columns: the table's columns, the id first.
        published: HuggingKG's count of December 2024.
        description: one line.
    """

    name: str
    file: str
    key: str
    id_pattern: str
    columns: tuple[Column, ...]
    published: int
    description: str


# --- rules: where in the raw observations a relation is read -----------------------------------


@dataclass(frozen=True)
class Tag:
    """The repository's tags that start with `prefix`; the rest of the tag is the other end's id.

    With `base_is_subject` the repository is the object: lineage points from base to derived.
    """

    prefix: str
    base_is_subject: bool = False


@dataclass(frozen=True)
class PipelineTag:
    """A model's `pipeline_tag`, and each of its tags that is itself a task of the Hub."""


@dataclass(frozen=True)
class ListColumn:
    """A list of ids in a column of the listing (a Space's `models` and `datasets`)."""

    column: str


@dataclass(frozen=True)
class Items:
    """A collection's items of one type."""

    item_type: str


@dataclass(frozen=True)
class Publisher:
    """The repository's namespace, where it is an account of this kind."""

    kind: str


@dataclass(frozen=True)
class Authors:
    """A paper's authors that are linked to a user."""


@dataclass(frozen=True)
class Owner:
    """A collection's owner, where it is an account of this kind."""

    kind: str


@dataclass(frozen=True)
class Likers:
    """The users listed as likers of a repository of this kind."""

    repo_kind: str


@dataclass(frozen=True)
class Followers:
    """The users listed as followers of an account of this kind."""

    kind: str


@dataclass(frozen=True)
class Members:
    """The users listed as members of an organization."""


Rule = (
    Tag
    | PipelineTag
    | ListColumn
    | Items
    | Publisher
    | Authors
    | Owner
    | Likers
    | Followers
    | Members
)


@dataclass(frozen=True)
class RelationType:
    """One kind of edge, from `subject` to `object`.

    Attributes:
        name: HuggingKG's name, also the table: `relation/<name>`, `verified/<name>`,
            `rejected/<name>`, and the name of HuggingKG's JSON file.
        subject, predicate, object: the triple of type names.
        keys: the two ids' names in HuggingKG's records.
        sources: raw tables it is read from, as asset keys.
        rule: how it is read.
        attributes: columns beside the two ids.
        published: HuggingKG's count of December 2024.
        description: one line.
    """

    name: str
    subject: str
    predicate: str
    object: str
    keys: tuple[str, str]
    sources: tuple[str, ...]
    rule: Rule
    published: int
    description: str
    attributes: tuple[Column, ...] = field(default=())

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of `relation/<name>`."""
        return (
            Column("subject_id", pl.String(), f"the {self.subject}'s id as observed"),
            Column("object_id", pl.String(), f"the {self.object}'s id as observed"),
            *self.attributes,
        )


def _repository_columns(kind: str) -> tuple[Column, ...]:
    return (
        Column("id", pl.String(), f"the {kind}'s id: `namespace/name`, or a bare canonical name"),
        Column("hub_id", pl.String(), "the Hub's `_id`: 24 hex digits, stable across renames"),
        Column("name", pl.String(), "the id's last part"),
        Column("author", pl.String(), "the namespace; null for a bare id"),
        Column("created_at", INSTANT, "creation; 2022-03-02T23:29:04Z means before that day"),
        Column("last_modified_at", INSTANT, "last change of the content"),
        Column("sha", pl.String(), "commit of the default branch"),
        Column("likes", pl.Int64(), "the Hub's like counter"),
        Column("disabled", pl.Boolean(), "whether the Hub has disabled it"),
    )


_HAS_CARD = Column("has_card", pl.Boolean(), "whether the repository has a README.md")
_GATED = Column("gated", pl.String(), "`false`, `auto` or `manual`")
_DOWNLOADS = (
    Column("downloads", pl.Int64(), "downloads of the last 30 days"),
    Column("downloads_all_time", pl.Int64(), "downloads since creation"),
)
_ACCOUNT_HEAD = (
    Column("hub_id", pl.String(), "the Hub's `_id`; null where only the name was seen"),
    Column("fullname", pl.String(), "display name"),
)
_STATUS = Column(
    "status",
    pl.String(),
    "how the link came about: claimed_verified, extracted_confirmed, admin_assigned or "
    "extracted_pending (a guess)",
)
_BOILERPLATE = Column(
    "is_boilerplate", pl.Boolean(), "whether the citation comes with the Hub's card template"
)
_ITEM_ATTRIBUTES = (
    Column("position", pl.Int64(), "place in the collection, from 0"),
    Column("note", pl.String(), "the owner's note on the item"),
)
_LIKED_AT = (Column("liked_at", INSTANT, "when the like was given, where known"),)

_ENTITIES = (
    EntityType(
        "task",
        "tasks",
        "id",
        TASK_ID,
        (
            Column("id", pl.String(), "the task's id, such as `text-classification`"),
            Column("label", pl.String(), "display label"),
        ),
        52,
        "What a model or dataset is for: the Hub's tasks and the task ids of its tag lists.",
    ),
    EntityType(
        "model",
        "models",
        "id",
        REPOSITORY_ID,
        (
            *_repository_columns("model"),
            _GATED,
            *_DOWNLOADS,
            Column("pipeline_tag", pl.String(), "the task the Hub shows"),
            Column("tasks", STRINGS, "ids of all its tasks"),
            Column("library_name", pl.String(), "the library the Hub shows"),
            Column("libraries", STRINGS, "library tags"),
            Column("license", pl.String(), "license tag, without prefix"),
            Column("languages", STRINGS, "language tags"),
            Column("region", pl.String(), "region tag, without prefix"),
            Column("other_tags", STRINGS, "tags of no known type"),
            _HAS_CARD,
        ),
        1_202_732,
        "A model repository.",
    ),
    EntityType(
        "dataset",
        "datasets",
        "id",
        REPOSITORY_ID,
        (
            *_repository_columns("dataset"),
            _GATED,
            *_DOWNLOADS,
            Column("tasks", STRINGS, "task categories"),
            Column("sub_tasks", STRINGS, "task_ids: finer tasks of the card"),
            Column("libraries", STRINGS, "library tags"),
            Column("license", pl.String(), "license tag, without prefix"),
            Column("languages", STRINGS, "language tags"),
            Column("size", pl.String(), "size category"),
            Column("formats", STRINGS, "format tags"),
            Column("modalities", STRINGS, "modality tags"),
            Column("other_tags", STRINGS, "tags of no known type"),
            _HAS_CARD,
        ),
        261_663,
        "A dataset repository.",
    ),
    EntityType(
        "space",
        "spaces",
        "id",
        REPOSITORY_ID,
        (
            *_repository_columns("Space"),
            Column("sdk", pl.String(), "gradio, streamlit, docker or static"),
            Column("tags", STRINGS, "tags"),
        ),
        307_789,
        "A Space: a hosted application.",
    ),
    EntityType(
        "paper",
        "papers",
        "id",
        ARXIV_ID,
        (
            Column("id", pl.String(), "arXiv id without version"),
            Column("title", pl.String(), "title"),
            Column("summary", pl.String(), "abstract"),
            Column("authors", STRINGS, "author names in the paper's order"),
            Column("published_at", INSTANT, "publication on arXiv"),
            Column("upvotes", pl.Int64(), "upvotes on the Hub"),
        ),
        15_857,
        "A paper that the Hub has indexed, by arXiv id.",
    ),
    EntityType(
        "collection",
        "collections",
        "slug",
        COLLECTION_SLUG,
        (
            Column("id", pl.String(), "the collection's slug"),
            Column("title", pl.String(), "title"),
            Column("description", pl.String(), "description"),
            Column("owner", pl.String(), "name of the owning account"),
            Column("upvotes", pl.Int64(), "upvotes"),
            Column("theme", pl.String(), "colour theme"),
            Column("last_modified_at", INSTANT, "last change"),
        ),
        79_543,
        "A curated list of repositories and papers.",
    ),
    EntityType(
        "user",
        "users",
        "id",
        ACCOUNT_NAME,
        (
            Column("id", pl.String(), "the user's name"),
            *_ACCOUNT_HEAD,
            Column("is_pro", pl.Boolean(), "whether the account is PRO"),
            Column("created_at", INSTANT, "sign-up, where the overview tells it"),
            Column("followers", pl.Int64(), "follower counter, where known"),
        ),
        729_401,
        "A person's account.",
    ),
    EntityType(
        "organization",
        "orgs",
        "id",
        ACCOUNT_NAME,
        (
            Column("id", pl.String(), "the organization's name"),
            *_ACCOUNT_HEAD,
            Column("created_at", INSTANT, "creation, read off the Hub's `_id`"),
            Column("followers", pl.Int64(), "follower counter, where known"),
            Column("members", pl.Int64(), "member counter, where known"),
        ),
        17_233,
        "An organization's account.",
    ),
)


def _lineage(kind: str, published: int, description: str) -> RelationType:
    return RelationType(
        f"model_{kind}_model",
        "model",
        kind,
        "model",
        ("base_model_id", "model_id"),
        ("hub/models",),
        Tag(f"base_model:{kind}:", base_is_subject=True),
        published,
        description,
    )


def _contains(entity: str, key: str, published: int) -> RelationType:
    return RelationType(
        f"collection_contain_{entity}",
        "collection",
        "contain",
        entity,
        ("collection_slug", key),
        ("hub/collections",),
        Items(entity),
        published,
        f"The collection lists the {entity}.",
        _ITEM_ATTRIBUTES,
    )


def _publishes(account: str, kind: str, entity: str, published: int) -> RelationType:
    prefix = "org" if kind == "org" else "user"
    return RelationType(
        f"{prefix}_publish_{entity}",
        account,
        "publish",
        entity,
        (f"{prefix}_id", f"{entity}_id"),
        (f"hub/{entity}s", "hub/accounts"),
        Publisher(kind),
        published,
        f"The {entity} stands in the {account}'s namespace.",
    )


def _owns(account: str, kind: str, published: int) -> RelationType:
    return RelationType(
        f"{kind}_own_collection",
        account,
        "own",
        "collection",
        (f"{kind}_id", "collection_slug"),
        ("hub/collections",),
        Owner(kind),
        published,
        f"The {account} owns the collection.",
    )


def _likes(entity: str, published: int) -> RelationType:
    return RelationType(
        f"user_like_{entity}",
        "user",
        "like",
        entity,
        ("user_id", f"{entity}_id"),
        ("hub/likers",),
        Likers(entity),
        published,
        f"The user has liked the {entity}.",
        _LIKED_AT,
    )


_RELATIONS = (
    RelationType(
        "model_definedFor_task",
        "model",
        "definedFor",
        "task",
        ("model_id", "task_id"),
        ("hub/models", "hub/tags"),
        PipelineTag(),
        532_391,
        "The model is meant for the task.",
    ),
    _lineage("adapter", 155_642, "The second model is an adapter for the first."),
    _lineage("finetune", 107_162, "The second model is fine-tuned from the first."),
    _lineage("merge", 20_003, "The second model is merged from the first, among others."),
    _lineage("quantized", 45_809, "The second model is a quantization of the first."),
    RelationType(
        "model_trainedOrFineTunedOn_dataset",
        "model",
        "trainedOrFineTunedOn",
        "dataset",
        ("model_id", "dataset_id"),
        ("hub/models",),
        Tag("dataset:"),
        96_546,
        "The model names the dataset as training data.",
    ),
    RelationType(
        "model_cite_paper",
        "model",
        "cite",
        "paper",
        ("model_id", "arxiv_id"),
        ("hub/models",),
        Tag("arxiv:"),
        272_455,
        "The model's card or tags cite the paper.",
        (_BOILERPLATE,),
    ),
    RelationType(
        "dataset_definedFor_task",
        "dataset",
        "definedFor",
        "task",
        ("dataset_id", "task_id"),
        ("hub/datasets",),
        Tag("task_categories:"),
        38_193,
        "The dataset is meant for the task.",
    ),
    RelationType(
        "dataset_cite_paper",
        "dataset",
        "cite",
        "paper",
        ("dataset_id", "arxiv_id"),
        ("hub/datasets",),
        Tag("arxiv:"),
        10_411,
        "The dataset's card or tags cite the paper.",
        (_BOILERPLATE,),
    ),
    RelationType(
        "space_use_model",
        "space",
        "use",
        "model",
        ("space_id", "model_id"),
        ("hub/spaces",),
        ListColumn("models"),
        312_904,
        "The Space uses the model.",
    ),
    RelationType(
        "space_use_dataset",
        "space",
        "use",
        "dataset",
        ("space_id", "dataset_id"),
        ("hub/spaces",),
        ListColumn("datasets"),
        5_071,
        "The Space uses the dataset.",
    ),
    _contains("model", "model_id", 134_515),
    _contains("dataset", "dataset_id", 40_771),
    _contains("space", "space_id", 53_833),
    _contains("paper", "paper_id", 42_980),
    _publishes("user", "user", "model", 1_073_429),
    _publishes("user", "user", "dataset", 197_226),
    _publishes("user", "user", "space", 294_808),
    RelationType(
        "user_publish_paper",
        "user",
        "publish",
        "paper",
        ("user_id", "paper_id"),
        ("hub/papers",),
        Authors(),
        25_999,
        "The user is linked as an author of the paper.",
        (_STATUS,),
    ),
    _owns("user", "user", 74_089),
    _likes("model", 1_144_281),
    _likes("dataset", 236_419),
    _likes("space", 586_316),
    RelationType(
        "user_follow_user",
        "user",
        "follow",
        "user",
        ("follower_id", "followee_id"),
        ("hub/followers",),
        Followers("user"),
        306_135,
        "The first user follows the second.",
    ),
    RelationType(
        "user_affiliatedWith_org",
        "user",
        "affiliatedWith",
        "organization",
        ("user_id", "org_id"),
        ("hub/members",),
        Members(),
        57_220,
        "The user is a member of the organization.",
    ),
    RelationType(
        "user_follow_org",
        "user",
        "follow",
        "organization",
        ("user_id", "org_id"),
        ("hub/followers",),
        Followers("org"),
        170_232,
        "The user follows the organization.",
    ),
    _publishes("organization", "org", "model", 128_804),
    _publishes("organization", "org", "dataset", 64_300),
    _publishes("organization", "org", "space", 12_956),
    _owns("organization", "org", 5_453),
)

ENTITIES: Mapping[str, EntityType] = MappingProxyType({e.name: e for e in _ENTITIES})
"""The 8 entity types by name, in HuggingKG's order."""

RELATIONS: Mapping[str, RelationType] = MappingProxyType({r.name: r for r in _RELATIONS})
"""The 30 relation types by name, in HuggingKG's order."""

REPOSITORY_TYPES: tuple[str, ...] = tuple(
    entity.name for entity in _ENTITIES if entity.id_pattern == REPOSITORY_ID
)
"""The entity types that are repositories: their ids can be renamed."""

LINEAGE: tuple[str, ...] = tuple(r.name for r in _RELATIONS if r.subject == r.object == "model")
"""The relations from a base model to a derived one."""


def edge_attributes() -> tuple[Column, ...]:
    """The attributes of all relations, each once: the columns of `graph/edge` beside its ends."""
    return tuple({c.name: c for r in _RELATIONS for c in r.attributes}.values())
