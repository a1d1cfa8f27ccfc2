"""Claims about radii and robust accuracies of networks that descent has trained."""

import math
from functools import partial

import numpy as np

from jaxbias.theory import readout_radii as radii
from jaxbias.theory._averaging_claims import PAPER, PAPER_TEN, TEN, claim, mean_ratios
from jaxbias.theory._claim import Decoy, Remainder, Setting, Source, conventions
from jaxbias.theory._fresh_samples import proportion
from jaxbias.theory._readout_claims import TIES
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_exponent,
    judge_interval,
)
from jaxbias.theory.averaging import shrinkage
from jaxbias.theory.statistics import exponent_interval, mean_interval

_PER = 40
_MODEL = partial(
    conventions,
    norm="l_2",
    tie=TIES["<="],
    centre_norm="sqrt(d)",
    noise_unit="1 per coordinate",
)
_claim = partial(claim, stated=_MODEL)
_CLUSTERS = {
    "cells": tuple({"clusters": k, "readout": "sign"} for k in (2, 4, 8, 16, 32)),
    # More neurons a class, so that hardly any class has one that never starts.
    "common": {"neurons_per_class": 8},
    "time": 200,
}
_SPLITS = {
    "cells": tuple(
        {"clusters": 8, "positive": own, "readout": "sign"} for own in (2, 4, 6)
    ),
    "common": {"neurons_per_class": 8},
    "time": 200,
}
_DIMS = (256, 1024, 3072)
_CLASSES = {
    "cells": tuple(
        {**TEN, "dim": dim, "readout": name} for name in ("max", "sum") for dim in _DIMS
    ),
    "time": 100,
}
_BINARY = {
    "cell": {**PAPER, "readout": "sign"},
    "time": 100,
    "points": 1000,
    "radii": (15.0, 16.0, 17.0, 18.0, 19.0, 20.0),
}
_ARGMAX = {
    "cell": {**PAPER_TEN, "readout": "max"},
    "time": 100,
    "points": 250,
    "radii": (36.0, 37.0, 38.0, 39.0, 40.0),
}
_DIRECTIONS = {
    "cell": {**PAPER, "readout": "sign"},
    "time": 100,
    "points": 1000,
    "radii": (21.0, 28.5),
}


def _middle(arrays) -> np.ndarray:
    """Radii (cell, seed), mean over classes, where both ends are within 1e-5."""
    lower, upper = arrays["lower"].mean(axis=2), arrays["upper"].mean(axis=2)
    return np.where(upper - lower <= 1e-5 * upper, upper, np.nan)


def _averaged(_: Setting, **altered) -> dict:
    return {"more": 0, "noisy": True, **altered}


