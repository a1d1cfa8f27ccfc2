"""Workloads of gradient flow: data, start, horizon, and the error of a network.

Ten orthonormal clusters (six positive, random sizes) of noise 0.1, a balanced start of
scale 1e-7, exponential loss, clock ``mean``; every seed has its own data and start.
Two rules of equal error: (a) of the outputs at the end, (b) that, and of the loss at
every saved time.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import _draws
from jaxbias.benchmarks.interface import Workload
from jaxbias.benchmarks.prepared import Trained
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.schedule import linear
from jaxbias.networks.activations import Activation, PReLU, ReLU
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights, predict

#: Worst-seed error at which speeds are compared: what the SGD recipe reaches.
TARGET = 1.2e-3
#: Share of itself by which the loss may be off at any saved time, under rule b.
LOSS_TARGET = 1e-2
_SAVED_TIMES = 50
_FRESH_ROWS = 1000
_FRESH_STREAM = 10_000
_SIZES = {"S": (200, 1000, 200, 8), "M": (1000, 2000, 500, 2)}
_HORIZON = {1: 200.0, 3: 500.0}
#: Of the float64 flow that errors are measured against; at p = 1 it is within 1e-4 of
#: small Euler steps, which a tolerance of 1e-3 is not.
_TIGHT = {1: 1e-5, 3: 1e-4}


@dataclass(frozen=True)
class Flow(Workload):
    """Sizes of one workload.

    Attributes:
        name: ``S-p1`` and the like.
        exponent: p.
        samples: training rows.
        dim: input dimension.
        width: neurons.
        seeds: how many seeds are solved together.
        horizon: final time.
        tight: relative tolerance of the reference.
    """

    name: str
    exponent: int
    samples: int
    dim: int
    width: int
    seeds: int
    horizon: float
    tight: float
    target: ClassVar[float] = TARGET
    baseline_target: ClassVar[float] = TARGET
    loss_target: ClassVar[float] = LOSS_TARGET
    rules: ClassVar[tuple[str, ...]] = ("a", "b")

    @property
    def activation(self) -> Activation:
        """ReLU or pReLU."""
        return ReLU() if self.exponent == 1 else PReLU(self.exponent)

    @property
    def clusters(self) -> OrthonormalClusters:
        """The data model."""
        return OrthonormalClusters(
            dim=self.dim, clusters=10, positive=6, noise=0.1, sizes="random"
        )

    @property
    def times(self) -> np.ndarray:
        """Where the loss is compared: evenly spaced, so that steps can end there."""
        return linear(self.horizon, count=_SAVED_TIMES)

    @property
    def tuning_seeds(self) -> tuple[int, ...]:
        """On which settings are chosen."""
        return tuple(range(self.seeds))

    @property
    def seeds_measured(self) -> tuple[int, ...]:
        """On which ratios are measured; no setting has seen them."""
        return tuple(range(100, 100 + self.seeds))

    @property
    def references(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Tight flows in float64, and one three times looser."""
        return {
            "looser": ("looser", self.seeds_measured),
            "tuning": ("tight", self.tuning_seeds),
            "measured": ("tight", self.seeds_measured),
        }

    def problems(self, seeds: tuple[int, ...], dtype: str) -> Problem:
        """The problems of these seeds, stacked along a leading axis."""
        network = TwoLayer(self.width, self.activation, balanced(1e-7))
        flow = GradientFlow(network, self.clusters, self.samples)
        drawn = [flow.problem(_draws.seed_key(s), dtype=dtype) for s in seeds]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)

    def fresh(self, seed: int, rows: int, dtype: str) -> Dataset:
        """Rows that the networks of a seed were not trained on."""
        key = _draws.seed_key(_FRESH_STREAM + seed)
        return self.clusters.sample(rows, key=key, dtype=dtype)

    def outputs(self, seeds: tuple[int, ...], solution: Trained) -> np.ndarray:
        """Outputs (seed, row) of trained networks on fresh rows, in float64."""
        rows = []
        for seed, w, v in zip(seeds, solution.hidden, solution.output, strict=True):
            fresh = self.fresh(seed, _FRESH_ROWS, "float64")
            w, v = jnp.asarray(w, "float64"), jnp.asarray(v, "float64")
            weights = Weights(w, v, None, None, jnp.ones(len(v), bool))
            rows.append(np.asarray(predict(weights, self.activation, fresh.inputs)))
        return np.stack(rows)

    def error(self, outputs: np.ndarray, reference: np.ndarray) -> float:
        """Relative L2 error over rows of the worst seed; of the first, if few ran."""
        return worst_error(outputs, reference[: len(outputs)])

    def loss_error(self, losses: np.ndarray, reference: np.ndarray) -> float:
        """Largest share by which the training loss of a seed is off at a saved time."""
        reference = reference[: len(losses)]
        worst = np.max(np.abs(losses - reference) / reference)
        return float(worst) if np.isfinite(worst) else float("inf")

    def own_error(self, ours: np.ndarray, theirs: np.ndarray, reference: Any) -> float:
        """The same, whatever the baseline."""
        return self.error(ours, reference)

    def remark(self, outputs: np.ndarray) -> str:
        """Nothing: the error says it all."""
        return ""


def flow(size: str, exponent: int) -> Flow:
    """Workload ``S`` or ``M`` at one exponent."""
    return Flow(
        f"{size}-p{exponent}",
        exponent,
        *_SIZES[size],
        _HORIZON[exponent],
        _TIGHT[exponent],
    )


def worst_error(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Relative L2 error over rows of the worst seed; infinite where not finite."""
    gaps = np.linalg.norm(outputs - reference, axis=1)
    worst = np.max(gaps / np.linalg.norm(reference, axis=1))
    return float(worst) if np.isfinite(worst) else float("inf")
