"""Published robust accuracies on the synthetic clusters, against what is possible.

Each claim says of a published curve that it is inconsistent with a closed form, or
with what change of its axis it would be consistent.
"""

from functools import partial

import numpy as np

from jaxbias.theory import readout_radii
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
)
from jaxbias.theory._fresh_samples import proportion
from jaxbias.theory._readout_claims import DIM, STUDY, TIES, changed
from jaxbias.theory._verdict import judge_at_least, judge_at_most, judge_probability

_MODEL = {"clusters": 10, "positive": 5, "dim": DIM, "samples": 1000, "train": 100}
_FIGURE = {
    **_MODEL,
    "curves": ("figure 3, 2-class", "figure 3, 10-class"),
    "radii": ((14.0, 16.0, 18.0), (36.0, 38.0)),
}
# The released attack starts one step later than the axis that the plot gives it.
_STEP = 2.0
_TRAINED = Remainder(
    0.02,
    "accuracies measured on networks trained to this recipe lie between the closed"
    " forms with d and with d/(1 + 1/n_j), give or take 0.015",
)


def _ceiling(setting: Setting, share: float | None = None) -> dict:
    positive, clusters = setting["positive"], setting["clusters"]
    bound = max(positive, clusters - positive) / clusters
    return {"bound": bound if share is None else share}


def _optimum(setting: Setting, shift: float = 0.0, trained: bool = True) -> dict:
    """Exact robust accuracies: of the 2-class network by label, else by class.

    Training on n_j points a cluster leaves noise in the weights, which costs radius.
    """
    dim = setting["dim"] / (1 + trained / setting["train"])
    clusters = setting["clusters"]
    coarse, fine = (np.array(at) + shift for at in setting["radii"])
    first = [readout_radii.averaged_accuracy(r, clusters, dim) for r in coarse]
    second = [readout_radii.survival(r, clusters - 1, dim) for r in fine]
    return {"bound": np.array(first + second)}


def _limits(arrays, alpha) -> tuple[np.ndarray, np.ndarray]:
    ends = [
        proportion(int(c), int(n), alpha)
        for c, n in zip(arrays["count"], arrays["trials"], strict=True)
    ]
    low, high = np.array(ends).T
    return low, high


def _judge_above(arrays, prediction, remainder, alpha):
    del remainder
    count = arrays["count"]
    bound = np.full(count.shape, prediction["bound"])
    return judge_probability(count, count, arrays["trials"], bound, alpha)


def _judge_below(arrays, prediction, remainder, alpha):
    return judge_at_most(*_limits(arrays, alpha), prediction["bound"] - remainder.delta)


def _judge_possible(arrays, prediction, remainder, alpha):
    # A weak attack only ever reports too much: the upper limit has to reach.
    _, high = _limits(arrays, alpha)
    return judge_at_least(
        high, high, prediction["bound"] - remainder.delta, sampled=True
    )


_claim = partial(
    Claim,
    provenance="reported figure",
    conventions=conventions(
        norm="l_2",
        centre_norm="sqrt(d)",
        noise_unit="1 per coordinate",
        tie=TIES["<="],
    ),
    hypotheses=no_hypotheses,
    evidence=lambda setting, _: Computation("reported/accuracies", setting),
    stochastic=True,
    study=STUDY,
)
_CODE = partial(Source, "li-2025-feature-averaging")


def _above_ceiling(
    name: str, statement: str, where: str, curve: str, beyond: tuple[float, ...]
) -> Claim:
    """A published curve keeps more than any classifier can at these radii."""
    return _claim(
        id=name,
        statement=statement,
        source=_CODE(where),
        kind="probability",
        quantifier="three radii beyond sqrt(d/2) = 39.2, 1000 test points",
        setting={**_MODEL, "curves": (curve,), "radii": (beyond,)},
        predict=_ceiling,
        remainder=lambda _: Remainder(0.0, "a bound on a probability: counts decide"),
        judge=_judge_above,
        expected="holds",
        decoys=(
            changed("a ceiling of 0.9", lambda s: _ceiling(s, 0.9)),
            changed("a ceiling of 1", lambda s: _ceiling(s, 1.0)),
        ),
    )


CLAIMS = (
    _above_ceiling(
        "li-2025-feature-averaging/reported-curve-above-ceiling",
        "Inconsistent with the closed form: the released 10-class curve keeps 99.8,"
        " 98.0 and 79.3 % at radii 46, 48 and 50, where no classifier keeps more than"
        " max(k+, k-)/k = 50 %.",
        "released result files, synthetic data, 10-class",
        "released, 10-class",
        (46.0, 48.0, 50.0),
    ),
    _above_ceiling(
        "li-2025-feature-averaging/reported-adversarial-training-above-ceiling",
        "Inconsistent with the closed form: the network trained against radius 40 on"
        " two labels keeps 95.3, 87.6 and 72.4 % at radii 40, 42 and 44, above the 50 %"
        " that any classifier can keep.",
        "released result files, adversarial training at radius 40",
        "adversarial training at 40",
        (40.0, 42.0, 44.0),
    ),
    _claim(
        id="li-2025-feature-averaging/reported-curves-below-optimum",
        statement="Inconsistent with the closed form: as drawn, figure 3 (left) has the"
        " 2-class network at 91.2, 31.3 and 2.4 % at radii 14, 16 and 18 and the"
        " 10-class one at 86.6 and 34.9 % at 36 and 38, below their exact robust"
        " accuracies, under which no attack can take them.",
        source=_CODE("figure 3, left, and released result files"),
        kind="inequality",
        quantifier="five radii, 1000 test points",
        setting=_FIGURE,
        predict=_optimum,
        remainder=lambda _: _TRAINED,
        judge=_judge_below,
        expected="holds",
        decoys=(
            changed("radii + 2", lambda s: _optimum(s, _STEP)),
            changed("radii + 1", lambda s: _optimum(s, _STEP / 2)),
        ),
    ),
    _claim(
        id="jaxbias/reported-curves-shifted-axis",
        statement="Our inference, stated nowhere: with the axis of figure 3 (left)"
        " moved by one step of its grid, 2, the drawn accuracies are at least the exact"
        " ones, as those of an imperfect attack are.",
        source=Source("jaxbias", "the axis of figure 3 of li-2025-feature-averaging"),
        kind="inequality",
        quantifier="five radii, 1000 test points",
        setting=_FIGURE,
        predict=lambda s: _optimum(s, _STEP, False),
        remainder=lambda _: _TRAINED,
        judge=_judge_possible,
        expected="not refuted",
        decoys=(
            changed("radii as drawn", lambda s: _optimum(s, 0.0, False)),
            changed("radii + 1", lambda s: _optimum(s, _STEP / 2, False)),
        ),
        grade="our inference",
    ),
)
