"""HTTP to the Hub: one client with pooled connections, rate limits, retries, paging.

Belongs here: getting an answer, or one error that says why there is none. Does not: what an
endpoint answers, and the order in which a crawl asks (`crawl_journal`).
"""

import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib import metadata
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, parse_header_links
from urllib3.exceptions import MaxRetryError

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
from hfkg_resources.rate_limits import RateLimit, RateLimits

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

_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


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
        records: the page's rows, raw; may be empty before the end.
        next_url: where the list goes on; None on the last page.
    """

    records: list[Any]
    next_url: str | None


class HubClient:
    """Reads the Hub. May be shared by threads; use it as a context manager.

    Args:
        endpoint: the Hub's address; it may have a path of its own.
        token: sent to the endpoint's host only.
        limits: the budgets; its own if none are given.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for the next bytes of an answer.
        attempts: how often a request is tried where it fails in a way that may pass.
        backoff_s: the first wait between attempts is drawn from [0, this], each next from twice it.
        backoff_cap_s: the longest such wait.
        connections: connections kept open.

    Attributes:
        requests: requests sent by bucket: every hop and every attempt counts.
        retries: attempts after the first.
        waited_s: seconds that threads waited for the quota and between attempts, summed.
        limits: the budgets.
    """

    def __init__(
        self,
        endpoint: str,
        token: str | None = None,
        *,
        limits: RateLimits | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        attempts: int = 6,
        backoff_s: float = 0.5,
        backoff_cap_s: float = 30.0,
        connections: int = 32,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.limits = RateLimits() if limits is None else limits
        self.requests: Counter[str] = Counter()
        self.retries = 0
        self.waited_s = 0.0
        self._token = _sound_token(token, self.endpoint)
        self._timeout = (connect_timeout, read_timeout)
        self._attempts = attempts
        self._backoff_s, self._backoff_cap_s = backoff_s, backoff_cap_s
        self._counting = threading.Lock()
        self._of_thread = threading.local()
        self._reached = False
        self._session = _session(connections)
        self._proxies = get_environ_proxies(self.endpoint)

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HubClient({bare(self.endpoint)!r}, {'token' if self._token else 'anonymous'})"

    @property
    def is_anonymous(self) -> bool:
        """Whether requests go out without a token."""
        return self._token is None

    @property
    def requests_of_thread(self) -> int:
        """Requests that the calling thread has sent."""
        return getattr(self._of_thread, "requests", 0)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

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

    def pages(self, path_or_url: str, params: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """The pages of a list, each asked for when it is taken.

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
            answer, records = self._get(page_url, params, decode=orjson.loads)
            if not isinstance(records, list):
                raise MalformedAnswer("not a list", url=answer.url, status=answer.status)
            next_url, params = self._next_url(answer), None
            if next_url in seen:
                # An empty page that leads to itself is a hiccup: it is read again, a few times.
                again += 1
                if records or next_url != page_url or again > EMPTY_PAGES:
                    raise RedirectLoop("the next page was read before", url=next_url)
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
        url, seen = self._absolute(path_or_url), set()
        for hops in range(MAX_REDIRECTS + 1):
            seen.add(url)
            answer, decoded = self._persist(url, params, decode, cap)
            if answer.status not in REDIRECTS:
                return Answer(answer.status, answer.url, answer.content, answer.headers, hops), (
                    decoded
                )
            url, params = self._target(answer), None
            if url in seen:
                raise RedirectLoop("a redirect leads back", url=url, status=answer.status)
        raise RedirectLoop(f"more than {MAX_REDIRECTS} redirects", url=url)

    def _persist(
        self,
        url: str,
        params: Mapping[str, Any] | None,
        decode: Callable[[bytes], Any] | None,
        cap: int | None,
    ) -> tuple[Answer, Any]:
        """One hop, tried until it gives something other than transient trouble."""
        failed = limited = 0
        while True:
            try:
                return self._attempt(url, params, decode, cap)
            except _Transient as trouble:
                limited += trouble.limited
                failed += not trouble.limited
                if failed >= self._patience(trouble) or limited > MAX_LIMITED:
                    raise trouble.final from trouble.__cause__
                self._pause(url, trouble, failed + limited)

    def _attempt(
        self,
        url: str,
        params: Mapping[str, Any] | None,
        decode: Callable[[bytes], Any] | None,
        cap: int | None,
    ) -> tuple[Answer, Any]:
        bucket, at_home = self._bucket(url), self._is_home(url)
        waited = self.limits.acquire(bucket)
        with self._counting:
            self.requests[bucket] += 1
            self.waited_s += waited
        self._of_thread.requests = self.requests_of_thread + 1
        headers: Mapping[str, str] | None = None
        try:
            with self._session.get(
                url,
                params=_query(params),
                auth=_Bearer(self._token if at_home else None),
                proxies=self._proxies if at_home else get_environ_proxies(url),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                self._reached = True
                status = response.status_code
                # A refusal by something before the Hub is no sign that the Hub has no limits.
                if status not in TRANSIENT or "RateLimit" in response.headers:
                    headers = response.headers
                content = _read(response, cap if status < 300 else None)
                address = response.url
        except _BROKEN as error:
            raise self._broken(url, error, at_home) from error
        except (requests.RequestException, ValueError) as error:
            raise BadRequest(f"not an address: {type(error).__name__}", url=url) from error
        finally:
            self.limits.update(bucket, headers)
        answer = Answer(status, address, content, response.headers)
        if status in REDIRECTS:
            return answer, None
        if not 200 <= status < 300:
            raise self._failure(answer, sent_token=bool(self._token) and at_home)
        return answer, _decoded(answer, decode)

    def _failure(self, answer: Answer, *, sent_token: bool) -> Exception:
        """What an answer that is neither 2xx nor a redirect means."""
        status, headers = answer.status, answer.headers
        if status in TRANSIENT or status >= 500:
            return _Transient(
                GaveUp("the Hub keeps failing", url=answer.url, status=status),
                limited=status == 429,
                wait_s=_asked_to_wait(headers),
            )
        message = headers.get("X-Error-Message") or _error_text(answer.content)
        return refusal(status, headers, url=answer.url, sent_token=sent_token, message=message)

    def _broken(self, url: str, error: Exception, at_home: bool) -> "_Transient":
        """What it means that there is no whole answer."""
        no_connection = isinstance(error, requests.ConnectTimeout) or (
            bool(error.args) and isinstance(error.args[0], MaxRetryError)
        )
        if no_connection and at_home:
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

    def _pause(self, url: str, trouble: "_Transient", number: int) -> None:
        """Waits before the next attempt; after a 429 the whole bucket waits."""
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
            self.limits.penalize(self._bucket(url), seconds)
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
        return _origin(url) == _origin(self.endpoint)

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
        links = parse_header_links(answer.headers.get("Link", ""))
        url = next((link["url"] for link in links if link.get("rel") == "next"), None)
        if url is None:
            return None
        url = urljoin(answer.url, url)
        if not self._is_home(url):
            raise MalformedAnswer(
                f"the next page lies on another host: {bare(url)}", url=answer.url
            )
        return url


class _Transient(Exception):
    """Trouble that may pass; `final` is raised if it does not."""

    def __init__(
        self, final: HubError, *, limited: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(final.message)
        self.final = final
        self.limited = limited
        self.wait_s = wait_s


class _Bearer(requests.auth.AuthBase):
    """Sends the token, or nothing: given as `auth` it also keeps out what ~/.netrc holds."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    # Looked up once by the client; requests would read the environment at every request.
    session.trust_env = False
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {"User-Agent": f"hfkg/{_version()}", "Accept": "*/*", "Accept-Encoding": "gzip"}
    )
    adapter = HTTPAdapter(pool_maxsize=connections, pool_block=True, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _version() -> str:
    try:
        return metadata.version("hfkg")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def _sound_token(token: str | None, endpoint: str) -> str | None:
    """The token without white space around it; what cannot be one never reaches a header."""
    token = (token or "").strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise BadToken("HF_TOKEN holds characters that no token has", url=endpoint)
    return token or None


def _query(params: Mapping[str, Any] | None) -> dict[str, Any]:
    lowered = {True: "true", False: "false"}
    return {
        key: lowered[value] if isinstance(value, bool) else value
        for key, value in (params or {}).items()
    }


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _read(response: requests.Response, cap: int | None) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than `cap`; the rest is not read.
    """
    if cap is None:
        return response.content
    chunks, size = [], 0
    for chunk in response.iter_content(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > cap:
            raise TooLarge(
                f"longer than {cap} bytes", url=response.url, status=response.status_code
            )
    return b"".join(chunks)


def _decoded(answer: Answer, decode: Callable[[bytes], Any] | None) -> Any:
    if decode is None:
        return None
    try:
        return decode(answer.content)
    except ValueError as error:
        raise _Transient(
            MalformedAnswer(f"not JSON: {error}", url=answer.url, status=answer.status)
        ) from error


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
