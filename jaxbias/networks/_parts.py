"""Which of several networks in one file is meant."""

import difflib
from dataclasses import replace

import numpy as np

from jaxbias._checks import InputError
from jaxbias.networks._layers import Contents

_SHOWN = 8
_LEAVES = {"weight", "kernel", "bias"}


def chosen(contents: Contents, part: str | None) -> Contents:
    """The contents whose names begin with a part, or all where there is one network.

    Raises:
        InputError: several networks and no choice, or a part that is not there.
    """
    parts = contents.parts or _copies(contents.arrays)
    if part is None and len(parts) < 2:
        return contents if not parts else _below(contents, parts[0])
    if part is None:
        raise InputError(
            f"{contents.source} with {' and '.join(map(repr, parts[:_SHOWN]))}"
            f"{' and more' * (len(parts) > _SHOWN)}",
            "each may be the network, and which one is not guessed",
            f"part={parts[0]!r}, in a shell --part {parts[0]}",
        )
    below = _below(contents, part)
    if not below.arrays:
        first = sorted({name.partition(".")[0] for name in contents.arrays})
        known = list(parts) or first
        close = difflib.get_close_matches(part, parts, n=1)
        raise InputError(
            f"part={part!r} for {contents.source}",
            f"no name begins so, but with {', '.join(map(repr, known[:_SHOWN]))}",
            f"part={(close or parts)[0]!r}"
            if parts
            else "read(path, activation) without part=",
        )
    return below


def _below(contents: Contents, part: str) -> Contents:
    start = f"{part}."
    arrays = {
        name.removeprefix(start): array
        for name, array in contents.arrays.items()
        if name.startswith(start)
    }
    return replace(contents, arrays=arrays, parts=())


def _copies(arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    """First words under which there are two matrices each, or arrays alike."""
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, array in arrays.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = array.shape
    whole = [name for name, group in groups.items() if _matrices(group) > 1]
    alike = [
        name
        for name, group in groups.items()
        if not set(group) <= _LEAVES and list(groups.values()).count(group) > 1
    ]
    found = whole if len(whole) > 1 else alike
    return tuple(found) if len(found) > 1 else ()


def _matrices(group: dict[str, tuple[int, ...]]) -> int:
    leaves = [
        name.rpartition(".")[2] for name, shape in group.items() if len(shape) == 2
    ]
    return sum(leaf in ("weight", "kernel") for leaf in leaves)
