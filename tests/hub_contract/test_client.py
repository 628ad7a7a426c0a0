"""huggingface_hub's own client, unchanged, against the sample Hub."""

from datetime import UTC, datetime

import polars as pl
import pytest
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from hfkg_resources.sample_hub import faults as kinds

TOKEN = "hf_valid"


def test_the_client_lists_all_models_with_the_fields_asked_for(api, day):
    listed = list(api.list_models(expand=["author", "createdAt", "tags", "gated", "pipeline_tag"]))
    stored = {row["id"]: row for row in day.models.iter_rows(named=True)}
    assert {info.id for info in listed} == stored.keys()
    for info in listed:
        row = stored[info.id]
        assert (info.author, info.created_at, info.tags) == (
            row["author"],
            row["created_at"],
            row["tags"],
        )
        assert info.__dict__["_id"] == row["_id"]


def test_the_client_lists_datasets_and_spaces(api, day):
    datasets = {info.id: info for info in api.list_datasets(full=True)}
    assert datasets.keys() == set(day.datasets["id"])
    spaces = {info.id: info for info in api.list_spaces(expand=["sdk", "models", "datasets"])}
    stored = day.spaces.select("id", "sdk", "models", "datasets").rows(named=True)
    assert len(spaces) == len(stored)
    for row in stored:
        info = spaces[row["id"]]
        assert (info.sdk, info.models, info.datasets) == (
            row["sdk"],
            row["models"],
            row["datasets"],
        )


def test_the_client_reads_single_repositories(api, day, open_model):
    model = api.model_info(open_model["id"], revision=open_model["sha"])
    assert model.sha == open_model["sha"]
    assert [file.rfilename for file in model.siblings] == open_model["siblings"]
    dataset = day.datasets.row(0, named=True)
    info = api.dataset_info(dataset["id"])
    assert (info.description, info.citation) == (dataset["description"], dataset["citation"])
    space = day.spaces.row(0, named=True)
    assert api.space_info(space["id"]).sdk == space["sdk"]


def test_the_client_reads_the_bases_of_a_model(api, day):
    child = day.models.filter(pl.col("base_relation") == "finetune").join(
        day.models.select(pl.col("id").alias("base")),
        left_on=pl.col("base_ids").list.first(),
        right_on="base",
        how="semi",
    )
    row = child.row(0, named=True)
    info = api.model_info(row["id"], expand=["baseModels", "childrenModelCount"])
    assert info.base_models["relation"] == "finetune"
    assert [base["id"] for base in info.base_models["models"]] == row["base_ids"]
    assert info.children_model_count.keys() == {"adapter", "merge", "quantized", "finetune"}


def test_the_client_reads_likers_members_and_followers(api, day, open_model):
    likers = day.likes.filter(repo_kind="model", repo_id=open_model["id"])["user"]
    assert {user.username for user in api.list_repo_likers(open_model["id"])} == set(likers)
    hidden = day.accounts.filter(members_hidden=True)["name"]
    org = day.members.filter(~pl.col("org").is_in(hidden.to_list()))["org"][0]
    members = {user.username for user in api.list_organization_members(org)}
    assert members == set(day.members.filter(org=org)["user"])
    followed = day.follows.filter(followed_kind="org")["followed"][0]
    followers = {user.username for user in api.list_organization_followers(followed)}
    assert followers == set(day.follows.filter(followed=followed)["follower"])


def test_the_client_reads_whom_a_user_follows_and_likes(api, day):
    edge = day.follows.filter(followed_kind="user").row(0, named=True)
    assert edge["follower"] in {u.username for u in api.list_user_followers(edge["followed"])}
    followed = [u.username or u.__dict__["name"] for u in api.list_user_following(edge["follower"])]
    assert sorted(followed) == sorted(day.follows.filter(follower=edge["follower"])["followed"])
    user = day.likes.filter(repo_kind="model")["user"][0]
    likes = api.list_liked_repos(user)
    assert sorted(likes.models) == sorted(day.likes.filter(user=user, repo_kind="model")["repo_id"])


def test_the_client_walks_collections_and_reads_one_in_full(api, day):
    listed = list(api.list_collections(limit=day.collections.height))
    assert {collection.slug for collection in listed} == set(day.collections["slug"])
    row = day.collections.sort(pl.col("items").list.len()).row(-1, named=True)
    collection = api.get_collection(row["slug"])
    assert (collection.title, collection.position) == (row["title"], row["position"])
    expected = [item["slug"] or item["id"] for item in row["items"]]
    assert [item.item_id for item in collection.items] == expected
    assert [item.note for item in collection.items] == [item["note"] for item in row["items"]]


