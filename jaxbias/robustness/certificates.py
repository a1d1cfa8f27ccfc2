r"""Certified lower ends: the root certificate.

Let the neurons of the label's sign be *own* and the others *opposing*, the latter split
into T and S. With $N = (\sum a_j \sigma(z_j)^p)^{1/p}$ (a constant term joins the sum
of its sign), $N_{own}$ and $N_T$ are convex and $y f = N_{own}^p - N_T^p - s$, where
$s$ holds S. For $\|\delta\|_q \le r$:

1. tangent: $N_{own}(x+\delta) \ge N_{own}(x) + \langle g, \delta\rangle$,
   $g = \nabla N_{own}(x)$;
2. $N_T(x+\delta) - N_T(x) = \int \langle g_T, \delta\rangle$ with
   $g_T = \sum_j w_j a_j^{1/p} u_j$, $w \ge 0$, $\|w\|_{p^*} \le 1$ (Hölder), so
   $N_{own} - N_T \ge \gamma := N_{own}(x) - N_T(x) - rL$, $L = \sup\|g - g_T\|_{q^*}$;
3. $s \le s(r) = \sum_S |a_j|\,\sigma(z_j + r\|u_j\|_{q^*})^p$;
4. $b^p - (b - \gamma)^p$ grows in b, so with
   $m = \max(\gamma, N_{own}(x) - r\|g\|_{q^*})$ the point is safe while
   $m^p - (m-\gamma)^p > s(r)$; the left side falls and the right side grows in r.

In $\ell_2$:
$L^2 = \|g\|^2 + L_T^2 + 2(\sum_T |a_j|(-\langle g, u_j\rangle)_+^p)^{1/p}$ by Hölder,
with $L_T = \lambda^{1/p}$ for $p \ge 2$ and $A^{1/p-1/2}\lambda^{1/2}$ below,
$\lambda$ the largest eigenvalue of $\sum_T |a_j| u_j u_j^T$ and $A = \sum_T |a_j|$.
This is the certificate of the homogeneous networks with g in place of its worst case,
and nothing in it needs homogeneity, so biases are allowed.

References:
    min-vidal-2024; min-vidal-2025; the certificate is derived here.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from jaxbias.networks.activations import Activation, LeakyReLU, Power, PReLU, ReLU
from jaxbias.robustness._blocks import product
from jaxbias.robustness._profile import power

SLACKS = (0.0, 1e-6, 1e-4, 1e-2)
"""Shares of the opposing amplitude that are tried as the slack set S."""

_UNIT = float(np.finfo(np.float64).eps)


def has_certificate(activation: Activation) -> bool:
    """Whether the activation is a (leaky) positive part to a power."""
    return isinstance(activation, ReLU | LeakyReLU | PReLU | Power)


def root_certificate(
    rows: Float[np.ndarray, "neuron feature"],
    offsets: Float[np.ndarray, " neuron"] | Float[np.ndarray, "sample neuron"],
    amplitudes: Float[np.ndarray, " neuron"],
    constants: Float[np.ndarray, " sample"],
    inputs: Float[np.ndarray, "sample feature"],
    activation: Activation,
    order: float | int,
    *,
    constant_grows: bool = False,
    extra: Float[np.ndarray, " sample"] | float = 0.0,
) -> Float[np.ndarray, " sample"]:
    r"""Radii below which $f > 0$ is certain, in float64 with rounding slack.

    Args:
        rows: $u_j$.
        offsets: $b_j$, of all points or of each one.
        amplitudes: $a_j$, times the label.
        constants: the constant term at each point, times the label.
        inputs: the points.
        activation: $\psi$.
        order: 2 or infinity.
        constant_grows: the constant is a multiple of $\|(x,1)\|^{p-1}$ or
            $\|x\|^{p-1}$ and is bounded over the ball.
        extra: what the square of that norm has beyond $\|x\|^2$.
    """
    p = activation.degree
    if isinstance(activation, LeakyReLU):
        # psi(z) = relu(z) - leak relu(-z)
        rows = np.concatenate([rows, -rows])
        offsets = np.concatenate([offsets, -offsets], axis=-1)
        amplitudes = np.concatenate([amplitudes, -activation.leak * amplitudes])
    own, opposing = amplitudes > 0, amplitudes < 0
    sizes = np.abs(amplitudes)
    active = np.maximum(product(inputs, rows.T) + offsets, 0.0)
    powers = power(active, p)
    dual = np.abs(rows).sum(1) if np.isinf(order) else np.sqrt((rows**2).sum(1))

    # A constant that grows is never negative when it helps: it may be left out.
    helping = 0.0 if constant_grows else np.maximum(constants, 0)
    n_own = (_sums(powers[:, own], sizes[own]) + helping) ** (1 / p)
    slopes = sizes[own] * (
        power(active[:, own], p - 1) if p > 1 else active[:, own] > 0
    )
    if p > 1:
        slopes = slopes * np.where(n_own > 0, n_own, 1.0)[:, None] ** (1 - p)
    tangent = product(slopes, rows[own])
    tangent_norm = _norm(tangent, order)

    terms = inputs.shape[1] + len(rows) + 32
    relative = 8 * terms * _UNIT * (p + 1)
    reach = np.sqrt((inputs**2).sum(1)) + np.abs(offsets).max(-1, initial=0.0)
    total = sum(sizes[side].sum() ** (1 / p) for side in (own, opposing))
    rounding = relative * (total * reach + np.abs(constants) ** (1 / p))

    best = np.zeros(len(inputs))
    away = power(np.maximum(-product(tangent, rows.T), 0.0), p)
    for kept, dropped in _splits(sizes, opposing):
        against = np.zeros_like(constants) if constant_grows else -constants
        n_kept = _sums(powers[:, kept], sizes[kept]) + np.maximum(against, 0)
        n_kept = n_kept ** (1 / p)
        gap = n_own - n_kept - rounding
        cross = _sums(away[:, kept], sizes[kept]) ** (1 / p)
        slope = _joint(tangent, tangent_norm, cross, rows[kept], sizes[kept], p, order)
        slope = slope * (1 + relative)
        with np.errstate(divide="ignore", invalid="ignore"):
            radius = np.where(gap > 0, gap / slope, 0.0)
        if dropped.any() or constant_grows:
            z, a, norms = active[:, dropped], sizes[dropped], dual[dropped]
            if dropped.any():
                # A neuron that is off may switch on, so its score counts unclipped.
                z = product(inputs, rows[dropped].T) + offsets[..., dropped]
            growth = (
                _growth(constants, inputs, p, order, extra) if constant_grows else None
            )

            def safe(r, z=z, a=a, norms=norms, gap=gap, slope=slope, growth=growth):
                gamma = gap - r * slope
                base = np.maximum(gamma, n_own - rounding - r * tangent_norm)
                left = power(base, p) - power(base - gamma, p)
                right = _sums(power(np.maximum(z + r[:, None] * norms, 0), p), a)
                if growth is not None:
                    right = right + growth(r)
                guard = relative * (power(base, p) + right)
                return (gamma > 0) & (left - right > guard)

            radius = _largest_safe(radius, safe)
        best = np.maximum(best, radius)
    return np.where(np.isfinite(best), best * (1 - relative), 0.0)


def _sums(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums of rows, each by itself."""
    return np.einsum("ij,j->i", np.ascontiguousarray(values), weights)


