r"""The minimum-norm attack: an upper end of the radius, batched over points.

Every point runs damped projections onto the linearised decision boundary of the
degree-1 surrogate, from several starts, until something breaks it; the best broken
points then descend along the boundary, each step kept only if it is shorter. In
$\ell_2$ the optimal perturbation lies in the span of the neurons, $\delta = U^T c$, so
the loop works on scores with the Gram matrix $U U^T$, whatever the input dimension.

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
    along,
    cross,
    length,
    project,
    repeat,
)
from jaxbias.robustness._surrogate import margin
from jaxbias.robustness.starts import Starts, starts

# How far past the iterate, and how far before it, the boundary is linearised.
_PUSH, _PULL = 1e-3, 1e-4
# The least improvement that counts, in units of rounding, and the rate below which a
# descent has nothing to gain: the share of a step left after nine failures.
_GAIN, _STILL = 8, 1e-3


@dataclass(frozen=True)
class Search:
    """How hard the attack tries; every number is a static size of the program.

    Attributes:
        picks: anchors tried a point, beside the clean start, the nearest broken anchor
            and the pattern with all neurons on.
        projections: damped projections from every start.
        kept: starts that go on, the best of each point.
        descents: steps along the boundary from those.
        polish: further steps in float64 from the best one.
        bisections: halvings along the final ray.
        dtype: precision of all but the polish.
    """

    picks: int = 4
    projections: int = 12
    kept: int = 2
    descents: int = 40
    polish: int = 8
    bisections: int = 48
    dtype: str = "float32"


class _Broken(NamedTuple):
    """The shortest broken perturbation so far; infinite length where there is none."""

    coordinates: Array
    shift: Array
    length: Array


def _projections(
    problem: Problem,
    start: Starts,
    activation: Activation,
    order: float | int,
    steps: int,
) -> _Broken:
    def step(count: Array, state: tuple[Array, Array, _Broken]):
        coordinates, shift, best = state
        pushed = (1 + _PUSH) * shift
        value, slope = margin(
            problem.scores + pushed,
            problem.amplitudes,
            problem.constants,
            problem.signs,
            activation,
        )
        reached = (1 + _PUSH) * length(problem, order, coordinates, shift)
        better = (value <= 0) & (reached < best.length)
        keep = lambda new, old: jnp.where(better[:, None], new, old)
        best = _Broken(
            keep((1 + _PUSH) * coordinates, best.coordinates),
            keep(pushed, best.shift),
            jnp.where(better, reached, best.length),
        )
        target = jnp.sum(slope * pushed, axis=1) - value
        new, moved = project(problem, order, slope, target)
        # In l_inf the projection jumps between corners, so its average must slow down.
        late = 2.0 / (count.astype(shift.dtype) + 4.0)
        damping = 0.5 if order == 2 else jnp.minimum(0.5, late)
        mix = lambda old, new: (1 - damping) * old + damping * new
        return mix(coordinates, new), mix(shift, moved), best

    nothing = jnp.full(start.shift.shape[:1], jnp.inf, start.shift.dtype)
    best = _Broken(start.coordinates, start.shift, nothing)
    state = (start.coordinates, start.shift, best)
    return jax.lax.fori_loop(0, steps, step, state)[2]


def _descend(
    problem: Problem,
    best: _Broken,
    activation: Activation,
    order: float | int,
    steps: int,
) -> _Broken:
    """Shorter broken perturbations, by projections that must improve to be kept."""
    value_of = lambda shift: margin(
        problem.scores + shift,
        problem.amplitudes,
        problem.constants,
        problem.signs,
        activation,
    )

    least = 1 - _GAIN * jnp.finfo(best.length.dtype).eps

    def step(state: tuple[_Broken, Array, Array]):
        now, rate, count = state
        # Just before the boundary: beyond it the network may be 0 and have no slope.
        inside = (1 - _PULL) * now.shift
        value, slope = value_of(inside)
        target = jnp.sum(slope * inside, axis=1) - value
        new, moved = project(problem, order, slope, target)
        mix = lambda old, new: (1 - rate[:, None]) * old + rate[:, None] * new
        coordinates, shift = mix(now.coordinates, new), mix(now.shift, moved)
        reached = length(problem, order, coordinates, shift)
        finite = jnp.isfinite(now.length) & (reached > 0)
        safe = jnp.where(finite, reached, jnp.ones_like(reached))
        most = jnp.where(finite, now.length / safe, jnp.ones_like(reached))
        share = cross(problem, shift, activation, most, 8)
        better = finite & (share * reached < least * now.length)
        scale = jnp.where(better, share, jnp.ones_like(share))
        keep = lambda new, old: jnp.where(better[:, None], scale[:, None] * new, old)
        shorter = _Broken(
            keep(coordinates, now.coordinates),
            keep(shift, now.shift),
            jnp.where(better, share * reached, now.length),
        )
        rate = jnp.where(better, jnp.minimum(1.5 * rate, 1.0), 0.5 * rate)
        return shorter, rate, count + 1

    def goes_on(state: tuple[_Broken, Array, Array]):
        now, rate, count = state
        moves = jnp.isfinite(now.length) & (rate > _STILL)
        return (count < steps) & jnp.any(moves)

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


def attack(
    problem: Problem, activation: Activation, order: float | int, search: Search
) -> Found:
    """The shortest perturbation found for every point; jittable, one network."""
    points = problem.scores.shape[0]
    rough = jax.tree.map(
        lambda a: a.astype(search.dtype) if a.dtype != jnp.int32 else a, problem
    )
    begin, anchor = starts(rough, activation, order, search.picks)
    rough = along(rough, anchor)
    copies = begin.shift.shape[0] // points
    many = repeat(rough, copies)
    broken = _projections(many, begin, activation, order, search.projections)
    broken, first = _best(broken, points, search.kept)
    many = repeat(rough, first.shape[0])
    broken = _descend(many, broken, activation, order, search.descents)
    broken, second = _best(broken, points, 1)
    start = jnp.take_along_axis(first, second, axis=0)[0]

    problem = along(problem, anchor)
    # Rounding may have put the rough point on either side.
    coordinates = (1 + _PUSH) * broken.coordinates.astype(problem.scores.dtype)
    if order == 2:
        shift = coordinates[:, :-1] @ problem.gram
        shift = shift + coordinates[:, -1:] * problem.ray
    else:
        shift = coordinates @ problem.rows.T
    value, _ = margin(
        problem.scores + shift,
        problem.amplitudes,
        problem.constants,
        problem.signs,
        activation,
    )
    reached = length(problem, order, coordinates, shift)
    flipped = (value <= 0) & jnp.isfinite(broken.length)
    reached = jnp.where(flipped, reached, jnp.inf)
    broken = _Broken(coordinates, shift, reached)
    broken = _descend(problem, broken, activation, order, search.polish)
    ones = jnp.ones_like(reached)
    share = cross(problem, broken.shift, activation, ones, search.bisections)
    share = jnp.minimum(share, 1.0)
    return Found(share[:, None] * broken.coordinates, flipped, start, anchor)


@functools.partial(jax.jit, static_argnames=("activation", "order", "search", "block"))
def attack_many(
    problems: Problem,
    activation: Activation,
    order: float | int,
    search: Search,
    block: int | None = None,
) -> Found:
    """The attack over a leading axis of problems, in blocks of ``block``.

    What is stored for one network only (a leading axis of 1) is shared.
    """
    count = problems.scores.shape[0]
    shared = [name for name in ("rows", "gram") if len(getattr(problems, name)) < count]
    mapped = problems._replace(
        **{name: jnp.zeros((count, 0, 0), problems.gram.dtype) for name in shared}
    )

    def one(item: Problem) -> Found:
        item = item._replace(**{name: getattr(problems, name)[0] for name in shared})
        return attack(item, activation, order, search)

    return jax.lax.map(one, mapped, batch_size=block)
