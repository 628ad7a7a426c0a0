"""What every request of the sample Hub passes: date prefix, quota, token, faults, common headers.

Belongs here: all that is the same for each call. Does not: the calls (`endpoints`). One plain
ASGI wrapper, for a stack of middlewares would cost more time than the calls themselves.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfkg_resources.sample_hub.answers import ORIGIN, HubError
from hfkg_resources.sample_hub.faults import Fault, Faults
from hfkg_resources.sample_hub.quotas import (
    Admission,
    FixedWindows,
    Quotas,
    bucket_of,
    limit_headers,
)

_PREFIX = re.compile(r"/(\d{4}-\d\d-\d\d)(?=/|$)")
_UNCOUNTED = ("/api/agent-harnesses",)
_COMMON = [
    (b"x-powered-by", b"huggingface-moon"),
    (b"access-control-allow-origin", ORIGIN.encode()),
    (
        b"access-control-expose-headers",
        b"X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
        b"Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash",
    ),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-cache", b"Miss from cloudfront"),
]
_BINARY = b"application/octet-stream"
_GZIP_LEVEL = 1
"""Loopback has bandwidth to spare, the server's processor has not."""


@dataclass(frozen=True)
class RequestLine:
    """One request as it was answered."""

    method: str
    path: str
    status: int


@dataclass
class Traffic:
    """What has been asked of the server.

    Attributes:
        requests: number of requests by route, such as `/api/models/{id}/likers`.
        buckets: number of requests by rate-limit bucket.
        lines: every request, while `is_logged`.
        is_logged: whether `lines` grows.
    """

    requests: Counter[str] = field(default_factory=Counter)
    buckets: Counter[str] = field(default_factory=Counter)
    lines: list[RequestLine] = field(default_factory=list)
    is_logged: bool = False


@dataclass
class _Answer:
    """An answer held back until it is complete."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def receive(self, message: Message) -> None:
        """An ASGI `send` that stores."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        else:
            self.body += message.get("body", b"")

    def set(self, name: bytes, value: bytes | None) -> None:
        """Replaces or, with None, removes a header."""
        self.headers = [header for header in self.headers if header[0].lower() != name]
        if value is not None:
            self.headers.append((name, value))


