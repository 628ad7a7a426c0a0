"""The crawl against the sample Hub: it finds what is there, with no request too many."""

import math

import polars as pl
import pytest

from hfkg_assets.hub import cards as cards_module
from hfkg_assets.hub import listings as listings_module
from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.accounts import crawl_accounts, created_at, seen_names
from hfkg_assets.hub.aliases import crawl_aliases, references, split_by_case
from hfkg_assets.hub.cards import crawl_cards, parse_card
from hfkg_assets.hub.collections import crawl_collections
from hfkg_assets.hub.coverage import COVERAGE, coverage, judge_counters, judge_coverage, judge_plan
from hfkg_assets.hub.listings import list_repositories, most_downloaded
from hfkg_assets.hub.papers import cited_ids, crawl_papers
from hfkg_assets.hub.plan import crawl_plan, least_seconds, least_times
from hfkg_assets.hub.social import crawl_followers, crawl_likers, crawl_members, liked
from hfkg_resources.crawl import Crawl
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.faults import (
    drift,
    duplicate_row,
    empty_page_with_link,
    error,
    wrong_type,
)
from hfkg_resources.scope import Scope
from hfkg_resources.table_schema import schema_of

COLUMNS = {"models": raw.MODELS, "datasets": raw.DATASETS, "spaces": raw.SPACES}


@pytest.fixture(scope="module")
def listings(server, tmp_path_factory):
    """The three listings, crawled once for the tests that build on them."""
    folder = tmp_path_factory.mktemp("listings")
    with HubClient(f"{server.url}/2026-11-24") as client:
        crawl = Crawl(client, Scope("all"), True, "2026-11-24", folder, 4)
        return {
            kind: list_repositories(crawl, kind, columns).collect()
            for kind, columns in COLUMNS.items()
        }


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_listing_holds_exactly_the_days_repositories_with_the_schema_declared(
    kind, listings, day
):
    table, truth = listings[kind], getattr(day, kind)
    assert table.schema == schema_of(COLUMNS[kind])
    assert sorted(table["id"]) == sorted(truth["id"])
    joined = table.join(truth, on="_id", suffix="_true")
    assert joined.height == truth.height
    assert joined["likes"].equals(joined["likes_true"], check_names=False)
    assert joined["tags"].equals(joined["tags_true"], check_names=False)
    assert joined["createdAt"].equals(joined["created_at"], check_names=False)


def test_listings_take_one_request_per_thousand_rows(crawl):
    list_repositories(crawl, "models", raw.MODELS).collect()
    assert crawl.client.requests["api"] == 1


@pytest.mark.parametrize("fault", [duplicate_row(), empty_page_with_link()])
def test_rows_that_repeat_or_come_after_an_empty_page_leave_each_repository_once(
    crawl, faults, day, monkeypatch, fault
):
    monkeypatch.setattr(listings_module, "PAGE", 50)
    faults.add(r"/api/models\b.*cursor=", fault, times=2)
    table = list_repositories(crawl, "models", raw.MODELS).collect()
    assert sorted(table["id"]) == sorted(day.models["id"])
    assert crawl.client.requests["api"] > 2


def test_a_row_that_moves_between_two_pages_is_taken_once_with_its_later_state(
    crawl, faults, day, monkeypatch
):
    monkeypatch.setattr(listings_module, "PAGE", 50)
    faults.add(r"/api/models\b", drift("likes"), times=2)
    table = list_repositories(crawl, "models", raw.MODELS).collect()
    assert not table["_id"].is_duplicated().any()
    assert len(set(day.models["id"]) - set(table["id"])) == 1
    changed = table.join(day.models, on="_id", suffix="_before")
    grown = changed.filter(pl.col("likes") == pl.col("likes_before") + 1)
    assert grown.height == 1


def test_likers_are_asked_for_only_where_there_are_likes(crawl, listings, day):
    repositories = {kind[:-1]: frame.lazy() for kind, frame in listings.items()}
    rows = crawl_likers(crawl, repositories).collect()
    with_likes = sum((frame["likes"] > 0).sum() for frame in listings.values())
    assert crawl.client.requests["api"] == with_likes == liked(repositories).height
    asked = liked(repositories).select(repo_kind="kind", repo_id="id")
    truth = day.likes.join(asked, on=["repo_kind", "repo_id"])
    keys = ["repo_kind", "repo_id", "user"]
    assert set(rows.select(keys).iter_rows()) == set(truth.select(keys).iter_rows())


