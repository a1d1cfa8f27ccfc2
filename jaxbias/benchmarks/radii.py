"""Workloads of robustness radii: one trained network, fresh points, and quality.

A radius of a baseline is as large as the perturbation it found. Where ours is the
shorter one the baseline overestimates robustness, and ours may never be longer.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxbias.benchmarks import ours
from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.interface import Workload
from jaxbias.benchmarks.prepared import Trained
from jaxbias.networks.weights import Weights

#: Share by which an upper end may exceed a baseline's; theirs are in float32.
SLACK = 1e-6
_SEED = 100


class Trial(NamedTuple):
    """A network and points, in float32 all of them.

    Attributes:
        weights: the network.
        points: (point, feature).
        labels: +1 and -1, (point,).
    """

    weights: Weights
    points: Float[Array, "point feature"]
    labels: Real[Array, " point"]


@dataclass(frozen=True)
class Radii(Workload):
    """Radii at one effort.

    Attributes:
        name: ``radius-p1`` and the like.
        effort: of ours.
        flow: what trains the network.
        points: how many radii.
    """

    name: str
    effort: str
    flow: Flow
    points: int = 200
    seeds: ClassVar[int] = 1
    target: ClassVar[float] = SLACK
    baseline_target: ClassVar[float] = math.inf
    rules: ClassVar[tuple[str, ...]] = ()
    loss_target: ClassVar[float] = math.inf
    tuning_seeds: ClassVar[tuple[int, ...]] = ()
    seeds_measured: ClassVar[tuple[int, ...]] = (_SEED,)
    references: ClassVar[dict] = {}

    def problems(self, seeds: tuple[int, ...], dtype: str) -> Trial:
        """The network of a seed, trained once in a process, and fresh points."""
        [seed] = seeds
        hidden, output = (jnp.asarray(a, dtype) for a in _trained(self.flow, seed))
        mask = jnp.ones(len(output), bool)
        fresh = self.flow.fresh(seed, self.points, dtype)
        weights = Weights(hidden, output, None, None, mask)
        return Trial(weights, fresh.inputs, fresh.labels)

    def outputs(self, seeds: tuple[int, ...], solution: np.ndarray) -> np.ndarray:
        """Radii (point,) in float64, infinite where nothing broke the point."""
        return np.asarray(solution, np.float64)

    def error(self, outputs: np.ndarray, reference: np.ndarray) -> float:
        """Median overestimate."""
        return overestimate(outputs, reference)

    def loss_error(self, losses: np.ndarray, reference: np.ndarray) -> float:
        """Nothing is trained in these."""
        return 0.0

    def own_error(self, ours: np.ndarray, theirs: np.ndarray, reference: Any) -> float:
        """Largest excess over what the baseline found."""
        return excess(ours, theirs)

    def remark(self, outputs: np.ndarray) -> str:
        """How many points were not broken, if any."""
        whole = int(np.isinf(outputs).sum())
        return f"{whole} of {len(outputs)} points not broken" if whole else ""


@functools.lru_cache(maxsize=1)
def _trained(flow: Flow, seed: int) -> tuple[np.ndarray, np.ndarray]:
    answer = ours.prepare(flow, (seed,), ours.CHOSEN["a"]).run()
    if not answer.finished:
        raise RuntimeError("the network was not trained to the final time")
    trained: Trained = answer.solution
    return trained.hidden[0], trained.output[0]


def excess(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest share by which a radius of ours exceeds theirs, where they found one.

    Points that both call broken when clean do not count; 0 where none is left.
    """
    told = np.isfinite(theirs) & ((theirs > 0) | (ours > 0))
    if not told.any():
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.max((ours[told] - theirs[told]) / theirs[told]))


def overestimate(theirs: np.ndarray, ours: np.ndarray) -> float:
    """Median share by which their radii exceed ours, where both are finite.

    Infinite where they found none; points broken when clean do not count.
    """
    told = np.isfinite(theirs) & np.isfinite(ours) & (ours > 0)
    if not told.any():
        return math.inf
    return float(np.median(theirs[told] / ours[told] - 1))
