"""A sweep's folder among processes: who has begun it, who computes which batch.

Locks on the bytes of one hidden file: the system drops them when their process ends,
however it ends, so a killed one blocks nobody. Where a file system has no locks every
batch counts as free: work is then done twice, and still written whole.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jaxbias._checks import InputError
from jaxbias.results.store import MANIFEST, read_manifest, write_manifest
from jaxbias.sweeps.bucket import Batch
from jaxbias.sweeps.plan import Plan, begun

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".sweep.lock"
_PLAN, _PRESENT, _BATCHES = 0, 1, 2
# More batches than this have no sweep.
_PROGRAMS = 2**31


class Claims:
    """What this process has laid claim to in a folder."""

    def __init__(self, folder: Path):
        self._path = folder / LOCK
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)

    def take(self, byte: int, *, wait: bool) -> bool:
        """Claim a byte for this process alone; whether that worked."""
        return self._lock(byte, wait=wait, otherwise=True)

    def alone(self) -> bool:
        """Whether it is certain that no other process works in the folder."""
        return self._lock(_PRESENT, wait=False, otherwise=False)

    def enter(self) -> None:
        """Be present, among others."""
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_SH, 1, _PRESENT)

    def release(self, byte: int) -> None:
        """Give a claim back."""
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    @contextlib.contextmanager
    def compiling(self, program: int) -> Iterator[None]:
        """Be the one process that compiles a program; others wait for its result."""
        self.take(_PROGRAMS + program, wait=True)
        try:
            yield
        finally:
            self.release(_PROGRAMS + program)

    def close(self) -> None:
        """Give all claims back."""
        os.close(self._file)

    def current(self) -> bool:
        """Whether others still find the file that is locked here."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def remove(self) -> None:
        """Remove the file; others notice by ``current``."""
        self._path.unlink(missing_ok=True)

    def _lock(self, byte: int, *, wait: bool, otherwise: bool) -> bool:
        if fcntl is None:
            return otherwise
        try:
            how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(self._file, how, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return otherwise
        return True


@contextlib.contextmanager
def joined(
    folder: Path, make: Callable[[dict | None], Plan], *, begun_here: bool = True
) -> Iterator[tuple[Plan, Claims]]:
    """The folder with its plan written, for as long as this process works in it.

    If that fails before a batch of it is there, the folder is left as it was found.

    Args:
        folder: Of the sweep; made if it is not there.
        make: The plan of the call, given the one that the folder has or None.
        begun_here: Whether a plan without any batch may be replaced by the call's.

    Raises:
        InputError: ``make`` refuses the folder's plan, or nothing can be written.
    """
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    claims = _first_claim(folder)
    before = plan = None
    try:
        # Another process may have begun or extended the sweep since this one looked.
        found = read_manifest(folder)
        unused = found is not None and not begun(folder, found)
        if begun_here and unused and claims.alone():
            before, found = found, None
        else:
            before = found
        plan = make(found)
        write_manifest(folder, plan.manifest)
        claims.enter()
        claims.release(_PLAN)
        yield plan, claims
    except BaseException:
        claims.take(_PLAN, wait=True)
        if plan is not None and claims.alone():
            _restore(folder, plan, before)
        raise
    finally:
        claims.take(_PLAN, wait=True)
        if claims.current() and claims.alone():
            claims.remove()
        claims.close()
        for path in absent:
            # Only what is empty goes, and only what this call has made.
            with contextlib.suppress(OSError):
                path.rmdir()


def _first_claim(folder: Path) -> Claims:
    """A claim to the plan, in a file that nobody has removed since."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            claims = Claims(folder)
        except FileNotFoundError:
            # Another process has failed, and has removed the folder that it had made.
            continue
        except OSError as error:
            raise InputError(
                f"folder {str(folder)!r}",
                f"a sweep cannot be written there ({error.strerror or error})",
                "a folder that can be written and has room",
            ) from error
        claims.take(_PLAN, wait=True)
        if claims.current():
            return claims
        claims.close()


def _restore(folder: Path, plan: Plan, before: dict | None) -> None:
    """Put the former plan back, unless there is a batch that only the new one has."""
    known = set(() if before is None else before["files"])
    new = [name for name in plan.manifest["files"] if name not in known]
    if any((folder / name).exists() for name in new):
        return
    if before is None:
        (folder / MANIFEST).unlink(missing_ok=True)
    else:
        write_manifest(folder, before)


def to_compute(
    folder: Path, claims: Claims, plan: Plan, mine: Sequence[Batch]
) -> Iterator[tuple[Batch, bool]]:
    """Each batch in turn, and whether it is this process that must compute it.

    Batches that others compute come last: each is waited for, and computed here if
    they have not left it.
    """
    place = {batch.name: _BATCHES + i for i, batch in enumerate(plan.batches)}
    there = lambda batch: (folder / batch.name).exists()
    busy = []
    for wait, batches in ((False, mine), (True, busy)):
        for batch in batches:
            byte = place[batch.name]
            if there(batch):
                yield batch, False
            elif claims.take(byte, wait=wait):
                # It may have been finished since.
                yield batch, not there(batch)
                claims.release(byte)
            else:
                busy.append(batch)
