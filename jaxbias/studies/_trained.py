"""Networks trained by gradient flow on clusters, and what is measured on them."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.optimize import brentq
from scipy.special import expi

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import GradientFlow, cast
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.status import Status
from jaxbias.networks.activations import Activation
from jaxbias.networks.constructions import averaged_classifier, per_centre_classifier
from jaxbias.networks.weights import Weights
from jaxbias.observables.distance import distance, paper_distance
from jaxbias.robustness import pgd, radius
from jaxbias.robustness.ceilings import population_ceiling
from jaxbias.robustness.closed_form import averaged_at_centre, per_centre_at_centre
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

Tick = Callable[[str], None]
# The paper's attack costs a thousand times the others: fewer radii, fewer points.
_EVERY, _PGD_POINTS = 10, 200
CURVES = ("paper", "upper", "certified")


class Trained(NamedTuple):
    """Final networks by (exponent, noise, seed), and how many did not finish."""

    networks: dict[tuple[float, float, int], Weights]
    flows: dict[float, GradientFlow]
    failed: int

    def activation(self, exponent: float) -> Activation:
        """The activation of an exponent's networks."""
        return self.flows[exponent].network.activation


def train(
    flows: dict[float, GradientFlow],
    noises: Sequence[float],
    seeds: Sequence[int],
    time: float,
    rtol: float,
    root: str,
    tick: Tick,
) -> Trained:
    """Train one network at every exponent, noise and seed, in float64."""

    def one_exponent(exponent: float) -> list[tuple[tuple, Weights, int]]:
        flow = flows[exponent]

        @eqx.filter_jit
        def final(key, noise):
            problem = flow.problem(key, noise=noise, dtype="float64")
            run = solve(problem, [time], integrator=Adaptive(rtol))
            return run.final, run.status

        found = []
        for noise, seed in itertools.product(noises, seeds):
            tick(f"training, p = {exponent:g}, noise {noise:g}, seed {seed}")
            weights, status = final(run_key(root, seed), jnp.asarray(noise))
            found.append(((exponent, noise, seed), weights, int(status)))
        return found

    runs = [run for part in side_by_side(one_exponent, flows) for run in part]
    failed = sum(status != Status.FINISHED for *_, status in runs)
    return Trained({point: weights for point, weights, _ in runs}, flows, failed)


def ideal(clusters: OrthonormalClusters, exponent: float):
    """F for p < 2 and F^(p) from p = 2 on: what each network should become."""
    centres = clusters.centres(dtype="float64")
    labels = jnp.asarray(clusters.labels)
    if exponent < 2:
        return averaged_classifier(centres, labels)
    return per_centre_classifier(centres, labels, exponent)


def distances(
    trained: Trained,
    clusters: OrthonormalClusters,
    time: float,
    root: str,
    tick: Tick,
) -> xr.Dataset:
    """Searched distance of every network to its ideal classifier, and the paper's."""
    exponents, noises, seeds = _axes(trained)
    found = np.full((len(exponents), len(noises), len(seeds)), np.nan)
    scale, paper = found.copy(), found.copy()
    fresh = clusters.sample(
        100 * clusters.clusters, key=run_key(root, 0, "distance"), dtype="float64"
    )

    def measure(item) -> None:
        place, weights = item
        exponent, seed = exponents[place[0]], seeds[place[2]]
        tick(f"distance, p = {exponent:g}, noise {noises[place[1]]:g}, seed {seed}")
        nets = (weights, trained.activation(exponent)), ideal(clusters, exponent)
        key = run_key(root, seed, "search")
        best = distance(*nets, key=key)
        found[place], scale[place] = best.value, best.scale
        if place[2] == 0:
            paper[place] = paper_distance(*nets, fresh.inputs, key=key)

    side_by_side(measure, _interleaved(trained))
    dims = ("exponent", "noise", "seed")
    return xr.Dataset(
        {
            "distance": (dims, found),
            "scale": (dims, scale),
            "paper_distance": (dims, paper),
        },
        {"exponent": exponents, "noise": noises, "seed": seeds},
        {
            "samples_per_cluster": _samples(trained) // clusters.clusters,
            "late_floor": late_floor(clusters, time / clusters.clusters),
        },
    )


def late_floor(clusters: OrthonormalClusters, time: float) -> float:
    r"""Distance to F at noise 0, p = 1, exponential loss, time on the cluster clock.

    A class of m centres grows as $\mathrm{Ei}(u) = 2\sqrt m\,t$, so the two classes
    differ by about $\ln(K_1/K_2)/2$ while u grows like $\ln t$: the distance
    $\min_c \sqrt{K_1 (c u_+ - 1)^2 + K_2 (c u_- - 1)^2}$ falls only like $1/\ln t$.
    """
    sizes = np.array([clusters.positive, clusters.clusters - clusters.positive])
    reached = 2.0 * np.sqrt(sizes) * time
    u = np.array([brentq(lambda u, r=r: expi(u) - r, 1e-6, 500.0) for r in reached])
    scale = (sizes @ u) / (sizes @ u**2)
    return float(np.sqrt(sizes @ (scale * u - 1.0) ** 2))


