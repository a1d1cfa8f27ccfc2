r"""Smaller problems with the same sign up to a certified error.

Inside a ball around the point, and in a bound from below, a group of nearly parallel
neurons may be replaced by one of their mean direction: for the neurons of the label's
own side because $\psi$ is convex (Jensen), for the others at the price of
$\sum_j c_j(\psi(z_j) - \psi(\bar z))$, which only the second order of the deviations
$z_j - \bar z$ enters; at p = 1 nothing is due where a whole group is on one side of
the kink. Neurons that stay off are dropped; at p = 1 those that stay on become linear;
what the others cannot reach is taken off the constant. What is left lies in the span
of few rows.

How far a lane is reduced is its own affair: each takes the coarsest merging whose price
it can pay, whatever lanes are beside it.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._blocks import product
from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._normal_form import LIKENESS
from jaxbias.robustness._profile import Profile

# Share of the clean value that dropping neurons may cost.
_NEGLIGIBLE = 1e-7
# With more neurons than this, merging may cost more: each projection would take longer
# than all else.
_FEW = 64


def dual_lengths(rows: np.ndarray, order: float | int) -> np.ndarray:
    """What a unit step can change each score by."""
    if np.isinf(order):
        return np.abs(rows).sum(1)
    return np.sqrt(np.einsum("ij,ij->i", rows, rows))


def reduce(
    lanes: Lanes,
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    cost: float,
    most: int | None = None,
) -> list[tuple[np.ndarray, Lanes]]:
    """Lanes below the given ones, valid for steps no longer than their reach.

    Args:
        lanes: the problems.
        reach: longest step of each lane.
        order: its norm.
        cost: share of its clean value that merging may take off a lane, unless there
            are too many neurons otherwise; nothing may be taken off where negative.
        most: lanes that would keep more features than this may be left out.

    Returns:
        Numbers of lanes that share their neurons, and what stands for them.
    """
    value = np.maximum(lanes.clean(), 0)
    # A box is one of inputs.
    turned = not np.isinf(order) and lanes.low is None
    wide = most is not None and lanes.rows.shape[1] > most
    if wide and not turned:
        return []
    # At p = 1 merging has to be tried at several likenesses, in fewer features faster.
    if turned and lanes.profile.power == 1 and most is None:
        lanes = _in_span(lanes)
    parts = [(np.arange(lanes.count), lanes)]
    if cost >= 0 and lanes.kin is not None:
        parts = [
            (index[inner], small)
            for index, part in _without_negligible(lanes, reach, order, value)
            for inner, small in _merged(
                part, reach[index], order, value[index], cost, most if wide else None
            )
        ]
    found = []
    for index, part in parts:
        if wide and most is not None and len(part.rows) > most:
            continue
        part = _folded(part, reach[index], order)
        found.append((index, _in_span(part) if turned else part))
    return found


def _highest(lanes: Lanes, reach: np.ndarray, order: float | int) -> np.ndarray:
    high = np.maximum(
        lanes.scores + reach[:, None] * dual_lengths(lanes.rows, order), 0
    )
    return lanes.profile.value(high, lanes.scale)


def _without_negligible(
    lanes: Lanes, reach: np.ndarray, order: float | int, value: np.ndarray
) -> list[tuple[np.ndarray, Lanes]]:
    """Drop the smallest neurons where their sum is a tiny share of the function."""
    assert lanes.kin is not None
    everyone, small = np.arange(lanes.count), lanes.kin.negligible
    # The linear terms would leave the span of the neurons that are kept.
    if lanes.linear.any() or not small.any():
        return [(everyone, lanes)]
    chosen = lambda a: np.ascontiguousarray(a[:, small]).sum(1)
    lost = chosen(_highest(lanes, reach, order) * lanes.minus)
    size = chosen(_highest(lanes, reach, order) * lanes.plus)
    pays = lost + size <= _NEGLIGIBLE * value
    less = replace(lanes, constant=lanes.constant - lost * (1 + 1e-12))
    parts = [
        (everyone[pays], _keep(less.take(everyone[pays]), ~small)),
        (everyone[~pays], lanes.take(everyone[~pays])),
    ]
    return [part for part in parts if len(part[0])]


def _keep(lanes: Lanes, keep: np.ndarray) -> Lanes:
    rows = {name: getattr(lanes, name)[keep] for name in ("rows", "offsets", "scale")}
    names = ("plus", "minus", "scores", "price", "spread")
    # In rows again: a row must be summed in one order, however many there are.
    columns = {n: np.ascontiguousarray(getattr(lanes, n)[:, keep]) for n in names}
    assert lanes.kin is not None
    return replace(lanes, **rows, **columns, kin=lanes.kin.without(~keep))


def _merged(
    lanes: Lanes,
    reach: np.ndarray,
    order: float | int,
    value: np.ndarray,
    cost: float,
    most: int | None,
) -> list[tuple[np.ndarray, Lanes]]:
    """For every lane the coarsest merging whose certified price is small for it."""
    assert lanes.kin is not None
    parts, waiting = [], np.arange(lanes.count)
    many = len(lanes.rows) > _FEW
    least, spare = np.full(lanes.count, np.inf), np.full(lanes.count, -1)
    for number, likeness in enumerate(LIKENESS):
        group = lanes.kin.group(likeness)
        count = group.max() + 1
        if count == len(lanes.rows) or not len(waiting):
            break
        if most is not None and count > most:
            return parts
        merged, lost = _merge(lanes.take(waiting), group, reach[waiting], order)
        pays = lost <= cost * value[waiting]
        if pays.any():
            parts.append((waiting[pays], merged.take(np.flatnonzero(pays))))
        lost, waiting = lost[~pays], waiting[~pays]
        if many and count <= _FEW:
            cheaper = lost < least[waiting]
            least[waiting[cheaper]] = lost[cheaper]
            spare[waiting[cheaper]] = number
    for number in np.unique(spare[waiting]):
        index = waiting[spare[waiting] == number]
        part = lanes.take(index)
        if number >= 0:
            group = lanes.kin.group(LIKENESS[number])
            part, _ = _merge(part, group, reach[index], order)
        parts.append((index, part))
    return parts


def _merge(
    lanes: Lanes, group: np.ndarray, reach: np.ndarray, order: float | int
) -> tuple[Lanes, np.ndarray]:
    """One neuron a group, and what it costs each lane."""
    assert lanes.kin is not None
    count = group.max() + 1
    share = lanes.kin.masses
    member = np.zeros((count, len(group)))
    member[group, np.arange(len(group))] = 1.0
    mass = member @ share
    weight = member * share / np.where(mass > 0, mass, 1.0)[:, None]
    rows, offsets = weight @ lanes.rows, weight @ lanes.offsets
    scores = product(lanes.scores, weight.T)
    apart = lanes.rows - rows[group]
    deviation = np.abs(lanes.scores - np.ascontiguousarray(scores[:, group]))
    deviation = deviation + reach[:, None] * dual_lengths(apart, order)
    highest = scores + reach[:, None] * dual_lengths(rows, order)
    cost = _remainder(lanes.profile, highest[:, group], deviation)
    price = product(lanes.minus * cost, member.T) * (1 + 1e-12)
    together = np.argsort(group, kind="stable")
    first = np.searchsorted(group[together], np.arange(count))
    spread = np.maximum.reduceat(deviation[:, together], first, axis=1)
    merged = replace(
        lanes,
        rows=rows,
        offsets=offsets,
        scale=np.ones(count),
        plus=product(lanes.plus, member.T),
        minus=product(lanes.minus, member.T),
        scores=scores,
        price=price,
        spread=spread * (1 + 1e-12),
        kin=None,
    )
    return merged, price.sum(1)


def _remainder(
    profile: Profile, highest: np.ndarray, deviation: np.ndarray
) -> np.ndarray:
    r"""Bounds on $\psi(\bar z + e) - \psi(\bar z) - \psi'(\bar z) e$."""
    p = profile.power
    if p == 1:
        # At most |e| for one, |e| / 2 on average: the deviations of a group sum to 0.
        return deviation / 2
    if p < 2:
        # The derivative is Hölder: |psi'(a) - psi'(b)| <= p |a - b|^(p-1).
        return deviation**p
    highest = np.maximum(highest + deviation, 0.0)
    return p * (p - 1) / 2 * highest ** (p - 2) * deviation**2


