"""What an integrator asks of a problem, whichever variables it is written in."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

State = Any

# Outputs far below 1 do not move the loss slopes: they are controlled to this size.
_OUTPUT_FLOOR = 1e-2


class AbstractSystem(eqx.Module):
    """A gradient flow in some variables: velocity, error norm, snapshot."""

    @abc.abstractmethod
    def start(self) -> State:
        """State at time 0."""

    @abc.abstractmethod
    def velocity(self, state: State) -> State:
        """Right-hand side of the flow."""

    @abc.abstractmethod
    def error_ratio(self, new: State, error: State, rtol: Array) -> Float[Array, ""]:
        """Local error over tolerance, root mean square over what is controlled."""

    @abc.abstractmethod
    def kinks(self, old: State, velocity: State, new: State) -> Float[Array, "2"]:
        """Fractions of (sample, neuron) pairs that met their kink in a step.

        First the attractive ones (both one-sided drifts point to the kink: a
        sliding mode), then the repelling ones (both point away: the solution of
        the differential inclusion is not unique there).
        """

    @abc.abstractmethod
    def snapshot(self, state: State) -> Snapshot:
        """What an observable may see."""

    @abc.abstractmethod
    def weights(self, state: State) -> Weights:
        """The network itself."""


def classify_kinks(
    old: Float[Array, "sample neuron"],
    new: Float[Array, "sample neuron"],
    drift: Float[Array, "sample neuron"],
    jump: Float[Array, "sample neuron"],
    mask: Array,
) -> Float[Array, "2"]:
    """Fractions of attractive and repelling meetings with the kink.

    Args:
        old: Scores at the start of the step.
        new: Scores at its end; a pair met its kink if the sign changed.
        drift: Velocity of the scores at the start of the step.
        jump: Drift on the active side minus drift on the inactive side.
        mask: Which neurons are real.
    """
    active = old > 0
    inactive_drift = jnp.where(active, drift - jump, drift)
    active_drift = inactive_drift + jump
    met = (active != (new > 0)) & mask[None, :]
    attractive = met & (inactive_drift > 0) & (active_drift < 0)
    repelling = met & (inactive_drift < 0) & (active_drift > 0)
    pairs = old.shape[0] * jnp.sum(mask, dtype=old.dtype)
    counts = jnp.stack([jnp.sum(attractive), jnp.sum(repelling)])
    return counts.astype(old.dtype) / pairs


def output_sizes(output: Array) -> Float[Array, " neuron"]:
    """``|v_j|``, over classes where there are several."""
    return jnp.abs(output) if output.ndim == 1 else jnp.linalg.norm(output, axis=1)


def output_error(output: Array, error: Array, floor: Array, rtol: Array) -> Array:
    """Squared ratios of the error of each neuron's output column, ``(neuron,)``."""
    new, old = output_sizes(output), output_sizes(output - error)
    scale = jnp.maximum(jnp.maximum(new, old), floor)
    size = output_sizes(error)
    return jnp.where(scale > 0, size / (rtol * jnp.where(scale > 0, scale, 1.0)), 0.0)


def prediction_error(new: Array, embedded: Array, rtol: Array) -> Array:
    """Error ratios of the outputs on the training rows."""
    scale = rtol * (_OUTPUT_FLOOR + jnp.sqrt(jnp.mean(jnp.square(new))))
    return (new - embedded) / scale


def bias_error(bias: Array, error: Array, rtol: Array) -> Array:
    """Error ratios of an output bias."""
    return error / (rtol * (jnp.abs(bias) + _OUTPUT_FLOOR))


def root_mean_square(parts: list[tuple[Array, Array | None]]) -> Float[Array, ""]:
    """Root mean square over several arrays of ratios, each with its mask."""
    total, count = jnp.asarray(0.0), jnp.asarray(0.0)
    for ratios, mask in parts:
        squares = jnp.square(ratios)
        if mask is None:
            total = total.astype(squares.dtype) + jnp.sum(squares)
            count = count.astype(squares.dtype) + squares.size
        else:
            mask = jnp.broadcast_to(mask, squares.shape)
            total = total.astype(squares.dtype) + jnp.sum(jnp.where(mask, squares, 0.0))
            count = count.astype(squares.dtype) + jnp.sum(mask, dtype=squares.dtype)
    return jnp.sqrt(total / count)


def slope_jump(activation: Activation) -> float:
    """Slope on the active side minus slope on the inactive side of a kink."""
    if activation.smoothness > 0:
        return 0.0
    return 1.0 - getattr(activation, "leak", 0.0)
