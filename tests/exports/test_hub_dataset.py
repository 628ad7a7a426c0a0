"""`export/hub_dataset` and `hfkg publish`, against the sample Hub's upload calls."""

import filecmp
import re
from datetime import date

import duckdb
import huggingface_hub
import polars as pl
import pytest
import yaml
from huggingface_hub import HfApi, hf_hub_download, snapshot_download

from hfkg_assets.cli import main
from hfkg_assets.exports.hub_dataset import TABLES, WHERE_MADE
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.atomic_write import link_or_copy
from hfkg_resources.sample_hub.quotas import GENEROUS
from hfkg_resources.sample_hub.server import create_app, serve

pytestmark = pytest.mark.slow

TOKEN = "hf_may_write"
REPOSITORY = "acme/hub-graph"


@pytest.fixture(scope="module")
def folder(exports):
    exports.make("hub_dataset")
    return exports.warehouse.directory("export/hub_dataset", exports.snapshot.day)


@pytest.fixture(scope="module")
def card(folder):
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


# --- the folder ----------------------------------------------------------------------------------


def test_every_table_is_a_configuration_of_the_card_and_a_file_of_the_folder(folder, card):
    configs = {c["config_name"]: c["data_files"] for c in card[0]["configs"]}
    assert set(configs) == {table.replace("/", "_") for table in [*TABLES, *WHERE_MADE]}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert set(configs.values()) == files
    assert [c["config_name"] for c in card[0]["configs"] if c.get("default")] == ["graph_edge"]


def test_tables_are_the_stored_ones_and_take_no_room_of_their_own(folder, snapshot):
    for table in [*TABLES, *WHERE_MADE]:
        published = folder / f"{table}.parquet"
        assert published.samefile(snapshot.file(table))


def test_a_stored_table_that_is_made_again_leaves_the_export_as_it_was(folder, exports, snapshot):
    table = "graph/statistics"
    before = (folder / f"{table}.parquet").read_bytes()
    stored = snapshot.scan(table).collect()
    exports.warehouse.write(table, snapshot.day, stored.head(1))
    try:
        assert (folder / f"{table}.parquet").read_bytes() == before
    finally:
        exports.warehouse.write(table, snapshot.day, stored)


def test_where_there_are_no_links_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    (tmp_path / "a").write_bytes(b"rows")
    monkeypatch.setattr("os.link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"rows"
    assert not (tmp_path / "b").samefile(tmp_path / "a")


def test_the_card_tells_counts_date_provenance_and_licence(card, snapshot):
    front, text = card
    assert snapshot.day in front["pretty_name"]
    counts = snapshot.scan("graph/statistics").select("name", "count").collect()
    for name, count in counts.iter_rows():
        assert re.search(rf"^\| {name} \| {count:,} \|", text, re.MULTILINE), name
    for words in (
        "## Loading",
        "## Provenance",
        "## Licence",
        "assertions were observed",
        "likers",
    ):
        assert words in text
    assert len(front["size_categories"]) == 1


def test_the_loading_lines_of_the_card_work_on_the_folder(folder, card, snapshot):
    (code,) = re.findall(r"```python\n(.*?)```", card[1], re.DOTALL)
    lines = [line for line in code.splitlines() if "folder}" in line]
    assert len(lines) == 2
    names = {"folder": str(folder), "pl": pl, "duckdb": duckdb}
    exec("\n".join(lines), names)
    assert names["edges"].collect().equals(snapshot.scan("graph/edge").collect())


# --- publishing ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(world):
    with serve(create_app(world, today=date(2026, 11, 24), tokens={TOKEN: GENEROUS})) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch, exports, server):
    monkeypatch.setenv("HFKG_ROOT", str(exports.root))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)


@pytest.fixture
def api(server):
    return HfApi(endpoint=server.url, token=TOKEN)


def files_of(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_size for path in paths}


def listed(printed):
    rows = re.findall(r"^ *([\d,]+)  (\S+\.\w+)$", printed, re.MULTILINE)
    return {name: int(size.replace(",", "")) for size, name in rows}


