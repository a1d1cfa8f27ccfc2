"""A method in a process of its own: pinned, single-threaded, timed from inside."""

import importlib
import multiprocessing
import os
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxbias.benchmarks.names import METHODS

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MEGABYTE = 1024.0


class Run(NamedTuple):
    """One run of all seeds.

    Attributes:
        seconds: process CPU time.
        outputs: (seed, row) on the workload's fresh rows.
        finished: whether every seed reached the final time.
        evaluations: full-batch gradients a seed.
        peak_megabytes: highest resident memory above what libraries and data hold.
    """

    seconds: float
    outputs: np.ndarray
    finished: bool
    evaluations: float
    peak_megabytes: float


class Worker:
    """One method on one workload, in its own process until closed.

    Args:
        method: a key of ``METHODS``.
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
        self._process.start()
        theirs.close()

    def prepare(self, setting: dict | str, seeds: tuple[int, ...]) -> float:
        """Make a setting ready and return the seconds of compiling.

        ``"tight"`` is the reference solution.
        """
        return self._ask("prepare", setting, seeds)

    def run(self) -> Run:
        """Run what was made ready last."""
        return Run(*self._ask("run"))

    def _ask(self, *message: Any) -> Any:
        try:
            self._pipe.send(message)
            failed, answer = self._pipe.recv()
        except (EOFError, BrokenPipeError):
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
    """Answer until the pipe is closed."""
    _pin_to_one_core()
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    from jaxbias.benchmarks.workloads import workload

    load, module = workload(workload_name), importlib.import_module(METHODS[method])
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
                setting, seeds = details
                load.problems(seeds, "float32")
                held = _resident("VmRSS")
                if setting == "tight":
                    prepared = module.tight(load, seeds)
                else:
                    prepared = module.prepare(load, seeds, setting)
                answer = prepared.compile_seconds
            else:
                start = time.process_time()
                trained = prepared.run()
                seconds = time.process_time() - start
                peak = _resident("VmHWM") - held
                outputs = load.outputs(seeds, trained.hidden, trained.output)
                answer = seconds, outputs, trained.finished, trained.evaluations, peak
        except Exception:
            # The parent raises it again: a failed baseline is not a slow one.
            pipe.send((True, traceback.format_exc()))
        else:
            pipe.send((False, answer))


def _pin_to_one_core() -> None:
    """Before any numerical library starts its threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in _THREADS:
        os.environ[name] = "1"


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
