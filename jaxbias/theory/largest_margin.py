"""The largest normalised margin on orthonormal centres, and who attains it.

Margins are normalised, ``min_k y_k f(mu_k) / |theta|^2``, with K1 positive and K2
negative unit centres.
"""

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._verdict import judge_at_most, judge_identity
from jaxbias.theory.margins import EDITION, SETTING, trajectories

_CONVENTIONS = conventions(centre_norm="1", output_layer="trained, balanced")
_SIZES = ((3, 2), (6, 4), (4, 1))
_BEST = tuple(
    (p, *size, kind)
    for p, kind in (
        (1.0, "averages"),
        (1.5, "averages"),
        (2.0, "averages"),
        (2.0, "centres"),
        (2.0, "orthant"),
        (2.5, "centres"),
        (3.0, "centres"),
    )
    for size in _SIZES
)
_OTHER = tuple(
    (p, *size, kind)
    for p, kind in ((3.0, "averages"), (2.5, "averages"), (1.0, "centres"))
    for size in _SIZES
)


def largest_margin(exponent: float, positive: int, negative: int) -> float:
    """``1/(2 (K1^(min(p,2)/2) + K2^(min(p,2)/2)))`` over all balanced networks.

    Upper bound: weigh the centres of a class equally, the classes so that a unit
    neuron gains ``sum_k s(c_k)^p / K_c <= K_c^(-min(p,2)/2)`` in either. Attained by
    the averages (p <= 2) and by the centres (p >= 2).
    """
    power = min(exponent, 2.0) / 2
    return 1 / (2 * (positive**power + negative**power))


def construction_margin(
    exponent: float, positive: int, negative: int, kind: str
) -> float:
    """Margin of neurons on the averages, on the centres, or all over the orthants.

    ``1/(2 (K1^(p/2) + K2^(p/2)))`` for averages; ``1/(2 K)`` for centres, and at p = 2
    for unit vectors of the class orthants that cover each centre equally.
    """
    power = exponent / 2 if kind == "averages" else 1.0
    return 1 / (2 * (positive**power + negative**power))


def _margins(formula, setting: Setting, extra: int = 0) -> dict:
    values = [
        formula(p, own + extra, other, *kind)
        for p, own, other, *kind in setting["cases"]
    ]
    return {"value": np.array(values)}


def _largest(exponent, positive, negative, *_: str) -> float:
    return largest_margin(exponent, positive, negative)


def _regular(exponent, positive, negative, *_: str) -> float:
    """The formula without its kink at p = 2."""
    return construction_margin(exponent, positive, negative, "averages")


def _judge_value(arrays, prediction, remainder, alpha):
    del remainder, alpha
    return judge_identity(arrays["measured"], arrays["error"], prediction["value"])


def _judge_search(arrays, prediction, remainder, alpha):
    del alpha
    bound = prediction["value"] + remainder.delta
    value = arrays["measured"]
    return judge_at_most(value, value, bound, sampled=True)


def _trained(setting: Setting, factor: float = 1.0, extra: int = 0) -> dict:
    """The bound at the cases on exact centres, half of them positive."""
    at = [i for i, case in enumerate(setting["cases"]) if case[1] == "centres"]
    cases = [setting["cases"][i] for i in at]
    values = [largest_margin(p, n // 2 + extra, n // 2 + extra) for p, _, n in cases]
    return {"at": at, "bound": factor * np.array(values)}


def _judge_trained(arrays, prediction, remainder, alpha):
    del remainder, alpha
    at = prediction["at"]
    value = (arrays["least"] / arrays["size"])[at]
    bound = prediction["bound"][:, None, None]
    return judge_at_most(value, value, bound, sampled=True)


def _claim(name, statement, kind, setting, predict, judge, decoys, **more) -> Claim:
    return Claim(
        **{
            "id": f"jaxbias/{name}",
            "statement": statement,
            "source": Source("jaxbias", "largest margin on orthonormal centres"),
            "provenance": "derived",
            "kind": kind,
            "quantifier": "(K1, K2) in {(3,2), (6,4), (4,1)}, p on both sides of 2",
            "conventions": _CONVENTIONS,
            "setting": setting,
            "hypotheses": no_hypotheses,
            "predict": predict,
            "remainder": lambda _: Remainder(0.0, "an identity"),
            "judge": judge,
            "expected": "holds",
            "decoys": decoys,
            **more,
        }
    )


def _constructions(setting: Setting, size: str) -> Computation:
    return Computation("largest_margin/constructions", {**setting, "draw": 0})


_EXTRA = Decoy("K1 -> K1 + 1", lambda s, _: _margins(_largest, s, 1))

CLAIMS = (
    _claim(
        "largest-margin-attained",
        "The largest normalised margin on K1 + K2 orthonormal centres is"
        " 1/(2 (K1^(min(p,2)/2) + K2^(min(p,2)/2))): the averages attain it for p <= 2,"
        " the centres for p >= 2, and at p = 2 all unit vectors of the class orthants"
        " that cover each centre equally.",
        "identity",
        {"cases": _BEST},
        lambda s: _margins(_largest, s),
        _judge_value,
        (_EXTRA, Decoy("no kink at p = 2", lambda s, _: _margins(_regular, s))),
        evidence=_constructions,
    ),
    _claim(
        "smaller-margin-elsewhere",
        "The averages have margin 1/(2 (K1^(p/2) + K2^(p/2))) for p > 2 and the centres"
        " 1/(2 K) for p < 2, both strictly less than the largest.",
        "identity",
        {"cases": _OTHER},
        lambda s: _margins(construction_margin, s),
        _judge_value,
        (
            _EXTRA,
            Decoy("as good as the best", lambda s, _: _margins(_largest, s)),
        ),
        evidence=_constructions,
    ),
    _claim(
        "largest-margin-search",
        "No network has a larger normalised margin than 1/(2 (K1^(min(p,2)/2) +"
        " K2^(min(p,2)/2))): random directions with the best amplitudes, and columns"
        " generated by ascent.",
        "search",
        {
            "cases": (
                *((p, *_SIZES[0]) for p in (1.0, 1.5, 2.0, 3.0)),
                *((p, *_SIZES[1]) for p in (1.0, 3.0)),
            )
        },
        lambda s: _margins(_largest, s),
        _judge_search,
        (
            scaled(0.99),
            _EXTRA,
            Decoy("no kink at p = 2", lambda s, _: _margins(_regular, s)),
        ),
        remainder=lambda _: Remainder(1e-12, "rounding of a forward pass"),
        evidence=lambda s, size: Computation(
            "largest_margin/search",
            {**s, "draws": 8 if size == "quick" else 40, "rounds": 20},
        ),
        expected="not refuted",
        stochastic=True,
    ),
    _claim(
        "largest-margin-trained",
        "No trained network has a larger margin on the centres, at any time.",
        "inequality",
        SETTING,
        _trained,
        _judge_trained,
        (
            Decoy("bound x 0.9", lambda s, _: _trained(s, 0.9)),
            Decoy("K -> K + 2", lambda s, _: _trained(s, extra=1)),
        ),
        source=Source("jaxbias", "largest margin on orthonormal centres"),
        quantifier="every trajectory; p = 1 and 3, K1 = K2 = 3, exponential loss",
        conventions={**_CONVENTIONS, "loss_scale": "exp(-y f)"},
        remainder=lambda _: Remainder(0.0, "an inequality at the saved weights"),
        evidence=trajectories,
        expected="not refuted",
        stochastic=True,
        family="lyu-li-2020/margins",
        edition=EDITION,
    ),
)