def test_collections_have_all_their_items_and_only_those_that_show_four_cost_a_request(crawl, day):
    table = crawl_collections(crawl, dict).collect()
    truth = day.collections
    assert sorted(table["slug"]) == sorted(truth["slug"])
    assert table["is_complete"].all()
    counted = table.select("slug", items=pl.col("items").list.len()).sort("slug")
    expected = truth.select("slug", items=pl.col("items").list.len()).sort("slug")
    assert counted.equals(expected)
    long = (truth["items"].list.len() >= 4).sum()
    assert crawl.client.requests["api"] == math.ceil(truth.height / 1000) + long


def test_papers_come_from_the_listing_and_only_unlisted_cited_ids_are_looked_up(
    crawl, listings, day
):
    empty = pl.LazyFrame(schema=schema_of(raw.COLLECTIONS))
    cited = cited_ids(listings["models"].lazy(), listings["datasets"].lazy(), empty)
    table = crawl_papers(crawl, lambda: cited).collect()
    assert set(day.papers["id"]) == set(table["id"])
    unlisted = set(cited.collect()["id"]) - set(day.papers["id"])
    pages = math.ceil(day.papers.height / 100)
    assert crawl.client.requests["api"] == pages + len(unlisted)
    assert crawl.missing("paper_details").height == len(unlisted)


@pytest.fixture
def accounts(crawl, listings, day):
    collections = crawl_collections(crawl, dict)
    papers = crawl_papers(crawl, lambda: pl.LazyFrame(schema={"id": pl.String}))
    repositories = {kind[:-1]: frame.lazy() for kind, frame in listings.items()}
    likers = crawl_likers(crawl, repositories)
    seen = seen_names([f.lazy() for f in listings.values()], collections, papers, likers)
    return crawl_accounts(crawl, seen).collect()


def test_every_accounts_kind_and_counters_are_found(accounts, day):
    truth = day.accounts.select("name", "kind")
    joined = accounts.select("name", "kind").join(truth, on="name", how="left", suffix="_true")
    assert joined["kind"].equals(joined["kind_true"], check_names=False)
    publishers = pl.concat(
        [day.models.select("author"), day.datasets.select("author"), day.spaces.select("author")]
    ).drop_nulls()
    known = publishers.join(truth, left_on="author", right_on="name", how="semi")
    assert set(known["author"]) <= set(accounts["name"])
    assert accounts.filter(kind="org")["createdAt"].null_count() == 0


def test_a_linked_author_without_an_account_is_no_account(crawl, accounts, day):
    linked = day.papers.explode("authors").unnest("authors")["user"].drop_nulls().unique()
    ghosts = set(linked) - set(day.accounts["name"])
    assert ghosts
    assert not ghosts & set(accounts["name"])
    assert ghosts <= set(crawl.missing("accounts")["unit"])


def test_an_account_that_a_row_proves_to_exist_costs_no_overview(crawl, accounts, day):
    likers = set(day.likes["user"])
    owners = set(day.collections.filter(owner_kind="user")["owner"])
    asked = pl.read_parquet(crawl.directory / "accounts.ledger.parquet")["unit"]
    assert not (likers | owners) & set(asked)
    told = accounts.filter(~pl.col("name").is_in(asked.implode()))
    assert told.height >= len(likers | owners)
    truth = day.accounts.select("name", "fullname", "_id", "created_at", "is_pro")
    joined = told.join(truth, on="name", suffix="_true")
    assert joined.height == told.height
    assert joined["fullname"].equals(joined["fullname_true"], check_names=False)
    assert (
        joined["createdAt"]
        .dt.truncate("1s")
        .equals(joined["created_at"].dt.truncate("1s"), check_names=False)
    )


def test_followers_and_members_are_all_found_and_hidden_members_are_no_failure(
    crawl, accounts, day
):
    crawl.refresh_days = 0  # those who only like, too
    followers = crawl_followers(crawl, accounts.lazy()).collect()
    truth = day.follows.filter(pl.col("followed").is_in(accounts["name"].implode()))
    assert set(followers.select("user", "name").iter_rows()) == set(
        truth.select("follower", "followed").iter_rows()
    )
    members = crawl_members(crawl, accounts.lazy()).collect()
    hidden = day.accounts.filter(pl.col("members_hidden").fill_null(False))["name"]
    assert len(hidden) > 0
    shown = day.members.filter(~pl.col("org").is_in(hidden.implode()))
    shown = shown.filter(pl.col("org").is_in(accounts["name"].implode()))
    assert set(members.select("org", "user").iter_rows()) == set(
        shown.select("org", "user").iter_rows()
    )
    assert all(report.failed == 0 for report in crawl.reports)


