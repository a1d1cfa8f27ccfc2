"""Weights from arrays of whatever shapes and types a file holds."""

import jax.numpy as jnp
import numpy as np

from jaxbias._checks import InputError
from jaxbias._precision import float_dtype
from jaxbias.networks.weights import Weights

AS_ARRAYS = "numpy.savez('network.npz', hidden=..., output=...)"


def checked_weights(
    hidden: np.ndarray,
    output: np.ndarray,
    hidden_bias: np.ndarray | None,
    output_bias: np.ndarray | None,
    source: str,
    mask: np.ndarray | None = None,
) -> Weights:
    """One checked network; a single column of outputs is a score."""
    neurons = len(hidden) if hidden.ndim == 2 else 0
    if output.ndim == 2 and output.shape[1] == 1:
        output = output[:, 0]
    if output_bias is not None and output.ndim == 1 and output_bias.shape == (1,):
        output_bias = output_bias.reshape(())
    mask = np.ones(neurons, bool) if mask is None else mask
    parts = {
        "hidden": (hidden, hidden.shape if hidden.ndim == 2 else "(neurons, features)"),
        "output": (output, (neurons, *output.shape[1:][:1])),
        "hidden_bias": (hidden_bias, (neurons,)),
        "output_bias": (output_bias, output.shape[1:]),
        "mask": (mask, (neurons,)),
    }
    for name, (array, shape) in parts.items():
        if array is not None and (array.shape != shape or 0 in array.shape):
            raise InputError(
                f"{source} with {name} of shape {array.shape}",
                f"{neurons} neurons and these outputs need {shape}",
                AS_ARRAYS,
            )
    if mask.dtype != bool:
        raise InputError(
            f"{source} with a mask of type {mask.dtype.name}",
            "it says of every neuron whether it is one",
            "mask=numpy.ones(neurons, bool), or none",
        )
    floats = {
        name: as_floats(array, f"{source}, {name}")
        for name, (array, _) in parts.items()
        if array is not None and name != "mask"
    }
    if floats["hidden"][~mask].any() or floats["output"][~mask].any():
        raise InputError(
            f"{source} with a mask over neurons that are not 0",
            "masked rows only pad the arrays",
            "those rows alone, without a mask",
        )
    dtype = float_dtype(np.result_type(*floats.values()))
    ready = {name: jnp.asarray(array.astype(dtype)) for name, array in floats.items()}
    return Weights(
        hidden=ready["hidden"],
        output=ready["output"],
        hidden_bias=ready.get("hidden_bias"),
        output_bias=ready.get("output_bias"),
        mask=jnp.asarray(mask),
    )


def as_floats(array: np.ndarray, name: str) -> np.ndarray:
    """Finite weights in float32 if their type is one that it holds, else in float64.

    Raises:
        InputError: for weights that are not finite or no real numbers.
    """
    if array.dtype.name in ("float16", "bfloat16", "float32"):
        floats = array.astype(np.float32)
    elif array.dtype.kind in "iu" or array.dtype.name == "float64":
        floats = array.astype(np.float64)
    else:
        raise InputError(
            f"{name} of type {array.dtype.name}",
            "weights are real numbers",
            "float32 or float64",
        )
    bad = int(np.count_nonzero(~np.isfinite(floats)))
    if bad:
        raise InputError(
            f"{name} with {bad} weights that are NaN or infinite",
            "its outputs are undefined",
            "a network whose training did not diverge",
        )
    return floats
