"""Robust accuracy against radius: what is left, what attacks report, closed forms."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick, unreachable
from jaxbias.plots.geometry import COLOURS

# Each curve's name, and the accuracy beside which it stands.
_NAMES = {
    "averaged": ("2 labels", 0.78),
    "sum": ("{} labels, sum", 0.62),
    "max": ("{} labels, max", 0.46),
}
_DOTTED = (0, (1, 1))


def figure(data: xr.Dataset) -> Figure:
    """One panel; hatched is what no classifier reaches."""
    marks = _frames.readout_accuracy(data)
    drawn = style.new_figure(style.PAGE, 2.7)
    ax = drawn.add_subplot()
    (ceiling,) = pick(marks, series="ceiling")
    unreachable(ax, ceiling, "no classifier")
    for readout, colour in COLOURS.items():
        certified = pick(marks, panel="certified", series=readout)
        curves(ax, certified, colour, ls=(0, (4, 1.5)))
        exact = pick(marks, panel="upper", series=readout)
        curves(ax, exact, colour)
        (attack,) = pick(marks, panel="attack", series=readout, role="median")
        ax.plot(
            attack.x,
            attack.y,
            "o",
            color=colour,
            ms=2.4,
            mew=0,
            zorder=5,
            clip_on=False,
        )
        for law in pick(marks, panel="formula", series=readout):
            ax.plot(law.x, law.y, color=style.BLACK, lw=0.7, ls=_DOTTED, zorder=6)
        for seen in pick(marks, panel="reported", series=readout):
            ax.plot(seen.x, seen.y, "D", mec=colour, mfc="white", ms=4, mew=0.8)
        (median,) = [mark for mark in exact if mark.role == "median"]
        text, height = _NAMES[readout]
        reach = float(np.interp(-height, -median.y, median.x))
        text = text.format(int(data.attrs["clusters"]))
        style.label(ax, reach - 0.6, height, text, colour, ha="right")
    grey = style.GREY
    ax.plot([], [], color=grey, lw=1.3, label="exact radii")
    ax.plot([], [], color=style.BLACK, lw=0.7, ls=_DOTTED, label="closed form")
    ax.plot([], [], "o", color=grey, ms=2.4, label="the paper's attack")
    ax.plot([], [], "D", mec=grey, mfc="white", ms=4, mew=0.8, label="published")
    ax.legend(loc="lower left")
    ax.set(xlim=(0, float(data.radius[-1])), ylim=(-0.02, 1.02))
    ax.set_xlabel(r"$\ell_2$ radius (noise 1 a feature, centres of norm $\sqrt{d}$)")
    ax.set_ylabel("robust accuracy")
    return drawn
