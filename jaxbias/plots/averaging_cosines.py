"""What neurons average: their cosines to the centres, each with its closed form."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import pick

_NAMES = {
    "labels": r"2 labels, $a=1/m$",
    "labels, size 1": r"2 labels, $a=1$",
    "clusters": "{} labels",
}
_LAWS = {
    "labels": r"$1/\sqrt{k_s(1+1/n_j)}$",
    "labels, size 1": r"$1/\sqrt{k_s(1+1/n_j)}$",
    "clusters": r"$1/\sqrt{1+1/n_j}$",
}


def figure(data: xr.Dataset) -> Figure:
    """Above, maps of the first seed; below, every cosine of every seed by neuron."""
    marks = _frames.averaging_cosines(data)
    trainings = [str(name) for name in data.training.values]
    drawn = style.new_figure(style.PAGE, 3.6)
    shape = {"height_ratios": (1.45, 1.0)}
    grid = drawn.subplots(2, len(trainings), squeeze=False, gridspec_kw=shape)
    image = None
    for (above, below), training in zip(grid.T, trainings, strict=True):
        panel = pick(marks, panel=training)
        image = _map(above, panel)
        _strip(below, panel, training)
    for ax in grid[0, 1:]:
        ax.tick_params(labelleft=False)
    for ax in grid[1, 1:]:
        ax.tick_params(labelleft=False)
    grid[0, 0].set_ylabel("neuron")
    grid[1, 0].set_ylabel("cosine")
    if image is not None:
        bar = drawn.colorbar(image, ax=list(grid[0]), fraction=0.03, pad=0.01)
        bar.set_label(r"$\cos(w_r,\,\mu_j)$")
        bar.outline.set_visible(False)
    titles = [_NAMES[name].format(data.sizes["cluster"]) for name in trainings]
    style.letter_panels(list(grid[0]), titles)
    return drawn


def _map(ax: Axes, panel: list[Mark]) -> AxesImage:
    rows = pick(panel, role="row")
    count, clusters = len(rows), len(rows[0].x)
    image = ax.imshow(
        np.stack([row.y for row in rows]),
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        aspect="auto",
        extent=(0.5, clusters + 0.5, count + 0.5, 0.5),
    )
    ax.set_xlabel("cluster")
    ax.set_xticks([1, clusters // 2, clusters])
    ax.set_yticks([1, count // 2, count])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    return image


def _strip(ax: Axes, panel: list[Mark], training: str) -> None:
    for name, colour in (("other", style.GREY), ("own", style.BLUE)):
        for mark in pick(panel, series=name, role="seed"):
            ax.plot(mark.x, mark.y, "o", color=colour, ms=1.8, mew=0, alpha=0.7)
    (law,) = pick(panel, role="fit")
    ax.step(law.x, law.y, where="mid", color=style.BLACK, lw=0.8, zorder=4)
    (ends,) = pick(panel, series="own", role="guide")
    middle, last = float(law.x.mean()), float(law.x.max())
    low, high = (_signed(end) for end in ends.x)
    text = f"own: {low} to {high}\n{_LAWS[training]} = {_signed(float(law.y[0]))}"
    inside = float(law.y.max()) > 0.8
    height = float(law.y.min()) - 0.1 if inside else float(law.y.max()) + 0.1
    look = {"ha": "center", "va": "top" if inside else "bottom"}
    style.label(ax, middle, height, text, style.BLUE, **look)
    style.label(ax, middle, -0.12, "other clusters", style.GREY, ha="center", va="top")
    ax.set(xlim=(0.3, last + 0.7), ylim=(-0.42, 1.08), xlabel="neuron")
    ax.set_xticks([1, len(law.x) // 2, len(law.x)])
    ax.set_yticks([0, 0.5, 1])
    ax.axhline(0, color=style.GREY, lw=0.5, zorder=0)


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
