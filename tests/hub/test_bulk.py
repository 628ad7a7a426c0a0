"""Snapshots of the tables that others publish: what they give, and what is still asked for."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.bulk import listing_rows, paper_rows, with_authors
from hfkg_assets.hub.coverage import coverage_of, judge_coverage, ledger, set_aside
from hfkg_assets.hub.crawl import BULK_TABLES, TABLES
from hfkg_assets.hub.crawling import crawl_tables
from hfkg_assets.hub.file_columns import MissingColumn, read_columns
from hfkg_resources import bulk_files, disk_sort
from hfkg_resources.bulk_files import BULK, BulkFiles, NoRevision
from hfkg_resources.crawl import JOURNALS, Before, CrawlSession
from hfkg_resources.errors import GaveUp, NotFound
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub import bulk_repositories as published
from hfkg_resources.sample_hub.faults import Faults, cut_connection, error
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import INSTANT, STRINGS, Column
from hfkg_resources.warehouse import Warehouse
from tests.hub.snapshots import crawl_snapshot, observed, requests

DAY, NEXT = "2026-11-20", "2026-11-21"
ANY_DATE = "2026-01-01"

NOT_IN_FILES = {"models": ("files", "has_readme"), "datasets": ("files", "has_readme")}
"""What only siblings tell. Of Spaces the API's listing is asked, and tells it."""

FROM_FILES = ("models", "datasets", "spaces", "papers", "model_cards", "dataset_cards")


def bulk_source(url, *, scope="all", refresh_days=0, source="bulk", **settings):
    return HubSource(
        source=source, endpoint=url, scope=scope, refresh_days=refresh_days, workers=4, **settings
    )


def take_snapshot(warehouse, source, day, *, tables=BULK_TABLES, client=None):
    """All tables of a day, as the asset makes them."""
    folder = Path(warehouse.root, JOURNALS, day)
    has_begun = CrawlSession.has_begun(folder)
    before = Before.find(warehouse, day, source.origin, list(TABLES), has_begun=has_begun)
    with client or source.client(day) as client:
        session = source.session(client, folder, day, before)
        load = lambda name: warehouse.scan(name, day)  # noqa: E731
        for table, rows in crawl_tables(list(tables.values()), session, load):
            warehouse.write(table.name, day, rows)
        warehouse.write("hub/ledger", day, ledger(folder))
        session.close()
    return session


def coverage(warehouse, day=DAY):
    return {row["stage"]: row for row in coverage_of(warehouse, day).collect().to_dicts()}


@pytest.fixture(scope="module")
def hub_faults():
    return Faults(seed=1)


@pytest.fixture(scope="module")
def hub(world, hub_faults):
    with serve(create_app(world, faults=hub_faults)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults(hub_faults):
    hub_faults.clear()
    yield
    hub_faults.clear()


@pytest.fixture(scope="module")
def crawled(hub, tmp_path_factory):
    """A crawl of the day from nothing."""
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("crawled")))
    hub.buckets.clear()
    session = crawl_snapshot(warehouse, hub.url, DAY, refresh_days=0, origin=hub.url)
    return warehouse, requests(session), dict(hub.buckets)


@pytest.fixture(scope="module")
def taken(hub, crawled, tmp_path_factory):
    """The same day's snapshot of the files."""
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("taken")))
    hub.buckets.clear()
    hub.requests.clear()
    session = take_snapshot(warehouse, bulk_source(f"{hub.url}/{ANY_DATE}"), DAY)
    return warehouse, session, dict(hub.buckets), dict(hub.requests)


# -- against a crawl ------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [name for name in TABLES if name != "crawl_plan"])
def test_a_bulk_snapshot_equals_a_crawl_of_the_day_row_for_row(crawled, taken, table):
    unknown = NOT_IN_FILES.get(table, ())
    whole = observed(crawled[0], table, DAY).drop(unknown)
    assert whole.height > 0
    assert observed(taken[0], table, DAY).drop(unknown).equals(whole)


@pytest.mark.parametrize("kind", NOT_IN_FILES)
def test_front_matter_tells_of_a_readme_and_its_absence_of_nothing(crawled, taken, kind):
    ours, whole = observed(taken[0], kind, DAY), observed(crawled[0], kind, DAY)
    both = ours.join(whole, on="_id", suffix="_true")
    told = both.drop_nulls("has_readme")
    assert 0 < told.height < both.height
    assert told["has_readme"].all()
    assert told["has_readme_true"].all()
    assert ours["files"].null_count() == ours.height


