"""Networks that subtract a centre from their inputs, as networks of the inputs."""

import jax.numpy as jnp
import numpy as np

from jaxbias._checks import InputError
from jaxbias._precision import float_dtype
from jaxbias.networks._checked_weights import as_floats
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights


def centred(
    weights: Weights,
    activation: Activation,
    centre: np.ndarray,
    normalise_inputs: bool,
    source: str,
) -> Weights:
    r"""The weights of $f(x - c)$: the biases move by $-\langle w_j, c\rangle$.

    An activation that divides by $\|(w_j, b_j)\|^{p-1}$ then divides by another norm,
    and the readout makes up for it. The moved biases are computed in float64, and the
    network is float64 where JAX has it, lest rounding them move the function.

    Raises:
        InputError: for a centre that is no number or one for each input, that is not
            finite, and for inputs that are normalised after it is subtracted.
    """
    hidden = np.asarray(weights.hidden, np.float64)
    neurons, features = hidden.shape
    if centre.size not in (1, features):
        raise InputError(
            f"{source} with an array of shape {centre.shape} to subtract",
            f"the network reads {features} features",
            f"one number, or an array of shape ({features},)",
        )
    if normalise_inputs and activation.degree != 1:
        raise InputError(
            f"{source} with normalise_inputs and an array to subtract",
            "what is divided by the norm of a centred input is no two-layer network of "
            "the input",
            "centred inputs, without subtract=",
        )
    middle = as_floats(centre, f"{source}, subtract").astype(np.float64).reshape(-1)
    old = weights.hidden_bias
    start = np.zeros(neurons) if old is None else np.asarray(old, np.float64)
    moved = start - hidden @ np.broadcast_to(middle, (features,))
    output = np.asarray(weights.output, np.float64)
    if activation.normalised and activation.degree != 1:
        before = _norms(hidden, start)
        change = _norms(hidden, moved) / np.where(before > 0, before, 1.0)
        change = np.where(before > 0, change, 1.0) ** (activation.degree - 1)
        output = output * (change if output.ndim == 1 else change[:, None])
    dtype = float_dtype()
    shift = weights.output_bias
    return Weights(
        hidden=jnp.asarray(hidden, dtype),
        output=jnp.asarray(output, dtype),
        hidden_bias=jnp.asarray(moved, dtype),
        output_bias=None if shift is None else jnp.asarray(shift, dtype),
        mask=weights.mask,
    )


def _norms(hidden: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.sqrt((hidden**2).sum(1) + bias**2)
