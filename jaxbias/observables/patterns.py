"""Activation patterns: which neurons have died, and how many pairs sit at a kink."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.weights import row_norms
from jaxbias.observables._registry import register, unit_scale

KINK = 1e-3
"""Cosine below which a row counts as lying on a neuron's kink."""


@register(
    description="share of neurons active on no training row",
    unit="[0, 1]",
    scale=unit_scale,
)
def dead_fraction(snapshot: Snapshot) -> Float[Array, ""]:
    """Share of the real neurons whose score is at most 0 on every training row.

    A neuron on its way out may have its largest score within rounding of 0 for long, at
    p > 1, or slide along its last kink, at p = 1; then it counts by a hair, and no
    tolerance says which way.
    """
    dead = ~jnp.any(snapshot.scores > 0, axis=0)
    return _share(dead & snapshot.mask, snapshot.mask)


@register(
    description="share of (row, neuron) pairs close to the kink",
    unit="[0, 1]",
    scale=unit_scale,
)
def near_kink(snapshot: Snapshot) -> Float[Array, ""]:
    r"""Share of pairs with $|\langle x_i, w_j\rangle| \le 10^{-3}\|x_i\|\|w_j\|$.

    At p = 1 every step carries a sliding pair across its kink. The default tolerance
    keeps it inside the window while outputs move: .8 % of all pairs at worst; where
    they rest, under squared loss, up to 1.6 % fall out (figures/benchmarks).
    """
    reach = row_norms(snapshot.inputs)[:, None] * snapshot.norms[None, :]
    near = jnp.abs(snapshot.scores) <= KINK * reach
    real = jnp.broadcast_to(snapshot.mask[None, :], near.shape)
    return _share(near & real, real)


def _share(chosen: Array, among: Array) -> Array:
    count = jnp.maximum(jnp.sum(among), 1)
    dtype = jnp.result_type(float)
    return jnp.sum(chosen).astype(dtype) / count.astype(dtype)
