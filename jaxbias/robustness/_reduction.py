r"""Smaller problems with the same sign up to a certified error.

Inside a ball around the point, and in a bound from below, a group of nearly parallel
neurons may be replaced by one of their mean direction: for the neurons of the label's
own side because $\psi$ is convex (Jensen), for the others at the price of
$\sum_j c_j(\psi(z_j) - \psi(\bar z))$, which only the second order of the deviations
$z_j - \bar z$ enters; at p = 1 nothing is due where a whole group is on one side of
the kink. Neurons that stay off are dropped; at p = 1 those that stay on become linear;
what the others cannot reach is taken off the constant. What is left lies in the span
of few rows.
"""

import functools
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from jaxbias.robustness._lanes import Lanes
from jaxbias.robustness._profile import Profile

# 1 - cosine below which neurons are merged, tried from the coarsest.
_LIKENESS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-13)
# Directions of more coordinates are compared by so many random combinations of them.
_SKETCH = 64
# Share of the clean value that dropping neurons may cost.
_NEGLIGIBLE = 1e-9
# With more neurons than the first, merging may cost up to the second: each projection
# would take longer than all else.
_FEW, _DEAREST = 64, 0.02
# Of the lanes, how many must be served; a lane at the boundary has no value to share.
_MOST = 0.9


def dual_lengths(rows: np.ndarray, order: float | int) -> np.ndarray:
    """What a unit step can change each score by."""
    return np.abs(rows).sum(1) if np.isinf(order) else np.sqrt((rows**2).sum(1))


def reduce(
    lanes: Lanes,
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    cost: float,
) -> Lanes:
    """A lane below each one, valid for steps no longer than its reach.

    Args:
        lanes: the problems.
        reach: longest step of each lane.
        order: its norm.
        cost: share of the clean value that merging may take off nine lanes in ten,
            unless there are too many neurons otherwise; nothing may be taken off where
            it is negative.
    """
    value = np.maximum(lanes.values(np.zeros((lanes.count, lanes.rows.shape[1]))), 0)
    if cost >= 0:
        lanes = _without_negligible(lanes, reach, order, value)
    lanes = _merged(lanes, reach, order, value, cost)
    lanes = _folded(lanes, reach, order)
    return lanes if np.isinf(order) else _in_span(lanes)


def _highest(lanes: Lanes, reach: np.ndarray, order: float | int) -> np.ndarray:
    high = np.maximum(
        lanes.scores + reach[:, None] * dual_lengths(lanes.rows, order), 0
    )
    return lanes.profile.value(high, lanes.scale)


def _without_negligible(
    lanes: Lanes, reach: np.ndarray, order: float | int, value: np.ndarray
) -> Lanes:
    """Drop neurons whose sum is below a tiny share of the function."""
    right = value > 0
    # The linear terms would leave the span of the neurons that are kept.
    if lanes.profile.exponential or lanes.linear.any() or not right.any():
        return lanes
    most = _highest(lanes, reach, order) * (lanes.plus + lanes.minus)
    share = np.quantile(most[right] / value[right][:, None], _MOST, axis=0)
    order_of = np.argsort(share)
    small = np.zeros(len(share), bool)
    small[order_of[np.cumsum(share[order_of]) <= _NEGLIGIBLE]] = True
    if small.all():
        small[np.argmax(share)] = False
    lost = (_highest(lanes, reach, order) * lanes.minus)[:, small].sum(1)
    return _keep(replace(lanes, constant=_lower(lanes.constant, lost)), ~small)


def _lower(constant: np.ndarray, lost: np.ndarray) -> np.ndarray:
    return constant - lost * (1 + 1e-12)


def _keep(lanes: Lanes, keep: np.ndarray) -> Lanes:
    if keep.all():
        return lanes
    rows = {name: getattr(lanes, name)[keep] for name in ("rows", "offsets", "scale")}
    names = ("plus", "minus", "scores", "price", "spread")
    columns = {name: getattr(lanes, name)[:, keep] for name in names}
    return replace(lanes, **rows, **columns)


def _merged(
    lanes: Lanes,
    reach: np.ndarray,
    order: float | int,
    value: np.ndarray,
    cost: float,
) -> Lanes:
    """The coarsest merging whose certified price is small in most lanes."""
    right = value > 0
    # The mean of a group is the same in every lane for networks with one output only.
    alike = (lanes.plus + lanes.minus == lanes.plus[:1] + lanes.minus[:1]).all()
    if cost < 0 or lanes.profile.exponential or not right.any() or not alike:
        return lanes
    many, spare, least = len(lanes.rows) > _FEW, lanes, _DEAREST
    for likeness in _LIKENESS:
        group = groups(
            lanes.rows, lanes.offsets, lanes.plus[0] - lanes.minus[0], likeness
        )
        count = group.max() + 1
        if count == len(lanes.rows) or (count > _FEW and spare is not lanes):
            break
        merged, lost = _merge(lanes, group, reach, order)
        price = np.quantile(lost[right] / value[right], _MOST)
        if price <= cost:
            return merged
        if many and count <= _FEW and price < least:
            spare, least = merged, price
    return spare


