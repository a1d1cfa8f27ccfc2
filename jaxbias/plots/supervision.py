"""Class labels against cluster labels: robust accuracy, radii and clean accuracy."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import curves, pick

#: How a task is written.
TASKS = {"parity": "even against odd", "halves": "first half against second"}
_COLOURS = {"class": style.VERMILION, "max": style.BLUE, "sum": style.GREEN}
_NAMES = {"class": "2 labels", "max": "{} labels, max", "sum": "{} labels, sum"}
_DASHED = (0, (4, 1.5))
_ROW = 1.85


def _robust(ax: Axes, marks: list[Mark], panel: str, **line) -> None:
    for readout, colour in _COLOURS.items():
        curves(ax, pick(marks, panel=panel, series=readout), colour, **line)


def _name(ax: Axes, names: dict[str, str], end: float) -> None:
    """The read-outs in their colours, where robust accuracies have died away."""
    for row, (readout, colour) in enumerate(_COLOURS.items()):
        height = 0.93 - 0.12 * row
        style.label(ax, end, height, names[readout], colour, ha="right")


def _paired(ax: Axes, marks: list[Mark], readouts: list[str], proven: bool) -> None:
    """One line a seed across the read-outs, a point in the colour of each."""
    line = {"color": style.GREY, "lw": 0.6, "zorder": 2}
    for mark in pick(marks, role="seed"):
        ax.plot(mark.x, mark.y, ls=_DASHED if proven else "-", **line)
        for x, y, readout in zip(mark.x, mark.y, readouts, strict=True):
            edge = _COLOURS[readout]
            face = "white" if proven else edge
            ax.plot(x, y, "o", ms=3.2, mec=edge, mfc=face, mew=0.8, zorder=3)
    ax.set_xticks(range(len(readouts)))
    ax.set_xticklabels([name.replace("class", "2 labels") for name in readouts])
    ax.set_xlim(-0.5, len(readouts) - 0.5)


def figure(data: xr.Dataset) -> Figure:
    r"""One row a task: under attack, certified, median radii, clean accuracy.

    Bold curves are medians over seeds, thin ones the seeds. Accuracies under attack are
    from above: lines are our best, points the papers' attack. Of the radii, full points
    are witnessed and open ones certified.
    """
    marks = _frames.supervision(data)
    tasks = [str(task) for task in data.task.values]
    readouts = [str(name) for name in data.readout.values]
    names = {key: text.format(data.attrs["classes"]) for key, text in _NAMES.items()}
    drawn = style.new_figure(style.PAGE, 0.35 + _ROW * len(tasks))
    wide, end = {"width_ratios": (1.6, 1.6, 1, 1)}, float(data.radius[-1])
    grid = drawn.subplots(len(tasks), 4, squeeze=False, gridspec_kw=wide)
    for (attacked, certified, radii, clean), task in zip(grid, tasks, strict=True):
        paper = [m for m in marks if m.panel == f"paper {task}" and m.role == "median"]
        _robust(attacked, paper, f"paper {task}", ls="none", marker="o", ms=2.2)
        _robust(attacked, marks, f"upper {task}")
        _robust(certified, marks, f"certified {task}", ls=_DASHED)
        _name(certified, names, end)
        attacked.set_ylabel("accuracy under attack (upper)")
        certified.set_ylabel("certified accuracy (lower)")
        for ax in (attacked, certified):
            ax.set(xlabel=r"$\ell_2$ radius", ylim=(-0.02, 1.02))
            # So that what stands at radius 0 is not cut in two.
            ax.set_xlim(-0.015 * end, end)
            ax.set_yticks([0, 0.5, 1])
        for bound in ("upper", "certified"):
            family = pick(marks, panel=f"median {task}", series=bound)
            _paired(radii, family, readouts, bound == "certified")
        radii.set_ylabel(r"median $\ell_2$ radius")
        radii.set_ylim(bottom=0)
        _paired(clean, pick(marks, panel=f"accuracy {task}"), readouts, False)
        clean.set_ylabel("clean accuracy")
        clean.margins(y=0.15)
    _legends(grid[0])
    titles = ["", "certified", "radii", "clean"]
    style.letter_panels(
        list(grid.flat), [t for task in tasks for t in (TASKS[task], *titles[1:])]
    )
    return drawn


def _legends(row) -> None:
    attacked, _, radii, _ = row
    for look, text in (
        ({"lw": 1.3}, "best attack"),
        ({"ls": "none", "marker": "o", "ms": 2.2}, "papers' attack"),
    ):
        attacked.plot([], [], color=style.GREY, label=text, **look)
    attacked.legend(loc="upper right", handlelength=1.2)
    for face, text in ((style.GREY, "witnessed"), ("white", "certified")):
        look = {"ms": 3.2, "mec": style.GREY, "mfc": face, "mew": 0.8}
        radii.plot([], [], "o", label=text, **look)
    radii.legend(loc="lower center", handlelength=0.8)
