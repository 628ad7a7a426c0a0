"""The client against a server that answers what each test tells it to."""

import copy
import gzip
import logging
import pickle
import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import orjson
import pytest

from hfkg_resources import errors
from hfkg_resources.hub_client import HubClient

TOKEN = "hf_secret"


@dataclass(frozen=True)
class Reply:
    """An answer; `cut` closes the connection after half of the body, or before any of it.

    `chunked` sends it in chunks and without its length, as the Hub sends compressed texts.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    chunked: bool = False


class ScriptedHub(ThreadingHTTPServer):
    """Gives each path's replies in turn, the last one again and again."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = {}
        self.seen = []
        self.counts = defaultdict(int)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def reply_to(self, path):
        replies = self.replies.get(path, [Reply(404, b'{"error":"no"}')])
        self.counts[path] += 1
        return replies[min(self.counts[path], len(replies)) - 1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        reply = self.server.reply_to(urlsplit(self.path).path)
        time.sleep(reply.delay_s)
        if reply.cut and not reply.body:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in (reply.body[:7], reply.body[7:]):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
        if reply.cut:
            self.close_connection = True

    def log_message(self, *_):
        pass


def start():
    server = ScriptedHub()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def stop(server):
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub():
    server = start()
    yield server
    stop(server)


@pytest.fixture
def elsewhere():
    server = start()
    yield server
    stop(server)


def client_of(hub, token=None, **settings):
    return HubClient(hub.url, token, **{"backoff_s": 0.001, "read_timeout": 2.0, **settings})


def test_lists_repeat_their_key_and_booleans_are_lower_case(hub):
    hub.replies["/api/models"] = [Reply()]
    with client_of(hub) as client:
        client.get("/api/models", {"expand": ["author", "tags"], "full": True, "search": None})
    assert hub.seen[0][0] == "/api/models?expand=author&expand=tags&full=true"


def test_every_request_names_the_product_and_takes_gzip(hub):
    body = gzip.compress(b'{"id":"a"}')
    hub.replies["/api/x"] = [Reply(body=body, headers={"Content-Encoding": "gzip"})]
    with client_of(hub) as client:
        assert client.get_json("/api/x") == {"id": "a"}
    sent = hub.seen[0][1]
    assert sent["User-Agent"].startswith("hfkg/")
    assert sent["Accept-Encoding"] == "gzip"
    assert "Authorization" not in sent


@pytest.mark.parametrize("chunked", [True, False])
def test_compressed_answers_are_read_whole_with_and_without_a_cap(hub, chunked):
    text = b'{"text": "' + b"a" * 200_000 + b'"}'
    headers = {"Content-Encoding": "gzip"}
    hub.replies["/api/x"] = [Reply(body=gzip.compress(text), headers=headers, chunked=chunked)]
    with client_of(hub) as client:
        assert client.get_bytes("/api/x", cap=300_000).content == text
        assert client.get_json("/api/x") == orjson.loads(text)
        with pytest.raises(errors.TooLarge):  # the cap is of what is read, not of what is sent
            client.get_bytes("/api/x", cap=100_000)


def test_the_endpoint_may_have_a_path_of_its_own(hub):
    hub.replies["/2026-01-01/api/x"] = [Reply()]
    with HubClient(f"{hub.url}/2026-01-01/") as client:
        answer = client.get("/api/x")
        assert client.requests == {"api": 1}
        assert client.path_of(answer.url) == "/api/x"


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        ("/api/models/a/b", "api"),
        ("/a/b/resolve/main/README.md", "resolvers"),
        ("/api/resolve-cache/models/a/b/0/README.md", "resolvers"),
        ("/a/b", "pages"),
    ],
)
def test_the_bucket_is_told_from_the_path(hub, path, bucket):
    hub.replies[path] = [Reply()]
    with client_of(hub) as client:
        client.get(path)
        assert client.requests == {bucket: 1}


def test_a_relative_redirect_is_followed_and_every_hop_counts(hub):
    hub.replies["/api/models/old"] = [Reply(307, headers={"Location": "/api/models/a/new"})]
    hub.replies["/api/models/a/new"] = [Reply(body=b'{"id":"a/new"}')]
    with client_of(hub, TOKEN) as client:
        answer = client.get("/api/models/old")
        assert (answer.json(), answer.redirects) == ({"id": "a/new"}, 1)
        assert answer.url == f"{hub.url}/api/models/a/new"
        assert client.requests == {"api": 2}
    assert [sent["Authorization"] for _, sent in hub.seen] == [f"Bearer {TOKEN}"] * 2


