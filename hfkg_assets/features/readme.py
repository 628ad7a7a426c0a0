"""READMEs to text: structured fields, and prose without the answer in it.

A README's YAML front matter names the tasks of its repository word for word, and so do lines and
badges that repeat it. A classifier that reads them learns to copy. Here a README is parted into
structured fields, `clean`: prose, with task names removed wherever they stand as tags, and `code`,
with task names removed. A task named in a sentence stays, since that is what a reader would learn
from.

Task names are removed whether or not they are the repository's own: what is left then does not
depend on the labels.

Belongs here: what one README says. Does not: which repository it is of (`documents`), or how it
compares with others (`near_duplicates`). READMEs are parsed by worker processes, which is why
nothing of Dagster is imported here.
"""

import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import polars as pl
import yaml
from markdown_it import MarkdownIt

from hfkg_assets.features.languages import LANGUAGE, detect_languages
from hfkg_resources.table_schema import STRINGS

PARSED_CHARACTERS = 200_000
"""Of a longer README (or front matter) the rest is not parsed: it holds logs, not prose."""

FIELDS = (
    "license", "language", "tags", "pipeline_tag", "task_categories", "datasets", "base_model",
    "library_name",
)  # fmt: skip
"""Front-matter fields that are kept, each as a list of strings."""

_CARD = {
    "clean": pl.String(),
    "code": pl.String(),
    "truncated": pl.Boolean(),
    "front_matter_status": pl.String(),
    **dict.fromkeys(FIELDS, STRINGS),
    "clean_sha256": pl.String(),
}
PARSED = {**_CARD, **LANGUAGE}
"""What `parse_cards` tells of a README."""

BATCH = 256
BATCHES_FOR_PROCESSES = 8
"""From so many batches on, starting processes takes less time than it saves."""

# --- front matter --------------------------------------------------------------------------------

_INVISIBLE = "\ufeff\u200b\u2060"
_START = rf"[\s{_INVISIBLE}]*"
_RULE = r"-{3,}[ \t]*(?:\n|\Z)"
_KEY = r"[\"']?[\w-]+[\"']?:(?:[ \t].*)?"
_VALUES = r"(?:(?:[ \t]*-[ \t].*|[ \t]+\S.*)(?:\n|\Z))*+"
_ENTRIES = rf"(?:\n*{_KEY}(?:\n|\Z){_VALUES})++"

_OPENING = re.compile(_START + _RULE)
_CLOSING = re.compile("^" + _RULE, re.MULTILINE)
_ENTRY = re.compile(rf"^[ \t]*{_KEY}$", re.MULTILINE)
_UNCLOSED = re.compile(_ENTRIES)
_UNOPENED = re.compile(
    rf"{_START}(?=(?:{'|'.join(FIELDS)}|metrics|pretty_name|task_ids|widget):){_ENTRIES}\n*{_RULE}"
)

# libyaml is many times as fast, but PyYAML may have been built without it. The base loader makes
# strings only: a version stays `1.10`, Norwegian `no` is no boolean, and no tag is resolved.
_YAML_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
# The C parser recurses without a limit: a hundred thousand brackets would end the process.
_MAX_DEPTH = 100
_NESTED_LINES = re.compile(r"(?:[-?:][ \t]+){8}|^[ \t]{100}", re.MULTILINE)


class FrontMatter(NamedTuple):
    """What stands at the head of a README.

    Attributes:
        text: the YAML without its marks; None where the README has none.
        fields: its mapping, all scalars as strings; None where it is none or broken.
        body: the README after it.
    """

    text: str | None
    fields: Mapping[str, Any] | None
    body: str

    @property
    def status(self) -> str:
        """`ok`, `none` or `broken`."""
        return "none" if self.text is None else "broken" if self.fields is None else "ok"


def split_front_matter(text: str) -> FrontMatter:
    """Parts a README into front matter and body, whatever state they are in.

    Front matter is what stands between `---` at the very start and the next `---`. What has not
    one `key:` in it is prose between two rules. Where one of the marks was forgotten, the lines
    that look like YAML are taken.

    Args:
        text: the README with `\\n` line ends.
    """
    opening = _OPENING.match(text)
    if opening is None:
        unopened = _UNOPENED.match(text)
        if unopened is None:
            return FrontMatter(None, None, text)
        inside = unopened[0].rstrip().rstrip("-")
        return FrontMatter(inside, read_yaml(inside), text[unopened.end() :])
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        unclosed = _UNCLOSED.match(text, opening.end())
        if unclosed is None:
            return FrontMatter(None, None, text)
        return FrontMatter(unclosed[0], read_yaml(unclosed[0]), text[unclosed.end() :])
    inside, body = text[opening.end() : closing.start()], text[closing.end() :]
    fields = read_yaml(inside)
    if fields is None and not _ENTRY.search(inside):
        return FrontMatter(None, None, text)
    return FrontMatter(inside, fields, body)


