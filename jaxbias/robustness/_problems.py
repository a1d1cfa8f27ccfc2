"""From a network and points to the arrays of the attack."""

import math
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxbias.networks.activations import Activation
from jaxbias.robustness._geometry import Found, Problem
from jaxbias.robustness._normal_form import NormalForm
from jaxbias.robustness._reading import Reading, opposing
from jaxbias.robustness._reduction import groups
from jaxbias.robustness.minimum_norm import Search, attack_many

_NEURONS, _SAMPLES = 64, 64
_CHUNK = 64
# What attacks do without: 1 - cosine, and share of all amplitudes.
_LIKENESS, _NEGLIGIBLE = 1e-4, 1e-9


class Prepared(NamedTuple):
    """Scalar problems on a leading axis, the points of their rows, and the anchors.

    The rows are those of the network that is attacked: see :func:`thinned`.
    """

    rows: Float[np.ndarray, "neuron feature"]
    problem: Problem
    slots: Int[np.ndarray, "problem point"]
    places: Float[np.ndarray, "anchor feature"]


def thinned(form: NormalForm, size: int | None = None) -> NormalForm:
    """A network near a given one, with one neuron for each group of parallel ones.

    What it suggests to an attack is confirmed by the network itself.

    Args:
        form: the network; one with several outputs is returned as it is.
        size: how many neurons to return, idle ones included.
    """
    if form.classes is not None:
        return form
    group = groups(form.rows, form.offsets, form.amplitudes, _LIKENESS)
    total = np.abs(form.amplitudes)
    member = np.zeros((group.max() + 1, len(group)))
    member[group, np.arange(len(group))] = total
    mass = member.sum(1)
    keep = mass > _NEGLIGIBLE * mass.sum()
    keep[:1] |= not keep.any()
    member, mass = member[keep], mass[keep]
    mean = member / np.where(mass > 0, mass, 1.0)[:, None]
    rows, offsets = mean @ form.rows, mean @ form.offsets
    length = np.sqrt((rows**2).sum(1) + offsets**2)
    safe = np.where(length > 0, length, 1.0)
    signs = np.sign(mean @ np.sign(form.amplitudes))
    idle = 0 if size is None else size - len(mass)
    return replace(
        form,
        rows=np.pad(rows / safe[:, None], ((0, idle), (0, 0))),
        offsets=np.pad(offsets / safe, (0, idle)),
        amplitudes=np.pad(signs * mass * length**form.activation.degree, (0, idle)),
    )


def prepare(
    reading: Reading,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    centres: Float[np.ndarray, "cluster feature"] | None,
    order: float | int,
) -> Prepared:
    """One problem for a network with one output, else one a pair of classes.

    Where classes stand for labels, a point's own class is the one that leads it.
    """
    form = reading.form
    scores = form.scores(points)
    places = _places(form, points, centres)
    scale = math.sqrt(float((places**2).sum(1).mean())) or 1.0
    # No point need have these scores, which switch every neuron on.
    all_on = np.full((1, len(form.rows)), scale)
    anchors = np.concatenate([all_on, form.scores(places)])
    # Euclidean whatever the order: it only ranks the anchors.
    squares = (points**2).sum(1)[:, None] + (places**2).sum(1)[None, :]
    squares -= 2 * points @ places.T
    reach = np.pad(np.sqrt(np.maximum(squares, 0)), ((0, 0), (1, 0)))
    reach[:, 0] = np.inf
    unit = form.constants(points, 1.0)
    if form.classes is None:
        slots = np.arange(len(points))[None]
        amplitudes, signs = form.amplitudes[None], labels[None]
        constants = float(form.constant) * unit[slots]
    else:
        own, rival = opposing(reading, labels)
        with jax.enable_x64(True):
            heights = np.asarray(form.activation.value(jnp.asarray(scores)))
        heights = heights @ form.amplitudes + unit[:, None] * form.constant
        leads = np.argmax(np.where(own, heights, -np.inf), axis=1)
        ours, theirs, slots = _pairs(leads, rival)
        amplitudes = (form.amplitudes[:, ours] - form.amplitudes[:, theirs]).T
        signs = np.ones(slots.shape)
        constants = (form.constant[ours] - form.constant[theirs])[:, None] * unit[slots]
    spread = lambda array: np.broadcast_to(array, (len(slots), *array.shape))
    # In l_2 the program never sees the input dimension.
    features = slice(None) if math.isinf(order) else slice(0)
    problem = Problem(
        rows=form.rows[None, :, features],
        gram=(form.rows @ form.rows.T)[None],
        amplitudes=amplitudes,
        scores=scores[slots],
        constants=constants,
        signs=signs,
        anchors=spread(anchors),
        reach=reach[slots],
        points=points[slots][..., features],
        places=spread(places[:, features]),
        # Chosen inside the program.
        ray=np.zeros((*slots.shape, len(form.rows))),
        ray_square=np.zeros(slots.shape),
    )
    return Prepared(form.rows, problem, slots, places)


