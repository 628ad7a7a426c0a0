"""The `hfkg` command: exit codes, and errors of one line that say what to do."""

import shutil
from pathlib import Path

import pytest

from hfkg_assets.cli import main

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def own_root(tmp_path, monkeypatch):
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
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
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line.startswith("hfkg: crawl_hub: ")
    assert all(word in last_line for word in words)


@pytest.mark.slow
def test_a_wrong_token_fails_at_the_first_request_and_never_shows_the_token(monkeypatch, capsys):
    from hfkg_resources.sample_hub.quotas import GENEROUS
    from hfkg_resources.sample_hub.server import create_app, serve
    from hfkg_resources.sample_hub.world import World

    app = create_app(World(repositories=300), tokens={"hf_good": GENEROUS})
    with serve(app) as server:
        monkeypatch.setenv("HFKG_SOURCE", "hub")
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
        assert main(["run", "--job", "snapshot"]) == 1
        refused = server.buckets.total()
        printed = capsys.readouterr()
        assert "HF_TOKEN" in printed.err.splitlines()[-1]
        assert "secret" not in printed.err + printed.out
        assert refused <= 8  # a request for each that waits for no other table, and no retry

        monkeypatch.setenv("HF_TOKEN", "hf_good")
        assert main(["run", "--job", "snapshot"]) == 0
        assert "org_own_collection" in capsys.readouterr().out


def test_the_plan_is_made_from_the_listings_alone_and_printed(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HFKG_ROOT", str(tmp_path))
    monkeypatch.setenv("HFKG_SAMPLE_REPOSITORIES", "300")
    assert main(["plan", "--date", "2026-11-24"]) == 0
    printed = capsys.readouterr().out
    for words in ("likers", "model cards", "counted", "estimated", "anonymous", "least time"):
        assert words in printed
    made = {path.name for path in (tmp_path / "hub").iterdir()}
    assert made == {"models", "datasets", "spaces", "crawl_plan"}
    assert main(["plan", "--date", "2026-11-24", "--stored"]) == 0
    assert capsys.readouterr().out in printed
    assert main(["plan", "--date", "2026-11-23", "--stored"]) == 2
