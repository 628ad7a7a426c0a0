"""Baselines: what each one scores, and that none but the leak's ceiling sees what it is to find."""

import dagster as dg
import numpy as np
import polars as pl
import pytest

from hfkg_assets.classification import baselines as B
from hfkg_assets.classification.graph import MESSAGE_GRAPH
from hfkg_assets.classification.models import PREDICTIONS
from hfkg_assets.classification.splits import PROTOCOLS, period_end
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.classification.random_graphs import DAY, TASKS, VARIANTS, RandomGraph, random_graph

SEEDS = range(4)
NAMES = ["fill-mask", "text-generation", "text-ranking", "translation"]
TASK_INDEX = pl.DataFrame(
    {"task_id": NAMES, "index": range(TASKS), "label": NAMES},
    schema_overrides={"index": pl.Int32},
)
VOTES = {"most_frequent", "neighbour_vote", "owner_vote"}
MODELS = {*VOTES, "bm25_argmax", "front_matter_regex"}


def cards_of(drawn: RandomGraph) -> pl.Series:
    """READMEs whose front matter names each labelled document's first task."""
    labels = drawn.documents.join(
        drawn.labels, on=["kind", "id"], how="left", maintain_order="left"
    )
    texts = [
        None if tasks is None else f"---\npipeline_tag: {NAMES[tasks[0]]}\n---\n"
        for tasks in labels["labels"].to_list()
    ]
    return pl.Series("as_published", texts, pl.String)


