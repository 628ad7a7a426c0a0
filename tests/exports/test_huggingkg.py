"""`export/huggingkg`: HuggingKG's files, key for key and byte for byte."""

import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from hfkg_assets import vocabulary as v
from hfkg_assets.definitions import build_defs
from hfkg_assets.exports import huggingkg as hk
from hfkg_assets.exports import json_array
from hfkg_assets.exports.folder import Snapshot
from hfkg_assets.hub import observations
from hfkg_resources.settings import SettingError
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import MissingTable, Warehouse

DAY = "2026-11-20"
REPOSITORY = ["id", "name", "createdAt", "lastModified", "downloads", "likes"]
KEYS = {
    "tasks": ["id", "label"],
    "models": [
        *REPOSITORY, "region", "other", "libraries", "license", "languages", "pipeline_tag",
        "description",
    ],
    "datasets": [
        *REPOSITORY, "libraries", "license", "languages", "other", "sub-tasks", "tasks", "size",
        "formats", "modalities", "tags", "description",
    ],
    "spaces": ["id", "name", "createdAt", "lastModified", "likes", "tags"],
    "papers": ["id", "authors", "publishedAt", "title", "summary", "upvotes"],
    "collections": ["slug", "title", "upvotes", "description"],
    "users": ["id", "fullname"],
    "orgs": ["id", "fullname"],
}  # fmt: skip
"""HuggingKG's keys, in its order."""

ODD_TEXTS = [
    "",
    'quotes " and \\ backslashes \\n \\u0041',
    "lines\nend\r\nin\rseveral\x0bways\x0c\x85\u2028\u2029",
    "".join(map(chr, range(0x20))) + "\x7f",
    "中文 العربية हिन्दी עברית ру́сский ﬀ é",
    "🤗 👩‍🔬 𝔸 \U0010ffff \uffff \ue000",
    "[\n    {}\n],",
    "tab\tcomma,semicolon;colon:'apostrophe' <b>&amp;</b> / null true 1e5",
]


def at(*moment, ms=0):
    return datetime(*moment, ms * 1000, tzinfo=UTC)


class Store:
    """A snapshot made by hand: every table empty but for the rows given."""

    def __init__(self, root):
        self.snapshot = Snapshot(Warehouse(root=str(root)), DAY)
        self.folder = root / "out"
        self.folder.mkdir()
        for name, entity in v.ENTITIES.items():
            self.put(f"entity/{name}", entity.columns)
        for name, relation in v.RELATIONS.items():
            self.put(f"verified/{name}", relation.columns)
        self.put("hub/tags", observations.TAGS)
        for cards in hk.CARDS.values():
            self.put(cards, observations.CARDS)

    def put(self, table, columns, *rows):
        frame = pl.DataFrame(list(rows), schema=schema_of(columns))
        self.snapshot.warehouse.write(table, DAY, frame, row_group_rows=2)
        return self

    def entities(self, name, *rows):
        return self.put(f"entity/{name}", v.ENTITIES[name].columns, *rows)

    def edges(self, name, *pairs):
        rows = [{"subject_id": subject, "object_id": object_} for subject, object_ in pairs]
        return self.put(f"verified/{name}", v.RELATIONS[name].columns, *rows)

    def tags(self, *tags):
        names = ("kind", "type", "id", "label")
        rows = [dict(zip(names, tag, strict=True)) for tag in tags]
        return self.put("hub/tags", observations.TAGS, *rows)

    def cards(self, kind, texts):
        rows = [
            {"_id": i, "id": i, "status": "ok", "bytes": len((text or "").encode()), "text": text}
            for i, text in sorted(texts.items())
        ]
        return self.put(hk.CARDS[kind], observations.CARDS, *rows)

    def export(self, compat="default"):
        self.told = hk.write_huggingkg(self.snapshot, self.folder, compat)
        return {file.stem: json.loads(file.read_bytes()) for file in self.folder.glob("*.json")}

    def bytes(self):
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def assert_written_as_json_dump_writes(folder):
    for file in folder.glob("*.json"):
        written = file.read_bytes()
        expected = io.StringIO()
        json.dump(json.loads(written), expected, indent=4)
        assert written == expected.getvalue().encode("ascii"), file.name


