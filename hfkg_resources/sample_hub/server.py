"""The sample Hub as an HTTP server: its application, and running it on loopback.

Belongs here: routes, and starting and stopping. Does not: what the calls answer (`endpoints`) and
what they have in common (`gate`).
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from hfkg_resources.sample_hub.answers import HubError, Moved
from hfkg_resources.sample_hub.bulk_repositories import BulkRepositories, Edit
from hfkg_resources.sample_hub.endpoints import Endpoints
from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.gate import Gate, RequestLine, Traffic
from hfkg_resources.sample_hub.quotas import GENEROUS, Quotas
from hfkg_resources.sample_hub.uploads import Uploads

if TYPE_CHECKING:
    from hfkg_resources.sample_hub.world import World

_START_S = 10.0
_GRACE_S = 0.3
"""How long requests in flight may go on after `stop`."""


def create_app(
    world: World,
    *,
    today: Callable[[], date] | date | None = None,
    quotas: Quotas = GENEROUS,
    tokens: Mapping[str, Quotas] | None = None,
    window_s: float = 300,
    faults: Faults | None = None,
    pinned_readme: bool = True,
    bulk_edit: Edit | None = None,
) -> Starlette:
    """The sample Hub as an ASGI application.

    `/{YYYY-MM-DD}/api/…` and `/{YYYY-MM-DD}/{id}/resolve/…` show the world at the end of that day,
    the same paths without a date show it today. `app.state.traffic` counts requests.

    Args:
        world: what there is, day by day.
        today: the day that paths without a date show; by default the present one in UTC.
        quotas: of callers without a token, per address.
        tokens: valid tokens with their quotas; any other token is refused.
        window_s: length of a rate-limit window in seconds.
        faults: what goes wrong; may be changed while the server runs.
        pinned_readme: whether a file's address with its commit works without `etag`, in a single
            request.
        bulk_edit: makes other tables of those in the bulk repositories, such as ones that lack
            columns.
    """
    if isinstance(today, date):
        fixed = today
        today = lambda: fixed  # noqa: E731
    traffic = Traffic()
    uploads, bulk = Uploads(), BulkRepositories(world, bulk_edit)
    calls = Endpoints(world, pinned_readme)
    routes = [*bulk.routes(), *uploads.reading(), *_routes(calls), *uploads.writing()]
    templates = {route.endpoint: route.path for route in routes if isinstance(route, Route)}
    gate = Middleware(
        Gate,
        today=today or (lambda: datetime.now(UTC).date()),
        quotas=quotas,
        tokens=dict(tokens or {}),
        window_s=window_s,
        faults=faults or Faults(),
        traffic=traffic,
        route_of=lambda scope: _route_name(templates, scope),
    )
    handlers: Mapping[Any, Any] = {
        HubError: _answer_error,
        Moved: _answer_moved,
        HTTPException: _answer_http_error,
    }
    app = Starlette(routes=routes, middleware=[gate], exception_handlers=handlers)
    app.state.traffic = traffic
    return app


def _routes(calls: Endpoints) -> list[BaseRoute]:
    """All calls; where two paths match, the first counts."""
    user, organization = "/api/users/{name}", "/api/organizations/{name}"
    paths = {
        "/api/tasks": calls.tasks,
        "/api/models-tags-by-type": calls.model_tags,
        "/api/datasets-tags-by-type": calls.dataset_tags,
        "/api/whoami-v2": calls.whoami,
        "/api/agent-harnesses": calls.agent_harnesses,
        "/api/collections": calls.collection_listing,
        "/api/collections/{slug:path}": calls.collection,
        "/api/papers": calls.paper_listing,
        "/api/papers/search": calls.paper_search,
        "/api/papers/{paper_id:path}": calls.paper,
        "/api/daily_papers": calls.daily_papers,
        f"{user}/overview": calls.user_overview,
        f"{user}/followers": calls.user_followers,
        f"{user}/following": calls.user_following,
        f"{user}/likes": calls.user_likes,
        f"{organization}/overview": calls.organization_overview,
        f"{organization}/members": calls.members,
        f"{organization}/followers": calls.organization_followers,
        "/api/resolve-cache/{rest:path}": calls.resolve_cache,
        "/lfs/{rest:path}": calls.large_file,
        "/api/{area}": calls.repository_listing,
        "/api/{area}/{repo_id:path}/likers": calls.likers,
        "/api/{area}/{repo_id:path}/revision/{revision:path}": calls.repository_revision,
        "/api/{area}/{repo_id:path}/tree/{revision}": calls.tree,
        "/api/{area}/{repo_id:path}/tree/{revision}/{folder:path}": calls.tree,
        "/api/{area}/{repo_id:path}": calls.repository,
        "/{rest:path}": calls.resolve,
    }
    return [Route(path, endpoint) for path, endpoint in paths.items()]


def _route_name(templates: Mapping[Any, str], scope: Scope) -> str:
    """The template of the path that answered, such as `/api/models/{id}/likers`."""
    template = templates.get(scope.get("endpoint"), "refused")
    area = scope.get("path_params", {}).get("area", "")
    return template.replace("{area}", area).replace(":path", "").replace("{repo_id}", "{id}")


async def _answer_error(request: Request, error: HubError) -> Response:
    return error.response()


async def _answer_moved(request: Request, moved: Moved) -> Response:
    return moved.response(request)


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    return HubError(error.status_code, error.detail).response()


class RunningServer:
    """A server in a thread of its own; a context manager that stops it.

    Attributes:
        url: its address, without a slash at the end.
    """

    def __init__(self, app: Starlette, server: uvicorn.Server, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._traffic: Traffic = app.state.traffic
        self._server = server
        self._listener = listener
        self._thread = threading.Thread(
            target=server.run, args=([listener],), name="sample-hub", daemon=True
        )
        self._thread.start()

    @property
    def requests(self) -> Counter[str]:
        """Number of requests by route, such as `/api/models/{id}/likers`."""
        return self._traffic.requests

    @property
    def buckets(self) -> Counter[str]:
        """Number of requests by rate-limit bucket."""
        return self._traffic.buckets

    def log_requests(self) -> list[RequestLine]:
        """From now on keeps every request in the list that it returns."""
        self._traffic.lines = []
        self._traffic.is_logged = True
        return self._traffic.lines

    def wait_until_ready(self, timeout_s: float) -> None:
        """Waits for the server to take requests.

        Raises:
            RuntimeError: it did not start in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the sample Hub did not start at {self.url}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stops the server within a second; requests in flight are broken off."""
        self._server.should_exit = True
        self._thread.join(_GRACE_S)
        self._server.force_exit = True
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> RunningServer:
    """Serves the application in a daemon thread; takes requests when it returns.

    Args:
        app: of `create_app`.
        host: address to listen at.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
        RuntimeError: the server did not start.
    """
    listener = socket.create_server((host, port), backlog=2_048)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="critical",
        log_config=None,
        lifespan="off",
        server_header=False,
    )
    running = RunningServer(app, uvicorn.Server(config), listener)
    running.wait_until_ready(_START_S)
    return running
