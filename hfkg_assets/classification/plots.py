"""Figures of training and of the leaderboard."""

from collections.abc import Mapping, Sequence

from hfkg_assets.figures import as_markdown, subplots


def learning_curves(histories: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Loss and validation score per epoch as Markdown.

    Args:
        histories: run name → (losses, validation scores).
    """
    figure, (left, right) = subplots(2)
    for name, (losses, scores) in histories.items():
        left.plot(losses, label=name)
        right.plot(scores, label=name)
    left.set(title="training loss", xlabel="epoch")
    right.set(title="validation micro-F1", xlabel="epoch", ylim=(0, 1))
    right.legend(fontsize=7)
    return as_markdown(figure)


def bars(title: str, values: Mapping[str, float]) -> str:
    """One horizontal bar per name as Markdown."""
    figure, (axes,) = subplots(1)
    axes.barh(list(values), list(values.values()))
    axes.invert_yaxis()
    axes.set(title=title, xlim=(0, 1))
    return as_markdown(figure)