# --- text ----------------------------------------------------------------------------------------


def test_an_odd_text_is_escaped_as_python_escapes_it():
    assert json_array.quoted(pl.Series(ODD_TEXTS)).to_list() == [json.dumps(t) for t in ODD_TEXTS]


def test_every_character_of_the_basic_plane_is_escaped_as_python_escapes_it():
    characters = [chr(c) for c in range(0x10000) if not 0xD800 <= c < 0xE000]
    assert json_array.quoted(pl.Series(characters)).to_list() == list(map(json.dumps, characters))


def test_records_of_any_shape_are_the_bytes_of_json_dump(tmp_path):
    rows = {
        'odd "key" é': [*ODD_TEXTS, None],
        "list": [[], None, ["a"], [ODD_TEXTS[3]], ODD_TEXTS, ["", ""], [None, "b"], [None], ["\n"]],
        "number": [0, -1, None, 2**62, 5, 6, 7, 8, 9],
    }
    frame = pl.DataFrame(rows)
    key, *_ = frame.columns
    record = json_array.record(
        {
            key: json_array.string(pl.col(key)),
            "list": json_array.strings(pl.col("list")),
            "number": json_array.integer(pl.col("number")),
        }
    )
    chunks = [frame[:0], frame[:4], frame[4:5], frame[5:5], frame[5:]]
    file = tmp_path / "records.json"
    assert json_array.write_array(file, (chunk.select(record) for chunk in chunks)) == 9
    expected = [
        row | {"list": [text for text in row["list"] or [] if text is not None]}
        for row in frame.iter_rows(named=True)
    ]
    assert file.read_text("ascii") == json.dumps(expected, indent=4)


def test_no_records_are_an_empty_array(tmp_path):
    assert json_array.write_array(tmp_path / "none.json", []) == 0
    assert (tmp_path / "none.json").read_bytes() == json.dumps([], indent=4).encode()


# --- files and keys ------------------------------------------------------------------------------


def test_an_empty_snapshot_gives_all_38_files_and_an_empty_list_of_triples(store):
    exported = store.export()
    files = {f"{entity.file}.json" for entity in v.ENTITIES.values()}
    files |= {f"{name}.json" for name in v.RELATIONS}
    assert len(files) == 38
    assert set(store.bytes()) == files | {"triples.txt"}
    assert all(records == [] for records in exported.values())
    assert store.bytes()["triples.txt"] == b""


def test_records_have_huggingkgs_keys_in_its_order_and_null_or_nothing_where_all_is_unknown(store):
    for name, entity in v.ENTITIES.items():
        store.entities(name, {entity.columns[0].name: "a/b" if name != "task" else "t"})
    exported = store.export()
    assert {file: list(records[0]) for file, records in exported.items() if records} == KEYS
    lists = {
        "other", "libraries", "languages", "pipeline_tag", "sub-tasks", "tasks", "formats",
        "modalities", "tags", "authors",
    }  # fmt: skip
    (model,) = exported["models"]
    assert {key for key, value in model.items() if value is None} == set(KEYS["models"]) - {
        "id", *lists,
    }  # fmt: skip
    for file in KEYS:
        (record,) = exported[file]
        assert all(record[key] == [] for key in lists & set(record)), file
    assert exported["spaces"][0]["likes"] == 0  # as HuggingKG writes where the Hub tells none
    assert exported["papers"][0]["upvotes"] == exported["collections"][0]["upvotes"] == 0


def test_edges_have_the_two_keys_of_their_relation_and_triples_list_them_all(store):
    for name in v.RELATIONS:
        store.edges(name, ("a/b", "c"), ("a/b", "c-2"), ("é", 'q"'))
    exported = store.export()
    expected = []
    for name, relation in v.RELATIONS.items():
        subject, object_ = relation.keys
        assert exported[name] == [
            {subject: "a/b", object_: "c"},
            {subject: "a/b", object_: "c-2"},
            {subject: "é", object_: 'q"'},
        ]
        expected += [f"a/b\t{name}\tc", f"a/b\t{name}\tc-2", f'é\t{name}\tq"']
    text = store.bytes()["triples.txt"].decode("utf-8")
    assert text == "".join(f"{line}\n" for line in expected)
    assert store.told["triples.txt"] == 90
    assert_written_as_json_dump_writes(store.folder)


