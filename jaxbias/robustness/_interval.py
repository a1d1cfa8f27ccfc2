"""From a network, points and an attack to intervals: the ends are moved together."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxbias._checks import InputError
from jaxbias.networks.weights import Weights
from jaxbias.robustness import _integer
from jaxbias.robustness._branching import Budget, grow
from jaxbias.robustness._convex import nearest, tangent_sets
from jaxbias.robustness._ends import Box, Ends, lengths, margins
from jaxbias.robustness._geometry import Found
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._lower import METHODS, reduced, root_bounds
from jaxbias.robustness._problems import Prepared
from jaxbias.robustness._radius import TIES, Radius
from jaxbias.robustness._reading import Reading, combine, problems, undecided
from jaxbias.robustness._relaxations import closed_bounds
from jaxbias.robustness._relinearised import relinearised
from jaxbias.robustness._tight import descend, relaxed
from jaxbias.robustness.certificates import has_certificate
from jaxbias.robustness.minimum_norm import Search
from jaxbias.robustness.starts import NAMES

# Share of the clean value that merging neurons may cost.
_COST = 2e-4
# Where nothing is broken there is no radius to search up to; sizes of the input do.
_FAR = 4.0
# Ends this much longer than a perturbation of the thinned network are looked at again.
_SETTLED = 1.001
_BEYOND = 1e-14
_CONVEX = METHODS.index("convex relaxation")


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    order: float
    effort: str
    tie: str
    search: Search
    budget: Budget


@dataclass(frozen=True)
class Case:
    """One network and its points, ready for the attack."""

    reading: Reading
    points: Float[np.ndarray, "sample feature"]
    labels: Int[np.ndarray, " sample"]
    prepared: Prepared
    ends: Ends
    box: Box | None


def open_case(
    weights: Weights,
    reading: Reading,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    prepared: Prepared,
    box: Box | None,
    options: Options,
) -> Case:
    """A case whose clean points have been looked at."""
    form = reading.form
    forward = margins(
        weights, form.activation, form.scaled_constant, reading.readout, labels
    )
    ends = Ends(points, forward, options.order, options.tie, box)
    return Case(reading, points, labels, prepared, ends, box)


def close(case: Case, found: Found, options: Options) -> Radius:
    """The radius of every point of a case from what the attack found."""
    ends = case.ends
    _take(case, found, options)
    # Without biases every output is 0 there, a tie.
    ends.offer(np.arange(len(case.points)), -case.points, "origin")
    ends.fall_back(case.prepared.places)
    count = len(case.points)
    lower, nodes = np.zeros(count), np.zeros(count, int)
    below = np.full(count, "none", dtype=object)
    rows = np.flatnonzero(~ends.broken)
    activation = case.reading.form.activation
    wanted = options.effort != "attack"
    if wanted and has_certificate(activation) and len(rows):
        lower[rows], below[rows], nodes[rows] = _certify(case, rows, options)
    if options.effort == "exact":
        gap = np.full(count, options.budget.gap)
        gap[below == "MILP"] = max(options.budget.gap, _integer.LEAST_GAP)
        closed = lower >= (1 - gap) * ends.upper
        status = np.where(closed, "exact", "gap").astype(object)
    else:
        status = np.full(count, "bounds" if wanted else "attack", dtype=object)
    status[np.isinf(ends.upper)] = "no witness"
    if wanted and not has_certificate(activation):
        status += f"; lower end 0: no certificate for {type(activation).__name__}"
    status[ends.broken] = "broken when clean"
    method = np.array([f"{a} / {b}" for a, b in zip(below, ends.source, strict=True)])
    return Radius(
        lower=lower,
        upper=ends.upper,
        witness=ends.witness,
        order=options.order,
        readout=case.reading.readout.name,
        tie=TIES[options.tie],
        method=np.where(ends.broken, "forward pass", method).astype(str),
        status=status.astype(str),
        nodes=nodes,
    )


def _take(case: Case, found: Found, options: Options) -> None:
    """Offer the attack's perturbations, mapped back to the inputs."""
    prepared = case.prepared
    names = np.array(
        [f"minimum norm from {n}" for n in (*NAMES, *["anchor"] * options.search.picks)]
    )
    for coordinates, flipped, start, anchor, slots in zip(
        *found, prepared.slots, strict=True
    ):
        _, first = np.unique(slots, return_index=True)
        first = first[flipped[first]]
        rows, steps = slots[first], coordinates[first]
        if not math.isinf(options.order):
            # The first anchor stands for no place; nothing lies along its ray.
            place, along = np.maximum(anchor[first] - 1, 0), steps[:, -1:]
            steps = steps[:, :-1] @ prepared.rows
            bent = np.flatnonzero(along)
            ray = prepared.places[place[bent]] - case.points[rows[bent]]
            steps[bent] += along[bent] * ray
        source = names[start[first]]
        form = case.reading.form
        if len(prepared.rows) < len(form.rows):
            # Labels are signs: only networks with one output are thinned.
            better, clean = steps, (case.points[rows], case.labels[rows])
            for _ in range(1 if form.activation.degree == 1 else 2):
                better = relinearised(form, *clean, better, options.order)
            # Half of those on the tangent itself would round to the wrong side.
            case.ends.offer(rows, (1 + _BEYOND) * better, source)
            # They differ in the last digits, or the tangent has led astray.
            astray = _SETTLED * lengths(steps, options.order) < case.ends.upper[rows]
            rows, steps, source = rows[astray], steps[astray], source[astray]
        case.ends.offer(rows, steps, source)


