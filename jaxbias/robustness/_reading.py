r"""Which scalar problems a read-out poses, and how their radii combine.

A point of several classes is broken once a rival class reaches its own: the least over
rivals. Where classes stand for labels, *every* own class must be beaten by one rival,
so the radius is at least the largest over own classes, then the least over rivals.
Probability sums lie within $\log k_{opp}$ of that; for networks with one nonnegative
neuron a class they are one problem of the same kind with an exponential profile.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxbias._checks import InputError
from jaxbias.networks.readouts import (
    Argmax,
    ProbabilitySum,
    Readout,
    Score,
    SummedLogits,
)
from jaxbias.robustness._blocks import product
from jaxbias.robustness._lanes import Lanes, lanes_of
from jaxbias.robustness._normal_form import NormalForm, Sites
from jaxbias.robustness._profile import Profile


@dataclass(frozen=True)
class Reading:
    """A network in normal form, read out one way.

    Attributes:
        form: the network; summed logits are folded into one output.
        readout: how it was read out.
        groups: +1 or -1 for every class where classes stand for labels.
    """

    form: NormalForm
    readout: Readout
    groups: Int[np.ndarray, " class"] | None


def reading(form: NormalForm, readout: Readout | None) -> Reading:
    """The read-out of a network, by default its sign or its largest output.

    Raises:
        InputError: for a read-out that does not fit the number of outputs.
    """
    if readout is None:
        readout = Score() if form.classes is None else Argmax()
    if isinstance(readout, Score) != (form.classes is None):
        outputs = "one output" if form.classes is None else f"{form.classes} outputs"
        raise InputError(
            f"readout={readout!r}",
            f"the network has {outputs}",
            "readout=None, or GroupArgmax((1, 1, -1)) for a network of three classes",
        )
    groups = getattr(readout, "groups", None)
    if groups is None:
        return Reading(form, readout, None)
    groups = np.asarray(groups)
    if len(groups) != form.classes:
        raise InputError(
            f"groups for {len(groups)} classes",
            f"the network has {form.classes}",
            f"one +1 or -1 for each of the {form.classes} outputs",
        )
    if isinstance(readout, SummedLogits):
        total = lambda row: math.fsum(row * groups)
        form = replace(
            form,
            amplitudes=form.amplitudes @ groups.astype(float),
            constant=np.asarray(total(form.constant)),
            output=np.array([total(row) for row in form.output]),
        )
    return Reading(form, readout, groups)


def opposing(
    reading: Reading, labels: Int[np.ndarray, " sample"]
) -> tuple[Bool[np.ndarray, "sample class"], Bool[np.ndarray, "sample class"]]:
    """Own classes and rival classes of every point."""
    classes = reading.form.classes
    if classes is None:
        one = np.ones((len(labels), 1), bool)
        return one, one
    if reading.groups is None:
        own = np.arange(classes)[None] == labels[:, None]
    else:
        own = reading.groups[None] == labels[:, None]
    return own, ~own


def problems(
    reading: Reading,
    points: Sites,
    labels: Int[np.ndarray, " sample"],
) -> Lanes:
    """All scalar problems of the points."""
    form, readout = reading.form, reading.readout
    own, rival = opposing(reading, labels)
    if form.classes is None:
        index = np.arange(len(labels))
        return lanes_of(form, points, index, labels, None)
    if isinstance(readout, ProbabilitySum) and _one_neuron_a_class(form):
        return _exponential(form, points, labels, own)
    point, ours, theirs = np.nonzero(own[:, :, None] & rival[:, None, :])
    lanes = lanes_of(form, points, point, ours, theirs)
    if isinstance(readout, ProbabilitySum):
        # log sum exp is at least the largest, and at most that and log k.
        most = np.log(rival.sum(1))[point] * (1 + 1e-15)
        lanes = replace(lanes, constant=lanes.constant - most)
    return lanes


def combine(
    lanes: Lanes, lower: Float[np.ndarray, " lane"]
) -> tuple[Float[np.ndarray, " sample"], Int[np.ndarray, " sample"]]:
    """The certified radius of every point, and the lane that decides it."""
    best = np.flatnonzero(_leads(lanes, lower))
    # Then the least over rivals.
    order = best[np.lexsort((-lower[best], lanes.point[best]))]
    decides = np.zeros(lanes.point.max() + 1, int)
    decides[lanes.point[order]] = order
    return lower[decides], decides


def undecided(
    lanes: Lanes,
    lower: Float[np.ndarray, " lane"],
    enough: Float[np.ndarray, " lane"],
    leaders: bool,
) -> Bool[np.ndarray, " lane"]:
    """Lanes that may still raise their point's radius to what is enough for it.

    A rival is ruled out by one own class; ``leaders`` asks only for the one whose bound
    is largest so far.
    """
    best = _leads(lanes, lower)
    width = int(lanes.rival.max()) + 1
    duel = lanes.point * width + lanes.rival
    short = np.zeros(int(duel.max()) + 1, bool)
    short[duel[best]] = lower[best] < enough[best]
    return short[duel] & best if leaders else short[duel]


def _leads(
    lanes: Lanes, lower: Float[np.ndarray, " lane"]
) -> Bool[np.ndarray, " lane"]:
    """The lane of the largest bound over own classes, for every point and rival."""
    order = np.lexsort((lower, lanes.rival, lanes.point))
    point, rival = lanes.point[order], lanes.rival[order]
    last = np.ones(len(order), bool)
    last[:-1] = (point[1:] != point[:-1]) | (rival[1:] != rival[:-1])
    leads = np.zeros(len(order), bool)
    leads[order[last]] = True
    return leads


def _one_neuron_a_class(form: NormalForm) -> bool:
    used = form.amplitudes != 0
    alone = (used.sum(0) <= 1).all() and (used.sum(1) <= 1).all()
    plain = not form.scaled_constant and hasattr(form.activation, "exponent")
    leaky = getattr(form.activation, "leak", 0) != 0
    return bool(alone and (form.amplitudes >= 0).all() and plain and not leaky)


def _exponential(
    form: NormalForm, points: Sites, labels: np.ndarray, own: np.ndarray
) -> Lanes:
    r"""$\sum_{own} e^{f_j} - \sum_{opp} e^{f_l}$, scaled by the largest of each point.

    A class without a neuron is a constant.
    """
    assert form.classes is not None
    used = form.amplitudes != 0
    neuron_class = np.argmax(used, axis=1)
    live = used.any(1)
    scale = np.where(live, form.amplitudes.max(1), 1.0)
    scores = form.scores(points)
    heights = np.maximum(scores, 0) ** form.activation.degree
    logits = product(heights, form.amplitudes) + form.constant
    top = logits.max(1)
    weight = np.exp(form.constant[None] - top[:, None])
    signs = np.where(own, 1.0, -1.0)
    across = (signs * weight)[:, neuron_class] * live
    empty = ~used.any(0)
    constant = (signs * weight)[:, empty].sum(1)
    count = len(labels)
    return Lanes(
        rows=form.rows,
        offsets=form.offsets,
        scale=scale,
        profile=Profile(float(form.activation.degree), exponential=True),
        plus=np.maximum(across, 0.0),
        minus=np.maximum(-across, 0.0),
        scores=scores,
        linear=np.zeros((count, form.rows.shape[1])),
        constant=constant,
        sizes=np.sqrt((points.inputs**2).sum(1)),
        point=np.arange(count),
        own=np.zeros(count, int),
        rival=np.zeros(count, int),
        price=np.zeros_like(scores),
        spread=np.zeros_like(scores),
        kin=None,
        exponent=points.exponent,
    )
