r"""Where the minimum-norm attack starts.

The half of the network that opposes the label is convex, so its tangent at any anchor
bounds it from below: each anchor gives a convex set of broken points, and one
linearisation of the label's own half estimates how far away it is. Anchors lie along
the rows of the largest neurons, just across their hyperplanes and further out on either
side, and at the places of the call; every opposing neuron alone is a tangent too. The
closest ones with mutually different tangents are tried, besides the clean point, the
tangent with all neurons on, the straight way to the nearest anchor that is broken
itself, and two paths of steepest descent.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.networks.activations import Activation
from jaxbias.robustness._geometry import (
    EXACT,
    Problem,
    cross,
    divide,
    inside,
    length,
    moved,
    project,
    repeat,
)
from jaxbias.robustness._surrogate import halves, margin

# Tangents of a larger cosine than this count as the same.
_ALIKE = 0.95
# Steps of the descents, as shares of the linearised distance, and their number.
_PACES, _STEPS = (0.04, 0.15), 24
# How far across a hyperplane an anchor lies, as a share of the way to it.
_ACROSS = 1.1
NAMES = ("clean", "broken anchor", *("descent" for _ in _PACES), "all on")
"""The starts before the picked tangents."""


def starts(
    problem: Problem, activation: Activation, order: float | int, picks: int
) -> Float[Array, "start_point feature"]:
    """Steps to start from, one block of points a start."""
    anchors = _anchors(problem)
    shift = jnp.matmul(anchors, problem.rows.T, precision=EXACT)
    slopes, targets = _tangents(problem, activation, shift, picks, order)
    many = repeat(problem, len(targets))
    flat = slopes.reshape(-1, slopes.shape[-1]), targets.reshape(-1)
    tangents = project(many, order, *flat)
    straight = _straight(problem, activation, order, anchors, shift)
    nothing = jnp.zeros_like(straight)
    paths = _descent(problem, activation, order, nothing)
    return jnp.concatenate([nothing, straight, paths, tangents])


def _anchors(problem: Problem) -> Float[Array, "point anchor feature"]:
    """Steps to where the other class is looked for."""
    chosen = problem.scores[:, problem.neurons]
    own = problem.rows[problem.neurons]
    gain = jnp.sum(own * problem.directions, axis=1)
    pace = divide(jnp.full_like(gain, -_ACROSS), gain)
    across = chosen * pace[None]
    far = jnp.max(jnp.abs(chosen), axis=1, keepdims=True) * jnp.ones_like(chosen)
    sizes = jnp.concatenate([across, far, -far], axis=1)
    steps = sizes[:, :, None] * jnp.tile(problem.directions, (3, 1))[None]
    steps = jnp.concatenate([steps, problem.places], axis=1)
    if problem.low is None or problem.high is None:
        return steps
    return jnp.clip(steps, problem.low[:, None], problem.high[:, None])


def _straight(
    problem: Problem,
    activation: Activation,
    order: float | int,
    anchors: Array,
    shift: Array,
) -> Array:
    """The way to the nearest broken anchor, up to where it breaks."""
    far = halves(
        problem.scores[:, None] + shift,
        problem.amplitudes[:, None],
        jnp.broadcast_to(problem.constants[:, None], shift.shape[:2]),
        activation,
    )
    reach = length(order, anchors)
    reach = jnp.where(far.positive <= far.negative, reach, jnp.inf)
    nearest = jnp.argmin(reach, axis=1)[:, None, None]
    step = jnp.take_along_axis(anchors, nearest, axis=1)[:, 0]
    ray = jnp.take_along_axis(shift, nearest, axis=1)[:, 0]
    share = cross(problem, ray, activation, jnp.ones_like(reach[:, 0]), 16)
    share = jnp.where(jnp.isfinite(share), share, jnp.zeros_like(share))
    return jnp.minimum(share, 1.0)[:, None] * step


def _descent(
    problem: Problem, activation: Activation, order: float | int, start: Array
) -> Array:
    r"""Paths of steepest descent of $\log N_{own} - \log N_{opp}$, up to the boundary.

    For a homogeneous network the logarithms do not change along a ray from the origin,
    so that the path turns towards the other class; the network itself, and its
    surrogate, fall fastest towards the origin, where they are 0 but no other class is.
    """
    value, slope = margin(
        problem.scores, problem.amplitudes, problem.constants, activation
    )
    linear = length(order, project(problem, order, slope, -value))
    paces = jnp.concatenate([share * linear for share in _PACES])
    many = repeat(problem, len(_PACES))

    def step(_, now: Array) -> Array:
        scores = many.scores + moved(many, now)
        both = halves(scores, many.amplitudes, many.constants, activation)
        up = divide(jnp.ones_like(both.positive), both.positive)[:, None]
        down = divide(jnp.ones_like(both.negative), both.negative)[:, None]
        slope = up * both.positive_slope - down * both.negative_slope
        lead = both.positive - both.negative
        new = project(many, order, slope, -jnp.ones_like(lead), now)
        pace = divide(paces, length(order, new))
        pace = jnp.where(lead > 0, pace, jnp.zeros_like(pace))[:, None]
        return inside(many, now + pace * new)

    return jax.lax.fori_loop(0, _STEPS, step, jnp.tile(start, (len(_PACES), 1)))


def _tangents(
    problem: Problem,
    activation: Activation,
    shift: Array,
    picks: int,
    order: float | int,
) -> tuple[Array, Array]:
    """Slopes and targets of the chosen tangents: all on, then the closest."""
    amplitudes, scores = problem.amplitudes, problem.scores
    clean = halves(scores, amplitudes, problem.constants, activation)
    constants = jnp.broadcast_to(problem.constants[:, None], shift.shape[:2])
    at = scores[:, None] + shift
    far = halves(at, amplitudes[:, None], constants, activation)
    tangent = far.negative - jnp.sum(far.negative_slope * shift, axis=2)
    slopes = far.negative_slope
    # Every opposing neuron alone, and all of them on.
    sizes = jnp.maximum(-amplitudes, 0) ** (1.0 / activation.degree)
    single = jnp.eye(scores.shape[1], dtype=scores.dtype)[problem.neurons]
    single = single[None] * sizes[:, None, :]
    top = jnp.max(jnp.abs(scores), axis=1, keepdims=True) * jnp.ones_like(scores)
    on = halves(top, amplitudes, problem.constants, activation)
    on_tangent = on.negative + jnp.sum(on.negative_slope * (scores - top), axis=1)
    slopes = jnp.concatenate([on.negative_slope[:, None], slopes, single], axis=1)
    alone = jnp.sum(single * scores[:, None], axis=2)
    tangent = jnp.concatenate([on_tangent[:, None], tangent, alone], axis=1)

    # Along the difference of both halves, seen from the inputs.
    bent = clean.positive_slope[:, None] - slopes
    inputs = jnp.matmul(bent, problem.rows, precision=EXACT)
    gap = jnp.maximum(clean.positive[:, None] - tangent, 0)
    size = jnp.sum(jnp.abs(inputs) if order != 2 else inputs**2, axis=2)
    size = size if order != 2 else jnp.sqrt(size)
    own = jnp.matmul(clean.positive_slope, problem.rows, precision=EXACT)
    image = own[:, None] - inputs
    floor = jnp.sqrt(jnp.sum(own**2, axis=1)[:, None] + jnp.sum(image**2, axis=2))
    near = size > 1e-3 * floor
    distance = jnp.where(near, gap / jnp.where(near, size, 1.0), jnp.inf)
    lengths = jnp.sqrt(jnp.sum(image**2, axis=2))
    distance = jnp.where(lengths > 0, distance, jnp.inf)

    take = lambda array, choice: jnp.take_along_axis(
        array, choice.reshape(-1, 1, *(1,) * (array.ndim - 2)), axis=1
    )[:, 0]

    tiny = jnp.finfo(scores.dtype).tiny

    def pick(distance: Array, _):
        choice = jnp.argmin(distance, axis=1)
        leader = take(image, choice)
        cosine = jnp.sum(image * leader[:, None], axis=2)
        cosine = cosine / jnp.maximum(lengths * take(lengths, choice)[:, None], tiny)
        return jnp.where(cosine > _ALIKE, jnp.inf, distance), choice

    _, closest = jax.lax.scan(pick, distance, length=picks)
    choices = jnp.concatenate([jnp.zeros_like(closest[:1]), closest])
    return jax.vmap(
        lambda choice: (take(bent, choice), take(tangent, choice) - clean.positive)
    )(choices)
