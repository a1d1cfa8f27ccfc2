"""MNIST from its four published files, and precomputed features from one's own."""

import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxbias._checks import InputError, finite_array, one_of
from jaxbias._precision import float_dtype
from jaxbias.data.dataset import Dataset, from_classes
from jaxbias.data.idx import read_idx

FOLDER = "JAXBIAS_DATA"
_TRAINING = 50_000
_FILES = {
    "train-images-idx3-ubyte.gz": (
        3,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte.gz": (
        1,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        3,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        1,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}


#: What numpy raises for the ways in which an archive may be damaged.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


class Splits(NamedTuple):
    """A data set in the parts it is used in.

    Attributes:
        train: the rows to train on, whose mean centres all parts.
        validation: the rows to choose by; None where the source has none.
        test: the rows to report on.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset


def mnist(
    labels: str = "parity",
    *,
    folder: str | os.PathLike | None = None,
    divisor: int = 255,
    centred: bool = True,
    dtype: Any = None,
) -> Splits:
    r"""The 70,000 handwritten digits of 28 x 28 pixels.

    Training rows are the first 50,000 of the training file, validation rows its last
    10,000, as in the pickled version that min-vidal-2024 used (which calls the latter
    its test set). ``clusters`` holds the digit.

    Args:
        labels: ``"parity"`` (+1 for even digits, -1 for odd) or ``"class"`` (int32
            0 to 9).
        folder: where the four gzipped IDX files lie, or a folder with a folder
            ``mnist`` in it; what ``JAXBIAS_DATA`` names when left out.
        divisor: 255 maps pixels to [0, 1]; 256 is the pickled version's convention.
        centred: whether the mean training image is subtracted.
        dtype: float32 or float64.

    Raises:
        InputError: for unknown labels or another divisor, and for a missing folder or
            file, a wrong checksum, a truncated file, a wrong magic number.
    """
    if divisor not in (255, 256):
        raise InputError(
            f"divisor={divisor!r}", "pixels have 256 levels, 0 to 255", "divisor=255"
        )
    one_of("labels", labels, ("parity", "class"))
    found = _folder(folder)
    source = "the file of that name as Yann LeCun's page and its mirrors have it"
    files = [read_idx(found / n, *how, source=source) for n, how in _FILES.items()]
    rows = [_flat(image) / divisor for image in (files[0], files[2])]
    cut = slice(_TRAINING), slice(_TRAINING, None)
    return _splits(
        {
            "train": (rows[0][cut[0]], files[1][cut[0]]),
            "validation": (rows[0][cut[1]], files[1][cut[1]]),
            "test": (rows[1], files[3]),
        },
        labels,
        centred,
        dtype,
    )


def features(
    path: str | os.PathLike,
    labels: str = "class",
    *,
    centred: bool = True,
    dtype: Any = None,
) -> Splits:
    """Precomputed features from an ``.npz`` file.

    It holds ``train_inputs`` (sample, feature), ``train_labels`` (sample,) of integers
    from 0, the same for ``test`` and, if there are any, for ``validation``; such a
    file comes from ``numpy.savez_compressed(path, train_inputs=..., ...)``.

    Args:
        path: the file.
        labels: ``"class"`` (int32, as stored) or ``"parity"`` (+1 for even, -1 for
            odd classes).
        centred: whether the mean training row is subtracted.
        dtype: float32 or float64.

    Raises:
        InputError: for a missing or corrupt file, a missing array, rows and labels
            that do not match, and entries that are not finite.
    """
    one_of("labels", labels, ("parity", "class"))
    example = "numpy.savez_compressed(path, train_inputs=..., train_labels=...,"
    example += " test_inputs=..., test_labels=...)"
    try:
        # numpy leaves a file that is no archive open; this one is closed here.
        with open(path, "rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            stored = {name: file[name] for name in file.files}
    except _UNREADABLE as error:
        why = f"it is no readable .npz file ({error})"
        raise InputError(f"file {path}", why, example) from error
    parts = {}
    for part in Splits._fields:
        names = f"{part}_inputs", f"{part}_labels"
        if part == "validation" and not stored.keys() & set(names):
            continue
        missing = [name for name in names if name not in stored]
        if missing:
            why = f"it has no array {missing[0]!r}, only {', '.join(sorted(stored))}"
            raise InputError(f"file {path}", why, example)
        rows, classes = (stored[name] for name in names)
        _check_rows(part, rows, classes, parts.get("train"))
        parts[part] = rows, classes
    return _splits(parts, labels, centred, dtype)


def _check_rows(part: str, rows: np.ndarray, classes: np.ndarray, train: Any) -> None:
    if rows.ndim != 2 or rows.size == 0 or classes.shape != rows.shape[:1]:
        raise InputError(
            f"{part}_inputs of shape {rows.shape}, {part}_labels of {classes.shape}",
            "there is one row of features and one label a sample",
            "shapes (samples, dim) and (samples,)",
        )
    if train is not None and rows.shape[1] != train[0].shape[1]:
        raise InputError(
            f"{part}_inputs of {rows.shape[1]} features",
            f"train_inputs has {train[0].shape[1]}",
            f"{part}_inputs of shape ({len(rows)}, {train[0].shape[1]})",
        )
    if rows.dtype.kind not in "fiu":
        raise InputError(
            f"{part}_inputs of type {rows.dtype}",
            "features are real numbers",
            "float32",
        )
    finite_array(f"{part}_inputs", rows)
    if classes.dtype.kind not in "iu" or classes.min() < 0:
        least = f", least value {classes.min()}" if classes.dtype.kind in "iu" else ""
        raise InputError(
            f"{part}_labels of type {classes.dtype}{least}",
            "a class is an integer from 0",
            f"numpy.unique({part}_labels, return_inverse=True)[1]",
        )


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)


def _splits(parts: dict, labels: str, centred: bool, dtype: Any) -> Splits:
    dtype = float_dtype(dtype)
    mean = parts["train"][0].mean(axis=0, dtype=np.float64) if centred else 0.0

    def dataset(part: str) -> Dataset | None:
        if part not in parts:
            return None
        rows, classes = parts[part]
        return from_classes(rows - mean, classes, labels, dtype)

    train, validation, test = map(dataset, Splits._fields)
    assert train is not None
    assert test is not None
    return Splits(train, validation, test)


def _folder(given: str | os.PathLike | None) -> Path:
    place = os.environ.get(FOLDER) if given is None else given
    if not place:
        raise InputError(
            f"MNIST without a folder, {FOLDER} being unset",
            "its files are not part of this package",
            f"export {FOLDER}=/path/to/data, where mnist/ holds its four .gz files",
        )
    for folder in (Path(place) / "mnist", Path(place)):
        if any((folder / name).exists() for name in _FILES):
            return folder
    raise InputError(
        f"folder {place}",
        "neither it nor its folder mnist/ holds a file of MNIST",
        f"a folder with {', '.join(_FILES)}",
    )