def _judge_averaged(arrays, prediction, remainder, alpha):
    law = [
        radii.averaged(k // 2, k // 2 + prediction["more"])
        * (shrinkage(_PER) if prediction["noisy"] else 1.0)
        for k in (cell["clusters"] for cell in _CLUSTERS["cells"])
    ]
    return mean_ratios(_middle(arrays), np.array(law)[:, None], remainder.delta, alpha)


def _judge_slope(arrays, prediction, remainder, alpha):
    counts = np.array([cell["clusters"] for cell in _CLUSTERS["cells"]], float)
    ends = exponent_interval(counts, _middle(arrays).T, alpha)
    return judge_exponent(*ends, prediction["exponent"], float(remainder.delta))


def _judge_splits(arrays, prediction, remainder, alpha):
    """Means of both classes over the formula at every split."""
    law = radii.averaged(4, 4 + prediction["more"]) * shrinkage(_PER)
    sides = np.moveaxis(arrays["upper"], 2, 1).reshape(-1, arrays["upper"].shape[1])
    return mean_ratios(sides, np.array([[law]]), remainder.delta, alpha)


def _judge_minority(arrays, prediction, remainder, alpha):
    """Smaller over larger class at the two uneven splits, at least the factor."""
    del remainder
    first, last = arrays["upper"][0], arrays["upper"][-1]
    ratio = np.stack([first[:, 0] / first[:, 1], last[:, 1] / last[:, 0]])
    ratio = ratio ** prediction["sense"]
    low, high = np.array([mean_interval(row, alpha / 2) for row in ratio]).T
    return judge_at_least(low, high, prediction["value"])


def _judge_max(arrays, prediction, remainder, alpha):
    law = prediction["value"] * shrinkage(prediction["per"])
    values = _middle(arrays)[: len(_DIMS)]
    return mean_ratios(values, np.array([[law]]), remainder.delta, alpha)


def _judge_sum(arrays, prediction, remainder, alpha):
    """Every radius between the ideal one and a quarter above it, in logarithms."""
    del remainder, alpha
    value = np.log(_middle(arrays)[len(_DIMS) :] / prediction["value"]).ravel()
    return judge_interval(value, value, math.log(1.25) / 2, math.log(1.25) / 2)


def _judge_gain(arrays, prediction, remainder, alpha):
    """The largest output over summed outputs, or over the averaged formula."""
    most = _middle(arrays)
    law = prediction["value"] * np.ones_like(most[: len(_DIMS)])
    return mean_ratios(
        most[: len(_DIMS)] / (radii.averaged(5, 5) * shrinkage(100)),
        law,
        remainder.delta,
        alpha,
    )


def _judge_curve(arrays, prediction, remainder, alpha):
    total, count = int(arrays["trials"]), len(prediction["value"])
    level = alpha / count
    low = [proportion(int(c), total, level)[0] for c in arrays["kept"]]
    high = [proportion(int(c), total, level)[1] for c in arrays["open"]]
    return judge_interval(low, high, prediction["value"], remainder.delta)


def _binary_curve(setting: Setting, more: int = 0, shift: float = 0.0) -> dict:
    dim = setting["cell"]["dim"] * shrinkage(100) ** 2
    value = [
        radii.averaged_accuracy(r + shift, 10 + more, dim) for r in setting["radii"]
    ]
    return {"value": np.array(value)}


def _argmax_curve(setting: Setting, opposite: int = 5, per: float = 100) -> dict:
    dim = setting["cell"]["dim"] * shrinkage(per) ** 2
    value = [
        radii.decoupled_accuracy(r, opposite, opposite, dim) for r in setting["radii"]
    ]
    return {"value": np.array(value)}


def _judge_directions(arrays, prediction, remainder, alpha):
    """Accuracies after fixed steps at most, and clean accuracy at least, a level."""
    del remainder
    total, level = int(arrays["trials"]), alpha / 3
    wrong = total - int(arrays["right"])
    counts = [
        int(arrays["both"][prediction["both"]]),
        int(arrays["left"][prediction["own"]]),
        wrong,
    ]
    low, high = np.array([proportion(count, total, level) for count in counts]).T
    return judge_at_most(low, high, prediction["value"])


CLAIMS = (
    _claim(
        "trained-averaged-radius",
        "The trained network's radius at the centres is sqrt(d/k)/sqrt(1 + 1/n_j): what"
        " the averaged features allow, less the noise left in them.",
        "trained_readouts/centres",
        _CLUSTERS,
        runs="clusters",
        predict=_averaged,
        remainder=lambda _: Remainder(
            0.01, "coefficients of the other class, of relative size C^2 k_s/(2d) < 1 %"
        ),
        judge=_judge_averaged,
        quantifier="exact radii, k in {2, 4, 8, 16, 32}; mean over centres, 16 seeds",
        decoys=(
            Decoy("k -> k + 1", lambda s, _: _averaged(s, more=1)),
            Decoy("without 1 + 1/n_j", lambda s, _: _averaged(s, noisy=False)),
        ),
    ),
    _claim(
        "trained-averaged-slope",
        "The log-log slope of that radius in k is -1/2 within .01.",
        "trained_readouts/centres",
        _CLUSTERS,
        runs="clusters",
        predict=lambda _: {"exponent": -0.5},
        remainder=lambda _: Remainder(0.01, "1 % over a factor of 16 in k, and seeds"),
        judge=_judge_slope,
        kind="exponent",
        decoys=(
            Decoy("-.45", lambda *_: {"exponent": -0.45}),
            Decoy("-.55", lambda *_: {"exponent": -0.55}),
        ),
    ),
    _claim(
        "trained-radius-of-uneven-classes",
        "At every split of 8 clusters the radius at centres of either class is within"
        " 4 % of sqrt(d/k)/sqrt(1 + 1/n_j).",
        "trained_readouts/centres",
        _SPLITS,
        runs="splits",
        seeds=32,
        predict=lambda _: {"more": 0},
        remainder=lambda _: Remainder(
            0.04,
            "coefficients of the other class raise a class's scores by 1 + C"
            " sqrt(k_-s/d): about (C/2)(sqrt 6 - sqrt 2)/32 = 2 %, and the interval",
        ),
        judge=_judge_splits,
        quantifier="splits 2, 4, 6 of 8; mean over centres and 32 seeds",
        decoys=(
            Decoy("k -> k + 2", lambda *_: {"more": 2}),
            Decoy("k -> k - 2", lambda *_: {"more": -2}),
        ),
    ),
    _claim(
        "trained-radius-favours-smaller-class",
        "Independent of the split it is not, after training: with two clusters against"
        " six the smaller class's radius is about 2 % larger, since coefficients of"
        " the other class grow with sqrt(k_-s/d).",
        "trained_readouts/centres",
        _SPLITS,
        runs="splits",
        seeds=32,
        predict=lambda _: {"sense": 1.0, "value": 1.005},
        remainder=lambda _: Remainder(0.0, "a bound"),
        judge=_judge_minority,
        kind="inequality",
        quantifier="both uneven splits, at least .5 % in the mean over 32 seeds",
        decoys=(
            Decoy("the larger class's", lambda s, p: {**p, "sense": -1.0}),
            Decoy("by 10 %", lambda s, p: {**p, "value": 1.1}),
        ),
    ),
    _claim(
        "trained-largest-output-radius",
        "Trained on ten cluster labels and read out by the largest output, a network's"
        " radius at its centres is sqrt(d/2)/sqrt(1 + 1/n_j), whatever d is.",
        "trained_readouts/centres",
        _CLASSES,
        runs="classes",
        seeds=8,
        predict=lambda _: {"value": radii.HALF_DISTANCE, "per": 100},
        remainder=lambda _: Remainder(
            0.02, "coefficients of other clusters, and the length of the interval"
        ),
        judge=_judge_max,
        quantifier="exact radii, d in {256, 1024, 3072}, mean over centres and 8 seeds",
        decoys=(
            Decoy("sqrt(d/2) at n_j = 10", lambda s, p: {**p, "per": 10}),
            Decoy("sqrt(d/k)", lambda s, p: {**p, "value": radii.averaged(5, 5)}),
        ),
    ),
    _claim(
        "trained-summed-outputs-radius",
        "Read out by summed outputs the same network has a radius between"
        " sqrt(d/(1+k_-)) and 1.25 times that, never below: small negative coefficients"
        " act as thresholds.",
        "trained_readouts/centres",
        _CLASSES,
        runs="classes",
        seeds=8,
        predict=lambda _: {"value": radii.decoupled_sum(5)},
        remainder=lambda _: Remainder(math.log(1.25) / 2, "a range, in logarithms"),
        judge=_judge_sum,
        kind="inequality",
        quantifier="d in {256, 1024, 3072}, each of 8 seeds, mean over centres",
        decoys=(
            Decoy("sqrt(d/2)", lambda *_: {"value": radii.HALF_DISTANCE}),
            Decoy("sqrt(d/k)", lambda *_: {"value": radii.averaged(5, 5)}),
        ),
    ),
    _claim(
        "fine-over-coarse-radius",
        "Cluster labels read out by the largest output have sqrt(k/2) times the radius"
        " of class labels: 2.24 at k = 10.",
        "trained_readouts/centres",
        _CLASSES,
        runs="classes",
        seeds=8,
        predict=lambda _: {"value": math.sqrt(5.0)},
        remainder=lambda _: Remainder(0.02, "both within 1 %"),
        judge=_judge_gain,
        decoys=(
            Decoy("sqrt 2", lambda *_: {"value": math.sqrt(2.0)}),
            Decoy("sqrt(10)", lambda *_: {"value": math.sqrt(10.0)}),
        ),
    ),
    _claim(
        "trained-averaged-accuracy",
        "Robust accuracy of the trained network of the paper's size, from exact radii,"
        " is Phi(sqrt(d/k)/sqrt(1 + 1/n_j) - eps).",
        "trained_readouts/curves",
        _BINARY,
        predict=_binary_curve,
        remainder=lambda _: Remainder(
            0.05, "the length of the interval at 16,000 points; means of seeds, .01"
        ),
        judge=_judge_curve,
        kind="probability",
        quantifier="eps in {15, ..., 20}, 1000 fresh points of each of 16 seeds",
        decoys=(
            Decoy("k -> k + 1", lambda s, _: _binary_curve(s, more=1)),
            Decoy("eps + 1/2", lambda s, _: _binary_curve(s, shift=0.5)),
        ),
    ),
    _claim(
        "trained-largest-output-accuracy",
        "Robust accuracy of the network of ten labels read out by the largest output is"
        " E Phi(sqrt(d)/sqrt(1 + 1/n_j) + g - sqrt2 eps)^(k_-).",
        "trained_readouts/curves",
        _ARGMAX,
        seeds=8,
        predict=_argmax_curve,
        remainder=lambda _: Remainder(
            0.12, "the length of the interval at 2,000 points"
        ),
        judge=_judge_curve,
        kind="probability",
        quantifier="eps in {36, ..., 40}, 250 fresh points of each of 8 seeds",
        decoys=(
            Decoy("one rival", lambda s, _: _argmax_curve(s, opposite=1)),
            Decoy("n_j = 25", lambda s, _: _argmax_curve(s, per=25)),
        ),
    ),
    _claim(
        "averaged-features-break-all-points",
        "One direction for each class breaks nearly every fresh point of the trained"
        " network: the difference of the two averaged features at 1.2 sqrt(d/k), the"
        " own averaged feature alone at 1.15 sqrt(d/k_s); without a step nearly all are"
        " right.",
        "trained_readouts/directions",
        _DIRECTIONS,
        seeds=8,
        predict=lambda _: {"both": 0, "own": 1, "value": 0.01},
        remainder=lambda _: Remainder(0.0, "Phi(-3.4) and Phi(-5.2) below a hundredth"),
        judge=_judge_directions,
        kind="probability",
        source=Source("li-2025-feature-averaging", "abstract"),
        quantifier="1000 fresh points of each of 8 seeds, at the paper's size",
        decoys=(
            Decoy(
                "the own feature at 1.2 sqrt(d/k)",
                lambda s, p: {**p, "own": 0},
            ),
            Decoy("not one point", lambda s, p: {**p, "value": 1e-5}),
        ),
    ),
)
