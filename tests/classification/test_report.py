"""The report: one page that needs nothing but itself, and says what the tables say."""

import base64
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from hfkg_assets.classification.report import (
    COMMONEST,
    REPORT,
    Results,
    confusion_of,
    figures_of,
    leak_worth,
    report_page,
)
from hfkg_assets.cli import summary
from hfkg_assets.static_page import page, table
from tests.classification.judged_runs import DAY, TASKS, JudgedRuns, materialize

PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    runs = JudgedRuns(tmp_path_factory.mktemp("store")).store()
    result = materialize(runs)
    path = runs.warehouse.directory(REPORT, DAY) / "report.html"
    runs.metadata = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    runs.path, runs.html = path, path.read_text(encoding="utf-8")
    return runs


def test_the_page_lies_in_the_partition_and_its_metadata_tell_where(made):
    metadata = made.metadata[REPORT]
    assert metadata["dagster/uri"].value == str(made.path)
    assert metadata["hfkg/bytes"].value == made.path.stat().st_size
    assert [file.name for file in made.path.parent.iterdir()] == ["report.html"]


def test_the_page_loads_nothing_and_runs_nothing(made):
    parsed = Page(made.html)
    assert parsed.open == []  # every element is closed
    names = {name for name, _ in parsed.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "base"}
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "url(" not in made.html
    assert "@import" not in made.html
    assert {"charset": "utf-8"} in parsed.all("meta")
    policy = next(meta for meta in parsed.all("meta") if "http-equiv" in meta)
    assert policy["content"].startswith("default-src 'none'")


def test_names_from_outside_are_shown_as_they_are_and_are_never_markup(made):
    parsed = Page(made.html)
    assert "b" not in {name for name, _ in parsed.elements}
    assert TASKS[2] in parsed.text
    cell = table(pl.DataFrame({"<i>name": ["</td><script>"]}), 'a "caption" <b>')
    assert "<script" not in cell
    assert "<b>" not in cell
    assert 'aria-label="a &quot;caption&quot; &lt;b&gt;"' in cell
    assert "<title>&lt;x&gt;</title>" in page("<x>", [], {"a & b": []})


def test_every_link_leads_to_a_section_and_every_heading_has_its_place(made):
    parsed = Page(made.html)
    places = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    links = {link["href"].removeprefix("#") for link in parsed.all("a")}
    assert links == places
    assert len(parsed.all("h1")) == 1
    assert len(parsed.all("h2")) == len(parsed.all("section")) == 2 + 4


def test_pictures_are_described_and_what_scrolls_can_be_reached_by_keyboard(made):
    parsed = Page(made.html)
    assert parsed.all("img")
    assert all(image["alt"] for image in parsed.all("img"))
    wide = [element for element in parsed.all("div") if element.get("class") == "wide"]
    assert len(wide) == len(parsed.all("img")) + len(parsed.all("table"))
    assert all(element["tabindex"] == "0" and element["aria-label"] for element in wide)
    assert len(parsed.all("caption")) == len(parsed.all("table"))


def test_the_page_tells_scores_leak_cost_bootstrap_and_published_figures(made):
    text = Page(made.html).text
    board = made.warehouse.scan("classification/leaderboard", DAY).collect()
    for row in board.filter(source="hfkg", split="test").iter_rows(named=True):
        assert f"{row['micro_f1']:.4f}" in text
    compared = made.warehouse.scan("classification/comparison", DAY).collect()
    for row in compared.iter_rows(named=True):
        assert f"{row['low']:+.4f} to {row['high']:+.4f}" in text
    worth = leak_worth(board)
    assert set(worth["model"]) == {
        "gcn", "gat", "sage", "transformer", "rgcn", "mlp", "logistic_regression",
    }  # fmt: skip
    for row in worth.iter_rows(named=True):
        assert f"{row['difference']:.4f}" in text
    for words in (
        "RevGCN, BERT fine-tuned", "0.8851", "0.7174", "no: crawl of December 2024",
        "seconds a run", "peak MiB", "rgcn", "is ahead of mlp", "reads the label",
    ):  # fmt: skip
        assert words in text


def test_the_verdict_says_when_a_difference_cannot_be_told_from_none(made):
    results = results_of(made)
    verdicts = {(0.01, 0.2): "ahead", (-0.1, 0.1): "cannot be told apart", (-0.2, -0.1): "behind"}
    for (low, high), verdict in verdicts.items():
        told = results.comparison.with_columns(low=pl.lit(low), high=pl.lit(high))
        changed = Results(**{**vars(results), "comparison": told})
        figures = dict.fromkeys(figures_of(changed), "")
        assert verdict in Page(report_page(changed, figures)).text.split("The time split")[1]


def results_of(made):
    from hfkg_assets.classification.report import read_results

    return read_results(made.warehouse, DAY)


def test_the_same_figures_are_in_the_page_and_in_the_metadata_and_each_is_small(made):
    shown = PICTURE.findall(made.html)
    told = {
        name: PICTURE.search(value.value)[1]
        for name, value in made.metadata[REPORT].items()
        if isinstance(value.value, str) and PICTURE.search(value.value)
    }
    assert sorted(shown) == sorted(told.values())
    for name in (
        "time_micro_f1", "time_clean_curves", "time_as_published_curves", "time_labels",
        "time_confusion", "family_micro_f1", "family_confusion",
    ):  # fmt: skip
        assert f"hfkg/{name}" in told
    board = made.metadata["classification/leaderboard"]["hfkg/test_micro_f1"].value
    for picture in [*shown, PICTURE.search(board)[1]]:
        content = base64.b64decode(picture)
        assert content.startswith(b"\x89PNG")
        assert len(content) < 100_000


