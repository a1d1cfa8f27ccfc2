r"""The degree-1 surrogate whose sign is the network's: $P^{1/p} - M^{1/p}$.

P collects the positive terms of the network and M the negative ones, so the sign is
that of $P - M$. The network itself is of degree p and its gradient towards neurons that
are barely active vanishes; the roots keep their gradients of order 1.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.networks.activations import Activation


class Halves(NamedTuple):
    """Roots of the positive and the negative terms, with gradients in the scores."""

    positive: Float[Array, "*point"]
    negative: Float[Array, "*point"]
    positive_slope: Float[Array, "*point neuron"]
    negative_slope: Float[Array, "*point neuron"]


def halves(
    scores: Float[Array, "*point neuron"],
    amplitudes: Float[Array, "*row neuron"],
    constants: Float[Array, "*point"],
    activation: Activation,
) -> Halves:
    """Both roots and their gradients at rows of scores."""
    terms = amplitudes * activation.value(scores)
    slopes = amplitudes * activation.slope(scores)
    positive, up = _root(terms, slopes, constants, activation.degree)
    negative, down = _root(-terms, -slopes, -constants, activation.degree)
    return Halves(positive, negative, up, down)


def _root(terms: Array, slopes: Array, constants: Array, degree: float):
    total = jnp.sum(jnp.maximum(terms, 0), axis=-1) + jnp.maximum(constants, 0)
    slopes = jnp.where(terms > 0, slopes, jnp.zeros_like(slopes))
    if degree == 1:
        return total, slopes
    safe = jnp.where(total > 0, total, jnp.ones_like(total))
    root = safe ** (1.0 / degree)
    factor = jnp.where(total > 0, root / (degree * safe), jnp.zeros_like(root))
    return jnp.where(total > 0, root, jnp.zeros_like(root)), factor[..., None] * slopes


def margin(
    scores: Float[Array, "point neuron"],
    amplitudes: Float[Array, "point neuron"],
    constants: Float[Array, " point"],
    activation: Activation,
) -> tuple[Float[Array, " point"], Float[Array, "point neuron"]]:
    """The surrogate and its gradient in the scores."""
    both = halves(scores, amplitudes, constants, activation)
    value = both.positive - both.negative
    return value, both.positive_slope - both.negative_slope