def read_yaml(text: str) -> dict[str, Any] | None:
    """The mapping that a front matter holds, all scalars as strings; None where it is broken."""
    if len(text) > PARSED_CHARACTERS:
        text = _whole_entries(text[:PARSED_CHARACTERS])
    try:
        if _is_too_deep(text):
            return None
        loaded = yaml.load(text, Loader=_YAML_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if loaded is None or loaded == "":
        return {}
    return loaded if isinstance(loaded, dict) else None


def _whole_entries(text: str) -> str:
    """The text up to the last line that starts an entry."""
    starts = [match.start() for match in re.finditer(r"^(?=[\"']?[A-Za-z_])", text, re.MULTILINE)]
    return text[: starts[-1]] if starts else ""


def _is_too_deep(text: str) -> bool:
    """Whether a YAML text is nested deeper than `_MAX_DEPTH`, found without recursion."""
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        brackets = re.findall(r"[\[\]{}]", text)
        if _deepest(1 if bracket in "[{" else -1 for bracket in brackets) > _MAX_DEPTH:
            return True
    if not _NESTED_LINES.search(text):
        return False
    events = yaml.parse(text, Loader=_YAML_LOADER)
    return (
        _deepest(
            isinstance(event, yaml.CollectionStartEvent)
            - isinstance(event, yaml.CollectionEndEvent)
            for event in events
        )
        > _MAX_DEPTH
    )


def _deepest(steps: Iterable[int]) -> int:
    return max(accumulate(steps), default=0)


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, str) and v not in ("", "null", "~")]


# --- Markdown to prose ---------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark").enable("table")
# Link targets are thrown away: escaping them is time lost.
_MARKDOWN.normalizeLink = lambda url: url  # type: ignore[method-assign]
_HTML = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|pre)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>",
    re.DOTALL | re.IGNORECASE,
)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+")


def read_body(markdown: str, names: "TaskNames") -> tuple[str, str]:
    """What a README tells: its prose, and its code blocks.

    Prose is the text a reader sees: headings, paragraphs, lists and tables, a line each. Left out:
    HTML, images, addresses, and task names that stand as tags. Of code all task names are left out.

    Args:
        markdown: the README's body.
        names: the task names to take out.
    """
    lines: list[str] = []
    blocks: list[str] = []
    row: list[str] | None = None
    for token in _MARKDOWN.parse(markdown):
        if token.type in ("fence", "code_block"):
            blocks.append(token.content)
        elif token.type == "inline":
            text = _inline(token.children or (), names)
            (lines if row is None else row).append(text)
        elif token.type == "html_block":
            lines.append(html.unescape(_HTML.sub(" ", token.content)))
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            lines.append(" | ".join(row or ()))
            row = None
    text = _ADDRESS.sub(" ", "\n".join(lines))
    kept = (names.without_tags(" ".join(line.split())) for line in text.split("\n"))
    code = names.removed(_ADDRESS.sub(" ", "\n".join(blocks)))
    return "\n".join(line for line in kept if line), code.strip()


def _inline(tokens: Iterable[Any], names: "TaskNames") -> str:
    parts: list[str] = []
    in_link = False
    for token in tokens:
        if token.type == "text":
            parts.append(names.removed(token.content) if in_link else token.content)
        elif token.type == "code_inline":
            parts.append(names.removed(token.content))
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type in ("link_open", "link_close"):
            in_link = token.type == "link_open"
        elif token.type == "html_inline":
            parts.append(" ")
    return "".join(parts)


# --- task names as tags --------------------------------------------------------------------------

_MACHINE_FIELD = re.compile(
    r"\b(?:pipeline[_ -]?tags?|task[_ -]categor(?:y|ies)|task[_ -]ids?)\b[\"'`]?\s*[:=|].*",
    re.IGNORECASE,
)
_TAGS_LINE = re.compile(r"[\W_]*(?:tags|keywords|hashtags)\b[\W_]*(?:[:=|].*)?$", re.IGNORECASE)
_TASK_FIELD = re.compile(
    r"[\W_]*(?:(?:model|dataset|problem|primary|main|supported|intended|downstream|ml|nlp)[ _-])?"
    r"(?:tasks?|pipelines?|type|categor(?:y|ies))(?:[ _-](?:type|category|name|tag)s?)?\s*[:=|]",
    re.IGNORECASE,
)
# Sentences of programs that write cards, in which they fill in the task.
_GENERATED_LINE = re.compile(
    r"This is a SetFit model\b|An adapter for the .* prediction head for\b"
)
_LIST_MARK = re.compile(r"([|,;•·])")
_TAG_WORDS = 4


