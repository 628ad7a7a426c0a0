"""Dataset repositories of the sample Hub that hold the Hub's own tables, one commit a day.

`cfahlgren1/hub-stats` and the card dumps of `librarian-bots`, as others publish them about the real
Hub, made of the sample world as of each commit's day. Belongs here: their commits, trees and files.
Does not: how bytes are sent (`repository_files`), what the other repositories hold.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache, partial
from typing import Any

import orjson
import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hfkg_resources.sample_hub import records
from hfkg_resources.sample_hub.answers import HubError, flag, integer, json_response
from hfkg_resources.sample_hub.contents import Blob, is_large
from hfkg_resources.sample_hub.day_index import DayIndex
from hfkg_resources.sample_hub.repository_files import (
    File,
    folder_oids,
    redirect_to_content,
    send_content,
    tree_entry,
)

Edit = Callable[[str, pl.DataFrame], pl.DataFrame]
"""Makes another table of one that is about to be written, given the file's path."""

FIRST_COMMIT = date(2024, 12, 1)
COMMITTED_AT = time(20, 0)
"""Time of day (UTC) of each commit; it shows the world at the end of its day all the same."""

COMMITS_PAGE, MAX_COMMITS_PAGE = 50, 1_000
CARD_PARTS = 2

HUB_STATS = "cfahlgren1/hub-stats"
MODEL_CARDS = "librarian-bots/model_cards_with_metadata"
DATASET_CARDS = "librarian-bots/dataset_cards_with_metadata"

_PARTS = tuple(f"data/train-{n:05d}-of-{CARD_PARTS:05d}.parquet" for n in range(CARD_PARTS))
_PATHS = {
    HUB_STATS: (
        "README.md", "arxiv_papers.parquet", "datasets.parquet", "models.parquet",
        "spaces.parquet",
    ),
    MODEL_CARDS: ("README.md", *_PARTS),
    DATASET_CARDS: ("README.md", *_PARTS),
}  # fmt: skip

_CACHED_FILES = 32
_MOMENT = pl.Datetime("us", "UTC")


