"""Embeddings of the graph: PyG's scores for all candidates at once, training that stops in time."""

import numpy as np
import pytest
import torch

from hfkg_assets.tracing.graph_embeddings import (
    MODELS,
    Asked,
    EmbeddingOptions,
    empty_model,
    head_scores,
    replaced_heads,
    replaced_tails,
    train,
    validation_mrr,
)
from hfkg_assets.tracing.ranking import ranking_metrics, realistic_ranks

ENTITIES, RELATIONS = 30, 3


def model_of(name):
    torch.manual_seed(5)
    return empty_model(name, ENTITIES, RELATIONS, 8).eval()


def chain() -> np.ndarray:
    """Each of the heads 0 to 4 has five tails, by relation 0; each tail has one by relation 1."""
    tails = np.arange(5, 30)
    heads = (tails - 5) % 5
    return np.stack([heads, np.zeros(25, np.int64), tails])


NO_QUESTION = Asked(*(np.zeros(0, np.int64),) * 3, np.zeros((2, 0), np.int64))
QUICK = EmbeddingOptions(dimension=16, epochs=30)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_scores_of_all_candidates_are_those_of_pyg_triple_by_triple(name, training):
    model = model_of(name)
    relation, other = torch.tensor([0, 2, 1]), torch.tensor([4, 9, 29])
    everyone = torch.arange(ENTITIES)
    for row, (r, o) in enumerate(zip(relation, other, strict=True)):
        r, o = r.expand(ENTITIES), o.expand(ENTITIES)
        with torch.set_grad_enabled(training):
            heads = replaced_heads(model, everyone, relation, other)[row]
            tails = replaced_tails(model, everyone, relation, other)[row]
        assert torch.allclose(heads, model(everyone, r, o), atol=2e-5)
        assert torch.allclose(tails, model(o, r, everyone), atol=2e-5)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_unfiltered_ranks_come_to_pygs_own_test(name):
    model = model_of(name)
    rng = np.random.default_rng(1)
    head, relation, tail = (torch.tensor(rng.integers(0, n, 20)) for n in (ENTITIES, 3, ENTITIES))
    _, mrr, hits = model.test(head, relation, tail, batch_size=64, k=5, log=False)
    scores = replaced_tails(model, torch.arange(ENTITIES), relation, head).numpy()
    figures = ranking_metrics(realistic_ranks(scores, tail.numpy()))
    assert figures["mrr"] == pytest.approx(mrr, abs=1e-6)
    assert figures["hits_at_5"] == pytest.approx(hits)


@pytest.mark.parametrize("name", MODELS)
def test_the_filtered_mrr_of_heads_is_that_of_counting_one_by_one(name):
    model = model_of(name)
    rng = np.random.default_rng(2)
    relation, tail, head = (rng.integers(0, n, 12) for n in (3, ENTITIES, ENTITIES))
    other = np.stack([rng.integers(0, 12, 30), rng.integers(0, ENTITIES, 30)])
    scores = head_scores(model, relation, tail)
    reciprocal = []
    for row in range(12):
        out = {int(h) for q, h in other.T if q == row} - {int(head[row])}
        left = [scores[row, h] for h in range(ENTITIES) if h not in out]
        reciprocal.append(1 / (1 + sum(s > scores[row, head[row]] for s in left)))
    asked = Asked(relation, tail, head, other)
    assert validation_mrr(model, asked) == pytest.approx(np.mean(reciprocal), abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("negatives", [1_024, 8])
def test_training_learns_its_triples(name, negatives):
    triples = chain()
    options = EmbeddingOptions(dimension=16, epochs=60, negatives=negatives, learning_rate=0.05)
    trained = train(name, triples, NO_QUESTION, ENTITIES, RELATIONS, options, seed=0)
    asked = Asked(triples[1], triples[2], triples[0], np.zeros((2, 0), np.int64))
    assert trained.losses[-1] < trained.losses[0]
    assert validation_mrr(trained.model, asked) > 0.9
    assert validation_mrr(model_of(name), asked) < 0.5


def test_training_stops_when_validation_gets_no_better_and_keeps_the_best_weights():
    triples = chain()
    asked = Asked(np.zeros(5, np.int64), np.arange(5, 10), np.arange(5), np.zeros((2, 0), np.int64))
    options = EmbeddingOptions(dimension=8, epochs=300, check_every=2, patience=3)
    trained = train("distmult", triples, asked, ENTITIES, RELATIONS, options, seed=1)
    assert len(trained.losses) < 300
    assert trained.best_epoch == (int(np.argmax(trained.scores)) + 1) * 2
    assert validation_mrr(trained.model, asked) == max(trained.scores)


def test_the_same_seed_trains_the_same_and_nobody_elses_draws_change():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    one, two, other = (
        train("transe", chain(), NO_QUESTION, ENTITIES, RELATIONS, QUICK, seed)
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.rand(3), expected)
    assert one.losses == two.losses
    assert one.losses != other.losses
