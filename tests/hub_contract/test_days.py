"""The Hub of different days, and a server's life (lines 12 and 14)."""

import contextlib
import threading
import time
from datetime import date, timedelta

import pytest
import requests

from hfkg_resources.sample_hub import faults as kinds
from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.server import create_app, serve

TOKEN = "hf_valid"


def listing(ask, server, day, areas=("models", "datasets", "spaces")):
    return {
        row["_id"]: row
        for area in areas
        for row in ask.walk(f"{server.url}/{day}/api/{area}", expand=["sha", "likes"])
    }


def test_a_date_in_the_path_shows_the_world_of_that_day(ask, server, world):
    for day in (date(2024, 12, 15), date(2026, 11, 24)):
        assert set(listing(ask, server, day, ["models"])) == set(world.at(day).models["_id"])


def test_a_path_without_a_date_shows_the_present_day(ask, server, day):
    rows = ask.walk(f"{server.url}/api/models", limit=1_000)
    assert {row["_id"] for row in rows} == set(day.models["_id"])


def test_between_two_days_repositories_are_changed_renamed_and_removed(ask, server):
    before = listing(ask, server, date(2023, 6, 1))
    after = listing(ask, server, date(2026, 11, 24))
    kept = before.keys() & after.keys()
    assert after.keys() - before.keys() and before.keys() - after.keys()
    for field in ("sha", "likes", "id"):
        assert any(before[key][field] != after[key][field] for key in kept), field


def test_the_same_day_always_gives_the_same_bytes(ask, server):
    first, again = (ask(f"{server.url}/2025-06-01/api/models").content for _ in range(2))
    assert first == again
    assert first != ask(f"{server.url}/2025-12-01/api/models").content


def test_links_of_a_walk_stay_within_its_day(ask, server):
    answer = ask(f"{server.url}/2025-06-01/api/spaces", limit=1)
    assert answer.links["next"]["url"].startswith(f"{server.url}/2025-06-01/api/spaces?")


def test_a_day_may_change_while_the_server_runs(world, ask):
    today = [date(2025, 6, 1)]
    with serve(create_app(world, today=lambda: today[0])) as running:
        early = len(ask.walk(f"{running.url}/api/models"))
        today[0] += timedelta(days=500)
        assert len(ask.walk(f"{running.url}/api/models")) > early


def test_agent_harnesses_and_whoami_answer_what_the_client_expects(ask):
    assert ask("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}
    assert ask("/api/whoami-v2").status_code == 401
    me = ask("/api/whoami-v2", token=TOKEN).json()
    assert me["type"] == "user" and me["orgs"] == []
    assert me["auth"] == {"type": "access_token"}


def test_daily_papers_are_those_of_the_day_the_week_or_the_month(ask):
    every = ask.walk("/api/daily_papers", limit=100)
    assert every
    stamp = every[0]["paper"]["submittedOnDailyAt"]
    day = date.fromisoformat(stamp[:10])
    periods = {
        "date": (stamp[:10], lambda other: other == day),
        "week": (f"{day:%G-W%V}", lambda other: other.isocalendar()[:2] == day.isocalendar()[:2]),
        "month": (stamp[:7], lambda other: (other.year, other.month) == (day.year, day.month)),
    }
    for name, (text, belongs) in periods.items():
        wanted = [
            item["paper"]["id"]
            for item in every
            if belongs(date.fromisoformat(item["paper"]["submittedOnDailyAt"][:10]))
        ]
        found = [item["paper"]["id"] for item in ask.walk("/api/daily_papers", **{name: text})]
        assert found == wanted
        assert ask("/api/daily_papers", **{name: "soon"}).status_code == 400


def test_the_server_counts_requests_by_route_and_by_bucket(world, day, open_model):
    with serve(create_app(world, today=day.day)) as running:
        lines = running.log_requests()
        for path in (
            "/api/models",
            "/api/models?limit=1",
            f"/api/models/{open_model['id']}/likers",
        ):
            requests.get(running.url + path, timeout=10)
        requests.get(f"{running.url}/{open_model['id']}/resolve/main/README.md", timeout=10)
        assert running.requests["/api/models"] == 2
        assert running.requests["/api/models/{id}/likers"] == 1
        assert running.buckets == {"api": 3, "resolvers": 2}
        assert [line.status for line in lines] == [200, 200, 200, 307, 200]
        assert (lines[1].method, lines[1].path) == ("GET", "/api/models?limit=1")


def test_a_server_stops_within_a_second_though_a_request_is_open(world, day):
    faults = Faults()
    faults.add("/api/whoami-v2", kinds.slow(30))
    running = serve(create_app(world, today=day.day, faults=faults))
    session = requests.Session()
    session.get(f"{running.url}/api/agent-harnesses", timeout=10)

    def wait_for_the_slow_answer():
        with contextlib.suppress(requests.exceptions.ConnectionError):
            session.get(f"{running.url}/api/whoami-v2", timeout=20)

    waiting = threading.Thread(target=wait_for_the_slow_answer)
    waiting.start()
    time.sleep(0.2)
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 1
    waiting.join(5)
    assert not waiting.is_alive()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{running.url}/api/agent-harnesses", timeout=1)
