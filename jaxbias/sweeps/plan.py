"""The plan of a sweep: which runs, in which batches, under which specification.

A plan is a function of the call alone, so a killed sweep, a shard and a dry run see
the same batches. A folder keeps its plan; extending one adds a part of new runs.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED, TIME
from jaxbias._checks import InputError
from jaxbias.experiments.experiment import Experiment
from jaxbias.experiments.measurement import Measurement
from jaxbias.results.provenance import GENERATOR, same_generator
from jaxbias.results.specs import spec_from_json, spec_hash, spec_to_json
from jaxbias.results.store import read_manifest
from jaxbias.sweeps.bucket import (
    Batch,
    Bucket,
    Run,
    identity,
    make_buckets,
    make_runs,
    point_name,
)
from jaxbias.sweeps.grid import Axis, label
from jaxbias.sweeps.layout import Layout, count_rounds, make_batches, row_bytes

# Of the manifest: 3 names the experiment, 2 the cut of a flow into batches, 1 left that
# to the version that read it.
SCHEMA = 3


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run's numbers depend on, beside its experiment, point and seed."""

    measure: tuple[Measurement, ...]
    tolerances: tuple[float, ...]
    check_every: int
    root: str
    batch: int | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The batches of a sweep and what their files say about it."""

    axes: tuple[Axis, ...]
    spec: str
    batches: tuple[Batch, ...]
    manifest: dict[str, Any]
    riding: tuple[str, ...]

    @property
    def spec_hash(self) -> str:
        """Hash of the specification, the same for every file of the sweep."""
        return self.manifest["spec_hash"]

    def coordinates(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Seed, number and point of each run, as coordinates of ``run``."""
        columns: dict[str, list[Any]] = {
            RUN: [run.number for run in runs],
            SEED: [run.seed for run in runs],
        }
        for i, name in enumerate(self.riding):
            columns[name] = [run.point[i] for run in runs]
        for i, axis in enumerate(self.axes):
            columns[axis.name] = [label(run.values[i]) for run in runs]
        return {name: (RUN, np.asarray(column)) for name, column in columns.items()}

    def table(self) -> xr.Dataset:
        """The plan as a table: each run with its bucket, padded width and batch."""
        buckets = list({id(batch.bucket): batch.bucket for batch in self.batches})
        runs, columns = [], {"bucket": [], "padded": [], "batch": []}
        for number, batch in enumerate(self.batches):
            runs.extend(batch.runs)
            columns["bucket"] += [buckets.index(id(batch.bucket))] * len(batch.runs)
            columns["padded"] += [batch.bucket.padded] * len(batch.runs)
            columns["batch"] += [number] * len(batch.runs)
        table = xr.Dataset(
            {name: (RUN, np.asarray(column)) for name, column in columns.items()},
            self.coordinates(runs),
            {
                "axes": json.dumps([axis.name for axis in self.axes]),
                "spec": self.spec,
                "spec_hash": self.spec_hash,
                "buckets": len(buckets),
                "batches": len(self.batches),
            },
        )
        return table.sortby(RUN)


def make_plan(
    experiment: Experiment,
    axes: tuple[Axis, ...],
    seeds: tuple[int, ...],
    settings: Settings,
    out: Path | None = None,
    found: dict[str, Any] | None = None,
    *,
    extend: bool = False,
    shards: int = 1,
) -> Plan:
    """The plan of a call, joined to the one its folder already has.

    Args:
        experiment: What is swept.
        axes: Its axes.
        seeds: The seeds of every point.
        settings: What is computed.
        out: The folder, for messages.
        found: The plan it has, from ``read_manifest``.
        extend: Whether runs may be added to that.
        shards: Among how many calls the runs are split.

    Raises:
        InputError: The folder holds another sweep, numbers of another generator,
            batches of another schema, or other runs of this sweep and ``extend`` is
            false.
    """
    spec = {
        "experiment": experiment,
        "axes": [axis.path for axis in axes],
        "names": [axis.name for axis in axes],
        **{f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)},
    }
    text, digest = spec_to_json(spec), spec_hash(spec)
    part = _part_to_json(axes, seeds)
    parts, layouts = [part], []
    if found is not None:
        if found.get("schema_version") != SCHEMA:
            raise _other_schema(out, found.get("schema_version", 1))
        if found["spec_hash"] != digest:
            raise _other_sweep(out, found, text)
        same_generator(found.get("generator"), f"folder {str(out)!r}")
        parts = list(found["parts"])
        layouts = [Layout.from_json(form) for form in found["layouts"]]
        if part not in parts:
            if not extend:
                raise InputError(
                    f"over and seeds that folder {str(out)!r} was not begun with",
                    "mixing them by accident would spoil its table",
                    "extend=True (--extend) to add the new runs, or another folder",
                )
            parts.append(part)
    count = functools.partial(
        count_rounds,
        seconds=functools.partial(seconds_of, settings),
        row_bytes=functools.partial(bytes_of, settings),
        largest=settings.batch,
        shards=shards,
    )
    batches = _batches(experiment, axes, parts, settings, layouts, count)
    manifest = {
        "schema_version": SCHEMA,
        "spec": json.loads(text),
        "spec_hash": digest,
        "generator": GENERATOR,
        "parts": parts,
        "layouts": [layout.to_json() for layout in layouts],
        "files": [batch.name for batch in batches],
    }
    riding = short_names(experiment.batched)
    return Plan(axes, text, tuple(batches), manifest, riding)