def test_figures_stay_small_with_all_the_labels_learners_and_seeds_of_the_full_size():
    """54 labels with long names, 7 learners of 10 seeds and 500 epochs."""
    from hfkg_assets.classification.plots import draw_bars, draw_confusion, draw_learning_curves
    from hfkg_assets.figures import as_data_uri

    random = np.random.default_rng(0)
    names = [f"automatic-speech-recognition-{number} ({number})" for number in range(54)]
    runs = [(random.random(500) + 0.01, random.random(500)) for _ in range(10)]
    shares = dict(zip(names[:12], random.random((12, 10)), strict=True))
    drawn = [
        draw_bars(
            "F1", dict(zip(names, random.random(54), strict=True)),
            deviations=random.random(54).tolist(), marks=random.random(54).tolist(), mark="mlp",
        ),
        draw_learning_curves({f"learner {number}": runs for number in range(7)}),
        draw_confusion(pl.DataFrame({"label": names[:10], **shares})),
    ]  # fmt: skip
    for figure in drawn:
        assert len(base64.b64decode(as_data_uri(figure).split(",")[1])) < 100_000


def test_a_table_tells_the_summary_where_the_page_lies(made):
    statistics = pl.DataFrame(
        schema={
            "section": pl.String, "name": pl.String, "count": pl.Int64, "huggingkg_2024": pl.Int64,
            "observed": pl.Int64,
        }
    )  # fmt: skip
    from hfkg_assets.knowledge_graph.verification import REASONS

    empty = statistics.with_columns(pl.lit(None, dtype=pl.Int64).alias(name) for name in REASONS)
    made.warehouse.write("graph/statistics", DAY, empty)
    text = summary(made.warehouse, DAY)
    assert f"Report     {made.path.resolve()}" in text.splitlines()
    assert "Best graph learner against best baseline" in text
    assert max(map(len, text.splitlines())) < 200


def test_the_page_is_the_same_from_the_same_tables(made):
    results = results_of(made)
    first, again = (report_page(results, dict.fromkeys(figures_of(results), "")) for _ in range(2))
    assert first == again


# -- confusion --------------------------------------------------------------------------------


def test_a_second_label_rightly_found_is_no_confusion_and_a_wrong_one_is():
    truth = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]])
    predicted = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 1, 1]], dtype=bool)
    found = confusion_of(truth, [predicted], ["a", "b", "c"])
    assert found.rows() == [
        ("a", pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0, pytest.approx(1 / 3)),
        ("b", 0.0, 1.0, 0.5, 0.0),
    ]
    assert found.columns == ["label", "a", "b", "another", "nothing"]


def test_the_confusion_is_averaged_over_runs_and_shows_the_commonest_labels_only():
    random = np.random.default_rng(0)
    truth = random.random((400, 20)) < np.linspace(0.4, 0.02, 20)
    runs = [random.random(truth.shape) < 0.2 for _ in range(3)]
    names = [f"label {number}" for number in range(20)]
    found = confusion_of(truth, runs, names)
    assert found.height == COMMONEST
    each = [confusion_of(truth, [run], names).drop("label").to_numpy() for run in runs]
    np.testing.assert_allclose(found.drop("label").to_numpy(), np.mean(each, axis=0))
    support = dict(zip(names, truth.sum(axis=0), strict=True))
    assert [support[name] for name in found["label"]] == sorted(support.values())[:-11:-1]
    recall = (truth & runs[0]).sum(axis=0) / truth.sum(axis=0)
    np.testing.assert_allclose(
        np.diag(each[0][:, :COMMONEST]), [recall[names.index(n)] for n in found["label"]]
    )


# -- in a browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver on this machine")
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ):  # fmt: skip
        options.add_argument(flag)
    with selenium.Chrome(options, selenium.ChromeService(shutil.which("chromedriver"))) as browser:
        yield browser


@pytest.mark.slow
@pytest.mark.ui
@pytest.mark.parametrize("width", [375, 1280])
def test_a_browser_shows_the_file_without_an_error_and_without_scrolling_sideways(
    made, browser, width
):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(made.path.resolve().as_uri())
    assert browser.get_log("browser") == []
    assert browser.title == f"Task classification, snapshot {DAY}"
    shown = browser.execute_script(
        "return {page: document.documentElement.scrollWidth, window: innerWidth,"
        " tables: document.querySelectorAll('table').length,"
        " broken: [...document.images].filter(image => !image.naturalWidth).length}"
    )
    assert shown["page"] <= shown["window"] == width
    assert shown["tables"] >= 8
    assert shown["broken"] == 0


@pytest.mark.slow
@pytest.mark.ui
def test_the_keyboard_reaches_the_content_first_and_a_link_leads_to_its_section(made, browser):
    from selenium.webdriver.common.keys import Keys

    browser.get(made.path.resolve().as_uri())
    browser.switch_to.active_element.send_keys(Keys.TAB)
    first = browser.switch_to.active_element
    assert first.text == "Skip to the content"
    first.send_keys(Keys.ENTER)
    assert browser.current_url.endswith("#content")
    link = browser.find_element("link text", "Published figures")
    link.send_keys(Keys.ENTER)
    place = link.get_attribute("href").split("#")[1]
    assert browser.find_element("id", place).is_displayed()
    assert browser.execute_script("return scrollY") > 500