def _certify(
    case: Case, rows: np.ndarray, options: Options
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower ends of these points, what proves them, and nodes used."""
    ends, form, order = case.ends, case.reading.form, options.order
    points, labels = case.points[rows], case.labels[rows]
    lanes = problems(case.reading, points, labels)
    sizes = np.sqrt((points**2).sum(1)) if order == 2 else np.abs(points).max(1)
    far = _FAR * (sizes + np.abs(form.offsets).max(initial=0.0) + 1e-300)

    def reach_of() -> np.ndarray:
        upper = ends.upper[rows]
        reach = np.where(np.isfinite(upper), upper * (1 + 1e-9), far)
        return reach[lanes.point]

    reach = reach_of()
    root = root_bounds(form, lanes, points, order)
    small = reduced(form, lanes, reach, order, _COST)
    bounds = np.concatenate([root[None], closed_bounds(small, root, reach, order)])
    lower, method = bounds.max(0), bounds.argmax(0)
    nodes = np.zeros(lanes.count, int)
    if options.effort != "bounds":
        fresh, began = np.ones(lanes.count, bool), time.monotonic()
        # One own class before the others: each alone may rule a rival out.
        for leaders in (True, False):
            enough = (1 - options.budget.gap) * reach_of()
            wanted = undecided(lanes, lower, enough, leaders)
            chosen = np.flatnonzero(wanted & fresh)
            fresh[chosen] = False
            if len(chosen):
                spent = np.bincount(lanes.point, nodes).max(initial=0)
                lower[chosen], method[chosen], nodes[chosen] = _refine(
                    case,
                    rows,
                    lanes.take(chosen),
                    small.take(chosen),
                    (lower[chosen], method[chosen], reach[chosen]),
                    replace(options, budget=options.budget.less(int(spent), began)),
                )
    radius, decides = combine(lanes, lower)
    names = np.array(METHODS, dtype=object)[method[decides]]
    total = np.bincount(lanes.point, nodes, minlength=len(rows)).astype(int)
    return radius, names, total


def _refine(
    case: Case,
    rows: np.ndarray,
    lanes: Lanes,
    small: Lanes,
    known: tuple[np.ndarray, np.ndarray, np.ndarray],
    options: Options,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower ends of lanes by relaxations and trees, what proves them, and nodes used.

    ``known`` are lower ends, their methods and the reach of ``small``.
    """
    lower, method, reach = known
    order, exact = options.order, options.effort == "exact"
    nodes = np.zeros(lanes.count, int)
    upper = lambda: np.minimum(case.ends.upper[rows][lanes.point] * (1 + 1e-9), reach)
    _polish(case, rows, small, reach, order)
    # The tree repeats the first round and seldom leaves the others to do.
    solved = relaxed(small, lower, reach, order, *([1] if exact else []))
    method = np.where(solved.lower > lower, _CONVEX, method)
    lower = solved.lower
    found = descend(small, solved.step, reach, order)
    _offering(case, rows, small, "relaxation")(np.arange(small.count), found.step)
    if exact:
        lower, method, nodes = _exact(
            case, rows, lanes, lower, method, upper(), options
        )
        open_ = lower < (1 - 2 * max(options.budget.gap, _integer.LEAST_GAP)) * upper()
        left = np.flatnonzero(open_)
        if len(left):
            again = relaxed(small.take(left), lower[left], upper()[left], order)
            method[left] = np.where(again.lower > lower[left], _CONVEX, method[left])
            lower[left] = again.lower
    return lower, method, nodes


def _offering(case: Case, rows: np.ndarray, small: Lanes, source: str):
    def offer(index: np.ndarray, steps: np.ndarray) -> None:
        case.ends.offer(rows[small.point[index]], small.lift(steps), source)

    return offer


def _polish(
    case: Case,
    rows: np.ndarray,
    small: Lanes,
    reach: np.ndarray,
    order: float | int,
) -> None:
    """Relinearise at the witnesses: the set of broken points of each holds it."""
    steps = (case.ends.witness - case.points)[rows][small.point]
    inside = steps if small.basis is None else steps @ small.basis.T
    found = descend(small, inside, reach, order, 3)
    _offering(case, rows, small, "relinearised witness")(
        np.arange(small.count), found.step
    )
    all_on = np.broadcast_to(np.maximum(small.scores, 0) + 1.0, small.scores.shape)
    found = nearest(small, tangent_sets(small, all_on), reach, order)
    found = descend(small, found.step, reach, order, 2)
    _offering(case, rows, small, "all opposing on")(np.arange(small.count), found.step)


def _exact(
    case: Case,
    rows: np.ndarray,
    lanes: Lanes,
    lower: np.ndarray,
    method: np.ndarray,
    reach: np.ndarray,
    options: Options,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ends, form, order = case.ends, case.reading.form, options.order
    budget = options.budget
    # Merging would take a strictly negative function for one that is 0.
    cost = -1.0 if options.tie == "<" else budget.gap / 10
    small = reduced(form, lanes, reach, order, cost)
    upper_of = lambda: ends.upper[rows][small.point]
    profile = lanes.profile
    linear = profile.power == 1 and not profile.exponential
    fits = math.isinf(order) and linear and options.tie == "<="
    if budget.solver == "milp" and not fits:
        raise InputError(
            "solver='milp'",
            "it solves l_inf radii of ReLU networks, with ties broken",
            "Budget(solver='auto')",
        )
    if fits and budget.solver != "tree":
        name = "MILP"
        offer = _offering(case, rows, small, name)
        box = None
        if case.box is not None:
            box = (case.box[0] - case.points[rows], case.box[1] - case.points[rows])
        solved, nodes = _integer.solve_all(
            small, lower, reach, upper_of, offer, budget, box
        )
    else:
        name = "branch and bound"
        offer = _offering(case, rows, small, name)
        solved, nodes = grow(
            small, lower, reach, upper_of, offer, order, budget, options.tie
        )
    method = np.where(solved > lower, METHODS.index(name), method)
    return solved, method, nodes
