"""Splits: HuggingKG's dates, no node twice, families whole, nothing from after a split's period."""

from datetime import date

import dagster as dg
import numpy as np
import polars as pl
import pytest

from hfkg_assets.classification import graph, splits
from hfkg_assets.classification.splits import (
    PROTOCOLS,
    SPLIT,
    SPLITS,
    TEXT_COLUMNS,
    by_group,
    by_time,
    empty_splits,
    families,
    family_links,
    left_out,
    period_end,
    split_nodes,
)
from hfkg_assets.features.documents import DOCUMENT
from hfkg_assets.snapshots import IO_MANAGER, SNAPSHOTS, key_of
from hfkg_resources.table_schema import INSTANT, schema_of
from hfkg_resources.warehouse import Warehouse
from tests.classification.random_graphs import DAY, RandomGraph, moment, random_graph

SEEDS = range(8)
NO_LINKS = np.zeros((2, 0), dtype=np.int64)
LARGE = 400


def table(*rows):
    """Documents: kind, id, creation, last change."""
    schema = {"kind": pl.String, "id": pl.String, "created_at": INSTANT, "text_at": INSTANT}
    return pl.DataFrame(rows, schema, orient="row").with_row_index("node").cast({"node": pl.Int64})


# --- time ----------------------------------------------------------------------------------------


def test_at_huggingkgs_snapshot_the_boundaries_are_huggingkgs():
    day = date(2024, 12, 15)
    assert [period_end(day, "model", split) for split in SPLITS] == [
        moment("2024-09-15"), moment("2024-10-15"), moment("2024-12-16"),
    ]  # fmt: skip
    assert [period_end(day, "dataset", split) for split in SPLITS] == [
        moment("2024-04-15"), moment("2024-08-15"), moment("2024-12-16"),
    ]  # fmt: skip


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
    assert by_time(table((kind, "a", moment(created), None)), DAY).to_list() == [expected]


def test_a_node_of_unknown_creation_is_in_no_time_split():
    assert by_time(table(("model", "a", None, None)), DAY).to_list() == [None]


@pytest.mark.parametrize(
    ("created", "changed", "expected"),
    [
        ("2024-01-01", "2024-09-14T23:59:59.999", "train"),
        ("2024-01-01", "2024-09-15", None),
        ("2024-09-20", "2024-10-14", "validation"),
        ("2024-09-20", "2024-10-15", None),
        ("2024-11-01", "2024-12-15T23:00:00", "test"),
        ("2024-11-01", None, None),
    ],
)
def test_a_node_changed_after_its_own_splits_period_is_in_no_time_split(created, changed, expected):
    nodes = table(("model", "a", moment(created), changed and moment(changed)))
    found = split_nodes(nodes, nodes, NO_LINKS, DAY)
    assert found.filter(protocol="time")["split"].to_list() == ([expected] if expected else [])
    assert found.filter(protocol="random").height == 1


def test_what_is_left_out_of_the_time_split_is_counted_by_reason():
    early, late = moment("2024-01-01"), moment("2024-12-01")
    nodes = table(
        ("model", "changed", early, late),
        ("model", "never changed", early, early),
        ("model", "of unknown change", early, None),
        ("dataset", "of unknown creation", None, early),
        ("dataset", "unlabelled", early, late),
    )
    labels = nodes.filter(pl.col("id") != "unlabelled")
    assert left_out(nodes, labels, DAY) == {"hfkg/changed_later": 1, "hfkg/undated": 2}


# --- properties of every protocol ----------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_no_node_stands_in_two_splits_of_one_protocol_and_none_without_label_in_any(seed):
    drawn = random_graph(seed)
    assert drawn.split.schema == schema_of(SPLIT)
    assert not drawn.split.select("kind", "id", "protocol").is_duplicated().any()
    assert drawn.split.join(drawn.labels, on=["kind", "id"], how="anti").is_empty()
    for protocol in ("random", "family"):
        assert drawn.split.filter(protocol=protocol).height == drawn.labels.height


@pytest.mark.parametrize("seed", SEEDS)
def test_in_time_a_node_was_made_and_last_changed_within_its_splits_period(seed):
    drawn = random_graph(seed)
    rows = drawn.split.filter(protocol="time").join(drawn.documents, on=["kind", "id"])
    assert rows.height > 20
    for row in rows.iter_rows(named=True):
        place = SPLITS.index(row["split"])
        end = period_end(DAY, row["kind"], row["split"])
        assert row["created_at"] < end
        assert row["text_at"] < end
        if place:
            assert row["created_at"] >= period_end(DAY, row["kind"], SPLITS[place - 1])


