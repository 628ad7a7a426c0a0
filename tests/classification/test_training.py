"""Training: the best epoch's weights are kept, no future edge is used, no test row is seen."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
import torch

from hfkg_assets.classification import models as M
from hfkg_assets.classification import training as T
from hfkg_assets.classification.graph import MESSAGE_GRAPH, MESSAGE_RELATIONS, message_edges
from hfkg_assets.classification.networks import build_network
from hfkg_assets.vocabulary import RELATIONS
from hfkg_resources.table_schema import schema_of

TASKS, FEATURES, NODES = 3, 8, 120


@pytest.fixture
def data():
    """A graph whose labels can be read off the features."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, FEATURES, generator=generator)
    y = (x[:, :TASKS] > 0).float()
    edges = torch.randint(0, NODES, (2, 200), generator=generator)
    messages = T.Messages(edges, torch.randint(0, 10, (200,), generator=generator))
    part = torch.arange(NODES) % 3
    names = ("train", "validation", "test")
    return T.GraphData(
        x,
        y,
        {name: part == i for i, name in enumerate(names)},
        dict.fromkeys(names, messages),
        10,
    )


OPTIONS = T.TrainingOptions(hidden=16, epochs=60, learning_rate=0.02)


@pytest.mark.parametrize("name", M.NETWORKS)
def test_a_network_learns_what_can_be_learnt(name, data):
    untrained = build_network(name, FEATURES, TASKS, 10, hidden=16, dropout=0.5).eval()
    with torch.no_grad():
        before = T.micro_f1(T.predict_logits(untrained, data, "train"), data.y)
    options = T.TrainingOptions(hidden=16, epochs=120, learning_rate=0.02, patience=60)
    trained = T.train_network(name, data, options, seed=0)
    assert trained.history.losses[-1] < 0.7 * trained.history.losses[0]
    assert max(trained.history.scores) > before
    assert trained.scores["test"].shape == (NODES // 3, TASKS)


def test_an_unknown_network_is_refused_with_the_known_ones_named():
    with pytest.raises(ValueError, match="gcn, gat, sage, transformer"):
        build_network("mlp", 1, 1, 1, hidden=8, dropout=0.0)


def test_a_network_whose_validation_score_peaks_early_ends_with_its_peak_weights(data):
    """The score is made to peak at the fourth epoch, while training changes the weights on."""
    network = build_network("sage", FEATURES, TASKS, 10, hidden=16, dropout=0.0)
    seen = []

    def peaks_at_the_fourth(logits, truth):
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return 1.0 if len(seen) == 4 else 0.1

    history = T.fit(network, data, OPTIONS, score=peaks_at_the_fourth)
    assert history.best_epoch == 3
    assert len(seen) == 4 + OPTIONS.patience
    for name, value in network.state_dict().items():
        assert torch.equal(value, seen[3][name])
        assert not torch.equal(value, seen[-1][name])


def test_the_stored_scores_are_those_of_the_restored_weights(data):
    trained = T.train_network("gcn", data, OPTIONS, seed=1)
    network = build_network("gcn", FEATURES, TASKS, 10, hidden=16, dropout=0.5).eval()
    network.load_state_dict(trained.state)
    with torch.no_grad():
        logits = T.predict_logits(network, data, "validation")[data.masks["validation"]]
    np.testing.assert_array_equal(torch.sigmoid(logits).numpy(), trained.scores["validation"])
    score = T.micro_f1(logits, data.y[data.masks["validation"]])
    assert score == trained.history.scores[trained.history.best_epoch]


def test_equal_seeds_give_equal_weights_and_other_seeds_others(data):
    first, second, other = (
        T.train_network("transformer", data, OPTIONS, seed=seed).state for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_weights_are_loadable_without_unpickling_code(data, tmp_path):
    trained = T.train_network("sage", data, OPTIONS, seed=0)
    M.save_weights(tmp_path / "weights.pt", {"time/seed 0": trained.state})
    loaded = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(loaded["time/seed 0"][n], v) for n, v in trained.state.items())
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_a_split_without_nodes_is_refused_and_named(data):
    data.masks["test"] = torch.zeros(NODES, dtype=torch.bool)
    with pytest.raises(ValueError, match="the test split has no node"):
        T.train_network("gcn", data, OPTIONS, seed=0)


def test_scaling_is_fitted_on_training_rows_only():
    x = np.array([[0.0], [2.0], [100.0]])
    scaled = T.standardize(x, np.array([True, True, False]))
    np.testing.assert_allclose(scaled[:, 0], [-1, 1, 99])


# --- edges ---------------------------------------------------------------------------------------

DAY = date(2024, 12, 15)


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DOCUMENTS = pl.LazyFrame(
    {
        "kind": ["model", "model", "model", "dataset"],
        "id": ["m/old", "m/validation", "m/test", "d/old"],
        "created_at": [
            moment("2023-01-01"),
            moment("2024-09-20"),
            moment("2024-11-01"),
            moment("2023-01-01"),
        ],
    },
    schema_overrides={"created_at": pl.Datetime("ms", "UTC")},
)


def verified(**pairs):
    return {
        name: pl.LazyFrame(
            pairs.get(name, []), schema={"subject_id": pl.String, "object_id": pl.String},
            orient="row",
        )
        for name in MESSAGE_RELATIONS
    }  # fmt: skip


def test_nodes_are_numbered_by_kind_and_id_and_an_edge_is_valid_once_both_ends_exist():
    edges = message_edges(
        DOCUMENTS,
        verified(
            model_finetune_model=[("m/old", "m/test")],
            model_trainedOrFineTunedOn_dataset=[("m/validation", "d/old")],
        ),
    ).collect()
    assert edges.schema == schema_of(MESSAGE_GRAPH)
    assert edges.rows() == [
        (1, 2, "model_finetune_model", moment("2024-11-01")),
        (3, 0, "model_trainedOrFineTunedOn_dataset", moment("2024-09-20")),
    ]


def test_no_relation_to_a_task_carries_messages():
    assert all(RELATIONS[name].object != "task" for name in MESSAGE_RELATIONS)


def test_no_edge_from_after_the_cut_off_is_used_in_the_time_split():
    edges = message_edges(
        DOCUMENTS,
        verified(
            model_finetune_model=[("m/old", "m/validation"), ("m/old", "m/test")],
            model_trainedOrFineTunedOn_dataset=[("m/old", "d/old"), ("m/validation", "d/old")],
        ),
    ).collect()
    kinds = DOCUMENTS.sort("kind", "id").collect()["kind"]

    def pairs(stage):
        used = M.usable_edges(edges, kinds, DAY, stage)
        return set(used.select("source", "target").iter_rows())

    old, test, validation, dataset = 1, 2, 3, 0
    assert pairs("train") == {(old, dataset)}
    assert pairs("validation") == {(old, dataset), (old, validation)}
    assert pairs("test") == {
        (old, dataset), (old, validation), (old, test), (validation, dataset),
    }  # fmt: skip


def test_features_in_another_order_than_node_numbers_are_refused():
    features = pl.DataFrame({"kind": ["model", "dataset"], "id": ["a", "b"]})
    with pytest.raises(ValueError, match="not sorted"):
        M.prepare(
            features,
            pl.DataFrame(),
            pl.DataFrame(),
            pl.DataFrame(),
            tasks=1,
            protocol="time",
            day=DAY,
        )
