"""Robust accuracy against radius: an attack, an upper bound and a certificate."""

import itertools

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick, unreachable

_LOOK = {
    "paper": (style.VERMILION, "attack as in\nthe paper", {"ls": (0, (4, 1.5))}),
    "upper": (style.BLACK, "upper bound", {}),
    "certified": (style.BLUE, "certified", {}),
}
_HEIGHTS = {"paper": 0.42, "upper": 0.62, "certified": 0.86}


def _panel(ax: Axes, marks: list[Mark], data: xr.Dataset) -> None:
    (ceiling,) = pick(marks, series="ceiling")
    unreachable(ax, ceiling, "no classifier")
    curves(ax, pick(marks, series="interval"), style.BLUE)
    for name, (colour, text, line) in _LOOK.items():
        family = pick(marks, series=name)
        curves(ax, family, colour, **line)
        median = pick(family, role="median")[0]
        height = _HEIGHTS[name]
        below = np.flatnonzero(median.y < height)
        place = float(median.x[below[0] if len(below) else -1])
        left = name != "paper"
        style.label(
            ax,
            place + (-0.04 if left else 0.02),
            height,
            text,
            colour,
            ha="right" if left else "left",
        )
    _zoom(ax, marks)
    clusters = int(data.attrs["clusters"])
    style.guide(ax, clusters**-0.5, r"$1/\sqrt{K}$", at=1.0)
    style.guide(ax, np.sqrt(0.5), r"$\sqrt{2}/2$", at=1.0)


def _zoom(ax: Axes, marks: list[Mark]) -> None:
    """The cliff alone, where the certificate and the upper bound can be told apart."""
    (ideal,) = pick(marks, series="ideal")[0].x
    right = ideal < sum(ax.dataLim.intervalx) / 2
    inset = ax.inset_axes(
        (0.64, 0.14, 0.32, 0.34) if right else (0.31, 0.14, 0.24, 0.34)
    )
    curves(inset, pick(marks, series="interval"), style.BLUE)
    for name in ("upper", "certified"):
        curves(inset, pick(marks, series=name), _LOOK[name][0])
    inset.axvline(ideal, color=style.GREY, lw=0.8, ls=(0, (4, 2)), zorder=1)
    inset.set_xlim(ideal - 0.04, ideal + 0.04)
    inset.set_ylim(-0.03, 1.03)
    inset.set_yticks([0, 1])
    inset.set_xticks([round(ideal - 0.03, 2), round(ideal + 0.03, 2)])
    inset.tick_params(labelsize=6)


def figure(data: xr.Dataset) -> Figure:
    """One panel an exponent; shaded: what no classifier can reach (MV25, Prop. 1).

    One row a way of training.
    """
    marks = _frames.robust_accuracy(data)
    exponents, trainings = data.exponent.values, data.training.values
    drawn = style.new_figure(style.PAGE, 0.35 + 2.0 * len(trainings))
    shape = len(trainings), len(exponents)
    grid = drawn.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    panels = list(itertools.product(trainings, exponents))
    for ax, (training, exponent) in zip(grid.flat, panels, strict=True):
        _panel(ax, pick(marks, panel=f"{exponent:g} {training}"), data)
        ax.set_xlim(0, float(data.radius[-1]))
        ax.set_ylim(-0.02, 1.0)
    for ax in grid[-1]:
        ax.set_xlabel(r"$\ell_2$ attack radius")
    for ax, training in zip(grid[:, 0], trainings, strict=True):
        row = f"{style.TRAININGS[str(training)]}\n" if len(trainings) > 1 else ""
        ax.set_ylabel(row + "robust accuracy")
    names = [style.exponent_name(exponent) for _, exponent in panels]
    style.letter_panels(list(grid.flat), names)
    return drawn
