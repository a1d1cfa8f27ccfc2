"""Sets of broken points that opposing neurons leave, one switched on at a time."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._convex import chord_sets, nearest, tangent_sets
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._projection import Projection
from jaxbias.robustness._reduction import dual_lengths

COMBINED = 6
"""Opposing neurons whose states are combined."""
# Where else projections start from that got stuck, in units of the reach.
_FURTHER = (1.3, 2.0, 4.0)
# Opposing neurons that are tried, and how many of their nearest points go on.
_MOST, _KEPT = 12, 6
# Projections that are in memory together.
_TOGETHER = 4096
# Whether the others are off, and how far a neuron is raised as a share of the ball: of
# linear ones it does not matter.
_RAISED = {True: ((False, 0.4), (True, 0.4)), False: ((False, 0.4), (False, 0.8))}


def relaxation(
    lanes: Lanes, reach: Float[np.ndarray, " lane"], order: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points of the relaxation over the whole ball, and bounds from below."""
    move = reach[:, None] * dual_lengths(lanes.rows, order)
    sets = chord_sets(lanes, lanes.scores - move, lanes.scores + move)
    found = nearest(lanes, sets, reach, order)
    return _finite(found.step), found.lower


def patterns(
    lanes: Lanes, reach: Float[np.ndarray, " lane"], order: float | int
) -> Iterator[np.ndarray]:
    """Steps to relinearise at, the nearest ones first.

    Of the tangents at the clean scores with one opposing neuron raised as far as the
    ball lets it, or lowered where it is on.
    """
    move = reach[:, None] * dual_lengths(lanes.rows, order)
    weight = lanes.minus * np.maximum(lanes.scores + move, 0) ** lanes.profile.power
    ranked = np.argsort(-weight, axis=1, kind="stable")[:, :_MOST]
    rows, places, good = np.arange(lanes.count), [], []
    for alone, raised in _RAISED[lanes.profile.power == 1]:
        for neuron in ranked.T:
            at = np.where(alone, -np.ones_like(lanes.scores), lanes.scores)
            top = lanes.scores[rows, neuron] + raised * move[rows, neuron]
            on = (lanes.scores[rows, neuron] > 0) & (not alone)
            at[rows, neuron] = np.where(on & (raised < 0.5), -1.0, top)
            places.append(at)
            good.append(weight[rows, neuron] > 0)
    lane = np.tile(rows, len(places))
    found = _tangents(lanes, lane, np.concatenate(places), reach[lane], order)
    good = np.concatenate(good) & np.isfinite(found.closed)
    yield from _shortest(found.step, good, lane, order)


def combinations(
    lanes: Lanes,
    at: Float[np.ndarray, "lane neuron"],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    most: int = COMBINED,
) -> Iterator[np.ndarray]:
    r"""Steps to relinearise at: the nearest ones over choices of neurons that are on.

    At p = 1 the broken points are the union of one convex set for each choice of the
    opposing neurons that count, so that with few of them in doubt the shortest step of
    all is among these. Of more, the heaviest are combined and the others left as they
    are at ``at``.
    """
    move = reach[:, None] * dual_lengths(lanes.rows, order)
    low, high = lanes.scores - move, lanes.scores + move
    open_ = (lanes.minus > 0) & (low < 0) & (high > 0)
    weight = np.where(open_, lanes.minus * np.maximum(high, 0), -1.0)
    ranked = np.argsort(-weight, axis=1, kind="stable")[:, :most]
    doubt = np.take_along_axis(weight, ranked, axis=1) > 0
    # Where a neuron is on for certain, and where one is switched on.
    raised = np.where(low > 0, lanes.scores, np.maximum(lanes.scores, 0) + move / 2)
    width = ranked.shape[1]
    bits = (np.arange(1 << width)[:, None] >> np.arange(width)[::-1]) & 1 > 0
    # One choice for all that differ only in neurons that are not in doubt.
    lane, choice = np.nonzero(~(bits & ~doubt[:, None]).any(2))
    place = np.where(low > 0, lanes.scores, at)[lane]
    rows, chosen = np.arange(len(lane))[:, None], ranked[lane]
    on = np.where(bits[choice], raised[lane[:, None], chosen], -1.0)
    place[rows, chosen] = np.where(doubt[lane], on, place[rows, chosen])
    far = reach[lane]
    found = _tangents(lanes, lane, place, far, order)
    # Where a method has got stuck at a wall it has another try from further out.
    stuck = np.flatnonzero(~np.isfinite(found.closed) & (found.lower < far))
    for further in _FURTHER:
        if not len(stuck):
            break
        where, wide = place[stuck], further * far[stuck]
        again = _tangents(lanes, lane[stuck], where, wide, order)
        good = np.isfinite(again.closed)
        found.step[stuck[good]] = again.step[good]
        found.closed[stuck[good]] = again.closed[good]
        stuck = stuck[~good]
    yield from _shortest(found.step, np.isfinite(found.closed), lane, order)


def _tangents(
    lanes: Lanes, lane: np.ndarray, at: np.ndarray, reach: np.ndarray, order: float
) -> Projection:
    """Projections onto sets of tangents, many of each lane.

    All in one, as blocks of projections are filled up whatever is asked for.
    """
    parts = []
    for start in range(0, len(lane), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        many = lanes.take(lane[some])
        parts.append(nearest(many, tangent_sets(many, at[some]), reach[some], order))
    join = lambda name: np.concatenate([getattr(part, name) for part in parts])
    return Projection(join("lower"), join("step"), join("closed"))


def _shortest(
    steps: np.ndarray, good: np.ndarray, lane: np.ndarray, order: float | int
) -> Iterator[np.ndarray]:
    """The shortest good steps of every lane, one turn after the other.

    A lane with fewer of them has the others, which belong to it as well.
    """
    steps = _finite(steps)
    sizes = np.where(good, lengths(steps, order), np.inf)
    ranked = np.lexsort((sizes, lane))
    first = np.searchsorted(lane[ranked], np.arange(lane.max() + 1))
    count = np.bincount(lane)
    for turn in range(min(_KEPT, int(count.max()))):
        yield steps[ranked[first + np.minimum(turn, count - 1)]]


def _finite(steps: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(steps), steps, 0.0)
