"""The verb: runs of an experiment over axes and seeds, as one labelled table."""

import contextlib
import dataclasses
import functools
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED, TIME
from jaxbias._checks import InputError, one_of, positive_int
from jaxbias.dynamics.accuracy import warn_if_inaccurate
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.refinement import REFINEMENTS
from jaxbias.experiments.experiment import Experiment
from jaxbias.experiments.flow import Flow
from jaxbias.experiments.measurement import Measurement, Radii
from jaxbias.observables import Observable
from jaxbias.results.store import CorruptFile, set_aside, write
from jaxbias.results.store import open as open_results
from jaxbias.results.tables import combine
from jaxbias.sweeps.assemble import (
    INACCURATE,
    METERS,
    STATUS,
    columns_of,
    metered,
)
from jaxbias.sweeps.batches import check_draws, run_batch
from jaxbias.sweeps.bucket import Batch
from jaxbias.sweeps.checkpoint import remove_states
from jaxbias.sweeps.forecast import forecast, refuse_too_large
from jaxbias.sweeps.grid import parse_shard, resolve_axes, seed_list
from jaxbias.sweeps.layout import shard_of
from jaxbias.sweeps.plan import (
    Plan,
    Settings,
    bytes_of,
    make_plan,
    plan_in,
    seconds_of,
)
from jaxbias.sweeps.sharing import joined, to_compute
from jaxbias.sweeps.workers import (
    count_workers,
    missing_of,
    outside_modules,
    run_workers,
)

Progress = Callable[[int, int, str], None]
_RUNS = "runs"


