"""MV25 Lemma 17: from aligned neurons to a distance, as printed and repaired.

One cluster, one neuron of squared norm ``1 + nu`` with ``1 - cos = delta``: the
printed bound is of order delta where the distance is of order sqrt(delta).
"""

import math
from dataclasses import replace

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_most, judge_interval

_SETTING = {
    "exponents": (3.0, 4.0),
    "misalignments": (1e-3, 1e-4),
    "excesses": (0.0, 1e-3),
    "clusters": 1,
    "leftover": 0.0,
}
_LEMMA = Source("min-vidal-2025", "Lemma 17 (proof of Theorem 1)", "PMLR 267")


def printed_bound(p, delta, nu, zeta, clusters) -> float:
    """``K (1+nu) (2^p - 1) 2 delta + K nu + zeta``, as printed."""
    return clusters * (1 + nu) * (2**p - 1) * 2 * delta + clusters * nu + zeta


def corrected_bound(p, delta, nu, zeta, clusters) -> float:
    """``K (1+nu) p sqrt(2 delta) + K nu + zeta``: |w^ - mu| = sqrt(2 (1 - cos))."""
    return clusters * (1 + nu) * p * math.sqrt(2 * delta) + clusters * nu + zeta


def sharper_bound(p, delta, nu, zeta, clusters) -> float:
    """``(1+nu) p sqrt(2 delta) (1 + sqrt(2 K delta))^2 + nu + zeta``, p >= 3."""
    root = (1 + math.sqrt(2 * clusters * delta)) ** 2
    return (1 + nu) * p * math.sqrt(2 * delta) * root + nu + zeta


def single_neuron_distance(p: float, delta: float) -> float:
    """``p sqrt(2 delta) max_th cos^(p-1)(th) sin(th)``, to leading order in delta."""
    # The maximum stands at tan^2 = 1/(p - 1).
    cosine = math.sqrt((p - 1) / p)
    return p * math.sqrt(2 * delta) * cosine ** (p - 1) * math.sqrt(1 / p)


def _bounds(bound, setting: Setting, power: float = 1.0) -> dict:
    values = [
        bound(p, delta**power, nu, setting["leftover"], setting["clusters"])
        for p in setting["exponents"]
        for delta in setting["misalignments"]
        for nu in setting["excesses"]
    ]
    return {"bound": np.array(values)}


def _judge(arrays, prediction, remainder, alpha):
    del remainder, alpha
    finding = judge_at_most(arrays["lower"], arrays["upper"], prediction["bound"])
    return replace(finding, witness=arrays.get("witness"))


def _judge_value(arrays, prediction, remainder, alpha):
    del alpha
    return judge_interval(
        arrays["lower"], arrays["upper"], prediction["value"], remainder.delta
    )


def _hypotheses(setting: Setting):
    return (
        requires("p > 2", min(setting["exponents"]) - 2),
        requires("one neuron aligned to delta in the only cluster", 0.0),
    )


def _evidence(setting: Setting, size: str) -> Computation:
    return Computation("closeness/tilted", {**setting, "grid": 400001})


def _second(setting: Setting, size: str) -> Computation:
    return Computation("closeness/tilted_weights", setting)


def _distance(setting: Setting, power: float = 0.5):
    values = [
        single_neuron_distance(p, delta ** (2 * power))
        for p in setting["exponents"]
        for delta in setting["misalignments"]
    ]
    return {"value": np.array(values)}


def _claim(name, statement, bound, expected, decoys, **more) -> Claim:
    return Claim(
        id=name,
        statement=statement,
        kind="inequality",
        quantifier="one cluster, one tilted neuron; p in {3, 4}, two delta, two nu",
        conventions=conventions(centre_norm="1"),
        setting=_SETTING,
        hypotheses=_hypotheses,
        predict=lambda s: _bounds(bound, s),
        remainder=lambda _: Remainder(0.0, "an inequality"),
        evidence=_evidence,
        judge=_judge,
        expected=expected,
        decoys=decoys,
        family="min-vidal-2025/lemma-17",
        **more,
    )


def _two(setting: Setting) -> Setting:
    return {**setting, "clusters": setting["clusters"] + 1}


_LINEAR = "sqrt(2 delta) -> 2 delta"

CLAIMS = (
    _claim(
        "min-vidal-2025/lemma-17-as-printed",
        "If every neuron has cosine at least 1 - delta to its centre, group sums are"
        " within nu of 1 and the rest has mass zeta, then sup |f - F^(p)| <="
        " K (1+nu) (2^p - 1) 2 delta + K nu + zeta.",
        printed_bound,
        "violated",
        (
            scaled(1.1, "bound"),
            Decoy("K -> K + 1", lambda s, _: _bounds(printed_bound, _two(s))),
        ),
        source=_LEMMA,
        provenance="seen",
        second=_second,
        grade="false as printed",
        repaired_by=(
            "min-vidal-2025/lemma-17-corrected",
            "min-vidal-2025/lemma-17-sharper",
        ),
    ),
    _claim(
        "min-vidal-2025/lemma-17-corrected",
        "With |w^ - mu| = sqrt(2 (1 - cos)): sup |f - F^(p)| <="
        " K (1+nu) p sqrt(2 delta) + K nu + zeta.",
        corrected_bound,
        "holds",
        (
            Decoy(_LINEAR, lambda s, _: _bounds(corrected_bound, s, 2.0)),
            scaled(1 / 3, "bound"),
        ),
        source=Source("jaxbias", "Lemma 17 of min-vidal-2025, repaired"),
        provenance="derived",
    ),
    _claim(
        "min-vidal-2025/lemma-17-sharper",
        "Free of K for p >= 3: sup |f - F^(p)| <= (1+nu) p sqrt(2 delta)"
        " (1 + sqrt(2 K delta))^2 + nu + zeta.",
        sharper_bound,
        "holds",
        (
            Decoy(_LINEAR, lambda s, _: _bounds(sharper_bound, s, 2.0)),
            scaled(1 / 3, "bound"),
        ),
        source=Source("jaxbias", "Lemma 17 of min-vidal-2025, repaired"),
        provenance="derived",
    ),
    Claim(
        id="jaxbias/tilted-neuron-distance",
        statement="A single neuron tilted by 1 - cos = delta is at distance"
        " p sqrt(2 delta) max_th cos^(p-1)(th) sin(th) from its own cluster's term"
        " (p = 3: 1.1547 sqrt(2 delta)).",
        source=Source("jaxbias", "Lemma 17 of min-vidal-2025, the failing number"),
        provenance="derived",
        kind="closed form",
        quantifier="p in {3, 4}, two delta",
        conventions=conventions(centre_norm="1"),
        setting={**_SETTING, "excesses": (0.0,)},
        hypotheses=_hypotheses,
        predict=_distance,
        remainder=lambda s: Remainder(
            np.array([p * p * d for p in s["exponents"] for d in s["misalignments"]]),
            "second order in the tilt sqrt(2 delta): |(cos^p)''| <= p^2, halved",
        ),
        evidence=_evidence,
        judge=_judge_value,
        expected="holds",
        decoys=(
            Decoy("exponent 1/2 -> 3/4", lambda s, _: _distance(s, 0.75)),
            scaled(1.2),
        ),
    ),
)