def test_a_slug_that_would_break_a_line_of_triples_stays_on_it_and_whole_in_json(store):
    slug = "ada/a\tb\nc\rd"
    store.edges("user_own_collection", ("ada", slug))
    exported = store.export()
    assert exported["user_own_collection"] == [{"user_id": "ada", "collection_slug": slug}]
    assert store.bytes()["triples.txt"] == b"ada\tuser_own_collection\tada/a\\tb\\nc\\rd\n"


def test_odd_texts_pass_through_every_text_of_every_entity_unharmed(store):
    ids = sorted(f"{text}/x" for text in ODD_TEXTS)
    for name, entity in v.ENTITIES.items():
        rows = [
            {
                column.name: id_
                if column.dtype == pl.String
                else ODD_TEXTS
                if column.dtype == pl.List(pl.String)
                else None
                for column in entity.columns
            }
            for id_ in ids
        ]
        store.entities(name, *rows)
    for kind in hk.CARDS:
        store.cards(kind, {id_: f"card of {id_}" for id_ in ids})
    exported = store.export()
    assert_written_as_json_dump_writes(store.folder)
    for file in KEYS:
        for id_, record in zip(ids, exported[file], strict=True):
            for key, value in record.items():
                if isinstance(value, list):
                    assert value == ([] if (file, key) == ("datasets", "other") else ODD_TEXTS)
                elif isinstance(value, str):
                    card = key == "description" and file in ("models", "datasets")
                    assert value == (f"card of {id_}" if card else id_), (file, key)


# --- values --------------------------------------------------------------------------------------


def test_dates_are_pythons_isoformat_and_keep_their_milliseconds(store):
    whole, exact = at(2024, 12, 15, 10), at(2022, 3, 2, 23, 29, 4, ms=7)
    for name in ("model", "dataset", "space"):
        store.entities(name, {"id": "a/b", "created_at": exact, "last_modified_at": whole})
    exported = store.export()
    for file in ("models", "datasets", "spaces"):
        (record,) = exported[file]
        assert record["createdAt"] == exact.isoformat() == "2022-03-02T23:29:04.007000+00:00"
        assert record["lastModified"] == whole.isoformat() == "2024-12-15T10:00:00+00:00"


def test_a_papers_date_is_written_as_the_hub_writes_it(store):
    store.entities("paper", {"id": "2505.17507", "published_at": at(2025, 5, 23, 6, 0, 1)})
    assert store.export()["papers"][0]["publishedAt"] == "2025-05-23T06:00:01.000Z"


def test_strict_leaves_the_dates_of_spaces_null_and_nothing_else_differs(store):
    moment = {"created_at": at(2024, 1, 2), "last_modified_at": at(2024, 1, 3)}
    for name in ("model", "dataset", "space"):
        store.entities(name, {"id": "a/b", **moment})
    default, strict = store.export(), store.export("strict")
    assert default["spaces"][0]["createdAt"] == "2024-01-02T00:00:00+00:00"
    default["spaces"][0] |= {"createdAt": None, "lastModified": None}
    assert strict == default


def test_models_show_labels_and_the_id_where_no_label_is_known(store):
    store.entities("task", {"id": "text-generation", "label": "Text Generation"})
    store.tags(
        ("model", "region", "region:us", "🇺🇸 Region: US"),
        ("model", "license", "license:mit", "MIT"),
        ("model", "library", "transformers", "Transformers"),
        ("model", "language", "transformers", "a language of that name"),
        ("model", "language", "en", "English"),
        ("model", "other", "endpoints_compatible", "Inference Endpoints"),
        ("model", "other", "nameless", None),
        ("dataset", "other", "custom_code", "another kind's label"),
    )
    store.entities(
        "model",
        {
            "id": "a/known",
            "region": "us",
            "license": "mit",
            "libraries": ["transformers", "own-lib"],
            "languages": ["xx", "en"],
            "other_tags": ["endpoints_compatible", "custom_code", "nameless"],
            "tasks": ["text-generation", "no-task"],
        },
        {"id": "a/unknown", "region": "eu", "license": "own"},
    )
    known, unknown = store.export()["models"]
    assert known["region"] == "🇺🇸 Region: US"
    assert known["license"] == "MIT"
    assert known["libraries"] == ["Transformers", "own-lib"]
    assert known["languages"] == ["xx", "English"]
    assert known["other"] == ["Inference Endpoints", "custom_code", "nameless"]
    assert known["pipeline_tag"] == ["Text Generation", "no-task"]
    assert (unknown["region"], unknown["license"]) == ("eu", "own")


