"""Tracing one model: known bases first, predicted ones only where none is known."""

import polars as pl
import pytest

from hfkg_assets.retrieval.answers import UnknownId
from hfkg_assets.retrieval.lineage import LineageGraph
from hfkg_assets.retrieval.trace import trace
from tests.retrieval.small_store import DAY, ODD, write_predicted_bases, write_store


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = write_store(tmp_path_factory.mktemp("store"))
    write_predicted_bases(warehouse)
    return warehouse


def test_known_bases_come_with_the_path_that_leads_there(warehouse):
    found = trace(warehouse, LineageGraph(warehouse), "fast/tuned-GGUF")
    assert found.snapshot == DAY
    assert all(base.is_known and base.probability is None for base in found.bases)
    near = found.bases[0]
    assert (near.id, near.depth, near.relation) == ("old/tuned", 1, "model_quantized_model")
    (reason,) = near.evidence
    assert reason.text == "fast/tuned-GGUF is quantized from old/tuned"
    assert reason.path == ("fast/tuned-GGUF", "model_quantized_model", "old/tuned")
    assert {base.id for base in found.bases[1:]} == {"old/base", ODD, "new/base"}
    assert found.notes == ()


def test_a_model_without_a_known_base_gets_predicted_ones_with_evidence(warehouse):
    found = trace(warehouse, LineageGraph(warehouse), "lone/model")
    assert [base.id for base in found.bases] == ["old/base", "old/tuned"]
    first = found.bases[0]
    assert (first.is_known, first.depth, first.probability) == (False, 1, 0.75)
    assert first.relation == "model_finetune_model"
    assert [(reason.kind, reason.text) for reason in first.evidence] == [
        ("name", "both names hold model"), ("text", "the cards are alike"),
    ]  # fmt: skip
    assert "predicted" in found.notes[0]


def test_without_predictions_the_note_says_how_to_make_them(tmp_path):
    warehouse = write_store(tmp_path)
    found = trace(warehouse, LineageGraph(warehouse), "lone/model")
    assert found.bases == ()
    assert "hfkg run --job train" in found.notes[0]


def test_an_unknown_model_is_an_error(warehouse):
    with pytest.raises(UnknownId):
        trace(warehouse, LineageGraph(warehouse), "no/body")


def test_predictions_are_asked_for_of_one_model_only(warehouse):
    predicted = warehouse.scan("tracing/predicted_base", DAY).collect()
    assert predicted["id"].n_unique() == 2
    found = trace(warehouse, LineageGraph(warehouse), "new/base")
    assert [base.id for base in found.bases] == ["old/base"]
    assert isinstance(predicted, pl.DataFrame)
