"""A crawl spends every window of its quotas and is never refused: counted by the sample Hub."""

import random
import threading
import time
from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
import urllib3

from hfkg_resources.errors import NotFound
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub import gate
from hfkg_resources.sample_hub.faults import Faults, slow
from hfkg_resources.sample_hub.quotas import FixedWindows, Quotas
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World

THREADS = 16
FIRST, SECOND = "hf_first", "hf_second"


@dataclass
class Ledger:
    """What the Hub let through in each window, and what it refused, by bucket and credential."""

    windows: dict = field(default_factory=lambda: defaultdict(list))
    refused: Counter = field(default_factory=Counter)

    def note(self, account, admission, quota):
        left = int(dict(admission.headers)[b"ratelimit"].split(b";")[1].removeprefix(b"r="))
        if not admission.allowed:
            self.refused[account] += 1
        elif left == quota - 1:
            self.windows[account].append(1)
        else:
            self.windows[account][-1] += 1

    def used(self, bucket, credential):
        """Requests of each window but the last, which the end of the crawl cuts off."""
        return self.windows[bucket, credential][:-1]


@pytest.fixture(scope="module")
def world():
    return World(repositories=60)


@pytest.fixture
def hub(world, monkeypatch):
    """Starts a sample Hub whose tokens have given quotas; gives its address and its ledger."""

    @contextmanager
    def start(window_s, tokens, delay_s=0.0):
        ledger, faults = Ledger(), Faults()
        faults.add("/", slow(delay_s))

        class Counted(FixedWindows):
            def admit(self, bucket, credential, quota):
                admission = super().admit(bucket, credential, quota)
                ledger.note((bucket, credential), admission, quota)
                return admission

        monkeypatch.setattr(gate, "FixedWindows", Counted)
        with serve(create_app(world, tokens=tokens, window_s=window_s, faults=faults)) as server:
            yield server.url, ledger

    return start


def crawl(client, path, count):
    """Asks so many times in threads, as a crawl does: what is not there is an answer too."""

    def ask(_):
        with suppress(NotFound):
            client.get(path)

    with ThreadPoolExecutor(THREADS) as threads:
        deque(threads.map(ask, range(count)), maxlen=0)


def test_every_window_is_spent_and_nothing_is_refused(hub):
    with hub(1, {FIRST: Quotas(60, 5, 5)}) as (url, ledger), HubClient(url, FIRST) as client:
        crawl(client, "/api/tasks", 210)
    used = ledger.used("api", FIRST)
    assert len(used) == 3 and min(used) >= 0.95 * 60, used
    assert not ledger.refused


def test_two_buckets_are_spent_side_by_side(hub):
    with hub(1, {FIRST: Quotas(40, 60, 5)}) as (url, ledger), HubClient(url, FIRST) as client:
        with ThreadPoolExecutor(2) as both:
            both.submit(crawl, client, "/api/tasks", 130)
            both.submit(crawl, client, "/no/such/resolve/main/README.md", 190)
        assert client.requests == {"api": 130, "resolvers": 190}
    for bucket, quota in (("api", 40), ("resolvers", 60)):
        used = ledger.used(bucket, FIRST)
        assert len(used) == 3 and min(used) >= 0.95 * quota, (bucket, used)
    assert not ledger.refused


@pytest.mark.parametrize(("tokens", "windows"), [([FIRST], 4), ([FIRST, SECOND], 2)])
def test_two_tokens_do_in_half_the_windows_what_one_does(hub, tokens, windows):
    with hub(1, dict.fromkeys(tokens, Quotas(40, 5, 5))) as (url, ledger):
        with HubClient(url, tokens) as client:
            crawl(client, "/api/tasks", 150)
            assert client.limits.snapshot()["api"].quota == 40 * len(tokens)
        for token in tokens:
            used = ledger.used("api", token)
            assert len(used) == windows - 1 and min(used) >= 0.95 * 40, (token, used)
        assert not ledger.refused


class Stranger:
    """Another process with the same token: asks in bursts, for about a third of the quota."""

    def __init__(self, url, per_second):
        self._url = f"{url}/api/tasks"
        self._rate = per_second
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _run(self):
        chance = random.Random(3)
        headers = {"Authorization": f"Bearer {FIRST}"}
        with urllib3.PoolManager(headers=headers) as http, ThreadPoolExecutor(15) as threads:
            while not self._is_over.wait(chance.expovariate(self._rate / 8)):
                for _ in range(chance.randint(1, 15)):
                    threads.submit(http.request, "GET", self._url, retries=False)


def test_a_stranger_at_the_same_quota_is_noticed_and_given_way(hub):
    quota, window_s, count = 240, 3, 400
    with (
        hub(window_s, {FIRST: Quotas(quota, 5, 5)}, delay_s=0.08) as (url, ledger),
        HubClient(url, FIRST) as client,
        Stranger(url, per_second=quota / window_s / 3),
    ):
        started = time.monotonic()
        crawl(client, "/api/tasks", count)
        seconds = time.monotonic() - started
        assert client.requests["api"] == count + client.retries
        # A burst may come between the last answer and the next request, hence not always none.
        assert client.retries <= 0.03 * count
    used = ledger.used("api", FIRST)
    assert used and min(used) >= 0.95 * quota, used
    assert seconds < (count / (quota / 2) + 1) * window_s
