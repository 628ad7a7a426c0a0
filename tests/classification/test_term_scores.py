"""Word scores: what they tell, and that no row's own label, copy or later text is in them."""

import time
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.svm import LinearSVC

from hfkg_assets.classification.bundles import bundle_path, load_bundle
from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.models import TrainingConfig, train_all
from hfkg_assets.classification.splits import PROTOCOLS, SPLITS
from hfkg_assets.classification.stages import split_masks
from hfkg_assets.classification.term_classifier import (
    ABSENT,
    TERM_SCORES,
    TERMS,
    classifier_path,
    fit_terms,
    load_classifier,
    out_of_fold,
    read_corpus,
    save_classifier,
    stacked_scores,
)
from hfkg_assets.classification.term_scores import (
    TABLE_COLUMNS,
    TermConfig,
    fold_groups,
    protocol_of,
    score_table,
    scored,
    validation_figures,
    words_of,
)
from hfkg_resources.table_schema import schema_of
from tests.classification.random_graphs import DAY, TASKS, RandomGraph, random_graph
from tests.trained_store import DAY as STORED_DAY
from tests.trained_store import WORDS, text_of

NAMES = sorted(WORDS)
COMMON = [f"word{number}" for number in range(300)]


@cache
def told_texts(size=200, seed=0):
    """Texts with words of their task, and the tasks."""
    rng = np.random.default_rng(seed)
    task = rng.integers(len(NAMES), size=size)
    return pl.Series([text_of(NAMES[t], rng) for t in task]), np.eye(len(NAMES))[task]


