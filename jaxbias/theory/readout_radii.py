r"""Radii of averaged and decoupled networks under each read-out.

``own`` and ``opposite`` count the centres of the point's class and of the other one;
the centres are orthogonal, of one norm, which is the unit of every length. A radius is
that at a centre unless it says otherwise.
"""

import math

import numpy as np
from scipy import optimize, special, stats

from jaxbias._checks import InputError, one_of

HALF_DISTANCE = math.sqrt(0.5)
"""Half the distance of two centres: the radius that no classifier exceeds at both."""

OPTIMAL_THRESHOLDS = (math.sqrt(1.5) - 1, 1 - math.sqrt(0.5))
"""Thresholds at which summed logits reach it, whatever the number of centres."""


def averaged(
    own: int, opposite: int, amplitudes: tuple[float | int, float | int] = (1.0, 1.0)
) -> float:
    r"""Averaged network, $w_s = a_s\sum_{J_s}\mu_j$: $a/\sqrt{k_s a^2 + k_{-s} b^2}$.

    With equal amplitudes $1/\sqrt k$ for every split of k.

    Args:
        own: $k_s$.
        opposite: $k_{-s}$.
        amplitudes: $(a_s, a_{-s})$.
    """
    first, second = amplitudes
    return first / math.sqrt(own * first**2 + opposite * second**2)


def own_average_attack(own: int) -> float:
    r"""Step along $-\sum_{J_s}\mu_j$ that breaks the averaged network: $k_s^{-1/2}$."""
    return own**-0.5


def decoupled_sum(opposite: int) -> float:
    r"""Decoupled network, outputs summed by label: $1/\sqrt{1 + k_{-s}}$."""
    return 1 / math.sqrt(1 + opposite)


def thresholded(threshold: float | int, opposite: int, tie: str = "<=") -> float:
    r"""The same with $f_j = \sigma(\langle x,\mu_j\rangle - \beta)$, $\beta\le 1/2$.

    $r^2 = \min_{1\le q\le k_{-s}} (1 + (q-1)\beta)^2/(1+q)$, and $(1-\beta)^2$ if that
    is less and a score of 0 counts as broken.

    Raises:
        InputError: for a threshold outside [0, 1/2] and an unknown tie.
    """
    one_of("tie", tie, ("<=", "<"))
    if not 0 <= threshold <= 0.5:
        raise InputError(
            f"threshold={threshold!r}",
            "the formula is for thresholds in [0, 1/2]",
            "threshold=0.25",
        )
    squares = [
        (1 + (active - 1) * threshold) ** 2 / (1 + active)
        for active in range(1, opposite + 1)
    ]
    if tie == "<=":
        squares.append((1 - threshold) ** 2)
    return math.sqrt(min(squares))


def powered(exponent: float | int, opposite: int) -> float:
    r"""The same with $f_j = \sigma(\langle x,\mu_j\rangle)^p$: $\sqrt{K/(1+K)}$.

    $K = \min(1, k_{-s}^{1-2/p})$.
    """
    share = min(1.0, opposite ** (1 - 2 / exponent))
    return math.sqrt(share / (1 + share))


def mixed(mixing: float | int, clusters: int) -> float:
    r"""$w_j = \mu_j + c\sum_{class(j)}\mu_l$, label of the largest output.

    $(1+c)/\sqrt{2(1+c)^2 + c^2(k-2)}$.
    """
    first = 1 + mixing
    return first / math.sqrt(2 * first**2 + mixing**2 * (clusters - 2))


