"""Alignment, loss and distance against the iteration, from two starts."""

import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick

_COLOURS = {"random": style.BLACK, "nudged": style.ORANGE}
_PANELS = {
    "cosine": r"$\mathrm{max}_k\,\cos(\mu_k, w_j)$, quartiles",
    "loss": r"training loss, mean of $(y-f)^2$",
    "distance": r"$\mathrm{sup}\,|f-F^{(%s)}|$ on the sphere, searched",
}


def figure(data: xr.Dataset) -> Figure:
    """Medians and quartiles of the cosines, loss and distance.

    Dashed lines stand where theory puts the median neuron's crossing of the marked
    cosine; circles stand where it was seen.
    """
    marks = _frames.alignment(data)
    drawn = style.new_figure(style.PAGE, 2.1)
    grid = drawn.subplots(1, len(_PANELS), sharey=True)
    left, middle, _ = grid
    last = float(data.iteration.max())
    for ax, panel in zip(grid, _PANELS, strict=True):
        ax.set(xlim=(0, last), ylim=(0, 1.04), xlabel="iteration")
        ax.tick_params(labelleft=True)
        for start, colour in _COLOURS.items():
            curves(ax, pick(marks, panel=panel, series=start), colour)
    for row, (start, colour) in enumerate(_COLOURS.items()):
        (guide,) = pick(marks, series=start, role="guide")
        (predicted,), (observed,) = guide.x, guide.y
        left.axvline(predicted, color=colour, lw=0.8, ls=(0, (4, 2)), zorder=3)
        level = float(data.attrs["aligned"])
        left.plot([observed], [level], "o", color=colour, mfc="white", ms=3.5, zorder=6)
        text = f"predicted {predicted:.0f}\nobserved {observed:.0f}"
        style.label(left, 0.97 * last, 0.22 + 0.26 * row, text, colour, ha="right")
        # The loss stands at 1 until late, so there is room below it.
        name = f"{start} start"
        style.label(middle, 0.06 * last, 0.3 + 0.13 * row, name, colour)
    titles = [*_PANELS.values()]
    titles[-1] %= f"{data.attrs['exponent']:g}"
    style.letter_panels(list(grid), titles)
    return drawn