@pytest.mark.parametrize("seed", SEEDS)
def test_no_family_crosses_from_one_split_to_another(seed):
    drawn = random_graph(seed)
    rows = drawn.split.filter(protocol="family").join(
        drawn.documents.with_columns(family=drawn.families), on=["kind", "id"]
    )
    sides = rows.group_by("family").agg(pl.col("split").n_unique(), pl.len())
    assert sides["len"].max() > 1
    assert sides["split"].max() == 1


@pytest.fixture
def nodes():
    rng = np.random.default_rng(0)
    size = LARGE
    created = pl.Series(moment("2022-07-01").timestamp() * 1000 + rng.integers(0, 77e9, size))
    return (
        pl.DataFrame(
            {
                "kind": np.where(np.arange(size) < 100, "dataset", "model"),
                "id": [f"a/{i:03d}" for i in range(size)],
                "created_at": created.cast(pl.Int64),
            }
        )
        .with_columns(pl.col("created_at").cast(INSTANT))
        .with_columns(text_at="created_at")
    )


def sizes(split, protocol):
    found = split.filter(protocol=protocol).group_by("kind", "split").len()
    return {(kind, name): count for kind, name, count in found.iter_rows()}


SHARES_OF_LARGE = {
    ("dataset", "train"): 70,
    ("dataset", "validation"): 15,
    ("dataset", "test"): 15,
    ("model", "train"): 210,
    ("model", "validation"): 45,
    ("model", "test"): 45,
}


def test_random_shares_are_70_15_15_of_each_kind(nodes):
    assert sizes(split_nodes(nodes, nodes, NO_LINKS, DAY), "random") == SHARES_OF_LARGE


def test_family_shares_hold_in_each_kind_though_families_stay_whole(nodes):
    """Families of 2 to 9 models, one of 40, and two that copy one dataset's card."""
    rng = np.random.default_rng(1)
    start, links = 140, []
    while start < 300:
        size = int(rng.integers(2, 10))
        links += [(start, start + i) for i in range(1, size)]
        start += size
    links += [(100, 100 + i) for i in range(1, 40)]
    links += [(5, 6), (5, 7)]
    split = split_nodes(nodes, nodes, np.array(links).T, DAY)
    assert sizes(split, "family") == SHARES_OF_LARGE
    side = dict(split.filter(protocol="family").select("id", "split").iter_rows())
    for one, other in links:
        assert side[f"a/{one:03d}"] == side[f"a/{other:03d}"]


def test_families_are_found_on_all_sides(nodes):
    """Else the test would have singletons only."""
    links = np.array([(100 + 2 * i, 101 + 2 * i) for i in range(100)]).T
    split = split_nodes(nodes, nodes, links, DAY).filter(protocol="family")
    pairs = [f"a/{i:03d}" for i in range(100, 300)]
    found = dict(split.filter(pl.col("id").is_in(pairs)).group_by("split").len().iter_rows())
    assert found == {"train": 140, "validation": 30, "test": 30}


def test_splits_are_the_same_every_time_and_do_not_depend_on_the_order_of_labels(nodes):
    links = np.array([(120, 121), (120, 130)]).T
    again = split_nodes(nodes, nodes.sample(fraction=1, shuffle=True, seed=3), links, DAY)
    assert again.equals(split_nodes(nodes, nodes, links, DAY))


# --- families ------------------------------------------------------------------------------------


def test_families_are_connected_components():
    a, b, c, d = families(4, np.array([[0, 2], [3, 3]]))
    assert a == c == d != b


def test_a_family_stays_whole_where_only_an_unlabelled_model_holds_it_together(nodes):
    links = np.array([(150 + i, 399) for i in range(12)]).T
    split = split_nodes(nodes, nodes.head(399), links, DAY).filter(protocol="family")
    side = dict(split.select("id", "split").iter_rows())
    assert len({side[f"a/{150 + i}"] for i in range(12)}) == 1
    assert "a/399" not in side


BORN = (moment("2024-01-01"), moment("2024-01-01"))
NO_EDGES = pl.DataFrame(schema=schema_of(graph.MESSAGE_GRAPH))


def texts(nodes, **columns):
    """Texts of their own, but for the columns given."""
    default = {
        "duplicate_of": [None] * nodes.height,
        "boilerplate": [None] * nodes.height,
        "only_boilerplate": [False] * nodes.height,
        "clean_sha256": [str(number) for number in range(nodes.height)],
    }
    schema = {name: schema_of(DOCUMENT)[name] for name in TEXT_COLUMNS}
    return nodes.select("kind", "id").hstack(pl.DataFrame({**default, **columns}, schema=schema))


def pairs(links):
    return {tuple(sorted(pair)) for pair in links.T.tolist()}


