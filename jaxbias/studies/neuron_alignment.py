"""Neuron alignment and robustness: the experiments of ICML 2024 and ICML 2025.

Section 5.1 of min-vidal-2024 on orthonormal clusters (distance to the ideal classifier,
contributions, cosines, robust accuracy), width and noise together, the scale of the
initialisation, and pReLU networks on real digits.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from jaxbias import losses
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.activations import PReLU
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.studies import STUDIES, Progress, StudyReport
from jaxbias.studies import _section_tables as section_tables
from jaxbias.studies._cells import kept
from jaxbias.studies._digits import train_on_digits
from jaxbias.studies._gallery import DIFFERS as GALLERY_DIFFERS
from jaxbias.studies._gallery import PAPER as PAPER_GALLERY
from jaxbias.studies._gallery import Gallery
from jaxbias.studies._gallery import check as check_gallery
from jaxbias.studies._gallery import draw as draw_gallery
from jaxbias.studies._report import Folder
from jaxbias.studies._scales import end_states
from jaxbias.studies._section_runs import Run, Section
from jaxbias.studies._widths import widths_and_noises
from jaxbias.verification import verify

NAME = "neuron_alignment"
_DOMINANT = 1e-3


@dataclass(frozen=True)
class Settings:
    """Every number of the study; its hash stands in every file it writes.

    Attributes:
        clusters: the data model of section 5.1; its noise is that of the
            contributions, cosines and robust accuracies.
        training: how all of its networks are trained: ``flow``, ``coreset`` or ``sgd``.
        compared: other ways to train some of them.
        compared_noises: the noises of these.
        compared_seeds: their seeds.
        samples: training samples.
        coreset: rows of a coreset.
        width: hidden neurons.
        scale: initialisation scale.
        time: end of training, clock ``mean``.
        rtol: tolerance of the integrator.
        rate: of descent.
        batch: rows of its mini-batches.
        dtype: precision of training in section 5.1.
        exponents: pReLU exponents compared.
        noises: intra-cluster noises.
        seeds: seeds of section 5.1's panels.
        points: fresh samples attacked.
        pgd_points: of these, samples of the paper's attack on the first seed's.
        pgd_steps: steps of the paper's attack.
        small: the data model of the width and scale panels.
        small_samples: their training samples.
        widths: widths of the sweep.
        width_noises: its noises.
        width_seeds: its seeds at every point.
        scales: initialisation scales, the smallest is the reference.
        scale_seeds: seeds of the scale panel.
        equal_loss: training loss at which scales are compared.
        digit_exponents: exponents on digits.
        digit_seeds: seeds on digits.
        digit_width: hidden neurons on digits.
        epochs: passes over the digits.
        digit_points: test digits attacked.
        gallery: the sizes of the figures beyond section 5.1.
    """

    clusters: OrthonormalClusters
    training: str = "flow"
    compared: tuple[str, ...] = ("sgd",)
    compared_noises: tuple[float, ...] = (0.02, 0.1, 0.3)
    compared_seeds: int = 1
    samples: int = 300
    coreset: int = 100
    width: int = 200
    scale: float = 1e-7
    time: float = 16000.0
    rtol: float = 3e-3
    rate: float = 2.0
    batch: int = 100
    dtype: str = "float64"
    exponents: tuple[float, ...] = (1.0, 3.0)
    noises: tuple[float, ...] = (0.02, 0.04, 0.07, 0.1, 0.2, 0.3)
    seeds: int = 3
    points: int = 300
    pgd_points: int = 200
    pgd_steps: int = 100
    small: OrthonormalClusters = OrthonormalClusters(60, 5, 3, 0.1)
    small_samples: int = 100
    widths: tuple[int, ...] = (16, 32, 64, 128)
    width_noises: tuple[float, ...] = (0.02, 0.05, 0.1)
    width_seeds: int = 4
    scales: tuple[float, ...] = (1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13, 1e-15)
    scale_seeds: int = 3
    equal_loss: float = 1e-2
    digit_exponents: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    digit_seeds: int = 2
    digit_width: int = 100
    epochs: int = 60
    digit_points: int = 60
    gallery: Gallery = field(default_factory=Gallery)


QUICK = Settings(OrthonormalClusters(dim=500, clusters=10, positive=6, noise=0.1))
_NOISES = tuple(np.linspace(0.01, 0.3, 15).round(4).tolist())
PAPER = replace(
    QUICK,
    clusters=OrthonormalClusters(1000, 10, 6, 0.01, sizes="random"),
    training="coreset",
    compared=("flow", "sgd"),
    compared_noises=(_NOISES[0], _NOISES[7], _NOISES[14]),
    samples=20_000,
    coreset=500,
    width=2000,
    # 401 epochs of 200 steps of 0.2.
    time=16_040.0,
    rate=0.2,
    dtype="float32",
    noises=_NOISES,
    seeds=5,
    points=2000,
    pgd_points=50,
    pgd_steps=2000,
    width_seeds=32,
    digit_seeds=5,
    digit_width=500,
    epochs=200,
    digit_points=359,
    gallery=PAPER_GALLERY,
)
SIZES = {
    "quick": QUICK,
    "paper": PAPER,
    "full": replace(
        PAPER,
        compared_noises=_NOISES,
        compared_seeds=5,
        width_seeds=128,
        scale_seeds=16,
        digit_seeds=16,
    ),
}


def section(settings: Settings) -> Section:
    """What all networks of section 5.1 share."""
    return Section(
        clusters=settings.clusters,
        samples=settings.samples,
        width=settings.width,
        scale=settings.scale,
        time=settings.time,
        rtol=settings.rtol,
        coreset=settings.coreset,
        rate=settings.rate,
        batch=settings.batch,
        dtype=settings.dtype,
        dominant=_DOMINANT,
        points=settings.points,
        radii=tuple(np.linspace(0.0, 1.2, 241).tolist()),
        pgd_points=settings.pgd_points,
        pgd_every=10,
        pgd_steps=settings.pgd_steps,
        root=NAME,
    )


def section_runs(settings: Settings) -> list[Run]:
    """Every network of section 5.1, those of the main kind first."""
    parts = [(settings.training, settings.noises, settings.seeds)]
    for training in settings.compared:
        parts.append((training, settings.compared_noises, settings.compared_seeds))
    return [
        Run(training, exponent, noise, seed, shown=noise == settings.clusters.noise)
        for training, noises, seeds in parts
        for exponent in settings.exponents
        for noise in noises
        for seed in range(seeds)
    ]


def small_flow(
    settings: Settings, exponent: float, loss: losses.Loss = losses.squared
) -> GradientFlow:
    """A small problem on the theorems' clock: width, noise and scale panels."""
    network = TwoLayer(64, activation=PReLU(exponent), init=balanced(settings.scale))
    samples = settings.small_samples
    clock = "per_cluster_mean"
    return GradientFlow(network, settings.small, samples, loss=loss, clock=clock)


