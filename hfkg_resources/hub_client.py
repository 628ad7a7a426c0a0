"""HTTP to the Hub: one client with pooled connections, rate limits, retries, paging.

Belongs here: getting an answer, or one error that says why there is none. Does not: what an
endpoint answers, and the order in which a crawl asks (`crawl_journal`).
"""

import logging
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import orjson
import urllib3
from urllib3 import exceptions

from hfkg_resources.errors import (
    BadRequest,
    BadToken,
    GaveUp,
    HubError,
    HubUnreachable,
    MalformedAnswer,
    RedirectLoop,
    TooLarge,
    bare,
    refusal,
)
from hfkg_resources.rate_limits import Permit, RateLimit, RateLimits

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say nothing about what was asked for: the same request may pass later."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
MAX_LIMITED = 20
"""429s of one request that are waited out: they are no attempts, but must come to an end."""

FIRST_CONTACT_ATTEMPTS = 2
MAX_WAIT_S = 900.0
"""A longer `Retry-After` is not believed: three windows of the Hub."""

CHUNK = 64 * 1024
ELSEWHERE = "elsewhere"
"""The bucket of requests that a redirect leads to another host."""

log = logging.getLogger(__name__)

EMPTY_PAGES = 3
"""How often a walk follows an empty page's link back to that page."""

_NO_CONNECTION = (
    exceptions.NewConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyError,
    exceptions.SSLError,
)
# Link: <https://…?cursor=…>; rel="next"
_NEXT = re.compile(r'<(?P<url>[^>]*)>[^<]*;\s*rel="?next\b')


@dataclass(frozen=True)
class Answer:
    """A successful answer.

    Attributes:
        status: HTTP status, 2xx.
        url: the address that answered, after redirects.
        content: the body, decompressed.
        headers: by name, case ignored.
        redirects: hops on the way.
    """

    status: int
    url: str
    content: bytes
    headers: Mapping[str, str]
    redirects: int = 0

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            MalformedAnswer: it is none.
        """
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise MalformedAnswer(f"not JSON: {error}", url=self.url, status=self.status) from error


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        records: what `read` made of it, else its rows, raw; may be empty before the end.
        next_url: where the list goes on; None on the last page.
    """

    records: Any
    next_url: str | None


