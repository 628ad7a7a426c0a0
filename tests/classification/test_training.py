"""Training: the best epoch's weights are kept, no label reaches its own score, seeds decide all."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score

from hfkg_assets.classification import training as T
from hfkg_assets.classification.learner_names import BASELINES, LEARNERS
from hfkg_assets.classification.networks import Network, build_network
from hfkg_assets.classification.training_data import TrainingData
from tests.classification.learnable_graphs import FEATURES, RELATIONS, TASKS, learnable_graph

GRAPH_LEARNERS = [name for name in LEARNERS if name not in BASELINES]
OPTIONS = T.TrainingOptions(
    hidden=16, learning_rate=0.01, epochs=40, patience=40, label_reuse=False
)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return learnable_graph()


def network(name: str, *, hints: bool = False, dropout: float = 0.5) -> Network:
    torch.manual_seed(0)
    return build_network(
        name,
        features=FEATURES,
        tasks=TASKS,
        relations=RELATIONS,
        node_kinds=len(T.NODE_KINDS),
        hidden=16,
        dropout=dropout,
        layers=2,
        hints=hints,
    )


def accuracy(data: TrainingData, trained: T.TrainedNetwork, split: str = "test") -> float:
    truth = data.y[data.masks[split]].argmax(1).numpy()
    return float((trained.scores[split].argmax(1) == truth).mean())


# --- learning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_learns_what_can_be_learnt(name, data):
    trained = T.train_network(name, data, OPTIONS, seed=0)
    assert trained.history.losses[-1] < 0.5 * trained.history.losses[0]
    assert accuracy(data, trained) > 0.8
    for split in ("validation", "test"):
        assert trained.scores[split].shape == (int(data.masks[split].sum()), TASKS)
        assert trained.scores[split].dtype == np.float32
    assert trained.smoothed == {}


@pytest.mark.parametrize("loss", T.LOSSES)
def test_either_loss_is_learnt_with(loss, data):
    assert accuracy(data, T.train_network("sage", data, replace(OPTIONS, loss=loss), 0)) > 0.8


@pytest.mark.parametrize("name", GRAPH_LEARNERS)
def test_with_label_reuse_a_graph_learner_reads_the_labels_of_neighbours(name):
    """Without features, whoever does not read a neighbour's label can only guess."""
    bare = learnable_graph(300, from_features=False)
    with_labels = T.train_network(name, bare, replace(OPTIONS, label_reuse=True), seed=0)
    without = T.train_network(name, bare, OPTIONS, seed=0)
    assert accuracy(bare, with_labels) > 0.6
    assert accuracy(bare, without) < 0.45


def test_unknown_names_are_refused_with_the_known_ones_named(data):
    with pytest.raises(ValueError, match="gcn, gat, sage, transformer"):
        T.train_network("perceptron", data, OPTIONS, seed=0)
    with pytest.raises(ValueError, match="unknown loss 'hinge'; known: bce, focal"):
        T.TrainingOptions(loss="hinge")
    with pytest.raises(ValueError, match="unknown monitor 'accuracy'; known: micro_f1"):
        T.TrainingOptions(monitor="accuracy")


def test_a_split_without_nodes_is_refused_and_named(data):
    empty = replace(data, masks={**data.masks, "test": torch.zeros(len(data.x), dtype=torch.bool)})
    with pytest.raises(ValueError, match="the test split has no node"):
        T.train_network("gcn", empty, OPTIONS, seed=0)


# --- losses and validation scores ----------------------------------------------------------------


def test_focal_loss_without_focus_is_half_of_binary_cross_entropy(monkeypatch):
    logits, truth = torch.randn(50, 7), (torch.rand(50, 7) < 0.2).float()
    monkeypatch.setattr(T, "FOCAL_GAMMA", 0.0)
    monkeypatch.setattr(T, "FOCAL_ALPHA", 0.5)
    torch.testing.assert_close(T.focal_loss(logits, truth), T.LOSSES["bce"](logits, truth) / 2)


def test_focal_loss_is_the_published_formula():
    logits, truth = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    p = torch.sigmoid(logits)
    expected = (-0.25 * (1 - p) ** 2 * p.log()).mean()
    torch.testing.assert_close(T.focal_loss(logits, truth), expected)
    expected = (-0.75 * p**2 * (1 - p).log()).mean()
    torch.testing.assert_close(T.focal_loss(logits, 1 - truth), expected)


@pytest.mark.parametrize("seed", range(8))
def test_validation_scores_equal_those_of_scikit_learn(seed):
    generator = torch.Generator().manual_seed(seed)
    # Rounded, so that many logits are equal: no threshold lies between equal ones.
    logits = (torch.randn(30, 5, generator=generator) * 3).round() / 3
    truth = (torch.rand(30, 5, generator=generator) < 0.3).float()
    best = max(
        f1_score(truth, logits >= threshold, average="micro", zero_division=0)
        for threshold in logits.unique()
    )
    assert T.best_micro_f1(logits, truth) == pytest.approx(best, abs=1e-6)
    distinct = torch.randn(30, 5, generator=generator)
    expected = average_precision_score(truth.flatten(), distinct.flatten())
    assert T.average_precision(distinct, truth) == pytest.approx(expected, abs=1e-6)


def test_scores_of_rows_without_a_label_are_zero():
    logits, truth = torch.randn(3, 2), torch.zeros(3, 2)
    assert T.best_micro_f1(logits, truth) == 0
    assert T.average_precision(logits, truth) == 0


