"""Faults of the sample Hub, switched on per route: what a crawler must survive.

Belongs here: the kinds of fault and which request meets one. Does not: the right answers, which
the faults spoil only after the server has made them.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """One way for a request to go wrong; the effects that are set are applied together.

    Attributes:
        status: answer this status in place of the true answer.
        headers: headers of that answer.
        keeps_limit_headers: whether that answer carries the rate-limit headers.
        reset_s: what they say then: none left, and seconds until there are.
        retry_at_same_url: point `Location` or `Link` to the request's own URL.
        delay_s: seconds to wait before the answer.
        is_cut: announce the whole body, send half of it, close the connection.
        rewrite: makes another body of the true one.
        size_off_by: added to the size that `X-Linked-Size` tells of a large file, and to the length
            that the answer to a `HEAD` tells.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keeps_limit_headers: bool = True
    reset_s: int | None = None
    retry_at_same_url: bool = False
    delay_s: float = 0.0
    is_cut: bool = False
    rewrite: Callable[[bytes], bytes] | None = None
    size_off_by: int = 0


def error(status: int, headers: Mapping[str, str] | None = None) -> Fault:
    """An error answer, such as 500, 502, 503 or 504."""
    return Fault(status=status, headers=headers or {})


def too_many_requests(reset_s: int = 1) -> Fault:
    """429 that says with `RateLimit` when to come back."""
    return Fault(status=429, reset_s=reset_s)


def too_many_requests_without_headers() -> Fault:
    """429 that does not say when to come back."""
    return Fault(status=429, keeps_limit_headers=False)


def too_many_requests_with_retry_after(seconds: int = 1) -> Fault:
    """429 that says with `Retry-After` alone when to come back."""
    return Fault(status=429, headers={"Retry-After": str(seconds)}, keeps_limit_headers=False)


def gated() -> Fault:
    """A repository that has been closed to this caller since it was listed."""
    return error(401, {"X-Error-Code": "GatedRepo"})


def disabled() -> Fault:
    """A repository that the Hub has disabled since it was listed; only the message tells."""
    return error(403, {"X-Error-Message": "Access to this resource is disabled."})


def removed_repository() -> Fault:
    """A repository that is gone, or private: a caller without a token is told neither."""
    return error(401)


def removed() -> Fault:
    """A collection, paper or account that is gone."""
    return error(404)


def slow(seconds: float) -> Fault:
    """The right answer, late."""
    return Fault(delay_s=seconds)


def cut_connection() -> Fault:
    """A connection closed in the middle of the body, of which the whole length was announced."""
    return Fault(is_cut=True)


def corrupt_content() -> Fault:
    """A file of the right length with a wrong byte in every hundred."""

    def spoil(body: bytes) -> bytes:
        spoilt = bytearray(body)
        spoilt[::100] = bytes(byte ^ 0xFF for byte in spoilt[::100])
        return bytes(spoilt)

    return Fault(rewrite=spoil)


def short_content() -> Fault:
    """A complete HTTP answer with the first half of a file; only the file's own size tells."""
    return Fault(rewrite=lambda body: body[: len(body) // 2])


def wrong_size(off_by: int = 1) -> Fault:
    """Headers that tell another size than the file has; the file itself comes as it is."""
    return Fault(size_off_by=off_by)


def redirect_loop() -> Fault:
    """A 307 to the very URL that was asked for."""
    return Fault(status=307, retry_at_same_url=True)


def truncated_json() -> Fault:
    """A complete HTTP answer whose JSON ends in the middle."""
    return Fault(rewrite=lambda body: body[: len(body) // 2])


def empty_page_with_link() -> Fault:
    """An empty page that is not the last: its `Link` leads to the page asked for."""
    return Fault(retry_at_same_url=True, rewrite=lambda _: b"[]")


def wrong_type(name: str, value: Any, row: int = 0) -> Fault:
    """One record of a page (or the only record of an answer) with a value of another type.

    A page that has no such row stays as it is.
    """

    def spoil(body: bytes) -> bytes:
        answer = orjson.loads(body)
        records = answer[row : row + 1] if isinstance(answer, list) else [answer]
        for record in records:
            record[name] = value
        return orjson.dumps(answer)

    return Fault(rewrite=spoil)


def wrong_answer() -> Fault:
    """An object where a list belongs, a list where an object does: both empty, both valid JSON."""
    return Fault(rewrite=lambda body: b"{}" if body.startswith(b"[") else b"[]")


def rows_twice() -> Fault:
    """A page that shows each of its rows twice."""
    return Fault(rewrite=_on_rows(lambda rows: [*rows, *rows]))


def duplicate_row() -> Fault:
    """Every page but the first repeats the last row of the page before."""
    last: Rows = []

    def repeat(rows: Rows) -> Rows:
        repeated = [*last, *rows]
        last[:] = rows[-1:]
        return repeated

    return Fault(rewrite=_on_rows(repeat))


def drift(name: str = "likes") -> Fault:
    """A walk that is no snapshot: a row of one page comes again on the next, changed, in place of
    the row there, which no page shows.

    Args:
        name: the counter that has grown in between.
    """
    moved: Rows = []

    def shift(rows: Rows) -> Rows:
        shifted = rows
        if moved and rows:
            shifted = [moved[0] | {name: moved[0].get(name, 0) + 1}, *rows[1:]]
        moved[:] = rows[-1:]
        return shifted

    return Fault(rewrite=_on_rows(shift))


def _on_rows(change: Callable[[Rows], Rows]) -> Callable[[bytes], bytes]:
    return lambda body: orjson.dumps(change(orjson.loads(body)))


@dataclass
class _Rule:
    pattern: re.Pattern[str]
    fault: Fault
    left: float
    probability: float
    method: str | None

    def matches(self, method: str, target: str) -> bool:
        """Whether a request is one that may meet the fault."""
        return (
            self.left > 0
            and self.method in (None, method)
            and self.pattern.search(target) is not None
        )


class Faults:
    """Which requests go wrong, and how. May be changed by any thread while the server runs.

    Args:
        seed: of the draws for faults with a probability.

    Attributes:
        met: number of requests that met a fault.
    """

    def __init__(self, seed: int = 0) -> None:
        self.met = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def add(
        self,
        pattern: str,
        fault: Fault,
        *,
        times: int | None = None,
        probability: float = 1.0,
        method: str | None = None,
    ) -> None:
        """Switches a fault on.

        Args:
            pattern: regular expression, searched in the path with its date prefix and query.
            fault: what happens.
            times: how many requests meet it; None for all.
            probability: the chance of a matching request to meet it.
            method: of the requests that meet it, such as `GET`; None for any.
        """
        left = float("inf") if times is None else times
        with self._lock:
            self._rules.append(_Rule(re.compile(pattern), fault, left, probability, method))

    def clear(self) -> None:
        """Switches all faults off."""
        with self._lock:
            self._rules.clear()

    def draw(self, method: str, target: str) -> Fault | None:
        """The fault that this request meets: the first rule that matches and strikes."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if not rule.matches(method, target):
                    continue
                if rule.probability >= 1 or self._random.random() < rule.probability:
                    rule.left -= 1
                    self.met += 1
                    return rule.fault
        return None
