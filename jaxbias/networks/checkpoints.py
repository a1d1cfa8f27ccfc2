"""Trained two-layer networks from files, and into them."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from jaxbias._checks import InputError, reason
from jaxbias._files import write_arrays
from jaxbias._paths import readable, shown
from jaxbias.networks._centring import centred
from jaxbias.networks._checked_weights import AS_ARRAYS, as_floats
from jaxbias.networks._flax_file import (
    module_contents,
    read_msgpack,
    read_orbax,
    same_function,
)
from jaxbias.networks._layers import Contents, candidates, settled
from jaxbias.networks._naming import Naming, named_weights, set_apart
from jaxbias.networks._npz_file import read_npz, settings_of
from jaxbias.networks._parts import chosen
from jaxbias.networks._safetensors_file import is_safetensors, read_safetensors
from jaxbias.networks._torch_file import read_torch
from jaxbias.networks._torch_pickle import FIX as SAVE_TORCH
from jaxbias.networks.activations import Activation
from jaxbias.networks.two_layer import TwoLayerNetwork

_ZIP = b"PK\x03\x04"
_TORCH_BEFORE_ZIP = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = b"\x80"
# A dictionary of 1 to 15 entries and its first name, or one of more entries.
_MSGPACK = re.compile(rb"[\x81-\x8f][\xa0-\xbf\xd9-\xdb]|[\xde\xdf]")
_HEAD = 16
_HALVES = "halves"
_READS = (
    "a PyTorch state dict, a safetensors file, an .npz, a flax msgpack file or an "
    "orbax folder"
)
# Begins with the version of its format and then names a producer or a graph.
_ONNX = re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x28\x32\x3a\x42]")
_FROM_ONNX = (
    "numpy.savez('network.npz', **{t.name: onnx.numpy_helper.to_array(t) for t in "
    "onnx.load(path).graph.initializer})"
)
_OTHERS = (
    (b"\x89HDF\r\n\x1a\n", "it is HDF5, as Keras writes it", AS_ARRAYS),
    (b"\x93NUMPY", "an .npy is one array, and a network is several", AS_ARRAYS),
    (b"\x1f\x8b", "it is compressed by gzip", "gunzip first"),
)


def read(
    path: Any,
    activation: Any = None,
    *,
    hidden: str | None = None,
    output: Any = None,
    hidden_bias: str | None = None,
    output_bias: str | None = None,
    transpose: bool | None = None,
    subtract: str | None = None,
    ignore: tuple[str, ...] | list[str] | str = (),
    part: str | None = None,
) -> TwoLayerNetwork:
    r"""A trained two-layer network $\sum_j v_j \phi(\langle x, w_j\rangle + b_j) + c$.

    What a file is, its content tells and not its name. No code of a file is run.

    * PyTorch: ``torch.save(model.state_dict(), path)``, or a dictionary that holds a
      state dict under any name. PyTorch itself is not needed.
    * safetensors, likewise.
    * ``.npz``: :func:`save`, or arrays ``hidden`` (neuron, feature), ``output``
      (neuron,) or (neuron, class), and where there are any ``hidden_bias``,
      ``output_bias``; ``mask`` (neuron,), False for rows that only pad the arrays and
      are 0; ``activation`` (its name) with ``exponent`` (of PReLU and Power) or
      ``leak`` (of LeakyReLU, the slope below 0); ``normalise_inputs``, true where
      every neuron is divided by $\|x\|^{p-1}$; ``frozen``, true where the readout was
      not trained. Or names as PyTorch gives them.
    * flax: ``flax.serialization.to_bytes`` of a pure dictionary, a folder that orbax
      has written, or a module in memory, which then is also held against the outputs
      of the network read.

    Layers are linear: ``weight`` (out, in) or ``kernel`` (in, out), with a ``bias`` of
    the same prefix, and they are put in the order in which their shapes fit. Where both
    orders fit, numbers in their names decide. Arrays of other names are named by the
    caller, and what neither names nor shapes tell is asked. One output is read as a
    score, several are read as classes.

    The type is float32, or float64 where any array is float64.

    Args:
        path: a file, a folder or an ``nnx.Module``.
        activation: what the neurons apply, unless that is stored.
        hidden: name of the matrix of the first layer.
        output: name of the readout, (neuron,) or a matrix; or, where only the first
            layer is stored, an array (neuron,) or (neuron, class), or ``"halves"``,
            $+1/m$ for the first half of $2m$ neurons and $-1/m$ for the second.
        hidden_bias: name of the biases of the neurons.
        output_bias: name of the biases of the outputs.
        transpose: True where matrices are stored (inputs, outputs), False where they
            are stored (outputs, inputs). It holds for the readout where its shape and
            name leave that open.
        subtract: name of what the network takes off its inputs, a number or
            (feature,). The network read is one of the inputs before that: its biases
            are moved, in float64 where JAX has it.
        ignore: names of arrays that are no part of the function.
        part: which network, where the file holds several: what its names begin with.

    Example:
        >>> import numpy as np, jaxbias as jb
        >>> eye = np.eye(2, dtype=np.float32)
        >>> np.savez("network.npz", hidden=eye, output=eye[0] - eye[1])
        >>> jb.networks.read("network.npz", jb.networks.ReLU()).hidden.shape
        (2, 2)

    Raises:
        InputError: for a file that is missing, broken or of another kind, a pickle
            that asks for anything but tensors, several networks in one file, a network
            that has not two linear layers or has anything beside them, names that are
            not there, layers that do not fit or whose order or orientation is open,
            weights that are not finite, no activation or another one than stored, and
            float64 while JAX would store float32.

    References:
        li-2025-feature-averaging.
    """
    if not isinstance(activation, Activation | None):
        raise InputError(
            f"activation={activation!r}", "not an Activation", "activation=ReLU()"
        )
    key = output if isinstance(output, str) and output != _HALVES else None
    output = output if key is None else None
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    naming = Naming(hidden, key, hidden_bias, output_bias, transpose, subtract, ignored)
    if isinstance(path, nnx.Module):
        contents = module_contents(path, f"a module {type(path).__name__}")
    elif isinstance(path, str | os.PathLike):
        contents = _contents(Path(path), activation)
    else:
        raise InputError(f"a network of type {type(path).__name__}", "no path", _READS)
    contents, centre = set_apart(chosen(contents, part), naming)
    if naming.layers:
        found = [named_weights(contents, naming, output, centre)]
    else:
        found = candidates(contents, output)
    activation = _settled_activation(contents, activation)
    normalise = contents.normalise_inputs
    dtype = found[0].hidden.dtype
    if centre is not None:
        move = (activation, centre, normalise, contents.source)
        found = [centred(weights, *move) for weights in found]
    if isinstance(path, nnx.Module) and output is None and callable(path):
        weights = same_function(
            path, found, activation, normalise, contents.source, dtype
        )
    else:
        weights = settled(contents, found)
    return TwoLayerNetwork(
        weights,
        activation,
        frozen=contents.frozen or output is not None,
        normalise_inputs=normalise,
    )


def save(network: TwoLayerNetwork, path: str | os.PathLike[str]) -> Path:
    """Write a network as ``.npz``, whole or not at all; :func:`read` gives it back.

    Args:
        network: float32 and float64 come back as they are, shorter types as float32.
        path: the file, by custom ``*.npz``. Missing folders are made.

    Returns:
        The path.

    Raises:
        InputError: the file cannot be written, weights are not finite, or the
            activation is not one of the package's own.
    """
    weights = network.weights()
    arrays: dict[str, Any] = {
        name: as_floats(np.asarray(array), name)
        for name in ("hidden", "output", "hidden_bias", "output_bias")
        if (array := getattr(weights, name)) is not None
    }
    mask = np.asarray(weights.mask)
    # Left out where they say nothing, so that the file is what other programs expect.
    if not mask.all():
        arrays["mask"] = mask
    if not isinstance(network.output, nnx.Param):
        arrays["frozen"] = True
    if network.normalise_inputs:
        arrays["normalise_inputs"] = True
    return write_arrays(Path(path), {**arrays, **settings_of(network.activation)})


def _settled_activation(contents: Contents, given: Activation | None) -> Activation:
    stored = contents.activation
    found = given if stored is None else stored
    if found is None:
        raise InputError(
            f"{contents.source} without an activation",
            "the same weights are another function under another activation",
            "activation=ReLU() or PReLU(3), in a shell --activation relu",
        )
    if given is not None and given != found:
        raise InputError(
            f"activation={given!r} for {contents.source}",
            f"it was stored with {found!r}",
            "read(path) without activation=",
        )
    return found


def _contents(path: Path, activation: Activation | None) -> Contents:
    """The arrays of a file, read as what its first bytes say it is."""
    source = f"file {shown(path)!r}"
    readable(path, source, _READS)
    if path.is_dir():
        return read_orbax(path, f"folder {shown(path)!r}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise InputError(source, why, _READS) from error
    # First, for its length may begin like any other format.
    if is_safetensors(head):
        return Contents(source, read_safetensors(path, source), ordered=False)
    if head.startswith(_ZIP):
        return _zip_contents(path, source, activation)
    if head.startswith(_TORCH_BEFORE_ZIP):
        raise InputError(
            f"{source}, of PyTorch's format before 1.6",
            "only its zip format is read",
            SAVE_TORCH,
        )
    if head.startswith(_PICKLE):
        raise InputError(source, "reading a pickle can run any code", AS_ARRAYS)
    if _MSGPACK.match(head):
        return read_msgpack(path, source)
    if path.suffix.lower() == ".onnx" or _ONNX.match(head):
        raise InputError(source, "it is ONNX, a graph of operations", _FROM_ONNX)
    for start, what, fix in _OTHERS:
        if head.startswith(start):
            raise InputError(source, what, fix)
    what = "it is empty" if not head else "its first bytes are those of no known format"
    raise InputError(source, what, _READS)


def _zip_contents(path: Path, source: str, activation: Activation | None) -> Contents:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            source,
            f"a zip file that is cut short or damaged ({reason(error)})",
            SAVE_TORCH,
        ) from error
    if names and all(name.endswith(".npy") for name in names):
        return read_npz(path, source, activation)
    if any(name.endswith("data.pkl") for name in names):
        arrays, parts = read_torch(path, source)
        return Contents(source, arrays, ordered=True, parts=parts)
    raise InputError(source, "a zip file, but with neither tensors nor arrays", _READS)
