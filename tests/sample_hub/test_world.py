"""What the sample world must be: the same for a seed, alive, in proportion, and full of traps."""

import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from hfkg_resources.sample_hub import cards
from hfkg_resources.sample_hub.world import COLUMNS, World

FIRST, NOMINAL = date(2024, 12, 15), date(2026, 11, 24)
OLDEST = datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)
FRAMES = (
    "models", "datasets", "spaces", "likes", "accounts", "members", "follows", "collections",
    "papers", "redirects",
)  # fmt: skip
REPOSITORIES = ("models", "datasets", "spaces")
BASES = ("adapter", "finetune", "merge", "quantized")


@pytest.fixture(scope="module")
def small():
    return World(repositories=300)


@pytest.fixture(scope="module")
def world():
    return World()


def frames(day):
    return {name: getattr(day, name) for name in FRAMES}


def tag_values(frame, prefix):
    """`id` of the repository and `value` after the prefix, per tag with it."""
    return (
        frame.select("id", value="tags")
        .explode("value")
        .filter(pl.col("value").str.starts_with(prefix))
        .with_columns(pl.col("value").str.strip_prefix(prefix))
    )


def tags_of(frame, repo_id):
    return frame.filter(pl.col("id") == repo_id)["tags"][0].to_list()


def references(day):
    """Everything that a repository, Space or collection names as a model or dataset."""
    return {
        "base_model": set(day.models["base_ids"].explode().drop_nulls()),
        "dataset": set(tag_values(day.models, "dataset:")["value"]),
        "Space's models": set(day.spaces["models"].explode().drop_nulls()),
        "Space's datasets": set(day.spaces["datasets"].explode().drop_nulls()),
        "item": set(items(day)["id"]),
    }


def items(day):
    every = day.collections.select("title", item="items").explode("item").drop_nulls("item")
    return every.unnest("item")


def relations(day):
    """The thirty relations of HuggingKG with both ends in the world, as numbers of edges."""
    ids = {name[:-1]: getattr(day, name)["id"] for name in (*REPOSITORIES, "papers")}
    renamed = day.redirects.filter(pl.col("kind") != "user")
    current = {
        (kind, old): new for kind, old, new in renamed.select("kind", "old_id", "new_id").rows()
    }
    kinds = dict(day.accounts.select("name", "kind").rows())
    known = {kind: set(values) for kind, values in ids.items()}

    def verified(kind, values):
        return sum(
            value in known[kind] or current.get((kind, value)) in known[kind] for value in values
        )

    models, datasets, spaces = day.models, day.datasets, day.spaces
    contained = items(day)
    authors = day.papers.select("id", author="authors").explode("author").unnest("author")
    edges = {
        "model_definedFor_task": models["pipeline_tag"].drop_nulls().len(),
        "model_trainedOrFineTunedOn_dataset": verified(
            "dataset", tag_values(models, "dataset:")["value"]
        ),
        "model_cite_paper": verified("paper", tag_values(models, "arxiv:")["value"]),
        "dataset_definedFor_task": tag_values(datasets, "task_categories:").height,
        "dataset_cite_paper": verified("paper", tag_values(datasets, "arxiv:")["value"]),
        "space_use_model": verified("model", spaces["models"].explode().drop_nulls()),
        "space_use_dataset": verified("dataset", spaces["datasets"].explode().drop_nulls()),
        "user_publish_paper": sum(kinds.get(name) == "user" for name in authors["user"]),
        "user_affiliatedWith_org": day.members.height,
    }
    for base in BASES:
        edges[f"model_{base}_model"] = verified(
            "model", tag_values(models, f"base_model:{base}:")["value"]
        )
    for kind in ("model", "dataset", "space", "paper"):
        listed = contained.filter(pl.col("type") == kind)["id"]
        edges[f"collection_contain_{kind}"] = verified(kind, listed)
    for owner in ("user", "org"):
        edges[f"{owner}_own_collection"] = (day.collections["owner_kind"] == owner).sum()
        edges[f"user_follow_{owner}"] = (day.follows["followed_kind"] == owner).sum()
        for kind in REPOSITORIES:
            published = [kinds.get(name) == owner for name in getattr(day, kind)["author"]]
            edges[f"{owner}_publish_{kind[:-1]}"] = sum(published)
    for kind in ("model", "dataset", "space"):
        edges[f"user_like_{kind}"] = (day.likes["repo_kind"] == kind).sum()
    return edges


