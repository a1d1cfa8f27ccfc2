"""How runs are laid out: padded sizes, lanes of a block, lanes of a call.

Constants were measured on one core of an AMD EPYC with 1 MiB of second-level cache
(figures/benchmarks/small_runs.md). Nothing is measured while a sweep is planned, so
that shards and machines lay out the same batches.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxbias.experiments.experiment import Work

# A program of a small flow takes 4 to 6 s of a core to compile.
COMPILE_SECONDS = 5.0
# Scores in a vmapped block. Up to here an evaluation gets cheaper with every lane; from
# 40,000 on it leaves the cache, and a block takes as many steps as its slowest lane: at
# the default accuracy 20 lanes of width 32 with mixed noises take 1.7 times their own.
BLOCK_SCORES = 16_000
CPU_LANES, _DEVICE_LANES = 64, 4096
_DEVICE_BYTES = 8 * 2**30
# What the problems of a call, and the networks it returns, may take.
_CALL_BYTES = 64 * 2**20


def padded_width(width: int) -> int:
    """The array size at which a size runs: the next of four sizes a factor of two.

    A short list, so that sweeps share programs; at most a fifth of it is padding from
    16 neurons on. Below 16 it is every fourth number.
    """
    step = max(4, 2 ** ((width - 1).bit_length() - 3)) if width > 1 else 4
    return -(-width // step) * step


def padded_widths(
    counts: Mapping[int, int], seconds: Callable[[int], float]
) -> dict[int, int]:
    """The array width of each width of a sweep.

    Widths of one padded size share a program. They join those of the next size up where
    padding all their runs is cheaper than one more compilation.

    Args:
        counts: Number of runs of each width.
        seconds: What a run costs at an array width.
    """
    groups: dict[int, list[int]] = {}
    for width in sorted(counts):
        groups.setdefault(padded_width(width), []).append(width)
    chosen: dict[int, int] = {}
    below: list[int] = []
    size = 0
    for padded, widths in groups.items():
        runs = sum(counts[w] for w in below)
        if runs * (seconds(padded) - seconds(size)) > COMPILE_SECONDS:
            below = []
        below, size = below + widths, padded
        chosen |= dict.fromkeys(below, padded)
    return chosen


def block_lanes(work: Work, backend: str) -> int:
    """Lanes that are vmapped together.

    On a CPU as many as ``BLOCK_SCORES`` says, at most 64; elsewhere as many as fit in
    memory, at most 4096.
    """
    if backend == "cpu":
        scores = work.scores or BLOCK_SCORES
        return int(np.clip(round(BLOCK_SCORES / scores), 1, CPU_LANES))
    lane = max(1, work.solve_bytes)
    return int(np.clip(_DEVICE_BYTES // lane, 1, _DEVICE_LANES))


class CallSize(NamedTuple):
    """Lanes in one call of a program.

    Attributes:
        group: Drawn together, all of one seed.
        groups: How many groups.
        block: Vmapped in the solve.
        blocks: How many blocks.
    """

    group: int
    groups: int
    block: int
    blocks: int


def call_size(
    work: Work, lanes_per_seed: int, lanes: int, returned: bool, backend: str
) -> CallSize:
    """How many lanes a call of a program takes.

    Args:
        work: Of a run at the program's array size.
        lanes_per_seed: Lanes that share their random numbers.
        lanes: Of the largest batch.
        returned: Whether networks or states are returned.
        backend: As JAX calls it.
    """
    most = max(1, _CALL_BYTES // max(1, work.problem_bytes * (2 if returned else 1)))
    if backend == "cpu":
        most = min(most, CPU_LANES)
    block = min(block_lanes(work, backend), most)
    # Idle lanes cost nothing unless networks are returned: sweeps then share a program.
    most = most // block * block
    lanes = min(lanes, most) if returned else most
    # Few sizes, so that sweeps over different numbers of points share one as well.
    group = min(2 ** (lanes_per_seed - 1).bit_length(), lanes)
    groups = -(-lanes // group)
    return CallSize(group, groups, block, -(-group * groups // block))


def call_bytes(work: Work, size: CallSize, returned: bool) -> int:
    """What the arrays of a call take at most, without what is observed."""
    # Drawn, and put in the order in which they are solved.
    problems = size.group * size.groups + size.block
    held = problems * work.problem_bytes * (2 if returned else 1)
    return held + size.block * work.solve_bytes
