"""MNIST from its four published files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of
from jaxbias._paths import exists
from jaxbias.data.idx import read_idx
from jaxbias.data.splits import Splits, splits

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
    return splits(
        {
            "train": (rows[0][cut[0]], files[1][cut[0]]),
            "validation": (rows[0][cut[1]], files[1][cut[1]]),
            "test": (rows[1], files[3]),
        },
        labels,
        centred,
        dtype,
    )


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)


def _folder(given: str | os.PathLike | None) -> Path:
    place = os.environ.get(FOLDER) if given is None else given
    if not place:
        raise InputError(
            f"MNIST without a folder, {FOLDER} being unset",
            "its files are not part of this package",
            f"export {FOLDER}=/path/to/data, where mnist/ holds its four .gz files",
        )
    for folder in (Path(place) / "mnist", Path(place)):
        if any(exists(folder / name) for name in _FILES):
            return folder
    raise InputError(
        f"folder {place}",
        "neither it nor its folder mnist/ holds a file of MNIST",
        f"a folder with {', '.join(_FILES)}",
    )
