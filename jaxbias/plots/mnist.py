"""pReLU classifiers of images: accuracy, stable ranks, attacked and certified."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick

_RANKS = {
    "weight_rank": ("$W$", style.BLACK, "s"),
    "feature_rank": ("features", style.ORANGE, "o"),
}
_ROW = 1.75


def _against_exponent(ax: Axes, marks: list[Mark], data: xr.Dataset, task: str) -> None:
    curves(ax, pick(marks, panel=f"accuracy {task}"), style.BLACK, marker="o")
    ax.set(xlabel="exponent $p$", ylabel="clean accuracy")
    ax.set_xticks(data.exponent.values)
    ax.margins(x=0.12, y=0.15)
    ax.yaxis.set_major_locator(MaxNLocator(4))


def _ranks(ax: Axes, marks: list[Mark], data: xr.Dataset, task: str) -> None:
    for name, (text, colour, marker) in _RANKS.items():
        family = pick(marks, panel=f"stable rank {task}", series=name)
        curves(ax, family, colour, marker=marker)
        ax.plot([], [], color=colour, label=text, marker=marker)
    ax.set(xlabel="exponent $p$", ylabel="stable rank")
    ax.set_xticks(data.exponent.values)
    ax.margins(x=0.12)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(4))


def _robust(ax: Axes, marks: list[Mark], data: xr.Dataset, panel: str, **line) -> None:
    for exponent in data.exponent.values:
        family = pick(marks, panel=panel, series=f"{exponent:g}")
        curves(ax, family, style.exponent_colour(exponent), **line)


def figure(data: xr.Dataset) -> Figure:
    r"""One row a task, all against the $\ell_\infty$ radius from the third panel on.

    Attacked accuracies are from above: lines are our best, points the paper's attack.
    Certified ones are from below, dashed, in a panel of their own.
    """
    marks = _frames.mnist(data)
    tasks = [str(task) for task in data.task.values]
    drawn = style.new_figure(style.PAGE, 0.35 + _ROW * len(tasks))
    wide, end = {"width_ratios": (1, 1, 1.7, 1.7)}, float(data.radius[-1])
    grid = drawn.subplots(len(tasks), 4, squeeze=False, gridspec_kw=wide)
    for (clean, rank, attacked, certified), task in zip(grid, tasks, strict=True):
        _against_exponent(clean, marks, data, task)
        _ranks(rank, marks, data, task)
        _robust(attacked, marks, data, f"upper {task}")
        paper = [m for m in marks if m.panel == f"paper {task}" and m.role == "median"]
        _robust(attacked, paper, data, f"paper {task}", ls="none", marker="o", ms=2.6)
        _robust(certified, marks, data, f"certified {task}", ls=(0, (4, 1.5)))
        attacked.set_ylabel("accuracy under attack (upper)")
        certified.set_ylabel("certified accuracy (lower)")
        for ax in (attacked, certified):
            ax.set(xlabel=r"$\ell_\infty$ radius", ylim=(-0.02, 1.02))
            # So that what stands at radius 0 is not cut in two.
            ax.set_xlim(-0.015 * end, end)
            ax.set_yticks([0, 0.5, 1])
    _legends(grid[0], data)
    titles = ["", "", "attacked", "certified"]
    names = tasks if len(tasks) > 1 else [""]
    style.letter_panels(
        list(grid.flat), [title for name in names for title in (name, *titles[1:])]
    )
    return drawn


def _legends(row, data: xr.Dataset) -> None:
    _, rank, attacked, certified = row
    rank.legend(loc="best")
    for look, text in (
        ({"lw": 1.3}, "best of both attacks"),
        ({"ls": "none", "marker": "o", "ms": 2.6}, "the paper's attack"),
    ):
        attacked.plot([], [], color=style.GREY, label=text, **look)
    attacked.legend(loc="upper right")
    for exponent in data.exponent.values:
        colour, name = style.exponent_colour(exponent), style.exponent_name(exponent)
        certified.plot([], [], color=colour, label=name)
    certified.legend(loc="upper right")
