"""The convex, nondecreasing functions of one score that a network is a sum of."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

# NumPy arrays stay NumPy arrays: through JAX they would lose half of their bits
# wherever 64-bit numbers are switched off.
Numbers = Any


@dataclass(frozen=True)
class Profile:
    r"""$\psi(s) = s^p$, or $e^{\kappa s^p}$, on $s \ge 0$, and $\psi(0)$ below.

    The exponential gives the probability read-out of networks with one neuron a class.

    Attributes:
        power: $p \ge 1$.
        exponential: whether the power is exponentiated.
    """

    power: float
    exponential: bool = False

    def value(self, s: Numbers, scale: Numbers) -> Numbers:
        r"""$\psi(s)$."""
        raised = power(s, self.power)
        return _of(s).exp(scale * raised) if self.exponential else raised

    def slope(self, s: Numbers, scale: Numbers) -> Numbers:
        r"""$\psi'(s)$, at 0 from the right."""
        if self.power == 1:
            slope = _of(s).ones_like(s)
        else:
            slope = self.power * power(s, self.power - 1)
        if not self.exponential:
            return slope
        return scale * slope * self.value(s, scale)

    def curvature(self, s: Numbers, scale: Numbers) -> Numbers:
        r"""$\psi''(s)$ for $s > 0$."""
        p = self.power
        plain = _of(s).zeros_like(s) if p == 1 else p * (p - 1) * power(s, p - 2)
        if not self.exponential:
            return plain
        slope = _of(s).ones_like(s) if p == 1 else p * power(s, p - 1)
        return self.value(s, scale) * (scale * plain + (scale * slope) ** 2)

    def touch(self, slope: Numbers, guess: Numbers, scale: Numbers) -> Numbers:
        r"""A point s >= 0 where $\psi'(s)$ is the given slope, or nearly so.

        Any point is the foot of some tangent, so nothing depends on its accuracy.
        """
        p = self.power
        if p == 1 and not self.exponential:
            return jnp.zeros_like(slope)
        if p == 1:
            ratio = jnp.maximum(slope / scale, 1.0)
            return jnp.log(ratio) / scale
        if not self.exponential:
            return power(jnp.maximum(slope, 0) / p, 1 / (p - 1))
        for _ in range(3):
            step = (self.slope(guess, scale) - slope) / self.curvature(guess, scale)
            guess = jnp.maximum(guess - step, 0.1 * guess)
        return guess


def _of(array: Numbers) -> Any:
    return np if isinstance(array, np.ndarray) else jnp


def power(s: Numbers, p: float | int) -> Numbers:
    """Powers of s >= 0 (of s > 0 for negative p), exact for whole ones."""
    if p == 0:
        return _of(s).ones_like(s)
    if p == 1:
        return s
    if p == 2:
        return s * s
    if p == 3:
        return s * s * s
    if p == 4:
        return _of(s).square(s * s)
    safe = _of(s).where(s > 0, s, _of(s).ones_like(s))
    return _of(s).where(s > 0, safe**p, _of(s).zeros_like(s))
