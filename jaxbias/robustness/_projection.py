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

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.robustness._blocks import blocks
from jaxbias.robustness._boxes import shortest
from jaxbias.robustness._interior import ConvexSets, Path, newton, walls, widened
from jaxbias.robustness._profile import Profile

_STEPS = 60
_CLOSED, _STUCK = 1e-10, 1e-9
_UNIT = 2.0**-52
# Neurons and features of the smallest programs.
_SMALLEST = (16, 8)


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
    wide, deep = _padded(neurons, _SMALLEST[0]), _padded(features, _SMALLEST[1])
    rows, scale = np.zeros((wide, deep)), np.ones(wide)
    rows[:neurons, :features], scale[:neurons] = sets.rows, sets.scale
    parts = []
    with jax.enable_x64(True):
        shared = sets._replace(rows=jax.device_put(rows), scale=jax.device_put(scale))
        # All are under way before the first is waited for.
        for _, index in blocks(count):
            full = shared._replace(
                weights=_filled(sets.weights, index, wide),
                scores=_filled(sets.scores, index, wide),
                slope=_filled(sets.slope, index, deep),
                level=sets.level[index],
                reach=sets.reach[index],
                sizes=sets.sizes[index],
                low=None if sets.low is None else _filled(sets.low, index, deep),
                high=None if sets.high is None else _filled(sets.high, index, deep),
            )
            parts.append(_project(full, profile, order))
    lower, step, closed = (
        np.concatenate([np.asarray(part) for part in field])[:count]
        for field in zip(*parts, strict=True)
    )
    return Projection(lower, step[:, :features], closed)


def _filled(array: np.ndarray, index: np.ndarray, width: int) -> np.ndarray:
    """These rows, with zeros up to a width."""
    found = np.zeros((len(index), width))
    found[:, : array.shape[1]] = array[index]
    return found


def _padded(count: int, least: int) -> int:
    """The next power of two, so that few sizes are compiled."""
    return max(least, 1 << max(count - 1, 0).bit_length())


@functools.partial(jax.jit, static_argnames=("profile", "order"))
def _project(sets: ConvexSets, profile: Profile, order: float | int):
    lane = functools.partial(_lane, profile=profile, order=order)
    box = None if sets.low is None else 0
    shared = ConvexSets(None, None, 0, 0, 0, 0, 0, 0, None, box, box)
    return jax.vmap(lane, in_axes=(shared,))(sets)


def _lane(sets: ConvexSets, profile: Profile, order: float | int):
    """One lane, until it has arrived: its bound, its step, its gap."""
    start, top = _start(sets, profile, order)
    features = sets.rows.shape[1]

    def body(path: Path) -> Path:
        new = newton(sets, path, profile, order)
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
) -> tuple[Path, Array]:
    """A strictly feasible start in units of the reach and of the function."""
    reach, used = sets.reach, sets.weights > 0
    features = sets.rows.shape[1]
    lengths = jnp.sqrt(jnp.sum(sets.rows**2, axis=1))
    d = jnp.zeros_like(sets.slope)
    if sets.low is not None:
        low, high = widened(sets)
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
        zeta = jnp.concatenate([zeta, 0.1 * price / walls(sets, y, order)[-2:]])
    path = Path(
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
