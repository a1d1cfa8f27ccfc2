"""What will be drawn of feature averaging, as marks; see :mod:`jaxbias.plots._frames`.

Readouts, trainings and scans name panels and series.
"""

import numpy as np
import xarray as xr
from contourpy import contour_generator

from jaxbias.plots._marks import Mark, over_seeds

# Where a network is 0 on a whole region, its edge is where the margin leaves 0.
_ZERO = 1e-3


def geometry(data: xr.Dataset) -> list[Mark]:
    """Lines on which margins leave 0, the steps that reach them, centres and radii.

    Panels are planes. A step or centre outside a plane has no mark in it. Guides hold
    the exact radius and its closed form.
    """
    marks = []
    x, y = data.x.values, data.y.values
    for place, plane in enumerate(map(str, data.plane.values)):
        part = data.isel(plane=place)
        for readout in map(str, data.readout.values):
            own = part.sel(readout=readout)
            margin = own.margin.transpose("y", "x").values
            lines = contour_generator(x, y, margin).lines(_ZERO)
            marks += [
                Mark(plane, readout, "row", line[:, 0], line[:, 1])
                for line in map(np.asarray, lines)
            ]
            step = own.attack.transpose("coordinate").values
            if np.isfinite(step).all():
                marks.append(Mark(plane, f"{readout} attack", "row", *_point(step)))
        for cluster in data.cluster.values.tolist():
            spot = part.centre.sel(cluster=cluster).transpose("coordinate").values
            if np.isfinite(spot).all():
                marks.append(Mark(plane, f"centre {cluster}", "row", *_point(spot)))
    for readout in map(str, data.readout.values):
        ends = [
            np.atleast_1d(data[n].sel(readout=readout)) for n in ("radius", "ideal")
        ]
        marks.append(Mark("radius", readout, "guide", *ends))
    return marks


def averaging_cosines(data: xr.Dataset) -> list[Mark]:
    """A row of cosines a neuron of the first seed; all seeds' cosines by neuron.

    Panels are trainings. Series ``own`` and ``other`` hold every cosine of every seed
    above its neuron's number, with the closed form as a fit and the range as a guide.
    """
    marks = []
    for training in map(str, data.training.values):
        part = data.sel(training=training).dropna("neuron", how="all")
        cosine = part.cosine.transpose("seed", "neuron", "cluster").values
        own = part.own.transpose("neuron", "cluster").values > 0
        numbers, clusters = part.neuron.values, part.cluster.values
        for number, row in zip(numbers.tolist(), cosine[0], strict=True):
            marks.append(Mark(training, f"neuron {number}", "row", clusters, row))
        for name, mine in (("own", own), ("other", ~own)):
            neuron, _ = np.nonzero(mine)
            for one in cosine:
                marks.append(Mark(training, name, "seed", numbers[neuron], one[mine]))
        fit = part.predicted.transpose("neuron").values
        marks.append(Mark(training, "own", "fit", numbers, fit))
        ends = np.array([cosine[:, own].min(), cosine[:, own].max()])
        marks.append(Mark(training, "own", "guide", ends, np.zeros(2)))
    return marks


def readout_accuracy(data: xr.Dataset) -> list[Mark]:
    """Robust accuracy against radius: exact, under attack, in closed form, published.

    Panels are what is shown, series the read-outs. Guides stand at the closed form of
    the radius at a centre.
    """
    marks = []
    radius = data.radius.values
    for readout in map(str, data.readout.values):
        part = data.sel(readout=readout)
        for end in map(str, data.end.values):
            runs = part.accuracy.sel(end=end)
            marks += over_seeds(end, readout, radius, runs, None)
        marks += over_seeds("attack", readout, data.budget, part.attack, None)
        for name, at in (("formula", "radius"), ("reported", "reported_radius")):
            row = part[name].dropna(at)
            if row.size:
                marks.append(Mark(name, readout, "fit", row[at].values, row.values))
        ideal = np.atleast_1d(part.ideal.values)
        marks.append(Mark("ideal", readout, "guide", ideal, np.zeros(1)))
    ceiling = np.asarray(data.ceiling, float)
    top = np.ones_like(ceiling)
    return [*marks, Mark("ceiling", "ceiling", "band", radius, ceiling, top)]


def averaging_sweeps(data: xr.Dataset) -> list[Mark]:
    """Own cosines against what is varied: every seed, medians, spread, closed form.

    A band joins the least and the largest cosine of all seeds. Fits are the closed
    forms of the least, the middle and the largest.
    """
    marks = []
    quantiles = [f"{q:g}" for q in data["quantile"].values]
    low, middle, high = range(len(quantiles))
    for axis in map(str, data.axis.values):
        part = data.sel(axis=axis)
        part = part.isel(point=np.flatnonzero(np.isfinite(part.value.values)))
        x = part.value.values
        runs = part.cosine.transpose("quantile", "seed", "point")
        marks += over_seeds(axis, "own", x, runs[middle], None)
        ends = runs[low].min("seed").values, runs[high].max("seed").values
        marks.append(Mark(axis, "own", "band", x, *ends))
        for name, row in zip(
            quantiles, part.predicted.transpose("quantile", "point").values, strict=True
        ):
            marks.append(Mark(axis, f"predicted {name}", "fit", x, row))
    return marks


def phase(data: xr.Dataset) -> list[Mark]:
    """Radii of the median centre of each seed against the number of clusters.

    Beside them the least centre of all seeds that have learned every centre, with a
    band that joins its certified and its upper end. A guide stands where some seed has
    not. Fits are closed forms.
    """
    marks = []
    counts = data.clusters.values.astype(float)
    for readout in map(str, data.readout.values):
        part = data.sel(readout=readout)
        marks += over_seeds("middle", readout, counts, part.middle, None)
        learned = part.radius.sel(end="upper") > 0
        least = part.radius.where(learned).min("seed")
        lower, upper = (least.sel(end=end).values for end in ("certified", "upper"))
        marks.append(Mark("least", readout, "worst", counts, upper))
        marks.append(Mark("least", readout, "band", counts, lower, upper))
        broken = counts[~learned.all("seed").values]
        marks.append(Mark("least", readout, "guide", broken, np.zeros(len(broken))))
        ideal = part.ideal.transpose("clusters").values
        marks.append(Mark("ideal", readout, "fit", counts, ideal))
    tails = data.tails.median("seed").values
    return [*marks, Mark("tails", "sum", "fit", counts, tails)]


def _point(spot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return spot[:1], spot[1:]
