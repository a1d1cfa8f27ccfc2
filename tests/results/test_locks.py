"""Whether somebody is at work in a folder, asked without disturbing them."""

import contextlib
import subprocess
import sys

import pytest

from jaxbias.results import locks
from jaxbias.results.locks import Work, work_in

HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_SH, 1, 1)
for byte in map(int, sys.argv[2:]):
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holding(folder, *numbers):
    """Another process, present in a folder and at work on batches of these numbers."""
    words = [str(folder / locks.LOCK), *(str(2 + number) for number in numbers)]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def test_the_bytes_are_those_that_sweeps_lock():
    from jaxbias.sweeps import sharing

    assert locks.LOCK == sharing.LOCK
    assert (0, 1, locks.FIRST_BATCH) == (
        sharing._PLAN,
        sharing._PRESENT,
        sharing._BATCHES,
    )


def test_nobody(tmp_path):
    assert work_in(tmp_path, 5) == Work(False, 0)
    (tmp_path / locks.LOCK).touch()
    assert work_in(tmp_path, 5) == Work(False, 0)


def test_processes_are_seen_by_the_batches_that_they_hold(tmp_path):
    with holding(tmp_path, 0, 3):
        assert work_in(tmp_path, 5) == Work(True, 2)
        with holding(tmp_path, 1, 4):
            assert work_in(tmp_path, 5) == Work(True, 4)
        assert work_in(tmp_path, 5) == Work(True, 2)
        # Locks beyond the plan's last batch are not batches.
        assert work_in(tmp_path, 3) == Work(True, 1)
    assert work_in(tmp_path, 5) == Work(False, 0)


def test_one_between_two_batches_is_at_work_too(tmp_path):
    with holding(tmp_path):
        assert work_in(tmp_path, 5) == Work(True, 0)


def test_a_killed_process_is_gone(tmp_path):
    with holding(tmp_path, 0) as process:
        process.kill()
        process.wait(timeout=60)
        assert work_in(tmp_path, 5) == Work(False, 0)


def test_looking_drops_no_lock_of_this_process(tmp_path):
    from jaxbias.sweeps.sharing import Claims

    claims = Claims(tmp_path)
    try:
        claims.enter()
        assert claims.take(locks.FIRST_BATCH, wait=False)
        assert work_in(tmp_path, 5) == Work(True, None)
        code = (
            "import sys; from pathlib import Path\n"
            "from jaxbias.results.locks import work_in\n"
            "assert 'jax' not in sys.modules\n"
            "print(work_in(Path(sys.argv[1]), 5))"
        )
        seen = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
        )
        assert seen.stdout.strip() == "Work(present=True, batches=1)", seen.stderr
    finally:
        claims.close()


@pytest.mark.parametrize("lack", ["module", "locks"])
def test_without_locks_nothing_is_claimed(tmp_path, monkeypatch, lack):
    (tmp_path / locks.LOCK).touch()
    if lack == "module":
        monkeypatch.setattr(locks, "fcntl", None)
    else:

        def refuse(*_):
            raise OSError("no locks available")

        monkeypatch.setattr(locks.fcntl, "fcntl", refuse)
    assert work_in(tmp_path, 5) == Work(None, None)
