"""What will be drawn of models compared, as marks; see :mod:`jaxbias.plots._frames`."""

import numpy as np
import xarray as xr

from jaxbias.plots._marks import Mark, over_seeds


def models(data: xr.Dataset) -> list[Mark]:
    """Robust accuracy of every model, each a panel, and what no classifier exceeds.

    A band joins the certificate to the attacks where there is one. The guide beside
    the Bayes rule is the closed form of the nearest centre.
    """
    marks = []
    radius = data.radius.values
    for name in map(str, data.model.values):
        ends = {}
        for curve in ("attacked", "certified"):
            runs = data.accuracy.sel(model=name, curve=curve).dropna("seed", how="all")
            if runs.sizes["seed"]:
                family = over_seeds(name, curve, radius, runs, "min")
                ends[curve] = next(m.y for m in family if m.role == "median")
                marks += family
        if len(ends) == 2:
            lower, upper = ends["certified"], ends["attacked"]
            marks.append(Mark(name, "interval", "band", radius, lower, upper))
        top = np.ones_like(radius)
        ceiling = np.asarray(data.ceiling, float)
        marks.append(Mark(name, "ceiling", "band", radius, ceiling, top))
        if name == "bayes":
            closed = np.asarray(data.nearest_centre, float)
            marks.append(Mark(name, "nearest centre", "guide", radius, closed))
    return marks


parametrisations = models
