"""The whole way on a small sample Hub, through a real Dagster instance."""

import dagster as dg
import duckdb
import polars as pl
import pytest

from hfkg_assets import vocabulary as v
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.cli import summary
from hfkg_assets.definitions import build_defs
from hfkg_assets.knowledge_graph.catalog import CATALOG
from hfkg_assets.knowledge_graph.verification import REASONS
from hfkg_resources.warehouse import Warehouse

DAY, LATER_DAY = "2026-11-20", "2026-11-24"

pytestmark = pytest.mark.slow


class Platform:
    """The definitions on a store and an instance of their own."""

    def __init__(self, root):
        self.environment = {"HFKG_ROOT": str(root), "HFKG_SAMPLE_REPOSITORIES": "300"}
        self.warehouse = Warehouse(root=str(root))
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, job, day, selection=None, **run_config):
        definition = build_defs(self.environment).resolve_job_def(job)
        return definition.execute_in_process(
            instance=self.instance,
            partition_key=day,
            asset_selection=selection and [dg.AssetKey(key.split("/")) for key in selection],
            run_config=run_config or None,
        )

    def stamps(self, layer, day):
        paths = [self.warehouse.path(f"{layer}/{name}", day) for name in v.RELATIONS]
        return {path.parent.parent.name: path.stat().st_mtime_ns for path in paths}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    platform = Platform(tmp_path_factory.mktemp("platform"))
    result = platform.run("snapshot", DAY)
    assert result.success
    platform.first = result
    return platform


def test_all_thirty_verified_relations_are_non_empty_and_account_for_all_observed(platform):
    for name in v.RELATIONS:
        observed, verified, rejected = (
            platform.warehouse.scan(f"{layer}/{name}", DAY).select(pl.len()).collect().item()
            for layer in ("relation", "verified", "rejected")
        )
        assert verified > 0, name
        assert verified + rejected == observed, name


def test_every_check_of_every_relation_was_evaluated_and_none_of_the_blocking_failed(platform):
    evaluations = platform.first.get_asset_check_evaluations()
    relations = {e.asset_key.path[-1] for e in evaluations if e.asset_key.path[0] == "verified"}
    assert relations == set(v.RELATIONS)
    failed = [e for e in evaluations if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR]
    assert failed == []


def test_rejected_assertions_of_the_sample_show_every_reason(platform):
    reasons = pl.concat(
        platform.warehouse.scan(f"rejected/{name}", DAY).select("reason") for name in v.RELATIONS
    ).collect()
    assert set(reasons["reason"]) <= set(REASONS)
    assert {"object_missing", "subject_missing", "duplicate", "self_loop"} <= set(reasons["reason"])


def test_the_graph_is_dense_and_its_edges_are_the_verified_assertions(platform):
    node = platform.warehouse.scan("graph/node", DAY).collect()
    edge = platform.warehouse.scan("graph/edge", DAY).collect()
    assert node["node_id"].to_list() == list(range(node.height))
    assert edge["source"].is_in(node["node_id"].implode()).all()
    assert edge["target"].is_in(node["node_id"].implode()).all()
    counts = dict(edge.group_by("relation").len().iter_rows())
    for name in v.RELATIONS:
        verified = platform.warehouse.scan(f"verified/{name}", DAY).select(pl.len()).collect()
        assert counts[name] == verified.item()


def test_nothing_of_the_crawl_was_lost_or_failed(platform):
    coverage = platform.warehouse.scan("hub/coverage", DAY).collect()
    assert coverage["failed"].sum() == 0
    assert coverage["set_aside"].sum() == 0
    told = pl.sum_horizontal("fetched", "unchanged", "deferred", "missing", "failed")
    assert coverage.filter(told != pl.col("expected")).is_empty()


def test_materializing_one_relation_again_leaves_the_others_untouched(platform):
    before = platform.stamps("relation", DAY)
    assert platform.run("snapshot", DAY, selection=["relation/model_cite_paper"]).success
    after = platform.stamps("relation", DAY)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"model_cite_paper"}


