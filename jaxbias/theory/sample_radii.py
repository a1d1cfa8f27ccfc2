"""Claims about radii and robust accuracy over fresh samples."""

import math
from dataclasses import replace

import numpy as np

from jaxbias.theory import radii
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
    requires,
    scaled,
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

_CONVENTIONS = conventions(
    norm="l_2",
    tie="y f <= 0 is an error",
    readout="sign",
    centre_norm="1",
    noise_unit="alpha/sqrt(D) per coordinate",
)
_MODEL = {"dim": 1000, "clusters": 10, "positive": 6, "noise": 0.3}
_CEILING = math.sqrt(2) / 2


def _sampling(name: str, quick: int, **more):
    def evidence(setting: Setting, size: str) -> Computation:
        factor = {"quick": 1, "paper": 5, "full": 20}[size]
        return Computation(
            f"sampling/{name}", {**setting, "samples": quick * factor, **more}
        )

    return evidence


def _exact(_: Setting) -> Remainder:
    return Remainder(0.0, "a bound on a probability: counts decide")


def _law(setting: Setting, shift: int = 0, noise: float = 1.0):
    return {
        "mean": radii.averaged_radius(setting["clusters"] + shift),
        "deviation": noise * setting["noise"] / math.sqrt(setting["dim"]),
    }


def _law_remainder(setting: Setting, what: str, samples: int = 40000) -> Remainder:
    spread = _law(setting)["deviation"]
    error = spread / math.sqrt(samples if what == "mean" else 2 * samples)
    return Remainder(
        20 * error,
        "20 standard errors at the quick size; the kinks of F lie"
        " sqrt(D)/(alpha sqrt(K)) > 30 deviations away and add nothing",
    )


def _judge_mean(arrays, prediction, remainder, alpha):
    ends = mean_interval(arrays["lower"][0], alpha)
    return judge_interval(*ends, prediction["mean"], remainder.delta)


def _judge_deviation(arrays, prediction, remainder, alpha):
    ends = deviation_interval(arrays["lower"][0], alpha)
    return judge_interval(*ends, prediction["deviation"], remainder.delta)


def _accuracies(setting: Setting, extra: int = 0, noise: float = 1.0):
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


def _proportion(count, trials, alpha) -> tuple[float, float]:
    return (
        proportion_lower(count, trials, alpha / 2),
        proportion_upper(count, trials, alpha / 2),
    )


def _judge_accuracy(arrays, prediction, remainder, alpha):
    lows, highs = [], []
    low_radius, high_radius = arrays["lower"][0], arrays["upper"][0]
    for r in prediction["radii"]:
        sure, possible = int(np.sum(low_radius > r)), int(np.sum(high_radius > r))
        lows.append(_proportion(sure, low_radius.size, alpha)[0])
        highs.append(_proportion(possible, low_radius.size, alpha)[1])
    return judge_interval(lows, highs, prediction["value"], remainder.delta)


def _judge_count(arrays, prediction, remainder, alpha):
    count, trials = int(arrays["count"][0]), int(arrays["trials"][0])
    ends = _proportion(count, trials, alpha)
    return judge_interval(*ends, prediction["value"], remainder.delta)


