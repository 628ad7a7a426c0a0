"""Reruns of a snapshot: exactly what changed code or data reaches is made again, nothing else."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    CachingStaleStatusResolver,
    StaleStatus,
)
from dagster._core.loader import LoadingContextForTest

from hfkg_assets import vocabulary as v
from hfkg_assets.cli import main, wave_text
from hfkg_assets.definitions import build_defs
from hfkg_assets.hub import crawl
from hfkg_assets.knowledge_graph import entities, relations
from hfkg_assets.rerun import out_of_date, waves
from hfkg_resources.warehouse import Warehouse, sha256_of

DAY, NEXT_DAY = "2026-11-20", "2026-11-21"
RELATION = "model_definedFor_task"
"""The only relation of its rule: its query can be changed alone."""

pytestmark = pytest.mark.slow


class Platform:
    """A stored snapshot, with the definitions as a new process would find them."""

    def __init__(self, root):
        self.environment = {"HFKG_ROOT": str(root), "HFKG_SAMPLE_REPOSITORIES": "300"}
        self.warehouse = Warehouse(root=str(root))
        self.instance = dg.DagsterInstance.ephemeral()
        self.touched = False
        self.define()

    def define(self):
        """The job and the graph of all assets, with the code as it is now."""
        definitions = build_defs(self.environment)
        self.job = definitions.resolve_job_def("snapshot")
        self.graph = definitions.resolve_asset_graph()
        self.keys = self.job.asset_layer.selected_asset_keys

    def below(self, *names):
        """The names of all assets of the job below some, and these."""
        chosen = dg.AssetSelection.assets(*names).downstream().resolve(self.graph)
        return names_of(chosen & self.keys)

    def children(self, name):
        """The names of the assets of the job right below one."""
        return names_of(self.graph.get(key_of(name)).child_keys & self.keys)

    def out_of_date(self, day=DAY):
        self.define()
        ordered = [key for key in self.graph.toposorted_asset_keys if key in self.keys]
        return out_of_date(self.graph, ordered, self.instance, day)

    def materialize(self, assets, day=DAY):
        self.touched = True
        return self.job.execute_in_process(
            instance=self.instance, partition_key=day, asset_selection=assets, raise_on_error=False
        )

    def rerun(self):
        """Brings the snapshot up to date; returns what was made, run by run."""
        self.define()
        made = []
        for wave in waves(self.graph, self.keys, self.instance, DAY):
            result = self.materialize(list(wave))
            assert result.success
            events = result.get_asset_materialization_events()
            made.append([event.asset_key.to_user_string() for event in events])
        return made

    def stamps(self):
        """Table → when its file was written."""
        paths = self.warehouse.path("*/*", DAY)
        root = paths.parents[3]
        return {
            "/".join(path.relative_to(root).parts[:2]): path.stat().st_mtime_ns
            for path in root.glob(str(paths.relative_to(root)))
        }

    def edges(self):
        edge = self.warehouse.scan("graph/edge", DAY)
        return dict(edge.group_by("relation").len().collect().iter_rows())


def key_of(name):
    return dg.AssetKey(name.split("/"))


def names_of(keys):
    return {key.to_user_string() for key in keys}


def names_in(runs):
    """The names of all that several runs made, each once."""
    names = [name for run in runs for name in run]
    assert len(names) == len(set(names))
    return set(names)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    platform = Platform(tmp_path_factory.mktemp("platform"))
    platform.first = platform.rerun()
    return platform


@pytest.fixture
def platform(stored):
    """The snapshot, up to date with the code as it is; what a test before has changed is undone."""
    if stored.touched:
        stored.rerun()
        stored.touched = False
    return stored


@pytest.fixture
def change_query(monkeypatch):
    """Puts another query in the place of a relation's rule."""
    registered: list[tuple[type, Callable]] = []

    def change(rule: type, query: Callable):
        registered.append((rule, relations._pairs.dispatch(rule)))
        relations._pairs.register(rule)(query)
        declare(monkeypatch)

    yield change
    for rule, query in registered:
        relations._pairs.register(rule)(query)


def declare(monkeypatch, **changed):
    """Declares the relations' assets, some of them otherwise, as importing the module does."""
    declared = {**v.RELATIONS, **changed}
    monkeypatch.setattr(v, "RELATIONS", MappingProxyType(declared))
    in_tags = relations.in_tags()
    alone = [r for r in declared.values() if not isinstance(r.rule, v.Tag | v.PipelineTag)]
    assets = [relations.tag_relations(listing, some) for listing, some in in_tags.items()]
    assets += map(relations.relation_asset, alone)
    monkeypatch.setattr(relations, "RELATION_ASSETS", assets)


