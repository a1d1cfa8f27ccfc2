"""Power laws along an axis of a sweep, fitted to medians over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED
from jaxbias._checks import InputError, one_of, told
from jaxbias.results.intervals import check_level, enough
from jaxbias.results.outcomes import FINISHED
from jaxbias.results.summaries import axes_of, finished, median

_RESAMPLES = 1000


def exponent(
    dataset: xr.Dataset,
    name: str,
    axis: str,
    *,
    level: float = 0.95,
    by: Sequence[str] | None = None,
) -> xr.Dataset:
    """The slope of the logarithm of the median against the logarithm of an axis.

    The interval is a bootstrap over seeds (1000 resamples, always the same ones; its
    ends are quantiles of their slopes). Whole seeds are drawn, each with its runs at
    all points, since the runs of a seed share their random numbers and so do not
    vary apart. It holds for many seeds; with ten or twenty it is somewhat too narrow.

    Args:
        dataset: A table with the dimension ``run`` and the variable ``status``.
        name: The variable.
        axis: The axis of the sweep along which a power law is fitted, by least squares
            with the same weight for each of its values.
        level: Probability with which the interval is to hold the slope, about.
        by: Other coordinates of ``run`` that keep their values apart; by default the
            other axes of the sweep.

    Returns:
        ``exponent``, ``lower``, ``upper``, and ``residual``: by what factor less 1 a
        median is off the fitted law, at its worst. They are laid out as ``median``
        does, without ``axis``. All are NaN where a median is not positive, and the
        interval is where that may happen with other seeds.

    Raises:
        InputError: As ``median``; the axis has fewer than two positive values, no
            median is positive, or a point has too few finished seeds.
    """
    check_level(level)
    axes = axes_of(dataset, None)
    one_of("axis", axis, axes)
    others = [other for other in (axes if by is None else by) if other != axis]
    middle = median(dataset, name, by=[axis, *others])
    x = _positive(middle[axis].values, axis)
    enough(int(middle[FINISHED].min()), level, name)
    estimate, residual = _fit(x, middle.values)
    if np.isnan(estimate).all():
        raise InputError(
            f"{name!r} whose median is not positive at some {axis}",
            "it has no logarithm there",
            "another variable, or jaxbias.results.median to look at it",
        )
    done = finished(dataset)
    ends = np.full((2, *np.shape(estimate)), np.nan)
    levels = [middle[other].values for other in others]
    for place in np.ndindex(*(len(values) for values in levels)):
        point = [values[i] for values, i in zip(levels, place, strict=True)]
        here = np.ones(done.sizes[RUN], bool)
        for other, value in zip(others, point, strict=True):
            here &= done[other].values == value
        values = _by_seed(done.isel({RUN: np.flatnonzero(here)}), name, axis, x)
        ends[(slice(None), *place)] = _bootstrap(*values, x, level)
    like = middle.isel({axis: 0}, drop=True).drop_attrs()
    columns = {
        "exponent": estimate,
        "lower": ends[0],
        "upper": ends[1],
        "residual": residual,
    }
    counted = {FINISHED: middle[FINISHED].min(axis)}
    attrs = {
        "description": f"slope of log {name} against log {axis}",
        **{key: middle.attrs[key] for key in ("runs", "unfinished")},
        "level": level,
        "resamples": _RESAMPLES,
    }
    return xr.Dataset(
        {key: like.copy(data=a) for key, a in columns.items()},
        attrs=attrs,
    ).assign_coords(counted)


def _positive(values: np.ndarray, axis: str) -> np.ndarray:
    numeric = values.dtype.kind in "iuf"
    if not numeric or len(values) < 2 or not np.all(values > 0):
        raise InputError(
            f"axis={axis!r} with the values {told(values.tolist())}",
            "a power law is fitted to two or more positive numbers",
            "an axis that has them",
        )
    return values.astype(float)


def _fit(x: np.ndarray, medians: np.ndarray) -> tuple[Any, Any]:
    """Least-squares slope of logarithms, and the largest relative deviation."""
    away = np.log(x) - np.log(x).mean()
    positive = np.where(medians > 0, medians, np.nan)
    logs = np.log(positive)
    slope = np.tensordot(away / (away @ away), logs, axes=1)
    line = logs.mean(axis=0) + np.multiply.outer(away, slope)
    return slope, np.expm1(np.abs(logs - line).max(axis=0))


def _by_seed(
    done: xr.Dataset, name: str, axis: str, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values by seed and point, and which of these there are."""
    values = done[name].transpose(RUN, ...).values.astype(float)
    seeds, row = np.unique(done[SEED].values, return_inverse=True)
    column = np.searchsorted(x, done[axis].values)
    table = np.full((len(seeds), len(x), *values.shape[1:]), np.nan)
    there = np.zeros((len(seeds), len(x)), bool)
    table[row, column], there[row, column] = values, True
    return table, there


def _bootstrap(
    values: np.ndarray, there: np.ndarray, x: np.ndarray, level: float
) -> np.ndarray:
    """Both ends, by drawing seeds again and again."""
    draw = np.random.default_rng(0)
    slopes = []
    for _ in range(_RESAMPLES):
        seeds = draw.integers(len(values), size=len(values))
        slopes.append(_fit(x, _medians(values[seeds], there[seeds]))[0])
    return np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _medians(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    if there.all():
        return np.median(values, axis=0)
    nothing = np.full(values.shape[2:], np.nan)
    return np.stack(
        [
            np.median(values[here, place], axis=0) if here.any() else nothing
            for place, here in enumerate(there.T)
        ]
    )
