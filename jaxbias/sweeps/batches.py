"""One batch of a sweep: a pure task, from a list of runs to the table of their file."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias import _draws
from jaxbias._axes import SEED
from jaxbias.experiments.experiment import Experiment, in_one_piece
from jaxbias.results.provenance import provenance
from jaxbias.sweeps.assemble import finish_call, make_table
from jaxbias.sweeps.bucket import Batch, identity
from jaxbias.sweeps.checkpoint import Checkpoint
from jaxbias.sweeps.keys import stream_key
from jaxbias.sweeps.lanes import (
    FACTOR,
    Lanes,
    compiled,
    idle_call,
    make_program,
    run_lanes,
    split_by_factor,
)
from jaxbias.sweeps.plan import Plan, Settings
from jaxbias.sweeps.segments import compile_segments, run_segments


def points_of(
    experiment: Experiment, points: Sequence[tuple[float | int, ...]], factors: Any
) -> dict[str, np.ndarray]:
    """What rides in each lane, in the precision of the runs."""
    found: dict[str, np.ndarray] = {}
    for name, values in zip(experiment.batched, zip(*points, strict=True), strict=True):
        kind = np.int64 if isinstance(values[0], int) else np.dtype(experiment.dtype)
        found[name] = np.asarray(values, kind)
    return {**found, FACTOR: np.asarray(factors, experiment.dtype)}


def check_draws(plan: Plan) -> None:
    """Refuse points that the data or the network refuse when they are drawn."""
    buckets = {identity(b.bucket.experiment): b.bucket for b in plan.batches}
    for bucket in buckets.values():
        experiment = bucket.experiment
        with jax.enable_x64(experiment.dtype == "float64"):
            point = points_of(experiment, [bucket.runs[0].point], [1.0])
            point = {name: jnp.asarray(values[0]) for name, values in point.items()}
            point[SEED] = jnp.zeros((), jnp.uint32)
            # Drawn wide: what does not depend on the width is refused all the same.
            draw = lambda key, shared, own=experiment, at=point, b=bucket: own.draw(
                key, at, shared, b.padded or None
            )
            shared = jax.eval_shape(experiment.shared)
            jax.eval_shape(draw, _draws.seed_key(0), shared)


def lanes_of(batch: Batch) -> tuple[list[tuple[int, float]], Lanes]:
    """The lanes of a batch: places of runs with a factor each, and what rides."""
    pairs = [(i, f) for i, run in enumerate(batch.runs) for f in run.factors]
    # A fixed step makes a program of each factor, the coarse ones first.
    pairs.sort(key=lambda pair: -pair[1])
    seeds = np.asarray([batch.runs[i].seed for i, _ in pairs], np.uint32)
    points = [batch.runs[i].point for i, _ in pairs]
    factors = [factor for _, factor in pairs]
    return pairs, Lanes(seeds, points_of(batch.bucket.experiment, points, factors))


def compile_batch(batch: Batch, settings: Settings) -> None:
    """Compile the programs of a batch, and run nothing."""
    experiment = batch.bucket.experiment
    _, lanes = lanes_of(batch)
    with jax.enable_x64(experiment.dtype == "float64"):
        program = make_program(batch.bucket, batch.most_lanes, settings.measure)
        key, shared = stream_key(settings.root), experiment.shared()
        for one, chosen in split_by_factor(program, lanes):
            call = idle_call(one, lanes.take(chosen))
            if in_one_piece(experiment):
                given = call.lanes, call.drawn, call.order, call.active
                compiled(one)(key, *given, shared)
            else:
                compile_segments(one, key, call, shared)


def run_batch(
    batch: Batch,
    plan: Plan,
    settings: Settings,
    folder: Path | None = None,
    count: Callable[[float], None] | None = None,
) -> xr.Dataset:
    """A batch's runs, solved, measured and laid out as a table.

    Args:
        batch: The runs.
        plan: Of their sweep.
        settings: What is computed.
        folder: Where states of long runs are kept.
        count: Told the share of lanes that is done, between calls.
    """
    started = time.perf_counter()
    experiment = batch.bucket.experiment
    pairs, lanes = lanes_of(batch)
    checkpoint = None
    with jax.enable_x64(experiment.dtype == "float64"):
        program = make_program(batch.bucket, batch.most_lanes, settings.measure)
        finish = finish_call(program, len(pairs), count)
        key, shared = stream_key(settings.root), experiment.shared()
        parts = []
        for number, (one, chosen) in enumerate(split_by_factor(program, lanes)):
            own = lanes.take(chosen)
            if in_one_piece(experiment):
                parts.append(run_lanes(one, key, own, shared, finish))
                continue
            if folder is not None:
                name = f"{batch.name}.{number}"
                checkpoint = Checkpoint(folder, name, plan.spec_hash)
            parts.append(run_segments(one, key, own, shared, finish, checkpoint))
    values = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    table = make_table(batch, plan, settings, pairs, values)
    device = jax.devices()[0]
    return table.assign_attrs(
        provenance(
            seeds=[run.seed for run in batch.runs],
            precision=experiment.dtype,
            device=f"{device.platform} {device.device_kind}",
            wall_seconds=time.perf_counter() - started,
        ),
        spec=plan.spec,
        spec_hash=plan.spec_hash,
        axes=json.dumps([axis.name for axis in plan.axes]),
    )
