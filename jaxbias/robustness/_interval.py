"""From a network, points and an attack to intervals: the ends are moved together."""

import math
import time
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from jaxbias._checks import InputError
from jaxbias.networks.readouts import ProbabilitySum
from jaxbias.networks.weights import Weights
from jaxbias.robustness import _integer
from jaxbias.robustness._branching import grow
from jaxbias.robustness._case import Case, OpenLanes, Options
from jaxbias.robustness._ends import Ends, lengths, margins
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._lower import (
    METHODS,
    lipschitz_bounds,
    never_broken,
    reduced,
    root_bounds,
)
from jaxbias.robustness._normal_form import plain, scaled
from jaxbias.robustness._pockets import explore
from jaxbias.robustness._problems import Attacked, Tried
from jaxbias.robustness._radius import TIES, Radius
from jaxbias.robustness._reading import Reading, combine, undecided
from jaxbias.robustness._relaxations import closed_bounds
from jaxbias.robustness._relinearised import relinearised
from jaxbias.robustness._tight import descend, relaxed
from jaxbias.robustness.certificates import has_certificate
from jaxbias.robustness.starts import NAMES

# Ends this much longer than a perturbation of the thinned network are looked at again.
_SETTLED = 1.001
_BEYOND = 1e-14
# What flat crossings may move witnesses by, as a share.
_ROUNDED = 1e-4
_CONVEX = METHODS.index("convex relaxation")


def open_case(
    weights: Weights,
    reading: Reading,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    attacked: Attacked,
    box: tuple[np.ndarray, np.ndarray] | None,
    centres: np.ndarray | None,
    options: Options,
) -> Case:
    """A case whose clean points have been looked at."""
    form = reading.form
    # Where outputs may not be divided, nothing is.
    divided = not isinstance(reading.readout, ProbabilitySum)
    sites = form.sites(points) if divided else plain(points)
    forward = margins(weights, form, reading.readout, sites, labels)
    places = steps = None
    if box is not None:
        down = -sites.exponent[:, None]
        places = tuple(scaled(end[None], down) for end in box)
        steps = tuple(end - sites.inputs for end in places)
    ends = Ends(sites.inputs, forward, options.order, options.tie, places)
    return Case(reading, points, sites, labels, attacked, ends, steps, centres, box)


def close(case: Case, tried: Iterable[Tried], options: Options) -> Radius:
    """The radius of every point of a case from what the attack tries."""
    ends, points = case.ends, case.sites.inputs
    kept = [_take(case, one, options) for one in tried]
    everyone = np.arange(len(points))
    # Without biases every output is 0 there, a tie.
    ends.offer(everyone, -points, "origin")
    if case.centres is not None:
        _visit(case, case.centres)
    count = len(points)
    lower, nodes = np.zeros(count), np.zeros(count, int)
    below = np.full(count, "none", dtype=object)
    rows = np.flatnonzero(~ends.broken)
    activation = case.reading.form.activation
    wanted = options.effort != "attack"
    stated = activation.lipschitz
    if has_certificate(activation) and len(rows):
        lanes = OpenLanes(case, rows, options)
        root = _root(lanes)
        ways = explore(lanes, root)
        if len(ways.rows):
            kept.append(ways)
            lanes = OpenLanes(case, rows, options)
        lanes.reduce(np.arange(len(root)) if wanted else lanes.apart(root), wanted)
        found, before = _closed(lanes, root), lanes.reach_now()
        lanes.improve(kept, found[0])
        if np.any(lanes.reach_now() < before):
            # Bisections start from the reach: what they give depends on no other.
            found = _closed(lanes, root, lanes.reach_now() < before, found)
        lanes.look_further(found[0])
        if wanted:
            lower[rows], below[rows], nodes[rows] = _certify(lanes, *found)
    elif wanted and stated is not None and len(rows):
        part = case.sites.take(rows)
        lower[rows] = lipschitz_bounds(
            case.reading, part, case.labels[rows], options.order
        )
        below[rows] = "Lipschitz constant"
    # In floats a witness may break where a flat function is not quite 0 yet: the ends
    # are those of the network in float64, so the witness stands.
    crossed = lower > (1 + _ROUNDED) * ends.upper
    lower = np.minimum(lower, ends.upper)
    if options.effort == "exact":
        gap = np.full(count, options.budget.gap)
        gap[below == "MILP"] = max(options.budget.gap, _integer.LEAST_GAP)
        closed = lower >= (1 - gap) * ends.upper
        status = np.where(closed, "exact", "gap").astype(object)
    else:
        status = np.full(count, "bounds" if wanted else "attack", dtype=object)
    status[np.isinf(ends.upper)] = "no witness"
    if wanted and not has_certificate(activation) and stated is None:
        status += (
            f"; lower end 0: no certificate for {type(activation).__name__}, "
            "which states no Lipschitz constant"
        )
    # More than that is no rounding to be silent about.
    status[crossed] += "; the witness breaks in float64 below a certified radius"
    status[ends.broken] = "broken when clean"
    method = np.array([f"{a} / {b}" for a, b in zip(below, ends.source, strict=True)])
    up = case.sites.exponent
    return Radius(
        lower=scaled(lower, up),
        upper=scaled(ends.upper, up),
        witness=scaled(ends.witness, up[:, None]),
        order=options.order,
        readout=case.reading.readout.name,
        tie=TIES[options.tie],
        method=np.where(ends.broken, "forward pass", method).astype(str),
        status=status.astype(str),
        nodes=nodes,
    )


