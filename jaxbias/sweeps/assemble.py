"""From lanes to a labelled table: measurements, numerical errors, masks, dimensions."""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import NEURON, RUN
from jaxbias.dynamics.accuracy import inaccurate
from jaxbias.dynamics.refinement import refine
from jaxbias.dynamics.status import Status
from jaxbias.experiments.experiment import Column, Experiment, Outcome
from jaxbias.experiments.flow import LARGEST_BALANCE_ERROR
from jaxbias.sweeps.bucket import Batch
from jaxbias.sweeps.lanes import Finish, Program
from jaxbias.sweeps.plan import Plan, Settings

STATUS, INACCURATE = "status", "inaccurate"
METERS = {
    "error_estimate": "error_estimate",
    "balance_error": LARGEST_BALANCE_ERROR,
}
"""Columns of the table that say how far a run is off, by the statistic's name."""
_ROUNDING = {"float64": 1e-12, "float32": 1e-5}
_ABOUT_INACCURATE = "whether an error estimate or a balance error is above 1 %"


def columns_of(experiment: Experiment, settings: Settings) -> dict[str, Column]:
    """All variables of a sweep's table but statuses and numerical errors.

    Raises:
        InputError: a measurement cannot be taken of this experiment.
    """
    columns = dict(experiment.columns())
    for one in settings.measure:
        columns |= one.columns(experiment)
    return columns


def metered(columns: Container[Any]) -> bool:
    """Whether runs say how far they are off."""
    return all(column in columns for column in METERS.values())


def finish_call(
    program: Program, lanes: int, count: Callable[[float], None] | None
) -> Finish:
    """What to do with the lanes of each call: measure, transfer, tell.

    Args:
        program: The lanes' program.
        lanes: Lanes in all, to tell the share that is done.
        count: Told that share, if given.
    """
    done = 0

    def finish(outcome: Outcome, needed: Any, used: int) -> dict[str, np.ndarray]:
        nonlocal done
        found = {**outcome.observables, **outcome.statistics, STATUS: outcome.status}
        arrays = {name: np.asarray(value) for name, value in found.items()}
        for one, own in zip(program.measurements, needed, strict=True):
            arrays |= one.measure(program.template, own, used)
        done += used
        if count is not None:
            count(done / lanes)
        return {name: value[:used] for name, value in arrays.items()}

    return finish


def make_table(
    batch: Batch,
    plan: Plan,
    settings: Settings,
    pairs: Sequence[tuple[int, float]],
    values: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """A batch's lanes as one table with the dimension ``run``.

    Args:
        batch: The runs.
        plan: Their sweep.
        settings: What was computed.
        pairs: For each lane the place of its run in the batch and its factor.
        values: Arrays with the leading axis lane.
    """
    experiment = batch.bucket.experiment
    place = {pair: lane for lane, pair in enumerate(pairs)}
    lanes = [[place[i, f] for f in run.factors] for i, run in enumerate(batch.runs)]
    reported = np.asarray([each[-1] for each in lanes], np.intp)
    own = np.asarray([run.size for run in batch.runs])
    mask = np.arange(batch.bucket.widest)[None, :] < own[:, None]
    columns: dict[str, Any] = {}
    declared = columns_of(experiment, settings)
    for name, column in declared.items():
        axes = (RUN, *column.axes)
        # Rows of arrays that no run of the bucket uses are not saved.
        cut = mask.shape[1] or None
        used = tuple(slice(cut if a == NEURON else None) for a in column.axes)
        array = values[name][(slice(None), *used)]
        about = {"description": column.description, "units": column.unit}
        columns[name] = (axes, _masked(array[reported], axes, mask), about)
        if len(settings.tolerances) == 3 and column.axes:
            error = _numerical_error(array, lanes, _ROUNDING[experiment.dtype])
            error = _masked(error, axes, mask)
            columns[f"{name}_numerical_error"] = (axes, error)
            columns[f"{name}_converged"] = (axes, np.isfinite(error))
    if metered(columns):
        meters = {name: columns[column][1] for name, column in METERS.items()}
        about = {"description": _ABOUT_INACCURATE}
        columns[INACCURATE] = (RUN, inaccurate(meters), about)
    status = values[STATUS][reported].astype(np.int32)
    columns[STATUS] = (RUN, status, _flags())
    coordinates = plan.coordinates(batch.runs) | dict(experiment.coordinates())
    if mask.size and any(NEURON in column.axes for column in declared.values()):
        coordinates[f"{NEURON}_mask"] = ((RUN, NEURON), mask)
    return xr.Dataset(columns, coordinates)


def _flags() -> dict[str, Any]:
    return {
        "description": "how the run ended",
        "flag_values": np.asarray([s.value for s in Status], np.int32),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
    }


def _masked(array: np.ndarray, axes: tuple[str, ...], mask: np.ndarray) -> np.ndarray:
    if NEURON not in axes or not mask.size:
        return array
    shape = [1] * array.ndim
    shape[0], shape[axes.index(NEURON)] = mask.shape
    return np.where(mask.reshape(shape), array, np.nan).astype(array.dtype)


def _numerical_error(
    values: np.ndarray, lanes: Sequence[Sequence[int]], rounding: float
) -> np.ndarray:
    """Errors by the rule of ``refine``; NaN for runs solved at one tolerance."""
    error = np.full((len(lanes), *values.shape[1:]), np.nan)
    checked = [i for i, each in enumerate(lanes) if len(each) == 3]
    if checked:
        three = [values[[lanes[i][k] for i in checked]] for k in range(3)]
        # Equal infinities (radii without a witness) differ by nothing.
        equal = (three[0] == three[1]) & (three[1] == three[2])
        coarse, middle, fine = (np.where(equal, 0.0, t).astype(float) for t in three)
        error[checked] = refine(coarse, middle, fine, rounding).error
    return error
