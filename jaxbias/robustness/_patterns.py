"""Sets of broken points that opposing neurons leave, one switched on at a time."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._convex import chord_sets, nearest, tangent_sets
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._reduction import dual_lengths

# Opposing neurons whose states are combined.
_COMBINED = 6
# Where else projections start from that got stuck, in units of the reach.
_FURTHER = (1.3, 2.0, 4.0)
# Opposing neurons that are tried, and how many of their nearest points go on.
_MOST, _KEPT = 12, 3
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
    steps, sizes = [], []
    weight = lanes.minus * np.maximum(lanes.scores + move, 0) ** lanes.profile.power
    ranked = np.argsort(-weight, axis=1, kind="stable")[:, :_MOST]
    rows = np.arange(lanes.count)
    for alone, raised in _RAISED[lanes.profile.power == 1]:
        for turn in range(ranked.shape[1]):
            neuron = ranked[:, turn]
            at = np.where(alone, -np.ones_like(lanes.scores), lanes.scores)
            top = lanes.scores[rows, neuron] + raised * move[rows, neuron]
            on = (lanes.scores[rows, neuron] > 0) & (not alone)
            at[rows, neuron] = np.where(on & (raised < 0.5), -1.0, top)
            found = nearest(lanes, tangent_sets(lanes, at), reach, order)
            step = _finite(found.step)
            good = np.isfinite(found.closed) & (weight[rows, neuron] > 0)
            size = np.abs(step).max(1) if order != 2 else np.sqrt((step**2).sum(1))
            steps.append(step)
            sizes.append(np.where(good, size, np.inf))
    steps, sizes = np.stack(steps), np.stack(sizes)
    best = np.argsort(sizes, axis=0, kind="stable")
    for turn in range(min(_KEPT, len(best))):
        yield steps[best[turn], rows]


def combinations(
    lanes: Lanes,
    at: Float[np.ndarray, "lane neuron"],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
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
    ranked = np.argsort(-weight, axis=1, kind="stable")[:, :_COMBINED]
    doubt = np.take_along_axis(weight, ranked, axis=1) > 0
    # Where a neuron is on for certain, and where one is switched on.
    raised = np.where(low > 0, lanes.scores, np.maximum(lanes.scores, 0) + move / 2)
    count = 1 << int(doubt.sum(1).max(initial=0))
    bits = (np.arange(count)[:, None] >> np.arange(ranked.shape[1])) & 1 > 0
    steps = np.zeros((count, lanes.count, lanes.rows.shape[1]))
    sizes = np.full((count, lanes.count), np.inf)
    for lane in range(lanes.count):
        some = np.unique(bits & doubt[lane], axis=0)
        many = lanes.take(np.full(len(some), lane))
        place = np.tile(at[lane], (len(some), 1))
        place[:, low[lane] > 0] = lanes.scores[lane, low[lane] > 0]
        chosen = ranked[lane]
        on = np.where(some, raised[lane, chosen], -1.0)
        place[:, chosen] = np.where(doubt[lane], on, place[:, chosen])
        far = np.full(len(some), reach[lane])
        found = nearest(many, tangent_sets(many, place), far, order)
        # Where a method has got stuck at a wall it has another try from further out.
        stuck = np.flatnonzero(~np.isfinite(found.closed) & (found.lower < far))
        for further in _FURTHER if len(stuck) else ():
            part = many.take(stuck)
            sets = tangent_sets(part, place[stuck])
            again = nearest(part, sets, further * far[stuck], order)
            good = np.isfinite(again.closed)
            found.step[stuck[good]] = again.step[good]
            found.closed[stuck[good]] = again.closed[good]
            stuck = stuck[~good]
            if not len(stuck):
                break
        good = np.isfinite(found.closed)
        steps[: len(some), lane] = _finite(found.step)
        sizes[: len(some), lane] = np.where(good, lengths(found.step, order), np.inf)
    best, rows = np.argsort(sizes, axis=0, kind="stable"), np.arange(lanes.count)
    for turn in range(min(_KEPT, count)):
        yield steps[best[turn], rows]


def _finite(steps: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(steps), steps, 0.0)
