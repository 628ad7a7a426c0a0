"""Documents: what of a README reaches the text for learning, and what must not."""

import hashlib
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest
import yaml

from hfkg_assets.features import readme
from hfkg_assets.features.documents import DOCUMENT, documents, mark_duplicates
from hfkg_assets.features.readme import (
    PARSED_CHARACTERS,
    TaskNames,
    parse_card,
    parse_cards,
    split_front_matter,
)
from hfkg_resources.table_schema import schema_of

NAMES = TaskNames(
    [
        "text-classification", "Text Classification", "translation", "Translation",
        "image-text-to-text", "Image-Text-to-Text", "other",
    ]
)  # fmt: skip

PROSE = "# A model\n\nIt sorts reviews. Text classification is what it was made for.\n"
CLEAN = "A model\nIt sorts reviews. Text classification is what it was made for."

PLANTED = "text-classification"


def clean(readme: str) -> str:
    text = parse_card(readme, NAMES)["clean"]
    assert isinstance(text, str)
    return text


# --- front matter --------------------------------------------------------------------------------

SHAPES = {
    "plain": f"---\nlicense: mit\npipeline_tag: {PLANTED}\n---\n",
    "byte_order_mark": f"\ufeff---\npipeline_tag: {PLANTED}\n---\n",
    "crlf": f"---\r\nlicense: mit\r\npipeline_tag: {PLANTED}\r\n---\r\n",
    "cr": f"---\rpipeline_tag: {PLANTED}\r---\r",
    "byte_order_mark_and_crlf": f"\ufeff---\r\npipeline_tag: {PLANTED}\r\n---\r\n",
    "blank_lines_before": f"\n  \n---\npipeline_tag: {PLANTED}\n---\n",
    "spaces_after_the_marks": f"---  \npipeline_tag: {PLANTED}\n---\t\n",
    "long_marks": f"-----\npipeline_tag: {PLANTED}\n-----\n",
    "single_quotes": f"---\npipeline_tag: '{PLANTED}'\n---\n",
    "double_quotes": f'---\n"pipeline_tag": "{PLANTED}"\n---\n',
    "block_list": f"---\ntask_categories:\n- {PLANTED}\n- translation\n---\n",
    "indented_list": f"---\ntask_categories:\n  - {PLANTED}\n---\n",
    "flow_list": f"---\ntask_categories: [{PLANTED}, translation]\n---\n",
    "flow_mapping": f"---\n{{pipeline_tag: {PLANTED}}}\n---\n",
    "nested": f"---\nmodel-index:\n- name: x\n  results:\n  - task:\n      type: {PLANTED}\n---\n",
    "folded": f"---\nsummary: >\n  made for\n  {PLANTED}\n\n  and more\npipeline_tag: x\n---\n",
    "comment": f"---\n# {PLANTED}\nlicense: mit\n---\n",
    "key_with_space": f"---\nYAML tags:\n- {PLANTED}\n---\n",
    "duplicate_key": f"---\npipeline_tag: x\npipeline_tag: {PLANTED}\n---\n",
    "twice": f"---\nlicense: mit\n---\n\n---\npipeline_tag: {PLANTED}\n---\n",
    "broken_quote": f"---\nlicense: 'mit\npipeline_tag: {PLANTED}\n---\n",
    "broken_indent": f"---\ntags:\n - a\n- b\n   - {PLANTED}\npipeline_tag: {PLANTED}\n---\n",
    "broken_tabs": f"---\ntags:\n\t- {PLANTED}\npipeline_tag: {PLANTED}\n---\n",
    "broken_colon": f"---\ntitle: a: b: c\npipeline_tag: {PLANTED}\n---\n",
    "control_character": f"---\ntitle: \x07\npipeline_tag: {PLANTED}\n---\n",
    "unknown_yaml_tag": f"---\na: !!python/name:os.system\npipeline_tag: {PLANTED}\n---\n",
    "not_closed": f"---\nlicense: mit\n\ntags:\n- {PLANTED}\n- x\npipeline_tag: {PLANTED}\n\n",
    "not_opened": f"license: mit\ntags:\n- {PLANTED}\npipeline_tag: {PLANTED}\n---\n",
    "too_deep": f"---\npipeline_tag: {PLANTED}\na: {'[' * 5_000}\n---\n",
    "aliases_that_explode": "---\na: &a [x, x, x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop"))
    + f"tags: [*p]\npipeline_tag: {PLANTED}\n---\n",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_label_planted_in_the_front_matter_never_reaches_clean(shape: str) -> None:
    assert clean(SHAPES[shape] + PROSE) == CLEAN


