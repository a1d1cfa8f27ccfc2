"""The weights of a two-layer network as plain arrays, and its forward pass."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxbias.networks.activations import Activation

_EXACT = jax.lax.Precision.HIGHEST


class Weights(eqx.Module):
    """A two-layer network's arrays.

    Attributes:
        hidden: one row a neuron.
        output: the readout, one number a neuron or one row of classes.
        hidden_bias: per neuron, or None.
        output_bias: a number or one a class, or None.
        mask: False for neurons that only pad the arrays (their rows are 0).
    """

    hidden: Float[Array, "neuron feature"]
    output: Float[Array, " neuron"] | Float[Array, "neuron class"]
    hidden_bias: Float[Array, " neuron"] | None
    output_bias: Float[Array, ""] | Float[Array, " class"] | None
    mask: Bool[Array, " neuron"]

    def scores(
        self, inputs: Float[Array, "sample feature"]
    ) -> Float[Array, "sample neuron"]:
        r"""Pre-activations $\langle x, w_j\rangle + b_j$."""
        scores = jnp.matmul(inputs, self.hidden.T, precision=_EXACT)
        return scores if self.hidden_bias is None else scores + self.hidden_bias[None]

    def norms(self) -> Float[Array, " neuron"]:
        r"""$\|w_j\|$, or $\|(w_j, b_j)\|$ where there is a hidden bias."""
        if self.hidden_bias is None:
            return row_norms(self.hidden)
        return row_norms(
            jnp.concatenate([self.hidden, self.hidden_bias[:, None]], axis=1)
        )


def row_norms(rows: Float[Array, "row feature"]) -> Float[Array, " row"]:
    """Euclidean norms that neither underflow nor give NaN derivatives at 0.

    Each row is divided by its largest entry first; the derivative at a row of zeros
    is 0.
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(rows), axis=1))
    zero = largest == 0
    unit = jnp.where(zero, jnp.ones_like(largest), largest)
    scaled = jnp.where(zero[:, None], jnp.ones_like(rows), rows / unit[:, None])
    norms = unit * jnp.sqrt(jnp.sum(scaled * scaled, axis=1))
    return jnp.where(zero, jnp.zeros_like(norms), norms)


def features(
    weights: Weights,
    activation: Activation,
    inputs: Float[Array, "sample feature"],
    *,
    normalise_inputs: bool = False,
) -> Float[Array, "sample neuron"]:
    r"""Outputs of the hidden units.

    With ``normalise_inputs`` each is divided by $\|x\|^{p-1}$ (by $\|(x,1)\|^{p-1}$
    where there is a hidden bias), which makes the network of degree 1 in the input.
    """
    scores, norms = weights.scores(inputs), weights.norms()
    if not normalise_inputs or activation.degree == 1:
        return activation.response(scores, norms)
    if weights.hidden_bias is not None:
        inputs = jnp.pad(inputs, ((0, 0), (0, 1)), constant_values=1)
    lengths = row_norms(inputs)
    divisor = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
    return lengths[:, None] * activation.response(scores / divisor[:, None], norms)


def predict(
    weights: Weights,
    activation: Activation,
    inputs: Float[Array, "sample feature"],
    *,
    normalise_inputs: bool = False,
) -> Float[Array, " sample"] | Float[Array, "sample class"]:
    r"""Network outputs $\sum_j v_j \phi_j(x) + b$; see :func:`features`."""
    hidden = features(weights, activation, inputs, normalise_inputs=normalise_inputs)
    outputs = jnp.matmul(hidden, weights.output, precision=_EXACT)
    if weights.output_bias is None:
        return outputs
    return outputs + (
        weights.output_bias if outputs.ndim == 1 else weights.output_bias[None]
    )
