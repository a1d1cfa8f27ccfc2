"""What will be drawn, as a table: every plot draws marks and nothing else.

A frame is a list of :class:`Mark`; :func:`table` flattens it to plain columns, which
is what the tests compare. Nothing here knows matplotlib.
"""

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


def distance(data: xr.Dataset) -> list[Mark]:
    """Distance to the ideal classifier against noise.

    Power laws are fitted to the larger half of the noises; guides are the late-time
    floor at p = 1 and the sampling error of the cluster means at p = 3.
    """
    marks = []
    for exponent in data.exponent.values:
        name = f"{exponent:g}"
        runs = data.distance.sel(exponent=exponent)
        curves = over_seeds("distance", name, data.noise, runs, "max")
        median = next(mark for mark in curves if mark.role == "median")
        upper = median.x >= np.median(median.x)
        slope, factor = power_law(median.x[upper], median.y[upper])
        marks += curves
        marks.append(
            Mark("distance", name, "fit", np.array([slope]), np.array([factor]))
        )
        if exponent == 3 and "samples_per_cluster" in data.attrs:
            # p sqrt(2 (1 - cos)) max cos^2 sin at the angle noise/sqrt(N) by which a
            # cluster's sample mean misses its centre.
            root = np.sqrt(data.attrs["samples_per_cluster"])
            missed = 2 / np.sqrt(3) * data.noise.values / root
            marks.append(Mark("distance", name, "guide", data.noise.values, missed))
        if exponent == 1 and "late_floor" in data.attrs:
            floor = np.full(2, data.attrs["late_floor"])
            ends = median.x[[0, -1]]
            marks.append(Mark("distance", name, "guide", ends, floor))
        if "paper_distance" in data:
            paper = data.paper_distance.sel(exponent=exponent)
            marks += over_seeds("distance", name + " paper", data.noise, paper, None)
    return marks


def contributions(data: xr.Dataset) -> list[Mark]:
    """Neuron contributions in falling order, relative to the largest of the net."""
    marks = []
    for exponent in data.exponent.values:
        values = data.contribution.sel(exponent=exponent)
        values = values.transpose("seed", "neuron")
        values = -np.sort(-values.values, axis=1)
        relative = xr.DataArray(values / values[:, :1], dims=("seed", "neuron"))
        ranks = np.arange(1, values.shape[1] + 1)
        marks += over_seeds("contributions", f"{exponent:g}", ranks, relative, None)
    return marks


def cosine_map(data: xr.Dataset) -> list[Mark]:
    """One row of cosines a cluster, neurons sorted: positive first, then by centre."""
    marks = []
    for exponent in data.exponent.values:
        part = data.sel(exponent=exponent)
        keep = np.flatnonzero(~np.isnan(part.amplitude.values))
        cosine = part.cosine.transpose("cluster", "neuron").values[:, keep]
        amplitude = part.amplitude.values[keep]
        # Ties between nearly equal cosines must not depend on rounding.
        nearest = np.argmax(np.round(cosine, 3), axis=0)
        order = np.lexsort((-np.abs(amplitude), nearest, -np.sign(amplitude)))
        place = np.arange(1, len(keep) + 1)
        panel = f"{exponent:g}"
        marks.append(Mark(panel, "amplitude", "row", place, amplitude[order]))
        for k, row in enumerate(cosine[:, order]):
            marks.append(Mark(panel, f"cluster {k + 1}", "row", place, row))
    return marks


CURVES = ("paper", "upper", "certified")


