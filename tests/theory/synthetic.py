"""Evidence made of a claim's own prediction, exact, moved, blurred or unfinished."""

import functools
import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from jaxbias.theory import (
    centre_radii,
    closeness,
    early_alignment,
    growth,
    late_phase,
    sample_radii,
    separable,
)
from jaxbias.theory._claim import weigh
from jaxbias.theory._verdict import decide
from jaxbias.theory.statistics import corrected_alpha

MODULES = (
    centre_radii,
    sample_radii,
    closeness,
    early_alignment,
    separable,
    growth,
    late_phase,
)
CLAIMS = {claim.id: claim for module in MODULES for claim in module.CLAIMS}
#: The level of one claim among fifty.
ALPHA = corrected_alpha(50)
SAMPLES = 40_000


class Change(NamedTuple):
    """What is done to exact evidence.

    Attributes:
        move: in units of the remainder, or of the bound where there is none; towards
            the failing side of an inequality.
        blur: half-width of the interval in the same units.
    """

    move: float = 0.0
    blur: float = 0.0


def _interval(claim, p, delta, change):
    middle = p["value"] + change.move * delta
    return {
        "lower": middle - change.blur * delta,
        "upper": middle + change.blur * delta,
    }


def _identity(claim, p, delta, change):
    value = np.asarray(p["value"], float)
    scale = np.max(np.abs(value))
    return {
        "measured": value + 1e-3 * change.move * scale,
        "error": np.full(value.shape, (1e-9 + 1e-3 * change.blur) * scale),
        "settled": np.ones(value.shape, bool),
    }


def _relative(claim, p, delta, change):
    value = p["value"]
    return {
        "measured": value + change.move * delta,
        "error": np.full(value.shape, 1e-9) + change.blur * delta,
        "settled": np.ones(value.shape, bool),
    }


def _below(share):
    """Ends of a quantity at ``share`` of its upper bound."""

    def build(claim, p, delta, change):
        value = (share + change.move) * np.asarray(p["bound"], float)
        half = change.blur * np.abs(value)
        return {
            "lower": value - half,
            "upper": value + half,
            "measured": value,
            "error": half,
        }

    return build


def _above(claim, p, delta, change):
    """Values on their lower bound."""
    value = np.asarray(p["bound"], float)
    return {"measured": value * (1 - change.move), "error": 0 * value}


def _direction(claim, p, delta, change):
    arrays = {"average": 0.9, "centre": 0.9, "frozen": 0.9}
    arrays[p["target"]] = 1 - change.move * delta
    return {name: np.full(3, value) for name, value in arrays.items()}


def _law(claim, p, delta, change):
    grid = (np.arange(SAMPLES) + 0.5) / SAMPLES
    values = p["mean"] + p["deviation"] * stats.norm.ppf(grid)
    if claim.id.endswith("mean"):
        values = values + change.move * delta
    else:
        values = p["mean"] + (values - p["mean"]) * (
            1 + change.move * delta / p["deviation"]
        )
    return {"lower": values[None], "upper": values[None]}


def survivors(radii, shares) -> np.ndarray:
    """Radii of a sample of which the given shares lie above the given radii."""
    order = np.argsort(radii)
    edges = np.concatenate([[0.0], np.asarray(radii, float)[order], [2.0]])
    counts = np.round(SAMPLES * np.asarray(shares, float)[order]).astype(int)
    counts = -np.diff(np.concatenate([[SAMPLES], counts, [0]]))
    return np.repeat((edges[1:] + edges[:-1]) / 2, counts)


def _accuracy(claim, p, delta, change):
    shares = np.clip(p["value"] + change.move * delta, 0, 1)
    values = survivors(p["radii"], shares)[None]
    return {"lower": values, "upper": values}


def _count(claim, p, delta, change):
    share = np.clip(p["value"] - change.move * delta, 0, 1)
    return {"count": [round(SAMPLES * share)], "trials": [SAMPLES]}