def test_the_client_reads_papers(api, day):
    row = day.papers.sort("upvotes").row(-1, named=True)
    info = api.paper_info(row["id"])
    assert (info.title, info.summary, info.upvotes) == (
        row["title"],
        row["summary"],
        row["upvotes"] or None,
    )
    assert [author.name for author in info.authors] == [a["name"] for a in row["authors"]]
    assert info.num_total_models == len(info.linked_models) or info.num_total_models > 5
    word = row["title"].split()[0]
    assert row["id"] in {paper.id for paper in api.list_papers(query=word, limit=120)}
    daily = list(api.list_daily_papers(limit=5))
    assert 0 < len(daily) <= 5 and all(paper.submitted_by for paper in daily)


def test_the_client_reads_overviews(api, day):
    org = day.accounts.filter(kind="org").row(0, named=True)
    overview = api.get_organization_overview(org["name"])
    assert overview.fullname == org["fullname"]
    assert overview.num_users == day.members.filter(org=org["name"]).height
    member = day.members["user"][0]
    user = api.get_user_overview(member)
    assert user.user_type == "user"
    assert {one.name for one in user.orgs} == set(day.members.filter(user=member)["org"])


def test_the_client_downloads_a_readme_and_finds_it_in_its_cache(
    ask, server, day, open_model, tmp_path
):
    def download():
        path = hf_hub_download(
            open_model["id"], "README.md", cache_dir=tmp_path, endpoint=ask.base, token=False
        )
        with open(path, "rb") as file:
            return file.read()

    lines = server.log_requests()
    assert download() == day.readme("model", open_model["id"])
    assert [(line.method, line.status) for line in lines] == [
        ("HEAD", 307),
        ("HEAD", 200),
        ("GET", 200),
    ]
    assert download() == day.readme("model", open_model["id"])
    assert [line.method for line in lines[3:]] == ["HEAD", "HEAD"]


def test_the_client_follows_a_rename_without_a_word(api, ask, day, tmp_path):
    has_card = pl.col("siblings").list.contains("README.md")
    is_open = (pl.col("gated") == "false") & ~pl.col("disabled")
    redirects = day.redirects.filter(kind="model")
    present = redirects.join(
        day.models.filter(has_card, is_open), left_on="new_id", right_on="id", how="semi"
    )
    old, new = present.select("old_id", "new_id").row(0)
    assert api.model_info(old).id == new
    path = hf_hub_download(old, "README.md", cache_dir=tmp_path, endpoint=ask.base, token=False)
    with open(path, "rb") as file:
        assert file.read() == day.readme("model", new)


def test_a_missing_repository_is_told_by_status_and_code(ask, api):
    # Over http:// the client knows the anonymous answer by its status alone.
    with pytest.raises(HfHubHTTPError) as anonymous:
        api.model_info("no/such")
    assert anonymous.value.response.status_code == 401
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=ask.base, token=TOKEN).model_info("no/such")


def test_gated_and_missing_files_raise_the_clients_own_errors(
    ask, gated_model, open_model, tmp_path
):
    options = {"cache_dir": tmp_path, "endpoint": ask.base, "token": False}
    with pytest.raises(GatedRepoError):
        hf_hub_download(gated_model["id"], "README.md", **options)
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(open_model["id"], "nope.txt", **options)


def test_a_refused_field_is_the_clients_bad_request(api):
    with pytest.raises(BadRequestError, match="must be one of"):
        list(api.list_models(expand=["baseModels"]))


def test_the_clients_tag_lists_and_identity_work(ask, api):
    assert api.get_model_tags()["pipeline_tag"]
    assert api.get_dataset_tags()["task_categories"]
    assert HfApi(endpoint=ask.base, token=TOKEN).whoami()["type"] == "user"


def test_the_client_waits_out_a_429_in_a_walk(api, faults, day):
    faults.add(r"/api/models\?", kinds.too_many_requests(0), times=1)
    started = datetime.now(UTC)
    assert len(list(api.list_models(limit=5))) == 5
    assert (datetime.now(UTC) - started).total_seconds() >= 1
