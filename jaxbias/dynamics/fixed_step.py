"""Equal steps: Euler, Heun, Bogacki-Shampine and RK4, the adaptive one's cross-check.

Euler with step eta on the mean loss is gradient descent with rate eta.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxbias._checks import InputError, one_of
from jaxbias.dynamics.adaptive import combine
from jaxbias.dynamics.status import Status
from jaxbias.dynamics.system import AbstractSystem

# Stages as (weights of the slopes so far), then the weights of the step itself.
_TABLEAUS: dict[str, tuple[list[tuple[float, ...]], tuple[float, ...]]] = {
    "euler": ([], (1.0,)),
    "heun": ([(1.0,)], (0.5, 0.5)),
    "bosh3": ([(0.5,), (0.0, 0.75)], (2 / 9, 1 / 3, 4 / 9)),
    "rk4": (
        [(0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)],
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    ),
}
ORDERS = {"euler": 1, "heun": 2, "bosh3": 3, "rk4": 4}


class FixedStep(eqx.Module):
    """Equal steps.

    Args:
        method: ``euler``, ``heun``, ``bosh3`` or ``rk4``.
        step: Step in the flow's clock; may be an array.
    """

    method: str = eqx.field(static=True)
    step: float

    def __check_init__(self):
        one_of("method", self.method, _TABLEAUS)
        if not (np.isfinite(self.step) and self.step > 0):
            raise InputError(f"step={self.step!r}", "time runs forward", "step=0.1")

    def counts(self, times: np.ndarray) -> np.ndarray:
        """Number of steps up to each time; each must be a multiple of the step."""
        counts = np.rint(times / self.step).astype(np.int64)
        if not np.allclose(counts * self.step, times, rtol=1e-6, atol=0.0):
            raise InputError(
                f"times={times!r} with step={self.step!r}",
                "fixed steps record only at multiples of the step",
                "times=step * np.unique(np.rint(times / step))",
            )
        return counts


def integrate(
    system: AbstractSystem,
    counts: np.ndarray,
    record: Callable[[Any], Any],
    method: str,
    step: float | Array,
    dtype: Any,
    *,
    kinked: bool,
) -> tuple[Any, Any, Any, dict[str, Array]]:
    """Take equal steps, recording after each of ``counts`` of them.

    Returns:
        What ``adaptive.integrate`` returns.
    """
    stages, weights = _TABLEAUS[method]
    step = jnp.asarray(step, dtype)

    def advance(carry, count):
        def one(_, carry):
            state, kinks = carry
            slopes = [system.velocity(state)]
            for stage in stages:
                slopes.append(system.velocity(combine(state, step, stage, slopes)))
            new = combine(state, step, weights, slopes)
            if kinked:
                kinks = kinks + system.kinks(state, slopes[0], new)
            return new, kinks

        carry = lax.fori_loop(0, count, one, carry)
        return carry, record(carry[0])

    total = int(counts[-1])
    segments = jnp.asarray(np.diff(counts, prepend=0), jnp.int32)
    start = (system.start(), jnp.zeros((2,), dtype))
    (state, kinks), values = lax.scan(advance, start, segments)
    finite = jnp.asarray(True)
    for leaf in jax.tree.leaves(state):
        finite = finite & jnp.all(jnp.isfinite(leaf))
    status = jnp.where(finite, Status.FINISHED, Status.NON_FINITE)
    shares = kinks / total
    statistics = {
        "evaluations": jnp.asarray(total * len(weights), jnp.int32),
        "accepted": jnp.asarray(total, jnp.int32),
        "rejected": jnp.zeros((), jnp.int32),
        "sliding": shares[0],
        "repelling": shares[1],
    }
    return values, state, status, statistics
