"""Whether processes are at work in a sweep's folder, told from outside by its locks.

The locks are those of ``jaxbias.sweeps.sharing``, which needs JAX; here they are asked
for and never taken, so that looking disturbs nobody.
"""

import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".sweep.lock"
FIRST_BATCH = 2
# C's `struct flock` with 64-bit offsets, and where the answer's type and start are.
_LAYOUTS = {"linux": ("hhqqi4x", 0, 2), "darwin": ("qqihh", 3, 0)}


class Work(NamedTuple):
    """What processes do in a folder now.

    Args:
        present: Whether there is one, or None where that cannot be told.
        batches: How many batches are being computed, or None.
    """

    present: bool | None
    batches: int | None


def work_in(folder: Path, batches: int) -> Work:
    """Whether a process is at work in a sweep's folder, and on how many batches.

    Args:
        folder: Of the sweep.
        batches: How many batches it has.

    Returns:
        Unknown where the system or the file system has no locks to ask for. Processes
        of other machines are seen where the file system shares its locks.
    """
    path = Path(folder) / LOCK
    try:
        there = os.stat(path)
    except OSError:
        return Work(False, 0)
    if fcntl is None or sys.platform not in _LAYOUTS or struct.calcsize("P") != 8:
        return Work(None, None)
    if _opened_here(there):
        # To close the file here would drop every lock that this process has on it.
        return Work(True, None)
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return Work(None, None)
    try:
        end = FIRST_BATCH + batches
        if _first_locked(file, 0, end) is None:
            return Work(False, 0)
        count, byte = 0, _first_locked(file, FIRST_BATCH, end)
        while byte is not None:
            count, byte = count + 1, _first_locked(file, byte + 1, end)
        return Work(True, count)
    except OSError:
        return Work(None, None)
    finally:
        os.close(file)


def _opened_here(there: os.stat_result) -> bool:
    """Whether this process has the file open, as one that computes has."""
    for name in os.listdir("/dev/fd"):
        try:
            if os.path.samestat(os.fstat(int(name)), there):
                return True
        except OSError:
            # The listing's own descriptor is closed by now.
            continue
    return False


def _first_locked(file: int, start: int, end: int) -> int | None:
    """The first byte in [start, end) that another process has locked."""
    assert fcntl is not None
    found = None
    # The system names one lock of those in a range, in no promised order.
    while start < end:
        form, kind, begin = _LAYOUTS[sys.platform]
        values = [0] * len(form.replace("4x", ""))
        values[kind], values[begin], values[begin + 1] = (
            fcntl.F_WRLCK,
            start,
            end - start,
        )
        answer = struct.unpack(
            form, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *values))
        )
        if answer[kind] == fcntl.F_UNLCK:
            break
        found = end = max(start, answer[begin])
    return found
