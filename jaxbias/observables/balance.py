"""How well the conservation law of balancedness holds."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.weights import row_norms
from jaxbias.observables._registry import register


@register(description="relative error of |w|^2 = v^2 + c after recovering W")
def balance_error(snapshot: Snapshot) -> Float[Array, ""]:
    r"""$\max_j|\,\|W_j\|^2/(v_j^2 + c_j) - 1\,|$ with $c_j = \|w_j(0)\|^2 - v_j(0)^2$.

    The norms are those of the recovered W, since the reduced form imposes the law on
    its own norms, where the meter would read 0 whatever the integrator did. Neurons
    whose conserved norm is 0 do not count.
    """
    if snapshot.hidden is None:
        norms = row_norms(snapshot.weights())
    else:
        norms = snapshot.norms
    sizes = snapshot.output_norms()
    # c may be negative, so the sum is factored before anything is squared.
    largest = jnp.maximum(sizes, jnp.sqrt(jnp.abs(snapshot.balance)))
    live = snapshot.mask & (largest > 0)
    unit = jnp.where(live, largest, jnp.ones_like(largest))
    conserved = (sizes / unit) ** 2 + (snapshot.balance / unit) / unit
    live = live & (conserved > 0)
    conserved = jnp.where(live, conserved, jnp.ones_like(conserved))
    error = jnp.abs((norms / unit) ** 2 / conserved - 1.0)
    return jnp.max(jnp.where(live, error, jnp.zeros_like(error)))