def test_a_dry_run_lists_what_would_be_sent_and_sends_nothing(folder, server, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    before = server.requests.total()
    assert main(["publish", REPOSITORY, "--dry-run", "--private"]) == 0
    printed = capsys.readouterr().out
    assert listed(printed) == files_of(folder)
    total = sum(files_of(folder).values())
    for words in (REPOSITORY, server.url, "2026-11-20", "private", f"{total:,}"):
        assert words in printed
    assert server.requests.total() == before


def test_a_published_snapshot_is_read_back_byte_for_byte(folder, server, api, capsys, tmp_path):
    assert main(["publish", REPOSITORY, "--date", "2026-11-20"]) == 0
    printed = capsys.readouterr().out
    assert f"{server.url}/datasets/{REPOSITORY}/tree/2026-11-20" in printed
    where = {"repo_type": "dataset", "endpoint": server.url, "token": TOKEN}
    assert set(api.list_repo_files(REPOSITORY, repo_type="dataset")) == set(files_of(folder))
    for revision in ("main", "2026-11-20"):
        for name in ("README.md", "graph/edge.parquet"):
            read = hf_hub_download(
                REPOSITORY, name, revision=revision, cache_dir=tmp_path / "cache", **where
            )
            assert filecmp.cmp(read, folder / name, shallow=False)
    whole = snapshot_download(
        REPOSITORY, revision="2026-11-20", local_dir=tmp_path / "whole", **where
    )
    for name in files_of(folder):
        assert filecmp.cmp(f"{whole}/{name}", folder / name, shallow=False), name
    assert listed(printed) == files_of(folder)


def test_publishing_again_sends_nothing_that_is_there(server, api, capsys):
    assert main(["publish", REPOSITORY]) == 0
    lines = server.log_requests()
    head = api.repo_info(REPOSITORY, repo_type="dataset").sha
    assert main(["publish", REPOSITORY]) == 0
    assert [line.path for line in lines if line.method == "PUT"] == []
    assert api.repo_info(REPOSITORY, repo_type="dataset").sha == head


def test_a_snapshot_that_was_made_again_takes_its_tag_along(folder, api, capsys, tmp_path):
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    assert main(["publish", REPOSITORY]) == 0
    first = api.repo_info(REPOSITORY, revision="2026-11-20", repo_type="dataset").sha
    try:
        card.write_text(text + "\nMade again.\n", encoding="utf-8")
        assert main(["publish", REPOSITORY]) == 0
    finally:
        card.write_text(text, encoding="utf-8")
    tagged = api.repo_info(REPOSITORY, revision="2026-11-20", repo_type="dataset").sha
    assert tagged != first
    assert tagged == api.repo_info(REPOSITORY, repo_type="dataset").sha
    (tag,) = api.list_repo_refs(REPOSITORY, repo_type="dataset").tags
    assert (tag.name, tag.target_commit) == ("2026-11-20", tagged)


def test_a_private_repository_is_hidden_from_others(server, capsys):
    assert main(["publish", "acme/hidden", "--private"]) == 0
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError):
        HfApi(endpoint=server.url, token=False).dataset_info("acme/hidden")
    assert HfApi(endpoint=server.url, token=TOKEN).dataset_info("acme/hidden").private


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, ["HF_TOKEN"]),
        ("hf_wrong_and_secret", ["refused", "HF_TOKEN", "acme/other"]),
    ],
    ids=["none", "wrong"],
)
def test_without_a_token_that_may_write_nothing_is_published(
    server, capsys, monkeypatch, token, words
):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    assert main(["publish", "acme/other"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words)
    assert "secret" not in error
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError):
        HfApi(endpoint=server.url, token=TOKEN).dataset_info("acme/other")


@pytest.mark.parametrize(
    ("arguments", "endpoint", "words"),
    [
        (["no/such/name"], None, ["no/such/name", "no repository name"]),
        (["acme/x"], "http://127.0.0.1:9", ["HF_ENDPOINT", "127.0.0.1:9"]),
        (["acme/x", "--date", "2025-01-01"], None, ["nothing to publish", "2025-01-01"]),
    ],
    ids=["name", "endpoint", "date"],
)
def test_what_cannot_be_published_is_an_error_of_one_line(
    monkeypatch, capsys, arguments, endpoint, words
):
    if endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert main(["publish", *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words)


def test_a_hub_without_xet_storage_is_told_apart_and_how_to_go_on(folder, monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    assert main(["publish", "acme/xet"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("hfkg: ")
    assert "HF_HUB_DISABLE_XET=1" in error


def test_the_figures_of_the_card_are_of_the_vocabulary(card):
    figures = card[1][card[1].index("## Nodes") : card[1].index("## Tables")]
    rows = re.findall(r"^\| (\w+) \| [\d,]+ \|", figures, re.MULTILINE)
    assert rows == [*ENTITIES, *RELATIONS]