def test_datasets_show_labels_but_ids_of_tasks_and_free_tags_stand_apart_from_listed_ones(store):
    store.entities("task", {"id": "question-answering", "label": "Question Answering"})
    store.tags(
        ("dataset", "license", "license:mit", "MIT"),
        ("dataset", "library", "library:polars", "Polars"),
        ("dataset", "language", "language:en", "English"),
        ("dataset", "other", "art", "Art"),
        ("dataset", "task_ids", "task_ids:extractive-qa", "extractive QA"),
        ("dataset", "task_categories", "task_categories:question-answering", "Question Answering"),
        ("dataset", "size_categories", "size_categories:1K<n<10K", "1K - 10K"),
        ("dataset", "format", "format:parquet", "Parquet"),
        ("dataset", "modality", "modality:text", "Text"),
        ("model", "other", "free", "a label of models"),
    )
    store.entities(
        "dataset",
        {
            "id": "a/b",
            "license": "mit",
            "libraries": ["polars", "dask"],
            "languages": ["en"],
            "other_tags": ["free", "art", "free"],
            "sub_tasks": ["extractive-qa"],
            "tasks": ["question-answering"],
            "size": "1K<n<10K",
            "formats": ["parquet"],
            "modalities": ["text", "audio"],
        },
    )
    (record,) = store.export()["datasets"]
    assert {key: record[key] for key in KEYS["datasets"][6:-1]} == {
        "libraries": ["Polars", "dask"],
        "license": "MIT",
        "languages": ["English"],
        "other": ["Art"],
        "sub-tasks": ["extractive QA"],
        "tasks": ["question-answering"],
        "size": "1K - 10K",
        "formats": ["Parquet"],
        "modalities": ["Text", "audio"],
        "tags": ["free", "free"],
    }


def test_a_description_is_the_readmes_text_and_null_only_where_there_is_none(store):
    texts = {"a/empty": "", "a/full": "# Card\r\n🤗\n", "a/withheld": None, "b/not-a-model": "x"}
    ids = ["a/empty", "a/full", "a/no-card", "a/withheld"]
    for kind in hk.CARDS:
        store.cards(kind, texts).entities(kind, *({"id": id_} for id_ in ids))
    exported = store.export()
    for file in ("models", "datasets"):
        assert [record["description"] for record in exported[file]] == [
            "", "# Card\r\n🤗\n", None, None,
        ]  # fmt: skip


# --- batches -------------------------------------------------------------------------------------


def many(store):
    ids = [f"a/{number:04}" for number in range(500)]
    store.entities("model", *({"id": id_, "likes": n} for n, id_ in enumerate(ids)))
    store.cards("model", {id_: "text of " * (n % 50) for n, id_ in enumerate(ids) if n % 3})
    store.edges("user_like_model", *(("ada", id_) for id_ in ids))
    return ids


def test_the_files_do_not_depend_on_how_many_rows_and_bytes_are_held_at_once(store, monkeypatch):
    ids = many(store)
    exported = store.export()
    assert [record["id"] for record in exported["models"]] == ids
    assert exported["models"][49]["description"] == "text of " * 49
    at_once = store.bytes()
    parts = []
    described = hk.with_descriptions

    def counted(*arguments):
        for part in described(*arguments):
            parts.append(part.height)
            yield part

    monkeypatch.setattr(hk, "with_descriptions", counted)
    monkeypatch.setattr(hk, "ROWS", 64)
    monkeypatch.setattr(hk, "TEXT_BYTES", 1_000)
    store.export()
    assert store.bytes() == at_once
    assert max(parts) < 64 < len(parts)
    assert_written_as_json_dump_writes(store.folder)


