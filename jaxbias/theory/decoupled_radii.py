"""Claims about networks of one unit a cluster, read out by group, at the centres."""

import math

import numpy as np

from jaxbias.theory import readout_radii as radii
from jaxbias.theory._claim import Decoy, Remainder, Setting, Source, scaled
from jaxbias.theory._readout_claims import (
    DIM,
    changed,
    drawn_claim,
    lengths,
    radius_claim,
)
from jaxbias.theory._verdict import judge_identity

_MAX = {"network": "decoupled", "readout": "group argmax", "dim": DIM}
_SUM = {"network": "decoupled", "readout": "summed logits", "dim": DIM}
_SPLITS = ((1, 1), (5, 5), (2, 8), (8, 2))
_BETAS = (0.0, 0.1, 0.2, 0.25, 0.29, 0.35, 0.42, 0.5)
_THRESHOLDS = tuple((2, other, beta) for other in (1, 3, 5) for beta in _BETAS)
_POWERS = tuple(
    (own, other, p)
    for own, other in ((5, 5), (2, 8))
    for p in (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
)
_LOGITS = ((5, 5, 5.43), (2, 8, 5.43), (8, 2, 5.43), (5, 5, 2.0), (2, 8, 0.5))
_MIXINGS = ((5, 5, 0.0), (5, 5, 1.0), (5, 5, 5.0), (2, 8, 1.0), (10, 10, 1.0))
_MIXTURE = {
    "prefix": "li-2025-feature-averaging",
    "source": Source("li-2025-feature-averaging", "proposition 4.8, reconstructed"),
    "provenance": "reconstructed",
}


def _optimal(setting: Setting) -> dict:
    return lengths(setting, lambda *_: radii.HALF_DISTANCE)


def _averaged(setting: Setting) -> dict:
    return lengths(setting, lambda own, other, *_: radii.averaged(own, other))


def _sum(setting: Setting, more: int = 0) -> dict:
    return lengths(setting, lambda _, other, *__: radii.decoupled_sum(other + more))


def _ratio(setting: Setting, more: int = 0) -> dict:
    rows = [
        (math.sqrt((k + more) / 2), math.sqrt((k + more) / (1 + k // 2)))
        for k in setting["clusters"]
    ]
    return {"value": np.array(rows)}


def _threshold(setting: Setting, tie: str = "<=", shift: float = 0.0) -> dict:
    bend = lambda beta: min(beta + shift, 0.5)
    return lengths(
        setting, lambda _, other, beta: radii.thresholded(bend(beta), other, tie)
    )


def _power(setting: Setting, bend: float = 0.0, more: int = 0) -> dict:
    return lengths(setting, lambda _, other, p: radii.powered(p + bend, other + more))


def _probability(setting: Setting, factor: float = 1.0, swap: bool = False) -> dict:
    def value(own: int, other: int, logit: float) -> float:
        sizes = (other, own) if swap else (own, other)
        return radii.probability_sum(*sizes, factor * logit)

    return lengths(setting, value)


def _mixed(setting: Setting, more: int = 0, bend: float = 0.0) -> dict:
    return lengths(
        setting, lambda own, other, c: radii.mixed(c + bend, own + other + more)
    )


def _linf(_: Setting) -> dict:
    return {"value": np.array(radii.linf_decoupled())}


def _linf_remainder(setting: Setting) -> Remainder:
    spread = radii.linf_spread(setting["dim"])
    share = 12 / math.sqrt(setting["draws"])
    share += math.sqrt(2 * math.log(setting["opposite"]))
    return Remainder(
        share * spread * radii.linf_decoupled(),
        "12 standard errors over the draws, and the least of k_- radii of relative"
        " deviation sqrt((pi-3)/(2d)) lies at most sqrt(2 ln k_-) deviations below",
    )


def _axes(setting: Setting, more: int = 0) -> dict:
    k = setting["own"] + setting["opposite"] + more
    return {"value": math.sqrt(setting["dim"]) * np.array([1 / k, 1 / 2])}


def _judge_margin(arrays, prediction, remainder, alpha):
    del remainder, alpha
    return judge_identity(arrays["measured"], arrays["error"], prediction["value"])


def _ends(_: Setting) -> dict:
    return {"value": np.array(radii.OPTIMAL_THRESHOLDS)}


CLAIMS = (
    radius_claim(
        "decoupled-max-radius",
        "The decoupled network read out by its largest output has radius exactly"
        " sqrt(d/2) at every centre, which no classifier exceeds at two centres of"
        " opposite classes at once, and the midpoint of two such is a nearest error.",
        _optimal,
        (changed("another network: averaged", _averaged), scaled(1.1)),
        {**_MAX, "cases": _SPLITS[1:], "witness": "midpoint"},
    ),
    radius_claim(
        "decoupled-sum-radius",
        "The decoupled network with outputs summed by label has radius only"
        " sqrt(d/(1 + k_-s)) at a centre of class s: without thresholds, fine labels"
        " alone do not make it robust.",
        _sum,
        (
            changed("k_- -> k_- + 1", lambda s: _sum(s, 1)),
            changed("another read-out: the largest output", _optimal),
            scaled(1.1),
        ),
        {**_SUM, "cases": _SPLITS},
    ),
    radius_claim(
        "fine-over-coarse",
        "Over the averaged network's radius the decoupled one's is sqrt(k/2) by its"
        " largest output, but sqrt(k/(1 + k_-)) < sqrt(2) for equal classes by sums.",
        _ratio,
        (changed("k -> k + 1", lambda s: _ratio(s, 1)), scaled(1.1), scaled(0.9)),
        {"clusters": (4, 6, 10), "dim": DIM, "readout": "score or group"},
        what="readouts/ratios",
        quantifier="k in {4, 6, 10}, equal classes; largest output, then sums",
        remainder=lambda s: Remainder(
            1e-6 * math.sqrt(max(s["clusters"])), "two exact radii, each within 1e-7"
        ),
    ),
    radius_claim(
        "decoupled-directions",
        "Towards the sum of all opposite centres, -mu_j + sum_{J_-s} mu_l, the"
        " decoupled network with summed outputs breaks at sqrt(d/(1 + k_-s)), exactly"
        " its radius.",
        _sum,
        (changed("k_- -> k_- + 1", lambda s: _sum(s, 1)), scaled(1.1)),
        {**_SUM, "cases": _SPLITS, "direction": "rivals"},
        what="readouts/directions",
    ),
    radius_claim(
        "threshold-radius",
        "With thresholds, f_j = s(<x,mu_j>/d - beta) and beta <= 1/2, the summed"
        " outputs have r^2/d = min((1-beta)^2,"
        " min_{1<=q<=k_-} (1 + (q-1) beta)^2/(1+q)), where f = 0 counts as broken.",
        _threshold,
        (
            changed("f = 0 is right", lambda s: _threshold(s, "<")),
            changed("beta -> beta + 0.05", lambda s: _threshold(s, shift=0.05)),
            scaled(1.1),
        ),
        {**_SUM, "cases": _THRESHOLDS, "tie": "<="},
        quantifier="k_- in {1, 3, 5}, eight thresholds in [0, 1/2]",
    ),
    radius_claim(
        "threshold-radius-strict",
        "Where only f < 0 is broken the branch (1-beta)^2 falls away: r^2/d ="
        " min_{1<=q<=k_-} (1 + (q-1) beta)^2/(1+q), which is 1/2 up to beta = 1/2.",
        lambda s: _threshold(s, "<"),
        (
            changed("f = 0 is broken", _threshold),
            changed("beta -> beta + 0.05", lambda s: _threshold(s, "<", 0.05)),
            scaled(1.1),
        ),
        {**_SUM, "cases": _THRESHOLDS, "tie": "<"},
        quantifier="k_- in {1, 3, 5}, eight thresholds in [0, 1/2]",
    ),
    radius_claim(
        "optimal-thresholds",
        "Summed outputs reach sqrt(d/2) for every k_- exactly if the threshold lies in"
        " [sqrt(3/2) - 1, 1 - 1/sqrt(2)], f = 0 counting as broken.",
        _ends,
        (
            scaled(1.1),
            Decoy("upper end 1/2", lambda _, p: {"value": np.array([0.2247, 0.5])}),
            Decoy(
                "lower end (sqrt(2) - 1)/2, of q = 3",
                lambda _, p: {"value": np.array([(2**0.5 - 1) / 2, p["value"][1]])},
            ),
        ),
        {**_SUM, "opposites": (1, 2, 3, 5), "inside": 0.25, "tie": "<="},
        what="readouts/interval",
        quantifier="k_- in {1, 2, 3, 5}",
        remainder=lambda _: Remainder(
            1e-5,
            "radii below (1 - 1e-6) sqrt(d/2) are told from it, and the radius moves"
            " with a slope of at least 1/sqrt(3) at either end; bisection to 1e-6",
        ),
    ),
    radius_claim(
        "power-radius",
        "With f_j = s(<x,mu_j>)^p summed by label, r^2/d = K/(1+K), K ="
        " min(1, k_-^(1-2/p)): 1/2 from p = 2 on.",
        _power,
        (
            changed("p -> p + 0.25", lambda s: _power(s, bend=0.25)),
            changed("k_- -> k_- + 1", lambda s: _power(s, more=1)),
            scaled(1.1),
        ),
        {**_SUM, "cases": _POWERS},
        what="readout_searches/powers",
        quantifier="k_- in {5, 8}, p in {1, 1.25, 1.5, 2, 3, 4}",
        remainder=lambda s: Remainder(
            1e-5 * math.sqrt(s["dim"]),
            "the formula is exact; the search ends at 1e-9 and leaves room for its"
            " local optimum only, and the certificate is tight at centres",
        ),
    ),
    radius_claim(
        "probability-sum-radius",
        "With softmax probabilities summed by label and logit s at the own centre,"
        " r^2/d = min a^2 + b_1^2 + (k_- - 1) b_2^2 over e^(s(1-a)) + k_+ - 1 ="
        " e^(s b_1) + (k_- - 1) e^(s b_2): it depends on s and on the split, and is 0"
        " if e^s + k_+ - 1 <= k_-.",
        _probability,
        (
            changed("s -> 1.1 s", lambda s: _probability(s, 1.1)),
            changed("k_+ and k_- exchanged", lambda s: _probability(s, swap=True)),
            changed("s -> infinity", _optimal),
        ),
        {**_SUM, "readout": "probability sum", "cases": _LOGITS},
        what="readout_searches/probability_sum",
        quantifier="s in {5.43, 2, 0.5}, splits of k = 10",
        search=True,
        remainder=lambda s: Remainder(
            1e-5 * math.sqrt(s["dim"]),
            "the programme is exact; both searches end at 1e-9 and leave room for their"
            " local optima only",
        ),
    ),
    radius_claim(
        "proposition-4-8-radius",
        "f_j = s(<x,w_j>), w_j = mu_j + c sum_{class(j)} mu_l, read out by the largest"
        " output, has radius (1+c) sqrt(d)/sqrt(2(1+c)^2 + c^2(k-2)): sqrt(d/2) at"
        " c = 0, sqrt(d/k) as c grows, though the network tells all clusters apart.",
        _mixed,
        (
            changed("k -> k + 1", lambda s: _mixed(s, more=1)),
            changed("c -> c + 0.25", lambda s: _mixed(s, bend=0.25)),
            changed("another network: decoupled", _optimal),
        ),
        {**_MAX, "network": "mixture", "cases": _MIXINGS},
        quantifier="(k, c) in {(10, 0), (10, 1), (10, 5), (20, 1)}, and split (2, 8)",
        **_MIXTURE,
    ),
    radius_claim(
        "proposition-4-8-margins",
        "At every centre the largest output of that network is the own one, by exactly"
        " 1 over the classes of its label and 1 + c over the others, for every c >= 0:"
        " its multi-class accuracy is perfect.",
        lambda s: {"value": np.array([(1.0, 1 + c) for _, _, c in s["cases"]])},
        (
            Decoy("c -> c + 0.25", lambda s, p: {"value": p["value"] + [0, 0.25]}),
            scaled(1.1),
        ),
        {
            **_MAX,
            "network": "mixture",
            "readout": "argmax",
            "cases": (*_MIXINGS, (5, 5, 100.0)),
        },
        what="readouts/class_margins",
        quantifier="every centre, the (k, c) above and (10, 100)",
        kind="identity",
        remainder=lambda _: Remainder(0.0, "an identity"),
        judge=_judge_margin,
        **_MIXTURE,
    ),
    drawn_claim(
        "linf-decoupled-random-centres",
        "With random centres the l_inf radius of the decoupled network by its largest"
        " output is min_l d/|mu_1 - mu_l|_1, which tends to sqrt(pi)/2 for large d:"
        " decoupling gains sqrt(k/2) in l_inf as well.",
        _linf,
        _linf_remainder,
        (
            scaled(1.1),
            scaled(0.9),
            Decoy(
                "another network: averaged",
                lambda s, _: {"value": np.array(radii.linf_averaged(10))},
            ),
        ),
        _MAX,
    ),
    radius_claim(
        "linf-axis-aligned-centres",
        "With centres on the axes the l_inf radius is sqrt(d)/k for the averaged and"
        " sqrt(d)/2 for the decoupled network by its largest output: a factor k/2.",
        _axes,
        (Decoy("k -> k + 1", lambda s, _: _axes(s, 1)), scaled(1.1)),
        {"own": 5, "opposite": 5, "dim": DIM, "readout": "score or group"},
        what="readouts/linf_axes",
        norm="l_inf",
    ),
)
