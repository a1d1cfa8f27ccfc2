"""MV25 Theorem 1 and Corollary 1: how fast a trained network nears F^(p).

Orders in the noise, with samples and dimension tied to noise^-2 or fixed. A finite
range of noises cannot refute an order, and the theorem's window of times is empty with
the constants of its proof: the rows show what was measured outside its hypotheses.
"""

import math
from functools import partial

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
)
from jaxbias.theory._verdict import judge_exponent, judge_order, searched
from jaxbias.theory.growth import aligned_by, window_end
from jaxbias.theory.statistics import exponent_interval

_THEOREM = Source("min-vidal-2025", "Theorem 1", "PMLR 267")
_SETTING = {
    "clusters": 3,
    "positive": 2,
    "width": 6,
    "exponent": 3.0,
    "cosine": 0.9,
    # Past ln(1/eps), when an aligned neuron has grown: residuals e^(-2 t) are gone.
    "after": (8.0, 12.0),
    "step": 0.4,
    "points": 100,
}
#: Samples a cluster: alpha^-2 / 4 of each noise; the last two from size paper on.
_TIED = (12, 25, 50, 100, 200, 400)
_FIXED = (5, 100)
_RANGE = "noise from 0.05 (0.025 from size paper on) to 0.144"


def initial_gap(cosine: float) -> float:
    """Least Voronoi gap Delta of a neuron at this cosine to its own centre.

    ``1 - sqrt(1 - (c - sqrt(1-c^2))^2/2)``: all that is left may be on one rival of
    its class (MV25, assumption A2).
    """
    lead = cosine - math.sqrt(1 - cosine**2)
    return 1 - math.sqrt(1 - lead**2 / 2)


def _cases(setting: Setting, size: str) -> tuple[tuple, ...]:
    """(noise, samples a cluster, dim, scale), eps = noise^(8K)."""
    counts = _TIED[:4] if size == "quick" else _TIED
    cases = []
    for count in counts:
        noise = 1 / (2 * math.sqrt(count))
        sizes = (count, count) if setting["tied"] else _FIXED
        cases.append((noise, *sizes, noise ** (8 * setting["clusters"])))
    return tuple(cases)


def _evidence(setting: Setting, size: str) -> Computation:
    more = {key: setting[key] for key in _SETTING}
    return Computation(
        "convergence/window",
        {
            **more,
            "cases": _cases(setting, size),
            # Fewer samples scatter more, and cost less.
            "seeds": {"quick": 16, "paper": 16}.get(size, 64) * (2 - setting["tied"]),
        },
    )


def _hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    p, clusters = setting["exponent"], setting["clusters"]
    gap = initial_gap(setting["cosine"])
    window = [
        window_end(p, clusters, setting["width"], scale) - aligned_by(p, gap, noise**2)
        for noise, _, _, scale in _cases(setting, "quick")
    ]
    return (
        requires("p > 2", p - 2),
        requires("A1: |v_j| = |w_j| at the start", 0.0),
        requires("A2: the Voronoi gap Delta is bounded from below", gap),
        requires("eps = alpha^(8K)", 0.0),
        requires("the window is not empty: t1 <= t2", min(window)),
        Hypothesis("alpha <= alpha_0, N and D >= C alpha_0^-2", "unverifiable"),
    )


def _interval(arrays, quantity: str, alpha: float) -> tuple[float, float]:
    values = arrays[quantity]
    if not (np.all(np.isfinite(values)) and np.all(values > 0)):
        return math.nan, math.nan
    low, high = exponent_interval(arrays["noise"], values, alpha)
    moved = float(arrays[f"{quantity}_moved"])
    return low - moved, high + moved


def _judge_order(arrays, prediction, remainder, alpha):
    del remainder
    _, high = _interval(arrays, prediction["quantity"], alpha)
    middle = math.exp(float(np.mean(np.log(arrays["noise"]))))
    return judge_order(high, prediction["value"], prediction["logs"], middle)


def _judge_range(arrays, prediction, remainder, alpha):
    ends = _interval(arrays, prediction["quantity"], alpha)
    return searched(judge_exponent(*ends, prediction["value"], remainder.delta))


def _another(exponent: float) -> Decoy:
    return Decoy(
        f"another exponent, {exponent:g}", lambda _, p: {**p, "value": exponent}
    )


