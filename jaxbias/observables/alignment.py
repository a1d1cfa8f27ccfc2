"""Where the neurons point, and how much each contributes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias._axes import CLUSTER, NEURON
from jaxbias._checks import InputError
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks.weights import row_norms
from jaxbias.observables._registry import SIDE, register, unit_scale


@register(
    CLUSTER,
    NEURON,
    description="cosine of each neuron to each centre",
    unit="[-1, 1]",
    scale=unit_scale,
)
def centre_cosines(snapshot: Snapshot) -> Float[Array, "cluster neuron"]:
    r"""$\langle\mu_k, w_j\rangle / (\|\mu_k\|\,\|w_j\|)$; 0 for neurons of norm 0.

    Raises:
        InputError: for data without centres.
    """
    centres, _ = labelled_centres(snapshot)
    return _cosines(snapshot, centre_products(snapshot), row_norms(centres))


@register(
    SIDE,
    NEURON,
    description="cosine of each neuron to the class averages of the centres",
    unit="[-1, 1]",
    scale=unit_scale,
)
def class_cosines(snapshot: Snapshot) -> Float[Array, "side neuron"]:
    r"""Cosines to $\bar\mu_+$ and $\bar\mu_-$; 0 for neurons of norm 0.

    Raises:
        InputError: for data without centres.
    """
    centres, labels = labelled_centres(snapshot)
    member = jnp.stack([labels > 0, labels < 0]).astype(centres.dtype)
    return _cosines(
        snapshot, member @ centre_products(snapshot), row_norms(member @ centres)
    )


@register(NEURON, description="contribution |v||w| of each neuron")
def contributions(snapshot: Snapshot) -> Float[Array, " neuron"]:
    r"""$|v_j|\,\|w_j\|$; 0 for padded neurons."""
    return snapshot.contributions()


@register(SIDE, description="sum of |v||w| over neurons of positive and negative v")
def amplitudes(snapshot: Snapshot) -> Float[Array, " side"]:
    r"""$\sum_{v_j>0} |v_j|\|w_j\|$ and $\sum_{v_j<0} |v_j|\|w_j\|$.

    Trained on orthonormal clusters with the squared loss at p = 1 these approach
    $\sqrt{K_1}$ and $\sqrt{K_2}$ (min-vidal-2024).

    Raises:
        InputError: for a network with several outputs.
    """
    output = _signed(snapshot)
    member = jnp.stack([output > 0, output < 0])
    return member.astype(output.dtype) @ snapshot.contributions()


@register(CLUSTER, description="sum of |v||w| over the neurons of each centre")
def cluster_amplitudes(snapshot: Snapshot) -> Float[Array, " cluster"]:
    r"""$\sum_j |v_j|\|w_j\|$ over neurons nearest to a centre, with its label's sign.

    A neuron belongs to the centre of its largest cosine, the first one of equals, and
    counts if $v_j$ has that centre's label. These are the $z_k$ of the growth phase,
    which approach 1 for p > 2 (min-vidal-2025).

    Near a tie of two cosines the partition says little: gaps of 1e-5 last for several
    units of time, and a neuron moves from one sum to another, with up to a quarter of
    it, at a time that no tolerance pins down. Sums over a class have no such steps.

    Raises:
        InputError: for data without centres or a network with several outputs.
    """
    output = _signed(snapshot)
    _, labels = labelled_centres(snapshot)
    nearest = jnp.argmax(centre_cosines(snapshot), axis=0)
    belongs = jax.nn.one_hot(nearest, len(labels), axis=0, dtype=output.dtype)
    agrees = output[None, :] * labels[:, None] > 0
    return (belongs * agrees.astype(output.dtype)) @ snapshot.contributions()


def centre_products(snapshot: Snapshot) -> Float[Array, "cluster neuron"]:
    r"""$\langle\mu_k, w_j\rangle$, without the bias."""
    # Scores hold the hidden bias, which is no part of a direction; a form without
    # explicit weights has none.
    if snapshot.hidden is not None:
        assert snapshot.centres is not None
        return jnp.matmul(snapshot.centres, snapshot.hidden.T, precision="highest")
    assert snapshot.centre_scores is not None
    return snapshot.centre_scores


def _cosines(snapshot: Snapshot, products: Array, lengths: Array) -> Array:
    norms = _norms(snapshot)
    # Divided one after the other: the product of two small norms may underflow.
    unit = jnp.where(norms > 0, norms, jnp.ones_like(norms))
    length = jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))
    cosines = products / unit[None, :] / length[:, None]
    live = (norms > 0) & snapshot.mask
    return jnp.where(live[None, :], cosines, jnp.zeros_like(cosines))


def _norms(snapshot: Snapshot) -> Float[Array, " neuron"]:
    # Those of the weights whose products are divided by them: no cosine exceeds 1.
    if snapshot.hidden is None:
        return snapshot.recovered_norms
    return row_norms(snapshot.hidden)


def labelled_centres(snapshot: Snapshot) -> tuple[Array, Array]:
    """Centres and their labels.

    Raises:
        InputError: for data without them.
    """
    if snapshot.centres is None or snapshot.centre_labels is None:
        raise InputError(
            "data without cluster centres",
            "alignment is measured against them",
            "OrthonormalClusters(...), or from_arrays(..., centres=, centre_labels=)",
        )
    return snapshot.centres, snapshot.centre_labels


def _signed(snapshot: Snapshot) -> Float[Array, " neuron"]:
    if snapshot.output.ndim == 1:
        return snapshot.output
    raise InputError(
        f"a network with {snapshot.output.shape[1]} outputs",
        "its neurons have no sign",
        "observe=['contributions']",
    )
