"""What the panels of compared models share: ceiling, guides, fits that failed."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from jaxbias.plots import style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import pick, unreachable

# Between the cosine to one of two centres served alike and that to a neuron's own.
_OWN = 0.9


def ground(ax: Axes, marks: list[Mark], data: xr.Dataset) -> None:
    """Limits, the region that no classifier reaches, and the two closed forms."""
    unreachable(ax, pick(marks, series="ceiling")[0], "no\nclassifier")
    guides(ax, data)
    for value, name in _forms(data):
        style.label(ax, value - 0.012, 0.08, name, style.GREY, ha="right")
    ax.set_xlim(0, float(data.radius[-1]))
    ax.set_ylim(-0.02, 1.02)


def guides(ax: Axes, data: xr.Dataset) -> None:
    """Dashed lines at the radii of the averaged and of the nearest-centre rule."""
    for value, _ in _forms(data):
        ax.axvline(value, color=style.GREY, lw=0.8, ls=(0, (4, 2)), zorder=1)


def _forms(data: xr.Dataset) -> list[tuple[float, str]]:
    averaged = int(data.attrs["clusters"]) ** -0.5
    return [(averaged, r"$1/\sqrt{K}$"), (np.sqrt(0.5), r"$\sqrt{2}/2$")]


def crossing(curve: Mark) -> float:
    """The largest radius at which more than half of the points are left right."""
    above = curve.x[curve.y > 0.5]
    return float(above[-1]) if len(above) else 0.0


def misfits(data: xr.Dataset, name: str) -> str:
    """How many seeds of a model do not fit their training set, and how badly."""
    part = data.sel(model=name)
    wrong = np.isin(part.status.values, ("not fitted", "diverged"))
    if not wrong.any():
        return ""
    share = part.train_accuracy.values[wrong]
    worst = "" if np.isnan(share).any() else f",\ntraining accuracy {share.min():.2f}"
    return f"{wrong.sum()} of {wrong.size} seeds not fitted{worst}"


def shared(data: xr.Dataset, name: str) -> str:
    """How many centres, over all seeds, have no neuron of their own."""
    cosine = data.own_cosine.sel(model=name).values
    count = int((cosine < _OWN).sum())
    return f"{count} of {cosine.size} centres\nshare a neuron" if count else ""
