"""What may be done to a network and its points, and what the radii must then do.

Every relation takes a generator and a case and gives a twin: another case whose radii
are those of the first one times a number. Nothing here looks at how radii are found.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from random_nets import DIM, NEURONS, Case

UNITS = (1 / 255, 255.0, 1e3, 1e5)
# Rounding of weights and points moves a radius near 0 by about this much of a point.
FLOOR = 1e-11
# Relative: rounding of the weights where they are not multiplied by powers of two.
OVERLAP = 1e-9


class Twin(NamedTuple):
    """A transformed case, and what it multiplies radii by."""

    case: Case
    factor: float = 1.0


@dataclass(frozen=True)
class Relation:
    """One relation.

    Attributes:
        apply: from a generator and a case to its twin.
        demands: ``"bits"``, ``"close"`` or ``"overlap"``.
        rounds: whether the twin's function is the same up to rounding only, which ends
            ties.
        fits: which other cases it can be asked of.
    """

    apply: Callable[[np.random.Generator, Case], Twin]
    demands: str = "close"
    rounds: bool = True
    fits: Callable[[Case], bool] = lambda case: True

    def asks(self, case):
        """Whether the relation says anything about a case."""
        return self.fits(case) and not (self.rounds and case.whole)


def _scaled(case, inputs=1.0, hidden=1.0, output=1.0):
    """Inputs, hidden layer (numbers or one a neuron) and outputs multiplied.

    Scores are multiplied by ``hidden``, and the function of the new inputs by
    ``output``; where neurons are divided by their norms, by that too.
    """
    each = np.broadcast_to(np.asarray(hidden, float), (len(case.hidden),))
    rows = each[:, None] * case.hidden / inputs
    bias = None if case.bias is None else each * case.bias
    power = case.activation.degree
    shrink = each**power
    if case.activation.normalised:
        before, after = _norms(case.hidden, case.bias), _norms(rows, bias)
        shrink = shrink * (before / after) ** (power - 1)
    back = output / shrink
    values = case.output * (back if case.output.ndim == 1 else back[:, None])
    return replace(
        case,
        hidden=rows,
        bias=bias,
        output=values,
        constant=None if case.constant is None else output * case.constant,
        points=inputs * case.points,
        box=None if case.box is None else tuple(inputs * end for end in case.box),
    )


def _norms(rows, bias):
    squares = (rows**2).sum(1) + (0.0 if bias is None else bias**2)
    return np.where(squares > 0, np.sqrt(squares), 1.0)


def _unit(rng, case):
    factor = float(rng.choice(UNITS))
    return Twin(_scaled(case, inputs=factor), factor)


def _plain(case):
    """No norms of pairs (w, b), which do not scale with the unit."""
    return not case.activation.normalised or case.bias is None


def _unit_of_two(rng, case):
    # Powers of four: their square roots, which exponents of 1.5 take, are exact too.
    factor = 4.0 ** int(rng.choice([-8, -1, 1, 8]))
    rows = case.hidden / factor
    box = None if case.box is None else tuple(factor * end for end in case.box)
    # Where neurons are divided by their norms outputs grow alike and keep signs.
    twin = replace(case, hidden=rows, points=factor * case.points, box=box)
    return Twin(twin, factor)


def _layers(rng, case):
    each = np.exp(rng.normal(size=len(case.hidden)))
    return Twin(_scaled(case, hidden=each, output=10.0 ** rng.uniform(-4, 4)))


def _layers_of_two(rng, case):
    hidden, output = (4.0 ** int(k) for k in rng.choice([-8, -1, 1, 8], size=2))
    power = case.activation.degree
    gain = hidden if case.activation.normalised else hidden**power
    return Twin(
        replace(
            case,
            hidden=hidden * case.hidden,
            bias=None if case.bias is None else hidden * case.bias,
            output=output * case.output,
            constant=None if case.constant is None else gain * output * case.constant,
        )
    )


def _extremes(rng, case):
    """Scales whose squares or powers are no floats, exactly representable."""
    inputs = 2.0 ** float(rng.choice([-660, 0, 500]))
    # The rows themselves, hidden / inputs, must be floats.
    hidden = 2.0 ** float(rng.choice([-300, 0] if inputs < 1 else [-300, 0, 530]))
    output = 2.0 ** float(rng.choice([-996, 0, 530]))
    plain = case.bias is None and case.constant is None
    if not plain:
        # A constant would have to be of another size.
        hidden, output = 2.0 ** float(rng.choice([-300, 0, 300])), 1.0
    twin = replace(
        case,
        hidden=hidden * case.hidden / inputs,
        output=output * case.output,
        bias=None if case.bias is None else hidden * case.bias,
        constant=None if case.constant is None else hidden * case.constant,
        points=inputs * case.points,
        box=None if case.box is None else tuple(inputs * end for end in case.box),
    )
    return Twin(twin, inputs)


def _extremes_fit(case):
    # Powers of such scores are no floats in any network.
    return case.activation.degree == 1


def _rotation(rng, case):
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    return Twin(replace(case, hidden=case.hidden @ turn.T, points=case.points @ turn.T))


def _signed_permutation(rng, case):
    order, signs = rng.permutation(DIM), rng.choice([-1.0, 1.0], size=DIM)
    turned = lambda array: signs * array[..., order]
    box = case.box
    if box is not None:
        ends = np.stack([turned(box[0]), turned(box[1])])
        box = ends.min(0), ends.max(0)
    twin = replace(
        case, hidden=turned(case.hidden), points=turned(case.points), box=box
    )
    return Twin(twin)


def _neurons(rng, case, index):
    return replace(
        case,
        hidden=case.hidden[index],
        output=case.output[index],
        bias=None if case.bias is None else case.bias[index],
    )


def _neuron_order(rng, case):
    return Twin(_neurons(rng, case, rng.permutation(len(case.hidden))))


def _split(rng, case):
    index = np.append(np.arange(NEURONS), int(rng.integers(NEURONS)))
    twin = _neurons(rng, case, index)
    share, output = rng.uniform(0.1, 0.9), twin.output.copy()
    output[index[-1]] *= share
    output[-1] *= 1 - share
    twin = replace(twin, output=output)
    if rng.random() < 0.5:
        # And one of the halves written with a larger hidden row.
        each = np.append(np.ones(NEURONS), np.exp(rng.normal()))
        twin = _scaled(twin, hidden=each)
    return Twin(twin)


def _dead(rng, case):
    """A neuron without row, without output, or off wherever one looks."""
    twin = _neurons(rng, case, np.append(np.arange(NEURONS), 0))
    hidden, output = twin.hidden.copy(), twin.output.copy()
    bias = None if twin.bias is None else twin.bias.copy()
    how = rng.choice(["no row", "no output", "off"])
    if how == "no output":
        hidden[-1], output[-1] = rng.normal(size=DIM), 0.0
    else:
        hidden[-1], output[-1] = 0.0, 1.7
        if bias is not None:
            bias[-1] = 0.0 if how == "no row" else -1.0
    return Twin(replace(twin, hidden=hidden, output=output, bias=bias))


def _translation(rng, case):
    step = rng.normal(size=DIM)
    bias = 0.0 if case.bias is None else case.bias
    twin = replace(
        case,
        points=case.points + step,
        bias=bias - case.hidden @ step,
        box=None if case.box is None else tuple(end + step for end in case.box),
    )
    if case.activation.normalised:
        # Their norms are now others.
        power = case.activation.degree
        ratio = _norms(twin.hidden, twin.bias) / _norms(case.hidden, case.bias)
        gain = ratio ** (power - 1)
        values = twin.output * (gain if twin.output.ndim == 1 else gain[:, None])
        twin = replace(twin, output=values)
    return Twin(twin)


def _other_sign(rng, case):
    """The outputs with the other sign, and the labels; or the classes renumbered."""
    if case.output.ndim == 1:
        constant = None if case.constant is None else -case.constant
        twin = replace(
            case, output=-case.output, constant=constant, labels=-case.labels
        )
        return Twin(twin)
    order = rng.permutation(case.output.shape[1])
    place = np.argsort(order)
    twin = replace(
        case,
        output=case.output[:, order],
        constant=None if case.constant is None else case.constant[order],
        labels=place[case.labels],
    )
    return Twin(twin)


def _two_classes(rng, case):
    """One output as the difference of two."""
    share = rng.normal(size=NEURONS)
    constant = case.constant
    if constant is not None:
        constant = np.stack([np.zeros(()), constant])
    twin = replace(
        case,
        output=np.stack([share, share + case.output], 1),
        constant=constant,
        labels=(case.labels > 0).astype(int),
    )
    return Twin(twin)


RELATIONS = {
    "unit of the inputs": Relation(_unit),
    "unit, a power of two": Relation(_unit_of_two, "bits", False, _plain),
    "scale of the layers": Relation(_layers),
    "scale, a power of two": Relation(_layers_of_two, "bits", False),
    "extreme scales": Relation(_extremes, "close", False, _extremes_fit),
    "rotation": Relation(
        _rotation, fits=lambda case: case.order == 2 and case.box is None
    ),
    "signed permutation": Relation(_signed_permutation, rounds=False),
    "order of neurons": Relation(_neuron_order, rounds=False),
    "a neuron split": Relation(_split),
    "a dead neuron": Relation(_dead, rounds=False),
    "translation": Relation(_translation, "overlap"),
    "other signs": Relation(_other_sign, rounds=False),
    "two classes": Relation(_two_classes, fits=lambda case: case.output.ndim == 1),
}


class Differences(NamedTuple):
    """What two radii of the same points say of each other, one entry a point."""

    disjoint: np.ndarray
    bits: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def differences(case, first, second, factor=1.0):
    """Differences of a case's radii from its twin's, which are ``factor`` times those.

    Args:
        case: the first case.
        first: its radii.
        second: the twin's radii.
        factor: what the relation multiplies by.
    """
    floor = FLOOR * (1.0 + np.abs(case.points).max(-1))
    lower, upper = second.lower / factor, second.upper / factor
    below = lambda one, other: one <= other * (1 + OVERLAP) + floor
    same = (second.lower == factor * first.lower) & (
        second.upper == factor * first.upper
    )
    return Differences(
        disjoint=~(below(first.lower, upper) & below(lower, first.upper)),
        bits=~same,
        lower=_apart(first.lower, lower, floor),
        upper=_apart(first.upper, upper, floor),
    )


def _apart(first, second, floor):
    """Relative differences; infinite where one end alone is, 0 below the floor."""
    with np.errstate(invalid="ignore"):
        gap = np.where(first == second, 0.0, np.abs(first - second))
    larger = np.maximum(first, second)
    share = gap / np.where((larger > 0) & np.isfinite(larger), larger, 1.0)
    return np.where(gap <= floor, 0.0, share)


def allowed(first, second, most, closed):
    """How far the ends of each point may be apart: less where both say "exact"."""
    both = (first.status == "exact") & (second.status == "exact")
    return np.where(both, closed, most)


def companies(rng, case):
    """Cases of some of the points, and which points these are."""
    count = len(case.points)
    index = {
        "alone": rng.integers(count, size=1),
        "the first three": np.arange(3),
        "permuted": rng.permutation(count),
        "duplicated": np.tile(np.arange(count), 2),
    }
    return {name: (case.rows(rows), rows) for name, rows in index.items()}
