"""MMV24 on orthogonally separable data: one-way activation, cones, trapping.

Cases and clock as in `jaxbias.theory._separable_claims`.
"""

import math

import numpy as np
from jaxtyping import Float

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    no_hypotheses,
    requires,
    scaled,
)
from jaxbias.theory._separable_claims import (
    CONVENTIONS,
    EXACT,
    KEY,
    RUNS,
    at_least,
    at_most,
    by_size,
    evidence_of_runs,
    per_case,
    seen,
)

_ROUNDING = Remainder(1e-9, "rounding of sums of a few products")


def sum_bound(
    active: Float[np.ndarray, " count"], correlation: float, shortest: float
) -> Float[np.ndarray, " count"]:
    """``sqrt(n_a (1 + mu (n_a - 1))) X_min``, below |x_a| with ``n_a`` active samples.

    min-mallada-vidal-2024, geometry of the data cone; equal at equal norms and cosines.
    """
    return np.sqrt(active * (1 + correlation * (active - 1))) * shortest


def _judge_count(arrays, prediction, remainder, alpha):
    return at_most(prediction["count"])(arrays, prediction, remainder, alpha)


def _counts(name: str, statement: str, count: str, others: tuple[str, ...], **more):
    """No network does what ``count`` counts; what ``others`` count, some do."""
    return Claim(
        id=name,
        statement=statement,
        kind="inequality",
        quantifier="all neurons and samples of random starts, four kinds of data",
        conventions=CONVENTIONS,
        setting=RUNS,
        predict=lambda _: {"count": count, "bound": 0.0},
        remainder=lambda _: EXACT,
        evidence=evidence_of_runs,
        judge=_judge_count,
        expected="not refuted",
        decoys=tuple(
            Decoy(other.replace("_", " "), lambda _, p, o=other: {**p, "count": o})
            for other in others
        ),
        stochastic=True,
        family="separable/runs",
        **more,
    )


def _lemma_scale(setting: Setting) -> tuple[Hypothesis, ...]:
    n, root = setting["samples"], math.sqrt(setting["width"])
    limit = min(mu**1.5 / s / (8 * root * n * s**2) for mu, _, s in setting["cases"])
    return (
        requires(
            "eps <= mu^(3/2) X_min/(8 sqrt(h) n X_max^2 W_max^2): the error of Lemma 1"
            " is at most half the rate",
            limit - setting["scale"],
        ),
    )


def _boundary(setting: Setting, size: str) -> Computation:
    return Computation("separable/boundary", {**setting, "draws": by_size(size, 4)})


def _cones(setting: Setting, size: str) -> Computation:
    return Computation("separable/cones", {**setting, "draws": by_size(size, 20)})


def _lengths(setting: Setting, power: float = 1.0, longest: bool = False):
    count = np.arange(1.0, setting["samples"] + 1)
    rows = [
        sum_bound(count, mu**power, s if longest else 1 / s)
        for mu, _, s in setting["cases"]
    ]
    return {"bound": np.array(rows)}


_BOUNDARY = {k: RUNS[k] for k in ("cases", "samples", "dim", "scale")} | {"width": 40}
_CONES = {k: RUNS[k] for k in ("cases", "samples", "dim")} | {"vectors": 200}


def _rate_bound(setting: Setting, power: float = 1.5):
    return per_case(lambda _, mu, p, s: mu**power / s / 2)(setting)


