"""The floating-point type of a run."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxbias._checks import InputError, one_of


def float_dtype(dtype: Any = None) -> np.dtype:
    """The requested floating-point type, or JAX's current default.

    Raises:
        InputError: for anything but float32 and float64, and for float64 while
            JAX would silently store float32.
    """
    default = np.dtype(jnp.result_type(float))
    if dtype is None:
        return default
    one_of("dtype", np.dtype(dtype).name, ("float32", "float64"))
    if np.dtype(dtype) == np.float64 and default != np.float64:
        raise InputError(
            "dtype='float64'",
            "64-bit numbers are switched off in JAX, which would store float32",
            "with jax.enable_x64(True): ...",
        )
    return np.dtype(dtype)
