"""Figures in the metadata of materializations: PNG, inline in Markdown, well under 100 KB.

Belongs here: what all figures have in common. Does not: what any shows.
"""

import base64
import io
from typing import Any

COLOURS = 128
"""Of an image; edges of letters and lines are smoothed with shades of theirs."""


def subplots(columns: int, height: float = 3.0) -> tuple[Any, Any]:
    """A figure with some axes in a row, made without a display.

    Args:
        columns: number of axes.
        height: inches, at 80 pixels each; an axes is 4.5 wide.

    Returns:
        The figure and an array of its axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * columns, height), dpi=80, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def as_data_uri(figure: Any) -> str:
    """The figure as the address of an image that holds its own data."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    # A drawing has few colours: a palette of them takes a third of the room.
    image = Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(small, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(small.getvalue()).decode()}"


def as_markdown(figure: Any) -> str:
    """The figure as a Markdown image that holds its own data."""
    return f"![]({as_data_uri(figure)})"
