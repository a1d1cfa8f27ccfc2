"""Networks of frozen groups that descend on a cluster mixture, as an experiment.

The recipe of li-2025-feature-averaging, section 6, with labels of two classes or with
the numbers of clusters: a class is either.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxbias import _draws, losses
from jaxbias._checks import at_least, one_of
from jaxbias.data.dataset import Dataset
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.experiments.experiment import Column, Experiment, Outcome, Work
from jaxbias.experiments.flow import NOISE, SCALE, STATISTICS, WIDTH, Flow
from jaxbias.networks.activations import Activation, ReLU
from jaxbias.networks.initialization import unbalanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights
from jaxbias.observables import Observable
from jaxbias.observables.averaging import own_clusters

LABELS, CLUSTERS = "labels", "clusters"


class Drawn(NamedTuple):
    """What a run starts from.

    Attributes:
        problem: whose loss is multiplied by the learning rate.
        point: of the run, with its seed.
    """

    problem: Problem
    point: dict[str, Array]


class Descended(NamedTuple):
    """What a run keeps.

    Attributes:
        weights: at the end.
        initial: at the start.
        dataset: what it was trained on.
        point: of the run, with its ``"seed"`` and its ``"noise"``.
    """

    weights: Weights
    initial: Weights
    dataset: Dataset
    point: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Averaging(Experiment):
    r"""Full-batch descent of a ReLU network with a frozen readout on clusters.

    Left out, everything is as in the small configuration of the theory. Rates, initial
    scales and noises share a program.

    Args:
        dim: d; centres are of norm $\sqrt d$ and in random directions.
        clusters: k.
        positive: clusters of label +1; half of them if not given.
        samples_per_cluster: n_j, on average.
        neurons_per_class: m.
        rate: $\eta m a^2d/k$ with $\eta$ the learning rate, by which margins grow:
            see :func:`jaxbias.theory.averaging.margin_recursion`.
        init_scale: standard deviation of the first weights; biases start at 0.
        output_weight: a, the modulus of an output weight; 1/m if not given.
        trained_on: ``labels`` (two, by the logistic loss) or ``clusters`` (their
            numbers, by cross entropy).
        hidden_bias: whether neurons have biases; of two labels if not given.
        noise: standard deviation of one feature.
        norms: of the centres over $\sqrt d$, one for all or one for each.
        shares: relative sizes of the clusters.
        steps: numbers of steps after which a network is observed.
        observe: names of observables, or observables of one's own.
        form: ``reduced`` or ``raw``.
        dtype: ``float32`` or ``float64``.

    Raises:
        InputError: where a cluster mixture, a network or a flow refuses a number.

    References:
        li-2025-feature-averaging, section 6; its code has a = 1.
    """

    dim: int = 1024
    clusters: int = 8
    positive: int | None = None
    samples_per_cluster: int = 40
    neurons_per_class: int = 4
    rate: float = 0.1
    init_scale: float = 1e-5
    output_weight: float | None = None
    trained_on: str = LABELS
    hidden_bias: bool | None = None
    noise: float = 1.0
    norms: float | tuple[float, ...] = 1.0
    shares: tuple[float, ...] | None = None
    steps: tuple[int, ...] = (200,)
    observe: tuple[str | Observable, ...] = ("centre_cosines",)
    form: str = "reduced"
    dtype: str = "float32"

    def __post_init__(self):
        one_of("trained_on", self.trained_on, (LABELS, CLUSTERS))
        at_least("rate", self.rate, 0.0)
        # All else is refused by the parts.
        assert self.descent

    @property
    def split(self) -> tuple[int, int]:
        """Clusters of label +1 and of label -1."""
        own = self.clusters // 2 if self.positive is None else self.positive
        return own, self.clusters - own

    @property
    def learning_rate(self) -> float:
        r"""$\eta$, the step of descent on the mean loss."""
        return self.rate * self._unit

    def at_learning_rate(self, value: float) -> "Averaging":
        """The same with another learning rate."""
        return dataclasses.replace(self, rate=value / self._unit)

    @property
    def _unit(self) -> float:
        weight = self.output_weight or 1.0 / self.neurons_per_class
        return self.clusters / (self.neurons_per_class * weight**2 * self.dim)

    @property
    def mixture(self) -> ClusterMixture:
        """The data model."""
        return ClusterMixture(
            self.dim,
            self.clusters,
            self.split[0],
            noise=self.noise,
            norms=self.norms,
            shares=self.shares,
            rotated=True,
        )

    @property
    def flow(self) -> GradientFlow:
        """The flow whose Euler steps of the learning rate are this descent."""
        finer = self.trained_on == CLUSTERS
        network = TwoLayer(
            self.neurons_per_class * (self.clusters if finer else 2),
            self.activation,
            unbalanced(self.init_scale),
            "grouped",
            classes=self.clusters if finer else None,
            output_size=self.output_weight,
            hidden_bias=not finer if self.hidden_bias is None else self.hidden_bias,
        )
        loss = losses.cross_entropy if finer else losses.logistic
        samples = self.samples_per_cluster * self.clusters
        return GradientFlow(network, self.mixture, samples, loss)

    @property
    def activation(self) -> Activation:
        """Of the networks."""
        return ReLU()

    @property
    def descent(self) -> Flow:
        """The descent, of rate 1: one program for all rates."""
        times = tuple(map(float, self.steps))
        euler = FixedStep("euler", 1.0)
        options: dict[str, Any] = {"form": self.form, "dtype": self.dtype}
        return Flow(self.flow, times, self.observe, euler, count_kinks=False, **options)

    @property
    def output_weights(self) -> np.ndarray:
        """Of every neuron, (neuron,) or (neuron, class): dealt out in turn."""
        drawn = self.flow.network.draw(_draws.seed_key(0), 1, dtype="float32")
        return np.asarray(drawn.output)

    @property
    def own(self) -> np.ndarray:
        """Which clusters a neuron speaks for, (cluster, neuron)."""
        output, labels = self.output_weights, self.mixture.labels
        found = own_clusters(jnp.asarray(output), jnp.asarray(labels, output.dtype))
        return np.asarray(found)

    @property
    def batched(self) -> Mapping[str, Any]:
        """Rate, scale of the start and noise."""
        return {"rate": 1.0, "init_scale": 1.0, "noise": 1.0}

    def draw(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> Drawn:
        """The flow as arrays, its loss multiplied by the learning rate."""
        there = {
            WIDTH: self.flow.network.width,
            SCALE: point["init_scale"],
            NOISE: point["noise"],
            "factor": point["factor"],
        }
        problem, _ = self.descent.draw(key, there, shared, padded)
        speed = (point["rate"] * self._unit).astype(self.dtype)
        scaled = problem.sample_weights * speed
        problem = eqx.tree_at(lambda p: p.sample_weights, problem, scaled)
        return Drawn(problem, {name: jnp.asarray(v) for name, v in point.items()})

    def run(self, problem: Drawn, shared: Any) -> tuple[Outcome, Descended]:
        """Observables after all numbers of steps, and the network after the last."""
        drawn, point = problem
        outcome, kept = self.descent.run((drawn, point["factor"]), shared)
        # Descent is what is meant: there is no flow from which it could depart.
        outcome = outcome._replace(statistics={})
        return outcome, Descended(kept.weights, drawn.initial, kept.dataset, point)

    def columns(self) -> Mapping[str, Column]:
        """Observables over steps."""
        found = self.descent.columns()
        return {name: own for name, own in found.items() if name not in STATISTICS}

    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The numbers of steps."""
        return self.descent.coordinates()

    def work(self, padded: int | None) -> Work:
        """Of one run, by its sizes."""
        return self.descent.work(padded)
