"""The `dump` source: HuggingKG's files become raw tables from which the same graph comes out."""

import json
import logging
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest
from pydantic import ValidationError

from hfkg_assets import vocabulary as v
from hfkg_assets.classification.labels import TASK_RELATIONS, index_tasks, labels_of
from hfkg_assets.definitions import build_defs, resources
from hfkg_assets.hub.coverage import SUMMARIES, coverage_of, judge_counters, judge_coverage
from hfkg_assets.hub.dump import FILES
from hfkg_resources.crawl import Before
from hfkg_resources.huggingkg_dump import DumpError
from hfkg_resources.settings import SettingError
from hfkg_resources.sources import OtherDay
from tests.hub.huggingkg_dumps import (
    DAY,
    NAME,
    Imported,
    dataset,
    edges,
    model,
    whole_dump,
    write_dump,
    zipped,
)

RETRIEVER = (
    "models", "datasets", "tasks", "model_definedFor_task", "dataset_definedFor_task",
    "model_adapter_model", "model_finetune_model", "model_merge_model", "model_quantized_model",
    "model_trainedOrFineTunedOn_dataset",
)  # fmt: skip


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    return Imported(write_dump(folder / NAME, whole_dump()), folder / "store")


@pytest.fixture
def take(tmp_path):
    """Imports a dump of the records given."""

    def take(records, **options):
        return Imported(write_dump(tmp_path / NAME, records, **options), tmp_path / "store")

    return take


def stored(imported, *without):
    """All tables of a store but some columns, as rows."""
    names = sorted({name for name in (*FILES_OF_HUB, *SUMMARIES) if name not in without})
    return {name: imported.hub(name).to_dicts() for name in names if name not in SUMMARIES}


FILES_OF_HUB = (
    "tasks", "tags", "models", "datasets", "spaces", "collections", "papers", "accounts",
    "likers", "followers", "members", "model_cards", "dataset_cards", "aliases", "crawl_plan",
)  # fmt: skip


# --- a whole dump --------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", v.RELATIONS)
def test_every_relation_comes_out_as_its_file_has_it_and_nothing_is_rejected(imported, relation):
    told = [tuple(record.values()) for record in whole_dump()[relation]]
    assert told
    assert imported.pairs(relation) == sorted(told)
    assert imported.rejected(relation) == []


@pytest.mark.parametrize("entity", v.ENTITIES.values(), ids=v.ENTITIES)
def test_every_entity_has_the_ids_of_its_file(imported, entity):
    assert imported.entity(entity.name)["id"].to_list() == [
        record[entity.key] for record in whole_dump()[entity.file]
    ]


def test_labels_come_out_as_they_went_in_although_another_tag_is_called_like_one(imported):
    tags = imported.hub("tags")
    label = dict(tags.filter(kind="model").select("id", "label").iter_rows())
    tuned, merged = (
        imported.entity("model").row(by_predicate=pl.col("id") == name, named=True)
        for name in ("acme/tuned", "acme/merged")
    )
    assert [label[tag] for tag in tuned["libraries"]] == ["Transformers", "Safetensors"]
    assert [label[tag] for tag in tuned["languages"]] == ["English", "German"]
    assert tuned["other_tags"] == ["AutoTrain Compatible", "my-tag"]
    assert label[f"region:{tuned['region']}"] == "🇺🇸 Region: US"
    assert tuned["license"] == "apache-2.0"
    assert merged["languages"] == []
    assert merged["other_tags"] == ["English"]
    assert merged["license"] is None


def test_tasks_keep_the_order_of_their_labels_and_the_first_is_the_one_shown(imported):
    base = imported.entity("model").filter(id="ada/base")
    assert base["tasks"].to_list() == [["text-generation", "fill-mask"]]
    assert base["pipeline_tag"].to_list() == ["text-generation"]
    corpus = imported.entity("dataset").filter(id="ada/corpus")
    assert corpus["tasks"].to_list() == [["text-generation", "fill-mask"]]


