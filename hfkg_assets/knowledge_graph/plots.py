"""Figures of the graph: growth, degrees, rejected assertions."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from hfkg_assets.figures import as_markdown, subplots


def growth(counts: pl.DataFrame) -> str:
    """Nodes and edges of every stored snapshot, on a log axis, as Markdown.

    Args:
        counts: `snapshot_date`, `section` (entity or relation), `name`, `count`. Every entity type
            is a line; relations, of which there are thirty, are summed.
    """
    figure, (left, right) = subplots(2)
    nodes = counts.filter(pl.col("section") == "entity")
    for (name,), rows in nodes.group_by("name", maintain_order=True):
        rows = rows.filter(pl.col("count") > 0).sort("snapshot_date")
        left.plot(rows["snapshot_date"], rows["count"], marker=".", label=name)
    totals = counts.group_by("section", "snapshot_date").agg(pl.col("count").sum())
    for section, label in (("entity", "nodes"), ("relation", "edges")):
        rows = totals.filter(pl.col("section") == section).sort("snapshot_date")
        right.plot(rows["snapshot_date"], rows["count"], marker=".", label=label)
    left.set(title="nodes by type", yscale="log")
    right.set(title="all nodes and all edges", yscale="log")
    dates = sorted(counts["snapshot_date"].unique())
    for axes in (left, right):
        _over_time(axes, dates[0], dates[-1])
    return as_markdown(figure)


def _over_time(axes: Any, first: date, last: date) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import EngFormatter, LogLocator

    locator = AutoDateLocator(minticks=1, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlim(first - timedelta(days=1), last + timedelta(days=1))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.minorticks_off()
    _legend(axes)


def degrees(outgoing: Mapping[str, np.ndarray], incoming: Mapping[str, np.ndarray]) -> str:
    """Degree distributions on log axes as Markdown: the share of nodes with at least a degree.

    Args:
        outgoing: entity type → number of nodes by out-degree, from 0.
        incoming: the same of in-degrees, of the same types.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = subplots(2)
    for place, title, distributions in zip(
        axes, ("out-degree", "in-degree"), (outgoing, incoming), strict=True
    ):
        for color, (name, numbers) in enumerate(distributions.items()):
            at_least = numbers[::-1].cumsum()[::-1]
            occurring = np.flatnonzero(numbers[1:]) + 1
            if len(occurring):
                share = at_least[occurring] / at_least[0]
                place.plot(occurring, share, label=name, color=f"C{color}", marker=".", ms=2, lw=1)
        place.set(title=title, xscale="log", yscale="log", xlabel="k")
        place.set_ylabel("share of nodes with ≥ k edges")
        for axis in (place.xaxis, place.yaxis):  # the ticks between powers of ten are dear to draw
            axis.set_major_locator(LogLocator(numticks=8))
        place.minorticks_off()
        _legend(place)
    return as_markdown(figure)


def _legend(axes: Any) -> None:
    if axes.lines:
        axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def rejected(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Rejected assertions by reason, stacked, one bar per relation, as Markdown.

    Args:
        shares: reason → relation → rejected of all that was observed, from 0 to 1.
    """
    from matplotlib.ticker import PercentFormatter

    relations = list(next(iter(shares.values())))
    figure, (axes,) = subplots(1, height=1 + 0.18 * len(relations))
    left = np.zeros(len(relations))
    for color, (reason, values) in enumerate(shares.items()):
        widths = np.array([values[name] for name in relations])
        if widths.any():
            axes.barh(relations, widths, left=left, label=reason, color=f"C{color}")
        left += widths
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=6)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set(title="rejected, of all observed")
    if axes.patches:
        axes.legend(fontsize=6)
    return as_markdown(figure)