def _robust(claim, p, delta, change):
    """Failures at 70 % of their bound; moved by 2, at 270 %."""
    failures = (0.7 + change.move) * (1 - np.atleast_1d(p["bound"]))
    values = survivors(np.atleast_1d(p["radius"]), np.clip(1 - failures, 0, 1))
    values = np.repeat(values[None], len(claim.setting["cases"]), axis=0)
    return {"lower": values, "upper": values}


def _errors(claim, p, delta, change):
    wrong = p["bound"] * (1.1 - 0.3 * change.move)
    values = survivors([0.95 * p["radius"], p["radius"]], [1.0, 1 - wrong])
    values = np.repeat(values[None], len(claim.setting["cases"]), axis=0)
    return {"lower": values, "upper": values}


def _wrong(claim, p, delta, change):
    rights = np.minimum((0.5 + change.move) * np.asarray(p["bound"]), 1)
    count = np.round(SAMPLES * (1 - rights)).astype(int)
    return {"count": count, "trials": np.full(count.shape, SAMPLES)}


def _certificate(claim, p, delta, change):
    upper = np.full((3, 50), 0.6)
    return {"lower": upper * (1 + change.move), "upper": upper}


def _one_direction(claim, p, delta, change):
    return {"lower": np.array([0.4]), "upper": np.array([0.4])}


_BY_NAME = {
    "radius-law-mean": _law,
    "radius-law-deviation": _law,
    "nearest-centre-accuracy": _accuracy,
    "proposition-1": _errors,
    "proposition-2": _robust,
    "per-centre-tail-bound": _robust,
    "certificate-ideal": _certificate,
    "one-direction-as-printed": _one_direction,
    "one-direction-per-label": _wrong,
    "blind-descent-plateau": _count,
    "blind-descent-gap": _count,
    "lemma-17-as-printed": _below(3.0),
    "lemma-17-corrected": _below(0.95),
    "lemma-17-sharper": _below(0.95),
    "tilted-neuron-distance": _interval,
    "averaging-tanh-bound": _above,
    "centre-cone": _above,
    "phase-transition-averages": _direction,
    "phase-transition-centres": _direction,
    "phase-transition-neutral": _direction,
    "half-fit-time": _relative,
    "proposition-4": _below(0.9),
    "lemma-1": _below(0.9),
}


def builder(claim):
    """The function that makes evidence for a claim."""
    name = claim.id.rpartition("/")[2]
    if name.startswith("radius-"):
        return _BY_NAME.get(name, _interval)
    return _BY_NAME.get(name, _identity)


@functools.cache
def _predict(name):
    return CLAIMS[name].predict(CLAIMS[name].setting)


def evidence(claim, move=0.0, blur=0.0):
    """Arrays as the claim predicts them, up to a change."""
    p, delta = _predict(claim.id), claim.remainder(claim.setting).delta
    return builder(claim)(claim, p, delta, Change(move, blur))


def judge(claim, arrays, prediction=None):
    """The finding of a claim on arrays."""
    if prediction is None:
        prediction = _predict(claim.id)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), ALPHA)


def verdict(claim, finding) -> str:
    """The verdict on a finding, a failure confirmed wherever a second key exists."""
    return decide(
        weigh(claim.hypotheses(claim.setting)),
        finding.conclusion,
        sampled=finding.sampled,
        second_key=claim.second is not None,
    )


def unfinished(arrays):
    """The same arrays of runs that never ended."""
    lost = dict(arrays)
    for name in ("lower", "upper", "measured", "average", "centre", "frozen"):
        if name in lost:
            lost[name] = np.full(np.shape(lost[name]), math.nan)
    return lost


def judged(claim, arrays, decoy=None, alpha=1e-3):
    """The finding of a claim, or of a decoy in its place, on arrays made by hand."""
    prediction, remainder = claim.predict(claim.setting), claim.remainder(claim.setting)
    if decoy is not None:
        prediction = decoy.alter(claim.setting, prediction)
    return claim.judge(arrays, prediction, remainder, alpha)
