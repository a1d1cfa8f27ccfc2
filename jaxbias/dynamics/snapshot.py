"""What an observable may see of a network at one time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxbias.data.dataset import Dataset
from jaxbias.losses import Loss
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights


class Snapshot(eqx.Module):
    r"""Scores, norms and output weights of a network on named rows.

    The integrator's reduced state and an explicit network both give one, so that
    an observable is written once. The hidden weights themselves are put together
    only when asked for:

    $$W = c\,W_0 + A^T X$$ with ``hidden_coefficient`` c, ``initial_hidden`` W0 and
    ``dual`` A; rows of W are neurons.

    Attributes:
        inputs: Training rows.
        labels: +-1, or class numbers.
        sample_weights: The clock's weight of each row in the loss.
        clusters: Cluster number of each row, if the data have clusters.
        centres: Cluster centres, if the data have them.
        centre_labels: +-1 of each centre.
        scores: ``<x_i, w_j>``, plus the hidden bias if there is one.
        centre_scores: The same at the centres.
        norms: ``|w_j|``, or ``|(w_j, b_j)|`` with a hidden bias; of padded neurons 0.
            The reduced form reads them off a conservation law, as its flow does.
        recovered_norms: The same of the weights that scores and dual coefficients mean,
            which know nothing of the law: what a cosine has to be divided by.
        output: Output weights, one per neuron or one row per neuron.
        output_bias: Output bias, if there is one.
        mask: Which neurons are real; the others are padding.
        balance: ``|w_j|^2 - k |v_j|^2`` at time 0, which the flow conserves: k is 1 for
            normalised units and the degree for powers.
        initial_hidden: W0.
        hidden_coefficient: c, one per neuron, where the form is reduced.
        dual: Dual coefficients A, where the form is reduced.
        hidden: W, where the form is raw or a network was given.
    """

    inputs: Float[Array, "sample feature"]
    labels: Float[Array, " sample"] | Int[Array, " sample"]
    sample_weights: Float[Array, " sample"]
    clusters: Int[Array, " sample"] | None
    centres: Float[Array, "cluster feature"] | None
    centre_labels: Float[Array, " cluster"] | None
    scores: Float[Array, "sample neuron"]
    centre_scores: Float[Array, "cluster neuron"] | None
    norms: Float[Array, " neuron"]
    recovered_norms: Float[Array, " neuron"]
    output: Float[Array, " neuron"] | Float[Array, "neuron class"]
    output_bias: Float[Array, ""] | Float[Array, " class"] | None
    mask: Bool[Array, " neuron"]
    balance: Float[Array, " neuron"]
    initial_hidden: Float[Array, "neuron feature"] | None
    hidden_coefficient: Float[Array, " neuron"] | None
    dual: Float[Array, "sample neuron"] | None
    hidden: Float[Array, "neuron feature"] | None
    activation: Activation = eqx.field(static=True)
    loss: Loss = eqx.field(static=True)

    def weights(self) -> Float[Array, "neuron feature"]:
        """Hidden weights W, recovered from the dual coefficients where needed."""
        if self.hidden is not None:
            return self.hidden
        assert self.initial_hidden is not None
        assert self.hidden_coefficient is not None
        assert self.dual is not None
        kept = self.hidden_coefficient[:, None] * self.initial_hidden
        return kept + self.dual.T @ self.inputs

    def responses(self) -> Float[Array, "sample neuron"]:
        """Hidden features of the training rows, before the output weights."""
        return self.activation.response(self.scores, self.norms)

    def outputs(self) -> Float[Array, " sample"] | Float[Array, "sample class"]:
        """Network outputs on the training rows."""
        outputs = self.responses() @ self.output
        if self.output_bias is None:
            return outputs
        if outputs.ndim == 1:
            return outputs + self.output_bias
        return outputs + self.output_bias[None, :]

    def output_norms(self) -> Float[Array, " neuron"]:
        """``|v_j|``: absolute value, or Euclidean norm over classes."""
        if self.output.ndim == 1:
            return jnp.abs(self.output)
        return jnp.linalg.norm(self.output, axis=1)

    def balance_error(self) -> Float[Array, ""]:
        r"""$\max_j|\,\|W_j\|^2/(k v_j^2 + c_j) - 1\,|$, c the balance at time 0.

        The norms are those of the recovered weights, since the reduced form imposes
        the law on its own norms, where the meter would read 0 whatever the integrator
        did. Neurons whose conserved norm is 0 do not count.
        """
        sizes = self.output_norms() * balance_factor(self.activation) ** 0.5
        # c may be negative, so the sum is factored before anything is squared.
        largest = jnp.maximum(sizes, jnp.sqrt(jnp.abs(self.balance)))
        live = self.mask & (largest > 0)
        unit = jnp.where(live, largest, jnp.ones_like(largest))
        conserved = (sizes / unit) ** 2 + (self.balance / unit) / unit
        live = live & (conserved > 0)
        conserved = jnp.where(live, conserved, jnp.ones_like(conserved))
        error = jnp.abs((self.recovered_norms / unit) ** 2 / conserved - 1.0)
        return jnp.max(jnp.where(live, error, jnp.zeros_like(error)))

    def contributions(self) -> Float[Array, " neuron"]:
        """Amplitudes ``|v_j| |w_j|``; of padded neurons 0."""
        return jnp.where(self.mask, self.output_norms() * self.norms, 0.0)


def balance_factor(activation: Activation) -> float:
    """K in the law that ``|w|^2 - k |v|^2`` stays what it was."""
    return 1.0 if activation.normalised else float(activation.degree)


def snapshot_of(
    weights: Weights,
    activation: Activation,
    dataset: Dataset,
    loss: Loss,
    sample_weights: Float[Array, " sample"] | None = None,
    initial: Weights | None = None,
) -> Snapshot:
    """The snapshot of an explicit network on a data set.

    Args:
        weights: The network.
        activation: Its activation.
        dataset: The rows (and centres) it is looked at on.
        loss: The loss its observables use.
        sample_weights: Weight of each row in the loss; ``1/samples`` if not given.
        initial: The weights at time 0, for the balance constants; if not given,
            the network is taken to be balanced.
    """
    hidden, output = weights.hidden, weights.output
    count = dataset.inputs.shape[0]
    if sample_weights is None:
        sample_weights = jnp.full((count,), 1.0 / count, hidden.dtype)

    norms = jnp.where(weights.mask, weights.norms(), 0.0)
    start = initial
    balance = (
        jnp.zeros_like(norms) if start is None else balance_constants(start, activation)
    )
    centres = dataset.centres
    return Snapshot(
        inputs=dataset.inputs,
        labels=dataset.labels,
        sample_weights=sample_weights,
        clusters=dataset.clusters,
        centres=centres,
        centre_labels=dataset.centre_labels,
        scores=weights.scores(dataset.inputs),
        centre_scores=None if centres is None else weights.scores(centres),
        norms=norms,
        recovered_norms=norms,
        output=output,
        output_bias=weights.output_bias,
        mask=weights.mask,
        balance=balance,
        initial_hidden=None if start is None else start.hidden,
        hidden_coefficient=None,
        dual=None,
        hidden=hidden,
        activation=activation,
        loss=loss,
    )


def balance_constants(
    weights: Weights, activation: Activation
) -> Float[Array, " neuron"]:
    """``|w_j|^2 - k |v_j|^2``, computed as a product so that equal norms give 0."""
    norms = weights.norms()
    output = weights.output
    sizes = jnp.abs(output) if output.ndim == 1 else jnp.linalg.norm(output, axis=1)
    sizes = sizes * balance_factor(activation) ** 0.5
    return jax.lax.stop_gradient((norms - sizes) * (norms + sizes))
