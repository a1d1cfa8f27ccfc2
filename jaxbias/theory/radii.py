"""Closed forms for robustness radii and robust accuracies on orthonormal clusters.

Unit orthonormal centres, ``clusters = K = K1 + K2`` of which ``positive = K1`` carry
label +1; noise ``N(0, noise^2 I/dim)``; an error is ``y f <= 0``.
"""

import math

import numpy as np
from scipy import integrate, stats

from jaxbias._checks import InputError


def split(clusters: int, positive: int, side: int = 1) -> tuple[int, int]:
    """(own, opposite) numbers of clusters for a centre of class ``side``."""
    if not 0 < positive < clusters:
        raise InputError(
            f"positive={positive} of clusters={clusters}",
            "both classes need a cluster",
            "positive=1",
        )
    first, second = positive, clusters - positive
    return (first, second) if side > 0 else (second, first)


def conjugate(order: float) -> float:
    """``q*`` with ``1/q + 1/q* = 1``."""
    if math.isinf(order):
        return 1.0
    return math.inf if order == 1 else order / (order - 1)


def averaged_radius(clusters: int, order: float = 2.0) -> float:
    """Radius of F at any centre, ``K^(-1/q*)``; ``1/sqrt(K)`` in l_2."""
    return clusters ** (-1 / conjugate(order))


def per_centre_radius(opposite: int, exponent: float, order: float = 2.0) -> float:
    """Radius of F^(p) at a centre with ``opposite`` clusters on the other side.

    ``(1 + kappa^q*)^(-1/q*)`` with ``kappa = opposite^max(1/p - 1/q, 0)``: in l_2
    ``sqrt(2)/2`` for p >= 2 and ``1/sqrt(1 + opposite^(2/p - 1))`` below.
    """
    kappa = opposite ** max(1 / exponent - 1 / order, 0.0)
    dual = conjugate(order)
    if math.isinf(dual):
        return 1 / max(1.0, kappa)
    return (1 + kappa**dual) ** (-1 / dual)


def averaged_radius_amplitudes(own: int, own_amplitude: float, other: float) -> float:
    """Radius where ``f = a s(<x,mubar_+>) - b s(<x,mubar_->)``.

    ``(a/sqrt(own)) / sqrt(a^2 + b^2)``.
    """
    return own_amplitude / math.sqrt(own) / math.hypot(own_amplitude, other)


def per_centre_radius_amplitudes(
    own: float, strongest: float, exponent: float
) -> float:
    """Radius where ``f = sum_k s_k a_k s(<x,mu_k>)^p``, p >= 2.

    ``rho/sqrt(1 + rho^2)`` with ``rho = (a_k / max opposite a_l)^(1/p)``.
    """
    rho = (own / strongest) ** (1 / exponent)
    return rho / math.sqrt(1 + rho**2)


def nearest_centre_accuracy(
    radius: float, clusters: int, positive: int, noise: float, dim: int
) -> float:
    """Robust accuracy of the nearest-cluster rule.

    ``(K1/K) A_{K2}(r) + (K2/K) A_{K1}(r)``, ``A_m = int phi(u) Phi(u + a_r)^m du``,
    ``a_r = (1 - sqrt(2) r) sqrt(D)/alpha``.
    """
    shift = (1 - math.sqrt(2) * radius) * math.sqrt(dim) / noise

    def share(rivals: int) -> float:
        def density(u: float) -> float:
            return float(stats.norm.pdf(u) * stats.norm.cdf(u + shift) ** rivals)

        return integrate.quad(density, -12, 12, epsabs=1e-12, limit=200)[0]

    own, other = split(clusters, positive)
    return (own * share(other) + other * share(own)) / clusters


def bayes_accuracy_bound(margin: float, clusters: int, noise: float, dim: int) -> float:
    """MV25 Prop. 2: ``1 - 2K exp(-D nu^2 / (64 alpha^2))`` at (sqrt(2) - nu)/2."""
    return 1 - 2 * clusters * math.exp(-dim * margin**2 / (64 * noise**2))


def per_centre_failure_bound(
    shortfall: float, opposite: int, noise: float, dim: int
) -> float:
    """Failure probability of F^(p), p >= 2, at radius (sqrt(2) - delta)/2.

    ``exp(-D (delta/sqrt(2) - m)_+^2 / (4 alpha^2))``, ``m = alpha sqrt(K2/(2D))``.
    """
    mean = noise * math.sqrt(opposite / (2 * dim))
    slack = max(shortfall / math.sqrt(2) - mean, 0.0)
    return math.exp(-dim * slack**2 / (4 * noise**2))


def universal_attack_bound(
    excess: float, clusters: int, noise: float, dim: int
) -> float:
    """P(F still correct) under ``y (1+rho)/sqrt(K) d0``: exp(-D rho^2/(2a^2K))/2."""
    return 0.5 * math.exp(-dim * excess**2 / (2 * noise**2 * clusters))


def certificate(positive_scores, negative_scores, exponent: float) -> np.ndarray:
    """Lower bound on the radius of F^(p) at any x of the positive class.

    ``(|s(x_+)|_p - |s(x_-)|_p) / sqrt(K1^e + K2^e)`` with ``e = max(2/p - 1, 0)``,
    from the projections on the own and the opposite centres (sample, centre).
    """
    own = np.linalg.norm(np.maximum(positive_scores, 0), ord=exponent, axis=1)
    other = np.linalg.norm(np.maximum(negative_scores, 0), ord=exponent, axis=1)
    power = max(2 / exponent - 1, 0.0)
    sizes = np.shape(positive_scores)[1], np.shape(negative_scores)[1]
    return (own - other) / math.sqrt(sum(k**power for k in sizes))
