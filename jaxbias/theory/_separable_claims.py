"""What the claims of MMV24 on orthogonally separable data share.

``min_{i,j} <x_i y_i, x_j y_j>/(|x_i||x_j|) = mu > 0``, ReLU network, balanced start.
Clock: the loss is the sum over samples. A case is (mu, positive samples, spread): norms
lie in [1/spread, spread]; at spread 1 every cosine is mu. Hidden shapes have norm 1.
"""

import math

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Hypothesis,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
)
from jaxbias.theory._verdict import judge_at_least, judge_at_most

KEY, VERSION = "min-mallada-vidal-2024", "arXiv 2307.12851"
CONVENTIONS = conventions(
    clock="sum", loss_scale="exp(-y f)", output_layer="trained, balanced"
)
CASES = ((0.5, 3, 1.0), (0.1, 3, 1.0), (0.5, 4, 1.0), (0.1, 3, 1.5))
RUNS = {
    "cases": CASES,
    "samples": 6,
    "dim": 8,
    "width": 30,
    "scale": 1e-6,
    "step": 0.06,
    "early": 6.0,
    "time": 40.0,
    "saves": 50,
}
EXACT = Remainder(0.0, "an inequality")
_ALIGNED = {
    "cases": RUNS["cases"],
    "samples": 6,
    "dim": 8,
    "width": 12,
    "scale": 0.1,
    "time": 40.0,
    "saves": 81,
    "tolerance": 1e-11,
}


def by_size(size: str, quick: int) -> int:
    """Draws at a size: four times as many, then sixteen."""
    return quick * {"quick": 1, "paper": 4}.get(size, 16)


def evidence_of_runs(setting: Setting, size: str) -> Computation:
    """Networks from random starts: one computation for all claims about them."""
    return Computation("separable/runs", {**setting, "draws": by_size(size, 3)})


def alignment_deadline(
    samples: int, correlation: float, shortest: float, angle: float = 1.0
) -> float:
    """``t1 = 16 log n/(min(zeta, xi) sqrt(mu) X_min)`` of Theorem 1.

    Args:
        samples: n.
        correlation: mu.
        shortest: X_min.
        angle: min(zeta, xi), a constant of data and start in (0, 1).
    """
    return 16 * math.log(samples) / (angle * math.sqrt(correlation) * shortest)


def theorem_1_hypotheses(setting: Setting) -> tuple[Hypothesis, ...]:
    """Both conditions on eps at zeta = xi = 1, the weakest, over all cases.

    The exponential one has its margin in the logarithm of eps.
    """
    n, root = setting["samples"], math.sqrt(setting["width"])
    first, second = [], []
    for mu, _, spread in setting["cases"]:
        least, most = 1 / spread, spread
        first.append(mu**1.5 * least / (4 * root * n * most**2))
        growth = 4 * n * most * alignment_deadline(n, mu, least)
        second.append(-math.log(root) - growth)
    return (
        requires(
            "eps <= min(mu, zeta, xi) sqrt(mu) X_min/(4 sqrt(h) n X_max^2 W_max^2)",
            min(first) - setting["scale"],
        ),
        requires(
            "log eps <= -log sqrt(h) - 64 n X_max log n/(min(zeta, xi) sqrt(mu) X_min)",
            min(second) - math.log(setting["scale"]),
        ),
        Hypothesis("zeta, xi in (0, 1): constants of data and start", "unverifiable"),
    )


def seen(place: str) -> Source:
    """A place in MMV24, in the version read."""
    return Source(KEY, place, VERSION)


def per_case(value):
    """``predict`` of one bound a case, (case, 1), beside evidence (case, draw)."""
    return lambda s: {"bound": np.array([[value(s, *c)] for c in s["cases"]])}


def at_least(name: str):
    """A judge of ``arrays[name] >= bound (1 - remainder)``, over all draws."""

    def judge(arrays, prediction, remainder, alpha):
        del alpha
        limit = np.asarray(prediction["bound"], float)
        limit = limit - remainder.delta * np.abs(limit)
        return judge_at_least(arrays[name], arrays[name], limit, sampled=True)

    return judge


def at_most(name: str):
    """A judge of ``arrays[name] <= bound`` over all draws."""

    def judge(arrays, prediction, remainder, alpha):
        del remainder, alpha
        value = arrays[name]
        return judge_at_most(value, value, prediction["bound"], sampled=True)

    return judge


def aligned_claim(name: str, statement: str, source: Source, **more) -> Claim:
    """A claim on networks whose neurons all start in the cones of their signs."""
    return Claim(
        id=name,
        statement=statement,
        source=source,
        kind="inequality",
        quantifier="random networks that start aligned, four kinds of data",
        conventions=CONVENTIONS,
        setting=_ALIGNED,
        hypotheses=lambda s: (
            requires("both cones are occupied", s["width"] // 2 - 1.0),
            requires("every neuron starts in the cone of its sign", 0.0),
        ),
        remainder=more.pop("remainder", lambda _: EXACT),
        evidence=lambda s, size: Computation(
            "separable/aligned", {**s, "draws": by_size(size, 3)}
        ),
        stochastic=True,
        family="separable/aligned",
        **more,
    )


def theorem_1_claim(name: str, statement: str, part: str, **more) -> Claim:
    """A part of Theorem 1, whose scale no run of this size reaches."""
    return Claim(
        id=f"{KEY}/theorem-1-{name}",
        statement=statement,
        source=seen(f"Theorem 1, {part}"),
        provenance="seen",
        kind="inequality",
        quantifier="random starts at eps = 1e-6, four kinds of data",
        conventions=CONVENTIONS,
        setting=RUNS,
        hypotheses=theorem_1_hypotheses,
        remainder=lambda _: EXACT,
        evidence=evidence_of_runs,
        expected="not applicable",
        stochastic=True,
        family="separable/runs",
        **more,
    )