class BulkRepositories:
    """The repositories, and the calls that concern them.

    Args:
        world: what the tables are made of.
        edit: changes the tables, for tests of what reads them.
    """

    def __init__(self, world: Any, edit: Edit | None = None) -> None:
        self._world = world
        self._edit = edit or (lambda path, table: table)
        self._index_at = lru_cache(maxsize=2)(lambda day: DayIndex(world.at(day)))
        self._content = lru_cache(maxsize=_CACHED_FILES)(self._make)
        self._by_oid: dict[str, File] = {}

    def routes(self) -> Iterator[Route]:
        """The calls, for each repository its own paths."""
        for repo_id in _PATHS:
            api, plain = f"/api/datasets/{repo_id}", f"/datasets/{repo_id}"
            for path, call in (
                (f"{api}/commits/{{revision:path}}", self.commits),
                (f"{api}/tree/{{revision}}/{{path:path}}", self.tree),
                (f"{api}/tree/{{revision}}", self.tree),
                (f"{api}/revision/{{revision:path}}", self.info),
                (api, self.info),
                (f"{plain}/resolve/{{revision}}/{{path:path}}", self.resolve),
                (f"/api/resolve-cache/datasets/{repo_id}/{{revision}}/{{path:path}}", self.cached),
                (f"/lfs/datasets/{repo_id}/{{oid}}/{{path:path}}", self.large_file),
            ):
                yield Route(path, partial(call, repo_id))

    # -- calls ------------------------------------------------------------------------------------

    async def commits(self, repo_id: str, request: Request) -> Response:
        """`GET /api/datasets/{id}/commits/{revision}`, newest first."""
        last = self._day(repo_id, request)
        limit = min(integer(request, "limit", COMMITS_PAGE, 1, None), MAX_COMMITS_PAGE)
        page = integer(request, "p", 0, 0, None)
        total = (last - FIRST_COMMIT).days + 1
        days = [last - timedelta(days=n) for n in range(total)[page * limit : (page + 1) * limit]]
        answer = json_response([_commit(repo_id, day) for day in days])
        answer.headers["X-Total-Count"] = str(total)
        if (page + 1) * limit < total:
            url = request.url.include_query_params(p=page + 1)
            answer.headers["Link"] = f'<{url}>; rel="next"'
        return answer

    async def tree(self, repo_id: str, request: Request) -> Response:
        """`GET /api/datasets/{id}/tree/{revision}[/{folder}]`."""
        day = self._day(repo_id, request)
        folder = request.path_params.get("path", "").strip("/")
        below = [
            path for path in _PATHS[repo_id] if path.startswith(f"{folder}/" if folder else "")
        ]
        if not below:
            raise HubError(404, f"{folder} does not exist", "EntryNotFound")
        shown = [self._entry(repo_id, day, path) for path in below]
        names = {path.rpartition("/")[0] for path in below} - {folder, ""}
        oids = folder_oids({entry["path"]: entry["oid"] for entry in shown})
        folders = [{"type": "directory", "oid": oids[name], "size": 0, "path": name}
                   for name in sorted(names)]  # fmt: skip
        if not flag(request, "recursive"):
            shown = [one for one in shown if one["path"].rpartition("/")[0] == folder]
        if flag(request, "expand"):
            commit = _commit(repo_id, day)
            last = {name: commit[name] for name in ("id", "title", "date")}
            shown = [one | {"lastCommit": last} for one in shown]
        return json_response([*folders, *shown])

    async def info(self, repo_id: str, request: Request) -> Response:
        """`GET /api/datasets/{id}[/revision/{revision}]`."""
        day = self._day(repo_id, request)
        author = repo_id.partition("/")[0]
        return json_response(
            {
                "_id": hashlib.sha256(repo_id.encode()).hexdigest()[:24],
                "id": repo_id,
                "author": author,
                "sha": commit_id(repo_id, day),
                "lastModified": records.instant(_moment(day)),
                "createdAt": records.instant(_moment(FIRST_COMMIT)),
                "private": False,
                "gated": False,
                "disabled": False,
                "tags": ["format:parquet", "license:apache-2.0"],
                "likes": 0,
                "downloads": 0,
                "description": _README[repo_id],
                "siblings": [{"rfilename": path} for path in _PATHS[repo_id]],
            }
        )

    async def resolve(self, repo_id: str, request: Request) -> Response:
        """`GET /datasets/{id}/resolve/{revision}/{path}`: where the file is."""
        file = self._file(repo_id, request)
        self._by_oid[file.blob.sha256 or ""] = file
        return redirect_to_content(file, request)

    async def cached(self, repo_id: str, request: Request) -> Response:
        """`GET /api/resolve-cache/datasets/{id}/{sha}/{path}`: a file that is not large."""
        file = self._file(repo_id, request)
        return send_content(file.content, file.sha, file.blob.oid, request)

    async def large_file(self, repo_id: str, request: Request) -> Response:
        """Where the 302 of a large file leads."""
        oid = request.path_params["oid"]
        file = self._by_oid.get(oid)
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        return send_content(file.content, file.sha, oid, request, is_large=True)

    # -- commits and files ------------------------------------------------------------------------

    def _day(self, repo_id: str, request: Request) -> date:
        """The day of the commit that is asked for.

        Raises:
            HubError: 404, if there is none up to the day that is shown.
        """
        shown = min(max(request.scope["hub.day"], self._world.first_day), self._world.last_day)
        if shown < FIRST_COMMIT:
            raise HubError(404, "Repository not found", "RepoNotFound")
        revision = request.path_params.get("revision", "main")
        day = shown if revision == "main" else self._commit_days[repo_id].get(revision)
        if day is None or day > shown:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return day

    @cached_property
    def _commit_days(self) -> dict[str, dict[str, date]]:
        days = range((self._world.last_day - FIRST_COMMIT).days + 1)
        all_days = [FIRST_COMMIT + timedelta(days=n) for n in days]
        return {repo_id: {commit_id(repo_id, day): day for day in all_days} for repo_id in _PATHS}

    def _file(self, repo_id: str, request: Request) -> File:
        day, path = self._day(repo_id, request), request.path_params["path"]
        sha = commit_id(repo_id, day)
        if path not in _PATHS[repo_id]:
            raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": sha})
        return File("dataset", repo_id, sha, path, self._content(repo_id, path, day))

    def _entry(self, repo_id: str, day: date, path: str) -> dict[str, Any]:
        content = self._content(repo_id, path, day)
        return tree_entry(path, Blob.of(content, is_large(path)))

    def _make(self, repo_id: str, path: str, day: date) -> bytes:
        """A file's bytes: the same whenever they are made."""
        if path == "README.md":
            return _README[repo_id].encode()
        table = self._edit(path, _table(self._index_at(day), repo_id, path))
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd", row_group_size=10_000)
        return buffer.getvalue()


