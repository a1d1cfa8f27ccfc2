"""Error of the worst seed against CPU time: every method, every setting tried."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick

_LOOKS = {
    "ours": (style.BLUE, "o", "jaxbias"),
    "torch": (style.VERMILION, "s", "PyTorch, SGD"),
    "diffrax-best": (style.GREEN, "^", "diffrax, weights"),
    "diffrax-ours": (style.PURPLE, "D", "diffrax, our variables"),
}


def figure(data: xr.Dataset) -> Figure:
    """One panel a workload, log-log; the settings a ratio compares are filled."""
    marks = _frames.error_against_time(data)
    panels = list(dict.fromkeys(mark.panel for mark in marks))
    rows = (len(panels) + 1) // 2
    columns = min(2, len(panels))
    drawn = style.new_figure(
        style.COLUMN if columns == 1 else style.PAGE,
        0.45 + 2.15 * rows + (0.3 if columns == 1 else 0),
    )
    axes = drawn.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    shown = list(axes[: len(panels)])
    for ax, panel in zip(shown, panels, strict=True):
        ax.set(xscale="log", yscale="log")
        for method, (colour, marker, _) in _LOOKS.items():
            for mark in pick(marks, panel=panel, series=method):
                chosen = mark.role == "median"
                face = colour if chosen else "white"
                size = 5.5 if chosen else 3.5
                look = {"color": colour, "mfc": face, "ms": size, "zorder": 3 + chosen}
                ax.plot(mark.x, mark.y, marker, ls="none", mew=0.8, **look)
        for mark in pick(marks, panel=panel, role="guide"):
            style.guide(ax, mark.y[0], "", axis="y")
        ax.set_xlabel("CPU seconds of one core, all seeds")
        # A decade or two: powers of ten alone would be one label or none.
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    for ax in axes[::columns]:
        ax.set_ylabel("error of the worst seed")
    style.letter_panels(shown, panels)
    used = {mark.series for mark in marks}
    handles = [
        shown[0].plot([], [], marker, ls="none", color=colour, ms=4, label=name)[0]
        for method, (colour, marker, name) in _LOOKS.items()
        if method in used
    ]
    handles += shown[0].plot(
        [], [], "--", color=style.GREY, lw=0.8, label="equal error"
    )
    ncols = len(handles) if columns > 1 else 2
    drawn.legend(handles=handles, loc="outside lower center", ncols=ncols)
    finite = np.concatenate([mark.y for mark in marks])
    finite = finite[np.isfinite(finite)]
    shown[0].set_ylim(finite.min() / 2, min(finite.max() * 2, 3.0))
    return drawn
