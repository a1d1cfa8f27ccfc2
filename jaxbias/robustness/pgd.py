r"""The papers' projected gradient attack, for comparison only.

It starts at the clean point, where opposing neurons that are off have gradient 0 (or
one of size $c^{p-1}$), so it overestimates robustness; ``radius`` is the measurement.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias._checks import nonnegative, positive_int
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict

STABILISER = 1e-7


def robust_accuracy(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    steps: int = 2000,
    step: float | int = 0.1,
) -> Float[np.ndarray, " radius"]:
    r"""Share of points with $y f > 0$ after the attack, at each $\ell_2$ radius.

    $\delta \leftarrow \Pi_{\|\delta\|\le r}(\delta + \eta\,g/(\|g\| + 10^{-7}))$ from
    $\delta = 0$, g the gradient of the batch mean of $e^{-y f}$. The constant and the
    mean stall the attack where the gradient is small; both are in the original.

    Args:
        weights: a network with one output.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: +1 and -1, (sample,).
        radii: $\ell_2$ budgets, (radius,).
        steps: number of steps.
        step: their length.

    References:
        min-vidal-2024, section 5.1 and code.
    """
    positive_int("steps", steps)
    nonnegative("step", step)
    dtype = jnp.asarray(weights.hidden).dtype
    points = jnp.asarray(inputs).astype(dtype)
    signs = jnp.asarray(labels).astype(dtype)
    budgets = jnp.asarray(np.asarray(radii, float)).astype(dtype)
    size = jnp.asarray(step).astype(dtype)
    if weights.hidden_bias is None:
        run = _accuracies_in_span
    else:
        run = _accuracies
    correct = run(weights, activation, points, signs, budgets, steps, size)
    return np.asarray(correct, float)


def _ascend(gradient, square, project, steps: int, size: Array, start: Array) -> Array:
    """The common loop, in whichever coordinates hold the perturbation."""

    def body(_, now: Array) -> Array:
        slope = gradient(now)
        length = jnp.sqrt(jnp.maximum(square(slope), 0))
        return project(now + size * slope / (length + STABILISER)[:, None])

    return jax.lax.fori_loop(0, steps, body, start)


def _shrink(lengths: Array, budget: Array) -> Array:
    safe = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
    return jnp.where(lengths > budget, budget / safe, jnp.ones_like(lengths))


@functools.partial(jax.jit, static_argnames=("activation", "steps"))
def _accuracies(weights, activation, points, signs, budgets, steps, size):
    def loss(moved: Array) -> Array:
        return jnp.mean(jnp.exp(-signs * predict(weights, activation, moved)))

    def one(budget: Array) -> Array:
        moved = _ascend(
            lambda d: jax.grad(loss)(points + d),
            lambda g: jnp.sum(g * g, axis=1),
            lambda d: d * _shrink(jnp.sqrt(jnp.sum(d * d, axis=1)), budget)[:, None],
            steps,
            size,
            jnp.zeros_like(points),
        )
        outputs = predict(weights, activation, points + moved)
        return jnp.mean((signs * outputs > 0).astype(points.dtype))

    return jax.lax.map(one, budgets)


@functools.partial(jax.jit, static_argnames=("activation", "steps"))
def _accuracies_in_span(weights, activation, points, signs, budgets, steps, size):
    r"""The same iteration on $\delta = U^T c$: gradients never leave the span."""
    norms = weights.norms()
    unit = jnp.where(norms > 0, norms, jnp.ones_like(norms))
    rows = weights.hidden / unit[:, None]
    power = 1.0 if activation.normalised else activation.degree
    amplitudes = weights.output * norms**power
    gram = jnp.matmul(rows, rows.T, precision="highest")
    clean = jnp.matmul(points, rows.T, precision="highest")
    bias = 0.0 if weights.output_bias is None else weights.output_bias
    inner = lambda a: jnp.matmul(a, gram, precision="highest")

    def outputs(c: Array) -> tuple[Array, Array]:
        scores = clean + inner(c)
        return jnp.matmul(
            activation.value(scores), amplitudes, precision="highest"
        ) + bias, scores

    def gradient(c: Array) -> Array:
        values, scores = outputs(c)
        pull = -signs * jnp.exp(-signs * values) / len(signs)
        return pull[:, None] * amplitudes[None, :] * activation.slope(scores)

    def square(c: Array) -> Array:
        return jnp.sum(c * inner(c), axis=1)

    def one(budget: Array) -> Array:
        shrink = lambda c: _shrink(jnp.sqrt(jnp.maximum(square(c), 0)), budget)
        moved = _ascend(
            gradient,
            square,
            lambda c: c * shrink(c)[:, None],
            steps,
            size,
            jnp.zeros_like(clean),
        )
        values, _ = outputs(moved)
        return jnp.mean((signs * values > 0).astype(points.dtype))

    return jax.lax.map(one, budgets)
