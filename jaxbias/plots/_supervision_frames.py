"""What will be drawn of two kinds of labels; see :mod:`jaxbias.plots._frames`."""

import numpy as np
import xarray as xr

from jaxbias.plots._marks import Mark, over_seeds


def supervision(data: xr.Dataset) -> list[Mark]:
    """Three curves a read-out and task, medians of the radii, clean accuracies.

    Panels are named by what they show and the task. The series of a curve is the
    read-out, and curve ``paper`` stands at the radii that were attacked; medians and
    accuracies stand at the read-outs' numbers, one line a seed.
    """
    marks = []
    place = np.arange(data.sizes["readout"])
    for task in map(str, data.task.values):
        part = data.sel(task=task)
        for curve in map(str, data.curve.values):
            for readout in map(str, data.readout.values):
                runs = part.robust_accuracy.sel(readout=readout, curve=curve)
                runs = runs.dropna("radius", how="all")
                panel = f"{curve} {task}"
                marks += over_seeds(panel, readout, runs.radius, runs, None)
        for end in map(str, data.end.values):
            medians = part.median_radius.sel(end=end)
            marks += over_seeds(f"median {task}", end, place, medians, None)
        panel = f"accuracy {task}"
        marks += over_seeds(panel, "accuracy", place, part.accuracy, None)
    return marks


def supervision_cosines(data: xr.Dataset) -> list[Mark]:
    """One row of cosines a group, the classes of a label together.

    Cosines are medians over seeds. Panels are named by the training; a guide holds the
    least and the largest cosine of a class to its own group, over seeds too.
    """
    marks = []
    for training in map(str, data.training.values):
        part = data.sel(training=training)
        owner = part.owner.values
        order = np.lexsort((data.cluster.values, owner))
        cosine = part.cosine.transpose("seed", "group", "cluster").values[:, :, order]
        classes = data.cluster.values[order]
        for group in np.unique(owner):
            row = cosine[:, group]
            median = np.full(row.shape[1], np.nan)
            known = ~np.isnan(row).all(axis=0)
            median[known] = np.nanmedian(row[:, known], axis=0)
            marks.append(Mark(training, f"group {group}", "row", classes, median))
        own = cosine[:, owner[order], np.arange(len(order))]
        ends = np.array([np.nanmin(own), np.nanmax(own)])
        marks.append(Mark(training, "own", "guide", ends, np.zeros(2)))
    return marks
