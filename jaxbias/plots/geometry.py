"""Where averaged and decoupled networks err, on planes through a centre."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import pick

#: Of every read-out, in every figure of feature averaging.
COLOURS = {"averaged": style.VERMILION, "max": style.BLUE, "sum": style.GREEN}
NAMES = {"averaged": "averaged", "max": "decoupled, max", "sum": "decoupled, sum"}
_RADII = {
    "averaged": r"$\sqrt{d/k}$",
    "max": r"$\sqrt{d/2}$",
    "sum": r"$\sqrt{d/(1+k_-)}$",
}


# Lines that coincide are told apart by their widths, the narrower on top.
_WIDTHS = {"averaged": 2.6, "sum": 1.6, "max": 0.8}


def figure(data: xr.Dataset) -> Figure:
    """A panel a plane; a network's circle touches its line where its step lies."""
    marks = _frames.geometry(data)
    planes = [str(name) for name in data.plane.values]
    drawn = style.new_figure(style.PAGE, 2.45)
    axes = list(drawn.subplots(1, len(planes), sharey=True, squeeze=False)[0])
    for ax, plane in zip(axes, planes, strict=True):
        _panel(ax, marks, plane, data)
    axes[0].set_ylabel(r"across it, $\sqrt{d}$")
    for readout, colour in COLOURS.items():
        (radius,) = pick(marks, panel="radius", series=readout)
        text = (
            f"{NAMES[readout]}: {_RADII[readout]} = {radius.x[0]:.3f}" + r"$\,\sqrt{d}$"
        )
        axes[0].plot([], [], color=colour, lw=_WIDTHS[readout], label=text)
    drawn.legend(loc="outside lower center", ncols=3)
    titles = [_title(name) for name in planes]
    style.letter_panels(axes, titles)
    return drawn


def _title(plane: str) -> str:
    first, second = plane.split(", ")
    return f"plane of the steps against {first}, {second}"


def _panel(ax: Axes, marks: list[Mark], plane: str, data: xr.Dataset) -> None:
    here = pick(marks, panel=plane)
    for readout, width in _WIDTHS.items():
        colour = COLOURS[readout]
        for line in pick(here, series=readout):
            ax.plot(line.x, line.y, color=colour, lw=width, zorder=3)
        (radius,) = pick(marks, panel="radius", series=readout)
        look = {"fill": False, "ec": colour, "lw": 0.8, "ls": (0, (2, 1.5))}
        ax.add_patch(Circle((0, 0), float(radius.x[0]), zorder=2, **look))
        for step in pick(here, series=f"{readout} attack"):
            tip = float(step.x[0]), float(step.y[0])
            look = {"arrowstyle": "-|>", "color": colour, "lw": 1.1}
            look |= {"shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
            ax.annotate("", tip, (0, 0), arrowprops=look, zorder=4)
    for mark in here:
        if mark.series.startswith("centre "):
            number = mark.series.removeprefix("centre ")
            ax.plot(mark.x, mark.y, "o", color=style.BLACK, ms=3, zorder=5)
            shift = -0.1 if number == "1" else 0.0
            style.label(
                ax,
                float(mark.x[0]) + shift,
                float(mark.y[0]) + 0.1,
                rf"$\mu_{number}$",
                style.BLACK,
                ha="center",
            )
    ax.set_aspect("equal")
    ends = data.x.values[[0, -1]], data.y.values[[0, -1]]
    ax.set(
        xlim=tuple(ends[0]), ylim=tuple(ends[1]), xlabel=r"along the first, $\sqrt{d}$"
    )
    ax.set_yticks(np.array([-0.5, 0.0, 0.5]))
