"""The retriever on the command line: tables for people, JSON for programs, errors of one line."""

import json
from pathlib import Path

import pytest

from hfkg_assets.cli import main
from hfkg_assets.retrieval.answers import Hit, Hits, Reason
from hfkg_assets.retrieval.commands import hits_text
from hfkg_assets.text_table import printable
from tests.retrieval.small_store import (
    DAY,
    ODD,
    write_predicted_bases,
    write_recommended,
    write_store,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    warehouse = write_store(root)
    write_predicted_bases(warehouse)
    write_recommended(warehouse)
    return root


@pytest.fixture
def run(root, monkeypatch, capsys):
    """Runs a command; returns exit code, output and errors."""
    monkeypatch.setenv("HFKG_ROOT", str(root))

    def run(*arguments):
        code = main(list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_lineage_is_two_trees_of_lines(run):
    code, out, _ = run("lineage", "old/tuned", "--depth", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"Lineage of old/tuned, snapshot of {DAY}"
    assert "├─ old/base  (finetune, 90 likes)" in lines
    assert any(line.startswith("├─ fast/tuned-GGUF  (quantized") for line in lines)


def test_lineage_tells_what_it_leaves_out_and_what_it_has_shown(run):
    out = run("lineage", "old/base", "--breadth", "1")[1]
    assert "└─ … and 1 more" in out
    assert "see above" in run("lineage", "old/tuned", "--depth", "9")[1]


def test_bases_are_a_table_with_what_speaks_for_each(run):
    code, out, _ = run("trace", "lone/model")
    assert code == 0
    (first,) = [line for line in out.splitlines() if "old/base" in line]
    assert "predicted" in first and "0.75" in first and "both names hold model" in first
    assert out.startswith("note: ")


def test_recommendations_are_a_table(run):
    out = run("recommend", "ada")[1]
    assert "old/base" in out and "like dataset some/data, which ada likes" in out


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("lineage", ODD), "ancestors"), (("trace", "lone/model"), "bases"),
        (("recommend", "noor", "-k", "2"), "hits"),
    ],
)  # fmt: skip
def test_programs_get_one_json_object(run, command, key):
    code, out, err = run(*command, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["snapshot"] == DAY
    assert answer[key]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("lineage", "old/bsae"), "did you mean old/base"),
        (("trace", ""), "holds no model"),
        (("recommend", "x" * 10_000), "holds no user"),
        (("lineage", "old/base", "--date", "2025-01-01"), "hfkg run --date 2025-01-01"),
        (("search", "birds"), "hfkg run"),
        (("similar", "old/base"), "hfkg run"),
        (("serve", "--port", "0", "--host", "192.0.2.1"), "cannot listen at 192.0.2.1:0"),
    ],
)
def test_what_cannot_be_answered_is_one_line_that_says_what_to_do(run, command, words):
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1 and len(err) < 500


def test_nothing_from_outside_steers_the_terminal():
    evil = "a/\x1b]0;owned\x07b\r\n\x9b31m\u202eright"
    hit = Hit(1, "model", evil, 1.0, excerpt=evil, reasons=(Reason("words", evil, (evil, evil)),))
    for why in (False, True):
        text = hits_text(Hits(evil, DAY, (hit,), notes=(evil,)), why)
        assert not [sign for sign in text if not sign.isprintable() and sign != "\n"]


def test_printable_leaves_what_can_be_read():
    assert printable("模型 ❤ é\t") == "模型 ❤ é "


def test_an_answer_without_hits_says_so():
    assert "nothing found" in hits_text(Hits("q", DAY, notes=("too narrow",)))
    assert "too narrow" in hits_text(Hits("q", DAY, notes=("too narrow",)))


def test_the_readme_names_every_command_of_the_retriever():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for command in ("search", "similar", "recommend", "trace", "lineage", "serve"):
        assert f"hfkg {command}" in readme, command
