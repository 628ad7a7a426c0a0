"""Listings: pages and their links, fields, limits, order and filters (lines 1 to 4)."""

import polars as pl
import pytest

AREAS = ("models", "datasets", "spaces")


def test_a_page_links_to_the_next_with_an_absolute_url_and_the_query_kept(ask):
    answer = ask("/api/models", limit=2, expand=["author", "tags"], sort="createdAt")
    url = answer.links["next"]["url"]
    assert url.startswith(f"{ask.base}/api/models?")
    assert "limit=2" in url and "expand=author&expand=tags" in url and "sort=createdAt" in url
    assert answer.headers["Link"].endswith('; rel="next"')


def test_a_link_names_the_host_that_the_request_named(ask):
    answer = ask("/api/models", limit=1, headers={"Host": "hub.example:8080"})
    assert answer.links["next"]["url"].startswith("http://hub.example:8080/")


def test_the_last_page_has_no_link(ask, day):
    assert "Link" not in ask("/api/models", limit=1000).headers
    assert "Link" not in ask("/api/models", limit=day.models.height).headers


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("sort", ["createdAt", "lastModified", "likes", "likes30d", "id"])
def test_a_walk_gives_every_repository_once_whatever_the_page_size(ask, day, area, sort):
    stored = getattr(day, area)
    for limit in (7, 1000):
        walked = [row["_id"] for row in ask.walk(f"/api/{area}", limit=limit, sort=sort)]
        assert len(walked) == stored.height
        assert set(walked) == set(stored["_id"])


def test_a_walk_over_a_key_that_some_rows_lack_ends_with_those_rows(ask, day):
    rows = ask.walk("/api/datasets", sort="mainSize", expand=["mainSize"], limit=5)
    assert {row["_id"] for row in rows} == set(day.datasets["_id"])
    known = ["mainSize" in row for row in rows]
    assert any(known) and known == sorted(known, reverse=True)


@pytest.mark.parametrize("form", ["expand", "expand[]"])
def test_expand_gives_exactly_the_ids_and_the_fields_asked_for(ask, form):
    for row in ask("/api/spaces", limit=50, **{form: ["author", "sdk", "private"]}).json():
        assert set(row) == {"_id", "id", "author", "sdk", "private"}


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("field", ["_id", "nonsense", "author,tags"])
def test_an_unknown_expand_is_a_400_that_lists_what_is_allowed(ask, area, field):
    answer = ask(f"/api/{area}", expand=["author", field])
    assert answer.status_code == 400
    assert '"expand" must be one of [author, cardData' in answer.json()["error"]


@pytest.mark.parametrize("field", ["baseModels", "childrenModelCount", "usedStorage"])
def test_fields_of_a_single_model_are_refused_on_the_listing(ask, open_model, field):
    assert ask("/api/models", expand=field).status_code == 400
    assert ask(f"/api/models/{open_model['id']}", expand=field).status_code == 200


def test_expand_excludes_full(ask):
    assert ask("/api/models", expand="author", full="true").status_code == 400


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("/api/models", 1, None),
        ("/api/collections", 1, 10_000),
        ("/api/organizations/{org}/members", 10, 10_000),
        ("/api/papers", 1, 100),
        ("/api/daily_papers", 1, 100),
        ("/api/papers/search", 1, 120),
    ],
)
def test_a_limit_outside_the_documented_range_is_a_400(ask, day, path, least, most):
    path = path.format(org=day.members["org"][0])
    assert ask(path, limit=least).status_code == 200
    assert ask(path, limit=least - 1).status_code == 400
    assert ask(path, limit="many").status_code == 400
    if most is not None:
        assert ask(path, limit=most).status_code == 200
        assert ask(path, limit=most + 1).status_code == 400


def test_default_page_sizes_are_those_of_the_hub(ask, day):
    assert len(ask("/api/models", limit=5_000).json()) == min(day.models.height, 1_000)
    assert len(ask("/api/collections").json()) == min(day.collections.height, 10)
    assert len(ask("/api/papers").json()) == min(day.papers.height, 50)


@pytest.mark.parametrize("path", ["/api/models", "/api/collections", "/api/papers"])
def test_a_malformed_cursor_is_a_400(ask, path):
    assert ask(path, cursor="no cursor").status_code == 400


def test_a_cursor_of_another_order_is_a_400(ask):
    url = ask("/api/models", sort="id", limit=1).links["next"]["url"]
    assert ask(url.replace("sort=id", "sort=likes")).status_code == 400


@pytest.mark.parametrize(
    ("sort", "column"),
    [
        ("createdAt", "created_at"),
        ("lastModified", "last_modified"),
        ("downloads", "downloads"),
        ("likes", "likes"),
        ("trendingScore", "trending_score"),
    ],
)
def test_rows_come_by_sort_key_descending_then_by_id_ascending(ask, day, sort, column):
    ordered = day.models.sort(column, "_id", descending=[True, False])["_id"].to_list()
    assert [row["_id"] for row in ask.walk("/api/models", sort=sort, limit=50)] == ordered


def test_the_default_order_is_by_trending_score(ask):
    by_default = [row["_id"] for row in ask("/api/models").json()]
    assert by_default == [row["_id"] for row in ask("/api/models", sort="trendingScore").json()]


def test_spaces_cannot_be_sorted_by_downloads(ask):
    assert ask("/api/spaces", sort="downloads").status_code == 400


def test_several_filters_are_all_required(ask, day):
    tags = pl.col("tags").list
    library = day.models["library_name"].drop_nulls().mode()[0]
    wanted = day.models.filter(tags.contains(library), tags.contains("region:us"))
    rows = ask.walk("/api/models", filter=[library, "region:us"], limit=9)
    assert wanted.height > 0
    assert {row["id"] for row in rows} == set(wanted["id"])


def test_author_search_and_pipeline_tag_filter_rows(ask, day, open_model):
    author, task = open_model["author"], day.models["pipeline_tag"].drop_nulls()[0]
    assert {row["id"] for row in ask.walk("/api/models", author=author)} == set(
        day.models.filter(author=author)["id"]
    )
    assert {row["id"] for row in ask.walk("/api/models", pipeline_tag=task)} == set(
        day.models.filter(pipeline_tag=task)["id"]
    )
    assert open_model["id"] in {
        row["id"] for row in ask.walk("/api/models", search=open_model["id"].upper())
    }