CLAIMS = (
    Claim(
        id=f"{KEY}/one-way-activation",
        statement="On <w_j, x_i> = 0, w_j not dead: sign(v_j) d/dt <w^_j,"
        " x_i y_i/|x_i|> >= mu^(3/2) X_min/2 > 0, so positive neurons"
        " gain positive samples and lose negative ones.",
        source=seen("one-way activation (proof of Theorem 1)"),
        provenance="seen",
        kind="inequality",
        quantifier="random neurons on every hyperplane, four kinds of data",
        conventions=CONVENTIONS,
        setting=_BOUNDARY,
        hypotheses=_lemma_scale,
        predict=_rate_bound,
        remainder=lambda _: EXACT,
        evidence=_boundary,
        judge=at_least("rate"),
        expected="not refuted",
        decoys=(
            scaled(10.0, "bound"),
            Decoy("mu^(3/2) -> mu^(1/2)", lambda s, _: _rate_bound(s, 0.5)),
        ),
        stochastic=True,
        family="separable/boundary",
    ),
    Claim(
        id="jaxbias/one-way-rate",
        statement="That rate is at least mu sum_k |x_k| e^(-y_k f_k) over the active"
        " samples k, at any scale and any time: no early phase is needed.",
        source=Source("jaxbias", "one-way activation at every scale"),
        provenance="derived",
        kind="inequality",
        quantifier="random neurons on every hyperplane, outputs up to order one",
        conventions=CONVENTIONS,
        setting=_BOUNDARY,
        hypotheses=no_hypotheses,
        predict=per_case(lambda *_: 1.0),
        remainder=lambda _: _ROUNDING,
        evidence=_boundary,
        judge=at_least("share"),
        expected="not refuted",
        decoys=(
            scaled(1.1, "bound"),
            Decoy(
                "mu -> sqrt(mu)", lambda s, _: per_case(lambda _, mu, *__: mu**-0.5)(s)
            ),
        ),
        stochastic=True,
        family="separable/boundary",
    ),
    _counts(
        f"{KEY}/one-way-switches",
        "Until T = log(1/(sqrt(h) eps))/(4 n X_max) positive neurons only gain positive"
        " and only lose negative samples; negative neurons mirror them.",
        "forbidden_early",
        ("allowed_early", "left_any"),
        source=seen("one-way activation"),
        provenance="seen",
        hypotheses=_lemma_scale,
    ),
    _counts(
        "jaxbias/one-way-at-all-times",
        "With the exponential loss no forbidden switch ever happens, in the early phase"
        " or after it.",
        "forbidden",
        ("allowed", "most"),
        source=Source("jaxbias", "one-way activation at every scale"),
        provenance="derived",
        hypotheses=no_hypotheses,
    ),
    _counts(
        f"{KEY}/trapping-cones",
        "S_+ and S_dead trap positive neurons, S_- and S_dead negative ones.",
        "left_own",
        ("left_other", "left_any"),
        source=seen("trapping regions"),
        provenance="seen",
        hypotheses=no_hypotheses,
    ),
    Claim(
        id=f"{KEY}/active-sum",
        statement="With n_a active samples |x_a(w)| >= sqrt(n_a (1 + mu (n_a - 1)))"
        " X_min, hence >= sqrt(mu) n_a X_min.",
        source=seen("geometry of separable data"),
        provenance="seen",
        kind="inequality",
        quantifier="every activation pattern of random data of four kinds",
        conventions=CONVENTIONS,
        setting=_CONES,
        hypotheses=no_hypotheses,
        predict=_lengths,
        remainder=lambda _: _ROUNDING,
        evidence=_cones,
        judge=at_least("shortest"),
        expected="not refuted",
        decoys=(
            Decoy("mu -> sqrt(mu)", lambda s, _: _lengths(s, 0.5)),
            Decoy("X_min -> X_max", lambda s, _: _lengths(s, longest=True)),
            scaled(1.1, "bound"),
        ),
        stochastic=True,
        family="separable/cones",
    ),
    Claim(
        id=f"{KEY}/data-cone",
        statement="Two vectors of the cone of all x_i y_i have cosine at least mu.",
        source=seen("geometry of separable data"),
        provenance="seen",
        kind="inequality",
        quantifier="random vectors and the edges of the cone, data of four kinds",
        conventions=CONVENTIONS,
        setting=_CONES,
        hypotheses=no_hypotheses,
        predict=lambda s: {"bound": np.array([mu for mu, *_ in s["cases"]])},
        remainder=lambda _: _ROUNDING,
        evidence=_cones,
        judge=at_least("cosines"),
        expected="not refuted",
        decoys=(
            scaled(1.1, "bound"),
            Decoy(
                "mu -> sqrt(mu)",
                lambda s, _: {"bound": np.array([c[0] ** 0.5 for c in s["cases"]])},
            ),
        ),
        stochastic=True,
        family="separable/cones",
    ),
)