def test_attributes_of_a_dataset_are_told_apart_by_their_type(imported):
    corpus = imported.entity("dataset").row(by_predicate=pl.col("id") == "ada/corpus", named=True)
    told = {
        "sub_tasks": ["masked-language-modeling"], "libraries": ["Datasets", "pandas"],
        "license": "mit", "languages": ["English"], "size": "1K<n<10K", "formats": ["json"],
        "modalities": ["Text"], "other_tags": ["Croissant", "poems"],
    }  # fmt: skip
    assert {name: corpus[name] for name in told} == told
    other = imported.hub("tags").filter(kind="dataset", type="other")
    assert other["label"].to_list() == ["Croissant"]


def test_a_card_is_the_description_and_a_repository_without_one_has_no_card(imported):
    cards = imported.hub("model_cards")
    told = {record["id"]: record["description"] for record in whole_dump()["models"]}
    assert dict(cards.select("id", "text").iter_rows()) == {
        name: text for name, text in told.items() if text is not None
    }
    assert cards["bytes"].to_list() == [len(text.encode()) for text in cards["text"]]
    has_card = dict(imported.entity("model").select("id", "has_card").iter_rows())
    assert has_card == {name: text is not None for name, text in told.items()}


def test_what_a_dump_has_no_word_of_is_null_and_no_stable_id_is_made_up(imported):
    models = imported.hub("models")
    assert models["_id"].to_list() == models["id"].to_list()
    assert models["sha"].null_count() == models.height
    for entity in ("model", "dataset", "space", "user", "organization"):
        frame = imported.entity(entity)
        assert frame["hub_id"].null_count() == frame.height
    assert imported.hub("aliases").is_empty()


def test_the_order_of_the_records_makes_no_difference(imported, take):
    records = {stem: rows[::-1] for stem, rows in whole_dump().items()}
    assert stored(take(records)) == stored(imported)


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{"indent": None}, {"indent": 2}, {"lines": True}])
def test_arrays_indented_or_not_and_json_lines_say_the_same(imported, take, form):
    assert stored(take(whole_dump(), **form)) == stored(imported)


@pytest.mark.parametrize("inside", ["", f"{NAME}/", f"some/where/{NAME}/"])
def test_a_zip_says_the_same_wherever_in_it_the_files_lie(imported, tmp_path, inside):
    folder = write_dump(tmp_path / "files", whole_dump())
    path = zipped(folder, tmp_path / f"{NAME}.zip", inside)
    assert stored(Imported(path, tmp_path / "store")) == stored(imported)


def test_a_folder_may_hold_the_dump_in_a_folder_and_other_files_beside_it(imported, tmp_path):
    folder = write_dump(tmp_path / NAME / "json", whole_dump())
    (folder / "triples.txt").write_text("a\tb\tc\n")
    (folder / "notes.json").write_text("{")
    assert stored(Imported(tmp_path / NAME, tmp_path / "store")) == stored(imported)


def test_two_dumps_in_one_folder_are_not_mixed(tmp_path):
    for name in ("one", "two"):
        write_dump(tmp_path / NAME / name, {"tasks": whole_dump()["tasks"]})
    with pytest.raises(DumpError, match=r"more than once: one/tasks\.json, two/tasks\.json"):
        Imported(tmp_path / NAME, tmp_path / "store")


def test_dates_without_zone_are_utc_and_those_with_one_are_converted(take):
    dates = {
        "2024-03-01T12:00:00+00:00": datetime(2024, 3, 1, 12),
        "2024-03-01T12:00:00": datetime(2024, 3, 1, 12),
        "2024-03-01 12:00:00.250": datetime(2024, 3, 1, 12, 0, 0, 250_000),
        "2024-03-01T12:00:00.250000+02:00": datetime(2024, 3, 1, 10, 0, 0, 250_000),
        "2024-03-01T12:00:00.000Z": datetime(2024, 3, 1, 12),
        "2024-03-01": datetime(2024, 3, 1),
        None: None,
    }
    models = [model(f"ada/m{i}", createdAt=text) for i, text in enumerate(dates)]
    created = take({"models": models}).entity("model")["created_at"].to_list()
    assert created == [moment and moment.replace(tzinfo=UTC) for moment in dates.values()]


