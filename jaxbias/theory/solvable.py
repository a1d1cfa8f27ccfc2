"""Exactly solvable gradient flows: oracles for the integrator and for the claims.

Times are in the clock of a single datum (for balanced clusters: the per-cluster mean)
with the loss slope at zero equal to 1 unless a formula says otherwise.
"""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from jaxtyping import Float
from scipy import special
from scipy.optimize import brentq

from jaxbias._checks import InputError

Times = Float[np.ndarray, " time"]
Values = Float[np.ndarray, " time"]


def _times(times) -> np.ndarray:
    return np.atleast_1d(np.asarray(times, float))


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(
            f"{name}={value}",
            "the solution is written in its logarithm",
            f"{name}=1e-6",
        )


def balanced_product(times, target: float, start: float) -> Values:
    """``u = a b`` with |a| = |b| and loss (s - ab)^2 / 2.

    ``u(t) = s / (1 + (s/u0 - 1) exp(-2 s t))`` for s != 0 and ``u0/(1 + 2 u0 t)`` for
    s = 0 (Saxe et al. 2014).

    Args:
        times: Times.
        target: ``s``.
        start: ``u0 > 0``.
    """
    _positive("start", start)
    t = _times(times)
    if target == 0:
        return start / (1 + 2 * start * t)
    return target / (1 + (target / start - 1) * np.exp(-2 * target * t))


def unbalanced_product(times, target: float, first: float, second: float) -> Values:
    """``u = a b`` from any start ``(a, b)``, loss (s - ab)^2 / 2.

    With ``lam = |b^2 - a^2|`` conserved, ``kappa = sqrt(4 s^2 + lam^2)`` and
    ``tau = tanh(kappa t / 2)``: ``T = (kappa T0 + (2s - lam T0) tau) / (kappa +
    (lam + 2 s T0) tau)``, ``T0 = tanh(asinh(2 u0/lam)/2)``, ``u = lam T/(1 - T^2)``.
    """
    gap, start = abs(second**2 - first**2), first * second
    if gap == 0:
        return balanced_product(times, target, start)
    kappa = math.hypot(2 * target, gap)
    begin = math.tanh(math.asinh(2 * start / gap) / 2)
    tau = np.tanh(kappa * _times(times) / 2)
    path = kappa * begin + (2 * target - gap * begin) * tau
    path = path / (kappa + (gap + 2 * target * begin) * tau)
    return gap * path / (1 - path**2)


def orthogonal_outputs(
    times,
    targets: Float[np.ndarray, " datum"],
    starts: Float[np.ndarray, " datum"],
    norms: Float[np.ndarray, " datum"],
) -> Float[np.ndarray, "time datum"]:
    r"""Outputs at orthogonal data of a balanced network with an aligned neuron each.

    Mean square loss $\frac{1}{2n}\sum_i (y_i - f_i)^2$: each output obeys the logistic
    law $f_i' = 2\|x_i\|f_i(y_i - f_i)/n$, whatever the exponent of a weight-normalised
    unit is where $\|x_i\| = 1$ (and at p = 1 for any norm).

    Args:
        times: Times.
        targets: ``y``, not 0.
        starts: Outputs at time 0, of the signs of their targets.
        norms: ``|x_i|``.

    Raises:
        InputError: a start that is 0 or of the other sign, which never gets there.
    """
    y, f, r = (np.asarray(a, float) for a in (targets, starts, norms))
    if not np.all(f * y > 0):
        raise InputError(
            f"starts={f.tolist()} for targets={y.tolist()}",
            "a neuron never changes the sign of its output",
            "starts of the signs of the targets",
        )
    t = _times(times)[:, None] * r / len(y)
    return y / (1 + (y / f - 1) * np.exp(-2 * np.abs(y) * t))


