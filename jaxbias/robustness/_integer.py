r"""Exact $\ell_\infty$ radii of ReLU networks by mixed-integer programming (HiGHS).

Minimise $\tau \ge |\delta_i|$ with $t_j \ge z_j + \langle u_j,\delta\rangle$,
$t_j \ge 0$ for the label's own neurons, which pull the right way by themselves, and one
binary a opposing neuron whose sign is open: $t_j \le z_j + \langle u_j,\delta\rangle -
l_j(1 - a_j)$, $t_j \le h_j a_j$.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from jaxbias.robustness._branching import Budget
from jaxbias.robustness._lanes import Lanes

# HiGHS violates constraints by up to 1e-7 of the largest coefficient; what it says is
# lowered by this, which is a margin and no proof. The tree proves each of its bounds.
_MARGIN = 1e-6
#: Relative distance of ends below which this solver cannot go.
LEAST_GAP = 1.2e-6
_INFEASIBLE = 2


@dataclass(frozen=True)
class Solved:
    """One lane's answer: a bound, a step that reaches the optimum, the nodes."""

    lower: float
    step: Float[np.ndarray, " feature"] | None
    nodes: int


def solve_all(
    lanes: Lanes,
    known: Float[np.ndarray, " lane"],
    reach: Float[np.ndarray, " lane"],
    upper_of: Callable[[], Float[np.ndarray, " lane"]],
    offer: Callable[[Int[np.ndarray, " step"], np.ndarray], None],
    budget: Budget,
    left_of: Int[np.ndarray, " lane"],
) -> tuple[Float[np.ndarray, " lane"], Int[np.ndarray, " lane"]]:
    """Radii of lanes, the most promising ones first, and the nodes they took.

    Args:
        lanes: of ReLU networks.
        known: certified radii to start from.
        reach: radii up to which to look.
        upper_of: the shortest confirmed witness of each lane's point, at any time.
        offer: takes lanes and steps that may break them.
        budget: when to stop.
        left_of: nodes that are left for each lane.
    """
    deadline = time.monotonic() + budget.seconds
    lower, nodes = known.copy(), np.zeros(lanes.count, int)
    for lane in np.argsort(known, kind="stable"):
        upper = min(upper_of()[lane], reach[lane])
        left = deadline - time.monotonic()
        if known[lane] >= (1 - budget.gap) * upper or left <= 0:
            continue
        box = None
        if lanes.low is not None and lanes.high is not None:
            box = lanes.low[lane], lanes.high[lane]
        reach_of = float(upper) * (1 + 1e-9)
        most = int(left_of[lane])
        found = solve(lanes, int(lane), reach_of, float(left), most, box)
        lower[lane] = max(lower[lane], found.lower)
        nodes[lane] = found.nodes
        if found.step is not None:
            offer(np.array([lane]), found.step[None])
    return lower, nodes


def solve(
    lanes: Lanes,
    lane: int,
    reach: float,
    seconds: float,
    nodes: int,
    box: tuple[np.ndarray, np.ndarray] | None = None,
) -> Solved:
    """The least step of one lane, up to the reach; the box bounds the step itself."""
    rows, scores = lanes.rows, lanes.scores[lane]
    plus, minus = lanes.plus[lane], lanes.minus[lane]
    dim = rows.shape[1]
    swing = np.abs(rows).sum(1) * reach
    low, high = scores - swing - 1e-9, scores + swing + 1e-9
    own = np.flatnonzero((plus > 0) & (high > 0))
    opposing = np.flatnonzero((minus > 0) & (high > 0))
    on = opposing[low[opposing] >= 0]
    open_ = opposing[low[opposing] < 0]
    # Columns: step, tau, heights of own, heights of open, switches of open.
    sizes = [dim, 1, len(own), len(open_), len(open_)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = starts[-1]
    blocks, lower, upper = [], [], []

    def add(parts, below, above):
        row = [
            sparse.csr_matrix((len(below), size)) if part is None else part
            for part, size in zip(parts, sizes, strict=True)
        ]
        blocks.append(sparse.hstack(row, format="csr"))
        lower.append(below)
        upper.append(above)

    eye = sparse.identity
    ones = sparse.csr_matrix(np.ones((dim, 1)))
    none, many = np.full(dim, -np.inf), np.zeros(dim)
    add([eye(dim), -ones, None, None, None], none, many)
    add([-eye(dim), -ones, None, None, None], none, many)
    unit = lambda a: sparse.csr_matrix(np.atleast_2d(a))
    if len(own):
        free = np.full(len(own), np.inf)
        add([unit(-rows[own]), None, eye(len(own)), None, None], scores[own], free)
    if len(open_):
        k, free = len(open_), np.full(len(open_), -np.inf)
        # t <= z + u d - l (1 - a)  and  t <= h a
        add(
            [unit(-rows[open_]), None, None, eye(k), -sparse.diags(low[open_])],
            free,
            scores[open_] - low[open_],
        )
        add([None, None, None, eye(k), -sparse.diags(high[open_])], free, np.zeros(k))
    slope = lanes.linear[lane] - minus[on] @ rows[on]
    level = (minus[on] * scores[on]).sum() - lanes.constant[lane]
    parts = [slope, [0.0], plus[own], -minus[open_], np.zeros(len(open_))]
    # In units of the function, so that the solver's tolerance means something.
    size = max(np.abs(np.concatenate(parts)).max(), 1e-300)
    parts = [unit(np.asarray(part) / size) for part in parts]
    add(parts, np.array([-np.inf]), np.array([level / size]))

    least = np.concatenate([np.full(dim, -reach), np.zeros(total - dim)])
    most = np.full(total, np.inf)
    most[: dim + 1] = reach
    if box is not None:
        least[:dim] = np.maximum(least[:dim], box[0])
        most[:dim] = np.minimum(most[:dim], box[1])
    most[starts[4] :] = 1.0
    cost, whole = np.zeros(total), np.zeros(total)
    cost[dim], whole[starts[4] :] = 1.0, 1.0
    # Typed as numbers by SciPy, which takes arrays.
    bounds: Any = least, most
    ends: Any = np.concatenate(lower), np.concatenate(upper)
    answer = milp(
        cost,
        integrality=whole,
        bounds=Bounds(*bounds),
        constraints=LinearConstraint(sparse.vstack(blocks, format="csc"), *ends),
        options={"time_limit": seconds, "node_limit": nodes, "mip_rel_gap": 1e-9},
    )
    count = int(getattr(answer, "mip_node_count", 0) or 0)
    if answer.status == _INFEASIBLE:
        # No step within the reach breaks the lane.
        return Solved(reach * (1 - _MARGIN), None, count)
    # Without open neurons it is a linear program, which has no bound but its value.
    bound = answer.fun if not len(open_) else getattr(answer, "mip_dual_bound", None)
    bound = 0.0 if bound is None or not np.isfinite(bound) else float(bound)
    bound = max(bound * (1 - _MARGIN) - _MARGIN / 10 * reach, 0.0)
    step = None if answer.x is None else answer.x[:dim]
    return Solved(min(bound, reach), step, count)