def test_ids_and_texts_of_any_kind_pass_unharmed(take):
    ids = [
        "a'; drop table x; --/m", "a/b:c,d", "ü/模型", 'q"u/o\\te', "../../etc/passwd",
        "n/new\nline", "{}/[]", "%s/{0}", "",
    ]  # fmt: skip
    text = '\x00\x01 \\" }, { ][ \U0001f917 \u2028 模型 \r\n\t'
    taken = take(
        {
            "models": [model(name, description=text, other=[name], likes=0) for name in ids],
            "tasks": [],
            "user_like_model": edges("user_like_model", *(("ada", name) for name in ids)),
        }
    )
    assert taken.hub("models")["id"].to_list() == sorted(ids, key=str.encode)
    assert taken.hub("likers")["repo_id"].to_list() == sorted(ids, key=str.encode)
    assert set(taken.hub("model_cards")["text"]) == {text}
    free = dict(taken.entity("model").select("id", "other_tags").iter_rows())
    assert free == {name: [name] for name in ids}


# --- parts ---------------------------------------------------------------------------------------


def test_the_ten_files_of_the_retriever_are_enough_for_labels_and_the_message_graph(take):
    whole = whole_dump()
    taken = take({stem: whole[stem] for stem in RETRIEVER})
    for relation in RETRIEVER[3:]:
        assert taken.pairs(relation) == sorted(tuple(r.values()) for r in whole[relation])
    assertions = {
        kind: pl.LazyFrame(taken.pairs(name), schema=["subject_id", "object_id"], orient="row")
        for kind, name in TASK_RELATIONS.items()
    }
    labels = labels_of(assertions, index_tasks(taken.entity("task").lazy())).collect()
    assert labels.select("kind", "id", pl.col("labels").cast(pl.List(pl.Int64))).rows() == [
        ("dataset", "ada/corpus", [0, 1]),
        ("model", "acme/tuned", [1]),
        ("model", "ada/base", [0, 1]),
    ]
    for table in ("spaces", "collections", "papers", "likers", "followers", "members"):
        assert taken.hub(table).is_empty()


def test_models_alone_have_their_tasks_by_the_hubs_own_labels(take):
    taken = take({"models": whole_dump()["models"]})
    tasks = dict(taken.entity("task").select("id", "label").iter_rows())
    assert tasks == {"fill-mask": "Fill-Mask", "text-generation": "Text Generation"}
    assert taken.pairs("model_definedFor_task") == [
        ("acme/tuned", "text-generation"),
        ("ada/base", "fill-mask"),
        ("ada/base", "text-generation"),
    ]


def test_edges_tell_who_is_a_user_and_who_an_organization_where_their_files_are_missing(take):
    whole = whole_dump()
    taken = take({stem: rows for stem, rows in whole.items() if stem not in ("users", "orgs")})
    assert taken.entity("user")["id"].to_list() == ["ada", "bob"]
    assert taken.entity("organization")["id"].to_list() == ["acme"]
    for name in v.RELATIONS:
        assert taken.pairs(name) == sorted(tuple(record.values()) for record in whole[name])


def test_without_the_files_of_owners_the_slug_tells_the_owner(take):
    whole = whole_dump()
    taken = take({stem: whole[stem] for stem in ("users", "orgs", "collections")})
    assert taken.pairs("user_own_collection") == [("bob", "bob/best-0123")]
    assert taken.pairs("org_own_collection") == [("acme", "acme/papers-4567")]
    only = write_dump(taken.path.parent / "only", {"collections": whole["collections"]})
    alone = Imported(only, taken.path.parent / "alone")
    assert alone.hub("collections")["owner_type"].to_list() == ["unknown", "unknown"]


def test_likes_and_follows_are_left_out_where_they_are_not_wanted(tmp_path):
    folder = write_dump(tmp_path / NAME, whole_dump())
    taken = Imported(folder, tmp_path / "store", social=False)
    assert taken.hub("likers").is_empty()
    assert taken.hub("followers").is_empty()
    assert taken.hub("members").height == 1
    stages = coverage_of(taken.warehouse, DAY).collect()["stage"]
    assert not stages.str.contains("like|follow").any()


