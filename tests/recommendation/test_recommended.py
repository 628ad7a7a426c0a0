"""The assets as Dagster makes them, what is recommended and why, and reading it for one user."""

import dagster as dg
import polars as pl
import pytest

from hfkg_assets.recommendation import leaderboard as boards
from hfkg_assets.recommendation import likes as likes_module
from hfkg_assets.recommendation import recommended as module
from hfkg_assets.recommendation.published import HUGGINGBENCH
from hfkg_assets.recommendation.recommended import (
    BEAT,
    KNOWN,
    NEW,
    RANKS,
    already_liked,
    gaps_in_ranks,
    recommendations_for,
    unknown_ids,
)
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_resources.warehouse import MissingTable, Warehouse
from tests.recommendation.made_up import DAY, USERS, snapshot

INPUTS = ("graph/node", "graph/edge", "feature/embedding")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("recommended")))
    for name, frame in zip(INPUTS, snapshot(), strict=True):
        warehouse.write(name, DAY, frame)
    made = [likes_module.likes, boards.run_scores, boards.leaderboard, module.recommended]
    inputs = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in INPUTS
    ]
    result = dg.materialize(
        [*made, module.recommendation_checks, *inputs],
        selection=dg.AssetSelection.assets(*made),
        partition_key=DAY,
        resources={IO_MANAGER: warehouse},
    )
    return warehouse, result


def table(made, name):
    return made[0].scan(f"recommendation/{name}", DAY).collect()


def test_all_checks_pass(made):
    found = {check.check_name: check.passed for check in made[1].get_asset_check_evaluations()}
    assert found == {BEAT: True, NEW: True, RANKS: True, KNOWN: True}


def test_the_board_has_all_recommenders_beside_published_figures_that_do_not_compare(made):
    board = table(made, "leaderboard")
    published = board.filter(source=HUGGINGBENCH)
    assert published["recall_20"].max() == 0.2237
    assert published["comparable"].str.starts_with("no: ").all()
    (event,) = made[1].asset_materializations_for_node("recommendation__leaderboard")
    text = event.metadata["hfkg/leaderboard"].value
    assert "| random | popularity |" in text and "KGCL-homo" in text
    assert event.metadata["hfkg/test_ndcg_20"].value.startswith("![](data:image/png")


def test_the_best_on_validation_recommends(made):
    board = table(made, "leaderboard").filter(split="valid", role="learned")
    best = board.sort("ndcg_20", descending=True)["model"][0]
    (event,) = made[1].asset_materializations_for_node("recommendation__recommended")
    assert event.metadata["hfkg/recommender"].value == best


def test_every_user_who_likes_something_gets_twenty_that_are_new(made):
    rows = table(made, "recommended")
    counts = rows.group_by("user_id").agg(pl.len(), pl.col("rank").max())
    assert counts.height == USERS
    assert set(counts["len"]) == set(counts["rank"]) == {20}
    likes = table(made, "likes").select("user_id", "kind", "id")
    assert rows.join(likes, on=["user_id", "kind", "id"], how="semi").is_empty()


def test_reasons_are_likes_of_the_user_and_mostly_of_the_same_topic(made):
    rows = table(made, "recommended").filter(pl.col("rank") <= 5)
    assert rows["because"].list.len().is_between(0, 3).all()
    reasons = rows.select("user_id", "because", what="id").explode("because").drop_nulls()
    named = reasons.unnest("because")
    likes = table(made, "likes").select("user_id", "kind", "id")
    assert named.join(likes, on=["user_id", "kind", "id"], how="anti").is_empty()
    topic = r"owner/(\w+)-"
    same = named["id"].str.extract(topic) == named["what"].str.extract(topic)
    assert same.mean() > 0.5


def test_the_recommendations_of_one_user_are_read_and_nobody_gets_none(made):
    found = recommendations_for(made[0], DAY, "user-007", 3)
    assert found["rank"].to_list() == [1, 2, 3]
    assert set(found["user_id"]) == {"user-007"}
    assert recommendations_for(made[0], DAY, "nobody", 3).is_empty()
    assert recommendations_for(made[0], DAY, "user-007", 0).is_empty()
    with pytest.raises(MissingTable):
        recommendations_for(made[0], "2026-11-21", "user-007", 3)


def test_checks_find_what_is_wrong(made):
    rows, likes = table(made, "recommended"), table(made, "likes")
    nodes = made[0].scan("graph/node", DAY)
    first = likes.row(0, named=True)
    liked = rows.head(1).with_columns(
        user_id=pl.lit(first["user_id"]), kind=pl.lit(first["kind"]), id=pl.lit(first["id"])
    )
    assert already_liked(liked.lazy(), likes.lazy()).height == 1
    assert gaps_in_ranks(rows.filter(pl.col("rank") != 4).lazy()).height == USERS
    rising = rows.with_columns(score=pl.col("rank").cast(pl.Float64))
    assert gaps_in_ranks(rising.lazy()).height == USERS
    ghost = rows.head(2).with_columns(id=pl.lit("vanished/ghost"))
    assert unknown_ids(ghost.lazy(), nodes)["id"].to_list() == ["vanished/ghost"]


def test_a_learned_recommender_no_better_than_popularity_is_named(made):
    board = table(made, "leaderboard")
    assert boards.behind_popularity(board).is_empty()
    popular = board.filter(split="test", model="popularity")["ndcg_20"][0]
    worse = board.with_columns(ndcg_20=pl.when(model="lightgcn").then(popular).otherwise("ndcg_20"))
    assert boards.behind_popularity(worse)["model"].to_list() == ["lightgcn"]
