"""What a learner may see: nothing from after the cut-off, no label that is to be predicted."""

import numpy as np
import polars as pl
import pytest
import torch

from hfkg_assets.classification.graph import (
    CONTEXT_RELATIONS,
    DOCUMENT_KINDS,
    EDGE_RELATIONS,
    NODE_KINDS,
)
from hfkg_assets.classification.splits import PROTOCOLS, SPLITS, period_end
from hfkg_assets.classification.training_data import (
    SCORE_DEVIATION,
    prepare,
    scaled,
    scaled_alike,
)
from tests.classification.random_graphs import DAY, TASKS, VARIANTS, RandomGraph, random_graph

SEEDS = range(6)
KNOWN = {"train": ("train",), "validation": ("train",), "test": ("train", "validation")}


def data_of(drawn: RandomGraph, protocol="time", variant="clean", **changed):
    tables = {
        name: getattr(drawn, name) for name in ("nodes", "edges", "features", "labels", "split")
    }
    return prepare(
        *{**tables, **changed}.values(), tasks=TASKS, protocol=protocol, variant=variant, day=DAY
    )


def edges_at(data, stage):
    """Source, target and type of the forward half, and of the backward half turned round."""
    found = data.stages[stage]
    rows = torch.vstack([found.edge_index, found.edge_type]).T.tolist()
    half = len(rows) // 2
    backward = [(target, source, kind - data.relations) for source, target, kind in rows[half:]]
    return [tuple(row) for row in rows[:half]], backward


def end_of(kind, stage):
    """Until when a node's kind may have known of something."""
    kinds = (kind,) if kind in DOCUMENT_KINDS else DOCUMENT_KINDS
    return max(period_end(DAY, one, stage) for one in kinds)


# --- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_no_edge_from_after_the_cut_off_is_used_in_time_and_every_earlier_one_is(seed):
    drawn = random_graph(seed)
    data = data_of(drawn)
    kinds = drawn.nodes["kind"].to_list()
    for stage in SPLITS:
        expected = [
            (source, target, EDGE_RELATIONS.index(relation))
            for source, target, relation, valid_from in drawn.edges.iter_rows()
            if valid_from is not None
            and valid_from < min(end_of(kinds[source], stage), end_of(kinds[target], stage))
        ]
        forward, _ = edges_at(data, stage)
        assert forward == expected
        assert len(expected) > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_no_edge_of_time_leads_to_a_document_made_after_the_stages_period(seed):
    drawn = random_graph(seed)
    data = data_of(drawn)
    created = drawn.documents["created_at"].to_list()
    kinds = drawn.documents["kind"].to_list()
    for stage in SPLITS:
        ends = set(data.stages[stage].edge_index.flatten().tolist())
        for node in ends & set(range(len(created))):
            assert created[node] < period_end(DAY, kinds[node], stage)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_training_no_edge_of_time_leads_to_a_node_of_validation_or_test(seed):
    data = data_of(random_graph(seed))
    for stage, later in (("train", ("validation", "test")), ("validation", ("test",))):
        ends = data.stages[stage].edge_index.unique()
        ends = ends[ends < len(data.x)]
        for split in later:
            assert not data.masks[split][ends].any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_edge_is_there_in_both_directions_with_a_type_for_each(protocol):
    data = data_of(random_graph(0), protocol)
    for stage in SPLITS:
        forward, backward = edges_at(data, stage)
        assert forward == backward
    assert data.relations == len(EDGE_RELATIONS)
    assert {kind for _, _, kind in forward} <= set(range(data.relations))


@pytest.mark.parametrize("protocol", ["random", "family"])
def test_other_protocols_use_every_edge_also_one_without_a_date(protocol):
    drawn = random_graph(0)
    data = data_of(drawn, protocol)
    assert drawn.edges["valid_from"].null_count() > 0
    for stage in SPLITS:
        forward, _ = edges_at(data, stage)
        assert [edge[:2] for edge in forward] == drawn.edges.select("source", "target").rows()
        assert data.stages[stage].visible.all()


def test_context_nodes_come_after_the_documents_and_have_their_kind():
    drawn = random_graph(0)
    data = data_of(drawn)
    kinds = [NODE_KINDS[number] for number in data.node_kind.tolist()]
    assert kinds == drawn.nodes["kind"].to_list()
    assert set(kinds[: len(data.x)]) == set(DOCUMENT_KINDS)
    reached = {kind for _, _, kind in edges_at(data, "train")[0]}
    assert reached & {EDGE_RELATIONS.index(name) for name in CONTEXT_RELATIONS}


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_no_text_from_after_the_cut_off_is_visible_in_time(seed):
    drawn = random_graph(seed)
    data = data_of(drawn)
    for stage in ("train", "validation"):
        expected = [
            changed is not None and changed < period_end(DAY, kind, stage)
            for kind, changed in drawn.documents.select("kind", "text_at").iter_rows()
        ]
        assert data.stages[stage].visible.tolist() == expected
    assert data.stages["test"].visible.all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_texts_of_a_split_are_visible_when_it_is_predicted(seed):
    data = data_of(random_graph(seed))
    for split in SPLITS:
        assert data.stages[split].visible[data.masks[split]].all()


