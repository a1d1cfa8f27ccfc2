"""One network of section 5.1 of min-vidal-2024: trained, measured, laid out as a table.

Three ways to train it share data and initial weights: gradient flow on all rows, on a
stratified coreset of them, and the paper's mini-batch descent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias._checks import one_of
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.coreset import coreset, output_gap
from jaxbias.dynamics.descent import Descent, descend
from jaxbias.dynamics.flow import GradientFlow, cast
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.status import Status
from jaxbias.networks.activations import PReLU
from jaxbias.networks.constructions import averaged_classifier, per_centre_classifier
from jaxbias.networks.initialization import unbalanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights
from jaxbias.observables.distance import distance, paper_distance
from jaxbias.robustness import pgd, radius
from jaxbias.sweeps.keys import run_key

TRAININGS = ("flow", "coreset", "sgd")
CURVES = ("paper", "upper", "certified")
# Neurons below this share of the largest contribution cannot be seen in any output.
_UNSEEN = 1e-12
_FRESH = 100


@dataclass(frozen=True)
class Section:
    """The numbers of the experiment that all its networks share.

    Attributes:
        clusters: the data model; sizes are random in the paper.
        samples: training rows.
        width: hidden neurons.
        scale: of every entry of both layers at the start.
        time: end of training on the clock ``mean``: epochs x steps x rate.
        rtol: tolerance of the flow.
        coreset: rows of a coreset.
        rate: of descent.
        batch: rows of its mini-batches.
        dtype: precision of training; everything is measured in float64.
        dominant: share of the largest contribution from which a neuron is shown.
        points: fresh samples attacked.
        radii: radii of the robust accuracies.
        pgd_points: samples of the paper's attack, which costs a thousand times the
            others and is run on the first seed's networks only.
        pgd_every: it is run at one radius in so many.
        pgd_steps: its steps.
        root: names the random numbers.
    """

    clusters: OrthonormalClusters
    samples: int
    width: int
    scale: float
    time: float
    rtol: float
    coreset: int
    rate: float
    batch: int
    dtype: str
    dominant: float
    points: int
    radii: tuple[float, ...]
    pgd_points: int
    pgd_every: int
    pgd_steps: int
    root: str


@dataclass(frozen=True)
class Run:
    """One network.

    Attributes:
        training: one of ``TRAININGS``.
        exponent: p.
        noise: of the clusters.
        seed: of data and initial weights.
        shown: also measure contributions, cosines and robust accuracies.
    """

    training: str
    exponent: float
    noise: float
    seed: int
    shown: bool = False


class Trained(NamedTuple):
    """Final weights, status, gradients over all rows, and the gap of two coresets."""

    weights: Weights
    status: Any
    evaluations: Any
    gap: Any


def flow_of(section: Section, exponent: float) -> GradientFlow:
    """Mean exponential loss from the paper's initialisation: one size for all entries.

    Signs of output weights may flip from such a start.
    """
    network = TwoLayer(
        section.width, activation=PReLU(exponent), init=unbalanced(section.scale)
    )
    return GradientFlow(network, section.clusters, section.samples, clock="mean")


def trainer(
    section: Section, training: str, exponent: float
) -> Callable[[int, float], Trained]:
    """(seed, noise) to a trained network, compiled once.

    Raises:
        InputError: for an unknown way to train.
    """
    one_of("training", training, TRAININGS)
    flow, nan = flow_of(section, exponent), jnp.asarray(jnp.nan)

    def flow_run(problem):
        method = Adaptive(section.rtol, accuracy="final outputs")
        return solve(problem, [section.time], integrator=method, count_kinks=False)

    def whole_flow(problem, key):
        del key
        run = flow_run(problem)
        return Trained(run.final, run.status, run.statistics["evaluations"], nan)

    def coreset_flow(problem, key):
        def one(key):
            part = coreset(problem, section.coreset, key=key)
            run = flow_run(part)
            return run.final, run.status, run.statistics["evaluations"]

        nets, status, evaluations = jax.lax.map(one, jax.random.split(key))
        first, second = (jax.tree.map(lambda a, i=i: a[i], nets) for i in (0, 1))
        gap = output_gap(first, second, problem.activation, problem.dataset.inputs)
        share = section.coreset / section.samples
        gradients = share * evaluations[0].astype(section.dtype)
        return Trained(first, jnp.max(status), gradients, gap)

    def descent(problem, key):
        steps = [round(section.time / section.rate)]
        run = descend(
            problem, Descent(section.rate, batch=section.batch), steps, key=key
        )
        return Trained(run.final, run.status, run.statistics["evaluations"], nan)

    work = {"flow": whole_flow, "coreset": coreset_flow, "sgd": descent}[training]

    @eqx.filter_jit
    def program(key, own, noise):
        return work(flow.problem(key, noise=noise, dtype=section.dtype), own)

    def trained(seed: int, noise: float) -> Trained:
        own = run_key(section.root, seed, training)
        return program(run_key(section.root, seed), own, jnp.asarray(noise))

    return trained


def ideal(clusters: OrthonormalClusters, exponent: float):
    """F for p < 2 and F^(p) from p = 2 on: what each network should become."""
    centres = clusters.centres(dtype="float64")
    labels = jnp.asarray(clusters.labels)
    if exponent < 2:
        return averaged_classifier(centres, labels)
    return per_centre_classifier(centres, labels, exponent)


def contributions(weights: Weights) -> np.ndarray:
    """Signed contributions ``v_j |w_j|``."""
    return np.asarray(weights.output) * np.asarray(weights.norms())


def visible(weights: Weights) -> Weights:
    """Without the smallest neurons, which together are below rounding.

    The width becomes a power of two, so that few are compiled.
    """
    size = np.abs(contributions(weights))
    count = int((size > _UNSEEN * size.max()).sum())
    kept = np.sort(np.argsort(-size)[: 1 << max(count - 1, 0).bit_length()])
    parts = (weights.hidden, weights.output, weights.mask)
    hidden, output, mask = (part[kept] for part in parts)
    return Weights(hidden, output, None, None, mask)


def measure(
    section: Section, run: Run, train: Callable[[int, float], Trained]
) -> xr.Dataset:
    """Train one network and measure it; a run that did not finish is NaN and says so.

    Args:
        section: the experiment.
        run: which network.
        train: the trainer of its kind and exponent.

    Returns:
        ``status`` (a ``dynamics.Status``), ``evaluations``, ``coreset_gap`` and
        ``distance``, ``scale``, ``paper_distance`` (the first seed's); for a run that
        is shown also ``contribution``, ``cosine`` (cluster, neuron) and ``accuracy``
        (curve, radius).
    """
    trained = train(run.seed, run.noise)
    weights = cast(trained.weights, "float64")
    finished = int(trained.status) == Status.FINISHED
    values = {
        "status": int(trained.status),
        "evaluations": float(trained.evaluations),
        "coreset_gap": float(trained.gap),
        **dict.fromkeys(("distance", "scale", "paper_distance"), np.nan),
    }
    if finished:
        values |= _distances(section, run, visible(weights))
    table = xr.Dataset(values)
    if not run.shown:
        return table
    width, clusters = section.width, section.clusters.clusters
    size = np.full(width, np.nan)
    cosine = np.full((clusters, width), np.nan)
    accuracy = np.full((len(CURVES), len(section.radii)), np.nan)
    if finished:
        size = contributions(weights)
        rows = np.asarray(weights.hidden) / np.asarray(weights.norms())[:, None]
        centres = np.asarray(section.clusters.centres(dtype="float64"))
        large = np.abs(size) > section.dominant * np.abs(size).max()
        cosine = np.where(large, centres @ rows.T, np.nan)
        accuracy = _accuracies(section, run, visible(weights))
    return table.assign(
        contribution=("neuron", size),
        cosine=(("cluster", "neuron"), cosine),
        accuracy=(("curve", "radius"), accuracy),
    )


def _distances(section: Section, run: Run, weights: Weights) -> dict[str, float]:
    clusters = section.clusters
    nets = (weights, PReLU(run.exponent)), ideal(clusters, run.exponent)
    key = run_key(section.root, run.seed, "search")
    best = distance(*nets, key=key)
    found = {"distance": float(best.value), "scale": float(best.scale)}
    if run.seed == 0:
        fresh = clusters.sample(
            _FRESH * clusters.clusters,
            key=run_key(section.root, 0, "distance"),
            noise=run.noise,
            dtype="float64",
        )
        found["paper_distance"] = float(paper_distance(*nets, fresh.inputs, key=key))
    return found


def _accuracies(section: Section, run: Run, weights: Weights) -> np.ndarray:
    """The paper's attack, witnesses and certificates on fresh samples, by radius."""
    radii = np.array(section.radii)
    fresh = section.clusters.sample(
        section.points,
        key=run_key(section.root, 0, "test"),
        noise=run.noise,
        dtype="float64",
    )
    inputs, labels = np.asarray(fresh.inputs), np.asarray(fresh.labels)
    activation = PReLU(run.exponent)
    found = radius(
        weights,
        inputs,
        labels,
        activation=activation,
        centres=np.asarray(fresh.centres),
    )
    paper = np.full(len(radii), np.nan)
    if run.seed == 0:
        coarse = np.arange(0, len(radii), section.pgd_every)
        paper[coarse] = pgd.robust_accuracy(
            cast(weights, "float32"),
            activation,
            inputs[: section.pgd_points],
            labels[: section.pgd_points],
            radii[coarse],
            steps=section.pgd_steps,
        )
    return np.stack([paper, found.attacked(radii), found.certified(radii)])
