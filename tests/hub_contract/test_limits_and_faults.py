"""Rate limits on every answer, and faults that can be switched on (line 10)."""

import re
import time

import pytest
import requests

from hfkg_resources import errors
from hfkg_resources.sample_hub import faults as kinds
from hfkg_resources.sample_hub.quotas import FixedWindows, Quotas
from hfkg_resources.sample_hub.server import create_app, serve

TOKEN = "hf_valid"


@pytest.fixture
def tight(world, day):
    """A server with three API calls a window, and ten with the token."""
    tokens = {TOKEN: Quotas(10, 10, 10)}
    app = create_app(world, today=day.day, quotas=Quotas(3, 5, 2), tokens=tokens, window_s=0.4)
    with serve(app) as running:
        yield running.url


def status(url, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(url + path, headers=headers, timeout=10).status_code


@pytest.mark.parametrize(
    "path", ["/api/models", "/api/models/no/such", "/nothing", "/api/users/no/overview"]
)
def test_rate_limit_headers_are_on_every_answer(ask, path):
    headers = ask(path).headers
    bucket = "api" if path.startswith("/api/") else "pages"
    assert headers["RateLimit"].startswith(f'"{bucket}";r=')
    assert headers["RateLimit-Policy"].startswith(f'"fixed window";"{bucket}";q=')
    assert headers["RateLimit-Policy"].endswith(";w=300")


def test_files_count_in_the_resolvers_bucket_on_both_hops(ask, open_model):
    first = ask(f"/{open_model['id']}/resolve/main/README.md")
    second = ask(ask.base.rsplit("/", 1)[0] + first.headers["Location"])
    assert (first.status_code, second.status_code) == (307, 200)
    assert all(answer.headers["RateLimit"].startswith('"resolvers";') for answer in (first, second))


def test_an_answer_costs_one_request_of_the_quota_and_a_token_has_its_own(ask):
    def left(**options):
        return int(ask("/api/tasks", **options).headers["RateLimit"].split(";")[1][2:])

    assert left() - left() == 1
    assert left(token=TOKEN) < 2_500 < left()


def test_a_spent_window_answers_429_until_it_is_over(tight):
    statuses = [status(tight, "/api/tasks") for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = requests.get(tight + "/api/tasks", timeout=10)
    assert refused.headers["RateLimit"].startswith('"api";r=0;t=')
    assert status(tight, "/api/tasks", TOKEN) == 200, "another credential has its own window"
    assert status(tight, "/nothing") == 404, "another bucket has its own window"
    time.sleep(0.45)
    assert status(tight, "/api/tasks") == 200


def test_errors_cost_a_request_and_the_clients_greeting_costs_none(tight):
    assert [status(tight, "/api/agent-harnesses") for _ in range(5)] == [200] * 5
    assert [status(tight, "/api/models/no/such") for _ in range(4)] == [401, 401, 401, 429]


def test_a_window_starts_with_the_first_request_after_the_last_one_ended():
    now = [100.0]
    windows = FixedWindows(300, clock=lambda: now[0])
    first = windows.admit("api", "me", 2)
    assert dict(first.headers)[b"ratelimit"] == b'"api";r=1;t=300'
    now[0] += 299.5
    assert dict(windows.admit("api", "me", 2).headers)[b"ratelimit"] == b'"api";r=0;t=1'
    assert not windows.admit("api", "me", 2).allowed
    now[0] += 1
    assert dict(windows.admit("api", "me", 2).headers)[b"ratelimit"] == b'"api";r=1;t=300'


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_server_error_strikes_as_often_as_told(ask, faults, code):
    faults.add("/api/tasks", kinds.error(code), times=2)
    before = faults.met
    assert [ask("/api/tasks").status_code for _ in range(3)] == [code, code, 200]
    assert faults.met - before == 2


def test_429_can_come_with_the_reset_without_anything_or_with_retry_after(ask, faults):
    faults.add("/api/tasks", kinds.too_many_requests(7), times=1)
    faults.add("/api/tasks", kinds.too_many_requests_without_headers(), times=1)
    faults.add("/api/tasks", kinds.too_many_requests_with_retry_after(9), times=1)
    announced, silent, later = (ask("/api/tasks") for _ in range(3))
    assert {announced.status_code, silent.status_code, later.status_code} == {429}
    assert announced.headers["RateLimit"] == '"api";r=0;t=7'
    assert not silent.headers.keys() & {"ratelimit", "ratelimit-policy", "retry-after"}
    assert later.headers["Retry-After"] == "9" and "RateLimit" not in later.headers


def test_a_fault_meets_only_paths_that_match(ask, faults):
    faults.add(r"/likers$", kinds.error(500))
    assert ask("/api/tasks").status_code == 200
    assert ask("/api/models/no/such/likers").status_code == 500


def test_a_fault_with_a_probability_strikes_some_requests(ask, faults):
    faults.add("/api/tasks", kinds.error(503), probability=0.5)
    failures = sum(ask("/api/tasks").status_code == 503 for _ in range(60))
    assert 10 < failures < 50


def test_a_slow_answer_is_right_and_late(ask, faults):
    faults.add("/api/tasks", kinds.slow(0.3), times=1)
    started = time.monotonic()
    assert ask("/api/tasks").status_code == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_cut_connection_breaks_off_inside_the_body(ask, faults, encoding):
    faults.add("/api/models", kinds.cut_connection(), times=1)
    with pytest.raises(requests.exceptions.RequestException):
        ask("/api/models", headers={"Accept-Encoding": encoding})
    assert ask("/api/models").status_code == 200


def test_truncated_json_is_a_complete_answer_that_does_not_parse(ask, faults):
    faults.add("/api/models", kinds.truncated_json(), times=1)
    answer = ask("/api/models")
    assert answer.status_code == 200 and answer.text.startswith("[{")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_one_record_can_have_a_value_of_the_wrong_type(ask, faults):
    faults.add("/api/models", kinds.wrong_type("likes", "many", row=2), times=1)
    assert [type(row["likes"]) for row in ask("/api/models").json()[:4]] == [int, int, str, int]


def test_a_whole_answer_can_be_of_the_wrong_type(ask, faults):
    faults.add("/api/", kinds.wrong_answer(), times=2)
    assert ask("/api/models").json() == {}
    assert ask("/api/tasks").json() == []
    assert ask("/api/models").json()


def test_a_page_can_show_its_rows_twice(ask, faults):
    faults.add("/api/models", kinds.rows_twice(), times=1)
    twice, once = ask("/api/models", limit=10).json(), ask("/api/models", limit=10).json()
    assert twice == [*once, *once]


@pytest.mark.parametrize(
    ("fault", "gone"),
    [
        (kinds.gated(), errors.Gated),
        (kinds.disabled(), errors.Disabled),
        (kinds.removed_repository(), errors.NotFound),
        (kinds.removed(), errors.NotFound),
    ],
)
def test_what_is_withheld_after_it_was_listed_says_so_as_the_hub_does(
    ask, faults, open_model, fault, gone
):
    path = f"/api/models/{open_model['id']}"
    faults.add(re.escape(path), fault, times=1)
    answer = ask(path)
    refusal = errors.refusal(answer.status_code, answer.headers, url=path, sent_token=False)
    assert type(refusal) is gone
    assert ask(path).status_code == 200


def test_an_empty_page_links_to_the_page_that_was_asked_for(ask, faults, day):
    faults.add(r"/api/models\?.*cursor", kinds.empty_page_with_link(), times=1)
    pages = list(ask.pages("/api/models", limit=50))
    assert [len(page) for page in pages[:3]] == [50, 0, 50]
    assert sum(map(len, pages)) == day.models.height


def test_a_row_can_come_on_two_pages(ask, faults, day):
    faults.add(r"/api/models\?", kinds.duplicate_row())
    first, second = list(ask.pages("/api/models", limit=50))[:2]
    assert len(second) == 51 and second[0] == first[-1]
    faults.clear()
    faults.add(r"/api/models\?", kinds.duplicate_row())
    assert {row["_id"] for row in ask.walk("/api/models", limit=50)} == set(day.models["_id"])


def test_a_drifting_walk_shows_a_row_twice_changed_and_another_not_at_all(ask, faults, day):
    faults.add(r"/api/models\?", kinds.drift())
    first, second = list(ask.pages("/api/models", limit=50))[:2]
    assert second[0]["_id"] == first[-1]["_id"]
    assert second[0]["likes"] == first[-1]["likes"] + 1
    faults.clear()
    faults.add(r"/api/models\?", kinds.drift())
    assert set(day.models["_id"]) - {row["_id"] for row in ask.walk("/api/models", limit=50)}


def test_a_redirect_loop_leads_to_itself(ask, faults):
    faults.add("/api/tasks", kinds.redirect_loop())
    with pytest.raises(requests.exceptions.TooManyRedirects):
        ask("/api/tasks", follow=True)
