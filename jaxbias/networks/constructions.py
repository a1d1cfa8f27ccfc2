"""Explicit classifiers: F, F^(p), the Bayes rule and the nearest centre."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxbias._checks import InputError, at_least, is_concrete, unmasked
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.networks.weights import Weights, row_norms


def averaged_classifier(
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
    amplitudes: Float[Array, "2"] | None = None,
) -> tuple[Weights, ReLU]:
    r"""$F(x) = \sigma(\langle x, \mu_+\rangle) - \sigma(\langle x, \mu_-\rangle)$.

    Two balanced ReLU neurons ($|v| = \|w\|$), the positive one first, along the class
    averages of orthogonal centres of equal norm. $F(\mu_k) = s_k$; for unit centres
    $\mu_\pm$ are the plain sums.

    Args:
        centres: orthogonal, of equal norm.
        centre_labels: +1 and -1, both present.
        amplitudes: $|f(\mu_k)|$ of the positive and of the negative class; ones when
            left out.

    Raises:
        InputError: when a class has no centre, the shapes disagree or the centres are
            not orthogonal.

    References:
        min-vidal-2025, section 3.
    """
    check_labelled(centres, centre_labels)
    check_orthogonal(centres)
    positive = centre_labels > 0
    members = jnp.stack([positive, ~positive]).astype(centres.dtype)
    sums = _matmul(members, centres)
    lengths = row_norms(sums)
    # <mu_k, sum> / |sum| is what a unit neuron along the average scores at mu_k.
    at_centre = _matmul(members, row_norms(centres) ** 2) / members.sum(axis=1)
    values = jnp.ones_like(lengths) if amplitudes is None else amplitudes
    root = jnp.sqrt(values * lengths / at_centre)
    signs = jnp.asarray([1, -1], centres.dtype)
    return _explicit(root[:, None] * sums / lengths[:, None], signs * root), ReLU()


def per_centre_classifier(
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
    exponent: float | int,
    amplitudes: Float[Array, " cluster"] | None = None,
) -> tuple[Weights, PReLU]:
    r"""$F^{(p)}(x) = \sum_k s_k\,\sigma(\langle x, \mu_k\rangle)^p$: a neuron a centre.

    Balanced pReLU neurons ($|v_k| = \|w_k\|$), scaled such that $F^{(p)}(\mu_k) = s_k$
    for orthogonal centres of any norm. $F^{(1)}$ is not $F$.

    Args:
        centres: orthogonal.
        centre_labels: +1 and -1, both present.
        exponent: $p \ge 1$.
        amplitudes: $|f(\mu_k)|$, ones when left out.

    Raises:
        InputError: when a class has no centre, the shapes disagree, the centres are not
            orthogonal or p is below 1.

    References:
        min-vidal-2025, section 3.
    """
    check_labelled(centres, centre_labels)
    check_orthogonal(centres)
    activation = PReLU(exponent)
    lengths = row_norms(centres)
    values = jnp.ones_like(lengths) if amplitudes is None else amplitudes
    root = jnp.sqrt(values / lengths**activation.exponent)
    hidden = (root / lengths)[:, None] * centres
    return _explicit(hidden, centre_labels.astype(centres.dtype) * root), activation


def nearest_centre_score(
    inputs: Float[Array, "sample feature"],
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
) -> Float[Array, " sample"]:
    r"""Largest positive minus largest negative $\langle x,\mu_k\rangle-\|\mu_k\|^2/2$.

    For centres of equal norm the second term cancels, and the sign is the class of the
    nearest centre whatever the norms.

    Raises:
        InputError: when a class has no centre or the shapes disagree.

    References:
        min-vidal-2025, section 3.
    """
    fit = _fit(inputs, centres, centre_labels)
    positive = (centre_labels > 0)[None, :]
    return jnp.max(jnp.where(positive, fit, -jnp.inf), axis=1) - jnp.max(
        jnp.where(positive, -jnp.inf, fit), axis=1
    )


def bayes_score(
    inputs: Float[Array, "sample feature"],
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
    deviation: float | int | Real[Array, ""],
) -> Float[Array, " sample"]:
    r"""Log-odds of the class under equally likely Gaussian clusters, times $\tau^2$.

    $\tau^2 (\mathrm{LSE}_{+} - \mathrm{LSE}_{-})$ of
    $(\langle x,\mu_k\rangle - \|\mu_k\|^2/2)/\tau^2$: the sign is the optimal rule, and
    the score tends to :func:`nearest_centre_score` as $\tau \to 0$.

    Args:
        inputs: rows to score.
        centres: cluster centres.
        centre_labels: +1 and -1, both present.
        deviation: $\tau$, the standard deviation of one feature: ``noise`` times
            ``OrthonormalClusters.noise_per_feature``, that is $\alpha/\sqrt D$ in the
            unit scaling.

    Raises:
        InputError: when the deviation is not positive, a class has no centre or the
            shapes disagree.

    References:
        min-vidal-2025, section 3.
    """
    at_least("deviation", deviation, 0.0)
    if is_concrete(deviation) and deviation == 0:
        raise InputError(
            "deviation=0",
            "without noise the log-odds are infinite",
            "nearest_centre_score(inputs, centres, centre_labels)",
        )
    variance = jnp.asarray(deviation).astype(inputs.dtype) ** 2
    fit = _fit(inputs, centres, centre_labels) / variance
    positive = (centre_labels > 0)[None, :]
    for_positive = jax.nn.logsumexp(jnp.where(positive, fit, -jnp.inf), axis=1)
    for_negative = jax.nn.logsumexp(jnp.where(positive, -jnp.inf, fit), axis=1)
    return variance * (for_positive - for_negative)


def _fit(inputs: Array, centres: Array, centre_labels: Array) -> Array:
    check_labelled(centres, centre_labels)
    return _matmul(inputs, centres.T) - (row_norms(centres) ** 2 / 2)[None, :]


def _matmul(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def _explicit(hidden: Array, output: Array) -> Weights:
    return Weights(hidden, output, None, None, jnp.ones(len(output), bool))


def check_labelled(centres: Any, centre_labels: Any) -> None:
    """Refuse centres that are no rows, and classes without a centre."""
    unmasked("centres", centres)
    unmasked("centre_labels", centre_labels)
    if centres.ndim != 2 or centre_labels.shape != centres.shape[:1]:
        raise InputError(
            f"centres of shape {centres.shape}, centre_labels {centre_labels.shape}",
            "every centre is a row and has one label",
            "centre_labels of shape (clusters,)",
        )
    try:
        signs = set(np.sign(np.asarray(centre_labels)).tolist())
    except jax.errors.TracerArrayConversionError:
        return
    if signs != {1.0, -1.0}:
        raise InputError(
            f"centre_labels with signs {sorted(signs)}",
            "each class needs a centre to be recognised by",
            "centre_labels of +1 and -1, both present",
        )


def check_orthogonal(centres: Any) -> None:
    """Refuse centres of cosine above 1e-4, which no rounding of float32 explains."""
    unmasked("centres", centres)
    try:
        rows = np.asarray(centres, "float64")
    except jax.errors.TracerArrayConversionError:
        return
    lengths = np.linalg.norm(rows, axis=1)
    units = rows / np.where(lengths > 0, lengths, 1)[:, None]
    cosines = units @ units.T
    np.fill_diagonal(cosines, 0.0)
    first, second = np.unravel_index(np.argmax(np.abs(cosines)), cosines.shape)
    if abs(cosines[first, second]) > 1e-4:
        raise InputError(
            f"centres {first} and {second} of cosine {cosines[first, second]:.2g}",
            "a neuron would score at the centres of others, so F(mu_k) = s_k fails:"
            " the classifier is defined for orthogonal centres",
            "numpy.linalg.qr(centres.T)[0].T in place of centres",
        )
