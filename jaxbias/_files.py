"""Files that are written whole or not at all, and arrays in them."""

import contextlib
import io
import os
import platform
import secrets
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError, reason
from jaxbias._paths import destination, shown

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

_PARTIAL = ".partial"


def replace_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file such that no reader ever sees a part of it.

    The bytes go to a hidden file in the same folder, whose name no other writer has,
    are synced to the disk and renamed; an older file of that name stays until then.
    Of writers at the same time the last one wins. What a killed writer left behind is
    hidden, and removed by the next one of that file. A link stays one: the file that it
    leads to is written.

    Raises:
        OSError: nothing can be written there, or no file but a pipe or a device is
            there; the hidden file is gone.
    """
    path = destination(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    own = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    partial = path.with_name(f"{_hidden(path)}{own}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        # Ctrl-C too must leave nothing behind.
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _hidden(path: Path) -> str:
    # A name of 255 bytes, the most there are, would have no room for the rest.
    return f".{path.name[:50]}."


def _machine() -> str:
    """Eight digits of this machine's name and of its numbering of processes."""
    try:
        # Containers of one machine may share its name.
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbering = ""
    return f"{zlib.crc32(f'{platform.node()} {numbering}'.encode()):08x}"


def _remove_abandoned(path: Path) -> None:
    """Remove hidden files of this path whose writers, on this machine, are dead."""
    if os.name != "posix":
        return
    start = f"{_hidden(path)}{_machine()}-"
    for name in os.listdir(path.parent):
        if name.startswith(start) and name.endswith(_PARTIAL):
            process = name.removeprefix(start).partition("-")[0]
            if process.isdecimal() and not _runs(int(process)):
                # Another writer may be removing it too, or it is somebody else's.
                with contextlib.suppress(OSError):
                    path.with_name(name).unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # It belongs to somebody else.
        return True
    return True


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all.

    Raises:
        InputError: nothing can be written there; an older file stays as it was.
    """
    try:
        replace_whole(path, text.encode())
    except OSError as error:
        raise InputError(
            f"path {shown(path)!r}",
            f"it cannot be written ({error.strerror or error})",
            "a folder that can be, and has room",
        ) from error
    return path


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
    if not path.name or os.path.isdir(path):
        raise InputError(f"path {str(path)!r}", "it is a folder", "a file in it")
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        replace_whole(path, content.getbuffer())
    except OSError as error:
        raise InputError(
            f"path {shown(path)!r}",
            f"no file can be written there ({error.strerror or error})",
            "a file in a folder of your own",
        ) from error
    return path
