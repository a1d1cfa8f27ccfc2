r"""The exact reduced form: scores, dual coefficients and output weights.

With rows ``x_i``, K = X X^T, ``e_i = -omega_i dl/dyhat_i``, unit scores
``r = Z/|w|`` and an activation that is homogeneous of degree p, the flow of
``f(x) = sum_j v_j |w_j| psi(<x, w_j>/|w_j|)`` is

$$Z' = K S + d Z, \quad A' = S + d A, \quad v' = m,$$
$$S_{ij} = e_i v_j \psi'(r_{ij}), \quad m_j = |w_j| \sum_i e_i \psi(r_{ij}), \quad
d_j = (1-p) \frac{v_j m_j}{|w_j|^2},$$

and ``W = c W0 + A^T X`` (rows are neurons) with ``c = (|w0|/|w|)^(p-1)``: one
n x n x h product an evaluation. A hidden bias is the weight of a constant input, so
rows become (x, 1). W is never solved for, so a singular K is harmless. The share c
is the orthogonal-complement law of the flow: what no row sees shrinks as the neuron
grows.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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
from jaxbias.dynamics.snapshot import Snapshot, balance_constants
from jaxbias.dynamics.system import AbstractSystem, alive, classify_kinks, slope_jump
from jaxbias.networks.weights import Weights, row_norms

# Far enough from 1 that only a neuron whose norm is lost is touched.
_FAR = 2.0


class ReducedState(NamedTuple):
    """Scores Z, dual coefficients A, output weights v, and what no law gives.

    ``kept`` is c, where it is not 1. It has a law, but is carried beside Z and A by the
    same steps, so that ``Z = X W`` holds to rounding and norms can be recovered.
    """

    scores: Float[Array, "sample neuron"]
    dual: Float[Array, "sample neuron"]
    output: Array
    norms: Float[Array, " neuron"] | None
    kept: Float[Array, " neuron"] | None
    output_bias: Array | None


class ReducedSystem(AbstractSystem):
    """The flow in scores; pays off for n <= 2D."""

    problem: Problem
    inputs: Float[Array, "sample feature"]
    hidden: Float[Array, "neuron feature"]
    gram: Float[Array, "sample sample"]
    sizes: Float[Array, " sample"]
    initial_norms: Float[Array, " neuron"]
    initial_scores: Float[Array, "sample neuron"]
    balance: Float[Array, " neuron"]
    mask: Bool[Array, " neuron"]
    carries_norms: bool = eqx.field(static=True)

    def __init__(self, problem: Problem):
        activation, initial = problem.activation, problem.initial
        inputs = with_constant(problem.dataset.inputs, initial)
        self.problem = problem
        self.inputs = inputs
        self.hidden = initial.hidden
        if initial.hidden_bias is not None:
            bias = initial.hidden_bias[:, None]
            self.hidden = jnp.concatenate([initial.hidden, bias], axis=1)
        self.gram = jnp.matmul(inputs, inputs.T, precision="highest")
        self.sizes = row_norms(inputs)
        self.initial_norms = initial.norms()
        self.initial_scores = jnp.matmul(inputs, self.hidden.T, precision="highest")
        balanced = jnp.zeros_like(self.initial_norms)
        known = problem.balanced and activation.normalised
        self.balance = balanced if known else balance_constants(initial, activation)
        self.mask = initial.mask
        self.carries_norms = self.curved and not (
            problem.output_trained and problem.balanced
        )

    @property
    def curved(self) -> bool:
        """Whether the direction of a neuron enters beyond its scores."""
        activation = self.problem.activation
        return activation.normalised and activation.degree != 1

    def start(self) -> ReducedState:
        """State at time 0: scores of the initial weights, no dual coefficients."""
        initial = self.problem.initial
        return ReducedState(
            scores=self.initial_scores,
            dual=jnp.zeros_like(self.initial_scores),
            output=initial.output,
            norms=self.initial_norms if self.carries_norms else None,
            kept=jnp.ones_like(self.initial_norms) if self.curved else None,
            output_bias=initial.output_bias,
        )

    def norms(self, state: ReducedState) -> Float[Array, " neuron"]:
        """``|w_j|``: carried, of the dual coefficients, or of v by balance."""
        if state.norms is not None:
            return state.norms
        if not self.problem.output_trained:
            # W = W0 + A^T X, whatever the steps: an Euler step breaks laws of norms.
            gained = jnp.sum(state.dual * (self.initial_scores + state.scores), axis=0)
            return jnp.sqrt(jnp.maximum(jnp.square(self.initial_norms) + gained, 0.0))
        # Normalised units conserve |w|^2 - v^2, powers |w|^2 - p v^2.
        activation = self.problem.activation
        factor = 1.0 if activation.normalised else activation.degree
        sizes = output_sizes(state.output)
        if self.problem.balanced and factor == 1:
            return sizes
        start = output_sizes(self.problem.initial.output)
        gained = factor * (sizes - start) * (sizes + start)
        return jnp.sqrt(jnp.maximum(jnp.square(self.initial_norms) + gained, 0.0))

    def _features(self, state: ReducedState):
        """Responses, slopes of psi at the unit scores, and safe norms."""
        activation = self.problem.activation
        if not activation.normalised or activation.degree == 1:
            return activation.value(state.scores), activation.slope(state.scores), None
        norms = self.norms(state)
        norms = jnp.where(norms > 0, norms, 1.0)
        unit = state.scores * (1.0 / norms)[None, :]
        largest = jnp.where(
            self._lost(state, norms)[None, :], self.sizes[:, None], jnp.inf
        )
        unit = jnp.clip(unit, -largest, largest)
        responses = activation.value(unit) * norms[None, :]
        return responses, activation.slope(unit), norms

    def _lost(self, state: ReducedState, norms: Array) -> Bool[Array, " neuron"]:
        """Which neurons' scores have outgrown their norms: none may exceed its row.

        Where a neuron decays, scores and the norm by the law part exponentially, and
        their quotient would make rates of 1/|w|. Such a neuron keeps its direction.
        """
        reach = _FAR * self.sizes[:, None] * norms[None, :]
        return jnp.any(jnp.abs(state.scores) > reach, axis=0)

    def _residuals(self, state: ReducedState, responses: Array) -> Array:
        """``e_i``, one per row or one row per row and class."""
        problem = self.problem
        outputs = add_bias(
            jnp.matmul(responses, state.output, precision="highest"),
            state.output_bias,
        )
        slopes = problem.loss.slope(outputs, problem.dataset.labels)
        weights = problem.sample_weights
        return -slopes * (weights if slopes.ndim == 1 else weights[:, None])

    def velocity(self, state: ReducedState) -> ReducedState:
        """Right-hand side of the reduced flow."""
        responses, slopes, norms = self._features(state)
        residuals = self._residuals(state, responses)
        signal = slopes * per_neuron(residuals, state.output)
        turning = None if norms is None else ~self._lost(state, norms)
        living = None if norms is None else alive(self.problem, norms)
        if turning is not None:
            turning = turning if living is None else turning & living
            signal = jnp.where(turning[None, :], signal, 0.0)
        # In this order nothing of the size of the scores is transposed.
        growth = jnp.matmul(residuals.T, responses, precision="highest").T
        if living is not None:
            rows = living if growth.ndim == 1 else living[:, None]
            growth = jnp.where(rows, growth, 0.0)
        scores = jnp.matmul(self.gram, signal, precision="highest")
        dual, kept = signal, state.kept
        if norms is not None:
            degree = self.problem.activation.degree
            # Divided one norm at a time: their product underflows at tiny scales.
            ratio = inner(over(state.output, norms), over(growth, norms))
            assert turning is not None
            decay = jnp.where(turning, (1.0 - degree) * ratio, 0.0)
            scores = scores + decay[None, :] * state.scores
            dual = dual + decay[None, :] * state.dual
            assert state.kept is not None
            kept = decay * state.kept
        norm_growth = None
        if state.norms is not None:
            safe = jnp.where(state.norms > 0, state.norms, 1.0)
            norm_growth = inner(over(growth, safe), state.output)
        trained = self.problem.output_trained
        return ReducedState(
            scores=scores,
            dual=dual,
            output=growth if trained else jnp.zeros_like(state.output),
            norms=norm_growth,
            kept=kept,
            output_bias=None
            if state.output_bias is None
            else jnp.sum(residuals, axis=0),
        )

    def errors(
        self, new: ReducedState, error: ReducedState, rtol: Array, least: float
    ) -> Errors:
        """Errors of output weights or norms, scores, and outputs."""
        problem = self.problem
        embedded = subtract(new, error)
        if problem.output_trained:
            floor = 0.1 * jnp.sqrt(jnp.maximum(self.balance, 0.0))
            floor = jnp.maximum(floor, least * output_sizes(problem.initial.output))
            neurons = output_error(new.output, error.output, floor, rtol)
        else:
            norms = self.norms(new)
            change = norms - self.norms(embedded)
            neurons = output_error(norms, change, least * self.initial_norms, rtol)
        size = jnp.sqrt(jnp.mean(jnp.square(new.scores), axis=0))
        begun = jnp.sqrt(jnp.mean(jnp.square(self.initial_scores), axis=0))
        size = jnp.maximum(size, least * begun)
        size = jnp.where(size > 0, size, 1.0)
        scores = error.scores / (rtol * size)[None, :]
        biases: list[Part] = []
        if new.output_bias is not None:
            assert error.output_bias is not None
            biases.append((bias_error(new.output_bias, error.output_bias, rtol), None))
        norms = jnp.maximum(self.norms(new), least * self.initial_norms)
        turned = score_errors(error.scores, self.sizes, norms, rtol)
        responses, _, _ = self._features(new)
        outputs, lower = self._predictions(new), self._predictions(embedded)
        weights, labels = problem.sample_weights, problem.dataset.labels
        return Errors(
            neurons=(neurons, self.mask),
            directions=[(scores, self.mask[None, :])],
            scores=(turned, self.mask[None, :]),
            biases=biases,
            outputs=outputs,
            embedded=lower,
            spread=output_spread(responses, new.output),
            loss=loss_error(problem.loss, weights, labels, outputs, lower),
        )

    def _predictions(self, state: ReducedState) -> Array:
        responses, _, _ = self._features(state)
        outputs = jnp.matmul(responses, state.output, precision="highest")
        return add_bias(outputs, state.output_bias)

    def kinks(
        self, old: ReducedState, velocity: ReducedState, new: ReducedState
    ) -> Float[Array, "2"]:
        """Fractions of attractive and repelling meetings with the kink."""
        responses, _, _ = self._features(old)
        residuals = self._residuals(old, responses)
        step = slope_jump(self.problem.activation)
        jump = step * per_neuron(residuals, old.output)
        jump = jnp.diagonal(self.gram)[:, None] * jump
        return classify_kinks(old.scores, new.scores, velocity.scores, jump, self.mask)

    def _kept(self, state: ReducedState) -> Float[Array, " neuron"]:
        """c, the share of the initial weights that is left."""
        return jnp.ones_like(self.initial_norms) if state.kept is None else state.kept

    def recovered_norms(self, state: ReducedState) -> Float[Array, " neuron"]:
        """``|w_j|`` of the weights that Z, A and c mean, whatever the steps.

        The square is ``c^2 |w0|^2 + A (c Z0 + Z)``.
        """
        kept = self._kept(state)
        # In units of the norm by the law: squares of tiny weights underflow.
        unit = self.norms(state)
        unit = jnp.where(unit > 0, unit, 1.0)[None, :]
        reached = kept[None, :] * self.initial_scores + state.scores
        gained = jnp.sum((state.dual / unit) * (reached / unit), axis=0)
        square = jnp.square(kept * self.initial_norms / unit[0]) + gained
        return unit[0] * jnp.sqrt(jnp.maximum(square, 0.0))

    def snapshot(self, state: ReducedState) -> Snapshot:
        """What an observable may see; weights are recovered only on demand."""
        problem, dataset = self.problem, self.problem.dataset
        kept = self._kept(state)
        centre_scores = None
        if dataset.centres is not None:
            centres = with_constant(dataset.centres, problem.initial)
            start = jnp.matmul(centres, self.hidden.T, precision="highest")
            overlap = jnp.matmul(centres, self.inputs.T, precision="highest")
            moved = jnp.matmul(overlap, state.dual, precision="highest")
            centre_scores = kept[None, :] * start + moved
        return Snapshot(
            inputs=dataset.inputs,
            labels=dataset.labels,
            sample_weights=problem.sample_weights,
            clusters=dataset.clusters,
            centres=dataset.centres,
            centre_labels=dataset.centre_labels,
            scores=state.scores,
            centre_scores=centre_scores,
            norms=self.norms(state),
            recovered_norms=self.recovered_norms(state),
            output=state.output,
            output_bias=state.output_bias,
            mask=self.mask,
            balance=self.balance,
            initial_hidden=problem.initial.hidden,
            hidden_coefficient=kept,
            dual=state.dual,
            # With a bias scores alone do not say where a neuron points.
            hidden=self.weights(state).hidden if self.biased else None,
            activation=problem.activation,
            loss=problem.loss,
        )

    @property
    def biased(self) -> bool:
        """Whether the hidden units have a bias."""
        return self.problem.initial.hidden_bias is not None

    def weights(self, state: ReducedState) -> Weights:
        """The network: ``W = c W0 + A^T X``."""
        moved = jnp.matmul(state.dual.T, self.inputs, precision="highest")
        hidden = self._kept(state)[:, None] * self.hidden + moved
        return Weights(
            hidden=hidden[:, :-1] if self.biased else hidden,
            output=state.output,
            hidden_bias=hidden[:, -1] if self.biased else None,
            output_bias=state.output_bias,
            mask=self.mask,
        )


def with_constant(rows: Array, initial: Weights) -> Float[Array, "row feature"]:
    """The rows, with a constant input appended where the hidden units have a bias."""
    return (
        rows
        if initial.hidden_bias is None
        else jnp.pad(rows, ((0, 0), (0, 1)), constant_values=1.0)
    )


def add_bias(outputs: Array, bias: Array | None) -> Array:
    """Outputs plus the output bias, if there is one."""
    if bias is None:
        return outputs
    return outputs + (bias if outputs.ndim == 1 else bias[None, :])


def per_neuron(residuals: Array, output: Array) -> Float[Array, "sample neuron"]:
    """``sum_c e_ic v_jc``."""
    if output.ndim == 1:
        return residuals[:, None] * output[None, :]
    return jnp.matmul(residuals, output.T, precision="highest")


def inner(left: Array, right: Array) -> Float[Array, " neuron"]:
    """Product of two output-shaped arrays, summed over classes."""
    return left * right if left.ndim == 1 else jnp.sum(left * right, axis=1)


def over(output: Array, norms: Array) -> Array:
    """An output-shaped array divided by a number for each neuron."""
    return output / (norms if output.ndim == 1 else norms[:, None])


def subtract(left: ReducedState, right: ReducedState) -> ReducedState:
    """Difference of two states."""
    return jax.tree.map(jnp.subtract, left, right)
