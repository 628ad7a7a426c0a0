"""Counts, degrees, balances and figures of a graph."""

import base64
import random
import re
from datetime import date

import dagster as dg
import numpy as np
import polars as pl
import pytest

from hfkg_assets.definitions import build_defs
from hfkg_assets.knowledge_graph import plots
from hfkg_assets.knowledge_graph.balance import BALANCES
from hfkg_assets.knowledge_graph.degrees import degrees
from hfkg_assets.knowledge_graph.statistics import (
    as_markdown,
    counts_of_other_dates,
    degrees_as_markdown,
    statistics,
)
from hfkg_assets.knowledge_graph.verification import OBSERVED, REASON, REASONS
from hfkg_assets.snapshots import key_of
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse
from tests.knowledge_graph.graph_tables import store_graph

DAY = "2026-01-05"
FINETUNE, LIKE = "model_finetune_model", "user_like_model"
PNG = re.compile(r"!\[\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)")


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(root=str(tmp_path))


def scanned(warehouse, day=DAY):
    return warehouse.scan("graph/node", day), warehouse.scan("graph/edge", day)


def nothing_rejected():
    return {
        name: pl.LazyFrame(schema=schema_of((*relation.columns, *OBSERVED, REASON)))
        for name, relation in RELATIONS.items()
    }


# --- degrees -------------------------------------------------------------------------------------


@pytest.fixture
def small(warehouse):
    """Three models of which one is isolated, two users."""
    things = {
        "model": {"a": "1", "b": "2", "c": "3"},
        "user": {"ada": None, "bob": None},
    }
    triples = [
        ("a", FINETUNE, "b"), ("ada", LIKE, "a"), ("ada", LIKE, "b"), ("bob", LIKE, "b"),
        ("ada", "user_follow_user", "bob"),
    ]  # fmt: skip
    store_graph(warehouse, DAY, things, triples)
    return warehouse


def test_degrees_are_counted_per_relation_over_all_nodes_of_its_types(small):
    found = degrees(*scanned(small))
    assert found.outgoing[LIKE].tolist() == [0, 1, 1]
    assert found.incoming[LIKE].tolist() == [1, 1, 1]
    assert found.outgoing["org_publish_model"].tolist() == [0]
    assert found.incoming["org_publish_model"].tolist() == [3]


def test_an_entity_types_degrees_are_over_all_relations_and_its_isolated_nodes_counted(small):
    found = degrees(*scanned(small))
    assert found.outgoing["model"].tolist() == [2, 1]
    assert found.incoming["model"].tolist() == [1, 1, 0, 1]
    assert found.isolated == dict.fromkeys(ENTITIES, 0) | {"model": 1}


def test_degrees_of_a_random_graph_are_those_of_counting_one_by_one(warehouse):
    rng = random.Random(3)
    things = {name: {f"n{i:02}": {} for i in range(rng.randint(3, 40))} for name in ENTITIES}
    triples = {
        (rng.choice([*things[r.subject]]), r.name, rng.choice([*things[r.object]]))
        for r in rng.choices([*RELATIONS.values()], k=900)
    }
    store_graph(warehouse, DAY, things, triples)
    found = degrees(*scanned(warehouse))
    for name, relation in RELATIONS.items():
        own = [s for s, predicate, _ in triples if predicate == name]
        counted = [own.count(id) for id in things[relation.subject]]
        assert found.outgoing[name].tolist() == np.bincount(counted).tolist()
    for name in ENTITIES:
        own = [o for _, predicate, o in triples if RELATIONS[predicate].object == name]
        counted = [own.count(id) for id in things[name]]
        assert found.incoming[name].tolist() == np.bincount(counted).tolist()


def test_a_graph_without_nodes_has_degrees_and_statistics_all_the_same(warehouse):
    store_graph(warehouse, DAY, {}, [])
    table = statistics(*scanned(warehouse), nothing_rejected())
    assert table.height == len(ENTITIES) + len(RELATIONS)
    assert table["count"].sum() == table["out_nodes"].sum() == 0
    assert table["share"].null_count() == table.height
    assert "| **all** | 0 |" in as_markdown(table, "entity")


# --- the table -----------------------------------------------------------------------------------


def test_every_type_stands_beside_december_2024_with_ratio_and_shares(small):
    table = statistics(*scanned(small), nothing_rejected())
    like = table.row(by_predicate=pl.col("name") == LIKE, named=True)
    assert like["count"] == 3
    assert like["huggingkg_2024"] == 1_144_281
    assert like["ratio_to_2024"] == pytest.approx(3 / 1_144_281)
    assert like["share"] == pytest.approx(3 / 5)
    assert like["share_2024"] == pytest.approx(1_144_281 / 6_246_353)
    for column in ("share", "share_2024"):
        sums = table.group_by("section").agg(pl.col(column).sum())
        assert sums[column].to_list() == pytest.approx([1, 1])


