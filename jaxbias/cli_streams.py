"""The standard streams when they are closed, full, or without a reader.

A result that cannot be written is a failure with a status of its own; a line about
progress that cannot be written is none.
"""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jaxbias._checks import InputError


class OutputLost(Exception):
    """Raised where standard output cannot be written.

    It is no OSError, which libraries that print would take for one of their own.

    Attributes:
        reader_left: whether the other end of a pipe was closed.
        why: what the system says.
    """

    def __init__(self, error: OSError):
        super().__init__(str(error))
        self.reader_left = error.errno == errno.EPIPE
        self.why = error.strerror or str(error)

    def as_input_error(self) -> InputError:
        """The line for the user."""
        return InputError(
            "standard output",
            f"it cannot be written ({self.why})",
            "a file where there is room, as in > FILE",
        )


class _Stream:
    """A text stream that says when it could not be written.

    Args:
        stream: the stream itself; what is not writing is its own.
        failed: called with the error.
    """

    def __init__(self, stream: Any, failed: Callable[[OSError], None]):
        self._stream, self._failed = stream, failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)


def prepare_streams() -> None:
    """Put this process's streams into a state in which any text can be written.

    The null device is opened wherever one of the three descriptors is closed: else the
    next file that is opened becomes standard output or error, and what C libraries say
    there is written into it. A character that the encoding lacks becomes a "?".
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free descriptor is the one that is given.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        # `print(..., file=None)` would go to standard output.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


@contextmanager
def checked_streams() -> Iterator[None]:
    """Raise OutputLost for standard output; fall silent where standard error is lost.

    Raises:
        InputError: standard output is closed.
        OutputLost: it cannot be written.
    """
    out, err = sys.stdout, sys.stderr
    if out is None:
        raise InputError(
            "standard output", "it is closed, and results go there", "> /dev/null"
        )

    def lost(error: OSError) -> None:
        raise OutputLost(error)

    def unheard(_: OSError) -> None:
        # What is still in the buffer would fail once more when Python closes it.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), err.fileno())

    sys.stdout, sys.stderr = _Stream(out, lost), _Stream(err, unheard)
    try:
        yield
        sys.stdout.flush()
    except InputError:
        # The process may end without Python's shutdown, which would flush.
        with suppress(OutputLost):
            sys.stdout.flush()
        raise
    finally:
        sys.stdout, sys.stderr = out, err


def say(error: InputError) -> None:
    """One line on standard error, if somebody can read it."""
    with suppress(OSError):
        print("jaxbias:", " ".join(str(error).split()), file=sys.stderr, flush=True)