@pytest.mark.parametrize("seed", SEEDS)
def test_texts_that_are_not_seen_in_training_do_not_change_how_features_are_scaled(seed):
    drawn = random_graph(seed)
    data = data_of(drawn)
    unseen = ~(data.masks["train"] & data.stages["train"].visible).numpy()
    own = drawn.features.filter(variant="clean")
    values = own["features"].to_numpy().copy()
    values[unseen] = values[unseen] * 100 + 7
    features = own.with_columns(pl.Series("features", values, dtype=own.schema["features"]))
    changed = data_of(drawn, features=features)
    assert torch.equal(changed.mean, data.mean)
    assert torch.equal(changed.scale, data.scale)
    assert torch.equal(changed.x[data.masks["train"]], data.x[data.masks["train"]])


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_label_of_a_judged_split_or_of_a_later_one_is_known(seed, protocol):
    data = data_of(random_graph(seed), protocol)
    for stage in SPLITS:
        known = data.stages[stage].known
        expected = torch.stack([data.masks[name] for name in KNOWN[stage]]).any(dim=0)
        assert torch.equal(known, expected)
        if stage != "train":
            assert not (known & data.masks[stage]).any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_labels_are_those_of_the_table_and_of_no_node_outside_the_splits(protocol):
    drawn = random_graph(2)
    data = data_of(drawn, protocol)
    labels = {tuple(row[:2]): row[2] for row in drawn.labels.iter_rows()}
    inside = torch.stack(list(data.masks.values())).any(dim=0)
    for key, row, used in zip(
        drawn.documents.select("kind", "id").iter_rows(), data.y, inside, strict=True
    ):
        found = row.nonzero().flatten().tolist()
        assert found == (labels[key] if used else [])
    assert data.y.shape == (len(data.x), TASKS)


def test_a_node_is_in_one_split_at_most():
    for protocol in PROTOCOLS:
        masks = data_of(random_graph(1), protocol).masks
        assert torch.stack(list(masks.values())).sum(dim=0).max() == 1


# --- features ------------------------------------------------------------------------------------


def test_features_are_those_of_the_variant_asked_for():
    drawn = random_graph(3)
    for variant in VARIANTS:
        data = data_of(drawn, "random", variant)
        own = drawn.features.filter(variant=variant)["features"].to_numpy()
        filled = own.any(axis=1)
        np.testing.assert_allclose(
            (data.x * data.scale + data.mean).numpy()[filled], own[filled], atol=1e-5
        )
        assert not data.x.numpy()[~filled].any()


def test_training_rows_have_zero_mean_and_unit_variance_and_others_are_only_moved_along():
    x = np.array([[1, 5], [3, 5], [101, 6], [0, 0]], dtype=np.float32)
    found, mean, scale = scaled(x.copy(), np.array([True, True, False, True]))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0], [99, 1], [0, 0]])
    assert mean.tolist() == [2, 5]
    assert scale.tolist() == [1, 1]


def test_training_nodes_without_any_text_leave_features_as_they_are():
    x = np.array([[0, 0], [3, 5]], dtype=np.float32)
    found, mean, scale = scaled(x.copy(), np.array([True, False]))
    np.testing.assert_array_equal(found, x)
    assert (mean.tolist(), scale.tolist()) == ([0, 0], [1, 1])


# --- what is refused -----------------------------------------------------------------------------


def test_an_unknown_protocol_is_refused_with_the_known_ones_named():
    with pytest.raises(ValueError, match=r"'space'.*time, random, family"):
        data_of(random_graph(0), "space")


def test_a_variant_that_has_no_features_is_refused_with_those_that_have_named():
    with pytest.raises(ValueError, match=r"'raw'.*as_published.*clean"):
        data_of(random_graph(0), variant="raw")


def test_features_of_other_documents_than_the_nodes_are_refused():
    drawn = random_graph(0)
    with pytest.raises(ValueError, match="materialize them again together"):
        data_of(drawn, features=drawn.features.filter(pl.col("id") != drawn.documents["id"][0]))
    with pytest.raises(ValueError, match="materialize them again together"):
        data_of(drawn, features=drawn.features.reverse())


