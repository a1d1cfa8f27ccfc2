r"""The tight lower end: convex relaxations solved to the optimum.

With chords over the ranges that a ball of radius $\rho$ allows, everything broken
inside the ball lies in a convex set at distance $L(\rho)$; so $\min(\rho, L(\rho))$ is
certified, and $\rho$ is moved to where the two meet. The nearest point of the
relaxation starts the iteration that relinearises the other side where it stands, whose
sets hold broken points only: an upper end that never gets worse.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._blocks import product
from jaxbias.robustness._convex import chord_sets, nearest, tangent_sets
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._projection import Projection
from jaxbias.robustness._reduction import dual_lengths

_ROUNDS, _DESCENTS = 8, 4
# Curved sets change all the time, so that it takes longer until nothing moves.
_CURVED = 5
_STILL = 1e-8


class Tight(NamedTuple):
    """Certified radii of lanes and the nearest points of the relaxations."""

    lower: Float[np.ndarray, " lane"]
    step: Float[np.ndarray, "lane feature"]


def relaxed(
    lanes: Lanes,
    known: Float[np.ndarray, " lane"],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    rounds: int = _ROUNDS,
) -> Tight:
    """Certified radii by relaxations over balls, at least ``known``."""
    lower = known.copy()
    high = reach.copy()
    trial = reach.copy()
    step = np.zeros((lanes.count, lanes.rows.shape[1]))
    swing = dual_lengths(lanes.rows, order) * (1 + 1e-12)
    for round_ in range(rounds):
        active = np.flatnonzero(lower < high * (1 - 1e-6))
        if not len(active):
            break
        part, radius = lanes.take(active), trial[active]
        move = radius[:, None] * swing + 1e-13 * part.sizes[:, None]
        sets = chord_sets(part, part.scores - move, part.scores + move)
        found = nearest(part, sets, radius, order)
        lower[active] = np.maximum(lower[active], np.minimum(radius, found.lower))
        if round_ == 0:
            step[active] = found.step
        met = found.lower >= radius
        high[active] = np.where(met, high[active], radius)
        # The bound at a smaller radius is larger, so the meeting point lies between.
        middle = (lower + high) / 2
        trial[active] = middle[active]
    return Tight(lower, step)


def descend(
    lanes: Lanes,
    steps: Float[np.ndarray, "lane feature"],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    rounds: int = _DESCENTS,
) -> Projection:
    """Nearest points of the sets of broken points, relinearised a few times."""
    steps, lower = steps.copy(), np.zeros(lanes.count)
    closed = np.full(lanes.count, np.inf)
    moving = np.arange(lanes.count)
    for _ in range(rounds if lanes.profile.power == 1 else _CURVED * rounds):
        part, before = lanes.take(moving), steps[moving]
        at = part.scores + product(before, part.rows.T)
        found = nearest(part, tangent_sets(part, at), reach[moving], order)
        good = np.isfinite(found.step).all(1) & np.isfinite(found.closed)
        lower[moving], closed[moving] = found.lower, found.closed
        steps[moving[good]] = found.step[good]
        # Lengths settle long before steps do, and nothing else is asked for.
        was, now = lengths(before, order), lengths(found.step, order)
        moving = moving[good & (np.abs(now - was) > _STILL * was)]
        if not len(moving):
            break
    return Projection(lower, steps, closed)