def test_a_card_costs_one_request_and_repositories_without_one_cost_none(
    crawl, listings, world, day
):
    cards = crawl_cards(crawl, "models", listings["models"].lazy()).collect()
    with_card = listings["models"].filter("has_readme")
    assert cards.height == with_card.height
    assert crawl.client.requests["resolvers"] <= with_card.height + 2
    texts = cards.drop_nulls("text")
    for repo_id, status, text in texts.select("id", "status", "text").head(50).iter_rows():
        expected = day.readme("model", repo_id)
        if status == "ok":
            assert text.encode() == expected
    assert {"ok", "gated", "not_utf8"} <= set(cards["status"])
    assert cards.filter(status="gated")["text"].null_count() == cards.filter(status="gated").height


def test_where_pinned_addresses_do_not_work_cards_are_read_through_the_redirect(
    new_crawl, listings, world
):
    from hfkg_resources.sample_hub.server import create_app, serve

    with serve(create_app(world, pinned_readme=False)) as other:
        crawl = new_crawl(endpoint=f"{other.url}/2026-11-24")
        some = listings["models"].filter("has_readme", gated="false").head(20)
        cards = crawl_cards(crawl, "models", some.lazy()).collect()
        crawl.client.close()
    assert cards.height == 20
    assert crawl.client.requests["resolvers"] <= 2 * 20 + 4


def test_a_card_over_the_cap_is_not_kept_and_says_so(crawl, listings, monkeypatch):
    monkeypatch.setattr(cards_module, "CAP", 10)
    some = listings["models"].filter("has_readme", gated="false").head(5)
    cards = crawl_cards(crawl, "models", some.lazy()).collect()
    assert "too_large" in set(cards["status"])
    assert cards.filter(status="too_large")["text"].null_count() > 0
    assert crawl.reports[-1].failed == 0


def test_text_that_is_no_utf8_is_kept_and_flagged():
    row = parse_card("a/b", "0" * 40, b"caf\xe9")
    assert (row["status"], row["text"], row["bytes"]) == ("not_utf8", "caf�", 4)


def test_renamed_short_and_wrong_case_ids_are_resolved_and_gone_ones_are_missing(
    crawl, listings, day
):
    collections = crawl_collections(crawl, dict)
    frames = {kind[:-1]: frame.lazy() for kind, frame in listings.items()}
    tables = {f"hub/{kind}s": frame for kind, frame in frames.items()}
    referred = references({**tables, "hub/collections": collections})
    aliases = crawl_aliases(crawl, referred, frames).collect()
    assert aliases.schema == schema_of(raw.ALIASES)
    assert {"renamed", "case", "missing"} <= set(aliases["via"])
    redirects = {
        (kind, old): new
        for kind, old, new in day.redirects.select("kind", "old_id", "new_id").iter_rows()
    }
    by_redirect = aliases.filter(via="renamed")
    for kind, old, new in by_redirect.select("kind", "id", "canonical_id").iter_rows():
        target = old
        while (kind, target) in redirects:
            target = redirects[kind, target]
        assert target.lower() == new.lower()
    for row in aliases.filter(via="case").iter_rows(named=True):
        assert row["id"] != row["canonical_id"]
        assert row["id"].lower() == row["canonical_id"].lower()
    known = {kind: set(frame.collect()["id"]) for kind, frame in frames.items()}
    for row in aliases.filter(via="missing").iter_rows(named=True):
        assert row["canonical_id"] is None
        assert row["id"] not in known[row["kind"]]


def test_an_id_that_two_listed_ones_match_but_for_case_is_not_settled_by_guessing():
    listed = pl.DataFrame({"kind": ["model"] * 3, "id": ["a/B", "A/b", "c/D"]})
    unknown = pl.DataFrame({"kind": ["model"] * 2, "id": ["a/b", "C/d"]})
    settled, left = split_by_case(unknown, listed)
    assert settled.rows() == [("model", "C/d", "c/D")]
    assert left.rows() == [("model", "a/b")]


