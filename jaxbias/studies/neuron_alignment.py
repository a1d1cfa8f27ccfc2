"""Neuron alignment and robustness: the experiments of ICML 2024 and ICML 2025.

Section 5.1 of min-vidal-2024 on orthonormal clusters (distance to the ideal classifier,
contributions, cosines, robust accuracy), width and noise together, the scale of the
initialisation, and pReLU networks on real digits.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxbias import losses
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.activations import PReLU
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.studies import STUDIES, Progress, StudyReport
from jaxbias.studies._digits import train_on_digits
from jaxbias.studies._report import Folder
from jaxbias.studies._scales import end_states
from jaxbias.studies._trained import (
    contributions,
    cosines,
    distances,
    robust_accuracy,
    train,
)
from jaxbias.studies._widths import widths_and_noises
from jaxbias.verification import verify

NAME = "neuron_alignment"
_DOMINANT = 1e-3


@dataclass(frozen=True)
class Settings:
    """Every number of the study; its hash stands in every file it writes.

    Attributes:
        clusters: the data model of section 5.1.
        samples: training samples.
        width: hidden neurons.
        scale: initialisation scale.
        time: end of training, clock ``mean``.
        rtol: tolerance of the integrator.
        exponents: pReLU exponents compared.
        noises: intra-cluster noises; the last figure of a network uses ``noise``.
        seeds: seeds of section 5.1's panels.
        points: fresh samples attacked.
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
    """

    clusters: OrthonormalClusters
    samples: int = 300
    width: int = 200
    scale: float = 1e-7
    time: float = 16000.0
    rtol: float = 3e-3
    exponents: tuple[float, ...] = (1.0, 3.0)
    noises: tuple[float, ...] = (0.02, 0.04, 0.07, 0.1, 0.2, 0.3)
    seeds: int = 3
    points: int = 300
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

    @property
    def noise(self) -> float:
        """The noise of the contributions, cosines and robust accuracies."""
        return self.clusters.noise


QUICK = Settings(OrthonormalClusters(dim=500, clusters=10, positive=6, noise=0.1))
PAPER = replace(
    QUICK,
    clusters=OrthonormalClusters(dim=1000, clusters=10, positive=6, noise=0.1),
    samples=1900,
    width=1000,
    noises=tuple(np.linspace(0.01, 0.3, 14).round(4).tolist()) + (0.1,),
    seeds=5,
    points=2000,
    pgd_steps=2000,
    width_seeds=32,
    digit_seeds=5,
    digit_width=500,
    epochs=200,
    digit_points=359,
)
SIZES = {
    "quick": QUICK,
    "paper": PAPER,
    "full": replace(PAPER, seeds=16, width_seeds=128, scale_seeds=16, digit_seeds=16),
}


def flow(settings: Settings, exponent: float) -> GradientFlow:
    """Section 5.1: mean exponential loss, small balanced initialisation."""
    network = TwoLayer(
        settings.width, activation=PReLU(exponent), init=balanced(settings.scale)
    )
    return GradientFlow(network, settings.clusters, settings.samples, clock="mean")


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
    folder = Folder(path, settings, range(settings.seeds))
    section_5_1(settings, folder, progress)
    beyond(settings, folder, progress)
    rows = [v.row() for v in verify([NAME], size=size, progress=progress)]
    folder.verdicts(rows)
    folder.readme(
        "Neuron alignment", rows, STUDIES[NAME].figures, _about(settings), _DIFFERS
    )
    return StudyReport(rows, folder.figures, folder.failed)


def section_5_1(settings: Settings, folder: Folder, progress: Progress) -> None:
    """The five panels of section 5.1, from one set of trained networks."""
    clusters, seeds = settings.clusters, range(settings.seeds)
    runs = len(settings.exponents) * len(settings.noises) * settings.seeds
    attacks = 2 * len(settings.exponents) * settings.seeds
    tick = _counter(progress, 2 * runs + attacks)
    trained = train(
        {p: flow(settings, p) for p in settings.exponents},
        settings.noises,
        seeds,
        settings.time,
        settings.rtol,
        NAME,
        tick,
    )
    searched = distances(trained, clusters, settings.time, NAME, tick)
    folder.figure("distance", searched, trained.failed)
    noise = settings.noise
    folder.figure("contributions", contributions(trained, noise, _DOMINANT))
    folder.figure("cosine_map", cosines(trained, clusters, noise, _DOMINANT))
    accuracy = robust_accuracy(
        trained,
        clusters,
        noise,
        settings.points,
        np.linspace(0.0, 1.2, 241),
        settings.pgd_steps,
        NAME,
        tick,
    )
    folder.figure("robust_accuracy", accuracy)


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
        f"balanced initialisation at {s.scale:g}, gradient flow in float64 to time "
        f"{s.time:g} on the mean clock, tolerance {s.rtol:g}, {s.seeds} seeds; noise "
        f"{s.noise:g} where one noise is shown.",
        f"Robust accuracy on {s.points} fresh samples: minimum-norm attack with "
        "re-checked witnesses (upper), root certificate (certified), and the paper's "
        f"projected gradient ascent from the clean point with {s.pgd_steps} steps.",
        f"Width, noise and scale panels: {small.clusters} clusters ({small.positive} "
        f"positive) in {small.dim} dimensions, {s.small_samples} samples; square loss "
        f"for width and noise ({s.width_seeds} seeds a point), exponential for scale.",
        f"Digits: 8 x 8 images, width {s.digit_width}, input-normalised pReLU, Adam at "
        f"1e-3, batches of 100, {s.epochs} epochs, {s.digit_seeds} seeds, attacks on "
        f"{s.digit_points} test images.",
    ]


_DIFFERS = (
    "Smaller: the paper has D = 1000, 20,000 samples, width 2000, 15 noises, 5 seeds.",
    "Gradient flow instead of minibatch SGD at rate 0.2, and a balanced initialisation "
    "(the released code draws both layers from the same Gaussian, so that signs of "
    "output weights may flip).",
    "The distance is searched by steps normalised for each point. The paper's search "
    "adds 1e-7 to the norm of a batch-mean gradient and stalls at p = 3; it is drawn "
    "beside ours (on the first seed), so both numbers can be read.",
    "The paper's attack starts at the clean point, where a pReLU network with p > 2 "
    "has no gradient toward the other class. What it reports beyond sqrt(2)/2 lies "
    "above what any classifier can reach; the upper bound and the certificate are the "
    "result, the attack is shown for comparison.",
    "Robust accuracy is at one noise for all curves (the paper: its smallest).",
    "Digits are scikit-learn's 8 x 8 images instead of MNIST, the attack is in l2 "
    "instead of l_inf, and the curves are upper bounds by minimum-norm attacks.",
)