# --- faults --------------------------------------------------------------------------------------

GOOD = json.dumps([{"id": f"task-{i}", "label": f"Task {i}"} for i in range(3)], indent=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD[: GOOD.rindex("label")], r"tasks\.json, record 3 at byte 132: .*cut off"),
        (GOOD[: GOOD.rindex(",\n    {") + 1], r"tasks\.json, record 3 at byte 127: .*cut off"),
        (GOOD[: GOOD.rindex("]")], r"tasks\.json, record 4 at byte \d+: .*cut off"),
        (GOOD + "\n]", r"tasks\.json: something stands behind the array, from byte 191"),
        (GOOD.replace('"Task 1"', "Task 1"), r"tasks\.json, record 2 at byte 69: no JSON"),
        (GOOD.replace('"Task 1"', '"Task 1"}'), r"tasks\.json, record 3 at byte 126: "),
        (GOOD.replace('"task-1"', "1"),
         r"tasks\.json, record 2 at byte 69: id: expected String, got int '1'"),
        (GOOD.replace('"label": "Task 2"', '"name": "Task 2"'),
         r"tasks\.json, record 3 at byte 132: label: expected String, got nothing"),
        (GOOD.replace('"label": "Task 2"', '"label": null'),
         r"tasks\.json, record 3 at byte 132: label: expected String, got null"),
        ("[1, 2]", r"tasks\.json, record 1 at byte 1: not a record"),
        ('[{"id": "a", "label": "A"}, 5]', r"tasks\.json, record 2 at byte 28: not a record"),
        ('[{"id": "a", "label": "A"},]', r"tasks\.json, record 2 at byte 27: not a record"),
        ('[{"id": "a", "label": "A"} {"id": "b", "label": "B"}]',
         r"tasks\.json, record 2 at byte 27: no comma"),
        ('[{"id": "\\ud83d", "label": "A"}]', r"tasks\.json, record 1 at byte 1: no JSON"),
        ('{"fill-mask": {"id": "fill-mask", "label": "Fill-Mask"}}',
         r"tasks\.json, record 1 at byte 0: id: expected String, got nothing"),
        ('{"id": "a", "label": "A"}\n{"id": "b", "la', r"record 2 at byte 26: .*cut off"),
        ('{"id": "a", "label": "A"}{"id": "b", "label": "B"}',
         r"tasks\.json, record 1 at byte 25: no line ends behind it"),
        ("tasks: none", r"tasks\.json, record 1 at byte 0: neither a JSON array nor JSON Lines"),
        ("", r"tasks\.json is empty"),
    ],
)  # fmt: skip
def test_a_file_at_fault_is_named_with_the_record_and_nothing_is_imported(tmp_path, text, message):
    folder = write_dump(tmp_path / NAME, {"models": whole_dump()["models"]})
    (folder / "tasks.json").write_text(text)
    with pytest.raises(DumpError, match=message):
        Imported(folder, tmp_path / "store")
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("likes", "12", "likes: expected Int64, got str '12'"),
        ("likes", 1.5, "likes: expected Int64, got float '1.5'"),
        ("createdAt", "yesterday", "createdAt: expected a date, got 'yesterday'"),
        ("createdAt", "2024-13-01", "createdAt: expected a date"),
        ("createdAt", 1734220800, "createdAt: expected String, got int"),
        ("libraries", "Transformers", r"libraries: expected List\(String\), got str"),
        ("libraries", ["Transformers", 3], r"libraries.1: expected List\(String\), got int"),
        ("description", {"text": "x"}, "description: expected String, got dict"),
    ],
)
def test_an_attribute_of_the_wrong_type_is_named_with_file_and_record(
    take, attribute, value, message
):
    with pytest.raises(DumpError, match=rf"models\.json, record 2.*: {message}"):
        take({"models": [model("ada/a"), model("ada/b", **{attribute: value})]})