@pytest.mark.parametrize("reference", ["../../api/whoami-v2", "a/..", "./x", "a b", "x/y/z", ""])
def test_a_reference_that_cannot_be_a_repository_is_never_asked_for(crawl, reference):
    referred = pl.LazyFrame({"kind": ["model"], "id": [reference]})
    nothing = pl.LazyFrame(schema={"id": pl.String})
    aliases = crawl_aliases(crawl, referred, {"model": nothing}).collect()
    assert aliases.is_empty()
    assert crawl.client.requests.total() == 0


# --- scope ---------------------------------------------------------------------------------------


def test_the_top_share_is_the_first_int_n_times_share_by_downloads_ties_by_id():
    models = pl.LazyFrame({"id": list("edcba"), "downloads": [5, 9, 9, 1, None]})
    assert most_downloaded(models, 0.5).collect()["id"].to_list() == ["c", "d"]
    assert most_downloaded(models, 0.1).collect().is_empty()
    assert most_downloaded(models, 1.0).collect()["id"].to_list() == list("abcde")


def test_a_limit_stops_the_walk_after_so_many_rows(new_crawl):
    crawl = new_crawl("limit:7")
    assert list_repositories(crawl, "models", raw.MODELS).collect().height == 7


def test_an_author_scope_asks_for_these_authors_only(new_crawl, day):
    first, second = day.models["author"].drop_nulls().unique().sort().head(2)
    crawl = new_crawl(f"author:{first},{second}")
    found = list_repositories(crawl, "models", raw.MODELS).collect()
    truth = day.models.filter(pl.col("author").is_in([first, second]))
    assert sorted(found["id"]) == sorted(truth["id"])


def test_a_task_scope_asks_for_models_of_the_task(new_crawl, day):
    crawl = new_crawl("task:text-classification")
    found = list_repositories(crawl, "models", raw.MODELS).collect()
    assert found.height > 0
    assert found["tags"].list.contains("text-classification").all()


def test_without_the_social_part_only_names_of_unknown_kind_are_asked_for(new_crawl):
    crawl = new_crawl(social=False)
    seen = pl.DataFrame(
        [{"name": "some-user", "kind": "user", "exists": False, "_id": "1" * 24, "fullname": "S"}]
    ).with_columns(
        isPro=pl.lit(None, pl.Boolean), numFollowers=pl.lit(None, pl.Int64), carried=False,
        only_likes=False,
    )  # fmt: skip
    accounts = crawl_accounts(crawl, seen).collect()
    assert accounts.select("name", "kind", "fullname").rows() == [("some-user", "user", "S")]
    assert crawl.client.requests.total() == 0


def test_a_name_that_rows_call_a_user_here_and_an_organization_there_is_of_unknown_kind():
    collections = pl.LazyFrame(
        [{"slug": "x/y", "accounts": [{"name": "clash", "type": "org"}]}],
        schema=schema_of(raw.COLLECTIONS),
    )
    likers = pl.LazyFrame(
        [{"repo_kind": "model", "repo_id": "a/b", "user": "clash"}], schema=schema_of(raw.LIKERS)
    )
    papers = pl.LazyFrame(schema=schema_of(raw.PAPERS))
    seen = seen_names([], collections, papers, likers)
    assert seen.select("name", "kind").rows() == [("clash", None)]


def test_the_creation_of_an_account_is_read_off_its_id():
    assert created_at("6426d3f3a7723d62b53c259b") == "2023-03-31T12:37:07.000Z"


# --- faults, plan, coverage ----------------------------------------------------------------------


def test_a_record_of_wrong_type_is_set_aside_with_its_reason_and_the_rest_is_kept(
    crawl, faults, day
):
    faults.add(r"/api/models\b", wrong_type("likes", "many"), times=1)
    table = list_repositories(crawl, "models", raw.MODELS).collect()
    (report,) = crawl.reports
    assert report.set_aside >= 1
    assert table.height + report.set_aside == day.models.height


def test_a_unit_that_fails_for_good_is_counted_and_tried_again_by_the_next_crawl(
    new_crawl, faults, listings
):
    faults.add(r"/likers\b", error(503))
    repositories = {"model": listings["models"].lazy().filter(pl.col("likes") > 0).head(6)}
    first = new_crawl()
    crawl_likers(first, repositories)
    assert first.reports[-1].failed == 6
    faults.clear()
    second = new_crawl()
    crawl_likers(second, repositories)
    assert (second.reports[-1].failed, second.reports[-1].fetched) == (0, 6)