def test_a_readme_that_is_front_matter_only_has_no_text() -> None:
    card = parse_card(f"---\npipeline_tag: {PLANTED}\n---", NAMES)
    assert (card["clean"], card["clean_sha256"]) == ("", None)
    assert card["pipeline_tag"] == [PLANTED]


@pytest.mark.parametrize(
    ("readme", "status"),
    [
        ("---\nlicense: mit\n---\nx", "ok"),
        ("---\n---\nx", "ok"),
        (PROSE, "none"),
        ("", "none"),
        ("---\nlicense: 'mit\n---\nx", "broken"),
        ("---\nlicense: mit\nno end", "ok"),
        (f"---\na: {'[' * 5_000}\n---\n", "broken"),
        (f"---\nb:\n{'- ' * 5_000}\n---\n", "broken"),
    ],
)
def test_the_state_of_the_front_matter_is_told(readme: str, status: str) -> None:
    assert parse_card(readme, NAMES)["front_matter_status"] == status


@pytest.mark.parametrize(
    "readme",
    [
        "First words.\n\n---\n\npipeline of steel\n\n---\n\nLast words.",
        "---\nFirst words.\n\n---\n\nLast words.",
        "First words.\n\n---\nlicense plates are read\n---\nLast words.",
        "---\n\nFirst words without an end. Last words.",
    ],
)
def test_a_rule_in_prose_is_no_front_matter(readme: str) -> None:
    assert split_front_matter(readme).body == readme
    assert "First words" in clean(readme)
    assert "Last words" in clean(readme)


def test_fields_are_lists_of_strings_as_they_are_written() -> None:
    card = parse_card(
        "---\nlicense: apache-2.0\nlanguage: no\ntags: [a, 1.10, 2024-01-01, [nested], null]\n"
        "datasets:\n- glue\n- 'x/y'\nbase_model: a/b\nlibrary_name:\npipeline_tag: {a: b}\n---\n",
        NAMES,
    )
    assert card["license"] == ["apache-2.0"]
    assert card["language"] == ["no"]
    assert card["tags"] == ["a", "1.10", "2024-01-01"]
    assert card["datasets"] == ["glue", "x/y"]
    assert card["base_model"] == ["a/b"]
    assert card["library_name"] == card["pipeline_tag"] == card["task_categories"] == []


def test_reading_yaml_never_makes_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> None:
        raise AssertionError("an object was constructed")

    monkeypatch.setattr(yaml.constructor.UnsafeConstructor, "find_python_name", never)
    monkeypatch.setattr(yaml.constructor.FullConstructor, "find_python_name", never)
    card = parse_card("---\ntags: [!!python/object/apply:os.getcwd [x], b]\n---\nx", NAMES)
    assert card["tags"] == ["b"]


# --- Markdown ------------------------------------------------------------------------------------


def test_markdown_is_reduced_to_what_a_reader_sees() -> None:
    readme = (
        "Title *here*\n===\n\n## Sub `code` [link text](https://example.org/hidden)\n\n"
        "![alt](image.png) <b>bold</b><!-- comment -->\n\n"
        "```python\nsecret()\n```\n\n    indented code\n\n"
        "<div align='center'><p>in &amp; out</p>\n<script>evil()</script></div>\n\n"
        "1. one\n   - two\n\n> quoted   words\n\n"
        "| a | b |\n|---|---|\n| c | **d** |\n\nSee https://example.org/x and <https://e.org>.\n"
    )
    assert clean(readme).split("\n") == [
        "Title here", "Sub code link text", "bold", "in & out", "one", "two", "quoted words",
        "a | b", "c | d", "See and",
    ]  # fmt: skip


def test_text_of_any_script_stays_as_it_is() -> None:
    assert (
        clean("# 模型 🤗\n\nЭто мо\u0301дель für Ärzte.") == "模型 🤗\nЭто мо\u0301дель für Ärzte."
    )


