"""The `hfkg` command: exit codes, and errors of one line that say what to do."""

import pytest

from hfkg_assets.cli import main


@pytest.fixture(autouse=True)
def own_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HFKG_ROOT", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))


def test_a_summary_without_any_snapshot_says_how_to_make_one(capsys):
    assert main(["summary"]) == 2
    error = capsys.readouterr().err
    assert "hfkg run" in error
    assert len(error.splitlines()) == 1


def test_a_setting_that_is_not_allowed_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("HFKG_SCOPE", "top:7")
    assert main(["run"]) == 2
    error = capsys.readouterr().err
    assert "HFKG_SCOPE='top:7'" in error
    assert len(error.splitlines()) == 1


def test_no_date_is_an_error_that_shows_the_form(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--date", "yesterday"])
    assert "YYYY-MM-DD" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("endpoint", "date", "words"),
    [
        ("http://127.0.0.1:9", None, ["HF_ENDPOINT", "127.0.0.1:9"]),
        ("http://127.0.0.1:9", "2025-01-01", ["no past", "HFKG_SOURCE=sample"]),
    ],
    ids=["nothing answers there", "a past date"],
)
def test_a_run_that_cannot_start_fails_with_a_line_that_says_what_to_set(
    monkeypatch, capsys, endpoint, date, words
):
    monkeypatch.setenv("HFKG_SOURCE", "hub")
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert main(["run", "--job", "snapshot", *(["--date", date] if date else [])]) == 1
    error = capsys.readouterr().err
    assert all(word in error for word in words)
