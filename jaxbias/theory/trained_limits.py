"""Claims about trained networks beyond p = 1 and p = 3 at the centres.

The boundary case p = 2, exact orthogonality, ranks, distances, and the ceiling that no
classifier passes. Checks 12 and 17 to 21.
"""

import math
from functools import partial

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._fresh_samples import CEILING, exact, judge_error
from jaxbias.theory._trained_runs import (
    CONVENTIONS,
    SETTING,
    dominant,
    least_cosine,
    relative,
    training,
    with_error,
)
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_exponent,
    judge_interval,
    searched,
)
from jaxbias.theory.closeness import corrected_bound
from jaxbias.theory.radii import split
from jaxbias.theory.statistics import exponent_interval

_NOISELESS = {
    "dim": 100,
    "clusters": 7,
    "positive": 4,
    "noise": 0.0,
    "samples": 7,
    "width": 120,
    "scale": 1e-6,
    "time": 5.0,
    "exponent": 1.0,
    "radius_at": None,
}
_SCALING = {
    "dim": 150,
    "clusters": 5,
    "positive": 3,
    "noise": 0.1,
    "noises": (0.025, 0.05, 0.1, 0.2),
    "samples": 800,
    "width": 50,
    "scale": 1e-7,
    # Later the flow fits the noise of its sample, and every distance grows.
    "time": 50.0,
    "radius_at": None,
}
_SMALL = {**_SCALING, "noise": 0.05, "samples": 200, "time": 100.0}


def _ranks(setting: Setting, shift: int = 0):
    own, other = split(setting["clusters"], setting["positive"])
    if setting["exponent"] < 2:
        small, large = sorted((own + shift, other + shift))
        return {"value": np.array(1 + math.sqrt(small / large))}
    return {"value": np.array(float(setting["clusters"] + shift))}


def _judge_ranks(arrays, prediction, remainder, alpha):
    del alpha
    both = lambda a: np.stack([a["weight_stable_rank"], a["feature_stable_rank"]], 1)
    value, error = with_error(arrays, both, float(np.min(remainder.delta)))
    return judge_interval(
        value - error, value + error, prediction["value"], remainder.delta, error
    )


def _lemma(arrays, setting: Setting, factor: float = 1.0):
    """Distance minus the corrected bound, seed by seed, from what each run measured.

    Dominant neurons are within delta of their centre; all others count as leftover,
    once where they are missing from the sums and once for what they add.
    """
    strong = dominant(arrays)
    best = np.max(arrays["centre_cosines"], axis=1)
    delta = np.where(strong, 1 - best, 0.0).max(axis=1)
    excess = np.abs(arrays["cluster_amplitudes"] - 1).max(axis=1)
    size = np.nan_to_num(arrays["contributions"])
    weak = np.where(strong, 0.0, size).sum(axis=1)
    strays = np.maximum(size.sum(axis=1) - arrays["cluster_amplitudes"].sum(axis=1), 0)
    bounds = [
        corrected_bound(setting["exponent"], d, nu, 2 * zeta, setting["clusters"])
        for d, nu, zeta in zip(delta, excess, weak + strays, strict=True)
    ]
    return arrays["distance"] - factor * np.array(bounds)


def _judge_lemma(arrays, prediction, remainder, alpha):
    del alpha
    gap = partial(_lemma, setting=prediction["setting"], factor=prediction["factor"])
    value, error = with_error(arrays, gap, remainder.delta)
    found = judge_at_most(value - error, value + error, 0.0, error=error)
    return searched(found)


def _judge_mixture(arrays, prediction, remainder, alpha):
    del alpha
    value, error = with_error(
        arrays, lambda a: least_cosine(a, "centre_cosines"), remainder.delta
    )
    return judge_at_most(value - error, value + error, prediction["value"], error=error)


def _judge_above(arrays, prediction, remainder, alpha):
    del alpha
    value, error = with_error(
        arrays, lambda a: least_cosine(a, "centre_cosines"), remainder.delta
    )
    bound = prediction["value"] - remainder.delta
    return judge_at_least(value - error, value + error, bound, error=error)