def test_a_record_of_a_relation_with_other_keys_is_named(take):
    records = {"model_finetune_model": [{"base_model": "ada/a", "model_id": "ada/b"}]}
    with pytest.raises(DumpError, match=r"record 1 at byte 6: base_model_id: .* got nothing"):
        take(records)


def test_a_zip_that_is_broken_is_named(tmp_path):
    path = zipped(write_dump(tmp_path / "f", whole_dump()), tmp_path / f"{NAME}.zip")
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(DumpError, match=r"\.json: "):
        Imported(path, tmp_path / "store")
    path.write_bytes(content[:500])
    with pytest.raises(DumpError, match=rf"{NAME}\.zip: "):
        Imported(path, tmp_path / "store")


def test_a_folder_without_any_of_the_files_is_refused(tmp_path):
    (tmp_path / "notes.json").write_text("[]")
    with pytest.raises(DumpError, match="none of a dump's 38 files"):
        Imported(tmp_path, tmp_path / "store")


def test_a_key_that_is_not_known_is_told_and_does_no_harm(take, caplog):
    with caplog.at_level(logging.WARNING):
        taken = take({"orgs": [{"id": "acme", "full_name": "ACME"}]})
    assert "keys that are not read: full_name; keys that are missing: fullname" in caplog.text
    assert taken.entity("organization")["id"].to_list() == ["acme"]


# --- inconsistencies -----------------------------------------------------------------------------


def test_an_end_that_no_file_has_is_rejected_downstream_and_counted(take):
    records = whole_dump()
    records["model_finetune_model"] += edges("model_finetune_model", ("gone/base", "acme/tuned"))
    records["user_like_space"] += edges("user_like_space", ("nobody", "bob/demo"))
    records["model_definedFor_task"] += edges("model_definedFor_task", ("ada/base", "no-task"))
    taken = take(records)
    for relation, pair, reason in (
        ("model_finetune_model", ("gone/base", "acme/tuned"), "subject_missing"),
        ("user_like_space", ("nobody", "bob/demo"), "subject_missing"),
        ("model_definedFor_task", ("ada/base", "no-task"), "object_missing"),
    ):
        assert taken.rejected(relation) == [(*pair, reason)]
    assert taken.pairs("model_definedFor_task") == sorted(
        tuple(record.values()) for record in whole_dump()["model_definedFor_task"]
    )


def test_an_edge_without_a_row_and_a_second_record_of_an_id_are_set_aside_and_counted(take):
    records = whole_dump()
    records["models"].append(model("ada/base", likes=99))
    records["model_cite_paper"] += edges("model_cite_paper", ("gone/model", "2405.00001"))
    records["user_publish_space"] += edges("user_publish_space", ("ada", "bob/demo"))
    taken = take(records)
    aside = SUMMARIES["set_aside"].rows(taken.warehouse, DAY).collect()
    assert aside.select("stage", "index", "column", "got").rows() == [
        ("model_cite_paper", 3, "model_id", "gone/model"),
        ("models", 6, "id", "ada/base"),
        ("user_publish_space", 2, "space_id", "bob/demo"),
    ]
    assert taken.hub("models").filter(id="ada/base")["likes"].to_list() == [1]
    assert taken.pairs("user_publish_space") == [("bob", "bob/demo")]
    table = coverage_of(taken.warehouse, DAY).collect()
    assert not judge_coverage(table).passed
    assert judge_coverage(table).metadata["set_aside"].value == 3


def test_a_repeated_edge_is_rejected_as_duplicate(take):
    records = whole_dump()
    records["model_cite_paper"] *= 2
    rejected = take(records).rejected("model_cite_paper")
    assert [reason for _, _, reason in rejected] == ["duplicate", "duplicate"]


def test_a_free_tag_never_becomes_an_edge_that_the_dump_does_not_have(take):
    tags = ["base_model:finetune:ada/base", "dataset:ada/corpus", "arxiv:2405.00001", "fill-mask"]
    records = whole_dump()
    records["models"].append(model("eve/other", other=[*tags, "fine", "doi:10.1/2"]))
    records["datasets"].append(dataset("eve/other", tags=["task_categories:fill-mask", "fine"]))
    taken = take(records)
    for name in v.RELATIONS:
        told = sorted(tuple(record.values()) for record in whole_dump()[name])
        assert taken.pairs(name) == told
    assert taken.entity("model").filter(id="eve/other")["other_tags"].to_list() == [["fine"]]


