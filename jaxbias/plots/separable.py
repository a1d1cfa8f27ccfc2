"""Two samples that are less and less separable: directions and contributions."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick

# By the number of samples active at first. Neurons active on none never move: they
# have a contribution to show, but no path.
_COLOURS = {"2": style.BLUE, "1": style.ORANGE, "0": style.GREY}
_NAMES = {"2": "on both samples", "1": "on one", "0": "on none"}


def figure(data: xr.Dataset) -> Figure:
    """Every positive neuron: a panel of angles a separation, then contributions."""
    marks = _frames.separable(data)
    separations = [f"{value:g}" for value in data.separation.values]
    drawn = style.new_figure(style.PAGE, 2.1)
    grid = list(drawn.subplots(1, len(separations) + 1, squeeze=False)[0])
    last = float(data.iteration.max())
    for ax, panel in zip(grid, [*separations, "contribution"], strict=True):
        for active, colour in _COLOURS.items():
            if active == "0" and panel != "contribution":
                continue
            for mark in pick(marks, panel=panel, series=active):
                ax.plot(mark.x, mark.y, color=colour, lw=0.7, alpha=0.8)
        ax.set(xlim=(0, last), xlabel="iteration")
    for ax, panel in zip(grid[:-1], separations, strict=True):
        ax.set_ylim(-95, 185)
        towards = 90.0 - np.rad2deg(float(panel))
        names = ["$x_1$", "$x_+$", "$x_2$"]
        ax.set_yticks([0.0, towards / 2, towards], names)
        for height in (0.0, towards / 2, towards):
            style.guide(ax, height, "", axis="y")
    grid[-1].set_yscale("log")
    for row, (text, active) in enumerate((("active at first", "2"), ("", "1"))):
        text = f"{text} {_NAMES[active]}"
        height = 165.0 - 22.0 * row
        style.label(grid[0], 0.97 * last, height, text, _COLOURS[active], ha="right")
    for active, colour in _COLOURS.items():
        family = pick(marks, panel="contribution", series=active)
        ends = [mark.y[-1] for mark in family]
        if ends:
            height = min(ends) / 12 if active == "1" else max(ends) * 12
            place = (grid[-1], 0.97 * last, height)
            style.label(*place, _NAMES[active], colour, ha="right")
    low, high = grid[-1].get_ylim()
    grid[-1].set_ylim(low, 100 * high)
    titles = [rf"angle, $\theta={name}$" for name in separations]
    title = rf"$|v_j|\,\|w_j\|$, $\theta={float(data.separation.min()):g}$"
    style.letter_panels(grid, [*titles, title])
    return drawn
