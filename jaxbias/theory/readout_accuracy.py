"""Claims about robust accuracy of averaged and decoupled networks on fresh samples."""

import math
from functools import partial

import numpy as np

from jaxbias.theory import readout_radii
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Prediction,
    Remainder,
    Setting,
    conventions,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._fresh_samples import judge_error, proportion
from jaxbias.theory._readout_claims import DERIVED, DIM, STUDY, TIES, changed
from jaxbias.theory._verdict import judge_interval, judge_probability

_MODEL = partial(
    conventions,
    norm="l_2",
    tie=TIES["<="],
    centre_norm="sqrt(d)",
    noise_unit="1 per coordinate",
)
_AVERAGED = {
    "network": "averaged",
    "cases": ((5, 5, DIM), (2, 8, DIM), (5, 5, 1024)),
    "offsets": (-1.5, -0.5, 0.0, 0.5, 1.5),
}
_DECOUPLED = {
    "network": "group argmax",
    "cases": ((5, 5, 256), (5, 5, 1024), (5, 5, DIM), (2, 8, DIM)),
    "offsets": (-2.0, -1.0, -0.5, 0.0, 1.0),
}
_CEILING = {
    "networks": ("averaged", "group argmax", "summed logits", "threshold", "mixture"),
    "own": 2,
    "opposite": 4,
    "dim": DIM,
}
_BLIND = {"own": 5, "opposite": 5, "dim": DIM, "radii": (29.0, 35.0, 46.0)}
_MASKED = {
    "own": 5,
    "opposite": 5,
    "dim": DIM,
    "logit": 5.43,
    "radii": (42.0, 46.0, 58.0, 61.0),
}


def _samples(name: str, quick: int):
    def evidence(setting: Setting, size: str) -> Computation:
        count = quick * {"quick": 1, "paper": 5, "full": 20}[size]
        return Computation(f"readout_samples/{name}", {**setting, "samples": count})

    return evidence


def _curve(setting: Setting, middle, accuracy) -> dict:
    """Accuracies at the offsets from the middle of each case."""
    at, value = [], []
    for own, other, dim in setting["cases"]:
        points = [middle(own + other, dim) + shift for shift in setting["offsets"]]
        at.append(points)
        value.append([accuracy(r, own, other, dim) for r in points])
    return {"radii": np.array(at), "value": np.array(value)}


def _averaged(setting: Setting, more: int = 0, factor: float = 1.0) -> dict:
    return _curve(
        setting,
        lambda k, dim: math.sqrt(dim / k),
        lambda r, own, other, dim: readout_radii.averaged_accuracy(
            factor * r, own + other + more, dim
        ),
    )


def _decoupled(setting: Setting, accuracy=readout_radii.decoupled_accuracy) -> dict:
    return _curve(setting, lambda _, dim: math.sqrt(dim / 2), accuracy)


def _one_rival(r: float, own: int, other: int, dim: int) -> float:
    del own, other
    return readout_radii.survival(r, 1, dim)


_noisier = partial(readout_radii.decoupled_accuracy, noise=1.25)


def _judge_curve(arrays, prediction, remainder, alpha):
    lows, highs = [], []
    for low, high, at in zip(
        arrays["lower"], arrays["upper"], prediction["radii"], strict=True
    ):
        for r in at:
            sure, possible = int(np.sum(low > r)), int(np.sum(high > r))
            lows.append(proportion(sure, low.size, alpha)[0])
            highs.append(proportion(possible, low.size, alpha)[1])
    value = np.ravel(prediction["value"])
    return judge_interval(lows, highs, value, remainder.delta)


def _standard_errors(samples: int, reason: str):
    return lambda _: Remainder(
        10 * 0.5 / math.sqrt(samples),
        f"ten standard errors at the quick size; {reason}",
    )


def _ceiling(setting: Setting) -> dict:
    sizes = setting["own"], setting["opposite"]
    return {
        "radius": math.sqrt(setting["dim"]) * readout_radii.HALF_DISTANCE,
        "bound": min(sizes) / sum(sizes),
    }


def _hardly_any(setting: Setting, prediction: Prediction) -> Prediction:
    clusters = setting["own"] + setting["opposite"]
    return {**prediction, "bound": 1 - 1 / clusters}


def _blind(setting: Setting, more: int = 0) -> dict:
    """Shares at each radius, then the exact accuracy at the smallest."""
    active = [math.floor(setting["dim"] / r**2 - 1) for r in setting["radii"]]
    rivals = setting["opposite"] + more
    shares = [readout_radii.blind_share(rivals, m) for m in active]
    return {"value": np.array([*shares, 0.0])}


def _judge_counts(arrays, prediction, remainder, alpha):
    trials = int(arrays["trials"])
    ends = np.array([proportion(int(c), trials, alpha) for c in arrays["count"]])
    return judge_interval(ends[:, 0], ends[:, 1], prediction["value"], remainder.delta)


def _above(setting: Setting, picked: tuple[int, ...] = (0, 1)) -> dict:
    sizes = setting["own"], setting["opposite"]
    return {"bound": max(sizes) / sum(sizes), "picked": picked}


