"""From a network and points to the arrays of the attack."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxbias.networks.activations import Activation
from jaxbias.robustness._geometry import Found, Problem
from jaxbias.robustness._normal_form import NormalForm
from jaxbias.robustness.minimum_norm import Search, attack_many

_NEURONS, _SAMPLES = 64, 64
_CHUNK = 64


class Prepared(NamedTuple):
    """Scalar problems on a leading axis, the points of their rows, and the anchors."""

    problem: Problem
    slots: Int[np.ndarray, "problem point"]
    places: Float[np.ndarray, "anchor feature"]


def lengths(vectors: np.ndarray, order: float | int) -> np.ndarray:
    """Norms of rows."""
    if math.isinf(order):
        return np.abs(vectors).max(-1, initial=0.0)
    return np.sqrt((vectors**2).sum(-1))


def prepare(
    form: NormalForm,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    centres: Float[np.ndarray, "cluster feature"] | None,
    order: float | int,
) -> Prepared:
    """One problem for a network with one output, else one a pair of classes."""
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
        ours, theirs, slots = _pairs(labels, form.classes)
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
    return Prepared(problem, slots, places)


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


def _pairs(labels: np.ndarray, classes: int):
    """Every (label, rival) with its points, repeated up to one common number."""
    present = [(y, np.flatnonzero(labels == y)) for y in np.unique(labels)]
    largest = max(len(members) for _, members in present)
    pairs = [
        (y, rival, np.resize(members, largest))
        for y, members in present
        for rival in range(classes)
        if rival != y
    ]
    ours, theirs, slots = zip(*pairs, strict=True)
    return np.array(ours), np.array(theirs), np.stack(slots)


def solve(
    problem: Problem, activation: Activation, order: float | int, search: Search
) -> Found:
    """The attack on every problem, in chunks of one compiled size, as NumPy arrays."""
    top = np.maximum(
        np.abs(problem.amplitudes).max(1), np.abs(problem.constants).max(1)
    )
    top = np.where(top > 0, top, 1.0)
    # Amplitudes of early training, near 1e-14 or below, would underflow to the power p.
    problem = problem._replace(
        amplitudes=problem.amplitudes / top[:, None],
        constants=problem.constants / top[:, None],
    )
    count = len(top)
    chunk = min(_CHUNK, count)
    block = None if jax.default_backend() == "cpu" else chunk
    found = []
    for start in range(0, count, chunk):
        lanes = np.minimum(np.arange(start, start + chunk), count - 1)
        one = lambda array, lanes=lanes: array if len(array) < count else array[lanes]
        part = Problem(*map(one, problem))
        with jax.enable_x64(True):
            arrays = Problem(*(jnp.asarray(a, jnp.float64) for a in part))
            done = attack_many(arrays, activation, order, search, block)
            found.append(Found(*map(np.asarray, done)))
    return Found(*(np.concatenate(field)[:count] for field in zip(*found, strict=True)))
