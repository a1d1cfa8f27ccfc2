"""The early phase under cross entropy: how all directions of a small network turn."""

import math

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    requires,
)
from jaxbias.theory._collapse_data import THREE, request, rows_of
from jaxbias.theory._collapse_limits import columns
from jaxbias.theory._verdict import judge_interval

_SETTING = {**THREE, "width": 16, "scale": 1e-3}


def _start(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Balanced weights in random directions."""
    rng = np.random.default_rng(setting["draw"])
    dim, classes = rows_of(setting)[0].shape[1], setting["classes"]
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1)[:, None]
    hidden = unit(rng.standard_normal((setting["width"], dim)))
    output = unit(rng.standard_normal((setting["width"], classes)))
    return setting["scale"] * hidden, setting["scale"] * output


def turning(hidden, output, inputs, labels, factor: float = 1.0):
    r"""Velocities of the directions of both layers while all outputs are 0.

    With $e_i$ the label's column of $\sqrt{K/(K-1)}(I - 11^\top/K)$ and $\xi_{ij}$ the
    activation pattern:
    $\hat w_j' = \sqrt{(K-1)/K}\, P_{\hat w_j} \sum_i \xi_{ij}
    \langle e_i, \hat v_j\rangle x_i$ and
    $\hat v_j' = \sqrt{(K-1)/K}\, P_{\hat v_j} \sum_i \xi_{ij}
    \langle x_i, \hat w_j\rangle e_i$, P the projection off its index.

    Args:
        hidden: (neuron, feature).
        output: (neuron, class), balanced: row norms as those of ``hidden``.
        inputs: (sample, feature).
        labels: class indices.
        factor: multiplies both.

    References:
        min-zhu-vidal-2025, early phase.
    """
    classes = output.shape[1]
    first = hidden / np.linalg.norm(hidden, axis=1)[:, None]
    second = output / np.linalg.norm(output, axis=1)[:, None]
    pull = factor * math.sqrt((classes - 1) / classes) * columns(classes)[labels]
    scores = inputs @ first.T
    active = scores > 0
    force = (active * (pull @ second.T)).T @ inputs
    back = np.where(active, scores, 0.0).T @ pull
    off = lambda a, unit: a - (a * unit).sum(axis=1)[:, None] * unit
    return off(force, first), off(back, second)


def _predict(setting: Setting, factor: float = 1.0, swap: bool = False) -> dict:
    hidden, output = _start(setting)
    rows, labels = rows_of(setting)
    if swap:
        labels = (labels + 1) % setting["classes"]
    both = turning(hidden, output, rows, labels, factor)
    return {"value": np.concatenate([layer.ravel() for layer in both])}


def _remainder(setting: Setting) -> Remainder:
    norms = np.linalg.norm(rows_of(setting)[0], axis=1)
    largest = setting["width"] * setting["scale"] ** 2 * np.max(norms)
    return Remainder(
        0.5 * np.sum(norms) * largest,
        "softmax is 1/2-Lipschitz at 0, so each residual is off by |f(x_i)|/2, and"
        " |f| <= h eps^2 X_max",
    )


def _judge(arrays, prediction, remainder, alpha):
    del alpha
    value, error = arrays["measured"], arrays["error"]
    return judge_interval(
        value - error,
        value + error,
        prediction["value"],
        remainder.delta,
        np.max(error),
    )


CLAIMS = (
    Claim(
        id="min-zhu-vidal-2025/multiclass-early",
        statement="Under cross entropy at small balanced weights the directions of both"
        " layers turn by sqrt((K-1)/K) P sum_i xi_ij <E y_i, v_j> x_i and sqrt((K-1)/K)"
        " P sum_i xi_ij <x_i, w_j> E y_i (E = sqrt(K/(K-1)) (I - 11^T/K)).",
        source=Source("min-zhu-vidal-2025", "multi-class early phase", "NeurIPS 2025"),
        provenance="seen",
        kind="closed form",
        quantifier="K = 3, sixteen neurons in random directions, scale 1e-3",
        conventions=conventions(
            clock="sum",
            loss_scale="cross entropy",
            output_layer="trained, balanced",
        ),
        setting=_SETTING,
        hypotheses=lambda s: (
            requires(
                "outputs are small: h eps^2 X_max < 0.01",
                0.01 - s["width"] * s["scale"] ** 2 * float(np.max(s["norms"])),
            ),
        ),
        predict=_predict,
        remainder=_remainder,
        evidence=lambda s, size: request(
            "collapse/early", s, *_start(s), loss_scale="cross entropy"
        ),
        judge=_judge,
        expected="holds",
        decoys=(
            Decoy(
                "without sqrt((K-1)/K)",
                lambda s, _: _predict(s, math.sqrt(s["classes"] / (s["classes"] - 1))),
            ),
            Decoy("labels moved by one", lambda s, _: _predict(s, swap=True)),
            Decoy("1.001 times as fast", lambda s, _: _predict(s, 1.001)),
        ),
    ),
)
