"""The page's server: answers as JSON, errors that say what to do, and what it turns away."""

import http.client
from urllib.parse import quote, urlsplit

import pytest
import requests

from hfkg_assets.retrieval.retriever import Retriever
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse
from tests.retrieval.page_server import ServedPage
from tests.retrieval.small_store import (
    DAY,
    ODD,
    write_predicted_bases,
    write_recommended,
    write_store,
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    warehouse = write_store(tmp_path_factory.mktemp("store"))
    write_predicted_bases(warehouse)
    write_recommended(warehouse)
    with ServedPage(Retriever(warehouse, TextEncoder())) as page:
        yield page


def ask(page, question, **parameters):
    return requests.get(f"{page.url}/api/{question}", parameters, timeout=30)


def test_the_page_its_script_and_style_are_served(page):
    for path, kind in {
        "/": "text/html", "/static/page.js": "text/javascript", "/static/page.css": "text/css",
        "/static/icon.svg": "image/svg+xml",
    }.items():  # fmt: skip
        response = requests.get(page.url + path, timeout=30)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["/", "/api/lineage?id=old/base", "/api/lineage", "/static/none"])
def test_whatever_is_answered_a_browser_is_told_to_load_nothing_from_elsewhere(page, path):
    headers = requests.get(page.url + path, timeout=30).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_lineage_is_two_trees(page):
    found = ask(page, "lineage", id="old/tuned", depth=1).json()
    assert (found["snapshot"], found["id"]) == (DAY, "old/tuned")
    assert {base["id"] for base in found["ancestors"]["relatives"]} == {"old/base", ODD}
    assert found["descendants"]["relatives"][0]["facts"]["created_at"].startswith("2026-01-02")


def test_bases_and_recommendations_are_answered(page):
    assert ask(page, "trace", id="lone/model").json()["bases"][0]["id"] == "old/base"
    assert ask(page, "recommend", user="ada", k=1).json()["hits"][0]["id"] == "old/base"


@pytest.mark.parametrize(
    ("question", "parameters", "status", "words"),
    [
        ("lineage", {"id": "old/bsae"}, 404, "did you mean old/base"),
        ("lineage", {"id": "\0🤗'\"<script>"}, 404, "holds no model"),
        ("lineage", {"id": "x" * 10_000}, 404, "holds no model"),
        ("lineage", {}, 400, "no id"),
        ("lineage", {"id": "old/base", "depth": "-1"}, 400, "no number"),
        ("trace", {"id": "  "}, 400, "no id"),
        ("recommend", {"user": "nobody"}, 404, "holds no user"),
        ("recommend", {"user": "ada", "k": "0"}, 400, "ask for 1 to"),
        ("recommend", {"user": "ada", "k": "٣"}, 400, "no number"),
        ("recommend", {"user": "ada", "k": "9" * 30}, 400, "no number"),
        ("search", {"q": "birds", "since": "yesterday"}, 400, "no date"),
        ("search", {"q": "birds"}, 503, "hfkg run"),
    ],
)
def test_what_cannot_be_answered_says_why_and_what_to_do(page, question, parameters, status, words):
    response = ask(page, question, **parameters)
    assert response.status_code == status
    assert words in response.json()["error"]
    assert len(response.text) < 1_000


def test_a_question_of_ten_thousand_characters_of_any_script_is_read(page):
    response = ask(page, "lineage", id="🤗" * 10_000)
    assert response.status_code == 404
    assert "holds no model" in response.json()["error"]


def test_a_tree_is_never_larger_than_a_page_can_show(page):
    assert ask(page, "lineage", id="old/base", depth=10**5, breadth=10**5).status_code == 200


def test_an_unknown_question_and_another_method_are_turned_away(page):
    assert ask(page, "guess").status_code == 404
    assert requests.post(f"{page.url}/api/lineage", timeout=30).status_code == 405


def test_files_beside_the_page_are_not_served(page):
    for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static//etc/passwd"):
        connection = http.client.HTTPConnection(urlsplit(page.url).netloc)
        connection.request("GET", path)  # as it is, which requests would tidy up
        assert connection.getresponse().status == 404
        connection.close()


def test_a_page_of_elsewhere_whose_name_points_here_is_turned_away(page):
    headers = {"Host": "evil.example"}
    assert requests.get(f"{page.url}/api/choices", headers=headers, timeout=30).status_code == 400


def test_names_that_the_page_is_given_are_let_in(tmp_path):
    warehouse = write_store(tmp_path)
    with ServedPage(Retriever(warehouse, TextEncoder()), hosts=("graph.example",)) as page:
        for host, status in {"graph.example": 200, "127.0.0.1": 400}.items():
            response = requests.get(page.url, headers={"Host": host}, timeout=30)
            assert response.status_code == status


def test_without_a_snapshot_the_page_says_how_to_make_one(tmp_path):
    with ServedPage(Retriever(Warehouse(root=str(tmp_path)), TextEncoder())) as page:
        for question, parameters in {
            "lineage": {"id": "a/b"}, "trace": {"id": "a/b"}, "recommend": {"user": "ada"},
        }.items():  # fmt: skip
            response = ask(page, question, **parameters)
            assert response.status_code == 503
            assert "hfkg run" in response.json()["error"]


def test_odd_ids_come_back_as_they_are(page):
    found = requests.get(f"{page.url}/api/lineage?id={quote(ODD, safe='')}", timeout=30).json()
    assert found["id"] == ODD