def bm25_of(drawn: RandomGraph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    size = (drawn.documents.height, TASKS)
    return {variant: rng.normal(size=size).astype(np.float32) for variant in VARIANTS}


def predictions(drawn: RandomGraph, **changed) -> pl.DataFrame:
    tables = {
        "nodes": drawn.nodes,
        "edges": drawn.edges,
        "cards": cards_of(drawn),
        "bm25": bm25_of(drawn),
        "labels": drawn.labels,
        "split": drawn.split,
    }
    return B.baseline_predictions(**{**tables, **changed}, task_index=TASK_INDEX, day=DAY)


# --- which rows ----------------------------------------------------------------------------------


def test_every_baseline_scores_the_validation_and_test_nodes_of_every_protocol_once():
    drawn = random_graph(0)
    table = predictions(drawn)
    assert table.schema == schema_of(PREDICTIONS)
    assert set(table["model"]) == MODELS
    judged = drawn.split.filter(pl.col("split") != "train").select(
        "protocol", "split", "kind", "id"
    )
    assert set(judged["protocol"]) == set(PROTOCOLS)
    for _, rows in table.group_by("model", "variant"):
        keys = rows.select("protocol", "split", "kind", "id")
        assert sorted(keys.rows()) == sorted(judged.rows())
    assert table["scores"].list.len().unique().to_list() == [TASKS]


def test_what_reads_text_is_scored_for_each_variant_and_what_reads_none_once():
    variants = predictions(random_graph(0)).group_by("model").agg(pl.col("variant").unique().sort())
    assert dict(variants.iter_rows()) == {
        **{model: ["none"] for model in VOTES},
        "bm25_argmax": sorted(VARIANTS),
        "front_matter_regex": ["as_published"],
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_all_scores_lie_between_zero_and_one(seed):
    scores = np.vstack(predictions(random_graph(seed))["scores"].to_numpy())
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert np.isfinite(scores).all()


def test_a_protocol_without_training_nodes_has_no_rows():
    drawn = random_graph(0)
    split = drawn.split.filter((pl.col("protocol") != "family") | (pl.col("split") != "train"))
    assert set(predictions(drawn, split=split)["protocol"]) == {"time", "random"}
    assert predictions(drawn, split=split.head(0)).schema == schema_of(PREDICTIONS)


# --- what they may not see -----------------------------------------------------------------------


def other_labels(drawn: RandomGraph, of_splits: set[str], protocol: str) -> pl.DataFrame:
    """The labels, with those of some splits' nodes (or of nodes in no split) replaced."""
    side = drawn.labels.join(
        drawn.split.filter(protocol=protocol), on=["kind", "id"], how="left", maintain_order="left"
    )["split"].fill_null("none")
    changed = pl.lit(side.is_in(list(of_splits)))
    shifted = pl.col("labels").list.eval((pl.element() + 1) % TASKS).list.sort()
    found = drawn.labels.with_columns(labels=pl.when(changed).then(shifted).otherwise("labels"))
    assert not found.equals(drawn.labels)
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", SEEDS)
def test_scores_do_not_depend_on_the_labels_of_the_nodes_judged_nor_on_later_ones(seed, protocol):
    drawn = random_graph(seed)
    before = predictions(drawn).filter(protocol=protocol)
    for judged, hidden in (
        ("validation", {"validation", "test", "none"}),
        ("test", {"test", "none"}),
    ):
        labels = other_labels(drawn, hidden, protocol)
        after = predictions(drawn, labels=labels).filter(protocol=protocol)
        rows = {"split": judged}
        assert after.filter(**rows).equals(before.filter(**rows))


def test_votes_on_test_nodes_use_the_labels_of_validation_nodes():
    drawn = random_graph(0)
    labels = other_labels(drawn, {"validation"}, "random")
    rows = {"protocol": "random", "split": "test", "model": "owner_vote"}
    after = predictions(drawn, labels=labels).filter(**rows)
    assert not after.equals(predictions(drawn).filter(**rows))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_vote_of_time_comes_over_an_edge_from_after_the_cut_off(seed):
    drawn = random_graph(seed)
    for stage in B.JUDGED:
        last = max(period_end(DAY, kind, stage) for kind in ("model", "dataset"))
        early = drawn.edges.filter(pl.col("valid_from") < last)
        assert early.height < drawn.edges.height
        rows = {"protocol": "time", "split": stage}
        assert (
            predictions(drawn, edges=early).filter(**rows).equals(predictions(drawn).filter(**rows))
        )


def test_scores_do_not_depend_on_cards_but_for_the_front_matters_own():
    drawn = random_graph(0)
    blank = predictions(
        drawn, cards=pl.repeat(None, drawn.documents.height, dtype=pl.String, eager=True)
    )
    leak = pl.col("model") == "front_matter_regex"
    assert blank.filter(~leak).equals(predictions(drawn).filter(~leak))
    assert not np.vstack(blank.filter(leak)["scores"].to_numpy()).any()


# --- each one's scores ---------------------------------------------------------------------------


def rows_of(table, protocol, split, model, variant="none"):
    found = table.filter(protocol=protocol, split=split, model=model, variant=variant)
    return {(row["kind"], row["id"]): row["scores"] for row in found.iter_rows(named=True)}


def voted(drawn: RandomGraph, stage: str) -> dict[tuple[str, str], tuple[int, list[float]]]:
    """The neighbour vote of the random protocol, where every edge is usable, by plain loops.

    Returns:
        Kind and id → the steps to the voters (3 where there is none), and the scores.
    """
    known = {"validation": ("train",), "test": ("train", "validation")}[stage]
    split = drawn.split.filter(protocol="random")
    side = {(kind, id): name for kind, id, _, name in split.iter_rows()}
    labels = {(kind, id): tasks for kind, id, tasks in drawn.labels.iter_rows()}
    keys = drawn.documents.select("kind", "id").rows()
    around = {key: [] for key in keys}
    for source, target in drawn.edges.select("source", "target").iter_rows():
        if max(source, target) < len(keys):
            around[keys[source]].append(keys[target])
            around[keys[target]].append(keys[source])
    train = [key for key in keys if side.get(key) == "train"]
    found = {}
    for key in (key for key in keys if side.get(key) == stage):
        second = [far for near in around[key] for far in around[near]]
        electorates = [[k for k in some if side.get(k) in known] for some in (around[key], second)]
        steps, voters = next(
            (pair for pair in enumerate([*electorates, train], start=1) if pair[1]), (0, [])
        )
        scores = [sum(task in labels[v] for v in voters) / len(voters) for task in range(TASKS)]
        found[key] = steps, scores
    return found


def test_a_neighbour_vote_is_the_mean_of_known_labels_over_neighbours_then_theirs_then_all():
    seen = set()
    for seed in SEEDS:
        drawn = random_graph(seed)
        table = predictions(drawn)
        for stage in B.JUDGED:
            expected = voted(drawn, stage)
            found = rows_of(table, "random", stage, "neighbour_vote")
            assert set(found) == set(expected)
            for key, (steps, scores) in expected.items():
                assert found[key] == pytest.approx(scores, rel=1e-5)
                seen.add(steps)
    assert seen == {1, 2, 3}


def little(*edges):
    """Models `o/a` to `p/e`: three to train, one to validate, one to test, and a bare id."""
    ids = ["bare", "o/a", "o/b", "o/c", "o/d", "p/e"]
    return {
        "nodes": pl.DataFrame(
            {
                "node": range(6),
                "kind": ["model"] * 6,
                "id": ids,
                "created_at": None,
                "text_at": None,
            }
        ),
        "labels": pl.DataFrame(
            {"kind": ["model"] * 6, "id": ids, "labels": [[3], [0], [0, 1], [1], [2], [2]]},
            schema_overrides={"labels": pl.List(pl.Int32)},
        ),
        "split": pl.DataFrame(
            {
                "kind": ["model"] * 6,
                "id": ids,
                "protocol": ["random"] * 6,
                "split": ["test", "train", "train", "train", "test", "validation"],
            }
        ),
        "edges": pl.DataFrame(
            edges,
            schema=schema_of(MESSAGE_GRAPH),
            orient="row",
        ),
        "cards": pl.Series([None] * 6, dtype=pl.String),
        "bm25": {},
        "task_index": TASK_INDEX,
        "day": DAY,
    }


def scores_of(table, model):
    return {row["id"]: row["scores"] for row in table.filter(model=model).iter_rows(named=True)}


def test_an_owners_vote_is_the_mean_of_the_namespaces_known_labels_and_else_the_prior():
    found = scores_of(B.baseline_predictions(**little()), "owner_vote")
    third = 1 / 3
    assert found["o/d"] == pytest.approx([2 * third, 2 * third, 0, 0])
    assert found["p/e"] == found["bare"] == pytest.approx([2 * third, 2 * third, 0, 0])
    tables = little()
    split = tables["split"].with_columns(
        split=pl.when(pl.col("id") == "p/e")
        .then(pl.lit("train"))
        .when(pl.col("id") == "o/a")
        .then(pl.lit("validation"))
        .otherwise("split")
    )
    found = scores_of(B.baseline_predictions(**{**tables, "split": split}), "owner_vote")
    assert found["o/a"] == pytest.approx([0.5, 1, 0, 0])
    assert found["o/d"] == pytest.approx([2 * third, 2 * third, 0, 0])
    assert found["bare"] == pytest.approx([third, 2 * third, third, 0])


def test_two_edges_to_one_neighbour_count_twice():
    tables = little(
        (1, 4, "model_finetune_model", None),
        (4, 1, "model_merge_model", None),
        (3, 4, "model_finetune_model", None),
    )
    found = scores_of(B.baseline_predictions(**tables), "neighbour_vote")
    assert found["o/d"] == pytest.approx([2 / 3, 1 / 3, 0, 0])


def test_most_frequent_scores_the_most_frequent_training_label_and_no_other():
    labels = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0]])
    assert B.most_frequent(labels).tolist() == [0, 1, 0]