_README = {
    HUB_STATS: "# hub-stats\n\nWhat the sample Hub lists, as Parquet, once a day.\n",
    MODEL_CARDS: "# Model cards\n\nREADME texts of the sample Hub's models with metadata.\n",
    DATASET_CARDS: "# Dataset cards\n\nREADME texts of the sample Hub's datasets with metadata.\n",
}


def commit_id(repo_id: str, day: date) -> str:
    """The commit of a day."""
    return hashlib.sha1(f"{repo_id} {day}".encode()).hexdigest()


def _moment(day: date) -> datetime:
    return datetime.combine(day, COMMITTED_AT, UTC)


def _commit(repo_id: str, day: date) -> dict[str, Any]:
    return {
        "id": commit_id(repo_id, day),
        "title": "Upload dataset" if repo_id != HUB_STATS else f"Update of {day}",
        "message": "",
        "authors": [{"user": repo_id.partition("/")[0], "avatar": "/avatars/bulk.svg"}],
        "date": records.instant(_moment(day)),
    }


# -- tables ---------------------------------------------------------------------------------------


def _table(index: DayIndex, repo_id: str, path: str) -> pl.DataFrame:
    if repo_id != HUB_STATS:
        cards = model_cards(index) if repo_id == MODEL_CARDS else dataset_cards(index)
        size = -(-cards.height // CARD_PARTS)
        return cards.slice(_PARTS.index(path) * size, size)
    if path == "arxiv_papers.parquet":
        return papers(index)
    return listing(index, path.removesuffix("s.parquet"))


def listing(index: DayIndex, kind: str) -> pl.DataFrame:
    """The repositories of a kind, in the columns of `hub-stats`."""
    frame = index.repositories(kind)
    table = frame.select(*_SHARED, *_COLUMNS[kind])
    derived = ("baseModels", "cardData") if kind == "model" else ("cardData",)
    rows = records.repositories(index, kind, frame, derived)
    if kind == "model":
        table = table.with_columns(_base_models(row.get("baseModels") for row in rows))
    return table.with_columns(_json_texts("cardData", (row.get("cardData") for row in rows)))


def _null(name: str, dtype: Any) -> pl.Expr:
    return pl.lit(None, dtype).alias(name)


_CREATED_AT = pl.col("created_at").cast(_MOMENT).alias("createdAt")
_SHARED = (
    "_id", "id", "author", _CREATED_AT,
    pl.col("last_modified").cast(_MOMENT).alias("lastModified"),
    "likes", pl.col("trending_score").alias("trendingScore"),
    pl.lit(False).alias("private"), "sha", "tags",
)  # fmt: skip
_NOT_OF_SPACES = (
    "downloads", pl.col("downloads_all_time").alias("downloadsAllTime"), "disabled",
    # One column holds false beside words only as text.
    pl.when(pl.col("gated") == "false").then(pl.lit("False")).otherwise("gated").alias("gated"),
)  # fmt: skip
_TOTAL = pl.Struct({"total": pl.Int64})
_PROVIDERS = pl.List(pl.Struct({"provider": pl.String}))
_SUBDOMAIN = pl.col("id").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "-")
_COLUMNS = {
    "model": (
        *_NOT_OF_SPACES, "pipeline_tag", "library_name", _null("safetensors", _TOTAL),
        _null("gguf", _TOTAL), pl.lit([], _PROVIDERS).alias("inferenceProviderMapping"),
    ),
    "dataset": (
        *_NOT_OF_SPACES, "description", pl.col("main_size").alias("mainSize"),
        _null("paperswithcode_id", pl.String),
    ),
    "space": (_SUBDOMAIN.alias("subdomain"), "sdk"),
}  # fmt: skip
"""What `hub-stats` tells of each kind, besides what it tells of all."""