def test_a_label_that_no_task_has_is_no_task_and_stays_with_the_model(take):
    records = {**whole_dump(), "models": [model("ada/base", pipeline_tag=["Mind Reading"])],
               "model_definedFor_task": []}  # fmt: skip
    taken = take(records)
    assert taken.entity("task")["id"].to_list() == ["fill-mask", "text-generation"]
    assert taken.entity("model")["tasks"].to_list() == [["Mind Reading"]]
    assert taken.pairs("model_definedFor_task") == []


# --- what is told of it --------------------------------------------------------------------------


def test_coverage_has_a_stage_per_file_and_a_good_dump_passes_its_checks(imported):
    table = coverage_of(imported.warehouse, DAY).collect()
    assert sorted(table["stage"]) == sorted(FILES)
    counts = {stem: len(rows) for stem, rows in whole_dump().items()}
    for column in ("expected", "fetched", "rows"):
        assert dict(table.select("stage", column).iter_rows()) == counts
    assert table["requests"].sum() == 0
    assert dict(table.drop_nulls("counted").select("stage", "counted").iter_rows()) == {
        "user_like_model": 1, "user_like_dataset": 1, "user_like_space": 1,
    }  # fmt: skip
    assert judge_coverage(table).passed
    assert judge_counters(table).passed


def test_files_that_are_absent_are_missing_with_the_reason(take):
    taken = take({"models": whole_dump()["models"]})
    table = coverage_of(taken.warehouse, DAY).collect()
    assert table.filter(pl.col("missing") == 1)["stage"].len() == 37
    assert judge_coverage(table).passed
    ledger = SUMMARIES["ledger"].rows(taken.warehouse, DAY).collect()
    absent = ledger.filter(status="absent")
    assert absent["unit"].to_list() == [f"{s}.json" for s in sorted(FILES) if s != "models"]
    assert set(absent["reason"]) == {"the dump has no such file"}
    assert set(ledger["origin"]) == {f"dump {NAME}"}


def test_edges_of_what_the_dump_has_no_file_of_are_missing_and_not_lost_silently(take):
    taken = take({"model_finetune_model": whole_dump()["model_finetune_model"]})
    row = coverage_of(taken.warehouse, DAY).collect().filter(stage="model_finetune_model")
    assert row.select("expected", "fetched", "missing", "rows").row(0) == (2, 0, 2, 0)
    ledger = SUMMARIES["ledger"].rows(taken.warehouse, DAY).collect()
    reason = ledger.filter(stage="model_finetune_model")["reason"].item()
    assert reason.startswith("not read: the dump has no file")


def test_likes_that_the_counters_promise_and_the_file_lacks_make_the_check_warn(take):
    records = whole_dump()
    records["models"][4]["likes"] = 100
    table = coverage_of(take(records).warehouse, DAY).collect()
    assert not judge_counters(table).passed


# --- settings and runs ---------------------------------------------------------------------------


