"""Records: collections, people, optional keys, dates, the traps of the data (lines 5 to 7, 13)."""

import re

import polars as pl

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
COLLECTION_KEYS = {"slug", "title", "owner", "items", "lastUpdated", "private", "theme", "upvotes"}


def values_of(answer, key):
    """All values under a key, at any depth."""
    if isinstance(answer, dict):
        found = [answer[key]] if key in answer else []
        return found + [value for part in answer.values() for value in values_of(part, key)]
    if isinstance(answer, list):
        return [value for part in answer for value in values_of(part, key)]
    return []


def test_a_collection_row_has_no_position_and_at_most_four_items(ask, day):
    rows = ask.walk("/api/collections", limit=1_000)
    assert len(rows) == day.collections.height
    for row in rows:
        assert row.keys() >= COLLECTION_KEYS
        assert not row.keys() & {"position", "shareUrl"}
        assert len(row["items"]) <= 4


def test_the_detail_of_a_collection_has_its_position_and_all_items(ask, day):
    long = day.collections.filter(pl.col("items").list.len() > 4).row(0, named=True)
    record = ask(f"/api/collections/{long['slug']}").json()
    assert record.keys() >= COLLECTION_KEYS | {"position", "shareUrl"}
    stored = [(item["_id"], item["type"], item["id"]) for item in long["items"]]
    assert [(item["_id"], item["type"], item["id"]) for item in record["items"]] == stored


def test_a_collection_answers_to_its_id_alone_and_to_its_title_alone(ask, day):
    slug = day.collections["slug"][0]
    namespace = slug.partition("/")[0]
    renamed = ask(f"/api/collections/{namespace}/another-title-{slug[-24:]}").json()
    assert renamed["slug"] == slug
    assert ask(f"/api/collections/{slug[:-25]}").json()["title"] == day.collections["title"][0]
    assert ask(f"/api/collections/{namespace}/none-{'0' * 24}").status_code == 404


def test_light_collection_rows_have_no_items(ask):
    for row in ask("/api/collections", expand="false").json():
        assert "items" not in row and row["title"]


def test_collections_are_found_by_owner_and_by_item(ask, day):
    owner = day.collections["owner"][0]
    owned = {row["slug"] for row in ask.walk("/api/collections", owner=owner, limit=3)}
    assert owned == set(day.collections.filter(owner=owner)["slug"])
    pairs = [
        (slug, item["id"])
        for slug, items in day.collections.select("slug", "items").iter_rows()
        for item in items
        if item["type"] == "model"
    ]
    model = pairs[0][1]
    listed = {row["slug"] for row in ask.walk("/api/collections", item=f"models/{model}")}
    assert listed == {slug for slug, item_id in pairs if item_id == model}


def test_every_type_of_item_is_served_and_a_nested_collection_has_its_slug(ask):
    details = [
        ask(f"/api/collections/{row['slug']}").json()
        for row in ask.walk("/api/collections", limit=1_000)
    ]
    items = [item for record in details for item in record["items"]]
    kinds = {"model", "dataset", "space", "paper", "collection", "bucket"}
    assert {item["type"] for item in items} == kinds
    assert all(item.keys() >= {"_id", "id", "type", "position"} for item in items)
    assert all("/" in item["slug"] for item in items if item["type"] == "collection")
    notes = [item["note"] for item in items if "note" in item]
    assert notes and all(note.keys() == {"html", "text"} for note in notes)


def test_liker_rows_have_all_keys_of_a_user_row(ask, open_model):
    rows = ask(f"/api/models/{open_model['id']}/likers").json()
    assert rows
    for row in rows:
        assert row.keys() == {"_id", "avatarUrl", "fullname", "isPro", "type", "user"}


def test_likers_come_newest_first_and_in_pages(ask, day):
    repo_id = day.likes.filter(repo_kind="model")["repo_id"].mode()[0]
    likes = day.likes.filter(repo_kind="model", repo_id=repo_id)
    rows = ask.walk(f"/api/models/{repo_id}/likers", limit=2)
    listed = [row["user"] for row in rows]
    assert sorted(listed) == sorted(likes["user"])
    liked_at = dict(likes.select("user", "liked_at").iter_rows())
    moments = [liked_at[user] for user in listed]
    assert moments == sorted(moments, reverse=True)


def test_every_date_has_milliseconds_and_a_z(ask, day, open_model):
    user = day.likes["user"][0]
    answers = [
        ask("/api/models", full="true").json(),
        ask("/api/datasets", expand=["createdAt", "lastModified"]).json(),
        ask("/api/collections", limit=100).json(),
        ask("/api/papers").json(),
        ask(f"/api/users/{user}/overview").json(),
        ask(f"/api/users/{user}/likes").json(),
    ]
    keys = ("createdAt", "lastModified", "lastUpdated", "publishedAt", "statusLastChangedAt")
    dates = [value for key in keys for value in values_of(answers, key)]
    assert len(dates) > 100
    assert all(INSTANT.fullmatch(value) for value in dates)


def test_unknown_fields_are_absent_and_not_null(ask, day):
    rows = {row["id"]: row for row in ask.walk("/api/models", full="true")}
    for column in ("pipeline_tag", "library_name", "author"):
        unknown = day.models.filter(pl.col(column).is_null())["id"].to_list()
        assert unknown and all(column not in rows[repo_id] for repo_id in unknown)
    assert all(value is not None for row in rows.values() for value in row.values())
    spaces = {row["id"]: row for row in ask.walk("/api/spaces", expand="models")}
    silent = day.spaces.filter(pl.col("models").is_null())["id"].to_list()
    assert silent and all("models" not in spaces[space] for space in silent)