def diagonal_limit(
    inputs: Float[np.ndarray, "sample feature"],
    targets: Float[np.ndarray, " sample"],
    scale: float,
) -> Float[np.ndarray, " feature"]:
    r"""Where the flow of a diagonal linear network $\beta = u^2 - v^2$ ends.

    From $u = v = a$ and square loss it is $\arg\min_{X\beta = y} \sum_i
    q(\beta_i/a^2)$ with the hyperbolic entropy $q(z) = 2 - \sqrt{4 + z^2} +
    z\,\mathrm{asinh}(z/2)$: near the least l_1 norm for small a, the least l_2 norm
    for large a. Solved in its dual, $\beta = 2a^2\sinh(X^\top\nu)$, whose only
    condition is $X\beta = y$, by Newton steps on a convex function.

    Args:
        inputs: X, of full row rank.
        targets: y.
        scale: a.

    Raises:
        InputError: for a scale that is not positive, and rows that depend on each
            other.

    References:
        woodworth-2020, Theorem 1.
    """
    _positive("scale", scale)
    x, y = np.asarray(inputs, float), np.asarray(targets, float)
    if np.linalg.matrix_rank(x) < len(x):
        raise InputError(
            f"inputs of shape {x.shape} and rank {np.linalg.matrix_rank(x)}",
            "the dual solution is not unique",
            "rows that are linearly independent",
        )
    size = 2 * scale**2
    dual = np.zeros(len(y))
    objective = lambda n: size * np.cosh(x.T @ n).sum() - y @ n
    for _ in range(500):
        z = x.T @ dual
        slope = size * x @ np.sinh(z) - y
        if np.linalg.norm(slope) <= 1e-13 * max(1.0, float(np.linalg.norm(y))):
            break
        step = np.linalg.solve(size * (x * np.cosh(z)) @ x.T, slope)
        # Far from the solution a full step overshoots by an exponential.
        share = min(1.0, 1.0 / float(np.abs(x.T @ step).max()))
        while objective(dual - share * step) > objective(dual) and share > 1e-12:
            share /= 2
        dual = dual - share * step
    return size * np.sinh(x.T @ dual)


def linear_margin(times, start: float, norm: float) -> Values:
    """Margin of a linear predictor under exponential loss on one datum.

    ``m(t) = ln(e^m0 + |x|^2 t)``.
    """
    return np.log(math.exp(start) + norm**2 * _times(times))


def _invert(
    phi: Callable[[float], float], levels: np.ndarray, start: float
) -> np.ndarray:
    """Solve phi(z) = level for an increasing phi and z >= start, in log z."""
    return np.array([_root(phi, level, start) for level in levels])


def _root(phi: Callable[[float], float], level: float, start: float) -> float:
    high = max(2 * start, 1.0)
    while phi(high) < level:
        high *= 2
    if phi(start) >= level:
        return start
    ends = math.log(start), math.log(high)
    root = brentq(lambda q: phi(math.exp(q)) - level, *ends, xtol=1e-14)
    return math.exp(cast(float, root))


def growth_squared(times, start: float) -> Values:
    """Aligned cluster amplitude under squared loss: ``z' = 2 z (1 - z)``."""
    return balanced_product(times, 1.0, start)


def growth_exponential(times, start: float, rate: float = 2.0) -> Values:
    """Under exponential loss: ``z' = rate z e^-z``, i.e. ``Ei(z) - Ei(z0) = rate t``.

    With rate 2 an aligned cluster; with ``2 sqrt(m)`` the amplitude over sqrt(m) of
    the average of m clusters at exponent 1.
    """
    _positive("start", start)
    levels = special.expi(start) + rate * _times(times)
    return _invert(special.expi, levels, start)


def growth_logistic(times, start: float) -> Values:
    """Under logistic loss: ``z' = 2 z/(1+e^z)``: Ei(z) + ln z grows as 2 t."""
    _positive("start", start)

    def phi(z: float) -> float:
        return float(special.expi(z)) + math.log(z)

    return _invert(phi, phi(start) + 2 * _times(times), start)


