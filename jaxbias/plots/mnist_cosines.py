"""Which digits each dominant neuron looks at: heat maps of cosines to mean images."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick


def figure(data: xr.Dataset) -> Figure:
    """Cosines of the dominant neurons, sorted: a row a task, a column an exponent."""
    marks = _frames.mnist_cosines(data)
    exponents = data.exponent.values
    tasks = [str(task) for task in data.task.values]
    drawn = style.new_figure(style.PAGE, 0.3 + 1.45 * len(tasks))
    grid = drawn.subplots(len(tasks), len(exponents), squeeze=False)
    titles, image = [], None
    panels = [(task, exponent) for task in tasks for exponent in exponents]
    for ax, (task, exponent) in zip(grid.flat, panels, strict=True):
        panel = pick(marks, panel=f"{exponent:g} {task}")
        rows = [mark for mark in panel if mark.series.startswith("digit ")]
        signs = np.sign(pick(panel, series="amplitude")[0].y)
        count = len(signs)
        image = ax.imshow(
            np.stack([mark.y for mark in rows]),
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            aspect="auto",
            extent=(0.5, count + 0.5, len(rows) + 0.5, 0.5),
        )
        ax.set_xticks([1, count])
        owner = data.owner.sel(task=task).values
        if len(np.unique(owner)) == 2:
            split = int((signs > 0).sum())
            ax.axhline((owner == 0).sum() + 0.5, color=style.BLACK, lw=0.6)
            ax.axvline(split + 0.5, color=style.BLACK, lw=0.6)
            middles = [(1 + split) / 2, (split + 1 + count) / 2]
            ax.set_xticks(middles, ["for even", "for odd"])
        names = [mark.series.removeprefix("digit ") for mark in rows]
        ax.set_yticks(np.arange(1, len(rows) + 1), names, fontsize=6)
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
        (middle,) = pick(panel, series="largest")[0].x
        titles.append(f"{style.exponent_name(exponent)}, median {middle:.2f}")
    for ax in grid[-1]:
        ax.set_xlabel("dominant neuron")
    for ax, task in zip(grid[:, 0], tasks, strict=True):
        ax.set_ylabel(f"digit ({task})" if len(tasks) > 1 else "digit")
    style.letter_panels(list(grid.flat), titles)
    if image is not None:
        bar = drawn.colorbar(image, ax=list(grid.flat), fraction=0.03, pad=0.01)
        bar.set_label(r"$\cos(\bar x_k,\,w_j)$")
        bar.outline.set_visible(False)
        bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    return drawn
