"""The raw tables: columns of each `hub/*` asset, named as the Hub's JSON names them.

Belongs here: declarations. How the rows are fetched stands in the modules beside this one.
"""

from __future__ import annotations

import polars as pl

from hfkg_resources.crawl import CARRIED
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

_OBSERVED_AT = Column("observed_at", INSTANT, "when the answer was received", required=True)

_ACCOUNT_ROW = (
    Column("user", pl.String(), "the user's name", required=True),
    Column("_id", pl.String(), "the account's stable id"),
    Column("fullname", pl.String(), "display name"),
    Column("isPro", pl.Boolean(), "whether the account is PRO"),
)

TASKS = (
    Column("id", pl.String(), "task id", required=True),
    Column("label", pl.String(), "display label", required=True),
    _OBSERVED_AT,
)

TAGS = (
    Column("kind", pl.String(), "whose tags: model or dataset", required=True),
    Column("type", pl.String(), "the tag's group, such as library or license", required=True),
    Column("id", pl.String(), "the tag as repositories carry it", required=True),
    Column("label", pl.String(), "display label"),
    _OBSERVED_AT,
)

_REPOSITORY = (
    Column("_id", pl.String(), "stable id; of a dump, which has none, the id", required=True),
    Column("id", pl.String(), "repository id", required=True),
    Column("author", pl.String(), "namespace"),
    Column("sha", pl.String(), "commit of the default branch"),
    Column("createdAt", INSTANT, "creation"),
    Column("lastModified", INSTANT, "last change of the content"),
    Column("private", pl.Boolean(), "visible to the token only"),
    Column("disabled", pl.Boolean(), "disabled by the Hub"),
    Column("likes", pl.Int64(), "like counter", required=True),
    Column("tags", STRINGS, "the Hub's computed tags"),
    Column("files", pl.Int64(), "number of files at `sha`"),
    Column("has_readme", pl.Boolean(), "whether README.md is among them"),
)
_GATED = Column("gated", pl.String(), "false, auto or manual")
_DOWNLOADS = (
    Column("downloads", pl.Int64(), "downloads of the last 30 days"),
    Column("downloadsAllTime", pl.Int64(), "downloads since creation"),
)

SIBLINGS = Column("siblings", pl.List(pl.Struct({"rfilename": pl.String()})), "the files at `sha`")
"""Served with every repository, kept as `files` and `has_readme`."""

MODELS = (
    *_REPOSITORY,
    _GATED,
    *_DOWNLOADS,
    Column("pipeline_tag", pl.String(), "the task the Hub shows"),
    Column("library_name", pl.String(), "the library the Hub shows"),
    _OBSERVED_AT,
)

DATASETS = (
    *_REPOSITORY,
    _GATED,
    *_DOWNLOADS,
    Column("description", pl.String(), "the Hub's abridged description"),
    _OBSERVED_AT,
)

SPACES = (
    *_REPOSITORY,
    Column("sdk", pl.String(), "gradio, streamlit, docker or static"),
    Column("models", STRINGS, "ids of models the Space uses, as it names them"),
    Column("datasets", STRINGS, "ids of datasets the Space uses, as it names them"),
    _OBSERVED_AT,
)

ITEM = pl.Struct(
    {
        "_id": pl.String(),
        "type": pl.String(),
        "id": pl.String(),
        "position": pl.Int64(),
        "note": pl.String(),
    }
)

ACCOUNT = pl.Struct(
    {
        "name": pl.String(),
        "type": pl.String(),
        "_id": pl.String(),
        "fullname": pl.String(),
        "isPro": pl.Boolean(),
        "followerCount": pl.Int64(),
    }
)

COLLECTIONS = (
    Column("slug", pl.String(), "the collection's slug", required=True),
    Column("title", pl.String(), "title"),
    Column("description", pl.String(), "description"),
    Column("lastUpdated", INSTANT, "last change"),
    Column("owner_name", pl.String(), "name of the owning account", required=True),
    Column("owner_type", pl.String(), "user or org", required=True),
    Column("accounts", pl.List(ACCOUNT), "the owner, and authors that the listing row tells of"),
    Column("theme", pl.String(), "colour theme"),
    Column("upvotes", pl.Int64(), "upvotes"),
    Column("items", pl.List(ITEM), "what it lists", required=True),
    Column("is_complete", pl.Boolean(), "whether `items` are all of them", required=True),
    _OBSERVED_AT,
    CARRIED,
)

AUTHOR = pl.Struct(
    {
        "name": pl.String(),
        "user": pl.String(),
        "user_id": pl.String(),
        "fullname": pl.String(),
        "status": pl.String(),
    }
)

PAPERS = (
    Column("id", pl.String(), "arXiv id", required=True),
    Column("title", pl.String(), "title"),
    Column("summary", pl.String(), "abstract"),
    Column("publishedAt", INSTANT, "publication on arXiv"),
    Column("upvotes", pl.Int64(), "upvotes"),
    Column("authors", pl.List(AUTHOR), "authors, with the linked user where there is one"),
    _OBSERVED_AT,
    CARRIED,
)

ACCOUNTS = (
    Column("name", pl.String(), "the account's name", required=True),
    Column("kind", pl.String(), "user or org", required=True),
    Column("_id", pl.String(), "stable id"),
    Column("fullname", pl.String(), "display name"),
    Column("isPro", pl.Boolean(), "whether a user is PRO"),
    Column("createdAt", INSTANT, "sign-up; for organizations read off `_id`"),
    Column("numFollowers", pl.Int64(), "follower counter"),
    Column("numUsers", pl.Int64(), "member counter of an organization"),
    Column("only_likes", pl.Boolean(), "whether its likes are all that it is known by"),
    _OBSERVED_AT,
    CARRIED,
)

LIKERS = (
    Column("repo_kind", pl.String(), "model, dataset or space", required=True),
    Column("repo_id", pl.String(), "the liked repository", required=True),
    *_ACCOUNT_ROW,
    Column("liked_at", INSTANT, "when, where the source knows"),
    _OBSERVED_AT,
    CARRIED,
)

FOLLOWERS = (
    Column("name", pl.String(), "the followed account", required=True),
    Column("kind", pl.String(), "its kind: user or org", required=True),
    *_ACCOUNT_ROW,
    _OBSERVED_AT,
    CARRIED,
)

MEMBERS = (
    Column("org", pl.String(), "the organization", required=True),
    *_ACCOUNT_ROW,
    _OBSERVED_AT,
    CARRIED,
)

CARDS = (
    Column("_id", pl.String(), "the repository's stable id, or its id", required=True),
    Column("id", pl.String(), "repository id", required=True),
    Column("sha", pl.String(), "commit the text was read at"),
    Column("status", pl.String(), "ok, not_utf8, or why there is no text", required=True),
    Column("bytes", pl.Int64(), "length of the file"),
    Column("text", pl.String(), "README.md as served; null where there is none"),
    _OBSERVED_AT,
    CARRIED,
)

ALIASES = (
    Column("kind", pl.String(), "model, dataset or space", required=True),
    Column("id", pl.String(), "the id as something refers to it", required=True),
    Column("canonical_id", pl.String(), "the id it stands for; null where nothing answers"),
    Column("via", pl.String(), "case, renamed, same or missing", required=True),
    _OBSERVED_AT,
    CARRIED,
)
