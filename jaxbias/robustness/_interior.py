"""One step of the interior-point method, and the sets it steps in."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias.robustness._profile import Profile

_TO_THE_WALL, _LEAST_CENTRING, _MOST_CENTRING = 0.99, 0.02, 0.8
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


class Path(NamedTuple):
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


def widened(sets: ConvexSets) -> tuple[Array, Array]:
    """The box with an inside, and no further than the search goes."""
    assert sets.low is not None
    assert sets.high is not None
    far, thin = 4 * sets.reach, _THIN * sets.reach
    low, high = jnp.maximum(sets.low, -far), jnp.minimum(sets.high, far)
    more = jnp.where(high - low < thin, thin, jnp.zeros_like(low))
    return low - more, high + more


def signs(sets: ConvexSets, order: float | int) -> tuple[np.ndarray, np.ndarray]:
    """Of the step and of its length in every wall."""
    pairs = (order != 2) + (sets.low is not None)
    length = np.zeros((2 * pairs, 1))
    length[: 2 * (order != 2)] = 1.0
    return np.tile([[-1.0], [1.0]], (pairs, 1)), length


def walls(sets: ConvexSets, y: Array, order: float | int) -> Array:
    """How far a step is from |d| <= t and from the box, one row a side."""
    features = sets.rows.shape[1]
    d, rows = y[:features], []
    if order != 2:
        rows += [y[-1] - d, y[-1] + d]
    if sets.low is not None:
        low, high = widened(sets)
        rows += [high - d, d - low]
    return jnp.stack(rows) if rows else jnp.zeros((0, features), y.dtype)


def newton(sets: ConvexSets, path: Path, profile: Profile, order: float | int) -> Path:
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
    b = walls(sets, y, order)
    turn, long = signs(sets, order)
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
