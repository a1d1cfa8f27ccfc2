"""The late phase under exponential loss: margins grow, and their limits are critical.

The loss is ``L = sum_i e^(-q_i)`` with margins ``q_i = y_i f(x_i)``. Every network here
is 2-homogeneous in all its weights theta.
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
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_least, judge_at_most, judge_identity

_CONVENTIONS = conventions(loss_scale="exp(-y f)", output_layer="trained, balanced")
#: Of the seeds of all claims on these trajectories.
EDITION = 4
SETTING = {
    # Exponent, data, training rows.
    "cases": (
        (1.0, "separable", 6),
        (3.0, "clusters", 6),
        (1.0, "centres", 6),
        (3.0, "centres", 6),
    ),
    "dim": 10,
    "width": 10,
    "scale": 0.3,
    "noise": 0.1,
    "steps": 18,
    "saves": 12,
    "arc": 3.0,
}
_QUANTIFIER = (
    "every trajectory; sampled: p = 1 and 3, separable rows, clusters, exact centres"
)


def slackness_bound(
    samples, size: np.ndarray, least: np.ndarray, factor: float = 1.0
) -> np.ndarray:
    """``(n - 1) |theta|^2 / (2 e q_min^2)``: how far multipliers are from slackness.

    With ``lambda_i = |theta| e^(-q_i)/|grad L|`` the sum ``sum_i lambda_i
    (q_i/q_min - 1)`` is at most this, by ``|grad L| >= 2 sum_i e^(-q_i) q_i/|theta|``
    and ``x e^(-x) <= 1/e``.

    Args:
        samples: n.
        size: ``|theta|^2``.
        least: ``q_min > 0``.
        factor: multiplies the bound.
    """
    return factor * (samples - 1) * size / (2 * math.e * least**2)


def trajectories(
    setting: Setting, size: str, name: str = "margins/flow"
) -> Computation:
    """Networks trained on every case of the setting."""
    return Computation(
        name, {**setting, "runs": {"quick": 4, "paper": 24}.get(size, 96)}
    )


def _spans(arrays) -> np.ndarray:
    """Where the loss is below 1 at both ends, (case, save - 1, run)."""
    return arrays["late"][:, 1:] & arrays["late"][:, :-1]


def _judge_growth(arrays, prediction, remainder, alpha):
    del remainder, alpha
    late, half = _spans(arrays), prediction["power"] / 2
    gain = (arrays["deeper"] - half * arrays["wider"])[late]
    error = (arrays["error_deeper"] + half * arrays["error_wider"])[late]
    return judge_at_least(gain - error, gain + error, 0.0, sampled=True, error=error)


def _judge_turn(arrays, prediction, remainder, alpha):
    del remainder, alpha
    late, factor = _spans(arrays), prediction["factor"]
    excess = factor * arrays["turned"] - arrays["deeper"] + arrays["wider"]
    error = factor * arrays["error_turned"]
    error = (error + arrays["error_deeper"] + arrays["error_wider"])[late]
    value = excess[late]
    return judge_at_most(value - error, value + error, 0.0, sampled=True, error=error)


def softmin(margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``log(1/L)`` and the entropy of the weights ``e^(-q_i)/L`` over the last axis."""
    least = margins.min(axis=-1)
    shares = np.exp(least[..., None] - margins)
    total = shares.sum(axis=-1)
    depth = least - np.log(total)
    return depth, (shares * margins).sum(axis=-1) / total - depth


def _judge_size(arrays, prediction, remainder, alpha):
    """In the clock of time times L: the sum over e^(-q_i) q_i, divided by L."""
    del remainder, alpha
    depth, entropy = softmin(arrays["margins"])
    value = prediction["factor"] * (depth + entropy)
    return judge_identity(arrays["size_rate"], arrays["size_error"], value)


def _judge_margin(arrays, prediction, remainder, alpha):
    del remainder, alpha
    depth, entropy = softmin(arrays["margins"])
    growth = 4 * (depth + entropy) / arrays["size"]
    turned = 1 + prediction["turn"] * arrays["tangent"]
    value = ((1 + prediction["entropy"] * entropy / depth) * turned - 1) * growth
    return judge_identity(arrays["margin_rate"], arrays["margin_error"], value)


