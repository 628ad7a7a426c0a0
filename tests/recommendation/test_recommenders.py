"""The recommenders: right by definition, and better than popularity where users have tastes."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.sparse import csr_matrix

from hfkg_assets.recommendation import blends
from hfkg_assets.recommendation.blends import (
    Blend,
    Similarity,
    chosen_weights,
    item_similarity,
    random_scores,
    strongest,
)
from hfkg_assets.recommendation.data import likes_of_protocol
from hfkg_assets.recommendation.leaderboard import RunConfig, knowledge_of, leaderboard_of, run_all
from hfkg_assets.recommendation.lightgcn import (
    LightGcnOptions,
    adjacency,
    as_tensor,
    propagated,
    train_lightgcn,
    unliked,
)
from hfkg_assets.recommendation.models import RECOMMENDERS, Fitting
from tests.recommendation.made_up import tables


@pytest.fixture(scope="module")
def world():
    return tables()


@pytest.fixture(scope="module")
def likes(world):
    return likes_of_protocol(world[0], "random")


@pytest.fixture(scope="module")
def knowledge(world):
    return knowledge_of(*world)


@pytest.mark.parametrize("asymmetry", [0.5, 1.0])
def test_item_similarity_is_its_formula_in_blocks_too(likes, asymmetry, monkeypatch):
    monkeypatch.setattr(blends, "ROWS_AT_ONCE", 7)
    found = item_similarity(likes, 5.0, asymmetry, neighbours=1_000).toarray()
    train = likes.train.toarray()
    both, counts = train.T @ train, np.maximum(train.sum(axis=0), 1)
    expected = both / (np.outer(counts**asymmetry, counts ** (1 - asymmetry)) + 5.0)
    np.fill_diagonal(expected, 0)
    assert found == pytest.approx(expected, abs=1e-6)


def test_of_each_row_the_strongest_are_kept():
    matrix = csr_matrix(np.float32([[1, 3, 2, 3], [0, 0, 0, 0], [4, 0, 5, 0]]))
    assert strongest(matrix, 2).toarray().tolist() == [[0, 3, 0, 3], [0, 0, 0, 0], [4, 0, 5, 0]]
    assert strongest(matrix, 1).toarray().tolist() == [[0, 3, 0, 0], [0, 0, 0, 0], [0, 0, 5, 0]]


def test_random_scores_of_a_user_are_the_same_in_every_block(likes):
    score = random_scores(likes, 3)
    assert np.array_equal(score(np.array([4, 9]))[1], score(np.array([9]))[0])
    assert not np.array_equal(score(np.array([9])), random_scores(likes, 4)(np.array([9])))


def test_scores_of_a_blend_do_not_depend_on_the_block(likes, knowledge):
    network = random_scores(likes, 0)
    blend = Blend(likes, {"a": network, "b": Similarity.of_features(knowledge.words)})
    score = blend.weighted({"a": 1.0, "b": 0.5, "popularity": 0.25})
    assert score(np.arange(8))[5:] == pytest.approx(score(np.array([5, 6, 7])))


def test_weights_are_found_one_after_the_other():
    def value(weights):
        return -abs(weights.get("a", 0) - 0.5) - abs(weights.get("b", 0) - 1)

    found = chosen_weights(["b", "a"], value, {"fixed": 1.0}, (0.0, 0.5, 1.0))
    assert found == {"fixed": 1.0, "a": 0.5, "b": 1.0}


def test_propagation_equals_pygs_lightgcn(likes):
    from torch_geometric.nn.models import LightGCN

    matrix = adjacency(likes.train)
    model = LightGCN(matrix.shape[0], 8, 3)
    edges = torch.from_numpy(np.stack(matrix.nonzero()).astype(np.int64))
    expected = model.get_embedding(edges)
    found = propagated(model.embedding.weight, as_tensor(matrix), 3)
    assert torch.allclose(found, expected, atol=1e-6)
    gradients = [
        torch.autograd.grad(result.square().sum(), model.embedding.weight, retain_graph=True)[0]
        for result in (found, expected)
    ]
    assert torch.allclose(*gradients, atol=1e-5)


def test_evidence_is_joined_to_the_items_of_the_graph(likes, knowledge):
    task = knowledge.evidence["task"]
    matrix = adjacency(likes.train, [task])
    assert matrix.shape[0] == likes.users + likes.items + task.shape[1]
    items, further = likes.users, likes.users + likes.items
    block = matrix[items:further, further:]
    assert (block != 0).nnz == task.nnz
    assert abs(matrix - matrix.T).max() < 1e-6


def test_what_likes_are_compared_with_is_not_liked(likes):
    user = np.repeat(np.arange(likes.users), np.diff(likes.train.indptr))
    liked = user * likes.items + likes.train.indices
    other = unliked(np.random.default_rng(0), user, liked, likes.items)
    assert not set(user * likes.items + other) & set(liked)


def test_the_same_seed_trains_the_same_network(likes):
    options = LightGcnOptions(epochs=6)
    first, again, other = (train_lightgcn(likes, options, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.users, again.users)
    assert not np.array_equal(first.users, other.users)
    assert first.losses[-1] < first.losses[0]


def test_a_space_is_for_the_task_of_the_model_that_it_shows(world, knowledge):
    items = world[0].select("item", "kind", "id").unique().sort("item")
    task = knowledge.evidence["task"]
    ids = dict(items.select("id", "item").iter_rows())
    shown = ids["owner/chess-space-2"], ids["owner/chess-model-0"]
    assert (task[shown[0]] != task[shown[1]]).nnz == 0
    assert task[shown[0]].nnz == 1


@pytest.fixture(scope="module")
def scores(world, knowledge):
    return run_all(world[0], knowledge, RunConfig(seeds=[0, 1]))


def test_every_recommender_that_learns_beats_popularity_and_that_beats_chance(scores):
    means = leaderboard_of(scores).filter(split="test", source="hfkg")
    ndcg = dict(means.select("model", "ndcg_20").iter_rows())
    assert set(ndcg) == set(RECOMMENDERS)
    assert ndcg["popularity"] > ndcg["random"]
    for name, (role, _) in RECOMMENDERS.items():
        if role == "learned":
            assert ndcg[name] > ndcg["popularity"], name
    assert ndcg["lightgcn_text"] > ndcg["lightgcn"]
    assert ndcg["lightgcn_graph"] > ndcg["lightgcn"]


def test_what_draws_nothing_runs_once_and_the_rest_once_a_seed(scores):
    seeds = scores.filter(split="test").group_by("model").agg(pl.col("seed").sort())
    found = dict(seeds.iter_rows())
    assert found["popularity"] == found["item_knn"] == [0]
    assert found["lightgcn"] == found["combination"] == [0, 1]


@pytest.mark.parametrize(
    "config, message",
    [
        ({"models": ["svd"]}, "unknown svd; known: random"),
        ({"joined": ["gossip"]}, "unknown gossip; known: lineage"),
        ({"seeds": []}, "seeds is empty"),
        (
            {"sslrec": [{"name": "x", "path": "x", "protocol": "time"}]},
            "unknown time; known: random",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(world, knowledge, config, message):
    with pytest.raises(ValueError, match=message):
        run_all(world[0], knowledge, RunConfig(**config))


def test_fitted_again_with_the_same_settings_and_likes_it_recommends_the_same(likes, knowledge):
    options = LightGcnOptions(epochs=9)
    first = Fitting(likes, knowledge, options)
    for name in ("item_knn", "lightgcn_text"):
        users = np.arange(20)
        expected = first.score(name)(users)
        told = {part: first.chosen[part] for part in first.needed(name)}
        again = Fitting(likes, knowledge, options, settings=told).score(name)(users)
        assert again == pytest.approx(expected, abs=1e-4), name
