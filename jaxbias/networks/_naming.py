"""Networks whose arrays the caller names, of any layout."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxbias._checks import InputError
from jaxbias.networks._checked_weights import checked_weights
from jaxbias.networks._layers import (
    Contents,
    Named,
    matrices_of,
    readout_given,
    shapes_of,
)
from jaxbias.networks._suggestion import TRANSPOSED, working_call
from jaxbias.networks.weights import Weights

_MOST_IGNORED = 12
_ROLES = {
    "hidden": ((2,), "a matrix of (neurons, features), or the other way round"),
    "output": ((1, 2), "a vector of one weight a neuron, or a matrix"),
    "hidden_bias": ((1,), "a vector of one number a neuron"),
    "output_bias": ((0, 1), "one number, or a vector of one number an output"),
}


@dataclass(frozen=True)
class Naming:
    """The names that a caller gives to arrays of a file.

    Attributes:
        hidden: the matrix of the first layer.
        output: the readout.
        hidden_bias: of the neurons.
        output_bias: of the outputs.
        transpose: whether the matrices are stored (in, out).
        subtract: what is taken off every input.
        ignore: arrays that are no part of the function.
    """

    hidden: str | None = None
    output: str | None = None
    hidden_bias: str | None = None
    output_bias: str | None = None
    transpose: bool | None = None
    subtract: str | None = None
    ignore: tuple[str, ...] = ()

    @property
    def layers(self) -> bool:
        """Whether anything is said of the layers themselves."""
        roles = self.hidden, self.output, self.hidden_bias, self.output_bias
        return any(role is not None for role in (*roles, self.transpose))

    def named(self) -> dict[str, str]:
        """The names that are given, by what they are for."""
        roles = ("hidden", "output", "hidden_bias", "output_bias", "subtract")
        return {r: name for r in roles if (name := getattr(self, r)) is not None}


@dataclass(frozen=True)
class _Fit:
    """One way to read the matrices: which of them are stored (in, out)."""

    hidden: bool
    output: bool | None


def set_apart(contents: Contents, naming: Naming) -> tuple[Contents, np.ndarray | None]:
    """The contents without what is ignored and subtracted, and the latter.

    Raises:
        InputError: a name that is not there, or that is given twice.
    """
    arrays = dict(contents.arrays)
    wanted = [*naming.named().items(), *(("ignore", name) for name in naming.ignore)]
    for role, name in wanted:
        if not isinstance(name, str) or name not in arrays:
            options = [*arrays, *["halves"] * (role == "output")]
            close = difflib.get_close_matches(str(name), options, n=1)
            raise InputError(
                f"{role}={name!r} for {contents.source}",
                f"its arrays are {shapes_of(arrays) or 'none'}",
                f"{role}={(close or options or ['...'])[0]!r}",
            )
    names = [name for _, name in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{twice!r} given twice for {contents.source}",
            "an array has one place in the function",
            working_call(arrays),
        )
    for name in naming.ignore:
        del arrays[name]
    centre = None if naming.subtract is None else arrays.pop(naming.subtract)
    return replace(contents, arrays=arrays), centre


def named_weights(
    contents: Contents, naming: Naming, output: Any, centre: np.ndarray | None
) -> Weights:
    """The network of the named arrays; what is not named has to be plain.

    Args:
        contents: without what is ignored and subtracted.
        naming: the names.
        output: a readout that is no array of the file.
        centre: what is subtracted, whose length can tell the orientation.

    Raises:
        InputError: for arrays that do not fit, orientations that shapes leave open,
            and arrays that are neither named nor ignored.
    """
    arrays, source = contents.arrays, contents.source
    _dimensions(contents, naming)
    whole = _completed(contents, naming, output)
    used = set(whole.named().values())
    mask = arrays.get("mask")
    left = {n: a for n, a in arrays.items() if n not in used and n != "mask"}
    if left:
        raise InputError(
            f"{source} with {shapes_of(left)}, not named",
            "without them it may be another function",
            (
                " ".join(f"--ignore {name}" for name in left) + ", if that is so; or "
                if len(left) <= _MOST_IGNORED
                else ""
            )
            + working_call(arrays, whole),
        )
    take = lambda name: None if name is None else arrays[name]
    hidden, bias, shift = map(
        take, (whole.hidden, whole.hidden_bias, whole.output_bias)
    )
    assert hidden is not None
    fit = _settled(list(_fits(arrays, whole, output, centre)), contents, whole)
    matrix = hidden.T if fit.hidden else hidden
    if whole.output is None:
        readout = readout_given(output, matrix, source)
    else:
        readout = arrays[whole.output]
        if readout.ndim == 2 and not fit.output:
            readout = readout.T
    return checked_weights(matrix, readout, bias, shift, source, mask)


def _dimensions(contents: Contents, naming: Naming) -> None:
    """Refuse a vector where a matrix is named, and the like."""
    for role, name in naming.named().items():
        fits, what = _ROLES.get(role, ((), ""))
        shape = contents.arrays[name].shape if name in contents.arrays else None
        if fits and shape is not None and len(shape) not in fits:
            raise InputError(
                f"{role}={name!r} of shape {shape} for {contents.source}",
                f"it is {what}",
                working_call(contents.arrays),
            )


def _completed(contents: Contents, naming: Naming, output: Any) -> Naming:
    """The naming with plain layers and the biases beside them filled in."""
    hidden, readout = naming.hidden, naming.output
    taken = set(naming.named().values())
    if hidden is None:
        hidden = _only(contents, "hidden", taken, naming)
    if readout is None and output is None:
        readout = _only(contents, "output", taken | {hidden}, naming)
    whole = replace(naming, hidden=hidden, output=readout)
    for role, layer in (("hidden_bias", hidden), ("output_bias", readout)):
        if getattr(whole, role) is None and layer is not None:
            prefix, dot, leaf = layer.rpartition(".")
            beside = f"{prefix}{dot}bias" if leaf in ("weight", "kernel") else role
            if beside in contents.arrays and beside not in whole.named().values():
                whole = replace(whole, **{role: beside})
    return whole


def _only(contents: Contents, role: str, taken: set[str], naming: Naming) -> str:
    if role in contents.arrays and role not in taken:
        return role
    found = [name for name in matrices_of(contents.arrays) if name not in taken]
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"{contents.source} with {shapes_of(contents.arrays) or 'no array'}",
        f"which of them is the {role} layer is not guessed",
        working_call(contents.arrays, naming),
    )


def _fits(
    arrays: Named, naming: Naming, output: Any, centre: np.ndarray | None
) -> Iterator[_Fit]:
    """All ways to read the matrices that the shapes allow."""
    assert naming.hidden is not None
    hidden = arrays[naming.hidden]
    if hidden.ndim != 2:
        return
    for across in (False, True) if naming.transpose is None else (naming.transpose,):
        neurons, features = hidden.shape[::-1] if across else hidden.shape
        if naming.hidden_bias and arrays[naming.hidden_bias].shape != (neurons,):
            continue
        if centre is not None and centre.size not in (1, features):
            continue
        if naming.output is None:
            if isinstance(output, str) or len(np.atleast_1d(output)) == neurons:
                yield _Fit(across, None)
            continue
        readout = arrays[naming.output]
        if readout.shape == (neurons,):
            yield _Fit(across, None)
        if readout.ndim != 2:
            continue
        shift = None if naming.output_bias is None else arrays[naming.output_bias]
        for columns in (False, True):
            classes, width = readout.shape[::-1] if columns else readout.shape
            single = readout.shape == (1, 1) and columns
            if width == neurons and not single:
                if shift is None or shift.size == classes:
                    yield _Fit(across, columns)


def _settled(fits: list[_Fit], contents: Contents, naming: Naming) -> _Fit:
    """The one way that is left after what names and the caller say."""
    assert naming.hidden is not None
    roles = [role for role in (naming.hidden, naming.output) if role is not None]
    told = shapes_of({name: contents.arrays[name] for name in roles})
    if not fits:
        raise InputError(
            f"{contents.source} with {told}",
            "these shapes do not fit together so, nor the biases to them",
            working_call(contents.arrays),
        )
    known = [TRANSPOSED.get(role.rpartition(".")[2]) for role in roles]
    known += [None] * (2 - len(known))
    if naming.transpose is not None:
        known[0] = naming.transpose
        known[1] = naming.transpose if known[1] is None else known[1]
    for place, side in ((0, "hidden"), (1, "output")):
        agree = [f for f in fits if getattr(f, side) in (None, known[place])]
        if known[place] is not None and agree:
            fits = agree
    if len(fits) == 1:
        return fits[0]
    raise InputError(
        f"{contents.source} with {told}",
        "these shapes fit both as (outputs, inputs) and as (inputs, outputs)",
        "transpose=False for the first or transpose=True for the second, in a shell "
        "--no-transpose or --transpose",
    )
