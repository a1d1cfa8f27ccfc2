r"""Where a network is broken, looked for without a point to start from.

A pocket that is deep, narrow and far away has no tangent that reaches it from a point.
But the roots of both halves of a network, $P^{1/p}$ and $M^{1/p}$ of the surrogate, are
convex and homogeneous of degree 1 in $v = (x, 1)\,s$, $s \ge 0$ ($s = 0$ are the
directions to infinity). So the least P where a linear function below $M^{1/p}$ is 1 is
a convex problem, and the ratio of the halves there falls with every new tangent. The
first ones are every opposing neuron alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linprog, minimize

from jaxbias.networks.activations import LeakyReLU
from jaxbias.robustness._case import OpenLanes
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._lanes import Lanes, difference
from jaxbias.robustness._normal_form import NormalForm, exponent_of, scaled
from jaxbias.robustness._profile import power

# Larger networks are left to the attack.
_MOST = 64
# Opposing neurons that are tried, tangents of each, and what another one must gain.
_TRIED, _TANGENTS, _SETTLED = 12, 4, 0.99
# How far along a direction to infinity is looked, as shares of 1 in (x, 1) s, and what
# counts as one.
_SHARES = (0.0, 2.0**-1, 2.0**-4, 2.0**-8, 2.0**-14)
_LEAST = 2.0**-20
# Ways to places that are kept, of each lane.
_KEPT, _HALVINGS = 3, 50


class Ways(NamedTuple):
    """Steps that break points."""

    rows: Int[np.ndarray, " way"]
    steps: Float[np.ndarray, "way feature"]


Box = tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]


class Halves:
    """Both halves of a scalar network in homogeneous coordinates, with their roots."""

    def __init__(self, form: NormalForm, own: int, rival: int | None, unit: float):
        one = lambda number: None if number is None else np.array([number])
        exponent = np.array([unit])
        amplitudes, level = difference(form, exponent, np.array([own]), one(rival))
        offsets = scaled(form.offsets, -unit)
        rows = np.concatenate([form.rows, offsets[:, None]], axis=1)
        # One that grows with the inputs does so more slowly than the neurons.
        level = 0.0 if form.scaled_constant else float(level[0])
        top = np.eye(rows.shape[1])[-1:]
        sizes = amplitudes[0]
        if isinstance(form.activation, LeakyReLU):
            # relu(z) - leak relu(-z)
            rows = np.concatenate([rows, -rows])
            sizes = np.concatenate([sizes, -form.activation.leak * sizes])
        rows, sizes = np.concatenate([rows, top]), np.append(sizes, level)
        self.power = float(form.activation.degree)
        self.own = rows[sizes > 0], sizes[sizes > 0]
        heaviest = np.argsort(sizes, kind="stable")[: (sizes < 0).sum()]
        self.opposing = rows[heaviest], -sizes[heaviest]

    def root(self, side, at: np.ndarray) -> tuple[float, np.ndarray]:
        """The root of a half and its gradient."""
        rows, sizes = side
        active = np.maximum(rows @ at, 0.0)
        total = float(sizes @ power(active, self.power))
        if total <= 0:
            return 0.0, np.zeros_like(at)
        slope = sizes * (
            active > 0 if self.power == 1 else power(active, self.power - 1)
        )
        root = total ** (1 / self.power)
        return root, root / total * (slope @ rows)

    def least(self, line: np.ndarray, box: Box | None) -> np.ndarray | None:
        """Where the own half is least, with the linear function at 1."""
        size = float(np.sqrt(line @ line))
        if size == 0:
            return None
        line = line / size
        solve = self._flat if self.power == 1 else self._curved
        return solve(line, box)

    def _flat(self, line: np.ndarray, box: Box | None) -> np.ndarray | None:
        rows, sizes = self.own
        inner, count = len(line), len(sizes)
        above = np.concatenate([rows, -np.eye(count)], axis=1)
        walls = np.pad(_walls(inner, box), ((0, 0), (0, count)))
        found = linprog(
            np.append(np.zeros(inner), sizes),
            A_ub=np.concatenate([above, walls]),
            b_ub=np.zeros(count + len(walls)),
            A_eq=np.append(line, np.zeros(count))[None],
            b_eq=[1.0],
            bounds=[(None, None)] * (inner - 1) + [(0, None)] * (1 + count),
            method="highs-ds",
        )
        return None if found.x is None else found.x[:inner]

    def _curved(self, line: np.ndarray, box: Box | None) -> np.ndarray | None:
        rows, sizes = self.own
        p = self.power
        mass = sizes / sizes.sum() if len(sizes) else sizes

        def half(at):
            active = np.maximum(rows @ at, 0.0)
            slope = p * (mass * power(active, p - 1)) @ rows
            return float(mass @ power(active, p)), slope

        begin = line.copy()
        begin[-1] = max(begin[-1], 0.0)
        walls = _walls(len(line), box)
        rules = [{"type": "eq", "fun": lambda at: line @ at - 1, "jac": lambda _: line}]
        if len(walls):
            rules.append(
                {"type": "ineq", "fun": lambda at: -walls @ at, "jac": lambda _: -walls}
            )
        found = minimize(
            half,
            begin,
            jac=True,
            method="SLSQP",
            bounds=[(None, None)] * (len(line) - 1) + [(0, None)],
            constraints=rules,
            options={"maxiter": 100, "ftol": 1e-12},
        )
        return found.x if np.isfinite(found.x).all() else None


def _walls(inner: int, box: Box | None) -> np.ndarray:
    """Rows whose products with v are not positive inside a box."""
    if box is None:
        return np.zeros((0, inner))
    unit = np.eye(inner)
    found = [
        sign * (unit[:-1] - end[:, None] * unit[-1:])[np.isfinite(end)]
        for sign, end in zip((-1, 1), box, strict=True)
    ]
    return np.concatenate(found)


def pockets(
    form: NormalForm, own: int, rival: int | None, box: Box | None, unit: float
) -> Float[np.ndarray, "place coordinate"]:
    """Broken places in homogeneous coordinates (x, 1) s, inputs in units of 2^unit.

    Args:
        form: a network with an activation that is a positive part to a power.
        own: the label, or its class.
        rival: the other class; None for one output.
        box: lowest and highest inputs in that unit.
        unit: a binary exponent.
    """
    halves, found = Halves(form, own, rival, unit), []
    for line in halves.opposing[0][:_TRIED]:
        last = np.inf
        for _ in range(_TANGENTS):
            at = halves.least(line, box)
            if at is None:
                break
            high, _ = halves.root(halves.own, at)
            low, line = halves.root(halves.opposing, at)
            if high < low:
                found.append(at)
            if not low > 0 or not 0 < high / low < _SETTLED * last:
                break
            last = high / low
    return np.array(found).reshape(-1, form.rows.shape[1] + 1)


def explore(of: OpenLanes, root: Float[np.ndarray, " lane"]) -> Ways:
    """Ways for points without a witness, of lanes that may have one.

    Places depend on the network and the label alone, and a way on its own point.
    ``root`` is infinite where nothing breaks a lane.
    """
    case, full = of.case, of.full
    form, found = case.reading.form, []
    waiting = np.isinf(case.ends.upper[of.rows])[full.point] & np.isfinite(root)
    large = full.profile.exponential or max(form.rows.shape) > _MOST
    if large or not waiting.any():
        return Ways(np.zeros(0, int), case.points[:0])
    unit = float(form.sites(np.zeros((1, form.rows.shape[1]))).exponent[0])
    low, high = (None, None) if case.walls is None else case.walls
    box = None if low is None else (scaled(low, -unit), scaled(high, -unit))
    kinds = np.stack([full.own, full.rival], axis=1)
    for own, rival in np.unique(kinds[waiting], axis=0):
        index = np.flatnonzero(waiting & (kinds == (own, rival)).all(1))
        other = None if form.classes is None else int(rival)
        places = pockets(form, int(own), other, box, unit)
        found += [_way(of, index, place, unit) for place in places]
    nothing = np.zeros(0, int), np.zeros((0, full.rows.shape[1]))
    lane, steps = (np.concatenate(part) for part in zip(nothing, *found, strict=True))
    near = _nearest(lane, lengths(steps, of.options.order))
    lane, steps = lane[near], steps[near]
    of.offer(full, "pocket")(lane, steps)
    return Ways(of.rows[full.point[lane]], full.lift(steps))


def _way(
    of: OpenLanes, index: np.ndarray, place: np.ndarray, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lanes that are broken on the way to a place, and the steps to where they are."""
    lanes = of.full.take(index)
    sites = of.sites.take(lanes.point)
    place = scaled(place, -exponent_of(np.abs(place).max()))
    # From the unit of the network to those of the points.
    last = scaled(np.where(place[-1] > _LEAST, place[-1], 0.0), sites.exponent - unit)
    steps = np.zeros((len(index), lanes.rows.shape[1]))
    done = np.zeros(len(index), bool)
    for share in _SHARES:
        size = last + share
        safe = np.where(size > 0, size, 1.0)[:, None]
        trial = of.inner(lanes, place[:-1] / safe - sites.inputs)
        if lanes.low is not None:
            trial = np.clip(trial, lanes.low, lanes.high)
        new = (size > 0) & ~done & _wrong(of, lanes, trial)
        steps[new] = trial[new]
        done |= new
    index, lanes, steps = index[done], lanes.take(np.flatnonzero(done)), steps[done]
    low, high = np.zeros(len(index)), np.ones(len(index))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        wrong = _wrong(of, lanes, middle[:, None] * steps)
        low, high = np.where(wrong, low, middle), np.where(wrong, middle, high)
    return index, high[:, None] * steps


def _wrong(of: OpenLanes, lanes: Lanes, steps: np.ndarray) -> np.ndarray:
    values = lanes.values(steps)
    return values < 0 if of.options.tie == "<" else values <= 0


def _nearest(lane: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Numbers of the shortest few of each lane."""
    order = np.lexsort((sizes, lane))
    first = np.searchsorted(lane[order], lane[order])
    return order[np.arange(len(order)) - first < _KEPT]