def sweep_flow() -> GradientFlow:
    """The flow from which ``jaxbias sweep neuron_alignment`` departs."""
    return small_flow(QUICK, 1.0)


def run(size: str, path: Path, progress: Progress) -> StudyReport:
    """Compute and draw everything; see :func:`jaxbias.studies.run`."""
    return run_settings(SIZES[size], size, path, progress)


def run_settings(
    settings: Settings, size: str, path: Path, progress: Progress
) -> StudyReport:
    """The study at any settings; ``size`` is passed on to the claims."""
    check_gallery(settings.gallery)
    folder = Folder(path, settings, range(settings.seeds), keep=size != "quick")
    found = section_5_1(settings, folder, progress)
    draw_gallery(
        settings.gallery, folder, NAME, lambda parts: _counter(progress, parts)
    )
    beyond(settings, folder, progress)
    rows = [v.row() for v in verify([NAME], size=size, progress=progress)]
    folder.verdicts(rows)
    folder.readme(
        "Neuron alignment",
        rows,
        STUDIES[NAME].figures,
        _about(settings) + found,
        _DIFFERS,
    )
    return StudyReport(rows, folder.figures, folder.failed)


def section_5_1(settings: Settings, folder: Folder, progress: Progress) -> list[str]:
    """The four panels of section 5.1, from one set of trained networks.

    Returns:
        What is known of the errors, and what was there already, for the page.
    """
    shared, runs = section(settings), section_runs(settings)
    before = kept(folder.cells, ((shared, r) for r in runs)) if folder.cells else 0
    tick = _counter(progress, len(runs))
    tables = section_tables.compute(shared, runs, folder.cells, tick)
    failed = section_tables.failed(tables)
    distances = section_tables.distances(shared, tables)
    folder.figure("distance", distances, failed)
    folder.figure("contributions", section_tables.contributions(shared, tables))
    folder.figure("cosine_map", section_tables.cosines(shared, tables))
    accuracies = section_tables.robust_accuracy(shared, tables)
    folder.figure("robust_accuracy", accuracies)
    lines = section_tables.coreset_errors(distances)
    lines += section_tables.ceiling_errors(accuracies)
    if before:
        lines.append(
            f"{before} of the {len(runs)} networks of section 5.1 were kept by an "
            "earlier start, whose time is not counted here."
        )
    return lines