def _splits(
    sizes: Float[np.ndarray, " neuron"], opposing: Bool[np.ndarray, " neuron"]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Partitions of the opposing neurons into kept and dropped, smallest dropped."""
    order = np.argsort(np.where(opposing, sizes, 0.0))
    mass = np.cumsum(np.where(opposing, sizes, 0.0)[order])
    seen = -1
    for share in SLACKS:
        count = int(np.searchsorted(mass, share * mass[-1], side="right"))
        dropped = np.zeros_like(opposing)
        dropped[order[:count]] = True
        dropped &= opposing
        if dropped.sum() != seen:
            seen = int(dropped.sum())
            yield opposing & ~dropped, dropped


def _joint(
    tangent: np.ndarray,
    tangent_norm: np.ndarray,
    cross: np.ndarray,
    rows: np.ndarray,
    sizes: np.ndarray,
    p: float | int,
    order: float | int,
) -> np.ndarray:
    r"""A bound on $\|g - g_T\|_{q^*}$ over every reachable $g_T$, per point."""
    if not len(rows):
        return tangent_norm
    if np.isinf(order):
        low = _root_of((np.maximum(-rows, 0), sizes), p)
        high = _root_of((np.maximum(rows, 0), sizes), p)
        each = np.maximum(np.abs(tangent + low), np.abs(tangent - high)).sum(1)
        return np.minimum(tangent_norm + _lipschitz_inf(rows, sizes, p), each)
    constant = _lipschitz_two(rows, sizes, p)
    joint = np.sqrt(tangent_norm**2 + constant**2 + 2 * cross)
    return np.minimum(tangent_norm + constant, joint)


def _root_of(parts: tuple[np.ndarray, np.ndarray], p: float | int) -> np.ndarray:
    values, sizes = parts
    return (sizes @ power(values, p)) ** (1 / p)


def _lipschitz_two(rows: np.ndarray, sizes: np.ndarray, p: float | int) -> float:
    scaled = np.sqrt(sizes)[:, None] * rows
    gram = scaled @ scaled.T if len(rows) <= rows.shape[1] else scaled.T @ scaled
    total = float(sizes.sum())
    # eigvalsh is backward stable; the trace bounds the norm of what it was given.
    largest = np.linalg.eigvalsh(gram)[-1] + 8 * sum(rows.shape) * _UNIT * total
    if p >= 2:
        return float(largest ** (1 / p))
    return float(total ** (1 / p - 0.5) * largest**0.5)


def _lipschitz_inf(rows: np.ndarray, sizes: np.ndarray, p: float | int) -> float:
    r"""A bound on $(\sum a_j|\langle u_j,\delta\rangle|^p)^{1/p}$ over the unit cube.

    The least of the per-neuron bound $(\sum a_j\|u_j\|_1^p)^{1/p}$ and the one through
    $\sum a_j\langle u_j,\delta\rangle^2 \le \sum_{kl} |M_{kl}|$,
    $M = \sum a_j u_j u_j^T$.
    """
    ones = np.abs(rows).sum(1)
    simple = float((power(ones, p) @ sizes) ** (1 / p))
    square = float(np.abs((rows.T * sizes) @ rows).sum())
    if p >= 2:
        through = (ones.max() ** (p - 2) * square) ** (1 / p)
    else:
        through = float(sizes.sum()) ** (1 / p - 0.5) * square**0.5
    return min(simple, float(through))


def _growth(
    constants: np.ndarray,
    inputs: np.ndarray,
    p: float | int,
    order: float | int,
    extra: np.ndarray | float,
):
    """The largest size of an opposing constant that scales with the input's norm."""
    lengths = np.sqrt((inputs**2).sum(1) + extra)
    spread = np.sqrt(inputs.shape[1]) if np.isinf(order) else 1.0
    unit = np.where(lengths > 0, lengths, 1.0)

    def bound(r: np.ndarray) -> np.ndarray:
        # |(x + d, 1)| is at most |(x, 1)| + |d|.
        ratio = 1 + r * spread / unit
        grown = np.maximum(-constants, 0) * ratio ** (p - 1)
        return np.where((lengths > 0) | (constants >= 0), grown, np.inf)

    return bound


def _largest_safe(top: np.ndarray, safe) -> np.ndarray:
    """The largest radius found safe below ``top``; the condition is monotone."""
    low, high = np.zeros_like(top), top
    low = np.where(safe(top), top, low)
    alive = safe(np.zeros_like(top))
    for _ in range(30):
        middle = (low + high) / 2
        good = safe(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(alive, low, 0.0)


def _norm(vectors: np.ndarray, order: float | int) -> np.ndarray:
    if np.isinf(order):
        return np.abs(vectors).sum(1)
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
