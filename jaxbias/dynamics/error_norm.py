"""The two error norms of the adaptive integrator, and what they cost in promises.

``every time`` controls every group of quantities on its own and takes the worst: output
weights (norms, where those are frozen), scores where p > 1, and outputs on the training
rows in units of themselves, however small they are: a plateau grows whatever error is
made in it. At p = 1 the scores sit on kinks (sliding), where their error is of first
order in the step. There the worst pair of row and neuron counts, and may err by five
tolerances of ``|x||w|``: without a bound a pair that is off its kink leaves it too late
or too soon, and takes cosines and what is left of a squared loss with it.

``final outputs`` pools the groups and leaves outputs out: what a plateau got wrong has
been forgotten by the end of a run, where outputs are right to about 1e-3.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxbias.losses import Loss

EVERY_TIME, FINAL_OUTPUTS = "every time", "final outputs"
ACCURACIES = (EVERY_TIME, FINAL_OUTPUTS)

# Outputs far below 1 do not move the loss slopes: final ones are known to this size.
_OUTPUT_FLOOR = 1e-2
# A step may spoil the loss by more than the weights: the flow forgets it at once.
_LOSS_SHARE = 4.0
_LOSS_FLOOR = 1e-6
# Chatter on kinks may reach this many tolerances.
_CHATTER, _REST = 25.0, 0.02
# So many tolerances, in units of |x||w|, may the worst pair be off a kink it slides on.
# It is late by that much in leaving it, and so is all that follows.
_SLIDING = 5.0
# Measured (figures/benchmarks/accuracy.md): true errors of saved observables over
# what is added up here are 5 to 7 above p = 1, whatever the tolerance. At p = 1 they
# are 1 at most, and down to a nineteenth where the worst pair decides the steps.
_KINKED_SHARE, _SMOOTH_SHARE = 1.0, 7.0

Part = tuple[Array, Array | None]


class Errors(NamedTuple):
    """The local error of a step, group by group, in units of the tolerance.

    Attributes:
        neurons: Ratios of each neuron's output weights (norm, where they are frozen).
        directions: Ratios of scores, or of weights and hidden biases, in units of
            their neuron's.
        scores: Ratios of scores in units of ``|x_i||w_j|``.
        biases: Ratios of output biases.
        outputs: Outputs on the training rows.
        embedded: The same by the formula of lower order.
        spread: Root mean square output if all neurons were independent of each other,
            below which outputs cancel.
        loss: Relative error of the loss; not in units of the tolerance.
    """

    neurons: Part
    directions: list[Part]
    scores: Part
    biases: list[Part]
    outputs: Array
    embedded: Array
    spread: Array
    loss: Array

    def size(self) -> Array:
        """The size of the outputs."""
        return jnp.maximum(mean_size(self.outputs), self.spread)


def error_ratio(
    errors: Errors,
    relative: Array,
    moved: Array,
    rtol: Array,
    accuracy: str,
    degree: float,
    output_trained: bool,
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Local error over tolerance; a step is accepted up to 1.

    The second value says whether pairs on kinks are what the step is held back by.

    Args:
        errors: The errors.
        relative: Errors of outputs in units of their largest size so far.
        moved: How far outputs moved in the step, in those units.
        rtol: The tolerance.
        accuracy: ``every time`` or ``final outputs``.
        degree: Degree of the activation.
        output_trained: Whether output weights move.
    """
    directions = errors.directions if degree > 1 else []
    if accuracy == FINAL_OUTPUTS:
        change = errors.outputs - errors.embedded
        size = jnp.sqrt(jnp.mean(jnp.square(errors.outputs)))
        predictions = [(change / (rtol * (_OUTPUT_FLOOR + size)), None)]
        predictions = [] if output_trained else predictions
        pooled = [errors.neurons, *predictions, *directions, *errors.biases]
        return root_mean_square(pooled), jnp.asarray(False)
    groups = [[errors.neurons], directions, errors.biases]
    rest = jnp.ones_like(rtol)
    if degree < 2:
        rest = resting(moved)
    chatter = jnp.minimum(jnp.square(rest), _CHATTER)
    groups.append([(relative / (rtol * chatter), None)])
    allowed = _LOSS_SHARE * jnp.minimum(rest, _LOSS_SHARE)
    groups.append([(errors.loss / (rtol * allowed), None)])
    ratio = jnp.max(jnp.stack([root_mean_square(g) for g in groups if g]))
    if degree != 1:
        return ratio, jnp.asarray(False)
    ratios, mask = errors.scores
    assert mask is not None
    worst = jnp.max(jnp.where(mask, jnp.abs(ratios), 0.0)) / (_SLIDING * chatter)
    return jnp.maximum(ratio, worst), worst > ratio


