"""Comparing runs of different clocks: their states where the training loss is equal.

A smaller initialisation only waits longer before it learns, so two scales are compared
where they have reached the same training loss, not at the same time.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def at_loss(
    loss: Float[Array, " time"],
    values: Float[Array, "time sample"],
    level: float | Float[Array, ""],
) -> Float[Array, " sample"]:
    r"""Values where a decreasing loss first reaches ``level``.

    Linear in $\log$ loss between the two times around it; NaN where the loss is never
    that low, or already is at the first time.

    Args:
        loss: training loss along a run, positive.
        values: what is compared, for instance outputs on test points.
        level: the loss.
    """
    reached = loss <= level
    after = jnp.argmax(reached)
    before = jnp.maximum(after - 1, 0)
    high, low = jnp.log(loss[before]), jnp.log(loss[after])
    target = jnp.log(jnp.asarray(level).astype(loss.dtype))
    fall = jnp.where(after > 0, high - low, 1.0)
    share = (high - target) / fall
    mixed = values[before] + share * (values[after] - values[before])
    return jnp.where(reached[-1] & (after > 0), mixed, jnp.nan)


def relative_difference(
    first: Float[Array, " sample"], second: Float[Array, " sample"]
) -> Float[Array, ""]:
    r"""$\|a - b\|_2 / \|b\|_2$ over samples."""
    return jnp.linalg.norm(first - second) / jnp.linalg.norm(second)
