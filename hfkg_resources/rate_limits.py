"""The Hub's request quotas, kept by the client so that it never runs into a 429.

The Hub counts requests per bucket in fixed windows and says in every answer what is left. Belongs
here: reading those headers and deciding when the next request may go. Does not: HTTP, retries.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# RateLimit: "api";r=476;t=146
_LIMIT = re.compile(r'^\s*"(?P<bucket>[^"]+)"\s*;\s*r=(?P<left>\d+)\s*;\s*t=(?P<reset>\d+(\.\d+)?)')
# RateLimit-Policy: "fixed window";"api";q=500;w=300
_POLICY = re.compile(r'"(?P<bucket>[^"]+)"\s*;\s*q=(?P<quota>\d+)\s*;\s*w=(?P<window>\d+(\.\d+)?)')

RESERVE_CAP = 50
"""A reserve covers other users of the quota; more than this is waste, however large the quota."""

Wait = Callable[[threading.Condition, float | None], object]


@dataclass(frozen=True)
class RateLimit:
    """One answer's rate-limit headers.

    Attributes:
        bucket: the quota's name.
        left: requests the server still accepts in this window.
        reset_s: seconds after which the window is surely over.
        quota: requests per window, if the answer says so.
        window_s: length of a window in seconds, if the answer says so.
    """

    bucket: str
    left: int
    reset_s: float
    quota: int | None = None
    window_s: float | None = None

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> "RateLimit | None":
        """Reads `RateLimit` and `RateLimit-Policy`; None without a readable `RateLimit`."""
        limit = _LIMIT.search(headers.get("RateLimit", ""))
        if limit is None:
            return None
        policy = _POLICY.search(headers.get("RateLimit-Policy", ""))
        if policy is None or policy["bucket"] != limit["bucket"]:
            return cls(limit["bucket"], int(limit["left"]), _until_reset(limit["reset"], math.inf))
        window_s = float(policy["window"])
        return cls(
            bucket=limit["bucket"],
            left=int(limit["left"]),
            reset_s=_until_reset(limit["reset"], window_s),
            quota=int(policy["quota"]),
            window_s=window_s,
        )


def _until_reset(text: str, window_s: float) -> float:
    """Whole seconds may have been rounded down; no window lasts longer than its length."""
    return min(float(text) + (0.0 if "." in text else 1.0), window_s)


@dataclass(frozen=True)
class BucketState:
    """What is known of a bucket, for progress logs.

    Attributes:
        sent: requests let through so far.
        left: requests that may still be sent in this window; None while unknown or unlimited.
        quota: requests per window, if known.
        reset_s: seconds to the end of the window, if known.
    """

    sent: int
    left: int | None = None
    quota: int | None = None
    reset_s: float | None = None

    def __str__(self) -> str:
        if self.left is None:
            return f"{self.sent} sent"
        return f"{self.left}/{self.quota or '?'} left for {self.reset_s or 0:.0f} s"


class RateLimits:
    """One budget per bucket, shared by all threads of a crawl.

    Every `acquire` is followed by exactly one `update` of the same bucket, also where no answer
    came. Until a bucket's first answer one request at a time is let through. A window is spent as
    fast as the callers ask; when it is used up they wait for the next.

    Args:
        reserve: share of a quota left to others that use it; nothing while it is under a request.
        monotonic: the clock, in seconds.
        wait: waits on a condition, at most so many seconds.
    """

    def __init__(
        self,
        reserve: float = 0.02,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Wait = lambda condition, timeout: condition.wait(timeout),
    ) -> None:
        self._reserve = reserve
        self._monotonic = monotonic
        self._wait = wait
        self._budgets: dict[str, _Budget] = {}
        self._lock = threading.Lock()

    def acquire(self, bucket: str) -> float:
        """Blocks until a request may be sent.

        Returns:
            Seconds waited.
        """
        budget = self._budget(bucket)
        started = now = self._monotonic()
        with budget.changed:
            while (delay := budget.delay(now)) != 0:
                self._wait(budget.changed, None if delay == math.inf else delay)
                now = self._monotonic()
            budget.sent += 1
            budget.in_flight += 1
            budget.left -= 1
        return now - started

    def update(self, bucket: str, headers: Mapping[str, str] | None) -> None:
        """Takes in the answer to an acquired request.

        Args:
            bucket: the bucket acquired; the headers may name another, which then learns from them.
            headers: the answer's headers; None if there was no answer.
        """
        limit = None if headers is None else RateLimit.parse(headers)
        now = self._monotonic()
        budget = self._budget(bucket)
        with budget.changed:
            budget.in_flight -= 1
            if limit is not None and limit.bucket == bucket:
                budget.learn(limit, now)
            elif headers is None:
                budget.unanswered += 1
            elif not budget.known:
                budget.unlimited = True
            budget.changed.notify_all()
        if limit is not None and limit.bucket != bucket:
            other = self._budget(limit.bucket)
            with other.changed:
                other.learn(limit, now)
                other.changed.notify_all()

    def penalize(self, bucket: str, seconds: float) -> None:
        """Sends nothing more in a bucket for some seconds, after a 429."""
        budget = self._budget(bucket)
        with budget.changed:
            budget.blocked_until = max(budget.blocked_until, self._monotonic() + seconds)

    def snapshot(self) -> dict[str, BucketState]:
        """What is left of each bucket used so far."""
        with self._lock:
            budgets = dict(self._budgets)
        now = self._monotonic()
        return {name: budget.state(now) for name, budget in budgets.items()}

    def _budget(self, bucket: str) -> "_Budget":
        with self._lock:
            if bucket not in self._budgets:
                self._budgets[bucket] = _Budget(self._reserve)
            return self._budgets[bucket]


class _Budget:
    """The account of one bucket; its condition guards all of it."""

    def __init__(self, reserve: float) -> None:
        self.changed = threading.Condition()
        self.sent = 0
        self.in_flight = 0
        self.unanswered = 0
        self.left: float = math.inf
        self.unlimited = False
        self.blocked_until = -math.inf
        self._reserve = reserve
        self._quota: int | None = None
        self._window_s: float | None = None
        self._reset_at = math.inf
        self._reset_is_guess = False
        self._lowest: float = math.inf

    @property
    def known(self) -> bool:
        return self._reset_at < math.inf

    def delay(self, now: float) -> float:
        """Seconds until a request may go; 0 now, infinite if another's answer must come first."""
        if now < self.blocked_until:
            return self.blocked_until - now
        if now >= self._reset_at:
            self._roll(now)
        if not self.known:
            return 0 if self.unlimited or not self.in_flight else math.inf
        return 0 if self.left - self._held_back() >= 1 else self._reset_at - now

    def learn(self, limit: RateLimit, now: float) -> None:
        """Takes in what an answer says."""
        if limit.quota is not None:
            self._quota, self._window_s = limit.quota, limit.window_s
        reset_at = now + limit.reset_s
        if now >= self._reset_at:
            self._roll(now)
        # An answer of the window before, overtaken by the reset, says nothing of this one.
        if self.known and self._window_s and reset_at < self._reset_at - self._window_s / 2:
            return
        # The header is an upper bound of the reset, so the lowest holds; a guess gives way.
        self._reset_at = reset_at if self._reset_is_guess else min(self._reset_at, reset_at)
        self._reset_is_guess = False
        self._lowest = min(self._lowest, limit.left)
        if self.in_flight and self.left < math.inf:
            # Those in flight may not be counted in the header yet, but they are in ours.
            self.left = min(self.left, self._lowest)
        else:
            self.left = self._lowest - self.in_flight - self.unanswered

    def _roll(self, now: float) -> None:
        """Opens the next window; what is in flight may still be counted in it."""
        self._lowest, self.unanswered = math.inf, 0
        if self._quota is None or not self._window_s:
            self.left, self._reset_at = math.inf, math.inf
            return
        self.left = self._quota - self.in_flight
        self._reset_at += self._window_s * (1 + (now - self._reset_at) // self._window_s)
        self._reset_is_guess = True

    def _held_back(self) -> int:
        return min(int((self._quota or 0) * self._reserve), RESERVE_CAP)

    def state(self, now: float) -> BucketState:
        with self.changed:
            if not self.known:
                return BucketState(self.sent)
            return BucketState(
                self.sent, max(0, int(self.left)), self._quota, max(0.0, self._reset_at - now)
            )
