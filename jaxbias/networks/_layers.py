"""Which arrays of a file are the two layers of a network, and which one is first."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of, plain_array
from jaxbias._precision import float_dtype
from jaxbias.networks._checked_weights import AS_ARRAYS, as_floats, checked_weights
from jaxbias.networks._suggestion import working_call
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights

Named = dict[str, np.ndarray]

_OWN = ("hidden", "output", "hidden_bias", "output_bias", "mask")
_SHOWN = 6
_DIGITS = 20


@dataclass(frozen=True)
class Contents:
    """What a file or a module holds.

    Attributes:
        source: how messages name it.
        arrays: by dotted name; ``weight`` is (out, in), ``kernel`` (in, out).
        ordered: whether the order of the names is that in which layers were made.
        activation: what the neurons apply, where that is stored.
        frozen: whether the readout is not trained.
        normalise_inputs: as in :class:`TwoLayerNetwork`.
        parts: what names begin with, where there may be several networks.
    """

    source: str
    arrays: Named
    ordered: bool
    activation: Activation | None = None
    frozen: bool = False
    normalise_inputs: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Layer:
    """One linear layer: a matrix (out, in), its bias, and the name both begin with."""

    name: str
    matrix: np.ndarray
    bias: np.ndarray | None


def candidates(contents: Contents, output: Any = None) -> list[Weights]:
    """The networks that the arrays can be: two where both orders of layers fit.

    Args:
        contents: named arrays.
        output: the readout, for contents with one matrix.

    Raises:
        InputError: for anything but two layers that fit together, for arrays of no
            known place, for non-finite weights, and for float64 while JAX would
            store float32.
    """
    source = contents.source
    if "hidden" in contents.arrays and set(contents.arrays) <= set(_OWN):
        return [_own(contents.arrays, output, source)]
    layers = _layers(contents.arrays, source)
    if len(layers) == 1:
        [layer] = layers
        readout = readout_given(output, layer.matrix, source)
        return [checked_weights(layer.matrix, readout, layer.bias, None, source)]
    _no_second_readout(output, source)
    orders = [
        (first, second)
        for first, second in (layers, layers[::-1])
        if len(first.matrix) == second.matrix.shape[1]
    ]
    if not orders:
        raise InputError(
            f"{source} with {shapes_of(matrices_of(contents.arrays))}",
            "no layer reads as many numbers as the other one gives",
            "two linear layers, (neurons, features) and then (outputs, neurons)",
        )
    # Numbers in the names tell the order, words do not.
    orders.sort(key=lambda pair: _numbers(pair[0].name))
    return [
        checked_weights(first.matrix, second.matrix.T, first.bias, second.bias, source)
        for first, second in orders
    ]


def settled(contents: Contents, found: list[Weights]) -> Weights:
    """The one network; where both orders fit, names that count the layers decide.

    Raises:
        InputError: both orders fit and names do not tell them apart, or the order of
            the file, where it has one, is not that of the names.
    """
    if len(found) == 1:
        return found[0]
    names = list(matrices_of(contents.arrays))
    counted = len({_stem(name.rpartition(".")[0]) for name in contents.arrays}) == 1
    in_order = names == sorted(names, key=_numbers)
    if counted and (in_order or not contents.ordered):
        return found[0]
    raise InputError(
        f"{contents.source} with {shapes_of(matrices_of(contents.arrays))}",
        "either layer can be the first, and their names do not tell",
        f"{working_call(contents.arrays)}, or the other way round",
    )


def _numbers(name: str) -> list[str]:
    return [digits.zfill(_DIGITS) for digits in re.findall(r"\d+", name)]


def _stem(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def matrices_of(arrays: Named) -> Named:
    """Everything that multiplies: linear layers, and kernels of convolutions."""
    return {
        name: array
        for name, array in arrays.items()
        if name.rpartition(".")[2] in ("weight", "kernel") and array.ndim > 1
    }


def _layers(arrays: Named, source: str) -> list[_Layer]:
    matrices = matrices_of(arrays)
    flat = all(array.ndim == 2 for array in matrices.values())
    if len(matrices) > 2 or not flat:
        raise InputError(
            f"{source} with {len(matrices)} weight matrices, {shapes_of(matrices)}",
            "jaxbias reads two-layer networks",
            "a network of two linear layers",
        )
    layers = []
    known = set(matrices)
    for name, array in matrices.items():
        prefix, dot, leaf = name.rpartition(".")
        bias = f"{prefix}{dot}bias"
        known.add(bias)
        matrix = array if leaf == "weight" else array.T
        layers.append(_Layer(prefix, matrix, arrays.get(bias)))
    others = {name: array for name, array in arrays.items() if name not in known}
    if others:
        raise InputError(
            f"{source} with {shapes_of(others)}",
            "beside the weights and biases of linear layers, these have no known "
            "place in the function, and without them it would be another one",
            working_call(arrays),
        )
    if not layers:
        raise InputError(
            f"{source} without any array",
            "a network is made of two weight matrices",
            AS_ARRAYS,
        )
    return layers


def _own(arrays: Named, output: Any, source: str) -> Weights:
    hidden, readout = arrays["hidden"], arrays.get("output")
    if readout is None:
        readout = readout_given(output, np.atleast_1d(hidden), source)
    else:
        _no_second_readout(output, source)
    return checked_weights(
        hidden,
        readout,
        arrays.get("hidden_bias"),
        arrays.get("output_bias"),
        source,
        arrays.get("mask"),
    )


def _no_second_readout(output: Any, source: str) -> None:
    if output is not None:
        raise InputError(
            f"output= for {source}",
            "it has a readout of its own",
            "read(path, activation) without output=",
        )


def readout_given(output: Any, hidden: np.ndarray, source: str) -> np.ndarray:
    """The readout that the caller names, (neuron,) or (neuron, class)."""
    neurons = len(hidden)
    if output is None:
        raise InputError(
            f"{source} with one weight matrix, of {neurons} neurons",
            "the readout is not in it",
            f"output= an array of shape ({neurons},) or ({neurons}, classes), or "
            "output='halves', in a shell --output halves",
        )
    if not isinstance(output, str):
        array = plain_array("output", output)
        wide = array.dtype.kind in "iu" or array.dtype.name == "float64"
        return array.astype(float_dtype()) if wide else array
    one_of("output", output, ("halves",))
    if neurons % 2:
        raise InputError(
            f"output='halves' for {neurons} neurons",
            "the positive half is as large as the negative one",
            f"output= an array of shape ({neurons},)",
        )
    halves = np.repeat([2.0 / neurons, -2.0 / neurons], neurons // 2)
    return halves.astype(as_floats(hidden, source).dtype)


def shapes_of(arrays: Named) -> str:
    shown = [f"{name} {tuple(array.shape)}" for name, array in arrays.items()]
    more = len(shown) - _SHOWN
    return ", ".join(shown[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
