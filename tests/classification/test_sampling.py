"""Neighbour sampling: exact where everything is drawn, uniform and bounded where not."""

import pytest
import torch

from hfkg_assets.classification import training as T
from hfkg_assets.classification.learner_names import BASELINES, LEARNERS
from hfkg_assets.classification.networks import build_network
from hfkg_assets.classification.sampling import ALL, NeighbourSampler, draw
from tests.classification.learnable_graphs import FEATURES, RELATIONS, TASKS, learnable_graph

GRAPH_LEARNERS = [name for name in LEARNERS if name not in BASELINES]


@pytest.fixture(scope="module")
def data():
    return learnable_graph(180, 40)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("label_reuse", [True, False])
def test_logits_of_batches_with_all_edges_equal_those_of_the_whole_graph(name, label_reuse, data):
    torch.manual_seed(0)
    network = build_network(
        name, features=FEATURES, tasks=TASKS, relations=RELATIONS, node_kinds=len(T.NODE_KINDS),
        hidden=16, dropout=0.5, layers=2, hints=label_reuse, words=label_reuse,
    )  # fmt: skip
    rows = data.masks["test"].nonzero().squeeze(1)
    whole = T.logits_of(network, T.FullBatch(network, data), data, "test", rows)
    sampled = T.Sampled(network, data, T.TrainingOptions(batch_nodes=7, fanout=1))
    batches = T.logits_of(network, sampled, data, "test", rows)
    torch.testing.assert_close(batches, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GRAPH_LEARNERS)
def test_a_learner_learns_from_samples(name, data):
    options = T.TrainingOptions(
        learning_rate=0.01,
        hidden=16,
        epochs=12,
        patience=12,
        batch_nodes=32,
        fanout=2,
        label_reuse=False,
    )
    trained = T.train_network(name, data, options, seed=0)
    truth = data.y[data.masks["test"]].argmax(1).numpy()
    assert (trained.scores["test"].argmax(1) == truth).mean() > 0.85


@pytest.mark.parametrize("seed", range(10))
def test_a_sample_holds_at_most_fanout_edges_into_each_node_and_only_real_ones(seed, data):
    generator = torch.Generator().manual_seed(seed)
    stage = data.stages["train"]
    sampler = NeighbourSampler(data, stage)
    seeds = torch.randperm(len(data.x), generator=generator)[:20]
    part = sampler.sample(seeds, [3, 2], generator)
    inside = part.nodes[part.stage.edge_index]
    real = list(zip(*stage.edge_index.tolist(), stage.edge_type.tolist(), strict=True))
    drawn = list(zip(*inside.tolist(), part.stage.edge_type.tolist(), strict=True))
    assert all(drawn.count(edge) <= real.count(edge) for edge in drawn)

    degree = torch.bincount(stage.edge_index[1], minlength=len(data.node_kind))
    taken = torch.bincount(inside[1], minlength=len(data.node_kind))
    assert torch.equal(taken[seeds], degree[seeds].clamp(max=3))
    assert (taken <= 3).all()
    assert torch.equal(part.rows[part.seeds], seeds)


@pytest.mark.parametrize("seed", range(5))
def test_with_all_edges_a_sample_is_what_reaches_the_seeds_in_so_many_steps(seed, data):
    generator = torch.Generator().manual_seed(seed)
    stage = data.stages["train"]
    seeds = torch.randperm(len(data.x), generator=generator)[:3]
    part = NeighbourSampler(data, stage).sample(seeds, [ALL, ALL])
    source, target = stage.edge_index
    near = set(seeds.tolist())
    inner = near | {s for s, t in zip(source.tolist(), target.tolist(), strict=True) if t in near}
    expected = [
        edge
        for edge in zip(*stage.edge_index.tolist(), stage.edge_type.tolist(), strict=True)
        if edge[1] in inner
    ]
    inside = part.nodes[part.stage.edge_index]
    drawn = zip(*inside.tolist(), part.stage.edge_type.tolist(), strict=True)
    assert sorted(drawn) == sorted(expected)
    reached = sorted({*inner, *(edge[0] for edge in expected)})
    assert part.nodes.tolist() == reached
    assert part.rows.tolist() == [node for node in reached if node < len(data.x)]
    assert torch.equal(part.node_kind, data.node_kind[part.nodes])
    assert torch.equal(part.stage.known, stage.known[part.rows])


def test_seeds_without_an_edge_and_no_steps_at_all_give_the_seeds_alone(data):
    part = NeighbourSampler(data, data.stages["train"]).sample(torch.tensor([4, 2]), [])
    assert part.rows.tolist() == [2, 4]
    assert part.seeds.tolist() == [1, 0]
    assert part.stage.edge_index.shape == (2, 0)


def test_every_set_of_neighbours_is_drawn_equally_often():
    """Chi-squared over the ten pairs of five: below 27.9 but once in a thousand times."""
    rows = 20_000
    drawn = draw(torch.full((rows,), 5), 2, torch.Generator().manual_seed(0)).sort(1).values
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = torch.bincount(drawn[:, 0] * 5 + drawn[:, 1])
    counts = counts[counts > 0]
    assert len(counts) == 10
    assert ((counts - rows / 10) ** 2 / (rows / 10)).sum() < 27.9


def test_what_is_drawn_of_a_node_does_not_cost_what_its_degree_is():
    sizes = torch.tensor([3, 30_000, 10**12])
    drawn = draw(sizes, 2, torch.Generator().manual_seed(1))
    assert drawn.shape == (3, 2)
    assert (drawn < sizes[:, None]).all()
    assert (drawn >= 0).all()


def test_batches_are_drawn_where_all_documents_at_once_would_need_too_much_memory(data):
    network = object.__new__(T.Network)
    torch.nn.Module.__init__(network)
    network.relations = 5
    need = T.full_batch_gib(data, T.TrainingOptions())
    for memory, kind in ((need * 1.01, T.FullBatch), (need * 0.99, T.Sampled)):
        options = T.TrainingOptions(memory_gib=memory)
        assert isinstance(T.batches_of(network, data, options), kind)
    options = T.TrainingOptions(batch_nodes=10, memory_gib=need * 2)
    assert isinstance(T.batches_of(network, data, options), T.Sampled)
