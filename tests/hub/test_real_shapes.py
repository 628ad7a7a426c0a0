"""Records as the Hub gave them, replayed: nothing is lost but what is counted and explained.

The records stand beside the checkout, in `shared/data`, or where `HFKG_TEST_DATA` says; without
them these tests are skipped.
"""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from hashlib import sha1
from itertools import pairwise, zip_longest
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.collections import crawl_collections
from hfkg_assets.hub.coverage import coverage, judge_coverage
from hfkg_assets.hub.listings import list_repositories
from hfkg_assets.hub.papers import crawl_papers
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.server import serve
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.hub.replay_hub import State, create_replay

DATA = Path(
    os.environ.get("HFKG_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data"
)
BEFORE_DATES = "2022-03-02T23:29:04.000Z"
"""What the Hub gives as the creation of every repository older than that moment."""

README = {"rfilename": "README.md"}

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no recorded answers of the Hub in {DATA} (HFKG_TEST_DATA)"
)


def read(name, containing=b""):
    with gzip.open(DATA / f"{name}.jsonl.gz") as file:
        return [json.loads(line) for line in file if containing in line]


def instant(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def stable_id(created, name):
    """An id as the Hub makes them: the moment of creation, then what tells it from others."""
    return f"{int(instant(created).timestamp()):08x}{sha1(name.encode()).hexdigest()[:16]}"


@pytest.fixture
def replay(new_crawl):
    """Serves lists and objects, and makes a crawl of them; served rows may be looked at again."""
    servers = []

    def start(**state):
        served = State(**state)
        servers.append(serve(create_replay(lambda day: served)))
        return new_crawl(endpoint=servers[-1].url)

    yield start
    for server in servers:
        server.stop()


def set_aside(crawl):
    """What the crawl set aside: (column, expected, got) with how often."""
    faults = pl.read_parquet(crawl.directory / "*.set_aside.parquet")
    return faults.group_by("column", "expected", "got").len().rows()


def rows_of(table):
    """Rows without what tells of the crawl alone."""
    return table.drop("observed_at", "carried", strict=False).to_dicts()


NO_PAPERS = pl.LazyFrame(schema={"id": pl.String})


# --- papers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers():
    return {entry["paper"]["id"]: entry["paper"] for entry in read("daily_papers")}


def expected_paper(paper):
    linked = [author.get("user") or {} for author in paper["authors"]]
    return {
        "id": paper["id"],
        "title": paper["title"],
        "summary": paper["summary"],
        "publishedAt": instant(paper["publishedAt"]),
        "upvotes": paper["upvotes"],
        "authors": [
            {
                "name": author["name"],
                "user": user.get("user"),
                "user_id": user.get("_id") or user.get("id"),
                "fullname": user.get("fullname"),
                "status": author.get("status"),
            }
            for author, user in zip(paper["authors"], linked, strict=True)
        ],
    }


def test_every_listed_paper_is_read_with_all_its_authors_and_their_accounts(replay, papers):
    crawl = replay(lists={"/api/papers": list(papers.values())})
    table = crawl_papers(crawl, lambda: NO_PAPERS).collect()
    assert table.schema == schema_of(raw.PAPERS)
    assert rows_of(table) == [expected_paper(papers[paper]) for paper in sorted(papers)]
    assert crawl.client.requests["api"] == -(-len(papers) // 100)
    assert sum(report.set_aside for report in crawl.reports) == 0


def test_a_paper_asked_for_by_id_gives_the_row_that_a_listing_gives(replay, papers):
    cited = sorted(papers)[::25]
    asked = pl.LazyFrame({"id": [*cited, "9999.99999"]})
    crawl = replay(
        lists={"/api/papers": []},
        objects={f"/api/papers/{paper}": papers[paper] for paper in cited},
    )
    table = crawl_papers(crawl, lambda: asked).collect()
    assert rows_of(table) == [expected_paper(papers[paper]) for paper in cited]
    assert crawl.missing("paper_details")["unit"].to_list() == ["9999.99999"]


# --- repositories --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spaces():
    return {space["id"]: space for space in read("spaces_raw2024")}


@pytest.fixture(scope="module")
def models2022():
    return {model["modelId"]: model for model in read("hub2022_models")}


def identified(records):
    """Records with what the Hub gives in every listing today: `_id`, `id`, `createdAt`."""
    return [
        {"createdAt": BEFORE_DATES, **record, "id": name}
        | {"_id": stable_id(record.get("createdAt", BEFORE_DATES), name)}
        for name, record in records.items()
    ]


@pytest.mark.parametrize(
    ("kind", "columns", "records"),
    [("models", raw.MODELS, "models2022"), ("spaces", raw.SPACES, "spaces")],
)
def test_repositories_without_a_stable_id_are_set_aside_each_with_that_reason(
    replay, request, kind, columns, records
):
    records = request.getfixturevalue(records)
    crawl = replay(lists={f"/api/{kind}": list(records.values())})
    table = list_repositories(crawl, kind, columns).collect()
    assert table.is_empty()
    assert set_aside(crawl) == [("_id", "String", "nothing", len(records))]
    (report,) = crawl.reports
    assert report.set_aside == len(records)
    assert not judge_coverage(coverage([vars(report)])).passed


def test_every_space_of_2024_is_read_with_its_dates_and_likes(replay, spaces):
    crawl = replay(lists={"/api/spaces": identified(spaces)})
    table = list_repositories(crawl, "spaces", raw.SPACES).collect()
    assert rows_of(table.drop("_id")) == [
        {
            **dict.fromkeys(("sha", "disabled", "files", "has_readme")),
            **dict.fromkeys(("sdk", "models", "datasets")),
            **{key: space[key] for key in ("id", "author", "private", "likes")},
            "createdAt": instant(space["createdAt"]),
            "lastModified": instant(space["lastModified"]),
            "tags": [],
        }
        for _, space in sorted(spaces.items())
    ]
    assert crawl.reports[-1].set_aside == 0


def test_every_model_of_2022_is_read_with_its_tags_files_and_counters(replay, models2022):
    crawl = replay(lists={"/api/models": identified(models2022)})
    table = list_repositories(crawl, "models", raw.MODELS).collect()
    assert rows_of(table.drop("_id")) == [
        {
            **dict.fromkeys(("author", "disabled", "gated", "downloadsAllTime")),
            **{key: model[key] for key in ("sha", "private", "likes", "tags")},
            **{key: model.get(key) for key in ("downloads", "pipeline_tag", "library_name")},
            "id": name,
            "createdAt": instant(BEFORE_DATES),
            "lastModified": instant(model["lastModified"]),
            "files": len(model["siblings"]),
            "has_readme": README in model["siblings"],
        }
        for name, model in sorted(models2022.items())
    ]
    assert crawl.client.requests["api"] == -(-len(models2022) // 1_000)
    assert crawl.reports[-1].set_aside == 0


# --- collections ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collection():
    return json.loads((DATA / "api_examples.json").read_bytes())["collection"]["response"]


def listing_row(collection, items=4):
    """The collection as the Hub lists it: so many items at most, without its own position."""
    row = {key: value for key, value in collection.items() if key not in ("position", "shareUrl")}
    return row | {"items": collection["items"][:items]}


def with_items(collection, number):
    """The collection with so many items: its own again and again, each a membership of its own."""
    items = [
        collection["items"][at % len(collection["items"])] | {"position": at, "_id": f"{at:024x}"}
        for at in range(number)
    ]
    return collection | {"items": items}


@pytest.mark.parametrize(("items", "requests"), [(3, 1), (4, 2), (7, 2)])
def test_a_collection_has_the_items_of_its_own_answer_whatever_the_listing_shows(
    replay, collection, items, requests
):
    whole = with_items(collection, items)
    crawl = replay(
        lists={"/api/collections": [listing_row(whole)]},
        objects={f"/api/collections/{whole['slug']}": whole},
    )
    table = crawl_collections(crawl, dict).collect()
    owner = collection["owner"]
    shown = [owner, *(item["authorData"] for item in whole["items"][:4])]
    assert rows_of(table) == [
        {
            **{key: whole[key] for key in ("slug", "title", "description", "theme", "upvotes")},
            "lastUpdated": instant(whole["lastUpdated"]),
            "owner_name": owner["name"],
            "owner_type": owner["type"],
            "accounts": [
                {key: account.get(key) for key in raw.ACCOUNT.to_schema()} for account in shown
            ],
            "items": [
                {key: item[key] for key in ("_id", "type", "id", "position")} | {"note": None}
                for item in whole["items"]
            ],
            "is_complete": True,
        }
    ]
    assert crawl.client.requests["api"] == requests
    assert sum(report.set_aside for report in crawl.reports) == 0


# --- the whole crawl ------------------------------------------------------------------------------


class ReplayedHub(HubSource):
    """The replay as it was on the snapshot's day."""

    def client(self, day):
        return HubClient(f"{self.endpoint}/{day}")


def crawler(root, url, **settings):
    """Runs the job `crawl` for a day, into a store."""
    hub = ReplayedHub(source="hub", endpoint=url, **settings)
    job = build_defs({"HFKG_ROOT": str(root)}, {"hub": hub}).resolve_job_def("crawl")

    def crawl(day):
        with dg.DagsterInstance.ephemeral() as instance:
            done = job.execute_in_process(
                instance=instance,
                partition_key=str(day),
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            )
        assert done.success

    return crawl


def tables_of(root, day):
    """The stored tables of a day, less what tells of the crawl alone."""
    warehouse = Warehouse(root=str(root))
    names = {path.parent.parent.name for path in Path(root, "hub").glob(f"*/*={day}/*.parquet")}
    return {
        name: warehouse.scan(f"hub/{name}", day)
        .drop("observed_at", "carried", strict=False)
        .collect()
        for name in names - {"coverage", "crawl_plan", "ledger"}
    }


def overview(one):
    """A collected account as the overview that it was a part of."""
    known = {key: value for key, value in one.items() if value is not None}
    return known | ({"name": one["id"]} if one["kind"] == "organization" else {"user": one["id"]})


def test_a_crawl_of_all_of_them_finds_every_record_and_says_what_the_hub_does_not_give(
    tmp_path, papers, spaces, models2022, collection
):
    some = dict(sorted(models2022.items())[::60])
    listed = dict(sorted(papers.items())[::60])
    cards = {
        card["id"]: card["card"]
        for card in read("cards", containing=b"hub2022")
        if card["origin"] == "hub2022" and card["id"] in some
    }
    known = {one["id"]: one for one in read("users_orgs") if one.get("_id")}
    kinds = {name: f"{one['kind']}s" for name, one in known.items()}
    state = State(
        lists={
            "/api/models": identified(some),
            "/api/datasets": [],
            "/api/spaces": list(spaces.values()),
            "/api/papers": list(listed.values()),
            "/api/collections": [listing_row(collection)],
        },
        objects={f"/api/collections/{collection['slug']}": collection}
        | {path: {} for path in VOCABULARIES}
        | {f"/api/{kinds[name]}/{name}/overview": overview(one) for name, one in known.items()},
        files={
            f"/api/resolve-cache/models/{name}/{some[name]['sha']}/README.md": text.encode()
            for name, text in cards.items()
        },
    )
    day = date(2026, 9, 26)
    with serve(create_replay(lambda _: state)) as server:
        crawler(tmp_path, server.url)(day)
    tables = tables_of(tmp_path, day)
    assert tables["models"]["id"].to_list() == sorted(some)
    assert tables["spaces"].is_empty()
    assert tables["set_aside"].group_by("stage", "column", "expected", "got").len().rows() == [
        ("spaces", "_id", "String", "nothing", len(spaces))
    ]
    assert tables["papers"].to_dicts() == [expected_paper(paper) for paper in listed.values()]
    assert tables["collections"]["items"].list.len().to_list() == [len(collection["items"])]
    texts = tables["model_cards"].filter(status="ok").select("id", "text")
    with_card = {name for name, model in some.items() if README in model["siblings"]}
    assert dict(texts.rows()) == {name: cards[name] for name in with_card & set(cards)}
    names = names_in(some, listed, collection)
    found = tables["accounts"]
    assert set(found["name"]) == names & set(known)
    assert set(found.select("name", "kind").rows()) == {
        (name, "org" if known[name]["kind"] == "organization" else "user")
        for name in names & set(known)
    }
    gaps = Warehouse(root=str(tmp_path)).scan("hub/coverage", day).collect()
    assert (gaps["failed"].sum(), gaps["set_aside"].sum()) == (0, len(spaces))
    missing = dict(gaps.filter(pl.col("missing") > 0).select("stage", "missing").rows())
    assert missing["accounts"] == len(names - set(known))
    assert missing["model_cards"] == len(with_card - set(cards))
    assert missing["likers"] == sum(model["likes"] > 0 for model in some.values())


def names_in(models, papers, collection):
    """Every account that the records name: owners, users linked to authors, authors of items."""
    owners = {name.split("/")[0] for name in models if "/" in name}
    authors = [author for paper in papers.values() for author in paper["authors"]]
    users = {author["user"]["user"] for author in authors if author.get("user")}
    shown = {item["authorData"]["name"] for item in collection["items"]}
    return owners | users | shown | {collection["owner"]["name"]}


# --- four days in August 2026 ---------------------------------------------------------------------

LISTINGS = tuple(
    f"/api/{kind}" for kind in ("models", "datasets", "spaces", "papers", "collections")
)
VOCABULARIES = ("/api/tasks", "/api/models-tags-by-type", "/api/datasets-tags-by-type")
USERS = 400
LISTED_LIKERS = 25
ORGANIZATIONS = 2
"""Of 16 owners so many are organizations."""


def digest(*parts):
    return sha1(":".join(map(str, parts)).encode()).hexdigest()


class History:
    """The Hub at each snapshot of the recorded history, one snapshot a day.

    Ids, dates and counters are recorded; what the recording lacks is made from them, the same for
    the same content: commits from the moment of the last change, likers from the number of likes.
    A repository that moved to another owner keeps its stable id, for name and creation stay.

    Args:
        changes: the records.
        share: of how many parts of the repositories one is kept, and all that ever moved.
    """

    FIRST = date(2026, 8, 19)

    def __init__(self, changes, share):
        addresses = {}
        for one in changes:
            if one["op"] != "D":
                addresses.setdefault(identity_of(one), set()).add(one["id"])
        moved = {name_of(min(ids)) for ids in addresses.values() if len(ids) > 1}
        by_snapshot = {one["snapshot"]: [] for one in changes}
        for one in changes:
            name = name_of(one["id"])
            if name in moved or int(digest(name)[:8], 16) % share == 0:
                by_snapshot[one["snapshot"]].append(one)
        known, self.states = {}, {}
        for at, snapshot in enumerate(sorted(by_snapshot)):
            for one in by_snapshot[snapshot]:
                if one["op"] == "D":
                    del known[one["id"]]
                else:
                    known[one["id"]] = one
            self.states[self.FIRST + timedelta(days=at)] = state_of(known.values())

    def models(self, day):
        """The listing's rows of a day by stable id."""
        return {row["_id"]: row for row in self.states[day].lists["/api/models"]}


def state_of(known):
    """What the Hub answered when these were the last records of all repositories."""
    # Of two addresses of one repository the one seen last is where it moved to.
    listed = {identity_of(one): one for one in known if not one["removed"]}
    rows = [model_row(one) for one in listed.values()]
    state = State(
        lists=dict.fromkeys(LISTINGS, ()) | {"/api/models": rows},
        objects={path: {} for path in VOCABULARIES},
        moved={
            f"/api/models/{one['id']}": f"/api/models/{now['id']}"
            for one in known
            if (now := listed.get(identity_of(one))) and now["id"] != one["id"]
        },
    )
    for row in rows:
        path = f"models/{row['id']}"
        state.objects[f"/api/{path}"] = row
        state.lists[f"/api/{path}/likers"] = likers_of(row)
        for one in [owner_of(row["id"]), *likers_of(row)]:
            address = account_path(one)
            state.objects[f"{address}/overview"] = one
            state.lists[f"{address}/followers"] = []
        if README in row["siblings"]:
            state.files[f"/api/resolve-cache/{path}/{row['sha']}/README.md"] = card_of(row).encode()
    return state


def name_of(repo_id):
    return repo_id.split("/")[1].lower()


def identity_of(one):
    return stable_id(one["created_at"], name_of(one["id"]))


def model_row(one):
    identity = identity_of(one)
    files = [{"rfilename": ".gitattributes"}, README]
    return {
        "_id": identity,
        "id": one["id"],
        "createdAt": one["created_at"],
        "lastModified": one["updated_at"],
        "likes": one["likes"],
        "downloads": one["downloads_30d"],
        "tags": [],
        "sha": digest(identity, one["updated_at"]),
        "siblings": files if int(identity[-1], 16) % 4 else files[:1],
    }


def card_of(row):
    # No word of the address: who moves a repository does not touch its files.
    return f"# {row['_id']}\n\nAs of {row['sha']}.\n"


def likers_of(row):
    """One user for each like, of which the last ones are listed."""
    names = [
        f"user-{int(digest(row['_id'], at)[:8], 16) % USERS:03d}"
        for at in range(max(0, row["likes"] - LISTED_LIKERS), row["likes"])
    ]
    return [user(name) for name in dict.fromkeys(names)]


def account_path(one):
    return f"/api/users/{one['user']}" if "user" in one else f"/api/organizations/{one['name']}"


@cache
def owner_of(repo_id):
    name = repo_id.split("/")[0]
    if int(digest(name)[-1], 16) >= ORGANIZATIONS:
        return user(name)
    known = {key: user(name)[key] for key in ("_id", "fullname", "numFollowers")}
    return known | {"name": name, "numUsers": 0}


@cache
def user(name):
    created = f"2023-01-{int(digest(name)[:2], 16) % 31 + 1:02d}T12:00:00.000Z"
    return {
        "_id": stable_id(created, name),
        "user": name,
        "type": "user",
        "fullname": name.title(),
        "isPro": int(digest(name)[0], 16) == 0,
        "avatarUrl": f"/avatars/{digest(name)}.svg",
        "createdAt": created,
        "numFollowers": 0,
    }


def expected_tables(state):
    """The tables of a full crawl, worked out from what the Hub answers; the others are empty."""
    models = sorted(state.lists["/api/models"], key=lambda row: row["id"])
    likers = [
        {"repo_kind": "model", "repo_id": row["id"], "liked_at": None}
        | {key: liker[key] for key in ("user", "_id", "fullname", "isPro")}
        for row in models
        for liker in likers_of(row)
    ]
    owners = [owner_of(row["id"]) for row in models]
    accounts = {one.get("user") or one["name"]: one for one in owners}
    accounts |= {liker["user"]: user(liker["user"]) for liker in likers}
    return {
        "models": [
            {
                **dict.fromkeys(raw_columns(raw.MODELS)),
                **{key: value for key, value in row.items() if key != "siblings"},
                "createdAt": instant(row["createdAt"]),
                "lastModified": instant(row["lastModified"]),
                "files": len(row["siblings"]),
                "has_readme": README in row["siblings"],
            }
            for row in models
        ],
        "model_cards": [
            {
                "id": row["id"],
                "sha": row["sha"],
                "status": "ok",
                "bytes": len(card_of(row)),
                "text": card_of(row),
            }
            for row in models
            if README in row["siblings"]
        ],
        "likers": sorted(likers, key=lambda row: (row["repo_id"], row["user"])),
        "accounts": [
            {
                "name": name,
                "kind": "user" if "user" in one else "org",
                "createdAt": created(one["_id"]),
                **{key: one.get(key) for key in ("_id", "fullname", "isPro")},
            }
            for name, one in sorted(accounts.items())
        ],
    }


def raw_columns(columns):
    return [column.name for column in columns if column.name != "observed_at"]


def created(object_id):
    return datetime.fromtimestamp(int(object_id[:8], 16), UTC)


def due_requests(history, before, day):
    """What a crawl needs that knows the day before.

    Listings; the card or likers of what is new or changed; the overview of a new name, for an
    organization after asking for a user of that name; all organizations, whose overviews alone
    count members; and of the likers, overviews and followers that stayed the same, one in thirty.
    """
    old, new = history.models(before), history.models(day)
    changed = {
        key: [row for one, row in new.items() if row[key] != old.get(one, {}).get(key)]
        for key in ("sha", "likes")
    }
    accounts, known = accounts_of(history.states[day]), accounts_of(history.states[before])
    organizations = {path for path in accounts if path.startswith("/api/organizations/")}
    liked = sum(row["likes"] > 0 for row in new.values())
    stages = 4
    return (
        -(-len(new) // 1_000) + len(LISTINGS) - 1 + len(VOCABULARIES)
        + sum(README in row["siblings"] for row in changed["sha"])
        + sum(row["likes"] > 0 for row in changed["likes"])
        + len(accounts - known) + len(organizations)
        + (liked + 2 * len(accounts)) // 30 + stages
    )  # fmt: skip


def accounts_of(state):
    return {path for path in state.objects if path.endswith("/overview")}


@pytest.fixture(scope="module")
def history(request):
    """The history of one of so many repositories."""
    return History(read("hub2026_history"), share=request.param)


of = partial(pytest.mark.parametrize, "history", indirect=True)


def differences(root, day, state):
    """Tables of a day that are not what the Hub then answered, each with a first wrong row."""
    expected, tables = expected_tables(state), tables_of(root, day)
    assert set(expected) < set(tables)
    wrong = {}
    for name, table in tables.items():
        rows = expected.get(name, [])
        found = table.select(rows[0].keys() if rows else pl.all()).to_dicts()
        if found != rows:
            wrong[name] = next(pair for pair in zip_longest(found, rows) if pair[0] != pair[1])
    return wrong


def crawl_daily(history, server, root):
    """Crawls day after day into one store.

    Yields:
        The day, and how many requests its crawl took.
    """
    crawl = crawler(root, server.url)
    for day in history.states:
        asked = server.buckets.total()
        crawl(day)
        yield day, server.buckets.total() - asked


def assert_same_tables(root, other, day):
    tables, others = tables_of(root, day), tables_of(other, day)
    assert set(tables) == set(others)
    assert [name for name, table in tables.items() if not table.equals(others[name])] == []


@of([16, pytest.param(1, marks=pytest.mark.slow)])
def test_crawled_day_by_day_each_day_holds_what_the_hub_then_held_for_what_changed(
    tmp_path, history
):
    before = None
    with serve(create_replay(history.states.get)) as server:
        for day, requests in crawl_daily(history, server, tmp_path / "daily"):
            assert differences(tmp_path / "daily", day, history.states[day]) == {}
            if before:
                assert requests <= due_requests(history, before, day)
            before = day
        crawler(tmp_path / "at_once", server.url, refresh_days=0)(day)
    assert_same_tables(tmp_path / "daily", tmp_path / "at_once", day)


@pytest.mark.slow
@of([100])
def test_each_days_tables_equal_those_of_a_crawl_into_an_empty_store(tmp_path, history):
    with serve(create_replay(history.states.get)) as server:
        for day, _ in crawl_daily(history, server, tmp_path / "daily"):
            crawler(tmp_path / str(day), server.url, refresh_days=0)(day)
            assert_same_tables(tmp_path / "daily", tmp_path / str(day), day)


@of([16])
def test_the_recorded_days_have_every_kind_of_change(history):
    days = list(history.states)
    seen = Counter()
    for before, day in pairwise(days):
        old, new = history.models(before), history.models(day)
        both = old.keys() & new.keys()
        seen["new"] += len(new.keys() - old.keys())
        seen["gone"] += len(old.keys() - new.keys())
        seen.update(
            key for one in both for key in ("id", "sha", "likes") if old[one][key] != new[one][key]
        )
        ids = [{row["id"] for row in rows.values()} for rows in (old, new)]
        seen["made anew"] += len(ids[0] & ids[1]) - sum(
            old[one]["id"] == new[one]["id"] for one in both
        )
    assert all(seen[change] > 0 for change in ("new", "gone", "id", "sha", "likes", "made anew"))
    assert days[-1] - days[0] == timedelta(days=12)
