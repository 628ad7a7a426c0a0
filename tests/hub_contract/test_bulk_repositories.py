"""The Hub's tables as dataset repositories: huggingface_hub's own client finds and reads them."""

import hashlib
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError

from hfkg_resources.sample_hub import bulk_repositories as bulk
from hfkg_resources.sample_hub.server import create_app, serve
from tests.hub_contract.conftest import DAY, Asker

REPOSITORIES = (bulk.HUB_STATS, bulk.MODEL_CARDS, bulk.DATASET_CARDS)


def downloaded(ask, tmp_path, repo_id, path, revision="main"):
    """A file through huggingface_hub, as a frame."""
    file = hf_hub_download(
        repo_id, path, repo_type="dataset", revision=revision, cache_dir=tmp_path,
        endpoint=ask.base, token=False,
    )  # fmt: skip
    return pl.read_parquet(file)


@pytest.fixture(scope="module")
def commits(api):
    return api.list_repo_commits(bulk.HUB_STATS, repo_type="dataset")


def test_there_is_one_commit_a_day_newest_first_over_many_pages(ask, commits):
    days = [commit.created_at.date() for commit in commits]
    assert days == [DAY - timedelta(days=n) for n in range(len(days))]
    assert days[-1] == bulk.FIRST_COMMIT
    assert len({commit.commit_id for commit in commits}) == len(commits)
    first = ask(f"/api/datasets/{bulk.HUB_STATS}/commits/main")
    assert len(first.json()) == bulk.COMMITS_PAGE
    assert int(first.headers["X-Total-Count"]) == len(commits)
    assert first.links["next"]["url"].startswith(ask.base)


def test_a_page_of_commits_may_hold_a_thousand_and_commits_of_a_revision_end_with_it(ask, commits):
    path = f"/api/datasets/{bulk.HUB_STATS}/commits"
    answer = ask(f"{path}/main", limit=1_000)
    assert len(answer.json()) == len(commits) < 1_000
    assert "next" not in answer.links
    old = commits[10]
    assert ask(f"{path}/{old.commit_id}").json()[0]["id"] == old.commit_id


@pytest.mark.parametrize("repo_id", REPOSITORIES)
def test_the_client_reads_what_a_repository_is_at_a_commit(api, repo_id):
    info = api.dataset_info(repo_id)
    assert (info.id, info.private, info.gated) == (repo_id, False, False)
    commit = api.list_repo_commits(repo_id, repo_type="dataset")[3]
    old = api.dataset_info(repo_id, revision=commit.commit_id)
    assert old.sha == commit.commit_id != info.sha
    assert old.last_modified == commit.created_at
    files = api.list_repo_files(repo_id, repo_type="dataset", revision=commit.commit_id)
    assert files == [sibling.rfilename for sibling in old.siblings]


def test_a_tree_tells_size_and_digest_of_large_files(api, ask, tmp_path):
    tree = api.list_repo_tree(bulk.MODEL_CARDS, repo_type="dataset", recursive=True)
    by_path = {entry.path: entry for entry in tree}
    assert [path for path in by_path if path.startswith("data/")] == list(bulk._PARTS)
    part = by_path[bulk._PARTS[0]]
    file = hf_hub_download(
        bulk.MODEL_CARDS, part.path, repo_type="dataset", cache_dir=tmp_path, endpoint=ask.base,
        token=False,
    )  # fmt: skip
    content = Path(file).read_bytes()
    assert (part.size, part.lfs.size) == (len(content), len(content))
    assert part.lfs.sha256 == hashlib.sha256(content).hexdigest()
    flat = {entry.path for entry in api.list_repo_tree(bulk.MODEL_CARDS, repo_type="dataset")}
    assert flat == {"README.md", "data"}
    folder = api.list_repo_tree(bulk.MODEL_CARDS, "data", repo_type="dataset")
    assert {entry.path for entry in folder} == set(bulk._PARTS)


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        (
            "models.parquet",
            "_id id author createdAt lastModified likes trendingScore downloads downloadsAllTime "
            "gated private disabled sha pipeline_tag library_name tags safetensors gguf baseModels "
            "inferenceProviderMapping cardData",
        ),
        (
            "datasets.parquet",
            "_id id author createdAt lastModified likes trendingScore downloads downloadsAllTime "
            "gated private disabled sha description mainSize paperswithcode_id tags cardData",
        ),
        (
            "spaces.parquet",
            "_id id author createdAt lastModified likes trendingScore private sha subdomain sdk "
            "tags cardData",
        ),
        (
            "arxiv_papers.parquet",
            "id title thumbnailUrl upvotes publishedAt authors summary projectPage githubRepo "
            "organization",
        ),
    ],
)
def test_hub_stats_has_the_columns_that_it_has_on_the_hub(ask, tmp_path, day, path, columns):
    table = downloaded(ask, tmp_path, bulk.HUB_STATS, path)
    assert set(table.columns) == set(columns.split())
    world = {"arxiv_papers.parquet": day.papers}.get(path, getattr(day, path[:-8], None))
    assert set(table["id"]) == set(world["id"])


