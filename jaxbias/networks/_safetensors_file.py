"""Networks in safetensors files, which hold names, shapes and numbers and no code."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from jaxbias._checks import InputError, reason

SAVE = "safetensors.torch.save_file(model.state_dict(), 'network.safetensors')"
_LENGTH = 8
# The limit of the format's own reader.
_LONGEST_HEADER = 100_000_000
_BFLOAT16 = "BF16"
_WIDTHS = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    _BFLOAT16: "u2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}
_MOST_DIMENSIONS = 32


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins with a length below 2^32 and an opening brace."""
    return head[4:9] == b"\0\0\0\0{"


def read_safetensors(path: Path, source: str) -> dict[str, np.ndarray]:
    """The tensors of a file by name, after every claim about them is checked.

    Raises:
        InputError: for a file that is cut short, a header that is too long or no JSON,
            unknown types, and places that overlap, leave gaps or do not fit shapes.
    """
    try:
        content = path.read_bytes()
        header, data = _parts(content)
        entries = _entries(header, len(data))
        return {name: _array(data, *entry) for name, entry in entries.items()}
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            source, f"it is no complete safetensors file ({reason(error)})", SAVE
        ) from error


def _parts(content: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(content[:_LENGTH], "little")
    if length > min(_LONGEST_HEADER, len(content) - _LENGTH):
        raise ValueError(f"its header of {length} bytes is longer than the file")
    end = _LENGTH + length
    header = json.loads(
        content[_LENGTH:end].decode("utf-8"),
        object_pairs_hook=_once,
        parse_constant=_no_constant,
    )
    if not isinstance(header, dict):
        raise ValueError("its header is no dictionary")
    return header, memoryview(content)[end:]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("its header has a name twice")
    return names


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"its header holds {name}")


def _entries(
    header: dict[str, Any], size: int
) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Type, shape, first and last byte of every tensor; together they fill the file."""
    header.pop("__metadata__", None)
    entries = {}
    for name, claims in header.items():
        try:
            kind, shape = claims["dtype"], claims["shape"]
            begin, end = claims["data_offsets"]
        except (TypeError, KeyError, ValueError):
            raise ValueError(
                f"tensor {name!r} lacks its type, shape or place"
            ) from None
        if not isinstance(kind, str) or kind not in _WIDTHS:
            raise ValueError(f"tensor {name!r} is of type {kind!r}")
        whole = isinstance(shape, list) and all(
            type(number) is int and number >= 0 for number in (*shape, begin, end)
        )
        if not whole or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r} is not placed by whole numbers")
        count = math.prod(shape) * np.dtype(_WIDTHS[kind]).itemsize
        if not begin <= end <= size or end - begin != count:
            raise ValueError(
                f"tensor {name!r} of shape {tuple(shape)} is not in bytes {begin} "
                f"to {end} of {size}"
            )
        entries[name] = kind, tuple(shape), begin, end
    reached = 0
    for _, _, begin, end in sorted(entries.values(), key=lambda entry: entry[2:]):
        if begin != reached:
            raise ValueError("its tensors overlap or leave gaps")
        reached = end
    if reached != size:
        raise ValueError(f"{size - reached} of its bytes belong to no tensor")
    return entries


def _array(
    data: memoryview, kind: str, shape: tuple[int, ...], begin: int, end: int
) -> np.ndarray:
    element = np.dtype(_WIDTHS[kind])
    flat = np.frombuffer(data[begin:end], element.newbyteorder("<")).astype(element)
    if kind == _BFLOAT16:
        # The upper half of a float32.
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return flat.reshape(shape)