def test_the_token_never_goes_to_another_host(hub, elsewhere, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    hub.replies["/a/b/resolve/main/x"] = [Reply(302, headers={"Location": f"{elsewhere.url}/f"})]
    elsewhere.replies["/f"] = [Reply(body=b"data")]
    with client_of(hub, TOKEN) as client:
        assert client.get("/a/b/resolve/main/x").content == b"data"
        assert client.get(f"{elsewhere.url}/f").content == b"data"
    assert all("Authorization" not in sent for _, sent in elsewhere.seen)


def test_a_redirect_that_leads_back_ends_at_once(hub):
    hub.replies["/api/a"] = [Reply(307, headers={"Location": "/api/b"})]
    hub.replies["/api/b"] = [Reply(307, headers={"Location": "/api/a"})]
    with client_of(hub) as client, pytest.raises(errors.RedirectLoop):
        client.get("/api/a")
    assert len(hub.seen) == 2


def test_more_than_five_redirects_are_too_many(hub):
    for number in range(9):
        location = {"Location": f"/api/{number + 1}"}
        hub.replies[f"/api/{number}"] = [Reply(307, headers=location)]
    with client_of(hub) as client, pytest.raises(errors.RedirectLoop):
        client.get("/api/0")
    assert len(hub.seen) == 6


@pytest.mark.parametrize("location", ["", "file:///etc/passwd"])
def test_a_redirect_to_nowhere_is_malformed(hub, location):
    hub.replies["/api/a"] = [Reply(307, headers={"Location": location})]
    with client_of(hub) as client, pytest.raises(errors.MalformedAnswer):
        client.get("/api/a")


@pytest.mark.parametrize(
    "trouble",
    [
        *(Reply(status) for status in (408, 500, 502, 503, 504)),
        Reply(body=b"", cut=True),
        Reply(body=b'[{"id":"a"}]', cut=True),
        Reply(body=b'[{"id":'),
        Reply(body=b"<html>"),
        Reply(delay_s=0.4),
    ],
    ids=["408", "500", "502", "503", "504", "cut", "truncated", "half", "html", "slow"],
)
def test_what_may_pass_is_tried_again(hub, trouble):
    hub.replies["/api/x"] = [trouble, trouble, Reply(body=b"[1]")]
    with client_of(hub, read_timeout=0.2) as client:
        assert client.get_json("/api/x") == [1]
        assert (client.requests["api"], client.retries) == (3, 2)


def test_the_end_of_patience_says_so(hub):
    hub.replies["/api/x"] = [Reply(503)]
    with client_of(hub, attempts=3) as client, pytest.raises(errors.GaveUp) as caught:
        client.get("/api/x?secret=1")
    assert len(hub.seen) == 3
    assert caught.value.status == 503
    assert caught.value.url == f"{hub.url}/api/x"


def test_an_answer_that_is_never_json_is_malformed(hub):
    hub.replies["/api/x"] = [Reply(body=b"[1")]
    with client_of(hub, attempts=2) as client:
        with pytest.raises(errors.MalformedAnswer):
            client.get_json("/api/x")
        with pytest.raises(errors.MalformedAnswer):
            client.get("/api/x").json()


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": '"api";r=0;t=0.3', "RateLimit-Policy": '"fixed window";"api";q=9;w=0.3'},
        {"Retry-After": "1"},
        {},
    ],
    ids=["reset", "retry-after", "bare"],
)
def test_a_429_is_waited_out_and_is_no_attempt(hub, headers):
    hub.replies["/api/x"] = [Reply(429, headers=headers), Reply(429, headers=headers), Reply()]
    started = time.monotonic()
    with client_of(hub, attempts=1) as client:
        client.get("/api/x")
        assert client.requests["api"] == 3
    least = {"RateLimit": 0.5, "Retry-After": 1.9}.get(next(iter(headers), ""), 0)
    assert time.monotonic() - started >= least


def test_429s_without_end_come_to_an_end(hub):
    hub.replies["/api/x"] = [Reply(429)]
    with client_of(hub, backoff_cap_s=0.001) as client, pytest.raises(errors.GaveUp):
        client.get("/api/x")
    assert len(hub.seen) == 21


