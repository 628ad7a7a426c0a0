"""What SSLRec's models give back: round trips with files that are made here."""

import numpy as np
import pytest
import torch

from hfkg_assets.recommendation.data import likes_of_protocol
from hfkg_assets.recommendation.leaderboard import RunConfig, knowledge_of, run_all
from hfkg_assets.recommendation.metrics import METRICS, judge
from hfkg_assets.recommendation.sslrec_results import UnusableResult, sslrec_score
from tests.recommendation.made_up import tables

WIDTH = 6


@pytest.fixture(scope="module")
def world():
    return tables()


@pytest.fixture(scope="module")
def likes(world):
    return likes_of_protocol(world[0], "random")


@pytest.fixture(scope="module")
def embeddings(likes):
    rng = np.random.default_rng(0)
    sizes = (likes.users, likes.items)
    return [rng.normal(size=(size, WIDTH)).astype(np.float32) for size in sizes]


def save(folder, users, items):
    folder.mkdir()
    np.save(folder / "users.npy", users)
    np.save(folder / "items.npy", items)
    return folder


def test_final_embeddings_saved_as_arrays_are_scored_by_their_products(tmp_path, likes, embeddings):
    score = sslrec_score(save(tmp_path / "SimGCL", *embeddings), likes)
    assert score(np.array([3, 5])) == pytest.approx(
        embeddings[0][[3, 5]] @ embeddings[1].T, abs=1e-5
    )


def test_a_checkpoint_of_lightgcn_is_propagated_as_sslrec_does(tmp_path, likes, embeddings):
    path = tmp_path / "lightgcn-hfkg-1.pth"
    state = dict(
        zip(("user_embeds", "item_embeds"), map(torch.from_numpy, embeddings), strict=True)
    )
    torch.save(state, path)
    train = likes.train.toarray()
    users, items = (np.maximum(train.sum(axis=axis), 1) ** -0.5 for axis in (1, 0))
    normal = users[:, None] * train * items
    sums = list(embeddings)
    step = list(embeddings)
    for _ in range(2):
        step = [normal @ step[1], normal.T @ step[0]]
        sums = [total + new for total, new in zip(sums, step, strict=True)]
    score = sslrec_score(path, likes, layers=2)
    assert score(np.arange(4)) == pytest.approx(sums[0][:4] @ sums[1].T, abs=1e-3)
    plain = sslrec_score(path, likes)
    assert plain(np.arange(4)) == pytest.approx(embeddings[0][:4] @ embeddings[1].T, abs=1e-5)


def test_a_result_is_a_row_judged_as_all_others(tmp_path, world, likes, embeddings):
    folder = save(tmp_path / "SimGCL", *embeddings)
    config = RunConfig(models=["popularity"], sslrec=[{"name": "SimGCL", "path": str(folder)}])
    rows = run_all(world[0], knowledge_of(*world), config).filter(model="SimGCL", split="test")
    expected = judge(sslrec_score(folder, likes), likes.train, likes.judged["test"], likes.order)
    assert rows.select(METRICS).row(0, named=True) == pytest.approx(expected)
    assert rows["role"].to_list() == ["sslrec"]


class Harmful:
    def __reduce__(self):
        return print, ("code that a checkpoint runs",)


def broken(tmp_path, users, items):
    torch.save({"user_embeds": Harmful()}, tmp_path / "code.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "empty").mkdir()
    save(tmp_path / "small", users[:-1], items)
    save(tmp_path / "nan", users * np.nan, items)
    save(tmp_path / "flat", users[:, 0], items)
    return {
        "nowhere": "is not there", "code.pth": "no state of a model",
        "other.pth": "has no user_embeds and no item_embeds", "empty": "has no users.npy",
        "small": "train it on this date's export/sslrec", "nan": "no numbers",
        "flat": "two dimensions",
    }  # fmt: skip


def test_what_cannot_be_scored_is_refused_with_the_reason(tmp_path, likes, embeddings, capsys):
    for name, message in broken(tmp_path, *embeddings).items():
        with pytest.raises(UnusableResult, match=message):
            sslrec_score(tmp_path / name, likes)
    assert "code that" not in capsys.readouterr().out
