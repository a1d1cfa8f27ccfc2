"""Feature averaging and what finer labels change: the experiments of ICLR 2025.

Explicit networks in the plane, networks of the paper's size (cosines, robust accuracy
by exact radii), scans of small ones, radii against the number of clusters, and real
images with two labels or with all classes.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias.data.mnist import FOLDER as MNIST_FOLDER
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.status import Status
from jaxbias.experiments.averaging import Averaging
from jaxbias.results import open as open_results
from jaxbias.studies import STUDIES, Progress, StudyReport, _supervision
from jaxbias.studies import _averaging_paper as at_paper_size
from jaxbias.studies._averaging_planes import planes
from jaxbias.studies._averaging_runs import FreshRadii, run_sweep, trainings
from jaxbias.studies._averaging_scans import Scans, by_count, phase, sweeps
from jaxbias.studies._averaging_words import DIFFERS, about, accuracies, images, ratios
from jaxbias.studies._report import Folder
from jaxbias.studies._supervised import (
    DIGITS,
    DIGITS_PAPER,
    MNIST,
    MNIST_QUICK,
    Supervision,
)
from jaxbias.studies._supervised import images as load_images
from jaxbias.verification import verify

NAME = "feature_averaging"
_PAPER = Averaging(3072, 10, 5, 100, 5, steps=(100,)).at_learning_rate(1e-3)


@dataclass(frozen=True)
class Settings:
    """Every number of the study; its hash stands in every file it writes.

    Attributes:
        clusters: of the explicit networks in the plane.
        positive: of these, those of label +1.
        grid: rows and columns of a plane.
        recipe: how networks of the paper's size are trained.
        seeds: of these networks.
        attacked: how many of the seeds are attacked.
        points: fresh samples of each whose radii are found.
        largest: radius at which their curves end.
        budgets: radii of the paper's attack.
        attack_steps: its iterations.
        scans: of small networks.
        pictures: protocols of class labels against cluster labels on real images.
    """

    clusters: int = 5
    positive: int = 3
    grid: int = 161
    recipe: Averaging = _PAPER
    seeds: int = 3
    attacked: int = 1
    points: int = 1000
    largest: float = 56.0
    budgets: tuple[float, ...] = tuple(np.arange(10.0, 57.0, 2.0).tolist())
    attack_steps: int = 7
    scans: Scans = field(default_factory=Scans)
    pictures: tuple[Supervision, ...] = (DIGITS,)


QUICK = Settings()
_MORE = replace(
    QUICK.scans,
    dims=(*QUICK.scans.dims, 2048, 3072),
    samples=(*QUICK.scans.samples, 80, 160),
    seeds=10,
)
PAPER = replace(
    QUICK,
    seeds=5,
    attacked=5,
    scans=_MORE,
    pictures=(DIGITS_PAPER, MNIST),
)
SIZES = {
    "quick": QUICK,
    "paper": PAPER,
    "full": replace(
        PAPER,
        seeds=16,
        attacked=16,
        scans=replace(_MORE, seeds=32),
        pictures=(DIGITS_PAPER, replace(MNIST, seeds=8)),
    ),
}


def sweep_flow() -> GradientFlow:
    """The flow from which ``jaxbias sweep feature_averaging`` departs."""
    return QUICK.scans.base.flow


def run(size: str, path: Path, progress: Progress) -> StudyReport:
    """Compute and draw everything; see :func:`jaxbias.studies.run`.

    MNIST is of size quick where its files are.
    """
    settings = SIZES[size]
    if size == "quick" and os.environ.get(MNIST_FOLDER):
        settings = replace(settings, pictures=(*settings.pictures, MNIST_QUICK))
    return run_settings(settings, size, path, progress)


def run_settings(
    settings: Settings, size: str, path: Path, progress: Progress
) -> StudyReport:
    """The study at any settings; ``size`` is passed on to the claims.

    Raises:
        InputError: a data set is missing or damaged, before anything is computed.
    """
    for protocol in settings.pictures:
        load_images(protocol)
    folder = Folder(path, settings, range(settings.seeds), keep=size != "quick")
    folder.figure(
        "geometry", planes(settings.positive, settings.clusters, settings.grid)
    )
    found = paper_size(settings, folder, progress)
    found += small_networks(settings, folder, progress)
    for protocol in settings.pictures:
        tick = _counter(progress, _supervision.parts(protocol))
        _supervision.draw(protocol, folder, root=NAME, tick=tick)
        table = path / "data" / f"supervision_{protocol.data}.nc"
        found += images(open_results(table))
    rows = [v.row() for v in verify([NAME], size=size, progress=progress)]
    folder.verdicts(rows)
    folder.readme(
        "Feature averaging",
        rows,
        STUDIES[NAME].figures,
        about(settings) + found,
        DIFFERS,
    )
    return StudyReport(rows, folder.figures, folder.failed)


def paper_size(settings: Settings, folder: Folder, progress: Progress) -> list[str]:
    """Cosines and robust accuracies, from one set of trained networks.

    Returns:
        What was measured, for the page.
    """
    recipe = settings.recipe
    measured = FreshRadii(
        settings.points,
        settings.budgets,
        settings.attack_steps,
        NAME,
        settings.attacked,
    )
    tables = {
        name: run_sweep(
            f"paper's size, {name}",
            experiment,
            {},
            settings.seeds,
            measure=[measured] if experiment.output_weight is None else [],
            root=NAME,
            cells=folder.cells,
            progress=progress,
        )
        for name, experiment in trainings(recipe).items()
    }
    unfinished = [(table.status != Status.FINISHED).sum() for table in tables.values()]
    folder.figure(
        "averaging_cosines", at_paper_size.cosines(recipe, tables), int(sum(unfinished))
    )
    table = at_paper_size.robust_accuracy(recipe, tables, measured, settings.largest)
    folder.figure("readout_accuracy", table)
    return accuracies(table)


def small_networks(settings: Settings, folder: Folder, progress: Progress) -> list[str]:
    """Radii against the number of clusters, and own cosines over everything.

    Returns:
        What was measured, for the page.
    """
    kept: dict[str, Any] = {"root": NAME, "cells": folder.cells, "progress": progress}
    counted = by_count(settings.scans, **kept)
    radii = phase(settings.scans, counted)
    folder.figure("phase", radii)
    folder.figure("averaging_sweeps", sweeps(settings.scans, counted["labels"], **kept))
    return ratios(radii)


def _counter(progress: Progress, total: int):
    done = 0

    def tick(what: str) -> None:
        nonlocal done
        progress(done, total, what)
        done += 1

    return tick
