r"""Exact radii by branch and bound over the scores of the opposing neurons.

A node holds a range for the score of every opposing neuron; chords over the ranges
leave a convex set, whose distance bounds everything broken in the node. The convex
half of a lane is never branched on. A node is split where its chords are furthest
above the function at the nearest point of its relaxation: at the kink for p = 1, so
that the tree is finite, else at that point. Ranges are not imposed as constraints:
outside its range a chord lies below the function, so the set stays among the broken.
But a range of one score narrows those of the others inside a ball, and with them their
chords.

The trees of all lanes grow together, their best nodes in one batch.
"""

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxbias._checks import InputError, at_least, one_of, positive_int
from jaxbias.robustness._blocks import product
from jaxbias.robustness._convex import chord_sets, nearest
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._reduction import dual_lengths
from jaxbias.robustness._tight import descend

# Nodes of a lane that are split at a time, whatever other lanes there are.
_BATCH = 8
# Least share of a range that a split leaves on either side.
_MARGIN = 0.1


@dataclass(frozen=True)
class Budget:
    """When an exact search stops.

    Attributes:
        nodes: a point, over its rivals.
        seconds: for all points of the call.
        gap: relative distance of the ends that counts as exact; HiGHS needs 1.2e-6.
        solver: ``"milp"`` (HiGHS; ReLU networks in l_inf only, exact up to its
            tolerances), ``"tree"`` (every bound certified), or ``"auto"``: the first
            where it applies.
    """

    nodes: int = 20_000
    seconds: float | int = 600.0
    gap: float | int = 1e-6
    solver: str = "auto"

    def __post_init__(self):
        positive_int("nodes", self.nodes)
        one_of("solver", self.solver, ("auto", "tree", "milp"))
        at_least("seconds", self.seconds, 0.0)
        at_least("gap", self.gap, 0.0)
        if not 1e-9 <= self.gap < 1:
            raise InputError(
                f"gap={self.gap!r}",
                "the projections themselves are closed to about 1e-9",
                "gap=1e-6",
            )

    def less(self, nodes: int, began: float) -> "Budget":
        """What is left after so many nodes and the time since then, one node at least.

        Args:
            nodes: already spent on a point.
            began: by the monotonic clock.
        """
        seconds = self.seconds - (time.monotonic() - began)
        return replace(
            self, nodes=max(1, self.nodes - nodes), seconds=max(0.0, seconds)
        )


class _Trees:
    """Open nodes of every lane, by their bounds."""

    def __init__(self, lanes: Lanes):
        self.lanes = lanes
        self.heaps: list[list] = [[] for _ in range(lanes.count)]
        # The least bound of nodes that need no splitting.
        self.settled = np.full(lanes.count, np.inf)
        self._ticket = itertools.count()

    def push(self, lane: int, bound: float, low, high, step) -> None:
        entry = (bound, next(self._ticket), low, high, step)
        heapq.heappush(self.heaps[lane], entry)

    def waits(self, lane: int, limit: float) -> bool:
        """Whether a node below the limit is to be split."""
        heap = self.heaps[lane]
        return bool(heap) and heap[0][0] < limit

    def bound(self, lane: int) -> float:
        """The certified distance of everything broken in the lane."""
        heap = self.heaps[lane]
        return min(heap[0][0] if heap else np.inf, self.settled[lane])


