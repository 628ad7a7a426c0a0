"""Looking ids up by hashes: exact, also where hashes collide."""

import polars as pl
import pytest

from hfkg_assets.knowledge_graph import verification
from hfkg_assets.knowledge_graph.id_rows import pair_hashes, rows_of_ids

IDS = pl.Series(["acme/a", "acme/b", "acme/longer", "模型/基础"])


def by_length(series, *_, **__):
    """A hash that collides for all ids of one length."""
    return series.str.len_bytes().cast(pl.UInt64)


@pytest.fixture(params=["as it is", "colliding"])
def hashes(request, monkeypatch):
    if request.param == "colliding":
        monkeypatch.setattr(pl.Series, "hash", by_length)


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (["acme/b", "模型/基础", "acme/a"], [1, 3, 0]),
        (["acme/c", "acme/a", "", None], [None, 0, None, None]),
        (["acme/a"] * 9 + ["gone/x"], [0] * 9 + [None]),
        ([], []),
    ],
    ids=["all there", "some missing or null", "more values than ids", "none"],
)
@pytest.mark.usefixtures("hashes")
def test_an_id_is_found_in_its_row_and_anything_else_nowhere(values, rows):
    assert rows_of_ids(pl.Series(values, dtype=pl.String), IDS).to_list() == rows


@pytest.mark.usefixtures("hashes")
def test_in_a_table_without_ids_nothing_is_found():
    none = pl.Series([], dtype=pl.String)
    assert rows_of_ids(pl.Series(["acme/a"]), none).to_list() == [None]


def test_pairs_hash_by_both_ids_and_their_order():
    frame = pl.DataFrame({"a": ["x", "y", "x", "x"], "b": ["y", "x", "y", "z"]})
    hashed = pair_hashes(frame, "a", "b")
    assert hashed[0] == hashed[2]
    assert hashed.n_unique() == 3


def test_edges_whose_hashes_collide_are_not_taken_for_one(monkeypatch):
    def constant(frame, *_):
        return pl.Series([7] * frame.height, dtype=pl.UInt64)

    monkeypatch.setattr(verification, "pair_hashes", constant)
    models = pl.LazyFrame({"id": ["acme/a", "acme/b", "acme/c"]})
    pairs = [("acme/a", "acme/b"), ("acme/a", "acme/c")]
    names = ("subject_id", "object_id")
    ids = pl.LazyFrame(pairs, schema=names, orient="row")
    seen = ids.select(pl.all().name.prefix("observed_"))
    tables = {
        "observed": ids,
        "verified": pl.concat([ids, seen], how="horizontal"),
        "rejected": seen.clear().with_columns(reason=pl.lit("")),
        "subjects": models,
        "objects": models,
    }
    relation = verification.RELATIONS["model_finetune_model"]
    outcome = {name: passed for name, passed, _ in verification.check_relation(relation, tables)}
    assert outcome[verification.UNIQUE] is True
