"""Any variable of a sweep against an axis of it or against time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxbias._checks import InputError, told
from jaxbias.plots import _sweep_frames as frames
from jaxbias.plots import _sweep_look as look
from jaxbias.plots import style
from jaxbias.plots._sweep_choice import choose


def sweep(
    table: xr.Dataset,
    x: str,
    y: str,
    hue: str | None = None,
    law: Callable[..., Any] | None = None,
    *,
    law_label: str = "closed form",
    at: float | None = None,
    reduce: str | None = None,
    where: Mapping[str, Any] | None = None,
    worst: str | None = None,
    band: tuple[float, float] = (0.25, 0.75),
    keep_inaccurate: bool = False,
    log_y: bool | None = None,
) -> Figure:
    """Draw a variable of a sweep: median over seeds, a band of seeds, the worst seed.

    Runs that did not finish or whose values may be off by more than 1 % are left out,
    and the figure says how many. An abscissa is logarithmic where its values are
    spaced so.

    Args:
        table: As ``jaxbias.open`` or ``jaxbias.sweep`` returns it.
        x: An axis of the sweep, or ``"time"``.
        y: The variable.
        hue: Another axis, with a colour for each value.
        law: A closed form to stand beside it: a function of an array of ``x``, or of
            that and a value of ``hue``, which is then drawn in each colour.
        law_label: Its name in the legend.
        at: A saved time, where ``y`` has times and ``x`` is an axis. The last one if
            not given.
        reduce: ``"median"``, ``"min"`` or ``"max"`` over the further axes of ``y``
            (neurons, clusters, samples), which has to be said.
        where: Values of the axes that are neither ``x`` nor ``hue``.
        worst: Which seed is the worst, that of the ``"max"`` or of the ``"min"``. If
            not given, the smallest of radii, margins, accuracies and cosines, the
            largest of all else.
        band: Two probabilities: the band lies between these quantiles over seeds.
        keep_inaccurate: Draw runs with inaccurate values too.
        log_y: Whether the ordinate is logarithmic; if not given, where medians are
            positive and span two decades.

    Returns:
        A figure that belongs to no window. ``plots.write(figure, path)`` writes it.

    Raises:
        InputError: A name or a value is not in the table, an axis is left over whose
            runs would be pooled, a reduction is not said, or no run is left.

    Example:
        >>> table = jb.open("runs/widths")  # doctest: +SKIP
        >>> jb.plots.sweep(table, "width", "loss", hue="noise")  # doctest: +SKIP
    """
    levels = np.asarray(band, float)
    if levels.shape != (2,) or not 0 <= levels[0] < levels[1] <= 1:
        raise InputError(
            f"band={told(band)}",
            "it lies between two probabilities, the lower one first",
            "band=(0.05, 0.95)",
        )
    choice = choose(
        table,
        x,
        y,
        hue,
        at=at,
        reduce=reduce,
        where=where,
        worst=worst,
        keep_inaccurate=keep_inaccurate,
    )
    marks = frames.sweep(choice, (float(levels[0]), float(levels[1])), law)
    with style.paper():
        drawn = style.new_figure(style.PAGE, 2.9)
        ax = drawn.subplots()
        look.curves(ax, choice, marks)
        look.scales(ax, choice, marks, log_y)
        look.legend(ax, choice, band, None if law is None else law_label)
        ax.set_xlabel(look.axis_label(table, choice.x))
        ax.set_ylabel(look.value_label(choice))
        drawn.supxlabel(look.caption(choice, marks), fontsize=7, color=style.GREY)
        # Ticks are made when they are first drawn, by the settings of that moment.
        drawn.draw_without_rendering()
    return drawn
