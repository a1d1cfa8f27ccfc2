"""Files that are written whole or not at all, and arrays in them."""

import io
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError, reason

# What NumPy raises for an archive that is cut short, damaged or none.
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def replace_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file such that no reader ever sees a part of it.

    The bytes go to a hidden file in the same folder, are synced to the disk and
    renamed; an older file of that name stays until then.

    Raises:
        OSError: nothing can be written there; the hidden file is gone.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError:
        if partial.is_file():
            partial.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    # Without this a power cut can undo the rename; not every system opens folders.
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def load_arrays(path: Path, source: str) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``, in the order of the file and without pickles.

    Raises:
        InputError: for a broken file and for arrays of objects.
    """
    try:
        # NumPy leaves a file that is no archive open; this one is closed here.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            return {name: np.asarray(archive[name]) for name in archive.files}
    except _BROKEN as error:
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
    try:
        replace_whole(path, content.getbuffer())
    except OSError as error:
        raise InputError(
            f"path {str(path)!r}",
            f"no file can be written there ({error.strerror})",
            "a file in a folder of your own",
        ) from error
    return path
