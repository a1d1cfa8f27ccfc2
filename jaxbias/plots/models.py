"""Robust accuracy of models of six kinds, one panel each."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._frames import Mark
from jaxbias.plots._model_panels import crossing, ground, guides, misfits, shared
from jaxbias.plots._panels import curves, pick

_NAMES = {
    "prelu": "pReLU, $p=3$",
    "bayes": "Bayes rule",
    "relu": "ReLU",
    "mlp": "ReLU, four layers",
    "tanh": "tanh",
    "logistic": "logistic regression",
}
_WORDS = {
    "attacked": ("attacked", style.BLACK),
    "certified": ("certified", style.BLUE),
    "nearest centre": ("nearest centre,\nclosed form", style.VERMILION),
}
# Panels whose curves are named on the spot; the others show the same ones.
_NAMED = ("prelu", "bayes")
_COLUMNS, _OTHERS = 3, "#bdbdbd"
# Half the width of a cliff's magnified piece.
_REACH = 0.05


def _curves(ax: Axes, own: list[Mark]) -> None:
    curves(ax, pick(own, series="interval"), style.BLUE)
    curves(ax, pick(own, series="certified"), style.BLUE)
    curves(ax, pick(own, series="attacked"), style.BLACK)
    for form in pick(own, series="nearest centre"):
        colour = _WORDS["nearest centre"][1]
        ax.plot(form.x, form.y, color=colour, ls=(0, (1, 1.5)), zorder=5)


def _zoom(ax: Axes, own: list[Mark], place: float, data: xr.Dataset) -> None:
    """The cliff, where seeds, certificate and attacks can be told apart."""
    inset = ax.inset_axes((0.55 if _early(ax, place) else 0.1, 0.34, 0.2, 0.4))
    guides(inset, data)
    _curves(inset, own)
    inset.set_xlim(place - _REACH, place + _REACH)
    inset.set_ylim(-0.04, 1.04)
    inset.set_yticks([0, 1])
    ends = (place - 0.7 * _REACH, place + 0.7 * _REACH)
    inset.set_xticks([round(end, 2) for end in ends])
    inset.tick_params(labelsize=6)


def _early(ax: Axes, place: float) -> bool:
    return bool(place < sum(ax.get_xlim()) / 2)


def _panel(ax: Axes, name: str, marks: list[Mark], data: xr.Dataset) -> None:
    own = pick(marks, panel=name)
    ground(ax, own, data)
    for other in pick(marks, series="attacked", role="median"):
        if other.panel != name:
            ax.plot(other.x, other.y, color=_OTHERS, lw=0.8, zorder=1.5)
    _curves(ax, own)
    place = 0.0
    for median in pick(own, series="attacked", role="median"):
        place = crossing(median)
        _zoom(ax, own, place, data)
        drawn = [word for word in _WORDS if name in _NAMED and pick(own, series=word)]
        for row, word in enumerate(drawn):
            text, colour = _WORDS[word]
            height = 0.84 - 0.14 * row
            style.label(ax, place - 0.03, height, text, colour, ha="right", va="top")
    spot = (0.3, 0.87) if _early(ax, place) else (0.31, 0.24)
    style.label(ax, *spot, misfits(data, name), style.VERMILION)
    if name == "prelu":
        style.label(ax, 0.31, 0.44, shared(data, name), style.GREY)


def figure(data: xr.Dataset) -> Figure:
    """A panel a model, the medians of the others in grey behind.

    Shaded: what no classifier can reach (MV25, Prop. 1).
    """
    marks = _frames.models(data)
    names = [str(name) for name in data.model.values]
    rows = -(-len(names) // _COLUMNS)
    drawn = style.new_figure(style.PAGE, 0.35 + 1.6 * rows)
    grid = drawn.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)[: len(names)]
    for ax in list(grid.flat)[len(names) :]:
        ax.set_visible(False)
    for ax, name in zip(panels, names, strict=True):
        _panel(ax, name, marks, data)
    for ax in grid[-1]:
        ax.set_xlabel(r"$\ell_2$ radius")
    for ax in grid[:, 0]:
        ax.set_ylabel("robust accuracy")
    style.letter_panels(panels, [_NAMES.get(name, name) for name in names])
    return drawn
