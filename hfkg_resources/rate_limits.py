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


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send one request; it comes back with the answer.

    Attributes:
        bucket: what the request counts in.
        credential: which credential it has to be sent with.
        waited_s: seconds waited for it.
        window: number of the window it was charged to.
        lowest: the fewest requests that the server had left by then, as far as was known.
    """

    bucket: str
    credential: int
    waited_s: float
    window: int
    lowest: float


class RateLimits:
    """One budget per bucket and credential, shared by all threads of a crawl.

    Every `acquire` is followed by exactly one `update` with its permit, also where no answer came.
    Until a budget's first answer one request at a time is let through. A window is spent as fast
    as the callers ask; when it is used up they wait for the next.

    Args:
        credentials: how many there are; each has quotas of its own.
        reserve: share of a quota left to others that use it; nothing while it is under a request.
        monotonic: the clock, in seconds.
        wait: waits on a condition, at most so many seconds.
    """

    def __init__(
        self,
        credentials: int = 1,
        reserve: float = 0.02,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Wait = lambda condition, timeout: condition.wait(timeout),
    ) -> None:
        self._credentials = credentials
        self._reserve = reserve
        self._monotonic = monotonic
        self._wait = wait
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str) -> Permit:
        """Blocks until a request may be sent in a bucket, under whichever credential is soonest."""
        bucket = self._bucket(name)
        started = now = self._monotonic()
        with bucket.changed:
            while True:
                delay, credential = bucket.soonest(now)
                if delay == 0:
                    budget = bucket.budgets[credential]
                    budget.charge()
                    return Permit(name, credential, now - started, budget.window, budget.lowest)
                self._wait(bucket.changed, None if delay == math.inf else delay)
                now = self._monotonic()

    def update(self, permit: Permit, headers: Mapping[str, str] | None) -> None:
        """Takes in the answer to a request.

        Args:
            permit: the permit it was sent with; the headers may name another bucket, which then
                learns from them.
            headers: the answer's headers; None if there was no answer.
        """
        limit = None if headers is None else RateLimit.parse(headers)
        now = self._monotonic()
        bucket = self._bucket(permit.bucket)
        with bucket.changed:
            budget = bucket.budgets[permit.credential]
            budget.advance(now)
            budget.in_flight -= 1
            if limit is not None and limit.bucket == permit.bucket:
                budget.learn(limit, now, permit.window, permit.lowest)
            elif headers is not None and not budget.known:
                budget.unlimited = True
            bucket.changed.notify_all()
        if limit is not None and limit.bucket != permit.bucket:
            other = self._bucket(limit.bucket)
            with other.changed:
                budget = other.budgets[permit.credential]
                budget.advance(now)
                budget.learn(limit, now, budget.window, math.inf)
                other.changed.notify_all()

    def penalize(self, permit: Permit, seconds: float) -> None:
        """Sends nothing more in the permit's budget for some seconds, after a 429."""
        bucket = self._bucket(permit.bucket)
        with bucket.changed:
            budget = bucket.budgets[permit.credential]
            budget.blocked_until = max(budget.blocked_until, self._monotonic() + seconds)

    def snapshot(self) -> dict[str, BucketState]:
        """What is left of each bucket used so far, of all credentials together."""
        with self._lock:
            buckets = dict(self._buckets)
        now = self._monotonic()
        return {name: bucket.state(now) for name, bucket in buckets.items()}

    def _bucket(self, name: str) -> "_Bucket":
        with self._lock:
            if name not in self._buckets:
                self._buckets[name] = _Bucket(self._credentials, self._reserve)
            return self._buckets[name]


