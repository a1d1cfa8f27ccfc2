"""What will be drawn of classifiers of images; see :mod:`jaxbias.plots._frames`."""

import numpy as np
import xarray as xr

from jaxbias.plots._marks import Mark, over_seeds

RANKS = ("weight_rank", "feature_rank")


def mnist(data: xr.Dataset) -> list[Mark]:
    """Accuracy and stable ranks against p; three curves of robust accuracy a task.

    Panels are named by what they show and the task; the series of a robust accuracy is
    p, and its curve ``paper`` stands at the radii that were attacked.
    """
    marks = []
    for task in map(str, data.task.values):
        part = data.sel(task=task)
        accuracy = over_seeds(
            f"accuracy {task}", "accuracy", data.exponent, part.accuracy, "min"
        )
        marks += accuracy
        for name in RANKS:
            panel = f"stable rank {task}"
            marks += over_seeds(panel, name, data.exponent, part[name], None)
        for curve in map(str, data.curve.values):
            for exponent in data.exponent.values:
                runs = part.robust_accuracy.sel(exponent=exponent, curve=curve)
                runs = runs.dropna("radius", how="all")
                panel, name = f"{curve} {task}", f"{exponent:g}"
                marks += over_seeds(panel, name, runs.radius, runs, None)
    return marks


def mnist_cosines(data: xr.Dataset) -> list[Mark]:
    """One row of cosines a digit, the digits of a class together, neurons sorted.

    Neurons that speak for class 0 of two come first, then those nearest to the first
    row. Panels are named by p and task; a guide holds the median over neurons of the
    largest cosine.
    """
    marks = []
    for task in map(str, data.task.values):
        owner = data.owner.sel(task=task).values
        rows = np.lexsort((data.digit.values, owner))
        for exponent in data.exponent.values:
            part = data.sel(task=task, exponent=exponent)
            amplitude = part.amplitude.values
            cosine = part.cosine.transpose("digit", "neuron").values[rows]
            # Ties between nearly equal cosines must not depend on rounding.
            nearest = np.argmax(np.round(cosine, 3), axis=0)
            order = np.lexsort((-np.abs(amplitude), nearest, -np.sign(amplitude)))
            place = np.arange(1, len(order) + 1)
            panel = f"{exponent:g} {task}"
            marks.append(Mark(panel, "amplitude", "row", place, amplitude[order]))
            for row, values in zip(rows, cosine[:, order], strict=True):
                name = f"digit {data.digit.values[row]}"
                marks.append(Mark(panel, name, "row", place, values))
            middle = np.array([np.median(cosine.max(axis=0))])
            marks.append(Mark(panel, "largest", "guide", middle, np.zeros(1)))
    return marks