def _take(case: Case, tried: Tried, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Offer the steps of a block; all of them, with their points, for a second look."""
    names = np.array(
        [
            f"minimum norm from {n}"
            for n in (*NAMES, *["tangent"] * options.search.picks)
        ]
    )
    form = case.reading.form
    smooth = has_certificate(form.activation) and case.box is None
    steps, flipped, start = tried.found
    with np.errstate(invalid="ignore"):
        far = np.where(flipped, lengths(steps, options.order), np.inf)
    # The shortest of each point and rival; the others are only looked at again.
    best, lane = np.argmin(far, axis=0), np.arange(far.shape[1])
    some = np.flatnonzero(flipped[best, lane])
    rows, chosen = tried.lane[some], best[some]
    first, source = steps[chosen, some], names[start[chosen, some]]
    if len(rows) and smooth and len(case.attacked.reading.form.rows) < len(form.rows):
        # Labels are signs: only networks with one output are thinned.
        better, clean = first, (case.sites.take(rows), case.labels[rows])
        for _ in range(1 if form.activation.degree == 1 else 2):
            better = relinearised(form, *clean, better, options.order)
        # Half of those on the tangent itself would round to the wrong side.
        case.ends.offer(rows, (1 + _BEYOND) * better, source)
        # They differ in the last digits, or the tangent has led astray.
        astray = _SETTLED * lengths(first, options.order) < case.ends.upper[rows]
        rows, first, source = rows[astray], first[astray], source[astray]
    case.ends.offer(rows, first, source)
    again, point = np.nonzero(flipped)
    return tried.lane[point], steps[again, point]


def _visit(case: Case, places: np.ndarray) -> None:
    """For points without a witness: the places, and their rays from the origin."""
    ends, sites = case.ends, case.sites
    for centre in places:
        rows = np.flatnonzero(np.isinf(ends.upper))
        if not len(rows):
            return
        place = scaled(centre[None], -sites.exponent[rows, None])
        square = (place**2).sum(1)
        scale = (place * sites.inputs[rows]).sum(1) / np.where(square > 0, square, 1.0)
        for size in (np.ones(len(rows)), np.maximum(scale, 0)):
            steps = size[:, None] * place - sites.inputs[rows]
            ends.offer(rows, steps, "broken anchor", coarse=True)


def _root(of: OpenLanes) -> np.ndarray:
    """Lower ends of lanes that take no bisection over the reach."""
    case, order, full = of.case, of.options.order, of.full
    lower = root_bounds(case.reading.form, full, of.sites, order)
    lower[never_broken(case.reading, full, of.options.tie)] = np.inf
    return lower


def _closed(
    of: OpenLanes,
    root: np.ndarray,
    chosen: np.ndarray | None = None,
    before: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower ends of lanes in closed form, and the numbers of their methods.

    All of them, or some anew.
    """
    lower, method = before or (root.copy(), np.zeros(len(root), int))
    lower, method = lower.copy(), method.copy()
    for index, small in of.parts:
        some = slice(None) if chosen is None else np.flatnonzero(chosen[index])
        inner = np.arange(small.count)[some]
        rows = index[inner]
        if not len(rows):
            continue
        reach, known = of.reach_now()[rows], root[rows]
        bounds = closed_bounds(small.take(inner), known, reach, of.options.order)
        bounds = np.concatenate([known[None], bounds])
        lower[rows], method[rows] = bounds.max(0), bounds.argmax(0)
    return lower, method


def _certify(
    lanes: OpenLanes, lower: np.ndarray, method: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower ends of the points, what proves them, and nodes used."""
    options, full = lanes.options, lanes.full
    nodes = np.zeros(full.count, int)
    if options.effort != "bounds":
        fresh, began = np.ones(full.count, bool), time.monotonic()
        # One own class before the others: each alone may rule a rival out.
        for leaders in (True, False):
            enough = (1 - options.budget.gap) * lanes.reach_now()
            wanted = undecided(full, lower, enough, leaders) & fresh
            fresh &= ~wanted
            spent = np.bincount(full.point, nodes)[full.point].astype(int)
            for index, small in lanes.parts:
                inner = np.flatnonzero(wanted[index])
                chosen = index[inner]
                if len(chosen):
                    known = lower[chosen], method[chosen], lanes.reach[chosen]
                    lower[chosen], method[chosen], nodes[chosen] = _refine(
                        lanes, chosen, small.take(inner), known, spent[chosen], began
                    )
    radius, decides = combine(full, lower)
    names = np.array(METHODS, dtype=object)[method[decides]]
    total = np.bincount(full.point, nodes, minlength=len(lanes.rows)).astype(int)
    return radius, names, total


def _refine(
    of: OpenLanes,
    index: np.ndarray,
    small: Lanes,
    known: tuple[np.ndarray, np.ndarray, np.ndarray],
    spent: np.ndarray,
    began: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower ends of lanes by relaxations and trees, what proves them, and nodes used.

    ``known`` are lower ends, their methods and the reach of ``small``.
    """
    lower, method, reach = known
    order, budget = of.options.order, of.options.budget
    exact = of.options.effort == "exact"
    nodes = np.zeros(small.count, int)
    upper = lambda: np.minimum(of.reach_now()[index], reach)
    if not of.fits(small):
        of.polish(index, small)
        of.wake(index, small)
    # The tree repeats the first round and seldom leaves the others to do.
    solved = relaxed(small, lower, reach, order, *([1] if exact else []))
    method = np.where(solved.lower > lower, _CONVEX, method)
    lower = solved.lower
    found = descend(small, solved.step, reach, order)
    of.offer(small, "relaxation")(np.arange(small.count), found.step)
    if exact:
        lower, method, nodes = _exact(of, index, lower, method, upper(), spent, began)
        open_ = lower < (1 - 2 * max(budget.gap, _integer.LEAST_GAP)) * upper()
        left = np.flatnonzero(open_)
        if len(left):
            again = relaxed(small.take(left), lower[left], upper()[left], order)
            method[left] = np.where(again.lower > lower[left], _CONVEX, method[left])
            lower[left] = again.lower
        index, small, wanting = index[left], small.take(left), lower[left]
    else:
        wanting = lower
    of.combine(index, small, wanting)
    return lower, method, nodes


def _exact(
    of: OpenLanes,
    index: np.ndarray,
    lower: np.ndarray,
    method: np.ndarray,
    reach: np.ndarray,
    spent: np.ndarray,
    began: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    options, ends = of.options, of.case.ends
    order, budget = options.order, options.budget
    full = of.full.take(index)
    # Merging would take a strictly negative function for one that is 0.
    cost = -1.0 if options.tie == "<" else budget.gap / 10
    profile = full.profile
    linear = profile.power == 1 and not profile.exponential
    fits = math.isinf(order) and linear and options.tie == "<="
    if budget.solver == "milp" and not fits:
        raise InputError(
            "solver='milp'",
            "it solves l_inf radii of ReLU networks, with ties broken",
            "Budget(solver='auto')",
        )
    lower, method, nodes = lower.copy(), method.copy(), np.zeros(len(index), int)
    milp = fits and budget.solver != "tree"
    name = "MILP" if milp else "branch and bound"
    for inner, small in reduced(of.case.reading.form, full, reach, order, cost):
        upper_of = lambda small=small: ends.upper[of.rows][small.point]
        offer = of.offer(small, name)
        # What is left of the nodes, one at least, and of the time.
        left = budget.less(0, began)
        some = np.maximum(budget.nodes - spent[inner], 1)
        known = lower[inner], reach[inner], upper_of, offer
        if milp:
            solved, nodes[inner] = _integer.solve_all(small, *known, left, some)
        else:
            solved, nodes[inner] = grow(small, *known, order, left, some, options.tie)
        better = solved > lower[inner]
        method[inner] = np.where(better, METHODS.index(name), method[inner])
        lower[inner] = solved
    return lower, method, nodes
