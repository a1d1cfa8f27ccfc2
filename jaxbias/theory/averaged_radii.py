"""Claims about the averaged network at the centres, and what bounds every network."""

import math

import numpy as np

from jaxbias.theory import readout_radii as radii
from jaxbias.theory._claim import Decoy, Remainder, Setting, scaled
from jaxbias.theory._readout_claims import (
    DIM,
    changed,
    drawn_claim,
    exact_remainder,
    lengths,
    radius_claim,
)
from jaxbias.theory._verdict import judge_at_most, judge_exponent

_NETWORK = {"network": "averaged", "readout": "sign", "dim": DIM}
_SPLITS = tuple(
    (own, clusters - own) for clusters in (2, 5, 10) for own in range(1, clusters)
)
_AMPLITUDES = tuple(
    (own, 10 - own, pair)
    for own in (2, 5, 8)
    for pair in ((1.0, 2.0), (2.0, 1.0), (1.0, 0.3))
)
_HALVES = tuple((k // 2, k // 2) for k in (2, 4, 8, 16, 32))


def _averaged(setting: Setting) -> dict:
    return lengths(setting, radii.averaged)


def _one_more(setting: Setting) -> dict:
    cases = [(own, other + 1, *rest) for own, other, *rest in setting["cases"]]
    return lengths(setting, radii.averaged, cases)


def _own_only(setting: Setting) -> dict:
    return lengths(setting, lambda own, *_: radii.own_average_attack(own))


def _exchanged(setting: Setting) -> dict:
    cases = [(own, other, pair[::-1]) for own, other, pair in setting["cases"]]
    return lengths(setting, radii.averaged, cases)


def _judge_slope(arrays, prediction, remainder, alpha):
    del alpha
    low, high = arrays["slope"]
    return judge_exponent(low, high, prediction["exponent"], float(remainder.delta))


def _steeper(by: float) -> Decoy:
    return Decoy(
        f"exponent {by:+g}", lambda _, p: {**p, "exponent": p["exponent"] + by}
    )


def _judge_cap(arrays, prediction, remainder, alpha):
    del alpha
    limit = prediction["value"] + remainder.delta
    return judge_at_most(arrays["lower"], arrays["upper"], limit, sampled=True)


def _cap(setting: Setting) -> dict:
    return {"value": math.sqrt(setting["dim"]) * radii.HALF_DISTANCE}


def _average_cap(setting: Setting) -> dict:
    value = radii.averaged(setting["own"], setting["opposite"])
    return {"value": math.sqrt(setting["dim"]) * value}


def _linf(setting: Setting, more: int = 0) -> dict:
    clusters = setting["own"] + setting["opposite"] + more
    return {"value": np.array(radii.linf_averaged(clusters))}


def _linf_remainder(setting: Setting) -> Remainder:
    share = 12 * radii.linf_spread(setting["dim"]) / math.sqrt(setting["draws"])
    return Remainder(
        share * float(_linf(setting)["value"]),
        "12 standard errors over the draws, each of relative deviation"
        " sqrt((pi-3)/(2d)); the limit is off by O(1/d)",
    )


CLAIMS = (
    radius_claim(
        "averaged-radius-every-split",
        "The averaged network, equal coefficients on all centres of a class, has"
        " radius exactly sqrt(d/k) at every centre for every split (k+, k-) of the k"
        " clusters.",
        _averaged,
        (changed("k -> k + 1", _one_more), scaled(1.1), changed("k -> k_s", _own_only)),
        {**_NETWORK, "cases": _SPLITS},
        quantifier="every split of k in {2, 5, 10}",
    ),
    radius_claim(
        "averaged-radius-amplitudes",
        "With w_s = a_s sum_{J_s} mu_j the radius at a centre of class s is"
        " sqrt(d) a_s/sqrt(k_s a_s^2 + k_-s a_-s^2): of the split only equal"
        " coefficients are independent.",
        _averaged,
        (
            changed("a_s and a_-s exchanged", _exchanged),
            changed("k -> k + 1", _one_more),
            scaled(1.1),
        ),
        {**_NETWORK, "cases": _AMPLITUDES},
        quantifier="k = 10, three splits, three pairs of amplitudes",
    ),
    radius_claim(
        "averaged-radius-slope",
        "The log-log slope of the averaged network's radius in k is -1/2.",
        lambda _: {"exponent": -0.5},
        (_steeper(0.25), _steeper(-0.25)),
        {**_NETWORK, "cases": _HALVES},
        what="readouts/slope",
        quantifier="k in {2, 4, 8, 16, 32}, halved between the classes",
        kind="exponent",
        remainder=lambda _: Remainder(
            1e-6, "a power law without remainder; the ends of the radii are 1e-7 apart"
        ),
        judge=_judge_slope,
    ),
    radius_claim(
        "universal-direction",
        "One direction for all points of a label, -y (sum_{J+} mu_j - sum_{J-} mu_j),"
        " breaks the averaged network at every centre, exactly at length sqrt(d/k).",
        _averaged,
        (changed("k -> k + 1", _one_more), changed("k -> k_s", _own_only)),
        {**_NETWORK, "cases": _SPLITS, "direction": "universal"},
        what="readouts/directions",
        quantifier="every centre at every split of k in {2, 5, 10}",
    ),
    radius_claim(
        "own-feature-attack",
        "Against the averaged network the negative averaged feature of the own class"
        " alone, -sum_{J_s} mu_j, costs sqrt(d/k_s): sqrt(k/k_s) times the radius.",
        _own_only,
        (changed("k_s -> k", _averaged), scaled(1.1)),
        {**_NETWORK, "cases": _SPLITS, "direction": "own"},
        what="readouts/directions",
        quantifier="every centre at every split of k in {2, 5, 10}",
    ),
    drawn_claim(
        "linf-averaged-random-centres",
        "With random centres the l_inf radius of the averaged network at a centre is"
        " d/|sum_j s_j mu_j|_1, which tends to sqrt(pi/(2k)) for large d.",
        _linf,
        _linf_remainder,
        (Decoy("k -> k + 1", lambda s, _: _linf(s, 1)), scaled(1.1)),
        _NETWORK,
    ),
    radius_claim(
        "radius-cap-at-opposite-centres",
        "No classifier right at x and at x', of opposite classes and sqrt(2d) apart,"
        " has a radius above sqrt(d/2) at both; opposite centres with the same noise"
        " are such points.",
        _cap,
        (scaled(0.9), changed("sqrt(d/k)", _average_cap)),
        {
            "networks": (
                "averaged",
                "group argmax",
                "summed logits",
                "threshold",
                "mixture",
            )
            + ("random",) * 6,
            "readout": "score or group",
            "dim": DIM,
            "own": 2,
            "opposite": 4,
            "noises": 4,
        },
        what="readouts/pairs",
        quantifier="for all classifiers; checked on five explicit and six random"
        " networks, at all pairs of centres and at four shared noises",
        kind="inequality",
        remainder=exact_remainder,
        judge=_judge_cap,
        expected="not refuted",
        stochastic=True,
    ),
)
