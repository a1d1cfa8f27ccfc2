"""Neural collapse on separable classes: limits, and the finite-time laws behind them.

All limits are approached like 1/log t. Each is therefore judged at a time with the
first order in 1/m of its remainder, ``m ~ log t`` being the margin of a class.
"""

from functools import partial

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._collapse_data import THREE, TWO, hypotheses, late, request
from jaxbias.theory._collapse_laws import (
    collapse_metrics,
    late_margins,
    limit_margins,
    limit_network,
    margin_ratio_remainder,
    margin_ratios,
    metric_remainder,
    norm_law,
    norm_law_remainder,
    norm_ratio_remainder,
    norm_ratios,
    tilt_remainder,
    tilts,
)
from jaxbias.theory._verdict import judge_at_most, judge_identity, judge_interval

_CONVENTIONS = conventions(clock="sum", output_layer="trained, balanced")


def _judge(measured, error, prediction, remainder):
    return judge_interval(
        measured - error,
        measured + error,
        prediction["value"],
        remainder.delta,
        np.max(error),
    )


def _judge_law(arrays, prediction, remainder, alpha):
    del alpha
    unit = prediction["unit"]
    error = unit * arrays["error_sizes"]
    return _judge(unit * arrays["sizes"], error, prediction, remainder)


def _judge_shares(arrays, prediction, remainder, alpha):
    del alpha
    sizes, error = arrays["sizes"], arrays["error_sizes"]
    value = sizes[:-1] / sizes[-1]
    relative = error[:-1] / sizes[:-1] + error[-1] / sizes[-1]
    return _judge(value, relative * value, prediction, remainder)


def _judge_equal(arrays, prediction, remainder, alpha):
    del alpha
    least, error = arrays["least"], arrays["error_least"]
    value = least[:-1] / least[-1]
    relative = error[:-1] / least[:-1] + error[-1] / least[-1]
    return _judge(value, relative * value, prediction, remainder)


def _judge_named(name, arrays, prediction, remainder, alpha):
    del alpha
    return _judge(arrays[name], arrays[f"error_{name}"], prediction, remainder)


