"""What a figure of a sweep shows where nobody has said it."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from jaxbias._axes import RUN, TIME
from jaxbias._checks import InputError, one_of
from jaxbias.plots._sweep_choice import axes_of, variables_of

# How a run went, not what came of it.
_METERS = ("evaluations", "rejected", "sliding", "repelling", "inaccurate")


def complete(
    table: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    hue: str | None = None,
    where: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The arguments ``x``, ``y``, ``hue`` and ``where`` of ``plots.sweep``.

    What is given stays. Of the rest, ``y`` is the loss or the first variable with one
    number of each run and time; ``x`` the axis of most values, or ``time`` if no axis
    has two; ``hue`` the axis with most values of those left, and ``where`` holds all
    others at their first value.

    Args:
        table: As ``jaxbias.open`` returns it.
        x: As in ``plots.sweep``, or None.
        y: Likewise.
        hue: Likewise.
        where: Likewise.

    Raises:
        InputError: There is nothing to draw, or against nothing.
    """
    y = _variable(table) if y is None else y
    one_of("y", y, variables_of(table))
    held = dict(where or {})
    free = {
        name: values
        for name, values in axes_of(table).items()
        if len(values) > 1 and name not in (*held, x, hue)
    }
    # Of axes with as many values the first one, and numbers before words.
    order = sorted(
        free, key=lambda name: (free[name].dtype.kind not in "iuf", -len(free[name]))
    )
    if x is None:
        numeric = [name for name in order if free[name].dtype.kind in "iuf"]
        if not numeric and TIME not in table[y].dims and not order:
            raise InputError(
                f"y={y!r} of a sweep without an axis of several values",
                "there is nothing to draw it against",
                "a variable with times, or jaxbias sweep --over",
            )
        x = (numeric or ([TIME] if TIME in table[y].dims else order))[0]
        order = [name for name in order if name != x]
    if hue is None and order:
        hue = order.pop(0)
    held |= {name: free[name][0].item() for name in order if name != hue}
    return {"x": x, "y": y, "hue": hue, "where": held}


def _variable(table: xr.Dataset) -> str:
    names = variables_of(table)
    plain = [
        name
        for name in names
        if set(table[name].dims) <= {RUN, TIME} and name not in _METERS
    ]
    if not names:
        raise InputError(
            "a table without numbers of runs",
            "there is nothing to draw",
            "a table from jaxbias.sweep or jaxbias.open",
        )
    return "loss" if "loss" in plain else (plain or names)[0]