def beyond(settings: Settings, folder: Folder, progress: Progress) -> None:
    """Width and noise, the scale of the initialisation, real digits."""
    data, failed = widths_and_noises(
        small_flow(settings, 1.0),
        settings.exponents,
        settings.widths,
        settings.width_noises,
        settings.width_seeds,
        200.0,
        settings.rtol / 3,
        NAME,
        progress,
    )
    folder.figure("widths", data, failed)
    data, failed = end_states(
        {p: small_flow(settings, p, losses.exponential) for p in settings.exponents},
        settings.scales,
        range(settings.scale_seeds),
        settings.equal_loss,
        np.linspace(0.25, 250.0, 1000),
        settings.rtol / 3,
        NAME,
        _counter(progress, len(settings.exponents) * settings.scale_seeds),
    )
    folder.figure("scales", data, failed)
    trainings = 2 * len(settings.digit_exponents) * settings.digit_seeds
    digits = train_on_digits(
        settings.digit_exponents,
        range(settings.digit_seeds),
        settings.digit_width,
        settings.epochs,
        100,
        settings.digit_points,
        np.linspace(0.0, 2.0, 81),
        NAME,
        _counter(progress, trainings),
    )
    folder.figure("digits", digits)


def _counter(progress: Progress, total: int):
    done = 0

    def tick(what: str) -> None:
        nonlocal done
        progress(done, total, what)
        done += 1

    return tick


def _about(s: Settings) -> list[str]:
    c, small = s.clusters, s.small
    return [
        f"Section 5.1: {c.clusters} orthonormal clusters ({c.positive} positive) in "
        f"{c.dim} dimensions, {s.samples} samples, width {s.width}, exponential loss, "
        f"every entry of both layers N(0, {s.scale:g}^2), to time {s.time:g} on the "
        f"mean clock, {s.seeds} seeds; noise {c.noise:g} where one noise is shown.",
        f"All of them are trained by {_TRAININGS[s.training].format(s=s)}; those at "
        f"noises {', '.join(f'{n:g}' for n in s.compared_noises)} also by "
        + " and by ".join(_TRAININGS[name].format(s=s) for name in s.compared)
        + f" ({s.compared_seeds} of the seeds), from the same data and weights. The "
        "legends say which curve is which.",
        f"Robust accuracy on {s.points} fresh samples: minimum-norm attack with "
        "re-checked witnesses (upper), root certificate (certified), and the paper's "
        f"projected gradient ascent from the clean point with {s.pgd_steps} steps "
        f"({s.pgd_points} samples, first seed).",
        f"Width, noise and scale panels: {small.clusters} clusters ({small.positive} "
        f"positive) in {small.dim} dimensions, {s.small_samples} samples; square loss "
        f"for width and noise ({s.width_seeds} seeds a point), exponential for scale.",
        f"Digits: 8 x 8 images, width {s.digit_width}, input-normalised pReLU, Adam at "
        f"1e-3, batches of 100, {s.epochs} epochs, {s.digit_seeds} seeds, attacks on "
        f"{s.digit_points} test images.",
        *s.gallery.about(),
    ]


_TRAININGS = {
    "flow": "gradient flow on all samples (tolerance {s.rtol:g}, {s.dtype})",
    "coreset": "gradient flow on a stratified coreset of {s.coreset} samples "
    "(tolerance {s.rtol:g}, {s.dtype})",
    "sgd": "SGD of rate {s.rate:g} on batches of {s.batch} ({s.dtype})",
}
_DIFFERS = (
    "Section 5.1 of the paper: D = 1000, 20,000 samples, width 2000, 15 noises, 5 "
    "repeats, SGD of rate 0.2 on batches of 100 for 401 epochs, which is time 16040. "
    "Size paper has these numbers and replaces SGD by a flow on a coreset, with the "
    "flow on all samples and SGD itself at three noises; size full runs all three.",
    "The distance is searched by steps normalised for each point. The paper's search "
    "adds 1e-7 to the norm of a batch-mean gradient and stalls at p = 3; it is drawn "
    "beside ours (on the first seed), so both numbers can be read.",
    "The paper's attack starts at the clean point, where a pReLU network with p > 2 "
    "has no gradient toward the other class. What it reports beyond sqrt(2)/2 lies "
    "above what any classifier can reach; the upper bound and the certificate are the "
    "result, the attack is shown for comparison.",
    "Robust accuracy is at one noise for all curves (size paper: the paper's 0.01).",
    *GALLERY_DIFFERS,
    "Digits are scikit-learn's 8 x 8 images instead of MNIST, the attack is in l2 "
    "instead of l_inf, and the curves are upper bounds by minimum-norm attacks.",
)