as_before = relations._pairs.dispatch(v.PipelineTag)


def same_rows(rule, relation, tables):
    return as_before(rule, relation, tables).filter(pl.lit(True))


def fewer_rows(rule, relation, tables):
    return as_before(rule, relation, tables).filter(pl.col("subject_id") > "m")


# --- first and second run -------------------------------------------------------------------------


def test_a_snapshot_that_was_never_made_is_made_whole_in_one_run(stored):
    (run,) = stored.first
    assert names_in([run]) == names_of(stored.keys)


def test_after_that_nothing_is_out_of_date(platform):
    assert platform.out_of_date() == {}
    assert platform.rerun() == []


def test_each_date_is_judged_by_its_own_materializations(platform):
    some = [key_of(name) for name in ("hub/tasks", "hub/tags", "entity/task")]
    assert platform.materialize(some, NEXT_DAY).success
    assert platform.out_of_date() == {}
    assert platform.out_of_date(NEXT_DAY).keys() == platform.keys - set(some)


def test_made_twice_of_the_same_data_every_table_has_the_same_bytes(platform):
    made = [key for key in platform.keys if key.path[0] not in ("hub", "catalog")]
    before = {key: sha256_of(platform.warehouse.path(key.path, DAY)) for key in made}
    assert platform.materialize(made).success
    after = {key: sha256_of(platform.warehouse.path(key.path, DAY)) for key in made}
    assert {key for key in made if before[key] != after[key]} == set()
    assert platform.out_of_date() == {}


# --- changed code ---------------------------------------------------------------------------------


def test_a_changed_query_makes_its_relation_and_all_below_it_again_and_nothing_else(
    platform, change_query
):
    stamps, edges = platform.stamps(), platform.edges()
    change_query(v.PipelineTag, fewer_rows)
    assert platform.out_of_date() == {key_of(f"relation/{RELATION}"): "has a new code version"}
    runs = platform.rerun()
    assert runs[0] == [f"relation/{RELATION}"]
    assert names_in(runs) == platform.below(f"relation/{RELATION}")
    assert {f"{layer}/{RELATION}" for layer in ("relation", "verified", "rejected")} | {
        "graph/edge", "graph/statistics", "catalog/duckdb",
    } <= names_in(runs)  # fmt: skip
    after = platform.stamps()
    written = {name for name in stamps if stamps[name] != after[name]}
    assert written == names_in(runs) & stamps.keys()
    counts = platform.edges()
    assert counts.pop(RELATION) < edges.pop(RELATION)
    assert counts == edges


def test_a_query_that_gives_the_same_rows_makes_its_relation_again_and_stops_there(
    platform, change_query
):
    stamps = platform.stamps()
    change_query(v.PipelineTag, same_rows)
    assert platform.rerun() == [[f"relation/{RELATION}"]]
    after = platform.stamps()
    assert {name for name in stamps if stamps[name] != after[name]} == {f"relation/{RELATION}"}
    assert platform.rerun() == []


def test_a_changed_declaration_makes_that_relation_again_among_those_of_its_rule(
    platform, monkeypatch
):
    cite = replace(v.RELATIONS["model_cite_paper"], rule=v.Tag("arxiv:2"))
    declare(monkeypatch, **{cite.name: cite})
    assert names_in(platform.rerun()) == platform.below(f"relation/{cite.name}")


def test_an_entity_that_changes_in_a_column_that_nothing_reads_is_followed_one_step(
    platform, monkeypatch
):
    def liked_once_more(hub_spaces):
        return entities.spaces(hub_spaces).with_columns(pl.col("likes") + 1)

    builders = {**entities.BUILDERS, "space": (liked_once_more, ("hub/spaces",))}
    monkeypatch.setattr(entities, "BUILDERS", MappingProxyType(builders))
    assets = [entities.entity_asset(entity) for entity in v.ENTITIES.values()]
    monkeypatch.setattr(entities, "ENTITY_ASSETS", assets)
    made = names_in(platform.rerun())
    assert made == {"entity/space"} | platform.children("entity/space")
    assert {"graph/node", "verified/user_like_space", "rejected/user_like_space"} <= made
    assert not {"graph/edge", "graph/statistics"} & made


def test_a_change_of_the_crawls_own_code_makes_its_tables_out_of_date(platform, monkeypatch):
    changed = crawl.hub_crawl.map_asset_specs(
        lambda spec: spec.replace_attributes(code_version="x")
    )
    monkeypatch.setattr(crawl, "hub_crawl", changed)
    reasons = platform.out_of_date()
    assert names_of(reasons) == {name for name in names_of(platform.keys) if name[:4] == "hub/"}
    assert set(reasons.values()) == {"has a new code version"}


