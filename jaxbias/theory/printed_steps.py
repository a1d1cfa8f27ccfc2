"""Lines of MV25 that are wrong as printed, each beside what holds instead.

(F.19) of the proof of Proposition 4, equation 14 of the main text, and the degree of
homogeneity of f^(p) and F^(p). The orders of the results are not affected.
"""

from dataclasses import replace
from functools import partial

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
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_least, judge_identity
from jaxbias.theory.solvable import growth_squared

_SEEN = "PMLR 267"
_RATES = {"exponents": (2.5, 3.0, 4.0, 5.0), "cosines": (0.9, 0.95, 1.0)}
_GROWTH = {
    "loss": "squared",
    "exponent": 3.0,
    "centres": 1,
    "start": 1e-3,
    "times": (1.0, 2.0, 3.0, 4.0, 6.0, 9.0),
}
_DEGREES = {
    "exponents": (1.5, 3.0),
    "factors": (0.5, 2.0, 3.0),
    "width": 6,
    "dim": 5,
}


def printed_rate(exponent: float) -> float:
    """(F.19) as printed: ``p (2^(p-1) - 2)`` bounds the alignment rate from below."""
    return exponent * (2 ** (exponent - 1) - 2)


def safe_rate(exponent: float, square: float = 0.8) -> float:
    """``p (4/5)^((p-1)/2) (1 - 2^-(p-2))``, from c^2 >= 4/5."""
    p = exponent
    return p * square ** ((p - 1) / 2) * (1 - 2 ** -(p - 2))


def _lower(setting: Setting, rate, factor: float = 1.0) -> dict:
    rows = [[factor * rate(p)] * len(setting["cosines"]) for p in setting["exponents"]]
    return {"value": np.array(rows)}


def _shortfall(setting: Setting, half: float = 0.5) -> dict:
    """Left side of (F.19): printed right side times (c/2)^(p-1)."""
    rows = [
        [printed_rate(p) * (half * c) ** (p - 1) for c in setting["cosines"]]
        for p in setting["exponents"]
    ]
    return {"value": np.array(rows)}


