"""Lemmas of MV25's proof of Theorem 1, and the lock of alignment to growth."""

import math

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
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_probability,
    judge_settled,
)
from jaxbias.theory.growth import window_end

_FLOW = conventions(
    clock="per_cluster_mean",
    loss_scale="(y - f)^2 / 2",
    centre_norm="1",
    output_layer="trained, balanced",
)
#: The largest gap of a neuron with an active rival. Beyond it D1 may exceed the cosine:
#: cosines 0.8 and -0.34 to two own centres give Delta = 0.4 and D1 = 0.94.
_LARGEST_GAP = 1 - 1 / math.sqrt(2)


def _source(place: str) -> Source:
    return Source("min-vidal-2025", place, "PMLR 267")


def _exact(_: Setting) -> Remainder:
    return Remainder(0.0, "a bound without a remainder")


def least_cosine(gap, divisor: float = 2.0):
    """MV25 Lemma 5: ``D1 = sqrt(((1 - Delta)^-2 - 1)/2)``."""
    return np.sqrt(((1 - np.asarray(gap)) ** -2 - 1) / divisor)


def largest_share(gap, factor: float = 2.0):
    """MV25 Lemma 5: an active rival's cosine over the best is <= 1 - sqrt(2 Delta)."""
    return 1 - np.sqrt(factor * np.asarray(gap))


def travel_bound(start: float, left: float, factor: float = 2.0) -> float:
    """MV25 Lemma 15: ``2 (log 1/(1 - z1 - q) + log 1/z0)``, left = 1 - z1 - q."""
    return factor * (math.log(1 / left) + math.log(1 / start))


def good_event_limits(
    clusters: int, samples: int, level: float, *, union: bool = True
) -> np.ndarray:
    """The four limits of MV25's good event, of probability at least 1 - delta.

    In units of alpha: ``sqrt(8 log(16KN/delta))`` for ``|e_i|``,
    ``sqrt(2 log(8K^2N/delta))`` for ``sqrt(D)|<mu_k, e_i>|``,
    ``sqrt(8 log(16K/delta))`` for ``|sum e_i|/sqrt(N)`` and ``8 log(16K/delta)`` for
    ``sum |e_i|^2/N``.

    Args:
        clusters: K.
        samples: N, a cluster.
        level: delta.
        union: whether the logarithms count clusters and samples.
    """
    k, n = (clusters, samples) if union else (1, 1)
    each, inner, sums = (
        math.log(count / level) for count in (16 * k * n, 8 * k**2 * n, 16 * k)
    )
    return np.array(
        [math.sqrt(8 * each), math.sqrt(2 * inner), math.sqrt(8 * sums), 8 * sums]
    )


def _judge_gap(arrays, prediction, remainder, alpha):
    """Worst slack of the two bounds over the starts."""
    del remainder, alpha
    gap = arrays["gap"]
    slack = (
        np.min(arrays["cosine"] - least_cosine(gap, prediction["divisor"])),
        np.min(largest_share(gap, prediction["factor"]) - arrays["share"]),
    )
    # Ties of the two sides to rounding are no failures.
    return judge_at_least(slack, slack, -1e-12, sampled=True)


def _judge_outputs(arrays, prediction, remainder, alpha):
    del remainder, alpha
    worst = arrays["measured"].max(axis=1)
    return judge_at_most(worst, worst, prediction["value"], sampled=True)


def _judge_travel(arrays, prediction, remainder, alpha):
    del remainder, alpha
    error = np.where(arrays["settled"], arrays["error"], np.inf)
    value, bound = arrays["measured"], prediction["value"]
    largest = float(np.max(error))
    return judge_at_most(
        value - error, value + error, bound, sampled=True, error=largest
    )


def _judge_event(arrays, prediction, remainder, alpha):
    del remainder
    kept = int(np.sum(np.all(arrays["maxima"] <= prediction["limits"], axis=1)))
    total = len(arrays["maxima"])
    return judge_probability(kept, kept, total, prediction["bound"], alpha)


