"""How slowly a ReLU network on two averages tends to F when K1 and K2 differ.

Clock: per-cluster mean; exponential loss, noise 0, p = 1. K1 positive and K2 negative
unit centres.
"""

import math

import numpy as np
from scipy import special

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
from jaxbias.theory._verdict import judge_identity, judge_interval
from jaxbias.theory.solvable import growth_exponential

_CONVENTIONS = conventions(
    clock="per_cluster_mean",
    loss_scale="exp(-y f)",
    centre_norm="1",
    output_layer="trained, balanced",
)
_TIMES = (8.0, 30.0, 100.0, 1604.0, 1e8)
_CLASSES = {"positive": 6, "negative": 4, "start": 1e-10, "times": _TIMES}


def averaged_growth(
    positive: int, negative: int, start: float, times
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs u_+ and u_- at the centres of a ReLU network on the two averages.

    ``Ei(u) = 2 sqrt(m) t + Ei(start)`` with m the class's number of centres.

    Args:
        positive: K1.
        negative: K2.
        start: output at every centre at time 0.
        times: per-cluster clock.
    """
    law = lambda m: growth_exponential(times, start, 2 * math.sqrt(m))
    return law(positive), law(negative)


def distance_to_average(positive: int, negative: int, u: tuple) -> np.ndarray:
    """Distance of ``u_+ s(<x,mu_+>) - u_- s(<x,mu_->)`` to F up to scaling.

    At the least-squares scale ``c = (K1 u_+ + K2 u_-)/(K1 u_+^2 + K2 u_-^2)``, which
    also minimises the supremum ``sqrt(K1 (c u_+ - 1)^2 + K2 (c u_- - 1)^2)``: the two
    deviations have opposite signs.
    """
    first, second = (np.asarray(a, float) for a in u)
    scale = positive * first + negative * second
    scale = scale / (positive * first**2 + negative * second**2)
    first, second = scale * first - 1, scale * second - 1
    return np.asarray(np.sqrt(positive * first**2 + negative * second**2))


def _evidence(setting: Setting, size: str) -> Computation:
    return Computation("largest_margin/two_classes", setting)


def _law(setting: Setting, power: float = 0.5) -> dict:
    weights = np.array(
        [setting["positive"] ** -power, -(setting["negative"] ** -power)]
    )
    begin = special.expi(setting["start"]) * weights.sum()
    return {"weights": weights, "value": begin}


def _judge_law(arrays, prediction, remainder, alpha):
    """The law at all times but the last, where Ei is beyond the digits."""
    del remainder, alpha
    u, error = arrays["outputs"][:3], arrays["error"][:3]
    weights = prediction["weights"]
    slope = np.exp(u) / u
    return judge_identity(
        special.expi(u) @ weights,
        (slope * error) @ np.abs(weights),
        prediction["value"],
    )


def _gap(setting: Setting, factor: float = 0.5, extra: int = 0) -> dict:
    ratio = (setting["positive"] + extra) / setting["negative"]
    return {"value": factor * math.log(ratio)}


def _gap_remainder(setting: Setting) -> Remainder:
    least = averaged_growth(
        setting["positive"], setting["negative"], setting["start"], _TIMES[-1:]
    )[1][0]
    # (ln Ei)' = e^u/(u Ei(u)), and Ei(u+)/Ei(u-) = sqrt(K1/K2) up to 1/t.
    excess = least * special.expi(least) * math.exp(-least) - 1
    return Remainder(
        _gap(setting)["value"] * float(excess) + 1e-6,
        "the mean value theorem for ln Ei of slope 1 - 1/u - ...: 4.8 % at u = 23",
    )


def _judge_gap(arrays, prediction, remainder, alpha):
    del alpha
    value = arrays["outputs"][-1, 0] - arrays["outputs"][-1, 1]
    error = arrays["error"][-1].sum()
    return judge_interval(
        value - error, value + error, prediction["value"], remainder.delta, error
    )


def _end(setting: Setting, stretch: float = 1.0, **changes) -> dict:
    """At 1604 per cluster: excess of u_+ - u_- over its limit, and the distance."""
    asked = {**setting, **changes}
    sizes = asked["positive"], asked["negative"]
    u = averaged_growth(*sizes, asked["start"], (stretch * _TIMES[3],))
    excess = (u[0] - u[1]) / (0.5 * math.log(sizes[0] / sizes[1])) - 1
    return {"value": np.concatenate([excess, distance_to_average(*sizes, u)])}


def _end_remainder(setting: Setting) -> Remainder:
    ends = [_end(setting, start=start)["value"] for start in (1e-13, 1e-5)]
    return Remainder(
        np.abs(ends[0] - ends[1]) / 2,
        "half the change over all starts from 1e-13 to 1e-5, since the protocol leaves"
        " the output at time 0 to chance",
    )


def _judge_end(arrays, prediction, remainder, alpha):
    del alpha
    first, second = arrays["outputs"][3]
    error = arrays["error"][3].sum() / prediction["limit"]
    excess = (first - second) / prediction["limit"] - 1
    lower = [excess - error, arrays["lower"][3]]
    upper = [excess + error, arrays["upper"][3]]
    return judge_interval(lower, upper, prediction["value"], remainder.delta, error)


def _ending(setting: Setting, **changes) -> dict:
    return {**_end(setting, **changes), "limit": _gap(setting)["value"]}


def _claim(name, statement, kind, predict, judge, decoys, **more) -> Claim:
    return Claim(
        **{
            "id": f"jaxbias/{name}",
            "statement": statement,
            "source": Source("jaxbias", "late phase of two averages, exponential loss"),
            "provenance": "derived",
            "kind": kind,
            "quantifier": "K1 = 6, K2 = 4, four neurons of unequal size",
            "conventions": _CONVENTIONS,
            "setting": _CLASSES,
            "hypotheses": lambda s: (
                requires("K1 != K2", abs(s["positive"] - s["negative"]) - 1.0),
            ),
            "predict": predict,
            "remainder": lambda _: Remainder(0.0, "an identity"),
            "evidence": _evidence,
            "judge": judge,
            "expected": "holds",
            "decoys": decoys,
            "family": "jaxbias/two-classes",
            **more,
        }
    )


CLAIMS = (
    _claim(
        "two-classes-law",
        "At p = 1 under exponential loss, noise 0, a network on the two averages keeps"
        " Ei(u_+)/sqrt(K1) - Ei(u_-)/sqrt(K2), u_+- its outputs at the centres.",
        "identity",
        _law,
        _judge_law,
        (
            Decoy("sqrt(K) -> K", lambda s, _: _law(s, 1.0)),
            Decoy("sqrt(K) -> 1", lambda s, _: _law(s, 0.0)),
        ),
    ),
    _claim(
        "two-classes-limit",
        "There u_+ - u_- tends to (1/2) ln(K1/K2), with a remainder like 1/ln t: 4.8 %"
        " at t = 1e8.",
        "closed form",
        _gap,
        _judge_gap,
        (
            Decoy("1/2 -> 1", lambda s, _: _gap(s, 1.0)),
            Decoy("K1 -> K1 + 1", lambda s, _: _gap(s, 0.5, 1)),
            Decoy("the classes meet", lambda s, _: {"value": 0.0}),
        ),
        remainder=_gap_remainder,
    ),
    _claim(
        "two-classes-end-of-training",
        "At the end of MV24's training (K1 = 6, K2 = 4, 80200 steps of 0.2 on the mean"
        " loss) noise 0 gives u_+ = 11.28 and u_- = 11.06: their difference is 11.7 %"
        " above its limit, and the distance to F is 0.0313.",
        "closed form",
        _ending,
        _judge_end,
        (
            Decoy("mean clock", lambda s, _: _ending(s, stretch=10.0)),
            Decoy("K1 -> K1 + 1", lambda s, _: _ending(s, positive=7)),
            scaled(1.1),
        ),
        remainder=_end_remainder,
    ),
)
