"""How marks become lines: the same weights for seeds, medians and worst seeds."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes

from jaxbias.plots import style
from jaxbias.plots._frames import Mark


def pick(marks: Iterable[Mark], **wanted: str) -> list[Mark]:
    """The marks whose panel, series or role equal the given words."""
    return [
        mark
        for mark in marks
        if all(getattr(mark, name) == word for name, word in wanted.items())
    ]


def curves(ax: Axes, marks: Iterable[Mark], colour, **line) -> None:
    """Draw one family: seeds thin, median bold, the worst seed dotted."""
    for mark in marks:
        if mark.role == "seed":
            ax.plot(mark.x, mark.y, color=colour, lw=0.5, alpha=0.35, zorder=2)
        elif mark.role == "worst":
            ax.plot(mark.x, mark.y, color=colour, lw=0.8, ls=":", zorder=3)
        elif mark.role == "median":
            ax.plot(mark.x, mark.y, color=colour, zorder=4, **line)
        elif mark.role == "band" and mark.upper is not None:
            ax.fill_between(
                mark.x, mark.y, mark.upper, color=colour, alpha=0.15, lw=0, zorder=1
            )


def unreachable(ax: Axes, ceiling: Mark, text: str) -> None:
    """Hatch what lies above the ceiling of all classifiers, and say so."""
    ax.fill_between(
        ceiling.x,
        ceiling.y,
        1.0,
        facecolor="#eeeeee",
        edgecolor="#c9c9c9",
        hatch="////",
        lw=0,
        zorder=0,
    )
    first = ceiling.x[np.argmax(ceiling.y < 1)]
    middle = (first + ceiling.x[-1]) / 2
    height = (float(ceiling.y[-1]) + 1) / 2
    style.label(ax, middle, height, text, style.GREY, ha="center", zorder=1.5)
