"""Networks of frozen groups trained on a cluster mixture: li-2025-feature-averaging, 6.

The same data and recipe, with labels of two classes or with the numbers of clusters.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxbias import losses
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.activations import ReLU
from jaxbias.networks.initialization import unbalanced
from jaxbias.networks.readouts import GroupArgmax, Readout, SummedLogits
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights
from jaxbias.observables.alignment import centre_cosines
from jaxbias.observables.averaging import own_clusters
from jaxbias.robustness import Radius, radius
from jaxbias.sweeps.keys import run_key

#: Two labels, with output weights 1/m of the paper and 1 of its code; cluster numbers.
TRAININGS = ("labels", "labels, size 1", "clusters")
#: Of two labels; of cluster numbers by the largest output and by sums of outputs.
READOUTS = ("averaged", "max", "sum")


@dataclass(frozen=True)
class Recipe:
    r"""How networks are trained: gradient descent on all rows at once, in float32.

    Attributes:
        dim: d; centres are of norm $\sqrt d$, noise is of 1 a feature.
        clusters: k.
        positive: $k_+$, those of label +1.
        each: training samples of a cluster.
        neurons: m, neurons for each of two labels; a cluster has one.
        rate: $\eta$, of descent.
        steps: its steps.
        deviation: of the first weights; biases start at 0.
    """

    dim: int = 3072
    clusters: int = 10
    positive: int = 5
    each: int = 100
    neurons: int = 5
    rate: float = 1e-3
    steps: int = 100
    deviation: float = 1e-5

    def flow(self, training: str) -> GradientFlow:
        """The flow whose Euler steps are this descent."""
        mixture = ClusterMixture(self.dim, self.clusters, self.positive, rotated=True)
        shared: dict[str, Any] = {
            "activation": ReLU(),
            "init": unbalanced(self.deviation),
            "output": "grouped",
        }
        loss = losses.logistic
        if training == "clusters":
            loss = losses.cross_entropy
            network = TwoLayer(self.clusters, classes=self.clusters, **shared)
        else:
            size = 1.0 if training == "labels, size 1" else None
            network = TwoLayer(
                2 * self.neurons, hidden_bias=True, output_size=size, **shared
            )
        return GradientFlow(network, mixture, self.each * self.clusters, loss)


class Trained(NamedTuple):
    """A trained network and what it was trained on.

    Attributes:
        weights: of the network; its activation is ReLU.
        centres: of the clusters.
        labels: of the centres, +1 and -1.
        cosines: of neurons to centres.
        own: the clusters that each neuron speaks for.
        finished: whether the descent ended with finite weights.
    """

    weights: Weights
    centres: Float[Array, "cluster feature"]
    labels: Int[np.ndarray, " cluster"]
    cosines: Float[np.ndarray, "neuron cluster"]
    own: Bool[np.ndarray, "neuron cluster"]
    finished: bool

    def readout(self, name: str) -> Readout | None:
        """The read-out of a name in :data:`READOUTS`; None takes the sign."""
        if name == "averaged":
            return None
        groups = tuple(self.labels.tolist())
        return GroupArgmax(groups) if name == "max" else SummedLogits(groups)

    def radii(
        self, name: str, inputs: Any, labels: Any, effort: str = "exact"
    ) -> Radius:
        """Radii in l_2 under a read-out, an interval a point."""
        return radius(
            self.weights,
            inputs,
            labels,
            activation=ReLU(),
            effort=effort,
            readout=self.readout(name),
        )


def train(recipe: Recipe, training: str, seed: int, *, root: str) -> Trained:
    """One network; a seed has the same data and centres in every training.

    Args:
        recipe: how.
        training: a name in :data:`TRAININGS`.
        seed: of data and weights.
        root: names the experiment.
    """
    problem = recipe.flow(training).problem(run_key(root, seed), dtype="float32")
    run = _descend(problem, jnp.asarray(recipe.rate), recipe.steps)
    centres, labels = problem.dataset.centres, problem.dataset.centre_labels
    assert centres is not None
    assert labels is not None
    weights = run.final
    own = own_clusters(weights.output, labels.astype(weights.output.dtype))
    return Trained(
        weights,
        centres,
        np.sign(np.asarray(labels)).astype(int),
        np.asarray(run.observables["cosines"][-1]).T,
        np.asarray(own).T,
        bool(jnp.isfinite(weights.hidden).all()),
    )


def fresh_points(
    recipe: Recipe, trained: Trained, points: int, seed: int, *, root: str
) -> tuple[Array, Int[np.ndarray, " sample"], Int[np.ndarray, " sample"]]:
    """Fresh samples of the same clusters, their labels +1 and -1 and their clusters."""
    drawn = recipe.flow("labels").data
    assert isinstance(drawn, ClusterMixture)
    key = run_key(root, seed, "points")
    sample = drawn.sample(points, key=key, dtype="float32", centres=trained.centres)
    clusters = np.asarray(sample.clusters)
    return sample.inputs, trained.labels[clusters], clusters


@eqx.filter_jit
def _descend(problem: Problem, rate: Float[Array, ""], steps: int) -> Trajectory:
    # Steps of 1 on the loss times the rate: one program for all rates.
    weights = problem.sample_weights
    scaled = weights * rate.astype(weights.dtype)
    problem = eqx.tree_at(lambda p: p.sample_weights, problem, scaled)
    observed = {"cosines": centre_cosines}
    euler = FixedStep("euler", 1.0)
    return solve(problem, (float(steps),), observed, euler, form="reduced")