def _base_models(values: Iterable[Any]) -> pl.Series:
    one = pl.Struct({"_id": pl.String, "id": pl.String})
    dtype = pl.Struct({"relation": pl.String, "models": pl.List(one)})
    return pl.Series("baseModels", list(values), dtype)


def _json_texts(name: str, values: Iterable[Any]) -> pl.Series:
    texts = [None if value is None else _json(value) for value in values]
    return pl.Series(name, texts, pl.String)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def papers(index: DayIndex) -> pl.DataFrame:
    """The papers; authors are JSON text."""
    frame = index.papers
    authors = (records.paper(index, row)["authors"] for row in frame.iter_rows(named=True))
    thumbnail = pl.format("https://cdn-thumbnails.invalid/papers/{}.png", "id")
    return frame.select(
        "id", "title", "upvotes", "summary", thumbnail.alias("thumbnailUrl"),
        pl.col("published_at").cast(_MOMENT).alias("publishedAt"),
        _json_texts("authors", authors),
        *(_null(name, pl.String) for name in ("projectPage", "githubRepo", "organization")),
    )  # fmt: skip


def model_cards(index: DayIndex) -> pl.DataFrame:
    """The READMEs of models that anyone may read."""
    return _cards(index, "model").select(
        pl.col("id").alias("modelId"), *_CARD_METADATA, "library_name", "tags", "pipeline_tag",
        "createdAt", "card",
    )  # fmt: skip


def dataset_cards(index: DayIndex) -> pl.DataFrame:
    """The READMEs of datasets that anyone may read."""
    prefix = "task_categories:"
    tasks = pl.col("tags").list.filter(pl.element().str.starts_with(prefix))
    return _cards(index, "dataset").select(
        pl.col("id").alias("datasetId"), *_CARD_METADATA, "tags",
        tasks.list.eval(pl.element().str.strip_prefix(prefix)).alias("task_categories"),
        "createdAt", "card",
    )  # fmt: skip


_CARD_METADATA = ("author", "last_modified", "downloads", "likes")


def _cards(index: DayIndex, kind: str) -> pl.DataFrame:
    readable = (pl.col("gated") == "false") & ~pl.col("disabled")
    carded = pl.col("siblings").list.contains("README.md")
    frame = index.repositories(kind).filter(readable, carded)
    texts = [_text(index.world.readme(kind, repo_id)) for repo_id in frame["id"]]
    return frame.with_columns(
        pl.Series("card", texts, pl.String), _CREATED_AT, pl.col("last_modified").cast(_MOMENT)
    ).drop_nulls("card")


def _text(readme: bytes | None) -> str | None:
    """A README as the dump has it: one that is not UTF-8 cannot be read by who makes it."""
    try:
        return None if readme is None else readme.decode("utf-8")
    except UnicodeDecodeError:
        return None
