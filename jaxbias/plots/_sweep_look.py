"""How a figure of a sweep looks: colours, scales, the legend and the words."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from jaxbias._axes import TIME
from jaxbias._format import brief
from jaxbias.plots import _panels, style
from jaxbias.plots import _sweep_frames as frames
from jaxbias.plots._marks import Mark
from jaxbias.plots._panels import pick
from jaxbias.plots._sweep_choice import Choice

_WRAP = 44
# More values than ticks have room for.
_MOST_TICKS = 12
_DECADES = 2.0
_DASHED = (0, (4, 2))


def caption(choice: Choice, marks: list[Mark]) -> str:
    """What was left out of a figure, and what its runs have in common."""
    parts = [f"{name} = {brief(value)}" for name, value in choice.where.items()]
    if choice.at is not None:
        parts.append(f"at time {choice.at:g}")
    least, most = frames.seeds_of(choice)
    parts.append(f"{most} seeds" if least == most else f"{least} to {most} seeds")
    gone = [f"{n} {why}" for why, n in choice.left_out.items() if n]
    parts.append(f"runs left out: {' and '.join(gone) or 'none'}")
    holes = sum(int(np.isnan(m.y).sum()) for m in pick(marks, role="median"))
    if holes:
        parts.append(f"points without a value: {holes}")
    return "; ".join(parts)


def _colours(choice: Choice) -> list[Any]:
    values = frames.hues(choice)
    known = choice.hue == "exponent" and {float(v) for v in values} <= {1, 2, 3, 4}
    if known:
        return [style.exponent_colour(v) for v in values]
    if len(values) <= len(style.PALETTE):
        return list(style.PALETTE[: len(values)])
    return list(style.shades(style.BLUE, len(values)))


def curves(ax: Axes, choice: Choice, marks: list[Mark]) -> None:
    """Draw the marks, a colour for each value of the hue."""
    look = {} if choice.x == TIME else {"marker": "o", "ms": 2.8}
    for value, colour in zip(frames.hues(choice), _colours(choice), strict=True):
        series = frames.ALL if value is None else str(value)
        family = pick(marks, series=series)
        _panels.curves(ax, family, colour, **look)
        if value is not None:
            for law in pick(family, role="fit"):
                ax.plot(law.x, law.y, color=colour, lw=0.9, ls=_DASHED, zorder=5)
    for law in pick(marks, series=frames.ALL, role="fit"):
        ax.plot(law.x, law.y, color=style.BLACK, lw=0.9, ls=_DASHED, zorder=5)


def scales(ax: Axes, choice: Choice, marks: list[Mark], log_y: bool | None) -> None:
    """Make axes logarithmic where values are spaced or spread so."""
    x, found = frames.positions(choice), frames.values(choice)
    if frames.log_spaced(x):
        ax.set_xscale("log")
    if choice.x != TIME and len(x) <= _MOST_TICKS:
        ax.set_xticks(x, [brief(value) for value in found.tolist()])
        ax.xaxis.set_minor_locator(NullLocator())
    medians = np.concatenate([m.y for m in pick(marks, role="median")])
    medians = medians[np.isfinite(medians)]
    if log_y is None:
        positive = medians.size > 0 and medians.min() > 0
        log_y = positive and math.log10(medians.max() / medians.min()) >= _DECADES
    if log_y:
        ax.set_yscale("log")


def legend(
    ax: Axes, choice: Choice, band: tuple[float, float], law: str | None
) -> None:
    """Name colours and lines, and between which quantiles the band lies."""
    colour = style.BLACK if choice.hue is not None else style.BLUE
    for value, tint in zip(frames.hues(choice), _colours(choice), strict=True):
        if value is not None:
            ax.plot([], [], color=tint, label=f"{choice.hue} = {brief(value)}")
    ax.plot([], [], color=colour, label="median of seeds")
    shade = {"color": colour, "alpha": 0.15, "lw": 0}
    ax.fill_between(
        [], [], [], label=f"{band[0]:.3g} to {band[1]:.3g} quantile", **shade
    )
    end = "largest" if choice.largest else "smallest"
    ax.plot([], [], color=colour, lw=0.8, ls=":", label=f"worst seed ({end})")
    if law is not None:
        ax.plot([], [], color=style.BLACK, lw=0.9, ls=_DASHED, label=law)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def axis_label(table: xr.Dataset, name: str) -> str:
    """The abscissa's description, or its name."""
    return _described(name, table[name].attrs)


def value_label(choice: Choice) -> str:
    """The variable's description with what was taken over further axes."""
    text = _described(choice.y, choice.table[choice.y].attrs)
    if choice.reduction is not None:
        text = f"{choice.reduction} over {' and '.join(choice.reduced)}: {text}"
    return "\n".join(textwrap.wrap(text, _WRAP))


def _described(name: str, attrs: Mapping[Any, Any]) -> str:
    """A name's description with its unit, or the name where it has none."""
    text, unit = str(attrs.get("description") or name), str(attrs.get("units") or "1")
    return text if unit == "1" else f"{text} [{unit}]"
