"""Tables of runs joined into one: padded to the widest, masked, put in order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import NEURON, RUN
from jaxbias._checks import InputError


def combine(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join tables along ``run``, in the order of the coordinate ``run``.

    A dimension whose size differs between tables is padded: numbers with NaN,
    integers with 0, and ``<dimension>_mask`` (run, dimension) is False there.
    ``neuron_mask`` exists whenever a variable has the axis ``neuron``.

    Args:
        tables: One or more tables with the dimension ``run`` and equal variables.

    Raises:
        InputError: Variables or shared coordinates differ, or a run occurs twice.
    """
    first = tables[0]
    names = list(first.variables)
    for table in tables[1:]:
        if set(table.variables) - _masks(table) != set(names) - _masks(first):
            differing = sorted(map(str, set(table.variables) ^ set(names)))
            raise InputError(
                f"tables that do not share {', '.join(differing)}",
                "joined, some runs would lack a variable",
                "tables of one sweep",
            )
    sizes = {
        dim: max(table.sizes[dim] for table in tables)
        for dim in map(str, first.dims)
        if dim != RUN
    }
    tables = [_with_masks(table, sizes, tables) for table in tables]
    columns = {name: _join(str(name), tables, sizes) for name in tables[0].variables}
    joined = xr.Dataset(
        {name: columns[name] for name in tables[0].data_vars},
        {name: columns[name] for name in tables[0].coords},
        _attributes(tables),
    )
    return _in_order(joined)


def _masks(table: xr.Dataset) -> set[Any]:
    return {name for name in table.variables if str(name).endswith("_mask")}


def _with_masks(
    table: xr.Dataset, sizes: dict[str, int], tables: Sequence[xr.Dataset]
) -> xr.Dataset:
    for dim in sizes:
        name = f"{dim}_mask"
        ragged = any(other.sizes[dim] != sizes[dim] for other in tables)
        if name not in table.variables and (ragged or dim == NEURON):
            mask = np.ones((table.sizes[RUN], table.sizes[dim]), bool)
            table = table.assign_coords({name: ((RUN, dim), mask)})
    return table


def _join(
    name: str, tables: Sequence[xr.Dataset], sizes: dict[str, int]
) -> xr.Variable:
    variables = [table[name].variable for table in tables]
    first = variables[0]
    if RUN not in first.dims:
        if not all(_equal(first, other) for other in variables[1:]):
            raise InputError(
                f"tables with different {name!r}",
                f"it is shared by all runs, since it lacks the axis {RUN!r}",
                "tables of one sweep",
            )
        return first
    padded = [_padded(variable, sizes) for variable in variables]
    axis = first.dims.index(RUN)
    return xr.Variable(first.dims, np.concatenate(padded, axis), first.attrs)


def _equal(first: xr.Variable, other: xr.Variable) -> bool:
    return bool(first.dims == other.dims and first.equals(other))


def _padded(variable: xr.Variable, sizes: dict[str, int]) -> np.ndarray:
    widths = [
        (0, sizes.get(str(dim), size) - size) for dim, size in variable.sizes.items()
    ]
    fill = np.nan if variable.dtype.kind == "f" else 0
    values = np.asarray(variable.values)
    if not any(extra for _, extra in widths):
        return values
    return np.pad(values, widths, constant_values=fill)


def _in_order(table: xr.Dataset) -> xr.Dataset:
    if RUN not in table.coords:
        return table
    runs = table[RUN].values
    if len(np.unique(runs)) < len(runs):
        raise InputError(
            "tables that hold the same run twice",
            "every run counts once in a summary",
            "each batch of a sweep once",
        )
    return table.isel({RUN: np.argsort(runs, kind="stable")})


def _attributes(tables: Sequence[xr.Dataset]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in tables[0].attrs:
        values = [table.attrs.get(name) for table in tables]
        if name == "wall_seconds":
            merged[name] = float(sum(v for v in values if v is not None))
        elif name == "seed_first":
            merged[name] = min(v for v in values if v is not None)
        elif name == "seed_last":
            merged[name] = max(v for v in values if v is not None)
        else:
            merged[name] = (
                values[0]
                if all(v == values[0] for v in values)
                else ", ".join(dict.fromkeys(map(str, values)))
            )
    return merged