@cache
def random_texts(size=200, seed=0):
    """Texts of common words, and labels that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    texts = pl.Series([" ".join(rng.choice(COMMON, 20, replace=False)) for _ in range(size)])
    return texts, (rng.random((size, 3)) < 0.4).astype(np.float32)


# --- words ---------------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learns_tf_idf_and_linear_svm():
    texts, y = told_texts()
    others, _ = told_texts(seed=1)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2))
    x = vectorizer.fit_transform(texts.to_list())
    classifier = fit_terms(texts, y)
    assert classifier.terms == vectorizer.get_feature_names_out().tolist()
    assert any(" " in term for term in classifier.terms)
    for task in range(len(NAMES)):
        svm = LinearSVC(random_state=0, tol=1e-3).fit(x, y[:, task])
        expected = svm.decision_function(vectorizer.transform(others.to_list()))
        np.testing.assert_allclose(classifier.scores(others)[:, task], expected, atol=1e-4)


def test_words_and_pairs_are_counted_within_each_text_and_however_they_are_written():
    corpus = read_corpus(pl.Series(["Fill mask fill MASK, a mask", "fill: mask", None, "mask"]))
    assert corpus.terms.to_list() == ["fill", "fill mask", "mask"]  # none across texts, no single a
    assert corpus.counts.toarray().tolist() == [[2, 2, 3], [1, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert corpus.filled.tolist() == [True, True, False, True]


def test_of_too_many_terms_those_in_the_most_texts_are_taken():
    texts = pl.Series(["all some few"] * 2 + ["all some"] * 2 + ["all"] * 2)
    y = np.array([[1.0], [0], [1], [0], [1], [0]])
    assert fit_terms(texts, y, most_terms=3).terms == ["all", "all some", "some"]


def test_a_text_without_any_word_has_zeros_and_one_of_unknown_words_what_is_likely_without_them():
    texts, y = told_texts()
    classifier = fit_terms(texts, y)
    found = classifier.scores(pl.Series(["", None, " \n", "qwertz"], dtype=pl.String))
    assert not found[:3].any()
    np.testing.assert_array_equal(found[3], classifier.bias)
    assert (found[3] < 0).all()
    with_blank = pl.Series([*texts, "", None])
    scores = out_of_fold(with_blank, np.vstack([y, y[:2]]))
    assert not scores[-2:].any()
    assert scores[:-2].any(axis=1).all()


def test_a_task_without_example_and_one_without_counterexample_have_a_constant_score():
    texts, y = told_texts()
    y = np.column_stack([y[:, 0], np.zeros(len(y)), np.ones(len(y))])
    for scores in (fit_terms(texts, y).scores(texts), out_of_fold(texts, y)):
        assert set(scores[:, 1]) == {ABSENT}
        assert set(scores[:, 2]) == {-ABSENT}
        assert len(set(scores[:, 0])) > 100


def test_where_no_two_texts_share_a_word_nothing_is_told():
    texts, y = pl.Series(["one", "two", "three"]), np.eye(3)
    classifier = fit_terms(texts, y)
    assert classifier.terms == []
    assert (classifier.scores(texts) == ABSENT).all()


# --- out of fold ---------------------------------------------------------------------------------


def test_random_labels_are_known_in_sample_and_not_at_all_out_of_fold():
    texts, y = random_texts()
    in_sample = fit_terms(texts, y).scores(texts)
    assert roc_auc_score(y.ravel(), in_sample.ravel()) > 0.99
    assert abs(roc_auc_score(y.ravel(), out_of_fold(texts, y).ravel()) - 0.5) < 0.08


def test_what_words_tell_is_told_out_of_fold():
    texts, y = told_texts()
    assert average_precision_score(y.ravel(), out_of_fold(texts, y).ravel()) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_a_row_and_of_its_group_change_its_own_score_by_nothing(seed):
    texts, y = random_texts(80, seed)
    groups = np.random.default_rng(seed).integers(25, size=80)
    before = out_of_fold(texts, y, groups, seed=seed)
    for group in range(5):
        own = groups == group
        turned = np.where(own[:, None], 1 - y, y)
        after = out_of_fold(texts, turned, groups, seed=seed)
        np.testing.assert_array_equal(after[own], before[own])
        assert not np.array_equal(after[~own], before[~own])  # others do learn from them


def test_a_copy_in_the_same_group_does_not_give_its_label_away():
    texts, y = random_texts()
    twice, labels = pl.Series([*texts, *texts]), np.vstack([y, y])
    groups = np.tile(np.arange(len(texts)), 2)
    apart = out_of_fold(twice, labels)
    together = out_of_fold(twice, labels, groups)
    assert roc_auc_score(labels.ravel(), apart.ravel()) > 0.9
    assert abs(roc_auc_score(labels.ravel(), together.ravel()) - 0.5) < 0.08


def test_rows_that_are_all_of_one_group_have_nobody_to_learn_from():
    texts, y = told_texts()
    assert (out_of_fold(texts, y, np.zeros(len(y), dtype=int)) == ABSENT).all()
    two = np.arange(len(y)) % 2  # fewer groups than folds
    assert average_precision_score(y.ravel(), out_of_fold(texts, y, two).ravel()) > 0.8


def test_equal_seeds_give_equal_scores_to_the_last_bit_and_other_seeds_others():
    texts, y = told_texts()
    first, second, other = (out_of_fold(texts, y, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert fit_terms(texts, y).digest == fit_terms(texts, y).digest


def test_long_fitting_tells_how_far_it_is_every_ten_seconds(monkeypatch):
    now = iter(range(0, 1_000, 4))  # each look at the clock is four seconds after the last
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    texts, y = told_texts()
    told: list[str] = []
    everyone = np.ones(len(y), dtype=bool)
    stacked_scores(read_corpus(texts), y, everyone, np.arange(len(y)), log=told.append)
    assert told == ["2 of 5 folds of 200 texts are scored"]


# --- what a protocol lets be learnt --------------------------------------------------------------


def drawn_texts(drawn: RandomGraph, seed: int = 0) -> pl.Series:
    rng = np.random.default_rng(seed)
    return pl.Series([" ".join(rng.choice(COMMON[:40], 8)) for _ in drawn.documents["id"]])


def drawn_labels(drawn: RandomGraph) -> np.ndarray:
    keys = ["kind", "id"]
    joined = drawn.documents.join(drawn.labels, on=keys, how="left", maintain_order="left")
    return multi_hot(joined["labels"], TASKS)


def drawn_protocol(drawn: RandomGraph, name: str, split: pl.DataFrame | None = None):
    used = drawn.split if split is None else split
    return protocol_of(name, drawn.documents, drawn.edges, drawn.texts, used, DAY)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("seed", range(3))
def test_texts_and_labels_that_are_not_of_training_reach_no_training_score_nor_the_classifier(
    seed, name
):
    drawn = random_graph(seed)
    protocol = drawn_protocol(drawn, name)
    texts, y = drawn_texts(drawn), drawn_labels(drawn)
    before = scored(read_corpus(texts), y, protocol, TermConfig())
    later = pl.Series(~protocol.train)
    others = pl.select(pl.when(later).then(drawn_texts(drawn, 1) + " later " * 3).otherwise(texts))
    turned = np.where(protocol.train[:, None], y, 1 - y)
    after = scored(read_corpus(others.to_series()), turned, protocol, TermConfig())
    assert after.classifier.digest == before.classifier.digest
    np.testing.assert_array_equal(after.scores[protocol.train], before.scores[protocol.train])
    assert not np.array_equal(after.scores[~protocol.train], before.scores[~protocol.train])


def test_in_time_a_training_row_whose_text_is_of_later_is_not_learnt_from():
    drawn = random_graph(0)
    keys = drawn.documents.select("kind", "id")
    split = keys.with_columns(protocol=pl.lit("time"), split=pl.lit("train"))
    protocol = drawn_protocol(drawn, "time", split)
    changed = drawn.documents["text_at"].to_numpy()
    assert 0 < protocol.train.sum() < len(protocol.train)
    assert not protocol.train[np.isnat(changed)].any()
    for kind in ("model", "dataset"):
        own = (drawn.documents["kind"] == kind).to_numpy()
        seen, unseen = changed[own & protocol.train], changed[own & ~protocol.train]
        assert seen.max() < unseen[~np.isnat(unseen)].min()


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_of_one_group_in_every_protocol_and_families_in_their_own(seed):
    drawn = random_graph(seed)
    groups = {
        name: fold_groups(drawn.documents, drawn.edges, drawn.texts, name) for name in PROTOCOLS
    }
    np.testing.assert_array_equal(groups["family"], drawn.families)
    np.testing.assert_array_equal(groups["random"], groups["time"])
    assert len(set(groups["random"])) > len(set(groups["family"]))
    keys = ["kind", "id"]
    number = drawn.documents.select(*keys, group=groups["random"])
    prose = drawn.texts.filter(pl.col("boilerplate").is_null())
    originals = prose.filter(pl.col("duplicate_of").is_null()).join(number, on=keys)
    copies = prose.join(number, on=keys).join(
        originals, left_on=["kind", "duplicate_of"], right_on=keys, suffix="_of_original"
    )
    assert copies.height > 2
    assert (copies["group"] == copies["group_of_original"]).all()


def test_rows_outside_training_are_scored_by_the_classifier_of_all_training_rows():
    texts, y = told_texts()
    train = np.arange(len(y)) < 120
    stacked = stacked_scores(read_corpus(texts), y, train, np.arange(len(y)))
    expected = fit_terms(texts.filter(pl.Series(train)), y[train])
    assert stacked.classifier.digest == expected.digest
    np.testing.assert_array_equal(stacked.scores[~train], expected.scores(texts)[~train])
    own = out_of_fold(texts.filter(pl.Series(train)), y[train])
    np.testing.assert_array_equal(stacked.scores[train], own)


# --- the file ------------------------------------------------------------------------------------


def test_a_stored_classifier_scores_as_the_fitted_one(tmp_path):
    texts, y = told_texts()
    classifier = fit_terms(texts, y)
    path = classifier_path(tmp_path, "clean", "random")
    save_classifier(path, classifier)
    loaded = load_classifier(path)
    assert loaded.digest == classifier.digest
    np.testing.assert_array_equal(loaded.scores(texts), classifier.scores(texts))
    moved = replace(loaded, bias=loaded.bias + 1)
    assert moved.digest != loaded.digest


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"materialize classification/term_scores again"):
        load_classifier(path)


# --- the table -----------------------------------------------------------------------------------


def test_the_table_holds_every_document_in_the_order_of_nodes_for_each_protocol(trained_store):
    table = trained_store.warehouse.scan(TERM_SCORES, STORED_DAY).collect()
    nodes = trained_store.warehouse.scan("classification/node", STORED_DAY).collect()
    assert table.schema == schema_of(TABLE_COLUMNS)
    for protocol in PROTOCOLS:
        assert (
            table.filter(protocol=protocol).select("kind", "id").equals(nodes.select("kind", "id"))
        )
    assert table.height == len(PROTOCOLS) * nodes.height


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_training_rows_of_the_table_differ_from_what_the_stored_classifier_says(
    trained_store, protocol
):
    warehouse = trained_store.warehouse
    table = warehouse.scan(TERM_SCORES, STORED_DAY).filter(protocol=protocol).collect()
    document = warehouse.scan("feature/document", STORED_DAY).collect()
    split = warehouse.scan("classification/split", STORED_DAY).collect()
    train = split_masks(document, split, protocol)["train"]
    directory = warehouse.directory(TERM_SCORES, STORED_DAY)
    classifier = load_classifier(classifier_path(directory, "clean", protocol))
    stored = table["scores"].list.to_array(len(NAMES)).to_numpy()
    read = document.select(words_of("clean")).to_series()
    said = classifier.scores(read)
    filled = (read.str.strip_chars() != "").to_numpy()
    np.testing.assert_array_equal(stored[~train], said[~train])
    assert (stored[train & filled] != said[train & filled]).any(axis=1).all()
    assert not stored[~filled].any()


def test_the_metadata_tell_what_words_alone_give(trained_store):
    (event,) = (
        e
        for e in trained_store.result.get_asset_materialization_events()
        if e.asset_key.path[-1] == "term_scores"
    )
    told = event.materialization.metadata["hfkg/words_alone"].value
    for protocol in PROTOCOLS:
        assert f"| clean | {protocol} |" in told


def test_validation_figures_are_the_best_micro_f1_and_the_average_precision():
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 3)) < 0.3).astype(np.float32)
    scores = (rng.normal(size=(40, 3)) + truth).astype(np.float32)
    best = max(f1_score(truth, scores >= t, average="micro") for t in scores.ravel())
    expected = best, average_precision_score(truth.ravel(), scores.ravel())
    assert validation_figures(truth, scores) == pytest.approx(expected)


# --- learners ------------------------------------------------------------------------------------


def test_where_only_words_tell_the_task_learners_find_it_with_word_scores_and_not_without():
    texts, y = told_texts(300)
    rng = np.random.default_rng(0)
    kinds = pl.Series(["dataset"] * 100 + ["model"] * 200)
    keys = pl.DataFrame({"kind": kinds, "id": [f"{number:03}" for number in range(300)]})
    noise = pl.Series("features", rng.normal(size=(300, 8)).astype(np.float32))
    split = keys.with_columns(
        protocol=pl.lit("random"), split=pl.Series(rng.choice(SPLITS, 300, p=(0.6, 0.2, 0.2)))
    )
    train = (split["split"] == "train").to_numpy()
    scores = stacked_scores(read_corpus(texts), y, train, np.arange(300)).scores
    drawn = random_graph(0)
    tables = {
        "nodes": keys.with_row_index("node").with_columns(pl.col("node").cast(pl.Int64)),
        "edges": drawn.edges.clear(),
        "features": keys.select(pl.lit("clean").alias("variant"), "kind", "id", noise),
        "labels": keys.with_columns(labels=pl.concat_list(pl.Series(y.argmax(1)))),
        "split": split,
    }
    with_terms = {**tables, "term_scores": score_table(keys, "clean", "random", scores)}
    config = TrainingConfig(protocols=["random"], seeds=[0], hidden=16, epochs=40)
    for name in ("logistic_regression", "mlp", "sage"):
        best = {}
        for told, given in (("with", with_terms), ("without", tables)):
            (trained,) = train_all(name, config, given, len(NAMES), DAY)
            best[told] = max(trained.runs[0].scores)
        assert best["with"] > 0.8
        assert best["without"] < 0.5


def test_a_bundle_tells_where_the_word_scores_stand_and_which_classifier_made_them(trained_store):
    warehouse = trained_store.warehouse
    for name in ("sage", "logistic_regression"):
        for protocol in ("random", "family"):
            directory = warehouse.directory(f"classification/{name}", STORED_DAY)
            bundle = load_bundle(bundle_path(directory, "clean", protocol))
            start, stop = bundle.feature_columns[TERMS]
            assert (stop, stop - start) == (len(bundle.mean), len(NAMES))
            assert start == max(
                end for part, (_, end) in bundle.feature_columns.items() if part != TERMS
            )
            terms = warehouse.directory(TERM_SCORES, STORED_DAY)
            classifier = load_classifier(classifier_path(terms, "clean", protocol))
            assert bundle.terms == classifier.digest
