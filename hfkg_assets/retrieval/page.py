"""The search page: one process that answers questions as JSON and serves the page that asks them.

Routes: `/` the page, `/static/…` its script and style, `/api/search`, `/api/similar`,
`/api/recommend`, `/api/trace`, `/api/lineage`, `/api/choices` (values of filters). Every question
is a GET, so each answer has an address that can be kept.

Belongs here: addresses, parameters and what a browser is told to refuse. Does not: answers
(`retriever`), nor how they look (`static/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfkg_assets.retrieval.answers import Filters, NotMade, RetrievalError, UnknownId
from hfkg_assets.retrieval.lineage import BREADTH, DEPTH
from hfkg_assets.retrieval.retriever import Retriever

STATIC = Path(__file__).parent / "static"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

LONGEST_ADDRESS = 128 * 1024
"""Bytes of a request's head that are read: a question of 10,000 characters of any script fits."""

DEEPEST, BROADEST = 12, 100
"""Steps and relatives that the page may ask for at once."""

HEADERS = {
    # Nothing but the page's own script, style and pictures, whatever a card's text holds.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_page(retriever: Retriever, hosts: tuple[str, ...] = LOOPBACK) -> Starlette:
    """The search page as an ASGI application.

    Args:
        retriever: answers the questions.
        hosts: names under which it may be addressed. A page of elsewhere that has its name point
            to this machine is turned away; `*` lets all in.
    """

    def answering(ask: Callable[[Mapping[str, str]], Any]) -> Callable[[Request], Response]:
        # A plain function: Starlette runs it on a thread, and goes on taking requests.
        def answer(request: Request) -> Response:
            try:
                return _json(ask(request.query_params))
            except UnknownId as error:
                return _json({"error": str(error)}, 404)
            except NotMade as error:
                return _json({"error": str(error)}, 503)
            except RetrievalError as error:
                return _json({"error": str(error)}, 400)

        return answer

    questions: dict[str, Callable[[Mapping[str, str]], Any]] = {
        "search": lambda asked: retriever.search(
            asked.get("q", ""),
            _kind(asked),
            _number(asked, "k", 10),
            filters_of(asked),
            rerank=asked.get("rerank") != "off",
        ),
        "similar": lambda asked: retriever.similar(
            _needed(asked, "id"), _number(asked, "k", 10), _kind(asked)
        ),
        "recommend": lambda asked: retriever.recommend(
            _needed(asked, "user"), _number(asked, "k", 10)
        ),
        "trace": lambda asked: retriever.trace(_needed(asked, "id")),
        "lineage": lambda asked: retriever.lineage(
            _needed(asked, "id"),
            depth=_number(asked, "depth", DEPTH, DEEPEST),
            breadth=_number(asked, "breadth", BREADTH, BROADEST),
        ),
        "choices": lambda asked: retriever.choices(),
    }
    return Starlette(
        routes=[
            Route("/", lambda request: FileResponse(STATIC / "index.html")),
            *(Route(f"/api/{name}", answering(ask)) for name, ask in questions.items()),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(_Guard),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(GZipMiddleware),
        ],
    )


def page_server(app: Starlette) -> uvicorn.Server:
    """A server of the page; `run` it with sockets that listen."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            http="h11",
            h11_max_incomplete_event_size=LONGEST_ADDRESS,
        )
    )


def filters_of(asked: Mapping[str, str]) -> Filters:
    """The filters of a question; empty texts are none.

    Raises:
        RetrievalError: a date is none.
    """
    return Filters(
        **{
            name: asked.get(name, "").strip() or None
            for name in ("task", "licence", "language", "library", "size")
        },
        since=_date(asked, "since"),
        until=_date(asked, "until"),
    )


class _Guard:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_guarded)


def _json(answer: Any, status: int = 200) -> Response:
    content = asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY),
        status,
        media_type="application/json",
    )


def _needed(asked: Mapping[str, str], name: str) -> str:
    value = asked.get(name, "").strip()
    if not value:
        raise RetrievalError(f"the question has no {name}")
    return value


def _kind(asked: Mapping[str, str]) -> str | None:
    return asked.get("kind", "") or None


def _number(asked: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = asked.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise RetrievalError(f"{name}={text[:20]!r} is no number")
    return int(text) if most is None else min(int(text), most)


def _date(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RetrievalError(f"{name}={text[:20]!r} is no date; write it as 2026-11-24") from None
