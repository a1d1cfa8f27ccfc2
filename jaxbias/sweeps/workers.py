"""Several processes for one sweep, one a core, each with the folder's manifest alone.

They are started as commands: a pool that forks or spawns the caller would run its
script again, or hang under a notebook. Small sweeps stay in the caller.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxbias._checks import InputError, positive_int
from jaxbias.results.specs import spec_from_json, spec_to_json
from jaxbias.sweeps.bucket import Batch
from jaxbias.sweeps.plan import Plan

# Below that a worker would still be loading JAX when the caller is done.
LEAST_SECONDS = 20.0
_POLL = 0.1
_SHOWN = 4000


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def outside_modules(spec: Any) -> list[str]:
    """Modules outside of the package that a specification names."""
    found: set[str] = set()

    def look(tree: Any) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                if key in ("class", "object") and isinstance(value, str):
                    found.add(value.partition(":")[0])
                look(value)
        elif isinstance(tree, list):
            for value in tree:
                look(value)

    look(spec)
    return sorted(name for name in found if name.split(".")[0] != "jaxbias")


def why_alone(plan: Plan, experiment: Any, seconds: float, missing: int) -> str | None:
    """Why a sweep stays in the caller's process, if it does.

    Args:
        plan: Of the sweep.
        experiment: What is swept.
        seconds: Predicted work of what is missing.
        missing: Batches without a file.
    """
    if seconds < LEAST_SECONDS:
        return f"about {seconds:.1f} s of work are done sooner than workers start"
    if missing < 2:
        return "one batch is all that is missing"
    if jax.default_backend() != "cpu":
        return "one process uses a device"
    modules = outside_modules(plan.manifest["spec"])
    if "__main__" in modules:
        return "a worker cannot load what a script or notebook defines"
    try:
        again = spec_from_json(spec_to_json(experiment), modules)
    except InputError as error:
        return f"a worker cannot build the experiment: {error}"
    if again != experiment:
        return "a worker would build another experiment from the manifest"
    return None


def count_workers(
    workers: int | None, plan: Plan, experiment: Any, seconds: float, missing: int
) -> tuple[int, str]:
    """How many workers a sweep gets, and why.

    Args:
        workers: As many at most, also for little work; by default one a core.
        plan: Of the sweep.
        experiment: What is swept.
        seconds: Predicted work of what is missing.
        missing: Batches without a file.

    Raises:
        InputError: For fewer than one.
    """
    if workers is not None:
        positive_int("workers", workers)
        # Who asks for workers has them, if they can work at all.
        seconds = max(seconds, LEAST_SECONDS)
    wanted = len(cores()) if workers is None else workers
    if wanted == 1:
        return 1, "one was asked for" if workers else "there is one core"
    alone = why_alone(plan, experiment, seconds, missing)
    if alone is not None:
        return 1, alone
    return min(wanted, missing), "one a core" if workers is None else "as asked for"


def run_workers(
    folder: Path,
    count: int,
    shard: str | None,
    modules: Sequence[str],
    tell: Callable[[], None],
) -> None:
    """Let workers compute what is left of a folder's sweep, and wait for them.

    Args:
        folder: Of the sweep, with its manifest.
        count: How many.
        shard: Which part of the runs, if not all.
        modules: Outside of the package that they may load.
        tell: Called now and then while they work.

    Raises:
        InputError: What a worker refuses.
        RuntimeError: A worker died; the end of what it said.
    """
    with _started(folder, count, shard, modules) as (processes, said):
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes):
                break
            tell()
            time.sleep(_POLL)
        for process, file in zip(processes, said, strict=True):
            if process.poll():
                file.seek(0)
                _raise(process, file.read().decode(errors="replace"))


@contextlib.contextmanager
def _started(
    folder: Path, count: int, shard: str | None, modules: Sequence[str]
) -> Iterator[tuple[list[subprocess.Popen[bytes]], list[Any]]]:
    """The processes and files of what they say; all ended at the end."""
    command = [sys.executable, "-m", "jaxbias.sweeps.worker", str(folder), "--tied"]
    command += [] if shard is None else ["--shard", shard]
    command += [part for name in modules for part in ("--module", name)]
    mine = cores()
    with contextlib.ExitStack() as stack:
        cache = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
        if cache is None:
            cache = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            **os.environ,
            # What the caller can import, a worker can.
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        processes, said = [], []
        for number in range(count):
            file = stack.enter_context(tempfile.TemporaryFile())
            core = ["--core", str(mine[number % len(mine)])]
            process = subprocess.Popen(
                command + core, stdin=subprocess.PIPE, stdout=file, stderr=file,
                env=environment,
            )  # fmt: skip
            stack.callback(_end, process)
            processes.append(process)
            said.append(file)
        yield processes, said


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _raise(process: subprocess.Popen[bytes], said: str) -> None:
    if process.returncode == 2:
        raise InputError(*json.loads(said.strip().splitlines()[-1]))
    code = process.returncode
    how = f"signal {-code}" if code < 0 else f"status {code}"
    raise RuntimeError(
        f"a worker of the sweep ended with {how}; what was finished is kept, and the "
        f"same call goes on. It said:\n{said[-_SHOWN:]}"
    )


def missing_of(folder: Path | None, batches: Sequence[Batch]) -> list[Batch]:
    """Batches without a file."""
    if folder is None:
        return list(batches)
    return [batch for batch in batches if not (folder / batch.name).exists()]