def _judge_rate(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value, error = arrays["measured"], arrays["error"]
    found = judge_at_least(
        value - error, value + error, prediction["value"], error=error
    )
    return replace(found, witness=arrays.get("witness"))


def _judge_identity(arrays, prediction, remainder, alpha):
    del remainder, alpha
    error = np.asarray(arrays["error"])
    settled = arrays.get("settled", True)
    found = judge_identity(
        arrays["measured"], np.where(settled, error, np.inf), prediction["value"]
    )
    return replace(found, witness=arrays.get("witness"))


def _rate_hypotheses(setting: Setting):
    return (
        requires("p > 2", min(setting["exponents"]) - 2),
        requires("c^2 >= 4/5", min(setting["cosines"]) ** 2 - 0.8),
    )


def _grown(setting: Setting, pace: float = 0.5) -> dict:
    """z(t) of ``z' = 2 pace z (1 - z)``."""
    times = pace * np.array(setting["times"])
    return {"value": growth_squared(times, setting["start"])}


def _degree(setting: Setting, power: float, shift: float = 0.0) -> dict:
    """``p^power + shift`` for the network and for F^(p), at every factor."""
    rows = [
        [p**power + shift] * len(setting["factors"])
        for p in setting["exponents"]
        for _ in range(2)
    ]
    return {"value": np.array(rows)}


def _zero(_: Setting) -> Remainder:
    return Remainder(0.0, "a printed line: only the numerical error is allowed")


_rate_claim = partial(
    Claim,
    quantifier="p in {2.5, 3, 4, 5}, three cosines of square above 4/5",
    conventions=conventions(clock="per_cluster_mean", centre_norm="1"),
    setting=_RATES,
    hypotheses=_rate_hypotheses,
    remainder=_zero,
    evidence=lambda s, size: Computation("steps/rates", s),
    family="min-vidal-2025/f-19",
)
_degree_claim = partial(
    Claim,
    kind="identity",
    quantifier="a random network and F^(p); p in {1.5, 3}, three factors",
    conventions=conventions(centre_norm="1"),
    setting=_DEGREES,
    hypotheses=no_hypotheses,
    remainder=_zero,
    evidence=lambda s, size: Computation("steps/degrees", s),
    judge=_judge_identity,
    family="min-vidal-2025/degree",
)

CLAIMS = (
    _rate_claim(
        id="min-vidal-2025/f-19-as-printed",
        statement="For c^2 >= 4/5: p c^(p-1) (1 - 2^-(p-2)) >= p (2^(p-1) - 2).",
        source=Source("min-vidal-2025", "(F.19), proof of Proposition 4", _SEEN),
        provenance="seen",
        kind="inequality",
        predict=lambda s: _lower(s, printed_rate),
        judge=_judge_rate,
        expected="violated",
        decoys=(scaled(1.1), scaled(0.9)),
        second=lambda s, size: Computation("steps/rates_by_logs", s),
        grade="misprint, order unaffected",
        repaired_by=("min-vidal-2025/f-19-repaired",),
    ),
    _rate_claim(
        id="min-vidal-2025/f-19-repaired",
        statement="For c^2 >= 4/5: p c^(p-1) (1 - 2^-(p-2)) >="
        " p (4/5)^((p-1)/2) (1 - 2^-(p-2)), so alignment is reached after another"
        " log(1/(1 - c)) over half of that.",
        source=Source("jaxbias", "(F.19) of min-vidal-2025, repaired"),
        provenance="derived",
        kind="inequality",
        predict=lambda s: _lower(s, safe_rate),
        judge=_judge_rate,
        expected="holds",
        decoys=(
            scaled(1.25),
            Decoy("c^2 >= 1", lambda s, _: _lower(s, lambda p: safe_rate(p, 1.0))),
        ),
    ),
    _rate_claim(
        id="jaxbias/f-19-shortfall",
        statement="The left side of (F.19) is the printed right side times"
        " (c/2)^(p-1), for every p.",
        source=Source("jaxbias", "(F.19) of min-vidal-2025, the failing number"),
        provenance="derived",
        kind="identity",
        predict=_shortfall,
        judge=_judge_identity,
        expected="holds",
        decoys=(
            scaled(1.1),
            Decoy("c/2 -> c", lambda s, _: _shortfall(s, 1.0)),
        ),
    ),
    Claim(
        id="min-vidal-2025/equation-14-as-printed",
        statement="At noise 0 an aligned cluster grows by z' = z (1 - z), without the"
        " factor 2 of the appendix.",
        source=Source("min-vidal-2025", "equation 14, main text", _SEEN),
        provenance="seen",
        kind="identity",
        quantifier="six times from the first growth to the fit",
        conventions=conventions(
            clock="per_cluster_mean",
            loss_scale="(y - f)^2 / 2",
            centre_norm="1",
            output_layer="trained, balanced",
        ),
        setting=_GROWTH,
        hypotheses=no_hypotheses,
        predict=_grown,
        remainder=_zero,
        evidence=lambda s, size: Computation("steps/grown", s),
        judge=_judge_identity,
        expected="violated",
        decoys=(
            Decoy("z' = 3 z (1 - z)", lambda s, _: _grown(s, 1.5)),
            scaled(1.1),
        ),
        second=lambda s, size: Computation(
            "growth/aligned", {**s, "loss_scale": "(y - f)^2 / 2"}
        ),
        grade="misprint, order unaffected",
        repaired_by=("min-vidal-2025/lemma-13-noise-free",),
    ),
    _degree_claim(
        id="min-vidal-2025/degree-one-as-printed",
        statement="f^(p) and F^(p) are positively homogeneous of degree 1 in x.",
        source=Source("min-vidal-2025", "Proposition 3 and its context", _SEEN),
        provenance="seen",
        predict=lambda s: _degree(s, 0.0),
        expected="violated",
        decoys=(
            Decoy("degree 2", lambda s, _: _degree(s, 0.0, 1.0)),
            Decoy("degree p - 1", lambda s, _: _degree(s, 1.0, -1.0)),
        ),
        second=lambda s, size: Computation("steps/degrees_by_package", s),
        grade="false as printed",
        repaired_by=("jaxbias/degree-p",),
    ),
    _degree_claim(
        id="jaxbias/degree-p",
        statement="f^(p) and F^(p) are positively homogeneous of degree p in x:"
        " f(g x) = g^p f(x).",
        source=Source("jaxbias", "degree of the weight-normalised network"),
        provenance="derived",
        predict=lambda s: _degree(s, 1.0),
        expected="holds",
        decoys=(
            Decoy("p -> p + 0.25", lambda s, _: _degree(s, 1.0, 0.25)),
            Decoy("degree p - 1", lambda s, _: _degree(s, 1.0, -1.0)),
        ),
    ),
)