def contributions(trained: Trained, noise: float, dominant: float) -> xr.Dataset:
    """Contributions |v||w| of every neuron at one noise."""
    exponents, _, seeds = _axes(trained)
    values = [
        [amplitudes(trained.networks[p, noise, seed]) for seed in seeds]
        for p in exponents
    ]
    return xr.Dataset(
        {"contribution": (("exponent", "seed", "neuron"), np.abs(values))},
        {"exponent": exponents, "seed": seeds},
        {"dominant": dominant, "noise": noise},
    )


def amplitudes(weights: Weights) -> np.ndarray:
    """Signed contributions ``v_j |w_j|``."""
    return np.asarray(weights.output) * np.asarray(weights.norms())


def cosines(
    trained: Trained, clusters: OrthonormalClusters, noise: float, dominant: float
) -> xr.Dataset:
    """Cosines of the dominant neurons of the first seed to the centres."""
    exponents, _, seeds = _axes(trained)
    first = [trained.networks[p, noise, seeds[0]] for p in exponents]
    width = first[0].hidden.shape[0]
    maps = np.full((len(exponents), clusters.clusters, width), np.nan)
    signed = np.full((len(exponents), width), np.nan)
    centres = np.asarray(clusters.centres(dtype="float64"))
    for i, weights in enumerate(first):
        size = amplitudes(weights)
        keep = np.flatnonzero(np.abs(size) > dominant * np.abs(size).max())
        rows = np.asarray(weights.hidden)[keep]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        maps[i][:, keep] = centres @ rows.T
        signed[i, keep] = size[keep]
    return xr.Dataset(
        {
            "cosine": (("exponent", "cluster", "neuron"), maps),
            "amplitude": (("exponent", "neuron"), signed),
        },
        {"exponent": exponents},
        {"positive": clusters.positive, "width": width, "noise": noise},
    )


def robust_accuracy(
    trained: Trained,
    clusters: OrthonormalClusters,
    noise: float,
    points: int,
    radii: np.ndarray,
    pgd_steps: int,
    root: str,
    tick: Tick,
) -> xr.Dataset:
    """The three curves of robust accuracy on fresh samples, and the ceiling."""
    exponents, _, seeds = _axes(trained)
    shape = (len(exponents), len(CURVES), len(seeds), len(radii))
    accuracy = np.full(shape, np.nan)
    coarse = np.arange(0, len(radii), _EVERY)
    fresh = clusters.sample(
        points, key=run_key(root, 0, "test"), noise=noise, dtype="float64"
    )
    inputs, labels = np.asarray(fresh.inputs), np.asarray(fresh.labels)

    def measure(i: int) -> None:
        exponent = exponents[i]
        activation = trained.activation(exponent)
        for j, seed in enumerate(seeds):
            tick(f"radii of {points} test points, p = {exponent:g}, seed {seed}")
            weights = trained.networks[exponent, noise, seed]
            found = radius(
                weights,
                inputs,
                labels,
                activation=activation,
                centres=np.asarray(fresh.centres),
            )
            accuracy[i, 1, j] = found.attacked(radii)
            accuracy[i, 2, j] = found.certified(radii)
            tick(f"the paper's attack, p = {exponent:g}, seed {seed}")
            accuracy[i, 0, j, coarse] = pgd.robust_accuracy(
                cast(weights, "float32"),
                activation,
                inputs[:_PGD_POINTS],
                labels[:_PGD_POINTS],
                radii[coarse],
                steps=pgd_steps,
            )

    side_by_side(measure, range(len(exponents)))
    ceiling = population_ceiling(
        radii, clusters.clusters, clusters.positive, clusters.dim, noise
    )
    return xr.Dataset(
        {
            "accuracy": (("exponent", "curve", "seed", "radius"), accuracy),
            "ceiling": ("radius", ceiling),
        },
        {
            "exponent": exponents,
            "curve": list(CURVES),
            "seed": seeds,
            "radius": radii,
        },
        {
            "clusters": clusters.clusters,
            "positive": clusters.positive,
            "noise": noise,
            "points": points,
        }
        | ideal_radii(clusters, exponents),
    )


def ideal_radii(clusters: OrthonormalClusters, exponents) -> dict[str, float]:
    """Closed-form radius at a centre of each exponent's ideal classifier."""
    opposite = clusters.clusters - clusters.positive
    return {
        f"ideal_radius_{p:g}": averaged_at_centre(clusters.clusters)
        if p < 2
        else per_centre_at_centre(p, opposite)
        for p in exponents
    }


def _axes(trained: Trained) -> tuple[list[float], list[float], list[int]]:
    exponents, noises, seeds = (
        sorted(set(axis)) for axis in zip(*trained.networks, strict=True)
    )
    return list(exponents), list(noises), list(seeds)


def _interleaved(trained: Trained) -> list[tuple[tuple[int, int, int], Weights]]:
    """Networks with their places, exponents in turn: two threads, two programs."""
    exponents, noises, seeds = _axes(trained)
    order = itertools.product(enumerate(noises), enumerate(seeds), enumerate(exponents))
    return [
        ((i, j, k), trained.networks[exponent, noise, seed])
        for (j, noise), (k, seed), (i, exponent) in order
    ]


def _samples(trained: Trained) -> int:
    flow = next(iter(trained.flows.values()))
    assert flow.samples is not None
    return flow.samples