def _folded(lanes: Lanes, reach: np.ndarray, order: float | int) -> Lanes:
    """Neurons whose state is settled inside the reach: none off, at p = 1 none on."""
    swing = reach[:, None] * dual_lengths(lanes.rows, order)
    slack = 1e-13 * (2 * lanes.sizes[:, None] + swing + np.abs(lanes.scores))
    slack = slack + lanes.spread
    off = lanes.scores + swing + slack < 0
    if lanes.profile.exponential:
        return lanes
    plus = np.where(off, 0.0, lanes.plus)
    minus = np.where(off, 0.0, lanes.minus)
    linear, constant = lanes.linear, lanes.constant
    if lanes.profile.power == 1:
        on = lanes.scores - swing - slack > 0
        settled = np.where(on, plus - minus, 0.0)
        linear = linear + product(settled, lanes.rows)
        constant = constant + (settled * lanes.scores).sum(1)
        # What the sums may have rounded off, over the whole ball.
        lengths = np.sqrt((lanes.rows**2).sum(1))
        far = np.abs(lanes.scores) + (lanes.sizes + reach)[:, None] * lengths
        constant = constant - lanes.unit * (np.abs(settled) * far).sum(1)
        plus, minus = np.where(on, 0.0, plus), np.where(on, 0.0, minus)
    price = np.where(minus > 0, lanes.price, 0.0)
    return replace(
        lanes, plus=plus, minus=minus, linear=linear, constant=constant, price=price
    )


def _in_span(lanes: Lanes) -> Lanes:
    """Coordinates in the span of the rows (that of the linear terms lies in it)."""
    count, dim = lanes.rows.shape
    if count < dim:
        rotation, rows = np.linalg.qr(lanes.rows.T)
        lanes = replace(
            lanes,
            rows=np.ascontiguousarray(rows.T),
            linear=product(lanes.linear, rotation),
            basis=rotation.T if lanes.basis is None else rotation.T @ lanes.basis,
        )
    return lanes
