"""Neurons in the plane: directions at a few iterations, then turning and growth."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick

_SIGNS = {"positive": style.BLUE, "negative": style.VERMILION}
_SIGN_NAMES = {
    "positive": "neurons with $v_j>0$; samples with $y_i=+1$ (arrows)",
    "negative": "$v_j<0$; $y_i=-1$",
}
# Each cone's name and where it stands in the circle.
_CELLS = {
    "positive": ("$S_+$", (0.55, -0.34)),
    "negative": ("$S_-$", (-0.55, -0.34)),
    "dead": (r"$S_{\mathrm{dead}}$", (0.0, -0.62)),
}
# Each rate's colour and name, and the iteration and factor at which the name stands.
_RATES = {
    "turning": (
        style.GREEN,
        r"turning, $\Sigma_j\,\|P_\perp\nabla_{\!j} L\|/\|w_j\|$",
        (1.5, 30.0),
    ),
    "growth": (style.PURPLE, r"growth, $\Sigma_j\,d\|w_j\|^2/dt$", (3.0, 1e3)),
}
_TITLES = {"both": "both layers trained", "first": r"first layer alone, $v_j=\pm 1$"}
_LOW, _HIGH = 1e-12, 1e5


def figure(data: xr.Dataset) -> Figure:
    """Circles above; below, both rates on the same scales, two ways of training."""
    marks = _frames.two_phases(data)
    drawn = style.new_figure(style.PAGE, 3.9)
    shown = data.shown.values.tolist()
    layers = [str(name) for name in data.layers.values]
    halves = drawn.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.1))
    top, bottom = halves[:, 0]
    circles = list(top.subplots(1, len(shown), squeeze=False)[0])
    for ax, moment in zip(circles, shown, strict=True):
        _circle(ax, marks, moment)
    for sign, colour in _SIGNS.items():
        circles[0].plot([], [], "o", color=colour, ms=2.8, label=_SIGN_NAMES[sign])
    top.legend(loc="outside lower center", ncols=2)
    grid = list(bottom.subplots(1, len(layers), sharey=True, squeeze=False)[0])
    for ax, name in zip(grid, layers, strict=True):
        _rates(ax, pick(marks, panel=name))
        ax.set_xlim(1, float(data.iteration.max()))
    for series, (colour, text, (place, factor)) in _RATES.items():
        curve = pick(marks, panel=layers[0], series=series, role="median")[0]
        height = factor * float(curve.y[curve.y > 0][0])
        style.label(grid[0], place, height, text, colour)
    style.letter_panels(
        [circles[0], *grid],
        [f"directions at iteration {shown[0]}", *(_TITLES[name] for name in layers)],
    )
    return drawn


def _rates(ax: Axes, marks: list[Mark]) -> None:
    ax.set_xscale("log")
    # Norms may shrink at first: a rate below 0 leaves a gap.
    ax.set_yscale("log", nonpositive="mask")
    ax.set(ylim=(_LOW, _HIGH), xlabel="iteration")
    for series, (colour, *_) in _RATES.items():
        curves(ax, pick(marks, series=series), colour)
    (half,) = pick(marks, series="loss")[0].x
    style.guide(ax, float(half), "")
    text = {"color": style.GREY, "fontsize": 7, "ha": "right", "va": "bottom"}
    place = {"transform": ax.get_xaxis_transform(), "rotation": 90}
    ax.text(0.97 * float(half), 0.03, "half the loss", **text, **place)


def _circle(ax: Axes, marks: list[Mark], shown: int) -> None:
    """Directions around the unit circle, the cones in it and the samples as arrows."""
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25))
    for cell, (text, place) in _CELLS.items():
        colour = _SIGNS.get(cell, style.GREY)
        (arc,) = pick(marks, panel="arcs", series=cell)
        if np.isfinite(arc.x).all():
            look = {"facecolor": colour, "alpha": 0.13, "lw": 0, "zorder": 0}
            ax.add_patch(Wedge((0, 0), 1.0, *map(float, arc.x), **look))
            style.label(ax, *place, text, colour, ha="center")
    for sign, colour in _SIGNS.items():
        (samples,) = pick(marks, panel="samples", series=sign)
        for tip in zip(*_points(samples.x, 0.8), strict=True):
            look = {"arrowstyle": "-|>", "color": colour, "lw": 0.8, "shrinkA": 0}
            ax.annotate("", tip, (0, 0), arrowprops=look | {"mutation_scale": 6})
        (neurons,) = pick(marks, panel=f"directions {shown}", series=sign)
        look = {"color": colour, "ms": 2.8, "alpha": 0.6, "mew": 0, "zorder": 3}
        ax.plot(*_points(neurons.x, 1.1), "o", **look)
    ring = np.linspace(0, 360, 181)
    ax.plot(*_points(ring, 1.0), color=style.GREY, lw=0.6, zorder=1)
    ax.set_title(f"iteration {shown}")


def _points(angles: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    turned = np.deg2rad(angles)
    return radius * np.cos(turned), radius * np.sin(turned)