def _scales(setting: Setting) -> tuple[float, ...]:
    largest = 1 / (4 * math.sqrt(setting["width"]))
    return tuple(share * largest for share in setting["shares"])


def _early(setting: Setting, size: str) -> Computation:
    h, p, k = setting["width"], setting["exponent"], setting["clusters"]
    scales = _scales(setting)
    ends = tuple(max(window_end(p, k, h, scale), 0.0) for scale in scales)
    more = {"starts": {"quick": 20, "paper": 100}.get(size, 400), "records": 20}
    return Computation(
        "steps/early_outputs", {**setting, "scales": scales, "ends": ends, **more}
    )


def _travels(setting: Setting) -> tuple[tuple[float, float, float], ...]:
    return tuple(
        (z, left, q)
        for z in setting["starts"]
        for left in setting["left"]
        for q in setting["drags"]
    )


def _travel(setting: Setting, factor: float = 2.0, both: bool = True) -> dict:
    values = [
        travel_bound(z if both else 1.0, left, factor)
        for z, left, _ in _travels(setting)
    ]
    return {"value": np.array(values)}


def _event(setting: Setting, share: float = 1.0, union: bool = True) -> dict:
    limits = good_event_limits(
        setting["clusters"], setting["samples"], setting["level"], union=union
    )
    return {"limits": share * limits, "bound": 1 - setting["level"]}


def _locked(setting: Setting, factor: float = 2.0, bend: float = 0.0) -> dict:
    table = [
        [-factor * (p + bend)] * len(setting["times"])
        for p in setting["exponents"]
        for _ in setting["shares"]
    ]
    return {"value": np.array(table)}


