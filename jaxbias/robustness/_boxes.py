"""Shortest steps inside a box that reach a half-space."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HALVINGS = 50


def shortest(
    slope: Float[Array, " feature"],
    cap: Float[Array, " feature"],
    target: Float[Array, ""],
    order: float | int,
) -> Float[Array, ""]:
    r"""A bound on $\|d\|$ over $0 \le d \le cap$ with $\langle slope, d\rangle$ enough.

    Any multiplier gives one in $\ell_2$, and in $\ell_\infty$ any length that is too
    short; infinite where the whole box is not enough.

    Args:
        slope: not negative.
        cap: not negative.
        target: what the product must reach, positive.
        order: 2 or infinity.
    """
    most = jnp.sum(jnp.where(slope > 0, slope * cap, jnp.zeros_like(cap)))
    size = filled_size(slope, cap, target, order)
    if order == 2:
        step = jnp.minimum(size * slope, cap)
        square = size * target + jnp.sum((step / 2 - size * slope) * step)
        size = jnp.sqrt(jnp.maximum(2 * square, 0))
    return jnp.where(most < target, jnp.inf, size)


def filled_size(
    slope: Float[Array, "*row feature"],
    cap: Float[Array, "*row feature"],
    target: Float[Array, "*row"],
    order: float | int,
) -> Float[Array, "*row"]:
    r"""The largest multiplier found for which the step is not yet enough.

    The step is the least of ``cap`` and $\lambda$ times the slope in $\ell_2$,
    $\lambda$ itself in $\ell_\infty$.
    """
    pace = slope if order == 2 else jnp.ones_like(slope)
    total = jnp.sum(slope * pace, axis=-1)
    ok = (total > 0) & (target > 0)
    least = jnp.where(ok, target, 0) / jnp.where(total > 0, total, jnp.ones_like(total))

    def reached(size: Array) -> Array:
        step = jnp.minimum(size[..., None] * pace, cap)
        return jnp.sum(slope * step, axis=-1)

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        short = reached(least * jnp.exp2(middle)) < target
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    low = jnp.zeros_like(least)
    high = jnp.full_like(least, 40.0)
    low, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))
    return least * jnp.exp2(low)
