"""Median, worst and quantiles over seeds, of the runs that finished."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED
from jaxbias._checks import InputError, one_of
from jaxbias.results.outcomes import FINISHED, is_finished


def median(
    dataset: xr.Dataset, name: str, *, by: Sequence[str] | None = None
) -> xr.DataArray:
    """The median over seeds of a variable, one entry per point of the sweep.

    Args:
        dataset: A table with the dimension ``run`` and the variable ``status``.
        name: The variable.
        by: Coordinates of ``run`` that keep their values apart; by default the
            axes of the sweep.

    Returns:
        An array with one dimension for each name in ``by`` before the variable's
        own. Unfinished runs are left out, and counted: ``attrs["unfinished"]``
        of ``attrs["runs"]``, and the coordinate ``finished`` for each entry. An
        entry with no finished run is NaN.

    Raises:
        InputError: There is no ``status``, or no such variable or coordinate.
    """
    return over_seeds(dataset, name, by, lambda v: np.median(v, axis=0))


def worst(
    dataset: xr.Dataset,
    name: str,
    *,
    largest: bool = True,
    by: Sequence[str] | None = None,
) -> xr.DataArray:
    """The worst seed's value: the largest, or with ``largest=False`` the smallest.

    Args, returns and raises as ``median``. An unfinished run has no value that
    could be the worst; look at ``attrs["unfinished"]`` first.
    """
    reduce = np.max if largest else np.min
    return over_seeds(dataset, name, by, lambda v: reduce(v, axis=0))


def quantiles(
    dataset: xr.Dataset,
    name: str,
    probabilities: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    *,
    by: Sequence[str] | None = None,
) -> xr.DataArray:
    """Quantiles over seeds, along a last dimension ``quantile``.

    Args, returns and raises as ``median``; ``probabilities`` lie in [0, 1].
    """
    levels = np.asarray(probabilities, float)
    if levels.ndim != 1 or not np.all((levels >= 0) & (levels <= 1)):
        raise InputError(
            f"probabilities={probabilities!r}",
            "a quantile belongs to a probability between 0 and 1",
            "probabilities=(0.05, 0.5, 0.95)",
        )
    reduce = lambda v: np.moveaxis(np.quantile(v, levels, axis=0), 0, -1)
    return over_seeds(dataset, name, by, reduce, {"quantile": levels})


def finished(dataset: xr.Dataset) -> xr.Dataset:
    """The finished runs only, with ``runs`` and ``unfinished`` counted in attrs."""
    done = is_finished(dataset)
    counts = {"runs": int(done.size), "unfinished": int((~done).sum())}
    return dataset.isel({RUN: np.flatnonzero(done)}).assign_attrs(counts)


def axes_of(dataset: xr.Dataset, by: Sequence[str] | None) -> list[str]:
    """The coordinates of ``run`` that keep values apart: ``by``, or the sweep's axes.

    Raises:
        InputError: There is no such coordinate.
    """
    axes = json.loads(dataset.attrs.get("axes", "[]")) if by is None else list(by)
    per_run = [str(c) for c in dataset.coords if dataset[c].dims == (RUN,)]
    for axis in axes:
        one_of("by", axis, [c for c in per_run if c not in (RUN, SEED)])
    return axes


def over_seeds(
    dataset: xr.Dataset,
    name: str,
    by: Sequence[str] | None,
    reduce: Callable[[np.ndarray], np.ndarray],
    extra: dict[str, np.ndarray] | None = None,
) -> xr.DataArray:
    """What a function makes of the finished runs of each point.

    Args:
        dataset: As in ``median``.
        name: Likewise.
        by: Likewise.
        reduce: From values with the seeds along the first axis to values without them,
            along whose last axes ``extra`` may lie.
        extra: These dimensions with their coordinates.

    Returns and raises as ``median``.
    """
    done = is_finished(dataset)
    one_of("name", name, [str(v) for v in dataset.data_vars if v != "status"])
    axes = axes_of(dataset, by)
    array = dataset[name].transpose(RUN, ...)
    levels = [np.unique(dataset[a].values, return_inverse=True) for a in axes]
    shape = tuple(len(values) for values, _ in levels)
    cell = np.ravel_multi_index(
        tuple(index for _, index in levels) or (np.zeros(len(done), int),),
        shape or (1,),
    )
    tail = array.shape[1:] + tuple(len(v) for v in (extra or {}).values())
    result = np.full((int(np.prod(shape)), *tail), np.nan)
    counts = np.zeros(len(result), int)
    for c in range(len(result)):
        chosen = np.flatnonzero((cell == c) & done)
        counts[c] = len(chosen)
        if len(chosen):
            result[c] = reduce(array.values[chosen].astype(float))
    dims = (*axes, *map(str, array.dims[1:]), *(extra or {}))
    coords: dict[str, Any] = {
        axis: values for axis, (values, _) in zip(axes, levels, strict=True)
    }
    coords |= {
        str(c): dataset[c]
        for c in dataset.coords
        if RUN not in dataset[c].dims and set(dataset[c].dims) <= set(array.dims)
    }
    coords |= extra or {}
    coords[FINISHED] = (tuple(axes), counts.reshape(shape))
    attrs = {
        **array.attrs,
        "runs": int(done.size),
        "unfinished": int((~done).sum()),
    }
    return xr.DataArray(result.reshape((*shape, *tail)), coords, dims, name, attrs)
