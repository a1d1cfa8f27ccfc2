"""Distance to the ideal classifier against intra-cluster noise."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick

_IDEALS = {1.0: "$F$", 3.0: "$F^{(3)}$"}


def figure(data: xr.Dataset) -> Figure:
    """``inf_c sup |c f - F|`` on the sphere, log-log, with the fitted slopes."""
    marks = _frames.distance(data)
    drawn = style.new_figure(style.COLUMN, 2.5)
    ax = drawn.add_subplot()
    ax.set(xscale="log", yscale="log")
    for exponent in data.exponent.values:
        colour, name = style.exponent_colour(exponent), f"{exponent:g}"
        curves(ax, pick(marks, series=name), colour, marker="o")
        (slope,) = pick(marks, series=name, role="fit")[0].x
        ideal = _IDEALS.get(float(exponent), rf"$F^{{({exponent:g})}}$")
        text = rf"$p={name}$ to {ideal}: slope {slope:.2f}"
        ax.plot([], [], "o-", color=colour, label=text)
        paper = pick(marks, series=name + " paper", role="median")
        if paper:
            line = {"ls": (0, (3, 1.5)), "lw": 0.9, "marker": "s", "ms": 2}
            curves(ax, paper, colour, **line)
            text = rf"$p={name}$, search as in the paper"
            ax.plot([], [], color=colour, label=text, **line)
    ax.legend(loc="center right", bbox_to_anchor=(1.0, 0.42))
    ticks = data.noise.values
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(r"intra-cluster noise $\alpha$")
    ax.set_ylabel(r"$\inf_c\;\sup_{\|x\|=1}\,|c f-F|$")
    seeds = data.sizes["seed"]
    note = f"{seeds} seeds, median bold, worst dotted"
    ax.text(0.98, 0.02, note, transform=ax.transAxes, ha="right", fontsize=6)
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.6, high * 1.3)
    ax.set_xlim(np.min(ticks) / 1.12, np.max(ticks) * 1.12)
    return drawn
