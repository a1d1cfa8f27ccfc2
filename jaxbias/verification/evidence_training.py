"""Evidence by training: a request as plain data, carried out by a sweep."""

from typing import Any

import numpy as np

from jaxbias._axes import TIME
from jaxbias._checks import one_of
from jaxbias.theory._claim import Training, conventions
from jaxbias.verification.evidence import Evidence

_LOSS_SCALES = {
    "squared": "(y - f)^2 / 2",
    "exponential": "exp(-y f)",
    "logistic": "log(1 + exp(-y f))",
}
#: Seeds solved at three tolerances.
CHECKED = 4


def build(request: Training) -> Any:
    """The flow a request speaks of.

    Raises:
        InputError: a loss or a number that cannot work.
    """
    from jaxbias import losses
    from jaxbias.data import OrthonormalClusters
    from jaxbias.dynamics.flow import GradientFlow
    from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced

    one_of("loss", request.loss, _LOSS_SCALES)
    exponent = request.network["exponent"]
    network = TwoLayer(
        width=request.network["width"],
        activation=ReLU() if exponent == 1 else PReLU(exponent),
        init=balanced(request.network["scale"]),
    )
    return GradientFlow(
        network,
        OrthonormalClusters(**request.data),
        samples=request.samples,
        loss=getattr(losses, request.loss),
        clock=request.clock,
    )


def train(request: Training, root: int) -> Evidence:
    """Run every seed at a ninth of the tolerance; a few at it and at a third, too.

    Arrays hold the last time. ``coarse`` and ``middle`` are tables of the same names
    for the first seeds, from which a judge takes the numerical error of the very
    number it judges. A run that did not finish is NaN and counts as failed.
    """
    from jaxbias.dynamics.adaptive import Adaptive
    from jaxbias.dynamics.refinement import REFINEMENTS
    from jaxbias.sweeps import sweep

    def solve(seeds: int, factor: float) -> dict[str, Any]:
        table = sweep(
            build(request),
            {},
            seeds,
            times=list(request.times),
            observe=list(request.observe),
            radius_at=request.radius_at,
            integrator=Adaptive(rtol=request.tolerance, accuracy="final outputs"),
            tolerances=(factor,),
            root=f"ledger-{root}",
        )
        return _last(table, request)

    checked = min(CHECKED, request.seeds)
    coarse, middle = (solve(checked, factor) for factor in REFINEMENTS[:2])
    arrays = solve(request.seeds, REFINEMENTS[2])
    arrays |= {"coarse": coarse, "middle": middle}
    failed = int(np.sum(~arrays["finished"]))
    return Evidence(arrays, _conventions(request), request.seeds, failed)


def _last(table: Any, request: Training) -> dict[str, Any]:
    from jaxbias.dynamics.status import Status

    finished = np.asarray(table["status"]) == Status.FINISHED.value
    names = list(request.observe)
    if request.radius_at is not None:
        names += ["radius_lower", "radius_upper"]
    arrays: dict[str, Any] = {"finished": finished}
    for name in names:
        column = table[name]
        column = column.isel({TIME: -1}) if TIME in column.dims else column
        values = np.asarray(column, float)
        shape = (-1,) + (1,) * (values.ndim - 1)
        arrays[name] = np.where(finished.reshape(shape), values, np.nan)
    return arrays


def _conventions(request: Training) -> dict[str, str | None]:
    """The conventions of a run, read off what was run."""
    unit = request.data.get("scaling", "unit") == "unit"
    return conventions(
        clock=request.clock,
        loss_scale=_LOSS_SCALES[request.loss],
        norm="l_2",
        tie="y f <= 0 is an error",
        readout="sign",
        centre_norm="1" if unit else "sqrt(D)",
        noise_unit="alpha/sqrt(D) per coordinate" if unit else "1 per coordinate",
        output_layer="trained, balanced",
    )
