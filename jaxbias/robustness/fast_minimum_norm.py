r"""Fast minimum-norm: the literature's attack that looks for the shortest perturbation.

It follows normalised gradients of the margin and projects on a ball that shrinks
while the point is broken and grows while it is not. Its gradients are those of the
network, so it never learns of opposing neurons that are off; ``radius`` does, and so
does ``multistart``, which begins on the way to the other class.
Source: pintor-2021, algorithm 1.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxbias._checks import positive_int
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import direction, in_double, project
from jaxbias.robustness._inputs import check_box, check_order, check_points
from jaxbias.robustness._normal_form import normal_form
from jaxbias.robustness._reading import reading

# First and last length of a step, and share by which the ball changes.
_STEP, _CHANGE = (1.0, 1e-3), (0.05, 1e-3)


def perturb(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    readout: Readout | None = None,
    steps: int = 100,
    box: tuple[Any, Any] | None = None,
    normalise_inputs: bool = False,
) -> tuple[Float[np.ndarray, "sample feature"], Bool[np.ndarray, " sample"]]:
    r"""The shortest perturbation found for each point, and whether it breaks it.

    From $\delta = 0$, with m the margin of the read-out and g its gradient,
    $\delta \leftarrow \Pi_{\|\delta\|_q \le \varepsilon}(\delta - \alpha\,g/\|g\|_2)$.
    The radius $\varepsilon$ is $\|\delta\|_q + |m|/\|g\|_{q^*}$, the distance at which
    the linearised margin is 0, until a broken iterate was seen; from then on it grows
    by the factor $1 + \gamma$ where the iterate is not broken, and is
    $\min\{(1-\gamma)\,\varepsilon, \|\delta^*\|_q\}$ where it is, $\delta^*$ the
    shortest broken iterate. Along half a cosine $\alpha$ falls from 1 to 0.001 and
    $\gamma$ from 0.05 to 0.001. The steps are lengths: inputs are meant to be of the
    order of 1. Everything is computed in float64.

    Args:
        weights: a two-layer network.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, as the read-out takes them, (sample,).
        order: 2 or infinity.
        readout: how outputs decide; the sign or the largest one when left out.
        steps: iterates that are looked at, the clean point among them.
        box: lowest and highest inputs, numbers or (feature,); none when left out.
        normalise_inputs: as the network was trained.

    Returns:
        The perturbations, 0 where none was found, and which of them break: a margin of
        0 is broken, and a point that is wrong without a step is broken by 0.

    Raises:
        InputError: for points or labels that do not fit the network, a point outside
            the box, and another order.

    References:
        pintor-2021, algorithm 1.
    """
    positive_int("steps", steps)
    power = check_order(order)
    read = reading(normal_form(weights, activation), readout)
    points, names = check_points(inputs, labels, weights, read.groups is not None)
    ends = check_box(box, points)
    with jax.enable_x64(True):
        if ends is not None:
            ends = tuple(jnp.broadcast_to(end, points.shape) for end in ends)
        found = _search(
            in_double(weights),
            activation,
            read.readout,
            jnp.asarray(points),
            jnp.asarray(names),
            ends,
            power,
            steps,
            normalise_inputs,
        )
        moved, length = (np.asarray(array) for array in found)
    return moved, np.isfinite(length)


def lengths(vectors: Array, power: float) -> Array:
    """Norms of rows."""
    return jnp.linalg.norm(vectors, ord=power, axis=1)


@functools.partial(jax.jit, static_argnums=(1, 2, 6, 7, 8))
def _search(
    weights, activation, readout, points, labels, box, power, steps, unit
) -> tuple[Array, Array]:
    def margin(x: Array) -> Array:
        outputs = predict(weights, activation, x, normalise_inputs=unit)
        return readout.margin(outputs, labels)

    return follow(margin, points, jnp.zeros_like(points), box, power, steps)


def follow(
    margin: Callable[[Array], Array],
    points: Array,
    start: Array,
    box: Any,
    power: float,
    steps: int,
) -> tuple[Array, Array]:
    """The shortest broken iterate of each point and its length, infinite for none."""
    dual = 1.0 if math.isinf(power) else 2.0
    farthest = jnp.full(points.shape[:1], jnp.inf, points.dtype)
    if box is not None:
        farthest = lengths(jnp.maximum(points - box[0], box[1] - points), power)

    def look(moved: Array) -> tuple[Array, Array]:
        def total(x: Array) -> tuple[Array, Array]:
            margins = margin(x)
            return jnp.sum(margins), margins

        return jax.grad(total, has_aux=True)(points + moved)

    def step(state: tuple[Array, ...], pace: Array) -> tuple[tuple[Array, ...], None]:
        moved, best, shortest, ball = state
        slope, margins = look(moved)
        alpha, gamma = pace
        now = lengths(moved, power)
        broken = margins <= 0
        better = broken & (now <= shortest)
        best = jnp.where(better[:, None], moved, best)
        shortest = jnp.where(better, now, shortest)
        linear = now + jnp.abs(margins) / lengths(slope, dual)
        outside = jnp.where(jnp.isfinite(shortest), (1 + gamma) * ball, linear)
        inside = jnp.minimum((1 - gamma) * ball, shortest)
        ball = jnp.minimum(jnp.where(broken, inside, outside), farthest)
        new = project(
            points + (moved - alpha * direction(slope, 2.0)),
            budget=ball[:, None],
            points=points,
            box=box,
            power=power,
        )
        return (new - points, best, shortest, ball), None

    share = (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    paces = [last + (first - last) * share for first, last in (_STEP, _CHANGE)]
    nothing, far = jnp.zeros_like(points), jnp.full_like(farthest, jnp.inf)
    state = (start, nothing, far, far)
    state, _ = jax.lax.scan(step, state, jnp.asarray(np.stack(paces, 1)))
    return state[1], state[2]
