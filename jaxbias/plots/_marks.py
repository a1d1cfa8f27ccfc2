"""The marks of which every frame is made, and how they become a plain table."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr


class Mark(NamedTuple):
    """One curve, band, cell row or guide of one panel.

    Args:
        panel: The panel it stands in.
        series: Which curve family it belongs to.
        role: ``seed``, ``median``, ``worst``, ``band``, ``row``, ``fit`` or ``guide``.
        x: Abscissae.
        y: Ordinates (the lower edge of a band).
        upper: The upper edge of a band, else None.
    """

    panel: str
    series: str
    role: str
    x: np.ndarray
    y: np.ndarray
    upper: np.ndarray | None = None


def table(marks: Iterable[Mark], digits: int = 6) -> dict[str, list[Any]]:
    """The marks as plain long-form columns, rounded to significant digits."""
    columns: dict[str, list[Any]] = {name: [] for name in Mark._fields}

    def rounded(value) -> float | None:
        return float(f"{value:.{digits}g}") if np.isfinite(value) else None

    for mark in marks:
        upper = np.full(len(mark.x), np.nan) if mark.upper is None else mark.upper
        for row in zip(mark.x, mark.y, upper, strict=True):
            for name, value in zip(("panel", "series", "role"), mark[:3], strict=True):
                columns[name].append(value)
            for name, value in zip(("x", "y", "upper"), row, strict=True):
                columns[name].append(rounded(value))
    return columns


def over_seeds(
    panel: str, series: str, x, values: xr.DataArray, worst: str | None
) -> list[Mark]:
    """Each seed, the median over seeds, and the worst seed at each abscissa.

    Args:
        panel: The panel.
        series: The curve family.
        x: Abscissae.
        values: Dims ``(seed, <abscissa>)``; NaN marks a run that has no value.
        worst: ``"max"``, ``"min"`` or None where neither end is the bad one.
    """
    x = np.asarray(x, float)
    rows = np.asarray(values.transpose("seed", ...), float)
    marks = [Mark(panel, series, "seed", x, row) for row in rows]
    finite = ~np.isnan(rows).all(axis=0)
    median = np.full(len(x), np.nan)
    median[finite] = np.nanmedian(rows[:, finite], axis=0)
    marks.append(Mark(panel, series, "median", x, median))
    if worst is not None:
        edge = np.full(len(x), np.nan)
        pick = np.nanmax if worst == "max" else np.nanmin
        edge[finite] = pick(rows[:, finite], axis=0)
        marks.append(Mark(panel, series, "worst", x, edge))
    return marks


def power_law(x, y) -> tuple[float, float]:
    """Least-squares ``(slope, factor)`` of ``y = factor * x**slope`` on log scales."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    used = (x > 0) & (y > 0) & np.isfinite(y)
    if used.sum() < 2:
        return float("nan"), float("nan")
    slope, offset = np.polyfit(np.log(x[used]), np.log(y[used]), 1)
    return float(slope), float(np.exp(offset))
