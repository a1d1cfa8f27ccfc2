"""The call that would read the arrays of an unknown layout."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxbias.networks._checked_weights import AS_ARRAYS

# Whether a matrix of this name is stored (in, out); other names tell nothing.
TRANSPOSED = {"weight": False, "hidden": False, "kernel": True, "output": True}
_ROLES = ("hidden", "output", "hidden_bias", "output_bias", "subtract")
_CENTRES = ("mean", "cent", "sub", "shift", "offset", "mu")
_LAST = ("out", "head", "last", "top", "class", "vote", "second")
_LAST_LETTERS = ("v", "a")
_LONGEST = 280
# All pairs are tried, each with a place for all others; of more arrays, so many would
# have to be ignored by name that the call is too long.
_MOST = 40


def working_call(arrays: dict[str, np.ndarray], naming: Any = None) -> str:
    """A call whose shapes fit, or the way to save arrays under our own names.

    It is the likeliest by the names, and no more: which array is what, only the caller
    knows.

    Args:
        arrays: by name.
        naming: names that are given already and kept.
    """
    if len(arrays) > _MOST:
        return AS_ARRAYS
    given = {} if naming is None else naming.named()
    calls = sorted(_calls(arrays, given), key=lambda call: call[0])
    if not calls:
        return AS_ARRAYS
    _, roles, ignored, transpose = calls[0]
    if naming is not None and naming.transpose is not None:
        transpose = naming.transpose
    words = [f"{role}={roles[role]!r}" for role in _ROLES if role in roles]
    shell = [
        f"--{role.replace('_', '-')} {roles[role]}" for role in _ROLES if role in roles
    ]
    if transpose is not None:
        words.append(f"transpose={transpose}")
        shell.append("--transpose" if transpose else "--no-transpose")
    if ignored:
        words.append(f"ignore={tuple(ignored)!r}")
        shell += [f"--ignore {name}" for name in ignored]
    said = " ".join(shell)
    if len(said) > _LONGEST:
        return AS_ARRAYS
    call = f"names as in read(path, activation, {', '.join(words)}), in a shell {said}"
    height, width = arrays[roles["hidden"]].shape
    if transpose is None or height != width:
        return call
    other = "--no-transpose" if transpose else "--transpose"
    return f"{call}, or {other} if it is stored the other way round"


def _calls(
    arrays: dict[str, np.ndarray], given: dict[str, str]
) -> Iterator[tuple[tuple[int, ...], dict[str, str], list[str], bool | None]]:
    """Calls whose shapes fit, each with what speaks against it."""
    places = {name: place for place, name in enumerate(arrays)}
    numbers = {
        name: array for name, array in arrays.items() if array.dtype.kind in "iuf"
    }
    numbers |= {n: a for n, a in arrays.items() if a.dtype.name == "bfloat16"}
    for hidden, matrix in numbers.items():
        if matrix.ndim != 2 or given.get("hidden", hidden) != hidden:
            continue
        for across in (False, True):
            neurons, features = matrix.shape[::-1] if across else matrix.shape
            leaf = hidden.rpartition(".")[2]
            odd = across != (leaf == "kernel")
            for output, readout in numbers.items():
                if output == hidden or given.get("output", output) != output:
                    continue
                if neurons not in readout.shape or readout.ndim not in (1, 2):
                    continue
                wide = readout.shape[0] if readout.shape[-1] == neurons else 0
                classes = 1 if readout.ndim == 1 else wide or readout.shape[1]
                roles = {**given, "hidden": hidden, "output": output}
                ignored = _rest(numbers, roles, (neurons, features, classes))
                ignored += [name for name in arrays if name not in numbers]
                used = matrix.shape, readout.shape
                if not all(_idle(arrays[name], used) for name in ignored):
                    continue
                square = readout.shape == (neurons, neurons)
                plain = TRANSPOSED.get(leaf) is across and (
                    not square or output.rpartition(".")[2] in TRANSPOSED
                )
                against = (
                    len([n for n in ignored if arrays[n].ndim > 1]),
                    _biased(output) or _central(output),
                    "subtract" in roles and not _central(roles["subtract"]),
                    _last(hidden),
                    odd,
                    len(ignored),
                    readout.ndim == 1 and not _last(output),
                    places[hidden] > places[output],
                )
                state = None if plain else across
                yield tuple(map(int, against)), roles, ignored, state
            if len(arrays) == 1 and neurons % 2 == 0:
                against = (0, int(odd))
                yield against, {"hidden": hidden, "output": "halves"}, [], across


def _rest(
    arrays: dict[str, np.ndarray],
    roles: dict[str, str],
    sizes: tuple[int, int, int],
) -> list[str]:
    """Gives the other arrays places by shape and name; returns what has none."""
    neurons, features, classes = sizes
    ignored = []
    for name, array in arrays.items():
        if name in roles.values() or name == "mask":
            continue
        fits = [
            role
            for role, shapes in (
                ("subtract", ((features,),)),
                ("hidden_bias", ((neurons,),)),
                ("output_bias", ((classes,), ())),
            )
            if array.shape in shapes
            and role not in roles
            and (array.ndim or (classes == 1 and _biased(name)))
        ]
        central = _central(name)
        fits.sort(key=lambda role: (role == "subtract") is not central)
        if not fits:
            ignored.append(name)
        else:
            roles[fits[0]] = name
    return ignored


def _idle(array: np.ndarray, used: tuple[tuple[int, ...], ...]) -> bool:
    """Whether an array may be left out: a count, a word, another copy of a matrix.

    Vectors are not: those of a normalisation are part of the function.
    """
    number = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    return array.shape in used if array.ndim else not number


def _biased(name: str) -> bool:
    leaf = name.rpartition(".")[2].casefold()
    return "bias" in leaf or leaf.rstrip("_0123456789") in ("b", "c")


def _central(name: str) -> bool:
    return any(part in name.casefold() for part in _CENTRES)


def _last(name: str) -> bool:
    low = name.casefold()
    leaf = low.rpartition(".")[2].rstrip("_0123456789")
    return leaf in _LAST_LETTERS or any(part in low for part in _LAST)
