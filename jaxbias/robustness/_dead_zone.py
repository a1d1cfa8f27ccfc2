r"""The nearest point where every neuron of the label's own side is off.

At p > 1 the network is 0 there with a slope of 0, so that no tangent leads to it. The
set is a polyhedron, and its nearest point a least-distance problem.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog, nnls

from jaxbias.robustness._lanes import Lanes

# How far inside scores are, as a share of what they are summed from.
_INSIDE = {True: 4e-9, False: 1e-12}
# HiGHS takes nothing smaller.
_TOLERANCE = 1e-10


def asleep(
    lanes: Lanes, lane: int, order: float | int
) -> Float[np.ndarray, " feature"] | None:
    """The shortest step of a lane to where no own neuron is on; None without one."""
    own = lanes.plus[lane] > 0
    rows, scores = lanes.rows[own], lanes.scores[lane][own]
    lengths = np.sqrt((rows**2).sum(1))
    sizes = np.abs(scores) + lanes.sizes[lane] * lengths
    most = -scores - _INSIDE[math.isinf(order)] * sizes
    low, high = (-np.inf, np.inf) if lanes.low is None else _sides(lanes, lane)
    low, high = (np.broadcast_to(end, rows.shape[1]) for end in (low, high))
    free = low < high
    step = np.where(free, 0.0, np.where(np.isfinite(low), low, 0.0))
    if not free.any():
        return step if np.all(rows @ step <= most) else None
    most, rows = most - rows @ step, rows[:, free]
    solve = _cube if math.isinf(order) else _ball
    found = solve(rows, most, low[free], high[free])
    if found is None:
        return None
    step[free] = found
    return step


def _sides(lanes: Lanes, lane: int) -> tuple[np.ndarray, np.ndarray]:
    assert lanes.low is not None
    assert lanes.high is not None
    return lanes.low[lane], lanes.high[lane]


def _ball(rows, most, low, high) -> np.ndarray | None:
    r"""The shortest d with rows d <= most, by nonnegative least squares.

    Lawson and Hanson: the residual of $\min_{y \ge 0} |E y - e|$ is its direction.
    """
    unit = np.eye(len(low))
    above, below = np.isfinite(high), np.isfinite(low)
    left = np.concatenate([-rows, -unit[above], unit[below]])
    right = np.concatenate([-most, -high[above], low[below]])
    scale = np.abs(right).max(initial=0.0)
    if scale == 0:
        return np.zeros(len(low))
    system = np.concatenate([left, right[:, None] / scale], axis=1).T
    goal = np.append(np.zeros(len(low)), 1.0)
    try:
        weights, _ = nnls(system, goal)
    except RuntimeError:
        return None
    rest = system @ weights - goal
    # A residual of 0 says that there is no such point.
    if rest[-1] > -1e-12:
        return None
    return -rest[:-1] / rest[-1] * scale


def _cube(rows, most, low, high) -> np.ndarray | None:
    """The same in l_inf, a linear program."""
    features = rows.shape[1]
    unit, one = np.eye(features), -np.ones((features, 1))
    walls = np.block([[unit, one], [-unit, one]])
    found = linprog(
        np.append(np.zeros(features), 1.0),
        A_ub=np.concatenate([np.pad(rows, ((0, 0), (0, 1))), walls]),
        b_ub=np.append(most, np.zeros(2 * features)),
        bounds=[*zip(low, high, strict=True), (0, None)],
        method="highs-ds",
        options={
            "primal_feasibility_tolerance": _TOLERANCE,
            "dual_feasibility_tolerance": _TOLERANCE,
        },
    )
    return None if found.x is None else found.x[:-1]
