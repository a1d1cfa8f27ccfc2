r"""Adversarial training of the hidden layer: full-batch descent on attacked rows.

Every epoch moves each row uphill inside a ball by normalised gradient steps, then
descends on the moved rows. A row's gradient lies in the span of the hidden weights,
so a displacement is kept as $\delta_i = \beta_i u_i + \sum_j \alpha_{ij} w_j$ with its
random start $u_i$: an inner step costs $n h^2$ operations instead of $n h d$.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias._checks import InputError, is_concrete, nonnegative, one_of, positive_int
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.gram import add_bias, per_neuron
from jaxbias.dynamics.steps import AbstractRule, Observe, Stand, follow, further
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, row_norms


class AdversarialDescent(AbstractRule):
    r"""Descent on rows attacked in $\ell_2$.

    Args:
        rate: Step size of the descent; a number, or an array, which may be batched over
            runs, as may the next two.
        radius: Of the ball around each row.
        inner_step: Length of a step of the attack.
        inner_steps: Their number.
        start: ``sphere`` (uniform on the sphere of this radius, anew every epoch) or
            ``point`` (the row itself).

    Raises:
        InputError: For a rate that is not positive, a negative radius or length, no
            inner step, an unknown start.

    References:
        li-2025-feature-averaging, code: rate 0.001, 7 steps of length 10, radius 20
        or 40.
    """

    rate: float | int | Array
    radius: float | int | Array
    inner_step: float | int | Array
    inner_steps: int = eqx.field(static=True, default=7)
    start: str = eqx.field(static=True, default="sphere")

    def __check_init__(self):
        known = is_concrete(self.rate)
        if known and not (np.isfinite(self.rate) and self.rate > 0):
            raise InputError(f"rate={self.rate!r}", "a step goes downhill", "rate=1e-3")
        nonnegative("radius", self.radius)
        nonnegative("inner_step", self.inner_step)
        positive_int("inner_steps", self.inner_steps)
        one_of("start", self.start, ("sphere", "point"))

    def clock(self, steps: Any, most: int | None = None) -> Array:
        """The flow's time after so many steps."""
        with jax.numpy_dtype_promotion("standard"):
            return jnp.asarray(steps) * self.rate

    def gradients(self, rows: int) -> float:
        """One of the descent, and those of the attack."""
        return 1.0 + self.inner_steps

    def refuse(
        self, rows: int | None, activation: Activation, output_trained: bool
    ) -> None:
        """Refuse a trained output layer, and slopes that depend on a neuron's norm."""
        if output_trained:
            raise InputError(
                "adversarial descent with a trained output layer",
                "it moves the hidden layer alone",
                "TwoLayer(..., output='grouped')",
            )
        if activation.normalised and activation.degree != 1:
            raise InputError(
                f"adversarial descent with {activation!r}",
                "the slope of a normalised unit depends on its norm too",
                "activation=ReLU()",
            )

    def begin(self, problem: Problem) -> Stand:
        """The initial weights."""
        return Stand(problem.initial, (), None, jnp.zeros((), jnp.int32))

    def forward(
        self,
        problem: Problem,
        stand: Stand,
        ends: tuple[Array, Array],
        key: Key[Array, ""],
    ) -> Stand:
        """Epochs, each with starts of its own from ``fold_in(key, epoch)``."""

        def epoch(number: Array, weights: Weights) -> Weights:
            return _epoch(problem, self, weights, _draws.fold_in(key, number))

        weights = jax.lax.fori_loop(*ends, epoch, stand.weights)
        return stand._replace(weights=weights, step=further(stand.step, ends))


class _Moved(NamedTuple):
    """Displacements in coordinates, and what the attack needs to know of them."""

    along: Float[Array, "sample neuron"]
    kept: Float[Array, " sample"]
    starts: Float[Array, "sample feature"]
    overlap: Float[Array, "sample neuron"]


