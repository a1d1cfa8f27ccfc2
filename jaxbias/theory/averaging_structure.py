"""Claims about what a neuron holds: its first step, its coefficients, its cosines."""

import math

import numpy as np
from scipy import stats

from jaxbias.theory._averaging_claims import (
    AUTHORS,
    CENTRES,
    claim,
    judge_means,
    mean_ratios,
)
from jaxbias.theory._claim import Decoy, Remainder, Setting, scaled
from jaxbias.theory._readout_claims import changed
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_identity,
    judge_interval,
    searched,
)
from jaxbias.theory.averaging import own_cosine
from jaxbias.theory.averaging_growth import CLUSTERS
from jaxbias.theory.statistics import mean_interval

_FIRST = {"cells": ({"neurons_per_class": 100, "samples_per_cluster": 100},)}
_SMALL = {"cells": ({},), "time": 50}
_QUIET = {
    "cells": ({"clusters": 4, "neurons_per_class": 32, "dim": 256},),
    "times": (50, 1000),
}
_STD = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
_STARTS = {"cells": tuple({**AUTHORS, "init_scale": s} for s in _STD), "times": (100,)}
_MARGIN = {"clusters": (2, 4, 6), "neurons_per_class": (2, 3)}


def _judge_uniform(arrays, prediction, remainder, alpha):
    """Kolmogorov's distance to the law, between its ends by Massart's inequality."""
    shares = np.sort(np.clip(arrays["shares"], 0.0, 1.0) ** prediction["power"])
    shares = shares * prediction["factor"]
    distance = float(stats.kstest(shares, "uniform").statistic)
    slack = math.sqrt(math.log(2 / alpha) / (2 * shares.size))
    return judge_at_most(
        max(distance - slack, 0.0), distance + slack, float(remainder.delta)
    )


def _law(**altered) -> dict:
    return {"power": 1.0, "factor": 1.0, **altered}


def _judge_pair(measured: str, law: str):
    def judge(arrays, prediction, remainder, alpha):
        del remainder, alpha
        target = prediction["value"] * arrays[law]
        scale = float(np.max(np.abs(arrays[law])))
        return judge_identity(arrays[measured], 1e-9 * scale, target)

    return judge


def _judge_below(arrays, prediction, remainder, alpha):
    """The mean of cross terms over seeds, in their unit, between two bounds."""
    del remainder
    low, high = mean_interval(arrays["cross"].mean(axis=1), alpha)
    return judge_interval(low, high, prediction["middle"], prediction["width"])


def _judge_support(arrays, prediction, remainder, alpha):
    """Learned exactly where on at the start: the share of pairs where that is so."""
    del remainder, alpha
    on, learned = arrays["on"], arrays["learned"]
    wanted = {"on": on, "all": np.ones_like(on), "off": ~on}[prediction["learned"]]
    agree = float(np.mean(learned == wanted))
    return judge_at_least(agree, agree, 1.0, sampled=True)


def _judge_frozen(arrays, prediction, remainder, alpha):
    """Drifts over the largest own coefficient."""
    del remainder, alpha
    drifts = np.append(arrays["apart"], arrays["others"]) / arrays["coefficient"]
    pushed = arrays["pushed"] / arrays["coefficient"]
    worst = float(drifts.max()) + prediction["moved"] * pushed
    return judge_at_most(worst, worst, prediction["value"], sampled=True)


def _judge_cosine(arrays, prediction, remainder, alpha):
    """Mean own cosine over the formula with the measured constant of each seed."""
    dim, per = 1024, 40
    law = np.array(
        [
            [
                own_cosine(
                    cell["clusters"] // 2 + prediction["more"],
                    cell["clusters"] // 2,
                    dim,
                    per if prediction["noisy"] else math.inf,
                    prediction["factor"] * float(constant),
                )
                for constant in row
            ]
            for cell, row in zip(CLUSTERS["cells"], arrays["other"], strict=True)
        ]
    )
    return mean_ratios(arrays["cosine"], law, remainder.delta, alpha)


def _cosine(_: Setting, **altered) -> dict:
    return {"more": 0, "noisy": True, "factor": 1.0, **altered}


def _judge_constant(arrays, prediction, remainder, alpha):
    del remainder
    level = alpha / len(arrays["other"])
    low, high = np.array([mean_interval(row, level) for row in arrays["other"]]).T
    return judge_interval(low, high, prediction["middle"], prediction["width"])


