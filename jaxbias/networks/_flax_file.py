"""Networks that flax holds or has written: modules, msgpack files, orbax folders."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, serialization

from jaxbias._checks import InputError, reason
from jaxbias._paths import exists
from jaxbias.networks._checked_weights import AS_ARRAYS
from jaxbias.networks._layers import Contents
from jaxbias.networks.activations import Activation
from jaxbias.networks.two_layer import TwoLayerNetwork
from jaxbias.networks.weights import Weights, features, predict

_ORBAX = "orbax.checkpoint.StandardCheckpointer().save(path, nnx.state(model))"
_TREE = "_METADATA"
_PROBES = 8
_ROUNDINGS = 1000


def read_msgpack(path: Path, source: str) -> Contents:
    """The arrays of ``flax.serialization.to_bytes`` of a pure dictionary."""
    try:
        tree = serialization.msgpack_restore(path.read_bytes())
    except (ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        raise InputError(
            source,
            f"it is no complete msgpack file of flax ({reason(error)})",
            "flax.serialization.to_bytes(nnx.to_pure_dict(nnx.state(model)))",
        ) from error
    return Contents(source, _flat(tree, source), ordered=False)


def read_orbax(folder: Path, source: str) -> Contents:
    """The arrays of an orbax checkpoint."""
    if not exists(folder / _TREE):
        inside = sorted(file.parent for file in folder.glob(f"*/{_TREE}"))
        inside += sorted(file.parent for file in folder.glob(f"*/*/{_TREE}"))
        raise InputError(
            source,
            "it is no orbax checkpoint",
            f"read({str(inside[-1])!r})" if inside else _ORBAX,
        )
    try:
        import orbax.checkpoint as orbax
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "orbax":
            raise
        raise InputError(
            source, "it was written by orbax", "pip install orbax-checkpoint"
        ) from None
    try:
        with orbax.PyTreeCheckpointer() as checkpointer:
            metadata: Any = checkpointer.metadata(folder.resolve())
            tree = getattr(metadata, "item_metadata", metadata)
            if tree is None:
                raise ValueError("records are missing")
            # As NumPy, so that float64 stays what it is and devices do not matter.
            kinds = jax.tree.map(
                lambda _: orbax.RestoreArgs(restore_type=np.ndarray),
                getattr(tree, "tree", tree),
            )
            options = orbax.args.PyTreeRestore(restore_args=kinds)
            tree = checkpointer.restore(folder.resolve(), args=options)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise InputError(
            source,
            f"it is no complete orbax checkpoint ({reason(error)})",
            _ORBAX,
        ) from error
    return Contents(source, _flat(tree, source), ordered=False)


def module_contents(module: nnx.Module, source: str) -> Contents:
    """The arrays of a module; states of random numbers are no part of its function."""
    arrays = {}
    for path, leaf in nnx.to_flat_state(nnx.state(module)):
        if isinstance(leaf, nnx.RngState):
            continue
        value = leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
        arrays[".".join(map(str, path))] = np.asarray(value)
    if not isinstance(module, TwoLayerNetwork):
        return Contents(source, arrays, ordered=False)
    return Contents(
        source,
        arrays,
        ordered=False,
        activation=module.activation,
        frozen=not isinstance(module.output, nnx.Param),
        normalise_inputs=module.normalise_inputs,
    )


def same_function(
    module: nnx.Module,
    found: list[Weights],
    activation: Activation,
    normalise_inputs: bool,
    source: str,
    dtype: np.dtype,
) -> Weights:
    """The network whose outputs are those of the module, at a few inputs of its type.

    Raises:
        InputError: there is none: the module computes something else.
    """
    told = []
    for weights in found:
        neurons, dim = weights.hidden.shape
        inputs = np.random.default_rng(0).standard_normal((_PROBES, dim))
        probes = jnp.asarray(inputs.astype(dtype))
        same = probes.astype(weights.hidden.dtype)
        normalised = {"normalise_inputs": normalise_inputs}
        ours = predict(weights, activation, same, **normalised)
        units = features(weights, activation, same, **normalised)
        size = float(jnp.max(jnp.abs(units) @ jnp.abs(weights.output)))
        try:
            with jax.default_matmul_precision("highest"):
                theirs = jnp.asarray(module(probes))  # pyright: ignore[reportCallIssue]
        except (TypeError, ValueError) as error:
            told.append(f"its forward pass fails: {reason(error)}")
            continue
        if theirs.size != ours.size or not jnp.issubdtype(theirs.dtype, jnp.floating):
            told.append(f"its outputs are {theirs.dtype} of shape {theirs.shape}")
            continue
        exact = np.asarray(ours, np.float64)
        gap = np.abs(np.asarray(theirs, np.float64).reshape(exact.shape) - exact).max()
        rounding = float(jnp.finfo(theirs.dtype).eps)
        if gap <= _ROUNDINGS * rounding * (size + np.abs(exact).max()):
            return weights
        told.append(f"its outputs differ by {gap:.3g}")
    raise InputError(
        source,
        f"two layers with {activation} between them are another function "
        f"({'; '.join(told)})",
        f"the activation that it applies, or {AS_ARRAYS}",
    )


def _flat(tree: Any, source: str) -> dict[str, np.ndarray]:
    if not isinstance(tree, dict):
        raise InputError(
            f"{source} with {type(tree).__name__}",
            "a network is a dictionary of arrays",
            "nnx.to_pure_dict(nnx.state(model))",
        )
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        parts = [str(getattr(key, "key", getattr(key, "idx", key))) for key in path]
        # A stored variable of flax is a folder with its value.
        if parts[-1] == "value" and len(parts) > 1:
            parts.pop()
        found[".".join(parts)] = np.asarray(leaf)
    return found
