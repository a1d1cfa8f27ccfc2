"""Norms, projections and line searches of the attack, on rows of scores."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxbias.networks.activations import Activation
from jaxbias.robustness._surrogate import margin

# JAX arrays inside the program, NumPy arrays around it.
Numbers = Any
EXACT = jax.lax.Precision.HIGHEST


class Problem(NamedTuple):
    """One scalar network in normal form, and the points to attack, as arrays.

    Anchors are scores of other points, ``reach`` their distances from each point,
    infinite for scores that no point need have. The first switches every neuron on.
    In l_2 a perturbation is a combination of the neurons' rows and of one ray a point,
    to an anchor; in l_inf it is itself, and needs the rows and the places.
    """

    rows: Float[Numbers, "neuron feature"]
    gram: Float[Numbers, "neuron neuron"]
    amplitudes: Float[Numbers, " neuron"]
    scores: Float[Numbers, "point neuron"]
    constants: Float[Numbers, " point"]
    signs: Shaped[Numbers, " point"]
    anchors: Float[Numbers, "anchor neuron"]
    reach: Float[Numbers, "point anchor"]
    points: Float[Numbers, "point feature"]
    places: Float[Numbers, "anchor feature"]
    ray: Float[Numbers, "point neuron"]
    ray_square: Float[Numbers, " point"]


class Found(NamedTuple):
    """Each point's perturbation, whether it breaks it, its start and its ray's anchor.

    In l_2 the coordinates are on the neurons' rows and, the last one, on the ray.
    """

    coordinates: Float[Numbers, "point coordinate"]
    flipped: Bool[Numbers, " point"]
    start: Int[Numbers, " point"]
    anchor: Int[Numbers, " point"]


def along(problem: Problem, anchor: Array) -> Problem:
    """The problem with its rays towards the given anchor of each point."""
    reach = jnp.take_along_axis(problem.reach, anchor[:, None], axis=1)[:, 0]
    # Where no anchor is broken the ray leads to no place, and is not used.
    reach = jnp.where(jnp.isfinite(reach), reach, jnp.zeros_like(reach))
    ray = problem.anchors[anchor] - problem.scores
    return problem._replace(ray=ray, ray_square=reach**2)


def repeat(problem: Problem, copies: int) -> Problem:
    """The same points several times, one block of rows a copy."""
    names = ("scores", "constants", "signs", "ray", "ray_square")
    tile = lambda a: jnp.tile(a, (copies,) + (1,) * (a.ndim - 1))
    return problem._replace(**{name: tile(getattr(problem, name)) for name in names})


def divide(numerator: Array, denominator: Array) -> Array:
    """A quotient, 0 where the denominator is not positive."""
    safe = jnp.where(denominator > 0, denominator, jnp.ones_like(denominator))
    return jnp.where(denominator > 0, numerator / safe, jnp.zeros_like(numerator))


def project(
    problem: Problem, order: float | int, slope: Array, target: Array
) -> tuple[Array, Array]:
    r"""The shortest perturbation with $\langle slope, \delta\rangle = target$."""
    if order == 2:
        image = jnp.matmul(slope, problem.gram, precision=EXACT)
        step = divide(target, jnp.sum(slope * image, axis=1))[:, None]
        return jnp.pad(step * slope, ((0, 0), (0, 1))), step * image
    inputs = jnp.matmul(slope, problem.rows, precision=EXACT)
    step = divide(target, jnp.sum(jnp.abs(inputs), axis=1))[:, None]
    coordinates = step * jnp.sign(inputs)
    return coordinates, jnp.matmul(coordinates, problem.rows.T, precision=EXACT)


def length(
    problem: Problem, order: float | int, coordinates: Array, shift: Array
) -> Array:
    """Norms of perturbations, from coordinates and the scores they add."""
    if order != 2:
        return jnp.max(jnp.abs(coordinates), axis=1)
    on_rows, on_ray = coordinates[:, :-1], coordinates[:, -1]
    square = jnp.sum(on_rows * (shift + on_ray[:, None] * problem.ray), axis=1)
    square = square + on_ray**2 * problem.ray_square
    return jnp.sqrt(jnp.maximum(square, 0))


def cross(
    problem: Problem, shift: Array, activation: Activation, top: Array, halvings: int
) -> Array:
    """Where a ray is broken, as a multiple of the shift; infinite if not at ``top``."""

    def wrong(share: Array) -> Array:
        value, _ = margin(
            problem.scores + share[:, None] * shift,
            problem.amplitudes,
            problem.constants,
            problem.signs,
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