def test_a_listing_that_ends_early_is_a_counted_gap_and_goes_on_there_the_next_time(
    new_crawl, faults, day, monkeypatch
):
    monkeypatch.setattr(listings_module, "PAGE", 50)
    faults.add(r"/api/models\b.*cursor=", error(500))
    first = new_crawl()
    table = list_repositories(first, "models", raw.MODELS).collect()
    (report,) = first.reports
    assert (table.height, report.failed, report.expected) == (50, 1, 51)
    assert not judge_coverage(coverage([vars(report)])).passed
    faults.clear()
    second = new_crawl()
    table = list_repositories(second, "models", raw.MODELS).collect()
    assert sorted(table["id"]) == sorted(day.models["id"])
    assert second.client.requests["api"] == math.ceil(day.models.height / 50) - 1


def test_without_the_social_part_the_plan_counts_no_likers(new_crawl, listings):
    repositories = {kind[:-1]: frame.lazy() for kind, frame in listings.items()}
    stages = {social: plan_of(new_crawl(social=social), repositories) for social in (True, False)}
    assert stages[True].keys() - stages[False].keys() == {"likers"}
    assert stages[True]["likers"] == sum((f["likes"] > 0).sum() for f in listings.values())


def test_the_plan_counts_exactly_the_cards_and_lookups_that_are_then_asked_for(crawl, listings):
    repositories = {kind[:-1]: frame.lazy() for kind, frame in listings.items()}
    plan = plan_of(crawl, repositories)
    crawl_cards(crawl, "datasets", repositories["dataset"])
    assert crawl.reports[-1].requests == pytest.approx(plan["dataset cards"], abs=1)
    crawl_likers(crawl, repositories)
    assert crawl.reports[-1].requests == plan["likers"]


def plan_of(crawl, repositories):
    return dict(crawl_plan(crawl, repositories).select("stage", "requests").iter_rows())


def test_the_least_time_is_that_of_the_bucket_that_takes_longer():
    plan = pl.DataFrame({"bucket": ["api", "api", "resolvers"], "requests": [400, 400, 5_001]})
    assert least_times(plan)["anonymous"] == 300
    assert least_times(plan)["free"] == 300
    assert least_times(plan)["pro"] == 0


@pytest.mark.parametrize(
    ("requests", "quota", "seconds"),
    [(0, 500, 0), (500, 500, 0), (501, 500, 300), (1500, 500, 600)],
)
def test_the_least_time_counts_whole_windows_but_the_last(requests, quota, seconds):
    assert least_seconds(requests, quota) == seconds


def report(stage="likers", **figures):
    return {
        "stage": stage, "expected": 100, "fetched": 100, "unchanged": 0, "deferred": 0,
        "missing": 0, "failed": 0, "set_aside": 0, "rows": 100, "requests": 100, **figures,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "passed"),
    [
        ({}, True),
        ({"fetched": 99, "failed": 1, "set_aside": 1}, True),
        ({"fetched": 98, "failed": 2}, False),
        ({"set_aside": 2}, False),
        ({"fetched": 10, "unchanged": 70, "deferred": 10, "missing": 10}, True),
        ({"fetched": 99}, False),
        ({"stage": "models", "fetched": 99, "failed": 1}, False),
        ({"stage": "models-0", "fetched": 99, "failed": 1}, False),
    ],
)
def test_coverage_fails_where_units_are_lost_or_a_listing_ends_early(figures, passed):
    figures = report(**figures)
    table = coverage([figures])
    assert table.schema == schema_of(COVERAGE)
    result = judge_coverage(table)
    assert result.passed is passed
    assert result.metadata["stages"].value == ("none" if passed else figures["stage"])


@pytest.mark.parametrize(("rows", "passed"), [(100, True), (81, True), (79, False)])
def test_lists_that_hold_much_less_than_the_counters_promise_are_warned_of(rows, passed):
    table = coverage([report(rows=rows), report("followers")], {"likers": 100, "members": 5})
    result = judge_counters(table)
    assert result.passed is passed
    assert result.metadata["likers"].value == rows / 100


@pytest.mark.parametrize(
    ("planned", "made", "passed"),
    [(1_000, 1_000, True), (1_000, 1_050, True), (10_000, 10_600, False), (100, 155, False)],
)
def test_a_crawl_that_took_much_more_than_planned_is_warned_of(planned, made, passed):
    result = judge_plan(planned, made)
    assert result.passed is passed
    assert {name: value.value for name, value in result.metadata.items()} == {
        "planned": planned, "made": made,
    }  # fmt: skip