def _levels(setting: Setting, shift: int = 0, power: float = 0.5):
    own, other = split(setting["clusters"], setting["positive"])
    sides = [
        [(m / (size + shift)) ** power for m in range(1, size + shift + 1)]
        for size in (own, other)
    ]
    return {"levels": sides}


def _judge_levels(arrays, prediction, remainder, alpha):
    """Largest distance of a dominant neuron's cosine to the levels of its class."""
    del alpha

    def worst(a):
        sides = np.argmax(a["class_cosines"], axis=1)
        gaps = np.stack(
            [
                np.abs(a["class_cosines"][:, side, :, None] - np.array(levels)).min(-1)
                for side, levels in enumerate(prediction["levels"])
            ],
            axis=1,
        )
        own = np.take_along_axis(gaps, sides[:, None, :], axis=1)[:, 0]
        largest = np.where(dominant(a), own, 0.0).max(axis=1)
        return np.where(a["finished"], largest, np.nan)

    value, error = with_error(arrays, worst, remainder.delta)
    return judge_at_most(value - error, value + error, remainder.delta, error=error)


def _judge_scaling(arrays, prediction, remainder, alpha):
    if not np.all(np.isfinite(arrays["distance"])):
        low = high = math.nan
    else:
        low, high = exponent_interval(arrays["noise"], arrays["distance"], alpha)
    error = arrays["slope_error"]
    return searched(
        judge_exponent(low - error, high + error, prediction["value"], remainder.delta)
    )


def _claim(name, statement, exponent, predict, remainder, judge, decoys, **more):
    return Claim(
        **{
            "id": name,
            "statement": statement,
            "source": Source("jaxbias", "trained networks, checks 17 to 21"),
            "provenance": "derived",
            "kind": "closed form",
            "quantifier": "every seed run, at the sizes of the setting",
            "conventions": CONVENTIONS,
            "setting": {**SETTING, "exponent": exponent},
            "hypotheses": no_hypotheses,
            "predict": predict,
            "remainder": remainder,
            "evidence": training,
            "judge": judge,
            "decoys": decoys,
            "stochastic": True,
            "study": "foundations",
            "family": f"jaxbias/trained/{'averages' if exponent == 1 else 'centres'}",
            "expected": "holds",
            **more,
        }
    )


def _rank_claim(name: str, exponent: float, statement: str) -> Claim:
    return _claim(
        name,
        statement,
        exponent,
        _ranks,
        relative(0.02, "amplitudes within 2 % and cosines above 0.995", _ranks),
        _judge_ranks,
        (scaled(1.1), Decoy("K_c -> K_c + 1", lambda s, _: _ranks(s, 1)))
        if exponent > 2
        else (scaled(1.1), scaled(0.9)),
    )


def _scaling_claim(name, statement, exponent, value, delta, decoys, seeds) -> Claim:
    return _claim(
        name,
        statement,
        exponent,
        lambda _: {"value": value},
        lambda _: Remainder(delta, "the range that check 19 declares"),
        _judge_scaling,
        decoys,
        kind="exponent",
        setting={**_SCALING, "exponent": exponent},
        quantifier=f"{seeds} seeds or more; one slope each, noise from 0.025 to 0.2",
        evidence=lambda s, size: Computation(
            "scaling/distance",
            {**s, "seeds": {"quick": seeds, "paper": 64}.get(size, 256)},
        ),
        family=None,
        expected="not refuted",
    )


