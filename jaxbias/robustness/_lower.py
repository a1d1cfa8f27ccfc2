"""Certified lower ends of lanes without search: the best of several, and its name."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxbias.networks.readouts import ProbabilitySum
from jaxbias.robustness._lanes import Lanes, difference, growing
from jaxbias.robustness._normal_form import NormalForm, Sites, scaled
from jaxbias.robustness._reading import Reading, combine, problems
from jaxbias.robustness._reduction import dual_lengths, reduce
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


def never_broken(reading: Reading, lanes: Lanes, tie: str) -> Bool[np.ndarray, " lane"]:
    """Lanes that no step breaks: nothing is taken off what is there.

    No neuron counts against the label, and what is left without any of them is
    positive, or at least not negative where only that is broken.
    """
    form = reading.form
    if isinstance(reading.readout, ProbabilitySum):
        return np.zeros(lanes.count, bool)
    if form.classes is None:
        output, constant = lanes.own[:, None] * form.output, lanes.own * form.constant
    else:
        own, rival, table = lanes.own, lanes.rival, form.output.T
        output = table[own] - table[rival]
        constant = form.constant[own] - form.constant[rival]
    leaky = getattr(form.activation, "leak", 0.0) != 0
    never = (output == 0 if leaky else output >= 0).all(1)
    if tie == "<":
        return never & (constant >= 0)
    # A constant that grows with the length of the input may vanish with it.
    return never & (constant > 0) & (form.augmented or not form.scaled_constant)


def lipschitz_bounds(
    reading: Reading,
    points: Sites,
    labels: Int[np.ndarray, " sample"],
    order: float | int,
) -> Float[np.ndarray, " sample"]:
    r"""Radii that the stated Lipschitz constant L of an activation gives.

    $f(x_0) / (L\sum_j |c_j| \|u_j\|_{q^*})$, of every problem of a point.

    Args:
        reading: a network whose activation states one.
        points: the points.
        labels: of the points.
        order: 2 or infinity.
    """
    activation, lanes = reading.form.activation, problems(reading, points, labels)
    stated = activation.lipschitz
    assert stated is not None
    with jax.enable_x64(True):
        heights = np.asarray(activation.value(jnp.asarray(lanes.scores)))
    sizes = lanes.plus + lanes.minus
    value = ((lanes.plus - lanes.minus) * heights).sum(1) + lanes.constant
    # The constant may amplify the rounding of a score as well.
    far = np.abs(lanes.scores) + lanes.sizes[:, None]
    bulk = (sizes * (np.abs(heights) + stated * far)).sum(1) + np.abs(lanes.constant)
    steep = stated * (sizes * dual_lengths(lanes.rows, order)).sum(1)
    above = np.maximum(value - 4 * lanes.unit * bulk, 0.0)
    safe = np.where(steep > 0, steep, 1.0)
    radius = np.where(steep > 0, above / safe * (1 - 4 * lanes.unit), np.inf)
    return combine(lanes, np.where(above > 0, radius, 0.0))[0]


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
    most: int | None = None,
) -> list[tuple[np.ndarray, Lanes]]:
    """Lanes for steps up to the reach, smaller where that is certified."""
    full = replace(lanes, constant=lanes.constant + growing(form, lanes, reach))
    return reduce(full, reach, order, cost, most)