def test_card_dumps_hold_the_readmes_that_anyone_may_read(ask, tmp_path, day):
    for repo_id, kind in ((bulk.MODEL_CARDS, "model"), (bulk.DATASET_CARDS, "dataset")):
        parts = [downloaded(ask, tmp_path, repo_id, path) for path in bulk._PARTS]
        table = pl.concat(parts)
        world = getattr(day, f"{kind}s")
        closed = world.filter((pl.col("gated") != "false") | pl.col("disabled"))["id"]
        assert table.height > 0
        assert not set(table[f"{kind}Id"]) & set(closed)
        for repo_id, text in table.select(f"{kind}Id", "card").head(20).iter_rows():
            assert text.encode() == day.readme(kind, repo_id)


def test_an_old_commit_holds_the_world_of_its_day(ask, commits, world, tmp_path):
    old = next(c for c in commits if c.created_at.date() == date(2026, 3, 1))
    table = downloaded(ask, tmp_path, bulk.HUB_STATS, "models.parquet", old.commit_id)
    then = world.at(date(2026, 3, 1)).models
    assert dict(table.select("id", "likes").iter_rows()) == dict(
        then.select("id", "likes").iter_rows()
    )


def test_a_file_is_made_once_more_byte_for_byte_the_same(world, ask):
    path = f"/datasets/{bulk.HUB_STATS}/resolve/main/models.parquet"
    with serve(create_app(world, today=DAY)) as other:
        digests = {where.headers["X-Linked-ETag"] for where in (ask(path), ask(other.url + path))}
    assert len(digests) == 1


def test_ranges_of_a_file_are_read_through_the_clients_file_system(ask):
    files = HfFileSystem(endpoint=ask.base, token=False, skip_instance_cache=True)
    path = f"datasets/{bulk.HUB_STATS}/models.parquet"
    with files.open(path, block_size=4_096) as file:
        assert file.read(4) == b"PAR1"
        file.seek(-4, io.SEEK_END)
        assert file.read() == b"PAR1"
        assert file.size == files.info(path)["size"]


def test_a_range_of_a_large_file_gives_206_and_its_place(ask):
    first = ask(f"/datasets/{bulk.HUB_STATS}/resolve/main/spaces.parquet")
    assert first.status_code == 302
    size = int(first.headers["X-Linked-Size"])
    part = ask(first.headers["Location"], headers={"Range": f"bytes={size - 4}-"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    assert part.headers["Content-Range"] == f"bytes {size - 4}-{size - 1}/{size}"


def test_a_commit_of_the_days_to_come_is_an_unknown_revision(ask, api, tmp_path):
    coming = bulk.commit_id(bulk.HUB_STATS, DAY + timedelta(days=1))
    with pytest.raises(RevisionNotFoundError):
        api.list_repo_commits(bulk.HUB_STATS, repo_type="dataset", revision=coming)
    with pytest.raises(EntryNotFoundError):
        downloaded(ask, tmp_path, bulk.HUB_STATS, "posts.parquet")


def test_before_the_first_commit_there_is_no_repository(server):
    early = Asker(f"{server.url}/{bulk.FIRST_COMMIT - timedelta(days=1)}")
    answer = early(f"/api/datasets/{bulk.HUB_STATS}")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RepoNotFound")
    with pytest.raises(HfHubHTTPError):
        HfApi(endpoint=early.base, token=False).list_repo_commits(
            bulk.HUB_STATS, repo_type="dataset"
        )


def test_the_repositories_are_in_no_listing(ask):
    assert not {row["id"] for row in ask.walk("/api/datasets")} & set(REPOSITORIES)


def test_tables_can_be_made_to_lack_columns_or_have_other_types(world, tmp_path):
    def edit(path, table):
        if path != "models.parquet":
            return table
        return table.drop("sha").with_columns(pl.col("likes").cast(pl.Int32))

    with serve(create_app(world, today=DAY, bulk_edit=edit)) as odd:
        table = downloaded(Asker(odd.url), tmp_path, bulk.HUB_STATS, "models.parquet")
        datasets = downloaded(Asker(odd.url), tmp_path, bulk.HUB_STATS, "datasets.parquet")
    assert "sha" not in table.columns
    assert table.schema["likes"] == pl.Int32
    assert "sha" in datasets.columns


def test_commits_are_dated_in_utc(commits):
    assert commits[0].created_at == datetime.combine(DAY, bulk.COMMITTED_AT, UTC)