def test_a_protocol_without_training_nodes_is_refused_and_named():
    drawn = random_graph(0)
    split = drawn.split.filter((pl.col("protocol") != "time") | (pl.col("split") != "train"))
    with pytest.raises(ValueError, match="the time protocol has no training node"):
        data_of(drawn, split=split)
    assert data_of(drawn, "random", split=split).masks["train"].any()


@pytest.mark.parametrize("kind", DOCUMENT_KINDS)
def test_a_snapshot_with_one_kind_of_document_only_is_prepared(kind):
    drawn = random_graph(0)
    features = drawn.features.filter(kind=kind)
    nodes = drawn.nodes.filter(pl.col("kind").is_in([kind, *NODE_KINDS[2:]]))
    nodes = nodes.with_columns(node=pl.int_range(pl.len(), dtype=pl.Int64))
    data = data_of(drawn, "random", nodes=nodes, edges=drawn.edges.head(0), features=features)
    assert len(data.x) == nodes.filter(kind=kind).height
    assert data.stages["train"].edge_index.shape == (2, 0)


# --- word scores ---------------------------------------------------------------------------------


def word_scores(drawn: RandomGraph, protocols=PROTOCOLS):
    """Scores as a classifier gives them: none where there is no text."""
    rng = np.random.default_rng(0)
    keys = ["variant", "kind", "id"]
    filled = drawn.features["features"].to_numpy().any(axis=1)[:, None]
    parts = []
    for protocol in protocols:
        scores = (rng.normal(-1, 0.2, (len(filled), TASKS)) * filled).astype(np.float32)
        parts.append(
            drawn.features.select(
                *keys,
                pl.lit(protocol).alias("protocol"),
                pl.Series("scores", scores).arr.to_list(),
            )
        )
    return pl.concat(parts)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_word_scores_of_the_variant_and_protocol_follow_the_features_and_are_scaled(protocol):
    drawn = random_graph(3)
    table = word_scores(drawn)
    without = data_of(drawn, protocol)
    data = prepare(
        drawn.nodes, drawn.edges, drawn.features, drawn.labels, drawn.split,
        tasks=TASKS, protocol=protocol, variant="clean", day=DAY, term_scores=table,
    )  # fmt: skip
    width = without.x.shape[1]
    assert data.x.shape[1] == len(data.mean) == len(data.scale) == width + TASKS
    assert torch.equal(data.x[:, :width], without.x)
    own = table.filter(variant="clean", protocol=protocol)["scores"].list.to_array(TASKS).to_numpy()
    filled = without.x.numpy().any(axis=1)
    read = (data.x * data.scale + data.mean).numpy()[filled, width:]
    np.testing.assert_allclose(read, own[filled], atol=1e-5)
    assert (~filled).sum() > 0
    assert not data.x.numpy()[~filled].any()
    train = (data.masks["train"] & data.stages["train"].visible).numpy() & filled
    told = data.x.numpy()[train, width:]
    np.testing.assert_allclose(told.mean(axis=0), 0, atol=1e-4)
    assert told.var(axis=0).mean() == pytest.approx(SCORE_DEVIATION**2, rel=1e-4)


def test_scores_of_a_task_that_hardly_differ_in_training_are_not_blown_up_elsewhere():
    x = np.array([[1, -1], [-1, -1.001], [1, -1], [-1, -1], [0, 0], [-1, 0.5]], dtype=np.float32)
    seen = np.array([True, True, True, True, True, False])
    found, mean, scale = scaled_alike(x, seen)
    assert np.abs(found[:4, 1]).max() < 0.01
    assert found[5, 1] < 5
    assert scale[0] == scale[1]
    assert not found[4].any()
    expected = np.where(x.any(axis=1)[:, None], x, mean)
    np.testing.assert_allclose(found * scale + mean, expected, atol=1e-6)


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.full((3, 2), -1.0)])
def test_scores_that_tell_nothing_in_training_are_only_shifted(x):
    found, _, scale = scaled_alike(x.astype(np.float32), np.array([True, True, False]))
    assert not found.any()
    assert scale.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda t: t.filter(pl.col("protocol") != "time"), "nothing of clean texts in the time"),
        (lambda t: t.filter(pl.col("variant") != "clean"), "nothing of clean texts in the time"),
        (lambda t: t.reverse(), "different documents"),
        (lambda t: t.with_columns(pl.col("scores").list.head(2)), "other tasks"),
    ],
)
def test_word_scores_of_something_else_are_refused(spoil, why):
    drawn = random_graph(0)
    with pytest.raises(ValueError, match=why):
        prepare(
            drawn.nodes, drawn.edges, drawn.features, drawn.labels, drawn.split,
            tasks=TASKS, protocol="time", variant="clean", day=DAY,
            term_scores=spoil(word_scores(drawn)),
        )  # fmt: skip
