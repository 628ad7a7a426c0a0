"""Figures of the graph: growth, degrees, rejected assertions."""

from collections.abc import Mapping, Sequence

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
    right.set(title="all nodes and edges", yscale="log")
    _dates(left, right)
    return as_markdown(figure)


def _dates(*all_axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for axes in all_axes:
        locator = AutoDateLocator(minticks=2, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.legend(fontsize=7)


def degrees(
    outgoing: Mapping[str, Sequence[int] | np.ndarray],
    incoming: Mapping[str, Sequence[int] | np.ndarray],
) -> str:
    """Degree distributions on log axes as Markdown: the share of nodes with at least a degree.

    Args:
        outgoing: entity type → number of nodes by out-degree, from 0.
        incoming: the same of in-degrees.
    """
    figure, axes = subplots(2)
    for place, title, distributions in zip(
        axes, ("out-degree", "in-degree"), (outgoing, incoming), strict=True
    ):
        for name, numbers in distributions.items():
            numbers = np.asarray(numbers)
            at_least = numbers[::-1].cumsum()[::-1]
            occurring = np.flatnonzero(numbers)
            occurring = occurring[occurring > 0]
            if len(occurring):
                place.plot(occurring, at_least[occurring] / at_least[0], label=name)
        place.set(title=title, xscale="log", yscale="log", xlabel="k", ylabel="nodes with ≥ k")
        if place.lines:
            place.legend(fontsize=7)
    return as_markdown(figure)


def rejected(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Rejected assertions by reason, stacked, one bar per relation, as Markdown.

    Args:
        shares: reason → relation → rejected of all that was observed, from 0 to 1.
    """
    relations = list(next(iter(shares.values())))
    figure, (axes,) = subplots(1, height=1 + 0.18 * len(relations))
    left = np.zeros(len(relations))
    for reason, values in shares.items():
        widths = np.array([values[name] for name in relations])
        axes.barh(relations, widths, left=left, label=reason)
        left += widths
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=6)
    axes.set(title="rejected, share of observed")
    axes.legend(fontsize=6)
    return as_markdown(figure)
