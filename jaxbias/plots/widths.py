"""Radius and amplitude against width, one shade a noise level."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick


def _family(ax: Axes, marks: list[Mark], panel: str, exponent, noises) -> None:
    tints = style.shades(style.exponent_colour(exponent), len(noises))
    for noise, tint in zip(noises, tints, strict=True):
        family = pick(marks, panel=panel, series=f"{noise:g}")
        curves(ax, family, tint, marker="o", ms=2.5)


def _width_axis(ax: Axes, data: xr.Dataset) -> None:
    ax.set_xscale("log", base=2)
    values = data.width.values
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.set_xticks([], minor=True)
    ax.set_xlim(values[0] / 1.25, values[-1] * 1.25)
    ax.set_xlabel("width $h$")


def figure(data: xr.Dataset) -> Figure:
    """Radius at the worst centre (interval) and amplitude over its closed form."""
    marks = _frames.widths(data)
    exponents, noises = data.exponent.values, data.noise.values
    drawn = style.new_figure(style.PAGE, 2.3)
    grid = list(drawn.subplots(1, 1 + len(exponents), squeeze=False)[0])
    for exponent in exponents:
        panel = f"radius {exponent:g}"
        _family(grid[0], marks, panel, exponent, noises)
        ideal = float(data.attrs[f"ideal_radius_{exponent:g}"])
        text = r"$1/\sqrt{K}$" if exponent < 2 else r"$\sqrt{2}/2$"
        style.guide(
            grid[0], ideal, f"{style.exponent_name(exponent)}: {text}", axis="y"
        )
    grid[0].set_ylabel(r"$\ell_2$ radius at the worst centre")
    grid[0].set_ylim(bottom=0)
    titles = ["lower to upper end"]
    grid[1].set_ylabel(r"$\sum_{v_j>0}\,|v_j|\,\|w_j\|$ / closed form")
    for ax, exponent in zip(grid[1:], exponents, strict=True):
        _family(ax, marks, f"amplitude {exponent:g}", exponent, noises)
        style.guide(ax, 1.0, "closed form", axis="y", side="top")
        titles.append(f"amplitude, {style.exponent_name(exponent)}")
        tints = style.shades(style.exponent_colour(exponent), len(noises))
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 1.0) - 0.08 * (high - low), high + 0.25 * (high - low))
        for noise, tint in zip(noises, tints, strict=True):
            ax.plot([], [], "o-", ms=2.5, color=tint, label=rf"$\alpha={noise:g}$")
        ax.legend(loc="upper right")
    for ax in grid:
        _width_axis(ax, data)
    style.letter_panels(grid, titles)
    return drawn