def short_names(paths: Iterable[str]) -> tuple[str, ...]:
    """The last part of each dotted path, or all of it where two have the same."""
    paths = tuple(paths)
    ends = [path.rsplit(".", 1)[-1] for path in paths]
    return tuple(
        end if ends.count(end) == 1 else path.replace(".", "_")
        for end, path in zip(ends, paths, strict=True)
    )


def begun(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether a batch of a plan is there; until then nothing is lost with it."""
    return any((folder / name).exists() for name in manifest["files"])


def plan_in(
    folder: Path | None, make: Callable[[dict[str, Any] | None], Plan], existing: bool
) -> Plan:
    """The plan of a call for a folder, which is looked at and left as it is.

    Args:
        folder: Where the sweep goes, or None.
        make: The plan, given the one that the folder has or None.
        existing: Whether it may go beside files of other kinds.

    Raises:
        InputError: ``make`` refuses, the folder is a file, or it holds other files.
    """
    if folder is None or not folder.exists():
        return make(None)
    if not folder.is_dir():
        raise InputError(
            f"folder {str(folder)!r}", "it is a file", "a folder that is new or empty"
        )
    found = read_manifest(folder)
    if found is None and not existing:
        others = sorted(p.name for p in folder.iterdir() if p.name[0] != ".")
        if others:
            raise InputError(
                f"folder {str(folder)!r}",
                f"it holds no sweep, but other things ({', '.join(others[:3])}"
                f"{', ...' if len(others) > 3 else ''})",
                "into_existing=True (--into-existing), or a folder that is new or "
                "empty",
            )
    # A plan without a file is replaced, unless somebody is at work on it.
    return make(found if found is not None and begun(folder, found) else None)


def _batches(
    experiment: Experiment,
    axes: Sequence[Axis],
    parts: Sequence[Any],
    settings: Settings,
    layouts: list[Layout],
    count: Callable[[Sequence[Bucket]], int],
) -> list[Batch]:
    """The batches of all parts; parts without a layout get one, added to the list."""
    batches: list[Batch] = []
    seen: set[tuple[str, int]] = set()
    first_round = 0
    for number, part in enumerate(parts):
        over, seeds = part_from_json(part)
        here = [dataclasses.replace(a, values=over[a.path]) for a in axes]
        runs = make_runs(experiment, here, seeds, first=len(seen), without=seen)
        seen.update((point_name(run.values), run.seed) for _, run in runs)
        settled = layouts[number].padded if number < len(layouts) else None
        cost = functools.partial(seconds_of, settings)
        buckets = make_buckets(
            runs, settings.tolerances, settings.check_every, cost, settled
        )
        if settled is None:
            rounds = count(buckets) if buckets else 0
            layouts.append(Layout(_array_widths(buckets), rounds))
        rounds = layouts[number].rounds
        batches += make_batches(buckets, rounds, len(batches), first_round)
        first_round += rounds
    return batches


def _array_widths(buckets: Sequence[Bucket]) -> tuple[tuple[int, ...], ...]:
    """Array sizes of the buckets of each program."""
    widths: dict[Any, list[int]] = {}
    for bucket in buckets:
        widths.setdefault(identity(bucket.experiment), []).append(bucket.padded)
    return tuple(map(tuple, widths.values()))


def seconds_of(settings: Settings, experiment: Experiment, padded: int) -> float:
    """What a run of an experiment costs at an array size, its checks included."""
    work = experiment.work(padded or None)
    checks = sum(work.at_factor(f) for f in settings.tolerances[1:])
    solved = work.at_factor(settings.tolerances[0]) + checks / settings.check_every
    return solved + sum(one.seconds(work) for one in settings.measure)


def bytes_of(settings: Settings, bucket: Bucket) -> int:
    """What a run of a bucket takes in a file before compression."""
    experiment = bucket.experiment
    columns = dict(experiment.columns())
    for one in settings.measure:
        columns |= one.columns(experiment)
    work, times = experiment.work(bucket.widest or None), experiment.coordinates()
    return row_bytes(columns, work, len(times.get(TIME, (0,))), experiment.dtype)


def _part_to_json(axes: Sequence[Axis], seeds: tuple[int, ...]) -> Any:
    contiguous = seeds == tuple(range(seeds[0], seeds[0] + len(seeds)))
    form = {"first": seeds[0], "count": len(seeds)} if contiguous else seeds
    over = {axis.path: axis.values for axis in axes}
    return json.loads(spec_to_json({"over": over, "seeds": form}))


def part_from_json(part: Any) -> tuple[Mapping[str, Any], tuple[int, ...]]:
    """Values by the dotted path, and seeds, of a part of a manifest."""
    decoded = spec_from_json(json.dumps(part))
    seeds = decoded["seeds"]
    if isinstance(seeds, dict):
        seeds = tuple(range(seeds["first"], seeds["first"] + seeds["count"]))
    return decoded["over"], seeds


def _other_schema(out: Path | None, found: Any) -> InputError:
    return InputError(
        f"folder {str(out)!r}",
        f"its batches were cut by schema {found} of sweeps and now would be by schema "
        f"{SCHEMA}, so the same file would hold other runs",
        f"jaxbias.open({str(out)!r}) to read it, or another folder to go on in",
    )


def _other_sweep(out: Path | None, found: dict[str, Any], text: str) -> InputError:
    before, now = dict(found["spec"]["dict"]), dict(json.loads(text)["dict"])
    differing = [name for name in now if before.get(name) != now[name]]
    return InputError(
        f"folder {str(out)!r}",
        f"it holds a sweep with another {' and '.join(differing) or 'specification'}",
        "another folder, or the call that began this one",
    )
