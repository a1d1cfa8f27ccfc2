"""What the claims about trained networks share: the runs, and their error."""

import math

import numpy as np

from jaxbias.theory._claim import Remainder, Setting, Training, conventions
from jaxbias.theory.statistics import refined

CONVENTIONS = conventions(
    clock="per_cluster_mean",
    loss_scale="(y - f)^2 / 2",
    norm="l_2",
    tie="y f <= 0 is an error",
    readout="sign",
    centre_norm="1",
    noise_unit="alpha/sqrt(D) per coordinate",
    output_layer="trained, balanced",
)
#: Neurons below this share of the largest contribution are not dominant.
DOMINANT = 1e-3
SETTING = {
    "dim": 200,
    "clusters": 5,
    "positive": 3,
    "noise": 0.05,
    "samples": 400,
    "width": 100,
    "scale": 1e-6,
    "time": 100.0,
}
_OBSERVE = (
    "class_cosines",
    "centre_cosines",
    "contributions",
    "amplitudes",
    "cluster_amplitudes",
    "loss",
    "weight_stable_rank",
    "feature_stable_rank",
)


def training(setting: Setting, size: str) -> Training:
    """The runs that all claims of one setting share."""
    return Training(
        data={name: setting[name] for name in ("dim", "clusters", "positive", "noise")},
        network={
            "width": setting["width"],
            "exponent": setting["exponent"],
            "scale": setting["scale"],
        },
        samples=setting["samples"],
        loss="squared",
        clock="per_cluster_mean",
        times=(setting["time"],),
        observe=_OBSERVE,
        radius_at=setting.get("radius_at", "centres"),
        seeds={"quick": 16, "paper": 64}.get(size, 256),
    )


def with_error(arrays, observable, delta: float) -> tuple[np.ndarray, float]:
    """The judged numbers of every seed, and their numerical error.

    Differences are those of the observable itself over the seeds solved at three
    tolerances. Their root mean square says whether they settle: then the error is
    twice the last one. At p = 1 an entry may cross a kink in one run and not in the
    next, so differences far below the declared remainder need not fall any further:
    where all are under a tenth of it the error is twice the largest. Else the
    error is unknown, which leaves every conclusion open.
    """
    fine = observable(arrays)
    coarse, middle = (observable(arrays[level]) for level in ("coarse", "middle"))
    steps = np.abs(middle - coarse), np.abs(fine[: len(middle)] - middle)
    first, second = (math.sqrt(np.mean(step**2)) for step in steps)
    if refined(0.0, first, first + second).converged:
        return fine, 2 * float(np.max(steps[1]))
    largest = float(np.max(steps))
    return fine, 2 * largest if largest <= delta / 10 else math.inf


def dominant(arrays) -> np.ndarray:
    """Which neurons (seed, neuron) contribute a thousandth of the largest or more."""
    size = np.nan_to_num(arrays["contributions"])
    return size >= DOMINANT * np.max(size, axis=1, keepdims=True)


def least_cosine(arrays, name: str) -> np.ndarray:
    """The least cosine of a dominant neuron to its own direction, seed by seed."""
    best = np.max(arrays[name], axis=1)
    worst = np.where(dominant(arrays), best, np.inf).min(axis=1)
    return np.where(arrays["finished"], worst, np.nan)


def relative(share: float, why: str, predict):
    """A remainder that is a share of the prediction."""
    return lambda s: Remainder(share * np.abs(predict(s)["value"]), why)
