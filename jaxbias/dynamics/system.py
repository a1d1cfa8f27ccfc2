"""What an integrator asks of a problem, whichever variables it is written in."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.error_norm import Errors
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

State = Any


class AbstractSystem(eqx.Module):
    """A gradient flow in some variables: velocity, local errors, snapshot."""

    problem: eqx.AbstractVar[Problem]

    @abc.abstractmethod
    def start(self) -> State:
        """State at time 0."""

    @abc.abstractmethod
    def velocity(self, state: State) -> State:
        """Right-hand side of the flow."""

    @abc.abstractmethod
    def errors(self, new: State, error: State, rtol: Array) -> Errors:
        """The local error of a step that ended in ``new``, group by group."""

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


def slope_jump(activation: Activation) -> float:
    """Slope on the active side minus slope on the inactive side of a kink."""
    if activation.smoothness > 0:
        return 0.0
    return 1.0 - getattr(activation, "leak", 0.0)
