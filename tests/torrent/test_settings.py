"""What may be downloaded, as settings say it: what is allowed, and what is refused by name."""

import pytest
from pydantic import ValidationError

from hfkg_assets.torrent.settings import Selection, TorrentSettings, torrent_settings
from hfkg_resources.settings import SettingError


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ("top:0.1", Selection("top", share=0.1)),
        ("top:1", Selection("top", share=1.0)),
        ("ids:a/b, c/d,a/b", Selection("ids", ids=("a/b", "c/d"))),
        ("sql: likes > 10 ", Selection("sql", condition="likes > 10")),
        ("sql:id like 'a:%'", Selection("sql", condition="id like 'a:%'")),
    ],
)
def test_a_selection_is_a_share_names_or_a_condition(text, selection):
    assert Selection.parse(text) == selection


@pytest.mark.parametrize(
    "text",
    ["", "top", "top:0", "top:-0.1", "top:1.01", "top:nan", "top:all", "ids:", "ids: ,", "sql: "],
)
def test_anything_else_and_a_share_outside_0_to_1_is_refused_by_name(text):
    with pytest.raises(SettingError, match="HFKG_TORRENT_SELECT"):
        Selection.parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HFKG_TORRENT_SELECT", "top:2"),
        ("HFKG_TORRENT_WEIGHTS", "maybe"),
        ("HFKG_TORRENT_FILES", " , "),
        ("HFKG_TORRENT_BUDGET", "a lot"),
        ("HFKG_TORRENT_GIT", "lfs"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_when_the_definitions_load(name, value):
    with pytest.raises((SettingError, ValidationError), match=name):
        torrent_settings({name: value})


def test_without_settings_a_tenth_is_downloaded_without_weights():
    settings = torrent_settings({})
    assert Selection.parse(settings.select) == Selection("top", share=0.1)
    assert (settings.weights, settings.files, settings.git) == ("no", ["*"], "no")
    assert settings.budget_bytes is None


@pytest.mark.parametrize(("text", "size"), [("500MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("7", 7)])
def test_a_budget_is_a_size_with_its_unit(text, size):
    assert TorrentSettings(budget=text).budget_bytes == size
