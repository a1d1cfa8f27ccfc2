r"""Radius formulas of the explicit classifiers on orthonormal centres.

The averaged classifier is
$F(x) = \sigma(\langle x, \mu_+\rangle) - \sigma(\langle x, \mu_-\rangle)$ with
$\mu_\pm$ the sums over ``positive`` and ``negative`` centres; the per-centre one is
$F^{(p)}(x) = \sum_k s_k\,\sigma(\langle x, \mu_k\rangle)^p$. A point is broken when
$y f \le 0$ unless ``tie`` says otherwise. Plain numbers, no JAX.

References:
    min-vidal-2024; min-vidal-2025; derived and confirmed numerically in the tests.
"""

import math
from typing import Any

import numpy as np
from scipy import integrate, special

from jaxbias._checks import InputError, at_least, one_of, positive_int

OPTIMAL_AT_CENTRE = math.sqrt(0.5)
r"""Half the distance $\sqrt2$ of two centres, which no classifier exceeds at both.

A classifier that is right at two centres of opposite labels is right in the open ball
of its radius around either. The balls cannot meet, so their radii add up to at most the
distance of the centres: at one of the two a radius may be larger, at the other it is
smaller for it. At every centre at once this is the most that can be had.
"""


def conjugate(order: float | int) -> float:
    r"""The dual exponent $q^* = q/(q-1)$.

    Raises:
        InputError: for an order below 1.
    """
    if not order >= 1:
        raise InputError(f"order={order!r}", "below 1 it is not a norm", "order=2")
    if order == 1:
        return math.inf
    return 1.0 if math.isinf(order) else order / (order - 1.0)


def averaged_at_centre(clusters: int, order: float | int = 2.0) -> float:
    r"""Radius of F, and of the linear max-margin rule: $K^{-1/q^*}$, axis-aligned.

    In $\ell_2$ this is $1/\sqrt K$ however the K clusters divide into classes, for
    rotated centres too, and for the averaged network of any exponent.
    """
    positive_int("clusters", clusters)
    return clusters ** -(1.0 / conjugate(order))


def averaged_amplitudes_at_centre(
    positive: int, negative: int, amplitudes: tuple[float | int, float | int]
) -> tuple[float, float]:
    r"""$\ell_2$ radii of $a\,\sigma(\bar\mu_+) - b\,\sigma(\bar\mu_-)$ at the centres.

    $(a/\sqrt{K_1})/\sqrt{a^2+b^2}$ at a positive centre and
    $(b/\sqrt{K_2})/\sqrt{a^2+b^2}$ at a negative one.
    """
    positive_int("positive", positive)
    positive_int("negative", negative)
    a, b = amplitudes
    both = math.hypot(a, b)
    return a / math.sqrt(positive) / both, b / math.sqrt(negative) / both


def averaged_radius(
    own: Any, opposite: Any, own_clusters: int, opposite_clusters: int, tie: str = "<="
) -> np.ndarray:
    r"""Exact $\ell_2$ radius of F at any point.

    With $a = \langle x, \mu_{own}\rangle$ and $b = \langle x, \mu_{opp}\rangle$:
    $\min((a-b)/\sqrt K,\ a/\sqrt{K_{own}})$ when $f \le 0$ counts as broken. When only
    $f < 0$ does: $(a-b)/\sqrt K$ if $K_{opp} a + K_{own} b \ge 0$, else
    $\sqrt{a^2/K_{own} + \min(b,0)^2/K_{opp}}$. A point that is wrong has radius 0.

    Args:
        own: $a$, of any shape.
        opposite: $b$, of the same shape.
        own_clusters: number of centres of the point's own class.
        opposite_clusters: number of centres of the other class.
        tie: ``"<="`` or ``"<"``.
    """
    one_of("tie", tie, ("<=", "<"))
    a, b = np.asarray(own, float), np.asarray(opposite, float)
    total = own_clusters + opposite_clusters
    across = (a - b) / math.sqrt(total)
    if tie == "<=":
        radius = np.minimum(across, a / math.sqrt(own_clusters))
    else:
        around = np.sqrt(
            a**2 / own_clusters + np.minimum(b, 0) ** 2 / opposite_clusters
        )
        reachable = opposite_clusters * a + own_clusters * b >= 0
        radius = np.where(reachable, across, around)
    return np.asarray(np.where(a > np.maximum(b, 0), radius, 0.0))


def per_centre_at_centre(
    exponent: float | int, opposite: int, order: float | int = 2.0
) -> float:
    r"""Radius of $F^{(p)}$ at a centre with ``opposite`` centres of the other class.

    $(1 + \kappa^{q^*})^{-1/q^*}$ with $\kappa = K_{opp}^{\max(1/p - 1/q,\,0)}$; in
    $\ell_2$ this is $\sqrt2/2$ for every $p \ge 2$. Orders other than 2 are for
    axis-aligned centres.
    """
    at_least("exponent", exponent, 1.0)
    positive_int("opposite", opposite)
    dual = conjugate(order)
    kappa = opposite ** max(1.0 / exponent - 1.0 / order, 0.0)
    if math.isinf(dual):
        return 1.0 / max(1.0, kappa)
    return (1.0 + kappa**dual) ** (-1.0 / dual)


