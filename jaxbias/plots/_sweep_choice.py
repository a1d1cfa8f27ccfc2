"""Which runs and which numbers of a sweep's table a figure shows."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, TIME
from jaxbias._checks import InputError, one_of, told
from jaxbias.plots._sweep_values import at_time, held_values, reduce_axes
from jaxbias.results.outcomes import is_finished

# Of these the smallest value is the worst one, of all others the largest.
_SMALLEST_IS_WORST = ("radius", "margin", "accuracy", "cosine")


@dataclasses.dataclass(frozen=True)
class Choice:
    """The runs of a figure, and one number of each (or one for each time).

    Attributes:
        table: The runs of the figure, with ``y`` alone and a ``status`` that is not 0
            where a run is left out.
        x: An axis of the sweep, or ``time``.
        y: The variable.
        hue: The axis that has colours, or None.
        at: The time of the values, where the variable has times and x is an axis.
        reduction: What was taken over further axes, or None.
        reduced: Names of these.
        largest: Whether the worst seed's value is the largest.
        where: Values of other axes that are held.
        left_out: How many runs are not drawn, by the reason.
    """

    table: xr.Dataset
    x: str
    y: str
    hue: str | None
    at: float | None
    reduction: str | None
    reduced: tuple[str, ...]
    largest: bool
    where: dict[str, Any]
    left_out: dict[str, int]


def axes_of(table: xr.Dataset) -> dict[str, np.ndarray]:
    """The axes of a sweep with the values of each, in increasing order."""
    names = json.loads(table.attrs.get("axes", "[]"))
    return {name: np.unique(table[name].values) for name in names if name in table}


def choose(
    table: xr.Dataset,
    x: str,
    y: str,
    hue: str | None = None,
    *,
    at: float | None = None,
    reduce: str | None = None,
    where: Mapping[str, Any] | None = None,
    worst: str | None = None,
    keep_inaccurate: bool = False,
) -> Choice:
    """Check what is to be drawn against the table, and take it out of it.

    Args:
        table: As ``jaxbias.open`` or ``jaxbias.sweep`` returns it.
        x: An axis of the sweep, or ``time``.
        y: The variable.
        hue: Another axis.
        at: A saved time; the last one if not given.
        reduce: What to take over further axes of the variable.
        where: Values of axes that are neither ``x`` nor ``hue``.
        worst: ``max`` or ``min``.
        keep_inaccurate: Whether runs with inaccurate values are drawn.

    Raises:
        InputError: A name or a value is not in the table, an axis is left over whose
            runs would be pooled, or no run is left.
    """
    if not isinstance(table, xr.Dataset) or RUN not in table.dims:
        raise InputError(
            f"table={told(type(table).__name__)} without the dimension 'run'",
            "a sweep's table has a row for each run",
            "plots.sweep(jaxbias.open(folder), ...)",
        )
    done = is_finished(table)
    axes = axes_of(table)
    one_of("y", y, variables_of(table))
    one_of("x", x, [*axes, *([TIME] if TIME in table[y].dims else [])])
    if hue is not None:
        one_of("hue", hue, [name for name in axes if name != x])
    where = held_values(axes, (x, hue), where or {})
    chosen = np.ones(table.sizes[RUN], bool)
    for name, value in where.items():
        chosen &= table[name].values == value
    rough = np.zeros(len(done), bool)
    if "inaccurate" in table and not keep_inaccurate:
        rough = table["inaccurate"].values.astype(bool)
    kept = chosen & done & ~rough
    left_out = {
        "unfinished": int((chosen & ~done).sum()),
        "inaccurate": int((chosen & done & rough).sum()),
    }
    if not kept.any():
        raise InputError(
            f"{int(chosen.sum())} runs, {left_out['unfinished']} of them unfinished, "
            f"{left_out['inaccurate']} inaccurate",
            "no run is left to draw",
            "keep_inaccurate=True (--keep-inaccurate)"
            if left_out["inaccurate"]
            else "jaxbias status FOLDER, which says how runs ended",
        )
    values, time = at_time(table[y], x, at)
    values, reduced = reduce_axes(table, values, x, reduce)
    if worst is not None:
        one_of("worst", worst, ("max", "min"))
    smallest = any(word in y for word in _SMALLEST_IS_WORST) and "error" not in y
    # For summaries, what is left out is unfinished: they count it, and keep its point.
    status = xr.DataArray(np.where(kept, 0, 1), dims=RUN)
    drawn = table.assign({y: values, "status": status})[[y, "status"]]
    return Choice(
        drawn.isel({RUN: np.flatnonzero(chosen)}),
        x,
        y,
        hue,
        time,
        reduce if reduced else None,
        reduced,
        not smallest if worst is None else worst == "max",
        {name: value for name, value in where.items() if len(axes[name]) > 1},
        left_out,
    )


def variables_of(table: xr.Dataset) -> list[str]:
    """What can be drawn: numbers of each run, at one time or at several."""
    return [
        str(name)
        for name, values in table.data_vars.items()
        if RUN in values.dims and values.dtype.kind in "biuf" and name != "status"
    ]
