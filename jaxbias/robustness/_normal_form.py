r"""Two-layer networks as $f(x) = \sum_j a_j\,\psi(\langle x, u_j\rangle + b_j) + c$."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights


@dataclass(frozen=True)
class NormalForm:
    r"""A network with neurons of unit weight, in float64.

    Homogeneity of degree p moves the norms into the amplitudes:
    $a_j = v_j\|w_j\|$ where the activation is normalised, $v_j\|w_j\|^p$ where not.

    Attributes:
        rows: unit weights $u_j$ (with a hidden bias, of the pair $(u_j, b_j)$).
        offsets: $b_j$.
        amplitudes: $a_j$, or one row of classes a neuron.
        constant: $c$.
        activation: $\psi$.
        scaled_constant: the constant is to be multiplied by $\|x\|^{p-1}$, because the
            network divides its hidden units by it.
        augmented: that norm is of $(x, 1)$.
    """

    rows: Float[np.ndarray, "neuron feature"]
    offsets: Float[np.ndarray, " neuron"]
    amplitudes: Float[np.ndarray, " neuron"] | Float[np.ndarray, "neuron class"]
    constant: Float[np.ndarray, ""] | Float[np.ndarray, " class"]
    activation: Activation
    scaled_constant: bool
    augmented: bool

    @property
    def classes(self) -> int | None:
        """Number of outputs, or None for one score."""
        return None if self.amplitudes.ndim == 1 else self.amplitudes.shape[1]

    def scores(
        self, inputs: Float[np.ndarray, "sample feature"]
    ) -> Float[np.ndarray, "sample neuron"]:
        """Pre-activations of the unit neurons."""
        return inputs @ self.rows.T + self.offsets

    def constants(
        self, inputs: Float[np.ndarray, "sample feature"], constant: float | int
    ) -> Float[np.ndarray, " sample"]:
        """The constant at each input, up to the positive factor of the hidden units."""
        if not self.scaled_constant:
            return np.full(len(inputs), constant)
        squares = (inputs**2).sum(1) + (1.0 if self.augmented else 0.0)
        return constant * squares ** ((self.activation.degree - 1) / 2)


def normal_form(
    weights: Weights,
    activation: Activation,
    *,
    normalise_inputs: bool = False,
    compact: bool = True,
) -> NormalForm:
    """The normal form of a network, its numbers taken as exact.

    Args:
        weights: the network; masked neurons are inert.
        activation: its activation.
        normalise_inputs: its hidden units are divided by ``|x|^(p-1)``.
        compact: drop the neurons that cannot contribute; keep them, with amplitude 0,
            where arrays of several networks must have one shape.
    """
    hidden = np.asarray(weights.hidden, np.float64)
    output = np.asarray(weights.output, np.float64)
    biased = weights.hidden_bias is not None
    bias = np.asarray(weights.hidden_bias, np.float64) if biased else 0 * hidden[:, 0]
    largest = np.maximum(np.abs(hidden).max(1, initial=0), np.abs(bias))
    unit = np.where(largest > 0, largest, 1.0)
    scaled = hidden / unit[:, None]
    squares = np.einsum("ij,ij->i", scaled, scaled) + (bias / unit) ** 2
    norms = unit * np.sqrt(squares)
    alive = np.asarray(weights.mask, bool) & (norms > 0)
    safe = np.where(alive, norms, 1.0)
    power = 1.0 if activation.normalised else activation.degree
    factor = np.where(alive, safe**power, 0.0)
    amplitudes = output * (factor if output.ndim == 1 else factor[:, None])
    rows = np.where(alive[:, None], hidden / safe[:, None], 0.0)
    offsets = np.where(alive, bias / safe, 0.0)
    if compact:
        size = np.abs(amplitudes).reshape(len(rows), -1).max(1, initial=0.0)
        keep = size > 0
        keep[:1] |= not keep.any()
        rows, offsets, amplitudes = rows[keep], offsets[keep], amplitudes[keep]
    classes = () if output.ndim == 1 else output.shape[1:]
    constant = np.zeros(classes)
    if weights.output_bias is not None:
        constant = np.asarray(weights.output_bias, np.float64)
    return NormalForm(
        rows=rows,
        offsets=offsets,
        amplitudes=amplitudes,
        constant=constant,
        activation=activation,
        scaled_constant=normalise_inputs and activation.degree != 1,
        augmented=biased,
    )
