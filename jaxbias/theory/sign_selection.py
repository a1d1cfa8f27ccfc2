"""Which sign an output weight ends with, from MV24's unbalanced start.

With c = |w|^2 - v^2 > 0, v = sqrt(c) sinh(a) and |w| = sqrt(c) cosh(a), gradient flow
of a weight-normalised network is a' = S, S the pull on the neuron's direction: the sign
is decided by the data, and the direction moves only as tanh(a).
"""

import math

import numpy as np
from scipy import integrate

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
from jaxbias.theory._verdict import judge_identity, judge_interval
from jaxbias.theory.statistics import proportion_lower, proportion_upper

_SOURCE = Source("jaxbias", "sign selection from an unbalanced start")


def sign_change_share(own: bool = True, both: bool = True) -> float:
    """Share of neurons whose output weight changes sign early; 1/6.

    One centre a class, noise 0, p = 1, all entries of W and v independent N(0, eps^2).
    In units of eps let y = v, and a, b be the projections on the active centres. With
    one active (probability 1/2) ``y^2 - a^2`` is conserved: y changes sign iff it is
    opposed (1/2) and ``|y| < a`` (1/2). With both (1/4), ``y^2 - (a - b)^2/2`` is, so
    it takes ``|y| < |a - b|/sqrt(2)``, of probability 1/3: y, a, b are a uniform
    direction, and the last is the integral below.

    Args:
        own: whether neurons with one active centre are counted.
        both: whether those with two are.
    """

    def share(angle: float) -> float:
        # |a - b|/sqrt(2) = r |cos|, and P(|y| < r g) = g/sqrt(1 + g^2).
        gap = abs(math.cos(angle + math.pi / 4))
        return gap / math.hypot(1, gap)

    ends = 0, math.pi / 4, math.pi / 2
    halves = [integrate.quad(share, *pair)[0] for pair in zip(ends, ends[1:])]
    two = sum(halves) / (math.pi / 2) / 2
    return own * 1 / 2 * 1 / 4 + both * 1 / 4 * two


def _judge_law(arrays, prediction, remainder, alpha):
    """The path of a at the end, and no sign apart from its own on the way.

    Where no sign has changed nothing is said about changes.
    """
    del remainder, alpha
    seen = arrays["settled"] & (arrays["changed"] > 0)
    error = np.where(seen, arrays["error"], np.inf)
    target = prediction["start"] * arrays["start"]
    target = target + prediction["rate"] * arrays["pulled"]
    return judge_identity(
        np.append(arrays["measured"], arrays["mismatched"]),
        np.append(error, 0.0),
        np.append(target, 0.0),
    )


def _judge_share(arrays, prediction, remainder, alpha):
    total = int(arrays["trials"])
    low = proportion_lower(int(arrays["changed"]), total, alpha / 2)
    possible = int(arrays["changed"] + arrays["open"])
    high = proportion_upper(possible, total, alpha / 2)
    return judge_interval(low, high, prediction["value"], remainder.delta)


def _share(_: Setting, **kinds) -> dict:
    return {"value": sign_change_share(**kinds)}


CLAIMS = (
    Claim(
        id="jaxbias/sign-law",
        statement="From |v| < |w|, v_j = sqrt(c_j) sinh(a_j) with a_j(t) ="
        " asinh(v_j(0)/sqrt(c_j)) + int S_j, S_j = -(1/N) sum_i g_i s(<x_i, w^_j>)^p:"
        " v_j changes sign exactly when a_j crosses 0.",
        source=_SOURCE,
        provenance="derived",
        kind="identity",
        quantifier="every neuron of two networks to the fit, p in {2.5, 3}",
        conventions=conventions(
            clock="per_cluster_mean",
            loss_scale="(y - f)^2 / 2",
            centre_norm="1",
            noise_unit="alpha/sqrt(D) per coordinate",
            output_layer="trained, all entries N(0, eps^2)",
        ),
        setting={
            "exponents": (2.5, 3.0),
            "clusters": 4,
            "positive": 2,
            "dim": 8,
            "samples": 5,
            "noise": 0.1,
            "width": 40,
            "scale": 1e-2,
            "time": 10.0,
        },
        hypotheses=lambda s: (
            requires("|v_j(0)| < |w_j(0)|; other neurons are left out", 0.0),
        ),
        predict=lambda _: {"start": 1.0, "rate": 1.0},
        remainder=lambda _: Remainder(0.0, "an identity: numerical error only"),
        evidence=lambda s, size: Computation("signs/law", s),
        judge=_judge_law,
        expected="holds",
        decoys=(
            scaled(1.1, "rate"),
            Decoy("a_j(0) = 0", lambda _, p: {**p, "start": 0.0}),
        ),
        # In the first setting hardly any sign changed.
        edition=2,
    ),
    Claim(
        id="jaxbias/sign-change-share",
        statement="At noise 0, p = 1 and one centre a class, all entries of W and v"
        " independent N(0, eps^2): an output weight changes its sign in the early"
        " phase with probability 1/6 (1/8 with one active centre, 1/24 with two).",
        source=_SOURCE,
        provenance="derived",
        kind="closed form",
        quantifier="probability over neurons, eps -> 0",
        conventions=conventions(
            clock="per_cluster_mean",
            centre_norm="1",
            output_layer="trained, all entries N(0, eps^2)",
        ),
        setting={"dim": 10, "time": 6.0},
        hypotheses=no_hypotheses,
        predict=_share,
        remainder=lambda _: Remainder(
            0.02,
            "the length of the interval at the quick size, eight standard errors",
        ),
        evidence=lambda s, size: Computation(
            "signs/share",
            {**s, "neurons": {"quick": 40000, "paper": 200000}.get(size, 10**6)},
        ),
        judge=_judge_share,
        expected="holds",
        decoys=(
            Decoy("one active centre alone", lambda s, _: _share(s, both=False)),
            Decoy("every opposed neuron changes", lambda *_: {"value": 3 / 8}),
            Decoy("signs by chance", lambda *_: {"value": 1 / 2}),
        ),
        stochastic=True,
    ),
)