def _judge_conditions(arrays, prediction, remainder, alpha):
    """Both residuals over their bounds, at every network saved with L < 1."""
    del remainder, alpha
    late, size, least = arrays["late"], arrays["size"], arrays["least"]
    turn = prediction["turn"] * arrays["tangent"] * size / least
    slack = slackness_bound(
        arrays["samples"][:, None, None], size, least, prediction["slack"]
    )
    shares = [
        (arrays["stationarity"] / turn)[late],
        (arrays["slackness"] / slack)[late],
    ]
    value = np.concatenate(shares)
    return judge_at_most(value, value, 1.0, sampled=True)


def _hypotheses(setting: Setting):
    return (requires("p >= 1", min(case[0] for case in setting["cases"]) - 1),)


def _claim(name, statement, place, predict, judge, decoys, **more) -> Claim:
    return Claim(
        **{
            "id": f"lyu-li-2020/{name}",
            "statement": statement,
            "source": Source("lyu-li-2020", place),
            "provenance": "derived",
            "kind": "inequality",
            "quantifier": _QUANTIFIER,
            "conventions": _CONVENTIONS,
            "setting": SETTING,
            "hypotheses": _hypotheses,
            "predict": lambda _: predict,
            "remainder": lambda _: Remainder(0.0, "an inequality: numerical error"),
            "evidence": trajectories,
            "judge": judge,
            "expected": "not refuted",
            "decoys": decoys,
            "stochastic": True,
            "family": "lyu-li-2020/margins",
            # Rows that no neuron saw once left runs without a loss below 1, and too
            # long steps no digit of an integral.
            "edition": EDITION,
            **more,
        }
    )


def _rate(name, statement, place, predict, judge, decoys) -> Claim:
    return _claim(
        name,
        statement,
        place,
        predict,
        judge,
        decoys,
        kind="identity",
        quantifier="networks of loss below 1; p = 1 and 3",
        remainder=lambda _: Remainder(0.0, "an identity"),
        evidence=lambda s, size: trajectories(s, size, "margins/rates"),
        expected="holds",
    )


CLAIMS = (
    _claim(
        "smoothed-margin",
        "Once the sum exponential loss is below 1, log(1/L)/|theta|^2 never decreases"
        " along gradient flow.",
        "monotonicity of the smoothed normalised margin",
        {"power": 2.0},
        _judge_growth,
        (
            Decoy("|theta|^2 -> |theta|^2.25", lambda _, p: {"power": 2.25}),
            Decoy("|theta|^2 -> |theta|^3", lambda _, p: {"power": 3.0}),
        ),
    ),
    _claim(
        "turning",
        "Once L < 1, twice the integral of tan^2 angle(theta, -grad L) d log |theta| is"
        " at most the gain of log(log(1/L)/|theta|^2): the margin is bounded, |theta|"
        " not, so the cosine comes arbitrarily close to 1.",
        "directional convergence of theta to -grad L, in finite form",
        {"factor": 2.0},
        _judge_turn,
        (
            Decoy("2 -> 20", lambda _, p: {"factor": 20.0}),
            Decoy("2 -> 40", lambda _, p: {"factor": 40.0}),
        ),
    ),
    _rate(
        "norm-rate",
        "d|theta|^2/dt = 4 sum_i e^(-q_i) q_i.",
        "Euler's identity of a 2-homogeneous network",
        {"factor": 4.0},
        _judge_size,
        (
            Decoy("degree 2 -> degree 1", lambda _, p: {"factor": 2.0}),
            scaled(1.01, "factor"),
        ),
    ),
    _rate(
        "margin-rate",
        "While L < 1, d log(log(1/L)/|theta|^2) = ((1 + H/log(1/L)) (1 + tan^2) - 1)"
        " d log |theta|^2, with H the entropy of the weights e^(-q_i)/L and the angle"
        " between theta and -grad L: the margin stands still only where both vanish.",
        "monotonicity of the smoothed normalised margin, with its remainder",
        {"turn": 1.0, "entropy": 1.0},
        _judge_margin,
        (
            Decoy("no entropy", lambda _, p: {**p, "entropy": 0.0}),
            scaled(1.01, "turn"),
        ),
    ),
    _claim(
        "kkt-residuals",
        "With multipliers |theta| e^(-q_i)/|grad L|, theta/sqrt(q_min) meets the KKT"
        " conditions of min |theta|^2/2, q_i >= 1, up to a stationarity residual of"
        " tan(angle(theta, -grad L)) |theta|/sqrt(q_min) and a slackness of"
        " (n-1) |theta|^2/(2 e q_min^2).",
        "limit points are along KKT points, in finite form",
        {"turn": 1.0, "slack": 1.0},
        _judge_conditions,
        (
            scaled(0.9, "turn"),
            scaled(0.1, "slack"),
        ),
    ),
)