def sweep(
    experiment: Experiment | GradientFlow,
    over: Mapping[str, Any],
    seeds: Any,
    *,
    times: Any = None,
    out: str | Path | None = None,
    observe: Iterable[str | Observable] | None = None,
    measure: Iterable[Measurement] = (),
    radius_at: str | None = None,
    order: float = 2,
    integrator: Adaptive | FixedStep | None = None,
    form: str | None = None,
    dtype: str | None = None,
    tolerances: Sequence[float] = (1.0,),
    check_every: int = 1,
    root: str = "jaxbias",
    batch: int | None = None,
    shard: str | tuple[int, int] | None = None,
    extend: bool = False,
    into_existing: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Run an experiment at every point of a grid and every seed.

    The key of a run is a function of ``root`` and its seed alone, so all points share
    their random numbers and a run is the same alone, in a batch and in a shard. Runs
    that differ in seed and in fields that the experiment calls ``batched`` (of a flow
    width, noise and scale) share one compiled program.

    Args:
        experiment: What is run, at the point from which the axes depart. A flow is
            solved and observed as the arguments from ``times`` to ``dtype`` say, which
            other experiments hold themselves.
        over: Values of each axis, by the bare name of a field (``"width"``,
            ``"noise"``, ``"scale"``, ``"exponent"``, ``"samples"``, ``"loss"``...) or
            by its dotted path (``"network.width"``).
        seeds: How many, from 0; or which.
        times: Increasing times at which to observe; the last one ends the runs. If
            not given, 40 log-spaced ones up to 500.
        out: A folder. Batches go seed by seed over all points. Each is written there
            when it is done, and the same call again computes only those whose files
            are missing. Calls at the same time share the work.
        observe: Names of observables, or observables of one's own; the loss and the
            least margin if not given.
        measure: What is measured on the networks at the end.
        radius_at: ``"centres"`` or ``"samples"``: short for
            ``measure=[Radii(radius_at, order)]``, the robustness radius of the final
            network at each centre or training row.
        order: The norm of the radius, 2 or ``inf``.
        integrator: ``Adaptive()`` if not given.
        form: ``auto`` (if not given), ``reduced`` or ``raw``.
        dtype: ``float64`` (if not given) or ``float32``, whatever JAX's default is.
        tolerances: ``(1.0,)``, or three falling factors such as
            ``dynamics.refinement.REFINEMENTS``: checked runs are solved at each, report
            the last and get ``<name>_numerical_error`` (infinite where the three do
            not converge, NaN for runs not checked) and ``<name>_converged``.
        check_every: With three tolerances, one run in this many of each bucket is
            checked; the others report the first tolerance.
        root: Names the experiment; other roots have other random numbers.
        batch: Runs in a file, at most. If not given, about 30 seconds of work of one
            core, as far as sizes, times and tolerance tell.
        shard: ``"2/3"``: only the second third of the runs. A folder that was begun
            without shards keeps its batches, of which some shards may get none.
        extend: Add runs that the folder was not begun with.
        into_existing: Begin in a folder that is not empty and holds no sweep.
        dry_run: Only plan: the table says each run's bucket, padded width and batch,
            what each ``program`` will take, and in its attributes ``cpu_seconds``,
            ``memory_bytes`` and ``file_bytes``, all about.
        workers: Processes that share the work. If not given, one a core, where that
            pays: less than 20 s of work, and experiments that no other process can
            build, stay in this one. ``attrs["workers"]`` says what came of it.
        progress: Called with runs done, runs in all and ``"runs"``, between segments.

    Returns:
        A table with the dimension ``run``: observables (run, time, their axes),
        ``status`` (a ``dynamics.Status``), ``evaluations``, ``rejected``, ``sliding``,
        ``repelling``, ``error_estimate``, ``largest_balance_error``, ``inaccurate``
        (whether one of them is above 1 %), ``radius_lower`` and ``radius_upper``, and
        as coordinates the
        run's ``seed`` and point. Entries beyond a run's width are NaN.

    Raises:
        InputError: An argument cannot work, a run does not fit in memory, or the
            folder holds another sweep or cannot be written; batches written before
            stay. A call that fails before its first batch is written leaves the folder
            as it was.

    Example:
        >>> import jaxbias as jb
        >>> clusters = jb.data.OrthonormalClusters(
        ...     dim=20, clusters=4, positive=2, noise=0.1)
        >>> network = jb.networks.TwoLayer(width=8)
        >>> flow = jb.dynamics.GradientFlow(network, clusters, samples=8)
        >>> table = jb.sweep(flow, {"width": [4, 8]}, seeds=3, times=[50.0])
        >>> table.sizes["run"]
        6
    """
    if isinstance(experiment, GradientFlow):
        experiment = Flow.of(
            experiment,
            times=times,
            observe=observe,
            integrator=integrator,
            form=form,
            dtype=dtype,
        )
    else:
        given = (times, observe, integrator, form, dtype)
        _check_experiment(experiment, given)
    if radius_at is not None:
        measure = (*measure, Radii(_row_kind(radius_at), float(order)))
    settings = Settings(
        measure=tuple(measure),
        tolerances=tuple(map(float, tolerances)),
        check_every=check_every,
        root=root,
        batch=batch,
    )
    _check(settings)
    columns = columns_of(experiment, settings)
    part, parts = parse_shard(shard)
    folder = None if out is None else Path(out)
    taken = {RUN, SEED, TIME, STATUS, INACCURATE, *columns}
    axes = resolve_axes(experiment, over, taken | {"bucket", "padded", "batch"})
    listed = seed_list(seeds)
    make = lambda found: make_plan(
        experiment, axes, listed, settings, folder, found, extend=extend, shards=parts
    )
    plan = plan_in(folder, make, into_existing)
    returned = bool(settings.measure)
    refuse_too_large(plan, returned)
    check_draws(plan)
    if dry_run:
        cost = functools.partial(seconds_of, settings)
        weight = functools.partial(bytes_of, settings)
        return forecast(plan, returned, cost, weight)
    mine = shard_of(plan.batches, part, parts)
    missing = missing_of(folder, mine)
    cost = functools.partial(seconds_of, settings)
    work = (len(b.runs) * cost(b.bucket.experiment, b.bucket.padded) for b in missing)
    seconds = sum(work, 0.0)
    count, why = count_workers(workers, plan, experiment, seconds, len(missing))
    call = _Call(experiment, settings, part, parts, progress)
    if count == 1 and folder is None:
        table = call.in_memory(plan)
    else:
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            table = call.in_folder(folder, make, count)
    return table.assign_attrs(workers=f"{count}: {why}")


@dataclasses.dataclass
class _Call:
    """A call under way: what is run, which share of it, and who is told."""

    experiment: Experiment
    settings: Settings
    part: int
    parts: int
    progress: Progress | None
    total: int = 0
    done: int = 0
    meters: list[xr.Dataset] = dataclasses.field(default_factory=list)

    def in_memory(self, plan: Plan) -> xr.Dataset:
        """The table of a sweep that has no folder."""
        mine, tables = self._mine(plan), []
        for one in mine:
            tables.append(self._computed(one, plan, None))
            self._count(one)
        self._end(plan, mine)
        return combine(tables) if tables else plan.table().isel({RUN: slice(0)})

    def in_folder(
        self, folder: Path, make: Callable[[Any], Plan], workers: int
    ) -> xr.Dataset:
        """The table of all that is in a folder, once this call's share is."""
        while True:
            self.done = 0
            try:
                return self._filled(folder, make, workers)
            except CorruptFile as broken:
                aside = set_aside(broken.path)
                warnings.warn(
                    f"{broken.got} {broken.why}: it is set aside as {aside.name!r}, "
                    "and its runs are computed again",
                    stacklevel=4,
                )

    def _filled(
        self, folder: Path, make: Callable[[Any], Plan], workers: int
    ) -> xr.Dataset:
        with joined(folder, make) as (plan, claims):
            mine = self._mine(plan)
            new = {batch.name for batch in missing_of(folder, mine)}
            if workers > 1:
                self._share_out(folder, plan, mine, workers)
            for one, missing in to_compute(folder, claims, plan, mine):
                if missing:
                    write(self._computed(one, plan, folder), folder / one.name)
                    remove_states(folder, one.name)
                elif workers > 1 and one.name in new:
                    self._meter(open_results(folder / one.name))
                self._count(one)
        empty = not any((folder / b.name).exists() for b in plan.batches)
        table = plan.table().isel({RUN: slice(0)}) if empty else open_results(folder)
        self._end(plan, mine)
        return table

    def _mine(self, plan: Plan) -> list[Batch]:
        mine = shard_of(plan.batches, self.part, self.parts)
        self.total = sum(len(batch.runs) for batch in mine)
        return mine

    def _share_out(
        self, folder: Path, plan: Plan, mine: Sequence[Batch], workers: int
    ) -> None:
        """Let workers do all that can be done."""
        before = -1

        def tell() -> None:
            nonlocal before
            left = sum(len(batch.runs) for batch in missing_of(folder, mine))
            if self.progress is not None and self.total - left != before:
                before = self.total - left
                self.progress(before, self.total, _RUNS)

        shard = None if self.parts == 1 else f"{self.part + 1}/{self.parts}"
        modules = outside_modules(plan.manifest["spec"])
        run_workers(folder, workers, shard, modules, tell)

    def _computed(self, one: Batch, plan: Plan, folder: Path | None) -> xr.Dataset:
        count = None
        if self.progress is not None:
            count = _ahead(self.progress, self.done, one, self.total)
        table = run_batch(one, plan, self.settings, folder, count)
        self._meter(table)
        return table

    def _meter(self, table: xr.Dataset) -> None:
        if metered(table):
            self.meters.append(table[list(METERS.values())])

    def _count(self, one: Batch) -> None:
        self.done += len(one.runs)
        if self.progress is not None:
            self.progress(self.done, self.total, _RUNS)

    def _end(self, plan: Plan, mine: Sequence[Batch]) -> None:
        _warn(self.meters, self.experiment)
        _say_if_empty(mine, self.part, self.parts, plan)


def _check_experiment(experiment: Any, given: tuple[Any, ...]) -> None:
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"a sweep of {type(experiment).__name__}",
            "a gradient flow or an experiment is run many times",
            "jaxbias.sweep(jaxbias.dynamics.GradientFlow(...), over, seeds)",
        )
    names = ("times", "observe", "integrator", "form", "dtype")
    set_here = [n for n, value in zip(names, given, strict=True) if value is not None]
    if set_here:
        name = type(experiment).__name__
        raise InputError(
            f"{set_here[0]}= beside a {name}",
            "an experiment holds that itself; only a flow is told here",
            f"a {name} with another {set_here[0]}, or none of it",
        )