@pytest.mark.parametrize("rows", [64, 50_000])
def test_a_table_that_is_not_sorted_is_refused_not_written(store, monkeypatch, rows):
    ids = many(store)
    monkeypatch.setattr(hk, "ROWS", rows)
    store.entities("model", *({"id": id_} for id_ in (*ids[64:], *ids[:64])))
    with pytest.raises(hk.UnsortedTable, match=f"entity/model of snapshot {DAY}"):
        store.export()
    store.entities("model").edges("user_like_model", ("ada", "b"), ("ada", "a"))
    with pytest.raises(hk.UnsortedTable, match="verified/user_like_model"):
        store.export()


def test_a_table_that_is_missing_is_named(store):
    store.snapshot.warehouse.path("hub/tags", DAY).unlink()
    with pytest.raises(MissingTable, match="hub/tags"):
        store.export()


# --- the asset -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(exports):
    return exports.make("huggingkg")


def records(folder, file):
    return json.loads((folder / f"{file}.json").read_bytes())


def test_the_asset_tells_records_of_each_file_bytes_seconds_and_compat(exports):
    folder = exports.make("huggingkg")
    told = {key: value.value for key, value in exports.told.items()}
    assert told["hfkg/compat"] == "default"
    assert told["hfkg/seconds"] > 0
    assert told["hfkg/bytes"] == sum(file.stat().st_size for file in folder.iterdir())

    def rows(table):
        return exports.snapshot.scan(table).select(pl.len()).collect().item()

    edges = {f"{name}.json": rows(f"verified/{name}") for name in v.RELATIONS}
    entities = {
        f"{entity.file}.json": rows(f"entity/{name}") for name, entity in v.ENTITIES.items()
    }
    assert all(edges.values())
    assert told["hfkg/records"] == edges | entities | {"triples.txt": sum(edges.values())}


def test_the_sample_is_exported_as_json_dump_would_and_a_second_time_the_same(exports, folder):
    assert_written_as_json_dump_writes(folder)
    first, second = (
        {file.name: file.read_bytes() for file in place.iterdir()}
        for place in (folder, exports.make("huggingkg"))
    )
    assert first == second
    lines = first["triples.txt"].decode().splitlines()
    pairs = {name: [tuple(e.values()) for e in records(folder, name)] for name in v.RELATIONS}
    assert lines == [f"{s}\t{name}\t{o}" for name, edges in pairs.items() for s, o in edges]


@pytest.mark.parametrize(
    ("environment", "launchpad", "compat"),
    [
        ({}, {"compat": "strict"}, "strict"),
        ({"HFKG_EXPORT_COMPAT": "strict"}, {}, "strict"),
        ({"HFKG_EXPORT_COMPAT": "strict"}, {"compat": "default"}, "default"),
    ],
)
def test_compat_comes_from_the_environment_or_the_launchpad_which_has_the_last_word(
    exports, monkeypatch, environment, launchpad, compat
):
    monkeypatch.setattr(exports, "environment", exports.environment | environment)
    folder = exports.make("huggingkg", **launchpad)
    assert exports.told["hfkg/compat"].value == compat
    dated = [record["createdAt"] is not None for record in records(folder, "spaces")]
    assert all(dated) if compat == "default" else not any(dated)


def test_an_unknown_compat_is_refused_at_load_and_in_the_launchpad(exports):
    with pytest.raises(SettingError, match=r"HFKG_EXPORT_COMPAT='loose'.*default, strict"):
        build_defs({"HFKG_EXPORT_COMPAT": "loose"})
    with pytest.raises(dg.DagsterInvalidConfigError, match="loose"):
        exports.make("huggingkg", compat="loose")


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_repositories_are_those_of_huggingkgs_rules_over_the_raw_records(snapshot, folder, kind):
    """HuggingKG's way, tag by tag, over what the Hub answered."""
    tags = snapshot.scan("hub/tags").filter(kind=kind).collect()
    types = {row["id"]: (row["type"], row["label"]) for row in tags.iter_rows(named=True)}
    cards = dict(snapshot.scan(f"hub/{kind}_cards").select("id", "text").collect().iter_rows())
    sort_tags = {"model": model_tags, "dataset": dataset_tags}[kind]
    raw = snapshot.scan(f"hub/{kind}s").unique("id", keep="first", maintain_order=True)
    expected = [
        {
            "id": row["id"],
            "name": row["id"].split("/")[-1],
            "createdAt": row["createdAt"].isoformat(),
            "lastModified": row["lastModified"].isoformat(),
            "downloads": row["downloads"],
            "likes": row["likes"],
            **sort_tags(row, types),
            "description": cards.get(row["id"]),
        }
        for row in raw.sort("id").collect().iter_rows(named=True)
    ]
    assert records(folder, f"{kind}s") == expected