def test_gated_is_false_or_the_kind_of_gate(ask, day):
    gates = {row["id"]: row["gated"] for row in ask.walk("/api/models", expand="gated")}
    stored = dict(day.models.select("id", "gated").iter_rows())
    assert {repo_id: gate or "false" for repo_id, gate in gates.items()} == stored
    assert False in gates.values()


def test_an_unlinked_author_has_no_user_and_a_linked_one_has_a_status(ask):
    authors = [author for paper in ask.walk("/api/papers") for author in paper["authors"]]
    linked = [author for author in authors if "user" in author]
    unlinked = [author for author in authors if "user" not in author]
    assert linked and unlinked
    assert all(author.keys() == {"_id", "name", "hidden"} for author in unlinked)
    assert {author["status"] for author in linked} >= {"claimed_verified", "extracted_pending"}
    assert all(author["user"]["user"] == author["user"]["name"] for author in linked)


def test_only_paying_organizations_have_a_plan(ask, day):
    for account in day.accounts.filter(kind="org").iter_rows(named=True):
        record = ask(f"/api/organizations/{account['name']}/overview").json()
        assert record.get("plan") == account["plan"]
        assert not record.keys() & {"type", "createdAt"}


def test_counters_of_an_overview_agree_with_the_lists(ask, day):
    user = day.follows.filter(followed_kind="org")["follower"][0]
    record = ask(f"/api/users/{user}/overview").json()
    following = ask.walk(f"/api/users/{user}/following")
    assert record["numFollowing"] == sum(row["type"] == "user" for row in following)
    assert record["numFollowingOrgs"] == sum(row["type"] == "org" for row in following) > 0
    assert record["numFollowers"] == len(ask.walk(f"/api/users/{user}/followers"))
    assert record["numLikes"] == len(ask.walk(f"/api/users/{user}/likes"))
    assert record["numModels"] == len(ask.walk("/api/models", author=user))


def test_an_organization_that_hides_its_members_lists_none_but_counts_them(ask, day):
    hidden = day.accounts.filter(kind="org", members_hidden=True)["name"].to_list()
    peopled = set(day.members["org"])
    assert hidden
    for name in hidden:
        assert ask(f"/api/organizations/{name}/members").json() == []
        count = ask(f"/api/organizations/{name}/overview").json()["numUsers"]
        assert (count > 0) == (name in peopled)


def test_a_followed_organization_is_a_row_with_name_in_place_of_user(ask, day):
    user = day.follows.filter(followed_kind="org")["follower"][0]
    orgs = [row for row in ask.walk(f"/api/users/{user}/following") if row["type"] == "org"]
    assert orgs and all("name" in row and "user" not in row for row in orgs)


def test_the_data_holds_the_cases_that_a_crawler_must_survive(ask, day):
    models = {row["id"]: row for row in ask.walk("/api/models", full="true")}
    assert any(row["createdAt"] == "2022-03-02T23:29:04.000Z" for row in models.values())
    assert any(row["disabled"] for row in models.values())
    assert any(row["gated"] for row in models.values())
    tags = {tag for row in models.values() for tag in row["tags"]}
    bases = {tag.rpartition(":")[2] for tag in tags if tag.startswith("base_model:")}
    assert bases - models.keys(), "no dangling or renamed base"
    datasets = {row["id"] for row in ask.walk("/api/datasets")}
    assert {tag[8:] for tag in tags if tag.startswith("dataset:")} - datasets
    papers = {row["id"] for row in ask.walk("/api/papers")}
    assert {tag[6:] for tag in tags if tag.startswith("arxiv:")} - papers
    counted = day.likes.filter(repo_kind="model").group_by("repo_id").len()
    likers = dict(counted.iter_rows())
    assert any(row["likes"] != likers.get(repo_id, 0) for repo_id, row in models.items())


def test_a_merge_names_all_its_bases(ask, day):
    merges = day.models.filter(
        pl.col("base_relation") == "merge", pl.col("base_ids").list.len() > 1
    )
    found = [
        ask(f"/api/models/{repo_id}", expand="baseModels").json().get("baseModels")
        for repo_id in merges["id"]
    ]
    assert any(base and base["relation"] == "merge" and len(base["models"]) > 1 for base in found)


def test_a_model_without_base_has_no_base_models(ask, day):
    free = day.models.filter(pl.col("base_ids").list.len() == 0)["id"][0]
    assert "baseModels" not in ask(f"/api/models/{free}", expand="baseModels").json()


def test_card_data_is_the_readmes_yaml_head(ask, world, day):
    rows = ask.walk("/api/models", full="true")
    heads = {row["id"]: row["cardData"] for row in rows if "cardData" in row}
    assert heads
    for repo_id, head in heads.items():
        assert head and day.readme("model", repo_id).lstrip(b"\xef\xbb\xbf").startswith(b"---")


def test_tasks_and_tag_vocabularies_have_the_hubs_form(ask):
    tasks = ask("/api/tasks").json()
    assert len(tasks) >= 40
    assert all(task["id"] == name and task["label"] for name, task in tasks.items())
    models = ask("/api/models-tags-by-type").json()
    datasets = ask("/api/datasets-tags-by-type").json()
    assert {"id": "text-generation", "label": "Text Generation"}.items() <= next(
        tag for tag in models["pipeline_tag"] if tag["id"] == "text-generation"
    ).items()
    assert any(
        tag["id"] == "task_categories:text-classification" for tag in datasets["task_categories"]
    )
    assert {"id": "en", "label": "en", "type": "language"} in models["language"]
    assert any(tag["id"] == "language:en" for tag in datasets["language"])
    only = ask("/api/models-tags-by-type", type="license").json()
    assert list(only) == ["license"] and only["license"] == models["license"]
