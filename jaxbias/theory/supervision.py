"""Empirical trends of labels on real images, each run to a protocol fixed beforehand.

Networks given all classes against networks given two labels, on the same images. The
closed forms behind the trends, sqrt(d/k) for averaging and sqrt(d/2) or
sqrt(d/(1 + k_-)) for decoupling, are of orthogonal clusters, which digits are not: of
them only the order is claimed.
"""

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
)
from jaxbias.theory._verdict import judge_at_least

_CLASSES = 10
#: Fields of ``jaxbias.studies._supervised.Supervision``.
PROTOCOL = {
    "data": "digits",
    "tasks": ("parity", "halves"),
    "width": 100,
    "epochs": 60,
    "batch": 100,
    "points": 100,
    "largest": 1.2,
    "budgets": 13,
    "steps": 7,
}
_SEEDS = {"quick": 3, "paper": 8, "full": 16}
_ENDS = {
    "upper": "witnessed (the weaker of the papers' attack and a minimum-norm attack)",
    "certified": "certified",
}
_TASKS = {"parity": "even against odd", "halves": "the first five against the last"}


def _evidence(setting: Setting, size: str) -> Computation:
    parameters = {**setting, "seeds": _SEEDS[size]}
    return Computation("images/supervision", parameters)


def _judge(task: str, ends: tuple[str, ...]):
    """The ratio of the median radii, for every seed and end: the least one decides."""

    def judge(arrays, prediction, remainder, alpha):
        del remainder, alpha
        more, less = prediction["more"], prediction["less"]
        ratio = np.concatenate(
            [
                arrays[f"{task} {more} {end}"] / arrays[f"{task} {less} {end}"]
                for end in ends
            ]
        )
        return judge_at_least(ratio, ratio, prediction["value"], sampled=True)

    return judge


def _claim(task: str, ends: tuple[str, ...], more: str, less: str, decoy: Decoy):
    if less == "class":
        name, words = f"max-{ends[0]}", "trained on two labels"
    else:
        name, words = "max-over-sum", "read out by the sums of the outputs"
    radius = " and the ".join(f"median {_ENDS[end]} radius" for end in ends)
    return Claim(
        id=f"jaxbias/digits-{task}-{name}",
        statement="Trained on ten classes and read out by the largest output, ReLU"
        f" networks tell digits, {_TASKS[task]}, with a larger {radius} than {words}.",
        source=Source(
            "li-2025-feature-averaging",
            "figure 3 and released results on MNIST and CIFAR-10, there by PGD",
        ),
        provenance="reported figure",
        kind="search",
        quantifier="every seed; scikit-learn's 8 x 8 digits, another data set and other"
        " networks than the paper's; the same test images for all, ten of each digit",
        conventions=conventions(norm="l_2", tie="y f <= 0 is an error"),
        setting=PROTOCOL,
        hypotheses=no_hypotheses,
        predict=lambda _: {"more": more, "less": less, "value": 1.0},
        remainder=lambda _: Remainder(
            0.0, "an order: the least ratio of a seed decides"
        ),
        evidence=_evidence,
        judge=_judge(task, ends),
        expected="not refuted",
        decoys=(
            Decoy("the order reversed", lambda _, p: {**p, "more": less, "less": more}),
            decoy,
        ),
        stochastic=True,
        family="jaxbias/digits-supervision",
        study="feature_averaging",
        on_request=True,
    )


def _by(name: str, ratio: float) -> Decoy:
    return Decoy(name, lambda _, p: {**p, "value": ratio})


# Of the closed forms of orthogonal clusters: max over averaging, and max over sum.
_OVER_AVERAGE = _by("by sqrt(k/2), as orthogonal clusters", math.sqrt(_CLASSES / 2))
_OVER_SUM = _by("by sqrt((1 + k_-)/2), as orthogonal clusters", math.sqrt(3))

CLAIMS = (
    *(
        _claim(task, (end,), "max", "class", _OVER_AVERAGE)
        for task in _TASKS
        for end in _ENDS
    ),
    *(_claim(task, tuple(_ENDS), "max", "sum", _OVER_SUM) for task in _TASKS),
)
