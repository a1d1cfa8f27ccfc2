r"""Do neurons average the centres of a class or single one out?

In $W = W_0 + A^T X$ a row is its centre plus noise, $x_i = \mu_{k(i)} + \xi_i$, so
$$w_j = w_j(0) + \sum_k \lambda_{kj}\mu_k/\|\mu_k\|^2
+ \sum_i \sigma_{ij}\xi_i/\|\xi_i\|^2$$
exactly, with $\lambda_{kj} = \|\mu_k\|^2\sum_{i\in k} A_{ij}$ and
$\sigma_{ij} = \|\xi_i\|^2 A_{ij}$. The plain functions take any coefficients
(cluster, neuron) and the mask of :func:`own_clusters`.

References:
    li-2025-feature-averaging; the constants and scores are derived here.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxbias._axes import CLUSTER, NEURON, SAMPLE
from jaxbias._checks import InputError
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.weights import row_norms
from jaxbias.observables._registry import register, unit_scale
from jaxbias.observables.alignment import centre_products, labelled_centres


@register(CLUSTER, NEURON, description="coefficient of each centre in each neuron")
def centre_coefficients(snapshot: Snapshot) -> Float[Array, "cluster neuron"]:
    r"""$\lambda_{kj} = \|\mu_k\|^2\sum_{i\in k} A_{ij}$.

    Raises:
        InputError: for data without centres, and without dual coefficients.
    """
    centres, _ = labelled_centres(snapshot)
    dual, clusters = _dual(snapshot)
    member = jax.nn.one_hot(clusters, len(centres), axis=0, dtype=dual.dtype)
    sums = jnp.matmul(member, dual, precision="highest")
    return _squares(centres)[:, None] * sums


@register(CLUSTER, NEURON, description="gain of each neuron's product with each centre")
def projected_coefficients(snapshot: Snapshot) -> Float[Array, "cluster neuron"]:
    r"""$\langle w_j - w_j(0), \mu_k\rangle$, from the weights alone.

    $\lambda_{kj}$ up to the products of the centre with noise and other centres.

    Raises:
        InputError: for data without centres, and without initial weights.
    """
    centres, _ = labelled_centres(snapshot)
    if snapshot.initial_hidden is None:
        raise InputError(
            "a network without initial weights",
            "what it has learned is the difference from them",
            "snapshot_of(..., initial=weights)",
        )
    start = jnp.matmul(centres, snapshot.initial_hidden.T, precision="highest")
    return centre_products(snapshot) - start


@register(SAMPLE, NEURON, description="coefficient of each row's noise in each neuron")
def noise_coefficients(snapshot: Snapshot) -> Float[Array, "sample neuron"]:
    r"""$\sigma_{ij} = \|\xi_i\|^2 A_{ij}$ with $\xi_i = x_i - \mu_{k(i)}$.

    Raises:
        InputError: for data without centres, and without dual coefficients.
    """
    centres, _ = labelled_centres(snapshot)
    dual, clusters = _dual(snapshot)
    return _squares(snapshot.inputs - centres[clusters])[:, None] * dual


@register(
    NEURON,
    description="how equally a neuron answers its centres",
    unit="[0, 1]",
    scale=unit_scale,
)
def averaging_scores(snapshot: Snapshot) -> Float[Array, " neuron"]:
    r""":func:`averaging` of the products $\langle w_j, \mu_k\rangle$.

    Raises:
        InputError: for data without centres, and as :func:`own_clusters`.
    """
    _, labels = labelled_centres(snapshot)
    return averaging(centre_products(snapshot), own_clusters(snapshot.output, labels))


@register(
    NEURON,
    description="how much a neuron singles one centre out",
    unit="[0, 1]",
    scale=unit_scale,
)
def decoupling_scores(snapshot: Snapshot) -> Float[Array, " neuron"]:
    r""":func:`decoupling` of the products $\langle w_j, \mu_k\rangle$.

    Raises:
        InputError: for data without centres.
    """
    labelled_centres(snapshot)
    return decoupling(centre_products(snapshot))


@register(
    description="excess of the squared norm over that of the largest margin",
    scale=unit_scale,
)
def margin_gap(snapshot: Snapshot) -> Float[Array, ""]:
    r"""$\frac{\sum_j\|w_j\|^2}{\gamma^2 N} - 1$, $\gamma$ the least margin of a centre.

    $N = \sum_k (V_{s_k}\|\mu_k\|^2)^{-1}$, with $V_s$ the sum of $v_j^2$ over the
    neurons of sign s, is the least squared norm of ReLU neurons with a frozen readout
    and margin 1 at orthogonal centres: $m k/d$ for $v_j = \pm 1/m$ and
    $\|\mu_k\|^2 = d$. It is attained by averaging alone, and one neuron a centre costs
    m times more. Biases do not take part; infinite where a centre is misclassified.

    Raises:
        InputError: for data without centres, a network with several outputs, and an
            activation of a degree other than 1.

    References:
        derived here, from the inequality of Cauchy and Schwarz in each cluster.
    """
    centres, labels = labelled_centres(snapshot)
    output, activation = snapshot.output, snapshot.activation
    if output.ndim == 2:
        raise InputError(
            f"a network with {output.shape[1]} outputs",
            "the least norm is known for one output",
            "observe=['minimum_margin']",
        )
    if activation.degree != 1:
        raise InputError(
            f"margin_gap of {activation!r}",
            "the least norm is known for ReLU neurons",
            "observe=['minimum_margin']",
        )
    hidden = activation.value(centre_products(snapshot))
    margin = jnp.min(labels * jnp.matmul(hidden, output, precision="highest"))
    same = own_clusters(output, labels).astype(output.dtype)
    votes = jnp.matmul(same, jnp.square(output), precision="highest")
    room = votes * _squares(centres)
    positive = (margin > 0) & jnp.all(room > 0)
    safe = lambda number: jnp.where(positive, number, jnp.ones_like(number))
    least = jnp.square(safe(margin)) * jnp.sum(1 / safe(room))
    norms = jnp.where(snapshot.mask, row_norms(snapshot.weights()), 0.0)
    gap = jnp.sum(jnp.square(norms)) / least - 1
    return jnp.where(positive, gap, jnp.inf)


def own_clusters(
    output: Float[Array, " neuron"] | Float[Array, "neuron class"],
    centre_labels: Float[Array, " cluster"],
) -> Bool[Array, "cluster neuron"]:
    """Which clusters a neuron speaks for; none where its output weights are 0.

    With one output those whose label has the sign of the output weight, with one
    output a cluster that of its largest output weight.

    Raises:
        InputError: for several outputs that are not one a cluster.
    """
    if output.ndim == 1:
        return output[None, :] * centre_labels[:, None] > 0
    if output.shape[1] != len(centre_labels):
        raise InputError(
            f"{output.shape[1]} outputs with {len(centre_labels)} clusters",
            "which clusters a class holds is not known",
            f"classes={len(centre_labels)}",
        )
    votes = jnp.argmax(output, axis=1)
    speaks = jnp.any(output != 0, axis=1)
    return (jnp.arange(output.shape[1])[:, None] == votes[None, :]) & speaks[None, :]


def own_ratios(
    coefficients: Float[Array, "cluster neuron"], own: Bool[Array, "cluster neuron"]
) -> Float[Array, " neuron"]:
    """Largest over smallest own coefficient of each neuron; 1 is perfect averaging.

    Infinite where one is not positive, 0 for neurons that own no cluster.
    """
    largest = jnp.max(jnp.where(own, coefficients, -jnp.inf), axis=0)
    smallest = jnp.min(jnp.where(own, coefficients, jnp.inf), axis=0)
    return jnp.where(jnp.any(own, axis=0), _ratio(largest, smallest), 0.0)


def own_ratio(
    coefficients: Float[Array, "cluster neuron"], own: Bool[Array, "cluster neuron"]
) -> Float[Array, ""]:
    """Largest over smallest own coefficient of all neurons, as :func:`own_ratios`."""
    return own_ratios(coefficients.reshape(-1, 1), own.reshape(-1, 1))[0]


def own_mean(
    coefficients: Float[Array, "cluster neuron"], own: Bool[Array, "cluster neuron"]
) -> Float[Array, " neuron"]:
    """Mean own coefficient of each neuron; 0 where there is none."""
    count = _count(own, coefficients)
    return jnp.sum(jnp.where(own, coefficients, 0.0), axis=0) / count


def other_constant(
    coefficients: Float[Array, "cluster neuron"],
    own: Bool[Array, "cluster neuron"],
    dim: int,
) -> Float[Array, " neuron"]:
    r"""C of $\lambda_\text{other} = -C\,\lambda_\text{own}\sqrt{k_s/d}$, of the means.

    $k_s$ counts the clusters that the neuron owns; 0 where it owns none or all.
    """
    size = jnp.sum(own, axis=0).astype(coefficients.dtype)
    mean = own_mean(coefficients, own) * jnp.sqrt(size / dim)
    unit = jnp.where(mean == 0, jnp.ones_like(mean), mean)
    speaks = (size > 0)[None, :]
    return jnp.where(mean == 0, 0.0, -own_mean(coefficients, ~own & speaks) / unit)


def averaging(
    coefficients: Float[Array, "cluster neuron"], own: Bool[Array, "cluster neuron"]
) -> Float[Array, " neuron"]:
    r"""$\sum_{k\in J}\lambda_k^+/(\sqrt{|J|}\,\|\lambda^+\|)$, J the own clusters.

    The cosine of the positive part to the indicator of J: 1 iff the own coefficients
    are equal and the others not positive, $1/\sqrt{|J|}$ for a single own centre.
    """
    shares = _shares(coefficients)
    return own_mean(shares, own) * jnp.sqrt(_count(own, shares))


def decoupling(
    coefficients: Float[Array, "cluster neuron"],
) -> Float[Array, " neuron"]:
    r"""$\max_k\lambda_k^+/\|\lambda^+\|$: 1 iff one coefficient alone is positive.

    $1/\sqrt{|J|}$ for a neuron that averages the clusters of J.
    """
    return jnp.max(_shares(coefficients), axis=0)


def group_cosines(
    hidden: Float[Array, "neuron feature"],
    groups: Bool[Array, "group neuron"],
    centres: Float[Array, "cluster feature"],
) -> tuple[Float[Array, "group cluster"], Float[Array, "group cluster"]]:
    """Cosines of groups to centres: of the mean weight, and the mean of the cosines.

    The two differ where the neurons of a group disagree.

    Args:
        hidden: weights.
        groups: which neurons each group holds, at least one; ``own_clusters`` of one
            output a cluster, or its first and last row of one output.
        centres: the centres.
    """
    member = groups.astype(hidden.dtype)
    member = member / jnp.sum(member, axis=1, keepdims=True)
    mean = jnp.matmul(member, hidden, precision="highest")
    unit = _unit(centres)
    of_mean = jnp.matmul(_unit(mean), unit.T, precision="highest")
    cosines = jnp.matmul(_unit(hidden), unit.T, precision="highest")
    return of_mean, jnp.matmul(member, cosines, precision="highest")


def _dual(snapshot: Snapshot) -> tuple[Array, Array]:
    if snapshot.dual is None or snapshot.clusters is None:
        raise InputError(
            "a network without dual coefficients",
            "they are what the reduced form of a flow or descent integrates",
            "solve(..., form='reduced'), or projected_coefficients",
        )
    return snapshot.dual, snapshot.clusters


def _squares(rows: Array) -> Array:
    return jnp.sum(jnp.square(rows), axis=1)


def _unit(rows: Array) -> Array:
    norms = row_norms(rows)
    return rows / jnp.where(norms > 0, norms, jnp.ones_like(norms))[:, None]


def _count(own: Array, like: Array) -> Array:
    return jnp.maximum(jnp.sum(own, axis=0), 1).astype(like.dtype)


def _shares(coefficients: Array) -> Array:
    """Positive parts over their norm, one column a neuron; 0 where there are none."""
    return _unit(jnp.maximum(coefficients, 0.0).T).T


def _ratio(largest: Array, smallest: Array) -> Array:
    safe = jnp.where(smallest > 0, smallest, jnp.ones_like(smallest))
    return jnp.where(smallest > 0, largest / safe, jnp.inf)
