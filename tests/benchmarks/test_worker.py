"""A method in a process of its own: pinned, timed, and loud when it fails."""

import os
import pathlib
import signal
import time

import numpy as np
import pytest

from jaxbias.benchmarks.prepared import Answer
from jaxbias.benchmarks.worker import Worker, _timed

LOOSE = {"accuracy": "final outputs", "tolerance": 8.0}


@pytest.fixture(scope="module")
def worker():
    with Worker("ours", "S-p1") as one:
        yield one


def test_ctrl_c_ends_a_worker_without_a_word(capfd):
    with Worker("ours", "S-p1") as one:
        # While it starts: the signal waits until it is ready.
        os.kill(one._process.pid, signal.SIGINT)
        one._process.join(timeout=300)
        assert one._process.exitcode == -signal.SIGINT
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    assert capfd.readouterr().err == ""


def test_it_compiles_runs_and_measures(worker):
    compiling = worker.prepare(LOOSE, (0,))
    first, second = worker.run(), worker.run()
    assert compiling > 0.05
    assert first.finished
    assert first.outputs.shape == (1, 1000)
    assert 10 < first.evaluations < 200
    np.testing.assert_array_equal(first.outputs, second.outputs)
    assert 0 < second.seconds < 60
    assert first.peak_megabytes > 0 or np.isnan(first.peak_megabytes)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_it_is_pinned_to_one_core(worker):
    before = os.sched_getaffinity(0)
    with Worker("torch", "S-p1") as fresh:
        pids = worker._process.pid, fresh._process.pid
        for pid in pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                assert len(os.sched_getaffinity(int(task.name))) == 1
    assert os.sched_getaffinity(0) == before


def test_a_failure_keeps_its_traceback_and_the_worker(worker):
    with pytest.raises(RuntimeError, match="KeyError"):
        worker.prepare({"tolerance": 1.0}, (0,))
    worker.prepare(LOOSE, (0,))
    assert worker.run().finished


@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_a_killed_process_is_told_by_its_status(wait):
    with Worker("torch", "S-p1") as one:
        os.kill(one._process.pid, signal.SIGKILL)
        time.sleep(wait)
        with pytest.raises(RuntimeError, match="torch ended with status -9"):
            one.run()


@pytest.mark.parametrize(("burn", "least", "most"), [(0.01, 4, 10), (0.15, 1, 1)])
def test_quick_methods_run_until_a_tenth_of_a_second(burn, least, most):
    calls = []

    def run():
        calls.append(len(calls))
        end = time.process_time() + burn
        while time.process_time() < end:
            pass
        return Answer(calls[-1])

    seconds, answer = _timed(run)
    assert least <= len(calls) <= most
    assert burn <= seconds < 3 * burn
    assert answer.solution == len(calls) - 1
