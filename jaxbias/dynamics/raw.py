"""The flow in the weights themselves, by automatic differentiation.

It takes what the reduced form cannot: hidden biases, and more rows than twice the
dimension. It shares no formula with the reduced form, so each checks the other.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.error_norm import (
    Errors,
    Part,
    bias_error,
    loss_error,
    output_error,
    output_sizes,
    output_spread,
    score_errors,
)
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.snapshot import Snapshot, balance_constants, snapshot_of
from jaxbias.dynamics.system import AbstractSystem, alive, classify_kinks, slope_jump
from jaxbias.networks.weights import Weights, predict, row_norms


class RawSystem(AbstractSystem):
    """Gradient flow on the weights."""

    problem: Problem

    def start(self) -> Weights:
        """Weights at time 0."""
        return self.problem.initial

    def _loss(self, weights: Weights) -> Float[Array, ""]:
        problem = self.problem
        outputs = predict(weights, problem.activation, problem.dataset.inputs)
        values = problem.loss.value(outputs, problem.dataset.labels)
        return jnp.sum(problem.sample_weights * values)

    def velocity(self, state: Weights) -> Weights:
        """``-grad L``; zero for padding and for a frozen output layer."""
        moving, fixed = eqx.partition(state, eqx.is_inexact_array)
        gradient = jax.grad(lambda w: self._loss(eqx.combine(w, fixed)))(moving)
        living = alive(self.problem, state.norms())
        living = state.mask if living is None else state.mask & living
        hidden = jnp.where(living[:, None], -gradient.hidden, 0.0)
        if self.problem.output_trained:
            rows = state.mask if state.output.ndim == 1 else state.mask[:, None]
            output = jnp.where(rows, -gradient.output, 0.0)
        else:
            output = jnp.zeros_like(state.output)
        hidden_bias = None
        if state.hidden_bias is not None:
            hidden_bias = jnp.where(living, -gradient.hidden_bias, 0.0)
        return Weights(
            hidden=hidden,
            output=output,
            hidden_bias=hidden_bias,
            output_bias=None if state.output_bias is None else -gradient.output_bias,
            mask=state.mask,
        )

    def errors(self, new: Weights, error: Weights, rtol: Array, least: float) -> Errors:
        """The reduced form's errors, with rows of W for columns of Z."""
        problem = self.problem
        inputs, activation, mask = problem.dataset.inputs, problem.activation, new.mask
        lower = subtract(new, error)
        if problem.output_trained:
            balance = balance_constants(problem.initial, problem.activation)
            floor = 0.1 * jnp.sqrt(jnp.maximum(balance, 0.0))
            floor = jnp.maximum(floor, least * output_sizes(problem.initial.output))
            neurons = output_error(new.output, error.output, floor, rtol)
        else:
            norms = new.norms()
            change = norms - lower.norms()
            neurons = output_error(norms, change, least * problem.initial.norms(), rtol)
        size = jnp.sqrt(jnp.mean(jnp.square(new.hidden), axis=1))
        begun = jnp.sqrt(jnp.mean(jnp.square(problem.initial.hidden), axis=1))
        size = jnp.maximum(size, least * begun)
        size = jnp.where(size > 0, size, 1.0)
        directions: list[Part] = [
            (error.hidden / (rtol * size)[:, None], mask[:, None])
        ]
        if new.hidden_bias is not None:
            assert error.hidden_bias is not None
            scale = jnp.maximum(jnp.abs(new.hidden_bias), size)
            directions.append((error.hidden_bias / (rtol * scale), mask))
        biases: list[Part] = []
        if new.output_bias is not None:
            assert error.output_bias is not None
            biases.append((bias_error(new.output_bias, error.output_bias, rtol), None))
        scores, norms = new.scores(inputs), new.norms()
        reach = jnp.maximum(norms, least * problem.initial.norms())
        lengths = row_norms(inputs)
        if new.hidden_bias is not None:
            lengths = jnp.hypot(lengths, 1.0)
        turned = score_errors(scores - lower.scores(inputs), lengths, reach, rtol)
        responses = activation.response(scores, norms)
        outputs = predict(new, activation, inputs)
        embedded = predict(lower, activation, inputs)
        weights, labels = problem.sample_weights, problem.dataset.labels
        return Errors(
            neurons=(neurons, mask),
            directions=directions,
            scores=(turned, mask[None, :]),
            biases=biases,
            outputs=outputs,
            embedded=embedded,
            spread=output_spread(responses, new.output),
            loss=loss_error(problem.loss, weights, labels, outputs, embedded),
        )

    def kinks(self, old: Weights, velocity: Weights, new: Weights) -> Float[Array, "2"]:
        """Fractions of attractive and repelling meetings with the kink."""
        problem = self.problem
        inputs = problem.dataset.inputs
        outputs = predict(old, problem.activation, inputs)
        slopes = problem.loss.slope(outputs, problem.dataset.labels)
        weights = problem.sample_weights
        residuals = -slopes * (weights if slopes.ndim == 1 else weights[:, None])
        if residuals.ndim == 1:
            driven = residuals[:, None] * old.output[None, :]
        else:
            driven = jnp.matmul(residuals, old.output.T, precision="highest")
        squares = jnp.sum(jnp.square(inputs), axis=1)
        if old.hidden_bias is not None:
            squares = squares + 1.0
        jump = slope_jump(problem.activation) * driven * squares[:, None]
        return classify_kinks(
            old.scores(inputs),
            new.scores(inputs),
            velocity.scores(inputs),
            jump,
            old.mask,
        )

    def snapshot(self, state: Weights) -> Snapshot:
        """What an observable may see."""
        problem = self.problem
        return snapshot_of(
            state,
            problem.activation,
            problem.dataset,
            problem.loss,
            problem.sample_weights,
            problem.initial,
        )

    def weights(self, state: Weights) -> Weights:
        """The state is the network."""
        return state


def subtract(left: Weights, right: Weights) -> Weights:
    """Difference of two sets of weights; the mask stays."""

    def leaf(a, b):
        return a - b if eqx.is_inexact_array(a) else a

    return jax.tree.map(leaf, left, right)
