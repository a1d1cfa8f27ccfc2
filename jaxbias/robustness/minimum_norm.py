r"""The minimum-norm attack: an upper end of the radius, batched over points.

Every point runs damped sequential projections onto the linearised decision boundary
of the degree-1 surrogate, from several starts, and then bisects along its best ray. In
$\ell_2$ the optimal perturbation lies in the span of the neurons, $\delta = U^T c$, so
the loop works on scores with the Gram matrix $U U^T$, whatever the input dimension.

Gradient attacks that start at the clean point do not see opposing neurons that are
off there. The starts therefore come from the convex half that opposes the label: a
tangent of it anywhere bounds it from below, so each anchor point gives a convex set
of broken points and an estimate of its distance; the closest, mutually different
anchors are tried.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxbias.networks.activations import Activation
from jaxbias.robustness._surrogate import halves, margin

# JAX arrays inside the program, NumPy arrays around it.
Numbers = Any
_EXACT = jax.lax.Precision.HIGHEST
# How far past the current iterate the boundary is linearised and a flip looked for.
_PUSH = 1e-3


@dataclass(frozen=True)
class Search:
    """How hard the attack tries; every number is a static size of the program.

    Attributes:
        picks: anchors tried a point, beside the clean start and the all-on pattern.
        short: projections from every start.
        kept: starts that go on, the best of each point.
        long: further projections from those.
        polish: final projections in float64 from the best one.
        bisections: halvings along the final ray.
        dtype: precision of all but the polish.
    """

    picks: int = 4
    short: int = 12
    kept: int = 2
    long: int = 40
    polish: int = 8
    bisections: int = 48
    dtype: str = "float32"


class Problem(NamedTuple):
    """One scalar network in normal form, and the points to attack, as arrays.

    Anchors are scores of other points, ``reach`` their distances from each point,
    infinite for scores that no point need have. The first switches every neuron on.
    """

    rows: Float[Numbers, "neuron feature"]
    gram: Float[Numbers, "neuron neuron"]
    amplitudes: Float[Numbers, " neuron"]
    scores: Float[Numbers, "point neuron"]
    constants: Float[Numbers, " point"]
    signs: Shaped[Numbers, " point"]
    anchors: Float[Numbers, "anchor neuron"]
    reach: Float[Numbers, "point anchor"]


class Found(NamedTuple):
    """The perturbation of each point, whether it flips it, and its start.

    In l_2 the perturbation is given by its coordinates on the neurons' rows.
    """

    coordinates: Float[Numbers, "point coordinate"]
    flipped: Bool[Numbers, " point"]
    start: Int[Numbers, " point"]


class _Iterate(NamedTuple):
    coordinates: Array
    shift: Array
    best_coordinates: Array
    best_shift: Array
    best_length: Array


def _project(problem: Problem, order: float | int, slope: Array, target: Array):
    r"""The shortest perturbation with $\langle slope, \delta\rangle = target$."""
    if order == 2:
        image = jnp.matmul(slope, problem.gram, precision=_EXACT)
        square = jnp.sum(slope * image, axis=1)
        step = _divide(target, square)[:, None]
        return step * slope, step * image
    inputs = jnp.matmul(slope, problem.rows, precision=_EXACT)
    step = _divide(target, jnp.sum(jnp.abs(inputs), axis=1))[:, None]
    coordinates = step * jnp.sign(inputs)
    return coordinates, jnp.matmul(coordinates, problem.rows.T, precision=_EXACT)


def _divide(numerator: Array, denominator: Array) -> Array:
    safe = jnp.where(denominator > 0, denominator, jnp.ones_like(denominator))
    return jnp.where(denominator > 0, numerator / safe, jnp.zeros_like(numerator))


def _length(order: float | int, coordinates: Array, shift: Array) -> Array:
    if order == 2:
        return jnp.sqrt(jnp.maximum(jnp.sum(coordinates * shift, axis=1), 0))
    return jnp.max(jnp.abs(coordinates), axis=1)


def _start(coordinates: Array, shift: Array) -> _Iterate:
    return _Iterate(
        coordinates,
        shift,
        coordinates,
        shift,
        jnp.full(shift.shape[:1], jnp.inf, shift.dtype),
    )


def _projections(
    problem: Problem,
    iterate: _Iterate,
    activation: Activation,
    order: float | int,
    steps: int,
    first: int = 0,
) -> _Iterate:
    copies = iterate.shift.shape[0] // problem.scores.shape[0]
    scores = jnp.tile(problem.scores, (copies, 1))
    constants, signs = (
        jnp.tile(problem.constants, copies),
        jnp.tile(problem.signs, copies),
    )

    def step(count: Array, now: _Iterate) -> _Iterate:
        pushed = (1 + _PUSH) * now.shift
        value, slope = margin(
            scores + pushed, problem.amplitudes, constants, signs, activation
        )
        length = (1 + _PUSH) * _length(order, now.coordinates, now.shift)
        better = (value <= 0) & (length < now.best_length)
        target = jnp.sum(slope * pushed, axis=1) - value
        coordinates, shift = _project(problem, order, slope, target)
        # In l_inf the projection jumps between corners, so its average must slow down.
        late = 2.0 / (count.astype(shift.dtype) + 4.0)
        damping = 0.5 if order == 2 else jnp.minimum(0.5, late)
        keep = lambda new, old: jnp.where(better[:, None], new, old)
        return _Iterate(
            (1 - damping) * now.coordinates + damping * coordinates,
            (1 - damping) * now.shift + damping * shift,
            keep((1 + _PUSH) * now.coordinates, now.best_coordinates),
            keep(pushed, now.best_shift),
            jnp.where(better, length, now.best_length),
        )

    return jax.lax.fori_loop(first, first + steps, step, iterate)


def _anchored_starts(
    problem: Problem, activation: Activation, order: float | int, picks: int
):
    """Starts of every point: clean, a broken anchor, all neurons on, close anchors."""
    anchors, amplitudes, signs = problem.anchors, problem.amplitudes, problem.signs
    clean = halves(problem.scores, amplitudes, problem.constants, activation)
    constants = jnp.full(anchors.shape[:1], problem.constants[0])
    far = halves(anchors, amplitudes, constants, activation)
    plus = (signs > 0)[:, None]
    own = jnp.where(plus[:, 0], clean.positive, clean.negative)
    own_slope = jnp.where(plus, clean.positive_slope, clean.negative_slope)
    own_image = jnp.matmul(own_slope, problem.gram, precision=_EXACT)
    own_square = jnp.sum(own_slope * own_image, axis=1)

    def table(root: Array, slope: Array):
        image = jnp.matmul(slope, problem.gram, precision=_EXACT)
        inner = jnp.matmul(image, slope.T, precision=_EXACT)
        square = jnp.diagonal(inner)
        tangent = root - jnp.sum(slope * anchors, axis=1)
        tangent = tangent[None, :] + jnp.matmul(
            problem.scores, slope.T, precision=_EXACT
        )
        gap = jnp.maximum(own[:, None] - tangent, 0)
        cross = jnp.matmul(own_image, slope.T, precision=_EXACT)
        square_gap = own_square[:, None] - 2 * cross + square[None, :]
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
        alike = likeness[side, choice] > 0.95
        return jnp.where(alike, jnp.inf, distance), choice

    # The first anchor switches every neuron on, and is always tried.
    all_on = jnp.zeros((1, len(signs)), jnp.int32)
    _, closest = jax.lax.scan(pick, distance, length=picks)
    choices = jnp.concatenate([all_on, closest.astype(jnp.int32)])

    def step(choice: Array):
        slopes = sides[side, choice]
        tangent = jnp.take_along_axis(tangents, choice[:, None], axis=1)[:, 0]
        return own_slope - slopes, tangent - own

    # The boundary on the way to the nearest anchor that is broken itself.
    lead = far.positive - far.negative
    broken = signs[:, None] * lead[None, :] <= 0
    nearest = jnp.argmin(jnp.where(broken, problem.reach, jnp.inf), axis=1)
    ray = anchors[nearest] - problem.scores
    ray = _bisect(problem, ray, activation, 16)[:, None] * ray
    value, slope = margin(
        problem.scores + ray, amplitudes, problem.constants, signs, activation
    )
    slopes, targets = jax.vmap(step)(choices)
    slopes = jnp.concatenate([jnp.zeros_like(own_slope), slope, *slopes])
    target = jnp.sum(slope * ray, axis=1) - value
    targets = jnp.concatenate([jnp.zeros_like(own), target, *targets])
    return _project(problem, order, slopes, targets)


def _best(iterate: _Iterate, points: int, kept: int) -> tuple[_Iterate, Array]:
    copies = iterate.shift.shape[0] // points
    lengths = iterate.best_length.reshape(copies, points)
    # Below infinity, which marks those that are taken.
    lengths = jnp.minimum(lengths, jnp.finfo(lengths.dtype).max)
    ranks = []
    # A sort takes longer to compile than all the rest.
    for _ in range(kept):
        ranks.append(jnp.argmin(lengths, axis=0))
        taken = jnp.arange(copies)[:, None] == ranks[-1][None, :]
        lengths = jnp.where(taken, jnp.inf, lengths)
    ranks = jnp.stack(ranks)

    def pick(array: Array) -> Array:
        split = array.reshape(copies, points, *array.shape[1:])
        index = ranks.reshape(*ranks.shape, *([1] * (array.ndim - 1)))
        return jnp.take_along_axis(split, index, axis=0).reshape(
            kept * points, *array.shape[1:]
        )

    return jax.tree.map(pick, iterate), ranks


def attack(
    problem: Problem, activation: Activation, order: float | int, search: Search
) -> Found:
    """The shortest perturbation found for every point; jittable, one network."""
    points = problem.scores.shape[0]
    rough = jax.tree.map(lambda a: a.astype(search.dtype), problem)
    starts = _anchored_starts(rough, activation, order, search.picks)
    iterate = _start(*starts)
    iterate = _projections(rough, iterate, activation, order, search.short)
    iterate, first = _best(iterate, points, search.kept)
    iterate = _projections(rough, iterate, activation, order, search.long, search.short)
    iterate, second = _best(iterate, points, 1)
    start = jnp.take_along_axis(first, second, axis=0)[0]
    exact = problem.scores.dtype
    moved = jnp.isfinite(iterate.best_length)[:, None]
    begin = jnp.where(moved, iterate.best_coordinates, iterate.coordinates).astype(
        exact
    )
    shift = begin @ (problem.gram if order == 2 else problem.rows.T)
    iterate = _projections(
        problem,
        _start(begin, shift),
        activation,
        order,
        search.polish,
        search.short + search.long,
    )
    # The rough winner, measured exactly, against the polished one.
    value, _ = margin(
        problem.scores + (1 + _PUSH) * shift,
        problem.amplitudes,
        problem.constants,
        problem.signs,
        activation,
    )
    length = (1 + _PUSH) * _length(order, begin, shift)
    rough_wins = (value <= 0) & (length < iterate.best_length)
    coordinates = jnp.where(
        rough_wins[:, None], (1 + _PUSH) * begin, iterate.best_coordinates
    )
    shift = jnp.where(rough_wins[:, None], (1 + _PUSH) * shift, iterate.best_shift)
    flipped = rough_wins | jnp.isfinite(iterate.best_length)
    along = _bisect(problem, shift, activation, search.bisections)
    return Found(along[:, None] * coordinates, flipped, start)


def _bisect(
    problem: Problem, shift: Array, activation: Activation, halvings: int
) -> Array:
    """Where the ray towards a flipped point is flipped, as a share of its length."""

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        value, _ = margin(
            problem.scores + middle[:, None] * shift,
            problem.amplitudes,
            problem.constants,
            problem.signs,
            activation,
        )
        return jnp.where(value <= 0, low, middle), jnp.where(value <= 0, middle, high)

    ones = jnp.ones(shift.shape[:1], shift.dtype)
    return jax.lax.fori_loop(0, halvings, halve, (0 * ones, ones))[1]


@functools.partial(jax.jit, static_argnames=("activation", "order", "search", "block"))
def attack_many(
    problems: Problem,
    activation: Activation,
    order: float | int,
    search: Search,
    block: int | None = None,
) -> Found:
    """The attack over a leading axis of problems, in blocks of ``block``.

    ``rows`` and ``gram`` may have a leading axis of 1, and are then shared.
    """
    shared = problems.rows.shape[0] == 1 < problems.scores.shape[0]

    def one(item: Problem) -> Found:
        if shared:
            item = item._replace(rows=problems.rows[0], gram=problems.gram[0])
        return attack(item, activation, order, search)

    if shared:
        count = problems.scores.shape[0]
        empty = jnp.zeros((count, 0, 0), problems.rows.dtype)
        problems_mapped = problems._replace(rows=empty, gram=empty)
    else:
        problems_mapped = problems
    return jax.lax.map(one, problems_mapped, batch_size=block)