CLAIMS = (
    Claim(
        id="min-vidal-2025/lemma-5",
        statement="A Voronoi gap Delta gives the best own cosine c >= D1 ="
        " sqrt(((1 - Delta)^-2 - 1)/2), and active rivals of its class at most"
        " (1 - sqrt(2 Delta)) c.",
        source=_source("Lemma 5"),
        provenance="seen",
        kind="inequality",
        quantifier="random starts of gap at most 1 - 1/sqrt(2), K1 in {2, 3, 5}",
        conventions=conventions(centre_norm="1"),
        setting={"own": (2, 3, 5), "largest": _LARGEST_GAP},
        hypotheses=lambda s: (
            requires("0 < Delta <= 1 - 1/sqrt(2)", _LARGEST_GAP - s["largest"]),
        ),
        predict=lambda _: {"divisor": 2.0, "factor": 2.0},
        remainder=_exact,
        evidence=lambda s, size: Computation(
            "steps/gaps",
            {**s, "draws": {"quick": 40000, "paper": 400000}.get(size, 10**6)},
        ),
        judge=_judge_gap,
        expected="not refuted",
        decoys=(scaled(0.5, "divisor"), scaled(3.0, "factor")),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2025/lemma-8",
        statement="With eps <= 1/(4 sqrt(h) W_max^2), max_k |f(mu_k)| <="
        " 2 eps sqrt(h) W_max^2 until t2 = (2^(p+2) K)^-1 log(1/(2^(p-1) sqrt(h)"
        " eps)).",
        source=_source("Lemma 8"),
        provenance="seen",
        kind="inequality",
        quantifier="every neuron on one centre, and random starts; three eps",
        conventions={**_FLOW, "noise_unit": "alpha/sqrt(D) per coordinate"},
        setting={
            "exponent": 3.0,
            "clusters": 4,
            "positive": 2,
            "dim": 20,
            "samples": 10,
            "noise": 0.1,
            "width": 16,
            "shares": (1.0, 0.3, 0.03),
        },
        hypotheses=lambda s: (
            requires("p > 2", s["exponent"] - 2),
            requires(
                "eps <= 1/(4 sqrt(h) W_max^2)",
                1 / (4 * math.sqrt(s["width"])) - max(_scales(s)),
            ),
        ),
        predict=lambda s: {"value": np.full(len(s["shares"]), 2.0)},
        remainder=_exact,
        evidence=_early,
        judge=_judge_outputs,
        expected="not refuted",
        decoys=(
            scaled(0.1),
            Decoy("eps -> eps^2", lambda s, _: {"value": 2 * np.array(_scales(s))}),
        ),
        stochastic=True,
    ),
    Claim(
        id="min-vidal-2025/lemma-15",
        statement="z' >= (1 - z - q) z with 0 < q < 1/4 takes z from z0 <= 1/4 to"
        " z1 < 1 - q in time at most 2 (log 1/(1 - z1 - q) + log 1/z0).",
        source=_source("Lemma 15"),
        provenance="seen",
        kind="inequality",
        quantifier="the slowest z of each q; three z0, two z1, three q",
        conventions=conventions(clock="per_cluster_mean"),
        setting={
            "starts": (0.25, 1e-2, 1e-6),
            "left": (1e-1, 1e-3),
            "drags": (0.01, 0.1, 0.24),
        },
        hypotheses=lambda s: (
            requires("0 < q < 1/4", 0.25 - max(s["drags"])),
            requires("z0 <= 1/4", 0.25 - max(s["starts"])),
        ),
        predict=_travel,
        remainder=_exact,
        evidence=lambda s, size: Computation("steps/travel", {"cases": _travels(s)}),
        judge=_judge_travel,
        expected="not refuted",
        decoys=(
            Decoy("without its factor 2", lambda s, _: _travel(s, 1.0)),
            Decoy("without log 1/z0", lambda s, _: _travel(s, both=False)),
        ),
    ),
    Claim(
        id="min-vidal-2025/good-event",
        statement="With probability at least 1 - delta over the data: |e_i| <= alpha"
        " sqrt(8 log(16KN/delta)), |<mu_k, e_i>| <= (alpha/sqrt(D)) sqrt(2 log(8K^2N/"
        "delta)), |sum_(I_k) e_i| <= alpha sqrt(N) sqrt(8 log(16K/delta)) and"
        " sum_(I_k) |e_i|^2 <= 8 alpha^2 N log(16K/delta).",
        source=_source("good event of the proof of Theorem 1"),
        provenance="seen",
        kind="probability",
        quantifier="probability over data sets, delta = 0.1",
        conventions=conventions(noise_unit="alpha/sqrt(D) per coordinate"),
        setting={"clusters": 4, "samples": 20, "dim": 30, "level": 0.1},
        hypotheses=no_hypotheses,
        predict=_event,
        remainder=_exact,
        evidence=lambda s, size: Computation(
            "steps/good_event",
            {**s, "draws": {"quick": 2000, "paper": 20000}.get(size, 10**5)},
        ),
        judge=_judge_event,
        expected="holds",
        decoys=(
            Decoy("limits x 0.4", lambda s, _: _event(s, 0.4)),
            Decoy("no union over samples", lambda s, _: _event(s, union=False)),
        ),
        stochastic=True,
    ),
    Claim(
        id="jaxbias/alignment-locked-to-growth",
        statement="With one active centre (1 - c^2) |w|^(2p) is constant, balanced or"
        " not, to the end of training: a neuron cannot grow before it is aligned.",
        source=Source("jaxbias", "law of the orthogonal complement, one centre"),
        provenance="derived",
        kind="identity",
        quantifier="p in {1, 1.5, 2, 3, 4}, |v|/|w| in {1, 1/2} at the start, 3 times",
        conventions={**_FLOW, "output_layer": "trained"},
        setting={
            "exponents": (1.0, 1.5, 2.0, 3.0, 4.0),
            "shares": (1.0, 0.5),
            "scale": 0.05,
            "cosine": 0.3,
            "times": (1.0, 4.0, 8.0),
        },
        hypotheses=no_hypotheses,
        predict=_locked,
        remainder=lambda _: Remainder(0.0, "an identity: numerical error only"),
        evidence=lambda s, size: Computation("steps/locked", s),
        judge=judge_settled,
        expected="holds",
        decoys=(
            Decoy("2p -> p", lambda s, _: _locked(s, 1.0)),
            Decoy("p -> p + 0.25", lambda s, _: _locked(s, bend=0.25)),
        ),
    ),
)