def descend_adversarially(
    problem: Problem,
    descent: AdversarialDescent,
    steps: Any,
    observe: Observe | None = None,
    *,
    key: Key[Array, ""],
) -> Trajectory:
    r"""Train the hidden layer on attacked rows; may be called under jit and vmap.

    In an epoch $x_i$ is moved to $x_i + \delta_i$ by
    $\delta_i \leftarrow \Pi_{\|\delta\|\le r}(\delta_i + s\,g_i/\|g_i\|)$, with g the
    gradient of the loss at the moved row, and the hidden weights and biases take one
    step down the loss of the moved rows, which are held fixed. The readout stays, its
    bias included.

    Args:
        problem: Data, network and loss; its output weights are frozen.
        descent: Rate and attack.
        steps: Increasing epoch numbers (not traced) at which to observe; the last one
            ends the run.
        observe: Named functions of a snapshot, of the rows as they are.
        key: Of the random starts, ``fold_in(key, epoch)``; consumed.

    Returns:
        The trajectory, of form ``raw``, as that of :func:`jaxbias.dynamics.descend`.

    Raises:
        InputError: If steps cannot work, for a trained output layer, and for
            normalised units of a degree other than 1.

    References:
        li-2025-feature-averaging, code.
    """
    return follow(problem, descent, steps, observe, key=key)


def _epoch(
    problem: Problem, descent: AdversarialDescent, weights: Weights, key: Array
) -> Weights:
    """One attack, and one step of the descent on the moved rows."""
    hidden, inputs = weights.hidden, problem.dataset.inputs
    rate = jnp.asarray(descent.rate).astype(hidden.dtype)
    gram = _matmul(hidden, hidden.T)
    clean = weights.scores(inputs)
    moved = _attack(problem, descent, weights, clean, gram, key)
    signal = _signal(problem, weights, _scores(clean, gram, moved))
    push = problem.sample_weights[:, None] * signal
    # push^T (x + kept * start + along W), never putting the moved rows together.
    slope = _matmul(push.T, inputs)
    if descent.start == "sphere":
        slope = slope + _matmul((push * moved.kept[:, None]).T, moved.starts)
    slope = slope + _matmul(_matmul(push.T, moved.along), hidden)
    bias = weights.hidden_bias
    if bias is not None:
        bias = bias - rate * jnp.sum(push, axis=0)
    return Weights(
        hidden=hidden - rate * slope,
        output=weights.output,
        hidden_bias=bias,
        output_bias=weights.output_bias,
        mask=weights.mask,
    )


def _attack(
    problem: Problem,
    descent: AdversarialDescent,
    weights: Weights,
    clean: Array,
    gram: Array,
    key: Array,
) -> _Moved:
    inputs = problem.dataset.inputs
    radius = jnp.asarray(descent.radius).astype(inputs.dtype)
    length = jnp.asarray(descent.inner_step).astype(inputs.dtype)
    zero = jnp.zeros_like(clean)
    moved = _Moved(zero, jnp.zeros_like(inputs[:, 0]), jnp.zeros_like(inputs), zero)
    if descent.start == "sphere":
        gauss = _draws.normal(key, inputs.shape, inputs.dtype)
        starts = gauss * (radius / row_norms(gauss))[:, None]
        overlap = _matmul(starts, weights.hidden.T)
        moved = _Moved(zero, jnp.ones_like(moved.kept), starts, overlap)

    def step(_: Array, moved: _Moved) -> _Moved:
        uphill = _signal(problem, weights, _scores(clean, gram, moved))
        lengths = _root(jnp.sum(uphill * _matmul(uphill, gram), axis=1))
        unit = length / jnp.where(lengths > 0, lengths, 1.0)
        along = moved.along + unit[:, None] * uphill
        square = jnp.square(radius * moved.kept)
        square = square + 2 * moved.kept * jnp.sum(along * moved.overlap, axis=1)
        square = square + jnp.sum(along * _matmul(along, gram), axis=1)
        lengths = _root(square)
        shrink = jnp.minimum(1.0, radius / jnp.where(lengths > 0, lengths, 1.0))
        return moved._replace(along=shrink[:, None] * along, kept=shrink * moved.kept)

    return jax.lax.fori_loop(0, descent.inner_steps, step, moved)


def _scores(clean: Array, gram: Array, moved: _Moved) -> Array:
    """Scores of the moved rows."""
    return clean + moved.kept[:, None] * moved.overlap + _matmul(moved.along, gram)


def _signal(problem: Problem, weights: Weights, scores: Array) -> Array:
    """Derivative of each row's loss by its scores."""
    activation = problem.activation
    responses = activation.value(scores)
    outputs = add_bias(_matmul(responses, weights.output), weights.output_bias)
    slopes = problem.loss.slope(outputs, problem.dataset.labels)
    return activation.slope(scores) * per_neuron(slopes, weights.output)


def _matmul(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision="highest")


def _root(square: Array) -> Array:
    """Square roots of numbers that rounding may have made negative."""
    return jnp.sqrt(jnp.maximum(square, 0.0))
