"""Whether saved values can be trusted to 1 %, and the line that says they cannot."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.errors import TracerArrayConversionError
from jaxtyping import Bool

from jaxbias._checks import AccuracyWarning
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.error_norm import FINAL_OUTPUTS
from jaxbias.dynamics.fixed_step import FixedStep

PROMISED = 0.01
"""Largest error of a saved observable, in units of its scale."""

METERS = ("error_estimate", "balance_error")
"""Statistics of a run that say how far it is off; NaN where there is no such meter."""


def inaccurate(statistics: Mapping[str, Any]) -> Bool[np.ndarray, "*shape"]:
    """Whether a meter of a run (or of each of several runs) reads more than 1 %."""
    meters = [np.asarray(statistics[name], float) for name in METERS]
    return np.asarray(np.any([meter > PROMISED for meter in meters], axis=0))


def warn_if_inaccurate(
    statistics: Mapping[str, Any],
    integrator: Adaptive | FixedStep,
    stacklevel: int = 3,
) -> None:
    """Say in one line that runs are off by more than 1 %, if they are.

    Nothing is said under jit, of runs asked for by ``accuracy="final outputs"``, which
    promise nothing on the way, and of Euler steps, which are a descent of their own.
    Their meters are in the statistics all the same.
    """
    if isinstance(integrator, Adaptive):
        asked = integrator.accuracy == FINAL_OUTPUTS
        remedy = "Adaptive(rtol=...) with a smaller tolerance"
    else:
        asked = integrator.method == "euler"
        remedy = "a smaller step"
    meters = {name: statistics[name] for name in METERS}
    if asked:
        return
    try:
        bad = np.atleast_1d(inaccurate(meters))
    except TracerArrayConversionError:
        return
    if not bad.any():
        return
    readings = ", ".join(
        f"{name} {values[bad].max():.2g}"
        for name, meter in meters.items()
        if not np.isnan((values := np.atleast_1d(np.asarray(meter)))[bad]).any()
    )
    runs = "this run" if bad.size == 1 else f"{bad.sum()} of {bad.size} runs"
    warnings.warn(
        f"saved values of {runs} may be off by more than 1 % ({readings}); {remedy}"
        " is more accurate",
        AccuracyWarning,
        stacklevel=stacklevel,
    )