def _robust_counts(arrays, radius) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples surely and possibly robust, by (case, radius)."""
    at = np.atleast_1d(radius)[None, :, None]
    sure = (arrays["lower"][:, None, :] > at).sum(axis=2)
    possible = (arrays["upper"][:, None, :] > at).sum(axis=2)
    total = np.full(sure.shape, arrays["lower"].shape[1])
    return sure, possible, total


def _judge_robust(arrays, prediction, remainder, alpha):
    del remainder
    sure, possible, total = _robust_counts(arrays, prediction["radius"])
    bound = np.broadcast_to(prediction["bound"], sure.shape)
    return judge_probability(sure, possible, total, bound, alpha)


def _judge_error(arrays, prediction, remainder, alpha):
    del remainder
    sure, possible, total = _robust_counts(arrays, prediction["radius"])
    finding = judge_probability(
        total - possible, total - sure, total, prediction["bound"], alpha
    )
    return searched(finding)


def _judge_wrong(arrays, prediction, remainder, alpha):
    del remainder
    count = arrays["count"]
    bound = 1 - np.asarray(prediction["bound"])
    return judge_probability(count, count, arrays["trials"], bound, alpha)


def _bayes(setting: Setting, sense: float = -1.0):
    margins = np.array(setting["margins"])
    bounds = [
        radii.bayes_accuracy_bound(
            m, setting["clusters"], setting["noise"], setting["dim"]
        )
        for m in margins
    ]
    return {"radius": (math.sqrt(2) + sense * margins) / 2, "bound": np.array(bounds)}


def _bayes_hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    least = 2 * math.sqrt(2) * setting["noise"] ** 2 * math.log(setting["clusters"])
    return (
        requires(
            "nu >= 2 sqrt(2) alpha^2 log K / D",
            min(setting["margins"]) - least / setting["dim"],
        ),
        requires("nu <= sqrt(2)", math.sqrt(2) - max(setting["margins"])),
    )


def _tails(setting: Setting, sharper: float = 1.0, sense: float = -1.0):
    deltas = np.array(setting["shortfalls"])
    opposite = setting["clusters"] - setting["positive"]
    bounds = [
        1
        - radii.per_centre_failure_bound(d, opposite, setting["noise"], setting["dim"])
        ** sharper
        for d in deltas
    ]
    return {"radius": (math.sqrt(2) + sense * deltas) / 2, "bound": np.array(bounds)}


def _universal(setting: Setting, sharper: float = 1.0):
    bounds = [
        radii.universal_attack_bound(rho, setting["clusters"], noise, setting["dim"])
        ** sharper
        if noise
        else 0.0
        for noise in setting["noises"]
        for rho in setting["excesses"]
    ]
    return {"bound": np.array(bounds)}


def _one_direction(_: Setting):
    return {"bound": 0.0}


def _judge_one_direction(arrays, prediction, remainder, alpha):
    del remainder, alpha
    finding = judge_at_most(arrays["lower"], arrays["upper"], prediction["bound"])
    return replace(finding, witness=arrays.get("witness"))


def _plateau(setting: Setting, shift: int = 0, swap: bool = False):
    positive = setting["positive"]
    opposite = setting["clusters"] - positive + shift
    own = positive + shift
    if swap:
        opposite, own = own, opposite
    share = positive / setting["clusters"]
    return {"value": share * 2.0**-opposite + (1 - share) * 2.0**-own}


def _closeness_bound(setting: Setting):
    last = 4 * math.exp(-3 / (8 * setting["noise"] ** 2))
    tail = setting["closeness"] ** (2 / setting["exponent"])
    heat = setting["dim"] / (2 * setting["clusters"] ** 2 * setting["noise"] ** 2)
    bound = 1 - 2 * setting["clusters"] * math.exp(-heat * tail) - last
    radius = (math.sqrt(2) - 8 * setting["closeness"] ** (1 / setting["exponent"])) / 2
    return {"vacuous": bound <= 0, "bound": bound, "radius": radius}


def _judge_certificate(arrays, prediction, remainder, alpha):
    del alpha
    # The certified radius may not exceed what an attack reached.
    found = arrays["upper"] + remainder.delta
    claimed = prediction["value"] * arrays["lower"]
    ratio = (found - claimed).min(axis=1)
    return judge_at_least(ratio, ratio, 0.0, sampled=True)


CLAIMS = (
    Claim(
        id="jaxbias/radius-law-mean",
        statement="Over a fresh sample the radius of F is N(1/sqrt(K), alpha^2/D) up"
        " to exponentially rare events: its mean is 1/sqrt(K).",
        source=Source("jaxbias", "radius law of F"),
        provenance="derived",
        kind="closed form",
        quantifier="mean over fresh samples",
        conventions=_CONVENTIONS,
        setting={**_MODEL, "cases": ("averaged",)},
        hypotheses=no_hypotheses,
        predict=_law,
        remainder=lambda s: _law_remainder(s, "mean"),
        evidence=_sampling("radii", 40000),
        judge=_judge_mean,
        expected="holds",
        decoys=(
            scaled(1.1, "mean"),
            Decoy("K -> K + 1", lambda s, _: _law(s, 1)),
        ),
        stochastic=True,
        family="jaxbias/radius-law",
    ),
    Claim(
        id="jaxbias/radius-law-deviation",
        statement="Over a fresh sample the radius of F is N(1/sqrt(K), alpha^2/D) up"
        " to exponentially rare events: its standard deviation is alpha/sqrt(D).",
        source=Source("jaxbias", "radius law of F"),
        provenance="derived",
        kind="closed form",
        quantifier="standard deviation over fresh samples",
        conventions=_CONVENTIONS,
        setting={**_MODEL, "cases": ("averaged",)},
        hypotheses=no_hypotheses,
        predict=_law,
        remainder=lambda s: _law_remainder(s, "deviation"),
        evidence=_sampling("radii", 40000),
        judge=_judge_deviation,
        expected="holds",
        decoys=(
            scaled(1.1, "deviation"),
            scaled(1 / math.sqrt(10), "deviation"),
        ),
        stochastic=True,
        family="jaxbias/radius-law",
    ),
    Claim(
        id="jaxbias/nearest-centre-accuracy",
        statement="The nearest-cluster rule has robust accuracy (K1/K) A_{K2}(r) +"
        " (K2/K) A_{K1}(r), A_m(r) = int phi(u) Phi(u + (1 - sqrt(2) r)"
        " sqrt(D)/alpha)^m du; at sqrt(2)/2 it is (K1/K)/(K2+1) + (K2/K)/(K1+1) for"
        " every alpha and D.",
        source=Source("jaxbias", "nearest-cluster rule"),
        provenance="derived",
        kind="closed form",
        quantifier="five radii around sqrt(2)/2",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "cases": ("nearest",),
            "radii": (0.68, 0.69, 0.70, _CEILING, 0.715),
        },
        hypotheses=no_hypotheses,
        predict=_accuracies,
        remainder=lambda _: Remainder(
            10 * 0.5 / math.sqrt(40000),
            "ten standard errors at the quick size; the formula is exact but for own"
            " centres that overtake, beyond 30 deviations",
        ),
        evidence=_sampling("radii", 40000),
        judge=_judge_accuracy,
        expected="holds",
        decoys=(
            scaled(1.1),
            Decoy("alpha -> 1.25 alpha", lambda s, _: _accuracies(s, noise=1.25)),
            Decoy("K2 -> K2 + 1", lambda s, _: _accuracies(s, extra=1)),
        ),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2025/proposition-1",
        statement="No classifier has robust error below min(K1, K2)/K at radius"
        " sqrt(2)/2.",
        source=Source("min-vidal-2025", "Proposition 1", "PMLR 267"),
        provenance="seen",
        kind="probability",
        quantifier="for all classifiers; checked on F, F^(2), F^(3), nearest, Bayes",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "cases": (
                "averaged",
                ("per_centre", {"exponent": 2.0}),
                ("per_centre", {"exponent": 3.0}),
                "nearest",
                "bayes",
            ),
        },
        hypotheses=no_hypotheses,
        predict=lambda s: {
            "bound": min(s["positive"], s["clusters"] - s["positive"]) / s["clusters"],
            "radius": _CEILING,
        },
        remainder=_exact,
        evidence=_sampling("radii", 8000),
        judge=_judge_error,
        expected="not refuted",
        decoys=(
            scaled(0.95, "radius"),
            Decoy("1 - 1/K", lambda s, p: {**p, "bound": 1 - 1 / s["clusters"]}),
        ),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2025/proposition-2",
        statement="The Bayes rule withstands every attack of radius (sqrt(2) - nu)/2"
        " with probability at least 1 - 2K exp(-D nu^2/(64 alpha^2)).",
        source=Source("min-vidal-2025", "Proposition 2", "PMLR 267"),
        provenance="seen",
        kind="probability",
        quantifier="probability over a fresh sample, three nu",
        conventions=_CONVENTIONS,
        setting={**_MODEL, "cases": ("bayes",), "margins": (0.16, 0.18, 0.2)},
        hypotheses=_bayes_hypotheses,
        predict=_bayes,
        remainder=_exact,
        evidence=_sampling("radii", 20000),
        judge=_judge_robust,
        expected="holds",
        decoys=(
            Decoy("radius (sqrt(2) + nu)/2", lambda s, _: _bayes(s, 1.0)),
            scaled(1.2, "radius"),
        ),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2025/proposition-3",
        statement="A network within nu of F^(p) withstands radius"
        " (sqrt(2) - 8 nu^(1/p))/2 with probability at least 1 - 2K exp(-D nu^(2/p)/"
        "(2 K^2 alpha^2)) - 4 exp(-3/(8 alpha^2)).",
        source=Source("min-vidal-2025", "Proposition 3", "PMLR 267"),
        provenance="seen",
        kind="probability",
        quantifier="probability over a fresh sample, at alpha = 0.6",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "noise": 0.6,
            "exponent": 3.0,
            "closeness": 5e-3,
            "cases": ("per_centre",),
        },
        hypotheses=lambda s: (
            requires("p > 2", s["exponent"] - 2),
            requires(
                "nu <= (sqrt(2)/8)^p",
                (math.sqrt(2) / 8) ** s["exponent"] - s["closeness"],
            ),
        ),
        predict=_closeness_bound,
        remainder=_exact,
        evidence=_sampling("radii", 20000),
        judge=_judge_robust,
        expected="vacuous",
        decoys=(scaled(1.1, "bound"), scaled(2.0, "radius")),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/per-centre-tail-bound",
        statement="F^(p), p >= 2, fails on a positive sample at radius"
        " (sqrt(2) - delta)/2 with probability at most exp(-D (delta/sqrt(2) - m)^2/"
        "(4 alpha^2)), m = alpha sqrt(K2/(2D)): no K^2 in the exponent.",
        source=Source("jaxbias", "failure probability of F^(p)"),
        provenance="derived",
        kind="probability",
        quantifier="probability over a fresh positive sample, p in {2, 3}, three delta",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "cases": (
                ("per_centre", {"exponent": 2.0}),
                ("per_centre", {"exponent": 3.0}),
            ),
            "side": "positive",
            "shortfalls": (0.05, 0.065, 0.08),
        },
        hypotheses=no_hypotheses,
        predict=_tails,
        remainder=_exact,
        evidence=_sampling("radii", 30000),
        judge=_judge_robust,
        expected="holds",
        decoys=(
            Decoy("4 alpha^2 -> alpha^2", lambda s, _: _tails(s, 4.0)),
            Decoy("radius (sqrt(2) + delta)/2", lambda s, _: _tails(s, 1.0, 1.0)),
        ),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/certificate-ideal",
        statement="At any x the l_2 radius of F^(p), p >= 2, is at least"
        " (|s(x_+)|_p - |s(x_-)|_p)/sqrt(2), and no attack goes below it.",
        source=Source("jaxbias", "certificate for F^(p)"),
        provenance="derived",
        kind="inequality",
        quantifier="fresh samples at noise 0.3, p in {2, 3, 6}",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "dim": 50,
            "cases": tuple(("per_centre", {"exponent": p}) for p in (2.0, 3.0, 6.0)),
        },
        hypotheses=no_hypotheses,
        predict=lambda _: {"value": 1.0},
        remainder=lambda _: Remainder(1e-12, "rounding of a bisection"),
        evidence=_sampling("radii", 4000),
        judge=_judge_certificate,
        expected="not refuted",
        decoys=(scaled(1.1), scaled(math.sqrt(2))),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2024/one-direction-as-printed",
        statement="One unit direction d0 for both labels has P(F(x + ((1+rho)/sqrt(K))"
        " d0) y > 0) <= 2 exp(-C D rho^2/(alpha^2 K)) for every rho > 0; at noise 0"
        " the right side is 0 for every C > 0.",
        source=Source("min-vidal-2024", "main theorem (b)", "ICML 2024 poster"),
        provenance="seen",
        kind="inequality",
        quantifier="for some d0 and all rho > 0; checked at rho = 0.1 over every d0",
        conventions=_CONVENTIONS,
        setting={"clusters": 10, "positive": 6, "excess": 0.1, "grid": 801},
        hypotheses=no_hypotheses,
        predict=_one_direction,
        remainder=_exact,
        evidence=lambda s, size: Computation("sampling/one_direction", s),
        judge=_judge_one_direction,
        expected="violated",
        decoys=(
            Decoy("bound 0.1", lambda s, _: {"bound": 0.1}),
            Decoy("bound 0.2", lambda s, _: {"bound": 0.2}),
        ),
        second=lambda s, size: Computation("sampling/one_direction_exact", s),
        grade="misprint, order unaffected",
        repaired_by=("min-vidal-2024/one-direction-per-label",),
    ),
    Claim(
        id="min-vidal-2024/one-direction-per-label",
        statement="With y d0, d0 = (mu_- - mu_+)/sqrt(K): P(F(x + y ((1+rho)/sqrt(K))"
        " d0) y > 0) <= (1/2) exp(-D rho^2/(2 alpha^2 K)), and 0 at noise 0.",
        source=Source("jaxbias", "universal attack on F"),
        provenance="derived",
        kind="probability",
        quantifier="probability over a fresh sample, noise 0 and 0.3, four rho",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "noises": (0.0, 0.3),
            "excesses": (0.02, 0.05, 0.08, 0.1),
        },
        hypotheses=no_hypotheses,
        predict=_universal,
        remainder=_exact,
        evidence=_sampling("universal", 40000),
        judge=_judge_wrong,
        expected="not refuted",
        decoys=(
            Decoy("2 alpha^2 -> alpha^2 / 2", lambda s, _: _universal(s, 4.0)),
            scaled(0.5, "bound"),
        ),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/blind-descent-plateau",
        statement="PGD from 0 on F^(3) leaves, beyond radius 1, the share (K1/K)"
        " 2^-K2 + (K2/K) 2^-K1 of samples whose opposite projections are all"
        " negative: dead gradients, not robustness.",
        source=Source("jaxbias", "weak-attack trap"),
        provenance="derived",
        kind="closed form",
        quantifier="fresh samples at noise 0.01, radius 1.1",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "noise": 0.01,
            "exponent": 3.0,
            "radius": 1.1,
            "steps": 300,
        },
        hypotheses=no_hypotheses,
        predict=_plateau,
        remainder=lambda _: Remainder(
            0.015,
            "unfinished descent and steps that overshoot own centres together move"
            " under 0.005; the rest is the length of the interval at the quick size",
        ),
        evidence=_sampling("descent", 20000),
        judge=_judge_count,
        expected="holds",
        decoys=(
            Decoy("K -> K + 1", lambda s, _: _plateau(s, 1)),
            Decoy("K -> K - 1", lambda s, _: _plateau(s, -1)),
        ),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/blind-descent-gap",
        statement="At radius 0.86 PGD from 0 reports F^(3) robust on nearly every"
        " sample, although no classifier can exceed 1 - min(K1, K2)/K beyond"
        " sqrt(2)/2: accuracy above the ceiling is a failed attack.",
        source=Source("jaxbias", "weak-attack trap"),
        provenance="derived",
        kind="closed form",
        quantifier="fresh samples at noise 0.01",
        conventions=_CONVENTIONS,
        setting={
            **_MODEL,
            "noise": 0.01,
            "exponent": 3.0,
            "radius": 0.86,
            "steps": 60,
        },
        hypotheses=no_hypotheses,
        predict=lambda s: {"value": 1.0},
        remainder=lambda _: Remainder(
            0.01,
            "until the own projection is gone f > 0, and 0.86 falls 14 deviations"
            " short of it for all but rare rivals; 0.01 is the sample's length",
        ),
        evidence=_sampling("descent", 4000),
        judge=_judge_count,
        expected="holds",
        decoys=(
            Decoy("the ceiling of any classifier", lambda s, _: {"value": 0.6}),
            scaled(0.9),
        ),
        stochastic=True,
    ),
)
