"""What the gradient attacks share: arguments, loss, directions, starts and balls."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxbias import _draws
from jaxbias._checks import InputError, unmasked
from jaxbias.networks.weights import Weights


def increasing(radii: Any) -> np.ndarray:
    """Budgets as an array.

    Raises:
        InputError: for budgets that do not increase from 0 or more.
    """
    unmasked("radii", radii)
    budgets = np.atleast_1d(np.asarray(radii, float))
    rising = np.all(np.diff(budgets) > 0) and np.all(np.isfinite(budgets))
    if not (budgets.ndim == 1 and budgets.size and rising and budgets[0] >= 0):
        raise InputError(
            f"radii={radii!r}", "budgets increase from 0 or more", "radii=[0.0, 0.1]"
        )
    return budgets


def prepare(
    weights: Weights, inputs: Any, labels: Any, radii: Any, box: Any
) -> tuple[Array, Array, Array, tuple[Array, ...] | None]:
    """Points, labels, budgets and box in the precision of the weights."""
    unmasked("inputs", inputs)
    unmasked("labels", labels)
    budgets = increasing(radii)
    dtype = jnp.asarray(weights.hidden).dtype
    points, names = jnp.asarray(inputs).astype(dtype), jnp.asarray(labels)
    if weights.output.ndim == 1:
        names = names.astype(dtype)
    ends = None
    if box is not None:
        full = lambda end: jnp.broadcast_to(jnp.asarray(end), points.shape)
        ends = tuple(full(end).astype(dtype) for end in box)
    return points, names, jnp.asarray(budgets, dtype), ends


def share_right(broken: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """From which points an attack breaks, (radius, sample), a robust accuracy."""

    def robust_accuracy(
        *arguments: Any, **options: Any
    ) -> Float[np.ndarray, " radius"]:
        """Share of points that :func:`broken` leaves right, at each radius."""
        return 1 - broken(*arguments, **options).mean(axis=1)

    return robust_accuracy


def in_double(weights: Weights) -> Weights:
    """The weights in float64; to be called where float64 is enabled."""

    def exact(array):
        array = np.asarray(array)
        floating = np.issubdtype(array.dtype, np.floating)
        # Cast before it is moved: a cast on the device is a program of its own.
        return jax.device_put(array.astype(np.float64) if floating else array)

    return jax.tree.map(exact, weights)


def losses(outputs: Array, labels: Array) -> Array:
    """Logistic loss of one output, cross-entropy of several, one number a point."""
    if outputs.ndim == 1:
        return jax.nn.softplus(-labels.astype(outputs.dtype) * outputs)
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)


def random_step(key: Array, points: Array, budget: Array, power: float) -> Array:
    """Uniform on the sphere of radius ``budget``; in l_inf, in the ball."""
    if math.isinf(power):
        shape, dtype = points.shape, points.dtype
        return budget * _draws.uniform(key, shape, dtype, -1, 1)
    gauss = _draws.normal(key, points.shape, points.dtype)
    return budget * gauss / jnp.linalg.norm(gauss, axis=1, keepdims=True)


def project(x: Array, *, budget: Array, points: Array, box, power: float) -> Array:
    """Into the ball, then the box; the box keeps an l_2 ball's points inside it.

    The budget is one number, or one of each point, (sample, 1).
    """
    moved = x - points
    if math.isinf(power):
        moved = jnp.clip(moved, -budget, budget)
    else:
        lengths = jnp.linalg.norm(moved, axis=1, keepdims=True)
        safe = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
        moved = moved * jnp.minimum(1, budget / safe)
    x = points + moved
    # A point outside the box keeps its own coordinate, so that no point starts broken.
    if box is not None:
        x = jnp.clip(x, jnp.minimum(box[0], points), jnp.maximum(box[1], points))
    return x


def direction(slope: Array, power: float) -> Array:
    """Where a loss rises fastest for a step of norm 1; 0 where its slope is 0."""
    if math.isinf(power):
        return jnp.sign(slope)
    lengths = jnp.linalg.norm(slope, axis=1, keepdims=True)
    return slope / jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
