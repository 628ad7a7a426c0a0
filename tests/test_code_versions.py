"""Code versions: what changes them, what does not, read off edited copies of the source."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hfkg_assets
from hfkg_assets import vocabulary as v
from hfkg_assets.code_versions import code_version

PACKAGES = Path(hfkg_assets.__file__).parent.parent

READ_VERSIONS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import dagster as dg

def versions(source):
    for name in [name for name in sys.modules if name.split(".")[0].startswith("hfkg_")]:
        del sys.modules[name]
    sys.path.insert(0, source)
    from hfkg_assets.knowledge_graph import entities, graph, relations, statistics, verification
    assert entities.__file__.startswith(source)
    assets = dg.load_assets_from_modules([entities, relations, verification, graph, statistics])
    sys.path.remove(source)
    return {key.to_user_string(): a.code_versions_by_key[key] for a in assets for key in a.keys}

print(json.dumps([versions(source) for source in sys.argv[1:]]))
"""


def all_of(*layers):
    names = {"entity": v.ENTITIES}
    return {f"{layer}/{name}" for layer in layers for name in names.get(layer, v.RELATIONS)}


def of_functions(file, *definitions):
    """Adds a comment to the first line of some functions."""

    def edit(source):
        path = source / "hfkg_assets" / file
        text = path.read_text()
        for definition in definitions:
            text, count = re.subn(rf"(?m)^(def {definition}\(.*)$", r"\1  # changed", text)
            assert count == 1, definition
        path.write_text(text)

    return edit


def of_text(file, old, new):
    """Replaces a text that occurs once."""

    def edit(source):
        path = source / "hfkg_assets" / file
        text = path.read_text()
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new))

    return edit


GRAPH = {"graph/node", "graph/edge", "graph/statistics"}

EDITS = {
    "one relation's query": (
        of_functions("knowledge_graph/relations.py", r"_(?=\(rule: v\.PipelineTag)"),
        {"relation/model_definedFor_task"},
    ),
    "one relation's declaration": (
        of_text("vocabulary.py", "The user is a member of the organization.", "A member."),
        {"relation/user_affiliatedWith_org"},
    ),
    "one relation's published count": (
        of_text("vocabulary.py", "532_391", "532_392"),
        {"relation/model_definedFor_task", "graph/statistics"},
    ),
    "one entity's builder": (
        of_functions("knowledge_graph/entities.py", "collections"),
        {"entity/collection"},
    ),
    "a constant of one entity type": (
        of_text("vocabulary.py", r'COLLECTION_SLUG = r"^[\w.-]+/.+$"', 'COLLECTION_SLUG = "^.+$"'),
        {"entity/collection"}
        | {
            f"{layer}/{name}"
            for layer in ("verified", "rejected")
            for name, relation in v.RELATIONS.items()
            if "collection" in (relation.subject, relation.object)
        },
    ),
    "what all relations share": (
        of_functions("knowledge_graph/relations.py", "observe"),
        all_of("relation"),
    ),
    "what relations share with verification": (
        of_functions("knowledge_graph/relations.py", "without_version"),
        all_of("relation", "verified", "rejected"),
    ),
    "what verification alone uses": (
        of_text("knowledge_graph/verification.py", '"extracted_pending": 3', '"guess": 3'),
        all_of("verified", "rejected"),
    ),
    "how edges are numbered": (
        of_functions("knowledge_graph/graph.py", "_number"),
        {"graph/edge"},
    ),
    "what rows do not depend on": (
        of_functions("knowledge_graph/statistics.py", "as_markdown"),
        set(),
    ),
}


def copy_to(folder):
    for package in ("hfkg_assets", "hfkg_resources"):
        shutil.copytree(
            PACKAGES / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Code versions by asset, of the source as it is and of a copy for each edit."""
    copies = {}
    for name, (edit, _) in {"as it is": (lambda source: None, None), **EDITS}.items():
        copies[name] = copy_to(tmp_path_factory.mktemp("source"))
        edit(copies[name])
    found = read_versions(copies.values(), seed=1)
    return dict(zip(copies, found, strict=True))


def read_versions(sources, seed):
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    printed = subprocess.run(
        [sys.executable, "-c", READ_VERSIONS, *map(str, sources)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(printed.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_versions_of_what_is_made_by_the_edited_and_no_others(versions, edit):
    before, after = versions["as it is"], versions[edit]
    assert before.keys() == after.keys()
    assert {key for key in before if before[key] != after[key]} == EDITS[edit][1]


@pytest.mark.slow
def test_versions_are_the_same_in_another_process_and_another_folder(versions):
    (found,) = read_versions([PACKAGES], seed=2)
    assert found == versions["as it is"]


@pytest.mark.slow
def test_every_table_from_entities_to_statistics_has_a_derived_version(versions):
    derived = versions["as it is"]
    assert derived.keys() == all_of("entity", "relation", "verified", "rejected") | GRAPH
    assert all(re.fullmatch("[0-9a-f]{16}", version) for version in derived.values())


@pytest.mark.slow
def test_two_relations_of_one_rule_differ_in_version_by_their_declarations(versions):
    derived = versions["as it is"]
    assert len({derived[f"relation/{name}"] for name in v.RELATIONS}) == len(v.RELATIONS)


def test_a_set_counts_by_its_members_whatever_their_order():
    assert code_version({"a", "b", "c"}) == code_version({"c", "b", "a"}) != code_version({"a"})


def test_a_value_that_tells_only_its_address_is_refused():
    with pytest.raises(ValueError, match="stays the same"):
        code_version(object())
