"""One text classified: it has the features that a document of the snapshot with that text has."""

import shutil

import numpy as np
import pytest

from hfkg_assets.classification.bundles import bundle_path, load_bundle
from hfkg_assets.classification.models import LEARNER_ASSETS
from hfkg_assets.classification.prediction import TABLE, TEXT, VARIANT
from hfkg_assets.classification.predictors import load_predictors
from hfkg_assets.classification.single_text import (
    CannotClassify,
    NothingToClassify,
    Source,
    classify_text,
    text_features,
)
from hfkg_assets.classification.term_classifier import (
    TERM_SCORES,
    TERMS,
    classifier_path,
    load_classifier,
    save_classifier,
)
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse
from tests.trained_store import DAY, WORDS, materialize

ENCODER = TextEncoder(variants=["clean"])


@pytest.fixture
def copied(trained_store, tmp_path):
    """The store as one's own, to be changed."""
    root = tmp_path / "store"
    shutil.copytree(trained_store.warehouse.root, root)
    return Warehouse(root=str(root))


def words_file(warehouse, protocol="family"):
    return classifier_path(warehouse.directory(TERM_SCORES, DAY), VARIANT, protocol)


def classify(warehouse, text, kind="model"):
    return classify_text(Source(text, []), kind, warehouse, ENCODER)


@pytest.mark.parametrize("task", ["translation", "image-classification"])
def test_a_text_of_a_tasks_words_is_told_to_be_of_that_task(trained_store, task):
    found = classify(trained_store.warehouse, f"# A model\n\n{WORDS[task]} {WORDS[task]}\n")
    assert found.tasks["task_id"][0] == task
    assert found.tasks["probability"][0] > 0.5


@pytest.mark.parametrize("learner", ["logistic_regression", "sage"])
def test_a_text_has_the_features_of_a_judged_document_with_that_text(trained_store, learner):
    warehouse = trained_store.warehouse
    judged = warehouse.scan("classification/split", DAY).filter(protocol="family", split="test")
    keys = ["kind", "id"]
    rows = judged.collect().join(warehouse.scan("feature/document", DAY).collect(), on=keys)
    rows = rows.filter(rows["clean"] != "").head(3)
    features = warehouse.scan("feature/node_features", DAY).collect()
    scores = warehouse.scan(TERM_SCORES, DAY).filter(protocol="family").collect()
    rows = rows.join(features, on=keys).join(scores, on=keys)
    directory = warehouse.directory(f"classification/{learner}", DAY)
    bundle = load_bundle(bundle_path(directory, VARIANT, "family"))
    words = load_classifier(words_file(warehouse))
    assert (rows["code"] != "").any()
    for card in rows.iter_rows(named=True):
        found = text_features(card, bundle, ENCODER, words)
        np.testing.assert_allclose(found, [[*card["features"], *card["scores"]]], atol=1e-5)


def test_without_the_word_classifier_no_text_is_classified(copied):
    words_file(copied).unlink()
    with pytest.raises(CannotClassify, match=r"word classifier .* is gone .*--job train"):
        classify(copied, WORDS["translation"])


def test_a_word_classifier_that_was_made_after_training_is_refused(copied):
    save_classifier(words_file(copied), load_classifier(words_file(copied, "random")))
    with pytest.raises(CannotClassify, match=r"made anew after .* was trained"):
        classify(copied, WORDS["translation"])


def test_a_text_that_says_nothing_is_refused(trained_store):
    with pytest.raises(NothingToClassify, match="nothing to read"):
        classify(trained_store.warehouse, "---\nlicense: mit\n---\n")


def test_learners_that_were_trained_without_word_scores_predict_without_them(copied):
    (learner,) = (a for a in LEARNER_ASSETS if a.key.path[-1] == "logistic_regression")
    config = {"protocols": ["random", "family"], "seeds": [0], "epochs": 30, "term_scores": False}
    for other in ("sage", "rgcn"):
        stored = copied.scan(f"classification/{other}", DAY).collect()
        copied.write(f"classification/{other}", DAY, stored.clear())
    assert materialize(copied, learner, ops={learner.op.name: {"config": config}}).success
    predictor = load_predictors(copied.directory(TABLE, DAY))[TEXT]
    directory = copied.directory("classification/logistic_regression", DAY)
    bundle = load_bundle(bundle_path(directory, VARIANT, predictor.protocol))
    assert predictor.learner == "logistic_regression"
    assert bundle.terms is None
    assert TERMS not in bundle.feature_columns
    words_file(copied).unlink()  # nobody asks for it
    assert classify(copied, WORDS["translation"] * 2).tasks["task_id"][0] == "translation"