def robust_accuracy(data: xr.Dataset) -> list[Mark]:
    """Robust accuracy against radius: three curves a panel and the ceiling."""
    marks = []
    radius = data.radius.values
    for exponent in data.exponent.values:
        panel = f"{exponent:g}"
        for curve in CURVES:
            runs = data.accuracy.sel(exponent=exponent, curve=curve)
            # The slow attack is run at some of the radii only.
            runs = runs.dropna("radius", how="all")
            marks += over_seeds(panel, curve, runs.radius, runs, "min")
        inside = {
            mark.series: mark.y
            for mark in marks
            if mark.panel == panel and mark.role == "median"
        }
        lower, upper = inside["certified"], inside["upper"]
        marks.append(Mark(panel, "interval", "band", radius, lower, upper))
        ceiling = np.asarray(data.ceiling, float)
        marks.append(
            Mark(panel, "ceiling", "band", radius, ceiling, np.ones_like(radius))
        )
        ideal = float(data.attrs[f"ideal_radius_{exponent:g}"])
        marks.append(Mark(panel, "ideal", "guide", np.array([ideal]), np.zeros(1)))
    return marks


def widths(data: xr.Dataset) -> list[Mark]:
    """Radius interval at the worst centre and amplitude over its closed form."""
    marks = []
    for exponent in data.exponent.values:
        for noise in data.noise.values:
            part = data.sel(exponent=exponent, noise=noise)
            name = f"{noise:g}"
            panel = f"radius {exponent:g}"
            upper = over_seeds(panel, name, data.width, part.radius_upper, None)
            lower = over_seeds(panel, name, data.width, part.radius_lower, "min")
            middle = {m.role: m for m in lower}["median"].y
            ends = {m.role: m for m in upper}["median"]
            marks += upper
            marks.append(Mark(panel, name, "band", ends.x, middle, ends.y))
            marks.append({m.role: m for m in lower}["worst"])
            panel = f"amplitude {exponent:g}"
            marks += over_seeds(panel, name, data.width, part.amplitude, None)
    return marks


def scales(data: xr.Dataset) -> list[Mark]:
    """Differences at equal loss: to the smallest scale, and of float32 to float64."""
    marks = []
    for exponent in data.exponent.values:
        part = data.sel(exponent=exponent)
        name = f"{exponent:g}"
        moved = over_seeds("scales", name, data.scale, part.difference, "max")
        marks += moved
        marks += over_seeds("rounding", name, data.scale, part.rounding, "max")
        floor = np.full(2, float(part.floor.median()))
        ends = np.array([data.scale.max(), data.scale.min()])
        marks.append(Mark("scales", name, "guide", ends, floor))
        median = next(mark for mark in moved if mark.role == "median")
        used = np.isfinite(median.y)
        fit = np.polyfit(np.log10(median.x[used]), median.y[used], 1)
        marks.append(Mark("scales", name, "fit", fit[:1], fit[1:]))
    return marks


def digits(data: xr.Dataset) -> list[Mark]:
    """Accuracy and stable rank against p; robust accuracy against radius."""
    marks = []
    for task in data.task.values:
        part = data.sel(task=task)
        for name, worst in (("accuracy", "min"), ("stable_rank", None)):
            marks += over_seeds(name, str(task), data.exponent, part[name], worst)
        for exponent in data.exponent.values:
            runs = part.robust_accuracy.sel(exponent=exponent)
            panel = f"robust {task}"
            marks += over_seeds(panel, f"{exponent:g}", data.radius, runs, None)
    return marks


def error_against_time(data: xr.Dataset) -> list[Mark]:
    """Settings tried (``seed``) and compared (``median``), and the target error."""
    marks = []
    for panel in dict.fromkeys(map(str, data.benchmark.values)):
        here = data.isel(point=np.flatnonzero(data.benchmark.values == panel))
        for method in dict.fromkeys(map(str, here.method.values)):
            own = here.isel(point=np.flatnonzero(here.method.values == method))
            for role, which in (("seed", 0), ("median", 1)):
                kept = own.isel(point=np.flatnonzero(own.compared.values == which))
                if kept.sizes["point"]:
                    x, y = kept.seconds.values, kept.error.values
                    marks.append(Mark(panel, method, role, x, y))
        span = np.array([np.min(here.seconds), np.max(here.seconds)])
        target = np.full(2, data.attrs["target"])
        marks.append(Mark(panel, "target", "guide", span, target))
    return marks