def test_rejected_assertions_are_counted_by_reason(small):
    rejected = nothing_rejected()
    rejected[LIKE] = pl.LazyFrame({"reason": ["duplicate", "duplicate", "self_loop"]})
    table = statistics(*scanned(small), rejected)
    like = table.row(by_predicate=pl.col("name") == LIKE, named=True)
    assert (like["count"], like["observed"]) == (3, 6)
    assert (like["duplicate"], like["self_loop"], like["subject_missing"]) == (2, 1, 0)


def test_the_tables_of_the_materialization_end_in_a_total(small):
    table = statistics(*scanned(small), nothing_rejected())
    assert "| **all** | 5 | | 2,614,270 | | 1.91e-06 |" in as_markdown(table, "entity")
    assert "| **all** | 5 | | 6,246,353 | | 8e-07 |" in as_markdown(table, "relation")


def test_the_table_tells_degrees_and_isolated_nodes(small):
    table = statistics(*scanned(small), nothing_rejected())
    like = table.row(by_predicate=pl.col("name") == LIKE, named=True)
    assert (like["out_nodes"], like["out_mean"], like["out_max"]) == (2, 1.5, 2)
    assert (like["in_nodes"], like["in_mean"], like["in_max"]) == (2, 1.5, 2)
    assert like["isolated"] is None
    model = table.row(by_predicate=pl.col("name") == "model", named=True)
    assert (model["count"], model["isolated"], model["in_max"]) == (3, 1, 3)
    assert "| model | 1 | 1.00 | 1 | 2 | 2.00 | 3 | 1 |" in degrees_as_markdown(table)


# --- figures -------------------------------------------------------------------------------------


def pixels(markdown):
    from io import BytesIO

    from matplotlib.image import imread

    (encoded,) = PNG.findall(markdown)
    assert len(markdown) < 100_000
    return imread(BytesIO(base64.b64decode(encoded)))


def counts(days):
    rows = [
        (date.fromisoformat(day), section, name, 10 * (n + 1) * (place + 1))
        for n, day in enumerate(days)
        for section, names in (("entity", ENTITIES), ("relation", RELATIONS))
        for place, name in enumerate(names)
    ]
    schema = ["snapshot_date", "section", "name", "count"]
    return pl.DataFrame(rows, schema, orient="row")


def test_growth_is_drawn_for_one_snapshot_and_for_hundreds():
    days = [str(day) for day in pl.date_range(date(2025, 1, 1), date(2026, 1, 1), eager=True)]
    one, many = pixels(plots.growth(counts(days[:1]))), pixels(plots.growth(counts(days)))
    assert one.shape == many.shape
    assert (one != many).any()


def test_degree_figures_stay_small_with_heavy_tails():
    rng = np.random.default_rng(1)
    tails = {n: np.bincount(rng.zipf(1.6, 300_000).clip(0, 200_000)) for n in ENTITIES}
    drawn = pixels(plots.degrees(tails, tails))
    empty = dict.fromkeys(ENTITIES, np.array([5]))
    assert (drawn != pixels(plots.degrees(empty, empty))).any()


def test_rejects_are_drawn_by_reason_and_where_there_are_none():
    none = {reason: dict.fromkeys(RELATIONS, 0.0) for reason in REASONS}
    some = {reason: dict.fromkeys(RELATIONS, 0.1) for reason in REASONS}
    assert (pixels(plots.rejected(none)) != pixels(plots.rejected(some))).any()


# --- assets and checks ---------------------------------------------------------------------------


def run(warehouse, selection):
    """Runs assets or checks of the platform on stored tables."""
    job = dg.define_asset_job("part", selection=selection)
    platform = build_defs({"HFKG_ROOT": warehouse.root})
    definitions = dg.Definitions.merge(platform, dg.Definitions(jobs=[job]))
    return definitions.resolve_job_def("part").execute_in_process(
        partition_key=DAY, instance=dg.DagsterInstance.ephemeral()
    )


def store_no_rejects(warehouse):
    for name, frame in nothing_rejected().items():
        warehouse.write(f"rejected/{name}", DAY, frame)


