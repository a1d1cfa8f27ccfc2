"""Runs sorted into buckets: one compiled program each, cut into fixed batches.

Width, noise, scale and seed ride inside a program; whatever else differs between two
points (exponent, loss, sizes) puts them into different buckets.
"""

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.initialization import representable_scale
from jaxbias.results.specs import spec_to_json
from jaxbias.sweeps.grid import MOST_RUNS, Axis, points

# Measured on one core: a compilation, and the rate of the products in a solve.
_COMPILE_SECONDS, _FLOPS_PER_SECOND, _EVALUATIONS = 1.5, 1e11, 100

_MOST_BYTES = 2**38


class Run(NamedTuple):
    """One run: its number in the sweep, its point, and the tolerances to solve at."""

    number: int
    seed: int
    values: tuple[Any, ...]
    width: int
    noise: float
    scale: float
    factors: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Runs that one program serves: the flow they share and the padded width."""

    flow: GradientFlow
    padded: int
    runs: tuple[Run, ...]

    @property
    def samples(self) -> int:
        """Training rows."""
        return samples_of(self.flow)


@dataclasses.dataclass(frozen=True)
class Batch:
    """A fixed list of runs of one bucket: one file."""

    name: str
    bucket: Bucket
    runs: tuple[Run, ...]


def samples_of(flow: GradientFlow) -> int:
    """Training rows of a flow."""
    if isinstance(flow.data, Dataset):
        return flow.data.samples
    assert flow.samples is not None
    return flow.samples


def dim_of(flow: GradientFlow) -> int:
    """Input dimension of a flow."""
    return flow.data.dim


def identity(flow: GradientFlow) -> tuple[Hashable, ...]:
    """What makes two flows one program; a data set of one's own counts as itself."""
    parts = (getattr(flow, field.name) for field in dataclasses.fields(flow))
    return tuple(id(p) if isinstance(p, Dataset) else p for p in parts)


def template(flow: GradientFlow) -> GradientFlow:
    """The flow without what rides in the lanes, equal for all runs of a bucket."""
    init = dataclasses.replace(flow.network.init, scale=1.0)  # pyright: ignore[reportArgumentType]
    width = flow.network.groups
    network = dataclasses.replace(flow.network, width=width, init=init)
    data = flow.data
    if not isinstance(data, Dataset):
        data = dataclasses.replace(data, noise=1.0)
    return dataclasses.replace(flow, network=network, data=data)


def padded_widths(counts: Mapping[int, int], samples: int, dim: int) -> dict[int, int]:
    """The array width at which each width runs.

    Widths are grouped by the next power of two and padded to the widest of their
    group. A group is merged into the next wider one where padding all its runs is
    cheaper than one more compilation.

    Args:
        counts: Number of runs of each width.
        samples: Training rows.
        dim: Input dimension.
    """
    groups: dict[int, list[int]] = {}
    for width in sorted(counts):
        groups.setdefault((width - 1).bit_length(), []).append(width)
    flops = 2.0 * samples * min(samples, 2 * dim) * _EVALUATIONS
    merged: list[list[int]] = []
    for group in groups.values():
        if merged:
            below = merged[-1]
            runs = sum(counts[w] for w in below)
            extra = runs * (group[-1] - below[-1]) * flops / _FLOPS_PER_SECOND
            if extra <= _COMPILE_SECONDS:
                below.extend(group)
                continue
        merged.append(group)
    return {width: group[-1] for group in merged for width in group}


def make_runs(
    flow: GradientFlow,
    axes: Sequence[Axis],
    seeds: Sequence[int],
    *,
    first: int = 0,
    without: Iterable[tuple[str, int]] = (),
    dtype: str,
) -> list[tuple[GradientFlow, Run]]:
    """The runs of a grid, seeds innermost, numbered from ``first``.

    Args:
        flow: The flow that is swept.
        axes: Its axes.
        seeds: The seeds of every point.
        first: Number of the first run.
        without: Points (see ``point_name``) and seeds to leave out.
        dtype: The precision, in which every scale must be representable.

    Raises:
        InputError: The flow refuses a point, or a scale underflows.
    """
    without = set(without)
    runs = []
    grid = points(flow, axes)
    if len(grid) * len(seeds) > MOST_RUNS:
        raise InputError(
            f"{len(grid):,} points with {len(seeds):,} seeds each",
            f"a sweep has at most {MOST_RUNS:,} runs",
            "fewer of either, or shares of them in folders of their own",
        )
    for values, here in grid:
        network = here.network
        representable_scale(network.init.scale, dtype)
        noise = 0.0 if isinstance(here.data, Dataset) else here.data.noise
        _fits(here, dtype)
        shared = template(here)
        name = point_name(values)
        for seed in seeds:
            if (name, seed) in without:
                continue
            run = Run(
                first + len(runs),
                seed,
                values,
                network.width,
                float(noise),
                float(network.init.scale),
                (),
            )
            runs.append((shared, run))
    return runs


def _fits(flow: GradientFlow, dtype: str) -> None:
    """Refuse a point of which one run is beyond any machine's memory."""
    width, size = flow.network.width, np.dtype(dtype).itemsize
    needed = (width * (samples_of(flow) + dim_of(flow))) * size
    needed += samples_of(flow) * dim_of(flow) * size
    if needed > _MOST_BYTES:
        raise InputError(
            f"width={width}, samples={samples_of(flow)}, dim={dim_of(flow)}",
            f"one run needs at least {needed / 2**30:,.0f} GiB of memory",
            "smaller sizes",
        )


def point_name(values: tuple[Any, ...]) -> str:
    """A point of the grid as text, equal for equal values."""
    return spec_to_json(values)


def make_buckets(
    runs: Sequence[tuple[GradientFlow, Run]],
    tolerances: tuple[float, ...],
    check_every: int,
) -> list[Bucket]:
    """Runs sorted into buckets, in the order in which the buckets first occur.

    One run in ``check_every`` of each bucket is solved at every tolerance, the
    others at the first one only.
    """
    shared: dict[tuple[Hashable, ...], list[tuple[GradientFlow, Run]]] = {}
    for flow, run in runs:
        shared.setdefault(identity(flow), []).append((flow, run))
    buckets = []
    for members in shared.values():
        flow = members[0][0]
        counts: dict[int, int] = {}
        for _, run in members:
            counts[run.width] = counts.get(run.width, 0) + 1
        padded = padded_widths(counts, samples_of(flow), dim_of(flow))
        for width in dict.fromkeys(padded.values()):
            own = [run for _, run in members if padded[run.width] == width]
            checked = tuple(
                run._replace(
                    factors=tolerances if i % check_every == 0 else tolerances[:1]
                )
                for i, run in enumerate(own)
            )
            buckets.append(Bucket(flow, width, checked))
    return buckets


def make_batches(buckets: Sequence[Bucket], size: int, first: int = 0) -> list[Batch]:
    """Each bucket's runs in equal batches of at most ``size``, numbered on."""
    batches: list[Batch] = []
    for bucket in buckets:
        pieces = -(-len(bucket.runs) // size)
        step = -(-len(bucket.runs) // pieces)
        for start in range(0, len(bucket.runs), step):
            name = f"batch-{first + len(batches):05d}.nc"
            batches.append(Batch(name, bucket, bucket.runs[start : start + step]))
    return batches
