r"""Adversarial training of the hidden layer: full-batch descent on attacked rows.

Every epoch moves each row uphill inside a ball by normalised gradient steps, then
descends on the moved rows. A row's gradient lies in the span of the hidden weights,
so a displacement is kept as $\delta_i = \beta_i u_i + \sum_j \alpha_{ij} w_j$ with its
random start $u_i$: an inner step costs $n h^2$ operations instead of $n h d$.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias._checks import InputError, nonnegative, one_of, positive_int
from jaxbias.dynamics.descent import checked_steps, finite_status, step_statistics
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.gram import add_bias, per_neuron
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.dynamics.trajectory import Trajectory
from jaxbias.networks.weights import Weights, row_norms


class AdversarialDescent(eqx.Module):
    r"""Descent on rows attacked in $\ell_2$.

    Args:
        rate: Step size of the descent.
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

    rate: float | int = eqx.field(static=True)
    radius: float | int = eqx.field(static=True)
    inner_step: float | int = eqx.field(static=True)
    inner_steps: int = eqx.field(static=True, default=7)
    start: str = eqx.field(static=True, default="sphere")

    def __check_init__(self):
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise InputError(f"rate={self.rate!r}", "a step goes downhill", "rate=1e-3")
        nonnegative("radius", self.radius)
        nonnegative("inner_step", self.inner_step)
        positive_int("inner_steps", self.inner_steps)
        one_of("start", self.start, ("sphere", "point"))


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
    observe: Mapping[str, Callable[[Snapshot], Any]] | None = None,
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
    counts = checked_steps(steps)
    _check(problem)
    observe = dict(observe or {})
    system = RawSystem(problem)
    dtype = problem.dataset.inputs.dtype

    def record(weights: Weights) -> dict[str, Array]:
        snapshot = system.snapshot(weights)
        values = {name: function(snapshot) for name, function in observe.items()}
        return {name: jnp.asarray(v).astype(dtype) for name, v in values.items()}

    def epoch(number: Array, weights: Weights) -> Weights:
        return _epoch(problem, descent, weights, _draws.fold_in(key, number))

    def advance(weights: Weights, ends: tuple[Array, Array]) -> tuple:
        weights = jax.lax.fori_loop(*ends, epoch, weights)
        return weights, record(weights)

    begins = np.concatenate([[0], counts[:-1]])
    ends = jnp.asarray(begins, jnp.int32), jnp.asarray(counts, jnp.int32)
    final, values = jax.lax.scan(advance, problem.initial, ends)
    slopes = 1.0 + descent.inner_steps
    return Trajectory(
        times=descent.rate * jnp.asarray(counts, dtype),
        observables=values,
        status=finite_status(final),
        statistics=step_statistics(int(counts[-1]), slopes, dtype),
        final=final,
        activation=problem.activation,
        form="raw",
    )


def _check(problem: Problem) -> None:
    if problem.output_trained:
        raise InputError(
            "adversarial descent with a trained output layer",
            "it moves the hidden layer alone",
            "TwoLayer(..., output='grouped')",
        )
    activation = problem.activation
    if activation.normalised and activation.degree != 1:
        raise InputError(
            f"adversarial descent with {activation!r}",
            "the slope of a normalised unit depends on its norm too",
            "activation=ReLU()",
        )


def _epoch(
    problem: Problem, descent: AdversarialDescent, weights: Weights, key: Array
) -> Weights:
    """One attack, and one step of the descent on the moved rows."""
    hidden, inputs = weights.hidden, problem.dataset.inputs
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
        bias = bias - descent.rate * jnp.sum(push, axis=0)
    return Weights(
        hidden=hidden - descent.rate * slope,
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
    radius, zero = descent.radius, jnp.zeros_like(clean)
    moved = _Moved(zero, jnp.zeros_like(inputs[:, 0]), jnp.zeros_like(inputs), zero)
    if descent.start == "sphere":
        gauss = _draws.normal(key, inputs.shape, inputs.dtype)
        starts = gauss * (radius / row_norms(gauss))[:, None]
        overlap = _matmul(starts, weights.hidden.T)
        moved = _Moved(zero, jnp.ones_like(moved.kept), starts, overlap)

    def step(_: Array, moved: _Moved) -> _Moved:
        uphill = _signal(problem, weights, _scores(clean, gram, moved))
        lengths = _root(jnp.sum(uphill * _matmul(uphill, gram), axis=1))
        unit = descent.inner_step / jnp.where(lengths > 0, lengths, 1.0)
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
