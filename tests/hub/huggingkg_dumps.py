"""Small HuggingKG dumps made by hand, and what becomes of them."""

import json
import logging
import zipfile
from pathlib import Path

import polars as pl

from hfkg_assets import vocabulary as v
from hfkg_assets.exports.folder import Snapshot
from hfkg_assets.exports.huggingkg import write_huggingkg
from hfkg_assets.hub.crawl import TABLES
from hfkg_assets.hub.dump import DumpImport
from hfkg_assets.knowledge_graph.entities import BUILDERS, build_entity
from hfkg_assets.knowledge_graph.relations import observe
from hfkg_assets.knowledge_graph.verification import Verdict, verify
from hfkg_resources.huggingkg_dump import Dump
from hfkg_resources.warehouse import Warehouse

DAY = "2024-12-15"
NAME = "HuggingKG_V20241215103000"


def model(repo_id, **attributes):
    return {
        "id": repo_id, "name": repo_id.rpartition("/")[2],
        "createdAt": "2024-03-01T12:00:00+00:00", "lastModified": "2024-04-01T12:00:00+00:00",
        "downloads": 7, "likes": 1, "region": "🇺🇸 Region: US", "other": [], "libraries": [],
        "license": "apache-2.0", "languages": [], "pipeline_tag": [], "description": None,
        **attributes,
    }  # fmt: skip


def dataset(repo_id, **attributes):
    return {
        "id": repo_id, "name": repo_id.rpartition("/")[2],
        "createdAt": "2024-02-01T12:00:00+00:00", "lastModified": "2024-02-02T12:00:00+00:00",
        "downloads": 3, "likes": 1, "libraries": [], "license": None, "languages": [],
        "other": [], "sub-tasks": [], "tasks": [], "size": None, "formats": [],
        "modalities": [], "tags": [], "description": None, **attributes,
    }  # fmt: skip


def space(repo_id, **attributes):
    return {
        "id": repo_id, "name": repo_id.rpartition("/")[2], "createdAt": None,
        "lastModified": None, "likes": 1, "tags": ["gradio"], **attributes,
    }  # fmt: skip


def edges(relation, *pairs):
    return [dict(zip(v.RELATIONS[relation].keys, pair, strict=True)) for pair in pairs]


def whole_dump():
    """All 38 files of a world of a dozen things, no relation of it empty: records by stem."""
    pairs = {
        "model_definedFor_task": [("ada/base", "text-generation"), ("ada/base", "fill-mask"),
                                  ("acme/tuned", "text-generation")],
        "model_adapter_model": [("ada/base", "acme/adapter")],
        "model_finetune_model": [("ada/base", "acme/tuned"), ("acme/adapter", "acme/tuned")],
        "model_merge_model": [("ada/base", "acme/merged"), ("acme/tuned", "acme/merged")],
        "model_quantized_model": [("acme/tuned", "acme/tuned-gguf")],
        "model_trainedOrFineTunedOn_dataset": [("acme/tuned", "ada/corpus")],
        "model_cite_paper": [("ada/base", "2405.00001"), ("acme/tuned", "1910.09700")],
        "dataset_definedFor_task": [("ada/corpus", "fill-mask"),
                                    ("ada/corpus", "text-generation")],
        "dataset_cite_paper": [("ada/corpus", "2405.00001")],
        "space_use_model": [("bob/demo", "ada/base"), ("bob/demo", "acme/tuned")],
        "space_use_dataset": [("bob/demo", "ada/corpus")],
        "collection_contain_model": [("bob/best-0123", "ada/base")],
        "collection_contain_dataset": [("bob/best-0123", "ada/corpus")],
        "collection_contain_space": [("bob/best-0123", "bob/demo")],
        "collection_contain_paper": [("acme/papers-4567", "2405.00001")],
        "user_publish_model": [("ada", "ada/base")],
        "user_publish_dataset": [("ada", "ada/corpus")],
        "user_publish_space": [("bob", "bob/demo")],
        "user_publish_paper": [("ada", "2405.00001"), ("bob", "2405.00001")],
        "user_own_collection": [("bob", "bob/best-0123")],
        "user_like_model": [("bob", "ada/base")],
        "user_like_dataset": [("bob", "ada/corpus")],
        "user_like_space": [("ada", "bob/demo")],
        "user_follow_user": [("ada", "bob")],
        "user_affiliatedWith_org": [("ada", "acme")],
        "user_follow_org": [("bob", "acme")],
        "org_publish_model": [("acme", f"acme/{name}")
                              for name in ("adapter", "merged", "tuned", "tuned-gguf")],
        "org_publish_dataset": [("acme", "acme/tables")],
        "org_publish_space": [("acme", "acme/board")],
        "org_own_collection": [("acme", "acme/papers-4567")],
    }  # fmt: skip
    return {
        "tasks": [{"id": "fill-mask", "label": "Fill-Mask"},
                  {"id": "text-generation", "label": "Text Generation"}],
        "models": [
            model("acme/adapter", libraries=["PEFT"], likes=0),
            model("acme/merged", license=None, region=None, other=["English"], likes=0),
            model("acme/tuned", pipeline_tag=["Text Generation"], libraries=["Transformers",
                  "Safetensors"], languages=["English", "German"], likes=0,
                  other=["AutoTrain Compatible", "my-tag"], description="# Tuned\n"),
            model("acme/tuned-gguf", likes=0),
            model("ada/base", pipeline_tag=["Text Generation", "Fill-Mask"],
                  description='---\nlicense: mit\n---\nA "base" in ü, 模型, \U0001f917.'),
        ],
        "datasets": [
            dataset("acme/tables", likes=0, formats=["csv"], modalities=["Tabular"]),
            dataset("ada/corpus", tasks=["text-generation", "fill-mask"], license="mit",
                    languages=["English"], libraries=["Datasets", "pandas"], other=["Croissant"],
                    size="1K<n<10K", formats=["json"], modalities=["Text"], tags=["poems"],
                    description="All poems.", **{"sub-tasks": ["masked-language-modeling"]}),
        ],
        "spaces": [space("acme/board", likes=0), space("bob/demo")],
        "papers": [
            {"id": "1910.09700", "authors": [], "publishedAt": None, "title": "Carbon",
             "summary": None, "upvotes": 0},
            {"id": "2405.00001", "authors": ["Ada L.", "B. B."],
             "publishedAt": "2024-05-01T00:00:00.000Z", "title": "On bases", "summary": "S.",
             "upvotes": 3},
        ],
        "collections": [
            {"slug": "acme/papers-4567", "title": "Papers", "upvotes": 1, "description": None},
            {"slug": "bob/best-0123", "title": "Best", "upvotes": 2, "description": "The best"},
        ],
        "users": [{"id": "ada", "fullname": "Ada L."}, {"id": "bob", "fullname": None}],
        "orgs": [{"id": "acme", "fullname": "ACME"}],
        **{name: edges(name, *sorted(pairs[name])) for name in v.RELATIONS},
    }  # fmt: skip


