"""Recommendations of one user: with the likes that led there, or what is liked most."""

import pytest

from hfkg_assets.retrieval.answers import NotMade, UnknownId
from hfkg_assets.retrieval.recommended import recommend
from tests.retrieval.small_store import DAY, write_recommended, write_store


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = write_store(tmp_path_factory.mktemp("store"))
    write_recommended(warehouse)
    return warehouse


def test_a_user_gets_their_items_with_the_likes_that_led_there(warehouse):
    found = recommend(warehouse, "ada", 10)
    assert (found.question, found.snapshot) == ("ada", DAY)
    assert [(hit.rank, hit.kind, hit.id) for hit in found.hits] == [
        (1, "model", "old/base"), (2, "space", "some/space"),
    ]  # fmt: skip
    assert found.hits[0].facts["licence"] == "mit"
    assert found.hits[1].facts["sdk"] == "gradio"
    assert [reason.text for reason in found.hits[0].reasons] == [
        "like dataset some/data, which ada likes"
    ]
    assert "2 best are kept" in found.notes[0]


def test_as_many_as_asked_for_are_told(warehouse):
    found = recommend(warehouse, "ada", 1)
    assert len(found.hits) == 1
    assert found.notes == ()


def test_a_user_without_likes_gets_what_is_liked_most_and_is_told_so(warehouse):
    found = recommend(warehouse, "noor", 3)
    assert [(hit.kind, hit.id) for hit in found.hits] == [
        ("model", "old/base"), ("space", "some/space"), ("model", "old/tuned"),
    ]  # fmt: skip
    assert [reason.kind for reason in found.hits[0].reasons] == ["popularity"]
    assert "no like of noor is known" in found.notes[0]


def test_an_unknown_user_is_an_error_that_names_near_ones(warehouse):
    with pytest.raises(UnknownId, match="did you mean noor"):
        recommend(warehouse, "noorr", 3)


def test_without_recommendations_the_error_says_how_to_make_them(tmp_path):
    with pytest.raises(NotMade, match="hfkg run --job train"):
        recommend(write_store(tmp_path), "ada", 3)
