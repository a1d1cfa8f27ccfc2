"""From lanes to a labelled table: radii, numerical errors, masks, dimensions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxbias._axes import CLUSTER, NEURON, RUN, SAMPLE, TIME
from jaxbias.dynamics.accuracy import inaccurate
from jaxbias.dynamics.refinement import refine
from jaxbias.dynamics.status import Status
from jaxbias.observables import Observable
from jaxbias.robustness.bounds import radius_batch
from jaxbias.sweeps.bucket import Batch
from jaxbias.sweeps.lanes import STATISTICS, Program
from jaxbias.sweeps.plan import Plan, Settings

RADII = ("radius_lower", "radius_upper")
# Statistics that have other names in the table, where an observable may have theirs.
METERS = {
    "error_estimate": "error_estimate",
    "balance_error": "largest_balance_error",
}
RADIUS_ROWS = {"centres": CLUSTER, "samples": SAMPLE}
_ROUNDING = {"float64": 1e-12, "float32": 1e-5}
_DESCRIPTIONS = {
    "evaluations": "evaluations of the right-hand side",
    "rejected": "rejected steps",
    "sliding": "share of pairs on an attractive kink, per accepted step",
    "repelling": "share of pairs on a repelling kink, per accepted step",
    "error_estimate": "relative error of outputs, from the local errors",
    "largest_balance_error": "relative error of the conservation law, at its worst",
    "inaccurate": "whether an error estimate or a balance error is above 1 %",
    "radius_lower": "certified lower end of the robustness radius",
    "radius_upper": "norm of a perturbation that reaches another label",
}


def finish_segment(
    program: Program, order: float, lanes: int, count: Callable[[float], None] | None
) -> Callable[[dict[str, Any], int], dict[str, np.ndarray]]:
    """What to do with each segment of lanes: radii, transfer to the host, progress.

    Args:
        program: The lanes' program.
        order: Norm of the radius.
        lanes: Lanes in all, to tell the share that is done.
        count: Told that share, if given.
    """
    done = 0

    def finish(values: dict[str, Any], used: int) -> dict[str, np.ndarray]:
        nonlocal done
        kept = {f"observable:{n}": v for n, v in values["observables"].items()}
        kept |= {name: values[name] for name in ("status", *STATISTICS)}
        arrays = {name: np.asarray(value) for name, value in kept.items()}
        if program.keep is not None:
            arrays |= _radii(program, values, used, order)
        done += used
        if count is not None:
            count(done / lanes)
        return {name: value[:used] for name, value in arrays.items()}

    return finish


def _radii(
    program: Program, values: dict[str, Any], used: int, order: float
) -> dict[str, np.ndarray]:
    """Radii of the final networks; NaN for a network that is not finite."""
    weights, rows, labels = jax.tree.map(
        np.asarray, (values["final"], values["rows"], values["row_labels"])
    )
    lanes = len(labels)
    finite = np.arange(lanes) < used
    for leaf in jax.tree.leaves(weights):
        finite &= np.isfinite(leaf).reshape(lanes, -1).all(axis=1)
    if not finite.any():
        nothing = np.full(labels.shape, np.nan)
        return dict.fromkeys(RADII, nothing)
    # The number of networks stays the same, so that the attack compiles once.
    stand_in = np.where(finite, np.arange(lanes), np.argmax(finite))
    weights, rows, labels = jax.tree.map(lambda a: a[stand_in], (weights, rows, labels))
    activation = program.flow.network.activation
    found = radius_batch(weights, activation, rows, labels, order=order)
    ends = (found.lower, found.upper)
    return {
        name: np.where(finite[:, None], end, np.nan)
        for name, end in zip(RADII, ends, strict=True)
    }


def make_table(
    batch: Batch,
    plan: Plan,
    settings: Settings,
    observables: Mapping[str, Observable],
    pairs: Sequence[tuple[int, float]],
    values: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """A batch's lanes as one table with the dimension ``run``.

    Args:
        batch: The runs.
        plan: Their sweep.
        settings: What was computed.
        observables: By name, with their axes.
        pairs: For each lane the place of its run in the batch and its factor.
        values: Arrays with the leading axis lane.
    """
    place = {pair: lane for lane, pair in enumerate(pairs)}
    lanes = [[place[i, f] for f in run.factors] for i, run in enumerate(batch.runs)]
    reported = np.asarray([each[-1] for each in lanes], np.intp)
    dims: dict[str, tuple[str, ...]] = {
        f"observable:{name}": (RUN, TIME, *o.axes) for name, o in observables.items()
    }
    if settings.radius_at is not None:
        dims |= dict.fromkeys(RADII, (RUN, RADIUS_ROWS[settings.radius_at]))
    widths = np.asarray([run.width for run in batch.runs])
    mask = np.arange(batch.bucket.widest)[None, :] < widths[:, None]
    columns: dict[str, Any] = {}
    for key, axes in dims.items():
        # Rows of arrays that no run of the bucket uses are not saved.
        used = tuple(slice(mask.shape[1] if a == NEURON else None) for a in axes[1:])
        array = values[key][(slice(None), *used)]
        name = key.removeprefix("observable:")
        observed = key != name
        about = {"description": _DESCRIPTIONS.get(name, "")}
        if observed:
            seen = observables[name]
            about = {"description": seen.description, "units": seen.unit or "1"}
        measured = {name: _masked(array[reported], axes, mask)}
        if len(settings.tolerances) == 3:
            error = _numerical_error(array, lanes, _ROUNDING[settings.dtype])
            measured[f"{name}_numerical_error"] = _masked(error, axes, mask)
            converged = np.isfinite(measured[f"{name}_numerical_error"])
            measured[f"{name}_converged"] = converged
        for column, entries in measured.items():
            columns[column] = (axes, entries, about if column == name else {})
    statistics = {name: values[name][reported] for name in STATISTICS}
    statistics["inaccurate"] = inaccurate(statistics)
    statistics = {METERS.get(name, name): c for name, c in statistics.items()}
    for name, column in statistics.items():
        columns[name] = (RUN, column, {"description": _DESCRIPTIONS[name]})
    status = values["status"][reported].astype(np.int32)
    columns["status"] = (RUN, status, _flags())
    coordinates = plan.coordinates(batch.runs)
    coordinates[TIME] = np.asarray(settings.times)
    if any(NEURON in axes for axes in dims.values()):
        coordinates[f"{NEURON}_mask"] = ((RUN, NEURON), mask)
    return xr.Dataset(columns, coordinates)


def _flags() -> dict[str, Any]:
    return {
        "description": "how the run ended",
        "flag_values": np.asarray([s.value for s in Status], np.int32),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
    }


def _masked(array: np.ndarray, axes: tuple[str, ...], mask: np.ndarray) -> np.ndarray:
    if NEURON not in axes:
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
