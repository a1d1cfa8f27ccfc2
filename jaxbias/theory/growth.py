"""Alignment and growth times of a cluster, and the window MV25 asks for."""

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
    conventions,
    no_hypotheses,
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_most, judge_interval, judge_settled
from jaxbias.theory.solvable import alignment_time, half_fit_time

_CONVENTIONS = conventions(
    clock="per_cluster_mean", centre_norm="1", output_layer="trained, balanced"
)
_DERIVED = Source("jaxbias", "alignment and growth at noise 0")
# One half of h = 40 neurons in dimension 50: N(0, 1/50), a fixed draw of root 0.
_COSINES = tuple(
    float(c) for c in np.random.default_rng(0).standard_normal(20) / math.sqrt(50)
)


def _times(setting: Setting, bend: float = 0.0):
    values = [
        float(alignment_time(end, p + bend) - alignment_time(start, p + bend))
        for p in setting["exponents"]
        for start, end in setting["travels"]
    ]
    return {"value": np.array(values)}


def _half_fit(setting: Setting, bend: float = 0.0, locked: bool = True):
    values = []
    for p in setting["exponents"]:
        cosines = np.array(setting["cosines"])
        for scale in setting["scales"]:
            if locked:
                norms = np.full(cosines.size, scale)
                values.append(half_fit_time(cosines, norms, p + bend))
            else:
                # Growth from the start, as if every active neuron were aligned.
                mass = scale**2 * np.count_nonzero(cosines > 0)
                values.append(-0.5 * math.log(mass))
    return {"value": np.array(values)}


def _judge_relative(arrays, prediction, remainder, alpha):
    del alpha
    error = np.where(arrays["settled"], arrays["error"], np.inf)
    value = arrays["measured"]
    return judge_interval(
        value - error,
        value + error,
        prediction["value"],
        remainder.delta,
        np.max(error),
    )


def window_end(exponent: float, clusters: int, width: int, scale: float) -> float:
    """MV25 t2 = (2^(p+2) K)^-1 log(1/(2^(p-1) sqrt(h) eps))."""
    inner = 2 ** (exponent - 1) * math.sqrt(width) * scale
    return math.log(1 / inner) / (2 ** (exponent + 2) * clusters)


def aligned_by(exponent: float, gap: float, tolerance: float) -> float:
    """MV25 t1 with ``C log(K/delta) alpha^2`` as ``tolerance``, as printed.

    ``20/((p-2) p D2 D1^(p-2)) + 2/(p (2^(p-1) - 2)) log(1/tolerance)``.
    """
    first = math.sqrt(((1 - gap) ** -2 - 1) / 2)
    second = 1 - (1 - math.sqrt(2 * gap)) ** (exponent - 2)
    p = exponent
    early = 20 / ((p - 2) * p * second * first ** (p - 2))
    return early + 2 / (p * (2 ** (p - 1) - 2)) * math.log(1 / tolerance)


def _window_hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    p, scale, width = setting["exponent"], setting["scale"], setting["width"]
    end = window_end(p, setting["clusters"], width, scale)
    begin = aligned_by(p, setting["gap"], setting["alignment"])
    return (
        requires("p > 2", p - 2),
        requires("eps <= 1/(4 sqrt(h) W_max^2)", 0.25 / math.sqrt(width) - scale),
        requires("the window is not empty: t1 <= t2", end - begin),
        Hypothesis("alpha^2 <= alpha_0^2, N >= C alpha_0^-2", "unverifiable"),
    )


def _judge_window(arrays, prediction, remainder, alpha):
    del remainder, alpha
    value, error = arrays["measured"], arrays["error"]
    return judge_at_most(value - error, value + error, prediction["bound"], error=error)


CLAIMS = (
    Claim(
        id="jaxbias/alignment-time",
        statement="With one active own centre the cosine obeys c' = p c^(p-1)(1-c^2),"
        " so travel takes T_p(c1) - T_p(c0), closed for every p not in {6, 8, ...}.",
        source=_DERIVED,
        provenance="derived",
        kind="identity",
        quantifier="p in {1, 1.5, 2, 2.5, 3, 4, 5}, three travels",
        conventions=_CONVENTIONS,
        setting={
            "exponents": (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0),
            "travels": ((0.1, 0.999), (0.3, 0.9), (0.2, 0.5)),
        },
        hypotheses=no_hypotheses,
        predict=_times,
        remainder=lambda _: Remainder(0.0, "a closed form: numerical error only"),
        evidence=lambda s, size: Computation("early/times", s),
        judge=judge_settled,
        expected="holds",
        decoys=(
            scaled(1.1),
            Decoy("p -> p + 0.25", lambda s, _: _times(s, 0.25)),
        ),
    ),
    Claim(
        id="jaxbias/half-fit-time",
        statement="A cluster is half fitted at t = -(1/2) ln sum_j |w_j(0)|^2"
        " (1-c_j^2)^(1/p) e^(-2 T_inf(c_j)): alignment is locked to growth by"
        " (1-c^2)|w|^(2p) = const.",
        source=_DERIVED,
        provenance="derived",
        kind="closed form",
        quantifier="p in {1, 2, 3, 4}, eps in {1e-4, 1e-8}, D = 50, h = 40",
        conventions={**_CONVENTIONS, "loss_scale": "(y - f)^2 / 2"},
        setting={
            "exponents": (1.0, 2.0, 3.0, 4.0),
            "scales": (1e-4, 1e-8),
            "cosines": _COSINES,
            "dim": 50,
        },
        hypotheses=no_hypotheses,
        predict=_half_fit,
        remainder=lambda s: Remainder(
            0.01 * _half_fit(s)["value"],
            "neurons still turning while the residual falls are ignored; they are"
            " behind by the factor of their delay, below 1 % of the time",
        ),
        evidence=lambda s, size: Computation("growth/half_fit", s),
        judge=_judge_relative,
        expected="holds",
        decoys=(
            scaled(1.1),
            Decoy("p -> p + 0.25", lambda s, _: _half_fit(s, 0.25)),
            Decoy("no alignment delay", lambda s, _: _half_fit(s, locked=False)),
        ),
    ),
    Claim(
        id="min-vidal-2025/proposition-4",
        statement="Every non-degenerate neuron has 1 - c <= C log(K/delta) alpha^2"
        " before t1 = 20/((p-2) p D2 D1^(p-2)) + O(log 1/alpha), and keeps it until"
        " t2 = O(log 1/eps).",
        source=Source("min-vidal-2025", "Proposition 4", "PMLR 267"),
        provenance="seen",
        kind="inequality",
        quantifier="the slowest start a Voronoi gap allows, noise 0",
        conventions=_CONVENTIONS,
        setting={
            "exponent": 3.0,
            "clusters": 10,
            "width": 200,
            "scale": 1e-7,
            "gap": 0.02,
            "alignment": 1e-2,
        },
        hypotheses=_window_hypotheses,
        predict=lambda s: {
            "bound": aligned_by(s["exponent"], s["gap"], s["alignment"])
        },
        remainder=lambda _: Remainder(0.0, "an inequality"),
        evidence=lambda s, size: Computation("early/window", s),
        judge=_judge_window,
        expected="not applicable",
        decoys=(
            scaled(0.01, "bound"),
            Decoy(
                "t2 in place of t1",
                lambda s, _: {
                    "bound": window_end(
                        s["exponent"], s["clusters"], s["width"], s["scale"]
                    )
                },
            ),
        ),
    ),
)
