"""MMV24 on orthogonally separable data: the order of Lemma 1 in the scale.

Cases and clock as in `jaxbias.theory._separable_claims`.
"""

import math

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    requires,
)
from jaxbias.theory._separable_claims import CONVENTIONS, EXACT, RUNS, by_size
from jaxbias.theory._verdict import judge_at_most, judge_exponent
from jaxbias.theory.statistics import local_exponent_interval

_EARLY = {
    "samples": 6,
    "dim": 8,
    "width": 50,
    "scales": (1e-3, 1e-4, 1e-5),
    "saves": 61,
}


def lemma_1_bounds_sharper(
    samples: int, width: int, scale: float
) -> tuple[float, float, float]:
    """Lemma 1 with what its proof gives, at unit data and shapes of norm 1.

    ``|w_j|^2 <= m = eps^2 (sqrt(h) eps)^-(1/2 + F)`` with ``F = 2 eps sqrt(h)``, so
    outputs are at most ``h m`` and direction errors ``2 n h m``: of order eps^(3/2).

    Returns:
        Bounds on direction error, squared norms and outputs until T.
    """
    root = math.sqrt(width)
    squares = scale**2 * (root * scale) ** -(0.5 + 2 * scale * root)
    return 2 * samples * width * squares, squares, width * squares


def _sharper(setting: Setting, power: float = 1.0, growth: bool = True):
    rows = []
    for scale in setting["scales"]:
        row = lemma_1_bounds_sharper(setting["samples"], setting["width"], scale**power)
        still = scale**2 / row[1] if not growth else 1.0
        rows.append(np.array(row) * still)
    return {"bound": np.array(rows).T}


def _judge_sharper(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value = np.stack([arrays[name] for name in ("error", "squares", "outputs")])
    bound = prediction["bound"][:, None]
    return judge_at_most(value, value, bound, sampled=True)


def _small_scale(setting: Setting) -> tuple[Hypothesis, ...]:
    margin = 0.25 / math.sqrt(setting["width"]) - max(setting["scales"])
    return (requires("eps <= 1/(4 sqrt(h) X_max W_max^2)", margin),)


def _judge_error_order(arrays, prediction, remainder, alpha):
    low = high = math.nan
    if np.all(np.isfinite(arrays["error"])):
        low, high = local_exponent_interval(arrays["scale"], arrays["error"], alpha)
    return judge_exponent(low, high, prediction["value"], remainder.delta)


CLAIMS = (
    Claim(
        id="jaxbias/lemma-1-error-order",
        statement="At a fixed time the error of the early equation is Theta(eps^2): it"
        " is that of the outputs, and these are products of two layers.",
        source=Source("jaxbias", "order of Lemma 1 of MMV24"),
        provenance="derived",
        kind="exponent",
        quantifier="16 seeds or more, sup over [0, 0.3], mu = 0.5",
        conventions=CONVENTIONS,
        setting={**_EARLY, "cases": ((0.5, 3, 1.0),), "time": 0.3},
        hypotheses=_small_scale,
        predict=lambda _: {"value": 2.0},
        remainder=lambda _: Remainder(
            0.01, "outputs below 1e-2 shift the error by that share at most"
        ),
        evidence=lambda s, size: Computation(
            "separable_limit/error", {**s, "draws": by_size(size, 16)}
        ),
        judge=_judge_error_order,
        expected="holds",
        decoys=(
            Decoy("exponent 2 -> 7/4", lambda _, p: {"value": 1.75}),
            Decoy("exponent 2 -> 9/4", lambda _, p: {"value": 2.25}),
        ),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/lemma-1-sharper",
        statement="Until T = log(1/(sqrt(h) eps))/(4 n), at unit data and shapes,"
        " |w_j|^2 <= m = eps^2 (sqrt(h) eps)^-(1/2 + 2 eps sqrt(h)), |f(x_i)| <= h m,"
        " and the direction error is at most 2 n h m: eps^(3/2) where Lemma 1 has eps.",
        source=Source("jaxbias", "Lemma 1 of MMV24, its proof kept to the end"),
        provenance="derived",
        kind="inequality",
        quantifier="random starts at three scales, mu in {0.5, 0.1}",
        conventions=CONVENTIONS,
        setting={**_EARLY, "cases": RUNS["cases"][:2], "time": None},
        hypotheses=_small_scale,
        predict=_sharper,
        remainder=lambda _: EXACT,
        evidence=lambda s, size: Computation(
            "separable_limit/error", {**s, "draws": by_size(size, 4)}
        ),
        judge=_judge_sharper,
        expected="not refuted",
        decoys=(
            Decoy("eps -> eps^(5/4)", lambda s, _: _sharper(s, 1.25)),
            Decoy("norms do not grow", lambda s, _: _sharper(s, growth=False)),
        ),
        stochastic=True,
    ),
)
