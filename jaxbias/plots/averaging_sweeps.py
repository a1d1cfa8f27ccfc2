"""Cosines to own centres against everything that a recipe holds."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick

# Each scan's title and abscissa.
_NAMES = {
    "rate": ("learning rate", r"$\eta d/(mk)$ a step"),
    "deviation": ("initialisation", r"standard deviation $\sigma_w$"),
    "clusters": ("clusters", "clusters $k$, half of them own"),
    "dim": ("dimension", "dimension $d$"),
    "samples": ("samples", "samples a cluster, $n_j$"),
}
_DOTTED = (0, (1, 1.2))


def figure(data: xr.Dataset) -> Figure:
    """A panel a scan, each on its own ordinate, and what is fixed in the last place."""
    marks = _frames.averaging_sweeps(data)
    scans = [str(name) for name in data.axis.values]
    columns = (len(scans) + 2) // 2
    drawn = style.new_figure(style.PAGE, 3.4)
    grid = drawn.subplots(2, columns, squeeze=False)
    axes = list(grid.flat)
    for ax, name in zip(axes, scans, strict=False):
        _panel(ax, pick(marks, panel=name), name)
    for ax in grid[:, 0]:
        ax.set_ylabel("cosine to own centres")
    for ax in axes[len(scans) :]:
        ax.axis("off")
    _legend(axes[len(scans)], data)
    style.letter_panels(axes[: len(scans)], [_NAMES[name][0] for name in scans])
    return drawn


def _panel(ax: Axes, marks: list[Mark], name: str) -> None:
    ax.set_xscale("log")
    curves(ax, marks, style.BLUE, marker="o", ls="none", ms=3)
    for law in pick(marks, role="fit"):
        ls = "-" if law.series == "predicted 0.5" else _DOTTED
        ax.plot(law.x, law.y, color=style.BLACK, lw=0.8, ls=ls, zorder=5)
    if name not in ("rate", "deviation"):
        (law,) = pick(marks, series="predicted 0.5")
        ax.set_xticks(law.x, [f"{x:g}" for x in law.x])
        ax.xaxis.set_minor_locator(NullLocator())
    if name == "clusters":
        ax.set_yscale("log")
        ax.set_yticks([0.25, 0.5, 1.0])
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_locator(NullLocator())
    elif name != "deviation":
        # Room for differences of a few per cent, the same in all such panels.
        (law,) = pick(marks, series="predicted 0.5")
        middle = float(np.median(law.y))
        ax.set_ylim(0.75 * middle, 1.2 * middle)
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel(_NAMES[name][1])


def _legend(ax: Axes, data: xr.Dataset) -> None:
    ax.plot([], [], "o", color=style.BLUE, ms=3, label="median")
    ax.fill_between(
        [], [], [], color=style.BLUE, alpha=0.15, lw=0, label="all neurons and seeds"
    )
    for ls, text in (("-", "closed form"), (_DOTTED, "its spread by the first step")):
        ax.plot([], [], color=style.BLACK, lw=0.8, ls=ls, label=text)
    fixed = (
        f"elsewhere $k={data.attrs['clusters']:g}$, $d={data.attrs['dim']:g}$,\n"
        f"$n_j={data.attrs['each']:g}$, $m={data.attrs['neurons']:g}$, "
        f"{data.attrs['steps']:g} steps,\n"
        rf"$\eta d/(mk)={data.attrs['pace']:g}$, {data.sizes['seed']} seeds"
    )
    ax.legend(loc="upper left", title=fixed, alignment="left", title_fontsize=7)