# -- Determinism ----------------------------------------------------------------------------------


def test_the_same_seed_and_size_give_equal_frames_and_cards(small):
    again = World(repositories=300).at(NOMINAL)
    day = small.at(NOMINAL)
    for name, frame in frames(day).items():
        assert frame.equals(getattr(again, name)), name
    for kind in ("model", "dataset", "space"):
        for repo_id in getattr(day, f"{kind}s")["id"]:
            assert day.readme(kind, repo_id) == again.readme(kind, repo_id)


def test_another_seed_gives_another_world(small):
    other = World(seed=8, repositories=300).at(NOMINAL)
    for name, frame in frames(small.at(NOMINAL)).items():
        assert not frame.equals(getattr(other, name)), name


def test_a_day_is_the_same_whichever_days_were_asked_for_before(small):
    first = small.at(NOMINAL)
    for back in range(1, 7):
        small.at(NOMINAL - timedelta(days=back))
    again = small.at(NOMINAL)
    assert all(frame.equals(getattr(again, name)) for name, frame in frames(first).items())


def test_days_outside_the_life_of_the_world_are_its_nearest_end(small):
    assert small.at(date(2019, 1, 1)).day == small.first_day <= date(2023, 1, 1)
    assert small.at(date(2031, 1, 1)).day == small.last_day >= date(2027, 12, 31)


def test_a_world_without_repositories_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        World(repositories=0)


@pytest.mark.parametrize("repositories", [1, 20])
def test_even_a_tiny_world_has_every_day(repositories):
    tiny = World(repositories=repositories)
    for day in (tiny.first_day, FIRST, NOMINAL, tiny.last_day):
        assert tiny.at(day).day == day


def test_ten_times_the_repositories_take_no_more_python_calls():
    """What is made row by row in Python would show here, whatever the machine's speed."""

    def calls(repositories):
        count = 0

        def counting(frame, event, argument):
            nonlocal count
            count += event == "call"

        sys.setprofile(counting)
        try:
            World(repositories=repositories).at(NOMINAL)
        finally:
            sys.setprofile(None)
        return count

    calls(300)  # the first time modules are imported
    assert calls(3_000) < 1.1 * calls(300)


# -- Shape ----------------------------------------------------------------------------------------


def test_frames_have_the_declared_columns_and_are_sorted_by_their_first_ones(small):
    day = small.at(NOMINAL)
    for kind in ("model", "dataset", "space"):
        frame = getattr(day, f"{kind}s")
        assert tuple(frame.columns) == COLUMNS[kind]
        assert frame["_id"].is_sorted()
    keys = {
        "accounts": ["_id"], "collections": ["_id"], "papers": ["id"], "members": ["org", "user"],
        "likes": ["repo_kind", "repo_id", "user"], "follows": ["follower", "followed"],
        "redirects": ["kind", "old_id"],
    }  # fmt: skip
    for name, columns in keys.items():
        frame = getattr(day, name)
        assert frame.columns[: len(columns)] == columns
        assert frame.equals(frame.sort(columns)), name
        assert frame.select(columns).is_unique().all(), name


@pytest.mark.parametrize("name", [*REPOSITORIES, "accounts", "collections"])
def test_the_first_eight_digits_of_an_id_are_the_second_of_its_creation(small, name):
    frame = getattr(small.at(NOMINAL), name)
    assert frame["_id"].str.contains(r"^[0-9a-f]{24}$").all()
    seconds = frame["_id"].str.head(8).str.to_integer(base=16)
    if "created_at" in frame.columns:
        assert seconds.equals(frame["created_at"].dt.epoch("s").alias("_id"))
    assert frame["_id"].is_unique().all()


