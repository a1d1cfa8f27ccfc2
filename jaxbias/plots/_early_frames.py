"""What will be drawn of early alignment, as marks; see :mod:`jaxbias.plots._frames`."""

import numpy as np
import xarray as xr

from jaxbias.plots._marks import Mark, over_seeds

_MOMENTS = ("predicted", "observed")


def alignment(data: xr.Dataset) -> list[Mark]:
    """Cosines (quartiles over neurons), loss and distance of each start.

    A band joins the outer quartiles, each the median over seeds. A guide stands at the
    predicted iteration of the median neuron's crossing, with the observed one beside.
    """
    marks = []
    for start in map(str, data.start.values):
        part = data.sel(start=start)
        low, middle, high = (part.cosine.sel(quantile=q) for q in data["quantile"])
        x = data.iteration.values
        marks += over_seeds("cosine", start, x, middle, None)
        ends = [edge.median("seed").values for edge in (low, high)]
        marks.append(Mark("cosine", start, "band", x, *ends))
        moments = [part[name].median("seed").values for name in _MOMENTS]
        marks.append(Mark("cosine", start, "guide", *map(np.atleast_1d, moments)))
        marks += over_seeds("loss", start, x, part.loss, None)
        marks += over_seeds("distance", start, data.search, part.distance, None)
    return marks


def two_phases(data: xr.Dataset) -> list[Mark]:
    """Directions of the first seed's neurons at a few iterations; turning and growth.

    Angles stand in x; guides are the arcs of the cones, the samples of each label, and
    the iteration at which the loss has fallen to half.
    """
    marks = []
    for cell in map(str, data.cell.values):
        first, last = data.arc.sel(cell=cell).transpose("end").values
        marks.append(Mark("arcs", cell, "guide", np.array([first, last]), np.zeros(2)))
    for name, sign in (("positive", 1), ("negative", -1)):
        own = data.sample_angle.values[data.label.values == sign]
        marks.append(Mark("samples", name, "guide", own, np.zeros(len(own))))
        of_sign = data.sign.isel(seed=0).values == sign
        for shown in data.shown.values:
            turned = data.direction.isel(seed=0).sel(shown=shown).values[of_sign]
            panel = f"directions {shown}"
            marks.append(Mark(panel, name, "row", turned, np.ones(len(turned))))
    x = data.iteration.values
    for layers in map(str, data.layers.values):
        part = data.sel(layers=layers)
        for name in ("turning", "growth"):
            marks += over_seeds(layers, name, x, part[name], None)
        loss = part.loss.median("seed").transpose("iteration").values
        half = np.interp(-loss[0] / 2, -loss, x)
        marks.append(Mark(layers, "loss", "guide", np.array([half]), np.zeros(1)))
    return marks


def separable(data: xr.Dataset) -> list[Mark]:
    """Positive neurons of the first seed: directions and contributions.

    Series are the numbers of samples active at first; contributions are those at the
    smallest separation.
    """
    marks = []
    x = data.iteration.values
    first = data.isel(seed=0)
    least = float(data.separation.min())
    for separation in data.separation.values:
        part = first.sel(separation=separation)
        for active in (0, 1, 2):
            own = (part.sign.values > 0) & (part.active.values == active)
            rows = part.isel(neuron=np.flatnonzero(own)).transpose("neuron", ...)
            for row in rows.direction.values:
                marks.append(Mark(f"{separation:g}", str(active), "row", x, row))
            if separation == least:
                for row in rows.contribution.values:
                    marks.append(Mark("contribution", str(active), "row", x, row))
    return marks
