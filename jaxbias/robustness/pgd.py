r"""The papers' projected gradient attack, for comparison only.

It starts at the clean point, where opposing neurons that are off have gradient 0 (or
one of size $c^{p-1}$), so it overestimates robustness; ``radius`` is the measurement.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxbias._checks import InputError, nonnegative, positive_int, unmasked
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Argmax, Readout, Score
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._inputs import check_order

STABILISER = 1e-7
# Points times radii in one product: enough for the processor, few for the memory.
_ROWS = 2048


def broken(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    order: float | int | str = 2,
    readout: Readout | None = None,
    steps: int = 2000,
    step: float | int = 0.1,
    normalise_inputs: bool = False,
) -> Bool[np.ndarray, "radius sample"]:
    r"""Which points the attack gets wrong, at each radius by itself.

    $\delta \leftarrow \Pi_{\|\delta\|\le r}(\delta + \eta\,g/(\|g\| + 10^{-7}))$ from
    $\delta = 0$, g the gradient of the batch mean of $e^{-m}$ with m the margin of the
    read-out, which is $y f$ for one output. The constant and the mean stall the attack
    where the gradient is small; both are in the original, which knows one output and
    $\ell_2$. In $\ell_\infty$ the step is $\eta\,\mathrm{sign}(g)$. The last iterate
    decides; a tie is wrong.

    Args:
        weights: a two-layer network.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, as the read-out takes them, (sample,).
        radii: budgets, (radius,), or (radius, sample) for one of each point.
        order: 2 or infinity.
        readout: how outputs decide; the sign or the largest one when left out.
        steps: number of steps.
        step: their length.
        normalise_inputs: as the network was trained.

    Raises:
        InputError: for negative budgets or steps, and another order.

    References:
        min-vidal-2024, section 5.1 and code.
    """
    positive_int("steps", steps)
    nonnegative("step", step)
    power = check_order(order)
    unmasked("radii", radii)
    budgets = np.asarray(radii, float)
    if not (budgets.ndim in (1, 2) and np.all(budgets >= 0)):
        raise InputError(
            f"radii={radii!r}", "budgets are 0 or more, in a list", "radii=[0.0, 0.1]"
        )
    points, names, readout = _arguments(weights, inputs, labels, readout)
    if budgets.ndim == 1:
        budgets = budgets[:, None]
    budgets = np.broadcast_to(budgets, (len(budgets), len(points)))
    common = (
        weights,
        activation,
        points,
        names,
        jnp.asarray(budgets).astype(points.dtype),
        steps,
        jnp.asarray(step).astype(points.dtype),
    )
    scaled = normalise_inputs and activation.degree != 1
    plain = isinstance(readout, Score) and weights.hidden_bias is None and not scaled
    # A step costs width^2 in the span of the neurons, 2 width x features outside.
    width, features = weights.hidden.shape
    if plain and power == 2 and width <= 2 * features:
        right = _right_in_span(*common)
    else:
        right = _right(*common, readout, power, normalise_inputs)
    return ~np.asarray(right)


def robust_accuracy(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    **options: Any,
) -> Float[np.ndarray, " radius"]:
    """Share of points that :func:`broken` leaves right, at each radius."""
    right = ~broken(weights, activation, inputs, labels, radii, **options)
    return np.asarray(_mean(right, jnp.asarray(weights.hidden).dtype), float)


@functools.partial(jax.jit, static_argnums=1)
def _mean(right, dtype):
    return jnp.mean(right.astype(dtype), axis=1)


def slopes(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    *,
    readout: Readout | None = None,
    normalise_inputs: bool = False,
) -> Float[np.ndarray, " sample"]:
    r"""$\|g\|_2$ at the inputs: what the first step of the attack adds 1e-7 to.

    Args:
        weights: a two-layer network.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: as the read-out takes them, (sample,).
        readout: how outputs decide; the sign or the largest one when left out.
        normalise_inputs: as the network was trained.
    """
    points, names, readout = _arguments(weights, inputs, labels, readout)
    return np.asarray(
        _slopes(weights, activation, points, names, readout, normalise_inputs)
    )


def _arguments(
    weights: Weights, inputs: Any, labels: Any, readout: Readout | None
) -> tuple[Array, Array, Readout]:
    unmasked("inputs", inputs)
    unmasked("labels", labels)
    single = weights.output.ndim == 1
    dtype = jnp.asarray(weights.hidden).dtype
    names = jnp.asarray(labels)
    names = names.astype(dtype) if single else names
    readout = readout or (Score() if single else Argmax())
    return jnp.asarray(inputs).astype(dtype), names, readout


def _margin(weights, activation, labels, readout, unit):
    """Margins of points, and the loss that the attack climbs."""

    def margin(x: Array) -> Array:
        outputs = predict(weights, activation, x, normalise_inputs=unit)
        return readout.margin(outputs, labels)

    return margin, lambda x: jnp.mean(jnp.exp(-margin(x)))


@functools.partial(jax.jit, static_argnums=(1, 4, 5))
def _slopes(weights, activation, points, labels, readout, unit):
    _, loss = _margin(weights, activation, labels, readout, unit)
    return jnp.linalg.norm(jax.grad(loss)(points), axis=1)


def _shrink(lengths: Array, budget: Array) -> Array:
    safe = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
    return jnp.where(lengths > budget, budget / safe, jnp.ones_like(lengths))


@functools.partial(jax.jit, static_argnums=(1, 5, 7, 8, 9))
def _right(
    weights, activation, points, labels, budgets, steps, size, readout, power, unit
):
    margin, loss = _margin(weights, activation, labels, readout, unit)
    length = lambda a: jnp.sqrt(jnp.sum(a * a, axis=1))

    def one(budget: Array) -> Array:
        def step(_, moved: Array) -> Array:
            slope = jax.grad(loss)(points + moved)
            if math.isinf(power):
                moved = moved + size * jnp.sign(slope)
                return jnp.clip(moved, -budget[:, None], budget[:, None])
            rate = size / (length(slope) + STABILISER)
            moved = moved + rate[:, None] * slope
            return moved * _shrink(length(moved), budget)[:, None]

        moved = jax.lax.fori_loop(0, steps, step, jnp.zeros_like(points))
        return margin(points + moved) > 0

    return jax.lax.map(one, budgets)


@functools.partial(jax.jit, static_argnames=("activation", "steps"))
def _right_in_span(weights, activation, points, labels, budgets, steps, size):
    r"""The same iteration on $\delta = U^T c$: gradients never leave the span.

    With $s = U U^T c$ carried along, a step is one product with the Gram matrix: it
    moves s, and $|\delta|^2 = \langle c, s\rangle$, $|g|^2$ likewise.
    """
    norms = weights.norms()
    unit = jnp.where(norms > 0, norms, jnp.ones_like(norms))
    rows = weights.hidden / unit[:, None]
    power = 1.0 if activation.normalised else activation.degree
    amplitudes = weights.output * norms**power
    gram = jnp.matmul(rows, rows.T, precision="highest")
    clean = jnp.matmul(points, rows.T, precision="highest")
    bias = 0.0 if weights.output_bias is None else weights.output_bias
    inner = lambda a: jnp.matmul(a, gram, precision="highest")
    length = lambda a, b: jnp.sqrt(jnp.maximum(jnp.sum(a * b, axis=-1), 0))

    def outputs(scores: Array) -> Array:
        values = activation.value(scores)
        return jnp.matmul(values, amplitudes, precision="highest") + bias

    def one(budget: Array) -> Array:
        def step(_, now: tuple[Array, Array]) -> tuple[Array, Array]:
            c, s = now
            scores = clean + s
            pull = -labels * jnp.exp(-labels * outputs(scores)) / len(labels)
            slope = pull[:, None] * amplitudes[None, :] * activation.slope(scores)
            ahead = inner(slope)
            rate = (size / (length(slope, ahead) + STABILISER))[:, None]
            return within(c + rate * slope, s + rate * ahead)

        def within(c: Array, s: Array) -> tuple[Array, Array]:
            shrink = _shrink(length(c, s), budget)[:, None]
            return c * shrink, s * shrink

        c, _ = jax.lax.fori_loop(0, steps, step, (jnp.zeros_like(clean),) * 2)
        # What is carried along has the rounding of every step in it.
        _, s = within(c, inner(c))
        return labels * outputs(clean + s) > 0

    return jax.lax.map(one, budgets, batch_size=max(1, _ROWS // max(1, len(points))))
