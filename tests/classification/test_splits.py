"""Splits: HuggingKG's dates, no node twice, families whole."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from hfkg_assets.classification.splits import (
    PROTOCOLS,
    boundaries,
    by_group,
    by_time,
    families,
    split_nodes,
)

DAY = date(2024, 12, 15)
NO_LINEAGE = pl.DataFrame(schema={"subject_id": pl.String, "object_id": pl.String})


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_at_huggingkgs_snapshot_the_boundaries_are_huggingkgs():
    model, dataset = boundaries(DAY, "model"), boundaries(DAY, "dataset")
    assert (model.validation, model.test) == (moment("2024-09-15"), moment("2024-10-15"))
    assert (dataset.validation, dataset.test) == (moment("2024-04-15"), moment("2024-08-15"))


@pytest.mark.parametrize(
    ("kind", "created", "expected"),
    [
        ("model", "2024-09-14T23:59:59.999", "train"),
        ("model", "2024-09-15T00:00:00", "validation"),
        ("model", "2024-10-14T23:59:59.999", "validation"),
        ("model", "2024-10-15T00:00:00", "test"),
        ("model", "2024-12-15T23:59:59.999", "test"),
        ("model", "2024-12-16T00:00:00", None),
        ("dataset", "2024-04-14T23:59:59.999", "train"),
        ("dataset", "2024-04-15T00:00:00", "validation"),
        ("dataset", "2024-08-15T00:00:00", "test"),
        ("dataset", "2024-10-15T00:00:00", "test"),
    ],
)
def test_boundaries_are_half_open_midnights(kind, created, expected):
    nodes = pl.DataFrame(
        {"kind": [kind], "created_at": [moment(created)]},
        schema={"kind": pl.String, "created_at": pl.Datetime("ms", "UTC")},
    )
    assert by_time(nodes, DAY).to_list() == [expected]


def test_a_node_of_unknown_creation_is_in_no_time_split():
    nodes = pl.DataFrame(
        {"kind": ["model"], "created_at": [None]},
        schema={"kind": pl.String, "created_at": pl.Datetime("ms", "UTC")},
    )
    assert by_time(nodes, DAY).to_list() == [None]


@pytest.fixture
def nodes():
    rng = np.random.default_rng(0)
    size = 400
    seconds = rng.integers(0, 900, size) * 86_400_000
    return pl.DataFrame(
        {
            "kind": np.where(rng.random(size) < 0.7, "model", "dataset"),
            "id": [f"a/{i:03d}" for i in range(size)],
            "created_at": pl.Series(moment("2022-07-01").timestamp() * 1000 + seconds).cast(
                pl.Int64
            ),
        }
    ).with_columns(pl.col("created_at").cast(pl.Datetime("ms", "UTC")))


def test_no_node_stands_in_two_splits_of_one_protocol(nodes):
    table = split_nodes(nodes, NO_LINEAGE, DAY)
    assert not table.select("kind", "id", "protocol").is_duplicated().any()
    assert set(table["protocol"]) == set(PROTOCOLS)
    for protocol in PROTOCOLS:
        splits = set(table.filter(protocol=protocol)["split"])
        assert splits == {"train", "validation", "test"}


def test_splits_do_not_depend_on_the_order_of_rows(nodes):
    lineage = pl.DataFrame({"subject_id": ["a/001"], "object_id": ["a/002"]})
    again = split_nodes(nodes.sample(fraction=1, shuffle=True, seed=3), lineage, DAY)
    assert again.equals(split_nodes(nodes, lineage, DAY))


def test_random_shares_are_70_15_15(nodes):
    table = split_nodes(nodes, NO_LINEAGE, DAY).filter(protocol="random")
    sizes = dict(table.group_by("split").len().iter_rows())
    assert sizes == {"train": 280, "validation": 60, "test": 60}


def test_a_family_falls_to_one_side_also_where_it_is_held_together_by_an_unlabelled_model(nodes):
    models = nodes.filter(kind="model")["id"].to_list()
    links = [(models[i], "ghost/base") for i in range(0, 12)]
    links += [(models[i], models[i + 1]) for i in range(20, 30)]
    lineage = pl.DataFrame(links, schema=["subject_id", "object_id"], orient="row")
    table = split_nodes(nodes, lineage, DAY).filter(protocol="family", kind="model")
    side = dict(table.select("id", "split").iter_rows())
    assert len({side[models[i]] for i in range(12)}) == 1
    assert len({side[models[i]] for i in range(20, 31)}) == 1


def test_families_are_connected_components():
    lineage = pl.DataFrame({"subject_id": ["a", "x"], "object_id": ["x", "b"]})
    a, b, c = families(["a", "b", "c"], lineage)
    assert a == b != c


def test_a_very_large_family_goes_to_training():
    groups = np.array([0] * 50 + list(range(1, 51)))
    sides = by_group(groups).to_list()
    assert set(sides[:50]) == {"train"}
    assert {"validation", "test"} <= set(sides)
