"""Full-batch descent on cluster mixtures, several seeds of one cell at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import losses
from jaxbias.data import ClusterMixture
from jaxbias.dynamics import FixedStep, GradientFlow, solve
from jaxbias.networks import ReLU, TwoLayer, Weights, unbalanced
from jaxbias.observables.alignment import centre_cosines
from jaxbias.observables.averaging import centre_coefficients, own_clusters
from jaxbias.sweeps.keys import run_key

#: Default configuration S of the theory: 40 samples a cluster, 4 neurons a class.
SMALL = {"dim": 1024, "clusters": 8, "per": 40, "half": 4, "std": 1e-5, "step": 0.1}


class Runs(NamedTuple):
    """What descents of one cell came to, in float64; leading axis: seed.

    Attributes:
        coefficients: lambda (seed, time, cluster, neuron).
        scores: pre-activations of the centres, biases included (the same axes).
        cosines: of the weights to the centres (the same axes).
        own: which clusters a neuron speaks for (cluster, neuron).
        labels: of the clusters, +1 and -1.
        finals: the networks, stacked.
        initial: their starts, stacked.
        centres: (seed, cluster, feature).
        inputs: training rows (seed, sample, feature).
        clusters: the cluster of each row (sample,).
        output: readout weights (neuron,) or (neuron, class).
    """

    coefficients: np.ndarray
    scores: np.ndarray
    cosines: np.ndarray
    own: np.ndarray
    labels: np.ndarray
    finals: Weights
    initial: Weights
    centres: np.ndarray
    inputs: np.ndarray
    clusters: np.ndarray
    output: np.ndarray

    def margins(self) -> np.ndarray:
        """Margins at the centres of networks with one output (seed, time, cluster)."""
        return np.maximum(self.scores, 0) @ self.output * self.labels

    def network(self, seed: int) -> Weights:
        """The final network of a seed."""
        return jax.tree.map(lambda a: a[seed], self.finals)


def mixture_of(cell: Mapping[str, Any]) -> ClusterMixture:
    """The data model of a cell."""
    return ClusterMixture(
        cell["dim"],
        cell["clusters"],
        cell.get("positive", cell["clusters"] // 2),
        noise=cell.get("noise", 1.0),
        norms=cell.get("norms", 1.0),
        shares=cell.get("shares"),
        rotated=True,
    )


def flow_of(cell: Mapping[str, Any]) -> GradientFlow:
    """The problem of a cell: the keys of ``SMALL`` and what departs from the paper."""
    clusters, classes = cell["clusters"], cell.get("classes", False)
    network = TwoLayer(
        cell["half"] * (clusters if classes else 2),
        ReLU(),
        unbalanced(cell["std"]),
        "grouped",
        classes=clusters if classes else None,
        output_size=cell.get("size"),
        hidden_bias=cell.get("bias", not classes),
    )
    loss = losses.cross_entropy if classes else losses.logistic
    return GradientFlow(network, mixture_of(cell), cell["per"] * clusters, loss)


def learning_rate(cell: Mapping[str, Any]) -> float:
    """The learning rate eta of a cell."""
    m, d, k = cell["half"], cell["dim"], cell["clusters"]
    if cell.get("classes", False):
        return cell["step"] * m * k / d
    return cell["step"] * k / (m * readout_size(cell) ** 2 * d)


def readout_size(cell: Mapping[str, Any]) -> float:
    """a, the modulus of a readout weight of two labels; 1/m in the paper."""
    return cell.get("size") or 1.0 / cell["half"]


def first_gain(cell: Mapping[str, Any]) -> float:
    """``eta a d/(2k)``, the largest coefficient that one step can give."""
    gain = learning_rate(cell) * readout_size(cell) * cell["dim"]
    return gain / (2 * cell["clusters"])


def descend(
    cell: Mapping[str, Any],
    times: Sequence[int],
    root: int,
    seeds: int,
    *,
    form: str = "reduced",
    dtype: str = "float32",
) -> Runs:
    """Networks of a cell after some numbers of steps.

    In form ``raw`` there are no coefficients; their array is empty.
    """
    flow, rate = flow_of(cell), learning_rate(cell)
    saved = tuple(rate * time for time in times)
    observe = {"scores": lambda seen: seen.centre_scores, "cosines": centre_cosines}
    if form == "reduced":
        observe["coefficients"] = centre_coefficients

    @eqx.filter_jit
    def one(problem):
        run = solve(problem, saved, observe, FixedStep("euler", rate), form=form)
        return run.final, run.observables

    finals, problems, seen = [], [], []
    for seed in range(seeds):
        problem = flow.problem(run_key(f"ledger-{root}", seed), dtype=dtype)
        final, observables = one(problem)
        finals.append(final)
        problems.append(problem)
        seen.append({name: np.asarray(a, float) for name, a in observables.items()})
    stack = lambda trees: jax.tree.map(lambda *a: jnp.stack(a), *trees)
    first = problems[0]
    array = lambda a: np.asarray(a, float)
    return Runs(
        coefficients=np.array([part.get("coefficients", []) for part in seen]),
        scores=np.array([part["scores"] for part in seen]),
        cosines=np.array([part["cosines"] for part in seen]),
        own=np.asarray(own_clusters(first.initial.output, first.dataset.centre_labels)),
        labels=array(first.dataset.centre_labels),
        finals=stack(finals),
        initial=stack([problem.initial for problem in problems]),
        centres=np.array([array(problem.dataset.centres) for problem in problems]),
        inputs=np.array([array(problem.dataset.inputs) for problem in problems]),
        clusters=np.asarray(first.dataset.clusters),
        output=array(first.initial.output),
    )


def fresh(cell: Mapping[str, Any], runs: Runs, seed: int, points: int, root: int):
    """New samples about the centres of a seed."""
    centres = jnp.asarray(runs.centres[seed], jnp.float32)
    key = run_key(f"ledger-{root}", seed, "fresh")
    model = mixture_of(cell)
    return model.sample(points, key=key, dtype="float32", centres=centres)
