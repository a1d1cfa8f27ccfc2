"""Points for ``jaxbias radius``, told by the content of their file."""

import zipfile
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError
from jaxbias._paths import readable, shown
from jaxbias.cli_csv import read_table
from jaxbias.cli_table import LABELS

_INPUTS = ("inputs", "x", "images", "data", "features")
_SAVE = "numpy.savez(path, inputs=..., labels=...)"
_FILES = "an .npz with inputs and labels, or a .csv with a column called label"
_SHOWN = 8
FILE_OF_IT = "a file of its own, as in cat ... > FILE"


def points(
    path: Path, label: str | None = None, inputs: str | None = None
) -> tuple[Any, Any]:
    """Inputs (sample, feature) and labels (sample,) of a file.

    Images become rows; no number is rescaled.

    Args:
        path: an ``.npz``, or a table of text.
        label: the column or the array of the labels.
        inputs: the array of the inputs, in an ``.npz``.

    Raises:
        InputError: for a file that holds no such pair or several, or no numbers.
    """
    import numpy as np

    source = f"DATA {shown(path)}"
    if path.is_dir():
        raise InputError(source, "it is a folder", _FILES)
    if is_zip(path, source):
        rows, labels = _from_npz(path, source, label, inputs)
    elif inputs is not None:
        raise InputError(
            f"--inputs {inputs} for {source}",
            "it names an array of an .npz; in a table all columns but the label are "
            "inputs",
            "--label alone",
        )
    else:
        rows, labels = read_table(path, source).split(label)
    if rows.ndim < 2:
        raise InputError(
            f"{source} with inputs of shape {rows.shape}",
            "every point is a row of inputs, also where there is only one",
            "inputs of shape (points, features) and labels of shape (points,)",
        )
    for name, array in (("inputs", rows), ("labels", labels)):
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise InputError(
                f"{source} with {name} of type {array.dtype} and shape {array.shape}",
                "inputs and labels are arrays of numbers",
                _FILES,
            )
        if not np.isfinite(array).all():
            raise InputError(
                f"{source} with {name} that are NaN or infinite",
                "no distance is defined there",
                "a file without those rows",
            )
    if rows.ndim > 2:
        rows = rows.reshape(len(rows), -1)
    if labels.shape == (len(rows), 1):
        labels = labels[:, 0]
    return rows, labels


def is_zip(path: Path, source: str) -> bool:
    """Whether a file is a zip file, as an .npz is; refuse empty ones and an .npy."""
    readable(path, source, FILE_OF_IT)
    try:
        with path.open("rb") as file:
            head = file.read(6)
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise InputError(source, why, _FILES) from error
    if not head:
        raise InputError(source, "it is empty", _FILES)
    if head == b"\x93NUMPY":
        raise InputError(source, "an .npy is one array, and labels are another", _SAVE)
    return head.startswith(b"PK")


def _from_npz(
    path: Path, source: str, label: str | None, inputs: str | None
) -> tuple[Any, Any]:
    from jaxbias._files import load_arrays

    only_arrays(path, source)
    arrays = load_arrays(path, source)
    shown = [f"{name} {array.shape}" for name, array in arrays.items()]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    listed = f"{source} with {', '.join(shown[:_SHOWN]) or 'nothing'}{more}"
    found = {}
    for flag, given, names in (
        ("--inputs", inputs, _INPUTS),
        ("--label", label, LABELS),
    ):
        if given is not None and given not in arrays:
            raise InputError(
                listed, f"{flag} {given} is not among them", f"{flag} NAME of an array"
            )
        fits = [given] if given is not None else _called(arrays, names)
        found[flag] = fits
    if all(len(fits) == 1 for fits in found.values()):
        [rows], [labels] = found.values()
        if rows != labels:
            return arrays[rows], arrays[labels]
    same = inputs is not None and inputs == label
    if len(arrays) < 2 or same:
        raise InputError(listed, "inputs and labels are two arrays", _SAVE)
    guess = _pair(arrays, found)
    open_ = [flag.strip("-") for flag, fits in found.items() if len(fits) != 1]
    raise InputError(
        listed,
        f"which are the {' and the '.join(open_) or 'inputs and the label'} is not "
        "guessed",
        f"--inputs {guess[0]} --label {guess[1]}, if it is these",
    )


def _called(arrays: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [name for name in arrays if name.casefold() in names]


def _pair(arrays: dict[str, Any], found: dict[str, list[str]]) -> tuple[str, str]:
    """Two arrays that may be a pair: as many labels as rows, and test before train."""
    late = lambda name: "test" not in name.casefold()
    rows = sorted(found["--inputs"] or arrays, key=late)
    labels = sorted(found["--label"] or arrays, key=late)
    pairs = [
        (one, two)
        for one in rows
        for two in labels
        if one != two
        and arrays[one].ndim > 1
        and arrays[two].shape in ((len(arrays[one]),), (len(arrays[one]), 1))
    ]
    return pairs[0] if pairs else (rows[0], next(n for n in labels if n != rows[0]))


def only_arrays(path: Path, source: str) -> None:
    """Refuse other zip files by what they are; broken ones are told of later."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return
    if not names or all(name.endswith(".npy") for name in names):
        return
    what, fix = "a zip file of something but arrays", _FILES
    if any(name.endswith("data.pkl") for name in names):
        what, fix = "a file of PyTorch, and points come as arrays", _SAVE
    if "[Content_Types].xml" in names:
        what, fix = "a spreadsheet", "the table saved as CSV"
    raise InputError(source, f"it is {what}", fix)
