"""Empirical trends on real images, each a claim run to the paper's protocol."""

from dataclasses import replace

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
    scaled,
)
from jaxbias.theory._verdict import Finding, judge_at_least, judge_interval, searched
from jaxbias.theory.statistics import proportion_lower, proportion_upper

_SOURCE = Source("min-vidal-2024", "section 5.2, MNIST; released code")
_SETTING = {
    "exponents": (1.0, 2.0, 3.0, 4.0),
    "width": 500,
    "epochs": 51,
    "batch": 1000,
    "rate": 1e-3,
    "points": 2000,
    # The first half of the paper's fifteen; beyond it next to nothing survives.
    "radii": tuple(float(r) for r in np.linspace(0, 0.2, 15)[:8]),
    "attack_steps": 100,
}


def _order(setting: Setting, order=None):
    return {"order": np.argsort(setting["exponents"]) if order is None else order}


def _judge_accuracy(arrays, prediction, remainder, alpha):
    del alpha
    value = arrays["accuracy"]
    return judge_interval(value, value, prediction["value"], remainder.delta)


def _judge_order(name: str):
    """Among points that only one of two neighbours withstands, who withstands more.

    For each radius and each pair of neighbouring exponents: the share of those points
    that the larger exponent withstands, at least 1/2 where the order is as stated.
    """

    def judge(arrays, prediction, remainder, alpha) -> Finding:
        del remainder
        robust = arrays[name][np.asarray(prediction["order"])]
        cells = (len(robust) - 1) * robust.shape[1]
        shares, lows, highs = [], [], []
        for less, more in zip(robust, robust[1:], strict=False):
            for first, second in zip(less, more, strict=True):
                won, lost = int(np.sum(second & ~first)), int(np.sum(first & ~second))
                if won + lost:
                    level = alpha / (2 * cells)
                    shares.append(won / (won + lost))
                    lows.append(proportion_lower(won, won + lost, level))
                    highs.append(proportion_upper(won, won + lost, level))
        if not shares:
            return searched(judge_at_least([np.nan], [np.nan], 0.5))
        # Only a pair in the wrong order speaks against the trend: a "for all".
        found = searched(judge_at_least(highs, highs, 0.5))
        interval = np.stack([lows, highs], axis=1)
        return replace(found, measured=np.array(shares), interval=interval)

    return judge


def _claim(name, statement, kind, predict, remainder, judge, decoys, expected, what):
    return Claim(
        id=f"min-vidal-2024/{name}",
        statement=statement,
        source=_SOURCE,
        provenance="reported figure",
        kind=kind,
        quantifier="one seed; MNIST, ten classes, the classic pickle's 10,000"
        " validation images as test set, attacks on the first 2,000",
        conventions=conventions(readout="argmax"),
        setting=_SETTING,
        hypotheses=no_hypotheses,
        predict=predict,
        remainder=remainder,
        evidence=lambda s, _: Computation(f"images/{what}", s),
        judge=judge,
        expected=expected,
        decoys=decoys,
        stochastic=True,
        family="min-vidal-2024/mnist",
        study="mnist",
        on_request=True,
    )


_REVERSED = (
    Decoy("the order reversed", lambda s, _: _order(s, (3, 2, 1, 0))),
    Decoy("the first two exchanged", lambda s, _: _order(s, (1, 0, 2, 3))),
)
_COUNTED = lambda _: Remainder(0.0, "an order: counts of points decide")

CLAIMS = (
    _claim(
        "mnist-clean-accuracy",
        "Input-normalised pReLU networks of width 500 reach a clean accuracy of about"
        " 98 % for p = 1, 2, 3 and 4.",
        "closed form",
        lambda _: {"value": np.array(0.98)},
        lambda _: Remainder(0.005, "half a per cent, the reading of the figure"),
        _judge_accuracy,
        (scaled(1.01), scaled(0.98)),
        "holds",
        "accuracy",
    ),
    _claim(
        "mnist-order-paper-attack",
        "Under the paper's attack, APGD on the cross-entropy in l_inf, robust accuracy"
        " rises with p at every radius.",
        "search",
        _order,
        _COUNTED,
        _judge_order("apgd"),
        _REVERSED,
        "not refuted",
        "apgd",
    ),
    _claim(
        "mnist-order-best-attack",
        "Under our best upper bound (the minimum-norm attack and APGD together) robust"
        " accuracy rises with p at every radius.",
        "search",
        _order,
        _COUNTED,
        _judge_order("best"),
        _REVERSED,
        "not refuted",
        "best",
    ),
)
