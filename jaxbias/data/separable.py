"""Orthogonally separable data with one cosine between all ``y_i x_i``."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxbias._checks import InputError, positive_int
from jaxbias._precision import float_dtype
from jaxbias.data.dataset import Dataset


def equicorrelated(
    samples: int, positive: int, correlation: float, dim: int, *, dtype: Any = None
) -> Dataset:
    r"""Unit inputs with $\langle y_i x_i, y_j x_j\rangle = \mu$ for all $i \ne j$.

    So samples of one class have cosine $\mu$, samples of different classes $-\mu$. The
    inputs $y_i x_i$ are the rows of the Cholesky factor of
    $(1 - \mu) I + \mu 1 1^\top$, in the first ``samples`` coordinates.

    Args:
        samples: n.
        positive: the first ``positive`` samples are labelled +1, the rest -1.
        correlation: $\mu$, above 0 and below 1.
        dim: input dimension, at least ``samples``.
        dtype: float32 or float64; JAX's current default when left out.

    Returns:
        The samples; cluster 0 is the positive class, cluster 1 the negative one.

    Raises:
        InputError: for a correlation outside (0, 1), fewer dimensions than samples, a
            class without a sample, counts below 1.

    References:
        min-mallada-vidal-2024, orthogonally separable data.

    Example:
        >>> equicorrelated(6, 3, 0.5, dim=8).samples
        6
    """
    positive_int("samples", samples)
    positive_int("positive", positive)
    positive_int("dim", dim)
    if not 0 < correlation < 1:
        raise InputError(
            f"correlation={correlation}",
            "orthogonally separable data have a positive cosine, and distinct samples"
            " one below 1",
            "correlation=0.5",
        )
    if not positive < samples:
        raise InputError(
            f"positive={positive} with samples={samples}",
            "both classes need at least one sample",
            f"positive={max(1, samples // 2)}" + (", samples=2" * (samples == 1)),
        )
    if dim < samples:
        raise InputError(
            f"dim={dim} with samples={samples}",
            "inputs at one cosine below 1 are linearly independent",
            f"dim={samples}",
        )
    dtype = float_dtype(dtype)
    labels = np.where(np.arange(samples) < positive, 1.0, -1.0)
    gram = np.full((samples, samples), float(correlation))
    np.fill_diagonal(gram, 1.0)
    inputs = np.zeros((samples, dim))
    inputs[:, :samples] = labels[:, None] * np.linalg.cholesky(gram)
    return Dataset(
        inputs=jnp.asarray(inputs, dtype),
        labels=jnp.asarray(labels, dtype),
        clusters=jnp.asarray(labels < 0, jnp.int32),
    )