def test_of_a_very_long_readme_the_head_is_read_and_the_rest_is_flagged() -> None:
    card = parse_card("---\nlicense: mit\n---\n" + "many words\n\n" * 400_000, NAMES)
    assert card["truncated"]
    assert card["license"] == ["mit"]
    assert 0 < len(card["clean"]) <= PARSED_CHARACTERS


def test_of_a_very_long_front_matter_nothing_reaches_clean() -> None:
    splits = "".join(f"- name: s{i}\n  task: {PLANTED}\n" for i in range(60_000))
    card = parse_card(f"---\nlicense: mit\nsplits:\n{splits}---\n{PROSE}", NAMES)
    assert card["truncated"]
    assert card["license"] == ["mit"]
    assert card["clean"] == CLEAN


# --- code ----------------------------------------------------------------------------------------


def test_code_blocks_are_kept_apart_from_prose_without_task_names_and_addresses():
    card = parse_card(
        "---\npipeline_tag: translation\n---\nBefore.\n\n"
        "```python\nrun = pipeline('translation', AutoModelForTokenClassification)\n"
        "# see https://example.org/translation\n```\n\nAfter.\n\n    make all\n",
        NAMES,
    )
    assert card["clean"] == "Before.\nAfter."
    words = "run = pipeline(' ', AutoModelForTokenClassification) # see make all"
    assert card["code"].split() == words.split()


# --- tags in prose -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "Tags: text-classification, pytorch",
        "**Tags**: `text-classification`",
        "tags:\n- text-classification",
        "pipeline_tag: text-classification",
        "Pipeline tag: text-classification",
        "task_categories: ['text-classification', \"translation\"]",
        "Task: Text Classification",
        "- **Task type:** text_classification",
        "- Problem type: Text Classification",
        "Model type: text-classification",
        "| Task | Text Classification |\n|---|---|\n| Tasks | translation |",
        "`text-classification`",
        "- text-classification\n- translation",
        "text-classification, pytorch, en",
        "text-classification | pytorch",
        "## Text Classification",
        "#text-classification #nlp",
        "[text-classification](https://huggingface.co/models?pipeline_tag=text-classification)",
        "![text-classification](https://img.shields.io/badge/task-text--classification-blue)",
        "<img alt='text-classification' src='x.svg'> <!-- pipeline_tag: text-classification -->",
        "Models: https://huggingface.co/models?pipeline_tag=text-classification",
        "Use `pipeline('text-classification')` to try it.",
        "Use pipeline('text-classification') or pipeline(task=\"translation\") to try it.",
        "You can use this model directly with a pipeline for text classification:",
        "It runs in the text-classification pipeline of the library.",
        "<pre><code>from transformers import pipeline\nf = pipeline(<span>'translation'</span>)"
        "</code></pre>",
        "Downstream task: Text Classification",
        "- text-classification: the labels say how the reviewer felt.",
        "- `image-text-to-text` / text-classification : the labels say how the reviewer felt.",
        "- `text-classification`: the labels say how the reviewer felt.",
    ],
)
def test_task_names_that_stand_as_tags_are_dropped(line: str) -> None:
    text = clean(f"Before it.\n\n{line}\n\nAfter it.").lower()
    assert "classification" not in text
    assert "translation" not in text
    assert text.startswith("before it.")
    assert text.endswith("after it.")


@pytest.mark.parametrize(
    "line",
    [
        "A model for text classification and translation, among other things.",
        "The task is text classification of reviews.",
        "Translation, summarization, and everything that a long sentence may list besides.",
        "Each task: one folder.",
        "It needs no other library.",
    ],
)
def test_task_names_in_a_sentence_stay(line: str) -> None:
    assert clean(line) == line


def test_a_long_row_of_task_names_is_found_at_once() -> None:
    names = TaskNames(["a", "b", "a b", "b a"])
    assert names.without_tags("a b " * 5_000) == ""
    assert names.without_tags("a b " * 5_000 + "x").endswith("x")


# --- the table -----------------------------------------------------------------------------------

CREATED, CHANGED = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)


def tables(
    cards: dict[str, str | None],
) -> tuple[dict[str, pl.LazyFrame], dict[str, pl.LazyFrame], pl.LazyFrame]:
    ids = [*cards, "without/card"]
    entity = pl.LazyFrame({"id": ids}).with_columns(
        created_at=pl.lit(CREATED).dt.cast_time_unit("ms"),
        last_modified_at=pl.lit(CHANGED).dt.cast_time_unit("ms"),
    )
    table = pl.LazyFrame(
        {"id": list(cards), "text": list(cards.values())},
        schema={"id": pl.String, "text": pl.String},
    )
    task = pl.LazyFrame({"id": ["translation"], "label": ["Translation"]})
    return (
        {"model": entity, "dataset": entity.head(0)},
        {"model": table, "dataset": table.head(0)},
        task,
    )


