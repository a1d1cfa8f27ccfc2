"""What is at a path, before it is read or replaced: a file, a folder, or neither."""

import errno
import os
import stat
from pathlib import Path

from jaxbias._checks import InputError

_SHOWN = 80
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def shown(path: str | os.PathLike[str]) -> str:
    """A path for one line of text: of a very long one, its two ends."""
    text = str(path)
    if len(text) <= 2 * _SHOWN:
        return text
    return f"{text[:_SHOWN]}...{text[-_SHOWN:]}"


def state_of(path: Path, source: str | None = None) -> os.stat_result | None:
    """What the system says of a path, behind links; None where nothing is.

    ``Path.exists`` raises where a name is too long or a folder cannot be looked into.

    Args:
        path: a file, a folder, or nothing yet.
        source: how messages name it.

    Raises:
        InputError: the system refuses the path.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            source or f"path {shown(path)!r}",
            f"there is no looking there ({why})",
            "a path of shorter names, in folders that you may enter",
        ) from error


def exists(path: Path, source: str | None = None) -> bool:
    """Whether anything is at a path.

    Raises:
        InputError: the system refuses the path.
    """
    return state_of(path, source) is not None


def kind(state: os.stat_result) -> str | None:
    """What is neither a file nor a folder, in words; None for these two."""
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
        return None
    return next((word for is_it, word in _KINDS if is_it(state.st_mode)), "no file")


def readable(path: Path, source: str, fix: str) -> None:
    """Refuse pipes and devices: a file is read more than once, and they end.

    The first look at one would take bytes that the second one misses, and a pipe that
    nobody writes to would be waited for without end. What is not there passes.

    Raises:
        InputError: such a path, or one that the system refuses.
    """
    state = state_of(path, source)
    what = None if state is None else kind(state)
    if what is not None:
        raise InputError(
            source,
            f"it is {what}, and a file is read from its beginning more than once",
            fix,
        )


def same(first: Path, second: Path) -> bool:
    """Whether two paths are one file, by whatever names and links."""
    one, two = state_of(first), state_of(second)
    return one is not None and two is not None and os.path.samestat(one, two)


def destination(path: Path) -> Path:
    """The file that writing to a path makes or replaces, behind all links.

    Raises:
        OSError: a pipe or a device is there, or the system refuses the path.
    """
    try:
        state = os.stat(path)
    except FileNotFoundError:
        # Of a link that leads nowhere yet, the file is made where it leads.
        return Path(os.path.realpath(path))
    what = kind(state)
    if what is not None:
        # The rename would put a file in its place, and its readers would wait on.
        raise OSError(errno.EEXIST, f"it is {what}, and no file")
    return Path(os.path.realpath(path))
