"""What the claims on averaged and decoupled networks have in common."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Prediction,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
)
from jaxbias.theory._verdict import Finding, judge_interval, searched
from jaxbias.theory.statistics import mean_interval

STUDY = "feature_averaging"
DERIVED = Source("jaxbias", "radii of averaged and decoupled networks")
#: The paper's input dimension.
DIM = 3072
TIES = {"<=": "y f <= 0 is an error", "<": "y f < 0 is an error"}
#: Relative length of an exact radius, see `exact_remainder`.
_CLOSED = 1e-6


def lengths(
    setting: Setting, formula: Callable[..., float], cases: Sequence[Any] | None = None
) -> dict[str, np.ndarray]:
    """The formula at every case, times the norm sqrt(d) of the centres."""
    values = [formula(*case) for case in (setting["cases"] if cases is None else cases)]
    return {"value": math.sqrt(setting["dim"]) * np.array(values, float)}


def exact_remainder(setting: Setting) -> Remainder:
    """The tolerance of a radius found by enumeration."""
    return Remainder(
        _CLOSED * math.sqrt(setting["dim"]),
        "the formula is exact; every polyhedron of errors is looked at, in float64, and"
        " the witness is pushed 1e-7 of its length across the boundary",
    )


def judge_radius(arrays, prediction, remainder, alpha) -> Finding:
    """The interval of the evidence around the predicted value."""
    del alpha
    return judge_interval(
        arrays["lower"], arrays["upper"], prediction["value"], remainder.delta
    )


def judge_search(arrays, prediction, remainder, alpha) -> Finding:
    """The same from the upper ends alone, which were found by search."""
    found = {**arrays, "lower": arrays["upper"]}
    return searched(judge_radius(found, prediction, remainder, alpha))


def judge_mean(arrays, prediction, remainder, alpha) -> Finding:
    """The t-interval of a mean over draws."""
    ends = mean_interval(arrays["values"], alpha)
    return judge_interval(*ends, prediction["value"], remainder.delta)


def evidence(name: str) -> Callable[[Setting, str], Computation]:
    """The request for a computation on the numbers of the setting."""
    return lambda setting, size: Computation(name, setting)


def changed(name: str, predict: Callable[[Setting], Prediction]) -> Decoy:
    """A decoy that predicts by another rule."""
    return Decoy(name, lambda setting, _: predict(setting))


def radius_claim(
    name: str,
    statement: str,
    predict: Callable[[Setting], Prediction],
    decoys: tuple[Decoy, ...],
    setting: Setting,
    *,
    what: str = "readouts/radii",
    prefix: str = "jaxbias",
    source: Source = DERIVED,
    provenance: str = "derived",
    quantifier: str = "a centre of the first class, at the cases listed",
    norm: str = "l_2",
    search: bool = False,
    **more: Any,
) -> Claim:
    """A claim that certain radii are certain numbers."""
    options = {
        "kind": "search" if search else "certified interval",
        "judge": judge_search if search else judge_radius,
        "expected": "not refuted" if search else "holds",
        "remainder": exact_remainder,
        "hypotheses": no_hypotheses,
        **more,
    }
    return Claim(
        id=f"{prefix}/{name}",
        statement=statement,
        source=source,
        provenance=provenance,
        quantifier=quantifier,
        conventions=conventions(
            norm=norm,
            tie=TIES[setting.get("tie", "<=")],
            readout=setting["readout"],
            centre_norm="sqrt(d)",
        ),
        setting=setting,
        predict=predict,
        evidence=evidence(what),
        decoys=decoys,
        study=STUDY,
        **options,
    )


def drawn_claim(
    name: str,
    statement: str,
    predict: Callable[[Setting], Prediction],
    remainder: Callable[[Setting], Remainder],
    decoys: tuple[Decoy, ...],
    network: Setting,
) -> Claim:
    """A claim on the mean l_inf radius at a centre, over random orthogonal centres."""
    return radius_claim(
        name,
        statement,
        predict,
        decoys,
        {**network, "dim": 512, "own": 5, "opposite": 5, "draws": 48},
        what="readouts/linf",
        quantifier="mean over random orthogonal centres at d = 512, k = 10",
        norm="l_inf",
        kind="closed form",
        remainder=remainder,
        judge=judge_mean,
        stochastic=True,
        # Of 24 draws the interval is longer than the 12 standard errors allowed.
        edition=2,
    )
