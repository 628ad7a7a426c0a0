"""From stored predictions to run scores, label scores, the leaderboard and the comparison."""

import dagster as dg
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from hfkg_assets.classification.comparison import COMPARISON, compare, paired_bootstrap
from hfkg_assets.classification.leaderboard import (
    BEAT,
    COMPLETE,
    HEAD,
    LEADERBOARD,
    behind_best_baseline,
    costs_of,
    in_words,
    leaderboard_of,
    main_rows,
    stored_runs,
    unpredicted,
)
from hfkg_assets.classification.metrics import multilabel_metrics, tuned_thresholds
from hfkg_assets.classification.published import HUGGINGBENCH, RETRIEVER
from hfkg_assets.classification.scoring import (
    LABEL_SCORES,
    RUN_SCORES,
    average_over_seeds,
    judged_nodes,
    score_runs,
)
from hfkg_assets.text_table import markdown_table
from hfkg_resources.table_schema import schema_of
from tests.classification.judged_runs import (
    BOARD,
    DAY,
    GRAPH_LEARNERS,
    SEEDS,
    TASKS,
    JudgedRuns,
    materialize,
)

NO_COSTS = costs_of({})


class Scored(JudgedRuns):
    """All tables that follow from the predictions."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.judged = judged_nodes(self.split, self.labels, len(TASKS))
        self.score()

    def score(self):
        self.lazy = {name: table.lazy() for name, table in self.predictions.items()}
        self.run_scores = score_runs(self.lazy, self.judged, TASKS)
        self.board = leaderboard_of(self.run_scores, NO_COSTS)
        return self

    def compare(self):
        def scan(name):
            return self.lazy[name.removeprefix("classification/")]

        return compare(scan, self.run_scores, self.board, self.judged)

    def scores(self, model, variant, protocol, split, seed):
        """Truth and scores, straight from the tables."""
        rows = self.predictions[model if model in self.predictions else "baselines"].filter(
            model=model, variant=variant, protocol=protocol, split=split, seed=seed
        )
        truth = np.stack([self.truth[id] for id in rows["id"]])
        return truth, np.stack(rows["scores"].to_list())


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return Scored(tmp_path_factory.mktemp("store"))


def own_row(board, **wanted):
    return board.filter(source="hfkg").row(
        by_predicate=pl.all_horizontal(pl.col(name) == value for name, value in wanted.items()),
        named=True,
    )


def test_a_run_is_scored_at_the_thresholds_of_its_own_validation_nodes(scored):
    rows = scored.run_scores.filter(
        model="sage", variant="clean", protocol="time", split="test", seed=3
    )
    truth, scores = scored.scores("sage", "clean", "time", "validation", 3)
    np.testing.assert_array_equal(rows["threshold"], tuned_thresholds(truth, scores))
    truth, scores = scored.scores("sage", "clean", "time", "test", 3)
    predicted = scores > rows["threshold"].to_numpy()
    assert rows["task_id"].to_list() == list(TASKS)
    assert rows["hits"].to_list() == (predicted & (truth > 0)).sum(axis=0).tolist()
    assert rows["predicted"].to_list() == predicted.sum(axis=0).tolist()
    assert rows["predicted_at_half"].to_list() == (scores > 0.5).sum(axis=0).tolist()
    assert rows["support"].to_list() == truth.sum(axis=0).tolist()


def test_test_labels_have_no_say_in_the_thresholds(scored, tmp_path):
    other = Scored(tmp_path)
    test_ids = other.split.filter(split="test")["id"].implode()
    other.labels = other.labels.with_columns(
        labels=pl.when(pl.col("id").is_in(test_ids)).then([2]).otherwise("labels")
    )
    other.judged = judged_nodes(other.split, other.labels, len(TASKS))
    other.score()
    assert other.run_scores["threshold"].equals(scored.run_scores["threshold"])
    assert not other.run_scores["hits"].equals(scored.run_scores["hits"])


def test_the_order_of_prediction_rows_does_not_matter(scored, tmp_path):
    shuffled = Scored(tmp_path)
    shuffled.predictions = {
        name: table.sample(fraction=1, shuffle=True, seed=1)
        for name, table in shuffled.predictions.items()
    }
    assert shuffled.score().run_scores.equals(scored.run_scores)


def test_a_node_without_a_prediction_counts_as_one_for_which_nothing_is_predicted(tmp_path):
    store = Scored(tmp_path)
    before = own_row(store.board, model="gcn", variant="clean", protocol="time", split="test")
    dropped = store.split.filter(split="test", protocol="time")["id"][:40]
    store.predictions["gcn"] = store.predictions["gcn"].filter(
        ~pl.col("id").is_in(dropped.implode())
    )
    after = own_row(
        store.score().board, model="gcn", variant="clean", protocol="time", split="test"
    )
    assert after["nodes"] == before["nodes"] == 80
    assert after["labels"] == before["labels"]
    assert after["micro_f1"] < 0.8 * before["micro_f1"]


def test_two_predictions_for_one_node_are_no_run_to_score(tmp_path):
    store = Scored(tmp_path)
    store.predictions["gcn"] = pl.concat([store.predictions["gcn"]] * 2)
    with pytest.raises(pl.exceptions.ComputeError, match="1:1"):
        store.score()


def test_the_leaderboard_holds_mean_and_deviation_over_seeds(scored):
    row = own_row(scored.board, model="transformer", variant="clean", protocol="time", split="test")
    runs = [
        (
            *scored.scores("transformer", "clean", "time", "test", seed),
            tuned_thresholds(*scored.scores("transformer", "clean", "time", "validation", seed)),
        )
        for seed in SEEDS
    ]
    for suffix, found in (
        ("", [multilabel_metrics(truth, scores, fitted) for truth, scores, fitted in runs]),
        ("_at_half", [multilabel_metrics(truth, scores) for truth, scores, _ in runs]),
    ):
        for metric in ("micro_f1", "macro_f1"):
            values = [run[metric] for run in found]
            assert row[metric + suffix] == pytest.approx(np.mean(values))
            assert row[f"{metric}{suffix}_sd"] == pytest.approx(np.std(values, ddof=1))
        assert row["pr_auc"] == pytest.approx(np.mean([run["pr_auc"] for run in found]))
    assert (row["seeds"], row["nodes"]) == (5, 80)
    assert row["labels"] == int(runs[0][0].sum())
    assert row["micro_f1"] > row["micro_f1_at_half"] + 0.1  # these scores stay below a half


def test_head_and_tail_are_told_apart_by_training_nodes_alone():
    """Twelve labels; the two least frequent in training are the tail, however many are tested."""
    tasks = HEAD + 2
    rows = pl.DataFrame(
        {
            "task_id": [f"task {number}" for number in range(tasks)],
            "train_support": [5] + [20] * (tasks - 2) + [3],
            "support": [90] + [10] * (tasks - 2) + [0],
            "hits": [90] + [5] * (tasks - 2) + [0],
            "predicted": [90] + [10] * (tasks - 2) + [7],
        }
    ).with_columns(
        model=pl.lit("gcn"), variant=pl.lit("clean"), protocol=pl.lit("time"),
        split=pl.lit("test"), seed=0, role=pl.lit("graph learner"),
        asset=pl.lit("classification/gcn"), nodes=200, threshold=0.5,
        predicted_at_half=0, hits_at_half=0, average_precision=0.5,
    )  # fmt: skip
    row = own_row(leaderboard_of(rows, NO_COSTS), model="gcn")
    assert row["head_f1"] == pytest.approx(0.5)
    assert row["tail_f1"] == pytest.approx(1.0)  # of the two only one occurs
    assert row["macro_f1"] == pytest.approx((HEAD * 0.5 + 1.0) / (HEAD + 1))
    assert (row["head_f1_at_half"], row["tail_f1_at_half"]) == (0, 0)


def test_tables_are_as_declared(scored):
    assert scored.run_scores.schema == schema_of(RUN_SCORES)
    assert scored.board.schema == schema_of(LEADERBOARD)
    assert average_over_seeds(scored.run_scores).schema == schema_of(LABEL_SCORES)
    assert scored.compare().schema == schema_of(COMPARISON)
    assert score_runs({}, scored.judged, TASKS).schema == schema_of(RUN_SCORES)


def test_label_scores_are_those_of_scikit_learn_averaged_over_seeds(scored):
    table = average_over_seeds(scored.run_scores)
    row = table.row(
        by_predicate=(pl.col("model") == "gat") & (pl.col("variant") == "clean")
        & (pl.col("protocol") == "family") & (pl.col("split") == "test")
        & (pl.col("task_id") == TASKS[1]),
        named=True,
    )  # fmt: skip
    figures = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    found = {name: [] for name in figures}
    for seed in SEEDS:
        fitted = tuned_thresholds(*scored.scores("gat", "clean", "family", "validation", seed))
        truth, scores = scored.scores("gat", "clean", "family", "test", seed)
        for name, of_library in figures.items():
            found[name].append(of_library(truth[:, 1], scores[:, 1] > fitted[1]))
    for name, values in found.items():
        assert row[name] == pytest.approx(np.mean(values))
    assert row["f1_sd"] == pytest.approx(np.std(found["f1"], ddof=1))
    for split, column in (("train", "train_support"), ("test", "test_support")):
        ids = scored.split.filter(protocol="family", split=split)["id"]
        assert row[column] == sum(int(scored.truth[id][1]) for id in ids)


def test_rows_that_read_the_label_are_marked_and_stand_after_those_that_do_not(scored):
    tested = scored.board.filter(source="hfkg", split="test", protocol="time")
    marked = tested.filter("has_label_in_text")
    assert set(marked.filter(pl.col("variant") != "as_published")["model"]) == set()
    assert "front_matter_regex" in set(marked["model"])
    assert set(marked["comparable"]) == {"no: reads the label"}
    assert set(tested.filter(~pl.col("has_label_in_text"))["comparable"]) == {"yes"}
    assert tested["has_label_in_text"].is_sorted()
    assert tested.filter(~pl.col("has_label_in_text"))["micro_f1"].is_sorted(descending=True)


def test_published_figures_stand_beside_and_say_why_they_do_not_compare(scored):
    published = scored.board.filter(role="published")
    assert published["comparable"].str.starts_with("no: crawl of").all()
    assert published["has_label_in_text"].all()
    best = {
        source: published.filter(source=source)["micro_f1_at_half"].max()
        for source in (HUGGINGBENCH, RETRIEVER)
    }
    assert best == {HUGGINGBENCH: 0.8851, RETRIEVER: 0.7174}
    assert published["micro_f1"].null_count() == len(published)  # nobody fitted thresholds


def test_training_costs_are_the_mean_time_and_the_greatest_memory_of_a_run(tmp_path):
    store = JudgedRuns(tmp_path).store()
    costs = costs_of(stored_runs(store.warehouse, DAY))
    assert costs.height == 7 * 2 * 2
    assert set(costs["seconds"]) == {4.0}
    assert set(costs["peak_mib"]) == {104.0}
    board = leaderboard_of(Scored(tmp_path).run_scores, costs)
    assert own_row(board, model="mlp", variant="clean", protocol="time", split="test")[
        "seconds"
    ] == pytest.approx(4.0)
    assert own_row(board, model="most_frequent", protocol="time", split="test")["seconds"] is None


def test_the_main_rows_fit_a_screen_and_hold_one_text_the_ceiling_and_the_best_published(scored):
    rows = main_rows(scored.board)
    assert rows["model"].to_list().count("rgcn") == 2  # two protocols, one text
    assert "front_matter_regex" in rows["model"].to_list()
    assert rows.filter(pl.col("comparable").str.contains("arXiv")).height == 1
    assert rows.filter(model="rgcn")["micro-F1"].str.contains(r"^0\.\d{4} ± 0\.\d{4}$").all()
    assert rows.width <= 10
    assert markdown_table(in_words(scored.board)).count("\n") == scored.board.height + 1


# -- comparison -------------------------------------------------------------------------------


def test_every_graph_learner_is_compared_with_the_best_baseline_of_its_own_text(scored):
    table = scored.compare()
    assert table.height == len(GRAPH_LEARNERS) * 2 * 2
    clean = table.filter(variant="clean", protocol="time")
    assert set(clean["learner"]) == set(GRAPH_LEARNERS)
    tested = scored.board.filter(split="test", protocol="time", role="baseline", variant="clean")
    assert set(clean["baseline"]) == {tested.sort("micro_f1")["model"][-1]}
    assert "front_matter_regex" not in set(table["baseline"])
    row = own_row(scored.board, model="sage", variant="clean", protocol="time", split="test")
    assert clean.filter(learner="sage")["learner_micro_f1"].item() == pytest.approx(row["micro_f1"])
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()


def test_a_learner_whose_scores_were_smoothed_over_the_graph_is_a_graph_learner_too(tmp_path):
    store = Scored(tmp_path, protocols=("time",))
    smoothed = store.predictions["mlp"].with_columns(model=pl.lit("mlp+smooth"))
    store.predictions["mlp"] = pl.concat([store.predictions["mlp"], smoothed])
    store.score()
    roles = dict(store.board.filter(source="hfkg").select("model", "role").iter_rows())
    assert (roles["mlp"], roles["mlp+smooth"]) == ("baseline", "graph learner")
    row = store.compare().row(
        by_predicate=(pl.col("learner") == "mlp+smooth") & (pl.col("variant") == "clean"),
        named=True,
    )
    assert (row["baseline"], row["difference"], row["low"], row["high"]) == ("mlp", 0, 0, 0)


def test_the_learner_is_chosen_by_validation_nodes_and_never_by_test_nodes(scored, tmp_path):
    chosen = scored.compare().filter("is_chosen", variant="clean", protocol="time")
    assert chosen["learner"].to_list() == ["rgcn"]
    store = Scored(tmp_path)
    best = store.predictions["rgcn"]
    nothing = pl.lit([0.0] * len(TASKS), dtype=pl.List(pl.Float32))
    store.predictions["rgcn"] = best.with_columns(
        scores=pl.when(pl.col("split") == "test").then(nothing).otherwise("scores")
    )
    spoilt = store.score().compare().filter("is_chosen", variant="clean", protocol="time")
    assert spoilt["learner"].to_list() == ["rgcn"]
    assert spoilt["high"].item() < 0


def test_the_interval_is_that_of_drawing_nodes_one_by_one(scored):
    truth, scores = scored.scores("rgcn", "clean", "time", "test", 0)
    _, others = scored.scores("mlp", "clean", "time", "test", 0)
    learner, baseline = scores > 0.35, others > 0.35
    random, differences = np.random.default_rng(1), []
    for _ in range(3_000):
        drawn = random.integers(len(truth), size=len(truth))
        of_learner, of_baseline = (
            2 * predicted[drawn][truth[drawn] > 0].sum()
            / (predicted[drawn].sum() + truth[drawn].sum())
            for predicted in (learner, baseline)
        )  # fmt: skip
        differences.append(of_learner - of_baseline)
    found = paired_bootstrap(truth, [learner], [baseline], resamples=3_000)
    assert found == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=0.01)


def test_a_model_does_not_differ_from_itself_and_the_seed_decides_the_draw(scored):
    truth, scores = scored.scores("rgcn", "clean", "time", "test", 0)
    _, others = scored.scores("gcn", "clean", "time", "test", 0)
    learner, other = scores > 0.35, others > 0.35
    assert paired_bootstrap(truth, [learner] * 2, [learner]) == (0, 0)
    first, again = (paired_bootstrap(truth, [learner], [other]) for _ in range(2))
    assert first == again != paired_bootstrap(truth, [learner], [other], seed=1)


# -- checks -----------------------------------------------------------------------------------


def test_learners_that_are_ahead_of_every_baseline_are_not_behind(scored):
    assert behind_best_baseline(scored.board).is_empty()


def test_a_learner_behind_a_baseline_is_named_with_it_and_the_leak_counts_for_nothing(tmp_path):
    skill = dict.fromkeys(GRAPH_LEARNERS, 0.9) | {
        "gat": 0.1,
        "mlp": 0.6,
        "logistic_regression": 0.5,
    }
    board = Scored(tmp_path, skill=skill).board
    behind = behind_best_baseline(board)
    assert set(behind["model"]) == {"gat"}
    assert set(behind["baseline"]) == {"mlp"}
    assert set(behind["variant"]) == {"clean"}


def test_complete_predictions_have_no_fault(scored):
    for table in scored.lazy.values():
        assert unpredicted(table, scored.split.lazy()).is_empty()


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda rows: rows.with_row_index().filter(pl.col("index") != 7).drop("index"), "missing"),
        (lambda rows: pl.concat([rows, rows.slice(3, 1)]), "repeated"),
        (
            lambda rows: pl.concat([rows, rows.slice(3, 1).with_columns(id=pl.lit("owner/new"))]),
            "unasked",
        ),
    ],
    ids=["one is missing", "one stands twice", "one was not asked for"],
)
def test_a_run_that_does_not_have_one_row_for_every_judged_node_is_named(scored, spoil, fault):
    faults = unpredicted(spoil(scored.predictions["gat"]).lazy(), scored.split.lazy())
    assert faults.height == 1
    assert faults.row(0, named=True)["model"] == "gat"
    assert {name: faults[name].item() for name in ("missing", "unasked", "repeated")} == {
        name: int(name == fault) for name in ("missing", "unasked", "repeated")
    }


def test_a_run_without_any_test_row_lacks_all_of_them(scored):
    rows = scored.predictions["gat"].filter(pl.col("split") == "validation")
    faults = unpredicted(rows.lazy(), scored.split.lazy())
    assert set(faults["split"]) == {"test"}
    assert set(faults["missing"]) == {80}


def test_the_checks_read_what_is_stored_and_each_can_fail(tmp_path):
    store = Scored(tmp_path, protocols=("time",)).store()
    found = {
        check.check_name: check for check in materialize(store, BOARD).get_asset_check_evaluations()
    }
    assert found.keys() == {BEAT, COMPLETE}
    assert all(check.passed for check in found.values())

    nothing = pl.lit([0.0] * len(TASKS), dtype=pl.List(pl.Float32))
    store.predictions["sage"] = store.predictions["sage"].with_columns(scores=nothing)
    store.predictions["gcn"] = store.predictions["gcn"].tail(-1)
    result = materialize(store.store(), BOARD)
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not found[BEAT].passed
    assert found[BEAT].severity == dg.AssetCheckSeverity.WARN
    assert "sage" in found[BEAT].metadata["hfkg/rows"].value
    assert not found[COMPLETE].passed
    assert found[COMPLETE].severity == dg.AssetCheckSeverity.ERROR
    assert "gcn" in found[COMPLETE].metadata["hfkg/rows"].value
    assert result.success
