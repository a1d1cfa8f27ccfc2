"""Which cluster each dominant neuron looks at: heat maps of cosines."""

import itertools

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick


def figure(data: xr.Dataset) -> Figure:
    """Cosines to the centres, dominant neurons sorted: a column an exponent.

    One row a way of training.
    """
    marks = _frames.cosine_map(data)
    exponents, trainings = data.exponent.values, data.training.values
    drawn = style.new_figure(style.PAGE, 0.4 + 1.6 * len(trainings))
    grid = drawn.subplots(len(trainings), len(exponents), squeeze=False)
    positive, clusters = int(data.attrs["positive"]), data.sizes["cluster"]
    image = None
    panels = list(itertools.product(trainings, exponents))
    for ax, (training, exponent) in zip(grid.flat, panels, strict=True):
        panel = pick(marks, panel=f"{exponent:g} {training}")
        signs = np.sign(pick(panel, series="amplitude")[0].y)
        rows = [mark.y for mark in panel if mark.series != "amplitude"]
        count = len(signs)
        extent = (0.5, count + 0.5, clusters + 0.5, 0.5)
        image = ax.imshow(
            np.stack(rows),
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            aspect="auto",
            extent=extent,
        )
        split = int((signs > 0).sum()) + 0.5
        ax.axhline(positive + 0.5, color=style.BLACK, lw=0.6)
        ax.axvline(split, color=style.BLACK, lw=0.6)
        for share, text in ((split / 2, "$v_j>0$"), ((split + count) / 2, "$v_j<0$")):
            place = ax.get_xaxis_transform()
            ax.text(share, 1.02, text, transform=place, ha="center", fontsize=7)
        ax.set_yticks([1, positive, clusters])
        ax.set_xlabel(f"dominant neuron ({count} of {int(data.attrs['width'])})")
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
    for ax, training in zip(grid[:, 0], trainings, strict=True):
        row = f"{style.TRAININGS[str(training)]}\n" if len(trainings) > 1 else ""
        ax.set_ylabel(row + "cluster")
    names = [style.exponent_name(exponent) for _, exponent in panels]
    style.letter_panels(list(grid.flat), names)
    if image is not None:
        bar = drawn.colorbar(image, ax=list(grid.flat), fraction=0.03, pad=0.01)
        bar.set_label(r"$\cos(\mu_k,\,w_j)$")
        bar.outline.set_visible(False)
        averages = sorted({positive, clusters - positive}, reverse=True)
        levels = [size**-0.5 for size in averages]
        names = [rf"$1/\sqrt{{{size}}}$" for size in averages]
        bar.set_ticks([-1, 0, *levels, 1], labels=["-1", "0", *names, "1"])
        # The two class averages may lie close together on the bar.
        for text, side in zip(
            bar.ax.get_yticklabels()[2:-1], ("top", "bottom"), strict=False
        ):
            text.set_verticalalignment(side)
    return drawn
