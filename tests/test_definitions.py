"""The definitions as a Dagster user finds them: groups, partitions, columns, jobs, settings."""

import subprocess
import sys

import dagster as dg
import pytest
from pydantic import ValidationError

from hfkg_assets import vocabulary as v
from hfkg_assets.classification.learner_names import LEARNERS
from hfkg_assets.definitions import build_defs, defs, executor, resources
from hfkg_assets.snapshots import SNAPSHOTS
from hfkg_assets.tracing.rankers import EMBEDDINGS
from hfkg_resources.scope import Scope
from hfkg_resources.settings import SettingError
from hfkg_resources.sources import NoPast, tokens


def nodes():
    graph = defs.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_the_asset_keys_are_those_of_the_layers_and_nothing_else():
    found = {}
    for key in nodes():
        found.setdefault(key.split("/")[0], set()).add(key.split("/")[1])
    assert found["entity"] == set(v.ENTITIES)
    for layer in ("relation", "verified", "rejected"):
        assert found[layer] == set(v.RELATIONS)
    assert found["hub"] == {
        "tasks", "tags", "models", "datasets", "spaces", "collections", "papers", "accounts",
        "likers", "followers", "members", "model_cards", "dataset_cards", "aliases", "coverage",
        "crawl_plan", "ledger", "set_aside",
    }  # fmt: skip
    assert found["graph"] == {"node", "edge", "statistics", "changes"}
    assert found["catalog"] == {"duckdb"}
    assert found["export"] == {"huggingkg", "pyg", "libkge", "sslrec", "neo4j", "hub_dataset"}
    assert found["feature"] == {"document", "embedding", "bm25", "node_features"}
    assert found["classification"] == {
        "task_index", "labels", "split", "node", "graph", "term_scores", "baselines", *LEARNERS,
        "run_scores", "label_scores", "leaderboard", "comparison", "report", "predicted_tasks",
    }  # fmt: skip
    assert found["tracing"] == {
        "triples", "evidence", *EMBEDDINGS, "scores", "leaderboard", "predicted_base",
    }  # fmt: skip
    assert found["recommendation"] == {"likes", "run_scores", "leaderboard", "recommended"}
    assert found["retrieval"] == {
        "facts", "link", "word_index", "vector_index", "similar", "leaderboard",
    }  # fmt: skip
    assert found["torrent"] == {
        "selection", "manifest", "changes", "repositories", "ptm_schema", "history",
    }  # fmt: skip
    assert set(found) == {
        "hub", "entity", "relation", "verified", "rejected", "graph", "feature", "classification",
        "tracing", "recommendation", "retrieval", "torrent", "catalog", "export",
    }  # fmt: skip


def test_every_asset_is_partitioned_by_date_and_has_a_description_owner_kind_and_group():
    for key, node in nodes().items():
        assert node.partitions_def == SNAPSHOTS, key
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name == key.split("/")[0]
        assert node.backfill_policy is not None, key


def test_every_table_of_the_graph_declares_its_columns_with_a_description_each():
    for key, node in nodes().items():
        if key.split("/")[0] in ("hub", "entity", "relation", "verified", "rejected"):
            schema = node.metadata["dagster/column_schema"]
            assert schema.columns, key
            assert all(column.description for column in schema.columns), key


def test_a_relation_depends_on_the_raw_tables_of_its_declaration_and_nothing_else():
    graph = defs.resolve_asset_graph()
    for name, relation in v.RELATIONS.items():
        parents = graph.get(dg.AssetKey(["relation", name])).parent_keys
        assert {key.to_user_string() for key in parents} == set(relation.sources)


def test_every_edge_of_the_graph_descends_from_the_listings():
    graph = defs.resolve_asset_graph()
    ancestors = graph.get_ancestor_asset_keys(dg.AssetKey(["graph", "edge"]))
    names = {key.to_user_string() for key in ancestors}
    assert {"hub/models", "hub/likers", "hub/aliases", "relation/user_like_space"} <= names


def test_every_relation_has_four_checks_and_those_that_prove_it_block():
    checks = defs.resolve_asset_graph().asset_check_keys
    for name in v.RELATIONS:
        key = dg.AssetKey(["verified", name])
        assert len([check for check in checks if check.asset_key == key]) == 4


def test_the_jobs_are_there_and_the_definitions_load():
    assert {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")} == {
        "plan", "crawl", "snapshot", "train", "export", "torrent", "everything",
        "prune",
    }  # fmt: skip
    dg.Definitions.validate_loadable(defs)


