"""MMV24 on orthogonally separable data: norms, rank and balance.

Cases and clock as in `jaxbias.theory._separable_claims`.
"""

import math

import numpy as np
from jaxtyping import Float

from jaxbias.theory._claim import (
    Claim,
    Decoy,
    Remainder,
    Setting,
    Source,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._separable_claims import (
    CONVENTIONS,
    KEY,
    RUNS,
    aligned_claim,
    evidence_of_runs,
    seen,
    theorem_1_claim,
)
from jaxbias.theory._verdict import judge_at_most, judge_interval


def class_cosine(positive: int, negative: int, correlation: float) -> float:
    """cos(x_+, x_-) of unit data whose y_i x_i all have cosine mu to each other."""
    squares = [n * (1 + correlation * (n - 1)) for n in (positive, negative)]
    return -correlation * positive * negative / math.sqrt(squares[0] * squares[1])


def stable_rank(
    positive: Float[np.ndarray, "..."] | float,
    negative: Float[np.ndarray, "..."] | float,
    cosine: Float[np.ndarray, "..."] | float,
):
    """|W|_F^2/|W|_2^2 of two groups of parallel rows.

    ``(z_+ + z_-)/((z_+ + z_-)/2 + sqrt((z_+ - z_-)^2/4 + rho^2 z_+ z_-))``, which is
    ``2/(1 + |rho|)`` at equal masses.

    Args:
        positive: z_+, squared Frobenius norm of the positive neurons.
        negative: z_-.
        cosine: rho, between the two directions.
    """
    mean, gap = (positive + negative) / 2, (positive - negative) / 2
    return 2 * mean / (mean + np.sqrt(gap**2 + cosine**2 * positive * negative))


def _twice(slack):
    return lambda s: {"factor": 2.0, "slack": slack(s)}


def _judge_norms(arrays, prediction, remainder, alpha):
    del remainder, alpha
    bound = prediction["factor"] * arrays["top"] + prediction["slack"]
    return judge_at_most(arrays["whole"], arrays["whole"], bound, sampled=True)


_NORM_DECOYS = (
    Decoy("2 -> 1", lambda _, p: {**p, "factor": 1.0}),
    Decoy("2 -> 1.1", lambda _, p: {**p, "factor": 1.1}),
)


def _cosines(setting: Setting, places: tuple[int, ...]) -> np.ndarray:
    cases = [setting["cases"][i] for i in places]
    return np.array(
        [[class_cosine(p, setting["samples"] - p, mu)] for mu, p, _ in cases]
    )


def _equal_classes(setting: Setting):
    rho = _cosines(setting, (0, 1))
    return {"places": (0, 1), "value": stable_rank(1.0, 1.0, rho), "cosine": rho}


def _judge_rank(arrays, prediction, remainder, alpha):
    del alpha
    places = list(prediction["places"])
    rank, error = arrays["rank"][places], arrays["rank_error"][places]
    value = prediction["value"]
    if value is None:
        masses = arrays["positive"][places], arrays["negative"][places]
        value = stable_rank(*masses, prediction["cosine"])
    return judge_interval(rank - error, rank + error, value, remainder.delta, error)


def _gathered(setting: Setting, cosine: np.ndarray) -> np.ndarray:
    """What neurons gather off their direction while they turn, as it moves the rank.

    Rows grow by at most e^5 until aligned (|x_a| t1 <= 5 at these sizes), each class
    ends with a norm of 2 or more, and d rank/d rho = 2/(1 + |rho|)^2.
    """
    slip = math.sqrt(setting["width"] / 2) * setting["scale"] * math.exp(5) / 2
    return 2 / (1 + np.abs(cosine)) ** 2 * 2 * slip


def _limit_remainder(setting: Setting) -> Remainder:
    rho = _cosines(setting, (0, 1))
    uneven = np.abs(stable_rank(1.05, 0.95, rho) - stable_rank(1.0, 1.0, rho))
    return Remainder(
        uneven + _gathered(setting, rho),
        "masses of the two classes that differ by a tenth, and rows that keep what they"
        " gathered off their direction",
    )


def _judge_drift(arrays, prediction, remainder, alpha):
    del remainder, alpha
    drift = arrays["drift"][..., prediction["law"]]
    return judge_at_most(drift, drift, prediction["bound"])


def _rank(name: str, statement: str, **more) -> Claim:
    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=Source("jaxbias", "stable rank of two aligned groups"),
        provenance="derived",
        kind="closed form",
        conventions=CONVENTIONS,
        setting=RUNS,
        hypotheses=no_hypotheses,
        evidence=evidence_of_runs,
        judge=_judge_rank,
        expected="holds",
        stochastic=True,
        family="separable/runs",
        **more,
    )


