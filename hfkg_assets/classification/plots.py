"""Figures of training, of the leaderboard and of what is confused with what.

Belongs here: from figures' data to drawings. Does not: where they are shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from hfkg_assets.classification.calibration import Reliability
from hfkg_assets.figures import as_markdown, subplots

LONGEST_NAME = 40
"""Characters of a name beside a bar; more would leave no room for the bar."""


def learning_curves(histories: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Loss and validation score per epoch as Markdown.

    Args:
        histories: run name → (losses, validation scores).
    """
    return as_markdown(draw_learning_curves({name: [run] for name, run in histories.items()}))


def draw_learning_curves(
    histories: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]],
) -> Any:
    """Loss and validation score per epoch, a colour per name and a line per run.

    Args:
        histories: name → (losses, validation scores) of each of its runs.
    """
    figure, (left, right) = subplots(2)
    for number, (name, runs) in enumerate(histories.items()):
        for index, (losses, scores) in enumerate(runs):
            style = {"color": f"C{number % 10}", "linewidth": 1, "alpha": 0.8}
            left.plot(losses, **style)
            right.plot(scores, label=_short(name) if index == 0 else None, **style)
    left.set(title="training loss", xlabel="epoch", yscale="log")
    right.set(title="score on validation nodes", xlabel="epoch")
    if histories:
        right.legend(fontsize=7)
    return figure


def draw_bars(
    title: str,
    values: Mapping[str, float],
    *,
    deviations: Sequence[float | None] = (),
    marks: Sequence[float | None] = (),
    mark: str = "",
    pale: Sequence[bool] = (),
) -> Any:
    """One horizontal bar per name, from 0 to 1.

    Args:
        title: what the bars measure.
        values: name → length.
        deviations: half lengths of error bars, none where null.
        marks: something to compare each bar with, a tick at its place.
        mark: what the ticks are.
        pale: whether a bar is of another kind and drawn pale.
    """
    figure, (axes,) = subplots(1, height=max(2.0, 0.7 + 0.22 * len(values)))
    figure.set_figwidth(7.5)
    places = np.arange(len(values))
    colours = ["#b8c4d6" if other else "#3b6ea5" for other in pale] or "#3b6ea5"
    axes.barh(places, list(values.values()), color=colours, height=0.7)
    if any(deviations):
        lengths = [deviation or 0.0 for deviation in deviations]
        axes.errorbar(
            list(values.values()), places, xerr=lengths, fmt="none", ecolor="black", capsize=2
        )
    if marks:
        style = {"color": "#c1440e", "markersize": 9, "markeredgewidth": 2}
        known = [(place, x) for place, x in zip(places, marks, strict=True) if x is not None]
        axes.plot([x for _, x in known], [p for p, _ in known], "|", **style, label=mark)
        axes.legend(fontsize=7, loc="lower right")
    axes.set_yticks(places, [_short(name) for name in values], fontsize=7)
    axes.invert_yaxis()
    axes.set(title=title, xlim=(0, 1))
    return figure


def draw_confusion(confusion: pl.DataFrame) -> Any:
    """Shares as a shaded grid.

    Args:
        confusion: `label` and a column of shares in [0, 1] per predicted label.
    """
    shares = confusion.drop("label").to_numpy()
    names = confusion.columns[1:]
    figure, (axes,) = subplots(1, height=1.6 + 0.36 * len(shares))
    figure.set_figwidth(7.5)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), [_short(name) for name in names], rotation=45, ha="right")
    axes.set_yticks(range(len(shares)), [_short(name) for name in confusion["label"]])
    axes.tick_params(labelsize=7)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour, size=7)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def draw_reliability(measured: Mapping[str, Reliability]) -> Any:
    """Observed frequency against predicted probability, and where predictions lie.

    Args:
        measured: what was measured by name; on the diagonal every probability holds.
    """
    figure, (left, right) = subplots(2, height=3.4)
    left.plot([0, 1], [0, 1], color="0.7", lw=1)
    for name, found in measured.items():
        used = found.counts > 0
        left.plot(found.predicted[used], found.observed[used], marker=".", label=name)
        edges = np.linspace(0, 1, len(found.counts) + 1)
        right.stairs(found.counts / found.counts.sum(), edges)
    left.set(title="most probable task", xlabel="probability", ylabel="share that is right")
    left.set(xlim=(0, 1), ylim=(0, 1))
    right.set(title="share of rows", xlabel="probability", xlim=(0, 1), ylim=(0, None))
    left.legend(fontsize=6)
    return figure


def _short(name: str) -> str:
    # Dollars would be read as formulas.
    text = name.replace("$", r"\$")
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
