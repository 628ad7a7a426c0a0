"""The calls of the sample Hub's API: which rows each answers with.

Belongs here: parameters, filters, order, pages, redirects of each call. Does not: how a record
looks (`records`), files (`repository_files`), quotas and headers (`gate`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import polars as pl
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hfkg_resources.sample_hub import contents, records, repository_files, tags
from hfkg_resources.sample_hub.answers import (
    HubError,
    Moved,
    choice,
    cursor_at,
    encode_cursor,
    flag,
    integer,
    json_response,
    offset_of,
    page_response,
    repeated,
)
from hfkg_resources.sample_hub.day_index import KINDS, DayIndex, Groups
from hfkg_resources.sample_hub.git_repositories import CLONED, GitRepositories
from hfkg_resources.sample_hub.records import Record
from hfkg_resources.sample_hub.repository_queries import (
    after_cursor,
    asked_fields,
    contains,
    filters,
    listed_fields,
)

MAX_PAGE, MAX_EXPANDED_TREE = 1_000, 100
DEFAULT_PEOPLE = 500
FIRST_DAILY_PAPERS = date(2023, 5, 4)


class Endpoints:
    """One method per call.

    Args:
        world: the sample world.
        pinned_readme: whether `/api/resolve-cache/` serves a file without `etag`.
    """

    def __init__(self, world: Any, pinned_readme: bool) -> None:
        self._index_at = lru_cache(maxsize=4)(lambda day: DayIndex(world.at(day)))
        self._pinned_readme = pinned_readme
        self._git = GitRepositories()

    def _index(self, request: Request) -> DayIndex:
        return self._index_at(request.scope["hub.day"])

    # -- Tasks and tags ---------------------------------------------------------------------------

    async def tasks(self, request: Request) -> Response:
        """`GET /api/tasks`."""
        return json_response(tags.task_pages())

    async def model_tags(self, request: Request) -> Response:
        """`GET /api/models-tags-by-type`."""
        return self._vocabulary(request, tags.model_tags(self._index(request)))

    async def dataset_tags(self, request: Request) -> Response:
        """`GET /api/datasets-tags-by-type`."""
        return self._vocabulary(request, tags.dataset_tags(self._index(request)))

    def _vocabulary(self, request: Request, groups: tags.Vocabulary) -> Response:
        if "type" in request.query_params:
            group = choice(request, "type", "", tuple(groups))
            groups = {group: groups[group]}
        return json_response(groups)

    # -- Repositories -----------------------------------------------------------------------------

    async def repository_listing(self, request: Request) -> Response:
        """`GET /api/{models|datasets|spaces}`."""
        index, kind = self._index(request), _kind(request)
        fields = listed_fields(request, kind)
        limit = min(integer(request, "limit", MAX_PAGE, 1, None), MAX_PAGE)
        sort = request.query_params.get("sort", "trendingScore")
        column = index.sort_column(kind, sort)
        if column is None:
            raise HubError(400, f'"sort" cannot be {sort}')
        frame = after_cursor(request, index.ordered(kind, column), column)
        conditions = filters(request, kind)
        page = (frame.filter(conditions) if conditions else frame).head(limit + 1)
        cursor = None
        if page.height > limit:
            page = page.head(limit)
            last = page.select(pl.col(column).to_physical(), pl.col("_id").alias("last_id"))
            cursor = encode_cursor(last.row(-1))
        return page_response(request, records.repositories(index, kind, page, fields), cursor)

    async def repository(self, request: Request) -> Response:
        """`GET /api/{models|datasets|spaces}/{id}`."""
        return self._info(request, request.path_params["repo_id"], "")

    async def repository_revision(self, request: Request) -> Response:
        """`GET /api/{models|datasets|spaces}/{id}/revision/{revision}`."""
        revision = request.path_params["revision"]
        return self._info(request, request.path_params["repo_id"], f"/revision/{revision}")

    def _info(self, request: Request, repo_id: str, rest: str) -> Response:
        index, kind = self._index(request), _kind(request)
        frame = _find_repository(request, index, kind, repo_id, rest)
        revision = rest.removeprefix("/revision/") or "main"
        row = frame.row(0, named=True)
        commit = repository_files.find_commit(index, row, kind, revision)
        fields = asked_fields(request, records.INFO_EXPAND[kind]) or records.INFO[kind]
        record = records.repositories(index, kind, frame, fields)[0]
        if "sha" in record:
            record["sha"] = commit.sha
        if "siblings" in record and flag(request, "blobs"):
            record["siblings"] = commit.siblings()
        return json_response(record)

    async def likers(self, request: Request) -> Response:
        """`GET /api/{models|datasets|spaces}/{id}/likers`, newest first."""
        index, kind = self._index(request), _kind(request)
        repo_id = request.path_params["repo_id"]
        if "/" not in repo_id and index.repository(kind, f"{repo_id}/likers") is not None:
            return self._info(request, f"{repo_id}/likers", "")
        _find_repository(request, index, kind, repo_id, "/likers")
        limit = min(integer(request, "limit", MAX_PAGE, 1, None), MAX_PAGE)
        return _people_page(request, index, index.likers[kind], repo_id, "user", limit)

    # -- Files ------------------------------------------------------------------------------------

    async def tree(self, request: Request) -> Response:
        """`GET /api/{models|datasets|spaces}/{id}/tree/{revision}[/{folder}]`; public if gated."""
        index, kind = self._index(request), _kind(request)
        repo_id, revision = (request.path_params[name] for name in ("repo_id", "revision"))
        folder = request.path_params.get("folder", "").strip("/")
        rest = f"/tree/{revision}" + (f"/{folder}" if folder else "")
        row = _find_repository(request, index, kind, repo_id, rest).row(0, named=True)
        repository_files.refuse_disabled(row)
        commit = repository_files.find_commit(index, row, kind, revision)
        expand = flag(request, "expand")
        most = MAX_EXPANDED_TREE if expand else MAX_PAGE
        limit = min(integer(request, "limit", most, 1, None), most)
        offset = offset_of(request)
        entries = commit.tree(folder, flag(request, "recursive"))
        page = entries[offset : offset + limit]
        if expand:
            page = [one | {"lastCommit": commit.last_commit(one["path"])} for one in page]
        return page_response(request, page, cursor_at(offset + limit, len(entries)))

    async def resolve(self, request: Request) -> Response:
        """`GET /{id}/resolve/{revision}/{path}`: where the file is; or what git asks for."""
        match = repository_files.RESOLVE.fullmatch(request.path_params["rest"])
        if match is None:
            return await self._cloned(request)
        area, repo_id, revision, path = match.groups()
        place = (f"/{area}/" if area else "/", f"/resolve/{revision}/{path}")
        file = self._file(request, area or "models", repo_id, revision, path, place)
        return repository_files.redirect_to_content(file, request)

    async def _cloned(self, request: Request) -> Response:
        """`GET /{id}/info/refs`, `/{id}/HEAD`, `/{id}/objects/{path}`; `.git` may follow the id."""
        match = CLONED.fullmatch(request.path_params["rest"])
        if match is None:
            raise HubError(404, "Sorry, we can't find the page you are looking for.")
        area, repo_id, path = match.groups()
        place = (f"/{area}/" if area else "/", f"/{path}")
        index, kind, row = self._repository(request, area or "models", repo_id, place)
        repository_files.refuse_unreadable(row, kind, request.scope["hub.has_token"])
        commit = repository_files.find_commit(index, row, kind, "main")
        content = await run_in_threadpool(self._git.file, commit, path)
        return Response(content, media_type="application/octet-stream")

    async def resolve_cache(self, request: Request) -> Response:
        """`GET /api/resolve-cache/{area}/{id}/{sha}/{path}`: the file."""
        match = repository_files.RESOLVE_CACHE.fullmatch(request.path_params["rest"])
        if match is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        if not self._pinned_readme and "etag" not in request.query_params:
            raise HubError(400, '"etag" is required')
        area, repo_id, sha, path = match.groups()
        place = (f"/api/resolve-cache/{area}/", f"/{sha}/{path}")
        file = self._file(request, area, repo_id, sha, path, place)
        oid = contents.git_oid(file.content)
        return repository_files.send_content(file.content, file.sha, oid, request)

    async def large_file(self, request: Request) -> Response:
        """Where the 302 of a large file leads; the Hub has these on another host."""
        match = repository_files.LARGE_FILE.fullmatch(request.path_params["rest"])
        if match is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        area, repo_id, oid, path = match.groups()
        revision = request.query_params.get("commit", "main")
        place = (f"/lfs/{area}/", f"/{oid}/{path}")
        file = self._file(request, area, repo_id, revision, path, place)
        if file.blob.sha256 != oid:
            raise HubError(404, "Entry not found", "EntryNotFound")
        return repository_files.send_content(file.content, file.sha, oid, request, is_large=True)

    def _file(
        self,
        request: Request,
        area: str,
        repo_id: str,
        revision: str,
        path: str,
        place: tuple[str, str],
    ) -> repository_files.File:
        """The file; `place` is what stands before and after the id in the path asked for."""
        index, kind, row = self._repository(request, area, repo_id, place)
        has_token = request.scope["hub.has_token"]
        return repository_files.find_file(index, row, kind, revision, path, has_token)

    def _repository(
        self, request: Request, area: str, repo_id: str, place: tuple[str, str]
    ) -> tuple[DayIndex, str, Record]:
        """The day, kind and row of a repository that a path outside the API names."""
        index, kind = self._index(request), area.removesuffix("s")
        frame = index.repository(kind, repo_id) if kind in KINDS else None
        if frame is not None:
            return index, kind, frame.row(0, named=True)
        renamed = index.renamed_repository(kind, repo_id) if kind in KINDS else None
        if renamed is None:
            raise _missing_repository(request)
        raise Moved(renamed.join(place))

    # -- Collections ------------------------------------------------------------------------------

    async def collection_listing(self, request: Request) -> Response:
        """`GET /api/collections`: at most four items of each."""
        index = self._index(request)
        sort = choice(request, "sort", "trending", ("trending", "lastModified", "upvotes"))
        limit, offset = integer(request, "limit", 10, 1, 10_000), offset_of(request)
        frame = index.collections_by[sort]
        if owners := repeated(request, "owner"):
            frame = frame.filter(pl.col("owner").is_in(owners))
        if text := request.query_params.get("q"):
            frame = frame.filter(contains("title", text))
        for item in repeated(request, "item"):
            frame = frame.filter(_holds(item))
        page = frame.slice(offset, limit)
        if flag(request, "expand", default=True):
            rows = records.collections(index, page, items=4, detail=False)
        else:
            rows = [records.light_collection(row) for row in page.to_dicts()]
        return page_response(request, rows, cursor_at(offset + limit, frame.height))

    async def collection(self, request: Request) -> Response:
        """`GET /api/collections/{namespace}/{slug}-{id}`, also without the id."""
        index, slug = self._index(request), request.path_params["slug"]
        by_key = index.collection_rows
        row = by_key.get(slug[-24:], by_key.get(slug))
        if row is None:
            raise HubError(404, "Collection not found")
        frame = index.world.collections.slice(row, 1)
        return json_response(records.collections(index, frame, items=None, detail=True)[0])

    # -- Papers -----------------------------------------------------------------------------------

    async def paper_listing(self, request: Request) -> Response:
        """`GET /api/papers`, newest first."""
        index = self._index(request)
        limit, offset = integer(request, "limit", 50, 1, 100), offset_of(request)
        page = index.papers.slice(offset, limit)
        rows = [records.paper(index, row) for row in page.to_dicts()]
        return page_response(request, rows, cursor_at(offset + limit, index.papers.height))

    async def paper(self, request: Request) -> Response:
        """`GET /api/papers/{id}`."""
        index, paper_id = self._index(request), request.path_params["paper_id"]
        row = index.paper_rows.get(paper_id)
        if row is None:
            raise HubError(404, "Paper not found")
        return json_response(records.paper_detail(index, index.papers.row(row, named=True)))

    async def paper_search(self, request: Request) -> Response:
        """`GET /api/papers/search`: papers with all words of `q`, most upvoted first."""
        index = self._index(request)
        text = request.query_params.get("q", "")
        if len(text) > 250:
            raise HubError(400, '"q" must be at most 250 characters long')
        limit = integer(request, "limit", 50, 1, 120)
        has_words = [contains("title", word) | contains("summary", word) for word in text.split()]
        found = index.papers.filter(pl.all_horizontal(pl.lit(True), *has_words))
        page = found.sort("upvotes", "id", descending=[True, False]).head(limit)
        return json_response([{"paper": records.paper(index, row)} for row in page.to_dicts()])

    async def daily_papers(self, request: Request) -> Response:
        """`GET /api/daily_papers` of a day, a week, a month, or of all days."""
        index, query = self._index(request), request.query_params
        limit, page = integer(request, "limit", 50, 1, 100), integer(request, "p", 0, 0, None)
        sort = choice(request, "sort", "publishedAt", ("publishedAt", "trending"))
        first, last = _period(request)
        chosen = [
            row
            for row in _submitted(index)
            if first <= records.submitted_at(row).date() <= last
            and query.get("submitter") in (None, records.submitter_of(row))
        ]
        if sort == "trending":
            chosen.sort(key=lambda row: -row["upvotes"])
        shown = chosen[page * limit : (page + 1) * limit]
        answer = json_response([records.daily_paper(index, row) for row in shown])
        if len(chosen) > (page + 1) * limit:
            url = request.url.include_query_params(p=page + 1)
            answer.headers["Link"] = f'<{url}>; rel="next"'
        return answer

    # -- Accounts ---------------------------------------------------------------------------------

    async def user_overview(self, request: Request) -> Response:
        """`GET /api/users/{name}/overview`; takes an `_id` in place of the name."""
        index = self._index(request)
        name = index.account_ids.get(request.path_params["name"], request.path_params["name"])
        return json_response(records.user_overview(index, _user(index, name, "overview")))

    async def organization_overview(self, request: Request) -> Response:
        """`GET /api/organizations/{name}/overview`."""
        index = self._index(request)
        account = _organization(index, request.path_params["name"])
        return json_response(records.organization_overview(index, account))

    async def members(self, request: Request) -> Response:
        """`GET /api/organizations/{name}/members`; empty where the organization hides them."""
        index = self._index(request)
        account = _organization(index, request.path_params["name"])
        limit = integer(request, "limit", DEFAULT_PEOPLE, 10, 10_000)
        if account["members_hidden"]:
            return json_response([])
        return _people_page(request, index, index.members, account["name"], "user", limit)

    async def organization_followers(self, request: Request) -> Response:
        """`GET /api/organizations/{name}/followers`."""
        index = self._index(request)
        name = _organization(index, request.path_params["name"])["name"]
        return _follow_page(request, index, index.followers, name, "follower")

    async def user_followers(self, request: Request) -> Response:
        """`GET /api/users/{name}/followers`."""
        index = self._index(request)
        name = _user(index, request.path_params["name"], "followers")["name"]
        return _follow_page(request, index, index.followers, name, "follower")

    async def user_following(self, request: Request) -> Response:
        """`GET /api/users/{name}/following`: users and organizations."""
        index = self._index(request)
        name = _user(index, request.path_params["name"], "following")["name"]
        return _follow_page(request, index, index.following, name, "followed")

    async def user_likes(self, request: Request) -> Response:
        """`GET /api/users/{name}/likes` with dates, newest first."""
        index = self._index(request)
        name = _user(index, request.path_params["name"], "likes")["name"]
        limit = min(integer(request, "limit", MAX_PAGE, 1, None), MAX_PAGE)
        offset = offset_of(request)
        rows = [
            {
                "createdAt": records.instant(like["liked_at"]),
                "repo": {"name": like["repo_id"], "type": like["repo_kind"]},
            }
            for like in index.likes_of.rows(name, offset, limit).to_dicts()
        ]
        cursor = cursor_at(offset + limit, index.likes_of.size(name))
        return page_response(request, rows, cursor)

    async def whoami(self, request: Request) -> Response:
        """`GET /api/whoami-v2`."""
        if not request.scope["hub.has_token"]:
            raise HubError(401, "Invalid username or password.")
        return json_response(
            {
                "type": "user",
                "name": "sample-user",
                "fullname": "Sample User",
                "isPro": False,
                "orgs": [],
                "auth": {"type": "access_token"},
            }
        )

    async def agent_harnesses(self, request: Request) -> Response:
        """`GET /api/agent-harnesses`, which the client asks once a day."""
        return json_response({"standardEnvVars": [], "harnesses": {}})


# -- Repositories ---------------------------------------------------------------------------------


def _kind(request: Request) -> str:
    kind = request.path_params["area"].removesuffix("s")
    if kind not in KINDS:
        raise HubError(404, "Sorry, we can't find the page you are looking for.")
    return kind


def _missing_repository(request: Request) -> HubError:
    if request.scope["hub.has_token"]:
        return HubError(404, "Repository not found", "RepoNotFound")
    return HubError(401, "Invalid username or password.")


def _find_repository(
    request: Request, index: DayIndex, kind: str, repo_id: str, rest: str
) -> pl.DataFrame:
    """The repository as a frame of one row; `rest` follows the id in the path."""
    frame = index.repository(kind, repo_id)
    if frame is not None:
        return frame
    renamed = index.renamed_repository(kind, repo_id)
    if renamed is None:
        raise _missing_repository(request)
    raise Moved(f"/api/{kind}s/{renamed}{rest}")


# -- Lists of people ------------------------------------------------------------------------------


def _people_page(
    request: Request, index: DayIndex, groups: Groups, key: str, column: str, limit: int
) -> Response:
    offset = offset_of(request)
    names = groups.rows(key, offset, limit)[column]
    cursor = cursor_at(offset + limit, groups.size(key))
    return page_response(request, records.people(index, names), cursor)


def _follow_page(
    request: Request, index: DayIndex, groups: Groups, name: str, column: str
) -> Response:
    limit = min(integer(request, "limit", DEFAULT_PEOPLE, 1, None), MAX_PAGE)
    return _people_page(request, index, groups, name, column, limit)


def _user(index: DayIndex, name: str, call: str) -> Record:
    account = index.account(name)
    if account is None and (renamed := index.renamed_account(name)) is not None:
        target = index.account(renamed)
        if target is None or target["kind"] == "user":
            raise Moved(f"/api/users/{renamed}/{call}")
    if account is None or account["kind"] != "user":
        raise HubError(404, "This user does not exist")
    return account


def _organization(index: DayIndex, name: str) -> Record:
    """The organization of that name; any case will do, without a redirect."""
    account = index.account(index.renamed_account(name) or name)
    if account is None or account["kind"] != "org":
        raise HubError(404, "Sorry, we can't find the page you are looking for.")
    return account


# -- Collections and papers -----------------------------------------------------------------------


def _holds(item: str) -> pl.Expr:
    """Whether a collection holds `models/{id}`, `datasets/{id}`, `spaces/{id}` or `papers/{id}`."""
    area, _, item_id = item.partition("/")
    if area not in ("models", "datasets", "spaces", "papers"):
        raise HubError(400, '"item" must start with models/, datasets/, spaces/ or papers/')
    element = pl.element().struct
    is_it = (element.field("type") == area.removesuffix("s")) & (element.field("id") == item_id)
    return pl.col("items").list.eval(is_it).list.any()


def _submitted(index: DayIndex) -> list[Record]:
    """Papers on the daily lists up to the day, newest first."""
    end = datetime.combine(index.world.day, datetime.min.time(), UTC) + timedelta(days=1)
    return [
        row
        for row in index.papers.to_dicts()
        if records.submitter_of(row) is not None
        and records.submitted_at(row).date() >= FIRST_DAILY_PAPERS
        and records.submitted_at(row) < end
    ]


def _period(request: Request) -> tuple[date, date]:
    """First and last day that `date`, `week` or `month` names.

    Raises:
        HubError: 400, if it names none.
    """
    readers: dict[str, Callable[[str], tuple[date, date]]] = {
        "date": lambda text: (date.fromisoformat(text),) * 2,
        "week": _week,
        "month": _month,
    }
    for name, read in readers.items():
        if (text := request.query_params.get(name)) is not None:
            try:
                return read(text)
            except ValueError:
                raise HubError(400, f'"{name}" is not a valid {name}') from None
    return date.min, date.max


def _week(text: str) -> tuple[date, date]:
    monday = datetime.strptime(f"{text}-1", "%G-W%V-%u").date()
    return monday, monday + timedelta(days=6)


def _month(text: str) -> tuple[date, date]:
    first = datetime.strptime(f"{text}-01", "%Y-%m-%d").date()
    following = (first + timedelta(days=31)).replace(day=1)
    return first, following - timedelta(days=1)