def model_tags(row, types):
    found = {"region": None, "other": [], "libraries": [], "license": None, "languages": []}
    found["pipeline_tag"] = shown = []
    if row["pipeline_tag"]:
        shown.append(types.get(row["pipeline_tag"], (None, row["pipeline_tag"]))[1])
    for tag in row["tags"]:
        if tag.startswith(("dataset:", "arxiv:", "base_model:")):
            continue
        tag_type, label = types.get(tag, ("other", tag))
        if tag_type in ("region", "license"):
            found[tag_type] = label
        elif tag_type in ("library", "language", "other"):
            found[{"library": "libraries", "language": "languages"}.get(tag_type, "other")] += [
                label
            ]
        elif tag_type == "pipeline_tag" and tag != row["pipeline_tag"]:
            shown.append(label)
    return found


def dataset_tags(row, types):
    places = {
        "library": "libraries", "license": "license", "language": "languages", "other": "other",
        "task_ids": "sub-tasks", "task_categories": "tasks", "size_categories": "size",
        "format": "formats", "modality": "modalities", "tag": "tags",
    }  # fmt: skip
    found = {key: None if key in ("license", "size") else [] for key in places.values()}
    for tag in row["tags"]:
        tag_type, label = types.get(tag, ("tag", tag))
        if tag_type == "task_categories":
            label = tag.partition(":")[2]
        if tag.startswith("arxiv:") or tag_type not in places:
            continue
        place = places[tag_type]
        if place in ("license", "size"):
            found[place] = label
        else:
            found[place].append(label)
    return found


# --- size ----------------------------------------------------------------------------------------

EXPORT_AND_TELL_PEAK = """
import sys
from pathlib import Path
from hfkg_assets.exports.folder import Snapshot
from hfkg_assets.exports.huggingkg import write_huggingkg
from hfkg_resources.warehouse import Warehouse
root, day, out = sys.argv[1:]
write_huggingkg(Snapshot(Warehouse(root=root), day), Path(out), "default")
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


def fill(store, models):
    """So many models, each with a card of 5 kB and ten likes."""
    number = pl.int_range(models, eager=True).cast(pl.String).str.zfill(9)
    ids = pl.DataFrame({"id": "ada/" + number, "_id": number})
    lines = pl.lit('# A "card" of many lines 🤗\n' * 170)
    cards = ids.lazy().with_columns(text=pl.concat_str(lines, "id"), bytes=5_000)
    likes = pl.concat(
        ids.lazy().select(subject_id=pl.lit(f"user-{n}"), object_id="id") for n in range(10)
    )
    for table, columns, rows, row_group in (
        ("entity/model", v.ENTITIES["model"].columns, ids.lazy(), 50_000),
        (hk.CARDS["model"], observations.CARDS, cards, 1_000),
        ("verified/user_like_model", v.RELATIONS["user_like_model"].columns, likes, 50_000),
    ):
        known = rows.collect_schema()
        whole = rows.select(
            (pl.col(c.name) if c.name in known else pl.lit(None, c.dtype)).alias(c.name)
            for c in columns
        )
        store.snapshot.warehouse.write(table, DAY, whole, row_group)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_snapshot(tmp_path):
    peaks = []
    for models in (20_000, 60_000):
        root = tmp_path / str(models)
        root.mkdir()
        store = Store(root)
        fill(store, models)
        arguments = [sys.executable, "-c", EXPORT_AND_TELL_PEAK, str(root), DAY, str(store.folder)]
        told = subprocess.run(arguments, capture_output=True, text=True, check=True)
        peaks.append(int(told.stdout))  # KiB
        written = sum(file.stat().st_size for file in store.folder.iterdir())
        assert written > models * 6_000
        shutil.rmtree(root)
    small, large = peaks
    assert large < small + 150 * 1024, peaks
