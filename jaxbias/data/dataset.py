"""Labelled samples: the one form in which data reaches flows, attacks and claims."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from jaxbias._checks import InputError, finite_array, plain_array
from jaxbias._precision import float_dtype


class Dataset(eqx.Module):
    """Inputs, labels and, where known, the clusters they came from.

    Attributes:
        inputs: one row a sample.
        labels: +1 or -1 in the type of the inputs (binary), or an int32 class.
        clusters: the cluster (or subclass) each sample belongs to.
        centres: the cluster centres, where there are any.
        centre_labels: +1 or -1 for each centre.
    """

    inputs: Float[Array, "sample feature"]
    labels: Shaped[Array, " sample"]
    clusters: Int[Array, " sample"]
    centres: Float[Array, "cluster feature"] | None = None
    centre_labels: Float[Array, " cluster"] | None = None

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self.inputs.shape[-2]

    @property
    def dim(self) -> int:
        """The input dimension."""
        return self.inputs.shape[-1]

    @property
    def binary(self) -> bool:
        """Whether the labels are +1 and -1 (floating point) and not classes."""
        return jnp.issubdtype(self.labels.dtype, jnp.floating)


def from_arrays(
    inputs: Any,
    labels: Any,
    clusters: Any = None,
    *,
    centres: Any = None,
    centre_labels: Any = None,
    dtype: Any = None,
) -> Dataset:
    """A dataset from arrays of one's own, checked.

    Args:
        inputs: (sample, feature).
        labels: (sample,); +1 and -1 of floating-point or integer type is binary,
            other non-negative integers are classes.
        clusters: (sample,); all samples are cluster 0 when left out.
        centres: (cluster, feature), optional.
        centre_labels: (cluster,), +1 and -1, optional.
        dtype: float32 or float64; JAX's current default when left out.

    Raises:
        InputError: for wrong shapes, no samples, NaN, infinite or masked entries, and
            labels that are neither +1 and -1 nor non-negative integers.
    """
    dtype = float_dtype(dtype)
    inputs, labels = plain_array("inputs", inputs), plain_array("labels", labels)
    if inputs.ndim != 2 or inputs.size == 0:
        raise InputError(
            f"inputs of shape {inputs.shape}",
            "a dataset needs at least one row of at least one feature",
            "inputs of shape (samples, dim)",
        )
    finite_array("inputs", inputs)
    _same_rows("labels", labels, len(inputs))
    if clusters is None:
        clusters = np.zeros(len(inputs), int)
    clusters = plain_array("clusters", clusters)
    _same_rows("clusters", clusters, len(inputs))
    if centres is not None:
        centres = plain_array("centres", centres)
        finite_array("centres", centres)
        if centres.ndim != 2 or centres.shape[1] != inputs.shape[1]:
            raise InputError(
                f"centres of shape {centres.shape}",
                f"the inputs have {inputs.shape[1]} features",
                f"centres of shape (clusters, {inputs.shape[1]})",
            )
        if centre_labels is not None:
            centre_labels = plain_array("centre_labels", centre_labels)
            _same_rows("centre_labels", centre_labels, len(centres))
    return Dataset(
        inputs=jnp.asarray(inputs, dtype),
        labels=_labels(labels, dtype),
        clusters=jnp.asarray(clusters, jnp.int32),
        centres=None if centres is None else jnp.asarray(centres, dtype),
        centre_labels=(
            None if centre_labels is None else jnp.asarray(centre_labels, dtype)
        ),
    )


def cluster_labelled(dataset: Dataset) -> Dataset:
    """The same rows with their cluster numbers as labels, for one output a cluster.

    These are the finer labels of feature decoupling; ``centre_labels`` still hold the
    two labels that the clusters belong to.

    Args:
        dataset: rows whose clusters are known.

    References:
        li-2025-feature-averaging, section 1.4.
    """
    return Dataset(
        inputs=dataset.inputs,
        labels=dataset.clusters.astype(jnp.int32),
        clusters=dataset.clusters,
        centres=dataset.centres,
        centre_labels=dataset.centre_labels,
    )


def from_classes(
    rows: np.ndarray, classes: np.ndarray, labels: str, dtype: np.dtype
) -> Dataset:
    """Rows with classes, labelled by ``"class"`` or by its ``"parity"`` (even: +1)."""
    parity = np.where(classes % 2 == 0, 1.0, -1.0)
    return Dataset(
        inputs=jnp.asarray(rows, dtype),
        labels=(
            jnp.asarray(classes, jnp.int32)
            if labels == "class"
            else jnp.asarray(parity, dtype)
        ),
        clusters=jnp.asarray(classes, jnp.int32),
    )


def _same_rows(name: str, array: np.ndarray, rows: int) -> None:
    if array.shape != (rows,):
        raise InputError(
            f"{name} of shape {array.shape}",
            f"there are {rows} rows to go with them",
            f"{name} of shape ({rows},)",
        )


def _labels(labels: np.ndarray, dtype: np.dtype) -> Array:
    if np.isin(labels, (-1, 1)).all():
        return jnp.asarray(labels, dtype)
    if np.issubdtype(labels.dtype, np.integer) and (labels >= 0).all():
        return jnp.asarray(labels, jnp.int32)
    strange = np.unique(labels[~np.isin(labels, (-1, 1))])[:3]
    raise InputError(
        f"labels with values {strange.tolist()}",
        "a binary label is +1 or -1, a class is a non-negative integer",
        "np.where(labels > 0, 1.0, -1.0)",
    )
