"""A method in a process of its own: pinned, single-threaded, timed from inside."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxbias.benchmarks.names import METHODS
from jaxbias.benchmarks.prepared import Answer

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MEGABYTE = 1024.0
_LEAST_SECONDS = 0.1


class Run(NamedTuple):
    """One run of all seeds.

    Attributes:
        seconds: process CPU time; a quick method runs until it has used a tenth of a
            second, and the mean counts.
        outputs: what the workload judges.
        finished: whether every seed went to its end.
        evaluations: full-batch gradients a seed.
        peak_megabytes: highest resident memory above what libraries and data hold.
        losses: training loss (seed, time), where it was asked for.
        scaled: from what the seconds are scaled, in words.
    """

    seconds: float
    outputs: np.ndarray
    finished: bool
    evaluations: float
    peak_megabytes: float
    losses: Any = None
    scaled: str = ""


class Worker:
    """One method on one workload, in its own process until closed.

    Args:
        method: a key of the workload's ``METHODS``.
        workload: a key of ``BENCHMARKS``.
        cache: folder of compiled programs; without one each is compiled afresh.
    """

    def __init__(self, method: str, workload: str, cache: str | None = None):
        # spawn: a fork would inherit JAX's threads without their owners.
        context = multiprocessing.get_context("spawn")
        self._method = method
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, method, workload, cache), daemon=True
        )
        # Where it is started with the process, it lets interrupts through again.
        resource_tracker.ensure_running()
        with _one_core(), _interrupts_held_back():
            self._process.start()
        theirs.close()

    def prepare(
        self, setting: dict | str, seeds: tuple[int, ...], record: bool = False
    ) -> float:
        """Make a setting ready and return the seconds of compiling.

        ``"tight"`` is the reference solution, ``"looser"`` one to tell its error by.
        With ``record`` a run is of all the work, and hands back the losses; without,
        it is what is timed.
        """
        return self._ask("prepare", setting, seeds, record)

    def run(self) -> Run:
        """Run what was made ready last."""
        return Run(*self._ask("run"))

    def _ask(self, *message: Any) -> Any:
        try:
            self._pipe.send(message)
            failed, answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            raise RuntimeError(f"{self._method} ended with status {code}") from None
        if failed:
            raise RuntimeError(f"{self._method} failed:\n{answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _serve(pipe: Any, method: str, workload_name: str, cache: str | None) -> None:
    """Answer until the pipe is closed; end at once, without a word, by Ctrl-C."""
    if hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    import jax

    # The other methods have no accelerator, and its time is not process time.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    from jaxbias.benchmarks.workloads import workload

    load = workload(workload_name)
    module = importlib.import_module(METHODS[workload_name][method])
    prepared: Any = None
    seeds: tuple[int, ...] = ()
    held = 0.0
    while True:
        try:
            order, *details = pipe.recv()
        except EOFError:
            return
        try:
            if order == "prepare":
                setting, seeds, record = details
                problems = load.problems(seeds, "float32")
                jax.block_until_ready(problems)
                held = _resident("VmRSS")
                # The method draws them again, and should not be charged for it.
                del problems
                _forget_peak()
                if setting == "tight":
                    prepared = module.tight(load, seeds)
                elif setting == "looser":
                    prepared = module.tight(load, seeds, 3.0)
                elif record:
                    prepared = module.prepare(load, seeds, setting, record=True)
                else:
                    prepared = module.prepare(load, seeds, setting)
                answer = prepared.compile_seconds
            else:
                seconds, found = _timed(prepared.run)
                peak = _resident("VmHWM") - held
                outputs = load.outputs(seeds[: found.seeds], found.solution)
                answer = (
                    seconds / prepared.share,
                    outputs,
                    found.finished,
                    found.evaluations,
                    peak,
                    found.losses,
                    prepared.scaled,
                )
        except Exception:
            # The parent raises it again: a failed baseline is not a slow one.
            pipe.send((True, traceback.format_exc()))
        else:
            pipe.send((False, answer))


def _timed(run: Callable[[], Answer]) -> tuple[float, Answer]:
    start, calls = time.process_time(), 0
    while True:
        answer = run()
        calls += 1
        seconds = time.process_time() - start
        if seconds >= _LEAST_SECONDS:
            return seconds / calls, answer


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """A process started here has one core and one thread, whatever it imports first."""
    before = {name: os.environ.get(name) for name in _THREADS}
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    if cores is not None:
        os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process started here hears of Ctrl-C only when it is ready for it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forget_peak() -> None:
    """Let VmHWM begin anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _resident(field: str) -> float:
    """Resident memory in megabytes, now (VmRSS) or at most so far (VmHWM).

    NaN where the system does not tell.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    told = [line.split()[1] for line in lines if line.startswith(field + ":")]
    return float(told[0]) / _MEGABYTE if told else float("nan")
