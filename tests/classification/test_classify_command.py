"""`hfkg classify`: what a person and a program get told of one README."""

import json

import pytest

from hfkg_assets.classification.single_text import MOST_BYTES, read_source
from hfkg_assets.cli import main
from tests.trained_store import DAY, WORDS

CARD = f"---\npipeline_tag: fill-mask\n---\n# A model\n\n{WORDS['translation']} " * 3


@pytest.fixture
def store(trained_store, tmp_path, monkeypatch):
    monkeypatch.setenv("HFKG_ROOT", str(trained_store.warehouse.root))
    monkeypatch.setenv("HFKG_ENCODER_BACKEND", "torch")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(CARD)
    return str(path)


def test_a_person_sees_the_most_probable_tasks_and_how_far_to_trust_them(store, readme, capsys):
    assert main(["classify", readme, "--top", "2"]) == 0
    told = capsys.readouterr()
    rows = told.out.split("\n\n")[1].splitlines()
    assert len(rows) == 2
    assert rows[0].lower().startswith("translation")
    assert DAY in told.out
    assert "test texts" in told.out


def test_a_program_gets_one_json_object(store, readme, capsys):
    assert main(["classify", readme, "--json", "--top", "3", "--kind", "dataset"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["source"] == readme
    assert told["kind"] == "dataset"
    probabilities = [task["probability"] for task in told["tasks"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_readme_that_says_nothing_ends_with_1_and_one_line(store, tmp_path, capsys):
    (tmp_path / "empty.md").write_text("---\npipeline_tag: translation\n---\n```\ncode()\n```\n")
    assert main(["classify", "empty.md"]) == 1
    error = capsys.readouterr().err
    assert "nothing to read" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["gone.md"], "cannot read gone.md"), (["README.md", "--date", "2020-01-01"], "train")],
)
def test_what_cannot_be_classified_ends_with_2_and_says_what_to_do(
    store, readme, arguments, expected, capsys
):
    assert main(["classify", *arguments]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error


def test_of_a_huge_file_the_beginning_is_read_and_signs_that_are_no_text_are_told(tmp_path):
    path = tmp_path / "huge.md"
    path.write_bytes(b"\xff" + b"word " * (MOST_BYTES // 4))
    source = read_source(str(path))
    assert len(source.text) <= MOST_BYTES
    assert len(source.warnings) == 2