def _order_claim(name, statement, tied, quantity, value, logs, decoys, **more) -> Claim:
    sizes = "N = D = alpha^-2 / 4" if tied else "N = 5, D = 100"
    return Claim(
        **{
            "id": name,
            "statement": statement,
            "source": _THEOREM,
            "provenance": "seen",
            "kind": "exponent",
            "quantifier": f"16 seeds or more, {_RANGE}, {sizes};"
            " the worst of two times",
            "conventions": conventions(
                clock="per_cluster_mean",
                loss_scale="(y - f)^2 / 2",
                norm="l_2",
                tie="y f <= 0 is an error",
                readout="sign",
                centre_norm="1",
                noise_unit="alpha/sqrt(D) per coordinate",
                output_layer="trained, balanced",
            ),
            "setting": {**_SETTING, "tied": tied},
            "hypotheses": _hypotheses,
            "predict": lambda s: {"quantity": quantity, "value": value, "logs": logs},
            "remainder": lambda _: Remainder(
                0.0, "an order: log factors are allowed for by the rule"
            ),
            "evidence": _evidence,
            "judge": _judge_order,
            "expected": "not applicable",
            "decoys": tuple(_another(other) for other in decoys),
            "stochastic": True,
            "family": f"min-vidal-2025/theorem-1-{'tied' if tied else 'fixed'}",
            **more,
        }
    )


_derived = partial(
    _order_claim,
    source=Source("jaxbias", "sampling error of a learned direction"),
    provenance="derived",
    hypotheses=no_hypotheses,
    expected="not refuted",
)

CLAIMS = (
    _order_claim(
        "min-vidal-2025/theorem-1-loss",
        "On its window of times L = O~(alpha^4), with N and D of order alpha^-2.",
        True,
        "loss",
        4.0,
        2.0,
        (5.5, 6.0),
    ),
    _order_claim(
        "min-vidal-2025/theorem-1-distance",
        "On its window of times sup |f - F^(p)| = O~(alpha^2), with N and D of order"
        " alpha^-2.",
        True,
        "distance",
        2.0,
        1.0,
        (4.0, 5.0),
    ),
    _order_claim(
        "min-vidal-2025/theorem-1-loss-fixed-sizes",
        "The same order of the loss at fixed N and D, which must fail as alpha -> 0:"
        " the loss of a sample is of order alpha^2/D.",
        False,
        "loss",
        4.0,
        2.0,
        (5.0, 5.5),
    ),
    _order_claim(
        "min-vidal-2025/theorem-1-distance-fixed-sizes",
        "The same order of the distance at fixed N and D, which must fail as"
        " alpha -> 0: sample means tilt neurons by alpha/sqrt(N).",
        False,
        "distance",
        2.0,
        1.0,
        (2.5, 3.0),
    ),
    _order_claim(
        "min-vidal-2025/corollary-1",
        "The trained network's radius is sqrt(2)/2 - O~(alpha^(2/p)) on all but an"
        " exponentially small share of fresh samples.",
        True,
        "shortfall",
        2 / 3,
        1 / 3,
        (3.0, 4.0),
        source=Source("min-vidal-2025", "Corollary 1", "PMLR 267"),
        quantifier="16 seeds or more, the worst of 100 fresh samples each,"
        f" {_RANGE}, N = D = alpha^-2 / 4",
    ),
    _derived(
        "jaxbias/distance-scaling-tied-samples",
        "With N and D of order alpha^-2 and starts of a fixed gap the distance to"
        " F^(3) is O(alpha^2) up to a log: neurons tilt by alpha/sqrt(N) ~ alpha^2.",
        True,
        "distance",
        2.0,
        1.0,
        (4.0, 5.0),
    ),
    _derived(
        "jaxbias/distance-scaling-fixed-samples",
        "At fixed N the distance to F^(3) falls more slowly than alpha^2: with"
        " N alpha^2 <= 0.1 its log-log slope lies in [1, 1.5].",
        False,
        "distance",
        1.25,
        0.0,
        (2.0, 0.75),
        judge=_judge_range,
        remainder=lambda _: Remainder(
            0.25,
            "a tilt alpha/sqrt(N) and terms of order alpha^2 add up: the local slope"
            " is between 1 and 1.5 while the first is the larger",
        ),
    ),
)
