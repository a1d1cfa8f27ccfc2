"""Norms, projections and line searches of the attack, on blocks of points."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxbias.networks.activations import Activation
from jaxbias.robustness._boxes import filled_size
from jaxbias.robustness._surrogate import margin

# JAX arrays inside the program, NumPy arrays around it.
Numbers = Any
EXACT = jax.lax.Precision.HIGHEST


class Problem(NamedTuple):
    """Scalar networks in normal form that must stay positive at a block of points.

    In l_2 the features may be coordinates in the span of the rows.

    Attributes:
        rows: shared by all points.
        amplitudes: times the label, or of one class against another.
        scores: at the points.
        constants: the constant at each point.
        low: lowest steps of a box; None without one.
        high: highest ones.
        directions: along which anchors lie, of length 1 in the attack's norm.
        neurons: which neuron each of them belongs to.
        places: steps to further anchors.
    """

    rows: Float[Numbers, "neuron feature"]
    amplitudes: Float[Numbers, "point neuron"]
    scores: Float[Numbers, "point neuron"]
    constants: Float[Numbers, " point"]
    low: Float[Numbers, "point feature"] | None
    high: Float[Numbers, "point feature"] | None
    directions: Float[Numbers, "direction feature"]
    neurons: Any
    places: Float[Numbers, "point place feature"]


class Found(NamedTuple):
    """Steps of every point, whether they break it, and their starts."""

    steps: Float[Numbers, "kept point feature"]
    flipped: Bool[Numbers, "kept point"]
    start: Any


def repeat(problem: Problem, copies: int) -> Problem:
    """The same points several times, one block of rows a copy."""
    names = ("amplitudes", "scores", "constants", "low", "high")
    tile = lambda a: None if a is None else jnp.tile(a, (copies,) + (1,) * (a.ndim - 1))
    return problem._replace(**{name: tile(getattr(problem, name)) for name in names})


def divide(numerator: Array, denominator: Array) -> Array:
    """A quotient, 0 where the denominator is not positive."""
    safe = jnp.where(denominator > 0, denominator, jnp.ones_like(denominator))
    return jnp.where(denominator > 0, numerator / safe, jnp.zeros_like(numerator))


def moved(problem: Problem, steps: Array) -> Array:
    """What steps add to the scores."""
    return jnp.matmul(steps, problem.rows.T, precision=EXACT)


def project(
    problem: Problem,
    order: float | int,
    slope: Array,
    target: Array,
    at: Array | None = None,
) -> Array:
    r"""The shortest step with $\langle slope, \delta\rangle = target$.

    Inside a box as far as it goes, seen from ``at``.
    """
    inputs = jnp.matmul(slope, problem.rows, precision=EXACT)
    if problem.low is not None and problem.high is not None:
        low, high = problem.low, problem.high
        if at is not None:
            low, high = jnp.minimum(low - at, 0), jnp.maximum(high - at, 0)
        sign = jnp.sign(inputs) * jnp.where(target < 0, -1.0, 1.0)[:, None]
        cap = jnp.where(sign > 0, high, -low)
        size = filled_size(jnp.abs(inputs), cap, jnp.abs(target), order)[:, None]
        free = size * jnp.abs(inputs) if order == 2 else size
        return sign * jnp.minimum(free, cap)
    if order == 2:
        return divide(target, jnp.sum(inputs**2, axis=1))[:, None] * inputs
    step = divide(target, jnp.sum(jnp.abs(inputs), axis=1))[:, None]
    return step * jnp.sign(inputs)


def inside(problem: Problem, steps: Array) -> Array:
    """Steps that stay in the box."""
    if problem.low is None or problem.high is None:
        return steps
    return jnp.clip(steps, problem.low, problem.high)


def room(problem: Problem, steps: Array) -> Array:
    """The largest multiple of each step that is in the box, at least 1."""
    if problem.low is None or problem.high is None:
        return jnp.full(steps.shape[:1], jnp.inf, steps.dtype)
    size = jnp.abs(steps)
    cap = jnp.where(steps > 0, problem.high, -problem.low)
    share = jnp.where(size > 0, cap / jnp.where(size > 0, size, 1.0), jnp.inf)
    return jnp.maximum(jnp.min(share, axis=1), 1.0)


def length(order: float | int, steps: Array) -> Array:
    """Norms of steps."""
    if order != 2:
        return jnp.max(jnp.abs(steps), axis=-1)
    return jnp.sqrt(jnp.sum(steps**2, axis=-1))


def cross(
    problem: Problem, shift: Array, activation: Activation, top: Array, halvings: int
) -> Array:
    """Where a ray is broken, as a multiple of the shift; infinite if not at ``top``."""

    def wrong(share: Array) -> Array:
        value, _ = margin(
            problem.scores + share[:, None] * shift,
            problem.amplitudes,
            problem.constants,
            activation,
        )
        return value <= 0

    def halve(_, ends: tuple[Array, Array]):
        low, high = ends
        middle = (low + high) / 2
        broken = wrong(middle)
        return jnp.where(broken, low, middle), jnp.where(broken, middle, high)

    # The ray may be broken on a short stretch only, so its projection is tried too.
    near = jnp.minimum(top, 1 + 1e-3)
    at_near, at_top = wrong(near), wrong(top)
    high = jnp.where(at_near, near, top)
    _, high = jax.lax.fori_loop(0, halvings, halve, (jnp.zeros_like(top), high))
    return jnp.where(at_near | at_top, high, jnp.inf)