class HubClient:
    """Reads the Hub. May be shared by threads; use it as a context manager.

    Args:
        endpoint: the Hub's address; it may have a path of its own.
        token: sent to the endpoint's host only. Several, of accounts that may read the same, are
            used side by side, each up to its own quotas.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next bytes of an answer.
        attempts: how often a request is tried where it fails in a way that may pass.
        backoff_s: the first wait between attempts is drawn from [0, this], each next from twice it.
        backoff_cap_s: the longest such wait.
        connections: connections to one host at most.

    Attributes:
        requests: requests sent by bucket: every hop and every attempt counts.
        retries: attempts after the first.
        waited_s: seconds that threads waited for the quota and between attempts, summed.
        limits: the budgets.
    """

    def __init__(
        self,
        endpoint: str,
        token: str | Sequence[str] | None = None,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        attempts: int = 6,
        backoff_s: float = 0.5,
        backoff_cap_s: float = 30.0,
        connections: int = 64,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.requests: Counter[str] = Counter()
        self.retries = 0
        self.waited_s = 0.0
        self._credentials = _credentials(token, self.endpoint)
        self.limits = RateLimits(len(self._credentials))
        self._origin = _origin(self.endpoint)
        self._attempts = attempts
        self._backoff_s, self._backoff_cap_s = backoff_s, backoff_cap_s
        self._counting = threading.Lock()
        self._of_thread = threading.local()
        self._reached = False
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._settings = {
            "maxsize": connections,
            "block": True,
            "retries": False,
            "timeout": urllib3.Timeout(connect=connect_timeout, read=read_timeout),
            "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
        }
        self._home_pool = self._pool(self.endpoint)

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        who = ", ".join(credential.name for credential in self._credentials)
        return f"HubClient({bare(self.endpoint)!r}, {who})"

    def __getstate__(self) -> None:
        raise TypeError("a HubClient is not copied: it holds tokens and connections")

    @property
    def requests_of_thread(self) -> int:
        """Requests that the calling thread has sent."""
        return getattr(self._of_thread, "requests", 0)

    @property
    def is_anonymous(self) -> bool:
        """Whether requests go out without a token."""
        return self._credentials == (_ANONYMOUS,)

    def close(self) -> None:
        """Closes the connections."""
        for pool in self._pools.values():
            pool.clear()

    def get(self, path_or_url: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Asks for a path below the endpoint, or a whole address; follows redirects.

        Args:
            path_or_url: what to ask for.
            params: the query; a list repeats its key, None leaves it out.

        Raises:
            HubError: the subclass says why there is no answer.
        """
        return self._get(path_or_url, params)[0]

    def get_json(self, path_or_url: str, params: Mapping[str, Any] | None = None) -> Any:
        """Like `get`, the body read as JSON; a broken one is asked for again.

        Raises:
            MalformedAnswer: no attempt gave JSON.
            HubError: as for `get`.
        """
        return self._get(path_or_url, params, decode=orjson.loads)[1]

    def get_bytes(self, path_or_url: str, *, cap: int) -> Answer:
        """Like `get`, for files: stops reading at `cap` bytes.

        Raises:
            TooLarge: there is more than that.
            HubError: as for `get`.
        """
        return self._get(path_or_url, None, cap=cap)[0]

    def pages(
        self,
        path_or_url: str,
        params: Mapping[str, Any] | None = None,
        *,
        read: Callable[[bytes], Sized] | None = None,
    ) -> Iterator[Page]:
        """The pages of a list, each asked for when it is taken.

        Args:
            path_or_url: the list.
            params: its query.
            read: makes something that has a length of a page's body; a `ValueError` says that the
                body is broken, and it is asked for again. Without it the rows are given raw.

        Raises:
            MalformedAnswer: a page is no list, or the next one lies on another host.
            RedirectLoop: a page leads back to one that was read.
            HubError: as for `get`.
        """
        seen = set()
        again = 0
        next_url: str | None = self._absolute(path_or_url)
        while next_url is not None:
            page_url = next_url
            seen.add(page_url)
            answer, records = self._get(page_url, params, decode=read or _list)
            next_url, params = self._next_url(answer), None
            if next_url in seen:
                # An empty page that leads to itself is a hiccup: it is read again, a few times.
                again += 1
                if len(records) or next_url != page_url or again > EMPTY_PAGES:
                    raise RedirectLoop("the next page was read before", url=next_url)
            else:
                again = 0
            yield Page(records, next_url)

    def path_of(self, url: str) -> str:
        """An address below the endpoint as a path, which holds wherever the endpoint moves."""
        return url.removeprefix(self.endpoint) if url.startswith(self.endpoint + "/") else url

    # -- one answer -----------------------------------------------------------------------------

    def _get(
        self,
        path_or_url: str,
        params: Mapping[str, Any] | None,
        *,
        decode: Callable[[bytes], Any] | None = None,
        cap: int | None = None,
    ) -> tuple[Answer, Any]:
        """The answer after redirects, and its decoded body."""
        url, seen = _with_query(self._absolute(path_or_url), params), set()
        for hops in range(MAX_REDIRECTS + 1):
            seen.add(url)
            answer, decoded = self._persist(url, decode, cap)
            if answer.status not in REDIRECTS:
                return replace(answer, redirects=hops), decoded
            url = self._target(answer)
            if url in seen:
                raise RedirectLoop("a redirect leads back", url=url, status=answer.status)
        raise RedirectLoop(f"more than {MAX_REDIRECTS} redirects", url=url)

    def _persist(
        self, url: str, decode: Callable[[bytes], Any] | None, cap: int | None
    ) -> tuple[Answer, Any]:
        """One hop, tried until it gives something other than transient trouble."""
        failed = limited = 0
        bucket = self._bucket(url)
        while True:
            permit = self.limits.acquire(bucket)
            try:
                answer = self._attempt(url, permit, cap)
                return answer, None if answer.status in REDIRECTS else _decoded(answer, decode)
            except _Transient as trouble:
                limited += trouble.limited
                failed += not trouble.limited
                if failed >= self._patience(trouble) or limited > MAX_LIMITED:
                    raise trouble.final from trouble.__cause__
                self._pause(url, permit, trouble, failed + limited)

    def _attempt(self, url: str, permit: Permit, cap: int | None) -> Answer:
        """One request and its answer, which is 2xx or a redirect."""
        at_home = permit.bucket != ELSEWHERE
        credential = self._credentials[permit.credential] if at_home else _ANONYMOUS
        response = None
        try:
            with self._send(url, permit, credential) as response:
                content = _read(response, url, cap)
        except ValueError as error:
            raise BadRequest(f"not an address: {type(error).__name__}", url=url) from error
        except exceptions.HTTPError as error:
            raise self._broken(url, error, connected=response is not None or not at_home) from error
        answer = Answer(response.status, url, content, response.headers)
        if answer.status in REDIRECTS or 200 <= answer.status < 300:
            return answer
        raise self._failure(answer, credential)

    def _send(
        self, url: str, permit: Permit, credential: "_Credential"
    ) -> urllib3.BaseHTTPResponse:
        """The head of the answer, from which the budget learns; the body is still to be read."""
        with self._counting:
            self.requests[permit.bucket] += 1
            self.waited_s += permit.waited_s
        self._of_thread.requests = self.requests_of_thread + 1
        heard: Mapping[str, str] | None = None
        try:
            pool = self._pool(url) if permit.bucket == ELSEWHERE else self._home_pool
            response = pool.request(
                "GET", url, headers=credential.headers, redirect=False, preload_content=False
            )
            self._reached = True
            if permit.bucket == ELSEWHERE:
                heard = {}  # what limits others have is not known here
            # A refusal by something before the Hub is no sign that the Hub has no limits.
            elif response.status not in TRANSIENT or "RateLimit" in response.headers:
                heard = response.headers
            return response
        finally:
            self.limits.update(permit, heard)

    def _failure(self, answer: Answer, credential: "_Credential") -> Exception:
        """What an answer that is neither 2xx nor a redirect means."""
        status, headers = answer.status, answer.headers
        if status in TRANSIENT or status >= 500:
            return _Transient(
                GaveUp("the Hub keeps failing", url=answer.url, status=status),
                limited=status == 429,
                wait_s=_asked_to_wait(headers),
            )
        message = headers.get("X-Error-Message") or _error_text(answer.content)
        error = refusal(
            status,
            headers,
            url=answer.url,
            sent_token="Authorization" in credential.headers,
            message=message,
        )
        if isinstance(error, BadToken) and len(self._credentials) > 1:
            return BadToken(f"The Hub refuses {credential.name}", url=answer.url, status=status)
        return error

    def _broken(self, url: str, error: Exception, *, connected: bool) -> "_Transient":
        """What it means that there is no whole answer."""
        if isinstance(error, _NO_CONNECTION) and not connected:
            return _Transient(
                HubUnreachable(
                    f"No connection to {bare(self.endpoint)}: check HF_ENDPOINT and the network",
                    url=url,
                )
            )
        return _Transient(GaveUp(f"the connection breaks: {type(error).__name__}", url=url))

    def _patience(self, trouble: "_Transient") -> int:
        """A wrong endpoint should show at once, not after a minute."""
        first_contact = isinstance(trouble.final, HubUnreachable) and not self._reached
        return min(FIRST_CONTACT_ATTEMPTS, self._attempts) if first_contact else self._attempts

    def _pause(self, url: str, permit: Permit, trouble: "_Transient", number: int) -> None:
        """Waits before the next attempt; after a 429 the whole budget waits."""
        # Full jitter: threads that failed together do not come back together.
        longest = min(self._backoff_cap_s, self._backoff_s * 2 ** (number - 1))
        seconds = random.uniform(0, longest) if trouble.wait_s is None else trouble.wait_s
        with self._counting:
            self.retries += 1
        log.info(
            "attempt %d at %s in %.1f s: %s",
            number + 1, urlsplit(url).path, seconds, trouble.final.status or trouble.final.message,
        )  # fmt: skip
        if trouble.limited:
            self.limits.penalize(permit, seconds)
            return
        with self._counting:
            self.waited_s += seconds
        time.sleep(seconds)

    # -- addresses ------------------------------------------------------------------------------

    def _absolute(self, path_or_url: str) -> str:
        if path_or_url.startswith(("http://", "https://")):
            return path_or_url
        return f"{self.endpoint}/{path_or_url.lstrip('/')}"

    def _is_home(self, url: str) -> bool:
        return _origin(url) == self._origin

    def _bucket(self, url: str) -> str:
        if not self._is_home(url):
            return ELSEWHERE
        path = urlsplit(self.path_of(url)).path
        if "/resolve/" in path or path.startswith("/api/resolve-cache/"):
            return "resolvers"
        return "api" if path.startswith("/api/") else "pages"

    def _target(self, answer: Answer) -> str:
        location = answer.headers.get("Location", "")
        url = urljoin(answer.url, location)
        if not location or not url.startswith(("http://", "https://")):
            raise MalformedAnswer(
                "a redirect that leads nowhere", url=answer.url, status=answer.status
            )
        return url

    def _next_url(self, answer: Answer) -> str | None:
        link = _NEXT.search(answer.headers.get("Link", ""))
        if link is None:
            return None
        url = urljoin(answer.url, link["url"])
        if not self._is_home(url):
            raise MalformedAnswer(
                f"the next page lies on another host: {bare(url)}", url=answer.url
            )
        return url

    # -- connections ----------------------------------------------------------------------------

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The connections that lead to an address, through a proxy if the environment has one."""
        proxy = _proxy(url)
        with self._counting:
            if proxy not in self._pools:
                self._pools[proxy] = _pool_manager(proxy, self._settings)
            return self._pools[proxy]


class _Transient(Exception):
    """Trouble that may pass; `final` is raised if it does not."""

    def __init__(
        self, final: HubError, *, limited: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(final.message)
        self.final = final
        self.limited = limited
        self.wait_s = wait_s


@dataclass(frozen=True)
class _Credential:
    """Whom a request is sent for.

    Attributes:
        name: what messages call it.
        headers: what is sent; never shown.
    """

    name: str
    headers: Mapping[str, str] = field(repr=False)


def _version() -> str:
    try:
        return metadata.version("hfkg")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


_HEADERS = {"User-Agent": f"hfkg/{_version()}", "Accept": "*/*", "Accept-Encoding": "gzip"}
_ANONYMOUS = _Credential("anonymous", _HEADERS)


def _credentials(token: str | Sequence[str] | None, endpoint: str) -> tuple[_Credential, ...]:
    """One for each token, whatever white space is around it; what is empty is none.

    Raises:
        BadToken: it holds what must not get into a header.
    """
    tokens = [token or ""] if token is None or isinstance(token, str) else list(token)
    by_token: dict[str, _Credential] = {}
    for number, text in enumerate(map(str.strip, tokens), 1):
        name = "token" if len(tokens) == 1 else f"token {number} of {len(tokens)}"
        if not (text.isascii() and text.isprintable() and " " not in text):
            where = "HF_TOKEN" if len(tokens) == 1 else name
            raise BadToken(f"{where} holds characters that no token has", url=endpoint)
        if text:
            headers = {**_HEADERS, "Authorization": f"Bearer {text}"}
            by_token.setdefault(text, _Credential(name, headers))
    return tuple(by_token.values()) or (_ANONYMOUS,)


def _proxy(url: str) -> str | None:
    parts, proxies = urlsplit(url), getproxies()
    if not parts.hostname or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _pool_manager(proxy: str | None, settings: dict[str, Any]) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(**settings)
    user = unquote(urlsplit(proxy).netloc.rpartition("@")[0])
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)


def _with_query(url: str, params: Mapping[str, Any] | None) -> str:
    lowered = {True: "true", False: "false"}
    query = {
        key: lowered[value] if isinstance(value, bool) else value
        for key, value in (params or {}).items()
        if value is not None
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, doseq=True)}" if query else url


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _read(response: urllib3.BaseHTTPResponse, url: str, cap: int | None) -> bytes:
    """The whole body.

    Raises:
        TooLarge: that of a success is longer than `cap`; the rest is not read.
    """
    if cap is None or response.status >= 300:
        return response.data
    chunks, size = [], 0
    for chunk in response.stream(CHUNK, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > cap:
            raise TooLarge(f"longer than {cap} bytes", url=url, status=response.status)
    return b"".join(chunks)


def _decoded(answer: Answer, decode: Callable[[bytes], Any] | None) -> Any:
    if decode is None:
        return None
    try:
        return decode(answer.content)
    except ValueError as error:
        raise _Transient(
            MalformedAnswer(f"not as promised: {error}", url=answer.url, status=answer.status)
        ) from error


def _list(content: bytes) -> list[Any]:
    """The rows of a page.

    Raises:
        ValueError: it is no JSON array.
    """
    rows = orjson.loads(content)
    if not isinstance(rows, list):
        raise ValueError("not a list")
    return rows


def _error_text(content: bytes) -> str:
    """The text of `{"error": …}`, or nothing."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("error", ""))[:300] if isinstance(body, dict) else ""


def _asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: to the reset if the quota is used up, or `Retry-After`."""
    limit = RateLimit.parse(headers)
    if limit is not None and limit.left == 0:
        return min(limit.reset_s, MAX_WAIT_S)
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return min(float(text), MAX_WAIT_S)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), MAX_WAIT_S)
