"""Rate limits of the sample Hub: quotas per plan, fixed windows per bucket and credential.

Belongs here: counting requests and the rate-limit headers. Does not: what a request asks for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """Requests a credential may send per window, by bucket."""

    api: int
    resolvers: int
    pages: int


PLANS = {
    "anonymous": Quotas(500, 3_000, 100),
    "free": Quotas(1_000, 5_000, 200),
    "pro": Quotas(2_500, 12_000, 400),
    "team": Quotas(3_000, 20_000, 400),
    "academia": Quotas(3_000, 20_000, 400),
    "enterprise": Quotas(6_000, 50_000, 600),
    "enterprise-plus": Quotas(10_000, 100_000, 1_000),
    "enterprise-plus-higher": Quotas(100_000, 500_000, 10_000),
}
"""The Hub's documented quotas per five minutes (hub-docs, `rate-limits.md`)."""

GENEROUS = PLANS["enterprise-plus-higher"]
"""High enough not to slow a small crawl; the headers are there all the same."""

UNLIMITED = Quotas(10**9, 10**9, 10**9)
"""For benchmarks of the crawler itself."""


def bucket_of(path: str) -> str:
    """The bucket that a path (without date prefix) is counted in."""
    if "/resolve/" in path or path.startswith("/api/resolve-cache/"):
        return "resolvers"
    return "api" if path.startswith("/api/") else "pages"


@dataclass(frozen=True)
class Admission:
    """The limiter's decision on one request, with the headers that announce it."""

    allowed: bool
    headers: list[tuple[bytes, bytes]]


class FixedWindows:
    """Counts requests in windows that start with the first request after the last reset.

    Not thread-safe: the server's event loop is its only user.

    Args:
        window_s: length of a window in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def admit(self, bucket: str, credential: str, quota: int) -> Admission:
        """Counts a request and says whether it is within `quota`."""
        now = self._clock()
        reset_at, used = self._windows.get((bucket, credential), (0.0, 0))
        if now >= reset_at:
            reset_at, used = now + self._window_s, 0
        allowed = used < quota
        used += allowed
        self._windows[bucket, credential] = (reset_at, used)
        return Admission(
            allowed, limit_headers(bucket, quota, quota - used, reset_at - now, self._window_s)
        )


def limit_headers(
    bucket: str, quota: int, left: int, reset_s: float, window_s: float
) -> list[tuple[bytes, bytes]]:
    """`RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers-09."""
    limit = f'"{bucket}";r={left};t={math.ceil(reset_s)}'
    policy = f'"fixed window";"{bucket}";q={quota};w={window_s:g}'
    return [(b"ratelimit", limit.encode()), (b"ratelimit-policy", policy.encode())]