def _judge_starts(arrays, prediction, remainder, alpha):
    """Mean own cosines against the law or, for a decoy, without the start."""
    measured = arrays["cosine"] - arrays[prediction["law"]] * prediction["factor"]
    return judge_means(measured, 0.0, remainder.delta, alpha)


def _least(setting: Setting, more: int = 0, decoupled: bool = False) -> dict:
    """``m k/d`` with d = k, the cost of one neuron a centre being m times that."""
    cases = [(k, m) for k in setting["clusters"] for m in setting["neurons_per_class"]]
    value = [float((m + more) * (m if decoupled else 1)) for _, m in cases]
    return {"value": np.array(value)}


def _judge_least(arrays, prediction, remainder, alpha):
    del alpha
    value = arrays["least"]
    finding = judge_interval(value, value, prediction["value"], remainder.delta)
    return searched(finding)


CLAIMS = (
    claim(
        "first-step-uniform",
        "The first step gives every neuron, at every cluster, s y_j (eta a d/2k) U with"
        " U uniform on [0, 1]: of n_j samples the number it is on at is uniform on"
        " {0, ..., n_j}.",
        "averaging/first_step",
        _FIRST,
        predict=lambda _: _law(),
        remainder=lambda _: Remainder(
            0.04,
            "1/(n_j + 1) for the steps of the discrete law, and twice the half-length"
            " of the band at 25,600 pairs; neurons of a seed share their samples",
        ),
        judge=_judge_uniform,
        quantifier="Kolmogorov's distance over neurons, clusters and 16 seeds",
        decoys=(
            Decoy("U^2", lambda *_: _law(power=0.5)),
            Decoy("half as large", lambda *_: _law(factor=2.0)),
        ),
    ),
    claim(
        "weight-decomposition",
        "<w_r - w_r(0), mu_j> = lambda_rj + sum_i sigma_ri <xi_i, mu_j>/|xi_i|^2,"
        " exactly, for descent, with lambda and sigma from the dual coefficients.",
        "averaging/decomposition",
        _SMALL,
        runs="small",
        seeds=24,
        predict=lambda _: {"value": 1.0},
        remainder=lambda _: Remainder(0.0, "an identity: rounding only"),
        judge=_judge_pair("projected", "summed"),
        kind="identity",
        quantifier="every neuron and cluster, 24 seeds; weights of one run, dual"
        " coefficients of another and by least squares",
        decoys=(scaled(1.01), scaled(0.99)),
    ),
    claim(
        "bias-decomposition",
        "The biases that descent learns are sum_j lambda_rj/|mu_j|^2: a class share of"
        " k_s/d of its coefficient, too small for a threshold.",
        "averaging/decomposition",
        _SMALL,
        runs="small",
        seeds=24,
        predict=lambda _: {"value": 1.0},
        remainder=lambda _: Remainder(0.0, "an identity: rounding only"),
        judge=_judge_pair("bias", "biases"),
        kind="identity",
        quantifier="every neuron, 24 seeds",
        decoys=(scaled(1.01), scaled(0.99)),
    ),
    claim(
        "coefficient-above-product",
        "The noise part lowers <w_r, mu_j> below lambda_rj, by a tenth to two times"
        " lambda sqrt(k_s/(n_j d)) in the mean: samples whose noise points along their"
        " centre have the larger margin, so descent weighs them less.",
        "averaging/decomposition",
        _SMALL,
        runs="small",
        seeds=24,
        predict=lambda _: {"middle": -1.05, "width": 0.95},
        remainder=lambda _: Remainder(0.95, "a range"),
        judge=_judge_below,
        kind="inequality",
        quantifier="mean over 24 seeds, the small configuration at T = 50",
        decoys=(
            Decoy("five times as much", lambda *_: {"middle": -5.25, "width": 0.95}),
            Decoy("above it", lambda *_: {"middle": 1.05, "width": 0.95}),
        ),
    ),
    claim(
        "no-averaging-without-noise",
        "At noise 0 and without biases a neuron learns exactly the own centres that it"
        " is on at at the start, half of them: it is noise in the samples that makes"
        " descent average.",
        "averaging/without_noise",
        _QUIET,
        runs="quiet",
        seeds=4,
        predict=lambda _: {"learned": "on"},
        remainder=lambda _: Remainder(0.0, "all or nothing"),
        judge=_judge_support,
        kind="identity",
        expected="not refuted",
        quantifier="every neuron and own cluster of 4 seeds, 1000 steps",
        decoys=(
            Decoy("all of them", lambda *_: {"learned": "all"}),
            Decoy("those it is off at", lambda *_: {"learned": "off"}),
        ),
    ),
    claim(
        "frozen-differences",
        "There differences of neurons of one class and one pattern, and coefficients of"
        " the other class, keep their value of the first step.",
        "averaging/without_noise",
        _QUIET,
        runs="quiet",
        seeds=4,
        predict=lambda _: {"value": 1e-12, "moved": 0.0},
        remainder=lambda _: Remainder(0.0, "rounding over 1000 steps, in float64"),
        judge=_judge_frozen,
        kind="identity",
        expected="not refuted",
        quantifier="all pairs of neurons of 4 seeds, relative to the own coefficients",
        decoys=(
            Decoy("off by the first step", lambda s, p: {**p, "moved": 1.0}),
            Decoy("off by its tenth", lambda s, p: {**p, "moved": 0.1}),
        ),
    ),
    claim(
        "own-cosines",
        "The mean cosine of a trained neuron to its own centres is [k_s(1+1/n_j) +"
        " k_-s C^2 k_s/d]^(-1/2), with C that of the other class's coefficients.",
        "averaging/growth",
        CLUSTERS,
        runs="clusters",
        seeds=24,
        predict=_cosine,
        remainder=lambda _: Remainder(
            0.005,
            "the spread of own coefficients, half its square: (8 %)^2/2, and noise of"
            " the products",
        ),
        judge=_judge_cosine,
        quantifier="k in {2, 4, 8, 16, 32}, 24 seeds, neurons that come on",
        decoys=(
            Decoy("1/sqrt(k_s + 1)", lambda s, _: _cosine(s, more=1)),
            Decoy("without 1 + 1/n_j", lambda s, _: _cosine(s, noisy=False)),
        ),
    ),
    claim(
        "other-class-constant",
        "Samples of the other class keep a neuron slightly on until its coefficient is"
        " -C lambda sqrt(k_s/d), C of order one.",
        "averaging/growth",
        CLUSTERS,
        runs="clusters",
        seeds=24,
        predict=lambda _: {"middle": 1.3, "width": 0.6},
        remainder=lambda _: Remainder(0.6, "a range; the form is derived, C is not"),
        judge=_judge_constant,
        kind="inequality",
        quantifier="C in [.7, 1.9] in the mean over 24 seeds, k in {2, ..., 32}",
        decoys=(
            Decoy("frozen at 0", lambda *_: {"middle": 0.0, "width": 0.5}),
            Decoy("C of order 3", lambda *_: {"middle": 3.0, "width": 0.5}),
        ),
    ),
    claim(
        "cosines-from-larger-starts",
        "A start of entries N(0, s^2) enters the cosines as s^2 d^2 beside"
        " sum_j lambda_j^2 (1 + 1/n_j) alone: from 1e-6 to 1e-4 they look the same, at"
        " 1e-3 they fall to .26, at 1e-2 to .03.",
        "averaging/starts",
        _STARTS,
        predict=lambda _: {"law": "formula", "factor": 1.0},
        remainder=lambda _: Remainder(
            0.01,
            "products of the start with centres, 1/sqrt(d) = .018 a pair and averaged"
            " over 50 pairs and 16 seeds; the length of the interval",
        ),
        judge=_judge_starts,
        quantifier="the paper's size in the authors' scaling, mean over 16 seeds",
        decoys=(
            Decoy("without the start", lambda s, p: {**p, "law": "bare"}),
            Decoy("cosines x 1.1", lambda s, p: {**p, "factor": 1.1}),
        ),
    ),
    claim(
        "averaging-is-max-margin",
        "Among networks with a frozen readout +-1/m and margin 1 at orthogonal centres"
        " the least squared norm is m k/d, that of the averaged one; one neuron a"
        " centre costs m times more.",
        "least_norm/averaged",
        {**_MARGIN, "draws": 12},
        seeds=1,
        predict=_least,
        remainder=lambda _: Remainder(1e-3, "tolerances of SLSQP"),
        judge=_judge_least,
        kind="search",
        expected="not refuted",
        quantifier="k in {2, 4, 6} = d, m in {2, 3}, 12 starts each",
        stochastic=False,
        decoys=(
            changed("(m + 1) k/d", lambda s: _least(s, more=1)),
            changed("m^2 k/d, decoupled", lambda s: _least(s, decoupled=True)),
        ),
        stated=lambda: CENTRES(output_layer="frozen, +-1/m"),
    ),
)