def test_as_published_is_the_readme_byte_for_byte() -> None:
    readmes = {f"a/{name}": text + PROSE for name, text in SHAPES.items()}
    frame = documents(*tables(dict(readmes)))
    assert dict(frame.select("id", "as_published").iter_rows()) == {**readmes, "without/card": None}


def test_every_model_and_dataset_has_a_document_with_the_declared_columns() -> None:
    frame = documents(*tables({"b/gated": None, "a/same": PROSE, "c/same": PROSE}))
    assert frame.schema == schema_of(DOCUMENT)
    assert frame["id"].to_list() == ["a/same", "b/gated", "c/same", "without/card"]
    assert frame["has_text"].to_list() == [True, False, True, False]
    assert frame["clean"].to_list() == [CLEAN, "", CLEAN, ""]
    digest = hashlib.sha256(CLEAN.encode()).hexdigest()
    assert frame["clean_sha256"].to_list() == [digest, None, digest, None]
    required = [column.name for column in DOCUMENT if column.required]
    assert not any(frame.select(required).null_count().row(0))


def test_no_cards_at_all_give_documents_without_text() -> None:
    assert documents(*tables({}))["has_text"].to_list() == [False]


def test_cards_are_parsed_in_order() -> None:
    frame = parse_cards(["one", "two", "one"], ["translation"])
    assert frame["clean"].to_list() == ["one", "two", "one"]


@pytest.mark.slow
def test_processes_parse_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text + PROSE for text in SHAPES.values()]
    alone = parse_cards(texts, ["text-classification", "translation"])
    monkeypatch.setattr(readme, "BATCH", 5)
    monkeypatch.setattr(readme, "BATCHES_FOR_PROCESSES", 2)
    assert parse_cards(texts, ["text-classification", "translation"]).equals(alone)


# --- flags ---------------------------------------------------------------------------------------

GERMAN = "Dieses Modell wurde mit Leserbriefen an deutsche Zeitungen trainiert."


def test_a_document_tells_when_it_was_changed_and_in_which_language_it_is() -> None:
    frame = documents(*tables({"a/english": PROSE, "b/german": GERMAN, "c/name": "# gpt2-x"}))
    assert frame["last_modified_at"].to_list() == [CHANGED] * 4
    assert frame["detected_language"].to_list() == ["en", "de", None, None]
    assert frame["is_english"].to_list() == [True, False, None, None]
    assert frame["language_confidence"].is_null().to_list() == [False, False, True, True]


def test_a_document_tells_whether_a_program_wrote_it() -> None:
    generated = "This dataset was created using [LeRobot](https://github.com/huggingface/lerobot)."
    frame = documents(*tables({"a": generated, "b": f"{generated}\n\n{GERMAN}", "c": GERMAN}))
    assert frame["boilerplate"].to_list() == ["lerobot", "lerobot", None, None]
    assert frame["only_boilerplate"].to_list() == [True, False, False, False]


def test_the_oldest_of_near_duplicates_stands_for_the_others_of_its_kind() -> None:
    words = " ".join(f"word{i}" for i in range(60))
    rows = [
        ("model", "young", 3, f"{words} end"), ("model", "old", 1, words), ("model", "b", 2, words),
        ("model", "as-old", 1, "another text"), ("model", "undated", None, "another text"),
        ("model", "empty", 1, ""), ("model", "empty too", 1, ""), ("dataset", "z", 4, words),
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["kind", "id", "created_at", "clean"], orient="row")
    frame = frame.with_columns(
        clean_sha256=pl.when(pl.col("clean") != "").then(pl.col("clean").hash().cast(pl.String))
    )
    marked = mark_duplicates(frame)
    assert marked["id"].to_list() == frame["id"].to_list()
    assert marked["duplicate_of"].to_list() == [
        "old", None, "old", None, "as-old", None, None, None
    ]  # fmt: skip
    assert marked["duplicates"].to_list() == [2, 2, 2, 1, 1, 0, 0, 0]