def per_centre_amplitudes_at_centre(
    exponent: float | int, own: float | int, largest_opposite: float | int
) -> float:
    r"""$\ell_2$ radius of $\sum_k s_k a_k \sigma(\langle x,\mu_k\rangle)^p$, $p \ge 2$.

    $\rho/\sqrt{1+\rho^2}$ with $\rho = (a_k/\max_{opp} a_l)^{1/p}$.
    """
    at_least("exponent", exponent, 2.0, "below 2 the minimiser spreads over centres")
    rho = (own / largest_opposite) ** (1.0 / exponent)
    return rho / math.sqrt(1.0 + rho**2)


def per_centre_certificate(
    own: Any, opposite: Any, exponent: float | int
) -> np.ndarray:
    r"""Certified $\ell_2$ radius of $F^{(p)}$ at any point, tight at the centres.

    $(\|\sigma(x_{own})\|_p - \|\sigma(x_{opp})\|_p)_+ /
    \sqrt{K_{own}^{(2/p-1)_+} + K_{opp}^{(2/p-1)_+}}$.

    Args:
        own: projections on the centres of the point's own class, centres last.
        opposite: projections on the others, centres last.
        exponent: $p \ge 1$.
    """
    at_least("exponent", exponent, 1.0)
    root = lambda c: (np.maximum(c, 0) ** exponent).sum(-1) ** (1.0 / exponent)
    own, opposite = np.asarray(own, float), np.asarray(opposite, float)
    spread = max(2.0 / exponent - 1.0, 0.0)
    constant = math.sqrt(own.shape[-1] ** spread + opposite.shape[-1] ** spread)
    return np.asarray(np.maximum(root(own) - root(opposite), 0.0) / constant)


def averaged_law(clusters: int, dim: int, noise: float | int) -> tuple[float, float]:
    r"""Mean and standard deviation of the radius of F at a fresh sample.

    $N(1/\sqrt K, \alpha^2/D)$, up to exponentially small events.
    """
    return clusters**-0.5, noise / math.sqrt(dim)


def averaged_universal_attack(
    excess: float | int, clusters: int, dim: int, noise: float | int
) -> float:
    r"""Bound on the accuracy of F under the one direction $y(\mu_- - \mu_+)$.

    At radius $(1+\rho)/\sqrt K$: $\Phi(-\rho\sqrt D/(\alpha\sqrt K))$.
    """
    return float(special.ndtr(-excess * math.sqrt(dim / clusters) / noise))


def averaged_clean_error(
    own: int, clusters: int, dim: int, noise: float | int
) -> float:
    r"""Bound on the error of F on a class of ``own`` centres.

    $\Phi(-\sqrt{D/K_{own}}/\alpha) + \Phi(-\sqrt{D/K}/\alpha)$.
    """
    tails = special.ndtr([-math.sqrt(dim / k) / noise for k in (own, clusters)])
    return float(tails.sum())


def nearest_centre_accuracy(
    epsilon: float | int, clusters: int, positive: int, dim: int, noise: float | int
) -> float:
    r"""Exact robust accuracy of the nearest-centre rule at an $\ell_2$ radius.

    $\frac{K_1}{K} A_{K_2} + \frac{K_2}{K} A_{K_1}$ with
    $A_m = \int \phi(u)\,\Phi(u + (1-\sqrt2 r)\sqrt D/\alpha)^m\,du$.
    """
    negative = clusters - positive
    shift = (1.0 - math.sqrt(2.0) * epsilon) * math.sqrt(dim) / noise
    density = lambda u: math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    def survive(m: int) -> float:
        value, _ = integrate.quad(
            lambda u: density(u) * special.ndtr(u + shift) ** m, -12, 12, limit=200
        )
        return value

    return (positive * survive(negative) + negative * survive(positive)) / clusters


def per_centre_failure(
    deficit: float | int, opposite: int, dim: int, noise: float | int
) -> float:
    r"""Bound on the share of points of $F^{(p)}$, $p \ge 2$, broken at a radius.

    At radius $(\sqrt2 - \delta)/2$:
    $\exp(-D(\delta/\sqrt2 - m)_+^2/(4\alpha^2))$, $m = \alpha\sqrt{K_{opp}/(2D)}$.
    """
    mean = noise * math.sqrt(opposite / (2.0 * dim))
    gap = max(deficit / math.sqrt(2.0) - mean, 0.0)
    return math.exp(-dim * gap**2 / (4.0 * noise**2))
