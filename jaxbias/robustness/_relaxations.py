r"""Certified lower ends in closed form, batched over lanes.

Each holds one side of a lane's difference of convex functions from below or above on a
ball of radius $\rho$ and asks for the largest $\rho$ that stays safe:

* *interval*: every score at the worst end of its range. At p = 1 it is never below
  the Lipschitz bound $f(x_0)/\sum|c_j|\,\|u_j\|_{q^*}$.
* *chord*: tangents of the label's own side at the point, chords of the other side over
  the ranges of its scores; a half-space at distance $L(\rho)$, so that
  $\min(\rho, L(\rho))$ is certified for every $\rho$.
* *trust region* ($\ell_2$, $p \ge 2$): $f(x_0+\delta) \ge f + \langle\nabla f,
  \delta\rangle + \frac12\langle\delta, H\delta\rangle$ with the least curvature of the
  own side and the largest of the other; its minimum over the ball is bounded by any
  multiplier $\mu \ge (-\lambda_{\min}(H))_+$.

All are evaluated in float64 with slack for rounding.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._blocks import product
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._reduction import dual_lengths

NAMES = ("interval", "chord", "trust region")
_UNIT = 2.0**-52
_HALVINGS, _CHORDS, _REGIONS, _MULTIPLIERS = 24, 12, 12, 24
# Larger eigenvalue problems cost more than they give.
_LARGEST_SPAN = 24
# A share of the reach that is not worth improving at that price.
_GOOD = 0.97
# Numbers in one pass, so that they stay in the cache.
_BLOCK = 1 << 16


def closed_bounds(
    lanes: Lanes,
    known: Float[np.ndarray, " lane"],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
) -> Float[np.ndarray, "bound lane"]:
    """All of :data:`NAMES`, at most the reach, 0 for those that do not apply.

    The last, which costs most, is only tried where what is known is not good yet.
    """
    bounds = np.zeros((len(NAMES), lanes.count))
    second = order == 2 and lanes.profile.power >= 2 and not lanes.profile.exponential
    height = max(1, _BLOCK // max(lanes.rows.shape))
    for start in range(0, lanes.count, height):
        block = slice(start, min(start + height, lanes.count))
        taken = lanes.take(np.arange(block.start, block.stop))
        part = _Part(_after_price(taken), order)
        with np.errstate(all="ignore"):
            bounds[0, block] = interval(part, reach[block])
            bounds[1, block] = chord(part, reach[block])
    if second and lanes.rows.shape[1] <= _LARGEST_SPAN:
        known = np.maximum(known, bounds.max(0))
        weak = np.flatnonzero(known < _GOOD * reach)
        if len(weak):
            with np.errstate(all="ignore"):
                part = _Part(_after_price(lanes.take(weak)), order)
                bounds[2, weak] = trust_region(part, reach[weak])
    return np.where(np.isfinite(bounds), bounds, 0.0)


def _after_price(lanes: Lanes) -> Lanes:
    return replace(lanes, constant=lanes.constant - lanes.price.sum(1))


class _Part:
    """Some lanes, with the rounding of their scores."""

    def __init__(self, lanes: Lanes, order: float | int):
        self.lanes, self.order = lanes, order
        # An error in an exponent is one of the whole: a thousand units, up to exp(200).
        more = 1000.0 * _UNIT if lanes.profile.exponential else 0.0
        self.slack = 2 * lanes.unit + more
        self.swing = dual_lengths(lanes.rows, order)
        sizes = lanes.sizes[:, None] * self.swing + np.abs(lanes.scores)
        self.error = self.slack * sizes
        self.lean = dual_lengths(lanes.linear, order)

    def value(self, scores: np.ndarray) -> np.ndarray:
        return self.lanes.profile.value(np.maximum(scores, 0), self.lanes.scale)

    def slope(self, scores: np.ndarray) -> np.ndarray:
        """The slope at each score, that from the left at the kink."""
        at = np.maximum(scores, 0)
        return (scores > 0) * self.lanes.profile.slope(at, self.lanes.scale)

    def ranges(self, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the scores can be within each lane's radius."""
        move = (radius * (1 + self.slack))[:, None] * self.swing + self.error
        return self.lanes.scores - move, self.lanes.scores + move