def _judge_overlap(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value = arrays[prediction["of"]]
    return judge_at_most(value, value, prediction["bound"])


def _judge_network(arrays, prediction, remainder, alpha):
    del remainder, alpha
    return judge_identity(arrays["measured"], arrays["error"], prediction["value"])


_PLACES = {
    "min-zhu-vidal-2025": "Theorem 1 (limit), in finite time",
    "jaxbias": "late phase of separable classes",
}


def _claim(name, statement, setting, predict, remainder, judge, decoys, **more):
    several = setting["classes"] > 2
    key, tail = name.split("/")
    return Claim(
        **{
            "id": f"{key}/{tail}{'-multiclass' if several else ''}",
            "statement": statement,
            "source": Source(key, _PLACES[key]),
            "provenance": "derived",
            "kind": "closed form",
            "quantifier": "three classes of three rows, cross entropy, t = 1e100"
            if several
            else "two classes of three rows of unequal norm, t = 1e100",
            "conventions": {
                **_CONVENTIONS,
                "loss_scale": "cross entropy" if several else "exp(-y f)",
            },
            "setting": setting,
            "hypotheses": hypotheses,
            "predict": predict,
            "remainder": remainder,
            "evidence": late,
            "judge": judge,
            "expected": "holds",
            "decoys": decoys,
            "family": f"min-zhu-vidal-2025/{setting['classes']}",
            **more,
        }
    )


def _both(make) -> tuple[Claim, ...]:
    return make(TWO), make(THREE)


def _ratio(setting: Setting) -> Claim:
    return _claim(
        "min-zhu-vidal-2025/norm-ratio",
        "The squared norms |W_k|_F^2 of the classes' neurons tend to the ratios of"
        " 1/gamma_k, gamma_k the class's largest margin on the unit sphere.",
        setting,
        norm_ratios,
        norm_ratio_remainder,
        _judge_shares,
        (
            Decoy("gamma upside down", lambda s, _: norm_ratios(s, 1.0)),
            Decoy("exponent 1 -> 3/4", lambda s, _: norm_ratios(s, -0.75)),
            Decoy("exponent 1 -> 5/4", lambda s, _: norm_ratios(s, -1.25)),
        ),
    )


def _margin_law(setting: Setting) -> Claim:
    return _claim(
        "jaxbias/separable-norm-law",
        "m = kappa gamma_k |W_k|_F^2 follows Ei(m) = 2 gamma_k kappa c e^(H_k) t, H_k"
        " the entropy of the class's multipliers (kappa = c = 1 for one output; for K"
        " outputs kappa = sqrt(K/(K-1)), c = K - 1): remainders are like 1/log t.",
        setting,
        norm_law,
        norm_law_remainder,
        _judge_law,
        (
            Decoy("no entropy", lambda s, _: norm_law(s, entropy=0.0)),
            Decoy("H x 1.1", lambda s, _: norm_law(s, entropy=1.1)),
        ),
    )


def _equality(setting: Setting) -> Claim:
    return _claim(
        "min-zhu-vidal-2025/equal-margins",
        "The smallest margins of the classes tend to equal ones.",
        setting,
        margin_ratios,
        margin_ratio_remainder,
        _judge_equal,
        (
            Decoy("like gamma", lambda s, _: margin_ratios(s, 1.0)),
            Decoy("like 1/gamma", lambda s, _: margin_ratios(s, -1.0)),
        ),
    )


def _alignment(setting: Setting) -> Claim:
    return _claim(
        "min-zhu-vidal-2025/rank-one",
        "The weights of a class tend to rank one along its max-margin direction u_k:"
        " the share off u_k is gamma_k |b_k|/m, <b_k, x_i> = r_i (r_i = -ln lambda_i -"
        " H_k, m the class's margin).",
        setting,
        tilts,
        tilt_remainder,
        partial(_judge_named, "tilts"),
        (
            scaled(2.0),
            Decoy("1/m -> 1/m^2", lambda s, p: {"value": p["value"] / late_margins(s)}),
        ),
    )


def _collapse(setting: Setting) -> Claim:
    return _claim(
        "jaxbias/separable-collapse",
        "Where every row supports its margin, the variation of features within classes"
        " (NC1) falls like 1/m^2, the class means are orthogonal (NC2 = 0), and the"
        " readout of the means tends to I - 11^T/K (NC3, for several outputs) as the"
        " margins become equal.",
        setting,
        collapse_metrics,
        metric_remainder,
        partial(_judge_named, "metrics"),
        (
            scaled(2.0),
            Decoy("exponent 1/m^2 -> 1/m", lambda s, _: collapse_metrics(s, 0.5)),
        ),
    )


def _orthogonal(setting: Setting) -> Claim:
    return _claim(
        "min-zhu-vidal-2025/orthogonal-features",
        "Features of two classes are orthogonal once the neurons are aligned, exactly.",
        setting,
        lambda _: {"of": "between", "bound": 1e-12},
        lambda _: Remainder(0.0, "rounding"),
        _judge_overlap,
        (
            Decoy("within a class, too", lambda _, p: {**p, "of": "within"}),
            Decoy("the rows themselves", lambda _, p: {**p, "of": "inputs"}),
        ),
        kind="inequality",
    )


def _limit(setting: Setting) -> Claim:
    return _claim(
        "min-zhu-vidal-2025/limit-network",
        "The limit theta/|theta| has s_k = sqrt(gamma_k^-1/(2 sum_l gamma_l^-1)) in"
        " either layer: sum s_k^2 = 1/2, and all classes have the margin"
        " kappa/(2 sum_l 1/gamma_l).",
        setting,
        limit_margins,
        lambda _: Remainder(0.0, "an identity"),
        _judge_network,
        (
            Decoy("sum -> root of squares", lambda s, _: limit_margins(s, 2.0)),
            scaled(1.1),
        ),
        kind="identity",
        quantifier="the limit's own network",
        hypotheses=no_hypotheses,
        evidence=lambda s, _: request("collapse/network", s, *limit_network(s)),
    )


CLAIMS = tuple(
    claim
    for make in (
        _limit,
        _margin_law,
        _ratio,
        _equality,
        _alignment,
        _orthogonal,
        _collapse,
    )
    for claim in _both(make)
)
