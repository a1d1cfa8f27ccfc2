"""A process that computes batches of a sweep.

    python -m jaxbias.sweeps.worker FOLDER

Everything it needs stands in the folder's manifest. It takes batches that nobody else
has, writes their files, and ends when none is left, or when its standard input does: a
worker does not outlive who began it.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

# Of a worker that was left alone.
ORPHANED = 3


def main(arguments: list[str] | None = None) -> int:
    """Compute what is left of a folder's sweep."""
    parser = argparse.ArgumentParser(prog="python -m jaxbias.sweeps.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shard", help="2/3: only the second third of the runs")
    parser.add_argument("--core", type=int, help="the one core to run on")
    parser.add_argument("--module", action="append", default=[], help="may be loaded")
    parser.add_argument("--tied", action="store_true", help="end with standard input")
    given = parser.parse_args(arguments)
    if given.tied:
        # An interrupt is the caller's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_input, daemon=True).start()
    if given.core is not None and hasattr(os, "sched_setaffinity"):
        # Before XLA counts the cores that it may use.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {given.core})
    from jaxbias._checks import InputError
    from jaxbias.sweeps.resumed import compute_rest

    try:
        compute_rest(given.folder, given.shard, tuple(given.module))
    except InputError as error:
        parts = [error.got, error.why, error.fix]
        print(json.dumps(parts) if given.tied else error, file=sys.stderr)
        return 2
    return 0


def _end_with_input() -> None:
    with contextlib.suppress(OSError):
        # Not through sys.stdin, whose lock would be held when the worker ends.
        while os.read(0, 1024):
            pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
