"""PyTorch's zip checkpoints, read without PyTorch."""

import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError
from jaxbias.networks._torch_pickle import (
    BFLOAT16,
    ELEMENTS,
    FIX,
    View,
    broken,
    unpickled,
)

# What parallel training and compilation put before every name.
_WRAPPERS = ("module.", "_orig_mod.")
_OPTIMISER = "param_groups"
_DEEPEST = 3
_PLAIN = (bool, int, float, str, type(None))
_MOST_DIMENSIONS = 32
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    struct.error,
)


class _Archive:
    """The records of a checkpoint."""

    def __init__(self, archive: zipfile.ZipFile, size: int):
        roots = [
            name.removesuffix("data.pkl")
            for name in archive.namelist()
            if name.count("/") == 1 and name.endswith("/data.pkl")
        ]
        if len(roots) != 1:
            raise ValueError(f"it has {len(roots)} records data.pkl")
        self.root, self.size = roots[0], size
        self._archive = archive
        self._read: dict[str, bytes] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a record, or a folder of that name."""
        names = self._archive.namelist()
        return any(n.startswith(self.root + name) for n in names)

    def record(self, name: str) -> bytes:
        """The bytes of one record."""
        if name not in self._read:
            info = self._archive.getinfo(self.root + name)
            # PyTorch stores without compression, so no record outgrows its file.
            if info.compress_type or not info.file_size == info.compress_size:
                raise ValueError(f"record {name} is compressed")
            if info.file_size > self.size:
                raise ValueError(f"record {name} is longer than the file")
            self._read[name] = self._archive.read(info)
        return self._read[name]

    def array(self, view: View) -> np.ndarray:
        """The numbers of a tensor, after every claim about them is checked."""
        storage, offset, size, stride = view
        element, key, count = storage
        numbers = (offset, count, *size, *stride)
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError("its place in the storage is not given by whole numbers")
        if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
            raise ValueError(f"{len(size)} lengths and {len(stride)} strides")
        if element not in ELEMENTS.values() or not isinstance(key, str):
            raise ValueError("its storage is none")
        raw = self.record(f"data/{key}")
        width = 2 if element == BFLOAT16 else np.dtype(element).itemsize
        if len(raw) != count * width:
            raise ValueError(f"{count} numbers are said to be in {len(raw)} bytes")
        if max(size, default=0) > self.size or math.prod(size) > self.size:
            raise ValueError(f"shape {tuple(size)} is more than the file holds")
        steps = [(n - 1) * s for n, s in zip(size, stride, strict=True)]
        if math.prod(size) and offset + sum(steps) >= count:
            raise ValueError(f"shape {tuple(size)} reaches beyond its storage")
        flat = self._numbers(raw, element)
        # Strides along an empty tensor lead nowhere, and may be of any size.
        if not math.prod(size):
            return np.zeros(size, flat.dtype)
        width = flat.itemsize
        strides = [s * width * (n > 1) for n, s in zip(size, stride, strict=True)]
        return np.lib.stride_tricks.as_strided(flat[offset:], size, strides).copy()

    def _numbers(self, raw: bytes, element: str) -> np.ndarray:
        # Written since PyTorch 2.1, and before that on little-endian machines alone.
        said = self.record("byteorder") if self.has("byteorder") else b"little"
        if said not in (b"little", b"big"):
            raise ValueError(f"the order of its bytes is {said[:16]!r}")
        order = "<" if said == b"little" else ">"
        if element == BFLOAT16:
            # The upper half of a float32.
            halves = np.frombuffer(raw, f"{order}u2").astype(np.uint32)
            return (halves << np.uint32(16)).view(np.float32)
        return np.frombuffer(raw, f"{order}{element}").astype(element)


def read_torch(
    path: Path, source: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The tensors of a file by name, in its order, and the dictionaries they are in.

    Names of nested dictionaries are joined by dots; those of optimisers are left out.

    Raises:
        InputError: for a broken file, TorchScript, and a pickle that asks for anything
            but tensors.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            archive = _Archive(opened, path.stat().st_size)
            if archive.has("constants.pkl") or archive.has("code/"):
                raise InputError(
                    f"{source}, a TorchScript program",
                    "it holds code beside the weights",
                    FIX,
                )
            states = _states(unpickled(archive.record("data.pkl"), source), source)
            arrays = {}
            for part, state in states.items():
                for name, value in state.items():
                    whole = f"{part}.{name}" if part else name
                    arrays[whole] = _array(archive, name, value)
            return arrays, tuple(part for part in states if part)
    except InputError:
        raise
    except _BROKEN_ZIP as error:
        raise broken(source, error) from error


def _array(archive: _Archive, name: str, value: Any) -> np.ndarray:
    if not isinstance(value, View):
        # Numbers and words beside tensors may matter, so they are not dropped here.
        number = isinstance(value, int | float) and abs(value) < 2**63
        return np.asarray(value if number else str(value))
    try:
        return archive.array(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"tensor {name!r}: {error}") from error


def _states(root: Any, source: str) -> dict[str, dict[str, Any]]:
    """The dictionaries that hold tensors, by where they are; the root is ''."""
    if not isinstance(root, dict):
        what = "one tensor" if isinstance(root, View) else type(root).__name__
        raise InputError(f"{source} with {what}", "it is no dictionary of tensors", FIX)
    states: dict[str, dict[str, Any]] = {}
    seen: set[int] = set()

    def walk(value: Any, where: tuple[str, ...]) -> None:
        # A file can hold a dictionary in itself, and one in many places.
        if id(value) in seen or len(where) > _DEEPEST:
            return
        seen.add(id(value))
        state: Any = (
            dict(enumerate(value)) if isinstance(value, list | tuple) else value
        )
        if not isinstance(state, dict) or _OPTIMISER in state:
            return
        if any(isinstance(item, View) for item in state.values()):
            states[".".join(where)] = state
            return
        for name, item in state.items():
            walk(item, (*where, str(name)))

    walk(root, ())
    if not states:
        what = ", ".join(map(repr, list(root)[:6])) or "nothing"
        raise InputError(f"{source} with {what}", "it holds no tensors by name", FIX)
    for state in states.values():
        strange = [
            name
            for name, value in state.items()
            if not isinstance(value, View) and not isinstance(value, _PLAIN)
        ]
        if strange:
            raise InputError(
                f"{source} with {', '.join(map(repr, strange[:6]))} beside tensors",
                "a state dict holds tensors alone",
                FIX,
            )
    return {part: _unwrapped(state) for part, state in states.items()}


def _unwrapped(state: dict[Any, Any]) -> dict[str, Any]:
    named = {str(name): value for name, value in state.items()}
    for start in _WRAPPERS:
        if all(name.startswith(start) for name in named):
            named = {name.removeprefix(start): v for name, v in named.items()}
    return named
