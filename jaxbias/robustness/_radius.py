"""A robustness radius: an interval with a witness, never a single number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

TIES = {"<=": "f <= 0 is broken", "<": "f < 0 is broken"}


@dataclass(frozen=True)
class Radius:
    r"""Bounds on $r^* = \min\{\|\delta\|_q : y f(x + \delta) \le 0\}$, one per point.

    Leading axes may hold runs: the shapes below are then ``run sample``.

    Attributes:
        lower: certified: no perturbation of norm below it breaks the point.
        upper: the norm of an explicit perturbation that does; infinite without one.
        witness: the perturbed point that reaches ``upper``, checked by the real
            forward pass in float64; the clean point where there is none.
        order: the attack's norm, 2 or infinity.
        readout: ``"score"`` (sign of one output), ``"argmax"`` or another's name.
        tie: which side a tie falls on.
        method: what gave each point's two ends.
        status: per point ``"bounds"``, or ``"attack"`` where only an upper end was
            asked for; of an exact search ``"exact"``, or ``"gap"`` where its budget
            was spent first; ``"no witness"`` or ``"broken when clean"``; with the
            reason where nothing could be certified.
        nodes: branch-and-bound nodes used; 0 without a search.
        witness_dtype: the type in which the witnesses flip the network, too.
        margin: what that adds to ``upper``; an exact search is exact without it.

    Raises:
        ValueError: for a lower end above its upper end, which no input can excuse.
    """

    lower: Float[np.ndarray, "*run sample"]
    upper: Float[np.ndarray, "*run sample"]
    witness: Float[np.ndarray, "*run sample feature"]
    order: float
    readout: str
    tie: str
    method: Shaped[np.ndarray, "*run sample"]
    status: Shaped[np.ndarray, "*run sample"]
    nodes: Int[np.ndarray, "*run sample"]
    witness_dtype: str = "float64"
    margin: Float[np.ndarray, "*run sample"] | None = None

    def __post_init__(self):
        shape = self.lower.shape
        others = (self.upper, self.method, self.status, self.nodes)
        if any(array.shape != shape for array in others):
            raise ValueError(f"a radius of shape {shape} with fields of other shapes")
        if not np.all(self.lower >= 0):
            raise ValueError("a lower end that is negative or undefined")
        if not np.all(self.lower <= self.upper):
            worst = float(np.max(self.lower - self.upper))
            raise ValueError(
                f"a certified lower end exceeds a witnessed upper end by {worst:.2e}"
            )

    def certified(self, epsilons: Any) -> Float[np.ndarray, "*run radius"]:
        """Share of points certified at each radius: a robust accuracy from below."""
        return _share_above(self.lower, epsilons)

    def attacked(self, epsilons: Any) -> Float[np.ndarray, "*run radius"]:
        """Share of points without a witness within each radius: from above."""
        return _share_above(self.upper, epsilons)


def _share_above(ends: np.ndarray, epsilons: Any) -> np.ndarray:
    epsilons = np.atleast_1d(np.asarray(epsilons, float))
    # A clean point that is already broken has radius 0, and counts as broken at 0.
    return (ends[..., None, :] > epsilons[:, None]).mean(axis=-1)
