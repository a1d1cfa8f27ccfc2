r"""APGD on the cross-entropy: the attack of the image experiments, for comparison.

Auto-PGD climbs from the point with momentum, halves its step where progress stalls and
returns to the best point so far. Like every attack it gives an upper bound on robust
accuracy; ``radius`` is the measurement. Source: croce-hein-2020, algorithm 1.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Key

from jaxbias._checks import InputError, positive_int
from jaxbias.losses import correct
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict
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
    budgets = np.atleast_1d(np.asarray(radii, float))
    rising = np.all(np.diff(budgets) > 0) and np.all(np.isfinite(budgets))
    if not (budgets.ndim == 1 and budgets.size and rising and budgets[0] >= 0):
        raise InputError(
            f"radii={radii!r}", "budgets increase from 0 or more", "radii=[0.0, 0.1]"
        )
    power = check_order(order)
    dtype = jnp.asarray(weights.hidden).dtype
    points = jnp.asarray(inputs).astype(dtype)
    ends = None
    if box is not None:
        full = lambda end: jnp.broadcast_to(jnp.asarray(end), points.shape)
        ends = tuple(full(end).astype(dtype) for end in box)
    wrong = _attack(
        weights,
        activation,
        points,
        jnp.asarray(labels),
        jnp.asarray(budgets, dtype),
        jax.random.split(key, restarts),
        ends,
        power,
        steps,
        normalise_inputs,
    )
    return np.maximum.accumulate(np.asarray(wrong), axis=0)


def robust_accuracy(*arguments: Any, **options: Any) -> Float[np.ndarray, " radius"]:
    """Share of points that :func:`broken` leaves right, at each radius."""
    return 1 - broken(*arguments, **options).mean(axis=1)


@functools.partial(jax.jit, static_argnums=(1, 7, 8, 9))
def _attack(
    weights, activation, points, labels, budgets, keys, box, power, steps, unit
):
    forward = lambda x: predict(weights, activation, x, normalise_inputs=unit)

    def loss(x: Array) -> Array:
        outputs = forward(x)
        if outputs.ndim == 1:
            return jax.nn.softplus(-labels.astype(x.dtype) * outputs)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)

    def look(x: Array) -> tuple[Array, Array, Array]:
        def total(x: Array) -> tuple[Array, Array]:
            values = loss(x)
            return jnp.sum(values), values

        slope, values = jax.grad(total, has_aux=True)(x)
        wrong = ~correct(forward(x), labels)
        return slope, values, wrong

    project = functools.partial(_project, points=points, box=box, power=power)

    def one(job: tuple[Array, Array]) -> Bool[Array, " sample"]:
        budget, key = job
        start = project(points + _random(key, points, budget, power), budget=budget)
        return _climb(start, budget, look, project, power, steps)

    clean = ~correct(forward(points), labels)

    def budgeted(budget: Array) -> Array:
        jobs = (jnp.broadcast_to(budget, keys.shape), keys)
        return clean | jnp.any(jax.lax.map(one, jobs), axis=0)

    return jax.lax.map(budgeted, budgets)


def _random(key: Array, points: Array, budget: Array, power: float) -> Array:
    if math.isinf(power):
        shape, dtype = points.shape, points.dtype
        return budget * jax.random.uniform(key, shape, dtype, minval=-1, maxval=1)
    gauss = jax.random.normal(key, points.shape, points.dtype)
    return budget * gauss / jnp.linalg.norm(gauss, axis=1, keepdims=True)


def _project(x: Array, *, budget: Array, points: Array, box, power: float) -> Array:
    """Into the ball, then the box; the box keeps an l_2 ball's points inside it."""
    moved = x - points
    if math.isinf(power):
        moved = jnp.clip(moved, -budget, budget)
    else:
        lengths = jnp.linalg.norm(moved, axis=1, keepdims=True)
        safe = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
        moved = moved * jnp.minimum(1, budget / safe)
    x = points + moved
    # A point outside the box keeps its own coordinate, so that no point starts broken.
    if box is not None:
        x = jnp.clip(x, jnp.minimum(box[0], points), jnp.maximum(box[1], points))
    return x


def _direction(slope: Array, power: float) -> Array:
    if math.isinf(power):
        return jnp.sign(slope)
    lengths = jnp.linalg.norm(slope, axis=1, keepdims=True)
    return slope / jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))


def _climb(start, budget, look, project, power: float, steps: int) -> Array:
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
        plain = project(x + size * _direction(state["slope"], power), budget=budget)
        pull = jnp.where(number == 0, 1.0, _MOMENTUM).astype(x.dtype)
        carried = (1 - pull) * (x - state["previous"])
        new = project(x + pull * (plain - x) + carried, budget=budget)
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