class Gate:
    """The ASGI wrapper round all routes.

    The day asked for and whether the token is valid stand in the scope for the routes, as
    `hub.day` and `hub.has_token`.

    Args:
        app: the routes.
        today: the day that paths without a date prefix show.
        quotas: of callers without a token, per address.
        tokens: valid tokens with their quotas.
        window_s: length of a rate-limit window in seconds.
        faults: what goes wrong.
        traffic: where requests are counted.
        route_of: names the route that answered a scope.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        today: Callable[[], date],
        quotas: Quotas,
        tokens: Mapping[str, Quotas],
        window_s: float,
        faults: Faults,
        traffic: Traffic,
        route_of: Callable[[Scope], str],
    ) -> None:
        self._app = app
        self._today = today
        self._quotas = quotas
        self._tokens = tokens
        self._window_s = window_s
        self._windows = FixedWindows(window_s)
        self._faults = faults
        self._traffic = traffic
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        prefix = self._set_day(scope)
        path = scope["path"][len(prefix) :]
        bucket = bucket_of(path)
        token = _token(request)
        admission = self._admit(request, path, bucket, token)
        query = scope["query_string"].decode("latin-1")
        target = scope["path"] + (f"?{query}" if query else "")
        fault = self._faults.draw(scope["method"], target) if admission.allowed else None

        answer = _Answer()
        app = self._app_for(request, token, admission, fault)
        if fault and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        await app(scope, receive, answer.receive)
        self._count(scope, target, bucket, answer.status)
        _spoil(scope["method"], answer, fault)
        self._add_headers(request, answer, bucket, admission, fault)
        await _send(scope["method"], answer, fault, send)

    def _set_day(self, scope: Scope) -> str:
        match = _PREFIX.match(scope["path"])
        scope["hub.day"] = self._today()
        if match is None:
            return ""
        try:
            scope["hub.day"] = date.fromisoformat(match[1])
        except ValueError:
            return ""
        scope["root_path"] = match[0]
        return match[0]

    def _admit(self, request: Request, path: str, bucket: str, token: str | None) -> Admission:
        request.scope["hub.has_token"] = token in self._tokens
        if path in _UNCOUNTED:
            return Admission(True, [])
        quotas = self._quotas if token is None else self._tokens.get(token, self._quotas)
        address = request.client.host if request.client else ""
        # A wrong token is nobody's: it counts for the address.
        credential = token if token in self._tokens and token else address
        return self._windows.admit(bucket, credential, getattr(quotas, bucket))

    def _app_for(
        self, request: Request, token: str | None, admission: Admission, fault: Fault | None
    ) -> ASGIApp:
        """What answers: an error of the gate, or the routes."""
        if not admission.allowed:
            text = "We had to rate limit you. Please retry later or send a token."
            return HubError(429, text).response()
        if fault and fault.status is not None:
            headers = dict(fault.headers)
            if fault.status == 307:
                headers["Location"] = _own_path(request)
                return Response(status_code=307, headers=headers)
            return HubError(fault.status, f"Error {fault.status}", headers=headers).response()
        if token is not None and token not in self._tokens:
            return HubError(401, "Invalid credentials in Authorization header").response()
        return self._app

    def _count(self, scope: Scope, target: str, bucket: str, status: int) -> None:
        self._traffic.requests[self._route_of(scope)] += 1
        self._traffic.buckets[bucket] += 1
        if self._traffic.is_logged:
            self._traffic.lines.append(RequestLine(scope["method"], target, status))

    def _add_headers(
        self,
        request: Request,
        answer: _Answer,
        bucket: str,
        admission: Admission,
        fault: Fault | None,
    ) -> None:
        answer.headers += _COMMON
        if not any(name == b"vary" for name, _ in answer.headers):
            answer.headers.append((b"vary", b"Origin"))
        trace = request.headers.get("x-amzn-trace-id", str(uuid.uuid4()))
        root = uuid.uuid4().hex
        request_id = f"Root=1-{root[:8]}-{root[8:]};{trace}"
        answer.headers.append((b"x-request-id", request_id.encode("latin-1", "replace")))
        limits = admission.headers
        if fault and fault.reset_s is not None:
            quota = getattr(self._quotas, bucket)
            limits = limit_headers(bucket, quota, 0, fault.reset_s, self._window_s)
        if fault is None or fault.keeps_limit_headers:
            answer.headers += limits
        if fault and fault.retry_at_same_url and answer.status == 200:
            answer.set(b"link", f'<{request.url}>; rel="next"'.encode())
        encodings = request.headers.get("accept-encoding", "")
        # Weights would not get smaller, and who resumes must be able to count their bytes.
        is_text = (b"content-type", _BINARY) not in answer.headers
        if "gzip" in encodings and answer.status == 200 and is_text:
            answer.body = gzip.compress(answer.body, _GZIP_LEVEL, mtime=0)
            answer.set(b"content-length", None)
            answer.headers.append((b"content-encoding", b"gzip"))


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _own_path(request: Request) -> str:
    path = request.scope.get("raw_path", request.scope["path"].encode()).decode("ascii")
    return path + (f"?{request.url.query}" if request.url.query else "")


def _spoil(method: str, answer: _Answer, fault: Fault | None) -> None:
    if fault and fault.rewrite and answer.status in (200, 206):
        answer.body = fault.rewrite(answer.body)
        answer.set(b"content-length", str(len(answer.body)).encode())
    if fault and fault.size_off_by:
        spoilt = (b"x-linked-size", b"content-length") if method == "HEAD" else (b"x-linked-size",)
        told = {name.lower(): value for name, value in answer.headers}
        for name in spoilt:
            if name in told:
                answer.set(name, str(int(told[name]) + fault.size_off_by).encode())


async def _send(method: str, answer: _Answer, fault: Fault | None, send: Send) -> None:
    body = b"" if method == "HEAD" else answer.body
    if fault and fault.is_cut:
        answer.set(b"content-length", str(len(body)).encode())
        body = body[: len(body) // 2]
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    # Half a body that announces more to come makes the server close the connection.
    await send({"type": "http.response.body", "body": body, "more_body": _is_cut(fault)})


def _is_cut(fault: Fault | None) -> bool:
    return fault is not None and fault.is_cut
