"""Networks: they compute what PyTorch Geometric's convolutions compute, of any part of a graph."""

from itertools import product

import pytest
import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, GCNConv, RGCNConv, SAGEConv, TransformerConv

from hfkg_assets.classification.convolutions import (
    RGCN,
    GATv2,
    LinearConvolution,
    Transformer,
)
from hfkg_assets.classification.learner_names import BASELINES, LEARNERS
from hfkg_assets.classification.networks import Network, build_network
from hfkg_assets.classification.sparse_products import Hop, degrees, hop_into
from hfkg_assets.classification.training_data import Stage

DOCUMENTS, CONTEXT, FEATURES, TASKS, RELATIONS, KINDS = 40, 25, 12, 7, 9, 5
GRAPH_LEARNERS = [name for name in LEARNERS if name not in BASELINES]


def random_edges(
    nodes: int, count: int, relations: int, seed: int, first: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges both ways with self-loops, duplicates, a hub, and nodes without an edge."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(nodes - 5, (count,), generator=generator)
    target = torch.randint(nodes - 5, (count,), generator=generator)
    target[: count // 4] = 3
    source[-6:-3] = target[-6:-3]
    source[-3:], target[-3:] = source[-6:-3], target[-6:-3]
    edge_type = torch.randint(first, relations, (count,), generator=generator)
    one_way = torch.stack([source, target])
    return torch.cat([one_way, one_way.flip(0)], 1), torch.cat([edge_type, edge_type + RELATIONS])


def random_stage(seed: int = 0, documents: int = DOCUMENTS, context: int = CONTEXT) -> Stage:
    """Document edges of the first five relations, and others over all nodes."""
    between, between_type = random_edges(documents, 80, 5, seed)
    around, around_type = random_edges(documents + context, 90, RELATIONS, seed + 1, first=5)
    generator = torch.Generator().manual_seed(seed)
    return Stage(
        edge_index=torch.cat([between, around], 1),
        edge_type=torch.cat([between_type, around_type]),
        visible=torch.rand(documents, generator=generator) < 0.9,
        known=torch.ones(documents, dtype=torch.bool),
    )


def node_kinds(documents: int = DOCUMENTS, context: int = CONTEXT) -> torch.Tensor:
    return torch.cat([torch.arange(documents) % 2, 2 + torch.arange(context) % 3])


def network(name: str, **options: object) -> Network:
    torch.manual_seed(0)
    settings = {"hidden": 16, "dropout": 0.5} | options
    return build_network(
        name, features=FEATURES, tasks=TASKS, relations=RELATIONS, node_kinds=KINDS, **settings
    )


def features(documents: int = DOCUMENTS) -> torch.Tensor:
    return torch.randn(documents, FEATURES, generator=torch.Generator().manual_seed(9))


def hints(documents: int = DOCUMENTS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return (torch.rand(documents, TASKS + 1, generator=generator) < 0.3).float()


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("words", [False, True])
def test_every_network_gives_logits_of_all_documents_and_learns_by_all_weights(name, hinted, words):
    model = network(name, hints=hinted, words=words)
    inputs = model.inputs(features(), random_stage(), node_kinds())
    logits = model(inputs, hints() if hinted else None)
    assert logits.shape == (DOCUMENTS, TASKS)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", LEARNERS)
def test_wanted_documents_get_the_logits_that_they_get_among_all(name):
    model = network(name, hints=True, words=True).eval()
    wanted = torch.rand(DOCUMENTS, generator=torch.Generator().manual_seed(1)) < 0.3
    all_inputs = model.inputs(features(), random_stage(), node_kinds())
    some_inputs = model.inputs(features(), random_stage(), node_kinds(), wanted)
    torch.testing.assert_close(model(some_inputs, hints()), model(all_inputs, hints())[wanted])


@pytest.mark.parametrize("name", LEARNERS)
def test_the_word_score_of_a_task_is_added_to_its_logit_alike_for_all_tasks(name):
    with_words, without = network(name, words=True).eval(), network(name).eval()
    without.load_state_dict(with_words.state_dict(), strict=False)
    x, stage = features(), random_stage()
    logits = [model(model.inputs(x, stage, node_kinds())) for model in (with_words, without)]
    scores = x[:, -TASKS:] * stage.visible[:, None]
    torch.testing.assert_close(logits[0] - logits[1], scores)


def share_of_known(edges: torch.Tensor, target: int, told: torch.Tensor) -> torch.Tensor | None:
    """Of the known neighbours that a document has by some edges, the share with each task."""
    known = [told[s, :-1] for s, t in edges.T.tolist() if t == target and told[s, -1]]
    return torch.stack(known).mean(0) if known else None


@pytest.mark.parametrize("name", GRAPH_LEARNERS)
def test_the_labels_of_known_neighbours_speak_for_their_tasks_relation_by_relation(name):
    model = network(name, hints=True).eval()
    with torch.no_grad():
        model.evidence.votes.normal_()
    stage = random_stage()
    told = hints() * (torch.rand(DOCUMENTS, 1, generator=torch.Generator().manual_seed(2)) < 0.5)
    told[:, -1] = (told.sum(1) > 0).float()
    inputs = model.inputs(features(), stage, node_kinds())
    found = model.evidence(inputs, told)

    edge_index, edge_type = model._usable(stage)
    weights = model.evidence.STEP * model.evidence.votes
    expected = torch.zeros(DOCUMENTS, TASKS)
    for kind, document in product(range(len(weights)), range(DOCUMENTS)):
        own = edge_index[:, (edge_type == kind) & (edge_index[0] < DOCUMENTS)]
        share = share_of_known(own, document, told)
        if share is not None:
            expected[document] += weights[kind, 0] * share - weights[kind, 1]
    assert expected.any()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_text_without_any_edge_is_predicted(name):
    model = network(name, hints=True).eval()
    stage = Stage(
        torch.empty(2, 0, dtype=torch.long),
        torch.empty(0, dtype=torch.long),
        torch.ones(1, dtype=torch.bool),
        torch.zeros(1, dtype=torch.bool),
    )
    inputs = model.inputs(features(1), stage, torch.zeros(1, dtype=torch.long))
    logits = model(inputs, torch.zeros(1, TASKS + 1))
    assert logits.shape == (1, TASKS)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_hidden_text_is_read_as_the_mean_text(name):
    model = network(name).eval()
    stage, x = random_stage(), features()
    changed = torch.where(stage.visible[:, None], x, x + 5)
    assert not stage.visible.all()
    torch.testing.assert_close(
        model(model.inputs(changed, stage, node_kinds())),
        model(model.inputs(x, stage, node_kinds())),
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_equal_seeds_give_equal_weights_logits_and_gradients(name):
    def run() -> list[torch.Tensor]:
        model = network(name, hints=True)
        inputs = model.inputs(features(), random_stage(), node_kinds())
        logits = model(inputs, hints())
        logits.square().sum().backward()
        return [logits, *(p.grad for p in model.parameters())]

    for left, right in zip(run(), run(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("name", GRAPH_LEARNERS)
def test_hints_of_neighbours_change_what_is_predicted(name):
    model = network(name, hints=True).eval()
    inputs = model.inputs(features(), random_stage(), node_kinds())
    own = hints()
    others = own.clone()
    others[3] = 1 - others[3]
    changed = (model(inputs, own) - model(inputs, others)).abs().amax(1) > 1e-6
    assert changed[:3].any() or changed[4:].any()


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_see_neither_edges_nor_hints(name):
    model = network(name, hints=True).eval()
    assert not model.hints
    one = model.inputs(features(), random_stage(0), node_kinds())
    other = model.inputs(
        features(),
        Stage(
            random_stage(5).edge_index,
            random_stage(5).edge_type,
            random_stage(0).visible,
            random_stage(0).known,
        ),
        node_kinds(),
    )
    assert torch.equal(model(one), model(other))


@pytest.mark.parametrize("name", [n for n in GRAPH_LEARNERS if n != "rgcn"])
def test_document_networks_see_no_context(name):
    model = network(name).eval()
    stage = random_stage()
    between = stage.edge_type % RELATIONS < 5
    bare = Stage(stage.edge_index[:, between], stage.edge_type[between], stage.visible, stage.known)
    assert torch.equal(
        model(model.inputs(features(), stage, node_kinds())),
        model(model.inputs(features(), bare, node_kinds(context=0))),
    )


def test_the_relational_network_sees_context():
    model = network("rgcn").eval()
    stage = random_stage()
    between = stage.edge_type % RELATIONS < 5
    bare = Stage(stage.edge_index[:, between], stage.edge_type[between], stage.visible, stage.known)
    with_context = model(model.inputs(features(), stage, node_kinds()))
    without = model(model.inputs(features(), bare, node_kinds()))
    assert not torch.allclose(with_context, without)


def test_an_unknown_network_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown network 'gin'; known: logistic_regression"):
        network("gin")


@pytest.mark.parametrize("name", ["gat", "transformer"])
def test_a_width_that_heads_cannot_share_is_refused(name):
    with pytest.raises(ValueError, match="20 hidden units cannot be shared among 8 heads"):
        network(name, hidden=20)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("layers", [1, 3])
def test_networks_of_any_depth_reach_as_far_as_they_have_layers(name, layers):
    chain = torch.stack([torch.arange(1, 6), torch.arange(5)])  # 5 → 4 → 3 → 2 → 1 → 0
    stage = Stage(
        chain, torch.zeros(5, dtype=torch.long), torch.ones(6, dtype=torch.bool), torch.ones(6)
    )
    model = network(name, layers=layers).eval()
    x = features(6).requires_grad_()
    logits = model(model.inputs(x, stage, torch.zeros(6, dtype=torch.long)))
    (gradient,) = torch.autograd.grad(logits[0].sum(), x)
    reached = (gradient.abs().sum(1) > 0).sum()
    assert reached == (1 if name in BASELINES else layers + 1)


# --- the same results as PyTorch Geometric ------------------------------------------------------


Edges = tuple[torch.Tensor, torch.Tensor]
NODES, INPUTS = 60, 12


def whole(edges: Edges, nodes: int = NODES) -> Hop:
    edge_index, edge_type = edges
    return hop_into(torch.arange(nodes), edge_index, edge_type, degrees(edge_index, nodes))[0]


def assert_same(
    ours: nn.Module,
    theirs: nn.Module,
    pairs: dict[str, nn.Parameter],
    edges: Edges,
    *,
    transposed: tuple[str, ...] = (),
    residual: nn.Linear | None = None,
    **extra: torch.Tensor,
) -> None:
    """Both give the same rows, and the same gradients of the features and of all weights.

    Args:
        pairs: names of their parameters → our parameters.
        transposed: names of those that we hold transposed.
        residual: a linear map of the row itself that theirs has not.
    """
    named = dict(theirs.named_parameters())
    assert named.keys() == pairs.keys()

    def as_theirs(name: str, value: torch.Tensor) -> torch.Tensor:
        return (value.t() if name in transposed else value).reshape(named[name].shape)

    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(as_theirs(name, pairs[name]))
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(NODES, INPUTS, generator=generator)
    left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
    got = ours((left[:, :5], left[:, 5:]), ours.prepare(whole(edges)))
    expected = theirs(right, edges[0], **extra)
    if residual is not None:
        expected = expected + right @ residual.weight.detach().t()
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(got.shape, generator=generator)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(left.grad, right.grad, atol=1e-5, rtol=1e-5)
    for name, parameter in named.items():
        # Without edges a weight may have no part in the result: its gradient is zero.
        own = pairs[name].grad
        gradient = as_theirs(name, torch.zeros_like(pairs[name]) if own is None else own)
        torch.testing.assert_close(gradient, parameter.grad, atol=1e-4, rtol=1e-5, msg=name)


def one_hot(edge_type: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(edge_type, 2 * RELATIONS).float()


RANDOM = [random_edges(NODES, 150, RELATIONS, seed) for seed in (1, 2)]
NONE = (torch.empty(2, 0, dtype=torch.long), torch.empty(0, dtype=torch.long))
GRAPHS = pytest.mark.parametrize("edges", [*RANDOM, NONE], ids=["one", "two", "none"])
OUTPUTS = pytest.mark.parametrize("outputs", [4, 32], ids=["narrower", "wider"])


def test_the_random_graphs_hold_what_is_hard():
    (edge_index, _), _ = RANDOM
    assert (edge_index[0] == edge_index[1]).any()
    assert edge_index.unique(dim=1).shape[1] < edge_index.shape[1]
    assert (torch.bincount(edge_index[1], minlength=NODES) == 0).any()


@GRAPHS
@OUTPUTS
@pytest.mark.parametrize("skip", [False, True])
def test_the_symmetric_average_is_gcnconv(edges, outputs, skip):
    torch.manual_seed(0)
    ours = LinearConvolution(INPUTS, outputs, symmetric=True, skip=skip)
    pairs = {"lin.weight": ours.neighbours.weight, "bias": ours.neighbours.bias}
    assert_same(ours, GCNConv(INPUTS, outputs), pairs, edges, residual=ours.itself)


@GRAPHS
@OUTPUTS
def test_the_mean_is_sageconv(edges, outputs):
    torch.manual_seed(0)
    ours = LinearConvolution(INPUTS, outputs, symmetric=False, skip=True)
    pairs = {
        "lin_l.weight": ours.neighbours.weight,
        "lin_l.bias": ours.neighbours.bias,
        "lin_r.weight": ours.itself.weight,
    }
    assert_same(ours, SAGEConv(INPUTS, outputs), pairs, edges)


@GRAPHS
@OUTPUTS
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("columns", [INPUTS, 9])
def test_columns_fixed_once_give_what_they_give_each_time(edges, outputs, skip, symmetric, columns):
    torch.manual_seed(0)
    ours = LinearConvolution(INPUTS, outputs, symmetric=symmetric, skip=skip)
    x = torch.randn(NODES, INPUTS)
    average = ours.prepare(whole(edges))
    moving = (x[:, columns:],) if columns < INPUTS else ()
    got = ours(moving, average, fixed=ours.fix(x[:, :columns], average))
    torch.testing.assert_close(got, ours((x,), average))


@GRAPHS
@OUTPUTS
@pytest.mark.parametrize("heads", [1, 4])
def test_gatv2_is_gatv2conv(edges, outputs, heads):
    torch.manual_seed(0)
    ours = GATv2(INPUTS, outputs, heads=heads, skip=True, dropout=0.0)
    theirs = GATv2Conv(INPUTS, outputs // heads, heads=heads, residual=True)
    pairs = {
        "lin_l.weight": ours.source.weight,
        "lin_l.bias": ours.source.bias,
        "lin_r.weight": ours.target.weight,
        "lin_r.bias": ours.target.bias,
        "att": ours.attention,
        "res.weight": ours.itself.weight,
        "bias": ours.bias,
    }
    assert_same(ours, theirs, pairs, edges)


@GRAPHS
@OUTPUTS
@pytest.mark.parametrize("heads", [1, 4])
def test_the_transformer_is_transformerconv_with_edge_types(edges, outputs, heads):
    torch.manual_seed(0)
    types = 2 * RELATIONS
    ours = Transformer(INPUTS, outputs, edge_types=types, heads=heads, dropout=0.0)
    theirs = TransformerConv(INPUTS, outputs // heads, heads=heads, edge_dim=types)
    pairs = {
        "lin_key.weight": ours.key.weight,
        "lin_key.bias": ours.key.bias,
        "lin_query.weight": ours.query.weight,
        "lin_query.bias": ours.query.bias,
        "lin_value.weight": ours.value.weight,
        "lin_value.bias": ours.value.bias,
        "lin_edge.weight": ours.edge,
        "lin_skip.weight": ours.itself.weight,
        "lin_skip.bias": ours.itself.bias,
    }
    extra = {"edge_attr": one_hot(edges[1])}
    assert_same(ours, theirs, pairs, edges, transposed=("lin_edge.weight",), **extra)


@GRAPHS
@OUTPUTS
@pytest.mark.parametrize("bases", [None, 3])
def test_the_relational_convolution_is_rgcnconv_with_the_mean(edges, outputs, bases):
    torch.manual_seed(0)
    types = 2 * RELATIONS
    ours = RGCN(INPUTS, outputs, edge_types=types, bases=bases)
    theirs = RGCNConv(INPUTS, outputs, num_relations=types, num_bases=bases, aggr="mean")
    pairs = {"weight": ours.weight, "root": ours.itself.weight, "bias": ours.itself.bias}
    if bases:
        pairs["comp"] = ours.mixture
    assert_same(ours, theirs, pairs, edges, transposed=("root",), edge_type=edges[1])
