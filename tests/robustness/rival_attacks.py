"""Every attack there is on one case: which lengths it finds broken.

APGD, PGD and FMN are the package's; DeepFool with bisection and SQP are written here,
on the forward pass of ``random_nets``. An attack that finds nothing says infinity.

What is written here breaks a point beyond rounding: where a margin is flat at its
crossing (it falls like a cube, say) the last 1e-4 of the way are 0 to rounding, and
exact fractions show them to be positive.
"""

import jax
import numpy as np
from random_nets import ROUNDING
from scipy import optimize

from jaxbias.robustness import apgd, fast_minimum_norm, pgd

# Just below what may not be found, and just below what ends raised by 2 % would allow.
SHARES, RAISED = (0.9989, 1.0189), 1.02
NEARER = 0.999
_WIDE = 1e6
_HALVINGS = 50
# How far past the step of an attack its crossing is looked for.
_FURTHER = 1e-3


def _ends(case):
    box = (-_WIDE, _WIDE) if case.box is None else case.box
    return tuple(np.broadcast_to(end, case.points.shape[1:]) for end in box)


def _far(case, found):
    """Upper ends, and where there is none a length to look as far as."""
    far = 4 * (1 + case.length(case.points))
    return np.where(np.isfinite(found.upper), found.upper, far)


def by_apgd(rng, case, found, steps=25, restarts=2):
    """The least radius of a grid of all points' ends at which each is broken."""
    ends = np.concatenate([share * _far(case, found) for share in SHARES])
    ends = np.concatenate([ends, (1 - 1e-9) * found.lower])
    ends = ends[(ends > 0) & np.isfinite(ends)]
    grid = np.unique(np.append(ends, 1.0))
    # One number of radii, one program.
    room = 3 * len(case.points) + 1 - len(grid)
    grid = np.append(grid, grid[-1] * (2.0 + np.arange(room)))
    wrong = apgd.broken(
        case.weights,
        case.activation,
        case.points,
        case.labels,
        grid,
        key=jax.random.key(int(rng.integers(2**31))),
        order=case.order,
        steps=steps,
        restarts=restarts,
        box=_ends(case),
    )
    return np.where(wrong.any(0), grid[wrong.argmax(0)], np.inf)


def by_pgd(rng, case, found, steps=60):
    """Without a box: the least of a few radii of its own at which each is broken."""
    count = len(case.points)
    if case.box is not None:
        return np.full(count, np.inf)
    far = _far(case, found)
    own = (1 - 1e-9) * np.where(np.isfinite(found.lower), found.lower, 0.0)
    radii = np.stack([own, *(share * far for share in SHARES)])
    wrong = pgd.broken(
        case.weights,
        case.activation,
        case.points,
        case.labels,
        radii,
        order=case.order,
        steps=steps,
        step=float(0.1 * np.median(far)) + 1e-9,
    )
    return np.where(wrong, radii, np.inf).min(0)


def by_fmn(rng, case, found, steps=60):
    """Lengths that fast minimum-norm finds."""
    steps_, broken = fast_minimum_norm.perturb(
        case.weights,
        case.activation,
        case.points,
        case.labels,
        order=case.order,
        steps=steps,
        box=_ends(case),
    )
    # Its steps may end where the margin is 0 to rounding: a little further, and back.
    low, high = _ends(case)
    further = (case.points + (1 + _FURTHER) * steps_).clip(low, high) - case.points
    lengths, _ = _cut(case, np.arange(len(further)), further)
    return np.where(broken, lengths, np.inf)


