"""The next snapshot: only what changed is asked for, and the result is that of a full crawl."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.aliases import renamed_accounts
from hfkg_assets.hub.carrying import without_closed_accounts
from hfkg_assets.hub.coverage import coverage, judge_coverage
from hfkg_assets.hub.crawl import TABLES
from hfkg_resources.crawl import CARRIED, LEDGER, Before
from hfkg_resources.sample_hub.faults import Faults, error
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.hub.snapshots import crawl_snapshot, observed, requests

EARLY, LATE, NEXT = "2026-06-01", "2026-11-20", "2026-11-21"
EVERYTHING = 0
"""A refresh that asks for all that can be asked for."""

COUNTERS_ONLY = 100_000
"""A refresh so slow that what no counter tells is never asked for again."""

CRAWLED = [name for name in TABLES if name != "crawl_plan"]


@pytest.fixture(scope="module")
def life():
    return World(repositories=1_500)


@pytest.fixture(scope="module")
def hub(life):
    with serve(create_app(life)) as running:
        yield running


@pytest.fixture(scope="module")
def full(hub, tmp_path_factory):
    """Full crawls of the two late days, each from nothing."""
    crawls = {}
    for day in (LATE, NEXT):
        warehouse = Warehouse(root=str(tmp_path_factory.mktemp(day)))
        session = crawl_snapshot(warehouse, hub.url, day, refresh_days=EVERYTHING)
        crawls[day] = warehouse, requests(session)
    return crawls


@pytest.fixture(scope="module")
def chain(hub, tmp_path_factory):
    """An early snapshot and two late ones after it, with what each crawl reported."""
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("chain")))
    return warehouse, {
        day: crawl_snapshot(warehouse, hub.url, day, refresh_days=refresh_days)
        for day, refresh_days in ((EARLY, EVERYTHING), (LATE, COUNTERS_ONLY), (NEXT, COUNTERS_ONLY))
    }


def changes(life):
    """What happened between the early and the late day, by kind of change."""
    then, now = life.at(date.fromisoformat(EARLY)), life.at(date.fromisoformat(LATE))
    both = then.models.join(now.models, on="_id", suffix="_now")
    collections = then.collections.join(now.collections, on="_id", suffix="_now")
    return {
        "likes": both.filter(pl.col("likes") != pl.col("likes_now")),
        "content": both.filter(pl.col("sha") != pl.col("sha_now")),
        "renamed": both.filter(pl.col("id") != pl.col("id_now")),
        "removed": then.models.join(now.models, on="_id", how="anti"),
        "new": now.models.join(then.models, on="_id", how="anti"),
        "gated": both.filter(pl.col("gated") != pl.col("gated_now")),
        "new accounts": now.accounts.join(then.accounts, on="_id", how="anti"),
        "members": now.members.join(then.members, on=["org", "user"], how="anti"),
        "collections": collections.filter(pl.col("last_updated") != pl.col("last_updated_now")),
        "renamed accounts": then.accounts.join(now.accounts, on="_id", suffix="_now").filter(
            pl.col("name") != pl.col("name_now")
        ),
    }


def test_every_kind_of_change_happened_between_the_snapshots(life):
    assert [kind for kind, rows in changes(life).items() if rows.is_empty()] == []


@pytest.mark.parametrize("day", [LATE, NEXT])
@pytest.mark.parametrize("table", sorted(set(CRAWLED) - {"followers", "accounts", "likers"}))
def test_a_snapshot_after_others_equals_a_full_crawl_row_for_row(chain, full, table, day):
    incremental, whole = observed(chain[0], table, day), observed(full[day][0], table, day)
    if table == "aliases":  # a crawl from nothing meets no old names of accounts
        incremental = incremental.filter(pl.col("kind").is_in(["model", "dataset", "space"]))
    assert incremental.height > 0
    assert incremental.equals(whole)


@pytest.mark.parametrize("day", [LATE, NEXT])
def test_likers_differ_only_in_accounts_that_were_closed_or_renamed(chain, full, life, day):
    then, now = (life.at(date.fromisoformat(one)).accounts for one in (EARLY, day))
    both = then.join(now, on="_id", how="left", suffix="_now")
    names = dict(both.select("name", "name_now").iter_rows())
    ours, whole = observed(chain[0], "likers", day), observed(full[day][0], "likers", day)
    told = ours.with_columns(
        user=pl.col("user").replace_strict(names, default=pl.col("user"))
    ).drop_nulls("user")
    order = ["repo_kind", "repo_id", "user"]
    assert told.sort(order).equals(whole)
    stale = ours.join(whole, on=order, how="anti")
    assert 0 < stale.height < 0.02 * whole.height


def test_an_old_name_of_an_account_is_resolved_by_its_alias(chain, life):
    aliases = observed(chain[0], "aliases", LATE).filter(kind="user")
    then, now = (life.at(date.fromisoformat(day)).accounts for day in (EARLY, LATE))
    renamed = then.join(now, on="_id", suffix="_now").filter(pl.col("name") != pl.col("name_now"))
    truth = set(renamed.select("name", "name_now").iter_rows())
    told_of = set(aliases.select("id", "canonical_id").iter_rows())
    assert ("wanda-k", "wanda-rook") in told_of
    assert told_of <= truth
    told = pl.concat(observed(chain[0], name, LATE)["user"] for name in ("likers", "followers"))
    assert set(told) & {old for old, _ in truth} <= set(aliases["id"])


@pytest.mark.parametrize("day", [LATE, NEXT])
def test_what_differs_is_new_followers_of_accounts_that_no_listing_counts(chain, full, life, day):
    counter = pl.col("numFollowers")
    ours, whole = observed(chain[0], "accounts", day), observed(full[day][0], "accounts", day)
    closed = ours.join(whole, on="name", how="anti")  # that nothing tells of but carried likes
    assert closed["only_likes"].all()
    assert set(closed["_id"]).isdisjoint(life.at(date.fromisoformat(day)).accounts["_id"])
    ours = ours.join(closed, on="name", how="anti")
    assert ours.drop("numFollowers").equals(whole.drop("numFollowers"))
    ours, whole = observed(chain[0], "followers", day), observed(full[day][0], "followers", day)
    assert ours.join(whole, on=ours.columns, how="anti", nulls_equal=True).is_empty()
    late = whole.join(ours, on=ours.columns, how="anti", nulls_equal=True)
    ledger = chain[0].scan("hub/ledger", day).filter(pl.col("stage") == "followers").collect()
    units = late.select(unit=pl.format("{}:{}", "kind", "name")).unique()
    asked_on = units.join(ledger, on="unit")["observed_on"].drop_nulls()
    assert set(asked_on) <= {date.fromisoformat(EARLY), date.fromisoformat(LATE)}
    tracked = chain[0].scan("hub/accounts", day).filter(counter > 0, pl.col("kind") == "org")
    assert units.join(
        tracked.select(unit=pl.format("org:{}", "name")).collect(), on="unit", how="semi"
    ).is_empty()


def test_once_everything_had_its_turn_in_the_refresh_nothing_differs(hub, full, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    crawl_snapshot(warehouse, hub.url, EARLY)
    crawl_snapshot(warehouse, hub.url, LATE)
    for table in CRAWLED:
        ours, whole = observed(warehouse, table, LATE), observed(full[LATE][0], table, LATE)
        if table == "aliases":
            ours = ours.filter(pl.col("kind").is_in(["model", "dataset", "space"]))
        assert ours.equals(whole), table


def test_the_next_day_costs_less_than_a_twentieth_of_a_first_crawl(chain, full):
    assert requests(chain[1][NEXT]) < full[NEXT][1] / 20


def test_a_plan_made_from_the_listings_holds_within_five_percent(hub, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    for day in (LATE, NEXT):
        session = crawl_snapshot(warehouse, hub.url, day)
        plan = warehouse.scan("hub/crawl_plan", day).collect()
        # Some days cost less than a hundred requests: a handful is more than a twentieth of these.
        assert plan["requests"].sum() == pytest.approx(requests(session), rel=0.05, abs=5)


def test_what_is_carried_over_says_so_and_keeps_when_it_was_observed(chain):
    warehouse, sessions = chain
    for table in ("likers", "model_cards", "followers", "members", "collections", "aliases"):
        then = warehouse.scan(f"hub/{table}", LATE).select("observed_at").collect()
        now = warehouse.scan(f"hub/{table}", NEXT).collect()
        if table == "collections":  # a short one is told whole by the listing
            now = now.filter(pl.col("items").list.len() >= 4)
        if table == "aliases":  # case is settled from the listing
            now = now.filter(pl.col("via") == "renamed")
        carried = now.filter("carried")
        assert carried.height > now.height / 2, table
        assert carried["observed_at"].max() <= then["observed_at"].max()
    reports = {r.stage: r for c in sessions[NEXT].crawls.values() for r in c.reports}
    ledger = warehouse.scan("hub/ledger", NEXT).collect()
    for stage, report in reports.items():
        units = ledger.filter(stage=stage)
        old = units.filter(pl.col("observed_on") < date.fromisoformat(NEXT), status="ok")
        assert old.height == report.unchanged, stage
    assert judge_coverage(coverage([vars(report) for report in reports.values()])).passed


def test_within_the_refresh_time_every_unit_has_been_asked_for_again(hub, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    days = [f"2026-11-{number}" for number in (10, 11, 12, 13)]
    for day in days:
        crawl_snapshot(warehouse, hub.url, day, refresh_days=3)
    ledger = warehouse.scan("hub/ledger", days[-1]).collect()
    oldest = dict(ledger.group_by("stage").agg(pl.col("observed_on").min()).iter_rows())
    told_by_the_listing = {"model_cards", "dataset_cards"}
    assert {stage for stage, day in oldest.items() if str(day) == days[0]} == told_by_the_listing
    shares = ledger.filter(pl.col("stage") == "followers")["observed_on"].value_counts()
    assert shares["count"].max() < 0.5 * shares["count"].sum()


def test_followers_of_those_who_only_like_are_asked_for_in_turn(hub, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    deferred = []
    for number in (10, 11, 12, 13):
        session = crawl_snapshot(warehouse, hub.url, f"2026-11-{number}", refresh_days=3)
        (report,) = session.crawls["followers"].reports
        ledger = warehouse.scan("hub/ledger", f"2026-11-{number}").filter(stage="followers")
        waiting = ledger.filter(pl.col("status") == "deferred").collect()
        assert waiting.height == report.deferred
        assert waiting["observed_on"].null_count() == report.deferred
        deferred.append(set(waiting["unit"]))
    assert deferred[0] > deferred[1] & deferred[0] > deferred[2] & deferred[0]
    assert not deferred[3] & deferred[0]


def test_a_failed_unit_is_asked_for_again_and_a_missing_one_is_not(life, tmp_path):
    faults, warehouse = Faults(seed=1), Warehouse(root=str(tmp_path))
    with serve(create_app(life, faults=faults)) as hub:
        faults.add(r"/likers\b", error(503))
        first = crawl_snapshot(warehouse, hub.url, LATE)
        faults.clear()
        second = crawl_snapshot(warehouse, hub.url, NEXT, refresh_days=COUNTERS_ONLY)
    (before,), (after,) = first.crawls["likers"].reports, second.crawls["likers"].reports
    assert before.failed == before.expected > 0
    assert (after.failed, after.unchanged, after.fetched) == (0, 0, after.expected)
    aliases = second.crawls["aliases"].reports[0]
    assert aliases.missing > aliases.requests


def test_a_snapshot_of_another_hub_is_not_carried_over(chain):
    warehouse, _ = chain
    later, tables = "2026-11-22", list(TABLES)
    assert Before.find(warehouse, later, "a Hub", tables).day == date.fromisoformat(NEXT)
    assert Before.find(warehouse, later, "another Hub", tables) is None
    assert Before.find(warehouse, "2026-05-31", "a Hub", tables) is None


def test_a_snapshot_that_lacks_a_table_is_passed_over(hub, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    for day in (EARLY, LATE):
        crawl_snapshot(warehouse, hub.url, day)
    warehouse.path("hub/likers", LATE).unlink()
    assert Before.find(warehouse, NEXT, "a Hub", list(TABLES)).day == date.fromisoformat(EARLY)


def test_a_snapshot_made_again_asks_only_for_what_changed_since(hub, full, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    first = crawl_snapshot(warehouse, hub.url, LATE, refresh_days=EVERYTHING)
    again = crawl_snapshot(warehouse, hub.url, LATE)
    assert requests(again) < 0.02 * requests(first)
    for table in CRAWLED:
        assert observed(warehouse, table, LATE).equals(observed(full[LATE][0], table, LATE)), table
    assert requests(crawl_snapshot(warehouse, hub.url, LATE, refresh_days=EVERYTHING)) == (
        pytest.approx(requests(first), rel=0.02)
    )
    assert not (tmp_path / ".crawl" / LATE / ".again").exists()


def test_an_interrupted_second_making_goes_on_from_the_first(life, hub, tmp_path):
    faults, warehouse = Faults(seed=1), Warehouse(root=str(tmp_path))
    with serve(create_app(life, faults=faults)) as other:
        crawl_snapshot(warehouse, other.url, LATE, refresh_days=EVERYTHING)
        faults.add(r"/api/organizations/[^/]*/overview", error(503))
        failing = crawl_snapshot(warehouse, other.url, LATE)
        assert failing.crawls["accounts"].reports[0].failed > 0
        assert (tmp_path / ".crawl" / LATE / ".again").exists()
        faults.clear()
        last = crawl_snapshot(warehouse, other.url, LATE)
    assert last.crawls["accounts"].reports[0].failed == 0
    assert last.crawls["likers"].reports[0].unchanged > 0
    assert not (tmp_path / ".crawl" / LATE / ".again").exists()


# -- what carried rows may still tell -------------------------------------------------------------


@pytest.fixture
def crawl_after(new_crawl, tmp_path):
    """A crawl after a snapshot that is made of a few given rows."""

    def make(**tables):
        warehouse = Warehouse(root=str(tmp_path / "store"))
        for name, rows in tables.items():
            columns = LEDGER if name == "ledger" else getattr(raw, name.upper())
            warehouse.write(f"hub/{name}", EARLY, pl.DataFrame(rows, schema=schema_of(columns)))
        crawl = new_crawl()
        crawl.before = Before(date.fromisoformat(EARLY), warehouse)
        return crawl

    return make


def account(name, hub_id, kind="user"):
    return {"name": name, "_id": hub_id, "kind": kind}


def test_an_account_that_was_renamed_is_known_by_its_old_names_too(crawl_after):
    older = {"kind": "user", "id": "first", "canonical_id": "second", "via": "renamed"}
    crawl = crawl_after(
        accounts=[account("second", "1"), account("same", "2"), account("acme", "3", "org")],
        aliases=[older, {**older, "id": "gone", "canonical_id": None, "via": "missing"}],
    )
    today = pl.LazyFrame(
        [account("third", "1"), account("same", "2"), account("ACME", "3", "org")],
        schema=schema_of(raw.ACCOUNTS),
    )
    rows = renamed_accounts(crawl, today).drop_nulls("canonical_id").collect()
    assert set(rows.select("kind", "id", "canonical_id").iter_rows()) == {
        ("user", "first", "third"), ("user", "second", "third"), ("organization", "acme", "ACME"),
    }  # fmt: skip


def test_rows_about_accounts_that_the_hub_said_to_be_closed_are_not_carried_over(crawl_after):
    unit = {"stage": "accounts", "basis": "", "observed_on": date.fromisoformat(EARLY)}
    crawl = crawl_after(
        ledger=[
            {**unit, "unit": "closed", "status": "not_found"},
            {**unit, "unit": "down", "status": "failed"},
            {**unit, "unit": "open", "status": "ok"},
        ]
    )
    rows = pl.LazyFrame({"user": ["closed", "down", "open", "unheard"]})
    kept = without_closed_accounts(crawl, rows).collect()
    assert sorted(kept["user"]) == ["down", "open", "unheard"]


def test_tables_that_carry_over_declare_it():
    carrying = {name for name, table in TABLES.items() if CARRIED in table.columns}
    assert carrying == {
        "collections", "papers", "accounts", "likers", "followers", "members", "model_cards",
        "dataset_cards", "aliases",
    }  # fmt: skip


def test_a_session_that_got_everything_leaves_no_journals_behind(chain):
    root = Path(chain[0].root)
    assert list(root.glob(".crawl/*/*/*/")) == []
    assert len(list(root.glob(".crawl/*/*/complete"))) == 3 * len(TABLES)