def probability_sum(own: int, opposite: int, logit: float | int) -> float:
    r"""Decoupled network of logit s, probabilities summed by label.

    $r^2 = \min a^2 + b_1^2 + (k_{-s}-1) b_2^2$ over
    $e^{s(1-a)} + k_s - 1 \le e^{s b_1} + (k_{-s}-1) e^{s b_2}$, all in [0, 1]; 0 if
    $e^s + k_s - 1 \le k_{-s}$.
    """
    rest = opposite - 1
    if math.exp(logit) + own - 1 <= opposite:
        return 0.0

    def size(steps: np.ndarray) -> float:
        return float(steps[0] ** 2 + steps[1] ** 2 + rest * steps[2] ** 2)

    def excess(steps: np.ndarray) -> float:
        # Logarithms of both sides over e^s, so that no logit overflows.
        lost, first, others = (float(logit * step) for step in steps)
        wrong = math.exp(first - logit) + rest * math.exp(others - logit)
        right = math.exp(-lost) + (own - 1) * math.exp(-logit)
        return math.log(wrong) - math.log(right)

    best = math.inf
    for shares in ((0.5, 0.5, 0.05), (0.6, 0.3, 0.3), (0.9, 0.9, 0.0), (1, 1, 1)):
        found = optimize.minimize(
            size,
            np.array(shares, float),
            bounds=[(0, 1)] * 3,
            constraints={"type": "ineq", "fun": excess},
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 500},
        )
        if found.success and excess(found.x) > -1e-9:
            best = min(best, math.sqrt(found.fun))
    return best


def linf_averaged(clusters: int) -> float:
    r"""$\ell_\infty$ radius of the averaged network, times $\sqrt d$: centres random.

    $\sqrt{\pi/(2k)}$, the limit of $d/\|\sum_j s_j\mu_j\|_1$ at norm $\sqrt d$.
    """
    return math.sqrt(math.pi / (2 * clusters))


def linf_decoupled() -> float:
    r"""The same of the decoupled network by its largest output: $\sqrt\pi/2$."""
    return math.sqrt(math.pi) / 2


def linf_spread(dim: float | int) -> float:
    r"""Relative deviation of $1/\|u\|_1$, u uniform on a sphere.

    $\sqrt{(\pi-3)/(2d)}$, by linearising $\|g\|_1/\|g\|_2$ at a Gaussian g.
    """
    return math.sqrt((math.pi - 3) / (2 * dim))


def averaged_accuracy(radius: float | int, clusters: int, dim: float | int) -> float:
    r"""Robust accuracy of the averaged network at unit noise, lengths not divided.

    $\Phi(\sqrt{d/k} - r)$.
    """
    return float(special.ndtr(math.sqrt(dim / clusters) - radius))


def survival(
    radius: float | int, rivals: int, dim: float | int, noise: float | int = 1.0
) -> float:
    r"""Probability that no rival centre is nearer within the radius.

    $\int\phi(u)\,\Phi(u + (\sqrt d - \sqrt2 r)/\tau)^m\,du$ for m rivals and noise
    $N(0, \tau^2 I)$; lengths not divided.
    """
    # Far out the integrand is analytic and flat: the trapezoid rule is exact.
    points, step = np.linspace(-12, 12, 4001, retstep=True)
    shift = (math.sqrt(dim) - math.sqrt(2) * radius) / noise
    density = np.exp(-(points**2) / 2) / math.sqrt(2 * math.pi)
    return float(step * density @ special.ndtr(points + shift) ** rivals)


def decoupled_accuracy(
    radius: float | int,
    own: int,
    opposite: int,
    dim: float | int,
    noise: float | int = 1.0,
) -> float:
    r"""Robust accuracy of the decoupled network by the label of its largest output.

    The average of `survival` against the centres of the other label.
    """
    first = own * survival(radius, opposite, dim, noise)
    second = opposite * survival(radius, own, dim, noise)
    return (first + second) / (own + opposite)


def blind_share(opposite: int, active: int) -> float:
    r"""Samples with at most ``active`` of the opposite scores above 0.

    Signs of noise are fair coins: $P(\mathrm{Bin}(k_{-s}, 1/2)\le m)$.
    """
    return float(stats.binom.cdf(active, opposite, 0.5))
