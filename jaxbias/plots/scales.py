"""How the end state moves with the scale of initialisation, at equal loss."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick

_TARGET = 1.2e-3


def _power(value: float, digits: int = 0) -> str:
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    head = "" if float(mantissa) == 1 else rf"{mantissa}\cdot "
    return rf"{head}10^{{{int(exponent)}}}"


def _panel(ax: Axes, marks: list[Mark], data: xr.Dataset) -> None:
    ax.set_xscale("log")
    for exponent in data.exponent.values:
        colour = style.exponent_colour(exponent)
        family = pick(marks, series=f"{exponent:g}")
        curves(ax, family, colour, marker="o")
        for floor in pick(family, role="guide"):
            ax.plot(floor.x, floor.y, color=colour, lw=0.8, ls=(0, (1, 2)), zorder=1)
        median = pick(family, role="median")[0]
        text = style.exponent_name(exponent)
        for fit in pick(family, role="fit"):
            text += f": ${_power(fit.x[0], 1)}$ a decade"
        spot = len(median.x) // 3
        style.label(
            ax,
            median.x[spot] / 2,
            max(mark.y[spot] for mark in family if mark.role in ("seed", "median")),
            text + "\n",
            colour,
            va="baseline",
            linespacing=0.6,
        )
    ax.set_xlim(float(data.scale.min()) / 5, float(data.scale.max()) * 5)
    ax.invert_xaxis()
    ax.set_xlabel(r"initialisation scale $\varepsilon$")


def figure(data: xr.Dataset) -> Figure:
    """Relative L2 differences of outputs: to the smallest scale, and by rounding.

    The left ordinate is linear: the difference grows with the logarithm of the scale.
    """
    marks = _frames.scales(data)
    drawn = style.new_figure(style.PAGE, 2.3)
    left, right = drawn.subplots(1, 2)
    right.set_yscale("log")
    _panel(left, pick(marks, panel="scales"), data)
    _panel(right, pick(marks, panel="rounding"), data)
    left.set_ylim(bottom=0)
    left.set_ylabel("relative $L_2$ difference of outputs")
    reference = _power(float(data.attrs["reference_scale"]))
    loss = float(data.attrs["equal_loss"])
    style.guide(right, _TARGET, f"${_power(_TARGET, 1)}$", axis="y")
    style.letter_panels(
        [left, right],
        [
            rf"to $\varepsilon={reference}$, at training loss {loss:g}",
            "float32 to float64, same scale",
        ],
    )
    return drawn
