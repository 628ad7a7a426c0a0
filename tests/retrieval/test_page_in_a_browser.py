"""The search page in a real browser: asked, filtered, explained, walked along by keyboard too."""

import shutil
import time

import pytest

from hfkg_assets.retrieval.retriever import Retriever
from tests.retrieval.page_server import ServedPage
from tests.retrieval.small_store import write_predicted_bases, write_recommended, write_store
from tests.retrieval.snapshots import encoder, make_indexed

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROME = {name: shutil.which(name) for name in ("chromium", "chromedriver")}

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(CHROME.values()), reason="no chromium and chromedriver on this machine"
    ),
]

PHONE = (390, 844)
DESK = (1280, 900)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page over two made-up snapshots of a day: one to search in, one with lineage."""
    root = tmp_path_factory.mktemp("store")
    warehouse = make_indexed(root)
    write_store(root, keep=("entity/model", "entity/dataset"))
    write_predicted_bases(warehouse)
    write_recommended(warehouse)
    retriever = Retriever(warehouse, encoder())
    retriever.open()
    with ServedPage(retriever) as page:
        yield page


@pytest.fixture(scope="module")
def chrome():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME["chromium"]
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(CHROME["chromedriver"])) as chrome:
        yield chrome


@pytest.fixture
def browser(chrome, page):
    """The browser, with whatever the page complains of at the end."""
    chrome.set_window_size(*DESK)
    chrome.get_log("browser")
    yield Browser(chrome, page.url)
    complaints = [
        entry for entry in chrome.get_log("browser")
        if entry["source"] != "network"  # an answer 404 is shown on the page
    ]  # fmt: skip
    assert complaints == []


class Browser:
    """What a person does with the page."""

    def __init__(self, chrome, url):
        self.chrome, self.url = chrome, url

    def open(self, address="/"):
        self.chrome.get(self.url + address)

    def all(self, selector):
        return self.chrome.find_elements("css selector", selector)

    def one(self, selector):
        return self.wait(lambda: self.all(selector), selector)[0]

    def wait(self, found, what):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if value := found():
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come; the page says: {self.text}")

    @property
    def text(self):
        return self.chrome.find_element("tag name", "body").text

    def shows(self, *words):
        self.wait(lambda: all(word in self.text for word in words), words)

    def type(self, selector, text, *, enter=False):
        field = self.one(selector)
        field.clear()
        field.send_keys(text + ("\n" if enter else ""))


def hits(browser):
    return [heading.text for heading in browser.all(".hit h3")]


def test_a_need_is_typed_and_answered_with_excerpts_marked_words_and_reasons(browser):
    browser.open()
    browser.shows("Say in your own words")
    browser.type("#q", "writes down spoken German", enter=True)
    browser.wait(lambda: hits(browser), "hits")
    assert "acme/ear-7B" in hits(browser)[0]
    first = browser.one(".hit")
    assert "spoken" in {mark.text.lower() for mark in first.find_elements("tag name", "mark")}
    assert first.find_elements("css selector", ".why li")
    assert "q=writes+down+spoken+German" in browser.chrome.current_url
    assert browser.chrome.switch_to.active_element.get_attribute("id") == "answer"


def test_filters_narrow_and_their_values_are_offered(browser):
    browser.open()
    browser.one("#filters summary").click()
    browser.wait(lambda: browser.all("#choices-licence option"), "offered licences")
    offered = {o.get_attribute("value") for o in browser.all("#choices-licence option")}
    assert "apache-2.0" in offered
    browser.type("input[name=licence]", "apache-2.0")
    browser.type("#q", "spoken German", enter=True)
    browser.wait(lambda: hits(browser), "hits")
    assert any("bird/ear-legal" in hit for hit in hits(browser))
    assert not any("acme/ear-7B" in hit for hit in hits(browser))
    assert "(1 set)" in browser.one("#filtered").text


def test_an_address_holds_the_whole_question_and_going_back_asks_it_again(browser):
    browser.open("/?q=animals&kind=dataset")
    browser.wait(lambda: hits(browser), "hits")
    assert "bird/photos" in hits(browser)[0]
    assert browser.one("#kind").get_attribute("value") == "dataset"
    browser.one(".go a").click()
    browser.shows("Like bird/photos")
    browser.chrome.back()
    browser.shows("For “animals”")
    assert browser.one("#q").get_attribute("value") == "animals"


def test_lineage_is_a_picture_that_can_be_walked_with_mouse_and_keyboard(browser):
    browser.open("/?view=lineage&id=old/tuned")
    browser.shows("Lineage of old/tuned")
    names = {box.get_attribute("aria-label") for box in browser.all("svg a")}
    assert "Lineage of old/base" in names and "Lineage of fast/tuned-GGUF" in names
    (base,) = [
        box for box in browser.all("svg a")
        if box.get_attribute("aria-label") == "Lineage of old/base"
        and "repeated" not in (box.get_attribute("class") or "")
    ]  # fmt: skip
    base.click()
    browser.shows("Lineage of old/base", "0 models above it, 3 models below it")
    box = browser.one("svg a")
    walked_to = box.get_attribute("aria-label")
    browser.chrome.execute_script("arguments[0].focus()", box)
    browser.chrome.switch_to.active_element.send_keys("\n")
    browser.shows(walked_to)
    browser.chrome.back()
    browser.shows("Lineage of old/base")


def test_bases_known_and_predicted_are_a_table_with_evidence(browser):
    browser.open("/?view=trace&id=lone/model")
    browser.shows("Bases of lone/model", "predicted", "0.75", "both names hold model")
    browser.one("tbody a").click()
    browser.shows("Lineage of old/base")


def test_a_user_gets_recommendations_with_the_likes_behind_them(browser):
    browser.open()
    browser.type("#user", "ada", enter=True)
    browser.shows("For ada", "old/base", "which ada likes")


def test_what_comes_from_outside_stays_text(browser):
    browser.open("/?view=lineage&id=old/base")
    browser.shows("Lineage of old/base")
    assert not browser.all("#answer b")
    browser.open("/?view=lineage&id=" + "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    browser.shows("holds no model '<img src=x onerror=alert(1)>'")
    assert not browser.all("#answer img")
    browser.open("/?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E&kind=")
    browser.shows("For “<script>alert(1)</script>”")
    assert not browser.all("#answer script")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/?view=lineage&id=old/bsae", ["did you mean old/base"]),
        ("/?view=similar&id=no/body", ["no/body"]),
        ("/?user=nobody", ["holds no user"]),
        ("/?q=birds&task=nonsense", ["nonsense"]),
        ("/?q=spoken&licence=other&language=de", ["Nothing found", "no repository passes"]),
        ("/?q=&kind=model", ["Passing the filters", "most popular"]),
        ("/?view=lineage", ["no id"]),
    ],
)
def test_unknown_ids_and_empty_answers_are_told(browser, address, words):
    browser.open(address)
    browser.shows(*words)


def test_a_question_of_ten_thousand_characters_is_answered(browser):
    browser.open()
    text = ("spoken German 语音 🤗 " * 700)[:10_000]
    browser.chrome.execute_script("document.querySelector('#q').value = arguments[0]", text)
    browser.one("#search button").click()
    browser.wait(lambda: hits(browser), "hits")
    browser.shows("characters were read")


def test_on_a_phone_nothing_is_wider_than_the_screen_but_the_picture_that_scrolls(browser):
    browser.chrome.set_window_size(*PHONE)
    for address in ("/?q=spoken+German&kind=model", "/?view=lineage&id=old/tuned"):
        browser.open(address)
        browser.wait(lambda: browser.all(".hit, svg"), "an answer")
        width, shown = browser.chrome.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert width <= shown


def test_every_field_has_a_name_for_those_who_cannot_see_it(browser):
    browser.open()
    unnamed = browser.chrome.execute_script(
        "return [...document.querySelectorAll('input, select')]"
        ".filter(field => !field.labels.length && !field.ariaLabel).map(field => field.name)"
    )
    assert unnamed == []
