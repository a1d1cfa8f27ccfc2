"""The box of ``jaxbias radius --box``: two numbers, or a file with low and high."""

import math
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError
from jaxbias._paths import exists, shown
from jaxbias.cli_csv import read_table
from jaxbias.cli_points import is_zip, only_arrays

_SHOWN = 8
_BOX = "--box 0 1, or --box box.npz from numpy.savez('box.npz', low=..., high=...)"


def box_of(words: tuple[str, ...] | None) -> tuple[Any, Any] | None:
    """The box that ``--box`` names: two numbers, or one file with low and high.

    Raises:
        InputError: for anything else.
    """
    if words is None:
        return None
    given = f"--box {' '.join(map(shown, words))}"
    if len(words) == 2:
        try:
            low, high = (float(word) for word in words)
        except ValueError:
            why = "two words are the lowest and the highest input, as numbers"
            raise InputError(given, why, _BOX) from None
        if math.isnan(low) or math.isnan(high):
            raise InputError(given, "nan is no end of a box", _BOX)
        return low, high
    if len(words) != 1:
        raise InputError(given, "it takes two numbers or one file", _BOX)
    path = Path(words[0])
    if not exists(path, given) or path.is_dir():
        why = "one word is a file, and there is no such file"
        raise InputError(given, why, _BOX)
    return _box_from(path, given)


def _box_from(path: Path, given: str) -> tuple[Any, Any]:
    import numpy as np

    from jaxbias._files import load_arrays

    if is_zip(path, given):
        only_arrays(path, given)
        named = list(load_arrays(path, given).items())
    else:
        table = read_table(path, given, infinite=True)
        named = list(zip(table.names or (), table.values.T, strict=False))
    listed = ", ".join(name for name, _ in named[:_SHOWN]) or "no names"
    found = {}
    for end in ("low", "high"):
        ends = [array for name, array in named if name.strip().casefold() == end]
        if len(ends) != 1:
            why = "it holds low and high, numbers or one for each input"
            if ends:
                why = f"{len(ends)} of them are called {end}"
            raise InputError(f"{given} with {listed}", why, _BOX)
        [found[end]] = ends
    low, high = (np.asarray(found[name]) for name in ("low", "high"))
    for end in (low, high):
        if end.dtype.kind not in "biuf" or np.isnan(end).any():
            raise InputError(given, "low and high are arrays of numbers", _BOX)
    return low.reshape(-1) if low.ndim else low, high.reshape(-1) if high.ndim else high
