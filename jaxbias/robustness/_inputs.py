"""What the radius verbs accept, and what they say to the rest."""

from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxbias._checks import InputError, finite_array, one_of, plain_array, unmasked
from jaxbias.networks._own_activation import check_activation
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

EFFORTS = ("attack", "bounds", "tight", "exact")


def check_options(effort: str, certify_dtype: Any) -> None:
    one_of("effort", effort, EFFORTS)
    if np.dtype(certify_dtype) != np.float64:
        raise InputError(
            f"certify_dtype={np.dtype(certify_dtype).name!r}",
            "rounding in it is larger than the gaps a certificate decides",
            "certify_dtype='float64' (inputs and weights may have any precision)",
        )


def check_order(order: Any) -> float:
    if order in (2, np.inf, "inf"):
        return float(order)
    raise InputError(
        f"order={order!r}", "radii are measured in l_2 or l_inf", "order=2"
    )


def unpack(network: Any, activation: Activation | None):
    normalise = False
    if isinstance(network, nnx.Module) and hasattr(network, "weights"):
        activation = getattr(network, "activation", activation)
        normalise = bool(getattr(network, "normalise_inputs", False))
        weights: Weights = network.weights()  # pyright: ignore
    elif isinstance(network, Weights):
        weights = network
        if activation is None:
            raise InputError(
                "Weights without an activation",
                "the same weights are another function under another activation",
                "radius(weights, inputs, labels, activation=PReLU(3))",
            )
    else:
        raise InputError(
            f"a network of type {type(network).__name__}",
            "radii are computed for two-layer networks",
            "TwoLayer(...).build(key, dim), or Weights with activation=",
        )
    assert activation is not None
    check_activation(activation)
    for array in jax.tree.leaves(weights):
        unmasked("weights", array)
    weights = jax.tree.map(np.asarray, weights)
    for name in ("hidden", "output", "hidden_bias", "output_bias"):
        array = getattr(weights, name)
        if array is not None:
            finite_array(f"{name} weights", array)
    return weights, activation, normalise


def check_points(
    inputs: Any, labels: Any, weights: Weights, grouped: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    points = plain_array("inputs", inputs, np.float64)
    labels = plain_array("labels", labels)
    dim = weights.hidden.shape[-1]
    if points.shape == (0, dim):
        raise InputError(
            f"inputs of shape {points.shape}", "there is no point", "at least one row"
        )
    if points.ndim != 2 or points.shape[1] != dim:
        raise InputError(
            f"inputs of shape {points.shape}",
            f"the network reads rows of {dim} features",
            f"inputs of shape (samples, {dim})",
        )
    finite_array("inputs", points)
    if labels.shape != (len(points),):
        raise InputError(
            f"labels of shape {labels.shape}",
            f"there are {len(points)} points",
            f"labels of shape ({len(points)},)",
        )
    if labels.dtype.kind not in "biuf":
        raise InputError(
            f"labels of type {labels.dtype}",
            "labels are real numbers",
            "labels of +1 and -1, or the numbers of classes",
        )
    if weights.output.ndim == 1 or grouped:
        if not np.isin(labels, (-1, 1)).all():
            reads = "a read-out over groups" if grouped else "a network with one output"
            raise InputError(
                f"labels {np.unique(labels)[:5].tolist()}",
                f"{reads} tells +1 from -1",
                "np.where(labels > 0, 1.0, -1.0)"
                if np.isin(labels, (0, 1)).all()
                else "labels of +1 and -1 alone",
            )
        return points, labels.astype(int)
    classes = weights.output.shape[1]
    whole = labels.astype(int)
    if (whole != labels).any() or (whole < 0).any() or (whole >= classes).any():
        raise InputError(
            f"labels {np.unique(labels)[:5].tolist()}",
            f"the network has {classes} outputs",
            f"class numbers from 0 to {classes - 1}",
        )
    return points, whole


def check_centres(centres: Any, points: np.ndarray) -> np.ndarray:
    centres = plain_array("centres", centres, np.float64)
    if centres.ndim != 2 or centres.shape[1] != points.shape[1]:
        raise InputError(
            f"centres of shape {centres.shape}",
            f"the inputs have {points.shape[1]} features",
            f"centres of shape (clusters, {points.shape[1]})",
        )
    finite_array("centres", centres)
    return centres


def check_box(box: Any, points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    if box is None:
        return None
    unmasked("box", box)
    try:
        low, high = (plain_array("an end of the box", end, np.float64) for end in box)
        low, high = (np.broadcast_to(end, points.shape[1:]) for end in (low, high))
    except InputError:
        raise
    except (TypeError, ValueError):
        shapes = isinstance(box, list | tuple) and any(map(np.ndim, box))
        told = f"of shapes {list(map(np.shape, box))}" if shapes else f"{box!r}"
        raise InputError(
            f"box {told}",
            f"it is a lowest and a highest input, numbers or {points.shape[1]} each",
            "box=(0.0, 1.0)",
        ) from None
    if not (low <= high).all():
        raise InputError("a box whose ends cross", "nothing is inside", "(low, high)")
    outside = ((points < low) | (points > high)).any(1)
    if outside.any():
        raise InputError(
            f"{outside.sum()} of {len(points)} inputs outside the box",
            "a step that must stay inside cannot start there",
            "numpy.clip(inputs, *box), or a wider box",
        )
    return low, high
