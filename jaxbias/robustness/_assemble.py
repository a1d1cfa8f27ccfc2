"""From perturbations to a Radius: every witness goes through the real forward pass."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._geometry import Found
from jaxbias.robustness._normal_form import NormalForm
from jaxbias.robustness._problems import Prepared, lengths
from jaxbias.robustness._radius import TIE, Radius
from jaxbias.robustness.certificates import has_certificate, root_certificate
from jaxbias.robustness.starts import NAMES

# Last resorts when the real forward pass rounds a point back over the boundary.
_NUDGES = (0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.3)
_FINE = 1e-8

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]


def assemble(
    weights: Weights,
    form: NormalForm,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    order: float | int,
    prepared: Prepared,
    found: Found,
    picks: int,
) -> Radius:
    """The radius of every point: certificate below, confirmed witness above."""
    forward = margins(weights, form.activation, form.scaled_constant, labels)
    clean = forward(points, np.arange(len(points)))
    broken = clean <= 0
    upper = np.where(broken, 0.0, np.inf)
    witness, starts = points.copy(), np.full(len(points), -1)

    def offer(rows, moved, names, coarse=False):
        reached, length = _confirm(points[rows], moved, rows, forward, order, coarse)
        better = length < upper[rows]
        chosen = rows[better]
        upper[chosen], witness[chosen] = length[better], reached[better]
        starts[chosen] = names[better]

    for coordinates, flipped, start, anchor, slots in zip(
        *found, prepared.slots, strict=True
    ):
        _, first = np.unique(slots, return_index=True)
        first = first[flipped[first] & ~broken[slots[first]]]
        rows, moved = slots[first], coordinates[first]
        if not math.isinf(order):
            # The first anchor stands for no place; nothing lies along its ray.
            place = prepared.places[np.maximum(anchor[first] - 1, 0)]
            ray = moved[:, -1:] * (place - points[rows])
            moved = moved[:, :-1] @ form.rows + ray
        offer(rows, moved, start[first])
    # Whatever the attack did, an anchor of another label is a witness, and so is
    # another point's; both may lie anywhere on their ray from the origin.
    places = np.concatenate([prepared.places, witness[np.isfinite(upper) & ~broken]])
    for row in np.flatnonzero(np.isinf(upper)):
        squares = (places**2).sum(1)
        scale = places @ points[row] / np.where(squares > 0, squares, 1.0)
        trial = np.concatenate([places, np.maximum(scale, 0)[:, None] * places])
        wrong = forward(trial, np.full(len(trial), row)) <= 0
        if wrong.any():
            steps = trial[wrong] - points[row]
            nearest = steps[np.argmin(lengths(steps, order))]
            offer(np.array([row]), nearest[None], np.array([1]), coarse=True)
    lower, why = _lower_ends(form, points, labels, order)
    lower[broken] = 0.0
    status = np.where(np.isfinite(upper), "bounds", "no witness").astype(object)
    if why:
        status += f"; lower end 0: {why}"
    status[broken] = "broken when clean"
    names = [*NAMES, *["anchor"] * picks, "nowhere"]
    certificate = "none" if why else "root certificate"
    method = [f"{certificate} / minimum norm from {names[s]}" for s in starts]
    return Radius(
        lower=lower,
        upper=upper,
        witness=witness,
        order=order,
        readout="score" if form.classes is None else "argmax",
        tie=TIE,
        method=np.where(broken, "forward pass", method),
        status=status.astype(str),
        nodes=np.zeros(len(points), int),
    )


def _confirm(
    clean: np.ndarray,
    moved: np.ndarray,
    rows: np.ndarray,
    forward: Forward,
    order: float | int,
    coarse: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Points that the real forward pass finds broken, and their distances."""
    reached, sizes = clean.copy(), np.full(len(rows), np.inf)
    waiting = np.arange(len(rows))
    for nudge in _NUDGES:
        if not len(waiting):
            break
        trial = clean[waiting] + (1 + nudge) * moved[waiting]
        good = forward(trial, rows[waiting]) <= 0
        done = waiting[good]
        reached[done] = trial[good]
        if coarse or nudge > _FINE:
            reached[done] = _first_broken(
                clean[done], (1 + nudge) * moved[done], rows[done], forward
            )
        sizes[done] = 0.0
        waiting = waiting[~good]
    # The witness is exact; its distance is rounded upwards.
    terms = clean.shape[1] + 8
    distance = lengths(reached - clean, order) * (1 + terms * 2.0**-52)
    return reached, sizes + distance


