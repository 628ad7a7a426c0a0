"""Budgets are read off the Hub's headers and used up without ever provoking a 429."""

import dataclasses
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hfkg_resources.hub_client import HubClient
from hfkg_resources.rate_limits import RateLimit, RateLimits


def headers(left, reset, quota=500, window=300, bucket="api"):
    return {
        "RateLimit": f'"{bucket}";r={left};t={reset}',
        "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w={window}',
    }


class HasToWait(Exception):
    pass


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.now = 1000.0
        self.waits = []
        self.is_stopped = False

    def monotonic(self):
        return self.now

    def wait(self, condition, timeout):
        assert timeout is not None, "waits for an answer that nobody will bring"
        self.waits.append(timeout)
        if self.is_stopped:
            raise HasToWait
        self.now += timeout


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limits(clock):
    return RateLimits(monotonic=clock.monotonic, wait=clock.wait)


def send(limits, answer, bucket="api"):
    limits.update(limits.acquire(bucket), answer)


def sendable(limits, clock, bucket="api"):
    """How many requests go out before one has to wait."""
    clock.is_stopped = True
    for count in range(1_000_000):
        try:
            limits.acquire(bucket)
        except HasToWait:
            return count
    raise AssertionError("no end of it")


def test_both_headers_are_read_into_an_immutable_record():
    limit = RateLimit.parse(headers(476, "146.0"))
    assert limit == RateLimit("api", left=476, reset_s=146.0, quota=500, window_s=300.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        limit.left = 1


def test_whole_seconds_may_be_rounded_down_and_count_one_more_up_to_the_window():
    assert RateLimit.parse(headers(1, 146)).reset_s == 147
    assert RateLimit.parse(headers(1, 300)).reset_s == 300


@pytest.mark.parametrize("text", ["", "nonsense", '"api";r=x;t=1', '"api";r=1'])
def test_an_unreadable_header_says_nothing(text):
    assert RateLimit.parse({"RateLimit": text}) is None


def test_the_policy_of_another_bucket_is_not_taken_for_this_one():
    mixed = {**headers(5, 10), "RateLimit-Policy": '"fixed window";"pages";q=100;w=300'}
    assert RateLimit.parse(mixed) == RateLimit("api", left=5, reset_s=11)


def test_until_the_first_answer_one_request_is_in_flight():
    limits, sent, answer_now = RateLimits(), [], threading.Event()

    def request(number):
        permit = limits.acquire("api")
        sent.append(number)
        answer_now.wait(5)
        limits.update(permit, headers(400, 100))

    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(request, number)
        time.sleep(0.1)
        before = len(sent)
        answer_now.set()
    assert (before, len(sent)) == (1, 4)


def test_an_unanswered_first_request_does_not_open_the_bucket(limits, clock):
    send(limits, None)
    limits.acquire("api")
    with pytest.raises(AssertionError, match="nobody will bring"):
        limits.acquire("api")


def test_a_server_without_limits_is_not_asked_one_by_one(limits, clock):
    send(limits, {})
    for _ in range(100):
        limits.acquire("api")
    assert clock.waits == []


def test_what_is_left_is_spent_at_once_and_then_the_reset_is_awaited_in_one_wait(limits, clock):
    send(limits, headers(30, "120.0", quota=40))
    assert sendable(limits, clock) == 30
    assert clock.waits == [120.0]


def test_the_next_window_has_the_full_quota_but_for_what_is_in_flight(limits, clock):
    send(limits, headers(3, "60.0", quota=40))
    for _ in range(3):
        limits.acquire("api")
    clock.now += 60
    assert sendable(limits, clock) == 40 - 3


@pytest.mark.parametrize(("quota", "held"), [(49, 0), (500, 10), (2_500, 50), (100_000, 50)])
def test_the_reserve_is_a_share_of_the_quota_within_bounds(limits, clock, quota, held):
    send(limits, headers(quota - 1, "10.0", quota=quota))
    assert sendable(limits, clock) == quota - 1 - held


def test_requests_of_another_process_are_taken_off_too(limits, clock):
    send(limits, headers(40, "60.0", quota=45))
    send(limits, headers(11, "60.0", quota=45))
    assert limits.snapshot()["api"].left == 11


def test_with_others_at_the_quota_what_is_in_flight_is_not_sure_to_be_counted_yet(limits, clock):
    send(limits, headers(40, "60.0", quota=45))
    send(limits, headers(12, "60.0", quota=45))
    permits = [limits.acquire("api") for _ in range(6)]
    with pytest.raises(HasToWait):
        clock.is_stopped = True
        limits.acquire("api")
    for left, permit in zip((11, 10, 9, 8, 7, 6), permits, strict=True):
        limits.update(permit, headers(left, "60.0", quota=45))
    assert sendable(limits, clock) == 3


def test_answers_that_overtake_each_other_do_not_raise_the_budget(limits, clock):
    send(limits, headers(20, "60.0", quota=40))
    permits = [limits.acquire("api") for _ in range(3)]
    for left, permit in zip((17, 19, 18), permits, strict=True):
        limits.update(permit, headers(left, "60.0", quota=40))
    assert sendable(limits, clock) == 17


def test_requests_in_flight_are_not_counted_twice_once_they_are_answered(limits, clock):
    send(limits, headers(39, "60.0", quota=40))
    before = [limits.acquire("api") for _ in range(2)]
    clock.now += 60
    # Both are charged to the new window until their answers show that it never saw them.
    after = limits.acquire("api")
    assert limits.snapshot()["api"].left == 37
    for left, permit in zip((37, 38), before, strict=True):
        limits.update(permit, headers(left, "0.0", quota=40))
    limits.update(after, headers(39, "300.0", quota=40))
    assert sendable(limits, clock) == 39


def test_a_late_answer_of_the_last_window_does_not_drain_the_new_one(limits, clock):
    # Windows so short that whole seconds cannot tell which one an answer is of.
    send(limits, headers(2, 1, quota=40, window=1))
    late = limits.acquire("api")
    clock.now += 1
    limits.update(limits.acquire("api"), headers(39, 1, quota=40, window=1))
    limits.update(late, headers(1, 1, quota=40, window=1))
    assert sendable(limits, clock) == 39


def test_an_answer_with_more_left_than_before_is_of_the_next_window(limits, clock):
    send(limits, headers(3, 20, quota=40))
    clock.now += 20  # Rounding leaves one second more in which the window may be over.
    waiting = [limits.acquire("api") for _ in range(2)]
    limits.update(waiting[1], headers(38, 300, quota=40))
    assert limits.snapshot()["api"].reset_s == 300
    limits.update(waiting[0], headers(39, 300, quota=40))
    assert sendable(limits, clock) == 38


def test_a_request_without_answer_counts_as_one_the_server_has_seen(limits, clock):
    send(limits, headers(20, "60.0", quota=40))
    send(limits, None)
    assert sendable(limits, clock) == 19


def test_after_a_penalty_nothing_is_sent_for_its_time(limits, clock):
    send(limits, headers(20, "60.0", quota=40))
    limits.penalize(limits.acquire("api"), 7.5)
    assert limits.acquire("api").waited_s == 7.5
    assert limits.acquire("api").waited_s == 0


def test_buckets_do_not_wait_for_each_other(limits, clock):
    send(limits, headers(0, "60.0"))
    send(limits, headers(9, "60.0", bucket="resolvers", quota=10), "resolvers")
    assert limits.acquire("resolvers").waited_s == 0
    assert limits.acquire("api").waited_s == 60


def test_the_bucket_named_in_the_header_learns_from_it(limits, clock):
    send(limits, headers(4, "60.0", bucket="api", quota=10), bucket="resolvers")
    assert sendable(limits, clock) == 4


def test_the_snapshot_tells_what_is_left(limits, clock):
    send(limits, headers(476, "146.0"))
    state = limits.snapshot()["api"]
    assert (state.sent, state.left, state.quota, state.reset_s) == (1, 476, 500, 146.0)
    assert str(state) == "476/500 left for 146 s"


def test_each_credential_has_a_budget_of_its_own_and_the_fullest_is_spent_first(clock):
    limits = RateLimits(2, monotonic=clock.monotonic, wait=clock.wait)
    for left in (5, 8):
        send(limits, headers(left, "60.0", quota=10))
    sent = [limits.acquire("api").credential for _ in range(13)]
    assert sent[:3] == [1, 1, 1]
    assert Counter(sent) == {0: 5, 1: 8}
    assert limits.acquire("api").waited_s == 60


def test_a_penalty_meets_one_credential_and_the_others_go_on(clock):
    limits = RateLimits(2, monotonic=clock.monotonic, wait=clock.wait)
    for _ in range(2):
        send(limits, headers(9, "60.0", quota=10))
    limited = limits.acquire("api")
    limits.penalize(limited, 30)
    others = [limits.acquire("api") for _ in range(9)]
    assert {permit.credential for permit in others} == {1 - limited.credential}
    assert clock.waits == []
    assert limits.acquire("api").waited_s == 30


def test_the_snapshot_sums_over_credentials(clock):
    limits = RateLimits(2, monotonic=clock.monotonic, wait=clock.wait)
    send(limits, headers(400, "30.0"))
    send(limits, headers(476, "146.0"))
    state = limits.snapshot()["api"]
    assert (state.sent, state.left, state.quota, state.reset_s) == (2, 876, 1_000, 30.0)


def test_after_windows_of_idleness_the_quota_is_full_once(limits, clock):
    send(limits, headers(0, "10.0", quota=20, window=60))
    clock.now += 200
    assert sendable(limits, clock) == 20
    assert clock.waits == [50.0]  # windows end 10, 70, 130, 190 and 250 seconds after the start


class StrictWindows(ThreadingHTTPServer):
    """Answers 50 requests per half second and 429 to the rest."""

    quota, window_s = 50, 0.5

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StrictHandler)
        self.daemon_threads = True
        self.request_queue_size = 64
        self.started = time.monotonic()
        self.counting = threading.Lock()
        self.accepted, self.refused = Counter(), Counter()

    def admit(self):
        with self.counting:
            age = time.monotonic() - self.started
            window = int(age / self.window_s)
            full = self.accepted[window] >= self.quota
            (self.refused if full else self.accepted)[window] += 1
            left = self.quota - self.accepted[window]
            return full, left, (window + 1) * self.window_s - age


class StrictHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        full, left, reset = self.server.admit()
        self.send_response(429 if full else 200)
        self.send_header("RateLimit", f'"api";r={left};t={reset:.4f}')
        self.send_header("RateLimit-Policy", '"fixed window";"api";q=50;w=0.5')
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_windows_are_used_almost_fully_by_many_threads_without_one_429():
    server = StrictWindows()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    end = time.monotonic() + 2.2
    with HubClient(f"http://127.0.0.1:{server.server_port}") as client:

        def crawl():
            while time.monotonic() < end:
                client.get("/api/models")

        threads = [threading.Thread(target=crawl) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    server.shutdown()
    server.server_close()
    assert server.refused.total() == 0
    # The first window is probed one by one, the last is cut off.
    used = [server.accepted[window] for window in range(1, 4)]
    assert sum(used) >= 0.9 * 3 * server.quota, used
