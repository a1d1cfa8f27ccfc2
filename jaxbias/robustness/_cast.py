r"""Witnesses that flip the network in the precision it is used in.

A float64 witness lies on the boundary up to rounding, and the rounding of a float32
network is larger than that. Here witnesses are numbers of the smaller type, pushed on
until the network of that type flips and its float64 twin is wrong by more than what the
type can round off, in whatever order its sums are taken.
"""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxbias._checks import InputError
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout, SummedLogits
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import direction, in_double
from jaxbias.robustness._blocks import blocks
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._radius import Radius

# Pushes, as multiples of the type's unit of the step and of the input: doubled each.
_PUSHES = 22
# Of those, how many are straight before corners are looked behind.
_STRAIGHT = 6
# Units of the type that a sum may be off by, in shares of the sum of sizes.
_ROUNDING = 1.0


def check_dtype(dtype: Any, weights: Weights) -> np.dtype:
    """The type that witnesses are for; that of the weights when left out.

    Raises:
        InputError: for a type that is no real floating-point number.
    """
    found = np.dtype(weights.hidden.dtype if dtype is None else dtype)
    if not jnp.issubdtype(found, jnp.floating):
        if dtype is None:
            return np.dtype(np.float64)
        raise InputError(
            f"witness_dtype={found.name!r}",
            "a witness is an input of a network of real numbers",
            "witness_dtype='float32'",
        )
    return found


def held(
    found: Radius,
    weights: Weights,
    activation: Activation,
    normalise: bool,
    readout: Readout,
    points: Float[np.ndarray, "sample feature"],
    labels: np.ndarray,
    box: tuple[np.ndarray, np.ndarray] | None,
    dtype: np.dtype,
) -> Radius:
    """The radii with witnesses of a type, and what that adds to their lengths."""
    nothing = np.zeros_like(found.upper)
    if dtype == np.float64:
        return replace(found, margin=nothing)
    look = _Look(weights, activation, normalise, readout, dtype)
    strict = found.tie == "f < 0 is broken"
    witness, status = found.witness.copy(), found.status.astype(object)
    upper = found.upper.copy()
    waiting = np.flatnonzero(np.isfinite(found.upper) & (found.upper > 0))
    unit = float(jnp.finfo(dtype).eps)
    corners = lambda number: activation.degree == 1 and number >= _STRAIGHT
    slope = np.zeros_like(points)
    if len(waiting):
        slope[waiting] = look.descent(witness[waiting], labels[waiting], found.order)
    for number in range(_PUSHES):
        for way in ("step", "slope", "kinks"):
            # Corners are rare, and only networks of degree 1 have them.
            if not len(waiting) or (way == "kinks" and not corners(number)):
                break
            size = 0.0 if number == 0 else unit * 2.0 ** (number - 1)
            start, end = points[waiting], found.witness[waiting]
            step = end - start
            if way == "step":
                trial = end + size * step
            elif way == "slope":
                trial = end + size * found.upper[waiting][:, None] * slope[waiting]
            else:
                trial = look.behind(end, max(size, unit))
            trial = _representable(trial, box, dtype)
            flips = look.flips(trial, labels[waiting], strict)
            done = waiting[flips]
            witness[done] = trial[flips]
            terms = points.shape[1] + 8
            far = lengths(trial[flips] - points[done], found.order)
            upper[done] = far * (1 + terms * 2.0**-52)
            waiting = waiting[~flips]
    status[waiting] += f"; the witness flips float64, none was found for {dtype.name}"
    # Rounding may have brought it nearer, but what is certified stands.
    upper = np.maximum(upper, found.lower)
    known = np.isfinite(upper)
    margin = np.subtract(upper, found.upper, out=nothing, where=known)
    return replace(
        found,
        upper=upper,
        witness=witness,
        status=status.astype(str),
        witness_dtype=dtype.name,
        margin=margin,
    )


def _representable(
    points: np.ndarray, box: tuple[np.ndarray, np.ndarray] | None, dtype: np.dtype
) -> np.ndarray:
    """The nearest numbers of a type that are in the box."""
    if box is None:
        return points.astype(dtype).astype(np.float64)
    found = np.clip(points, *box).astype(dtype)
    # Of ends that the type does not hold, the next number inside.
    down = np.nextafter(found, np.full_like(found, -np.inf))
    up = np.nextafter(found, np.full_like(found, np.inf))
    found = np.where(found.astype(np.float64) > box[1], down, found)
    found = np.where(found.astype(np.float64) < box[0], up, found)
    return found.astype(np.float64)


