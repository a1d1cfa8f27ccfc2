"""What a sweep will take, told before it runs: programs, memory, files, time."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.experiments.experiment import Experiment
from jaxbias.sweeps.bucket import Batch, Bucket
from jaxbias.sweeps.costs import call_bytes, call_size
from jaxbias.sweeps.plan import Plan

PROGRAM = "program"
# Measured with an empty compile cache: Python, JAX and its compiler take 545 MB, and
# every program 62 more. Read from a filled cache, a program takes 170 MB less.
_BASE_BYTES, _PROGRAM_BYTES = 545_000_000, 62_000_000


def refuse_too_large(plan: Plan, returned: bool) -> None:
    """Refuse a plan of which one call takes more memory than this machine has.

    Raises:
        InputError: Naming the sizes that do not fit.
    """
    there = _machine_bytes()
    for batch in _one_of_each(plan.batches):
        needed = _call_bytes(batch, returned)
        if needed > there:
            bucket = batch.bucket
            work = bucket.experiment.work(bucket.widest or None)
            raise InputError(
                work.shown(),
                f"one call of their program takes about {needed / 2**30:,.1f} GiB of "
                f"memory, and this machine has {there / 2**30:,.1f}",
                "smaller sizes",
            )


def forecast(
    plan: Plan,
    returned: bool,
    seconds: Callable[[Experiment, int], float],
    row_bytes: Callable[[Bucket], int],
) -> xr.Dataset:
    """A plan's table with what each of its programs will take.

    Args:
        plan: Of the sweep.
        returned: Whether networks are returned for measurements.
        seconds: What a run of an experiment costs at an array size.
        row_bytes: What a run of a bucket takes in a file.

    Returns:
        The table with the dimension ``program`` beside ``run``, and in its attributes
        ``cpu_seconds`` (compiling apart), ``memory_bytes`` of one process at its peak
        and ``file_bytes`` before compression.
    """
    rows: dict[str, list[Any]] = {
        "program_width": [],
        "program_runs": [],
        "program_files": [],
        "program_seconds": [],
        "program_bytes": [],
    }
    files = largest = 0
    for batch in _one_of_each(plan.batches):
        bucket, runs = batch.bucket, len(batch.bucket.runs)
        own = [b for b in plan.batches if b.bucket is bucket]
        written = row_bytes(bucket)
        rows["program_width"].append(bucket.padded)
        rows["program_runs"].append(runs)
        rows["program_files"].append(len(own))
        rows["program_seconds"].append(runs * seconds(bucket.experiment, bucket.padded))
        rows["program_bytes"].append(_call_bytes(batch, returned))
        files += runs * written
        # A batch's table is held twice while it is written.
        largest = max(largest, 2 * written * max(len(b.runs) for b in own))
    table = plan.table()
    table = table.assign({name: (PROGRAM, column) for name, column in rows.items()})
    memory = _BASE_BYTES + _PROGRAM_BYTES * len(rows["program_bytes"])
    memory += largest + max(rows["program_bytes"], default=0)
    return table.assign_attrs(
        cpu_seconds=sum(rows["program_seconds"]), memory_bytes=memory, file_bytes=files
    )


def _one_of_each(batches: Sequence[Batch]) -> list[Batch]:
    """The first batch of every bucket."""
    first: dict[int, Batch] = {}
    for batch in batches:
        first.setdefault(id(batch.bucket), batch)
    return list(first.values())


def _call_bytes(batch: Batch, returned: bool) -> int:
    bucket = batch.bucket
    work = bucket.experiment.work(bucket.padded or None)
    backend = jax.default_backend()
    size = call_size(work, bucket.lanes_per_seed, batch.most_lanes, returned, backend)
    return call_bytes(work, size, returned)


def _machine_bytes() -> float:
    """Memory of this machine; without bound where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