def test_the_catalog_answers_while_a_run_writes(platform):
    query = "select relation, count(*) from graph.edge where snapshot_date = ? group by all"
    with duckdb.connect(str(platform.warehouse.root) + f"/{CATALOG}", read_only=True) as reader:
        before = reader.execute(query, [DAY]).fetchall()
        assert len(before) == 30
        selection = ["graph/node", "graph/edge", "catalog/duckdb"]
        assert platform.run("snapshot", DAY, selection=selection).success
        assert sorted(reader.execute(query, [DAY]).fetchall()) == sorted(before)


def test_a_missing_upstream_date_fails_with_the_command_that_makes_it(platform):
    with pytest.raises(Exception) as error:
        platform.run("snapshot", "2026-10-01", selection=["relation/model_cite_paper"])
    cause = error.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert "--select 'key:hub/models' --partition 2026-10-01" in str(cause)


def test_a_planted_fault_in_the_stored_edges_stops_the_graph_from_being_built(platform):
    """A stored file is spoilt behind the platform's back; the check sees it, the graph waits."""
    table = "verified/model_finetune_model"
    sound = platform.warehouse.scan(table, DAY).collect()
    spoilt = sound.with_columns(object_id=pl.lit("no-such/model"))
    stamp = platform.warehouse.path("graph/edge", DAY).stat().st_mtime_ns
    platform.warehouse.write(table, DAY, spoilt)
    try:
        defs = build_defs(platform.environment)
        checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(table.split("/")))
        job = dg.define_asset_job(
            "recheck", selection=checks | dg.AssetSelection.assets(dg.AssetKey(["graph", "edge"]))
        )
        result = (
            dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
            .resolve_job_def("recheck")
            .execute_in_process(instance=platform.instance, partition_key=DAY, raise_on_error=False)
        )
        failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
        assert failed == {"both_ends_exist", "each_edge_once"}
        assert not result.success
        assert platform.warehouse.path("graph/edge", DAY).stat().st_mtime_ns == stamp
    finally:
        platform.warehouse.write(table, DAY, sound)


def test_two_dates_are_two_different_snapshots(platform):
    assert platform.run("snapshot", LATER_DAY).success
    nodes = [platform.warehouse.scan("graph/node", day).collect() for day in (DAY, LATER_DAY)]
    assert not nodes[0].equals(nodes[1])
    assert platform.warehouse.dates("graph/edge") == [DAY, LATER_DAY]


def test_training_follows_on_the_stored_snapshot_and_the_summary_tells_everything(platform):
    quick = {
        f"classification__{name}": {"config": {"epochs": 5, "seeds": [0, 1]}} for name in LEARNERS
    }
    assert platform.run("train", DAY, ops=quick).success
    board = platform.warehouse.scan("classification/leaderboard", DAY).collect()
    own = board.filter(pl.col("source") == "hfkg", pl.col("split") == "test", protocol="time")
    assert set(own["model"]) == {
        *LEARNERS, "most_frequent", "front_matter_regex", "bm25_argmax", "neighbour_vote",
        "owner_vote",
    }  # fmt: skip
    assert own["micro_f1"].is_between(0, 1).all()
    text = summary(platform.warehouse, DAY)
    for part in ("model_cite_paper", "object_missing", "transformer", "hfkg.duckdb", "make ui"):
        assert part in text


def test_the_top_share_is_a_whole_small_snapshot_of_the_most_downloaded_models(
    platform, tmp_path_factory
):
    small = Platform(tmp_path_factory.mktemp("top"))
    small.environment["HFKG_SCOPE"] = "top:0.1"
    small.environment["HFKG_SOCIAL"] = "off"
    assert small.run("snapshot", DAY).success
    everything = platform.warehouse.scan("hub/models", DAY).collect()
    models = small.warehouse.scan("entity/model", DAY).collect()
    assert models.height == int(everything.height * 0.1)
    rest = everything.filter(~pl.col("id").is_in(models["id"].implode()))
    assert models["downloads"].min() >= rest["downloads"].max()
    likes = small.warehouse.scan("relation/user_like_model", DAY).collect()
    assert likes.is_empty()
    edges = small.warehouse.scan("graph/edge", DAY).collect()
    assert edges.height > models.height