@pytest.mark.parametrize("day", [FIRST, NOMINAL])
def test_ids_are_unique_whatever_their_case_and_valid_on_the_hub(small, day):
    for name in REPOSITORIES:
        ids = getattr(small.at(day), name)["id"]
        assert ids.str.to_lowercase().is_unique().all()
        assert ids.str.contains(r"^([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*$").all()
        assert not ids.str.contains(r"--|\.\.|[-.]$").any()
        assert (ids.str.len_chars() <= 96).all()
    assert small.at(day).accounts["name"].str.to_lowercase().is_unique().all()


def test_ids_hold_dots_and_underscores(small):
    ids = small.at(FIRST).models["id"]
    assert ids.str.contains(r"/.*\.").any()
    assert ids.str.contains("/.*_").any()


@pytest.mark.parametrize("day", [FIRST, NOMINAL])
def test_edges_have_both_ends_on_every_day(small, day):
    at = small.at(day)
    users = set(at.accounts.filter(pl.col("kind") == "user")["name"])
    orgs = set(at.accounts.filter(pl.col("kind") == "org")["name"])
    assert set(at.likes["user"]) <= users
    for kind in ("model", "dataset", "space"):
        liked = at.likes.filter(pl.col("repo_kind") == kind)["repo_id"]
        assert set(liked) <= set(getattr(at, f"{kind}s")["id"])
    assert set(at.members["org"]) <= orgs
    assert set(at.members["user"]) <= users
    assert set(at.follows["follower"]) <= users
    assert set(at.follows["followed"]) <= users | orgs
    assert set(at.collections["owner"]) <= users | orgs


# -- Relations and proportions --------------------------------------------------------------------


@pytest.mark.parametrize("day", [FIRST, date(2025, 7, 1), NOMINAL])
def test_all_thirty_relations_are_non_empty_in_a_small_world(small, day):
    edges = relations(small.at(day))
    assert len(edges) == 30
    assert [name for name, count in edges.items() if not count] == []


@pytest.mark.parametrize("day", [FIRST, NOMINAL])
def test_all_thirty_relations_are_non_empty_by_default(world, day):
    assert [name for name, count in relations(world.at(day)).items() if not count] == []


@pytest.mark.parametrize("repositories", [300, 1_500, 6_000])
def test_as_many_repositories_as_asked_for_are_alive_on_the_nominal_day(repositories):
    day = World(repositories=repositories).at(NOMINAL)
    counts = [getattr(day, name).height for name in REPOSITORIES]
    assert sum(counts) == pytest.approx(repositories, rel=0.1)
    shares = [count / sum(counts) for count in counts]
    assert shares == pytest.approx([0.68, 0.15, 0.17], abs=0.03)


SHARES = {
    "users": (0.35, 0.5), "collections": (0.035, 0.06), "model with a task": (0.55, 0.7),
    "model with a typed base": (0.22, 0.32), "model with a dataset": (0.06, 0.12),
    "model with arXiv": (0.15, 0.25), "dataset with a task": (0.38, 0.52),
    "liked": (0.15, 0.27), "likes": (0.9, 1.35), "user follows": (0.12, 0.24),
    "org follows": (0.06, 0.14), "members": (0.025, 0.06), "Space with models": (0.4, 0.6),
    "disabled": (0.0005, 0.01), "gated": (0.008, 0.03), "model with a card": (0.75, 0.92),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARES)
