"""What the groups of neurons average: cosines of their mean weights to class means."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._panels import pick
from jaxbias.plots.supervision import TASKS


def _panel(ax: Axes, marks: list[Mark], owner: np.ndarray, largest: float) -> AxesImage:
    """One row a group, one column a class, the group's own ones framed."""
    rows = pick(marks, role="row")
    names = [row.series.removeprefix("group ") for row in rows]
    values = np.stack([row.y for row in rows])
    image = ax.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        value = float(values[row, column])
        colour = "white" if abs(value) > 0.6 * largest else style.BLACK
        text = _signed(value, 1)
        ax.text(column, row, text, color=colour, ha="center", va="center", fontsize=5.5)
    for row, name in enumerate(names):
        own = np.flatnonzero(owner == int(name))
        look = {"fill": False, "ec": style.BLACK, "lw": 0.9, "clip_on": False}
        ax.add_patch(Rectangle((own[0] - 0.5, row - 0.5), len(own), 1, **look))
    ax.set_xticks(range(values.shape[1]), [f"{x:g}" for x in rows[0].x])
    return image


def _signed(value: float, digits: int) -> str:
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def figure(data: xr.Dataset) -> Figure:
    """Left the networks of two labels, right those of all classes; medians of seeds."""
    marks = _frames.supervision_cosines(data)
    *tasks, clusters = map(str, data.training.values)
    drawn = style.new_figure(style.PAGE, 2.5)
    grid = drawn.add_gridspec(len(tasks), 2)
    places = [*(grid[row, 0] for row in range(len(tasks))), grid[:, 1]]
    axes = [drawn.add_subplot(place) for place in places]
    shown = np.concatenate([mark.y for mark in pick(marks, role="row")])
    largest = float(np.ceil(10 * np.nanmax(np.abs(shown))) / 10)
    titles, image = [], None
    for ax, training in zip(axes, [*tasks, clusters], strict=True):
        panel = pick(marks, panel=training)
        owner = np.sort(data.owner.sel(training=training).values)
        image = _panel(ax, panel, owner, largest)
        low, high = pick(panel, series="own")[0].x
        name = TASKS.get(training, f"{data.sizes['cluster']} labels")
        titles.append(f"{name}; own: {_signed(low, 2)} to {_signed(high, 2)}")
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
        ax.set_xlabel("mean image of class")
        if training == clusters:
            ax.set_yticks(range(data.sizes["cluster"]), data.cluster.values)
            ax.set_ylabel("neurons for class")
        else:
            ax.set_yticks([0, 1], ["+1", "\N{MINUS SIGN}1"])
            ax.set_ylabel("neurons for")
    style.letter_panels(axes, titles)
    if image is not None:
        bar = drawn.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
        bar.set_label("cosine")
        bar.outline.set_visible(False)
    return drawn