def groups(
    rows: Float[np.ndarray, "neuron feature"],
    offsets: Float[np.ndarray, " neuron"],
    amplitudes: Float[np.ndarray, " neuron"],
    likeness: float,
) -> Int[np.ndarray, " neuron"]:
    """Numbers of groups: amplitudes of one sign, directions close to the leader's.

    Leaders are the largest of those left over; likeness is a bound on 1 - cosine.
    """
    units = np.concatenate([rows, offsets[:, None]], axis=1)
    if units.shape[1] > _SKETCH:
        # Distances to a fifth: who goes with whom is a guess, its price is certified.
        units = units @ _sketch(units.shape[1])
    group, count = np.full(len(units), -1), 0
    for leader in np.argsort(-np.abs(amplitudes)):
        if group[leader] >= 0:
            continue
        left = np.flatnonzero(group < 0)
        # As differences, which cosines near 1 would lose.
        apart = ((units[left] - units[leader]) ** 2).sum(1) / 2
        near = (apart <= likeness) & (amplitudes[left] * amplitudes[leader] > 0)
        group[left[near]] = count
        group[leader] = count
        count += 1
    return group


@functools.lru_cache(maxsize=4)
def _sketch(dim: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(dim, _SKETCH)) / np.sqrt(_SKETCH)


def _merge(
    lanes: Lanes, group: np.ndarray, reach: np.ndarray, order: float | int
) -> tuple[Lanes, np.ndarray]:
    """One neuron a group, and what it costs each lane."""
    count = group.max() + 1
    share = lanes.plus[0] + lanes.minus[0]
    member = np.zeros((count, len(group)))
    member[group, np.arange(len(group))] = 1.0
    mass = member @ share
    weight = member * share / np.where(mass > 0, mass, 1.0)[:, None]
    rows, offsets = weight @ lanes.rows, weight @ lanes.offsets
    scores = lanes.scores @ weight.T
    apart = lanes.rows - rows[group]
    deviation = np.abs(lanes.scores - scores[:, group])
    deviation = deviation + reach[:, None] * dual_lengths(apart, order)
    highest = scores + reach[:, None] * dual_lengths(rows, order)
    cost = _remainder(lanes.profile, highest[:, group], deviation)
    price = (lanes.minus * cost) @ member.T * (1 + 1e-12)
    spread = np.zeros_like(scores)
    for each in range(count):
        spread[:, each] = deviation[:, group == each].max(1)
    merged = replace(
        lanes,
        rows=rows,
        offsets=offsets,
        scale=np.ones(count),
        plus=lanes.plus @ member.T,
        minus=lanes.minus @ member.T,
        scores=scores,
        price=price,
        spread=spread * (1 + 1e-12),
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
    slack = 1e-13 * (lanes.sizes[:, None] + swing + np.abs(lanes.offsets))
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
        linear = linear + settled @ lanes.rows
        constant = constant + (settled * lanes.scores).sum(1)
        # What the sums may have rounded off, over the whole ball.
        lengths = np.sqrt((lanes.rows**2).sum(1))
        far = np.abs(lanes.scores) + (lanes.sizes + reach)[:, None] * lengths
        constant = constant - lanes.unit * (np.abs(settled) * far).sum(1)
        plus, minus = np.where(on, 0.0, plus), np.where(on, 0.0, minus)
    price = np.where(minus > 0, lanes.price, 0.0)
    lanes = replace(
        lanes, plus=plus, minus=minus, linear=linear, constant=constant, price=price
    )
    # In l_2 the rows go on to span the linear terms.
    return _keep(lanes, _used(lanes)) if np.isinf(order) else lanes


def _used(lanes: Lanes) -> np.ndarray:
    """Neurons that some lane needs, at least one."""
    used = ((lanes.plus > 0) | (lanes.minus > 0)).sum(0) > 0
    used[:1] |= not used.any()
    return used


def _in_span(lanes: Lanes) -> Lanes:
    """Coordinates in the span of the rows (that of the linear terms lies in it)."""
    count, dim = lanes.rows.shape
    if count < dim:
        rotation, _ = np.linalg.qr(lanes.rows.T)
        lanes = replace(
            lanes,
            rows=lanes.rows @ rotation,
            linear=lanes.linear @ rotation,
            basis=rotation.T,
        )
    return _keep(lanes, _used(lanes))
