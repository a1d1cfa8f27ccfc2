"""pReLU networks on real digits: accuracy, stable rank, robust accuracy."""

import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick

_TASK_COLOURS = {"parity": style.BLACK, "class": style.ORANGE}
_TASK_NAMES = {"parity": "parity", "class": "ten classes"}


def figure(data: xr.Dataset) -> Figure:
    """Against the exponent: accuracy and stable rank; against radius: robustness."""
    marks = _frames.digits(data)
    drawn = style.new_figure(style.PAGE, 2.05)
    tasks = [str(task) for task in data.task.values]
    grid = list(drawn.subplots(1, 2 + len(tasks), squeeze=False)[0])
    for ax, name, text in (
        (grid[0], "accuracy", "test accuracy"),
        (grid[1], "stable_rank", "stable rank of hidden features"),
    ):
        for task in tasks:
            family = pick(marks, panel=name, series=task)
            curves(ax, family, _TASK_COLOURS[task], marker="o")
            colour = _TASK_COLOURS[task]
            ax.plot([], [], "o-", color=colour, label=_TASK_NAMES[task])
        ax.set(xlabel="exponent $p$", ylabel=text)
        ax.set_xticks(data.exponent.values)
        ax.set_xlim(0.8, float(data.exponent[-1]) + 0.2)
    grid[1].set_ylim(bottom=0)
    grid[1].legend(loc="lower right")
    for ax, task in zip(grid[2:], tasks, strict=True):
        for exponent in data.exponent.values:
            family = pick(marks, panel=f"robust {task}", series=f"{exponent:g}")
            colour = style.exponent_colour(exponent)
            curves(ax, family, colour)
            ax.plot([], [], color=colour, label=style.exponent_name(exponent))
        ax.set(xlabel=r"$\ell_2$ radius", ylabel="robust accuracy (upper bound)")
        ax.set_ylim(0, 1.02)
        ax.set_xlim(0, float(data.radius[-1]))
    grid[2].legend(loc="upper right")
    titles = ["", "", *(_TASK_NAMES[task] for task in tasks)]
    style.letter_panels(grid, titles)
    return drawn