# --- changed data ---------------------------------------------------------------------------------


@pytest.fixture
def store(platform):
    """Stores another table in the place of a crawled one, as a crawl does; undone afterwards."""
    replaced = {}

    def put(name, rows):
        path = platform.warehouse.write(name, DAY, rows)
        version = {DATA_VERSION_TAG: sha256_of(path)}
        platform.instance.report_runless_asset_event(
            dg.AssetMaterialization(key_of(name), partition=DAY, tags=version)
        )

    def change(name, rows):
        replaced[name] = platform.warehouse.scan(name, DAY).collect()
        put(name, rows)

    yield change
    for name, rows in replaced.items():
        put(name, rows)


def test_changed_models_are_followed_by_what_reads_them_and_by_no_request_to_the_hub(
    platform, store
):
    models = platform.warehouse.scan("hub/models", DAY).collect()
    store("hub/models", models.with_columns(pl.col("likes") + 1))
    readers = {name for name in platform.children("hub/models") if not name.startswith("hub/")}
    runs = platform.rerun()
    assert set(runs[0]) == readers - {"catalog/duckdb"}
    # Of the tables made of models the entity alone has their likes; below it nothing reads them.
    assert names_in(runs) == readers | platform.children("entity/model")
    assert not {"graph/edge", "relation/dataset_cite_paper"} & names_in(runs)


# --- checks ---------------------------------------------------------------------------------------


def test_a_table_whose_blocking_check_has_failed_is_made_again_before_what_stands_on_it(platform):
    table = "verified/model_merge_model"
    platform.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=key_of(table), check_name="both_ends_exist", passed=False,
            partition=DAY, metadata={}, severity=dg.AssetCheckSeverity.ERROR,
        )
    )  # fmt: skip
    reasons = platform.out_of_date()
    assert reasons == {key_of(table): "has not passed its check both_ends_exist"}
    assert names_in(platform.rerun()) == {table, "rejected/model_merge_model"}
    assert platform.out_of_date() == {}


def test_what_stands_on_a_table_that_fails_its_check_again_and_again_is_never_made(
    platform, change_query, monkeypatch
):
    from hfkg_assets.knowledge_graph import verification

    sound = verification.check_relation

    def no_edge_exists(relation, tables):
        for check, passed, numbers in sound(relation, tables):
            yield check, passed and (relation.name, check) != (RELATION, "both_ends_exist"), numbers

    monkeypatch.setattr(verification, "check_relation", no_edge_exists)
    change_query(v.PipelineTag, fewer_rows)
    stamp = platform.stamps()["graph/edge"]
    for expected in (2, 1):  # the relation and its verification; after that verification alone
        platform.define()
        runs = 0
        for wave in waves(platform.graph, platform.keys, platform.instance, DAY):
            runs += 1
            if not platform.materialize(list(wave)).success:
                break
        assert runs == expected
        assert platform.stamps()["graph/edge"] == stamp


# --- the same answer elsewhere --------------------------------------------------------------------


def test_what_is_made_first_is_what_the_ui_calls_unsynced(platform, change_query):
    change_query(v.PipelineTag, fewer_rows)
    for expected in ("relation", "verified"):  # of new code, then of new data
        reasons = platform.out_of_date()
        assert expected in {key.path[0] for key in reasons}
        instance = platform.instance
        loading = LoadingContextForTest(instance)
        resolver = CachingStaleStatusResolver(instance, platform.graph, loading)
        unsynced = {
            key for key in platform.keys if resolver.get_status(key, DAY) != StaleStatus.FRESH
        }
        assert unsynced == reasons.keys()
        assert platform.materialize(list(unsynced)).success


def test_the_command_says_what_it_makes_and_why_and_the_next_time_that_nothing_is_left(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("HFKG_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("HFKG_SAMPLE_REPOSITORIES", "300")
    command = ["run", "--job", "crawl", "--date", DAY, "--changed"]
    assert main(command) == 0
    first = capsys.readouterr().out
    number = len(crawl.hub_crawl.keys)
    assert "was never materialized for this date: hub/" in first
    assert f"{number} of {number} assets were out of date." in first
    assert main(command) == 0
    assert f"0 of {number} assets were out of date." in capsys.readouterr().out


def test_the_assets_of_a_reason_stand_on_a_line_and_many_are_counted():
    wave = {key_of(f"relation/{name}"): "has a new code version" for name in v.RELATIONS}
    text = wave_text({**wave, key_of("graph/edge"): "follows graph/node"})
    first, second = text.splitlines()
    assert first.startswith("has a new code version: relation/model_definedFor_task, ")
    assert first.endswith(" and 22 more")
    assert second == "follows graph/node: graph/edge"