def _places(
    form: NormalForm, points: np.ndarray, centres: np.ndarray | None
) -> np.ndarray:
    """Points where the attack looks for the other class."""
    scale = math.sqrt(float((points**2).sum(1).mean())) or 1.0
    sizes = np.abs(form.amplitudes).reshape(len(form.rows), -1)
    signed = form.amplitudes if form.classes is None else sizes.max(1)
    top = [np.argsort(-side)[:_NEURONS] for side in (signed, -signed)]
    neurons = scale * form.rows[np.concatenate(top)]
    every = max(1, math.ceil(len(points) / _SAMPLES))
    parts = [neurons, -neurons, points[::every]]
    return np.concatenate(parts if centres is None else [centres, *parts])


def _pairs(own: np.ndarray, rival: np.ndarray):
    """Every (class, rival) with its points, repeated up to one common number."""
    present = [(y, np.flatnonzero(own == y)) for y in np.unique(own)]
    largest = max(len(members) for _, members in present)
    pairs = [
        (y, int(other), np.resize(members, largest))
        for y, members in present
        for other in np.flatnonzero(rival[members[0]])
    ]
    ours, theirs, slots = zip(*pairs, strict=True)
    return np.array(ours), np.array(theirs), np.stack(slots)


def solve(
    problem: Problem, activation: Activation, order: float | int, search: Search
) -> Found:
    """The attack on every problem, in chunks of few compiled sizes, as NumPy arrays."""
    top = np.maximum(
        np.abs(problem.amplitudes).max(1), np.abs(problem.constants).max(1)
    )
    top = np.where(top > 0, top, 1.0)
    # Amplitudes of early training, near 1e-14 or below, would underflow to the power p.
    problem = problem._replace(
        amplitudes=problem.amplitudes / top[:, None],
        constants=problem.constants / top[:, None],
    )
    count, points, neurons = problem.scores.shape
    chunk = min(_CHUNK, count)
    block = None if jax.default_backend() == "cpu" else chunk
    found = []
    for start in range(0, count, chunk):
        lanes = np.minimum(np.arange(start, start + chunk), count - 1)
        one = lambda array, lanes=lanes: np.asarray(
            array if len(array) < count else array[lanes], float
        )
        part = _padded(Problem(*map(one, problem)))
        with jax.enable_x64(True):
            done = attack_many(part, activation, order, search, block)
            found.append(Found(*map(np.asarray, done)))
    coordinates, *rest = (np.concatenate(field) for field in zip(*found, strict=True))
    if order == 2:
        # The last coordinate is the ray's.
        coordinates = np.delete(coordinates, np.s_[neurons:-1], axis=2)
    fields = (coordinates, *rest)
    return Found(*(field[:count, :points] for field in fields))


def _padded(problem: Problem) -> Problem:
    """Few sizes, since each is a program of its own, for the same answers.

    Points are repeated; added neurons have no weight, and added anchors are the first
    one again, which no ray leads to.
    """
    _, points, neurons = problem.scores.shape
    anchors = problem.anchors.shape[1]
    point = np.minimum(np.arange(rounded(points)), points - 1)
    anchor = np.arange(rounded(anchors))
    anchor = np.where(anchor < anchors, anchor, 0)
    wide = (0, rounded(neurons) - neurons)
    across = ((0, 0), (0, 0), wide)
    return Problem(
        rows=np.pad(problem.rows, ((0, 0), wide, (0, 0))),
        gram=np.pad(problem.gram, ((0, 0), wide, wide)),
        amplitudes=np.pad(problem.amplitudes, ((0, 0), wide)),
        scores=np.pad(problem.scores[:, point], across),
        constants=problem.constants[:, point],
        signs=problem.signs[:, point],
        anchors=np.pad(problem.anchors[:, anchor], across),
        reach=problem.reach[:, point][..., anchor],
        points=problem.points[:, point],
        places=problem.places[:, np.maximum(anchor[1:] - 1, 0)],
        ray=np.pad(problem.ray[:, point], across),
        ray_square=problem.ray_square[:, point],
    )


def rounded(size: int) -> int:
    """The next power of two from 8 on; above 64, the next eighth of one."""
    unit = 1 << max(size - 1, 7).bit_length()
    return unit if unit <= 64 else -(-size // (unit // 16)) * (unit // 16)
