"""Runs sorted into buckets: one compiled program each.

Width, noise, scale and seed ride inside a program; whatever else differs between two
points (exponent, loss, sizes) puts them into different buckets.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.initialization import representable_scale
from jaxbias.results.specs import spec_to_json
from jaxbias.sweeps.costs import dim_of, padded_widths, samples_of
from jaxbias.sweeps.grid import MOST_RUNS, Axis, points

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

    @property
    def widest(self) -> int:
        """Neurons of the widest run."""
        return max(run.width for run in self.runs)

    @property
    def lanes_per_seed(self) -> int:
        """Lanes that share their random numbers, on average, rounded up."""
        lanes = sum(len(run.factors) for run in self.runs)
        return -(-lanes // len({run.seed for run in self.runs}))


@dataclasses.dataclass(frozen=True)
class Batch:
    """A fixed list of runs of one bucket: one file.

    Attributes:
        name: Of the file.
        bucket: Of the runs.
        runs: Seed by seed.
        round: Which round over all points it belongs to.
        most_lanes: Lanes of the bucket's largest batch, which share a program.
    """

    name: str
    bucket: Bucket
    runs: tuple[Run, ...]
    round: int
    most_lanes: int


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
    seconds: Callable[[GradientFlow, int], float],
    sizes: Sequence[Sequence[int]] | None = None,
) -> list[Bucket]:
    """Runs sorted into buckets, which come in the order in which they first occur.

    Within a bucket runs go seed by seed over all its points.

    One run in ``check_every`` of each bucket is solved at every tolerance, the
    others at the first one only.

    Args:
        runs: Of a sweep, each with what it shares.
        tolerances: Factors of the tolerance.
        check_every: See above.
        seconds: What a run of a flow costs at an array width.
        sizes: The array widths of the buckets of each flow, if they are settled.
    """
    place: dict[int, int] = {}
    for _, run in runs:
        place.setdefault(run.seed, len(place))
    shared: dict[tuple[Hashable, ...], list[tuple[GradientFlow, Run]]] = {}
    for flow, run in runs:
        shared.setdefault(identity(flow), []).append((flow, run))
    buckets = []
    for number, members in enumerate(shared.values()):
        flow = members[0][0]
        counts: dict[int, int] = {}
        for _, run in members:
            counts[run.width] = counts.get(run.width, 0) + 1
        if sizes is None:
            padded = padded_widths(counts, functools.partial(seconds, flow))
        else:
            padded = {w: min(s for s in sizes[number] if s >= w) for w in counts}
        for width in dict.fromkeys(padded.values()):
            own = [run for _, run in members if padded[run.width] == width]
            checked = tuple(
                run._replace(
                    factors=tolerances if i % check_every == 0 else tolerances[:1]
                )
                for i, run in enumerate(own)
            )
            by_seed = sorted(checked, key=lambda run: place[run.seed])
            buckets.append(Bucket(flow, width, tuple(by_seed)))
    return buckets
