"""Networks in NumPy's ``.npz``, and files that are written whole or not at all."""

import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of
from jaxbias.networks._checked_weights import AS_ARRAYS, reason
from jaxbias.networks._layers import Contents
from jaxbias.networks.activations import Activation, LeakyReLU, Power, PReLU, ReLU

_ACTIVATIONS: dict[str, Any] = {
    kind.__name__: kind for kind in (ReLU, LeakyReLU, PReLU, Power)
}
_SETTINGS = ("activation", "exponent", "leak", "frozen", "normalise_inputs")
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_arrays(path: Path, source: str) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``, in the order of the file and without pickles.

    Raises:
        InputError: for a broken file and for arrays of objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except BROKEN as error:
        raise InputError(
            source,
            f"its arrays cannot be read ({reason(error)})",
            "numpy.savez of arrays of numbers",
        ) from error


def write_arrays(path: Path, arrays: dict[str, Any]) -> Path:
    """Write an ``.npz`` whole or not at all.

    Raises:
        InputError: nothing can be written there; an older file stays as it was.
    """
    if not path.name or path.is_dir():
        raise InputError(f"path {str(path)!r}", "it is a folder", "a file in it")
    content = io.BytesIO()
    np.savez(content, **arrays)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if partial.is_file():
            partial.unlink(missing_ok=True)
        raise InputError(
            f"path {str(path)!r}",
            f"no file can be written there ({error.strerror})",
            "a file in a folder of your own",
        ) from error
    return path


def read_npz(path: Path, source: str, given: Activation | None) -> Contents:
    """The network in an ``.npz``; ``given`` decides what its exponent leaves open."""
    arrays = {
        name.replace("/", "."): array
        for name, array in load_arrays(path, source).items()
    }
    settings = {name: arrays.pop(name) for name in _SETTINGS if name in arrays}
    for name, value in settings.items():
        if value.shape:
            raise InputError(
                f"{source} with {name} of shape {value.shape}",
                "it is one value for the whole network",
                AS_ARRAYS,
            )
    return Contents(
        source,
        arrays,
        ordered=True,
        activation=_activation(settings, source, given),
        frozen=bool(settings.get("frozen", False)),
        normalise_inputs=bool(settings.get("normalise_inputs", False)),
    )


def settings_of(activation: Activation) -> dict[str, Any]:
    """An activation as the arrays that stand for it in an ``.npz``.

    Raises:
        InputError: for an activation that is none of the package's own.
    """
    name = type(activation).__name__
    if _ACTIVATIONS.get(name) is not type(activation):
        raise InputError(
            f"activation={activation!r}",
            f"a file can name {', '.join(_ACTIVATIONS)}",
            "one of these",
        )
    if isinstance(activation, LeakyReLU):
        return {"activation": name, "leak": float(activation.leak)}
    return {"activation": name, "exponent": float(activation.degree)}


def _activation(
    settings: dict[str, np.ndarray], source: str, given: Activation | None
) -> Activation | None:
    exponent = settings.get("exponent")
    if "activation" not in settings:
        if exponent is None:
            return None
        if given is not None and given.degree == exponent:
            return given
        if given is None and exponent == 1:
            return ReLU()
        raise InputError(
            f"{source} with exponent {exponent} and {given or 'no activation'}",
            "the exponent has to be the activation's, and several have the same one",
            f"activation=PReLU({exponent}) or activation=Power({exponent})",
        )
    name = str(settings["activation"])
    name = next(
        (known for known in _ACTIVATIONS if known.lower() == name.lower()), name
    )
    one_of("activation", name, _ACTIVATIONS)
    number = settings.get("leak" if name == "LeakyReLU" else "exponent")
    if name == "ReLU" and number in (None, 1):
        return ReLU()
    if name == "ReLU" or number is None or number.dtype.kind not in "iuf":
        raise InputError(
            f"{source} with activation {name!r} and the number {number}",
            "they do not make one function",
            "exponent= for PReLU and Power, leak= for LeakyReLU, none for ReLU",
        )
    return _ACTIVATIONS[name](float(number))
