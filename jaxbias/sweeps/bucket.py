"""Runs sorted into buckets: one compiled program each.

Seeds and the fields that an experiment calls ``batched`` ride inside a program; what
else differs between two points (exponent, loss, sizes) puts them into different
buckets.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from jaxbias._checks import InputError
from jaxbias.experiments.experiment import (
    Experiment,
    abstract,
    data_sets,
    point_of,
)
from jaxbias.results.specs import spec_to_json
from jaxbias.sweeps.costs import padded_widths
from jaxbias.sweeps.grid import MOST_RUNS, Axis, points

_MOST_BYTES = 2**38


class Run(NamedTuple):
    """One run.

    Attributes:
        number: In the sweep.
        seed: Folded into its key.
        values: Of the axes.
        point: Of the fields that ride, in the experiment's order.
        size: Of its arrays before padding; 0 where the experiment has none.
        factors: Of the tolerance, each to be solved at.
    """

    number: int
    seed: int
    values: tuple[Any, ...]
    point: tuple[float | int, ...]
    size: int
    factors: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Runs that one program serves.

    Attributes:
        experiment: Of any of them: the template of all, with its data set.
        padded: Size of the arrays; 0 where the experiment has none.
        runs: Seed by seed.
    """

    experiment: Experiment
    padded: int
    runs: tuple[Run, ...]

    @property
    def widest(self) -> int:
        """The largest size of a run."""
        return max(run.size for run in self.runs)

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


def identity(experiment: Experiment) -> Hashable:
    """What makes two experiments one bucket; a data set counts as itself."""
    template = experiment.template()
    return abstract(template), data_sets(template)


def make_runs(
    experiment: Experiment,
    axes: Sequence[Axis],
    seeds: Sequence[int],
    *,
    first: int = 0,
    without: Iterable[tuple[str, int]] = (),
) -> list[tuple[Experiment, Run]]:
    """The runs of a grid, seeds innermost, numbered from ``first``.

    Args:
        experiment: What is swept.
        axes: Its axes.
        seeds: The seeds of every point.
        first: Number of the first run.
        without: Points (see ``point_name``) and seeds to leave out.

    Returns:
        The runs, each with the template of its program.

    Raises:
        InputError: The experiment refuses a point, or a run is too large.
    """
    without = set(without)
    runs = []
    grid = points(experiment, axes)
    if len(grid) * len(seeds) > MOST_RUNS:
        raise InputError(
            f"{len(grid):,} points with {len(seeds):,} seeds each",
            f"a sweep has at most {MOST_RUNS:,} runs",
            "fewer of either, or shares of them in folders of their own",
        )
    for values, here in grid:
        riding = dict(zip(here.batched, point_of(here), strict=True))
        size = 0 if here.size is None else int(riding[here.size])
        _fits(here, size)
        shared = here.template()
        name = point_name(values)
        for seed in seeds:
            if (name, seed) in without:
                continue
            number = first + len(runs)
            run = Run(number, seed, values, tuple(riding.values()), size, ())
            runs.append((shared, run))
    return runs


def _fits(experiment: Experiment, size: int) -> None:
    """Refuse a point of which one run is beyond any machine's memory."""
    work = experiment.work(size or None)
    needed = work.problem_bytes + 4 * work.scores
    if needed > _MOST_BYTES:
        raise InputError(
            work.shown(),
            f"one run needs at least {needed / 2**30:,.0f} GiB of memory",
            "smaller sizes",
        )


def point_name(values: tuple[Any, ...]) -> str:
    """A point of the grid as text, equal for equal values."""
    return spec_to_json(values)


def make_buckets(
    runs: Sequence[tuple[Experiment, Run]],
    tolerances: tuple[float, ...],
    check_every: int,
    seconds: Callable[[Experiment, int], float],
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
        seconds: What a run of an experiment costs at an array size.
        sizes: The array sizes of the buckets of each program, if they are settled.
    """
    place: dict[int, int] = {}
    for _, run in runs:
        place.setdefault(run.seed, len(place))
    shared: dict[Hashable, list[tuple[Experiment, Run]]] = {}
    names: dict[int, Hashable] = {}
    for template, run in runs:
        # All seeds of a point have one template.
        name = names.setdefault(id(template), identity(template))
        shared.setdefault(name, []).append((template, run))
    buckets = []
    for number, members in enumerate(shared.values()):
        template = members[0][0]
        counts: dict[int, int] = {}
        for _, run in members:
            counts[run.size] = counts.get(run.size, 0) + 1
        if sizes is not None:
            padded = {w: min(s for s in sizes[number] if s >= w) for w in counts}
        elif template.size is None:
            padded = {0: 0}
        else:
            padded = padded_widths(counts, functools.partial(seconds, template))
        for size in dict.fromkeys(padded.values()):
            own = [run for _, run in members if padded[run.size] == size]
            checked = tuple(
                run._replace(
                    factors=tolerances if i % check_every == 0 else tolerances[:1]
                )
                for i, run in enumerate(own)
            )
            by_seed = sorted(checked, key=lambda run: place[run.seed])
            buckets.append(Bucket(template, size, tuple(by_seed)))
    return buckets
