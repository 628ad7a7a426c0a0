"""Why an edge is there: back to the answer of the Hub that states it, for every relation."""

import json

import polars as pl
import pytest

from hfkg_assets import vocabulary as v
from hfkg_assets.cli import main
from hfkg_assets.knowledge_graph.provenance import NoSnapshot, UnknownRelation, why
from hfkg_resources.warehouse import Warehouse
from tests.job_runs import DAYS


@pytest.fixture(scope="module")
def warehouse(snapshots):
    return Warehouse(root=str(snapshots))


def edge_of(warehouse, layer, relation, *conditions):
    """The first row of a table that fulfils some conditions."""
    rows = warehouse.scan(f"{layer}/{relation}", DAYS[1]).filter(*conditions).head(1).collect()
    return rows.row(0, named=True) if rows.height else None


@pytest.mark.parametrize("relation", v.RELATIONS)
def test_every_relations_edge_leads_to_a_record_and_a_request(warehouse, relation):
    edge = edge_of(warehouse, "verified", relation)
    assert edge is not None, "the sample world has every relation"
    found = why(warehouse, edge["subject_id"], relation, edge["object_id"])
    assert (found.snapshot, found.state, found.reason) == (DAYS[1], "verified", None)
    assert found.observation is not None
    assert found.observation.table == v.RELATIONS[relation].sources[0]
    assert found.observation.record in (edge["observed_subject_id"], edge["observed_object_id"])
    assert found.observation.request.startswith("GET /api/")
    assert found.observation.observed_at is not None
    assert found.last_seen == DAYS[1]


def test_an_id_that_was_written_otherwise_is_told(warehouse):
    for relation in v.LINEAGE:
        renamed = pl.col("observed_subject_id") != pl.col("subject_id")
        if edge := edge_of(warehouse, "verified", relation, renamed):
            break
    found = why(warehouse, edge["subject_id"], relation, edge["object_id"])
    assert found.written == (edge["observed_subject_id"], edge["observed_object_id"])
    by_old_name = why(warehouse, edge["observed_subject_id"], relation, edge["object_id"])
    assert by_old_name.state == "verified"


def test_a_rejected_assertion_says_why_and_what_was_observed(warehouse):
    edge = edge_of(warehouse, "rejected", "model_cite_paper")
    found = why(warehouse, edge["subject_id"], "model_cite_paper", edge["object_id"])
    assert (found.state, found.reason) == ("rejected", edge["reason"])
    assert found.observation is not None
    assert (found.first_seen, found.snapshots) == (None, 0)


def test_what_nobody_observed_is_told_as_such(warehouse):
    found = why(warehouse, "no/body", "user_like_model", "no/thing")
    assert (found.state, found.observation, found.changes) == ("not observed", None, {})


def test_changes_tell_when_an_edge_appeared_and_went(warehouse):
    ends = ["subject_id", "object_id"]
    tables = [
        warehouse.scan("verified/user_like_model", day).select(ends).collect() for day in DAYS
    ]
    new = tables[1].join(tables[0], on=ends, how="anti").row(0)
    old = tables[0].join(tables[1], on=ends, how="semi").row(0)
    appeared = why(warehouse, new[0], "user_like_model", new[1])
    assert appeared.changes == {DAYS[1]: "appeared"}
    assert (appeared.first_seen, appeared.snapshots) == (DAYS[1], 1)
    stayed = why(warehouse, old[0], "user_like_model", old[1])
    assert stayed.changes == {DAYS[0]: "there in the first snapshot"}
    assert (stayed.first_seen, stayed.last_seen, stayed.snapshots) == (*DAYS, 2)
    then = why(warehouse, new[0], "user_like_model", new[1], DAYS[0])
    assert then.state == "not observed"


def test_an_unknown_relation_and_a_date_without_snapshot_are_errors_that_help(warehouse, tmp_path):
    with pytest.raises(UnknownRelation, match="model_finetune_model"):
        why(warehouse, "a/b", "finetune", "c/d")
    with pytest.raises(NoSnapshot, match="hfkg run --date 2025-01-01"):
        why(warehouse, "a/b", "model_finetune_model", "c/d", "2025-01-01")
    with pytest.raises(NoSnapshot, match="hfkg run"):
        why(Warehouse(root=str(tmp_path)), "a/b", "model_finetune_model", "c/d")


def test_the_command_tells_people_and_programs(warehouse, monkeypatch, capsys):
    monkeypatch.setenv("HFKG_ROOT", warehouse.root)
    edge = edge_of(warehouse, "verified", "user_like_model")
    command = ["why", edge["subject_id"], "user_like_model", edge["object_id"]]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "/likers, answered" in text
    assert "verified in" in text
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "verified"
    assert main(["why", "a", "no_such", "b"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