def test_partitions_start_at_huggingkgs_date_and_include_today():
    from datetime import UTC, datetime

    keys = SNAPSHOTS.get_partition_keys()
    assert keys[0] == "2024-12-15"
    assert keys[-1] == str(datetime.now(UTC).date())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("HFKG_SOURCE", "moon"),
        ("HFKG_SCOPE", "top:0"),
        ("HFKG_SCOPE", "top:1.5"),
        ("HFKG_SCOPE", "top:-1"),
        ("HFKG_SCOPE", "top:nan"),
        ("HFKG_SCOPE", "top:"),
        ("HFKG_SCOPE", "limit:0"),
        ("HFKG_SCOPE", "limit:many"),
        ("HFKG_SCOPE", "author:"),
        ("HFKG_SCOPE", "everything"),
        ("HFKG_SOCIAL", "maybe"),
        ("HFKG_SAMPLE_REPOSITORIES", "0"),
        ("HFKG_WORKERS", "-3"),
        ("HFKG_REFRESH_DAYS", "-1"),
        ("HFKG_REFRESH_DAYS", "monthly"),
        ("HFKG_TEXT_VARIANTS", "dirty"),
        ("HFKG_TEXT_VARIANTS", "clean,dirty"),
        ("HFKG_TEXT_VARIANTS", ""),
        ("HFKG_ENCODER_BACKEND", "onnx"),
        ("HFKG_EXPORT_COMPAT", "loose"),
        ("HF_ENDPOINT", "huggingface.co"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_at_load_and_named(setting, value):
    with pytest.raises((SettingError, ValidationError)) as error:
        build_defs({setting: value})
    assert setting in str(error.value)


def test_an_unknown_executor_is_refused_and_a_known_one_taken():
    with pytest.raises(SettingError, match="HFKG_EXECUTOR"):
        executor({"HFKG_EXECUTOR": "celery"})
    assert executor({}) is dg.in_process_executor
    assert executor({"HFKG_EXECUTOR": "multiprocess"}) is dg.multiprocess_executor


def test_the_encoder_defaults_to_the_packaged_model_and_on_the_live_hub_to_bge():
    assert resources({})["encoder"].model == "all-MiniLM-L6-v2"
    assert resources({"HFKG_SOURCE": "hub"})["encoder"].model == "BAAI/bge-base-en-v1.5"
    assert resources({"HFKG_ENCODER": "some/model"})["encoder"].model == "some/model"


def test_the_encoder_runs_in_what_is_quickest_and_keeps_conversions_with_the_tables():
    encoder = resources({"HFKG_ROOT": "/somewhere"})["encoder"]
    assert (encoder.backend, encoder.converted) == ("auto", "/somewhere/.encoders")
    encoder = resources({"HFKG_ENCODER_BACKEND": "openvino-int8"})["encoder"]
    assert (encoder.backend, encoder.converted) == ("openvino-int8", "data/.encoders")


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("all", Scope("all")),
        ("top:0.1", Scope("top", share=0.1)),
        ("top:1", Scope("top", share=1.0)),
        ("limit:1000", Scope("limit", limit=1000)),
        ("author:ada,acme", Scope("author", names=("ada", "acme"))),
        ("task:translation", Scope("task", names=("translation",))),
    ],
)
def test_a_scope_is_read_as_written(text, scope):
    assert Scope.parse(text) == scope


def test_the_live_hub_refuses_a_past_date_before_any_request():
    hub = resources({"HFKG_SOURCE": "hub", "HF_ENDPOINT": "http://127.0.0.1:9"})["hub"]
    with pytest.raises(NoPast, match=r"no past.*2025-01-01.*HFKG_SOURCE=sample"):
        hub.client("2025-01-01")


def test_an_interrupted_crawl_of_the_live_hub_can_be_gone_on_with_on_another_day():
    hub = resources({"HFKG_SOURCE": "hub", "HF_ENDPOINT": "http://127.0.0.1:9"})["hub"]
    with hub.client_to_go_on("2025-01-01") as client:
        assert client.endpoint == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, []),
        ({"HF_TOKEN": ""}, []),
        ({"HF_TOKEN": "hf_a"}, ["hf_a"]),
        ({"HF_TOKENS": "hf_a, hf_b,"}, ["hf_a", "hf_b"]),
        ({"HF_TOKENS": "hf_a,hf_b", "HF_TOKEN": "hf_c"}, ["hf_a", "hf_b"]),
    ],
)
def test_several_tokens_are_taken_where_there_are_several(environment, found):
    assert tokens(environment) == found


def test_loading_the_definitions_imports_no_heavy_library():
    code = (
        "import sys, hfkg_assets.definitions; "
        "print([m for m in ('torch', 'torch_geometric', 'sentence_transformers', 'sklearn', "
        "'matplotlib', 'duckdb') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