def test_bm25_predicts_the_best_matching_name_alone_and_ranks_surer_texts_higher():
    found = B.argmax_scores(np.array([[4, 0, 0], [3, 1, 0], [2, 2, 2], [0, 0, 0], [-1, -2, -3]]))
    assert (found > 0.5).tolist() == [
        [True, False, False], [True, False, False], [True, False, False], [False] * 3, [False] * 3,
    ]  # fmt: skip
    assert found[0, 0] > found[1, 0] > found[2, 0]
    assert not found[3:].any()


@pytest.mark.parametrize("seed", SEEDS)
def test_bm25_predicts_its_greatest_score_wherever_one_is_positive(seed):
    scores = np.random.default_rng(seed).normal(size=(50, 7))
    found = B.argmax_scores(scores)
    some = scores.max(axis=1) > 0
    assert ((found > 0.5).sum(axis=1) == some).all()
    assert (found.argmax(axis=1) == scores.argmax(axis=1))[some].all()


def test_the_front_matters_own_tasks_are_the_ceiling_of_the_leak():
    drawn = random_graph(0)
    found = rows_of(predictions(drawn), "random", "test", "front_matter_regex", "as_published")
    labels = {(kind, id): tasks for kind, id, tasks in drawn.labels.iter_rows()}
    for key, scores in found.items():
        assert np.flatnonzero(scores).tolist() == labels[key][:1]