def _largest(safe: Callable, reach: np.ndarray, halvings: int) -> np.ndarray:
    """The largest radius found safe, of a condition that larger ones fail."""
    low, high = np.zeros_like(reach), reach
    middle = reach
    for _ in range(halvings):
        good = safe(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
        if (low == high).all():
            break
        middle = (low + high) / 2
    return low


def interval(part: _Part, reach: np.ndarray) -> np.ndarray:
    """Largest radius at which no score can go far enough."""
    lanes, slack = part.lanes, part.slack

    def safe(radius: np.ndarray) -> np.ndarray:
        low, high = part.ranges(radius)
        own = np.einsum("lj,lj->l", lanes.plus, part.value(low))
        other = np.einsum("lj,lj->l", lanes.minus, part.value(high))
        lean = radius * part.lean
        guard = slack * (own + other + np.abs(lanes.constant) + lean)
        return own - other + lanes.constant - lean > guard

    return _largest(safe, reach, _HALVINGS)


def chord(part: _Part, reach: np.ndarray) -> np.ndarray:
    """Best certified radius over a bisection of the range."""
    lanes, slack, order = part.lanes, part.slack, part.order
    heights, steep = part.value(lanes.scores), lanes.plus * part.slope(lanes.scores)
    own = np.einsum("lj,lj->l", lanes.plus, heights) + lanes.constant
    bulk_own = np.einsum("lj,lj->l", steep, np.abs(lanes.scores)) + np.abs(own)
    bulk_own = bulk_own + 2 * np.abs(lanes.constant)
    tangent = product(steep, lanes.rows) + lanes.linear
    bulk_tangent = (steep * part.swing).sum(1) + part.lean

    def bound(radius: np.ndarray) -> np.ndarray:
        low, high = part.ranges(radius)
        left, right = part.value(low), part.value(high)
        gap = high - low
        rise = np.where(gap > 0, (right - left) / np.where(gap > 0, gap, 1.0), 0.0)
        top = np.einsum("lj,lj->l", lanes.minus, left + rise * (lanes.scores - low))
        fall = lanes.minus * rise
        # An error in a score moves the tangents and the chords by their slopes.
        unsure = np.einsum("lj,lj->l", steep + fall, part.error)
        above = own - top - slack * (bulk_own + top) - unsure
        norm = dual_lengths(tangent - product(fall, lanes.rows), order)
        norm = norm + slack * (bulk_tangent + (fall * part.swing).sum(1))
        far = np.where(norm > 0, above / norm, np.inf) * (1 - slack)
        return np.where(above > 0, np.minimum(far, radius), 0.0)

    best = low = np.zeros_like(reach)
    high = middle = reach
    for _ in range(_CHORDS):
        found = bound(middle)
        good = found >= middle
        best = np.maximum(best, found)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
        middle = (low + high) / 2
    return best


def trust_region(part: _Part, reach: np.ndarray) -> np.ndarray:
    """Largest radius whose quadratic lower bound stays positive, by bisection."""
    lanes, slack, error = part.lanes, part.slack, part.error
    both = lanes.plus + lanes.minus
    heights = part.value(lanes.scores)
    value = ((lanes.plus - lanes.minus) * heights).sum(1) + lanes.constant
    steep = (lanes.plus - lanes.minus) * part.slope(lanes.scores)
    gradient = product(steep, lanes.rows) + lanes.linear
    unsure = (both * part.slope(lanes.scores + error) * error).sum(1)
    bulk = (both * heights).sum(1) + np.abs(lanes.constant)
    value = value - slack * bulk - unsure
    size = dual_lengths(gradient, 2)
    lean = slack * ((np.abs(steep) * part.swing).sum(1) + part.lean + size)
    curve = lambda s: lanes.profile.curvature(np.maximum(s, 0), lanes.scale)

    def safe(radius: np.ndarray) -> np.ndarray:
        low, high = part.ranges(radius)
        # Where a neuron may be off its curvature may be 0, at p = 2 too.
        curved = np.where(low > 0, curve(low), 0.0) * lanes.plus
        bent = np.where(high > 0, curve(high), 0.0) * lanes.minus
        weights = curved * (1 - slack) - bent * (1 + slack)
        matrix = np.matmul(lanes.rows.T[None] * weights[:, None, :], lanes.rows)
        values, vectors = np.linalg.eigh(matrix)
        # Of the eigenvalues: no matrix is computed, or decomposed, without rounding.
        values = values - (slack * ((curved + bent) * part.swing**2).sum(1))[:, None]
        square = np.matmul(gradient[:, None], vectors)[:, 0] ** 2
        floor = np.maximum(0, -values[:, 0])
        # From the floor, where the bound may be minus infinity, upwards.
        span = size / np.maximum(radius, 1e-300) + np.abs(values).max(1)

        def least(extra: np.ndarray) -> np.ndarray:
            multiplier = floor + span * np.exp(extra)
            shifted = values + multiplier[:, None]
            part_ = np.where(shifted > 0, square / shifted, np.inf)
            lost = np.where(square > 0, part_, 0.0).sum(1) + multiplier * radius**2
            return value - lost / 2 * (1 + slack) - radius * lean

        left, right = np.full_like(radius, -30.0), np.ones_like(radius)
        for _ in range(_MULTIPLIERS):
            one, two = left + (right - left) / 3, right - (right - left) / 3
            up = least(one) < least(two)
            left, right = np.where(up, one, left), np.where(up, right, two)
        return least((left + right) / 2) > 0

    return _largest(safe, reach, _REGIONS)
