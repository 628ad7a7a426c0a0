"""What likes of the sample world must be: of users with tastes, and as many as without."""

import polars as pl
import pytest

from hfkg_resources.sample_hub import tastes
from hfkg_resources.sample_hub.drawing import NOMINAL
from hfkg_resources.sample_hub.population import populate
from hfkg_resources.sample_hub.repositories import KINDS, cast_size
from hfkg_resources.sample_hub.social import LIKES, MOST_LIKED

SEED, REPOSITORIES = 7, 6_000


@pytest.fixture(scope="module")
def population():
    return populate(SEED, REPOSITORIES)


@pytest.fixture(scope="module")
def without_taste():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tastes, "FACETS", {})
        return populate(SEED, REPOSITORIES)


def of_topics(population, kinds=("model", "space")):
    """Likes of the crowd of what has a topic: `user topic kind`."""
    topics = tastes.fields_of(population.repositories)["topic"]
    return pl.concat(
        population.likes[kind]
        .filter(pl.col("repo") >= cast_size(kind))
        .select("user", kind=pl.lit(kind), topic=pl.lit(pl.Series(topics[kind])).gather("repo"))
        for kind in kinds
    ).filter(pl.col("topic") >= 0)


def share_of_favourite(population):
    """Of users with four such likes or more, the mean share of the topic they like most."""
    favourite = pl.col("topic").value_counts(sort=True).struct.field("count").first()
    users = of_topics(population).group_by("user").agg(share=favourite / pl.len(), n=pl.len())
    return users.filter(pl.col("n") >= 4)["share"].mean()


def test_a_users_likes_fall_into_few_topics(population, without_taste):
    assert share_of_favourite(population) > 0.5
    assert share_of_favourite(population) > 1.5 * share_of_favourite(without_taste)


def test_a_users_likes_of_models_and_of_spaces_agree(population, without_taste):
    def agreement(world):
        likes = of_topics(world)
        models, spaces = (likes.filter(kind=kind) for kind in ("model", "space"))
        liked = models.select("user", "topic").unique().with_columns(same=True)
        fans = spaces.join(models.select("user").unique(), on="user", how="semi")
        return fans.join(liked, on=["user", "topic"], how="left")["same"].is_not_null().mean()

    assert agreement(population) > 1.3 * agreement(without_taste)


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_as_many_likes_per_repository_as_on_the_hub(population, kind):
    existing = (pl.col("created") < NOMINAL) & (pl.col("deleted") > NOMINAL)
    there = population.repositories[kind].with_row_index("repo").filter(existing)
    likes = population.likes[kind].filter(pl.col("at") < NOMINAL)
    alive = likes.join(there.select(pl.col("repo").cast(pl.Int64)), on="repo", how="semi")
    assert alive.height / there.height == pytest.approx(LIKES[kind], rel=0.2)


def test_tastes_do_not_change_what_is_liked(population, without_taste):
    for kind in KINDS:
        assert set(population.likes[kind]["repo"]) == set(without_taste.likes[kind]["repo"])


def test_no_repository_has_most_of_the_likes(population):
    for kind, likes in population.likes.items():
        most = likes["repo"].value_counts()["count"].max()
        assert most <= 2 * MOST_LIKED * likes.height, kind


def test_few_users_give_most_of_the_likes(population):
    given = pl.concat(population.likes.values())["user"].value_counts(sort=True)["count"]
    assert given.head(given.len() // 10).sum() > 0.35 * given.sum()


def test_every_like_comes_after_both_ends_exist(population):
    joined = population.accounts["created"].to_numpy()
    for kind, likes in population.likes.items():
        drawn = likes.filter(pl.col("repo") >= cast_size(kind))
        at = drawn["at"].to_numpy()
        born = population.repositories[kind]["created"].to_numpy()[drawn["repo"].to_numpy()]
        assert (at >= born).all()
        before = joined[drawn["user"].to_numpy()] > at
        # Only before the first users came may one be older than the Hub's first accounts tell.
        assert before.mean() < 0.001


def test_the_same_seed_gives_the_same_likes(population):
    again = populate(SEED, REPOSITORIES)
    for kind in KINDS:
        assert population.likes[kind].equals(again.likes[kind])
