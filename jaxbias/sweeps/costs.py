"""What a run costs: padded widths, lanes of a block, predicted seconds of one core.

Constants were measured on one core of an AMD EPYC with 1 MiB of second-level cache
(figures/benchmarks/small_runs.md). Nothing is measured while a sweep is planned, so
that shards and machines lay out the same batches.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.error_norm import EVERY_TIME
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow

# A program of a small flow takes 4 to 6 s of a core to compile.
COMPILE_SECONDS = 5.0
# Scores in a vmapped block. Up to here an evaluation gets cheaper with every lane; from
# 40,000 on it leaves the cache, and a block takes as many steps as its slowest lane: at
# the default accuracy 20 lanes of width 32 with mixed noises take 1.7 times their own.
BLOCK_SCORES = 16_000
CPU_LANES, _DEVICE_LANES = 64, 4096
_DEVICE_BYTES, _COPIES = 8 * 2**30, 20
# What the problems of a call, and the networks it returns, may take.
_CALL_BYTES = 64 * 2**20

_FLOPS, _SCORE, _CURVED_SCORE = 1e11, 1.0e-9, 2.5e-9
_GAUSSIAN, _RADIUS = 7e-9, 2e-3
# Of a run along kinks and of a smooth one, at the tolerance of p = 1 and of p = 2.
_EVALUATIONS = {True: (2000.0, 540.0), False: (80.0, 105.0)}


def samples_of(flow: GradientFlow) -> int:
    """Training rows of a flow."""
    if isinstance(flow.data, Dataset):
        return flow.data.samples
    assert flow.samples is not None
    return flow.samples


def dim_of(flow: GradientFlow) -> int:
    """Input dimension of a flow."""
    return flow.data.dim


def clusters_of(flow: GradientFlow) -> int:
    """Clusters of a flow's data; 0 where a data set of one's own has no centres."""
    if not isinstance(flow.data, Dataset):
        return flow.data.clusters
    return 0 if flow.data.centres is None else len(flow.data.centres)


def padded_width(width: int) -> int:
    """The array width at which a width runs: the next of four sizes a factor of two.

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


def block_lanes(samples: int, padded: int, dtype: str, backend: str) -> int:
    """Lanes that are vmapped together.

    On a CPU as many as ``BLOCK_SCORES`` says, at most 64; elsewhere as many as fit in
    memory, at most 4096.
    """
    scores = samples * padded
    if backend == "cpu":
        return int(np.clip(round(BLOCK_SCORES / scores), 1, CPU_LANES))
    lane = scores * np.dtype(dtype).itemsize * _COPIES
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
    flow: GradientFlow,
    padded: int,
    lanes_per_seed: int,
    lanes: int,
    dtype: str,
    returned: bool,
    backend: str,
) -> CallSize:
    """How many lanes a call of a program takes.

    Args:
        flow: Of the program.
        padded: Its array width.
        lanes_per_seed: Lanes that share their random numbers.
        lanes: Of the largest batch.
        dtype: Precision of the arrays.
        returned: Whether networks are returned for measurements.
        backend: As JAX calls it.
    """
    samples = samples_of(flow)
    most = max(1, _CALL_BYTES // problem_bytes(flow, padded, dtype, returned))
    if backend == "cpu":
        most = min(most, CPU_LANES)
    block = min(block_lanes(samples, padded, dtype, backend), most)
    # Idle lanes cost nothing unless networks are returned: sweeps then share a program.
    most = most // block * block
    lanes = min(lanes, most) if returned else most
    # Few sizes, so that sweeps over different numbers of points share one as well.
    group = min(2 ** (lanes_per_seed - 1).bit_length(), lanes)
    groups = -(-lanes // group)
    return CallSize(group, groups, block, -(-group * groups // block))


def problem_bytes(flow: GradientFlow, padded: int, dtype: str, returned: bool) -> int:
    """What the rows and weights of a lane take, twice if they are returned."""
    words = (samples_of(flow) + padded) * dim_of(flow) * (2 if returned else 1)
    return words * np.dtype(dtype).itemsize


def call_bytes(
    flow: GradientFlow, padded: int, size: CallSize, dtype: str, returned: bool
) -> int:
    """What the arrays of a call take at most, without what is observed."""
    samples = samples_of(flow)
    # Drawn, and put in the order in which they are solved.
    problems = size.group * size.groups + size.block
    held = problems * problem_bytes(flow, padded, dtype, returned)
    rows = min(samples, 2 * dim_of(flow))
    solved = _COPIES * rows * padded + samples * rows
    return held + size.block * solved * np.dtype(dtype).itemsize


def evaluations(
    integrator: Adaptive | FixedStep | None,
    times: tuple[float, ...],
    flow: GradientFlow,
) -> float:
    """Evaluations of the right-hand side in one run, about: 3 times either way."""
    if isinstance(integrator, FixedStep):
        return 2.0 * times[-1] / float(integrator.step)
    integrator = Adaptive() if integrator is None else integrator
    degree = flow.network.activation.degree
    kinked, smooth = _EVALUATIONS[integrator.accuracy == EVERY_TIME]
    usual = Adaptive(accuracy=integrator.accuracy).tolerance(
        min(degree, 2.0), flow.loss
    )
    ratio = float(usual) / float(integrator.tolerance(degree, flow.loss))
    # Order 3, but of order 1 along kinks.
    order = 2.0 if degree == 1 else 3.0
    wanted = (kinked if degree == 1 else smooth) * ratio ** (1 / order)
    return min(wanted, 3.0 * integrator.max_steps)


def run_seconds(
    flow: GradientFlow,
    padded: int,
    dtype: str,
    evaluations: float,
    radii: int = 0,
) -> float:
    """Seconds of one core that a run takes, about.

    Args:
        flow: Of the run.
        padded: Its array width.
        dtype: Its precision.
        evaluations: Of the right-hand side.
        radii: Points at which its network's radius is bounded.
    """
    samples, dim = samples_of(flow), dim_of(flow)
    words = np.dtype(dtype).itemsize / 4
    score = _SCORE if flow.network.activation.degree == 1 else _CURVED_SCORE
    products = 2 * samples * padded * min(samples, 2 * dim) / _FLOPS
    solve = evaluations * words * (products + score * samples * padded)
    return solve + _GAUSSIAN * (samples + padded) * dim + _RADIUS * radii


def seconds_of_factor(factor: float, flow: GradientFlow) -> float:
    """What a run at this factor of the tolerance costs, over one at the tolerance."""
    order = 2.0 if flow.network.activation.degree == 1 else 3.0
    return math.pow(factor, -1 / order)