CLAIMS = (
    theorem_1_claim(
        "rank",
        "|W|_F^2 <= 2 |W|_2^2 + 4 sqrt(h) eps W_max^2, so that the stable rank ends at"
        " 2 or less.",
        "part 3",
        predict=_twice(lambda s: 4 * math.sqrt(s["width"]) * s["scale"]),
        judge=_judge_norms,
        decoys=_NORM_DECOYS,
    ),
    aligned_claim(
        "jaxbias/norms-of-aligned-networks",
        "A balanced network that starts aligned has |W|_F^2 <= 2 |W|_2^2 + |W(0)|_F^2"
        " at all times.",
        Source("jaxbias", "Theorem 1 of MMV24, part 3, from the conserved matrices"),
        provenance="derived",
        predict=_twice(lambda s: s["width"] * s["scale"] ** 2),
        judge=_judge_norms,
        expected="not refuted",
        decoys=_NORM_DECOYS,
    ),
    aligned_claim(
        f"{KEY}/aligned-balance",
        "After alignment the whole matrices W_+^T W_+ - v_+ v_+^T and W_-^T W_- - v_-"
        " v_-^T are conserved.",
        seen("conservation after alignment"),
        provenance="seen",
        predict=lambda _: {"law": 0, "bound": 1e-8},
        remainder=lambda _: Remainder(1e-8, "a thousand times the solver's tolerance"),
        judge=_judge_drift,
        expected="holds",
        decoys=(
            Decoy("another law: + v v^T", lambda _, p: {**p, "law": 1}),
            Decoy("pairs across the signs too", lambda _, p: {**p, "law": 2}),
        ),
    ),
    _rank(
        "stable-rank-limit",
        "Equal classes end at stable rank 2/(1 + |rho|), rho = cos(x_+, x_-): 1.142857"
        " at mu = 0.5 and 1.6 at mu = 0.1 for 3 + 3 unit samples.",
        quantifier="random starts at eps = 1e-6, mu in {0.5, 0.1}",
        predict=_equal_classes,
        remainder=_limit_remainder,
        decoys=(
            scaled(1.1),
            Decoy(
                "rho -> mu",
                lambda s, p: {
                    **p,
                    "value": np.array([[2 / (1 + s["cases"][i][0])] for i in (0, 1)]),
                },
            ),
        ),
    ),
    _rank(
        "stable-rank-unequal-classes",
        "Aligned groups of masses z_+ and z_- at cosine rho have stable rank (z_+ +"
        " z_-)/((z_+ + z_-)/2 + sqrt((z_+ - z_-)^2/4 + rho^2 z_+ z_-)).",
        quantifier="random starts at eps = 1e-6, 4 + 2 unit samples, mu = 0.5",
        predict=lambda s: {"places": (2,), "value": None, "cosine": _cosines(s, (2,))},
        remainder=lambda s: Remainder(
            _gathered(s, _cosines(s, (2,))),
            "rows that keep what they gathered off their direction while turning",
        ),
        decoys=(
            Decoy(
                "equal masses: 2/(1 + |rho|)",
                lambda s, p: {**p, "value": stable_rank(1.0, 1.0, p["cosine"])},
            ),
            Decoy(
                "rho of equal classes", lambda s, p: {**p, "cosine": _cosines(s, (0,))}
            ),
            scaled(1.1, "cosine"),
        ),
    ),
)
