"""Answers of the sample Hub that are no records: errors, redirects, JSON, pages with `Link`.

Belongs here: status, headers and body of an answer, and reading paging parameters. Does not: which
call gives what (`server`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json; charset=utf-8"
ORIGIN = "https://huggingface.co"


class HubError(Exception):
    """An answer with an error status.

    Args:
        status: the HTTP status.
        message: for the body and `X-Error-Message`.
        code: for `X-Error-Code`, where the Hub gives one.
        headers: further headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        # Header values are Latin-1: what a message quotes of a request may not be.
        headers = {"X-Error-Message": self.message.encode("ascii", "replace").decode()}
        if self.code:
            headers["X-Error-Code"] = self.code
        return json_response({"error": self.message}, self.status, headers | self.headers)


class Moved(Exception):
    """What was asked for stands under another path: 307 with a relative `Location`.

    Args:
        path: the path without date prefix.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def response(self, request: Request) -> Response:
        """The answer; keeps date prefix and query."""
        query = request.scope["query_string"].decode("latin-1")
        location = quote(request.scope["root_path"] + self.path) + (f"?{query}" if query else "")
        body = f"Temporary Redirect. Redirecting to {location}"
        headers = {"Location": location, "Vary": "Origin, Accept"}
        return Response(body, 307, headers, media_type="text/plain")


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON, with the weak `ETag` that the Hub gives."""
    # Front matter may hold what JSON has no type for.
    body = orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS)
    digest = base64.b64encode(hashlib.sha1(body).digest()).decode().rstrip("=")
    tag = {"ETag": f'W/"{len(body):x}-{digest}"'}
    return Response(body, status, {**tag, **(headers or {})}, media_type=JSON)


def page_response(request: Request, rows: list[Any], cursor: str | None) -> Response:
    """A page of a listing, with a `Link` to the next unless `cursor` is None."""
    if cursor is None:
        return json_response(rows)
    url = own_url(request).include_query_params(cursor=cursor)
    return json_response(rows, headers={"Link": f'<{url}>; rel="next"'})


def own_url(request: Request) -> URL:
    """The address asked for, as it was written: a path may hold an encoded `#` or `?`."""
    path, query = (request.scope[name].decode("latin-1") for name in ("raw_path", "query_string"))
    base = f"{request.url.scheme}://{request.url.netloc}"
    return URL(f"{base}{path}?{query}" if query else f"{base}{path}")


def integer(request: Request, name: str, default: int, least: int, most: int | None) -> int:
    """A number in the query.

    Raises:
        HubError: 400, if it is none or outside of what is documented.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise HubError(400, f'"{name}" must be a number') from None
    if value < least:
        raise HubError(400, f'"{name}" must be greater than or equal to {least}')
    if most is not None and value > most:
        raise HubError(400, f'"{name}" must be less than or equal to {most}')
    return value


def choice(request: Request, name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of some words in the query.

    Raises:
        HubError: 400, if it is none of them.
    """
    value = request.query_params.get(name, default)
    if value not in allowed:
        raise HubError(400, f'"{name}" must be one of [{", ".join(allowed)}]')
    return value


def repeated(request: Request, name: str) -> list[str]:
    """All values of a parameter that may be given several times, with or without brackets."""
    query = request.query_params
    return [*query.getlist(name), *query.getlist(f"{name}[]")]


def flag(request: Request, name: str, default: bool = False) -> bool:
    """A boolean in the query."""
    return request.query_params.get(name, str(default)).lower() in ("true", "1")


def offset_of(request: Request) -> int:
    """The offset that a list's cursor (24 hex digits) stands for.

    Raises:
        HubError: 400, if the cursor is malformed.
    """
    cursor = request.query_params.get("cursor", "0" * 24)
    try:
        if len(cursor) == 24:
            return int(cursor, 16)
    except ValueError:
        pass
    raise HubError(400, "Invalid cursor")


def cursor_at(offset: int, total: int) -> str | None:
    """The cursor of the page that starts at `offset`, or None at the end."""
    return f"{offset:024x}" if offset < total else None


def encode_cursor(value: Any) -> str:
    """An opaque cursor that holds a JSON value."""
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


def decode_cursor(cursor: str) -> Any:
    """What `encode_cursor` was given.

    Raises:
        HubError: 400, if the cursor is malformed.
    """
    try:
        return orjson.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError, UnicodeError):
        raise HubError(400, "Invalid cursor") from None
