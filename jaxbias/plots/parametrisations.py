"""Robust accuracy of the cubed ReLU, normalised by the weights or not, two starts."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._model_panels import crossing, ground, misfits
from jaxbias.plots._panels import curves, pick

_TITLES = {
    "prelu": r"normalised: $\sigma(\langle x,w\rangle)^3/\|w\|^2$",
    "power": r"regular: $\sigma(\langle x,w\rangle)^3$",
}
_STARTS = {"small": style.BLUE, "large": style.VERMILION}
_HEIGHTS = {"small": 0.74, "large": 0.46}


def _curve(ax: Axes, name: str, start: str, marks: list[Mark], data: xr.Dataset):
    colour, height = _STARTS[start], _HEIGHTS[start]
    own = pick(marks, panel=name)
    curves(ax, pick(own, series="interval"), colour)
    curves(ax, pick(own, series="attacked"), colour)
    attacked = pick(own, series="attacked")
    if attacked:
        places = [crossing(mark) for mark in attacked]
        late = min(places) > 0.6
        side = "right" if late else "left"
        edge = min(places) - 0.03 if late else max(places) + 0.02
        style.label(ax, edge, height, f"{start} start", colour, ha=side)
    note = misfits(data, name)
    style.label(ax, 0.02, height - 0.16, note, colour)


def figure(data: xr.Dataset) -> Figure:
    """A panel a parametrisation, a colour a start; bands reach down to certificates.

    Shaded: what no classifier can reach (MV25, Prop. 1).
    """
    marks = _frames.parametrisations(data)
    drawn = style.new_figure(style.PAGE, 2.35)
    grid = drawn.subplots(1, len(_TITLES), sharey=True, squeeze=False)[0]
    for ax, kind in zip(grid, _TITLES, strict=True):
        ground(ax, pick(marks, panel=f"{kind}_small"), data)
        for start in _STARTS:
            _curve(ax, f"{kind}_{start}", start, marks, data)
        ax.set_xlabel(r"$\ell_2$ radius")
    grid[0].set_ylabel("robust accuracy")
    style.letter_panels(list(grid), list(_TITLES.values()))
    return drawn