def test_neither_listings_nor_papers_are_asked_for_and_cards_only_where_the_dump_lacks_them(
    crawled, taken, record_property
):
    _, whole, whole_buckets = crawled
    warehouse, session, buckets, routes = taken
    assert not {"/api/models", "/api/datasets", "/api/papers"} & set(routes)
    assert routes["/api/spaces"] == 1
    lacking = {
        kind: observed(warehouse, f"{kind}_cards", DAY).height
        - coverage(warehouse)[f"{kind}_cards_bulk"]["rows"]
        for kind in ("model", "dataset")
    }
    files = 4 + 2 * published.CARD_PARTS
    assert buckets["resolvers"] == files + sum(lacking.values())
    assert buckets["resolvers"] <= 0.15 * whole_buckets["resolvers"]
    record_property("requests of a crawl", whole)
    record_property("requests beside the files", requests(session))
    # Two for the revision and tree of each repository, in place of four walks.
    assert buckets["api"] <= whole_buckets["api"] + 6 - 3


def test_rows_of_a_file_are_dated_by_its_commit_and_named_in_the_ledger(taken):
    warehouse = taken[0]
    moment = datetime.combine(date.fromisoformat(DAY), published.COMMITTED_AT, UTC)
    assert warehouse.scan("hub/models", DAY).collect()["observed_at"].unique().to_list() == [moment]
    entries = warehouse.scan("hub/ledger", DAY).filter(stage="models").collect()
    sha = published.commit_id(published.HUB_STATS, date.fromisoformat(DAY))
    assert entries["unit"].to_list() == [f"datasets/{published.HUB_STATS}@{sha}/models.parquet"]


def test_coverage_tells_rows_of_files_by_their_few_requests_and_passes_its_check(taken):
    warehouse = taken[0]
    told = coverage(warehouse)
    for stage in ("models", "datasets", "spaces", "papers", "model_cards_bulk"):
        assert told[stage]["rows"] > 20
        assert told[stage]["requests"] <= 4
    assert judge_coverage(coverage_of(warehouse, DAY).collect()).passed


def test_the_plan_counts_what_is_then_asked_for(taken):
    warehouse, session, _, _ = taken
    plan = warehouse.scan("hub/crawl_plan", DAY).collect()
    planned = dict(plan.select("stage", "requests").iter_rows())
    told = coverage(warehouse)
    for stage in ("model cards", "dataset cards", "likers", "paper details"):
        assert planned[stage] == told[stage.replace(" ", "_")]["requests"], stage
    of_files = ("models", "datasets", "spaces", "papers", "model_cards_bulk", "dataset_cards_bulk")
    made = sum(told[stage]["requests"] for stage in of_files)
    assert planned["bulk files"] + planned["bulk revisions"] == pytest.approx(made, abs=4)
    # Accounts are estimated: they are known only when they have been asked for.
    assert plan["requests"].sum() == pytest.approx(requests(session), rel=0.4)


# -- which revision -------------------------------------------------------------------------------


def files_of(url, day, folder):
    return BulkFiles(HubClient(url, attempts=2, backoff_s=0.01), None, day, folder, backoff_s=0.01)


@pytest.mark.parametrize("page", [7, 1_000])
def test_the_revision_is_the_newest_commit_not_after_the_end_of_the_day(
    hub, tmp_path, monkeypatch, page
):
    monkeypatch.setattr(bulk_files, "COMMITS_PAGE", page)
    day = date(2026, 10, 9)
    chosen = files_of(f"{hub.url}/2026-11-24", str(day), tmp_path).revision(published.HUB_STATS)
    assert chosen.sha == published.commit_id(published.HUB_STATS, day)
    assert chosen.committed_at.date() == day


@pytest.mark.parametrize(
    ("after_midnight", "lag"), [(timedelta(0), 1), (timedelta(milliseconds=-1), 0)]
)
def test_a_commit_at_midnight_belongs_to_the_next_day(
    hub, tmp_path, monkeypatch, after_midnight, lag
):
    end = datetime.min.time()
    monkeypatch.setattr(
        published, "_moment",
        lambda day: datetime.combine(day + timedelta(days=1), end, UTC) + after_midnight,
    )  # fmt: skip
    day = date(2026, 10, 9)
    chosen = files_of(f"{hub.url}/2026-11-24", str(day), tmp_path).revision(published.HUB_STATS)
    assert chosen.sha == published.commit_id(published.HUB_STATS, day - timedelta(days=lag))


def test_a_day_before_the_first_commit_has_no_revision(hub, tmp_path):
    day = str(published.FIRST_COMMIT - timedelta(days=1))
    with pytest.raises(NoRevision, match=f"first commit is of {published.FIRST_COMMIT}"):
        files_of(f"{hub.url}/2026-11-24", day, tmp_path).revision(published.HUB_STATS)
    with pytest.raises(NoRevision, match="not there"):
        files_of(f"{hub.url}/{day}", day, tmp_path).revision(published.HUB_STATS)
    with pytest.raises(NoRevision, match="nobody/nothing"):
        files_of(f"{hub.url}/{DAY}", DAY, tmp_path).revision("nobody/nothing")


