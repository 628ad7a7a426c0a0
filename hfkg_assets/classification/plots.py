"""Pictures for the metadata of materializations: PNG, inline in Markdown, well under 100 KB."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any


def learning_curves(histories: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Loss and validation score per epoch as Markdown.

    Args:
        histories: run name → (losses, validation scores).
    """
    figure, (left, right) = _figure(2)
    for name, (losses, scores) in histories.items():
        left.plot(losses, label=name)
        right.plot(scores, label=name)
    left.set(title="training loss", xlabel="epoch")
    right.set(title="validation micro-F1", xlabel="epoch", ylim=(0, 1))
    right.legend(fontsize=7)
    return _markdown(figure)


def bars(title: str, values: Mapping[str, float]) -> str:
    """One horizontal bar per name as Markdown."""
    figure, (axes,) = _figure(1)
    axes.barh(list(values), list(values.values()))
    axes.invert_yaxis()
    axes.set(title=title, xlim=(0, 1))
    return _markdown(figure)


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * columns, 3), dpi=80, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _markdown(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return f"![](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