def test_retry_after_may_be_a_date(hub):
    when = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
    hub.replies["/api/x"] = [Reply(503, headers=when), Reply()]
    started = time.monotonic()
    with client_of(hub) as client:
        client.get("/api/x")
    assert time.monotonic() - started >= 0.9


GATED = {"X-Error-Code": "GatedRepo"}
DISABLED = {"X-Error-Message": "Access to this resource is disabled."}


@pytest.mark.parametrize(
    ("status", "headers", "token", "expected"),
    [
        (400, {}, None, errors.BadRequest),
        (401, {}, None, errors.NotFound),
        (401, {}, TOKEN, errors.BadToken),
        (401, {"X-Error-Code": "RepoNotFound"}, TOKEN, errors.NotFound),
        (401, GATED, None, errors.Gated),
        (403, GATED, TOKEN, errors.Gated),
        (403, {}, TOKEN, errors.Gated),
        (403, DISABLED, TOKEN, errors.Disabled),
        (401, DISABLED, TOKEN, errors.Disabled),
        (404, {"X-Error-Code": "EntryNotFound"}, TOKEN, errors.NotFound),
        (404, {}, None, errors.NotFound),
        (414, {}, None, errors.BadRequest),
    ],
)
def test_refusals_are_told_apart_and_never_retried(hub, status, headers, token, expected):
    hub.replies["/api/x"] = [Reply(status, headers=headers)]
    with client_of(hub, token) as client, pytest.raises(errors.HubError) as caught:
        client.get("/api/x")
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.code) == (status, headers.get("X-Error-Code"))
    assert len(hub.seen) == 1


def test_a_wrong_endpoint_shows_after_two_attempts():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with HubClient(url, backoff_s=0.001) as client:
        with pytest.raises(errors.HubUnreachable, match="HF_ENDPOINT"):
            client.get("/api/x")
        assert client.requests["api"] == 2


def test_a_hub_that_was_there_is_given_more_time(hub):
    hub.replies["/api/x"] = [Reply(headers={"Connection": "close"})]
    with client_of(hub, attempts=4) as client:
        client.get("/api/x")
        stop(hub)
        with pytest.raises(errors.HubUnreachable):
            client.get("/api/x")
        assert client.requests["api"] == 1 + 4


def test_the_token_is_nowhere_to_be_read(hub, caplog):
    caplog.set_level(logging.DEBUG)
    hub.replies["/api/x"] = [Reply(503), Reply(401)]
    with (
        client_of(hub, TOKEN) as client,
        pytest.raises(errors.BadToken, match="HF_TOKEN") as caught,
    ):
        client.get("/api/x")
    assert "attempt 2 at /api/x" in caplog.text
    assert TOKEN not in f"{client!r}{caught.value!r}{caught.value}{caplog.text}"


def test_a_token_that_cannot_be_one_is_refused_without_being_shown():
    with pytest.raises(errors.BadToken) as caught:
        HubClient("http://127.0.0.1", "hf_a\nb")
    assert "hf_a" not in str(caught.value)


def test_one_bad_token_of_several_is_named_by_its_place_alone(hub):
    hub.replies["/api/x"] = [Reply(), Reply(401)]
    with client_of(hub, ["hf_good", "hf_bad"]) as client:
        client.get("/api/x")
        with pytest.raises(errors.BadToken, match="token 2 of 2") as caught:
            client.get("/api/x")
    assert [sent["Authorization"] for _, sent in hub.seen] == ["Bearer hf_good", "Bearer hf_bad"]
    assert "hf_" not in f"{client!r}{caught.value!r}{caught.value}"


def test_a_token_given_twice_counts_once_and_an_empty_one_not_at_all():
    with HubClient("http://127.0.0.1", ["", "hf_a", " hf_a\n"]) as client:
        assert repr(client) == "HubClient('http://127.0.0.1', token 2 of 3)"
    with HubClient("http://127.0.0.1", [""]) as client:
        assert repr(client) == "HubClient('http://127.0.0.1', anonymous)"


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_and_with_it_the_token_is_never_copied(copied):
    with (
        HubClient("http://127.0.0.1", TOKEN) as client,
        pytest.raises(TypeError, match="holds tokens") as caught,
    ):
        copied(client)
    assert TOKEN not in str(caught.value)


