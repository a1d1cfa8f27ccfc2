"""Radii at the centres against the number of clusters: three laws."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import pick
from jaxbias.plots.geometry import COLOURS

# Each law, the share of the axis at which it stands, its height over the highest line
# of its own there, and its edge.
_LAWS = {
    "averaged": (r"2 labels: $1/\sqrt{k}$", 0.4, 0.88, "right"),
    "max": (r"$k$ labels, max: $1/\sqrt{2}$", 0.4, 1.1, "left"),
    "sum": (r"$k$ labels, sum: $1/\sqrt{1+k_-}$", 0.5, 1.12, "left"),
}
# Side by side at one number of clusters, so that none hides another.
_SHIFT = {"averaged": 0.95, "max": 1.0, "sum": 1.05}
_LOWEST, _HIGHEST = 0.13, 0.95


def figure(data: xr.Dataset) -> Figure:
    """Points are seeds, dashes the least centre of all, bars what is not settled."""
    marks = _frames.phase(data)
    drawn = style.new_figure(style.COLUMN, 2.9)
    ax = drawn.add_subplot()
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    for readout, colour in COLOURS.items():
        _family(ax, pick(marks, series=readout), colour, _SHIFT[readout])
        text, share, factor, edge = _LAWS[readout]
        highest = pick(marks, series=readout, role="fit")[-1]
        at = float(highest.x[0] ** (1 - share) * highest.x[-1] ** share)
        height = factor * float(np.interp(at, highest.x, highest.y))
        style.label(ax, at, height, text, colour, ha=edge)
    (tails,) = pick(marks, panel="tails")
    look = {"color": COLOURS["sum"], "lw": 0.8, "ls": (0, (1, 1.2)), "zorder": 1}
    ax.plot(tails.x, tails.y, **look)
    for look, text in (
        ({"marker": "o", "ms": 2.6, "mew": 0}, "seeds, median centre"),
        ({"marker": "_", "ms": 6, "mew": 0.9}, "least centre of all"),
        ({"marker": "x", "ms": 3.5, "mew": 0.9}, "a centre not learned"),
    ):
        if look["marker"] != "x" or any(len(m.x) for m in pick(marks, role="guide")):
            ax.plot([], [], ls="none", color=style.GREY, label=text, **look)
    ax.legend(loc="lower left", handlelength=0.8)
    counts = data.clusters.values
    ax.set_xticks(counts, [str(k) for k in counts])
    heights = [0.25, 0.5]
    ax.set_yticks(heights, [f"{h:g}" for h in heights])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.set(ylim=(_LOWEST, _HIGHEST), xlabel="clusters $k$")
    ax.set_ylabel(r"$\ell_2$ radius at the centres, $\sqrt{d}$")
    return drawn


def _family(ax: Axes, marks: list[Mark], colour, shift: float) -> None:
    (law,) = pick(marks, panel="ideal")
    ax.plot(law.x, law.y, color=colour, lw=0.8, zorder=1)
    for mark in pick(marks, panel="middle", role="seed"):
        look = {"color": colour, "ms": 2.6, "mew": 0, "alpha": 0.7, "zorder": 3}
        ax.plot(shift * mark.x, mark.y, "o", **look)
    (least,) = pick(marks, role="worst")
    ax.plot(shift * least.x, least.y, "_", color=colour, ms=6, mew=0.9, zorder=4)
    (ends,) = pick(marks, role="band")
    assert ends.upper is not None
    look = {"color": colour, "lw": 1.6, "alpha": 0.5, "zorder": 2}
    ax.vlines(shift * ends.x, ends.y, ends.upper, **look)
    (broken,) = pick(marks, role="guide")
    foot = [1.05 * _LOWEST] * len(broken.x)
    ax.plot(shift * broken.x, foot, "x", color=colour, ms=3.5, mew=0.9, zorder=4)