@pytest.mark.parametrize(
    ("card", "tasks"),
    [
        ("---\npipeline_tag: text-generation\n---\ntext", ["text-generation"]),
        ("\ufeff---\r\npipeline_tag: 'fill-mask'\r\n---\r\n", ["fill-mask"]),
        (
            "---\ntask_categories:\n- translation\n- fill-mask\nlicense: mit\n---\n",
            ["translation", "fill-mask"],
        ),
        ("---\ntask_categories:\n  - translation\n---\n", ["translation"]),
        ("---\ntask_categories: [translation, 'fill-mask']\n---\n", ["translation", "fill-mask"]),
        ("pipeline_tag: text-generation", []),
        ("# Title\n---\npipeline_tag: fill-mask\n---\n", []),
        ("---\nlicense: mit\n---\npipeline_tag: fill-mask", []),
        (None, []),
    ],
)
def test_the_front_matters_tasks_are_read_from_raw_cards(card, tasks):
    assert B.front_matter_tasks(pl.Series([card], dtype=pl.String)).to_list() == [tasks]


# --- the asset -----------------------------------------------------------------------------------


def materialize(drawn: RandomGraph, root, **changed):
    warehouse = Warehouse(root=str(root))
    keys = drawn.documents.select("kind", "id")
    scores = [
        keys.select(
            pl.lit(variant).alias("variant"),
            "kind",
            "id",
            pl.Series("bm25", values, dtype=pl.Array(pl.Float32, TASKS)),
        )
        for variant, values in bm25_of(drawn).items()
    ]
    stored = {
        "classification/node": drawn.nodes,
        "classification/graph": drawn.edges,
        "classification/labels": drawn.labels,
        "classification/split": drawn.split,
        "classification/task_index": TASK_INDEX,
        "feature/document": keys.with_columns(cards_of(drawn)),
        "feature/bm25": pl.concat(scores),
        **changed,
    }
    for key, frame in stored.items():
        warehouse.write(key, str(DAY), frame)
    others = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in stored
    ]
    result = dg.materialize(
        [B.baselines, *others],
        selection=[B.baselines],
        partition_key=str(DAY),
        resources={"warehouse": warehouse},
    )
    (event,) = result.asset_materializations_for_node("classification__baselines")
    metadata = {name: value.value for name, value in event.metadata.items()}
    return warehouse.scan("classification/baselines", DAY).collect(), metadata


def test_the_asset_predicts_from_a_stored_snapshot(tmp_path):
    drawn = random_graph(0)
    table, metadata = materialize(drawn, tmp_path)
    assert table.equals(predictions(drawn))
    assert metadata["hfkg/without_training"] == []


def test_the_asset_names_the_protocols_it_could_not_predict(tmp_path):
    drawn = random_graph(0)
    split = drawn.split.filter((pl.col("protocol") != "time") | (pl.col("split") != "train"))
    table, metadata = materialize(drawn, tmp_path, **{"classification/split": split})
    assert set(table["protocol"]) == {"random", "family"}
    assert metadata["hfkg/without_training"] == ["time"]


def test_tables_of_other_documents_are_refused(tmp_path):
    drawn = random_graph(0)
    other = drawn.documents.select("kind", "id").with_columns(cards_of(drawn)).head(5)
    with pytest.raises(ValueError, match=r"feature/document .*materialize them again together"):
        materialize(drawn, tmp_path, **{"feature/document": other})