def alignment_time(cosine, exponent: float) -> Float[np.ndarray, "..."]:
    """``T_p(c)`` with ``c' = p c^(p-1) (1 - c^2)``: times are differences of it.

    Closed for p in {1, 2, 3, 4}; otherwise, with b = 1 - p/2,
    ``c^(2-p)/(p(2-p)) 2F1(1, b; b+1; c^2)``. Even exponents of 6 and above have no
    such form and are refused.
    """
    c, p = np.asarray(cosine, float), float(exponent)
    if np.any((c <= 0) | (c >= 1)):
        raise InputError(
            f"cosine={cosine!r}", "an active neuron has it in (0, 1)", "cosine=0.1"
        )
    return np.asarray(_alignment_time(c, p))


def _alignment_time(c: np.ndarray, p: float):
    drift = np.log(c / np.sqrt(1 - c**2))
    if p == 1:
        return np.arctanh(c)
    if p == 2:
        return drift / 2
    if p == 3:
        return (np.arctanh(c) - 1 / c) / 3
    if p == 4:
        return (drift - 1 / (2 * c**2)) / 4
    if p % 2 == 0:
        raise InputError(
            f"exponent={p:g}", "T_p has no series form there", "exponent=5"
        )
    b = 1 - p / 2
    return c ** (2 - p) / (p * (2 - p)) * special.hyp2f1(1, b, b + 1, c**2)


def locked_time(cosine, exponent: float) -> Float[np.ndarray, "..."]:
    """``T_inf(c0) = lim_{c->1} T_p(c) + ln(1-c^2)/(2p) - T_p(c0)``.

    The delay that alignment puts on growth: ``-(psi(b) + gamma_E)/(2p) - T_p(c0)``.
    """
    p = float(exponent)
    if p in (2, 4):
        limit = 0.0 if p == 2 else -1 / 8
    else:
        limit = -(special.digamma(1 - p / 2) + np.euler_gamma) / (2 * p)
    return np.asarray(limit - alignment_time(cosine, p))


def half_fit_time(cosines, norms, exponent: float) -> float:
    """Time at which a cluster is half fitted (squared loss, one centre a class).

    ``z/(1-z) = e^(2t) sum_j |w_j|^2 (1-c_j^2)^(1/p) e^(-2 T_inf(c_j))``, hence
    ``t = -(1/2) ln`` of that sum. Neurons with a cosine at most 0 never move.

    Args:
        cosines: initial cosines to the centre (neuron).
        norms: initial norms (neuron).
        exponent: p.
    """
    c, r = np.asarray(cosines, float), np.asarray(norms, float)
    c, r = c[c > 0], r[c > 0]
    if c.size == 0:
        raise InputError(
            "no active neuron", "the cluster is never fitted", "a positive cosine"
        )
    delay = locked_time(c, exponent)
    mass = r**2 * (1 - c**2) ** (1 / exponent) * np.exp(-2 * delay)
    return -0.5 * math.log(mass.sum())


def early_path(
    start: Float[np.ndarray, " cluster"],
    signs: Float[np.ndarray, " cluster"],
    exponent: float,
    clock: float,
) -> Float[np.ndarray, " cluster"]:
    """Unnormalised early path: ``u_k' = s_k p sigma(u_k)^(p-1)`` after path time s.

    ``u_k = (u_k(0)^(2-p) - s_k p (p-2) s)^(-1/(p-2))``; exponential for p = 2. An
    inactive coordinate stays. The path must end before a coordinate reaches zero or
    infinity.
    """
    u, s = np.asarray(start, float), np.asarray(signs, float)
    active, p = u > 0, exponent
    base = np.where(active, u, 1.0)
    if p == 2:
        moved = base * np.exp(2 * s * clock)
    else:
        inner = base ** (2 - p) - s * p * (p - 2) * clock
        if np.any(inner[active] <= 0):
            raise InputError(
                f"clock={clock}", "a coordinate has left by then", "a smaller clock"
            )
        moved = np.where(active, inner, 1.0) ** (-1 / (p - 2))
    return np.where(active, moved, u)
