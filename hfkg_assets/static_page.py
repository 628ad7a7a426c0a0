"""A static HTML page that needs nothing but itself: no network, no script, no other file.

Belongs here: its elements and its style. Does not: what any page says. Everything that is given as
text is escaped; what is already HTML has the type `Html`.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import NewType

import polars as pl

Html = NewType("Html", str)

STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #2a5d9c; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab4f0; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 0 1rem 3rem;
       max-width: 72rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
nav a { display: inline-block; padding: .4rem 0; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top;
         border-bottom: 1px solid var(--line); overflow-wrap: normal; }
.number { text-align: right; white-space: nowrap; }
tbody th { font-weight: 500; position: sticky; left: 0; background: Canvas; max-width: 14rem;
           overflow-wrap: break-word; }
figure { margin: 1rem 0; }
img { display: block; background: white; }
figcaption { font-size: .875rem; }
summary { cursor: pointer; padding: .4rem 0; }
"""


def page(title: str, introduction: Iterable[Html], sections: Mapping[str, Iterable[Html]]) -> str:
    """A whole page.

    Args:
        title: its name and first heading.
        introduction: what stands before the first section.
        sections: heading → content; each is linked to from the top.
    """
    places = {heading: f"section-{number}" for number, heading in enumerate(sections, start=1)}
    links = "".join(
        f'<li><a href="#{place}">{escape(name)}</a></li>' for name, place in places.items()
    )
    body = "".join(
        f'<section aria-labelledby="{places[heading]}">'
        f'<h2 id="{places[heading]}">{escape(heading)}</h2>\n{"".join(content)}</section>\n'
        for heading, content in sections.items()
    )
    # The policy makes sure of what the module promises: nothing is loaded, nothing runs.
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><h1>{escape(title)}</h1></header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main id="content">
{"".join(introduction)}
{body}</main>
</body>
</html>
"""


def paragraph(text: str) -> Html:
    """A paragraph."""
    return Html(f"<p>{escape(text)}</p>\n")


def heading(text: str) -> Html:
    """A heading within a section."""
    return Html(f"<h3>{escape(text)}</h3>\n")


def items(texts: Iterable[str]) -> Html:
    """A list."""
    return Html("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>\n")


def details(summary: str, content: Html) -> Html:
    """Content that is shown on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>{content}</details>\n")


def image(source: str, caption: str) -> Html:
    """A figure with its caption, which is also what is read out.

    Args:
        source: a `data:` address.
        caption: what the figure shows.
    """
    text = escape(caption)
    return Html(
        f'<figure><div class="wide" role="region" tabindex="0" aria-label="{text}">'
        f'<img src="{escape(source)}" alt="{text}"></div>'
        f"<figcaption>{text}</figcaption></figure>\n"
    )


def table(frame: pl.DataFrame, caption: str) -> Html:
    """A table whose first column names the row; numbers stand right. It scrolls by itself."""
    numbers = [
        dtype.is_numeric() or _looks_like_numbers(frame[name])
        for name, dtype in frame.schema.items()
    ]
    classes = [' class="number"' if number else "" for number in numbers]
    head = "".join(
        f'<th scope="col"{class_}>{escape(name)}</th>'
        for name, class_ in zip(frame.columns, classes, strict=True)
    )
    rows = "".join(
        f'<tr><th scope="row">{_cell(first)}</th>'
        + "".join(
            f"<td{class_}>{_cell(value)}</td>"
            for value, class_ in zip(rest, classes[1:], strict=True)
        )
        + "</tr>\n"
        for first, *rest in frame.iter_rows()
    )
    text = escape(caption)
    return Html(
        f'<div class="wide" role="region" tabindex="0" aria-label="{text}">'
        f"<table><caption>{text}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div>\n"
    )


def _looks_like_numbers(values: pl.Series) -> bool:
    return values.dtype == pl.String and bool(
        values.drop_nulls().str.contains(r"^[-+]?\d[\d.,]*( (±|to) [-+]?[\d.]+| %)?$|^$").all()
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value))