def test_shares_are_those_of_the_hub(world, name):
    day = world.at(NOMINAL)
    total = sum(getattr(day, kind).height for kind in REPOSITORIES)
    models, follows = day.models, day.follows
    every = pl.concat([getattr(day, kind).select("likes") for kind in REPOSITORIES])
    shares = {
        "users": (day.accounts["kind"] == "user").sum() / total,
        "collections": day.collections.height / total,
        "model with a task": models["pipeline_tag"].is_not_null().mean(),
        "model with a typed base": models["base_relation"].is_not_null().mean(),
        "model with a dataset": tag_values(models, "dataset:")["id"].n_unique() / models.height,
        "model with arXiv": tag_values(models, "arxiv:")["id"].n_unique() / models.height,
        "dataset with a task": tag_values(day.datasets, "task_categories:")["id"].n_unique()
        / day.datasets.height,
        "liked": (every["likes"] > 0).mean(),
        "likes": day.likes.height / total,
        "user follows": (follows["followed_kind"] == "user").sum() / total,
        "org follows": (follows["followed_kind"] == "org").sum() / total,
        "members": day.members.height / total,
        "Space with models": (day.spaces["models"].list.len() > 0).sum() / day.spaces.height,
        "disabled": models["disabled"].mean(),
        "gated": (models["gated"] != "false").mean(),
        "model with a card": models["siblings"].list.contains("README.md").mean(),
    }
    low, high = SHARES[name]
    assert low <= shares[name] <= high


def test_there_are_at_least_twelve_organizations_and_forty_papers(small):
    day = small.at(NOMINAL)
    assert (day.accounts["kind"] == "org").sum() >= 12
    assert day.papers.height >= 40


def test_relations_to_a_base_are_mixed_as_on_the_hub(world):
    models = world.at(world.last_day).models
    counts = dict(models["base_relation"].drop_nulls().value_counts().rows())
    total = sum(counts.values())
    shares = {"adapter": 0.474, "finetune": 0.326, "merge": 0.061, "quantized": 0.139}
    for relation, share in shares.items():
        assert counts[relation] / total == pytest.approx(share, abs=0.06)


def test_few_tasks_make_most_of_the_labels_yet_twenty_have_five_models(world):
    counts = world.at(NOMINAL).models["pipeline_tag"].drop_nulls().value_counts(sort=True)
    assert counts["pipeline_tag"][0] == "text-generation"
    assert 0.3 <= counts["count"][0] / counts["count"].sum() <= 0.45
    assert (counts["count"] >= 5).sum() >= 20


