"""A Hub that answers with given records, as they are: lists page by page, the rest by path.

Belongs here: serving. Does not: which records there are, and on which day (the tests say).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hfkg_resources.sample_hub.answers import (
    HubError,
    Moved,
    cursor_at,
    integer,
    json_response,
    offset_of,
    page_response,
)
from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.gate import Gate, Traffic
from hfkg_resources.sample_hub.quotas import UNLIMITED

Record = dict[str, Any]

MOST = {"/api/papers": 100, "/api/collections": 10_000}
PAGE = 1_000
"""Rows of a page at most, unless `MOST` says otherwise."""


@dataclass
class State:
    """All that the Hub answers on a day, by path; every other path is 404.

    Attributes:
        lists: rows of what is served page by page.
        objects: what is served whole.
        files: bytes of files.
        moved: paths that redirect, with where they lead.
    """

    lists: dict[str, Sequence[Record]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sorted: dict[tuple[str, str | None], Sequence[Record]] = {}

    def rows(self, path: str, sort: str | None) -> Sequence[Record]:
        """A list in the Hub's order: by `sort` descending, rows without it last, ties by `_id`."""
        if sort is None:
            return self.lists[path]
        if (path, sort) not in self._sorted:
            rows = sorted(self.lists[path], key=lambda row: row.get("_id", ""))
            rows.sort(key=lambda row: (sort in row, row.get(sort)), reverse=True)
            self._sorted[path, sort] = rows
        return self._sorted[path, sort]


def create_replay(state_of: Callable[[date], State]) -> Starlette:
    """The replay as an ASGI application for `sample_hub.server.serve`.

    Args:
        state_of: what there is on a day; `/{YYYY-MM-DD}/api/…` asks for that day, paths without a
            date for the present one in UTC.
    """

    async def answer(request: Request) -> Response:
        state, path = state_of(request.scope["hub.day"]), f"/{request.path_params['path']}"
        if path in state.lists:
            return _page(request, state, path)
        if path in state.objects:
            return json_response(state.objects[path])
        if path in state.files:
            return Response(state.files[path], media_type="text/plain")
        if path in state.moved:
            raise Moved(state.moved[path])
        raise HubError(404, "Not found")

    async def redirect(request: Request, moved: Moved) -> Response:
        return moved.response(request)

    async def refuse(request: Request, error: HubError) -> Response:
        return error.response()

    traffic = Traffic()
    gate = Middleware(
        Gate,
        today=lambda: datetime.now(UTC).date(),
        quotas=UNLIMITED,
        tokens={},
        window_s=300,
        faults=Faults(),
        traffic=traffic,
        route_of=lambda scope: scope["path"].removeprefix(scope.get("root_path", "")),
    )
    handlers: Mapping[Any, Any] = {HubError: refuse, Moved: redirect}
    app = Starlette(
        routes=[Route("/{path:path}", answer)], middleware=[gate], exception_handlers=handlers
    )
    app.state.traffic = traffic
    return app


def _page(request: Request, state: State, path: str) -> Response:
    most = MOST.get(path, PAGE)
    limit, offset = min(integer(request, "limit", most, 1, None), most), offset_of(request)
    rows = state.rows(path, request.query_params.get("sort"))
    return page_response(
        request, list(rows[offset : offset + limit]), cursor_at(offset + limit, len(rows))
    )
