r"""The minimum-norm attack: an upper end of the radius, batched over points.

Every point runs damped projections onto the linearised decision boundary of the
degree-1 surrogate, from several starts, until something breaks it; the best broken
points then descend along the boundary, each step kept only if it is shorter. In
$\ell_2$ the optimal perturbation lies in the span of the neurons, whose coordinates are
the features then, whatever the input dimension. Inside a box every step is the shortest
one there.

Gradient attacks that start at the clean point do not see opposing neurons that are
off there. The starts therefore come from the convex half that opposes the label (see
``starts``), and from the nearest anchor point that is broken itself.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxbias.networks.activations import Activation
from jaxbias.robustness._geometry import (
    Found,
    Problem,
    cross,
    inside,
    length,
    moved,
    project,
    repeat,
    room,
)
from jaxbias.robustness._surrogate import margin
from jaxbias.robustness.starts import starts

# How far past the iterate, and how far before it, the boundary is linearised.
_PUSH, _PULL = 1e-3, 1e-4
# The least improvement that counts, in units of rounding, and the rate below which a
# descent has nothing to gain: the share of a step left after nine failures.
_GAIN, _STILL = 8, 1e-3


@dataclass(frozen=True)
class Search:
    """How hard the attack tries; every number is a static size of the program.

    Attributes:
        picks: tangents tried a point, beside the clean start, the nearest broken anchor
            and the pattern with all neurons on.
        projections: damped projections from every start.
        kept: starts that go on, the best of each point.
        descents: steps along the boundary from those.
        polish: further steps in float64 from those.
        bisections: halvings along the final ray.
        dtype: precision of all but the polish.
    """

    picks: int = 6
    projections: int = 12
    kept: int = 3
    descents: int = 40
    polish: int = 8
    bisections: int = 48
    dtype: str = "float64"


class _Broken(NamedTuple):
    """The shortest broken step so far; infinite length where there is none."""

    steps: Array
    shift: Array
    length: Array


def _projections(
    problem: Problem,
    start: Array,
    activation: Activation,
    order: float | int,
    count: int,
) -> _Broken:
    value_of = lambda shift: margin(
        problem.scores + shift, problem.amplitudes, problem.constants, activation
    )

    def step(number: Array, state: tuple[Array, _Broken]):
        now, best = state
        pushed = inside(problem, (1 + _PUSH) * now)
        shift = moved(problem, pushed)
        value, slope = value_of(shift)
        reached = length(order, pushed)
        better = (value <= 0) & (reached < best.length)
        keep = lambda new, old: jnp.where(better[:, None], new, old)
        best = _Broken(
            keep(pushed, best.steps),
            keep(shift, best.shift),
            jnp.where(better, reached, best.length),
        )
        target = jnp.sum(slope * shift, axis=1) - value
        new = project(problem, order, slope, target)
        # In l_inf the projection jumps between corners, so its average must slow down.
        late = 2.0 / (number.astype(now.dtype) + 4.0)
        damping = 0.5 if order == 2 else jnp.minimum(0.5, late)
        return (1 - damping) * now + damping * new, best

    nothing = jnp.full(start.shape[:1], jnp.inf, start.dtype)
    best = _Broken(start, moved(problem, start), nothing)
    return jax.lax.fori_loop(0, count, step, (start, best))[1]


def _descend(
    problem: Problem,
    best: _Broken,
    activation: Activation,
    order: float | int,
    steps: int,
) -> _Broken:
    """Shorter broken steps, by projections that must improve to be kept.

    No point waits for another: one that has settled stays as it is.
    """
    least = 1 - _GAIN * jnp.finfo(best.length.dtype).eps

    def moves(now: _Broken, rate: Array) -> Array:
        return jnp.isfinite(now.length) & (rate > _STILL)

    def step(state: tuple[_Broken, Array, Array]):
        now, rate, count = state
        going = moves(now, rate)
        # Just before the boundary: beyond it the network may be 0 and have no slope.
        before = (1 - _PULL) * now.shift
        value, slope = margin(
            problem.scores + before, problem.amplitudes, problem.constants, activation
        )
        target = jnp.sum(slope * before, axis=1) - value
        new = project(problem, order, slope, target)
        trial = (1 - rate[:, None]) * now.steps + rate[:, None] * new
        shift = moved(problem, trial)
        reached = length(order, trial)
        finite = going & (reached > 0)
        safe = jnp.where(finite, reached, jnp.ones_like(reached))
        most = jnp.where(finite, now.length / safe, jnp.ones_like(reached))
        most = jnp.minimum(most, room(problem, trial))
        share = cross(problem, shift, activation, most, 8)
        better = finite & (share * reached < least * now.length)
        scale = jnp.where(better, share, jnp.ones_like(share))
        keep = lambda new, old: jnp.where(better[:, None], scale[:, None] * new, old)
        shorter = _Broken(
            keep(trial, now.steps),
            keep(shift, now.shift),
            jnp.where(better, share * reached, now.length),
        )
        changed = jnp.where(better, jnp.minimum(1.5 * rate, 1.0), 0.5 * rate)
        return shorter, jnp.where(going, changed, rate), count + 1

    def goes_on(state: tuple[_Broken, Array, Array]):
        now, rate, count = state
        return (count < steps) & jnp.any(moves(now, rate))

    rate = jnp.full(best.length.shape, 0.5, best.length.dtype)
    start = (best, rate, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(goes_on, step, start)[0]


def _best(broken: _Broken, points: int, kept: int) -> tuple[_Broken, Array]:
    copies = broken.length.shape[0] // points
    # Below infinity, which marks those that are taken.
    lengths = broken.length.reshape(copies, points)
    lengths = jnp.minimum(lengths, jnp.finfo(lengths.dtype).max)
    ranks = []
    # A sort takes longer to compile than all the rest.
    for _ in range(min(kept, copies)):
        ranks.append(jnp.argmin(lengths, axis=0))
        taken = jnp.arange(copies)[:, None] == ranks[-1][None, :]
        lengths = jnp.where(taken, jnp.inf, lengths)
    rank = jnp.stack(ranks)

    def pick(array: Array) -> Array:
        split = array.reshape(copies, points, *array.shape[1:])
        index = rank.reshape(*rank.shape, *([1] * (array.ndim - 1)))
        taken = jnp.take_along_axis(split, index, axis=0)
        return taken.reshape(-1, *array.shape[1:])

    return jax.tree.map(pick, broken), rank


@functools.partial(jax.jit, static_argnames=("activation", "order", "search"))
def attack(
    problem: Problem, activation: Activation, order: float | int, search: Search
) -> Found:
    """The shortest steps found for a block of points, from their best starts."""
    points, copies = problem.scores.shape[0], search.kept
    rough = jax.tree.map(
        lambda a: a.astype(search.dtype) if a.dtype != jnp.int32 else a, problem
    )
    begin = starts(rough, activation, order, search.picks)
    many = repeat(rough, begin.shape[0] // points)
    broken = _projections(many, begin, activation, order, search.projections)
    broken, first = _best(broken, points, copies)
    copies = first.shape[0]
    broken = _descend(repeat(rough, copies), broken, activation, order, search.descents)

    many = repeat(problem, copies)
    # Rounding may have put the rough point on either side.
    steps = inside(many, (1 + _PUSH) * broken.steps.astype(problem.scores.dtype))
    shift = moved(many, steps)
    value, _ = margin(many.scores + shift, many.amplitudes, many.constants, activation)
    flipped = (value <= 0) & jnp.isfinite(broken.length)
    reached = jnp.where(flipped, length(order, steps), jnp.inf)
    broken = _Broken(steps, shift, reached)
    broken = _descend(many, broken, activation, order, search.polish)
    share = cross(
        many, broken.shift, activation, jnp.ones_like(reached), search.bisections
    )
    share = jnp.where(jnp.isfinite(share), jnp.minimum(share, 1.0), 1.0)
    blocks = (copies, points)
    return Found(
        (share[:, None] * broken.steps).reshape(*blocks, -1),
        flipped.reshape(blocks),
        first,
    )
