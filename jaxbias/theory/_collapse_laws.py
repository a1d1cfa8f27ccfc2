"""Laws of the late phase by class, with first-order remainders in 1/m.

The margin m of a class grows like log t, so every remainder is one of 1/log t.
"""

import math

import numpy as np

from jaxbias.theory._claim import Remainder, Setting
from jaxbias.theory._collapse_data import by_class, limits_of
from jaxbias.theory._collapse_limits import (
    columns,
    late_margin,
    layer_shares,
    max_margin,
    stretch,
)


def late_margins(setting: Setting, entropy: float = 1.0) -> np.ndarray:
    """``m = kappa gamma_k |W_k|_F^2`` by the law ``Ei(m) = 2 gamma kappa c e^H t``.

    ``entropy`` multiplies H.
    """
    found = []
    for limit in limits_of(setting):
        changed = limit._replace(entropy=entropy * limit.entropy)
        found.append(late_margin(changed, setting["time"], setting["classes"]))
    return np.array(found)


def norm_law(setting: Setting, **changes) -> dict:
    """``kappa gamma_k |W_k|_F^2``, and the unit ``kappa gamma_k`` of |W_k|_F^2."""
    margins = np.array([limit.margin for limit in limits_of(setting)])
    return {
        "value": late_margins(setting, **changes),
        "unit": stretch(setting["classes"]) * margins,
    }


def norm_law_remainder(setting: Setting) -> Remainder:
    """1/m."""
    return Remainder(
        1 / late_margins(setting),
        "the norm exceeds its part along u by tilt^2/(2 m), and the rate of m is off by"
        " order 1/m^2: together below 1/m",
    )


def norm_ratios(setting: Setting, power: float = -1.0) -> dict:
    """|W_k|_F^2 over that of the last class: ``gamma_K/gamma_k``."""
    margins = np.array([limit.margin for limit in limits_of(setting)])
    return {"value": (margins**power / margins[-1] ** power)[:-1]}


def norm_ratio_remainder(setting: Setting) -> Remainder:
    """Relative size of the gaps between the classes' m."""
    sizes = late_margins(setting)
    gaps = np.abs(sizes[:-1] - sizes[-1]) + 1 / sizes[:-1] + 1 / sizes[-1]
    return Remainder(
        norm_ratios(setting)["value"] * gaps / np.min(sizes),
        "gamma_k |W_k|^2 are logarithms of t up to ln(gamma_k e^(H_k)), so their ratio"
        " is 1 + O(1/log t)",
    )


def margin_ratios(setting: Setting, power: float = 0.0) -> dict:
    """Least margin over that of the last class."""
    return norm_ratios(setting, power)


def margin_ratio_remainder(setting: Setting) -> Remainder:
    """The same of ``m + min r_i``."""
    sizes = late_margins(setting)
    least = np.array([np.min(limit.offsets) for limit in limits_of(setting)])
    ends = sizes + least
    wide = np.abs(ends[:-1] - ends[-1]) + 2 / np.min(sizes)
    slow = max(limit.next_order for limit in limits_of(setting)) / np.min(sizes)
    return Remainder(
        (wide + 2 * slow * np.max(np.abs(least))) / np.min(ends),
        "the least margin is m + min r_i, r_i known to its next order in 1/m",
    )


def _slow(setting: Setting) -> float:
    """Twice the next order, relative to the first."""
    worst = max(limit.next_order for limit in limits_of(setting))
    return 2 * worst / float(np.min(late_margins(setting)))


def tilts(setting: Setting) -> dict:
    """Share of W_k off u_k, ``gamma_k |b_k|/m``."""
    tilt = np.array([limit.tilt for limit in limits_of(setting)])
    return {"value": tilt / late_margins(setting)}


def collapse_metrics(setting: Setting, power: float = 1.0) -> dict:
    """NC1, NC2 and, for several outputs, NC3 to first order in 1/m."""
    sizes, limits = late_margins(setting), limits_of(setting)
    classes = setting["classes"]
    # Features of class k are margins along one line: q_i/sqrt(kappa m/gamma_k).
    weight = np.array([limit.margin for limit in limits]) / sizes
    spread = np.array([np.var(limit.offsets) for limit in limits])
    means = sizes + np.array([np.mean(limit.offsets) for limit in limits])
    first = np.sum(weight * spread) / np.sum(weight * means**2)
    values = [first * classes / (classes - 1), 0.0]
    if classes > 2:
        units = means / np.linalg.norm(means) - 1 / math.sqrt(classes)
        values.append(float(np.linalg.norm(units)))
    return {"value": np.array(values) ** power}


def tilt_remainder(setting: Setting) -> Remainder:
    """Twice the next order of the offsets."""
    return Remainder(
        _slow(setting) * tilts(setting)["value"],
        "twice the next order of the offsets r_i, of relative size gamma^2 |Gram^-1 r /"
        " lambda|/(m |r|)",
    )


def metric_remainder(setting: Setting) -> Remainder:
    """The same, doubled for NC1."""
    value = collapse_metrics(setting)["value"]
    # NC1 is quadratic in the offsets.
    order = np.array([2.0, 1.0, 1.0])[: value.size]
    return Remainder(
        order * _slow(setting) * value + 1e-9,
        "twice the next order of the offsets r_i; 1e-9 for what is 0",
    )


def limit_network(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """The limit itself: one neuron s_k u_k a class, |theta| = 1."""
    found = [max_margin(rows) for rows in by_class(setting)]
    shares = layer_shares(np.array([margin for margin, *_ in found]))
    hidden = shares[:, None] * np.array([direction for _, direction, _ in found])
    if setting["classes"] == 2:
        return hidden, (shares * [1.0, -1.0])[:, None]
    return hidden, shares[:, None] * columns(setting["classes"])


def limit_margins(setting: Setting, power: float = 1.0) -> dict:
    """``kappa/(2 sum_k 1/gamma_k)`` in every class; 1/2 in either layer."""
    inverse = np.array([1 / limit.margin for limit in limits_of(setting)])
    whole = np.sum(inverse**power) ** (1 / power)
    margin = stretch(setting["classes"]) / (2 * whole)
    return {"value": np.append(np.full(inverse.size, margin), [0.5, 0.5])}
