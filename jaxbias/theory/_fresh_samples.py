"""Predictions and rules of judgement of the claims over fresh samples."""

import math
from dataclasses import replace

import numpy as np

from jaxbias.theory import radii
from jaxbias.theory._claim import (
    Computation,
    Hypothesis,
    Remainder,
    Setting,
    conventions,
    requires,
)
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_interval,
    judge_probability,
    searched,
)
from jaxbias.theory.statistics import (
    deviation_interval,
    mean_interval,
    proportion_lower,
    proportion_upper,
)

CONVENTIONS = conventions(
    norm="l_2",
    tie="y f <= 0 is an error",
    readout="sign",
    centre_norm="1",
    noise_unit="alpha/sqrt(D) per coordinate",
)
MODEL = {"dim": 1000, "clusters": 10, "positive": 6, "noise": 0.3}
CEILING = math.sqrt(2) / 2


def sampling(name: str, quick: int, **more):
    def evidence(setting: Setting, size: str) -> Computation:
        factor = {"quick": 1, "paper": 5, "full": 20}[size]
        return Computation(
            f"sampling/{name}", {**setting, "samples": quick * factor, **more}
        )

    return evidence


def exact(_: Setting) -> Remainder:
    return Remainder(0.0, "a bound on a probability: counts decide")


def law(setting: Setting, shift: int = 0, noise: float = 1.0):
    return {
        "mean": radii.averaged_radius(setting["clusters"] + shift),
        "deviation": noise * setting["noise"] / math.sqrt(setting["dim"]),
    }


def law_remainder(setting: Setting, what: str, samples: int = 40000) -> Remainder:
    spread = law(setting)["deviation"]
    error = spread / math.sqrt(samples if what == "mean" else 2 * samples)
    return Remainder(
        20 * error,
        "20 standard errors at the quick size; the kinks of F lie"
        " sqrt(D)/(alpha sqrt(K)) > 30 deviations away and add nothing",
    )


def judge_mean(arrays, prediction, remainder, alpha):
    ends = mean_interval(arrays["lower"][0], alpha)
    return judge_interval(*ends, prediction["mean"], remainder.delta)


def judge_deviation(arrays, prediction, remainder, alpha):
    ends = deviation_interval(arrays["lower"][0], alpha)
    return judge_interval(*ends, prediction["deviation"], remainder.delta)


def accuracies(setting: Setting, extra: int = 0, noise: float = 1.0):
    values = [
        radii.nearest_centre_accuracy(
            r,
            setting["clusters"] + extra,
            setting["positive"],
            noise * setting["noise"],
            setting["dim"],
        )
        for r in setting["radii"]
    ]
    return {"value": np.array(values), "radii": setting["radii"]}


def proportion(count, trials, alpha) -> tuple[float, float]:
    return (
        proportion_lower(count, trials, alpha / 2),
        proportion_upper(count, trials, alpha / 2),
    )


def judge_accuracy(arrays, prediction, remainder, alpha):
    lows, highs = [], []
    low_radius, high_radius = arrays["lower"][0], arrays["upper"][0]
    for r in prediction["radii"]:
        sure, possible = int(np.sum(low_radius > r)), int(np.sum(high_radius > r))
        lows.append(proportion(sure, low_radius.size, alpha)[0])
        highs.append(proportion(possible, low_radius.size, alpha)[1])
    return judge_interval(lows, highs, prediction["value"], remainder.delta)


def judge_count(arrays, prediction, remainder, alpha):
    count, trials = int(arrays["count"][0]), int(arrays["trials"][0])
    ends = proportion(count, trials, alpha)
    return judge_interval(*ends, prediction["value"], remainder.delta)


