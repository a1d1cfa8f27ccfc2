"""What will be drawn, as a table: every plot draws marks and nothing else.

A frame is a list of :class:`Mark`; :func:`table` flattens it to plain columns, which
is what the tests compare. Nothing here knows matplotlib.
"""

import itertools

import numpy as np
import xarray as xr

from jaxbias.plots._averaging_frames import averaging_cosines as averaging_cosines
from jaxbias.plots._averaging_frames import averaging_sweeps as averaging_sweeps
from jaxbias.plots._averaging_frames import geometry as geometry
from jaxbias.plots._averaging_frames import phase as phase
from jaxbias.plots._averaging_frames import readout_accuracy as readout_accuracy
from jaxbias.plots._class_frames import mnist as mnist
from jaxbias.plots._class_frames import mnist_cosines as mnist_cosines
from jaxbias.plots._early_frames import alignment as alignment
from jaxbias.plots._early_frames import separable as separable
from jaxbias.plots._early_frames import two_phases as two_phases
from jaxbias.plots._marks import Mark as Mark
from jaxbias.plots._marks import over_seeds as over_seeds
from jaxbias.plots._marks import power_law as power_law
from jaxbias.plots._marks import table as table
from jaxbias.plots._model_frames import models as models
from jaxbias.plots._model_frames import parametrisations as parametrisations
from jaxbias.plots._supervision_frames import supervision as supervision
from jaxbias.plots._supervision_frames import (
    supervision_cosines as supervision_cosines,
)


def distance(data: xr.Dataset) -> list[Mark]:
    """Distance to the ideal classifier against noise.

    Power laws are fitted to the larger half of the noises; guides are the late-time
    floor at p = 1 and the sampling error of the cluster means at p = 3, of all samples
    and of the rows that the main networks are trained on.
    """
    marks = []
    main, *others = data.training.values
    for exponent in data.exponent.values:
        name = f"{exponent:g}"
        part = data.sel(exponent=exponent)
        runs = part.distance.sel(training=main)
        curves = over_seeds("distance", name, data.noise, runs, "max")
        median = next(mark for mark in curves if mark.role == "median")
        upper = median.x >= np.median(median.x)
        slope, factor = power_law(median.x[upper], median.y[upper])
        marks += curves
        marks.append(
            Mark("distance", name, "fit", np.array([slope]), np.array([factor]))
        )
        for other in others:
            runs = part.distance.sel(training=other).dropna("noise", how="all")
            runs = runs.dropna("seed", how="all")
            marks += over_seeds("distance", f"{name} {other}", runs.noise, runs, None)
        if exponent == 3 and "samples_per_cluster" in data.attrs:
            # p sqrt(2 (1 - cos)) max cos^2 sin at the angle noise/sqrt(N) by which a
            # cluster's sample mean misses its centre.
            missed = 2 / np.sqrt(3) * data.noise.values
            sizes = data.attrs["samples_per_cluster"], data.attrs["rows_per_cluster"]
            for size in dict.fromkeys(sizes):
                guide = missed / np.sqrt(size)
                marks.append(Mark("distance", name, "guide", data.noise.values, guide))
        if exponent == 1 and "late_floor" in data.attrs:
            floor = np.full(2, data.attrs["late_floor"])
            ends = median.x[[0, -1]]
            marks.append(Mark("distance", name, "guide", ends, floor))
        if "paper_distance" in data:
            paper = part.paper_distance.sel(training=main)
            marks += over_seeds("distance", name + " paper", data.noise, paper, None)
    return marks


def contributions(data: xr.Dataset) -> list[Mark]:
    """Neuron contributions in falling order, relative to the largest of the net.

    The series of the first training are named by p alone, those of others by both.
    """
    marks = []
    main = data.training.values[0]
    for exponent in data.exponent.values:
        for training in data.training.values:
            values = data.contribution.sel(exponent=exponent, training=training)
            values = values.transpose("seed", "neuron").dropna("seed", how="all")
            values = -np.sort(-values.values, axis=1)
            relative = xr.DataArray(values / values[:, :1], dims=("seed", "neuron"))
            ranks = np.arange(1, values.shape[1] + 1)
            name = f"{exponent:g}" if training == main else f"{exponent:g} {training}"
            marks += over_seeds("contributions", name, ranks, relative, None)
    return marks


def cosine_map(data: xr.Dataset) -> list[Mark]:
    """One row of cosines a cluster, neurons sorted: positive first, then by centre.

    Panels are named by p and training.
    """
    marks = []
    for training, exponent in itertools.product(
        data.training.values, data.exponent.values
    ):
        part = data.sel(exponent=exponent, training=training)
        keep = np.flatnonzero(~np.isnan(part.amplitude.values))
        cosine = part.cosine.transpose("cluster", "neuron").values[:, keep]
        amplitude = part.amplitude.values[keep]
        # Ties between nearly equal cosines must not depend on rounding.
        nearest = np.argmax(np.round(cosine, 3), axis=0)
        order = np.lexsort((-np.abs(amplitude), nearest, -np.sign(amplitude)))
        place = np.arange(1, len(keep) + 1)
        panel = f"{exponent:g} {training}"
        marks.append(Mark(panel, "amplitude", "row", place, amplitude[order]))
        for k, row in enumerate(cosine[:, order]):
            marks.append(Mark(panel, f"cluster {k + 1}", "row", place, row))
    return marks


CURVES = ("paper", "upper", "certified")


def robust_accuracy(data: xr.Dataset) -> list[Mark]:
    """Robust accuracy against radius: three curves a panel and the ceiling.

    Panels are named by p and training.
    """
    marks = []
    radius = data.radius.values
    for training, exponent in itertools.product(
        data.training.values, data.exponent.values
    ):
        panel = f"{exponent:g} {training}"
        for curve in CURVES:
            runs = data.accuracy.sel(exponent=exponent, training=training, curve=curve)
            # The slow attack is run at some of the radii only.
            runs = runs.dropna("radius", how="all").dropna("seed", how="all")
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
    """Settings tried (``seed``) and compared (``median``), and the target error.

    A panel is a benchmark under one rule; tables without rules have the first.
    """
    marks = []
    names = data.benchmark.values
    rules = data.rule.values if "rule" in data else np.full(len(names), "a")
    targets = {"a": "target", "b": "loss_target"}
    for name, rule in dict.fromkeys(zip(map(str, names), map(str, rules), strict=True)):
        here = data.isel(point=np.flatnonzero((names == name) & (rules == rule)))
        panel = name if rule == "a" else f"{name}, loss"
        for method in dict.fromkeys(map(str, here.method.values)):
            own = here.isel(point=np.flatnonzero(here.method.values == method))
            for role, which in (("seed", 0), ("median", 1)):
                kept = own.isel(point=np.flatnonzero(own.compared.values == which))
                if kept.sizes["point"]:
                    x, y = kept.seconds.values, kept.error.values
                    marks.append(Mark(panel, method, role, x, y))
        span = np.array([np.min(here.seconds), np.max(here.seconds)])
        target = np.full(2, data.attrs[targets[rule]])
        marks.append(Mark(panel, "target", "guide", span, target))
    return marks