def test_likes_and_bases_are_heavy_tailed(world):
    day = world.at(NOMINAL)
    likes = day.models["likes"].sort(descending=True)
    assert likes.head(day.models.height // 100).sum() > 0.2 * likes.sum()
    bases = day.models["base_ids"].explode().drop_nulls().value_counts(sort=True)["count"]
    assert bases[0] > 10 * bases.median()


def test_the_time_split_has_enough_labelled_repositories_to_test_on(world):
    day = world.at(NOMINAL)
    end = datetime(2026, 11, 25, tzinfo=UTC)
    labelled = day.models.filter(pl.col("pipeline_tag").is_not_null())["created_at"]
    months = [datetime(2026, month, 25, tzinfo=UTC) for month in (8, 9)]
    assert labelled.is_between(months[1], end).sum() >= 60
    assert labelled.is_between(months[0], months[1]).sum() >= 30
    with_task = (
        pl.col("tags").list.eval(pl.element().str.starts_with("task_categories:")).list.any()
    )
    labelled = day.datasets.filter(with_task)["created_at"]
    months = [datetime(2026, month, 25, tzinfo=UTC) for month in (3, 7)]
    assert labelled.is_between(months[1], end).sum() >= 15
    assert labelled.is_between(months[0], months[1]).sum() >= 15


# -- Life -----------------------------------------------------------------------------------------


def test_something_changes_between_any_two_days_of_2026(world):
    days = [NOMINAL - timedelta(days=back) for back in range(5)]
    for day in days:
        before, after = world.at(day - timedelta(days=1)), world.at(day)
        assert not before.models.select("_id", "sha", "likes").equals(
            after.models.select("_id", "sha", "likes")
        )


def test_repositories_are_created_edited_renamed_deleted_and_gated_over_time(small):
    before, after = small.at(FIRST).models, small.at(NOMINAL).models
    assert set(after["_id"]) - set(before["_id"])
    assert set(before["_id"]) - set(after["_id"])
    both = before.join(after, on="_id", suffix="_after")
    edited = both.filter(pl.col("sha") != pl.col("sha_after"))
    assert 0 < edited.height < both.height
    assert (edited["last_modified"] < edited["last_modified_after"]).all()
    untouched = both.filter(pl.col("sha") == pl.col("sha_after"))
    assert untouched["last_modified"].equals(untouched["last_modified_after"], null_equal=True)
    assert (both["likes_after"] >= both["likes"]).all()
    assert both["created_at"].equals(both["created_at_after"])


def test_an_edit_may_change_the_tags(world):
    days = [world.at(day).models for day in (FIRST, date(2025, 9, 1), date(2026, 5, 1), NOMINAL)]
    pairs = pairwise(days)
    both = pl.concat(before.join(after, on="_id", suffix="_after") for before, after in pairs)
    changed = both.filter(pl.col("tags") != pl.col("tags_after"))
    assert changed.height
    assert (changed["sha"] != changed["sha_after"]).all()


def test_a_rename_keeps_the_stable_id_and_leaves_a_redirect(world):
    before, after = world.at(FIRST), world.at(NOMINAL)
    both = before.models.join(after.models, on="_id", suffix="_after")
    renamed = both.filter(pl.col("id") != pl.col("id_after"))
    assert renamed.height >= 2
    hops = {
        old: new
        for kind, old, new in after.redirects.select("kind", "old_id", "new_id").rows()
        if kind == "model"
    }
    for old, new in renamed.select("id", "id_after").rows():
        assert old in hops
        assert new in (hops[old], hops.get(hops[old]))


def test_repositories_become_gated_and_disabled(world):
    before, after = world.at(FIRST).models, world.at(world.last_day).models
    both = before.join(after, on="_id", suffix="_after")
    for column, was, now in (("gated", "false", ("auto", "manual")), ("disabled", False, (True,))):
        then_open = both.filter(pl.col(column) == was)
        assert then_open.filter(pl.col(f"{column}_after").is_in(now)).height, column


def test_accounts_members_likes_follows_and_collections_come_in_over_time(small):
    before, after = small.at(FIRST), small.at(NOMINAL)
    for name in ("accounts", "members", "likes", "follows", "papers", "collections"):
        assert getattr(after, name).height > getattr(before, name).height, name
    collections = before.collections.join(after.collections, on="_id", suffix="_after")
    grown = pl.col("items").list.len() != pl.col("items_after").list.len()
    assert collections.filter(grown).height
    authors = before.papers.join(after.papers, on="id", suffix="_after")
    assert authors.filter(pl.col("authors") != pl.col("authors_after")).height


def test_nothing_is_shown_before_its_time(small):
    day = small.at(FIRST)
    end = datetime(2024, 12, 16, tzinfo=UTC)
    for name, column in (
        *((kind, "created_at") for kind in REPOSITORIES),
        *((kind, "last_modified") for kind in REPOSITORIES),
        ("likes", "liked_at"), ("accounts", "created_at"), ("collections", "last_updated"),
        ("papers", "published_at"),
    ):  # fmt: skip
        assert (getattr(day, name)[column] < end).all(), (name, column)


# -- Traps ----------------------------------------------------------------------------------------

TRAPS = {
    "repositories of the oldest date": lambda d: (
        all((getattr(d, name)["created_at"] == OLDEST).any() for name in REPOSITORIES)
        and all((getattr(d, name)["created_at"] >= OLDEST).all() for name in REPOSITORIES)
    ),
    "bare ids without author": lambda d: all(
        frame.filter(pl.col("author").is_null())["id"].to_list()
        == frame.filter(~pl.col("id").str.contains("/"))["id"].to_list() != []
        for frame in (d.models, d.datasets)
    ),
    "short ids in references": lambda d: (
        {"gpt-tiny", "bert-mini"} <= references(d)["base_model"]
        and "tiny-squad" in references(d)["dataset"]
        and ("model", "gpt-tiny", "open-models/gpt-tiny") in d.redirects.rows()
        and "gpt-tiny" not in d.models["id"]
    ),
    "old id as base": lambda d: "Tarn-Research/tarn-7b-preview" in references(d)["base_model"],
    "old id in a dataset tag": lambda d: "tiny-squad" in references(d)["dataset"],
    "old id in a Space": lambda d: "kitsune-old/fox-voice" in references(d)["Space's models"],
    "old id in a collection": lambda d: (
        {"ada-finch/bird-calls", "kitsune-old/fox-says", "ada-finch/wren"} <= references(d)["item"]
    ),
    "a chain of two renames": lambda d: (
        {
            ("model", "ada-finch/wren", "ada-finch/wren-small"),
            ("model", "ada-finch/wren-small", "Tarn-Research/wren-small"),
        }
        <= set(d.redirects.rows())
    ),
    "a renamed user": lambda d: ("user", "kitsune-old", "kitsune-ml") in d.redirects.rows(),
    "wrong case": lambda d: (
        "tarn-research/TARN-7B" in references(d)["base_model"]
        and "Tarn-Research/tarn-7b" in d.models["id"]
    ),
    "dangling base": lambda d: "vanished-lab/ghost-13b" in references(d)["base_model"],
    "dangling dataset": lambda d: "vanished-lab/ghost-corpus" in references(d)["dataset"],
    "arXiv ids without a paper": lambda d: "2312.98765"
    in set(tag_values(d.models, "arxiv:")["value"]) - set(d.papers["id"]),
    "arXiv id with a version": lambda d: (
        "2401.00001v2" in tag_values(d.models, "arxiv:")["value"] and "2401.00001" in d.papers["id"]
    ),
    "old arXiv id": lambda d: (
        "cs/0201001" in tag_values(d.models, "arxiv:")["value"] and "cs/0201001" in d.papers["id"]
    ),
    "boilerplate citation": lambda d: (
        (tag_values(d.models, "arxiv:")["value"] == "1910.09700").sum() >= 3
    ),
    "a model that is its own base": lambda d: (
        1
        <= d.models.filter(pl.col("base_ids").list.contains(pl.col("id"))).height
        <= 0.02 * d.models.height
    ),
    "a merge of several": lambda d: d.models.filter(
        pl.col("base_relation") == "merge", pl.col("base_ids").list.len() >= 3
    ).height,
    "a two-part tag beside every typed one": lambda d: all(
        f"base_model:{base}" in tags
        for tags, bases in d.models.select("tags", "base_ids").rows()
        for base in bases
    ),
    "a two-part tag alone": lambda d: d.models.filter(
        pl.col("base_relation").is_null(), pl.col("base_ids").list.len() > 0
    ).height,
    "Spaces that leave out models": lambda d: (
        d.spaces["models"].is_null().any() and (d.spaces["models"].list.len() == 0).any()
    ),
    "a paper's user linked twice": lambda d: linked(d, "2311.04321").count("BoLindqvist") == 2,
    "a linked user without account": lambda d: (
        "gone-scholar" in linked(d, "2401.00001") and "gone-scholar" not in d.accounts["name"]
    ),
    "a user known from a paper only": lambda d: (
        "prof-eluned-pryce" in linked(d, "cs/0201001")
        and "prof-eluned-pryce" in d.accounts["name"]
        and not any(
            (frame[column] == "prof-eluned-pryce").any()
            for frame, column in (
                (d.likes, "user"), (d.members, "user"), (d.follows, "follower"),
                (d.follows, "followed"), (d.collections, "owner"), (d.models, "author"),
                (d.datasets, "author"), (d.spaces, "author"),
            )
        )
    ),
    "authors with each status and without": lambda d: set(
        d.papers["authors"].explode().struct.field("status")
    ) == {"claimed_verified", "admin_assigned", "extracted_pending", None},
    "an organization that hides its members": lambda d: (
        set(d.accounts.filter(pl.col("members_hidden"))["name"]) & set(d.members["org"])
    ),
    "a user who follows an organization": lambda d: (d.follows["followed_kind"] == "org").any(),
    "a counter above the likers": lambda d: (
        d.models.filter(pl.col("id") == "ada-finch/popular-once")["likes"][0]
        > d.likes.filter(pl.col("repo_id") == "ada-finch/popular-once").height
        > 0
    ),
    "gated both ways, and disabled": lambda d: (
        set(d.models["gated"]) == {"false", "auto", "manual"} and d.models["disabled"].any()
    ),
    "several tasks": lambda d: (
        {"text-classification", "token-classification"}
        <= set(tags_of(d.models, "open-models/multi-head"))
    ),
    "free tags with signs": lambda d: all(
        tag in tags_of(d.models, "mei-ling-zhou/llm_2.5-mini.v1")
        for tag in ('say "hi"', "a, b and c", "note: not final", "🤗")
    ),
    "model tags as the Hub writes them": lambda d: (
        {"en", "region:us", "transformers"} <= set(tags_of(d.models, "open-models/gpt-tiny"))
        and tag_values(d.models, "license:").height
        and not tag_values(d.models, "language:").height
    ),
    "dataset tags as the Hub writes them": lambda d: all(
        tag_values(d.datasets, prefix).height
        for prefix in (
            "language:", "size_categories:", "format:", "modality:", "library:datasets", "license:"
        )
    ),
    "very long texts": lambda d: (
        d.datasets["description"].str.len_chars().max() > 10_000
        and d.collections["description"].str.len_chars().max() > 10_000
    ),
    "names in other scripts": lambda d: d.accounts["fullname"].str.contains("[周🐼Ż]").any(),
    "a repository whose author has no account": lambda d: (
        "nobody-here/orphan-set" in d.datasets["id"] and "nobody-here" not in d.accounts["name"]
    ),
    "a Space and a model of one id": lambda d: set(d.spaces["id"]) & set(d.models["id"]),
}  # fmt: skip


def linked(day, paper):
    authors = day.papers.filter(pl.col("id") == paper)["authors"].explode().struct.field("user")
    return authors.to_list()


@pytest.mark.parametrize("day", [FIRST, NOMINAL, date(2027, 12, 31)])
@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_is_set_on_every_day(small, trap, day):
    assert TRAPS[trap](small.at(day))


@pytest.mark.parametrize("day", [FIRST, NOMINAL])
def test_collections_come_in_every_shape(small, day):
    at = small.at(day)
    sizes = at.collections["items"].list.len()
    assert (sizes > 4).any()
    assert (sizes == 4).any()
    assert (sizes == 0).any()
    assert sizes.is_between(1, 3).any()
    everything = items(at).filter(pl.col("title") == "Everything at once")
    kinds = {"model", "dataset", "space", "paper", "collection", "bucket"}
    assert set(everything["type"]) == kinds
    assert everything["note"].is_not_null().any()
    twice = items(at).filter(pl.col("title") == "Twice the same")
    assert not twice["id"].is_unique().all()
    positions = at.collections.select(
        (pl.col("items").list.eval(pl.element().struct.field("position"))
         == pl.int_ranges(pl.col("items").list.len())).alias("in order")
    )  # fmt: skip
    assert positions["in order"].all()


def test_an_item_that_is_a_collection_has_the_slug_of_one(small):
    day = small.at(FIRST)
    listed = day.collections["items"].explode().struct.unnest().drop_nulls("_id")
    nested = listed.filter(pl.col("type") == "collection")
    assert nested.height
    found = nested.join(day.collections, left_on="id", right_on="_id", suffix="_of_collection")
    assert found["slug"].equals(found["slug_of_collection"].alias("slug"))
    assert listed.filter(pl.col("type") != "collection")["slug"].is_null().all()


def test_tasks_are_the_hubs_own_and_each_has_a_wording(world):
    day = world.at(world.last_day)
    labels = cards.task_labels()
    assert len(labels) == 57
    named = set(day.models["pipeline_tag"].drop_nulls()) | set(
        tag_values(day.datasets, "task_categories:")["value"]
    )
    assert named <= set(labels)