def robust_counts(arrays, radius) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples surely and possibly robust, by (case, radius); unknown is possible."""
    at = np.atleast_1d(radius)[None, :, None]
    sure = (arrays["lower"][:, None, :] > at).sum(axis=2)
    possible = (~(arrays["upper"][:, None, :] <= at)).sum(axis=2)
    total = np.full(sure.shape, arrays["lower"].shape[1])
    return sure, possible, total


def judge_robust(arrays, prediction, remainder, alpha):
    del remainder
    sure, possible, total = robust_counts(arrays, prediction["radius"])
    bound = np.broadcast_to(prediction["bound"], sure.shape)
    return judge_probability(sure, possible, total, bound, alpha)


def judge_error(arrays, prediction, remainder, alpha):
    del remainder
    sure, possible, total = robust_counts(arrays, prediction["radius"])
    finding = judge_probability(
        total - possible, total - sure, total, prediction["bound"], alpha
    )
    return searched(finding)


def judge_wrong(arrays, prediction, remainder, alpha):
    del remainder
    count = arrays["count"]
    bound = 1 - np.asarray(prediction["bound"])
    return judge_probability(count, count, arrays["trials"], bound, alpha)


def bayes(setting: Setting, sense: float = -1.0):
    margins = np.array(setting["margins"])
    bounds = [
        radii.bayes_accuracy_bound(
            m, setting["clusters"], setting["noise"], setting["dim"]
        )
        for m in margins
    ]
    return {"radius": (math.sqrt(2) + sense * margins) / 2, "bound": np.array(bounds)}


def bayes_hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    least = 2 * math.sqrt(2) * setting["noise"] ** 2 * math.log(setting["clusters"])
    return (
        requires(
            "nu >= 2 sqrt(2) alpha^2 log K / D",
            min(setting["margins"]) - least / setting["dim"],
        ),
        requires("nu <= sqrt(2)", math.sqrt(2) - max(setting["margins"])),
    )


def tails(setting: Setting, sharper: float = 1.0, sense: float = -1.0):
    deltas = np.array(setting["shortfalls"])
    opposite = setting["clusters"] - setting["positive"]
    bounds = [
        1
        - radii.per_centre_failure_bound(d, opposite, setting["noise"], setting["dim"])
        ** sharper
        for d in deltas
    ]
    return {"radius": (math.sqrt(2) + sense * deltas) / 2, "bound": np.array(bounds)}


def universal(setting: Setting, sharper: float = 1.0):
    bounds = [
        radii.universal_attack_bound(rho, setting["clusters"], noise, setting["dim"])
        ** sharper
        if noise
        else 0.0
        for noise in setting["noises"]
        for rho in setting["excesses"]
    ]
    return {"bound": np.array(bounds)}


def one_direction(_: Setting):
    return {"bound": 0.0}


def judge_one_direction(arrays, prediction, remainder, alpha):
    del remainder, alpha
    finding = judge_at_most(arrays["lower"], arrays["upper"], prediction["bound"])
    return replace(finding, witness=arrays.get("witness"))


def plateau(setting: Setting, shift: int = 0, swap: bool = False):
    positive = setting["positive"]
    opposite = setting["clusters"] - positive + shift
    own = positive + shift
    if swap:
        opposite, own = own, opposite
    share = positive / setting["clusters"]
    return {"value": share * 2.0**-opposite + (1 - share) * 2.0**-own}


def closeness_bound(setting: Setting):
    last = 4 * math.exp(-3 / (8 * setting["noise"] ** 2))
    tail = setting["closeness"] ** (2 / setting["exponent"])
    heat = setting["dim"] / (2 * setting["clusters"] ** 2 * setting["noise"] ** 2)
    bound = 1 - 2 * setting["clusters"] * math.exp(-heat * tail) - last
    radius = (math.sqrt(2) - 8 * setting["closeness"] ** (1 / setting["exponent"])) / 2
    return {"vacuous": bound <= 0, "bound": bound, "radius": radius}


def judge_certificate(arrays, prediction, remainder, alpha):
    del alpha
    # The certified radius may not exceed what an attack reached.
    found = arrays["upper"] + remainder.delta
    claimed = prediction["value"] * arrays["lower"]
    ratio = (found - claimed).min(axis=1)
    return judge_at_least(ratio, ratio, 0.0, sampled=True)
