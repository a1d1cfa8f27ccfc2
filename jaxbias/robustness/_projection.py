r"""The shortest way into a convex set: an interior-point method with a certificate.

A lane is the set $\{G \le 0\}$ of a convex function
$$G(\delta) = \sum_j c_j \psi(z_j + \langle u_j, \delta\rangle)
  - \langle \beta, \delta\rangle - \gamma,\qquad c_j \ge 0,$$
and its distance from 0 in $\ell_2$ or $\ell_\infty$ is wanted. With one variable
$s_j \ge \max(z_j + \langle u_j,\delta\rangle, 0)$ a neuron, $\psi$ is only seen on
$s > 0$, where it is smooth for every power.

Any slopes $\theta_j$ of lines below $c_j\psi$ bound the distance from below,
$$\frac{\sum_j (\theta_j z_j + c_j\psi(t_j) - \theta_j t_j) - \gamma}
  {\|\sum_j \theta_j u_j - \beta\|_{q^*}},$$
with $t_j$ the point where the line touches; inside a box by what is left of the
half-space there (see ``_boxes``). The method only chooses the slopes, so
that a run that has not converged, or an empty set, still gives a sound number.

All lanes are one compiled program, padded to few sizes. It runs in float64 inside
``jax.enable_x64(True)``; what comes back are NumPy arrays.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.robustness._blocks import blocks
from jaxbias.robustness._boxes import shortest
from jaxbias.robustness._profile import Profile

_STEPS = 60
_TO_THE_WALL, _LEAST_CENTRING, _MOST_CENTRING = 0.99, 0.02, 0.8
_CLOSED, _STUCK = 1e-10, 1e-9
_UNIT = 2.0**-52
# Neurons and features of the smallest programs.
_SMALLEST = (16, 8)
# Of the reach: sides of a box that are shorter are widened, which only relaxes it.
_THIN = 1e-6
Numbers = Any


class ConvexSets(NamedTuple):
    r"""Lanes ``{G <= 0}``; the rows and their scale are shared by all of them.

    Attributes:
        rows: $u_j$.
        scale: of an exponential profile.
        weights: $c_j$.
        scores: $z_j$.
        slope: $\beta$.
        level: $\gamma$.
        reach: how far the search goes: a bound above it is as good as the reach.
        sizes: lengths of the inputs that the scores are of.
        unit: relative rounding of those scores.
        low: lowest steps of a box, 0 or less; None without a box.
        high: highest ones, 0 or more.
    """

    rows: Float[Numbers, "neuron feature"]
    scale: Float[Numbers, " neuron"]
    weights: Float[Numbers, "lane neuron"]
    scores: Float[Numbers, "lane neuron"]
    slope: Float[Numbers, "lane feature"]
    level: Float[Numbers, " lane"]
    reach: Float[Numbers, " lane"]
    sizes: Float[Numbers, " lane"]
    unit: Float[Numbers, ""]
    low: Float[Numbers, "lane feature"] | None = None
    high: Float[Numbers, "lane feature"] | None = None


@dataclass(frozen=True)
class Projection:
    """Where the lanes ended.

    Attributes:
        lower: certified distances, at most a little above the reach.
        step: nearly nearest points.
        closed: relative gap between a step's length and its bound; infinite for steps
            outside their sets.
    """

    lower: Float[np.ndarray, " lane"]
    step: Float[np.ndarray, "lane feature"]
    closed: Float[np.ndarray, " lane"]


def project(sets: ConvexSets, profile: Profile, order: float | int) -> Projection:
    """Distances of all lanes, with at most 60 Newton steps each."""
    count, (neurons, features) = len(sets.level), sets.rows.shape
    # Neurons without weight and features that no neuron reads change nothing.
    wide = _padded(neurons, _SMALLEST[0]) - neurons
    deep = _padded(features, _SMALLEST[1]) - features
    across = ((0, 0), (0, wide))
    parts = []
    side = lambda end, index: np.pad(end[index], ((0, 0), (0, deep)))
    for _, index in blocks(count):
        with jax.enable_x64(True):
            full = ConvexSets(
                rows=np.pad(sets.rows, ((0, wide), (0, deep))),
                scale=np.pad(sets.scale, (0, wide), constant_values=1),
                weights=np.pad(sets.weights[index], across),
                scores=np.pad(sets.scores[index], across),
                slope=np.pad(sets.slope[index], ((0, 0), (0, deep))),
                level=sets.level[index],
                reach=sets.reach[index],
                sizes=sets.sizes[index],
                unit=sets.unit,
                low=None if sets.low is None else side(sets.low, index),
                high=None if sets.high is None else side(sets.high, index),
            )
            parts.append(jax.device_get(_project(full, profile, order)))
    lower, step, closed = (
        np.concatenate(field)[:count] for field in zip(*parts, strict=True)
    )
    return Projection(lower, step[:, :features], closed)


def _padded(count: int, least: int) -> int:
    """The next power of two, so that few sizes are compiled."""
    return max(least, 1 << max(count - 1, 0).bit_length())


@functools.partial(jax.jit, static_argnames=("profile", "order"))
def _project(sets: ConvexSets, profile: Profile, order: float | int):
    lane = functools.partial(_lane, profile=profile, order=order)
    box = None if sets.low is None else 0
    shared = ConvexSets(None, None, 0, 0, 0, 0, 0, 0, None, box, box)
    return jax.vmap(lane, in_axes=(shared,))(sets)


class _Path(NamedTuple):
    """Where a lane is: variables, multipliers, and what it has proved."""

    y: Array
    s: Array
    w: Array
    nu: Array
    omega: Array
    lam: Array
    zeta: Array
    share: Array
    best: Array
    gap: Array
    count: Array
    done: Array


def _lane(sets: ConvexSets, profile: Profile, order: float | int):
    """One lane, until it has arrived: its bound, its step, its gap."""
    start, top = _start(sets, profile, order)
    features = sets.rows.shape[1]

    def body(path: _Path) -> _Path:
        new = _newton(sets, path, profile, order)
        d = new.y[:features]
        theta = new.nu / new.lam
        bound = certificate(sets, theta, new.s, profile, order)
        moved = jnp.maximum(sets.scores + sets.rows @ d, 0)
        value = jnp.sum(sets.weights * profile.value(moved, sets.scale))
        value = value - sets.slope @ d - sets.level
        length = jnp.sqrt(d @ d) if order == 2 else jnp.max(jnp.abs(d))
        gap = jnp.where(value <= 1e-9 * top, 1 - bound / length, jnp.inf)
        healthy = jnp.isfinite(jnp.sum(new.y)) & jnp.isfinite(new.lam)
        bound = jnp.where(healthy, bound, 0.0)
        done = ~healthy | (gap < _CLOSED) | (bound >= sets.reach)
        done = done | (new.share <= _STUCK)
        new = new._replace(gap=gap)
        new = jax.tree.map(lambda a, b: jnp.where(healthy, a, b), new, path)
        best = jnp.maximum(path.best, bound)
        return new._replace(best=best, done=done, count=path.count + 1)

    last = jax.lax.while_loop(
        lambda path: ~path.done & (path.count < _STEPS), body, start
    )
    return last.best, last.y[:features], last.gap


def certificate(
    sets: ConvexSets, theta: Array, guess: Array, profile: Profile, order: float | int
) -> Array:
    """The bound of one lane from any slopes, rounded downwards.

    Args:
        sets: the lane.
        theta: slopes; made into slopes of lines that are below the function.
        guess: near where they touch it.
        profile: the function.
        order: 2 or infinity.
    """
    weights, scale = sets.weights, sets.scale
    used = weights > 0
    wanted = theta / jnp.where(used, weights, jnp.ones_like(weights))
    zero = jnp.zeros_like(theta)
    steep = wanted > profile.slope(zero, scale)
    touch = jnp.where(steep & used, profile.touch(wanted, guess, scale), zero)
    # A slope below that at the kink is one of a line through the kink.
    tangent = weights * profile.slope(touch, scale)
    slopes = jnp.where(used, jnp.where(steep, tangent, jnp.maximum(theta, 0)), zero)
    heights = weights * profile.value(touch, scale)
    direction = slopes @ sets.rows - sets.slope
    # An error in an exponent is one of the whole: a thousand units, up to exp(200).
    slack = sets.unit + (1000.0 * _UNIT if profile.exponential else 0.0)
    lines = slopes * sets.scores + heights - slopes * touch
    far = jnp.abs(sets.scores) + sets.sizes * jnp.sqrt(jnp.sum(sets.rows**2, axis=1))
    size = slopes * (far + touch) + heights
    above = jnp.sum(lines) - sets.level
    above = above - slack * (jnp.sum(size) + jnp.abs(sets.level))
    bulk = slopes @ jnp.abs(sets.rows) + jnp.abs(sets.slope)
    norm = _dual(direction, order) + slack * _dual(bulk, order)
    positive = norm > 0
    distance = above / jnp.where(positive, norm, jnp.ones_like(norm))
    distance = jnp.where(positive, distance * (1 - 8 * _UNIT), jnp.inf)
    if sets.low is not None and sets.high is not None:
        # What rounding may have turned counts as free either way.
        error = slack * bulk
        cap = jnp.where(direction < 0, sets.high, -sets.low)
        cap = jnp.where(
            jnp.abs(direction) <= error, jnp.maximum(sets.high, -sets.low), cap
        )
        size = jnp.abs(direction) + error
        boxed = shortest(size, cap, above, order) * (1 - sets.unit)
        distance = jnp.maximum(distance, boxed)
    # Not even a number is not above 0.
    return jnp.where((above > 0) & (distance > 0), distance, jnp.zeros_like(above))


def _dual(vector: Array, order: float | int) -> Array:
    if order == 2:
        return jnp.sqrt(vector @ vector)
    return jnp.sum(jnp.abs(vector))


def _start(
    sets: ConvexSets, profile: Profile, order: float | int
) -> tuple[_Path, Array]:
    """A strictly feasible start in units of the reach and of the function."""
    reach, used = sets.reach, sets.weights > 0
    features = sets.rows.shape[1]
    lengths = jnp.sqrt(jnp.sum(sets.rows**2, axis=1))
    d = jnp.zeros_like(sets.slope)
    if sets.low is not None:
        low, high = _widened(sets)
        room = jnp.minimum(0.25 * (high - low), 0.05 * reach)
        d = jnp.clip(d, low + room, high - room)
    moved = jnp.maximum(sets.scores + sets.rows @ d, 0)
    s = moved + 0.1 * reach * jnp.maximum(lengths, 1e-3)
    top = jnp.sum(sets.weights * profile.value(s, sets.scale)) + jnp.abs(sets.level)
    top = jnp.maximum(top + reach * jnp.sum(jnp.abs(sets.slope)), 1e-300)
    price = reach * reach if order == 2 else reach
    only = lambda a: jnp.where(used, a, jnp.zeros_like(a))
    safe = lambda a: jnp.where(used, a, jnp.ones_like(a))
    if order == 2:
        y, zeta = d, jnp.zeros((0, features), s.dtype)
    else:
        y = jnp.append(d, reach)
        zeta = jnp.full((2, features), 0.5 / features, s.dtype)
    if sets.low is not None:
        walls = _walls(sets, y, order)[-2:]
        zeta = jnp.concatenate([zeta, 0.1 * price / walls])
    path = _Path(
        y=y,
        s=s,
        w=top,
        nu=only(0.1 * price / safe(s - sets.scores - sets.rows @ d)),
        omega=only(0.1 * price / s),
        lam=price / top,
        zeta=zeta,
        share=jnp.full_like(reach, 0.5),
        best=jnp.zeros_like(reach),
        gap=jnp.full_like(reach, jnp.inf),
        count=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
    )
    return path, top


def _widened(sets: ConvexSets) -> tuple[Array, Array]:
    """The box with an inside, and no further than the search goes."""
    assert sets.low is not None
    assert sets.high is not None
    far, thin = 4 * sets.reach, _THIN * sets.reach
    low, high = jnp.maximum(sets.low, -far), jnp.minimum(sets.high, far)
    more = jnp.where(high - low < thin, thin, jnp.zeros_like(low))
    return low - more, high + more


def _signs(sets: ConvexSets, order: float | int) -> tuple[np.ndarray, np.ndarray]:
    """Of the step and of its length in every wall."""
    pairs = (order != 2) + (sets.low is not None)
    length = np.zeros((2 * pairs, 1))
    length[: 2 * (order != 2)] = 1.0
    return np.tile([[-1.0], [1.0]], (pairs, 1)), length


def _walls(sets: ConvexSets, y: Array, order: float | int) -> Array:
    """How far a step is from |d| <= t and from the box, one row a side."""
    features = sets.rows.shape[1]
    d, rows = y[:features], []
    if order != 2:
        rows += [y[-1] - d, y[-1] + d]
    if sets.low is not None:
        low, high = _widened(sets)
        rows += [high - d, d - low]
    return jnp.stack(rows) if rows else jnp.zeros((0, features), y.dtype)


def _newton(
    sets: ConvexSets, path: _Path, profile: Profile, order: float | int
) -> _Path:
    """One Newton step towards the central path, as far as the walls allow."""
    free = order == 2
    used, features = sets.weights > 0, sets.rows.shape[1]
    rows = sets.rows if free else jnp.pad(sets.rows, ((0, 0), (0, 1)))
    slope = sets.slope if free else jnp.pad(sets.slope, (0, 1))
    only = lambda a: jnp.where(used, a, jnp.zeros_like(a))
    safe = lambda a: jnp.where(used, a, jnp.ones_like(a))
    y, w, nu, omega, lam, zeta = (
        getattr(path, name) for name in ("y", "w", "nu", "omega", "lam", "zeta")
    )
    d, s = y[:features], safe(path.s)
    a = safe(s - sets.scores - sets.rows @ d)

    products = jnp.sum(nu * a + omega * s) + lam * w
    count = (2 * jnp.sum(used) + 1).astype(s.dtype)
    r_y = nu @ rows - lam * slope
    b = _walls(sets, y, order)
    turn, long = _signs(sets, order)
    products = products + jnp.sum(zeta * b)
    count = count + len(b) * features
    ratio = zeta / b
    across = lambda a: jnp.sum(turn * a, axis=0)
    if free:
        base = jnp.eye(len(y), dtype=s.dtype) + jnp.diag(jnp.sum(ratio, axis=0))
        r_y = r_y + y - across(zeta)
    else:
        base = jnp.pad(jnp.diag(jnp.sum(ratio, axis=0)), ((0, 1), (0, 1)))
        edge = jnp.append(across(long * ratio), jnp.sum(long * ratio) / 2)
        last = jnp.zeros_like(y).at[-1].set(1)
        base = base + edge[:, None] * last[None] + last[:, None] * edge[None]
        r_y = r_y + jnp.append(-across(zeta), 1 - jnp.sum(long * zeta))
    # From how far the last step went, which needs no second solve.
    centring = jnp.clip((1 - path.share) ** 2, _LEAST_CENTRING, _MOST_CENTRING)
    mu = centring * products / count

    grow = only(sets.weights * profile.slope(s, sets.scale))
    bend = only(sets.weights * profile.curvature(s, sets.scale))
    push, lift = nu / a, omega / s
    e = safe(lam * bend + push + lift)
    stiff = push * (lam * bend + lift) / e
    matrix = base + (rows * stiff[:, None]).T @ rows
    pull = slope - (push * grow / e) @ rows

    to_nu, to_omega = only(mu / a) - nu, only(mu / s) - omega
    right_s = nu + omega - lam * grow + to_nu + to_omega
    right_y = -r_y - (to_nu - push * right_s / e) @ rows
    bare = mu / b - zeta
    if free:
        right_y = right_y + across(bare)
    else:
        right_y = right_y + jnp.append(across(bare), jnp.sum(long * bare))
    height = jnp.sum(only(sets.weights * profile.value(s, sets.scale)))
    room = sets.level + sets.slope @ d - height - w
    right_l = mu / lam - w - room + jnp.sum(grow * right_s / e)
    kappa = w / lam + jnp.sum(grow**2 / e)

    both = _solve(matrix, jnp.stack([right_y, pull], axis=1))
    first, along = both[:, 0], both[:, 1]
    d_lam = (right_l - pull @ first) / (kappa + pull @ along)
    d_y = first + along * d_lam
    u_d = rows @ d_y
    d_s = only((right_s + push * u_d - grow * d_lam) / e)
    d_a = only(d_s - u_d)
    d_nu, d_omega = to_nu - push * d_a, to_omega - lift * d_s
    d_w = (mu - lam * w - w * d_lam) / lam
    values = [s, a, nu, omega, jnp.stack([w, lam])]
    changes = [d_s, d_a, d_nu, d_omega, jnp.stack([d_w, d_lam])]
    d_b = turn * d_y[None, :features]
    if not free:
        d_b = d_b + long * d_y[-1]
    d_zeta = bare - ratio * d_b
    values += [zeta.ravel(), b.ravel()]
    changes += [d_zeta.ravel(), d_b.ravel()]
    value, change = jnp.concatenate(values), jnp.concatenate(changes)
    falls = change < 0
    left = -value / jnp.where(falls, change, -jnp.ones_like(change))
    most = jnp.min(jnp.where(falls, left, jnp.inf))
    share = jnp.minimum(1.0, _TO_THE_WALL * most)
    return path._replace(
        y=y + share * d_y,
        s=path.s + share * d_s,
        w=w + share * d_w,
        nu=nu + share * d_nu,
        omega=omega + share * d_omega,
        lam=lam + share * d_lam,
        zeta=zeta + share * d_zeta,
        share=share,
    )


def _solve(matrix: Array, right: Array) -> Array:
    """Gauss-Jordan elimination, which needs no pivots where a matrix is definite.

    Lanes are many and matrices small, so this is faster than LAPACK, whose batches
    may also wait for each other for ever (see ``largest_eigenvalue``).
    """
    both = jnp.concatenate([matrix, right], axis=1)
    rows = jnp.arange(len(matrix))

    def eliminate(k: Array, both: Array) -> Array:
        row = both[k] / both[k, k]
        column = jnp.where(rows == k, jnp.zeros_like(both[:, k]), both[:, k])
        both = both - column[:, None] * row[None]
        return jnp.where((rows == k)[:, None], row[None], both)

    return jax.lax.fori_loop(0, len(matrix), eliminate, both)[:, len(matrix) :]