def resting(moved: Array) -> Float[Array, ""]:
    """How many times less than a fiftieth of themselves outputs moved in a step; >= 1.

    Where a flow rests on kinks every explicit step makes outputs chatter by about the
    step. That adds up to nothing, and following it would take as many steps as the
    tolerance asks for: 16,000 instead of 300.
    """
    return jnp.maximum(1.0, _REST / jnp.maximum(moved, 1e-10))


def loss_error(
    loss: Loss, weights: Array, labels: Array, outputs: Array, embedded: Array
) -> Float[Array, ""]:
    r"""$\sum_i\omega_i|\ell'_i\,\delta f_i| / L$, with a floor for L.

    Only squared loss feels it: near its minimum outputs that are right to three digits
    say little of what is left of the loss.
    """
    moved = loss.slope(outputs, labels) * (outputs - embedded)
    moved = moved if moved.ndim == 1 else jnp.sum(moved, axis=1)
    total = jnp.sum(weights * loss.value(outputs, labels))
    floor = _LOSS_FLOOR * jnp.sum(weights)
    return jnp.sum(weights * jnp.abs(moved)) / (total + floor)


def score_errors(error: Array, sizes: Array, norms: Array, rtol: Array) -> Array:
    """Ratios of errors of scores, in units of ``|x_i||w_j|``."""
    return per(error, rtol * sizes[:, None] * norms[None, :])


def output_sizes(output: Array) -> Float[Array, " neuron"]:
    """``|v_j|``, over classes where there are several."""
    return jnp.abs(output) if output.ndim == 1 else jnp.linalg.norm(output, axis=1)


def continued_error(relative: Array, degree: float) -> Array:
    """What a step adds to the relative error of outputs, estimated from the local one.

    The error is that of the formula of order 2, but its sibling of order 3 goes on: for
    p > 1 its own is one power of the step smaller. At p = 1 kinks leave both at the
    same order. Signs stay, so that chatter cancels and what makes a run late adds up.
    """
    if degree == 1:
        return _KINKED_SHARE * relative
    size = mean_size(relative)
    return _SMOOTH_SHARE * relative * jnp.cbrt(size)


def per(change: Array, size: Array) -> Array:
    """A change in units of a size, 0 where that is 0."""
    return jnp.where(size > 0, change / jnp.where(size > 0, size, 1.0), 0.0)


def output_error(output: Array, error: Array, floor: Array, rtol: Array) -> Array:
    """Ratios of the error of each neuron's output column, ``(neuron,)``."""
    new, old = output_sizes(output), output_sizes(output - error)
    scale = jnp.maximum(jnp.maximum(new, old), floor)
    size = output_sizes(error)
    return jnp.where(scale > 0, size / (rtol * jnp.where(scale > 0, scale, 1.0)), 0.0)


def output_spread(responses: Array, output: Array) -> Float[Array, ""]:
    """Root mean square over rows of ``sqrt(sum_j (v_j r_ij)^2)``."""
    shares = responses * output_sizes(output)[None, :]
    return mean_size(shares) * jnp.sqrt(jnp.asarray(output.shape[0], shares.dtype))


def mean_size(values: Array) -> Float[Array, ""]:
    """Root mean square of numbers whose squares may underflow."""
    largest = jnp.max(jnp.abs(values))
    safe = jnp.where(largest > 0, largest, 1.0)
    return largest * jnp.sqrt(jnp.mean(jnp.square(values / safe)))


def bias_error(bias: Array, error: Array, rtol: Array) -> Array:
    """Error ratios of an output bias."""
    return error / (rtol * (jnp.abs(bias) + _OUTPUT_FLOOR))


def root_mean_square(parts: list[Part]) -> Float[Array, ""]:
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
