"""The state of an unfinished batch, in a hidden file beside the finished ones.

It is removed with its batch: what is finished needs no state.
"""

import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxbias._files import replace_whole

# What a kill may lose, and what the state of one batch may take on the disk.
EVERY_SECONDS = 30.0
MOST_BYTES = 2 * 2**30
_SUFFIX = ".state"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class Checkpoint:
    """Where one batch keeps its state.

    Args:
        folder: of the sweep.
        name: of the batch and its part.
        spec_hash: of the sweep; a state of another one is not taken up.
    """

    def __init__(self, folder: Path, name: str, spec_hash: str):
        self._path = folder / f".{name}{_SUFFIX}"
        self._spec = spec_hash
        self._last = time.monotonic()

    def load(self) -> dict[str, np.ndarray] | None:
        """What was saved last; None where there is nothing that can be used."""
        try:
            content = io.BytesIO(self._path.read_bytes())
            with np.load(content, allow_pickle=False) as found:
                arrays = dict(found)
        except _UNREADABLE:
            return None
        return arrays if str(arrays.pop("spec", "")) == self._spec else None

    def save(self, make: Callable[[], dict[str, np.ndarray]]) -> None:
        """Save a state, unless the last one is young or the state is too large.

        A disk that is full loses the state, not the run.
        """
        if time.monotonic() - self._last < EVERY_SECONDS:
            return
        arrays = make()
        if sum(array.nbytes for array in arrays.values()) <= MOST_BYTES:
            content = io.BytesIO()
            # Strings as fixed-width text, never as pickled objects.
            np.savez(content, spec=np.asarray(self._spec), **arrays)  # pyright: ignore[reportArgumentType]
            try:
                replace_whole(self._path, content.getvalue())
            except OSError:
                pass
        self._last = time.monotonic()


def remove_states(folder: Path, batch: str) -> None:
    """Remove the states of a batch that is finished."""
    for path in folder.glob(f".{batch}.*{_SUFFIX}"):
        path.unlink(missing_ok=True)
