"""How the end state moves with the scale of initialisation, at equal loss."""

import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick


def figure(data: xr.Dataset) -> Figure:
    """Relative L2 difference of predictions to the smallest scale's, log-log."""
    marks = _frames.scales(data)
    drawn = style.new_figure(style.COLUMN, 2.3)
    ax = drawn.add_subplot()
    ax.set(xscale="log", yscale="log")
    for exponent in data.exponent.values:
        colour = style.exponent_colour(exponent)
        family = pick(marks, series=f"{exponent:g}")
        curves(ax, family, colour, marker="o")
        median = pick(family, role="median")[0]
        last = int(median.x.argmin())
        style.label(
            ax,
            median.x[last] / 3,
            median.y[last],
            style.exponent_name(exponent),
            colour,
            fontsize=8,
        )
    ax.set_xlim(data.scale.min() / 300, data.scale.max() * 3)
    ax.invert_xaxis()
    ax.set_xlabel(r"initialisation scale $\varepsilon$")
    ax.set_ylabel("relative $L_2$ difference of outputs")
    reference = float(data.attrs["reference_scale"])
    loss = float(data.attrs["equal_loss"])
    ax.set_title(
        rf"to $\varepsilon={_power(reference)}$ at training loss {loss:g}", loc="left"
    )
    return drawn


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.0e}".split("e")
    head = "" if mantissa == "1" else rf"{mantissa}\cdot "
    return rf"{head}10^{{{int(exponent)}}}"
