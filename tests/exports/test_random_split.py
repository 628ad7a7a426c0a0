"""Random splits: reproducible, of the wanted size, nothing tested unseen."""

import polars as pl
import pytest

from hfkg_assets.exports.random_split import random_split


@pytest.fixture(scope="module")
def edges():
    """A bipartite graph of 40 × 25 with 500 edges, and a chain that hangs on it."""
    pairs = [(i % 40, 100 + (i * i) % 25) for i in range(500)]
    chain = [(200 + i, 201 + i) for i in range(20)]
    table = pl.DataFrame(pairs + chain, schema=["source", "target"], orient="row").unique()
    return table.sort("source", "target").with_columns(p=pl.col("target") % 3)


SHARES = {"valid": 0.1, "test": 0.2}


def test_shares_are_of_all_edges_and_every_edge_is_in_one_split(edges):
    split = random_split(edges, SHARES, seen=[["source"]], seed=0)
    assert split.drop("split").equals(edges)
    sizes = dict(split.group_by("split").len().iter_rows())
    n = edges.height
    assert sizes["valid"] == round(0.1 * n)
    assert sizes["test"] == round(0.2 * n)
    assert sizes["train"] == n - sizes["valid"] - sizes["test"]


@pytest.mark.parametrize("seed", range(20))
def test_everything_that_must_be_seen_is_seen_in_train(edges, seed):
    split = random_split(edges, SHARES, seen=[["source", "target"], ["p"]], seed=seed)
    train, held = split.filter(split="train"), split.filter(pl.col("split") != "train")
    seen = pl.concat([train["source"], train["target"]]).unique()
    assert pl.concat([held["source"], held["target"]]).is_in(seen.implode()).all()
    assert held["p"].is_in(train["p"].implode()).all()


def test_the_same_seed_gives_the_same_split_and_another_a_different_one(edges):
    first, again, other = (random_split(edges, SHARES, [["source"]], seed) for seed in (3, 3, 4))
    assert first.equals(again)
    assert not first.equals(other)


def test_where_nothing_can_be_spared_all_stays_in_train():
    star = pl.DataFrame({"source": [0, 0, 0], "target": [1, 2, 3]})
    split = random_split(star, SHARES, seen=[["source", "target"]], seed=0)
    assert split["split"].to_list() == ["train"] * 3


def test_too_few_to_spare_are_shared_in_proportion():
    fan = pl.DataFrame({"source": [0] * 31, "target": list(range(1, 32))})
    split = random_split(fan, {"valid": 0.5, "test": 0.5}, seen=[["source"]], seed=0)
    assert dict(split.group_by("split").len().iter_rows()) == {"train": 1, "valid": 15, "test": 15}


def test_no_edges_are_no_trouble():
    empty = pl.DataFrame(schema={"source": pl.Int64, "target": pl.Int64})
    split = random_split(empty, SHARES, seen=[["source"]], seed=0)
    assert split.columns == ["source", "target", "split"]
    assert split.is_empty()
