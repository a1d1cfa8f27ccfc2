"""Limits of a shallow ReLU network on separable classes, and how they are approached.

After alignment the neurons of class k see the rows of class k only, and together they
are the linear map ``<beta_k, x>`` of ``|beta_k| = |W_k|_F^2``; classes do not meet.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from jaxbias._checks import InputError
from jaxbias.theory.solvable import growth_exponential


def max_margin(
    rows: Float[np.ndarray, "sample feature"],
) -> tuple[float, Float[np.ndarray, " feature"], Float[np.ndarray, " sample"]]:
    r"""Margin $\gamma = \max_{\|u\|=1} \min_i \langle x_i, u\rangle$, u, multipliers.

    Least-distance programming by nonnegative least squares. The multipliers sum to 1
    and $\sum_i \lambda_i x_i = \gamma u$.

    Raises:
        InputError: no direction has a positive product with every row.

    References:
        min-zhu-vidal-2025, Theorem 1.
    """
    target = np.append(np.zeros(rows.shape[1]), 1.0)
    weights, _ = optimize.nnls(np.vstack([rows.T, np.ones(len(rows))]), target)
    residual = rows.T @ weights, weights.sum() - 1
    norm = float(np.linalg.norm(residual[0]))
    if norm < 1e-12 or weights.sum() == 0:
        raise InputError(
            f"{len(rows)} rows whose hull holds the origin",
            "no direction has a positive product with each of them",
            "rows of one class of orthogonally separable data",
        )
    direction = residual[0] / norm
    return float(np.min(rows @ direction)), direction, weights / weights.sum()


class ClassLimit(NamedTuple):
    """What the late phase of one class depends on.

    Attributes:
        margin: gamma.
        direction: u.
        entropy: H of the multipliers lambda.
        offsets: ``r_i = -ln lambda_i - H``: margins tend to ``q_i = m + r_i``.
        tilt: ``gamma |b|`` with ``<b, x_i> = r_i``: the angle to u is ``tilt/m``.
        next_order: largest relative size, times m, of the next order in 1/m.
    """

    margin: float
    direction: np.ndarray
    entropy: float
    offsets: np.ndarray
    tilt: float
    next_order: float


def class_limit(rows: Float[np.ndarray, "sample feature"]) -> ClassLimit:
    """The late phase of a class all of whose rows support the maximum margin.

    With ``lambda -> lambda + delta`` quasi-static margins ask for
    ``delta = -gamma^2 Gram^-1 r/m``, which is the next order of the offsets.

    Raises:
        InputError: a row has multiplier 0, so that its offset is infinite.
    """
    margin, direction, weights = max_margin(rows)
    if np.min(weights) < 1e-9:
        raise InputError(
            "a row beyond the margin",
            "its own margin leaves the others behind, without an offset",
            "rows with positive multipliers only",
        )
    entropy = -float(weights @ np.log(weights))
    offsets = -np.log(weights) - entropy
    shift = margin**2 * np.linalg.solve(rows @ rows.T, offsets) / weights
    largest = float(np.max(np.abs(offsets)))
    return ClassLimit(
        margin=margin,
        direction=direction,
        entropy=entropy,
        offsets=offsets,
        tilt=margin * float(np.linalg.norm(np.linalg.pinv(rows) @ offsets)),
        # Offsets at rounding are those of equal rows: nothing to correct.
        next_order=float(np.max(np.abs(shift))) / largest if largest > 1e-12 else 0.0,
    )


def late_margin(limit: ClassLimit, time: float, classes: int = 2) -> float:
    """The law of m in the sum clock: ``Ei(m) = 2 gamma kappa c e^H t``.

    With ``kappa = sqrt(K/(K-1))`` and ``c = K - 1`` for K outputs under cross entropy;
    both 1 for one output under exponential loss (``classes=2``). The error is of order
    1/m^2.
    """
    rate = 2 * limit.margin * math.exp(limit.entropy)
    if classes > 2:
        rate *= stretch(classes) * (classes - 1)
    # Where it starts is forgotten: Ei(m0) is of order one, and rate t is not.
    return float(growth_exponential(np.array([time]), 1e-6, rate)[0])


def stretch(classes: int) -> float:
    """Margin per output along its column: ``sqrt(K/(K-1))``, or 1 for one output."""
    return math.sqrt(classes / (classes - 1)) if classes > 2 else 1.0


def columns(classes: int) -> Float[np.ndarray, "class class"]:
    """``sqrt(K/(K-1)) (I - 11^T/K)``: unit columns, pairwise products -1/(K-1)."""
    return math.sqrt(classes / (classes - 1)) * (np.eye(classes) - 1 / classes)


def layer_shares(margins: Float[np.ndarray, " class"]) -> Float[np.ndarray, " class"]:
    """``s_k = sqrt(gamma_k^-1/(2 sum_l gamma_l^-1))``, min-zhu-vidal-2025 Theorem 1."""
    inverse = 1 / np.asarray(margins, float)
    return np.sqrt(inverse / (2 * inverse.sum()))
