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