def test_the_materialization_shows_tables_and_figures_with_all_stored_dates(small):
    store_no_rejects(small)
    earlier = statistics(*scanned(small), nothing_rejected())
    for day in ("2026-01-03", "2026-01-09"):
        small.write("graph/statistics", day, earlier)
    others = counts_of_other_dates(small, DAY)
    assert [str(day) for day in others["snapshot_date"].unique().sort()] == [
        "2026-01-03", "2026-01-09",
    ]  # fmt: skip
    result = run(small, dg.AssetSelection.assets(key_of("graph/statistics")))
    (event,) = result.get_asset_materialization_events()
    told = {key: value.value for key, value in event.materialization.metadata.items()}
    for key in ("hfkg/growth", "hfkg/degrees_figure", "hfkg/rejected_by_reason"):
        assert pixels(told[key]).size
    assert told["hfkg/entities"].startswith("| type |")
    assert "| model | 1 | 1.00 |" in told["hfkg/degrees"]


def test_a_stored_table_of_an_older_form_still_counts_for_the_growth(small):
    older = statistics(*scanned(small), nothing_rejected()).select("section", "name", "count")
    small.write("graph/statistics", "2026-01-03", older)
    assert counts_of_other_dates(small, DAY).height == older.height


@pytest.fixture
def owned(warehouse):
    """A graph in balance, some of its accounts unknown, one renamed; returns a way to store it."""
    things = {
        "model": {"ada/x": "ada", "acme/y": "acme", "gone/z": "gone", "old/w": "old", "bare": None},
        "dataset": {"ada/d": "ada"},
        "collection": {"ada/c": "ada", "gone/c": "gone"},
        "user": {"ada": None, "new": None},
        "organization": {"acme": None},
    }
    columns = {"model": "author", "dataset": "author", "collection": "owner"}
    things |= {
        name: {id: {column: account} for id, account in things[name].items()}
        for name, column in columns.items()
    }
    triples = [
        ("ada", "user_publish_model", "ada/x"), ("new", "user_publish_model", "old/w"),
        ("acme", "org_publish_model", "acme/y"), ("ada", "user_publish_dataset", "ada/d"),
        ("ada", "user_own_collection", "ada/c"),
    ]  # fmt: skip
    aliases = {"kind": ["user", "model"], "id": ["old", "ada"], "canonical_id": ["new", "no"]}
    warehouse.write("hub/aliases", DAY, pl.DataFrame(aliases))

    def store(lost=(), more=(), **changed):
        kept = [triple for triple in triples if triple not in lost]
        store_graph(warehouse, DAY, things | changed, [*kept, *more])
        checks = dg.AssetSelection.checks_for_assets(key_of("graph/edge"))
        dated = dg.AssetSelection.assets(key_of("catalog/duckdb"))  # checks alone make no dated job
        result = run(warehouse, checks | dated)
        assert result.success  # a balance that fails stops nothing
        return {
            evaluation.check_name: (
                evaluation.passed,
                {key: value.value for key, value in evaluation.metadata.items()},
            )
            for evaluation in result.get_asset_check_evaluations()
        }

    return store


def test_publishers_owners_and_things_without_a_known_account_balance(owned):
    checks = owned()
    assert set(checks) == {"models_balance", "datasets_balance", "spaces_balance",
                           "collections_balance"}  # fmt: skip
    assert all(passed for passed, _ in checks.values())
    assert checks["models_balance"][1] == {
        "user_publish_model": 2, "org_publish_model": 1, "without_known_account": 2, "all": 5,
        "difference": 0,
    }  # fmt: skip
    assert checks["collections_balance"][1]["without_known_account"] == 1


def test_a_lost_edge_fails_the_balance_of_its_type_alone(owned):
    checks = owned(lost=[("ada", "user_publish_dataset", "ada/d")])
    assert {name for name, (passed, _) in checks.items() if not passed} == {"datasets_balance"}
    assert checks["datasets_balance"][1]["difference"] == -1


def test_a_repository_with_two_publishers_fails_the_balance(owned):
    checks = owned(more=[("acme", "org_publish_model", "ada/x")])
    assert {name for name, (passed, _) in checks.items() if not passed} == {"models_balance"}
    assert checks["models_balance"][1]["difference"] == 1


def test_a_collection_whose_owner_became_known_without_an_edge_fails_the_balance(owned):
    checks = owned(user={"ada": None, "new": None, "gone": None})
    failed = {name: numbers for name, (passed, numbers) in checks.items() if not passed}
    assert failed["collections_balance"]["difference"] == -1
    assert failed["models_balance"]["difference"] == -1


def test_every_type_that_accounts_publish_or_own_has_a_balance():
    accounts = {"user", "organization"}
    expected = {
        relation.object
        for relation in RELATIONS.values()
        if relation.subject in accounts and relation.predicate in ("publish", "own")
    } - {"paper"}  # has many authors
    assert set(BALANCES) == expected
    assert all(set(balance.accounts) == accounts for balance in BALANCES.values())
