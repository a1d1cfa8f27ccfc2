"""Small descents on data in the plane, looked at through the directions of neurons.

Angles are in degrees, from the first axis.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias.data.dataset import Dataset, from_arrays
from jaxbias.dynamics.descent import Descent, descend
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.status import Status
from jaxbias.networks.weights import predict

CELLS = ("positive", "negative", "dead")
# Two samples a class, y_i x_i within 35 degrees of the first axis: mu = cos 70.
_ANGLES, _LABELS = (35.0, 20.0, 160.0, 145.0), (1.0, 1.0, -1.0, -1.0)


class Path(NamedTuple):
    """A descent at its records.

    Attributes:
        hidden: W, (record, neuron, feature).
        output: v, (record, neuron).
        velocity: dW/dt of the flow at these weights.
        loss: (record,).
        finished: whether the weights stayed finite.
    """

    hidden: np.ndarray
    output: np.ndarray
    velocity: np.ndarray
    loss: np.ndarray
    finished: bool


def toy_data() -> Dataset:
    """Four unit samples in the plane, separable with margin cos 70 degrees."""
    turned = np.deg2rad(_ANGLES)
    inputs = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    return from_arrays(inputs, np.array(_LABELS), dtype="float64")


def two_points(angle: float) -> Dataset:
    r"""$(1, 0)$ and $(\sin\theta, \cos\theta)$, both labelled +1."""
    inputs = np.array([[1.0, 0.0], [np.sin(angle), np.cos(angle)]])
    return from_arrays(inputs, np.ones(2), dtype="float64")


def rates(
    hidden: Float[np.ndarray, "record neuron feature"],
    velocity: Float[np.ndarray, "record neuron feature"],
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, " record"]]:
    r"""$\sum_j \|P_\perp(w_j)\dot w_j\|/\|w_j\|$ and $\sum_j d\|w_j\|^2/dt$."""
    norms = np.linalg.norm(hidden, axis=2, keepdims=True)
    unit = hidden / norms
    along = (velocity * unit).sum(axis=2, keepdims=True)
    across = np.linalg.norm(velocity - along * unit, axis=2)
    turning = (across / norms[..., 0]).sum(axis=1)
    return turning, 2 * (along * norms)[..., 0].sum(axis=1)


def cells(
    inputs: Float[np.ndarray, "sample 2"], labels: Float[np.ndarray, " sample"]
) -> Float[np.ndarray, "3 2"]:
    """First and last angle of the cones S_+, S_- and S_dead; NaN for an empty one.

    In S_+ exactly the positive samples are active, in S_- exactly the negative ones,
    in S_dead none. Each is convex, so in the plane it is one arc.
    """
    towards = degrees(inputs)
    edges = np.unique(np.concatenate([towards - 90, towards + 90]) % 360)
    ends = np.append(edges[1:], edges[0] + 360)
    middles = np.deg2rad((edges + ends) / 2)
    active = np.stack([np.cos(middles), np.sin(middles)], axis=1) @ inputs.T > 0
    arcs = np.full((len(CELLS), 2), np.nan)
    for row, pattern in enumerate((labels > 0, labels < 0, labels == 0)):
        for place in np.flatnonzero((active == pattern).all(axis=1)):
            arcs[row] = edges[place], ends[place]
    return arcs


def degrees(rows: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "..."]:
    """Angle of each row from the first axis, in (-180, 180]."""
    return np.rad2deg(np.arctan2(rows[..., 1], rows[..., 0]))


def programs(
    flow: GradientFlow, rate: float
) -> tuple[Callable[[Key[Array, ""]], Problem], Callable[[Problem, np.ndarray], Path]]:
    """Draw a problem; descend from it and look at the weights at given iterations.

    The iterations begin with 0. Problems of equal shapes share one compiled program.

    Args:
        flow: network, data, loss and clock.
        rate: step size.
    """
    draw = eqx.filter_jit(lambda key: flow.problem(key, dtype="float64"))
    observe = {"hidden": lambda s: s.hidden, "output": lambda s: s.output}

    @eqx.filter_jit
    def descent(problem: Problem, steps: tuple[int, ...]):
        # Without minibatches the key is not used.
        return descend(problem, Descent(rate), steps, observe, key=_draws.seed_key(0))

    @eqx.filter_jit
    def look(problem: Problem, hidden, output):
        def one(w, v):
            weights = problem.initial
            weights = eqx.tree_at(lambda q: (q.hidden, q.output), weights, (w, v))
            data = problem.dataset
            outputs = predict(weights, problem.activation, data.inputs)
            losses = problem.loss.value(outputs, data.labels)
            speed = RawSystem(problem).velocity(weights).hidden
            return speed, jnp.sum(problem.sample_weights * losses)

        return jax.vmap(one)(hidden, output)

    def follow(problem: Problem, iteration: np.ndarray) -> Path:
        run = descent(problem, tuple(int(n) for n in iteration[1:]))
        start = problem.initial
        hidden = jnp.concatenate([start.hidden[None], run.observables["hidden"]])
        output = jnp.concatenate([start.output[None], run.observables["output"]])
        velocity, loss = look(problem, hidden, output)
        return Path(
            np.asarray(hidden),
            np.asarray(output),
            np.asarray(velocity),
            np.asarray(loss),
            int(run.status) == Status.FINISHED,
        )

    return draw, follow
