r"""APGD on the cross-entropy: the attack of the image experiments, for comparison.

Auto-PGD climbs from the point with momentum, halves its step where progress stalls and
returns to the best point so far. Like every attack it gives an upper bound on robust
accuracy; ``radius`` is the measurement. Source: croce-hein-2020, algorithm 1.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from jaxbias import _draws
from jaxbias._checks import positive_int
from jaxbias.losses import correct
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import (
    direction,
    losses,
    prepare,
    project,
    random_step,
    share_right,
)
from jaxbias.robustness._inputs import check_order

_MOMENTUM, _SHARE = 0.75, 0.75


def checkpoints(steps: int) -> tuple[int, ...]:
    """Steps after which the step size is looked at: ``ceil(p_j steps)``.

    ``p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)``.
    """
    # In hundredths: sums of floats would round some products up past a whole step.
    before, now, found = 0, 22, []
    while now <= 100:
        found.append(-(-now * steps // 100))
        before, now = now, now + max(now - before - 3, 6)
    return tuple(sorted(set(found)))


def broken(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    key: Key[Array, ""],
    order: float | int | str = "inf",
    steps: int = 100,
    restarts: int = 1,
    box: tuple[Any, Any] | None = None,
    normalise_inputs: bool = False,
) -> Bool[np.ndarray, "radius sample"]:
    r"""Which points the attack gets wrong, at each radius.

    The steps are $\eta = 2r$, halved at a checkpoint where fewer than three quarters
    of the steps since the last one raised the loss, or where neither the step nor the
    best loss has changed since. A point broken at one radius counts as broken at every
    larger one.

    Args:
        weights: a network with one output (loss $\log(1+e^{-yf})$) or one a class.
        activation: its activation.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, (sample,).
        radii: increasing budgets, (radius,).
        key: for the random starts in the ball; consumed.
        order: 2 or infinity.
        steps: iterations of each start.
        restarts: random starts.
        box: lowest and highest inputs, numbers or (feature,); none when left out.
        normalise_inputs: as the network was trained.

    Raises:
        InputError: for radii that do not increase from 0 or more, and another order.
    """
    positive_int("steps", steps)
    positive_int("restarts", restarts)
    power = check_order(order)
    points, names, budgets, ends = prepare(weights, inputs, labels, radii, box)
    wrong = _attack(
        weights,
        activation,
        points,
        names,
        budgets,
        _draws.split(key, restarts),
        ends,
        power,
        steps,
        normalise_inputs,
    )
    return np.maximum.accumulate(np.asarray(wrong), axis=0)


robust_accuracy = share_right(broken)


@functools.partial(jax.jit, static_argnums=(1, 7, 8, 9))
def _attack(
    weights, activation, points, labels, budgets, keys, box, power, steps, unit
):
    forward = lambda x: predict(weights, activation, x, normalise_inputs=unit)

    def look(x: Array) -> tuple[Array, Array, Array]:
        def total(x: Array) -> tuple[Array, Array]:
            values = losses(forward(x), labels)
            return jnp.sum(values), values

        slope, values = jax.grad(total, has_aux=True)(x)
        wrong = ~correct(forward(x), labels)
        return slope, values, wrong

    into = functools.partial(project, points=points, box=box, power=power)

    def one(job: tuple[Array, Array]) -> Bool[Array, " sample"]:
        budget, key = job
        start = into(points + random_step(key, points, budget, power), budget=budget)
        return _climb(start, budget, look, into, power, steps)

    clean = ~correct(forward(points), labels)

    def budgeted(budget: Array) -> Array:
        jobs = (jnp.broadcast_to(budget, keys.shape), keys)
        return clean | jnp.any(jax.lax.map(one, jobs), axis=0)

    return jax.lax.map(budgeted, budgets)


def _climb(start, budget, look, into, power: float, steps: int) -> Array:
    """Whether each point was wrong anywhere along its climb."""
    slope, values, wrong = look(start)
    rows = values.shape
    size = jnp.full(rows, 1, start.dtype) * 2 * budget
    state = {
        "x": start,
        "previous": start,
        "slope": slope,
        "value": values,
        "best": start,
        "best_slope": slope,
        "best_value": values,
        "size": size,
        "rises": jnp.zeros(rows, jnp.int32),
        "last_size": size,
        "last_best": values,
        "wrong": wrong,
    }
    looks = np.zeros(steps, np.int32)
    before = 0
    for place in checkpoints(steps):
        # The number of steps since the last look, at each checkpoint; 0 elsewhere.
        looks[place - 1], before = place - before, place

    def step(state: dict, job: tuple[Array, Array]) -> tuple[dict, None]:
        number, since = job
        x, size = state["x"], state["size"][:, None]
        plain = into(x + size * direction(state["slope"], power), budget=budget)
        pull = jnp.where(number == 0, 1.0, _MOMENTUM).astype(x.dtype)
        carried = (1 - pull) * (x - state["previous"])
        new = into(x + pull * (plain - x) + carried, budget=budget)
        slope, value, wrong = look(new)
        better = value > state["best_value"]
        pick = lambda yes, no: jnp.where(
            better.reshape(-1, *(1,) * (yes.ndim - 1)), yes, no
        )
        best = pick(new, state["best"])
        best_slope = pick(slope, state["best_slope"])
        best_value = pick(value, state["best_value"])
        rises = state["rises"] + (value > state["value"]).astype(jnp.int32)
        stalled = rises.astype(x.dtype) < _SHARE * since.astype(x.dtype)
        stuck = state["size"] == state["last_size"]
        stuck = stuck & (best_value <= state["last_best"])
        due = since > 0
        halve = due & (stalled | stuck)
        back = lambda to, stay: jnp.where(
            halve.reshape(-1, *(1,) * (stay.ndim - 1)), to, stay
        )
        return {
            "x": back(best, new),
            "previous": x,
            "slope": back(best_slope, slope),
            "value": back(best_value, value),
            "best": best,
            "best_slope": best_slope,
            "best_value": best_value,
            "size": jnp.where(halve, state["size"] / 2, state["size"]),
            "rises": jnp.where(due, 0, rises),
            "last_size": jnp.where(due, state["size"], state["last_size"]),
            "last_best": jnp.where(due, best_value, state["last_best"]),
            "wrong": state["wrong"] | wrong,
        }, None

    jobs = jnp.arange(steps), jnp.asarray(looks)
    state, _ = jax.lax.scan(step, state, jobs)
    return state["wrong"]
