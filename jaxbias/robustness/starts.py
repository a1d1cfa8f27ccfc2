r"""Where the minimum-norm attack starts.

The half of the network that opposes the label is convex, so its tangent at any anchor
bounds it from below: each anchor gives a convex set of broken points, and one
linearisation of the label's own half estimates how far away it is. The closest anchors
with mutually different tangents are tried, besides the clean point, the tangent with
all neurons on, the straight way to the nearest anchor that is broken itself, and two
paths of steepest descent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.networks.activations import Activation
from jaxbias.robustness._geometry import (
    EXACT,
    Problem,
    along,
    cross,
    divide,
    length,
    project,
    repeat,
)
from jaxbias.robustness._surrogate import Halves, halves, margin

# Tangents of a larger cosine than this count as the same.
_ALIKE = 0.95
# Steps of the descents, as shares of the linearised distance, and their number.
_PACES, _STEPS = (0.04, 0.15), 24
NAMES = ("clean", "broken anchor", *("descent" for _ in _PACES), "all on")
"""The starts before the picked anchors."""


class Starts(NamedTuple):
    """Perturbations, one block of points a start."""

    coordinates: Float[Array, "start_point coordinate"]
    shift: Float[Array, "start_point neuron"]


def starts(
    problem: Problem, activation: Activation, order: float | int, picks: int
) -> tuple[Starts, Array]:
    """The starts of every point, and the anchor its ray leads to."""
    amplitudes, signs = problem.amplitudes, problem.signs
    constants = jnp.full(problem.anchors.shape[:1], problem.constants[0])
    far = halves(problem.anchors, amplitudes, constants, activation)
    slopes, targets = _tangents(problem, activation, far, picks)
    count, flat = len(slopes), slopes.reshape(-1, slopes.shape[-1])
    projected = project(problem, order, flat, targets.reshape(-1))
    blocks = zip(*(jnp.split(a, count) for a in projected), strict=True)

    lead = signs[:, None] * (far.positive - far.negative)[None, :]
    anchor = jnp.argmin(jnp.where(lead <= 0, problem.reach, jnp.inf), axis=1)
    problem = along(problem, anchor)
    ray = problem.ray
    share = cross(problem, ray, activation, jnp.ones_like(problem.reach[:, 0]), 16)
    share = jnp.where(jnp.isfinite(share), share, jnp.zeros_like(share))[:, None]
    if order == 2:
        blank = jnp.zeros_like(problem.scores)
        coordinates = jnp.concatenate([blank, share], axis=1)
    else:
        # The first anchor stands for no place, and no ray leads to it.
        place = problem.places[jnp.maximum(anchor - 1, 0)]
        coordinates = share * (place - problem.points)
    nothing = jnp.zeros_like(coordinates), jnp.zeros_like(ray)
    paths = _descent(problem, activation, order, *nothing)
    blocks = [nothing, (coordinates, share * ray), *paths, *blocks]
    coordinates, shifts = zip(*blocks, strict=True)
    return Starts(jnp.concatenate(coordinates), jnp.concatenate(shifts)), anchor


def _descent(
    problem: Problem,
    activation: Activation,
    order: float | int,
    coordinates: Array,
    shift: Array,
) -> list[tuple[Array, Array]]:
    r"""Paths of steepest descent of $\log N_{own} - \log N_{opp}$, up to the boundary.

    For a homogeneous network the logarithms do not change along a ray from the origin,
    so that the path turns towards the other class; the network itself, and its
    surrogate, fall fastest towards the origin, where they are 0 but no other class is.
    """
    value, slope = margin(
        problem.scores,
        problem.amplitudes,
        problem.constants,
        problem.signs,
        activation,
    )
    linear = length(problem, order, *project(problem, order, slope, -value))
    paces = jnp.concatenate([share * linear for share in _PACES])
    many = repeat(problem, len(_PACES))
    tile = lambda array: jnp.tile(array, (len(_PACES), 1))
    plus = many.signs > 0

    def step(_, state: tuple[Array, Array]):
        coordinates, shift = state
        both = halves(many.scores + shift, many.amplitudes, many.constants, activation)
        up = divide(jnp.ones_like(both.positive), both.positive)[:, None]
        down = divide(jnp.ones_like(both.negative), both.negative)[:, None]
        slope = up * both.positive_slope - down * both.negative_slope
        slope = jnp.where(plus[:, None], slope, -slope)
        lead = jnp.where(plus, both.positive, both.negative)
        lead = lead - jnp.where(plus, both.negative, both.positive)
        new, moved = project(many, order, slope, -jnp.ones_like(lead))
        pace = divide(paces, length(many, order, new, moved))
        pace = jnp.where(lead > 0, pace, jnp.zeros_like(pace))[:, None]
        return coordinates + pace * new, shift + pace * moved

    start = tile(coordinates), tile(shift)
    paths = jax.lax.fori_loop(0, _STEPS, step, start)
    return list(zip(*(jnp.split(path, len(_PACES)) for path in paths), strict=True))


def _tangents(
    problem: Problem, activation: Activation, far: Halves, picks: int
) -> tuple[Array, Array]:
    """Slopes and targets of the chosen tangents: all on, then the closest."""
    signs = problem.signs
    clean = halves(problem.scores, problem.amplitudes, problem.constants, activation)
    plus = (signs > 0)[:, None]
    own = jnp.where(plus[:, 0], clean.positive, clean.negative)
    own_slope = jnp.where(plus, clean.positive_slope, clean.negative_slope)
    own_image = jnp.matmul(own_slope, problem.gram, precision=EXACT)
    own_square = jnp.sum(own_slope * own_image, axis=1)

    def table(root: Array, slope: Array):
        image = jnp.matmul(slope, problem.gram, precision=EXACT)
        inner = jnp.matmul(image, slope.T, precision=EXACT)
        square = jnp.diagonal(inner)
        tangent = (root - jnp.sum(slope * problem.anchors, axis=1))[None, :]
        tangent = tangent + jnp.matmul(problem.scores, slope.T, precision=EXACT)
        gap = jnp.maximum(own[:, None] - tangent, 0)
        crossed = jnp.matmul(own_image, slope.T, precision=EXACT)
        square_gap = own_square[:, None] - 2 * crossed + square[None, :]
        floor = 1e-6 * (own_square[:, None] + square[None, :])
        distance = jnp.where(
            square_gap > floor, gap / jnp.sqrt(jnp.maximum(square_gap, floor)), jnp.inf
        )
        sizes = jnp.sqrt(jnp.maximum(square, 1e-30))
        return distance, inner / (sizes[:, None] * sizes[None, :]), tangent

    # Row 0 opposes a positive label, row 1 a negative one.
    roots = jnp.stack([far.negative, far.positive])
    sides = jnp.stack([far.negative_slope, far.positive_slope])
    distances, likeness, tangents = jax.vmap(table)(roots, sides)
    distance = jnp.where(plus, distances[0], distances[1])
    tangents = jnp.where(plus, tangents[0], tangents[1])
    side = jnp.where(signs > 0, 0, 1)

    def pick(distance: Array, _):
        choice = jnp.argmin(distance, axis=1)
        alike = likeness[side, choice] > _ALIKE
        return jnp.where(alike, jnp.inf, distance), choice

    all_on = jnp.zeros((1, len(signs)), jnp.int32)
    _, closest = jax.lax.scan(pick, distance, length=picks)
    choices = jnp.concatenate([all_on, closest.astype(jnp.int32)])

    def step(choice: Array):
        tangent = jnp.take_along_axis(tangents, choice[:, None], axis=1)[:, 0]
        return own_slope - sides[side, choice], tangent - own

    return jax.vmap(step)(choices)