def _first_broken(
    clean: np.ndarray, step: np.ndarray, rows: np.ndarray, forward: Forward
) -> np.ndarray:
    """A point on the way to each broken point that is broken too, by bisection."""
    low, high = np.zeros(len(rows)), np.ones(len(rows))
    for _ in range(50 if len(rows) else 0):
        middle = (low + high) / 2
        wrong = forward(clean + middle[:, None] * step, rows) <= 0
        low, high = np.where(wrong, low, middle), np.where(wrong, middle, high)
    return clean + high[:, None] * step


def _lower_ends(
    form: NormalForm, points: np.ndarray, labels: np.ndarray, order: float | int
) -> tuple[np.ndarray, str]:
    """Certified lower ends, or zeros and why."""
    lower = np.full(len(points), np.inf)
    if not has_certificate(form.activation):
        name = type(form.activation).__name__
        return np.zeros(len(points)), f"no certificate for {name}"
    unit = form.constants(points, 1.0)
    if form.classes is None:
        sides = [
            (np.flatnonzero(labels == y), y * form.amplitudes, y * float(form.constant))
            for y in (1, -1)
        ]
    else:
        sides = [
            (
                np.flatnonzero(labels == y),
                form.amplitudes[:, y] - form.amplitudes[:, k],
                float(form.constant[y] - form.constant[k]),
            )
            for y in np.unique(labels)
            for k in range(form.classes)
            if k != y
        ]
    for rows, amplitudes, constant in sides:
        if len(rows):
            certified = root_certificate(
                form.rows,
                form.offsets,
                amplitudes,
                constant * unit[rows],
                points[rows],
                form.activation,
                order,
                constant_grows=form.scaled_constant and constant != 0,
            )
            lower[rows] = np.minimum(lower[rows], certified)
    return lower, ""


@functools.partial(jax.jit, static_argnames=("activation", "normalise"))
def _forward(weights, activation, normalise, points):
    return predict(weights, activation, points, normalise_inputs=normalise)


def margins(
    weights: Weights,
    activation: Activation,
    normalise: bool,
    labels: np.ndarray,
) -> Forward:
    """The real forward pass in float64: y f, or f_y minus its best rival.

    The weights are converted here, once; the function then takes points and the row
    whose label each of them has.
    """

    def exact(array):
        array = np.asarray(array)
        floating = np.issubdtype(array.dtype, np.floating)
        return jnp.asarray(array, jnp.float64) if floating else jnp.asarray(array)

    with jax.enable_x64(True):
        arrays = jax.tree.map(exact, weights)

    def forward(
        points: Float[np.ndarray, "point feature"], rows: Int[np.ndarray, " point"]
    ) -> Float[np.ndarray, " point"]:
        # To powers of two, so that few heights are compiled.
        height = 1 << max(len(points) - 1, 0).bit_length()
        padded = np.zeros((height, points.shape[1]))
        padded[: len(points)] = points
        with jax.enable_x64(True):
            values = _forward(arrays, activation, normalise, jnp.asarray(padded))
            outputs = np.asarray(values)[: len(points)]
        if outputs.ndim == 1:
            return labels[rows] * outputs
        index = np.arange(len(rows))
        own = outputs[index, labels[rows]]
        outputs = outputs.copy()
        outputs[index, labels[rows]] = -np.inf
        return own - outputs.max(1)

    return forward