def test_lineage_and_near_duplicates_join_families_and_a_common_dataset_does_not():
    nodes = table(
        *(("dataset", f"d{i}", *BORN) for i in range(3)),
        *(("model", f"m{i}", *BORN) for i in range(4)),
    )
    edges = pl.DataFrame(
        {
            "source": [3, 4, 5],
            "target": [4, 0, 0],
            "relation": ["model_merge_model", *["model_trainedOrFineTunedOn_dataset"] * 2],
        }
    )
    links = family_links(
        nodes, edges, texts(nodes, duplicate_of=[None, "d0", None, None, None, None, "m2"])
    )
    assert pairs(links) == {(3, 4), (0, 1), (5, 6)}
    d0, d1, d2, m0, m1, m2, m3 = families(nodes.height, links)
    assert (d0, m0, m2) == (d1, m1, m3)
    assert len({d0, d2, m0, m2}) == 4


def test_an_unfilled_template_joins_no_families_but_a_copied_text_made_from_one_does():
    nodes = table(*(("model", f"m{i}", *BORN) for i in range(6)))
    found = texts(
        nodes,
        duplicate_of=[None, "m0", "m0", "m0", "m0", "m0"],
        boilerplate=["trainer"] * 6,
        only_boilerplate=[True, True, False, False, False, False],
        clean_sha256=["empty", "empty", "one", "two", "two", "three"],
    )
    assert pairs(family_links(nodes, NO_EDGES, found)) == {(3, 4)}


def test_documents_of_two_kinds_with_one_id_or_one_text_are_no_family():
    nodes = table(("dataset", "a/x", *BORN), ("model", "a/x", *BORN))
    for boilerplate in (None, "trainer"):
        found = texts(nodes, boilerplate=[boilerplate] * 2, clean_sha256=["same"] * 2)
        assert family_links(nodes, NO_EDGES, found).shape == (2, 0)


def test_a_very_large_family_goes_to_training_and_the_others_to_the_other_sides():
    groups = np.array([0] * 80 + list(range(1, 21)))
    sides = by_group(groups)
    assert set(sides[:80]) == {"train"}
    assert dict(sides[80:].value_counts().iter_rows()) == {"validation": 10, "test": 10}


# --- little or nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(7))
def test_a_few_nodes_are_split_without_an_error_and_each_once(size):
    assert len(by_group(np.arange(size))) == size
    assert len(by_group(np.zeros(size, dtype=np.int64))) == size


def test_no_labelled_node_gives_an_empty_table_that_says_so():
    nodes = table()
    split = split_nodes(nodes, nodes, NO_LINKS, DAY)
    assert split.schema == schema_of(SPLIT)
    assert len(empty_splits(split)) == len(PROTOCOLS) * len(SPLITS) * 2


def test_a_missing_kind_is_named(nodes):
    split = split_nodes(nodes, nodes.filter(kind="model"), NO_LINKS, DAY)
    assert set(empty_splits(split)) == {f"{p}/{s}/dataset" for p in PROTOCOLS for s in SPLITS}


# --- the asset -----------------------------------------------------------------------------------


def test_the_asset_splits_a_stored_snapshot_and_tells_what_it_left_out(tmp_path):
    drawn, warehouse = RandomGraph(1, size=120), Warehouse(root=str(tmp_path))
    stored = {
        "graph/node": drawn.graph_nodes,
        "graph/edge": drawn.graph_edges,
        "classification/labels": drawn.labels.filter(kind="model"),
        "feature/document": drawn.texts,
    }
    for key, frame in stored.items():
        warehouse.write(key, str(DAY), frame)
    own = [graph.message_node, graph.graph, splits.split]
    others = [
        dg.AssetSpec(key_of(name), partitions_def=SNAPSHOTS).with_io_manager_key(IO_MANAGER)
        for name in stored
    ]
    result = dg.materialize(
        [*own, *others],
        selection=own,
        partition_key=str(DAY),
        resources={"warehouse": warehouse},
    )
    split = warehouse.scan("classification/split", DAY).collect()
    assert split.equals(drawn_models(drawn))
    (event,) = result.asset_materializations_for_node("classification__split")
    metadata = {name: value.value for name, value in event.metadata.items()}
    kept = split.filter(protocol="time").height
    assert metadata["hfkg/changed_later"] > 0
    assert metadata["hfkg/changed_later"] + metadata["hfkg/undated"] + kept == (
        drawn.labels.filter(kind="model").height
    )
    assert metadata["hfkg/without_nodes"] == [f"{p}/{s}/dataset" for p in PROTOCOLS for s in SPLITS]


def drawn_models(drawn):
    return split_nodes(drawn.documents, drawn.labels.filter(kind="model"), drawn.links, DAY)
