"""One number of each run (and time) out of a sweep's table."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, TIME
from jaxbias._checks import InputError, one_of

REDUCTIONS = ("median", "min", "max")


def held_values(
    axes: Mapping[str, np.ndarray],
    shown: Sequence[str | None],
    where: Mapping[str, Any],
) -> dict[str, Any]:
    """A value for every axis that the figure does not show.

    Args:
        axes: The values of each axis.
        shown: Those that the figure shows.
        where: What is asked for.

    Raises:
        InputError: An axis or a value is not there, or an axis has no value.
    """
    free = {name: values for name, values in axes.items() if name not in shown}
    held = {}
    for name, value in where.items():
        one_of("where", name, free or axes)
        if name in shown:
            raise InputError(
                f"where={name!r}, which is drawn",
                "all its values are in the figure",
                f"where without {name!r}",
            )
        held[name] = _nearest(f"where[{name!r}]", value, free[name])
    for name, values in free.items():
        if name not in held and len(values) > 1:
            raise InputError(
                f"axis {name!r} with {len(values)} values that is neither x nor hue",
                "runs of different points would be pooled",
                f"where={{{name!r}: {values[0].item()!r}}}"
                + f" or hue={name!r}" * (None in shown),
            )
    return held


def _nearest(what: str, value: Any, values: np.ndarray) -> Any:
    """The value of an axis that is meant, up to rounding."""
    same = [v for v in values.tolist() if v == value]
    if not same and values.dtype.kind in "iuf" and isinstance(value, numbers.Real):
        same = [v for v in values.tolist() if math.isclose(v, value, rel_tol=1e-6)]
    if not same:
        one_of(what, str(value), [str(v) for v in values.tolist()])
        same = [v for v in values.tolist() if str(v) == str(value)]
    return same[0]


def at_time(
    values: xr.DataArray, x: str, at: float | None
) -> tuple[xr.DataArray, float | None]:
    """The variable at one time, if it has times and they are not drawn.

    Args:
        values: The variable.
        x: The abscissa.
        at: The time that is asked for, or None for the last one.

    Raises:
        InputError: It is no saved time, or there is none to choose.
    """
    if at is not None and (TIME not in values.dims or x == TIME):
        raise InputError(
            f"at={at!r}",
            "all times are drawn" if x == TIME else f"{values.name!r} has no times",
            "plots.sweep without at",
        )
    if TIME not in values.dims or x == TIME:
        return values, None
    times = values[TIME].values
    place = len(times) - 1 if at is None else int(np.argmin(np.abs(times - at)))
    time = float(times[place])
    if at is not None and not np.isclose(time, at, rtol=1e-3):
        raise InputError(
            f"at={at!r}",
            f"the {len(times)} saved times go from {times[0]:g} to {times[-1]:g}",
            f"at={time:.6g}, the nearest one",
        )
    return values.isel({TIME: place}), time


def reduce_axes(
    table: xr.Dataset, values: xr.DataArray, x: str, how: str | None
) -> tuple[xr.DataArray, tuple[str, ...]]:
    """One number of each run (and time) of a variable, and the axes that this took.

    Args:
        table: For masks of what only pads.
        values: The variable.
        x: The abscissa.
        how: The reduction that is asked for.

    Raises:
        InputError: It is missing or unknown, or there is nothing to reduce.
    """
    further = [str(d) for d in values.dims if d not in (RUN, x)]
    if how is not None:
        one_of("reduce", how, REDUCTIONS)
    if not further:
        if how is not None:
            raise InputError(
                f"reduce={how!r}",
                f"{values.name!r} is one number of each run"
                f"{' and time' * (TIME in values.dims)} already",
                "plots.sweep without reduce",
            )
        return values, ()
    if how is None:
        raise InputError(
            f"y={values.name!r} with an entry for each {' and '.join(further)}",
            "a figure shows one number of a run, and which one is not guessed",
            "reduce='min' (--reduce min), or 'median', or 'max'",
        )
    attrs, name = values.attrs, values.name
    real = xr.ones_like(values, bool)
    for dim in further:
        # Entries beyond a run's width are no neurons.
        if f"{dim}_mask" in table:
            real = real & table[f"{dim}_mask"]
    undefined = (values.isnull() & real).any(further)
    number = getattr(values.astype(float).where(real), how)(further, skipna=True)
    reduced = number.where(~undefined)
    return reduced.rename(name).assign_attrs(attrs), tuple(further)