CLAIMS = (
    _rank_claim(
        "jaxbias/trained-averages/stable-rank",
        1.0,
        "At p = 1 the stable ranks of W and of the hidden features are"
        " 1 + sqrt(min(K1, K2)/max(K1, K2)).",
    ),
    _rank_claim(
        "jaxbias/trained-centres/stable-rank",
        3.0,
        "At p = 3 the stable ranks of W and of the hidden features are K.",
    ),
    _claim(
        "jaxbias/trained-centres/lemma-17",
        "The corrected Lemma 17 bounds sup |f - F^(3)| of a trained network by its own"
        " misalignment delta, group sums within nu of 1 and leftover zeta.",
        3.0,
        lambda s: {"setting": s, "factor": 1.0},
        lambda _: Remainder(1e-2, "a twentieth of the bound at delta = 1e-4"),
        _judge_lemma,
        (scaled(1 / 30, "factor"), scaled(1 / 100, "factor")),
        kind="inequality",
        setting={**_SMALL, "exponent": 3.0},
        evidence=lambda s, size: Computation(
            "scaling/lemma",
            {**s, "seeds": {"quick": 16, "paper": 64}.get(size, 256)},
        ),
        family=None,
        expected="not refuted",
    ),
    _claim(
        "jaxbias/trained-quadratic/mixtures",
        "At p = 2 centres do not attract: in every run a dominant neuron ends at a"
        " cosine below 0.95 to its best centre.",
        2.0,
        lambda _: {"value": np.array(0.95)},
        lambda _: Remainder(0.05, "what is left to a neuron at a centre"),
        _judge_mixture,
        (scaled(0.5), scaled(0.55)),
        kind="inequality",
        setting={**_SMALL, "exponent": 2.0},
        family="jaxbias/trained/quadratic",
    ),
    _claim(
        "jaxbias/trained-quadratic/inside-the-class",
        "At p = 2 every dominant neuron stays in the cone of its class: its cosine to"
        " the best centre is at least 1/sqrt(max(K1, K2)), within 0.01.",
        2.0,
        lambda s: {"value": np.array(1 / math.sqrt(max(split(5, s["positive"]))))},
        lambda _: Remainder(0.01, "noise tilts a neuron by at most alpha^2 twice"),
        _judge_above,
        (scaled(1.7), scaled(2.0)),
        kind="inequality",
        setting={**_SMALL, "exponent": 2.0},
        family="jaxbias/trained/quadratic",
    ),
    _claim(
        "jaxbias/quantised-cosines",
        "At noise 0 and p = 1 a neuron that sees m of the K_c centres of its class"
        " turns to their average: its cosine to the class average is sqrt(m/K_c).",
        1.0,
        _levels,
        lambda _: Remainder(1e-3, "what alignment has left at the observed time"),
        _judge_levels,
        (
            Decoy("K_c -> K_c + 1", lambda s, _: _levels(s, 1)),
            Decoy("sqrt(m/K_c) -> m/K_c", lambda s, _: _levels(s, 0, 1.0)),
        ),
        setting=_NOISELESS,
        family="jaxbias/trained/noiseless",
    ),
    _scaling_claim(
        "jaxbias/distance-scaling-averages",
        "At p = 1 the distance of a trained network to F grows like the noise: its"
        " log-log slope lies in [0.9, 1.2].",
        1.0,
        1.05,
        0.15,
        (
            Decoy("another exponent, 3/2", lambda _, p: {"value": 1.5}),
            Decoy("another exponent, 1/2", lambda _, p: {"value": 0.5}),
        ),
        32,
    ),
    _scaling_claim(
        "jaxbias/distance-scaling-centres",
        "At p = 3 the distance of a trained network to F^(3) grows faster than the"
        " noise and no faster than its square: its log-log slope lies in [1, 2] (up to"
        " the best factor).",
        3.0,
        1.5,
        0.5,
        (
            Decoy("another exponent, 3", lambda _, p: {"value": 3.0}),
            Decoy("another exponent, 1/2", lambda _, p: {"value": 0.5}),
        ),
        16,
    ),
    _claim(
        "min-vidal-2025/proposition-1-trained",
        "No classifier has robust error below min(K1, K2)/K at radius sqrt(2)/2: so"
        " it is for trained networks.",
        3.0,
        lambda s: {
            "bound": min(split(s["clusters"], s["positive"])) / s["clusters"],
            "radius": CEILING,
        },
        exact,
        judge_error,
        (
            scaled(0.9, "radius"),
            Decoy("1 - 1/K", lambda s, p: {**p, "bound": 1 - 1 / s["clusters"]}),
        ),
        source=Source("min-vidal-2025", "Proposition 1", "PMLR 267"),
        provenance="seen",
        kind="probability",
        quantifier="for all classifiers; checked on networks trained at p = 1 and 3",
        setting={**SETTING, "exponents": (1.0, 3.0), "exponent": 3.0},
        evidence=lambda s, size: Computation(
            "scaling/fresh_radii",
            {**s, "points": {"quick": 300, "paper": 2000}.get(size, 10000)},
        ),
        family=None,
        expected="not refuted",
    ),
)
