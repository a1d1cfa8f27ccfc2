r"""Witnesses that flip the network in the precision it is used in.

A float64 witness lies on the boundary up to rounding, and the rounding of a float32
network is larger than that. Here witnesses are numbers of the smaller type, pushed on
until the network of that type flips and its float64 twin is wrong by more than what the
type can round off, in whatever order its sums are taken.
"""

import functools
import math
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

# The first pushes go down the slope as far as its tangent asks, times these.
_TANGENTS = (1.05, 2.0)
# Later ones are multiples of the type's epsilon of the step and of the input, doubled.
_PUSHES = 22
# Of those, how many are straight before corners are looked behind.
_STRAIGHT = 6


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
    down, lacking = look.descent(witness[waiting], labels[waiting], found.order)
    slope, short = np.zeros_like(points), np.zeros(len(points))
    slope[waiting], short[waiting] = down, lacking

    def settle(trial: np.ndarray) -> None:
        """Keep the trials of those that wait which flip."""
        nonlocal waiting
        trial = _representable(trial, box, dtype)
        flips = look.flips(trial, labels[waiting], strict)
        done = waiting[flips]
        witness[done] = trial[flips]
        terms = points.shape[1] + 8
        far = lengths(trial[flips] - points[done], found.order)
        upper[done] = far * (1 + terms * 2.0**-52)
        waiting = waiting[~flips]

    for share in _TANGENTS:
        # A slope that asks for more than this is flat: what follows is shorter.
        ask = np.minimum(share * short[waiting], 1e-3 * found.upper[waiting])
        settle(found.witness[waiting] + ask[:, None] * slope[waiting])
    for number in range(_PUSHES):
        size = unit * 2.0**number
        for way in ("step", "slope", "kinks"):
            # Corners are rare.
            if not len(waiting) or (way == "kinks" and number < _STRAIGHT):
                break
            end = found.witness[waiting]
            if way == "step":
                settle(end + size * (end - points[waiting]))
            elif way == "slope":
                settle(end + size * found.upper[waiting][:, None] * slope[waiting])
            else:
                settle(look.behind(end, size))
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
        self._unit = float(jnp.finfo(dtype).eps) / 2

    def flips(self, points: np.ndarray, labels: np.ndarray, strict: bool) -> np.ndarray:
        """Points that the network gets wrong beyond the rounding of its type."""
        good = np.zeros(len(points), bool)
        waiting = []
        for where, index in blocks(len(points)):
            small = points[index].astype(self._dtype)
            rough = _margin(self._small, *self._how, small, labels[index])
            with jax.enable_x64(True):
                exact = _exact(
                    self._twin, *self._how, points[index], labels[index], self._unit
                )
            waiting.append((where, rough, *exact))
        for where, *found in waiting:
            rough, value, error = (np.asarray(a) for a in found)
            below = np.maximum(rough, value + error)
            wrong = below < 0 if strict else below <= 0
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

    def descent(
        self, points: np.ndarray, labels: np.ndarray, order: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the margin falls fastest, of length 1, and how far it has to fall.

        As far as the tangent says, to a margin below 0 by what the type rounds off,
        that of the point included.
        """
        down, far, waiting = np.empty_like(points), np.empty(len(points)), []
        for where, index in blocks(len(points)):
            with jax.enable_x64(True):
                waiting.append(
                    (
                        where,
                        *_slope(
                            self._twin,
                            *self._how,
                            points[index],
                            labels[index],
                            self._unit,
                            order,
                        ),
                    )
                )
        for where, turned, lacking in waiting:
            rows = where.stop - where.start
            down[where] = -np.asarray(turned)[:rows]
            far[where] = np.asarray(lacking)[:rows]
        return down, far


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _margin(weights, activation, normalise, readout, points, labels):
    outputs = predict(weights, activation, points, normalise_inputs=normalise)
    return readout.margin(outputs, labels)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 7))
def _slope(weights, activation, normalise, readout, points, labels, unit, order):
    """Directions in which margins grow, and how far back they are below 0."""
    how = activation, normalise, readout
    total = lambda x: jnp.sum(_margin(weights, *how, x, labels))
    slope = jax.grad(total)(points)
    turned = direction(slope, order)
    value, error = _exact(weights, *how, points, labels, unit)
    error = error + unit * jnp.sum(jnp.abs(slope * points), axis=1)
    fall = jnp.sum(slope * turned, axis=1)
    lacking = jnp.maximum(value + error, 0)
    safe = jnp.where(fall > 0, fall, jnp.ones_like(fall))
    return turned, jnp.where(fall > 0, lacking / safe, jnp.zeros_like(fall))


def _growth(terms):
    r"""By how many units of their sizes' sum a sum of products may be off.

    In any order at most as many as there are terms (Higham, Accuracy and stability of
    numerical algorithms, section 3.1). Of many terms roundings cancel, and sums are
    taken in lanes: eight units and the root of their number are beyond four standard
    deviations of the worst order at a thousand terms of one sign.
    """
    return min(terms + 1, 8 + math.sqrt(terms))


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _exact(weights, activation, normalise, readout, points, labels, unit):
    """Margins and by how much rounding in units of a type may move them.

    A unit is half the type's epsilon.
    """
    value = _margin(weights, activation, normalise, readout, points, labels)
    scores, norms = weights.scores(points), weights.norms()
    inputs, neurons = points.shape[1], weights.hidden.shape[0]
    bulk = jnp.abs(points) @ jnp.abs(weights.hidden).T
    squares = jnp.sum(points**2, axis=1)
    if weights.hidden_bias is not None:
        bulk, squares = bulk + jnp.abs(weights.hidden_bias)[None], squares + 1
    response, power = activation.response, activation.degree
    off = _growth(inputs + 1) * unit * bulk
    at = response(scores, norms)
    above = jnp.abs(response(scores + off, norms) - at)
    moved = jnp.maximum(above, jnp.abs(response(scores - off, norms) - at))
    # A power by exponential and logarithm is off by some units for each of both.
    own = 4.0 if power == 1 else 8 + abs(power - 1) * (_growth(inputs) / 2 + 2)
    moved = moved + own * unit * jnp.abs(at)
    rows = _growth(neurons + 1) * unit
    outer = jnp.abs(weights.output)
    error = moved @ outer + rows * (jnp.abs(at) @ outer)
    if normalise and power != 1:
        safe = jnp.where(squares > 0, squares, jnp.ones_like(squares))
        shrink = safe ** ((1 - power) / 2)
        error = error * (shrink if error.ndim == 1 else shrink[:, None])
    constant = weights.output_bias
    if constant is not None:
        size = rows * jnp.abs(constant)
        error = error + (size if error.ndim == 1 else size[None])
    if error.ndim == 2:
        summed = isinstance(readout, SummedLogits)
        # The sum over outputs is one more sum, of what the rows above are units of.
        more = 1 + _growth(error.shape[1]) / _growth(neurons + 1)
        total = jnp.sum(error, axis=1) * more
        error = total if summed else 2 * jnp.max(error, axis=1)
    return value, error