@pytest.mark.parametrize("name", LEARNERS)
def test_training_begins_with_each_task_about_as_likely_as_it_is(name):
    built = network(name, dropout=0.0)
    share = torch.tensor([0.5, 0.1, 0.01, 0.0])
    data = learnable_graph()
    silent = replace(data, x=torch.zeros_like(data.x))
    before = T.logits_of(built, T.FullBatch(built, silent), silent, "test", torch.arange(10))
    T.start_at_prior(built, share)
    after = T.logits_of(built, T.FullBatch(built, silent), silent, "test", torch.arange(10))
    moved = torch.sigmoid(after - before)
    expected = share.clamp(T.LEAST_SHARE)
    if name == "logistic_regression":  # zeros in: the bias is all that comes out
        torch.testing.assert_close(
            torch.sigmoid(after), expected.expand(10, -1), rtol=1e-3, atol=1e-6
        )
    assert (moved.argsort(1) == expected.argsort()).all()


# --- early stopping ------------------------------------------------------------------------------


def test_a_network_whose_validation_score_peaks_early_ends_with_its_peak_weights(data):
    """The score is made to peak at the fourth epoch, while training changes the weights on."""
    built, seen = network("sage", dropout=0.0), []

    def peaks_at_the_fourth(logits, truth):
        seen.append({name: value.clone() for name, value in built.state_dict().items()})
        return 1.0 if len(seen) == 4 else 0.1

    options = replace(OPTIONS, patience=10)
    history = T.fit(built, data, options, monitor=peaks_at_the_fourth)
    assert history.best_epoch == 3
    assert len(seen) == 4 + options.patience
    for name, value in built.state_dict().items():
        assert torch.equal(value, seen[3][name])
        assert not torch.equal(value, seen[-1][name])


def test_the_stored_scores_are_those_of_the_restored_weights(data):
    trained = T.train_network("gcn", data, OPTIONS, seed=1)
    built = network("gcn")
    built.load_state_dict(trained.state)
    rows = data.masks["validation"].nonzero().squeeze(1)
    logits = T.logits_of(built, T.FullBatch(built, data), data, "validation", rows)
    np.testing.assert_array_equal(torch.sigmoid(logits).numpy(), trained.scores["validation"])
    score = T.MONITORS[OPTIONS.monitor](logits, data.y[rows])
    assert score == trained.history.scores[trained.history.best_epoch]


def test_long_training_tells_how_far_it_is_every_ten_seconds(data, monkeypatch):
    now = iter(range(0, 10_000, 4))  # each look at the clock is four seconds after the last
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    told: list[str] = []
    T.fit(network("mlp"), data, replace(OPTIONS, epochs=8), log=told.append)
    assert [message.split(":")[0] for message in told] == ["epoch 3 of 8", "epoch 6 of 8"]
    assert told[0].endswith("at most 20 s to go")


# --- labels do not leak --------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_labels_that_a_stage_does_not_know_reach_none_of_its_scores(name, data):
    """Turning the labels of a split around changes what is predicted of it by nothing."""
    built = network(name, hints=True)
    for split, hidden in (("validation", ("validation", "test")), ("test", ("test",))):
        mask = torch.stack([data.masks[other] for other in hidden]).any(0)
        turned = data.y.clone()
        turned[mask] = 1 - turned[mask]
        rows = data.masks[split].nonzero().squeeze(1)
        logits = [
            T.logits_of(built, T.FullBatch(built, one), one, split, rows)
            for one in (data, replace(data, y=turned))
        ]
        assert torch.equal(*logits)


@pytest.mark.parametrize("name", GRAPH_LEARNERS)
def test_labels_that_a_stage_knows_reach_the_scores_of_neighbours(name, data):
    built = network(name, hints=True)
    known = data.stages["validation"].known
    turned = data.y.clone()
    turned[known] = 1 - turned[known]
    rows = data.masks["validation"].nonzero().squeeze(1)
    logits = [
        T.logits_of(built, T.FullBatch(built, one), one, "validation", rows)
        for one in (data, replace(data, y=turned))
    ]
    assert not torch.allclose(*logits)


def test_a_training_document_gives_its_label_or_is_asked_for_it_never_both(data):
    generator = torch.Generator().manual_seed(0)
    train = data.masks["train"]
    draws = [T.hide_half(train, generator) for _ in range(200)]
    for hinted, asked in draws:
        assert not hinted[asked].any()
        assert not (hinted & ~train).any()
        assert int(hinted.sum()) + len(asked) == int(train.sum())
    shares = torch.stack([hinted for hinted, _ in draws]).float().mean(0)[train]
    assert 0.45 < shares.mean() < 0.55
    assert shares.min() > 0.3  # anew each epoch: everyone gives, and everyone is asked


def test_hints_are_the_known_labels_and_a_column_that_tells_which_these_are():
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    hints = T.hints_of(labels, torch.tensor([True, False, True]))
    assert hints.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_a_lone_training_document_is_asked_for_its_label():
    train = torch.tensor([True, False])
    for seed in range(10):
        _, asked = T.hide_half(train, torch.Generator().manual_seed(seed))
        assert asked.tolist() == [0]


# --- seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("batch_nodes", [None, 16])
def test_equal_seeds_give_equal_scores_to_the_last_bit_and_other_seeds_others(
    name, batch_nodes, data
):
    options = replace(OPTIONS, epochs=4, label_reuse=True, batch_nodes=batch_nodes, fanout=2)
    first, second, other = (T.train_network(name, data, options, seed) for seed in (5, 5, 6))
    assert first.history == second.history
    for split in ("validation", "test"):
        np.testing.assert_array_equal(first.scores[split], second.scores[split])
        assert not np.array_equal(first.scores[split], other.scores[split])
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)


def test_training_leaves_threads_and_determinism_as_they_were(data):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    T.train_network("sage", data, replace(OPTIONS, epochs=1), seed=0)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