class _Bucket:
    """The budgets of one bucket, by credential; its condition guards all of them."""

    def __init__(self, credentials: int, reserve: float) -> None:
        self.changed = threading.Condition()
        self.budgets = [_Budget(reserve) for _ in range(credentials)]

    def soonest(self, now: float) -> tuple[float, int]:
        """Seconds until a request may go, and with which credential; see `_Budget.delay`.

        Of those that may go at once it is the one with most left: all are spent evenly.
        """
        delay, _, _, credential = min(
            (budget.delay(now), -budget.left, budget.sent, index)
            for index, budget in enumerate(self.budgets)
        )
        return delay, credential

    def state(self, now: float) -> BucketState:
        with self.changed:
            sent = sum(budget.sent for budget in self.budgets)
            known = [budget for budget in self.budgets if budget.known]
            if not known:
                return BucketState(sent)
            quotas = [budget.quota for budget in known if budget.quota is not None]
            return BucketState(
                sent,
                left=sum(max(0, int(budget.left)) for budget in known),
                quota=sum(quotas) or None,
                reset_s=max(0.0, min(budget.reset_at for budget in known) - now),
            )


class _Budget:
    """The account of one credential in one bucket."""

    def __init__(self, reserve: float) -> None:
        self.sent = 0
        self.in_flight = 0
        self.window = 0
        self.left: float = math.inf
        self.lowest: float = math.inf
        self.quota: int | None = None
        self.reset_at = math.inf
        self.unlimited = False
        self.blocked_until = -math.inf
        self._reserve = reserve
        self._window_s: float | None = None
        self._reset_is_guess = False
        self._is_shared = False

    @property
    def known(self) -> bool:
        return self.reset_at < math.inf

    def delay(self, now: float) -> float:
        """Seconds until a request may go; 0 now, infinite if another's answer must come first."""
        self.advance(now)
        if now < self.blocked_until:
            return self.blocked_until - now
        if not self.known:
            return 0 if self.unlimited or not self.in_flight else math.inf
        return 0 if self.left - self._held_back() >= 1 else self.reset_at - now

    def charge(self) -> None:
        """Takes off a request that is about to be sent."""
        self.sent += 1
        self.in_flight += 1
        self.left -= 1

    def advance(self, now: float) -> None:
        """Opens the next window if this one is over."""
        if now < self.reset_at:
            return
        if self.quota is None or not self._window_s:
            self._open(math.inf)
        else:
            ended = 1 + (now - self.reset_at) // self._window_s
            self._open(self.reset_at + ended * self._window_s)
            self._reset_is_guess = True

    def learn(self, limit: RateLimit, now: float, window: int, lowest: float) -> None:
        """Takes in what an answer says.

        Args:
            limit: the headers.
            now: the time.
            window: the window that the request was charged to.
            lowest: the lowest number left that was known then.
        """
        if limit.quota is not None:
            self.quota, self._window_s = limit.quota, limit.window_s
        reset_at = now + limit.reset_s
        # Within a window what is left only falls: an answer with more is of a later one.
        if limit.left <= lowest and window < self.window:
            self.left += 1  # It was in flight when the window was opened, which never saw it.
            return
        if limit.left > lowest and window == self.window:
            self._open(reset_at)
            self.left -= 1
        # The header is an upper bound of the reset, so the lowest holds; a guess gives way.
        self.reset_at = reset_at if self._reset_is_guess else min(self.reset_at, reset_at)
        self._reset_is_guess = False
        self.lowest = min(self.lowest, limit.left)
        # Own requests are taken off when they are sent: what else is missing, others have used.
        self._is_shared |= limit.left < self.left < math.inf
        if self.in_flight and self.left < math.inf:
            self.left = min(self.left, limit.left)
        else:
            self.left = self.lowest - self.in_flight

    def _open(self, reset_at: float) -> None:
        """Begins a window; what is in flight may still be counted in it."""
        self.window += 1
        self.lowest = math.inf
        self.left = math.inf if self.quota is None else self.quota - self.in_flight
        self.reset_at = reset_at
        self._reset_is_guess = False

    def _held_back(self) -> int:
        """What must be left over.

        With others at the same quota a header does not tell whether they or requests still in
        flight are counted in it, so towards the end fewer and fewer are in flight at once.
        """
        reserve = min(int((self.quota or 0) * self._reserve), RESERVE_CAP)
        return reserve + (self.in_flight if self._is_shared else 0)
