"""Explicit networks of one neuron a cluster, read out by group: decoupled and mixed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias._checks import InputError, at_least
from jaxbias.networks.activations import Power, ReLU
from jaxbias.networks.constructions import check_labelled, check_orthogonal
from jaxbias.networks.weights import Weights, row_norms


def decoupled_network(
    centres: Float[Array, "cluster feature"],
    *,
    exponent: float | int = 1.0,
    threshold: float | int = 0.0,
    logit: float | int = 1.0,
) -> tuple[Weights, ReLU | Power]:
    r"""One output a cluster, that of a single neuron along its centre.

    $$f_j(x) = s\,\sigma(\langle x, \mu_j\rangle/\|\mu_j\|^2 - \beta)^p$$

    With a read-out over groups of clusters this is the decoupled binary classifier:
    ``SummedLogits`` gives $\sum_j s_j f_j$, ``GroupArgmax`` and ``ProbabilitySum`` the
    other two in use. Only the last depends on the scale of the logits.

    Args:
        centres: orthogonal.
        exponent: $p \ge 1$.
        threshold: $\beta$, as a share of the score at the own centre.
        logit: $s$, the own output at each centre for $\beta = 0$.

    Raises:
        InputError: for centres that are not orthogonal, an exponent below 1, a
            threshold outside [0, 1) and a logit that is not positive.

    References:
        li-2025-feature-averaging, section 1.4 and figure 1; thresholds, powers and the
        radii are derived here.
    """
    check_orthogonal(centres)
    at_least("threshold", threshold, 0.0)
    if not threshold < 1:
        raise InputError(
            f"threshold={threshold!r}",
            "no neuron would be on at its own centre",
            "threshold=0.25",
        )
    if not logit > 0:
        raise InputError(f"logit={logit!r}", "the own output is positive", "logit=1.0")
    activation = ReLU() if exponent == 1 else Power(exponent)
    bias = None
    if threshold:
        bias = jnp.full(len(centres), -threshold, centres.dtype)
    return _one_a_cluster(centres, centres, logit, bias), activation


def mixture_network(
    centres: Float[Array, "cluster feature"],
    centre_labels: Float[Array, " cluster"],
    mixing: float | int,
) -> tuple[Weights, ReLU]:
    r"""$f_j(x) = \sigma(\langle x, w_j\rangle)$, $w_j \propto \mu_j + c\sum_l \mu_l$.

    The sum is over the centres of the same class. The network tells all clusters apart
    for every $c \ge 0$, though its robustness falls from that of the decoupled network
    to that of the averaged one: finer labels alone are not enough. Weights are divided
    by $\|\mu_j\|^2$, so that $f_j(\mu_j) = 1 + c$.

    Args:
        centres: orthogonal, of equal norm.
        centre_labels: +1 and -1, both present.
        mixing: $c$.

    Raises:
        InputError: when a class has no centre, the shapes disagree, the centres are
            not orthogonal or c is negative.

    References:
        li-2025-feature-averaging, a reconstruction of proposition 4.8.
    """
    check_labelled(centres, centre_labels)
    check_orthogonal(centres)
    at_least("mixing", mixing, 0.0)
    same = centre_labels[:, None] * centre_labels[None, :] > 0
    sums = jnp.matmul(
        same.astype(centres.dtype), centres, precision=jax.lax.Precision.HIGHEST
    )
    return _one_a_cluster(centres, centres + mixing * sums, 1.0, None), ReLU()


def _one_a_cluster(
    centres: Array, rows: Array, logit: float | int, bias: Array | None
) -> Weights:
    hidden = rows / row_norms(centres)[:, None] ** 2
    output = logit * jnp.eye(len(centres), dtype=centres.dtype)
    return Weights(hidden, output, bias, None, jnp.ones(len(centres), bool))