def _judge_above(arrays, prediction, remainder, alpha):
    del remainder
    count = np.asarray(arrays["count"])[list(prediction["picked"])]
    bound = np.full(count.shape, prediction["bound"])
    return judge_probability(count, count, arrays["trials"], bound, alpha)


_claim = partial(
    Claim,
    source=DERIVED,
    provenance="derived",
    hypotheses=no_hypotheses,
    stochastic=True,
    study=STUDY,
)

CLAIMS = (
    _claim(
        id="jaxbias/averaged-robust-accuracy",
        statement="At unit noise the averaged network's radius at a fresh sample is"
        " N(sqrt(d/k), 1): its robust accuracy is Phi(sqrt(d/k) - r) for every split.",
        kind="closed form",
        quantifier="fresh samples, five radii, two splits, d in {1024, 3072}",
        conventions=_MODEL(readout="sign"),
        setting=_AVERAGED,
        predict=_averaged,
        remainder=_standard_errors(
            4000, "the second term of the radius decides on a share below 1e-5"
        ),
        evidence=_samples("radii", 4000),
        judge=_judge_curve,
        expected="holds",
        decoys=(
            changed("k -> k + 1", lambda s: _averaged(s, 1)),
            changed("r -> 1.1 r", lambda s: _averaged(s, factor=1.1)),
            scaled(0.8),
        ),
    ),
    _claim(
        id="jaxbias/decoupled-robust-accuracy",
        statement="At unit noise the decoupled network read out by its largest output"
        " has robust accuracy E_g Phi(sqrt(d) + g - sqrt(2) r)^k_-, g standard normal,"
        " averaged over the classes.",
        kind="closed form",
        quantifier="fresh samples, five radii around sqrt(d/2), d in {256, 1024, 3072}",
        conventions=_MODEL(readout="group argmax"),
        setting=_DECOUPLED,
        predict=_decoupled,
        remainder=_standard_errors(
            4000,
            "own centres that overtake, or scores that are all negative, are beyond 5"
            " deviations at d = 256",
        ),
        evidence=_samples("radii", 4000),
        judge=_judge_curve,
        expected="holds",
        decoys=(
            changed("noise 1 -> 1.25", lambda s: _decoupled(s, _noisier)),
            changed("k_- -> 1", lambda s: _decoupled(s, _one_rival)),
            scaled(0.8),
        ),
    ),
    _claim(
        id="jaxbias/robust-accuracy-ceiling",
        statement="No classifier of the clusters has robust accuracy above"
        " max(k+, k-)/k at radius sqrt(d/2) and beyond, whatever the dimension.",
        kind="probability",
        quantifier="for all classifiers; checked on five explicit ones at sqrt(d/2)",
        conventions=_MODEL(),
        setting=_CEILING,
        predict=_ceiling,
        remainder=lambda _: Remainder(0.0, "a bound on a probability: counts decide"),
        evidence=_samples("family", 400),
        judge=judge_error,
        expected="not refuted",
        decoys=(
            scaled(0.95, "radius"),
            Decoy("accuracy below 1/k", _hardly_any),
        ),
    ),
    _claim(
        id="jaxbias/summed-logits-masked",
        statement="PGD from the clean point sees of the decoupled network with summed"
        " outputs only the opposite units that noise has switched on, m of k_- with"
        " m ~ Bin(k_-, 1/2), and reports sqrt(d/(1+m)): between these its accuracy is"
        " P(m < d/r^2 - 1), where one step to all opposite centres leaves next to"
        " none.",
        kind="closed form",
        quantifier="fresh samples at radii 29, 35, 46, that of the centres being 22.6",
        conventions=_MODEL(readout="summed logits"),
        setting=_BLIND,
        predict=_blind,
        remainder=_standard_errors(
            4000,
            "noise of the scores moves a step of the staircase past these radii"
            " on a share below 0.01",
        ),
        evidence=_samples("blind", 4000),
        judge=_judge_counts,
        expected="holds",
        decoys=(
            changed("k_- -> k_- + 1", lambda s: _blind(s, 1)),
            changed("k_- -> k_- - 1", lambda s: _blind(s, -1)),
        ),
    ),
    _claim(
        id="jaxbias/masked-attack-above-ceiling",
        statement="Seven steps of a quarter of the radius from a random point of the"
        " sphere, on the cluster cross-entropy, leave the decoupled network above"
        " max(k+, k-)/k at radii 42 and 46 beyond sqrt(d/2) = 39.2: the ceiling shows"
        " that the attack failed.",
        kind="probability",
        quantifier="fresh samples, logit 5.43, d = 3072, k = 10",
        conventions=_MODEL(readout="group argmax"),
        setting=_MASKED,
        predict=_above,
        remainder=lambda _: Remainder(0.0, "a bound on a probability: counts decide"),
        evidence=_samples("sphere", 500),
        judge=_judge_above,
        expected="holds",
        decoys=(
            changed("radius 58", lambda s: _above(s, (2,))),
            changed("radius 61", lambda s: _above(s, (3,))),
        ),
    ),
)
