r"""The attack of the feature-averaging experiments, for comparison only.

Projected gradient steps of a quarter of the radius in $\ell_2$ from a random point *on*
the sphere. It climbs the loss of training: for a network trained on clusters the
cross-entropy of the *cluster*, although what is scored may be the label. In high
dimension a random point hardly moves any score, so opposing neurons stay off.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from jaxbias import _draws
from jaxbias._checks import nonnegative, positive_int
from jaxbias.losses import correct
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import (
    direction,
    losses,
    prepare,
    project,
    random_step,
    share_right,
)


def broken(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    key: Key[Array, ""],
    scored: tuple[Readout, Any] | None = None,
    steps: int = 7,
    step: float | int = 0.25,
    normalise_inputs: bool = False,
) -> Bool[np.ndarray, "radius sample"]:
    r"""Which points are wrong after the attack, at each radius by itself.

    $x_{t+1} = \Pi_{\|x - x_0\|_2 \le r}(x_t + \eta r\,g/\|g\|)$ from $x_0 + r u$ with u
    uniform on the unit sphere, g the gradient of the loss; nothing is clipped. The last
    iterate decides.

    Args:
        weights: a network with one output (loss $\log(1+e^{-yf})$) or one a class.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: what the loss climbs: +1 and -1, or class numbers, (sample,).
        radii: increasing budgets, (radius,).
        key: for the random starts; consumed.
        scored: the read-out that decides, and the labels it takes; a margin of 0 is
            wrong. The sign or the largest output against ``labels`` when left out.
        steps: number of steps.
        step: their length as a share of the radius.
        normalise_inputs: as the network was trained.

    Example:
        For a network trained on four clusters, read out as two labels, the calls are
        ``groups = GroupArgmax((1, 1, -1, -1))`` and ``broken(weights, activation,
        inputs, clusters, radii, key=key, scored=(groups, labels))``.

    Raises:
        InputError: for radii that do not increase from 0 or more.

    References:
        li-2025-feature-averaging, code.
    """
    positive_int("steps", steps)
    nonnegative("step", step)
    points, names, budgets, _ = prepare(weights, inputs, labels, radii, None)
    readout, marks = (None, names) if scored is None else scored
    wrong = _attack(
        weights,
        activation,
        points,
        names,
        budgets,
        _draws.split(key, len(budgets)),
        readout,
        jnp.asarray(marks),
        steps,
        jnp.asarray(step).astype(points.dtype),
        normalise_inputs,
    )
    return np.asarray(wrong)


robust_accuracy = share_right(broken)


@functools.partial(jax.jit, static_argnums=(1, 6, 8, 10))
def _attack(
    weights,
    activation,
    points,
    labels,
    budgets,
    keys,
    readout,
    marks,
    steps,
    size,
    unit,
):
    forward = lambda x: predict(weights, activation, x, normalise_inputs=unit)
    loss = lambda x: jnp.sum(losses(forward(x), labels))

    def one(job: tuple[Array, Array]) -> Array:
        budget, key = job
        into = functools.partial(
            project, budget=budget, points=points, box=None, power=2.0
        )

        def body(_, x: Array) -> Array:
            return into(x + size * budget * direction(jax.grad(loss)(x), 2.0))

        start = points + random_step(key, points, budget, 2.0)
        outputs = forward(jax.lax.fori_loop(0, steps, body, start))
        if readout is None:
            return ~correct(outputs, marks)
        return ~(readout.margin(outputs, marks) > 0)

    return jax.lax.map(one, (budgets, keys))