def _cut(case, rows, steps):
    """Lengths of broken steps after bisection towards their points, with the steps."""
    points, labels = case.points[rows], case.labels[rows]

    def wrong(share):
        moved = points + share[:, None] * steps
        rounding = ROUNDING * case.margins(moved, labels, sizes=True)
        return case.margins(moved, labels) <= -rounding

    low, high = np.zeros(len(rows)), np.ones(len(rows))
    there = wrong(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        broken = wrong(middle)
        low, high = np.where(broken, low, middle), np.where(broken, middle, high)
    cut = high[:, None] * steps
    return np.where(there, case.length(cut), np.inf), cut


def _onto(case, slope, value):
    """The shortest steps along which a linear margin falls by a value."""
    if np.isinf(case.order):
        size, way = np.abs(slope).sum(1), np.sign(slope)
    else:
        size, way = (slope**2).sum(1), slope
    return (
        -np.divide(value, size, where=size > 0, out=np.zeros_like(size))[:, None] * way
    )


def by_deepfool(rng, case, found, climbs=20, rounds=12):
    """DeepFool from many starts, bisected; then planes through what it finds."""
    count = len(case.points)
    low, high = _ends(case)
    others = [np.roll(case.points, shift, axis=0) for shift in range(1, count)]
    scales = _far(case, found)[:, None]
    near = [
        case.points + scale * scales * rng.normal(size=case.points.shape)
        for scale in (0.1, 0.5, 1.0)
    ]
    starts = np.concatenate([case.points, *others, *near]).clip(low, high)
    rows = np.tile(np.arange(count), len(starts) // count)
    points, labels = case.points[rows], case.labels[rows]
    steps = starts - points
    for _ in range(climbs):
        value = case.margins(points + steps, labels)
        move = 1.02 * _onto(case, case.slopes(points + steps, labels), value)
        move = np.where(value[:, None] > 0, move, 0.0)
        steps = (points + steps + move).clip(low, high) - points
    length, steps = _cut(case, rows, steps)
    for _ in range(rounds):
        inside = (1 - 1e-6) * steps
        slope = case.slopes(points + inside, labels)
        value = case.margins(points + inside, labels)
        trial = _onto(case, slope, value - (slope * inside).sum(1))
        trial = (points + (1 + 1e-4) * trial).clip(low, high) - points
        for mix in (1.0, 0.3):
            now, cut = _cut(case, rows, (1 - mix) * steps + mix * trial)
            better = now < length
            length = np.where(better, now, length)
            steps = np.where(better[:, None], cut, steps)
    return length.reshape(-1, count).min(0)


def by_sqp(rng, case, found, rows=(0, 1), starts=3):
    """SLSQP of SciPy from random starts, at some of the points."""
    lengths = np.full(len(case.points), np.inf)
    low, high = _ends(case)
    for row in rows:
        x, label = case.points[row], case.labels[row : row + 1]
        dim, reach = len(x), _far(case, found)[row]
        margin = lambda step, x=x, label=label, dim=dim: (
            -case.margins((x + step[:dim])[None], label)[0]
        )
        slope = lambda step, x=x, label=label, dim=dim: np.append(
            -case.slopes((x + step[:dim])[None], label)[0], np.zeros(len(step) - dim)
        )
        limits = [{"type": "ineq", "fun": margin, "jac": slope}]
        room = list(zip(low - x, high - x, strict=True))
        if np.isinf(case.order):
            both = np.vstack([np.eye(dim), -np.eye(dim)])
            both = np.hstack([-both, np.ones((2 * dim, 1))])
            limits += [{"type": "ineq", "fun": both.dot, "jac": lambda _, b=both: b}]
            room, last = [*room, (0, None)], np.eye(dim + 1)[-1]
            goal, jac = (lambda s: s[-1]), (lambda _, last=last: last)
        else:
            goal, jac = (lambda s: s @ s), (lambda s: 2 * s)
        for _ in range(starts):
            start = rng.normal(size=dim)
            start *= reach * rng.uniform(0.3, 1.5) / case.length(start)
            start = (x + start).clip(low, high) - x
            if np.isinf(case.order):
                start = np.append(start, np.abs(start).max())
            with np.errstate(all="ignore"):
                done = optimize.minimize(
                    goal, start, jac=jac, constraints=limits, bounds=room,
                    method="SLSQP", options={"maxiter": 60, "ftol": 1e-10},
                )  # fmt: skip
            step = done.x[:dim]
            if np.isfinite(step).all():
                step = (x + (1 + 1e-7) * step).clip(low, high) - x
                lengths[row] = min(
                    lengths[row], _cut(case, np.array([row]), step[None])[0][0]
                )
    return lengths


ATTACKS = {
    "APGD": by_apgd,
    "PGD": by_pgd,
    "FMN": by_fmn,
    "DeepFool": by_deepfool,
    "SQP": by_sqp,
}


def nearer_than_upper(found, lengths, raised=1.0):
    """Points of which an attack finds a length that contradicts the upper end."""
    return (found.upper > 0) & (lengths < NEARER * raised * found.upper)


def nearer_than_lower(case, found, lengths, raised=1.0):
    """Points of which an attack finds something below the certified end."""
    rounding = 1e-11 * (1 + np.abs(case.points).max(-1))
    return lengths < (1 - 1e-9) * raised * found.lower - rounding


def witness_fails(case, found, rounding):
    """Points whose witness does not flip, leaves the box or is not where it is said."""
    there = np.isfinite(found.upper)
    margins = case.margins(found.witness, case.labels)
    sizes = case.margins(found.witness, case.labels, sizes=True)
    length = case.length(found.witness - case.points)
    low, high = _ends(case)
    stays = ((found.witness >= low) & (found.witness <= high)).all(1)
    flips = margins <= rounding * sizes
    tight = np.abs(found.upper - length) <= 1e-12 * length + 1e-300
    still = (found.witness == case.points).all(1)
    return np.where(there, ~(flips & stays & (length <= found.upper) & tight), ~still)
