"""Certified lower ends of lanes without search: the best of several, and its name."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from jaxbias.robustness._lanes import Lanes, difference, growing
from jaxbias.robustness._normal_form import NormalForm, Sites, scaled
from jaxbias.robustness._reduction import reduce
from jaxbias.robustness._relaxations import NAMES
from jaxbias.robustness.certificates import root_certificate

METHODS = ("root certificate", *NAMES, "convex relaxation", "branch and bound", "MILP")


def root_bounds(
    form: NormalForm,
    lanes: Lanes,
    points: Sites,
    order: float | int,
) -> Float[np.ndarray, " lane"]:
    """The root certificate of every lane, one call for those of equal amplitudes."""
    lower = np.zeros(lanes.count)
    if lanes.profile.exponential:
        return lower
    kinds = np.stack([lanes.own, lanes.rival], axis=1)
    _, kind = np.unique(kinds, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    rival = None if form.classes is None else lanes.rival
    _, constants = difference(form, lanes.exponent, lanes.own, rival)
    extra = form.extra(lanes.exponent)
    if form.scaled_constant:
        square = lanes.sizes**2 + extra
        constants = constants * square ** ((form.activation.degree - 1) / 2)
    else:
        # What a read-out takes off the constant is in the lanes alone.
        constants = np.minimum(constants, _plain(lanes, form))
    for each in range(kind.max() + 1):
        members = np.flatnonzero(kind == each)
        first, rows = members[0], lanes.point[members]
        if form.classes is None:
            amplitudes = lanes.own[first] * form.amplitudes
        else:
            own, other = lanes.own[first], lanes.rival[first]
            amplitudes = form.amplitudes[:, own] - form.amplitudes[:, other]
        lower[members] = root_certificate(
            form.rows,
            scaled(form.offsets[None], -lanes.exponent[members, None]),
            amplitudes,
            constants[members],
            points.inputs[rows],
            form.activation,
            order,
            constant_grows=form.scaled_constant and bool(constants[first] != 0),
            extra=extra[members],
        )
    return lower


def _plain(lanes: Lanes, form: NormalForm) -> np.ndarray:
    """Constants of lanes without the value of a leaky activation's linear part."""
    leak = getattr(form.activation, "leak", 0.0)
    if leak == 0:
        return lanes.constant
    return np.full(lanes.count, np.inf)


def reduced(
    form: NormalForm,
    lanes: Lanes,
    reach: Float[np.ndarray, " lane"],
    order: float | int,
    cost: float,
) -> list[tuple[np.ndarray, Lanes]]:
    """Lanes for steps up to the reach, smaller where that is certified."""
    full = replace(lanes, constant=lanes.constant + growing(form, lanes, reach))
    return reduce(full, reach, order, cost)