def _row_kind(radius_at: str) -> str:
    one_of("radius_at", radius_at, ("centres", "samples"))
    return radius_at


def _ahead(
    progress: Progress, done: int, batch: Batch, total: int
) -> Callable[[float], None]:
    """What to tell inside a batch, of which a share is done."""
    return lambda share: progress(done + int(share * len(batch.runs)), total, _RUNS)


def _warn(tables: Sequence[xr.Dataset], experiment: Experiment) -> None:
    """One line for all runs that were computed, of those off by more than 1 %."""
    integrator = getattr(experiment, "integrator", None)
    if not tables or integrator is None:
        return
    meters = {
        name: np.concatenate([table[column].values for table in tables])
        for name, column in METERS.items()
    }
    warn_if_inaccurate(meters, integrator, stacklevel=6)


def _say_if_empty(mine: Sequence[Batch], part: int, parts: int, plan: Plan) -> None:
    if not mine:
        count = len(plan.batches)
        warnings.warn(
            f"shard {part + 1}/{parts} has no runs: the sweep has {count} "
            f"{'batch' if count == 1 else 'batches'}, which other shards compute",
            stacklevel=5,
        )


def _check(settings: Settings) -> None:
    positive_int("check_every", settings.check_every)
    if settings.batch is not None:
        positive_int("batch", settings.batch)
    factors = settings.tolerances
    falling = all(b < a for a, b in zip(factors, factors[1:], strict=False))
    if len(factors) not in (1, 3) or not falling or not min(factors) > 0:
        raise InputError(
            f"tolerances={factors!r}",
            "they are one positive factor, or three falling ones whose differences "
            "give the numerical error",
            f"tolerances={REFINEMENTS!r}",
        )