class _Look:
    """A network in a type, and the same numbers in float64."""

    def __init__(self, weights, activation, normalise, readout, dtype):
        def cast(array: Any) -> jax.Array:
            array = np.asarray(array)
            return jnp.asarray(
                array if array.dtype.kind == "b" else array.astype(dtype)
            )

        small = jax.tree.map(cast, weights)
        self._small, self._dtype = small, dtype
        with jax.enable_x64(True):
            self._twin = in_double(small)
        self._how = activation, normalise, readout
        self._unit = _ROUNDING * float(jnp.finfo(dtype).eps)

    def flips(self, points: np.ndarray, labels: np.ndarray, strict: bool) -> np.ndarray:
        """Points that the network gets wrong beyond the rounding of its type."""
        good = np.zeros(len(points), bool)
        for where, index in blocks(len(points)):
            rough = _margin(
                self._small,
                *self._how,
                points[index].astype(self._dtype),
                labels[index],
            )
            with jax.enable_x64(True):
                value, error = _exact(
                    self._twin, *self._how, points[index], labels[index], self._unit
                )
            rough, value, error = (np.asarray(a) for a in (rough, value, error))
            wrong = (rough < 0) if strict else (rough <= 0)
            below = value + error
            wrong &= (below < 0) if strict else (below <= 0)
            good[where] = wrong[: where.stop - where.start]
        return good

    def behind(self, points: np.ndarray, share: float) -> np.ndarray:
        """Points moved a share of their scores' sizes behind the kinks that are near.

        Where the network is 0 on a whole region its nearest point is a corner, which
        no straight way leads past.
        """
        weights = jax.tree.map(np.asarray, self._twin)
        bias = weights.hidden_bias
        bias = np.zeros(len(weights.hidden)) if bias is None else bias
        found = points.copy()
        for row, point in enumerate(points):
            score = weights.hidden @ point + bias
            depth = share * (np.abs(weights.hidden) @ np.abs(point) + np.abs(bias))
            near = np.abs(score) < 2 * depth
            if near.any():
                back = -score[near] - depth[near]
                move, *_ = np.linalg.lstsq(weights.hidden[near], back, rcond=None)
                found[row] = point + move
        return found

    def descent(self, points: np.ndarray, labels: np.ndarray, order: float):
        """Where the margin falls fastest, of length 1."""
        found = np.empty_like(points)
        for where, index in blocks(len(points)):
            with jax.enable_x64(True):
                slope = _slope(self._twin, *self._how, points[index], labels[index])
                turned = np.asarray(direction(slope, order))
            found[where] = -turned[: where.stop - where.start]
        return found


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _margin(weights, activation, normalise, readout, points, labels):
    outputs = predict(weights, activation, points, normalise_inputs=normalise)
    return readout.margin(outputs, labels)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _slope(weights, activation, normalise, readout, points, labels):
    total = lambda x: jnp.sum(
        _margin(weights, activation, normalise, readout, x, labels)
    )
    return jax.grad(total)(points)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _exact(weights, activation, normalise, readout, points, labels, unit):
    """Margins and by how much rounding in units of a type may move them."""
    value = _margin(weights, activation, normalise, readout, points, labels)
    scores, norms = weights.scores(points), weights.norms()
    bulk = jnp.abs(points) @ jnp.abs(weights.hidden).T
    squares = jnp.sum(points**2, axis=1)
    if weights.hidden_bias is not None:
        bulk, squares = bulk + jnp.abs(weights.hidden_bias)[None], squares + 1
    response = activation.response
    at = response(scores, norms)
    above = jnp.abs(response(scores + unit * bulk, norms) - at)
    moved = jnp.maximum(above, jnp.abs(response(scores - unit * bulk, norms) - at))
    moved = moved + 2 * unit * jnp.abs(at)
    error = moved @ jnp.abs(weights.output)
    if normalise and activation.degree != 1:
        safe = jnp.where(squares > 0, squares, jnp.ones_like(squares))
        shrink = safe ** ((1 - activation.degree) / 2)
        error = error * (shrink if error.ndim == 1 else shrink[:, None])
    constant = weights.output_bias
    if constant is not None:
        size = unit * jnp.abs(constant)
        error = error + (size if error.ndim == 1 else size[None])
    if error.ndim == 2:
        summed = isinstance(readout, SummedLogits)
        error = jnp.sum(error, axis=1) if summed else 2 * jnp.max(error, axis=1)
    return value, error