class TaskNames:
    """Finds the names of tasks in a text: ids and labels, in any case, with any separator.

    Args:
        names: ids and labels, such as `text-classification` and `Text Classification`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        words = {tuple(re.findall(r"\w+", name.lower())) for name in names} - {()}
        longest_first = sorted(words, key=lambda name: (-len(name), name))
        alternatives = "|".join(r"[\s_-]*".join(map(re.escape, name)) for name in longest_first)
        name = alternatives or r"(?!)"
        self._anywhere = re.compile(rf"(?<![\w-])(?:{name})(?![\w-])", re.IGNORECASE)
        self._pipeline = re.compile(
            rf"(?<=\bpipeline for )(?:{name})(?![\w-])|(?<![\w-])(?:{name})(?= pipelines?\b)"
            rf"|(?<=\bpipeline\()\W*(?:task\W*)?(?:{name})(?![\w-])[\"'`]*",
            re.IGNORECASE,
        )
        self._hashtag = re.compile(rf"#(?:{name})(?![\w-])", re.IGNORECASE)
        # Atomic, or a row of names that are made of other names would be tried in all ways.
        self._whole = re.compile(rf"[\W_]*+(?>(?:{name})[\W_]*+)+", re.IGNORECASE)
        self._heading = re.compile(rf"[\W_]*+(?>(?:{name})(?:[^\w:]++|(?=:)))+:", re.IGNORECASE)

    def removed(self, text: str) -> str:
        """The text without any task name."""
        return self._anywhere.sub(" ", text)

    def without_tags(self, line: str) -> str:
        """One line of prose without task names that stand as tags.

        A line of machine-readable fields goes as a whole; `Task: …` loses its task names, as does
        the name of a pipeline, and what stands before a colon; an entry of a list, a table cell or
        a line that is nothing but a task name goes.
        """
        if _TAGS_LINE.match(line):
            return ""
        line = _MACHINE_FIELD.sub("", line)
        if "#" in line:
            line = self._hashtag.sub(" ", line)
        if "ipeline" in line:
            line = self._pipeline.sub(" ", line)
        if ":" in line:  # the template of dataset cards: `- `text-classification`: The dataset …`
            heading = self._heading.match(line)
            line = line[heading.end() :] if heading else line
        if _TASK_FIELD.match(line) or _GENERATED_LINE.match(line):
            line = self.removed(line)
        if self._whole.fullmatch(line):
            return ""
        entries = _LIST_MARK.split(line)
        # Commas part a sentence too: only short entries throughout make a list of tags.
        if len(entries) > 1 and ("|" in line or all(_is_short(e) for e in entries)):
            line = "".join("" if self._whole.fullmatch(entry) else entry for entry in entries)
        return " ".join(line.split())


def _is_short(entry: str) -> bool:
    return len(entry.split()) <= _TAG_WORDS


@lru_cache(maxsize=4)
def _task_names(names: tuple[str, ...]) -> TaskNames:
    return TaskNames(names)


# --- READMEs -------------------------------------------------------------------------------------


def parse_card(text: str, names: TaskNames) -> dict[str, Any]:
    """One README's clean text and structured fields.

    Args:
        text: the README, of any length and in any state.
        names: the task names to take out where they stand as tags.

    Returns:
        A value for each of `clean`, `code`, `truncated`, `front_matter_status`, the front-matter
        fields and `clean_sha256`.
    """
    head = split_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    body = head.body
    if head.text is not None:  # some cards carry the front matter of what they were copied from
        body = split_front_matter(body).body
    clean, code = read_body(body[:PARSED_CHARACTERS], names)
    return {
        "clean": clean,
        "code": code,
        "truncated": max(len(body), len(head.text or "")) > PARSED_CHARACTERS,
        "front_matter_status": head.status,
        **{name: _strings((head.fields or {}).get(name)) for name in FIELDS},
        "clean_sha256": hashlib.sha256(clean.encode()).hexdigest() if clean else None,
    }


def parse_cards(texts: Sequence[str], task_names: Sequence[str]) -> pl.DataFrame:
    """`parse_card` of many READMEs, and the language of each clean text.

    Args:
        texts: n READMEs; many are shared out among a process per processor.
        task_names: ids and labels of all tasks.

    Returns:
        n rows in the same order.
    """
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    names = tuple(task_names)
    if len(texts) < BATCHES_FOR_PROCESSES * BATCH:
        frames = [_parse_batch(batch, names) for batch in batches]
    else:
        from joblib import Parallel, delayed

        with Parallel(n_jobs=-1) as parallel:
            frames = parallel(delayed(_parse_batch)(batch, names) for batch in batches)
    return pl.concat([pl.DataFrame(schema=PARSED), *frames])


def _parse_batch(texts: Sequence[str], task_names: tuple[str, ...]) -> pl.DataFrame:
    names = _task_names(task_names)
    cards = pl.DataFrame([parse_card(text, names) for text in texts], schema=_CARD)
    return cards.hstack(detect_languages(cards["clean"]))