def write_dump(folder, records, *, indent=4, lines=False):
    """A dump's folder: one JSON array a file, or JSON Lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in records.items():
        text = (
            "".join(f"{json.dumps(row)}\n" for row in rows)
            if lines
            else json.dumps(rows, indent=indent)
        )
        (folder / f"{stem}.json").write_text(text, encoding="utf-8")
    return folder


def zipped(folder, path, inside=""):
    """A zip of a dump's folder, its files in a folder inside."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{inside}{file.name}")
    return path


class Tables:
    """The raw tables of a snapshot, and what is made of them.

    Args:
        root: the store's folder.
        day: the snapshot date.
    """

    def __init__(self, root: Path, day: str):
        self.warehouse = Warehouse(root=str(root))
        self.day = day

    def hub(self, name) -> pl.DataFrame:
        return self.warehouse.scan(f"hub/{name}", self.day).collect()

    def entity(self, name) -> pl.DataFrame:
        _, sources = BUILDERS[name]
        tables = [self.warehouse.scan(source, self.day) for source in sources]
        return build_entity(v.ENTITIES[name], *tables).collect()

    def verdict(self, name) -> Verdict:
        relation = v.RELATIONS[name]
        tables = {source: self.warehouse.scan(source, self.day) for source in relation.sources}
        ends = [self.entity(end).lazy() for end in (relation.subject, relation.object)]
        aliases = self.warehouse.scan("hub/aliases", self.day)
        return verify(relation, observe(relation, tables), *ends, aliases)

    def pairs(self, name) -> list[tuple[str, str]]:
        """The verified pairs of ids of a relation."""
        return self.verdict(name).verified.select("subject_id", "object_id").rows()

    def rejected(self, name) -> list[tuple[str, str, str]]:
        """The rejected pairs of ids of a relation, with the reason."""
        return self.verdict(name).rejected.select("subject_id", "object_id", "reason").rows()

    def export(self, folder: Path) -> Path:
        """Stores entities and verified relations, and fills a folder with the export of them."""
        for name in v.ENTITIES:
            self.warehouse.write(f"entity/{name}", self.day, self.entity(name))
        for name in v.RELATIONS:
            self.warehouse.write(f"verified/{name}", self.day, self.verdict(name).verified)
        folder.mkdir(parents=True)
        write_huggingkg(Snapshot(self.warehouse, self.day), folder, "default")
        return folder


class Imported(Tables):
    """What becomes of a dump.

    Args:
        path: the dump.
        root: the store's folder.
        day: the dump's date.
        social: whether likes and follows are wanted.
    """

    def __init__(self, path: Path, root: Path, day=DAY, social=True):
        super().__init__(root, day)
        self.path = path
        dump, log = Dump(path), logging.getLogger("dump")
        work = DumpImport(dump, f"dump {dump.name}", social, self.warehouse, day, log)
        for table, rows, _ in work.tables(list(TABLES.values())):
            self.warehouse.write(table.name, day, rows)


def differing_files(first: Path, second: Path) -> list[str]:
    """The files of two folders that are not the same, or in one of them only."""
    names = {file.name for folder in (first, second) for file in folder.iterdir()}
    return sorted(n for n in names if not _same(first / n, second / n))


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
