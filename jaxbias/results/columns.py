"""A table of runs in long form: columns of one length, a row a run or an entry."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED
from jaxbias._checks import InputError, one_of
from jaxbias.results.outcomes import status_names


def columns(
    table: xr.Dataset, variables: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The columns of the long form, all of one length.

    Args:
        table: As ``export`` takes it.
        variables: Likewise.

    Raises:
        InputError: As ``export``, of variables.
    """
    if RUN not in table.dims:
        raise InputError(
            "a table without the dimension 'run'",
            "a row is a run",
            "a table from jaxbias.sweep or jaxbias.open",
        )
    names = _chosen(table, variables)
    further = _further_axes(table, names)
    dims = (RUN, *further)
    sizes = [table.sizes[dim] for dim in dims]
    keep = np.ones(sizes, bool)
    for dim in further:
        if f"{dim}_mask" in table:
            keep &= _spread(table[f"{dim}_mask"], dims, table)
    shown_names = [
        str(name)
        for name in table.coords
        if set(table[name].dims) <= set(dims) and not str(name).endswith("_mask")
    ]
    first = [name for name in (RUN, SEED) if name in shown_names]
    order = [*first, *(name for name in shown_names if name not in (*first, *further))]
    made = {}
    for name in (*order, *further, *names):
        if name in table.variables:
            array = _in_words(table) if name == "status" else table[name]
        else:
            array = xr.DataArray(np.arange(table.sizes[name]), dims=name)
        made[name] = _spread(array, dims, table)[keep]
    return made


def _chosen(table: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    known = [str(n) for n, v in table.data_vars.items() if RUN in v.dims]
    if variables is None:
        return known
    if isinstance(variables, str):
        raise InputError(
            f"variables={variables!r}",
            "a list of names is needed",
            f"variables=[{variables!r}]",
        )
    for name in variables:
        one_of("variables", name, known)
    # Without it nobody could tell an unfinished run from the others.
    return list(dict.fromkeys([*variables, *(n for n in known if n == "status")]))


def _further_axes(table: xr.Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """The axes beside ``run`` that variables have, which must be the same ones."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        axes = tuple(sorted(str(dim) for dim in table[name].dims if dim != RUN))
        if axes:
            groups.setdefault(axes, []).append(name)
    if len(groups) > 1:
        told = [
            f"{', '.join(group)} one for each {' and '.join(axes)}"
            for axes, group in groups.items()
        ]
        plain = [name for name in names if set(table[name].dims) == {RUN}]
        choices = [group for group in (*groups.values(), plain) if group]
        raise InputError(
            f"variables with different axes: {'; '.join(told)}",
            "in one long table each number would stand on the rows of all others",
            " or ".join(f"variables={group!r}" for group in choices)
            + " (on the command line, --variable NAME for each)",
        )
    axes = next(iter(groups), ())
    # In the order in which the table has them.
    return tuple(str(dim) for dim in table.dims if dim in axes)


def _spread(
    array: xr.DataArray, dims: tuple[str, ...], table: xr.Dataset
) -> np.ndarray:
    """An array repeated along the dimensions that it lacks."""
    here = [dim for dim in dims if dim in array.dims]
    shape = [table.sizes[dim] if dim in here else 1 for dim in dims]
    values = array.transpose(*here).values.reshape(shape)
    return np.broadcast_to(values, [table.sizes[dim] for dim in dims])


def _in_words(table: xr.Dataset) -> xr.DataArray:
    names = status_names(table)
    status = table["status"]
    words = [names.get(code, str(code)) for code in status.values.ravel().tolist()]
    return status.copy(data=np.asarray(words).reshape(status.shape))