def test_a_snapshot_stays_with_the_revision_that_it_began_with(hub, tmp_path):
    first = files_of(f"{hub.url}/2026-11-22", "2026-11-24", tmp_path).revision(published.HUB_STATS)
    later = files_of(f"{hub.url}/2026-11-24", "2026-11-24", tmp_path)
    assert later.revision(published.HUB_STATS) == first
    assert first.committed_at.date() == date(2026, 11, 22)


# -- downloads ------------------------------------------------------------------------------------

CHUNK = 1_024


@pytest.fixture
def small_chunks(monkeypatch):
    """What huggingface_hub writes at once, and so may lose of a download; by itself 10 MB."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)


def one_file(files):
    return files.files(published.HUB_STATS, r"models\.parquet")[0]


def test_a_download_that_is_cut_in_the_middle_goes_on_where_it_was(
    hub, hub_faults, tmp_path, small_chunks
):
    files = files_of(f"{hub.url}/{DAY}", DAY, tmp_path)
    remote = one_file(files)
    hub_faults.add(r"/lfs/.*models\.parquet", cut_connection(), times=1)
    lines = hub.log_requests()
    path, _ = files.fetch(remote)
    statuses = [line.status for line in lines if "/lfs/" in line.path]
    assert statuses == [200, 206]
    assert path.stat().st_size == remote.size
    assert pl.read_parquet(path).height > 0


def test_a_killed_download_goes_on_in_the_next_process(hub, hub_faults, tmp_path):
    remote = one_file(files_of(f"{hub.url}/{DAY}", DAY, tmp_path))
    whole, _ = files_of(f"{hub.url}/{DAY}", DAY, tmp_path / "other").fetch(remote)
    content = whole.read_bytes()
    part = tmp_path / f"{remote.sha256}.part"
    part.write_bytes(content[: len(content) // 3])
    lines = hub.log_requests()
    path, attempts = files_of(f"{hub.url}/{DAY}", DAY, tmp_path).fetch(remote)
    assert path.read_bytes() == content
    assert attempts == 1
    assert [line.status for line in lines if "/lfs/" in line.path] == [206]
    assert not part.exists()


def test_what_fails_for_long_is_given_up_and_kept_for_the_next_time(
    hub, hub_faults, tmp_path, monkeypatch, small_chunks
):
    monkeypatch.setattr(bulk_files, "ATTEMPTS", 2)
    files = files_of(f"{hub.url}/{DAY}", DAY, tmp_path)
    remote = one_file(files)
    half = remote.size // 2 // CHUNK * CHUNK
    hub_faults.add(r"/lfs/.*models\.parquet", cut_connection(), times=1)
    hub_faults.add(r"/lfs/.*models\.parquet", error(503))
    with pytest.raises(GaveUp):
        files.fetch(remote)
    assert (tmp_path / f"{remote.sha256}.part").stat().st_size == half
    hub_faults.clear()
    lines = hub.log_requests()
    files.fetch(remote)
    assert [line.status for line in lines if "/lfs/" in line.path] == [206]


@pytest.mark.parametrize("length", [100, 10**9])
def test_bytes_that_are_not_the_files_are_thrown_away(hub, tmp_path, length):
    files = files_of(f"{hub.url}/{DAY}", DAY, tmp_path)
    remote = one_file(files)
    part = tmp_path / f"{remote.sha256}.part"
    part.write_bytes(b"x" * min(length, remote.size + 10))
    path, _ = files.fetch(remote)
    assert pl.read_parquet(path).height > 0


def test_a_file_is_downloaded_once_and_one_that_is_not_there_is_named(hub, tmp_path):
    files = files_of(f"{hub.url}/{DAY}", DAY, tmp_path)
    path, attempts = files.fetch(one_file(files))
    assert attempts == 1
    assert files.fetch(one_file(files)) == (path, 0)
    with pytest.raises(NotFound, match=r"posts"):
        files.files(published.HUB_STATS, r"posts\.parquet")


def test_the_token_is_sent_and_in_no_log(world, tmp_path, monkeypatch, caplog):
    from hfkg_resources.sample_hub.quotas import PLANS

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    caplog.set_level("DEBUG")
    app = create_app(world, tokens={"hf_secret": PLANS["pro"]}, faults=(faults := Faults()))
    faults.add("/lfs/", cut_connection(), times=1)
    with serve(app) as hub:
        source = bulk_source(f"{hub.url}/{ANY_DATE}", social="off")
        only = {"models": BULK_TABLES["models"]}
        take_snapshot(Warehouse(root=str(tmp_path)), source, DAY, tables=only)
    assert "downloading" in caplog.text
    assert "hf_secret" not in caplog.text
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"hf_secret" in p.read_bytes()]


# -- columns --------------------------------------------------------------------------------------

MOMENT = datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)


@pytest.mark.parametrize(
    ("values", "dtype", "want", "become"),
    [
        ([1, None], pl.Int32, pl.Int64(), [1, None]),
        ([1, None], pl.UInt64, pl.Int64(), [1, None]),
        ([1.0, float("nan")], pl.Float64, pl.Int64(), [1, None]),
        (["12", None], pl.String, pl.Int64(), [12, None]),
        ([MOMENT, None], pl.Datetime("us", "UTC"), INSTANT, [MOMENT, None]),
        ([MOMENT.replace(tzinfo=None)], pl.Datetime("ns"), INSTANT, [MOMENT]),
        (["2024-05-06T07:08:09.123Z"], pl.String, INSTANT, [MOMENT]),
        (["2024-05-06 09:08:09.123+02:00"], pl.String, INSTANT, [MOMENT]),
        (["2024-05-06 07:08:09.123"], pl.String, INSTANT, [MOMENT]),
        (["2024-05-06"], pl.String, INSTANT, [datetime(2024, 5, 6, tzinfo=UTC)]),
        ([date(2024, 5, 6)], pl.Date, INSTANT, [datetime(2024, 5, 6, tzinfo=UTC)]),
        (["True", "false", None], pl.String, pl.Boolean(), [True, False, None]),
        ([1, 0], pl.Int8, pl.Boolean(), [True, False]),
        (["a", None], pl.Categorical, pl.String(), ["a", None]),
        ([7], pl.Int64, pl.String(), ["7"]),
        ([b"a"], pl.Binary, pl.String(), ["a"]),
        ([None, None], pl.Null, pl.String(), [None, None]),
        (['["a","b \\"c\\""]', "[]", None], pl.String, STRINGS, [["a", 'b "c"'], [], None]),
        ([["a", "b"]], pl.Array(pl.String, 2), STRINGS, [["a", "b"]]),
        ([["a"]], pl.List(pl.Categorical), STRINGS, [["a"]]),
    ],
)
def test_a_column_of_another_type_is_read_where_nothing_is_lost(values, dtype, want, become):
    file = pl.LazyFrame({"id": ["x"] * len(values), "c": pl.Series(values, dtype=dtype)})
    read = read_columns(file, [Column("id", pl.String(), ""), Column("c", want, "")], "a file")
    assert read.rows.collect()["c"].to_list() == become
    assert read.rows.collect_schema()["c"] == want
    assert read.aside.is_empty()


@pytest.mark.parametrize(
    ("values", "become"),
    [
        ([False, True], ["false", "true"]),
        (["False", "auto", '"manual"', "false", None], ["false", "auto", "manual", "false", None]),
    ],
)
def test_gating_is_read_from_truth_values_and_words(values, become):
    file = pl.LazyFrame({"id": ["x"] * len(values), "gated": values})
    columns = [Column("id", pl.String(), ""), Column("gated", pl.String(), "")]
    assert read_columns(file, columns, "a file").rows.collect()["gated"].to_list() == become


@pytest.mark.parametrize(
    ("bad", "dtype", "want", "got"),
    [
        ("many", pl.String, pl.Int64(), "many"),
        (1.5, pl.Float64, pl.Int64(), "1.5"),
        (2**63, pl.UInt64, pl.Int64(), str(2**63)),
        ("yesterday", pl.String, INSTANT, "yesterday"),
        ("perhaps", pl.String, pl.Boolean(), "perhaps"),
        (2, pl.Int64, pl.Boolean(), "2"),
        ("no json", pl.String, STRINGS, "no json"),
        ('[{"a":1}]', pl.String, STRINGS, '[{"a":1}]'),
        ('{"a":1}', pl.String, STRINGS, '{"a":1}'),
    ],
)
def test_a_row_with_a_value_that_is_none_of_ours_is_set_aside(bad, dtype, want, got):
    file = pl.LazyFrame({"id": ["x", "y"], "c": pl.Series([None, bad], dtype=dtype)})
    read = read_columns(file, [Column("id", pl.String(), ""), Column("c", want, "")], "a file")
    assert read.rows.collect()["id"].to_list() == ["x"]
    assert read.aside_records == 1
    assert read.aside.to_dicts() == [
        {"index": 1, "column": "c", "expected": str(want), "got": got, "excerpt": '{"id":"y"}',
         "unit": "a file"},
    ]  # fmt: skip


def test_a_row_that_lacks_what_it_must_have_is_set_aside():
    file = pl.LazyFrame({"id": ["x", None, "z"], "likes": [1, 2, None]})
    columns = [Column("id", pl.String(), "", True), Column("likes", pl.Int64(), "", True)]
    read = read_columns(file, columns, "a file")
    assert read.rows.collect()["id"].to_list() == ["x"]
    assert read.aside.select("index", "column", "got").rows() == [
        (1, "id", "nothing"),
        (2, "likes", "nothing"),
    ]


def test_a_column_that_is_missing_or_of_a_type_without_a_way_is_null_and_reported(caplog):
    file = pl.LazyFrame({"id": ["x"], "likes": [["many"]]})
    columns = [Column("id", pl.String(), ""), Column("likes", pl.Int64(), "", True),
               Column("sha", pl.String(), "")]  # fmt: skip
    read = read_columns(file, columns, "a file")
    assert read.rows.collect().rows() == [("x", None, None)]
    assert read.aside_records == 0
    assert read.aside.select("column", "got", "unit").rows() == [
        ("likes", "List(String)", "a file"),
        ("sha", "no such column", "a file"),
    ]
    assert "a file: column sha cannot be had" in caplog.text


def test_without_ids_nothing_is_read_and_stable_ids_are_stood_in_for():
    with pytest.raises(MissingColumn, match=r"models\.parquet: column 'id' is needed .* likes"):
        listing_rows(pl.LazyFrame({"likes": [1]}), "models", "models.parquet")
    read = listing_rows(pl.LazyFrame({"id": ["a/b"], "likes": [1]}), "models", "models.parquet")
    assert read.rows.select("_id", "id", "likes", "tags").collect().rows() == [
        ("a/b", "a/b", 1, [])
    ]
    assert "_id" in read.aside["column"].to_list()


def authors_file(tmp_path, authors):
    path = tmp_path / "papers.parquet"
    pl.DataFrame({"id": [str(n) for n in range(len(authors))], "authors": authors}).write_parquet(
        path
    )
    return with_authors(path, tmp_path / "read")


def test_authors_are_read_from_json_and_from_structs_alike(tmp_path):
    people = [{"name": 'An "Author"', "user": {"_id": "1", "user": "an", "fullname": "An"},
               "status": "claimed"}, {"name": "Nobody"}]  # fmt: skip
    as_text = authors_file(tmp_path, [json.dumps(people), "[]", None])
    expected = [
        {
            "name": 'An "Author"',
            "user": "an",
            "user_id": "1",
            "fullname": "An",
            "status": "claimed",
        },
        {"name": "Nobody", "user": None, "user_id": None, "fullname": None, "status": None},
    ]
    texts = paper_rows(as_text, "papers").rows.collect()
    assert texts["authors"].to_list() == [expected, [], None]
    structs = authors_file(tmp_path, [people, [], None])
    assert paper_rows(structs, "papers").rows.collect()["authors"].to_list() == [expected, [], None]


def test_authors_that_are_no_json_set_their_paper_aside(tmp_path):
    read = paper_rows(authors_file(tmp_path, ["[]", "no json", '{"a": 1}']), "papers")
    assert read.rows.collect()["id"].to_list() == ["0"]
    assert read.aside.filter(pl.col("column") == "authors")["index"].to_list() == [1, 2]


def test_a_file_that_lacks_columns_and_has_others_retyped_gives_what_can_be_read(
    world, crawled, tmp_path
):
    def edit(path, table):
        if path == "models.parquet":
            return table.drop("sha", "downloadsAllTime").with_columns(
                pl.col("likes").cast(pl.Int32),
                pl.col("downloads").cast(pl.Float64),
                pl.col("createdAt").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
                pl.col("tags").list.eval(pl.element()).map_elements(
                    lambda tags: json.dumps(tags.to_list()), return_dtype=pl.String
                ),
            )  # fmt: skip
        if path == "datasets.parquet":
            return table.with_columns(pl.col("gated") != "False")
        return table

    warehouse = Warehouse(root=str(tmp_path))
    with serve(create_app(world, bulk_edit=edit)) as odd:
        take_snapshot(warehouse, bulk_source(f"{odd.url}/{ANY_DATE}"), DAY)
    lost = ["sha", "downloadsAllTime", "files", "has_readme"]
    whole = observed(crawled[0], "models", DAY)
    assert observed(warehouse, "models", DAY).drop(lost).equals(whole.drop(lost))
    datasets = observed(warehouse, "datasets", DAY)
    closed = observed(crawled[0], "datasets", DAY)["gated"] != "false"
    assert (datasets["gated"] == "true").to_list() == closed.to_list()
    told = set_aside(Path(warehouse.root, JOURNALS, DAY)).collect()
    assert told.select("stage", "column", "got").rows() == [
        ("models", "sha", "no such column"),
        ("models", "downloadsAllTime", "no such column"),
    ]
    assert coverage(warehouse)["models"]["set_aside"] == 0
    assert judge_coverage(coverage_of(warehouse, DAY).collect()).passed
    # Of what commit a text is cannot be told; the text is the same.
    texts = observed(warehouse, "model_cards", DAY).drop_nulls("text")
    assert texts["sha"].null_count() == texts.height
    whole = observed(crawled[0], "model_cards", DAY).drop_nulls("text")
    assert texts.select("id", "text").equals(whole.select("id", "text"))


# -- cards ----------------------------------------------------------------------------------------


def test_a_card_that_the_dump_lacks_or_has_an_older_version_of_is_asked_for(
    world, crawled, tmp_path
):
    whole = observed(crawled[0], "model_cards", DAY)
    with_front = observed(crawled[0], "models", DAY)
    texts = whole.filter(status="ok").join(with_front.select("id", "sha"), on=["id", "sha"])["id"]
    lacking, older = texts[0], texts[1]

    def edit(path, table):
        if not path.startswith("data/") or "modelId" not in table.columns:
            return table
        is_older = pl.col("modelId") == older
        then = pl.col("last_modified") - timedelta(days=1)
        return table.filter(pl.col("modelId") != lacking).with_columns(
            pl.when(is_older).then(pl.lit("# Old")).otherwise("card").alias("card"),
            pl.when(is_older).then(then).otherwise("last_modified").alias("last_modified"),
        )

    warehouse = Warehouse(root=str(tmp_path))
    with serve(create_app(world, bulk_edit=edit)) as hub:
        lines = hub.log_requests()
        take_snapshot(warehouse, bulk_source(f"{hub.url}/{ANY_DATE}"), DAY)
        asked = {line.path for line in lines if line.path.endswith("README.md")}
    assert observed(warehouse, "model_cards", DAY).equals(whole)
    assert sum(f"/{older}/" in path for path in asked) == 1
    assert sum(f"/{lacking}/" in path for path in asked) == 1


def test_an_older_text_of_a_card_that_the_hub_withholds_is_kept_without_a_commit(
    world, crawled, tmp_path
):
    withheld = observed(crawled[0], "model_cards", DAY).filter(status="gated")["id"][0]

    def edit(path, table):
        if not path.startswith("data/train-00000") or "modelId" not in table.columns:
            return table
        row = table.head(1).with_columns(
            pl.lit(withheld).alias("modelId"), pl.lit("# Old").alias("card"),
            pl.lit(None, table.schema["last_modified"]).alias("last_modified"),
        )  # fmt: skip
        return pl.concat([table, row])

    warehouse = Warehouse(root=str(tmp_path))
    with serve(create_app(world, bulk_edit=edit)) as hub:
        take_snapshot(warehouse, bulk_source(f"{hub.url}/{ANY_DATE}"), DAY)
    row = observed(warehouse, "model_cards", DAY).filter(id=withheld).row(0, named=True)
    assert (row["text"], row["status"], row["sha"], row["bytes"]) == ("# Old", "ok", None, 5)
    entry = warehouse.scan("hub/ledger", DAY).filter(stage="model_cards", unit=row["_id"]).collect()
    assert entry["status"].to_list() == ["gated"]


# -- a Hub without a past -------------------------------------------------------------------------

ONLY_ASKED = {
    "likers", "followers", "members", "collections", "collection_details", "accounts", "aliases",
    "paper_details", "space_uses",
}  # fmt: skip


@pytest.fixture(scope="module")
def past(hub, tmp_path_factory):
    """A snapshot of a past day from a Hub that has none."""
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("past")))
    lines = hub.log_requests()
    take_snapshot(warehouse, bulk_source(hub.url), DAY)
    return warehouse, list(lines)


def test_of_a_past_day_the_live_hub_is_asked_only_for_files_and_vocabularies(past):
    allowed = ("/commits/", "/tree/", "/resolve/", "/lfs/", "/api/resolve-cache/", "/api/tasks",
               "tags-by-type")  # fmt: skip
    assert [line.path for line in past[1] if not any(part in line.path for part in allowed)] == []


def test_what_only_the_live_hub_tells_of_a_past_day_is_empty_and_counted_as_missing(past, crawled):
    warehouse, _ = past
    told = coverage(warehouse)
    for stage in ONLY_ASKED:
        assert told[stage]["missing"] == told[stage]["expected"] > 0, stage
        assert told[stage]["rows"] == told[stage]["requests"] == 0
    entries = warehouse.scan("hub/ledger", DAY).filter(status="no_past").collect()
    assert set(entries["stage"]) == ONLY_ASKED
    assert entries["reason"].str.contains("has no past").all()
    assert entries["basis"].null_count() == entries.height
    for table in ("likers", "followers", "members", "collections"):
        assert observed(warehouse, table, DAY).is_empty(), table
    aliases = observed(warehouse, "aliases", DAY)
    assert "missing" not in aliases["via"].to_list()
    liked = observed(crawled[0], "likers", DAY).select("repo_kind", "repo_id").n_unique()
    assert told["likers"]["missing"] >= liked
    assert judge_coverage(coverage_of(warehouse, DAY).collect()).passed


@pytest.mark.parametrize("table", ["models", "datasets", "spaces", "papers", "tasks", "tags"])
def test_of_a_past_day_the_files_give_what_a_crawl_of_that_day_gave(past, crawled, table):
    unknown = NOT_IN_FILES.get(table, ())
    if table == "spaces":
        unknown = ("models", "datasets", "disabled", "files", "has_readme")
    ours, whole = observed(past[0], table, DAY), observed(crawled[0], table, DAY)
    if table == "tags":  # the vocabulary is today's, and grows
        ours = ours.join(whole.select("kind", "id"), on=["kind", "id"], how="semi")
    assert ours.drop(unknown).equals(whole.drop(unknown))
    if table == "spaces":
        assert all(ours[name].null_count() == ours.height for name in unknown)


def test_the_next_snapshot_asks_for_what_the_one_of_the_past_could_not(past, hub, crawled):
    warehouse, _ = past
    source = bulk_source(f"{hub.url}/{ANY_DATE}", refresh_days=100_000)
    session = take_snapshot(warehouse, source, NEXT)
    reports = {r.stage: r for crawl in session.crawls.values() for r in crawl.reports}
    assert reports["likers"].unchanged == 0
    assert reports["likers"].fetched > 0
    assert reports["collections"].rows > 0


def test_without_a_past_what_an_earlier_snapshot_knows_is_carried_over(hub, tmp_path):
    warehouse = Warehouse(root=str(tmp_path))
    take_snapshot(warehouse, bulk_source(f"{hub.url}/{ANY_DATE}"), DAY)
    session = take_snapshot(warehouse, bulk_source(hub.url), NEXT)
    reports = {r.stage: r for crawl in session.crawls.values() for r in crawl.reports}
    assert reports["likers"].unchanged > 0.9 * reports["likers"].expected
    assert reports["likers"].requests == reports["likers"].fetched == 0


def test_a_snapshot_begun_on_its_own_day_is_gone_on_with_as_such(tmp_path):
    files = files_of("http://unused.invalid", DAY, tmp_path)
    source = bulk_source("http://unused.invalid")
    assert "has no past" in source.no_past(DAY, files, has_begun=False)
    assert files.is_of_today(True, has_begun=False)
    assert source.no_past(DAY, files, has_begun=True) == ""
    assert "has no past" in source.no_past(DAY, files, has_begun=False)
    dated = bulk_source(f"http://unused.invalid/{ANY_DATE}")
    assert dated.no_past(DAY, files, has_begun=False) == ""


def test_today_the_live_hub_is_asked_for_the_rest(hub, tmp_path):
    today = str(datetime.now(UTC).date())
    warehouse = Warehouse(root=str(tmp_path))
    take_snapshot(warehouse, bulk_source(hub.url), today)
    assert observed(warehouse, "likers", today).height > 0
    spaces = observed(warehouse, "spaces", today)
    assert spaces["models"].null_count() < spaces.height
    assert spaces["files"].null_count() == 0


# -- carrying over --------------------------------------------------------------------------------


@pytest.mark.parametrize("sources", [("bulk", "hub"), ("hub", "bulk")])
def test_snapshots_of_files_and_crawls_carry_over_from_each_other(
    hub, crawled, tmp_path, sources, record_property
):
    warehouse = Warehouse(root=str(tmp_path))
    for day, source in zip((DAY, NEXT), sources, strict=True):
        tables = BULK_TABLES if source == "bulk" else TABLES
        settings = bulk_source(
            f"{hub.url}/{ANY_DATE}", source=source, refresh_days=100_000 if day == NEXT else 0
        )
        client = HubClient(f"{hub.url}/{day}")
        session = take_snapshot(warehouse, settings, day, tables=tables, client=client)
    made = requests(session)
    record_property("requests of the next day", made)
    assert made < 0.35 * crawled[1]
    whole = Warehouse(root=str(tmp_path / "whole"))
    crawl_snapshot(whole, hub.url, NEXT, refresh_days=0)
    for table in ("models", "datasets", "spaces", "collections", "members", "model_cards",
                  "dataset_cards"):  # fmt: skip
        unknown = NOT_IN_FILES.get(table, ())
        ours = observed(warehouse, table, NEXT).drop(unknown)
        assert ours.equals(observed(whole, table, NEXT).drop(unknown)), table


def test_files_and_crawls_of_one_address_have_one_origin():
    dated = bulk_source("https://hub.example/2026-01-01")
    assert dated.origin == bulk_source("https://hub.example", source="hub").origin
    with dated.client(DAY) as client:
        assert client.endpoint == f"https://hub.example/{DAY}"


# -- scope ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope", ["limit:20", "author:{},{}", "task:text-generation,text-classification", "top:0.2"]
)
def test_a_scope_takes_of_the_files_what_it_takes_of_the_listings(hub, crawled, tmp_path, scope):
    authors = observed(crawled[0], "models", DAY)["author"].drop_nulls().value_counts(sort=True)
    scope = scope.format(*authors["author"].head(2))
    names = ("models", "datasets", "spaces", "collections", "papers")
    warehouses = []
    for source, all_tables in (("bulk", BULK_TABLES), ("hub", TABLES)):
        warehouses.append(Warehouse(root=str(tmp_path / source)))
        settings = bulk_source(f"{hub.url}/{ANY_DATE}", source=source, scope=scope)
        tables = {name: all_tables[name] for name in names}
        client = HubClient(f"{hub.url}/{DAY}")
        take_snapshot(warehouses[-1], settings, DAY, tables=tables, client=client)
    for table in names:
        unknown = NOT_IN_FILES.get(table, ())
        ours, theirs = (observed(one, table, DAY).drop(unknown) for one in warehouses)
        assert ours.equals(theirs), table
    assert ours.height > 0
    everything = observed(crawled[0], "models", DAY).height
    assert 0 < observed(warehouses[0], "models", DAY).height < everything


def test_rows_that_a_file_repeats_come_once_and_sorted_whatever_fits_in_memory(
    world, crawled, tmp_path, monkeypatch
):
    monkeypatch.setattr("hfkg_assets.hub.bulk.SORTED_ROWS", 50)

    def edit(path, table):
        return pl.concat([table.head(3).with_columns(likes=pl.lit(0, pl.Int64)), table.reverse()]) \
            if path == "models.parquet" else table  # fmt: skip

    warehouse = Warehouse(root=str(tmp_path))
    with serve(create_app(world, bulk_edit=edit)) as hub:
        only = {"models": BULK_TABLES["models"]}
        take_snapshot(warehouse, bulk_source(f"{hub.url}/{ANY_DATE}"), DAY, tables=only)
    lost = ["files", "has_readme"]
    whole = observed(crawled[0], "models", DAY).drop(lost)
    assert observed(warehouse, "models", DAY).drop(lost).equals(whole)
    assert disk_sort.RANGE_ROWS > 50


# -- through Dagster ------------------------------------------------------------------------------


def run(environment, job, day):
    definition = build_defs(environment).resolve_job_def(job)
    with dg.DagsterInstance.ephemeral() as instance:
        return definition.execute_in_process(instance=instance, partition_key=day)


def blocking(result):
    """The checks that failed and matter."""
    return [
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]


def test_the_plan_downloads_what_the_crawl_then_uses_and_the_crawl_clears_away(
    hub, crawled, tmp_path
):
    environment = {
        "HFKG_SOURCE": "bulk", "HF_ENDPOINT": f"{hub.url}/{ANY_DATE}", "HFKG_ROOT": str(tmp_path),
    }  # fmt: skip
    lines = hub.log_requests()
    assert run(environment, "plan", DAY).success
    assert list((tmp_path / JOURNALS / DAY / BULK).glob("*.parquet"))
    result = run(environment, "crawl", DAY)
    assert result.success
    assert blocking(result) == []
    files = [line.path for line in lines if "/lfs/" in line.path]
    assert len(files) == len(set(files)) == 4 + 2 * published.CARD_PARTS
    assert not (tmp_path / JOURNALS / DAY / BULK).exists()
    warehouse = Warehouse(root=str(tmp_path))
    assert observed(warehouse, "likers", DAY).equals(observed(crawled[0], "likers", DAY))
    for stage in ("models", "space_uses"):
        assert coverage(warehouse)[stage]["rows"] > 0


@pytest.mark.slow
def test_a_graph_is_built_of_a_past_day_of_a_hub_without_a_past(hub, tmp_path):
    environment = {"HFKG_SOURCE": "bulk", "HF_ENDPOINT": hub.url, "HFKG_ROOT": str(tmp_path)}
    result = run(environment, "snapshot", DAY)
    assert result.success
    assert blocking(result) == []
    warehouse = Warehouse(root=str(tmp_path))
    edges = warehouse.scan("graph/edge", DAY).group_by("relation").len().collect()
    told = set(edges["relation"])
    assert {"model_definedFor_task", "model_cite_paper", "model_finetune_model"} <= told
    assert not {"user_like_model", "space_use_model", "org_own_collection"} & told


def test_the_declared_columns_are_those_of_a_crawl():
    for name, table in BULK_TABLES.items():
        assert table.columns == TABLES[name].columns
        assert table.ins == TABLES[name].ins
    assert BULK_TABLES["models"].columns == raw.MODELS
    assert BULK != JOURNALS
