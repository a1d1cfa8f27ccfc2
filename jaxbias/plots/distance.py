"""Distance to the ideal classifier against intra-cluster noise."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick

_FLOOR = "$p=1$ at noise 0 and this time"
_SAMPLING = r"$2\alpha/\sqrt{{3N}}$, sampling of the clusters: $N={}$"
_CORESET = r"$N={}$, the coreset"
_LABELLED = np.outer(10.0 ** np.arange(-6, 3), (1, 2, 3, 5)).ravel()
_TRAINING_MARKS = {
    "flow": {"marker": "D", "ms": 4, "mfc": "none"},
    "coreset": {"marker": "x", "ms": 4},
    "sgd": {"marker": "^", "ms": 4.5, "mfc": "none"},
}
_IDEALS = {1.0: "$F$", 3.0: "$F^{(3)}$"}


def figure(data: xr.Dataset) -> Figure:
    """``inf_c sup |c f - F|`` on the sphere, log-log, with the fitted slopes."""
    marks = _frames.distance(data)
    drawn = style.new_figure(style.COLUMN, 2.9)
    ax = drawn.add_subplot()
    ax.set(xscale="log", yscale="log")
    dashes = {"ls": (0, (3, 1.5)), "lw": 0.9, "marker": "s", "ms": 2}
    for exponent in data.exponent.values:
        colour, name = style.exponent_colour(exponent), f"{exponent:g}"
        curves(ax, pick(marks, series=name), colour, marker="o")
        (slope,) = pick(marks, series=name, role="fit")[0].x
        ideal = _IDEALS.get(float(exponent), rf"$F^{{({exponent:g})}}$")
        text = rf"$p={name}$ to {ideal}, slope {slope:.2f}"
        ax.plot([], [], "o-", color=colour, label=text)
        guides = pick(marks, series=name, role="guide")
        names = _guide_names(data, exponent) if guides else []
        for guide, text in zip(guides, names, strict=False):
            line = {"color": style.GREY, "lw": 0.9, "ls": (0, (1, 1.2)), "zorder": 1}
            ax.plot(guide.x, guide.y, **line)
            style.label(
                ax, guide.x[0], guide.y[0] * 0.64, text, style.GREY, fontsize=6.5
            )
        for training in data.training.values[1:]:
            other = pick(marks, series=f"{name} {training}", role="median")
            curves(ax, other, colour, ls="none", **_TRAINING_MARKS[training])
        paper = pick(marks, series=name + " paper", role="median")
        if paper:
            curves(ax, paper, colour, **dashes)
    ax.plot([], [], color=style.GREY, label="search as in the paper", **dashes)
    for training in data.training.values[1:]:
        look = {**_TRAINING_MARKS[training], "color": style.GREY, "ls": "none"}
        ax.plot([], [], label=style.TRAININGS[str(training)], **look)
    ax.plot([], [], color=style.GREY, lw=0.8, ls=":", label="worst seed")
    drawn.legend(loc="outside lower center", ncols=2)
    ticks = noises = data.noise.values
    if len(ticks) > 8:
        seen = (_LABELLED > 0.999 * ticks[0]) & (_LABELLED < 1.001 * ticks[-1])
        ticks = _LABELLED[seen]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(r"intra-cluster noise $\alpha$")
    ax.set_ylabel(r"$\inf_c\;\sup_{\|x\|=1}\,|c f-F|$")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.6, high * 1.3)
    ax.set_xlim(np.min(noises) / 1.12, np.max(noises) * 1.12)
    return drawn


def _guide_names(data: xr.Dataset, exponent: float) -> list[str]:
    """What the guides of this exponent are called, in the order of the marks."""
    if exponent < 2:
        return [_FLOOR]
    return [
        text.format(int(data.attrs[name]))
        for text, name in (
            (_SAMPLING, "samples_per_cluster"),
            (_CORESET, "rows_per_cluster"),
        )
    ]
