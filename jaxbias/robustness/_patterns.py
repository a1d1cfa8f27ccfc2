"""Sets of broken points that opposing neurons leave, one switched on at a time."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._convex import chord_sets, nearest, tangent_sets
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._reduction import dual_lengths

# Opposing neurons that are tried, and how many of their nearest points go on.
_MOST, _KEPT = 12, 3
# Whether the others are off, and how far a neuron is raised as a share of the ball: of
# linear ones it does not matter.
_RAISED = {True: ((False, 0.4), (True, 0.4)), False: ((False, 0.4), (False, 0.8))}


def patterns(
    lanes: Lanes, reach: Float[np.ndarray, " lane"], order: float | int
) -> Iterator[tuple[str, np.ndarray]]:
    """Steps to relinearise at, with their names.

    The nearest point of the relaxation over the whole ball, and the nearest ones of the
    tangents at the clean scores with one opposing neuron raised as far as the ball
    lets it, or lowered where it is on.
    """
    swing = dual_lengths(lanes.rows, order)
    move = reach[:, None] * swing
    sets = chord_sets(lanes, lanes.scores - move, lanes.scores + move)
    yield "relaxation", _finite(nearest(lanes, sets, reach, order).step)
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
        yield "one opposing neuron", steps[best[turn], rows]


def _finite(steps: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(steps), steps, 0.0)
