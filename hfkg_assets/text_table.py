"""Tables and texts on a terminal.

Belongs here: how they are laid out, and that nothing from outside steers the terminal. Does not:
what they say.
"""

import polars as pl

WIDTH = 220
CELL = 60


def text_table(title: str, frame: pl.DataFrame, cell: int = CELL) -> str:
    """A table under its title, whole but for long cells.

    Args:
        title: a line above it.
        frame: its rows.
        cell: characters of a text that are shown.
    """
    texts = pl.selectors.string()
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_MARKDOWN",
        tbl_width_chars=WIDTH,
        fmt_str_lengths=cell,
        thousands_separator=True,
        float_precision=4,
    ):
        return f"{title}\n{frame.with_columns(texts.str.replace_all(_CONTROL, ' '))}"


_CONTROL = r"\p{C}"
"""Signs that are not written but obeyed: terminal commands, changes of direction."""


def markdown_table(frame: pl.DataFrame) -> str:
    """A table as Markdown; numbers stand to the right, with separators."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    rule = ["---:" if is_number else "---" for is_number in numeric]
    rows = [
        [_cell(value) for value in row]
        for row in frame.iter_rows()
    ]  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in [frame.columns, rule, *rows])


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value).replace("|", "\\|")


def printable(text: str) -> str:
    """A text from outside with everything that would steer a terminal as spaces."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