def test_the_proxy_of_the_environment_is_used_unless_the_host_is_excepted(hub, monkeypatch):
    hub.replies["/api/x"] = [Reply()]
    monkeypatch.setenv("http_proxy", hub.url.replace("://", "://someone:s%40cret@"))
    monkeypatch.setenv("no_proxy", "hub.invalid")
    with HubClient("http://other.invalid") as client:
        client.get("/api/x")
    path, sent = hub.seen[0]
    assert path == "http://other.invalid/api/x"
    assert sent["proxy-authorization"] == "Basic c29tZW9uZTpzQGNyZXQ="
    excepted = HubClient("http://hub.invalid", attempts=1)
    with excepted, pytest.raises(errors.HubUnreachable):
        excepted.get("/api/x")
    assert len(hub.seen) == 1


def page(rows, next_url=None):
    link = {"Link": f'<{next_url}>; rel="next"'} if next_url else {}
    return Reply(body=orjson.dumps(rows), headers=link)


def test_pages_are_asked_for_one_by_one_and_an_empty_one_is_not_the_end(hub):
    hub.replies["/api/models"] = [
        page([1, 2], f"{hub.url}/api/models?cursor=a"),
        page([], f"{hub.url}/api/models?cursor=b"),
        page([3]),
    ]
    with client_of(hub) as client:
        pages = client.pages("/api/models", {"limit": 2})
        assert hub.seen == []
        assert next(pages).next_url == f"{hub.url}/api/models?cursor=a"
        assert len(hub.seen) == 1
        assert [one.records for one in pages] == [[], [3]]
    assert [path for path, _ in hub.seen] == [
        "/api/models?limit=2", "/api/models?cursor=a", "/api/models?cursor=b",
    ]  # fmt: skip


def test_a_next_page_on_another_host_is_malformed(hub, elsewhere):
    hub.replies["/api/models"] = [page([1], f"{elsewhere.url}/api/models?cursor=a")]
    with client_of(hub, TOKEN) as client, pytest.raises(errors.MalformedAnswer):
        list(client.pages("/api/models"))
    assert elsewhere.seen == []


def test_a_next_page_that_was_read_before_ends_the_walk(hub):
    hub.replies["/api/models"] = [page([1], f"{hub.url}/api/models?cursor=a")]
    with client_of(hub) as client, pytest.raises(errors.RedirectLoop):
        list(client.pages("/api/models"))
    assert len(hub.seen) == 2


def test_an_empty_page_that_leads_to_itself_is_read_again_but_not_for_ever(hub):
    itself = f"{hub.url}/api/models?cursor=a"
    hub.replies["/api/models"] = [page([1], itself), page([], itself), page([2])]
    with client_of(hub) as client:
        assert [one.records for one in client.pages("/api/models")] == [[1], [], [2]]
    hub.replies["/api/models"] = [page([1], itself), *[page([], itself)] * 9]
    with client_of(hub) as client, pytest.raises(errors.RedirectLoop):
        list(client.pages("/api/models"))


def test_an_empty_page_that_leads_back_to_another_one_ends_the_walk(hub):
    first, second = (f"{hub.url}/api/models?cursor={name}" for name in "ab")
    hub.replies["/api/models"] = [page([1], first), page([2], second), page([], first)]
    with client_of(hub) as client, pytest.raises(errors.RedirectLoop):
        list(client.pages("/api/models"))


def test_a_page_that_is_no_list_is_malformed(hub):
    hub.replies["/api/models"] = [Reply(body=b'{"error":"x"}')]
    with client_of(hub) as client, pytest.raises(errors.MalformedAnswer):
        next(client.pages("/api/models"))


def test_a_file_is_read_up_to_the_cap_and_no_further(hub):
    hub.replies["/a/b/resolve/main/README.md"] = [Reply(body=b"x" * 1_000_000)]
    with client_of(hub) as client:
        assert len(client.get_bytes("/a/b/resolve/main/README.md", cap=1_000_000).content) == 10**6
        with pytest.raises(errors.TooLarge):
            client.get_bytes("/a/b/resolve/main/README.md", cap=999_999)
        assert client.retries == 0


def test_threads_share_one_client(hub):
    hub.replies["/api/x"] = [Reply(body=b"[1]")]
    with client_of(hub) as client:
        threads = [
            threading.Thread(target=lambda: [client.get_json("/api/x") for _ in range(10)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.requests == {"api": 80}