def grow(
    lanes: Lanes,
    known: Float[np.ndarray, " lane"],
    reach: Float[np.ndarray, " lane"],
    upper_of: Callable[[], Float[np.ndarray, " lane"]],
    offer: Callable[[Int[np.ndarray, " step"], np.ndarray], None],
    order: float | int,
    budget: Budget,
    left_of: Int[np.ndarray, " lane"],
    tie: str = "<=",
) -> tuple[Float[np.ndarray, " lane"], Int[np.ndarray, " lane"]]:
    """Certified radii of the lanes, closed to the budget's gap where it suffices.

    Args:
        lanes: reduced, valid for steps up to the reach.
        known: certified radii to start from.
        reach: radii up to which the tree looks.
        upper_of: the shortest confirmed witness of each lane's point, at any time.
        offer: takes lanes and steps that may break them.
        order: 2 or infinity.
        budget: when to stop.
        left_of: nodes that are left for each point, over its lanes.
        tie: ``"<"`` leaves out sets where the function is 0 but not negative.

    Returns:
        Certified radii, and how many nodes each lane took.
    """
    deadline = time.monotonic() + budget.seconds
    trees = _Trees(lanes)
    nodes = np.zeros(lanes.count, int)
    swing = dual_lengths(lanes.rows, order) * (1 + 1e-12)
    move = reach[:, None] * swing + 1e-13 * lanes.sizes[:, None]
    # The ball shrinks with the witnesses.
    radius_of = lambda: np.minimum(reach, upper_of() * (1 + 1e-9))
    everyone = np.arange(lanes.count)
    low, high = lanes.scores - move, lanes.scores + move
    _solve(trees, everyone, low, high, radius_of(), order, tie)
    nodes += 1
    lower = known.copy()
    per_point = np.bincount(lanes.point)

    def state() -> tuple[np.ndarray, np.ndarray]:
        found = np.array([trees.bound(lane) for lane in range(lanes.count)])
        # Nodes beyond the witness are forgotten: nothing is known beyond it.
        target = np.minimum(upper_of(), reach)
        least = np.maximum(known, np.minimum(found, target))
        return least, least < (1 - budget.gap) * target

    rounds = 0
    while True:
        lower, open_ = state()
        share = np.maximum(left_of // per_point[lanes.point], 1)
        # What is settled too low stays so; the rest may be beyond the witness.
        ball = radius_of()
        limit = (1 - budget.gap) * ball
        waits = np.array([trees.waits(*lane) for lane in enumerate(limit.tolist())])
        work = np.flatnonzero(open_ & waits & (nodes < share))
        if not len(work) or time.monotonic() > deadline:
            break
        rounds += 1
        look = rounds & (rounds - 1) == 0
        _expand(trees, work, nodes, ball, order, tie, offer, budget, look)
    return lower, nodes


def _expand(
    trees: _Trees,
    work: np.ndarray,
    nodes: np.ndarray,
    reach: np.ndarray,
    order: float | int,
    tie: str,
    offer: Callable,
    budget: Budget,
    look: bool,
) -> None:
    """Split the best nodes of the lanes at work and solve their children."""
    lanes = trees.lanes
    owners, parents = [], []
    for lane in work.tolist():
        limit = float((1 - budget.gap) * reach[lane])
        for _ in range(_BATCH):
            if trees.waits(lane, limit):
                owners.append(lane)
                parents.append(heapq.heappop(trees.heaps[lane]))
    owner = np.asarray(owners, int)
    bounds = np.array([parent[0] for parent in parents])
    low, high, step = (np.stack([parent[k] for parent in parents]) for k in (2, 3, 4))
    part = lanes.take(owner)
    if look:
        tried = descend(part, step, reach[owner], order, 2)
        offer(owner, tried.step)
    neuron, place, excess = _choice(part, low, high, step)
    done = excess <= 1e-12 * np.maximum(np.abs(part.constant) + _scale(part), 1e-300)
    if done.any():
        # The chords are the function itself: the nearest point is broken.
        offer(owner[done], step[done])
        np.minimum.at(trees.settled, owner[done], bounds[done])
    keep = np.flatnonzero(~done)
    if not len(keep):
        return
    index = np.concatenate([keep, keep])
    half = len(keep)
    lows, highs = low[index].copy(), high[index].copy()
    rows = np.arange(half)
    highs[rows, neuron[keep]] = place[keep]
    lows[half + rows, neuron[keep]] = place[keep]
    lane_of = owner[index]
    np.add.at(nodes, lane_of, 1)
    _solve(trees, lane_of, lows, highs, reach, order, tie, bounds[index])


def _scale(part: Lanes) -> np.ndarray:
    heights = part.profile.value(np.maximum(part.scores, 0), part.scale)
    return (part.plus * heights).sum(1)


def _choice(
    part: Lanes, low: np.ndarray, high: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The neuron to split, where, and how far its chord is above the function."""
    at = np.clip(part.scores + product(step, part.rows.T), low, high)
    value = lambda s: part.profile.value(np.maximum(s, 0), part.scale)
    left, right = value(low), value(high)
    gap = np.where(high > low, high - low, 1.0)
    excess = part.minus * (left + (right - left) / gap * (at - low) - value(at))
    if part.profile.power == 1 and not part.profile.exponential:
        # Beyond the kinks of a whole group nothing is due, and the chord is exact.
        spread = part.spread
        above = (low < spread) & (high > spread)
        below = (low < -spread) & (high > -spread)
        excess = np.where(above | below, excess + part.price, 0.0)
        place = np.where(above & ((at >= 0) | ~below), spread, -spread)
    else:
        margin = _MARGIN * (high - low)
        place = np.clip(at, low + margin, high - margin)
        # Below 0 the function is flat: the kink is the better place there.
        crossing = (low < 0) & (high > 0) & (place < 0)
        place = np.where(crossing, np.minimum(0.0, high - margin), place)
    neuron = np.argmax(excess, axis=1)
    rows = np.arange(len(neuron))
    return neuron, place[rows, neuron], excess[rows, neuron]


def _solve(
    trees: _Trees,
    owner: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    reach: np.ndarray,
    order: float | int,
    tie: str,
    parent: np.ndarray | None = None,
) -> None:
    """Bound nodes and file them; those beyond the reach are forgotten."""
    part, radius = trees.lanes.take(owner), reach[owner]
    low, high, away = _narrowed(part, low, high, radius, order)
    sets = chord_sets(part, low, high)
    if tie == "<":
        # Nothing is taken off what cannot be negative.
        hopeless = ~sets[0].any(1) & (sets[1] <= 0)
    else:
        hopeless = np.zeros(len(owner), bool)
    hopeless |= away >= radius
    hope = np.flatnonzero(~hopeless)
    if not len(hope):
        return
    sets = (sets[0][hope], sets[1][hope])
    found = nearest(part.take(hope), sets, radius[hope], order)
    bound = np.maximum(found.lower, away[hope])
    if parent is not None:
        bound = np.maximum(bound, parent[hope])
    step = np.where(np.isfinite(found.step), found.step, 0.0)
    for place in np.flatnonzero(bound < radius[hope]):
        node = hope[place]
        trees.push(
            int(owner[node]), float(bound[place]), low[node], high[node], step[place]
        )


def _narrowed(
    part: Lanes,
    low: np.ndarray,
    high: np.ndarray,
    radius: np.ndarray,
    order: float | int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Ranges that the other ranges leave inside the ball, and its distance from 0.

    With $\langle a, \delta\rangle \ge t$ and $\|\delta\| \le R$, unit a and b at
    cosine c, $\langle b, \delta\rangle$ is at most R where $cR \ge t$, else
    $ct + \sqrt{(1-c^2)(R^2-t^2)}$.
    """
    swing = dual_lengths(part.rows, order)
    size = np.where(swing > 0, swing, 1.0)
    slack = 1e-12 * (np.abs(part.scores) + radius[:, None] * size)
    least = np.where(swing > 0, (low - part.scores - slack) / size, -np.inf)
    most = np.where(swing > 0, (high - part.scores + slack) / size, np.inf)
    away = np.maximum(np.maximum(least, -most), 0).max(1) * (1 - 1e-12)
    if order != 2:
        return low, high, away
    units = part.rows / size[:, None]
    cosine = np.clip(units @ units.T, -1.0, 1.0)
    # Every range twice: as <u, d> >= least and as <-u, d> >= -most.
    bounds = np.clip(np.stack([least, -most], 1), -radius[:, None, None], None)
    bounds = np.minimum(bounds, radius[:, None, None])[:, :, :, None]
    wide = radius[:, None, None, None]
    # Roots of differences near 0 lose half of their digits, so rounded up inside.
    left = np.sqrt(np.maximum(wide**2 - bounds**2, 0) + 1e-14 * wide**2)

    def top(sign: int) -> np.ndarray:
        turned = np.stack([sign * cosine, -sign * cosine])[None]
        across = np.sqrt(np.maximum(1 - turned**2, 0) + 1e-14)
        bent = turned * bounds + across * left
        bent = np.where(turned * wide >= bounds, wide, np.minimum(bent, wide))
        return bent.min((1, 2))

    highest = part.scores + top(1) * size + slack
    lowest = part.scores - top(-1) * size - slack
    return np.maximum(low, lowest), np.minimum(high, highest), away