def environment(path, root, **more):
    return {"HFKG_SOURCE": "dump", "HFKG_DUMP": str(path), "HFKG_ROOT": str(root), **more}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"HFKG_DUMP": ""}, "HFKG_DUMP"),
        ({"HFKG_DUMP": "no/such/folder"}, "HFKG_DUMP"),
        ({"HFKG_DUMP_DATE": "December"}, "HFKG_DUMP_DATE"),
        ({"HFKG_SCOPE": "limit:10"}, "HFKG_SCOPE"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_at_load_and_named(tmp_path, settings, named):
    folder = write_dump(tmp_path / NAME, {"tasks": []})
    with pytest.raises((SettingError, ValidationError), match=named):
        build_defs({**environment(folder, tmp_path), **settings})


def test_a_name_without_a_date_needs_one_given(tmp_path):
    folder = write_dump(tmp_path / "my_dump", {"tasks": []})
    with pytest.raises((SettingError, ValidationError), match="HFKG_DUMP_DATE is needed"):
        build_defs(environment(folder, tmp_path))
    hub = resources(environment(folder, tmp_path, HFKG_DUMP_DATE="2025-01-02"))["hub"]
    hub.expect_day("2025-01-02")


@pytest.mark.parametrize("name", [NAME, f"{NAME}.zip", "snapshot_date=2024-12-15"])
def test_the_name_tells_the_date_and_another_day_is_refused_naming_both(tmp_path, name):
    path = write_dump(tmp_path / "files", {"tasks": []}).rename(tmp_path / name)
    hub = resources(environment(path, tmp_path))["hub"]
    hub.expect_day(DAY)
    with pytest.raises(OtherDay, match=r"2024-12-15.*2025-03-01"):
        hub.expect_day("2025-03-01")


def run(settings, selection, day=DAY, **options):
    defs = build_defs(settings)
    job = dg.define_asset_job("only", selection=selection)
    return (
        dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
        .resolve_job_def("only")
        .execute_in_process(partition_key=day, **options)
    )


HUB = dg.AssetSelection.groups("hub") | dg.AssetSelection.checks_for_assets(
    dg.AssetKey(["hub", "coverage"])
)


def test_another_day_than_the_dumps_is_refused_before_anything_is_read(tmp_path):
    folder = write_dump(tmp_path / NAME, {"tasks": []})
    (folder / "models.json").write_text("broken")
    result = run(environment(folder, tmp_path / "s"), HUB, "2025-03-01", raise_on_error=False)
    assert not result.success
    failure = result.get_step_failure_events()[0].step_failure_data.error
    assert "2024-12-15" in failure.cause.message
    assert "2025-03-01" in failure.cause.message


def test_a_run_takes_a_dump_in_through_the_assets_and_their_checks_pass(tmp_path):
    folder = write_dump(tmp_path / NAME, whole_dump())
    result = run(environment(folder, tmp_path / "store"), HUB)
    assert result.success
    assert [check.check_name for check in result.get_asset_check_evaluations()]
    assert all(check.passed for check in result.get_asset_check_evaluations())
    metadata = result.asset_materializations_for_node("crawl_hub")
    assert {m.metadata["hfkg/dump"].value for m in metadata if "hfkg/dump" in m.metadata} == {NAME}
    assert not (tmp_path / "store" / ".dump" / DAY).exists()


def test_a_broken_dump_replaces_no_table_of_the_date(tmp_path):
    folder = write_dump(tmp_path / NAME, whole_dump())
    settings = environment(folder, tmp_path / "store")
    assert run(settings, HUB).success
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.parquet")}
    text = (folder / "user_own_collection.json").read_text()
    (folder / "user_own_collection.json").write_text(text[:-5])
    result = run(settings, HUB, raise_on_error=False)
    assert not result.success
    assert "user_own_collection.json, record 1" in (
        result.get_step_failure_events()[0].step_failure_data.error.cause.message
    )
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*.parquet")}


def test_a_crawl_never_carries_over_from_a_dump_and_leaves_nothing_of_it_in_the_coverage(tmp_path):
    folder = write_dump(tmp_path / NAME, whole_dump())
    settings = environment(folder, tmp_path / "store")
    assert run(settings, HUB).success
    warehouse = resources(settings)["warehouse"]
    sample = {"HFKG_ROOT": settings["HFKG_ROOT"], "HFKG_SAMPLE_REPOSITORIES": "60"}
    origin = resources(sample)["hub"].origin
    assert Before.find(warehouse, "2024-12-16", origin, FILES_OF_HUB) is None
    assert run(sample, HUB).success
    stages = set(warehouse.scan("hub/coverage", DAY).collect()["stage"])
    assert not stages & (
        set(FILES) - {"models", "datasets", "spaces", "tasks", "collections", "papers"}
    )
    assert set(warehouse.scan("hub/ledger", DAY).collect()["origin"]) == {origin}
    assert run(settings, HUB).success
    assert set(warehouse.scan("hub/coverage", DAY).collect()["stage"]) == set(FILES)
