r"""The fast gradient method: one step, the weakest attack of the literature.

The step has the length of the budget and the direction in which the linearised loss
rises fastest, the sign of the gradient in $\ell_\infty$. Where the gradient is 0 there
is no step. Source: goodfellow-2015.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from jaxbias.losses import correct
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import (
    direction,
    losses,
    prepare,
    project,
    share_right,
)
from jaxbias.robustness._inputs import check_order


def broken(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    order: float | int | str = "inf",
    box: tuple[Any, Any] | None = None,
    normalise_inputs: bool = False,
) -> Bool[np.ndarray, "radius sample"]:
    r"""Which points are wrong after the step, at each radius by itself.

    $x + r\,\mathrm{sign}(g)$ in $\ell_\infty$ and $x + r\,g/\|g\|$ in $\ell_2$, g the
    gradient of the loss at x, then clipped to the box. A longer step may pass over the
    broken region, so a point can be broken at one radius and not at a larger one.

    Args:
        weights: a network with one output (loss $\log(1+e^{-yf})$) or one a class.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, (sample,).
        radii: increasing budgets, (radius,).
        order: 2 or infinity.
        box: lowest and highest inputs, numbers or (feature,); none when left out.
        normalise_inputs: as the network was trained.

    Raises:
        InputError: for radii that do not increase from 0 or more, and another order.

    References:
        goodfellow-2015, section 4.
    """
    power = check_order(order)
    points, names, budgets, ends = prepare(weights, inputs, labels, radii, box)
    wrong = _attack(
        weights, activation, points, names, budgets, ends, power, normalise_inputs
    )
    return np.asarray(wrong)


robust_accuracy = share_right(broken)


@functools.partial(jax.jit, static_argnums=(1, 6, 7))
def _attack(weights, activation, points, labels, budgets, box, power, unit):
    forward = lambda x: predict(weights, activation, x, normalise_inputs=unit)
    loss = lambda x: jnp.sum(losses(forward(x), labels))
    way = direction(jax.grad(loss)(points), power)

    def one(budget: Array) -> Array:
        moved = project(
            points + budget * way, budget=budget, points=points, box=box, power=power
        )
        return ~correct(forward(moved), labels)

    return jax.lax.map(one, budgets)
