r"""Convex relaxations of lanes, and their nearest points.

On ranges of its scores the other side of a lane is below its chords, which leaves a
convex set *around* everything broken; along tangents of that side it leaves a convex
set of broken points. The first gives lower ends, the second upper ones.
"""

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._blocks import product
from jaxbias.robustness._interior import ConvexSets
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._projection import Projection, project


def chord_sets(
    lanes: Lanes,
    low: Float[np.ndarray, "lane neuron"],
    high: Float[np.ndarray, "lane neuron"],
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and levels of the sets that hold everything broken in the ranges."""
    left, right = (_heights(lanes, end) for end in (low, high))
    gap = high - low
    slope = np.where(gap > 0, (right - left) / np.where(gap > 0, gap, 1.0), 0.0)
    # Rounded upwards: a chord a little too high only costs a little.
    top = left + slope * (lanes.scores - low)
    lengths = np.sqrt((lanes.rows**2).sum(1))
    far = np.abs(lanes.scores) + np.abs(low) + lanes.sizes[:, None] * lengths
    terms = np.abs(left) + slope * far
    level = (lanes.minus * (top + lanes.unit * terms)).sum(1) - lanes.constant
    level = level + lanes.charged(low, high)
    return product(lanes.minus * slope, lanes.rows) - lanes.linear, level


def tangent_sets(
    lanes: Lanes, at: Float[np.ndarray, "lane neuron"]
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and levels of the sets of broken points that tangents give."""
    active = np.maximum(at, 0.0)
    slope = lanes.profile.slope(active, lanes.scale) * (at > 0)
    line = _heights(lanes, at) + slope * (lanes.scores - at)
    level = (lanes.minus * line).sum(1) - lanes.constant
    return product(lanes.minus * slope, lanes.rows) - lanes.linear, level


def _heights(lanes: Lanes, scores: np.ndarray) -> np.ndarray:
    return lanes.profile.value(np.maximum(scores, 0.0), lanes.scale)


def nearest(
    lanes: Lanes,
    sets: tuple[np.ndarray, np.ndarray],
    reach: Float[np.ndarray, " lane"],
    order: float | int,
) -> Projection:
    """Certified distances to the sets, and nearly nearest points."""
    slope, level = sets
    full = ConvexSets(
        rows=lanes.rows,
        scale=lanes.scale,
        weights=lanes.plus,
        scores=lanes.scores,
        slope=slope,
        level=level,
        reach=reach,
        sizes=lanes.sizes,
        unit=np.asarray(lanes.unit),
        low=lanes.low,
        high=lanes.high,
    )
    return project(full, lanes.profile, order)
